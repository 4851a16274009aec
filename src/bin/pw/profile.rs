//! `pw profile`: runs a program and shows where its gas and its time went.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use physics_world::isa::KindSet;
use physics_world::jit::failure::Place;
use physics_world::jit::reference::Outcome;
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::{CodeSpace, Fiber};
use physics_world::json::value_json;
use physics_world::profile::{Profiler, Report, Weight, flame_graph};
use physics_world::solo::Solo;
use physics_world::source::{BadInput, FileKind};
use serde_json::{Value as Json, json};
use signal_hook::{consts::SIGINT, flag};

use crate::subject::Subject;
use crate::table::{cut, place_text, seen_text, table};
use crate::{failure, input};

/// The exit code of a program that was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;

/// Run a program and show where its gas and its time went.
///
/// The program is stopped again and again by its use of gas, and the stack it then has stands for the
/// gas and the time since the stop before. Shares of gas say which work there was: they are the same in
/// every run. Shares of time say how long it took here and now: they vary, and hold what stopping
/// costs, which matters in programs of a few milliseconds. `self` is a function's own instructions,
/// `total` those of everything it calls too; a tail call leaves its caller, which is no longer on the
/// stack then. Calls and rounds of loops are counted, not sampled.
///
/// What the program prints goes to stderr. A program that fails is shown up to there (exit code 1), and
/// so is one that is interrupted by Ctrl-C (exit code 130); a second Ctrl-C ends at once.
#[derive(Args)]
pub(crate) struct Profile {
    #[command(flatten)]
    subject: Subject,
    /// Gas between samples, on average; without this, frequent at first and rarer as the program goes on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// Rows of each table.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Where the flame graph goes, an SVG that shows gas; NAME.flame.svg in the current directory
    /// if omitted.
    #[arg(long, value_name = "PATH")]
    flame: Option<PathBuf>,
    /// Draw no flame graph.
    #[arg(long, conflicts_with = "flame")]
    no_flame: bool,
    /// Write the sampled stacks with their gas, as flame graph tools read them.
    #[arg(long, value_name = "PATH")]
    folded: Option<PathBuf>,
    /// Print one JSON object on stdout, with all rows of all tables.
    #[arg(long)]
    json: bool,
}

/// A program that was profiled.
struct Profiled {
    outcome: Outcome,
    fiber: Fiber,
    code: CodeSpace,
    profiler: Profiler,
}

impl Profile {
    pub(crate) fn execute(self) -> ExitCode {
        let profiled = input::read_file(&self.subject.file)
            .and_then(|(kind, bytes)| Ok((self.run(kind, &bytes)?, bytes)));
        let (profiled, source) = match profiled {
            Ok(done) => done,
            Err(bad) => return input::refuse(&bad, self.json),
        };
        let folded = profiled.profiler.folded(&profiled.code);
        let flame = self.write_flame(&folded);
        let written = self.write_folded(&folded);
        let drawn = flame.as_ref().ok().and_then(Option::as_ref);
        if self.json {
            input::say(&format!("{}\n", profiled.json(drawn)));
        } else {
            profiled.announce(&source);
            input::say(&self.text(&profiled, drawn));
        }
        if let Err(bad) = flame.map(|_| ()).and(written) {
            note!("{}", bad.report);
            return ExitCode::from(input::BAD_INPUT);
        }
        match profiled.outcome {
            Outcome::Done(_) => ExitCode::SUCCESS,
            Outcome::Preempted => ExitCode::from(INTERRUPTED),
            Outcome::Failed(_) | Outcome::Waiting => ExitCode::from(input::PROGRAM_FAILED),
        }
    }

    fn run(&self, kind: FileKind, bytes: &[u8]) -> Result<Profiled, BadInput> {
        let (code, mut fiber) = self.subject.begin(kind, bytes)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        // In this order: the first Ctrl-C asks for an end, and one that finds it asked for is the end.
        flag::register_conditional_shutdown(SIGINT, INTERRUPTED.into(), interrupted.clone())
            .and_then(|_| flag::register(SIGINT, interrupted.clone()))
            .map_err(|error| BadInput::new(format!("Ctrl-C cannot be caught: {error}")))?;
        let mut profiler = Profiler::new(self.every);
        let outcome = profiler.run(&mut fiber, &code, &mut Solo::new(std::io::stderr()), || {
            !interrupted.load(Ordering::Relaxed)
        });
        Ok(Profiled {
            outcome,
            fiber,
            code,
            profiler,
        })
    }

    /// Writes the flame graph, if there is something to draw; where it is.
    fn write_flame(&self, folded: &[String]) -> Result<Option<PathBuf>, BadInput> {
        if self.no_flame || folded.is_empty() {
            return Ok(None);
        }
        let path = self.flame.clone().unwrap_or_else(|| {
            let stem = self.subject.file.file_stem().unwrap_or_default();
            PathBuf::from(stem).with_extension("flame.svg")
        });
        let title = [&[self.subject.name()], &self.subject.arguments[..]].concat();
        let mut svg = Vec::new();
        flame_graph(&title.join(" "), folded, &mut svg)
            .map_err(|error| BadInput::new(format!("flame graph: {error}")))?;
        input::write_file(&path, &svg)?;
        Ok(Some(path))
    }

    fn write_folded(&self, folded: &[String]) -> Result<(), BadInput> {
        let lines: String = folded.iter().map(|line| format!("{line}\n")).collect();
        match &self.folded {
            Some(path) => input::write_file(path, lines.as_bytes()),
            None => Ok(()),
        }
    }

