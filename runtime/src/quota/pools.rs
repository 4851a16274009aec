//! Pools within pools, and what is leased out of them for a tick.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Quota, Usage};
use crate::actor::ActorId;
use crate::portable::portable;

/// The number of a pool; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct PoolId(pub(crate) u32);

/// Messages that are leased to an actor at once, at most.
const MESSAGES_LEASED: u64 = 1024;
/// Children and host calls that are leased to an actor at once, at most.
const FEW_LEASED: u64 = 16;
/// Logical bytes that are leased to an actor at first; each time they do not suffice it gets twice as many.
pub(crate) const MEMORY_LEASED: u64 = 64 << 10;
/// Ticks between two samples of what a pool uses.
const SAMPLE_TICKS: u64 = 64;
/// Samples that are kept of a pool.
const SAMPLES_MAX: usize = 256;

/// What a pool used at some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsageSample {
    /// The tick.
    pub tick: u64,
    /// What was used until then.
    pub usage: Usage,
}

/// A pool that had nothing left for actors that wanted to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contention {
    /// Whose pool it is.
    pub owner: ActorId,
    /// Turns that had to wait for the next tick, so far.
    pub turns: u64,
    /// The last tick in which one had to.
    pub tick: u64,
}

/// What actors of a pool may use together.
#[derive(Debug)]
struct Pool {
    owner: ActorId,
    parent: PoolId,
    quota: Quota,
    used: Usage,
    /// What is out on lease, or is used up for good in this tick.
    leased: Usage,
    tick: u64,
    gas_in_tick: u64,
    messages_in_tick: u64,
    waited: u64,
    waited_at: u64,
    samples: VecDeque<UsageSample>,
    /// Whether its owner has ended.
    is_orphan: bool,
}

/// What an actor may use in its turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) gas: u64,
    pub(crate) messages: u64,
    pub(crate) children: u64,
    pub(crate) host_calls: u64,
    pub(crate) memory_bytes: u64,
}

/// What an actor wants for its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) gas: u64,
    pub(crate) memory_bytes: u64,
}

/// What keeps an actor from its turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shortage {
    /// There may be more in the next tick.
    Now,
    /// There will be no more gas.
    Gas,
}

/// What is left of a limit.
fn left(limit: Option<u64>, used: u64) -> u64 {
    limit.map_or(u64::MAX, |limit| limit.saturating_sub(used))
}

impl Pool {
    fn begin_tick(&mut self, tick: u64) {
        if self.tick != tick {
            self.tick = tick;
            self.gas_in_tick = 0;
            self.messages_in_tick = 0;
        }
    }

    /// What can be leased to one actor.
    fn available(&self) -> Lease {
        let Pool {
            quota,
            used,
            leased,
            ..
        } = self;
        let gas = left(quota.gas, used.gas + leased.gas);
        let gas_in_tick = left(quota.gas_per_tick, self.gas_in_tick + leased.gas);
        Lease {
            gas: gas.min(gas_in_tick),
            messages: left(
                quota.messages_per_tick,
                self.messages_in_tick + leased.messages,
            ),
            children: left(quota.children, used.children + leased.children),
            host_calls: left(quota.host_calls, used.host_calls + leased.host_calls),
            memory_bytes: left(quota.memory_bytes, used.memory_bytes + leased.memory_bytes),
        }
    }

    fn is_out_of_gas(&self) -> bool {
        left(self.quota.gas, self.used.gas) == 0
    }
}

/// All pools of a world.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    made: u32,
    all: BTreeMap<PoolId, Pool>,
}

impl Pools {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A pool within another.
    pub(crate) fn add(&mut self, owner: ActorId, parent: PoolId, quota: Quota) -> PoolId {
        self.made += 1;
        let id = PoolId(self.made);
        let pool = Pool {
            owner,
            parent,
            quota,
            used: Usage::default(),
            leased: Usage::default(),
            tick: 0,
            gas_in_tick: 0,
            messages_in_tick: 0,
            waited: 0,
            waited_at: 0,
            samples: VecDeque::new(),
            is_orphan: false,
        };
        self.all.insert(id, pool);
        id
    }

