//! Ticks that end the process: after two crashes in one a tick is done by the reference interpreter, after the third the world is halted with
//! a bundle of it, and other worlds go on.
//!
//! The processes that end are this test's own binary, started again with [`ROLE`] set: real ones, ended by a stack that is too small
//! for what native code was promised, or by a function of the embedder that aborts.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::tier::JitSettings;
use physics_world::runtime::checkpoint::RecoveryError;
use physics_world::runtime::disk::{Disk, MemoryDisk, RealDisk, read_all};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::{
    AskError, Bundle, HistorySettings, Recovery, Stopped, Suspect, WorldBuilder, WorldEvent,
    forget_crashes,
};
use physics_world::{ActorId, Datum, World, WorldSettings};
use worlds::load;

/// What a process that is started again is to do, and where.
const ROLE: &str = "PW_POISON_ROLE";
const DIRECTORY: &str = "PW_POISON_DIRECTORY";

/// Bytes of the stack that native code is promised, and of the one that there is.
const PROMISED: u64 = 64 << 20;
const STACK: usize = 512 << 10;

/// Recursion that takes more native stack than there is, in one turn.
const DEEP: &str = "
(define (deep n) (if (= n 0) 0 (+ 1 (deep (- n 1)))))
(define (main) (yield) (deep 10) (yield) (deep 100000))
";

