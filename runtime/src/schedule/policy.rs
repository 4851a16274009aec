//! In which order the actors of a subtree have their turns.
//!
//! By priority, waiting counts: so many ticks of it are worth a level. All who wait age alike, so who is first
//! among them never changes while they wait, and an actor's place follows from when it began to wait and its
//! priority then: its *rank*, lowest first. Nothing is ever sorted anew, and nobody starves: who begins to wait
//! 255 levels' worth of ticks later cannot come first, whatever its priority.

use serde::{Deserialize, Serialize};

use crate::portable::portable;

/// The priority of an actor for which nobody has said another.
pub const ACTOR_PRIORITY_DEFAULT: u8 = 128;

/// In which order the actors of a subtree have their turns. Subtrees share time evenly in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SchedulingPolicy {
    /// Who has waited longest is next.
    #[default]
    RoundRobin,
    /// Who has the highest priority is next; waiting raises it.
    Priority,
}

/// What is added up to an actor's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ranks {
    pub(crate) policy: SchedulingPolicy,
    /// Ticks of waiting that are worth a level of priority.
    pub(crate) ageing_ticks: u64,
}

impl Ranks {
    /// The rank of an actor that begins to wait; nothing where waiting alone counts.
    pub(crate) fn rank(self, tick: u64, priority: u8) -> Option<u64> {
        let is_ranked = self.policy == SchedulingPolicy::Priority;
        is_ranked.then(|| tick.saturating_add(self.late(priority)))
    }

    /// The rank of an actor that has had another rank and another priority.
    pub(crate) fn changed(self, rank: u64, (before, now): (u8, u8)) -> u64 {
        let began = rank.saturating_sub(self.late(before));
        began.saturating_add(self.late(now))
    }

    /// Ticks by which an actor comes later than one of the highest priority.
    fn late(self, priority: u8) -> u64 {
        let levels = u64::from(u8::MAX - priority);
        levels.saturating_mul(self.ageing_ticks)
    }
}

portable!(enum SchedulingPolicy { 0 => RoundRobin, 1 => Priority });
