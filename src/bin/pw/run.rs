//! `pw run`: runs a program to its end.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use physics_world::jit::failure::{Failure, Place};
use physics_world::jit::fiber::arena::Statistics;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::{self, Outcome};
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::tier::{JitSettings, JitStatistics};
use physics_world::jit::{CodeSpace, Fiber, Value};
use physics_world::json::{text_json, value_json};
use physics_world::solo::Solo;
use physics_world::source::{BadInput, FileKind};

use crate::subject::Subject;
use crate::{input, vector};

/// Run a program. The last line of stdout is its value in Jue's notation.
#[derive(Args)]
pub(crate) struct Run {
    #[command(flatten)]
    subject: Subject,
    /// What executes the program.
    #[arg(long, value_enum, default_value_t = Tier::Interp)]
    tier: Tier,
    /// Report gas, time, allocations, collections and peak memory on stderr.
    #[arg(long)]
    stats: bool,
    /// Print one JSON object on stdout; what the program prints goes to stderr.
    #[arg(long)]
    json: bool,
}

/// A way to execute programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// The executable specification: slow and obvious.
    Reference,
    /// The fast interpreter.
    Interp,
    /// The fast interpreter, and native code for what is hot.
    Auto,
    /// The same, and everything is hot from the start.
    Jit,
}

/// A program that has run.
struct Finished {
    outcome: Result<Value, Box<Failure>>,
    fiber: Fiber,
    code: CodeSpace,
    time: Duration,
}

impl Run {
    pub(crate) fn execute(self) -> ExitCode {
        let (kind, bytes) = match input::read_file(&self.subject.file) {
            Ok(read) => read,
            Err(bad) => return input::refuse(&bad, self.json),
        };
        let (name, subject) = (self.subject.name(), &self.subject);
        if kind == FileKind::V2Vector {
            if self.stats || subject.memory.is_some() || !subject.arguments.is_empty() {
                let reason = "a V2 vector brings its own limits and takes no arguments or --stats";
                return input::refuse(&BadInput::new(format!("{name}: {reason}")), self.json);
            }
            return vector::run(&name, &bytes, subject.gas, self.json);
        }
        match self.run(kind, &bytes) {
            Ok(finished) => {
                self.report(&finished, &bytes);
                let failed = finished.outcome.is_err();
                if failed {
                    ExitCode::from(input::PROGRAM_FAILED)
                } else {
                    ExitCode::SUCCESS
                }
            }
            Err(bad) => input::refuse(&bad, self.json),
        }
    }

    fn run(&self, kind: FileKind, bytes: &[u8]) -> Result<Finished, BadInput> {
        let (code, mut fiber) = self.subject.begin(kind, bytes)?;
        let start = Instant::now();
        let outcome = if self.json {
            self.finish(&mut fiber, &code, &mut Solo::new(std::io::stderr()))
        } else {
            self.finish(&mut fiber, &code, &mut Solo::new(std::io::stdout()))
        };
        Ok(Finished {
            outcome,
            fiber,
            code,
            time: start.elapsed(),
        })
    }

    fn finish(
        &self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        host: &mut impl physics_world::jit::host::Host,
    ) -> Result<Value, Box<Failure>> {
        let outcome = match self.tier {
            Tier::Reference => reference::run(fiber, code, host, u64::MAX),
            Tier::Interp => interp::run(fiber, code, host, &mut Profile::default(), u64::MAX),
            Tier::Auto | Tier::Jit => {
                let mut settings = JitSettings::default();
                if self.tier == Tier::Jit {
                    settings.threshold = 0;
                }
                let mut profile =
                    Profile::with_native(settings).expect("a machine with native code");
                let outcome = interp::run(fiber, code, host, &mut profile, u64::MAX);
                if let Some(jit) = profile.native().filter(|_| self.stats && !self.json) {
                    report_native(jit.statistics());
                }
                outcome
            }
        };
        match outcome {
            Outcome::Done(value) => Ok(value),
            Outcome::Failed(failure) => Err(failure),
            Outcome::Preempted | Outcome::Waiting => {
                unreachable!("the slice has no end, and the host answers at once")
            }
        }
    }

