//! The messages of one level of priority.

use std::collections::VecDeque;

use pw_jit::Value;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::Open;

use super::letter::Message;
use crate::actor::ActorId;
use crate::queue::Queue;

/// A place in the row of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    /// A message that is a plain value and no request.
    Plain { from: ActorId, value: Value },
    /// The next of those that are more.
    Whole,
}

/// Messages of one level. Most are plain values: they stand in the row itself and own nothing, so that they are written and read in
/// place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) priority: u8,
    row: Queue<Letter>,
    /// Those of which the row says that they are more, in its order.
    whole: VecDeque<Message>,
}

impl Level {
    /// A level without messages.
    pub(super) fn new(priority: u8) -> Level {
        Level {
            priority,
            ..Level::default()
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.row.is_empty()
    }

    /// Adds a message that is a plain value and no request.
    #[inline]
    pub(super) fn push_plain(&mut self, from: ActorId, value: Value) {
        self.row.push(Letter::Plain { from, value });
    }

    /// Adds any message.
    pub(super) fn push(&mut self, message: Message) {
        match (&message.content, message.request) {
            (Parcel::Plain(value), None) => self.push_plain(message.from, *value),
            _ => {
                self.row.push(Letter::Whole);
                self.whole.push_back(message);
            }
        }
    }

    /// Adds a message in front of the others.
    pub(super) fn push_front(&mut self, message: Message) {
        let from = message.from;
        match (&message.content, message.request) {
            (&Parcel::Plain(value), None) => self.row.push_front(Letter::Plain { from, value }),
            _ => {
                self.row.push_front(Letter::Whole);
                self.whole.push_front(message);
            }
        }
    }

    /// Takes the first message if it is a plain value and no request.
    #[inline]
    pub(super) fn pop_plain(&mut self) -> Option<(ActorId, Value)> {
        match self.row.first()? {
            Letter::Whole => None,
            Letter::Plain { from, value } => {
                self.row.skip(1);
                Some((from, value))
            }
        }
    }

    /// Takes the first message, which is no plain value, if it is no request and can be opened: who sent it, the value, and its bytes.
    #[inline(never)]
    pub(super) fn pop_opened(&mut self, open: Open<'_>) -> Option<(ActorId, Value, u64)> {
        let message = self.whole.front().filter(|of| of.request.is_none())?;
        let (from, bytes) = (message.from, message.size_bytes());
        let value = open(&message.content)?;
        self.row.skip(1);
        self.whole.pop_front();
        Some((from, value, bytes))
    }

    /// Takes the first message.
    pub(super) fn pop(&mut self) -> Option<Message> {
        match self.row.pop()? {
            Letter::Plain { from, value } => Some(plain(from, value)),
            Letter::Whole => self.whole.pop_front(),
        }
    }

    /// The messages from the oldest on.
    pub(super) fn iter(&self) -> impl Iterator<Item = Message> {
        let mut whole = self.whole.iter();
        self.row.iter().filter_map(move |letter| match *letter {
            Letter::Plain { from, value } => Some(plain(from, value)),
            Letter::Whole => whole.next().cloned(),
        })
    }
}

fn plain(from: ActorId, value: Value) -> Message {
    Message {
        from,
        content: Parcel::Plain(value),
        request: None,
    }
}
