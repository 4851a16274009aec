//! Actors of a table that are in a file: how they get there, and how they come back.
//!
//! A *hand* goes round over all actors, a few at a time. One that waits as it did when the hand was there before goes to the file. So
//! nobody has to take note when an actor is used, and an actor in memory pays nothing.
//!
//! An actor does not change while it is in the file: whoever wants to change it has it back first. So its bytes there are those of
//! its state all the time. What is not in these bytes is with the page.

use std::sync::{Arc, OnceLock};

use pw_jit::CodeSpace;
use pw_jit::fiber::allocator;

use super::table::{DIRECTORY, PAGE, Page, place};
use super::{Actor, ActorId, ActorTable, Body, Status, Wait};
use crate::hibernation::{
    Batch, HibernationError, HibernationSettings, HibernationStatistics, Log, Place,
};
use crate::portable::{Portable, Shared, bytes_of, read_with};

/// Bytes that are moved within the file after a tick.
const MOVED_BYTES: usize = 64 << 10;
/// Bytes of actors that are written together when all of them are.
const WRITTEN_BYTES: usize = 1 << 20;
/// Bytes of memory that are freed before the machine gets them back: while a world pauses, and when all its actors hibernate.
const FREED_BYTES: u64 = 32 << 20;
const FREED_BYTES_ALL: u64 = 1 << 20;
/// Ticks between tries when the file cannot be written: twice as many each time, up to the most.
const RETRY_TICKS: u64 = 16;
const RETRY_TICKS_MAX: u64 = 1 << 14;
/// Lists of capabilities that are known again when an actor comes back.
const HOLDINGS_MAX: usize = 256;
/// Pages that are not there which the hand goes over in the time for an actor.
const PAGES_AT_ONCE: usize = 64;
/// What stands for an actor that did not wait when the hand was there.
const UNSEEN: u8 = u8::MAX;

/// What the page of an actor that hibernates knows.
#[derive(Clone, Copy, Debug)]
struct Sleeper {
    place: Place,
    /// [`Body::mark`], which is not a part of the state.
    mark: u32,
}

/// What is known of the actors of a page.
#[derive(Debug)]
pub(super) struct Sleepers {
    sleeping: [Option<Sleeper>; PAGE],
    /// How many there are.
    count: usize,
    /// Of those in memory: how often they had waited when the hand was there, as far as a byte says it.
    seen: [u8; PAGE],
}

/// Where actors hibernate.
#[derive(Debug)]
pub(crate) struct Dormitory {
    log: Log,
    settings: HibernationSettings,
    code: Arc<CodeSpace>,
    shared: Shared,
    /// Why an actor could not be read.
    failed: OnceLock<HibernationError>,
    hand: Hand,
    statistics: HibernationStatistics,
    /// Bytes of memory that were freed, about, and have not been given back.
    freed_bytes: u64,
    /// Ticks and pauses so far.
    now: u64,
    /// When the file is tried again that could not be written, and how long that was waited for.
    retry: u64,
    retry_ticks: u64,
}

/// Where the hand is on its round.
#[derive(Debug, Default)]
struct Hand {
    /// The number of the actor that is next; 0 between rounds.
    at: u64,
    /// When the next round may begin.
    next_round: u64,
    /// Whether this round has found anybody who may hibernate in the next one, or does now.
    has_found: bool,
    /// Whether the last round had not, and nothing has happened since.
    rests: bool,
}

impl Dormitory {
    /// Actors hibernate in this log.
    pub(crate) fn new(log: Log, settings: HibernationSettings) -> Dormitory {
        Dormitory {
            log,
            settings,
            code: Arc::default(),
            shared: Shared::new(u64::MAX),
            failed: OnceLock::new(),
            hand: Hand::default(),
            statistics: HibernationStatistics::default(),
            freed_bytes: 0,
            now: 0,
            retry: 0,
            retry_ticks: RETRY_TICKS,
        }
    }

    /// Nobody hibernates any more.
    pub(super) fn clear(&mut self, code: &Arc<CodeSpace>) {
        self.log.clear();
        self.code = Arc::clone(code);
        self.failed = OnceLock::new();
        self.hand = Hand::default();
        self.retry = 0;
        self.statistics.hibernated = 0;
    }

