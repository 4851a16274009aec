//! Histories: what was acknowledged is there after any end of a process, and any damage of the files is seen.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::{Arc, Mutex};

use histories::{BUSY, COUNTER, builder, busy, keep, settings};
use physics_world::runtime::checkpoint::{RecoveryError, SystemCheckpoint};
use physics_world::runtime::disk::{Disk, MemoryDisk, read_all};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::{Recovery, Stopped};
use physics_world::{ActorId, Datum, World, WorldSettings};
use worlds::load;

/// The names of the checkpoints, the oldest first.
fn checkpoints(disk: &MemoryDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with("checkpoint-"));
    names
}

/// The last segment of the journal.
fn segment(disk: &MemoryDisk) -> String {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.starts_with("journal-"));
    names.pop().unwrap()
}

/// Changes a byte of a file.
fn damage(disk: &MemoryDisk, name: &str, offset: usize) {
    let mut bytes = read_all(disk, name).unwrap();
    bytes[offset] ^= 0x40;
    disk.create(name).unwrap().write_at(0, &bytes).unwrap();
}

#[test]
fn a_world_is_recovered_as_it_was_after_every_tick() {
    let disk = MemoryDisk::default();
    let (mut world, first) = keep(&disk);
    assert_eq!(first, Recovery::default());
    let program = load(&mut world, BUSY);
    world.spawn(program, &[]).unwrap();
    for _ in 0..100 {
        world.run_ticks(1);
        world.flush().unwrap();
        let (again, recovery) = keep(&disk.copy());
        assert_eq!(again.to_checkpoint(), world.to_checkpoint());
        assert_eq!(recovery.ticks, world.ticks());
        assert_eq!(recovery.tail, None);
        assert!(recovery.checkpoint.unwrap() + 40 > world.ticks());
    }
    // Old checkpoints go, at the latest when the world does, and the newest stand on one another.
    drop(world);
    assert!(checkpoints(&disk).len() <= 6, "{:?}", checkpoints(&disk));
}

#[test]
fn what_was_told_and_asked_before_the_end_is_there_after_it() {
    let disk = MemoryDisk::default();
    let printed = Arc::new(Mutex::new(Vec::new()));
    let with_print = || {
        let printed = Arc::clone(&printed);
        builder().host(
            HostFunction::output("print", move |call| {
                printed.lock().unwrap().push((call.number(), call.text()));
            })
            .needing("io-console"),
        )
    };
    let begin = |disk: &MemoryDisk| {
        let disk = Arc::new(disk.clone());
        with_print().keep(disk, settings()).unwrap()
    };
    let (mut world, _) = begin(&disk);
    let program = load(&mut world, COUNTER);
    let counter = world.spawn(program, &[]).unwrap();
    let mut disk = disk;
    let mut sum = 0;
    for number in 1..=40 {
        sum += number;
        let answer = world.ask(counter, &Datum::Int(number)).unwrap();
        assert_eq!(answer, Datum::Int(sum));
        world.flush().unwrap();
        if number % 3 == 0 {
            disk = disk.copy();
            drop(world);
            let (again, recovery) = begin(&disk);
            assert_eq!(recovery.outputs, 0, "all outputs had left");
            world = again;
        }
    }
    drop(world);
    let printed = printed.lock().unwrap();
    let numbers: Vec<u64> = printed.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>(), "each left once");
    assert_eq!(printed[39].1, sum.to_string());
}

#[test]
fn an_output_that_nobody_knows_to_have_left_leaves_again_under_its_number() {
    let disk = MemoryDisk::default();
    let (mut world, _) = builder()
        .host(HostFunction::output("print", |_| {}).needing("io-console"))
        .keep(Arc::new(disk.clone()), settings())
        .unwrap();
    let program = load(&mut world, "(define (main) (print \"once\") (receive))");
    world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    world.flush().unwrap();
    // The last batch says that it has left: a process that ends before it is written does not know.
    let name = segment(&disk);
    let length = read_all(&disk, &name).unwrap().len();
    let torn = disk.copy();
    torn.open(&name)
        .unwrap()
        .truncate(length as u64 - 1)
        .unwrap();
    let printed = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&printed);
    let (mut again, recovery) = builder()
        .host(
            HostFunction::output("print", move |call| {
                told.lock().unwrap().push((call.number(), call.text()));
            })
            .needing("io-console"),
        )
        .keep(Arc::new(torn), settings())
        .unwrap();
    again.flush().unwrap();
    assert_eq!(recovery.outputs, 1);
    assert!(recovery.tail.is_some());
    assert_eq!(*printed.lock().unwrap(), [(1, "once".to_owned())]);
}

