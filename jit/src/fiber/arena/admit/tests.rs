//! What pages must not say, and what becomes of arenas that are made of them.

use pw_isa::Kind;
use pw_isa::wire::{Reader, Writer};

use super::super::buffer::Outside;
use super::super::object::OUTSIDE;
use super::super::{PageCursor, Pages, SMALL_WORDS};
use super::*;

/// The arena that its pages are, when it ends where this one does.
fn again(arena: &mut Arena) -> Arena {
    let mut out = Writer::default();
    arena.take_pages(&mut PageCursor::default(), true, usize::MAX, &mut out);
    let (mut pages, blocks) = (Pages::default(), vec![out.bytes]);
    let added = pages.add(0, &mut Reader::new(&blocks[0]));
    added.expect("they were written");
    Arena::from_pages(&pages, arena.end_word(), &blocks).expect("they are of an arena")
}

fn admit(arena: &mut Arena, root: Value) -> Checked<()> {
    let code = CodeSpace::default();
    let mut admission = Admission::new(arena, &code);
    admission.root(index_of(root.bits))?;
    admission.finish().map(|_| ())
}

#[test]
fn the_buffer_of_a_text_has_the_room_of_its_capacity_and_no_more() {
    for (room, capacity) in [
        (1_000, 8_000),
        (1_000, 7_993),
        (1_000, 5_000),
        (1_000, 8_001),
        (1_001, 8_000),
    ] {
        let mut arena = Arena::new();
        let outside = Outside::of(vec![0x6161_6161_6161_6161; room], Some((5_000, capacity)));
        arena.outside.push(Some(outside));
        let text = arena.new_long_text(Kind::String, 5_000, 5_000, OUTSIDE);
        let admitted = admit(&mut again(&mut arena), text);
        let is_right = room == 1_000 && (7_993..=8_000).contains(&capacity);
        assert_eq!(
            admitted.is_ok(),
            is_right,
            "{room} words for {capacity} bytes"
        );
    }
}

#[test]
fn a_block_with_gaps_has_them_also_when_it_was_made_of_pages() {
    let mut arena = Arena::new();
    let map = arena.new_map();
    let hash = |_: &Arena, key: Value| key.bits << 32;
    for key in (0..600).map(Value::int) {
        let place = arena.plan_map_insert(map.bits).expect("there is room");
        arena.map_insert(map.bits, place, (key, Value::NIL), None, hash);
    }
    let gap = arena.new_pair(Value::NIL, Value::NIL);
    arena.words[index_of(gap.bits)..][..3].fill(0);
    arena.note_gaps();
    let mut again = again(&mut arena);
    admit(&mut again, map).expect("the map is one");
    assert!(again.free.is_some(), "nobody has the index of the map");
    assert_eq!(again.report().outside_buffers, 1);
}

#[test]
fn a_block_ends_at_most_where_blocks_may() {
    let mut arena = Arena::new();
    while arena.segments.len() < 3 {
        arena.new_cell(Value::NIL);
    }
    for live in SMALL_WORDS - 9..SMALL_WORDS + 9 {
        let mut arena = arena.clone();
        arena.close_segment();
        for segment in &mut arena.segments {
            *segment = Segment::new(Age::Free);
        }
        (arena.segments[1].age, arena.segments[1].used) = (Age::Old, live);
        (arena.top, arena.end) = (0, 0);
        let mut collector = arena.collect();
        let mut root = Value::object(Kind::Cell, (SEGMENT_WORDS * 8) as u64);
        // All that can be live in so many words.
        let first = SEGMENT_WORDS;
        for at in (0..live / 2).map(|cell| first + 2 * cell) {
            root.bits = at as u64 * 8;
            collector.root(&mut root);
        }
        collector.finish();
        assert!(!arena.is_small() || arena.end_word() <= SMALL_WORDS);
        assert!(arena.is_small() || live >= SMALL_WORDS, "{live}");
    }
}
