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

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use pw_isa::wire::Decoded;

use super::line::Line;
use crate::WorldSettings;
use crate::actor::{ActorId, ActorTable};
use crate::portable::{In, Out, Portable};
use crate::queue::Queue;

/// Actors of one tenant that can run.
#[derive(Clone, Debug, Default)]
struct Tenant {
    number: u32,
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
    /// Each stays in its place.
    tenants: Vec<Tenant>,
    /// Where each is. Never gone through.
    places: HashMap<u32, usize, BuildHasherDefault<NumberHasher>>,
    /// Places of tenants that are not there any more.
    free: Vec<usize>,
    /// The place that was looked for last: nearly always it is wanted again.
    last: usize,
    /// Tenants with actors that can run, by their places, the one whose turn it is first.
    turns: Queue<usize>,
    count: usize,
}

/// An actor that has a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Turn {
    pub(crate) id: ActorId,
    /// The gas that it may use.
    pub(crate) gas: u64,
    /// Where its deeds end, when it has had its turn.
    pub(crate) deeds_end: usize,
    /// Whether nothing is to be done about the actor itself when its deeds have taken effect.
    pub(crate) is_over: bool,
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
        let tenants = self.turns.iter().map(|place| &self.tenants[*place]);
        tenants.flat_map(|of| of.line.iter().map(move |actor| (actor, of.number)))
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
    #[inline(always)]
    pub(crate) fn push(&mut self, id: ActorId, tenant: u32, rank: Option<u64>) {
        let place = self.place_of(tenant);
        let of = &mut self.tenants[place];
        of.line.push(id, rank);
        let is_listed = std::mem::replace(&mut of.is_listed, true);
        self.count += 1;
        if !is_listed {
            self.turns.push(place);
        }
    }

    /// The place of a tenant, made where it is missing.
    #[inline]
    fn place_of(&mut self, tenant: u32) -> usize {
        match self.tenants.get(self.last) {
            Some(last) if last.number == tenant => {}
            _ => self.last = self.find(tenant),
        }
        self.last
    }

    #[inline(never)]
    fn find(&mut self, number: u32) -> usize {
        *self.places.entry(number).or_insert_with(|| {
            let tenant = Tenant {
                number,
                ..Tenant::default()
            };
            match self.free.pop() {
                Some(place) => {
                    self.tenants[place] = tenant;
                    place
                }
                None => {
                    self.tenants.push(tenant);
                    self.tenants.len() - 1
                }
            }
        })
    }

    /// Forgets a tenant without actors that can run.
    #[inline(never)]
    fn forget(&mut self, place: usize) {
        self.places.remove(&self.tenants[place].number);
        self.tenants[place] = Tenant::default();
        self.free.push(place);
        // Nobody is found there by the number that now stands there.
        self.last = usize::MAX;
    }

    /// An actor loses its place, if it has one: the rank that it had, if it had one.
    pub(crate) fn remove(&mut self, id: ActorId, tenant: u32) -> Option<Option<u64>> {
        let place = self.places.get(&tenant)?;
        let rank = self.tenants[*place].line.take(id)?;
        self.count -= 1;
        Some(rank)
    }

    /// Gives those that have a place new ranks, in their order; those without an answer lose it.
    pub(crate) fn rank_anew(&mut self, rank: impl Fn(ActorId) -> Option<Option<u64>>) {
        for tenant in &mut self.tenants {
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
        let mut tenants = self.turns.len();
        // Dividing takes longer than all else here where there is but one.
        let even = match tenants {
            0 | 1 => settings.tick_gas,
            _ => settings.tick_gas / tenants as u64,
        };
        let mut budget = Budget {
            tick_gas: settings.tick_gas,
            share: even.max(settings.quantum),
            reserved: 0,
        };
        while tenants > 0 && self.take_turn(&mut budget, actors, list) {
            tenants -= 1;
        }
        budget.reserved
    }

    /// Gives actors of the tenant whose turn it is theirs; whether there may be more for others.
    #[inline(never)]
    fn take_turn(
        &mut self,
        budget: &mut Budget,
        actors: &ActorTable,
        list: &mut Vec<Turn>,
    ) -> bool {
        let left = budget.tick_gas.saturating_sub(budget.reserved);
        let Some(place) = self.turns.first().filter(|_| left > 0) else {
            return false;
        };
        let first = list.len();
        let of = &mut self.tenants[place];
        if !std::mem::replace(&mut of.is_in_turn, true) {
            of.credit += budget.share;
        }
        let mut taken = Taken {
            gas: 0,
            gas_max: of.credit,
            left,
            places: 0,
        };
        let mut waiting = of.line.in_turn().iter();
        let mut refused = waiting.find_map(|id| taken.add(*id, actors, list));
        of.line.skip(taken.places);
        if refused.is_none() && of.line.is_ranked() {
            refused = of.take_ranked(&mut taken, actors, list);
        }
        self.count -= taken.places;
        of.credit -= taken.gas;
        budget.reserved += taken.gas;
        if refused == Some(Refused::TickIsFull) {
            return false;
        }
        of.is_in_turn = false;
        self.turns.pop();
        if refused.is_some() {
            self.turns.push(place);
            return true;
        }
        of.credit = 0;
        of.is_listed = false;
        budget.reserved += stretch(&mut list[first..], taken.gas, budget.share.min(left));
        if self.places.len() > TENANTS_KEPT {
            self.forget(place);
        }
        true
    }
}

