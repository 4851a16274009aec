//! Recovery: a world from its history.
//!
//! Recovering, replaying, going back and forking are one operation: take the newest checkpoint before a tick, and apply the inputs after
//! it before the ticks in which they took effect.

use std::sync::Arc;

use super::history::{History, HistorySettings, Kept};
use super::input::Input;
use super::{World, WorldBuilder};
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
    /// A world that keeps its history in a directory: see [`World::keep_history`].
    ///
    /// # Errors
    /// Why the world cannot be recovered.
    pub fn keep(
        self,
        disk: Arc<dyn Disk>,
        settings: HistorySettings,
    ) -> Result<(World, Recovery), RecoveryError> {
        let mut world = self.build().map_err(RecoveryError::Machine)?;
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
        let recovered = if has_history {
            if self.ticks() > 0 || self.actor_count() > 0 || !self.code.is_empty() {
                let text = "a world that has begun cannot take over a history".to_owned();
                return Err(RecoveryError::Contradiction(text));
            }
            self.recover(&*disk)?
        } else {
            let journal = journal::read(&*disk, 0)?;
            if journal.end.next > 0 {
                return Err(RecoveryError::NoCheckpoint(Vec::new()));
            }
            Repeated::nothing(journal, self.outside.outputs)
        };
        let Repeated {
            mut recovery,
            end,
            released,
            useless,
            unusable,
        } = recovered;
        for name in &unusable {
            // Its name may be given again, and others would stand on the wrong one.
            let aside = format!("damaged-{name}");
            disk.rename(name, &aside).map_err(failed(name))?;
        }
        for name in &useless {
            disk.remove(name).map_err(failed(name))?;
        }
        disk.sync_names().map_err(failed("the directory"))?;
        let kept = Kept::new(disk, settings, &end, released, self.ticks());
        let kept = kept.map_err(failed("the journal"))?;
        let unreleased = self.begin_keeping(kept);
        recovery.outputs = unreleased.len() as u64;
        recovery.ticks = self.ticks();
        for output in unreleased {
            self.release(output);
        }
        if has_history {
            self.outside.forget_questions();
            self.repeat_calls();
        } else {
            self.checkpoint().map_err(|error| RecoveryError::Disk {
                what: "the first checkpoint".to_owned(),
                error: std::io::Error::other(error),
            })?;
        }
        Ok(recovery)
    }
}

/// Ticks between two records beyond which a journal is not believed: it would take forever.
pub(super) const GAP_MAX: u64 = 1 << 32;

/// The checkpoint that a world has taken.
pub(super) struct Newest {
    pub(super) head: Head,
    flaws: Vec<CheckpointFlaw>,
    unusable: Vec<String>,
}

/// What a world was repeated from.
struct Repeated {
    recovery: Recovery,
    /// Where the journal goes on.
    end: Position,
    /// Outputs that have left the world.
    released: u64,
    /// Segments without anything good.
    useless: Vec<String>,
    /// Checkpoints that could not be used.
    unusable: Vec<String>,
}

impl Repeated {
    /// There is no history.
    fn nothing(journal: Recovered, released: u64) -> Repeated {
        Repeated {
            recovery: Recovery {
                tail: journal.tail,
                ..Recovery::default()
            },
            end: journal.end,
            released,
            useless: journal.useless,
            unusable: Vec::new(),
        }
    }
}

impl World {
    /// Takes the newest checkpoint of a history, and applies all inputs after it.
    fn recover(&mut self, disk: &dyn Disk) -> Result<Repeated, RecoveryError> {
        let Newest {
            head,
            flaws,
            unusable,
        } = self.take_newest(disk, u64::MAX)?;
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
            unusable,
        })
    }

    /// Takes the newest state of a history of at most so many ticks.
    pub(super) fn take_newest(
        &mut self,
        disk: &dyn Disk,
        ticks_max: u64,
    ) -> Result<Newest, RecoveryError> {
        let Loaded {
            head,
            sections,
            actors,
            flaws,
            unusable,
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
        Ok(Newest {
            head,
            flaws,
            unusable,
        })
    }

    /// Does what a record of the journal says, unless it is about a state of more than so many ticks: runs up to its tick, and
    /// applies its input, if it has one.
    pub(super) fn repeat(&mut self, record: &[u8], ticks_max: u64) -> Result<bool, RecoveryError> {
        let wrong = |error| RecoveryError::State {
            part: "a record of the journal".to_owned(),
            error,
        };
        let ticks = Record::ticks_of(record).map_err(wrong)?;
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
        if ticks > ticks_max {
            return Ok(false);
        }
        let mut shared = Shared::new(self.settings.memory_bytes);
        // Programs that it refers to are loaded by the inputs before it.
        let record = read_with(&self.code, record, &mut shared, Record::get).map_err(wrong)?;
        match record {
            Record::Horizon { .. } => Ok(false),
            Record::Input { input, .. } => {
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
        self.keep_marks();
        let before = std::mem::replace(&mut self.history, History::Kept(Box::new(kept)));
        before.unreleased()
    }
}
