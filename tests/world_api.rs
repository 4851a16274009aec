//! Worlds as an embedder uses them: what is said from outside and from other threads.

#[path = "support/worlds.rs"]
mod worlds;

use std::sync::{Arc, Mutex};

use physics_world::jit::Fiber;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::reference::{self, Outcome};
use physics_world::runtime::actor::EndReason;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::world::{AskError, Pace, SpawnError, Stopped, WorldEvent};
use physics_world::{ActorId, Datum, World, WorldSettings};
use worlds::{error, load, value, world};

#[test]
fn actors_are_started_asked_and_ended_from_outside() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn counter [start] (let loop ((n start)) (let ((m (receive))) (reply (+ n m)) (loop (+ n m)))))
         (defn main [] 'unused)",
    );
    assert_eq!(
        world.spawn_function(program, "nobody", &[]),
        Err(SpawnError::NoFunction("nobody".to_owned()))
    );
    let wrong = world.spawn_function(program, "counter", &[]);
    assert!(matches!(
        wrong,
        Err(SpawnError::Arity {
            takes: 1,
            given: 0,
            ..
        })
    ));
    let counter = world
        .spawn_function(program, "counter", &[Datum::Int(10)])
        .unwrap();
    assert_eq!(world.ask(counter, &Datum::Int(5)), Ok(Datum::Int(15)));
    assert_eq!(
        world.ask(counter, &Datum::Float(0.5)),
        Ok(Datum::Float(15.5))
    );
    assert!(world.send(counter, &Datum::symbol("no number")));
    assert_eq!(world.run_to_idle(), Stopped::Idle);
    assert_eq!(error(&world.take_end(counter).unwrap()), "TypeMismatch");
    assert!(!world.send(counter, &Datum::Nil));
    assert!(matches!(
        world.ask(counter, &Datum::Nil),
        Err(AskError::Refused(_))
    ));
    let lost = world
        .spawn_function(program, "counter", &[Datum::Int(0)])
        .unwrap();
    world.handle().kill(lost);
    world.run_ticks(1);
    assert_eq!(world.take_end(lost).unwrap().reason, EndReason::Killed);
    assert_eq!(world.actor_count(), 0);
}

#[test]
fn a_question_that_nobody_answers_ends_when_the_world_is_idle() {
    let mut world = world();
    let program = load(&mut world, "(receive)");
    let silent = world.spawn(program, &[]).unwrap();
    let silent_too = world.spawn(program, &[]).unwrap();
    assert_eq!(
        world.ask(silent, &Datum::Nil),
        Err(AskError::Refused(format!("actor {silent} has ended")))
    );
    let program = load(&mut world, "(let loop () (receive) (loop))");
    let listener = world.spawn(program, &[]).unwrap();
    assert_eq!(
        world.ask(listener, &Datum::Nil),
        Err(AskError::Idle(listener))
    );
    assert!(world.send(silent_too, &Datum::Nil));
}

#[test]
fn data_keep_their_shape_on_the_way_through_a_world() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn echo [] (let loop () (reply (receive)) (loop))) 0",
    );
    let echo = world.spawn_function(program, "echo", &[]).unwrap();
    let data = [
        Datum::Nil,
        Datum::Bool(true),
        Datum::Float(-0.0),
        Datum::symbol("symbol"),
        Datum::from("text"),
        Datum::Bytes(vec![0, 255]),
        Datum::Actor(echo),
        Datum::List(vec![Datum::Int(1), Datum::List(vec![Datum::from("deep")])]),
        Datum::Pair(Box::new((Datum::Int(1), Datum::Int(2)))),
        Datum::Vector(vec![Datum::Int(1), Datum::Float(2.0), Datum::Nil]),
        Datum::Map(vec![
            (Datum::from("k"), Datum::Int(1)),
            (Datum::Int(2), Datum::Nil),
        ]),
        Datum::Error {
            kind: physics_world::isa::ErrorKind::Timeout,
            message: "late".to_owned(),
        },
    ];
    for datum in data {
        assert_eq!(world.ask(echo, &datum), Ok(datum));
    }
    let program = load(
        &mut world,
        "(defn give [] (receive) (reply (let ((v (vector 1))) (vector-push! v v) v)) (receive) (reply car)) 0",
    );
    let give = world.spawn_function(program, "give", &[]).unwrap();
    for _ in 0..2 {
        let opaque = world.ask(give, &Datum::Nil).unwrap();
        assert!(matches!(opaque, Datum::Opaque(_)), "{opaque:?}");
        assert_eq!(world.ask(echo, &opaque), Ok(opaque));
    }
}

