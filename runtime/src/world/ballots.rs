//! Requests for capabilities that others decide about: voters, or the embedder.

use std::collections::BTreeSet;

use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::CapabilityName;

use super::powers::Decision;
use super::time::Timer;
use super::{Input, World};
use crate::actor::ActorId;
use crate::capability::{AuditResult, Ballot, CapabilityOperation, META_GRANT, Outcome};
use crate::host::Datum;

impl World {
    /// Who votes on a request: the holders of `meta-grant` but the requester.
    pub(super) fn voters(&self, requester: ActorId) -> BTreeSet<ActorId> {
        let now_ms = self.now_ms();
        let holders = self.grants.voters();
        holders
            .filter(|holder| *holder != requester)
            .filter(|holder| {
                let actor = self.actors.get(*holder);
                actor.is_some_and(|actor| actor.body.holdings.holds_plain(META_GRANT, now_ms))
            })
            .collect()
    }

    /// Has others decide about a request: voters, a share of whom in percent, or the embedder.
    pub(super) fn open_ballot(
        &mut self,
        requester: ActorId,
        wait: u64,
        capability: &CapabilityName,
        reason: &str,
        electorate: Option<(BTreeSet<ActorId>, u8)>,
    ) {
        let is_for_embedder = electorate.is_none();
        let (voters, share) = electorate.unwrap_or_default();
        let ballot = Ballot {
            is_for_embedder,
            requester,
            wait,
            capability: capability.clone(),
            reason: reason.to_owned(),
            needed: Ballot::needed(voters.len(), share),
            voters: voters.clone(),
            votes: Default::default(),
            deadline_ms: self.now_ms().saturating_add(self.settings.vote_ms),
        };
        let number = self.ballots.add(ballot);
        let timer = Timer {
            actor: requester,
            wait,
            is_park: false,
        };
        let vote_ms = self.settings.vote_ms;
        self.set_wait_timer(requester, vote_ms, timer);
        self.record_request(requester, capability, AuditResult::Pending, reason);
        let parameter = capability.parameter.as_ref();
        let named = match parameter {
            Some(parameter) => Datum::List(vec![
                Datum::symbol(&capability.name),
                Datum::Opaque(parameter.clone()),
            ]),
            None => Datum::symbol(&capability.name),
        };
        let message = Datum::List(vec![
            Datum::symbol("vote"),
            Datum::Int(number as i64),
            Datum::Actor(requester),
            named,
            Datum::String(reason.to_owned()),
        ]);
        let message = message.pack(&self.code);
        for voter in voters {
            self.tell(voter, message.clone());
        }
    }

    pub(super) fn vote(&mut self, voter: ActorId, request: &Parcel, approve: bool) -> bool {
        let number = match request {
            Parcel::Plain(number) => number
                .as_int()
                .and_then(|number| u64::try_from(number).ok()),
            Parcel::Small(_) | Parcel::Graph(_) => None,
        };
        let Some(number) = number else { return false };
        let Some(ballot) = self.ballots.get_mut(number) else {
            return false;
        };
        if !ballot.vote(voter, approve) {
            return false;
        }
        let (subject, capability) = (ballot.requester, ballot.capability.clone());
        let result = if approve {
            AuditResult::Approved
        } else {
            AuditResult::Rejected
        };
        self.record(&Decision {
            actor: voter,
            subject,
            operation: CapabilityOperation::Vote,
            capability: &capability,
            result,
            reason: "",
        });
        self.count_votes(number);
        true
    }

    /// Ends a ballot whose outcome is known.
    pub(super) fn count_votes(&mut self, number: u64) {
        let outcome = self.ballots.get(number).map(Ballot::outcome);
        match outcome {
            Some(Outcome::Approved) => self.close_ballot(number, true, "voted"),
            Some(Outcome::Denied) => self.close_ballot(number, false, "voted"),
            Some(Outcome::Open) | None => {}
        }
    }

    fn close_ballot(&mut self, number: u64, approved: bool, why: &str) {
        let Some(ballot) = self.ballots.remove(number) else {
            return;
        };
        let result = if approved {
            AuditResult::Approved
        } else {
            AuditResult::Rejected
        };
        let waits = self
            .body(ballot.requester)
            .is_some_and(|body| body.waits == ballot.wait);
        self.record_request(ballot.requester, &ballot.capability, result, why);
        if !waits {
            return;
        }
        if approved {
            let by = ActorId::OUTSIDE;
            self.hold(
                ballot.requester,
                by,
                None,
                ballot.capability,
                (None, None),
                false,
            );
        }
        self.answer_bool(ballot.requester, ballot.wait, approved);
    }

    /// The time to decide about a request is up.
    pub(super) fn ballot_is_late(&mut self, requester: ActorId, wait: u64) {
        if let Some(number) = self.ballots.of_requester(requester, wait) {
            self.close_ballot(number, false, "nobody decided in time");
        }
    }

    /// An actor has ended that may have asked, or may have voted.
    pub(super) fn leave_ballots(&mut self, actor: ActorId, last_wait: u64) {
        if let Some(number) = self.ballots.of_requester(actor, last_wait) {
            self.close_ballot(number, false, "the requester has ended");
        }
        for number in self.ballots.leave(actor) {
            self.count_votes(number);
        }
    }

    /// Requests that wait for the embedder: number, who asks, for what, why.
    pub fn open_requests(&self) -> Vec<(u64, ActorId, String, String)> {
        let open = self.ballots.iter();
        open.filter(|(_, ballot)| ballot.is_for_embedder)
            .map(|(number, ballot)| {
                let capability = self.capability_text(&ballot.capability);
                (number, ballot.requester, capability, ballot.reason.clone())
            })
            .collect()
    }

    /// Whether a request waits for the embedder.
    pub(super) fn has_open_requests(&self) -> bool {
        self.ballots.has_for_embedder()
    }

    /// Decides about a request that waits for the embedder; false when there is none of that number.
    pub fn decide_request(&mut self, number: u64, approve: bool) -> bool {
        self.note(|| Input::Decide { number, approve });
        let ballot = self.ballots.get(number);
        let is_open = ballot.is_some_and(|ballot| ballot.is_for_embedder);
        if is_open {
            self.close_ballot(number, approve, "the embedder decided");
        }
        is_open
    }
}
