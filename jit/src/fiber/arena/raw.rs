//! Objects without bounds checks: what the fast tiers read and write in place.
//!
//! # Why the unsafe code is sound
//! Every function here is given the offset of an object of the kind it names, as a value of that kind
//! without the mark of a constant has it. Collections, images and parcels keep that true (images by
//! checking each value they restore), and so does this arena's safe code, which makes objects:
//! 1. An object's words lie within `words`, below the end of its block or segment.
//! 2. A buffer word names a live buffer: the offset of one in `words`, or the slot of one outside.
//! 3. The buffer of a vector has room for its length, that of Bytes or a text for its length in bytes. How much room one has
//!    says its header in the arena, the number of its words outside.
//! 4. The entries of a map have room for as many as are used, deleted ones included.
//! 5. `end` does not lie behind the end of `words`.
//! 6. While the arena has cards, it has one for each page of `words`, and a buffer outside has one for
//!    each page of its own.
//! 7. Only the buffers of texts may have words that others have, too. What writes to them without checks
//!    makes them their own before.

#![allow(
    unsafe_code,
    reason = "objects are where values say they are; the argument stands above"
)]

mod elements;
mod maps;
mod storage;
mod texts;

use std::sync::OnceLock;

pub(super) use storage::Storage;

use super::buffer::Outside;
use super::object::{OUTSIDE, OUTSIDE_WORDS_MIN, ObjectKind, extra, pair_header};
use super::{Arena, CARD_WORDS};
use crate::value::Value;
use pw_isa::{Kind, cost};

/// Where the parts of an arena are, for native code. Good until something is allocated.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) words: *mut u64,
    /// Null while the arena has no cards.
    pub(crate) cards: *mut u8,
    /// The slots of the buffers outside it.
    pub(crate) outside: *const u8,
}

/// How the slot of a buffer outside the arena is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutsideLayout {
    pub(crate) size: usize,
    /// Where the address of its words stands in it.
    pub(crate) words: usize,
    /// Where it says how many they are.
    pub(crate) length: usize,
    /// Where the address of its cards stands in it.
    pub(crate) cards: usize,
    /// Where it says that one of them may be marked.
    pub(crate) is_touched: usize,
}

impl OutsideLayout {
    /// Looked up in a slot of its own: the layout of a `Vec` is the library's.
    pub(crate) fn get() -> OutsideLayout {
        static LAYOUT: OnceLock<OutsideLayout> = OnceLock::new();
        *LAYOUT.get_or_init(|| {
            let mut arena = Arena::new();
            arena.new_buffer(OUTSIDE_WORDS_MIN);
            let slot = &arena.outside[0];
            let Some(outside) = slot else {
                unreachable!("a large buffer is outside");
            };
            let [words, length, cards, is_touched] = outside.places();
            let start = &raw const *slot as usize;
            OutsideLayout {
                size: size_of::<Option<Outside>>(),
                words: words - start,
                length: length - start,
                cards: cards - start,
                is_touched: is_touched - start,
            }
        })
    }
}

impl Outside {
    /// Where in memory the address of its words and their number stand, the address of its cards, and whether one of these may be
    /// marked.
    fn places(&self) -> [usize; 4] {
        let cards = (&raw const self.cards).cast::<usize>();
        const { assert!(size_of::<Box<[u8]>>() == 2 * size_of::<usize>()) };
        let mut places = (0..2).map(|place| cards.wrapping_add(place));
        // SAFETY: a boxed slice is two words without padding, as was just checked.
        let found = places.find(|place| unsafe { place.read() } == self.cards.as_ptr() as usize);
        let Some(cards) = found else {
            unreachable!("a boxed slice keeps its address");
        };
        let is_touched = &raw const self.is_touched;
        let [start, length] = self.storage.places();
        [start, length, cards as usize, is_touched as usize]
    }

    /// Where its words and their cards are, to be written, which are shared with nobody (7 of the module's head).
    #[inline(always)]
    fn words_and_cards(&mut self) -> (*mut u64, *mut u8) {
        self.is_touched = true;
        (self.storage.start_mut(), self.cards.as_mut_ptr())
    }
}

/// The words of a buffer, with what marks a write to them.
#[derive(Clone, Copy)]
struct Buffer {
    words: *mut u64,
    cards: *mut u8,
    /// Where `words` stands among the words that `cards` counts.
    first: usize,
    has_cards: bool,
}

