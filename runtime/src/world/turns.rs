//! Places among the actors that can run: who gets one, who loses it, and what changes it.

use super::World;
use crate::actor::{ActorId, Body, Status, Wait};
use crate::schedule::{Ranks, SchedulingPolicy};

impl World {
    fn ranks(&self) -> Ranks {
        Ranks {
            policy: self.settings.policy,
            ageing_ticks: self.settings.ageing_ticks,
        }
    }

    /// An actor that can run gets its place among those, unless it has to pay first, or has it.
    pub(crate) fn enqueue(&mut self, id: ActorId) {
        let (quantum, tick, ranks) = (self.settings.quantum, self.tick, self.ranks());
        let Some(body) = self.body(id) else { return };
        if body.debt >= quantum {
            let until = tick + 1 + body.debt / quantum;
            body.debt %= quantum;
            let status = std::mem::replace(&mut body.status, Status::Ready);
            body.status = Status::Waits(Wait::Debt(Box::new(status)));
            self.debtors.entry(until).or_default().push(id);
        } else if !body.is_queued && !body.is_held_back() {
            body.is_queued = true;
            let tenant = body.tenant;
            let rank = ranks.rank(tick, body.effective_priority());
            self.ready.push(id, tenant, rank);
        }
    }

    /// An actor loses its place among those that can run.
    pub(crate) fn withdraw(&mut self, id: ActorId) {
        if let Some(body) = self.body(id)
            && std::mem::replace(&mut body.is_queued, false)
        {
            let tenant = body.tenant;
            self.ready.remove(id, tenant);
        }
    }

    /// Changes what an actor's priority is; the time that it has waited goes on counting.
    pub(crate) fn change_priority(&mut self, id: ActorId, change: impl FnOnce(&mut Body)) {
        let ranks = self.ranks();
        let Some(body) = self.body(id) else { return };
        let before = body.effective_priority();
        change(body);
        let priorities = (before, body.effective_priority());
        if body.is_queued && before != priorities.1 {
            let tenant = body.tenant;
            if let Some(Some(rank)) = self.ready.remove(id, tenant) {
                let rank = ranks.changed(rank, priorities);
                self.ready.push(id, tenant, Some(rank));
            }
        }
    }

    /// In which order the actors of a subtree have turns from now on.
    pub(crate) fn set_policy(&mut self, policy: SchedulingPolicy) {
        if std::mem::replace(&mut self.settings.policy, policy) == policy {
            return;
        }
        let (tick, ranks, actors) = (self.tick, self.ranks(), &self.actors);
        self.ready.rank_anew(|id| {
            let body = &actors.get(id)?.body;
            Some(ranks.rank(tick, body.effective_priority()))
        });
    }
}
