//! Who may hold which capability: the rules, without the actors that they are applied to.
//!
//! | capability | granted to |
//! |---|---|
//! | `MacroHygienic`, `ComptimeEval`, `IoReadSensor`, `IoWriteActuator`, `IoPersist`, `SysCreateActor`, `SysClock` | anyone |
//! | `IoNetwork` | whoever says why |
//! | `MetaSelfModify` | actors with a parent |
//! | `MacroUnsafe` | holders of `MetaGrant` |
//! | `MetaGrant`, `SysTerminateActor` | whoever wins a vote |
//! | `ResourceExtraMemory`, `ResourceExtraTime` | anyone, while the pool lasts |

use std::collections::BTreeMap;

use super::Capability;

/// What is decided on a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapDecision {
    /// The actor now holds the capability.
    Granted,
    /// It does not.
    Denied,
    /// The holders of `MetaGrant` have to vote.
    PendingConsensus,
}

/// What was done with a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapOperation {
    /// An actor asked for it.
    Request,
    /// The embedding program gave it.
    Grant,
    /// It was taken away.
    Revoke,
    /// An actor asked whether it holds it; asking decides nothing, so it is not recorded.
    Check,
    /// Another actor gave it.
    Delegate,
    /// An actor voted on a request.
    ConsensusVote,
}

/// How that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CapDecisionResult {
    /// It was granted, or the vote was for it.
    Granted,
    /// It was refused, or the vote was against it.
    Denied,
    /// Nothing is decided yet.
    Pending,
    /// It could not be decided.
    Error(String),
    /// A vote decides.
    ConsensusRequired,
    /// The vote was won with this entry.
    ConsensusApproved,
    /// The vote was lost with this entry.
    ConsensusDenied,
}

/// An entry of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapAuditEntry {
    /// The number of the entry.
    pub timestamp: u64,
    /// The actor that asked, voted, received or lost.
    pub actor_id: u32,
    /// What was done.
    pub operation: CapOperation,
    /// With which capability.
    pub capability: Capability,
    /// How it ended.
    pub result: CapDecisionResult,
    /// Why, as the actor put it; empty for everything but requests.
    pub justification: String,
}

/// A request that an actor made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapRequest {
    /// For which capability.
    pub capability: Capability,
    /// Why.
    pub justification: String,
    /// The number of its audit entry.
    pub requested_at: u64,
    /// The decision, once there is one.
    pub granted: Option<bool>,
}

/// The state of a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsensusVoteResult {
    /// Votes for the request.
    pub approve: u32,
    /// Votes against it.
    pub deny: u32,
    /// Those who have not voted.
    pub abstain: u32,
    /// Those who may vote.
    pub total: u32,
}

impl ConsensusVoteResult {
    /// The decision: three quarters of those who may vote for it, or more than half against it.
    pub fn decision(&self) -> CapDecision {
        let needed = (3 * u64::from(self.total)).div_ceil(4).max(1);
        if u64::from(self.approve) >= needed {
            CapDecision::Granted
        } else if u64::from(self.deny) * 2 > u64::from(self.total) {
            CapDecision::Denied
        } else {
            CapDecision::PendingConsensus
        }
    }
}

/// What the rules need to know of an actor that asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requester<'a> {
    pub(crate) has_parent: bool,
    pub(crate) holds_meta_grant: bool,
    pub(crate) justification: &'a str,
}

/// What extra resources are taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtraPool {
    /// Bytes left.
    pub memory_bytes: u64,
    /// Steps left.
    pub steps: u64,
}

impl Default for ExtraPool {
    /// 64 MiB and 100 million steps.
    fn default() -> ExtraPool {
        ExtraPool {
            memory_bytes: 64 << 20,
            steps: 100_000_000,
        }
    }
}

