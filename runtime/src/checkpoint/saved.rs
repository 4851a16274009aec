//! Actors as checkpoints have them, not read yet.
//!
//! Where an actor lies in a block of a file is all that is known of it: when it is to be read, the block is read once more, by whoever reads
//! its actors. So a state that is read never takes the memory of its bytes, too, and of a million actors none is copied.

use std::collections::BTreeMap;

use pw_isa::wire::{DecodeError, Decoded, Reader};
use pw_jit::fiber::arena::Pages;

use super::file::{BlockKind, read_block};
use super::{RecoveryError, name_of};
use crate::disk::Disk;

/// What a block says of an actor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    /// It is this.
    Whole,
    /// It is this, and pages.
    Rest,
    /// It is gone.
    Gone,
    /// A later block says something else.
    Nothing,
}

/// An actor in a block.
#[derive(Clone, Copy, Debug)]
struct Place {
    id: u64,
    /// Where its bytes begin, and how many there are: a block has at most 4 GiB.
    start: u32,
    length: u32,
    said: Said,
}

/// A block of actors, or of numbers of those that are gone.
#[derive(Debug)]
struct SavedBlock {
    /// The ticks of the checkpoint that it is in, and where it is in the file.
    ticks: u64,
    at: u64,
    places: Vec<Place>,
}

/// Actors that were written, some of them page by page.
#[derive(Debug, Default)]
pub(crate) struct SavedActors {
    /// In the order in which they were written: what a later one says holds.
    blocks: Vec<SavedBlock>,
    pages: BTreeMap<u64, Pages>,
}

/// An actor as it was written.
#[derive(Debug)]
pub(crate) struct SavedActor<'a> {
    pub(crate) id: u64,
    pub(crate) bytes: &'a [u8],
    /// Its objects, if they are not among its bytes.
    pub(crate) pages: Option<Pages>,
}

/// Actors that are read together.
#[derive(Debug)]
pub(crate) enum Portion<'a> {
    /// Those of a block of a file.
    Block(PortionOfBlock<'a>),
    /// Those of a checkpoint in memory.
    Lent(Vec<(u64, &'a [u8])>),
}

/// Actors of a block.
#[derive(Debug)]
pub(crate) struct PortionOfBlock<'a> {
    disk: &'a dyn Disk,
    block: SavedBlock,
    /// The objects of those that are not whole, in their order.
    pages: Vec<Pages>,
}

/// Actors of a checkpoint in memory that are read together.
const LENT: usize = 1_024;

impl SavedActors {
    /// Adds what a block of this kind has, which is in the checkpoint of so many ticks at this place; how many actors these are.
    pub(super) fn add(
        &mut self,
        kind: BlockKind,
        (ticks, at): (u64, u64),
        content: &[u8],
    ) -> Decoded<u64> {
        let mut input = Reader::new(content);
        let said = match kind {
            BlockKind::Sections | BlockKind::End => return Ok(0),
            BlockKind::Pages => {
                let known = self.pages.entry(input.varint()?).or_default();
                known.add(&mut input)?;
                return Ok(0);
            }
            BlockKind::Gone => Said::Gone,
            BlockKind::Actors => Said::Whole,
            BlockKind::Paged => Said::Rest,
        };
        let mut places = Vec::new();
        while input.remaining() > 0 {
            let id = input.varint()?;
            let bytes = match said {
                Said::Gone => 0,
                _ => input.blob()?.len(),
            };
            places.push(Place {
                id,
                start: (input.offset() - bytes) as u32,
                length: bytes as u32,
                said,
            });
            if said != Said::Rest && !self.pages.is_empty() {
                self.pages.remove(&id);
            }
        }
        let count = places.len() as u64;
        places.shrink_to_fit();
        self.blocks.push(SavedBlock { ticks, at, places });
        Ok(count)
    }

    /// All of them, each as the last block with it says.
    pub(crate) fn into_portions(mut self, disk: &dyn Disk) -> Vec<Portion<'_>> {
        self.forget_what_was_said_before();
        let mut pages = self.pages;
        let blocks = self.blocks.into_iter().filter_map(|mut block| {
            block
                .places
                .retain(|place| matches!(place.said, Said::Whole | Said::Rest));
            let rests = block.places.iter();
            let rests = rests.filter(|place| place.said == Said::Rest);
            let pages = rests.map(|place| pages.remove(&place.id).unwrap_or_default());
            let pages = pages.collect();
            let portion = Portion::Block(PortionOfBlock { disk, block, pages });
            (portion.len() > 0).then_some(portion)
        });
        blocks.collect()
    }

    /// Only the last that is said of an actor is left.
    fn forget_what_was_said_before(&mut self) {
        let places = || self.blocks.iter().flat_map(|block| &block.places);
        if places().is_sorted_by(|a, b| a.id < b.id) {
            return;
        }
        let mut all: Vec<(u64, u32, u32)> = Vec::with_capacity(places().count());
        for (number, block) in (0..).zip(&self.blocks) {
            let of_block = (0..).zip(&block.places);
            all.extend(of_block.map(|(place, of)| (of.id, number, place)));
        }
        all.sort_unstable();
        for pair in all.windows(2) {
            let [(id, block, place), (next, ..)] = *pair else {
                continue;
            };
            if id == next {
                self.blocks[block as usize].places[place as usize].said = Said::Nothing;
            }
        }
    }
}

