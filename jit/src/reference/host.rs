//! Host functions.

use pw_isa::op::Host;
use pw_isa::operand::Use;

use super::{Machine, Step};
use crate::host::Effect;

impl Machine<'_> {
    pub(super) fn host(&mut self, op: &Host) -> Step {
        match *op {
            Host::HostCall {
                name, arguments, ..
            } => {
                let name = self.symbol(name)?;
                let mut packed = Vec::with_capacity(usize::from(arguments.count));
                for place in 0..arguments.count {
                    packed.push(self.pack(self.get(Use(arguments.first + place)))?);
                }
                self.effect(Effect::HostCall {
                    name,
                    arguments: packed,
                })
            }
        }
    }
}
