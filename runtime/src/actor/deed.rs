//! What an actor did to others in its slice: it takes effect at the boundary.

use std::collections::VecDeque;

use pw_jit::Value;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::{CapabilityName, Kept};

use super::{Actor, ActorId, Supervision};
use crate::host::HostRequest;
use crate::message::RequestId;

/// One thing that an actor did to others, or wants from the world.
#[derive(Debug)]
pub(crate) enum Deed {
    /// A message.
    Send {
        to: ActorId,
        content: Parcel,
        priority: u8,
    },
    /// A request; the actor waits for the reply.
    Request {
        to: ActorId,
        content: Parcel,
        request: RequestId,
    },
    /// The reply to a request.
    Reply {
        to: ActorId,
        content: Parcel,
        request: RequestId,
    },
    /// A child that has its number.
    Spawn(Box<Actor>),
    /// The actor has no more numbers for its children.
    WantsIds,
    /// The subtree had no room for a child in this tick.
    WantsRoomForChild,
    /// The subtree had no calls of the embedder's functions left in this tick.
    WantsHostCalls,
    /// A child that is supervised; the actor waits for its number.
    Supervise {
        supervision: Box<Supervision>,
        /// What the sandbox keeps that it is started in.
        kept: Option<Box<Kept>>,
    },
    /// The actor waits for a message, or the reply to the request before, at most so long.
    Timer { timeout_ms: u64, wait: u64 },
    /// The actor wants to be told when another ends.
    Monitor(ActorId),
    /// The actor shares another's abnormal end, and the other way round.
    Link(ActorId),
    /// The actor ends another: a child of its own, or any if it may.
    Kill { actor: ActorId, may_all: bool },
    /// The actor wants the events of a topic.
    Subscribe(String),
    /// No longer.
    Unsubscribe(String),
    /// An event for all who want it.
    Publish { topic: Box<str>, content: Parcel },
    /// Something about capabilities; the actor waits for the answer.
    Capability {
        wait: u64,
        deed: Box<CapabilityDeed>,
        /// What the sandbox keeps that it is done in.
        kept: Option<Box<Kept>>,
    },
    /// A call of a function of the embedder that happens outside.
    Tell(Box<HostRequest>),
    /// It calls a function of the embedder, and waits for the answer.
    Ask {
        /// Its wait, which says what it asks.
        wait: u64,
    },
}

// A tick may hold hundreds of thousands: what is rare and large stands in a box.
const _: () = assert!(std::mem::size_of::<Deed>() <= 48 && std::mem::size_of::<Act>() <= 32);

/// What actors did, in order. Nearly everything is a plain value for somebody: that stands in the row itself and owns nothing, so that it is written and
/// read in place, and leaves nothing to be dropped.
#[derive(Debug, Default)]
pub(crate) struct Deeds {
    row: Vec<Act>,
    /// Those of which the row says that they are more, in its order.
    whole: VecDeque<Deed>,
}

/// A place in the row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A plain value is sent.
    Send {
        to: ActorId,
        value: Value,
        priority: u8,
    },
    /// The next of the deeds that are more.
    Whole,
}

impl Deeds {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.row.len()
    }

    /// A plain value is sent.
    #[inline]
    pub(crate) fn send_plain(&mut self, to: ActorId, value: Value, priority: u8) {
        self.row.push(Act::Send {
            to,
            value,
            priority,
        });
    }

    /// Anything is done.
    pub(crate) fn push(&mut self, deed: Deed) {
        match deed {
            Deed::Send {
                to,
                content: Parcel::Plain(value),
                priority,
            } => self.send_plain(to, value, priority),
            deed => {
                self.row.push(Act::Whole);
                self.whole.push_back(deed);
            }
        }
    }

    /// Adds all that another has.
    pub(crate) fn append(&mut self, other: &mut Deeds) {
        self.row.append(&mut other.row);
        self.whole.append(&mut other.whole);
    }

    /// What stands at a place.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> Act {
        self.row[place]
    }

    /// Takes the next of those that are more.
    pub(crate) fn take_whole(&mut self) -> Deed {
        let Some(deed) = self.whole.pop_front() else {
            unreachable!("the row has said that it is there")
        };
        deed
    }

    /// Nothing is left.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.row.clear();
        self.whole.clear();
    }
}

/// What an actor wants to do with capabilities.
#[derive(Debug)]
pub(crate) enum CapabilityDeed {
    /// Get one.
    Request {
        capability: CapabilityName,
        reason: String,
    },
    /// Give one.
    Give(Gift),
    /// Take one away.
    Revoke {
        of: ActorId,
        capability: CapabilityName,
    },
    /// Vote on another's request.
    Vote { request: Parcel, approve: bool },
}

/// A capability that one actor gives another.
#[derive(Debug)]
pub(crate) struct Gift {
    pub(crate) to: ActorId,
    pub(crate) capability: CapabilityName,
    /// Uses that go with it.
    pub(crate) budget: Option<u64>,
    /// Milliseconds until it ends.
    pub(crate) expires_ms: Option<u64>,
    /// Whether it is given with limits.
    pub(crate) is_delegated: bool,
}
