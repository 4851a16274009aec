//! Strings and symbols: immutable UTF-8.
//!
//! Up to [`cost::TEXT_INLINE_MAX`] bytes stand in the object. Longer texts have a buffer, and a buffer
//! may serve several texts: appending to the text that ends where its buffer's used part ends writes
//! the new bytes behind it, as long as they fit. So a string that is built by appending is copied only
//! when its buffer doubles.

use pw_isa::{Kind, cost};

use super::Arena;
use super::data::index_of;
use super::object::{ObjectKind, halves, header, join};
use crate::value::Value;

/// What appending takes, decided before anything changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AppendPlan {
    /// Logical bytes of the new objects.
    pub(crate) bytes: u64,
    /// Bytes of text that are copied.
    pub(crate) copied: u64,
    /// The capacity of a new buffer; `None` when the text fits in an object or an existing buffer.
    new_capacity: Option<u32>,
    /// The bytes go behind the left text, in its own buffer.
    in_place: bool,
}

/// Whether a buffer with so many bytes in use may have a capacity: it at most doubles when it grows, and what it then holds stays.
pub(crate) fn may_have_capacity(used: usize, capacity: u32) -> bool {
    let most = (used as u64 * 2).min(cost::LENGTH_MAX);
    capacity as usize >= used && u64::from(capacity) <= most
}

/// Whether a byte of UTF-8 is the first of a character.
pub(crate) fn starts_character(byte: u8) -> bool {
    byte as i8 >= -0x40
}

/// How many characters of UTF-8 begin among these bytes.
pub(crate) fn count_characters(bytes: &[u8]) -> usize {
    // So few that their number fits in a byte: the machine counts many bytes at once.
    const FEW: usize = u8::MAX as usize;
    let count = |few: &[u8]| -> u8 {
        few.iter()
            .map(|byte| u8::from(starts_character(*byte)))
            .sum()
    };
    let counts = bytes.chunks(FEW).map(|few| usize::from(count(few)));
    counts.sum()
}

/// Where the bytes of a new text come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// The text of the same arena at this offset.
    Own(u64),
    /// Another's bytes.
    Other(&'a [u8]),
}

/// A part of a text that goes into a new one, whole characters of UTF-8.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) source: Source<'a>,
    /// The first byte.
    pub(crate) start: u32,
    /// The number of bytes.
    pub(crate) length: u32,
    pub(crate) characters: u32,
}

impl<'a> Piece<'a> {
    /// Nothing.
    const EMPTY: Piece<'static> = Piece {
        source: Source::Other(&[]),
        start: 0,
        length: 0,
        characters: 0,
    };

    /// The whole of a text that is not in the arena.
    pub(crate) fn of(text: &'a str) -> Piece<'a> {
        Piece {
            source: Source::Other(text.as_bytes()),
            start: 0,
            length: text.len() as u32,
            characters: text.chars().count() as u32,
        }
    }
}

impl Arena {
    /// A new text of kind String or Symbol.
    pub fn new_text(&mut self, kind: Kind, text: &str) -> Value {
        self.new_text_of(kind, &Piece::of(text))
    }

    /// A new text with a buffer no larger than it needs, if it needs one.
    pub(crate) fn new_text_of(&mut self, kind: Kind, piece: &Piece<'_>) -> Value {
        let is_long = u64::from(piece.length) > cost::TEXT_INLINE_MAX;
        let capacity = is_long.then_some(piece.length);
        self.join_pieces(kind, piece, &Piece::EMPTY, capacity)
    }

    /// A new text, with a buffer when that has a capacity.
    fn join_pieces(
        &mut self,
        kind: Kind,
        left: &Piece<'_>,
        right: &Piece<'_>,
        capacity: Option<u32>,
    ) -> Value {
        if let Some(capacity) = capacity {
            let length = left.length + right.length;
            let characters = left.characters + right.characters;
            let buffer = self.new_text_buffer(length, capacity, capacity as usize);
            self.write_piece(buffer, 0, left);
            self.write_piece(buffer, left.length, right);
            return self.new_long_text(kind, length, characters, buffer);
        }
        self.new_short_text(kind, left, right)
    }

    /// A new string of one ASCII character.
    pub(crate) fn new_character(&mut self, character: u8) -> Value {
        let index = self.allocate(3, cost::short_text_bytes(1));
        self.init(index, header(ObjectKind::Text, 0, 3));
        self.init(index + 1, join(1, 1));
        self.init(
            index + 2,
            u64::from_le_bytes([character, 0, 0, 0, 0, 0, 0, 0]).to_le(),
        );
        Value::object(Kind::String, index as u64 * 8)
    }

    /// A text that is the first `length` bytes of a buffer.
    pub(crate) fn new_long_text(
        &mut self,
        kind: Kind,
        length: u32,
        characters: u32,
        buffer: u64,
    ) -> Value {
        let index = self.allocate(3, cost::LONG_TEXT_BYTES);
        self.init(index, header(ObjectKind::LongText, 0, 3));
        self.init(index + 1, join(length, characters));
        self.init(index + 2, buffer);
        Value::object(kind, index as u64 * 8)
    }