#[test]
fn a_call_without_an_answer_is_made_again() {
    let disk = MemoryDisk::default();
    let (asked, answers) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(())));
    let begin = |disk: &MemoryDisk| {
        let (asked, answers) = (Arc::clone(&asked), Arc::clone(&answers));
        let call = HostFunction::call("slow", move |_, _| {
            *asked.lock().unwrap() += 1;
            drop(answers.lock());
            Ok(Datum::Int(7))
        });
        builder()
            .host(call)
            .keep(Arc::new(disk.clone()), settings())
            .unwrap()
            .0
    };
    let mut world = begin(&disk);
    let program = load(&mut world, "(define (main) (+ 1 (host-call 'slow)))");
    let first = world.spawn(program, &[]).unwrap();
    let blocked = answers.lock().unwrap();
    world.run_ticks(1);
    world.flush().unwrap();
    let copy = disk.copy();
    let mut again = begin(&copy);
    while *asked.lock().unwrap() < 2 {
        std::thread::yield_now();
    }
    drop(blocked);
    let end = again.run_until_end(first).unwrap();
    assert_eq!(worlds::value(&again, &end), Datum::Int(8));
    drop(world);
    assert_eq!(*asked.lock().unwrap(), 2);
    // The answer is in the journal now, so it is not asked for again.
    again.flush().unwrap();
    let mut third = begin(&copy.copy());
    assert_eq!(third.run_to_idle(), Stopped::Idle);
    assert_eq!(*asked.lock().unwrap(), 2);
}

#[test]
fn a_damaged_checkpoint_is_seen_and_the_one_before_it_used() {
    let (disk, states) = busy(90);
    let names = checkpoints(&disk);
    for (place, name) in names.iter().enumerate().skip(1) {
        let length = read_all(&disk, name).unwrap().len();
        for offset in (0..length).step_by(length / 8).chain([length - 1]) {
            let damaged = disk.copy();
            damage(&damaged, name, offset);
            let (world, recovery) = keep(&damaged);
            assert_eq!(world.to_checkpoint(), states[90], "{name} at {offset}");
            if place + 1 == names.len() {
                assert!(recovery.flaws[0].name == *name, "{:?}", recovery.flaws);
            }
        }
    }
    // Without any checkpoint there is nothing to begin with.
    let damaged = disk.copy();
    names.iter().for_each(|name| damage(&damaged, name, 50));
    let error = builder().keep(Arc::new(damaged), settings()).unwrap_err();
    assert!(matches!(error, RecoveryError::NoCheckpoint(flaws) if flaws.len() == names.len()));
}

#[test]
fn a_checkpoint_that_was_not_finished_is_not_used() {
    let (disk, states) = busy(90);
    let newest = checkpoints(&disk).pop().unwrap();
    let bytes = read_all(&disk, &newest).unwrap();
    for length in (0..bytes.len()).step_by(bytes.len() / 16) {
        let torn = disk.copy();
        torn.open(&newest).unwrap().truncate(length as u64).unwrap();
        let (world, recovery) = keep(&torn);
        assert_eq!(world.to_checkpoint(), states[90]);
        assert_eq!(recovery.flaws.len(), 1);
    }
}

#[test]
fn a_torn_journal_ends_where_it_was_torn() {
    let (disk, states) = busy(40);
    let name = segment(&disk);
    let length = read_all(&disk, &name).unwrap().len();
    let mut reached = Vec::new();
    for cut in (0..length).step_by(7) {
        let torn = disk.copy();
        torn.open(&name).unwrap().truncate(cut as u64).unwrap();
        let (world, _) = keep(&torn);
        let ticks = world.ticks() as usize;
        assert_eq!(
            world.to_checkpoint().actor_states,
            states[ticks].actor_states
        );
        reached.push(ticks);
    }
    assert!(reached.is_sorted(), "more of a journal is more history");
    assert!(reached.contains(&39), "{reached:?}");
}

