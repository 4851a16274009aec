//! Checkpoints: how long a world stops, how fast it is captured, written and read again.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

use physics_world::runtime::disk::RealDisk;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::{HistorySettings, WorldBuilder};
use physics_world::source::load_jue;
use physics_world::{ActorId, Datum, World, WorldSettings};

use crate::{Figure, Options};

/// Actors that wait, each with a vector; and one that is always busy, a little in each tick.
const MANY: &str = "
(define (hold v) (receive) (vector-set! v 0 1) (hold v))
(define (keep n) (hold (make-vector n 7)))
(define (start left n) (if (> left 0) (begin (spawn keep n) (start (- left 1) n)) nil))
(define (busy n) (yield) (busy (+ n 1)))
(define (main left n) (start left n) (busy 0))
";

/// One actor that holds many vectors, and changes one of them in each tick.
const LARGE: &str = "
(define (fill all left n) (if (> left 0) (fill (cons (make-vector n 7) all) (- left 1) n) all))
(define (change all rest) (yield) (vector-set! (car rest) 0 1) (change all (if (null? (cdr rest)) all (cdr rest))))
(define (main left n) (let ((all (fill nil left n))) (change all all)))
";

/// One actor that holds many vectors, and puts a new one in the place of another in each tick: now and then it collects.
const CHURNING: &str = "
(define (fill all place n) (if (< place (vector-length all)) (begin (vector-set! all place (make-vector n 7)) (fill all (+ place 1) n)) all))
(define (renew all place n) (yield) (vector-set! all place (make-vector n 8)) (renew all (mod (+ place 7) (vector-length all)) n))
(define (main left n) (renew (fill (make-vector left 0) 0 n) 0 n))
";

pub(crate) fn builder() -> WorldBuilder {
    let settings = WorldSettings {
        // The large actor may have what is asked for.
        memory_bytes: 1 << 33,
        ..WorldSettings::default()
    };
    World::builder()
        .settings(settings)
        .host(HostFunction::output("print", |_| {}).needing("io-console"))
}

fn settings(checkpoint_ticks: u64, durability: Durability) -> HistorySettings {
    HistorySettings {
        durability,
        checkpoint_ticks,
        // One with everything, one with what has changed, by turns.
        increments: 1,
        ..HistorySettings::default()
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// How long ticks took in which somebody had a turn, in ms: on the clock, and of the time of the world's thread.
#[derive(Default)]
struct Times {
    wall: Vec<f64>,
    thread: Vec<f64>,
}

impl Times {
    /// Does something, and remembers how long it took.
    fn measure(&mut self, what: impl FnOnce()) {
        let (start, thread) = (Instant::now(), ThreadTime::now());
        what();
        self.thread.push(ms(thread.elapsed()));
        self.wall.push(ms(start.elapsed()));
    }

    /// Does a tick, and remembers how long it took if somebody had a turn.
    fn tick(&mut self, world: &mut World) {
        let slices = world.statistics().slices;
        self.measure(|| {
            world.run_ticks(1);
        });
        if world.statistics().slices == slices {
            self.thread.pop();
            self.wall.pop();
        }
    }

    fn sort(mut self) -> Times {
        self.wall.sort_by(f64::total_cmp);
        self.thread.sort_by(f64::total_cmp);
        self
    }
}

/// The times of so many ticks, the shortest first.
fn ticks(world: &mut World, count: usize) -> Times {
    let mut times = Times::default();
    while times.wall.len() < count {
        times.tick(world);
    }
    times.sort()
}

fn quantile(times: &[f64], part: f64) -> f64 {
    times[((times.len() - 1) as f64 * part) as usize]
}

/// How often everything that waits for the disk, or takes memory for the first time, is measured: by turns, because both take very different times.
const ROUNDS: usize = 5;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// Seconds that something takes.
fn seconds(what: impl FnOnce()) -> f64 {
    let start = Instant::now();
    what();
    start.elapsed().as_secs_f64()
}

/// Seconds of a plain copy of so many bytes, and of a plain write with a sync.
fn plain_seconds(options: &Options, bytes: usize) -> (f64, f64) {
    let from = vec![7u8; bytes];
    let mut copy = Vec::new();
    let copied = seconds(|| copy = black_box(&from).clone());
    drop(black_box(copy));
    let path = options.directory.join("plain");
    let written = seconds(|| {
        let mut file = File::create(&path).expect("a file");
        for block in from.chunks(1 << 20) {
            file.write_all(block).expect("room");
        }
        file.sync_all().expect("a disk");
    });
    std::fs::remove_file(path).expect("it is there");
    (copied, written)
}

fn checkpoint_bytes(directory: &Path) -> u64 {
    let newest = std::fs::read_dir(directory)
        .expect("a history")
        .filter_map(|entry| entry.ok())
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("checkpoint-")
        })
        .max_by_key(|entry| entry.file_name());
    newest.map_or(0, |entry| entry.metadata().map_or(0, |of| of.len()))
}

/// The world whose history a directory has, or a new one.
fn opened(directory: &Path) -> World {
    let disk = Arc::new(RealDisk::open(directory).expect("a directory"));
    // Checkpoints are begun by hand here.
    let kept = builder().keep(disk, settings(u64::MAX / 2, Durability::Sync));
    kept.expect("a history that is sound").0
}

/// Waits until checkpoints are removed that are not kept any more: what is measured next would wait for that, too.
fn older_are_removed() {
    std::thread::sleep(Duration::from_millis(500));
}

/// Seconds of what is written, and what it is compared with; medians.
struct Written {
    copied: f64,
    written: f64,
    full: f64,
    increment: f64,
    increment_bytes: u64,
}

