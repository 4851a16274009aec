//! Operations that are too large for a handler: functions of their own. They get what they need by way of
//! the loop's [`Stay`] and not from the handler's stack: a handler that lends a part of its stack cannot
//! hand over to the next one by a jump.

use super::form::Instruction;
use super::hot::{Hot, Stay};
use crate::code_space::CodeSpace;
use crate::fiber::arena::{Arena, Piece};
use crate::fiber::{Fiber, Limits};
use crate::heap::{Heap, whole_text};
use crate::value::Value;
use pw_isa::op::Work;
use pw_isa::{Kind, cost};

/// Stands for no value. A value is returned in machine registers, an optional one is not: reading it back
/// from memory at once would wait for the writes.
pub(crate) const NOTHING: Value = Value {
    tag: u64::MAX,
    bits: 0,
};

/// Stands for no value where there is an error that was not made.
pub(crate) const FAILED: Value = Value { bits: 1, ..NOTHING };

const _: () = assert!(NOTHING.bits == 0 && FAILED.bits != 0);

/// What an operation works with.
pub(crate) struct Aside<'a> {
    pub(super) arena: &'a mut Arena,
    pub(super) code: &'a CodeSpace,
    /// Gas left behind the current block.
    pub(super) gas: i64,
    pub(super) allocated_max: u64,
}

impl<'a> Aside<'a> {
    /// Does an operation; [`NOTHING`] when it has no result, and then nothing has happened.
    #[inline(always)]
    pub(super) fn run(
        stay: &mut Stay<'_>,
        operation: impl FnOnce(&mut Aside<'_>) -> Option<Value>,
    ) -> Value {
        let mut aside = stay.aside();
        let result = operation(&mut aside);
        let gas = aside.gas;
        match result {
            Some(value) => {
                stay.gas = gas;
                value
            }
            None => NOTHING,
        }
    }

    /// A view of all values.
    pub(super) fn heap(&self) -> Heap<'_> {
        Heap {
            arena: self.arena,
            code: self.code,
        }
    }

    /// The bytes of a string, and the number of its characters.
    #[inline(always)]
    pub(super) fn text(&self, string: Value) -> Option<(&[u8], u32)> {
        string
            .is(Kind::String)
            .then(|| text_of(self.heap(), string))
    }

    /// The whole of a string.
    #[inline(always)]
    pub(super) fn string(&self, string: Value) -> Option<Piece<'a>> {
        string
            .is(Kind::String)
            .then(|| whole_text(self.arena, self.code, string))
    }

    /// Charges for work; `None`, and nothing happens, when it cannot be paid for.
    #[inline(always)]
    pub(super) fn pay(&mut self, gas: u64) -> Option<()> {
        let after = self.gas - gas as i64;
        (after >= 0).then(|| self.gas = after)
    }

    /// Charges for work and makes sure that `bytes` logical bytes can be allocated; `None`, and nothing
    /// happens, when either is not possible.
    pub(super) fn afford(&mut self, gas: u64, bytes: u64) -> Option<()> {
        if !self.can_allocate(bytes) {
            return None;
        }
        self.pay(gas)
    }

    /// Whether objects of `bytes` logical bytes can be made without a collection or limit.
    #[inline(always)]
    pub(super) fn can_allocate(&self, bytes: u64) -> bool {
        self.arena.counters.allocated.saturating_add(bytes) <= self.allocated_max
    }

    /// Whether two values have the same structure.
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

/// Logical bytes allocated up to which no collection or limit can be due for a fiber.
pub(super) fn allocated_max(fiber: &Fiber) -> u64 {
    room(fiber, &fiber.bounds()).1
}

