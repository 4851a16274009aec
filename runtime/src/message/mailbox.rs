//! What an actor has received and not yet taken, within limits.

use pw_isa::wire::Decoded;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::Open;
use pw_jit::{CodeSpace, Value};
use serde::{Deserialize, Serialize};

use super::letter::Message;
use super::queue::PriorityMessageQueue;
use crate::actor::ActorId;
use crate::options;
use crate::portable::{In, Out, Portable, portable};

/// What happens to a message that finds its receiver's mailbox full. The receiver never notices.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It becomes a dead letter, and its sender gets the message `(list 'refused to)`.
    Refuse,
    /// The oldest message of the lowest priority makes room for it.
    DropOldest,
    /// Its sender waits until there is room.
    Wait,
}

/// The limits of a mailbox that its actor has chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailboxRules {
    /// Messages that it holds.
    pub messages_max: u64,
    /// Bytes of messages that it holds.
    pub bytes_max: u64,
    /// What happens to a message beyond them.
    pub overflow: Overflow,
}

impl MailboxRules {
    /// These rules with the options of `set-mailbox!`: `:limit`, from 0 on, and `:policy`, one of `refuse`, `drop-oldest` and
    /// `wait`.
    ///
    /// # Errors
    /// What is to be told to the program, when there are other options; then none of them holds.
    pub fn changed_by(
        mut self,
        code: &CodeSpace,
        options: &Parcel,
    ) -> Result<MailboxRules, String> {
        let taken = options::read(code, options, |key, value| {
            match (key, value.number, value.symbol) {
                (":limit", Some(limit), _) => self.messages_max = limit,
                (":policy", _, Some("drop-oldest")) => self.overflow = Overflow::DropOldest,
                (":policy", _, Some("refuse")) => self.overflow = Overflow::Refuse,
                (":policy", _, Some("wait")) => self.overflow = Overflow::Wait,
                _ => return false,
            }
            true
        });
        taken
            .map(|()| self)
            .map_err(|text| format!("set-mailbox! does not know these options: {text}"))
    }
}

impl MailboxRules {
    /// Whether a message of this size fits where there is no other.
    pub(crate) fn fit_alone(&self, bytes: u64) -> bool {
        self.messages_max > 0 && bytes <= self.bytes_max
    }
}

/// The limit that a message does not fit in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// So many messages.
    Messages(u64),
    /// So many bytes.
    Bytes(u64),
}

/// A mailbox. An actor that never gets a message has no queue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailbox {
    queue: Option<Box<PriorityMessageQueue>>,
}

impl Mailbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.is_empty())
    }

    /// The messages in it.
    pub(crate) fn queue(&self) -> Option<&PriorityMessageQueue> {
        self.queue.as_deref()
    }

    /// Whether a message of this size fits; the limit if not.
    pub(crate) fn room(&self, message_bytes: u64, rules: MailboxRules) -> Result<(), Full> {
        let (count, bytes) = self
            .queue
            .as_ref()
            .map_or((0, 0), |queue| (queue.len(), queue.bytes()));
        if count >= rules.messages_max {
            Err(Full::Messages(rules.messages_max))
        } else if bytes + message_bytes > rules.bytes_max {
            Err(Full::Bytes(rules.bytes_max))
        } else {
            Ok(())
        }
    }

    /// Adds a plain value for which there is room.
    #[inline(always)]
    pub(crate) fn put_plain(&mut self, from: ActorId, value: Value, priority: u8) {
        self.queue
            .get_or_insert_default()
            .enqueue_plain(from, value, priority);
    }

    /// Adds a message for which there is room.
    pub(crate) fn put(&mut self, message: Message, priority: u8) {
        self.queue
            .get_or_insert_default()
            .enqueue_message(message, priority);
    }

    /// Takes the message whose turn it is; with it its level.
    pub(crate) fn take(&mut self) -> Option<(Message, u8)> {
        let queue = self.queue.as_mut()?;
        let priority = queue.current_priority();
        Some((queue.dequeue_message()?, priority))
    }

    /// Takes the message whose turn it is if it is no request, and either a value without objects or one that can be opened: who
    /// sent it, and the value.
    #[inline]
    pub(crate) fn take_now(&mut self, open: Open<'_>) -> Option<(ActorId, Value)> {
        self.queue.as_mut()?.dequeue_now(open)
    }

    /// Puts a message back that was taken last.
    pub(crate) fn put_back(&mut self, message: Message, priority: u8) {
        self.queue
            .get_or_insert_default()
            .put_back(message, priority);
    }

    /// Forgets the oldest message of the lowest level.
    pub(crate) fn drop_oldest(&mut self) -> Option<Message> {
        self.queue.as_mut()?.drop_oldest()
    }
}

portable!(enum Overflow { 0 => Refuse, 1 => DropOldest, 2 => Wait });
portable!(struct MailboxRules { messages_max, bytes_max, overflow });

impl Portable for Mailbox {
    fn put(&self, out: &mut Out<'_>) {
        // One that never had a message is as one that is empty.
        match &self.queue {
            Some(queue) => queue.put(out),
            None => PriorityMessageQueue::put_new(out),
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Mailbox> {
        let queue = PriorityMessageQueue::get(input)?;
        let is_new = queue == PriorityMessageQueue::new();
        Ok(Mailbox {
            queue: (!is_new).then(|| Box::new(queue)),
        })
    }
}
