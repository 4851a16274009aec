//! Pages: what of an arena has changed since it was last taken, and arenas put together from them again.
//!
//! A large arena is captured as it lies in memory, card by card. Cards are taken while the fiber goes on; those that it changes
//! afterwards are marked again and taken once more, so that the last time only few are left. A later page replaces an earlier one
//! of the same place. Pages say nothing about what is live: see [`Arena::from_pages`] for what makes an arena of them.
//!
//! | part | what |
//! |---|---|
//! | run of words | 1, first word, number of words, the words |
//! | run of a buffer outside | 2, slot, words of the buffer, whether it is a text's, bytes in use, capacity, first word, number of words, the words |
//!
//! Numbers are varints, words eight bytes with the lowest first.

use std::collections::BTreeMap;

use pw_isa::wire::{Decoded, Reader, Writer};

use super::buffer::Outside;
use super::object::OUTSIDE_WORDS_MIN;
use super::{Arena, CARD_WORDS, SEGMENT_WORDS};

/// The first byte of a run of words of the arena itself.
const WORDS: u8 = 1;
/// The first byte of a run of words of a buffer outside.
const BUFFER: u8 = 2;
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

    /// Where the objects of a single block end; nothing for an arena of segments.
    pub(crate) fn block_end(&self) -> Option<usize> {
        self.is_small().then_some(self.top)
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

fn is_dense(all: usize, given: usize) -> bool {
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
            out.varint(self.words.len() as u64);
            out.u8(u8::from(self.is_text));
            out.varint(u64::from(self.used));
            out.varint(u64::from(self.capacity));
            let first = run.start * CARD_WORDS;
            let words = first..self.words.len().min(run.end * CARD_WORDS);
            put_run(out, first, &self.words[words]);
            self.cards[run.clone()].fill(0);
            from.cards = run.end;
        }
        // Those before the place where this began may be marked again.
        self.is_touched = self.cards.contains(&1);
        true
    }
}

/// An arena that is put together from pages.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// The words of the arena itself; those that were not given are 0.
    pub(super) words: Vec<u64>,
    /// One bit a card: whether it was given.
    given: Vec<u64>,
    /// The buffers outside, by slot.
    pub(super) buffers: BTreeMap<usize, PagedBuffer>,
}

/// A buffer that is put together from pages.
#[derive(Clone, Debug, Default)]
pub(super) struct PagedBuffer {
    /// Its words, as far as they are known from the first one on.
    pub(super) words: Vec<u64>,
    /// Cards behind them.
    later: BTreeMap<usize, Vec<u64>>,
    /// How many words it has.
    pub(super) length: usize,
    pub(super) is_text: bool,
    pub(super) used: u32,
    pub(super) capacity: u32,
}

