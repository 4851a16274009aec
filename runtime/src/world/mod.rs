//! A world: actors, and the ticks in which they move.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | the embedding API |
//! | `tick` | one tick: inputs, the run list, slices |
//! | `boundary` | what actors did to each other takes effect |
//! | `ends` | what follows from the end of an actor |
//! | `events` | what happens, for who wants to see it |
//! | `family` | who descends from whom |
//! | `powers` | decisions about capabilities |
//! | `room` | senders that wait for room in a mailbox |
//! | `outside` | inputs from any thread, questions from outside, calls of the embedder's functions |
//! | `time` | the world's clock and its timers |
//! | `trajectory` | the hash of everything that happened |

mod boundary;
mod ends;
mod events;
mod family;
mod outside;
mod powers;
mod room;
mod tick;
mod time;
mod trajectory;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use pw_isa::verify::Verified;
use pw_jit::{CodeSpace, Limits};
use pw_jit::failure::Place;
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::start::Start;
use pw_jit::host::CapabilityName;
use pw_jit::interp::profile::Profile;
use pw_jit::optimize::{PerformanceOptimizer, PerformanceSettings};
use pw_jit::tier::CompileError;

use crate::actor::{Actor, ActorId, ActorTable, Body, Common, Deed, End, Quarantined, Way};
use crate::capability::{
    AuditLog, Ballots, CapabilityRule, CapabilityRules, Grant, Grants, Holding, Holdings, IO_CONSOLE,
    SYS_CREATE_ACTOR,
};
use crate::host::{Datum, HostFunction, HostFunctions};
use crate::message::{Message, PRIORITY_DEFAULT};
use crate::schedule::{ParallelExecutionPool, ReadyQueue};
use crate::settings::WorldSettings;
pub use events::WorldEvent;
use events::Observers;
use family::Ancestors;
use outside::Outside;
pub use outside::{AskError, Handle};
pub use tick::Stopped;
use time::Clock;
pub use time::Pace;
use trajectory::Trajectory;
pub use trajectory::TrajectoryHash;

/// A program that a world has loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProgramId(u32);

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
}

/// What is to be known before a world exists.
#[derive(Debug)]
pub struct WorldBuilder {
    settings: WorldSettings,
    performance: PerformanceSettings,
    reference: bool,
    trajectory: bool,
    hosts: HostFunctions,
    rules: CapabilityRules,
    first_holds: Vec<String>,
}

impl Default for WorldBuilder {
    fn default() -> WorldBuilder {
        WorldBuilder {
            settings: WorldSettings::default(),
            performance: PerformanceSettings::default(),
            reference: false,
            trajectory: false,
            hosts: HostFunctions::default(),
            rules: CapabilityRules::default(),
            first_holds: [IO_CONSOLE, SYS_CREATE_ACTOR].map(str::to_owned).to_vec(),
        }
    }
}

impl WorldBuilder {
    /// Limits, quanta and budgets.
    #[must_use]
    pub fn settings(mut self, settings: WorldSettings) -> WorldBuilder {
        self.settings = settings;
        self
    }

    /// Native code, memoisation, memory and threads.
    #[must_use]
    pub fn performance(mut self, performance: PerformanceSettings) -> WorldBuilder {
        self.performance = performance;
        self
    }

    /// Has programs run by the executable specification, slow and obvious.
    #[must_use]
    pub fn reference(mut self) -> WorldBuilder {
        self.reference = true;
        self
    }

    /// Has the world know its [`World::trajectory`], which costs time in every tick.
    #[must_use]
    pub fn trajectory(mut self) -> WorldBuilder {
        self.trajectory = true;
        self
    }

    /// A function that programs can call.
    #[must_use]
    pub fn host(mut self, function: HostFunction) -> WorldBuilder {
        self.hosts.register(function);
        self
    }