impl Buffer {
    /// Notes that a word is about to change.
    ///
    /// # Safety
    /// The buffer has a word `at`.
    #[inline(always)]
    unsafe fn mark(self, at: usize) {
        if self.has_cards {
            let card = self.cards.wrapping_add((self.first + at) / CARD_WORDS);
            // SAFETY: 6 of the module's head.
            unsafe { *card = 1 };
        }
    }
}

impl Arena {
    /// Where its parts are.
    #[inline]
    pub(crate) fn addresses(&self) -> Addresses {
        let cards = if self.cards.is_empty() {
            std::ptr::null_mut()
        } else {
            self.cards.as_ptr().cast_mut()
        };
        Addresses {
            words: self.words.as_ptr().cast_mut(),
            cards,
            outside: self.outside.as_ptr().cast(),
        }
    }

    /// Where the next object goes, and the offset that objects made in place may not reach, when `logical`
    /// bytes at most are allocated. Their logical size must be the size they take up.
    #[inline]
    pub(crate) fn room_in_place(&self, logical: u64) -> (u64, u64) {
        let top = self.top as u64 * 8;
        (
            top,
            (self.end as u64 * 8)
                .min(top.saturating_add(logical))
                .max(top),
        )
    }

    /// Takes over objects that were made in place, up to `top`, perhaps with gaps in between where none was written.
    pub(crate) fn made_in_place(&mut self, top: u64, objects: u64, has_gaps: bool) {
        self.count(top - self.top as u64 * 8);
        self.top = top as usize / 8;
        self.statistics.allocations += objects;
        if has_gaps {
            self.note_gaps();
        }
    }

    /// A word of an object.
    ///
    /// # Safety
    /// An object at `offset` has a word `at`.
    #[inline(always)]
    unsafe fn object_word(&self, offset: u64, at: usize) -> u64 {
        debug_assert!(offset as usize / 8 + at < self.words.len());
        let place = self.words.as_ptr().wrapping_byte_add(offset as usize);
        // SAFETY: 1 of the module's head.
        unsafe { *place.wrapping_add(at) }
    }

    /// Room for a new object of `N` words with this content: its offset. `None`, and nothing happens, where
    /// room has to be found first.
    #[inline(always)]
    fn new_in_place<const N: usize>(&mut self, logical: u64, content: [u64; N]) -> Option<u64> {
        if self.top + N > self.end {
            return None;
        }
        let index = self.allocate(N, logical);
        let place = self.words.as_mut_ptr().wrapping_add(index);
        // SAFETY: 5 of the module's head; the object ends at the new top.
        unsafe { *place.cast::<[u64; N]>() = content };
        Some(index as u64 * 8)
    }

    /// A new pair, where there is room for it.
    #[inline(always)]
    pub(crate) fn pair_in_place(&mut self, car: Value, cdr: Value) -> Option<Value> {
        let content = [pair_header(car.tag, cdr.tag), car.bits, cdr.bits];
        let offset = self.new_in_place(cost::PAIR_BYTES, content)?;
        Some(Value::object(Kind::Pair, offset))
    }

    /// A new cell, where there is room for it.
    #[inline(always)]
    pub(crate) fn cell_in_place(&mut self, value: Value) -> Option<Value> {
        let content = [cell_header(value.tag), value.bits];
        let offset = self.new_in_place(cost::CELL_BYTES, content)?;
        Some(Value::object(Kind::Cell, offset))
    }

    /// The words of a buffer, to be read.
    ///
    /// # Safety
    /// The word names a buffer.
    #[inline(always)]
    unsafe fn buffer_words(&self, buffer: u64) -> *const u64 {
        if buffer & OUTSIDE == 0 {
            return self.words.as_ptr().wrapping_byte_add(buffer as usize + 16);
        }
        // SAFETY: 2 of the module's head.
        let outside = unsafe { self.outside.get_unchecked((buffer & !OUTSIDE) as usize) };
        // SAFETY: the same; slots are empty only while no word names them.
        unsafe { outside.as_ref().unwrap_unchecked() }
            .storage
            .start()
    }

