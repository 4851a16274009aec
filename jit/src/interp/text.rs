//! Strings: looking at them.

use super::form::Instruction;
use super::hot::Hot;
use crate::value::Value;
use pw_isa::op::Work;
use pw_isa::{Kind, cost};

impl Hot<'_> {
    #[inline(always)]
    pub(super) fn string_length(&mut self, i: &Instruction) -> bool {
        let string = self.get(i.b);
        if string.kind() != Kind::String {
            return false;
        }
        let (arena, offset) = self.heap().place(string);
        let length = arena.text_characters(offset);
        self.set(i.a, Value::int(i64::from(length)))
    }

    /// A character of an ASCII string.
    #[inline(always)]
    pub(super) fn string_ref(&mut self, i: &Instruction) -> bool {
        let (string, index) = (self.get(i.b), self.get(i.c));
        let bytes = cost::short_text_bytes(1);
        if string.kind() != Kind::String || index.kind() != Kind::Int || !self.can_allocate(bytes) {
            return false;
        }
        let (arena, offset) = self.heap().place(string);
        let length = arena.text_length(offset);
        if arena.text_characters(offset) != length || index.bits >= u64::from(length) {
            return false;
        }
        let character = arena.text_bytes(offset)[index.bits as usize];
        let value = self.arena().new_character(character);
        self.set(i.a, value)
    }

    #[inline(always)]
    pub(super) fn string_eq(&mut self, i: &Instruction) -> bool {
        let (a, b) = (self.get(i.b), self.get(i.c));
        if a.kind() != Kind::String || b.kind() != Kind::String {
            return false;
        }
        let heap = self.heap();
        let (left, right) = (heap.text_bytes(a), heap.text_bytes(b));
        let equal = left == right;
        let work = if left.len() == right.len() {
            left.len() as u64
        } else {
            0
        };
        self.charge(cost::work_gas(Work::Bytes, work)) && self.set(i.a, Value::bool(equal))
    }
}