/// Decides a request; what is granted from the pool is gone from it.
pub(crate) fn decide(
    capability: &Capability,
    requester: Requester<'_>,
    pool: &mut ExtraPool,
) -> CapDecision {
    let granted = match capability {
        Capability::MetaGrant | Capability::SysTerminateActor => {
            return CapDecision::PendingConsensus;
        }
        Capability::MetaSelfModify => requester.has_parent,
        Capability::MacroUnsafe => requester.holds_meta_grant,
        Capability::IoNetwork => !requester.justification.is_empty(),
        Capability::ResourceExtraMemory(amount) => take(&mut pool.memory_bytes, *amount),
        Capability::ResourceExtraTime(amount) => take(&mut pool.steps, *amount),
        Capability::MacroHygienic
        | Capability::ComptimeEval
        | Capability::IoReadSensor
        | Capability::IoWriteActuator
        | Capability::IoPersist
        | Capability::SysCreateActor
        | Capability::SysClock => true,
    };
    if granted {
        CapDecision::Granted
    } else {
        CapDecision::Denied
    }
}

fn take(left: &mut u64, amount: u64) -> bool {
    let rest = left.checked_sub(amount);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// Why an actor may not give a capability to another; `None` when it may.
pub(crate) fn delegation_fault(
    holds_meta_grant: bool,
    holds_capability: bool,
    priority: u8,
    to_child: bool,
    capability: &Capability,
) -> Option<&'static str> {
    if !holds_meta_grant {
        return Some("Granter does not have MetaGrant capability");
    }
    if !holds_capability {
        return Some("Granter does not have the capability to delegate");
    }
    let may = match capability {
        Capability::MetaGrant => to_child || priority > 200,
        Capability::SysTerminateActor | Capability::MacroUnsafe | Capability::MetaSelfModify => {
            to_child
        }
        _ => true,
    };
    (!may).then_some("Granter cannot delegate this capability")
}

/// Whether an actor may take a capability from another: from itself and its children always, from
/// others when it holds `MetaGrant`, which itself only a parent can take.
pub(crate) fn may_revoke(
    from_self: bool,
    from_child: bool,
    holds_meta_grant: bool,
    capability: &Capability,
) -> bool {
    from_self || from_child || holds_meta_grant && *capability != Capability::MetaGrant
}

/// The votes on open requests: one for each voter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ballots {
    votes: BTreeMap<(u32, Capability), BTreeMap<u32, bool>>,
}

impl Ballots {
    /// Records a vote; a voter's later vote replaces the earlier one. `electorate` are those who may
    /// vote now: votes of others no longer count.
    pub(crate) fn vote(
        &mut self,
        requester: u32,
        capability: &Capability,
        voter: u32,
        approve: bool,
        electorate: &[u32],
    ) -> ConsensusVoteResult {
        let votes = self
            .votes
            .entry((requester, capability.clone()))
            .or_default();
        votes.insert(voter, approve);
        self.count(requester, capability, electorate)
    }

    /// The votes so far of those who may vote now.
    pub(crate) fn count(
        &self,
        requester: u32,
        capability: &Capability,
        electorate: &[u32],
    ) -> ConsensusVoteResult {
        let none = BTreeMap::new();
        let votes = self
            .votes
            .get(&(requester, capability.clone()))
            .unwrap_or(&none);
        let count = |wanted: bool| {
            let counted = electorate
                .iter()
                .filter(|voter| votes.get(voter) == Some(&wanted));
            counted.count() as u32
        };
        let (approve, deny) = (count(true), count(false));
        let total = electorate.len() as u32;
        ConsensusVoteResult {
            approve,
            deny,
            abstain: total - approve - deny,
            total,
        }
    }

