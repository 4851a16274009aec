//! The log of all decisions about capabilities: each entry contains the hash of everything before it, so that none can be
//! changed or left out without that being seen.

use std::collections::VecDeque;

use pw_isa::wire::Writer;

use crate::actor::ActorId;
use crate::portable::portable;

/// What was decided about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum CapabilityOperation {
    /// An actor asked for a capability.
    Request,
    /// A holder, or the embedder, gave a capability.
    Grant,
    /// A holder gave a capability with limits.
    Delegate,
    /// A capability was taken away.
    Revoke,
    /// An actor voted on a request.
    Vote,
    /// An actor wanted to do what it may not.
    Check,
}

/// How it was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum AuditResult {
    /// Yes.
    Granted,
    /// No.
    Denied,
    /// Others decide.
    Pending,
    /// Voters said yes.
    Approved,
    /// Voters said no, or too few voted in time.
    Rejected,
}

/// One decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEntry {
    /// Its number, from 0.
    pub number: u64,
    /// The tick after which it was made.
    pub tick: u64,
    /// Who acted; [`ActorId::OUTSIDE`] for the embedder.
    pub actor: ActorId,
    /// Whom it is about.
    pub subject: ActorId,
    /// What was decided about.
    pub operation: CapabilityOperation,
    /// The capability, as Jue writes it.
    pub capability: String,
    /// How it was decided.
    pub result: AuditResult,
    /// The reason that was given, or why it was refused.
    pub reason: String,
    /// The hash of all entries up to this one.
    pub hash: [u8; 32],
}

/// The most entries that stay in memory.
const ENTRIES_MAX: usize = 65_536;

/// All decisions of a world, in order. The newest entries are kept; the hash tells of all.
#[derive(Clone, Debug, Default)]
pub struct AuditLog {
    entries: VecDeque<AuditEntry>,
    length: u64,
    head: [u8; 32],
}

/// The hash of an entry behind others.
fn chain(before: &[u8; 32], entry: &AuditEntry) -> [u8; 32] {
    let mut out = Writer::default();
    out.bytes.extend_from_slice(before);
    out.varint(entry.number);
    out.varint(entry.tick);
    out.varint(entry.actor.0);
    out.varint(entry.subject.0);
    out.u8(entry.operation as u8);
    out.text(&entry.capability);
    out.u8(entry.result as u8);
    out.text(&entry.reason);
    *blake3::hash(&out.bytes).as_bytes()
}

impl AuditLog {
    /// Adds a decision; its number and hash are set here, as the one that is returned shows.
    pub(crate) fn add(&mut self, mut entry: AuditEntry) -> AuditEntry {
        entry.number = self.length;
        entry.hash = chain(&self.head, &entry);
        self.head = entry.hash;
        self.length += 1;
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry.clone());
        entry
    }

    /// How many decisions there were.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether nothing was decided yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The hash of all decisions.
    pub fn head(&self) -> [u8; 32] {
        self.head
    }

    /// The newest decisions, the oldest of them first.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &AuditEntry> {
        self.entries.iter()
    }

    /// Checks that entries follow each other, beginning behind the hash `before`: the first that does not fit.
    pub fn first_break<'a>(
        before: [u8; 32],
        entries: impl IntoIterator<Item = &'a AuditEntry>,
    ) -> Option<u64> {
        let mut head = before;
        let mut number = None;
        for entry in entries {
            let follows = number.is_none_or(|number: u64| entry.number == number + 1);
            if !follows || chain(&head, entry) != entry.hash {
                return Some(entry.number);
            }
            head = entry.hash;
            number = Some(entry.number);
        }
        None
    }
}

portable!(enum CapabilityOperation {
    0 => Request, 1 => Grant, 2 => Delegate, 3 => Revoke, 4 => Vote, 5 => Check
});
portable!(enum AuditResult { 0 => Granted, 1 => Denied, 2 => Pending, 3 => Approved, 4 => Rejected });
portable!(struct AuditEntry {
    number, tick, actor, subject, operation, capability, result, reason, hash
});
portable!(struct AuditLog { entries, length, head });
