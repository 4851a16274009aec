//! Powers: who holds which, who decides, what was decided.
//!
//! A capability is a name with an optional parameter. An actor holds it because of a *grant*: one from outside, one that
//! was decided on its request, one that another holder gave, or one that its parent holds and children share.
//! Grants know what they were derived from, so revoking one revokes all that came of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `holdings` | what one actor holds |
//! | `rules` | who decides about which capability |
//! | `grants` | all grants, and what was derived from what |
//! | `votes` | requests that are voted on |
//! | `audit` | the log of all decisions |

mod audit;
mod grants;
mod holdings;
mod rules;
mod votes;

pub use audit::{AuditEntry, AuditLog, AuditResult, CapabilityOperation};
pub(crate) use grants::{Grant, GrantId, Grants};
pub(crate) use holdings::{Holding, Holdings};
pub use rules::{CapabilityRule, CapabilityRules};
pub(crate) use votes::{Ballot, Ballots, Outcome};

/// Lets its holder give capabilities to others, and vote on requests.
pub const META_GRANT: &str = "meta-grant";
/// Lets its holder start actors.
pub const SYS_CREATE_ACTOR: &str = "sys-create-actor";
/// Lets its holder end actors that are not its children.
pub const SYS_TERMINATE_ACTOR: &str = "sys-terminate-actor";
/// Lets its holder print.
pub const IO_CONSOLE: &str = "io-console";
/// More logical bytes: the parameter says how many.
pub const RESOURCE_EXTRA_MEMORY: &str = "resource-extra-memory";
/// More gas: the parameter says how much.
pub const RESOURCE_EXTRA_TIME: &str = "resource-extra-time";

/// Capabilities that go to one's own children only.
pub(crate) const FOR_CHILDREN_ONLY: [&str; 4] = [
    META_GRANT,
    SYS_TERMINATE_ACTOR,
    "macro-unsafe",
    "meta-self-modify",
];
