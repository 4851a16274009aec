//! Capturing a world's state while it goes on.
//!
//! A *mark* begins a capture: what belongs to no actor is written at once, and of the actors only their numbers are known. Each is
//! written as it was at the mark, before it changes for the first time after it, or when the world has time for it between
//! ticks. So a mark costs the same for few actors and for many. Which actors have changed since the mark before is known too: an
//! increment has only these. Of actors with many objects most is written before the mark: see [`super::pages`].

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError};

use pw_isa::wire::Writer;

use super::World;
use super::pages::{Large, Paging};
use crate::actor::{Actor, ActorId};
use crate::checkpoint::{Block, BlockKind, Head, Part};
use crate::portable::bytes_of;

/// Bytes of actors in a block.
const BLOCK_BYTES: usize = 1 << 20;
/// Full blocks that wait to be taken, beyond which only what changes is captured.
pub(super) const BLOCKS_MAX: usize = 16;

/// What is known about changes since the last mark.
///
/// The mark of an actor is `2 m` when it has changed since mark `m`, and `2 m + 1` when it has not and a capture has it.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The number of the last mark.
    pub(super) mark: u32,
    /// The actor whose change was noted last, if that was after the last mark: there is nothing to be noted if it changes again.
    last: Option<ActorId>,
    changed: Vec<ActorId>,
    gone: Vec<ActorId>,
    pub(super) capture: Option<Capture>,
    /// Whether the next capture has to be of everything.
    is_broken: bool,
    /// Bytes of pages that captures have taken which are over.
    page_bytes: u64,
    /// Actors with many objects.
    pub(super) large: Large,
}

/// A capture that is not complete.
#[derive(Debug)]
pub(super) struct Capture {
    /// Whether it is of everything, or of what has changed since the last one.
    pub(super) everything: bool,
    pub(super) stage: Stage,
    /// Actors that are captured, up to a full block.
    open: Writer,
    /// Where one is written first.
    scratch: Writer,
    /// How many are captured in all.
    pub(super) actors: u64,
    /// Full blocks, and where they go.
    pub(super) full: VecDeque<Block>,
    blocks: u64,
    /// Bytes of pages that it has taken.
    pub(super) page_bytes: u64,
    to: SyncSender<Part>,
}

/// How far a capture has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// Before the mark: pages of actors with many objects are taken.
    Pages(Paging),
    /// After it: these actors are captured, for a checkpoint that says this first.
    Actors(Wanted, Head),
    /// All are captured.
    Over(Head),
}

/// Which actors a capture wants.
#[derive(Debug)]
pub(super) enum Wanted {
    /// All that are there at the mark, up to this number; those before the place are captured.
    All { place: u64, end: u64 },
    /// Those of a list; those before the place are captured.
    Changed { place: usize, list: Vec<ActorId> },
}

/// Actors that are looked at together before they are captured.
const AHEAD: u64 = 16;

impl Wanted {
    /// Those that are looked at now, because the next is one of them and the one before was not.
    fn ahead(&self) -> impl Iterator<Item = ActorId> + Clone + '_ {
        let (numbers, list) = match self {
            Wanted::All { place, end } if place.is_multiple_of(AHEAD) => {
                (*place..(*end).min(*place + AHEAD), [].as_slice())
            }
            Wanted::Changed { place, list } if (*place as u64).is_multiple_of(AHEAD) => {
                let list = list.get(*place..).unwrap_or_default();
                (0..0, &list[..list.len().min(AHEAD as usize)])
            }
            _ => (0..0, [].as_slice()),
        };
        numbers.map(ActorId).chain(list.iter().copied())
    }

    /// The next actor that it may want; nothing when there is none.
    fn next(&mut self) -> Option<ActorId> {
        match self {
            Wanted::All { place, end } => {
                *place += 1;
                (*place <= *end).then_some(ActorId(*place - 1))
            }
            Wanted::Changed { place, list } => {
                *place += 1;
                list.get(*place - 1).copied()
            }
        }
    }
}

impl Capture {
    pub(super) fn block(&mut self, kind: BlockKind, bytes: Vec<u8>) {
        self.full.push_back(Block { kind, bytes });
        self.blocks += 1;
    }

