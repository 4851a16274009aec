//! Each pattern is found in a program that goes wrong in its way, and nothing in one that does as much and is well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::tier::JitSettings;
use physics_world::runtime::actor::EndReason;
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::hibernation::HibernationSettings;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::inspect::{Doing, Suspension};
use physics_world::runtime::monitor::{
    AnomalyPattern, DetectedAnomaly, ErrorDetectionSystem, MonitoringThresholds, RecoveryAction,
    Remedy,
};
use physics_world::runtime::world::HistorySettings;
use physics_world::source::{FileKind, load_program};
use physics_world::{ActorId, Datum, World, WorldSettings};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Thresholds that small programs reach.
fn thresholds() -> MonitoringThresholds {
    MonitoringThresholds {
        window_ticks: 16,
        runaway_gas: 50_000,
        growth_windows: 3,
        mailbox_messages: 20,
        heap_bytes: 20_000,
        restarts: 3,
        starvation_ticks: 40,
        wrong_guesses: 1_000,
        sent_messages: 200,
    }
}

fn settings() -> WorldSettings {
    WorldSettings {
        quantum: 1_000,
        quantum_min: 100,
        tick_gas: 20_000,
        alone_gas: 0,
        ..WorldSettings::default()
    }
}

fn world_of(source: &str, settings: WorldSettings, threads: usize) -> (World, ActorId) {
    let builder = World::builder().settings(settings).trajectory();
    let builder = builder.performance(PerformanceSettings {
        jit: None,
        threads,
        ..PerformanceSettings::default()
    });
    let mut world = builder.build().unwrap();
    let verified = load_program("m.jue", FileKind::Jue, source.as_bytes()).unwrap();
    let program = world.load(verified);
    let main = world.spawn(program, &[]).unwrap();
    (world, main)
}

fn system() -> ErrorDetectionSystem {
    ErrorDetectionSystem::default().thresholds(thresholds())
}

/// The anomalies of a program in so many ticks.
fn anomalies(source: &str, settings: WorldSettings, ticks: u64) -> Vec<DetectedAnomaly> {
    let (mut world, _) = world_of(source, settings, 1);
    world.start_monitoring(system());
    world.run_ticks(ticks);
    world.anomalies().cloned().collect()
}

/// A program has anomalies of this pattern and no other, the first of which is given; another program that is well has none.
fn only(pattern: AnomalyPattern, ill: &str, well: &str) -> DetectedAnomaly {
    let found = anomalies(ill, settings(), 160);
    let others: Vec<_> = found
        .iter()
        .filter(|found| found.pattern != pattern)
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    let well = anomalies(well, settings(), 160);
    assert!(well.is_empty(), "{well:#?}");
    found
        .into_iter()
        .next()
        .unwrap_or_else(|| panic!("no {}", pattern.name()))
}

fn number(anomaly: &DetectedAnomaly, name: &str) -> u64 {
    let mut evidence = anomaly.evidence.iter();
    let found = evidence.find(|(of, _)| *of == name);
    found.unwrap_or_else(|| panic!("no {name} in {anomaly}")).1
}

/// Computes for ever.
const SPIN: &str = "(defn main [] (let loop ((i 0)) (loop (+ i 1))))";

/// Works as much, a part at a time for each message.
const WORKER: &str = "(defn work [n] (let loop ((i 0)) (if (= i n) i (loop (+ i 1)))))
(defn worker [] (let loop () (reply (work (receive))) (loop)))
(defn main [] (let ((worker (spawn worker))) (let loop () (request worker 200) (loop))))";

#[test]
fn an_actor_that_computes_and_never_waits_runs_away() {
    let found = only(AnomalyPattern::RunawayGas, SPIN, WORKER);
    assert_eq!(found.actor, Some(ActorId(1)));
    assert!(number(&found, "gas") >= 50_000);
    assert_eq!(found.tick, 16);
    assert_eq!(found.recommended.remedy, Remedy::Pause);
    assert!(!found.recommended.is_bound);
}

