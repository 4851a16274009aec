//! Checkpoints: how long a world stops, how fast it is captured, written and read again.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
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

/// Rates of a plain copy, and of a plain write with a sync, in MB/s.
fn plain_rates(options: &Options, bytes: usize) -> (f64, f64) {
    let from = vec![7u8; bytes];
    let start = Instant::now();
    let copy = black_box(&from).clone();
    let copied = start.elapsed();
    black_box(copy);
    let path = options.directory.join("plain");
    let start = Instant::now();
    let mut file = File::create(&path).expect("a file");
    for block in from.chunks(1 << 20) {
        file.write_all(block).expect("room");
    }
    file.sync_all().expect("a disk");
    let written = start.elapsed();
    let rate = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    (rate(copied), rate(written))
}

fn checkpoint_bytes(directory: &std::path::Path) -> u64 {
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

fn of_world(
    what: &str,
    options: &Options,
    program: &str,
    arguments: [i64; 2],
    quiet_ticks: usize,
    (changed, ticks_changing): (i64, u64),
) -> Vec<Figure> {
    let directory = options.directory.join(what);
    let disk = Arc::new(RealDisk::open(&directory).expect("a directory"));
    // Checkpoints are begun by hand here.
    let kept = builder().keep(disk, settings(u64::MAX / 2, Durability::Sync));
    let (mut world, _) = kept.expect("a new history");
    let program = load_jue(&mut world, "bench.jue", program).expect("it is well-formed");
    world
        .spawn(program, &arguments.map(Datum::Int))
        .expect("it takes two");
    while world.actor_count() <= arguments[0] as usize && what == "many" || world.ticks() < 3_000 {
        world.run_ticks(1);
    }
    world.flush().expect("a disk");
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
    let start = Instant::now();
    world.checkpoint().expect("a disk");
    let full = start.elapsed();
    let bytes = checkpoint_bytes(&directory);
    let usual = quantile(&quiet.thread, 0.5) * during.thread.len() as f64;
    let captured = during.thread.iter().sum::<f64>() - usual;
    let captured = Duration::from_secs_f64(captured.max(1e-3) / 1e3);
    for actor in 2..2 + changed {
        world.send(ActorId(actor as u64), &Datum::Int(1));
    }
    world.run_ticks(ticks_changing);
    world.flush().expect("a disk");
    let start = Instant::now();
    world.checkpoint().expect("a disk");
    let increment = start.elapsed();
    let increment_bytes = checkpoint_bytes(&directory);
    drop(world);
    let start = Instant::now();
    let disk = Arc::new(RealDisk::open(&directory).expect("a directory"));
    let again = builder().keep(disk, settings(u64::MAX / 2, Durability::Sync));
    let (world, _) = again.expect("the same history");
    let restored = start.elapsed();
    let (copied, written) = plain_rates(options, bytes as usize);
    let rate = |bytes: u64, time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    let named = |text: &str| format!("{what}: {text}");
    let figures = vec![
        (named("actors"), world.actor_count() as f64, ""),
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
            rate(bytes, captured),
            "MB/s",
        ),
        (named("memcpy"), copied, "MB/s"),
        (
            named("a full checkpoint with a sync"),
            rate(bytes, full),
            "MB/s",
        ),
        (named("a plain write with a sync"), written, "MB/s"),
        (
            named("an increment, time of a full one"),
            increment.as_secs_f64() / full.as_secs_f64() * 1e2,
            "%",
        ),
        (
            named("an increment, bytes of a full one"),
            increment_bytes as f64 / bytes as f64 * 1e2,
            "%",
        ),
        (named("restore"), ms(restored), "ms"),
    ];
    drop(world);
    figures
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
