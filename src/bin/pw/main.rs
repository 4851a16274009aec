//! `pw`: runs and examines Physics World programs. One file a subcommand.

#![warn(
    clippy::print_stderr,
    reason = "it panics when nobody reads stderr any more: `note!` does not"
)]

#[macro_use]
mod note;

mod asm;
mod bench;
mod check;
mod compare;
mod disasm;
mod explain;
mod failure;
mod feed;
mod hibernating;
mod history;
mod input;
mod native;
mod profile;
mod run;
mod subject;
mod table;
mod top;
mod trial;
mod vector;
mod way;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs and examines Physics World programs.
///
/// FILE is Jue source (.jue), assembly text (.pwa), a program file (.pwb) or a V2 vector (.v2.json).
/// Exit codes: 0 a result, 1 the program failed, 2 usage or bad input, 3 the engine failed again and again where it was.
#[derive(Parser)]
#[command(name = "pw", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Run),
    Recover(history::recover::Recover),
    Upgrade(history::upgrade::Upgrade),
    Checkpoint(history::checkpoint::Checkpoint),
    Replay(history::replay::Replay),
    Fork(history::fork::Fork),
    Inspect(history::inspect::Inspect),
    Bundle(history::bundle::Bundle),
    Top(top::Top),
    Profile(profile::Profile),
    Compare(compare::Compare),
    Bench(bench::Bench),
    Explain(explain::Explain),
    Check(check::Check),
    Asm(asm::Asm),
    Disasm(disasm::Disasm),
}

/// Bytes of stack that native code may use, so that deep recursion stays in it.
pub(crate) const NATIVE_STACK: u64 = 48 << 20;
/// Bytes of stack of the thread that runs programs; only what is used takes memory.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let thread = std::thread::Builder::new().name("pw".to_owned());
    let done = thread
        .stack_size(STACK)
        .spawn(|| execute(arguments.command));
    match done.map(std::thread::JoinHandle::join) {
        Ok(Ok(code)) => code,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => {
            note!("pw: no thread with {STACK} bytes of stack: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> ExitCode {
    match command {
        Command::Run(command) => command.execute(),
        Command::Recover(command) => command.execute(),
        Command::Upgrade(command) => command.execute(),
        Command::Checkpoint(command) => command.execute(),
        Command::Replay(command) => command.execute(),
        Command::Fork(command) => command.execute(),
        Command::Inspect(command) => command.execute(),
        Command::Bundle(command) => command.execute(),
        Command::Top(command) => command.execute(),
        Command::Profile(command) => command.execute(),
        Command::Compare(command) => command.execute(),
        Command::Bench(command) => command.execute(),
        Command::Explain(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Asm(command) => command.execute(),
        Command::Disasm(command) => command.execute(),
    }
}
