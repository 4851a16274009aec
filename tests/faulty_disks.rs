//! Disks that lose what was not synced, fail, fill up and flip bits: what was acknowledged is there, or the loss is told.
//!
//! `PW_SEEDS=20000 cargo test --release --test faulty_disks` tries so many courses of each kind.

#[path = "support/faulty_disk.rs"]
mod faulty_disk;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::Arc;

use faulty_disk::{FaultyDisk, next};
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::checkpoint::RecoveryError;
use physics_world::runtime::disk::Disk;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::{HistorySettings, Recovery};
use physics_world::{ActorId, Datum, World};

/// Courses of each kind when nobody says otherwise.
const SEEDS: u64 = 150;

fn seeds() -> impl Iterator<Item = u64> {
    let given = std::env::var("PW_SEEDS").ok();
    1..=given.map_or(SEEDS, |text| text.parse().expect("a number of courses"))
}

const ADDER: &str = "
(define (adder sum)
  (let ((now (+ sum (receive))))
    (print now)
    (try (reply now) (catch e nil))
    (adder now)))
(define (main) (adder 0))
";

fn keep(disk: &FaultyDisk) -> Result<(World, Recovery), RecoveryError> {
    World::builder()
        .performance(PerformanceSettings {
            jit: None,
            threads: 1,
            ..PerformanceSettings::default()
        })
        .host(HostFunction::output("print", |_| {}).needing("io-console"))
        .keep(
            Arc::new(disk.clone()),
            HistorySettings {
                durability: Durability::Sync,
                checkpoint_ticks: 4,
                checkpoints_kept: 2,
                increments: 2,
                horizon_ticks: 2,
                capture_bytes: 200,
                paged_bytes: 300,
                segment_bytes: 900,
                ..HistorySettings::default()
            },
        )
}

/// Has the adder add numbers until the disk fails, or all are added: how many were, as far as it has said.
fn add(world: &mut World, adder: ActorId, mut sum: i64, numbers: u64) -> i64 {
    for _ in 0..numbers {
        match world.ask(adder, &Datum::Int(1)) {
            Ok(answer) => {
                sum += 1;
                assert_eq!(answer, Datum::Int(sum));
            }
            Err(_) => break,
        }
    }
    sum
}

/// A world with an adder on a new disk.
fn begin(disk: &FaultyDisk) -> (World, ActorId) {
    let (mut world, _) = keep(disk).unwrap();
    let program = worlds::load(&mut world, ADDER);
    let adder = world.spawn(program, &[]).unwrap();
    world.flush().unwrap();
    (world, adder)
}

/// The disk of a world whose adder has added some numbers and which has ended: who that is, and the sum.
fn left_by_adder(seed: &mut u64) -> (FaultyDisk, ActorId, i64) {
    let disk = FaultyDisk::default();
    let (mut world, adder) = begin(&disk);
    let sum = add(&mut world, adder, 0, 3 + next(seed) % 20);
    (disk, adder, sum)
}

#[test]
fn what_was_acknowledged_survives_every_loss_of_power() {
    for start in seeds() {
        let mut seed = start.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut disk = FaultyDisk::default();
        let (mut world, adder) = begin(&disk);
        let mut sum = 0;
        for _ in 0..4 {
            sum = add(&mut world, adder, sum, next(&mut seed) % 12);
            if next(&mut seed).is_multiple_of(3) {
                // Another process takes over what the one before may not have synced, and says that it is there.
                world.send(adder, &Datum::Int(0));
                world.run_ticks(1);
                disk = disk.after_a_kill();
                drop(world);
                world = keep(&disk)
                    .unwrap_or_else(|bad| panic!("seed {start}: {bad}"))
                    .0;
                assert_eq!(world.ask(adder, &Datum::Int(0)).unwrap(), Datum::Int(sum));
            }
            disk = disk.after_power_loss(&mut seed);
            drop(world);
            let (again, _) = keep(&disk).unwrap_or_else(|bad| panic!("seed {start}: {bad}"));
            world = again;
            let now = world.ask(adder, &Datum::Int(0)).unwrap();
            assert_eq!(now, Datum::Int(sum), "seed {start}");
        }
    }
}

#[test]
fn a_disk_that_fails_stops_what_leaves_the_world_and_loses_nothing() {
    for start in seeds() {
        let mut seed = start.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let disk = FaultyDisk::default();
        let (mut world, adder) = begin(&disk);
        disk.fail_after(next(&mut seed) % 60);
        let sum = add(&mut world, adder, 0, 40);
        let has_failed = sum < 40;
        if has_failed {
            let error = world.history_error().unwrap();
            assert!(error.contains("space"), "{error}");
        }
        drop(world);
        let (mut world, _) = keep(&disk.after_power_loss(&mut seed)).unwrap();
        let now = match world.ask(adder, &Datum::Int(0)).unwrap() {
            Datum::Int(now) => now,
            other => panic!("{other:?}"),
        };
        // What was said when the disk failed may have been heard.
        assert!(
            now == sum || (has_failed && now == sum + 1),
            "seed {start}: {now}, not {sum}"
        );
    }
}

#[test]
fn what_cannot_be_read_now_is_not_taken_for_damaged() {
    let mut refused = 0;
    for start in seeds() {
        let mut seed = start.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (disk, adder, sum) = left_by_adder(&mut seed);
        let names = disk.list().unwrap();
        disk.fail_an_open_after(next(&mut seed) % 24);
        match keep(&disk) {
            Ok((_, recovery)) => assert_eq!(recovery.flaws, [], "seed {start}"),
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("open files"), "{error}");
                assert_eq!(disk.list().unwrap(), names, "seed {start}");
            }
        }
        disk.work_again();
        let (mut world, recovery) = keep(&disk).unwrap();
        assert_eq!(recovery.flaws, [], "seed {start}");
        assert!(recovery.tail.is_none(), "seed {start}");
        let now = world.ask(adder, &Datum::Int(0)).unwrap();
        assert_eq!(now, Datum::Int(sum), "seed {start}");
    }
    assert!(refused > 0, "a recovery opens files");
}

#[test]
fn a_flipped_bit_is_told_of_or_changes_nothing() {
    let mut told = 0;
    for start in seeds() {
        let mut seed = start.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (disk, adder, sum) = left_by_adder(&mut seed);
        let flipped = disk.flip_a_bit(&mut seed);
        let (mut world, recovery) = match keep(&disk) {
            Err(_) => {
                told += 1;
                continue;
            }
            Ok(recovered) => recovered,
        };
        if recovery.tail.is_some() || !recovery.flaws.is_empty() {
            told += 1;
            continue;
        }
        let now = world.ask(adder, &Datum::Int(0)).unwrap();
        assert_eq!(now, Datum::Int(sum), "seed {start}: {flipped:?}");
    }
    assert!(told > 0, "some bits matter");
}
