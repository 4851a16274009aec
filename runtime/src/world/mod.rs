//! A world: actors, and the ticks in which they move.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | the embedding API |
//! | `tick` | one tick: inputs, the run list, slices |
//! | `builder` | what is to be known before a world exists |
//! | `boundary` | what actors did to each other takes effect |
//! | `ends` | what follows from the end of an actor |
//! | `events` | what happens, for who wants to see it |
//! | `family` | who descends from whom |
//! | `powers`, `ballots` | decisions about capabilities; those that others make |
//! | `quotas` | what subtrees may use |
//! | `room` | senders that wait for room in a mailbox |
//! | `host_calls` | what leaves the world |
//! | `hibernation` | actors that wait for long, in a file in place of memory |
//! | `history` | what is kept of it |
//! | `input` | everything that enters the world |
//! | `messages` | what the embedder says to actors |
//! | `outside`, `inbox` | inputs from any thread, questions from outside |
//! | `turns` | places among the actors that can run |
//! | `time` | the world's clock and its timers |
//! | `bundle` | a part of a history in one file |
//! | `capture` | capturing the state while the world goes on |
//! | `check` | whether a state that was read fits together |
//! | `recovery` | a world from its history |
//! | `course`, `rollback` | a history that has taken another course; how it comes to that |
//! | `policy`, `blame` | a world that goes back by itself; what it leaves out |
//! | `poison` | ticks that end the process |
//! | `replay` | time travel |
//! | `divergence` | where two histories part |
//! | `sessions` | clients whose words take effect once |
//! | `state` | the state of a world as bytes, but for its actors |
//! | `trajectory` | the hash of everything that happened |
//! | `upgrade` | actors go on in new programs |

mod ballots;
mod blame;
mod boundary;
mod builder;
mod bundle;
mod capture;
mod check;
mod course;
mod divergence;
mod ends;
mod events;
mod family;
mod hibernation;
mod history;
mod host_calls;
mod inbox;
mod input;
mod messages;
mod outside;
mod pages;
mod poison;
mod policy;
mod powers;
mod quotas;
mod recovery;
mod replay;
mod rollback;
mod room;
mod sessions;
mod state;
mod tick;
mod time;
mod trajectory;
mod turns;
mod upgrade;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pw_isa::verify::Verified;
use pw_jit::failure::Place;
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::start::Start;
use pw_jit::interp::profile::Profile;
use pw_jit::optimize::PerformanceOptimizer;
use pw_jit::{CodeSpace, Limits};

use crate::actor::{
    Actor, ActorId, ActorTable, Body, Common, End, Family, Outbox, Quarantined, Way,
};
use crate::capability::{AuditLog, Ballots, CapabilityRules, Grants, Holdings};
use crate::checkpoint::{RecoveryError, SystemCheckpoint};
use crate::host::{Datum, HostFunctions};
use crate::message::BroadcastSystem;
use crate::monitor::{Gauges, Monitoring};
use crate::portable::portable;
use crate::quota::{PoolId, Pools};
use crate::schedule::{ACTOR_PRIORITY_DEFAULT, ParallelExecutionPool, ReadyQueue, Turn};
use crate::settings::WorldSettings;
pub use builder::{BuildError, WorldBuilder};
pub use bundle::Bundle;
use capture::Marks;
pub use course::OutputConflict;
pub(crate) use course::{Numbers, Rolled};
pub use divergence::Divergence;
use events::Observers;
pub use events::WorldEvent;
use family::Ancestors;
use history::{History, Listener};
pub use history::{HistorySettings, HistoryStatistics};
pub use input::{Input, InputError};
use outside::Outside;
pub use outside::{AskError, Handle};
use poison::Marker;
pub use poison::{Suspect, forget_crashes};
use policy::GoingBack;
pub use policy::{Blame, RollbackPolicy};
pub use recovery::Recovery;
pub use replay::Replay;
pub use rollback::{RecordedInput, RollbackReport};
pub use sessions::Client;
pub use tick::Stopped;
use time::Clock;
pub use time::Pace;
use trajectory::Trajectory;
pub use trajectory::TrajectoryHash;
pub use upgrade::UpgradeReport;
pub(crate) use upgrade::Upgrades;

