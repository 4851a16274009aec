//! What is attached to an actor that is looked at, and its turns with that.

use pw_isa::wire::Decoded;
use pw_jit::CodeSpace;
use pw_jit::Fiber;
use pw_jit::host::Host;
use pw_jit::reference::Outcome;

use super::Suspension;
use super::debugger::Debugger;
use super::sampler::Sampler;
use crate::portable::{In, Out, Portable};

/// What is attached to an actor that is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspection {
    pub(super) debugger: Debugger,
    pub(super) sampler: Option<Sampler>,
}

impl Inspection {
    /// Why the actor is suspended, if it is.
    pub(crate) fn suspension(&self) -> Option<&Suspension> {
        self.debugger.suspension()
    }

    /// Whether it has a part in what the actor does next.
    pub(crate) fn decides(&self) -> bool {
        self.debugger != Debugger::default()
    }

    /// Whether nothing is attached any more.
    pub(super) fn is_empty(&self) -> bool {
        !self.decides() && self.sampler.is_none()
    }

    /// Runs an actor until its gas is at `slice_end`: as `run` does, which gets the gas of a slice, up to each sample, or
    /// instruction by instruction where it may have to be stopped.
    pub(crate) fn run<H: Host>(
        &mut self,
        (fiber, host): (&mut Fiber, &mut H),
        code: &CodeSpace,
        slice_end: u64,
        mut run: impl FnMut(&mut Fiber, &mut H, u64) -> Outcome,
    ) -> Outcome {
        loop {
            let sample = self.sampler.as_ref().map_or(u64::MAX, Sampler::next);
            let stop = sample.min(slice_end);
            let outcome = if self.debugger.is_active() {
                self.debugger.run(fiber, code, host, stop)
            } else {
                let slice = stop.saturating_sub(fiber.gas_used());
                run(fiber, host, slice)
            };
            let at_stop = outcome == Outcome::Preempted
                && self.suspension().is_none()
                && has_run_to(fiber, code, stop);
            if let Some(sampler) = &mut self.sampler {
                // The next instruction may not fit in what is left up to the sample.
                let reached = if at_stop { stop } else { 0 };
                sampler.note(fiber, reached.max(fiber.gas_used()));
            }
            let goes_on = at_stop && stop < slice_end && fiber.gas_used() <= slice_end;
            if !goes_on {
                return outcome;
            }
        }
    }
}

/// Whether a slice ended here because its gas did: the next instruction does not fit. Otherwise that is to be done in the next turn.
fn has_run_to(fiber: &Fiber, code: &CodeSpace, slice_end: u64) -> bool {
    let (program, function, pc) = fiber.position();
    let gas = code
        .program(program)
        .function(function)
        .fixed_gas(pc as usize);
    fiber.gas_used().saturating_add(gas) > slice_end
}

impl Portable for Inspection {
    /// What decides what the actor does next: samples do not.
    fn put(&self, out: &mut Out<'_>) {
        self.debugger.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Inspection> {
        Ok(Inspection {
            debugger: Debugger::get(input)?,
            sampler: None,
        })
    }
}
