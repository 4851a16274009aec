//! Arenas put together from pages.
//!
//! Pages stay where they lie, in blocks of bytes, until it is known which of them hold: until then only the places are noted. Then each
//! block of which something holds is looked at, by as many threads as its owner likes, and every word is written once to where it belongs.
//! Nothing is copied twice, and memory of an arena that no page was given for is never touched.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pw_isa::wire::{Decoded, Reader};

use super::buffer::Outside;
use super::object::OUTSIDE_WORDS_MIN;
use super::pages::{BUFFER, WORDS, is_dense};
use super::segment::{Age, Segment};
use super::{Arena, CARD_WORDS, SEGMENT_WORDS, SMALL_WORDS};

/// Runs of which none needs to be forgotten, however few of them hold.
const RUNS_MIN: usize = 64;
/// Words that one thread writes at a time.
const CHUNK_WORDS: usize = SEGMENT_WORDS;

/// The blocks that pages lie in, by number.
pub trait PageBlocks {
    /// Shows each of these blocks, as it was when its pages were added; in any order, and on any threads.
    ///
    /// # Errors
    /// Why one cannot be shown.
    fn show(&self, blocks: &[u32], look: &(dyn Fn(u32, &[u8]) + Sync)) -> Result<(), String>;
}

/// Blocks in memory.
impl PageBlocks for Vec<Vec<u8>> {
    fn show(&self, blocks: &[u32], look: &(dyn Fn(u32, &[u8]) + Sync)) -> Result<(), String> {
        for number in blocks {
            let block = self.get(*number as usize);
            look(*number, block.ok_or("there is no such block")?);
        }
        Ok(())
    }
}

/// Where the pages of an arena lie. It takes memory in proportion to those that hold, wherever they say that they belong.
#[derive(Debug, Default)]
pub struct Pages {
    /// Runs of words of the arena itself.
    words: Runs,
    /// The buffers outside, by slot.
    buffers: BTreeMap<usize, PagedBuffer>,
}

/// A buffer of which there are pages.
#[derive(Debug, Default)]
struct PagedBuffer {
    runs: Runs,
    /// How many words it has.
    length: usize,
    is_text: bool,
    used: u32,
    capacity: u32,
}

/// A run of words: where they belong, and where they lie. A later one holds in place of an earlier one.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: usize,
    count: usize,
    block: u32,
    /// Where its bytes begin in the block.
    offset: u32,
}

impl Run {
    fn end(&self) -> usize {
        self.first.saturating_add(self.count)
    }

    /// The part of it that belongs to these words, which are some of its own.
    fn part(&self, words: &Range<usize>) -> Run {
        Run {
            first: words.start,
            count: words.len(),
            block: self.block,
            offset: self.offset + 8 * (words.start - self.first) as u32,
        }
    }
}

/// Runs in the order in which they were added.
#[derive(Debug, Default)]
struct Runs {
    all: Vec<Run>,
    /// How many were left when others were last forgotten.
    left: usize,
}

impl Runs {
    /// Adds one. Where most of those before do not hold any more, they are forgotten: of many files that stand on each other no more
    /// is kept than of some.
    fn push(&mut self, run: Run) {
        if run.count == 0 {
            return;
        }
        self.all.push(run);
        if self.all.len() > 2 * self.left.max(RUNS_MIN) {
            self.all = Holding::of(&self.all).runs;
            self.left = self.all.len();
        }
    }
}

impl Pages {
    /// Adds the pages of a block, each in place of what was known of its place. The block is all that the reader reads from.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn add(&mut self, block: u32, input: &mut Reader<'_>) -> Decoded<()> {
        while input.remaining() > 0 {
            match input.u8()? {
                WORDS => self.add_words(block, input)?,
                BUFFER => self.add_buffer(block, input)?,
                other => return Err(input.error(format!("no run of pages has the number {other}"))),
            }
        }
        Ok(())
    }

    fn add_words(&mut self, block: u32, input: &mut Reader<'_>) -> Decoded<()> {
        let run = run(block, input)?;
        // No object lies at the first word of all.
        let begins_well = run.first == 1 || run.first.is_multiple_of(CARD_WORDS);
        if !begins_well || run.first.checked_add(run.count).is_none() {
            return Err(input.error(format!("a run that begins with word {}", run.first)));
        }
        self.words.push(run);
        Ok(())
    }

    fn add_buffer(&mut self, block: u32, input: &mut Reader<'_>) -> Decoded<()> {
        let slot = input.varint32()? as usize;
        let length = number(input)?;
        let is_text = input.flag()?;
        let (used, capacity) = (input.varint32()?, input.varint32()?);
        let run = run(block, input)?;
        let (first, end) = (run.first, run.end());
        let ends_with_card = end == length || end.is_multiple_of(CARD_WORDS);
        let is_some = length >= OUTSIDE_WORDS_MIN && run.count > 0;
        if !is_some || end > length || !first.is_multiple_of(CARD_WORDS) || !ends_with_card {
            return Err(input.error(format!("words {first} to {end} of a buffer of {length}")));
        }
        let buffer = self.buffers.entry(slot).or_default();
        // One that has grown has only marked what is new.
        if buffer.length > length {
            buffer.runs = Runs::default();
        }
        buffer.length = length;
        buffer.is_text = is_text;
        buffer.used = used;
        buffer.capacity = capacity;
        buffer.runs.push(run);
        Ok(())
    }

    /// How many segments reach to the last word that was given; one at least.
    pub(super) fn segments_given(&self) -> usize {
        let ends = self.words.all.iter().map(Run::end);
        ends.max().unwrap_or(0).div_ceil(SEGMENT_WORDS).max(1)
    }

    /// How many slots reach to the last buffer that was given.
    fn slots(&self) -> usize {
        let last = self.buffers.last_key_value();
        last.map_or(0, |(slot, _)| slot + 1)
    }
}