/// A program that a world has loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramId(u32);

impl ProgramId {
    /// Its number: programs are numbered from 0 in the order in which they were loaded.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Why an actor was not started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program has no function of that name.
    #[error("there is no function `{0}`")]
    NoFunction(String),
    /// The function takes another number of arguments.
    #[error("`{name}` takes {takes} arguments, not {given}")]
    Arity {
        /// The function.
        name: String,
        /// How many it takes.
        takes: u16,
        /// How many were given.
        given: usize,
    },
    /// The history of the world has no room for the arguments.
    #[error("the arguments have {0}")]
    TooLong(InputError),
}

/// What happened in a world so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorldStatistics {
    /// Turns of actors.
    pub slices: u64,
    /// Messages that reached a mailbox.
    pub delivered: u64,
    /// Messages that nobody can receive any more, or for which there was no room.
    pub dead_letters: u64,
    /// Actors started.
    pub started: u64,
    /// Actors that ended.
    pub ended: u64,
    /// Actors that were started again by their supervisors.
    pub restarts: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// A world of actors.
#[derive(Debug)]
pub struct World {
    code: Arc<CodeSpace>,
    settings: WorldSettings,
    hosts: Arc<HostFunctions>,
    way: Way,
    profile: Profile,
    optimizer: PerformanceOptimizer,
    pool: ParallelExecutionPool,
    pub(crate) actors: ActorTable,
    ready: ReadyQueue,
    /// The number of the next actor that has no lease to take it from, and of the next lease.
    next_id: u64,
    tenants: u32,
    tick: u64,
    clock: Clock,
    /// Actors that pay for what they used beyond their slices, by the tick in which they can run again.
    debtors: BTreeMap<u64, Vec<ActorId>>,
    /// Who wants which events.
    topics: BroadcastSystem,
    ancestors: Ancestors,
    rules: CapabilityRules,
    grants: Grants,
    ballots: Ballots,
    audit: AuditLog,
    pools: Pools,
    /// Actors of the run list for which their pools had nothing left in this tick.
    waiting_for_pool: Vec<ActorId>,
    /// Actors that hit the memory of their leases in this tick, with what these were.
    short_of_memory: Vec<(ActorId, u64)>,
    /// Actors that have ended and whose last messages have found room now.
    late_ends: VecDeque<ActorId>,
    quarantine: VecDeque<Quarantined>,
    /// What actors hold that were started from outside.
    first_holdings: Holdings,
    statistics: WorldStatistics,
    /// How actors ended that were started from outside.
    ends: BTreeMap<ActorId, End>,
    outside: Outside,
    observers: Observers,
    pub(crate) monitoring: Option<Box<Monitoring>>,
    /// What its metrics show of it as it is.
    pub(crate) gauges: Vec<Gauges>,
    trajectory: Option<Trajectory>,
    /// What has changed since the last checkpoint. It ends before the history does, which waits for what it captures.
    marks: Option<Box<Marks>>,
    history: History,
    /// Who says which tick is done, for whoever takes up the history next.
    marker: Option<Box<Marker>>,
    /// Who hears what leaves a world that does again what it did.
    listener: Option<Listener>,
    /// What it knows of its going back by itself.
    going_back: GoingBack,
    /// New programs for old ones.
    upgrades: Arc<Upgrades>,
    scratch: Scratch,
}

/// Lists that every tick needs, kept for their memory.
#[derive(Debug, Default)]
struct Scratch {
    list: Vec<Turn>,
    out: Outbox,
    /// Whether a sender waits for room since the deeds of this tick take effect.
    has_parked: bool,
}

impl Scratch {
    /// Forgets what a tick has left.
    #[inline(always)]
    fn clear(&mut self) {
        self.list.clear();
        self.out.deeds.clear();
        self.has_parked = false;
    }
}

impl World {
    /// What is to be known before a world exists.
    pub fn builder() -> WorldBuilder {
        WorldBuilder::default()
    }

