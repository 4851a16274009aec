//! The world's clock and its timers.
//!
//! World time changes between ticks only. Unless it is paced by the embedder, it stands still while anybody can run and
//! jumps to the next timer when nobody can.

use std::collections::BTreeMap;

use crate::actor::{ActorId, TimerKey};
use crate::portable::portable;

/// Who moves the world's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pace {
    /// Time jumps to the next timer when nobody can run.
    #[default]
    Jumps,
    /// The embedder tells the time.
    Told,
}

/// A wait that ends when its time is up, unless it has ended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    pub(super) actor: ActorId,
    pub(super) wait: u64,
    /// Whether it is about the wait for room in a mailbox, which have numbers of their own.
    pub(super) is_park: bool,
}

/// The clock and its timers.
#[derive(Debug, Default)]
pub(super) struct Clock {
    now_ms: u64,
    pub(super) pace: Pace,
    /// By the time at which they end, then by the order in which they were set.
    timers: BTreeMap<(u64, u64), Timer>,
    /// Timers set so far.
    set: u64,
}

impl Clock {
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Sets a timer; what names it.
    pub(super) fn set_timer(&mut self, after_ms: u64, timer: Timer) -> TimerKey {
        self.set += 1;
        let at = self.now_ms.saturating_add(after_ms);
        self.timers.insert((at, self.set), timer);
        (at, self.set)
    }

    /// Forgets a timer, if there is one: what it would end has ended.
    pub(super) fn cancel(&mut self, key: Option<TimerKey>) {
        if let Some(key) = key {
            self.timers.remove(&key);
        }
    }

    pub(super) fn timer_count(&self) -> usize {
        self.timers.len()
    }

    /// When the next timer ends.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    /// Whether numbers are as they are given: the flaw, if not.
    pub(super) fn check(&self) -> Result<(), String> {
        let last = self.timers.keys().map(|(_, number)| *number).max();
        match last {
            Some(last) if last > self.set => Err(format!(
                "{} timers were set, one is number {last}",
                self.set
            )),
            _ => Ok(()),
        }
    }

    /// The time is `now_ms`, or what it was if that is later.
    pub(super) fn advance(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// A timer that has ended.
    pub(super) fn pop_due(&mut self) -> Option<Timer> {
        let first = self.timers.first_entry()?;
        (first.key().0 <= self.now_ms).then(|| first.remove())
    }
}

portable!(enum Pace { 0 => Jumps, 1 => Told });
portable!(struct Timer { actor, wait, is_park });
portable!(struct Clock { now_ms, pace, timers, set });
