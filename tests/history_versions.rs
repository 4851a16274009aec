//! Histories of every version load for ever: bundles that were written by it, and directories in which actors stand page by page, each
//! with what comes of it.
//!
//! `PW_BLESS=1 cargo test --test history_versions` writes those of the current version where there are none. One that is there is never
//! written again: when the format changes, the version is raised, and it gets another name.

#[path = "support/worlds.rs"]
mod worlds;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use physics_world::runtime::disk::{Disk, MemoryDisk, read_all};
use physics_world::runtime::world::{Bundle, HistorySettings};
use physics_world::{ActorId, Datum, World};
use testkit::histories::builder;

/// The version of bundles that is written now.
const VERSION: &str = "v3";
/// The version of checkpoints with pages that is written now.
const PAGES: &str = "v3-pages";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/worlds")
}

/// A world in which much is going on, after thirty ticks.
fn history(settings: HistorySettings) -> (MemoryDisk, World) {
    let disk = MemoryDisk::default();
    let kept = builder().keep(Arc::new(disk.clone()), settings);
    let mut world = kept.unwrap().0;
    let chaos = worlds::load(&mut world, include_str!("worlds/chaos.jue"));
    let supervised = worlds::load(&mut world, include_str!("worlds/supervised.jue"));
    let votes = worlds::load(&mut world, include_str!("worlds/votes.jue"));
    world
        .spawn(chaos, &[Datum::Int(3), Datum::Int(120)])
        .unwrap();
    world.spawn(supervised, &[]).unwrap();
    world.spawn(votes, &[]).unwrap();
    world.open_session();
    world.run_ticks(10);
    world.send(ActorId(2), &Datum::from("from outside"));
    world.publish("news", &Datum::Int(7));
    world.run_ticks(20);
    world.flush().unwrap();
    (disk, world)
}

/// What happened in it from its fifth tick on.
fn bundle() -> Vec<u8> {
    let (disk, _) = history(HistorySettings::default());
    let mut replay = builder().replay(Arc::new(disk)).unwrap();
    let (_, last) = replay.range();
    replay.bundle(5, last).unwrap()
}

/// What can be seen of a world.
fn seen(world: &World) -> String {
    let mut out = format!("tick {}, {} ms\n", world.ticks(), world.now_ms());
    for actor in world.actors() {
        let place = actor.place.map_or(String::new(), |place| place.to_string());
        writeln!(
            out,
            "actor {} of {}: {} at {place}, gas {}, {} messages, {} bytes",
            actor.id,
            actor.parent,
            actor.doing,
            actor.gas,
            actor.mailbox_messages,
            actor.memory_bytes
        )
        .unwrap();
    }
    out
}

/// What is seen at some ticks of a bundle.
fn story(bytes: &[u8]) -> String {
    let disk = Bundle::open(bytes).unwrap();
    let mut replay = builder().replay(Arc::new(disk)).unwrap();
    let (first, last) = replay.range();
    let mut out = String::new();
    for tick in [first, (first + last) / 2, last] {
        replay.go_to(tick).unwrap();
        out += &seen(replay.world());
    }
    out
}

/// The files of a history whose actors are captured page by page, some of them behind a first checkpoint.
fn pages() -> MemoryDisk {
    let settings = HistorySettings {
        paged_bytes: 0,
        ..HistorySettings::default()
    };
    let (disk, mut world) = history(settings);
    world.checkpoint().unwrap();
    world.run_ticks(10);
    world.checkpoint().unwrap();
    world.run_ticks(3);
    world.flush().unwrap();
    disk.copy()
}

/// What is seen of a history that is recovered, and goes on.
fn sequel(folder: &Path) -> String {
    let disk = MemoryDisk::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut file = disk.create(name).unwrap();
        file.write_at(0, &std::fs::read(&path).unwrap()).unwrap();
    }
    let settings = HistorySettings::default();
    let (mut world, recovery) = builder().keep(Arc::new(disk), settings).unwrap();
    assert!(recovery.flaws.is_empty() && recovery.tail.is_none());
    let recovered = seen(&world);
    world.run_ticks(20);
    recovered + &seen(&world)
}

#[test]
fn pages_of_every_version_are_read() {
    let (folder, bless) = (folder(), std::env::var_os("PW_BLESS").is_some());
    let current = folder.join(PAGES);
    if bless && !current.exists() {
        std::fs::create_dir_all(&current).unwrap();
        let disk = pages();
        for name in disk.list().unwrap() {
            std::fs::write(current.join(&name), read_all(&disk, &name).unwrap()).unwrap();
        }
        std::fs::write(current.with_extension("result"), sequel(&current)).unwrap();
    }
    let entries = std::fs::read_dir(&folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let histories: Vec<PathBuf> = paths.filter(|path| path.is_dir()).collect();
    assert!(histories.contains(&current));
    for path in histories {
        let expected = std::fs::read_to_string(path.with_extension("result")).unwrap();
        assert_eq!(sequel(&path), expected, "{}", path.display());
    }
}

#[test]
fn histories_of_every_version_are_done_again() {
    let (folder, bless) = (folder(), std::env::var_os("PW_BLESS").is_some());
    let current = folder.join(format!("{VERSION}.pwbundle"));
    if bless && !current.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let bytes = bundle();
        std::fs::write(&current, &bytes).unwrap();
        std::fs::write(current.with_extension("result"), story(&bytes)).unwrap();
    }
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pwbundle")
        {
            let expected = std::fs::read_to_string(path.with_extension("result")).unwrap();
            assert_eq!(
                story(&std::fs::read(&path).unwrap()),
                expected,
                "{}",
                path.display()
            );
            count += 1;
        }
    }
    assert!(count > 0 && current.exists());
}
