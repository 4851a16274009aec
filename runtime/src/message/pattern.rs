//! The ways to send, as one type: for embedders that choose at run time.

use crate::actor::ActorId;
use crate::host::Datum;
use crate::portable::portable;

/// A way to send something.
#[derive(Clone, Debug, PartialEq)]
pub enum AdvancedMessagePattern {
    /// To one actor, before what is less urgent.
    PriorityMessage {
        /// From 0, the highest, to 7.
        priority: u8,
        /// What is sent.
        content: Datum,
    },
    /// To many at once.
    Broadcast {
        /// Who is named as the sender.
        source: ActorId,
        /// What is sent.
        content: Datum,
        /// To whom.
        recipients: Vec<ActorId>,
    },
    /// To one actor, whose reply goes to another as an ordinary message.
    RequestReply {
        /// A number for the request, below 2^63.
        request_id: u64,
        /// What is sent.
        content: Datum,
        /// Who gets the reply.
        reply_to: ActorId,
    },
    /// To all who want events of that type.
    Event {
        /// The type, the topic.
        event_type: String,
        /// What is sent.
        payload: Datum,
    },
}

impl AdvancedMessagePattern {
    /// What is sent.
    pub(crate) fn content(&self) -> &Datum {
        match self {
            AdvancedMessagePattern::PriorityMessage { content, .. }
            | AdvancedMessagePattern::Broadcast { content, .. }
            | AdvancedMessagePattern::RequestReply { content, .. } => content,
            AdvancedMessagePattern::Event { payload, .. } => payload,
        }
    }
}

portable!(enum AdvancedMessagePattern {
    0 => PriorityMessage { priority, content },
    1 => Broadcast { source, content, recipients },
    2 => RequestReply { request_id, content, reply_to },
    3 => Event { event_type, payload },
});
