//! The format of segments and batches.
//!
//! | part | bytes | what |
//! |---|---|---|
//! | segment | 4 | `PWJ1` |
//! | | 2 | version |
//! | | 2 | semantics version |
//! | | 8 | number of its first record |
//! | | 16 | beginning of the hash of the above |
//! | batch | 4 | `PWJB` |
//! | | 8 | number of its first record |
//! | | 8 | number of the first record that was not known to be durable when it was written |
//! | | 8 | outputs that had left the world when it was written |
//! | | 4 | records |
//! | | 4 | bytes of them |
//! | | 16 | beginning of the hash of the above, from `PWJB` on, and of the records |
//! | | | records: length as varint, bytes |

use std::ops::Range;

use pw_isa::wire::{Decoded, Reader, Writer};

use super::short::{SHORT_BYTES, ShortHead, ShortRecord};
use crate::checkpoint::SEMANTICS;

const SEGMENT_MAGIC: [u8; 4] = *b"PWJ1";
pub(super) const BATCH_MAGIC: [u8; 4] = *b"PWJB";
/// The version this code writes.
///
/// | version | change |
/// |---|---|
/// | 1 | first |
/// | 2 | rollbacks |
/// | 3 | rollbacks that a world has made by itself, and witnesses of its trajectory |
const VERSION: u16 = 3;
/// Bytes of a hash that are kept: enough for damage, which is not made by somebody.
const HASH_BYTES: usize = 16;
/// Bytes of a segment's head.
pub(super) const SEGMENT_HEAD: usize = 4 + 2 + 2 + 8 + HASH_BYTES;
/// Bytes of a batch's head.
pub(super) const BATCH_HEAD: usize = 4 + 8 + 8 + 8 + 4 + 4 + HASH_BYTES;
/// The most bytes that the records of a batch may have: beyond it a length is damage.
pub(super) const BATCH_BYTES_MAX: usize = 1 << 30;

/// Bytes that are made room for at once for records of few bytes.
const ROOM_BYTES: usize = 1 << 10;
const _: () = assert!(ROOM_BYTES >= SHORT_BYTES);

/// The name of the segment that begins with a record.
pub(super) fn segment_name(first: u64) -> String {
    format!("journal-{first:020}")
}

/// The first record of a segment, by its name.
pub(super) fn segment_first(name: &str) -> Option<u64> {
    let number = name.strip_prefix("journal-")?;
    (number.len() == 20).then(|| number.parse().ok()).flatten()
}

fn short_hash(parts: &[&[u8]]) -> [u8; HASH_BYTES] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut short = [0; HASH_BYTES];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..HASH_BYTES]);
    short
}

/// The head of the segment that begins with a record.
pub(super) fn segment_head(first: u64) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes.extend_from_slice(&SEGMENT_MAGIC);
    out.u16(VERSION);
    out.u16(SEMANTICS);
    out.u64(first);
    let hash = short_hash(&[&out.bytes]);
    out.bytes.extend_from_slice(&hash);
    out.bytes
}

/// What the head of a segment says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentHead {
    version: u16,
    semantics: u16,
    /// The number of its first record.
    pub(super) first: u64,
}

impl SegmentHead {
    /// Whether it is of the version that is written.
    pub(super) fn is_current(self) -> bool {
        self.version == VERSION
    }

    /// Why a sound segment is for another engine, if it is.
    pub(super) fn is_foreign(self) -> Option<String> {
        let (version, semantics) = (self.version, self.semantics);
        if !(1..=VERSION).contains(&version) {
            return Some(format!(
                "it has version {version}; this engine reads 1 to {VERSION}"
            ));
        }
        (semantics != SEMANTICS).then(|| {
            format!("programs ran with semantics version {semantics}; this engine has {SEMANTICS}")
        })
    }
}

/// Reads the head of a segment, also of one for another engine: heads of all versions are alike.
pub(super) fn read_segment_head(bytes: &[u8]) -> Decoded<SegmentHead> {
    let mut input = Reader::new(bytes);
    if input.take(4)? != SEGMENT_MAGIC {
        return Err(input.error("not a journal: it does not start with PWJ1"));
    }
    let head = SegmentHead {
        version: input.u16()?,
        semantics: input.u16()?,
        first: input.u64()?,
    };
    let hashed = &bytes[..input.offset()];
    if input.take(HASH_BYTES)? != short_hash(&[hashed]) {
        return Err(input.error("the head of the segment is damaged"));
    }
    Ok(head)
}

/// What a batch says besides its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct BatchHead {
    /// The number of its first record.
    pub(super) first: u64,
    /// The first record that was not known to be durable.
    pub(super) durable: u64,
    /// Outputs that had left the world.
    pub(super) released: u64,
    /// Records.
    pub(super) count: u32,
}

