//! Actors with many objects, captured page by page.
//!
//! To write down such an actor when it first changes after a mark would hold up the world. So its objects are taken as they lie in
//! memory, while it goes on, in rounds: the first takes all pages that have changed since the last checkpoint, or all, and each later one
//! what has changed in the meantime. When a round finds little, the mark is set, and what is left is taken at once: that is as much as
//! the actor changes in few ticks, however large it is.
//!
//! The first round takes as long as the disk does. Later ones do not wait for it, or more would change meanwhile than they take: what
//! they find waits in memory, at most as much as there are objects.

use std::collections::BTreeMap;
use std::ops::Bound;

use pw_isa::wire::Writer;
use pw_jit::CodeSpace;
use pw_jit::fiber::arena::PageCursor;

use super::World;
use super::capture::{BLOCKS_MAX, Capture, Stage};
use crate::actor::{Actor, ActorId};
use crate::checkpoint::BlockKind;
use crate::portable::written;
use crate::schedule::Turn;

/// Taking pages costs a part of what it costs to walk through objects: so many times as many bytes are taken in the same time.
const CHEAPER: usize = 4;
/// A round that finds fewer bytes is the last.
const RESIDUE_BYTES: usize = 256 << 10;
/// Rounds, each of which takes twice as many bytes after a tick as the one before: after so many the mark is set whatever is left.
const ROUNDS_MAX: u32 = 8;
/// The most bytes that are taken after a tick.
const TAKEN_MAX: usize = 4 << 20;
/// Bytes of pages in a block.
const BLOCK_BYTES: usize = 1 << 20;
/// What looking at an actor costs, as bytes of pages.
const LOOK_BYTES: usize = 256;
/// Bytes that a block has room for besides pages.
const ROOM_FOR_HEADS: usize = 16 << 10;

/// The actors with many objects: of which all pages have been taken since the last checkpoint of everything began.
pub(super) type Large = BTreeMap<ActorId, bool>;

/// How far taking pages has come.
#[derive(Debug, Default)]
pub(super) struct Paging {
    /// The actors up to this one have had their turn in the round.
    done: Option<ActorId>,
    /// The actor that has its turn, and how far it has come.
    now: Option<(ActorId, PageCursor)>,
    round: u32,
    /// Bytes that were found in the round.
    found: usize,
    /// Blocks that may wait for the disk, if more than usual.
    waiting_max: usize,
}

impl Paging {
    /// The next round, in which so many bytes of objects may be found.
    fn next_round(&self, bytes: u64) -> Paging {
        Paging {
            round: self.round + 1,
            waiting_max: usize::try_from(bytes).unwrap_or(usize::MAX) / BLOCK_BYTES,
            ..Paging::default()
        }
    }
}

impl World {
    /// Objects beyond which an actor is captured page by page.
    fn paged_bytes(&self) -> u64 {
        self.history
            .settings()
            .map_or(u64::MAX, |settings| settings.paged_bytes)
    }

    /// Notes which of the actors that had a turn have many objects.
    pub(super) fn note_sizes(&mut self, ran: &[Turn]) {
        if self.marks.is_none() {
            return;
        }
        let paged_bytes = self.paged_bytes();
        let Some(marks) = &mut self.marks else { return };
        for Turn { id, .. } in ran {
            let actor = self.actors.here_mut(*id);
            if actor.is_some_and(|actor| actor.fiber.object_bytes() >= paged_bytes) {
                marks.large.entry(*id).or_default();
            }
        }
    }

    /// Notes which actors have many objects.
    pub(super) fn note_all_sizes(&mut self) {
        let paged_bytes = self.paged_bytes();
        let Some(marks) = &mut self.marks else { return };
        let actors = self.actors.iter_here();
        let large = actors.filter(|actor| actor.fiber.object_bytes() >= paged_bytes);
        marks.large = large.map(|actor| (actor.id, false)).collect();
    }

