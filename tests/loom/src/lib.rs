//! Models of what threads of the runtime share: loom runs them in every order in which threads may run, with everything
//! that memory orderings allow. The files are those of the runtime; only what they share data by is another
//! `sync`. So this is a package of its own, which builds in seconds.
//!
//! ```sh
//! cargo test --release --manifest-path tests/loom/Cargo.toml
//! ```
#![cfg(test)]

/// In place of `runtime/src/sync.rs`.
mod sync {
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(crate) use loom::thread::yield_now;

    /// Enough to take both ways.
    pub(crate) const SPINS: u32 = 1;
}

#[path = "../../../runtime/src/schedule/board.rs"]
mod board;

mod world {
    #[path = "../../../../runtime/src/world/inbox.rs"]
    #[expect(dead_code, reason = "loom knows no time")]
    mod inbox;

    mod inbox_models;
}

mod board_models;

/// Tries every order with so many switches between threads where they need not be: as many as keep a model within seconds.
fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}
