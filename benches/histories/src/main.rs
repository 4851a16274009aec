//! What histories cost, beside `memcpy`, plain writes with a sync, and redb on the same disk in the same run.

mod hibernation;
mod journals;
mod states;

use std::path::PathBuf;

use clap::Parser;
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
    /// Measure only actors that hibernate, so many: what memory they take is that of a process that has done nothing before.
    #[arg(long)]
    hibernated: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// A figure: what it is of, its value, its unit.
pub(crate) type Figure = (String, f64, &'static str);

fn main() {
    let options = Options::parse();
    // What an earlier run has left may not be there.
    let _ = std::fs::remove_dir_all(&options.directory);
    std::fs::create_dir_all(&options.directory).expect("a directory");
    let figures = match options.hibernated {
        Some(count) => hibernation::all(&options, count),
        None => {
            let mut figures = states::many(&options);
            figures.extend(states::large(&options));
            figures.extend(journals::inputs(&options));
            figures.extend(journals::overhead());
            figures.extend(journals::replay(&options));
            figures
        }
    };
    if options.json {
        let all = figures.iter().map(|(name, value, unit)| json!({"name": name, "value": value, "unit": unit}));
        println!("{}", json!(all.collect::<Vec<_>>()));
        return;
    }
    for (name, value, unit) in &figures {
        println!("{name:<64} {value:>12.3} {unit}");
    }
}