    /// The state of an actor. When it cannot be read, everybody will know: without it the world cannot go on.
    fn bytes_of(&self, id: ActorId, place: Place) -> Option<Vec<u8>> {
        if self.failed.get().is_some() {
            return None;
        }
        let read = self.log.read(id, place);
        read.map_err(|error| self.fail(error)).ok()
    }

    fn fail(&self, error: HibernationError) {
        // Whatever fails after the first is of no interest.
        let _ = self.failed.set(error);
    }

    fn read(&self, id: ActorId, sleeper: Sleeper, shared: &mut Shared) -> Option<(Actor, usize)> {
        let bytes = self.bytes_of(id, sleeper.place)?;
        match read_with(&self.code, &bytes, shared, Actor::get) {
            Ok(mut actor) => {
                actor.body.mark = sleeper.mark;
                Some((actor, bytes.len()))
            }
            Err(error) => {
                self.fail(self.log.damaged(id, sleeper.place, error.to_string()));
                None
            }
        }
    }

    /// Adds a batch to the file: who is where. When that fails, it is told, and tried again later.
    fn store(&mut self, batch: &Batch) -> Option<Vec<(ActorId, Place)>> {
        match self.log.add(batch) {
            Ok(places) => {
                self.retry_ticks = RETRY_TICKS;
                Some(places)
            }
            Err(error) => {
                self.statistics.write_errors += 1;
                self.statistics.write_error = Some(error.to_string());
                self.retry = self.now.saturating_add(self.retry_ticks);
                self.retry_ticks = (self.retry_ticks * 2).min(RETRY_TICKS_MAX);
                None
            }
        }
    }
}

impl Sleepers {
    fn new() -> Box<Sleepers> {
        Box::new(Sleepers {
            sleeping: [None; PAGE],
            count: 0,
            seen: [UNSEEN; PAGE],
        })
    }
}

impl Page {
    fn sleeper(&self, place: usize) -> Option<Sleeper> {
        self.sleepers.as_ref()?.sleeping[place]
    }

    pub(super) fn sleeps(&self, place: usize) -> bool {
        self.sleeper(place).is_some()
    }
}

impl Body {
    /// Whether it only waits for others: nothing that the world does by itself needs it.
    fn is_at_rest(&self) -> bool {
        let waits = matches!(
            self.status,
            Status::Waits(Wait::Message | Wait::Reply { .. })
        );
        let rare = self.rare.as_ref();
        waits
            && !self.is_queued
            && !self.is_held_back()
            && rare.is_none_or(|rare| rare.inspection.is_none())
    }
}

/// Bytes that an actor takes, about.
fn held_bytes(actor: &Actor) -> u64 {
    let queue = actor.body.mailbox.queue();
    let of_queue = queue.map_or(0, |queue| queue.bytes());
    size_of::<Actor>() as u64 + actor.fiber.held_bytes() + of_queue
}

impl ActorTable {
    /// Has actors hibernate.
    pub(crate) fn hibernate_in(&mut self, dormitory: Dormitory) {
        self.dormitory = Some(Box::new(dormitory));
    }

    /// These are the loaded programs; nothing while more are loaded.
    pub(crate) fn know(&mut self, code: Option<&Arc<CodeSpace>>) {
        if let Some(dormitory) = &mut self.dormitory {
            dormitory.code = code.map_or_else(Arc::default, Arc::clone);
        }
    }

    /// Why an actor could not be read, if so: then the state is lost.
    pub(crate) fn failure(&self) -> Option<&HibernationError> {
        self.dormitory.as_ref()?.failed.get()
    }

    /// Whether actors hibernate.
    pub(crate) fn can_hibernate(&self) -> bool {
        self.dormitory.is_some()
    }

    /// What hibernates, in a world where actors do.
    pub(crate) fn hibernation(&self) -> Option<HibernationStatistics> {
        let dormitory = self.dormitory.as_ref()?;
        let (file_bytes, live_bytes) = dormitory.log.bytes();
        Some(HibernationStatistics {
            file_bytes,
            live_bytes,
            ..dormitory.statistics.clone()
        })
    }

