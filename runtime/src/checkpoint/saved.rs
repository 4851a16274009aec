//! Actors as checkpoints have them, not read yet.
//!
//! Where an actor or a page of one lies in a block of a file is all that is known of it: when it is to be read, the block is read once more, by
//! whoever reads its actors. So a state that is read never takes the memory of its bytes, too, and of a million actors none is copied.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pw_isa::wire::{DecodeError, Decoded, Reader};
use pw_jit::fiber::arena::{PageBlocks, Pages};

use super::file::{BlockHash, BlockKind, read_block};
use super::{RecoveryError, name_of};
use crate::disk::{Disk, could_not_look};
use crate::together::{lock, try_map};

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
pub(super) struct Place {
    id: u64,
    /// Where its bytes begin, and how many there are: a block has at most 4 GiB.
    start: u32,
    length: u32,
    said: Said,
}

/// What is found in a block by whoever reads it.
#[derive(Debug)]
pub(super) enum Found {
    /// What belongs to no actor.
    Sections(Vec<u8>),
    /// Pages of an actor.
    Pages(Vec<u8>),
    /// Actors, or numbers of those that are gone, as the kind of the block says.
    Places(Vec<Place>, BlockKind),
}

impl Found {
    /// Finds it in the content of a block of a kind, which it may take.
    pub(super) fn of(kind: BlockKind, content: &mut Vec<u8>) -> Decoded<Found> {
        let mut input = Reader::new(content);
        let said = match kind {
            BlockKind::Sections => return Ok(Found::Sections(std::mem::take(content))),
            BlockKind::Pages => return Ok(Found::Pages(std::mem::take(content))),
            BlockKind::Gone => Said::Gone,
            BlockKind::Actors => Said::Whole,
            BlockKind::Paged => Said::Rest,
            BlockKind::End => return Err(input.error("blocks behind the end")),
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
        }
        places.shrink_to_fit();
        Ok(Found::Places(places, kind))
    }
}

/// A block of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockPlace {
    /// The ticks of the checkpoint that it is in, and where it is in the file.
    pub(super) ticks: u64,
    pub(super) at: u64,
    pub(super) hash: BlockHash,
}

/// A block of actors, or of numbers of those that are gone.
#[derive(Debug)]
struct SavedBlock {
    place: BlockPlace,
    places: Vec<Place>,
}

/// Actors that were written, some of them page by page.
#[derive(Debug, Default)]
pub(crate) struct SavedActors {
    /// In the order in which they were written: what a later one says holds.
    blocks: Vec<SavedBlock>,
    pages: BTreeMap<u64, Pages>,
    /// The blocks that they lie in.
    page_blocks: Vec<BlockPlace>,
    /// Places that were left when others were last forgotten.
    left: usize,
}

/// An actor as it was written.
#[derive(Debug)]
pub(crate) struct SavedActor<'a> {
    pub(crate) id: u64,
    pub(crate) bytes: &'a [u8],
    /// Its objects, if they are not among its bytes.
    pub(crate) pages: Option<SavedPages<'a>>,
}

/// The pages of an actor, and the blocks that they lie in.
#[derive(Debug)]
pub(crate) struct SavedPages<'a> {
    pub(crate) pages: Pages,
    pub(crate) blocks: &'a BlocksOfActor<'a>,
}

/// Blocks of pages.
#[derive(Debug)]
pub(crate) struct PagesOnDisk<'a> {
    disk: &'a dyn Disk,
    places: Vec<BlockPlace>,
    /// Threads that read those of one actor.
    threads: usize,
    /// Memory for blocks: what is touched for the first time costs more than to read it.
    spare: Mutex<Vec<Vec<u8>>>,
}

/// Blocks of pages, for one actor.
#[derive(Debug)]
pub(crate) struct BlocksOfActor<'a> {
    all: &'a PagesOnDisk<'a>,
    /// Why one could not be read, which is told to who reads the actor as mere text.
    unread: Mutex<Option<RecoveryError>>,
}

/// Memory for a block, which is given back.
struct Content<'a> {
    bytes: Vec<u8>,
    spare: &'a Mutex<Vec<Vec<u8>>>,
}

impl Drop for Content<'_> {
    fn drop(&mut self) {
        lock(self.spare).push(std::mem::take(&mut self.bytes));
    }
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
    block: SavedBlock,
    page_blocks: Arc<PagesOnDisk<'a>>,
    /// The objects of those that are not whole, in their order.
    pages: Vec<Pages>,
}

/// Places of which none needs to be forgotten, however little is left of them.
const PLACES_MIN: usize = 1 << 16;
/// Blocks of pages of an actor, in the mean, that are read by several threads.
const BLOCKS_OF_LARGE: usize = 8;
/// Actors of a checkpoint in memory that are read together.
const LENT: usize = 1_024;

impl SavedActors {
    /// Adds what a block says of actors; how many these are.
    pub(super) fn add(&mut self, place: BlockPlace, places: Vec<Place>) -> u64 {
        if !self.pages.is_empty() {
            for place in places.iter().filter(|place| place.said != Said::Rest) {
                self.pages.remove(&place.id);
            }
        }
        let count = places.len() as u64;
        self.blocks.push(SavedBlock { place, places });
        count
    }

