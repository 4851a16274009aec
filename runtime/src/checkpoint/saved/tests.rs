//! What is said of actors in blocks, and blocks that change before they are read again.

use pw_isa::wire::Writer;

use super::super::file::{Block, block_head};
use super::*;
use crate::disk::{DiskFile, MemoryDisk};

/// A block with these actors, each of one byte.
fn block(actors: &[(u64, u8)]) -> Vec<u8> {
    let mut out = Writer::default();
    for (id, byte) in actors {
        out.varint(*id);
        out.blob(&[*byte]);
    }
    out.bytes
}

fn gone(ids: &[u64]) -> Vec<u8> {
    let mut out = Writer::default();
    ids.iter().for_each(|id| out.varint(*id));
    out.bytes
}

/// What is found in a block of a kind.
fn found(kind: BlockKind, content: &[u8]) -> Decoded<Vec<Place>> {
    match Found::of(kind, &mut content.to_vec())? {
        Found::Places(places, of) => {
            assert_eq!(of, kind);
            Ok(places)
        }
        other => panic!("{other:?}"),
    }
}

/// A file that is these blocks, each behind the one before, and has them added as the checkpoint of tick 7.
fn saved(disk: &MemoryDisk, blocks: Vec<(BlockKind, Vec<u8>)>) -> SavedActors {
    let mut saved = SavedActors::default();
    let mut file = disk.create(&name_of(7)).expect("memory");
    for (kind, bytes) in blocks {
        let at = file.len().expect("memory");
        write(&mut *file, at, kind, bytes);
        let (length, mut content) = (file.len().expect("memory"), Vec::new());
        let read = read_block(&*file, length, at, &mut content);
        let (kind, hash) = read.expect("it is sound");
        let places = found(kind, &content).expect("it is sound");
        saved.add(BlockPlace { ticks: 7, at, hash }, places);
    }
    saved
}

fn write(file: &mut dyn DiskFile, at: u64, kind: BlockKind, bytes: Vec<u8>) {
    let block = Block { kind, bytes };
    let head = block_head(&block, at).expect("it is short");
    let whole = [head, block.bytes].concat();
    file.write_at(at, &whole).expect("memory");
}

/// What is left of blocks, by number: the bytes, and whether there are pages to them.
fn left(blocks: Vec<(BlockKind, Vec<u8>)>) -> Vec<(u64, Vec<u8>, bool)> {
    let disk = MemoryDisk::default();
    let mut all = Vec::new();
    for portion in saved(&disk, blocks).into_portions(&disk, 1) {
        let read = portion.read(&mut Vec::new(), |actor| {
            all.push((actor.id, actor.bytes.to_vec(), actor.pages.is_some()));
            Ok(())
        });
        read.expect("nothing is refused");
    }
    all.sort();
    all
}

#[test]
fn what_a_later_block_says_of_an_actor_holds() {
    use BlockKind::{Actors, Gone, Paged};
    let blocks = vec![
        (Actors, block(&[(1, 1), (5, 5), (300, 3), (7, 7)])),
        (Gone, gone(&[5, 9])),
        (Actors, block(&[(7, 70), (2, 2)])),
        (Paged, block(&[(1, 10)])),
        (Gone, gone(&[300])),
        (Actors, block(&[(5, 50)])),
    ];
    let expected = [
        (1, vec![10], true),
        (2, vec![2], false),
        (5, vec![50], false),
        (7, vec![70], false),
    ];
    assert_eq!(left(blocks), expected);
}

#[test]
fn what_does_not_hold_any_more_is_forgotten_between_files() {
    let all: Vec<(u64, u8)> = (0..PLACES_MIN as u64).map(|id| (id, 1)).collect();
    let content = &block(&all)[..];
    let mut saved = SavedActors::default();
    for at in 0..20 {
        let places = found(BlockKind::Actors, content).expect("it is sound");
        let hash = BlockHash::default();
        saved.add(BlockPlace { ticks: 7, at, hash }, places);
        saved.end_file();
        assert!(saved.places() <= 2 * PLACES_MIN);
    }
}

#[test]
fn the_last_of_an_actor_that_is_twice_in_a_block_holds() {
    let blocks = vec![(BlockKind::Actors, block(&[(4, 1), (4, 2), (6, 1)]))];
    assert_eq!(left(blocks), [(4, vec![2], false), (6, vec![1], false)]);
}

