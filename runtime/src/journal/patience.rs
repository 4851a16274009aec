//! How long a sync waits for more.
//!
//! A client that has been answered often says the next thing at once. If a sync begins as soon as anything has come, it has what came during the one
//! before, and those who were just answered wait for the sync after it: two halves take turns, and each waits for the syncs of both. So a sync
//! waits a part of the time that it takes, until as many have come as were answered. Where they do not come back, what is lost by that is not
//! tried again for some time.

use std::time::Duration;

/// How long it is waited at most, in parts of the last sync, and whatever that took.
const WAITED_PART: (u32, u32) = (3, 4);
const WAITED_MAX: Duration = Duration::from_millis(10);
/// How often is looked in the time of a sync, and the shortest and the longest time between.
const LOOKS: u32 = 16;
const LOOK_MIN: Duration = Duration::from_micros(50);
const LOOK_MAX: Duration = Duration::from_millis(1);
/// The part of those who were answered that has to come, or it was waited in vain: where as many come as at any other time, fewer do.
const BACK: (usize, usize) = (7, 8);
/// Looks at which nobody has come, after which nobody is waited for.
const QUIET_LOOKS: u32 = 3;
/// Syncs that begin at once after one that had waited in vain, at most.
const SKIPPED_MAX: u32 = 256;

/// What is known of who comes back.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// How long the last sync took, how many learnt by it that they were heard, and how many waited for the next one then.
    sync: Duration,
    answered: usize,
    waiting: usize,
    /// Syncs that will begin at once, and how many they were after it was last waited in vain.
    skips: u32,
    skipped: u32,
}

/// Waiting before a sync.
#[derive(Debug)]
pub(super) struct Wait {
    /// How many waited when the sync before was over, and how many would wait if all came back.
    before: usize,
    all: usize,
    /// How many waited at the last look, and looks since somebody came.
    seen: usize,
    quiet: u32,
    /// Time between looks, and the most in all.
    pub(super) look: Duration,
    most: Duration,
}

impl Patience {
    /// A sync took so long, and so many learn by it now that they were heard; so many wait for the next one already.
    pub(super) fn note_sync(&mut self, took: Duration, answered: usize, waiting: usize) {
        self.sync = took;
        self.answered = answered;
        self.waiting = waiting;
    }

    /// Whether what comes now should wait for those who were answered by the last sync, if there was one since this was asked before.
    pub(super) fn begin(&mut self) -> Option<Wait> {
        let answered = std::mem::take(&mut self.answered);
        if answered == 0 {
            return None;
        }
        if self.skips > 0 {
            self.skips -= 1;
            return None;
        }
        let (part, of) = WAITED_PART;
        Some(Wait {
            before: self.waiting,
            all: self.waiting + answered,
            seen: self.waiting,
            quiet: 0,
            look: (self.sync / LOOKS).clamp(LOOK_MIN, LOOK_MAX),
            most: (self.sync * part / of).min(WAITED_MAX),
        })
    }

    /// It was waited until so many waited.
    pub(super) fn end(&mut self, wait: &Wait, waiting: usize) {
        let came = waiting.saturating_sub(wait.before);
        let (part, of) = BACK;
        if of * came < part * (wait.all - wait.before) {
            self.skipped = (2 * self.skipped).clamp(1, SKIPPED_MAX);
            self.skips = self.skipped;
        } else {
            self.skipped = 0;
        }
    }
}

impl Wait {
    /// Whether it is waited on, when so many wait and that much time has passed.
    pub(super) fn goes_on(&mut self, waiting: usize, passed: Duration) -> bool {
        self.quiet = match waiting > self.seen {
            true => 0,
            false => self.quiet + 1,
        };
        self.seen = waiting;
        waiting < self.all && self.quiet <= QUIET_LOOKS && passed + self.look <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Duration = Duration::from_millis(4);

    /// Waits behind a sync that so many were answered by, and before one for which `waiting` wait, where one after the other of these come between
    /// looks; looks, and how many wait then.
    fn wait(
        patience: &mut Patience,
        (answered, waiting): (usize, usize),
        coming: &[usize],
    ) -> Option<(usize, usize)> {
        patience.note_sync(SYNC, answered, waiting);
        let mut wait = patience.begin()?;
        let (mut now, mut looks) = (waiting, 0);
        while wait.goes_on(now, wait.look * looks as u32) {
            now += coming.get(looks).copied().unwrap_or(0);
            looks += 1;
        }
        patience.end(&wait, now);
        Some((looks, now))
    }

    #[test]
    fn it_is_waited_until_all_are_back() {
        let mut patience = Patience::default();
        assert_eq!(wait(&mut patience, (0, 5), &[]), None);
        for _ in 0..3 {
            // Five came during the sync, and the six that it answered come back.
            assert_eq!(wait(&mut patience, (6, 5), &[2, 0, 0, 4, 9]), Some((4, 11)));
        }
    }

    #[test]
    fn it_is_not_waited_longer_than_a_part_of_a_sync() {
        let mut patience = Patience::default();
        assert_eq!(wait(&mut patience, (60, 1), &[3; 16]), Some((12, 37)));
    }

    #[test]
    fn nobody_is_waited_for_who_does_not_come() {
        let mut patience = Patience::default();
        // None comes: three looks, and the next sync waits for nobody; then two, then four, and so on.
        for skipped in [1, 2, 4, 8, 16, 32, 64, 128, 256, 256] {
            assert_eq!(wait(&mut patience, (60, 7), &[]), Some((3, 7)));
            for _ in 0..skipped {
                assert_eq!(wait(&mut patience, (60, 7), &[]), None);
            }
        }
        // Most come back again.
        assert_eq!(wait(&mut patience, (60, 7), &[53]), Some((5, 60)));
        assert_eq!(wait(&mut patience, (60, 7), &[]), Some((3, 7)));
        assert_eq!(wait(&mut patience, (60, 7), &[]), None);
        assert_eq!(wait(&mut patience, (60, 7), &[60]), Some((1, 67)));
    }

    #[test]
    fn who_comes_at_any_time_is_not_waited_for() {
        let mut patience = Patience::default();
        let (mut answered, mut waits) = (64, 0);
        for _ in 0..600 {
            // 64 come in the time of a sync, four between two looks, whoever was answered.
            answered = match wait(&mut patience, (answered, 64), &[4; 16]) {
                Some((_, waiting)) => {
                    waits += 1;
                    waiting
                }
                None => 64,
            };
        }
        assert!(waits < 12, "{waits}");
    }

    #[test]
    fn a_sync_that_hung_makes_nobody_wait_long() {
        let mut patience = Patience::default();
        patience.note_sync(Duration::from_secs(20), 60, 0);
        let mut wait = patience.begin().expect("some were answered");
        assert_eq!(wait.look, LOOK_MAX);
        assert!(wait.goes_on(0, Duration::ZERO));
        assert!(!wait.goes_on(9, WAITED_MAX));
    }

    #[test]
    fn who_is_alone_waits_for_nobody_else() {
        let mut patience = Patience::default();
        // What it says next is what the sync is for.
        assert_eq!(wait(&mut patience, (1, 0), &[1]), Some((1, 1)));
    }
}