    /// Where an actor is in the file, if it is there: as long as it is there it does not change.
    pub(crate) fn place_of(&self, id: ActorId) -> Option<Place> {
        let (page, place) = self.page(id)?;
        Some(page.sleeper(place)?.place)
    }

    /// The mark of an actor that is not outside, for captures: it may hibernate.
    pub(crate) fn mark_mut(&mut self, id: ActorId) -> Option<&mut u32> {
        let (page, place) = self.page_mut(id)?;
        if let Some(actor) = &mut page.actors[place] {
            return Some(&mut actor.body.mark);
        }
        let sleeper = page.sleepers.as_mut()?.sleeping[place].as_mut();
        sleeper.map(|sleeper| &mut sleeper.mark)
    }

    /// An actor that hibernates, as it is.
    pub(super) fn sleeping(&self, page: &Page, place: usize, id: ActorId) -> Option<Actor> {
        let sleeper = page.sleeper(place)?;
        let mut shared = Shared::new(u64::MAX);
        let dormitory = self.dormitory.as_ref()?;
        Some(dormitory.read(id, sleeper, &mut shared)?.0)
    }

    /// The state of an actor that hibernates.
    pub(super) fn bytes_of_sleeping(
        &self,
        page: &Page,
        place: usize,
        id: ActorId,
    ) -> Option<Vec<u8>> {
        let sleeper = page.sleeper(place)?;
        self.dormitory.as_ref()?.bytes_of(id, sleeper.place)
    }

    /// Brings an actor back that hibernates.
    #[cold]
    pub(super) fn bring_in(&mut self, id: ActorId) -> Option<()> {
        let (page, place) = self.page(id)?;
        let sleeper = page.sleeper(place)?;
        let dormitory = self.dormitory.as_mut()?;
        let mut shared = std::mem::replace(&mut dormitory.shared, Shared::new(u64::MAX));
        let read = dormitory.read(id, sleeper, &mut shared);
        if shared.holdings.len() > HOLDINGS_MAX {
            shared.holdings.clear();
        }
        dormitory.shared = shared;
        let (actor, bytes) = read?;
        dormitory.log.forget(sleeper.place, bytes);
        dormitory.statistics.hibernated -= 1;
        dormitory.statistics.returned += 1;
        dormitory.hand.rests = false;
        let (page, place) = self.page_mut(id)?;
        page.actors[place] = Some(Box::new(actor));
        let sleepers = page.sleepers.as_mut()?;
        sleepers.sleeping[place] = None;
        sleepers.count -= 1;
        sleepers.seen[place] = UNSEEN;
        Some(())
    }

    /// Ticks or pauses until there is something to do, though nothing happens; nothing when there will not be.
    pub(crate) fn hibernation_due(&self) -> Option<u64> {
        let Dormitory {
            log,
            hand,
            now,
            retry,
            ..
        } = self.dormitory.as_deref()?;
        let is_settled = hand.rests && !log.has_sparse();
        let is_between = hand.at == 0 && !log.has_sparse();
        let due = (*retry).max(if is_between { hand.next_round } else { 0 });
        (!is_settled && self.failure().is_none()).then(|| due.saturating_sub(*now).max(1))
    }

    /// So many ticks are over, or pauses: the hand goes on over about so many actors, and the file is kept in order.
    pub(crate) fn go_on_hibernating(&mut self, ticks: u64, actors_max: usize, is_pause: bool) {
        if self.dormitory.is_some() {
            self.go_on_with_it(ticks, actors_max, is_pause);
        }
    }

    #[inline(never)]
    fn go_on_with_it(&mut self, ticks: u64, actors_max: usize, is_pause: bool) {
        let Some(dormitory) = &mut self.dormitory else {
            return;
        };
        dormitory.now += ticks;
        dormitory.hand.rests &= is_pause;
        if dormitory.now < dormitory.retry || dormitory.failed.get().is_some() {
            return;
        }
        if dormitory.log.has_sparse() {
            self.move_on();
        }
        self.turn_hand(actors_max);
        if is_pause && self.hibernation_due().is_none() {
            self.give_back(FREED_BYTES);
        }
    }

