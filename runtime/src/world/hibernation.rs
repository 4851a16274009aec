//! When actors hibernate that wait for long, and what becomes of a world that loses one.
//!
//! After a tick the hand of the table goes on a little (`actor/hibernation.rs`), in proportion to what the tick did, so that no tick gets
//! slow. While a world waits for something from outside, it does so in pauses.
//!
//! When an actor cannot be read any more, whoever needs it finds nobody, and what follows from that is wrong. So from that moment on
//! nothing leaves the world, nothing is noted in its history, and it does no more ticks: who recovers it comes to where it was.

use std::time::{Duration, Instant};

use super::World;
use crate::actor::ActorId;
use crate::checkpoint::RecoveryError;
use crate::hibernation::{HibernationError, HibernationStatistics};

/// Actors that the hand looks at after a tick at most, and for each turn of the tick.
const ACTORS_MAX: usize = 4_096;
const ACTORS_EACH: usize = 2;
/// A pause that counts as a tick.
const PAUSE: Duration = Duration::from_millis(2);

impl World {
    /// What hibernates; nothing for a world whose actors do not.
    pub fn hibernation(&self) -> Option<HibernationStatistics> {
        self.actors.hibernation()
    }

    /// Why an actor that hibernated cannot be brought back, if so: the world is lost, and does no more ticks. One that keeps its history can be
    /// recovered; another can take an earlier state.
    pub fn hibernation_error(&self) -> Option<&HibernationError> {
        self.actors.failure()
    }

    /// Has all actors hibernate that only wait for others, however short they do, and gives their memory back to the machine: how many.
    /// It takes time for each. None where actors do not hibernate.
    pub fn hibernate(&mut self) -> u64 {
        let count = self.actors.hibernate_all();
        self.set_gauges();
        count
    }

    /// Whether it has lost an actor.
    pub(super) fn has_lost_actors(&self) -> bool {
        self.actors.failure().is_some()
    }

    /// That it has lost none.
    pub(super) fn ensure_whole(&self) -> Result<(), String> {
        let failure = self.actors.failure();
        failure.map_or(Ok(()), |error| Err(error.to_string()))
    }

    /// A tick that was done before. Whoever waits for a later one must know if there will be none.
    pub(super) fn repeat_tick(&mut self) -> Result<(), RecoveryError> {
        self.tick();
        self.ensure_whole().map_err(RecoveryError::Lost)
    }

    /// A tick with so many turns is over.
    pub(super) fn hibernate_some(&mut self, turns: usize) {
        let actors_max = (1 + turns * ACTORS_EACH).min(ACTORS_MAX);
        self.actors.go_on_hibernating(1, actors_max, false);
    }

    /// Waits until something has come from outside, or so much time has passed.
    pub(super) fn pause(&mut self, most: Option<Duration>) {
        let start = Instant::now();
        let mut last = start;
        loop {
            let left = most.map(|most| most.saturating_sub(start.elapsed()));
            let is_over = left == Some(Duration::ZERO) || self.outside.has_news();
            let Some(due) = self.actors.hibernation_due().filter(|_| !is_over) else {
                return self.outside.sleep(left);
            };
            let pause = PAUSE * u32::try_from(due).unwrap_or(u32::MAX);
            self.outside
                .sleep(Some(left.map_or(pause, |left| left.min(pause))));
            let passed = last.elapsed().div_duration_f64(PAUSE) as u64;
            last += PAUSE * u32::try_from(passed).unwrap_or(u32::MAX);
            self.actors.go_on_hibernating(passed, ACTORS_MAX, true);
        }
    }

    /// Does something with an actor, which hibernates on if it did and still can.
    pub(super) fn and_back<R>(&mut self, id: ActorId, act: impl FnOnce(&mut World) -> R) -> R {
        let hibernated = self.actors.place_of(id).is_some();
        let done = act(self);
        if hibernated {
            self.actors.send_back(id);
        }
        done
    }
}
