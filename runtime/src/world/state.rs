//! The state of a world as bytes, and back.
//!
//! What belongs to no actor has two parts: powers, and the rest; of both, what decides what happens next is apart from what is only
//! remembered, because the first is hashed after each tick of a world that knows its trajectory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pw_isa::wire::{DecodeError, Decoded};
use pw_jit::CodeSpace;
use pw_jit::fiber::allocator;

use super::check::{Census, check, check_actor, check_system};
use super::family::Ancestors;
use super::sessions::Sessions;
use super::time::Clock;
use super::upgrade::Upgrades;
use super::{World, WorldStatistics};
use crate::WorldSettings;
use crate::actor::{Actor, ActorId, ActorTable, End, Quarantined};
use crate::capability::{AuditLog, Ballots, CapabilityRules, Grants, Holdings};
use crate::checkpoint::{
    Portion, RecoveryError, SavedActor, Sections, SerializedActorState, SerializedCapabilityState,
    SerializedSystemState, SystemCheckpoint,
};
use crate::host::HostSignature;
use crate::message::BroadcastSystem;
use crate::portable::{In, Out, Portable, Shared, read_with, written};
use crate::quota::Pools;
use crate::schedule::ReadyQueue;
use crate::together::try_map;

/// Says which part of a state is wrong.
fn wrong(part: &str) -> impl FnOnce(DecodeError) -> RecoveryError {
    let part = part.to_owned();
    move |error| RecoveryError::State { part, error }
}

