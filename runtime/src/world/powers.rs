//! Decisions about capabilities, made between ticks in canonical order.

use std::collections::BTreeSet;

use pw_isa::ErrorKind;
use pw_jit::Value;
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::host::{CapabilityName, Kept};
use pw_jit::text::{Style, value_text_within};

use super::{Input, World, WorldEvent};
use crate::actor::{ActorId, ActorRef, CapabilityDeed, Due, Gift, Status, Wait};
use crate::capability::{
    AuditEntry, AuditResult, CapabilityOperation, CapabilityRule, FOR_CHILDREN_ONLY, Grant,
    GrantId, Holding, META_GRANT, RESOURCE_EXTRA_MEMORY, RESOURCE_EXTRA_TIME,
};

/// The longest text of a capability in the log, in bytes.
const TEXT_BYTES: usize = 200;
/// Characters of a reason that stay in the log.
const REASON_MAX: usize = 500;
/// The most grants that one actor may have been given.
const GRANTS_MAX: usize = 1024;

/// Why a request or gift is refused in a sandbox.
const NOT_KEPT: &str = "the sandbox does not keep it";

/// A decision, for the log.
pub(super) struct Decision<'a> {
    pub(super) actor: ActorId,
    pub(super) subject: ActorId,
    pub(super) operation: CapabilityOperation,
    pub(super) capability: &'a CapabilityName,
    pub(super) result: AuditResult,
    pub(super) reason: &'a str,
}

impl World {
    /// Carries out what an actor wanted to do with capabilities, in a sandbox that kept these or outside of any; it waits
    /// for the answer.
    pub(super) fn capability_deed(
        &mut self,
        from: ActorId,
        wait: u64,
        deed: CapabilityDeed,
        kept: Option<&Kept>,
    ) {
        match deed {
            CapabilityDeed::Request { capability, .. } if !Kept::allows(kept, &capability) => {
                self.record_request(from, &capability, AuditResult::Denied, NOT_KEPT);
                self.answer_bool(from, wait, false);
            }
            CapabilityDeed::Request { capability, reason } => {
                if let Some(answer) = self.decide(from, wait, &capability, &reason) {
                    self.answer_bool(from, wait, answer);
                }
            }
            CapabilityDeed::Give(gift) => {
                if gift.to != from && !self.actors.contains(gift.to) {
                    return self.answer_ended(from, wait, gift.to);
                }
                let answer = self.give(from, &gift, kept);
                self.answer_bool(from, wait, answer);
            }
            CapabilityDeed::Revoke { of, capability } => {
                if of != from && !self.actors.contains(of) {
                    return self.answer_ended(from, wait, of);
                }
                let answer = self.revoke(from, of, &capability, kept);
                self.answer_bool(from, wait, answer);
            }
            CapabilityDeed::Vote { request, approve } => {
                let may_vote = Kept::allows_plain(kept, META_GRANT);
                let answer = may_vote && self.vote(from, &request, approve);
                self.answer_bool(from, wait, answer);
            }
        }
    }

    pub(super) fn answer_bool(&mut self, actor: ActorId, wait: u64, answer: bool) {
        if self.body(actor).is_some_and(|body| body.waits == wait) {
            let answer = Parcel::Plain(Value::bool(answer));
            self.wake(actor, Due::Answer(Box::new(Ok(answer))));
        }
    }

    fn answer_ended(&mut self, actor: ActorId, wait: u64, ended: ActorId) {
        if self.body(actor).is_some_and(|body| body.waits == wait) {
            let error = (ErrorKind::ActorEnded, format!("there is no actor {ended}"));
            self.wake(actor, Due::Answer(Box::new(Err(error))));
        }
    }

    pub(super) fn record(&mut self, decision: &Decision<'_>) {
        let entry = AuditEntry {
            number: 0,
            tick: self.tick,
            actor: decision.actor,
            subject: decision.subject,
            operation: decision.operation,
            capability: self.capability_text(decision.capability),
            result: decision.result,
            reason: decision.reason.chars().take(REASON_MAX).collect(),
            hash: [0; 32],
        };
        let entry = self.audit.add(entry);
        if self.is_observed() {
            self.tell_event(&WorldEvent::Decided(&entry));
        }
    }

    pub(super) fn capability_text(&self, capability: &CapabilityName) -> String {
        let Some(parameter) = &capability.parameter else {
            return capability.name.clone();
        };
        let mut arena = Arena::new();
        let value = parameter.unpack(&self.code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code: &self.code,
        };
        let text = value_text_within(heap, value, Style::Quoted, TEXT_BYTES);
        format!("({} {text})", capability.name)
    }