    fn text(&self, profiled: &Profiled, flame: Option<&PathBuf>) -> String {
        let total = profiled.profiler.total();
        let report = profiled.profiler.report(&profiled.code);
        let mut out = format!(
            "gas {}, time {:.3} ms, {} samples\n",
            profiled.fiber.gas_used(),
            total.time.as_secs_f64() * 1e3,
            profiled.profiler.samples()
        );
        out += &functions_table(&report, total, self.top);
        out += &instructions_table(&report, total, self.top);
        out += &types_table(&report, total, self.top);
        out += &loops_table(&report, self.top);
        out.push('\n');
        for (what, path) in [
            ("flame graph", flame),
            ("folded stacks", self.folded.as_ref()),
        ] {
            if let Some(path) = path {
                out += &format!("{what}: {}\n", path.display());
            }
        }
        out
    }
}

impl Profiled {
    /// Says how the program ended, for people.
    fn announce(&self, source: &[u8]) {
        match &self.outcome {
            Outcome::Done(value) => {
                let value = value_text(self.fiber.heap(&self.code), *value, Style::Quoted);
                input::say(&format!("{value}\n"));
            }
            Outcome::Failed(failure) => failure::complain(failure, source),
            Outcome::Preempted => note!("interrupted"),
            Outcome::Waiting => unreachable!("the host answers at once"),
        }
    }

    fn json(&self, flame: Option<&PathBuf>) -> String {
        let outcome = match &self.outcome {
            Outcome::Done(value) => {
                let value = value_json(self.fiber.heap(&self.code), *value);
                format!("\"result\":{value}")
            }
            Outcome::Failed(failure) => format!("\"error\":{}", failure::failure_json(failure)),
            Outcome::Preempted => "\"interrupted\":true".to_owned(),
            Outcome::Waiting => unreachable!("the host answers at once"),
        };
        let mut profile = report_json(&self.profiler.report(&self.code));
        profile["samples"] = json!(self.profiler.samples());
        profile["total"] = weight_json(self.profiler.total());
        profile["flame"] = json!(flame.map(|path| path.display().to_string()));
        format!(
            "{{{outcome},\"gas\":{},\"profile\":{profile}}}",
            self.fiber.gas_used()
        )
    }
}

fn report_json(report: &Report) -> Json {
    let functions = report.functions.iter().map(|row| {
        json!({
            "place": place_json(&row.place),
            "self": weight_json(row.own),
            "total": weight_json(row.total),
            "calls": row.calls,
        })
    });
    let instructions = report.instructions.iter().map(|row| {
        let kinds: Vec<&str> = row.seen.kinds.iter().map(|kind| kind.name()).collect();
        json!({
            "place": place_json(&row.place),
            "text": row.text,
            "self": weight_json(row.weight),
            "seen": {"count": row.seen.count, "kinds": kinds, "target": row.seen.target},
        })
    });
    let loops = report
        .loops
        .iter()
        .map(|row| json!({"place": place_json(&row.place), "count": row.count}));
    json!({
        "functions": functions.collect::<Json>(),
        "instructions": instructions.collect::<Json>(),
        "loops": loops.collect::<Json>(),
    })
}

fn place_json(place: &Place) -> Json {
    json!({
        "function": place.function,
        "pc": place.pc,
        "file": place.file,
        "line": place.line,
    })
}

fn weight_json(weight: Weight) -> Json {
    json!({"gas": weight.gas, "time_ms": weight.time.as_secs_f64() * 1e3})
}

fn functions_table(report: &Report, total: Weight, top: usize) -> String {
    let rows = report.functions.iter().take(top).map(|row| {
        let [own, all] = [row.own, row.total].map(|weight| shares(weight, total));
        let calls = row.calls.to_string();
        [own, all]
            .concat()
            .into_iter()
            .chain([calls, place_text(&row.place)])
            .collect()
    });
    let heads = [
        "self gas",
        "self time",
        "total gas",
        "total time",
        "calls",
        "function",
    ];
    table(&heads, 5, rows.collect())
}

fn instructions_table(report: &Report, total: Weight, top: usize) -> String {
    let rows = report.instructions.iter().take(top).map(|row| {
        let mut cells = shares(row.weight, total).to_vec();
        cells.extend([
            row.place.pc.to_string(),
            place_text(&row.place),
            cut(&row.text),
        ]);
        cells
    });
    let heads = ["gas", "time", "pc", "function", "instruction"];
    table(&heads, 3, rows.collect())
}

/// The hottest instructions that read values: which kinds, and what was called.
fn types_table(report: &Report, total: Weight, top: usize) -> String {
    let reading = report
        .instructions
        .iter()
        .filter(|row| row.seen.kinds != KindSet::default());
    let rows = reading.take(top).map(|row| {
        let [gas, _] = shares(row.weight, total);
        let pc = row.place.pc.to_string();
        vec![
            gas,
            pc,
            place_text(&row.place),
            cut(&row.text),
            seen_text(&row.seen),
        ]
    });
    let heads = ["gas", "pc", "function", "instruction", "values"];
    table(&heads, 2, rows.collect())
}

fn loops_table(report: &Report, top: usize) -> String {
    let rows = report.loops.iter().take(top).map(|row| {
        let pc = row.place.pc.to_string();
        vec![row.count.to_string(), pc, place_text(&row.place)]
    });
    table(&["rounds", "pc", "loop in"], 2, rows.collect())
}

/// Shares of gas and of time.
fn shares(part: Weight, whole: Weight) -> [String; 2] {
    let percent = |part: f64, whole: f64| format!("{:.1} %", 100.0 * part / whole.max(1e-12));
    [
        percent(part.gas as f64, whole.gas as f64),
        percent(part.time.as_secs_f64(), whole.time.as_secs_f64()),
    ]
}
