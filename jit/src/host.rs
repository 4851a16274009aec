//! The boundary between a fiber and its surroundings.
//!
//! Everything that a program does beyond computing is an [`Effect`], delivered to a [`Host`] with owned
//! data; what comes back is an [`Answer`]. The interpreters check operands before an effect is made,
//! so that a host sees only well-formed ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pw_isa::ErrorKind;
use pw_isa::wire::{Decoded, Reader, Writer};

use crate::code_space::CodeSpace;
use crate::fiber::parcel::Parcel;
use crate::fiber::start::Start;
use crate::value::Value;

/// A capability as programs name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapabilityName {
    /// Its name, such as `io-console`.
    pub name: String,
    /// Its parameter.
    pub parameter: Option<Parcel>,
}

impl CapabilityName {
    /// A capability without a parameter.
    pub fn plain(name: &str) -> CapabilityName {
        CapabilityName {
            name: name.to_owned(),
            parameter: None,
        }
    }

    /// Bytes to charge for copying it.
    pub fn size_bytes(&self) -> u64 {
        let parameter = self.parameter.as_ref().map_or(0, Parcel::size_bytes);
        self.name.len() as u64 + parameter
    }

    /// Writes it in its canonical form.
    pub fn write(&self, code: &CodeSpace, out: &mut Writer) {
        out.text(&self.name);
        out.u8(u8::from(self.parameter.is_some()));
        if let Some(parameter) = &self.parameter {
            parameter.write(code, out);
        }
    }

    /// Reads what [`CapabilityName::write`] wrote. The programs that it refers to must be loaded.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn read(code: &CodeSpace, input: &mut Reader<'_>) -> Decoded<CapabilityName> {
        let name = input.text()?.to_owned();
        let parameter = if input.flag()? {
            Some(Parcel::read(code, input)?)
        } else {
            None
        };
        Ok(CapabilityName { name, parameter })
    }
}

/// The capabilities that a sandbox keeps: of those that the actor holds, code in it can use no others.
#[derive(Clone, Debug)]
pub struct Kept {
    list: Arc<[CapabilityName]>,
    /// No other sandbox of this process has it.
    number: u64,
}

/// Another number than any before in this process, for [`Host::powers`]. Programs never see one.
pub fn fresh_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Kept {
    pub(crate) fn new(list: Arc<[CapabilityName]>) -> Kept {
        Kept {
            list,
            number: fresh_number(),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether a capability that the actor holds can be used: in a sandbox that kept these, or outside of any.
    pub fn allows(kept: Option<&Kept>, capability: &CapabilityName) -> bool {
        kept.is_none_or(|kept| kept.list.contains(capability))
    }

    /// The same of one without a parameter.
    pub fn allows_plain(kept: Option<&Kept>, name: &str) -> bool {
        let is_named =
            |capability: &CapabilityName| capability.name == name && capability.parameter.is_none();
        kept.is_none_or(|kept| kept.list.iter().any(is_named))
    }

    /// All of them, in the order in which the program named them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &CapabilityName> {
        self.list.iter()
    }
}

/// Packs a message, if the gas suffices.
pub type Pack<'a> = &'a mut dyn FnMut() -> Option<Parcel>;

/// Unpacks a message, if the gas suffices and there is room.
pub type Open<'a> = &'a mut dyn FnMut(&Parcel) -> Option<Value>;

/// What a program asks of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The address of this actor.
    SelfId,
    /// Start an actor.
    Spawn {
        /// Its function, arguments and globals.
        start: Start,
    },
    /// End this actor's turn.
    Yield,
    /// Ask for a message when an actor ends.
    Monitor {
        /// The actor.
        actor: u64,
    },
    /// Tie the ends of two actors together.
    Link {
        /// The other actor.
        actor: u64,
    },
    /// Whether ends of linked actors arrive as messages.
    TrapExits {
        /// Whether they do.
        on: bool,
    },
    /// End this actor.
    Exit {
        /// With this value.
        value: Parcel,
    },
    /// End another actor.
    Kill {
        /// The actor.
        actor: u64,
    },
    /// Start a supervised actor.
    Supervise {
        /// The function it runs, without arguments.
        start: Start,
        /// A list of alternating keys and values.
        options: Parcel,
    },
    /// Change the mailbox.
    SetMailbox {
        /// A list of alternating keys and values.
        options: Parcel,
    },
    /// Send a message.
    Send {
        /// The receiver.
        to: u64,
        /// The message.
        value: Parcel,
        /// 0 (highest) to 7.
        priority: u8,
    },
    /// Wait for a message.
    Receive {
        /// At most this many milliseconds.
        timeout_ms: Option<u64>,
    },
    /// All messages that have arrived, as a list, for V2 code; answered at once.
    ReceiveAll,
    /// The sender of the last message.
    Sender,
    /// Send a request and wait for its reply.
    Request {
        /// The receiver.
        to: u64,
        /// The request.
        value: Parcel,
        /// At most this many milliseconds.
        timeout_ms: Option<u64>,
    },
    /// Answer the last request.
    Reply {
        /// The answer.
        value: Parcel,
    },
    /// Send to many.
    Broadcast {
        /// The receivers.
        actors: Vec<u64>,
        /// The message.
        value: Parcel,
    },
    /// Ask for the events of a topic.
    Subscribe {
        /// The topic.
        topic: String,
    },
    /// End a subscription.
    Unsubscribe {
        /// The topic.
        topic: String,
    },
    /// Send to all subscribers of a topic.
    Publish {
        /// The topic.
        topic: String,
        /// The message.
        value: Parcel,
    },
    /// Whether this actor holds a capability.
    HasCapability {
        /// Which.
        capability: CapabilityName,
    },
    /// Ask for a capability.
    RequestCapability {
        /// Which.
        capability: CapabilityName,
        /// Why.
        reason: String,
    },
    /// Give a capability.
    GrantCapability {
        /// To whom.
        to: u64,
        /// Which.
        capability: CapabilityName,
    },
    /// Give a capability with limits.
    DelegateCapability {
        /// To whom.
        to: u64,
        /// Which.
        capability: CapabilityName,
        /// Uses.
        budget: Option<u64>,
        /// Milliseconds until it ends.
        expires_ms: Option<u64>,
    },
    /// Take a capability away.
    RevokeCapability {
        /// From whom.
        to: u64,
        /// Which.
        capability: CapabilityName,
    },
    /// Vote on a request.
    VoteCapability {
        /// The request.
        request: Parcel,
        /// For or against.
        approve: bool,
    },
    /// Call a host function.
    HostCall {
        /// Its name.
        name: String,
        /// Its arguments.
        arguments: Vec<Parcel>,
    },
}

