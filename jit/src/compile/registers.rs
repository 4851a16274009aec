//! The registers of a function as SSA variables. Which of a register's variables is current depends on
//! what is known about it: a Float has one of its own, a number that may be one has all three, the tag of other
//! known kinds is a constant.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I64};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData};
use cranelift_frontend::{FunctionBuilder, Variable};
use pw_isa::Kind;
use smallvec::SmallVec;

use super::lower::{Lowering, MEMORY, SLOT};
use super::state::ExitReason;
use super::types::{Made, Type};
use crate::value::Value;

/// The variables of a register.
#[derive(Clone, Copy)]
pub(super) struct Register {
    pub(super) tag: Variable,
    pub(super) bits: Variable,
    pub(super) float: Variable,
    pub(super) view: View,
}

/// What is at hand about a vector whose elements are known.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) length: Variable,
    /// The address of the first element.
    pub(super) data: Variable,
    /// If it is written to: the cards of where it stands, and how many bytes behind what they count from.
    pub(super) cards: Variable,
    pub(super) distance: Variable,
}

impl View {
    fn variables(self) -> [Variable; 4] {
        [self.length, self.data, self.cards, self.distance]
    }
}

impl Register {
    pub(super) fn declare(b: &mut FunctionBuilder<'_>) -> Register {
        Register {
            tag: b.declare_var(I64),
            bits: b.declare_var(I64),
            float: b.declare_var(F64),
            view: View {
                length: b.declare_var(I64),
                data: b.declare_var(I64),
                cards: b.declare_var(I64),
                distance: b.declare_var(I64),
            },
        }
    }
}

impl Register {
    /// Sets it to tag and bits of which nothing is known.
    pub(super) fn set_any(self, b: &mut FunctionBuilder<'_>, tag: ir::Value, bits: ir::Value) {
        b.def_var(self.tag, tag);
        b.def_var(self.bits, bits);
    }

    /// The variables that hold a value of a known type here, each with that of another register; not those of
    /// a virtual object's fields.
    pub(super) fn paired(
        self,
        other: Register,
        known: Type,
    ) -> SmallVec<[(Variable, Variable); 4]> {
        let mut pairs = SmallVec::new();
        match known {
            Type::Any => pairs.extend([(self.tag, other.tag), (self.bits, other.bits)]),
            Type::Number => pairs.extend([
                (self.tag, other.tag),
                (self.bits, other.bits),
                (self.float, other.float),
            ]),
            Type::Float => pairs.push((self.float, other.float)),
            _ => pairs.push((self.bits, other.bits)),
        }
        pairs.extend(self.views(other, known));
        pairs
    }

    /// The variables of what is at hand about a vector, each with that of another register.
    pub(super) fn views(
        self,
        other: Register,
        known: Type,
    ) -> impl Iterator<Item = (Variable, Variable)> {
        let at_hand = match known {
            Type::Vector(_) => 2,
            Type::Written(_) => 4,
            _ => 0,
        };
        let views = self.view.variables().into_iter();
        views.zip(other.view.variables()).take(at_hand)
    }
}

impl Lowering<'_, '_> {
    /// Writes a register to its slot.
    pub(super) fn write_back(&mut self, register: u16) {
        let (tag, bits) = self.value(register);
        let slot = i32::from(register) * SLOT;
        self.store_in_frame(tag, slot);
        self.store_in_frame(bits, slot + 8);
    }

    /// The address of a byte behind the current part's r0.
    pub(super) fn in_frame(&mut self, offset: i64) -> ir::Value {
        match i64::from(self.scope.frame()) + offset {
            0 => self.fp,
            offset => self.b.ins().iadd_imm_s(self.fp, offset),
        }
    }

    /// Stores a word so many bytes behind the current part's r0.
    pub(super) fn store_in_frame(&mut self, word: ir::Value, offset: i32) {
        let offset = self.scope.frame() + offset;
        self.b.ins().store(MEMORY, word, self.fp, offset);
    }

    /// Loads a word from so many bytes behind the current part's r0.
    fn load_from_frame(&mut self, offset: i32) -> ir::Value {
        let offset = self.scope.frame() + offset;
        self.b.ins().load(I64, MEMORY, self.fp, offset)
    }

