//! The parts of a state.

use std::collections::BTreeMap;

use crate::actor::ActorId;
use crate::portable::portable;

/// The parts of a state that belong to no actor.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Sections {
    /// Program files, by number.
    pub(crate) programs: Vec<Vec<u8>>,
    pub(crate) system: Vec<u8>,
    pub(crate) capabilities: Vec<u8>,
}

portable!(struct Sections { programs, system, capabilities });

/// What a world is besides its actors and their powers: programs, time, who runs next, quotas, what is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerializedSystemState {
    /// Program files, by number.
    pub programs: Vec<Vec<u8>>,
    /// The rest.
    pub bytes: Vec<u8>,
}

/// An actor: its computation, its mailbox, what it waits for and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerializedActorState {
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Rules, grants, open requests and the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SerializedCapabilityState {
    /// All of it.
    pub bytes: Vec<u8>,
}

/// The state of a world between two ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemCheckpoint {
    /// Ticks that the world had done.
    pub timestamp: u64,
    /// What belongs to no actor.
    pub global_state: SerializedSystemState,
    /// Each actor.
    pub actor_states: BTreeMap<ActorId, SerializedActorState>,
    /// Who may do what.
    pub capability_state: SerializedCapabilityState,
    /// Inputs that had come and had not taken effect, by the numbers in which they came.
    pub pending_inputs: Vec<(u64, Vec<u8>)>,
}

impl SystemCheckpoint {
    /// Bytes of it.
    pub fn size_bytes(&self) -> usize {
        let programs: usize = self.global_state.programs.iter().map(Vec::len).sum();
        let actors = self.actor_states.values();
        let actors: usize = actors.map(|actor| actor.bytes.len()).sum();
        let inputs = self.pending_inputs.iter();
        let inputs: usize = inputs.map(|(_, input)| input.len()).sum();
        programs
            + self.global_state.bytes.len()
            + actors
            + self.capability_state.bytes.len()
            + inputs
    }
}
