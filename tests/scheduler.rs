//! Who has turns, and in which order: policies, priorities, boosts.

#[path = "support/worlds.rs"]
mod worlds;

use std::sync::{Arc, Mutex};

use physics_world::runtime::actor::EndReason;
use physics_world::runtime::inspect::{Intervention, InterventionError};
use physics_world::runtime::schedule::{ACTOR_PRIORITY_DEFAULT, SchedulingPolicy};
use physics_world::runtime::world::WorldEvent;
use physics_world::{ActorId, Datum, World, WorldSettings};
use worlds::load;

/// One subtree: a parent that waits, and children that are always busy.
const SPINNERS: &str = "(defn spin [] (let loop () (loop)))
     (defn main [n] (let loop ((i 0)) (when (< i n) (spawn spin) (loop (+ i 1)))) (receive))";

const AGEING_TICKS: u64 = 2;

/// A world whose ticks have room for one busy actor, by priority.
fn narrow() -> World {
    let settings = WorldSettings {
        policy: SchedulingPolicy::Priority,
        ageing_ticks: AGEING_TICKS,
        quantum: 1_000,
        quantum_min: 1_000,
        tick_gas: 1_000,
        ..WorldSettings::default()
    };
    World::builder()
        .settings(settings)
        .trajectory()
        .build()
        .unwrap()
}

/// A world with so many busy actors in one subtree; their addresses.
fn with_spinners(mut world: World, count: i64) -> (World, Vec<ActorId>) {
    let program = load(&mut world, SPINNERS);
    let main = world
        .scheduler()
        .add(program, &[Datum::Int(count)])
        .unwrap();
    while world.actor_count() as i64 <= count {
        assert!(world.scheduler().tick());
    }
    let busy = world.actors().into_iter().map(|actor| actor.id);
    let busy = busy.filter(|actor| *actor != main).collect();
    (world, busy)
}

/// Who has turns in the next ticks, one in each.
fn turns(world: &mut World, ticks: u64) -> Vec<ActorId> {
    let gas = |world: &World| -> Vec<(ActorId, u64)> {
        let actors = world.actors().into_iter();
        actors.map(|actor| (actor.id, actor.gas)).collect()
    };
    let mut had = Vec::new();
    for _ in 0..ticks {
        let before = gas(world);
        world.run_ticks(1);
        for (before, after) in before.into_iter().zip(gas(world)) {
            assert_eq!(before.0, after.0);
            if before.1 != after.1 {
                had.push(after.0);
            }
        }
    }
    had
}

#[test]
fn the_highest_priority_is_first_and_equals_take_turns() {
    let (mut world, busy) = with_spinners(narrow(), 4);
    for (actor, priority) in busy.iter().zip([10, 200, 200, 50]) {
        world.scheduler().set_priority(*actor, priority).unwrap();
    }
    world.run_ticks(4);
    let had = turns(&mut world, 20);
    assert!(had.windows(2).all(|pair| pair[0] != pair[1]), "{had:?}");
    let high = [busy[1], busy[2]];
    assert!(had.iter().all(|actor| high.contains(actor)), "{had:?}");
    // Without priorities all take turns.
    world.scheduler().set_policy(SchedulingPolicy::RoundRobin);
    let mut had = turns(&mut world, 8);
    assert_eq!(had[..4], had[4..]);
    had.truncate(4);
    had.sort();
    assert_eq!(had, busy);
}

#[test]
fn nobody_starves() {
    let (mut world, busy) = with_spinners(narrow(), 5);
    let low = busy[2];
    for actor in &busy {
        let priority = if *actor == low { 0 } else { 255 };
        world.scheduler().set_priority(*actor, priority).unwrap();
    }
    // Whoever has begun to wait before it, or so much later that it is even with it, comes first: each once.
    let bound = 255 * AGEING_TICKS + busy.len() as u64;
    let had = turns(&mut world, 3 * bound + 3);
    let times = had.iter().filter(|actor| **actor == low).count() as u64;
    assert_eq!(times, 3, "in {} ticks", 3 * bound);
    let gaps: Vec<usize> = (0..had.len()).filter(|tick| had[*tick] == low).collect();
    assert!(gaps[0] as u64 <= bound, "{gaps:?}");
    for pair in gaps.windows(2) {
        let gap = (pair[1] - pair[0]) as u64;
        assert!(gap <= bound && gap > 250 * AGEING_TICKS, "{gaps:?}");
    }
}

