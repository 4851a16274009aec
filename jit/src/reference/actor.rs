//! Actors: their lives and how they depend on each other.

use pw_isa::Kind;
use pw_isa::op::Actor;
use pw_isa::operand::{Span, Use};

use super::{Machine, Next, Step, Stop};
use crate::fiber::parcel::Parcel;
use crate::host::{Answer, Effect};
use crate::value::Value;

impl Machine<'_> {
    pub(super) fn actor(&mut self, op: &Actor) -> Step {
        match *op {
            Actor::SelfId { .. } => self.effect(Effect::SelfId),
            Actor::Spawn { values, .. } => {
                let values = self.pack_span(values)?;
                self.effect(Effect::Spawn { values })
            }
            Actor::Yield {} => self.effect(Effect::Yield),
            Actor::Monitor { actor } => {
                let actor = self.actor_operand(actor)?;
                self.effect(Effect::Monitor { actor })
            }
            Actor::Link { actor } => {
                let actor = self.actor_operand(actor)?;
                self.effect(Effect::Link { actor })
            }
            Actor::TrapExits { on } => {
                let on = self.get(on).is_true();
                self.effect(Effect::TrapExits { on })
            }
            Actor::Exit { value } => {
                let value = self.get(value);
                let packed = self.pack(value)?;
                match self.host.effect(self.code, Effect::Exit { value: packed }) {
                    Answer::Refused { kind, message } => Err(Stop::Error(kind, message)),
                    Answer::Done(_) | Answer::Pending => Ok(Next::Done(value)),
                }
            }
            Actor::Kill { actor } => {
                let actor = self.actor_operand(actor)?;
                self.effect(Effect::Kill { actor })
            }
            Actor::Supervise {
                function, options, ..
            } => {
                self.function_operand(self.get(function))?;
                let function = self.pack(self.get(function))?;
                let options = self.pack(self.get(options))?;
                self.effect(Effect::Supervise { function, options })
            }
            Actor::SetMailbox { options } => {
                let options = self.pack(self.get(options))?;
                self.effect(Effect::SetMailbox { options })
            }
        }
    }

    fn function_operand(&self, value: Value) -> Result<(), Stop> {
        if value.kind() == Kind::Closure {
            Ok(())
        } else {
            Err(self.mismatch("a function", value))
        }
    }

    /// A function and its arguments as one list, so that what they share stays shared.
    fn pack_span(&mut self, values: Span) -> Result<Parcel, Stop> {
        if values.count == 0 {
            return Err(self.mismatch("a function", Value::NIL));
        }
        self.function_operand(self.get(Use(values.first)))?;
        let list: Vec<Value> = (0..values.count)
            .map(|place| self.get(Use(values.first + place)))
            .collect();
        let parcel = Parcel::pack_list(self.heap(), &list, self.affordable_work());
        self.charge_parcel(parcel)
    }
}
