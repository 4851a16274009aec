//! The loop called from native code: a function without native code runs here, on the frame that its
//! caller has made for it, and returns to native code.
//!
//! The frame's header names a function that does not exist, at whose only place the loop stops: so a
//! return from the frame needs no test of its own. When the loop stops anywhere else, the frames above
//! are ordinary ones, and the native frames below write themselves back, this header included.

use super::dispatch;
use super::form::InternalFunction;
use super::hot::{Hot, Stay};
use crate::value::Value;

/// How a nested stay has stopped.
pub(crate) enum Nested {
    /// The frame it began with has returned: the value, and the gas left behind the caller's block.
    Returned(Value, i64),
    /// Before an instruction that is not done here, with the gas that is left.
    Stopped(Place),
}

/// Where the loop stands.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) function: u32,
    pub(crate) pc: u32,
    pub(crate) regs: *mut Value,
    pub(crate) gas: i64,
}

impl<'a> Stay<'a> {
    /// Stands at the beginning of a function whose arguments are at `regs`; `depth` counts at least the
    /// frames there are. False, and nothing has happened, when the frame does not fit or its first block
    /// cannot be paid for.
    ///
    /// # Safety
    /// `regs` is behind a register of a frame of this program, in the stack.
    pub(crate) unsafe fn begin_nested(
        &mut self,
        function: u32,
        regs: *mut Value,
        depth: u32,
        gas: i64,
    ) -> bool {
        let callee = &self.functions[function as usize];
        let end = regs.wrapping_byte_add(callee.frame_bytes as usize);
        let is_too_deep = i64::from(depth) > self.depth_max();
        if end > self.stack_end || is_too_deep || gas < i64::from(callee.code[0].rest) {
            return false;
        }
        let header = Value {
            tag: u64::from(self.boundary().number) << 32,
            bits: self.header_base,
        };
        // SAFETY: as for this function.
        unsafe { *regs.wrapping_sub(1) = header };
        self.set_depth(depth);
        let mut hot = Hot::new(self.pc, regs, gas, self);
        let goes_on = hot.start(callee);
        hot.save(!goes_on);
        true
    }

    /// Runs until the loop stops or the first frame has returned.
    pub(crate) fn go_on_nested(&mut self) -> Nested {
        dispatch::execute(self);
        let hot = self.hot();
        if std::ptr::eq(hot.function(), self.boundary()) {
            // SAFETY: a return has put the value there.
            let value = unsafe { *self.regs };
            return Nested::Returned(value, self.gas);
        }
        Nested::Stopped(Place {
            function: hot.function().number,
            pc: hot.pc_index(),
            regs: self.regs,
            gas: self.gas + i64::from(hot.fetch().rest),
        })
    }

    /// Returns a value from the frame at `regs`, which native code has run to its end; the gas is what is
    /// left behind it.
    ///
    /// # Safety
    /// It is the newest frame that a nested stay has left.
    pub(crate) unsafe fn return_nested(&mut self, regs: *mut Value, value: Value, gas: i64) {
        let mut hot = Hot::new(self.pc, regs, gas, self);
        let goes_on = hot.leave_with(value);
        hot.save(!goes_on);
    }

    /// What the header of a nested stay's first frame names.
    fn boundary(&self) -> &'a InternalFunction {
        self.program.boundary()
    }
}