/// How far the stack (in slots) and the bytes allocated may grow without any chance of a collection or
/// a limit; conservative, for the exact places are found by the reference interpreter. A return can
/// bring a larger frame back than the newest is, so the stack counts with all the slots it has.
pub(super) fn room(fiber: &Fiber, bounds: &Limits) -> (usize, u64) {
    let counters = fiber.arena.counters;
    let slots = fiber.stack.len() as u64;
    let left = bounds.memory_bytes.saturating_sub(counters.live);
    let threshold = cost::collection_threshold(counters.live);
    let Some(limit) = bounds.stack_bytes else {
        let allocated_max = threshold.min(left.saturating_sub(slots * cost::SLOT_BYTES));
        let left = left.saturating_sub(allocated_max.max(counters.allocated));
        let stack_slots = slots.min(left / cost::SLOT_BYTES);
        return (stack_slots as usize, allocated_max);
    };
    (
        slots.min(limit / cost::SLOT_BYTES) as usize,
        threshold.min(left),
    )
}

/// The bytes of a String or Symbol, and the number of its characters.
#[inline(always)]
pub(super) fn text_of(heap: Heap<'_>, text: Value) -> (&[u8], u32) {
    debug_assert!(text.is(Kind::String) || text.is(Kind::Symbol));
    let (arena, offset) = heap.place(text);
    // SAFETY: a value names an object of its kind.
    unsafe { arena.text_at(offset) }
}

#[inline(never)]
fn of_two(
    stay: &mut Stay<'_>,
    a: Value,
    b: Value,
    operation: impl FnOnce(&mut Aside<'_>, Value, Value) -> Option<Value>,
) -> Value {
    Aside::run(stay, |aside| operation(aside, a, b))
}

impl<'a> Hot<'a> {
    /// What an operation aside is given, with the gas that is left.
    #[inline(always)]
    pub(super) fn stay_with_gas(&mut self) -> &mut Stay<'a> {
        let gas = self.gas;
        let stay = self.stay();
        stay.gas = gas;
        stay
    }

    /// What an operation aside has given, with the gas that it has left.
    #[inline(always)]
    pub(super) fn take_over(&mut self, result: Value) -> Option<Value> {
        if result.tag == NOTHING.tag {
            return None;
        }
        self.gas = self.at().gas;
        Some(result)
    }

    /// Takes the result of an operation aside over, if it has one.
    #[inline(always)]
    pub(super) fn set_aside(&mut self, register: u16, result: Value) -> bool {
        self.take_over(result)
            .is_some_and(|value| self.set(register, value))
    }

    /// An operation aside on one value or two.
    #[inline(always)]
    pub(super) fn aside(
        &mut self,
        i: &Instruction,
        operation: impl FnOnce(&mut Aside<'_>, Value, Value) -> Option<Value>,
    ) -> bool {
        let (a, b) = (self.get(i.b), self.get(i.c));
        let result = of_two(self.stay_with_gas(), a, b, operation);
        self.set_aside(i.a, result)
    }

    /// An operation aside on one value.
    #[inline(always)]
    pub(super) fn aside_on_one(
        &mut self,
        i: &Instruction,
        operation: impl FnOnce(&mut Aside<'_>, Value) -> Option<Value>,
    ) -> bool {
        self.aside(i, |aside, value, _| operation(aside, value))
    }

    /// An operation aside that changes the object in `a` by the value in `b`.
    #[inline(always)]
    pub(super) fn change_aside(
        &mut self,
        i: &Instruction,
        operation: impl FnOnce(&mut Aside<'_>, Value, Value) -> Option<Value>,
    ) -> bool {
        let (object, value) = (self.get(i.a), self.get(i.b));
        let done = of_two(self.stay_with_gas(), object, value, operation);
        self.take_over(done).is_some()
    }

    /// A test aside of two values; `None` when it cannot be done, and then nothing has happened.
    #[inline(always)]
    pub(super) fn ask_aside(
        &mut self,
        a: Value,
        b: Value,
        test: impl FnOnce(&mut Aside<'_>, Value, Value) -> Option<bool>,
    ) -> Option<bool> {
        let test = |aside: &mut Aside<'_>, a, b| test(aside, a, b).map(Value::bool);
        let result = of_two(self.stay_with_gas(), a, b, test);
        if result.tag == NOTHING.tag {
            return None;
        }
        self.gas = self.at().gas;
        Some(result.bits != 0)
    }
}
