//! Bytes: their length, and one of them read or replaced.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::operand::{Def, Use};

use super::lower::{Lowering, MEMORY};
use super::state::ExitReason;
use super::types::Type;

/// Where Bytes have their length and their buffer.
const LENGTH: i32 = 8;
const BUFFER: i32 = 16;

impl Lowering<'_, '_> {
    pub(super) fn bytes_length(&mut self, dst: Def, bytes: Use) {
        let object = self.object(bytes.0, Kind::Bytes);
        let length = self.b.ins().load(I64, MEMORY, object, LENGTH);
        self.set_bits(dst.0, Type::Int, length);
    }

    pub(super) fn bytes_ref(&mut self, dst: Def, bytes: Use, index: Use) {
        let (buffer, index) = self.byte_place(bytes, index);
        let data = self.buffer_data(buffer);
        let place = self.b.ins().iadd(data, index);
        let byte = self.b.ins().uload8(I64, MEMORY, place, 0);
        self.set_bits(dst.0, Type::Int, byte);
    }

    pub(super) fn bytes_set(&mut self, bytes: Use, index: Use, value: Use) {
        let (buffer, index) = self.byte_place(bytes, index);
        self.guard(value.0, Type::Int);
        let value = self.bits(value.0);
        let is_no_byte = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedGreaterThan, value, 255);
        self.exit_if(is_no_byte, ExitReason::Range);
        let (cards, counted) = self.buffer_cards(buffer, index);
        self.mark_card(cards, counted);
        let data = self.buffer_data(buffer);
        let place = self.b.ins().iadd(data, index);
        self.b.ins().istore8(MEMORY, value, place, 0);
    }

    /// The buffer of Bytes, and an index that is within their length.
    fn byte_place(&mut self, bytes: Use, index: Use) -> (ir::Value, ir::Value) {
        let object = self.object(bytes.0, Kind::Bytes);
        self.guard(index.0, Type::Int);
        let index = self.bits(index.0);
        let length = self.b.ins().load(I64, MEMORY, object, LENGTH);
        let is_inside = self.b.ins().icmp(IntCC::UnsignedLessThan, index, length);
        self.exit_unless(is_inside, ExitReason::Range);
        (self.b.ins().load(I64, MEMORY, object, BUFFER), index)
    }
}
