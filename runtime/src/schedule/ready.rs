//! Actors that can run, in the order in which they get turns.
//!
//! Time is shared between subtrees first (tenants: what was started from outside, with all that descends from
//! it), then between the actors of each. Tenants take turns by deficit round robin: a turn adds a share of the tick to what
//! a tenant may use, and its actors are taken from its queue as long as what they will use at most fits in. Where all of them
//! fit, they have what is left of the share too. So a subtree of a million busy actors gets no more than one of a single actor
//! that is always busy.
//!
//! What a tick may use in all is bounded, so no number of busy actors makes a tick long; who finds no place waits at
//! the front of its queue.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use pw_isa::wire::Decoded;

use super::line::Line;
use crate::WorldSettings;
use crate::actor::{ActorId, ActorTable};
use crate::portable::{In, Out, Portable};

/// Actors of one tenant that can run.
#[derive(Clone, Debug, Default)]
struct Tenant {
    line: Line,
    /// Gas that it may use before others have their turn.
    credit: u64,
    /// Whether its turn has begun, in an earlier tick.
    is_in_turn: bool,
    /// Whether it is among those that take turns.
    is_listed: bool,
}

/// Tenants without actors that can run whose memory is kept for when they have some.
const TENANTS_KEPT: usize = 1024;

/// Spreads numbers that follow each other: no one outside chooses them.
#[derive(Clone, Copy, Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        let mixed = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// Actors that can run.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadyQueue {
    /// Never gone through in an order that matters.
    tenants: HashMap<u32, Tenant, BuildHasherDefault<NumberHasher>>,
    /// Tenants with actors that can run, the one whose turn it is first.
    turns: VecDeque<u32>,
    count: usize,
}

/// An actor that has a turn, and the gas that it may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Turn {
    pub(crate) id: ActorId,
    pub(crate) gas: u64,
}

/// Shares out what turns leave of a share; what that is more.
fn stretch(turns: &mut [Turn], taken: u64, share: u64) -> u64 {
    let factor = share / taken.max(1);
    if factor <= 1 {
        return 0;
    }
    for turn in turns {
        turn.gas *= factor;
    }
    taken * (factor - 1)
}