    /// Adds a block of pages with this content.
    pub(super) fn add_pages(&mut self, place: BlockPlace, content: &[u8]) -> Decoded<()> {
        let mut input = Reader::new(content);
        let known = self.pages.entry(input.varint()?).or_default();
        known.add(self.page_blocks.len() as u32, &mut input)?;
        self.page_blocks.push(place);
        Ok(())
    }

    /// All of them, each as the last block with it says, to be read on so many threads. Where the actors that have pages have many, each is
    /// read by all threads, one after the other: see [`Portion::is_alone`].
    pub(crate) fn into_portions(mut self, disk: &dyn Disk, threads: usize) -> Vec<Portion<'_>> {
        self.forget_what_was_said_before();
        let mut pages = self.pages;
        let are_large = self.page_blocks.len() >= BLOCKS_OF_LARGE.saturating_mul(pages.len());
        let page_blocks = Arc::new(PagesOnDisk {
            disk,
            places: self.page_blocks,
            threads: if are_large { threads } else { 1 },
            spare: Mutex::default(),
        });
        let blocks = self.blocks.into_iter().filter_map(|block| {
            let rests = block.places.iter();
            let rests = rests.filter(|place| place.said == Said::Rest);
            let pages = rests.map(|place| pages.remove(&place.id).unwrap_or_default());
            let pages = pages.collect();
            let portion = Portion::Block(PortionOfBlock {
                block,
                page_blocks: Arc::clone(&page_blocks),
                pages,
            });
            (portion.len() > 0).then_some(portion)
        });
        blocks.collect()
    }

    /// A file was added. Where most of what files said does not hold any more, it is forgotten: of many that stand on each other no more is
    /// kept than of some.
    pub(super) fn end_file(&mut self) {
        if self.places() > 2 * self.left.max(PLACES_MIN) {
            self.forget_what_was_said_before();
        }
    }

    fn places(&self) -> usize {
        self.blocks.iter().map(|block| block.places.len()).sum()
    }

    /// Only the last that is said of an actor is left, if it is there.
    fn forget_what_was_said_before(&mut self) {
        let places = || self.blocks.iter().flat_map(|block| &block.places);
        if !places().is_sorted_by(|a, b| a.id < b.id) {
            let mut all: Vec<(u64, u32, u32)> = Vec::with_capacity(self.places());
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
        for SavedBlock { places, .. } in &mut self.blocks {
            places.retain(|place| matches!(place.said, Said::Whole | Said::Rest));
            places.shrink_to_fit();
        }
        self.blocks.retain(|block| !block.places.is_empty());
        self.left = self.places();
    }
}

impl BlockPlace {
    /// Reads it again, as it was when it was read first: it has the same hash, or is refused.
    fn read(&self, disk: &dyn Disk, content: &mut Vec<u8>) -> Result<(), RecoveryError> {
        let name = name_of(self.ticks);
        let again = disk.open(&name).and_then(|file| {
            let length = file.len()?;
            read_block(&*file, length, self.at, content)
        });
        let what = match again {
            Ok((_, hash)) if hash == self.hash => return Ok(()),
            Ok(_) => "another block than before".to_owned(),
            Err(error) if could_not_look(&error) => {
                return Err(RecoveryError::Disk { what: name, error });
            }
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

impl PageBlocks for BlocksOfActor<'_> {
    fn show(&self, blocks: &[u32], look: &(dyn Fn(u32, &[u8]) + Sync)) -> Result<(), String> {
        let all = self.all;
        // Another thread costs more than a block that is not full.
        let threads = all.threads.min(blocks.len().div_ceil(2));
        let content = || Content {
            bytes: lock(&all.spare).pop().unwrap_or_default(),
            spare: &all.spare,
        };
        let shown = try_map(threads, blocks.to_vec(), content, |content, number| {
            let place = all.places.get(number as usize);
            let place = place.ok_or("there is no such block")?;
            let read = place.read(all.disk, &mut content.bytes);
            read.map_err(|error| {
                let text = error.to_string();
                lock(&self.unread).get_or_insert(error);
                text
            })?;
            look(number, &content.bytes);
            Ok(())
        });
        shown.map(drop)
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

    /// Whether it is to be read while no other is: its pages are read by all threads.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Portion::Block(of) if of.page_blocks.threads > 1 && !of.pages.is_empty())
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
            Portion::Block(PortionOfBlock {
                block,
                page_blocks,
                pages,
            }) => {
                block.place.read(page_blocks.disk, content)?;
                let mut pages = pages.into_iter();
                block.places.iter().try_for_each(|place| {
                    let start = place.start as usize;
                    let bytes = &content[start..start + place.length as usize];
                    let is_rest = place.said == Said::Rest;
                    let blocks = BlocksOfActor {
                        all: &page_blocks,
                        unread: Mutex::default(),
                    };
                    read(SavedActor {
                        id: place.id,
                        bytes,
                        pages: is_rest.then(|| SavedPages {
                            pages: pages.next().unwrap_or_default(),
                            blocks: &blocks,
                        }),
                    })
                    .map_err(|error| lock(&blocks.unread).take().unwrap_or(error))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests;
