//! Buffers: the variable part of vectors, maps, bytes and long texts.
//!
//! Small ones are objects of the arena; from [`OUTSIDE_WORDS_MIN`] words they live outside and do not
//! move. Those of texts may be shared with others: see [`Storage`].

use std::sync::Arc;

use super::object::{OUTSIDE, OUTSIDE_WORDS_MIN, ObjectKind, halves, header, join, size_words};
use super::raw::Storage;
use super::{Arena, CARD_WORDS};
use pw_isa::cost;

/// Marks the buffer of a text, which counts for itself; other buffers count with their owners.
pub(super) const TEXT_BUFFER: u16 = 1;
/// Words of a buffer in the arena before its content.
pub(crate) const BUFFER_HEAD: usize = 2;
/// The bytes of a card.
pub(super) const CARD_BYTES: usize = CARD_WORDS * 8;
/// A buffer outside grows by one of so many parts of it.
const GROWTH_PART: usize = 8;

/// A buffer outside the arena.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) storage: Storage,
    /// Of a text: bytes in use and logical capacity in bytes; otherwise zero.
    pub(super) used: u32,
    pub(super) capacity: u32,
    /// Found live by the running collection.
    pub(super) marked: bool,
    /// One byte a card: changed since it was last taken.
    pub(super) cards: Box<[u8]>,
    /// Whether there may be such a card: who marks one sets this first. So many buffers that do not change are passed over fast.
    pub(super) is_touched: bool,
}

impl Clone for Outside {
    /// As a clone of the arena, one of which all pages count as changed.
    fn clone(&self) -> Outside {
        Outside::with(self.storage.clone(), self.used, self.capacity)
    }
}

impl Outside {
    /// A buffer of these words; of a text, with its bytes in use and its capacity.
    pub(super) fn of(words: Vec<u64>, text: Option<(u32, u32)>) -> Outside {
        match text {
            Some((used, capacity)) => Outside::with(Storage::of_text(words), used, capacity),
            None => Outside::with(Storage::of(words), 0, 0),
        }
    }

    fn with(storage: Storage, used: u32, capacity: u32) -> Outside {
        Outside {
            cards: vec![1; storage.words().len().div_ceil(CARD_WORDS)].into_boxed_slice(),
            storage,
            used,
            capacity,
            marked: false,
            is_touched: true,
        }
    }

    /// Whether it is the buffer of a text.
    pub(super) fn is_text(&self) -> bool {
        self.storage.is_text()
    }

    pub(super) fn logical_bytes(&self) -> u64 {
        if self.is_text() {
            cost::BUFFER_BYTES + u64::from(self.capacity)
        } else {
            0
        }
    }

    /// Its words and their cards, to be written.
    pub(super) fn writable(&mut self) -> (&mut [u64], &mut [u8]) {
        self.is_touched = true;
        (self.storage.words_mut(), &mut self.cards)
    }

    pub(super) fn physical_words(&self) -> usize {
        self.storage.words().len()
    }

    /// Makes it longer, towards `room` words: those are reserved, but only a part of them is written, and costs memory.
    fn grow(&mut self, room: usize) {
        let known = self.physical_words();
        if room <= known {
            return;
        }
        let step = (known / GROWTH_PART).max(OUTSIDE_WORDS_MIN);
        let length = room.min((known + step).next_multiple_of(CARD_WORDS));
        self.storage.grow(length, room);
        let mut cards = std::mem::take(&mut self.cards).into_vec();
        if let Some(last) = cards.last_mut() {
            *last = 1;
        }
        cards.resize(length.div_ceil(CARD_WORDS), 1);
        self.cards = cards.into_boxed_slice();
        self.is_touched = true;
    }
}

impl Arena {
    /// A zeroed buffer of `words` words, counted with its owner; the word that names it.
    pub(super) fn new_buffer(&mut self, words: usize) -> u64 {
        self.new_any_buffer(words, None)
    }

    /// A buffer for a text of `used` bytes with a logical capacity; the word that names it.
    pub(super) fn new_text_buffer(&mut self, used: u32, capacity: u32, room: usize) -> u64 {
        self.new_any_buffer(room.div_ceil(8), Some((used, capacity)))
    }

    fn new_any_buffer(&mut self, words: usize, text: Option<(u32, u32)>) -> u64 {
        let (used, capacity) = text.unwrap_or_default();
        let logical = text.map_or(0, |(_, capacity)| cost::BUFFER_BYTES + u64::from(capacity));
        if words == 0 && text.is_none() {
            return 0;
        }
        if words < OUTSIDE_WORDS_MIN {
            let size = BUFFER_HEAD + words;
            let index = self.allocate(size, logical);
            let extra = if text.is_some() { TEXT_BUFFER } else { 0 };
            self.init(index, header(ObjectKind::Buffer, extra, size));
            self.init(index + 1, join(used, capacity));
            self.words[index + BUFFER_HEAD..index + size].fill(0);
            return index as u64 * 8;
        }
        self.put_outside(Outside::of(vec![0; words], text))
    }

    fn put_outside(&mut self, outside: Outside) -> u64 {
        self.count(outside.logical_bytes());
        self.statistics.allocations += 1;
        let slot = match self.free.as_mut().and_then(|free| free.outside.pop()) {
            Some(slot) => {
                self.outside[slot as usize] = Some(outside);
                u64::from(slot)
            }
            None => {
                self.outside.push(Some(outside));
                self.outside.len() as u64 - 1
            }
        };
        OUTSIDE | slot
    }

    /// Whether there are, or were, buffers outside.
    pub(crate) fn has_buffers_outside(&self) -> bool {
        !self.outside.is_empty()
    }

