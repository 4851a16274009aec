//! What arithmetic and comparison mean, for every tier.
//!
//! Functions return `None` where the instruction raises; [`Number`] says which operands there are.

use std::cmp::Ordering;

use crate::value::Value;

/// A number operand.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Number {
    /// An Int.
    Int(i64),
    /// A Float.
    Float(f64),
}

impl Number {
    /// The number in a value, if it is one.
    pub fn of(value: Value) -> Option<Number> {
        match value.as_int() {
            Some(int) => Some(Number::Int(int)),
            None => value.as_float().map(Number::Float),
        }
    }

    /// The number as a Float, rounded to the nearest.
    pub fn to_float(self) -> f64 {
        match self {
            Number::Int(int) => int as f64,
            Number::Float(float) => float,
        }
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Value {
        match number {
            Number::Int(int) => Value::int(int),
            Number::Float(float) => Value::float(float),
        }
    }
}

/// Compares the exact values; `None` when either is NaN.
pub fn compare(a: Number, b: Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(&b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(&b),
        (Number::Int(a), Number::Float(b)) => compare_exact(a, b),
        (Number::Float(a), Number::Int(b)) => compare_exact(b, a).map(Ordering::reverse),
    }
}

/// Compares an Int with a Float without rounding either.
fn compare_exact(int: i64, float: f64) -> Option<Ordering> {
    // 2^63 is a Float, and every Float from there on is larger than any Int.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    Some(
        int.cmp(&(whole as i64))
            .then_with(|| whole.partial_cmp(&float).unwrap_or(Ordering::Equal)),
    )
}

/// `mod` on Ints: the sign of the divisor. The divisor is not 0.
pub fn int_mod(a: i64, b: i64) -> i64 {
    let rest = a.wrapping_rem(b);
    if rest != 0 && (rest < 0) != (b < 0) {
        rest + b
    } else {
        rest
    }
}

/// `mod` on Floats: the sign of the divisor.
pub fn float_mod(a: f64, b: f64) -> f64 {
    let rest = libm::fmod(a, b);
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// The smaller Float: NaN when either is, -0.0 before 0.0.
pub fn float_min(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a < b || (a == b && a.is_sign_negative()) {
        a
    } else {
        b
    }
}

/// The larger Float: NaN when either is, 0.0 after -0.0.
pub fn float_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a > b || (a == b && a.is_sign_positive()) {
        a
    } else {
        b
    }
}

/// A Float truncated to an Int; `None` when it does not fit.
pub fn float_to_int(float: f64) -> Option<i64> {
    let whole = libm::trunc(float);
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&whole)
        .then_some(whole as i64)
}
