//! Sandboxes.

use pw_isa::ErrorKind;
use pw_isa::op::Sandbox;

use super::data::out_of_range;
use super::{Machine, Next, Step, Stop};
use crate::fiber::sandbox::{Bound, KEPT_BYTES_MAX, KEPT_MAX, SANDBOXES_MAX};

impl Machine<'_> {
    pub(super) fn sandbox(&mut self, op: &Sandbox) -> Step {
        match *op {
            Sandbox::SandboxOpen {
                gas,
                memory,
                capabilities,
            } => {
                let gas = self.unsigned(gas, "gas")?;
                let memory_bytes = self.unsigned(memory, "bytes")?;
                let kept =
                    self.elements(capabilities, "a list of capabilities", |machine, name| {
                        machine.capability_name(name)
                    })?;
                let bytes = kept.iter().map(|name| name.size_bytes()).sum();
                self.charge(bytes)?;
                if kept.len() > KEPT_MAX || bytes > KEPT_BYTES_MAX {
                    return Err(out_of_range(format!(
                        "a sandbox that keeps more than {KEPT_MAX} capabilities or {KEPT_BYTES_MAX} bytes of them"
                    )));
                }
                if self.fiber.open_sandboxes() >= SANDBOXES_MAX {
                    return Err(out_of_range(format!(
                        "more than {SANDBOXES_MAX} sandboxes within each other"
                    )));
                }
                let held = self.fiber.memory_bytes(self.code);
                self.fiber.open_sandbox(gas, memory_bytes, held, kept);
                Ok(Next::Advance)
            }
            Sandbox::SandboxClose {} => self.close(),
        }
    }

    /// Closes the innermost sandbox, if the function that runs has opened it in this frame: code that was called, or
    /// entered in place of that function, cannot leave it so.
    fn close(&mut self) -> Step {
        let (program, function, _) = self.fiber.position();
        let open = self.fiber.sandboxes();
        let is_own = open.last().is_some_and(|sandbox| {
            let opener = (sandbox.depth, sandbox.program, sandbox.function);
            opener == (self.fiber.depth, program, function)
        });
        if !is_own {
            let text = if open.is_empty() {
                "no sandbox is open"
            } else {
                "the innermost sandbox was opened by another function"
            };
            return Err(Stop::Error(ErrorKind::Error, text.to_owned()));
        }
        let count = open.len() - 1;
        self.fiber.keep_sandboxes(count);
        Ok(Next::Advance)
    }

    /// The error by which a sandbox ends whose bound is reached; an instruction for which there was no gas is not charged.
    pub(super) fn end_of_sandbox(&mut self, place: usize, bound: Bound) -> Stop {
        let sandbox = &self.fiber.sandboxes()[place];
        let (kind, message) = match bound {
            Bound::Gas => {
                let gas = sandbox.gas;
                self.fiber.gas_used -= std::mem::take(&mut self.charged);
                let text = format!("the sandbox's gas of {gas} is used up");
                (ErrorKind::SandboxGasExceeded, text)
            }
            Bound::Memory => {
                let bytes = sandbox.memory_bytes;
                let text = format!("the sandbox's memory of {bytes} bytes is used up");
                (ErrorKind::SandboxMemoryExceeded, text)
            }
        };
        Stop::Error(kind, message)
    }
}
