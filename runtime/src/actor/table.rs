//! Where actors are found: pages of boxes, by number.
//!
//! While an actor runs on another thread it is outside: its box is taken out, given to a worker, and put back at the boundary,
//! so that workers own what they change. Numbers are never given again, so pages of a world that lives long lie far apart: they are found
//! in directories, of which there are only those that have some.
//!
//! An actor that hibernates is in a file: its page knows where. Whoever needs it gets it back ([`ActorTable::get_mut`]); whoever looks at
//! it gets a copy, and it stays where it is ([`ActorTable::get`]).

use std::ops::Deref;
use std::sync::Arc;

use pw_isa::wire::Writer;
use pw_jit::CodeSpace;

use super::hibernation::{Dormitory, Sleepers};
use super::{Actor, ActorId};

/// Actors of a page.
pub(super) const PAGE: usize = 256;
/// Pages of a directory.
pub(super) const DIRECTORY: usize = 4096;

/// Actors with neighbouring numbers.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) actors: [Option<Box<Actor>>; PAGE],
    /// Actors that belong here, those that are outside or hibernate included.
    pub(super) count: usize,
    /// What is known of those that hibernate, in a world where they do.
    pub(super) sleepers: Option<Box<Sleepers>>,
}

/// Pages with neighbouring numbers.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) number: u64,
    /// A page without actors takes no memory but its place.
    pub(super) pages: Box<[Option<Box<Page>>; DIRECTORY]>,
    /// Pages with actors.
    count: usize,
}

/// All actors of a world, by number.
#[derive(Debug, Default)]
pub(crate) struct ActorTable {
    /// By rising number; each has pages.
    pub(super) directories: Vec<Directory>,
    count: usize,
    /// A page without actors, for whoever needs one next: where actors come and go one by one, pages do, too.
    spare: Option<Box<Page>>,
    /// Where actors hibernate, if they do.
    pub(super) dormitory: Option<Box<Dormitory>>,
}

/// An actor that somebody looks at.
#[derive(Debug)]
pub(crate) enum ActorRef<'a> {
    /// It is in memory.
    Here(&'a Actor),
    /// It hibernates: this is a copy.
    Copy(Box<Actor>),
}

impl Deref for ActorRef<'_> {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        match self {
            ActorRef::Here(actor) => actor,
            ActorRef::Copy(actor) => actor,
        }
    }
}

