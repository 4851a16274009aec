//! Time travel: what happened is done again, forward and backward; it goes on otherwise, is compared and taken elsewhere. And checkpoints in
//! memory.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::{Arc, Mutex};

use histories::{BUSY, COUNTER, builder, busy, keep, settings};
use physics_world::runtime::checkpoint::{FaultToleranceSystem, RecoveryError, RecoveryStrategy};
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::Replay;
use physics_world::{ActorId, Datum};
use worlds::load;

#[test]
fn a_replay_goes_forward_and_backward() {
    let (disk, states) = busy(90);
    let mut replay = builder().replay(Arc::new(disk)).unwrap();
    let (first, last) = replay.range();
    assert!(first > 0 && last == 90, "{first} to {last}");
    let at = |replay: &Replay, tick: u64| {
        assert_eq!(replay.to_checkpoint(), states[tick as usize], "tick {tick}");
    };
    for tick in [first, 90, 89, 88, 70, 71, 72, first, 85] {
        replay.go_to(tick).unwrap();
        at(&replay, tick);
    }
    replay.back().unwrap();
    at(&replay, 84);
    replay.forward().unwrap();
    at(&replay, 85);
    let error = replay.go_to(91).unwrap_err();
    let text = format!("the history goes from tick {first} to tick 90; tick 91 is not in it");
    assert_eq!(error.to_string(), text);
}

#[test]
fn an_actor_is_seen_in_the_middle_of_its_turn() {
    let disk = MemoryDisk::default();
    let (mut world, _) = keep(&disk);
    let program = load(
        &mut world,
        "(define (count n to) (if (< n to) (count (+ n 1) to) n))\n(define (main) (count 0 100000000))",
    );
    let first = world.spawn(program, &[]).unwrap();
    world.run_ticks(5);
    world.flush().unwrap();
    let used = world.actor(first).unwrap().gas;
    let mut replay = builder().replay(Arc::new(disk)).unwrap();
    let mut counted = Vec::new();
    for gas in [used / 7, used / 3, used / 2, used / 2 + 4] {
        let stack = replay.go_to_actor(first, gas).unwrap().unwrap();
        let frame = &stack.frames[0];
        assert_eq!(frame.place.function, "count");
        let n = frame
            .variables
            .iter()
            .find(|(name, _)| name == "n")
            .unwrap();
        counted.push(n.1.parse::<u64>().unwrap());
    }
    assert!(counted.is_sorted() && counted[0] > 0, "{counted:?}");
    // Looking does not change what comes.
    replay.go_to(5).unwrap();
    assert_eq!(replay.to_checkpoint(), world.to_checkpoint());
    assert!(replay.go_to_actor(first, used * 100).unwrap().is_none());
    assert!(replay.go_to_actor(ActorId(77), 1).unwrap().is_none());
}

#[test]
fn a_fork_goes_on_by_itself_unheard_and_with_fewer_powers() {
    let disk = MemoryDisk::default();
    let printed = Arc::new(Mutex::new(0));
    let with_print = || {
        let printed = Arc::clone(&printed);
        builder().host(
            HostFunction::output("print", move |_| *printed.lock().unwrap() += 1)
                .needing("io-console"),
        )
    };
    let (mut world, _) = with_print()
        .keep(Arc::new(disk.clone()), settings())
        .unwrap();
    let program = load(&mut world, COUNTER);
    let counter = world.spawn(program, &[]).unwrap();
    world.ask(counter, &Datum::Int(5)).unwrap();
    world.flush().unwrap();
    let replay = |disk: &MemoryDisk| {
        let mut replay = with_print().replay(Arc::new(disk.clone())).unwrap();
        replay.go_to(replay.range().1).unwrap();
        replay
    };
    assert_eq!(*printed.lock().unwrap(), 1);
    let mut fork = replay(&disk).fork(&["io-console"]);
    assert_eq!(fork.ask(counter, &Datum::Int(2)).unwrap(), Datum::Int(7));
    assert_eq!(*printed.lock().unwrap(), 1, "a fork is not heard");
    assert_eq!(world.ask(counter, &Datum::Int(1)).unwrap(), Datum::Int(6));
    // An answer does not wait for outputs.
    world.flush().unwrap();
    assert_eq!(*printed.lock().unwrap(), 2);
    // Without the capability the actor cannot even try.
    let mut fork = replay(&disk).fork(&[]);
    fork.send(counter, &Datum::Int(2));
    fork.run_to_idle();
    assert_eq!(fork.actor_count(), 0);
}

