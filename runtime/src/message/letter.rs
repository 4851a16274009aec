//! Messages on their way and in mailboxes.

use pw_jit::fiber::parcel::Parcel;

use crate::actor::ActorId;

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

impl Message {
    /// Bytes that it counts for in a mailbox.
    pub fn size_bytes(&self) -> u64 {
        self.content.size_bytes()
    }
}
