//! Where two histories part.

use std::fmt;

use super::Replay;
use crate::actor::ActorId;
use crate::checkpoint::{RecoveryError, SystemCheckpoint};
use crate::inspect::ActorStack;

/// Where two histories part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Divergence {
    /// The number of ticks after which the states differ for the first time.
    pub tick: u64,
    /// The first actor that differs; nothing when only something else does.
    pub actor: Option<ActorId>,
    /// What differs, and how.
    pub what: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.actor {
            Some(actor) => write!(f, "tick {}, actor {actor}: {}", self.tick, self.what),
            None => write!(f, "tick {}: {}", self.tick, self.what),
        }
    }
}

impl Replay {
    /// Goes forward in two histories until their states differ: from the first tick that both know, to the last that both know.
    /// Both are left there.
    ///
    /// # Errors
    /// When a history cannot be used, or they have no tick in common.
    pub fn first_divergence(
        &mut self,
        other: &mut Replay,
    ) -> Result<Option<Divergence>, RecoveryError> {
        let (first, last) = (self.range(), other.range());
        let (from, to) = (first.0.max(last.0), first.1.min(last.1));
        self.go_to(from)?;
        other.go_to(from)?;
        let found = differs(self, other);
        if found.is_some() {
            return Ok(found);
        }
        // Equal states may have come about in different ways; from here on hashes tell.
        for replay in [&mut *self, &mut *other] {
            replay.unwitness();
            replay.world_mut().begin_trajectory([0; 32]);
        }
        for tick in from + 1..=to {
            self.forward_from_here(tick)?;
            other.forward_from_here(tick)?;
            if self.world().trajectory() != other.world().trajectory() {
                return Ok(Some(differs(self, other).unwrap_or(Divergence {
                    tick,
                    actor: None,
                    what: "states are equal again, and were not within the tick".to_owned(),
                })));
            }
        }
        Ok(None)
    }
}

/// What differs in two worlds of the same tick.
fn differs(one: &Replay, other: &Replay) -> Option<Divergence> {
    let tick = one.tick();
    let (a, b) = (one.to_checkpoint(), other.to_checkpoint());
    let mut ids: Vec<ActorId> = a
        .actor_states
        .keys()
        .chain(b.actor_states.keys())
        .copied()
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let actor = ids
        .into_iter()
        .find(|id| a.actor_states.get(id) != b.actor_states.get(id));
    let what = match actor {
        Some(id) => actor_differs(one, other, id),
        None => system_differs(&a, &b)?.to_owned(),
    };
    Some(Divergence { tick, actor, what })
}

fn actor_differs(one: &Replay, other: &Replay, id: ActorId) -> String {
    let (a, b) = (one.world().actor(id), other.world().actor(id));
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (Some(_), None) => return "it lives in the first only".to_owned(),
        (None, Some(_)) => return "it lives in the second only".to_owned(),
        (None, None) => return "it lives in neither".to_owned(),
    };
    if a.gas != b.gas {
        return format!("gas {} and {}", a.gas, b.gas);
    }
    let stacks = (one.world().stack(id), other.world().stack(id));
    if let (Some(one), Some(other)) = stacks
        && let Some(text) = stack_differs(&one, &other)
    {
        return text;
    }
    if a.mailbox_messages != b.mailbox_messages {
        return format!("{} and {} messages", a.mailbox_messages, b.mailbox_messages);
    }
    if a.doing != b.doing {
        return format!("{} and {}", a.doing, b.doing);
    }
    "values within its memory, its messages or its powers".to_owned()
}

fn stack_differs(one: &ActorStack, other: &ActorStack) -> Option<String> {
    for (number, (a, b)) in one.frames.iter().zip(&other.frames).enumerate() {
        if a.place != b.place {
            return Some(format!(
                "frame {number} is at {} and at {}",
                a.place, b.place
            ));
        }
        for (a, b) in a.variables.iter().zip(&b.variables) {
            if a != b {
                return Some(format!(
                    "frame {number}: {} = {} and {} = {}",
                    a.0, a.1, b.0, b.1
                ));
            }
        }
    }
    let (a, b) = (one.frames.len(), other.frames.len());
    (a != b).then(|| format!("{a} and {b} frames"))
}

fn system_differs(a: &SystemCheckpoint, b: &SystemCheckpoint) -> Option<&'static str> {
    if a.global_state.programs != b.global_state.programs {
        return Some("the loaded programs");
    }
    if a.capability_state != b.capability_state {
        return Some("who may do what, or the audit log");
    }
    (a.global_state != b.global_state)
        .then_some("time, who runs next, quotas, topics or what is remembered")
}
