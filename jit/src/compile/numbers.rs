//! Arithmetic and comparisons.

use cranelift_codegen::ir::condcodes::{CondCode, FloatCC, IntCC};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::op::{Arith, Compare, Float};
use pw_isa::operand::{Def, Use};
use pw_isa::{Kind, KindSet};

use super::facts::{Fact, Term};
use super::lower::{Lowering, NONE};
use super::state::ExitReason;
use super::types::{Plan, Type};

impl Lowering<'_, '_> {
    fn ints(&mut self, a: Use, b: Use) -> (ir::Value, ir::Value) {
        self.guard(a.0, Type::Int);
        self.guard(b.0, Type::Int);
        (self.bits(a.0), self.bits(b.0))
    }

    /// Two numbers as Floats.
    fn floats(&mut self, a: Use, b: Use) -> (ir::Value, ir::Value) {
        for register in [a.0, b.0] {
            let wanted = self.wanted(register);
            self.guard(register, wanted);
        }
        (self.float(a.0), self.float(b.0))
    }

    pub(super) fn arith(&mut self, op: Arith, plan: Plan) {
        match plan {
            Plan::Floats => return self.arith_of_floats(op),
            Plan::Mixed => return self.mixed_arith(op),
            _ => {}
        }
        let op = self.unchecked(op);
        match op {
            Arith::Add { dst, a, b } => {
                let of = [a, b];
                let (a, b) = self.ints(a, b);
                let (sum, overflow) = self.sum(of, a, b);
                self.checked(dst, sum, overflow);
            }
            Arith::Sub { dst, a, b } => {
                let taken = b;
                let (a, b) = self.ints(a, b);
                let (difference, overflow) = self.difference(taken, a, b);
                self.checked(dst, difference, overflow);
            }
            Arith::Mul { dst, a, b } => {
                let (a, b) = self.ints(a, b);
                let (product, overflow) = self.b.ins().smul_overflow(a, b);
                self.checked(dst, product, overflow);
            }
            Arith::Div { dst, a, b } | Arith::Quot { dst, a, b } => {
                let is_positive = self.ranges.knows(Fact::Least(Term::int(b.0), 1));
                let (a, b) = self.ints(a, b);
                self.divisor(b, is_positive);
                let quotient = self.b.ins().sdiv(a, b);
                self.set_bits(dst.0, Type::Int, quotient);
            }
            Arith::Rem { dst, a, b } => {
                let is_positive = self.ranges.knows(Fact::Least(Term::int(b.0), 1));
                let (a, b) = self.ints(a, b);
                self.divisor(b, is_positive);
                let rest = self.b.ins().srem(a, b);
                self.set_bits(dst.0, Type::Int, rest);
            }
            Arith::Mod { dst, a, b } => {
                let is_positive = self.ranges.knows(Fact::Least(Term::int(b.0), 1));
                let (a, b) = self.ints(a, b);
                self.divisor(b, is_positive);
                let rest = self.b.ins().srem(a, b);
                self.floor(dst, rest, b);
            }
            Arith::Neg { dst, a } => {
                self.guard(a.0, Type::Int);
                let a = self.bits(a.0);
                let zero = self.b.ins().iconst(I64, 0);
                let (negated, overflow) = self.b.ins().ssub_overflow(zero, a);
                self.checked(dst, negated, overflow);
            }
            Arith::Abs { dst, a } => {
                self.guard(a.0, Type::Int);
                let a = self.bits(a.0);
                let least = self.b.ins().icmp_imm_s(IntCC::Equal, a, i64::MIN);
                self.exit_if(least, ExitReason::Number);
                let result = self.b.ins().iabs(a);
                self.set_bits(dst.0, Type::Int, result);
            }
            Arith::BitNot { dst, a } => {
                self.guard(a.0, Type::Int);
                let a = self.bits(a.0);
                let result = self.b.ins().bnot(a);
                self.set_bits(dst.0, Type::Int, result);
            }
            _ => self.wrapping(op),
        }
    }

    /// The operation without a test for overflow, where none can be.
    fn unchecked(&self, op: Arith) -> Arith {
        match op {
            Arith::Add { dst, a, b } if self.ranges.fits(&op) => Arith::WrapAdd { dst, a, b },
            Arith::Sub { dst, a, b } if self.ranges.fits(&op) => Arith::WrapSub { dst, a, b },
            Arith::Mul { dst, a, b } if self.ranges.fits(&op) => Arith::WrapMul { dst, a, b },
            other => other,
        }
    }

