//! Actors as checkpoints have them, not read yet.
//!
//! An actor stays among the bytes of the block that it came in: where it lies there is all that is known of it. So of a million actors
//! none is copied, or has memory of its own, before it is read, and a block goes when all of its actors are.

use std::collections::BTreeMap;

use pw_isa::wire::{Decoded, Reader};
use pw_jit::fiber::arena::Pages;

use super::file::BlockKind;

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
    bytes: Vec<u8>,
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
    /// Those of a block, whose bytes go with it.
    Block(PortionOfBlock),
    /// Those of a checkpoint in memory.
    Lent(Vec<(u64, &'a [u8])>),
}

/// Actors of a block.
#[derive(Debug)]
pub(crate) struct PortionOfBlock {
    block: SavedBlock,
    /// The objects of those that are not whole, in their order.
    pages: Vec<Pages>,
}

/// Actors of a checkpoint in memory that are read together.
const LENT: usize = 1_024;

impl SavedActors {
    /// Adds what a block of this kind has; how many actors these are.
    pub(super) fn add(&mut self, kind: BlockKind, content: &mut Vec<u8>) -> Decoded<u64> {
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
        let bytes = std::mem::take(content);
        self.blocks.push(SavedBlock { bytes, places });
        Ok(count)
    }

    /// All of them, each as the last block with it says.
    pub(crate) fn into_portions(mut self) -> Vec<Portion<'static>> {
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
            let portion = Portion::Block(PortionOfBlock { block, pages });
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

    /// Has each of them read.
    ///
    /// # Errors
    /// The first; those behind it are not read.
    pub(crate) fn read<E>(
        self,
        mut read: impl FnMut(SavedActor<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Portion::Lent(mut actors) => actors.drain(..).try_for_each(|(id, bytes)| {
                let pages = None;
                read(SavedActor { id, bytes, pages })
            }),
            Portion::Block(PortionOfBlock { block, pages }) => {
                let mut pages = pages.into_iter();
                block.places.iter().try_for_each(|place| {
                    let start = place.start as usize;
                    let bytes = &block.bytes[start..start + place.length as usize];
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

    use super::*;

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
        let mut saved = SavedActors::default();
        for (kind, mut bytes) in blocks {
            saved.add(kind, &mut bytes).expect("it is sound");
        }
        let mut all = Vec::new();
        for portion in saved.into_portions() {
            let read = portion.read(|actor| {
                all.push((actor.id, actor.bytes.to_vec(), actor.pages.is_some()));
                Ok::<(), ()>(())
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
        let added = SavedActors::default().add(BlockKind::Actors, &mut bytes);
        assert!(added.is_err());
    }
}