    /// Has an actor hibernate that has been brought back for a moment only.
    pub(crate) fn send_back(&mut self, id: ActorId) {
        let Some(dormitory) = &self.dormitory else {
            return;
        };
        let code = Arc::clone(&dormitory.code);
        let mut batch = Batch::default();
        if let Some(actor) = self.here(id).filter(|actor| actor.body.is_at_rest()) {
            add(&mut batch, actor, &code);
        }
        self.put_away(&batch);
    }

    /// Has all actors hibernate that only wait, until one cannot be written: how many.
    pub(crate) fn hibernate_all(&mut self) -> u64 {
        let Some(dormitory) = &self.dormitory else {
            return 0;
        };
        let before = dormitory.statistics.stored;
        let look = Look {
            code: Arc::clone(&dormitory.code),
            at_once: true,
            bytes_max: dormitory.settings.actor_bytes_max,
            batch_max: WRITTEN_BYTES,
        };
        let mut at = 0;
        loop {
            let sweep = self.sweep(at, usize::MAX, &look);
            if !self.put_away(&sweep.batch) || sweep.is_over {
                break;
            }
            at = sweep.at;
        }
        self.give_back(FREED_BYTES_ALL);
        let now = self.hibernation();
        now.map_or(0, |now| now.stored - before)
    }

    /// The hand goes on: looks at about so many actors, and has those hibernate that wait as before.
    fn turn_hand(&mut self, actors_max: usize) {
        let Some(dormitory) = &mut self.dormitory else {
            return;
        };
        let hand = &mut dormitory.hand;
        if hand.at == 0 {
            if dormitory.now < hand.next_round || hand.rests {
                return;
            }
            let after = dormitory.settings.after_ticks.max(1);
            hand.next_round = dormitory.now.saturating_add(after);
        }
        let look = Look {
            code: Arc::clone(&dormitory.code),
            at_once: dormitory.settings.after_ticks == 0,
            bytes_max: dormitory.settings.actor_bytes_max,
            batch_max: dormitory.settings.tick_bytes.max(1),
        };
        let at = hand.at;
        let sweep = self.sweep(at, actors_max, &look);
        self.put_away(&sweep.batch);
        if let Some(dormitory) = &mut self.dormitory {
            let hand = &mut dormitory.hand;
            hand.has_found |= sweep.has_found;
            hand.at = sweep.at;
            if sweep.is_over {
                hand.at = 0;
                hand.rests = !std::mem::take(&mut hand.has_found);
            }
        }
    }

    /// Looks at about so many actors from a number on, and finds those that are to hibernate.
    fn sweep(&mut self, at: u64, actors_max: usize, look: &Look) -> Sweep {
        let mut sweep = Sweep {
            at,
            left: actors_max,
            batch: Batch::default(),
            has_found: false,
            is_over: false,
        };
        while sweep.left > 0 && sweep.batch.bytes() < look.batch_max {
            match self.page_from(&mut sweep.at, &mut sweep.left) {
                Some((page, first)) => page.look(first, look, &mut sweep),
                None => {
                    sweep.is_over = true;
                    break;
                }
            }
        }
        sweep
    }

    /// The page of an actor or the next one, with the number of its first actor. What it goes over is taken off `left`.
    fn page_from(&mut self, at: &mut u64, left: &mut usize) -> Option<(&mut Page, u64)> {
        let (number, page, _) = place(ActorId(*at));
        let before = self
            .directories
            .partition_point(|directory| directory.number < number);
        let mut directories = self.directories.iter().enumerate().skip(before);
        let (directory, first, page) = directories.find_map(|(index, directory)| {
            let start = if directory.number == number { page } else { 0 };
            let found = (start..DIRECTORY).find(|page| directory.pages[*page].is_some());
            *left = left.saturating_sub((found.unwrap_or(DIRECTORY) - start) / PAGES_AT_ONCE);
            let first = directory.number * DIRECTORY as u64 + found? as u64;
            Some((index, first * PAGE as u64, found?))
        })?;
        *at = first.max(*at);
        let page = self.directories[directory].pages[page].as_deref_mut()?;
        Some((page, first))
    }

