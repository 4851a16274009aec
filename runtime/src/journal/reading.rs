//! Reading a journal: what it holds, where it ends, and whether it is damaged.
//!
//! A process that dies leaves a journal whose last batches may be incomplete: its *torn tail*, which nobody was told to
//! be durable. It is cut off. What is not readable and had been durable is damage, which a later batch shows: each says up to
//! where the journal was durable when it was written. Damage is refused.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::batch::{
    BATCH_MAGIC, SEGMENT_HEAD, claimed_length, read_batch, read_segment_head, segment_first,
    segment_name,
};
use super::{Record, Rollback};
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
    /// It is sound, and another engine has written it.
    #[error("{name}: {what}")]
    Foreign {
        /// The file.
        name: String,
        /// Which one that is.
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
    /// Whether it is of an older version, so that nothing is added to it.
    pub(crate) is_old: bool,
    /// Where its good part ends.
    pub(crate) offset: u64,
    /// The number of the next record.
    pub(crate) next: u64,
}

/// What there is in a journal, but for the records themselves.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The first record that was asked for.
    pub(crate) from: u64,
    /// The first records of the segments that hold it and those behind it.
    segments: Vec<u64>,
    /// Inputs among the records.
    pub(crate) inputs: u64,
    /// How many ticks the world had done at the last record, if there is one.
    pub(crate) ticks: Option<u64>,
    /// Rollbacks among them.
    pub(crate) rollbacks: Vec<Rollback>,
    /// Outputs that had left the world, as far as the journal knows.
    pub(crate) released: u64,
    /// Where the journal goes on.
    pub(crate) end: Position,
    /// What was cut off.
    pub(crate) tail: Option<JournalTail>,
    /// Segments behind the end, of which nothing is good.
    pub(crate) useless: Vec<String>,
}

impl Survey {
    /// Takes up the batches of a segment, behind its head: where the good part ends, and what is wrong there.
    fn batches(&mut self, bytes: &[u8]) -> (usize, Option<String>) {
        let mut at = SEGMENT_HEAD;
        while at < bytes.len() {
            let (head, records, length) = match read_batch(&bytes[at..]) {
                Ok(batch) => batch,
                Err(error) => return (at, Some(error.to_string())),
            };
            if head.first != self.end.next {
                let what = format!("record {} where {} follows", head.first, self.end.next);
                return (at, Some(what));
            }
            for record in records {
                if self.end.next >= self.from {
                    self.record(&bytes[at..][record]);
                }
                self.end.next += 1;
            }
            self.released = self.released.max(head.released);
            at += length;
        }
        (at, None)
    }

    fn record(&mut self, record: &[u8]) {
        self.inputs += u64::from(Record::is_input(record));
        // What is no record is refused by who does what it says.
        self.ticks = Record::ticks_of(record).ok().or(self.ticks);
        self.rollbacks
            .extend(Record::rollback(self.end.next, record));
    }

    /// Ends where a segment is torn, in its batches or in its head.
    fn cut(mut self, (name, offset, length): (String, usize, usize), what: String) -> Survey {
        self.tail = Some(JournalTail {
            name: name.clone(),
            offset,
            bytes: length - offset,
            what,
        });
        if offset < SEGMENT_HEAD {
            self.useless.insert(0, name);
        } else {
            self.end.segment = Some(name);
            self.end.offset = offset as u64;
        }
        self.behind()
    }

