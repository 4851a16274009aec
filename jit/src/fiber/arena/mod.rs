//! The heap of one actor: bump-allocated, collected precisely, moved freely.
//!
//! Values name objects by byte offset, so the words may lie anywhere and move at any time. Up to
//! `SMALL_WORDS` an arena is one block, copied whole by a collection. A larger one consists of
//! segments: new objects fill *new* segments, survive into *surviving* ones and, surviving again, into
//! *old* ones, which stay in place until most of their objects are dead.
//!
//! Everything observable is *logical*: [`Counters`] count bytes by the table in [`pw_isa::cost`],
//! whatever the layout. Callers reserve logical bytes first (`Fiber::reserve`), which is where
//! collections and limits happen; allocation itself cannot fail.
//!
//! Every store into an existing object goes through `Arena::barrier`, which marks the object's
//! 4 KiB page (card) as changed since it was last taken ([`Arena::take_pages`]).

mod admit;
mod assemble;
#[cfg(test)]
mod barrier_tests;
mod buffer;
mod collect;
mod data;
mod embed;
mod map;
mod map_index;
pub(crate) mod object;
mod pages;
mod raw;
mod report;
mod segment;
mod text;
mod vector;

pub(crate) use admit::{Admission, Admitted};
pub use assemble::{PageBlocks, Pages};
pub(crate) use buffer::BUFFER_HEAD;
pub(crate) use data::bytes_logical;
pub(crate) use map::{KeyHasher, same_bytes, two_words};
pub(crate) use object::Elements;
pub use pages::PageCursor;
pub(crate) use raw::OutsideLayout;
pub use report::ArenaReport;
pub(crate) use text::{Piece, Source, count_characters, may_have_capacity, starts_character};
pub(crate) use vector::{StorePlan, VECTOR_WORDS};

use buffer::Outside;
use segment::Segment;

/// Words of a segment (256 KiB).
pub(crate) const SEGMENT_WORDS: usize = 32 * 1024;
/// Words up to which an arena is a single block (64 KiB).
pub(crate) const SMALL_WORDS: usize = 8 * 1024;
/// Words of a card (4 KiB).
pub(crate) const CARD_WORDS: usize = 512;

/// Collections that bring all objects to the front of a fragmented arena: the first moves them behind
/// the free segments, the second into them.
pub(crate) const COMPACTING_PASSES: usize = 2;

/// Logical counters; part of the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Logical bytes that the last collection found live.
    pub live: u64,
    /// Logical bytes allocated since.
    pub allocated: u64,
}

/// What has happened so far; not part of the state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Objects and buffers allocated.
    pub allocations: u64,
    /// Logical bytes allocated.
    pub allocated_bytes: u64,
    /// Collections.
    pub collections: u64,
    /// The most logical bytes in use at any reservation, stack included.
    pub peak_bytes: u64,
}

/// What is free, which most small arenas have nothing of.
#[derive(Clone, Debug, Default)]
struct Free {
    /// Whether there are gaps between the objects of the single block (see `Segment::has_gaps`), while there is one.
    has_gaps: bool,
    segments: Vec<u32>,
    /// Slots of outside buffers.
    outside: Vec<u32>,
}

/// The heap of one actor, or the constants of one program.
#[derive(Debug)]
pub struct Arena {
    /// The address space: a value's bits are a byte offset into it. Word 0 is never used.
    words: Vec<u64>,
    /// Empty while the arena is a single block.
    segments: Vec<Segment>,
    /// Where the next object goes, and where its block or segment ends.
    top: usize,
    end: usize,
    outside: Vec<Option<Outside>>,
    /// One byte a card: changed since it was last taken. Empty while the arena is a single block,
    /// which counts as changed altogether.
    cards: Vec<u8>,
    /// What is free.
    free: Option<Box<Free>>,
    pub(crate) counters: Counters,
    pub(crate) statistics: Statistics,
    /// What the running instruction may still allocate; `None` while none runs.
    #[cfg(debug_assertions)]
    allowance: Option<u64>,
}

impl Default for Arena {
    fn default() -> Arena {
        Arena::new()
    }
}

impl Clone for Arena {
    /// The same objects in the same places. Nobody has taken pages of the new arena, so all of them count as changed.
    fn clone(&self) -> Arena {
        Arena {
            words: self.words.clone(),
            segments: self.segments.clone(),
            top: self.top,
            end: self.end,
            outside: self.outside.clone(),
            cards: vec![1; self.cards.len()],
            free: self.free.clone(),
            counters: self.counters,
            statistics: self.statistics,
            #[cfg(debug_assertions)]
            allowance: self.allowance,
        }
    }
}

impl Arena {
    /// An empty arena; takes no memory until something is allocated.
    pub fn new() -> Arena {
        Arena {
            words: Vec::new(),
            segments: Vec::new(),
            top: 1,
            end: 0,
            outside: Vec::new(),
            cards: Vec::new(),
            free: None,
            counters: Counters::default(),
            statistics: Statistics::default(),
            #[cfg(debug_assertions)]
            allowance: None,
        }
    }

    /// An empty arena in memory that was used for something else.
    pub(crate) fn within(mut words: Vec<u64>) -> Arena {
        words.clear();
        Arena {
            words,
            ..Arena::new()
        }
    }