    /// Writes a batch of actors in memory; then they are there no more. False when it cannot be written.
    fn put_away(&mut self, batch: &Batch) -> bool {
        let dormitory = self.dormitory.as_mut();
        let Some(dormitory) = dormitory.filter(|_| !batch.is_empty()) else {
            return true;
        };
        let Some(places) = dormitory.store(batch) else {
            return false;
        };
        dormitory.statistics.hibernated += batch.len() as u64;
        dormitory.statistics.stored += batch.len() as u64;
        let mut freed_bytes = 0;
        for (id, of_file) in places {
            let Some((page, place)) = self.page_mut(id) else {
                continue;
            };
            let Some(actor) = page.actors[place].take() else {
                continue;
            };
            freed_bytes += held_bytes(&actor);
            let sleepers = page.sleepers.get_or_insert_with(Sleepers::new);
            sleepers.count += 1;
            sleepers.sleeping[place] = Some(Sleeper {
                place: of_file,
                mark: actor.body.mark,
            });
        }
        if let Some(dormitory) = &mut self.dormitory {
            dormitory.freed_bytes += freed_bytes;
        }
        true
    }

    /// Gives memory back, if at least so much was freed.
    fn give_back(&mut self, bytes_min: u64) {
        if let Some(dormitory) = &mut self.dormitory
            && dormitory.freed_bytes >= bytes_min
        {
            dormitory.freed_bytes = 0;
            allocator::give_back();
        }
    }

    /// Goes on to empty a segment of the file most of which is not needed.
    fn move_on(&mut self) {
        let Some(dormitory) = &mut self.dormitory else {
            return;
        };
        let Some((bytes, found)) = dormitory.log.next_sparse(MOVED_BYTES) else {
            return;
        };
        let mut batch = Batch::default();
        let mut before = Vec::new();
        for record in &found {
            if self.place_of(record.id) == Some(record.place) {
                batch.add(record.id, &bytes[record.state.clone()]);
                before.push((record.place, record.state.len()));
            }
        }
        let Some(dormitory) = self.dormitory.as_mut().filter(|_| !batch.is_empty()) else {
            return;
        };
        let Some(places) = dormitory.store(&batch) else {
            dormitory.log.again(&found);
            return;
        };
        for (place, state_bytes) in before {
            dormitory.log.forget(place, state_bytes);
        }
        for (id, of_file) in places {
            if let Some((page, place)) = self.page_mut(id)
                && let Some(sleepers) = &mut page.sleepers
                && let Some(sleeper) = &mut sleepers.sleeping[place]
            {
                sleeper.place = of_file;
            }
        }
    }
}

/// What the hand looks for.
struct Look {
    code: Arc<CodeSpace>,
    /// Whether those hibernate that were not seen before.
    at_once: bool,
    /// The most bytes of an actor, and of all that are found.
    bytes_max: u64,
    batch_max: usize,
}

fn add(batch: &mut Batch, actor: &Actor, code: &CodeSpace) {
    batch.add(actor.id, &bytes_of(code, actor));
}

/// What the hand has found.
struct Sweep {
    /// The number of the actor that is next.
    at: u64,
    /// How many more may be looked at.
    left: usize,
    batch: Batch,
    /// Whether there are any that are to hibernate, or may be in the next round.
    has_found: bool,
    /// Whether there are no more actors.
    is_over: bool,
}

impl Page {
    /// Looks at the actors of a page, as far as there is time; the first would have this number.
    fn look(&mut self, first: u64, look: &Look, sweep: &mut Sweep) {
        let sleepers = self.sleepers.get_or_insert_with(Sleepers::new);
        sweep.left = sweep.left.saturating_sub(1);
        if self.count == sleepers.count {
            sweep.at = first + PAGE as u64;
            return;
        }
        for place in (sweep.at - first) as usize..PAGE {
            sweep.at = first + place as u64 + 1;
            let Some(actor) = &self.actors[place] else {
                continue;
            };
            sweep.left = sweep.left.saturating_sub(1);
            let seen = &mut sleepers.seen[place];
            if !actor.body.is_at_rest() || held_bytes(actor) > look.bytes_max {
                *seen = UNSEEN;
            } else {
                sweep.has_found = true;
                let now = (actor.body.waits % u64::from(UNSEEN)) as u8;
                if look.at_once || std::mem::replace(seen, now) == now {
                    add(&mut sweep.batch, actor, &look.code);
                }
            }
            if sweep.left == 0 || sweep.batch.bytes() >= look.batch_max {
                break;
            }
        }
    }
}
