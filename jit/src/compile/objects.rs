//! Constants, pairs and vectors.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::op::{Data, Op};
use pw_isa::operand::{Def, Use};

use super::facts::Term;
use super::lower::{Lowering, MEMORY, NONE, word_of};
use super::registers::View;
use super::state::{ExitReason, NativeState};
use super::types::{Made, Plan, Type};
use crate::fiber::arena::object::{ObjectKind, header};
use crate::fiber::arena::{BUFFER_HEAD, CARD_WORDS, Elements, OutsideLayout};
use crate::value::{CONSTANT, Value};

/// The tag of a pair in the arena.
const PAIR: i64 = Kind::Pair as i64;
/// Indexes below this that are known are a part of an address.
const CONSTANT_INDEX_END: i64 = 1 << 20;

/// How many bytes something is behind a place.
#[derive(Clone, Copy)]
enum Place {
    Known(i32),
    Found(ir::Value),
}

impl Lowering<'_, '_> {
    pub(super) fn data(&mut self, op: Data, plan: Plan) {
        match op {
            Data::Nil { dst } => self.constant(dst, Type::Nil, 0),
            Data::Bool { dst, value } => self.truth_is(dst, value.0),
            Data::Int { dst, value } => self.constant(dst, Type::Int, value.0),
            Data::Float { dst, value } => {
                let float = self.b.ins().f64const(f64::from_bits(value.0));
                self.set_float(dst.0, float);
            }
            Data::Const { dst, constant } => {
                let function = self.scope.part.place.number();
                let value = self.planner.program.constant(function, constant.0);
                match self.scope.evidence.constant_type(&Op::Data(op)) {
                    Type::Int => self.constant(dst, Type::Int, value.bits as i64),
                    Type::Float => {
                        let float = self.b.ins().f64const(f64::from_bits(value.bits));
                        self.set_float(dst.0, float);
                    }
                    known => {
                        let tag = self.b.ins().iconst(I64, value.tag as i64);
                        let bits = self.constant_bits(value);
                        self.set_known(dst.0, known, tag, bits);
                    }
                }
            }
            Data::Car { dst, .. } | Data::Cdr { dst, .. }
                if self.read_field(&Op::Data(op), dst.0) => {}
            Data::Car { dst, pair } => self.part_of_pair(dst, pair, 0),
            Data::Cdr { dst, pair } => self.part_of_pair(dst, pair, 1),
            Data::VectorLength { dst, vector } => {
                let length = match self.now[usize::from(vector.0)].elements() {
                    Some(_) => {
                        let register = self.scope.registers[usize::from(vector.0)];
                        self.b.use_var(register.view.length)
                    }
                    None => {
                        let object = self.object(vector.0, Kind::Vector);
                        let length = self.b.ins().load(I32, MEMORY, object, 8);
                        word_of(&mut self.b, length)
                    }
                };
                self.set_bits(dst.0, Type::Int, length);
            }
            Data::Vector { dst, values } => self.vector(dst, values),
            Data::VectorRef { dst, vector, index } => self.vector_ref(dst, vector, index, plan),
            Data::VectorSet {
                vector,
                index,
                value,
            } => self.vector_set(vector, index, value, plan),
            Data::BytesLength { dst, bytes } => self.bytes_length(dst, bytes),
            Data::BytesRef { dst, bytes, index } => self.bytes_ref(dst, bytes, index),
            Data::BytesSet {
                bytes,
                index,
                value,
            } => self.bytes_set(bytes, index, value),
            Data::MapCount { dst, map } => self.map_count(dst, map),
            Data::MapGet { dst, map, key, .. } => self.map_get(dst, map, key),
            Data::MapSet { map, key, value } => self.map_set(map, key, value),
            _ => unreachable!("done by a handler"),
        }
    }

    /// The bits of a value of the program. Its number is not known to the code, which may run in another
    /// process, where it is another.
    pub(super) fn constant_bits(&mut self, value: Value) -> ir::Value {
        if value.tag & CONSTANT == 0 {
            return self.b.ins().iconst(I64, value.bits as i64);
        }
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        self.b
            .ins()
            .bor_imm_s(program, (value.bits & 0xffff_ffff) as i64)
    }