#[test]
fn other_threads_send_and_ask_while_the_world_serves() {
    let mut world = World::builder()
        .performance(PerformanceSettings {
            threads: 2,
            ..PerformanceSettings::default()
        })
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(defn square [] (let loop () (let ((n (receive))) (reply (* n n)) (loop)))) 0",
    );
    let square = world.spawn_function(program, "square", &[]).unwrap();
    let handle = world.handle();
    let server = std::thread::spawn(move || {
        world.serve();
        world.actor_count()
    });
    std::thread::scope(|scope| {
        for first in 0..4 {
            let handle = handle.clone();
            scope.spawn(move || {
                for n in (first..100).step_by(4) {
                    let asked = if n % 2 == 0 {
                        handle.ask_blocking(square, Datum::Int(n))
                    } else {
                        futures_executor::block_on(handle.ask(square, Datum::Int(n)))
                    };
                    assert_eq!(asked, Ok(Datum::Int(n * n)));
                }
            });
        }
    });
    handle.kill(square);
    assert!(handle.ask_blocking(square, Datum::Int(1)).is_err());
    handle.stop();
    assert_eq!(server.join().unwrap(), 0);
    assert_eq!(handle.ask_blocking(square, Datum::Nil), Err(AskError::Gone));
}

#[test]
fn functions_of_the_embedder_may_take_their_time_and_may_panic() {
    let mut world = World::builder()
        .host(HostFunction::call("slow", |from, arguments| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(Datum::List(vec![Datum::Actor(from), arguments[0].clone()]))
        }))
        .host(HostFunction::call("broken", |_, _| panic!("on purpose")))
        .host(HostFunction::output("tell", |_| panic!("on purpose, too")))
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(defn ask [n] (nth (host-call 'slow n) 1))
         (defn main []
           (list (ask 7) (try (host-call 'broken) (catch e (error-kind e))) (host-call 'tell 1) (ask 8)))",
    );
    let first = world.spawn(program, &[]).unwrap();
    let end = world.run_until_end(first).unwrap();
    let expected = Datum::List(vec![
        Datum::Int(7),
        Datum::symbol("HostLost"),
        Datum::Nil,
        Datum::Int(8),
    ]);
    assert_eq!(value(&world, &end), expected);
}

#[test]
fn time_is_told_by_the_embedder_if_it_wants() {
    let mut world = world();
    world.set_pace(Pace::Told);
    let program = load(&mut world, "(receive :timeout 100)");
    let first = world.spawn(program, &[]).unwrap();
    assert!(world.run_until_end(first).is_none());
    world.handle().tell_time(99);
    assert!(world.run_until_end(first).is_none());
    world.handle().tell_time(50);
    world.handle().tell_time(100);
    assert!(world.run_until_end(first).is_some());
    assert_eq!(world.now_ms(), 100);
}

#[test]
fn whoever_wants_to_sees_what_happens() {
    let mut world = world();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    world.observe(move |event| {
        if !matches!(event, WorldEvent::Tick { .. }) {
            sink.lock().unwrap().push(event.to_string());
        }
    });
    let program = load(
        &mut world,
        "(defn child [] (receive) (car 1)) (defn main [] (let ((c (spawn child))) (send! c 1) (send! c 2) (yield) (publish 'topic 1) (send! c 3)))",
    );
    world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    let seen = seen.lock().unwrap().join("\n");
    for part in [
        "actor 1 started by 0",
        "actor 2 started by 1",
        "1 -> 2: 16 bytes, priority 4",
        "actor 2 ended: TypeMismatch",
        "1 published topic to 0",
        "actor 1 ended: done",
    ] {
        assert!(seen.contains(part), "{part} in\n{seen}");
    }
}

#[test]
fn a_failed_message_is_set_aside_with_what_is_needed_to_see_it_again() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn divide [] (let loop ((n 0)) (let ((m (receive))) (quot 1 m) (loop (+ n 1)))))
         (defn main [] (let ((d (supervise divide :rewind true))) (send! d 1) (send! d 0) (send! d 2) (receive :timeout 5)))",
    );
    let first = world.spawn(program, &[]).unwrap();
    world.run_until_end(first).unwrap();
    let set_aside: Vec<_> = world.quarantine().cloned().collect();
    assert_eq!(set_aside.len(), 1);
    let failed = &set_aside[0];
    assert_eq!(
        (failed.from, failed.failure.kind.name()),
        (first, "DivisionByZero")
    );
    assert_eq!(world.datum(&failed.message), Datum::Int(0));
    let mut fiber = Fiber::from_image(world.code(), &failed.image, 1 << 20).unwrap();
    let mut host = physics_world::solo::Solo::new(Vec::new());
    let again = reference::answer(
        &mut fiber,
        world.code(),
        &mut host,
        Ok(failed.message.clone()),
    );
    assert!(again.is_ok());
    let outcome = reference::run(&mut fiber, world.code(), &mut host, 1_000);
    let Outcome::Failed(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(failure.place, failed.failure.place);
}

