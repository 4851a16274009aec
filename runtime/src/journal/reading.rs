//! Reading a journal: what it holds, where it ends, and whether it is damaged.
//!
//! A process that dies leaves a journal whose last batches may be incomplete: its *torn tail*, which nobody was told to
//! be durable. It is cut off. What is not readable and had been durable is damage, which a later batch shows: each says up to
//! where the journal was durable when it was written. Damage is refused.

use std::io;

use super::batch::{
    BATCH_MAGIC, SEGMENT_HEAD, claimed_length, read_batch, read_segment_head, segment_first,
    segment_name,
};
use crate::disk::{Disk, read_all};

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk failed.
    #[error("{name}: {error}")]
    Disk {
        /// The file.
        name: String,
        /// How.
        error: io::Error,
    },
    /// What had been durable cannot be read.
    #[error("{name} is damaged at byte {offset}: {what}")]
    Damaged {
        /// The file.
        name: String,
        /// Where.
        offset: usize,
        /// How.
        what: String,
    },
    /// A segment is not there.
    #[error("records {from} to {to} of the journal are not there")]
    Missing {
        /// The first record.
        from: u64,
        /// The first that is there again.
        to: u64,
    },
}

/// The end of a journal that was cut off, because its process died while it wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalTail {
    /// The file.
    pub name: String,
    /// Where it was cut.
    pub offset: usize,
    /// Bytes that are gone.
    pub bytes: usize,
    /// What was wrong there.
    pub what: String,
}

/// Where a journal goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// The last segment; nothing when there is none.
    pub(crate) segment: Option<String>,
    /// Where its good part ends.
    pub(crate) offset: u64,
    /// The number of the next record.
    pub(crate) next: u64,
}

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Records from the one that was asked for on.
    pub(crate) records: Vec<Vec<u8>>,
    /// Outputs that had left the world, as far as the journal knows.
    pub(crate) released: u64,
    pub(crate) end: Position,
    pub(crate) tail: Option<JournalTail>,
    /// Segments behind the end, of which nothing is good.
    pub(crate) useless: Vec<String>,
}

/// Where reading stands.
struct Reading {
    from: u64,
    records: Vec<Vec<u8>>,
    released: u64,
    next: u64,
}

impl Reading {
    /// Takes up the batches of a segment, behind its head: where the good part ends, and what is wrong there.
    fn batches(&mut self, bytes: &[u8]) -> (usize, Option<String>) {
        let mut at = SEGMENT_HEAD;
        while at < bytes.len() {
            let (head, records, length) = match read_batch(&bytes[at..]) {
                Ok(batch) => batch,
                Err(error) => return (at, Some(error.to_string())),
            };
            if head.first != self.next {
                let what = format!("record {} where {} follows", head.first, self.next);
                return (at, Some(what));
            }
            for record in records {
                if self.next >= self.from {
                    self.records.push(record.to_vec());
                }
                self.next += 1;
            }
            self.released = self.released.max(head.released);
            at += length;
        }
        (at, None)
    }
}

/// Bytes that are hashed of a segment in search of batches behind damage, for each byte of it: who makes up batches within batches
/// does not make it take longer.
const HASHED_EACH: usize = 4;

/// Up to where the journal was durable, as batches behind `at` say that can be read in spite of what is before them.
fn durable_behind(bytes: &[u8], at: usize) -> u64 {
    let mut left = bytes.len().saturating_mul(HASHED_EACH);
    let mut durable = 0;
    for place in (at + 1)..bytes.len().saturating_sub(BATCH_MAGIC.len()) {
        if !bytes[place..].starts_with(&BATCH_MAGIC) {
            continue;
        }
        let length = claimed_length(&bytes[place..]);
        let Some(rest) = left.checked_sub(length) else {
            break;
        };
        left = rest;
        if let Ok((head, ..)) = read_batch(&bytes[place..]) {
            durable = durable.max(head.durable);
        }
    }
    durable
}

/// Reads the records of a journal from number `from` on.
pub(crate) fn read(disk: &dyn Disk, from: u64) -> Result<Recovered, JournalError> {
    let disk_error = |name: &str| {
        let name = name.to_owned();
        move |error| JournalError::Disk { name, error }
    };
    let names = disk.list().map_err(disk_error("the directory"))?;
    let mut segments: Vec<u64> = names
        .iter()
        .filter_map(|name| segment_first(name))
        .collect();
    segments.sort_unstable();
    // Segments that end before the record are not needed.
    let needed = segments.partition_point(|first| *first <= from).max(1) - 1;
    let segments = segments.get(needed..).unwrap_or_default();
    let mut reading = Reading {
        from,
        records: Vec::new(),
        released: 0,
        next: segments.first().copied().unwrap_or(from),
    };
    if reading.next > from {
        return Err(JournalError::Missing {
            from,
            to: reading.next,
        });
    }
    let mut end = Position {
        segment: None,
        offset: 0,
        next: reading.next,
    };
    for (place, first) in segments.iter().enumerate() {
        let name = segment_name(*first);
        let bytes = read_all(disk, &name).map_err(disk_error(&name))?;
        let (offset, flaw) = match read_segment_head(&bytes) {
            Ok(of) if of == *first && *first == reading.next => reading.batches(&bytes),
            Ok(of) if of == *first && *first > reading.next => {
                return Err(JournalError::Missing {
                    from: reading.next,
                    to: *first,
                });
            }
            Ok(of) => (0, Some(format!("it says that it begins with record {of}"))),
            Err(error) => (0, Some(error.to_string())),
        };
        let Some(what) = flaw else {
            end = Position {
                segment: Some(name),
                offset: offset as u64,
                next: reading.next,
            };
            continue;
        };
        let later = segments[place + 1..].iter().copied().map(segment_name);
        let later: Vec<String> = later.collect();
        let mut durable = durable_behind(&bytes, offset);
        for name in &later {
            let bytes = read_all(disk, name).map_err(disk_error(name))?;
            durable = durable.max(durable_behind(&bytes, 0));
        }
        if durable > reading.next {
            return Err(JournalError::Damaged { name, offset, what });
        }
        return Ok(torn(reading, end, (name, offset, bytes.len()), what, later));
    }
    Ok(Recovered {
        records: reading.records,
        released: reading.released,
        end: behind(end, from),
        tail: None,
        useless: Vec::new(),
    })
}

/// Where a journal goes on that a checkpoint knows up to a record of.
fn behind(end: Position, known: u64) -> Position {
    if end.next >= known {
        return end;
    }
    // The machine died before it had written what the checkpoint knows of already.
    Position {
        segment: None,
        offset: 0,
        next: known,
    }
}

/// A journal whose tail is torn: in a segment whose good part ends at an offset, or in its head.
fn torn(
    reading: Reading,
    before: Position,
    (name, offset, length): (String, usize, usize),
    what: String,
    mut useless: Vec<String>,
) -> Recovered {
    let tail = JournalTail {
        name: name.clone(),
        offset,
        bytes: length - offset,
        what,
    };
    let end = if offset < SEGMENT_HEAD {
        useless.insert(0, name);
        Position {
            next: reading.next,
            ..before
        }
    } else {
        Position {
            segment: Some(name),
            offset: offset as u64,
            next: reading.next,
        }
    };
    Recovered {
        records: reading.records,
        released: reading.released,
        end: behind(end, reading.from),
        tail: Some(tail),
        useless,
    }
}