/// Waits for a number, and tells it to a function that may not survive it.
const TELLS: &str = "
(define (tell) (let ((number (receive))) (host-call 'touch number) (tell)))
(define (main) (tell))
";

fn deep_world() -> WorldBuilder {
    World::builder()
        .performance(PerformanceSettings {
            jit: Some(JitSettings {
                native_stack: PROMISED,
                ..JitSettings::eager()
            }),
            threads: 1,
            ..PerformanceSettings::default()
        })
        .settings(WorldSettings {
            tick_gas: 1 << 30,
            quantum: 1 << 30,
            quantum_min: 1 << 30,
            ..WorldSettings::default()
        })
}

/// A world with a function that ends the process when it is told 13.
fn touchy_world() -> WorldBuilder {
    histories::builder().host(HostFunction::pure("touch", |arguments| {
        if arguments == [Datum::Int(13)] {
            std::process::abort();
        }
        Ok(Datum::Nil)
    }))
}

/// What a process that is started again does; nothing in the process of the tests.
#[test]
fn a_process_of_the_tests_does_its_part() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let directory = PathBuf::from(std::env::var_os(DIRECTORY).unwrap());
    let part = move || match role.as_str() {
        "deep" => be_deep(&directory),
        "touchy" => be_touchy(&directory),
        other => panic!("{other} is no part"),
    };
    let thread = std::thread::Builder::new().stack_size(STACK);
    thread.spawn(part).unwrap().join().unwrap();
}

/// Begins a world in a directory or goes on with it.
fn keep(builder: WorldBuilder, directory: &Path) -> Result<(World, Recovery), RecoveryError> {
    let disk = Arc::new(RealDisk::open(directory).unwrap());
    builder.keep(disk, HistorySettings::default())
}

fn be_deep(directory: &Path) {
    let (mut world, recovery) = keep(deep_world(), directory).unwrap();
    println!("suspect {:?}", recovery.suspect);
    if recovery.checkpoint.is_none() {
        let program = load(&mut world, DEEP);
        world.spawn(program, &[]).unwrap();
        world.flush().unwrap();
    }
    world.run_to_idle();
    let end = world.end_of(ActorId(1)).unwrap();
    println!("value {:?} gas {}", worlds::value(&world, end), end.gas);
    world.checkpoint().unwrap();
}

fn be_touchy(directory: &Path) {
    let mut world = match keep(touchy_world(), directory) {
        Ok((world, recovery)) => {
            println!("suspect {:?}", recovery.suspect);
            world
        }
        Err(error) => {
            println!("refused: {error}");
            // Another world of the same process.
            let (mut other, _) = keep(touchy_world(), &directory.join("other")).unwrap();
            let program = load(&mut other, TELLS);
            let actor = other.spawn(program, &[]).unwrap();
            other.send(actor, &Datum::Int(1));
            other.run_to_idle();
            assert_eq!(other.statistics().delivered, 1);
            println!("another goes on");
            return;
        }
    };
    if world.actor_count() == 0 {
        let program = load(&mut world, TELLS);
        world.spawn(program, &[]).unwrap();
        for number in [1, 2, 13] {
            world.run_to_idle();
            // What nobody waits for need not be in the journal when the process ends.
            world.send(ActorId(1), &Datum::Int(number));
        }
        world.flush().unwrap();
    }
    world.run_to_idle();
    println!("survived");
}

/// A directory of a test, not there yet.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It may be there from an earlier run.
    let _ = std::fs::remove_dir_all(&directory);
    directory
}

/// Starts this binary again.
fn process(role: &str, directory: &Path) -> (Output, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_of_the_tests_does_its_part"])
        .args(["--nocapture", "--test-threads", "1"])
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn a_tick_that_ended_two_processes_is_done_by_the_reference_interpreter() {
    let directory = directory("poison-deep");
    let (first, text) = process("deep", &directory);
    assert!(!first.status.success(), "{text}");
    assert!(text.contains("suspect None"), "{text} {first:?}");
    let (second, text) = process("deep", &directory);
    assert!(!second.status.success(), "{text}");
    let (third, text) = process("deep", &directory);
    assert!(third.status.success(), "{text}{third:?}");
    assert!(text.contains("crashes: 2"), "{text}");
    // The same as without native code.
    let mut world = histories::builder().build().unwrap();
    let program = load(&mut world, DEEP);
    let actor = world.spawn(program, &[]).unwrap();
    let end = world.run_until_end(actor).unwrap();
    let expected = format!("value {:?} gas {}", worlds::value(&world, &end), end.gas);
    assert!(text.contains(&expected), "{text}: {expected}");
    // It is past that tick.
    let (fourth, text) = process("deep", &directory);
    assert!(
        fourth.status.success() && text.contains("suspect None"),
        "{text}"
    );
}

#[test]
fn a_tick_that_ended_three_processes_halts_its_world_and_no_other() {
    let directory = directory("poison-touchy");
    for crashes in 1..=3 {
        let (output, text) = process("touchy", &directory);
        assert!(!output.status.success(), "process {crashes}: {text}");
        assert!(!text.contains("survived"), "{text}");
    }
    let (output, text) = process("touchy", &directory);
    assert!(output.status.success(), "{text}{output:?}");
    assert!(
        text.contains("has ended the process 3 times") && text.contains("another goes on"),
        "{text}"
    );
    let refused = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pw"))
            .args(arguments)
            .arg(&directory)
            .output();
        let output = output.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    for command in [&["recover"][..], &["checkpoint"]] {
        let (code, text) = refused(command);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains("a fault of the engine"), "{text}");
    }
    // The bundle has what the tick begins with, and the input that it does not survive.
    let names = std::fs::read_dir(&directory).unwrap();
    let bundle = names
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|of| of == "pwbundle"))
        .expect("a bundle");
    let told = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&told);
    let touch = HostFunction::pure("touch", move |arguments| {
        hears.lock().unwrap().push(arguments[0].clone());
        Ok(Datum::Nil)
    });
    let disk = Bundle::open(&std::fs::read(bundle).unwrap()).unwrap();
    let builder = histories::builder().host(touch);
    let mut replay = builder.replay(Arc::new(disk)).unwrap();
    let last = replay.range().1;
    replay.go_to(last - 1).unwrap();
    assert_eq!(*told.lock().unwrap(), [Datum::Int(1), Datum::Int(2)]);
    replay.forward().unwrap();
    assert_eq!(told.lock().unwrap().last(), Some(&Datum::Int(13)));
    // Who has mended it takes the history up again: `pw` refuses it for another reason then.
    let (code, text) = refused(&["recover", "--again"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("needs the function `touch`"), "{text}");
}

