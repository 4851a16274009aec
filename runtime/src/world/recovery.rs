//! Recovery: a world from its history.
//!
//! Recovering, replaying, going back and forking are one operation: take the newest checkpoint before a tick, and apply the inputs after
//! it before the ticks in which they took effect.

use std::sync::Arc;

use super::course::{Course, Treatment, load_course};
use super::history::{History, HistorySettings, Kept};
use super::input::Input;
use super::poison::{Marker, Suspect, write_bundle};
use super::{RollbackReport, TrajectoryHash, World, WorldBuilder};
use crate::checkpoint::{
    CheckpointFlaw, Loaded, RecoveryError, Sections, heads_of, name_of, names_of,
};
use crate::disk::Disk;
use crate::host::Output;
use crate::journal::{self, JournalTail, Position, Record, Records, Survey};
use crate::portable::{Portable, Shared, read_with};

/// What was found when a world was recovered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recovery {
    /// Ticks of the checkpoint that it began with; nothing when there was no history.
    pub checkpoint: Option<u64>,
    /// Ticks of the state that was reached.
    pub ticks: u64,
    /// Inputs that took effect again.
    pub inputs: u64,
    /// Outputs that leave once more, or for the first time: nobody knows.
    pub outputs: u64,
    /// Newer checkpoints that could not be used.
    pub flaws: Vec<CheckpointFlaw>,
    /// The end of the journal that was cut off: nobody was told that it was durable.
    pub tail: Option<JournalTail>,
    /// The tick in which processes have ended, if they did. If that was more than once, the reference interpreter does it.
    pub suspect: Option<Suspect>,
    /// The rollback that was done because the world came to another state than there had been, if it did and the policy says so.
    pub rolled_back: Option<RollbackReport>,
}

/// A disk failed while this was done.
pub(super) fn failed(what: &str) -> impl FnOnce(std::io::Error) -> RecoveryError {
    let what = what.to_owned();
    move |error| RecoveryError::Disk { what, error }
}

impl WorldBuilder {
    /// A world that keeps its history in a directory: see [`World::keep_history`].
    ///
    /// # Errors
    /// Why the world cannot be recovered.
    pub fn keep(
        self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
    ) -> Result<(World, Recovery), RecoveryError> {
        let mut world = self.build()?;
        let recovery = world.keep_history(disk, settings)?;
        Ok((world, recovery))
    }
}

impl World {
    /// Keeps the history of the world in a directory from now on. If the directory has a history, the world, which must be new,
    /// becomes the one whose history it is, as it was. Settings, rules and what actors hold first are those of the history
    /// then; functions of the embedder have to be the same.
    ///
    /// # Errors
    /// Why the world cannot be recovered; then the world should not be used any more. Nothing has changed in the directory then.
    pub fn keep_history(
        &mut self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
    ) -> Result<Recovery, RecoveryError> {
        let has_history = !names_of(&*disk)
            .map_err(failed("the directory"))?
            .is_empty();
        if has_history {
            self.take_history_up(&*disk)?;
            if let Some(Suspect { tick, crashes }) = self.deadly() {
                let bundle = write_bundle(&disk, self.pool.threads(), tick)?;
                return Err(RecoveryError::Halted {
                    tick,
                    crashes,
                    bundle,
                });
            }
            return match self.recover(&disk) {
                Ok(repeated) => self.keep_on(disk, settings, repeated),
                Err(error) => self.leave_divergence_out(disk, settings, error),
            };
        }
        let journal = journal::survey(&*disk, 0)?;
        if journal.end.next > 0 {
            return Err(RecoveryError::NoCheckpoint(Vec::new()));
        }
        self.take_history_up(&*disk)?;
        let nothing = Repeated::nothing(journal, self.outside.outputs);
        let recovery = self.keep_on(disk, settings, nothing)?;
        self.checkpoint().map_err(|error| RecoveryError::Disk {
            what: "the first checkpoint".to_owned(),
            error: std::io::Error::other(error),
        })?;
        Ok(recovery)
    }

    /// A world that was repeated, or has no history so far, keeps it from now on.
    pub(super) fn keep_on(
        &mut self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
        repeated: Repeated,
    ) -> Result<Recovery, RecoveryError> {
        let Repeated {
            mut recovery,
            end,
            released,
            course,
            useless,
            unusable,
        } = repeated;
        let is_past_crash = self.mark_recovered(settings)?;
        let given_up = given_up(&*disk, &course)?;
        for name in &unusable {
            // Its name may be given again, and others would stand on the wrong one.
            let aside = format!("damaged-{name}");
            disk.rename(name, &aside).map_err(failed(name))?;
        }
        for name in useless.into_iter().chain(given_up) {
            disk.remove(&name).map_err(failed(&name))?;
        }
        disk.sync_names().map_err(failed("the directory"))?;
        let kept = Kept::new(disk, settings, &end, released, self.ticks());
        let kept = kept.map_err(failed("the journal"))?;
        let unreleased = course.leaving(self.begin_keeping(kept), released);
        recovery.outputs = unreleased.len() as u64;
        recovery.ticks = self.ticks();
        for output in unreleased {
            self.release(output);
        }
        if recovery.checkpoint.is_some() {
            self.outside.forget_questions();
            self.repeat_calls();
        }
        if is_past_crash {
            self.begin_checkpoint();
        }
        Ok(recovery)
    }
}

