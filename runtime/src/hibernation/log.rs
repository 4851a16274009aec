//! The file of hibernated actors: a log in segments, each a file of its own.
//!
//! Records are only ever added at the end, so no place is used twice. One that is needed no more stays until most of its segment is such;
//! then those that are needed are written again at the end, and the segment is removed. Nothing outlives the process, so nothing is
//! synced: a segment that is there when a log is opened is of no use to anybody.
//!
//! A record is the number of its actor (u64), the length of the bytes (u32), a checksum of all three (u64), and the bytes; numbers are
//! little-endian.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use pw_isa::wire::Reader;

use super::HibernationError;
use crate::actor::ActorId;
use crate::disk::{Disk, DiskFile};

/// Bytes of a record before those of its actor.
const HEAD_BYTES: usize = 20;
/// Bytes that are read at once where the length of a record is not known: nearly always all of it.
const READ_BYTES: usize = 1024;
/// The most bytes of a segment before the last records of it.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// What the names of segments begin with; a number follows.
const NAME: &str = "hibernated-";

/// Where a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    segment: NonZeroU32,
    offset: u32,
}

/// A part of the log.
#[derive(Debug)]
struct Segment {
    file: Box<dyn DiskFile>,
    length: u64,
    /// Bytes of records that are needed.
    live: u64,
    /// Up to where those that are needed were moved on.
    moved: u64,
    /// Whether it is, or was, to be emptied.
    is_sparse: bool,
}

/// Records that are to be added together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    records: Vec<(ActorId, usize)>,
}

/// A record of which it is not known whether anybody needs it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: ActorId,
    pub(crate) place: Place,
    /// Where its actor's bytes are in what was read.
    pub(crate) state: Range<usize>,
}

/// The log.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    segments: BTreeMap<NonZeroU32, Segment>,
    /// Segments so far. The newest is written, if it is there and not full.
    count: u32,
    /// Segments that are to be emptied.
    sparse: VecDeque<NonZeroU32>,
}

fn name(segment: NonZeroU32) -> String {
    format!("{NAME}{segment:08}")
}

