//! Elements of vectors of which it is not known what elements they have: code that reads vectors of several
//! kinds, in turn or from one time on, and code that makes vectors longer and shorter.
//!
//! Nothing is guessed here. What is not as it nearly always is, such as a vector that has to grow, is left to the routine
//! of the instruction.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I16, I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::operand::{Def, Use};

use super::lower::{Lowering, MEMORY, NONE, word_of};
use super::state::NativeState;
use crate::fiber::arena::{BUFFER_HEAD, Elements, OutsideLayout};

// The tag of a number follows from what a vector says of its elements.
const _: () = assert!(Elements::Int as u64 + 1 == Kind::Int as u64);
const _: () = assert!(Elements::Float as u64 + 1 == Kind::Float as u64);

/// The buffer of a vector that gets one more element.
struct Buffer {
    data: ir::Value,
    /// How many words it has room for.
    words: ir::Value,
    /// The cards that count what is written to it.
    cards: ir::Value,
    /// Where its first word stands among what they count, in bytes.
    first: ir::Value,
}

impl Lowering<'_, '_> {
    /// Whether a register may hold a value of a kind.
    fn can_be(&self, register: Use, kind: Kind) -> bool {
        let known = self.now[usize::from(register.0)].tag();
        known.is_none_or(|tag| tag == kind as u64)
    }

    /// Goes elsewhere unless a register holds a value of a kind.
    fn go_on_if_is(&mut self, register: Use, kind: Kind, otherwise: ir::Block) {
        let (is, _) = self.value(register.0);
        let right = self.b.ins().icmp_imm_s(IntCC::Equal, is, kind as i64);
        self.go_on_if(right, otherwise);
    }

