//! Sandboxes.

use pw_isa::op::Sandbox;

use super::{Machine, Step};
use crate::host::Effect;

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
                let capabilities =
                    self.elements(capabilities, "a list of capabilities", |machine, name| {
                        machine.capability_name(name)
                    })?;
                self.charge(capabilities.iter().map(|name| name.size_bytes()).sum())?;
                self.effect(Effect::SandboxOpen {
                    gas,
                    memory_bytes,
                    capabilities,
                })
            }
            Sandbox::SandboxClose {} => self.effect(Effect::SandboxClose),
        }
    }
}
