//! How a world runs to the end of its first actor, and what is told of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use physics_world::jit::failure::Place;
use physics_world::jit::fiber::arena::{Arena, Statistics};
use physics_world::jit::fiber::parcel::Parcel;
use physics_world::jit::heap::Heap;
use physics_world::jit::memo::{Memo, MemoSettings, MemoStatistics};
use physics_world::jit::optimize::{PerformanceOptimizer, PerformanceSettings};
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::tier::{Jit, JitSettings, JitStatistics};
use physics_world::jit::{CodeSpace, Value};
use physics_world::json::{text_json, value_json};
use physics_world::runtime::actor::{End, EndReason};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::Stopped;
use physics_world::source::BadInput;
use physics_world::{ActorId, World, WorldSettings};
use serde_json::json;

use crate::failure::{complain, failure_json, place_json};
use crate::feed::Feed;
use crate::hibernating::{Hibernating, hibernation_json, hibernation_text, lost};
use crate::input;
use crate::native::{NativeOptions, milliseconds, statistics_json, statistics_text};

/// How long a world that is fed waits before it looks whether it was interrupted.
const FEED_WAIT: Duration = Duration::from_millis(20);

/// How a world runs, and what is told of it: what several subcommands take.
#[derive(Args)]
pub(crate) struct Way {
    /// What executes programs.
    #[arg(long, value_enum, default_value_t = Tier::Auto)]
    tier: Tier,
    #[command(flatten)]
    native: NativeOptions,
    /// Threads that run actors; without this, one. What the world does is the same with any number.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Stop after so many ticks.
    #[arg(long, value_name = "N")]
    ticks: Option<u64>,
    /// The most gas that an actor uses in one tick while others wait for their turn.
    #[arg(long, value_name = "GAS", value_parser = clap::value_parser!(u64).range(1..))]
    quantum: Option<u64>,
    #[command(flatten)]
    hibernating: Hibernating,
    /// Say on stderr what happens in the world: actors started and ended, messages, decisions, ticks.
    #[arg(long)]
    trace: bool,
    /// Print the hash of everything that happened: equal for equal runs, with any number of threads, in every tier.
    #[arg(long)]
    trajectory: bool,
    /// Do not run calls of pure functions again that were made before with the same numbers, truth values
    /// and constant texts. Results, gas and limits stay the same; it pays where such calls take long and
    /// come again. Functions for which it does not pay are left alone.
    #[arg(long)]
    memo: bool,
    /// Settings of the compiler, of what is remembered and of memory, as JSON; what is left out is as by
    /// default. `{"jit": {"threshold": 100}, "memo": {"max_cache_size": 1000}}`
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Report gas, time, allocations, collections, peak memory of the first actor, what the world did, and what the
    /// native tier and memoisation did, on stderr.
    #[arg(long)]
    pub(crate) stats: bool,
    /// Print one JSON object on stdout; what the program prints goes to stderr.
    #[arg(long)]
    pub(crate) json: bool,
    /// Each line of stdin is a question to the first actor: its number, from 1, a space, and a text. The number and the reply are
    /// printed when both are as durable as the history of the world is. A line that is said again, also after `pw recover`, is not
    /// heard twice. The world ends with stdin.
    #[arg(long)]
    feed: bool,
    /// Go on with this session of `--feed`, as an earlier run has named it.
    #[arg(long, value_name = "N", requires = "feed")]
    session: Option<u64>,
}

/// A way to execute programs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
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
pub(crate) struct Finished {
    outcome: Outcome,
    world: World,
    time: Duration,
    native: Option<JitStatistics>,
    memo: Option<Memoised>,
}

/// What came of the first actor.
enum Outcome {
    Ended(End),
    /// It has not ended, for this reason; where it waits, if it does.
    Stopped(String, Option<Place>),
    /// There is nothing more to tell it.
    FedUp,
    /// The world has halted, for this reason.
    Halted(String),
}

/// What memoisation did.
struct Memoised {
    statistics: MemoStatistics,
    /// Names of the functions for which it did not pay.
    switched_off: Vec<String>,
}

impl Way {
    /// The world that the program runs in.
    pub(crate) fn world(&self, name: &str) -> Result<World, BadInput> {
        let settings = WorldSettings {
            quantum: self.quantum.unwrap_or(WorldSettings::default().quantum),
            quantum_min: self
                .quantum
                .map_or(WorldSettings::default().quantum_min, |quantum| {
                    quantum.min(WorldSettings::default().quantum_min)
                }),
            ..WorldSettings::default()
        };
        let to_stderr = self.json;
        let print = HostFunction::output("print", move |call| {
            let text = format!("{}\n", call.text());
            if to_stderr {
                crate::note::write(&text);
            } else {
                input::say(&text);
            }
        });
        let builder = World::builder()
            .settings(settings)
            .host(print.needing("io-console"));
        let builder = if self.trajectory {
            builder.trajectory()
        } else {
            builder
        };
        let builder = if self.tier == Tier::Reference {
            builder.reference()
        } else {
            builder
        };
        let builder = self.hibernating.set_up(builder)?;
        let built = builder.build_with(self.optimizer(name)?);
        let mut world = built.map_err(|error| BadInput::new(format!("{name}: {error}")))?;
        if self.trace {
            world.observe(|event| note!("{event}"));
        }
        Ok(world)
    }

