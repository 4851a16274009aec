//! Worlds as an embedder uses them: what is said from outside, from other threads, and about subtrees.

use std::sync::{Arc, Mutex};

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::actor::{End, EndReason};
use physics_world::runtime::capability::{
    AuditLog, AuditResult, CapabilityOperation, CapabilityRule,
};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::quota::Quota;
use physics_world::runtime::world::{AskError, Pace, ProgramId, SpawnError, Stopped, WorldEvent};
use physics_world::source::{FileKind, load_program};
use physics_world::{ActorId, Datum, World};

/// Loads a program from Jue source.
fn load(world: &mut World, source: &str) -> ProgramId {
    let program = load_program("test.jue", FileKind::Jue, source.as_bytes());
    world.load(program.unwrap_or_else(|bad| panic!("{bad}")))
}

fn world() -> World {
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

fn value(world: &World, end: &End) -> Datum {
    match &end.reason {
        EndReason::Done(value) => world.datum(value),
        other => panic!("{other}"),
    }
}

fn error(end: &End) -> &str {
    match &end.reason {
        EndReason::Failed(failure) => failure.kind.name(),
        other => panic!("{other}"),
    }
}

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
fn holders_of_meta_grant_vote_and_three_quarters_of_them_decide() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn voter [answer]
           (let loop () (let ((m (receive))) (when (pair? m) (vote-capability (nth m 1) answer) (vote-capability (nth m 1) (not answer))) (loop))))
         (defn asker [] (let loop () (receive) (reply (request-capability 'sys-terminate-actor \"please\")) (loop)))
         0",
    );
    let spawn = |world: &mut World, answer| {
        let voter = world
            .spawn_function(program, "voter", &[Datum::Bool(answer)])
            .unwrap();
        assert!(world.grant(voter, "meta-grant", false));
        voter
    };
    let asker = world.spawn_function(program, "asker", &[]).unwrap();
    let ask = |world: &mut World| world.ask(asker, &Datum::Nil).unwrap();
    assert_eq!(ask(&mut world), Datum::Bool(false), "nobody may vote");
    let against = spawn(&mut world, false);
    for _ in 0..2 {
        spawn(&mut world, true);
    }
    assert_eq!(
        ask(&mut world),
        Datum::Bool(false),
        "two of three are not enough"
    );
    spawn(&mut world, true);
    assert_eq!(ask(&mut world), Datum::Bool(true), "three of four are");
    assert!(world.holds(asker, "sys-terminate-actor"));
    assert!(world.revoke_from(asker, "sys-terminate-actor"));
    assert!(!world.holds(asker, "sys-terminate-actor"));
    assert!(world.revoke_from(against, "meta-grant"));
    assert_eq!(ask(&mut world), Datum::Bool(true));
    let entries: Vec<_> = world.audit().entries().cloned().collect();
    assert_eq!(AuditLog::first_break([0; 32], &entries), None);
    let votes = entries
        .iter()
        .filter(|entry| entry.operation == CapabilityOperation::Vote);
    assert!(
        votes.clone().count() >= 7 && votes.clone().count() < 20,
        "nobody votes twice"
    );
    let mut forged = entries.clone();
    forged[1].result = AuditResult::Denied;
    assert_eq!(AuditLog::first_break([0; 32], &forged), Some(1));
    let mut shortened = entries;
    shortened.remove(2);
    assert!(AuditLog::first_break([0; 32], &shortened).is_some());
}

#[test]
fn a_vote_that_nobody_casts_ends_at_its_deadline() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn deaf [] (let loop () (receive) (loop)))
         (defn main [] (request-capability 'meta-grant \"please\"))",
    );
    let deaf = world.spawn_function(program, "deaf", &[]).unwrap();
    world.grant(deaf, "meta-grant", false);
    let first = world.spawn(program, &[]).unwrap();
    let end = world.run_until_end(first).unwrap();
    assert_eq!(value(&world, &end), Datum::Bool(false));
    assert_eq!(world.now_ms(), world.settings().vote_ms);
}

#[test]
fn the_embedder_decides_where_it_wants_to() {
    let mut world = World::builder()
        .rule("shop", CapabilityRule::Embedder)
        .host(HostFunction::pure("buy", |_| Ok(Datum::symbol("bought"))).needing("shop"))
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(defn main []
           (list (try (host-call 'buy) (catch e (error-kind e)))
                 (request-capability 'shop \"hungry\") (host-call 'buy)
                 (request-capability '(shop 5) \"greedy\")))",
    );
    let first = world.spawn(program, &[]).unwrap();
    world.run_ticks(2);
    let open = world.open_requests();
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].1, &*open[0].2, &*open[0].3),
        (first, "shop", "hungry")
    );
    assert!(world.decide_request(open[0].0, true));
    assert!(!world.decide_request(open[0].0, true));
    world.run_ticks(2);
    let open = world.open_requests();
    assert_eq!(&*open[0].2, "(shop 5)");
    assert!(world.decide_request(open[0].0, false));
    let end = world.run_until_end(first).unwrap();
    let expected = Datum::List(vec![
        Datum::symbol("CapabilityDenied"),
        Datum::Bool(true),
        Datum::symbol("bought"),
        Datum::Bool(false),
    ]);
    assert_eq!(value(&world, &end), expected);
}

#[test]
fn what_descends_from_a_revoked_capability_is_gone_too() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn keeper [] (let loop () (let ((m (receive)))
            (cond ((eq? m 'child) (reply (spawn keeper)))
                  ((eq? m 'holds) (reply (has-capability? 'io-network)))
                  ((eq? m 'prints) (reply (has-capability? 'io-console)))
                  (else (reply (delegate-capability m 'io-network :expires 1000))))
            (loop))))
         0",
    );
    let ask =
        |world: &mut World, actor, text: &str| world.ask(actor, &Datum::symbol(text)).unwrap();
    let root = world.spawn_function(program, "keeper", &[]).unwrap();
    world.grant(root, "io-network", false);
    let mut chain = vec![root];
    for _ in 0..3 {
        let last = *chain.last().unwrap();
        let Datum::Actor(child) = ask(&mut world, last, "child") else {
            panic!("no child")
        };
        assert_eq!(world.ask(last, &Datum::Actor(child)), Ok(Datum::Bool(true)));
        chain.push(child);
    }
    for actor in &chain {
        assert_eq!(ask(&mut world, *actor, "holds"), Datum::Bool(true));
    }
    assert!(world.revoke_from(chain[1], "io-network"));
    let holds: Vec<Datum> = chain
        .iter()
        .map(|actor| ask(&mut world, *actor, "holds"))
        .collect();
    assert_eq!(holds, [true, false, false, false].map(Datum::Bool));
    // What is inherited is taken from a subtree, its dead members in between or not.
    world.handle().kill(chain[2]);
    world.run_ticks(1);
    assert!(world.revoke_from(chain[1], "io-console"));
    assert_eq!(ask(&mut world, chain[0], "prints"), Datum::Bool(true));
    assert_eq!(ask(&mut world, chain[1], "prints"), Datum::Bool(false));
    assert_eq!(ask(&mut world, chain[3], "prints"), Datum::Bool(false));
}

#[test]
fn only_ancestors_and_holders_of_the_power_end_others() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn idle [] (receive))
         (defn killer [] (let loop () (let ((m (receive))) (kill m) (reply 'done) (loop))))
         (defn parent [] (receive) (let ((child (spawn idle))) (reply child) (receive) (kill child) (receive)))
         0",
    );
    let killer = world.spawn_function(program, "killer", &[]).unwrap();
    let parent = world.spawn_function(program, "parent", &[]).unwrap();
    let Ok(Datum::Actor(child)) = world.ask(parent, &Datum::Nil) else {
        panic!("no child")
    };
    world.ask(killer, &Datum::Actor(child)).unwrap();
    assert_eq!(world.actor_count(), 3);
    let last = world.audit().entries().last().unwrap();
    assert_eq!(
        (last.operation, last.result),
        (CapabilityOperation::Check, AuditResult::Denied)
    );
    world.send(parent, &Datum::Nil);
    world.run_to_idle();
    assert_eq!(world.actor_count(), 2);
    world.grant(killer, "sys-terminate-actor", false);
    world.ask(killer, &Datum::Actor(parent)).unwrap();
    world.run_to_idle();
    assert_eq!(world.actor_count(), 1);
}

#[test]
fn a_subtree_uses_no_more_than_its_quota() {
    let spin = "(defn spin [] (let loop () (loop)))
         (defn main [n] (let loop ((i 0)) (when (< i n) (spawn spin) (loop (+ i 1)))) (receive))";
    let mut world = world();
    let program = load(&mut world, spin);
    let root = world.spawn(program, &[Datum::Int(5)]).unwrap();
    world.set_quota(
        root,
        Quota {
            gas: Some(300_000),
            gas_per_tick: Some(10_000),
            ..Quota::default()
        },
    );
    world.run_ticks(10);
    let usage = world.usage(root).unwrap();
    assert!(usage.gas > 50_000 && usage.gas <= 101_000, "{usage:?}");
    assert_eq!(usage.children, 5);
    assert!(!world.contention().is_empty());
    assert!(!world.usage_history(root).is_empty());
    world.run_ticks(60);
    let usage = world.usage(root);
    assert!(usage.is_none_or(|usage| usage.gas <= 301_000), "{usage:?}");
    assert_eq!(
        world.statistics().failed,
        5,
        "those that want to run have ended"
    );
}

#[test]
fn quotas_of_children_host_calls_and_messages() {
    let calls = Arc::new(Mutex::new(0));
    let count = Arc::clone(&calls);
    let mut world = World::builder()
        .host(HostFunction::output("tell", move |_| {
            *count.lock().unwrap() += 1
        }))
        .build()
        .unwrap();
    let program = load(
        &mut world,
        "(defn idle [] (receive))
         (defn attempts [f] (let loop ((i 0)) (let ((r (try (f) (catch e (error-kind e))))) (if (eq? r 'QuotaExceeded) i (if (= i 200) i (loop (+ i 1)))))))
         (defn flood [to n] (let loop ((i 0)) (if (= i n) i (begin (send! to i) (loop (+ i 1))))))
         (defn main []
           (list (attempts (lambda () (spawn idle)))
                 (attempts (lambda () (host-call 'tell 1)))
                 (flood (spawn-or-self) 100)))
         (define (spawn-or-self) (try (spawn idle) (catch e (receive :timeout 1) other)))
         (define other 0)",
    );
    let sink = load(
        &mut world,
        "(set-mailbox! :limit 5) (let loop () (receive) (loop))",
    );
    let sink = world.spawn(sink, &[]).unwrap();
    let root = world.spawn(program, &[]).unwrap();
    world.set_quota(
        root,
        Quota {
            children: Some(20),
            host_calls: Some(30),
            messages_per_tick: Some(10),
            ..Quota::default()
        },
    );
    let _ = sink;
    let end = world.run_until_end(root);
    let end = end.map(|end| match end.reason {
        EndReason::Failed(failure) => failure.kind.name().to_owned(),
        other => format!("{other}"),
    });
    // `other` is no actor: the flood ends there, after both quotas were met.
    assert_eq!(end.as_deref(), Some("TypeMismatch"));
    assert_eq!(*calls.lock().unwrap(), 30);
    let program = load(
        &mut world,
        "(defn main [to n] (let loop ((i 0)) (if (= i n) i (begin (send! to i) (loop (+ i 1))))))",
    );
    let before = world.ticks();
    let flood = world
        .spawn(program, &[Datum::Actor(sink), Datum::Int(100)])
        .unwrap();
    world.set_quota(
        flood,
        Quota {
            messages_per_tick: Some(10),
            ..Quota::default()
        },
    );
    let end = world.run_until_end(flood).unwrap();
    assert_eq!(value(&world, &end), Datum::Int(100));
    let ticks = world.ticks() - before;
    assert!((10..=12).contains(&ticks), "{ticks}");
}

#[test]
fn memory_of_a_subtree_is_shared_out_and_an_empty_pool_is_an_error() {
    let source = "(defn hoard [bytes] (let loop ((all nil) (left bytes)) (if (< left 0) (length all) (loop (cons (make-bytes 1000) all) (- left 1000)))))
         (defn main [n each] (let loop ((i 0)) (when (< i n) (spawn hoard each) (loop (+ i 1)))) (receive :timeout 1) 'through)";
    for (each, failed) in [(200_000, 0), (600_000, 1)] {
        let mut world = world();
        let program = load(&mut world, source);
        let root = world
            .spawn(program, &[Datum::Int(2), Datum::Int(each)])
            .unwrap();
        world.set_quota(
            root,
            Quota {
                memory_bytes: Some(1_000_000),
                ..Quota::default()
            },
        );
        let end = world.run_until_end(root).unwrap();
        assert_eq!(value(&world, &end), Datum::symbol("through"));
        assert_eq!(world.statistics().failed, failed, "{each}");
    }
}

#[test]
fn a_subtree_of_many_busy_actors_gets_no_more_time_than_one_of_a_single_one() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn spin [] (let loop () (loop)))
         (defn crowd [n] (let loop ((i 0)) (when (< i n) (spawn spin) (loop (+ i 1)))) (spin))
         0",
    );
    let crowd = world
        .spawn_function(program, "crowd", &[Datum::Int(500)])
        .unwrap();
    let single = world.spawn_function(program, "spin", &[]).unwrap();
    for actor in [crowd, single] {
        world.set_quota(actor, Quota::default());
    }
    world.run_ticks(200);
    let [crowd, single] = [crowd, single].map(|actor| world.usage(actor).unwrap());
    assert!(crowd.children > 100, "{crowd:?}");
    assert!(single.gas * 3 > crowd.gas, "{single:?} {crowd:?}");
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
    let mut fiber =
        physics_world::jit::Fiber::from_image(world.code(), &failed.image, 1 << 20).unwrap();
    let mut host = physics_world::solo::Solo::new(Vec::new());
    let again = physics_world::jit::reference::answer(
        &mut fiber,
        world.code(),
        &mut host,
        Ok(failed.message.clone()),
    );
    assert!(again.is_ok());
    let outcome = physics_world::jit::reference::run(&mut fiber, world.code(), &mut host, 1_000);
    let physics_world::jit::reference::Outcome::Failed(failure) = outcome else {
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