impl Arena {
    /// An arena of pages, in which nothing was looked at, that ends with a word: of its single block, or of its last segment. With 0,
    /// as older versions wrote it, the last one is that of which there are pages.
    ///
    /// # Errors
    /// What is missing, and why blocks cannot be shown.
    pub(crate) fn from_pages(
        pages: &Pages,
        end: usize,
        blocks: &dyn PageBlocks,
    ) -> Result<Arena, String> {
        let segments = match end {
            0 => pages.segments_given(),
            1..=SMALL_WORDS => 0,
            _ if end.is_multiple_of(SEGMENT_WORDS) => end / SEGMENT_WORDS,
            _ => return Err(format!("an arena that ends with word {end}")),
        };
        let words = Holding::of(&pages.words.all);
        let given = words.given(segments.saturating_mul(SEGMENT_WORDS));
        if !is_dense(segments.saturating_mul(SEGMENT_WORDS), given)
            || !is_dense(pages.slots(), pages.buffers.len() + 1)
        {
            return Err("too little of it was given".to_owned());
        }
        let known = words.known();
        if segments == 0 && end > known.max(1) {
            return Err(format!("a block of {end} words, {known} known"));
        }
        let mut assembly = Assembly::default();
        let own = match segments {
            0 => end.min(known),
            _ => segments * SEGMENT_WORDS,
        };
        assembly.add(words.runs, own);
        let mut buffers = Vec::new();
        for (slot, buffer) in &pages.buffers {
            let words = Holding::of(&buffer.runs.all);
            // Where a part was not given, as of one that nobody refers to, there is none.
            if words.known() == buffer.length {
                buffers.push((*slot, buffer));
                assembly.add(words.runs, buffer.length);
            }
        }
        let mut made = assembly.make(blocks)?.into_iter();
        let mut arena = Arena::new();
        arena.set_words(made.next().unwrap_or_default(), segments);
        arena.outside.resize_with(pages.slots(), || None);
        for ((slot, buffer), words) in buffers.into_iter().zip(made) {
            let text = buffer.is_text.then_some((buffer.used, buffer.capacity));
            arena.outside[slot] = Some(Outside::of(words, text));
        }
        Ok(arena)
    }

    /// Takes the words of so many segments, or of a single block.
    fn set_words(&mut self, words: Vec<u64>, segments: usize) {
        let end = words.len();
        self.words = words;
        if segments > 0 {
            self.segments = vec![Segment::new(Age::Old); segments];
            self.cards = vec![1; end / CARD_WORDS];
            self.top = 0;
        } else if end > 0 {
            // Nothing was ever made in an empty one.
            (self.top, self.end) = (end, end);
            self.note_gaps();
        }
    }
}

/// What of some runs holds.
struct Holding {
    /// No two of them have words in common.
    runs: Vec<Run>,
    covered: Covered,
}

impl Holding {
    fn of(runs: &[Run]) -> Holding {
        let mut holding = Holding {
            runs: Vec::with_capacity(runs.len()),
            covered: Covered::default(),
        };
        for run in runs.iter().rev() {
            let all = run.first..run.end();
            holding
                .covered
                .add(all, |part| holding.runs.push(run.part(&part)));
        }
        holding
    }

    /// How many words of the first so many were given.
    fn given(&self, end: usize) -> usize {
        let ranges = self.covered.0.range(..end);
        ranges.map(|(first, behind)| end.min(*behind) - first).sum()
    }

