//! Who runs next.

mod board;
mod line;
mod physics;
mod policy;
mod pool;
mod ready;

pub(crate) use board::Work;
pub use physics::PhysicsScheduler;
pub(crate) use policy::Ranks;
pub use policy::{ACTOR_PRIORITY_DEFAULT, SchedulingPolicy};
pub use pool::ParallelExecutionPool;
pub(crate) use ready::{ReadyQueue, Turn};
