//! Quotas of subtrees, and shares of time.

#[path = "support/worlds.rs"]
mod worlds;

use std::sync::{Arc, Mutex};

use physics_world::runtime::actor::EndReason;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::quota::Quota;
use physics_world::{Datum, World};
use worlds::{load, value, world};

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
fn a_message_that_does_not_fit_in_the_memory_of_a_turn_is_there_in_the_next() {
    let mut world = world();
    let program = load(
        &mut world,
        "(defn sizes [] (let loop () (let ((m (receive))) (reply (string-length m)) (loop))))
         0",
    );
    let actor = world.spawn_function(program, "sizes", &[]).unwrap();
    let quota = Quota {
        memory_bytes: Some(2_000_000),
        ..Quota::default()
    };
    world.set_quota(actor, quota);
    // More than what is leased for a turn at first, and less than the pool has.
    let large = Datum::String("x".repeat(500_000));
    assert_eq!(world.ask(actor, &large), Ok(Datum::Int(500_000)));
    assert_eq!(world.ask(actor, &Datum::from("small")), Ok(Datum::Int(5)));
    let too_large = Datum::String("x".repeat(3_000_000));
    assert!(world.ask(actor, &too_large).is_err());
    let end = world.take_end(actor).unwrap();
    assert!(
        matches!(&end.reason, EndReason::Failed(failure) if failure.kind.name() == "MemoryLimitExceeded")
    );
}

#[test]
fn who_was_ended_starts_nobody_outside_of_the_quota_of_its_subtree() {
    // Whichever comes first in the order of the boundary, in whichever tick.
    for (yields, idle) in (1..6).flat_map(|yields| [(yields, 0), (yields, 1)]) {
        let mut world = world();
        let program = load(
            &mut world,
            "(defn spin [] (let loop () (loop)))
             (defn spawner [] (receive) (spawn spin) (spawn spin) (receive))
             (defn pause [n] (let loop ((i 0)) (when (< i n) (yield) (loop (+ i 1)))))
             (defn main [yields]
               (let ((s (spawn spawner)))
                 (receive) (reply s) (receive)
                 (send! s 'go) (pause yields) (kill s) (receive)))",
        );
        let root = world.spawn(program, &[Datum::Int(yields)]).unwrap();
        let Ok(Datum::Actor(spawner)) = world.ask(root, &Datum::Nil) else {
            panic!("no address")
        };
        let quota = Quota {
            gas: Some(10_000),
            ..Quota::default()
        };
        world.set_quota(spawner, quota);
        for _ in 0..idle {
            world.tick();
        }
        world.send(root, &Datum::Nil);
        world.run_ticks(40);
        // What was started has used up its gas, or was never started.
        assert_eq!(world.actor_count(), 1, "{yields} {idle}");
    }
}

#[test]
fn memory_that_is_leased_is_not_a_sandbox_s() {
    // Its leases are far smaller than the sandbox, and the pool is larger.
    let source = "(defn make [n] (let loop ((i 0) (list nil)) (if (= i n) (length list) (loop (+ i 1) (cons i list)))))
         (defn within [bytes f] (try (sandbox-open 100000000 bytes nil) (let ((value (f))) (sandbox-close) value) (catch e (error-kind e))))
         (defn main []
           (list (within 3000000 (lambda () (make 50000)))
                 (within 3000000 (lambda () (make 1000000)))
                 (within 3000000 (lambda () (within 500000 (lambda () (make 1000000)))))
                 (make 50000)))";
    let mut world = world();
    let program = load(&mut world, source);
    let root = world.spawn(program, &[]).unwrap();
    world.set_quota(
        root,
        Quota {
            memory_bytes: Some(20_000_000),
            ..Quota::default()
        },
    );
    let end = world.run_until_end(root).unwrap();
    let spent = Datum::symbol("SandboxMemoryExceeded");
    let made = Datum::Int(50_000);
    let expected = Datum::List(vec![made.clone(), spent.clone(), spent, made]);
    assert_eq!(value(&world, &end), expected);
}
