//! What threads share their data by. The few structures that are shared are modelled with other means in place of these
//! (`tests/loom`), which try all orders in which threads may run.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
pub(crate) use std::thread::yield_now;

/// Looks for work, or for the end of it, before a thread goes to sleep.
pub(crate) const SPINS: u32 = 20_000;
