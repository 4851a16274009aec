//! What an arena says about itself.

use super::Arena;
use super::object::{FILLER, ObjectKind, size_words};
use super::{SEGMENT_WORDS, buffer::Outside};

/// A look at an arena. Physical figures; they depend on the layout and are not part of the state.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ArenaReport {
    /// Bytes that objects and buffers take, live or dead.
    pub used_bytes: u64,
    /// Bytes held from the operating system.
    pub held_bytes: u64,
    /// Logical bytes: found live by the last collection, and allocated since.
    pub logical_bytes: u64,
    /// Objects by kind, live or dead, by falling number. Those in parts of the arena where native code has left
    /// gaps are not counted before a collection has closed these.
    pub objects: Vec<(&'static str, u64)>,
    /// The part of used bytes that the last collection left dead in place, from 0 to 1.
    pub fragmentation: f64,
    /// Segments in use; 0 for a single block.
    pub segments: u64,
    /// Buffers outside the moving space.
    pub outside_buffers: u64,
}

impl Arena {
    /// Walks the arena and reports.
    pub fn report(&self) -> ArenaReport {
        let mut counts = [0u64; 13];
        let mut used_words = 0;
        for (start, end) in self.used_ranges() {
            let mut index = start;
            while index < end && !self.has_gaps_at(start) {
                let header = self.words[index];
                counts[ObjectKind::of(header) as usize] += u64::from(header != FILLER);
                index += size_words(header);
            }
            used_words += end - start;
        }
        let outside = self.outside_words();
        let mut objects: Vec<_> = NAMES
            .iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (*name, count))
            .collect();
        objects.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        ArenaReport {
            used_bytes: (used_words + outside) as u64 * 8,
            held_bytes: self.held_bytes(),
            logical_bytes: self.counters.live.saturating_add(self.counters.allocated),
            objects,
            fragmentation: self.fragmentation(),
            segments: self
                .segments
                .iter()
                .filter(|segment| !segment.is_free())
                .count() as u64,
            outside_buffers: self.outside.iter().flatten().count() as u64,
        }
    }

    /// Bytes held from the operating system.
    pub fn held_bytes(&self) -> u64 {
        (self.words.capacity() + self.outside_words()) as u64 * 8
    }

    fn outside_words(&self) -> usize {
        let buffers = self.outside.iter().flatten();
        buffers.map(Outside::physical_words).sum()
    }

    /// Whether the objects of the block or segment with this word cannot be walked through.
    fn has_gaps_at(&self, index: usize) -> bool {
        let segment = self.segments.get(index / SEGMENT_WORDS);
        segment.map_or_else(|| self.block_has_gaps(), |segment| segment.has_gaps)
    }

    /// Where objects lie, as ranges of words.
    pub(super) fn used_ranges(&self) -> Vec<(usize, usize)> {
        if self.is_small() {
            return vec![(1.min(self.top), self.top)];
        }
        let current = if self.end > 0 {
            Some((self.end - 1) / SEGMENT_WORDS)
        } else {
            None
        };
        let ranges = self
            .segments
            .iter()
            .enumerate()
            .filter(|(_, segment)| !segment.is_free());
        ranges
            .map(|(number, segment)| {
                let start = number * SEGMENT_WORDS;
                let end = if current == Some(number) {
                    self.top
                } else {
                    start + segment.used
                };
                (start.max(1), end.max(1))
            })
            .collect()
    }

    /// Dead words in place that the last collection knew of, as a part of all words in use.
    fn fragmentation(&self) -> f64 {
        let old = self.segments.iter().filter(|segment| segment.live > 0);
        let dead: usize = old
            .map(|segment| segment.used.saturating_sub(segment.live))
            .sum();
        let used: usize = self
            .used_ranges()
            .iter()
            .map(|(start, end)| end - start)
            .sum();
        if used == 0 {
            0.0
        } else {
            dead as f64 / used as f64
        }
    }
}

const NAMES: [&str; 13] = [
    "",
    "pair",
    "cell",
    "closure",
    "text",
    "long text",
    "bytes",
    "vector",
    "map",
    "error",
    "capability",
    "buffer",
    "forward",
];
