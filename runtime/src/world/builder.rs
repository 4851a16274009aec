//! What is to be known before a world exists.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pw_jit::CodeSpace;
use pw_jit::host::CapabilityName;
use pw_jit::optimize::{PerformanceOptimizer, PerformanceSettings};
use pw_jit::tier::CompileError;

use super::events::Observers;
use super::family::Ancestors;
use super::history::History;
use super::outside::Outside;
use super::policy::GoingBack;
use super::time::Clock;
use super::{Scratch, World, WorldStatistics};
use crate::actor::{ActorId, ActorTable, Dormitory, Way};
use crate::capability::{
    AuditLog, Ballots, CapabilityRule, CapabilityRules, Grant, Grants, Holding, Holdings,
    IO_CONSOLE, SYS_CREATE_ACTOR,
};
use crate::disk::Disk;
use crate::hibernation::{HibernationError, HibernationSettings, Log};
use crate::host::{HostFunction, HostFunctions};
use crate::message::BroadcastSystem;
use crate::quota::Pools;
use crate::schedule::{ParallelExecutionPool, ReadyQueue};
use crate::settings::WorldSettings;

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No world can go on with these settings.
    #[error("the settings of the world: {0}")]
    Settings(String),
    /// The settings want native code and this machine has none.
    #[error(transparent)]
    Machine(#[from] CompileError),
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
    dormitory: Option<Dormitory>,
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
            dormitory: None,
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

    /// Has actors that wait for long hibernate in a directory, which is this world's alone: what another world has left there is
    /// removed. Nothing else about the world changes.
    ///
    /// # Errors
    /// When the directory cannot be used, or something else is in it.
    pub fn hibernate(
        mut self,
        disk: Arc<dyn Disk>,
        settings: HibernationSettings,
    ) -> Result<WorldBuilder, HibernationError> {
        let log = Log::open(disk, settings.segment_bytes)?;
        self.dormitory = Some(Dormitory::new(log, settings));
        Ok(self)
    }

    /// The world, empty, at tick 0.
    ///
    /// # Errors
    /// When no world can go on with the settings, or they want native code and this machine has none.
    pub fn build(self) -> Result<World, BuildError> {
        let optimizer = PerformanceOptimizer::new(self.performance)?;
        self.build_with(optimizer)
    }

    /// The world, with an optimizer that was set up elsewhere, in place of [`WorldBuilder::performance`].
    ///
    /// # Errors
    /// When no world can go on with the settings.
    pub fn build_with(self, optimizer: PerformanceOptimizer) -> Result<World, BuildError> {
        self.settings.check().map_err(BuildError::Settings)?;
        let way = if self.reference {
            Way::Reference
        } else {
            Way::Fast
        };
        let profiles = (1..optimizer.threads())
            .map(|_| optimizer.worker())
            .collect();
        let mut grants = Grants::default();
        let first_holdings = self.first_holds.iter().map(|name| {
            let grant = Grant {
                holder: ActorId::OUTSIDE,
                by: ActorId::OUTSIDE,
                from: None,
                is_inherited: true,
            };
            Holding {
                capability: CapabilityName::plain(name),
                grant: grants.add(name, grant),
                budget: None,
                expires_ms: None,
                is_inherited: true,
            }
        });
        let first_holdings = first_holdings.collect();
        let code = Arc::new(CodeSpace::default());
        let mut actors = ActorTable::default();
        if let Some(dormitory) = self.dormitory {
            actors.hibernate_in(dormitory);
            actors.know(Some(&code));
        }
        let mut world = World {
            code,
            settings: self.settings,
            hosts: Arc::new(self.hosts),
            way,
            profile: optimizer.worker(),
            pool: ParallelExecutionPool::new(profiles),
            optimizer,
            actors,
            ready: ReadyQueue::default(),
            next_id: 1,
            tenants: 0,
            tick: 0,
            clock: Clock::default(),
            debtors: BTreeMap::new(),
            topics: BroadcastSystem::new(self.settings.events_max),
            ancestors: Ancestors::default(),
            rules: self.rules,
            grants,
            ballots: Ballots::default(),
            audit: AuditLog::default(),
            pools: Pools::default(),
            waiting_for_pool: Vec::new(),
            short_of_memory: Vec::new(),
            late_ends: VecDeque::new(),
            quarantine: VecDeque::new(),
            first_holdings: Holdings::new(first_holdings),
            statistics: WorldStatistics::default(),
            ends: BTreeMap::new(),
            outside: Outside::default(),
            observers: Observers::default(),
            monitoring: None,
            gauges: Vec::new(),
            trajectory: None,
            marks: None,
            history: History::default(),
            marker: None,
            listener: None,
            going_back: GoingBack::default(),
            upgrades: Arc::default(),
            scratch: Scratch::default(),
        };
        if self.trajectory {
            world.begin_trajectory([0; 32]);
        }
        Ok(world)
    }
}
