//! V2's `PhysicsScheduler`: actors take turns until they yield, end, fail or wait.
//!
//! A tick is one turn of one actor. What an actor sends reaches a mailbox before the next tick, in
//! the order in which it was sent; the receiver finds it on its stack when its turn begins. Actors
//! that have ended stay, to be looked at, but get no more turns.
//!
//! | file | what it holds |
//! |---|---|
//! | `capability` | requests, grants, revocations, votes, the audit log |
//! | `priority` | who is next |
//! | `resource` | limits, quotas, usage |

mod capability;
mod priority;
mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::alone::DEFAULT_PRIORITY;
use super::capabilities::{Ballots, CapAuditEntry, CapDecision, CapRequest, ExtraPool};
use super::surroundings::{DocumentedHost, HostProvider, Surroundings};
use super::transfer::Message;
use super::{Capability, HeapObjects, HostFunction, InstructionResult, Value, VmError, VmState};

pub use resource::{
    ActorResourceQuota, ResourceAllocationResult, ResourceMonitoringStats, ResourceUsageSnapshot,
};

/// Why the scheduler refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhysicsError {
    /// There is no such actor.
    ActorNotFound(u32),
    /// Nothing can run.
    SchedulerError(String),
    /// The rules of capabilities do not allow it.
    CapabilityError(String),
    /// The rules of voting do not allow it.
    ConsensusError(String),
}

impl fmt::Display for PhysicsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PhysicsError::ActorNotFound(id) => write!(f, "Actor not found: {id}"),
            PhysicsError::SchedulerError(message) => write!(f, "Scheduler error: {message}"),
            PhysicsError::CapabilityError(message) => write!(f, "Capability error: {message}"),
            PhysicsError::ConsensusError(message) => write!(f, "Consensus error: {message}"),
        }
    }
}

impl std::error::Error for PhysicsError {}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TickResult {
    /// The actor yielded.
    ActorYielded(u32),
    /// It has ended with a value.
    ActorFinished(u32, Value),
    /// It has failed.
    ActorErrored(u32, VmError),
    /// It waits for a vote on a capability.
    ActorWaitingForCapability(u32, Capability),
    /// Its debugger paused it.
    ActorPaused(u32),
}

/// An actor.
pub struct Actor {
    /// Its number.
    pub id: u32,
    /// The capabilities it holds.
    pub capabilities: BTreeSet<Capability>,
    /// The requests it made, the oldest first.
    pub capability_requests: Vec<CapRequest>,
    /// Its parent.
    pub parent_id: Option<u32>,
    /// How important it is.
    pub priority: u8,
    /// A temporary addition to the priority; each turn takes one away.
    pub priority_boost: Option<u32>,
    vm: Box<VmState>,
    mailbox: Vec<Message>,
    sent: Vec<(u32, Message)>,
    /// Steps and bytes that the machine was given, and what was granted on top.
    own_limits: (u64, usize),
    /// Ticks since it could have run and did not.
    passed_over: u64,
    /// The tick of its last turn.
    last_turn: u64,
}

impl Actor {
    /// An actor of priority 128, without capabilities or parent.
    pub fn new(id: u32, vm: VmState) -> Actor {
        Actor {
            id,
            capabilities: BTreeSet::new(),
            capability_requests: Vec::new(),
            parent_id: None,
            priority: DEFAULT_PRIORITY,
            priority_boost: None,
            own_limits: vm.limits(),
            vm: Box::new(vm),
            mailbox: Vec::new(),
            sent: Vec::new(),
            passed_over: 0,
            last_turn: 0,
        }
    }

    /// The machine.
    pub fn vm(&self) -> &VmState {
        &self.vm
    }

    /// The machine, to attach a debugger to it, for instance.
    pub fn vm_mut(&mut self) -> &mut VmState {
        &mut self.vm
    }

    /// Gives the actor another program; everything else stays.
    pub fn replace_vm(&mut self, vm: VmState) {
        self.own_limits = vm.limits();
        *self.vm = vm;
        self.sent.clear();
    }

    /// Messages that wait for its next turn.
    pub fn mailbox(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.mailbox.iter().map(|message| &message.value)
    }

    /// Whether it waits for a decision on a capability.
    pub fn is_waiting(&self) -> bool {
        self.vm.waiting_for().is_some()
    }

    fn is_runnable(&self) -> bool {
        !self.vm.is_done() && !self.is_waiting()
    }

    /// Messages that its program has sent so far, with the objects that they point to.
    pub fn messages_sent(&self, objects: &mut HeapObjects) -> Vec<(u32, Value)> {
        let sent = self.sent.iter();
        sent.map(|(target, message)| (*target, objects.absorb(&message.value, &message.objects)))
            .collect()
    }
}

