//! Arithmetic: Int checked, Float by IEEE, mixed operands as Floats.

use pw_isa::ErrorKind;
use pw_isa::op::Arith;
use pw_isa::operand::{Def, Use};

use super::{Machine, Step, Stop};
use crate::numbers::{Number, float_max, float_min, float_mod, float_to_int, int_mod};
use crate::value::Value;

/// Why an operation on Ints has no result.
enum IntError {
    Overflow,
    Zero,
}

type IntResult = Result<i64, IntError>;

fn checked(result: Option<i64>) -> IntResult {
    result.ok_or(IntError::Overflow)
}

fn division(b: i64, result: impl FnOnce() -> Option<i64>) -> IntResult {
    if b == 0 {
        Err(IntError::Zero)
    } else {
        checked(result())
    }
}

impl Machine<'_> {
    pub(super) fn arith(&mut self, op: &Arith) -> Step {
        match *op {
            Arith::Add { dst, a, b } => {
                self.binary(dst, a, b, |a, b| checked(a.checked_add(b)), |a, b| a + b)
            }
            Arith::Sub { dst, a, b } => {
                self.binary(dst, a, b, |a, b| checked(a.checked_sub(b)), |a, b| a - b)
            }
            Arith::Mul { dst, a, b } => {
                self.binary(dst, a, b, |a, b| checked(a.checked_mul(b)), |a, b| a * b)
            }
            Arith::Div { dst, a, b } => self.binary(
                dst,
                a,
                b,
                |a, b| division(b, || a.checked_div(b)),
                |a, b| a / b,
            ),
            Arith::Quot { dst, a, b } => self.binary(
                dst,
                a,
                b,
                |a, b| division(b, || a.checked_div(b)),
                |a, b| libm::trunc(a / b),
            ),
            Arith::Rem { dst, a, b } => self.binary(
                dst,
                a,
                b,
                |a, b| division(b, || Some(a.wrapping_rem(b))),
                libm::fmod,
            ),
            Arith::Mod { dst, a, b } => self.binary(
                dst,
                a,
                b,
                |a, b| division(b, || Some(int_mod(a, b))),
                float_mod,
            ),
            Arith::Min { dst, a, b } => self.binary(dst, a, b, |a, b| Ok(a.min(b)), float_min),
            Arith::Max { dst, a, b } => self.binary(dst, a, b, |a, b| Ok(a.max(b)), float_max),
            Arith::Neg { dst, a } => self.unary(dst, a, |a| checked(a.checked_neg()), |a| -a),
            Arith::Abs { dst, a } => self.unary(dst, a, |a| checked(a.checked_abs()), f64::abs),
            Arith::WrapAdd { dst, a, b } => self.bits(dst, a, b, i64::wrapping_add),
            Arith::WrapSub { dst, a, b } => self.bits(dst, a, b, i64::wrapping_sub),
            Arith::WrapMul { dst, a, b } => self.bits(dst, a, b, i64::wrapping_mul),
            Arith::BitAnd { dst, a, b } => self.bits(dst, a, b, |a, b| a & b),
            Arith::BitOr { dst, a, b } => self.bits(dst, a, b, |a, b| a | b),
            Arith::BitXor { dst, a, b } => self.bits(dst, a, b, |a, b| a ^ b),
            Arith::BitNot { dst, a } => {
                let a = self.int(a)?;
                self.set(dst, Value::int(!a))
            }
            Arith::Shl { dst, a, b } => self.bits(dst, a, b, |a, b| a.wrapping_shl(b as u32)),
            Arith::Shr { dst, a, b } => self.bits(dst, a, b, |a, b| a.wrapping_shr(b as u32)),
            Arith::Ushr { dst, a, b } => {
                self.bits(dst, a, b, |a, b| (a as u64).wrapping_shr(b as u32) as i64)
            }
            Arith::ToInt { dst, a } => match self.number(a)? {
                Number::Int(a) => self.set(dst, Value::int(a)),
                Number::Float(a) => match float_to_int(a) {
                    Some(a) => self.set(dst, Value::int(a)),
                    None => Err(overflow()),
                },
            },
        }
    }

    pub(super) fn number(&self, register: Use) -> Result<Number, Stop> {
        let value = self.get(register);
        Number::of(value).ok_or_else(|| self.mismatch("a number", value))
    }

    pub(super) fn int(&self, register: Use) -> Result<i64, Stop> {
        let value = self.get(register);
        value.as_int().ok_or_else(|| self.mismatch("an int", value))
    }

    fn binary(
        &mut self,
        dst: Def,
        a: Use,
        b: Use,
        ints: impl FnOnce(i64, i64) -> IntResult,
        floats: impl FnOnce(f64, f64) -> f64,
    ) -> Step {
        match (self.number(a)?, self.number(b)?) {
            (Number::Int(a), Number::Int(b)) => self.set_int(dst, ints(a, b)),
            (a, b) => self.set(dst, Value::float(floats(a.to_float(), b.to_float()))),
        }
    }

    fn unary(
        &mut self,
        dst: Def,
        a: Use,
        int: impl FnOnce(i64) -> IntResult,
        float: impl FnOnce(f64) -> f64,
    ) -> Step {
        match self.number(a)? {
            Number::Int(a) => self.set_int(dst, int(a)),
            Number::Float(a) => self.set(dst, Value::float(float(a))),
        }
    }

    fn bits(&mut self, dst: Def, a: Use, b: Use, result: impl FnOnce(i64, i64) -> i64) -> Step {
        let (a, b) = (self.int(a)?, self.int(b)?);
        self.set(dst, Value::int(result(a, b)))
    }

    fn set_int(&mut self, dst: Def, result: IntResult) -> Step {
        match result {
            Ok(result) => self.set(dst, Value::int(result)),
            Err(IntError::Overflow) => Err(overflow()),
            Err(IntError::Zero) => Err(Stop::Error(
                ErrorKind::DivisionByZero,
                "an int divided by zero".to_owned(),
            )),
        }
    }
}

fn overflow() -> Stop {
    Stop::Error(
        ErrorKind::ArithmeticOverflow,
        "the result does not fit in an int".to_owned(),
    )
}
