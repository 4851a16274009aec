//! What acts on actors from outside: people with a debugger, monitors, the embedder.
//!
//! An intervention takes effect between ticks, like everything that enters a world, and whoever observes the world sees it. So a
//! run with the same interventions before the same ticks is the same run.

use super::{ActorProfile, Breakpoint, Inspection};
use crate::World;
use crate::actor::{ActorId, Status};
use crate::host::Datum;
use crate::inspect::sampler::Sampler;
use crate::message::PRIORITY_DEFAULT;
use crate::portable::portable;
use crate::world::{Input, InputError, WorldEvent};

/// Something that acts on an actor from outside.
#[derive(Clone, PartialEq, Debug)]
pub enum Intervention {
    /// It has no turns until it is resumed.
    Pause(ActorId),
    /// It goes on after it was suspended.
    Resume(ActorId),
    /// It goes on for one instruction.
    Step(ActorId),
    /// It is suspended where this says.
    Break(ActorId, Breakpoint),
    /// No longer.
    Unbreak(ActorId, Breakpoint),
    /// It is suspended when a variable of one of its frames has changed, or the frame was left. A change by a function that the
    /// frame has called is seen when that has returned.
    Watch {
        /// Who.
        actor: ActorId,
        /// Which frame, the newest being 0.
        frame: u32,
        /// The variable by its name, or a register without a name as `r3`.
        variable: String,
    },
    /// Breakpoints, watches and steps are forgotten; it stays suspended if it is.
    Clear(ActorId),
    /// It is ended.
    Kill(ActorId),
    /// It gets lower limits.
    Limit {
        /// Who.
        actor: ActorId,
        /// Gas that it may use from now on.
        gas: Option<u64>,
        /// Logical bytes that it may hold.
        memory_bytes: Option<u64>,
    },
    /// It gets another priority.
    Prioritize {
        /// Who.
        actor: ActorId,
        /// From 0 to 255, the highest.
        priority: u8,
    },
    /// Its priority is raised for a while.
    Boost {
        /// Who.
        actor: ActorId,
        /// What is added to its priority; each turn takes one away.
        boost: u32,
    },
    /// It gets a message.
    Tell(ActorId, Datum),
}

/// Why an intervention did nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InterventionError {
    /// There is nobody with this address.
    #[error("there is no actor {0}")]
    NoActor(ActorId),
    /// It goes on already.
    #[error("actor {0} is not suspended")]
    NotSuspended(ActorId),
    /// It will not go on.
    #[error("actor {0} has ended")]
    Ended(ActorId),
    /// No program has such a place.
    #[error("no instruction of the loaded programs is at {0}")]
    NoPlace(Breakpoint),
    /// The frame has no such variable, or does not need it any more.
    #[error("there is no variable `{0}` in frame {1}")]
    NoVariable(String, u32),
    /// The history of the world has no room for what is told.
    #[error("the message has {0}")]
    TooLong(InputError),
}

impl Intervention {
    /// Whom it acts on.
    pub fn actor(&self) -> ActorId {
        match self {
            Intervention::Pause(actor)
            | Intervention::Resume(actor)
            | Intervention::Step(actor)
            | Intervention::Break(actor, _)
            | Intervention::Unbreak(actor, _)
            | Intervention::Watch { actor, .. }
            | Intervention::Clear(actor)
            | Intervention::Kill(actor)
            | Intervention::Limit { actor, .. }
            | Intervention::Prioritize { actor, .. }
            | Intervention::Boost { actor, .. }
            | Intervention::Tell(actor, _) => *actor,
        }
    }
}

impl World {
    /// Acts on an actor, before the next tick.
    ///
    /// # Errors
    /// When there is no such actor, or it cannot be done; then nothing has changed.
    pub fn intervene(&mut self, intervention: Intervention) -> Result<(), InterventionError> {
        let bytes = match &intervention {
            Intervention::Tell(_, content) => content.size_bytes(),
            _ => 0,
        };
        let done = match self.too_long(bytes) {
            Some(error) => Err(InterventionError::TooLong(error)),
            None => {
                self.note(|| Input::Intervene(intervention.clone()));
                self.carry_out(&intervention)
            }
        };
        if self.is_observed() {
            self.tell_event(&WorldEvent::Intervened {
                intervention: &intervention,
                error: done.as_ref().err(),
            });
        }
        done
    }

