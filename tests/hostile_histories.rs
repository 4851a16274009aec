//! States and files that no world wrote: refused with a reason in bounded time and memory, or used as far as they are sound.
//!
//! `PW_FORMS=1000000 cargo test --release --test hostile_histories` tries so many damaged forms.

#[path = "support/worlds.rs"]
mod worlds;

use std::sync::Arc;
use std::time::Instant;

use physics_world::runtime::checkpoint::SystemCheckpoint;
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::quota::Quota;
use physics_world::runtime::world::HistorySettings;
use physics_world::{Datum, World};
use testkit::histories;

/// Damaged forms that are tried when nobody says otherwise.
const FORMS: u64 = 4_000;

fn forms() -> u64 {
    let given = std::env::var("PW_FORMS").ok();
    given.map_or(FORMS, |text| text.parse().expect("a number of forms"))
}

/// Begins actors that wait for messages, timers, votes and room, supervise each other and fail.
fn begin(world: &mut World) {
    let chaos = include_str!("worlds/chaos.jue");
    let program = worlds::load(world, chaos);
    let first = world
        .spawn(program, &[Datum::Int(7), Datum::Int(40)])
        .unwrap();
    let votes = worlds::load(world, include_str!("worlds/votes.jue"));
    world.spawn(votes, &[]).unwrap();
    let supervised = worlds::load(world, include_str!("worlds/supervised.jue"));
    world.spawn(supervised, &[]).unwrap();
    let quota = Quota {
        memory_bytes: Some(1 << 24),
        ..Quota::default()
    };
    assert!(world.set_quota(first, quota));
    world.open_session();
}

/// States of a world with much in it, at different ticks.
fn states() -> Vec<SystemCheckpoint> {
    let mut world = histories::builder().build().unwrap();
    begin(&mut world);
    let states = [1, 2, 3, 5, 8].map(|ticks| {
        world.run_ticks(ticks);
        world.to_checkpoint()
    });
    states.to_vec()
}

/// Bytes that depend on nothing but the number.
fn bytes(number: u64) -> Vec<u8> {
    let mut seed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 11) as u8
    };
    let length = 1 + 4 * (1 + usize::from(next()) % 3);
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_state_that_no_world_wrote_is_refused_or_goes_on() {
    let states = states();
    let accepted = (0..forms()).filter(|number| {
        let sound = &states[*number as usize % states.len()];
        histories::state(sound, &bytes(*number))
    });
    let accepted = accepted.count() as u64;
    assert!(
        (forms() / 20..forms()).contains(&accepted),
        "{accepted} are accepted"
    );
}

#[test]
fn files_that_no_world_wrote_are_refused_or_used_as_far_as_they_are_sound() {
    let disk = MemoryDisk::default();
    let settings = HistorySettings {
        checkpoint_ticks: 6,
        horizon_ticks: 1,
        ..HistorySettings::default()
    };
    let (mut world, _) = histories::builder()
        .keep(Arc::new(disk.clone()), settings)
        .unwrap();
    begin(&mut world);
    world.run_ticks(20);
    world.flush().unwrap();
    for number in 0..forms() / 8 {
        histories::history(&disk, &bytes(number));
    }
    let mut replay = histories::builder().replay(Arc::new(disk)).unwrap();
    let (first, last) = replay.range();
    let bundle = replay.bundle(first, last).unwrap();
    for number in 0..bundle.len().min(500) {
        let mut damaged = bundle.clone();
        damaged[number * 7 % bundle.len()] ^= 1;
        histories::bundle(&damaged);
        histories::bundle(&bundle[..number]);
    }
    histories::bundle(&bundle);
}

#[test]
fn a_map_whose_keys_all_begin_one_text_is_read_in_proportion_to_its_bytes() {
    // The keys together have 1.25 GB, of which the actor pays for hashing each.
    let source = "
        (define keys (make-map))
        (define (fill text n)
          (if (= n 0) (begin (receive) (map-get keys text))
            (begin (map-set! keys text n) (fill (string-append text \"x\") (- n 1)))))
        (define (main) (fill \"\" 50000))";
    let mut world = histories::builder().build().unwrap();
    let program = worlds::load(&mut world, source);
    world.spawn(program, &[]).unwrap();
    let start = Instant::now();
    world.run_to_idle();
    let made = start.elapsed();
    let state = world.to_checkpoint();
    assert!(state.size_bytes() < 2_000_000, "{}", state.size_bytes());
    // The shortest of some, for other processes hold single ones up. Hashing each key took longer than making them.
    let reads = (0..5).map(|_| {
        let start = Instant::now();
        world.take_checkpoint(&state).unwrap();
        start.elapsed()
    });
    let read = reads.min().unwrap();
    assert!(read * 3 < made, "{read:?} to read what took {made:?}");
    assert!(world.to_checkpoint() == state);
}
