//! Inputs on their way into a world, from any thread.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, Ordering};

/// Inputs on their way, shared with other threads.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    inputs: Mutex<VecDeque<T>>,
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
            inputs: Mutex::new(VecDeque::new()),
            arrived: Condvar::new(),
            has_news: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            taken: AtomicU64::new(0),
        }
    }
}

impl<T> Inbox<T> {
    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        // Whoever panicked with the lock held has at most not added its input.
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is anything.
    pub(super) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// All that is there.
    pub(super) fn take(&self) -> VecDeque<T> {
        let mut inputs = self.lock();
        self.has_news.store(false, Ordering::Release);
        self.taken.fetch_add(inputs.len() as u64, Ordering::Relaxed);
        std::mem::take(&mut *inputs)
    }

    /// How many were taken so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Looks at those that are there, each with its number among all that came.
    pub(super) fn look<R>(&self, mut look: impl FnMut(u64, &T) -> Option<R>) -> Vec<R> {
        let inputs = self.lock();
        let numbered = (self.taken()..).zip(inputs.iter());
        numbered
            .filter_map(|(number, input)| look(number, input))
            .collect()
    }

    /// Adds an input. Who waits for an answer to one that comes too late learns by its loss that there will be none.
    pub(super) fn push(&self, input: T) {
        let mut inputs = self.lock();
        if self.is_closed.load(Ordering::Relaxed) {
            return;
        }
        inputs.push_back(input);
        self.has_news.store(true, Ordering::Release);
        drop(inputs);
        self.arrived.notify_all();
    }

    /// Takes nothing from now on; what is there is lost.
    pub(super) fn close(&self) {
        let mut inputs = self.lock();
        self.is_closed.store(true, Ordering::Relaxed);
        let lost = std::mem::take(&mut *inputs);
        drop(inputs);
        // Dropping them may wake threads, which need not find the lock held.
        drop(lost);
    }

    /// Waits until an input is there.
    pub(super) fn wait(&self) {
        let mut inputs = self.lock();
        while inputs.is_empty() {
            inputs = self
                .arrived
                .wait(inputs)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until an input is there, or that much time has passed.
    pub(super) fn wait_at_most(&self, most: Duration) {
        let inputs = self.lock();
        if inputs.is_empty() {
            let waited = self.arrived.wait_timeout(inputs, most);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }
}
