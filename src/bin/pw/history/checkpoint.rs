//! `pw checkpoint`: a checkpoint of the last state of a history.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Keeping, Refused, bad, builder, recover};
use crate::input;

/// Write a checkpoint of the last state that a history knows, so that `pw recover` begins there. The world does not go
/// on, but what it has printed and nobody is known to have seen is printed.
///
/// Example:
///   pw checkpoint history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Checkpoint {
    /// The directory with the history.
    directory: PathBuf,
    #[command(flatten)]
    keeping: Keeping,
}

impl Checkpoint {
    pub(crate) fn execute(self) -> ExitCode {
        match self.write() {
            Ok(ticks) => {
                input::say(&format!("checkpoint of tick {ticks}\n"));
                ExitCode::SUCCESS
            }
            Err(refused) => refused.tell(false),
        }
    }

    fn write(&self) -> Result<u64, Refused> {
        let mut world = builder(|call| input::say(&format!("{}\n", call.text())))
            .build()
            .map_err(|error| bad(&self.directory, error))?;
        recover(&mut world, &self.directory, self.keeping.settings())?;
        let written = world
            .checkpoint()
            .map_err(|error| bad(&self.directory, error))?;
        Ok(written.unwrap_or(world.ticks()))
    }
}
