//! Counters, gauges and histograms of a world, as text for Prometheus.
//!
//! They are fed by what happens, on the thread that runs the world, and can be read from any thread meanwhile.

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::World;
use crate::world::WorldEvent;

/// A label with its value.
type Label = [(&'static str, &'static str); 1];

/// The metrics of a world. Clones are of the same.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
}

/// What a world is like, as it was last looked at. Clones show the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauges {
    actors: Gauge,
    hibernated: Gauge,
    checkpoints: Gauge,
    checkpoint_tick: Gauge,
    page_bytes: Gauge,
}

impl Gauges {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("actors", "Actors that live", &self.actors),
            (
                "actors_hibernated",
                "Actors that are in a file in place of memory",
                &self.hibernated,
            ),
            (
                "checkpoints",
                "Checkpoints that were published since the history is kept",
                &self.checkpoints,
            ),
            (
                "checkpoint_tick",
                "Ticks of the newest of them",
                &self.checkpoint_tick,
            ),
            (
                "captured_page_bytes",
                "Bytes of objects that were captured page by page since the history is kept",
                &self.page_bytes,
            ),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn set(&self, world: &World) {
        let hibernated = world.hibernation().map_or(0, |all| all.hibernated);
        let history = world.history_statistics().unwrap_or_default();
        let numbers = [
            (&self.actors, world.actor_count() as u64),
            (&self.hibernated, hibernated),
            (&self.checkpoints, history.checkpoints),
            (
                &self.checkpoint_tick,
                history.newest_checkpoint.unwrap_or(0),
            ),
            (&self.page_bytes, history.page_bytes),
        ];
        for (gauge, number) in numbers {
            gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

/// What is counted.
#[derive(Debug)]
struct Instruments {
    ticks: Counter,
    turns: Counter,
    turns_per_tick: Histogram,
    gauges: Gauges,
    started: Counter,
    ended: Family<Label, Counter>,
    restarts: Family<Label, Counter>,
    messages: Counter,
    message_bytes: Histogram,
    dead_letters: Counter,
    published: Counter,
    decisions: Counter,
    interventions: Counter,
    suspensions: Counter,
    anomalies: Family<Label, Counter>,
    rollbacks: Counter,
    actor_gas: Histogram,
}

impl Instruments {
    fn new(gauges: Gauges) -> Instruments {
        let histogram =
            |first: f64, factor: f64| Histogram::new(exponential_buckets(first, factor, 10));
        Instruments {
            ticks: Counter::default(),
            turns: Counter::default(),
            turns_per_tick: histogram(1.0, 4.0),
            gauges,
            started: Counter::default(),
            ended: Family::default(),
            restarts: Family::default(),
            messages: Counter::default(),
            message_bytes: histogram(16.0, 4.0),
            dead_letters: Counter::default(),
            published: Counter::default(),
            decisions: Counter::default(),
            interventions: Counter::default(),
            suspensions: Counter::default(),
            anomalies: Family::default(),
            rollbacks: Counter::default(),
            actor_gas: histogram(100.0, 10.0),
        }
    }

    fn register(&self, registry: &mut Registry) {
        let counters = [
            ("ticks", "Ticks of the world", &self.ticks),
            ("turns", "Turns of actors", &self.turns),
            ("actors_started", "Actors started", &self.started),
            (
                "messages",
                "Messages that reached a mailbox",
                &self.messages,
            ),
            (
                "dead_letters",
                "Messages that found nobody, or no room",
                &self.dead_letters,
            ),
            ("events_published", "Events of topics", &self.published),
            (
                "capability_decisions",
                "Entries of the audit log",
                &self.decisions,
            ),
            (
                "interventions",
                "What acted on actors from outside",
                &self.interventions,
            ),
            (
                "suspensions",
                "Actors stopped in their turns",
                &self.suspensions,
            ),
            (
                "rollbacks",
                "Rollbacks that the world has made by itself",
                &self.rollbacks,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register("actors_ended", "Actors that have ended", self.ended.clone());
        registry.register(
            "actors_restarted",
            "Restarts by supervisors",
            self.restarts.clone(),
        );
        registry.register("anomalies", "Anomalies by pattern", self.anomalies.clone());
        self.gauges.register(registry);
        registry.register(
            "turns_per_tick",
            "Actors with a turn in a tick",
            self.turns_per_tick.clone(),
        );
        registry.register(
            "message_bytes",
            "Bytes of messages",
            self.message_bytes.clone(),
        );
        registry.register(
            "actor_gas",
            "Gas of actors that have ended",
            self.actor_gas.clone(),
        );
    }

    fn note(&self, event: &WorldEvent<'_>) {
        match event {
            WorldEvent::Started { .. } => {
                self.started.inc();
                self.gauges.actors.inc();
            }
            WorldEvent::Ended { reason, gas, .. } => {
                let reason = if reason.is_normal() {
                    "normal"
                } else {
                    "abnormal"
                };
                self.ended.get_or_create(&[("reason", reason)]).inc();
                self.gauges.actors.dec();
                self.actor_gas.observe(*gas as f64);
            }
            WorldEvent::Restarted { rewound, .. } => {
                let how = if *rewound { "rewound" } else { "restarted" };
                self.restarts.get_or_create(&[("how", how)]).inc();
            }
            WorldEvent::Delivered { bytes, .. } => {
                self.messages.inc();
                self.message_bytes.observe(*bytes as f64);
            }
            WorldEvent::DeadLetter { .. } => {
                self.dead_letters.inc();
            }
            WorldEvent::Published { .. } => {
                self.published.inc();
            }
            WorldEvent::Decided(_) => {
                self.decisions.inc();
            }
            WorldEvent::Intervened { .. } => {
                self.interventions.inc();
            }
            WorldEvent::Suspended { .. } => {
                self.suspensions.inc();
            }
            WorldEvent::Anomaly(anomaly) => {
                let pattern = [("pattern", anomaly.pattern.name())];
                self.anomalies.get_or_create(&pattern).inc();
            }
            WorldEvent::WentBack(_) => {
                self.rollbacks.inc();
            }
            WorldEvent::Tick { turns, .. } => {
                self.ticks.inc();
                self.turns.inc_by(*turns as u64);
                self.turns_per_tick.observe(*turns as f64);
            }
        }
    }
}

impl World {
    /// Metrics of what happens in this world from now on. To have them costs a little for everything that happens. What shows the
    /// world as it is is right after each tick, and whenever somebody has waited for a checkpoint.
    pub fn metrics(&mut self) -> Metrics {
        let gauges = Gauges::default();
        gauges.set(self);
        self.gauges.push(gauges.clone());
        let instruments = Instruments::new(gauges);
        let mut registry = Registry::with_prefix("pw");
        instruments.register(&mut registry);
        self.observe(move |event| instruments.note(event));
        Metrics {
            registry: Arc::new(registry),
        }
    }
}

impl World {
    /// Has metrics show it as it is.
    pub(crate) fn set_gauges(&self) {
        self.gauges.iter().for_each(|gauges| gauges.set(self));
    }
}

impl Metrics {
    /// All metrics in the text form that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => unreachable!("a string takes any text: {error}"),
        }
    }
}
