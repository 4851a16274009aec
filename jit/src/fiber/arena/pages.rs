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

/// An arena that is put together from pages. It takes memory in proportion to them, wherever they say that they lie.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// The words of the arena itself, by segment.
    pub(super) segments: BTreeMap<usize, Words>,
    /// The buffers outside, by slot.
    pub(super) buffers: BTreeMap<usize, PagedBuffer>,
}

/// A buffer that is put together from pages.
#[derive(Clone, Debug, Default)]
pub(super) struct PagedBuffer {
    pub(super) words: Words,
    /// How many words it has.
    pub(super) length: usize,
    pub(super) is_text: bool,
    pub(super) used: u32,
    pub(super) capacity: u32,
}

/// Words of a segment or a buffer, as far as they are given.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    /// Those that are known from the first one on.
    pub(super) known: Vec<u64>,
    /// Cards behind them.
    later: BTreeMap<usize, Vec<u64>>,
}

impl Pages {
    /// Adds pages, each in place of what was known of its place.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn add(&mut self, input: &mut Reader<'_>) -> Decoded<()> {
        while input.remaining() > 0 {
            match input.u8()? {
                WORDS => self.add_words(input)?,
                BUFFER => self.add_buffer(input)?,
                other => return Err(input.error(format!("no run of pages has the number {other}"))),
            }
        }
        Ok(())
    }

    fn add_words(&mut self, input: &mut Reader<'_>) -> Decoded<()> {
        let (mut first, mut bytes) = run(input)?;
        // No object lies at the first word of all.
        let begins_well = first == 1 || first.is_multiple_of(CARD_WORDS);
        if !begins_well || first.checked_add(bytes.len() / 8).is_none() {
            return Err(input.error(format!("a run that begins with word {first}")));
        }
        while !bytes.is_empty() {
            let room = SEGMENT_WORDS - first % SEGMENT_WORDS;
            let (here, behind) = bytes.split_at(bytes.len().min(room * 8));
            let segment = self.segments.entry(first / SEGMENT_WORDS).or_default();
            if first == 1 && segment.known.is_empty() {
                segment.known.push(0);
            }
            segment.add(first % SEGMENT_WORDS, here);
            (first, bytes) = (first + here.len() / 8, behind);
        }
        Ok(())
    }

    /// How many segments reach to the last word that was given; one at least.
    pub(super) fn segments_given(&self) -> usize {
        let last = self.segments.last_key_value();
        last.map_or(1, |(segment, _)| segment + 1)
    }

    /// Whether so many segments, and the slots of the buffers, are proportional to what was given of them.
    pub(super) fn are_dense(&self, segments: usize) -> bool {
        let given = self.segments.range(..segments);
        let given = given.map(|(_, words)| words.given()).sum();
        let slots = self.slots();
        is_dense(segments.saturating_mul(SEGMENT_WORDS), given)
            && is_dense(slots, self.buffers.len() + 1)
    }

    /// How many slots reach to the last buffer that was given.
    pub(super) fn slots(&self) -> usize {
        let last = self.buffers.last_key_value();
        last.map_or(0, |(slot, _)| slot + 1)
    }

    /// The words of so many segments; those that were not given are 0. What was given of segments behind them is of a time when the
    /// arena was larger.
    pub(super) fn take_segments(&mut self, segments: usize) -> Vec<u64> {
        let mut words = vec![0; segments * SEGMENT_WORDS];
        let mut places = words.chunks_mut(SEGMENT_WORDS).enumerate();
        while let Some((segment, given)) = self.segments.pop_first()
            && let Some((_, place)) = places.find(|(number, _)| *number == segment)
        {
            given.write_to(place);
        }
        words
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
        // One that has grown has only marked what is new.
        if buffer.length > length {
            *buffer = PagedBuffer::default();
        }
        buffer.length = length;
        buffer.is_text = is_text;
        buffer.used = used;
        buffer.capacity = capacity;
        buffer.words.add(first, bytes);
        Ok(())
    }
}

impl Words {
    /// Adds a run in place of what was known of its place. It begins with a card, or where words are known.
    fn add(&mut self, first: usize, bytes: &[u8]) {
        if first > self.known.len() {
            for (card, bytes) in (first / CARD_WORDS..).zip(bytes.chunks(CARD_WORDS * 8)) {
                put(self.later.entry(card).or_default(), 0, bytes);
            }
            return;
        }
        put(&mut self.known, first, bytes);
        // What came later is older where this reaches it, and fits where this ends.
        while let Some(entry) = self.later.first_entry()
            && let Some(covered) = self.known.len().checked_sub(*entry.key() * CARD_WORDS)
        {
            let words = entry.remove();
            let behind = words.get(covered..).unwrap_or_default();
            self.known.extend_from_slice(behind);
        }
    }

    /// How many words were given.
    fn given(&self) -> usize {
        self.known.len() + self.later.values().map(Vec::len).sum::<usize>()
    }

    /// A word, if it was given.
    #[cfg(test)]
    pub(super) fn word(&self, at: usize) -> Option<u64> {
        let later = self.later.get(&(at / CARD_WORDS));
        let later = later.and_then(|words| words.get(at % CARD_WORDS));
        self.known.get(at).or(later).copied()
    }

    /// Writes them to where they belong, which has room for them all.
    fn write_to(self, words: &mut [u64]) {
        words[..self.known.len()].copy_from_slice(&self.known);
        for (card, later) in self.later {
            words[card * CARD_WORDS..][..later.len()].copy_from_slice(&later);
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

/// Writes words over those from a place on, and the rest of them behind the last.
fn put(words: &mut Vec<u64>, first: usize, bytes: &[u8]) {
    let (inside, behind) = bytes.split_at(bytes.len().min((words.len() - first) * 8));
    words[first..]
        .iter_mut()
        .zip(words_of(inside))
        .for_each(|(word, new)| *word = new);
    words.extend(words_of(behind));
}
