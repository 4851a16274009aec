//! `pw`: runs and examines Physics World programs. One file a subcommand.

mod asm;
mod check;
mod compare;
mod disasm;
mod explain;
mod input;
mod native;
mod profile;
mod run;
mod subject;
mod table;
mod vector;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs and examines Physics World programs.
///
/// FILE is Jue source (.jue), assembly text (.pwa), a program file (.pwb) or a V2 vector (.v2.json).
/// Exit codes: 0 a result, 1 the program failed, 2 usage or bad input.
#[derive(Parser)]
#[command(name = "pw", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Profile(profile::Profile),
    Compare(compare::Compare),
    Explain(explain::Explain),
    Check(check::Check),
    Asm(asm::Asm),
    Disasm(disasm::Disasm),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Run(command) => command.execute(),
        Command::Profile(command) => command.execute(),
        Command::Compare(command) => command.execute(),
        Command::Explain(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Asm(command) => command.execute(),
        Command::Disasm(command) => command.execute(),
    }
}
