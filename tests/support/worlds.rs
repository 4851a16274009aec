//! Worlds for tests of the embedding API, and what came of their actors.
#![allow(dead_code, reason = "each test uses a part")]

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::actor::{End, EndReason};
use physics_world::runtime::world::ProgramId;
use physics_world::source::load_jue;
use physics_world::{Datum, World};

/// Loads a program from Jue source.
pub(crate) fn load(world: &mut World, source: &str) -> ProgramId {
    load_jue(world, "test.jue", source).unwrap_or_else(|bad| panic!("{bad}"))
}

/// A world without native code, on one thread, that knows its trajectory.
pub(crate) fn world() -> World {
    World::builder()
        .performance(PerformanceSettings {
            jit: None,
            threads: 1,
            ..PerformanceSettings::default()
        })
        .trajectory()
        .build()
        .unwrap()
}

/// The value that an actor ended with.
pub(crate) fn value(world: &World, end: &End) -> Datum {
    match &end.reason {
        EndReason::Done(value) => world.datum(value),
        other => panic!("{other}"),
    }
}

/// The kind of the error that an actor ended with.
pub(crate) fn error(end: &End) -> &str {
    match &end.reason {
        EndReason::Failed(failure) => failure.kind.name(),
        other => panic!("{other}"),
    }
}
