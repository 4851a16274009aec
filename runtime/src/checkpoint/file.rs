//! The format of checkpoint files.
//!
//! | part | bytes | what |
//! |---|---|---|
//! | head | 4 | `PWC1` |
//! | | 2 | version |
//! | | 2 | semantics version |
//! | | 8 | ticks that the world had done |
//! | | 8 | number of the first record of the journal behind it |
//! | | 8 | outputs that had left the world |
//! | | 1 | whether it has only what changed since another checkpoint |
//! | | 8 | ticks of that one, else 0 |
//! | | 32 | hash of the above |
//! | block | 1 | kind |
//! | | 4 | bytes |
//! | | 32 | hash of kind, bytes, place of the block in the file, and content |
//! | | | content |
//!
//! The last block says how many blocks and actors there are: a file without it was not finished.
//!
//! Of actors with many objects there are pages, which are written before anybody knows the tick of the checkpoint: so its head is
//! written last. Pages stand before the rest of their actor, a later one in place of an earlier one, also of a checkpoint before.

use std::io;

use pw_isa::wire::{Decoded, Reader, Writer};

use super::SEMANTICS;
use crate::disk::DiskFile;

const MAGIC: [u8; 4] = *b"PWC1";
/// The version this code writes.
///
/// | version | change |
/// |---|---|
/// | 1 | first |
/// | 2 | pages of actors, and actors that consist of pages and a rest |
/// | 3 | the rest of an actor says where its last segment ends |
const VERSION: u16 = 3;
/// Bytes of a head.
pub(super) const HEAD_BYTES: usize = 4 + 2 + 2 + 8 + 8 + 8 + 1 + 8 + 32;

/// What a checkpoint says first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// Ticks that the world had done.
    pub(crate) ticks: u64,
    /// The first record of the journal behind it.
    pub(crate) journal: u64,
    /// Outputs that had left the world.
    pub(crate) outputs: u64,
    /// The checkpoint since which it has what changed; nothing if it has all.
    pub(crate) base: Option<u64>,
}

impl Head {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes.extend_from_slice(&MAGIC);
        out.u16(VERSION);
        out.u16(SEMANTICS);
        out.u64(self.ticks);
        out.u64(self.journal);
        out.u64(self.outputs);
        out.u8(u8::from(self.base.is_some()));
        out.u64(self.base.unwrap_or(0));
        let hash = blake3::hash(&out.bytes);
        out.bytes.extend_from_slice(hash.as_bytes());
        out.bytes
    }

    pub(super) fn read(input: &mut Reader<'_>, bytes: &[u8]) -> Decoded<Head> {
        if input.take(4)? != MAGIC {
            return Err(input.error("not a checkpoint: it does not start with PWC1"));
        }
        let version = input.u16()?;
        if !(1..=VERSION).contains(&version) {
            let text = format!("version {version}; this reader knows 1 to {VERSION}");
            return Err(input.error(text));
        }
        let semantics = input.u16()?;
        let (ticks, journal, outputs) = (input.u64()?, input.u64()?, input.u64()?);
        let is_increment = input.flag()?;
        let base = input.u64()?;
        let hashed = &bytes[..input.offset()];
        if input.hash()? != *blake3::hash(hashed).as_bytes() {
            return Err(input.error("the head is damaged"));
        }
        if semantics != SEMANTICS {
            return Err(input.error(format!(
                "programs ran with semantics version {semantics}; this engine has {SEMANTICS}"
            )));
        }
        Ok(Head {
            ticks,
            journal,
            outputs,
            base: is_increment.then_some(base),
        })
    }
}

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum BlockKind {
    /// What belongs to no actor.
    Sections = 1,
    /// Actors: each its number as a varint, and its bytes as a blob.
    Actors = 2,
    /// Numbers of actors that are gone since the other checkpoint, as varints.
    Gone = 3,
    /// The end: blocks before it and actors, as varints.
    End = 4,
    /// Pages of an actor's objects: its number as a varint, and the pages.
    Pages = 5,
    /// Actors without their objects, of which there are pages: each its number as a varint, and its bytes as a blob.
    Paged = 6,
}

