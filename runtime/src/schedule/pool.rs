//! Threads that run the actors of a tick together. What they share is in [`board`](super::board).

use std::thread::JoinHandle;

use pw_jit::interp::profile::Profile;

use super::board::{Board, Work};
use crate::sync::Arc;

/// The stack of a thread: native code and the interpreter under it need half a megabyte.
const STACK_BYTES: usize = 2 << 20;

/// Threads that run actors. The thread that owns the world is one of them.
pub struct ParallelExecutionPool {
    board: Arc<Board<Profile>>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for ParallelExecutionPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParallelExecutionPool")
            .field("threads", &self.threads())
            .finish_non_exhaustive()
    }
}

impl ParallelExecutionPool {
    /// A pool with a thread for each profile, and the calling one. Threads that the system does not give are done without.
    pub(crate) fn new(profiles: Vec<Profile>) -> ParallelExecutionPool {
        let board = Arc::new(Board::new());
        let threads = (1..).zip(profiles).map_while(|(number, mut profile)| {
            let board = Arc::clone(&board);
            std::thread::Builder::new()
                .name(format!("pw worker {number}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    let mut seen = 0;
                    while let Some(job) = board.next(&mut seen) {
                        job.help(number, &mut profile);
                    }
                })
                .ok()
        });
        ParallelExecutionPool {
            threads: threads.collect(),
            board,
        }
    }

    /// How many threads there are, the calling one included.
    pub fn threads(&self) -> usize {
        self.threads.len() + 1
    }

    /// Has work done by all threads, and returns when it is done.
    ///
    /// # Panics
    /// When a part of the work panicked.
    pub(crate) fn run(&self, work: Box<dyn Work<Profile>>, profile: &mut Profile) {
        let is_good = self.board.run(work, self.threads(), profile);
        assert!(
            is_good,
            "an actor's turn panicked: this is a fault of the engine"
        );
    }
}

impl Drop for ParallelExecutionPool {
    fn drop(&mut self) {
        self.board.end();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
