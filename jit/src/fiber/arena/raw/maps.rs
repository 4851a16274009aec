//! Entries of maps, read and replaced in place.
//!
//! The numbers in safety arguments are those of [the module above](super).

use super::super::object::ENTRY_WORDS;
use super::Arena;
use crate::value::Value;

impl Arena {
    /// Where the words of an entry of a map are, if the map has used it.
    ///
    /// # Safety
    /// A map of this arena stands at `offset`.
    #[inline(always)]
    unsafe fn words_of_entry(&self, offset: u64, entry: u32) -> Option<*const u64> {
        // SAFETY: a map has five words.
        let used = (unsafe { self.object_word(offset, 1) } >> 32) as u32;
        if entry >= used {
            return None;
        }
        // SAFETY: the same.
        let buffer = unsafe { self.object_word(offset, 3) };
        // SAFETY: the map has an entry, so it has a buffer.
        let words = unsafe { self.buffer_words(buffer) };
        Some(words.wrapping_add(entry as usize * ENTRY_WORDS))
    }

    /// The value of an entry of a map if the entry exists and has this very key: tag and bits.
    ///
    /// # Safety
    /// A map of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn value_of_entry(
        &self,
        offset: u64,
        entry: u32,
        key: Value,
    ) -> Option<Value> {
        // SAFETY: the caller says so.
        let words = unsafe { self.words_of_entry(offset, entry) }?;
        // SAFETY: 4 of the module's head.
        let [tag, bits] = unsafe { *words.cast::<[u64; 2]>() };
        if tag != key.tag || bits != key.bits {
            return None;
        }
        // One by one, as they are written: the value may just have been.
        Some(Value {
            // SAFETY: 4 of the module's head.
            tag: unsafe { words.wrapping_add(2).read_volatile() },
            // SAFETY: the same.
            bits: unsafe { words.wrapping_add(3).read_volatile() },
        })
    }

    /// The value of an entry of a map, deleted or not.
    ///
    /// # Safety
    /// A map of this arena stands at `offset` and has used this entry.
    #[inline(always)]
    pub(crate) unsafe fn entry_value(&self, offset: u64, entry: u32) -> Value {
        // SAFETY: a map has five words.
        let buffer = unsafe { self.object_word(offset, 3) };
        // SAFETY: the map has an entry, so it has a buffer.
        let words = unsafe { self.buffer_words(buffer) };
        let words = words.wrapping_add(entry as usize * ENTRY_WORDS + 2);
        Value {
            // SAFETY: 4 of the module's head.
            tag: unsafe { *words },
            // SAFETY: the same.
            bits: unsafe { *words.wrapping_add(1) },
        }
    }

    /// Replaces the value of an entry of a map if the entry exists and has this very key.
    ///
    /// # Safety
    /// A map of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn set_value_of_entry(
        &mut self,
        offset: u64,
        entry: u32,
        key: Value,
        value: Value,
    ) -> bool {
        // SAFETY: a map has five words.
        let used = (unsafe { self.object_word(offset, 1) } >> 32) as u32;
        if entry >= used {
            return false;
        }
        // SAFETY: the same.
        let buffer = unsafe { self.object_word(offset, 3) };
        // SAFETY: the map has an entry, so it has a buffer; 4 of the module's head.
        let place = unsafe { self.value_to_write(buffer, entry as usize * ENTRY_WORDS + 2) };
        // SAFETY: 4 of the module's head: the key stands before the value.
        if unsafe { *place.wrapping_sub(2) } != key.tag {
            return false;
        }
        // SAFETY: the same.
        if unsafe { *place.wrapping_sub(1) } != key.bits {
            return false;
        }
        // SAFETY: the same.
        unsafe { *place = value.tag };
        // SAFETY: the same.
        unsafe { *place.wrapping_add(1) = value.bits };
        true
    }

    /// The key of an entry of a map, or the mark of a deleted one; `None` when there is no such entry.
    ///
    /// # Safety
    /// A map of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn key_of_entry(&self, offset: u64, entry: u32) -> Option<Value> {
        // SAFETY: the caller says so.
        let words = unsafe { self.words_of_entry(offset, entry) }?;
        // SAFETY: 4 of the module's head.
        let [tag, bits] = unsafe { *words.cast::<[u64; 2]>() };
        Some(Value { tag, bits })
    }

    /// Replaces the value of an entry of a map.
    ///
    /// # Safety
    /// A map of this arena stands at `offset` and has used this entry.
    #[inline(always)]
    pub(crate) unsafe fn set_entry_value(&mut self, offset: u64, entry: u32, value: Value) {
        // SAFETY: a map has five words.
        let buffer = unsafe { self.object_word(offset, 3) };
        // SAFETY: the map has an entry, so it has a buffer; 4 of the module's head.
        let place = unsafe { self.value_to_write(buffer, entry as usize * ENTRY_WORDS + 2) };
        // SAFETY: the same.
        unsafe { *place = value.tag };
        // SAFETY: the same.
        unsafe { *place.wrapping_add(1) = value.bits };
    }
}
