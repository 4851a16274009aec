//! Actors that can run, in the order in which they get turns.
//!
//! Time is shared between subtrees first (tenants: what was started from outside, with all that descends from
//! it), then between the actors of each. Tenants take turns by deficit round robin: a turn adds a quantum to what a
//! tenant may use, and its actors are taken from its queue as long as what they will use at most fits in. So a
//! subtree of a million busy actors gets no more than one of a single actor that is always busy.
//!
//! What a tick may use in all is bounded, so no number of busy actors makes a tick long; who finds no place waits at
//! the front of its queue.

use std::collections::VecDeque;

use crate::WorldSettings;
use crate::actor::{ActorId, ActorTable};

/// Actors of one tenant that can run.
#[derive(Clone, Debug, Default)]
struct Tenant {
    queue: VecDeque<ActorId>,
    /// Gas that it may use before others have their turn.
    credit: u64,
    /// Whether its turn has begun, in an earlier tick.
    is_in_turn: bool,
    /// Whether it is among those that take turns.
    is_listed: bool,
}

/// Actors that can run.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadyQueue {
    tenants: Vec<Tenant>,
    /// Tenants with actors that can run, the one whose turn it is first.
    turns: VecDeque<u32>,
    count: usize,
}

impl ReadyQueue {
    /// Whether nobody can run.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many actors can run.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// An actor can run.
    pub(crate) fn push(&mut self, id: ActorId, tenant: u32) {
        let place = tenant as usize;
        if place >= self.tenants.len() {
            self.tenants.resize_with(place + 1, Tenant::default);
        }
        let of = &mut self.tenants[place];
        of.queue.push_back(id);
        self.count += 1;
        if !of.is_listed {
            of.is_listed = true;
            self.turns.push_back(tenant);
        }
    }

    /// The run list of a tick: the longest beginning of all that can run, in the order of turns, whose allowances
    /// fit the gas of a tick. The sum of the allowances.
    pub(crate) fn pick(
        &mut self,
        actors: &mut ActorTable,
        settings: &WorldSettings,
        list: &mut Vec<ActorId>,
    ) -> u64 {
        let mut reserved = 0;
        while let Some(tenant) = self.turns.front().copied() {
            let of = &mut self.tenants[tenant as usize];
            if !std::mem::replace(&mut of.is_in_turn, true) {
                of.credit += settings.quantum;
            }
            while let Some(id) = of.queue.front().copied() {
                // An actor may have ended since it could run.
                let Some(actor) = actors.get_mut(id) else {
                    of.queue.pop_front();
                    self.count -= 1;
                    continue;
                };
                let allowance = u64::from(actor.body.allowance);
                if reserved + allowance > settings.tick_gas && reserved > 0 {
                    return reserved;
                }
                if allowance > of.credit {
                    break;
                }
                of.credit -= allowance;
                reserved += allowance;
                of.queue.pop_front();
                self.count -= 1;
                actor.body.is_queued = false;
                list.push(id);
            }
            self.turns.pop_front();
            of.is_in_turn = false;
            if of.queue.is_empty() {
                of.credit = 0;
                of.is_listed = false;
            } else {
                self.turns.push_back(tenant);
            }
        }
        reserved
    }

    /// What is part of the state: tenants in the order of their turns with their credit, and their actors in order.
    pub(crate) fn state(&self) -> impl Iterator<Item = u64> + '_ {
        self.turns.iter().flat_map(|tenant| {
            let of = &self.tenants[*tenant as usize];
            let actors = of.queue.iter().map(|id| id.0);
            let head = [u64::from(*tenant), of.credit, u64::from(of.is_in_turn)];
            let head = head.into_iter().chain([of.queue.len() as u64]);
            head
                .chain(actors)
        })
    }
}