    /// Loads a verified program; the same program twice is loaded once.
    pub fn load(&mut self, program: Verified) -> ProgramId {
        self.note(|| Input::Load {
            program: pw_isa::codec::encode(program.program()),
        });
        self.actors.know(None);
        let number = Arc::make_mut(&mut self.code).load(program);
        self.actors.know(Some(&self.code));
        ProgramId(number)
    }

    /// All programs that were loaded, in their order.
    pub fn programs(&self) -> impl Iterator<Item = ProgramId> + use<> {
        (0..self.code.len()).map(ProgramId)
    }

    /// The loaded programs.
    pub fn code(&self) -> &CodeSpace {
        &self.code
    }

    /// The settings.
    pub fn settings(&self) -> &WorldSettings {
        &self.settings
    }

    /// The front of all that makes programs fast.
    pub fn optimizer(&self) -> &PerformanceOptimizer {
        &self.optimizer
    }

    /// What the calling thread has learnt of the programs that it ran.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The threads that run actors.
    pub fn pool(&self) -> &ParallelExecutionPool {
        &self.pool
    }

    /// Ticks so far.
    pub fn ticks(&self) -> u64 {
        self.tick
    }

    /// The world's time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Says who moves the world's time.
    pub fn set_pace(&mut self, pace: Pace) {
        self.note(|| Input::Pace(pace));
        self.clock.pace = pace;
    }

    /// How many waits end at some time.
    pub fn timer_count(&self) -> usize {
        self.clock.timer_count()
    }

    /// How many actors live.
    pub fn actor_count(&self) -> usize {
        self.actors.len()
    }

    /// How many actors could have a turn now.
    pub fn runnable_count(&self) -> usize {
        self.ready.len()
    }

    /// What happened so far.
    pub fn statistics(&self) -> WorldStatistics {
        self.statistics
    }

    /// Starts an actor that runs a program from its beginning. It shares time as a subtree of its own.
    ///
    /// # Errors
    /// When the program's beginning takes another number of arguments.
    pub fn spawn(
        &mut self,
        program: ProgramId,
        arguments: &[Datum],
    ) -> Result<ActorId, SpawnError> {
        let entry = self.code.program(program.0).program().entry;
        self.spawn_number(program, entry, arguments)
    }

    /// Starts an actor that runs a function of a program. Globals of the program that its beginning would set are
    /// not set.
    ///
    /// # Errors
    /// When there is no such function, or it takes another number of arguments.
    pub fn spawn_function(
        &mut self,
        program: ProgramId,
        function: &str,
        arguments: &[Datum],
    ) -> Result<ActorId, SpawnError> {
        let of_program = self.code.program(program.0).program();
        let count = of_program.functions.len() as u32;
        let named = (0..count).find(|number| {
            of_program.function_name(*number) == function
                && of_program.functions[*number as usize].captures == 0
        });
        match named {
            Some(number) => self.spawn_number(program, number, arguments),
            None => Err(SpawnError::NoFunction(function.to_owned())),
        }
    }

    pub(super) fn spawn_number(
        &mut self,
        program: ProgramId,
        function: u32,
        arguments: &[Datum],
    ) -> Result<ActorId, SpawnError> {
        let bytes = arguments.iter().map(Datum::size_bytes).sum();
        if let Some(error) = self.too_long(bytes) {
            return Err(SpawnError::TooLong(error));
        }
        let mut arena = Arena::new();
        let values: Vec<_> = arguments
            .iter()
            .map(|argument| argument.build(&self.code, &mut arena))
            .collect();
        let start = Start::of_function(&self.code, program.0, function, &arena, &values);
        let Some(start) = start else {
            let of_program = self.code.program(program.0).program();
            return Err(SpawnError::Arity {
                name: of_program.function_name(function),
                takes: of_program.functions[function as usize].params,
                given: arguments.len(),
            });
        };
        self.note(|| Input::Spawn {
            program: program.0,
            function,
            arguments: arguments.to_vec(),
        });
        Ok(self.start_from_outside(&start))
    }

