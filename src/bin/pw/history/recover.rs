//! `pw recover`: a world goes on with its history.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{FIRST, Keeping, recover};
use crate::input;
use crate::way::Way;

/// Go on with a world whose history was kept by `pw run --durable`, from the state in which it was when its process ended, whatever
/// ended it.
///
/// Examples:
///   pw run --durable history examples/14-actors.jue 6
///   pw recover history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Recover {
    /// The directory with the history.
    directory: PathBuf,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    way: Way,
}

impl Recover {
    pub(crate) fn execute(self) -> ExitCode {
        let name = self.directory.display().to_string();
        let finished = self.way.world(&name).and_then(|mut world| {
            recover(&mut world, &self.directory, self.keeping.settings())?;
            Ok(self.way.finish(world, FIRST))
        });
        match finished {
            Ok(finished) => self.way.conclude(&finished, b""),
            Err(bad) => input::refuse(&bad, self.way.json),
        }
    }
}