    /// Sets a register to a Bool that is known.
    pub(super) fn truth_is(&mut self, dst: Def, truth: bool) {
        self.constant(dst, Type::Truth(truth), i64::from(truth));
    }

    fn constant(&mut self, dst: Def, known: Type, bits: i64) {
        let bits = self.b.ins().iconst(I64, bits);
        self.set_bits(dst.0, known, bits);
    }

    /// Where an object of the arena is.
    pub(super) fn object(&mut self, register: u16, kind: Kind) -> ir::Value {
        self.guard(register, Type::Object(kind));
        let offset = self.bits(register);
        self.object_at(offset)
    }

    /// The address of an object, which native code must not keep.
    pub(super) fn object_at(&mut self, offset: ir::Value) -> ir::Value {
        let words = self.load_state(offset_of!(NativeState<'_>, words));
        self.b.ins().iadd(words, offset)
    }

    fn part_of_pair(&mut self, dst: Def, pair: Use, part: usize) {
        let object = self.object(pair.0, Kind::Pair);
        let (tag, bits) = self.load_field(object, Made::Pair, part);
        self.set_any(dst.0, tag, bits);
    }

    /// A part of a pair that may also be a constant of this program. What is neither is left to the routine.
    pub(super) fn part_of_any_pair(&mut self, dst: Def, pair: Use, part: usize) {
        let (in_arena, elsewhere, found) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        let (otherwise, done) = self.begin_aside();
        let object = self.b.append_block_param(found, I64);
        let (is, place) = self.value(pair.0);
        let own = self.b.ins().icmp_imm_s(IntCC::Equal, is, PAIR);
        self.b.ins().brif(own, in_arena, &NONE, elsewhere, &NONE);
        self.switch_to_sealed(in_arena);
        let at = self.object_at(place);
        self.b.ins().jump(found, &[at.into()]);
        self.switch_to_sealed(elsewhere);
        let tag_of_constant = PAIR | CONSTANT as i64;
        let constant = self.b.ins().icmp_imm_s(IntCC::Equal, is, tag_of_constant);
        self.go_on_if(constant, otherwise);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let offset = self.b.ins().bxor(place, program);
        let high = self.b.ins().ushr_imm_u(offset, 32);
        let of_program = self.b.ins().icmp_imm_s(IntCC::Equal, high, 0);
        self.go_on_if(of_program, otherwise);
        let constants = self.load_state(offset_of!(NativeState<'_>, constants));
        let at = self.b.ins().iadd(constants, offset);
        self.b.ins().jump(found, &[at.into()]);
        self.switch_to_sealed(found);
        let (tag, bits) = self.load_field(object, Made::Pair, part);
        self.b.ins().jump(done, &[tag.into(), bits.into()]);
        self.end_aside(dst, (otherwise, done));
    }

    /// Finds out where the elements of a vector stand and how many there are; exits unless they are of this
    /// kind.
    pub(super) fn look_at(&mut self, view: View, bits: ir::Value, elements: Elements) {
        let object = self.object_at(bits);
        // The half of the header without a size tells the elements.
        let found = self.b.ins().load(I32, MEMORY, object, 0);
        let wanted = header(ObjectKind::Vector, elements as u16, 0) as i64;
        let right = self.b.ins().icmp_imm_s(IntCC::Equal, found, wanted);
        self.exit_unless(right, ExitReason::Kind);
        let length = self.b.ins().load(I32, MEMORY, object, 8);
        let length = word_of(&mut self.b, length);
        let buffer = self.b.ins().load(I64, MEMORY, object, 16);
        let data = self.buffer_data(buffer);
        self.b.def_var(view.length, length);
        self.b.def_var(view.data, data);
    }

    /// Finds out which cards count what is written to a vector.
    pub(super) fn look_at_cards(&mut self, view: View, bits: ir::Value) {
        let object = self.object_at(bits);
        let buffer = self.b.ins().load(I64, MEMORY, object, 16);
        let none = self.b.ins().iconst(I64, 0);
        let (cards, distance) = self.buffer_cards(buffer, none);
        self.b.def_var(view.cards, cards);
        self.b.def_var(view.distance, distance);
    }

    /// What is at hand about a vector, and where an element is, which is within its length.
    fn element(
        &mut self,
        vector: Use,
        index: Use,
        elements: Elements,
        wanted: Type,
    ) -> (View, Place) {
        self.guard(vector.0, wanted);
        self.guard(index.0, Type::Int);
        let is_within = self.ranges.is_within(index.0, vector.0);
        let number = self.ranges.interval(Term::int(index.0)).number();
        let index = self.bits(index.0);
        let view = self.scope.registers[usize::from(vector.0)].view;
        let number = number.filter(|number| (0..CONSTANT_INDEX_END).contains(number));
        if !is_within {
            let length = self.b.use_var(view.length);
            let outside = match number {
                Some(number) => {
                    let order = IntCC::UnsignedLessThanOrEqual;
                    self.b.ins().icmp_imm_u(order, length, number)
                }
                None => {
                    let order = IntCC::UnsignedGreaterThanOrEqual;
                    self.b.ins().icmp(order, index, length)
                }
            };
            self.exit_if(outside, ExitReason::Range);
        }
        let shift = if elements == Elements::Any { 4 } else { 3 };
        let place = match number {
            Some(number) => Place::Known((number as i32) << shift),
            None => Place::Found(self.b.ins().ishl_imm_u(index, shift)),
        };
        (view, place)
    }

    /// How many bytes behind a place another is that is some behind it.
    fn behind(&mut self, first: ir::Value, place: Place) -> (ir::Value, i32) {
        match place {
            Place::Known(bytes) => (first, bytes),
            Place::Found(bytes) => (self.b.ins().iadd(first, bytes), 0),
        }
    }

    /// The first word of a buffer: in the arena, or outside it.
    pub(super) fn buffer_data(&mut self, buffer: ir::Value) -> ir::Value {
        let (inside, outside, found) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        let data = self.b.append_block_param(found, I64);
        let is_outside = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, buffer, 0);
        self.b.ins().brif(is_outside, outside, &NONE, inside, &NONE);
        self.switch_to_sealed(inside);
        let place = self.words_of_buffer(buffer);
        self.b.ins().jump(found, &[place.into()]);
        self.switch_to_sealed(outside);
        let entry = self.outside(buffer);
        let layout = OutsideLayout::get();
        let place = self.b.ins().load(I64, MEMORY, entry, layout.words as i32);
        self.b.ins().jump(found, &[place.into()]);
        self.switch_to_sealed(found);
        data
    }

    /// The first word of a buffer in the arena.
    fn words_of_buffer(&mut self, buffer: ir::Value) -> ir::Value {
        let place = self.object_at(buffer);
        self.b.ins().iadd_imm_s(place, 8 * BUFFER_HEAD as i64)
    }

    /// The first word of the buffer of a short vector, which stands in the arena.
    pub(super) fn inside_data(&mut self, vector: ir::Value) -> ir::Value {
        let object = self.object_at(vector);
        let buffer = self.b.ins().load(I64, MEMORY, object, 16);
        self.words_of_buffer(buffer)
    }

    /// The entry of a buffer outside the arena.
    fn outside(&mut self, buffer: ir::Value) -> ir::Value {
        let size = OutsideLayout::get().size as i64;
        // The mark of an outside buffer is the top bit, which multiplying by an even number drops.
        assert!(size % 2 == 0, "a slot has an even size");
        let offset = self.b.ins().imul_imm_s(buffer, size);
        let first = self.load_state(offset_of!(NativeState<'_>, outside));
        self.b.ins().iadd(first, offset)
    }

    /// The same of one that is about to be written.
    pub(super) fn outside_to_write(&mut self, buffer: ir::Value) -> ir::Value {
        let entry = self.outside(buffer);
        let one = self.b.ins().iconst(I8, 1);
        let is_touched = OutsideLayout::get().is_touched as i32;
        self.b.ins().store(MEMORY, one, entry, is_touched);
        entry
    }

    fn vector_ref(&mut self, dst: Def, vector: Use, index: Use, plan: Plan) {
        let Plan::Elements(elements) = plan else {
            unreachable!("a vector's elements are guessed");
        };
        let wanted = Type::Vector(elements);
        let (view, place) = self.element(vector, index, elements, wanted);
        let data = self.b.use_var(view.data);
        let (place, at) = self.behind(data, place);
        match elements {
            Elements::Any => {
                let tag = self.b.ins().load(I64, MEMORY, place, at);
                let bits = self.b.ins().load(I64, MEMORY, place, at + 8);
                self.set_any(dst.0, tag, bits);
            }
            Elements::Float => {
                let float = self.b.ins().load(ir::types::F64, MEMORY, place, at);
                self.set_float(dst.0, float);
            }
            Elements::Int => {
                let bits = self.b.ins().load(I64, MEMORY, place, at);
                self.set_bits(dst.0, Type::Int, bits);
            }
        }
    }

    fn vector_set(&mut self, vector: Use, index: Use, value: Use, plan: Plan) {
        let Plan::Elements(elements) = plan else {
            unreachable!("a vector's elements are guessed");
        };
        let wanted = Type::Written(elements);
        let (view, place) = self.element(vector, index, elements, wanted);
        self.guard(value.0, Type::of_elements(elements));
        let (cards, distance) = (self.b.use_var(view.cards), self.b.use_var(view.distance));
        let (counted, more) = self.behind(distance, place);
        let counted = match more {
            0 => counted,
            more => self.b.ins().iadd_imm_s(counted, i64::from(more)),
        };
        self.mark_card(cards, counted);
        let data = self.b.use_var(view.data);
        let (place, at) = self.behind(data, place);
        match elements {
            Elements::Any => {
                let second = self.b.ins().iadd_imm_s(counted, 8);
                self.mark_card(cards, second);
                let (tag, bits) = self.value(value.0);
                self.b.ins().store(MEMORY, tag, place, at);
                self.b.ins().store(MEMORY, bits, place, at + 8);
            }
            Elements::Float => {
                let float = self.float(value.0);
                self.b.ins().store(MEMORY, float, place, at);
            }
            Elements::Int => {
                let bits = self.bits(value.0);
                self.b.ins().store(MEMORY, bits, place, at);
            }
        }
    }

    /// Marks the cards of words of a buffer from a byte on.
    pub(super) fn mark_words(&mut self, buffer: ir::Value, bytes: ir::Value, words: i64) {
        let (cards, place) = self.buffer_cards(buffer, bytes);
        for word in 0..words {
            let place = self.b.ins().iadd_imm_s(place, 8 * word);
            self.mark_card(cards, place);
        }
    }

    /// The cards that count a buffer, which is about to be written, and where a byte of it is among what they count.
    pub(super) fn buffer_cards(
        &mut self,
        buffer: ir::Value,
        bytes: ir::Value,
    ) -> (ir::Value, ir::Value) {
        let (inside, outside, done) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        let cards = self.b.append_block_param(done, I64);
        let place = self.b.append_block_param(done, I64);
        let is_outside = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, buffer, 0);
        self.b.ins().brif(is_outside, outside, &NONE, inside, &NONE);
        self.switch_to_sealed(inside);
        let of_arena = self.load_state(offset_of!(NativeState<'_>, cards));
        let first = self.b.ins().iadd(buffer, bytes);
        let first = self.b.ins().iadd_imm_s(first, 16);
        self.b.ins().jump(done, &[of_arena.into(), first.into()]);
        self.switch_to_sealed(outside);
        let entry = self.outside_to_write(buffer);
        let at = OutsideLayout::get().cards as i32;
        let of_buffer = self.b.ins().load(I64, MEMORY, entry, at);
        self.b.ins().jump(done, &[of_buffer.into(), bytes.into()]);
        self.switch_to_sealed(done);
        (cards, place)
    }

    /// Marks the card of a byte.
    pub(super) fn mark_card(&mut self, cards: ir::Value, place: ir::Value) {
        let shift = (CARD_WORDS * 8).trailing_zeros();
        let number = self.b.ins().ushr_imm_u(place, i64::from(shift));
        let card = self.b.ins().iadd(cards, number);
        let one = self.b.ins().iconst(I8, 1);
        self.b.ins().store(MEMORY, one, card, 0);
    }
}
