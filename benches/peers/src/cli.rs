//! The command line.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

use crate::engine::{ENGINES, Engine};
use crate::kernel::{self, Kernel};
use crate::wasm::Machine;

/// Run the same kernels in Jue and in its peers, side by side.
///
/// Every kernel runs once in every engine, then all of it again, so that the noise of a busy machine
/// hits all alike. A cell of the table is the median CPU time of an engine, and how many times as long
/// that is as the engine of `--against` took. Kernels of different engines must print the same result.
#[derive(Parser)]
#[command(
    name = "peers",
    version,
    override_usage = "peers [OPTIONS]",
    disable_help_subcommand = true,
    after_help = "\
Examples:
  peers                                    everything, five times
  peers --kernel fib --kernel tak          two kernels
  peers --engine pw-interp --engine lua5.4 --against lua5.4
                                           how many times as long as Lua 5.4 we take
  peers --warm --engine pw-auto --engine luajit --against luajit
                                           the same for compiled code, once it is there
  peers --runs 1 --json > now.json         a quick look, for a script

Exit codes: 0 all is well, 1 a kernel failed or engines disagree, 2 bad usage, 130 interrupted (what was
measured until then is reported)."
)]
pub(crate) struct Options {
    /// Only this kernel; may be repeated. Without it, all.
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    /// Only this engine; may be repeated. Without it, all that are there.
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// How often each kernel runs in each engine.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Measure programs that have been running for a while: each process runs the kernel a few times first,
    /// and only what comes then counts, without start and compilation.
    #[arg(long)]
    pub(crate) warm: bool,
    /// The engine that the others are compared with; without it, the first.
    #[arg(long, value_name = "NAME")]
    pub(crate) against: Option<String>,
    /// This `pw` instead of one built from the sources around this program.
    #[arg(long, value_name = "PATH")]
    pub(crate) pw: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Say which kernels and engines there are, and run nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// What this program does when it has started itself.
    #[command(subcommand)]
    pub(crate) child: Option<Child>,
}

/// Not for users: what a child of this program does.
#[derive(Subcommand)]
pub(crate) enum Child {
    /// Run one kernel in one WebAssembly engine.
    #[command(hide = true)]
    RunWasm {
        machine: Machine,
        kernel: PathBuf,
        /// Run it a few times before it counts.
        #[arg(long)]
        warm: bool,
    },
}

impl Options {
    /// The kernels asked for, in the order of their names.
    pub(crate) fn chosen_kernels(&self) -> Result<Vec<Kernel>> {
        let all = kernel::all()?;
        check_names(
            "kernel",
            &self.kernel,
            all.iter().map(|kernel| kernel.name.as_str()),
        )?;
        Ok(all
            .into_iter()
            .filter(|kernel| self.kernel.is_empty() || self.kernel.contains(&kernel.name))
            .collect())
    }

    /// The engines asked for, in the order of the table of engines.
    pub(crate) fn chosen_engines(&self) -> Result<Vec<&'static Engine>> {
        let known = || ENGINES.iter().map(|engine| engine.name);
        check_names("engine", &self.engine, known())?;
        check_names("engine", self.against.as_slice(), known())?;
        Ok(ENGINES
            .iter()
            .filter(|engine| {
                self.engine.is_empty() || self.engine.iter().any(|name| name == engine.name)
            })
            .collect())
    }
}

fn check_names<'a>(
    what: &str,
    asked: &[String],
    known: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let known: Vec<&str> = known.collect();
    for name in asked {
        if !known.contains(&name.as_str()) {
            bail!("there is no {what} {name}; there are {}", known.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn names_must_exist() {
        let error = check_names("engine", &["lisp".to_owned()], ["lua", "pw"].into_iter());
        assert_eq!(
            error.unwrap_err().to_string(),
            "there is no engine lisp; there are lua, pw"
        );
    }
}