/// Whether a file is a segment.
fn is_ours(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(|number| {
        number.len() >= 8 && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

fn checksum(head: &[u8], state: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(head);
    hasher.update(state);
    let hash = hasher.finalize();
    hash.as_bytes()
        .first_chunk()
        .map_or(0, |first| u64::from_le_bytes(*first))
}

/// What the head of a record says.
struct Head {
    id: ActorId,
    length: usize,
    checksum: u64,
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Head> {
        let mut input = Reader::new(bytes);
        Some(Head {
            id: ActorId(input.u64().ok()?),
            length: input.u32().ok()? as usize,
            checksum: input.u64().ok()?,
        })
    }
}

/// The record that bytes begin with: its actor, and where that one's bytes are, if all of it is there and as it was written.
fn record(bytes: &[u8]) -> Option<(ActorId, Range<usize>)> {
    let head = Head::of(bytes)?;
    let state = HEAD_BYTES..HEAD_BYTES.checked_add(head.length)?;
    let is_sound = checksum(&bytes[..12], bytes.get(state.clone())?) == head.checksum;
    is_sound.then_some((head.id, state))
}

impl Batch {
    /// Adds an actor; false, and nothing, when it is too large.
    pub(crate) fn add(&mut self, id: ActorId, state: &[u8]) -> bool {
        let Ok(length) = u32::try_from(state.len()) else {
            return false;
        };
        let start = self.bytes.len();
        self.records.push((id, start));
        self.bytes.extend_from_slice(&id.0.to_le_bytes());
        self.bytes.extend_from_slice(&length.to_le_bytes());
        let sum = checksum(&self.bytes[start..], state);
        self.bytes.extend_from_slice(&sum.to_le_bytes());
        self.bytes.extend_from_slice(state);
        true
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many actors are in it.
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

impl Log {
    /// A log in a directory that holds nothing, or what a log has left there.
    pub(crate) fn open(disk: Arc<dyn Disk>, segment_bytes: u64) -> Result<Log, HibernationError> {
        let names = disk.list().map_err(HibernationError::Directory)?;
        if let Some(other) = names.iter().find(|name| !is_ours(name)) {
            return Err(HibernationError::Foreign(other.clone()));
        }
        for name in &names {
            disk.remove(name).map_err(HibernationError::Directory)?;
        }
        Ok(Log {
            disk,
            segment_bytes: segment_bytes.min(SEGMENT_BYTES_MAX),
            segments: BTreeMap::new(),
            count: 0,
            sparse: VecDeque::new(),
        })
    }

    /// Bytes of all segments, and those of records that are needed.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let segments = self.segments.values();
        segments.fold((0, 0), |(all, live), segment| {
            (all + segment.length, live + segment.live)
        })
    }

    /// The segment that is written, made if there is none with room.
    fn open_segment(&mut self) -> io::Result<NonZeroU32> {
        if let Some((number, newest)) = self.segments.last_key_value()
            && number.get() == self.count
            && newest.length < self.segment_bytes
        {
            return Ok(*number);
        }
        let number = self.count.checked_add(1).and_then(NonZeroU32::new);
        let number = number.ok_or_else(|| io::Error::other("no numbers are left for segments"))?;
        let segment = Segment {
            file: self.disk.create(&name(number))?,
            length: 0,
            live: 0,
            moved: 0,
            is_sparse: false,
        };
        self.segments.insert(number, segment);
        let before = NonZeroU32::new(self.count);
        self.count = number.get();
        if let Some(before) = before {
            self.look_at(before);
        }
        Ok(number)
    }

    /// Adds all of a batch: who is where. If it cannot be written, nothing has changed.
    pub(crate) fn add(&mut self, batch: &Batch) -> io::Result<Vec<(ActorId, Place)>> {
        let number = self.open_segment()?;
        let Some(segment) = self.segments.get_mut(&number) else {
            unreachable!("the open segment is there")
        };
        let places = batch.records.iter().map(|(id, start)| {
            let offset = u32::try_from(segment.length + *start as u64);
            let offset = offset.map_err(io::Error::other)?;
            let segment = number;
            Ok((*id, Place { segment, offset }))
        });
        let places = places.collect::<io::Result<Vec<_>>>()?;
        segment.file.write_at(segment.length, &batch.bytes)?;
        segment.length += batch.bytes.len() as u64;
        segment.live += batch.bytes.len() as u64;
        Ok(places)
    }

    /// The bytes of an actor.
    pub(crate) fn read(&self, id: ActorId, place: Place) -> Result<Vec<u8>, HibernationError> {
        let damaged = |reason: &str| self.damaged(id, place, reason.to_owned());
        let Some(segment) = self.segments.get(&place.segment) else {
            return Err(damaged("there is no such file"));
        };
        let bytes = segment.read(u64::from(place.offset), READ_BYTES);
        let mut bytes = bytes.map_err(|error| HibernationError::Io {
            actor: id.0,
            file: name(place.segment),
            error,
        })?;
        match record(&bytes) {
            Some((found, state)) if found == id => {
                bytes.truncate(state.end);
                bytes.drain(..state.start);
                Ok(bytes)
            }
            Some((found, _)) => Err(damaged(&format!("actor {found} is there"))),
            None => Err(damaged("the checksum does not fit")),
        }
    }

    /// What is at a place is not the actor that was written there.
    pub(crate) fn damaged(&self, id: ActorId, place: Place, reason: String) -> HibernationError {
        HibernationError::Damaged {
            actor: id.0,
            file: name(place.segment),
            offset: u64::from(place.offset),
            reason,
        }
    }

    /// The record of an actor is not needed any more.
    pub(crate) fn forget(&mut self, place: Place, state_bytes: usize) {
        if let Some(segment) = self.segments.get_mut(&place.segment) {
            segment.live -= (HEAD_BYTES + state_bytes) as u64;
            self.look_at(place.segment);
        }
    }

    /// A segment may have become useless, or be worth emptying.
    fn look_at(&mut self, number: NonZeroU32) {
        let Some(segment) = self.segments.get_mut(&number) else {
            return;
        };
        if number.get() == self.count && segment.length < self.segment_bytes {
            // It is still written.
            return;
        }
        if segment.live == 0 {
            self.segments.remove(&number);
            // If it cannot be removed now, it is when the directory is used again.
            let _ = self.disk.remove(&name(number));
        } else if segment.live * 2 < segment.length && !segment.is_sparse {
            segment.is_sparse = true;
            self.sparse.push_back(number);
        }
    }

    /// Whether there is a segment to be emptied.
    pub(crate) fn has_sparse(&self) -> bool {
        !self.sparse.is_empty()
    }

    /// The next records of a segment that is to be emptied, of about so many bytes, and these. Nothing when there is none. What it
    /// gives is not given again: what is needed of it is to be added anew.
    pub(crate) fn next_sparse(&mut self, bytes_max: usize) -> Option<(Vec<u8>, Vec<Found>)> {
        let number = *self.sparse.front()?;
        let found = self
            .segments
            .get(&number)
            .and_then(|segment| segment.records(number, bytes_max));
        match (found, self.segments.get_mut(&number)) {
            (Some((bytes, found, end)), Some(segment)) if end > segment.moved => {
                segment.moved = end;
                Some((bytes, found))
            }
            // It is gone, or cannot be read, or all of it was: whoever needs what is left of it will see.
            _ => {
                self.sparse.pop_front();
                None
            }
        }
    }

    /// What [`Log::next_sparse`] gave could not be added anew: it is given once more.
    pub(crate) fn again(&mut self, found: &[Found]) {
        let Some(first) = found.first() else { return };
        if let Some(segment) = self.segments.get_mut(&first.place.segment) {
            segment.moved = u64::from(first.place.offset);
        }
    }

    /// Nothing of it is needed any more.
    pub(crate) fn clear(&mut self) {
        for number in std::mem::take(&mut self.segments).into_keys() {
            // As above.
            let _ = self.disk.remove(&name(number));
        }
        self.sparse.clear();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Segment {
    /// The record at an offset, and perhaps what follows it: so many bytes at least, unless it ends before.
    fn read(&self, offset: u64, bytes_min: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_more(offset, bytes_min, &mut bytes)?;
        if let Some(head) = Head::of(&bytes) {
            self.read_more(offset, HEAD_BYTES.saturating_add(head.length), &mut bytes)?;
        }
        Ok(bytes)
    }

    /// Reads on until there are so many bytes, or it ends.
    fn read_more(&self, offset: u64, wanted: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        let mut have = bytes.len();
        if have >= wanted {
            return Ok(());
        }
        bytes.resize(wanted, 0);
        while have < wanted {
            match self
                .file
                .read_at(offset + have as u64, &mut bytes[have..])?
            {
                0 => break,
                count => have += count,
            }
        }
        bytes.truncate(have);
        Ok(())
    }

    /// The records from where it was emptied up to, the bytes that they are in, and where they end; nothing when they cannot be read.
    fn records(&self, number: NonZeroU32, bytes_max: usize) -> Option<(Vec<u8>, Vec<Found>, u64)> {
        let bytes = self.read(self.moved, bytes_max).ok()?;
        let mut found = Vec::new();
        let mut start = 0;
        while let Some((id, state)) = record(&bytes[start..]) {
            let offset = u32::try_from(self.moved + start as u64).ok()?;
            found.push(Found {
                id,
                place: Place {
                    segment: number,
                    offset,
                },
                state: start + state.start..start + state.end,
            });
            start += state.end;
        }
        Some((bytes, found, self.moved + start as u64))
    }
}
