//! When a world of `pw` goes back in its history by itself.

use std::path::PathBuf;

use clap::Args;
use physics_world::World;
use physics_world::runtime::monitor::{
    AnomalyPattern, ErrorDetectionSystem, MonitoringThresholds, Remedy,
};
use physics_world::runtime::world::{Blame, HistorySettings, RollbackPolicy, WorldEvent};
use physics_world::source::BadInput;

use super::rollback;

/// When a world goes back in its history by itself.
#[derive(Args)]
pub(crate) struct Policy {
    /// Go back in the history when this is found, and on without the inputs that led there: `divergence` (a recovery comes to another state
    /// than there was; it can be seen with --trajectory), `runaway-gas`, `growing-mailbox`, `growing-heap`, `crash-loop`, `starvation`,
    /// `hot-sender` or `sender-cycle`. What is left out, and what was printed and is not so any more, is told on stderr. Where nothing can be
    /// blamed, or it happens too often, the world halts, with exit code 3.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = cause)]
    roll_back_on: Vec<Cause>,
    /// From when on something counts as an anomaly, as JSON; what is left out is as by default.
    /// `{"window_ticks": 64, "runaway_gas": 50000000, "restarts": 3}`
    #[arg(long, value_name = "FILE", requires = "roll_back_on")]
    thresholds: Option<PathBuf>,
    /// Leave out what was said in the same session since, too.
    #[arg(long, requires = "roll_back_on")]
    blame_sessions: bool,
    /// Halt in place of going back once more, after so many times within --rollbacks-within.
    #[arg(long, value_name = "N", default_value_t = RollbackPolicy::default().rollbacks_max)]
    rollbacks_max: usize,
    /// Ticks in which rollbacks are counted.
    #[arg(long, value_name = "TICKS", default_value_t = RollbackPolicy::default().within_ticks)]
    rollbacks_within: u64,
}

/// Why a world goes back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Divergence,
    Anomaly(AnomalyPattern),
}

fn cause(name: &str) -> Result<Cause, String> {
    if name == "divergence" {
        return Ok(Cause::Divergence);
    }
    let pattern = AnomalyPattern::ALL
        .into_iter()
        .find(|pattern| pattern.name() == name);
    match pattern {
        Some(AnomalyPattern::DeoptStorm) => {
            Err("native code comes and goes with time, so nothing can be blamed for it".to_owned())
        }
        Some(pattern) => Ok(Cause::Anomaly(pattern)),
        None => Err("it is neither `divergence` nor an anomaly".to_owned()),
    }
}

impl Policy {
    /// Whether a world is to go back at all.
    pub(crate) fn is_given(&self) -> bool {
        !self.roll_back_on.is_empty()
    }

    /// How a history is kept, with this.
    pub(crate) fn in_settings(&self, settings: HistorySettings) -> HistorySettings {
        HistorySettings {
            rollbacks: RollbackPolicy {
                on_divergence: self.roll_back_on.contains(&Cause::Divergence),
                blames: if self.blame_sessions {
                    Blame::Session
                } else {
                    Blame::Input
                },
                rollbacks_max: self.rollbacks_max,
                within_ticks: self.rollbacks_within,
                ..RollbackPolicy::default()
            },
            ..settings
        }
    }

    /// Has a world watched that keeps its history; what becomes of it is told on stderr.
    pub(crate) fn watch(&self, world: &mut World) -> Result<(), BadInput> {
        if !self.is_given() {
            return Ok(());
        }
        let mut system = ErrorDetectionSystem::default().thresholds(self.given_thresholds()?);
        for cause in &self.roll_back_on {
            if let Cause::Anomaly(pattern) = cause {
                system = system.bound(*pattern, Remedy::GoBack);
            }
        }
        world.start_monitoring(system);
        world.observe(|event| {
            if let WorldEvent::WentBack(report) = event {
                crate::note::write(&rollback::text(report));
            }
        });
        Ok(())
    }

    fn given_thresholds(&self) -> Result<MonitoringThresholds, BadInput> {
        let Some(path) = &self.thresholds else {
            return Ok(MonitoringThresholds::default());
        };
        let bad = |error: &dyn std::fmt::Display| {
            BadInput::new(format!("--thresholds: {}: {error}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| bad(&error))?;
        serde_json::from_str(&text).map_err(|error| bad(&error))
    }
}
