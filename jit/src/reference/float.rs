//! Float functions. Those of the library are computed in software, so that every machine agrees.

use pw_isa::op::Float;
use pw_isa::operand::{Def, Use};

use super::{Machine, Step};
use crate::value::Value;

impl Machine<'_> {
    pub(super) fn float(&mut self, op: &Float) -> Step {
        match *op {
            Float::ToFloat { dst, a } => self.apply_float(dst, a, |a| a),
            Float::Sqrt { dst, a } => self.apply_float(dst, a, libm::sqrt),
            Float::Floor { dst, a } => self.apply_float(dst, a, libm::floor),
            Float::Ceil { dst, a } => self.apply_float(dst, a, libm::ceil),
            Float::Round { dst, a } => self.apply_float(dst, a, libm::round),
            Float::Trunc { dst, a } => self.apply_float(dst, a, libm::trunc),
            Float::Exp { dst, a } => self.apply_float(dst, a, libm::exp),
            Float::Log { dst, a } => self.apply_float(dst, a, libm::log),
            Float::Sin { dst, a } => self.apply_float(dst, a, libm::sin),
            Float::Cos { dst, a } => self.apply_float(dst, a, libm::cos),
            Float::Tan { dst, a } => self.apply_float(dst, a, libm::tan),
            Float::Atan { dst, a } => self.apply_float(dst, a, libm::atan),
            Float::Atan2 { dst, a, b } => {
                let (a, b) = (self.number(a)?.to_float(), self.number(b)?.to_float());
                self.set(dst, Value::float(libm::atan2(a, b)))
            }
            Float::Pow { dst, a, b } => {
                let (a, b) = (self.number(a)?.to_float(), self.number(b)?.to_float());
                self.set(dst, Value::float(libm::pow(a, b)))
            }
        }
    }

    fn apply_float(&mut self, dst: Def, a: Use, function: impl FnOnce(f64) -> f64) -> Step {
        let a = self.number(a)?.to_float();
        self.set(dst, Value::float(function(a)))
    }
}
