//! Short vectors of values that stand in a row of registers, which many programs have for records: made in place,
//! where it is known or guessed what elements they have.
//!
//! A vector and its buffer take up a word less than their logical size, of which room is taken: the last word belongs to no object.

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use pw_isa::op::Work;
use pw_isa::operand::{Def, Span};
use pw_isa::{Kind, KindSet, cost};

use super::lower::Lowering;
use super::plans::Few;
use super::state::ExitReason;
use super::tails::Tag;
use super::types::Type;
use crate::fiber::arena::object::{FILLER, ObjectKind, header, join};
use crate::fiber::arena::{BUFFER_HEAD, Elements, VECTOR_WORDS};
use crate::interp::profile::Site;

/// The most elements of a vector that is made in place: they cost no gas.
const ELEMENTS_MAX: u16 = 7;

const _: () = {
    let least = cost::VECTOR_BYTES + cost::BUFFER_BYTES;
    assert!(cost::work_gas(Work::Elements, ELEMENTS_MAX as u64) == 0);
    assert!(least == 8 * (BUFFER_HEAD + VECTOR_WORDS + 1) as u64);
    assert!(Kind::Float as u64 == Kind::Int as u64 + 1);
};

/// What is known and guessed about values of which a vector is made.
pub(super) struct Row {
    /// What elements the vector has then.
    pub(super) elements: Elements,
    /// What is guessed about which registers.
    pub(super) guesses: Few<(u16, Type)>,
    /// A register that is guessed to hold no number.
    other: Option<u16>,
}

impl Row {
    /// The row of some registers; `None` when too little is known about them. What was seen is known of the first three.
    pub(super) fn of(values: Span, site: &Site, types: &[Type]) -> Option<Row> {
        if !(1..=ELEMENTS_MAX).contains(&values.count) {
            return None;
        }
        let registers = values.first..values.first + values.count;
        let all = || {
            registers
                .clone()
                .map(|register| (register, types[usize::from(register)]))
        };
        let number = |known: Type| [Type::Int, Type::Float].contains(&known);
        let made = |elements| Row {
            elements,
            guesses: Few::new(),
            other: None,
        };
        let is_mixed =
            [Type::Int, Type::Float].map(|kind| all().any(|(_, known)| known == kind)) == [true; 2];
        if is_mixed || all().any(|(_, known)| known.tag().is_some() && !number(known)) {
            return Some(made(Elements::Any));
        }
        let seen = |place: usize| site.operands.get(place).copied().unwrap_or_default();
        for (elements, kind, wanted) in [
            (Elements::Int, Kind::Int, Type::Int),
            (Elements::Float, Kind::Float, Type::Float),
        ] {
            let only = KindSet::of(&[kind]);
            let mut fits = all().enumerate();
            if fits.all(|(place, (_, known))| {
                known == wanted || known.is_open() && seen(place) == only
            }) {
                return Some(Row {
                    guesses: all().map(|(register, _)| (register, wanted)).collect(),
                    ..made(elements)
                });
            }
        }
        let mut others = all().enumerate().filter(|(place, (_, known))| {
            let seen = seen(*place).0;
            *known == Type::Any && seen != 0 && seen & KindSet::NUMBER.0 == 0
        });
        let (_, (other, _)) = others.next()?;
        Some(Row {
            other: Some(other),
            ..made(Elements::Any)
        })
    }
}

impl Lowering<'_, '_> {
    /// A new vector of the values in a row of registers, about which enough is known.
    pub(super) fn vector(&mut self, dst: Def, values: Span) {
        let Some(row) = Row::of(values, self.scope.evidence.site(self.pc), &self.now) else {
            unreachable!("otherwise a routine makes it");
        };
        for (register, guess) in &row.guesses {
            self.guard(*register, *guess);
        }
        if let Some(other) = row.other {
            let (tag, _) = self.reference(other);
            let above = self.b.ins().iadd_imm_s(tag, -(Kind::Int as i64));
            let is_number = self.b.ins().icmp_imm_s(IntCC::UnsignedLessThan, above, 2);
            self.exit_if(is_number, ExitReason::Kind);
        }
        let mut words = Vec::new();
        for register in values.first..values.first + values.count {
            let variables = self.scope.registers[usize::from(register)];
            let known = self.now[usize::from(register)];
            self.materialise(variables, known);
            let (tag, bits) = self.held(variables, known);
            if row.elements == Elements::Any {
                words.push(match tag {
                    Tag::Known(tag) => self.b.ins().iconst(I64, tag as i64),
                    Tag::Found(tag) => tag,
                });
            }
            words.push(bits);
        }
        let size = BUFFER_HEAD + words.len();
        let bytes = cost::VECTOR_BYTES + cost::BUFFER_BYTES + 8 * words.len() as u64;
        let head = [
            header(ObjectKind::Buffer, 0, size),
            0,
            header(ObjectKind::Vector, row.elements as u16, VECTOR_WORDS),
            join(values.count.into(), values.count.into()),
            FILLER,
        ];
        let [buffer, no_text, vector, lengths, filler] =
            head.map(|word| self.b.ins().iconst(I64, word as i64));
        words.splice(0..0, [buffer, no_text]);
        words.extend([vector, lengths]);
        let make = |lowering: &mut Self, place, top| {
            words.extend([place, filler]);
            let first = lowering.make(place, top, &words, 2);
            let data = lowering.b.ins().iadd_imm_s(first, 8 * BUFFER_HEAD as i64);
            [lowering.b.ins().iadd_imm_s(place, 8 * size as i64), data]
        };
        let [offset, data] = self.in_room(bytes, make, |lowering| {
            let offset = lowering.bits(dst.0);
            [offset, lowering.inside_data(offset)]
        });
        // What was at hand about other vectors is not any more.
        self.note_moves();
        let length = self.b.ins().iconst(I64, i64::from(values.count));
        let view = self.scope.registers[usize::from(dst.0)].view;
        self.b.def_var(view.length, length);
        self.b.def_var(view.data, data);
        self.set_bits(dst.0, Type::Vector(row.elements), offset);
    }
}