    /// A text buffer with this content and capacity.
    pub(crate) fn new_text_buffer_of(&mut self, bytes: &[u8], capacity: u32) -> u64 {
        let buffer = self.new_text_buffer(bytes.len() as u32, capacity, capacity as usize);
        self.write_buffer_bytes(buffer, 0, bytes);
        buffer
    }

    /// The bytes of a text, which are UTF-8.
    #[inline]
    pub(crate) fn text_bytes(&self, offset: u64) -> &[u8] {
        let index = index_of(offset);
        let (length, _) = halves(self.word(index + 1));
        if ObjectKind::is_long_text(self.word(index)) {
            return &self.buffer_bytes(self.word(index + 2))[..length as usize];
        }
        let words = &self.words[index + 2..index + 2 + (length as usize).div_ceil(8)];
        &bytemuck::cast_slice(words)[..length as usize]
    }

    /// The text.
    pub(crate) fn text(&self, offset: u64) -> &str {
        match std::str::from_utf8(self.text_bytes(offset)) {
            Ok(text) => text,
            Err(_) => unreachable!("every text was made from a str or checked"),
        }
    }

    /// The number of characters.
    #[inline(always)]
    pub(crate) fn text_characters(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).1
    }

    /// The number of bytes.
    #[inline(always)]
    pub(crate) fn text_length(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).0
    }

    /// The buffer of a long text: its word, bytes in use and capacity.
    pub(crate) fn text_buffer(&self, offset: u64) -> Option<(u64, u32, u32)> {
        let index = index_of(offset);
        if !ObjectKind::is_long_text(self.word(index)) {
            return None;
        }
        let buffer = self.word(index + 2);
        let (used, capacity) = self.text_buffer_state(buffer);
        Some((buffer, used, capacity))
    }

    /// The logical capacity of a text buffer.
    pub(crate) fn text_buffer_capacity(&self, buffer: u64) -> u32 {
        self.text_buffer_state(buffer).1
    }

    /// The bytes in use of a text buffer.
    pub(crate) fn text_buffer_bytes(&self, buffer: u64) -> &[u8] {
        let (used, _) = self.text_buffer_state(buffer);
        &self.buffer_bytes(buffer)[..used as usize]
    }

    /// What appending `added` bytes to a text of `length` bytes takes; `own` is the text's buffer when
    /// it lies in this arena. `None` when the result would be too long.
    pub(crate) fn plan_append(
        length: u32,
        added: u32,
        own: Option<(u64, u32, u32)>,
    ) -> Option<AppendPlan> {
        let total = u64::from(length) + u64::from(added);
        if total > cost::LENGTH_MAX {
            return None;
        }
        if total <= cost::TEXT_INLINE_MAX {
            let bytes = cost::short_text_bytes(total);
            return Some(AppendPlan {
                bytes,
                copied: total,
                new_capacity: None,
                in_place: false,
            });
        }
        let growing = own.is_some_and(|(_, used, _)| used == length);
        if let Some((_, _, capacity)) = own
            && growing
            && total <= u64::from(capacity)
        {
            let bytes = cost::LONG_TEXT_BYTES;
            return Some(AppendPlan {
                bytes,
                copied: u64::from(added),
                new_capacity: None,
                in_place: true,
            });
        }
        let capacity = if growing {
            cost::grown_text_capacity(total).min(cost::LENGTH_MAX)
        } else {
            total
        };
        let bytes = cost::LONG_TEXT_BYTES + cost::BUFFER_BYTES + capacity;
        Some(AppendPlan {
            bytes,
            copied: total,
            new_capacity: Some(capacity as u32),
            in_place: false,
        })
    }

    /// Appends under a plan.
    pub(crate) fn append(
        &mut self,
        plan: AppendPlan,
        left: &Piece<'_>,
        right: &Piece<'_>,
    ) -> Value {
        if let (true, Source::Own(offset)) = (plan.in_place, left.source) {
            let buffer = self.word(index_of(offset) + 2);
            self.write_piece(buffer, left.length, right);
            let length = left.length + right.length;
            self.set_text_buffer_used(buffer, length);
            let characters = left.characters + right.characters;
            return self.new_long_text(Kind::String, length, characters, buffer);
        }
        self.join_pieces(Kind::String, left, right, plan.new_capacity)
    }

    /// A text of at most 8 bytes as a number and a length; two are in the order of their texts.
    #[inline(always)]
    pub(crate) fn tiny_text(&self, offset: u64) -> Option<(u64, u32)> {
        let index = index_of(offset);
        let (length, _) = halves(self.word(index + 1));
        match length {
            0 => Some((0, 0)),
            1..=8 => Some((
                self.word(index + 2).to_be() & u64::MAX << (64 - 8 * length),
                length,
            )),
            _ => None,
        }
    }
}
