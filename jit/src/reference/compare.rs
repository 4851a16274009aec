//! Comparisons.

use std::cmp::Ordering;

use pw_isa::op::Compare;
use pw_isa::operand::{Def, Use};

use super::{Machine, Step};
use crate::numbers;
use crate::value::Value;

impl Machine<'_> {
    pub(super) fn compare(&mut self, op: &Compare) -> Step {
        match *op {
            Compare::Eq { dst, a, b } => {
                let (a, b) = (self.get(a), self.get(b));
                self.charge(self.heap().same_work(a, b))?;
                let same = self.heap().same(a, b);
                self.set(dst, Value::bool(same))
            }
            Compare::Equal { dst, a, b } => self.equal(dst, a, b),
            Compare::Lt { dst, a, b } => {
                self.order(dst, a, b, |order| order == Some(Ordering::Less))
            }
            Compare::Le { dst, a, b } => {
                self.order(dst, a, b, |order| order.is_some_and(Ordering::is_le))
            }
            Compare::Gt { dst, a, b } => {
                self.order(dst, a, b, |order| order == Some(Ordering::Greater))
            }
            Compare::Ge { dst, a, b } => {
                self.order(dst, a, b, |order| order.is_some_and(Ordering::is_ge))
            }
            Compare::NumEq { dst, a, b } => {
                self.order(dst, a, b, |order| order == Some(Ordering::Equal))
            }
            Compare::NumNe { dst, a, b } => {
                self.order(dst, a, b, |order| order != Some(Ordering::Equal))
            }
            Compare::Not { dst, a } => self.set(dst, Value::bool(!self.get(a).is_true())),
            Compare::Is { dst, a, kinds } => {
                let is = kinds.0.contains(self.get(a).kind());
                self.set(dst, Value::bool(is))
            }
        }
    }

    fn order(
        &mut self,
        dst: Def,
        a: Use,
        b: Use,
        holds: impl FnOnce(Option<Ordering>) -> bool,
    ) -> Step {
        let order = numbers::compare(self.number(a)?, self.number(b)?);
        self.set(dst, Value::bool(holds(order)))
    }

    /// Walks both structures, counting objects; the whole walk is charged at once, and given up when
    /// the gas limit cannot pay for it.
    fn equal(&mut self, dst: Def, a: Use, b: Use) -> Step {
        let affordable = self.affordable_work();
        let mut walked = 0u64;
        let mut within = |nodes: u64| {
            walked = walked.saturating_add(nodes);
            walked <= affordable
        };
        let equal = self.heap().equal(self.get(a), self.get(b), &mut within);
        self.charge(walked)?;
        self.set(dst, Value::bool(equal == Some(true)))
    }
}
