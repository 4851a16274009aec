//! Collection: finds what is live from the roots, moves it together, frees the rest.
//!
//! A single-block arena is copied into a new block. In a segmented one the objects of new and
//! surviving segments move on by one age, and so do those of a few old segments that are mostly dead;
//! the others stay where they are. In both cases the whole graph is traced, so that the logical bytes
//! found live are exact whatever the layout.
//!
//! References to moved objects are rewritten when the object that holds them is scanned; a store into
//! an object that stayed marks its card only if the reference really changed.

use std::cell::Cell;

use pw_isa::cost;

use super::data::{bytes_logical, index_of};
use super::object::{
    DELETED, ENTRY_WORDS, Elements, OUTSIDE, ObjectKind, extra, halves, size_words,
};
use super::segment::Age;
use super::{Arena, CARD_WORDS, SEGMENT_WORDS, SMALL_WORDS, Segment, buffer::TEXT_BUFFER};
use crate::value::Value;

/// An old segment with fewer live words than this is moved.
const SPARSE_WORDS: usize = SEGMENT_WORDS / 4;
/// The most old segments that one collection moves.
const SPARSE_SEGMENTS_MAX: usize = 4;

/// What a collection remembers, which the next one of the thread uses again: fresh memory would cost more than what is done with it.
#[derive(Default)]
struct Memory {
    /// Segmented: one bit a word, set for visited objects that stay.
    marks: Vec<u64>,
    /// Objects that were visited, and whose fields were not.
    pending: Vec<usize>,
}

/// Words of it beyond which it is not kept.
const KEPT_MAX: usize = 1 << 17;

thread_local! {
    static MEMORY: Cell<Memory> = const {
        Cell::new(Memory {
            marks: Vec::new(),
            pending: Vec::new(),
        })
    };
}

/// A running collection: show it every root, then finish.
pub(crate) struct Collector<'a> {
    arena: &'a mut Arena,
    /// Single block: the old words; objects move into `arena.words`.
    source: Option<Vec<u64>>,
    memory: Memory,
    /// Segmented: the segments being filled with survivors, by the age they get.
    filling: [Option<(usize, usize)>; 2],
    live: u64,
}

impl Arena {
    /// Begins a collection.
    pub(crate) fn collect(&mut self) -> Collector<'_> {
        self.close_segment();
        let mut memory = MEMORY.take();
        let mut source = None;
        // A block has a word in front of its objects.
        if self.is_small() || self.used_words() < SMALL_WORDS {
            // An arena that has shrunk to a block's size becomes a single block again.
            source = Some(std::mem::take(&mut self.words));
            self.segments.clear();
            if let Some(free) = &mut self.free {
                free.segments.clear();
                free.has_gaps = false;
            }
            self.cards.clear();
            self.words = vec![0];
            self.top = 1;
        } else {
            memory.marks.resize(self.words.len().div_ceil(64), 0);
            self.choose_evacuated();
        }
        Collector {
            arena: self,
            source,
            memory,
            filling: [None, None],
            live: 0,
        }
    }

    /// The next collection moves everything, old segments too.
    pub(crate) fn move_everything(&mut self) {
        for segment in &mut self.segments {
            if segment.age == Age::Old {
                segment.age = Age::Survived;
            }
        }
    }

    /// Gives memory behind the last segment in use back.
    pub(crate) fn trim(&mut self) {
        if self.is_small() {
            self.words.truncate(self.top);
            self.end = self.words.len();
        } else {
            self.close_segment();
            while self.segments.last().is_some_and(Segment::is_free) {
                self.segments.pop();
            }
            let segments = self.segments.len();
            if let Some(free) = &mut self.free {
                free.segments.retain(|number| (*number as usize) < segments);
            }
            self.words.truncate(segments * SEGMENT_WORDS);
            self.cards.truncate(segments * SEGMENT_WORDS / CARD_WORDS);
            if segments == 0 {
                // It is a block again, an empty one: no object lies at its first word.
                (self.top, self.end) = (1, 0);
            }
        }
        self.words.shrink_to_fit();
        self.outside.shrink_to_fit();
    }

    /// Words of closed segments that objects take, live or dead.
    fn used_words(&self) -> usize {
        let used = self.segments.iter().filter(|segment| !segment.is_free());
        used.map(|segment| segment.used).sum()
    }

    /// The logical bytes of the object at an index, and of the buffer that counts with it.
    pub(crate) fn logical_bytes_at(&self, index: usize) -> u64 {
        self.logical_bytes_of(self.words[index], index)
    }

    /// The same for an object with this header.
    #[inline(always)]
    fn logical_bytes_of(&self, header: u64, index: usize) -> u64 {
        let words = &self.words;
        match ObjectKind::of(header) {
            ObjectKind::Pair => cost::PAIR_BYTES,
            ObjectKind::Cell => cost::CELL_BYTES,
            ObjectKind::Closure => cost::closure_bytes(u64::from(extra(header))),
            ObjectKind::Text => cost::short_text_bytes(u64::from(halves(words[index + 1]).0)),
            ObjectKind::LongText => cost::LONG_TEXT_BYTES,
            ObjectKind::Bytes => bytes_logical(words[index + 1]),
            ObjectKind::Vector => {
                let elements =
                    Elements::from_number(u64::from(extra(header))).unwrap_or(Elements::Any);
                Arena::vector_logical(elements, u64::from(halves(words[index + 1]).1))
            }
            ObjectKind::Map => cost::MAP_BYTES + cost::map_buffer_bytes(words[index + 2]),
            ObjectKind::Error => cost::ERROR_BYTES,
            ObjectKind::Capability => cost::CAPABILITY_BYTES,
            ObjectKind::Buffer if extra(header) == TEXT_BUFFER => {
                cost::BUFFER_BYTES + u64::from(halves(words[index + 1]).1)
            }
            ObjectKind::Buffer | ObjectKind::Forward => 0,
        }
    }

    fn choose_evacuated(&mut self) {
        let mut sparse = 0;
        for segment in &mut self.segments {
            segment.evacuating = match segment.age {
                Age::New | Age::Survived => true,
                Age::Old if segment.live < SPARSE_WORDS && sparse < SPARSE_SEGMENTS_MAX => {
                    sparse += 1;
                    true
                }
                Age::Old | Age::Free => false,
            };
            segment.live = 0;
        }
    }
}

