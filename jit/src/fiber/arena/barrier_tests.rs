//! The write barrier against a model: all pages that were taken so far. Whatever differs from them
//! lies in a marked card. And the segments: what lives survives, what is free is used again.

use std::collections::BTreeMap;

use pw_isa::Kind;
use pw_isa::wire::{Reader, Writer};

use super::object::Elements;
use super::{Arena, CARD_WORDS, PageCursor, Pages, Piece, SEGMENT_WORDS, SMALL_WORDS, Source};
use crate::value::Value;

/// A sequence of numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// An arena and the values that are live in it.
struct World {
    arena: Arena,
    roots: Vec<Value>,
    numbers: Numbers,
    taken: Pages,
    blocks: Vec<Vec<u8>>,
    /// The words that were taken, of the arena and of the buffers in its slots.
    words: BTreeMap<Option<usize>, Vec<Option<u64>>>,
    cursor: PageCursor,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            arena: Arena::new(),
            roots: vec![Value::NIL],
            numbers: Numbers(seed),
            taken: Pages::default(),
            blocks: Vec::new(),
            words: BTreeMap::new(),
            cursor: PageCursor::default(),
        }
    }

    fn any(&mut self) -> Value {
        let at = self.numbers.below(self.roots.len());
        self.roots[at]
    }

    fn any_of(&mut self, kind: Kind) -> Option<u64> {
        let value = self.any();
        (value.kind() == kind).then_some(value.bits)
    }

    fn make(&mut self) {
        let (first, second) = (self.any(), self.any());
        let number = self.numbers.below(800) as u32;
        let value = match self.numbers.below(8) {
            0 => self.arena.new_pair(first, second),
            1 => self.arena.new_cell(first),
            2 => self.arena.new_closure(0, 0, [first, second].into_iter()),
            3 => self.arena.new_filled_vector(number, first),
            4 => self.arena.new_map(),
            5 => self.arena.new_bytes(number * 8, 3),
            6 => self
                .arena
                .new_text(Kind::String, &"ü".repeat(number as usize * 4)),
            _ => Value::int(i64::from(number)),
        };
        if self.roots.len() < 400 {
            self.roots.push(value);
        } else {
            let at = self.numbers.below(400);
            self.roots[at] = value;
        }
    }

    fn change(&mut self) {
        let value = self.any();
        match self.numbers.below(6) {
            0 => drop(
                self.any_of(Kind::Cell)
                    .map(|cell| self.arena.set_cell(cell, value)),
            ),
            1 => drop(
                self.any_of(Kind::Closure)
                    .map(|it| self.arena.set_capture(it, 1, value)),
            ),
            2 => drop(
                self.any_of(Kind::Vector)
                    .map(|vector| self.change_vector(vector, value)),
            ),
            3 => drop(
                self.any_of(Kind::Map)
                    .map(|map| self.change_map(map, value)),
            ),
            4 => drop(self.any_of(Kind::Bytes).map(|bytes| {
                let length = self.arena.bytes(bytes).len();
                if length > 0 {
                    let at = self.numbers.below(length);
                    self.arena.write_bytes(bytes, at, &[9]);
                }
            })),
            _ => self.append(),
        }
    }

    fn change_vector(&mut self, vector: u64, value: Value) {
        let length = self.arena.vector_length(vector);
        match self.numbers.below(8) {
            0 => {
                let plan = self.arena.plan_store(vector, value);
                self.arena.apply_plan(vector, plan);
                self.arena.fill_vector(vector, value);
            }
            1 => drop(self.arena.vector_pop(vector)),
            2..5 if length > 0 => {
                let plan = self.arena.plan_store(vector, value);
                self.arena.apply_plan(vector, plan);
                let place = self.numbers.below(length as usize) as u32;
                self.arena.vector_set(vector, place, value);
            }
            _ => {
                let plan = self.arena.plan_push(vector, value).expect("there is room");
                self.arena.apply_plan(vector, plan);
                self.arena.vector_push(vector, value);
            }
        }
    }

    fn change_map(&mut self, map: u64, value: Value) {
        let key = Value::int(self.numbers.below(300) as i64);
        let hash = |value: Value| (value.bits << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let found = self.arena.map_find(map, hash(key), |other| other == key);
        match (found, self.numbers.below(3)) {
            (Some(entry), 0) => self.arena.map_delete(map, entry),
            (Some(entry), _) => self.arena.map_replace(map, entry, value),
            (None, _) => {
                let place = self.arena.plan_map_insert(map).expect("there is room");
                let pair = (key, value);
                self.arena
                    .map_insert(map, place, pair, Some(hash(key)), |_, key| hash(key));
            }
        }
    }

    fn append(&mut self) {
        let at = self.numbers.below(self.roots.len());
        let left = self.roots[at];
        if left.kind() == Kind::String {
            let text = self.arena.text(left.bits).to_owned();
            let own = self.arena.text_buffer(left.bits);
            let added = "appended ü and more of it";
            let plan = Arena::plan_append(text.len() as u32, added.len() as u32, own);
            let plan = plan.expect("short enough");
            let left = Piece {
                source: Source::Own(left.bits),
                ..Piece::of(&text)
            };
            self.roots[at] = self.arena.append(plan, &left, &Piece::of(added));
        }
    }

    fn collect(&mut self) {
        let mut collector = self.arena.collect();
        self.roots.iter_mut().for_each(|root| collector.root(root));
        collector.finish();
    }

    /// Takes some pages that have changed; how many bytes.
    fn take(&mut self, bytes_max: usize) -> usize {
        let mut out = Writer::default();
        if self
            .arena
            .take_pages(&mut self.cursor, false, bytes_max, &mut out)
        {
            self.cursor = PageCursor::default();
        }
        let number = self.blocks.len() as u32;
        let added = self.taken.add(number, &mut Reader::new(&out.bytes));
        added.expect("pages can be read");
        self.note(&out.bytes);
        self.blocks.push(out.bytes);
        self.blocks[number as usize].len()
    }

    /// Writes the words of pages over those that were taken before, one run after the other.
    fn note(&mut self, bytes: &[u8]) {
        let mut input = Reader::new(bytes);
        while input.remaining() > 0 {
            let slot = match input.u8().expect("a run") {
                1 => None,
                _ => {
                    let slot = input.varint().expect("a slot") as usize;
                    let length = input.varint().expect("a length") as usize;
                    let words = self.words.entry(Some(slot)).or_default();
                    if words.len() > length {
                        words.clear();
                    }
                    words.resize(length, None);
                    input.u8().expect("a flag");
                    input.varint().expect("bytes in use");
                    input.varint().expect("a capacity");
                    Some(slot)
                }
            };
            let first = input.varint().expect("a place") as usize;
            let count = input.varint().expect("a number") as usize;
            let words = self.words.entry(slot).or_default();
            words.resize(words.len().max(first + count), None);
            for word in &mut words[first..first + count] {
                *word = Some(input.u64().expect("a word"));
            }
        }
    }

    /// A word that was taken.
    fn taken_word(&self, slot: Option<usize>, index: usize) -> Option<u64> {
        let words = self.words.get(&slot)?;
        words.get(index).copied().flatten()
    }

    /// Takes all pages that have changed.
    fn take_all(&mut self) -> usize {
        self.cursor = PageCursor::default();
        self.take(usize::MAX)
    }

    /// Every word that differs from the taken ones lies in a marked card.
    fn check(&self) {
        for (start, end) in self.arena.used_ranges() {
            for index in start..end {
                let old = self.taken_word(None, index);
                let marked =
                    self.arena.cards.is_empty() || self.arena.cards[index / CARD_WORDS] == 1;
                assert!(
                    marked || old == Some(self.arena.words[index]),
                    "word {index}"
                );
            }
        }
        for (slot, buffer) in self.arena.outside.iter().enumerate() {
            let Some(buffer) = buffer else { continue };
            assert!(buffer.is_touched || !buffer.cards.contains(&1));
            for (index, word) in buffer.storage.words().iter().enumerate() {
                let old = self.taken_word(Some(slot), index);
                let marked = buffer.cards[index / CARD_WORDS] == 1;
                assert!(marked || old == Some(*word), "word {index} of slot {slot}");
            }
        }
    }

    /// What was taken is all that there is.
    fn check_all(&self) {
        let again = Arena::from_pages(&self.taken, self.arena.end_word(), &self.blocks);
        let again = again.expect("the pages are of an arena");
        assert_eq!(again.segments.len(), self.arena.segments.len());
        for (start, end) in self.arena.used_ranges() {
            assert!(again.words[start..end] == self.arena.words[start..end]);
        }
        for (slot, buffer) in self.arena.outside.iter().enumerate() {
            if let Some(buffer) = buffer {
                let again = again.outside[slot].as_ref().expect("all of it was taken");
                assert_eq!(again.storage.words(), buffer.storage.words());
                assert_eq!((again.used, again.capacity), (buffer.used, buffer.capacity));
            }
        }
    }
}

