//! The newest state that the checkpoints of a directory give: a full one, and the increments behind it.

use std::collections::BTreeMap;
use std::fmt;

use pw_isa::wire::{DecodeError, Reader};

use super::RecoveryError;
use super::file::{self, Head};
use crate::disk::{Disk, read_all};

/// The name of the checkpoint of a tick.
pub(crate) fn name_of(ticks: u64) -> String {
    format!("checkpoint-{ticks:020}")
}

/// The ticks of a checkpoint, by its name.
fn ticks_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("checkpoint-")?;
    (number.len() == 20).then(|| number.parse().ok()).flatten()
}

/// The ticks of all checkpoints of a directory, the oldest first, by their names.
pub(crate) fn names_of(disk: &dyn Disk) -> std::io::Result<Vec<u64>> {
    let mut ticks: Vec<u64> = disk
        .list()?
        .iter()
        .filter_map(|name| ticks_of(name))
        .collect();
    ticks.sort_unstable();
    Ok(ticks)
}

/// A checkpoint that cannot be used, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointFlaw {
    /// The file.
    pub name: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for CheckpointFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.what)
    }
}

/// What a checkpoint file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointInfo {
    /// The file.
    pub name: String,
    /// Ticks that the world had done.
    pub ticks: u64,
    /// The checkpoint since which it has what changed; nothing if it has all.
    pub base: Option<u64>,
    /// Actors in it.
    pub actors: usize,
    /// Actors that are gone since the other.
    pub gone: usize,
    /// Bytes of it.
    pub bytes: usize,
}

/// A state that was read from one checkpoint or more.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) head: Head,
    pub(crate) sections: Vec<u8>,
    pub(crate) actors: BTreeMap<u64, Vec<u8>>,
    /// Newer checkpoints that could not be used, and why: of themselves, or of those that they stand on.
    pub(crate) flaws: Vec<CheckpointFlaw>,
    /// The names of their files.
    pub(crate) unusable: Vec<String>,
    /// The files, the full one first.
    pub(crate) files: Vec<CheckpointInfo>,
}

/// Checkpoints that may stand on each other.
const CHAIN_MAX: usize = 4_096;

/// Reads a checkpoint and those that it stands on, of which there may be so many.
fn chain(disk: &dyn Disk, ticks: u64, most: usize) -> Result<Loaded, CheckpointFlaw> {
    let name = name_of(ticks);
    let flaw = |what: String| CheckpointFlaw {
        name: name.clone(),
        what,
    };
    let bytes = read_all(disk, &name).map_err(|error| flaw(error.to_string()))?;
    let file = file::read(&bytes).map_err(|error: DecodeError| flaw(error.to_string()))?;
    if file.head.ticks != ticks {
        return Err(flaw(format!("it is of tick {}", file.head.ticks)));
    }
    let (mut actors, mut files) = match file.head.base {
        Some(base) if base >= ticks => return Err(flaw(format!("it stands on tick {base}"))),
        Some(_) if most == 0 => return Err(flaw("it stands on too many".to_owned())),
        Some(base) => {
            let base = chain(disk, base, most - 1)?;
            (base.actors, base.files)
        }
        None => Default::default(),
    };
    for gone in &file.gone {
        actors.remove(gone);
    }
    for (id, bytes) in &file.actors {
        actors.insert(*id, bytes.to_vec());
    }
    files.push(CheckpointInfo {
        name,
        ticks,
        base: file.head.base,
        actors: file.actors.len(),
        gone: file.gone.len(),
        bytes: bytes.len(),
    });
    Ok(Loaded {
        head: file.head,
        sections: file.sections.to_vec(),
        actors,
        flaws: Vec::new(),
        unusable: Vec::new(),
        files,
    })
}

/// Reads the newest state of at most so many ticks. `is_of_course` says whether a checkpoint with this first record of the journal behind it is
/// one of the course that the world has taken: others are left alone.
pub(crate) fn load(
    disk: &dyn Disk,
    ticks_max: u64,
    is_of_course: impl Fn(u64) -> bool,
) -> Result<Loaded, RecoveryError> {
    let all = names_of(disk).map_err(|error| RecoveryError::Disk {
        what: "the directory of the history".to_owned(),
        error,
    })?;
    let (mut flaws, mut unusable) = (Vec::new(), Vec::new());
    for ticks in all.into_iter().rev().filter(|ticks| *ticks <= ticks_max) {
        match chain(disk, ticks, CHAIN_MAX) {
            Ok(loaded) if !is_of_course(loaded.head.journal) => {}
            Ok(loaded) => {
                return Ok(Loaded {
                    flaws,
                    unusable,
                    ..loaded
                });
            }
            Err(flaw) => {
                flaws.push(flaw);
                unusable.push(name_of(ticks));
            }
        }
    }
    Err(RecoveryError::NoCheckpoint(flaws))
}

/// The heads of all checkpoints of a directory that can be read, the oldest first.
pub(crate) fn heads_of(disk: &dyn Disk) -> std::io::Result<Vec<Head>> {
    let mut heads = Vec::new();
    for ticks in names_of(disk)? {
        let mut bytes = [0; file::HEAD_BYTES];
        let file = disk.open(&name_of(ticks));
        // One that cannot be read is none that is kept.
        if let Ok(read) = file.and_then(|file| file.read_at(0, &mut bytes)) {
            let bytes = &bytes[..read];
            heads.extend(Head::read(&mut Reader::new(bytes), bytes).ok());
        }
    }
    Ok(heads)
}

/// What the checkpoints of a directory hold, the oldest first, and which of them cannot be read.
pub(crate) fn infos(disk: &dyn Disk) -> (Vec<CheckpointInfo>, Vec<CheckpointFlaw>) {
    let (mut infos, mut flaws) = (Vec::new(), Vec::new());
    for ticks in names_of(disk).unwrap_or_default() {
        match chain(disk, ticks, CHAIN_MAX) {
            Ok(mut loaded) => infos.extend(loaded.files.pop()),
            Err(flaw) => flaws.push(flaw),
        }
    }
    (infos, flaws)
}