    pub(super) fn load_slot(&mut self, register: u16, half: i32) -> ir::Value {
        let slot = i32::from(register) * SLOT;
        self.load_from_frame(slot + half)
    }

    /// Tag and bits of a register, whose object stands in the arena then.
    pub(super) fn value(&mut self, register: u16) -> (ir::Value, ir::Value) {
        let variables = self.scope.registers[usize::from(register)];
        let known = self.now[usize::from(register)];
        self.materialise(variables, known);
        self.words(variables, known)
    }

    /// Tag and bits of a register, whose object need not stand in the arena.
    pub(super) fn reference(&mut self, register: u16) -> (ir::Value, ir::Value) {
        let variables = self.scope.registers[usize::from(register)];
        self.words(variables, self.now[usize::from(register)])
    }

    /// Tag and bits of a value of a known type: of a virtual object its place, where it need not stand.
    pub(super) fn words(&mut self, variables: Register, known: Type) -> (ir::Value, ir::Value) {
        match known {
            Type::Any => (
                self.b.use_var(variables.tag),
                self.b.use_var(variables.bits),
            ),
            Type::Float => {
                let float = self.b.use_var(variables.float);
                let bits = self.b.ins().bitcast(I64, MemFlagsData::new(), float);
                (self.tag(Kind::Float), bits)
            }
            Type::Number => self.words_of_number(variables),
            known => {
                let tag = known.tag().unwrap_or_default();
                let tag = self.b.ins().iconst(I64, tag as i64);
                (tag, self.b.use_var(variables.bits))
            }
        }
    }

