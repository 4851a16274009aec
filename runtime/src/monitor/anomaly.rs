//! What can go wrong, from when on it counts, and what is recommended.

use serde::{Deserialize, Serialize};

use crate::actor::ActorId;

/// A way in which a world goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnomalyPattern {
    /// An actor computes, and neither waits nor takes a message.
    RunawayGas,
    /// A mailbox grows, window after window.
    GrowingMailbox,
    /// What collections find alive of an actor grows, window after window.
    GrowingHeap,
    /// An actor is restarted again and again.
    CrashLoop,
    /// An actor could run and gets no turn.
    Starvation,
    /// Native code is left by wrong guesses all the time.
    DeoptStorm,
    /// An actor sends very much.
    HotSender,
    /// Senders wait for room in each other's mailboxes, in a circle.
    SenderCycle,
}

impl AnomalyPattern {
    /// All patterns.
    pub const ALL: [AnomalyPattern; 8] = [
        AnomalyPattern::RunawayGas,
        AnomalyPattern::GrowingMailbox,
        AnomalyPattern::GrowingHeap,
        AnomalyPattern::CrashLoop,
        AnomalyPattern::Starvation,
        AnomalyPattern::DeoptStorm,
        AnomalyPattern::HotSender,
        AnomalyPattern::SenderCycle,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            AnomalyPattern::RunawayGas => "runaway-gas",
            AnomalyPattern::GrowingMailbox => "growing-mailbox",
            AnomalyPattern::GrowingHeap => "growing-heap",
            AnomalyPattern::CrashLoop => "crash-loop",
            AnomalyPattern::Starvation => "starvation",
            AnomalyPattern::DeoptStorm => "deopt-storm",
            AnomalyPattern::HotSender => "hot-sender",
            AnomalyPattern::SenderCycle => "sender-cycle",
        }
    }
}

/// From when on something counts as an anomaly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MonitoringThresholds {
    /// Ticks between two looks at the world.
    pub window_ticks: u64,
    /// Gas that an actor uses in a window without waiting or taking a message.
    pub runaway_gas: u64,
    /// Windows in a row in which a mailbox, or what is alive of a heap, grows.
    pub growth_windows: u32,
    /// Messages that a mailbox that grows holds at least.
    pub mailbox_messages: u64,
    /// Logical bytes that are alive of a heap that grows at least.
    pub heap_bytes: u64,
    /// Restarts of an actor in a window.
    pub restarts: u64,
    /// Ticks that an actor could run and had no turn.
    pub starvation_ticks: u64,
    /// Wrong guesses of native code in a window, on the thread that runs the world.
    pub wrong_guesses: u64,
    /// Messages that an actor sends in a window.
    pub sent_messages: u64,
}

impl MonitoringThresholds {
    /// Ticks to which a look at a world reaches back: one that has been watched for so long is known as if it always had been.
    pub(crate) fn memory_ticks(&self) -> u64 {
        let windows = u64::from(self.growth_windows).saturating_add(2);
        let memory = self.window_ticks.max(1).saturating_mul(windows);
        memory.saturating_add(self.starvation_ticks)
    }
}

impl Default for MonitoringThresholds {
    fn default() -> MonitoringThresholds {
        MonitoringThresholds {
            window_ticks: 64,
            runaway_gas: 50_000_000,
            growth_windows: 3,
            mailbox_messages: 1_000,
            heap_bytes: 64 << 20,
            restarts: 3,
            starvation_ticks: 256,
            wrong_guesses: 10_000,
            sent_messages: 50_000,
        }
    }
}

/// What can be done about an anomaly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// Somebody should look at it.
    Report,
    /// The actor is suspended until somebody resumes it.
    Pause,
    /// The actor is ended; its supervisor learns of it.
    Kill,
    /// The actor may use only so much more gas.
    Limit {
        /// How much.
        gas: u64,
    },
    /// Another actor is told, by the message `(list 'anomaly pattern actor)`.
    Tell(ActorId),
    /// A world that keeps its history goes back to before what led there, and on without it, as its
    /// [`RollbackPolicy`](crate::world::RollbackPolicy) says. In another world nothing happens.
    GoBack,
}

/// What is to be done about anomalies of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryAction {
    /// About which.
    pub pattern: AnomalyPattern,
    /// What.
    pub remedy: Remedy,
    /// Whether it is done at once, and not only recommended.
    pub is_bound: bool,
}

impl RecoveryAction {
    /// What is recommended unless somebody says otherwise.
    pub(super) fn recommended(pattern: AnomalyPattern) -> RecoveryAction {
        let remedy = match pattern {
            AnomalyPattern::RunawayGas | AnomalyPattern::HotSender => Remedy::Pause,
            AnomalyPattern::GrowingMailbox
            | AnomalyPattern::Starvation
            | AnomalyPattern::DeoptStorm
            | AnomalyPattern::SenderCycle => Remedy::Report,
            AnomalyPattern::GrowingHeap | AnomalyPattern::CrashLoop => Remedy::Kill,
        };
        RecoveryAction {
            pattern,
            remedy,
            is_bound: false,
        }
    }
}

/// An anomaly that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DetectedAnomaly {
    /// Which pattern.
    pub pattern: AnomalyPattern,
    /// Whom it is about, the first of several; nobody where it is about code.
    pub actor: Option<ActorId>,
    /// The others whom it is about: the rest of a circle.
    pub others: Vec<ActorId>,
    /// The function that it is about, if it is about code.
    pub function: Option<String>,
    /// The tick before which it was found.
    pub tick: u64,
    /// Numbers that show it, each with its name.
    pub evidence: Vec<(&'static str, u64)>,
    /// What should be done, and whether that is bound to happen.
    pub recommended: RecoveryAction,
}

impl std::fmt::Display for DetectedAnomaly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.pattern.name())?;
        if let Some(actor) = self.actor {
            write!(f, " of actor {actor}")?;
        }
        for other in &self.others {
            write!(f, ", {other}")?;
        }
        if let Some(function) = &self.function {
            write!(f, " in {function}")?;
        }
        for (name, number) in &self.evidence {
            write!(f, ", {name} {number}")?;
        }
        let how = if self.recommended.is_bound {
            "does"
        } else {
            "recommends"
        };
        write!(f, "; {how} {:?}", self.recommended.remedy)
    }
}