    /// The words of a buffer, to be written.
    ///
    /// # Safety
    /// The word names a buffer.
    #[inline(always)]
    unsafe fn buffer_to_write(&mut self, buffer: u64) -> Buffer {
        if buffer & OUTSIDE == 0 {
            return Buffer {
                words: self
                    .words
                    .as_mut_ptr()
                    .wrapping_byte_add(buffer as usize + 16),
                cards: self.cards.as_mut_ptr(),
                first: buffer as usize / 8 + 2,
                has_cards: !self.cards.is_empty(),
            };
        }
        let slot = (buffer & !OUTSIDE) as usize;
        // SAFETY: 2 of the module's head.
        let outside = unsafe { self.outside.get_unchecked_mut(slot) };
        // SAFETY: the same; slots are empty only while no word names them.
        let (words, cards) = unsafe { outside.as_mut().unwrap_unchecked() }.words_and_cards();
        Buffer {
            words,
            cards,
            first: 0,
            has_cards: true,
        }
    }

    /// Where a value's two words stand in a buffer, which are about to change.
    ///
    /// # Safety
    /// The word names a buffer that has a word `at`, an even number, and the next.
    #[inline(always)]
    unsafe fn value_to_write(&mut self, buffer: u64, at: usize) -> *mut u64 {
        if buffer & OUTSIDE == 0 {
            let index = buffer as usize / 8 + 2 + at;
            // SAFETY: the words of a buffer in the arena are words of the arena.
            unsafe { self.mark_two(index) };
            return self.words.as_mut_ptr().wrapping_add(index);
        }
        let slot = (buffer & !OUTSIDE) as usize;
        // SAFETY: 2 of the module's head.
        let outside = unsafe { self.outside.get_unchecked_mut(slot) };
        // SAFETY: the same; slots are empty only while no word names them.
        let outside = unsafe { outside.as_mut().unwrap_unchecked() };
        // One address after the other takes fewer machine registers.
        let (_, cards) = outside.words_and_cards();
        // SAFETY: 6 of the module's head; both words lie on one card.
        unsafe { *cards.wrapping_add(at / CARD_WORDS) = 1 };
        let (words, _) = outside.words_and_cards();
        words.wrapping_add(at)
    }

    /// Notes that two words in a row are about to change.
    ///
    /// # Safety
    /// `words` has them.
    #[inline(always)]
    unsafe fn mark_two(&mut self, index: usize) {
        if !self.cards.is_empty() {
            let cards = self.cards.as_mut_ptr();
            // SAFETY: 6 of the module's head.
            unsafe { *cards.wrapping_add(index / CARD_WORDS) = 1 };
            // SAFETY: the same.
            unsafe { *cards.wrapping_add((index + 1) / CARD_WORDS) = 1 };
        }
    }

    /// The 16 kind-specific bits of an object's header.
    ///
    /// # Safety
    /// An object stands at `offset`.
    #[inline(always)]
    unsafe fn object_extra(&self, offset: u64) -> u16 {
        // Read alone: the header takes a machine register and two instructions more.
        const BYTE: usize = if cfg!(target_endian = "little") { 2 } else { 4 };
        const { assert!(extra(0xabcd_0000) == 0xabcd) };
        let header = self.words.as_ptr().wrapping_byte_add(offset as usize);
        // SAFETY: 1 of the module's head; the bits lie within the header.
        unsafe { *header.wrapping_byte_add(BYTE).cast::<u16>() }
    }

