//! The newest state that the checkpoints of a directory give: a full one, and the increments behind it.

use std::fmt;
use std::io;
use std::sync::Mutex;

use super::file::{BlockKind, Blocks, Head};
use super::saved::{BlockPlace, Found};
use super::{RecoveryError, SavedActors};
use crate::disk::{Disk, could_not_look};
use crate::together::{lock, try_map};

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
    pub(crate) actors: SavedActors,
    /// Newer checkpoints that could not be used, and why: of themselves, or of those that they stand on.
    pub(crate) flaws: Vec<CheckpointFlaw>,
    /// The names of their files.
    pub(crate) unusable: Vec<String>,
    /// The files, the full one first.
    pub(crate) files: Vec<CheckpointInfo>,
}

/// Checkpoints that may stand on each other.
pub(crate) const CHAIN_MAX: usize = 4_096;

/// Why a checkpoint was not read.
enum Unread {
    /// It cannot be used.
    Flaw(CheckpointFlaw),
    /// It could not be read now, and may be sound.
    Now(RecoveryError),
}

fn flaw_of(ticks: u64, what: impl ToString) -> Unread {
    Unread::Flaw(CheckpointFlaw {
        name: name_of(ticks),
        what: what.to_string(),
    })
}

fn unread(ticks: u64, error: io::Error) -> Unread {
    if could_not_look(&error) {
        let what = name_of(ticks);
        return Unread::Now(RecoveryError::Disk { what, error });
    }
    flaw_of(ticks, error)
}

/// The head of the checkpoint of a tick.
fn head_of(disk: &dyn Disk, ticks: u64) -> Result<Head, Unread> {
    let file = disk.open(&name_of(ticks));
    let head = file.and_then(|file| Ok(Blocks::open(file)?.0));
    match head.map_err(|error| unread(ticks, error))? {
        head if head.ticks != ticks => Err(flaw_of(ticks, format!("it is of tick {}", head.ticks))),
        Head {
            base: Some(base), ..
        } if base >= ticks => Err(flaw_of(ticks, format!("it stands on tick {base}"))),
        head => Ok(head),
    }
}

/// Reads a checkpoint and those that it stands on.
fn chain(disk: &dyn Disk, threads: usize, ticks: u64) -> Result<Loaded, Unread> {
    let head = head_of(disk, ticks)?;
    let mut heads = vec![head];
    while let Some(base) = heads[heads.len() - 1].base {
        if heads.len() == CHAIN_MAX {
            return Err(flaw_of(ticks, "it stands on too many"));
        }
        heads.push(head_of(disk, base)?);
    }
    let mut loaded = Loaded {
        head,
        sections: Vec::new(),
        actors: SavedActors::default(),
        flaws: Vec::new(),
        unusable: Vec::new(),
        files: Vec::new(),
    };
    for head in heads.into_iter().rev() {
        let added = loaded.add(disk, threads, head);
        added.map_err(|error| unread(head.ticks, error))?;
    }
    Ok(loaded)
}

impl Loaded {
    /// Adds what a file has to what those before it have. Its blocks are read on so many threads.
    fn add(&mut self, disk: &dyn Disk, threads: usize, head: Head) -> io::Result<()> {
        let name = name_of(head.ticks);
        let file = disk.open(&name)?;
        let (_, mut blocks) = Blocks::open(file)?;
        let mut info = CheckpointInfo {
            name,
            ticks: head.ticks,
            base: head.base,
            actors: 0,
            gone: 0,
            bytes: blocks.length() as usize,
        };
        // Memory of pages that were added: what is touched for the first time costs more than to read it.
        let spare = Mutex::new(Vec::new());
        loop {
            let start = blocks.offset();
            let places = blocks.next_places()?;
            if places.is_empty() {
                break;
            }
            // Another thread costs more than a block that is not full.
            let threads = threads.min(1 + ((blocks.offset() - start) >> 20) as usize);
            let found = try_map(threads, places, Vec::new, |content, at| {
                if content.capacity() == 0 {
                    *content = lock(&spare).pop().unwrap_or_default();
                }
                let (kind, hash) = blocks.read(at, content)?;
                let found = Found::of(kind, content).map_err(io::Error::other)?;
                let ticks = head.ticks;
                io::Result::Ok((BlockPlace { ticks, at, hash }, found))
            })?;
            for (place, found) in found {
                match found {
                    Found::Sections(content) => self.sections = content,
                    Found::Pages(content) => {
                        let added = self.actors.add_pages(place, &content);
                        added.map_err(io::Error::other)?;
                        lock(&spare).push(content);
                    }
                    Found::Places(places, kind) => {
                        let count = self.actors.add(place, places);
                        if kind == BlockKind::Gone {
                            info.gone += count as usize;
                        } else {
                            blocks.count(count);
                            info.actors += count as usize;
                        }
                    }
                }
            }
        }
        self.actors.end_file();
        self.files.push(info);
        Ok(())
    }
}

/// Reads the newest state of at most so many ticks, on so many threads, unless that cannot be done now. `is_of_course` says whether a
/// checkpoint with this first record of the journal behind it is one of the course that the world has taken: others are left alone.
pub(crate) fn load(
    disk: &dyn Disk,
    threads: usize,
    ticks_max: u64,
    is_of_course: impl Fn(u64) -> bool,
) -> Result<Loaded, RecoveryError> {
    let all = names_of(disk).map_err(|error| RecoveryError::Disk {
        what: "the directory of the history".to_owned(),
        error,
    })?;
    let (mut flaws, mut unusable) = (Vec::new(), Vec::new());
    for ticks in all.into_iter().rev().filter(|ticks| *ticks <= ticks_max) {
        match chain(disk, threads, ticks) {
            Ok(loaded) if !is_of_course(loaded.head.journal) => {}
            Ok(loaded) => {
                return Ok(Loaded {
                    flaws,
                    unusable,
                    ..loaded
                });
            }
            Err(Unread::Flaw(flaw)) => {
                flaws.push(flaw);
                unusable.push(name_of(ticks));
            }
            Err(Unread::Now(error)) => return Err(error),
        }
    }
    Err(RecoveryError::NoCheckpoint(flaws))
}

/// The heads of all checkpoints of a directory that can be read, the oldest first.
pub(crate) fn heads_of(disk: &dyn Disk) -> std::io::Result<Vec<Head>> {
    let mut heads = Vec::new();
    for ticks in names_of(disk)? {
        match disk.open(&name_of(ticks)).and_then(Blocks::open) {
            Ok((head, _)) => heads.push(head),
            Err(error) if could_not_look(&error) => return Err(error),
            // One that cannot be read is none that is kept.
            Err(_) => {}
        }
    }
    Ok(heads)
}

/// What the checkpoints of a directory hold, the oldest first, and which of them cannot be read, on so many threads.
pub(crate) fn infos(disk: &dyn Disk, threads: usize) -> (Vec<CheckpointInfo>, Vec<CheckpointFlaw>) {
    let (mut infos, mut flaws) = (Vec::new(), Vec::new());
    for ticks in names_of(disk).unwrap_or_default() {
        match chain(disk, threads, ticks) {
            Ok(mut loaded) => infos.extend(loaded.files.pop()),
            Err(Unread::Flaw(flaw)) => flaws.push(flaw),
            Err(Unread::Now(error)) => flaws.push(CheckpointFlaw {
                name: name_of(ticks),
                what: format!("it could not be read now: {error}"),
            }),
        }
    }
    (infos, flaws)
}
