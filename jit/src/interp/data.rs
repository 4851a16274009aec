//! Pairs, vectors and bytes, where nothing has to grow.

use super::arith::plus;
use super::form::Instruction;
use super::hot::Hot;
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
        let pair = self.arena().new_pair(car, cdr);
        self.set(i.a, pair)
    }

    #[inline(always)]
    pub(super) fn car(&mut self, i: &Instruction) -> bool {
        let pair = self.get(i.b);
        if pair.tag == Kind::Pair as u64 {
            // SAFETY: a value names an object of its kind.
            let car = unsafe { self.arena().first(pair.bits) };
            return self.set(i.a, car);
        }
        match self.heap().pair(pair) {
            Some((car, _)) => self.set(i.a, car),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn cdr(&mut self, i: &Instruction) -> bool {
        let pair = self.get(i.b);
        if pair.tag == Kind::Pair as u64 {
            // SAFETY: a value names an object of its kind.
            let cdr = unsafe { self.arena().second(pair.bits) };
            return self.set(i.a, cdr);
        }
        match self.heap().pair(pair) {
            Some((_, cdr)) => self.set(i.a, cdr),
            None => false,
        }
    }

    /// An element of a vector in the arena.
    #[inline(always)]
    fn element(&mut self, vector: Value, index: Value) -> Option<Value> {
        if vector.tag != Kind::Vector as u64 || index.tag != INT {
            return None;
        }
        // SAFETY: a value names an object of its kind.
        unsafe { self.arena().element(vector.bits, index.bits) }
    }

    #[inline(always)]
    pub(super) fn vector_ref(&mut self, i: &Instruction) -> bool {
        let found = self.element(self.get(i.b), self.get(i.c));
        self.set_found(i.a, found)
    }

    #[inline(always)]
    pub(super) fn vector_ref_at(&mut self, i: &Instruction) -> bool {
        let found = self.element(self.get(i.b), Value::int(i64::from(i.imm)));
        self.set_found(i.a, found)
    }

    #[inline(always)]
    pub(super) fn vector_ref_offset(&mut self, i: &Instruction) -> bool {
        let Some(index) = plus(self.get(i.c), i.imm) else {
            return false;
        };
        let found = self.element(self.get(i.b), index);
        self.set_found(i.a, found)
    }

    /// The element `imm` of the element `c` of `b`.
    #[inline(always)]
    pub(super) fn vector_ref_twice(&mut self, i: &Instruction) -> bool {
        let Some(inner) = self.element(self.get(i.b), self.get(i.c)) else {
            return false;
        };
        let found = self.element(inner, self.get(i.imm as u16));
        self.set_found(i.a, found)
    }

    /// Replaces an element of a vector in the arena.
    #[inline(always)]
    fn set_element(&mut self, vector: Value, index: Value, value: Value) -> bool {
        if vector.tag != Kind::Vector as u64 || index.tag != INT {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        unsafe { self.arena().set_element(vector.bits, index.bits, value) }
    }

    #[inline(always)]
    pub(super) fn vector_set(&mut self, i: &Instruction) -> bool {
        self.set_element(self.get(i.a), self.get(i.b), self.get(i.c))
    }

    #[inline(always)]
    pub(super) fn vector_set_at(&mut self, i: &Instruction) -> bool {
        let index = Value::int(i64::from(i.imm));
        self.set_element(self.get(i.a), index, self.get(i.c))
    }

    #[inline(always)]
    pub(super) fn vector_set_value(&mut self, i: &Instruction) -> bool {
        let value = self.value(i.imm as usize);
        self.set_element(self.get(i.a), self.get(i.b), value)
    }

    #[inline(always)]
    pub(super) fn vector_length(&mut self, i: &Instruction) -> bool {
        let vector = self.get(i.b);
        if vector.tag != Kind::Vector as u64 {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        let length = unsafe { self.arena().length_of_vector(vector.bits) };
        self.set(i.a, Value::int(i64::from(length)))
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
    pub(super) fn bytes_ref(&mut self, i: &Instruction) -> bool {
        let (bytes, index) = (self.get(i.b), self.get(i.c));
        if bytes.tag != Kind::Bytes as u64 || index.tag != INT {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        match unsafe { self.arena().byte(bytes.bits, index.bits) } {
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
