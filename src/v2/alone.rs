//! The surroundings of an actor that nobody else runs with.

use std::collections::BTreeSet;

use super::capabilities::{CapDecision, ExtraPool, Requester, decide};
use super::surroundings::{DocumentedHost, HostProvider, Surroundings};
use super::transfer::Message;
use super::{Capability, HeapObjects, HostFunction, Value};

/// Who decides on requests of an actor by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decisions {
    /// The rules, with nobody there to vote.
    ByRules,
    /// The embedding program, later.
    ByEmbedder,
}

/// An actor without others. There is nobody to grant to; messages are kept.
pub(crate) struct Alone {
    pub(crate) actor: u32,
    pub(crate) capabilities: BTreeSet<Capability>,
    pub(crate) decisions: Decisions,
    pub(crate) sent: Vec<(u32, Message)>,
    pub(crate) host: Box<dyn HostProvider>,
    pool: ExtraPool,
}

impl Alone {
    /// An actor with these capabilities.
    pub(crate) fn new(
        actor: u32,
        capabilities: impl IntoIterator<Item = Capability>,
        decisions: Decisions,
    ) -> Alone {
        Alone {
            actor,
            capabilities: capabilities.into_iter().collect(),
            decisions,
            sent: Vec::new(),
            host: Box::new(DocumentedHost),
            pool: ExtraPool::default(),
        }
    }
}

impl Surroundings for Alone {
    fn holds(&mut self, capability: &Capability) -> bool {
        self.capabilities.contains(capability)
    }

    fn request(&mut self, capability: &Capability, reason: &str) -> CapDecision {
        if self.capabilities.contains(capability) {
            return CapDecision::Granted;
        }
        if self.decisions == Decisions::ByEmbedder {
            return CapDecision::PendingConsensus;
        }
        let requester = Requester {
            has_parent: false,
            holds_meta_grant: self.capabilities.contains(&Capability::MetaGrant),
            justification: reason,
        };
        match decide(capability, requester, &mut self.pool) {
            CapDecision::Granted => {
                self.capabilities.insert(capability.clone());
                CapDecision::Granted
            }
            // There is nobody to vote.
            CapDecision::Denied | CapDecision::PendingConsensus => CapDecision::Denied,
        }
    }

    fn grant(&mut self, to: u32, capability: &Capability) -> bool {
        let held = |wanted: &Capability| self.capabilities.contains(wanted);
        to == self.actor
            && super::capabilities::delegation_fault(
                held(&Capability::MetaGrant),
                held(capability),
                DEFAULT_PRIORITY,
                false,
                capability,
            )
            .is_none()
    }

    fn revoke(&mut self, from: u32, capability: &Capability) -> bool {
        let own = from == self.actor;
        if own {
            self.capabilities.remove(capability);
        }
        own
    }

    fn send(&mut self, to: u32, message: Message) {
        self.sent.push((to, message));
    }

    fn call(
        &mut self,
        function: HostFunction,
        arguments: &[Value],
        objects: &mut HeapObjects,
    ) -> Value {
        self.host.call(self.actor, function, arguments, objects)
    }
}

/// The priority of an actor that was given none.
pub(crate) const DEFAULT_PRIORITY: u8 = 128;
