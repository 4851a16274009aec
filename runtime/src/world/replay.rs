//! Time travel: a world that does again what is in a history, forward and backward, and says nothing to the outside.
//!
//! A step backward is a step forward from an earlier checkpoint.

use std::sync::Arc;

use super::course::{Course, Treatment};
use super::history::{History, Listener};
use super::{RecordedInput, RollbackReport, World, WorldBuilder};
use crate::actor::{Actor, ActorId, Outbox, Status, Wait, run_slice};
use crate::checkpoint::{
    CheckpointFlaw, CheckpointInfo, Loaded, RecoveryError, SystemCheckpoint, infos, load, names_of,
};
use crate::disk::Disk;
use crate::host::HostCallView;
use crate::inspect::ActorStack;
use crate::journal::{self, Journal, JournalTail, Record, Records, Survey};
use crate::portable::{Portable, Shared, bytes_of, read_with};

/// A world that does again what is in a history.
#[derive(Debug)]
pub struct Replay {
    world: World,
    disk: Arc<dyn Disk>,
    /// What the journal has behind the oldest checkpoint.
    journal: Survey,
    /// The course that the world has taken.
    course: Course,
    /// Its records from the next on that takes effect.
    records: Records,
    /// The first and the last tick of the history.
    range: (u64, u64),
}

fn contradiction(text: String) -> RecoveryError {
    RecoveryError::Contradiction(text)
}

/// How many ticks the world had done at a record.
fn ticks_of(record: &[u8]) -> Result<u64, RecoveryError> {
    Record::ticks_of(record).map_err(|error| RecoveryError::State {
        part: "a record of the journal".to_owned(),
        error,
    })
}

/// The oldest state that can be read and is of the course of a history, the journal behind it, and that course.
pub(super) fn load_oldest(
    disk: &dyn Disk,
    threads: usize,
) -> Result<(Loaded, Survey, Course), RecoveryError> {
    let names = names_of(disk).map_err(|error| RecoveryError::Disk {
        what: "the directory of the history".to_owned(),
        error,
    })?;
    let mut first_flaw = None;
    for ticks in names {
        match load(disk, threads, ticks, |_| true) {
            Ok(loaded) => {
                let journal = journal::survey(disk, loaded.head.journal)?;
                let course = Course::of(&journal);
                if course.has(loaded.head.journal) {
                    return Ok((loaded, journal, course));
                }
            }
            // It may be sound.
            Err(error @ RecoveryError::Disk { .. }) => return Err(error),
            Err(error) => {
                first_flaw.get_or_insert(error);
            }
        }
    }
    Err(first_flaw.unwrap_or(RecoveryError::NoCheckpoint(Vec::new())))
}

impl WorldBuilder {
    /// A world that does again what is in a history, beginning with the oldest checkpoint. Outputs and calls of the embedder's functions
    /// do not happen: answers are those that there were.
    ///
    /// # Errors
    /// Why the history cannot be used.
    pub fn replay(self, disk: Arc<dyn Disk>) -> Result<Replay, RecoveryError> {
        let mut world = self.build()?;
        let threads = world.pool.threads();
        let (oldest, journal, course) = load_oldest(&*disk, threads)?;
        let ticks = oldest.head.ticks;
        let newest = load(&*disk, threads, u64::MAX, |record| course.has(record))?;
        let last = journal.ticks.unwrap_or(ticks).max(newest.head.ticks);
        world.history = History::repeated(u64::MAX, Vec::new());
        let records = Records::new(Arc::clone(&disk), &journal, journal.from);
        let mut replay = Replay {
            world,
            disk,
            journal,
            course,
            records,
            range: (ticks, last),
        };
        replay.begin_at(ticks)?;
        Ok(replay)
    }
}

