//! Looking at actors, and stopping them: the same in every tier, and without a trace where nothing is asked for.

use std::sync::{Arc, Mutex};

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::jit::tier::JitSettings;
use physics_world::runtime::actor::EndReason;
use physics_world::runtime::inspect::{
    Breakpoint, Doing, Intervention, InterventionError, Suspension,
};
use physics_world::runtime::world::{ProgramId, Stopped};
use physics_world::source::{FileKind, load_program};
use physics_world::{ActorId, Datum, World, WorldSettings};

/// A way to run a world: reference or not, native code or not, threads.
type Mode = (bool, bool, usize);
const MODES: [Mode; 5] = [
    (true, false, 1),
    (false, false, 1),
    (false, true, 1),
    (false, false, 4),
    (false, true, 2),
];

fn world_with(
    source: &str,
    settings: WorldSettings,
    (reference, native, threads): Mode,
) -> (World, ProgramId) {
    let builder = World::builder()
        .trajectory()
        .settings(settings)
        .performance(PerformanceSettings {
            jit: native.then(|| JitSettings::default().made_eager()),
            threads,
            ..PerformanceSettings::default()
        });
    let builder = if reference {
        builder.reference()
    } else {
        builder
    };
    let mut world = builder.build().unwrap();
    let verified = load_program("tests/it.jue", FileKind::Jue, source.as_bytes()).unwrap();
    let program = world.load(verified);
    (world, program)
}

fn world(source: &str, mode: Mode) -> (World, ProgramId) {
    let settings = WorldSettings {
        alone_gas: 0,
        quantum: 97,
        quantum_min: 13,
        tick_gas: 1_000,
        ..WorldSettings::default()
    };
    world_with(source, settings, mode)
}

fn line(line: u32) -> Breakpoint {
    Breakpoint::Line {
        file: "it.jue".to_owned(),
        line,
    }
}

fn value(world: &mut World, actor: ActorId) -> Datum {
    match world.take_end(actor).expect("it has ended").reason {
        EndReason::Done(value) => world.datum(&value),
        other => panic!("it has failed: {other}"),
    }
}

fn suspension(world: &World, actor: ActorId) -> Option<Suspension> {
    match world.actor(actor)?.doing {
        Doing::Suspended(why) => Some(why),
        _ => None,
    }
}

/// Two actors that compute, the second for the first.
const SUMS: &str = "(defn add [sum i]
  (+ sum i))
(defn sums [n]
  (let loop ((i 0) (sum 0))
    (if (= i n)
        sum
        (loop (+ i 1) (add sum i)))))
(defn other [parent] (send! parent (sums 300)))
(defn main [n]
  (spawn other (self))
  (let ((mine (sums n)))
    (list mine (receive))))";

