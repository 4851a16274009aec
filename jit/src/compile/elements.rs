//! Elements of vectors of which it is not known what elements they have: code that reads vectors of several
//! kinds, in turn or from one time on.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I16, I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::operand::{Def, Use};

use super::lower::{Lowering, MEMORY, NONE, word_of};
use super::state::NativeState;
use crate::fiber::arena::Elements;

// The tag of a number follows from what a vector says of its elements.
const _: () = assert!(Elements::Int as u64 + 1 == Kind::Int as u64);
const _: () = assert!(Elements::Float as u64 + 1 == Kind::Float as u64);

impl Lowering<'_, '_> {
    /// An element of any vector. Nothing is guessed: what is not a vector with such an index is left to
    /// the routine, which says so.
    pub(super) fn element_of_any(&mut self, dst: Def, vector: Use, index: Use) {
        let can_be = |known: Option<u64>, kind: Kind| known.is_none_or(|tag| tag == kind as u64);
        let known = |register: Use| self.now[usize::from(register.0)].tag();
        if !can_be(known(vector), Kind::Vector) || !can_be(known(index), Kind::Int) {
            return self.do_aside();
        }
        let (otherwise, done) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(otherwise);
        let tag = self.b.append_block_param(done, I64);
        let bits = self.b.append_block_param(done, I64);
        for (register, kind) in [(vector, Kind::Vector), (index, Kind::Int)] {
            let (is, _) = self.value(register.0);
            let right = self.b.ins().icmp_imm_s(IntCC::Equal, is, kind as i64);
            self.go_on_if(right, otherwise);
        }
        let (vector, index) = (self.bits(vector.0), self.bits(index.0));
        let words = self.load_state(offset_of!(NativeState<'_>, words));
        let object = self.b.ins().iadd(words, vector);
        let length = self.b.ins().load(I32, MEMORY, object, 8);
        let length = word_of(&mut self.b, length);
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThan, index, length);
        self.go_on_if(inside, otherwise);
        self.read_element(object, index, done);
        self.switch_to_sealed(otherwise);
        self.do_aside();
        let (found, with) = self.value(dst.0);
        self.b.ins().jump(done, &[found.into(), with.into()]);
        self.switch_to_sealed(done);
        self.set_any(dst.0, tag, bits);
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