#[test]
fn numbers_of_actors_are_never_used_again() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn leaf [] 0) (defn main [] (let loop ((i 0)) (when (< i 100) (spawn leaf) (loop (+ i 1)))))",
    );
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    world.observe(move |event| {
        if let WorldEvent::Started { actor, .. } = event {
            sink.lock().unwrap().push(*actor);
        }
    });
    for _ in 0..3 {
        world.spawn(program, &[]).unwrap();
        world.run_to_idle();
    }
    let mut seen: Vec<ActorId> = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 303);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 303);
    assert_eq!(world.actor_count(), 0);
}

#[test]
fn a_world_that_serves_keeps_the_time_of_the_machine() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn slow [] (let loop () (receive) (pause) (reply 'late) (loop)))
         (defn deaf [] (receive) (receive))
         (defn pause [] (try (request (spawn deaf) 'nothing :timeout 60) (catch e nil)))
         0",
    );
    let slow = world.spawn_function(program, "slow", &[]).unwrap();
    let handle = world.handle();
    let server = std::thread::spawn(move || {
        world.serve();
        world.now_ms()
    });
    let asked = std::time::Instant::now();
    assert_eq!(
        handle.ask_blocking(slow, Datum::Nil),
        Ok(Datum::symbol("late"))
    );
    assert!(asked.elapsed() >= std::time::Duration::from_millis(55));
    handle.stop();
    assert!(server.join().unwrap() >= 60);
}

#[test]
fn waits_that_end_early_leave_no_timer_behind() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn echo [] (let loop () (let ((m (receive :timeout 1000000000))) (when m (send! (sender) m) (loop)))))
         (defn main [n] (let ((e (spawn echo))) (let loop ((i 0)) (if (< i n) (begin (send! e i) (receive :timeout 2000000000) (loop (+ i 1))) (send! e nil)))))",
    );
    let first = world.spawn(program, &[Datum::Int(500)]).unwrap();
    world.run_until_end(first).unwrap();
    assert!(world.timer_count() <= 1, "only the echo may wait");
}

