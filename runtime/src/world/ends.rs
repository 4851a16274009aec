//! What follows from the end of an actor: who is told, who ends with it, who waits in vain.

use std::cell::OnceCell;

use pw_isa::ErrorKind;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::Kept;
use pw_jit::{CodeSpace, Fiber, Value};

use super::{World, WorldEvent};
use crate::actor::{
    ActorId, Due, End, EndReason, Quarantined, Saved, Status, Supervision, Wait, new_actor, notice,
    symbol,
};
use crate::capability::SYS_TERMINATE_ACTOR;

/// Actors that have ended and whose memory is kept for new ones.
const SPARE_ACTORS_MAX: usize = 4096;

impl World {
    /// An actor has ended in its turn.
    #[inline(never)]
    pub(super) fn finish(&mut self, id: ActorId) {
        let Some(body) = self.body(id) else { return };
        if let Status::Ended(reason) = std::mem::replace(&mut body.status, Status::Ready) {
            self.end_for(id, reason);
        }
    }

    /// Actors end that had ended but for messages that waited for room. One after the other: the end of one may set the next free.
    pub(super) fn finish_late_ends(&mut self) {
        while let Some(id) = self.late_ends.pop_front() {
            self.finish(id);
        }
    }

    /// Another actor, or the embedder, ends an actor.
    pub(crate) fn kill(&mut self, id: ActorId) {
        self.end_for(id, EndReason::Killed);
    }

    /// An actor ends another: one that descends from it, or any if it may. What it may not do is in the log.
    pub(super) fn kill_by(&mut self, from: ActorId, actor: ActorId, may_all: bool) {
        if may_all || self.descends(actor, from) {
            self.kill(actor);
        } else if self.actors.contains(actor) {
            self.note_forbidden(from, actor, SYS_TERMINATE_ACTOR);
        }
    }

    pub(super) fn end_for(&mut self, id: ActorId, reason: EndReason) {
        if let Some(actor) = self.actors.get(id) {
            let end = End::of(&actor, reason);
            self.end(id, end);
        }
    }

    /// Ends an actor, and those that share its end: one after the other, however long the chain is.
    fn end(&mut self, id: ActorId, end: End) {
        let mut next = Some((id, end));
        let mut pending = Vec::new();
        while let Some((id, end)) = next.take().or_else(|| pending.pop()) {
            let Some(end) = self.restarted(id, end) else {
                continue;
            };
            self.touch(id);
            let Some(mut actor) = self.actors.remove(id) else {
                continue;
            };
            self.mark_gone(id);
            self.forget_pending(id);
            // As programs see it; few are told.
            let told = OnceCell::new();
            let reason = |code: &CodeSpace| told.get_or_init(|| end.reason.value(code));
            let is_normal = end.reason.is_normal();
            if self.is_observed() {
                self.tell_event(&WorldEvent::Ended {
                    actor: id,
                    reason: &end.reason,
                    gas: end.gas,
                });
            }
            self.count_end(&end.reason);
            if let Some(queue) = actor.body.mailbox.queue() {
                self.statistics.dead_letters += queue.len();
            }
            let parent = actor.body.parent;
            if actor.body.pool.0 != 0 {
                let bytes = actor.body.counted_bytes();
                self.pools.leave(actor.body.pool, id, bytes);
            }
            self.note_gone(id, parent, actor.body.children);
            self.forget_powers(id);
            self.leave_ballots(id, actor.body.waits);
            let mut is_supervised = false;
            if let Some(rare) = actor.body.rare.take() {
                is_supervised = rare.supervision.is_some();
                self.clock.cancel(rare.timer);
                self.clock.cancel(rare.park_timer);
                self.statistics.dead_letters += rare.outgoing.len() as u64;
                self.refuse_waiting(id, &rare.waiting_senders);
                for child in &rare.supervised {
                    let end = self
                        .actors
                        .get(*child)
                        .map(|child| End::of(&child, EndReason::Killed));
                    pending.extend(end.map(|end| (*child, end)));
                }
                for (asker, request) in &rare.askers {
                    let text = format!("actor {id} has ended");
                    self.fail_request((*asker, *request), ErrorKind::ActorEnded, text);
                }
                for topic in &rare.topics {
                    self.unsubscribe(id, topic);
                }
                for monitor in &rare.monitors {
                    let down = notice(&self.code, "down", id, Some(reason(&self.code)));
                    self.tell(*monitor, down);
                }
                for linked in rare.links.iter().rev() {
                    let others = self.body(*linked).and_then(|body| body.rare.as_mut());
                    let Some(others) = others else { continue };
                    others.links.remove(&id);
                    if others.traps_exits {
                        let down = notice(&self.code, "down", id, Some(reason(&self.code)));
                        self.tell(*linked, down);
                    } else if !is_normal {
                        let reason = EndReason::Linked {
                            to: id,
                            reason: Box::new(reason(&self.code).clone()),
                        };
                        let end = self
                            .actors
                            .get(*linked)
                            .map(|actor| End::of(&actor, reason));
                        pending.extend(end.map(|end| (*linked, end)));
                    }
                }
            }
            if is_supervised {
                let down = notice(&self.code, "down", id, Some(reason(&self.code)));
                self.tell(parent, down);
            }
            if parent == ActorId::OUTSIDE {
                self.ends.insert(id, end);
            }
            let spare = &mut self.scratch.out.spare;
            if spare.len() < SPARE_ACTORS_MAX {
                actor.clear();
                spare.push(actor);
            }
        }
    }

