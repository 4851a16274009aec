//! Actors that hibernate: nobody notices, whatever is done to them; and what happens when their disk fails.

#[path = "support/faulty_disk.rs"]
mod faulty_disk;
#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use faulty_disk::{FaultyDisk, next};
use physics_world::jit::Limits;
use physics_world::jit::fiber::upgrade::DeclaredMap;
use physics_world::runtime::disk::{Disk, MemoryDisk};
use physics_world::runtime::hibernation::{HibernationError, HibernationSettings};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::inspect::Intervention;
use physics_world::runtime::monitor::{ErrorDetectionSystem, MonitoringThresholds};
use physics_world::runtime::quota::Quota;
use physics_world::runtime::world::{AskError, ProgramId, WorldBuilder};
use physics_world::{ActorId, Datum, World};
use worlds::load;

/// Actors that add what they are told, and start one like them when they are told `child`; they are linked to it.
const ADDERS: &str = "
(defn adder [sum]
  (let ((message (receive)))
    (if (eq? message 'child)
        (let ((child (spawn adder 100)))
          (link child)
          (try (reply child) (catch e nil))
          (adder sum))
        (if (eq? message 'fail)
            (quot 1 0)
            (if (int? message)
                (let ((now (+ sum message)))
                  (try (reply now) (catch e nil))
                  (adder now))
                (adder sum))))))
(defn many [n] (let loop ((i 0)) (when (< i n) (spawn adder i) (loop (+ i 1)))) (receive))
(defn main [n] (many n))
";

/// The same actors, which count double.
const DOUBLE_ADDERS: &str = "
(defn adder [sum]
  (let ((message (receive)))
    (let ((now (+ sum (* 2 message))))
      (try (reply now) (catch e nil))
      (adder now))))
(defn many [n] (receive))
(defn main [n] (many n))
";

fn at_once() -> HibernationSettings {
    HibernationSettings {
        after_ticks: 0,
        ..HibernationSettings::default()
    }
}

fn sleepy(disk: Arc<dyn Disk>, settings: HibernationSettings) -> WorldBuilder {
    histories::builder().hibernate(disk, settings).unwrap()
}

/// A world whose actors hibernate on a disk.
fn world_on(disk: &FaultyDisk, settings: HibernationSettings) -> World {
    let builder = sleepy(Arc::new(disk.clone()), settings);
    builder.trajectory().build().unwrap()
}

fn hibernated(world: &World) -> u64 {
    world.hibernation().unwrap().hibernated
}

/// Starts so many adders that wait: the number of the first.
fn start(world: &mut World, count: i64) -> (ProgramId, ActorId, u64) {
    let program = load(world, ADDERS);
    let main = world.spawn(program, &[Datum::Int(count)]).unwrap();
    world.run_to_idle();
    (program, main, main.0 + 1)
}

/// Two worlds of which everything is the same but where their actors are.
struct Twins {
    awake: World,
    sleepy: World,
}

impl Twins {
    fn new(change: impl Fn(WorldBuilder) -> WorldBuilder) -> Twins {
        let builder = || change(histories::builder().trajectory());
        let disk = Arc::new(MemoryDisk::default());
        let settings = HibernationSettings {
            segment_bytes: 1_000,
            ..at_once()
        };
        Twins {
            awake: builder().build().unwrap(),
            sleepy: builder()
                .hibernate(disk, settings)
                .unwrap()
                .build()
                .unwrap(),
        }
    }

    /// Does something to both, which shows the same in both, now and in the next ticks.
    fn both<R: PartialEq + Debug>(&mut self, act: impl Fn(&mut World) -> R) -> R {
        self.sleepy.hibernate();
        let (awake, sleepy) = (act(&mut self.awake), act(&mut self.sleepy));
        assert_eq!(awake, sleepy);
        self.compare();
        awake
    }

    fn compare(&mut self) {
        for _ in 0..3 {
            assert!(self.awake.to_checkpoint() == self.sleepy.to_checkpoint());
            assert_eq!(self.awake.trajectory(), self.sleepy.trajectory());
            assert_eq!(self.awake.statistics(), self.sleepy.statistics());
            let (awake, sleepy) = (self.awake.run_ticks(1), self.sleepy.run_ticks(1));
            assert_eq!(awake, sleepy);
        }
    }
}

#[test]
fn whatever_is_done_to_actors_that_hibernate_shows_the_same() {
    let mut twins = Twins::new(|builder| builder);
    let (program, main, first) = twins.both(|world| start(world, 40));
    twins.sleepy.hibernate();
    assert_eq!(hibernated(&twins.sleepy), 41);
    let id = |number: u64| ActorId(first + number);
    let views = |world: &World| {
        let mut views = world.actors();
        // How much memory is taken is about where they are.
        views.iter_mut().for_each(|view| view.held_bytes = 0);
        views
    };
    assert_eq!(twins.both(|world| views(world)).len(), 41);
    twins.both(|world| world.actor(main).map(|view| view.children));
    twins.both(|world| {
        (
            world.place_of(id(3)),
            world.limits(id(4)),
            world.stack(id(5)),
        )
    });
    assert_eq!(hibernated(&twins.sleepy), 41, "looking wakes nobody");
    twins.both(|world| world.ask(id(7), &Datum::Int(5)).unwrap());
    let child = twins.both(|world| world.ask(id(8), &Datum::symbol("child")).unwrap());
    let Datum::Actor(child) = child else {
        panic!("{child:?}")
    };
    let limits = Limits {
        memory_bytes: 5_000,
        ..Limits::default()
    };
    twins.both(|world| world.set_limits(id(9), limits));
    twins.both(|world| world.grant(id(10), "io-network", true));
    twins.both(|world| world.holds(id(10), "io-network"));
    twins.both(|world| world.revoke_from(id(10), "io-network"));
    twins.both(|world| world.revoke_from(main, "io-console"));
    twins
        .both(|world| world.intervene(Intervention::Pause(id(11))))
        .unwrap();
    let paused = twins.both(|world| world.ask(id(11), &Datum::Int(1)));
    assert_eq!(paused, Err(AskError::Idle(id(11))));
    twins
        .both(|world| world.intervene(Intervention::Resume(id(11))))
        .unwrap();
    let quota = Quota {
        children: Some(50),
        gas: Some(1_000_000),
        ..Quota::default()
    };
    twins.both(|world| world.set_quota(main, quota));
    twins.both(|world| world.usage(main));
    twins
        .both(|world| world.ask(id(12), &Datum::Int(1)))
        .unwrap();
    // A child, linked to who has started it; and one that is linked to nobody.
    twins.both(|world| world.handle().kill(child));
    twins.both(|world| world.send(id(13), &Datum::symbol("fail")));
    twins.both(|world| world.actor_count());
    assert!(twins.sleepy.actor(id(8)).is_none(), "linked to its child");
    twins.both(|world| world.publish("news", &Datum::Nil));
    twins.both(|world| {
        let to = load(world, DOUBLE_ADDERS);
        world.upgrade(program, to, &DeclaredMap::default()).unwrap()
    });
    twins.both(|world| world.pending_upgrades());
    let answer = twins.both(|world| world.ask(id(14), &Datum::Int(5)).unwrap());
    assert_eq!(answer, Datum::Int(14 + 10));
    twins.both(|world| world.start_profile(id(15)));
    twins
        .both(|world| world.ask(id(15), &Datum::Int(1)))
        .unwrap();
    assert!(twins.sleepy.actor_profile(id(15)).is_some());
    twins.both(|world| world.renew_from_images().unwrap());
    twins
        .both(|world| world.ask(id(16), &Datum::Int(1)))
        .unwrap();
    let statistics = twins.sleepy.hibernation().unwrap();
    assert!(statistics.returned > 10, "{statistics:?}");
}

#[test]
fn monitors_see_the_same() {
    let mut twins = Twins::new(|builder| builder);
    let (_, main, first) = twins.both(|world| start(world, 20));
    let system = || {
        ErrorDetectionSystem::default().thresholds(MonitoringThresholds {
            window_ticks: 2,
            sent_messages: 1,
            growth_windows: 1,
            heap_bytes: 1,
            ..MonitoringThresholds::default()
        })
    };
    twins.both(|world| world.start_monitoring(system()));
    for round in 0..30 {
        twins.both(|world| {
            for number in 0..round % 5 {
                world.send(ActorId(first + number * round % 20), &Datum::Int(1));
            }
            world.send(main, &Datum::symbol("nothing"));
            let found = world.anomalies().map(ToString::to_string);
            found.collect::<Vec<_>>()
        });
    }
}

#[test]
fn a_tree_that_something_is_done_to_hibernates_on() {
    let disk = FaultyDisk::default();
    let mut world = world_on(&disk, HibernationSettings::default());
    let (program, main, _) = start(&mut world, 500);
    assert_eq!(world.hibernate(), 501);
    world.set_quota(main, Quota::default());
    // But for its owner, who was asked first.
    assert_eq!(hibernated(&world), 500);
    world.hibernate();
    world.revoke_from(main, "io-console");
    assert_eq!(hibernated(&world), 501);
    assert_eq!(world.hibernation().unwrap().returned, 2 * 501);
    let to = load(&mut world, DOUBLE_ADDERS);
    let report = world.upgrade(program, to, &DeclaredMap::default()).unwrap();
    assert_eq!(report.upgraded, 501);
    assert_eq!(hibernated(&world), 501);
}

#[test]
fn who_waits_long_hibernates_and_who_does_not_stays() {
    let settings = HibernationSettings {
        after_ticks: 20,
        actor_bytes_max: 20_000,
        ..HibernationSettings::default()
    };
    let mut world = world_on(&FaultyDisk::default(), settings);
    let program = load(
        &mut world,
        "(defn busy [] (yield) (busy))
         (defn waits [] (receive) (waits))
         (defn large [] (let ((v (make-vector 5000 7))) (receive) (vector-length v)))
         (defn main [] (spawn busy) (spawn waits) (spawn large) (spawn waits) (receive))",
    );
    let main = world.spawn(program, &[]).unwrap();
    let often = ActorId(main.0 + 2);
    for tick in 0..200 {
        if tick % 10 == 0 {
            world.send(often, &Datum::Nil);
        }
        world.run_ticks(1);
        if tick < 20 {
            assert_eq!(hibernated(&world), 0);
        }
    }
    // `main`, and the one that gets no messages; not the large one.
    assert_eq!(hibernated(&world), 2, "{:?}", world.hibernation());
    assert_eq!(world.hibernation().unwrap().stored, 2);
}

#[test]
fn a_world_that_waits_has_its_actors_hibernate() {
    let settings = HibernationSettings {
        after_ticks: 3,
        ..HibernationSettings::default()
    };
    let mut world = world_on(&FaultyDisk::default(), settings);
    let (_, _, first) = start(&mut world, 1_000);
    let mut waited = 0;
    while hibernated(&world) < 1_001 {
        world.wait(Duration::from_millis(20));
        waited += 1;
        assert!(waited < 1_000, "{:?}", world.hibernation());
    }
    let answer = world.ask(ActorId(first + 5), &Datum::Int(1)).unwrap();
    assert_eq!(answer, Datum::Int(6));
}

#[test]
fn checkpoints_have_those_that_hibernate_and_wake_nobody() {
    let disk = MemoryDisk::default();
    let keep = |disk: &MemoryDisk| {
        let builder = sleepy(Arc::new(MemoryDisk::default()), at_once()).trajectory();
        let kept = builder.keep(Arc::new(disk.clone()), histories::settings());
        kept.unwrap().0
    };
    let mut world = keep(&disk);
    let (_, _, first) = start(&mut world, 300);
    let mut sum = 0;
    for round in 0..60 {
        assert_eq!(
            world.ask(ActorId(first), &Datum::Int(round)).unwrap(),
            Datum::Int(sum + round)
        );
        sum += round;
        world.hibernate();
        let before = world.hibernation().unwrap().returned;
        world.checkpoint().unwrap();
        let state = world.to_checkpoint();
        assert_eq!(world.hibernation().unwrap().returned, before);
        if round % 10 == 0 {
            let again = keep(&disk.copy());
            assert!(again.to_checkpoint() == state, "round {round}");
            assert_eq!(again.trajectory(), world.trajectory());
        }
    }
}

#[test]
fn who_wakes_while_a_checkpoint_is_captured_is_in_it_as_it_was() {
    let disk = MemoryDisk::default();
    let keep = |disk: &MemoryDisk| {
        let builder = sleepy(
            Arc::new(MemoryDisk::default()),
            HibernationSettings::default(),
        );
        let kept = builder.keep(Arc::new(disk.clone()), histories::settings());
        kept.unwrap().0
    };
    let mut world = keep(&disk);
    let (_, _, first) = start(&mut world, 100);
    let mut captured = 0;
    for round in 0..40 {
        // Some have changed since the last checkpoint, and hibernate; of them some wake again.
        for number in 0..20 {
            world.send(ActorId(first + (round * 7 + number) % 100), &Datum::Int(1));
        }
        world.run_to_idle();
        world.hibernate();
        world.checkpoint().unwrap();
        for number in 0..40 {
            world.send(ActorId(first + (round * 11 + number) % 100), &Datum::Int(1));
        }
        world.run_to_idle();
        world.hibernate();
        world.begin_checkpoint();
        for number in 0..10 {
            captured += u32::from(world.is_capturing());
            let to = ActorId(first + (round * 11 + 30 + number) % 100);
            world.ask(to, &Datum::Int(100)).unwrap();
        }
        while world.is_capturing() {
            world.send(ActorId(first), &Datum::Int(1));
            world.run_ticks(1);
        }
        world.flush().unwrap();
        let again = keep(&disk.copy());
        assert!(again.to_checkpoint().actor_states == world.to_checkpoint().actor_states);
    }
    assert!(captured > 40, "{captured}");
}

#[test]
fn the_file_stays_small_and_goes_with_the_world() {
    let disk = MemoryDisk::default();
    let settings = HibernationSettings {
        segment_bytes: 8_000,
        ..at_once()
    };
    let builder = sleepy(Arc::new(disk.clone()), settings);
    let mut world = builder.build().unwrap();
    let (_, _, first) = start(&mut world, 400);
    let mut seed = 7;
    let mut sums: Vec<i64> = (0..400).collect();
    for _ in 0..3_000 {
        let number = next(&mut seed) % 400;
        sums[number as usize] += 1;
        let answer = world.ask(ActorId(first + number), &Datum::Int(1)).unwrap();
        assert_eq!(answer, Datum::Int(sums[number as usize]));
        world.run_ticks(1);
        let now = world.hibernation().unwrap();
        let most = 2 * now.live_bytes + 4 * settings.segment_bytes;
        assert!(now.file_bytes <= most, "{now:?}");
    }
    world.hibernate();
    let now = world.hibernation().unwrap();
    assert!(now.hibernated == 401 && now.returned > 2_000, "{now:?}");
    assert!(!disk.list().unwrap().is_empty());
    drop(world);
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn a_directory_with_something_else_is_refused_and_what_was_left_is_removed() {
    let disk = MemoryDisk::default();
    disk.create("hibernated-00000017").unwrap();
    let world = sleepy(Arc::new(disk.clone()), at_once()).build().unwrap();
    assert!(disk.list().unwrap().is_empty());
    drop(world);
    for name in ["hibernated-", "hibernated-0000001x", "notes.txt"] {
        let disk = MemoryDisk::default();
        disk.create(name).unwrap();
        let refused = histories::builder().hibernate(Arc::new(disk.clone()), at_once());
        assert!(matches!(refused, Err(HibernationError::Foreign(other)) if other == name));
        assert_eq!(disk.list().unwrap(), [name]);
    }
}

#[test]
fn a_full_disk_keeps_actors_in_memory_until_there_is_room() {
    let disk = FaultyDisk::default();
    let mut world = world_on(&disk, at_once());
    let mut known = histories::builder().trajectory().build().unwrap();
    disk.fail_after(3);
    let course = |world: &mut World, numbers: std::ops::Range<u64>| {
        for number in numbers {
            let to = ActorId(2 + number % 100);
            world.ask(to, &Datum::Int(1)).unwrap();
        }
    };
    start(&mut world, 100);
    start(&mut known, 100);
    course(&mut world, 0..300);
    let full = world.hibernation().unwrap();
    assert!(full.write_errors > 1 && full.hibernated < 50, "{full:?}");
    assert!(full.write_error.unwrap().contains("space"));
    assert_eq!(world.hibernate(), 0);
    disk.work_again();
    world.hibernate();
    assert_eq!(hibernated(&world), 101);
    course(&mut world, 300..600);
    course(&mut known, 0..600);
    assert!(world.to_checkpoint() == known.to_checkpoint());
    assert_eq!(world.trajectory(), known.trajectory());
}

/// A world that keeps its history, with adders that hibernate on a disk.
fn kept(history: &MemoryDisk, disk: &FaultyDisk) -> World {
    let builder = sleepy(Arc::new(disk.clone()), HibernationSettings::default());
    let print = HostFunction::output("print", |_| {}).needing("io-console");
    let kept = builder
        .host(print)
        .keep(Arc::new(history.clone()), histories::settings());
    kept.unwrap().0
}

#[test]
fn an_actor_that_cannot_be_read_stops_its_world_which_can_be_recovered() {
    let (history, disk) = (MemoryDisk::default(), FaultyDisk::default());
    let mut world = kept(&history, &disk);
    let (_, _, first) = start(&mut world, 30);
    assert_eq!(
        world.ask(ActorId(first), &Datum::Int(7)).unwrap(),
        Datum::Int(7)
    );
    world.hibernate();
    world.checkpoint().unwrap();
    disk.fail_reads();
    let ticks = world.ticks();
    let handle = world.handle();
    let refused = world.ask(ActorId(first), &Datum::Int(1)).unwrap_err();
    assert!(
        matches!(&refused, AskError::Stopped(why) if why.contains("cannot be read")),
        "{refused}"
    );
    assert!(world.hibernation_error().is_some());
    disk.work_again();
    // It is not as if nothing had happened, and nothing more happens.
    assert!(!world.tick());
    assert!(world.ticks() <= ticks + 1);
    handle.send(ActorId(first + 1), Datum::Int(1));
    world.serve();
    assert!(world.checkpoint().is_err() && world.flush().is_err());
    let mut other = histories::builder().build().unwrap();
    assert!(other.take_checkpoint(&world.to_checkpoint()).is_err());
    drop(world);
    let after = history.copy();
    let mut world = kept(&after, &disk);
    assert!(world.hibernation_error().is_none());
    let answer = world.ask(ActorId(first), &Datum::Int(1)).unwrap();
    // What was asked when it stopped is an input like all others.
    assert_eq!(answer, Datum::Int(9));
    world.ask(ActorId(first), &Datum::Int(1)).unwrap();
    drop(world);
    // One that loses an actor while it is recovered does not wait for ticks that never come.
    let disk = FaultyDisk::default();
    let builder = sleepy(Arc::new(disk.clone()), at_once());
    let print = HostFunction::output("print", |_| {}).needing("io-console");
    disk.fail_reads();
    let again = builder
        .host(print)
        .keep(Arc::new(after.copy()), histories::settings());
    let refused = again.unwrap_err().to_string();
    assert!(refused.contains("a bad sector"), "{refused}");
}

#[test]
fn a_world_without_a_history_goes_back_to_a_state_that_it_has() {
    let disk = FaultyDisk::default();
    let mut world = world_on(&disk, HibernationSettings::default());
    let (_, _, first) = start(&mut world, 30);
    world.hibernate();
    let state = world.to_checkpoint();
    disk.fail_reads();
    world.send(ActorId(first), &Datum::Int(1));
    assert!(world.hibernation_error().is_some());
    disk.work_again();
    world.take_checkpoint(&state).unwrap();
    assert!(world.hibernation_error().is_none());
    let answer = world.ask(ActorId(first + 3), &Datum::Int(1)).unwrap();
    assert_eq!(answer, Datum::Int(4));
    assert!(world.hibernate() > 0);
}

#[test]
fn a_flipped_bit_stops_the_world_or_changes_nothing() {
    let mut told = 0;
    for start_seed in 1..200u64 {
        let mut seed = start_seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let disk = FaultyDisk::default();
        let mut world = world_on(&disk, HibernationSettings::default());
        let (_, _, first) = start(&mut world, 20);
        world.hibernate();
        let flipped = disk.flip_a_bit(&mut seed);
        assert!(flipped.is_some());
        let refused = (0..20).find_map(|number| {
            let answer = world.ask(ActorId(first + number), &Datum::Int(1));
            match answer {
                Ok(answer) => {
                    assert_eq!(answer, Datum::Int(number as i64 + 1));
                    None
                }
                Err(refused) => Some(refused),
            }
        });
        if let Some(refused) = refused {
            assert!(matches!(refused, AskError::Stopped(_)), "{refused}");
            let why = world.hibernation_error().unwrap();
            assert!(matches!(why, HibernationError::Damaged { .. }), "{why}");
            told += 1;
        }
    }
    // The bit may be in the one that nobody asks.
    assert!(told > 150, "{told}");
}
