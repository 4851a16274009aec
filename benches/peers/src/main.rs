//! Runs the same kernels in Jue and in its peers, side by side, and says how they compare.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

mod cli;
mod engine;
mod kernel;
mod measure;
mod report;
mod statistics;
mod wasm;

fn main() -> ExitCode {
    match run(&cli::Options::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("peers: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &cli::Options) -> Result<ExitCode> {
    if let Some(cli::Child::RunWasm {
        machine,
        kernel,
        warm,
    }) = &options.child
    {
        machine.run(kernel, *warm)?;
        return Ok(ExitCode::SUCCESS);
    }
    let kernels = options.chosen_kernels()?;
    let engines = options.chosen_engines()?;
    if options.list {
        report::list(&kernels, &engines);
        return Ok(ExitCode::SUCCESS);
    }
    let workshop = engine::Workshop::open(&engines, options.pw.as_deref(), options.warm)?;
    let results = measure::measure(&kernels, &workshop, options.runs)?;
    let first = results.engines.first().copied().unwrap_or_default();
    let against = options.against.as_deref().unwrap_or(first);
    if options.json {
        println!("{}", report::json(&results, against)?);
    } else {
        println!("{}", report::table(&results, against));
    }
    for problem in results.problems() {
        eprintln!("peers: {problem}");
    }
    Ok(if results.interrupted {
        ExitCode::from(130)
    } else if results.problems().is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
