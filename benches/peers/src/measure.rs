//! Measuring: every kernel in every engine, round after round.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::engine::{Engine, Workshop};
use crate::kernel::Kernel;
use crate::wasm::reported_seconds;

/// Warm programs run so often before they count, and then so often again.
pub(crate) const ROUNDS: u32 = 3;

/// A child process to measure.
pub(crate) struct Job {
    /// What is started.
    pub(crate) command: Command,
    clock: Clock,
}

/// Who knows how long a child took.
#[derive(Clone, Copy)]
pub(crate) enum Clock {
    /// The operating system: from the start of the process to its end.
    Outside,
    /// The child, which leaves out what it did before the kernel began.
    Inside,
    /// `pw bench`, which measures ways to run the kernel: with everything, and without native code.
    Bench {
        /// Whether the second of these ways is meant.
        without_native: bool,
    },
}

/// What was measured.
pub(crate) struct Results {
    /// The names of the engines, in the order of the cells of a row.
    pub(crate) engines: Vec<&'static str>,
    /// One row for each kernel.
    pub(crate) rows: Vec<Row>,
    /// Whether the user stopped it before all rounds were done.
    pub(crate) interrupted: bool,
}

/// What was measured with one kernel.
pub(crate) struct Row {
    /// The kernel.
    pub(crate) kernel: String,
    /// One cell for each engine.
    pub(crate) cells: Vec<Cell>,
}

/// One kernel in one engine.
#[derive(Default)]
pub(crate) struct Cell {
    /// CPU seconds of each run.
    pub(crate) seconds: Vec<f64>,
    /// What the kernel printed: the last line.
    pub(crate) checksum: Option<String>,
    /// Why there is no result, if there should be one.
    pub(crate) failure: Option<String>,
}

impl Row {
    /// The result of the kernel, if all engines that have one agree.
    pub(crate) fn checksum(&self) -> Result<Option<&str>, String> {
        let mut results = self
            .cells
            .iter()
            .filter_map(|cell| cell.checksum.as_deref());
        let first = results.next();
        if results.all(|other| Some(other) == first) {
            Ok(first)
        } else {
            Err("the engines disagree".to_owned())
        }
    }
}

impl Results {
    /// Everything that went wrong, one line each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for row in &self.rows {
            for (engine, cell) in self.engines.iter().zip(&row.cells) {
                if let Some(failure) = &cell.failure {
                    problems.push(format!("{} in {engine}: {failure}", row.kernel));
                }
            }
            if row.checksum().is_err() {
                let results: Vec<String> = self
                    .engines
                    .iter()
                    .zip(&row.cells)
                    .filter_map(|(engine, cell)| {
                        Some(format!("{engine} {}", cell.checksum.as_ref()?))
                    })
                    .collect();
                problems.push(format!(
                    "{}: WRONG, results differ: {}",
                    row.kernel,
                    results.join(", ")
                ));
            }
        }
        problems
    }
}

/// Runs every kernel in every engine, all of it `runs` times, until done or interrupted.
pub(crate) fn measure(kernels: &[Kernel], workshop: &Workshop, runs: u32) -> Result<Results> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    // The terminal interrupts the child too, so the loop below comes to look at the flag at once.
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .context("watching for Ctrl-C")?;

    let mut results = Results {
        engines: workshop.engines.iter().map(|engine| engine.name).collect(),
        rows: Vec::new(),
        interrupted: false,
    };
    let mut jobs = Vec::new();
    for kernel in kernels {
        let (cells, row) = prepare(kernel, workshop);
        jobs.push(row);
        results.rows.push(Row {
            kernel: kernel.name.clone(),
            cells,
        });
    }

    let all = jobs.iter().flatten().flatten().count() as u64 * u64::from(runs);
    let progress = ProgressBar::new(all).with_style(ProgressStyle::with_template(
        "{wide_bar} {pos}/{len} {msg:24} {eta} left",
    )?);
    for _ in 0..runs {
        for (row, jobs) in results.rows.iter_mut().zip(&mut jobs) {
            for (index, job) in jobs.iter_mut().enumerate() {
                let Some(job) = job else { continue };
                let cell = &mut row.cells[index];
                progress.set_message(format!("{} {}", row.kernel, results.engines[index]));
                if cell.failure.is_none() {
                    let outcome = job.run();
                    if interrupted.load(Ordering::Relaxed) {
                        progress.finish_and_clear();
                        results.interrupted = true;
                        return Ok(results);
                    }
                    cell.add(outcome);
                }
                progress.inc(1);
            }
        }
    }
    progress.finish_and_clear();
    Ok(results)
}

