//! Sandboxes that a fiber has open: parts of its run with less gas, less memory and fewer capabilities than it has
//! itself.
//!
//! ```text
//! frame 1 ── try ──▶ sandbox-open ──▶ call ──▶ frame 2 … frame n: anything
//!              │                                                │ a limit of the sandbox is reached
//!              └◀──────── handler outside, sandbox closed ◀─────┘
//! ```
//!
//! Rules
//!  1. A sandbox belongs to the frame that opened it, and to what takes that frame's place by tail calls. It is closed by
//!     `sandbox-close` in the function that opened it, by the frame's return, and by whatever unwinds to a handler outside of
//!     it. So none can be left open, and code that runs in one cannot get out of it.
//!  2. A handler is *outside* when it is of an older frame, or of the function that opened the sandbox and has the opening
//!     instruction in its range.
//!  3. Bounds only ever fall: those of a sandbox within another are no higher, and what it keeps is a part.
//!  4. The lowest bound is reached first; of sandboxes with the same, the outermost's, and the fiber's own limits last.

use std::sync::Arc;

use super::{Fiber, Limits, SANDBOXED};
use crate::host::{CapabilityName, Kept};

/// The most sandboxes within each other.
pub(crate) const SANDBOXES_MAX: usize = 16;
/// The most capabilities that a sandbox keeps.
pub(crate) const KEPT_MAX: usize = 64;
/// The most bytes that their names and parameters take.
pub(crate) const KEPT_BYTES_MAX: u64 = 2048;

/// One open sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Sandbox {
    /// The frame that it belongs to, counted from the oldest, which is 1.
    pub(crate) depth: u32,
    /// The instruction that opened it.
    pub(crate) program: u32,
    pub(crate) function: u32,
    pub(crate) pc: u32,
    /// What was given to it, for messages.
    pub(crate) gas: u64,
    pub(crate) memory_bytes: u64,
    /// The fiber's gas that it may not go beyond, and logical bytes that the fiber may not hold more of.
    pub(crate) gas_end: u64,
    pub(crate) memory_end: u64,
    /// The capabilities that can be used in it.
    pub(crate) kept: Kept,
}

/// A bound that can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bound {
    Gas,
    Memory,
}

impl Fiber {
    /// The open sandboxes, the outermost first.
    pub(crate) fn sandboxes(&self) -> &[Sandbox] {
        self.extras.as_ref().map_or(&[], |extras| &extras.sandboxes)
    }

    /// How many sandboxes are open.
    pub fn open_sandboxes(&self) -> usize {
        self.sandboxes().len()
    }

    /// What can be used of the fiber's capabilities where it is; everything outside of sandboxes.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        self.sandboxes().last().map(|open| &open.kept)
    }

    /// The limits that hold where the fiber is: its own, or those of the innermost sandbox where they are lower.
    #[inline]
    pub(crate) fn bounds(&self) -> Limits {
        let mut bounds = self.limits;
        if let Some(open) = self.sandboxes().last() {
            bounds.gas = bounds.gas.min(open.gas_end);
            bounds.memory_bytes = bounds.memory_bytes.min(open.memory_end);
        }
        bounds
    }

    /// Opens a sandbox in the newest frame, by the instruction at its pc; `held_bytes` is what the fiber holds.
    pub(crate) fn open_sandbox(
        &mut self,
        gas: u64,
        memory_bytes: u64,
        held_bytes: u64,
        kept: Vec<CapabilityName>,
    ) {
        let (program, function, pc) = self.position();
        let mut kept = kept;
        kept.retain(|capability| Kept::allows(self.kept(), capability));
        let around = self.sandboxes().last();
        let (gas_max, memory_max) = around.map_or((u64::MAX, u64::MAX), |around| {
            (around.gas_end, around.memory_end)
        });
        let sandbox = Sandbox {
            depth: self.depth,
            program,
            function,
            pc,
            gas,
            memory_bytes,
            gas_end: self.gas_used.saturating_add(gas).min(gas_max),
            memory_end: held_bytes.saturating_add(memory_bytes).min(memory_max),
            kept: Kept::new(Arc::from(kept)),
        };
        let extras = self.extras.get_or_insert_default();
        extras.sandboxes.push(sandbox);
        self.mark_sandboxed();
    }

    /// Has the fast loop notice the return from the newest frame, which a sandbox belongs to.
    fn mark_sandboxed(&mut self) {
        self.stack[self.base - 1].bits |= SANDBOXED;
    }

    /// The same of every frame that a sandbox belongs to.
    pub(super) fn mark_all_sandboxed(&mut self) {
        if self.sandboxes().is_empty() {
            return;
        }
        let depths = (1..=self.depth).rev();
        let open = self.sandboxes();
        let frames: Vec<usize> = self
            .frames()
            .zip(depths)
            .filter(|(_, depth)| open.iter().any(|sandbox| sandbox.depth == *depth))
            .map(|(frame, _)| frame.base)
            .collect();
        for base in frames {
            self.stack[base - 1].bits |= SANDBOXED;
        }
    }

    /// Leaves only the outermost sandboxes open; what was closed, for who may have to open it again.
    pub(crate) fn keep_sandboxes(&mut self, count: usize) -> Vec<Sandbox> {
        let Some(extras) = &mut self.extras else {
            return Vec::new();
        };
        let open = &mut extras.sandboxes;
        open.split_off(count.min(open.len()))
    }

    /// Opens sandboxes again that were closed on trial.
    pub(crate) fn reopen_sandboxes(&mut self, closed: Vec<Sandbox>) {
        if !closed.is_empty() {
            let extras = self.extras.get_or_insert_default();
            extras.sandboxes.extend(closed);
        }
    }

    /// Closes the sandboxes of frames that are gone.
    #[inline]
    pub(crate) fn close_sandboxes_of_left_frames(&mut self) {
        if !self.sandboxes().is_empty() {
            let depth = self.depth;
            let open = self.sandboxes().iter();
            let count = open.take_while(|sandbox| sandbox.depth <= depth).count();
            self.keep_sandboxes(count);
        }
    }

    /// The place among the open sandboxes of the one whose bound is reached first; `None` when it is the fiber's own limit.
    pub(crate) fn struck_sandbox(&self, bound: Bound) -> Option<usize> {
        let end = |sandbox: &Sandbox| match bound {
            Bound::Gas => sandbox.gas_end,
            Bound::Memory => sandbox.memory_end,
        };
        let own = match bound {
            Bound::Gas => self.limits.gas,
            Bound::Memory => self.limits.memory_bytes,
        };
        let open = self.sandboxes();
        let lowest = end(open.last()?);
        if own < lowest {
            return None;
        }
        open.iter().position(|sandbox| end(sandbox) == lowest)
    }

    /// What another fiber has used, whose place this one takes, was not used by its sandboxes.
    pub(super) fn move_sandbox_ends(&mut self, gas: u64) {
        for sandbox in self
            .extras
            .iter_mut()
            .flat_map(|extras| &mut extras.sandboxes)
        {
            sandbox.gas_end = sandbox.gas_end.saturating_add(gas);
        }
    }
}
