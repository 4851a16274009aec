//! `pw bench`: what each optimisation gains in a program, by leaving it out.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use physics_world::jit::CodeSpace;
use physics_world::jit::interp::profile::Profile;
use physics_world::jit::memo::MemoSettings;
use physics_world::jit::optimize::{PerformanceOptimizer, PerformanceSettings};
use physics_world::jit::tier::{JitSettings, Optimizations};
use physics_world::source::{BadInput, FileKind};
use serde_json::json;
use signal_hook::{consts::SIGINT, flag};

use crate::input;
use crate::native::{NativeOptions, milliseconds};
use crate::subject::Subject;
use crate::table::table;
use crate::trial::{self, Shown, difference};

/// The exit code of a measurement that was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;

/// Measure a program, and what each optimisation gains in it.
///
/// The program is run with everything, and without each optimisation alone. `cold` runs begin with
/// nothing and pay for the compiler; `warm` ones find the code and what was learnt by runs before. Runs
/// in different ways alternate, so that all see the same machine. The table shows medians, and how many
/// times as long a run takes without: above 1 is what the optimisation gains, and differences of a few
/// hundredths are noise.
///
/// Result, printed text, gas and final state must be the same in all runs, for no optimisation may change
/// them; if they are not, that is said and the exit code is 1. Ctrl-C ends the measurement and shows what
/// there is.
///
/// Exit codes: 0 all runs agree, 1 something other than time differs, 2 usage or bad input,
/// 130 interrupted.
///
/// Examples:
///   pw bench examples/fib.jue 25
///   pw bench --without inline --without hoist --runs 15 program.jue
///   pw bench --memo --without caches program.jue
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bench {
    #[command(flatten)]
    subject: Subject,
    /// An optimisation to be left out; without this, each in its turn.
    #[arg(long, value_enum, value_name = "WHAT")]
    without: Vec<Without>,
    /// Do not run calls of pure functions again, as `pw run --memo`, and show what that gains, too.
    #[arg(long)]
    memo: bool,
    /// Runs of each kind in each way.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// What can be left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Without {
    /// Small functions in place of their calls.
    Inline,
    /// Guesses and look-ups on the way into loops instead of inside.
    Hoist,
    /// Leaving out tests that are proved not to be needed.
    Elide,
    /// Entering native code in running loops.
    Osr,
    /// What was found last time is tried first: entries of maps, callees of calls, results of pure calls.
    Caches,
    /// Native code altogether.
    Jit,
    /// Results of pure calls, where --memo keeps them.
    Memo,
}

/// A way to run the program, and what came of it.
struct Way {
    /// What is left out.
    without: Option<Without>,
    settings: PerformanceSettings,
    shown: Vec<Shown>,
    cold: Vec<Duration>,
    warm: Vec<Duration>,
}

/// The worker of a way, which learns from each warm run.
struct Warm {
    code: CodeSpace,
    profile: Profile,
}

impl Bench {
    pub(crate) fn execute(self) -> ExitCode {
        match self.measure() {
            Ok((ways, interrupted)) => self.report(&ways, interrupted),
            Err(bad) => input::refuse(&bad, self.json),
        }
    }

