//! Journals: inputs a second beside redb and bare syncs, what an asynchronous one costs, and how fast a history is done again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use physics_world::runtime::disk::RealDisk;
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::HistorySettings;
use physics_world::source::load_jue;
use physics_world::{ActorId, Datum, World};

use crate::states::builder;
use crate::{Figure, Options};

/// Threads that have inputs, and how many each has on the way.
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

/// Inputs a second of a world that syncs them.
fn world_inputs(options: &Options) -> f64 {
    let disk = Arc::new(RealDisk::open(options.directory.join("inputs")).expect("a directory"));
    let settings = HistorySettings {
        durability: Durability::Sync,
        ..HistorySettings::default()
    };
    let (mut world, _) = builder().keep(disk, settings).expect("a new history");
    let adder = adder(&mut world);
    let handle = world.handle();
    let (each, start) = (options.inputs, Instant::now());
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let handle = handle.clone();
            std::thread::spawn(move || {
                let client = block_on(handle.open_session()).expect("a world");
                let mut on_the_way = std::collections::VecDeque::new();
                for number in 1..=each {
                    let said = client.say_numbered(number, adder, Datum::Int(1), false);
                    on_the_way.push_back(said);
                    if on_the_way.len() as u64 == IN_FLIGHT {
                        let first = on_the_way.pop_front().expect("there are some");
                        block_on(first).expect("it is heard");
                    }
                }
                for said in on_the_way {
                    block_on(said).expect("it is heard");
                }
            })
        })
        .collect();
    let ends = std::thread::spawn(move || {
        for writer in writers {
            writer.join().expect("it ends");
        }
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

/// Bare writes of a batch with a sync, a second.
fn bare_syncs(options: &Options) -> f64 {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(options.directory.join("syncs")).expect("a file");
    let batch = vec![7u8; (WRITERS * IN_FLIGHT * 40) as usize];
    let (count, start) = (200, Instant::now());
    for number in 0..count {
        file.write_all_at(&batch, number * batch.len() as u64)
            .expect("room");
        file.sync_data().expect("a disk");
    }
    count as f64 / start.elapsed().as_secs_f64()
}

pub(crate) fn inputs(options: &Options) -> Vec<Figure> {
    let syncs = bare_syncs(options);
    let world = world_inputs(options);
    let redb = redb_inputs(options);
    vec![
        (
            "journal: synced inputs, 64 writers of 16 on the way".to_owned(),
            world,
            "/s",
        ),
        ("journal: redb, 1,024 in a commit".to_owned(), redb, "/s"),
        (
            "journal: bare syncs of 1,024 inputs, as inputs".to_owned(),
            syncs * (WRITERS * IN_FLIGHT) as f64,
            "/s",
        ),
    ]
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
