//! Programs of many actors that state what comes of them, run in every mode: one program, one truth.
//!
//! A program is a file below `tests/worlds`, with a head like those of `tests/programs`; what it states is about its first
//! actor, and about the world:
//!
//! ```text
//! ;> prints hello              one for each printed line
//! ;> result (1 2 3)            the value of the first actor …
//! ;> error Kind: message       … or its error, or `waits` when the world became idle before it ended
//! ;> gas 1234                  gas that it used
//! ;> ticks 17                  ticks that the world took
//! ```
//!
//! Each runs with the settings by default and with slices so short that everything is cut in the middle, round robin and by
//! priorities that change all the time; in each, all modes have the trajectory of the reference interpreter on one thread.
//!
//! | command | what it does |
//! |---|---|
//! | `PW_PROGRAM=ring cargo test --test worlds` | programs whose names contain this |
//! | `PW_CHAOS=500 cargo test --release --test worlds chaos` | so many seeds of the program in which actors do anything |
//! | `PW_BLESS=1 cargo test --test worlds` | writes what was observed into the files. Read the difference before you commit it |

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use physics_world::isa::verify::verify;
use physics_world::jit::fiber::arena::Arena;
use physics_world::jit::heap::Heap;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::tier::JitSettings;
use physics_world::runtime::actor::{End, EndReason};
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::hibernation::HibernationSettings;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::inspect::InterventionError;
use physics_world::runtime::journal::Durability;
use physics_world::runtime::schedule::SchedulingPolicy;
use physics_world::runtime::world::{HistorySettings, WorldBuilder};
use physics_world::{Datum, World, WorldSettings};
use support::program_file::{self, Case, ProgramFile};

/// Ticks after which a world counts as one that never ends.
const TICKS_MAX: u64 = 1_000_000;

/// Ticks that a world runs when its first actor has ended.
const TICKS_AFTER: u64 = 50;

/// A way to run a world.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    jit: Option<fn() -> JitSettings>,
    reference: bool,
    threads: usize,
    /// Ticks between which fibers are replaced by their images; 0 for never.
    images: u64,
    /// Whether all actors are profiled.
    profiled: bool,
    /// Ticks after which the process of the world ends for the first time, as it were, and another recovers it; 0 for never.
    crashes: u64,
    /// Bytes of objects from which on an actor is captured page by page.
    paged_bytes: u64,
    /// Ticks after which actors that wait hibernate, if they do.
    hibernates: Option<u64>,
}

const REFERENCE: Mode = Mode {
    name: "reference",
    jit: None,
    reference: true,
    threads: 1,
    images: 0,
    profiled: false,
    crashes: 0,
    paged_bytes: u64::MAX,
    hibernates: None,
};
const INTERPRETER: Mode = Mode {
    name: "interpreter",
    reference: false,
    ..REFERENCE
};

fn eager() -> JitSettings {
    JitSettings::default().made_eager()
}

/// Everything but the reference on one thread.
const MODES: [Mode; 15] = [
    INTERPRETER,
    Mode {
        name: "interpreter, 2 threads",
        threads: 2,
        ..INTERPRETER
    },
    Mode {
        name: "reference, 4 threads, images",
        threads: 4,
        images: 3,
        ..REFERENCE
    },
    Mode {
        name: "interpreter, 8 threads",
        threads: 8,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, 2 threads, profiled",
        threads: 2,
        profiled: true,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, images",
        images: 1,
        ..INTERPRETER
    },
    Mode {
        name: "native",
        jit: Some(eager),
        ..INTERPRETER
    },
    Mode {
        name: "native, 2 threads, images",
        jit: Some(eager),
        threads: 2,
        images: 5,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, recovered",
        crashes: 7,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, recovered from pages",
        crashes: 7,
        paged_bytes: 0,
        ..INTERPRETER
    },
    Mode {
        name: "native, 2 threads, recovered from pages",
        jit: Some(eager),
        threads: 2,
        crashes: 11,
        paged_bytes: 0,
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, hibernated at once",
        hibernates: Some(0),
        ..INTERPRETER
    },
    Mode {
        name: "native, 2 threads, images, hibernated",
        jit: Some(eager),
        threads: 2,
        images: 17,
        hibernates: Some(1),
        ..INTERPRETER
    },
    Mode {
        name: "interpreter, recovered, hibernated",
        crashes: 9,
        hibernates: Some(0),
        ..INTERPRETER
    },
    Mode {
        name: "native in background, 4 threads",
        jit: Some(JitSettings::default),
        threads: 4,
        ..INTERPRETER
    },
];

