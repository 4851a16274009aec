//! The history of a world: a checkpoint, and the inputs after it.
//!
//! A world that keeps its history writes every input into a journal before it takes effect, and its state into a checkpoint now and
//! then. One that is recovered takes the newest checkpoint and the same inputs before the same ticks, and so comes to the same
//! state. What leaves it waits until its cause is in the journal.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use pw_jit::CodeSpace;
use serde::{Deserialize, Serialize};

use super::capture::Captured;
use super::input::{CONTENT_BYTES_MAX, Input};
use super::policy::RollbackPolicy;
use super::recovery::GAP_MAX;
use super::{TrajectoryHash, World};
use crate::checkpoint::{CHAIN_MAX, Head, Keeper, KeeperSettings, Published};
use crate::disk::Disk;
use crate::host::{HostCallView, Output};
use crate::journal::{
    Durability, Journal, JournalSettings, Leaves, Position, Record, ShortHead, ShortRecord,
};
use crate::portable::{Out, Portable};

/// How a history is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistorySettings {
    /// When what is written counts as written.
    pub durability: Durability,
    /// Ticks between checkpoints.
    pub checkpoint_ticks: u64,
    /// Checkpoints that are kept, the newest; with them those that they stand on, and the inputs since the oldest of them.
    pub checkpoints_kept: usize,
    /// Checkpoints that have only what has changed, between two that have everything.
    pub increments: u64,
    /// Ticks after which the journal says how far the world is, though nothing has entered or left it.
    pub horizon_ticks: u64,
    /// Bytes of actors that are captured after a tick, beside those that the tick changes.
    pub capture_bytes: usize,
    /// Bytes of objects from which on an actor is captured page by page.
    pub paged_bytes: u64,
    /// Bytes of a file of the journal beyond which the next begins: what is read of a journal at once, and removed at once.
    pub segment_bytes: u64,
    /// Bytes of texts and numbers that an input may say; the most, and what there is without this, is about half a gigabyte. What says more is refused.
    pub input_bytes_max: usize,
    /// When the world goes back in its history by itself, and how.
    pub rollbacks: RollbackPolicy,
}

impl Default for HistorySettings {
    fn default() -> HistorySettings {
        HistorySettings {
            durability: Durability::default(),
            checkpoint_ticks: 4_096,
            checkpoints_kept: 4,
            increments: 15,
            horizon_ticks: 256,
            capture_bytes: 128 << 10,
            paged_bytes: 256 << 10,
            segment_bytes: JournalSettings::default().segment_bytes,
            input_bytes_max: CONTENT_BYTES_MAX,
            rollbacks: RollbackPolicy::default(),
        }
    }
}

/// What was written of a history since this process keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HistoryStatistics {
    /// Checkpoints.
    pub checkpoints: u64,
    /// Ticks of the newest of them.
    pub newest_checkpoint: Option<u64>,
    /// Bytes of objects that were captured page by page for checkpoints, also for one that is not complete.
    pub page_bytes: u64,
}

/// Somebody who hears what leaves a world that does again what it did.
pub(super) struct Listener(pub(super) Box<dyn Fn(&HostCallView<'_>) + Send + Sync>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a listener")
    }
}

/// Ticks after which inputs that nobody waits for are written at the latest.
const HANDED_OVER_TICKS: u64 = 16;

/// What is kept of a world.
#[derive(Debug, Default)]
pub(super) enum History {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything.
    Kept(Box<Kept>),
    /// It is repeated: its inputs are in the journal, and what leaves it has left already, up to this output.
    Repeated {
        released: u64,
        /// What has not left, as far as is known.
        unreleased: Vec<Output>,
    },
}

/// A history that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    disk: Arc<dyn Disk>,
    settings: HistorySettings,
    // Ends before the keeper does: a checkpoint is complete when the journal says so.
    journal: Journal,
    keeper: Keeper,
    /// Ticks that the world has done, or does.
    ticks: u64,
    /// Ticks that the journal knows of, and those of the last trajectory that it has.
    told: u64,
    witnessed: u64,
    /// What the records of inputs with few bytes begin with behind so many ticks.
    head: (u64, ShortHead),
    /// The last checkpoint that was begun, and the increments since one of everything.
    checkpoint: u64,
    increments: u64,
    /// What the one that is begun stands on.
    base: Option<u64>,
    /// The first record of the journal behind it.
    behind: u64,
    /// What the keeper had done when a checkpoint was begun.
    begun: u64,
}

impl History {
    /// The world does again what it has done; outputs up to this number have left it, and of those before these have not.
    pub(super) fn repeated(released: u64, unreleased: Vec<Output>) -> History {
        History::Repeated {
            released,
            unreleased,
        }
    }

