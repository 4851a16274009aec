//! Limits of all actors together, quotas of each, and what was used.
//!
//! Limits and quotas of 0 steps or bytes mean different things: a global limit of 0 is none, a quota
//! of 0 allows nothing. Quotas that were set are enforced: an actor runs under the smaller of its own
//! limits and its quota. Reservations ([`PhysicsScheduler::allocate_resources_to_actor`]) are promises
//! among embedding programs and bind no actor.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{PhysicsError, PhysicsScheduler};

/// Bytes of a quota that was not set.
const MEMORY_QUOTA: usize = 1 << 20;
/// Steps of a quota that was not set.
const CPU_QUOTA: u64 = 1_000_000;
/// Updates from one snapshot to the next.
const SNAPSHOT_EVERY: u64 = 100;
/// Snapshots that are kept.
const SNAPSHOTS_MAX: usize = 1000;

/// Usage at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceUsageSnapshot {
    /// How many updates there had been.
    pub timestamp: u64,
    /// Steps that all actors have taken.
    pub global_step_count: u64,
    /// Bytes that all actors hold or have reserved.
    pub total_memory_usage: usize,
    /// Steps that all actors have taken or reserved.
    pub total_cpu_time: u64,
    /// Actors that can run.
    pub active_actors: u32,
    /// The average share of dead bytes in the actors' heaps.
    pub memory_fragmentation: f32,
}

/// What an actor may reserve, and has reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorResourceQuota {
    /// The actor.
    pub actor_id: u32,
    /// Bytes it may reserve.
    pub memory_quota: usize,
    /// Steps it may reserve.
    pub cpu_quota: u64,
    /// Bytes reserved.
    pub memory_used: usize,
    /// Steps reserved.
    pub cpu_used: u64,
    /// Steps of all actors when it last changed.
    pub last_updated: u64,
}

/// What became of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceAllocationResult {
    /// It is made.
    Success,
    /// The actor's quota is too small.
    QuotaExceeded,
    /// The limit of all actors together is too small.
    GlobalLimitExceeded,
}

/// Usage now.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceMonitoringStats {
    /// Bytes that all actors hold or have reserved.
    pub memory_usage: usize,
    /// Bytes allowed; 0 for no limit.
    pub memory_limit: usize,
    /// The first as a percentage of the second.
    pub memory_usage_percent: f32,
    /// Steps that all actors have taken.
    pub cpu_time_used: u64,
    /// Steps allowed; 0 for no limit.
    pub cpu_time_limit: u64,
    /// The first as a percentage of the second.
    pub cpu_usage_percent: f32,
    /// The average share of dead bytes in the actors' heaps.
    pub fragmentation_ratio: f32,
    /// Actors that can run.
    pub active_actors: u32,
    /// Actors that wait for a capability.
    pub waiting_actors: u32,
}

#[derive(Debug, Default)]
pub(super) struct Resources {
    memory_limit: usize,
    cpu_time_limit: u64,
    steps: u64,
    updates: u64,
    quotas: BTreeMap<u32, ActorResourceQuota>,
    /// Actors whose quota was set and is enforced.
    enforced: BTreeSet<u32>,
    history: VecDeque<ResourceUsageSnapshot>,
}

impl Resources {
    pub(super) fn count_steps(&mut self, steps: u64) {
        self.steps = self.steps.saturating_add(steps);
    }

    fn quota(&mut self, actor_id: u32) -> &mut ActorResourceQuota {
        let last_updated = self.steps;
        self.quotas.entry(actor_id).or_insert(ActorResourceQuota {
            actor_id,
            memory_quota: MEMORY_QUOTA,
            cpu_quota: CPU_QUOTA,
            memory_used: 0,
            cpu_used: 0,
            last_updated,
        })
    }

    fn reserved_bytes(&self) -> usize {
        self.quotas.values().map(|quota| quota.memory_used).sum()
    }

    fn reserved_steps(&self) -> u64 {
        self.quotas.values().map(|quota| quota.cpu_used).sum()
    }
}

fn percent(used: f32, limit: f32) -> f32 {
    if limit == 0.0 {
        0.0
    } else {
        used / limit * 100.0
    }
}

impl PhysicsScheduler {
    fn held_bytes(&self) -> usize {
        self.actors
            .iter()
            .map(|actor| actor.vm().memory_used())
            .sum()
    }

    fn memory_usage(&self) -> usize {
        self.held_bytes()
            .saturating_add(self.resources.reserved_bytes())
    }

    fn average_fragmentation(&self) -> f32 {
        if self.actors.is_empty() {
            return 0.0;
        }
        let sum: f32 = self
            .actors
            .iter()
            .map(|actor| actor.vm().fragmentation_ratio())
            .sum();
        sum / self.actors.len() as f32
    }

    fn active_actors(&self) -> u32 {
        self.actors
            .iter()
            .filter(|actor| actor.is_runnable())
            .count() as u32
    }

    /// Steps and bytes that the actor at a position may use: its own limits, or its quota.
    pub(super) fn limits_of(&self, index: usize) -> (u64, usize) {
        let actor = &self.actors[index];
        let (steps, bytes) = actor.own_limits;
        match self.resources.quotas.get(&actor.id) {
            Some(quota) if self.resources.enforced.contains(&actor.id) => {
                (steps.min(quota.cpu_quota), bytes.min(quota.memory_quota))
            }
            _ => (steps, bytes),
        }
    }

    pub(super) fn apply_limits(&mut self, index: usize) {
        let (steps, bytes) = self.limits_of(index);
        self.actors[index].vm.set_limits(steps, bytes);
    }

