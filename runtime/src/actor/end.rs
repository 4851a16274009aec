//! How an actor ended.

use pw_isa::Kind;
use pw_isa::wire::Decoded;
use pw_jit::CodeSpace;
use pw_jit::Value;
use pw_jit::failure::Failure;
use pw_jit::fiber::arena::{Arena, Statistics};
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;

use super::{Actor, ActorId};
use crate::portable::{In, Out, Portable, portable};

/// How an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// Gas that it used in all.
    pub gas: u64,
    /// What happened to its memory.
    pub memory: Statistics,
}

/// Why an actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It returned, or called `exit`, with this value.
    Done(Parcel),
    /// An error that it did not catch.
    Failed(Box<Failure>),
    /// Another actor ended it.
    Killed,
    /// An actor that it was linked to ended abnormally.
    Linked {
        /// Which one.
        to: ActorId,
        /// With this reason, as a value.
        reason: Box<Parcel>,
    },
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EndReason::Done(_) => write!(f, "done"),
            EndReason::Failed(failure) => {
                write!(f, "{}: {}", failure.kind.name(), failure.message)
            }
            EndReason::Killed => write!(f, "killed"),
            EndReason::Linked { to, .. } => write!(f, "linked to actor {to}"),
        }
    }
}

/// A message that an actor failed on, with what is needed to see the failure again: the actor as it was before it.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Who failed.
    pub actor: ActorId,
    /// Who had sent the message.
    pub from: ActorId,
    /// The message.
    pub message: Parcel,
    /// How the actor failed.
    pub failure: Box<Failure>,
    /// The image of its fiber, which waits for the message.
    pub image: Vec<u8>,
    /// The tick in which it failed.
    pub tick: u64,
}

impl End {
    /// The end of an actor that is here, for this reason.
    pub(crate) fn of(actor: &Actor, reason: EndReason) -> End {
        End {
            reason,
            gas: actor.fiber.gas_used(),
            memory: actor.fiber.arena().statistics(),
        }
    }
}

impl EndReason {
    /// Whether it ended as it was meant to.
    pub fn is_normal(&self) -> bool {
        matches!(self, EndReason::Done(_))
    }

    /// The reason as programs see it: `normal`, `killed`, or what was raised.
    pub fn value(&self, code: &CodeSpace) -> Parcel {
        match self {
            EndReason::Done(_) => symbol(code, "normal"),
            EndReason::Killed => symbol(code, "killed"),
            EndReason::Linked { reason, .. } => Parcel::clone(reason),
            EndReason::Failed(failure) => match &failure.value {
                Some(value) => value.clone(),
                None => {
                    let mut arena = Arena::new();
                    let error = arena.new_error_of(failure.kind, &failure.message);
                    pack(code, &arena, error)
                }
            },
        }
    }
}

fn pack(code: &CodeSpace, arena: &Arena, value: Value) -> Parcel {
    Parcel::pack(Heap { arena, code }, value)
}

/// A symbol.
pub(crate) fn symbol(code: &CodeSpace, text: &str) -> Parcel {
    let mut arena = Arena::new();
    let value = arena.new_text(Kind::Symbol, text);
    pack(code, &arena, value)
}

/// The message `(list 'what actor reason)`, or without a reason `(list 'what actor)`.
pub(crate) fn notice(
    code: &CodeSpace,
    what: &str,
    actor: ActorId,
    reason: Option<&Parcel>,
) -> Parcel {
    let mut arena = Arena::new();
    let mut parts = vec![arena.new_text(Kind::Symbol, what), Value::actor(actor.0)];
    parts.extend(reason.map(|reason| reason.unpack(code, &mut arena)));
    let list = parts
        .into_iter()
        .rev()
        .fold(Value::NIL, |rest, part| arena.new_pair(part, rest));
    pack(code, &arena, list)
}

portable!(enum EndReason {
    0 => Done(value),
    1 => Failed(failure),
    2 => Killed,
    3 => Linked { to, reason },
});
portable!(struct Quarantined { actor, from, message, failure, image, tick });

impl Portable for End {
    fn put(&self, out: &mut Out<'_>) {
        // How often memory was collected depends on its layout, which is not part of the state.
        let End {
            reason,
            gas,
            memory: _,
        } = self;
        reason.put(out);
        gas.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<End> {
        Ok(End {
            reason: EndReason::get(input)?,
            gas: u64::get(input)?,
            memory: Statistics::default(),
        })
    }
}