    /// Outputs that have not left, as far as is known.
    pub(super) fn unreleased(self) -> Vec<Output> {
        match self {
            History::Repeated { unreleased, .. } => unreleased,
            History::Nothing | History::Kept(_) => Vec::new(),
        }
    }

    /// Whether the world does again what it has done.
    pub(super) fn is_replay(&self) -> bool {
        matches!(self, History::Repeated { .. })
    }

    /// How it is kept, if it is.
    pub(super) fn settings(&self) -> Option<&HistorySettings> {
        match self {
            History::Kept(kept) => Some(&kept.settings),
            History::Nothing | History::Repeated { .. } => None,
        }
    }

    /// Keeps an output back if its like has left already, or leaves when the replay is over.
    pub(super) fn keeps_back(&mut self, output: &Output) -> bool {
        let History::Repeated {
            released,
            unreleased,
        } = self
        else {
            return false;
        };
        if output.number > *released {
            unreleased.push(output.clone());
        }
        true
    }
}

impl Kept {
    /// A history in a directory whose journal ends at a position; the world has done so many ticks.
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
        end: &Position,
        released: u64,
        ticks: u64,
    ) -> io::Result<Kept> {
        let of_keeper = KeeperSettings {
            kept: settings.checkpoints_kept,
            syncs: settings.durability == Durability::Sync,
        };
        let keeper = Keeper::new(Arc::clone(&disk), of_keeper)?;
        let of_journal = JournalSettings {
            durability: settings.durability,
            segment_bytes: settings.segment_bytes,
        };
        let journal = Journal::go_on(Arc::clone(&disk), of_journal, end, released)?;
        Ok(Kept {
            disk,
            settings,
            journal,
            keeper,
            ticks,
            told: ticks,
            witnessed: ticks,
            head: (ticks, Record::short_head(ticks)),
            checkpoint: ticks,
            increments: 0,
            base: None,
            behind: end.next,
            begun: 0,
        })
    }

    /// Where the history is, and how it is kept.
    pub(super) fn place(&self) -> (Arc<dyn Disk>, HistorySettings) {
        (Arc::clone(&self.disk), self.settings)
    }

    #[inline]
    fn add(&mut self, code: &CodeSpace, ticks: u64, put: impl FnOnce(&mut Out<'_>)) {
        self.told = ticks;
        self.journal.put(|to| put(&mut Out { code, to }));
    }
}

impl World {
    /// An input takes effect now.
    pub(crate) fn note(&mut self, input: impl FnOnce() -> Input) {
        self.note_as(|out| input().put(out));
    }

