//! `pw run`: runs a program to its end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use physics_world::jit::failure::{Failure, Place};
use physics_world::jit::fiber::arena::Statistics;
use physics_world::jit::host::Host;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::memo::{Memo, MemoSettings, MemoStatistics};
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::reference::{self, Outcome};
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::tier::{Jit, JitSettings, JitStatistics};
use physics_world::jit::{CodeSpace, Fiber, Value};
use physics_world::json::{text_json, value_json};
use physics_world::solo::Solo;
use physics_world::source::{BadInput, FileKind};
use serde_json::json;

use crate::native::{NativeOptions, milliseconds, statistics_json, statistics_text};
use crate::subject::Subject;
use crate::{input, vector};

/// Run a program. The last line of stdout is its value in Jue's notation.
///
/// Examples:
///   pw run examples/fib.jue 25
///   pw run --stats --jit-log program.jue
///   pw run --stats --memo program.jue, where pure functions are called again and again
///   perf record pw run --perf map program.jue, and then: perf report
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Run {
    #[command(flatten)]
    subject: Subject,
    /// What executes the program.
    #[arg(long, value_enum, default_value_t = Tier::Auto)]
    tier: Tier,
    #[command(flatten)]
    native: NativeOptions,
    /// Do not run calls of pure functions again that were made before with the same numbers, truth values
    /// and constant texts. Results, gas and limits stay the same; it pays where such calls take long and
    /// come again. Functions for which it does not pay are left alone.
    #[arg(long)]
    memo: bool,
    /// Settings of the compiler, of what is remembered and of memory, as JSON; what is left out is as by
    /// default. `{"jit": {"threshold": 100}, "memo": {"max_cache_size": 1000}}`
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Report gas, time, allocations, collections, peak memory and what the native tier and memoisation did
    /// on stderr.
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
    /// The fast interpreter, and native code for what is hot, compiled by a thread meanwhile.
    Auto,
    /// The same, but everything is hot from the start, and the program waits for the compiler.
    Jit,
}

/// A program that has run.
struct Finished {
    outcome: Result<Value, Box<Failure>>,
    fiber: Fiber,
    code: CodeSpace,
    time: Duration,
    native: Option<JitStatistics>,
    memo: Option<Memoised>,
}

