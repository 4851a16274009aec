//! Messages that are plain values, without a step of the reference interpreter: they are most of those that keep
//! worlds busy.
//!
//! A host that has nothing else to do for them says so at once ([`Host::send_plain`] and its like). Everything else, and all
//! that fails or waits for anything but a message, is left to the reference interpreter, which asks by an effect.

use pw_isa::op::Work;
use pw_isa::{Kind, cost};

use super::aside::NOTHING;
use super::form::{Code, Instruction};
use super::hot::{Hot, Stay};
use crate::code_space::CodeSpace;
use crate::fiber::parcel::Parcel;
use crate::fiber::{Fiber, State};
use crate::host::Host;
use crate::value::Value;

/// Levels of priority.
const PRIORITIES: u64 = 8;

const _: () = assert!(
    cost::work_gas(Work::Bytes, Parcel::PLAIN_BYTES) == 0,
    "a plain value costs nothing beyond its instruction"
);

/// Sends a value; nothing, and nothing has happened, when that is the reference interpreter's.
#[inline(always)]
pub(crate) fn send(stay: &mut Stay<'_>, to: Value, value: Value, priority: Value) -> Option<Value> {
    let is_simple = to.tag == Kind::ActorId as u64
        && priority.tag == Kind::Int as u64
        && priority.bits < PRIORITIES
        && !value.is_in_arena();
    let done = is_simple && stay.host.send_plain(to.bits, value, priority.bits as u8);
    done.then_some(Value::NIL)
}

/// The next message; nothing, and nothing has happened, when that is the reference interpreter's.
#[inline(always)]
pub(crate) fn receive(stay: &mut Stay<'_>) -> Option<Value> {
    stay.host.receive_plain()
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
        send(self.stay(), to, value, priority).is_some()
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
}

/// Has a fiber wait that stands before a `receive`, if there is no message; false, and nothing has happened, if it does
/// not, or that is the reference interpreter's.
pub(super) fn wait(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    slice_end: u64,
) -> bool {
    let (program, function, pc) = fiber.position();
    let loaded = code.program(program);
    let i = &loaded.internal().functions[function as usize].code[pc as usize];
    if i.code != Code::Receive {
        return false;
    }
    let gas = loaded.step_facts(function, pc).gas;
    let after = fiber.gas_after(u64::from(gas));
    let Some(after) = after.filter(|after| *after <= slice_end) else {
        return false;
    };
    if !host.wait_for_message() {
        return false;
    }
    fiber.gas_used = after;
    fiber.state = State::Waiting;
    true
}

/// Gives a fiber that waits for a message the next one, if it is a plain value; false, and nothing has happened, if it
/// is not, or there is a limit to be found.
pub fn answer_by_message(fiber: &mut Fiber, code: &CodeSpace, host: &mut dyn Host) -> bool {
    let loaded = code.program(fiber.program);
    let facts = loaded.step_facts(fiber.function, fiber.pc);
    let is_free = cost::work_gas(facts.work, Parcel::PLAIN_BYTES) == 0;
    if fiber.state != State::Waiting || !is_free || fiber.gas_after(0).is_none() {
        return false;
    }
    let Some(value) = host.receive_plain() else {
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