/// The directory, the page in it, and the place there.
pub(super) fn place(id: ActorId) -> (u64, usize, usize) {
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
    #[inline]
    fn find(&self, number: u64) -> Result<usize, usize> {
        match self.directories.last() {
            Some(last) if last.number == number => Ok(self.directories.len() - 1),
            _ => self.search(number),
        }
    }

    #[inline(never)]
    fn search(&self, number: u64) -> Result<usize, usize> {
        self.directories
            .binary_search_by_key(&number, |directory| directory.number)
    }

    /// The page of an actor, and its place there.
    #[inline]
    pub(super) fn page(&self, id: ActorId) -> Option<(&Page, usize)> {
        let (directory, page, place) = place(id);
        let directory = self.directories.get(self.find(directory).ok()?)?;
        Some((directory.pages[page].as_deref()?, place))
    }

    /// The page of an actor, and its place there.
    #[inline]
    pub(super) fn page_mut(&mut self, id: ActorId) -> Option<(&mut Page, usize)> {
        let (directory, page, place) = place(id);
        let at = self.find(directory).ok()?;
        let directory = self.directories.get_mut(at)?;
        Some((directory.pages[page].as_deref_mut()?, place))
    }

    /// Whether there is such an actor.
    pub(crate) fn contains(&self, id: ActorId) -> bool {
        self.page(id)
            .is_some_and(|(page, place)| page.contains(place))
    }

    /// An actor in memory: neither outside nor hibernating. One that can run is.
    #[inline]
    pub(crate) fn here(&self, id: ActorId) -> Option<&Actor> {
        let (page, place) = self.page(id)?;
        page.actors[place].as_deref()
    }

    /// The gas that the next slice of an actor in memory may use. A function of its own: who asks for many keeps what it has in machine
    /// registers.
    #[inline(never)]
    pub(crate) fn allowance(&self, id: ActorId) -> Option<u32> {
        self.here(id).map(|actor| actor.body.allowance)
    }

    /// An actor in memory, to be changed.
    #[inline]
    pub(crate) fn here_mut(&mut self, id: ActorId) -> Option<&mut Actor> {
        self.slot(id)?.as_deref_mut()
    }

    /// An actor that is not outside, to be looked at.
    pub(crate) fn get(&self, id: ActorId) -> Option<ActorRef<'_>> {
        let (page, place) = self.page(id)?;
        match page.actors[place].as_deref() {
            Some(actor) => Some(ActorRef::Here(actor)),
            None => {
                let actor = self.sleeping(page, place, id)?;
                Some(ActorRef::Copy(Box::new(actor)))
            }
        }
    }

    /// The state of an actor in canonical form.
    pub(crate) fn bytes_of(&self, code: &CodeSpace, id: ActorId) -> Option<Vec<u8>> {
        let mut out = Writer::default();
        self.write(code, id, &mut out)?;
        Some(out.bytes)
    }

    /// Writes the state of an actor in canonical form.
    pub(crate) fn write(&self, code: &CodeSpace, id: ActorId, out: &mut Writer) -> Option<()> {
        let (page, place) = self.page(id)?;
        match page.actors[place].as_deref() {
            Some(actor) => actor.write(code, out),
            None => {
                let bytes = self.bytes_of_sleeping(page, place, id)?;
                out.bytes.extend_from_slice(&bytes);
            }
        }
        Some(())
    }

    /// Has the memory of actors with these numbers come, as far as they are here: what has to wait for it, one after the other, does not
    /// wait for each.
    pub(crate) fn look_ahead(&self, ids: impl Iterator<Item = ActorId> + Clone) {
        // What says where the rest lies comes first, for all of them.
        let mut heads = 0;
        for actor in ids.clone().filter_map(|id| self.here(id)) {
            heads ^= actor.id.0 ^ actor.body.waits ^ actor.fiber.gas_used();
        }
        std::hint::black_box(heads);
        for actor in ids.filter_map(|id| self.here(id)) {
            actor.fiber.look_ahead();
        }
    }

    /// Where an actor is that does not hibernate, if its page is there.
    #[inline]
    fn slot(&mut self, id: ActorId) -> Option<&mut Option<Box<Actor>>> {
        let (page, place) = self.page_mut(id)?;
        Some(&mut page.actors[place])
    }

    /// An actor that is not outside. It does not hibernate any more.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: ActorId) -> Option<&mut Actor> {
        let (directory, page, place) = place(id);
        let newest = self.directories.last()?;
        let of_page = newest.pages[page].as_ref();
        // Nearly always it is there, or asked for so often that one place is looked at only.
        if newest.number != directory || of_page.is_none_or(|of| of.actors[place].is_none()) {
            return self.fetch(id);
        }
        let newest = self.directories.last_mut()?;
        newest.pages[page].as_mut()?.actors[place].as_deref_mut()
    }

    /// An actor that is not outside, wherever it is. It does not hibernate any more.
    #[inline(never)]
    fn fetch(&mut self, id: ActorId) -> Option<&mut Actor> {
        if self.here(id).is_none() {
            self.bring_in(id)?;
        }
        self.here_mut(id)
    }

    /// Adds an actor.
    pub(crate) fn insert(&mut self, actor: Box<Actor>) {
        let (number, page, place) = place(actor.id);
        let directory = self.find(number).unwrap_or_else(|at| {
            let directory = Directory {
                number,
                pages: Box::new([const { None }; DIRECTORY]),
                count: 0,
            };
            self.directories.insert(at, directory);
            at
        });
        let (directory, spare) = (&mut self.directories[directory], &mut self.spare);
        let page = directory.pages[page].get_or_insert_with(|| {
            directory.count += 1;
            spare.take().unwrap_or_default()
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
        // Much of what it is concerns others.
        self.get_mut(id)?;
        let (number, page_number, place) = place(id);
        let at = self.find(number).ok()?;
        let directory = &mut self.directories[at];
        let page = directory.pages[page_number].as_mut()?;
        let actor = page.actors[place].take()?;
        page.count -= 1;
        self.count -= 1;
        if page.count == 0 {
            let empty = directory.pages[page_number].take();
            self.spare = empty.filter(|page| page.sleepers.is_none());
            directory.count -= 1;
            // The newest is wanted again soon.
            if directory.count == 0 && at + 1 < self.directories.len() {
                self.directories.remove(at);
            }
        }
        Some(actor)
    }

    /// Numbers of all actors, rising.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ActorId> {
        self.directories.iter().flat_map(|directory| {
            let pages = directory.pages.iter().enumerate();
            pages.flat_map(move |(number, page)| {
                let first = (directory.number * DIRECTORY as u64 + number as u64) * PAGE as u64;
                let places = page.iter().flat_map(|page| page.places());
                places.map(move |place| ActorId(first + place as u64))
            })
        })
    }

    /// All actors, by rising number, to be looked at.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ActorRef<'_>> {
        self.ids().filter_map(|id| self.get(id))
    }

    /// All actors in memory, by rising number.
    pub(crate) fn iter_here(&self) -> impl Iterator<Item = &Actor> {
        let pages = self
            .directories
            .iter()
            .flat_map(|directory| directory.pages.iter())
            .flatten();
        pages.flat_map(|page| page.actors.iter().flatten().map(|actor| &**actor))
    }

    /// The states of all actors in canonical form, by rising number. One that cannot be read has no bytes, so that nobody can take it
    /// for one.
    pub(crate) fn states(&self, code: &CodeSpace) -> impl Iterator<Item = (ActorId, Vec<u8>)> {
        let ids = self.ids();
        ids.map(|id| (id, self.bytes_of(code, id).unwrap_or_default()))
    }

    /// It has these actors, all of them in memory, and no others.
    pub(crate) fn become_like(&mut self, other: ActorTable, code: &Arc<CodeSpace>) {
        self.directories = other.directories;
        self.count = other.count;
        if let Some(dormitory) = &mut self.dormitory {
            dormitory.clear(code);
        }
    }
}

impl Default for Page {
    /// A page without actors.
    fn default() -> Page {
        Page {
            actors: [const { None }; PAGE],
            count: 0,
            sleepers: None,
        }
    }
}

impl Page {
    fn contains(&self, place: usize) -> bool {
        self.actors[place].is_some() || self.sleeps(place)
    }

    /// Places of actors that are not outside.
    fn places(&self) -> impl Iterator<Item = usize> {
        (0..PAGE).filter(|place| self.contains(*place))
    }
}