#[test]
fn a_boost_is_used_up_by_turns() {
    let (mut world, busy) = with_spinners(narrow(), 3);
    let boosted = busy[1];
    // All have begun to wait at about the same time.
    world.scheduler().set_boost(boosted, 40).unwrap();
    assert_eq!(world.actor(boosted).unwrap().priority, 168);
    let had = turns(&mut world, 60);
    let first = had.iter().take_while(|actor| **actor == boosted).count();
    assert!((10..=40).contains(&first), "{had:?}");
    let times = had.iter().filter(|actor| **actor == boosted).count() as u32;
    let left = world.scheduler().boost(boosted).unwrap();
    assert_eq!(left, 40u32.saturating_sub(times));
    turns(&mut world, 120);
    assert_eq!(world.scheduler().boost(boosted), Some(0), "it is used up");
    assert_eq!(
        world.scheduler().priority(boosted),
        Some(ACTOR_PRIORITY_DEFAULT)
    );
    let had = turns(&mut world, 30);
    for actor in &busy {
        let times = had.iter().filter(|other| *other == actor).count();
        assert_eq!(times, 10, "they are equals again: {had:?}");
    }
    // It can be ended before.
    world.scheduler().set_boost(boosted, u32::MAX).unwrap();
    assert_eq!(turns(&mut world, 9), [boosted; 9]);
    world.scheduler().set_boost(boosted, 0).unwrap();
    assert!(turns(&mut world, 9).iter().any(|actor| *actor != boosted));
}

#[test]
fn waiting_counts_on_when_a_priority_is_changed() {
    let (mut world, busy) = with_spinners(narrow(), 3);
    world.run_ticks(3);
    let patient = busy[0];
    // It waits while the others have turns.
    world.scheduler().set_priority(patient, 28).unwrap();
    assert!(!turns(&mut world, 150).contains(&patient));
    // Changed over and over, it still has waited since then.
    for tick in 0..60 {
        let priority = if tick % 2 == 0 { 27 } else { 28 };
        world.scheduler().set_priority(patient, priority).unwrap();
        if turns(&mut world, 1) == [patient] {
            let waited = 150 + tick;
            assert!((195..=206).contains(&waited), "{waited}");
            return;
        }
    }
    panic!("it starves");
}

#[test]
fn subtrees_share_time_evenly_whatever_their_priorities() {
    let (mut world, first) = with_spinners(narrow(), 3);
    let program = load(&mut world, SPINNERS);
    world.spawn(program, &[Datum::Int(1)]).unwrap();
    world.run_ticks(20);
    for actor in &first {
        world.scheduler().set_priority(*actor, 255).unwrap();
    }
    let had = turns(&mut world, 60);
    let of_first = had.iter().filter(|actor| first.contains(actor)).count();
    assert_eq!(of_first, 30);
}

#[test]
fn children_begin_with_the_priority_of_their_parent() {
    let mut world = narrow();
    let program = load(&mut world, SPINNERS);
    let main = world.scheduler().add(program, &[Datum::Int(2)]).unwrap();
    world.scheduler().set_priority(main, 7).unwrap();
    world.run_ticks(10);
    let actors = world.actors();
    assert_eq!(actors.len(), 3);
    assert!(actors.iter().all(|actor| actor.priority == 7));
}

