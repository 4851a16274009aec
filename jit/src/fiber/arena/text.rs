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
    pub(crate) in_place: bool,
}

impl Arena {
    /// A new text of kind String or Symbol.
    pub fn new_text(&mut self, kind: Kind, text: &str) -> Value {
        let characters = text.chars().count() as u32;
        if text.len() as u64 <= cost::TEXT_INLINE_MAX {
            return self.new_short_text(kind, text, characters);
        }
        let length = text.len() as u32;
        let buffer = self.new_text_buffer(length, length, text.len());
        self.write_buffer_bytes(buffer, 0, text.as_bytes());
        self.new_long_text(kind, length, characters, buffer)
    }

    fn new_short_text(&mut self, kind: Kind, text: &str, characters: u32) -> Value {
        let words = 2 + text.len().div_ceil(8);
        let index = self.allocate(words, cost::short_text_bytes(text.len() as u64));
        self.init(index, header(ObjectKind::Text, 0, words));
        self.init(index + 1, join(text.len() as u32, characters));
        let room = &mut self.words[index + 2..index + words];
        room.fill(0);
        bytemuck::cast_slice_mut(room)[..text.len()].copy_from_slice(text.as_bytes());
        Value::object(kind, index as u64 * 8)
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
        match ObjectKind::of(self.word(index)) {
            ObjectKind::LongText => &self.buffer_bytes(self.word(index + 2))[..length as usize],
            _ => {
                let words = &self.words[index + 2..index + 2 + (length as usize).div_ceil(8)];
                &bytemuck::cast_slice(words)[..length as usize]
            }
        }
    }

    /// The text.
    pub(crate) fn text(&self, offset: u64) -> &str {
        match std::str::from_utf8(self.text_bytes(offset)) {
            Ok(text) => text,
            Err(_) => unreachable!("every text was made from a str or checked"),
        }
    }

    /// The number of characters.
    pub(crate) fn text_characters(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).1
    }

    /// The number of bytes.
    pub(crate) fn text_length(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).0
    }

    /// The buffer of a long text: its word, bytes in use and capacity.
    pub(crate) fn text_buffer(&self, offset: u64) -> Option<(u64, u32, u32)> {
        let index = index_of(offset);
        if ObjectKind::of(self.word(index)) != ObjectKind::LongText {
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

    /// Appends under a plan. `left` is the text's offset when it lies in this arena; the texts are
    /// given as owned copies where they do not.
    pub(crate) fn append(
        &mut self,
        plan: AppendPlan,
        left: &str,
        own: Option<u64>,
        right: &str,
    ) -> Value {
        if let (true, Some(offset)) = (plan.in_place, own) {
            let index = index_of(offset);
            let (length, characters) = halves(self.word(index + 1));
            let buffer = self.word(index + 2);
            self.write_buffer_bytes(buffer, length as usize, right.as_bytes());
            let total = length + right.len() as u32;
            self.set_text_buffer_used(buffer, total);
            let characters = characters + right.chars().count() as u32;
            return self.new_long_text(Kind::String, total, characters, buffer);
        }
        let Some(capacity) = plan.new_capacity else {
            let text = [left, right].concat();
            let characters = text.chars().count() as u32;
            return self.new_short_text(Kind::String, &text, characters);
        };
        let total = (left.len() + right.len()) as u32;
        let buffer = self.new_text_buffer(total, capacity, capacity as usize);
        self.write_buffer_bytes(buffer, 0, left.as_bytes());
        self.write_buffer_bytes(buffer, left.len(), right.as_bytes());
        let characters = left.chars().count() + right.chars().count();
        self.new_long_text(Kind::String, total, characters as u32, buffer)
    }
}