    /// Takes pages for a capture, about so many bytes of objects' worth; whether the mark can be set, which it is not yet.
    pub(super) fn take_pages(&mut self, capture: &mut Capture, bytes_max: usize) -> bool {
        let paged_bytes = self.paged_bytes();
        let Some(marks) = &mut self.marks else {
            return true;
        };
        let Stage::Pages(paging) = &mut capture.stage else {
            return false;
        };
        let mut paging = std::mem::take(paging);
        let most = bytes_max.saturating_mul(CHEAPER << paging.round);
        let mut left = if bytes_max == usize::MAX {
            bytes_max
        } else {
            most.min(TAKEN_MAX)
        };
        let is_ready = loop {
            let Some((id, mut cursor)) = paging.next(&marks.large) else {
                let is_new = |(id, is_known): (&ActorId, &bool)| {
                    let actor = self.actors.here(*id).filter(|_| !is_known);
                    actor.is_some_and(|actor| actor.is_paged(paged_bytes))
                };
                // Without ticks in between nothing would be gained by another round.
                let is_last = paging.round == ROUNDS_MAX || bytes_max == usize::MAX;
                let is_little = paging.found <= RESIDUE_BYTES;
                if is_last || is_little && !marks.large.iter().any(is_new) {
                    break true;
                }
                let actors = marks.large.keys();
                let actors = actors.filter_map(|id| self.actors.here(*id));
                let objects = actors.map(|actor| actor.fiber.object_bytes());
                paging = paging.next_round(objects.sum());
                continue;
            };
            if left == 0 || capture.full.len() >= BLOCKS_MAX.max(paging.waiting_max) {
                paging.now = Some((id, cursor));
                break false;
            }
            left = left.saturating_sub(LOOK_BYTES);
            let is_known = marks.large.get(&id).copied().unwrap_or(false);
            let has_begun = cursor != PageCursor::default();
            let actor = self.actors.here_mut(id);
            let actor = actor.filter(|actor| !is_known || actor.body.mark == 2 * marks.mark);
            let actor = actor.filter(|actor| has_begun || actor.is_paged(paged_bytes));
            let Some(actor) = actor else {
                paging.done = Some(id);
                continue;
            };
            let block = left.clamp(1, BLOCK_BYTES);
            let (taken, is_end) = actor.take_pages(&mut cursor, is_known, block, capture);
            left = left.saturating_sub(taken);
            paging.found += taken;
            if is_end {
                marks.large.insert(id, true);
                paging.done = Some(id);
            } else {
                paging.now = Some((id, cursor));
            }
        };
        capture.stage = Stage::Pages(paging);
        is_ready
    }

    /// Captures the actors with many objects at the mark, which was just set.
    pub(super) fn capture_large(&mut self, capture: &mut Capture) {
        let paged_bytes = self.paged_bytes();
        let Some(marks) = &mut self.marks else { return };
        let before = 2 * (marks.mark - 1);
        let mut rests = Writer::default();
        marks.large.retain(|id, is_known| {
            // One that hibernates is written whole, if it has changed.
            let Some(actor) = self.actors.here_mut(*id) else {
                return false;
            };
            let has_changed = actor.body.mark == before;
            if !capture.everything && !has_changed {
                return true;
            }
            if !actor.is_paged(paged_bytes) {
                return false;
            }
            let mut cursor = PageCursor::default();
            while !actor
                .take_pages(&mut cursor, *is_known, BLOCK_BYTES, capture)
                .1
            {}
            *is_known = true;
            rests.varint(id.0);
            rests.blob(&actor.rest(&self.code));
            if rests.bytes.len() > BLOCK_BYTES {
                capture.block(BlockKind::Paged, std::mem::take(&mut rests.bytes));
            }
            capture.actors += 1;
            actor.body.mark = 2 * marks.mark + 1;
            true
        });
        if !rests.bytes.is_empty() {
            capture.block(BlockKind::Paged, rests.bytes);
        }
    }
}

impl Paging {
    /// Whose turn it is, and how far it has come; nothing when the round is over.
    fn next(&mut self, large: &Large) -> Option<(ActorId, PageCursor)> {
        if let Some(now) = self.now.take() {
            return Some(now);
        }
        let behind = self.done.map_or(Bound::Unbounded, Bound::Excluded);
        let (id, _) = large.range((behind, Bound::Unbounded)).next()?;
        Some((*id, PageCursor::default()))
    }
}

impl Actor {
    /// Whether it is captured page by page.
    fn is_paged(&self, paged_bytes: u64) -> bool {
        self.fiber.object_bytes() >= paged_bytes && self.fiber.has_pages()
    }

    /// Takes pages into a block: those that have changed, when the others are known. How many bytes, and whether the end was reached.
    fn take_pages(
        &mut self,
        cursor: &mut PageCursor,
        are_known: bool,
        bytes_max: usize,
        capture: &mut Capture,
    ) -> (usize, bool) {
        let most = usize::try_from(self.fiber.object_bytes()).unwrap_or(usize::MAX);
        let mut out = Writer {
            bytes: Vec::with_capacity(bytes_max.min(most).saturating_add(ROOM_FOR_HEADS)),
        };
        out.varint(self.id.0);
        let head = out.bytes.len();
        let is_end = self
            .fiber
            .take_pages(cursor, !are_known, bytes_max, &mut out);
        let taken = out.bytes.len() - head;
        if taken > 0 {
            capture.page_bytes += taken as u64;
            capture.block(BlockKind::Pages, out.bytes);
        }
        (taken, is_end)
    }

    /// All but its objects.
    fn rest(&self, code: &CodeSpace) -> Vec<u8> {
        written(code, |out| self.put_rest(out))
    }
}
