//! What a world and the threads of its journal hand over to each other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::batch::Records;
use super::releases::{Releases, Then};
use super::writer::BATCH_BYTES;

/// Batches whose memory is used again: the thread writes some while the world fills others.
const SPARE_MAX: usize = 32;

/// When something happens for which records have to be durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leaves {
    /// As soon as they are.
    AtOnce,
    /// The same, and it is an answer: of those that leave together the last leaves first.
    Answer,
    /// It is the output with this number, and leaves behind all before it.
    Output(u64),
    /// When all outputs before it have left.
    BehindOutputs,
}

/// What is to be done when all records that have come are written.
pub(super) enum Item {
    /// What happens, and when.
    Then(Then, Leaves),
    /// Outputs have left.
    Left,
    /// Segments that hold only records before this one are not needed any more.
    Trim(u64),
}

/// What is shared with the thread.
#[derive(Default)]
pub(super) struct Queue {
    /// Records that are to be written, as batches.
    pub(super) records: VecDeque<Records>,
    /// Bytes of them.
    pub(super) bytes: usize,
    /// Memory of batches that were written.
    spare: Vec<Records>,
    pub(super) items: VecDeque<Item>,
    /// Answers among them.
    pub(super) answers: usize,
    /// Whether somebody waits for what has come and says nothing until it is done.
    pub(super) is_urgent: bool,
    /// Whether nothing more will come.
    pub(super) is_closed: bool,
    /// Whether the thread waits for something to come.
    pub(super) is_waiting: bool,
    /// Whether it sleeps until it is woken; else it looks again soon.
    pub(super) is_asleep: bool,
    /// Whether there is something that the thread has not done.
    pub(super) is_busy: bool,
    /// What is on its way out.
    pub(super) releases: Releases,
    /// The number of the first record that is not written.
    pub(super) written: u64,
    /// Why the thread has given up.
    pub(super) error: Option<String>,
}

impl Queue {
    /// Whether nothing has come.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.items.is_empty()
    }

    /// Adds records, which are none then, to the last batch, or begins one with them when that would have more bytes than so many.
    pub(super) fn add(&mut self, records: &mut Records, batch_bytes: usize) {
        self.bytes += records.len();
        match self.records.back_mut() {
            Some(last) if last.len() + records.len() <= batch_bytes => last.append(records),
            _ => {
                let next = self.spare.pop().unwrap_or_default();
                self.records.push_back(std::mem::replace(records, next));
            }
        }
        self.is_busy = true;
    }

    /// Takes what has come; how many of the items are answers.
    pub(super) fn take(&mut self) -> (VecDeque<Records>, VecDeque<Item>, usize) {
        self.bytes = 0;
        self.is_urgent = false;
        let records = std::mem::take(&mut self.records);
        let items = std::mem::take(&mut self.items);
        (records, items, std::mem::take(&mut self.answers))
    }

    /// Keeps the memory of batches that were written; what of it is too much is given back, to be dropped without the lock.
    pub(super) fn keep_memory(&mut self, mut written: VecDeque<Records>) -> VecDeque<Records> {
        written.retain_mut(|batch| {
            let is_kept = self.spare.len() < SPARE_MAX && batch.capacity() <= 2 * BATCH_BYTES;
            if is_kept {
                batch.clear();
                self.spare.push(std::mem::take(batch));
            }
            !is_kept
        });
        written
    }
}

#[derive(Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// Something has come.
    pub(super) came: Condvar,
    /// A thread has taken or done something.
    pub(super) went: Condvar,
    /// Something is to leave.
    pub(super) leaves: Condvar,
    /// Outputs that have left the world.
    pub(super) released: AtomicU64,
    /// Whether the thread has given up: looked at without the lock.
    pub(super) has_failed: AtomicBool,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        // With the lock held only parts of the queue are moved.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
