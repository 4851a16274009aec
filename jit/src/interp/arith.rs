//! Arithmetic: Ints that do not overflow, Floats, and both together.

use super::form::{Code, Instruction};
use super::hot::Hot;
use crate::numbers::{Number, float_max, float_min, float_mod, float_to_int, int_mod};
use crate::value::Value;
use pw_isa::Kind;
use pw_isa::op::Float;
use pw_isa::operand::{Def, Use};

const INT: u64 = Kind::Int as u64;
const FLOAT: u64 = Kind::Float as u64;

/// The functions of the library, computed in software; [`library_call`] knows their places.
const LIBRARY: [fn(f64) -> f64; 10] = [
    libm::floor,
    libm::ceil,
    libm::round,
    libm::trunc,
    libm::exp,
    libm::log,
    libm::sin,
    libm::cos,
    libm::tan,
    libm::atan,
];
const LIBRARY_OF_TWO: [fn(f64, f64) -> f64; 2] = [libm::atan2, libm::pow];

/// What calls a function of the library: the code, its place there, and its registers.
pub(super) fn library_call(op: Float) -> Option<(Code, i32, Def, [Use; 2])> {
    let (place, dst, a) = match op {
        Float::Floor { dst, a } => (0, dst, a),
        Float::Ceil { dst, a } => (1, dst, a),
        Float::Round { dst, a } => (2, dst, a),
        Float::Trunc { dst, a } => (3, dst, a),
        Float::Exp { dst, a } => (4, dst, a),
        Float::Log { dst, a } => (5, dst, a),
        Float::Sin { dst, a } => (6, dst, a),
        Float::Cos { dst, a } => (7, dst, a),
        Float::Tan { dst, a } => (8, dst, a),
        Float::Atan { dst, a } => (9, dst, a),
        Float::Atan2 { dst, a, b } => return Some((Code::LibraryOfTwo, 0, dst, [a, b])),
        Float::Pow { dst, a, b } => return Some((Code::LibraryOfTwo, 1, dst, [a, b])),
        Float::ToFloat { .. } | Float::Sqrt { .. } => return None,
    };
    Some((Code::Library, place, dst, [a, a]))
}

/// Shifts right by a count modulo 64, filling with zeros.
pub(super) fn shift_right_zero(a: i64, b: i64) -> i64 {
    (a as u64).wrapping_shr(b as u32) as i64
}

/// `mod` by a number above 0.
#[inline(always)]
pub(super) fn positive_mod(a: i64, b: i64) -> i64 {
    let rest = a % b;
    if rest < 0 { rest + b } else { rest }
}

/// Two values as Ints.
#[inline(always)]
pub(super) fn ints(a: Value, b: Value) -> Option<(i64, i64)> {
    ((a.tag ^ INT) | (b.tag ^ INT) == 0).then_some((a.bits as i64, b.bits as i64))
}

/// Two numbers as Floats, when at least one is.
#[inline(always)]
pub(super) fn floats(a: Value, b: Value) -> Option<(f64, f64)> {
    if (a.tag ^ FLOAT) | (b.tag ^ FLOAT) == 0 {
        return Some((f64::from_bits(a.bits), f64::from_bits(b.bits)));
    }
    Some((Number::of(a)?.to_float(), Number::of(b)?.to_float()))
}

/// The result of an operation on two Ints or on numbers of which at least one is a Float.
#[inline(always)]
fn arith(
    a: Value,
    b: Value,
    int: impl FnOnce(i64, i64) -> Option<i64>,
    float: impl FnOnce(f64, f64) -> f64,
) -> Option<Value> {
    if let Some((a, b)) = ints(a, b) {
        return int(a, b).map(Value::int);
    }
    floats(a, b).map(|(a, b)| Value::float(float(a, b)))
}

/// The sum of a value and a small number.
#[inline(always)]
pub(super) fn plus(a: Value, number: i32) -> Option<Value> {
    if a.tag == INT {
        return (a.bits as i64)
            .checked_add(i64::from(number))
            .map(Value::int);
    }
    (a.tag == FLOAT).then(|| Value::float(f64::from_bits(a.bits) + f64::from(number)))
}