    /// What becomes of an actor that has ended and has a supervisor; the end if it stays one.
    fn restarted(&mut self, id: ActorId, end: End) -> Option<End> {
        let now_ms = self.now_ms();
        self.touch(id);
        let Some(actor) = self.actors.get_mut(id) else {
            return Some(end);
        };
        let gas = actor.fiber.gas_used();
        let rare = actor.body.rare.as_mut();
        let Some(supervision) = rare.and_then(|rare| rare.supervision.as_mut()) else {
            return Some(end);
        };
        if !supervision.allows_restart(&end.reason, now_ms) {
            return Some(end);
        }
        // Whatever it does next, it does not go back to before a message of this life.
        let saved = supervision.saved.take();
        let saved = saved.filter(|_| matches!(end.reason, EndReason::Failed(_)));
        let start = self.upgrades.start(&self.code, &supervision.start);
        let start = start.unwrap_or_else(|| supervision.start.clone());
        actor.body.rare_mut().undelivered = None;
        self.drop_question(id);
        self.statistics.restarts += 1;
        if self.is_observed() {
            self.tell_event(&WorldEvent::Restarted {
                actor: id,
                rewound: saved.is_some(),
            });
        }
        match saved {
            Some(saved) => self.rewind(id, *saved, end, gas),
            None => {
                let limits = self.settings.limits();
                let fiber = Fiber::starting(&self.code, &start, limits);
                self.put_fiber(id, fiber, gas);
                if let Some(body) = self.body(id) {
                    body.status = Status::Ready;
                }
                self.enqueue(id);
            }
        }
        None
    }

    /// The actor goes back to before the message that it failed on, which is set aside with all that is needed to see
    /// the failure again. What it used stays used, what it sent stays sent.
    fn rewind(&mut self, id: ActorId, saved: Saved, end: End, gas: u64) {
        let Saved {
            fiber,
            message,
            children,
        } = saved;
        for child in children {
            self.kill(child);
        }
        let image = fiber.to_image(&self.code);
        self.put_fiber(id, fiber, gas);
        if let EndReason::Failed(failure) = end.reason {
            self.set_aside(Quarantined {
                actor: id,
                from: message.from,
                message: message.content,
                failure,
                image,
                tick: self.tick,
            });
        }
        let Some(body) = self.body(id) else { return };
        body.wait(Wait::Message);
        if !body.mailbox.is_empty() {
            self.wake(id, Due::Message);
        }
    }

    /// A fiber takes the place of an actor's, and goes on counting gas where that one was.
    fn put_fiber(&mut self, id: ActorId, mut fiber: Fiber, gas: u64) {
        if let Some(actor) = self.actors.get_mut(id) {
            let limits = actor.fiber.limits();
            fiber.set_limits(limits);
            fiber.count_gas(gas);
            actor.fiber = fiber;
        }
    }

