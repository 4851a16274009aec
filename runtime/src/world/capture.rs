//! Capturing a world's state while it goes on.
//!
//! A *mark* begins a capture: what belongs to no actor is written at once, and of the actors only their numbers are known. Each is
//! written as it was at the mark, before it changes for the first time after it, or when the world has time for it between
//! ticks. So a mark costs the same for few actors and for many. Which actors have changed since the mark before is known too: an
//! increment has only these.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError};

use pw_isa::wire::Writer;

use super::World;
use crate::actor::{Actor, ActorId};
use crate::checkpoint::{Block, BlockKind};
use crate::portable::bytes_of;

/// Bytes of actors in a block.
const BLOCK_BYTES: usize = 1 << 20;
/// Full blocks that wait to be taken, beyond which only what changes is captured.
const BLOCKS_MAX: usize = 16;

/// What is known about changes since the last mark.
///
/// The mark of an actor is `2 m` when it has changed since mark `m`, and `2 m + 1` when it has not and a capture has it.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// The number of the last mark.
    mark: u32,
    changed: Vec<ActorId>,
    gone: Vec<ActorId>,
    capture: Option<Capture>,
    /// Whether the next capture has to be of everything.
    is_broken: bool,
}

/// A capture that is not complete.
#[derive(Debug)]
struct Capture {
    wanted: Wanted,
    /// Actors that are captured, up to a full block.
    open: Writer,
    /// How many are captured in all.
    actors: u64,
    /// Full blocks, and where they go.
    full: VecDeque<Block>,
    blocks: u64,
    to: SyncSender<Block>,
    /// Whether all actors are captured.
    is_over: bool,
}

/// Which actors a capture wants.
#[derive(Debug)]
enum Wanted {
    /// All that are there at the mark, up to this number; those before the place are captured.
    All { place: u64, end: u64 },
    /// Those of a list; those before the place are captured.
    Changed { place: usize, list: Vec<ActorId> },
}

impl Capture {
    fn block(&mut self, kind: BlockKind, bytes: Vec<u8>) {
        self.full.push_back(Block { kind, bytes });
        self.blocks += 1;
    }

    fn add(&mut self, id: ActorId, bytes: &[u8]) {
        self.open.varint(id.0);
        self.open.blob(bytes);
        self.actors += 1;
        if self.open.bytes.len() >= BLOCK_BYTES {
            let bytes = std::mem::take(&mut self.open.bytes);
            self.block(BlockKind::Actors, bytes);
        }
    }

    /// Hands over full blocks as far as there is room; false when nobody takes them any more.
    fn hand_over(&mut self) -> bool {
        while let Some(block) = self.full.pop_front() {
            match self.to.try_send(block) {
                Ok(()) => {}
                Err(TrySendError::Full(block)) => {
                    self.full.push_front(block);
                    return true;
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        true
    }

    /// The next actor that it may want; nothing when there is none.
    fn next(&mut self) -> Option<ActorId> {
        match &mut self.wanted {
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

impl Marks {
    /// Whether an actor with such a mark is wanted and not captured.
    fn wants(&self, mark: u32) -> bool {
        match &self.capture {
            None => false,
            Some(capture) => match capture.wanted {
                Wanted::All { .. } => mark < 2 * self.mark,
                Wanted::Changed { .. } => mark == 2 * (self.mark - 1),
            },
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
    }

    /// An actor is about to change, or to end.
    #[inline]
    pub(super) fn touch(&mut self, id: ActorId) {
        if self.trajectory.is_some() || self.marks.is_some() {
            self.note_change(id);
        }
    }

    fn note_change(&mut self, id: ActorId) {
        if let Some(trajectory) = &mut self.trajectory {
            trajectory.touched.insert(id);
        }
        let Some(marks) = &mut self.marks else { return };
        let Some(actor) = self.actors.get_mut(id) else {
            return;
        };
        let now = 2 * marks.mark;
        if actor.body.mark == now {
            return;
        }
        if marks.wants(actor.body.mark)
            && let Some(capture) = &mut marks.capture
        {
            capture.add(id, &bytes_of(&self.code, actor));
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
        }
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

    /// Begins a capture of the state as it is now: of everything, or of what has changed since the last one.
    pub(super) fn begin_capture(&mut self, everything: bool, to: SyncSender<Block>) {
        let sections = bytes_of(&self.code, &self.sections());
        let end = self.next_id;
        let Some(marks) = &mut self.marks else { return };
        marks.mark += 1;
        marks.is_broken = false;
        let changed = std::mem::take(&mut marks.changed);
        let gone = std::mem::take(&mut marks.gone);
        let wanted = if everything {
            Wanted::All { place: 0, end }
        } else {
            Wanted::Changed {
                place: 0,
                list: changed,
            }
        };
        let mut capture = Capture {
            wanted,
            open: Writer::default(),
            actors: 0,
            full: VecDeque::new(),
            blocks: 0,
            to,
            is_over: false,
        };
        capture.block(BlockKind::Sections, sections);
        if !everything {
            let mut out = Writer::default();
            gone.iter().for_each(|id| out.varint(id.0));
            capture.block(BlockKind::Gone, out.bytes);
        }
        marks.capture = Some(capture);
    }

    /// Goes on with a capture, for about so many bytes; what has become of it.
    pub(super) fn go_on_capturing(&mut self, bytes_max: usize) -> Captured {
        let Some(marks) = &mut self.marks else {
            return Captured::Nothing;
        };
        let Some(mut capture) = marks.capture.take() else {
            return Captured::Nothing;
        };
        let (mark, is_all) = (marks.mark, matches!(capture.wanted, Wanted::All { .. }));
        let mut bytes = 0;
        let mut is_over = capture.is_over;
        while bytes < bytes_max && !is_over && capture.full.len() < BLOCKS_MAX {
            let Some(id) = capture.next() else {
                is_over = true;
                break;
            };
            let Some(of) = self.actors.mark_mut(id).map(|of| *of) else {
                bytes += 1;
                continue;
            };
            let is_wanted = if is_all {
                of < 2 * mark
            } else {
                of == 2 * (mark - 1)
            };
            if is_wanted {
                let Some(state) = self.actors.bytes_of(&self.code, id) else {
                    // It hibernates and cannot be read.
                    marks.is_broken = true;
                    return Captured::Lost;
                };
                capture.add(id, &state);
                bytes += state.len();
                if let Some(of) = self.actors.mark_mut(id) {
                    *of = 2 * mark + 1;
                }
            }
        }
        if is_over && !std::mem::replace(&mut capture.is_over, true) {
            let last = std::mem::take(&mut capture.open.bytes);
            if !last.is_empty() {
                capture.block(BlockKind::Actors, last);
            }
        }
        if !capture.hand_over() {
            marks.is_broken = true;
            return Captured::Lost;
        }
        if !is_over || !capture.full.is_empty() {
            marks.capture = Some(capture);
            return Captured::Some;
        }
        let mut out = Writer::default();
        out.varint(capture.blocks);
        out.varint(capture.actors);
        let end = Block {
            kind: BlockKind::End,
            bytes: out.bytes,
        };
        Captured::All(end, capture.to)
    }
}

/// What has become of a capture.
pub(super) enum Captured {
    /// There is none.
    Nothing,
    /// It goes on.
    Some,
    /// It is complete: its end, and where that goes.
    All(Block, SyncSender<Block>),
    /// Nobody takes what is captured.
    Lost,
}
