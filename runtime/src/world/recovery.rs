//! Recovery: a world from its history.
//!
//! Recovering, replaying, going back and forking are one operation: take the newest checkpoint before a tick, and apply the inputs after
//! it before the ticks in which they took effect.

use std::sync::Arc;

use super::history::{History, HistorySettings, Kept};
use super::{World, WorldBuilder};
use crate::actor::{Status, Wait};
use crate::checkpoint::{CheckpointFlaw, Head, Loaded, RecoveryError, Sections, load, names_of};
use crate::disk::Disk;
use crate::host::Output;
use crate::journal::{self, JournalTail, Position, Record, Recovered};
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
}

/// A disk failed while this was done.
fn failed(what: &str) -> impl FnOnce(std::io::Error) -> RecoveryError {
    let what = what.to_owned();
    move |error| RecoveryError::Disk { what, error }
}

impl WorldBuilder {
    /// A world that keeps its history in a directory: a new one when the directory is empty, otherwise the world whose history it is, as it
    /// was. Settings, rules and what actors hold first are those of the history then; functions of the embedder have to be
    /// the same.
    ///
    /// # Errors
    /// Why the world cannot be recovered. Nothing has changed in the directory then.
    pub fn keep(
        self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
    ) -> Result<(World, Recovery), RecoveryError> {
        let mut world = self.build().map_err(RecoveryError::Machine)?;
        let has_history = !names_of(&*disk)
            .map_err(failed("the directory"))?
            .is_empty();
        let recovered = if has_history {
            world.recover(&*disk)?
        } else {
            let recovered = journal::read(&*disk, 0)?;
            if recovered.end.next > 0 {
                return Err(RecoveryError::NoCheckpoint(Vec::new()));
            }
            Repeated::nothing(recovered)
        };
        let Repeated {
            mut recovery,
            end,
            released,
            useless,
        } = recovered;
        for name in &useless {
            disk.remove(name).map_err(failed(name))?;
        }
        let kept = Kept::new(disk, settings, &end, released, world.ticks());
        let kept = kept.map_err(failed("the journal"))?;
        let unreleased = world.begin_keeping(kept);
        recovery.outputs = unreleased.len() as u64;
        recovery.ticks = world.ticks();
        for output in unreleased {
            world.release(output);
        }
        world.repeat_calls();
        if !has_history {
            world.checkpoint().map_err(|error| RecoveryError::Disk {
                what: "the first checkpoint".to_owned(),
                error: std::io::Error::other(error),
            })?;
        }
        Ok((world, recovery))
    }
}

/// What a world was repeated from.
struct Repeated {
    recovery: Recovery,
    /// Where the journal goes on.
    end: Position,
    /// Outputs that have left the world.
    released: u64,
    useless: Vec<String>,
}

impl Repeated {
    /// There is no history.
    fn nothing(journal: Recovered) -> Repeated {
        Repeated {
            recovery: Recovery {
                tail: journal.tail,
                ..Recovery::default()
            },
            end: journal.end,
            released: 0,
            useless: journal.useless,
        }
    }
}

impl World {
    /// Takes the newest checkpoint of a history, and applies all inputs after it.
    fn recover(&mut self, disk: &dyn Disk) -> Result<Repeated, RecoveryError> {
        let (head, flaws) = self.take_newest(disk, u64::MAX)?;
        let journal = journal::read(disk, head.journal)?;
        let released = journal.released.max(head.outputs);
        self.history = History::repeated(released);
        let mut inputs = 0;
        for record in &journal.records {
            inputs += u64::from(self.repeat(record, u64::MAX)?);
        }
        Ok(Repeated {
            recovery: Recovery {
                checkpoint: Some(head.ticks),
                inputs,
                flaws,
                tail: journal.tail,
                ..Recovery::default()
            },
            end: journal.end,
            released,
            useless: journal.useless,
        })
    }

    /// Takes the newest state of a history of at most so many ticks.
    pub(super) fn take_newest(
        &mut self,
        disk: &dyn Disk,
        ticks_max: u64,
    ) -> Result<(Head, Vec<CheckpointFlaw>), RecoveryError> {
        let Loaded {
            head,
            sections,
            actors,
            flaws,
            ..
        } = load(disk, ticks_max)?;
        let mut shared = Shared::new(0);
        let sections = read_with(&self.code, &sections, &mut shared, Sections::get);
        let sections = sections.map_err(|error| RecoveryError::State {
            part: "what belongs to no actor".to_owned(),
            error,
        })?;
        let actors = actors.iter().map(|(id, bytes)| (*id, bytes.as_slice()));
        self.take_state(&sections, actors)?;
        if self.ticks() != head.ticks {
            let text = format!("a state of tick {} in that of {}", self.ticks(), head.ticks);
            return Err(RecoveryError::Contradiction(text));
        }
        for actor in self.actors.iter() {
            if let Status::Waits(Wait::Host { request }) = &actor.body.status
                && self.hosts.get(&request.function).is_none()
            {
                return Err(RecoveryError::NoFunction(request.function.clone()));
            }
        }
        Ok((head, flaws))
    }

    /// Does what a record of the journal says, unless it is about a state of more than so many ticks: runs up to its tick, and
    /// applies its input, if it has one.
    pub(super) fn repeat(&mut self, record: &[u8], ticks_max: u64) -> Result<bool, RecoveryError> {
        let wrong = |error| RecoveryError::State {
            part: "a record of the journal".to_owned(),
            error,
        };
        let ticks = Record::ticks_of(record).map_err(wrong)?;
        if ticks < self.ticks() {
            let text = format!("a record of tick {ticks} behind tick {}", self.ticks());
            return Err(RecoveryError::Contradiction(text));
        }
        while self.ticks() < ticks.min(ticks_max) {
            self.tick();
        }
        if ticks > ticks_max {
            return Ok(false);
        }
        let mut shared = Shared::new(self.settings.memory_bytes);
        // Programs that it refers to are loaded by the inputs before it.
        let record = read_with(&self.code, record, &mut shared, Record::get).map_err(wrong)?;
        match record {
            Record::Horizon { .. } => Ok(false),
            Record::Input { input, .. } => {
                // What could not be done then cannot be done now.
                let _ = self.apply(input);
                Ok(true)
            }
        }
    }

    /// The world keeps its history from now on; what has not left it, as far as is known.
    fn begin_keeping(&mut self, kept: Kept) -> Vec<Output> {
        self.outside.forget_questions();
        self.keep_marks();
        let before = std::mem::replace(&mut self.history, History::Kept(Box::new(kept)));
        before.unreleased()
    }
}
