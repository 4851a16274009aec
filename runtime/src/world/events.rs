//! What happens in a world, for who wants to see it.

use std::fmt;

use super::{RollbackReport, World};
use crate::actor::{ActorId, EndReason};
use crate::inspect::{Intervention, InterventionError, Suspension};
use crate::monitor::DetectedAnomaly;

/// Something that happened between ticks.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum WorldEvent<'a> {
    /// An actor was started.
    Started {
        /// Which.
        actor: ActorId,
        /// By whom.
        parent: ActorId,
    },
    /// An actor has ended.
    Ended {
        /// Which.
        actor: ActorId,
        /// Why.
        reason: &'a EndReason,
        /// Gas that it used.
        gas: u64,
    },
    /// An actor goes on after an end, by the will of its supervisor.
    Restarted {
        /// Which.
        actor: ActorId,
        /// Whether it went back to before the message that it failed on.
        rewound: bool,
    },
    /// A message reached a mailbox.
    Delivered {
        /// From whom.
        from: ActorId,
        /// To whom.
        to: ActorId,
        /// With which priority.
        priority: u8,
        /// Bytes of it.
        bytes: u64,
    },
    /// A message found nobody, or no room.
    DeadLetter {
        /// From whom.
        from: ActorId,
        /// To whom.
        to: ActorId,
    },
    /// An event of a topic.
    Published {
        /// By whom.
        from: ActorId,
        /// Of which topic.
        topic: &'a str,
        /// To how many.
        subscribers: usize,
    },
    /// A decision about capabilities.
    Decided(&'a crate::capability::AuditEntry),
    /// Somebody acted on an actor from outside.
    Intervened {
        /// How.
        intervention: &'a Intervention,
        /// Why it did nothing, if so.
        error: Option<&'a InterventionError>,
    },
    /// An actor was stopped in its turn, and goes on when somebody says so.
    Suspended {
        /// Which.
        actor: ActorId,
        /// Why.
        why: &'a Suspension,
    },
    /// Something goes wrong.
    Anomaly(&'a DetectedAnomaly),
    /// The world has gone back in its history by itself. What was told of what it has done since is not so any more.
    WentBack(&'a RollbackReport),
    /// A tick is over.
    Tick {
        /// Its number.
        number: u64,
        /// How many actors had a turn.
        turns: usize,
    },
}

/// Who sees what happens.
pub(super) type Observer = Box<dyn FnMut(&WorldEvent<'_>) + Send>;

/// All who see what happens.
#[derive(Default)]
pub(super) struct Observers(Vec<Observer>);

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}

impl World {
    /// Has a function see everything that happens, on the thread that runs the world. It cannot change anything.
    pub fn observe(&mut self, observer: impl FnMut(&WorldEvent<'_>) + Send + 'static) {
        self.observers.0.push(Box::new(observer));
    }

    /// Whether anybody wants to see what happens.
    pub(crate) fn is_observed(&self) -> bool {
        let has_observers = self.monitoring.is_some() || !self.observers.0.is_empty();
        // What happens in a world that has lost an actor does not happen.
        has_observers && !self.has_lost_actors()
    }

    /// Tells all who want to see it.
    pub(crate) fn tell_event(&mut self, event: &WorldEvent<'_>) {
        if let Some(monitoring) = &mut self.monitoring {
            monitoring.note(event);
        }
        for observer in &mut self.observers.0 {
            observer(event);
        }
    }
}

impl World {
    /// An actor may have been suspended in its turn.
    pub(super) fn tell_suspension(&mut self, actor: ActorId) {
        if !self.is_observed() {
            return;
        }
        // One that has had its turn is in memory.
        let body = self.actors.here(actor).map(|actor| &actor.body);
        if let Some(why) = body.and_then(|body| body.suspension()).cloned() {
            self.tell_event(&WorldEvent::Suspended { actor, why: &why });
        }
    }
}

impl fmt::Display for WorldEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorldEvent::Started { actor, parent } => {
                write!(f, "actor {actor} started by {parent}")
            }
            WorldEvent::Ended { actor, reason, gas } => {
                write!(f, "actor {actor} ended: {reason}, gas {gas}")
            }
            WorldEvent::Restarted { actor, rewound } => {
                let how = if *rewound { "rewound" } else { "restarted" };
                write!(f, "actor {actor} {how}")
            }
            WorldEvent::Delivered {
                from,
                to,
                priority,
                bytes,
            } => write!(f, "{from} -> {to}: {bytes} bytes, priority {priority}"),
            WorldEvent::DeadLetter { from, to } => write!(f, "{from} -> {to}: dead letter"),
            WorldEvent::Published {
                from,
                topic,
                subscribers,
            } => write!(f, "{from} published {topic} to {subscribers}"),
            WorldEvent::Decided(entry) => write!(
                f,
                "{:?} {} for {} by {}: {:?} {}",
                entry.operation,
                entry.capability,
                entry.subject,
                entry.actor,
                entry.result,
                entry.reason
            ),
            WorldEvent::Intervened {
                intervention,
                error,
            } => match error {
                None => write!(f, "from outside: {intervention:?}"),
                Some(error) => write!(f, "from outside: {intervention:?}: {error}"),
            },
            WorldEvent::Anomaly(anomaly) => write!(f, "anomaly: {anomaly}"),
            WorldEvent::Suspended { actor, why } => write!(f, "actor {actor} suspended: {why}"),
            WorldEvent::WentBack(report) => write!(
                f,
                "went back to tick {} without {} inputs: {}",
                report.from,
                report.without.len(),
                report.why.as_deref().unwrap_or_default()
            ),
            WorldEvent::Tick { number, turns } => write!(f, "tick {number}: {turns} turns"),
        }
    }
}
