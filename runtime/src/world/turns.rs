//! Places among the actors that can run: who gets one, who loses it, and what changes it.

use std::collections::BTreeMap;

use super::{Input, World};
use crate::WorldSettings;
use crate::actor::{ActorId, Body, Status, Wait};
use crate::schedule::{Ranks, ReadyQueue, SchedulingPolicy};

/// Where actors get their places.
pub(super) struct Places<'a> {
    ready: &'a mut ReadyQueue,
    debtors: &'a mut BTreeMap<u64, Vec<ActorId>>,
    settings: &'a WorldSettings,
    tick: u64,
}

fn ranks(settings: &WorldSettings) -> Ranks {
    Ranks {
        policy: settings.policy,
        ageing_ticks: settings.ageing_ticks,
    }
}

impl Places<'_> {
    /// An actor that can run gets its place among those, unless it has to pay first, or has it.
    #[inline(always)]
    pub(super) fn enqueue(&mut self, id: ActorId, body: &mut Body) {
        if body.debt >= self.settings.quantum {
            self.have_it_pay(id, body);
        } else if !body.is_queued && !body.is_held_back() {
            body.is_queued = true;
            let ranks = ranks(self.settings);
            let rank = ranks.rank(self.tick, body.effective_priority());
            self.ready.push(id, body.tenant, rank);
        }
    }

    #[inline(never)]
    fn have_it_pay(&mut self, id: ActorId, body: &mut Body) {
        let quantum = self.settings.quantum;
        let until = self.tick + 1 + body.debt / quantum;
        body.debt %= quantum;
        let status = std::mem::replace(&mut body.status, Status::Ready);
        body.status = Status::Waits(Wait::Debt(Box::new(status)));
        self.debtors.entry(until).or_default().push(id);
    }
}

impl World {
    /// The body of an actor, which may be changed, and where it gets its place.
    #[inline]
    pub(super) fn body_and_places(&mut self, id: ActorId) -> Option<(&mut Body, Places<'_>)> {
        self.touch(id);
        let places = Places {
            ready: &mut self.ready,
            debtors: &mut self.debtors,
            settings: &self.settings,
            tick: self.tick,
        };
        Some((&mut self.actors.get_mut(id)?.body, places))
    }

    /// An actor that can run gets its place among those, unless it has to pay first, or has it.
    pub(crate) fn enqueue(&mut self, id: ActorId) {
        if let Some((body, mut places)) = self.body_and_places(id) {
            places.enqueue(id, body);
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
        let ranks = ranks(&self.settings);
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
        self.note(|| Input::Policy(policy));
        if std::mem::replace(&mut self.settings.policy, policy) == policy {
            return;
        }
        let (tick, ranks, actors) = (self.tick, ranks(&self.settings), &self.actors);
        self.ready.rank_anew(|id| {
            let body = &actors.here(id)?.body;
            Some(ranks.rank(tick, body.effective_priority()))
        });
    }
}
