//! Looking at the actors of a world, and stopping them.
//!
//! Looking changes nothing. What acts on an actor (a breakpoint, a step, a pause, a limit) is an [`Intervention`]: an input,
//! that takes effect between ticks. An actor with a debugger is run by the executable specification, one instruction at a
//! time; all others run as they always do. As gas is the same in every tier, a breakpoint hits at the same gas in each.
//!
//! | file | what it holds |
//! |---|---|
//! | `view` | actors as they stand: what they do, wait for, hold and use |
//! | `stack` | frames with their places and variables |
//! | `debugger` | breakpoints, steps and watches of one actor |
//! | `breakpoint` | which instructions a breakpoint means |
//! | `sampler` | where the gas of one actor goes |
//! | `inspection` | what is attached to an actor, and its turns with that |
//! | `intervention` | what acts on actors from outside |

mod breakpoint;
mod debugger;
mod inspection;
mod intervention;
mod sampler;
mod stack;
mod view;

pub use breakpoint::Breakpoint;
pub use debugger::Suspension;
pub(crate) use inspection::Inspection;
pub use intervention::{Intervention, InterventionError};
pub use sampler::{ActorProfile, ProfileRow};
pub use stack::{ActorStack, StackFrame, VALUE_TEXT_MAX};
pub use view::{ActorView, Doing, HeldCapability};