/// A world whose function keeps what is on the disk in the middle of a tick: what is left when the process ends there.
fn snapped(disk: &MemoryDisk, snapshots: &Arc<Mutex<Vec<MemoryDisk>>>) -> WorldBuilder {
    let (disk, snapshots) = (disk.clone(), Arc::clone(snapshots));
    histories::builder().host(HostFunction::pure("touch", move |arguments| {
        if arguments == [Datum::Int(13)] {
            snapshots.lock().unwrap().push(disk.copy());
        }
        Ok(Datum::Nil)
    }))
}

/// Takes up a history, tells it to go on, and gives what is left when the process ends in the tick of 13.
fn crash(disk: &MemoryDisk, and_tell: bool) -> Result<(MemoryDisk, Recovery), RecoveryError> {
    let snapshots = Arc::<Mutex<Vec<MemoryDisk>>>::default();
    let builder = snapped(disk, &snapshots);
    let (mut world, recovery) = builder.keep(Arc::new(disk.clone()), histories::settings())?;
    if and_tell {
        world.send(ActorId(1), &Datum::Int(13));
    }
    world.run_to_idle();
    let left = snapshots.lock().unwrap().first().cloned();
    Ok((left.expect("a tick of 13"), recovery))
}

/// A history of an actor that has heard some numbers.
fn begun() -> MemoryDisk {
    let disk = MemoryDisk::default();
    let builder = snapped(&disk, &Arc::default());
    let (mut world, _) = builder
        .keep(Arc::new(disk.clone()), histories::settings())
        .unwrap();
    let program = load(&mut world, TELLS);
    world.spawn(program, &[]).unwrap();
    for number in 0..9 {
        world.run_to_idle();
        world.send(ActorId(1), &Datum::Int(number));
    }
    world.run_to_idle();
    drop(world);
    disk
}