    /// Runs the program in all ways, and tells whether that was ended before its end.
    fn measure(&self) -> Result<(Vec<Way>, bool), BadInput> {
        let (kind, bytes) = input::read_file(&self.subject.file)?;
        self.subject.refuse_vector(kind)?;
        let mut ways = self.ways()?;
        let interrupted = Arc::new(AtomicBool::new(false));
        // In this order: the first Ctrl-C asks for an end, and one that finds it asked for is the end.
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), interrupted.clone())
            .and_then(|_| flag::register(SIGINT, interrupted.clone()))
            .map_err(|error| BadInput::new(format!("Ctrl-C cannot be caught: {error}")))?;
        let goes_on = || !interrupted.load(Ordering::Relaxed);
        let progress = self.progress(ways.len());
        let done = self.run_all(kind, &bytes, &mut ways, &progress, &goes_on);
        progress.finish_and_clear();
        done?;
        // A way that has not been run to its end even once has nothing to show.
        ways.retain(|way| !way.cold.is_empty() && !way.warm.is_empty());
        if ways.is_empty() {
            let reason = "interrupted before every way was run once: nothing to show";
            return Err(BadInput::new(format!("{}: {reason}", self.subject.name())));
        }
        Ok((ways, !goes_on()))
    }

    /// One run after the other: in each round one cold and one warm run of each way.
    fn run_all(
        &self,
        kind: FileKind,
        bytes: &[u8],
        ways: &mut [Way],
        progress: &ProgressBar,
        goes_on: &impl Fn() -> bool,
    ) -> Result<(), BadInput> {
        let mut warm = Vec::new();
        for way in ways.iter() {
            let code = self.subject.load(kind, bytes)?;
            let profile = optimizer(way.settings)?.worker();
            warm.push(Warm { code, profile });
        }
        // What is compiled in the first round is found in the others.
        for warm in &mut warm {
            progress.set_message("warming up");
            let fiber = self.subject.fiber(&warm.code)?;
            if trial::run_while(fiber, &warm.code, &mut warm.profile, goes_on).is_none() {
                return Ok(());
            }
            progress.inc(1);
        }
        for _ in 0..self.runs {
            for (way, warm) in ways.iter_mut().zip(&mut warm) {
                // Short programs are never asked on their way.
                if !goes_on() {
                    return Ok(());
                }
                progress.set_message(way.title());
                let (code, fiber) = self.subject.begin(kind, bytes)?;
                let mut cold = optimizer(way.settings)?.worker();
                let Some((shown, time)) = trial::run_while(fiber, &code, &mut cold, goes_on) else {
                    return Ok(());
                };
                way.shown.push(shown);
                way.cold.push(time);
                progress.inc(1);
                let fiber = self.subject.fiber(&warm.code)?;
                let (code, profile) = (&warm.code, &mut warm.profile);
                let Some((shown, time)) = trial::run_while(fiber, code, profile, goes_on) else {
                    return Ok(());
                };
                way.shown.push(shown);
                way.warm.push(time);
                progress.inc(1);
            }
        }
        Ok(())
    }

    /// With everything, and without each of what is to be left out.
    fn ways(&self) -> Result<Vec<Way>, BadInput> {
        if self.without.contains(&Without::Memo) && !self.memo {
            let reason = "--without memo leaves out what only --memo turns on: give both";
            return Err(BadInput::new(reason.to_owned()));
        }
        let all = PerformanceSettings {
            memo: self.memo.then(MemoSettings::default),
            ..PerformanceSettings::default()
        };
        let mut left_out = self.without.clone();
        if left_out.is_empty() {
            left_out.extend(Without::value_variants());
            left_out.retain(|without| self.memo || *without != Without::Memo);
        }
        let mut ways = vec![Way::new(None, all)];
        for without in left_out {
            ways.push(Way::new(Some(without), without.applied_to(all)));
        }
        Ok(ways)
    }

    fn progress(&self, ways: usize) -> ProgressBar {
        let runs = ways as u64 * (1 + 2 * u64::from(self.runs));
        // It draws on stderr, and only where somebody looks.
        let progress = ProgressBar::new(runs);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left: {msg}");
        match style {
            Ok(style) => progress.with_style(style),
            Err(_) => progress,
        }
    }

    fn report(&self, ways: &[Way], interrupted: bool) -> ExitCode {
        let first = &ways[0].shown[0];
        let mut all = ways.iter().flat_map(|way| &way.shown);
        let different = all.find(|shown| *shown != first);
        let whole = &ways[0];
        if self.json {
            let rows: Vec<_> = ways.iter().map(|way| way.json(whole)).collect();
            let report = json!({
                "outcome": first.outcome,
                "gas": first.gas,
                "state": first.state,
                "equal": different.is_none(),
                "difference": different.map(|shown| difference(first, shown)),
                "interrupted": interrupted,
                "ways": rows,
            });
            input::say(&format!("{report}\n"));
        } else {
            let heads = ["cold", "ratio", "warm", "ratio", "runs", "way"];
            let rows = ways.iter().map(|way| way.row(whole)).collect();
            let gas = first.gas;
            input::say(&format!(
                "{}\ngas {gas}\n{}",
                first.outcome,
                table(&heads, 5, rows)
            ));
            if interrupted {
                note!("interrupted: these are the runs until then");
            }
            if let Some(other) = different {
                note!("{}", difference(first, other));
            }
        }
        match different {
            Some(_) => ExitCode::from(input::PROGRAM_FAILED),
            None if interrupted => ExitCode::from(INTERRUPTED),
            None => ExitCode::SUCCESS,
        }
    }
}

