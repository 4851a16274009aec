//! The end of a slice: the instructions of a block that the gas does not suffice for, and what pauses a fiber then.
//!
//! Both the loop and native code charge blocks, or more, at once, so each slice ends inside of what cannot be paid for
//! whole. What can is done here by the loop's handlers, one at a time: a step of the reference interpreter takes ten times
//! as long, and slices may be short.

use super::form::Code;
use super::hot::Stay;
use crate::code_space::{CodeSpace, Pause};
use crate::fiber::{Fiber, State};
use crate::host::Host;
use crate::reference::{self, Outcome};
use crate::value::Value;

impl Stay<'_> {
    /// Does the instructions of a block that the gas does not suffice for, one by one, as far as that goes: where it
    /// stands then, and the gas that is left. What ends a block is never reached: the gas ends before.
    ///
    /// # Safety
    /// `regs` is the r0 of a frame of the function within the stack, and the live registers stand there; the pc is
    /// one of the function's.
    #[inline(never)]
    pub(crate) unsafe fn spend(
        &mut self,
        (function, mut pc): (u32, u32),
        regs: *mut Value,
        mut gas: i64,
    ) -> (u32, i64) {
        let loaded = self.code.program(self.program_number);
        let program = self.program;
        let internal = &program.functions[function as usize].code;
        loop {
            let i = &internal[pc as usize];
            let after = gas - i64::from(loaded.step_facts(function, pc).gas);
            if after < 0 || gas >= i64::from(i.rest) {
                return (pc, gas);
            }
            // A loop where a block is cut is no loop in the internal form, but has its counter.
            if program.plain[function as usize][pc as usize].code.is_loop() {
                self.hot().pass_loop(i);
            // SAFETY: as for this function. What costs more than its fixed gas stops, since there is none left for it.
            } else if unsafe { self.single(function, pc, regs, 0) }.is_none() {
                return (pc, gas);
            }
            (pc, gas) = (pc + 1, after);
        }
    }

    /// Has the fiber wait, and gives it back, where the loop has stopped before a `receive` that is paid for and finds no
    /// message: so do most actors soon, and there is nothing else to be done then. False, and nothing has happened, elsewhere.
    #[inline]
    pub(super) fn wait(&mut self) -> bool {
        let hot = self.hot();
        let i = hot.fetch();
        if i.code != Code::Receive || self.gas < 0 {
            return false;
        }
        let (function, pc) = (hot.function().number, hot.pc_index());
        // An entry that is still to be counted is looked at first.
        if pc == 0 && !self.is_counted || !self.host.wait_for_message() {
            return false;
        }
        let loaded = self.code.program(self.program_number);
        let gas = loaded.step_facts(function, pc).gas;
        let left = self.gas + i64::from(i.rest) - i64::from(gas);
        let (regs, depth) = (self.regs, self.depth());
        // SAFETY: `regs` points into the stack, which did not move.
        let fiber = unsafe { self.stand_at(function, pc, regs, left) };
        fiber.depth = depth;
        fiber.state = State::Waiting;
        true
    }
}

/// What pauses or ends a fiber where it stands, if that takes no step of the reference interpreter to find out: the end of
/// its slice, a `receive` without a message, or the `return` of its first function. Nothing has happened otherwise.
pub(super) fn pause(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    slice_end: u64,
) -> Option<Outcome> {
    let facts = code
        .program(fiber.program)
        .step_facts(fiber.function, fiber.pc);
    let after = fiber.gas_after(facts.gas.into())?;
    if after > slice_end {
        return Some(Outcome::Preempted);
    }
    match facts.pause {
        Pause::Receive if host.wait_for_message() => {
            fiber.gas_used = after;
            fiber.state = State::Waiting;
            Some(Outcome::Waiting)
        }
        Pause::Return(register) if fiber.depth() == 1 => {
            fiber.gas_used = after;
            let value = fiber.stack[fiber.base + usize::from(register.0)];
            reference::leave(fiber, code, host, value)
        }
        _ => None,
    }
}
