//! `pw recover`: a world goes on with its history.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::runtime::world::forget_crashes;

use super::policy::Policy;
use super::rollback::{Rollback, roll_back};
use super::{FIRST, Keeping, Refused, bad, own_history, recover};
use crate::way::{Finished, Way};

/// Go on with a world whose history was kept by `pw run --durable`, from the state in which it was when its process ended, whatever
/// ended it.
///
/// Examples:
///   pw run --durable history examples/14-actors.jue 6
///   pw recover history
///   pw inspect --inputs history, and then: pw recover --without 17 history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Recover {
    /// The directory with the history.
    directory: PathBuf,
    /// Try once more what has ended three processes: a tick that is a fault of the engine halts its world.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    rollback: Rollback,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    policy: Policy,
    #[command(flatten)]
    way: Way,
}

impl Recover {
    pub(crate) fn execute(self) -> ExitCode {
        match self.run() {
            Ok(finished) => self.way.conclude(&finished, b""),
            Err(refused) => refused.tell(self.way.json),
        }
    }

    fn run(&self) -> Result<Finished, Refused> {
        if self.again {
            let disk = own_history(&self.directory)?;
            forget_crashes(&*disk).map_err(|error| bad(&self.directory, error))?;
        }
        let mut world = self.way.world(&self.directory.display().to_string())?;
        let settings = self.policy.in_settings(self.keeping.settings());
        if self.rollback.is_asked_for() {
            roll_back(&mut world, &self.directory, settings, &self.rollback)?;
        } else {
            recover(&mut world, &self.directory, settings)?;
        }
        self.policy.watch(&mut world)?;
        Ok(self.way.finish(world, FIRST))
    }
}
