//! What ticks cost, and what is left of them for actors that share them with hostile ones.

use std::hint::black_box;
use std::time::{Duration, Instant};

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::world::ProgramId;
use physics_world::source::load_jue;
use physics_world::{ActorId, Datum, World, WorldSettings};
use serde_json::{Value, json};

use crate::median;

const SOURCE: &str = "
(defn spin [] (let loop () (loop)))
(defn parked [] (receive))
(defn park [count] (let loop ((i 0)) (when (< i count) (spawn parked) (loop (+ i 1)))) (receive))
(defn sleeper [] (receive) (spin))
(defn herd [count] (let loop ((i 0)) (when (< i count) (spawn sleeper) (loop (+ i 1)))) (spin))
(defn main [] nil)
";

/// Gas of a tick whose cost is measured, and how many times that the one has which it is compared to.
const SMALL_GAS: u64 = 1_000;
const LARGE: u64 = 16;
/// Hostile actors, and ticks that are looked at.
const HERD: i64 = 1_000_000;
const TICKS: usize = 3_000;

fn world(settings: WorldSettings, threads: usize) -> (World, ProgramId) {
    let performance = PerformanceSettings {
        threads,
        ..PerformanceSettings::default()
    };
    let builder = World::builder().settings(settings).performance(performance);
    let mut world = builder.build().expect("this machine runs native code");
    let program = load_jue(&mut world, "ticks.jue", SOURCE).expect("the programs are right");
    (world, program)
}

fn start(world: &mut World, program: ProgramId, function: &str, arguments: &[i64]) -> ActorId {
    let arguments: Vec<Datum> = arguments.iter().map(|number| Datum::Int(*number)).collect();
    let started = world.spawn_function(program, function, &arguments);
    started.expect("the programs are right")
}

/// Starts a subtree of so many actors that are always busy from now on, and their parent, which is so, too.
fn start_herd(world: &mut World, program: ProgramId, count: i64) {
    let parent = start(world, program, "herd", &[count]);
    while (world.actor_count() as i64) <= count {
        world.run_ticks(1);
    }
    for place in 1..=count as u64 {
        assert!(world.send(ActorId(parent.0 + place), &Datum::Nil));
    }
}

fn gas(world: &World, actor: ActorId) -> u64 {
    world.actor(actor).map_or(0, |view| view.gas)
}

/// Time that one actor takes for so much gas, in ticks of so much.
fn spin_time(idle: i64, tick_gas: u64, all_gas: u64) -> Duration {
    let settings = WorldSettings {
        tick_gas,
        quantum: tick_gas,
        quantum_min: tick_gas,
        ..WorldSettings::default()
    };
    let (mut world, program) = world(settings, 1);
    if idle > 0 {
        start(&mut world, program, "park", &[idle]);
        world.run_to_idle();
        assert_eq!(world.actor_count() as i64, idle + 1);
    }
    let spinner = start(&mut world, program, "spin", &[]);
    // Until it runs in native code.
    world.run_ticks(all_gas / tick_gas / 4);
    let before = gas(&world, spinner);
    let began = Instant::now();
    world.run_ticks(all_gas / tick_gas);
    let time = began.elapsed();
    let used = gas(&world, spinner) - before;
    assert!(
        used.abs_diff(all_gas) < all_gas / 100,
        "{used} of {all_gas}"
    );
    time
}

/// Nanoseconds of a tick beyond the work of its only actor that can run, among so many that cannot.
fn beyond_work(idle: i64, runs: usize) -> f64 {
    let gas = SMALL_GAS * 200_000;
    let once = |_| {
        let small = spin_time(idle, SMALL_GAS, gas);
        let large = spin_time(idle, SMALL_GAS * LARGE, gas);
        small.saturating_sub(large)
    };
    let ticks = gas / SMALL_GAS - gas / SMALL_GAS / LARGE;
    median((0..runs).map(once).collect()).as_nanos() as f64 / ticks as f64
}