    /// How requests for a capability are decided; without a rule only V2's capabilities can be asked for.
    #[must_use]
    pub fn rule(mut self, capability: &str, rule: CapabilityRule) -> WorldBuilder {
        self.rules.set(capability, rule);
        self
    }

    /// What actors hold that are started from outside, and their children, in place of `io-console` and
    /// `sys-create-actor`.
    #[must_use]
    pub fn first_holds(mut self, capabilities: &[&str]) -> WorldBuilder {
        self.first_holds = capabilities.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The world, empty, at tick 0.
    ///
    /// # Errors
    /// When the settings want native code and this machine has none.
    pub fn build(self) -> Result<World, CompileError> {
        let optimizer = PerformanceOptimizer::new(self.performance)?;
        Ok(self.build_with(optimizer))
    }

    /// The world, with an optimizer that was set up elsewhere, in place of [`WorldBuilder::performance`].
    pub fn build_with(self, optimizer: PerformanceOptimizer) -> World {
        let way = if self.reference {
            Way::Reference
        } else {
            Way::Fast
        };
        let profiles = (1..optimizer.threads()).map(|_| optimizer.worker()).collect();
        let mut grants = Grants::default();
        let first_holdings = self.first_holds.iter().map(|name| {
            let grant = Grant {
                holder: ActorId::OUTSIDE,
                by: ActorId::OUTSIDE,
                from: None,
                is_inherited: true,
            };
            Holding {
                capability: CapabilityName {
                    name: name.clone(),
                    parameter: None,
                },
                grant: grants.add(name, grant),
                budget: None,
                expires_ms: None,
                is_inherited: true,
            }
        });
        let first_holdings = first_holdings.collect();
        World {
            code: Arc::new(CodeSpace::default()),
            settings: self.settings,
            hosts: Arc::new(self.hosts),
            way,
            profile: optimizer.worker(),
            pool: ParallelExecutionPool::new(profiles),
            optimizer,
            actors: ActorTable::default(),
            ready: ReadyQueue::default(),
            next_id: 1,
            tenants: 0,
            tick: 0,
            clock: Clock::default(),
            debtors: BTreeMap::new(),
            topics: BTreeMap::new(),
            ancestors: Ancestors::default(),
            rules: self.rules,
            grants,
            ballots: Ballots::default(),
            audit: AuditLog::default(),
            quarantine: VecDeque::new(),
            first_holdings: Holdings::new(first_holdings),
            statistics: WorldStatistics::default(),
            ends: BTreeMap::new(),
            outside: Outside::default(),
            observers: Observers::default(),
            trajectory: self.trajectory.then(Trajectory::new),
            scratch: Scratch::default(),
        }
    }
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
    actors: ActorTable,
    ready: ReadyQueue,
    /// The number of the next actor that has no lease to take it from, and of the next lease.
    next_id: u64,
    tenants: u32,
    tick: u64,
    clock: Clock,
    /// Actors that pay for what they used beyond their slices, by the tick in which they can run again.
    debtors: BTreeMap<u64, Vec<ActorId>>,
    /// Who wants the events of a topic, in the order in which they came.
    topics: BTreeMap<String, Vec<ActorId>>,
    ancestors: Ancestors,
    rules: CapabilityRules,
    grants: Grants,
    ballots: Ballots,
    audit: AuditLog,
    quarantine: VecDeque<Quarantined>,
    /// What actors hold that were started from outside.
    first_holdings: Holdings,
    statistics: WorldStatistics,
    /// How actors ended that were started from outside.
    ends: BTreeMap<ActorId, End>,
    outside: Outside,
    observers: Observers,
    trajectory: Option<Trajectory>,
    scratch: Scratch,
}

/// Lists that every tick needs, kept for their memory.
#[derive(Debug, Default)]
struct Scratch {
    list: Vec<ActorId>,
    ran: Vec<Ran>,
    deeds: Vec<Deed>,
    /// The actors of a boundary, with the places of their deeds.
    order: Vec<(ActorId, Range<usize>)>,
}

/// An actor that had its turn, and where its deeds end.
#[derive(Debug)]
struct Ran {
    actor: Box<Actor>,
    deeds_end: usize,
}

impl World {
    /// What is to be known before a world exists.
    pub fn builder() -> WorldBuilder {
        WorldBuilder::default()
    }

