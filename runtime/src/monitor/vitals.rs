//! What a monitored world remembers: its actors at the beginning of a window, and what they did since.

use std::collections::{BTreeMap, VecDeque};

use super::{DetectedAnomaly, ErrorDetectionSystem, Remedy};
use crate::World;
use crate::actor::{Actor, ActorId};
use crate::hibernation::Place;
use crate::host::Datum;
use crate::inspect::Intervention;
use crate::world::WorldEvent;

/// Anomalies that are kept, the newest.
const ANOMALIES_MAX: usize = 256;

/// What a monitored world has beside its actors.
#[derive(Clone, Debug)]
pub(crate) struct Monitoring {
    pub(super) system: ErrorDetectionSystem,
    pub(super) vitals: Vitals,
    anomalies: VecDeque<DetectedAnomaly>,
    /// Whether it is looked what a world does that does again what it did: nothing happens about it, and nobody is told.
    is_trial: bool,
}

/// The vital signs of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Vitals {
    /// The tick before which the window began.
    since_tick: u64,
    /// Actors as they were then.
    samples: BTreeMap<ActorId, Sample>,
    /// What happened since.
    counts: BTreeMap<ActorId, Counts>,
    /// Wrong guesses of native code by then, by program and function.
    wrong_guesses: BTreeMap<(u32, u32), u64>,
}

/// An actor at the beginning of a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) gas: u64,
    pub(super) waits: u64,
    pub(super) mailbox: u64,
    /// Logical bytes that the last collection found alive.
    pub(super) alive_bytes: u64,
    /// Windows in a row in which its mailbox, or what is alive of its heap, has grown.
    pub(super) mailbox_rises: u32,
    pub(super) heap_rises: u32,
    /// The tick since which it could run and has had no turn.
    pub(super) ready_since: Option<u64>,
    /// Where it hibernated: as long as it does so there, it is as it was.
    place: Option<Place>,
}

/// What an actor did in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) restarts: u64,
}

impl Sample {
    /// Whether an actor has hibernated all the time since.
    pub(super) fn sleeps_on(&self, world: &World, actor: ActorId) -> bool {
        self.place.is_some() && world.actors.place_of(actor) == self.place
    }

    /// The actor as it is now.
    pub(super) fn now(&self, world: &World, actor: &Actor) -> Sample {
        let tick = world.ticks();
        let (fiber, body) = (&actor.fiber, &actor.body);
        let mailbox = body.mailbox.queue().map_or(0, |queue| queue.len());
        let alive_bytes = fiber.arena().counters().live;
        let had_turn = fiber.gas_used() != self.gas;
        let waited = self.ready_since.filter(|_| !had_turn).unwrap_or(tick);
        Sample {
            gas: fiber.gas_used(),
            waits: body.waits,
            mailbox,
            alive_bytes,
            mailbox_rises: rises(self.mailbox_rises, self.mailbox, mailbox),
            heap_rises: rises(self.heap_rises, self.alive_bytes, alive_bytes),
            ready_since: body.is_queued.then_some(waited),
            place: world.actors.place_of(actor.id),
        }
    }
}

/// Windows in a row in which something has grown. One in which it stayed as it was does not count; after a fall it begins anew.
fn rises(before: u32, then: u64, now: u64) -> u32 {
    match now.cmp(&then) {
        std::cmp::Ordering::Greater => before.saturating_add(1),
        std::cmp::Ordering::Equal => before,
        std::cmp::Ordering::Less => 0,
    }
}

impl Vitals {
    /// The actor at the beginning of the window; one that was not there had done nothing.
    pub(super) fn sample(&self, actor: ActorId) -> Sample {
        self.samples.get(&actor).copied().unwrap_or_default()
    }

    /// What the actor did since.
    pub(super) fn counts(&self, actor: ActorId) -> Counts {
        self.counts.get(&actor).copied().unwrap_or_default()
    }

    /// Actors that did something that is counted.
    pub(super) fn counted(&self) -> impl Iterator<Item = (ActorId, Counts)> + '_ {
        self.counts.iter().map(|(actor, counts)| (*actor, *counts))
    }

    /// Wrong guesses of native code on this thread in the window, by program and function.
    pub(super) fn new_guesses(&self, world: &World) -> BTreeMap<(u32, u32), u64> {
        let mut now = wrong_guesses(world);
        for (function, before) in &self.wrong_guesses {
            if let Some(count) = now.get_mut(function) {
                *count = count.saturating_sub(*before);
            }
        }
        now
    }

    /// The window after this one.
    fn next(&self, world: &World) -> Vitals {
        let tick = world.ticks();
        let samples = world.actors.ids().filter_map(|id| {
            let before = self.sample(id);
            if before.sleeps_on(world, id) {
                return Some((id, before));
            }
            Some((id, before.now(world, &*world.actors.get(id)?)))
        });
        Vitals {
            since_tick: tick,
            samples: samples.collect(),
            counts: BTreeMap::new(),
            wrong_guesses: wrong_guesses(world),
        }
    }
}

