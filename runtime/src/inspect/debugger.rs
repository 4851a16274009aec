//! Breakpoints, steps and watches of one actor.
//!
//! The debugger looks at the actor before each instruction and decides whether it is suspended there. What it decides depends on
//! the actor's state and on what the debugger was told between ticks, and on nothing else. It is part of the actor's state.

use pw_isa::wire::Writer;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::fiber::{FrameView, State};
use pw_jit::host::Host;
use pw_jit::reference::{self, Outcome};
use pw_jit::{CodeSpace, Fiber};

use super::breakpoint::PlacedBreakpoint;
use super::stack::shown;
use super::{Breakpoint, InterventionError};
use crate::portable::portable;

/// Why an actor is suspended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Suspension {
    /// It was paused from outside, by a person or a monitor.
    Paused,
    /// It is about to run an instruction that a breakpoint is at.
    Breakpoint(Breakpoint),
    /// It has done the one step that it was to do.
    Stepped,
    /// A variable has changed that is watched.
    Changed {
        /// The variable, or the register.
        variable: String,
        /// Its value before, as text.
        before: String,
        /// Its value now; nothing when its frame was left.
        after: Option<String>,
    },
}

impl std::fmt::Display for Suspension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Suspension::Paused => write!(f, "paused"),
            Suspension::Breakpoint(breakpoint) => write!(f, "at breakpoint {breakpoint}"),
            Suspension::Stepped => write!(f, "stepped"),
            Suspension::Changed {
                variable,
                before,
                after,
            } => match after {
                Some(after) => write!(f, "{variable} was {before}, is {after}"),
                None => write!(f, "{variable} was {before}, its frame was left"),
            },
        }
    }
}

/// A variable that is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Watch {
    name: String,
    register: u16,
    /// The frame, by how many frames there are up to it, and its function.
    depth: u32,
    function: (u32, u32),
    /// What the value was when it was last seen: a hash of all of it, and its text.
    seen: [u8; 32],
    text: String,
}

/// What became of a watched variable.
enum Now {
    /// It is as it was, or cannot be told.
    Same,
    /// It has another value.
    Other([u8; 32], String),
    /// Its frame was left.
    Left,
}

impl Watch {
    fn now(&self, fiber: &Fiber, code: &CodeSpace) -> Now {
        if fiber.depth() > self.depth {
            // A frame's registers change while it is the newest.
            return Now::Same;
        }
        let newest = fiber
            .frames()
            .next()
            .filter(|_| fiber.depth() == self.depth);
        let Some(frame) = newest.filter(|frame| (frame.program, frame.function) == self.function)
        else {
            return Now::Left;
        };
        match look(fiber, code, &frame, self.register) {
            Some((seen, text)) if seen != self.seen => Now::Other(seen, text),
            _ => Now::Same,
        }
    }
}

/// The value of a register: a hash of all of it, and its text; nothing when the program does not need it any more.
fn look(
    fiber: &Fiber,
    code: &CodeSpace,
    frame: &FrameView,
    register: u16,
) -> Option<([u8; 32], String)> {
    let mut live = fiber.live_registers(code, frame);
    let (_, value) = live.find(|(live, _)| *live == register)?;
    let mut out = Writer::default();
    Parcel::pack(fiber.heap(code), value).write(code, &mut out);
    Some((
        *blake3::hash(&out.bytes).as_bytes(),
        shown(fiber, code, value),
    ))
}

/// Whether an instruction has had no effect, and comes again: there was no gas for it in the slice, or a limit was hit, which may
/// be raised.
fn has_not_run(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Preempted => true,
        Outcome::Failed(failure) => failure.value.is_none(),
        Outcome::Done(_) | Outcome::Waiting => false,
    }
}

/// What one actor is stopped by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Debugger {
    breakpoints: Vec<PlacedBreakpoint>,
    watches: Vec<Watch>,
    /// Whether it is suspended when the instruction at hand is done.
    steps: bool,
    /// Whether it was suspended at the instruction at hand and goes on with that.
    passes: bool,
    suspension: Option<Suspension>,
}

impl Debugger {
    /// Why the actor is suspended, if it is.
    pub(super) fn suspension(&self) -> Option<&Suspension> {
        self.suspension.as_ref()
    }

    /// Whether the actor has to be run one instruction at a time.
    pub(super) fn is_active(&self) -> bool {
        self.steps || !self.breakpoints.is_empty() || !self.watches.is_empty()
    }

    pub(super) fn pause(&mut self) {
        self.suspension.get_or_insert(Suspension::Paused);
    }

