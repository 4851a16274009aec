//! Worlds that go back in their histories by themselves.
//!
//! Two things make a world do so, if somebody wants it: an anomaly about which its monitor is bound to ([`Remedy::GoBack`](crate::monitor::Remedy::GoBack)), and a recovery that comes to
//! another state than there had been ([`RollbackPolicy::on_divergence`]). Then it leaves out what led there and does all else again, by a rollback like one by
//! hand, which says why. What is in the history decides what that is: for an anomaly the world tries (`blame`); for a state that does not come again it is what
//! came in since the last one that did. Where nothing can be blamed, or the world has gone back too often of late, it halts: its
//! history stays as it is, and somebody decides.

use std::mem;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::history::{History, HistorySettings};
use super::rollback::find_first;
use super::{Input, RecordedInput, Recovery, RollbackReport, TrajectoryHash, World, WorldEvent};
use crate::checkpoint::RecoveryError;
use crate::disk::Disk;
use crate::monitor::DetectedAnomaly;

/// When a world that keeps its history goes back in it by itself, and how. About which anomalies it does is said by its monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollbackPolicy {
    /// Whether a recovery that comes to another state than there had been leaves out what came in since the last state that agrees.
    /// Otherwise it is refused. It can be seen only of a world that knows its trajectory.
    pub on_divergence: bool,
    /// What is left out.
    pub blames: Blame,
    /// Inputs, or sessions, that are blamed at once; the world halts where it were more.
    pub inputs_max: usize,
    /// Rollbacks after which the world halts in place of the next one, if they are not longer ago than so many ticks.
    pub rollbacks_max: usize,
    /// So many.
    pub within_ticks: u64,
}

impl Default for RollbackPolicy {
    fn default() -> RollbackPolicy {
        RollbackPolicy {
            on_divergence: false,
            blames: Blame::default(),
            inputs_max: 4,
            rollbacks_max: 3,
            within_ticks: 16_384,
        }
    }
}

/// What is left out of a history besides the input that is to blame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// Nothing.
    #[default]
    Input,
    /// What was said since in the same session, if it was said in one.
    Session,
}

/// What a world knows of its going back by itself.
#[derive(Debug, Default)]
pub(super) struct GoingBack {
    /// Ticks of the states that it came to by that, the last ones; a part of the state.
    pub(super) done: Vec<u64>,
    /// The anomaly about which it is to go back when the tick is over.
    pub(super) wanted: Option<Box<DetectedAnomaly>>,
    /// Why it has halted, if it has.
    halted: Option<String>,
    /// Of a history that is done again: the first record of the ticks that the world has done now, and these.
    reached: (u64, u64),
    /// The same, of the last state that agrees with what the journal knows.
    agreed: (u64, u64),
}

/// Rollbacks that are remembered.
const DONE_MAX: usize = 1_024;

impl GoingBack {
    /// The history has taken another course: nothing holds the world up any more.
    pub(super) fn goes_on(&mut self) {
        self.halted = None;
        self.wanted = None;
    }

    /// The world halts.
    pub(super) fn halts(&mut self, reason: String) {
        self.halted = Some(reason);
    }

    /// Why a world that has done so many ticks does not go back once more, if it does not.
    fn is_too_often(&self, ticks: u64, policy: RollbackPolicy) -> Option<String> {
        let since = ticks.saturating_sub(policy.within_ticks);
        let of_late = self.done.iter().filter(|done| **done > since).count();
        (of_late >= policy.rollbacks_max).then(|| {
            let within = policy.within_ticks;
            format!("the world has gone back {of_late} times in the last {within} ticks")
        })
    }
}

/// Whether an input is something that somebody said, so that it may be to blame.
pub(super) fn can_be_blamed(input: &Input) -> bool {
    matches!(
        input,
        Input::Spawn { .. }
            | Input::Send { .. }
            | Input::Ask { .. }
            | Input::Once { .. }
            | Input::Dispatch { .. }
            | Input::Publish { .. }
            | Input::Upgrade { .. }
    )
}

fn halts(reason: impl ToString) -> RecoveryError {
    RecoveryError::NoRollback(reason.to_string())
}

impl World {
    /// Why the world has halted, if it has: it should have gone back by itself, and could not. It does no more ticks, its history is whole, and
    /// [`World::roll_back`] has it go on.
    pub fn halted(&self) -> Option<&str> {
        self.going_back.halted.as_deref()
    }

    /// Why the world has no history any more, if it lost it on the way to another state.
    pub(super) fn lost_history(&self) -> Option<String> {
        let reason = self.halted().filter(|_| !self.keeps_history());
        reason.map(str::to_owned)
    }

    /// Whether it goes back when the tick is over, if it can.
    pub(super) fn wants_back(&self) -> bool {
        self.going_back.wanted.is_some()
    }

    /// The world goes back about an anomaly when the tick is over, if it keeps its history or tries what has come of it.
    pub(crate) fn want_back(&mut self, anomaly: &DetectedAnomaly) {
        if self.keeps_history() || self.is_replay() {
            let wanted = &mut self.going_back.wanted;
            wanted.get_or_insert_with(|| Box::new(anomaly.clone()));
        }
    }