impl Hot<'_> {
    #[inline(always)]
    fn arith(
        &mut self,
        i: &Instruction,
        int: impl FnOnce(i64, i64) -> Option<i64>,
        float: impl FnOnce(f64, f64) -> f64,
    ) -> bool {
        match arith(self.get(i.b), self.get(i.c), int, float) {
            Some(result) => self.set(i.a, result),
            None => false,
        }
    }

    /// The second operand is entry `imm` of the program's values.
    #[inline(always)]
    fn arith_value(
        &mut self,
        i: &Instruction,
        int: impl FnOnce(i64, i64) -> Option<i64>,
        float: impl FnOnce(f64, f64) -> f64,
    ) -> bool {
        match arith(self.get(i.b), self.value(i.imm as usize), int, float) {
            Some(result) => self.set(i.a, result),
            None => false,
        }
    }

    #[inline(always)]
    fn arith_imm(
        &mut self,
        i: &Instruction,
        int: impl FnOnce(i64, i64) -> Option<i64>,
        float: impl FnOnce(f64, f64) -> f64,
    ) -> bool {
        let a = self.get(i.b);
        if a.tag == INT {
            return match int(a.bits as i64, i64::from(i.imm)) {
                Some(result) => self.set(i.a, Value::int(result)),
                None => false,
            };
        }
        a.tag == FLOAT
            && self.set(
                i.a,
                Value::float(float(f64::from_bits(a.bits), f64::from(i.imm))),
            )
    }

    #[inline(always)]
    pub(super) fn add(&mut self, i: &Instruction) -> bool {
        self.arith(i, i64::checked_add, |a, b| a + b)
    }

    #[inline(always)]
    pub(super) fn sub(&mut self, i: &Instruction) -> bool {
        self.arith(i, i64::checked_sub, |a, b| a - b)
    }

    #[inline(always)]
    pub(super) fn mul(&mut self, i: &Instruction) -> bool {
        self.arith(i, i64::checked_mul, |a, b| a * b)
    }

    #[inline(always)]
    pub(super) fn div(&mut self, i: &Instruction) -> bool {
        self.arith(i, i64::checked_div, |a, b| a / b)
    }

    #[inline(always)]
    pub(super) fn quot(&mut self, i: &Instruction) -> bool {
        self.arith(i, i64::checked_div, |a, b| libm::trunc(a / b))
    }

    #[inline(always)]
    pub(super) fn rem(&mut self, i: &Instruction) -> bool {
        self.arith(i, |a, b| (b != 0).then(|| a.wrapping_rem(b)), libm::fmod)
    }

    #[inline(always)]
    pub(super) fn modulo(&mut self, i: &Instruction) -> bool {
        self.arith(i, |a, b| (b != 0).then(|| int_mod(a, b)), float_mod)
    }

    #[inline(always)]
    pub(super) fn min(&mut self, i: &Instruction) -> bool {
        self.arith(i, |a, b| Some(a.min(b)), float_min)
    }

    #[inline(always)]
    pub(super) fn max(&mut self, i: &Instruction) -> bool {
        self.arith(i, |a, b| Some(a.max(b)), float_max)
    }

    #[inline(always)]
    pub(super) fn neg(&mut self, i: &Instruction) -> bool {
        let a = self.get(i.b);
        match (a.tag, (a.bits as i64).checked_neg()) {
            (INT, Some(result)) => self.set(i.a, Value::int(result)),
            (FLOAT, _) => self.set(i.a, Value::float(-f64::from_bits(a.bits))),
            _ => false,
        }
    }

    #[inline(always)]
    pub(super) fn abs(&mut self, i: &Instruction) -> bool {
        let a = self.get(i.b);
        match (a.tag, (a.bits as i64).checked_abs()) {
            (INT, Some(result)) => self.set(i.a, Value::int(result)),
            (FLOAT, _) => self.set(i.a, Value::float(f64::from_bits(a.bits).abs())),
            _ => false,
        }
    }

    #[inline(always)]
    pub(super) fn bit_not(&mut self, i: &Instruction) -> bool {
        let a = self.get(i.b);
        a.tag == INT && self.set(i.a, Value::int(!(a.bits as i64)))
    }

    #[inline(always)]
    pub(super) fn set_int(&mut self, i: &Instruction) -> bool {
        let a = self.get(i.b);
        match a.tag {
            INT => self.set(i.a, a),
            FLOAT => {
                let int = float_to_int(f64::from_bits(a.bits));
                self.set_found(i.a, int.map(Value::int))
            }
            _ => false,
        }
    }

    #[inline(always)]
    pub(super) fn add_value(&mut self, i: &Instruction) -> bool {
        self.arith_value(i, i64::checked_add, |a, b| a + b)
    }

    #[inline(always)]
    pub(super) fn sub_value(&mut self, i: &Instruction) -> bool {
        self.arith_value(i, i64::checked_sub, |a, b| a - b)
    }

    #[inline(always)]
    pub(super) fn mul_value(&mut self, i: &Instruction) -> bool {
        self.arith_value(i, i64::checked_mul, |a, b| a * b)
    }

    #[inline(always)]
    pub(super) fn div_value(&mut self, i: &Instruction) -> bool {
        self.arith_value(i, i64::checked_div, |a, b| a / b)
    }

    /// The product of `b` and `c`, and the register `imm`. Which of the two is added to which makes no
    /// difference that can be observed.
    #[inline(always)]
    pub(super) fn mul_add(&mut self, i: &Instruction) -> bool {
        let (b, c) = (self.get(i.b), self.get(i.c));
        let Some(product) = arith(b, c, i64::checked_mul, |a, b| a * b) else {
            return false;
        };
        let addend = self.get(i.imm as u16);
        match arith(product, addend, i64::checked_add, |a, b| a + b) {
            Some(sum) => self.set(i.a, sum),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn add_imm(&mut self, i: &Instruction) -> bool {
        match plus(self.get(i.b), i.imm) {
            Some(sum) => self.set(i.a, sum),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn mul_imm(&mut self, i: &Instruction) -> bool {
        self.arith_imm(i, i64::checked_mul, |a, b| a * b)
    }

    /// An operation on Ints that always has a result.
    #[inline(always)]
    pub(super) fn bits(&mut self, i: &Instruction, result: impl FnOnce(i64, i64) -> i64) -> bool {
        match ints(self.get(i.b), self.get(i.c)) {
            Some((a, b)) => self.set(i.a, Value::int(result(a, b))),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn bits_imm(
        &mut self,
        i: &Instruction,
        result: impl FnOnce(i64, i64) -> i64,
    ) -> bool {
        let a = self.get(i.b);
        a.tag == INT && self.set(i.a, Value::int(result(a.bits as i64, i64::from(i.imm))))
    }

    #[inline(always)]
    pub(super) fn float_function(
        &mut self,
        i: &Instruction,
        function: impl FnOnce(f64) -> f64,
    ) -> bool {
        match Number::of(self.get(i.b)) {
            Some(number) => self.set(i.a, Value::float(function(number.to_float()))),
            None => false,
        }
    }

    /// A function of the library of one number, which `imm` tells.
    #[inline(always)]
    pub(super) fn library_function(&mut self, i: &Instruction) -> bool {
        self.float_function(i, LIBRARY[i.imm as usize % LIBRARY.len()])
    }

    /// Likewise of two.
    #[inline(always)]
    pub(super) fn library_function_of_two(&mut self, i: &Instruction) -> bool {
        match (Number::of(self.get(i.b)), Number::of(self.get(i.c))) {
            (Some(a), Some(b)) => {
                let function = LIBRARY_OF_TWO[i.imm as usize % LIBRARY_OF_TWO.len()];
                self.set(i.a, Value::float(function(a.to_float(), b.to_float())))
            }
            _ => false,
        }
    }
}