    fn start_from_outside(&mut self, start: &Start) -> ActorId {
        let id = ActorId(self.next_id);
        self.next_id += 1;
        let tenant = self.tenants;
        // Those beyond share time with the last.
        self.tenants = self.tenants.saturating_add(1);
        let actor = crate::actor::new_actor(
            id,
            Family {
                parent: ActorId::OUTSIDE,
                tenant,
                pool: PoolId::default(),
                priority: ACTOR_PRIORITY_DEFAULT,
            },
            self.first_holdings.clone(),
            start,
            &self.common(),
        );
        self.add(Box::new(actor));
        id
    }

    /// Adds an actor that can run.
    fn add(&mut self, mut actor: Box<Actor>) {
        self.statistics.started += 1;
        let (id, parent, pool) = (actor.id, actor.body.parent, actor.body.pool);
        self.mark_new(&mut actor);
        self.actors.insert(actor);
        if pool.0 != 0 {
            self.pools.enter(pool, id, 0);
        }
        self.note_child(parent);
        self.note_start(id);
        if self.is_observed() {
            self.tell_event(&WorldEvent::Started { actor: id, parent });
        }
        self.enqueue(id);
    }

    /// The loaded programs, to be kept while the world changes.
    pub(crate) fn shared_code(&self) -> &Arc<CodeSpace> {
        &self.code
    }

    fn common(&self) -> Common<'_> {
        Common {
            code: &self.code,
            settings: &self.settings,
            hosts: &self.hosts,
            upgrades: &self.upgrades,
            way: self.way,
            tick: self.tick,
            now_ms: self.clock.now_ms(),
        }
    }

    /// Where an actor stands; nothing when there is none.
    pub fn place_of(&self, actor: ActorId) -> Option<Place> {
        let actor = self.actors.get(actor)?;
        let frame = actor.fiber.frames().next()?;
        Some(Place::of(&self.code, &frame))
    }

    /// The limits of an actor; nothing when there is none.
    pub fn limits(&self, actor: ActorId) -> Option<Limits> {
        self.actors.get(actor).map(|actor| actor.fiber.limits())
    }

    /// Changes the limits of an actor; false when there is none.
    pub fn set_limits(&mut self, actor: ActorId, limits: Limits) -> bool {
        self.note(|| Input::Limits { actor, limits });
        self.set_limits_now(actor, limits)
    }

    /// Changes the limits of an actor, as a part of another input.
    pub(crate) fn set_limits_now(&mut self, actor: ActorId, limits: Limits) -> bool {
        self.touch(actor);
        let actor = self.actors.get_mut(actor);
        actor.map(|actor| actor.fiber.set_limits(limits)).is_some()
    }

    /// Replaces the whole state by one made from its bytes. Nothing can tell them apart, but for who waits for an answer from
    /// outside.
    ///
    /// # Errors
    /// When the bytes cannot be read, which would be a fault of the engine.
    pub fn renew_from_images(&mut self) -> Result<(), RecoveryError> {
        let checkpoint = SystemCheckpoint {
            pending_inputs: Vec::new(),
            ..self.to_checkpoint()
        };
        self.take_checkpoint(&checkpoint)
    }

    /// How an actor ended that was started from outside, and that nobody has taken.
    pub fn end_of(&self, actor: ActorId) -> Option<&End> {
        self.ends.get(&actor)
    }

    /// How an actor ended that was started from outside; once.
    pub fn take_end(&mut self, actor: ActorId) -> Option<End> {
        let end = self.ends.remove(&actor)?;
        self.note(|| Input::TakeEnd(actor));
        Some(end)
    }

    /// The value of an end, as an embedder sees it.
    pub fn datum(&self, parcel: &pw_jit::fiber::parcel::Parcel) -> Datum {
        Datum::unpack(&self.code, parcel)
    }

    /// The body of an actor, which may be changed.
    pub(crate) fn body(&mut self, actor: ActorId) -> Option<&mut Body> {
        self.touch(actor);
        Some(&mut self.actors.get_mut(actor)?.body)
    }
}

portable!(struct WorldStatistics {
    slices, delivered, dead_letters, started, ended, restarts, failed
});