impl BlockKind {
    fn from_number(number: u8) -> Option<BlockKind> {
        use BlockKind::{Actors, End, Gone, Paged, Pages, Sections};
        let all = [Sections, Actors, Gone, End, Pages, Paged];
        all.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A block on its way to a file.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    pub(crate) bytes: Vec<u8>,
}

/// What comes on its way to a file.
#[derive(Debug)]
pub(crate) enum Part {
    /// A block that is not the last.
    Block(Block),
    /// The last, and what the checkpoint says first.
    End(Head, Block),
}

/// A hash of a block: of its kind, its place and its content.
pub(super) type BlockHash = [u8; 32];

fn block_hash(kind: u8, place: u64, bytes: &[u8]) -> BlockHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&place.to_le_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

/// The head of a block at a place in its file.
///
/// # Errors
/// When the block is too large for its format.
pub(super) fn block_head(block: &Block, place: u64) -> io::Result<Vec<u8>> {
    let length = u32::try_from(block.bytes.len())
        .map_err(|_| io::Error::other("an actor of more than 4 GiB"))?;
    let kind = block.kind as u8;
    let mut out = Writer::default();
    out.u8(kind);
    out.u32(length);
    let hash = block_hash(kind, place, &block.bytes);
    out.bytes.extend_from_slice(&hash);
    Ok(out.bytes)
}

/// Bytes before the content of a block.
const BLOCK_HEAD_BYTES: usize = 1 + 4 + 32;
/// Bytes of blocks whose places are told at once, about, and how many they are at most.
const TOLD_BYTES: u64 = 16 << 20;
const TOLD_MAX: usize = 1_024;

/// What a block says before its content.
struct BlockHead {
    /// The number of its kind, if there is such a kind.
    number: u8,
    bytes: u64,
    hash: BlockHash,
}

impl BlockHead {
    /// Reads the head at a place of a file of so many bytes.
    fn read(file: &dyn DiskFile, length: u64, place: u64) -> io::Result<BlockHead> {
        let mut head = [0; BLOCK_HEAD_BYTES];
        if file.read_at(place, &mut head)? < BLOCK_HEAD_BYTES {
            return Err(wrong(place, "the checkpoint was not finished"));
        }
        let mut input = Reader::new(&head);
        let number = input.u8().map_err(io::Error::other)?;
        let bytes = u64::from(input.u32().map_err(io::Error::other)?);
        let hash = input.hash().map_err(io::Error::other)?;
        if bytes > length.saturating_sub(place + BLOCK_HEAD_BYTES as u64) {
            return Err(wrong(place, "the checkpoint was not finished"));
        }
        Ok(BlockHead {
            number,
            bytes,
            hash,
        })
    }
}

/// Reads the block at a place of a file of so many bytes, in place of what is there of another one. It is not damaged. Its kind and its
/// hash, which no other block of any kind at that place has.
///
/// # Errors
/// Those of the disk, and what is wrong with the block.
pub(super) fn read_block(
    file: &dyn DiskFile,
    length: u64,
    place: u64,
    content: &mut Vec<u8>,
) -> io::Result<(BlockKind, BlockHash)> {
    let BlockHead {
        number,
        bytes,
        hash,
    } = BlockHead::read(file, length, place)?;
    content.resize(bytes as usize, 0);
    let read = file.read_at(place + BLOCK_HEAD_BYTES as u64, content)?;
    if (read as u64) < bytes || hash != block_hash(number, place, content) {
        return Err(wrong(place, "a block is damaged"));
    }
    let kind = BlockKind::from_number(number);
    let kind = kind.ok_or_else(|| wrong(place, format!("no block has the kind {number}")))?;
    Ok((kind, hash))
}

/// A checkpoint file that is read some blocks at a time: it may be larger than what there is of memory.
pub(super) struct Blocks {
    file: Box<dyn DiskFile>,
    length: u64,
    /// Where the next block is.
    offset: u64,
    /// Blocks so far, and actors in them.
    counts: (u64, u64),
}

impl Blocks {
    /// Reads the head.
    pub(super) fn open(file: Box<dyn DiskFile>) -> io::Result<(Head, Blocks)> {
        let mut bytes = [0; HEAD_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        let bytes = &bytes[..read];
        let head = Head::read(&mut Reader::new(bytes), bytes).map_err(io::Error::other)?;
        let blocks = Blocks {
            length: file.len()?,
            file,
            offset: HEAD_BYTES as u64,
            counts: (0, 0),
        };
        Ok((head, blocks))
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Where the next block is.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the next blocks are; none behind the last. Nothing is known of them until they are read, and what is told behind one that is damaged
    /// is nonsense.
    pub(super) fn next_places(&mut self) -> io::Result<Vec<u64>> {
        let mut places = Vec::new();
        let end = self.offset.saturating_add(TOLD_BYTES);
        while self.offset < end && places.len() < TOLD_MAX {
            let head = match BlockHead::read(&*self.file, self.length, self.offset) {
                Ok(head) => head,
                // One before it may say why it is.
                Err(_) if !places.is_empty() => break,
                Err(error) => return Err(error),
            };
            if head.number == BlockKind::End as u8 {
                if places.is_empty() {
                    self.check_end()?;
                }
                break;
            }
            places.push(self.offset);
            self.offset += BLOCK_HEAD_BYTES as u64 + head.bytes;
        }
        self.counts.0 += places.len() as u64;
        Ok(places)
    }

    /// Reads the block at a place, which is not damaged then.
    pub(super) fn read(
        &self,
        place: u64,
        content: &mut Vec<u8>,
    ) -> io::Result<(BlockKind, BlockHash)> {
        read_block(&*self.file, self.length, place, content)
    }

    /// So many actors were in the blocks before the next.
    pub(super) fn count(&mut self, actors: u64) {
        self.counts.1 += actors;
    }

    /// What stands behind all others says how many there are.
    fn check_end(&self) -> io::Result<()> {
        let (place, mut content) = (self.offset, Vec::new());
        let (kind, _) = self.read(place, &mut content)?;
        let mut parts = Reader::new(&content);
        let mut number = || parts.varint().map_err(io::Error::other);
        let counts = (number()?, number()?);
        parts.finish().map_err(io::Error::other)?;
        let end = place + (BLOCK_HEAD_BYTES + content.len()) as u64;
        if kind != BlockKind::End || counts != self.counts || end != self.length {
            return Err(wrong(place, "blocks are missing"));
        }
        Ok(())
    }
}

fn wrong(place: u64, what: impl Into<String>) -> io::Error {
    let what = what.into();
    io::Error::other(format!("{what} (byte {place})"))
}
