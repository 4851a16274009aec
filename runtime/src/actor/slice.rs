//! One actor's turn: the answer it waits for, then its program, for at most its allowance of gas.

use pw_jit::failure::Failure;
use pw_jit::fiber::State;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::interp::{self, profile::Profile};
use pw_jit::reference::{self, Outcome};
use pw_jit::{CodeSpace, Fiber, Value};

use super::surroundings::Surroundings;
use super::{Actor, Answered, Body, Deeds, Due, EndReason, Saved, Status, Wait};
use crate::WorldSettings;
use crate::host::HostFunctions;
use crate::inspect::Inspection;
use crate::message::Message;
use crate::world::Upgrades;

/// What executes programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// The executable specification.
    Reference,
    /// The fast tiers, as the worker's profile has them.
    Fast,
}

/// What all actors see while a tick runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common<'a> {
    pub(crate) code: &'a CodeSpace,
    pub(crate) settings: &'a WorldSettings,
    pub(crate) hosts: &'a HostFunctions,
    /// New programs for old ones.
    pub(crate) upgrades: &'a Upgrades,
    pub(crate) way: Way,
    pub(crate) tick: u64,
    /// The world's time.
    pub(crate) now_ms: u64,
}

impl Body {
    /// Whether it waits for a message that is there, so that it could be copied before it gets it.
    fn has_message_for_rewinding(&self) -> bool {
        matches!(self.status, Status::Waits(Wait::Message))
            && !self.mailbox.is_empty()
            && self.rewinds()
    }
}

/// Actors that have ended, whose memory new ones take over.
pub(crate) type Spare = Vec<Box<Actor>>;

/// What a thread that runs actors hands on, and what it has been given for them.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// What they did to others.
    pub(crate) deeds: Deeds,
    /// Actors that have ended, whose memory new ones take over.
    pub(crate) spare: Spare,
}

/// Runs an actor for so much gas; what it does to others goes to the end of the deeds. Whether nothing is to be done about the actor
/// itself when these have taken effect: it waits, and has nothing that most do not have.
pub(crate) fn run_slice(
    actor: &mut Actor,
    common: &Common<'_>,
    profile: &mut Profile,
    out: &mut Outbox,
    gas: u64,
) -> bool {
    let Actor { fiber, body, .. } = &mut *actor;
    body.begin_turn();
    let before = fiber.gas_used();
    let mut allowance = gas;
    if let Some(lease) = body.rare.as_ref().and_then(|rare| rare.lease.as_ref()) {
        allowance = allowance.min(lease.lease.gas);
    }
    let paid = body.debt.min(allowance);
    body.debt -= paid;
    let slice_end = before.saturating_add(allowance - paid);
    let due = match std::mem::replace(&mut body.status, Status::Ready) {
        Status::Due(due) => Some(due),
        Status::Ready => None,
        other => unreachable!("an actor has a turn that is {other:?}"),
    };
    let mut outcome = go_on(actor, common, profile, out, due, slice_end);
    while matches!(outcome, Outcome::Waiting)
        && actor.body.rare.is_some()
        && actor.body.has_message_for_rewinding()
        && actor.fiber.gas_used() < slice_end
    {
        outcome = go_on_with_message(actor, common, profile, out, slice_end);
    }
    match outcome {
        Outcome::Preempted | Outcome::Waiting => {
            settle(actor, slice_end, before, common.settings);
        }
        Outcome::Done(value) => end_with(actor, common.code, value),
        Outcome::Failed(failure) => {
            actor.body.status = Status::Ended(EndReason::Failed(failure));
        }
    }
    matches!(actor.body.status, Status::Waits(_)) && actor.body.rare.is_none()
}

/// Gives an actor that rewinds the message that it waits for, now that it could be copied, and runs it on.
#[inline(never)]
fn go_on_with_message(
    actor: &mut Actor,
    common: &Common<'_>,
    profile: &mut Profile,
    out: &mut Outbox,
    slice_end: u64,
) -> Outcome {
    actor.body.status = Status::Ready;
    go_on(actor, common, profile, out, Some(Due::Message), slice_end)
}

/// An actor has come to its end, with a value.
#[inline(never)]
fn end_with(actor: &mut Actor, code: &CodeSpace, value: Value) {
    let value = Parcel::pack(actor.fiber.heap(code), value);
    actor.body.status = Status::Ended(EndReason::Done(value));
}

