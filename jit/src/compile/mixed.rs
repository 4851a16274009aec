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

impl Lowering<'_, '_> {
    pub(super) fn mixed_arith(&mut self, op: Arith) {
        let (Arith::Add { dst, a, b }
        | Arith::Sub { dst, a, b }
        | Arith::Mul { dst, a, b }
        | Arith::Div { dst, a, b }) = op
        else {
            unreachable!("not compiled for numbers of both kinds");
        };
        if [a, b]
            .map(|of| self.now[usize::from(of.0)])
            .contains(&Type::Float)
        {
            let (a, b) = (self.any_float(a, false), self.any_float(b, false));
            let result = self.float_arith(op, a, b);
            return self.set_float(dst.0, result);
        }
        let (of, taken) = ([a, b], b);
        let is_positive = self.ranges.knows(Fact::Least(Term::int(b.0), 1));
        let done = self.b.create_block();
        let tag = self.b.append_block_param(done, I64);
        let int = self.b.append_block_param(done, I64);
        let float = self.b.append_block_param(done, F64);
        self.if_ints(a, b, |lowering, a, b| {
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
        let (a, b) = (self.any_float(a, false), self.any_float(b, false));
        let result = self.float_arith(op, a, b);
        let (is_float, none) = (self.tag(Kind::Float), self.b.ins().iconst(I64, 0));
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

    /// Compares exactly: an Int that is no Float exits unless the other is an Int, too.
    pub(super) fn mixed_order(&mut self, dst: Def, a: Use, b: Use, order: IntCC) {
        let done = self.b.create_block();
        let holds = self.b.append_block_param(done, I64);
        self.if_ints(a, b, |lowering, a, b| {
            let result = lowering.b.ins().icmp(order, a, b);
            let result = lowering.b.ins().uextend(I64, result);
            lowering.b.ins().jump(done, &[result.into()]);
        });
        let (a, b) = (self.any_float(a, true), self.any_float(b, true));
        let result = self.b.ins().fcmp(float_order(order), a, b);
        let result = self.b.ins().uextend(I64, result);
        self.b.ins().jump(done, &[result.into()]);
        self.switch_to_sealed(done);
        self.set_bits(dst.0, Type::Bool, holds);
    }

    /// Lowers what is done with two Ints, and goes on where one operand is not an Int.
    fn if_ints(&mut self, a: Use, b: Use, ints: impl FnOnce(&mut Self, ir::Value, ir::Value)) {
        let (are_ints, others) = (self.b.create_block(), self.b.create_block());
        let (left, right) = (self.int_words(a), self.int_words(b));
        let left_differs = self.b.ins().bxor_imm_s(left.0, Kind::Int as i64);
        let right_differs = self.b.ins().bxor_imm_s(right.0, Kind::Int as i64);
        let differ = self.b.ins().bor(left_differs, right_differs);
        self.b.ins().brif(differ, others, &NONE, are_ints, &NONE);
        self.switch_to_sealed(are_ints);
        ints(self, left.1, right.1);
        self.switch_to_sealed(others);
    }

    /// A number as a Float; where it must be exact, an Int that is too large exits.
    fn any_float(&mut self, register: Use, exactly: bool) -> ir::Value {
        let known = self.now[usize::from(register.0)];
        if known == Type::Float {
            return self.float(register.0);
        }
        let (tag, bits) = self.int_words(register);
        let (converted, found) = (self.b.create_block(), self.b.create_block());
        let float = self.b.append_block_param(found, F64);
        let is_float = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, tag, Kind::Float as i64);
        let same = match known {
            Type::Number => {
                let variables = self.scope.registers[usize::from(register.0)];
                self.b.use_var(variables.float)
            }
            _ => self.b.ins().bitcast(F64, MemFlagsData::new(), bits),
        };
        self.b
            .ins()
            .brif(is_float, found, &[same.into()], converted, &NONE);
        self.switch_to_sealed(converted);
        if known != Type::Number {
            let is_int = self.b.ins().icmp_imm_s(IntCC::Equal, tag, Kind::Int as i64);
            self.exit_unless(is_int, ExitReason::Kind);
        }
        if exactly {
            let moved = self.b.ins().iadd_imm_s(bits, EXACT);
            let large = self
                .b
                .ins()
                .icmp_imm_u(IntCC::UnsignedGreaterThan, moved, 2 * EXACT);
            self.exit_if(large, ExitReason::Number);
        }
        let int = self.b.ins().fcvt_from_sint(F64, bits);
        self.b.ins().jump(found, &[int.into()]);
        self.switch_to_sealed(found);
        float
    }
}