#[test]
fn crashes_are_counted_by_tick_until_the_world_is_past_it() {
    let disk = begun();
    // The first is in a tick that nobody knows: the input may not even be in the journal.
    let (disk, recovery) = crash(&disk, true).unwrap();
    assert_eq!(recovery.suspect, None);
    let ticks = recovery.ticks;
    let (disk, recovery) = crash(&disk, true).unwrap();
    assert_eq!(recovery.suspect, None);
    // It was in the journal before the tick began that was marked, and counts for the one before.
    let (left, recovery) = crash(&disk, false).unwrap();
    let suspect = recovery.suspect.unwrap();
    assert_eq!((suspect.tick, suspect.crashes), (ticks, 2));
    // Who survives it has a checkpoint behind it, and nothing is suspected after that.
    let builder = snapped(&disk, &Arc::default());
    let kept = builder.keep(Arc::new(disk.clone()), histories::settings());
    let mut world = kept.unwrap().0;
    world.run_to_idle();
    world.checkpoint().unwrap();
    let past = disk.copy();
    drop(world);
    for disk in [past, disk] {
        let kept = snapped(&disk, &Arc::default()).keep(Arc::new(disk), histories::settings());
        assert_eq!(kept.unwrap().1.suspect, None);
    }
    // A third one halts the world, with a bundle, until somebody says otherwise.
    for _ in 0..2 {
        let error = crash(&left, false).unwrap_err();
        let RecoveryError::Halted {
            tick,
            crashes,
            bundle,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((*tick, *crashes), (ticks, 3));
        assert!(Bundle::open(&read_all(&left, bundle).unwrap()).is_ok());
    }
    forget_crashes(&left).unwrap();
    assert_eq!(crash(&left, false).unwrap().1.suspect, None);
}

#[test]
fn a_world_that_ends_in_order_was_no_crash_and_writes_nothing_for_it() {
    let disk = begun();
    let mark = || read_all(&disk, "running").unwrap();
    let at_rest = mark();
    let kept = snapped(&disk, &Arc::default()).keep(Arc::new(disk.clone()), histories::settings());
    let mut world = kept.unwrap().0;
    let running = mark();
    assert_ne!(running, at_rest);
    world.send(ActorId(1), &Datum::Int(1));
    world.run_to_idle();
    assert_eq!(mark(), running, "no tick is marked");
    drop(world);
    assert_eq!(mark(), at_rest);
}

#[test]
fn marks_end_when_the_world_is_past_where_the_crash_was() {
    let disk = begun().copy();
    let kept = snapped(&disk, &Arc::default()).keep(Arc::new(disk.clone()), histories::settings());
    let crashed = disk.copy();
    drop(kept);
    let again = snapped(&crashed, &Arc::default());
    let kept = again.keep(Arc::new(crashed.clone()), histories::settings());
    let mut world = kept.unwrap().0;
    let mark = || read_all(&crashed, "running").unwrap();
    let mut marks = Vec::new();
    for _ in 0..6 {
        let before = mark();
        world.send(ActorId(1), &Datum::Int(1));
        world.run_to_idle();
        marks.push(before != mark());
    }
    assert_eq!(marks.pop(), Some(false), "{marks:?}");
}

#[test]
fn an_unwinding_that_leaves_a_tick_holds_up_no_answer() {
    let disk = begun();
    let builder = snapped(&disk, &Arc::default());
    let (mut world, _) = builder.keep(Arc::new(disk), histories::settings()).unwrap();
    let ended = ActorId(1);
    world.handle().kill(ended);
    world.run_to_idle();
    let session = world.open_session();
    let client = world.handle().resume_session(session, 0);
    let asked = [1, 2].map(|number| client.say_numbered(number, ended, Datum::Nil, true));
    // The first has its answer when an observer panics about the second.
    let mut letters = 0;
    world.observe(move |event| {
        letters += usize::from(matches!(event, WorldEvent::DeadLetter { .. }));
        assert!(letters != 2, "the engine has a defect");
    });
    let run = std::panic::AssertUnwindSafe(|| world.serve());
    assert!(std::panic::catch_unwind(run).is_err());
    let [first, second] = asked;
    let answer = futures_executor::block_on(first);
    assert!(matches!(answer, Err(AskError::Refused(_))), "{answer:?}");
    // What is said now waits for nothing else.
    let answer = world.ask(ended, &Datum::Nil);
    assert!(matches!(answer, Err(AskError::Refused(_))), "{answer:?}");
    drop(world);
    let answer = futures_executor::block_on(second);
    assert!(matches!(answer, Err(AskError::Gone)), "{answer:?}");
}

#[test]
fn an_unwinding_that_leaves_a_tick_is_a_crash() {
    let disk = begun();
    let keep = |disk: &MemoryDisk| {
        let builder = snapped(disk, &Arc::default());
        builder
            .keep(Arc::new(disk.clone()), histories::settings())
            .unwrap()
    };
    let (mut world, _) = keep(&disk);
    let tick = world.ticks();
    world.observe(|event| {
        assert!(
            !matches!(event, WorldEvent::Tick { .. }),
            "the engine has a defect"
        );
    });
    world.send(ActorId(1), &Datum::Int(1));
    let mut attempt = || {
        let run = std::panic::AssertUnwindSafe(|| world.tick());
        let panic = std::panic::catch_unwind(run).unwrap_err();
        panic.downcast_ref::<String>().cloned()
    };
    attempt();
    // What is left is no state of the history.
    let text = attempt().unwrap();
    assert!(text.contains("has to be recovered"), "{text}");
    assert_eq!(world.run_ticks(1), Stopped::Idle);
    assert_eq!(world.history_error(), Some(text.clone()));
    assert_eq!(world.checkpoint(), Err(text));
    // What is made durable is about the ticks before.
    let _ = world.flush();
    drop(world);
    let (world, recovery) = keep(&disk);
    assert_eq!(recovery.suspect, Some(Suspect { tick, crashes: 1 }));
    drop(world);
    // To take it up and let it go again changes nothing about that.
    assert_eq!(keep(&disk).1.suspect, Some(Suspect { tick, crashes: 1 }));
    assert!(disk.list().unwrap().contains(&"running".to_owned()));
}