    fn carry_out(&mut self, intervention: &Intervention) -> Result<(), InterventionError> {
        let id = intervention.actor();
        let actor = self.actors.get(id).ok_or(InterventionError::NoActor(id))?;
        if matches!(actor.body.status, Status::Ended(_)) {
            return Err(InterventionError::Ended(id));
        }
        match intervention {
            Intervention::Kill(_) => self.kill(id),
            Intervention::Limit {
                gas, memory_bytes, ..
            } => self.lower_limits(id, *gas, *memory_bytes),
            Intervention::Prioritize { priority, .. } => {
                self.change_priority(id, |body| body.priority = *priority);
            }
            Intervention::Boost { boost, .. } => {
                self.change_priority(id, |body| body.rare_mut().boost = *boost);
            }
            Intervention::Tell(_, content) => {
                self.send_now(id, content, PRIORITY_DEFAULT);
            }
            Intervention::Pause(_) => {
                self.inspected(id, |inspection, _| inspection.debugger.pause());
                self.withdraw(id);
            }
            Intervention::Resume(_) => self.go_on(id, false)?,
            Intervention::Step(_) => self.go_on(id, true)?,
            Intervention::Clear(_) => {
                self.inspected(id, |inspection, _| inspection.debugger.clear());
            }
            Intervention::Break(..) | Intervention::Unbreak(..) | Intervention::Watch { .. } => {
                self.set_debugger(intervention)?;
            }
        }
        Ok(())
    }

    fn set_debugger(&mut self, intervention: &Intervention) -> Result<(), InterventionError> {
        let code = std::sync::Arc::clone(self.shared_code());
        let id = intervention.actor();
        let done = self.inspected(id, |inspection, fiber| {
            let debugger = &mut inspection.debugger;
            match intervention {
                Intervention::Break(_, breakpoint) => {
                    debugger.add_breakpoint(&code, breakpoint.clone())
                }
                Intervention::Unbreak(_, breakpoint) => {
                    debugger.remove_breakpoint(breakpoint);
                    Ok(())
                }
                Intervention::Watch {
                    frame, variable, ..
                } => debugger.watch(fiber, &code, (*frame, variable)),
                other => unreachable!("{other:?} is not about a debugger"),
            }
        });
        done.unwrap_or(Err(InterventionError::NoActor(id)))
    }

    /// Changes what is attached to an actor. What is empty afterwards is not kept.
    fn inspected<T>(
        &mut self,
        id: ActorId,
        change: impl FnOnce(&mut Inspection, &pw_jit::Fiber) -> T,
    ) -> Option<T> {
        self.body(id);
        let actor = self.actors.get_mut(id)?;
        let attached = &mut actor.body.rare_mut().inspection;
        let mut inspection = attached.take().unwrap_or_default();
        let done = change(&mut inspection, &actor.fiber);
        if !inspection.is_empty() {
            actor.body.rare_mut().inspection = Some(inspection);
        }
        Some(done)
    }

    fn go_on(&mut self, id: ActorId, one_step: bool) -> Result<(), InterventionError> {
        let body = self.body(id);
        if body.is_none_or(|body| body.suspension().is_none()) {
            return Err(InterventionError::NotSuspended(id));
        }
        self.inspected(id, |inspection, fiber| {
            inspection.debugger.go_on(fiber, one_step)
        });
        let body = self.body(id);
        if body.is_some_and(|body| matches!(body.status, Status::Ready | Status::Due(_))) {
            self.enqueue(id);
        }
        Ok(())
    }

    fn lower_limits(&mut self, id: ActorId, gas: Option<u64>, memory_bytes: Option<u64>) {
        let Some(actor) = self.actors.get(id) else {
            return;
        };
        let mut limits = actor.fiber.limits();
        if let Some(gas) = gas {
            limits.gas = limits.gas.min(actor.fiber.gas_used().saturating_add(gas));
        }
        if let Some(bytes) = memory_bytes {
            limits.memory_bytes = limits.memory_bytes.min(bytes);
        }
        self.set_limits_now(id, limits);
    }

    /// Begins to profile an actor; what was found before is forgotten. Others run as before. False when there is no such actor.
    pub fn start_profile(&mut self, actor: ActorId) -> bool {
        let started = self.inspected(actor, |inspection, fiber| {
            inspection.sampler = Some(Sampler::new(fiber.gas_used()));
        });
        started.is_some()
    }

    /// Where the gas of an actor went since [`World::start_profile`]; nothing when it is not profiled.
    pub fn actor_profile(&self, actor: ActorId) -> Option<ActorProfile> {
        // One that something is attached to does not hibernate.
        let rare = self.actors.here(actor)?.body.rare.as_ref()?;
        let sampler = rare.inspection.as_ref()?.sampler.as_ref()?;
        Some(sampler.profile(self.code()))
    }

    /// Ends the profile of an actor, with what was found.
    pub fn stop_profile(&mut self, actor: ActorId) -> Option<ActorProfile> {
        let profile = self.actor_profile(actor);
        self.inspected(actor, |inspection, _| inspection.sampler = None);
        profile
    }
}

portable!(enum Intervention {
    0 => Pause(actor),
    1 => Resume(actor),
    2 => Step(actor),
    3 => Break(actor, breakpoint),
    4 => Unbreak(actor, breakpoint),
    5 => Watch { actor, frame, variable },
    6 => Clear(actor),
    7 => Kill(actor),
    8 => Limit { actor, gas, memory_bytes },
    9 => Tell(actor, content),
    10 => Prioritize { actor, priority },
    11 => Boost { actor, boost },
});
