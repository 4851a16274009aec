//! The thread that writes a journal.
//!
//! The world hands over records, and what is to happen once all records before it are durable. The thread takes whatever
//! has come, writes it as one batch, makes it durable, and lets happen what waited for it; outputs it hands on to a thread of their own
//! (`releases`).

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pw_isa::wire;

use super::batch::{
    BATCH_BYTES_MAX, BatchHead, Records, segment_first, segment_head, segment_name,
};
use super::patience::Patience;
use super::queue::{Item, Leaves, Queue, Shared};
use super::releases;
use super::{Durability, Position, ShortHead, ShortRecord};
use crate::disk::{Disk, DiskFile};

/// Bytes of records that may wait to be written: beyond them the world waits.
const WAITING_MAX: usize = 64 << 20;
/// Things that may wait to happen: beyond them the world waits.
const ITEMS_MAX: usize = 1 << 16;
/// Things to happen that are handed over at once at most.
const ITEMS_GATHERED: usize = 1 << 10;
/// How long the thread waits before it looks for more, and how often it does before it sleeps.
const LOOK: Duration = Duration::from_millis(1);
const LOOKS: u32 = 20;
/// Bytes of records beyond which they are handed over, and a batch ends; unless segments have fewer, where they are put together. So many that its head
/// and its hash cost nothing beside them, and so few that it stays in a processor's cache until it is written, and is not moved again and again as it grows.
pub(super) const BATCH_BYTES: usize = 64 << 10;

/// The most bytes that a record may have: a batch has room for it and what came before it.
pub(crate) const RECORD_BYTES_MAX: usize = BATCH_BYTES_MAX - 2 * BATCH_BYTES;

/// How a journal is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct JournalSettings {
    /// When what is written counts as written.
    pub(crate) durability: Durability,
    /// Bytes of a segment beyond which the next begins.
    pub(crate) segment_bytes: u64,
}

impl JournalSettings {
    /// Bytes of records beyond which a batch ends.
    fn batch_bytes(&self) -> usize {
        self.segment_bytes.min(BATCH_BYTES as u64) as usize
    }
}

impl Default for JournalSettings {
    fn default() -> JournalSettings {
        JournalSettings {
            durability: Durability::default(),
            segment_bytes: 64 << 20,
        }
    }
}

/// Tells at the end of the thread, also by a panic, that nothing more will be done.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        if !queue.is_closed || queue.is_busy {
            let reason = || "its thread has ended".to_owned();
            queue.error.get_or_insert_with(reason);
            self.0.has_failed.store(true, Ordering::Relaxed);
            queue.records.clear();
            queue.items.clear();
        }
        drop(queue);
        self.0.went.notify_all();
    }
}

/// A journal that is written.
pub(crate) struct Journal {
    shared: Arc<Shared>,
    /// The thread that writes, and the one that lets outputs leave.
    threads: Option<[JoinHandle<()>; 2]>,
    /// The number of the next record.
    next: u64,
    /// Records that the thread does not have yet: handing over costs more than a record.
    kept: Records,
    /// What is to happen once they are durable, and answers among that.
    items: Vec<Item>,
    answers: usize,
    /// Whether more of that is about to come, with which it is handed over.
    gathers: bool,
    batch_bytes: usize,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a journal of {} records", self.next)
    }
}

