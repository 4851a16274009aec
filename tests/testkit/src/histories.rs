//! States of worlds and files of histories from any bytes: refused with a reason, or a world that goes on.

use std::sync::Arc;

use pw_jit::optimize::PerformanceSettings;
use pw_runtime::World;
use pw_runtime::checkpoint::SystemCheckpoint;
use pw_runtime::disk::{Disk, MemoryDisk, read_all};
use pw_runtime::host::HostFunction;
use pw_runtime::world::{Bundle, HistorySettings, WorldBuilder};

/// Ticks that a world runs that was made of any bytes.
const TICKS: u64 = 20;

/// A world without native code whose programs can print.
pub fn builder() -> WorldBuilder {
    World::builder()
        .performance(PerformanceSettings {
            jit: None,
            threads: 1,
            ..PerformanceSettings::default()
        })
        .host(HostFunction::output("print", |_| {}).needing("io-console"))
}

/// Changes of some bytes that other bytes say: each four of them one. The first chooses what is done, two where, the last what
/// with.
fn edit(bytes: &mut Vec<u8>, edits: &[u8]) {
    for edit in edits.as_chunks::<4>().0 {
        let [what, high, low, with] = *edit;
        let place = usize::from(u16::from_le_bytes([low, high]));
        let place = place % (bytes.len() + 1);
        match what % 4 {
            0 if place < bytes.len() => bytes[place] = with,
            1 => bytes.insert(place, with),
            2 if place < bytes.len() => {
                bytes.remove(place);
            }
            3 if place < bytes.len() => bytes[place] ^= 1 << (with % 8),
            _ => {}
        }
    }
}

/// A state that is not quite a sound one is refused, or is a world that goes on; whether it is one. The first byte chooses the part
/// that is changed.
///
/// # Panics
/// When it is neither.
pub fn state(sound: &SystemCheckpoint, bytes: &[u8]) -> bool {
    let Some((part, edits)) = bytes.split_first() else {
        return false;
    };
    let mut state = sound.clone();
    match part % 4 {
        0 => edit(&mut state.global_state.bytes, edits),
        1 => edit(&mut state.capability_state.bytes, edits),
        _ => {
            let place = usize::from(*part) % state.actor_states.len().max(1);
            if let Some(actor) = state.actor_states.values_mut().nth(place) {
                edit(&mut actor.bytes, edits);
            }
        }
    }
    let Ok(mut world) = builder().build() else {
        return false;
    };
    world
        .take_checkpoint(sound)
        .expect("the sound one is sound");
    let settings = *world.settings();
    let before = world.to_checkpoint();
    if world.take_checkpoint(&state).is_err() {
        assert!(world.to_checkpoint() == before, "a refusal changes nothing");
        return false;
    }
    // Other settings may let a tick take as long as it likes.
    if *world.settings() == settings {
        world.run_ticks(TICKS);
        let again = world.to_checkpoint();
        world
            .take_checkpoint(&again)
            .expect("what a world writes is sound");
    }
    true
}

/// A history whose files are not quite sound is refused, or used as far as it is. The first byte chooses the file.
///
/// # Panics
/// When it is neither.
pub fn history(sound: &MemoryDisk, bytes: &[u8]) {
    let Some((file, edits)) = bytes.split_first() else {
        return;
    };
    let disk = sound.copy();
    let names = disk.list().unwrap_or_default();
    let Some(name) = names.get(usize::from(*file) % names.len().max(1)) else {
        return;
    };
    let mut content = read_all(&disk, name).unwrap_or_default();
    edit(&mut content, edits);
    let written = disk
        .create(name)
        .and_then(|mut file| file.write_at(0, &content));
    written.expect("memory can be written");
    let Ok((mut world, _)) = builder().keep(Arc::new(disk), HistorySettings::default()) else {
        return;
    };
    world.run_ticks(TICKS);
}

/// Bytes are a bundle that can be replayed, or are refused.
pub fn bundle(bytes: &[u8]) {
    let Ok(disk) = Bundle::open(bytes) else {
        return;
    };
    if let Ok(mut replay) = builder().replay(Arc::new(disk)) {
        let (first, last) = replay.range();
        // What it says of its last tick may be anything.
        let _refused_or_not = replay.go_to(last.min(first + TICKS));
    }
}
