//! Whether single objects are what they claim to be, with their buffers.

use pw_isa::{ErrorKind, cost};

use super::super::buffer::TEXT_BUFFER;
use super::super::data::index_of;
use super::super::object::{
    ENTRY_WORDS, Elements, OUTSIDE, OUTSIDE_WORDS_MIN, ObjectKind, extra, halves, size_words,
};
use super::super::text::{count_characters, may_have_capacity, starts_character};
use super::{Admission, Checked};

impl Admission<'_> {
    /// Whether an object of a kind and a size is one by itself, with its buffers.
    pub(super) fn check(&mut self, kind: ObjectKind, index: usize) -> Checked<()> {
        let header = self.arena.words[index];
        let words = size_words(header);
        let right = |is_right: bool| {
            let text = || format!("a {kind:?} of {words} words that is none");
            if is_right { Ok(()) } else { Err(text()) }
        };
        right(header >> 8 & 0xff == 0)?;
        match kind {
            ObjectKind::Pair => right(header >> 48 == 0),
            ObjectKind::Cell => right(header >> 32 == 0),
            ObjectKind::Closure => {
                right(words == 2 + 2 * usize::from(extra(header)))?;
                self.check_closure(index)
            }
            ObjectKind::Text => {
                right(words >= 2)?;
                self.check_text(index, words)
            }
            ObjectKind::LongText => {
                right(words == 3)?;
                let (length, characters) = halves(self.arena.words[index + 1]);
                right(u64::from(length) > cost::TEXT_INLINE_MAX)?;
                let buffer = self.arena.words[index + 2];
                self.text_buffer(buffer)?;
                self.long_texts.push((buffer, length, characters));
                Ok(())
            }
            ObjectKind::Bytes => {
                right(words == 3)?;
                let length = self.arena.words[index + 1];
                right(length <= cost::LENGTH_MAX)?;
                self.buffer(self.arena.words[index + 2], length.div_ceil(8))
            }
            ObjectKind::Vector => {
                let elements = Elements::from_number(u64::from(extra(header)));
                let (length, capacity) = match words {
                    3 => halves(self.arena.words[index + 1]),
                    _ => return right(false),
                };
                let is_flat = elements.is_some_and(|elements| elements != Elements::Any);
                right(length <= capacity && !(capacity == 0 && is_flat))?;
                let each = elements.map_or(0, Elements::words) as u64;
                right(each > 0)?;
                self.buffer(self.arena.words[index + 2], u64::from(length) * each)
            }
            ObjectKind::Map => {
                right(words == 5)?;
                let used = u64::from(halves(self.arena.words[index + 1]).1);
                let capacity = self.arena.words[index + 2];
                right(used <= capacity && capacity <= cost::LENGTH_MAX / 4)?;
                // The index is made anew: it depends on the secret of the code space.
                self.arena.words[index + 4] = 0;
                self.maps.push(index as u64 * 8);
                self.buffer(self.arena.words[index + 3], used * ENTRY_WORDS as u64)
            }
            ObjectKind::Error => {
                let number = u8::try_from(extra(header)).ok();
                right(words == 5 && number.and_then(ErrorKind::from_tag).is_some())
            }
            ObjectKind::Capability => right(words == 5),
            // Nothing but its owner refers to one.
            ObjectKind::Buffer | ObjectKind::Forward => right(false),
        }
    }

    fn check_closure(&self, index: usize) -> Checked<()> {
        let (function, program) = halves(self.arena.words[index + 1]);
        let captures = (program < self.code.len())
            .then(|| self.code.program(program).program())
            .and_then(|program| program.functions.get(function as usize))
            .map(|function| function.captures);
        if captures == Some(extra(self.arena.words[index])) {
            Ok(())
        } else {
            Err(format!(
                "a closure of function {function} of program {program}"
            ))
        }
    }

    fn check_text(&self, index: usize, words: usize) -> Checked<()> {
        let (length, characters) = halves(self.arena.words[index + 1]);
        let bytes: &[u8] = bytemuck::cast_slice(&self.arena.words[index + 2..index + words]);
        let text = bytes.get(..length as usize);
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let rest = bytes.get(length as usize..).unwrap_or_default();
        let is_right = u64::from(length) <= cost::TEXT_INLINE_MAX
            && rest.len() < 8
            && rest.iter().all(|byte| *byte == 0)
            && text.is_some_and(|text| text.chars().count() == characters as usize);
        if is_right {
            Ok(())
        } else {
            Err(format!("a text of {length} bytes that is none"))
        }
    }

    /// Looks at a buffer that has no owner yet and must have room for so many words.
    fn buffer(&mut self, buffer: u64, words: u64) -> Checked<()> {
        let room = if buffer == 0 {
            0
        } else if buffer & OUTSIDE != 0 {
            let slot = self.outside(buffer)?;
            if std::mem::replace(&mut self.buffers[slot], true) {
                return Err(format!("two owners of the buffer in slot {slot}"));
            }
            let outside = self.arena.outside(buffer);
            if outside.is_text() {
                return Err("the buffer of a text that is another's".to_owned());
            }
            outside.physical_words()
        } else {
            self.inside(buffer, 0)?
        };
        if words <= room as u64 {
            Ok(())
        } else {
            Err(format!("a buffer of {room} words for {words}"))
        }
    }

    /// The slot of a buffer outside.
    fn outside(&self, buffer: u64) -> Checked<usize> {
        let slot = usize::try_from(buffer & !OUTSIDE).unwrap_or(usize::MAX);
        match self.arena.outside.get(slot) {
            Some(Some(_)) => Ok(slot),
            _ => Err(format!("no buffer in slot {slot}")),
        }
    }

    /// Takes the words of a buffer inside; the room in it, in words.
    fn inside(&mut self, buffer: u64, flag: u16) -> Checked<usize> {
        let index = usize::try_from(buffer / 8).unwrap_or(usize::MAX);
        if !buffer.is_multiple_of(8) || index >= self.arena.words.len() {
            return Err(format!("a buffer at byte {buffer}"));
        }
        let kind = self.cover(index)?;
        let header = self.arena.words[index];
        let words = size_words(header);
        // Larger ones lie outside, which those rely on who move objects.
        let is_one = kind == ObjectKind::Buffer && (2..2 + OUTSIDE_WORDS_MIN).contains(&words);
        if is_one && extra(header) == flag {
            Ok(words - 2)
        } else {
            Err(format!("no buffer starts at word {index}"))
        }
    }

    /// Looks at the buffer of a text, which may be that of others too.
    fn text_buffer(&mut self, buffer: u64) -> Checked<()> {
        if buffer & OUTSIDE != 0 {
            let slot = self.outside(buffer)?;
            if std::mem::replace(&mut self.buffers[slot], true) {
                // A buffer of something else is none of a text.
                return if self.arena.outside(buffer).is_text() {
                    Ok(())
                } else {
                    Err(format!("two owners of the buffer in slot {slot}"))
                };
            }
            self.logical += self.arena.outside(buffer).logical_bytes();
            if !self.arena.outside(buffer).is_text() {
                return Err("a text in a buffer that is none of a text".to_owned());
            }
        } else {
            let index = index_of(buffer);
            let is_known = buffer.is_multiple_of(8)
                && index < self.arena.words.len()
                && self.started.has(index)
                && self.arena.words[index] as u8 == ObjectKind::Buffer as u8
                && extra(self.arena.words[index]) == TEXT_BUFFER;
            if is_known {
                return Ok(());
            }
            self.inside(buffer, TEXT_BUFFER)?;
            self.logical += self.arena.logical_bytes_at(index);
        }
        let (used, capacity) = self.arena.text_buffer_state(buffer);
        let bytes = self.arena.buffer_bytes(buffer);
        // Who shares one outside may have to copy all of it, and is charged for its capacity.
        let has_room = if buffer & OUTSIDE != 0 {
            bytes.len() == (capacity as usize).next_multiple_of(8)
        } else {
            bytes.len() >= capacity as usize
        };
        if !may_have_capacity(used as usize, capacity) || !has_room {
            return Err(format!(
                "{used} bytes in the buffer of a text, {capacity} fit"
            ));
        }
        match std::str::from_utf8(&bytes[..used as usize]) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("a text: {error}")),
        }
    }

    /// Whether long texts are what their buffers begin with; characters of a buffer are counted once.
    pub(super) fn check_long_texts(&mut self) -> Checked<()> {
        let mut texts = std::mem::take(&mut self.long_texts);
        texts.sort_unstable();
        let mut counted = (0, 0, 0);
        for (buffer, length, characters) in texts {
            // It is UTF-8, which was looked at when it was admitted.
            let text = self.arena.text_buffer_bytes(buffer);
            if counted.0 != buffer {
                counted = (buffer, 0, 0);
            }
            let end = length as usize;
            let is_whole = text.get(end).is_none_or(|byte| starts_character(*byte));
            let Some(added) = text.get(counted.1..end).filter(|_| is_whole) else {
                return Err(format!(
                    "a text of {length} bytes in a buffer of {}",
                    text.len()
                ));
            };
            counted = (buffer, end, counted.2 + count_characters(added));
            if counted.2 != characters as usize {
                return Err(format!(
                    "a text of {characters} characters with {}",
                    counted.2
                ));
            }
        }
        Ok(())
    }
}
