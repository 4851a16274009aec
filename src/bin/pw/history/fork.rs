//! `pw fork`: another world from a state of the past.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::source::BadInput;

use super::{FIRST, Keeping, bad, begin, replay, silent};
use crate::input;
use crate::way::Way;

/// Let another world go on from a state of a history. The outside hears nothing of it: what it prints is not printed, calls of functions
/// outside fail. It holds only the capabilities that are named.
///
/// Examples:
///   pw fork --tick 100 history
///   pw fork --tick 100 --into other --capability sys-create-actor history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Fork {
    /// The directory with the history, or a bundle.
    history: PathBuf,
    /// The state after so many ticks; without this, the last.
    #[arg(long, value_name = "N")]
    tick: Option<u64>,
    /// Keep the history of the fork in this directory.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// A capability that actors keep, if they hold it; more than one may be given.
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<String>,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    way: Way,
}

impl Fork {
    pub(crate) fn execute(self) -> ExitCode {
        match self.run() {
            Ok(code) => code,
            Err(bad) => input::refuse(&bad, self.way.json),
        }
    }

    fn run(&self) -> Result<ExitCode, BadInput> {
        let mut past = replay(silent(), &self.history)?;
        let tick = self.tick.unwrap_or(past.range().1);
        past.go_to(tick)
            .map_err(|error| bad(&self.history, error))?;
        let names: Vec<&str> = self.capabilities.iter().map(String::as_str).collect();
        let mut world = self.way.world(&self.history.display().to_string())?;
        world
            .become_fork(past, &names)
            .map_err(|error| bad(&self.history, error))?;
        if let Some(directory) = &self.into {
            begin(&mut world, directory, self.keeping.settings())?;
        }
        let finished = self.way.finish(world, FIRST);
        Ok(self.way.conclude(&finished, b""))
    }
}