/// How much faster two threads run eight actors that are always busy, each for about 100 µs a tick, than one.
fn two_threads() -> f64 {
    let time = |threads| {
        let settings = WorldSettings {
            tick_gas: 8 * 100_000,
            quantum: 100_000,
            quantum_min: 100_000,
            ..WorldSettings::default()
        };
        let (mut world, program) = world(settings, threads);
        start_herd(&mut world, program, 7);
        world.run_ticks(200);
        let began = Instant::now();
        world.run_ticks(1_000);
        began.elapsed()
    };
    time(1).as_secs_f64() / time(2).as_secs_f64()
}

/// How much faster two threads do work that has nothing in common than one does both: what this machine can give now.
fn spinning_pair() -> f64 {
    fn spin() {
        let mut state = 1u64;
        for _ in 0..200_000_000u64 {
            state = black_box(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
        }
    }
    let began = Instant::now();
    spin();
    spin();
    let one = began.elapsed();
    let began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(spin);
        spin();
    });
    one.as_secs_f64() / began.elapsed().as_secs_f64()
}

/// What a million hostile actors in one subtree leave.
struct Hostile {
    p50: Duration,
    p99: Duration,
    worst: Duration,
    /// The part of the gas of all ticks that the only actor of another subtree got.
    share: f64,
    /// The part of the time of all ticks that this would take by itself.
    wall_share: f64,
}

fn hostile(threads: usize) -> Hostile {
    let (mut world, program) = world(WorldSettings::default(), threads);
    start_herd(&mut world, program, HERD);
    let good = start(&mut world, program, "spin", &[]);
    world.run_ticks(200);
    let before = gas(&world, good);
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..TICKS {
        let began = Instant::now();
        world.run_ticks(1);
        times.push(began.elapsed());
    }
    let used = gas(&world, good) - before;
    let all: Duration = times.iter().sum();
    let tick_gas = WorldSettings::default().tick_gas;
    // Gas by itself, to know the time that it takes.
    let alone = spin_time(0, tick_gas, tick_gas * 400).as_secs_f64() / (tick_gas * 400) as f64;
    times.sort();
    Hostile {
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
        worst: times[times.len() - 1],
        share: used as f64 / (tick_gas * times.len() as u64) as f64,
        wall_share: used as f64 * alone / all.as_secs_f64(),
    }
}

/// Measures all of it, and shows it.
pub(crate) fn measure(runs: usize, threads: usize) -> Value {
    let idle = [0, 1_000, 1_000_000].map(|idle| (idle, beyond_work(idle, runs)));
    for (idle, ns) in idle {
        eprintln!("tick beyond its work, {idle:>7} idle actors: {ns:.0} ns");
    }
    let (pair, two) = (spinning_pair(), two_threads());
    eprintln!(
        "two threads, 8 actors of 100 000 gas: {two:.2} x one; a spinning pair now: {pair:.2} x"
    );
    let hostile = hostile(threads);
    eprintln!(
        "{HERD} hostile actors, {threads} threads: tick p50 {:.2?}, p99 {:.2?}, worst {:.2?}; another subtree has {:.0} % of the gas, {:.0} % \
         of the time (its share is 50 %)",
        hostile.p50,
        hostile.p99,
        hostile.worst,
        hostile.share * 100.0,
        hostile.wall_share * 100.0,
    );
    json!({
        "tick_ns_beyond_work": idle.map(|(idle, ns)| json!({"idle": idle, "ns": ns})),
        "two_threads": two,
        "spinning_pair": pair,
        "hostile": {
            "p50_ms": hostile.p50.as_secs_f64() * 1e3,
            "p99_ms": hostile.p99.as_secs_f64() * 1e3,
            "worst_ms": hostile.worst.as_secs_f64() * 1e3,
            "gas_share": hostile.share,
            "wall_share": hostile.wall_share,
        },
    })
}