/// What makes a program fast in one of the ways.
fn optimizer(settings: PerformanceSettings) -> Result<PerformanceOptimizer, BadInput> {
    NativeOptions::default().optimizer(settings)
}

impl Without {
    /// Settings like these, without it.
    fn applied_to(self, all: PerformanceSettings) -> PerformanceSettings {
        let every = Optimizations::default();
        let with = |optimizations| PerformanceSettings {
            jit: all.jit.map(|jit| JitSettings {
                optimizations,
                ..jit
            }),
            ..all
        };
        match self {
            Without::Inline => with(Optimizations {
                inline: false,
                ..every
            }),
            Without::Hoist => with(Optimizations {
                hoist: false,
                ..every
            }),
            Without::Elide => with(Optimizations {
                elide: false,
                ..every
            }),
            Without::Osr => with(Optimizations {
                osr: false,
                ..every
            }),
            Without::Caches => PerformanceSettings {
                memo: None,
                ..with(Optimizations {
                    caches: false,
                    ..every
                })
            },
            Without::Jit => PerformanceSettings { jit: None, ..all },
            Without::Memo => PerformanceSettings { memo: None, ..all },
        }
    }

    fn name(self) -> &'static str {
        match self {
            Without::Inline => "inline",
            Without::Hoist => "hoist",
            Without::Elide => "elide",
            Without::Osr => "osr",
            Without::Caches => "caches",
            Without::Jit => "jit",
            Without::Memo => "memo",
        }
    }
}

impl Way {
    fn new(without: Option<Without>, settings: PerformanceSettings) -> Way {
        Way {
            without,
            settings,
            shown: Vec::new(),
            cold: Vec::new(),
            warm: Vec::new(),
        }
    }

    fn title(&self) -> String {
        match self.without {
            None => "with everything".to_owned(),
            Some(without) => format!("without {}", without.name()),
        }
    }

    /// Medians of cold and warm runs, each with its ratio to those with everything.
    fn figures(&self, whole: &Way) -> [(f64, f64); 2] {
        let of = |times: &[Duration]| milliseconds(trial::median(times));
        let ratio = |time: f64, whole: f64| time / whole.max(1e-9);
        let (cold, warm) = (of(&self.cold), of(&self.warm));
        [
            (cold, ratio(cold, of(&whole.cold))),
            (warm, ratio(warm, of(&whole.warm))),
        ]
    }

    fn row(&self, whole: &Way) -> Vec<String> {
        let mut row = Vec::new();
        for (time, ratio) in self.figures(whole) {
            row.push(format!("{time:.3} ms"));
            row.push(format!("{ratio:.2}"));
        }
        row.push(self.warm.len().to_string());
        row.push(self.title());
        row
    }

    fn json(&self, whole: &Way) -> serde_json::Value {
        let [(cold, cold_ratio), (warm, warm_ratio)] = self.figures(whole);
        json!({
            "without": self.without.map(Without::name),
            "runs": self.warm.len(),
            "cold_ms": cold,
            "cold_ratio": cold_ratio,
            "warm_ms": warm,
            "warm_ratio": warm_ratio,
        })
    }
}