/// What a tick has for the tenants.
struct Budget {
    tick_gas: u64,
    /// What a turn adds to the credit of a tenant.
    share: u64,
    /// Gas that turns have got.
    reserved: u64,
}

/// What a tenant has got in its turn.
struct Taken {
    /// The gas of the allowances of its actors.
    gas: u64,
    /// Gas that it may use.
    gas_max: u64,
    /// Gas that the tick has left for it.
    left: u64,
    /// Actors that have lost their places, those that have ended since they could run included.
    places: usize,
}

/// Why an actor gets no turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Its tenant may not use more before others have had theirs.
    TurnIsOver,
    /// The tick has no more gas.
    TickIsFull,
}

impl Taken {
    /// Gives an actor a turn, if it fits.
    #[inline(always)]
    fn add(&mut self, id: ActorId, actors: &ActorTable, list: &mut Vec<Turn>) -> Option<Refused> {
        // An actor may have ended since it could run.
        if let Some(gas) = actors.allowance(id) {
            let gas = u64::from(gas);
            let together = self.gas + gas;
            // Asked first, so that a turn that is over does not take the next tick's beginning for nothing.
            if together > self.gas_max {
                return Some(Refused::TurnIsOver);
            }
            if together > self.left && !list.is_empty() {
                return Some(Refused::TickIsFull);
            }
            self.gas = together;
            list.push(Turn {
                id,
                gas,
                deeds_end: 0,
                is_over: false,
            });
        }
        self.places += 1;
        None
    }
}

impl Tenant {
    /// Gives actors with ranks their turns, when there are no others.
    #[inline(never)]
    fn take_ranked(
        &mut self,
        taken: &mut Taken,
        actors: &ActorTable,
        list: &mut Vec<Turn>,
    ) -> Option<Refused> {
        while let Some(id) = self.line.first_ranked() {
            let refused = taken.add(id, actors, list);
            if refused.is_some() {
                return refused;
            }
            self.line.pop_ranked();
        }
        None
    }
}

impl Portable for ReadyQueue {
    /// Tenants in the order of their turns, with their actors in order: the others have nothing to say.
    fn put(&self, out: &mut Out<'_>) {
        out.to.varint(self.turns.len() as u64);
        for of in self.turns.iter().map(|place| &self.tenants[*place]) {
            of.number.put(out);
            of.credit.put(out);
            of.is_in_turn.put(out);
            of.line.put(out);
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
            let place = ready.place_of(tenant);
            let of = &mut ready.tenants[place];
            if of.is_listed {
                return Err(input.from.error(format!("tenant {tenant} is there twice")));
            }
            let count = line.len();
            *of = Tenant {
                number: tenant,
                line,
                credit,
                is_in_turn,
                is_listed: true,
            };
            ready.count += count;
            ready.turns.push(place);
        }
        Ok(ready)
    }
}
