//! Where actors are found: pages of boxes, by number.
//!
//! While an actor runs on another thread it is outside: its box is taken out, given to a worker, and put back at the boundary,
//! so that workers own what they change. Numbers are never given again, so pages of a world that lives long lie far apart: they are found
//! in directories, of which there are only those that have some.

use super::{Actor, ActorId};

/// Actors of a page.
const PAGE: usize = 256;
/// Pages of a directory.
const DIRECTORY: usize = 4096;

/// Actors with neighbouring numbers.
#[derive(Debug)]
struct Page {
    actors: [Option<Box<Actor>>; PAGE],
    /// Actors that belong here, those that are outside included.
    count: usize,
}

/// Pages with neighbouring numbers.
#[derive(Debug)]
struct Directory {
    number: u64,
    /// A page without actors takes no memory but its place.
    pages: Box<[Option<Box<Page>>]>,
    /// Pages with actors.
    count: usize,
}

/// All actors of a world, by number.
#[derive(Debug, Default)]
pub(crate) struct ActorTable {
    /// By rising number; each has pages.
    directories: Vec<Directory>,
    count: usize,
}

/// The directory, the page in it, and the place there.
fn place(id: ActorId) -> (u64, usize, usize) {
    let page = id.0 / PAGE as u64;
    let directory = page / DIRECTORY as u64;
    let page = (page % DIRECTORY as u64) as usize;
    (directory, page, (id.0 % PAGE as u64) as usize)
}

impl ActorTable {
    /// How many actors there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Where a directory is, or would be. Nearly always there is one only, or the newest is wanted.
    fn find(&self, number: u64) -> Result<usize, usize> {
        match self.directories.last() {
            Some(last) if last.number == number => Ok(self.directories.len() - 1),
            _ => self
                .directories
                .binary_search_by_key(&number, |directory| directory.number),
        }
    }

    /// An actor that is not outside.
    pub(crate) fn get(&self, id: ActorId) -> Option<&Actor> {
        let (directory, page, place) = place(id);
        let directory = self.find(directory).ok()?;
        let page = self.directories[directory].pages[page].as_ref()?;
        page.actors[place].as_deref()
    }

    /// Where an actor is, if its page is there.
    fn slot(&mut self, id: ActorId) -> Option<&mut Option<Box<Actor>>> {
        let (directory, page, place) = place(id);
        let directory = self.find(directory).ok()?;
        let page = self.directories[directory].pages[page].as_mut()?;
        Some(&mut page.actors[place])
    }

    /// An actor that is not outside.
    pub(crate) fn get_mut(&mut self, id: ActorId) -> Option<&mut Actor> {
        self.slot(id)?.as_deref_mut()
    }

    /// Adds an actor.
    pub(crate) fn insert(&mut self, actor: Box<Actor>) {
        let (number, page, place) = place(actor.id);
        let directory = self.find(number).unwrap_or_else(|at| {
            let pages = std::iter::repeat_with(|| None).take(DIRECTORY).collect();
            let directory = Directory {
                number,
                pages,
                count: 0,
            };
            self.directories.insert(at, directory);
            at
        });
        let directory = &mut self.directories[directory];
        let page = directory.pages[page].get_or_insert_with(|| {
            directory.count += 1;
            Box::new(Page {
                actors: [const { None }; PAGE],
                count: 0,
            })
        });
        page.count += 1;
        self.count += 1;
        let before = page.actors[place].replace(actor);
        debug_assert!(before.is_none(), "a number is never used twice");
    }

    /// Takes an actor out for a while.
    pub(crate) fn take_out(&mut self, id: ActorId) -> Option<Box<Actor>> {
        self.slot(id)?.take()
    }

    /// Puts an actor back that was taken out.
    pub(crate) fn put_back(&mut self, actor: Box<Actor>) {
        if let Some(slot) = self.slot(actor.id) {
            *slot = Some(actor);
        }
    }

    /// Removes an actor for good.
    pub(crate) fn remove(&mut self, id: ActorId) -> Option<Box<Actor>> {
        let (number, page_number, place) = place(id);
        let at = self.find(number).ok()?;
        let directory = &mut self.directories[at];
        let page = directory.pages[page_number].as_mut()?;
        let actor = page.actors[place].take()?;
        page.count -= 1;
        self.count -= 1;
        if page.count == 0 {
            directory.pages[page_number] = None;
            directory.count -= 1;
            // The newest is wanted again soon.
            if directory.count == 0 && at + 1 < self.directories.len() {
                self.directories.remove(at);
            }
        }
        Some(actor)
    }

    /// All actors, by rising number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Actor> {
        let pages = self
            .directories
            .iter()
            .flat_map(|directory| &directory.pages)
            .flatten();
        pages.flat_map(|page| page.actors.iter().flatten().map(|actor| &**actor))
    }
}