    /// Goes on behind what a checkpoint knows of, at least.
    fn behind(mut self) -> Survey {
        if self.end.next < self.from {
            // The machine died before it had written what the checkpoint knows of already.
            self.end = Position {
                segment: None,
                is_old: false,
                offset: 0,
                next: self.from,
            };
        }
        self
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

/// Looks through a journal from record `from` on, segment by segment: what is damaged is refused before anything is done.
pub(crate) fn survey(disk: &dyn Disk, from: u64) -> Result<Survey, JournalError> {
    let names = disk.list().map_err(disk_error("the directory"))?;
    let mut segments: Vec<u64> = names
        .iter()
        .filter_map(|name| segment_first(name))
        .collect();
    segments.sort_unstable();
    // Segments that end before the record are not needed.
    let needed = segments.partition_point(|first| *first <= from).max(1) - 1;
    let segments = segments.split_off(needed.min(segments.len()));
    let begin = segments.first().copied().unwrap_or(from);
    if begin > from {
        return Err(JournalError::Missing { from, to: begin });
    }
    let mut survey = Survey {
        from,
        segments: Vec::new(),
        inputs: 0,
        ticks: None,
        rollbacks: Vec::new(),
        released: 0,
        end: Position {
            segment: None,
            is_old: false,
            offset: 0,
            next: begin,
        },
        tail: None,
        useless: Vec::new(),
    };
    for (place, first) in segments.iter().enumerate() {
        let name = segment_name(*first);
        let bytes = read_all(disk, &name).map_err(disk_error(&name))?;
        let next = survey.end.next;
        let head = read_segment_head(&bytes);
        // What another engine has written is not damaged, and nothing of it is cut off.
        if let Some(what) = head.as_ref().ok().and_then(|head| head.is_foreign()) {
            return Err(JournalError::Foreign { name, what });
        }
        let (offset, flaw) = match head {
            Ok(head) if head.first == *first && *first == next => {
                survey.end.is_old = !head.is_current();
                survey.batches(&bytes)
            }
            Ok(head) if head.first == *first && *first > next => {
                return Err(JournalError::Missing {
                    from: next,
                    to: *first,
                });
            }
            Ok(head) => {
                let what = format!("it says that it begins with record {}", head.first);
                (0, Some(what))
            }
            Err(error) => (0, Some(error.to_string())),
        };
        survey.segments.push(*first);
        let Some(what) = flaw else {
            survey.end.segment = Some(name);
            survey.end.offset = offset as u64;
            continue;
        };
        let later = segments[place + 1..].iter().copied().map(segment_name);
        survey.useless = later.collect();
        let mut durable = durable_behind(&bytes, offset);
        for name in &survey.useless {
            let bytes = read_all(disk, name).map_err(disk_error(name))?;
            durable = durable.max(durable_behind(&bytes, 0));
        }
        if durable > survey.end.next {
            return Err(JournalError::Damaged { name, offset, what });
        }
        return Ok(survey.cut((name, offset, bytes.len()), what));
    }
    Ok(survey.behind())
}

fn disk_error(name: &str) -> impl FnOnce(io::Error) -> JournalError {
    let name = name.to_owned();
    move |error| JournalError::Disk { name, error }
}

/// The records of a journal in their order. One segment is in memory at a time.
#[derive(Debug)]
pub(crate) struct Records {
    disk: Arc<dyn Disk>,
    /// The first records of the segments that are still to be read.
    segments: VecDeque<u64>,
    /// The number of the first record that is wanted, and that behind the last.
    from: u64,
    to: u64,
    /// The segment that is being read: its name, its bytes, and where its next batch begins.
    name: String,
    bytes: Vec<u8>,
    at: usize,
    /// Where the records of the batch are that were not taken, and the number of the first of them.
    ahead: VecDeque<Range<usize>>,
    next: u64,
}

impl Records {
    /// The records of a journal that was looked through, from a number on.
    pub(crate) fn new(disk: Arc<dyn Disk>, survey: &Survey, from: u64) -> Records {
        let segments = &survey.segments;
        let needed = segments.partition_point(|first| *first <= from).max(1) - 1;
        let segments: VecDeque<u64> = segments.iter().skip(needed).copied().collect();
        let to = survey.end.next;
        let first = segments.front().copied().filter(|_| from < to);
        Records {
            disk,
            next: first.unwrap_or(to),
            segments,
            from,
            to,
            name: String::new(),
            bytes: Vec::new(),
            at: 0,
            ahead: VecDeque::new(),
        }
    }

    /// The next record and its number, which stays the next.
    pub(crate) fn peek(&mut self) -> Result<Option<(u64, &[u8])>, JournalError> {
        while self.next < self.to {
            if self.ahead.is_empty() {
                self.read()?;
            } else if self.next < self.from {
                self.skip();
            } else {
                break;
            }
        }
        let range = self.ahead.front().cloned();
        Ok(range.map(|range| (self.next, &self.bytes[range])))
    }

    /// The same records, from here on.
    pub(crate) fn again(&self, survey: &Survey) -> Records {
        Records::new(Arc::clone(&self.disk), survey, self.next.max(self.from))
    }

    /// Goes on behind the next record.
    pub(crate) fn skip(&mut self) {
        self.next += u64::from(self.ahead.pop_front().is_some());
    }

    /// Reads the next batch, of the next segment if there is none left in this one.
    fn read(&mut self) -> Result<(), JournalError> {
        let damaged = |name: &str, offset, what: String| JournalError::Damaged {
            name: name.to_owned(),
            offset,
            what,
        };
        if self.at >= self.bytes.len() {
            let Some(first) = self.segments.pop_front() else {
                return Err(JournalError::Missing {
                    from: self.next,
                    to: self.to,
                });
            };
            self.name = segment_name(first);
            // Before the next is there, so that there is one at a time.
            self.bytes = Vec::new();
            self.bytes = read_all(&*self.disk, &self.name).map_err(disk_error(&self.name))?;
            read_segment_head(&self.bytes)
                .map_err(|error| damaged(&self.name, 0, error.to_string()))?;
            self.at = SEGMENT_HEAD;
            return Ok(());
        }
        // It was good when it was looked through; a disk may give something else the next time.
        let batch = read_batch(&self.bytes[self.at..]);
        let (head, records, length) =
            batch.map_err(|error| damaged(&self.name, self.at, error.to_string()))?;
        if head.first != self.next {
            let what = format!("record {} where {} follows", head.first, self.next);
            return Err(damaged(&self.name, self.at, what));
        }
        let at = self.at;
        self.ahead
            .extend(records.iter().map(|of| at + of.start..at + of.end));
        self.at += length;
        Ok(())
    }
}
