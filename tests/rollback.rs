//! Rollbacks of histories: an older state, and all inputs since but some. What the outside has heard and the world does not say any more is told; nothing
//! is said twice; and wherever a rollback is interrupted, the history is the one before it or the one after it.

#[path = "support/faulty_disk.rs"]
mod faulty_disk;
#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::{Arc, Mutex};

use faulty_disk::{FaultyDisk, next};
use histories::{COUNTER, settings};
use physics_world::runtime::checkpoint::{RecoveryError, SystemCheckpoint};
use physics_world::runtime::disk::{Disk, MemoryDisk, read_all};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::{
    Input, RecordedInput, Recovery, RollbackReport, Stopped, WorldBuilder,
};
use physics_world::{ActorId, Datum, World};
use worlds::load;

/// What was printed, with the numbers of the outputs.
type Printed = Arc<Mutex<Vec<(u64, String)>>>;

/// A world whose actors can print, and call a function that answers with ten times its argument.
fn builder(printed: &Printed) -> WorldBuilder {
    let printed = Arc::clone(printed);
    let print = HostFunction::output("print", move |call| {
        printed.lock().unwrap().push((call.number(), call.text()));
    });
    let tenfold = HostFunction::call("tenfold", |_, arguments| match arguments[..] {
        [Datum::Int(number)] => Ok(Datum::Int(10 * number)),
        _ => Ok(Datum::Nil),
    });
    histories::builder()
        .host(print.needing("io-console"))
        .host(tenfold)
}

fn keep(disk: &dyn Fn() -> Arc<dyn Disk>, printed: &Printed) -> (World, Recovery) {
    builder(printed).keep(disk(), settings()).unwrap()
}

fn recovered(disk: &MemoryDisk) -> World {
    keep(&|| Arc::new(disk.clone()), &Printed::default()).0
}

/// Whether an input sends this number.
fn sends(number: i64) -> impl Fn(&RecordedInput<'_>) -> bool {
    move |recorded| match recorded.input {
        Input::Send { content, .. } | Input::Once { content, .. } => *content == Datum::Int(number),
        _ => false,
    }
}

fn roll_back(
    disk: &MemoryDisk,
    printed: &Printed,
    leave_out: impl FnMut(&RecordedInput<'_>) -> bool,
) -> Result<(World, Recovery, RollbackReport), RecoveryError> {
    without(builder(printed), Arc::new(disk.clone()), leave_out)
}

/// A world that does a history again without some inputs.
fn without(
    builder: WorldBuilder,
    disk: Arc<dyn Disk>,
    leave_out: impl FnMut(&RecordedInput<'_>) -> bool,
) -> Result<(World, Recovery, RollbackReport), RecoveryError> {
    let mut world = builder.build().unwrap();
    let (recovery, report) = world.keep_history_without(disk, settings(), None, leave_out)?;
    Ok((world, recovery, report))
}

/// Sends a number to an actor, and runs the world until nothing happens.
fn tell(world: &mut World, actor: ActorId, number: i64) {
    world.send(actor, &Datum::Int(number));
    world.run_to_idle();
}

/// Waits until all has left the world that is to leave it: what was printed.
fn all(world: &mut World, printed: &Printed) -> Vec<(u64, String)> {
    world.flush().unwrap();
    printed.lock().unwrap().clone()
}

fn said(outputs: &[(u64, &str)]) -> Vec<(u64, String)> {
    let outputs = outputs.iter();
    outputs
        .map(|(number, text)| (*number, (*text).to_owned()))
        .collect()
}

/// Two counters that have heard numbers.
fn begun(disk: impl Disk + Clone + 'static, printed: &Printed) -> World {
    let (mut world, _) = keep(&|| Arc::new(disk.clone()), printed);
    let program = load(&mut world, COUNTER);
    let (one, other) = (
        world.spawn(program, &[]).unwrap(),
        world.spawn(program, &[]).unwrap(),
    );
    for (actor, number) in [(one, 5), (other, 1), (one, 100), (other, 2), (one, 1)] {
        tell(&mut world, actor, number);
    }
    world
}

#[test]
fn a_history_is_done_again_without_an_input() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let mut world = begun(disk.clone(), &printed);
    assert_eq!(
        all(&mut world, &printed),
        said(&[(1, "5"), (2, "1"), (3, "105"), (4, "3"), (5, "106")])
    );
    let ticks = world.ticks();
    drop(world);
    let (mut world, recovery, report) = roll_back(&disk, &printed, sends(100)).unwrap();
    assert_eq!(
        (world.ticks(), recovery.ticks, report.to),
        (ticks, ticks, ticks)
    );
    assert_eq!((report.without.len(), report.new_outputs), (1, 0));
    // The second counter has said what it says; the first says 6 in place of 105, and nothing in place of 106.
    let conflicts: Vec<_> = report
        .conflicts
        .iter()
        .map(|of| (of.number, of.from, of.was.as_str(), of.is.as_deref()))
        .collect();
    assert_eq!(
        conflicts,
        [
            (3, ActorId(1), "print 105", Some("print 6")),
            (5, ActorId(1), "print 106", None),
        ]
    );
    assert_eq!(all(&mut world, &printed).len(), 5, "nothing is said again");
    tell(&mut world, ActorId(1), 1);
    tell(&mut world, ActorId(2), 10);
    // Numbers go on beyond those that were heard, and beyond those that the new course has used up.
    let new = all(&mut world, &printed).split_off(5);
    let texts: Vec<&str> = new.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["7", "13"]);
    assert!(new[0].0 > 5 && new[1].0 == new[0].0 + 1, "{new:?}");
    let state = world.to_checkpoint();
    drop(world);
    assert_eq!(recovered(&disk).to_checkpoint(), state);
}