#[test]
fn damage_of_what_had_been_durable_is_refused() {
    let (disk, _) = busy(40);
    let name = segment(&disk);
    let bytes = read_all(&disk, &name).unwrap();
    let oldest = checkpoints(&disk)[0].clone();
    let (mut refused, mut torn) = (0, 0);
    for offset in (0..bytes.len()).step_by(5) {
        let damaged = disk.copy();
        // Only the journal knows what came after the first checkpoint.
        for newer in &checkpoints(&disk)[1..] {
            damaged.remove(newer).unwrap();
        }
        damage(&damaged, &name, offset);
        match builder().keep(Arc::new(damaged), settings()) {
            Err(error) => {
                assert!(error.to_string().contains("journal"), "{error}");
                refused += 1;
            }
            Ok((_, recovery)) => {
                assert!(
                    recovery.tail.is_some(),
                    "{oldest}: damage at {offset} is not seen"
                );
                torn += 1;
            }
        }
    }
    // Only the last batches could be torn.
    assert!(refused > 9 * torn, "{refused} refused, {torn} torn");
}

/// Runs a world on a thread of its own until its handle stops it.
fn served(mut world: World) -> std::thread::JoinHandle<World> {
    std::thread::spawn(move || {
        world.serve();
        world
    })
}

#[test]
fn what_a_client_says_again_takes_effect_once() {
    use futures_executor::block_on;
    let disk = MemoryDisk::default();
    let begin = |disk: &MemoryDisk| {
        let print = HostFunction::output("print", |_| {}).needing("io-console");
        let kept = builder()
            .host(print)
            .keep(Arc::new(disk.clone()), settings());
        kept.unwrap().0
    };
    let mut world = begin(&disk);
    let program = load(&mut world, COUNTER);
    let counter = world.spawn(program, &[]).unwrap();
    let handle = world.handle();
    let serving = served(world);
    let mut client = block_on(handle.open_session()).unwrap();
    assert_eq!(
        block_on(client.ask(counter, Datum::Int(5))).unwrap(),
        Datum::Int(5)
    );
    block_on(client.send(counter, Datum::Int(2))).unwrap();
    assert_eq!(
        block_on(client.ask(counter, Datum::Int(1))).unwrap(),
        Datum::Int(8)
    );
    let (session, heard) = (client.session(), client.sequence());
    handle.stop();
    drop(serving.join().unwrap());
    // Another process recovers the world, and the client does not know whether its last question was heard.
    let world = begin(&disk.copy());
    let handle = world.handle();
    let serving = served(world);
    let mut again = handle.resume_session(session, heard - 1);
    assert_eq!(
        block_on(again.ask(counter, Datum::Int(1))).unwrap(),
        Datum::Int(8)
    );
    assert_eq!(
        block_on(again.ask(counter, Datum::Int(1))).unwrap(),
        Datum::Int(9)
    );
    // What is older, skipped or of nobody is refused with a reason.
    let refused = |session, sequence| {
        let client = handle.resume_session(session, 0);
        let said = client.say_numbered(sequence, counter, Datum::Int(1), true);
        block_on(said).unwrap_err().to_string()
    };
    assert_eq!(
        refused(session, 2),
        "number 2 in session 1, where 4 was last"
    );
    assert_eq!(
        refused(session, 6),
        "number 6 in session 1, where 4 was last"
    );
    assert_eq!(refused(9, 1), "session 9 was never opened");
    handle.stop();
    drop(serving.join().unwrap());
}

#[test]
fn a_session_that_was_silent_longest_expires() {
    use futures_executor::block_on;
    let mut world = builder()
        .settings(WorldSettings {
            sessions_max: 2,
            ..WorldSettings::default()
        })
        .build()
        .unwrap();
    let program = load(&mut world, "(define (main) (receive) (main))");
    let actor = world.spawn(program, &[]).unwrap();
    let handle = world.handle();
    let serving = served(world);
    let mut first = block_on(handle.open_session()).unwrap();
    let mut second = block_on(handle.open_session()).unwrap();
    block_on(first.send(actor, Datum::Nil)).unwrap();
    let mut third = block_on(handle.open_session()).unwrap();
    let error = block_on(second.send(actor, Datum::Nil)).unwrap_err();
    assert_eq!(error.to_string(), "session 2 has expired");
    block_on(first.send(actor, Datum::Nil)).unwrap();
    block_on(third.send(actor, Datum::Nil)).unwrap();
    handle.stop();
    drop(serving.join().unwrap());
}