    /// The words of a text's buffer outside, to be shared.
    pub(crate) fn share_text_buffer(&self, buffer: u64) -> Option<Arc<Vec<u64>>> {
        let is_outside = buffer & OUTSIDE != 0;
        is_outside.then(|| self.outside(buffer).storage.share())?
    }

    /// A text's buffer outside with words that others have, too: `used` bytes of text, and room for its capacity.
    pub(crate) fn new_shared_text_buffer(
        &mut self,
        words: Arc<Vec<u64>>,
        used: u32,
        capacity: u32,
    ) -> u64 {
        self.put_outside(Outside::with(Storage::shared(words), used, capacity))
    }

    /// Gives a buffer that counts with its owner room for more, towards `room` words and by one value at least, unless it has that
    /// room. The first `used` words stay; what is behind them means nothing. The word that names it from now on.
    ///
    /// A buffer outside stays in its slot: a copy beside it would take as much memory again until the next collection.
    pub(super) fn grow_buffer(&mut self, buffer: u64, used: usize, room: usize) -> u64 {
        if buffer & OUTSIDE != 0 {
            self.statistics.allocations += 1;
            self.outside_mut(buffer).grow(room);
            return buffer;
        }
        if self.buffer(buffer).len() >= room {
            return buffer;
        }
        let kept = self.buffer(buffer)[..used].to_vec();
        let grown = self.new_buffer(room);
        self.buffer_mut(grown, 0, used).copy_from_slice(&kept);
        grown
    }

    /// Frees a buffer that nothing names from now on. One in the arena goes with the next collection.
    pub(super) fn free_buffer(&mut self, buffer: u64) {
        if buffer & OUTSIDE != 0 {
            let slot = buffer & !OUTSIDE;
            self.outside[slot as usize] = None;
            let free = self.free.get_or_insert_default();
            free.outside.push(slot as u32);
        }
    }

    /// The buffer outside the arena that a buffer word names.
    #[inline(always)]
    pub(super) fn outside(&self, buffer: u64) -> &Outside {
        match &self.outside[(buffer & !OUTSIDE) as usize] {
            Some(outside) => outside,
            None => unreachable!("a buffer word names a live buffer"),
        }
    }

    #[inline(always)]
    pub(super) fn outside_mut(&mut self, buffer: u64) -> &mut Outside {
        match &mut self.outside[(buffer & !OUTSIDE) as usize] {
            Some(outside) => outside,
            None => unreachable!("a buffer word names a live buffer"),
        }
    }

    /// The words of a buffer.
    #[inline(always)]
    pub(super) fn buffer(&self, buffer: u64) -> &[u64] {
        if buffer == 0 {
            return &[];
        }
        if buffer & OUTSIDE != 0 {
            return self.outside(buffer).storage.words();
        }
        let index = (buffer / 8) as usize;
        &self.words[index + 2..index + size_words(self.words[index])]
    }

    /// `count` words of a buffer from `start`, to be written.
    pub(super) fn buffer_mut(&mut self, buffer: u64, start: usize, count: usize) -> &mut [u64] {
        if count == 0 {
            return &mut [];
        }
        if buffer & OUTSIDE != 0 {
            let (words, cards) = self.outside_mut(buffer).writable();
            cards[start / CARD_WORDS..=(start + count - 1) / CARD_WORDS].fill(1);
            return &mut words[start..start + count];
        }
        let first = (buffer / 8) as usize + 2 + start;
        if !self.cards.is_empty() {
            self.cards[first / CARD_WORDS..=(first + count - 1) / CARD_WORDS].fill(1);
        }
        &mut self.words[first..first + count]
    }

    /// One word of a buffer, to be written.
    #[inline(always)]
    pub(super) fn buffer_word_mut(&mut self, buffer: u64, at: usize) -> &mut u64 {
        if buffer & OUTSIDE != 0 {
            let (words, cards) = self.outside_mut(buffer).writable();
            cards[at / CARD_WORDS] = 1;
            return &mut words[at];
        }
        let index = (buffer / 8) as usize + 2 + at;
        self.barrier(index);
        &mut self.words[index]
    }

    /// The bytes of a buffer.
    pub(super) fn buffer_bytes(&self, buffer: u64) -> &[u8] {
        bytemuck::cast_slice(self.buffer(buffer))
    }

    /// Writes bytes into a buffer.
    pub(super) fn write_buffer_bytes(&mut self, buffer: u64, start: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let first = start / 8;
        let last = (start + bytes.len() - 1) / 8;
        let words = self.buffer_mut(buffer, first, last - first + 1);
        bytemuck::cast_slice_mut(words)[start - first * 8..][..bytes.len()].copy_from_slice(bytes);
    }

    /// A text buffer's bytes in use and capacity.
    pub(super) fn text_buffer_state(&self, buffer: u64) -> (u32, u32) {
        if buffer & OUTSIDE != 0 {
            let outside = self.outside(buffer);
            (outside.used, outside.capacity)
        } else {
            halves(self.words[(buffer / 8) as usize + 1])
        }
    }

    /// Sets a text buffer's bytes in use.
    pub(super) fn set_text_buffer_used(&mut self, buffer: u64, used: u32) {
        if buffer & OUTSIDE != 0 {
            let outside = self.outside_mut(buffer);
            outside.used = used;
            outside.is_touched = true;
            if let Some(card) = outside.cards.get_mut(used as usize / CARD_BYTES) {
                *card = 1;
            }
        } else {
            let index = (buffer / 8) as usize + 1;
            let (_, capacity) = halves(self.words[index]);
            self.store(index, join(used, capacity));
        }
    }
}
