//! `pw disasm`: any program as assembly text.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use physics_world::isa::text;
use physics_world::source::read_program;

use crate::input;

/// Print a program as assembly text, whether or not it verifies.
#[derive(Args)]
pub(crate) struct Disasm {
    /// The program: .pwb, .jue or .pwa.
    file: PathBuf,
}

impl Disasm {
    pub(crate) fn execute(self) -> ExitCode {
        let program = input::read_file(&self.file)
            .and_then(|(kind, bytes)| read_program(&self.file.display().to_string(), kind, &bytes));
        match program {
            Ok(program) => {
                input::say(&text::print(&program));
                ExitCode::SUCCESS
            }
            Err(bad) => input::refuse(&bad, false),
        }
    }
}
