//! Actors side by side: the same programs in this engine, as tokio tasks and as actors of libraries, run by turns.

mod actors;
mod erlang;
mod kameo;
mod peers;
mod ractor;
mod tasks;
mod ticks;

use std::time::{Duration, Instant};

use clap::Parser;
use erlang::Erlang;
use serde_json::json;

/// What is measured: a name, the arguments, and how many operations that makes.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) arguments: &'static [i64],
    operations: u64,
}

/// All that is measured.
const CASES: [Case; 6] = [
    Case {
        name: "spawn-all",
        arguments: &[200_000],
        operations: 200_000,
    },
    Case {
        name: "ping-pong",
        arguments: &[200_000],
        operations: 200_000,
    },
    Case {
        name: "ring",
        arguments: &[1_000, 500_000],
        operations: 500_000,
    },
    Case {
        name: "many-to-one",
        arguments: &[100, 5_000],
        operations: 500_000,
    },
    Case {
        name: "fan-out",
        arguments: &[1_000, 200],
        operations: 400_000,
    },
    Case {
        name: "skynet",
        arguments: &[100_000],
        operations: 111_111,
    },
];

/// Who runs the programs.
struct Engine {
    name: &'static str,
    run: fn(&Case, usize),
    parked_bytes: fn(u64) -> u64,
}

const ENGINES: [Engine; 4] = [
    Engine {
        name: "here",
        run: actors::run,
        parked_bytes: actors::parked_bytes,
    },
    Engine {
        name: "tokio",
        run: tasks::run,
        parked_bytes: tasks::parked_bytes,
    },
    Engine {
        name: "kameo",
        run: peers::run::<kameo::Kameo>,
        parked_bytes: peers::parked_bytes::<kameo::Kameo>,
    },
    Engine {
        name: "ractor",
        run: peers::run::<ractor::Ractor>,
        parked_bytes: peers::parked_bytes::<ractor::Ractor>,
    },
];

/// Parked actors of which the memory is measured.
const PARKED: u64 = 1_000_000;

/// Runs the same programs of many actors in this engine, as tokio tasks, as actors of kameo and of ractor, and in Erlang where it is
/// installed.
#[derive(Parser)]
struct Options {
    /// Threads of all of them.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Runs of each, by turns; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only cases whose names contain this; `parked` and `ticks` are two more.
    #[arg(long, default_value = "")]
    case: String,
    /// Only these engines.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// One JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// Bytes of memory that this process has resident.
pub(crate) fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.map_or(0, |pages: u64| pages * 4096)
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// One line: a figure of each engine, and the ratio to the one of this.
fn show(case: &str, unit: &str, figures: &[f64]) {
    let first = figures[0];
    let figures: String = figures
        .iter()
        .map(|figure| format!(" {figure:>8.0} {unit:<2} {:>5.2}", first / figure))
        .collect();
    println!("{case:<12}{figures}");
}

fn main() {
    let options = Options::parse();
    let engines: Vec<&Engine> = ENGINES
        .iter()
        .filter(|engine| {
            options.engines.is_empty() || options.engines.iter().any(|name| name == engine.name)
        })
        .collect();
    assert!(!engines.is_empty(), "there is no such engine");
    let mut rows = Vec::new();
    let mut take = |case: &str, unit: &str, figures: Vec<f64>| {
        if !options.json {
            show(case, unit, &figures);
        }
        let names = engines.iter().map(|engine| engine.name).chain(["erlang"]);
        let figures = names
            .zip(figures)
            .map(|(name, figure)| (name.to_owned(), json!(figure)));
        let figures = figures.collect::<serde_json::Map<_, _>>();
        rows.push(json!({"case": case, "unit": unit, "figures": figures}));
    };
    let is_wanted =
        options.engines.is_empty() || options.engines.iter().any(|name| name == "erlang");
    let erlang = if is_wanted { Erlang::new() } else { None };
    if is_wanted && erlang.is_none() {
        eprintln!("Erlang is not installed: no `erl`");
    }
    if !options.json {
        let names: String = engines
            .iter()
            .map(|engine| engine.name)
            .chain(erlang.as_ref().map(|_| "erlang"))
            .map(|name| format!(" {name:>11} ratio"))
            .collect();
        println!("{:<12}{names}", "");
    }
    for case in CASES
        .iter()
        .filter(|case| case.name.contains(&options.case))
    {
        let mut times = vec![Vec::new(); engines.len()];
        for _ in 0..options.runs {
            for (engine, times) in engines.iter().zip(&mut times) {
                times.push(timed(|| (engine.run)(case, options.threads)));
            }
        }
        let each = |times| median(times).as_nanos() as f64 / case.operations as f64;
        let ours = times.into_iter().map(each);
        let theirs = erlang
            .as_ref()
            .map(|erlang| erlang.times(case, options.threads, options.runs));
        take(case.name, "ns", ours.chain(theirs.map(each)).collect());
    }
    if "parked".contains(&options.case) {
        let each = |engine: &&Engine| ((engine.parked_bytes)(PARKED) / PARKED) as f64;
        take("parked", "B", engines.iter().map(each).collect());
    }
    let ticks = "ticks"
        .contains(&options.case)
        .then(|| ticks::measure(options.runs, options.threads));
    if options.json {
        println!(
            "{}",
            json!({"threads": options.threads, "cases": rows, "ticks": ticks})
        );
    }
}
