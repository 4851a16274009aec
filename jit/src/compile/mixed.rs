//! Arithmetic and comparisons of numbers of which each may be an Int or a Float, as what was seen says: both
//! ways are compiled, and the result is of either kind, unless one is known to be a Float. Anything else than a
//! number exits.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I64};
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData};
use pw_isa::Kind;
use pw_isa::op::Arith;
use pw_isa::operand::{Def, Use};

use super::facts::{Fact, Term};
use super::lower::{Lowering, NONE};
use super::numbers::float_order;
use super::state::ExitReason;
use super::types::Type;

/// Ints nearer to 0 than this are Floats without loss.
const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;

/// Ints that meet Floats.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ints {
    /// They become the nearest Float.
    Rounded,
    /// The same, and in this register there are few, unless it is known for one: what is done with them stands aside.
    RareIn(u16),
    /// One that is no Float exits.
    Exact,
}

impl Lowering<'_, '_> {
    pub(super) fn mixed_arith(&mut self, op: Arith) {
        let (Arith::Add { dst, a, b }
        | Arith::Sub { dst, a, b }
        | Arith::Mul { dst, a, b }
        | Arith::Div { dst, a, b }) = op
        else {
            unreachable!("not compiled for numbers of both kinds");
        };
        let is_float = |of: Use| self.now[usize::from(of.0)] == Type::Float;
        if is_float(a) || is_float(b) {
            // What a loop adds Floats to is an Int in its first round at most. What is read anew in each round may be one in any, at the cost of two
            // jumps.
            let ints = Ints::RareIn(dst.0);
            let (a, b) = self.any_floats(a, b, ints, |_, _, _| {});
            let result = self.float_arith(op, a, b);
            return self.set_float(dst.0, result);
        }
        let (of, taken) = ([a, b], b);
        let is_positive = self.ranges.knows(Fact::Least(Term::int(b.0), 1));
        let done = self.b.create_block();
        let tag = self.b.append_block_param(done, I64);
        let int = self.b.append_block_param(done, I64);
        let float = self.b.append_block_param(done, F64);
        // What a number is not has any value: one that is at hand takes no instruction.
        let none = self.int_words(a).1;
        let (a, b) = self.any_floats(a, b, Ints::Rounded, |lowering, a, b| {
            let (result, overflow) = match op {
                Arith::Add { .. } => lowering.sum(of, a, b),
                Arith::Sub { .. } => lowering.difference(taken, a, b),
                Arith::Mul { .. } => lowering.b.ins().smul_overflow(a, b),
                _ => {
                    lowering.divisor(b, is_positive);
                    let quotient = lowering.b.ins().sdiv(a, b);
                    (quotient, lowering.b.ins().iconst(I64, 0))
                }
            };
            if !matches!(op, Arith::Div { .. }) {
                lowering.exit_if(overflow, ExitReason::Number);
            }
            let (tag, none) = (lowering.tag(Kind::Int), lowering.b.ins().f64const(0.0));
            let number = [tag.into(), result.into(), none.into()];
            lowering.b.ins().jump(done, &number);
        });
        let result = self.float_arith(op, a, b);
        let is_float = self.tag(Kind::Float);
        let number = [is_float.into(), none.into(), result.into()];
        self.b.ins().jump(done, &number);
        self.switch_to_sealed(done);
        self.set_number(dst.0, tag, int, float);
    }

    fn float_arith(&mut self, op: Arith, a: ir::Value, b: ir::Value) -> ir::Value {
        match op {
            Arith::Add { .. } => self.b.ins().fadd(a, b),
            Arith::Sub { .. } => self.b.ins().fsub(a, b),
            Arith::Mul { .. } => self.b.ins().fmul(a, b),
            _ => self.b.ins().fdiv(a, b),
        }
    }

    /// Compares exactly: an Int that is no Float exits unless the other is an Int, too.
    pub(super) fn mixed_order(&mut self, dst: Def, a: Use, b: Use, order: IntCC) {
        let done = self.b.create_block();
        let holds = self.b.append_block_param(done, I64);
        let (a, b) = self.any_floats(a, b, Ints::Exact, |lowering, a, b| {
            let result = lowering.b.ins().icmp(order, a, b);
            let result = lowering.b.ins().uextend(I64, result);
            lowering.b.ins().jump(done, &[result.into()]);
        });
        let result = self.b.ins().fcmp(float_order(order), a, b);
        let result = self.b.ins().uextend(I64, result);
        self.b.ins().jump(done, &[result.into()]);
        self.switch_to_sealed(done);
        self.set_bits(dst.0, Type::Bool, holds);
    }

