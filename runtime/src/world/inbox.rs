//! Inputs on their way into a world, from any thread.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering};

/// What the lock holds.
#[derive(Debug)]
struct Waiting<T> {
    inputs: VecDeque<T>,
    /// Whether the world sleeps until one is there: nobody else is woken, for that is a call of the system each time.
    is_awaited: bool,
}

/// Inputs on their way, shared with other threads.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    waiting: Mutex<Waiting<T>>,
    arrived: Condvar,
    /// Whether there are inputs: looked at between ticks without the lock.
    has_news: AtomicBool,
    /// Whether the world is gone.
    is_closed: AtomicBool,
    /// Inputs that were taken so far.
    taken: AtomicU64,
}

impl<T> Default for Inbox<T> {
    fn default() -> Inbox<T> {
        Inbox {
            waiting: Mutex::new(Waiting {
                inputs: VecDeque::new(),
                is_awaited: false,
            }),
            arrived: Condvar::new(),
            has_news: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            taken: AtomicU64::new(0),
        }
    }
}

impl<T> Inbox<T> {
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        // Whoever panicked with the lock held has at most not added its input.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything.
    pub(super) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// All that is there.
    pub(super) fn take(&self) -> VecDeque<T> {
        let mut waiting = self.lock();
        self.has_news.store(false, Ordering::Release);
        let inputs = std::mem::take(&mut waiting.inputs);
        self.taken.fetch_add(inputs.len() as u64, Ordering::Relaxed);
        inputs
    }

    /// How many were taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Looks at those that are there, each with its number among all that came.
    pub(super) fn look<R>(&self, mut look: impl FnMut(u64, &T) -> Option<R>) -> Vec<R> {
        let waiting = self.lock();
        let numbered = (self.taken()..).zip(waiting.inputs.iter());
        numbered
            .filter_map(|(number, input)| look(number, input))
            .collect()
    }

    /// Adds an input. Who waits for an answer to one that comes too late learns by its loss that there will be none.
    pub(super) fn push(&self, input: T) {
        let mut waiting = self.lock();
        if self.is_closed.load(Ordering::Relaxed) {
            return;
        }
        waiting.inputs.push_back(input);
        self.has_news.store(true, Ordering::Release);
        let is_awaited = std::mem::take(&mut waiting.is_awaited);
        drop(waiting);
        if is_awaited {
            self.arrived.notify_one();
        }
    }

    /// Takes nothing from now on; what is there is lost.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        self.is_closed.store(true, Ordering::Relaxed);
        let lost = std::mem::take(&mut waiting.inputs);
        drop(waiting);
        // Dropping them may wake threads, which need not find the lock held.
        drop(lost);
    }

    /// Waits until an input is there. Only the thread that runs the world does.
    pub(super) fn wait(&self) {
        let mut waiting = self.lock();
        while waiting.inputs.is_empty() {
            waiting.is_awaited = true;
            let waited = self.arrived.wait(waiting);
            waiting = waited.unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_awaited = false;
    }

    /// Waits until an input is there, or that much time has passed. Only the thread that runs the world does.
    pub(super) fn wait_at_most(&self, most: Duration) {
        let mut waiting = self.lock();
        if waiting.inputs.is_empty() {
            waiting.is_awaited = true;
            let waited = self.arrived.wait_timeout(waiting, most);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
            waiting.is_awaited = false;
        }
    }
}