    fn report(&self, finished: &Finished, source: &[u8]) {
        let heap = finished.fiber.heap(&finished.code);
        match &finished.outcome {
            Ok(value) if self.json => {
                let value = value_json(heap, *value);
                input::say(&format!(
                    "{{\"result\":{value},\"gas\":{}{}}}\n",
                    finished.fiber.gas_used(),
                    self.stats_json(finished)
                ));
            }
            Ok(value) => {
                input::say(&format!("{}\n", value_text(heap, *value, Style::Quoted)));
            }
            Err(failure) if self.json => {
                let error = failure_json(failure);
                input::say(&format!(
                    "{{\"error\":{error},\"gas\":{}{}}}\n",
                    failure.gas,
                    self.stats_json(finished)
                ));
            }
            Err(failure) => complain(failure, source),
        }
        if self.stats && !self.json {
            eprint!("{}", stats_text(finished));
        }
    }

    fn stats_json(&self, finished: &Finished) -> String {
        if !self.stats {
            return String::new();
        }
        let Statistics {
            allocations,
            allocated_bytes,
            collections,
            peak_bytes,
        } = finished.fiber.arena().statistics();
        format!(
            ",\"stats\":{{\"time_ms\":{:.3},\"allocations\":{allocations},\"allocated_bytes\":{allocated_bytes},\
             \"collections\":{collections},\"peak_bytes\":{peak_bytes}}}",
            finished.time.as_secs_f64() * 1e3
        )
    }
}

fn stats_text(finished: &Finished) -> String {
    let statistics = finished.fiber.arena().statistics();
    format!(
        "gas          {}\ntime         {:.3} ms\nallocations  {}, {} bytes\ncollections  {}\npeak memory  {} bytes\n",
        finished.fiber.gas_used(),
        finished.time.as_secs_f64() * 1e3,
        statistics.allocations,
        statistics.allocated_bytes,
        statistics.collections,
        statistics.peak_bytes
    )
}

/// Says how a program failed, for people.
pub(crate) fn complain(failure: &Failure, source: &[u8]) {
    eprintln!("{failure}");
    if let Some(line) = failure
        .source_place()
        .and_then(|place| source_line(source, place))
    {
        eprintln!("{line}");
    }
}

/// The line of source at fault.
fn source_line(source: &[u8], place: &Place) -> Option<String> {
    let line = place.line?;
    let text = std::str::from_utf8(source)
        .ok()?
        .lines()
        .nth(line as usize - 1)?;
    Some(format!("  {line} | {text}"))
}

pub(crate) fn place_json(place: &Place) -> String {
    format!(
        "\"function\":{},\"pc\":{},\"file\":{},\"line\":{}",
        text_json(&place.function),
        place.pc,
        place.file.as_deref().map_or("null".to_owned(), text_json),
        place
            .line
            .map_or("null".to_owned(), |line| line.to_string())
    )
}

pub(crate) fn failure_json(failure: &Failure) -> String {
    let operands: Vec<String> = failure
        .operands
        .iter()
        .map(|(name, value)| format!("[{},{}]", text_json(name), text_json(value)))
        .collect();
    // A library function has no line of its own: the line is that of the call that led there.
    let known = failure.source_place();
    let place = Place {
        file: known.and_then(|place| place.file.clone()),
        line: known.and_then(|place| place.line),
        ..failure.place.clone()
    };
    let backtrace: Vec<String> = failure
        .backtrace
        .iter()
        .map(|place| format!("{{{}}}", place_json(place)))
        .collect();
    format!(
        "{{\"kind\":\"{}\",\"message\":{},{},\"instruction\":{},\"operands\":[{}],\"backtrace\":[{}],\"backtrace_omitted\":{}}}",
        failure.kind.name(),
        text_json(&failure.message),
        place_json(&place),
        text_json(&failure.instruction),
        operands.join(","),
        backtrace.join(","),
        failure.backtrace_omitted
    )
}

/// What the native tier did, on stderr.
fn report_native(statistics: &JitStatistics) {
    let exits: Vec<String> = statistics
        .exits
        .iter()
        .map(|(reason, count)| format!("{reason:?} {count}"))
        .collect();
    eprintln!(
        "compiled     {} ({} failed), {} bytes, {:.3} ms",
        statistics.compiled,
        statistics.failed,
        statistics.code_bytes,
        statistics.compile_time.as_secs_f64() * 1e3
    );
    eprintln!(
        "native       {} entries; exits: {}",
        statistics.entries,
        exits.join(", ")
    );
}