impl SavedBlock {
    /// Reads it again, as it was when it was read first: it has the same hash, or is refused.
    fn read(&self, disk: &dyn Disk, content: &mut Vec<u8>) -> Result<(), RecoveryError> {
        let name = name_of(self.ticks);
        let again = disk.open(&name).and_then(|file| {
            let length = file.len()?;
            read_block(&*file, length, self.at, content)
        });
        let ends = self
            .places
            .iter()
            .map(|place| u64::from(place.start) + u64::from(place.length));
        let is_there = ends.max().unwrap_or(0) <= content.len() as u64;
        let what = match again {
            Ok(_) if is_there => return Ok(()),
            Ok(_) => "another block than before".to_owned(),
            Err(error) => error.to_string(),
        };
        // The one before may be sound.
        Err(RecoveryError::State {
            part: name,
            error: DecodeError {
                offset: self.at as usize,
                what,
            },
        })
    }
}

impl<'a> Portion<'a> {
    /// Portions of the actors of a checkpoint in memory.
    pub(crate) fn lent(actors: impl Iterator<Item = (u64, &'a [u8])>) -> Vec<Portion<'a>> {
        let mut portions = Vec::new();
        let mut actors = actors.peekable();
        while actors.peek().is_some() {
            portions.push(Portion::Lent(actors.by_ref().take(LENT).collect()));
        }
        portions
    }

    /// How many actors there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Portion::Block(of) => of.block.places.len(),
            Portion::Lent(actors) => actors.len(),
        }
    }

