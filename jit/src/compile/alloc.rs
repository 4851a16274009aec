//! New pairs, cells and closures, and room for other objects. Room is taken by logical size, which is the size that these take up, so
//! that one comparison finds out whether there is room for an object and whether a collection or limit is due. Where there is not,
//! the runtime makes the object.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I16, I64};
use cranelift_codegen::ir::{self, BlockArg, InstBuilder};
use pw_isa::operand::{Def, Span, Use};
use pw_isa::{Kind, cost};

use super::lower::{Lowering, MEMORY, NONE};
use super::state::NativeState;
use super::types::{Made, Type};
use crate::fiber::arena::object::{ObjectKind, header};

const _: () = assert!(cost::PAIR_BYTES == 24 && cost::CELL_BYTES == 16);
const _: () = assert!(cost::closure_bytes(3) == 8 * (2 + 2 * 3));

impl Lowering<'_, '_> {
    pub(super) fn cons(&mut self, dst: Def, car: Use, cdr: Use) {
        let (car, cdr) = (self.value(car.0), self.value(cdr.0));
        let words = self.words_of_pair(car, cdr);
        self.allocate(dst, Type::Object(Kind::Pair), &words);
    }

    /// The words of a pair of two values, tag and bits each; bits can be Floats.
    pub(super) fn words_of_pair(
        &mut self,
        car: (ir::Value, ir::Value),
        cdr: (ir::Value, ir::Value),
    ) -> Vec<ir::Value> {
        let tags = self.shifted(car.0, 16);
        let other = self.shifted(cdr.0, 32);
        let tags = self.b.ins().bor(tags, other);
        let head = self.b.ins().bor_imm_s(tags, ObjectKind::Pair as i64);
        vec![head, car.1, cdr.1]
    }

    pub(super) fn cell(&mut self, dst: Def, value: Use) {
        let (tag, bits) = self.value(value.0);
        let tag = self.shifted(tag, 16);
        let head = self.b.ins().bor_imm_s(tag, ObjectKind::Cell as i64);
        self.allocate(dst, Type::Object(Kind::Cell), &[head, bits]);
    }

    pub(super) fn closure(&mut self, dst: Def, function: u32, captures: Span) {
        let registers = captures.first..captures.first + captures.count;
        let fields: Vec<_> = registers.map(|register| self.value(register)).collect();
        let words = self.words_of_closure(function, &fields);
        self.allocate(dst, Type::Closure(function), &words);
    }

    /// The words of a closure with these captured values, tag and bits each; bits can be Floats.
    pub(super) fn words_of_closure(
        &mut self,
        function: u32,
        fields: &[(ir::Value, ir::Value)],
    ) -> Vec<ir::Value> {
        let head = header(
            ObjectKind::Closure,
            fields.len() as u16,
            2 + 2 * fields.len(),
        );
        let head = self.b.ins().iconst(I64, head as i64);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let what = self.b.ins().bor_imm_s(program, i64::from(function));
        let fields = fields.iter().flat_map(|(tag, bits)| [*tag, *bits]);
        [head, what].into_iter().chain(fields).collect()
    }

    /// Tag and bits of a field of the object at an address.
    pub(super) fn load_field(
        &mut self,
        object: ir::Value,
        made: Made,
        field: usize,
    ) -> (ir::Value, ir::Value) {
        let field = field as i32;
        let (tag, place) = match made {
            Made::Pair => {
                let tag = self.b.ins().load(I16, MEMORY, object, 2 + 2 * field);
                (self.b.ins().uextend(I64, tag), 8 + 8 * field)
            }
            Made::Closure(_) => {
                let place = 16 + 16 * field;
                (self.b.ins().load(I64, MEMORY, object, place), place + 8)
            }
        };
        (tag, self.b.ins().load(I64, MEMORY, object, place))
    }

    fn shifted(&mut self, tag: ir::Value, by: i64) -> ir::Value {
        self.b.ins().ishl_imm_u(tag, by)
    }

    /// A new object with these words.
    fn allocate(&mut self, dst: Def, known: Type, words: &[ir::Value]) {
        let bytes = 8 * words.len() as u64;
        let make = |lowering: &mut Self, place, top| {
            lowering.make(place, top, words, 1);
            [place]
        };
        let [offset] = self.in_room(bytes, make, |lowering| [lowering.bits(dst.0)]);
        self.set_bits(dst.0, known, offset);
    }

    /// A new object in room for so many bytes: `make` is told where that begins and ends. What it tells about the object,
    /// like its place, `found` finds out about one that the runtime has made.
    pub(super) fn in_room<const N: usize>(
        &mut self,
        bytes: u64,
        make: impl FnOnce(&mut Self, ir::Value, ir::Value) -> [ir::Value; N],
        found: impl FnOnce(&mut Self) -> [ir::Value; N],
    ) -> [ir::Value; N] {
        let (full, room, made) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        self.b.set_cold_block(full);
        let told = [(); N].map(|()| self.b.append_block_param(made, I64));
        let place = self.load_state(offset_of!(NativeState<'_>, top));
        let max = self.load_state(offset_of!(NativeState<'_>, top_max));
        let top = self.b.ins().iadd_imm_s(place, bytes as i64);
        let is_full = self.b.ins().icmp(IntCC::UnsignedGreaterThan, top, max);
        self.b.ins().brif(is_full, full, &NONE, room, &NONE);
        self.switch_to_sealed(room);
        let here = make(self, place, top).map(BlockArg::from);
        self.b.ins().jump(made, &here);
        self.switch_to_sealed(full);
        self.do_aside();
        let aside = found(self).map(BlockArg::from);
        self.b.ins().jump(made, &aside);
        self.switch_to_sealed(made);
        told
    }

    /// Makes so many objects of these words at an offset, where there is room up to `top`; their address.
    pub(super) fn make(
        &mut self,
        place: ir::Value,
        top: ir::Value,
        words: &[ir::Value],
        objects: i64,
    ) -> ir::Value {
        self.store_state(offset_of!(NativeState<'_>, top), top);
        let made_so_far = self.load_state(offset_of!(NativeState<'_>, allocations));
        let count = self.b.ins().iadd_imm_s(made_so_far, objects);
        self.store_state(offset_of!(NativeState<'_>, allocations), count);
        self.write_object(place, words)
    }

    /// Writes the words of an object to its place, which has this address.
    pub(super) fn write_object(&mut self, place: ir::Value, words: &[ir::Value]) -> ir::Value {
        let object = self.object_at(place);
        for (at, word) in words.iter().enumerate() {
            self.b.ins().store(MEMORY, *word, object, 8 * at as i32);
        }
        object
    }
}