fn wrong_guesses(world: &World) -> BTreeMap<(u32, u32), u64> {
    let mut counts = BTreeMap::new();
    let sites = world
        .profile()
        .native()
        .into_iter()
        .flat_map(|jit| jit.exits());
    for site in sites.filter(|site| site.reason.is_wrong_guess()) {
        *counts.entry((site.program, site.function)).or_default() += site.count;
    }
    counts
}

impl Monitoring {
    /// One that looks what a world does that does again what it did.
    pub(crate) fn trial(&self, world: &World) -> Monitoring {
        Monitoring {
            system: self.system.clone(),
            vitals: Vitals::default().next(world),
            anomalies: VecDeque::new(),
            is_trial: true,
        }
    }

    /// Ticks to which a look at the world reaches back.
    pub(crate) fn memory_ticks(&self) -> u64 {
        self.system.monitoring_thresholds.memory_ticks()
    }

    /// Takes note of what happens.
    pub(crate) fn note(&mut self, event: &WorldEvent<'_>) {
        let counts = &mut self.vitals.counts;
        match event {
            WorldEvent::Delivered { from, to, .. } => {
                counts.entry(*from).or_default().sent += 1;
                counts.entry(*to).or_default().received += 1;
            }
            WorldEvent::DeadLetter { from, .. } => counts.entry(*from).or_default().sent += 1,
            WorldEvent::Restarted { actor, .. } => counts.entry(*actor).or_default().restarts += 1,
            _ => {}
        }
    }
}

impl World {
    /// Has the world monitored from now on: at the end of each window of ticks the system looks at it, and what is bound to happen
    /// happens. A window costs time for each actor, and what is observed a little for each message.
    pub fn start_monitoring(&mut self, system: ErrorDetectionSystem) {
        let vitals = Vitals::default().next(self);
        self.monitoring = Some(Box::new(Monitoring {
            system,
            vitals,
            anomalies: VecDeque::new(),
            is_trial: false,
        }));
    }

    /// What a world that is monitored has done before counts no more: it has come to its state in another way.
    pub(crate) fn watch_anew(&mut self) {
        let vitals = self
            .monitoring
            .is_some()
            .then(|| Vitals::default().next(self));
        if let (Some(monitoring), Some(vitals)) = (&mut self.monitoring, vitals) {
            monitoring.vitals = vitals;
        }
    }

    /// The anomalies that were found at the ends of windows, the oldest first; of many only the newest 256.
    pub fn anomalies(&self) -> impl Iterator<Item = &DetectedAnomaly> {
        self.monitoring
            .iter()
            .flat_map(|monitoring| &monitoring.anomalies)
    }

    /// Looks at the world if a window is over.
    #[inline(never)]
    pub(crate) fn keep_watch(&mut self) {
        let Some(monitoring) = &self.monitoring else {
            return;
        };
        let is_trial = monitoring.is_trial;
        // What a monitor did to a world that does again what it did is among its inputs.
        if self.is_replay() && !is_trial {
            return;
        }
        let window = monitoring.system.monitoring_thresholds.window_ticks.max(1);
        // Windows end at the same ticks whenever the world began to be watched.
        if self.ticks() / window == monitoring.vitals.since_tick / window {
            return;
        }
        let found = monitoring.system.monitor_system(self);
        let vitals = monitoring.vitals.next(self);
        for anomaly in &found {
            if !is_trial {
                self.tell_event(&WorldEvent::Anomaly(anomaly));
            }
            self.remedy(anomaly, is_trial);
        }
        if let Some(monitoring) = &mut self.monitoring {
            monitoring.vitals = vitals;
            monitoring.anomalies.extend(found);
            let too_many = monitoring.anomalies.len().saturating_sub(ANOMALIES_MAX);
            monitoring.anomalies.drain(..too_many);
        }
    }

    /// Does what is bound to happen about an anomaly. In a trial that is known already.
    fn remedy(&mut self, anomaly: &DetectedAnomaly, is_trial: bool) {
        let (action, Some(actor)) = (anomaly.recommended, anomaly.actor) else {
            return;
        };
        if !action.is_bound {
            return;
        }
        let intervention = match action.remedy {
            Remedy::GoBack => return self.want_back(anomaly),
            _ if is_trial => return,
            Remedy::Report => return,
            Remedy::Pause => Intervention::Pause(actor),
            Remedy::Kill => Intervention::Kill(actor),
            Remedy::Limit { gas } => Intervention::Limit {
                actor,
                gas: Some(gas),
                memory_bytes: None,
            },
            Remedy::Tell(to) => Intervention::Tell(
                to,
                Datum::List(vec![
                    Datum::symbol("anomaly"),
                    Datum::symbol(anomaly.pattern.name()),
                    Datum::Actor(actor),
                ]),
            ),
        };
        // Two anomalies may be about one actor, which the first has ended; observers are told.
        let _ = self.intervene(intervention);
    }
}