    /// What makes programs fast.
    fn optimizer(&self, name: &str) -> Result<PerformanceOptimizer, BadInput> {
        let given = self.given_settings()?;
        let jit = given.jit.unwrap_or_default();
        let jit = match self.tier {
            Tier::Reference if self.memo || self.settings.is_some() => {
                let reason =
                    "--memo and --settings are about the faster tiers, not about --tier reference";
                return Err(BadInput::new(format!("{name}: {reason}")));
            }
            Tier::Reference | Tier::Interp if self.native.is_given() => {
                let reason = "--jit-log, --perf and --code-cache are about native code: --tier auto or jit has some";
                return Err(BadInput::new(format!("{name}: {reason}")));
            }
            Tier::Reference | Tier::Interp => None,
            Tier::Auto if given.jit.is_none() && self.native.is_given() => {
                let reason = "the settings say that there is no native code to tell about";
                return Err(BadInput::new(format!("{name}: {reason}")));
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
            threads: usize::from(self.threads),
            ..given
        };
        self.native.optimizer(settings)
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

    /// Runs a world until its first actor ends.
    pub(crate) fn finish(&self, mut world: World, first: ActorId) -> Finished {
        let start = Instant::now();
        let mut outcome = self.run_to_end(&mut world, first);
        if let Some(reason) = lost(&world) {
            outcome = Outcome::Stopped(reason, None);
        } else if let Err(error) = world.checkpoint() {
            let reason = format!("its history cannot be kept: {error}");
            outcome = Outcome::Stopped(reason, None);
        }
        let time = start.elapsed();
        Finished {
            native: world.profile().native().map(Jit::statistics),
            memo: world
                .profile()
                .memo()
                .map(|memo| memoised(memo, world.code())),
            outcome,
            world,
            time,
        }
    }

    fn run_to_end(&self, world: &mut World, first: ActorId) -> Outcome {
        let interrupted = Arc::new(AtomicBool::new(false));
        if self.trace || self.trajectory || self.ticks.is_some() || world.keeps_history() {
            // What was asked for is told also when the run is interrupted, and a history ends with a checkpoint.
            let _ =
                signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted));
        }
        let feed = self.feed.then(|| Feed::begin(world, first, self.session));
        loop {
            // It stays part of the state: who recovers the world is told of it, too.
            if let Some(end) = world.end_of(first) {
                return Outcome::Ended(end.clone());
            }
            if self.ticks.is_some_and(|ticks| world.ticks() >= ticks) {
                let reason = format!("it has not ended after {} ticks", world.ticks());
                return Outcome::Stopped(reason, world.place_of(first));
            }
            if interrupted.load(Ordering::Relaxed) {
                return Outcome::Stopped("it was interrupted".to_owned(), world.place_of(first));
            }
            if let Some(reason) = world.halted() {
                return Outcome::Halted(reason.to_owned());
            }
            if let Some(error) = world.history_error() {
                let reason = format!("its history cannot be kept: {error}");
                return Outcome::Stopped(reason, None);
            }
            if let Some(reason) = lost(world) {
                return Outcome::Stopped(reason, None);
            }
            if world.run_ticks(1) == Stopped::Ticks {
                continue;
            }
            match &feed {
                Some(feed) if feed.is_over() => return Outcome::FedUp,
                Some(_) => world.wait(FEED_WAIT),
                None => break,
            }
        }
        match world.end_of(first) {
            Some(end) => Outcome::Ended(end.clone()),
            None => Outcome::Stopped(
                "it waits, and nobody can run who could wake it".to_owned(),
                world.place_of(first),
            ),
        }
    }

    /// Says what came of it.
    pub(crate) fn conclude(&self, finished: &Finished, source: &[u8]) -> ExitCode {
        self.report(finished, source);
        match &finished.outcome {
            Outcome::Ended(end) if end.reason.is_normal() => ExitCode::SUCCESS,
            Outcome::FedUp => ExitCode::SUCCESS,
            Outcome::Halted(_) => ExitCode::from(input::WORLD_HALTED),
            _ => ExitCode::from(input::PROGRAM_FAILED),
        }
    }

