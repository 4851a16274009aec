//! Where actors are found: pages of boxes, by number.
//!
//! While an actor runs it is outside: its box is taken out, given to a worker, and put back at the boundary,
//! so that workers own what they change.

use super::{Actor, ActorId};

/// Actors of a page.
const PAGE: usize = 256;

/// Actors with neighbouring numbers.
#[derive(Debug)]
struct Page {
    actors: [Option<Box<Actor>>; PAGE],
    /// Actors that belong here, those that are outside included.
    count: usize,
}

/// All actors of a world, by number.
#[derive(Debug, Default)]
pub(crate) struct ActorTable {
    /// A page without actors takes no memory but its place.
    pages: Vec<Option<Box<Page>>>,
    count: usize,
}

fn place(id: ActorId) -> (usize, usize) {
    (id.0 as usize / PAGE, id.0 as usize % PAGE)
}

impl ActorTable {
    /// How many actors there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// An actor that is not outside.
    pub(crate) fn get(&self, id: ActorId) -> Option<&Actor> {
        let (page, place) = place(id);
        self.pages.get(page)?.as_ref()?.actors[place].as_deref()
    }

    /// An actor that is not outside.
    pub(crate) fn get_mut(&mut self, id: ActorId) -> Option<&mut Actor> {
        let (page, place) = place(id);
        self.pages.get_mut(page)?.as_mut()?.actors[place].as_deref_mut()
    }

    /// Adds an actor.
    pub(crate) fn insert(&mut self, actor: Box<Actor>) {
        let (page, place) = place(actor.id);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| {
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
        let (page, place) = place(id);
        self.pages.get_mut(page)?.as_mut()?.actors[place].take()
    }

    /// Puts an actor back that was taken out.
    pub(crate) fn put_back(&mut self, actor: Box<Actor>) {
        let (page, place) = place(actor.id);
        if let Some(page) = &mut self.pages[page] {
            page.actors[place] = Some(actor);
        }
    }

    /// Removes an actor for good.
    pub(crate) fn remove(&mut self, id: ActorId) -> Option<Box<Actor>> {
        let (number, place) = place(id);
        let page = self.pages.get_mut(number)?.as_mut()?;
        let actor = page.actors[place].take()?;
        page.count -= 1;
        self.count -= 1;
        if page.count == 0 {
            self.pages[number] = None;
        }
        Some(actor)
    }

    /// All actors, by rising number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Actor> {
        let pages = self.pages.iter().flatten();
        pages.flat_map(|page| page.actors.iter().flatten().map(|actor| &**actor))
    }
}