    /// Up to which word all were given, but perhaps for the first, which no object lies at.
    fn known(&self) -> usize {
        let first = self.covered.0.first_key_value();
        first
            .filter(|(first, _)| **first <= 1)
            .map_or(0, |(_, behind)| *behind)
    }
}

/// Ranges of words that do not touch each other: where each ends, by where it begins.
#[derive(Default)]
struct Covered(BTreeMap<usize, usize>);

impl Covered {
    /// Adds a range, and says which parts of it are new.
    fn add(&mut self, range: Range<usize>, mut new: impl FnMut(Range<usize>)) {
        if range.is_empty() {
            return;
        }
        let (mut first, mut last, mut at) = (range.start, range.end, range.start);
        if let Some((begin, end)) = self.0.range(..=range.start).next_back()
            && *end >= range.start
        {
            (first, at, last) = (*begin, *end, last.max(*end));
        }
        self.0.remove(&first);
        while let Some((begin, end)) = self.0.range(range.start..=range.end).next() {
            let (begin, end) = (*begin, *end);
            if at < begin {
                new(at..begin);
            }
            self.0.remove(&begin);
            (at, last) = (end, last.max(end));
        }
        if at < range.end {
            new(at..range.end);
        }
        self.0.insert(first, last);
    }
}

/// Pieces of memory, and the runs that they are made of.
#[derive(Default)]
struct Assembly {
    /// Words of each.
    lengths: Vec<usize>,
    /// Runs that hold, each with the piece that it belongs to.
    runs: Vec<(Run, usize)>,
}

impl Assembly {
    /// Adds a piece of so many words. What runs have behind them is of a time when it was larger.
    fn add(&mut self, runs: Vec<Run>, length: usize) {
        let piece = self.lengths.len();
        self.lengths.push(length);
        let inside = runs.into_iter().filter(|run| run.first < length);
        self.runs.extend(inside.map(|run| {
            let words = run.first..run.end().min(length);
            (run.part(&words), piece)
        }));
    }

    /// Makes the pieces. Words that no run has are 0.
    fn make(mut self, blocks: &dyn PageBlocks) -> Result<Vec<Vec<u64>>, String> {
        self.runs.sort_unstable_by_key(|(run, _)| run.block);
        let mut pieces: Vec<Vec<u64>> = self.lengths.iter().map(|words| vec![0; *words]).collect();
        let chunks: Vec<Vec<Mutex<&mut [u64]>>> = pieces
            .iter_mut()
            .map(|words| words.chunks_mut(CHUNK_WORDS).map(Mutex::new).collect())
            .collect();
        let mut numbers: Vec<u32> = self.runs.iter().map(|(run, _)| run.block).collect();
        numbers.dedup();
        let is_short = AtomicBool::new(false);
        blocks.show(&numbers, &|number, content| {
            let start = self.runs.partition_point(|(run, _)| run.block < number);
            let of_block = self.runs[start..].iter();
            for (run, piece) in of_block.take_while(|(run, _)| run.block == number) {
                let bytes = content.get(run.offset as usize..);
                match bytes.and_then(|bytes| bytes.get(..8 * run.count)) {
                    Some(bytes) => write(&chunks[*piece], run.first, bytes),
                    None => is_short.store(true, Ordering::Relaxed),
                }
            }
        })?;
        if is_short.into_inner() {
            return Err("a block has fewer pages than before".to_owned());
        }
        drop(chunks);
        Ok(pieces)
    }
}

/// Writes words to where they belong.
fn write(chunks: &[Mutex<&mut [u64]>], mut first: usize, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (chunk, at) = (first / CHUNK_WORDS, first % CHUNK_WORDS);
        let mut words = chunks[chunk].lock().unwrap_or_else(PoisonError::into_inner);
        let words = &mut words[at..];
        let (here, behind) = bytes.split_at(bytes.len().min(8 * words.len()));
        let (here, _) = here.as_chunks();
        for (word, bytes) in words.iter_mut().zip(here) {
            *word = u64::from_le_bytes(*bytes);
        }
        (first, bytes) = (first + here.len(), behind);
    }
}

/// A number of words.
fn number(input: &mut Reader<'_>) -> Decoded<usize> {
    let number = input.varint()?;
    usize::try_from(number).map_err(|_| input.error(format!("{number} words")))
}

/// A run of a block, whose bytes are passed by.
fn run(block: u32, input: &mut Reader<'_>) -> Decoded<Run> {
    let first = number(input)?;
    let count = input.count(8)?;
    let offset = input.offset();
    input.take(count * 8)?;
    if u32::try_from(input.offset()).is_err() {
        return Err(input.error("a block of more than 4 GiB"));
    }
    Ok(Run {
        first,
        count,
        block,
        offset: offset as u32,
    })
}

