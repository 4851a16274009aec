//! Rollbacks: a history is done again from an older state, without some of its inputs.
//!
//! Both courses are done from the same state on, the old one first, so that it is known what the outside has heard of it and which answers were given
//! to which calls. What an actor said as its first, second, third output since then is compared with what it says now: the same is not
//! said again, something else in its place is a conflict and does not leave the world, what comes behind all that is new. An answer to a call that is
//! not made any more, or not like that, is withheld; then the call is made again. All of this is one record in the journal
//! (`course`): before it is written nothing has changed, after it everything has.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use super::course::{Course, Numbers, OutputConflict, Rolled, Treatment, load_course};
use super::history::{History, HistorySettings, Listener};
use super::recovery::{Repeated, failed};
use super::{Input, Recovery, World};
use crate::actor::{ActorId, ActorTable, Status, Wait};
use crate::checkpoint::{RecoveryError, SystemCheckpoint};
use crate::disk::Disk;
use crate::journal::{
    self, Durability, Journal, JournalSettings, Record, Records, Rollback, Survey,
};
use crate::portable::{Portable, Shared, bytes_of, read_with};

/// An input as a history has it.
#[derive(Clone, Copy, Debug)]
pub struct RecordedInput<'a> {
    /// The number of its record in the journal.
    pub number: u64,
    /// Ticks that the world had done when it took effect.
    pub tick: u64,
    /// What it says.
    pub input: &'a Input,
}

impl RecordedInput<'_> {
    /// The session in which a client said it, if one did.
    pub fn session(&self) -> Option<u64> {
        self.input.session()
    }
}

/// What a rollback has done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RollbackReport {
    /// The number of its record in the journal.
    pub number: u64,
    /// Ticks of the state from which on the history was done again.
    pub from: u64,
    /// Ticks of the state that was reached.
    pub to: u64,
    /// Inputs that were left out, by their numbers.
    pub without: Vec<u64>,
    /// Answers to calls that are not made any more, by their numbers.
    pub withheld: Vec<u64>,
    /// What the outside has heard and the world does not say any more; of very many the first.
    pub conflicts: Vec<OutputConflict>,
    /// How many these are.
    pub conflict_count: u64,
    /// Outputs that nobody has heard so far.
    pub new_outputs: u64,
    /// Why the world did it by itself; nothing when somebody did it.
    pub why: Option<String>,
}

impl RollbackReport {
    pub(super) fn of(rollback: &Rollback) -> RollbackReport {
        let rolled = &rollback.rolled;
        RollbackReport {
            number: rollback.number,
            from: rolled.ticks,
            to: rollback.ticks,
            without: rolled.without.clone(),
            withheld: rolled.withheld.clone(),
            conflicts: rolled.conflicts.clone(),
            conflict_count: rolled.conflict_count,
            new_outputs: rolled.fresh.len() as u64,
            why: rollback.why.clone(),
        }
    }
}

/// Conflicts that are told one by one.
const CONFLICTS_MAX: usize = 1_000;
/// Bytes of an output that a conflict shows.
const SHOWN_BYTES: usize = 200;

/// An output, as far as it is compared.
struct Said {
    number: u64,
    digest: [u8; 32],
    text: String,
}

/// Outputs by who said them, in their order.
type Sayings = BTreeMap<ActorId, Vec<Said>>;

fn no_rollback(reason: impl Into<String>) -> RecoveryError {
    RecoveryError::NoRollback(reason.into())
}

