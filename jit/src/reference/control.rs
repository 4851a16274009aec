//! Jumps, returns and raises.

use pw_isa::op::Control;

use super::{Machine, Next, Step, Stop};

impl Machine<'_> {
    pub(super) fn control(&mut self, op: &Control) -> Step {
        match *op {
            Control::Loop {} => Ok(Next::Advance),
            Control::Jump { to } => Ok(Next::Jump(to.0)),
            Control::BranchIf { test, to } => self.branch(self.get(test).is_true(), to.0),
            Control::BranchUnless { test, to } => self.branch(!self.get(test).is_true(), to.0),
            Control::Return { value } => self.leave(self.get(value)),
            Control::Raise { value } => Err(Stop::Value(self.get(value))),
        }
    }

    fn branch(&self, taken: bool, to: u32) -> Step {
        Ok(if taken { Next::Jump(to) } else { Next::Advance })
    }

    /// Leaves the newest frame with a value: the caller's window base, where the header stood, gets it.
    pub(super) fn leave(&mut self, value: crate::value::Value) -> Step {
        let header = self.fiber.base - 1;
        if !self.fiber.pop_frame() {
            return Ok(Next::Done(value));
        }
        self.fiber.close_sandboxes_of_left_frames();
        self.fiber.stack[header] = value;
        Ok(Next::Advance)
    }
}