/// Removes all checkpoints behind a tick.
fn without_checkpoints_behind(disk: &MemoryDisk, ticks: u64) -> MemoryDisk {
    let disk = disk.copy();
    for name in disk.list().unwrap() {
        let of = name.strip_prefix("checkpoint-");
        if of.is_some_and(|of| of.parse::<u64>().unwrap() > ticks) {
            disk.remove(&name).unwrap();
        }
    }
    disk
}

#[test]
fn the_journal_alone_tells_what_a_rollback_has_done() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let mut world = begun(disk.clone(), &printed);
    world.flush().unwrap();
    // It is of the course that is given up.
    let old = disk.copy();
    drop(world);
    let (mut world, ..) = roll_back(&disk, &printed, sends(100)).unwrap();
    tell(&mut world, ActorId(1), 4);
    let state = world.to_checkpoint();
    let heard = all(&mut world, &printed).len();
    let ticks = world.ticks();
    drop(world);
    let copy = without_checkpoints_behind(&disk, 0);
    let (mut again, recovery) = keep(&|| Arc::new(copy.clone()), &printed);
    assert_eq!(recovery.checkpoint, Some(0));
    assert_eq!(again.to_checkpoint(), state);
    assert_eq!(
        all(&mut again, &printed).len(),
        heard,
        "nothing leaves twice"
    );
    // A replay takes the same course, at every tick.
    let copy = without_checkpoints_behind(&disk, 0);
    let mut replay = builder(&printed).replay(Arc::new(copy)).unwrap();
    assert_eq!(replay.range(), (0, ticks));
    for tick in [ticks, 3, ticks - 1, ticks] {
        replay.go_to(tick).unwrap();
    }
    assert_eq!(replay.to_checkpoint(), state);
    // A checkpoint of the other course, had it been left there, is not used.
    let mut other = builder(&printed)
        .keep(Arc::new(old.clone()), settings())
        .unwrap()
        .0;
    other.checkpoint().unwrap();
    drop(other);
    let copy = without_checkpoints_behind(&disk, 0);
    for name in old.list().unwrap() {
        if name.starts_with("checkpoint-") && name != "checkpoint-00000000000000000000" {
            let bytes = read_all(&old, &name).unwrap();
            copy.create(&name).unwrap().write_at(0, &bytes).unwrap();
        }
    }
    let (again, recovery) = keep(&|| Arc::new(copy.clone()), &printed);
    assert_eq!(
        (recovery.checkpoint, again.to_checkpoint()),
        (Some(0), state)
    );
    assert_eq!(again.ticks(), ticks);
}