impl ReadyQueue {
    /// All actors that can run, each with its tenant.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ActorId, u32)> + '_ {
        let lines = self
            .turns
            .iter()
            .filter_map(|tenant| Some((*tenant, self.tenants.get(tenant)?)));
        lines.flat_map(|(number, tenant)| tenant.line.iter().map(move |actor| (actor, number)))
    }

    /// Whether nobody can run.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many actors can run.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// An actor can run; its rank, if it has one.
    #[inline]
    pub(crate) fn push(&mut self, id: ActorId, tenant: u32, rank: Option<u64>) {
        let of = self.tenant_mut(tenant);
        of.line.push(id, rank);
        let is_listed = std::mem::replace(&mut of.is_listed, true);
        self.count += 1;
        if !is_listed {
            self.turns.push_back(tenant);
        }
    }

    /// A tenant, made where it is missing.
    #[inline]
    fn tenant_mut(&mut self, tenant: u32) -> &mut Tenant {
        self.tenants.entry(tenant).or_default()
    }

    /// An actor loses its place, if it has one: the rank that it had, if it had one.
    pub(crate) fn remove(&mut self, id: ActorId, tenant: u32) -> Option<Option<u64>> {
        let rank = self.tenants.get_mut(&tenant)?.line.take(id)?;
        self.count -= 1;
        Some(rank)
    }

    /// Gives those that have a place new ranks, in their order; those without an answer lose it.
    pub(crate) fn rank_anew(&mut self, rank: impl Fn(ActorId) -> Option<Option<u64>>) {
        for tenant in self.tenants.values_mut() {
            let mut before = std::mem::take(&mut tenant.line);
            while let Some(id) = before.pop() {
                match rank(id) {
                    Some(rank) => tenant.line.push(id, rank),
                    None => self.count -= 1,
                }
            }
        }
    }

    /// The run list of a tick: the longest beginning of all that can run, in the order of turns, whose allowances
    /// fit the gas of a tick. The gas that they have together.
    pub(crate) fn pick(
        &mut self,
        actors: &ActorTable,
        settings: &WorldSettings,
        list: &mut Vec<Turn>,
    ) -> u64 {
        let tenants = self.turns.len() as u64;
        // Dividing takes longer than all else here where there is but one.
        let even = match tenants {
            0 | 1 => settings.tick_gas,
            _ => settings.tick_gas / tenants,
        };
        let share = even.max(settings.quantum);
        let mut reserved = 0;
        for _ in 0..tenants {
            let Some(tenant) = self.turns.front().copied() else {
                break;
            };
            let left = settings.tick_gas.saturating_sub(reserved);
            if left == 0 {
                break;
            }
            let first = list.len();
            let (taken, is_over) = self.take_turn(tenant, share, left, actors, list);
            reserved += taken;
            if !is_over {
                break;
            }
            self.turns.pop_front();
            let has_others = self.tenants.len() > TENANTS_KEPT;
            let of = self.tenant_mut(tenant);
            of.is_in_turn = false;
            if of.line.is_empty() {
                of.credit = 0;
                of.is_listed = false;
                if has_others {
                    self.tenants.remove(&tenant);
                }
                reserved += stretch(&mut list[first..], taken, share.min(left));
            } else {
                self.turns.push_back(tenant);
            }
        }
        reserved
    }

    /// Takes actors of a tenant for their turns, within its credit and what is left of the tick: the gas of their allowances,
    /// and whether the tenant's turn is over.
    fn take_turn(
        &mut self,
        tenant: u32,
        share: u64,
        left: u64,
        actors: &ActorTable,
        list: &mut Vec<Turn>,
    ) -> (u64, bool) {
        let of = self.tenants.entry(tenant).or_default();
        if !std::mem::replace(&mut of.is_in_turn, true) {
            of.credit += share;
        }
        let mut taken = 0;
        while let Some(id) = of.line.first() {
            // An actor may have ended since it could run.
            let Some(actor) = actors.here(id) else {
                of.line.pop();
                self.count -= 1;
                continue;
            };
            let allowance = u64::from(actor.body.allowance);
            // Asked first, so that a turn that is over does not take the next tick's beginning for nothing.
            if allowance > of.credit {
                break;
            }
            if taken + allowance > left && !list.is_empty() {
                return (taken, false);
            }
            of.credit -= allowance;
            taken += allowance;
            of.line.pop();
            self.count -= 1;
            list.push(Turn { id, gas: allowance });
        }
        (taken, true)
    }
}

impl Portable for ReadyQueue {
    /// Tenants in the order of their turns, with their actors in order: the others have nothing to say.
    fn put(&self, out: &mut Out<'_>) {
        out.to.varint(self.turns.len() as u64);
        for tenant in &self.turns {
            let of = self.tenants.get(tenant);
            tenant.put(out);
            of.map_or(0, |of| of.credit).put(out);
            of.is_some_and(|of| of.is_in_turn).put(out);
            match of {
                Some(of) => of.line.put(out),
                None => Line::default().put(out),
            }
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<ReadyQueue> {
        let mut ready = ReadyQueue::default();
        for _ in 0..input.from.count(1)? {
            let tenant = u32::get(input)?;
            if tenant >= input.shared.tenants {
                return Err(input.from.error(format!("there is no tenant {tenant}")));
            }
            let (credit, is_in_turn, line): (u64, bool, Line) = Portable::get(input)?;
            let of = ready.tenant_mut(tenant);
            if of.is_listed {
                return Err(input.from.error(format!("tenant {tenant} is there twice")));
            }
            let count = line.len();
            *of = Tenant {
                line,
                credit,
                is_in_turn,
                is_listed: true,
            };
            ready.count += count;
            ready.turns.push_back(tenant);
        }
        Ok(ready)
    }
}
