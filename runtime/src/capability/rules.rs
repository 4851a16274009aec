//! Who decides about requests for which capability.
//!
//! The fourteen capabilities of V2 have V2's rules where these make sense; every other name has the rule that the
//! embedder gives it, and without one its requests are denied.

use std::collections::BTreeMap;

use super::{META_GRANT, RESOURCE_EXTRA_MEMORY, RESOURCE_EXTRA_TIME, SYS_TERMINATE_ACTOR};
use crate::portable::portable;

/// How a request for a capability is decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapabilityRule {
    /// Granted to anybody.
    Anybody,
    /// Denied to everybody; it can be given by holders or from outside.
    Nobody,
    /// Granted to actors that another actor has started.
    WithParent,
    /// Granted when a reason is given.
    WithReason,
    /// Granted when this share of the holders of `meta-grant`, in percent, approves: one vote each, the requester
    /// excluded, at least one vote.
    Vote(u8),
    /// The embedder decides.
    Embedder,
    /// Granted while the pool of the world has as much as the parameter says.
    Pool,
}

/// The share of voters that V2 wants, in percent.
pub(super) const V2_SHARE: u8 = 75;

/// The rules of a world.
#[derive(Clone, Debug)]
pub struct CapabilityRules {
    by_name: BTreeMap<String, CapabilityRule>,
}

impl Default for CapabilityRules {
    /// V2's.
    fn default() -> CapabilityRules {
        let anybody = [
            "macro-hygienic",
            "comptime-eval",
            "io-read-sensor",
            "io-write-actuator",
            "io-persist",
            "sys-create-actor",
            "sys-clock",
        ];
        let others = [
            ("meta-self-modify", CapabilityRule::WithParent),
            (META_GRANT, CapabilityRule::Vote(V2_SHARE)),
            ("macro-unsafe", CapabilityRule::Vote(V2_SHARE)),
            ("io-network", CapabilityRule::WithReason),
            (SYS_TERMINATE_ACTOR, CapabilityRule::Vote(V2_SHARE)),
            (RESOURCE_EXTRA_MEMORY, CapabilityRule::Pool),
            (RESOURCE_EXTRA_TIME, CapabilityRule::Pool),
        ];
        let anybody = anybody.map(|name| (name, CapabilityRule::Anybody));
        let all = anybody.into_iter().chain(others);
        CapabilityRules {
            by_name: all.map(|(name, rule)| (name.to_owned(), rule)).collect(),
        }
    }
}

impl CapabilityRules {
    /// Requests for a capability are decided like this from now on.
    pub fn set(&mut self, name: &str, rule: CapabilityRule) {
        self.by_name.insert(name.to_owned(), rule);
    }

    /// How requests for a capability are decided.
    pub fn of(&self, name: &str) -> CapabilityRule {
        let rule = self.by_name.get(name).copied();
        rule.unwrap_or(CapabilityRule::Nobody)
    }
}

portable!(enum CapabilityRule {
    0 => Anybody, 1 => Nobody, 2 => WithParent, 3 => WithReason, 4 => Vote(share), 5 => Embedder, 6 => Pool
});
portable!(struct CapabilityRules { by_name });