#[test]
fn what_was_never_said_leaves_and_what_may_not_have_left_leaves_again() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let (mut world, _) = keep(&|| Arc::new(disk.clone()), &printed);
    // It says all that it hears, until it is told to be quiet.
    let program = load(
        &mut world,
        "(define (talk) (let ((n (receive))) (if (= n 0) (quiet) (begin (print n) (talk)))))
         (define (quiet) (receive) (quiet))
         (define (main) (talk))",
    );
    let actor = world.spawn(program, &[]).unwrap();
    for number in [1, 0, 2, 3] {
        tell(&mut world, actor, number);
    }
    assert_eq!(all(&mut world, &printed), said(&[(1, "1")]));
    drop(world);
    // The end of the journal says that it has left: without it nobody knows.
    let segment = disk
        .list()
        .unwrap()
        .into_iter()
        .rfind(|name| name.starts_with("journal-"));
    let segment = segment.unwrap();
    let length = read_all(&disk, &segment).unwrap().len() as u64;
    disk.open(&segment).unwrap().truncate(length - 1).unwrap();
    let (mut world, recovery, report) = roll_back(&disk, &printed, sends(0)).unwrap();
    assert_eq!((report.conflict_count, report.new_outputs), (0, 2));
    assert!(recovery.outputs >= 2);
    let heard = all(&mut world, &printed);
    let texts: Vec<&str> = heard.iter().map(|(_, text)| text.as_str()).collect();
    // The first has its old number, if it leaves again.
    assert!(
        matches!(texts[..], ["1", "2", "3"] | ["1", "1", "2", "3"]),
        "{texts:?}"
    );
    assert!(
        heard[..heard.len() - 2]
            .iter()
            .all(|(number, _)| *number == 1),
        "{heard:?}"
    );
    assert!(heard[heard.len() - 2].0 > 1);
}

#[test]
fn an_answer_to_a_call_that_is_not_made_any_more_is_not_given() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let (mut world, _) = keep(&|| Arc::new(disk.clone()), &printed);
    let program = load(
        &mut world,
        "(define (go sum) (let ((sum (+ sum (receive)))) (print (host-call 'tenfold sum)) (go sum)))
         (define (main) (go 0))",
    );
    let actor = world.spawn(program, &[]).unwrap();
    for number in [1, 2, 3] {
        tell(&mut world, actor, number);
    }
    assert_eq!(
        all(&mut world, &printed),
        said(&[(1, "10"), (2, "30"), (3, "60")])
    );
    drop(world);
    let (mut world, _, report) = roll_back(&disk, &printed, sends(2)).unwrap();
    // 10 was asked for again, 30 and 60 were not.
    assert_eq!(report.withheld.len(), 2);
    world.run_to_idle();
    let texts: Vec<String> = all(&mut world, &printed)
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    assert_eq!(texts, ["10", "30", "60", "40"]);
    let conflicts: Vec<u64> = report.conflicts.iter().map(|of| of.number).collect();
    assert_eq!(conflicts, [2, 3], "nothing was said in their place so far");
}

#[test]
fn sessions_and_numbers_of_actors_go_on() {
    use futures_executor::block_on;
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let (mut world, _) = keep(&|| Arc::new(disk.clone()), &printed);
    let program = load(&mut world, COUNTER);
    let first = world.spawn(program, &[]).unwrap();
    let bad = world.spawn(program, &[]).unwrap();
    let third = world.spawn(program, &[]).unwrap();
    let session = world.open_session();
    let client = world.handle().resume_session(session, 0);
    for (sequence, number) in (1..).zip([5, 100, 1]) {
        let answer = client.say_numbered(sequence, first, Datum::Int(number), true);
        world.run_ticks(3);
        block_on(answer).unwrap();
    }
    tell(&mut world, third, 7);
    drop(world);
    let leave_out = |recorded: &RecordedInput<'_>| {
        let starts_second = matches!(recorded.input, Input::Spawn { .. }) && recorded.number == 2;
        let is_bad = recorded.session() == Some(1) && sends(100)(recorded);
        starts_second || is_bad
    };
    let (mut world, _, report) = roll_back(&disk, &printed, leave_out).unwrap();
    assert_eq!(report.without.len(), 2, "{report:?}");
    assert!(world.actor(bad).is_none() && world.actor(third).is_some());
    assert_eq!(world.ask(third, &Datum::Int(0)).unwrap(), Datum::Int(7));
    assert_eq!(world.spawn(program, &[]).unwrap(), ActorId(4));
    let client = world.handle().resume_session(session, 0);
    let mut say = |sequence, number| {
        let answer = client.say_numbered(sequence, first, Datum::Int(number), true);
        world.run_ticks(3);
        world.flush().unwrap();
        block_on(answer)
    };
    // The last is answered as it is now, the next goes on behind it.
    assert_eq!(say(3, 1).unwrap(), Datum::Int(6));
    assert_eq!(say(4, 1).unwrap(), Datum::Int(7));
    drop(world);
    // If what was left out is what was said last, the client is told.
    let leave_out =
        |recorded: &RecordedInput<'_>| matches!(recorded.input, Input::Once { sequence: 4, .. });
    let (mut world, ..) = roll_back(&disk, &printed, leave_out).unwrap();
    let client = world.handle().resume_session(session, 0);
    let answer = client.say_numbered(4, first, Datum::Int(1), true);
    world.run_ticks(3);
    world.flush().unwrap();
    let text = block_on(answer).unwrap_err().to_string();
    assert!(text.contains("has left this out"), "{text}");
}

