//! `pw bundle`: a part of a history in a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::source::BadInput;

use super::{bad, replay, silent};
use crate::input;

/// Write a part of a history into one file: the state, the programs and the inputs, everything that is needed to see it again on another
/// machine with `pw replay`, `pw inspect` or `pw fork`.
///
/// Example:
///   pw bundle --from 100 --to 120 --out failure.pwbundle history
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bundle {
    /// The directory with the history.
    history: PathBuf,
    /// The first tick; without this, the first that the history knows.
    #[arg(long, value_name = "TICK")]
    from: Option<u64>,
    /// The last tick; without this, the last that the history knows.
    #[arg(long, value_name = "TICK")]
    to: Option<u64>,
    /// The file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Bundle {
    pub(crate) fn execute(self) -> ExitCode {
        match self.write() {
            Ok(bytes) => {
                input::say(&format!("{}: {bytes} bytes\n", self.out.display()));
                ExitCode::SUCCESS
            }
            Err(bad) => input::refuse(&bad, false),
        }
    }

    fn write(&self) -> Result<usize, BadInput> {
        let mut past = replay(silent(), &self.history)?;
        let (first, last) = past.range();
        let (from, to) = (self.from.unwrap_or(first), self.to.unwrap_or(last));
        if from > to {
            return Err(bad(
                &self.history,
                format!("from tick {from} to tick {to} is nothing"),
            ));
        }
        let bytes = past
            .bundle(from, to)
            .map_err(|error| bad(&self.history, error))?;
        std::fs::write(&self.out, &bytes).map_err(|error| bad(&self.out, error))?;
        Ok(bytes.len())
    }
}
