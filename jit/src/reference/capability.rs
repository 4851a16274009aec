//! Powers.

use pw_isa::op::Capability;

use super::{Machine, Step};
use crate::host::Effect;

impl Machine<'_> {
    pub(super) fn capability(&mut self, op: &Capability) -> Step {
        match *op {
            Capability::HasCapability { capability, .. } => {
                let capability = self.capability_operand(capability)?;
                self.effect(Effect::HasCapability { capability })
            }
            Capability::RequestCapability {
                capability, reason, ..
            } => {
                let capability = self.capability_operand(capability)?;
                let reason = self.owned_string(reason)?;
                self.effect(Effect::RequestCapability { capability, reason })
            }
            Capability::GrantCapability { to, capability, .. } => {
                let to = self.actor_operand(to)?;
                let capability = self.capability_operand(capability)?;
                self.effect(Effect::GrantCapability { to, capability })
            }
            Capability::DelegateCapability {
                to,
                capability,
                budget,
                expires,
                ..
            } => {
                let to = self.actor_operand(to)?;
                let capability = self.capability_operand(capability)?;
                let budget = self.optional_unsigned(budget, "uses")?;
                let expires_ms = self.optional_unsigned(expires, "milliseconds")?;
                self.effect(Effect::DelegateCapability {
                    to,
                    capability,
                    budget,
                    expires_ms,
                })
            }
            Capability::RevokeCapability { to, capability, .. } => {
                let to = self.actor_operand(to)?;
                let capability = self.capability_operand(capability)?;
                self.effect(Effect::RevokeCapability { to, capability })
            }
            Capability::VoteCapability {
                request, approve, ..
            } => {
                let request = self.pack(self.get(request))?;
                let approve = self.get(approve).is_true();
                self.effect(Effect::VoteCapability { request, approve })
            }
        }
    }
}