    /// Decides about a request; nothing when others do.
    fn decide(
        &mut self,
        from: ActorId,
        wait: u64,
        capability: &CapabilityName,
        reason: &str,
    ) -> Option<bool> {
        let rule = self.rules.of(&capability.name);
        let parent = self.body(from)?.parent;
        let granted = match rule {
            CapabilityRule::Anybody => true,
            CapabilityRule::Nobody => false,
            CapabilityRule::WithParent => parent != ActorId::OUTSIDE,
            CapabilityRule::WithReason => !reason.is_empty(),
            CapabilityRule::Pool => self.draw_from_pool(from, capability),
            CapabilityRule::Vote(share) => {
                let voters = self.voters(from);
                if voters.is_empty() {
                    false
                } else {
                    let electorate = Some((voters, share));
                    self.open_ballot(from, wait, capability, reason, electorate);
                    return None;
                }
            }
            CapabilityRule::Embedder => {
                self.open_ballot(from, wait, capability, reason, None);
                return None;
            }
        };
        let granted = granted && self.grants.of_holder(from).len() < GRANTS_MAX;
        let result = if granted {
            AuditResult::Granted
        } else {
            AuditResult::Denied
        };
        self.record_request(from, capability, result, reason);
        if granted {
            self.hold(
                from,
                ActorId::OUTSIDE,
                None,
                capability.clone(),
                (None, None),
                false,
            );
        }
        Some(granted)
    }

    pub(super) fn record_request(
        &mut self,
        from: ActorId,
        capability: &CapabilityName,
        result: AuditResult,
        reason: &str,
    ) {
        self.record(&Decision {
            actor: from,
            subject: from,
            operation: CapabilityOperation::Request,
            capability,
            result,
            reason,
        });
    }

    /// More memory or gas out of the world's pool, if it has as much.
    fn draw_from_pool(&mut self, actor: ActorId, capability: &CapabilityName) -> bool {
        let Some(Parcel::Plain(amount)) = &capability.parameter else {
            return false;
        };
        let Some(amount) = amount
            .as_int()
            .and_then(|amount| u64::try_from(amount).ok())
        else {
            return false;
        };
        let pool = match capability.name.as_str() {
            RESOURCE_EXTRA_MEMORY => &mut self.settings.extra_memory_bytes,
            RESOURCE_EXTRA_TIME => &mut self.settings.extra_gas,
            _ => return false,
        };
        let Some(left) = pool.checked_sub(amount) else {
            return false;
        };
        *pool = left;
        self.touch(actor);
        if let Some(actor) = self.actors.get_mut(actor) {
            let mut limits = actor.fiber.limits();
            if capability.name == RESOURCE_EXTRA_MEMORY {
                limits.memory_bytes = limits.memory_bytes.saturating_add(amount);
            } else {
                limits.gas = limits.gas.saturating_add(amount);
            }
            actor.fiber.set_limits(limits);
        }
        true
    }

    /// An actor that holds `meta-grant` gives what it holds, or a part of it.
    fn give(&mut self, from: ActorId, gift: &Gift, kept: Option<&Kept>) -> bool {
        let refused = self.gift_fault(from, gift, kept);
        let operation = if gift.is_delegated {
            CapabilityOperation::Delegate
        } else {
            CapabilityOperation::Grant
        };
        self.record(&Decision {
            actor: from,
            subject: gift.to,
            operation,
            capability: &gift.capability,
            result: if refused.is_none() {
                AuditResult::Granted
            } else {
                AuditResult::Denied
            },
            reason: refused.unwrap_or(""),
        });
        if refused.is_some() {
            return false;
        }
        let now_ms = self.now_ms();
        let own = self.body(from).and_then(|body| {
            let own = body.holdings.find(&gift.capability, now_ms)?;
            Some((own.grant, own.budget, own.expires_ms))
        });
        let Some((grant, budget, expires)) = own else {
            return false;
        };
        // A budget is moved, not shared: without one of its own the gift takes all that is left.
        let moved = gift.budget.or(budget);
        if let (Some(uses), Some(body)) = (moved, self.body(from)) {
            body.holdings.move_budget(grant, uses);
        }
        let until = gift.expires_ms.map(|ms| now_ms.saturating_add(ms));
        let until = [until, expires].into_iter().flatten().min();
        let limits = (moved, until);
        self.hold(
            gift.to,
            from,
            Some(grant),
            gift.capability.clone(),
            limits,
            false,
        );
        true
    }

