//! Messages between actors.

use pw_isa::op::Message;

use super::{Machine, Step};
use crate::host::Effect;

impl Machine<'_> {
    pub(super) fn message(&mut self, op: &Message) -> Step {
        match *op {
            Message::Send {
                to,
                value,
                priority,
            } => {
                let to = self.actor_operand(to)?;
                let priority = self.priority(priority)?;
                let value = self.pack(self.get(value))?;
                self.effect(Effect::Send {
                    to,
                    value,
                    priority,
                })
            }
            Message::Receive { .. } => self.effect(Effect::Receive { timeout_ms: None }),
            Message::ReceiveTimeout { timeout, .. } => {
                let timeout_ms = Some(self.milliseconds(timeout)?);
                self.effect(Effect::Receive { timeout_ms })
            }
            Message::Sender { .. } => self.effect(Effect::Sender),
            Message::Request { to, value, .. } => {
                let to = self.actor_operand(to)?;
                let value = self.pack(self.get(value))?;
                self.effect(Effect::Request {
                    to,
                    value,
                    timeout_ms: None,
                })
            }
            Message::RequestTimeout {
                to, value, timeout, ..
            } => {
                let to = self.actor_operand(to)?;
                let timeout_ms = Some(self.milliseconds(timeout)?);
                let value = self.pack(self.get(value))?;
                self.effect(Effect::Request {
                    to,
                    value,
                    timeout_ms,
                })
            }
            Message::Reply { value } => {
                let value = self.pack(self.get(value))?;
                self.effect(Effect::Reply { value })
            }
            Message::Broadcast { actors, value } => {
                let actors =
                    self.elements(actors, "a list of actors", |_, actor| actor.as_actor())?;
                let value = self.pack(self.get(value))?;
                self.effect(Effect::Broadcast { actors, value })
            }
            Message::Subscribe { topic } => {
                let topic = self.symbol(topic)?;
                self.effect(Effect::Subscribe { topic })
            }
            Message::Unsubscribe { topic } => {
                let topic = self.symbol(topic)?;
                self.effect(Effect::Unsubscribe { topic })
            }
            Message::Publish { topic, value } => {
                let topic = self.symbol(topic)?;
                let value = self.pack(self.get(value))?;
                self.effect(Effect::Publish { topic, value })
            }
        }
    }
}
