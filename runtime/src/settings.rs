//! Every number of a world that can be chosen, with the value it has when nobody chooses.

use pw_jit::Limits;
use serde::{Deserialize, Serialize};

use crate::message::{MailboxRules, Overflow};
use crate::portable::portable;
use crate::schedule::SchedulingPolicy;

/// How a world is set up. None of it changes while the world runs, except by an input.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorldSettings {
    /// Gas that a tick has for all its actors together: about 2 ms of work.
    pub tick_gas: u64,
    /// The most gas that an actor uses in one tick.
    pub quantum: u64,
    /// The least gas that is reserved for an actor that has a turn.
    pub quantum_min: u64,
    /// In which order the actors of a subtree have their turns.
    pub policy: SchedulingPolicy,
    /// Ticks of waiting that are worth one of the 256 levels of priority; 0 makes all levels equal.
    pub ageing_ticks: u64,
    /// Gas up to which a tick runs on the calling thread: below it waking another costs more than it helps.
    pub alone_gas: u64,
    /// Logical bytes that an actor may hold.
    pub memory_bytes: u64,
    /// Calls that may nest in an actor.
    pub depth: u32,
    /// Messages that a mailbox holds unless its actor says otherwise.
    pub mailbox_messages: u64,
    /// Bytes of messages that a mailbox holds.
    pub mailbox_bytes: u64,
    /// What happens to a message for a full mailbox unless its actor says otherwise.
    pub overflow: Overflow,
    /// Milliseconds after which a request for a capability that nobody has decided about is denied.
    pub vote_ms: u64,
    /// Logical bytes that requests for `resource-extra-memory` draw from.
    pub extra_memory_bytes: u64,
    /// Gas that requests for `resource-extra-time` draw from.
    pub extra_gas: u64,
    /// Milliseconds that a sender waits for room in a mailbox at most.
    pub park_ms: u64,
    /// Calls of the embedder's functions that happen outside at the same time; others wait for their turn.
    pub host_threads_max: usize,
    /// Sessions of clients; beyond them the one that was silent longest expires.
    pub sessions_max: usize,
    /// Topics that an actor may want the events of.
    pub topics_max: usize,
    /// Published events that are remembered, the newest.
    pub events_max: usize,
    /// Messages that actors failed on and that are kept, the newest.
    pub quarantine_max: usize,
    /// The numbers that an actor gets first for its children; each time it needs more it gets twice as many.
    pub lease_first: u32,
    /// The most numbers that it gets at once.
    pub lease_max: u32,
}

impl Default for WorldSettings {
    fn default() -> WorldSettings {
        WorldSettings {
            tick_gas: 2_000_000,
            quantum: 50_000,
            quantum_min: 1_000,
            policy: SchedulingPolicy::default(),
            ageing_ticks: 4,
            alone_gas: 20_000,
            memory_bytes: 1 << 30,
            depth: 1_000_000,
            mailbox_messages: 65_536,
            mailbox_bytes: 16 << 20,
            overflow: Overflow::Refuse,
            vote_ms: 10_000,
            park_ms: 5_000,
            host_threads_max: 64,
            sessions_max: 1_024,
            topics_max: 1_024,
            events_max: 256,
            quarantine_max: 1_024,
            extra_memory_bytes: 0,
            extra_gas: 0,
            lease_first: 8,
            lease_max: 65_536,
        }
    }
}

impl WorldSettings {
    /// Whether a world can run with these: the flaw, if not.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.quantum == 0 || self.quantum_min > self.quantum || self.tick_gas == 0 {
            return Err(format!(
                "turns of {} to {} gas in ticks of {}: turns and ticks need some, and the least is no more than the most",
                self.quantum_min, self.quantum, self.tick_gas
            ));
        }
        Ok(())
    }

    /// The rules of a mailbox whose actor has chosen none.
    pub(crate) fn mailbox_rules(&self) -> MailboxRules {
        MailboxRules {
            messages_max: self.mailbox_messages,
            bytes_max: self.mailbox_bytes,
            overflow: self.overflow,
        }
    }

    /// The limits that an actor begins with.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            memory_bytes: self.memory_bytes,
            depth: self.depth,
            ..Limits::default()
        }
    }
}

portable!(struct WorldSettings {
    policy, ageing_ticks, tick_gas, quantum, quantum_min, alone_gas, memory_bytes, depth, mailbox_messages, mailbox_bytes, overflow, vote_ms,
    extra_memory_bytes, extra_gas, park_ms, host_threads_max, sessions_max, topics_max, events_max, quarantine_max, lease_first,
    lease_max
});
