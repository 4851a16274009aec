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

use pw_isa::wire::{Decoded, Reader, Writer};

use super::SEMANTICS;

const MAGIC: [u8; 4] = *b"PWC1";
/// The version this code writes.
///
/// | version | change |
/// |---|---|
/// | 1 | first |
/// | 2 | pages of actors, and actors that consist of pages and a rest |
const VERSION: u16 = 2;
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

fn block_hash(kind: u8, place: u64, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&place.to_le_bytes());
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

/// The head of a block at a place in its file.
pub(super) fn block_head(block: &Block, place: u64) -> Vec<u8> {
    let kind = block.kind as u8;
    let mut out = Writer::default();
    out.u8(kind);
    out.u32(block.bytes.len() as u32);
    let hash = block_hash(kind, place, &block.bytes);
    out.bytes.extend_from_slice(&hash);
    out.bytes
}

/// A checkpoint file, as it was read.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) head: Head,
    pub(super) sections: &'a [u8],
    /// Actors with their bytes.
    pub(super) actors: Vec<(u64, &'a [u8])>,
    /// Actors with the bytes of their rest.
    pub(super) paged: Vec<(u64, &'a [u8])>,
    /// Pages, in their order, by the actor that they are of.
    pub(super) pages: Vec<(u64, &'a [u8])>,
    pub(super) gone: Vec<u64>,
}

/// Reads a whole checkpoint.
pub(super) fn read(bytes: &[u8]) -> Decoded<File<'_>> {
    let mut input = Reader::new(bytes);
    let head = Head::read(&mut input, bytes)?;
    let mut file = File {
        head,
        sections: &[],
        actors: Vec::new(),
        paged: Vec::new(),
        pages: Vec::new(),
        gone: Vec::new(),
    };
    let mut blocks = 0;
    loop {
        if input.remaining() == 0 {
            return Err(input.error("the checkpoint was not finished"));
        }
        let place = input.offset() as u64;
        let kind = input.u8()?;
        let length = input.u32()? as usize;
        let hash = input.hash()?;
        let content = input.take(length)?;
        if hash != block_hash(kind, place, content) {
            return Err(input.error("a block is damaged"));
        }
        let mut parts = Reader::new(content);
        match kind {
            1 => file.sections = content,
            2 | 6 => {
                let actors = match kind {
                    2 => &mut file.actors,
                    _ => &mut file.paged,
                };
                while parts.remaining() > 0 {
                    actors.push((parts.varint()?, parts.blob()?));
                }
            }
            5 => {
                let id = parts.varint()?;
                file.pages.push((id, parts.take(parts.remaining())?));
            }
            3 => {
                while parts.remaining() > 0 {
                    file.gone.push(parts.varint()?);
                }
            }
            4 => {
                let counts = (parts.varint()?, parts.varint()?);
                parts.finish()?;
                if counts != (blocks, (file.actors.len() + file.paged.len()) as u64) {
                    return Err(input.error("blocks are missing"));
                }
                input.finish()?;
                return Ok(file);
            }
            other => return Err(input.error(format!("no block has the kind {other}"))),
        }
        blocks += 1;
    }
}