/// Settings by default, and such that everything is cut in the middle; under both policies.
fn settings() -> [WorldSettings; 4] {
    let settings = WorldSettings {
        alone_gas: 0,
        ..WorldSettings::default()
    };
    let cut = WorldSettings {
        quantum: 97,
        quantum_min: 13,
        tick_gas: 1_009,
        lease_first: 1,
        ..settings
    };
    let by_priority = |settings| WorldSettings {
        policy: SchedulingPolicy::Priority,
        ageing_ticks: 1,
        ..settings
    };
    [settings, cut, by_priority(settings), by_priority(cut)]
}

/// What a run showed.
#[derive(PartialEq, Eq)]
struct Observed {
    lines: Vec<String>,
    trajectory: String,
}

static PROGRAMS: LazyLock<Vec<ProgramFile>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds");
    let filter = std::env::var("PW_PROGRAM").unwrap_or_default();
    program_file::find(&folder, &filter)
});

/// Times that actors of any world went to the file and came back.
static STORED: AtomicU64 = AtomicU64::new(0);
static RETURNED: AtomicU64 = AtomicU64::new(0);

/// What was printed, by the number of the output: one that leaves once more after a recovery says the same.
type Printed = Arc<Mutex<BTreeMap<u64, String>>>;

fn builder(mode: Mode, settings: WorldSettings, printed: &Printed) -> WorldBuilder {
    let printed = Arc::clone(printed);
    let builder = World::builder()
        .settings(settings)
        .trajectory()
        .performance(PerformanceSettings {
            jit: mode.jit.map(|settings| settings()),
            threads: mode.threads,
            ..PerformanceSettings::default()
        })
        .host(
            HostFunction::output("print", move |call| {
                let before = printed.lock().unwrap().insert(call.number(), call.text());
                assert!(before.is_none_or(|before| before == call.text()));
            })
            .needing("io-console"),
        )
        .host(HostFunction::pure("double", |arguments| match arguments {
            [Datum::Int(value)] => Ok(Datum::Int(value * 2)),
            _ => panic!("double takes one number"),
        }))
        .host(
            HostFunction::call("ask-outside", |_, arguments| {
                Ok(Datum::List(vec![
                    Datum::symbol("answer"),
                    arguments.into_iter().next().unwrap_or(Datum::Nil),
                ]))
            })
            .needing("io-network"),
        );
    let builder = match mode.hibernates {
        None => builder,
        Some(after_ticks) => {
            let settings = HibernationSettings {
                after_ticks,
                segment_bytes: 2_000,
                ..HibernationSettings::default()
            };
            let disk = Arc::new(MemoryDisk::default());
            builder.hibernate(disk, settings).unwrap()
        }
    };
    if mode.reference {
        builder.reference()
    } else {
        builder
    }
}

/// A world whose history is kept in memory, with checkpoints all the time.
fn kept(builder: WorldBuilder, disk: &MemoryDisk, paged_bytes: u64) -> World {
    let settings = HistorySettings {
        durability: Durability::Memory,
        checkpoint_ticks: 5,
        checkpoints_kept: 2,
        increments: 2,
        horizon_ticks: 3,
        capture_bytes: 300,
        paged_bytes,
        segment_bytes: 2_000,
        ..HistorySettings::default()
    };
    builder.keep(Arc::new(disk.clone()), settings).unwrap().0
}

