//! Pairs, vectors and bytes. What has to grow or has a size of its own is done aside.

use super::aside::Aside;
use super::form::Instruction;
use super::hot::{Hot, Stay};
use super::routines;
use crate::value::Value;
use pw_isa::{Kind, cost};

const INT: u64 = Kind::Int as u64;

impl Hot<'_> {
    #[inline(always)]
    pub(super) fn cons(&mut self, i: &Instruction) -> bool {
        if !self.can_allocate(cost::PAIR_BYTES) {
            return false;
        }
        let (car, cdr) = (self.get(i.b), self.get(i.c));
        let pair = self.arena().pair_in_place(car, cdr);
        self.set_found(i.a, pair)
    }

    /// The same where room has to be found.
    pub(super) fn cons_anywhere(&mut self, i: &Instruction) -> bool {
        if !self.can_allocate(cost::PAIR_BYTES) {
            return false;
        }
        let (car, cdr) = (self.get(i.b), self.get(i.c));
        let pair = self.arena().new_pair(car, cdr);
        self.set(i.a, pair)
    }

    #[inline(always)]
    pub(super) fn car(&mut self, i: &Instruction) -> bool {
        let Some(pair) = self.get_if(i.b, Kind::Pair) else {
            return false;
        };
        // SAFETY: a value names an object of its kind.
        let car = unsafe { self.arena().first(pair) };
        self.set(i.a, car)
    }

    #[inline(always)]
    pub(super) fn cdr(&mut self, i: &Instruction) -> bool {
        let Some(pair) = self.get_if(i.b, Kind::Pair) else {
            return false;
        };
        // SAFETY: a value names an object of its kind.
        let cdr = unsafe { self.arena().second(pair) };
        self.set(i.a, cdr)
    }

    /// A part of a pair that may be a constant.
    pub(super) fn part_of_any_pair(
        &mut self,
        i: &Instruction,
        part: impl FnOnce((Value, Value)) -> Value,
    ) -> bool {
        let found = self.heap().pair(self.get(i.b)).map(part);
        self.set_found(i.a, found)
    }

    /// An element of a vector in the arena, which stands in a register.
    #[inline(always)]
    pub(super) fn element(&mut self, vector: u16, index: Option<i64>) -> Option<Value> {
        let vector = self.get_if(vector, Kind::Vector)?;
        self.element_of(vector, index?)
    }

    /// An element of the vector at this offset of the arena.
    #[inline(always)]
    fn element_of(&mut self, vector: u64, index: i64) -> Option<Value> {
        // SAFETY: a value names an object of its kind.
        let place = unsafe { self.arena().find_element(vector, index as u64) }?;
        // SAFETY: it was just found.
        Some(unsafe { self.arena_again().element(place) })
    }

    #[inline(always)]
    pub(super) fn vector_ref(&mut self, i: &Instruction) -> bool {
        let found = self.element(i.b, self.int(i.c));
        self.set_found(i.a, found)
    }

    #[inline(always)]
    pub(super) fn vector_ref_at(&mut self, i: &Instruction) -> bool {
        let found = self.element(i.b, Some(i64::from(i.imm)));
        self.set_found(i.a, found)
    }

    #[inline(always)]
    pub(super) fn vector_ref_offset(&mut self, i: &Instruction) -> bool {
        let index = self.int(i.c).and_then(|c| c.checked_add(i64::from(i.imm)));
        let found = self.element(i.b, index);
        self.set_found(i.a, found)
    }

    /// The element `imm` of the element `c` of `b`.
    #[inline(always)]
    pub(super) fn vector_ref_twice(&mut self, i: &Instruction) -> bool {
        let Some(inner) = self.element(i.b, self.int(i.c)) else {
            return false;
        };
        let (true, Some(index)) = (inner.tag == Kind::Vector as u64, self.int(i.imm as u16)) else {
            return false;
        };
        let found = self.element_of(inner.bits, index);
        self.set_found(i.a, found)
    }

    /// Replaces an element of a vector in the arena, which stands in a register, by a copy of what stands at
    /// `value`. That is found and read last, each half where it is needed: so fewer machine registers are saved.
    #[inline(always)]
    fn set_element(
        &mut self,
        vector: u16,
        index: Option<i64>,
        value: impl Fn(&Self) -> *const Value,
    ) -> bool {
        let (Some(vector), Some(index)) = (self.get_if(vector, Kind::Vector), index) else {
            return false;
        };
        // SAFETY: a value names an object of its kind.
        let Some(place) = (unsafe { self.arena().find_element(vector, index as u64) }) else {
            return false;
        };
        if let Some(tag) = place.flat_tag() {
            let value = value(self);
            // SAFETY: a value stands there.
            if unsafe { (*value).tag } != tag {
                return false;
            }
            // SAFETY: the same.
            let bits = unsafe { (*value).bits };
            // SAFETY: the place was just found.
            unsafe { self.arena_again().set_flat_element(place, bits) };
            return true;
        }
        // SAFETY: the same.
        let element = unsafe { self.arena_again().element_to_write(place) };
        let value = value(self).cast::<u64>();
        for half in 0..2 {
            // SAFETY: a value stands there, in two words.
            let word = unsafe { value.wrapping_add(half).read_volatile() };
            // SAFETY: the element has two words, too.
            unsafe { *element.wrapping_add(half) = word };
        }
        true
    }

    #[inline(always)]
    pub(super) fn vector_set(&mut self, i: &Instruction) -> bool {
        self.set_element(i.a, self.int(i.b), |hot| hot.register(i.c))
    }

    #[inline(always)]
    pub(super) fn vector_set_at(&mut self, i: &Instruction) -> bool {
        self.set_element(i.a, Some(i64::from(i.imm)), |hot| hot.register(i.c))
    }

    #[inline(always)]
    pub(super) fn vector_set_value(&mut self, i: &Instruction) -> bool {
        self.set_element(i.a, self.int(i.b), |hot| hot.place_of_value(i.imm as usize))
    }

    /// The length of a vector in the arena, which stands in a register.
    #[inline(always)]
    pub(super) fn length_of(&mut self, vector: u16) -> Option<u32> {
        let vector = self.get_if(vector, Kind::Vector)?;
        // SAFETY: a value names an object of its kind.
        Some(unsafe { self.arena().length_of_vector(vector) })
    }

    #[inline(always)]
    pub(super) fn vector_length(&mut self, i: &Instruction) -> bool {
        let length = self.length_of(i.b);
        self.set_found(i.a, length.map(|length| Value::int(length.into())))
    }

    #[inline(always)]
    pub(super) fn vector_push(&mut self, i: &Instruction) -> bool {
        let (vector, value) = (self.get(i.a), self.get(i.b));
        vector.tag == Kind::Vector as u64 && self.arena().vector_push_in_place(vector.bits, value)
    }

    #[inline(always)]
    pub(super) fn vector_pop(&mut self, i: &Instruction) -> bool {
        let vector = self.get(i.b);
        if vector.tag != Kind::Vector as u64 {
            return false;
        }
        match self.arena().vector_pop(vector.bits) {
            Some(value) => self.set(i.a, value),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn vector(&mut self, i: &Instruction) -> bool {
        let first = self.register(i.b);
        let made = vector_of_row(self.stay_with_gas(), first, i.c);
        self.set_aside(i.a, made)
    }

    #[inline(always)]
    pub(super) fn bytes_length(&mut self, i: &Instruction) -> bool {
        let Some(bytes) = self.get_if(i.b, Kind::Bytes) else {
            return false;
        };
        let length = self.arena().bytes(bytes).len();
        self.set(i.a, Value::int(length as i64))
    }

    #[inline(always)]
    pub(super) fn bytes_ref(&mut self, i: &Instruction) -> bool {
        let (Some(bytes), Some(index)) = (self.get_if(i.b, Kind::Bytes), self.int(i.c)) else {
            return false;
        };
        // SAFETY: a value names an object of its kind.
        match unsafe { self.arena().byte(bytes, index as u64) } {
            Some(byte) => self.set(i.a, Value::int(i64::from(byte))),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn bytes_set(&mut self, i: &Instruction) -> bool {
        let (bytes, index, value) = (self.get(i.a), self.get(i.b), self.get(i.c));
        if bytes.tag != Kind::Bytes as u64
            || index.tag != INT
            || value.tag != INT
            || value.bits > 255
        {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        unsafe {
            self.arena()
                .set_byte(bytes.bits, index.bits, value.bits as u8)
        }
    }
}

/// A vector of as many values as stand in a row of registers.
#[inline(never)]
fn vector_of_row(stay: &mut Stay<'_>, first: *const Value, count: u16) -> Value {
    // SAFETY: they are registers of the newest frame, which nothing writes meanwhile.
    let values = unsafe { std::slice::from_raw_parts(first, count.into()) };
    Aside::run(stay, |aside| routines::vector(aside, values))
}
