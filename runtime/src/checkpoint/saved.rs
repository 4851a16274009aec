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
use crate::disk::{Disk, will_pass};
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
    pub(crate) blocks: &'a PagesOnDisk<'a>,
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
    /// Why one could not be read, which is told to who reads an actor as mere text.
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
            unread: Mutex::default(),
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
            Err(error) if will_pass(&error) => {
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

impl PageBlocks for PagesOnDisk<'_> {
    fn show(&self, blocks: &[u32], look: &(dyn Fn(u32, &[u8]) + Sync)) -> Result<(), String> {
        // Another thread costs more than a block that is not full.
        let threads = self.threads.min(blocks.len().div_ceil(2));
        let content = || Content {
            bytes: lock(&self.spare).pop().unwrap_or_default(),
            spare: &self.spare,
        };
        let shown = try_map(threads, blocks.to_vec(), content, |content, number| {
            let place = self.places.get(number as usize);
            let place = place.ok_or("there is no such block")?;
            let read = place.read(self.disk, &mut content.bytes);
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
                    read(SavedActor {
                        id: place.id,
                        bytes,
                        pages: is_rest.then(|| SavedPages {
                            pages: pages.next().unwrap_or_default(),
                            blocks: &page_blocks,
                        }),
                    })
                    .map_err(|error| lock(&page_blocks.unread).take().unwrap_or(error))
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
    use crate::disk::{DiskFile, MemoryDisk};

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

    /// What is found in a block of a kind.
    fn found(kind: BlockKind, content: &[u8]) -> Decoded<Vec<Place>> {
        match Found::of(kind, &mut content.to_vec())? {
            Found::Places(places, of) => {
                assert_eq!(of, kind);
                Ok(places)
            }
            other => panic!("{other:?}"),
        }
    }

    /// A file that is these blocks, each behind the one before, and has them added as the checkpoint of tick 7.
    fn saved(disk: &MemoryDisk, blocks: Vec<(BlockKind, Vec<u8>)>) -> SavedActors {
        let mut saved = SavedActors::default();
        let mut file = disk.create(&name_of(7)).expect("memory");
        for (kind, bytes) in blocks {
            let at = file.len().expect("memory");
            write(&mut *file, at, kind, bytes);
            let (length, mut content) = (file.len().expect("memory"), Vec::new());
            let read = read_block(&*file, length, at, &mut content);
            let (kind, hash) = read.expect("it is sound");
            let places = found(kind, &content).expect("it is sound");
            saved.add(BlockPlace { ticks: 7, at, hash }, places);
        }
        saved
    }

    fn write(file: &mut dyn DiskFile, at: u64, kind: BlockKind, bytes: Vec<u8>) {
        let block = Block { kind, bytes };
        let head = block_head(&block, at).expect("it is short");
        let whole = [head, block.bytes].concat();
        file.write_at(at, &whole).expect("memory");
    }

    /// What is left of blocks, by number: the bytes, and whether there are pages to them.
    fn left(blocks: Vec<(BlockKind, Vec<u8>)>) -> Vec<(u64, Vec<u8>, bool)> {
        let disk = MemoryDisk::default();
        let mut all = Vec::new();
        for portion in saved(&disk, blocks).into_portions(&disk, 1) {
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
    fn what_does_not_hold_any_more_is_forgotten_between_files() {
        let all: Vec<(u64, u8)> = (0..PLACES_MIN as u64).map(|id| (id, 1)).collect();
        let content = &block(&all)[..];
        let mut saved = SavedActors::default();
        for at in 0..20 {
            let places = found(BlockKind::Actors, content).expect("it is sound");
            let hash = BlockHash::default();
            saved.add(BlockPlace { ticks: 7, at, hash }, places);
            saved.end_file();
            assert!(saved.places() <= 2 * PLACES_MIN);
        }
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
        assert!(found(BlockKind::Actors, &bytes).is_err());
    }

    /// What is said where the only block of a file has changed since it was read first.
    fn refused(change: impl FnOnce(&mut dyn DiskFile)) -> String {
        let disk = MemoryDisk::default();
        let saved = saved(&disk, vec![(BlockKind::Actors, block(&[(4, 1)]))]);
        let mut file = disk.open(&name_of(7)).expect("it is there");
        change(&mut *file);
        let mut portions = saved.into_portions(&disk, 1);
        let portion = portions.pop().expect("there is an actor");
        let read = portion.read(&mut Vec::new(), |_| Ok(()));
        read.expect_err("it is not what it was").to_string()
    }

    #[test]
    fn a_block_that_is_damaged_when_it_is_read_again_is_refused() {
        let disk = MemoryDisk::default();
        saved(&disk, vec![(BlockKind::Actors, block(&[(4, 1)]))]);
        let length = disk.open(&name_of(7)).and_then(|file| file.len());
        for at in 0..length.expect("memory") {
            let error = refused(|file| {
                let mut byte = [0];
                file.read_at(at, &mut byte).expect("memory");
                file.write_at(at, &[byte[0] ^ 1]).expect("memory");
            });
            assert!(error.starts_with("checkpoint-"), "{error}");
        }
    }

    #[test]
    fn a_sound_block_is_refused_in_place_of_the_one_that_was_read_first() {
        let others = [
            (BlockKind::Actors, block(&[(4, 2)])),
            (BlockKind::Paged, block(&[(4, 1)])),
        ];
        for (kind, bytes) in others {
            let error = refused(|file| write(file, 0, kind, bytes));
            assert!(error.contains("another block than before"), "{error}");
        }
    }

    #[test]
    fn pages_are_read_where_they_lie_and_refused_where_they_have_changed() {
        // A run of the words 1 to 2 of an actor's arena, and its rest.
        let words = [5u64, 6].map(u64::to_le_bytes).concat();
        let content = [&[4, 1, 1, 2][..], &words].concat();
        let disk = MemoryDisk::default();
        let mut file = disk.create(&name_of(7)).expect("memory");
        write(&mut *file, 0, BlockKind::Pages, content.clone());
        let end = file.len().expect("memory");
        write(&mut *file, end, BlockKind::Paged, block(&[(4, 1)]));
        let mut saved = SavedActors::default();
        for at in [0, end] {
            let (length, mut content) = (file.len().expect("memory"), Vec::new());
            let read = read_block(&*file, length, at, &mut content);
            let (kind, hash) = read.expect("it is sound");
            let place = BlockPlace { ticks: 7, at, hash };
            match Found::of(kind, &mut content).expect("it is sound") {
                Found::Pages(content) => {
                    let added = saved.add_pages(place, &content);
                    added.expect("they are pages");
                }
                Found::Places(places, _) => drop(saved.add(place, places)),
                other => panic!("{other:?}"),
            }
        }
        let (mut all, mut refusals) = (Vec::new(), Vec::new());
        let mut portions = saved.into_portions(&disk, 2);
        let portion = portions.pop().expect("there is an actor");
        let read = portion.read(&mut Vec::new(), |actor| {
            let pages = actor.pages.expect("it has pages");
            let show = || {
                let seen = std::sync::Mutex::new(Vec::new());
                let shown = pages.blocks.show(&[0], &|number, content| {
                    let seen = seen.lock();
                    seen.expect("no panic").push((number, content.to_vec()));
                });
                shown.map(|()| seen.into_inner().expect("no panic"))
            };
            all.push((actor.id, show().expect("nothing has changed")));
            for at in 0..end {
                let (mut file, mut byte) = (disk.open(&name_of(7)).expect("it is there"), [0]);
                file.read_at(at, &mut byte).expect("memory");
                file.write_at(at, &[byte[0] ^ 1]).expect("memory");
                refusals.push(show().expect_err("it has changed"));
                file.write_at(at, &byte).expect("memory");
            }
            refusals.push(
                pages
                    .blocks
                    .show(&[1], &|_, _| ())
                    .expect_err("the only one"),
            );
            Ok(())
        });
        read.expect("the rest is sound");
        assert_eq!(all, [(4, vec![(0, content)])]);
        assert_eq!(refusals.len() as u64, end + 1);
    }
}
