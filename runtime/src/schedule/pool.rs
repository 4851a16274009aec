//! Threads that run the actors of a tick together.
//!
//! A tick's run list is cut into chunks. Each thread has a share of them, takes from its front, and when it has none left
//! steals from the back of another's. Which thread runs which chunk decides nothing: chunks are put together
//! again in their order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pw_jit::interp::profile::Profile;

/// Looks for work or for the end of it before a thread goes to sleep.
const SPINS: u32 = 20_000;

/// What a tick has to do, cut into chunks that any thread can do.
pub(crate) trait Work: Send + Sync {
    /// How many chunks there are.
    fn chunks(&self) -> usize;
    /// Does one of them.
    fn run(&self, chunk: usize, profile: &mut Profile);
}

/// A range of chunks: start in the low half, end in the high half.
#[derive(Debug)]
pub(crate) struct Share(AtomicU64);

impl Share {
    /// The chunks from `start` to before `end`.
    pub(crate) fn new(start: u32, end: u32) -> Share {
        Share(AtomicU64::new(u64::from(start) | u64::from(end) << 32))
    }

    /// The first chunk, for its owner.
    pub(crate) fn take(&self) -> Option<usize> {
        self.change(|start, end| (start, start + 1, end))
    }

    /// The last chunk, for anybody.
    pub(crate) fn steal(&self) -> Option<usize> {
        self.change(|start, end| (end - 1, start, end - 1))
    }

    /// Takes a chunk out of a range that is not empty: `part` tells which, and what is left.
    fn change(&self, part: impl Fn(u32, u32) -> (u32, u32, u32)) -> Option<usize> {
        let mut now = self.0.load(Ordering::Relaxed);
        loop {
            let (start, end) = (now as u32, (now >> 32) as u32);
            if start >= end {
                return None;
            }
            let (taken, start, end) = part(start, end);
            let left = u64::from(start) | u64::from(end) << 32;
            // The chunks themselves are behind locks; this only says whose they are.
            match self
                .0
                .compare_exchange_weak(now, left, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(taken as usize),
                Err(other) => now = other,
            }
        }
    }
}

/// One tick's work in progress.
struct Job {
    work: Box<dyn Work>,
    shares: Vec<Share>,
    /// Chunks that are not done.
    left: AtomicUsize,
    has_panicked: AtomicBool,
}

impl Job {
    /// Does what there is to do, beginning with the share of a thread.
    fn help(&self, thread: usize, profile: &mut Profile) {
        let threads = self.shares.len();
        for place in 0..threads {
            let share = &self.shares[(thread + place) % threads];
            loop {
                let chunk = if place == 0 {
                    share.take()
                } else {
                    share.steal()
                };
                let Some(chunk) = chunk else { break };
                let run = catch_unwind(AssertUnwindSafe(|| self.work.run(chunk, profile)));
                if run.is_err() {
                    self.has_panicked.store(true, Ordering::Relaxed);
                }
                self.left.fetch_sub(1, Ordering::Release);
            }
        }
    }
}

/// What the threads share.
struct Board {
    job: Mutex<Posted>,
    posted: Condvar,
    /// Jobs posted so far: looked at without the lock.
    count: AtomicU64,
}

#[derive(Default)]
struct Posted {
    job: Option<Arc<Job>>,
    count: u64,
    has_ended: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Posted> {
        // Nothing that can panic happens with the lock held.
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job after so many; nothing when there will be none.
    fn next(&self, seen: &mut u64) -> Option<Arc<Job>> {
        for _ in 0..SPINS {
            if self.count.load(Ordering::Acquire) != *seen {
                break;
            }
            std::hint::spin_loop();
        }
        let mut posted = self.lock();
        loop {
            if posted.has_ended {
                return None;
            }
            if posted.count != *seen {
                *seen = posted.count;
                // A job that is done already needs no help.
                if let Some(job) = &posted.job {
                    return Some(Arc::clone(job));
                }
            }
            posted = self
                .posted
                .wait(posted)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Threads that run actors. The thread that owns the world is one of them.
pub struct ParallelExecutionPool {
    board: Arc<Board>,
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
        let board = Arc::new(Board {
            job: Mutex::default(),
            posted: Condvar::new(),
            count: AtomicU64::new(0),
        });
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
    pub(crate) fn run(&self, work: Box<dyn Work>, profile: &mut Profile) {
        let (chunks, threads) = (work.chunks(), self.threads());
        let place = |thread: usize| (chunks * thread / threads) as u32;
        let job = Arc::new(Job {
            work,
            shares: (0..threads)
                .map(|thread| Share::new(place(thread), place(thread + 1)))
                .collect(),
            left: AtomicUsize::new(chunks),
            has_panicked: AtomicBool::new(false),
        });
        {
            let mut posted = self.board.lock();
            posted.job = Some(Arc::clone(&job));
            posted.count += 1;
            self.board.count.store(posted.count, Ordering::Release);
        }
        self.board.posted.notify_all();
        job.help(0, profile);
        let mut spins = 0u32;
        while job.left.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        self.board.lock().job = None;
        assert!(
            !job.has_panicked.load(Ordering::Relaxed),
            "an actor's turn panicked: this is a fault of the engine"
        );
    }
}

/// The stack of a thread: native code and the interpreter under it need half a megabyte.
const STACK_BYTES: usize = 2 << 20;

impl Drop for ParallelExecutionPool {
    fn drop(&mut self) {
        self.board.lock().has_ended = true;
        self.board.posted.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}