impl Replay {
    /// The world as it was then. It can be looked at; a change would not be history.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Has somebody see what happens, as [`World::observe`] does; each time that it happens again.
    pub fn observe(&mut self, observer: impl FnMut(&super::WorldEvent<'_>) + Send + 'static) {
        self.world.observe(observer);
    }

    /// Ticks that the world has done.
    pub fn tick(&self) -> u64 {
        self.world.ticks()
    }

    /// The first and the last tick that the history knows.
    pub fn range(&self) -> (u64, u64) {
        self.range
    }

    /// The end of the journal that cannot be read, because its process died while it wrote.
    pub fn tail(&self) -> Option<&JournalTail> {
        self.journal.tail.as_ref()
    }

    /// Takes the newest checkpoint of at most so many ticks.
    fn begin_at(&mut self, ticks: u64) -> Result<(), RecoveryError> {
        let threads = self.world.pool.threads();
        let mut loaded = load(&*self.disk, threads, ticks, |record| {
            self.course.has(record)
        })?;
        if self.world.take_loaded(&mut loaded, &*self.disk).is_err() {
            // A world that goes on in this directory may have removed it meanwhile. What is damaged is so again.
            loaded = load(&*self.disk, threads, ticks, |record| {
                self.course.has(record)
            })?;
            self.world.take_loaded(&mut loaded, &*self.disk)?;
        }
        self.course.witness_again();
        let head = loaded.head;
        if head.journal < self.journal.from {
            return Err(contradiction(format!(
                "a checkpoint of tick {} before the oldest",
                head.ticks
            )));
        }
        self.records = Records::new(Arc::clone(&self.disk), &self.journal, head.journal);
        Ok(())
    }

    /// Goes to the state after so many ticks, forward or backward, before what entered the world then.
    ///
    /// # Errors
    /// When the history does not know it, or cannot be used.
    pub fn go_to(&mut self, ticks: u64) -> Result<(), RecoveryError> {
        let (from, to) = self.range;
        if !(from..=to).contains(&ticks) {
            return Err(RecoveryError::NoSuchTick {
                asked: ticks,
                from,
                to,
            });
        }
        let is_ahead = self.tick() < ticks;
        let names = names_of(&*self.disk).unwrap_or_default();
        let newest = names.into_iter().filter(|name| *name <= ticks).max();
        let has_nearer = newest.is_some_and(|newest| newest > self.tick());
        let has_own_trajectory = !self.course.is_witnessed(u64::MAX);
        if !is_ahead || has_nearer || has_own_trajectory {
            self.begin_at(ticks)?;
        }
        self.forward_from_here(ticks)
    }

    /// The world, for who knows that it does the same in spite of what is changed.
    pub(super) fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// From here on its states are compared by somebody else, and not with what the journal knows of them, until it takes a checkpoint.
    pub(super) fn unwitness(&mut self) {
        self.course.unwitness(0);
    }

    /// Goes forward to the state after so many ticks, tick by tick from the one that there is, so that whoever observes it misses
    /// nothing.
    ///
    /// # Errors
    /// When the history cannot be used.
    pub fn forward_from_here(&mut self, ticks: u64) -> Result<(), RecoveryError> {
        while self.tick() < ticks {
            self.enter_inputs()?;
            self.world.repeat_tick()?;
        }
        Ok(())
    }

    /// One tick forward.
    ///
    /// # Errors
    /// As [`Replay::go_to`].
    pub fn forward(&mut self) -> Result<(), RecoveryError> {
        self.go_to(self.tick().saturating_add(1))
    }

    /// One tick backward.
    ///
    /// # Errors
    /// As [`Replay::go_to`].
    pub fn back(&mut self) -> Result<(), RecoveryError> {
        let ticks = self.tick().checked_sub(1);
        self.go_to(ticks.ok_or(RecoveryError::NoSuchTick {
            asked: 0,
            from: self.range.0,
            to: self.range.1,
        })?)
    }

    /// Lets what entered the world at this tick take effect.
    fn enter_inputs(&mut self) -> Result<(), RecoveryError> {
        let ticks = self.tick();
        while let Some((number, record)) = self.records.peek()?
            && ticks_of(record)? <= ticks
        {
            self.world.repeat((number, record), &self.course, ticks)?;
            self.records.skip();
        }
        Ok(())
    }

    /// Goes to the tick in which an actor used so much gas, and looks at the actor in the middle of its turn, where the next instruction
    /// would go beyond that: where it stands, and its variables. Nothing when it never used as much.
    ///
    /// # Errors
    /// When the history cannot be used.
    pub fn go_to_actor(
        &mut self,
        actor: ActorId,
        gas: u64,
    ) -> Result<Option<ActorStack>, RecoveryError> {
        let (first, last) = self.range;
        self.go_to(first)?;
        loop {
            if self.tick() >= last {
                return Ok(None);
            }
            let was_there = self.gas_of(actor).is_some();
            self.enter_inputs()?;
            self.world.repeat_tick()?;
            let now = self.gas_of(actor);
            if now >= Some(gas) || (was_there && now.is_none()) {
                break;
            }
        }
        self.go_to(self.tick() - 1)?;
        self.enter_inputs()?;
        let Some(mut copy) = self.copy_of(actor)? else {
            return Ok(None);
        };
        self.world.run_apart(&mut copy, gas);
        // It may have ended before.
        let has_used = copy.fiber.gas_used();
        let is_there = has_used >= gas || !matches!(copy.body.status, Status::Ended(_));
        Ok(is_there.then(|| self.world.stack_of(&copy)))
    }

    fn gas_of(&self, actor: ActorId) -> Option<u64> {
        let actor = self.world.actors.get(actor)?;
        Some(actor.fiber.gas_used())
    }

    fn copy_of(&self, actor: ActorId) -> Result<Option<Box<Actor>>, RecoveryError> {
        let Some(actor) = self.world.actors.get(actor) else {
            return Ok(None);
        };
        let bytes = bytes_of(&self.world.code, &*actor);
        let mut shared = Shared::new(self.world.settings.memory_bytes);
        let copy = read_with(&self.world.code, &bytes, &mut shared, Actor::get);
        let copy = copy.map_err(|error| RecoveryError::State {
            part: "a copy of an actor".to_owned(),
            error,
        })?;
        Ok(Some(Box::new(copy)))
    }

    /// The world goes on from here by itself, as another one: what it tells the outside is not heard, calls of the embedder's functions
    /// fail, and actors hold none of the capabilities but those that are named. Its history is not kept, unless somebody
    /// begins to.
    #[must_use]
    pub fn fork(mut self, capabilities: &[&str]) -> World {
        self.world.history = History::default();
        self.world.mute();
        self.world.keep_only(capabilities);
        self.world
    }

    /// What the checkpoints of the history hold, the oldest first, and which of them cannot be read.
    pub fn checkpoints(&self) -> (Vec<CheckpointInfo>, Vec<CheckpointFlaw>) {
        infos(&*self.disk, self.world.pool.threads())
    }

    /// Inputs since the oldest checkpoint.
    pub fn input_count(&self) -> u64 {
        self.journal.inputs
    }

    /// Shows all inputs since the oldest checkpoint in their order, each with whether a rollback has left it out.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn see_inputs(
        &self,
        mut see: impl FnMut(&RecordedInput<'_>, bool),
    ) -> Result<(), RecoveryError> {
        let first = self.journal.from;
        let mut records = Records::new(Arc::clone(&self.disk), &self.journal, first);
        while let Some((number, record)) = records.peek()? {
            let tick = ticks_of(record)?;
            if let Some(input) = self.world.read_input(record)? {
                let is_left_out = self.course.treatment(number) != Treatment::Done;
                let recorded = RecordedInput {
                    number,
                    tick,
                    input: &input,
                };
                see(&recorded, is_left_out);
            }
            records.skip();
        }
        Ok(())
    }

    /// The rollbacks since the oldest checkpoint, in their order.
    pub fn rollbacks(&self) -> Vec<RollbackReport> {
        let all = self.course.rollbacks().iter();
        all.map(RollbackReport::of).collect()
    }

    /// Has somebody hear what left the world, each time that it would leave again.
    pub fn hear(&mut self, listener: impl Fn(&HostCallView<'_>) + Send + Sync + 'static) {
        self.world.listener = Some(Listener(Box::new(listener)));
    }

    /// Adds to another journal what this one has from here to a tick, and that it was reached.
    pub(super) fn copy_records(&self, to: &mut Journal, ticks: u64) -> Result<(), RecoveryError> {
        let mut records = self.records.again(&self.journal);
        while let Some((_, record)) = records.peek()?
            && ticks_of(record)? <= ticks
        {
            to.add(record);
            records.skip();
        }
        let horizon = Record::Horizon { ticks };
        to.add(&bytes_of(&self.world.code, &horizon));
        Ok(())
    }

    /// The state as it is.
    pub fn to_checkpoint(&self) -> SystemCheckpoint {
        self.world.to_checkpoint()
    }
}

impl World {
    /// A new world becomes a fork of a history: see [`Replay::fork`].
    ///
    /// # Errors
    /// When its state cannot be taken.
    pub fn become_fork(
        &mut self,
        past: Replay,
        capabilities: &[&str],
    ) -> Result<(), RecoveryError> {
        self.take_checkpoint(&past.fork(capabilities).to_checkpoint())
    }

    /// Runs an actor that is not in the world until it has used so much gas, as it would run in a turn; what it does to others
    /// is forgotten.
    fn run_apart(&mut self, actor: &mut Actor, gas: u64) {
        if let Status::Waits(Wait::Debt(status)) = &mut actor.body.status {
            actor.body.status = std::mem::replace(&mut **status, Status::Ready);
        }
        if !matches!(actor.body.status, Status::Ready | Status::Due(_)) {
            return;
        }
        let left = gas.saturating_sub(actor.fiber.gas_used());
        let mut profile = self.optimizer.worker();
        let mut out = Outbox::default();
        run_slice(actor, &self.common(), &mut profile, &mut out, left);
    }
}
