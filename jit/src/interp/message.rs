//! Messages, and new actors that begin with plain values, without a step of the reference interpreter: they are what keeps worlds
//! busy.
//!
//! A host that has nothing else to do for them says so at once ([`Host::send_plain`] and its like). Everything else, and all
//! that fails or waits for anything but a message, is left to the reference interpreter, which asks by an effect.

use pw_isa::op::Work;
use pw_isa::{Kind, cost};

use super::aside::{NOTHING, allocated_max};
use super::form::Instruction;
use super::hot::{Hot, Stay};
use crate::code_space::CodeSpace;
use crate::fiber::parcel::Parcel;
use crate::fiber::start::takes;
use crate::fiber::{Fiber, State};
use crate::heap::Heap;
use crate::host::Host;
use crate::value::Value;

/// Levels of priority.
const PRIORITIES: u64 = 8;

/// Bytes of a message that a unit of gas pays for.
const BYTES_A_GAS: u64 = 64;

const _: () = assert!(
    cost::work_gas(Work::Bytes, Parcel::PLAIN_BYTES) == 0,
    "a plain value costs nothing beyond its instruction"
);
const _: () = assert!(
    cost::work_gas(Work::Bytes, BYTES_A_GAS) == 1
        && cost::work_gas(Work::Bytes, BYTES_A_GAS - 1) == 0
);

/// Sends a value; nothing, and nothing has happened, when that is the reference interpreter's.
#[inline(always)]
pub(crate) fn send(hot: &mut Hot<'_>, to: Value, value: Value, priority: Value) -> Option<Value> {
    let is_simple = to.tag == Kind::ActorId as u64
        && priority.tag == Kind::Int as u64
        && priority.bits < PRIORITIES;
    if !is_simple {
        return None;
    }
    let (to, priority) = (to.bits, priority.bits as u8);
    if !value.is_in_arena() {
        let done = hot.stay().host.send_plain(to, value, priority);
        return done.then_some(Value::NIL);
    }
    let done = send_packed(hot.stay_with_gas(), to, value, priority);
    hot.take_over(done)
}

/// Sends a value with objects of its own, which are paid for.
#[inline(never)]
fn send_packed(stay: &mut Stay<'_>, to: u64, value: Value, priority: u8) -> Value {
    let (host, mut aside) = stay.host_and_aside();
    // What is longer cannot be paid for.
    let bytes_max = (aside.gas.max(0) as u64 + 1).saturating_mul(BYTES_A_GAS);
    let done = host.send_packed(to, priority, &mut || {
        let parcel = Parcel::pack_within(aside.heap(), value, bytes_max)?;
        aside.pay(cost::work_gas(Work::Bytes, parcel.size_bytes()))?;
        Some(parcel)
    });
    let left = aside.gas;
    if !done {
        return NOTHING;
    }
    stay.gas = left;
    Value::NIL
}

/// The next message; nothing, and nothing has happened, when that is the reference interpreter's.
#[inline(always)]
pub(crate) fn receive(hot: &mut Hot<'_>) -> Option<Value> {
    let value = receive_now(hot.stay_with_gas());
    hot.take_over(value)
}

#[inline(never)]
fn receive_now(stay: &mut Stay<'_>) -> Value {
    let (host, mut aside) = stay.host_and_aside();
    let received = host.receive_now(&mut |parcel| {
        let gas = cost::work_gas(Work::Bytes, parcel.size_bytes());
        aside.afford(gas, parcel.logical_bytes())?;
        Some(parcel.unpack(aside.code, aside.arena))
    });
    let left = aside.gas;
    match received {
        Some(value) => {
            stay.gas = left;
            value
        }
        None => NOTHING,
    }
}

/// The sender of the last message.
#[inline(always)]
pub(crate) fn sender(stay: &mut Stay<'_>) -> Option<Value> {
    stay.host.sender_plain()
}

/// The address of the actor.
#[inline(always)]
pub(crate) fn self_id(stay: &mut Stay<'_>) -> Option<Value> {
    stay.host.self_plain()
}