impl Collector<'_> {
    /// Visits a root, and rewrites it if its object moved.
    pub(crate) fn root(&mut self, value: &mut Value) {
        if value.is_in_arena() {
            value.bits = self.object(index_of(value.bits)) as u64 * 8;
            self.scan_pending();
        }
    }

    /// The new place of the object at `index`; remembers it for scanning the first time, if it can refer to others.
    #[inline(always)]
    fn object(&mut self, index: usize) -> usize {
        if self.source.is_none() {
            let segment = &mut self.arena.segments[index / SEGMENT_WORDS];
            if !segment.evacuating {
                let (marks, bit) = (&mut self.memory.marks[index / 64], 1 << (index % 64));
                if *marks & bit == 0 {
                    *marks |= bit;
                    let header = self.arena.words[index];
                    segment.live += size_words(header);
                    self.found(header, index);
                }
                return index;
            }
        }
        self.moved(index)
    }

    /// The new place of an object that does not stay.
    #[inline(never)]
    fn moved(&mut self, index: usize) -> usize {
        let header = match &self.source {
            Some(source) => source[index],
            None => self.arena.words[index],
        };
        if ObjectKind::of(header) == ObjectKind::Forward {
            return (header >> 8) as usize;
        }
        let words = size_words(header);
        let new = match &mut self.source {
            Some(source) => {
                let new = self.arena.words.len();
                let object = &source[index..index + words];
                self.arena.words.extend_from_slice(object);
                source[index] = forward_to(new);
                new
            }
            None => self.evacuate(index, words),
        };
        self.found(header, new);
        new
    }

    /// An object with this header, which stands at `index` now, is live.
    #[inline(always)]
    fn found(&mut self, header: u64, index: usize) {
        self.live += self.arena.logical_bytes_of(header, index);
        if !matches!(
            ObjectKind::of(header),
            ObjectKind::Text | ObjectKind::Buffer
        ) {
            self.memory.pending.push(index);
        }
    }

    /// Moves an object to a segment of the next age.
    fn evacuate(&mut self, index: usize, words: usize) -> usize {
        let (lane, age) = match self.arena.segments[index / SEGMENT_WORDS].age {
            Age::New => (0, Age::Survived),
            Age::Survived | Age::Old | Age::Free => (1, Age::Old),
        };
        let (number, used) = match self.filling[lane] {
            Some((number, used)) if used + words <= SEGMENT_WORDS => (number, used),
            _ => {
                let number = self.arena.take_segment(age);
                self.memory
                    .marks
                    .resize(self.arena.words.len().div_ceil(64), 0);
                (number, 0)
            }
        };
        // Word 0 of the arena is never an object: offset 0 means "no buffer".
        let used = if number == 0 && used == 0 { 1 } else { used };
        let new = number * SEGMENT_WORDS + used;
        self.arena.words.copy_within(index..index + words, new);
        self.arena.words[index] = forward_to(new);
        self.filling[lane] = Some((number, used + words));
        let filled = &mut self.arena.segments[number];
        filled.used = used + words;
        filled.live += words;
        new
    }

    fn scan_pending(&mut self) {
        while let Some(index) = self.memory.pending.pop() {
            self.scan(index);
        }
    }

    fn scan(&mut self, index: usize) {
        let header = self.arena.words[index];
        match ObjectKind::of(header) {
            ObjectKind::Pair => {
                // What was met last is scanned first: an element of a list lies behind its pair then, and elements do not wait for the
                // end of the list.
                self.scan_bits(index + 2, header >> 32 & 0xffff);
                self.scan_bits(index + 1, header >> 16 & 0xffff);
            }
            ObjectKind::Cell => self.scan_bits(index + 1, header >> 16 & 0xffff),
            ObjectKind::Closure => self.scan_values(index + 2, usize::from(extra(header))),
            ObjectKind::Error | ObjectKind::Capability => self.scan_values(index + 1, 2),
            ObjectKind::LongText | ObjectKind::Bytes => {
                self.scan_buffer(index + 2);
            }
            ObjectKind::Vector => {
                let buffer = self.scan_buffer(index + 2);
                if extra(header) == Elements::Any as u16 {
                    let length = halves(self.arena.words[index + 1]).0 as usize;
                    self.scan_elements(buffer, length);
                }
            }
            ObjectKind::Map => {
                let entries = self.scan_buffer(index + 3);
                self.scan_buffer(index + 4);
                let used = halves(self.arena.words[index + 1]).1 as usize;
                self.scan_elements(entries, used * ENTRY_WORDS / 2);
            }
            ObjectKind::Text | ObjectKind::Buffer | ObjectKind::Forward => {
                unreachable!("nobody remembers one")
            }
        }
    }

    /// Visits the object that the bits in a word name, if their tag says they do.
    fn scan_bits(&mut self, at: usize, tag: u64) {
        let value = Value {
            tag,
            bits: self.arena.words[at],
        };
        if tag != DELETED && value.is_in_arena() {
            let new = self.object(index_of(value.bits)) as u64 * 8;
            self.update(at, new);
        }
    }

    fn update(&mut self, at: usize, word: u64) {
        if self.arena.words[at] != word {
            self.arena.words[at] = word;
            if let Some(card) = self.arena.cards.get_mut(at / CARD_WORDS) {
                *card = 1;
            }
        }
    }

    fn scan_values(&mut self, first: usize, count: usize) {
        for place in 0..count {
            let at = first + 2 * place;
            self.scan_bits(at + 1, self.arena.words[at]);
        }
    }

    /// Visits the buffer that a word names; the word that names it now.
    fn scan_buffer(&mut self, at: usize) -> u64 {
        let buffer = self.arena.words[at];
        if buffer == 0 {
            return 0;
        }
        if buffer & OUTSIDE != 0 {
            let outside = self.arena.outside_mut(buffer);
            if !outside.marked {
                outside.marked = true;
                self.live += outside.logical_bytes();
            }
            return buffer;
        }
        let new = self.object(index_of(buffer)) as u64 * 8;
        self.update(at, new);
        new
    }

    /// Visits `count` values in a buffer.
    fn scan_elements(&mut self, buffer: u64, count: usize) {
        if buffer & OUTSIDE == 0 {
            return self.scan_values(index_of(buffer) + 2, count);
        }
        for place in 0..count {
            let words = &self.arena.buffer(buffer)[2 * place..2 * place + 2];
            let value = Value {
                tag: words[0],
                bits: words[1],
            };
            if value.tag != DELETED && value.is_in_arena() {
                let new = self.object(index_of(value.bits)) as u64 * 8;
                if new != value.bits {
                    self.arena.buffer_mut(buffer, 2 * place + 1, 1)[0] = new;
                }
            }
        }
    }

    /// Frees what was not visited and sets the counters; the logical bytes found live.
    pub(crate) fn finish(self) -> u64 {
        let (arena, mut memory) = (self.arena, self.memory);
        if memory.marks.capacity() + memory.pending.capacity() <= KEPT_MAX {
            memory.marks.clear();
            MEMORY.set(memory);
        }
        if self.source.is_some() {
            arena.top = arena.words.len();
            arena.end = arena.words.len();
        } else {
            let free = arena.free.get_or_insert_default();
            for (number, segment) in arena.segments.iter_mut().enumerate() {
                let dead_old = segment.age == Age::Old && segment.live == 0;
                if segment.evacuating || dead_old {
                    *segment = Segment::new(Age::Free);
                    free.segments.push(number as u32);
                }
            }
            free.segments.sort_unstable_by(|a, b| b.cmp(a));
            free.segments.dedup();
            // The next allocation takes a new segment.
            arena.top = 0;
            arena.end = 0;
        }
        for (slot, outside) in arena.outside.iter_mut().enumerate() {
            match outside {
                Some(buffer) if buffer.marked => buffer.marked = false,
                Some(_) => {
                    *outside = None;
                    let free = arena.free.get_or_insert_default();
                    free.outside.push(slot as u32);
                }
                None => {}
            }
        }
        arena.counters.live = self.live;
        arena.counters.allocated = 0;
        arena.statistics.collections += 1;
        self.live
    }
}

fn forward_to(index: usize) -> u64 {
    ObjectKind::Forward as u64 | (index as u64) << 8
}