    /// Forgets the votes on a request that is decided.
    pub(crate) fn close(&mut self, requester: u32, capability: &Capability) {
        self.votes.remove(&(requester, capability.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Requester<'_> = Requester {
        has_parent: false,
        holds_meta_grant: false,
        justification: "",
    };

    #[test]
    fn requests_are_decided_by_the_table() {
        let mut pool = ExtraPool {
            memory_bytes: 100,
            steps: 0,
        };
        let mut decide =
            |capability: &Capability, requester| decide(capability, requester, &mut pool);
        for capability in [
            Capability::MacroHygienic,
            Capability::ComptimeEval,
            Capability::IoReadSensor,
            Capability::IoWriteActuator,
            Capability::IoPersist,
            Capability::SysCreateActor,
            Capability::SysClock,
            Capability::ResourceExtraMemory(60),
        ] {
            assert_eq!(
                decide(&capability, NOBODY),
                CapDecision::Granted,
                "{capability}"
            );
        }
        for capability in [
            Capability::MetaSelfModify,
            Capability::MacroUnsafe,
            Capability::IoNetwork,
            Capability::ResourceExtraMemory(60),
            Capability::ResourceExtraTime(1),
        ] {
            assert_eq!(
                decide(&capability, NOBODY),
                CapDecision::Denied,
                "{capability}"
            );
        }
        for capability in [Capability::MetaGrant, Capability::SysTerminateActor] {
            assert_eq!(decide(&capability, NOBODY), CapDecision::PendingConsensus);
        }
        let child = Requester {
            has_parent: true,
            ..NOBODY
        };
        let granter = Requester {
            holds_meta_grant: true,
            ..NOBODY
        };
        let talker = Requester {
            justification: "to fetch",
            ..NOBODY
        };
        assert_eq!(
            decide(&Capability::MetaSelfModify, child),
            CapDecision::Granted
        );
        assert_eq!(
            decide(&Capability::MacroUnsafe, granter),
            CapDecision::Granted
        );
        assert_eq!(decide(&Capability::IoNetwork, talker), CapDecision::Granted);
        assert_eq!(
            decide(&Capability::ResourceExtraMemory(40), NOBODY),
            CapDecision::Granted
        );
    }

    #[test]
    fn dangerous_capabilities_go_to_children_only() {
        let fault = |priority, to_child, capability| {
            delegation_fault(true, true, priority, to_child, &capability)
        };
        assert_eq!(fault(128, false, Capability::SysClock), None);
        assert_eq!(fault(128, true, Capability::MacroUnsafe), None);
        assert!(fault(255, false, Capability::MacroUnsafe).is_some());
        assert!(fault(200, false, Capability::MetaGrant).is_some());
        assert_eq!(fault(201, false, Capability::MetaGrant), None);
        let clock = Capability::SysClock;
        let without = delegation_fault(false, true, 0, true, &clock);
        assert_eq!(without, Some("Granter does not have MetaGrant capability"));
        let unheld = delegation_fault(true, false, 0, true, &clock);
        assert_eq!(
            unheld,
            Some("Granter does not have the capability to delegate")
        );
    }

    #[test]
    fn revoking_needs_a_reason() {
        let clock = Capability::SysClock;
        assert!(may_revoke(true, false, false, &clock));
        assert!(may_revoke(false, true, false, &Capability::MetaGrant));
        assert!(may_revoke(false, false, true, &clock));
        assert!(!may_revoke(false, false, true, &Capability::MetaGrant));
        assert!(!may_revoke(false, false, false, &clock));
    }

    #[test]
    fn three_quarters_must_approve_and_a_majority_can_refuse() {
        let state = |approve, deny, total| {
            ConsensusVoteResult {
                approve,
                deny,
                abstain: 0,
                total,
            }
            .decision()
        };
        assert_eq!(state(0, 0, 0), CapDecision::PendingConsensus);
        assert_eq!(state(1, 0, 1), CapDecision::Granted);
        assert_eq!(state(2, 0, 3), CapDecision::PendingConsensus);
        assert_eq!(state(3, 0, 4), CapDecision::Granted);
        assert_eq!(state(0, 2, 4), CapDecision::PendingConsensus);
        assert_eq!(state(0, 3, 4), CapDecision::Denied);
    }

    #[test]
    fn a_voter_counts_once_and_only_while_it_may_vote() {
        let mut ballots = Ballots::default();
        let clock = Capability::SysClock;
        let electorate = [2, 3, 4];
        ballots.vote(1, &clock, 2, false, &electorate);
        let state = ballots.vote(1, &clock, 2, true, &electorate);
        assert_eq!((state.approve, state.deny, state.abstain), (1, 0, 2));
        let state = ballots.vote(1, &clock, 3, true, &[3]);
        assert_eq!((state.approve, state.total), (1, 1));
        ballots.close(1, &clock);
        let state = ballots.vote(1, &clock, 4, true, &electorate);
        assert_eq!(state.approve, 1);
    }
}