    /// An input takes effect now that this writes.
    #[inline]
    pub(super) fn note_as(&mut self, put: impl FnOnce(&mut Out<'_>)) {
        if self.has_lost_actors() {
            return;
        }
        if let History::Kept(kept) = &mut self.history {
            let ticks = self.tick;
            kept.add(&self.code, ticks, |out| Record::put_input(out, ticks, put));
        }
    }

    /// An input takes effect now whose record has few bytes, which this writes behind its head.
    #[inline]
    pub(super) fn note_short(&mut self, put: impl FnOnce(&mut ShortRecord<'_>)) {
        if self.has_lost_actors() {
            return;
        }
        if let History::Kept(kept) = &mut self.history {
            kept.told = self.tick;
            if kept.head.0 != self.tick {
                kept.head = (self.tick, Record::short_head(self.tick));
            }
            kept.journal.put_short(&kept.head.1, put);
        }
    }

    /// A tick begins: what leaves the world from now on has it as its cause.
    pub(super) fn note_tick(&mut self) {
        let History::Kept(kept) = &mut self.history else {
            return;
        };
        kept.ticks = self.tick + 1;
        let Some(marker) = &self.marker else { return };
        if let Some(error) = marker.error() {
            kept.journal.fail(error);
        }
        if marker.marks_ticks() {
            // What entered before the tick is to be there if the tick ends the process.
            kept.journal.write();
        }
    }

    /// Does something by which much may leave the world: all of it is handed over to the journal together, also when a panic ends it.
    pub(super) fn gathering(&mut self, act: impl FnOnce(&mut World)) {
        let History::Kept(kept) = &mut self.history else {
            return act(self);
        };
        kept.journal.gather();
        // The panic goes on.
        let done = catch_unwind(AssertUnwindSafe(|| act(self)));
        if let History::Kept(kept) = &mut self.history {
            kept.journal.end_gathering();
        }
        if let Err(panic) = done {
            resume_unwind(panic);
        }
    }

    /// Lets something leave the world, once its cause is in the journal; never, when the world only repeats what it did.
    pub(super) fn leave(&mut self, when: Leaves, what: impl FnOnce() + Send + 'static) {
        if self.has_lost_actors() {
            return;
        }
        match &mut self.history {
            History::Nothing => what(),
            History::Repeated { .. } => {}
            History::Kept(kept) => {
                if kept.told < kept.ticks {
                    let ticks = kept.ticks;
                    self.close_horizon(ticks);
                }
                if let History::Kept(kept) = &mut self.history {
                    kept.journal.then(when, what);
                }
            }
        }
    }

    /// So many ticks are done, or will be when this one is, and nothing else has entered the world. If the world knows its trajectory, the
    /// journal has it from now on, as it was when the last tick was over.
    fn close_horizon(&mut self, ticks: u64) {
        let (done, numbers) = (self.tick, self.numbers());
        let trajectory = self.trajectory();
        let History::Kept(kept) = &mut self.history else {
            return;
        };
        if let Some(TrajectoryHash(trajectory)) = trajectory
            && kept.witnessed < done
        {
            kept.witnessed = done;
            let witness = Record::Witness {
                ticks: done,
                trajectory,
                numbers,
            };
            kept.add(&self.code, done, |out| witness.put(out));
        }
        if kept.told < ticks {
            kept.add(&self.code, ticks, |out| Record::Horizon { ticks }.put(out));
        }
    }

    /// A tick is over: the journal may have to know, and a checkpoint may be due.
    #[inline(never)]
    pub(super) fn note_tick_end(&mut self) {
        let History::Kept(kept) = &mut self.history else {
            return;
        };
        let ticks = self.tick;
        if ticks.is_multiple_of(HANDED_OVER_TICKS) {
            kept.journal.hand_over();
        }
        let horizon_ticks = kept.settings.horizon_ticks.min(GAP_MAX);
        if ticks >= kept.told.saturating_add(horizon_ticks) {
            self.close_horizon(ticks);
        }
        let History::Kept(kept) = &mut self.history else {
            return;
        };
        let bytes_max = kept.settings.capture_bytes.max(1);
        let is_due = ticks
            >= kept
                .checkpoint
                .saturating_add(kept.settings.checkpoint_ticks);
        if self.is_capturing() {
            self.capture(bytes_max);
        } else if is_due {
            self.begin_checkpoint_now();
        }
    }

    /// The world is about to sleep, or is left alone.
    pub(super) fn hand_history_over(&mut self) {
        if self.trajectory.is_some() {
            self.close_horizon(self.tick);
        }
        if let History::Kept(kept) = &mut self.history {
            kept.journal.hand_over();
        }
    }

    /// Begins a checkpoint, which is captured and written while the world goes on, unless one is being written, or the world cannot go on. It
    /// is of the state as it is, or, where there are actors with many objects, as it is some ticks later, when most of these have been
    /// written.
    pub fn begin_checkpoint(&mut self) {
        if self.broken().is_none() {
            self.begin_checkpoint_now();
        }
    }

    fn begin_checkpoint_now(&mut self) {
        let tick = self.tick;
        let can_be_increment = self.can_capture_changes();
        let History::Kept(kept) = &mut self.history else {
            return;
        };
        let (done, newest, journal) = kept
            .keeper
            .published(|published| (published.done, published.newest, published.journal));
        if done < kept.begun {
            return;
        }
        kept.journal.trim(journal);
        kept.base = newest.filter(|newest| {
            can_be_increment
                && *newest < tick
                && *newest == kept.checkpoint
                && kept.increments < kept.settings.increments.min(CHAIN_MAX as u64 - 1)
        });
        kept.begun = done + 1;
        kept.checkpoint = tick;
        let to = kept.keeper.begin();
        let everything = kept.base.is_none();
        self.begin_capture(everything, to);
        self.capture(1);
    }

    /// Sets the mark of the checkpoint that was begun: it is of the state as it is.
    fn mark_checkpoint(&mut self) {
        let (ticks, outputs) = (self.tick, self.outside.outputs);
        let History::Kept(kept) = &mut self.history else {
            return;
        };
        let head = Head {
            ticks,
            journal: kept.journal.next(),
            outputs,
            base: kept.base,
        };
        kept.checkpoint = ticks;
        kept.behind = head.journal;
        kept.increments = match head.base {
            Some(_) => kept.increments + 1,
            None => 0,
        };
        self.mark_capture(head);
    }

    /// Goes on with a checkpoint.
    fn capture(&mut self, bytes_max: usize) {
        match self.go_on_capturing(bytes_max) {
            Captured::Ready => self.mark_checkpoint(),
            // What stands behind a checkpoint must not be less durable than the checkpoint, and what it has said has left: its end comes
            // when that is so. If nobody takes it, the keeper says why it has given up.
            Captured::All(end, to) => {
                self.leave(Leaves::BehindOutputs, move || drop(to.send(end)));
            }
            Captured::Nothing | Captured::Some | Captured::Lost => {}
        }
    }

    /// Writes a checkpoint of the state as it is, and waits until it is published. Nothing for a world that keeps no history.
    ///
    /// # Errors
    /// Why it was not published.
    pub fn checkpoint(&mut self) -> Result<Option<u64>, String> {
        if let Some(reason) = self.broken() {
            return Err(reason);
        }
        // One that fails says nothing about the next.
        let _ = self.complete_checkpoint();
        let History::Kept(kept) = &self.history else {
            return Ok(None);
        };
        let newest = kept.keeper.published(|published| published.newest);
        // Inputs may have taken effect since, at the same tick.
        if newest != Some(self.tick) || kept.behind != kept.journal.next() {
            self.begin_checkpoint_now();
            self.complete_checkpoint()?;
        }
        Ok(Some(self.tick))
    }

    /// Completes the checkpoint that was begun, if there is one, and waits until it is published.
    fn complete_checkpoint(&mut self) -> Result<(), String> {
        while self.is_capturing() {
            self.capture(usize::MAX);
            self.ensure_whole()?;
            if self.is_capturing() {
                // The disk is slower than the capture.
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.flush()?;
        let History::Kept(kept) = &self.history else {
            return Ok(());
        };
        let error = kept.keeper.wait(kept.begun);
        self.set_gauges();
        error.map_or(Ok(()), |error| Err(format!("the checkpoint: {error}")))
    }

    /// Waits until the directory has only the checkpoints that stay. Everything was flushed.
    pub(super) fn settle_checkpoints(&self) {
        let History::Kept(kept) = &self.history else {
            return;
        };
        if !self.is_capturing() {
            // Its last block is on its way. What has become of it is told elsewhere.
            let _ = kept.keeper.wait(kept.begun);
        }
        kept.keeper.settle();
    }

    /// Waits until the cause of what has happened so far is durable, though not until outputs have left.
    pub(super) fn confirm(&mut self) -> Result<(), String> {
        if !self.keeps_history() {
            return Ok(());
        }
        let (confirms, confirmed) = std::sync::mpsc::sync_channel(1);
        self.leave(Leaves::AtOnce, move || {
            // The other end is here until it has come.
            let _ = confirms.send(());
        });
        if let History::Kept(kept) = &self.history {
            kept.journal.urge();
        }
        confirmed.recv().map_err(|_| {
            // What was to happen is dropped before the reason is known.
            if let History::Kept(kept) = &mut self.history {
                kept.journal.flush();
            }
            let error = self.history_error();
            format!("the journal: {}", error.unwrap_or_default())
        })
    }

    /// Waits until all that has entered the world so far is durable, and what leaves because of it has left.
    ///
    /// # Errors
    /// Why the history cannot be kept any more.
    pub fn flush(&mut self) -> Result<(), String> {
        self.ensure_whole()?;
        self.lost_history().map_or(Ok(()), Err)?;
        self.close_horizon(self.tick);
        self.leave(Leaves::AtOnce, || {});
        let History::Kept(kept) = &mut self.history else {
            return Ok(());
        };
        kept.journal.flush();
        let error = kept.journal.error();
        error.map_or(Ok(()), |error| Err(format!("the journal: {error}")))
    }

    /// Whether the world does again what it has done.
    pub(crate) fn is_replay(&self) -> bool {
        self.history.is_replay()
    }

    /// Whether the world keeps its history.
    pub fn keeps_history(&self) -> bool {
        matches!(self.history, History::Kept(_))
    }

    /// Whether [`World::history_error`] says something.
    pub(super) fn history_has_failed(&self) -> bool {
        matches!(&self.history, History::Kept(kept) if kept.journal.has_failed())
            || self.halted().is_some()
            || (self.marker.is_some() || self.has_lost_actors()) && self.broken().is_some()
    }

    /// What was written of the history; nothing for a world that keeps none.
    pub fn history_statistics(&self) -> Option<HistoryStatistics> {
        let History::Kept(kept) = &self.history else {
            return None;
        };
        Some(kept.keeper.published(|published| HistoryStatistics {
            checkpoints: published.count,
            newest_checkpoint: published.newest,
            page_bytes: self.page_bytes(),
        }))
    }

    /// Why the last checkpoint was not published, or older ones could not be removed behind it, if so: the world goes on, and its journal grows
    /// until one is, and they are.
    pub fn checkpoint_error(&self) -> Option<String> {
        match &self.history {
            History::Kept(kept) => kept.keeper.published(Published::error),
            _ => None,
        }
    }

    /// Why the history cannot be kept any more, or the world has halted, if so: it does no more ticks, and should be stopped.
    pub fn history_error(&self) -> Option<String> {
        let journal = || match &self.history {
            History::Kept(kept) => kept.journal.error(),
            _ => None,
        };
        let broken = self.broken().or_else(journal);
        broken.or_else(|| self.halted().map(str::to_owned))
    }
}
