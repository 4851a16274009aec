//! The WebAssembly engines. They are libraries, so this program runs itself again for each kernel, as
//! the child that is measured.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use nix::sys::resource::UsageWho;

use crate::measure::{ROUNDS, cpu_seconds};

/// A WebAssembly engine, and what it counts or checks while a kernel runs.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Machine {
    Wasmi,
    WasmiFuel,
    Pulley,
    PulleyFuel,
    WasmtimeFuelEpoch,
}

/// What the child calls the time that it took.
pub(crate) const TIME: &str = "cpu-seconds ";

/// The name of the function that every kernel exports.
const MAIN: &str = "main";

impl Machine {
    /// Its name on the child's command line.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Runs a kernel and prints its result, and on stderr its CPU time without that of compiling it; if it is
    /// to be warm, that of a round after others.
    pub(crate) fn run(self, kernel: &Path, warm: bool) -> Result<()> {
        let text = fs::read(kernel).with_context(|| format!("reading {}", kernel.display()))?;
        let code = wat::parse_bytes(&text)?;
        let (result, seconds) = match self {
            Self::Wasmi => run_wasmi(&code, false, warm),
            Self::WasmiFuel => run_wasmi(&code, true, warm),
            Self::Pulley => run_wasmtime(&code, wasmtime::Config::new().target("pulley64")?, warm),
            Self::PulleyFuel => run_wasmtime(
                &code,
                wasmtime::Config::new()
                    .target("pulley64")?
                    .consume_fuel(true),
                warm,
            ),
            Self::WasmtimeFuelEpoch => run_wasmtime(
                &code,
                wasmtime::Config::new()
                    .consume_fuel(true)
                    .epoch_interruption(true),
                warm,
            ),
        }?;
        println!("{result}");
        eprintln!("{TIME}{seconds}");
        Ok(())
    }
}

/// The time that a child reported.
pub(crate) fn reported_seconds(stderr: &str) -> Result<f64> {
    stderr
        .lines()
        .find_map(|line| line.strip_prefix(TIME))
        .context("it did not say how long it took")?
        .parse()
        .context("it said oddly how long it took")
}

fn run_wasmi(code: &[u8], fuel: bool, warm: bool) -> Result<(i64, f64)> {
    let mut config = wasmi::Config::default();
    // Its limit of a thousand calls is for programs that are not trusted to recurse.
    config.consume_fuel(fuel).set_max_recursion_depth(100_000);
    let engine = wasmi::Engine::new(&config);
    let module = wasmi::Module::new(&engine, code)?;
    let mut store = wasmi::Store::new(&engine, ());
    if fuel {
        store.set_fuel(u64::MAX)?;
    }
    let instance = wasmi::Linker::new(&engine).instantiate_and_start(&mut store, &module)?;
    let main = instance.get_typed_func::<(), i64>(&store, MAIN)?;
    timed(warm, || Ok(main.call(&mut store, ())?))
}

fn run_wasmtime(code: &[u8], config: &wasmtime::Config, warm: bool) -> Result<(i64, f64)> {
    let engine = wasmtime::Engine::new(config)?;
    let module = wasmtime::Module::new(&engine, code)?;
    let mut store = wasmtime::Store::new(&engine, ());
    // The limits are there and checked, and out of reach; each call does nothing where its kind is off.
    let _ = store.set_fuel(u64::MAX);
    store.set_epoch_deadline(1);
    let instance = wasmtime::Linker::new(&engine).instantiate(&mut store, &module)?;
    let main = instance.get_typed_func::<(), i64>(&mut store, MAIN)?;
    timed(warm, || Ok(main.call(&mut store, ())?))
}

fn timed(warm: bool, mut run: impl FnMut() -> Result<i64>) -> Result<(i64, f64)> {
    let rounds = if warm { ROUNDS } else { 1 };
    if warm {
        for _ in 0..rounds {
            run()?;
        }
    }
    let before = cpu_seconds(UsageWho::RUSAGE_SELF)?;
    let mut result = 0;
    for _ in 0..rounds {
        result = run()?;
    }
    let seconds = cpu_seconds(UsageWho::RUSAGE_SELF)? - before;
    Ok((result, seconds / f64::from(rounds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: &str = r#"(module (func (export "main") (result i64) (i64.const 7)))"#;

    #[test]
    fn every_machine_runs_a_kernel() {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("kernel.wat");
        fs::write(&kernel, SEVEN).unwrap();
        for machine in Machine::value_variants() {
            machine.run(&kernel, false).unwrap();
            machine.run(&kernel, true).unwrap();
        }
    }

    #[test]
    fn reported_times_are_understood() {
        assert_eq!(
            reported_seconds("a warning\ncpu-seconds 0.25\n").unwrap(),
            0.25
        );
        assert!(reported_seconds("nothing").is_err());
    }
}