fn run(file: &ProgramFile, case: &Case, mode: Mode, settings: WorldSettings) -> Observed {
    let printed = Printed::default();
    let begin = || builder(mode, settings, &printed);
    let mut disk = MemoryDisk::default();
    let mut world = if mode.crashes > 0 {
        kept(begin(), &disk, mode.paged_bytes)
    } else {
        begin().build().unwrap()
    };
    let program = verify(file.program.clone()).unwrap();
    let program = world.load(program);
    let arguments: Vec<Datum> = case.arguments.iter().map(|text| argument(text)).collect();
    let first = world.spawn(program, &arguments).unwrap();
    world.flush().unwrap();
    let mut end = None;
    let mut crashed_at = 0;
    while end.is_none() && world.ticks() < TICKS_MAX {
        // Ever more rarely, so that long programs come to their ends.
        if mode.crashes > 0 && world.ticks() >= crashed_at + mode.crashes + crashed_at / 4 {
            crashed_at = world.ticks();
            disk = disk.copy();
            drop(world);
            world = kept(begin(), &disk, mode.paged_bytes);
        }
        if mode.images > 0 && world.ticks().is_multiple_of(mode.images) {
            world.renew_from_images().unwrap();
        }
        if mode.profiled {
            profile_all(&mut world);
        }
        if settings.policy == SchedulingPolicy::Priority {
            prioritize(&mut world);
        }
        if world.run_ticks(1) == physics_world::runtime::world::Stopped::Idle {
            break;
        }
        end = world.take_end(first);
    }
    world.flush().unwrap();
    assert!(world.ticks() < TICKS_MAX, "{} does not end", file.name);
    if let Some(hibernation) = world.hibernation() {
        STORED.fetch_add(hibernation.stored, Ordering::Relaxed);
        RETURNED.fetch_add(hibernation.returned, Ordering::Relaxed);
        // What is needed, as much again, the segment that is written, and the last tick's.
        let most = 2 * hibernation.live_bytes + 2 * 2_000 + (64 << 10);
        assert!(hibernation.file_bytes <= most, "{hibernation:?}");
    }
    let mut lines: Vec<String> = printed
        .lock()
        .unwrap()
        .values()
        .flat_map(|text| text.split('\n'))
        .map(|line| format!("prints {line}"))
        .collect();
    lines.extend(shown(&world, end.as_ref()));
    lines.push(format!("ticks {}", world.ticks()));
    // What the others do when the first has ended counts, too.
    world.run_ticks(TICKS_AFTER);
    Observed {
        lines,
        trajectory: world.trajectory().unwrap().to_string(),
    }
}

/// Gives some actors other priorities, and some a boost: which, and what, follows from the tick.
fn prioritize(world: &mut World) {
    let tick = world.ticks();
    for actor in world.actors() {
        let lot = (actor.id.0 + tick).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let mut scheduler = world.scheduler();
        let done = match lot % 16 {
            0 => scheduler.set_priority(actor.id, (lot >> 8) as u8),
            1 => scheduler.set_boost(actor.id, u32::from((lot >> 8) as u8)),
            _ => continue,
        };
        // It may have ended, with messages that wait for room.
        assert!(matches!(done, Ok(()) | Err(InterventionError::Ended(_))));
    }
}

/// Begins to profile the actors that are not profiled yet.
fn profile_all(world: &mut World) {
    for actor in world.actors() {
        if world.actor_profile(actor.id).is_none() {
            assert!(world.start_profile(actor.id));
        }
    }
}

fn argument(text: &str) -> Datum {
    text.parse().map_or_else(|_| Datum::from(text), Datum::Int)
}

