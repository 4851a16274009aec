//! Ticks that end the process. A defect of the engine is as deterministic as everything else: a world that is recovered comes to the same
//! tick, and to the same end, again and again.
//!
//! A crash is any end of a process that is doing a tick, whatever ended it. A process that has a history says so in a file, the *mark*, and says there that it has let go of it when it does. The mark of a process that
//! did not is a *crash*: whoever takes up the history next finds it, and marks each tick before it begins and when it is over, until
//! the world is past all ticks in which the crash may have been. So an orderly world pays nothing for it, and the second crash is known to the
//! tick. What entered before a tick that is marked is in the journal before that tick begins: it will be in the same tick
//! again. An unwinding that leaves a tick is a crash, too, and says at once in which.
//!
//! After two crashes a tick is done by the reference interpreter, each time until a checkpoint is behind it; after the third the history is
//! taken up by nobody, until [`forget_crashes`](super::forget_crashes) allows it.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `PWM1` |
//! | 1 | what is done: 0 nothing, 1 ticks, 2 this tick, 3 no tick |
//! | 8 | the tick |
//! | 8 | a tick with crashes |
//! | 4 | how many |
//! | 8 | a crash of which the tick is not known was in one before this; 0 when there was none |
//! | 32 | hash of the above |

use std::io;
use std::sync::Arc;

use pw_isa::wire::{Decoded, Reader, Writer};

use super::World;
use super::bundle::Bundle;
use super::course::load_course;
use crate::checkpoint::RecoveryError;
use crate::disk::{Disk, DiskFile, MemoryDisk, read_all};
use crate::journal::{self, Journal, Record, Records};
use crate::portable::bytes_of;

/// The name of the file.
const NAME: &str = "running";
const MAGIC: [u8; 4] = *b"PWM1";
/// Crashes in a tick after which the reference interpreter does it, and after which nobody does.
const CRASHES_REFERENCE: u32 = 2;
const CRASHES_MAX: u32 = 3;

/// A tick in which processes have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suspect {
    /// Ticks that were done before it.
    pub tick: u64,
    /// How many processes have ended in it.
    pub crashes: u32,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    /// The history has been let go.
    Nothing,
    /// Ticks are not marked.
    Ticks,
    /// This tick.
    Tick(u64),
    /// Ticks are marked, and none is done now.
    NoTick,
}

/// What the file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mark {
    doing: Doing,
    suspect: Option<Suspect>,
    /// A crash was in a tick before this, it is not known in which.
    doubt_before: u64,
}

impl Mark {
    const NEW: Mark = Mark {
        doing: Doing::Nothing,
        suspect: None,
        doubt_before: 0,
    };

    fn to_bytes(self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes.extend_from_slice(&MAGIC);
        let (doing, tick) = match self.doing {
            Doing::Nothing => (0, 0),
            Doing::Ticks => (1, 0),
            Doing::Tick(tick) => (2, tick),
            Doing::NoTick => (3, 0),
        };
        out.u8(doing);
        out.u64(tick);
        out.u64(self.suspect.map_or(0, |suspect| suspect.tick));
        out.u32(self.suspect.map_or(0, |suspect| suspect.crashes));
        out.u64(self.doubt_before);
        let hash = blake3::hash(&out.bytes);
        out.bytes.extend_from_slice(hash.as_bytes());
        out.bytes
    }

    fn read(bytes: &[u8]) -> Decoded<Mark> {
        let mut input = Reader::new(bytes);
        if input.take(4)? != MAGIC {
            return Err(input.error("not a mark: it does not start with PWM1"));
        }
        let (doing, tick) = (input.u8()?, input.u64()?);
        let suspect = Suspect {
            tick: input.u64()?,
            crashes: input.u32()?,
        };
        let doubt_before = input.u64()?;
        let hashed = &bytes[..input.offset()];
        if input.hash()? != *blake3::hash(hashed).as_bytes() {
            return Err(input.error("the mark is damaged"));
        }
        let doing = match doing {
            0 => Doing::Nothing,
            1 => Doing::Ticks,
            2 => Doing::Tick(tick),
            3 => Doing::NoTick,
            other => return Err(input.error(format!("nothing has the number {other}"))),
        };
        Ok(Mark {
            doing,
            suspect: Some(suspect).filter(|suspect| suspect.crashes > 0),
            doubt_before,
        })
    }