/// The names of checkpoints of courses that the world has given up.
fn given_up(disk: &dyn Disk, course: &Course) -> Result<Vec<String>, RecoveryError> {
    if course.rollbacks().is_empty() {
        return Ok(Vec::new());
    }
    let heads = heads_of(disk).map_err(failed("the directory"))?;
    let others = heads.iter().filter(|head| !course.has(head.journal));
    Ok(others.map(|head| name_of(head.ticks)).collect())
}

impl World {
    /// A new world takes up the history of a directory.
    pub(super) fn take_history_up(&mut self, disk: &dyn Disk) -> Result<(), RecoveryError> {
        if self.ticks() > 0 || self.actor_count() > 0 || !self.code.is_empty() {
            let has_history = !names_of(disk).map_err(failed("the directory"))?.is_empty();
            if has_history {
                let text = "a world that has begun cannot take over a history".to_owned();
                return Err(RecoveryError::Contradiction(text));
            }
        }
        let marker = Marker::take_up(disk).map_err(failed("the mark"))?;
        self.marker = Some(Box::new(marker));
        Ok(())
    }

    /// The tick that nobody does any more, if there is one.
    fn deadly(&self) -> Option<Suspect> {
        self.marker.as_ref().and_then(|marker| marker.halted())
    }

    /// What the history says was done. Whether a checkpoint should be behind it soon.
    fn mark_recovered(&mut self, settings: HistorySettings) -> Result<bool, RecoveryError> {
        let Some(marker) = &mut self.marker else {
            return Ok(false);
        };
        // So far a process comes before the journal says how far it is.
        let ahead = settings.horizon_ticks.min(GAP_MAX);
        marker.is_recovered(self.tick.saturating_add(ahead).saturating_add(1));
        match marker.error() {
            Some(error) => Err(failed("the mark")(std::io::Error::other(error.to_owned()))),
            None => Ok(marker.is_past()),
        }
    }
}

/// Ticks between two records beyond which a journal is not believed: it would take forever.
pub(super) const GAP_MAX: u64 = 1 << 32;

/// What a world was repeated from.
pub(super) struct Repeated {
    pub(super) recovery: Recovery,
    /// Where the journal goes on.
    pub(super) end: Position,
    /// Outputs that have left the world.
    pub(super) released: u64,
    /// The course that the world has taken.
    pub(super) course: Course,
    /// Segments without anything good.
    pub(super) useless: Vec<String>,
    /// Checkpoints that could not be used.
    pub(super) unusable: Vec<String>,
}

impl Repeated {
    /// There is no history.
    fn nothing(journal: Survey, released: u64) -> Repeated {
        Repeated {
            recovery: Recovery {
                tail: journal.tail,
                ..Recovery::default()
            },
            end: journal.end,
            released,
            course: Course::default(),
            useless: journal.useless,
            unusable: Vec::new(),
        }
    }
}

impl World {
    /// Takes the newest checkpoint of a history, and applies all inputs after it.
    pub(super) fn recover(&mut self, disk: &Arc<dyn Disk>) -> Result<Repeated, RecoveryError> {
        let (loaded, journal, course) = self.take_newest(&**disk)?;
        let head = loaded.head;
        let suspect = self.marker.as_mut().and_then(|marker| {
            marker.begins_at(head.ticks);
            marker.suspect()
        });
        let released = journal.released.max(head.outputs);
        // What a rollback has numbered anew may have had a lower number that did not leave.
        let rollbacks = course.rollbacks().iter();
        let known = rollbacks.map(|of| of.rolled.numbers.outputs);
        self.history = History::repeated(known.fold(released, u64::min), Vec::new());
        let mut inputs = 0;
        let mut records = Records::new(Arc::clone(disk), &journal, head.journal);
        while let Some(record) = records.peek()? {
            inputs += u64::from(self.repeat(record, &course, u64::MAX)?);
            records.skip();
        }
        Ok(Repeated {
            recovery: Recovery {
                checkpoint: Some(head.ticks),
                inputs,
                flaws: loaded.flaws,
                tail: journal.tail,
                suspect,
                ..Recovery::default()
            },
            end: journal.end,
            released,
            course,
            useless: journal.useless,
            unusable: loaded.unusable,
        })
    }

