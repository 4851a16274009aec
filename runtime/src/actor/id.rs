//! The address of an actor.

use std::fmt;

use crate::portable::portable;

/// The address of an actor: never used for another one, however long the world lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(pub u64);

impl ActorId {
    /// Nobody: the sender of what comes from outside the world.
    pub const OUTSIDE: ActorId = ActorId(0);
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "actor {}", self.0)
    }
}

/// Numbers that an actor may give its children. Only the boundary between ticks hands them out, so that they
/// do not depend on which actor ran first.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    next: u64,
    left: u32,
    /// How many it held when it was last filled.
    size: u32,
}

impl Lease {
    /// A number, if there is one left.
    pub(crate) fn take(&mut self) -> Option<ActorId> {
        self.left = self.left.checked_sub(1)?;
        let id = ActorId(self.next);
        self.next += 1;
        Some(id)
    }

    /// Fills an empty lease from where the world's numbers go on.
    pub(crate) fn refill(&mut self, next: &mut u64, first: u32, max: u32) {
        debug_assert_eq!(self.left, 0, "it is empty");
        self.size = self.size.saturating_mul(2).clamp(first.max(1), max.max(1));
        self.left = self.size;
        self.next = *next;
        *next += u64::from(self.size);
    }

    /// The numbers that are left: the first, and the one behind the last.
    pub(crate) fn range(&self) -> (u64, u64) {
        (self.next, self.next.saturating_add(u64::from(self.left)))
    }
}

portable!(struct Lease { next, left, size });
