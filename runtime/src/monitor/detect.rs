//! The patterns: what the vital signs of a world say.

use super::cycles::sender_cycles;
use super::vitals::{Counts, Sample, Vitals};
use super::{AnomalyPattern, DetectedAnomaly, MonitoringThresholds, RecoveryAction, Remedy};
use crate::World;
use crate::actor::{Actor, ActorId, Status, Wait};

/// Finds what goes wrong in a world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErrorDetectionSystem {
    /// What it looks for.
    pub anomaly_patterns: Vec<AnomalyPattern>,
    /// From when on that counts.
    pub monitoring_thresholds: MonitoringThresholds,
    /// What is to be done about it; the first that fits counts.
    pub recovery_actions: Vec<RecoveryAction>,
}

impl Default for ErrorDetectionSystem {
    /// All patterns, and a recommendation for each.
    fn default() -> ErrorDetectionSystem {
        ErrorDetectionSystem {
            anomaly_patterns: AnomalyPattern::ALL.to_vec(),
            monitoring_thresholds: MonitoringThresholds::default(),
            recovery_actions: AnomalyPattern::ALL
                .map(RecoveryAction::recommended)
                .to_vec(),
        }
    }
}

/// An actor with what is known of it.
struct Patient<'a> {
    actor: &'a Actor,
    before: Sample,
    now: Sample,
    counts: Counts,
}

impl ErrorDetectionSystem {
    /// Has a remedy happen at once about anomalies of a pattern. Storms of wrong guesses are about no actor, so nothing can be
    /// done about one.
    #[must_use]
    pub fn bound(mut self, pattern: AnomalyPattern, remedy: Remedy) -> ErrorDetectionSystem {
        let action = RecoveryAction {
            pattern,
            remedy,
            is_bound: true,
        };
        self.recovery_actions.insert(0, action);
        self
    }

    /// Other thresholds.
    #[must_use]
    pub fn thresholds(mut self, thresholds: MonitoringThresholds) -> ErrorDetectionSystem {
        self.monitoring_thresholds = thresholds;
        self
    }

    /// What goes wrong in a world now, compared with the beginning of the window, by pattern and actor. Nothing happens about it. Of a
    /// world that is not monitored ([`World::start_monitoring`]) the past is not known, so only senders that wait in a circle are found.
    pub fn monitor_system(&self, world: &World) -> Vec<DetectedAnomaly> {
        let mut found = Vec::new();
        if let Some(monitoring) = &world.monitoring {
            self.look_at_actors(world, &monitoring.vitals, &mut found);
            self.look_at_senders(world, &monitoring.vitals, &mut found);
            self.look_at_code(world, &monitoring.vitals, &mut found);
        }
        if self.looks_for(AnomalyPattern::SenderCycle) {
            for mut members in sender_cycles(world) {
                let evidence = vec![("actors", members.len() as u64)];
                let first = members.remove(0);
                let mut anomaly =
                    self.anomaly(world, AnomalyPattern::SenderCycle, Some(first), evidence);
                anomaly.others = members;
                found.push(anomaly);
            }
        }
        found.sort_by_key(|anomaly| (anomaly.pattern, anomaly.actor));
        found
    }

    fn looks_for(&self, pattern: AnomalyPattern) -> bool {
        self.anomaly_patterns.contains(&pattern)
    }