    fn report(&self, finished: &Finished, source: &[u8]) {
        let code = finished.world.code();
        match &finished.outcome {
            Outcome::Ended(end) => match &end.reason {
                EndReason::Done(value) if self.json => {
                    let value = with_value(code, value, value_json);
                    input::say(&format!(
                        "{{\"result\":{value},\"gas\":{}{}}}\n",
                        end.gas,
                        self.extra_json(finished, end)
                    ));
                }
                EndReason::Done(value) => {
                    let text = with_value(code, value, |heap, value| {
                        value_text(heap, value, Style::Quoted)
                    });
                    input::say(&format!("{text}\n"));
                }
                EndReason::Failed(failure) if self.json => {
                    let error = failure_json(failure);
                    input::say(&format!(
                        "{{\"error\":{error},\"gas\":{}{}}}\n",
                        failure.gas,
                        self.extra_json(finished, end)
                    ));
                }
                EndReason::Failed(failure) => complain(failure, source),
                EndReason::Killed | EndReason::Linked { .. } => {
                    self.report_stopped(&format!("it ended: {}", end.reason), None);
                }
            },
            Outcome::Stopped(reason, place) => self.report_stopped(reason, place.as_ref()),
            Outcome::Halted(reason) => self.report_stopped(
                &format!("{reason}: `pw inspect --inputs`, `pw recover --without`"),
                None,
            ),
            Outcome::FedUp => {}
        }
        if self.stats && !self.json {
            crate::note::write(&stats_text(finished));
        }
        if let (Some(hash), false) = (finished.world.trajectory(), self.json) {
            note!("trajectory   {hash}");
        }
    }

    /// The first actor has neither a value nor an error.
    fn report_stopped(&self, reason: &str, place: Option<&Place>) {
        let message = format!("the first actor has no value: {reason}");
        if self.json {
            let place = place.map_or(String::new(), |place| format!(",{}", place_json(place)));
            let message = text_json(&message);
            input::say(&format!(
                "{{\"error\":{{\"kind\":\"Stopped\",\"message\":{message}{place}}}}}\n"
            ));
            return;
        }
        note!("Stopped: {message}");
        if let Some(place) = place {
            note!("  in {place}");
        }
    }

    /// What was asked for beside the result.
    fn extra_json(&self, finished: &Finished, end: &End) -> String {
        let trajectory = finished.world.trajectory();
        let trajectory =
            trajectory.map_or(String::new(), |hash| format!(",\"trajectory\":\"{hash}\""));
        if !self.stats {
            return trajectory;
        }
        let Statistics {
            allocations,
            allocated_bytes,
            collections,
            peak_bytes,
        } = end.memory;
        let native = finished.native.as_ref().map_or(String::new(), |native| {
            format!(",\"native\":{}", statistics_json(native, finished.time))
        });
        let memo = finished.memo.as_ref();
        let memo = memo.map_or(String::new(), |memo| format!(",\"memo\":{}", memo.json()));
        let of_world = finished.world.statistics();
        let of_world = json!({
            "ticks": finished.world.ticks(),
            "turns": of_world.slices,
            "started": of_world.started,
            "ended": of_world.ended,
            "delivered": of_world.delivered,
            "dead_letters": of_world.dead_letters,
            "hibernation": hibernation_json(finished.world.hibernation().as_ref()),
        });
        format!(
            "{trajectory},\"stats\":{{\"time_ms\":{:.3},\"allocations\":{allocations},\"allocated_bytes\":{allocated_bytes},\
             \"collections\":{collections},\"peak_bytes\":{peak_bytes},\"world\":{of_world}{native}{memo}}}",
            milliseconds(finished.time)
        )
    }
}

/// What a function makes of a value that has left its actor.
fn with_value(
    code: &CodeSpace,
    value: &Parcel,
    make: impl FnOnce(Heap<'_>, Value) -> String,
) -> String {
    let mut arena = Arena::new();
    let value = value.unpack(code, &mut arena);
    let heap = Heap {
        arena: &arena,
        code,
    };
    make(heap, value)
}

fn stats_text(finished: &Finished) -> String {
    let native = finished.native.as_ref().map_or(String::new(), |native| {
        statistics_text(native, finished.time)
    });
    let memo = finished.memo.as_ref().map_or(String::new(), Memoised::text);
    let first = match &finished.outcome {
        Outcome::Ended(end) => format!(
            "gas          {}\nallocations  {}, {} bytes\ncollections  {}\npeak memory  {} bytes\n",
            end.gas,
            end.memory.allocations,
            end.memory.allocated_bytes,
            end.memory.collections,
            end.memory.peak_bytes
        ),
        Outcome::Stopped(..) | Outcome::Halted(_) | Outcome::FedUp => String::new(),
    };
    let of_world = finished.world.statistics();
    let hibernation = hibernation_text(finished.world.hibernation().as_ref());
    let hibernation = hibernation.map_or(String::new(), |text| format!("hibernation  {text}\n"));
    format!(
        "{first}time         {:.3} ms\nworld        {} ticks, {} turns, {} actors started, {} messages, {} dead letters\n{hibernation}{native}{memo}",
        milliseconds(finished.time),
        finished.world.ticks(),
        of_world.slices,
        of_world.started,
        of_world.delivered,
        of_world.dead_letters,
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
