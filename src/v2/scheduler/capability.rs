//! Capabilities of scheduled actors: the rules of [`crate::v2::capabilities`] applied, and every
//! decision recorded.

use super::{PhysicsError, PhysicsScheduler};
use crate::v2::Capability;
use crate::v2::capabilities::{
    CapAuditEntry, CapDecision, CapDecisionResult, CapOperation, CapRequest, ConsensusVoteResult,
    ExtraPool, Requester, decide, delegation_fault, may_revoke,
};

impl PhysicsScheduler {
    /// Whether an actor holds a capability.
    pub fn actor_has_capability(&self, actor_id: u32, capability: &Capability) -> bool {
        let actor = self.actor(actor_id);
        actor.is_some_and(|actor| actor.capabilities.contains(capability))
    }

    /// Decides on an actor's request.
    pub fn handle_capability_request(
        &mut self,
        requester_id: u32,
        capability: Capability,
        justification: &str,
    ) -> CapDecision {
        let (decision, result) = match self.actor(requester_id) {
            None => {
                let error = CapDecisionResult::Error("Actor not found".to_owned());
                (CapDecision::Denied, error)
            }
            Some(actor) if actor.capabilities.contains(&capability) => {
                (CapDecision::Granted, CapDecisionResult::Granted)
            }
            Some(actor) => {
                let requester = Requester {
                    has_parent: actor.parent_id.is_some(),
                    holds_meta_grant: actor.capabilities.contains(&Capability::MetaGrant),
                    justification,
                };
                let decision = decide(&capability, requester, &mut self.extra_pool);
                self.record_request(requester_id, &capability, justification, decision);
                let result = match decision {
                    CapDecision::Granted => CapDecisionResult::Granted,
                    CapDecision::Denied => CapDecisionResult::Denied,
                    CapDecision::PendingConsensus => CapDecisionResult::ConsensusRequired,
                };
                (decision, result)
            }
        };
        self.audit(
            requester_id,
            CapOperation::Request,
            &capability,
            result,
            justification,
        );
        decision
    }

    fn record_request(
        &mut self,
        requester_id: u32,
        capability: &Capability,
        justification: &str,
        decision: CapDecision,
    ) {
        let requested_at = self.next_request_id;
        let Some(actor) = self.actor_mut(requester_id) else {
            return;
        };
        actor.capability_requests.push(CapRequest {
            capability: capability.clone(),
            justification: justification.to_owned(),
            requested_at,
            granted: match decision {
                CapDecision::Granted => Some(true),
                CapDecision::Denied => Some(false),
                CapDecision::PendingConsensus => None,
            },
        });
        if decision == CapDecision::Granted {
            self.give(requester_id, capability.clone());
        }
    }

    /// Gives a capability and what comes with it.
    fn give(&mut self, actor_id: u32, capability: Capability) {
        let Some(actor) = self.actor_mut(actor_id) else {
            return;
        };
        let (steps, bytes) = &mut actor.own_limits;
        match capability {
            Capability::ResourceExtraTime(amount) => *steps = steps.saturating_add(amount),
            Capability::ResourceExtraMemory(amount) => {
                *bytes = bytes.saturating_add(usize::try_from(amount).unwrap_or(usize::MAX));
            }
            _ => {}
        }
        actor.capabilities.insert(capability);
    }

    fn audit(
        &mut self,
        actor_id: u32,
        operation: CapOperation,
        capability: &Capability,
        result: CapDecisionResult,
        justification: &str,
    ) {
        self.capability_audit_log.push(CapAuditEntry {
            timestamp: self.next_request_id,
            actor_id,
            operation,
            capability: capability.clone(),
            result,
            justification: justification.to_owned(),
        });
        self.next_request_id += 1;
    }

    /// Gives an actor a capability by the embedding program's own power.
    ///
    /// # Errors
    /// When there is no such actor.
    pub fn endow(&mut self, actor_id: u32, capability: Capability) -> Result<(), PhysicsError> {
        self.require(actor_id)?;
        let granted = CapDecisionResult::Granted;
        self.audit(actor_id, CapOperation::Grant, &capability, granted, "");
        self.require_mut(actor_id)?.capabilities.insert(capability);
        Ok(())
    }

    /// Lets an actor give one of its capabilities to another.
    ///
    /// # Errors
    /// When either does not exist, or the rules do not allow it.
    pub fn grant_capability(
        &mut self,
        granter_id: u32,
        target_id: u32,
        capability: Capability,
    ) -> Result<(), PhysicsError> {
        let granter = self.require(granter_id)?;
        let target = self.require(target_id)?;
        let fault = delegation_fault(
            granter.capabilities.contains(&Capability::MetaGrant),
            granter.capabilities.contains(&capability),
            granter.priority,
            target.parent_id == Some(granter_id),
            &capability,
        );
        let operation = CapOperation::Delegate;
        if let Some(fault) = fault {
            let denied = CapDecisionResult::Denied;
            self.audit(target_id, operation, &capability, denied, fault);
            return Err(PhysicsError::CapabilityError(fault.to_owned()));
        }
        self.audit(
            target_id,
            operation,
            &capability,
            CapDecisionResult::Granted,
            "",
        );
        // What was given comes out of no pool: limits stay.
        self.require_mut(target_id)?.capabilities.insert(capability);
        Ok(())
    }

