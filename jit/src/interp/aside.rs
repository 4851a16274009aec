//! Operations that are too large for the loop: functions of their own, which get copies of what they need
//! from it. Were they given the loop's state itself, it would have to lie in memory.

use super::hot::Hot;
use crate::code_space::CodeSpace;
use crate::fiber::arena::{Arena, Piece};
use crate::heap::{Heap, whole_text};
use crate::value::Value;
use pw_isa::op::Work;
use pw_isa::{Kind, cost};

/// Stands for no value. A value is returned in machine registers, an optional one is not: reading it back
/// from memory at once would wait for the writes.
pub(super) const NOTHING: Value = Value {
    tag: u64::MAX,
    bits: 0,
};

/// What an operation works with.
pub(super) struct Aside<'a> {
    pub(super) arena: &'a mut Arena,
    code: &'a CodeSpace,
    gas: i64,
    allocated_max: u64,
}

impl<'a> Aside<'a> {
    /// A view of all values.
    pub(super) fn heap(&self) -> Heap<'_> {
        Heap {
            arena: self.arena,
            code: self.code,
        }
    }

    /// The whole of a string.
    #[inline(always)]
    pub(super) fn string(&self, string: Value) -> Option<Piece<'a>> {
        (string.kind() == Kind::String).then(|| whole_text(self.arena, self.code, string))
    }

    /// Charges for work; `None`, and nothing happens, when it cannot be paid for.
    pub(super) fn pay(&mut self, gas: u64) -> Option<()> {
        let after = self.gas - gas as i64;
        (after >= 0).then(|| self.gas = after)
    }

    /// Charges for work and makes sure that `bytes` logical bytes can be allocated; `None`, and nothing
    /// happens, when either is not possible.
    pub(super) fn afford(&mut self, gas: u64, bytes: u64) -> Option<()> {
        let allocated = self.arena.counters.allocated.saturating_add(bytes);
        if allocated > self.allocated_max {
            return None;
        }
        self.pay(gas)
    }

    /// Whether two values have the same structure.
    #[inline(never)]
    pub(super) fn equal(&mut self, a: Value, b: Value) -> Option<bool> {
        let mut walked = 0u64;
        let gas = self.gas as u64;
        let mut within = |nodes: u64| {
            walked = walked.saturating_add(nodes);
            cost::work_gas(Work::Nodes, walked) <= gas
        };
        let equal = self.heap().equal(a, b, &mut within)?;
        self.pay(cost::work_gas(Work::Nodes, walked))?;
        Some(equal)
    }
}

/// Does an operation on two values; [`NOTHING`] when it has no result.
#[inline(never)]
pub(super) fn of_two(
    aside: &mut Aside<'_>,
    a: Value,
    b: Value,
    operation: impl FnOnce(&mut Aside<'_>, Value, Value) -> Option<Value>,
) -> Value {
    operation(aside, a, b).unwrap_or(NOTHING)
}

impl Hot<'_> {
    /// Does an operation aside and sets a register to its result; false when it has none, and then nothing
    /// has happened.
    #[inline(always)]
    pub(super) fn set_aside(
        &mut self,
        register: u16,
        operation: impl FnOnce(&mut Aside<'_>) -> Value,
    ) -> bool {
        let found = |aside: &mut Aside<'_>| {
            let value = operation(aside);
            (value.tag != NOTHING.tag).then_some(value)
        };
        let value = self.aside(found);
        self.set_found(register, value)
    }

    /// Does an operation aside; `None` when it cannot be done, and then nothing has happened.
    #[inline(always)]
    pub(super) fn aside<T>(
        &mut self,
        operation: impl FnOnce(&mut Aside<'_>) -> Option<T>,
    ) -> Option<T> {
        let (code, gas, allocated_max) = (self.code(), self.gas, self.allocated_max);
        let mut aside = Aside {
            arena: self.arena(),
            code,
            gas,
            allocated_max,
        };
        let result = operation(&mut aside);
        let gas = aside.gas;
        if result.is_some() {
            self.gas = gas;
        }
        result
    }
}
