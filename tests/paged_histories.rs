//! Histories of actors whose objects are captured page by page: whatever becomes of their arenas meanwhile, each checkpoint can be taken.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::sync::Arc;

use histories::builder;
use physics_world::Datum;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::HistorySettings;
use worlds::load;

/// An actor whose list grows to `most` pairs, a few in each tick, and is then cut to the last `few`: so its arena has
/// more and more segments, of which a collection leaves nearly nothing.
const BREATHING: &str = "
(define (grow list n) (if (= n 0) list (grow (cons n list) (- n 1))))
(define (keep list n) (if (= n 0) nil (cons (car list) (keep (cdr list) (- n 1)))))
(define (live list count most few step)
  (yield)
  (if (< count most)
    (live (grow list step) (+ count step) most few step)
    (live (keep list few) few most few step)))
(define (main most few step) (live nil 0 most few step))
";

#[test]
fn an_arena_that_grows_and_shrinks_while_it_is_captured_is_read_again() {
    for (most, few, step, capture_bytes) in [
        (30_000, 1_200, 20_000, 4_000),
        (45_000, 300, 20_000, 12_000),
    ] {
        let settings = HistorySettings {
            durability: Durability::Memory,
            checkpoint_ticks: 3,
            checkpoints_kept: 2,
            increments: 3,
            horizon_ticks: 1,
            capture_bytes,
            paged_bytes: 0,
            ..HistorySettings::default()
        };
        let disk = MemoryDisk::default();
        let (mut world, _) = builder().keep(Arc::new(disk.clone()), settings).unwrap();
        let program = load(&mut world, BREATHING);
        let arguments = [most, few, step].map(Datum::Int);
        world.spawn(program, &arguments).unwrap();
        let mut newest = None;
        // How many ticks go by while a checkpoint is written is the machine's matter.
        for tick in 0..10_000 {
            world.run_ticks(1);
            let statistics = world.history_statistics().unwrap();
            if tick >= 400 && statistics.checkpoints > 7 {
                break;
            }
            if statistics.newest_checkpoint == newest {
                continue;
            }
            newest = statistics.newest_checkpoint;
            world.flush().unwrap();
            let copy = Arc::new(disk.copy());
            let (again, recovery) = builder().keep(copy, settings).unwrap();
            assert_eq!(recovery.flaws, [], "{recovery:?}");
            assert_eq!(recovery.checkpoint, newest);
            assert!(again.to_checkpoint() == world.to_checkpoint());
        }
        let statistics = world.history_statistics().unwrap();
        assert!(statistics.checkpoints > 7, "{statistics:?}");
        assert!(statistics.page_bytes > 100_000, "{statistics:?}");
    }
}

/// An actor that holds a list of so many pairs.
const HOLDING: &str = "
(define (grow list n) (if (= n 0) list (grow (cons n list) (- n 1))))
(define (hold list) (receive) (hold list))
(define (main n) (hold (grow nil n)))
";

#[test]
fn large_actors_and_small_ones_are_read_by_however_many_threads() {
    // One has many blocks of pages, or some have few.
    for (large, pairs) in [(1, 600_000), (6, 20_000)] {
        let settings = HistorySettings {
            durability: Durability::Memory,
            paged_bytes: 256 << 10,
            ..HistorySettings::default()
        };
        let disk = MemoryDisk::default();
        let (mut world, _) = builder().keep(Arc::new(disk.clone()), settings).unwrap();
        let program = load(&mut world, HOLDING);
        for pairs in (0..large).map(|_| pairs).chain(0..300) {
            world.spawn(program, &[Datum::Int(pairs)]).unwrap();
        }
        world.run_to_idle();
        world.checkpoint().unwrap();
        let statistics = world.history_statistics().unwrap();
        assert!(statistics.page_bytes > 2_000_000, "{statistics:?}");
        for threads in [1, 2, 5] {
            let performance = PerformanceSettings {
                threads,
                ..PerformanceSettings::default()
            };
            let builder = builder().performance(performance);
            let (again, recovery) = builder.keep(Arc::new(disk.copy()), settings).unwrap();
            assert_eq!(recovery.flaws, [], "{recovery:?}");
            assert!(again.to_checkpoint() == world.to_checkpoint(), "{threads}");
        }
    }
}
