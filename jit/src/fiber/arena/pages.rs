//! Pages: what of an arena has changed since it was last taken.
//!
//! A large arena is captured as it lies in memory, card by card. Cards are taken while the fiber goes on; those that it changes
//! afterwards are marked again and taken once more, so that the last time only few are left. A later page replaces an earlier one
//! of the same place. Pages say nothing about what is live: see `assemble` for what makes an arena of them.
//!
//! | part | what |
//! |---|---|
//! | run of words | 1, first word, number of words, the words |
//! | run of a buffer outside | 2, slot, words of the buffer, whether it is a text's, bytes in use, capacity, first word, number of words, the words |
//!
//! Numbers are varints, words eight bytes with the lowest first.

use pw_isa::wire::Writer;

use super::buffer::Outside;
use super::{Arena, CARD_WORDS, SEGMENT_WORDS};

/// The first byte of a run of words of the arena itself.
pub(super) const WORDS: u8 = 1;
/// The first byte of a run of words of a buffer outside.
pub(super) const BUFFER: u8 = 2;
/// How much larger than what is in use of it an arena may be: free parts of it are not taken.
const SPARSE_MAX: usize = 16;

/// How far taking pages has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCursor {
    /// Words of the arena itself before this one are taken.
    word: usize,
    /// And buffers in slots before this one.
    slot: usize,
    /// And of the buffer in this slot so many cards.
    cards: usize,
}

/// What is taken, and where it goes.
struct Taking<'a> {
    /// Whether also what has not changed.
    everything: bool,
    out: &'a mut Writer,
    /// Bytes in `out` beyond which nothing more is taken.
    full: usize,
}

impl Taking<'_> {
    /// How many bytes may still be taken.
    fn room(&self) -> usize {
        self.full.saturating_sub(self.out.bytes.len())
    }
}

impl Arena {
    /// Takes pages from a place on, about `bytes_max` bytes of them: those that have changed since they were last taken, or all. Whether
    /// the end was reached.
    pub fn take_pages(
        &mut self,
        from: &mut PageCursor,
        everything: bool,
        bytes_max: usize,
        out: &mut Writer,
    ) -> bool {
        let full = out.bytes.len().saturating_add(bytes_max);
        let mut taking = Taking {
            everything,
            out,
            full,
        };
        self.take_words(from, &mut taking) && self.take_buffers(from, &mut taking)
    }

    fn take_words(&mut self, from: &mut PageCursor, taking: &mut Taking<'_>) -> bool {
        if self.is_small() {
            // It has no cards, and is smaller than what is taken at once.
            if from.word.max(1) < self.top {
                put_words(taking.out, 1, &self.words[1..self.top]);
            }
            from.word = self.words.len();
            return true;
        }
        for (start, end) in self.used_ranges() {
            if end <= from.word {
                continue;
            }
            let first = start.max(from.word) / CARD_WORDS;
            let last = end.div_ceil(CARD_WORDS);
            if taking.everything {
                self.cards[first..last].fill(1);
            }
            let mut card = first;
            while let Some(run) = next_run(&self.cards[..last], card, taking.room()) {
                if taking.room() == 0 {
                    from.word = run.start * CARD_WORDS;
                    return false;
                }
                let words = start.max(run.start * CARD_WORDS)..end.min(run.end * CARD_WORDS);
                put_words(taking.out, words.start, &self.words[words]);
                self.cards[run.clone()].fill(0);
                if run.contains(&(self.top / CARD_WORDS)) {
                    // New objects mark no card: that where the next one will lie stays marked.
                    self.cards[self.top / CARD_WORDS] = 1;
                }
                card = run.end;
            }
            from.word = last * CARD_WORDS;
        }
        from.word = self.words.len();
        true
    }

    fn take_buffers(&mut self, from: &mut PageCursor, taking: &mut Taking<'_>) -> bool {
        while let Some(slot) = self.outside.get_mut(from.slot) {
            if let Some(outside) = slot
                && (outside.is_touched || taking.everything)
                && !outside.take_pages(from, taking)
            {
                return false;
            }
            from.slot += 1;
            from.cards = 0;
        }
        true
    }

    /// The word where its single block or its last segment ends.
    pub(crate) fn end_word(&self) -> usize {
        if self.is_small() {
            self.top
        } else {
            self.segments.len() * SEGMENT_WORDS
        }
    }

    /// Whether it can be put together from pages in memory that is proportional to them.
    pub fn is_dense(&self) -> bool {
        let ranges = self.used_ranges();
        let used: usize = ranges.iter().map(|(start, end)| end - start).sum();
        let buffers = self.outside.iter().flatten().count();
        is_dense(self.segments.len() * SEGMENT_WORDS, used)
            && is_dense(self.outside.len(), buffers + 1)
    }
}

/// Whether what takes so many words, or slots, is proportional to those that were given.
pub(super) fn is_dense(all: usize, given: usize) -> bool {
    all <= given.saturating_mul(SPARSE_MAX)
}

/// The next marked cards in a row, from one on, of about so many bytes and at least one.
fn next_run(cards: &[u8], from: usize, bytes_max: usize) -> Option<std::ops::Range<usize>> {
    let marked = |cards: &[u8], is: bool| cards.iter().position(|card| (*card == 1) == is);
    let start = from + marked(cards.get(from..)?, true)?;
    let most = start + (bytes_max / 8 / CARD_WORDS).max(1);
    let reachable = &cards[start..most.min(cards.len())];
    let end = start + marked(reachable, false).unwrap_or(reachable.len());
    Some(start..end)
}

fn put_words(out: &mut Writer, first: usize, words: &[u64]) {
    out.u8(WORDS);
    put_run(out, first, words);
}

fn put_run(out: &mut Writer, first: usize, words: &[u64]) {
    out.varint(first as u64);
    out.varint(words.len() as u64);
    if cfg!(target_endian = "little") {
        out.bytes.extend_from_slice(bytemuck::cast_slice(words));
    } else {
        words.iter().for_each(|word| out.u64(*word));
    }
}

impl Outside {
    /// As [`Arena::take_pages`], for the buffer in the slot where the cursor is.
    fn take_pages(&mut self, from: &mut PageCursor, taking: &mut Taking<'_>) -> bool {
        if taking.everything && from.cards == 0 {
            self.cards.fill(1);
        }
        while let Some(run) = next_run(&self.cards, from.cards, taking.room()) {
            if taking.room() == 0 {
                from.cards = run.start;
                return false;
            }
            let out = &mut *taking.out;
            out.u8(BUFFER);
            out.varint(from.slot as u64);
            out.varint(self.physical_words() as u64);
            out.u8(u8::from(self.is_text()));
            out.varint(u64::from(self.used));
            out.varint(u64::from(self.capacity));
            let first = run.start * CARD_WORDS;
            let words = first..self.physical_words().min(run.end * CARD_WORDS);
            put_run(out, first, &self.storage.words()[words]);
            self.cards[run.clone()].fill(0);
            from.cards = run.end;
        }
        // Those before the place where this began may be marked again.
        self.is_touched = self.cards.contains(&1);
        true
    }
}
