//! Frames with their places and variables, as text of bounded size.

use pw_jit::failure::{BACKTRACE_HALF, Place};
use pw_jit::fiber::FrameView;
use pw_jit::text::{Style, value_text_within};
use pw_jit::{CodeSpace, Fiber, Value};

use crate::World;
use crate::actor::{Actor, ActorId};

/// The longest text of a value, in bytes.
pub const VALUE_TEXT_MAX: usize = 256;
/// The most variables of a frame.
const VARIABLES_MAX: usize = 64;

/// The frames of an actor, the newest first; only those at both ends of a deep stack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActorStack {
    /// The frames.
    pub frames: Vec<StackFrame>,
    /// Frames that are left out of the middle.
    pub omitted: u64,
}

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StackFrame {
    /// Its function, and the next instruction of the newest frame or the call in progress of the others.
    pub place: Place,
    /// Names and values of the variables that are still needed; at most 64.
    pub variables: Vec<(String, String)>,
}

impl World {
    /// The frames of an actor; nothing when there is none.
    pub fn stack(&self, actor: ActorId) -> Option<ActorStack> {
        Some(self.stack_of(&*self.actors.get(actor)?))
    }

    /// The frames of an actor, which need not be in the world.
    pub(crate) fn stack_of(&self, actor: &Actor) -> ActorStack {
        let fiber = &actor.fiber;
        let newest = fiber.frames().next();
        let (callers, omitted) = fiber.callers_at_ends(BACKTRACE_HALF);
        let frames = newest.iter().chain(&callers);
        ActorStack {
            frames: frames
                .map(|frame| stack_frame(fiber, self.code(), frame))
                .collect(),
            omitted,
        }
    }
}

fn stack_frame(fiber: &Fiber, code: &CodeSpace, frame: &FrameView) -> StackFrame {
    let debug = code
        .program(frame.program)
        .program()
        .debug_of(frame.function);
    let live = fiber.live_registers(code, frame);
    let variables = live.filter_map(|(register, value)| {
        let variable = debug?.variable_at(register, frame.pc)?;
        Some((variable.name.clone(), shown(fiber, code, value)))
    });
    StackFrame {
        place: Place::of(code, frame),
        variables: variables.take(VARIABLES_MAX).collect(),
    }
}

/// A value as text of bounded size.
pub(super) fn shown(fiber: &Fiber, code: &CodeSpace, value: Value) -> String {
    value_text_within(fiber.heap(code), value, Style::Quoted, VALUE_TEXT_MAX)
}
