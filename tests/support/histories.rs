//! Worlds that keep their histories, for tests.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::Arc;

use physics_world::World;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::checkpoint::SystemCheckpoint;
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::{HistorySettings, Recovery, Stopped, WorldBuilder};

use crate::worlds::load;

/// A counter that is told numbers, prints the sum each time, and answers with it.
pub(crate) const COUNTER: &str = "
(define (counter sum)
  (let ((message (receive)))
    (let ((now (+ sum message)))
      (print now)
      (try (reply now) (catch e nil))
      (counter now))))
(define (main) (counter 0))
";

/// Two actors that never stop: a loop, and one that starts children.
pub(crate) const BUSY: &str = "
(define (spin n) (spin (+ n 1)))
(define (child n) (* n n))
(define (parent n) (spawn child n) (yield) (parent (+ n 1)))
(define (main) (spawn parent 0) (spin 0))
";

pub(crate) fn builder() -> WorldBuilder {
    World::builder().performance(PerformanceSettings {
        jit: None,
        threads: 1,
        ..PerformanceSettings::default()
    })
}

pub(crate) fn settings() -> HistorySettings {
    HistorySettings {
        durability: Durability::Sync,
        checkpoint_ticks: 16,
        checkpoints_kept: 3,
        increments: 2,
        horizon_ticks: 1,
        capture_bytes: 1_000,
        segment_bytes: 64 << 20,
    }
}

pub(crate) fn keep(disk: &MemoryDisk) -> (World, Recovery) {
    builder().keep(Arc::new(disk.clone()), settings()).unwrap()
}

/// A world of busy actors with a history of so many ticks, and its states after each of them.
pub(crate) fn busy(ticks: u64) -> (MemoryDisk, Vec<SystemCheckpoint>) {
    let disk = MemoryDisk::default();
    let (mut world, _) = keep(&disk);
    let program = load(&mut world, BUSY);
    world.spawn(program, &[]).unwrap();
    let mut states = vec![world.to_checkpoint()];
    for _ in 0..ticks {
        assert_eq!(world.run_ticks(1), Stopped::Ticks);
        // So that each tick is in a batch of its own.
        world.flush().unwrap();
        states.push(world.to_checkpoint());
    }
    world.flush().unwrap();
    (disk, states)
}
