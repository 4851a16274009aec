//! Actors that hibernate: the memory that they take, and how long it takes to put them away and to get them back.

use std::sync::Arc;
use std::time::Duration;

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::disk::RealDisk;
use physics_world::runtime::hibernation::HibernationSettings;
use physics_world::source::load_jue;
use physics_world::{ActorId, Datum, World};

use crate::states::builder;
use crate::{Figure, Options};

/// Actors that wait for ever, started one after the other.
const SLEEPERS: &str = "
(define (sleeper) (receive) (sleeper))
(define (main left) (if (> left 0) (begin (spawn sleeper) (main (- left 1))) nil))
";

/// Messages to single actors.
const SINGLE: u64 = 20_000;
/// Actors that are all woken, at most.
const ALL_MAX: u64 = 1_000_000;

/// Bytes of memory that this process has resident, as a line of its status says.
fn resident_bytes(line: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of_line = text.lines().find_map(|text| text.strip_prefix(line));
    let number = of_line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    number.unwrap_or(f64::NAN) * 1024.0
}

/// The time that this thread has run: others use the machine, too.
fn thread_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn world(options: &Options) -> World {
    let disk = RealDisk::open(options.directory.join("hibernated")).expect("a directory");
    let settings = HibernationSettings {
        after_ticks: 16,
        tick_bytes: 1 << 20,
        ..HibernationSettings::default()
    };
    let performance = PerformanceSettings {
        threads: 1,
        ..PerformanceSettings::default()
    };
    let builder = builder()
        .performance(performance)
        .hibernate(Arc::new(disk), settings);
    builder
        .expect("an empty directory")
        .build()
        .expect("native code")
}

fn hibernated(world: &World) -> u64 {
    world
        .hibernation()
        .map_or(0, |hibernation| hibernation.hibernated)
}

/// Puts so many actors away and gets them back.
pub(crate) fn all(options: &Options, count: u64) -> Vec<Figure> {
    let mut world = world(options);
    let program = load_jue(&mut world, "sleepers.jue", SLEEPERS).expect("a program");
    let before = resident_bytes("VmRSS:");
    let start = thread_time();
    let main = world
        .spawn(program, &[Datum::Int(count as i64)])
        .expect("main");
    world.run_to_idle();
    let started = thread_time() - start;
    let in_ticks = hibernated(&world);
    let start = thread_time();
    let rest = world.hibernate();
    let put_away = thread_time() - start;
    assert_eq!(hibernated(&world), count);
    let each = |bytes: f64| (bytes - before) / count as f64;
    let mut figures: Vec<Figure> = vec![
        ("hibernated: actors".to_owned(), count as f64, ""),
        (
            "hibernated: of them while others were started".to_owned(),
            in_ticks as f64,
            "",
        ),
        (
            "hibernated: resident bytes of each".to_owned(),
            each(resident_bytes("VmRSS:")),
            "B",
        ),
        (
            "hibernated: the most resident bytes of each meanwhile".to_owned(),
            each(resident_bytes("VmHWM:")),
            "B",
        ),
        (
            "hibernated: to start and put away one".to_owned(),
            per(started, count),
            "us",
        ),
        (
            "hibernated: to put away one, all at once".to_owned(),
            per(put_away, rest),
            "us",
        ),
    ];
    let file_bytes = world
        .hibernation()
        .map_or(0, |hibernation| hibernation.file_bytes);
    figures.push((
        "hibernated: bytes of the file for each".to_owned(),
        file_bytes as f64 / count as f64,
        "B",
    ));
    // Far from each other, in no order.
    let ids = (0..SINGLE)
        .map(|number| ActorId(main.0 + 1 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % count));
    let start = thread_time();
    for id in ids {
        world.send(id, &Datum::Nil);
        world.run_to_idle();
    }
    figures.push((
        "hibernated: a message to one that hibernates, and its turn".to_owned(),
        per(thread_time() - start, SINGLE),
        "us",
    ));
    world.hibernate();
    let woken = count.min(ALL_MAX);
    let start = thread_time();
    for number in 0..woken {
        world.send(ActorId(main.0 + 1 + number), &Datum::Nil);
    }
    world.run_to_idle();
    let all = thread_time() - start;
    figures.push((
        "hibernated: woken by a message each, and put away again".to_owned(),
        woken as f64 / all.as_secs_f64(),
        "/s",
    ));
    figures
}

fn per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}