/// What the host says, in machine registers; see [`NOTHING`].
#[inline(never)]
fn ask(stay: &mut Stay<'_>, question: impl FnOnce(&mut Stay<'_>) -> Option<Value>) -> Value {
    question(stay).unwrap_or(NOTHING)
}

impl<'a> Hot<'a> {
    #[inline(always)]
    pub(super) fn send(&mut self, i: &Instruction) -> bool {
        let (to, value, priority) = (self.get(i.a), self.get(i.b), self.get(i.c));
        send(self, to, value, priority).is_some()
    }

    #[inline(always)]
    pub(super) fn receive(&mut self, i: &Instruction) -> bool {
        let value = receive_now(self.stay_with_gas());
        self.set_aside(i.a, value)
    }

    /// Sets a register to what the host says.
    #[inline(always)]
    pub(super) fn set_asked(
        &mut self,
        i: &Instruction,
        question: impl FnOnce(&mut Stay<'_>) -> Option<Value>,
    ) -> bool {
        let value = ask(self.stay(), question);
        value.tag != NOTHING.tag && self.set(i.a, value)
    }

    /// Starts an actor with a function and arguments without objects of their own.
    #[inline(never)]
    pub(super) fn spawn(&mut self, i: &Instruction) -> bool {
        let values = self.registers(i.b, i.c);
        let Some(gas) = gas_of_plain_start(self.heap(), values) else {
            return false;
        };
        if self.fiber().open_sandboxes() > 0 || !self.charge(gas) {
            return false;
        }
        let (mut hot, values) = (*self, self.registers(i.b, i.c));
        match hot.stay().host.spawn_plain(values) {
            Some(actor) => self.set(i.a, Value::actor(actor)),
            None => {
                self.gas += gas as i64;
                false
            }
        }
    }
}

/// The gas beyond the instruction of starting an actor with these values, the first of which is to be its function; nothing, if it is
/// not, or they have objects of their own or reach globals.
fn gas_of_plain_start(heap: Heap<'_>, values: &[Value]) -> Option<u64> {
    let (function, arguments) = values.split_first()?;
    let (program, number) = heap.closure(*function)?;
    let is_simple = |value: &Value| {
        let program = heap.closure(*value).map(|(program, _)| program);
        !value.is_in_arena()
            && program.is_none_or(|program| heap.code.program(program).program().globals == 0)
    };
    let callee = heap.code.program(program).function(number);
    let fits = takes(callee, arguments.len()) && values.iter().all(is_simple);
    let bytes = values.len() as u64 * Parcel::PLAIN_BYTES;
    fits.then(|| cost::work_gas(Work::Bytes, bytes))
}

/// Gives a fiber that waits for a message the next one; false, and nothing has happened, if there is a limit to be found, or the host
/// has more to do for it.
#[inline]
pub fn answer_by_message(fiber: &mut Fiber, code: &CodeSpace, host: &mut impl Host) -> bool {
    let loaded = code.program(fiber.program);
    let facts = loaded.step_facts(fiber.function, fiber.pc);
    // A plain value costs nothing beyond the instruction.
    let is_of_bytes = matches!(facts.work, Work::Bytes);
    if fiber.state != State::Waiting || !is_of_bytes || fiber.gas_after(0).is_none() {
        return false;
    }
    let Some(value) = host.receive_now(&mut |parcel| open(fiber, code, parcel)) else {
        return false;
    };
    if let Some(result) = facts.result {
        let slot = fiber.base + usize::from(result.0);
        fiber.stack[slot] = value;
    }
    fiber.pc += 1;
    fiber.state = State::Ready;
    true
}

/// Unpacks a message for a fiber that waits for it.
#[inline(never)]
fn open(fiber: &mut Fiber, code: &CodeSpace, parcel: &Parcel) -> Option<Value> {
    let after = fiber.gas_after(cost::work_gas(Work::Bytes, parcel.size_bytes()))?;
    let bytes = parcel.logical_bytes();
    if fiber.arena.counters.allocated.saturating_add(bytes) > allocated_max(fiber) {
        return None;
    }
    fiber.gas_used = after;
    Some(parcel.unpack(code, &mut fiber.arena))
}
