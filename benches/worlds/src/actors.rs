//! The programs in this engine.

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::world::ProgramId;
use physics_world::source::load_jue;
use physics_world::{ActorId, Datum, World};

use crate::{Case, resident_bytes};

const SOURCE: &str = include_str!("../programs/worlds.jue");

fn world(threads: usize) -> (World, ProgramId) {
    let performance = PerformanceSettings {
        threads,
        ..PerformanceSettings::default()
    };
    let builder = World::builder().performance(performance);
    let mut world = builder.build().expect("this machine runs native code");
    let program = load_jue(&mut world, "worlds.jue", SOURCE).expect("the programs are right");
    (world, program)
}

fn start(world: &mut World, program: ProgramId, function: &str, arguments: &[i64]) -> ActorId {
    let arguments: Vec<Datum> = arguments.iter().map(|number| Datum::Int(*number)).collect();
    let started = world.spawn_function(program, function, &arguments);
    started.expect("the programs are right")
}

/// Runs a case to its end.
pub(crate) fn run(case: &Case, threads: usize) {
    let (mut world, program) = world(threads);
    let first = start(&mut world, program, case.name, case.arguments);
    let end = world.run_until_end(first).expect("the program ends");
    assert!(end.reason.is_normal(), "{}: {}", case.name, end.reason);
}

/// Bytes of memory that so many parked actors take.
pub(crate) fn parked_bytes(count: u64) -> u64 {
    let (mut world, program) = world(1);
    let before = resident_bytes();
    start(&mut world, program, "spawn-all", &[count as i64]);
    world.run_to_idle();
    assert_eq!(world.actor_count() as u64, count);
    resident_bytes() - before
}