#[test]
fn a_mailbox_that_nobody_empties_grows() {
    let ill = "(defn slow [] (let loop () (yield) (yield) (yield) (receive) (loop)))
(defn main [] (let ((slow (spawn slow))) (let loop () (send! slow 'more) (yield) (loop))))";
    let well = "(defn listens [] (let loop () (receive) (loop)))
(defn main [] (let ((listens (spawn listens))) (let loop () (send! listens 'more) (yield) (loop))))";
    let found = only(AnomalyPattern::GrowingMailbox, ill, well);
    assert_eq!(found.actor, Some(ActorId(2)));
    assert!(number(&found, "messages") >= 20);
    assert!(number(&found, "before") < number(&found, "messages"));
    assert!(number(&found, "windows") >= 3);
}

#[test]
fn a_heap_that_keeps_everything_grows() {
    let ill = "(defn main [] (let loop ((all nil)) (yield) (loop (cons (make-vector 200 0) all))))";
    let well =
        "(defn main [] (let loop ((all nil)) (yield) (loop (cons (make-vector 200 0) nil))))";
    let (mut world, main) = world_of(ill, settings(), 1);
    world.start_monitoring(system());
    world.run_ticks(2_000);
    let found: Vec<_> = world.anomalies().collect();
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|found| found.pattern == AnomalyPattern::GrowingHeap)
    );
    assert_eq!(found[0].actor, Some(main));
    assert!(number(found[0], "bytes") >= 20_000);
    assert_eq!(found[0].recommended.remedy, Remedy::Kill);
    assert!(anomalies(well, settings(), 2_000).is_empty());
}

#[test]
fn an_actor_that_fails_again_and_again_crashes_in_a_loop() {
    let ill = "(defn fails [] (receive) (car 7))
(defn main [] (let ((child (supervise fails :restart 'always :max 1000)))
  (let loop () (send! child 'go) (yield) (loop))))";
    let well =
        "(defn fails [] (let loop ((i 0)) (receive) (when (= i 100) (car 7)) (loop (+ i 1))))
(defn main [] (let ((child (supervise fails :restart 'always :max 1000)))
  (let loop () (send! child 'go) (yield) (loop))))";
    let found = only(AnomalyPattern::CrashLoop, ill, well);
    assert!(number(&found, "restarts") >= 3);
    assert_eq!(found.recommended.remedy, Remedy::Kill);
}

#[test]
fn an_actor_that_could_run_and_does_not_starves() {
    let crowd = "(defn spin [n] (let loop ((i 0)) (if (= i n) i (loop (+ i 1)))))
(defn main [] (let loop () (spin 50) (yield) (loop)))";
    let settings = WorldSettings {
        tick_gas: 1_000,
        quantum: 400,
        quantum_min: 200,
        ..settings()
    };
    let anomalies_of = |count: usize| {
        let (mut world, _) = world_of(crowd, settings, 1);
        let verified = load_program("m.jue", FileKind::Jue, crowd.as_bytes()).unwrap();
        let program = world.load(verified);
        for _ in 1..count {
            world.spawn(program, &[]).unwrap();
        }
        world.start_monitoring(system());
        world.run_ticks(300);
        world.anomalies().cloned().collect::<Vec<_>>()
    };
    let many = anomalies_of(400);
    assert!(!many.is_empty());
    assert!(
        many.iter()
            .all(|found| found.pattern == AnomalyPattern::Starvation),
        "{many:#?}"
    );
    assert!(many.iter().all(|found| number(found, "ticks") >= 40));
    let few = anomalies_of(10);
    assert!(few.is_empty(), "{few:#?}");
}

#[test]
fn an_actor_that_sends_very_much_is_hot() {
    let ill = "(defn sink [] (let loop () (receive) (loop)))
(defn main [] (let ((sink (spawn sink))) (let loop ((i 0)) (when (= (mod i 30) 0) (yield)) (send! sink i) (loop (+ i 1)))))";
    let well = "(defn sink [] (let loop () (receive) (loop)))
(defn main [] (let ((sink (spawn sink))) (let loop ((i 0)) (yield) (send! sink i) (loop (+ i 1)))))";
    let found = only(AnomalyPattern::HotSender, ill, well);
    assert_eq!(found.actor, Some(ActorId(1)));
    assert!(number(&found, "messages") >= 200);
}

#[test]
fn senders_that_wait_for_each_other_are_a_circle() {
    let source = "(defn talks [parent]
  (set-mailbox! :limit 1 :policy 'wait)
  (let ((other (receive)))
    (let loop () (send! other 'a) (send! other 'b) (send! other 'c) (yield) HEARS (loop))))
(defn main [] (let ((a (spawn talks (self))) (b (spawn talks (self)))) (send! a b) (send! b a) (receive)))";
    let ill = source.replace("HEARS", "");
    let (mut world, _) = world_of(&ill, settings(), 1);
    // The deadline would break the circle: it is looked at before.
    world.run_ticks(10);
    let found = system().monitor_system(&world);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].pattern, AnomalyPattern::SenderCycle);
    assert_eq!(
        (found[0].actor, found[0].others.as_slice()),
        (Some(ActorId(2)), &[ActorId(3)][..])
    );
    assert_eq!(number(&found[0], "actors"), 2);
    let looks_for_others = ErrorDetectionSystem {
        anomaly_patterns: vec![AnomalyPattern::CrashLoop],
        ..system()
    };
    assert!(looks_for_others.monitor_system(&world).is_empty());

    let well = "(defn talks [other] (let loop () (send! other 'a) (yield) (loop)))
(defn hears [] (set-mailbox! :limit 1 :policy 'wait) (let loop () (receive) (yield) (loop)))
(defn main [] (let ((hears (spawn hears))) (spawn talks hears) (spawn talks hears) (receive)))";
    let (mut world, _) = world_of(well, settings(), 1);
    let mut waited = false;
    for _ in 0..50 {
        world.run_ticks(1);
        waited |= world
            .actors()
            .iter()
            .any(|actor| matches!(actor.doing, Doing::WaitsForRoom { .. }));
        assert!(system().monitor_system(&world).is_empty());
    }
    assert!(waited, "senders wait, but in no circle");
}

#[test]
fn native_code_that_guesses_wrong_all_the_time_is_a_storm() {
    let storm = |second: &str| {
        let source = "(defn step [x] (+ x 1))
(defn many [n x] (let loop ((i 0) (x x)) (if (= i n) x (loop (+ i 1) (step x)))))
(defn often [x] (let loop ((k 0)) (if (= k 40) k (begin (many 10000 x) (loop (+ k 1))))))
(defn main [] (often 1) (often SECOND))";
        let builder = World::builder().performance(PerformanceSettings {
            jit: Some(JitSettings::default().made_eager()),
            ..PerformanceSettings::default()
        });
        let mut world = builder.build().unwrap();
        let source = source.replace("SECOND", second);
        let verified = load_program("m.jue", FileKind::Jue, source.as_bytes()).unwrap();
        let program = world.load(verified);
        world.spawn(program, &[]).unwrap();
        let system = ErrorDetectionSystem::default().thresholds(MonitoringThresholds {
            wrong_guesses: 1,
            window_ticks: 1_000_000,
            ..thresholds()
        });
        world.start_monitoring(system.clone());
        world.run_to_idle();
        system.monitor_system(&world)
    };
    // What was a number without a point for a long time has one now.
    let found = storm("1.5");
    assert!(!found.is_empty());
    assert!(
        found
            .iter()
            .all(|found| found.pattern == AnomalyPattern::DeoptStorm),
        "{found:#?}"
    );
    assert!(found[0].function.is_some() && found[0].actor.is_none());
    assert!(number(&found[0], "wrong guesses") >= 1);
    let found = storm("2");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_is_bound_happens_in_the_same_tick_on_any_number_of_threads() {
    let source = "(defn spin [] (let loop ((i 0)) (loop (+ i 1))))
(defn main [] (spawn spin) (spawn spin) (receive))";
    let remedies = [
        Remedy::Pause,
        Remedy::Kill,
        Remedy::Limit { gas: 500 },
        Remedy::Tell(ActorId(1)),
    ];
    for remedy in remedies {
        let runs = [1, 4].map(|threads| {
            let (mut world, main) = world_of(source, settings(), threads);
            world.start_monitoring(system().bound(AnomalyPattern::RunawayGas, remedy));
            world.run_ticks(40);
            let first = world.anomalies().next().unwrap().clone();
            assert!(first.recommended.is_bound);
            assert_eq!(first.actor, Some(ActorId(2)));
            let doing: Vec<Doing> = world
                .actors()
                .into_iter()
                .map(|actor| actor.doing)
                .collect();
            let paused = Doing::Suspended(Suspension::Paused);
            match remedy {
                Remedy::Pause => {
                    assert_eq!(doing, [Doing::WaitsForMessage, paused.clone(), paused])
                }
                Remedy::Kill | Remedy::Limit { .. } => assert_eq!(doing, [Doing::WaitsForMessage]),
                Remedy::Tell(_) => {
                    let EndReason::Done(told) = world.take_end(main).unwrap().reason else {
                        panic!("it has failed")
                    };
                    let expected = vec![
                        Datum::symbol("anomaly"),
                        Datum::symbol("runaway-gas"),
                        Datum::Actor(ActorId(2)),
                    ];
                    assert_eq!(world.datum(&told), Datum::List(expected));
                }
                Remedy::Report | Remedy::GoBack => unreachable!("they do nothing here"),
            }
            world.trajectory().unwrap()
        });
        assert_eq!(runs[0], runs[1], "{remedy:?}");
    }
}

#[test]
fn what_is_only_recommended_changes_nothing() {
    let trajectories = [false, true].map(|monitored| {
        let (mut world, _) = world_of(SPIN, settings(), 1);
        if monitored {
            world.start_monitoring(system());
        }
        world.run_ticks(50);
        assert_eq!(world.anomalies().next().is_some(), monitored);
        world.trajectory().unwrap()
    });
    assert_eq!(trajectories[0], trajectories[1]);
}

#[test]
fn the_system_has_the_parts_of_the_specification() {
    let system = ErrorDetectionSystem::default();
    let patterns: &Vec<AnomalyPattern> = &system.anomaly_patterns;
    assert_eq!(patterns.as_slice(), AnomalyPattern::ALL);
    let thresholds: MonitoringThresholds = system.monitoring_thresholds;
    assert_eq!(thresholds, MonitoringThresholds::default());
    let actions: &Vec<RecoveryAction> = &system.recovery_actions;
    for pattern in AnomalyPattern::ALL {
        let action = actions
            .iter()
            .find(|action| action.pattern == pattern)
            .unwrap();
        assert!(!action.is_bound, "nothing happens unless somebody says so");
    }
}

#[test]
fn metrics_are_prometheus_text_that_any_thread_can_read() {
    let source = "(defn child [] (receive))
(defn fails [] (car 7))
(defn main [] (send! (spawn child) \"hello\") (spawn fails) (send! (spawn child) 1) (yield) (yield) (spawn child) 'done)";
    let (mut world, _) = world_of(source, settings(), 1);
    let metrics = world.metrics();
    let before = metrics.text();
    assert!(before.contains("pw_actors 1\n"), "{before}");
    world.run_to_idle();
    let of_thread = metrics.clone();
    let text = std::thread::spawn(move || of_thread.text()).join().unwrap();
    let ticks = world.ticks();
    let lines = [
        "# TYPE pw_actors gauge".to_owned(),
        "pw_actors 1".to_owned(),
        "pw_actors_started_total 4".to_owned(),
        "pw_actors_ended_total{reason=\"normal\"} 3".to_owned(),
        "pw_actors_ended_total{reason=\"abnormal\"} 1".to_owned(),
        "pw_messages_total 2".to_owned(),
        format!("pw_ticks_total {ticks}"),
        format!("pw_turns_total {}", world.statistics().slices),
        "# TYPE pw_message_bytes histogram".to_owned(),
        "pw_message_bytes_count 2".to_owned(),
        "pw_actor_gas_count 4".to_owned(),
    ];
    for line in lines {
        assert!(text.lines().any(|of| of == line), "{line} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn metrics_show_what_hibernates_and_what_was_written_of_a_history() {
    let source = "(defn idle [] (receive))
(defn main [] (let ((all (make-vector 40000 0))) (spawn idle) (spawn idle) (receive) (vector-ref all 0)))";
    let hibernates = World::builder()
        .hibernate(
            Arc::new(MemoryDisk::default()),
            HibernationSettings::default(),
        )
        .unwrap();
    let disk = Arc::new(MemoryDisk::default());
    let (mut world, _) = hibernates.keep(disk, HistorySettings::default()).unwrap();
    let metrics = world.metrics();
    let shown = |name: &str| {
        let text = metrics.text();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{text}"))
            .parse::<u64>()
            .unwrap()
    };
    // Its history has begun with a checkpoint.
    assert_eq!(shown("pw_checkpoints"), 1);
    assert_eq!(shown("pw_actors_hibernated"), 0);
    let verified = load_program("m.jue", FileKind::Jue, source.as_bytes()).unwrap();
    let program = world.load(verified);
    world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    assert_eq!(shown("pw_captured_page_bytes"), 0);
    world.checkpoint().unwrap();
    assert_eq!(shown("pw_checkpoints"), 2);
    assert_eq!(shown("pw_checkpoint_tick"), world.ticks());
    // The vector is captured page by page.
    let page_bytes = shown("pw_captured_page_bytes");
    assert!((320_000..400_000).contains(&page_bytes), "{page_bytes}");
    assert_eq!(world.hibernate(), 3);
    assert_eq!((shown("pw_actors"), shown("pw_actors_hibernated")), (3, 3));
    world.send(ActorId(2), &Datum::Int(1));
    world.run_to_idle();
    let sleeping = world.hibernation().unwrap().hibernated;
    assert_eq!(
        (shown("pw_actors"), shown("pw_actors_hibernated")),
        (2, sleeping)
    );
    assert!(sleeping < 3);
}

/// Counts spans by name.
#[derive(Clone, Default)]
struct Spans {
    seen: Arc<Mutex<Vec<String>>>,
    entered: Arc<AtomicU64>,
    exited: Arc<AtomicU64>,
}

impl Subscriber for Spans {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut seen = self.seen.lock().unwrap();
        seen.push(span.metadata().name().to_owned());
        Id::from_u64(seen.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {
        self.entered.fetch_add(1, Ordering::Relaxed);
    }

    fn exit(&self, _: &Id) {
        self.exited.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn ticks_and_host_calls_are_spans() {
    let start = || {
        let mut world = World::builder()
            .host(HostFunction::pure("double", |arguments| match arguments {
                [Datum::Int(value)] => Ok(Datum::Int(value * 2)),
                _ => panic!("double takes one number"),
            }))
            .host(HostFunction::output("print", |_| {}).needing("io-console"))
            .build()
            .unwrap();
        let source = "(defn main [] (print (host-call 'double 21)) (yield) (host-call 'double 1))";
        let verified = load_program("m.jue", FileKind::Jue, source.as_bytes()).unwrap();
        let program = world.load(verified);
        let main = world.spawn(program, &[]).unwrap();
        (world, main)
    };
    // Whether anybody wants a span is kept where it is made. A first run has these places known before the subscriber
    // comes: one that another test makes known at the same moment would not learn of it.
    start().0.run_to_idle();
    let (mut world, main) = start();
    let spans = Spans::default();
    tracing::subscriber::with_default(spans.clone(), || {
        tracing::callsite::rebuild_interest_cache();
        world.run_to_idle()
    });
    assert!(world.take_end(main).unwrap().reason.is_normal());
    let seen = spans.seen.lock().unwrap();
    let count = |name: &str| seen.iter().filter(|span| *span == name).count() as u64;
    assert_eq!(count("tick"), world.ticks());
    assert_eq!(count("host call"), 3);
    let (entered, exited) = (
        spans.entered.load(Ordering::Relaxed),
        spans.exited.load(Ordering::Relaxed),
    );
    assert_eq!((entered, exited), (seen.len() as u64, seen.len() as u64));
}