#[test]
fn all_actors_are_seen_with_what_they_do_hold_and_use() {
    let source = "(defn wait-for-more [parent] (list (receive) (receive)))
(defn asks [other] (request other 'question))
(defn silent [] (receive) (receive) (receive))
(defn keeps [n] (let ((all (make-vector n 7))) (receive) all))
(defn main [] (let ((child (spawn wait-for-more (self))) (kept (spawn keeps 1000)))
  (spawn asks (spawn silent))
  (send! child \"hello\") (delegate-capability child 'io-console :budget 3 :expires 50) (receive)))";
    let settings = WorldSettings::default();
    let (mut world, program) = world_with(source, settings, MODES[1]);
    let main = world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    let actors = world.actors();
    assert!(actors.is_sorted_by_key(|actor| actor.id));
    let first = &actors[0];
    assert_eq!((first.id, first.parent), (main, ActorId::OUTSIDE));
    assert_eq!(first.children.len(), 4);
    assert!(
        first
            .children
            .iter()
            .all(|child| world.actor(*child).unwrap().parent == main)
    );
    assert_eq!(first.doing, Doing::WaitsForMessage);
    assert!(first.gas > 20);
    let in_function = |name: &str| {
        let of = actors
            .iter()
            .find(|actor| actor.place.as_ref().unwrap().function == name);
        of.unwrap_or_else(|| panic!("nobody is in {name}"))
    };
    assert_eq!(in_function("wait-for-more").doing, Doing::WaitsForMessage);
    let silent = in_function("silent");
    assert_eq!(
        in_function("asks").doing,
        Doing::WaitsForReply { to: silent.id }
    );
    assert!(in_function("keeps").memory_bytes >= 8_000);
    assert!(in_function("keeps").held_bytes >= 8_000);
    assert_eq!(silent.mailbox_messages, 0);
    let holds = |name: &str| first.capabilities.iter().any(|held| held.name == name);
    assert!(holds("io-console") && holds("sys-create-actor"));
    assert_eq!(world.actor(main).as_ref(), Some(first));
    assert_eq!(world.actor(ActorId(1_000_000)), None);

    // What is sent while it is suspended stays in the mailbox.
    world.intervene(Intervention::Pause(silent.id)).unwrap();
    world.send(silent.id, &Datum::from("a message"));
    world.run_to_idle();
    let view = world.actor(silent.id).unwrap();
    assert_eq!(view.doing, Doing::Suspended(Suspension::Paused));
    assert_eq!(view.mailbox_messages, 1);
    assert!(view.mailbox_bytes >= 9);
}

#[test]
fn delegated_powers_are_seen_with_budget_and_end() {
    let source = "(defn child [] (receive))
(defn main [] (let ((child (spawn child)))
  (request-capability 'io-network \"for a test\")
  (delegate-capability child 'io-network :budget 3 :expires 50) (receive)))";
    let (mut world, program) = world_with(source, WorldSettings::default(), MODES[1]);
    let main = world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    let child = world.actor(main).unwrap().children[0];
    let held = world.actor(child).unwrap().capabilities;
    let held = held.iter().find(|held| held.name == "io-network").unwrap();
    assert_eq!((held.budget, held.expires_ms), (Some(3), Some(50)));
}

#[test]
fn an_actor_that_waits_for_room_is_seen() {
    let source = "(defn flood [to] (let loop ((i 0)) (when (< i 10) (send! to i) (loop (+ i 1)))) (receive))
(defn last-words [to] (let loop ((i 0)) (when (< i 5) (send! to i) (loop (+ i 1)))))
(defn main [] (set-mailbox! :limit 2 :policy 'wait) (spawn flood (self)) (spawn last-words (self)) (request (spawn main2) 'for-ever))
(defn main2 [] (receive) (receive))";
    let (mut world, program) = world_with(source, WorldSettings::default(), MODES[0]);
    let main = world.spawn(program, &[]).unwrap();
    // They do not wait for ever, so each tick is looked at.
    let mut seen = Vec::new();
    for _ in 0..40 {
        world.run_ticks(1);
        seen.extend(world.actors().into_iter().map(|actor| actor.doing));
    }
    let is_parked = |doing: &Doing| matches!(doing, Doing::WaitsForRoom { to, messages } if *to == main && *messages > 0);
    assert!(seen.iter().any(is_parked), "{seen:?}");
    let has_ended =
        |doing: &Doing| matches!(doing, Doing::EndedUndelivered { messages } if *messages > 0);
    assert!(seen.iter().any(has_ended), "{seen:?}");
}

#[test]
fn a_stack_has_places_and_variables() {
    for mode in MODES {
        let source = "(defn inner [a text]
  (receive)
  (list a text))
(defn outer [n]
  (let ((twice (* n 2)) (made (vector 1 2 n)))
    (let ((result (inner twice \"hi\")))
      (cons made result))))
(defn main [] (outer 21))";
        let (mut world, program) = world(source, mode);
        let main = world
            .spawn_function(program, "outer", &[Datum::Int(21)])
            .unwrap();
        world.run_to_idle();
        let stack = world.stack(main).unwrap();
        assert_eq!(stack.omitted, 0);
        let places: Vec<_> = stack
            .frames
            .iter()
            .map(|frame| (frame.place.function.as_str(), frame.place.line))
            .collect();
        assert_eq!(places, [("inner", Some(2)), ("outer", Some(6))]);
        assert_eq!(stack.frames[0].place.file.as_deref(), Some("tests/it.jue"));
        let named = |frame: usize, name: &str| {
            let variables = &stack.frames[frame].variables;
            variables
                .iter()
                .find(|(of, _)| of == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(named(0, "a"), Some("42"));
        assert_eq!(named(0, "text"), Some("\"hi\""));
        assert_eq!(named(1, "made"), Some("(vector 1 2 21)"));
        assert_eq!(named(1, "n"), None, "it is not needed any more");
    }
}

#[test]
fn a_deep_stack_is_shown_at_both_ends() {
    let source = "(defn deep [n] (if (= n 0) (receive) (+ 1 (deep (- n 1)))))
(defn main [] (deep 1000))";
    let (mut world, program) = world(source, MODES[1]);
    let main = world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    let stack = world.stack(main).unwrap();
    assert_eq!(
        stack.frames.len() as u64 + stack.omitted,
        1001,
        "the call in `main` is a tail call"
    );
    assert!(stack.frames.len() < 60);
    assert_eq!(stack.frames.last().unwrap().place.function, "deep");
}

/// Where an actor stood each time that it was suspended: why, gas, pc and its newest variables.
fn stops(world: &mut World, actor: ActorId, stops_max: usize) -> Vec<String> {
    let mut stops = Vec::new();
    while stops.len() < stops_max {
        world.run_to_idle();
        let Some(why) = suspension(world, actor) else {
            break;
        };
        let (view, stack) = (world.actor(actor).unwrap(), world.stack(actor).unwrap());
        let newest = &stack.frames[0];
        stops.push(format!(
            "{why} gas {} at {} {:?}",
            view.gas, newest.place, newest.variables
        ));
        world.intervene(Intervention::Resume(actor)).unwrap();
    }
    stops
}

#[test]
fn a_breakpoint_hits_at_the_same_gas_in_every_tier() {
    let mut known: Option<(Vec<String>, String)> = None;
    for mode in MODES {
        let (mut world, program) = world(SUMS, mode);
        let main = world.spawn(program, &[Datum::Int(5)]).unwrap();
        let function = Breakpoint::Function("add".to_owned());
        world
            .intervene(Intervention::Break(main, function.clone()))
            .unwrap();
        world
            .intervene(Intervention::Break(main, line(12)))
            .unwrap();
        let mut found = stops(&mut world, main, 3);
        world
            .intervene(Intervention::Unbreak(main, function))
            .unwrap();
        found.extend(stops(&mut world, main, 100));
        assert_eq!(found.len(), 4, "{found:#?}");
        assert!(
            found[0].contains("at breakpoint add gas") && found[0].contains("(\"i\", \"0\")"),
            "{}",
            found[0]
        );
        assert!(
            found[3].contains("at breakpoint it.jue:12") && found[3].contains("10"),
            "{}",
            found[3]
        );
        assert_eq!(
            value(&mut world, main),
            Datum::List(vec![Datum::Int(10), Datum::Int(44_850)])
        );
        let found = (found, world.trajectory().unwrap().to_string());
        let known = known.get_or_insert_with(|| found.clone());
        assert_eq!(*known, found, "mode {mode:?}");
    }
}

#[test]
fn a_debugger_that_stops_nothing_changes_neither_values_nor_gas() {
    for mode in MODES {
        let ends = [false, true].map(|debugged| {
            let (mut world, program) = world(SUMS, mode);
            let main = world.spawn(program, &[Datum::Int(500)]).unwrap();
            if debugged {
                let nowhere = Breakpoint::Function("other".to_owned());
                world.intervene(Intervention::Break(main, nowhere)).unwrap();
                assert!(world.start_profile(main));
            }
            world.run_to_idle();
            (
                world.take_end(main).unwrap(),
                world.ticks(),
                world.statistics(),
            )
        });
        assert_eq!(ends[0].0.gas, ends[1].0.gas);
        assert_eq!(ends[0].0.reason, ends[1].0.reason);
        assert_eq!((ends[0].1, ends[0].2), (ends[1].1, ends[1].2));
    }
}

#[test]
fn steps_do_one_instruction_each() {
    let source = "(defn main [] (let ((x (receive))) (+ x (receive))))";
    for mode in MODES {
        let (mut world, program) = world(source, mode);
        let main = world.spawn_function(program, "main", &[]).unwrap();
        world
            .intervene(Intervention::Break(
                main,
                Breakpoint::Function("main".to_owned()),
            ))
            .unwrap();
        world.run_to_idle();
        let mut pcs = vec![world.stack(main).unwrap().frames[0].place.pc];
        let mut gas = world.actor(main).unwrap().gas;
        assert_eq!(gas, 0);
        // One step is all that it does, however long the world runs.
        for message in [1, 2] {
            world.intervene(Intervention::Step(main)).unwrap();
            world.run_to_idle();
            if suspension(&world, main).is_none() {
                // It waits in the middle of its step, which is done when the message is there.
                world.send(main, &Datum::Int(message));
                world.run_to_idle();
            }
            assert_eq!(suspension(&world, main), Some(Suspension::Stepped));
            let view = world.actor(main).unwrap();
            assert!(view.gas > gas);
            gas = view.gas;
            pcs.push(view.place.unwrap().pc);
        }
        assert_eq!(pcs, [0, 1, 2]);
        world.intervene(Intervention::Resume(main)).unwrap();
        world.run_to_idle();
        assert_eq!(value(&mut world, main), Datum::Int(3));
    }
}

#[test]
fn a_watch_tells_of_every_change_and_of_the_end_of_its_frame() {
    let mut known: Option<(Vec<String>, String)> = None;
    for mode in MODES {
        let (mut world, program) = world(SUMS, mode);
        let main = world.spawn(program, &[Datum::Int(3)]).unwrap();
        world.intervene(Intervention::Break(main, line(7))).unwrap();
        world.run_to_idle();
        world.intervene(Intervention::Clear(main)).unwrap();
        assert!(suspension(&world, main).is_some(), "it stays suspended");
        let watch = Intervention::Watch {
            actor: main,
            frame: 0,
            variable: "sum".to_owned(),
        };
        world.intervene(watch).unwrap();
        world.intervene(Intervention::Resume(main)).unwrap();
        let found = stops(&mut world, main, 100);
        let told: Vec<&str> = found
            .iter()
            .map(|stop| stop.split(" gas").next().unwrap())
            .collect();
        assert_eq!(
            told,
            [
                "sum was 0, is 1",
                "sum was 1, is 3",
                "sum was 3, its frame was left"
            ]
        );
        assert_eq!(
            value(&mut world, main),
            Datum::List(vec![Datum::Int(3), Datum::Int(44_850)])
        );
        let found = (found, world.trajectory().unwrap().to_string());
        assert_eq!(
            *known.get_or_insert_with(|| found.clone()),
            found,
            "mode {mode:?}"
        );
    }
}

#[test]
fn a_watch_sees_changes_inside_of_values_beyond_their_text() {
    let source = "(defn fill [v]
  (let loop ((i 0))
    (when (< i 300) (vector-set! v i 1) (loop (+ i 1)))))
(defn main [] (let ((v (make-vector 300 0)))
  (receive)
  (fill v)
  (vector-ref v 299)))";
    let (mut world, program) = world(source, MODES[1]);
    let main = world.spawn(program, &[]).unwrap();
    world.run_to_idle();
    let watch = Intervention::Watch {
        actor: main,
        frame: 0,
        variable: "v".to_owned(),
    };
    world.intervene(watch).unwrap();
    world.renew_from_images().unwrap();
    world.send(main, &Datum::Nil);
    let found = stops(&mut world, main, 10);
    assert_eq!(
        found.len(),
        1,
        "it is seen when the function has returned that changes it: {found:?}"
    );
    assert_eq!(value(&mut world, main), Datum::Int(1));
}

#[test]
fn a_paused_actor_has_no_turns_and_loses_nothing() {
    let (mut world, program) = world(SUMS, MODES[1]);
    let one = world.spawn(program, &[Datum::Int(1_000)]).unwrap();
    let two = world.spawn(program, &[Datum::Int(1_000)]).unwrap();
    world.run_ticks(3);
    world.intervene(Intervention::Pause(one)).unwrap();
    let gas = world.actor(one).unwrap().gas;
    assert_eq!(world.run_to_idle(), Stopped::Idle);
    assert_eq!(world.actor(one).unwrap().gas, gas);
    let expected = Datum::List(vec![Datum::Int(499_500), Datum::Int(44_850)]);
    assert_eq!(value(&mut world, two), expected);
    world.intervene(Intervention::Resume(one)).unwrap();
    world.run_to_idle();
    assert_eq!(value(&mut world, one), expected);
}

#[test]
fn an_intervention_that_cannot_be_done_says_why_and_changes_nothing() {
    let (mut world, program) = world(SUMS, MODES[1]);
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let events = Arc::clone(&seen);
    world.observe(move |event| events.lock().unwrap().push(event.to_string()));
    let main = world.spawn(program, &[Datum::Int(5)]).unwrap();
    let nobody = ActorId(77);
    let nowhere = Breakpoint::Function("nowhere".to_owned());
    assert_eq!(
        world.intervene(Intervention::Pause(nobody)),
        Err(InterventionError::NoActor(nobody))
    );
    assert_eq!(
        world.intervene(Intervention::Resume(main)),
        Err(InterventionError::NotSuspended(main))
    );
    assert_eq!(
        world.intervene(Intervention::Break(main, nowhere.clone())),
        Err(InterventionError::NoPlace(nowhere))
    );
    assert!(
        world
            .intervene(Intervention::Break(main, line(999)))
            .is_err()
    );
    let variable = "no-such".to_owned();
    let watch = Intervention::Watch {
        actor: main,
        frame: 0,
        variable: variable.clone(),
    };
    assert_eq!(
        world.intervene(watch),
        Err(InterventionError::NoVariable(variable, 0))
    );
    world.run_to_idle();
    assert_eq!(
        value(&mut world, main),
        Datum::List(vec![Datum::Int(10), Datum::Int(44_850)])
    );
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter()
            .any(|event| event.contains("from outside") && event.contains("there is no actor 77"))
    );
}

#[test]
fn limits_messages_and_ends_come_from_outside() {
    let source = "(defn spin [] (let loop ((i 0)) (loop (+ i 1))))
(defn waits [] (receive))
(defn main [] (receive))";
    let (mut world, program) = world(source, MODES[2]);
    let spin = world.spawn_function(program, "spin", &[]).unwrap();
    let waits = world.spawn_function(program, "waits", &[]).unwrap();
    let other = world.spawn_function(program, "waits", &[]).unwrap();
    world.run_ticks(10);
    let gas = world.actor(spin).unwrap().gas;
    let handle = world.handle();
    let asks = std::thread::spawn(move || {
        handle.intervene(Intervention::Limit {
            actor: spin,
            gas: Some(1_000),
            memory_bytes: None,
        });
        handle.intervene(Intervention::Tell(waits, Datum::symbol("told")));
        handle.intervene(Intervention::Kill(other));
    });
    asks.join().unwrap();
    world.run_to_idle();
    let end = world.take_end(spin).unwrap();
    assert!(
        end.reason.to_string().contains("GasLimitExceeded"),
        "{}",
        end.reason
    );
    assert!(end.gas <= gas + 1_000 && end.gas > gas + 900);
    assert_eq!(value(&mut world, waits), Datum::symbol("told"));
    assert_eq!(world.take_end(other).unwrap().reason, EndReason::Killed);
}

#[test]
fn a_profile_tells_where_the_gas_of_one_actor_goes_the_same_in_every_tier() {
    let source = "(defn hot [n]
  (let loop ((i 0) (sum 0))
    (if (= i n) sum (loop (+ i 1) (+ sum i)))))
(defn warm [n]
  (let loop ((i 0) (sum 0))
    (if (= i n) sum (loop (+ i 1) (+ sum i)))))
(defn main []
  (list (hot 90000) (warm 30000)))";
    let mut known = None;
    for mode in MODES {
        let settings = WorldSettings {
            tick_gas: 50_000,
            ..WorldSettings::default()
        };
        let (mut world, program) = world_with(source, settings, mode);
        let main = world.spawn(program, &[]).unwrap();
        assert!(world.actor_profile(main).is_none());
        assert!(world.start_profile(main));
        world.run_ticks(4);
        let seen = world.actor(main);
        let profile = world.actor_profile(main);
        // It has not ended yet: what is known belongs to the gas that it has used.
        let (profile, seen) = (profile.unwrap(), seen.unwrap());
        assert!(
            profile.gas <= seen.gas && profile.gas + 2 * 1_009 > seen.gas,
            "{profile:?}"
        );
        assert_eq!(profile.functions[0].function, "hot");
        assert!(profile.lines.iter().any(|row| row.line == Some(3)));
        assert_eq!(
            profile.functions.iter().map(|row| row.gas).sum::<u64>(),
            profile.gas
        );
        assert_eq!(
            profile.lines.iter().map(|row| row.gas).sum::<u64>(),
            profile.gas
        );
        assert_eq!(
            *known.get_or_insert_with(|| profile.clone()),
            profile,
            "mode {mode:?}"
        );
        assert_eq!(world.stop_profile(main), Some(profile));
        assert!(world.actor_profile(main).is_none());
    }
}
