//! Checkpoint files and journals: the bytes say which file of a sound history is changed, and how.
#![no_main]

use std::sync::{Arc, LazyLock};

use physics_world::Datum;
use physics_world::runtime::disk::MemoryDisk;
use physics_world::runtime::world::HistorySettings;
use physics_world::source::load_jue;

static SOUND: LazyLock<MemoryDisk> = LazyLock::new(|| {
    let disk = MemoryDisk::default();
    let settings = HistorySettings {
        checkpoint_ticks: 4,
        horizon_ticks: 1,
        ..HistorySettings::default()
    };
    let kept = testkit::histories::builder().keep(Arc::new(disk.clone()), settings);
    let (mut world, _) = kept.expect("memory can be written");
    let source = include_str!("../../tests/worlds/chaos.jue");
    let program = load_jue(&mut world, "chaos.jue", source).expect("it is tested");
    let arguments = [Datum::Int(7), Datum::Int(40)];
    world.spawn(program, &arguments).expect("it takes two");
    world.run_ticks(12);
    world.flush().expect("memory can be written");
    disk.copy()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::histories::history(&SOUND, bytes);
    testkit::histories::bundle(bytes);
});