impl Pages {
    /// Adds pages, each in place of what was known of its place. `spare` is how many words may lie between those that were given;
    /// it is less afterwards.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn add(&mut self, input: &mut Reader<'_>, spare: &mut usize) -> Decoded<()> {
        while input.remaining() > 0 {
            match input.u8()? {
                WORDS => self.add_words(input, spare)?,
                BUFFER => self.add_buffer(input)?,
                other => return Err(input.error(format!("no run of pages has the number {other}"))),
            }
        }
        Ok(())
    }

    fn add_words(&mut self, input: &mut Reader<'_>, spare: &mut usize) -> Decoded<()> {
        let (first, bytes) = run(input)?;
        let end = first.saturating_add(bytes.len() / 8);
        if let Some(gap) = first.checked_sub(self.words.len()) {
            let Some(left) = spare.checked_sub(gap) else {
                let known = self.words.len();
                return Err(
                    input.error(format!("word {first} of an arena where {known} are known"))
                );
            };
            *spare = left;
            self.words.resize(first, 0);
        }
        let known = self.words.len() - first;
        let (inside, behind) = bytes.split_at(bytes.len().min(known * 8));
        copy(&mut self.words[first..], inside);
        extend(&mut self.words, behind);
        let cards = first / CARD_WORDS..end.div_ceil(CARD_WORDS);
        if cards.end > self.given.len() * 64 {
            self.given.resize(cards.end.div_ceil(64), 0);
        }
        cards.for_each(|card| self.given[card / 64] |= 1 << (card % 64));
        Ok(())
    }

    /// Whether what it takes in memory is proportional to what was given, in segments or as a block.
    pub(super) fn is_dense(&self, in_segments: bool) -> bool {
        let segments = self.words.len().div_ceil(SEGMENT_WORDS).max(1);
        let words = if in_segments {
            segments * SEGMENT_WORDS
        } else {
            0
        };
        let given = self.given.iter().map(|cards| cards.count_ones() as usize);
        let given = given.sum::<usize>() * CARD_WORDS;
        let slots = self
            .buffers
            .last_key_value()
            .map_or(0, |(slot, _)| slot + 1);
        is_dense(words, given) && is_dense(slots, self.buffers.len() + 1)
    }

    fn add_buffer(&mut self, input: &mut Reader<'_>) -> Decoded<()> {
        let slot = input.varint32()? as usize;
        let length = number(input)?;
        let is_text = input.flag()?;
        let (used, capacity) = (input.varint32()?, input.varint32()?);
        let (first, bytes) = run(input)?;
        let end = first.saturating_add(bytes.len() / 8);
        let ends_with_card = end == length || end.is_multiple_of(CARD_WORDS);
        let is_some = length >= OUTSIDE_WORDS_MIN && !bytes.is_empty();
        if !is_some || end > length || !first.is_multiple_of(CARD_WORDS) || !ends_with_card {
            return Err(input.error(format!("words {first} to {end} of a buffer of {length}")));
        }
        let buffer = self.buffers.entry(slot).or_default();
        if buffer.length != length {
            *buffer = PagedBuffer::default();
        }
        buffer.length = length;
        buffer.is_text = is_text;
        buffer.used = used;
        buffer.capacity = capacity;
        buffer.add(first, bytes);
        Ok(())
    }
}

impl PagedBuffer {
    fn add(&mut self, first: usize, bytes: &[u8]) {
        let known = self.words.len();
        if first > known {
            for (card, bytes) in (first / CARD_WORDS..).zip(bytes.chunks(CARD_WORDS * 8)) {
                let mut words = Vec::new();
                extend(&mut words, bytes);
                self.later.insert(card, words);
            }
            return;
        }
        let (inside, behind) = bytes.split_at(bytes.len().min((known - first) * 8));
        copy(&mut self.words[first..], inside);
        extend(&mut self.words, behind);
        // What came later is older where this reaches it, and fits where this ends.
        while let Some(entry) = self.later.first_entry()
            && *entry.key() * CARD_WORDS <= self.words.len()
        {
            let is_next = *entry.key() * CARD_WORDS == self.words.len();
            let words = entry.remove();
            if is_next {
                self.words.extend_from_slice(&words);
            }
        }
    }
}

/// A number of words.
fn number(input: &mut Reader<'_>) -> Decoded<usize> {
    let number = input.varint()?;
    usize::try_from(number).map_err(|_| input.error(format!("{number} words")))
}

/// The first word of a run, and the bytes of its words.
fn run<'a>(input: &mut Reader<'a>) -> Decoded<(usize, &'a [u8])> {
    let first = number(input)?;
    let count = input.count(8)?;
    Ok((first, input.take(count * 8)?))
}

fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u64::from_le_bytes(*word))
}

fn extend(words: &mut Vec<u64>, bytes: &[u8]) {
    words.extend(words_of(bytes));
}

fn copy(words: &mut [u64], bytes: &[u8]) {
    words
        .iter_mut()
        .zip(words_of(bytes))
        .for_each(|(word, new)| *word = new);
}