fn shown(world: &World, end: Option<&End>) -> Vec<String> {
    let Some(end) = end else {
        return vec!["waits".to_owned()];
    };
    let outcome = match &end.reason {
        EndReason::Done(value) => {
            let mut arena = Arena::new();
            let value = value.unpack(world.code(), &mut arena);
            let heap = Heap {
                arena: &arena,
                code: world.code(),
            };
            format!("result {}", value_text(heap, value, Style::Quoted))
        }
        EndReason::Failed(failure) => {
            format!("error {}: {}", failure.kind.name(), failure.message)
        }
        EndReason::Killed => "killed".to_owned(),
        EndReason::Linked { to, .. } => format!("ended with actor {to}"),
    };
    vec![outcome, format!("gas {}", end.gas)]
}

#[test]
fn worlds_do_what_they_state() {
    let bless = std::env::var("PW_BLESS").is_ok();
    let mut wrong = Vec::new();
    for file in PROGRAMS.iter() {
        let found: Vec<Vec<String>> = file
            .cases
            .iter()
            .map(|case| run(file, case, REFERENCE, settings()[0]).lines)
            .collect();
        if bless {
            file.bless(&found);
            continue;
        }
        for (case, found) in file.cases.iter().zip(found) {
            if case.expected != found {
                let (stated, found) = (case.expected.join("\n"), found.join("\n"));
                wrong.push(format!(
                    "{}\n-- stated\n{stated}\n-- found\n{found}",
                    file.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_mode_has_the_same_trajectory_in_whole_turns() {
    every_mode_has_the_same_trajectory(0);
}

#[test]
fn every_mode_has_the_same_trajectory_in_turns_that_are_cut() {
    every_mode_has_the_same_trajectory(1);
}

/// With half of the settings, beginning with one of the first two.
fn every_mode_has_the_same_trajectory(first: usize) {
    let mut wrong = Vec::new();
    for file in PROGRAMS.iter() {
        let cases = file.cases.iter();
        let all = cases.flat_map(|case| {
            let settings = settings().into_iter().skip(first).step_by(2);
            settings.map(move |settings| (case, settings))
        });
        for (case, settings) in all {
            let known = run(file, case, REFERENCE, settings);
            for mode in MODES {
                let found = run(file, case, mode, settings);
                if found != known {
                    wrong.push(format!(
                        "{} in mode `{}`, quantum {}\n-- reference\n{}\n{}\n-- found\n{}\n{}",
                        file.name,
                        mode.name,
                        settings.quantum,
                        known.lines.join("\n"),
                        known.trajectory,
                        found.lines.join("\n"),
                        found.trajectory,
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let (stored, returned) = (
        STORED.load(Ordering::Relaxed),
        RETURNED.load(Ordering::Relaxed),
    );
    let is_filtered = std::env::var("PW_PROGRAM").is_ok();
    assert!(
        is_filtered || (stored > 1_000 && returned > 1_000),
        "{stored} stored, {returned} returned"
    );
}

/// Seeds of `chaos.jue` in every mode, unless `PW_CHAOS` says how many.
const SEEDS: u64 = 12;

#[test]
fn chaos_takes_the_same_course_in_every_mode() {
    let Some(file) = PROGRAMS.iter().find(|file| file.name == "chaos.jue") else {
        // Another program was asked for.
        return;
    };
    let seeds = std::env::var("PW_CHAOS").ok();
    let seeds = seeds.map_or(SEEDS, |seeds| seeds.parse().expect("PW_CHAOS is a number"));
    for seed in 0..seeds {
        let fuel = 40 + seed * 7 % 300;
        let mut case = file.cases[0].clone();
        case.arguments = vec![(1_000 + seed).to_string(), fuel.to_string()];
        let all = settings();
        let settings = all[seed as usize % all.len()];
        let known = run(file, &case, REFERENCE, settings);
        for mode in MODES {
            let found = run(file, &case, mode, settings);
            assert!(
                found == known,
                "seed {}, fuel {fuel}, mode `{}`, quantum {}:\n{}\n{}\nfound\n{}\n{}",
                1_000 + seed,
                mode.name,
                settings.quantum,
                known.lines.join("\n"),
                known.trajectory,
                found.lines.join("\n"),
                found.trajectory
            );
        }
    }
}