    /// Lets an actor take a capability from another, or from itself.
    ///
    /// # Errors
    /// When either does not exist, or the rules do not allow it.
    pub fn revoke_capability(
        &mut self,
        revoker_id: u32,
        target_id: u32,
        capability: &Capability,
    ) -> Result<(), PhysicsError> {
        let revoker = self.require(revoker_id)?;
        let target = self.require(target_id)?;
        let allowed = may_revoke(
            revoker_id == target_id,
            target.parent_id == Some(revoker_id),
            revoker.capabilities.contains(&Capability::MetaGrant),
            capability,
        );
        let operation = CapOperation::Revoke;
        if !allowed {
            let fault = "Revoker does not have permission to revoke this capability";
            self.audit(
                target_id,
                operation,
                capability,
                CapDecisionResult::Denied,
                fault,
            );
            return Err(PhysicsError::CapabilityError(fault.to_owned()));
        }
        self.audit(
            target_id,
            operation,
            capability,
            CapDecisionResult::Granted,
            "",
        );
        self.require_mut(target_id)?.capabilities.remove(capability);
        Ok(())
    }

    /// Records a vote on a pending request and decides it when enough have voted. Holders of
    /// `MetaGrant` vote, the requester excepted, once each; a later vote replaces an earlier one.
    ///
    /// # Errors
    /// When either does not exist, nothing is pending, or the voter may not vote.
    pub fn handle_consensus_vote(
        &mut self,
        voter_id: u32,
        requester_id: u32,
        capability: &Capability,
        vote: bool,
    ) -> Result<CapDecision, PhysicsError> {
        self.require(voter_id)?;
        let requester = self.require(requester_id)?;
        let pending =
            |request: &CapRequest| request.granted.is_none() && request.capability == *capability;
        if !requester.capability_requests.iter().any(pending) {
            let fault = format!("Actor {requester_id} has no pending request for {capability}");
            return Err(PhysicsError::ConsensusError(fault));
        }
        let electorate = self.electorate(requester_id);
        if !electorate.contains(&voter_id) {
            let fault = format!("Actor {voter_id} may not vote on the request");
            return Err(PhysicsError::ConsensusError(fault));
        }
        let state = self
            .ballots
            .vote(requester_id, capability, voter_id, vote, &electorate);
        let decision = state.decision();
        let result = match (decision, vote) {
            (CapDecision::Granted, _) => CapDecisionResult::ConsensusApproved,
            (CapDecision::Denied, _) => CapDecisionResult::ConsensusDenied,
            (CapDecision::PendingConsensus, true) => CapDecisionResult::Granted,
            (CapDecision::PendingConsensus, false) => CapDecisionResult::Denied,
        };
        self.audit(
            voter_id,
            CapOperation::ConsensusVote,
            capability,
            result,
            "",
        );
        if decision != CapDecision::PendingConsensus {
            self.close_request(requester_id, capability, decision == CapDecision::Granted);
        }
        Ok(decision)
    }

    /// Who may vote on an actor's requests.
    fn electorate(&self, requester_id: u32) -> Vec<u32> {
        let voters = self.actors.iter().filter(|actor| {
            actor.id != requester_id && actor.capabilities.contains(&Capability::MetaGrant)
        });
        voters.map(|actor| actor.id).collect()
    }

    /// The state of the vote on a request, as far as votes were cast.
    pub fn get_consensus_state(
        &self,
        requester_id: u32,
        capability: &Capability,
    ) -> ConsensusVoteResult {
        self.ballots
            .count(requester_id, capability, &self.electorate(requester_id))
    }

    fn close_request(&mut self, requester_id: u32, capability: &Capability, granted: bool) {
        self.ballots.close(requester_id, capability);
        if granted {
            self.give(requester_id, capability.clone());
        }
        let Some(actor) = self.actor_mut(requester_id) else {
            return;
        };
        for request in &mut actor.capability_requests {
            if request.granted.is_none() && request.capability == *capability {
                request.granted = Some(granted);
            }
        }
        if actor.vm.waiting_for() == Some(capability) {
            actor.vm.resolve_capability(granted);
        }
    }

    /// The audit log, the oldest entry first.
    pub fn get_capability_audit_log(&self) -> &[CapAuditEntry] {
        &self.capability_audit_log
    }

    /// Empties the audit log; the numbers of its entries go on.
    pub fn clear_capability_audit_log(&mut self) {
        self.capability_audit_log.clear();
    }

    /// What is left to be granted as extra memory and time.
    pub fn extra_pool(&self) -> ExtraPool {
        self.extra_pool
    }

    /// Sets what can be granted as extra memory and time.
    pub fn set_extra_pool(&mut self, pool: ExtraPool) {
        self.extra_pool = pool;
    }
}
