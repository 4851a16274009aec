//! Elements of vectors. What needs one finds it first, and then reads or writes it: in between, its caller
//! may find the arena anew instead of keeping a machine register for it.
//!
//! The numbers in safety arguments are those of [the module above](super).

use super::super::object::{Elements, OUTSIDE};
use super::{Arena, CARD_WORDS};
use crate::value::Value;
use pw_isa::Kind;

/// Where an element of a vector stands.
#[derive(Clone, Copy)]
pub(crate) struct ElementPlace {
    /// The vector's [`Elements`].
    elements: u16,
    buffer: u64,
    place: usize,
}

impl ElementPlace {
    /// The tag of all elements, if the vector is flat.
    #[inline(always)]
    pub(crate) fn flat_tag(self) -> Option<u64> {
        (self.elements != Elements::Any as u16).then(|| flat_tag(self.elements))
    }
}

impl Arena {
    /// Where the element of a vector at a place stands; `None` when it has none there.
    ///
    /// # Safety
    /// A vector of this arena stands at `offset`.
    #[inline(always)]
    pub(crate) unsafe fn find_element(&self, offset: u64, place: u64) -> Option<ElementPlace> {
        // SAFETY: a vector has three words.
        let lengths = unsafe { self.object_word(offset, 1) };
        if place >= lengths & 0xffff_ffff {
            return None;
        }
        Some(ElementPlace {
            // SAFETY: the same.
            elements: unsafe { self.object_extra(offset) },
            // SAFETY: the same.
            buffer: unsafe { self.object_word(offset, 2) },
            place: place as usize,
        })
    }

    /// The element at a place.
    ///
    /// # Safety
    /// The place was found in a vector of this arena, and nothing has changed since.
    #[inline(always)]
    pub(crate) unsafe fn element(&self, at: ElementPlace) -> Value {
        // SAFETY: the vector has an element, so it has a buffer.
        let words = unsafe { self.buffer_words(at.buffer) };
        match at.flat_tag() {
            Some(tag) => Value {
                tag,
                // Volatile, so that this read is not made one with the last of the other case.
                // SAFETY: 3 of the module's head.
                bits: unsafe { words.wrapping_add(at.place).read_volatile() },
            },
            None => {
                let words = words.wrapping_add(2 * at.place);
                Value {
                    // SAFETY: 3 of the module's head.
                    tag: unsafe { *words },
                    // SAFETY: the same.
                    bits: unsafe { *words.wrapping_add(1) },
                }
            }
        }
    }

    /// Where tag and bits of an element stand, which are about to change; the vector is not flat.
    ///
    /// # Safety
    /// The place was found in a vector of this arena, and nothing has changed since.
    #[inline(always)]
    pub(crate) unsafe fn element_to_write(&mut self, at: ElementPlace) -> *mut u64 {
        // SAFETY: the vector has the element, so it has a buffer with room for it.
        unsafe { self.value_to_write(at.buffer, 2 * at.place) }
    }

    /// Replaces an element of a flat vector by one of the same kind.
    ///
    /// # Safety
    /// The place was found in a vector of this arena, and nothing has changed since.
    #[inline(always)]
    pub(crate) unsafe fn set_flat_element(&mut self, at: ElementPlace, bits: u64) {
        if at.buffer & OUTSIDE == 0 {
            // In bytes: one number for the word and its card.
            let byte = at.buffer as usize + 16 + at.place * 8;
            // SAFETY: 3 of the module's head: the buffer's words are words of the arena.
            unsafe { *self.words.as_mut_ptr().wrapping_byte_add(byte) = bits };
            if !self.cards.is_empty() {
                let card = self
                    .cards
                    .as_mut_ptr()
                    .wrapping_add(byte / (CARD_WORDS * 8));
                // SAFETY: 6 of the module's head.
                unsafe { *card = 1 };
            }
            return;
        }
        let slot = (at.buffer & !OUTSIDE) as usize;
        // SAFETY: 2 of the module's head.
        let outside = unsafe { self.outside.get_unchecked_mut(slot) };
        // SAFETY: the same; slots are empty only while no word names them.
        let (words, cards) = unsafe { outside.as_mut().unwrap_unchecked() }.words_and_cards();
        // SAFETY: 3 of the module's head.
        unsafe { *words.wrapping_add(at.place) = bits };
        // SAFETY: 6 of the module's head.
        unsafe { *cards.wrapping_add(at.place / CARD_WORDS) = 1 };
    }
}

/// The tag of the elements of a flat vector.
#[inline(always)]
fn flat_tag(elements: u16) -> u64 {
    const { assert!(Kind::Int as u64 + 1 == Kind::Float as u64) };
    const { assert!(Elements::Int as u64 + 1 == Elements::Float as u64) };
    u64::from(elements) + (Kind::Int as u64 - Elements::Int as u64)
}
