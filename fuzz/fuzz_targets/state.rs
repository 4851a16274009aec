//! States of worlds: the bytes say what is changed in one that a world wrote.
#![no_main]

use std::sync::LazyLock;

use physics_world::Datum;
use physics_world::runtime::checkpoint::SystemCheckpoint;
use physics_world::source::load_jue;

static SOUND: LazyLock<SystemCheckpoint> = LazyLock::new(|| {
    let mut world = testkit::histories::builder().build().expect("without native code");
    let source = include_str!("../../tests/worlds/chaos.jue");
    let program = load_jue(&mut world, "chaos.jue", source).expect("it is tested");
    let arguments = [Datum::Int(7), Datum::Int(40)];
    world.spawn(program, &arguments).expect("it takes two");
    world.run_ticks(5);
    world.to_checkpoint()
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::histories::state(&SOUND, bytes);
});
