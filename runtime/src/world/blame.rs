//! Which inputs led to an anomaly. The world tries: it does its history again without some of them, and looks whether it comes to one again.
//!
//! With all inputs it does, without any of the last so many it does not; so there is one among these before which the world is well without
//! those behind, and ill with it: halving finds it in a few tries. It is blamed, and if the world is ill without it, too, the next one is
//! looked for in the same way. How far back the search begins grows until it is enough. So nothing is left out that does not
//! matter, and the same history always gives the same answer.

use std::sync::Arc;

use super::course::load_course;
use super::history::History;
use super::policy::can_be_blamed;
use super::rollback::{Calls, First, Past, see_records};
use super::{Blame, RollbackPolicy, World};
use crate::checkpoint::{RecoveryError, SystemCheckpoint};
use crate::disk::Disk;
use crate::monitor::Monitoring;

/// Inputs among which the one to blame is looked for first, and how many times more there are each time that these are not enough.
const RECENT: usize = 8;
const MORE: usize = 8;

/// An input that may be to blame.
#[derive(Clone, Copy)]
struct Suspicious {
    number: u64,
    tick: u64,
    session: Option<u64>,
}

/// A state of the past, from which on a world tries what comes of its inputs.
struct Trial {
    past: Past,
    state: SystemCheckpoint,
    monitoring: Monitoring,
    calls: Calls,
}

impl Trial {
    /// A world goes back to before an input, and is watched since so many ticks before.
    fn begin(
        world: &mut World,
        disk: &Arc<dyn Disk>,
        monitoring: &Monitoring,
        (before, ticks_max): (Suspicious, u64),
    ) -> Result<Trial, RecoveryError> {
        let (mut loaded, journal, course) =
            load_course(&**disk, world.pool.threads(), ticks_max, before.number)?;
        world.history = History::repeated(u64::MAX, Vec::new());
        world.take_loaded(&mut loaded, &**disk)?;
        let mut past = Past {
            disk: Arc::clone(disk),
            journal,
            course,
            from: before.number,
            ticks_max: u64::MAX,
        };
        past.course.unwitness(before.number);
        world.monitoring = Some(Box::new(monitoring.trial(world)));
        past.begin(world)?;
        let Some(watched) = world.monitoring.clone() else {
            unreachable!("the world is watched")
        };
        Ok(Trial {
            past,
            state: world.to_checkpoint(),
            monitoring: *watched,
            calls: Calls::new(),
        })
    }

    /// Whether the world is ill with all inputs, as it was.
    fn is_ill(&mut self, world: &mut World) -> Result<bool, RecoveryError> {
        world.going_back.wanted = None;
        self.calls = self.past.with_all(world)?.0;
        Ok(world.going_back.wanted.take().is_some())
    }

    /// Whether it is ill without some.
    fn is_ill_without(&self, world: &mut World, without: &[u64]) -> Result<bool, RecoveryError> {
        world.become_again(&self.state)?;
        world.monitoring = Some(Box::new(self.monitoring.clone()));
        world.going_back.wanted = None;
        self.past.with_all_but(world, without, &self.calls)?;
        Ok(world.going_back.wanted.take().is_some())
    }

    /// Finds those among some inputs without which the world is well, as it is without any of them.
    fn find(
        &self,
        world: &mut World,
        recent: &[Suspicious],
        policy: RollbackPolicy,
    ) -> Result<Vec<u64>, RecoveryError> {
        let mut without = Vec::new();
        for _ in 0..policy.inputs_max {
            // Without those from the first place on the world is well, without those from the second on it is ill.
            let (mut well, mut ill) = (0, recent.len());
            while ill - well > 1 {
                let middle = well + (ill - well) / 2;
                let behind = recent[middle..].iter().map(|input| input.number);
                let all = sorted(without.iter().copied().chain(behind));
                if self.is_ill_without(world, &all)? {
                    ill = middle;
                } else {
                    well = middle;
                }
            }
            let blamed = recent[well];
            let of_session = |input: &&Suspicious| {
                let is_same = input.session.is_some() && input.session == blamed.session;
                is_same && policy.blames == Blame::Session
            };
            let others = recent[well..].iter().filter(of_session);
            let others = others.map(|input| input.number).chain([blamed.number]);
            without = sorted(without.into_iter().chain(others));
            if !self.is_ill_without(world, &without)? {
                return Ok(without);
            }
        }
        Err(RecoveryError::NoRollback(format!(
            "more than {} inputs are to blame",
            policy.inputs_max
        )))
    }
}

fn sorted(numbers: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

impl World {
    /// Finds what is to be left out so that the world does not come to an anomaly again. Its state is another one then.
    pub(super) fn find_blamed(
        &mut self,
        disk: &Arc<dyn Disk>,
        policy: RollbackPolicy,
        monitoring: &Monitoring,
    ) -> Result<First, RecoveryError> {
        let (oldest, suspicious) = suspicious_of(disk, self.pool.threads())?;
        let memory = monitoring.memory_ticks();
        let mut count = RECENT;
        loop {
            let first = suspicious.len().saturating_sub(count);
            let recent = &suspicious[first..];
            let Some(before) = recent.first() else {
                return Err(nothing(oldest));
            };
            let ticks_max = before.tick.saturating_sub(memory).max(oldest);
            let mut trial = Trial::begin(self, disk, monitoring, (*before, ticks_max))?;
            let all = sorted(recent.iter().map(|input| input.number));
            if trial.is_ill(self)? && !trial.is_ill_without(self, &all)? {
                let without = trial.find(self, recent, policy)?;
                if self.actor_count() == 0 {
                    return Err(RecoveryError::NoRollback(format!(
                        "without input {} nobody would be left",
                        without[0]
                    )));
                }
                return Ok(First {
                    record: without[0],
                    without,
                });
            }
            if first == 0 {
                return Err(nothing(oldest));
            }
            count = count.saturating_mul(MORE);
        }
    }
}

fn nothing(oldest: u64) -> RecoveryError {
    RecoveryError::NoRollback(format!(
        "nothing that was said since tick {oldest}, where the history begins, is to blame"
    ))
}

/// Ticks of the oldest state of a history, and what was said since and was not left out.
fn suspicious_of(
    disk: &Arc<dyn Disk>,
    threads: usize,
) -> Result<(u64, Vec<Suspicious>), RecoveryError> {
    let mut all = Vec::new();
    let (oldest, _) = see_records(disk, threads, |number, tick, input| {
        let said = input.filter(|input| can_be_blamed(input));
        all.extend(said.map(|input| Suspicious {
            number,
            tick,
            session: input.session(),
        }));
        Ok(())
    })?;
    Ok((oldest, all))
}