#[test]
fn every_change_since_pages_were_taken_lies_in_a_marked_card() {
    for seed in 0..6 {
        let mut world = World::new(seed);
        for round in 0..60 {
            for _ in 0..40 {
                world.make();
                (0..6).for_each(|_| world.change());
            }
            world.check();
            if round % 3 == 1 {
                world.take_all();
                world.check_all();
                (0..20).for_each(|_| world.change());
                world.check();
            }
            if round % 4 == 3 {
                world.collect();
                world.check();
            }
        }
        assert!(world.arena.segments.len() > 2, "the arena got large");
        assert!(world.arena.report().outside_buffers > 0);
        world.take_all();
        let most = 2 * CARD_WORDS * 8;
        assert!(
            world.take_all() < most,
            "nothing but the card where the next object lies"
        );
    }
}

#[test]
fn pages_taken_bit_by_bit_while_everything_changes_are_the_arena_in_the_end() {
    for seed in 0..6 {
        let mut world = World::new(100 + seed);
        for round in 0..300 {
            world.make();
            (0..4).for_each(|_| world.change());
            let bytes_max = world.numbers.below(40_000);
            world.take(bytes_max);
            if round % 25 == 7 {
                (0..30).for_each(|_| world.make());
                world.collect();
            }
            if round % 90 == 89 {
                world.take_all();
                world.check_all();
            }
        }
        world.take_all();
        world.check_all();
    }
}