    /// The number of elements of a vector.
    ///
    /// # Safety
    /// A vector of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn length_of_vector(&self, offset: u64) -> u32 {
        // SAFETY: a vector has three words.
        (unsafe { self.object_word(offset, 1) }) as u32
    }

    /// The number of bytes of a text.
    ///
    /// # Safety
    /// A text of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn length_of_text(&self, offset: u64) -> u32 {
        // SAFETY: a text has two words and its content.
        (unsafe { self.object_word(offset, 1) }) as u32
    }

    /// The byte at a place of Bytes; `None` when there is none.
    ///
    /// # Safety
    /// Bytes of this arena stand at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn byte(&self, offset: u64, place: u64) -> Option<u8> {
        // SAFETY: Bytes have three words.
        if place >= unsafe { self.object_word(offset, 1) } {
            return None;
        }
        // SAFETY: the same.
        let buffer = unsafe { self.object_word(offset, 2) };
        // SAFETY: there is a byte, so there is a buffer.
        let bytes = unsafe { self.buffer_words(buffer) }.cast::<u8>();
        // SAFETY: 3 of the module's head.
        Some(unsafe { *bytes.wrapping_add(place as usize) })
    }

    /// Replaces a byte; false when there is none at the place.
    ///
    /// # Safety
    /// Bytes of this arena stand at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn set_byte(&mut self, offset: u64, place: u64, byte: u8) -> bool {
        // SAFETY: Bytes have three words.
        if place >= unsafe { self.object_word(offset, 1) } {
            return false;
        }
        // SAFETY: the same.
        let buffer = unsafe { self.object_word(offset, 2) };
        // SAFETY: there is a byte, so there is a buffer.
        let buffer = unsafe { self.buffer_to_write(buffer) };
        // SAFETY: 3 of the module's head.
        unsafe { buffer.mark(place as usize / 8) };
        let bytes = buffer.words.cast::<u8>();
        // SAFETY: the same.
        unsafe { *bytes.wrapping_add(place as usize) = byte };
        true
    }

    /// The first value of a pair.
    ///
    /// # Safety
    /// A pair of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn first(&self, offset: u64) -> Value {
        // SAFETY: a pair has three words.
        let tags = unsafe { self.object_word(offset, 0) };
        Value {
            tag: tags >> 16 & 0xffff,
            // SAFETY: the same.
            bits: unsafe { self.object_word(offset, 1) },
        }
    }

    /// The second value of a pair.
    ///
    /// # Safety
    /// A pair of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn second(&self, offset: u64) -> Value {
        // SAFETY: a pair has three words.
        let tags = unsafe { self.object_word(offset, 0) };
        Value {
            tag: tags >> 32 & 0xffff,
            // SAFETY: the same.
            bits: unsafe { self.object_word(offset, 2) },
        }
    }

    /// The value in a cell.
    ///
    /// # Safety
    /// A cell of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn cell_value(&self, offset: u64) -> Value {
        // SAFETY: a cell has two words.
        let head = unsafe { self.object_word(offset, 0) };
        Value {
            tag: head >> 16 & 0xffff,
            // SAFETY: the same.
            bits: unsafe { self.object_word(offset, 1) },
        }
    }

    /// Replaces the value in a cell.
    ///
    /// # Safety
    /// A cell of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn set_cell_value(&mut self, offset: u64, value: Value) {
        let index = offset as usize / 8;
        debug_assert!(index + 1 < self.words.len());
        // SAFETY: a cell has two words.
        unsafe { self.mark_two(index) };
        let place = self.words.as_mut_ptr().wrapping_add(index);
        // SAFETY: the same; 1 of the module's head.
        unsafe { *place = cell_header(value.tag) };
        // SAFETY: the same.
        unsafe { *place.wrapping_add(1) = value.bits };
    }

    /// The program and function of a closure.
    ///
    /// # Safety
    /// A closure of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn function_of_closure(&self, offset: u64) -> (u32, u32) {
        // SAFETY: a closure has two words and its captures.
        let halves: *const u32 = self
            .words
            .as_ptr()
            .wrapping_byte_add(offset as usize + 8)
            .cast();
        let (low, high) = if cfg!(target_endian = "little") {
            (0, 1)
        } else {
            (1, 0)
        };
        // Each by itself: to take a word apart needs one more machine register.
        // SAFETY: the same.
        let program = unsafe { *halves.wrapping_add(high) };
        // SAFETY: the same.
        (program, unsafe { *halves.wrapping_add(low) })
    }

    /// A captured value; `None` when the closure has none at the place.
    ///
    /// # Safety
    /// A closure of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn captured(&self, offset: u64, place: u32) -> Option<Value> {
        // SAFETY: a closure has two words and its captures.
        let count = extra(unsafe { self.object_word(offset, 0) });
        if place >= u32::from(count) {
            return None;
        }
        // SAFETY: the same, and it has this one.
        Some(unsafe { self.captured_before(offset, place + 1) })
    }

    /// The captured value before a place.
    ///
    /// # Safety
    /// A closure of this arena stands at `offset` and has a captured value before the place.
    #[inline(always)]
    pub(crate) unsafe fn captured_before(&self, offset: u64, place: u32) -> Value {
        let at = 2 * place as usize;
        Value {
            // SAFETY: a closure has two words and its captures.
            tag: unsafe { self.object_word(offset, at) },
            // SAFETY: the same.
            bits: unsafe { self.object_word(offset, at + 1) },
        }
    }
}

/// The first word of a cell.
#[inline(always)]
fn cell_header(tag: u64) -> u64 {
    ObjectKind::Cell as u64 | tag << 16
}
