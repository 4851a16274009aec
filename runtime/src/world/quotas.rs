//! Quotas of subtrees: what is taken out of pools before a tick, and what comes back.

use pw_isa::ErrorKind;
use pw_jit::failure::{Failure, Place};

use super::{Input, World};
use crate::actor::{Actor, ActorId, EndReason, QuotaLease};
use crate::quota::{Contention, Lease, Need, Quota, Shortage, Usage, UsageSample};
use crate::schedule::Turn;

impl World {
    /// Says what an actor and all that descend from it may use together, from now on. What they have used counts from the first
    /// time that this is said. False when there is no such actor.
    pub fn set_quota(&mut self, actor: ActorId, quota: Quota) -> bool {
        self.note(|| Input::Quota { actor, quota });
        if let Some(pool) = self.pools.of_owner(actor) {
            self.pools.set_quota(pool, quota);
            return true;
        }
        let Some(body) = self.body(actor) else {
            return false;
        };
        let outer = body.pool;
        let pool = self.pools.add(actor, outer, quota);
        let members = self.subtree(actor);
        for member in members.iter().copied() {
            let Some(before) = self.actors.get(member).map(|actor| actor.body.pool) else {
                continue;
            };
            let bytes = self.used_bytes(member);
            // It stays in the pools around, which have counted it.
            self.pools.count_in(pool, member, bytes);
            if before == outer {
                self.and_back(member, |world| {
                    if let Some(body) = world.body(member) {
                        body.pool = pool;
                    }
                });
            }
        }
        self.pools.move_into(pool, outer, &members);
        true
    }

    /// What an actor and all that descend from it may use together, if that was said.
    pub fn quota(&self, actor: ActorId) -> Option<Quota> {
        self.pools.quota(self.pools.of_owner(actor)?)
    }

    /// What an actor and all that descend from it use, if a quota was set for them.
    pub fn usage(&self, actor: ActorId) -> Option<Usage> {
        self.pools.usage(self.pools.of_owner(actor)?)
    }

    /// What they used at some earlier ticks, the oldest first.
    pub fn usage_history(&self, actor: ActorId) -> Vec<UsageSample> {
        let pool = self.pools.of_owner(actor);
        pool.map_or(Vec::new(), |pool| self.pools.samples(pool))
    }

    /// Pools that had nothing left for actors that wanted to run.
    pub fn contention(&self) -> Vec<Contention> {
        self.pools.contention()
    }

    /// Logical bytes that an actor is counted with in its pools: what it held after its last turn.
    pub(super) fn used_bytes(&self, actor: ActorId) -> u64 {
        let actor = self.actors.get(actor);
        actor.map_or(0, |actor| actor.body.counted_bytes())
    }

    /// Takes what the actors of a run list may use out of their pools; those for which there is nothing now leave the list, those
    /// for which there never will be anything end.
    #[inline(never)]
    pub(super) fn take_leases(&mut self, list: &mut Vec<Turn>) {
        let tick = self.tick;
        let mut kept = Vec::with_capacity(list.len());
        for turn in list.drain(..) {
            let id = turn.id;
            let Some(Actor { fiber, body, .. }) = self.actors.get_mut(id) else {
                continue;
            };
            if body.pool.0 == 0 {
                kept.push(turn);
                continue;
            }
            let need = Need {
                gas: turn.gas,
                memory_bytes: body.memory_wanted(),
            };
            match self.pools.lease(body.pool, tick, need) {
                Ok(lease) => {
                    let limits = fiber.limits();
                    let bytes = fiber.memory_bytes(&self.code);
                    let mut within = limits;
                    within.memory_bytes = limits
                        .memory_bytes
                        .min(bytes.saturating_add(lease.memory_bytes));
                    fiber.set_limits(within);
                    body.rare_mut().lease = Some(QuotaLease {
                        lease,
                        left: lease,
                        gas_before: fiber.gas_used(),
                        limits,
                    });
                    kept.push(turn);
                }
                Err(Shortage::Now) => {
                    body.begin_turn();
                    self.waiting_for_pool.push(id);
                }
                Err(Shortage::Gas) => self.end_by_quota(id),
            }
        }
        *list = kept;
    }

    /// An actor ends because its pool will never have gas again.
    fn end_by_quota(&mut self, id: ActorId) {
        let Some(place) = self.place_of(id) else {
            return;
        };
        let gas = self
            .actors
            .get(id)
            .map_or(0, |actor| actor.fiber.gas_used());
        let failure = Failure {
            kind: ErrorKind::GasLimitExceeded,
            message: "the gas of its subtree is used up".to_owned(),
            value: None,
            place: Place { ..place },
            gas,
            instruction: String::new(),
            operands: Vec::new(),
            backtrace: Vec::new(),
            backtrace_omitted: 0,
        };
        self.end_for(id, EndReason::Failed(Box::new(failure)));
    }

    /// Actors that hit the memory of their leases go on with more, if their pools have more now that all leases are back.
    #[inline(never)]
    pub(super) fn lend_more_memory(&mut self) {
        // What the ends of others will set free.
        let mut freed: u64 = 0;
        for (id, leased) in std::mem::take(&mut self.short_of_memory) {
            let Some(pool) = self.body(id).map(|body| body.pool) else {
                continue;
            };
            let left = self.pools.memory_left(pool).saturating_add(freed);
            let Some(body) = self.body(id) else { continue };
            if left > leased {
                body.go_on_with_more_memory();
            } else {
                freed += body.counted_bytes();
            }
        }
    }

    /// What an actor did not use of its lease goes back, and what it used is counted.
    #[inline(never)]
    pub(super) fn settle_lease(&mut self, id: ActorId) {
        let Some(Actor { fiber, body, .. }) = self.actors.get_mut(id) else {
            return;
        };
        let Some(QuotaLease {
            lease,
            left,
            gas_before,
            limits,
        }) = body.rare.as_mut().and_then(|rare| rare.lease.take())
        else {
            return;
        };
        let was_limited = fiber.limits().memory_bytes < limits.memory_bytes;
        fiber.set_limits(limits);
        if was_limited && body.has_run_out_of_memory() {
            self.short_of_memory.push((id, lease.memory_bytes));
        }
        let used = Lease {
            gas: fiber.gas_used() - gas_before,
            messages: lease.messages - left.messages,
            children: 0,
            host_calls: lease.host_calls - left.host_calls,
            memory_bytes: 0,
        };
        let counted = body.counted_bytes();
        let bytes = fiber.memory_bytes(&self.code);
        body.rare_mut().counted_bytes = bytes;
        let grown = bytes as i64 - counted as i64;
        let pool = body.pool;
        self.pools.settle(pool, &lease, &used, grown);
    }
}