#[test]
fn two_histories_part_where_their_inputs_do() {
    let history = |second: i64| {
        let disk = MemoryDisk::default();
        let (mut world, _) = builder()
            .host(HostFunction::output("print", |_| {}).needing("io-console"))
            .keep(Arc::new(disk.clone()), settings())
            .unwrap();
        let program = load(&mut world, COUNTER);
        let counter = world.spawn(program, &[]).unwrap();
        world.ask(counter, &Datum::Int(1)).unwrap();
        world.ask(counter, &Datum::Int(second)).unwrap();
        world.flush().unwrap();
        builder()
            .host(HostFunction::output("print", |_| {}).needing("io-console"))
            .replay(Arc::new(disk))
            .unwrap()
    };
    let found = history(2).first_divergence(&mut history(2)).unwrap();
    assert_eq!(found, None);
    let (mut one, mut other) = (history(2), history(3));
    let found = one.first_divergence(&mut other).unwrap().unwrap();
    assert_eq!(found.actor, Some(ActorId(1)));
    assert_eq!((one.tick(), other.tick()), (found.tick, found.tick));
    assert!(
        found.what.contains('3') && found.what.contains('4'),
        "{found}"
    );
}

#[test]
fn checkpoints_in_memory_bring_a_world_back() {
    let mut world = worlds::world();
    let program = load(&mut world, BUSY);
    world.spawn(program, &[]).unwrap();
    let mut system = FaultToleranceSystem::new(10);
    system.history_max = 3;
    for _ in 0..50 {
        world.run_ticks(1);
        assert!(system.watch(&mut world).unwrap().is_empty());
    }
    let ticks: Vec<u64> = system
        .checkpoint_history
        .iter()
        .map(|of| of.timestamp)
        .collect();
    assert_eq!(ticks, [21, 31, 41]);
    let (now, hash) = (world.to_checkpoint(), world.trajectory());
    let before = system.checkpoint_history[1].clone();
    system.restore_from_checkpoint(&mut world, &before).unwrap();
    assert_eq!(world.to_checkpoint(), before);
    world.run_ticks(19);
    assert_eq!((world.to_checkpoint(), world.trajectory()), (now, hash));
    // A state that contradicts itself is refused, and nothing changes.
    let mut broken = before.clone();
    broken.actor_states.pop_first();
    let state = world.to_checkpoint();
    assert!(system.restore_from_checkpoint(&mut world, &broken).is_err());
    assert_eq!(world.to_checkpoint(), state);
    // A journal could not tell how it came about.
    let (mut kept, _) = keep(&MemoryDisk::default());
    let error = system
        .restore_from_checkpoint(&mut kept, &before)
        .unwrap_err();
    assert!(matches!(error, RecoveryError::Kept), "{error}");
}

#[test]
fn a_world_with_an_anomaly_goes_back_if_it_is_told_to() {
    let mut world = worlds::world();
    let program = load(
        &mut world,
        "(define (main) (spin 0))\n(define (spin n) (spin (+ n 1)))",
    );
    let mut system = FaultToleranceSystem::new(5);
    system.recovery_strategy = RecoveryStrategy::OnAnyAnomaly;
    system.watch(&mut world).unwrap();
    world.spawn(program, &[]).unwrap();
    world.start_monitoring(system.error_detection.clone());
    let mut found = Vec::new();
    for _ in 0..2_000 {
        world.run_ticks(1);
        let (before, kept) = (world.ticks(), system.checkpoint_history.len());
        found = system.watch(&mut world).unwrap();
        if !found.is_empty() {
            assert!(world.ticks() < before && system.checkpoint_history.len() < kept);
            break;
        }
    }
    assert!(!found.is_empty(), "who never waits runs away");
}

#[test]
fn a_bundle_shows_a_part_of_a_history_elsewhere() {
    use physics_world::runtime::world::Bundle;
    let (disk, states) = busy(90);
    let mut replay = builder().replay(Arc::new(disk)).unwrap();
    let bytes = replay.bundle(70, 80).unwrap();
    let disk = Bundle::open(&bytes).unwrap();
    let mut elsewhere = builder().replay(Arc::new(disk)).unwrap();
    assert_eq!(elsewhere.range(), (70, 80));
    for tick in [70, 75, 80, 71] {
        elsewhere.go_to(tick).unwrap();
        assert_eq!(
            elsewhere.to_checkpoint().actor_states,
            states[tick as usize].actor_states
        );
    }
    let mut damaged = bytes.clone();
    damaged[60] ^= 1;
    let error = Bundle::open(&damaged).unwrap_err();
    assert_eq!(error.what, "the bundle is damaged");
    assert!(Bundle::open(b"PWB").is_err());
}