    /// What the next process makes of what the last one said.
    fn taken_up(self) -> Mark {
        let (suspect, doubt_before) = match self.doing {
            Doing::Nothing | Doing::NoTick => (self.suspect, self.doubt_before),
            Doing::Ticks => (self.suspect, u64::MAX),
            Doing::Tick(tick) => {
                let before = self.suspect.filter(|suspect| suspect.tick == tick);
                let unknown = u32::from(self.doubt_before > tick);
                let crashes = before.map_or(unknown, |suspect| suspect.crashes);
                let crashes = crashes.saturating_add(1);
                (Some(Suspect { tick, crashes }), 0)
            }
        };
        Mark {
            suspect,
            doubt_before,
            ..self
        }
    }
}

/// Who has a history, and says what is done with it.
#[derive(Debug)]
pub(super) struct Marker {
    file: Box<dyn DiskFile>,
    mark: Mark,
    /// The tick that is done.
    inside: Option<u64>,
    /// Whether the tick with crashes was done.
    is_past: bool,
    error: Option<String>,
}

impl Marker {
    /// Takes up a history: what the processes before have said counts.
    pub(super) fn take_up(disk: &dyn Disk) -> io::Result<Marker> {
        let is_there = disk.list()?.iter().any(|name| name == NAME);
        let (mark, file) = if is_there {
            // One that cannot be read is one that was being written.
            let cut = Mark {
                doing: Doing::Ticks,
                ..Mark::NEW
            };
            let mark = Mark::read(&read_all(disk, NAME)?).unwrap_or(cut);
            (mark, disk.open(NAME)?)
        } else {
            (Mark::NEW, disk.create(NAME)?)
        };
        let mut marker = Marker {
            file,
            mark: mark.taken_up(),
            inside: None,
            is_past: false,
            error: None,
        };
        marker.mark.doing = marker.between();
        marker.write()?;
        Ok(marker)
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_at(0, &self.mark.to_bytes())
    }

    /// Writes, or remembers why not.
    fn say(&mut self, doing: Doing) {
        self.mark.doing = doing;
        if let Err(error) = self.write() {
            self.error = Some(error.to_string());
        }
    }

    /// The tick in which processes have ended, if there is one.
    pub(super) fn suspect(&self) -> Option<Suspect> {
        self.mark.suspect
    }

    /// The tick that nobody does any more, if there is one.
    pub(super) fn halted(&self) -> Option<Suspect> {
        self.suspect()
            .filter(|suspect| suspect.crashes >= CRASHES_MAX)
    }

    /// Whether the reference interpreter does a tick.
    pub(super) fn wants_reference(&self, tick: u64) -> bool {
        self.suspect()
            .is_some_and(|suspect| suspect.tick == tick && suspect.crashes >= CRASHES_REFERENCE)
    }

    /// Whether ticks are marked, so that what enters before one has to be in the journal.
    pub(super) fn marks_ticks(&self) -> bool {
        let is_ahead = self.mark.suspect.is_some() && !self.is_past;
        is_ahead || self.mark.doubt_before > 0
    }

    /// What is done when no tick is.
    fn between(&self) -> Doing {
        if self.marks_ticks() {
            Doing::NoTick
        } else {
            Doing::Ticks
        }
    }

    /// The state has been read that a checkpoint has of a tick: what was suspected before it will not be done again.
    pub(super) fn begins_at(&mut self, ticks: u64) {
        if self.suspect().is_some_and(|suspect| suspect.tick < ticks) {
            self.mark.suspect = None;
        }
    }

    /// Between ticks: why the world cannot go on, if an unwinding has left the last one, so that its state is none of the history.
    pub(super) fn broken(&self) -> Option<String> {
        let tick = self.inside?;
        Some(format!(
            "tick {tick} has panicked: the world has to be recovered"
        ))
    }

