//! Measuring: every kernel in every engine, round after round.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::engine::{Engine, Workshop};
use crate::kernel::Kernel;

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
    let mut commands = Vec::new();
    for kernel in kernels {
        let (cells, row) = prepare(kernel, workshop);
        commands.push(row);
        results.rows.push(Row {
            kernel: kernel.name.clone(),
            cells,
        });
    }

    let all = commands.iter().flatten().flatten().count() as u64 * u64::from(runs);
    let progress = ProgressBar::new(all).with_style(ProgressStyle::with_template(
        "{wide_bar} {pos}/{len} {msg:24} {eta} left",
    )?);
    for _ in 0..runs {
        for (row, commands) in results.rows.iter_mut().zip(&mut commands) {
            for (index, command) in commands.iter_mut().enumerate() {
                let Some(command) = command else { continue };
                let cell = &mut row.cells[index];
                progress.set_message(format!("{} {}", row.kernel, results.engines[index]));
                if cell.failure.is_none() {
                    let outcome = run(command);
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

/// The cells of a row and the commands to fill them.
fn prepare(kernel: &Kernel, workshop: &Workshop) -> (Vec<Cell>, Vec<Option<Command>>) {
    let prepare_cell = |engine: &&Engine| match workshop.command(engine, kernel) {
        Ok(command) => (Cell::default(), command),
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

/// Runs a child to its end: the last line it printed, and the CPU time it took.
fn run(command: &mut Command) -> Result<(String, f64)> {
    // One child at a time, so the difference is what this one used.
    let before = cpu_seconds()?;
    let output = command
        .output()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    let seconds = cpu_seconds()? - before;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::bail!("{}: {}", output.status, said.trim());
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let checksum = printed.lines().last().context("it printed nothing")?;
    Ok((checksum.trim().to_owned(), seconds))
}

/// The CPU time of all children so far: in the program, and in the kernel on its behalf (memory that a
/// collector asks for costs time there). The sum is exact, where the kernel only estimates the parts.
fn cpu_seconds() -> Result<f64> {
    let usage: Usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("asking for CPU time")?;
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
        let (checksum, seconds) =
            run(Command::new("sh").args(["-c", "echo first; echo 42"])).unwrap();
        assert_eq!(checksum, "42");
        assert!(seconds >= 0.0);
    }

    #[test]
    fn a_child_that_fails_says_why() {
        let error = run(Command::new("sh").args(["-c", "echo no >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "exit status: 3: no");
    }
}
