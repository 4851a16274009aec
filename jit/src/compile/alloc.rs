//! New pairs, cells and closures. They take up exactly their logical size, so that one comparison finds
//! out whether there is room for an object and whether a collection or limit is due. Where there is not,
//! the runtime makes the object.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::operand::{Def, Span, Use};
use pw_isa::{Kind, cost};

use super::lower::{Lowering, MEMORY, NONE};
use super::state::NativeState;
use super::types::Type;
use crate::fiber::arena::object::{ObjectKind, header};

const _: () = assert!(cost::PAIR_BYTES == 24 && cost::CELL_BYTES == 16);
const _: () = assert!(cost::closure_bytes(3) == 8 * (2 + 2 * 3));

impl Lowering<'_, '_> {
    pub(super) fn cons(&mut self, dst: Def, car: Use, cdr: Use) {
        let (car, cdr) = (self.value(car.0), self.value(cdr.0));
        let tags = self.shifted(car.0, 16);
        let other = self.shifted(cdr.0, 32);
        let tags = self.b.ins().bor(tags, other);
        let head = self.b.ins().bor_imm_s(tags, ObjectKind::Pair as i64);
        self.allocate(dst, Type::Object(Kind::Pair), &[head, car.1, cdr.1]);
    }

    pub(super) fn cell(&mut self, dst: Def, value: Use) {
        let (tag, bits) = self.value(value.0);
        let tag = self.shifted(tag, 16);
        let head = self.b.ins().bor_imm_s(tag, ObjectKind::Cell as i64);
        self.allocate(dst, Type::Object(Kind::Cell), &[head, bits]);
    }

    pub(super) fn closure(&mut self, dst: Def, function: u32, captures: Span) {
        let count = captures.count;
        let head = header(ObjectKind::Closure, count, 2 + 2 * usize::from(count));
        let head = self.b.ins().iconst(I64, head as i64);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let what = self.b.ins().bor_imm_s(program, i64::from(function));
        let mut words = vec![head, what];
        for register in captures.first..captures.first + count {
            let (tag, bits) = self.value(register);
            words.extend([tag, bits]);
        }
        self.allocate(dst, Type::Closure(function), &words);
    }

    fn shifted(&mut self, tag: ir::Value, by: i64) -> ir::Value {
        self.b.ins().ishl_imm_u(tag, by)
    }

    /// A new object with these words.
    fn allocate(&mut self, dst: Def, known: Type, words: &[ir::Value]) {
        let (full, room, made) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        self.b.set_cold_block(full);
        let offset = self.b.append_block_param(made, I64);
        let place = self.load_state(offset_of!(NativeState<'_>, top));
        let max = self.load_state(offset_of!(NativeState<'_>, top_max));
        let top = self.b.ins().iadd_imm_s(place, 8 * words.len() as i64);
        let is_full = self.b.ins().icmp(IntCC::UnsignedGreaterThan, top, max);
        self.b.ins().brif(is_full, full, &NONE, room, &NONE);
        self.switch_to_sealed(room);
        self.make(place, top, words);
        self.b.ins().jump(made, &[place.into()]);
        self.switch_to_sealed(full);
        self.do_aside();
        let made_aside = self.bits(dst.0);
        self.b.ins().jump(made, &[made_aside.into()]);
        self.switch_to_sealed(made);
        self.set_bits(dst.0, known, offset);
    }

    /// Makes an object of these words at an offset, where there is room up to `top`.
    pub(super) fn make(&mut self, place: ir::Value, top: ir::Value, words: &[ir::Value]) {
        self.store_state(offset_of!(NativeState<'_>, top), top);
        let made_so_far = self.load_state(offset_of!(NativeState<'_>, allocations));
        let count = self.b.ins().iadd_imm_s(made_so_far, 1);
        self.store_state(offset_of!(NativeState<'_>, allocations), count);
        let base = self.load_state(offset_of!(NativeState<'_>, words));
        let object = self.b.ins().iadd(base, place);
        for (at, word) in words.iter().enumerate() {
            self.b.ins().store(MEMORY, *word, object, 8 * at as i32);
        }
    }
}