impl Journal {
    /// A journal that goes on where one ended.
    ///
    /// # Errors
    /// Those of the disk, and when there is no thread for it.
    pub(crate) fn go_on(
        disk: Arc<dyn Disk>,
        settings: JournalSettings,
        end: &Position,
        released: u64,
    ) -> io::Result<Journal> {
        let durability = settings.durability;
        let file = match &end.segment {
            Some(name) => {
                let mut file = disk.open(name)?;
                if file.len()? > end.offset {
                    file.truncate(end.offset)?;
                }
                // The next segment is of the version that is written.
                Some(file).filter(|_| !end.is_old)
            }
            None => None,
        };
        if durability == Durability::Sync {
            // The process before may have died, or had another level, before it synced what was read.
            for name in disk.list()? {
                disk.open(&name)?.sync()?;
            }
            disk.sync_names()?;
        }
        let shared = Arc::<Shared>::default();
        shared.lock().written = end.next;
        shared.released.store(released, Ordering::Relaxed);
        let mut writer = Writer {
            disk,
            settings,
            file,
            offset: end.offset,
            next: end.next,
            durable: end.next,
            told: (end.next, released),
            patience: Patience::default(),
            synced: Instant::now(),
            shared: Arc::clone(&shared),
        };
        let outputs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("pw outputs".to_owned());
        let outputs = thread.spawn(move || releases::run(&outputs))?;
        let thread = std::thread::Builder::new().name("pw journal".to_owned());
        let writer = thread.spawn(move || {
            let _at_end = Farewell(Arc::clone(&writer.shared));
            writer.run();
        });
        if writer.is_err() {
            releases::close(&shared);
        }
        Ok(Journal {
            shared,
            threads: Some([writer?, outputs]),
            next: end.next,
            kept: Records::default(),
            items: Vec::new(),
            answers: 0,
            gathers: false,
            batch_bytes: settings.batch_bytes(),
        })
    }

    /// The number of the next record.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Adds a record. It is written when it is handed over, or when there are many. One that no batch can hold is the end of the
    /// journal.
    pub(crate) fn add(&mut self, record: &[u8]) {
        self.put(|to| to.bytes.extend_from_slice(record));
    }

    /// Adds a record, as [`Journal::add`] does, that is written where it is kept.
    #[inline]
    pub(crate) fn put(&mut self, write: impl FnOnce(&mut wire::Writer)) {
        if let Err(length) = self.kept.add(RECORD_BYTES_MAX, write) {
            return self.fail(&format!(
                "an input of {length} bytes, where {RECORD_BYTES_MAX} are the most"
            ));
        }
        self.count_added();
    }

