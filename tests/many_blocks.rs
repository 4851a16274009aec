//! States of many actors: what is read of their checkpoints is the same on any number of threads.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::Arc;

use histories::settings;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::disk::{Disk, MemoryDisk, read_all};
use physics_world::runtime::world::{Recovery, Stopped, WorldBuilder};
use physics_world::{Datum, World};
use worlds::load;

/// Actors that hold bytes and wait, until they are told what to add to the first.
const HOLDERS: &str = "
(define (hold own n) (begin (bytes-set! own 0 (mod (+ n (bytes-ref own 0)) 256)) (hold own (receive))))
(define (holder n) (hold (make-bytes 900 (mod n 256)) n))
(define (begin-all n) (if (= n 0) nil (begin (spawn holder n) (begin-all (- n 1)))))
(define (main n) (begin-all n) (receive))
";
/// Enough of them that they fill more blocks of a file than are read together.
const COUNT: i64 = 32_000;

fn builder(threads: usize) -> WorldBuilder {
    World::builder().performance(PerformanceSettings {
        jit: None,
        threads,
        ..PerformanceSettings::default()
    })
}

/// A history of them with a full checkpoint and an increment, and the files of these, the older first.
fn history() -> (MemoryDisk, World, [String; 2]) {
    let disk = MemoryDisk::default();
    let (mut world, _) = builder(1).keep(Arc::new(disk.clone()), settings()).unwrap();
    let program = load(&mut world, HOLDERS);
    world.spawn(program, &[Datum::Int(COUNT)]).unwrap();
    assert_eq!(world.run_to_idle(), Stopped::Idle);
    world.checkpoint().unwrap();
    let told: Vec<_> = world
        .actors()
        .into_iter()
        .map(|view| view.id)
        .step_by(7)
        .collect();
    for id in told {
        assert!(world.send(id, &Datum::Int(3)));
    }
    assert_eq!(world.run_to_idle(), Stopped::Idle);
    world.checkpoint().unwrap();
    world.flush().unwrap();
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with("checkpoint-"));
    let newest = names.split_off(names.len() - 2);
    (disk, world, newest.try_into().unwrap())
}

fn recovered(disk: &MemoryDisk, threads: usize) -> (World, Recovery) {
    let disk = Arc::new(disk.copy());
    builder(threads).keep(disk, settings()).unwrap()
}

#[test]
fn a_state_of_several_blocks_is_the_same_on_any_number_of_threads() {
    let (disk, world, [full, _]) = history();
    assert!(read_all(&disk, &full).unwrap().len() > 17 << 20);
    for threads in [1, 2, 7] {
        let (again, recovery) = recovered(&disk, threads);
        assert!(recovery.flaws.is_empty(), "{:?}", recovery.flaws);
        assert_eq!(again.to_checkpoint(), world.to_checkpoint(), "{threads}");
    }
}