    /// An element of any vector. What is not a vector with such an index is left to the routine, which says so.
    pub(super) fn element_of_any(&mut self, dst: Def, vector: Use, index: Use) {
        if !self.can_be(vector, Kind::Vector) || !self.can_be(index, Kind::Int) {
            return self.do_aside();
        }
        let (otherwise, done) = self.begin_aside();
        self.go_on_if_is(vector, Kind::Vector, otherwise);
        self.go_on_if_is(index, Kind::Int, otherwise);
        let (vector, index) = (self.bits(vector.0), self.bits(index.0));
        let words = self.load_state(offset_of!(NativeState<'_>, words));
        let object = self.b.ins().iadd(words, vector);
        let length = self.b.ins().load(I32, MEMORY, object, 8);
        let length = word_of(&mut self.b, length);
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThan, index, length);
        self.go_on_if(inside, otherwise);
        self.read_element(object, index, done);
        self.end_aside(dst, (otherwise, done));
    }

    /// Takes the last element away. Of an empty vector the routine says that there is none.
    pub(super) fn pop(&mut self, dst: Def, vector: Use) {
        if !self.can_be(vector, Kind::Vector) {
            return self.do_aside();
        }
        let (otherwise, done) = self.begin_aside();
        self.go_on_if_is(vector, Kind::Vector, otherwise);
        let offset = self.bits(vector.0);
        let object = self.object_at(offset);
        let length = self.b.ins().load(I32, MEMORY, object, 8);
        self.go_on_if(length, otherwise);
        let last = self.b.ins().iadd_imm_s(length, -1);
        self.set_length(object, offset, last);
        let last = word_of(&mut self.b, last);
        self.read_element(object, last, done);
        self.end_aside(dst, (otherwise, done));
    }

    /// Adds an element at the end, where there is room for it and it is of the vector's kind.
    pub(super) fn push(&mut self, vector: Use, value: Use) {
        if !self.can_be(vector, Kind::Vector) {
            return self.do_aside();
        }
        let (otherwise, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(otherwise);
        self.go_on_if_is(vector, Kind::Vector, otherwise);
        let offset = self.bits(vector.0);
        let object = self.object_at(offset);
        let length = self.b.ins().load(I32, MEMORY, object, 8);
        let capacity = self.b.ins().load(I32, MEMORY, object, 12);
        let order = IntCC::UnsignedLessThan;
        let has_room = self.b.ins().icmp(order, length, capacity);
        self.go_on_if(has_room, otherwise);
        let buffer = self.buffer_to_extend(object, otherwise);
        let place = word_of(&mut self.b, length);
        self.write_behind(object, (value, place), &buffer, otherwise);
        let more = self.b.ins().iadd_imm_s(length, 1);
        self.set_length(object, offset, more);
        self.b.ins().jump(done, &NONE);
        self.switch_to_sealed(otherwise);
        self.do_aside();
        self.b.ins().jump(done, &NONE);
        self.switch_to_sealed(done);
    }

    /// Says how many elements a vector has.
    fn set_length(&mut self, object: ir::Value, offset: ir::Value, length: ir::Value) {
        let cards = self.load_state(offset_of!(NativeState<'_>, cards));
        let word = self.b.ins().iadd_imm_s(offset, 8);
        self.mark_card(cards, word);
        self.b.ins().store(MEMORY, length, object, 8);
    }

    /// Writes a value to a place behind the last element, and goes elsewhere where it is not of the vector's kind or finds no
    /// room.
    fn write_behind(
        &mut self,
        object: ir::Value,
        (value, place): (Use, ir::Value),
        buffer: &Buffer,
        otherwise: ir::Block,
    ) {
        let elements = self.b.ins().load(I16, MEMORY, object, 2);
        let elements = self.b.ins().uextend(I64, elements);
        let (numbers, values) = (self.b.create_block(), self.b.create_block());
        let written = self.b.create_block();
        let (tag, bits) = self.value(value.0);
        if self.can_be(value, Kind::Int) || self.can_be(value, Kind::Float) {
            self.b.ins().brif(elements, numbers, &NONE, values, &NONE);
            self.switch_to_sealed(numbers);
            let wanted = self.b.ins().iadd_imm_s(elements, 1);
            let right = self.b.ins().icmp(IntCC::Equal, wanted, tag);
            self.go_on_if(right, otherwise);
            self.go_on_if_has(buffer, place, otherwise);
            self.write_word(buffer, place, bits);
            self.b.ins().jump(written, &NONE);
        } else {
            self.b.ins().brif(elements, otherwise, &NONE, values, &NONE);
        }
        self.switch_to_sealed(values);
        let first = self.b.ins().ishl_imm_u(place, 1);
        let second = self.b.ins().iadd_imm_s(first, 1);
        self.go_on_if_has(buffer, second, otherwise);
        self.write_word(buffer, first, tag);
        self.write_word(buffer, second, bits);
        self.b.ins().jump(written, &NONE);
        self.switch_to_sealed(written);
    }

    /// Goes elsewhere unless a buffer has a word at a place.
    fn go_on_if_has(&mut self, buffer: &Buffer, place: ir::Value, otherwise: ir::Block) {
        let order = IntCC::UnsignedLessThan;
        let has = self.b.ins().icmp(order, place, buffer.words);
        self.go_on_if(has, otherwise);
    }

    /// Writes a word of a buffer.
    fn write_word(&mut self, buffer: &Buffer, place: ir::Value, word: ir::Value) {
        let bytes = self.b.ins().ishl_imm_u(place, 3);
        let counted = self.b.ins().iadd(buffer.first, bytes);
        self.mark_card(buffer.cards, counted);
        let place = self.b.ins().iadd(buffer.data, bytes);
        self.b.ins().store(MEMORY, word, place, 0);
    }

    /// The buffer of a vector, if it has one.
    fn buffer_to_extend(&mut self, object: ir::Value, otherwise: ir::Block) -> Buffer {
        let buffer = self.b.ins().load(I64, MEMORY, object, 16);
        self.go_on_if(buffer, otherwise);
        let (inside, outside, found) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        let [data, words, cards, first] = [0; 4].map(|_| self.b.append_block_param(found, I64));
        let is_outside = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, buffer, 0);
        self.b.ins().brif(is_outside, outside, &NONE, inside, &NONE);
        self.switch_to_sealed(inside);
        let start = self.object_at(buffer);
        let size = self.b.ins().load(I32, MEMORY, start, 4);
        let size = word_of(&mut self.b, size);
        let head = BUFFER_HEAD as i64;
        let of_arena = [
            self.b.ins().iadd_imm_s(start, 8 * head),
            self.b.ins().iadd_imm_s(size, -head),
            self.load_state(offset_of!(NativeState<'_>, cards)),
            self.b.ins().iadd_imm_s(buffer, 8 * head),
        ];
        self.b.ins().jump(found, &of_arena.map(Into::into));
        self.switch_to_sealed(outside);
        let layout = OutsideLayout::get();
        let entry = self.outside_to_write(buffer);
        let [start, size, of_buffer] = [layout.words, layout.length, layout.cards]
            .map(|at| self.b.ins().load(I64, MEMORY, entry, at as i32));
        let none = self.b.ins().iconst(I64, 0);
        let of_entry = [start, size, of_buffer, none];
        self.b.ins().jump(found, &of_entry.map(Into::into));
        self.switch_to_sealed(found);
        Buffer {
            data,
            words,
            cards,
            first,
        }
    }

    /// Reads an element that there is, and passes its tag and bits on.
    fn read_element(&mut self, object: ir::Value, index: ir::Value, done: ir::Block) {
        let elements = self.b.ins().load(I16, MEMORY, object, 2);
        let elements = self.b.ins().uextend(I64, elements);
        let buffer = self.b.ins().load(I64, MEMORY, object, 16);
        let data = self.buffer_data(buffer);
        let (numbers, values) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(elements, numbers, &NONE, values, &NONE);
        self.switch_to_sealed(numbers);
        let tag = self.b.ins().iadd_imm_s(elements, 1);
        let place = self.b.ins().ishl_imm_u(index, 3);
        let place = self.b.ins().iadd(data, place);
        let bits = self.b.ins().load(I64, MEMORY, place, 0);
        self.b.ins().jump(done, &[tag.into(), bits.into()]);
        self.switch_to_sealed(values);
        let place = self.b.ins().ishl_imm_u(index, 4);
        let place = self.b.ins().iadd(data, place);
        let tag = self.b.ins().load(I64, MEMORY, place, 0);
        let bits = self.b.ins().load(I64, MEMORY, place, 8);
        self.b.ins().jump(done, &[tag.into(), bits.into()]);
    }
}