    /// Adds a record of few bytes that begins like this.
    #[inline]
    pub(crate) fn put_short(&mut self, head: &ShortHead, write: impl FnOnce(&mut ShortRecord<'_>)) {
        self.kept.add_short(head, write);
        self.count_added();
    }

    /// A record was added.
    #[inline]
    fn count_added(&mut self) {
        self.next += 1;
        if self.kept.len() >= BATCH_BYTES {
            self.hand_over();
        }
    }

    /// Has what was added written, and then happen what is to.
    pub(crate) fn hand_over(&mut self) {
        if self.kept.count() == 0 && self.items.is_empty() {
            return;
        }
        let answers = std::mem::take(&mut self.answers);
        let mut queue = self.shared.lock();
        while queue.error.is_none() && self.is_too_much(&queue) {
            queue.is_urgent = true;
            let waited = self.shared.went.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if queue.error.is_some() {
            drop(queue);
            self.kept.clear();
            // Who waits for it learns of that when it is dropped.
            return self.items.clear();
        }
        if self.kept.count() > 0 {
            queue.add(&mut self.kept, self.batch_bytes);
        }
        // Nobody waits for mere records: a thread that looks again soon is not woken, which costs more than to write them.
        let wakes = match self.items.is_empty() {
            true => queue.is_asleep,
            false => queue.is_waiting,
        };
        queue.is_busy = true;
        queue.items.extend(self.items.drain(..));
        queue.answers += answers;
        drop(queue);
        if wakes {
            self.shared.came.notify_one();
        }
    }

    /// Whether the thread has to do some of what it has before it is given more.
    fn is_too_much(&self, queue: &Queue) -> bool {
        let items = queue.items.len() + queue.releases.len();
        queue.bytes > WAITING_MAX || items > ITEMS_MAX && !self.items.is_empty()
    }

    /// Has something happen when all records so far are durable; never, if the disk fails.
    pub(crate) fn then(&mut self, when: Leaves, what: impl FnOnce() + Send + 'static) {
        self.items.push(Item::Then(Box::new(what), when));
        self.answers += usize::from(when == Leaves::Answer);
        if !self.gathers || self.items.len() >= ITEMS_GATHERED {
            self.hand_over();
        }
    }

    /// Much may be about to happen, which is handed over together; at [`Journal::end_gathering`] at the latest.
    pub(crate) fn gather(&mut self) {
        self.gathers = true;
    }

    /// Hands over what has been gathered.
    #[inline]
    pub(crate) fn end_gathering(&mut self) {
        self.gathers = false;
        if !self.items.is_empty() {
            self.hand_over();
        }
    }

    /// Records before this one are not needed any more.
    pub(crate) fn trim(&self, before: u64) {
        let mut queue = self.shared.lock();
        if queue.error.is_some() {
            return;
        }
        queue.items.push_back(Item::Trim(before));
        queue.is_busy = true;
        drop(queue);
        self.shared.came.notify_one();
    }

    /// Whether nothing is written any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::Relaxed)
    }

    /// Has nothing written any more.
    pub(crate) fn fail(&self, error: &str) {
        let mut queue = self.shared.lock();
        queue.error.get_or_insert_with(|| error.to_owned());
        self.shared.has_failed.store(true, Ordering::Relaxed);
        drop(queue);
        self.shared.came.notify_one();
        self.shared.went.notify_all();
    }

    /// Why nothing is written any more, if so.
    pub(crate) fn error(&self) -> Option<String> {
        self.shared.lock().error.clone()
    }

    /// Hands over what there is, to be written without waiting for more.
    fn hurry(&mut self) {
        self.hand_over();
        self.urge();
        self.shared.came.notify_one();
    }

    /// Somebody waits for what was handed over, and says nothing until it is done: no sync waits for more.
    pub(crate) fn urge(&self) {
        self.shared.lock().is_urgent = true;
    }

    /// Waits until all records so far are written: the end of the process does not lose them.
    pub(crate) fn write(&mut self) {
        self.hurry();
        let mut queue = self.shared.lock();
        while queue.written < self.next && queue.error.is_none() {
            let waited = self.shared.went.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until everything so far is durable, and has happened.
    pub(crate) fn flush(&mut self) {
        self.hurry();
        let mut queue = self.shared.lock();
        while (queue.is_busy || !queue.releases.is_idle()) && queue.error.is_none() {
            let waited = self.shared.went.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.hand_over();
        self.shared.lock().is_closed = true;
        self.shared.came.notify_one();
        if let Some([writer, outputs]) = self.threads.take() {
            // A panic of a thread has been reported where it happened.
            let _ = writer.join();
            // What was handed over to leave is durable.
            releases::close(&self.shared);
            let _ = outputs.join();
        }
    }
}

impl Journal {
    /// A journal that begins in a directory with a record.
    pub(crate) fn begin(disk: Arc<dyn Disk>, first: u64) -> io::Result<Journal> {
        let start = Position {
            segment: None,
            is_old: false,
            offset: 0,
            next: first,
        };
        let settings = JournalSettings {
            durability: Durability::Memory,
            ..JournalSettings::default()
        };
        Journal::go_on(disk, settings, &start, 0)
    }

    /// Ends the journal: everything is written, or this says why not.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush();
        self.error()
            .map_or(Ok(()), |error| Err(io::Error::other(error)))
    }
}

/// What the thread has.
struct Writer {
    disk: Arc<dyn Disk>,
    settings: JournalSettings,
    /// The segment that is written; nothing before the first record.
    file: Option<Box<dyn DiskFile>>,
    offset: u64,
    /// The number of the next record.
    next: u64,
    /// The number of the first record that is not durable.
    durable: u64,
    /// What the last batch said of the two.
    told: (u64, u64),
    /// Whether syncs wait for more, and when the last one was over.
    patience: Patience,
    synced: Instant,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&mut self) {
        while let Some((mut records, items, answers)) = self.wait() {
            let done = self.write(&mut records, items, answers);
            let mut queue = self.shared.lock();
            let rest = queue.keep_memory(records);
            if let Err(error) = done {
                queue.error = Some(error.to_string());
            }
            // What was to happen never will: who waits for it learns of that when it is dropped, without the lock.
            let lost = queue.error.is_some().then(|| {
                queue.records.clear();
                std::mem::take(&mut queue.items)
            });
            queue.is_busy = !queue.is_empty();
            let has_failed = queue.error.is_some();
            self.shared.has_failed.store(has_failed, Ordering::Relaxed);
            drop(queue);
            drop((lost, rest));
            self.shared.went.notify_all();
            if has_failed {
                return;
            }
        }
    }

    /// What has come, and how many answers wait for it; nothing when nothing more will.
    fn wait(&mut self) -> Option<(VecDeque<Records>, VecDeque<Item>, usize)> {
        let mut queue = self.shared.lock();
        let mut looks = 0;
        while queue.is_empty() {
            if queue.is_closed && queue.releases.is_idle() {
                return None;
            }
            queue.is_waiting = true;
            if looks < LOOKS {
                looks += 1;
                let waited = self.shared.came.wait_timeout(queue, LOOK);
                queue = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            queue.is_asleep = true;
            let waited = self.shared.came.wait(queue);
            queue = waited.unwrap_or_else(PoisonError::into_inner);
            queue.is_asleep = false;
        }
        queue.is_waiting = false;
        // Without records there is no sync that could wait for more.
        if !queue.records.is_empty()
            && let Some(mut others) = self.patience.begin()
        {
            let may_wait = |queue: &Queue| !queue.is_urgent && !queue.is_closed;
            while may_wait(&queue) && others.goes_on(queue.answers, self.synced.elapsed()) {
                drop(queue);
                std::thread::sleep(others.look);
                queue = self.shared.lock();
            }
            if may_wait(&queue) {
                self.patience.end(&others, queue.answers);
            }
        }
        let came = queue.take();
        drop(queue);
        self.shared.went.notify_all();
        Some(came)
    }

    /// Writes the records, and lets happen what waits for them.
    fn write(
        &mut self,
        records: &mut VecDeque<Records>,
        items: VecDeque<Item>,
        answers: usize,
    ) -> io::Result<()> {
        for batch in records {
            self.batch(batch)?;
        }
        self.shared.lock().written = self.next;
        self.shared.went.notify_all();
        if self.durable < self.next {
            if self.settings.durability == Durability::Sync
                && let Some(file) = &mut self.file
            {
                let start = Instant::now();
                file.sync()?;
                self.synced = Instant::now();
                let (took, waiting) = (self.synced - start, self.shared.lock().answers);
                self.patience.note_sync(took, answers, waiting);
            }
            self.durable = self.next;
        }
        let trim = releases::happen(&self.shared, items);
        let queue = self.shared.lock();
        // When all has left the thread hears of it.
        let is_idle = queue.is_empty() && queue.releases.is_idle();
        drop(queue);
        if is_idle && self.file.is_some() && self.told != (self.durable, self.released()) {
            // So that damage of the last records can be told from a torn tail, and outputs leave once.
            self.batch(&mut Records::default())?;
        }
        match trim {
            Some(before) => self.trim(before),
            None => Ok(()),
        }
    }

    /// Outputs that have left the world.
    fn released(&self) -> u64 {
        self.shared.released.load(Ordering::Relaxed)
    }

    fn batch(&mut self, records: &mut Records) -> io::Result<()> {
        let released = self.released();
        if self.file.is_none() || self.offset > self.settings.segment_bytes {
            self.begin_segment()?;
        }
        let head = BatchHead {
            first: self.next,
            // Only what was synced is known to survive the machine.
            durable: match self.settings.durability {
                Durability::Sync => self.durable,
                Durability::Memory | Durability::Async => 0,
            },
            released,
            count: records.count(),
        };
        let count = u64::from(head.count);
        let bytes = records.batch(head);
        let Some(file) = &mut self.file else {
            unreachable!("a segment has begun")
        };
        file.write_at(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        self.next += count;
        self.told = (self.durable, released);
        Ok(())
    }

    fn begin_segment(&mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file
            && self.settings.durability == Durability::Sync
        {
            file.sync()?;
            self.durable = self.next;
        }
        let head = segment_head(self.next);
        let mut file = self.disk.create(&segment_name(self.next))?;
        file.write_at(0, &head)?;
        if self.settings.durability == Durability::Sync {
            file.sync()?;
            self.disk.sync_names()?;
        }
        self.offset = head.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Removes segments that hold only records before this one.
    fn trim(&mut self, before: u64) -> io::Result<()> {
        let names = self.disk.list()?;
        let mut segments: Vec<u64> = names
            .iter()
            .filter_map(|name| segment_first(name))
            .collect();
        segments.sort_unstable();
        for pair in segments.windows(2) {
            if pair[1] <= before {
                self.disk.remove(&segment_name(pair[0]))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