    /// Why an actor may not give a capability.
    fn gift_fault(
        &mut self,
        from: ActorId,
        gift: &Gift,
        kept: Option<&Kept>,
    ) -> Option<&'static str> {
        let now_ms = self.now_ms();
        let is_child = self.body(gift.to).is_some_and(|body| body.parent == from);
        let full = self.grants.of_holder(gift.to).len() >= GRANTS_MAX;
        let Some(body) = self.body(from) else {
            return Some("the giver has ended");
        };
        let Some(own) = body.holdings.find(&gift.capability, now_ms) else {
            return Some("the giver does not hold it");
        };
        if !Kept::allows(kept, &gift.capability) {
            return Some(NOT_KEPT);
        }
        let uses = gift.budget.unwrap_or(0);
        if own.budget.is_some_and(|budget| budget < uses) {
            return Some("the giver has not as many uses left");
        }
        let may_give =
            Kept::allows_plain(kept, META_GRANT) && body.holdings.holds_plain(META_GRANT, now_ms);
        if !(may_give || gift.is_delegated && is_child) {
            return Some("the giver does not hold meta-grant");
        }
        if FOR_CHILDREN_ONLY.contains(&gift.capability.name.as_str()) && !is_child {
            return Some("it goes to children of the giver only");
        }
        full.then_some("the receiver has as many grants as an actor may have")
    }

    /// An actor takes a capability away, with all that was derived from it.
    fn revoke(
        &mut self,
        from: ActorId,
        of: ActorId,
        capability: &CapabilityName,
        kept: Option<&Kept>,
    ) -> bool {
        let now_ms = self.now_ms();
        let parent = self.body(of).map(|body| body.parent);
        let is_kept = Kept::allows(kept, capability);
        let may_grant = Kept::allows_plain(kept, META_GRANT)
            && self
                .body(from)
                .is_some_and(|body| body.holdings.holds_plain(META_GRANT, now_ms));
        let grants = self.grants_of(of, capability);
        let gave = grants.iter().any(|grant| {
            self.grants
                .get(*grant)
                .is_some_and(|grant| grant.by == from)
        });
        let has_a_say = from == of
            || parent == Some(from)
            || gave
            || may_grant && capability.name != META_GRANT;
        let is_allowed = is_kept && has_a_say;
        let has_worked = is_allowed && !grants.is_empty();
        self.record(&Decision {
            actor: from,
            subject: of,
            operation: CapabilityOperation::Revoke,
            capability,
            result: if is_allowed {
                AuditResult::Granted
            } else {
                AuditResult::Denied
            },
            reason: match (is_kept, has_worked || !is_allowed) {
                (false, _) => NOT_KEPT,
                (true, true) => "",
                (true, false) => "it was not held",
            },
        });
        if has_worked {
            grants
                .into_iter()
                .for_each(|grant| self.revoke_grant(of, grant));
        }
        has_worked
    }

    /// The grants by which an actor holds a capability.
    fn grants_of(&self, of: ActorId, capability: &CapabilityName) -> Vec<GrantId> {
        let Some(actor) = self.actors.get(of) else {
            return Vec::new();
        };
        let holdings = actor.body.holdings.iter();
        let named = holdings.filter(|holding| holding.capability == *capability);
        named.map(|holding| holding.grant).collect()
    }

    /// Takes away what stands on a grant: from an actor that was given it, with all that was derived from it; or from one that
    /// has it from its parent, and from those that have it from that actor.
    fn revoke_grant(&mut self, of: ActorId, id: GrantId) {
        if self.grants.get(id).is_some_and(|grant| grant.holder == of) {
            for (id, grant) in self.grants.remove(id) {
                self.strip(grant.holder, id, grant.is_inherited);
            }
            return;
        }
        let subtree = self.strip(of, id, true);
        let derived: Vec<GrantId> = self
            .grants
            .derived_from(id)
            .filter(|(_, grant)| subtree.contains(&grant.by))
            .map(|(derived, _)| derived)
            .collect();
        for derived in derived {
            for (id, grant) in self.grants.remove(derived) {
                self.strip(grant.holder, id, grant.is_inherited);
            }
        }
    }

    /// Nobody holds capabilities but those of these names any more.
    pub(super) fn keep_only(&mut self, names: &[&str]) {
        let all: Vec<ActorId> = self.actors.ids().collect();
        for actor in all {
            let holds_more = |actor: ActorRef<'_>| !actor.body.holdings.are_only(names);
            if self.actors.get(actor).is_some_and(holds_more) {
                self.and_back(actor, |world| {
                    if let Some(body) = world.body(actor) {
                        body.holdings.keep_only(names);
                    }
                });
            }
        }
        self.first_holdings.keep_only(names);
        self.record(&Decision {
            actor: ActorId::OUTSIDE,
            subject: ActorId::OUTSIDE,
            operation: CapabilityOperation::Revoke,
            capability: &CapabilityName::plain("all"),
            result: AuditResult::Granted,
            reason: &format!("but {}", names.join(", ")),
        });
    }

    /// An actor, and with it those that have it from that actor, do not hold a capability any more. Calls that needed it
    /// and are still open fail.
    fn strip(&mut self, of: ActorId, id: GrantId, is_inherited: bool) -> BTreeSet<ActorId> {
        let actors = if is_inherited {
            self.subtree(of)
        } else {
            BTreeSet::from([of])
        };
        for actor in &actors {
            let name = self.actors.get(*actor).and_then(|actor| {
                let mut held = actor.body.holdings.iter();
                let held = held.find(|holding| holding.grant == id)?;
                Some(held.capability.name.clone())
            });
            if let Some(name) = name {
                self.and_back(*actor, |world| world.strip_one(*actor, id, &name));
            }
        }
        actors
    }

    /// An actor does not hold a capability by a grant any more.
    fn strip_one(&mut self, actor: ActorId, id: GrantId, name: &str) {
        let Some(body) = self.body(actor) else { return };
        body.holdings.remove(id);
        let calls = match &body.status {
            Status::Waits(Wait::Host { request }) => request.capability.as_deref() == Some(name),
            _ => false,
        };
        if calls && !self.holds(actor, name) {
            let error = (
                ErrorKind::CapabilityDenied,
                format!("the capability {name} was revoked during the call"),
            );
            self.wake(actor, Due::Answer(Box::new(Err(error))));
        }
    }

    /// An actor holds a capability from now on.
    pub(super) fn hold(
        &mut self,
        holder: ActorId,
        by: ActorId,
        from: Option<GrantId>,
        capability: CapabilityName,
        (budget, expires_ms): (Option<u64>, Option<u64>),
        is_inherited: bool,
    ) {
        let grant = self.grants.add(
            &capability.name,
            Grant {
                holder,
                by,
                from,
                is_inherited,
            },
        );
        if let Some(body) = self.body(holder) {
            body.holdings.add(Holding {
                capability,
                grant,
                budget,
                expires_ms,
                is_inherited,
            });
        }
    }

    /// The embedder gives an actor a capability; `is_inherited` says whether the children that it starts from now on hold it
    /// too. False when there is no such actor.
    pub fn grant(&mut self, to: ActorId, name: &str, is_inherited: bool) -> bool {
        if !self.actors.contains(to) {
            return false;
        }
        self.note(|| Input::Grant {
            to,
            capability: name.to_owned(),
            is_inherited,
        });
        let capability = CapabilityName::plain(name);
        self.record(&Decision {
            actor: ActorId::OUTSIDE,
            subject: to,
            operation: CapabilityOperation::Grant,
            capability: &capability,
            result: AuditResult::Granted,
            reason: "",
        });
        self.hold(
            to,
            ActorId::OUTSIDE,
            None,
            capability,
            (None, None),
            is_inherited,
        );
        true
    }

    /// The embedder takes a capability away, with all that was derived from it; whether the actor held it.
    pub fn revoke_from(&mut self, of: ActorId, name: &str) -> bool {
        self.note(|| Input::Revoke {
            of,
            capability: name.to_owned(),
        });
        let capability = CapabilityName::plain(name);
        let grants = self.grants_of(of, &capability);
        self.record(&Decision {
            actor: ActorId::OUTSIDE,
            subject: of,
            operation: CapabilityOperation::Revoke,
            capability: &capability,
            result: AuditResult::Granted,
            reason: "",
        });
        let held = !grants.is_empty();
        for grant in grants {
            self.revoke_grant(of, grant);
        }
        held
    }

    /// An actor wanted to do to another what it may not.
    pub(super) fn note_forbidden(&mut self, actor: ActorId, subject: ActorId, name: &str) {
        let capability = CapabilityName::plain(name);
        self.record(&Decision {
            actor,
            subject,
            operation: CapabilityOperation::Check,
            capability: &capability,
            result: AuditResult::Denied,
            reason: "",
        });
    }

    /// Whether an actor holds a capability without a parameter.
    pub fn holds(&self, actor: ActorId, name: &str) -> bool {
        let now_ms = self.now_ms();
        let actor = self.actors.get(actor);
        actor.is_some_and(|actor| actor.body.holdings.holds_plain(name, now_ms))
    }

    /// The log of all decisions about capabilities.
    pub fn audit(&self) -> &crate::capability::AuditLog {
        &self.audit
    }

    /// An actor has ended: what it was given is gone unless something was derived from it, and it does not vote.
    pub(super) fn forget_powers(&mut self, actor: ActorId) {
        for id in self.grants.of_holder(actor) {
            self.grants.forget(id);
        }
    }
}
