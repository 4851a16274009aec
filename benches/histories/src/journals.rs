//! Journals: inputs a second beside redb and bare syncs, what an asynchronous one costs, and how fast a history is done again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use futures_util::future::join_all;
use physics_world::runtime::disk::{Disk, RealDisk};
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::{Handle, HistorySettings};
use physics_world::source::load_jue;
use physics_world::{ActorId, Datum, World};

use crate::slow::Slow;
use crate::states::builder;
use crate::{Figure, Options};

/// Clients that have inputs, and how many each has on the way.
const WRITERS: u64 = 64;
const IN_FLIGHT: u64 = 16;

const ADDER: &str = "
(define (adder sum) (adder (+ sum (receive))))
(define (main) (adder 0))
";

const PING_PONG: &str = "
(define (pong) (let ((m (receive))) (send! (sender) m) (pong)))
(define (ping to n) (if (> n 0) (begin (send! to n) (receive) (ping to (- n 1))) n))
(define (main n) (ping (spawn pong) n))
";

fn adder(world: &mut World) -> ActorId {
    let program = load_jue(world, "bench.jue", ADDER).expect("it is well-formed");
    world.spawn(program, &[]).expect("it takes nothing")
}

/// What a client does that has so many inputs: some of them are always on the way.
async fn write(handle: Handle, adder: ActorId, inputs: u64) {
    let client = handle.open_session().await.expect("a world");
    let mut on_the_way = VecDeque::new();
    for number in 1..=inputs {
        on_the_way.push_back(client.say_numbered(number, adder, Datum::Int(1), false));
        if on_the_way.len() as u64 == IN_FLIGHT {
            let first = on_the_way.pop_front().expect("there are some");
            first.await.expect("it is heard");
        }
    }
    for said in on_the_way {
        said.await.expect("it is heard");
    }
}

/// What clients run on.
#[derive(Clone, Copy)]
enum Clients {
    /// Each on a thread of its own.
    Threads,
    /// All on one, as tasks.
    Tasks,
}

impl Clients {
    /// Has all of them do what they do, to the end.
    fn run(self, clients: Vec<impl Future<Output = ()> + Send + 'static>) {
        match self {
            Clients::Tasks => drop(block_on(join_all(clients))),
            Clients::Threads => {
                let threads = clients.into_iter();
                let threads = threads.map(|client| std::thread::spawn(|| block_on(client)));
                for thread in threads.collect::<Vec<_>>() {
                    thread.join().expect("it ends");
                }
            }
        }
    }
}

/// Inputs a second of a world that syncs them; each sync takes so much longer than this disk does.
fn world_inputs(options: &Options, clients: Clients, sync: Duration) -> f64 {
    let directory = options.directory.join("inputs");
    // An earlier one may be there.
    let _ = std::fs::remove_dir_all(&directory);
    let disk = RealDisk::open(directory).expect("a directory");
    let disk = Arc::new(Slow { disk, sync });
    let settings = HistorySettings {
        durability: Durability::Sync,
        ..HistorySettings::default()
    };
    let (mut world, _) = builder().keep(disk, settings).expect("a new history");
    let adder = adder(&mut world);
    let handle = world.handle();
    let (each, start) = (options.inputs, Instant::now());
    let ends = std::thread::spawn(move || {
        let writers = (0..WRITERS).map(|_| write(handle.clone(), adder, each));
        clients.run(writers.collect());
        let time = start.elapsed();
        handle.stop();
        time
    });
    world.serve();
    let time = ends.join().expect("it ends");
    (WRITERS * each) as f64 / time.as_secs_f64()
}

/// Inputs a second of redb, with as many in each commit as can be on the way.
fn redb_inputs(options: &Options) -> f64 {
    let database = redb::Database::create(options.directory.join("redb")).expect("a file");
    let table: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("inputs");
    let all = (WRITERS * options.inputs).min(WRITERS * IN_FLIGHT * 200);
    let start = Instant::now();
    let mut number = 0;
    while number < all {
        let write = database.begin_write().expect("one writer");
        {
            let mut table = write.open_table(table).expect("a table");
            for _ in 0..WRITERS * IN_FLIGHT {
                table.insert(number, &[7u8; 24][..]).expect("room");
                number += 1;
            }
        }
        write.commit().expect("a disk");
    }
    all as f64 / start.elapsed().as_secs_f64()
}