impl World {
    /// Writes what decides what happens next, but for powers, and the clock with its timers in one way or the other.
    fn put_common(&self, out: &mut Out<'_>, put_clock: fn(&Clock, &mut Out<'_>)) {
        self.settings.extra_memory_bytes.put(out);
        self.settings.extra_gas.put(out);
        self.settings.policy.put(out);
        self.tenants.put(out);
        self.tick.put(out);
        self.next_id.put(out);
        self.ready.put(out);
        put_clock(&self.clock, out);
        self.debtors.put(out);
        self.ancestors.put(out);
        self.pools.put(out);
        self.late_ends.put(out);
        self.outside.asked.put(out);
        self.outside.outputs.put(out);
        self.outside.is_muted.put(out);
        self.outside.sessions.put(out);
    }

    /// Writes the powers that there are.
    fn put_powers(&self, out: &mut Out<'_>) {
        self.rules.put(out);
        self.grants.put(out);
        self.ballots.put(out);
        self.first_holdings.put(out);
    }

    /// Writes what a trajectory is the hash of, but for the actors: of what is remembered it has what a change would show in.
    pub(super) fn put_hashed(&self, out: &mut Out<'_>) {
        self.put_common(out, Clock::put_hashed);
        self.put_powers(out);
        self.audit.head().put(out);
        self.topics.put_subscriptions(out);
        self.put_upgrades(out);
    }

    fn put_system(&self, out: &mut Out<'_>) {
        self.settings.put(out);
        self.hosts.table().put(out);
        self.put_common(out, Clock::put);
        let trajectory = self.trajectory().map(|hash| hash.0);
        trajectory.put(out);
        self.topics.put(out);
        self.quarantine.put(out);
        self.statistics.put(out);
        self.ends.put(out);
        // What most worlds never have stands last, up to what there is of it.
        let gone_back = &self.going_back.done;
        if gone_back.is_empty() {
            self.put_upgrades(out);
        } else {
            self.upgrades.put(out);
            gone_back.put(out);
        }
    }

    fn put_capabilities(&self, out: &mut Out<'_>) {
        self.put_powers(out);
        self.audit.put(out);
    }

    /// The parts of the state that belong to no actor.
    pub(super) fn sections(&self) -> Sections {
        let written = |put: fn(&World, &mut Out<'_>)| written(&self.code, |out| put(self, out));
        let programs = (0..self.code.len())
            .map(|program| pw_isa::codec::encode(self.code.program(program).program()));
        Sections {
            programs: programs.collect(),
            system: written(World::put_system),
            capabilities: written(World::put_capabilities),
        }
    }

    /// The state as it is. Of a world that has lost an actor ([`World::hibernation_error`]) it is one that no world takes.
    pub fn to_checkpoint(&self) -> SystemCheckpoint {
        let Sections {
            programs,
            system,
            capabilities,
        } = self.sections();
        let actors = self.actors.states(&self.code);
        let actors = actors.map(|(id, bytes)| (id, SerializedActorState { bytes }));
        SystemCheckpoint {
            timestamp: self.tick,
            global_state: SerializedSystemState {
                programs,
                bytes: system,
            },
            actor_states: actors.collect(),
            capability_state: SerializedCapabilityState {
                bytes: capabilities,
            },
            pending_inputs: self.pending_inputs(),
        }
    }

    /// Takes the state of a checkpoint in place of its own, and what had come and had not taken effect then behind what has come since.
    /// Functions of the embedder, observers and the handles of other threads stay.
    ///
    /// # Errors
    /// Why it cannot be taken; then nothing has changed.
    pub fn take_checkpoint(&mut self, checkpoint: &SystemCheckpoint) -> Result<(), RecoveryError> {
        if self.keeps_history() {
            return Err(RecoveryError::Kept);
        }
        let pending = self.read_pending(&checkpoint.pending_inputs);
        let pending = pending.map_err(wrong("inputs"))?;
        self.take_state_of(checkpoint)?;
        let handle = self.handle();
        pending.into_iter().for_each(|input| handle.apply(input));
        self.repeat_calls();
        Ok(())
    }

    /// Takes the state of a checkpoint in place of its own, and nothing else.
    pub(super) fn take_state_of(
        &mut self,
        checkpoint: &SystemCheckpoint,
    ) -> Result<(), RecoveryError> {
        let sections = Sections {
            programs: checkpoint.global_state.programs.clone(),
            system: checkpoint.global_state.bytes.clone(),
            capabilities: checkpoint.capability_state.bytes.clone(),
        };
        let actors = checkpoint.actor_states.iter();
        let actors = actors.map(|(id, state)| (id.0, state.bytes.as_slice()));
        self.take_state(&sections, Portion::lent(actors))
    }

    /// Takes a state in place of its own. Its actors are read on as many threads as run them.
    pub(super) fn take_state(
        &mut self,
        sections: &Sections,
        actors: Vec<Portion<'_>>,
    ) -> Result<(), RecoveryError> {
        let code = self.code_with(&sections.programs)?;
        let mut shared = Shared::new(self.settings.memory_bytes);
        let system = read_with(&code, &sections.system, &mut shared, System::get);
        let system = system.map_err(wrong("the system"))?;
        let powers = read_with(&code, &sections.capabilities, &mut shared, Powers::get);
        let powers = powers.map_err(wrong("capabilities"))?;
        check_system(&system)?;
        let mut census = Census::with_capacity(actors.iter().map(Portion::len).sum());
        let mut table = ActorTable::default();
        let (alone, together): (Vec<_>, Vec<_>) = actors.into_iter().partition(Portion::is_alone);
        for (threads, portions) in [(1, alone), (self.pool.threads(), together)] {
            let own = || (shared.clone(), Vec::new());
            let read = try_map(threads, portions, own, |(shared, block), portion| {
                read_portion((&code, shared, block), &system, portion)
            })?;
            for (actors, counted) in read {
                actors.into_iter().for_each(|actor| table.insert(actor));
                census.append(counted);
            }
        }
        check(&system, &powers, census, &mut table)?;
        self.hosts
            .differs(&system.functions)
            .map_or(Ok(()), |name| Err(RecoveryError::NoFunction(name)))?;
        self.code = code;
        self.become_like(system, powers, table);
        Ok(())
    }

    fn become_like(&mut self, system: System, powers: Powers, actors: ActorTable) {
        self.settings = system.settings;
        self.tenants = system.tenants;
        self.tick = system.tick;
        self.next_id = system.next_id;
        self.ready = system.ready;
        self.clock = system.clock;
        self.debtors = system.debtors;
        self.ancestors = system.ancestors;
        self.pools = system.pools;
        self.late_ends = system.late_ends;
        self.outside.become_like(
            system.asked,
            system.outputs,
            system.is_muted,
            system.sessions,
        );
        self.topics = system.topics;
        self.quarantine = system.quarantine;
        self.statistics = system.statistics;
        self.ends = system.ends;
        self.upgrades = Arc::new(system.upgrades);
        self.going_back.done = system.gone_back;
        self.rules = powers.rules;
        self.grants = powers.grants;
        self.ballots = powers.ballots;
        self.first_holdings = powers.first_holdings;
        self.audit = powers.audit;
        self.actors.become_like(actors, &self.code);
        self.trajectory = None;
        if let Some(hash) = system.trajectory {
            self.begin_trajectory(hash);
        }
        if self.marks.is_some() {
            self.keep_marks();
        }
    }

    /// The loaded programs, with these.
    fn code_with(&self, programs: &[Vec<u8>]) -> Result<Arc<CodeSpace>, RecoveryError> {
        let mut code = Arc::clone(&self.code);
        for (number, bytes) in programs.iter().enumerate() {
            let bad = |what: String| RecoveryError::Program(what);
            let program = pw_isa::codec::decode(bytes).map_err(|error| bad(error.to_string()))?;
            let verified =
                pw_isa::verify::verify(program).map_err(|error| bad(error.to_string()))?;
            let got = Arc::make_mut(&mut code).load(verified);
            if got as usize != number {
                return Err(RecoveryError::Contradiction(format!(
                    "program {number} of the state is program {got} of the world"
                )));
            }
        }
        Ok(code)
    }
}

/// Small actors for which memory is made ready at once.
const ROOM_ACTORS: usize = 64;