    /// The actor goes on; for one step only, or until something stops it.
    pub(super) fn go_on(&mut self, fiber: &Fiber, one_step: bool) {
        let was_at_instruction = self.suspension != Some(Suspension::Paused);
        self.suspension = None;
        self.steps = one_step;
        // A step of an actor that waits is done when it has what it waits for.
        self.passes |= (was_at_instruction || one_step) && fiber.state() == State::Ready;
        self.passes &= self.is_active();
    }

    pub(super) fn add_breakpoint(
        &mut self,
        code: &CodeSpace,
        breakpoint: Breakpoint,
    ) -> Result<(), InterventionError> {
        let placed = PlacedBreakpoint::new(code, breakpoint)?;
        if !self.breakpoints.contains(&placed) {
            self.breakpoints.push(placed);
        }
        Ok(())
    }

    pub(super) fn remove_breakpoint(&mut self, breakpoint: &Breakpoint) {
        self.breakpoints
            .retain(|placed| placed.breakpoint != *breakpoint);
        self.passes &= self.is_active();
    }

    /// Watches a variable, or a register `rN`, of the frame with this place, the newest being 0.
    pub(super) fn watch(
        &mut self,
        fiber: &Fiber,
        code: &CodeSpace,
        (place, name): (u32, &str),
    ) -> Result<(), InterventionError> {
        let unknown = || InterventionError::NoVariable(name.to_owned(), place);
        let frame = fiber.frames().nth(place as usize).ok_or_else(unknown)?;
        let debug = code
            .program(frame.program)
            .program()
            .debug_of(frame.function);
        let named = fiber
            .live_registers(code, &frame)
            .map(|(register, _)| register);
        let mut named = named.filter(|register| {
            let variable = debug.and_then(|debug| debug.variable_at(*register, frame.pc));
            variable.map_or_else(
                || format!("r{register}") == name,
                |variable| variable.name == name,
            )
        });
        let register = named.next().ok_or_else(unknown)?;
        let (seen, text) = look(fiber, code, &frame, register).ok_or_else(unknown)?;
        let watch = Watch {
            name: name.to_owned(),
            register,
            depth: fiber.depth() - place,
            function: (frame.program, frame.function),
            seen,
            text,
        };
        self.watches
            .retain(|other| (other.depth, register) != (watch.depth, other.register));
        self.watches.push(watch);
        Ok(())
    }

    /// Forgets breakpoints, watches and steps; the actor stays suspended if it is.
    pub(super) fn clear(&mut self) {
        let suspension = self.suspension.take();
        *self = Debugger {
            suspension,
            ..Debugger::default()
        };
    }

    /// Runs the actor instruction by instruction until its gas is at `slice_end`, or it is suspended, which looks to the
    /// caller as if the slice were over.
    pub(super) fn run(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        host: &mut dyn Host,
        slice_end: u64,
    ) -> Outcome {
        loop {
            if fiber.state() == State::Ready && !self.passes {
                self.suspension = self.stop_at(fiber, code);
                if self.suspension.is_some() {
                    self.steps = false;
                    return Outcome::Preempted;
                }
            }
            let outcome = reference::advance(fiber, code, host, slice_end);
            self.passes &= outcome.as_ref().is_some_and(has_not_run);
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    /// Why the actor is to be suspended before the instruction at hand.
    fn stop_at(&mut self, fiber: &Fiber, code: &CodeSpace) -> Option<Suspension> {
        let changed = self.changed(fiber, code);
        let position = fiber.position();
        let hit = || {
            let mut at = self
                .breakpoints
                .iter()
                .filter(|placed| placed.is_at(position));
            at.next()
                .map(|placed| Suspension::Breakpoint(placed.breakpoint.clone()))
        };
        changed
            .or_else(hit)
            .or(self.steps.then_some(Suspension::Stepped))
    }

    /// Takes note of the values of what is watched; the first change.
    fn changed(&mut self, fiber: &Fiber, code: &CodeSpace) -> Option<Suspension> {
        let mut first = None;
        self.watches.retain_mut(|watch| {
            let (seen, text) = match watch.now(fiber, code) {
                Now::Same => return true,
                Now::Other(seen, text) => (seen, Some(text)),
                Now::Left => (watch.seen, None),
            };
            watch.seen = seen;
            let now = text.clone().unwrap_or_default();
            let before = std::mem::replace(&mut watch.text, now);
            first.get_or_insert(Suspension::Changed {
                variable: watch.name.clone(),
                before,
                after: text.clone(),
            });
            text.is_some()
        });
        first
    }
}

portable!(enum Suspension {
    0 => Paused,
    1 => Breakpoint(breakpoint),
    2 => Stepped,
    3 => Changed { variable, before, after },
});
portable!(struct Watch { name, register, depth, function, seen, text });
portable!(struct Debugger { breakpoints, watches, steps, passes, suspension });