#[cfg(test)]
mod tests {
    use pw_isa::wire::Writer;

    use super::*;

    /// Numbers below an end, without a pattern.
    fn numbers() -> impl FnMut(usize) -> usize {
        let mut state = 7u64;
        move |end| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % end
        }
    }

    #[test]
    fn of_runs_that_overlap_the_later_ones_hold_and_no_word_is_written_twice() {
        const WORDS: usize = 300;
        let mut below = numbers();
        for _ in 0..500 {
            let mut model = [None; WORDS];
            let runs: Vec<Run> = (0..below(12))
                .map(|block| {
                    let first = below(WORDS);
                    let count = below(WORDS + 1 - first);
                    model[first..first + count].fill(Some(block));
                    Run {
                        first,
                        count,
                        block: block as u32,
                        offset: 8 * first as u32,
                    }
                })
                .collect();
            let holding = Holding::of(&runs);
            let mut found = [None; WORDS];
            for run in &holding.runs {
                assert_eq!(run.offset as usize, 8 * run.first);
                for word in &mut found[run.first..run.end()] {
                    assert_eq!(word.replace(run.block as usize), None);
                }
            }
            assert_eq!(found, model);
            let end = below(WORDS + 1);
            assert_eq!(holding.given(end), model[..end].iter().flatten().count());
            let mut kept = Runs::default();
            for run in (0..RUNS_MIN).flat_map(|_| &runs) {
                kept.push(*run);
                assert!(kept.all.len() <= 2 * RUNS_MIN.max(2 * runs.len()));
            }
            let of_kept = Holding::of(&kept.all);
            let mut again = [None; WORDS];
            for run in &of_kept.runs {
                again[run.first..run.end()].fill(Some(run.block as usize));
            }
            assert_eq!(again, model);
            let known = model.iter().skip(1).position(Option::is_none);
            let known = known.map_or(WORDS, |place| place + 1);
            let is_known = model[0].is_some() || known > 1;
            assert_eq!(holding.known(), if is_known { known } else { 0 });
        }
    }

    /// A run of words of the arena, each of which is its place times ten and something.
    fn run(first: usize, count: usize, more: u64) -> Vec<u8> {
        let mut out = Writer::default();
        out.u8(WORDS);
        out.varint(first as u64);
        out.varint(count as u64);
        (first..first + count).for_each(|word| out.u64(10 * word as u64 + more));
        out.bytes
    }

    fn pages(blocks: &[Vec<u8>]) -> Pages {
        let mut pages = Pages::default();
        for (number, block) in (0..).zip(blocks) {
            let added = pages.add(number, &mut Reader::new(block));
            added.expect("they are runs");
        }
        pages
    }

    #[test]
    fn words_that_were_not_given_are_nothing_and_those_behind_the_end_are_left_out() {
        let segment = SEGMENT_WORDS;
        let blocks = vec![
            [run(1, segment, 1), run(2 * segment, 9 * CARD_WORDS, 1)].concat(),
            run(CARD_WORDS, 2 * CARD_WORDS, 2),
        ];
        let arena = Arena::from_pages(&pages(&blocks), 2 * segment, &blocks);
        let arena = arena.expect("enough was given");
        assert_eq!(arena.words.len(), 2 * segment);
        for (place, word) in arena.words.iter().enumerate() {
            let expected = match place {
                0 => 0,
                _ if (CARD_WORDS..3 * CARD_WORDS).contains(&place) => 10 * place as u64 + 2,
                _ if place <= segment => 10 * place as u64 + 1,
                _ => 0,
            };
            assert_eq!(*word, expected, "word {place}");
        }
    }

    #[test]
    fn blocks_that_have_become_shorter_or_are_not_there_are_refused() {
        let blocks = vec![run(1, 100, 1), run(CARD_WORDS, 100, 1)];
        let pages = pages(&blocks);
        let end = 101;
        assert!(Arena::from_pages(&pages, end, &blocks).is_ok());
        let shorter = vec![run(1, 99, 1), blocks[1].clone()];
        let refused = Arena::from_pages(&pages, end, &shorter).map(|_| ());
        assert_eq!(
            refused,
            Err("a block has fewer pages than before".to_owned())
        );
        let refused = Arena::from_pages(&pages, end, &Vec::new()).map(|_| ());
        assert_eq!(refused, Err("there is no such block".to_owned()));
        // Of what does not hold nothing is looked at.
        let first = vec![blocks[0].clone()];
        assert!(Arena::from_pages(&pages, end, &first).is_ok());
    }
}