#[test]
fn a_block_that_ends_within_an_actor_is_refused() {
    let mut bytes = block(&[(4, 1)]);
    bytes.pop();
    assert!(found(BlockKind::Actors, &bytes).is_err());
}

/// What is said where the only block of a file has changed since it was read first.
fn refused(change: impl FnOnce(&mut dyn DiskFile)) -> String {
    let disk = MemoryDisk::default();
    let saved = saved(&disk, vec![(BlockKind::Actors, block(&[(4, 1)]))]);
    let mut file = disk.open(&name_of(7)).expect("it is there");
    change(&mut *file);
    let mut portions = saved.into_portions(&disk, 1);
    let portion = portions.pop().expect("there is an actor");
    let read = portion.read(&mut Vec::new(), |_| Ok(()));
    read.expect_err("it is not what it was").to_string()
}

#[test]
fn a_block_that_is_damaged_when_it_is_read_again_is_refused() {
    let disk = MemoryDisk::default();
    saved(&disk, vec![(BlockKind::Actors, block(&[(4, 1)]))]);
    let length = disk.open(&name_of(7)).and_then(|file| file.len());
    for at in 0..length.expect("memory") {
        let error = refused(|file| {
            let mut byte = [0];
            file.read_at(at, &mut byte).expect("memory");
            file.write_at(at, &[byte[0] ^ 1]).expect("memory");
        });
        assert!(error.starts_with("checkpoint-"), "{error}");
    }
}

#[test]
fn a_sound_block_is_refused_in_place_of_the_one_that_was_read_first() {
    let others = [
        (BlockKind::Actors, block(&[(4, 2)])),
        (BlockKind::Paged, block(&[(4, 1)])),
    ];
    for (kind, bytes) in others {
        let error = refused(|file| write(file, 0, kind, bytes));
        assert!(error.contains("another block than before"), "{error}");
    }
}

#[test]
fn pages_are_read_where_they_lie_and_refused_where_they_have_changed() {
    // A run of the words 1 to 2 of an actor's arena, and its rest.
    let words = [5u64, 6].map(u64::to_le_bytes).concat();
    let content = [&[4, 1, 1, 2][..], &words].concat();
    let disk = MemoryDisk::default();
    let mut file = disk.create(&name_of(7)).expect("memory");
    write(&mut *file, 0, BlockKind::Pages, content.clone());
    let end = file.len().expect("memory");
    write(&mut *file, end, BlockKind::Paged, block(&[(4, 1)]));
    let mut saved = SavedActors::default();
    for at in [0, end] {
        let (length, mut content) = (file.len().expect("memory"), Vec::new());
        let read = read_block(&*file, length, at, &mut content);
        let (kind, hash) = read.expect("it is sound");
        let place = BlockPlace { ticks: 7, at, hash };
        match Found::of(kind, &mut content).expect("it is sound") {
            Found::Pages(content) => {
                let added = saved.add_pages(place, &content);
                added.expect("they are pages");
            }
            Found::Places(places, _) => drop(saved.add(place, places)),
            other => panic!("{other:?}"),
        }
    }
    let (mut all, mut refusals) = (Vec::new(), Vec::new());
    let mut portions = saved.into_portions(&disk, 2);
    let portion = portions.pop().expect("there is an actor");
    let read = portion.read(&mut Vec::new(), |actor| {
        let pages = actor.pages.expect("it has pages");
        let show = || {
            let seen = std::sync::Mutex::new(Vec::new());
            let shown = pages.blocks.show(&[0], &|number, content| {
                let seen = seen.lock();
                seen.expect("no panic").push((number, content.to_vec()));
            });
            shown.map(|()| seen.into_inner().expect("no panic"))
        };
        all.push((actor.id, show().expect("nothing has changed")));
        for at in 0..end {
            let (mut file, mut byte) = (disk.open(&name_of(7)).expect("it is there"), [0]);
            file.read_at(at, &mut byte).expect("memory");
            file.write_at(at, &[byte[0] ^ 1]).expect("memory");
            refusals.push(show().expect_err("it has changed"));
            file.write_at(at, &byte).expect("memory");
        }
        refusals.push(
            pages
                .blocks
                .show(&[1], &|_, _| ())
                .expect_err("the only one"),
        );
        Ok(())
    });
    read.expect("the rest is sound");
    assert_eq!(all, [(4, vec![(0, content)])]);
    assert_eq!(refusals.len() as u64, end + 1);
}
