//! Who runs next.

mod ready;

pub(crate) use ready::ReadyQueue;
