//! Worlds that go back in their histories by themselves, before the input that led to an anomaly. What is left out is what led there and nothing
//! else, the same each time; it is as durable as a rollback by hand; and a world that cannot be helped halts, with its history whole.

#[path = "support/faulty_disk.rs"]
mod faulty_disk;
#[path = "support/histories.rs"]
mod histories;
#[path = "support/watched.rs"]
mod watched;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::Arc;

use faulty_disk::FaultyDisk;
use physics_world::runtime::disk::{Disk, MemoryDisk};
use physics_world::runtime::hibernation::HibernationSettings;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::{
    AskError, Blame, HistorySettings, Input, RecordedInput, RollbackPolicy,
};
use physics_world::{ActorId, Datum};
use watched::{Printed, TOUCHY, begun, builder, keep, keep_with, recovered, settings, sum, tell};
use worlds::load;

#[test]
fn the_input_that_makes_an_actor_run_away_is_left_out_and_no_other() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let (mut world, reports) = keep(&disk, &printed);
    let (one, other) = begun(&mut world);
    tell(&mut world, &[(other, 10), (one, 13), (one, 7), (other, 20)]);
    world.run_ticks(40);
    assert_eq!(world.halted(), None);
    let reports = reports.lock().unwrap().clone();
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = &reports[0];
    let why = report.why.as_deref().unwrap();
    assert!(why.contains("runaway-gas of actor 1"), "{why}");
    // It had said that it was there, and says the sum in its place now.
    assert_eq!(report.without.len(), 1);
    assert_eq!((report.conflict_count, report.new_outputs), (1, 0));
    assert_eq!(report.conflicts[0].is.as_deref(), Some("print 113"));
    assert_eq!(sum(&mut world, one), Datum::Int(113));
    assert_eq!(sum(&mut world, other), Datum::Int(33));
    world.flush().unwrap();
    let state = world.to_checkpoint();
    assert_eq!(recovered(&disk).to_checkpoint(), state);
    // In a replay it is as it was, up to the tick at which it went back.
    let mut replay = builder(&Printed::default(), 1)
        .replay(Arc::new(disk.copy()))
        .unwrap();
    assert_eq!(replay.rollbacks(), std::slice::from_ref(report));
    let (from, to) = replay.range();
    for tick in [from, report.from, report.to, to, report.from + 1, to] {
        replay.go_to(tick).unwrap();
    }
    assert_eq!(replay.to_checkpoint().actor_states, state.actor_states);
}

#[test]
fn an_input_that_reaches_its_victim_through_others_is_found() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let (mut world, reports) = keep(&disk, &printed);
    let (one, other) = begun(&mut world);
    tell(&mut world, &[(other, 10), (one, 14), (one, 7), (other, 20)]);
    world.run_ticks(40);
    let reports = reports.lock().unwrap().clone();
    assert_eq!(reports.len(), 1);
    let why = reports[0].why.as_deref().unwrap();
    assert!(why.contains("runaway-gas of actor"), "{why}");
    assert_eq!(sum(&mut world, one), Datum::Int(113));
    assert_eq!(sum(&mut world, other), Datum::Int(33));
}

#[test]
fn all_threads_and_all_runs_leave_out_the_same() {
    let runs = [1, 1, 4].map(|threads| {
        let (disk, printed) = (MemoryDisk::default(), Printed::default());
        let builder = builder(&printed, threads);
        let (mut world, reports) = keep_with(builder, Arc::new(disk.clone()), settings()).unwrap();
        let (one, other) = begun(&mut world);
        // Two are to blame.
        tell(&mut world, &[(other, 13), (one, 13), (one, 7), (other, 20)]);
        world.run_ticks(40);
        let reports = reports.lock().unwrap().clone();
        assert_eq!(world.halted(), None);
        assert_eq!(sum(&mut world, one), Datum::Int(113));
        assert_eq!(sum(&mut world, other), Datum::Int(23));
        (reports, world.trajectory())
    });
    assert_eq!(
        runs[0].0.iter().map(|of| of.without.len()).sum::<usize>(),
        2
    );
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
}