/// What the surroundings say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The effect has happened; its result.
    Done(Parcel),
    /// The effect is refused: the instruction raises.
    Refused {
        /// The kind of error.
        kind: ErrorKind,
        /// Its message.
        message: String,
    },
    /// The answer comes later, with [`crate::reference::answer`]; until then the fiber waits. Only for
    /// effects of instructions that may suspend.
    Pending,
    /// Not now: the slice ends before the instruction, which costs nothing yet and is done anew in the next one.
    Again,
}

impl Answer {
    /// Done, with nothing to say.
    pub const NIL: Answer = Answer::Done(Parcel::Plain(Value::NIL));

    /// Refused, of kind `Error`.
    pub fn error(message: impl Into<String>) -> Answer {
        Answer::Refused {
            kind: ErrorKind::Error,
            message: message.into(),
        }
    }
}

/// Whoever carries out effects.
pub trait Host {
    /// Carries out one effect, or says why not. In a sandbox only what it `kept` of the actor's capabilities counts; `None`
    /// is outside of any.
    fn effect(&mut self, code: &CodeSpace, kept: Option<&Kept>, effect: Effect) -> Answer;

    /// The actor's address, if it never changes: native code need not ask for it then.
    fn actor(&self) -> Option<u64> {
        None
    }

    /// What stands for the state of the actor's powers: as long as it is the same number, in the same sandbox, so is the
    /// answer to each [`Effect::HasCapability`], which native code need not ask for again then. Other actors have
    /// the number only where all their answers are the same.
    fn powers(&self) -> Option<u64> {
        None
    }

    /// Sends a value that has no objects of its own; false, and nothing has happened, when that is to be asked for as an
    /// effect. This and what follows are short cuts: a host that has none differs only in speed.
    fn send_plain(&mut self, to: u64, value: Value, priority: u8) -> bool {
        let _ = (to, value, priority);
        false
    }

    /// The same of what `pack` makes of a value, if it makes something of it. It is asked only when that is sent then.
    fn send_packed(&mut self, to: u64, priority: u8, pack: Pack<'_>) -> bool {
        let _ = (to, priority, pack);
        false
    }

    /// Takes the next message, if it is there: as it is where it has no objects of its own, and what `open` makes of it
    /// otherwise. Nothing has happened where that is nothing, or the message is to be asked for as an effect.
    fn receive_now(&mut self, open: Open<'_>) -> Option<Value> {
        let _ = open;
        None
    }

    /// Starts an actor: a function, followed by its arguments, none of which has objects of its own or reaches a global. Its
    /// number; nothing, and nothing has happened, when that is to be asked for as an effect.
    fn spawn_plain(&mut self, values: &[Value]) -> Option<u64> {
        let _ = values;
        None
    }

    /// Begins to wait for a message, which is the answer; false, and nothing has happened, when there is one, or that is
    /// to be asked for as an effect.
    fn wait_for_message(&mut self) -> bool {
        false
    }

    /// The sender of the last message, or nil.
    fn sender_plain(&self) -> Option<Value> {
        None
    }

    /// The address of this actor.
    fn self_plain(&self) -> Option<Value> {
        None
    }

    /// An answer that could not be delivered, because a limit of the fiber was hit on the way. If the
    /// fiber goes on under higher limits, the same effect is asked for again; a host that gave something
    /// away keeps it for then.
    fn take_back(&mut self, answer: Parcel) {
        drop(answer);
    }
}
