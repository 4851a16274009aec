//! Checkpoints in memory, and going back to them.

use std::collections::VecDeque;

use super::{RecoveryError, SystemCheckpoint};
use crate::World;
use crate::monitor::{DetectedAnomaly, ErrorDetectionSystem};

/// When a world goes back to an earlier state by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RecoveryStrategy {
    /// Never: somebody decides.
    #[default]
    Manual,
    /// When an anomaly is found that is about no single actor: to the newest checkpoint.
    OnWorldAnomaly,
    /// When any anomaly is found: to the newest checkpoint.
    OnAnyAnomaly,
}

/// Checkpoints of a world in memory, taken in intervals, the newest of which are kept.
#[derive(Clone, Debug)]
pub struct FaultToleranceSystem {
    /// Ticks between two checkpoints that are taken by [`FaultToleranceSystem::watch`].
    pub checkpoint_interval: u64,
    /// Those that are kept, the oldest first.
    pub checkpoint_history: VecDeque<SystemCheckpoint>,
    /// How many are kept at most.
    pub history_max: usize,
    /// When the world goes back by itself.
    pub recovery_strategy: RecoveryStrategy,
    /// What looks for anomalies.
    pub error_detection: ErrorDetectionSystem,
}

/// Checkpoints that are kept when nobody says otherwise.
const HISTORY_MAX: usize = 8;

impl FaultToleranceSystem {
    /// One that takes a checkpoint each `checkpoint_interval` ticks and keeps the newest eight.
    pub fn new(checkpoint_interval: u64) -> FaultToleranceSystem {
        FaultToleranceSystem {
            checkpoint_interval,
            checkpoint_history: VecDeque::new(),
            history_max: HISTORY_MAX,
            recovery_strategy: RecoveryStrategy::default(),
            error_detection: ErrorDetectionSystem::default(),
        }
    }

    /// Takes a checkpoint, and keeps it; of many the oldest is forgotten.
    pub fn create_checkpoint(&mut self, world: &World) -> SystemCheckpoint {
        let checkpoint = world.to_checkpoint();
        while self.checkpoint_history.len() >= self.history_max.max(1) {
            self.checkpoint_history.pop_front();
        }
        self.checkpoint_history.push_back(checkpoint.clone());
        checkpoint
    }

    /// The world is as it was then. What came in since is gone, unless it has not taken effect yet.
    ///
    /// # Errors
    /// Why it cannot be; then nothing has changed.
    pub fn restore_from_checkpoint(
        &mut self,
        world: &mut World,
        checkpoint: &SystemCheckpoint,
    ) -> Result<(), RecoveryError> {
        world.take_checkpoint(checkpoint)
    }

    /// To be called between ticks: takes a checkpoint when one is due, and looks for anomalies as often; goes back if the strategy says
    /// so, each time to an older one. The anomalies for which it went back.
    ///
    /// # Errors
    /// When the world cannot go back.
    pub fn watch(&mut self, world: &mut World) -> Result<Vec<DetectedAnomaly>, RecoveryError> {
        let newest = self.checkpoint_history.back();
        let since = newest.map_or(0, |newest| newest.timestamp);
        let is_due = newest.is_none() || world.ticks() >= since + self.checkpoint_interval.max(1);
        if !is_due {
            return Ok(Vec::new());
        }
        let mut found = match self.recovery_strategy {
            RecoveryStrategy::Manual => Vec::new(),
            _ => self.error_detection.monitor_system(world),
        };
        if self.recovery_strategy == RecoveryStrategy::OnWorldAnomaly {
            found.retain(|anomaly| anomaly.actor.is_none());
        }
        if found.is_empty() {
            self.create_checkpoint(world);
        } else if let Some(newest) = self.checkpoint_history.pop_back() {
            // If it comes to the same again, the one before it is next.
            world.take_checkpoint(&newest)?;
        }
        Ok(found)
    }
}