/// Bare writes of a batch with a sync, as inputs a second.
fn bare_syncs(options: &Options, sync: Duration) -> f64 {
    let disk = RealDisk::open(options.directory.join("syncs")).expect("a directory");
    let mut file = Slow { disk, sync }.create("syncs").expect("a file");
    let of_batch = WRITERS * IN_FLIGHT;
    let batch = vec![7u8; (of_batch * 40) as usize];
    let (count, start) = (200, Instant::now());
    for number in 0..count {
        let offset = number * batch.len() as u64;
        file.write_at(offset, &batch).expect("room");
        file.sync().expect("a disk");
    }
    (count * of_batch) as f64 / start.elapsed().as_secs_f64()
}

/// How many milliseconds more than on this disk a sync takes: none, and as many as on others.
const SYNCS_MS: [u64; 3] = [0, 1, 4];

pub(crate) fn inputs(options: &Options) -> Vec<Figure> {
    let mut figures = Vec::new();
    for sync in SYNCS_MS.map(Duration::from_millis) {
        let named = |what: &str| match sync {
            Duration::ZERO => format!("journal: {what}"),
            _ => format!("journal, syncs take {sync:?} more: {what}"),
        };
        let mut add = |what, inputs| figures.push((named(what), inputs, "/s"));
        add(
            "inputs of 64 threads",
            world_inputs(options, Clients::Threads, sync),
        );
        add(
            "inputs of 64 tasks",
            world_inputs(options, Clients::Tasks, sync),
        );
        add("bare syncs of 1,024", bare_syncs(options, sync));
    }
    figures.push((
        "journal: redb, 1,024 in a commit".to_owned(),
        redb_inputs(options),
        "/s",
    ));
    figures
}

/// The time that a world takes for many inputs.
fn told(world: &mut World, inputs: u64) -> Duration {
    let adder = adder(world);
    let start = Instant::now();
    for number in 0..inputs {
        world.send(adder, &Datum::Int(1));
        if number % 64 == 0 {
            world.run_to_idle();
        }
    }
    world.run_to_idle();
    start.elapsed()
}

/// What an asynchronous history costs a world that does little but take inputs; medians of pairs by turns.
pub(crate) fn overhead() -> Vec<Figure> {
    const INPUTS: u64 = 1_000_000;
    let mut ratios: Vec<f64> = (0..9)
        .map(|number| {
            let directory = format!("/var/tmp/pw-histories/async-{number}");
            let disk = Arc::new(RealDisk::open(directory).expect("a directory"));
            let (mut kept, _) = builder()
                .keep(disk, HistorySettings::default())
                .expect("a new history");
            let mut plain = builder().build().expect("a machine");
            let before = told(&mut plain, INPUTS);
            let after = told(&mut kept, INPUTS);
            after.as_secs_f64() / before.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let middle = ratios[ratios.len() / 2];
    vec![(
        "async history of an input-heavy world, overhead".to_owned(),
        (middle - 1.0) * 1e2,
        "%",
    )]
}

/// The time of a replay, as a part of the time of the run.
pub(crate) fn replay(options: &Options) -> Vec<Figure> {
    let directory = options.directory.join("replay");
    let settings = HistorySettings {
        // One checkpoint: everything is done again.
        checkpoint_ticks: u64::MAX / 2,
        ..HistorySettings::default()
    };
    let disk = Arc::new(RealDisk::open(&directory).expect("a directory"));
    let (mut world, _) = builder().keep(disk, settings).expect("a new history");
    let program = load_jue(&mut world, "bench.jue", PING_PONG).expect("it is well-formed");
    let start = Instant::now();
    world
        .spawn(program, &[Datum::Int(300_000)])
        .expect("it takes one");
    world.run_to_idle();
    world.flush().expect("a disk");
    let ran = start.elapsed();
    drop(world);
    let disk = Arc::new(RealDisk::look_at(&directory).expect("a directory"));
    let mut replay = builder().replay(disk).expect("a history");
    let start = Instant::now();
    let (_, last) = replay.range();
    replay.go_to(last).expect("it is known");
    let again = start.elapsed();
    vec![(
        "replay, time of the run".to_owned(),
        again.as_secs_f64() / ran.as_secs_f64() * 1e2,
        "%",
    )]
}
