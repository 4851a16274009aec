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

const _: () = assert!(
    cost::work_gas(Work::Bytes, Parcel::PLAIN_BYTES) == 0,
    "a plain value costs nothing beyond its instruction"
);

/// What the host says, in machine registers; see [`NOTHING`].
fn said(value: Option<Value>) -> Value {
    value.unwrap_or(NOTHING)
}

#[inline(never)]
fn next_message(stay: &mut Stay<'_>) -> Value {
    said(stay.host.receive_plain())
}

#[inline(never)]
fn last_sender(stay: &mut Stay<'_>) -> Value {
    said(stay.host.sender_plain())
}

#[inline(never)]
fn address(stay: &mut Stay<'_>) -> Value {
    said(stay.host.self_plain())
}

impl Hot<'_> {
    #[inline(always)]
    pub(super) fn send(&mut self, i: &Instruction) -> bool {
        let (Some(to), Some(priority)) = (self.get_if(i.a, Kind::ActorId), self.int(i.c)) else {
            return false;
        };
        let value = self.get(i.b);
        (0..8).contains(&priority)
            && !value.is_in_arena()
            && self.stay().host.send_plain(to, value, priority as u8)
    }

    #[inline(always)]
    pub(super) fn receive(&mut self, i: &Instruction) -> bool {
        let value = next_message(self.stay());
        value.tag != NOTHING.tag && self.set(i.a, value)
    }

    #[inline(always)]
    pub(super) fn sender(&mut self, i: &Instruction) -> bool {
        let value = last_sender(self.stay());
        value.tag != NOTHING.tag && self.set(i.a, value)
    }

    #[inline(always)]
    pub(super) fn self_id(&mut self, i: &Instruction) -> bool {
        let value = address(self.stay());
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