    /// Adds an actor; how many bytes it has, if it can be written.
    fn add(&mut self, id: ActorId, write: impl FnOnce(&mut Writer) -> Option<()>) -> Option<usize> {
        self.scratch.bytes.clear();
        write(&mut self.scratch)?;
        self.open.varint(id.0);
        self.open.blob(&self.scratch.bytes);
        self.actors += 1;
        if self.open.bytes.len() >= BLOCK_BYTES {
            let next = Vec::with_capacity(self.open.bytes.len());
            let bytes = std::mem::replace(&mut self.open.bytes, next);
            self.block(BlockKind::Actors, bytes);
        }
        Some(self.scratch.bytes.len())
    }

    /// Hands over full blocks as far as there is room; false when nobody takes them any more.
    fn hand_over(&mut self) -> bool {
        while let Some(block) = self.full.pop_front() {
            match self.to.try_send(Part::Block(block)) {
                Ok(()) => {}
                Err(TrySendError::Full(Part::Block(block))) => {
                    self.full.push_front(block);
                    return true;
                }
                Err(_) => return false,
            }
        }
        true
    }

    /// The last part, when there is nothing more to capture or to hand over.
    fn end(&self) -> Option<Part> {
        let Stage::Over(head) = self.stage else {
            return None;
        };
        self.full.is_empty().then(|| {
            let mut out = Writer::default();
            out.varint(self.blocks);
            out.varint(self.actors);
            let bytes = out.bytes;
            Part::End(
                head,
                Block {
                    kind: BlockKind::End,
                    bytes,
                },
            )
        })
    }
}

impl Marks {
    /// Whether it is known without a look at an actor that it has changed since the last mark.
    #[inline]
    fn has_just_noted(&self, id: ActorId) -> bool {
        self.last == Some(id)
    }

    /// Whether an actor with such a mark is wanted and not captured.
    fn wants(&self, mark: u32) -> bool {
        match &self.capture {
            Some(Capture {
                stage: Stage::Actors(wanted, _),
                ..
            }) => self.is_wanted(wanted, mark),
            _ => false,
        }
    }

    fn is_wanted(&self, wanted: &Wanted, mark: u32) -> bool {
        match wanted {
            Wanted::All { .. } => mark < 2 * self.mark,
            Wanted::Changed { .. } => mark == 2 * (self.mark - 1),
        }
    }
}

impl World {
    /// Has the world know what changes from now on.
    pub(super) fn keep_marks(&mut self) {
        self.marks = Some(Box::new(Marks {
            is_broken: true,
            ..Marks::default()
        }));
        self.note_all_sizes();
    }

    /// An actor is about to change, or to end.
    #[inline]
    pub(super) fn touch(&mut self, id: ActorId) {
        match (&self.trajectory, &self.marks) {
            (None, None) => {}
            // What comes from outside often goes to one actor.
            (None, Some(marks)) if marks.has_just_noted(id) => {}
            _ => self.note_change(id),
        }
    }

    /// Whether somebody wants to know what changes.
    #[inline]
    pub(super) fn notes_changes(&self) -> bool {
        self.trajectory.is_some() || self.marks.is_some()
    }

    #[inline(never)]
    fn note_change(&mut self, id: ActorId) {
        if let Some(trajectory) = &mut self.trajectory {
            trajectory.touched.insert(id);
        }
        let Some(marks) = &mut self.marks else { return };
        let Some(actor) = self.actors.get_mut(id) else {
            return;
        };
        marks.last = Some(id);
        let now = 2 * marks.mark;
        if actor.body.mark == now {
            return;
        }
        if marks.wants(actor.body.mark)
            && let Some(capture) = &mut marks.capture
        {
            capture.add(id, |out| {
                actor.write(&self.code, out);
                Some(())
            });
        }
        actor.body.mark = now;
        marks.changed.push(id);
    }

    /// A new actor.
    pub(super) fn mark_new(&mut self, actor: &mut Actor) {
        if let Some(marks) = &mut self.marks {
            actor.body.mark = 2 * marks.mark;
            marks.changed.push(actor.id);
        }
    }

    /// An actor is gone.
    pub(super) fn mark_gone(&mut self, id: ActorId) {
        if let Some(marks) = &mut self.marks {
            marks.gone.push(id);
            marks.large.remove(&id);
        }
    }

    /// Bytes of objects that were captured page by page since the world keeps its history.
    pub(super) fn page_bytes(&self) -> u64 {
        self.marks.as_ref().map_or(0, |marks| {
            let now = marks
                .capture
                .as_ref()
                .map_or(0, |capture| capture.page_bytes);
            marks.page_bytes + now
        })
    }

    /// Whether a checkpoint is being captured.
    pub fn is_capturing(&self) -> bool {
        let marks = self.marks.as_ref();
        marks.is_some_and(|marks| marks.capture.is_some())
    }

