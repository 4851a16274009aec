//! Messages on their way and in mailboxes.

use pw_jit::fiber::parcel::Parcel;

use crate::actor::ActorId;
use crate::portable::portable;

/// Levels of priority; 0 is the highest.
pub const PRIORITIES: usize = 8;
/// The level of what does not say one.
pub const PRIORITY_DEFAULT: u8 = 4;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who sent it; [`ActorId::OUTSIDE`] for the embedder and the world itself.
    pub from: ActorId,
    /// What it says.
    pub content: Parcel,
    /// The request's number, when an answer is awaited.
    pub request: Option<RequestId>,
}

/// The number of a request: together with who asks, it names the request for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

impl RequestId {
    /// Set in the numbers of requests that the embedder made for an actor, which does not wait for the reply.
    const ON_BEHALF: u64 = 1 << 63;

    /// A request that the embedder makes for an actor.
    pub(crate) fn on_behalf(number: u64) -> RequestId {
        RequestId(number | RequestId::ON_BEHALF)
    }

    /// Whether the embedder made it for an actor: the reply is an ordinary message.
    pub(crate) fn is_on_behalf(self) -> bool {
        self.0 & RequestId::ON_BEHALF != 0
    }
}

impl Message {
    /// What it is besides its content.
    pub(crate) fn head(&self) -> (ActorId, Option<RequestId>) {
        (self.from, self.request)
    }

    /// Bytes that it counts for in a mailbox.
    pub fn size_bytes(&self) -> u64 {
        self.content.size_bytes()
    }
}

portable!(struct Message { from, content, request });

portable!(number RequestId);
