//! Actors: their lives and how they depend on each other.

use pw_isa::ErrorKind;
use pw_isa::op::Actor;
use pw_isa::operand::Span;

use smallvec::SmallVec;

use super::{Machine, Next, Step, Stop};
use crate::fiber::start::{Start, takes};
use crate::host::{Answer, Effect};
use crate::value::Value;

impl Machine<'_> {
    pub(super) fn actor(&mut self, op: &Actor) -> Step {
        match *op {
            Actor::SelfId { .. } => self.effect(Effect::SelfId),
            Actor::Spawn { values, .. } => {
                let start = self.pack_start(values)?;
                self.effect(Effect::Spawn { start })
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
                match self.ask(Effect::Exit { value: packed }) {
                    Answer::Refused { kind, message } => Err(Stop::Error(kind, message)),
                    Answer::Again => Ok(Next::Again),
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
                let function = Span {
                    first: function.0,
                    count: 1,
                };
                let start = self.pack_start(function)?;
                let options = self.pack(self.get(options))?;
                self.effect(Effect::Supervise { start, options })
            }
            Actor::SetMailbox { options } => {
                let options = self.pack(self.get(options))?;
                self.effect(Effect::SetMailbox { options })
            }
        }
    }

    /// A function and its arguments, with all that a fiber of its own needs. Charged for.
    fn pack_start(&mut self, values: Span) -> Result<Start, Stop> {
        if values.count == 0 {
            return Err(self.mismatch("a function", Value::NIL));
        }
        let list: SmallVec<[Value; 8]> = SmallVec::from_slice(self.registers(values));
        let Some((program, function)) = self.heap().closure(list[0]) else {
            return Err(self.mismatch("a function", list[0]));
        };
        let arguments = list.len() - 1;
        if !takes(self.code.program(program).function(function), arguments) {
            return Err(self.arity((program, function), arguments as u64));
        }
        let bytes_max = self.affordable_work();
        let Some(start) = Start::pack(self.fiber, self.code, &list, bytes_max) else {
            return Err(Stop::Limit(ErrorKind::GasLimitExceeded));
        };
        self.charge(start.size_bytes())?;
        Ok(start)
    }
}