    /// A tick begins.
    ///
    /// # Panics
    /// When the last one has.
    pub(super) fn enter(&mut self, tick: u64) {
        if let Some(reason) = self.broken() {
            panic!("{reason}");
        }
        self.inside = Some(tick);
        if self.marks_ticks() {
            self.say(Doing::Tick(tick));
        }
    }

    /// The tick that began is over. Whether it was the one that processes had ended in: a checkpoint should be behind it soon, so
    /// that it is not done again.
    pub(super) fn leave(&mut self) -> bool {
        let Some(tick) = self.inside.take() else {
            return false;
        };
        if !self.marks_ticks() {
            return false;
        }
        let was_suspect = self.suspect().is_some_and(|suspect| suspect.tick == tick);
        self.is_past |= was_suspect;
        if self.mark.doubt_before <= tick {
            self.mark.doubt_before = 0;
        }
        let doing = self.between();
        self.say(doing);
        was_suspect
    }

    /// All that is in the journal was done: a crash of which the tick is not known was in one before this.
    pub(super) fn is_recovered(&mut self, doubt_before: u64) {
        self.mark.doubt_before = self.mark.doubt_before.min(doubt_before);
        let doing = self.between();
        self.say(doing);
    }

    /// The history takes another course: no tick of it has ended a process.
    pub(super) fn forgets(&mut self) {
        self.mark.suspect = None;
        self.mark.doubt_before = 0;
        self.is_past = false;
        let doing = self.between();
        self.say(doing);
    }

    /// Whether the tick was done that processes had ended in.
    pub(super) fn is_past(&self) -> bool {
        self.is_past
    }

    /// Why ticks could not be marked, if so.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        let doing = self.inside.map_or(Doing::Nothing, Doing::Tick);
        self.say(doing);
    }
}

impl World {
    /// Between ticks: why the world cannot go on, if so.
    pub(super) fn broken(&self) -> Option<String> {
        let lost = self.ensure_whole().err();
        lost.or_else(|| self.lost_history())
            .or_else(|| self.marker.as_ref()?.broken())
    }
}

/// Has a history taken up again although a tick of it has ended too many processes.
///
/// # Errors
/// Those of the disk.
pub fn forget_crashes(disk: &dyn Disk) -> io::Result<()> {
    if disk.list()?.iter().any(|name| name == NAME) {
        disk.remove(NAME)?;
    }
    disk.sync_names()
}

/// Writes a bundle of the newest checkpoint before a tick, and of the inputs up to it, so that the tick can be seen elsewhere; its name.
/// Nothing is done again for that.
pub(super) fn write_bundle(
    disk: &Arc<dyn Disk>,
    threads: usize,
    tick: u64,
) -> Result<String, RecoveryError> {
    let name = format!("poison-{tick:020}.pwbundle");
    let failed = |error| RecoveryError::Disk {
        what: name.clone(),
        error,
    };
    let loaded = load_course(&**disk, threads, tick, u64::MAX)?.0;
    let part = MemoryDisk::default();
    for file in &loaded.files {
        let bytes = read_all(&**disk, &file.name).map_err(failed)?;
        let copied = part.create(&file.name);
        copied
            .and_then(|mut copy| copy.write_at(0, &bytes))
            .map_err(failed)?;
    }
    let first = loaded.head.journal;
    let survey = journal::survey(&**disk, first)?;
    let mut copy = Journal::begin(Arc::new(part.clone()), first).map_err(failed)?;
    let mut records = Records::new(Arc::clone(disk), &survey, first);
    while let Some((_, record)) = records.peek()?
        && Record::ticks_of(record).is_ok_and(|ticks| ticks <= tick)
    {
        copy.add(record);
        records.skip();
    }
    // The tick itself is to be done.
    let horizon = Record::Horizon { ticks: tick + 1 };
    copy.add(&bytes_of(&pw_jit::CodeSpace::default(), &horizon));
    copy.finish().map_err(failed)?;
    let bytes = Bundle::close(&part).map_err(failed)?;
    let mut file = disk.create(&name).map_err(failed)?;
    let written = file.write_at(0, &bytes).and_then(|()| file.sync());
    written.and_then(|()| disk.sync_names()).map_err(failed)?;
    Ok(name)
}
