//! What the threads that run the actors of a tick share: the work, and whose parts of it are whose.
//!
//! A tick's run list is cut into chunks. Each thread has a share of them, takes from its front, and when it has none left
//! steals from the back of another's. Which thread runs which chunk decides nothing: chunks are put together
//! again in their order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

use crate::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, SPINS,
    spin_loop, yield_now,
};

/// What a tick has to do, cut into chunks that any thread can do with what it has for itself.
pub(crate) trait Work<T>: Send + Sync {
    /// How many chunks there are.
    fn chunks(&self) -> usize;
    /// Does one of them.
    fn run(&self, chunk: usize, own: &mut T);
}

/// A range of chunks: start in the low half, end in the high half.
#[derive(Debug)]
struct Share(AtomicU64);

impl Share {
    /// The chunks from `start` to before `end`.
    fn new(start: u32, end: u32) -> Share {
        Share(AtomicU64::new(u64::from(start) | u64::from(end) << 32))
    }

    /// The first chunk, for its owner.
    fn take(&self) -> Option<usize> {
        self.change(|start, end| (start, start + 1, end))
    }

    /// The last chunk, for anybody.
    fn steal(&self) -> Option<usize> {
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
pub(crate) struct Job<T> {
    work: Box<dyn Work<T>>,
    shares: Vec<Share>,
    /// Chunks that are not done.
    left: AtomicUsize,
    has_panicked: AtomicBool,
}

impl<T> Job<T> {
    /// Work for so many threads.
    fn new(work: Box<dyn Work<T>>, threads: usize) -> Job<T> {
        let chunks = work.chunks();
        let place = |thread: usize| (chunks * thread / threads) as u32;
        Job {
            work,
            shares: (0..threads)
                .map(|thread| Share::new(place(thread), place(thread + 1)))
                .collect(),
            left: AtomicUsize::new(chunks),
            has_panicked: AtomicBool::new(false),
        }
    }

    /// Does what there is to do, beginning with the share of a thread.
    pub(crate) fn help(&self, thread: usize, own: &mut T) {
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
                let run = catch_unwind(AssertUnwindSafe(|| self.work.run(chunk, own)));
                if run.is_err() {
                    self.has_panicked.store(true, Ordering::Relaxed);
                }
                self.left.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Waits until everything is done; whether nothing has panicked.
    fn wait(&self) -> bool {
        let mut spins = 0u32;
        while self.left.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS {
                spin_loop();
            } else {
                yield_now();
            }
        }
        !self.has_panicked.load(Ordering::Relaxed)
    }
}

/// Where threads find work.
pub(crate) struct Board<T> {
    posted: Mutex<Posted<T>>,
    changed: Condvar,
    /// Jobs posted so far: looked at without the lock.
    count: AtomicU64,
}

struct Posted<T> {
    job: Option<Arc<Job<T>>>,
    count: u64,
    has_ended: bool,
}

impl<T> Board<T> {
    /// A board without work.
    pub(crate) fn new() -> Board<T> {
        Board {
            posted: Mutex::new(Posted {
                job: None,
                count: 0,
                has_ended: false,
            }),
            changed: Condvar::new(),
            count: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Posted<T>> {
        // Nothing that can panic happens with the lock held.
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job after so many; nothing when there will be none.
    pub(crate) fn next(&self, seen: &mut u64) -> Option<Arc<Job<T>>> {
        for _ in 0..SPINS {
            if self.count.load(Ordering::Acquire) != *seen {
                break;
            }
            spin_loop();
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
                .changed
                .wait(posted)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has work done by so many threads, the calling one among them, and returns when it is done: whether nothing has
    /// panicked.
    pub(crate) fn run(&self, work: Box<dyn Work<T>>, threads: usize, own: &mut T) -> bool {
        let job = Arc::new(Job::new(work, threads));
        {
            let mut posted = self.lock();
            posted.job = Some(Arc::clone(&job));
            posted.count += 1;
            self.count.store(posted.count, Ordering::Release);
        }
        self.changed.notify_all();
        job.help(0, own);
        let is_good = job.wait();
        self.lock().job = None;
        is_good
    }

    /// There will be no more work.
    pub(crate) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_all();
    }
}