    /// Looks at all actors; every hundredth look is kept.
    pub fn update_resource_usage(&mut self) {
        self.resources.updates += 1;
        if !self.resources.updates.is_multiple_of(SNAPSHOT_EVERY) {
            return;
        }
        let snapshot = ResourceUsageSnapshot {
            timestamp: self.resources.updates,
            global_step_count: self.resources.steps,
            total_memory_usage: self.memory_usage(),
            total_cpu_time: self
                .resources
                .steps
                .saturating_add(self.resources.reserved_steps()),
            active_actors: self.active_actors(),
            memory_fragmentation: self.average_fragmentation(),
        };
        let history = &mut self.resources.history;
        if history.len() == SNAPSHOTS_MAX {
            history.pop_front();
        }
        history.push_back(snapshot);
    }

    /// Usage now.
    pub fn get_resource_stats(&self) -> ResourceMonitoringStats {
        let resources = &self.resources;
        let memory_usage = self.memory_usage();
        ResourceMonitoringStats {
            memory_usage,
            memory_limit: resources.memory_limit,
            memory_usage_percent: percent(memory_usage as f32, resources.memory_limit as f32),
            cpu_time_used: resources.steps,
            cpu_time_limit: resources.cpu_time_limit,
            cpu_usage_percent: percent(resources.steps as f32, resources.cpu_time_limit as f32),
            fragmentation_ratio: self.average_fragmentation(),
            active_actors: self.active_actors(),
            waiting_actors: self
                .actors
                .iter()
                .filter(|actor| actor.is_waiting())
                .count() as u32,
        }
    }

    /// Limits all actors together; 0 means no limit. A tick beyond them is refused.
    pub fn set_resource_limits(&mut self, memory_limit: usize, cpu_time_limit: u64) {
        self.resources.memory_limit = memory_limit;
        self.resources.cpu_time_limit = cpu_time_limit;
    }

    /// Whether all actors together hold or have taken more than allowed.
    pub fn check_resource_limits(&self) -> bool {
        let resources = &self.resources;
        let memory = resources.memory_limit > 0 && self.memory_usage() > resources.memory_limit;
        let cpu = resources.cpu_time_limit > 0 && resources.steps > resources.cpu_time_limit;
        memory || cpu
    }

    /// Reserves bytes and steps for an actor.
    pub fn allocate_resources_to_actor(
        &mut self,
        actor_id: u32,
        memory_request: usize,
        cpu_request: u64,
    ) -> ResourceAllocationResult {
        let memory = self.memory_usage().saturating_add(memory_request);
        let resources = &mut self.resources;
        let cpu = resources.steps.saturating_add(resources.reserved_steps());
        let cpu = cpu.saturating_add(cpu_request);
        let too_much = resources.memory_limit > 0 && memory > resources.memory_limit
            || resources.cpu_time_limit > 0 && cpu > resources.cpu_time_limit;
        if too_much {
            return ResourceAllocationResult::GlobalLimitExceeded;
        }
        let now = resources.steps;
        let quota = resources.quota(actor_id);
        let memory_used = quota.memory_used.saturating_add(memory_request);
        let cpu_used = quota.cpu_used.saturating_add(cpu_request);
        if memory_used > quota.memory_quota || cpu_used > quota.cpu_quota {
            return ResourceAllocationResult::QuotaExceeded;
        }
        quota.memory_used = memory_used;
        quota.cpu_used = cpu_used;
        quota.last_updated = now;
        ResourceAllocationResult::Success
    }

    /// Gives reserved bytes and steps back, at most what was reserved.
    pub fn release_resources_from_actor(
        &mut self,
        actor_id: u32,
        memory_release: usize,
        cpu_release: u64,
    ) {
        let now = self.resources.steps;
        if let Some(quota) = self.resources.quotas.get_mut(&actor_id) {
            quota.memory_used = quota.memory_used.saturating_sub(memory_release);
            quota.cpu_used = quota.cpu_used.saturating_sub(cpu_release);
            quota.last_updated = now;
        }
    }

    /// Sets an actor's quota; from its next turn it runs within it.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn set_actor_resource_quota(
        &mut self,
        actor_id: u32,
        memory_quota: usize,
        cpu_quota: u64,
    ) -> Result<(), PhysicsError> {
        self.require(actor_id)?;
        let quota = self.resources.quota(actor_id);
        quota.memory_quota = memory_quota;
        quota.cpu_quota = cpu_quota;
        self.resources.enforced.insert(actor_id);
        Ok(())
    }

    /// An actor's quota and reservations; none when it has neither.
    pub fn get_actor_resource_usage(&self, actor_id: u32) -> Option<ActorResourceQuota> {
        self.resources.quotas.get(&actor_id).cloned()
    }

    /// The snapshots that were kept, the oldest first.
    pub fn get_resource_usage_history(
        &self,
    ) -> impl ExactSizeIterator<Item = &ResourceUsageSnapshot> {
        self.resources.history.iter()
    }

    /// Forgets the snapshots.
    pub fn clear_resource_usage_history(&mut self) {
        self.resources.history.clear();
    }

    /// Defragments every heap whose share of dead bytes is above the threshold; how many there were.
    pub fn auto_defragment_if_needed(&mut self, threshold: f32) -> usize {
        let mut defragmented = 0;
        for actor in &mut self.actors {
            if actor.vm.fragmentation_ratio() > threshold {
                actor.vm.defragment();
                defragmented += 1;
            }
        }
        defragmented
    }
}
