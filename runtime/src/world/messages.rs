//! What the embedder says to actors: messages, events, and everything that has a pattern of its own. Each is an input, and what the
//! history of the world has no room for is not said.

use super::{Input, World};
use crate::actor::ActorId;
use crate::host::Datum;
use crate::message::{
    AdvancedMessagePattern, BroadcastSystem, Message, PRIORITY_DEFAULT, RequestId,
};

impl World {
    /// Sends a message from outside; false when there is no such actor, or the history of the world has no room for what it says: then it has
    /// not been sent. [`World::apply`] says why.
    pub fn send(&mut self, to: ActorId, content: &Datum) -> bool {
        self.send_with_priority(to, content, PRIORITY_DEFAULT)
    }

    /// Sends a message from outside, as [`World::send`] does, with a priority from 0, the highest, to 7.
    pub fn send_with_priority(&mut self, to: ActorId, content: &Datum, priority: u8) -> bool {
        let fits = self.too_long(content.size_bytes()).is_none();
        fits && self.note_and_send(to, content, priority)
    }

    pub(super) fn note_and_send(&mut self, to: ActorId, content: &Datum, priority: u8) -> bool {
        match content {
            Datum::Int(number) => {
                let message = (to, *number, priority);
                self.note_short(|out| Input::put_short_send(out, message));
            }
            _ => self.note_as(|out| Input::put_send(out, to, content, priority)),
        }
        self.send_now(to, content, priority)
    }

    /// Sends a message from outside, as a part of another input.
    pub(crate) fn send_now(&mut self, to: ActorId, content: &Datum, priority: u8) -> bool {
        let content = content.pack(&self.code);
        let message = Message {
            from: ActorId::OUTSIDE,
            content,
            request: None,
        };
        let is_there = self.actors.contains(to);
        self.deliver(to, message, priority);
        is_there
    }

    /// Publishes an event from outside; false when the history of the world has no room for it: then nobody has heard it.
    pub fn publish(&mut self, topic: &str, payload: &Datum) -> bool {
        let bytes = topic.len() + payload.size_bytes();
        let fits = self.too_long(bytes).is_none();
        if fits {
            self.note_and_publish(topic, payload);
        }
        fits
    }

    pub(super) fn note_and_publish(&mut self, topic: &str, payload: &Datum) {
        self.note(|| Input::Publish {
            topic: topic.to_owned(),
            payload: payload.clone(),
        });
        self.publish_now(topic, payload);
    }

    fn publish_now(&mut self, topic: &str, payload: &Datum) {
        let payload = payload.pack(&self.code);
        self.publish_from(ActorId::OUTSIDE, topic.to_owned(), payload);
    }

    /// Who wants which events, and the last events.
    pub fn broadcasts(&self) -> &BroadcastSystem {
        &self.topics
    }

    /// Sends something in one of the ways there are; false when the history of the world has no room for it: then it has not been sent. `to` is
    /// the receiver of what has one.
    pub fn dispatch(&mut self, to: ActorId, pattern: AdvancedMessagePattern) -> bool {
        let fits = self.too_long(pattern.content().size_bytes()).is_none();
        if fits {
            self.note_and_dispatch(to, pattern);
        }
        fits
    }

    pub(super) fn note_and_dispatch(&mut self, to: ActorId, pattern: AdvancedMessagePattern) {
        self.note(|| Input::Dispatch {
            to,
            pattern: pattern.clone(),
        });
        match pattern {
            AdvancedMessagePattern::PriorityMessage { priority, content } => {
                self.send_now(to, &content, priority);
            }
            AdvancedMessagePattern::Broadcast {
                source,
                content,
                recipients,
            } => {
                let content = content.pack(&self.code);
                for to in recipients {
                    let message = Message {
                        from: source,
                        content: content.clone(),
                        request: None,
                    };
                    self.deliver(to, message, PRIORITY_DEFAULT);
                }
            }
            AdvancedMessagePattern::RequestReply {
                request_id,
                content,
                reply_to,
            } => {
                let message = Message {
                    from: reply_to,
                    content: content.pack(&self.code),
                    request: Some(RequestId::on_behalf(request_id)),
                };
                self.deliver(to, message, PRIORITY_DEFAULT);
            }
            AdvancedMessagePattern::Event {
                event_type,
                payload,
            } => self.publish_now(&event_type, &payload),
        }
    }
}