    /// Whether the next capture can be of what has changed only.
    pub(super) fn can_capture_changes(&self) -> bool {
        let marks = self.marks.as_ref();
        marks.is_some_and(|marks| !marks.is_broken)
    }

    /// Begins a capture: of everything, or of what has changed since the last one.
    pub(super) fn begin_capture(&mut self, everything: bool, to: SyncSender<Part>) {
        let Some(marks) = &mut self.marks else { return };
        if everything {
            marks.large.values_mut().for_each(|known| *known = false);
        }
        marks.capture = Some(Capture {
            everything,
            stage: Stage::Pages(Paging::default()),
            open: Writer::default(),
            scratch: Writer::default(),
            actors: 0,
            full: VecDeque::new(),
            blocks: 0,
            page_bytes: 0,
            to,
        });
    }

    /// The mark of the capture that was begun: it is of the state as it is now.
    pub(super) fn mark_capture(&mut self, head: Head) {
        let sections = bytes_of(&self.code, &self.sections());
        let end = self.next_id;
        let Some(marks) = &mut self.marks else { return };
        let Some(mut capture) = marks.capture.take() else {
            return;
        };
        let changed = std::mem::take(&mut marks.changed);
        let gone = std::mem::take(&mut marks.gone);
        capture.block(BlockKind::Sections, sections);
        if !capture.everything {
            let mut out = Writer::default();
            gone.iter().for_each(|id| out.varint(id.0));
            capture.block(BlockKind::Gone, out.bytes);
        }
        marks.mark += 1;
        marks.last = None;
        marks.is_broken = false;
        self.capture_large(&mut capture);
        let wanted = if capture.everything {
            Wanted::All { place: 0, end }
        } else {
            Wanted::Changed {
                place: 0,
                list: changed,
            }
        };
        capture.stage = Stage::Actors(wanted, head);
        if let Some(marks) = &mut self.marks {
            marks.capture = Some(capture);
        }
    }

    /// Goes on with a capture, for about so many bytes; what has become of it.
    pub(super) fn go_on_capturing(&mut self, bytes_max: usize) -> Captured {
        let capture = self.marks.as_mut().and_then(|marks| marks.capture.take());
        let Some(mut capture) = capture else {
            return Captured::Nothing;
        };
        let is_ready = self.take_pages(&mut capture, bytes_max);
        let is_captured = self.capture_actors(&mut capture, bytes_max);
        let is_taken = is_captured && capture.hand_over();
        let Some(marks) = &mut self.marks else {
            return Captured::Nothing;
        };
        if !is_taken {
            marks.is_broken = true;
            marks.page_bytes += capture.page_bytes;
            return Captured::Lost;
        }
        if let Some(end) = capture.end() {
            marks.page_bytes += capture.page_bytes;
            return Captured::All(end, capture.to);
        }
        marks.capture = Some(capture);
        if is_ready {
            Captured::Ready
        } else {
            Captured::Some
        }
    }

    /// Captures actors as they were at the mark; false when one hibernates and cannot be read.
    fn capture_actors(&mut self, capture: &mut Capture, bytes_max: usize) -> bool {
        let Some(marks) = &self.marks else {
            return false;
        };
        let mut bytes = 0;
        while bytes < bytes_max && capture.full.len() < BLOCKS_MAX {
            let Stage::Actors(wanted, head) = &mut capture.stage else {
                return true;
            };
            self.actors.look_ahead(wanted.ahead());
            let Some(id) = wanted.next() else {
                capture.stage = Stage::Over(*head);
                let last = std::mem::take(&mut capture.open.bytes);
                if !last.is_empty() {
                    capture.block(BlockKind::Actors, last);
                }
                return true;
            };
            let Some(of) = self.actors.mark_mut(id).map(|of| *of) else {
                bytes += 1;
                continue;
            };
            if marks.is_wanted(wanted, of) {
                let written = capture.add(id, |out| self.actors.write(&self.code, id, out));
                let Some(written) = written else {
                    return false;
                };
                bytes += written;
                if let Some(of) = self.actors.mark_mut(id) {
                    *of = 2 * marks.mark + 1;
                }
            }
        }
        true
    }
}

/// What has become of a capture.
pub(super) enum Captured {
    /// There is none.
    Nothing,
    /// It goes on.
    Some,
    /// Its mark can be set: little is left to be taken then.
    Ready,
    /// It is complete: its end, and where that goes.
    All(Part, SyncSender<Part>),
    /// Nobody takes what is captured.
    Lost,
}