    /// Takes the newest state of a history that can be taken.
    fn take_newest(&mut self, disk: &dyn Disk) -> Result<(Loaded, Survey, Course), RecoveryError> {
        let (mut loaded, mut journal, mut course) =
            load_course(disk, self.pool.threads(), u64::MAX, u64::MAX)?;
        while let Err(error) = self.take_loaded(&mut loaded, disk) {
            // What is refused for what it holds may have been written by a defect: the one before it comes to the same state.
            let refused = matches!(
                error,
                RecoveryError::State { .. } | RecoveryError::Contradiction(_)
            );
            let ticks = loaded.head.ticks;
            let older = ticks.checked_sub(1).filter(|_| refused);
            let older = older
                .and_then(|ticks| load_course(disk, self.pool.threads(), ticks, u64::MAX).ok());
            let Some(mut older) = older else {
                return Err(error);
            };
            let (name, what) = (name_of(ticks), error.to_string());
            let (mut flaws, mut unusable) = (loaded.flaws, loaded.unusable);
            unusable.push(name.clone());
            flaws.push(CheckpointFlaw { name, what });
            flaws.append(&mut older.0.flaws);
            unusable.append(&mut older.0.unusable);
            (older.0.flaws, older.0.unusable) = (flaws, unusable);
            (loaded, journal, course) = older;
        }
        Ok((loaded, journal, course))
    }

    /// Takes a state that was found in a directory, of which its actors are gone then.
    pub(super) fn take_loaded(
        &mut self,
        loaded: &mut Loaded,
        disk: &dyn Disk,
    ) -> Result<(), RecoveryError> {
        let actors = std::mem::take(&mut loaded.actors);
        let mut shared = Shared::new(0);
        let sections = read_with(&self.code, &loaded.sections, &mut shared, Sections::get);
        let sections = sections.map_err(|error| RecoveryError::State {
            part: "what belongs to no actor".to_owned(),
            error,
        })?;
        self.take_state(&sections, actors.into_portions(disk, self.pool.threads()))?;
        if self.ticks() != loaded.head.ticks {
            let (is, of) = (self.ticks(), loaded.head.ticks);
            let text = format!("a state of tick {is} in that of {of}");
            return Err(RecoveryError::Contradiction(text));
        }
        self.agree_at(loaded.head.journal);
        Ok(())
    }

    /// Runs up to the tick of a record; false when that is beyond so many ticks.
    pub(super) fn run_up_to(
        &mut self,
        record: &[u8],
        ticks_max: u64,
    ) -> Result<bool, RecoveryError> {
        let ticks = Record::ticks_of(record).map_err(|error| RecoveryError::State {
            part: "a record of the journal".to_owned(),
            error,
        })?;
        if ticks.saturating_sub(self.ticks()) > GAP_MAX {
            let text = format!("a record of tick {ticks} where tick {} is", self.ticks());
            return Err(RecoveryError::Contradiction(text));
        }
        if ticks < self.ticks() {
            let text = format!("a record of tick {ticks} behind tick {}", self.ticks());
            return Err(RecoveryError::Contradiction(text));
        }
        while self.ticks() < ticks.min(ticks_max) {
            self.repeat_tick()?;
        }
        Ok(ticks <= ticks_max)
    }

    /// Does what a record of the journal says, unless it is about a state of more than so many ticks: runs up to its tick, and
    /// applies its input, if it has one and it is not left out of the course.
    pub(super) fn repeat(
        &mut self,
        (number, record): (u64, &[u8]),
        course: &Course,
        ticks_max: u64,
    ) -> Result<bool, RecoveryError> {
        if !self.run_up_to(record, ticks_max)? {
            return Ok(false);
        }
        self.reach(number);
        if let Some(outputs) = course.outputs_before(number) {
            self.number_outputs_beyond(outputs);
        }
        let mut shared = Shared::new(self.settings.memory_bytes);
        // Programs that it refers to are loaded by the inputs before it.
        let record = read_with(&self.code, record, &mut shared, Record::get);
        let record = record.map_err(|error| RecoveryError::State {
            part: "a record of the journal".to_owned(),
            error,
        })?;
        match (record, course.treatment(number)) {
            (Record::Horizon { .. }, _) | (_, Treatment::Withheld) => Ok(false),
            (Record::Rollback { rolled, .. }, _) => {
                self.go_beyond(rolled.numbers);
                Ok(false)
            }
            (Record::WentBack { rolled, .. }, _) => {
                self.go_beyond(rolled.numbers);
                self.note_gone_back();
                Ok(false)
            }
            (Record::Witness { trajectory, .. }, _) => {
                if course.is_witnessed(number) {
                    self.compare_with(TrajectoryHash(trajectory), number)?;
                }
                Ok(false)
            }
            (Record::Input { input, .. }, Treatment::LeftOut) => {
                self.leave_out(&input);
                Ok(false)
            }
            (Record::Input { input, .. }, Treatment::Done) => {
                let must_work = matches!(input, Input::Load { .. } | Input::Spawn { .. });
                match self.apply(input) {
                    Err(error) if must_work => Err(RecoveryError::Program(error.to_string())),
                    // What could not be done then cannot be done now.
                    _ => Ok(true),
                }
            }
        }
    }