/// The scheduler.
pub struct PhysicsScheduler {
    actors: Vec<Actor>,
    current_actor_index: usize,
    message_queues: BTreeMap<u32, Vec<Message>>,
    dead_letters: u64,
    ticks: u64,
    host: Box<dyn HostProvider>,
    capability_audit_log: Vec<CapAuditEntry>,
    next_request_id: u64,
    ballots: Ballots,
    extra_pool: ExtraPool,
    use_priority_scheduling: bool,
    starvation_threshold: u64,
    resources: resource::Resources,
}

impl Default for PhysicsScheduler {
    fn default() -> PhysicsScheduler {
        PhysicsScheduler::new()
    }
}

impl PhysicsScheduler {
    /// A scheduler without actors.
    pub fn new() -> PhysicsScheduler {
        PhysicsScheduler {
            actors: Vec::new(),
            current_actor_index: 0,
            message_queues: BTreeMap::new(),
            dead_letters: 0,
            ticks: 0,
            host: Box::new(DocumentedHost),
            capability_audit_log: Vec::new(),
            next_request_id: 0,
            ballots: Ballots::default(),
            extra_pool: ExtraPool::default(),
            use_priority_scheduling: false,
            starvation_threshold: priority::STARVATION_THRESHOLD,
            resources: resource::Resources::default(),
        }
    }

    /// Replaces the host functions.
    pub fn set_host(&mut self, host: Box<dyn HostProvider>) {
        self.host = host;
    }

    pub(crate) fn host_mut(&mut self) -> &mut dyn HostProvider {
        &mut *self.host
    }

    /// Adds an actor. One of the same number makes way.
    pub fn add_actor(&mut self, actor: Actor) {
        match self.index_of(actor.id) {
            Some(index) => self.actors[index] = actor,
            None => self.actors.push(actor),
        }
    }

    /// Takes an actor out.
    pub fn remove_actor(&mut self, id: u32) -> Option<Actor> {
        let index = self.index_of(id)?;
        if index < self.current_actor_index {
            self.current_actor_index -= 1;
        }
        Some(self.actors.remove(index))
    }

    /// All actors, in the order in which they came.
    pub fn actors(&self) -> &[Actor] {
        &self.actors
    }

    fn index_of(&self, id: u32) -> Option<usize> {
        self.actors.iter().position(|actor| actor.id == id)
    }

    /// An actor.
    pub fn actor(&self, id: u32) -> Option<&Actor> {
        self.actors.iter().find(|actor| actor.id == id)
    }

    /// An actor, to change it.
    pub fn actor_mut(&mut self, id: u32) -> Option<&mut Actor> {
        self.actors.iter_mut().find(|actor| actor.id == id)
    }

    fn require(&self, id: u32) -> Result<&Actor, PhysicsError> {
        self.actor(id).ok_or(PhysicsError::ActorNotFound(id))
    }

    fn require_mut(&mut self, id: u32) -> Result<&mut Actor, PhysicsError> {
        self.actor_mut(id).ok_or(PhysicsError::ActorNotFound(id))
    }

    /// The actor whose turn is next in round-robin order.
    pub fn current_actor_id(&self) -> Option<u32> {
        self.actors
            .get(self.current_actor_index)
            .map(|actor| actor.id)
    }

    /// Queues a message; it is in the mailbox when the next tick begins.
    pub fn send_message(&mut self, target: u32, message: Value) {
        self.send_message_with_objects(target, message, Arc::default());
    }

    /// Queues a message that is made of objects.
    pub fn send_message_with_objects(
        &mut self,
        target: u32,
        message: Value,
        objects: Arc<HeapObjects>,
    ) {
        let message = Message {
            value: message,
            objects,
        };
        self.message_queues.entry(target).or_default().push(message);
    }

    /// Moves queued messages to mailboxes. Those to unknown actors are dead letters.
    pub fn deliver_external_messages(&mut self) {
        for (target, messages) in std::mem::take(&mut self.message_queues) {
            match self.actor_mut(target) {
                Some(actor) => actor.mailbox.extend(messages),
                None => self.dead_letters += messages.len() as u64,
            }
        }
    }

    /// Messages so far that nobody was there to receive.
    pub fn dead_letters(&self) -> u64 {
        self.dead_letters
    }

