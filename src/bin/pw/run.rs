//! `pw run`: runs a program to its end.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::source::{BadInput, FileKind};

use crate::history::policy::Policy;
use crate::history::{self, Keeping};
use crate::subject::Subject;
use crate::way::{Finished, Way};
use crate::{input, vector};

/// Run a program. The last line of stdout is its value in Jue's notation.
///
/// The program is the first actor of a world: it may start others, and the world ends with it.
///
/// Examples:
///   pw run examples/fib.jue 25
///   pw run --threads 2 --trace examples/14-actors.jue 6
///   pw run --stats --jit-log program.jue
///   pw run --stats --memo program.jue, where pure functions are called again and again
///   pw run --durable history examples/14-actors.jue 6
///   pw run --durable history --roll-back-on runaway-gas,crash-loop --feed program.jue
///   perf record pw run --perf map program.jue, and then: perf report
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Run {
    #[command(flatten)]
    subject: Subject,
    /// Keep the history of the world in this directory, which must be empty or not be there: `pw recover` goes on with it after any
    /// end of the process, `pw replay` shows it.
    #[arg(long, value_name = "DIR")]
    durable: Option<PathBuf>,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    way: Way,
}

impl Run {
    pub(crate) fn execute(self) -> ExitCode {
        let json = self.way.json;
        let (kind, bytes) = match input::read_file(&self.subject.file) {
            Ok(read) => read,
            Err(bad) => return input::refuse(&bad, json),
        };
        let (name, subject) = (self.subject.name(), &self.subject);
        if kind == FileKind::V2Vector {
            if self.way.stats || subject.memory.is_some() || !subject.arguments.is_empty() {
                let reason = "a V2 vector brings its own limits and takes no arguments or --stats";
                return input::refuse(&BadInput::new(format!("{name}: {reason}")), json);
            }
            return vector::run(&name, &bytes, subject.gas, json);
        }
        match self.run(kind, &bytes) {
            Ok(finished) => self.way.conclude(&finished, &bytes),
            Err(bad) => input::refuse(&bad, json),
        }
    }

    fn run(&self, kind: FileKind, bytes: &[u8]) -> Result<Finished, BadInput> {
        let mut world = self.way.world(&self.subject.name())?;
        if let Some(directory) = &self.durable {
            let settings = self.policy.in_settings(self.keeping.settings());
            history::begin(&mut world, directory, settings)?;
            self.policy.watch(&mut world)?;
        } else if self.policy.is_given() {
            let reason = "--roll-back-on is about a history, which --durable keeps";
            return Err(BadInput::new(format!("{}: {reason}", self.subject.name())));
        }
        let first = self.subject.start_in(&mut world, kind, bytes)?;
        Ok(self.way.finish(world, first))
    }
}