    /// A tick is over: goes back if it is to, or halts.
    pub(super) fn go_back_if_wanted(&mut self) {
        if self.going_back.wanted.is_none() || self.is_replay() || self.history_has_failed() {
            return;
        }
        let Some(anomaly) = self.going_back.wanted.take() else {
            return;
        };
        let observers = mem::take(&mut self.observers);
        let monitoring = self.monitoring.take();
        let done = self.go_back(&anomaly, monitoring.as_deref());
        self.observers = observers;
        self.monitoring = monitoring;
        self.watch_anew();
        match done {
            Ok(report) => self.tell_event(&WorldEvent::WentBack(&report)),
            Err(error) => {
                self.going_back.halts(format!(
                    "the world has halted at tick {}: {anomaly}; {error}. Its history is whole: leave out by hand what led there, or \
                     recover the world without this policy",
                    self.ticks()
                ));
            }
        }
    }

    fn go_back(
        &mut self,
        anomaly: &DetectedAnomaly,
        monitoring: Option<&crate::monitor::Monitoring>,
    ) -> Result<RollbackReport, RecoveryError> {
        let (History::Kept(kept), Some(monitoring)) = (&self.history, monitoring) else {
            return Err(halts("the world keeps no history"));
        };
        let (disk, settings) = kept.place();
        let policy = settings.rollbacks;
        if let Some(reason) = self.going_back.is_too_often(self.ticks(), policy) {
            return Err(halts(reason));
        }
        self.flush().map_err(halts)?;
        self.leave_history();
        match self.find_blamed(&disk, policy, monitoring) {
            Ok(first) => {
                let why = Some(anomaly.to_string());
                let done = self.roll_back_in(disk, settings, first, why);
                done.map(|(_, report)| report)
            }
            Err(error) => {
                // It is looked at as it was.
                let repeated = self.recover(&disk)?;
                self.keep_on(disk, settings, repeated)?;
                Err(error)
            }
        }
    }

    /// The world was about to be recovered from a history, which was refused: if that is because it came to another state, and the policy
    /// says so, what led there is left out.
    pub(super) fn leave_divergence_out(
        &mut self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
        error: RecoveryError,
    ) -> Result<Recovery, RecoveryError> {
        let policy = settings.rollbacks;
        let RecoveryError::Diverged {
            from, record, tick, ..
        } = error
        else {
            return Err(error);
        };
        if !policy.on_divergence {
            return Err(error);
        }
        if let Some(reason) = self.going_back.is_too_often(self.ticks(), policy) {
            return Err(halts(format!("{error}; {reason}")));
        }
        let mut sessions = Vec::new();
        let is_blamed = |recorded: &RecordedInput<'_>| {
            // What came in at that very tick has no part in its state.
            let is_between = (from..record).contains(&recorded.number) && recorded.tick < tick;
            let session = recorded
                .session()
                .filter(|_| policy.blames == Blame::Session);
            if is_between && can_be_blamed(recorded.input) {
                sessions.extend(session);
                return true;
            }
            session.is_some_and(|session| sessions.contains(&session))
        };
        let mut first =
            find_first(&disk, self.pool.threads(), None, is_blamed).map_err(|none| match none {
                RecoveryError::NothingToLeaveOut => {
                    halts(format!("{error}, and nobody said anything in between"))
                }
                other => other,
            })?;
        if first.without.len() > policy.inputs_max {
            let (count, max) = (first.without.len(), policy.inputs_max);
            let text = format!("{error}: {count} are to blame, where {max} may be left out");
            return Err(halts(text));
        }
        // What there is of the old course behind the state that agrees is not what there was.
        first.record = from;
        let why = Some(error.to_string());
        let (recovery, report) = self.roll_back_in(disk, settings, first, why)?;
        Ok(Recovery {
            rolled_back: Some(report),
            ..recovery
        })
    }

    /// The world has come to its state by going back by itself.
    pub(super) fn note_gone_back(&mut self) {
        let done = &mut self.going_back.done;
        done.push(self.tick);
        let too_many = done.len().saturating_sub(DONE_MAX);
        done.drain(..too_many);
    }

    /// A record says what happens to the state that was reached.
    pub(super) fn reach(&mut self, record: u64) {
        if self.going_back.reached.1 != self.tick {
            self.going_back.reached = (record, self.tick);
        }
    }

    /// A state was read that is as it was, before what this record and those behind it say.
    pub(super) fn agree_at(&mut self, record: u64) {
        self.going_back.reached = (record, self.tick);
        self.going_back.agreed = self.going_back.reached;
    }

    /// Compares with what there was, which the record with this number says.
    pub(super) fn compare_with(
        &mut self,
        trajectory: TrajectoryHash,
        record: u64,
    ) -> Result<(), RecoveryError> {
        let (from, agreed) = self.going_back.agreed;
        match self.trajectory() {
            Some(now) if now != trajectory => Err(RecoveryError::Diverged {
                agreed,
                tick: self.tick,
                from,
                record,
            }),
            Some(_) => {
                self.going_back.agreed = self.going_back.reached;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