#[test]
fn an_actor_that_pays_for_long_instructions_runs_away_too() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let (mut world, reports) = keep(&disk, &printed);
    let program = load(
        &mut world,
        "(define (spin n) (make-vector 100000 n) (spin (+ n 1)))
         (define (main) (if (= (receive) 13) (spin 0) (main)))",
    );
    let actor = world.spawn(program, &[]).unwrap();
    tell(&mut world, &[(actor, 1), (actor, 13)]);
    world.run_ticks(100);
    let reports = reports.lock().unwrap().clone();
    assert_eq!(reports.len(), 1, "{:?}", world.halted());
    assert_eq!(reports[0].without.len(), 1);
}

#[test]
fn other_anomalies_are_taken_back_too() {
    let cases = [
        (
            "growing-heap",
            "(define (ill all) (yield) (ill (cons (make-vector 200 0) all)))",
        ),
        (
            "hot-sender",
            "(define (sink) (receive) (sink))
          (define (flood to i) (if (= (mod i 40) 0) (yield) nil) (send! to i) (flood to (+ i 1)))
          (define (ill all) (flood (spawn sink) 0))",
        ),
        (
            "crash-loop",
            "(define (fails) (receive) (car 7))
          (define (feed child) (send! child 'go) (yield) (feed child))
          (define (ill all) (feed (supervise fails :restart 'always :max 1000000)))",
        ),
    ];
    for (name, ill) in cases {
        let printed = Printed::default();
        let settings = HistorySettings {
            checkpoint_ticks: 200,
            ..settings()
        };
        let disk = Arc::new(MemoryDisk::default());
        let (mut world, reports) = keep_with(builder(&printed, 1), disk, settings).unwrap();
        let source = format!("{ill}\n(define (main) (if (= (receive) 13) (ill nil) (main)))");
        let program = load(&mut world, &source);
        let actor = world.spawn(program, &[]).unwrap();
        tell(&mut world, &[(actor, 1), (actor, 13), (actor, 2)]);
        world.run_ticks(1_000);
        assert_eq!(world.halted(), None, "{name}");
        let reports = reports.lock().unwrap().clone();
        assert_eq!(reports.len(), 1, "{name}");
        let why = reports[0].why.as_deref().unwrap();
        assert!(why.starts_with(name), "{why}");
        assert_eq!(world.actor_count(), 1, "{name}");
        assert!(world.actor(actor).is_some());
    }
}

#[test]
fn a_session_is_left_out_as_a_whole_if_that_is_wanted() {
    for (blames, expected, left_out) in [(Blame::Input, 112, 1), (Blame::Session, 107, 3)] {
        let (disk, printed) = (MemoryDisk::default(), Printed::default());
        let settings = HistorySettings {
            rollbacks: RollbackPolicy {
                blames,
                ..RollbackPolicy::default()
            },
            ..settings()
        };
        let disk = Arc::new(disk);
        let (mut world, reports) = keep_with(builder(&printed, 1), disk, settings).unwrap();
        let program = load(&mut world, TOUCHY);
        let one = world.spawn(program, &[]).unwrap();
        let (good, bad) = (world.open_session(), world.open_session());
        let said = [
            (good, 1, 100),
            (bad, 1, 2),
            (bad, 2, 13),
            (bad, 3, 3),
            (good, 2, 5),
            (bad, 4, 2),
        ];
        for (session, sequence, number) in said {
            let client = world.handle().resume_session(session, 0);
            let content = Datum::Int(number);
            // Nobody waits for the answers.
            drop(client.say_numbered(sequence, one, content, true));
            world.run_ticks(2);
        }
        world.run_ticks(40);
        let reports = reports.lock().unwrap().clone();
        assert_eq!(reports.len(), 1);
        // What the session said before is not to blame.
        assert_eq!(sum(&mut world, one), Datum::Int(expected));
        assert_eq!(reports[0].without.len(), left_out);
    }
}

#[test]
fn a_world_that_goes_back_too_often_halts_and_remembers_it() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let settings = HistorySettings {
        // The journal forgets what is before the last checkpoint; the count does not.
        checkpoints_kept: 1,
        rollbacks: RollbackPolicy {
            rollbacks_max: 2,
            within_ticks: 10_000,
            ..RollbackPolicy::default()
        },
        ..settings()
    };
    let begin = || keep_with(builder(&printed, 1), Arc::new(disk.clone()), settings).unwrap();
    let (mut world, reports) = begin();
    let (one, other) = begun(&mut world);
    for _ in 0..2 {
        tell(&mut world, &[(one, 13)]);
        world.run_ticks(40);
        assert_eq!(world.halted(), None);
    }
    assert_eq!(reports.lock().unwrap().len(), 2);
    drop(world);
    let (mut world, reports) = begin();
    tell(&mut world, &[(other, 13)]);
    world.run_ticks(40);
    let reason = world.halted().unwrap().to_owned();
    assert!(
        reason.contains("gone back 2 times") && reason.contains("runaway-gas of actor 2"),
        "{reason}"
    );
    assert_eq!(world.history_error(), Some(reason));
    assert!(reports.lock().unwrap().is_empty());
    let ticks = world.ticks();
    world.run_ticks(10);
    assert!(!world.tick() && world.ticks() == ticks);
    assert!(matches!(
        world.ask(one, &Datum::Int(0)),
        Err(AskError::Idle(_) | AskError::Stopped(_))
    ));
    // Its history is whole, and somebody helps it.
    let is_bad = |recorded: &RecordedInput<'_>| matches!(recorded.input, Input::Send { content, .. } if *content == Datum::Int(13));
    let (_, report) = world.roll_back(None, is_bad).unwrap();
    assert_eq!((report.without.len(), report.why), (1, None));
    assert_eq!(world.halted(), None);
    assert_eq!(sum(&mut world, other), Datum::Int(3));
    world.flush().unwrap();
    let state = world.to_checkpoint();
    let again = builder(&printed, 1).keep(Arc::new(disk.copy()), settings);
    assert_eq!(again.unwrap().0.to_checkpoint(), state);
}

#[test]
fn a_world_in_which_nothing_can_be_blamed_halts_as_it_is() {
    // What led there is not in the history any more.
    let late = "(define (spin n) (spin (+ n 1)))
         (define (wait n) (yield) (if (= n 0) (spin 0) (wait (- n 1))))
         (define (main) (wait 200))";
    // Without what led there nobody is left.
    let alone = "(define (spin n) (spin (+ n 1))) (define (main) (spin 0))";
    for (source, text) in [
        (late, "nothing that was said"),
        (alone, "nobody would be left"),
    ] {
        let (disk, printed) = (MemoryDisk::default(), Printed::default());
        let settings = HistorySettings {
            checkpoints_kept: 1,
            increments: 0,
            ..settings()
        };
        let kept = keep_with(builder(&printed, 1), Arc::new(disk.clone()), settings);
        let (mut world, reports) = kept.unwrap();
        let program = load(&mut world, source);
        let actor = world.spawn(program, &[]).unwrap();
        world.run_ticks(300);
        let reason = world.halted().unwrap().to_owned();
        assert!(
            reason.contains(text) && reason.contains("runaway-gas"),
            "{reason}"
        );
        assert!(reports.lock().unwrap().is_empty());
        // It can be looked at, and is kept.
        assert!(world.actor(actor).is_some());
        world.checkpoint().unwrap();
        let state = world.to_checkpoint();
        drop(world);
        assert_eq!(recovered(&disk).to_checkpoint(), state);
    }
}

#[test]
fn going_back_that_is_interrupted_has_happened_or_happens_later() {
    let printed = Printed::default();
    let mut seen = [0, 0];
    for operations in 0..90 {
        let disk = FaultyDisk::default();
        let arc: Arc<dyn Disk> = Arc::new(disk.clone());
        let (mut world, _) = keep_with(builder(&printed, 1), arc, settings()).unwrap();
        let (one, other) = begun(&mut world);
        tell(&mut world, &[(other, 10), (one, 13)]);
        world.flush().unwrap();
        disk.fail_after(operations);
        world.run_ticks(30);
        let mut seed = (operations + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let left = [
            disk.after_a_kill_with_room(),
            disk.after_power_loss(&mut seed),
        ];
        drop(world);
        for disk in left {
            let arc: Arc<dyn Disk> = Arc::new(disk.clone());
            let (mut world, reports) = keep_with(builder(&printed, 1), arc, settings()).unwrap();
            world.run_ticks(30);
            assert_eq!(world.halted(), None, "after {operations} operations");
            let again = reports.lock().unwrap().len();
            assert_eq!(sum(&mut world, one), Datum::Int(106));
            assert_eq!(sum(&mut world, other), Datum::Int(13));
            world.flush().unwrap();
            let state = world.to_checkpoint();
            drop(world);
            let arc: Arc<dyn Disk> = Arc::new(disk.clone());
            let (world, _) = builder(&printed, 1).keep(arc, settings()).unwrap();
            assert_eq!(world.to_checkpoint(), state);
            seen[again] += 1;
        }
    }
    assert!(seen[0] > 3 && seen[1] > 3, "{seen:?}");
}

#[test]
fn a_world_goes_back_alike_wherever_its_actors_are_and_however_they_are_captured() {
    let with = |hibernates: bool, paged_bytes: u64| {
        let printed = Printed::default();
        let mut builder = builder(&printed, 1);
        if hibernates {
            let settings = HibernationSettings {
                after_ticks: 2,
                ..HibernationSettings::default()
            };
            let place = Arc::new(MemoryDisk::default());
            builder = builder.hibernate(place, settings).unwrap();
        }
        let settings = HistorySettings {
            paged_bytes,
            ..settings()
        };
        let disk = MemoryDisk::default();
        let (mut world, reports) = keep_with(builder, Arc::new(disk.clone()), settings).unwrap();
        let (one, other) = begun(&mut world);
        let program = world.programs().next().unwrap();
        let sleepers: Vec<ActorId> = (0..20)
            .map(|_| world.spawn(program, &[]).unwrap())
            .collect();
        for (number, sleeper) in (0..10).cycle().zip(&sleepers) {
            world.send(*sleeper, &Datum::Int(number));
        }
        tell(&mut world, &[(other, 10), (one, 13), (sleepers[3], 7)]);
        world.run_ticks(40);
        let asleep = world.hibernation().map_or(0, |all| all.stored);
        assert_eq!(asleep > 0, hibernates);
        assert_eq!(sum(&mut world, sleepers[3]), Datum::Int(10));
        assert_eq!(sum(&mut world, one), Datum::Int(106));
        world.flush().unwrap();
        let state = world.to_checkpoint();
        assert!(recovered(&disk).to_checkpoint() == state);
        let reports = reports.lock().unwrap().clone();
        let printed = printed.lock().unwrap().clone();
        (state, reports, printed)
    };
    let expected = with(false, 1 << 20);
    assert_eq!(expected.1.len(), 1);
    for (hibernates, paged_bytes) in [(true, 1 << 20), (false, 0), (true, 0)] {
        let found = with(hibernates, paged_bytes);
        assert!(found.0 == expected.0, "the states");
        assert_eq!((found.1, found.2), (expected.1.clone(), expected.2.clone()));
    }
}

#[test]
fn calls_of_the_embedder_and_who_asks_meanwhile_are_not_lost() {
    let printed = Printed::default();
    let tenfold = HostFunction::call("tenfold", |_, arguments| match arguments[..] {
        [Datum::Int(number)] => Ok(Datum::Int(10 * number)),
        _ => Ok(Datum::Nil),
    });
    let disk = MemoryDisk::default();
    let built = builder(&printed, 1).host(tenfold.clone());
    let (mut world, reports) = keep_with(built, Arc::new(disk.clone()), settings()).unwrap();
    let program = load(
        &mut world,
        "(define (spin n) (spin (+ n 1)))
         (define (counter sum)
           (let ((n (receive)))
             (if (= n 13) (spin 0) nil)
             (let ((now (+ sum (host-call 'tenfold n))))
               (print now)
               (try (reply now) (catch e nil))
               (counter now))))
         (define (main) (counter 0))",
    );
    let one = world.spawn(program, &[]).unwrap();
    assert_eq!(world.ask(one, &Datum::Int(1)).unwrap(), Datum::Int(10));
    world.send(one, &Datum::Int(13));
    // The question waits behind what has the actor run away; its asker is told that the world went back.
    let error = world.ask(one, &Datum::Int(3)).unwrap_err();
    assert!(error.to_string().contains("gone back"), "{error}");
    assert_eq!(reports.lock().unwrap().len(), 1, "{:?}", world.halted());
    // It was heard, and what the call answers now is as if nothing else had been said.
    world.run_to_idle();
    assert_eq!(world.ask(one, &Datum::Int(0)).unwrap(), Datum::Int(40));
    world.flush().unwrap();
    let state = world.to_checkpoint();
    let again = builder(&printed, 1).host(tenfold);
    let (again, _) = again.keep(Arc::new(disk.copy()), settings()).unwrap();
    assert!(again.to_checkpoint() == state);
}