fn list(arena: &mut Arena, length: usize) -> Value {
    (0..length).fold(Value::NIL, |list, at| {
        arena.new_pair(Value::int(at as i64), list)
    })
}

fn collect(arena: &mut Arena, roots: &mut [Value]) -> u64 {
    let mut collector = arena.collect();
    roots.iter_mut().for_each(|root| collector.root(root));
    collector.finish()
}

#[test]
fn objects_that_survive_twice_stay_in_place() {
    let mut arena = Arena::new();
    let mut roots = [list(&mut arena, SEGMENT_WORDS)];
    let mut places = vec![roots[0].bits];
    for _ in 0..4 {
        collect(&mut arena, &mut roots);
        places.push(roots[0].bits);
    }
    assert_ne!(places[0], places[1]);
    assert_ne!(places[1], places[2]);
    assert_eq!(places[2..], [places[2]; 3]);
    assert_eq!(
        arena.pair(roots[0].bits).0,
        Value::int(SEGMENT_WORDS as i64 - 1)
    );
}

#[test]
fn sparse_old_segments_are_moved_together_and_free_segments_used_again() {
    let mut arena = Arena::new();
    let mut roots: Vec<Value> = (0..40).map(|_| list(&mut arena, 4_000)).collect();
    for _ in 0..3 {
        collect(&mut arena, &mut roots);
    }
    let full = arena.report().segments;
    roots.truncate(4);
    for _ in 0..12 {
        collect(&mut arena, &mut roots);
    }
    let sparse = arena.report();
    assert!(
        sparse.segments <= full / 3,
        "{full} segments, then {}",
        sparse.segments
    );
    let held = arena.words.len();
    roots.push(list(&mut arena, 40_000));
    assert_eq!(arena.words.len(), held, "free segments come first");
    assert!(
        arena.used_ranges().iter().all(|(start, _)| *start > 0),
        "word 0 is never an object"
    );
}

#[test]
fn pages_of_an_arena_that_has_shrunk_meanwhile_are_of_what_is_left() {
    for seed in 0..4 {
        let mut world = World::new(200 + seed);
        let mut has_free = false;
        for _ in 0..6 {
            let segments = 2 + world.numbers.below(60);
            let length = segments * SEGMENT_WORDS / 3;
            world.roots = vec![list(&mut world.arena, length)];
            world.take(length * 8);
            let kept = world.numbers.below(5_000);
            world.roots = vec![list(&mut world.arena, kept)];
            (0..3).for_each(|_| world.collect());
            if world.numbers.below(2) == 0 {
                world.arena.trim();
            }
            world.take_all();
            let given = world.taken.segments_given();
            has_free |= given > 4 * world.arena.segments.len().max(1);
            if world.arena.is_dense() {
                world.check_all();
            }
        }
        assert!(has_free, "pages far behind the end were given");
    }
}

