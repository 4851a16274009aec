//! Bytes of texts, copied without a look at the words that they lie in.
//!
//! The numbers in safety arguments are those of [the module above](super).

use std::ptr::copy_nonoverlapping;
use std::slice;

use super::super::buffer::CARD_BYTES;
use super::super::object::{OUTSIDE, ObjectKind, halves, header, join};
use super::super::text::{Piece, Source};
use super::Arena;
use crate::value::Value;
use pw_isa::{Kind, cost};

impl Arena {
    /// The bytes of a text, and the number of its characters.
    ///
    /// # Safety
    /// A text of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn text_at(&self, offset: u64) -> (&[u8], u32) {
        // SAFETY: a text has two words and its content.
        let (length, characters) = halves(unsafe { self.object_word(offset, 1) });
        // SAFETY: the same.
        let start: *const u8 = if ObjectKind::is_long_text(unsafe { self.object_word(offset, 0) }) {
            // SAFETY: a long text has three words.
            let buffer = unsafe { self.object_word(offset, 2) };
            // SAFETY: the last of them names its buffer.
            unsafe { self.buffer_words(buffer) }.cast()
        } else {
            let text = self.words.as_ptr().wrapping_byte_add(offset as usize);
            text.wrapping_add(2).cast()
        };
        // SAFETY: 1 and 3 of the module's head.
        let bytes = unsafe { slice::from_raw_parts(start, length as usize) };
        (bytes, characters)
    }

    /// A new string of two parts that stands in its object, where there is room for that.
    ///
    /// # Safety
    /// The parts belong to texts of this arena or to constants, and are of so many characters of UTF-8, and of few enough bytes.
    #[inline(always)]
    pub(crate) unsafe fn short_string_in_place(
        &mut self,
        characters: u32,
        parts: [*const [u8]; 2],
    ) -> Option<Value> {
        let length = parts[0].len() + parts[1].len();
        let words = 2 + length.div_ceil(8);
        if self.top + words > self.end {
            return None;
        }
        let index = self.allocate(words, cost::short_text_bytes(length as u64));
        let text = self.words.as_mut_ptr().wrapping_add(index);
        // The parts may leave a part of the last word as it is.
        // SAFETY: 5 of the module's head; the object ends at the new top.
        unsafe { *text.wrapping_add(words - 1) = 0 };
        // SAFETY: the same.
        unsafe { *text = header(ObjectKind::Text, 0, words) };
        // SAFETY: the same.
        unsafe { *text.wrapping_add(1) = join(length as u32, characters) };
        let mut to: *mut u8 = text.wrapping_add(2).cast();
        for part in parts {
            // SAFETY: the same: there is room for both, and they are parts of older texts.
            unsafe { copy_nonoverlapping(part.cast(), to, part.len()) };
            to = to.wrapping_add(part.len());
        }
        Some(Value::object(Kind::String, index as u64 * 8))
    }

    /// Where a piece's first byte is.
    #[inline(always)]
    fn place_of_piece(&self, piece: &Piece<'_>) -> *const u8 {
        let end = u64::from(piece.start) + u64::from(piece.length);
        let bytes = match piece.source {
            Source::Other(bytes) => {
                assert!(end <= bytes.len() as u64, "a piece is a part of its text");
                bytes.as_ptr()
            }
            Source::Own(offset) => {
                // SAFETY: a piece of this arena's own is of a text.
                let length = unsafe { self.length_of_text(offset) };
                assert!(end <= u64::from(length), "a piece is a part of its text");
                // SAFETY: the same.
                let head = unsafe { self.object_word(offset, 0) };
                if ObjectKind::is_long_text(head) {
                    // SAFETY: the same; a long text has three words.
                    let buffer = unsafe { self.object_word(offset, 2) };
                    // SAFETY: the same: the last of them names its buffer.
                    unsafe { self.buffer_words(buffer) }.cast()
                } else {
                    let text = self.words.as_ptr().wrapping_byte_add(offset as usize);
                    text.wrapping_add(2).cast()
                }
            }
        };
        bytes.wrapping_add(piece.start as usize)
    }

    /// A new text of two pieces, in an object of its own.
    pub(in super::super) fn new_short_text(
        &mut self,
        kind: Kind,
        left: &Piece<'_>,
        right: &Piece<'_>,
    ) -> Value {
        let length = left.length + right.length;
        assert!(length >= left.length, "a short text is far below 4 GiB");
        let words = 2 + (length as usize).div_ceil(8);
        let index = self.allocate(words, cost::short_text_bytes(u64::from(length)));
        // The pieces may leave a part of the last word as it is.
        self.init(index + words - 1, 0);
        self.init(index, header(ObjectKind::Text, 0, words));
        self.init(index + 1, join(length, left.characters + right.characters));
        let mut to: *mut u8 = self.words.as_mut_ptr().wrapping_add(index + 2).cast();
        for piece in [left, right] {
            let from = self.place_of_piece(piece);
            // SAFETY: both are in place, and the pieces are parts of older texts.
            unsafe { copy_nonoverlapping(from, to, piece.length as usize) };
            to = to.wrapping_add(piece.length as usize);
        }
        Value::object(kind, index as u64 * 8)
    }

    /// Copies a piece to an unused place in a text's buffer.
    pub(in super::super) fn write_piece(&mut self, buffer: u64, at: u32, piece: &Piece<'_>) {
        if piece.length == 0 {
            return;
        }
        let (at, length) = (at as usize, piece.length as usize);
        let room = self.buffer(buffer).len() * 8;
        assert!(at + length <= room, "a buffer has room for its text");
        if buffer & OUTSIDE != 0 {
            // The piece may stand in it: its place is found afterwards.
            self.outside_mut(buffer).storage.make_own();
        }
        let from = self.place_of_piece(piece);
        // SAFETY: the caller's buffer is one of this arena's.
        let into = unsafe { self.buffer_to_write(buffer) };
        let (first, last) = (into.first * 8 + at, into.first * 8 + at + length - 1);
        if into.has_cards {
            for card in first / CARD_BYTES..=last / CARD_BYTES {
                // SAFETY: 6 of the module's head.
                unsafe { *into.cards.wrapping_add(card) = 1 };
            }
        }
        let to = into.words.cast::<u8>().wrapping_add(at);
        // SAFETY: there is room, and what is used of the buffer lies before it.
        unsafe { copy_nonoverlapping(from, to, length) };
    }
}
