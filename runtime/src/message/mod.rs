//! Messages and mailboxes.

mod letter;
mod mailbox;
mod queue;

pub use letter::{Message, PRIORITIES, PRIORITY_DEFAULT, RequestId};
pub(crate) use mailbox::{Full, Mailbox};
pub use mailbox::{MailboxRules, Overflow};
pub use queue::PriorityMessageQueue;