#[test]
fn pages_that_lie_far_away_take_no_memory() {
    let run = |first: u64| {
        let mut out = Writer::default();
        out.u8(1);
        out.varint(first);
        out.varint(2);
        out.u64(1);
        out.u64(2);
        out.bytes
    };
    for far in [1 << 50, u64::MAX - 511] {
        let (mut pages, blocks) = (Pages::default(), vec![run(far)]);
        let added = pages.add(0, &mut Reader::new(&blocks[0]));
        added.expect("that is a place");
        for end in [0, 1 << 30, SEGMENT_WORDS] {
            let refused = Arena::from_pages(&pages, end, &blocks).map(|_| ());
            assert_eq!(refused, Err("too little of it was given".to_owned()));
        }
    }
    for first in [2, CARD_WORDS as u64 + 1, u64::MAX] {
        let refused = Pages::default().add(0, &mut Reader::new(&run(first)));
        assert!(refused.is_err(), "{first}");
    }
}

#[test]
fn an_arena_shrinks_back_to_a_single_block() {
    let mut arena = Arena::new();
    let mut roots = [list(&mut arena, 30_000), list(&mut arena, 100)];
    collect(&mut arena, &mut roots);
    assert!(arena.segments.len() > 1);
    collect(&mut arena, &mut roots[1..]);
    collect(&mut arena, &mut roots[1..]);
    arena.trim();
    assert!(arena.is_small());
    assert!(arena.report().held_bytes <= 8 * SMALL_WORDS as u64);
    let rest = list(&mut arena, 1_000);
    let mut roots = [roots[1], rest];
    assert_eq!(collect(&mut arena, &mut roots), 24 * 1_100);
}

#[test]
fn an_arena_of_which_nothing_is_left_begins_anew() {
    let mut arena = Arena::new();
    list(&mut arena, SEGMENT_WORDS);
    collect(&mut arena, &mut []);
    arena.trim();
    assert_eq!(arena.report().segments, 0);
    let vector = arena.new_filled_vector(10, Value::int(7));
    let pair = arena.new_pair(vector, vector);
    let mut roots = [pair, vector];
    for _ in 0..3 {
        collect(&mut arena, &mut roots);
        list(&mut arena, 10);
    }
    assert_eq!(arena.pair(roots[0].bits).0, roots[1]);
    assert!((0..10).all(|place| arena.vector_get(roots[1].bits, place) == Value::int(7)));
}

#[test]
fn buffers_outside_the_arena_are_freed_with_their_owners() {
    let mut arena = Arena::new();
    let vector = arena.new_vector(Elements::Any, 1_000, 1_000);
    let bytes = arena.new_bytes(5_000, 1);
    let text = arena.new_text(Kind::String, &"x".repeat(9_000));
    let mut roots = [vector, bytes, text];
    arena.vector_set(vector.bits, 999, text);
    assert_eq!(arena.report().outside_buffers, 3);
    collect(&mut arena, &mut roots);
    assert_eq!(arena.report().outside_buffers, 3);
    assert_eq!(arena.vector_get(roots[0].bits, 999), roots[2]);
    collect(&mut arena, &mut roots[..1]);
    assert_eq!(
        arena.report().outside_buffers,
        2,
        "the vector holds the text"
    );
    collect(&mut arena, &mut []);
    assert_eq!(arena.report().outside_buffers, 0);
    arena.new_bytes(5_000, 1);
    assert_eq!(arena.outside.len(), 3, "slots are used again");
}

#[test]
fn copies_of_an_arena_share_buffers_until_one_writes() {
    let mut arena = Arena::new();
    let bytes = arena.new_bytes(8_000, 1);
    let copy = arena.clone();
    arena.write_bytes(bytes.bits, 7_999, &[2]);
    assert_eq!(copy.bytes(bytes.bits)[7_999], 1);
    assert_eq!(arena.bytes(bytes.bits)[7_999], 2);
}