    /// Moves a small arena into memory of just its size; that which it was in.
    pub(crate) fn settle(&mut self) -> Option<Vec<u64>> {
        self.is_small().then(|| {
            let used = self.top.min(self.words.len());
            let own = self.words[..used].to_vec();
            self.end = used;
            std::mem::replace(&mut self.words, own)
        })
    }

    /// The logical counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What has happened so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    fn is_small(&self) -> bool {
        self.segments.is_empty()
    }

    /// From here on an instruction may allocate this many logical bytes and no more, as builds with
    /// debug assertions check; `None` when no instruction runs.
    #[cfg_attr(
        not(debug_assertions),
        allow(
            unused_variables,
            clippy::unused_self,
            reason = "a check of debug builds"
        )
    )]
    pub(crate) fn allow(&mut self, bytes: Option<u64>) {
        #[cfg(debug_assertions)]
        {
            self.allowance = bytes;
        }
    }

    /// Counts logical bytes as allocated. They were reserved before.
    fn count(&mut self, logical: u64) {
        #[cfg(debug_assertions)]
        if let Some(left) = &mut self.allowance {
            assert!(
                logical <= *left,
                "an instruction allocates {logical} bytes where it has {left} left of its reservation"
            );
            *left -= logical;
        }
        self.counters.allocated = self.counters.allocated.saturating_add(logical);
        self.statistics.allocated_bytes = self.statistics.allocated_bytes.saturating_add(logical);
    }

    /// Counts logical bytes of objects that need not be made: nobody would ever see them.
    pub(crate) fn charge(&mut self, logical: u64) {
        self.counters.allocated = self.counters.allocated.saturating_add(logical);
        self.statistics.allocated_bytes = self.statistics.allocated_bytes.saturating_add(logical);
    }

    /// Room for an object of `words` words whose allocation counts `logical` bytes; its index.
    #[inline(always)]
    fn allocate(&mut self, words: usize, logical: u64) -> usize {
        self.count(logical);
        self.statistics.allocations += 1;
        if self.top + words > self.end {
            self.make_room(words);
        }
        let index = self.top;
        self.top += words;
        index
    }

    #[cold]
    fn make_room(&mut self, words: usize) {
        if self.is_small() {
            let need = self.top + words;
            if need <= SMALL_WORDS {
                let length = need.next_power_of_two().max(16);
                self.words.resize(length, 0);
                self.end = length;
                return;
            }
            self.become_segmented();
            if self.top + words <= self.end {
                return;
            }
        }
        self.close_segment();
        let segment = self.take_segment(segment::Age::New);
        self.end = (segment + 1) * SEGMENT_WORDS;
        // Word 0 of the arena is never an object: offset 0 means "no buffer".
        self.top = (segment * SEGMENT_WORDS).max(1);
    }

    /// Turns the single block into the first segment.
    fn become_segmented(&mut self) {
        self.words.resize(SEGMENT_WORDS, 0);
        self.end = SEGMENT_WORDS;
        self.segments.push(Segment {
            has_gaps: self.block_has_gaps(),
            ..Segment::new(segment::Age::New)
        });
        self.cards.resize(SEGMENT_WORDS / CARD_WORDS, 1);
    }

    /// Whether there are gaps between the objects of the single block.
    fn block_has_gaps(&self) -> bool {
        self.free.as_ref().is_some_and(|free| free.has_gaps)
    }

    /// Notes that there are gaps between the objects that were made last.
    fn note_gaps(&mut self) {
        match self
            .segments
            .get_mut(self.end.saturating_sub(1) / SEGMENT_WORDS)
        {
            Some(segment) => segment.has_gaps = true,
            None => self.free.get_or_insert_default().has_gaps = true,
        }
    }

    /// Remembers where the objects of the current segment end.
    fn close_segment(&mut self) {
        if !self.is_small() && self.end > 0 {
            let segment = (self.end - 1) / SEGMENT_WORDS;
            self.segments[segment].used = self.top - segment * SEGMENT_WORDS;
        }
    }

    /// A free segment, or a new one behind the last.
    fn take_segment(&mut self, age: segment::Age) -> usize {
        let number = match self.free.as_mut().and_then(|free| free.segments.pop()) {
            Some(number) => number as usize,
            None => {
                self.segments.push(Segment::new(age));
                self.words.resize(self.segments.len() * SEGMENT_WORDS, 0);
                self.cards.resize(self.words.len() / CARD_WORDS, 1);
                self.segments.len() - 1
            }
        };
        self.segments[number] = Segment::new(age);
        let first = number * SEGMENT_WORDS / CARD_WORDS;
        self.cards[first..first + SEGMENT_WORDS / CARD_WORDS].fill(1);
        number
    }

    /// Its first words, at most so many.
    pub(crate) fn first_words(&self, count: usize) -> &[u64] {
        &self.words[..count.min(self.words.len())]
    }

    /// The word at an index.
    #[inline(always)]
    fn word(&self, index: usize) -> u64 {
        self.words[index]
    }

    /// Writes a word of an object that was just allocated.
    #[inline(always)]
    fn init(&mut self, index: usize, word: u64) {
        self.words[index] = word;
    }

    /// Writes a word of an existing object.
    #[inline(always)]
    fn store(&mut self, index: usize, word: u64) {
        self.barrier(index);
        self.words[index] = word;
    }

    /// Marks the card of a word as changed.
    #[inline(always)]
    fn barrier(&mut self, index: usize) {
        if let Some(card) = self.cards.get_mut(index / CARD_WORDS) {
            *card = 1;
        }
    }
}