#[test]
fn priorities_are_inputs_that_observers_see() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (mut world, busy) = with_spinners(narrow(), 2);
    let seen = Arc::clone(&told);
    world.observe(move |event| {
        if let WorldEvent::Intervened { intervention, .. } = event {
            seen.lock().unwrap().push((*intervention).clone());
        }
    });
    let (actor, handle) = (busy[0], world.handle());
    let prioritize = Intervention::Prioritize { actor, priority: 9 };
    let boost = Intervention::Boost { actor, boost: 3 };
    std::thread::spawn({
        let (prioritize, boost) = (prioritize.clone(), boost.clone());
        move || {
            handle.intervene(prioritize);
            handle.intervene(boost);
            handle.set_policy(SchedulingPolicy::RoundRobin);
        }
    })
    .join()
    .unwrap();
    assert_eq!(world.scheduler().policy(), SchedulingPolicy::Priority);
    world.run_ticks(1);
    assert_eq!(world.scheduler().policy(), SchedulingPolicy::RoundRobin);
    assert_eq!(world.scheduler().priority(actor), Some(9));
    assert_eq!(*told.lock().unwrap(), [prioritize, boost]);
    world.scheduler().remove(actor).unwrap();
    assert_eq!(world.scheduler().priority(actor), None);
    assert_eq!(
        world.scheduler().set_priority(actor, 1),
        Err(InterventionError::NoActor(actor))
    );
}

#[test]
fn what_decides_who_is_next_is_in_the_trajectory() {
    let run = |change: &dyn Fn(&mut World, ActorId)| {
        let (mut world, busy) = with_spinners(narrow(), 2);
        change(&mut world, busy[0]);
        world.run_ticks(1);
        world.trajectory().unwrap()
    };
    let all = [
        run(&|_, _| ()),
        run(&|world, actor| world.scheduler().set_priority(actor, 129).unwrap()),
        run(&|world, actor| world.scheduler().set_boost(actor, 2).unwrap()),
        run(&|world, _| world.scheduler().set_policy(SchedulingPolicy::RoundRobin)),
    ];
    for (place, one) in all.iter().enumerate() {
        assert!(!all[..place].contains(one), "{place}");
    }
}

#[test]
fn subtrees_that_come_and_go_share_time_as_if_all_had_been_there() {
    // More than are remembered when they wait, some of which come back in the places that others have left.
    let settings = WorldSettings {
        tick_gas: 200_000,
        quantum: 1_000,
        quantum_min: 100,
        ..WorldSettings::default()
    };
    let builder = World::builder().settings(settings).trajectory();
    let mut world = builder.build().unwrap();
    let echo = "(defn main [] (let loop ((sum 0)) (let ((n (receive))) (if (= n 0) sum (loop (+ sum n))))))";
    let program = load(&mut world, echo);
    let actors: Vec<ActorId> = (0..3_000)
        .map(|_| world.spawn(program, &[]).unwrap())
        .collect();
    world.run_to_idle();
    let mut sums = vec![0; actors.len()];
    for round in 1..=20 {
        for (place, actor) in actors.iter().enumerate() {
            if (place * 7 + round) % 5 < 2 {
                assert!(world.send(*actor, &Datum::Int(round as i64)));
                sums[place] += round as i64;
            }
        }
        world.run_ticks(round as u64 % 3 + 1);
        if round == 10 {
            // One that was read finds all in their places, too.
            let (state, before) = (world.to_checkpoint(), world.trajectory());
            world.take_checkpoint(&state).unwrap();
            assert_eq!(world.trajectory(), before);
            assert!(world.to_checkpoint() == state);
        }
    }
    for (actor, sum) in actors.iter().zip(sums) {
        assert!(world.send(*actor, &Datum::Int(0)));
        world.run_to_idle();
        let end = world.take_end(*actor).unwrap();
        match &end.reason {
            EndReason::Done(value) => assert_eq!(world.datum(value), Datum::Int(sum)),
            other => panic!("{other}"),
        }
    }
    assert_eq!(world.actor_count(), 0);
    assert_eq!(world.runnable_count(), 0);
}
