//! What follows from the end of an actor: who is told, who ends with it, who waits in vain.

use pw_isa::ErrorKind;

use super::World;
use crate::capability::SYS_TERMINATE_ACTOR;
use crate::actor::{ActorId, End, EndReason, Status, notice, symbol};

impl World {
    /// An actor has ended in its turn.
    pub(super) fn finish(&mut self, id: ActorId) {
        let Some(body) = self.body(id) else { return };
        if let Status::Ended(end) = std::mem::replace(&mut body.status, Status::Ready) {
            self.end(id, *end);
        }
    }

    /// Another actor, or the embedder, ends an actor.
    pub(super) fn kill(&mut self, id: ActorId) {
        self.end_for(id, EndReason::Killed);
    }

    /// An actor ends another: one that descends from it, or any if it may. What it may not do is in the log.
    pub(super) fn kill_by(&mut self, from: ActorId, actor: ActorId, may_all: bool) {
        if may_all || self.descends(actor, from) {
            self.kill(actor);
        } else if self.actors.get(actor).is_some() {
            self.note_forbidden(from, actor, SYS_TERMINATE_ACTOR);
        }
    }

    fn end_for(&mut self, id: ActorId, reason: EndReason) {
        if let Some(actor) = self.actors.get(id) {
            let gas = actor.fiber.gas_used();
            self.end(id, End { reason, gas });
        }
    }

    /// Ends an actor, and those that share its end: one after the other, however long the chain is.
    fn end(&mut self, id: ActorId, end: End) {
        let mut pending = vec![(id, end)];
        while let Some((id, end)) = pending.pop() {
            let Some(actor) = self.actors.remove(id) else {
                continue;
            };
            let reason = end.reason.value(&self.code);
            let is_normal = end.reason.is_normal();
            self.count_end(&end.reason);
            if let Some(queue) = actor.body.mailbox.queue() {
                self.statistics.dead_letters += queue.len();
            }
            let parent = actor.body.parent;
            self.note_gone(id, parent, actor.body.children);
            self.forget_powers(id);
            if let Some(rare) = actor.body.rare {
                for (asker, request) in &rare.askers {
                    let text = format!("actor {id} has ended");
                    self.fail_request((*asker, *request), ErrorKind::ActorEnded, text);
                }
                for topic in &rare.topics {
                    self.unsubscribe(id, topic);
                }
                for monitor in &rare.monitors {
                    let down = notice(&self.code, "down", id, Some(&reason));
                    self.tell(*monitor, down);
                }
                for linked in rare.links.iter().rev() {
                    let others = self.body(*linked).and_then(|body| body.rare.as_mut());
                    let Some(others) = others else { continue };
                    others.links.retain(|other| *other != id);
                    if others.traps_exits {
                        let down = notice(&self.code, "down", id, Some(&reason));
                        self.tell(*linked, down);
                    } else if !is_normal {
                        let gas = self
                            .actors
                            .get(*linked)
                            .map_or(0, |actor| actor.fiber.gas_used());
                        let reason = EndReason::Linked {
                            to: id,
                            reason: reason.clone(),
                        };
                        pending.push((*linked, End { reason, gas }));
                    }
                }
            }
            if parent == ActorId::OUTSIDE {
                self.ends.insert(id, end);
            }
        }
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
                if !monitors.contains(&from) {
                    monitors.push(from);
                }
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
                if !links.contains(&other) {
                    links.push(other);
                }
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
            reason: symbol(&self.code, "gone"),
        };
        self.end_for(from, reason);
    }

    fn tell_gone(&mut self, to: ActorId, gone: ActorId) {
        let reason = symbol(&self.code, "gone");
        let down = notice(&self.code, "down", gone, Some(&reason));
        self.tell(to, down);
    }

    pub(super) fn subscribe(&mut self, actor: ActorId, topic: String) {
        let Some(body) = self.body(actor) else { return };
        let topics = &mut body.rare_mut().topics;
        if !topics.contains(&topic) {
            topics.push(topic.clone());
            self.topics.entry(topic).or_default().push(actor);
        }
    }

    pub(super) fn unsubscribe(&mut self, actor: ActorId, topic: &str) {
        if let Some(rare) = self.body(actor).and_then(|body| body.rare.as_mut()) {
            rare.topics.retain(|other| other != topic);
        }
        if let Some(subscribers) = self.topics.get_mut(topic) {
            subscribers.retain(|subscriber| *subscriber != actor);
            if subscribers.is_empty() {
                self.topics.remove(topic);
            }
        }
    }
}