    /// Gives one actor a turn.
    ///
    /// # Errors
    /// When no actor can run, or the limits of all actors together are exceeded.
    pub fn tick(&mut self) -> Result<TickResult, PhysicsError> {
        if self.check_resource_limits() {
            return Err(PhysicsError::SchedulerError(
                "Resource limits exceeded".to_owned(),
            ));
        }
        self.deliver_external_messages();
        let Some(index) = self.next_actor() else {
            return Err(PhysicsError::SchedulerError(
                "No actors to schedule".to_owned(),
            ));
        };
        self.current_actor_index = (index + 1) % self.actors.len();
        Ok(self.run_actor(index))
    }

    /// Gives this actor a turn, whoever would be next.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn tick_actor(&mut self, id: u32) -> Result<TickResult, PhysicsError> {
        self.deliver_external_messages();
        let index = self.index_of(id).ok_or(PhysicsError::ActorNotFound(id))?;
        Ok(self.run_actor(index))
    }

    fn run_actor(&mut self, index: usize) -> TickResult {
        self.ticks += 1;
        self.apply_limits(index);
        let actor = &mut self.actors[index];
        let id = actor.id;
        actor.last_turn = self.ticks;
        actor.passed_over = 0;
        actor.priority_boost = actor.priority_boost.and_then(|boost| boost.checked_sub(1));
        let steps_before = actor.vm.steps_used();
        let mut vm = std::mem::replace(&mut actor.vm, Box::new(absent()));
        vm.inbox.append(&mut actor.mailbox);
        let result = self.run_machine(id, &mut vm);
        self.resources.count_steps(vm.steps_used() - steps_before);
        let actor = &mut self.actors[index];
        actor.mailbox.append(&mut vm.inbox);
        actor.vm = vm;
        match result {
            Ok(InstructionResult::Yield) => TickResult::ActorYielded(id),
            Ok(InstructionResult::Finished(value)) => TickResult::ActorFinished(id, value),
            Ok(InstructionResult::WaitingForCapability(capability)) => {
                TickResult::ActorWaitingForCapability(id, capability)
            }
            Ok(InstructionResult::Paused | InstructionResult::Continue) => {
                TickResult::ActorPaused(id)
            }
            Err(error) => TickResult::ActorErrored(id, error),
        }
    }

    /// Runs a machine, deciding on its requests as they come.
    fn run_machine(&mut self, id: u32, vm: &mut VmState) -> Result<InstructionResult, VmError> {
        loop {
            let mut turn = Turn {
                scheduler: self,
                actor: id,
                request: None,
            };
            let result = vm.run_in(&mut turn);
            let Some((capability, reason)) = turn.request.take() else {
                return result;
            };
            let decision = self.handle_capability_request(id, capability, &reason);
            if decision == CapDecision::PendingConsensus {
                return result;
            }
            if let Some(index) = self.index_of(id) {
                let (steps, bytes) = self.limits_of(index);
                vm.set_limits(steps, bytes);
            }
            vm.resolve_capability(decision == CapDecision::Granted);
        }
    }
}

/// What stands in an actor's place while its machine runs.
fn absent() -> VmState {
    VmState::new(Vec::new(), Vec::new(), 0, 0, 0, 0)
}

/// The surroundings of an actor during its turn.
struct Turn<'a> {
    scheduler: &'a mut PhysicsScheduler,
    actor: u32,
    /// A request that stopped the machine.
    request: Option<(Capability, String)>,
}

impl Surroundings for Turn<'_> {
    fn holds(&mut self, capability: &Capability) -> bool {
        self.scheduler.actor_has_capability(self.actor, capability)
    }

    /// Requests stop the machine, for a decision may change its limits.
    fn request(&mut self, capability: &Capability, reason: &str) -> CapDecision {
        self.request = Some((capability.clone(), reason.to_owned()));
        CapDecision::PendingConsensus
    }

    fn grant(&mut self, to: u32, capability: &Capability) -> bool {
        let granted = self
            .scheduler
            .grant_capability(self.actor, to, capability.clone());
        granted.is_ok()
    }

    fn revoke(&mut self, from: u32, capability: &Capability) -> bool {
        self.scheduler
            .revoke_capability(self.actor, from, capability)
            .is_ok()
    }

    fn send(&mut self, to: u32, message: Message) {
        if let Some(actor) = self.scheduler.actor_mut(self.actor) {
            actor.sent.push((to, message.clone()));
        }
        self.scheduler
            .message_queues
            .entry(to)
            .or_default()
            .push(message);
    }

    fn call(
        &mut self,
        function: HostFunction,
        arguments: &[Value],
        objects: &mut HeapObjects,
    ) -> Value {
        self.scheduler
            .host
            .call(self.actor, function, arguments, objects)
    }
}

#[cfg(test)]
mod tests;
