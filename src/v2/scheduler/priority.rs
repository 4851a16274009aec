//! Who is next.
//!
//! Round-robin: the actors in order, over and over. By priority: the highest effective priority;
//! among equals the one whose last turn is longest ago; but whoever was passed over
//! [`PhysicsScheduler::get_starvation_threshold`] times comes first.

use super::{Actor, PhysicsError, PhysicsScheduler};

/// Turns that an actor may be passed over, unless set otherwise.
pub(super) const STARVATION_THRESHOLD: u64 = 1000;

impl PhysicsScheduler {
    /// The position of the actor that runs next; the others that could run were passed over.
    pub(super) fn next_actor(&mut self) -> Option<usize> {
        let picked = if self.use_priority_scheduling {
            self.next_by_priority()
        } else {
            self.next_in_turn()
        }?;
        for (index, actor) in self.actors.iter_mut().enumerate() {
            if index != picked && actor.is_runnable() {
                actor.passed_over += 1;
            }
        }
        Some(picked)
    }

    fn next_in_turn(&self) -> Option<usize> {
        let count = self.actors.len();
        let mut places = (0..count).map(|offset| (self.current_actor_index + offset) % count);
        places.find(|place| self.actors[*place].is_runnable())
    }

    fn next_by_priority(&self) -> Option<usize> {
        let runnable = || {
            self.actors
                .iter()
                .enumerate()
                .filter(|(_, actor)| actor.is_runnable())
        };
        let starved =
            runnable().filter(|(_, actor)| actor.passed_over >= self.starvation_threshold);
        let longest =
            starved.max_by_key(|(index, actor)| (actor.passed_over, std::cmp::Reverse(*index)));
        let highest = || {
            runnable().max_by_key(|(index, actor)| {
                let waiting = std::cmp::Reverse((actor.last_turn, *index));
                (effective_priority(actor), waiting)
            })
        };
        longest.or_else(highest).map(|(index, _)| index)
    }

    /// Turns by priority from now on.
    pub fn enable_priority_scheduling(&mut self) {
        self.use_priority_scheduling = true;
    }

    /// Turns in order from now on.
    pub fn disable_priority_scheduling(&mut self) {
        self.use_priority_scheduling = false;
    }

    /// Sets an actor's priority.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn set_priority(&mut self, actor_id: u32, priority: u8) -> Result<(), PhysicsError> {
        self.require_mut(actor_id)?.priority = priority;
        Ok(())
    }

    /// An actor's priority, without its boost.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn get_priority(&self, actor_id: u32) -> Result<u8, PhysicsError> {
        Ok(self.require(actor_id)?.priority)
    }

    /// Changes an actor's priority, within 0 to 255; what it is then.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn adjust_priority(&mut self, actor_id: u32, delta: i8) -> Result<u8, PhysicsError> {
        let actor = self.require_mut(actor_id)?;
        actor.priority = actor.priority.saturating_add_signed(delta);
        Ok(actor.priority)
    }

    /// Raises an actor's priority for a while: the boost is added to it, and each turn takes one away.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn set_priority_boost(&mut self, actor_id: u32, boost: u32) -> Result<(), PhysicsError> {
        self.require_mut(actor_id)?.priority_boost = Some(boost);
        Ok(())
    }

    /// Ends a boost.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn clear_priority_boost(&mut self, actor_id: u32) -> Result<(), PhysicsError> {
        self.require_mut(actor_id)?.priority_boost = None;
        Ok(())
    }

    /// Sets how often an actor may be passed over.
    pub fn set_starvation_threshold(&mut self, threshold: u64) {
        self.starvation_threshold = threshold;
    }

    /// How often an actor may be passed over.
    pub fn get_starvation_threshold(&self) -> u64 {
        self.starvation_threshold
    }
}

fn effective_priority(actor: &Actor) -> u8 {
    let boost = actor.priority_boost.unwrap_or(0);
    actor
        .priority
        .saturating_add(u8::try_from(boost).unwrap_or(u8::MAX))
}