    /// Has each of them read, with memory for a block.
    ///
    /// # Errors
    /// The first; those behind it are not read. That the block cannot be read any more.
    pub(crate) fn read(
        self,
        content: &mut Vec<u8>,
        mut read: impl FnMut(SavedActor<'_>) -> Result<(), RecoveryError>,
    ) -> Result<(), RecoveryError> {
        match self {
            Portion::Lent(mut actors) => actors.drain(..).try_for_each(|(id, bytes)| {
                let pages = None;
                read(SavedActor { id, bytes, pages })
            }),
            Portion::Block(PortionOfBlock { disk, block, pages }) => {
                block.read(disk, content)?;
                let mut pages = pages.into_iter();
                block.places.iter().try_for_each(|place| {
                    let start = place.start as usize;
                    let bytes = &content[start..start + place.length as usize];
                    let is_rest = place.said == Said::Rest;
                    read(SavedActor {
                        id: place.id,
                        bytes,
                        pages: is_rest.then(|| pages.next().unwrap_or_default()),
                    })
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pw_isa::wire::Writer;

    use super::super::file::{Block, block_head};
    use super::*;
    use crate::disk::MemoryDisk;

    /// A block with these actors, each of one byte.
    fn block(actors: &[(u64, u8)]) -> Vec<u8> {
        let mut out = Writer::default();
        for (id, byte) in actors {
            out.varint(*id);
            out.blob(&[*byte]);
        }
        out.bytes
    }

    fn gone(ids: &[u64]) -> Vec<u8> {
        let mut out = Writer::default();
        ids.iter().for_each(|id| out.varint(*id));
        out.bytes
    }

    /// What is left of blocks, by number: the bytes, and whether there are pages to them.
    fn left(blocks: Vec<(BlockKind, Vec<u8>)>) -> Vec<(u64, Vec<u8>, bool)> {
        let (disk, mut saved) = (MemoryDisk::default(), SavedActors::default());
        let mut file = disk.create(&name_of(7)).expect("memory");
        for (kind, bytes) in blocks {
            let at = file.len().expect("memory");
            saved.add(kind, (7, at), &bytes).expect("it is sound");
            let block = Block { kind, bytes };
            let head = block_head(&block, at).expect("it is short");
            let whole = [head, block.bytes].concat();
            file.write_at(at, &whole).expect("memory");
        }
        let mut all = Vec::new();
        for portion in saved.into_portions(&disk) {
            let read = portion.read(&mut Vec::new(), |actor| {
                all.push((actor.id, actor.bytes.to_vec(), actor.pages.is_some()));
                Ok(())
            });
            read.expect("nothing is refused");
        }
        all.sort();
        all
    }

    #[test]
    fn what_a_later_block_says_of_an_actor_holds() {
        use BlockKind::{Actors, Gone, Paged};
        let blocks = vec![
            (Actors, block(&[(1, 1), (5, 5), (300, 3), (7, 7)])),
            (Gone, gone(&[5, 9])),
            (Actors, block(&[(7, 70), (2, 2)])),
            (Paged, block(&[(1, 10)])),
            (Gone, gone(&[300])),
            (Actors, block(&[(5, 50)])),
        ];
        let expected = [
            (1, vec![10], true),
            (2, vec![2], false),
            (5, vec![50], false),
            (7, vec![70], false),
        ];
        assert_eq!(left(blocks), expected);
    }

    #[test]
    fn the_last_of_an_actor_that_is_twice_in_a_block_holds() {
        let blocks = vec![(BlockKind::Actors, block(&[(4, 1), (4, 2), (6, 1)]))];
        assert_eq!(left(blocks), [(4, vec![2], false), (6, vec![1], false)]);
    }

    #[test]
    fn a_block_that_ends_within_an_actor_is_refused() {
        let mut bytes = block(&[(4, 1)]);
        bytes.pop();
        let added = SavedActors::default().add(BlockKind::Actors, (7, 0), &bytes);
        assert!(added.is_err());
    }

    #[test]
    fn a_block_that_is_damaged_when_it_is_read_again_is_refused() {
        let bytes = block(&[(4, 1)]);
        let sound = Block {
            kind: BlockKind::Actors,
            bytes,
        };
        let head = block_head(&sound, 0).expect("it is short");
        let whole = [head, sound.bytes.clone()].concat();
        for at in 0..whole.len() {
            let (disk, mut saved) = (MemoryDisk::default(), SavedActors::default());
            let added = saved.add(BlockKind::Actors, (7, 0), &sound.bytes);
            assert_eq!(added, Ok(1));
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            let mut file = disk.create(&name_of(7)).expect("memory");
            file.write_at(0, &damaged).expect("memory");
            let mut portions = saved.into_portions(&disk);
            let portion = portions.pop().expect("there is an actor");
            let read = portion.read(&mut Vec::new(), |_| Ok(()));
            let error = read.expect_err("it is not what it was").to_string();
            assert!(error.starts_with("checkpoint-"), "{error}");
        }
    }
}