/// The cells of a row and the jobs that fill them.
fn prepare(kernel: &Kernel, workshop: &Workshop) -> (Vec<Cell>, Vec<Option<Job>>) {
    let prepare_cell = |engine: &&Engine| match workshop.job(engine, kernel) {
        Ok(job) => (Cell::default(), job),
        Err(error) => {
            let failure = Some(format!("{error:#}"));
            (
                Cell {
                    failure,
                    ..Cell::default()
                },
                None,
            )
        }
    };
    workshop.engines.iter().map(prepare_cell).unzip()
}

impl Cell {
    fn add(&mut self, outcome: Result<(String, f64)>) {
        match outcome {
            Ok((checksum, seconds)) => {
                let earlier = self.checksum.get_or_insert_with(|| checksum.clone());
                if *earlier != checksum {
                    self.failure = Some(format!("printed {earlier}, then {checksum}"));
                }
                self.seconds.push(seconds);
            }
            Err(error) => self.failure = Some(format!("{error:#}")),
        }
    }
}

impl Job {
    /// A program with its first arguments.
    pub(crate) fn new(program: impl AsRef<OsStr>, arguments: &[&str], clock: Clock) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self { command, clock }
    }

    /// Runs the child to its end: the last line it printed, and the CPU time it took.
    fn run(&mut self) -> Result<(String, f64)> {
        // One child at a time, so the difference is what this one used.
        let before = cpu_seconds(UsageWho::RUSAGE_CHILDREN)?;
        let output = self
            .command
            .output()
            .with_context(|| format!("starting {}", self.command.get_program().display()))?;
        let after = cpu_seconds(UsageWho::RUSAGE_CHILDREN)?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("{}: {}", output.status, said.trim());
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        let last = printed.lines().last().context("it printed nothing")?.trim();
        match self.clock {
            Clock::Outside => Ok((last.to_owned(), after - before)),
            Clock::Inside => Ok((last.to_owned(), reported_seconds(&said)?)),
            Clock::Bench { without_native } => bench_result(last, without_native),
        }
    }
}

/// The result and the median time of warm runs in a report of `pw bench`.
fn bench_result(report: &str, without_native: bool) -> Result<(String, f64)> {
    let report: serde_json::Value = serde_json::from_str(report).context("reading its report")?;
    let way = &report["ways"][usize::from(without_native)];
    let milliseconds = way["warm_ms"].as_f64().context("it reports no time")?;
    let checksum = report["outcome"].as_str().context("it reports no result")?;
    Ok((checksum.to_owned(), milliseconds / 1e3))
}

/// The CPU time so far: in programs, and in the operating system on their behalf (memory that a
/// collector asks for costs time there). The sum is exact, where the two parts are only estimated.
pub(crate) fn cpu_seconds(whose: UsageWho) -> Result<f64> {
    let usage: Usage = getrusage(whose).context("asking for CPU time")?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(microseconds as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(checksums: &[&str]) -> Row {
        let cell = |checksum: &&str| Cell {
            checksum: Some((*checksum).to_owned()),
            ..Cell::default()
        };
        Row {
            kernel: "k".to_owned(),
            cells: checksums.iter().map(cell).collect(),
        }
    }

    #[test]
    fn engines_that_disagree_are_a_problem() {
        let mut results = Results {
            engines: vec!["a", "b"],
            rows: vec![row(&["1", "1"])],
            interrupted: false,
        };
        assert!(results.problems().is_empty());
        results.rows.push(row(&["1", "2"]));
        assert_eq!(results.problems(), ["k: WRONG, results differ: a 1, b 2"]);
    }

    #[test]
    fn a_child_is_timed_and_its_last_line_is_its_result() {
        let mut job = Job::new("sh", &["-c", "echo first; echo 42"], Clock::Outside);
        let (checksum, seconds) = job.run().unwrap();
        assert_eq!(checksum, "42");
        assert!(seconds >= 0.0);
    }

    #[test]
    fn reports_of_warm_runs_are_understood() {
        let report = r#"{"outcome":"42","ways":[{"warm_ms":2.5},{"warm_ms":10.0}]}"#;
        let of = |without_native| bench_result(report, without_native).unwrap();
        assert_eq!(of(false), ("42".to_owned(), 0.0025));
        assert_eq!(of(true), ("42".to_owned(), 0.01));
        assert!(bench_result("42", false).is_err());
    }

    #[test]
    fn a_child_that_fails_says_why() {
        let mut job = Job::new("sh", &["-c", "echo no >&2; exit 3"], Clock::Outside);
        let error = job.run().unwrap_err();
        assert_eq!(error.to_string(), "exit status: 3: no");
    }
}
