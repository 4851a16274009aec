//! Messages and mailboxes.

mod broadcast;
mod letter;
mod level;
mod mailbox;
mod pattern;
mod queue;

pub use broadcast::{BroadcastEvent, BroadcastSystem};
pub use letter::{Message, PRIORITIES, PRIORITY_DEFAULT, RequestId};
pub(crate) use mailbox::{Full, Mailbox};
pub use mailbox::{MailboxRules, Overflow};
pub use pattern::AdvancedMessagePattern;
pub use queue::PriorityMessageQueue;