impl World {
    /// A new world goes on with the history of a directory, as [`World::keep_history`] has it, but does it again from the state after `to` ticks on, or
    /// from where it is needed, without the inputs that `leave_out` names. A tick that has ended processes is not done in the old course.
    ///
    /// # Errors
    /// Why that cannot be; then nothing has changed in the history.
    pub fn keep_history_without(
        &mut self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
        to: Option<u64>,
        leave_out: impl FnMut(&RecordedInput<'_>) -> bool,
    ) -> Result<(Recovery, RollbackReport), RecoveryError> {
        self.take_history_up(&*disk)?;
        let from = find_first(&disk, self.pool.threads(), to, leave_out)?;
        self.roll_back_in(disk, settings, from, None)
    }

    /// Goes back to the state after `to` ticks, or to where it is needed, and does all inputs since again without those that `leave_out` names. Who waits for
    /// an answer learns that there will be none.
    ///
    /// # Errors
    /// Why that cannot be. When nothing is to be left out, or it cannot be left out, the world goes on; after another error it halts, and can be recovered
    /// from its history, in which nothing has changed.
    pub fn roll_back(
        &mut self,
        to: Option<u64>,
        leave_out: impl FnMut(&RecordedInput<'_>) -> bool,
    ) -> Result<(Recovery, RollbackReport), RecoveryError> {
        if let Some(reason) = self.broken() {
            return Err(no_rollback(reason));
        }
        self.flush().map_err(no_rollback)?;
        let History::Kept(kept) = &self.history else {
            return Err(no_rollback("the world keeps no history"));
        };
        let (disk, settings) = kept.place();
        self.settle_checkpoints();
        let from = find_first(&disk, self.pool.threads(), to, leave_out)?;
        self.leave_history();
        let done = self.roll_back_in(disk, settings, from, None);
        if let Err(error) = &done {
            self.going_back.halts(format!(
                "a rollback has failed: {error}; the world has to be recovered from its history"
            ));
        }
        done
    }

    /// The world is about to take another state of its history. The end of the journal is written before it is read, nothing is captured
    /// any more, and the actors that there are need not be in memory beside others.
    pub(super) fn leave_history(&mut self) {
        self.marks = None;
        self.history = History::Nothing;
        self.outside.calls.give_up();
        self.going_back.goes_on();
        self.let_go();
    }

    fn let_go(&mut self) {
        self.actors.become_like(ActorTable::default(), &self.code);
    }

    /// Takes a state in place of its own, which is lost if that cannot be.
    pub(super) fn become_again(&mut self, state: &SystemCheckpoint) -> Result<(), RecoveryError> {
        self.let_go();
        self.take_state_of(state)
    }

    /// Goes back, and does all again but what is left out; if it does so by itself, it is said why.
    pub(super) fn roll_back_in(
        &mut self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
        from: First,
        why: Option<String>,
    ) -> Result<(Recovery, RollbackReport), RecoveryError> {
        let (mut loaded, journal, course) =
            load_course(&*disk, self.pool.threads(), u64::MAX, from.record)?;
        let released = journal.released.max(loaded.head.outputs);
        self.history = History::repeated(released, Vec::new());
        let checkpoint = loaded.head.ticks;
        self.take_loaded(&mut loaded, &*disk)?;
        let mut past = Past {
            disk: Arc::clone(&disk),
            journal,
            course,
            from: from.record,
            ticks_max: u64::MAX,
        };
        past.course.unwitness(from.record);
        past.begin(self)?;
        // What was said before that and may not have left is no part of either course.
        let before = mem::replace(&mut self.history, History::repeated(u64::MAX, Vec::new()));
        let ticks = self.ticks();
        let state = self.to_checkpoint();
        let suspect = self.marker.as_ref().and_then(|marker| marker.suspect());
        // Nothing of a tick that ends the process has left the world.
        past.ticks_max = suspect.map_or(u64::MAX, |suspect| suspect.tick);
        let mut old = past.old_course(self)?;
        // What was not done again in the same way may have said less.
        old.numbers.outputs = old.numbers.outputs.max(released);
        past.ticks_max = u64::MAX;
        self.history = History::repeated(old.numbers.outputs, before.unreleased());
        self.become_again(&state)?;
        self.number_outputs_beyond(old.numbers.outputs);
        let (withheld, new) =
            self.heard(|world| past.with_all_but(world, &from.without, &old.calls))?;
        let reached = self.ticks();
        let mut rolled = Rolled {
            from: from.record,
            ticks,
            without: from.without,
            withheld,
            numbers: old.numbers,
            fresh: Vec::new(),
            again: BTreeMap::new(),
            last_output: self.outside.outputs,
            conflicts: Vec::new(),
            conflict_count: 0,
        };
        compare(old.said, new, released, &mut rolled);
        self.go_beyond(old.numbers);
        let rollback = Rollback {
            number: past.journal.end.next,
            ticks: reached,
            rolled,
            why,
        };
        let report = RollbackReport::of(&rollback);
        if rollback.why.is_some() {
            self.note_gone_back();
        }
        let journal = past.append(rollback, released)?;
        if let Some(marker) = &mut self.marker {
            marker.forgets();
        }
        self.going_back.goes_on();
        let repeated = Repeated {
            recovery: Recovery {
                checkpoint: Some(checkpoint),
                inputs: journal.inputs,
                ..Recovery::default()
            },
            course: Course::of(&journal),
            released,
            useless: Vec::new(),
            unusable: Vec::new(),
            end: journal.end,
        };
        let recovery = self.keep_on(disk, settings, repeated)?;
        // It has happened: without a checkpoint behind it the journal tells, and the world says why there is none.
        let _ = self.checkpoint();
        Ok((recovery, report))
    }

    /// What an actor asks in a wait, if it still waits, as a hash.
    fn call_of(&self, input: &Input) -> Option<[u8; 32]> {
        let Input::HostAnswer { actor, wait, .. } = input else {
            return None;
        };
        let body = &self.actors.get(*actor)?.body;
        match &body.status {
            Status::Waits(Wait::Host { request }) if body.waits == *wait => {
                Some(request.digest(&self.code))
            }
            _ => None,
        }
    }

    /// Hears what the world says while something is done.
    fn heard<T>(
        &mut self,
        what: impl FnOnce(&mut World) -> Result<T, RecoveryError>,
    ) -> Result<(T, Sayings), RecoveryError> {
        let sayings = Arc::<Mutex<Sayings>>::default();
        let hears = Arc::clone(&sayings);
        let listener = Listener(Box::new(move |call| {
            let mut text = format!("{} {}", call.function(), call.text());
            let shown = text.floor_char_boundary(SHOWN_BYTES);
            text.truncate(shown);
            let said = Said {
                number: call.number(),
                digest: call.digest(),
                text,
            };
            let mut sayings = hears.lock().unwrap_or_else(PoisonError::into_inner);
            sayings.entry(call.from()).or_default().push(said);
        }));
        let before = self.listener.replace(listener);
        let done = what(self);
        self.listener = before;
        let sayings = mem::take(&mut *sayings.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((done?, sayings))
    }
}

/// From where on a history is done again.
pub(super) struct First {
    pub(super) record: u64,
    pub(super) without: Vec<u64>,
}

/// Shows each record since the oldest state of a history: its number, its ticks, and its input, if it has one that was not left out. The
/// ticks of that state, and those of the last record.
pub(super) fn see_records(
    disk: &Arc<dyn Disk>,
    threads: usize,
    mut see: impl FnMut(u64, u64, Option<&Input>) -> Result<(), RecoveryError>,
) -> Result<(u64, u64), RecoveryError> {
    // The oldest state that is of the course tells how far back the history goes.
    let (loaded, journal, course) = super::replay::load_oldest(&**disk, threads)?;
    let (oldest, first) = (loaded.head.ticks, loaded.head.journal);
    drop(loaded);
    let mut records = Records::new(Arc::clone(disk), &journal, first);
    while let Some((number, bytes)) = records.peek()? {
        let record = Record::read(bytes).map_err(wrong)?;
        let tick = Record::ticks_of(bytes).map_err(wrong)?;
        let input = match &record {
            Record::Input { input, .. } => Some(input),
            _ => None,
        };
        let is_done = course.treatment(number) == Treatment::Done;
        see(number, tick, input.filter(|_| is_done))?;
        records.skip();
    }
    Ok((oldest, journal.ticks.unwrap_or(oldest)))
}

/// Looks for the inputs that are left out.
pub(super) fn find_first(
    disk: &Arc<dyn Disk>,
    threads: usize,
    to: Option<u64>,
    mut leave_out: impl FnMut(&RecordedInput<'_>) -> bool,
) -> Result<First, RecoveryError> {
    let (mut begin, mut without) = (None, Vec::new());
    let (from, last) = see_records(disk, threads, |number, tick, input| {
        if to.is_some_and(|to| to <= tick) {
            begin = begin.or(Some(number));
        }
        let recorded = input.map(|input| RecordedInput {
            number,
            tick,
            input,
        });
        if recorded.is_some_and(|recorded| leave_out(&recorded)) {
            if matches!(input, Some(Input::Load { .. })) {
                return Err(no_rollback(format!(
                    "input {number} loads a program, which does nothing by itself: leave out what starts actors of it"
                )));
            }
            without.push(number);
        }
        Ok(())
    })?;
    if let Some(asked) = to.filter(|to| *to < from) {
        return Err(RecoveryError::NoSuchTick {
            asked,
            from,
            to: last,
        });
    }
    let record = begin.into_iter().chain(without.first().copied()).min();
    match record {
        Some(record) => Ok(First { record, without }),
        None => Err(RecoveryError::NothingToLeaveOut),
    }
}

fn wrong(error: pw_isa::wire::DecodeError) -> RecoveryError {
    RecoveryError::State {
        part: "a record of the journal".to_owned(),
        error,
    }
}

/// What the old course was like.
struct Old {
    said: Sayings,
    calls: Calls,
    numbers: Numbers,
}

/// A history from the record on from which it is done again.
pub(super) struct Past {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) journal: Survey,
    pub(super) course: Course,
    pub(super) from: u64,
    pub(super) ticks_max: u64,
}

/// The calls that were answered, as hashes, by the numbers of the answers.
pub(super) type Calls = BTreeMap<u64, [u8; 32]>;

impl Past {
    /// Brings a world with the state of a checkpoint to where the first of the records takes effect.
    pub(super) fn begin(&self, world: &mut World) -> Result<(), RecoveryError> {
        let mut records = Records::new(Arc::clone(&self.disk), &self.journal, self.journal.from);
        while let Some((number, record)) = records.peek()? {
            if number >= self.from {
                return world.run_up_to(record, u64::MAX).map(drop);
            }
            world.repeat((number, record), &self.course, u64::MAX)?;
            records.skip();
        }
        Ok(())
    }

    /// Does what follows as it was, and hears what is said.
    fn old_course(&self, world: &mut World) -> Result<Old, RecoveryError> {
        let ((calls, numbers), said) = world.heard(|world| self.with_all(world))?;
        Ok(Old {
            said,
            calls,
            numbers,
        })
    }

    /// Does what follows as it was: the calls that were answered, and the numbers that were given.
    pub(super) fn with_all(&self, world: &mut World) -> Result<(Calls, Numbers), RecoveryError> {
        let (mut calls, mut numbers) = (Calls::new(), Numbers::default());
        let mut records = Records::new(Arc::clone(&self.disk), &self.journal, self.from);
        while let Some((number, record)) = records.peek()? {
            if !world.run_up_to(record, self.ticks_max)? {
                break;
            }
            if let Some(input) = world.read_input(record)? {
                calls.extend(world.call_of(&input).map(|call| (number, call)));
            }
            let witnessed = Record::witnessed_numbers(record).unwrap_or_default();
            numbers = numbers.max(witnessed);
            world.repeat((number, record), &self.course, self.ticks_max)?;
            records.skip();
        }
        Ok((calls, numbers.max(world.numbers())))
    }

    /// Does what follows without some inputs: the answers that are withheld.
    pub(super) fn with_all_but(
        &self,
        world: &mut World,
        without: &[u64],
        calls: &Calls,
    ) -> Result<Vec<u64>, RecoveryError> {
        let mut withheld = Vec::new();
        let mut records = Records::new(Arc::clone(&self.disk), &self.journal, self.from);
        while let Some((number, record)) = records.peek()? {
            world.run_up_to(record, u64::MAX)?;
            let input = world.read_input(record)?;
            let is_done = self.course.treatment(number) == Treatment::Done;
            if without.binary_search(&number).is_ok() {
                input.iter().for_each(|input| world.leave_out(input));
            } else if is_done
                && let Some(input @ Input::HostAnswer { .. }) = &input
                && world.call_of(input).as_ref() != calls.get(&number)
            {
                withheld.push(number);
            } else {
                world.repeat((number, record), &self.course, u64::MAX)?;
            }
            records.skip();
        }
        Ok(withheld)
    }

    /// Writes the record that makes it so, and looks at the journal again.
    fn append(&self, rollback: Rollback, released: u64) -> Result<Survey, RecoveryError> {
        let Rollback {
            ticks, rolled, why, ..
        } = rollback;
        let record = match why {
            None => Record::Rollback { ticks, rolled },
            Some(why) => Record::WentBack { ticks, rolled, why },
        };
        let settings = JournalSettings {
            durability: Durability::Sync,
            ..JournalSettings::default()
        };
        let end = &self.journal.end;
        let journal = Journal::go_on(Arc::clone(&self.disk), settings, end, released);
        let mut journal = journal.map_err(failed("the journal"))?;
        journal.add(&bytes_of(&pw_jit::CodeSpace::default(), &record));
        journal.finish().map_err(failed("the journal"))?;
        Ok(journal::survey(&*self.disk, self.journal.from)?)
    }
}

impl World {
    /// The input of a record, if it has one.
    pub(super) fn read_input(&self, record: &[u8]) -> Result<Option<Input>, RecoveryError> {
        if !Record::is_input(record) {
            return Ok(None);
        }
        let mut shared = Shared::new(self.settings.memory_bytes);
        match read_with(&self.code, record, &mut shared, Record::get).map_err(wrong)? {
            Record::Input { input, .. } => Ok(Some(input)),
            _ => Ok(None),
        }
    }
}

/// Compares what both courses said, actor by actor.
fn compare(mut old: Sayings, new: Sayings, released: u64, rolled: &mut Rolled) {
    let mut conflicts = Vec::new();
    for (from, said) in new {
        let mut before = old.remove(&from).unwrap_or_default().into_iter();
        for now in said {
            match before.next() {
                None => rolled.fresh.push(now.number),
                Some(was) if was.digest == now.digest => {
                    if was.number > released {
                        rolled.again.insert(now.number, was.number);
                    }
                }
                Some(was) => conflicts.push(OutputConflict {
                    number: was.number,
                    from,
                    was: was.text,
                    is: Some(now.text),
                }),
            }
        }
        conflicts.extend(before.map(|was| unsaid(from, was)));
    }
    for (from, said) in old {
        conflicts.extend(said.into_iter().map(|was| unsaid(from, was)));
    }
    rolled.fresh.sort_unstable();
    conflicts.sort_by_key(|conflict| conflict.number);
    rolled.conflict_count = conflicts.len() as u64;
    conflicts.truncate(CONFLICTS_MAX);
    rolled.conflicts = conflicts;
}

/// What an actor does not say any more.
fn unsaid(from: ActorId, was: Said) -> OutputConflict {
    OutputConflict {
        number: was.number,
        from,
        was: was.text,
        is: None,
    }
}