/// Reads actors, each of which by itself fits to what belongs to no actor.
#[expect(clippy::vec_box, reason = "the table of actors takes boxes")]
fn read_portion(
    (code, shared, block): (&CodeSpace, &mut Shared, &mut Vec<u8>),
    system: &System,
    portion: Portion<'_>,
) -> Result<(Vec<Box<Actor>>, Census), RecoveryError> {
    let mut actors = Vec::with_capacity(portion.len());
    let mut census = Census::with_capacity(portion.len());
    portion.read(block, |SavedActor { id, bytes, pages }| {
        if actors.len().is_multiple_of(ROOM_ACTORS) {
            allocator::make_room();
        }
        let read = |input: &mut In<'_>| match pages {
            Some(pages) => Actor::get_rest(input, &pages),
            None => Actor::get(input),
        };
        let actor = read_with(code, bytes, shared, read).map(Box::new);
        let actor = actor.map_err(|error| wrong(&format!("actor {id}"))(error))?;
        if actor.id != ActorId(id) || id == 0 || id >= system.next_id {
            return Err(RecoveryError::Contradiction(format!(
                "actor {} is filed under {id}; numbers go to {}",
                actor.id, system.next_id
            )));
        }
        check_actor(&actor, system)?;
        census.count(&actor);
        actors.push(actor);
        Ok(())
    })?;
    Ok((actors, census))
}

/// What belongs to no actor, but for powers, as it was read.
pub(super) struct System {
    settings: WorldSettings,
    /// Functions of the embedder that there were.
    pub(super) functions: Vec<(String, HostSignature)>,
    pub(super) tenants: u32,
    tick: u64,
    pub(super) next_id: u64,
    pub(super) ready: ReadyQueue,
    pub(super) clock: Clock,
    pub(super) debtors: BTreeMap<u64, Vec<ActorId>>,
    pub(super) ancestors: Ancestors,
    pub(super) pools: Pools,
    pub(super) late_ends: VecDeque<ActorId>,
    asked: u64,
    outputs: u64,
    is_muted: bool,
    sessions: Sessions,
    trajectory: Option<[u8; 32]>,
    topics: BroadcastSystem,
    quarantine: VecDeque<Quarantined>,
    statistics: WorldStatistics,
    ends: BTreeMap<ActorId, End>,
    upgrades: Upgrades,
    /// Ticks of states to which the world came by going back by itself.
    gone_back: Vec<u64>,
}

impl System {
    /// Whether settings and numbers are such that a world can go on with them: the flaw, if not.
    pub(super) fn check(&self, number_max: u64) -> Result<(), String> {
        self.settings.check()?;
        let numbers = [self.tick, self.clock.now_ms(), self.asked, self.outputs];
        if numbers.iter().any(|number| *number >= number_max) || self.tenants == u32::MAX {
            return Err(format!("tick {}, {} ms", self.tick, self.clock.now_ms()));
        }
        self.sessions.check(number_max)
    }

    /// The most gas that a turn is given.
    pub(super) fn slice_max(&self) -> u64 {
        self.settings.quantum.max(self.settings.quantum_min)
    }

    /// Reads what [`World::put_system`] wrote.
    fn get(input: &mut In<'_>) -> Decoded<System> {
        let mut settings = WorldSettings::get(input)?;
        input.shared.stack_bytes_max = settings.memory_bytes;
        let functions = Portable::get(input)?;
        settings.extra_memory_bytes = Portable::get(input)?;
        settings.extra_gas = Portable::get(input)?;
        settings.policy = Portable::get(input)?;
        let tenants = Portable::get(input)?;
        input.shared.tenants = tenants;
        Ok(System {
            settings,
            functions,
            tenants,
            tick: Portable::get(input)?,
            next_id: Portable::get(input)?,
            ready: Portable::get(input)?,
            clock: Portable::get(input)?,
            debtors: Portable::get(input)?,
            ancestors: Portable::get(input)?,
            pools: Portable::get(input)?,
            late_ends: Portable::get(input)?,
            asked: Portable::get(input)?,
            outputs: Portable::get(input)?,
            is_muted: Portable::get(input)?,
            sessions: Portable::get(input)?,
            trajectory: Portable::get(input)?,
            topics: Portable::get(input)?,
            quarantine: Portable::get(input)?,
            statistics: Portable::get(input)?,
            ends: Portable::get(input)?,
            upgrades: get_last(input)?,
            gone_back: get_last(input)?,
        })
    }
}

/// Reads what most states do not have: they end before it.
fn get_last<T: Portable + Default>(input: &mut In<'_>) -> Decoded<T> {
    if input.from.remaining() == 0 {
        return Ok(T::default());
    }
    T::get(input)
}

/// Powers, as they were read.
pub(super) struct Powers {
    rules: CapabilityRules,
    pub(super) grants: Grants,
    pub(super) ballots: Ballots,
    first_holdings: Holdings,
    audit: AuditLog,
}

impl Powers {
    /// Reads what [`World::put_capabilities`] wrote.
    fn get(input: &mut In<'_>) -> Decoded<Powers> {
        Ok(Powers {
            rules: Portable::get(input)?,
            grants: Portable::get(input)?,
            ballots: Portable::get(input)?,
            first_holdings: Portable::get(input)?,
            audit: Portable::get(input)?,
        })
    }
}