/// What memoisation did.
struct Memoised {
    statistics: MemoStatistics,
    /// Names of the functions for which it did not pay.
    switched_off: Vec<String>,
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
        let mut profile = self.profile()?;
        let (code, mut fiber) = self.subject.begin(kind, bytes)?;
        let start = Instant::now();
        let outcome = if self.json {
            let host = &mut Solo::new(std::io::stderr());
            self.finish(&mut fiber, &code, host, &mut profile)
        } else {
            let host = &mut Solo::new(std::io::stdout());
            self.finish(&mut fiber, &code, host, &mut profile)
        };
        let time = start.elapsed();
        Ok(Finished {
            native: profile.native().map(Jit::statistics),
            memo: profile.memo().map(|memo| memoised(memo, &code)),
            outcome,
            fiber,
            code,
            time,
        })
    }

    /// What the tier learns with.
    fn profile(&self) -> Result<Profile, BadInput> {
        let given = self.given_settings()?;
        let jit = given.jit.unwrap_or_default();
        let jit = match self.tier {
            Tier::Reference if self.memo || self.settings.is_some() => {
                let reason =
                    "--memo and --settings are about the faster tiers, not about --tier reference";
                return Err(BadInput::new(format!("{}: {reason}", self.subject.name())));
            }
            Tier::Reference | Tier::Interp if self.native.is_given() => {
                let reason = "--jit-log, --perf and --code-cache are about native code: --tier auto or jit has some";
                return Err(BadInput::new(format!("{}: {reason}", self.subject.name())));
            }
            Tier::Reference | Tier::Interp => None,
            Tier::Auto if given.jit.is_none() && self.native.is_given() => {
                let reason = "the settings say that there is no native code to tell about";
                return Err(BadInput::new(format!("{}: {reason}", self.subject.name())));
            }
            Tier::Auto => given.jit,
            Tier::Jit => Some(jit.made_eager()),
        };
        let settings = PerformanceSettings {
            jit: jit.map(|jit| JitSettings {
                timed: self.stats,
                ..jit
            }),
            memo: given.memo.or(self.memo.then(MemoSettings::default)),
            ..given
        };
        Ok(self.native.optimizer(settings)?.worker())
    }

    /// The settings of the file, or those by default.
    fn given_settings(&self) -> Result<PerformanceSettings, BadInput> {
        let Some(path) = &self.settings else {
            return Ok(PerformanceSettings::default());
        };
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| BadInput::new(format!("--settings: {name}: {error}")))?;
        serde_json::from_str(&text).map_err(|error| {
            BadInput::new(format!(
                "--settings: {name}: {error}; there are jit, memo, memory and threads"
            ))
        })
    }

    fn finish(
        &self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        host: &mut impl Host,
        profile: &mut Profile,
    ) -> Result<Value, Box<Failure>> {
        let outcome = match self.tier {
            Tier::Reference => reference::run(fiber, code, host, u64::MAX),
            Tier::Interp | Tier::Auto | Tier::Jit => {
                interp::run(fiber, code, host, profile, u64::MAX)
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
        let native = finished.native.as_ref().map_or(String::new(), |native| {
            format!(",\"native\":{}", statistics_json(native, finished.time))
        });
        let memo = finished.memo.as_ref();
        let memo = memo.map_or(String::new(), |memo| format!(",\"memo\":{}", memo.json()));
        format!(
            ",\"stats\":{{\"time_ms\":{:.3},\"allocations\":{allocations},\"allocated_bytes\":{allocated_bytes},\
             \"collections\":{collections},\"peak_bytes\":{peak_bytes}{native}{memo}}}",
            milliseconds(finished.time)
        )
    }
}

fn stats_text(finished: &Finished) -> String {
    let statistics = finished.fiber.arena().statistics();
    let native = finished.native.as_ref().map_or(String::new(), |native| {
        statistics_text(native, finished.time)
    });
    let memo = finished.memo.as_ref().map_or(String::new(), Memoised::text);
    format!(
        "gas          {}\ntime         {:.3} ms\nallocations  {}, {} bytes\ncollections  {}\npeak memory  {} bytes\n{native}{memo}",
        finished.fiber.gas_used(),
        milliseconds(finished.time),
        statistics.allocations,
        statistics.allocated_bytes,
        statistics.collections,
        statistics.peak_bytes
    )
}

fn memoised(memo: &Memo, code: &CodeSpace) -> Memoised {
    let names = memo
        .switched_off()
        .map(|(program, function)| code.program(program).program().function_name(function));
    Memoised {
        statistics: memo.statistics(),
        switched_off: names.collect(),
    }
}

impl Memoised {
    fn text(&self) -> String {
        let statistics = &self.statistics;
        let mut out = format!(
            "memo         {} hits of {} calls ({:.1} %), {} gas not run; {} results of {} functions\n",
            statistics.hits,
            statistics.lookups,
            statistics.hit_rate() * 100.0,
            statistics.gas,
            statistics.results,
            statistics.functions,
        );
        if !self.switched_off.is_empty() {
            let names = self.switched_off.join(", ");
            out += &format!("             did not pay, switched off: {names}\n");
        }
        out
    }

    fn json(&self) -> serde_json::Value {
        let statistics = &self.statistics;
        json!({
            "lookups": statistics.lookups,
            "hits": statistics.hits,
            "misses": statistics.lookups - statistics.hits,
            "hit_rate": statistics.hit_rate(),
            "gas_not_run": statistics.gas,
            "results": statistics.results,
            "switched_off": self.switched_off,
        })
    }
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
