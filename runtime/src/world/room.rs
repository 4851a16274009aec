//! Senders that wait for room in a mailbox.
//!
//! A message that finds no room in a mailbox whose rule is to wait stays with its sender, which does not run until it has
//! found room, or the time is up. Messages of one sender to one receiver keep their order.

use std::collections::VecDeque;

use super::World;
use super::time::Timer;
use crate::actor::{ActorId, Outgoing, Status};
use crate::message::Message;

impl World {
    /// A message waits with its sender; false if there is no sender that could wait.
    pub(super) fn park(&mut self, to: ActorId, message: &Message, priority: u8) -> bool {
        let from = message.from;
        let park_ms = self.settings.park_ms;
        let Some(body) = self.body(from).filter(|_| message.request.is_none()) else {
            return false;
        };
        let is_first = !body.is_parked();
        let outgoing = Outgoing {
            to,
            message: message.clone(),
            priority,
        };
        let rare = body.rare_mut();
        rare.outgoing.push_back(outgoing);
        rare.parks += u64::from(is_first);
        let parks = rare.parks;
        self.scratch.has_parked = true;
        if is_first {
            let timer = Timer {
                actor: from,
                wait: parks,
                is_park: true,
            };
            let key = self.clock.set_timer(park_ms, timer);
            if let Some(body) = self.body(from) {
                body.rare_mut().park_timer = Some(key);
            }
        }
        if let Some(body) = self.body(to) {
            let waiting = &mut body.rare_mut().waiting_senders;
            if !waiting.contains(&from) {
                waiting.push_back(from);
            }
        }
        true
    }

    /// Whether an actor has a message for another that waits for room: later ones must wait behind it.
    pub(super) fn is_behind(&mut self, from: ActorId, to: ActorId) -> bool {
        let rare = self.body(from).and_then(|body| body.rare.as_ref());
        rare.is_some_and(|rare| rare.outgoing.iter().any(|outgoing| outgoing.to == to))
    }

    /// Messages that waited for room in an actor's mailbox find it, as far as there is some.
    #[inline(never)]
    pub(super) fn let_senders_in(&mut self, id: ActorId) {
        let usual = self.settings.mailbox_rules();
        loop {
            let Some(body) = self.body(id) else { return };
            let waiting = body.rare.as_ref();
            let Some(from) = waiting.and_then(|rare| rare.waiting_senders.front().copied()) else {
                return;
            };
            let rules = body.rules(usual);
            let Some(outgoing) = self.take_outgoing(from, id) else {
                self.forget_sender(id, from);
                continue;
            };
            let fits = self.body(id).is_some_and(|body| {
                let room = body.mailbox.room(outgoing.message.size_bytes(), rules);
                room.is_ok()
            });
            if !fits {
                if let Some(body) = self.body(from) {
                    body.rare_mut().outgoing.push_front(outgoing);
                }
                return;
            }
            self.put(id, outgoing.message, outgoing.priority);
            // Senders take turns.
            self.forget_sender(id, from);
            if self.is_behind(from, id)
                && let Some(body) = self.body(id)
            {
                body.rare_mut().waiting_senders.push_back(from);
            }
            self.unpark(from);
        }
    }

    /// The first message of a sender for an actor that waits for room.
    fn take_outgoing(&mut self, from: ActorId, to: ActorId) -> Option<Outgoing> {
        let outgoing = &mut self.body(from)?.rare.as_mut()?.outgoing;
        let place = outgoing.iter().position(|outgoing| outgoing.to == to)?;
        outgoing.remove(place)
    }

    fn forget_sender(&mut self, id: ActorId, from: ActorId) {
        if let Some(rare) = self.body(id).and_then(|body| body.rare.as_mut()) {
            rare.waiting_senders.retain(|sender| *sender != from);
        }
    }

    /// A sender runs on if nothing of it waits for room any more.
    fn unpark(&mut self, id: ActorId) {
        let Some(body) = self.body(id) else { return };
        if body.is_parked() {
            return;
        }
        let timer = body.rare.as_mut().and_then(|rare| rare.park_timer.take());
        self.clock.cancel(timer);
        let Some(body) = self.body(id) else { return };
        match body.status {
            Status::Ready | Status::Due(_) => self.enqueue(id),
            Status::Ended(_) => self.late_ends.push_back(id),
            Status::Waits(_) => {}
        }
    }

    /// The time for a sender to find room is up: what still waits is refused.
    pub(super) fn park_is_late(&mut self, id: ActorId, parks: u64) {
        let Some(rare) = self.body(id).and_then(|body| body.rare.as_mut()) else {
            return;
        };
        if rare.parks != parks {
            return;
        }
        let outgoing = std::mem::take(&mut rare.outgoing);
        for Outgoing { to, message, .. } in outgoing {
            self.dead_letter(id, to);
            self.forget_sender(to, id);
            self.tell_refused(&message, to);
        }
        self.unpark(id);
    }

    /// An actor has ended for whose mailbox messages waited.
    pub(super) fn refuse_waiting(&mut self, ended: ActorId, senders: &VecDeque<ActorId>) {
        for sender in senders {
            while self.take_outgoing(*sender, ended).is_some() {
                self.dead_letter(*sender, ended);
            }
            self.unpark(*sender);
        }
    }
}