#[test]
fn whatever_acts_on_a_world_is_in_its_history() {
    use physics_world::runtime::inspect::{Breakpoint, Intervention};
    use physics_world::runtime::message::AdvancedMessagePattern;
    use physics_world::runtime::quota::Quota;
    let disk = MemoryDisk::default();
    let (mut world, _) = keep(&disk);
    let program = load(&mut world, BUSY);
    let waits = load(
        &mut world,
        "(define (main) (subscribe 'news) (let loop () (receive :timeout 50) (loop)))",
    );
    let first = world.spawn(program, &[]).unwrap();
    let second = world.spawn(waits, &[]).unwrap();
    world.run_ticks(2);
    world.send_with_priority(second, &Datum::from("urgent"), 0);
    world.publish("news", &Datum::Int(1));
    world.dispatch(
        second,
        AdvancedMessagePattern::RequestReply {
            request_id: 3,
            content: Datum::Nil,
            reply_to: first,
        },
    );
    let quota = Quota {
        gas_per_tick: Some(70_000),
        ..Quota::default()
    };
    assert!(world.set_quota(first, quota));
    world.run_ticks(2);
    assert!(world.grant(second, "io-network", true));
    assert!(world.revoke_from(second, "io-console"));
    let limits = world.limits(first).unwrap();
    assert!(world.set_limits(first, limits));
    let breakpoint = Breakpoint::Function("spin".to_owned());
    world
        .intervene(Intervention::Break(first, breakpoint))
        .unwrap();
    world.run_ticks(3);
    world.intervene(Intervention::Resume(first)).unwrap();
    world.intervene(Intervention::Clear(first)).unwrap();
    world.handle().tell_time(60);
    world.run_ticks(3);
    world.handle().kill(second);
    world.run_ticks(3);
    world.flush().unwrap();
    // From the first checkpoint on, so that every input takes effect again.
    let copy = disk.copy();
    for newer in &checkpoints(&copy)[1..] {
        copy.remove(newer).unwrap();
    }
    let (again, recovery) = keep(&copy);
    assert_eq!(recovery.checkpoint, Some(0));
    assert_eq!(again.to_checkpoint(), world.to_checkpoint());
}

#[test]
fn a_checkpoint_at_the_tick_of_the_last_one_does_not_stand_on_itself() {
    let disk = MemoryDisk::default();
    let (mut world, _) = keep(&disk);
    world.begin_checkpoint();
    let program = load(&mut world, BUSY);
    world.spawn(program, &[]).unwrap();
    world.checkpoint().unwrap();
    // It has what took effect at the same tick, and a second one nothing more.
    let written = read_all(&disk, &checkpoints(&disk)[0]).unwrap();
    assert!(keep(&disk.copy()).1.inputs == 0);
    world.checkpoint().unwrap();
    assert_eq!(read_all(&disk, &checkpoints(&disk)[0]).unwrap(), written);
    world.run_ticks(3);
    world.flush().unwrap();
    let (again, recovery) = keep(&disk.copy());
    assert_eq!(again.to_checkpoint(), world.to_checkpoint());
    assert!(recovery.flaws.is_empty(), "{:?}", recovery.flaws);
}

#[test]
fn an_actor_that_nobody_else_changes_beside_is_in_each_checkpoint_as_it_is() {
    let disk = MemoryDisk::default();
    let (mut world, _) = keep(&disk);
    let program = load(
        &mut world,
        "(define (adder sum) (adder (+ sum (receive)))) (define (main) (adder 0))",
    );
    let adder = world.spawn(program, &[]).unwrap();
    for number in 1..6 {
        // Its change was also the last one before the checkpoint.
        assert!(world.send(adder, &Datum::Int(number)));
        world.run_to_idle();
        world.checkpoint().unwrap();
        let (again, recovery) = keep(&disk.copy());
        assert_eq!(recovery.inputs, 0);
        assert_eq!(again.to_checkpoint(), world.to_checkpoint());
    }
}

