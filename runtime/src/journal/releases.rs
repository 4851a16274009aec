//! What happens when records are durable. Outputs leave on a thread of their own: a function of the embedder that is slow holds up nobody who waits
//! for an answer.
//!
//! Outputs leave in their order, and so does what must not come before them. What leaves has been durable before it is handed over here.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::queue::{Item, Leaves, Shared};

/// Something that happens when all records before it are durable.
pub(super) type Then = Box<dyn FnOnce() + Send>;

/// What is on its way out, within the queue of the journal.
#[derive(Default)]
pub(super) struct Releases {
    /// With the number of the output, if it is one.
    waiting: VecDeque<(Then, Option<u64>)>,
    /// Whether the thread has taken some that have not all left.
    is_busy: bool,
    /// Whether nothing more will come.
    is_closed: bool,
}

impl Releases {
    pub(super) fn add(&mut self, leaving: Vec<(Then, Option<u64>)>) {
        self.waiting.extend(leaving);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all has left.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.is_busy
    }
}

/// Lets happen what waited until all records were durable; the record before which segments are to be trimmed, if they are.
pub(super) fn happen(shared: &Shared, items: VecDeque<Item>) -> Option<u64> {
    let (mut at_once, mut answers, mut leaving) = (Vec::new(), Vec::new(), Vec::new());
    let mut trim = None;
    for item in items {
        match item {
            Item::Then(then, Leaves::AtOnce) => at_once.push(then),
            Item::Then(then, Leaves::Answer) => answers.push(then),
            Item::Then(then, Leaves::Output(output)) => leaving.push((then, Some(output))),
            Item::Then(then, Leaves::BehindOutputs) => leaving.push((then, None)),
            Item::Trim(before) => trim = Some(before),
            Item::Left => {}
        }
    }
    if !leaving.is_empty() {
        shared.lock().releases.add(leaving);
        shared.leaves.notify_one();
    }
    // Who waits for several answers waits for the first one. It comes last: he is woken once, and finds all of them.
    let answers = answers.into_iter().rev();
    at_once.into_iter().chain(answers).for_each(|then| then());
    trim
}

/// Lets go what comes, until nothing more will.
pub(super) fn run(shared: &Arc<Shared>) {
    let mut queue = shared.lock();
    loop {
        if queue.releases.waiting.is_empty() {
            if queue.releases.is_closed {
                return;
            }
            let waited = shared.leaves.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        let waiting = std::mem::take(&mut queue.releases.waiting);
        queue.releases.is_busy = true;
        drop(queue);
        shared.went.notify_all();
        for (then, output) in waiting {
            // Who is told here is not part of the world; a panic has been reported where it happened.
            drop(catch_unwind(AssertUnwindSafe(then)));
            if let Some(output) = output {
                shared.released.fetch_max(output, Ordering::Relaxed);
            }
        }
        queue = shared.lock();
        queue.releases.is_busy = false;
        if queue.releases.waiting.is_empty() && queue.error.is_none() {
            // The journal is to know that they have left.
            queue.items.push_back(Item::Left);
            queue.is_busy = true;
        }
        shared.came.notify_one();
        shared.went.notify_all();
    }
}

/// Nothing more will come.
pub(super) fn close(shared: &Shared) {
    shared.lock().releases.is_closed = true;
    shared.leaves.notify_one();
}
