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

/// What the function of the library at a place gives for a number.
pub(crate) fn library_function(place: usize, a: Value) -> Option<Value> {
    let a = Number::of(a)?.to_float();
    Some(Value::float(LIBRARY.get(place)?(a)))
}

/// Likewise for two.
pub(crate) fn library_function_of_two(place: usize, a: Value, b: Value) -> Option<Value> {
    let (a, b) = (Number::of(a)?.to_float(), Number::of(b)?.to_float());
    Some(Value::float(LIBRARY_OF_TWO.get(place)?(a, b)))
}

/// A number truncated to an Int, if it fits.
pub(crate) fn to_int(a: Value) -> Option<Value> {
    match Number::of(a)? {
        Number::Int(_) => Some(a),
        Number::Float(float) => float_to_int(float).map(Value::int),
    }
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

/// What an operation means for two Ints, where it may fail, and for two Floats.
pub(super) trait Operation {
    fn ints(a: i64, b: i64) -> Option<i64>;
    fn floats(a: f64, b: f64) -> f64;
}

macro_rules! operations {
    ($($name:ident: $ints:expr, $floats:expr;)*) => {
        $(
            pub(super) struct $name;
            impl Operation for $name {
                #[inline(always)]
                fn ints(a: i64, b: i64) -> Option<i64> {
                    $ints(a, b)
                }
                #[inline(always)]
                fn floats(a: f64, b: f64) -> f64 {
                    $floats(a, b)
                }
            }
        )*
    };
}

operations! {
    Add: i64::checked_add, |a, b| a + b;
    Sub: i64::checked_sub, |a, b| a - b;
    Mul: i64::checked_mul, |a, b| a * b;
    Div: i64::checked_div, |a, b| a / b;
    Quot: i64::checked_div, |a: f64, b| libm::trunc(a / b);
    Rem: |a: i64, b| (b != 0).then(|| a.wrapping_rem(b)), libm::fmod;
    Mod: |a, b| (b != 0).then(|| int_mod(a, b)), float_mod;
    Min: |a: i64, b| Some(a.min(b)), float_min;
    Max: |a: i64, b| Some(a.max(b)), float_max;
}

/// The result of an operation on two numbers of any kind.
pub(super) fn apply<O: Operation>(a: Value, b: Value) -> Option<Value> {
    match (Number::of(a)?, Number::of(b)?) {
        (Number::Int(a), Number::Int(b)) => O::ints(a, b).map(Value::int),
        (a, b) => Some(Value::float(O::floats(a.to_float(), b.to_float()))),
    }
}

/// The result of an operation on a value and a small number.
#[inline(always)]
pub(super) fn apply_number<O: Operation>(a: Value, number: i32) -> Option<Value> {
    match a.tag {
        INT => O::ints(a.bits as i64, i64::from(number)).map(Value::int),
        FLOAT => Some(Value::float(O::floats(
            f64::from_bits(a.bits),
            f64::from(number),
        ))),
        _ => None,
    }
}

impl Hot<'_> {
    /// The result of an operation on a value and a register: both Ints or both Floats.
    #[inline(always)]
    pub(super) fn with_register<O: Operation>(&self, a: Value, register: u16) -> Option<Value> {
        if a.tag == INT {
            return O::ints(a.bits as i64, self.int(register)?).map(Value::int);
        }
        let b = self.float(register).filter(|_| a.tag == FLOAT)?;
        Some(Value::float(O::floats(f64::from_bits(a.bits), b)))
    }

    /// An operation on two Ints.
    #[inline(always)]
    pub(super) fn on_ints<O: Operation>(&mut self, i: &Instruction) -> bool {
        match (self.int(i.b), self.int(i.c)) {
            (Some(a), Some(b)) => self.set_found(i.a, O::ints(a, b).map(Value::int)),
            _ => false,
        }
    }

    /// An operation on two numbers. Operands of the other kind are read anew: of two tests of what was read
    /// once, compilers make a choice among cases, in an order of their own.
    #[inline(always)]
    pub(super) fn arith<O: Operation>(&mut self, i: &Instruction) -> bool {
        if let Some(a) = self.int(i.b) {
            if let Some(b) = self.int(i.c) {
                return self.set_found(i.a, O::ints(a, b).map(Value::int));
            }
            let b = self.get(i.c);
            let result = O::floats(a as f64, f64::from_bits(b.bits));
            return b.tag == FLOAT && self.set(i.a, Value::float(result));
        }
        let Some(a) = self.float(i.b) else {
            return false;
        };
        if let Some(b) = self.float(i.c) {
            return self.set(i.a, Value::float(O::floats(a, b)));
        }
        let b = self.get(i.c);
        let result = O::floats(a, b.bits as i64 as f64);
        b.tag == INT && self.set(i.a, Value::float(result))
    }

    /// An operation on two numbers of which one is a Float: two Ints come here only when they have no result.
    pub(super) fn arith_any<O: Operation>(&mut self, i: &Instruction) -> bool {
        if self.int(i.b).is_some() && self.int(i.c).is_some() {
            return false;
        }
        match (self.number(i.b), self.number(i.c)) {
            (Some(a), Some(b)) => self.set(i.a, Value::float(O::floats(a, b))),
            _ => false,
        }
    }

    /// The second operand is entry `imm` of the program's values, a Float. An Int is read anew; see [`Hot::arith`].
    #[inline(always)]
    pub(super) fn arith_value<O: Operation>(&mut self, i: &Instruction) -> bool {
        let b = self.value(i.imm as usize);
        let float = f64::from_bits(b.bits);
        if let Some(a) = self.float(i.b) {
            return b.tag == FLOAT && self.set(i.a, Value::float(O::floats(a, float)));
        }
        let a = self.get(i.b);
        let result = O::floats(a.bits as i64 as f64, float);
        a.tag == INT && b.tag == FLOAT && self.set(i.a, Value::float(result))
    }

    /// The same for numbers of any kind.
    pub(super) fn arith_value_any<O: Operation>(&mut self, i: &Instruction) -> bool {
        let b = self.value(i.imm as usize);
        self.set_found(i.a, apply::<O>(self.get(i.b), b))
    }

    /// The second operand is the number in the instruction.
    #[inline(always)]
    pub(super) fn arith_imm<O: Operation>(&mut self, i: &Instruction) -> bool {
        let sum = self.with_number::<O>(i.b, i.imm);
        self.set_found(i.a, sum)
    }

    /// The result of an operation on a register and a number. A Float is read anew; see [`Hot::arith`].
    #[inline(always)]
    pub(super) fn with_number<O: Operation>(&self, register: u16, number: i32) -> Option<Value> {
        if let Some(a) = self.int(register) {
            return O::ints(a, i64::from(number)).map(Value::int);
        }
        let a = self.get(register);
        let result = O::floats(f64::from_bits(a.bits), f64::from(number));
        (a.tag == FLOAT).then(|| Value::float(result))
    }

    /// The number in `c` is added to the register `a`, which keeps its kind.
    #[inline(always)]
    pub(super) fn add_here(&mut self, i: &Instruction) -> bool {
        let number = i.c as i16;
        if let Some(a) = self.int(i.a) {
            let sum = a.checked_add(i64::from(number));
            return sum.is_some_and(|sum| self.set_bits(i.a, sum as u64));
        }
        self.add_to_float(i.a, number)
    }

    /// A number is added to a Float, which is read anew; see [`Hot::arith`].
    #[inline(always)]
    pub(super) fn add_to_float(&mut self, register: u16, number: i16) -> bool {
        let a = self.get(register);
        let sum = f64::from_bits(a.bits) + f64::from(number);
        a.tag == FLOAT && self.set_bits(register, Value::float(sum).bits)
    }

    /// The product of `b` and `c`, and the register `imm`: all Ints or all Floats. Which of the two is
    /// added to which makes no difference that can be observed.
    #[inline(always)]
    pub(super) fn mul_add(&mut self, i: &Instruction) -> bool {
        let addend = i.imm as u16;
        if let Some(a) = self.int(i.b) {
            let (Some(b), Some(c)) = (self.int(i.c), self.int(addend)) else {
                return false;
            };
            let sum = a.checked_mul(b).and_then(|product| product.checked_add(c));
            return self.set_found(i.a, sum.map(Value::int));
        }
        match (self.float(i.b), self.float(i.c), self.float(addend)) {
            (Some(a), Some(b), Some(c)) => self.set(i.a, Value::float(a * b + c)),
            _ => false,
        }
    }

    /// The same for numbers of any kind.
    pub(super) fn mul_add_any(&mut self, i: &Instruction) -> bool {
        let addend = self.get(i.imm as u16);
        let product = apply::<Mul>(self.get(i.b), self.get(i.c));
        let sum = product.and_then(|product| apply::<Add>(product, addend));
        self.set_found(i.a, sum)
    }

    /// The element `c` of the vector `b`, and the register `imm`: which of the two is added to which makes
    /// no difference that can be observed. Each case ends with its own write; see also [`Hot::arith`].
    #[inline(always)]
    pub(super) fn add_element(&mut self, i: &Instruction) -> bool {
        let Some(element) = self.element(i.b, self.int(i.c)) else {
            return false;
        };
        let other = i.imm as u16;
        if element.tag == INT {
            let a = element.bits as i64;
            if let Some(b) = self.int(other) {
                return self.set_found(i.a, a.checked_add(b).map(Value::int));
            }
            let b = self.get(other);
            let sum = a as f64 + f64::from_bits(b.bits);
            return b.tag == FLOAT && self.set(i.a, Value::float(sum));
        }
        if element.tag != FLOAT {
            return false;
        }
        let a = f64::from_bits(element.bits);
        if let Some(b) = self.float(other) {
            return self.set(i.a, Value::float(a + b));
        }
        let b = self.get(other);
        let sum = a + b.bits as i64 as f64;
        b.tag == INT && self.set(i.a, Value::float(sum))
    }

    /// The product of the element `c` of the vector `b` and of the register in the lower half of `imm`, and
    /// the register in the upper half: all Ints or all Floats.
    #[inline(always)]
    pub(super) fn mul_add_element(&mut self, i: &Instruction) -> bool {
        let Some(element) = self.element(i.b, self.int(i.c)) else {
            return false;
        };
        if element.tag == INT {
            let (Some(factor), Some(addend)) = (self.int(i.low()), self.int(i.high())) else {
                return false;
            };
            let product = (element.bits as i64).checked_mul(factor);
            let sum = product.and_then(|product| product.checked_add(addend));
            return self.set_found(i.a, sum.map(Value::int));
        }
        match (self.float(i.low()), self.float(i.high())) {
            (Some(factor), Some(addend)) if element.tag == FLOAT => {
                let product = f64::from_bits(element.bits) * factor;
                self.set(i.a, Value::float(product + addend))
            }
            _ => false,
        }
    }

    /// The same for numbers of any kind.
    pub(super) fn mul_add_element_any(&mut self, i: &Instruction) -> bool {
        let element = self.element(i.b, self.int(i.c));
        let product = element.and_then(|element| apply::<Mul>(element, self.get(i.low())));
        let sum = product.and_then(|product| apply::<Add>(product, self.get(i.high())));
        self.set_found(i.a, sum)
    }

    /// A sum with a number, which may be done again, and the instruction behind it.
    #[inline(always)]
    pub(super) fn add_imm_and(
        &mut self,
        i: &Instruction,
        behind: impl FnOnce(&mut Self, &Instruction) -> bool,
    ) -> bool {
        self.arith_imm::<Add>(i) && behind(self, self.ahead(2))
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
    pub(super) fn truncate(&mut self, i: &Instruction) -> bool {
        self.set_found(i.a, to_int(self.get(i.b)))
    }

    /// An operation on Ints that always has a result.
    #[inline(always)]
    pub(super) fn bits(&mut self, i: &Instruction, result: impl FnOnce(i64, i64) -> i64) -> bool {
        match (self.int(i.b), self.int(i.c)) {
            (Some(a), Some(b)) => self.set(i.a, Value::int(result(a, b))),
            _ => false,
        }
    }

    #[inline(always)]
    pub(super) fn bits_imm(
        &mut self,
        i: &Instruction,
        result: impl FnOnce(i64, i64) -> i64,
    ) -> bool {
        match self.int(i.b) {
            Some(a) => self.set(i.a, Value::int(result(a, i64::from(i.imm)))),
            None => false,
        }
    }

    /// A division by a number above 0.
    #[inline(always)]
    pub(super) fn divide_imm(
        &mut self,
        i: &Instruction,
        result: impl FnOnce(i64, i64) -> i64,
    ) -> bool {
        self.bits_imm(i, |a, b| {
            // SAFETY: the rewriter divides only by such numbers this way.
            unsafe { std::hint::assert_unchecked(b > 0) };
            result(a, b)
        })
    }

    #[inline(always)]
    pub(super) fn float_function(
        &mut self,
        i: &Instruction,
        function: impl FnOnce(f64) -> f64,
    ) -> bool {
        match self.number(i.b) {
            Some(number) => self.set(i.a, Value::float(function(number))),
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
        match (self.number(i.b), self.number(i.c)) {
            (Some(a), Some(b)) => {
                let function = LIBRARY_OF_TWO[i.imm as usize % LIBRARY_OF_TWO.len()];
                self.set(i.a, Value::float(function(a, b)))
            }
            _ => false,
        }
    }
}
