//! `pw asm`: any program to a program file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::isa::codec;
use physics_world::source::BadInput;

use crate::input;

/// Assemble (or compile) a program to a program file.
#[derive(Args)]
pub(crate) struct Asm {
    /// The program: .pwa, .jue or .pwb.
    file: PathBuf,
    /// Where the program file goes; beside the input if omitted.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Asm {
    pub(crate) fn execute(self) -> ExitCode {
        match self.assemble() {
            Ok(()) => ExitCode::SUCCESS,
            Err(bad) => input::refuse(&bad, false),
        }
    }

    fn assemble(self) -> Result<(), BadInput> {
        let verified = input::load(&self.file)?;
        let output = self
            .output
            .unwrap_or_else(|| self.file.with_extension("pwb"));
        let bytes = codec::encode(verified.program());
        input::write_file(&output, &bytes)?;
        input::say(&format!(
            "{}: {} bytes, {}\n",
            output.display(),
            bytes.len(),
            verified.signature()
        ));
        Ok(())
    }
}