/// Gives an actor the answer that it waits for, if it waits, and runs it to the end of its slice.
#[inline(always)]
fn go_on(
    actor: &mut Actor,
    common: &Common<'_>,
    profile: &mut Profile,
    out: &mut Outbox,
    due: Option<Due>,
    slice_end: u64,
) -> Outcome {
    let Actor { id, fiber, body } = actor;
    let mut surroundings = Surroundings {
        id: *id,
        body,
        common,
        deeds: &mut out.deeds,
        spare: &mut out.spare,
        kept: None,
        taken: None,
    };
    match due {
        None => {}
        // Most messages are taken at once.
        Some(Due::Message)
            if common.way == Way::Fast
                && interp::answer_by_message(fiber, common.code, &mut surroundings) => {}
        Some(due) => {
            if let Err(failure) = answer(fiber, &mut surroundings, due) {
                return Outcome::Failed(failure);
            }
        }
    }
    if let Some(rare) = &mut surroundings.body.rare
        && let Some(inspection) = rare.inspection.take()
    {
        let of_actor = (&mut *fiber, surroundings);
        return run_inspected(of_actor, common, profile, inspection, slice_end);
    }
    let left = slice_end.saturating_sub(fiber.gas_used());
    common.run(fiber, &mut surroundings, profile, left)
}

/// Runs an actor that somebody looks at.
#[inline(never)]
fn run_inspected(
    (fiber, mut surroundings): (&mut Fiber, Surroundings<'_>),
    common: &Common<'_>,
    profile: &mut Profile,
    mut inspection: Box<Inspection>,
    slice_end: u64,
) -> Outcome {
    let of_actor = (&mut *fiber, &mut surroundings);
    let outcome = inspection.run(of_actor, common.code, slice_end, |fiber, host, slice| {
        common.run(fiber, host, profile, slice)
    });
    surroundings.body.rare_mut().inspection = Some(inspection);
    outcome
}

/// Gives an actor what it waits for. Nothing is to be given to one that has been started anew meanwhile.
#[inline(never)]
fn answer(
    fiber: &mut Fiber,
    surroundings: &mut Surroundings<'_>,
    due: Due,
) -> Result<(), Box<Failure>> {
    let answer = match due {
        Due::Message => take_message(fiber, surroundings.body, &mut surroundings.taken),
        Due::Nil => Ok(Parcel::Plain(Value::NIL)),
        Due::Answer(answer) => *answer,
    };
    if fiber.state() != State::Waiting {
        return Ok(());
    }
    // What does not fit in the memory leased for this turn may fit in the next.
    let leased = surroundings.lease().is_some().then(|| answer.clone());
    let code = surroundings.common.code;
    let answered = reference::answer(fiber, code, surroundings, answer);
    if answered.is_err()
        && let Some(answer) = leased.filter(|_| fiber.state() == State::Waiting)
    {
        surroundings.body.rare_mut().undelivered = Some(answer);
    }
    answered
}

impl Common<'_> {
    /// Runs a program for at most `slice` gas.
    #[inline(always)]
    fn run(
        &self,
        fiber: &mut Fiber,
        host: &mut Surroundings<'_>,
        profile: &mut Profile,
        slice: u64,
    ) -> Outcome {
        if self.upgrades.is_due(host.id, self.tick) {
            let slice_end = fiber.gas_used().saturating_add(slice);
            return self
                .upgrades
                .run_to_point(fiber, self.code, host, slice_end);
        }
        match self.way {
            Way::Reference => reference::run(fiber, self.code, host, slice),
            Way::Fast => interp::run(fiber, self.code, host, profile, slice),
        }
    }
}

/// The message that a waiting actor gets. It is there: nobody else takes from a mailbox.
fn take_message(fiber: &Fiber, body: &mut Body, taken: &mut Option<(Message, u8)>) -> Answered {
    let Some((message, priority)) = body.mailbox.take() else {
        unreachable!("the actor was woken for a message")
    };
    body.note_received(message.head());
    let supervision = body
        .rare
        .as_mut()
        .and_then(|rare| rare.supervision.as_mut());
    if let Some(supervision) = supervision.filter(|supervision| supervision.rewinds) {
        supervision.saved = Some(Box::new(Saved {
            fiber: fiber.clone(),
            message: message.clone(),
            children: Vec::new(),
        }));
    }
    let content = message.content.clone();
    *taken = Some((message, priority));
    Ok(content)
}

/// What the slice used decides about the next one: twice as much where all was used, no less than was used
/// otherwise. What it used beyond its end is to be paid.
fn settle(actor: &mut Actor, slice_end: u64, before: u64, settings: &WorldSettings) {
    let used_to = actor.fiber.gas_used();
    let body = &mut actor.body;
    body.debt += used_to.saturating_sub(slice_end);
    let used = used_to - before;
    let wanted = if matches!(body.status, Status::Ready) {
        u64::from(body.allowance).saturating_mul(2)
    } else {
        used
    };
    let allowance = wanted.clamp(settings.quantum_min, settings.quantum);
    body.allowance = u32::try_from(allowance).unwrap_or(u32::MAX);
}
