//! scratch
use physics_world::source::{FileKind, load_program};
use physics_world::{Datum, World};

#[test]
fn ring() {
    let mut world = World::builder().trajectory().build().unwrap();
    let text = std::fs::read("/tmp/ring.jue").unwrap();
    let program = world.load(load_program("ring.jue", FileKind::Jue, &text).unwrap());
    let first = world
        .spawn(program, &[Datum::Int(10), Datum::Int(1000)])
        .unwrap();
    let end = world.run_until_end(first);
    println!("{end:?} {:?} {:?} ticks {}", world.statistics(), world.trajectory(), world.ticks());
    panic!();
}
