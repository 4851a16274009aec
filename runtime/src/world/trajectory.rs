//! The trajectory: a hash of the world after each tick, chained.
//!
//! Two runs with the same trajectory were in the same states all the way. The hash of the actors is a sum of hashes,
//! one an actor, so that a tick costs what it touched and not how many actors there are. Nothing of it is
//! computed unless somebody asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use pw_isa::wire::Writer;

use super::World;
use crate::actor::ActorId;
use crate::portable::{Out, Portable};

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

/// Numbers that are added one by one, modulo 2^64.
type Sum = [u64; 4];

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
    /// A trajectory that begins with a world without actors.
    pub(super) fn new() -> Trajectory {
        Trajectory {
            hash: TrajectoryHash([0; 32]),
            sum: Sum::default(),
            of_actor: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    /// A trajectory that goes on from a world with these actors.
    pub(super) fn going_on(
        hash: [u8; 32],
        actors: impl Iterator<Item = (ActorId, Vec<u8>)>,
    ) -> Trajectory {
        let mut trajectory = Trajectory::new();
        trajectory.hash = TrajectoryHash(hash);
        for (id, state) in actors {
            trajectory.set(id, Some(sum_of(&state)));
        }
        trajectory
    }

    /// An actor is like this now, or has ended.
    fn set(&mut self, id: ActorId, now: Option<Sum>) {
        let before = match now {
            Some(now) => self.of_actor.insert(id, now),
            None => self.of_actor.remove(&id),
        };
        for place in 0..self.sum.len() {
            let added = now.map_or(0, |now| now[place]);
            let gone = before.map_or(0, |before| before[place]);
            self.sum[place] = self.sum[place].wrapping_add(added).wrapping_sub(gone);
        }
    }
}

/// The hash of an actor.
fn sum_of(state: &[u8]) -> Sum {
    let hash = blake3::hash(state);
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    let mut sum = Sum::default();
    for (to, word) in sum.iter_mut().zip(words) {
        *to = u64::from_le_bytes(*word);
    }
    sum
}

impl World {
    /// The hash of all states so far; nothing unless the world was built to know it.
    pub fn trajectory(&self) -> Option<TrajectoryHash> {
        self.trajectory.as_ref().map(|trajectory| trajectory.hash)
    }

    /// A tick is over.
    pub(super) fn note_trajectory(&mut self) {
        let Some(mut trajectory) = self.trajectory.take() else {
            return;
        };
        for id in std::mem::take(&mut trajectory.touched) {
            let now = self.actors.bytes_of(&self.code, id);
            trajectory.set(id, now.as_deref().map(sum_of));
        }
        let mut out = Out {
            code: &self.code,
            to: Writer::default(),
        };
        trajectory.hash.0.put(&mut out);
        self.put_hashed(&mut out);
        trajectory.sum.iter().for_each(|word| out.to.u64(*word));
        trajectory.hash = TrajectoryHash(*blake3::hash(&out.to.bytes).as_bytes());
        self.trajectory = Some(trajectory);
    }
}