    /// Operations on two Ints that always have a result.
    fn wrapping(&mut self, op: Arith) {
        let (dst, a, b) = match op {
            Arith::Min { dst, a, b }
            | Arith::Max { dst, a, b }
            | Arith::WrapAdd { dst, a, b }
            | Arith::WrapSub { dst, a, b }
            | Arith::WrapMul { dst, a, b }
            | Arith::BitAnd { dst, a, b }
            | Arith::BitOr { dst, a, b }
            | Arith::BitXor { dst, a, b }
            | Arith::Shl { dst, a, b }
            | Arith::Shr { dst, a, b }
            | Arith::Ushr { dst, a, b } => (dst, a, b),
            _ => unreachable!("not an operation on two Ints"),
        };
        let (a, b) = self.ints(a, b);
        let ins = self.b.ins();
        // Shifts count modulo 64, like the processor's.
        let result = match op {
            Arith::Min { .. } => ins.smin(a, b),
            Arith::Max { .. } => ins.smax(a, b),
            Arith::WrapAdd { .. } => ins.iadd(a, b),
            Arith::WrapSub { .. } => ins.isub(a, b),
            Arith::WrapMul { .. } => ins.imul(a, b),
            Arith::BitAnd { .. } => ins.band(a, b),
            Arith::BitOr { .. } => ins.bor(a, b),
            Arith::BitXor { .. } => ins.bxor(a, b),
            Arith::Shl { .. } => ins.ishl(a, b),
            Arith::Shr { .. } => ins.sshr(a, b),
            _ => ins.ushr(a, b),
        };
        self.set_bits(dst.0, Type::Int, result);
    }

    fn arith_of_floats(&mut self, op: Arith) {
        let (dst, result) = match op {
            Arith::Add { dst, a, b } => {
                let (a, b) = self.floats(a, b);
                (dst, self.b.ins().fadd(a, b))
            }
            Arith::Sub { dst, a, b } => {
                let (a, b) = self.floats(a, b);
                (dst, self.b.ins().fsub(a, b))
            }
            Arith::Mul { dst, a, b } => {
                let (a, b) = self.floats(a, b);
                (dst, self.b.ins().fmul(a, b))
            }
            Arith::Div { dst, a, b } => {
                let (a, b) = self.floats(a, b);
                (dst, self.b.ins().fdiv(a, b))
            }
            Arith::Neg { dst, a } => {
                self.guard(a.0, Type::Float);
                let a = self.float(a.0);
                (dst, self.b.ins().fneg(a))
            }
            _ => unreachable!("not compiled for Floats"),
        };
        self.set_float(dst.0, result);
    }

    pub(super) fn float_function(&mut self, op: Float) {
        let (Float::ToFloat { dst, a } | Float::Sqrt { dst, a }) = op else {
            unreachable!("done by a handler");
        };
        let wanted = self.wanted(a.0);
        self.guard(a.0, wanted);
        let number = self.float(a.0);
        let result = match op {
            Float::Sqrt { .. } => self.b.ins().sqrt(number),
            _ => number,
        };
        self.set_float(dst.0, result);
    }

    fn checked(&mut self, dst: Def, result: ir::Value, overflow: ir::Value) {
        self.exit_if(overflow, ExitReason::Number);
        self.set_bits(dst.0, Type::Int, result);
    }

    /// How a sum compares with one of its summands if it overflows: that tells where the other's sign is known.
    fn overflow_by(&self, other: Use) -> Option<IntCC> {
        let other = Term::int(other.0);
        if self.ranges.knows(Fact::Least(other, 0)) {
            Some(IntCC::SignedLessThan)
        } else if self.ranges.knows(Fact::Most(other, 0)) {
            Some(IntCC::SignedGreaterThan)
        } else {
            None
        }
    }

    /// The sum of two registers with these Ints, and whether it overflows. Where a sign is known, one
    /// comparison that the branch on it is part of tells that.
    pub(super) fn sum(
        &mut self,
        of: [Use; 2],
        a: ir::Value,
        b: ir::Value,
    ) -> (ir::Value, ir::Value) {
        let (order, summand) = match (self.overflow_by(of[0]), self.overflow_by(of[1])) {
            (_, Some(order)) => (order, a),
            (Some(order), None) => (order, b),
            (None, None) => return self.b.ins().sadd_overflow(a, b),
        };
        let sum = self.b.ins().iadd(a, b);
        (sum, self.b.ins().icmp(order, sum, summand))
    }