#[test]
fn a_rollback_of_a_rollback_keeps_both() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let world = begun(disk.clone(), &printed);
    drop(world);
    drop(roll_back(&disk, &printed, sends(100)).unwrap());
    // Its own checkpoint is behind what is to be left out, the first one is not.
    let (mut world, _, report) = roll_back(&disk, &printed, sends(2)).unwrap();
    assert_eq!(report.without.len(), 1);
    assert_eq!(
        world.ask(ActorId(1), &Datum::Int(0)).unwrap(),
        Datum::Int(6)
    );
    assert_eq!(
        world.ask(ActorId(2), &Datum::Int(0)).unwrap(),
        Datum::Int(1)
    );
    let state = world.to_checkpoint();
    drop(world);
    for copy in [disk.copy(), without_checkpoints_behind(&disk, 0)] {
        assert_eq!(recovered(&copy).to_checkpoint(), state);
    }
}

#[test]
fn a_running_world_goes_back() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let mut world = begun(disk.clone(), &printed);
    let (_, report) = world.roll_back(None, sends(100)).unwrap();
    assert_eq!(report.conflict_count, 2);
    assert_eq!(
        world.ask(ActorId(1), &Datum::Int(0)).unwrap(),
        Datum::Int(6)
    );
    tell(&mut world, ActorId(2), 1);
    world.flush().unwrap();
    assert_eq!(
        recovered(&disk.copy()).to_checkpoint(),
        world.to_checkpoint()
    );
    // To an older state, with all that came since: nothing but the numbers of outputs shows it.
    let before = world.ask(ActorId(2), &Datum::Int(0)).unwrap();
    let (_, report) = world.roll_back(Some(2), |_| false).unwrap();
    assert_eq!((report.conflict_count, report.new_outputs), (0, 0));
    assert_eq!(world.ask(ActorId(2), &Datum::Int(0)).unwrap(), before);
}

#[test]
fn what_cannot_be_taken_back_is_refused_and_changes_nothing() {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let world = begun(disk.clone(), &printed);
    let state = world.to_checkpoint();
    drop(world);
    let refused = |text: &str, error: RecoveryError| {
        assert!(error.to_string().contains(text), "{error}");
        let again = recovered(&disk.copy());
        assert_eq!(again.to_checkpoint(), state);
    };
    refused(
        "no input is to be left out",
        roll_back(&disk, &printed, |_| false).unwrap_err(),
    );
    refused(
        "loads a program",
        roll_back(&disk, &printed, |of| of.number == 0).unwrap_err(),
    );
    let mut plain = builder(&printed).build().unwrap();
    let error = plain.roll_back(Some(0), |_| false).unwrap_err();
    refused("keeps no history", error);
}

/// The states that a history of two counters may be in: before a rollback, and after it.
fn states() -> [SystemCheckpoint; 2] {
    let (disk, printed) = (MemoryDisk::default(), Printed::default());
    let before = begun(disk.clone(), &printed).to_checkpoint();
    let (after, ..) = roll_back(&disk, &printed, sends(100)).unwrap();
    [before, after.to_checkpoint()]
}

