//! The world's clock and its timers.
//!
//! World time changes between ticks only. Unless it is paced by the embedder, it stands still while anybody can run and
//! jumps to the next timer when nobody can.

use std::collections::BTreeMap;

use pw_isa::wire::{Decoded, Writer};

use super::trajectory::Sum;
use crate::actor::{ActorId, TimerKey};
use crate::portable::{In, Out, Portable, portable};

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
    /// Of all timers, where somebody wants to know the trajectory.
    sum: Option<Sum>,
}

/// The hash of a timer.
fn sum_of((at, number): TimerKey, timer: Timer) -> Sum {
    let Timer {
        actor,
        wait,
        is_park,
    } = timer;
    let mut out = Writer::default();
    [at, number, actor.0, wait]
        .into_iter()
        .for_each(|word| out.u64(word));
    out.u8(is_park.into());
    Sum::of(&out.bytes)
}

impl Clock {
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Sets a timer; what names it.
    pub(super) fn set_timer(&mut self, after_ms: u64, timer: Timer) -> TimerKey {
        self.set += 1;
        let at = self.now_ms.saturating_add(after_ms);
        let key = (at, self.set);
        self.timers.insert(key, timer);
        if let Some(sum) = &mut self.sum {
            sum.add(sum_of(key, timer));
        }
        key
    }

    /// Forgets a timer, if there is one: what it would end has ended.
    pub(super) fn cancel(&mut self, key: Option<TimerKey>) {
        if let Some(key) = key
            && let Some(timer) = self.timers.remove(&key)
        {
            self.forget(key, timer);
        }
    }

    /// A timer is gone.
    fn forget(&mut self, key: TimerKey, timer: Timer) {
        if let Some(sum) = &mut self.sum {
            sum.take_out(sum_of(key, timer));
        }
    }

    /// Keeps the sum of all timers from now on.
    pub(super) fn begin_sum(&mut self) {
        let mut sum = Sum::default();
        for (key, timer) in &self.timers {
            sum.add(sum_of(*key, *timer));
        }
        self.sum = Some(sum);
    }

    /// Writes what a trajectory is the hash of: of the timers only their sum, so that a tick costs what became of them and not how
    /// many there are.
    pub(super) fn put_hashed(&self, out: &mut Out<'_>) {
        self.now_ms.put(out);
        self.pace.put(out);
        self.set.put(out);
        self.sum.unwrap_or_default().write(out.to);
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
        if first.key().0 > self.now_ms {
            return None;
        }
        let (key, timer) = first.remove_entry();
        self.forget(key, timer);
        Some(timer)
    }
}

portable!(enum Pace { 0 => Jumps, 1 => Told });
portable!(struct Timer { actor, wait, is_park });

impl Portable for Clock {
    fn put(&self, out: &mut Out<'_>) {
        let Clock {
            now_ms,
            pace,
            timers,
            set,
            // It follows from the timers.
            sum: _,
        } = self;
        now_ms.put(out);
        pace.put(out);
        timers.put(out);
        set.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Clock> {
        Ok(Clock {
            now_ms: Portable::get(input)?,
            pace: Portable::get(input)?,
            timers: Portable::get(input)?,
            set: Portable::get(input)?,
            sum: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_timers_that_there_are_however_they_came_about() {
        let mut clock = Clock::default();
        clock.begin_sum();
        let nothing = clock.sum;
        let mut keys = Vec::new();
        for number in 1..=20 {
            let timer = Timer {
                actor: ActorId(number),
                wait: number * 3,
                is_park: number % 2 == 0,
            };
            keys.push(clock.set_timer(number % 7 * 10, timer));
        }
        assert_ne!(clock.sum, nothing);
        clock.cancel(Some(keys[3]));
        // It is gone already.
        clock.cancel(Some(keys[3]));
        clock.advance(20);
        while clock.pop_due().is_some() {}
        let kept = clock.sum;
        assert!(clock.timer_count() > 0 && kept != nothing);
        clock.begin_sum();
        assert_eq!(clock.sum, kept);
        clock.advance(100);
        while clock.pop_due().is_some() {}
        assert_eq!(clock.sum, nothing);
    }
}