    /// A difference, where this register has been taken off, and whether it overflows.
    pub(super) fn difference(
        &mut self,
        taken: Use,
        a: ir::Value,
        b: ir::Value,
    ) -> (ir::Value, ir::Value) {
        let Some(order) = self.overflow_by(taken) else {
            return self.b.ins().ssub_overflow(a, b);
        };
        let difference = self.b.ins().isub(a, b);
        let order = order.swap_args();
        (difference, self.b.ins().icmp(order, difference, a))
    }

    /// Leaves division by 0, which fails, and by -1, which can overflow, to the interpreter.
    pub(super) fn divisor(&mut self, b: ir::Value, is_positive: bool) {
        if is_positive {
            return;
        }
        let more = self.b.ins().iadd_imm_s(b, 1);
        let bad = self
            .b
            .ins()
            .icmp_imm_s(IntCC::UnsignedLessThanOrEqual, more, 1);
        self.exit_if(bad, ExitReason::Number);
    }

    /// From the remainder of truncating division to that of flooring division.
    fn floor(&mut self, dst: Def, rest: ir::Value, b: ir::Value) {
        let mixed = self.b.ins().bxor(rest, b);
        let other_sign = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, mixed, 0);
        let some = self.b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
        let adjust = self.b.ins().band(other_sign, some);
        let moved = self.b.ins().iadd(rest, b);
        let result = self.b.ins().select(adjust, moved, rest);
        self.set_bits(dst.0, Type::Int, result);
    }

    pub(super) fn compare(&mut self, op: Compare, plan: Plan) {
        if let (
            Some(truth),
            Compare::Not { dst, .. } | Compare::Is { dst, .. } | Compare::Eq { dst, .. },
        ) = (self.scope.evidence.known_outcome(&op, &self.now), op)
        {
            return self.truth_is(dst, truth);
        }
        let (dst, holds) = match op {
            Compare::Eq { dst, a, b } if plan == Plan::Text => return self.is_text(dst, a, b),
            Compare::Not { dst, a } => {
                let truth = self.truth(a.0);
                (dst, self.b.ins().icmp_imm_s(IntCC::Equal, truth, 0))
            }
            Compare::Is { dst, a, kinds } => (dst, self.is(a, kinds.0)),
            Compare::Eq { dst, a, b } => {
                let (left, right) = (self.reference(a.0), self.reference(b.0));
                let tags = self.b.ins().icmp(IntCC::Equal, left.0, right.0);
                let bits = self.b.ins().icmp(IntCC::Equal, left.1, right.1);
                (dst, self.b.ins().band(tags, bits))
            }
            Compare::Lt { dst, a, b } => {
                return self.order(plan, dst, (a, b), IntCC::SignedLessThan);
            }
            Compare::Le { dst, a, b } => {
                return self.order(plan, dst, (a, b), IntCC::SignedLessThanOrEqual);
            }
            Compare::Gt { dst, a, b } => {
                return self.order(plan, dst, (a, b), IntCC::SignedGreaterThan);
            }
            Compare::Ge { dst, a, b } => {
                return self.order(plan, dst, (a, b), IntCC::SignedGreaterThanOrEqual);
            }
            Compare::NumEq { dst, a, b } => return self.order(plan, dst, (a, b), IntCC::Equal),
            Compare::NumNe { dst, a, b } => return self.order(plan, dst, (a, b), IntCC::NotEqual),
            Compare::Equal { .. } => unreachable!("done by a handler"),
        };
        let word = self.b.ins().uextend(I64, holds);
        self.set_bits(dst.0, Type::Bool, word);
    }

    /// Whether a value is a text that is a constant: a constant of the same program is if it stands in the
    /// same place.
    fn is_text(&mut self, dst: Def, a: Use, b: Use) {
        let Some((text, other)) = self.scope.evidence.compared_text(a, b, &self.now) else {
            unreachable!("one operand is a constant text");
        };
        let (same_kind, constant, elsewhere, done) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        self.b.set_cold_block(elsewhere);
        self.b.append_block_param(done, I64);
        let (tag, bits) = self.value(other);
        let no = self.b.ins().iconst(I64, 0);
        let kinds = self.b.ins().bxor_imm_s(tag, text.tag as i64);
        let kinds = self.b.ins().band_imm_s(kinds, 0xff);
        self.b
            .ins()
            .brif(kinds, done, &[no.into()], same_kind, &NONE);
        self.switch_to_sealed(same_kind);
        let wanted = self.constant_bits(text);
        let distance = self.b.ins().bxor(bits, wanted);
        let program = self.b.ins().ushr_imm_u(distance, 32);
        let is_constant = self.b.ins().icmp_imm_s(IntCC::Equal, tag, text.tag as i64);
        let is_own = self.b.ins().icmp_imm_s(IntCC::Equal, program, 0);
        let is_own = self.b.ins().band(is_constant, is_own);
        self.b.ins().brif(is_own, constant, &NONE, elsewhere, &NONE);
        self.switch_to_sealed(constant);
        let same = self.b.ins().icmp_imm_s(IntCC::Equal, distance, 0);
        let same = self.b.ins().uextend(I64, same);
        self.b.ins().jump(done, &[same.into()]);
        self.end_question(dst, elsewhere, done);
    }

    /// Lets a routine answer elsewhere, and goes on behind the question with the answer that was passed there.
    fn end_question(&mut self, dst: Def, elsewhere: ir::Block, done: ir::Block) {
        self.switch_to_sealed(elsewhere);
        self.do_aside();
        let by_routine = self.bits(dst.0);
        self.b.ins().jump(done, &[by_routine.into()]);
        self.switch_to_sealed(done);
        let answer = self.b.block_params(done)[0];
        self.set_bits(dst.0, Type::Bool, answer);
    }

    /// `eq?` or `equal?` of any two values: the same words, or values of different kinds, or of one of the kinds of which words tell.
    /// The routine looks at what others say.
    pub(super) fn same(&mut self, op: Compare, dst: Def, (a, b): (Use, Use), words_tell: KindSet) {
        if let Some(truth) = self.scope.evidence.known_outcome(&op, &self.now) {
            return self.truth_is(dst, truth);
        }
        let (one_kind, different, elsewhere, done) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        let seen = self.scope.evidence.site(self.pc).kinds;
        if seen.0 & !words_tell.0 == 0 {
            self.b.set_cold_block(elsewhere);
        }
        self.b.append_block_param(done, I64);
        let (left, right) = (self.value(a.0), self.value(b.0));
        let [no, yes] = [0, 1].map(|truth| self.b.ins().iconst(I64, truth));
        let kinds = self.b.ins().bxor(left.0, right.0);
        let kinds = self.b.ins().band_imm_s(kinds, 0xff);
        let no = [no.into()];
        self.b.ins().brif(kinds, done, &no, one_kind, &NONE);
        self.switch_to_sealed(one_kind);
        let tags = self.b.ins().icmp(IntCC::Equal, left.0, right.0);
        let bits = self.b.ins().icmp(IntCC::Equal, left.1, right.1);
        let same = self.b.ins().band(tags, bits);
        self.b
            .ins()
            .brif(same, done, &[yes.into()], different, &NONE);
        self.switch_to_sealed(different);
        let told = self.is_of(left.0, words_tell);
        self.b.ins().brif(told, done, &no, elsewhere, &NONE);
        self.end_question(dst, elsewhere, done);
    }

    fn order(&mut self, plan: Plan, dst: Def, (a, b): (Use, Use), order: IntCC) {
        let holds = match plan {
            Plan::Mixed => return self.mixed_order(dst, a, b, order),
            Plan::Ints => {
                let (a, b) = self.ints(a, b);
                self.b.ins().icmp(order, a, b)
            }
            _ => {
                let (a, b) = self.floats(a, b);
                self.b.ins().fcmp(float_order(order), a, b)
            }
        };
        let word = self.b.ins().uextend(I64, holds);
        self.set_bits(dst.0, Type::Bool, word);
    }

    /// Whether the kind of a value is one of a set.
    fn is(&mut self, a: Use, kinds: KindSet) -> ir::Value {
        let (tag, _) = self.reference(a.0);
        self.is_of(tag, kinds)
    }

    /// The same of a value with this tag.
    fn is_of(&mut self, tag: ir::Value, kinds: KindSet) -> ir::Value {
        let kind = self.b.ins().band_imm_s(tag, 0xf);
        let set = self.b.ins().iconst(I64, i64::from(kinds.0));
        let shifted = self.b.ins().ushr(set, kind);
        let bit = self.b.ins().band_imm_s(shifted, 1);
        self.b.ins().icmp_imm_s(IntCC::NotEqual, bit, 0)
    }
}

/// The order of Floats that an order of Ints is.
pub(super) fn float_order(order: IntCC) -> FloatCC {
    match order {
        IntCC::SignedLessThan => FloatCC::LessThan,
        IntCC::SignedLessThanOrEqual => FloatCC::LessThanOrEqual,
        IntCC::SignedGreaterThan => FloatCC::GreaterThan,
        IntCC::SignedGreaterThanOrEqual => FloatCC::GreaterThanOrEqual,
        IntCC::Equal => FloatCC::Equal,
        _ => FloatCC::NotEqual,
    }
}

const _: () = assert!(Kind::ALL.len() <= 16, "a kind fits in four bits");
