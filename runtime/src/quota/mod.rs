//! What subtrees of actors may use together.
//!
//! A *pool* belongs to an actor and all that descend from it. Pools lie within each other: what a subtree may use is what all
//! pools around it have left. Before a tick, what the actors of the run list may use in it is taken out of their pools
//! in the order of the list, and what they did not use goes back afterwards; so a pool is never overdrawn, and it
//! does not matter who ran first. An actor for which a pool has nothing left *now* waits for the next tick; only an empty
//! pool is an error.

mod pools;

pub use pools::{Contention, UsageSample};
pub(crate) use pools::{Lease, MEMORY_LEASED, Need, PoolId, Pools, Shortage};

use serde::{Deserialize, Serialize};

use crate::portable::portable;

/// What a subtree may use; nothing for as much as it likes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Gas in total. Beyond it, actors end with `GasLimitExceeded`.
    pub gas: Option<u64>,
    /// Gas in a tick. Beyond it, actors wait for the next one.
    pub gas_per_tick: Option<u64>,
    /// Logical bytes of all actors together. Beyond it, the actor that needs more ends with `MemoryLimitExceeded`.
    pub memory_bytes: Option<u64>,
    /// Messages sent in a tick. Beyond it, senders wait for the next one.
    pub messages_per_tick: Option<u64>,
    /// Actors that live at the same time, the owner of the pool aside. Beyond it, `spawn` raises `QuotaExceeded`.
    pub children: Option<u64>,
    /// Calls of the embedder's functions in total. Beyond it, they raise `QuotaExceeded`.
    pub host_calls: Option<u64>,
}

/// What a subtree has used, or uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Gas so far.
    pub gas: u64,
    /// Logical bytes after the last turn of each actor.
    pub memory_bytes: u64,
    /// Messages sent so far.
    pub messages: u64,
    /// Actors that live, the owner of the pool aside.
    pub children: u64,
    /// Calls of the embedder's functions so far.
    pub host_calls: u64,
}

portable!(struct Quota {
    gas, gas_per_tick, memory_bytes, messages_per_tick, children, host_calls
});
portable!(struct Usage { gas, memory_bytes, messages, children, host_calls });