    /// Tag and bits of a number of either kind. Where nothing but an exit wants the bits, they are found there.
    pub(super) fn words_of_number(&mut self, variables: Register) -> (ir::Value, ir::Value) {
        let tag = self.b.use_var(variables.tag);
        let (int, float) = (
            self.b.use_var(variables.bits),
            self.b.use_var(variables.float),
        );
        let is_float = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, tag, Kind::Float as i64);
        let float = self.b.ins().bitcast(I64, MemFlagsData::new(), float);
        (tag, self.b.ins().select(is_float, float, int))
    }

    pub(super) fn tag(&mut self, kind: Kind) -> ir::Value {
        self.b.ins().iconst(I64, kind as i64)
    }

    /// The bits of a register that is not a Float.
    pub(super) fn bits(&mut self, register: u16) -> ir::Value {
        self.value(register).1
    }

    /// A register as a Float; an Int is converted.
    pub(super) fn float(&mut self, register: u16) -> ir::Value {
        let variables = self.scope.registers[usize::from(register)];
        if self.now[usize::from(register)] == Type::Int {
            let int = self.b.use_var(variables.bits);
            return self.b.ins().fcvt_from_sint(F64, int);
        }
        self.b.use_var(variables.float)
    }

    /// Makes sure of a register's type.
    pub(super) fn guard(&mut self, register: u16, wanted: Type) {
        let variables = self.scope.registers[usize::from(register)];
        let known = self.now[usize::from(register)];
        self.now[usize::from(register)] = self.guard_value(variables, known, wanted);
    }

    /// Makes sure of a value's type; what is known about it then.
    pub(super) fn guard_value(&mut self, variables: Register, known: Type, wanted: Type) -> Type {
        if known.is_within(wanted) {
            return known;
        }
        let Some(tag) = wanted.tag() else {
            return match wanted {
                Type::Number => self.guard_number(variables, known),
                _ => known,
            };
        };
        if known.made() != wanted.made() {
            self.materialise(variables, known);
        }
        let (is, bits) = self.words(variables, known);
        if known.tag() != Some(tag) {
            let right = self.b.ins().icmp_imm_s(IntCC::Equal, is, tag as i64);
            self.exit_unless(right, ExitReason::Kind);
        }
        match wanted {
            // A number's Float is at hand.
            Type::Float if known != Type::Number => {
                let float = self.b.ins().bitcast(F64, MemFlagsData::new(), bits);
                self.b.def_var(variables.float, float);
            }
            Type::Vector(elements) => self.look_at(variables.view, bits, elements),
            Type::Written(elements) => {
                if known != Type::Vector(elements) {
                    self.look_at(variables.view, bits, elements);
                }
                self.look_at_cards(variables.view, bits);
            }
            Type::Closure(function) | Type::Virtual(Made::Closure(function), _)
                if known.callee() != Some(function) =>
            {
                let right = self.is_word_of_closure(bits, function);
                self.exit_unless(right, ExitReason::Kind);
            }
            Type::Truth(truth) => {
                let right = self
                    .b
                    .ins()
                    .icmp_imm_s(IntCC::Equal, bits, i64::from(truth));
                self.exit_unless(right, ExitReason::Kind);
            }
            Type::Text(..) => {
                let text = wanted.text().unwrap_or(Value::NIL);
                let text = self.constant_bits(text);
                let right = self.b.ins().icmp(IntCC::Equal, bits, text);
                self.exit_unless(right, ExitReason::Kind);
            }
            Type::Function(function) => {
                let value = self.planner.program.function_value(function);
                let value = self.constant_bits(value);
                let right = self.b.ins().icmp(IntCC::Equal, bits, value);
                self.exit_unless(right, ExitReason::Kind);
            }
            _ => {}
        }
        self.guard_fields(variables, known, wanted);
        wanted
    }

    /// Makes sure that a value is a number.
    fn guard_number(&mut self, variables: Register, known: Type) -> Type {
        let (tag, bits) = self.words(variables, known);
        let ways = [Kind::Int, Kind::Float]
            .map(|kind| self.b.ins().icmp_imm_s(IntCC::Equal, tag, kind as i64));
        let right = self.b.ins().bor(ways[0], ways[1]);
        self.exit_unless(right, ExitReason::Kind);
        let float = self.b.ins().bitcast(F64, MemFlagsData::new(), bits);
        variables.set_any(&mut self.b, tag, bits);
        self.b.def_var(variables.float, float);
        Type::Number
    }

    /// From here on no more is known about a register than this, which holds for it.
    pub(super) fn forget(&mut self, register: u16, wanted: Type) {
        let variables = self.scope.registers[usize::from(register)];
        self.widen(variables, self.now[usize::from(register)], wanted);
        self.now[usize::from(register)] = wanted;
    }

    pub(super) fn set_any(&mut self, register: u16, tag: ir::Value, bits: ir::Value) {
        self.scope.registers[usize::from(register)].set_any(&mut self.b, tag, bits);
        self.now[usize::from(register)] = Type::Any;
    }

    /// Sets a register to bits of a type other than Float and Any.
    pub(super) fn set_bits(&mut self, register: u16, known: Type, bits: ir::Value) {
        self.b
            .def_var(self.scope.registers[usize::from(register)].bits, bits);
        self.now[usize::from(register)] = known;
    }

    /// Sets a register to a number: an Int's bits, or a Float, as the tag says.
    pub(super) fn set_number(
        &mut self,
        register: u16,
        tag: ir::Value,
        int: ir::Value,
        float: ir::Value,
    ) {
        let variables = self.scope.registers[usize::from(register)];
        variables.set_any(&mut self.b, tag, int);
        self.b.def_var(variables.float, float);
        self.now[usize::from(register)] = Type::Number;
    }

    pub(super) fn set_float(&mut self, register: u16, float: ir::Value) {
        self.b
            .def_var(self.scope.registers[usize::from(register)].float, float);
        self.now[usize::from(register)] = Type::Float;
    }

    /// Sets a register from tag and bits whose type is known without a look.
    pub(super) fn set_known(
        &mut self,
        register: u16,
        known: Type,
        tag: ir::Value,
        bits: ir::Value,
    ) {
        match known {
            Type::Any => self.set_any(register, tag, bits),
            Type::Number => {
                let float = self.b.ins().bitcast(F64, MemFlagsData::new(), bits);
                self.set_number(register, tag, bits, float);
            }
            Type::Float => {
                let float = self.b.ins().bitcast(F64, MemFlagsData::new(), bits);
                self.set_float(register, float);
            }
            known => self.set_bits(register, known, bits),
        }
    }

    pub(super) fn copy(&mut self, dst: u16, src: u16) {
        let known = self.now[usize::from(src)];
        let (from, to) = (
            self.scope.registers[usize::from(src)],
            self.scope.registers[usize::from(dst)],
        );
        self.copy_value(from, to, known);
        self.now[usize::from(dst)] = known;
    }
}