/// Measures, by turns, plain copies and writes, increments when some has changed, and checkpoints of everything.
fn written(
    world: &mut World,
    options: &Options,
    directory: &Path,
    (changed, ticks_changing): (i64, u64),
) -> Written {
    let (mut copies, mut writes, mut fulls, mut increments) = (vec![], vec![], vec![], vec![]);
    let mut increment_bytes = 0;
    let bytes = checkpoint_bytes(directory);
    for _ in 0..ROUNDS {
        let (copied, written) = plain_seconds(options, bytes as usize);
        copies.push(copied);
        writes.push(written);
        for actor in 2..2 + changed {
            world.send(ActorId(actor as u64), &Datum::Int(1));
        }
        world.run_ticks(ticks_changing);
        world.flush().expect("a disk");
        increments.push(seconds(|| {
            world.checkpoint().expect("a disk");
        }));
        increment_bytes = checkpoint_bytes(directory);
        older_are_removed();
        world.run_ticks(1);
        world.flush().expect("a disk");
        fulls.push(seconds(|| {
            world.checkpoint().expect("a disk");
        }));
        older_are_removed();
    }
    Written {
        copied: median(copies),
        written: median(writes),
        full: median(fulls),
        increment: median(increments),
        increment_bytes,
    }
}

fn of_world(
    what: &str,
    options: &Options,
    program: &str,
    arguments: [i64; 2],
    quiet_ticks: usize,
    (changed, ticks_changing): (i64, u64),
) -> Vec<Figure> {
    let directory = options.directory.join(what);
    let mut world = opened(&directory);
    let program = load_jue(&mut world, "bench.jue", program).expect("it is well-formed");
    world
        .spawn(program, &arguments.map(Datum::Int))
        .expect("it takes two");
    while world.actor_count() <= arguments[0] as usize && what == "many" || world.ticks() < 3_000 {
        world.run_ticks(1);
    }
    world.flush().expect("a disk");
    let actors = world.actor_count();
    let quiet = ticks(&mut world, quiet_ticks);
    let mut during = Times::default();
    during.measure(|| world.begin_checkpoint());
    while world.is_capturing() {
        during.tick(&mut world);
    }
    let during = during.sort();
    // Until that one is published.
    world.flush().expect("a disk");
    std::thread::sleep(Duration::from_secs(1));
    world.checkpoint().expect("a disk");
    let bytes = checkpoint_bytes(&directory);
    let usual = quantile(&quiet.thread, 0.5) * during.thread.len() as f64;
    let captured = during.thread.iter().sum::<f64>() - usual;
    let captured = captured.max(1e-3) / 1e3;
    let Written {
        copied,
        written,
        full,
        increment,
        increment_bytes,
    } = written(&mut world, options, &directory, (changed, ticks_changing));
    drop(world);
    let restores = (0..ROUNDS).map(|_| {
        let mut again = None;
        let taken = seconds(|| again = Some(opened(&directory)));
        drop(again);
        taken
    });
    let restored = median(restores.collect());
    let rate = |seconds: f64| bytes as f64 / 1e6 / seconds;
    let named = |text: &str| format!("{what}: {text}");
    vec![
        (named("actors"), actors as f64, ""),
        (named("bytes of a checkpoint"), bytes as f64 / 1e6, "MB"),
        (
            named("a quiet tick, median"),
            quantile(&quiet.wall, 0.5),
            "ms",
        ),
        (
            named("a quiet tick, p99"),
            quantile(&quiet.wall, 0.99),
            "ms",
        ),
        (
            named("a quiet tick, longest"),
            quantile(&quiet.wall, 1.0),
            "ms",
        ),
        (
            named("ticks while it is captured"),
            during.wall.len() as f64,
            "",
        ),
        (
            named("a tick while it is captured, p99"),
            quantile(&during.wall, 0.99),
            "ms",
        ),
        (
            named("a tick while it is captured, p99, thread"),
            quantile(&during.thread, 0.99),
            "ms",
        ),
        (
            named("a tick while it is captured, longest"),
            quantile(&during.wall, 1.0),
            "ms",
        ),
        (
            named("a tick while it is captured, longest, thread"),
            quantile(&during.thread, 1.0),
            "ms",
        ),
        (
            named("capture, as time of the world"),
            rate(captured),
            "MB/s",
        ),
        (named("memcpy"), rate(copied), "MB/s"),
        (named("a full checkpoint with a sync"), rate(full), "MB/s"),
        (named("a plain write with a sync"), rate(written), "MB/s"),
        (
            named("an increment, time of a full one"),
            increment / full * 1e2,
            "%",
        ),
        (
            named("an increment, bytes of a full one"),
            increment_bytes as f64 / bytes as f64 * 1e2,
            "%",
        ),
        (named("restore"), restored * 1e3, "ms"),
    ]
}

/// Many actors, of which one in a hundred changes.
pub(crate) fn many(options: &Options) -> Vec<Figure> {
    of_world(
        "many",
        options,
        MANY,
        [options.actors, 32],
        2_000,
        (options.actors / 100, 50),
    )
}

/// One actor with a large heap, of which one part in a hundred changes.
pub(crate) fn large(options: &Options) -> Vec<Figure> {
    let vectors = options.large / (8 * 1_000);
    of_world(
        "large",
        options,
        LARGE,
        [vectors, 1_000],
        2_000,
        (0, vectors as u64 / 100),
    )
}

/// One actor with a large heap of small objects that is renewed all the time: also the quiet ticks are so many that it collects.
pub(crate) fn churning(options: &Options) -> Vec<Figure> {
    let vectors = options.large / (8 * 100);
    of_world(
        "churning",
        options,
        CHURNING,
        [vectors, 100],
        vectors as usize * 2,
        (0, vectors as u64 / 100),
    )
}
