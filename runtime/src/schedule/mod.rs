//! Who runs next.

mod pool;
mod ready;

pub use pool::ParallelExecutionPool;
pub(crate) use pool::Work;
pub(crate) use ready::ReadyQueue;