    fn anomaly(
        &self,
        world: &World,
        pattern: AnomalyPattern,
        actor: Option<ActorId>,
        evidence: Vec<(&'static str, u64)>,
    ) -> DetectedAnomaly {
        let actions = self.recovery_actions.iter();
        let action = actions.copied().find(|action| action.pattern == pattern);
        DetectedAnomaly {
            pattern,
            actor,
            others: Vec::new(),
            function: None,
            tick: world.ticks(),
            evidence,
            recommended: action.unwrap_or_else(|| RecoveryAction::recommended(pattern)),
        }
    }

    fn look_at_actors(&self, world: &World, vitals: &Vitals, found: &mut Vec<DetectedAnomaly>) {
        let limits = &self.monitoring_thresholds;
        // One that has done nothing shows nothing, unless doing nothing counts.
        let is_healthy = limits.restarts > 0 && limits.starvation_ticks > 0;
        for id in world.actors.ids() {
            let before = vitals.sample(id);
            if is_healthy && before.sleeps_on(world, id) {
                continue;
            }
            let Some(actor) = world.actors.get(id) else {
                continue;
            };
            let patient = Patient {
                actor: &actor,
                before,
                now: before.now(world, &actor),
                counts: vitals.counts(id),
            };
            for pattern in &self.anomaly_patterns {
                if let Some(evidence) = self.evidence(*pattern, &patient, world.ticks()) {
                    found.push(self.anomaly(world, *pattern, Some(id), evidence));
                }
            }
        }
    }

    /// The numbers that show that something is wrong with an actor, if it is.
    fn evidence(
        &self,
        pattern: AnomalyPattern,
        patient: &Patient<'_>,
        tick: u64,
    ) -> Option<Vec<(&'static str, u64)>> {
        let limits = &self.monitoring_thresholds;
        let Patient {
            actor,
            before,
            now,
            counts,
        } = patient;
        let is_growing = |rises: u32| rises >= limits.growth_windows;
        match pattern {
            AnomalyPattern::RunawayGas => {
                let gas = now.gas.saturating_sub(before.gas);
                let taken = (before.mailbox + counts.received).saturating_sub(now.mailbox);
                // One that pays for what it used beyond its turns is as busy as one that has a turn.
                let is_ready = match &actor.body.status {
                    Status::Waits(Wait::Debt(status)) => matches!(**status, Status::Ready),
                    status => matches!(status, Status::Ready),
                };
                let is_busy = is_ready && now.waits == before.waits;
                (is_busy && taken == 0 && gas >= limits.runaway_gas)
                    .then(|| vec![("gas", gas), ("limit", limits.runaway_gas)])
            }
            AnomalyPattern::GrowingMailbox => (is_growing(now.mailbox_rises)
                && now.mailbox > before.mailbox
                && now.mailbox >= limits.mailbox_messages)
                .then(|| {
                    let windows = u64::from(now.mailbox_rises);
                    vec![
                        ("messages", now.mailbox),
                        ("before", before.mailbox),
                        ("windows", windows),
                    ]
                }),
            AnomalyPattern::GrowingHeap => (is_growing(now.heap_rises)
                && now.alive_bytes > before.alive_bytes
                && now.alive_bytes >= limits.heap_bytes)
                .then(|| {
                    let windows = u64::from(now.heap_rises);
                    vec![
                        ("bytes", now.alive_bytes),
                        ("before", before.alive_bytes),
                        ("windows", windows),
                    ]
                }),
            AnomalyPattern::CrashLoop => (counts.restarts >= limits.restarts)
                .then(|| vec![("restarts", counts.restarts), ("limit", limits.restarts)]),
            AnomalyPattern::Starvation => {
                let waited = tick - now.ready_since.unwrap_or(tick);
                (waited >= limits.starvation_ticks)
                    .then(|| vec![("ticks", waited), ("limit", limits.starvation_ticks)])
            }
            AnomalyPattern::DeoptStorm
            | AnomalyPattern::HotSender
            | AnomalyPattern::SenderCycle => None,
        }
    }

    /// Senders may have ended since.
    fn look_at_senders(&self, world: &World, vitals: &Vitals, found: &mut Vec<DetectedAnomaly>) {
        if !self.looks_for(AnomalyPattern::HotSender) {
            return;
        }
        let limit = self.monitoring_thresholds.sent_messages;
        for (actor, counts) in vitals.counted() {
            if actor != ActorId::OUTSIDE && counts.sent >= limit {
                let evidence = vec![("messages", counts.sent), ("limit", limit)];
                found.push(self.anomaly(world, AnomalyPattern::HotSender, Some(actor), evidence));
            }
        }
    }

    fn look_at_code(&self, world: &World, vitals: &Vitals, found: &mut Vec<DetectedAnomaly>) {
        if !self.looks_for(AnomalyPattern::DeoptStorm) {
            return;
        }
        let limit = self.monitoring_thresholds.wrong_guesses;
        for ((program, function), count) in vitals.new_guesses(world) {
            if count < limit {
                continue;
            }
            let evidence = vec![("wrong guesses", count), ("limit", limit)];
            let mut anomaly = self.anomaly(world, AnomalyPattern::DeoptStorm, None, evidence);
            let program = world.code().program(program).program();
            anomaly.function = Some(program.function_name(function));
            found.push(anomaly);
        }
    }
}