    /// The pool that an actor owns.
    pub(crate) fn of_owner(&self, owner: ActorId) -> Option<PoolId> {
        let mut all = self.all.iter();
        all.find(|(_, pool)| pool.owner == owner).map(|(id, _)| *id)
    }

    pub(crate) fn set_quota(&mut self, id: PoolId, quota: Quota) {
        if let Some(pool) = self.all.get_mut(&id) {
            pool.quota = quota;
        }
    }

    pub(crate) fn quota(&self, id: PoolId) -> Option<Quota> {
        self.all.get(&id).map(|pool| pool.quota)
    }

    pub(crate) fn usage(&self, id: PoolId) -> Option<Usage> {
        self.all.get(&id).map(|pool| pool.used)
    }

    pub(crate) fn samples(&self, id: PoolId) -> Vec<UsageSample> {
        let pool = self.all.get(&id);
        pool.map_or(Vec::new(), |pool| pool.samples.iter().copied().collect())
    }

    pub(crate) fn contention(&self) -> Vec<Contention> {
        let all = self.all.values().filter(|pool| pool.waited > 0);
        all.map(|pool| Contention {
            owner: pool.owner,
            turns: pool.waited,
            tick: pool.waited_at,
        })
        .collect()
    }

    /// A pool and all around it, each with its owner.
    pub(crate) fn chain_of(&self, id: PoolId) -> impl Iterator<Item = (PoolId, ActorId)> + '_ {
        let named = |id: PoolId| self.all.get(&id).map(|pool| (id, pool));
        std::iter::successors(named(id), move |(_, pool)| named(pool.parent))
            .map(|(id, pool)| (id, pool.owner))
    }

    /// How many actors each pool counts.
    pub(crate) fn children(&self) -> impl Iterator<Item = (PoolId, u64)> + '_ {
        let all = self.all.iter();
        all.map(|(id, pool)| (*id, pool.used.children))
    }

    /// Whether pools lie within earlier ones, nothing is out on lease, and no number is beyond `number_max`: the flaw, if not.
    pub(crate) fn check(&self, number_max: u64) -> Result<(), String> {
        for (id, pool) in &self.all {
            let lies =
                pool.parent < *id && (pool.parent.0 == 0 || self.all.contains_key(&pool.parent));
            let used = &pool.used;
            let numbers = [
                used.gas,
                used.memory_bytes,
                used.messages,
                used.children,
                used.host_calls,
                pool.gas_in_tick,
                pool.messages_in_tick,
                pool.waited,
            ];
            let is_counted = numbers.iter().all(|number| *number < number_max);
            if !lies || !is_counted || pool.leased != Usage::default() || id.0 > self.made {
                return Err(format!(
                    "pool {} does not lie within {}",
                    id.0, pool.parent.0
                ));
            }
        }
        Ok(())
    }

    /// Does something to a pool and all around it.
    fn chain(&mut self, id: PoolId, mut change: impl FnMut(&mut Pool)) {
        let mut next = id;
        while let Some(pool) = self.all.get_mut(&next) {
            change(pool);
            next = pool.parent;
        }
    }

    /// Takes what an actor may use in its turn out of a pool and all around it.
    pub(crate) fn lease(&mut self, id: PoolId, tick: u64, need: Need) -> Result<Lease, Shortage> {
        let mut lease = Lease {
            gas: need.gas,
            messages: MESSAGES_LEASED,
            children: FEW_LEASED,
            host_calls: FEW_LEASED,
            memory_bytes: need.memory_bytes,
        };
        let mut is_empty = false;
        self.chain(id, |pool| {
            pool.begin_tick(tick);
            let available = pool.available();
            lease.gas = lease.gas.min(available.gas);
            lease.messages = lease.messages.min(available.messages);
            lease.children = lease.children.min(available.children);
            lease.host_calls = lease.host_calls.min(available.host_calls);
            lease.memory_bytes = lease.memory_bytes.min(available.memory_bytes);
            is_empty |= pool.is_out_of_gas();
        });
        if is_empty {
            return Err(Shortage::Gas);
        }
        if lease.gas == 0 {
            self.chain(id, |pool| {
                if pool.available().gas == 0 {
                    pool.waited += 1;
                    pool.waited_at = tick;
                }
            });
            return Err(Shortage::Now);
        }
        self.chain(id, |pool| {
            let leased = &mut pool.leased;
            leased.gas += lease.gas;
            leased.messages += lease.messages;
            leased.children += lease.children;
            leased.host_calls += lease.host_calls;
            leased.memory_bytes += lease.memory_bytes;
        });
        Ok(lease)
    }

    /// A turn is over: what was leased comes back, and what was used is counted.
    pub(crate) fn settle(&mut self, id: PoolId, lease: &Lease, used: &Lease, grown: i64) {
        self.chain(id, |pool| {
            let leased = &mut pool.leased;
            leased.gas -= lease.gas;
            leased.messages -= lease.messages;
            leased.children -= lease.children;
            leased.host_calls -= lease.host_calls;
            leased.memory_bytes -= lease.memory_bytes;
            pool.gas_in_tick += used.gas;
            pool.messages_in_tick += used.messages;
            pool.used.gas += used.gas;
            pool.used.messages += used.messages;
            pool.used.host_calls += used.host_calls;
            pool.used.memory_bytes = pool.used.memory_bytes.saturating_add_signed(grown);
            let is_due = pool
                .samples
                .back()
                .is_none_or(|sample| sample.tick + SAMPLE_TICKS <= pool.tick);
            if is_due {
                if pool.samples.len() == SAMPLES_MAX {
                    pool.samples.pop_front();
                }
                pool.samples.push_back(UsageSample {
                    tick: pool.tick,
                    usage: pool.used,
                });
            }
        });
    }

    /// Whether a pool and all around it have room for another actor that was not leased.
    pub(crate) fn has_room_for_child(&mut self, id: PoolId) -> bool {
        let mut has_room = true;
        self.chain(id, |pool| has_room &= pool.available().children > 0);
        has_room
    }

    /// Whether a pool and all around it have a call of the embedder's functions left.
    pub(crate) fn has_host_call(&mut self, id: PoolId) -> bool {
        let mut has_more = true;
        self.chain(id, |pool| has_more &= pool.available().host_calls > 0);
        has_more
    }

    /// Logical bytes that a pool and all around it have left.
    pub(crate) fn memory_left(&mut self, id: PoolId) -> u64 {
        let mut left = u64::MAX;
        self.chain(id, |pool| left = left.min(pool.available().memory_bytes));
        left
    }

    /// An actor with so many logical bytes has come into a pool.
    pub(crate) fn enter(&mut self, id: PoolId, actor: ActorId, bytes: u64) {
        self.chain(id, |pool| {
            pool.used.children += u64::from(pool.owner != actor);
            pool.used.memory_bytes += bytes;
        });
    }

    /// An actor with so many logical bytes is in a new pool, within those that count it already.
    pub(crate) fn count_in(&mut self, id: PoolId, actor: ActorId, bytes: u64) {
        if let Some(pool) = self.all.get_mut(&id) {
            pool.used.children += u64::from(pool.owner != actor);
            pool.used.memory_bytes += bytes;
        }
    }

    /// Pools that lay directly within `outer` and whose owners are counted in a new pool lie within that one.
    pub(crate) fn move_into(&mut self, id: PoolId, outer: PoolId, owners: &BTreeSet<ActorId>) {
        for (other, pool) in &mut self.all {
            if *other != id && pool.parent == outer && owners.contains(&pool.owner) {
                pool.parent = id;
            }
        }
    }

    /// An actor has ended that held so many logical bytes after its last turn. A pool goes when its owner has ended and
    /// nobody is in it.
    pub(crate) fn leave(&mut self, id: PoolId, actor: ActorId, bytes: u64) {
        self.chain(id, |pool| {
            pool.used.children -= u64::from(pool.owner != actor);
            pool.used.memory_bytes = pool.used.memory_bytes.saturating_sub(bytes);
            pool.is_orphan |= pool.owner == actor;
        });
        let mut next = id;
        while let Some(pool) = self.all.get(&next) {
            let parent = pool.parent;
            if pool.is_orphan && pool.used.children == 0 {
                self.all.remove(&next);
            }
            next = parent;
        }
    }
}

portable!(struct UsageSample { tick, usage });
portable!(struct Pool {
    owner, parent, quota, used, leased, tick, gas_in_tick, messages_in_tick, waited, waited_at, samples,
    is_orphan
});
portable!(struct Pools { made, all });

portable!(number PoolId);
