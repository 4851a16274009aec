//! One actor: a fiber, its mailbox, and what it waits for.

mod deed;
mod end;
mod id;
mod slice;
mod state;
mod supervision;
mod surroundings;
mod table;

use std::collections::VecDeque;

use pw_isa::ErrorKind;
use pw_jit::Fiber;
use pw_jit::fiber::parcel::Parcel;

use crate::capability::Holdings;
use crate::message::{Mailbox, MailboxRules, Message, RequestId};
pub(crate) use deed::{CapabilityDeed, Deed, Gift};
pub use end::{End, EndReason, Quarantined};
pub(crate) use end::{notice, symbol};
pub use id::ActorId;
pub(crate) use id::Lease;
pub(crate) use surroundings::new_actor;
pub(crate) use supervision::{Saved, Supervision};
pub(crate) use slice::{Common, Way, run_slice};
pub(crate) use table::ActorTable;

/// An actor. Boxed: workers pass it on without copying it.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) id: ActorId,
    pub(crate) fiber: Fiber,
    pub(crate) body: Body,
}

/// What an actor is besides its computation.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) parent: ActorId,
    /// The subtree that it shares time with.
    pub(crate) tenant: u32,
    pub(crate) status: Status,
    /// Whether it has its place among those that can run.
    pub(crate) is_queued: bool,
    pub(crate) mailbox: Mailbox,
    /// Gas that its next slice may use.
    pub(crate) allowance: u32,
    /// Waits so far: an answer to an earlier one comes too late.
    pub(crate) waits: u64,
    /// Gas beyond its slices that is still to be paid.
    pub(crate) debt: u64,
    /// The sender of the message last received.
    pub(crate) sender: Option<ActorId>,
    /// Children that live, or have ended and left children of their own.
    pub(crate) children: u32,
    /// What it may do.
    pub(crate) holdings: Holdings,
    /// Numbers for its children.
    pub(crate) lease: Lease,
    /// What most actors do not have.
    pub(crate) rare: Option<Box<Rare>>,
}

/// What most actors do not have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// The request last received, until it is answered.
    pub(crate) question: Option<(ActorId, RequestId)>,
    /// Requests that it has received or will receive, and has not answered: who asked.
    pub(crate) askers: Vec<(ActorId, RequestId)>,
    /// Rules of its mailbox that it has chosen.
    pub(crate) rules: Option<MailboxRules>,
    /// Who is told of its end.
    pub(crate) monitors: Vec<ActorId>,
    /// Whose end it shares.
    pub(crate) links: Vec<ActorId>,
    /// Whose events it wants.
    pub(crate) topics: Vec<String>,
    /// Whether ends of linked actors arrive as messages.
    pub(crate) traps_exits: bool,
    /// What its supervisor wants.
    pub(crate) supervision: Option<Box<Supervision>>,
    /// The actors that it supervises.
    pub(crate) supervised: Vec<ActorId>,
    /// Messages that found no room and wait for it; while there are any, the actor does not run.
    pub(crate) outgoing: VecDeque<Outgoing>,
    /// How often it has begun to wait for room.
    pub(crate) parks: u64,
    /// Actors with messages for this one that found no room, in the order in which they came.
    pub(crate) waiting_senders: VecDeque<ActorId>,
    /// What the last receive took out, to be put back if it could not be delivered.
    pub(crate) taken: Option<(Message, u8)>,
}

/// A message that found no room.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: ActorId,
    pub(crate) message: Message,
    pub(crate) priority: u8,
}

/// What an actor is about to do.
#[derive(Debug)]
pub(crate) enum Status {
    /// It can run.
    Ready,
    /// It can run, and gets an answer first.
    Due(Due),
    /// It waits.
    Waits(Wait),
    /// It has ended.
    Ended(Box<End>),
}

/// An answer that an actor gets when it runs.
#[derive(Debug)]
pub(crate) enum Due {
    /// The next message.
    Message,
    /// nil.
    Nil,
    /// This.
    Answer(Box<Answered>),
}

/// An answer: a value, or an error that the waiting instruction raises.
pub(crate) type Answered = Result<Parcel, (ErrorKind, String)>;

/// What an actor waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// A message.
    Message,
    /// The reply to a request.
    Reply {
        /// Whom it asked.
        to: ActorId,
    },
    /// What the boundary decides about one of its deeds.
    Boundary,
    /// The answer of a function of the embedder.
    Host {
        /// The capability that the call needs.
        capability: Option<String>,
    },
    /// Ticks, until what it used beyond its slice is paid.
    Debt(Box<Status>),
}

impl Body {
    /// An actor that has not run yet.
    pub(crate) fn new(parent: ActorId, tenant: u32, allowance: u32, holdings: Holdings) -> Body {
        Body {
            parent,
            tenant,
            status: Status::Ready,
            is_queued: false,
            mailbox: Mailbox::default(),
            allowance,
            waits: 0,
            debt: 0,
            sender: None,
            children: 0,
            holdings,
            lease: Lease::default(),
            rare: None,
        }
    }

    /// Whether it waits for room in another's mailbox.
    pub(crate) fn is_parked(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| !rare.outgoing.is_empty())
    }

    /// Whether it goes back to before a message that it fails on.
    pub(crate) fn rewinds(&self) -> bool {
        let supervision = self.rare.as_ref().and_then(|rare| rare.supervision.as_ref());
        supervision.is_some_and(|supervision| supervision.rewinds)
    }

    /// What most actors do not have, made where it is missing.
    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The next wait begins; its number.
    pub(crate) fn wait(&mut self, wait: Wait) -> u64 {
        self.waits += 1;
        self.status = Status::Waits(wait);
        self.waits
    }

    /// Whether it waits for the reply to this request.
    pub(crate) fn awaits_reply(&self, request: RequestId) -> bool {
        self.waits == request.0 && matches!(self.status, Status::Waits(Wait::Reply { .. }))
    }

    /// The rules of its mailbox.
    pub(crate) fn rules(&self, settings: &crate::WorldSettings) -> MailboxRules {
        let chosen = self.rare.as_ref().and_then(|rare| rare.rules);
        chosen.unwrap_or(MailboxRules {
            messages_max: settings.mailbox_messages,
            overflow: settings.overflow,
        })
    }
}