    /// Lowers what is done with two Ints, which goes on elsewhere, and goes on with two numbers as Floats where one is
    /// not an Int: each way asks either number for its kind once.
    fn any_floats(
        &mut self,
        a: Use,
        b: Use,
        mixed_ints: Ints,
        ints: impl FnOnce(&mut Self, ir::Value, ir::Value),
    ) -> (ir::Value, ir::Value) {
        let floats = self.b.create_block();
        let left = self.b.append_block_param(floats, F64);
        let right = self.b.append_block_param(floats, F64);
        let (int, other) = self.by_kind(a, Kind::Int);
        if let Some(int) = int {
            self.switch_to_sealed(int);
            let (both, mixed) = self.by_kind(b, Kind::Int);
            if let Some(both) = both {
                self.switch_to_sealed(both);
                let (a, b) = (self.int_words(a).1, self.int_words(b).1);
                ints(self, a, b);
            }
            if let Some(mixed) = mixed {
                self.switch_to_sealed(mixed);
                let float = self.sure_float(b);
                let int = self.converted(a, mixed_ints);
                self.b.ins().jump(floats, &[int.into(), float.into()]);
            }
        }
        if let Some(other) = other {
            self.switch_to_sealed(other);
            let float = self.sure_float(a);
            let (both, mixed) = self.by_kind(b, Kind::Float);
            if let Some(both) = both {
                self.switch_to_sealed(both);
                let other = self.float_of(b);
                self.b.ins().jump(floats, &[float.into(), other.into()]);
            }
            if let Some(mixed) = mixed {
                self.switch_to_sealed(mixed);
                self.sure_int(b);
                let int = self.converted(b, mixed_ints);
                self.b.ins().jump(floats, &[float.into(), int.into()]);
            }
        }
        self.switch_to_sealed(floats);
        (left, right)
    }

    /// Branches on whether a register is of a kind: where control goes if it is and if it is not, as far as it can.
    fn by_kind(&mut self, register: Use, kind: Kind) -> (Option<ir::Block>, Option<ir::Block>) {
        match self.now[usize::from(register.0)].tag() {
            Some(tag) => {
                let next = self.b.create_block();
                self.b.ins().jump(next, &NONE);
                match tag == kind as u64 {
                    true => (Some(next), None),
                    false => (None, Some(next)),
                }
            }
            None => {
                let (is, is_not) = (self.b.create_block(), self.b.create_block());
                let (tag, _) = self.int_words(register);
                let right = self.b.ins().icmp_imm_s(IntCC::Equal, tag, kind as i64);
                self.b.ins().brif(right, is, &NONE, is_not, &NONE);
                (Some(is), Some(is_not))
            }
        }
    }

    /// The Float in a register that is not an Int; anything else than a number exits.
    fn sure_float(&mut self, register: Use) -> ir::Value {
        let known = self.now[usize::from(register.0)];
        if !matches!(known, Type::Float | Type::Number) {
            self.is_sure(register, Kind::Float);
        }
        self.float_of(register)
    }

    /// The Float in a register that holds one.
    fn float_of(&mut self, register: Use) -> ir::Value {
        match self.now[usize::from(register.0)] {
            Type::Float | Type::Number => {
                let variables = self.scope.registers[usize::from(register.0)];
                self.b.use_var(variables.float)
            }
            _ => {
                let (_, bits) = self.value(register.0);
                self.b.ins().bitcast(F64, MemFlagsData::new(), bits)
            }
        }
    }

    /// Exits unless a register that is not a Float is an Int.
    fn sure_int(&mut self, register: Use) {
        let known = self.now[usize::from(register.0)];
        if !matches!(known, Type::Int | Type::Number) {
            self.is_sure(register, Kind::Int);
        }
    }

    fn is_sure(&mut self, register: Use, kind: Kind) {
        let (tag, _) = self.value(register.0);
        let right = self.b.ins().icmp_imm_s(IntCC::Equal, tag, kind as i64);
        self.exit_unless(right, ExitReason::Kind);
    }

    /// An Int as a Float; nothing else is done in the block.
    fn converted(&mut self, register: Use, ints: Ints) -> ir::Value {
        let (_, bits) = self.int_words(register);
        let is_known = self.now[usize::from(register.0)].tag().is_some();
        if ints == Ints::RareIn(register.0)
            && !is_known
            && let Some(block) = self.b.current_block()
        {
            self.b.set_cold_block(block);
        }
        if ints == Ints::Exact {
            let moved = self.b.ins().iadd_imm_s(bits, EXACT);
            let large = self
                .b
                .ins()
                .icmp_imm_u(IntCC::UnsignedGreaterThan, moved, 2 * EXACT);
            self.exit_if(large, ExitReason::Number);
        }
        self.b.ins().fcvt_from_sint(F64, bits)
    }

    /// Tag and bits of a number, where the bits are looked at only if it is an Int.
    fn int_words(&mut self, register: Use) -> (ir::Value, ir::Value) {
        let variables = self.scope.registers[usize::from(register.0)];
        match self.now[usize::from(register.0)] {
            Type::Number => (
                self.b.use_var(variables.tag),
                self.b.use_var(variables.bits),
            ),
            _ => self.value(register.0),
        }
    }
}
