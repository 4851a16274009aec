//! scratch
use std::time::Instant;
use physics_world::source::{FileKind, load_program};
use physics_world::{Datum, World};
use physics_world::jit::optimize::PerformanceSettings;

fn rss() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn main() {
    let threads: usize = std::env::args().nth(1).map_or(1, |t| t.parse().unwrap());
    let only = std::env::args().nth(2);
    let cases: [(&str, &str, &[i64], u64); 6] = [
        ("spawn", "spawn-many", &[1_000_000], 1_000_000),
        ("ping-pong", "ping-pong", &[500_000], 500_000),
        ("ring", "ring", &[1000, 1_000_000], 1_000_000),
        ("many-to-one", "many-to-one", &[100, 10_000], 1_000_000),
        ("fan-out", "fan-out", &[1000, 500], 1_000_000),
        ("skynet", "skynet", &[1_000_000], 1_111_111),
    ];
    for (name, function, arguments, operations) in cases {
        if only.as_ref().is_some_and(|o| o != name) { continue; }
        let mut world = World::builder()
            .performance(PerformanceSettings { threads, ..Default::default() })
            .build().unwrap();
        let text = std::fs::read("programs/worlds.jue").unwrap();
        let program = world.load(load_program("worlds.jue", FileKind::Jue, &text).unwrap());
        let before = rss();
        let start = Instant::now();
        let data: Vec<Datum> = arguments.iter().map(|a| Datum::Int(*a)).collect();
        let first = world.spawn_function(program, function, &data).unwrap();
        world.run_to_idle();
        let end = world.take_end(first);
        let time = start.elapsed();
        println!("{name:12} {:8.1} ns/op   rss +{} B/op  ticks {} {:?} {:?}", time.as_nanos() as f64 / operations as f64, (rss() as i64 - before as i64) / operations as i64, world.ticks(), world.statistics(), end.map(|e| format!("{:?}", e.reason).chars().take(60).collect::<String>()));
        drop(world);
    }
    println!("actor {}", physics_world::runtime::actor::size());
}