#[test]
fn what_comes_while_a_world_is_recovered_comes_after_that() {
    let (disk, states) = busy(20);
    let mut world = builder().build().unwrap();
    let handle = world.handle();
    handle.kill(ActorId(1));
    handle.tell_time(99);
    world
        .keep_history(Arc::new(disk.clone()), settings())
        .unwrap();
    let recovered = SystemCheckpoint {
        pending_inputs: Vec::new(),
        ..world.to_checkpoint()
    };
    assert_eq!(recovered, states[20]);
    world.run_ticks(1);
    assert_eq!(world.now_ms(), 99);
    assert!(world.actor(ActorId(1)).is_none());
    world.flush().unwrap();
    assert_eq!(keep(&disk.copy()).0.to_checkpoint(), world.to_checkpoint());
}

#[test]
fn a_world_that_has_begun_or_lacks_a_function_cannot_take_over_a_history() {
    let (disk, _) = busy(5);
    let mut world = builder().build().unwrap();
    load(&mut world, COUNTER);
    let error = world.keep_history(Arc::new(disk), settings()).unwrap_err();
    assert!(error.to_string().contains("has begun"), "{error}");
    let disk = MemoryDisk::default();
    let double = HostFunction::pure("double", |_| Ok(Datum::Int(2)));
    drop(
        builder()
            .host(double)
            .keep(Arc::new(disk.clone()), settings())
            .unwrap(),
    );
    let error = builder()
        .keep(Arc::new(disk.clone()), settings())
        .unwrap_err();
    assert!(
        matches!(&error, RecoveryError::NoFunction(name) if name == "double"),
        "{error}"
    );
    let needing = HostFunction::pure("double", |_| Ok(Datum::Int(2))).needing("io-network");
    let error = builder()
        .host(needing)
        .keep(Arc::new(disk), settings())
        .unwrap_err();
    assert!(matches!(error, RecoveryError::NoFunction(_)));
}

#[test]
fn an_output_function_that_is_slow_holds_up_no_answer_and_outputs_keep_their_order() {
    let disk = MemoryDisk::default();
    let (gate, printed) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
    let (waits, told) = (Arc::clone(&gate), Arc::clone(&printed));
    let print = HostFunction::output("print", move |call| {
        drop(waits.lock().unwrap());
        told.lock().unwrap().push(call.number());
    });
    let builder = builder().host(print.needing("io-console"));
    let (mut world, _) = builder.keep(Arc::new(disk.clone()), settings()).unwrap();
    let program = load(&mut world, COUNTER);
    let counter = world.spawn(program, &[]).unwrap();
    let closed = gate.lock().unwrap();
    for number in 1..=5 {
        // Each prints before it answers.
        world.ask(counter, &Datum::Int(number)).unwrap();
    }
    assert!(printed.lock().unwrap().is_empty());
    // What has not left leaves again: nobody has said that it has.
    let copy = disk.copy();
    drop(closed);
    world.flush().unwrap();
    assert_eq!(*printed.lock().unwrap(), [1, 2, 3, 4, 5]);
    drop(world);
    let print = HostFunction::output("print", |_| {}).needing("io-console");
    let again = histories::builder().host(print);
    let (_, recovery) = again.keep(Arc::new(copy), settings()).unwrap();
    assert_eq!(recovery.outputs, 5);
    let print = HostFunction::output("print", |_| {}).needing("io-console");
    let again = histories::builder().host(print);
    let (_, recovery) = again.keep(Arc::new(disk), settings()).unwrap();
    assert_eq!(recovery.outputs, 0);
}

#[test]
fn what_no_history_can_hold_is_refused_before_it_takes_effect() {
    use physics_world::runtime::world::Input;
    let (mut world, _) = keep(&MemoryDisk::default());
    let program = load(&mut world, COUNTER);
    let counter = world.spawn(program, &[]).unwrap();
    // Nobody touches these bytes.
    let content = || Datum::Bytes(vec![0; 600 << 20]);
    let send = Input::Send {
        to: counter,
        content: content(),
        priority: 4,
    };
    let text = world.apply(send).unwrap_err().to_string();
    assert!(text.contains("are the most that a history takes"), "{text}");
    let handle = world.handle();
    let serving = served(world);
    let error = handle.ask_blocking(counter, content()).unwrap_err();
    assert!(error.to_string().contains("are the most"), "{error}");
    handle.stop();
    let mut world = serving.join().unwrap();
    world.flush().unwrap();
    assert_eq!(world.history_error(), None);
}
