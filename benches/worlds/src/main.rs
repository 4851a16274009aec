//! Actors side by side: the same programs in this engine and as tokio tasks, run by turns.

mod actors;
mod tasks;

use std::time::{Duration, Instant};

use clap::Parser;
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

/// Runs the same programs of many actors in this engine and as tokio tasks.
#[derive(Parser)]
struct Options {
    /// Threads of both.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Runs of each, by turns; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Only cases whose names contain this.
    #[arg(long, default_value = "")]
    case: String,
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

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let options = Options::parse();
    let mut rows = Vec::new();
    for case in CASES
        .iter()
        .filter(|case| case.name.contains(&options.case))
    {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..options.runs {
            ours.push(timed(|| actors::run(case, options.threads)));
            theirs.push(timed(|| tasks::run(case, options.threads)));
        }
        let each = |times| median(times).as_nanos() as f64 / case.operations as f64;
        rows.push((case.name, each(ours), each(theirs)));
    }
    let parked = 1_000_000;
    let memory = "parked".contains(&options.case).then(|| {
        (
            actors::parked_bytes(parked) / parked,
            tasks::parked_bytes(parked) / parked,
        )
    });
    if options.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, ours, theirs)| {
                json!({"case": name, "ns": ours, "tokio_ns": theirs, "ratio": ours / theirs})
            })
            .collect();
        let memory = memory.map(|(ours, theirs)| json!({"bytes": ours, "tokio_bytes": theirs}));
        println!(
            "{}",
            json!({"threads": options.threads, "cases": rows, "parked": memory})
        );
        return;
    }
    println!("{:<12} {:>10} {:>10} {:>7}", "", "ns", "tokio ns", "ratio");
    for (name, ours, theirs) in &rows {
        println!(
            "{name:<12} {ours:>10.0} {theirs:>10.0} {:>7.2}",
            ours / theirs
        );
    }
    if let Some((ours, theirs)) = memory {
        println!(
            "{:<12} {ours:>8} B {theirs:>8} B {:>7.2}",
            "parked",
            ours as f64 / theirs as f64
        );
    }
}