    fn set_aside(&mut self, quarantined: Quarantined) {
        if self.quarantine.len() == self.settings.quarantine_max {
            self.quarantine.pop_front();
        }
        self.quarantine.push_back(quarantined);
    }

    /// Messages that actors failed on and that were set aside, the oldest first.
    pub fn quarantine(&self) -> impl ExactSizeIterator<Item = &Quarantined> {
        self.quarantine.iter()
    }

    /// Whoever asked what an actor was about to answer does not wait any longer.
    fn drop_question(&mut self, id: ActorId) {
        let rare = self.body(id).and_then(|body| body.rare.as_mut());
        let Some(rare) = rare else { return };
        let Some(question) = rare.question.take() else {
            return;
        };
        rare.askers.remove(&question);
        let text = format!("actor {id} has failed and was restarted");
        self.fail_request(question, ErrorKind::ActorEnded, text);
    }

    /// Starts an actor under supervision.
    pub(super) fn supervise(
        &mut self,
        from: ActorId,
        supervision: Box<Supervision>,
        kept: Option<&Kept>,
    ) {
        let Some(body) = self.body(from) else { return };
        let family = body.family_of(from);
        let holdings = body.holdings.inherited(kept);
        let id = ActorId(self.next_id);
        self.next_id += 1;
        if let Some(body) = self.body(from) {
            body.rare_mut().supervised.push(id);
        }
        let mut child = new_actor(id, family, holdings, &supervision.start, &self.common());
        child.body.rare_mut().supervision = Some(supervision);
        self.add_child(from, Box::new(child));
        let address = Parcel::Plain(Value::actor(id.0));
        self.wake(from, Due::Answer(Box::new(Ok(address))));
    }

    fn count_end(&mut self, reason: &EndReason) {
        self.statistics.ended += 1;
        if let EndReason::Failed(_) = reason {
            self.statistics.failed += 1;
        }
    }

    pub(super) fn monitor(&mut self, from: ActorId, of: ActorId) {
        match self.body(of) {
            Some(body) => {
                let monitors = &mut body.rare_mut().monitors;
                monitors.insert(from);
            }
            None => self.tell_gone(from, of),
        }
    }

    pub(super) fn link(&mut self, from: ActorId, to: ActorId) {
        if self.body(to).is_none() {
            return self.link_to_nobody(from, to);
        }
        for (one, other) in [(from, to), (to, from)] {
            if let Some(body) = self.body(one) {
                let links = &mut body.rare_mut().links;
                links.insert(other);
            }
        }
    }

    /// A link to an actor that has ended: as if it ended now, for a reason that nobody knows any more.
    fn link_to_nobody(&mut self, from: ActorId, to: ActorId) {
        let rare = self.body(from).and_then(|body| body.rare.as_ref());
        if rare.is_some_and(|rare| rare.traps_exits) {
            return self.tell_gone(from, to);
        }
        let reason = EndReason::Linked {
            to,
            reason: Box::new(symbol(&self.code, "gone")),
        };
        self.end_for(from, reason);
    }

    fn tell_gone(&mut self, to: ActorId, gone: ActorId) {
        let reason = symbol(&self.code, "gone");
        let down = notice(&self.code, "down", gone, Some(&reason));
        self.tell(to, down);
    }

    pub(super) fn subscribe(&mut self, actor: ActorId, topic: String) {
        let topics_max = self.settings.topics_max;
        let Some(body) = self.body(actor) else { return };
        let topics = &mut body.rare_mut().topics;
        // A program that wants more is told so when it asks next.
        if topics.len() < topics_max && topics.insert(topic.clone()) {
            self.topics.subscribe(actor, topic);
        }
    }

    pub(super) fn unsubscribe(&mut self, actor: ActorId, topic: &str) {
        if let Some(rare) = self.body(actor).and_then(|body| body.rare.as_mut()) {
            rare.topics.remove(topic);
        }
        self.topics.unsubscribe(actor, topic);
    }
}
