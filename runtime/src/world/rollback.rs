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
use crate::actor::{ActorId, Status, Wait};
use crate::checkpoint::RecoveryError;
use crate::disk::Disk;
use crate::journal::{self, Durability, Journal, JournalSettings, Record, Records, Survey};
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
        match self.input {
            Input::Once { session, .. } => Some(*session),
            _ => None,
        }
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
}

impl RollbackReport {
    pub(super) fn of(number: u64, ticks: u64, rolled: &Rolled) -> RollbackReport {
        RollbackReport {
            number,
            from: rolled.ticks,
            to: ticks,
            without: rolled.without.clone(),
            withheld: rolled.withheld.clone(),
            conflicts: rolled.conflicts.clone(),
            conflict_count: rolled.conflict_count,
            new_outputs: rolled.fresh.len() as u64,
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
        mut leave_out: impl FnMut(&RecordedInput<'_>) -> bool,
    ) -> Result<(Recovery, RollbackReport), RecoveryError> {
        self.take_history_up(&*disk)?;
        let from = find_first(&disk, to, &mut leave_out)?;
        self.roll_back_in(disk, settings, from)
    }

    /// Goes back to the state after `to` ticks, or to where it is needed, and does all inputs since again without those that `leave_out` names. Who waits for
    /// an answer learns that there will be none.
    ///
    /// # Errors
    /// Why that cannot be. When nothing is to be left out, or it cannot be left out, the world goes on; after another error it can be recovered from
    /// its history, in which nothing has changed.
    pub fn roll_back(
        &mut self,
        to: Option<u64>,
        mut leave_out: impl FnMut(&RecordedInput<'_>) -> bool,
    ) -> Result<(Recovery, RollbackReport), RecoveryError> {
        if let Some(reason) = self.broken() {
            return Err(no_rollback(reason));
        }
        self.flush().map_err(no_rollback)?;
        let History::Kept(kept) = &self.history else {
            return Err(no_rollback("the world keeps no history"));
        };
        let (disk, settings) = kept.place();
        let from = find_first(&disk, to, &mut leave_out)?;
        // The end of the journal is written before it is read, and nothing is captured any more.
        self.marks = None;
        self.history = History::Nothing;
        self.outside.calls.give_up();
        self.roll_back_in(disk, settings, from)
    }

    fn roll_back_in(
        &mut self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
        from: First,
    ) -> Result<(Recovery, RollbackReport), RecoveryError> {
        let (mut loaded, journal, course) = load_course(&*disk, u64::MAX, from.record)?;
        let released = journal.released.max(loaded.head.outputs);
        self.history = History::repeated(released, Vec::new());
        let checkpoint = loaded.head.ticks;
        self.take_loaded(&mut loaded)?;
        let mut past = Past {
            disk: Arc::clone(&disk),
            journal,
            course,
            from: from.record,
            ticks_max: u64::MAX,
        };
        past.begin(self)?;
        // What was said before that and may not have left is no part of either course.
        let before = mem::replace(&mut self.history, History::repeated(u64::MAX, Vec::new()));
        let ticks = self.ticks();
        let state = self.to_checkpoint();
        let suspect = self.marker.as_ref().and_then(|marker| marker.suspect());
        // Nothing of a tick that ends the process has left the world.
        past.ticks_max = suspect.map_or(u64::MAX, |suspect| suspect.tick);
        let old = past.old_course(self)?;
        past.ticks_max = u64::MAX;
        self.history = History::repeated(old.numbers.outputs, before.unreleased());
        self.take_state_of(&state)?;
        self.number_outputs_beyond(old.numbers.outputs);
        let (withheld, new, reached) = past.new_course(self, &from.without, &old.calls)?;
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
        let report = RollbackReport::of(past.journal.end.next, reached, &rolled);
        let record = Record::Rollback {
            ticks: reached,
            rolled,
        };
        let journal = past.append(&record, released)?;
        if let Some(marker) = &mut self.marker {
            marker.forgets();
        }
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
        self.checkpoint().map_err(|error| RecoveryError::Disk {
            what: "the checkpoint behind the rollback".to_owned(),
            error: std::io::Error::other(error),
        })?;
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
struct First {
    record: u64,
    without: Vec<u64>,
}

/// Looks for the inputs that are left out.
fn find_first(
    disk: &Arc<dyn Disk>,
    to: Option<u64>,
    leave_out: &mut dyn FnMut(&RecordedInput<'_>) -> bool,
) -> Result<First, RecoveryError> {
    // The oldest state that is of the course tells how far back the history goes.
    let (loaded, journal, course) = super::replay::load_oldest(&**disk)?;
    let (ticks, first) = (loaded.head.ticks, loaded.head.journal);
    if to.is_some_and(|to| to < ticks) {
        let asked = to.unwrap_or(0);
        let last = journal.ticks.unwrap_or(ticks);
        return Err(RecoveryError::NoSuchTick {
            asked,
            from: ticks,
            to: last,
        });
    }
    let mut records = Records::new(Arc::clone(disk), &journal, first);
    let (mut begin, mut without) = (None, Vec::new());
    while let Some((number, bytes)) = records.peek()? {
        let record = Record::read(bytes).map_err(wrong)?;
        let tick = Record::ticks_of(bytes).map_err(wrong)?;
        if to.is_some_and(|to| to <= tick) {
            begin = begin.or(Some(number));
        }
        if let Record::Input { input, .. } = &record
            && course.treatment(number) == Treatment::Done
            && leave_out(&RecordedInput {
                number,
                tick,
                input,
            })
        {
            if matches!(input, Input::Load { .. }) {
                return Err(no_rollback(format!(
                    "input {number} loads a program, which does nothing by itself: leave out what starts actors of it"
                )));
            }
            without.push(number);
        }
        records.skip();
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
    /// The calls that were answered, by the numbers of the answers.
    calls: BTreeMap<u64, [u8; 32]>,
    numbers: Numbers,
}

/// A history from the record on from which it is done again.
struct Past {
    disk: Arc<dyn Disk>,
    journal: Survey,
    course: Course,
    from: u64,
    ticks_max: u64,
}

impl Past {
    /// Brings a world with the state of a checkpoint to where the first of the records takes effect.
    fn begin(&self, world: &mut World) -> Result<(), RecoveryError> {
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

    /// Does what follows as it was.
    fn old_course(&self, world: &mut World) -> Result<Old, RecoveryError> {
        let mut calls = BTreeMap::new();
        let ((), said) = world.heard(|world| {
            let mut records = Records::new(Arc::clone(&self.disk), &self.journal, self.from);
            while let Some((number, record)) = records.peek()? {
                if !world.run_up_to(record, self.ticks_max)? {
                    break;
                }
                if let Some(input) = world.read_input(record)? {
                    calls.extend(world.call_of(&input).map(|call| (number, call)));
                }
                world.repeat((number, record), &self.course, self.ticks_max)?;
                records.skip();
            }
            Ok(())
        })?;
        Ok(Old {
            said,
            calls,
            numbers: world.numbers(),
        })
    }

    /// Does what follows without some inputs: the answers that are withheld, what was said, and how many ticks there are then.
    fn new_course(
        &self,
        world: &mut World,
        without: &[u64],
        calls: &BTreeMap<u64, [u8; 32]>,
    ) -> Result<(Vec<u64>, Sayings, u64), RecoveryError> {
        let mut withheld = Vec::new();
        let ((), said) = world.heard(|world| {
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
            Ok(())
        })?;
        Ok((withheld, said, world.ticks()))
    }

    /// Writes the record that makes it so, and looks at the journal again.
    fn append(&self, record: &Record, released: u64) -> Result<Survey, RecoveryError> {
        let settings = JournalSettings {
            durability: Durability::Sync,
            ..JournalSettings::default()
        };
        let end = &self.journal.end;
        let journal = Journal::go_on(Arc::clone(&self.disk), settings, end, released);
        let mut journal = journal.map_err(failed("the journal"))?;
        journal.add(&bytes_of(&pw_jit::CodeSpace::default(), record));
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