#[test]
fn a_long_chain_of_senders_that_wait_for_each_other_ends_one_by_one() {
    // Without a trajectory, which would look at all timers in every tick.
    let mut world = World::builder().build().unwrap();
    let program = load(
        &mut world,
        "(defn link-of-chain [next] (set-mailbox! :limit 1 :policy 'wait) (receive) (send! next 1) (send! next 2))
         (defn main [n]
           (set-mailbox! :limit 1 :policy 'wait)
           (let loop ((i 0) (next (self)))
             (if (< i n) (loop (+ i 1) (spawn link-of-chain next))
                 (begin (send! next 0) (receive) (receive)))))",
    );
    let first = world.spawn(program, &[Datum::Int(20_000)]).unwrap();
    let end = world.run_until_end(first).unwrap();
    assert_eq!(value(&world, &end), Datum::Int(2));
}

#[test]
fn an_actor_that_was_started_anew_does_not_go_back_to_its_life_before() {
    let mut world = world();
    let program = load(
        &mut world,
        "(define lives 0)
         (defn partner [] (receive) (car 1))
         (defn fragile [parent]
           (send! parent 'begins)
           (let ((m (receive))) (link m) (send! parent 'linked) (receive)))
         (defn main []
           (let* ((me (self)) (p (spawn partner)) (f (supervise (lambda () (fragile me)) :rewind true :max 5)))
             (receive)
             (send! f p) (receive)
             (send! p 'fail)
             (list (receive) (begin (send! f 5) (receive :timeout 10)))))",
    );
    let first = world.spawn(program, &[]).unwrap();
    let end = world.run_until_end(first).unwrap();
    // It ended by its link and began anew; then it failed on a number and went back to before that.
    let expected = Datum::List(vec![Datum::symbol("begins"), Datum::Nil]);
    assert_eq!(value(&world, &end), expected);
    let set_aside: Vec<Datum> = world
        .quarantine()
        .map(|message| world.datum(&message.message))
        .collect();
    assert_eq!(set_aside, [Datum::Int(5)]);
}

#[test]
fn an_actor_that_is_started_anew_and_fails_at_once_begins_again() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn partner [] (receive) (car 1))
         (defn fragile [parent]
           (send! parent 'begins)
           (when (has-capability? 'io-console) (let ((m (receive))) (link m) (send! parent 'linked) (receive)))
           (car 'fails))
         (defn main []
           (let* ((me (self)) (p (spawn partner)) (f (supervise (lambda () (fragile me)) :rewind true :max 3)))
             (receive)
             (send! f p) (receive)
             (revoke-capability f 'io-console)
             (monitor f)
             (send! p 'fail)
             (let loop ((seen nil)) (let ((m (receive :timeout 10))) (if (nil? m) (reverse seen) (loop (cons (if (pair? m) (car m) m) seen)))))))",
    );
    let first = world.spawn(program, &[]).unwrap();
    let end = world.run_until_end(first).unwrap();
    let seen = ["begins", "begins", "begins", "down", "down"].map(Datum::symbol);
    assert_eq!(value(&world, &end), Datum::List(seen.to_vec()));
    assert_eq!(world.quarantine().count(), 0, "it failed on no message");
}

#[test]
fn calls_that_happen_outside_wait_for_their_turn_when_there_are_many() {
    let running = Arc::new(Mutex::new((0usize, 0usize)));
    let seen = Arc::clone(&running);
    let mut world = World::builder()
        .settings(physics_world::WorldSettings {
            host_threads_max: 3,
            ..Default::default()
        })
        .host(HostFunction::call("slow", move |_, arguments| {
            {
                let mut counts = seen.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
            seen.lock().unwrap().0 -= 1;
            Ok(arguments.into_iter().next().unwrap_or(Datum::Nil))
        }))
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(defn caller [parent n] (send! parent (host-call 'slow n)))
         (defn main [n]
           (let loop ((i 0)) (when (< i n) (spawn caller (self) i) (loop (+ i 1))))
           (let loop ((i 0) (sum 0)) (if (= i n) sum (loop (+ i 1) (+ sum (receive))))))",
    );
    let first = world.spawn(program, &[Datum::Int(20)]).unwrap();
    let end = world.run_until_end(first).unwrap();
    assert_eq!(value(&world, &end), Datum::Int(190));
    assert!(running.lock().unwrap().1 <= 3);
}

#[test]
fn an_actor_wants_the_events_of_so_many_topics_at_most() {
    let mut world = World::builder()
        .settings(physics_world::WorldSettings {
            topics_max: 5,
            ..Default::default()
        })
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(defn topic [n] (string->symbol (number->string n)))
         (defn main []
           (let loop ((i 0)) (when (< i 8) (subscribe (topic i)) (loop (+ i 1))))
           (yield)
           (subscribe (topic 0))
           (let ((refused (try (subscribe 'more) (catch e (error-kind e)))))
             (unsubscribe (topic 1)) (yield)
             (subscribe 'more) (yield)
             (publish 'more 1) (publish (topic 7) 2)
             (list refused (receive) (receive :timeout 1))))",
    );
    let first = world.spawn(program, &[]).unwrap();
    let end = world.run_until_end(first).unwrap();
    let expected = vec![Datum::symbol("QuotaExceeded"), Datum::Int(1), Datum::Nil];
    assert_eq!(value(&world, &end), Datum::List(expected));
}

#[test]
fn a_message_that_fits_no_mailbox_does_not_empty_one_that_drops_the_oldest() {
    let mut world = World::builder()
        .settings(WorldSettings {
            mailbox_bytes: 400,
            ..WorldSettings::default()
        })
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(define (main)
           (set-mailbox! :policy 'drop-oldest)
           (let loop ((got nil)) (if (= (length got) 2) got (loop (cons (string-length (receive)) got)))))",
    );
    let actor = world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    let text = |length: usize| Datum::String("x".repeat(length));
    // It waits for the first; the second fits nowhere, the last only when both others are gone.
    world.send(actor, &text(100));
    world.send(actor, &text(1_000));
    world.run_to_idle();
    for length in [150, 160, 350] {
        world.send(actor, &text(length));
    }
    let end = world.run_until_end(actor).unwrap();
    let lengths = Datum::from(vec![Datum::Int(350), Datum::Int(100)]);
    assert_eq!(value(&world, &end), lengths);
}

#[test]
fn settings_with_which_no_world_can_go_on_are_refused() {
    for settings in [
        WorldSettings {
            quantum: 0,
            ..WorldSettings::default()
        },
        WorldSettings {
            tick_gas: 0,
            ..WorldSettings::default()
        },
        WorldSettings {
            quantum_min: 1 << 40,
            ..WorldSettings::default()
        },
    ] {
        let built = World::builder().settings(settings).build();
        let text = built.unwrap_err().to_string();
        assert!(text.contains("turns and ticks need some"), "{text}");
    }
}
