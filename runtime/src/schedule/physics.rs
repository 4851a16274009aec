//! The scheduler of a world, as embedders see it.

use crate::World;
use crate::actor::ActorId;
use crate::host::Datum;
use crate::inspect::{Intervention, InterventionError};
use crate::schedule::SchedulingPolicy;
use crate::world::{ProgramId, SpawnError};

/// The scheduler of a world: who has turns, and in which order.
///
/// Time is shared between subtrees first, evenly; the policy says who is next among the actors of each. Whatever is
/// changed here is an input of the world and takes effect before its next tick; from other threads it is changed by
/// [`crate::world::Handle`]. A child begins with its parent's priority.
#[derive(Debug)]
pub struct PhysicsScheduler<'a> {
    world: &'a mut World,
}

impl World {
    /// Who has turns, and in which order.
    pub fn scheduler(&mut self) -> PhysicsScheduler<'_> {
        PhysicsScheduler { world: self }
    }
}

impl PhysicsScheduler<'_> {
    /// Adds an actor, like [`World::spawn`].
    ///
    /// # Errors
    /// When the program's beginning takes another number of arguments.
    pub fn add(&mut self, program: ProgramId, arguments: &[Datum]) -> Result<ActorId, SpawnError> {
        self.world.spawn(program, arguments)
    }

    /// Ends an actor.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn remove(&mut self, actor: ActorId) -> Result<(), InterventionError> {
        self.world.intervene(Intervention::Kill(actor))
    }

    /// One tick, like [`World::tick`]. Whether anybody had a turn.
    pub fn tick(&mut self) -> bool {
        self.world.tick()
    }

    /// In which order the actors of a subtree have turns.
    pub fn policy(&self) -> SchedulingPolicy {
        self.world.settings().policy
    }

    /// Says in which order the actors of a subtree have turns from now on. Those that wait keep the order that they
    /// have, as far as their priorities do not say otherwise.
    pub fn set_policy(&mut self, policy: SchedulingPolicy) {
        self.world.set_policy(policy);
    }

    /// An actor's priority, without its boost; nothing when there is no such actor.
    pub fn priority(&self, actor: ActorId) -> Option<u8> {
        Some(self.world.actors.get(actor)?.body.priority)
    }

    /// Sets an actor's priority, 255 being the highest. How long it has waited counts as before.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn set_priority(&mut self, actor: ActorId, priority: u8) -> Result<(), InterventionError> {
        let intervention = Intervention::Prioritize { actor, priority };
        self.world.intervene(intervention)
    }

    /// What is left of an actor's boost; nothing when there is no such actor.
    pub fn boost(&self, actor: ActorId) -> Option<u32> {
        Some(self.world.actors.get(actor)?.body.boost())
    }

    /// Raises an actor's priority for a while: the boost is added to it, and each turn takes one away. 0 ends it.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn set_boost(&mut self, actor: ActorId, boost: u32) -> Result<(), InterventionError> {
        let intervention = Intervention::Boost { actor, boost };
        self.world.intervene(intervention)
    }
}
