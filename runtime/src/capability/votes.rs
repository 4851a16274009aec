//! Requests that wait for a decision: of voters, or of the embedder.

use std::collections::{BTreeMap, BTreeSet};

use pw_isa::wire::Decoded;
use pw_jit::host::CapabilityName;

use crate::actor::ActorId;
use crate::portable::{In, Out, Portable, portable};

/// A request that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ballot {
    pub(crate) requester: ActorId,
    /// The requester's wait.
    pub(crate) wait: u64,
    pub(crate) capability: CapabilityName,
    pub(crate) reason: String,
    /// Whether the embedder decides.
    pub(crate) is_for_embedder: bool,
    /// Who may vote.
    pub(crate) voters: BTreeSet<ActorId>,
    /// Approvals that it needs.
    pub(crate) needed: u64,
    pub(crate) votes: BTreeMap<ActorId, bool>,
    /// When it is denied if it is still open, in world time.
    pub(crate) deadline_ms: u64,
}

/// What votes have come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Approved,
    Denied,
    Open,
}

impl Ballot {
    /// The share of voters, in percent, as a number of them: at least one.
    pub(crate) fn needed(voters: usize, share: u8) -> u64 {
        (voters as u64 * u64::from(share)).div_ceil(100).max(1)
    }

    /// Counts a vote; false when the actor may not vote, or has voted.
    pub(crate) fn vote(&mut self, voter: ActorId, approve: bool) -> bool {
        if !self.voters.contains(&voter) || self.votes.contains_key(&voter) {
            return false;
        }
        self.votes.insert(voter, approve);
        true
    }

    /// An actor cannot vote any more; its vote, if it has voted, stays.
    fn leave(&mut self, voter: ActorId) {
        if !self.votes.contains_key(&voter) {
            self.voters.remove(&voter);
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let approvals = self.votes.values().filter(|vote| **vote).count() as u64;
        let open = (self.voters.len() - self.votes.len()) as u64;
        if approvals >= self.needed {
            Outcome::Approved
        } else if approvals + open < self.needed {
            Outcome::Denied
        } else {
            Outcome::Open
        }
    }
}

/// All requests that wait for a decision, by number.
#[derive(Debug, Default)]
pub(crate) struct Ballots {
    made: u64,
    open: BTreeMap<u64, Ballot>,
    /// Ballots by those who may vote in them, and by those who wait for them.
    of_voter: BTreeSet<(ActorId, u64)>,
    of_requester: BTreeMap<ActorId, u64>,
    /// How many wait for the embedder.
    for_embedder: usize,
}

impl Ballots {
    /// A new one; its number.
    pub(crate) fn add(&mut self, ballot: Ballot) -> u64 {
        self.made += 1;
        self.insert(self.made, ballot);
        self.made
    }

    /// It is decided.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Ballot> {
        let ballot = self.open.remove(&number)?;
        for voter in &ballot.voters {
            self.of_voter.remove(&(*voter, number));
        }
        if self.of_requester.get(&ballot.requester) == Some(&number) {
            self.of_requester.remove(&ballot.requester);
        }
        self.for_embedder -= usize::from(ballot.is_for_embedder);
        Some(ballot)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Ballot> {
        self.open.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Ballot> {
        self.open.get_mut(&number)
    }

    /// The one that an actor waits for, since this wait.
    pub(crate) fn of_requester(&self, requester: ActorId, wait: u64) -> Option<u64> {
        let number = *self.of_requester.get(&requester)?;
        (self.open.get(&number)?.wait == wait).then_some(number)
    }

    /// Whether any waits for the embedder.
    pub(crate) fn has_for_embedder(&self) -> bool {
        self.for_embedder > 0
    }

    /// All of them, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Ballot)> {
        self.open.iter().map(|(number, ballot)| (*number, ballot))
    }

    /// An actor cannot vote any more; its votes stay. The ballots whose outcome may be another now.
    pub(crate) fn leave(&mut self, voter: ActorId) -> Vec<u64> {
        let of_voter = self.of_voter.range((voter, 0)..=(voter, u64::MAX));
        let numbers: Vec<u64> = of_voter.map(|(_, number)| *number).collect();
        for number in &numbers {
            if let Some(ballot) = self.open.get_mut(number) {
                ballot.leave(voter);
            }
            self.of_voter.remove(&(voter, *number));
        }
        numbers
    }

    /// Whether numbers are as they are given: the flaw, if not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let last = self.open.keys().next_back().copied().unwrap_or(0);
        if last > self.made || self.of_requester.len() != self.open.len() {
            return Err(format!(
                "{} requests were made, the last is {last}",
                self.made
            ));
        }
        Ok(())
    }

    /// Adds one that has its number.
    fn insert(&mut self, number: u64, ballot: Ballot) {
        let voters = ballot.voters.iter();
        self.of_voter.extend(voters.map(|voter| (*voter, number)));
        self.of_requester.insert(ballot.requester, number);
        self.for_embedder += usize::from(ballot.is_for_embedder);
        self.open.insert(number, ballot);
    }
}

portable!(struct Ballot {
    requester, wait, capability, reason, is_for_embedder, voters, needed, votes, deadline_ms
});

impl Portable for Ballots {
    fn put(&self, out: &mut Out<'_>) {
        self.made.put(out);
        self.open.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Ballots> {
        let mut ballots = Ballots {
            made: u64::get(input)?,
            ..Ballots::default()
        };
        for (number, ballot) in <BTreeMap<u64, Ballot> as Portable>::get(input)? {
            if !ballot
                .votes
                .keys()
                .all(|voter| ballot.voters.contains(voter))
            {
                return Err(input.from.error("a vote of who may not vote"));
            }
            ballots.insert(number, ballot);
        }
        Ok(ballots)
    }
}
