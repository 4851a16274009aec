//! V2's `PhysicsWorld`: runs one actor at a time and gives back everything that it gave.

use super::scheduler::{Actor, PhysicsError, PhysicsScheduler, TickResult};
use super::vm_state::MAX_RECURSION_DEPTH;
use super::{ExecutionResult, HeapObjects, HostProvider, OpCode, StructuredError, Value, VmState};

/// The world of V2.
///
/// ```
/// use physics_world::v2::{OpCode, PhysicsWorld, Value};
///
/// let mut world = PhysicsWorld::new();
/// let code = vec![OpCode::Int(1), OpCode::Int(2), OpCode::Add];
/// let result = world.execute_actor(7, code, vec![], 100, 1024);
/// assert_eq!(result.output, Some(Value::Int(3)));
/// assert_eq!(result.metrics.steps_used, 4);
/// ```
#[derive(Default)]
pub struct PhysicsWorld {
    scheduler: PhysicsScheduler,
}

impl PhysicsWorld {
    /// A world without actors.
    pub fn new() -> PhysicsWorld {
        PhysicsWorld::default()
    }

    /// The scheduler of the world's actors.
    pub fn scheduler(&self) -> &PhysicsScheduler {
        &self.scheduler
    }

    /// The scheduler of the world's actors, to change it.
    pub fn scheduler_mut(&mut self) -> &mut PhysicsScheduler {
        &mut self.scheduler
    }

    /// Replaces the host functions.
    pub fn set_host(&mut self, host: Box<dyn HostProvider>) {
        self.scheduler.set_host(host);
    }

    /// Runs a program as this actor to its end, under limits of its own. Yielding does not end it: it
    /// goes on with the messages that arrived meanwhile.
    ///
    /// An actor that does not exist yet begins without capabilities; one that does keeps its
    /// capabilities and mailbox, and its messages are on the stack when the program begins.
    pub fn execute_actor(
        &mut self,
        actor_id: u32,
        code: Vec<OpCode>,
        constants: Vec<Value>,
        step_limit: u64,
        memory_limit: usize,
    ) -> ExecutionResult {
        let vm = VmState::new(
            code,
            constants,
            step_limit,
            memory_limit,
            actor_id,
            MAX_RECURSION_DEPTH,
        );
        match self.scheduler.actor_mut(actor_id) {
            Some(actor) => actor.replace_vm(vm),
            None => self.scheduler.add_actor(Actor::new(actor_id, vm)),
        }
        let ending = loop {
            match self.scheduler.tick_actor(actor_id) {
                Ok(TickResult::ActorYielded(_)) => {}
                other => break other,
            }
        };
        let mut objects = HeapObjects::new();
        let (output, error) = match ending {
            Ok(TickResult::ActorFinished(_, value)) => (Some(value), None),
            Ok(TickResult::ActorErrored(_, error)) => (None, Some(error.to_structured())),
            Ok(TickResult::ActorWaitingForCapability(..)) => {
                let pending = "Capability request pending consensus".to_owned();
                (None, Some(StructuredError::CapabilityError(pending)))
            }
            Ok(TickResult::ActorPaused(_)) => {
                let paused = "The debugger paused the actor".to_owned();
                (None, Some(StructuredError::SchedulerError(paused)))
            }
            Ok(TickResult::ActorYielded(_)) => unreachable!("an actor that yielded goes on"),
            Err(error) => (
                None,
                Some(StructuredError::SchedulerError(error.to_string())),
            ),
        };
        let Some(actor) = self.scheduler.actor(actor_id) else {
            unreachable!("the actor was added, and nothing takes actors out")
        };
        let output = output.map(|value| objects.absorb(&value, actor.vm().objects()));
        ExecutionResult {
            output,
            messages_sent: actor.messages_sent(&mut objects),
            error,
            final_state_snapshot: actor.vm().snapshot(),
            metrics: actor.vm().metrics(),
            objects,
        }
    }

    /// Puts messages in an actor's mailbox, for its next turn.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn deliver_messages(
        &mut self,
        actor_id: u32,
        messages: Vec<Value>,
    ) -> Result<(), PhysicsError> {
        if self.scheduler.actor(actor_id).is_none() {
            return Err(PhysicsError::ActorNotFound(actor_id));
        }
        for message in messages {
            self.scheduler.send_message(actor_id, message);
        }
        self.scheduler.deliver_external_messages();
        Ok(())
    }

    /// An actor's machine as bytes, for [`VmState::from_snapshot`].
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn snapshot_actor_state(&self, actor_id: u32) -> Result<Vec<u8>, PhysicsError> {
        let actor = self.scheduler.actor(actor_id);
        let actor = actor.ok_or(PhysicsError::ActorNotFound(actor_id))?;
        Ok(actor.vm().snapshot())
    }
}

#[cfg(test)]
mod tests;
