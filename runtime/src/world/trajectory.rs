//! The trajectory: a hash of the world after each tick, chained.
//!
//! Two runs with the same trajectory were in the same states all the way. The hash of the actors is a sum of hashes,
//! one an actor, and that of the timers is one of theirs, so that a tick costs what it touched and not how many there are.
//! Nothing of it is computed unless somebody asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pw_isa::wire::Writer;

use super::World;
use crate::actor::ActorId;
use crate::portable::{Portable, written};

/// The hash of all states of a world so far.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrajectoryHash(pub [u8; 32]);

impl fmt::Display for TrajectoryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TrajectoryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrajectoryHash({self})")
    }
}

/// A sum of hashes: numbers that are added one by one, modulo 2^64. Their order does not matter, and what is gone is taken out again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    /// The hash of something.
    pub(super) fn of(bytes: &[u8]) -> Sum {
        let hash = blake3::hash(bytes);
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        let mut sum = Sum::default();
        for (to, word) in sum.0.iter_mut().zip(words) {
            *to = u64::from_le_bytes(*word);
        }
        sum
    }

    /// Adds what has come.
    pub(super) fn add(&mut self, other: Sum) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = word.wrapping_add(other);
        }
    }

    /// Takes out what is gone.
    pub(super) fn take_out(&mut self, other: Sum) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = word.wrapping_sub(other);
        }
    }

    /// Writes it.
    pub(super) fn write(self, out: &mut Writer) {
        self.0.iter().for_each(|word| out.u64(*word));
    }
}

/// What is kept to know the trajectory.
#[derive(Debug)]
pub(super) struct Trajectory {
    hash: TrajectoryHash,
    /// Of all actors.
    sum: Sum,
    /// Of each actor, as it was added.
    of_actor: BTreeMap<ActorId, Sum>,
    /// Actors that may have changed since.
    pub(super) touched: BTreeSet<ActorId>,
}

impl Trajectory {
    /// A trajectory that goes on from a world with these actors.
    fn going_on(hash: [u8; 32], actors: impl Iterator<Item = (ActorId, Vec<u8>)>) -> Trajectory {
        let mut trajectory = Trajectory {
            hash: TrajectoryHash(hash),
            sum: Sum::default(),
            of_actor: BTreeMap::new(),
            touched: BTreeSet::new(),
        };
        for (id, state) in actors {
            trajectory.set(id, Some(Sum::of(&state)));
        }
        trajectory
    }

    /// An actor is like this now, or has ended.
    fn set(&mut self, id: ActorId, now: Option<Sum>) {
        let before = match now {
            Some(now) => self.of_actor.insert(id, now),
            None => self.of_actor.remove(&id),
        };
        self.sum.add(now.unwrap_or_default());
        self.sum.take_out(before.unwrap_or_default());
    }
}

impl World {
    /// The hash of all states so far; nothing unless the world was built to know it.
    pub fn trajectory(&self) -> Option<TrajectoryHash> {
        self.trajectory.as_ref().map(|trajectory| trajectory.hash)
    }

    /// From now on the trajectory is known, which has this hash so far.
    pub(super) fn begin_trajectory(&mut self, hash: [u8; 32]) {
        self.clock.begin_sum();
        let actors = self.actors.states(&self.code);
        self.trajectory = Some(Trajectory::going_on(hash, actors));
    }

    /// A tick is over.
    #[inline(never)]
    pub(super) fn note_trajectory(&mut self) {
        let Some(mut trajectory) = self.trajectory.take() else {
            return;
        };
        for id in std::mem::take(&mut trajectory.touched) {
            let now = self.actors.bytes_of(&self.code, id);
            trajectory.set(id, now.as_deref().map(Sum::of));
        }
        let hashed = written(&self.code, |out| {
            trajectory.hash.0.put(out);
            self.put_hashed(out);
            trajectory.sum.write(out.to);
        });
        trajectory.hash = TrajectoryHash(*blake3::hash(&hashed).as_bytes());
        self.trajectory = Some(trajectory);
    }
}