#[test]
fn a_rollback_that_is_interrupted_has_happened_or_has_not() {
    let [before, after] = states();
    let printed = Printed::default();
    let mut seen = [0, 0];
    for operations in 0..80 {
        let disk = FaultyDisk::default();
        let mut world = begun(disk.clone(), &printed);
        world.flush().unwrap();
        drop(world);
        disk.fail_after(operations);
        let done = without(builder(&printed), Arc::new(disk.clone()), sends(100));
        let is_done = done.is_ok();
        let mut seed = (operations + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let left: [FaultyDisk; 3] = [
            disk.after_a_kill_with_room(),
            disk.after_power_loss(&mut seed),
            disk.after_power_loss(&mut seed),
        ];
        drop(done);
        for disk in left {
            let (world, _) = keep(&|| Arc::new(disk.clone()), &printed);
            let state = world.to_checkpoint();
            let has_happened = state == after;
            assert!(
                has_happened || (!is_done && state == before),
                "after {operations} operations"
            );
            seen[usize::from(has_happened)] += 1;
            let _ = next(&mut seed);
            // It goes on from there.
            drop(world);
            let (mut world, _) = keep(&|| Arc::new(disk.clone()), &printed);
            assert_eq!(world.to_checkpoint(), state);
            assert_eq!(world.run_to_idle(), Stopped::Idle);
        }
    }
    assert!(seen[0] > 10 && seen[1] > 10, "{seen:?}");
}

#[test]
fn a_running_world_whose_rollback_fails_halts_and_loses_nothing() {
    let [before, after] = states();
    let printed = Printed::default();
    let (mut failed, mut halted) = (0, 0);
    for operations in 0..40 {
        let disk = FaultyDisk::default();
        let mut world = begun(disk.clone(), &printed);
        world.flush().unwrap();
        disk.fail_after(operations);
        let done = world.roll_back(None, sends(100)).map(drop);
        if let Err(error) = &done {
            failed += 1;
            halted += u32::from(world.halted().is_some());
            let reason = world.history_error().expect("it is said");
            assert!(reason.contains("no space is left"), "{error}: {reason}");
            // Nothing happens in it, and nothing is said to be durable.
            let ticks = world.ticks();
            assert_eq!(world.run_ticks(5), Stopped::Idle);
            assert_eq!(world.ticks(), ticks);
            assert!(world.flush().is_err() && world.checkpoint().is_err());
        }
        drop(world);
        disk.work_again();
        let (world, _) = keep(&|| Arc::new(disk.clone()), &printed);
        let state = world.to_checkpoint();
        let has_happened = state == after;
        assert!(has_happened || (done.is_err() && state == before));
    }
    assert!(failed > 3 && halted > 3, "{failed} {halted}");
}

#[test]
fn a_world_that_is_halted_goes_on_without_the_input_that_halted_it() {
    // What is on the disk in the middle of a tick is what is left when the process ends there.
    let snapshots = Arc::<Mutex<Vec<MemoryDisk>>>::default();
    let touchy = |disk: &MemoryDisk| {
        let (disk, snapshots) = (disk.clone(), Arc::clone(&snapshots));
        histories::builder().host(HostFunction::pure("touch", move |arguments| {
            if arguments == [Datum::Int(13)] {
                snapshots.lock().unwrap().push(disk.copy());
            }
            Ok(Datum::Nil)
        }))
    };
    let mut disk = MemoryDisk::default();
    let (mut world, _) = touchy(&disk)
        .keep(Arc::new(disk.clone()), settings())
        .unwrap();
    let program = load(
        &mut world,
        "(define (tell sum) (let ((n (receive))) (host-call 'touch n) (tell (+ sum n))))
         (define (main) (tell 0))",
    );
    let actor = world.spawn(program, &[]).unwrap();
    for number in [1, 2, 13] {
        world.flush().unwrap();
        tell(&mut world, actor, number);
    }
    drop(world);
    disk = snapshots.lock().unwrap()[0].copy();
    let halted = loop {
        snapshots.lock().unwrap().clear();
        let kept = touchy(&disk).keep(Arc::new(disk.clone()), settings());
        let (mut world, _) = match kept {
            Ok(kept) => kept,
            Err(error) => break error,
        };
        if snapshots.lock().unwrap().is_empty() && world.run_to_idle() == Stopped::Idle {
            let is_there = !snapshots.lock().unwrap().is_empty();
            if !is_there {
                tell(&mut world, actor, 13);
            }
        }
        disk = snapshots.lock().unwrap()[0].copy();
    };
    assert!(matches!(halted, RecoveryError::Halted { .. }), "{halted}");
    snapshots.lock().unwrap().clear();
    let done = without(touchy(&disk), Arc::new(disk.clone()), sends(13));
    let (mut world, ..) = done.unwrap();
    assert!(
        snapshots.lock().unwrap().is_empty(),
        "that tick was not done"
    );
    tell(&mut world, actor, 3);
    drop(world);
    let (_, recovery) = touchy(&disk)
        .keep(Arc::new(disk.clone()), settings())
        .unwrap();
    assert_eq!(recovery.suspect, None);
}