    /// Loads a verified program; the same program twice is loaded once.
    pub fn load(&mut self, program: Verified) -> ProgramId {
        ProgramId(Arc::make_mut(&mut self.code).load(program))
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

    fn spawn_number(
        &mut self,
        program: ProgramId,
        function: u32,
        arguments: &[Datum],
    ) -> Result<ActorId, SpawnError> {
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
        Ok(self.start_from_outside(&start))
    }

    fn start_from_outside(&mut self, start: &Start) -> ActorId {
        let id = ActorId(self.next_id);
        self.next_id += 1;
        let tenant = self.tenants;
        self.tenants += 1;
        let actor = crate::actor::new_actor(
            id,
            (ActorId::OUTSIDE, tenant),
            self.first_holdings.clone(),
            start,
            self.common(),
        );
        self.add(Box::new(actor));
        id
    }

    /// Adds an actor that can run.
    fn add(&mut self, actor: Box<Actor>) {
        self.statistics.started += 1;
        let (id, parent) = (actor.id, actor.body.parent);
        self.actors.insert(actor);
        self.note_child(parent);
        if self.is_observed() {
            self.tell_event(&WorldEvent::Started { actor: id, parent });
        }
        self.enqueue(id);
    }

    fn common(&self) -> Common<'_> {
        Common {
            code: &self.code,
            settings: &self.settings,
            hosts: &self.hosts,
            way: self.way,
            now_ms: self.clock.now_ms(),
        }
    }

    /// Sends a message from outside; false when there is no such actor.
    pub fn send(&mut self, to: ActorId, content: &Datum) -> bool {
        self.send_with_priority(to, content, PRIORITY_DEFAULT)
    }

    /// Sends a message from outside with a priority from 0, the highest, to 7.
    pub fn send_with_priority(&mut self, to: ActorId, content: &Datum, priority: u8) -> bool {
        let content = content.pack(&self.code);
        let message = Message {
            from: ActorId::OUTSIDE,
            content,
            request: None,
        };
        let is_there = self.actors.get(to).is_some();
        self.deliver(to, message, priority);
        is_there
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
        self.body(actor);
        let actor = self.actors.get_mut(actor);
        actor.map(|actor| actor.fiber.set_limits(limits)).is_some()
    }

    /// Replaces every actor's fiber by one made from its image. Nothing can tell them apart.
    ///
    /// # Errors
    /// When an image cannot be read, which would be a fault of the engine.
    pub fn renew_from_images(&mut self) -> Result<(), pw_isa::wire::DecodeError> {
        let stack_bytes = self.settings.memory_bytes;
        for actor in self.actors.iter_mut() {
            let image = actor.fiber.to_image(&self.code);
            actor.fiber = pw_jit::Fiber::from_image(&self.code, &image, stack_bytes)?;
        }
        Ok(())
    }

    /// How an actor ended that was started from outside; once.
    pub fn take_end(&mut self, actor: ActorId) -> Option<End> {
        self.ends.remove(&actor)
    }

    /// The value of an end, as an embedder sees it.
    pub fn datum(&self, parcel: &pw_jit::fiber::parcel::Parcel) -> Datum {
        Datum::unpack(&self.code, parcel)
    }

    /// The body of an actor, which may be changed.
    fn body(&mut self, actor: ActorId) -> Option<&mut Body> {
        if let Some(trajectory) = &mut self.trajectory {
            trajectory.touched.insert(actor);
        }
        Some(&mut self.actors.get_mut(actor)?.body)
    }
}
