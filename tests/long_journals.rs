//! Journals that are far longer than what of them is in memory: recovering a world, doing it again, and making a bundle read one segment at a
//! time.

#[path = "support/histories.rs"]
mod histories;
#[path = "support/worlds.rs"]
mod worlds;

use std::path::Path;
use std::sync::Arc;

use histories::builder;
use physics_world::runtime::disk::{Disk, RealDisk};
use physics_world::runtime::world::HistorySettings;
use physics_world::{Datum, World};
use worlds::load;

/// Bytes of a message, of a segment, and of all messages.
const MESSAGE: usize = 64 << 10;
const SEGMENT: u64 = 1 << 20;
const ALL: usize = 96 << 20;
/// Bytes by which the process may grow while it reads all that: a segment, a batch beyond its end, and what the allocator keeps.
const MOST: u64 = 24 << 20;

/// The most bytes that the process had at once since [`forget_peak`].
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse::<u64>().unwrap() << 10
}

fn forget_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    peak()
}

/// A directory with a history of one actor that heard all messages, and no checkpoint but the first.
fn begun(directory: &Path) -> HistorySettings {
    // It may be there from an earlier run.
    let _ = std::fs::remove_dir_all(directory);
    let settings = HistorySettings {
        checkpoint_ticks: u64::MAX,
        segment_bytes: SEGMENT,
        ..HistorySettings::default()
    };
    let disk = Arc::new(RealDisk::open(directory).unwrap());
    let (mut world, _) = builder().keep(disk, settings).unwrap();
    let program = load(
        &mut world,
        "(define (count n) (receive) (count (+ n 1)))\n(define (main) (count 0))",
    );
    let actor = world.spawn(program, &[]).unwrap();
    for number in 0..ALL / MESSAGE {
        let text = char::from(b'a' + (number % 26) as u8).to_string();
        world.send(actor, &Datum::from(text.repeat(MESSAGE).as_str()));
        world.run_ticks(2);
    }
    world.flush().unwrap();
    settings
}

/// How much the process grew at most. The system counts pages in batches: what did not grow may even seem smaller afterwards.
fn grown(what: impl FnOnce()) -> u64 {
    let before = forget_peak();
    what();
    peak().saturating_sub(before)
}

#[test]
#[cfg(target_os = "linux")]
fn a_journal_is_read_one_segment_at_a_time() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("long-journal");
    let settings = begun(&directory);
    let look = || RealDisk::look_at(&directory).unwrap();
    let segments = look().list().unwrap();
    let segments = segments.iter().filter(|name| name.starts_with("journal-"));
    assert!(segments.count() > 50);
    let messages = (ALL / MESSAGE) as u64;
    let replayed = grown(|| {
        let mut replay = builder().replay(Arc::new(look())).unwrap();
        assert_eq!(replay.input_count(), messages + 2);
        let (first, last) = replay.range();
        replay.go_to(last).unwrap();
        replay.go_to(first + 10).unwrap();
        replay.go_to(last / 2).unwrap();
        assert_eq!(heard(replay.world()), messages / 2);
    });
    let recovered = grown(|| {
        let disk = Arc::new(RealDisk::open(&directory).unwrap());
        let (world, recovery) = builder().keep(disk, settings).unwrap();
        assert_eq!(recovery.inputs, messages + 2);
        assert_eq!(heard(&world), messages);
    });
    assert!(
        replayed < MOST && recovered < MOST,
        "{replayed} and {recovered} bytes for a journal of {ALL}"
    );
}

/// How many messages the actor has heard.
fn heard(world: &World) -> u64 {
    world.statistics().delivered
}
