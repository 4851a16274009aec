//! Histories that come to another state than there had been, when they are done again: refused where they do, or gone on with without what led
//! there.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/watched.rs"]
mod watched;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use physics_world::runtime::checkpoint::RecoveryError;
use physics_world::runtime::disk::{Disk, MemoryDisk};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::{Bundle, HistorySettings, RollbackPolicy, WorldBuilder};
use physics_world::{ActorId, Datum};
use watched::{Printed, begun, builder, settings, sum, tell};
use worlds::load;

/// A function that programs take for one of its argument alone. For 13 it is not.
fn lies(builder: WorldBuilder, answer: &Arc<AtomicI64>) -> WorldBuilder {
    let answer = Arc::clone(answer);
    builder.host(HostFunction::pure("same", move |arguments| {
        if arguments == [Datum::Int(13)] {
            return Ok(Datum::Int(answer.load(Ordering::Relaxed)));
        }
        Ok(arguments[0].clone())
    }))
}

const TRUSTS: &str = "
(define (counter sum)
  (let ((now (+ sum (host-call 'same (receive)))))
    (print now)
    (try (reply now) (catch e nil))
    (counter now)))
(define (main) (counter 0))
";

/// A history in which a counter was told that 13 is 13.
fn trusting(disk: &MemoryDisk, printed: &Printed, answer: &Arc<AtomicI64>) -> ActorId {
    let builder = lies(builder(printed, 1), answer);
    let (mut world, _) = builder.keep(Arc::new(disk.clone()), late()).unwrap();
    let program = load(&mut world, TRUSTS);
    let actor = world.spawn(program, &[]).unwrap();
    tell(
        &mut world,
        &[(actor, 1), (actor, 2), (actor, 13), (actor, 4)],
    );
    world.flush().unwrap();
    actor
}

/// Without checkpoints behind the first, so that all is done again.
fn late() -> HistorySettings {
    HistorySettings {
        checkpoint_ticks: 1_000_000,
        ..settings()
    }
}

#[test]
fn a_history_that_comes_to_another_state_is_refused_or_goes_on_without_what_led_there() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let answer = Arc::new(AtomicI64::new(13));
    let actor = trusting(&disk, &printed, &answer);
    let again = |settings| {
        let printed = Printed::default();
        let builder = lies(builder(&printed, 1), &answer);
        builder.keep(Arc::new(disk.clone()), settings)
    };
    // As long as it is the same, nothing is seen.
    let (world, _) = again(late()).unwrap();
    let before = world.to_checkpoint();
    drop(world);
    answer.store(1_000, Ordering::Relaxed);
    let Err(RecoveryError::Diverged { agreed, tick, .. }) = again(late()) else {
        panic!("it is refused")
    };
    assert!(agreed < tick && tick < before.timestamp);
    // A replay says so, too, and shows what was before.
    let builder_of = || lies(builder(&Printed::default(), 1), &answer);
    let mut replay = builder_of().replay(Arc::new(disk.copy())).unwrap();
    replay.go_to(agreed).unwrap();
    let error = replay.go_to(before.timestamp).unwrap_err();
    assert!(matches!(error, RecoveryError::Diverged { .. }), "{error}");
    // Nothing has changed: who tells the truth again finds it as it was.
    answer.store(13, Ordering::Relaxed);
    assert_eq!(again(late()).unwrap().0.to_checkpoint(), before);
    answer.store(1_000, Ordering::Relaxed);
    let going_back = |inputs_max| HistorySettings {
        rollbacks: RollbackPolicy {
            on_divergence: true,
            inputs_max,
            ..RollbackPolicy::default()
        },
        ..late()
    };
    let error = again(going_back(0)).map(drop).unwrap_err().to_string();
    assert!(error.contains("0 may be left out"), "{error}");
    let (mut world, recovery) = again(going_back(4)).unwrap();
    let report = recovery.rolled_back.unwrap();
    assert!(report.why.unwrap().contains("another state"));
    assert_eq!(report.without.len(), 1);
    assert_eq!(sum(&mut world, actor), Datum::Int(7));
    world.flush().unwrap();
    let state = world.to_checkpoint();
    drop(world);
    // What it says of that is durable, and 13 is never asked for again.
    answer.store(2_000, Ordering::Relaxed);
    let (world, recovery) = again(late()).unwrap();
    assert_eq!((world.to_checkpoint(), recovery.rolled_back), (state, None));
}

#[test]
fn a_state_that_does_not_come_again_without_an_input_is_refused() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let answer = Arc::new(AtomicI64::new(13));
    let builder_of = || lies(builder(&printed, 1), &answer);
    let settings = HistorySettings {
        rollbacks: RollbackPolicy {
            on_divergence: true,
            ..RollbackPolicy::default()
        },
        ..late()
    };
    let (mut world, _) = builder_of().keep(Arc::new(disk.clone()), settings).unwrap();
    let program = load(
        &mut world,
        "(define (hold sum) (receive) (print sum))
         (define (wait n) (yield) (if (= n 0) (hold (host-call 'same 13)) (wait (- n 1))))
         (define (main) (wait 20))",
    );
    world.spawn(program, &[]).unwrap();
    world.run_ticks(40);
    world.flush().unwrap();
    drop(world);
    answer.store(1, Ordering::Relaxed);
    let Err(error) = builder_of().keep(Arc::new(disk.clone()), settings) else {
        panic!("it is refused")
    };
    let text = error.to_string();
    assert!(text.contains("nobody said anything in between"), "{text}");
}

#[test]
fn a_bundle_made_after_a_comparison_is_done_again() {
    let [one, other] = [7, 8].map(|number| {
        let (disk, printed) = (MemoryDisk::default(), Printed::default());
        let builder = builder(&printed, 1);
        let (mut world, _) = builder.keep(Arc::new(disk.clone()), late()).unwrap();
        let (actor, _) = begun(&mut world);
        tell(&mut world, &[(actor, number), (actor, 1), (actor, 13)]);
        world.run_ticks(20);
        world.flush().unwrap();
        disk.copy()
    });
    let replay = |disk: Arc<dyn Disk>| builder(&Printed::default(), 1).replay(disk).unwrap();
    let (mut one, mut other) = (replay(Arc::new(one)), replay(Arc::new(other)));
    assert!(one.first_divergence(&mut other).unwrap().is_some());
    let (from, (_, last)) = (one.tick(), one.range());
    let bytes = one.bundle(from + 1, last).unwrap();
    let mut again = replay(Arc::new(Bundle::open(&bytes).unwrap()));
    again.go_to(last).unwrap();
    one.go_to(last).unwrap();
    assert!(again.to_checkpoint() == one.to_checkpoint());
}
