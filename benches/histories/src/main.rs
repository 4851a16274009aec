//! What histories cost, beside `memcpy`, plain writes with a sync, and redb on the same disk in the same run.

mod hibernation;
mod journals;
mod slow;
mod states;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde_json::json;

/// Measures checkpoints, journals, recovery and replay of worlds in a directory.
#[derive(Parser)]
pub(crate) struct Options {
    /// Where everything is written; it is made, and emptied first.
    #[arg(long, default_value = "/var/tmp/pw-histories")]
    pub(crate) directory: PathBuf,
    /// Actors that wait and hold about 500 bytes each.
    #[arg(long, default_value_t = 400_000)]
    pub(crate) actors: i64,
    /// Bytes of the actor that holds most.
    #[arg(long, default_value_t = 256 << 20)]
    pub(crate) large: i64,
    /// Inputs of each writer of the journal.
    #[arg(long, default_value_t = 3_000)]
    pub(crate) inputs: u64,
    /// Parts to measure; all, if none is named.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Measure only actors that hibernate, so many: what memory they take is that of a process that has done nothing before.
    #[arg(long)]
    hibernated: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// A checkpoint of many actors.
    Many,
    /// One of an actor with a large heap.
    Large,
    /// One of an actor with a large heap that collects.
    Churning,
    /// Inputs of many writers.
    Inputs,
    /// What a history costs.
    Overhead,
    /// Doing it again.
    Replay,
}

impl Part {
    fn figures(self, options: &Options) -> Vec<Figure> {
        match self {
            Part::Many => states::many(options),
            Part::Large => states::large(options),
            Part::Churning => states::churning(options),
            Part::Inputs => journals::inputs(options),
            Part::Overhead => journals::overhead(),
            Part::Replay => journals::replay(options),
        }
    }
}

/// A figure: what it is of, its value, its unit.
pub(crate) type Figure = (String, f64, &'static str);

fn main() {
    let options = Options::parse();
    // What an earlier run has left may not be there.
    let _ = std::fs::remove_dir_all(&options.directory);
    std::fs::create_dir_all(&options.directory).expect("a directory");
    let parts = match options.part.is_empty() {
        true => Part::value_variants(),
        false => &options.part,
    };
    let figures: Vec<Figure> = match options.hibernated {
        Some(count) => hibernation::all(&options, count),
        None => parts
            .iter()
            .flat_map(|part| part.figures(&options))
            .collect(),
    };
    if options.json {
        let all = figures
            .iter()
            .map(|(name, value, unit)| json!({"name": name, "value": value, "unit": unit}));
        println!("{}", json!(all.collect::<Vec<_>>()));
        return;
    }
    for (name, value, unit) in &figures {
        println!("{name:<64} {value:>12.3} {unit}");
    }
}
