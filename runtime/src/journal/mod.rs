//! The journal: what entered a world, and when.
//!
//! It is a sequence of *records* in files, the *segments*. Records are written in *batches*: all that have come since the last
//! batch was written, so that one sync makes many of them durable.
//!
//! | file | what it holds |
//! |---|---|
//! | `batch` | the format of batches and segments |
//! | `short` | records of few bytes |
//! | `reading` | reading segments: where the journal ends, and whether it is damaged |
//! | `queue` | what is handed over |
//! | `patience` | how long a sync waits for more |
//! | `writer` | the thread that writes |
//! | `releases` | what happens then; the thread that lets outputs leave |

mod batch;
mod patience;
mod queue;
mod reading;
mod releases;
mod short;
mod writer;

use pw_isa::wire::Decoded;
use pw_jit::CodeSpace;
use serde::{Deserialize, Serialize};

use crate::portable::{Out, Portable, Shared, portable, read_with};
use crate::world::{Input, Numbers, Rolled};
pub(crate) use queue::Leaves;
pub use reading::{JournalError, JournalTail};
pub(crate) use reading::{Position, Records, Survey, survey};
pub(crate) use short::{ShortHead, ShortRecord};
pub(crate) use writer::{Journal, JournalSettings, RECORD_BYTES_MAX};

/// When what is written counts as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// At once: the history is kept in memory, and ends with the process.
    Memory,
    /// When the operating system has it: the history survives the end of the process, but not that of the machine.
    #[default]
    Async,
    /// When the disk has it: nothing leaves the world before its cause is on the disk.
    Sync,
}

/// One thing in a journal.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Record {
    /// An input took effect when the world had done so many ticks.
    Input { ticks: u64, input: Input },
    /// The world did so many ticks, and nothing else entered it until then.
    Horizon { ticks: u64 },
    /// What happened since a record is taken back; the world comes to so many ticks in another way.
    Rollback { ticks: u64, rolled: Rolled },
    /// The same, but nobody said so: the world went back by itself, for this reason.
    WentBack {
        ticks: u64,
        rolled: Rolled,
        why: String,
    },
    /// The world did so many ticks, and this was its trajectory then, and the numbers that it had given.
    Witness {
        ticks: u64,
        trajectory: [u8; 32],
        numbers: Numbers,
    },
}

portable!(enum Record {
    0 => Input { ticks, input },
    1 => Horizon { ticks },
    2 => Rollback { ticks, rolled },
    3 => WentBack { ticks, rolled, why },
    4 => Witness { ticks, trajectory, numbers },
});

/// The first bytes of some records.
const INPUT: u8 = 0;
const ROLLBACKS: [u8; 2] = [2, 3];
const WITNESS: u8 = 4;

/// A rollback as a journal has it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rollback {
    /// The number of its record.
    pub(crate) number: u64,
    /// Ticks of the state that the world came to.
    pub(crate) ticks: u64,
    pub(crate) rolled: Rolled,
    /// Why the world did it by itself, if it did.
    pub(crate) why: Option<String>,
}

impl Record {
    /// Writes the record of an input, which is written by this.
    #[inline]
    pub(crate) fn put_input(out: &mut Out<'_>, ticks: u64, put: impl FnOnce(&mut Out<'_>)) {
        out.to.u8(INPUT);
        ticks.put(out);
        put(out);
    }

    /// The beginning of the records of inputs that have few bytes.
    pub(crate) fn short_head(ticks: u64) -> ShortHead {
        ShortHead::of(|to| {
            to.u8(INPUT);
            to.varint(ticks);
        })
    }

    /// Whether these are the bytes of an input.
    pub(crate) fn is_input(bytes: &[u8]) -> bool {
        bytes.first() == Some(&INPUT)
    }

    /// The rollback that the bytes of the record with this number are, if they are one.
    pub(crate) fn rollback(number: u64, bytes: &[u8]) -> Option<Rollback> {
        if !ROLLBACKS.contains(bytes.first()?) {
            return None;
        }
        let (ticks, rolled, why) = match Record::read(bytes) {
            Ok(Record::Rollback { ticks, rolled }) => (ticks, rolled, None),
            Ok(Record::WentBack { ticks, rolled, why }) => (ticks, rolled, Some(why)),
            _ => return None,
        };
        Some(Rollback {
            number,
            ticks,
            rolled,
            why,
        })
    }

    /// The numbers that the world had given when these bytes were written, if they say so.
    pub(crate) fn witnessed_numbers(bytes: &[u8]) -> Option<Numbers> {
        if bytes.first() != Some(&WITNESS) {
            return None;
        }
        match Record::read(bytes) {
            Ok(Record::Witness { numbers, .. }) => Some(numbers),
            _ => None,
        }
    }

    /// A record that refers to no program.
    pub(crate) fn read(bytes: &[u8]) -> Decoded<Record> {
        let mut shared = Shared::new(0);
        read_with(&CodeSpace::default(), bytes, &mut shared, Record::get)
    }

    /// How many ticks the world had done by the bytes of a record, without reading its input.
    pub(crate) fn ticks_of(bytes: &[u8]) -> Decoded<u64> {
        let mut input = pw_isa::wire::Reader::new(bytes);
        input.u8()?;
        input.varint()
    }
}
