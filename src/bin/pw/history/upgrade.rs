//! `pw upgrade`: a world that is stopped goes on in new code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::World;
use physics_world::isa::verify::Verified;
use physics_world::jit::fiber::upgrade::DeclaredMap;
use physics_world::runtime::world::{ProgramId, UpgradeReport};
use physics_world::source::BadInput;
use serde_json::json;

use super::{Keeping, Refused, bad, builder, recover};
use crate::input;

/// Have all that runs one program of a stopped world go on in another one, in the middle of what it does. What has the same name in both
/// corresponds. Actors that cannot go on as they stand are listed with the reason; they will go on as soon as they can when the world runs.
/// The way back is an upgrade from the new program to the old one.
///
/// Examples:
///   pw upgrade history new.jue
///   pw upgrade history old.jue=new.jue
///   pw upgrade --declared map.json --json history 2=new.jue
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Upgrade {
    /// The directory with the history.
    directory: PathBuf,
    /// The new program; before it, if more than one was loaded, the old one: its number or its file.
    #[arg(value_name = "[OLD=]NEW")]
    programs: String,
    /// What is not told by names, as JSON: functions, with variables, points and what is new; globals that are new.
    /// `{"functions": [{"from": "run", "to": "go", "variables": [["n", "count"]]}], "globals": [["limit", 5]]}`
    #[arg(long, value_name = "FILE")]
    declared: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keeping: Keeping,
}

impl Upgrade {
    pub(crate) fn execute(self) -> ExitCode {
        match self.upgrade() {
            Ok(text) => {
                input::say(&text);
                ExitCode::SUCCESS
            }
            Err(refused) => refused.tell(self.json),
        }
    }

    fn upgrade(&self) -> Result<String, Refused> {
        let (old, new) = match self.programs.split_once('=') {
            Some((old, new)) => (Some(old), new),
            None => (None, self.programs.as_str()),
        };
        let program = input::load(new.as_ref())?;
        let declared = self.declared()?;
        let mut world = builder(|call| note!("{}", call.text()))
            .build()
            .map_err(|error| bad(&self.directory, error))?;
        recover(&mut world, &self.directory, self.keeping.settings())?;
        let failed = |error: String| bad(&self.directory, error);
        let from = self.old_program(&world, old, &program)?;
        let to = world.load(program);
        // The code is durable before anything goes on in it.
        world.flush().map_err(failed)?;
        let report = world
            .upgrade(from, to, &declared)
            .map_err(|error| bad(&self.directory, error))?;
        world.checkpoint().map_err(failed)?;
        let (from, to) = (from.number(), to.number());
        Ok(if self.json {
            json_of(&report, (from, to), world.ticks())
        } else {
            text_of(&report, (from, to), world.ticks())
        })
    }

    fn declared(&self) -> Result<DeclaredMap, BadInput> {
        let Some(path) = &self.declared else {
            return Ok(DeclaredMap::default());
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(path, error))?;
        serde_json::from_str(&text)
            .map_err(|error| bad(path, format!("{error}; there are functions and globals")))
    }

    /// The program that was named, or the only one that can be meant.
    fn old_program(
        &self,
        world: &World,
        named: Option<&str>,
        new: &Verified,
    ) -> Result<ProgramId, BadInput> {
        let signature = |program: &ProgramId| world.code().program(program.number()).signature();
        let Some(named) = named else {
            let new = new.signature();
            let others: Vec<ProgramId> = world
                .programs()
                .filter(|program| signature(program) != new)
                .collect();
            return match others[..] {
                [only] => Ok(only),
                _ => {
                    let count = others.len();
                    let reason = format!("it has {count} other programs: say which, as OLD=NEW");
                    Err(bad(&self.directory, reason))
                }
            };
        };
        let is_meant: Box<dyn Fn(&ProgramId) -> bool> = match named.parse::<u32>() {
            Ok(number) => Box::new(move |program| program.number() == number),
            Err(_) => {
                let old = input::load(named.as_ref())?.signature();
                Box::new(move |program| signature(program) == old)
            }
        };
        let found = world.programs().find(|program| is_meant(program));
        found.ok_or_else(|| bad(&self.directory, format!("{named} is no program of it")))
    }
}

fn json_of(report: &UpgradeReport, (from, to): (u32, u32), tick: u64) -> String {
    let pending: Vec<_> = report
        .pending
        .iter()
        .map(|(actor, reason)| json!({"actor": actor.0, "reason": reason}))
        .collect();
    let all = json!({"tick": tick, "from": from, "to": to, "upgraded": report.upgraded, "pending": pending});
    format!("{all}\n")
}

fn text_of(report: &UpgradeReport, (from, to): (u32, u32), tick: u64) -> String {
    let mut out = format!(
        "upgraded     {} actors of program {from} to program {to} at tick {tick}; {} wait\n",
        report.upgraded,
        report.pending.len()
    );
    for (actor, reason) in &report.pending {
        out += &format!("waits        actor {actor}: {reason}\n");
    }
    out
}
