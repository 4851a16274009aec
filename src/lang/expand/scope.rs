//! Which variable a name means at a place.
//!
//! Every name has a stack of the variables it is bound to, so that finding one takes the same time
//! in the deepest of a thousand scopes. A *frame* is a body whose definitions can refer to each
//! other; it notes which of its items refers to which of its variables.

use crate::lang::ir::VariableId;
use crate::lang::names::NameId;

/// A variable that a name is bound to.
#[derive(Clone, Copy, Debug)]
struct Binding {
    variable: VariableId,
    /// The frame that defines it, with its position there; absent for parameters and the like.
    frame: Option<(u32, u32)>,
}

/// The items of a body, while they are expanded.
#[derive(Debug, Default)]
struct Frame {
    current: u32,
    /// (item, position of a definition it refers to)
    references: Vec<(u32, u32)>,
}

/// The names bound at a place.
#[derive(Debug, Default)]
pub(super) struct Scope {
    bound: Vec<Vec<Binding>>,
    trail: Vec<NameId>,
    frames: Vec<Frame>,
}

/// A point to which a scope can be taken back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl Scope {
    /// Where the scope is now.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.trail.len())
    }

    /// Forgets all bindings made since the mark.
    pub(super) fn reset(&mut self, mark: Mark) {
        for name in self.trail.drain(mark.0..) {
            self.bound[name.0 as usize].pop();
        }
    }

    /// Binds a name.
    pub(super) fn bind(&mut self, name: NameId, variable: VariableId) {
        self.push(
            name,
            Binding {
                variable,
                frame: None,
            },
        );
    }

    /// Binds a name to definition number `position` of the innermost frame.
    pub(super) fn bind_definition(&mut self, name: NameId, variable: VariableId, position: u32) {
        let frame = self.frames.len() as u32 - 1;
        self.push(
            name,
            Binding {
                variable,
                frame: Some((frame, position)),
            },
        );
    }

    fn push(&mut self, name: NameId, binding: Binding) {
        let index = name.0 as usize;
        if index >= self.bound.len() {
            self.bound.resize_with(index + 1, Vec::new);
        }
        self.bound[index].push(binding);
        self.trail.push(name);
    }

    /// Whether a name means a local variable here.
    pub(super) fn is_bound(&self, name: NameId) -> bool {
        self.bound
            .get(name.0 as usize)
            .is_some_and(|bindings| !bindings.is_empty())
    }

    /// The variable that a name means here. The reference is noted in the frame that defines it.
    pub(super) fn find(&mut self, name: NameId) -> Option<VariableId> {
        let binding = *self.bound.get(name.0 as usize)?.last()?;
        if let Some((frame, position)) = binding.frame {
            let frame = &mut self.frames[frame as usize];
            let reference = (frame.current, position);
            if frame.references.last() != Some(&reference) {
                frame.references.push(reference);
            }
        }
        Some(binding.variable)
    }

    /// Names of all variables bound here.
    pub(super) fn names(&self) -> impl Iterator<Item = NameId> + '_ {
        self.trail.iter().copied()
    }

    /// Opens a frame.
    pub(super) fn open_frame(&mut self) {
        self.frames.push(Frame::default());
    }

    /// What is expanded next is this item of the innermost frame.
    pub(super) fn enter_item(&mut self, item: usize) {
        if let Some(frame) = self.frames.last_mut() {
            frame.current = item as u32;
        }
    }

    /// Closes the innermost frame: which item refers to which definition.
    pub(super) fn close_frame(&mut self) -> Vec<(u32, u32)> {
        self.frames
            .pop()
            .map(|frame| frame.references)
            .unwrap_or_default()
    }
}