    /// The world keeps its history from now on; what has not left it, as far as is known.
    fn begin_keeping(&mut self, kept: Kept) -> Vec<Output> {
        let before = std::mem::replace(&mut self.history, History::Kept(Box::new(kept)));
        self.keep_marks();
        self.watch_anew();
        before.unreleased()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{SEMANTICS, write_whole};
    use crate::disk::{MemoryDisk, read_all};

    const LOOP: &str = "
func main()
    .locals n
    int n 0
head: loop
    add n n n
    jump head
";

    fn keep(disk: &MemoryDisk) -> (World, Recovery) {
        let kept = World::builder().keep(Arc::new(disk.clone()), HistorySettings::default());
        kept.expect("there is a state that can be taken")
    }

    /// A world that has looped for five ticks.
    fn looped(disk: &MemoryDisk) -> World {
        let (mut world, _) = keep(disk);
        let program = pw_isa::text::parse(LOOP).expect("it assembles");
        let program = world.load(pw_isa::verify::verify(program).expect("it verifies"));
        world.spawn(program, &[]).expect("it takes nothing");
        world.run_ticks(5);
        world
    }

    #[test]
    fn a_checkpoint_that_is_sound_but_holds_nonsense_is_passed_over() {
        let disk = MemoryDisk::default();
        let mut world = looped(&disk);
        world.checkpoint().expect("memory can be written");
        world.run_ticks(5);
        world.flush().expect("memory can be written");
        let sound = world.to_checkpoint();
        let mut nonsense = sound.clone();
        for actor in nonsense.actor_states.values_mut() {
            actor.bytes.truncate(actor.bytes.len() / 2);
        }
        let copy = disk.copy();
        drop(world);
        write_whole(&copy, &nonsense).expect("memory can be written");
        let (world, recovery) = keep(&copy);
        assert_eq!(recovery.checkpoint, Some(5));
        assert_eq!(recovery.flaws.len(), 1, "{:?}", recovery.flaws);
        assert!(world.to_checkpoint() == sound);
    }

    /// A file says that its programs ran with the next semantics version: it has so many bytes before the hash of its head, which has so many.
    fn make_foreign(disk: &MemoryDisk, name: &str, (head, hash): (usize, usize)) {
        let mut bytes = read_all(disk, name).expect("it is there");
        bytes[6..8].copy_from_slice(&(SEMANTICS + 1).to_le_bytes());
        let sound = *blake3::hash(&bytes[..head]).as_bytes();
        bytes[head..head + hash].copy_from_slice(&sound[..hash]);
        let mut file = disk.open(name).expect("it is there");
        file.write_at(0, &bytes).expect("memory can be written");
    }

    #[test]
    fn a_history_of_another_semantics_version_is_refused_and_left_as_it_is() {
        let disk = MemoryDisk::default();
        let mut world = looped(&disk);
        world.flush().expect("memory can be written");
        drop(world);
        let heads = [("checkpoint-", (41, 32)), ("journal-", (16, 16))];
        for parts in [&heads[..1], &heads[1..], &heads[..]] {
            let copy = disk.copy();
            for (part, head) in parts {
                let names = copy.list().expect("memory can be read");
                let names = names.iter().filter(|name| name.starts_with(part));
                names.for_each(|name| make_foreign(&copy, name, *head));
            }
            let files = |disk: &MemoryDisk| {
                let mut names = disk.list().expect("memory can be read");
                names.sort();
                names.retain(|name| name != "running");
                let bytes = |name: &String| read_all(disk, name).expect("it is there");
                names
                    .iter()
                    .map(|name| (name.clone(), bytes(name)))
                    .collect::<Vec<_>>()
            };
            let before = files(&copy);
            let kept = World::builder().keep(Arc::new(copy.clone()), HistorySettings::default());
            let error = kept.expect_err("it is of another engine").to_string();
            assert!(
                error.contains("semantics version 2; this engine has 1"),
                "{error}"
            );
            assert!(files(&copy) == before, "nothing is cut off or put aside");
            let replay = World::builder()
                .replay(Arc::new(copy))
                .expect_err("it is of another engine");
            assert!(
                replay.to_string().contains("semantics version 2"),
                "{replay}"
            );
        }
    }
}