/// Records on their way into a batch, with room for its head before them.
#[derive(Debug)]
pub(super) struct Records {
    count: u32,
    bytes: Writer,
    /// Where the last one ends. What is behind it means nothing: it is room, or what stood there before, or the writer of a record panicked.
    end: usize,
}

impl Default for Records {
    fn default() -> Records {
        let bytes = vec![0; BATCH_HEAD];
        Records {
            count: 0,
            bytes: Writer { bytes },
            end: BATCH_HEAD,
        }
    }
}

impl Records {
    /// How many there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Bytes of them.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.end - BATCH_HEAD
    }

    /// Adds a record, which is written where it is to be.
    ///
    /// # Errors
    /// Its length, when it has more than so many bytes: it is not added.
    #[inline]
    pub(super) fn add(
        &mut self,
        bytes_max: usize,
        write: impl FnOnce(&mut Writer),
    ) -> Result<(), usize> {
        self.bytes.bytes.truncate(self.end);
        let start = self.bytes.begin_blob();
        write(&mut self.bytes);
        let length = self.bytes.bytes.len() - start - 1;
        if length > bytes_max {
            return Err(length);
        }
        self.bytes.end_blob(start);
        self.end = self.bytes.bytes.len();
        self.count += 1;
        Ok(())
    }

    /// Adds a record of few bytes that begins like this.
    #[inline]
    pub(super) fn add_short(&mut self, head: &ShortHead, write: impl FnOnce(&mut ShortRecord<'_>)) {
        if self.bytes.bytes.len() < self.end + SHORT_BYTES {
            self.make_room();
        }
        let room = self.bytes.bytes[self.end..].first_chunk_mut();
        let room = room.expect("there are as many bytes");
        let mut record = ShortRecord::new(room, head);
        write(&mut record);
        self.end += record.finish();
        self.count += 1;
    }

    #[cold]
    fn make_room(&mut self) {
        self.bytes.bytes.resize(self.end + ROOM_BYTES, 0);
    }

    /// Adds all of others, which are none then.
    pub(super) fn append(&mut self, others: &mut Records) {
        self.bytes.bytes.truncate(self.end);
        let more = &others.bytes.bytes[BATCH_HEAD..others.end];
        self.bytes.bytes.extend_from_slice(more);
        self.end += more.len();
        self.count += others.count;
        others.clear();
    }

    /// There are none any more; their memory is used again.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.end = BATCH_HEAD;
    }

    /// Bytes that there is memory for.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.bytes.capacity()
    }

    /// The batch that they are, with this head.
    pub(super) fn batch(&mut self, head: BatchHead) -> &[u8] {
        let bytes = &mut self.bytes.bytes[..self.end];
        let (room, records) = bytes.split_at_mut(BATCH_HEAD);
        let mut out = Writer::default();
        out.bytes.extend_from_slice(&BATCH_MAGIC);
        out.u64(head.first);
        out.u64(head.durable);
        out.u64(head.released);
        out.u32(head.count);
        out.u32(records.len() as u32);
        let hash = short_hash(&[&out.bytes, records]);
        out.bytes.extend_from_slice(&hash);
        room.copy_from_slice(&out.bytes);
        bytes
    }
}

/// The length that a batch at the beginning of these bytes claims to have, as far as they reach.
pub(super) fn claimed_length(bytes: &[u8]) -> usize {
    const AT: usize = 4 + 8 + 8 + 8 + 4;
    let length = bytes
        .get(AT..AT + 4)
        .and_then(|length| length.first_chunk::<4>());
    let length = length.map_or(0, |length| u32::from_le_bytes(*length) as usize);
    (BATCH_HEAD + length).min(bytes.len())
}

/// Reads a batch at the beginning of these bytes: what it says, where its records are, and its length.
pub(super) fn read_batch(bytes: &[u8]) -> Decoded<(BatchHead, Vec<Range<usize>>, usize)> {
    let mut input = Reader::new(bytes);
    if input.take(4)? != BATCH_MAGIC {
        return Err(input.error("no batch begins here"));
    }
    let head = BatchHead {
        first: input.u64()?,
        durable: input.u64()?,
        released: input.u64()?,
        count: input.u32()?,
    };
    let length = input.u32()? as usize;
    let hashed = &bytes[..input.offset()];
    let hash = input.take(HASH_BYTES)?;
    if length > BATCH_BYTES_MAX {
        return Err(input.error(format!("a batch of {length} bytes")));
    }
    let records = input.take(length)?;
    if hash != short_hash(&[hashed, records]) {
        return Err(input.error("the hash of the batch does not match"));
    }
    let end = input.offset();
    let start = end - length;
    let mut input = Reader::new(records);
    let mut all = Vec::with_capacity((head.count as usize).min(length));
    for _ in 0..head.count {
        let record = input.blob()?;
        let end = start + input.offset();
        all.push(end - record.len()..end);
    }
    input.finish()?;
    Ok((head, all, end))
}
