//! Messages that are plain values, and new actors that begin with such, without a step of the reference interpreter: they are
//! most of those that keep worlds busy.
//!
//! A host that has nothing else to do for them says so at once ([`Host::send_plain`] and its like). Everything else, and all
//! that fails or waits for anything but a message, is left to the reference interpreter, which asks by an effect.

use pw_isa::op::Work;
use pw_isa::{Kind, cost};

use super::aside::NOTHING;
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

/// Gives a fiber that waits for a message the next one, if it is a plain value; false, and nothing has happened, if it
/// is not, or there is a limit to be found.
#[inline]
pub fn answer_by_message(fiber: &mut Fiber, code: &CodeSpace, host: &mut impl Host) -> bool {
    let loaded = code.program(fiber.program);
    let facts = loaded.step_facts(fiber.function, fiber.pc);
    // A plain value costs nothing beyond the instruction.
    let is_free = matches!(facts.work, Work::Bytes);
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
