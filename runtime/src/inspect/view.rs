//! Actors as they stand.

use std::collections::BTreeMap;

use pw_jit::failure::Place;
use pw_jit::fiber::arena::Arena;
use pw_jit::heap::Heap;
use pw_jit::text::{Style, value_text_within};
use pw_jit::{CodeSpace, Fiber};

use super::{Suspension, VALUE_TEXT_MAX};
use crate::World;
use crate::actor::{Actor, ActorId, ActorRef, Status, Wait};
use crate::capability::Holding;

/// What an actor is doing between two ticks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Doing {
    /// It waits for its turn.
    Ready,
    /// It was stopped, and goes on when somebody says so.
    Suspended(Suspension),
    /// It waits for a message.
    WaitsForMessage,
    /// It waits for the reply to a request.
    WaitsForReply {
        /// Whom it asked.
        to: ActorId,
    },
    /// It waits for a decision about a capability, or for the number of a child.
    WaitsForDecision,
    /// It waits for a function of the embedder.
    WaitsForHost {
        /// The capability that the call needs.
        capability: Option<String>,
    },
    /// It waits until what it used beyond its slices is paid.
    PaysDebt,
    /// It waits for room in the mailbox of another.
    WaitsForRoom {
        /// Whose mailbox is full.
        to: ActorId,
        /// Messages of it that wait.
        messages: u64,
    },
    /// It has ended, and messages of it wait for room.
    EndedUndelivered {
        /// How many.
        messages: u64,
    },
}

impl std::fmt::Display for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Doing::Ready => write!(f, "ready"),
            Doing::Suspended(why) => write!(f, "suspended: {why}"),
            Doing::WaitsForMessage => write!(f, "waits for a message"),
            Doing::WaitsForReply { to } => write!(f, "waits for a reply of {to}"),
            Doing::WaitsForDecision => write!(f, "waits for a decision"),
            Doing::WaitsForHost { .. } => write!(f, "waits for a host call"),
            Doing::PaysDebt => write!(f, "pays debt"),
            Doing::WaitsForRoom { to, messages } => {
                write!(f, "waits for room at {to}: {messages} messages")
            }
            Doing::EndedUndelivered { messages } => {
                write!(f, "ended, {messages} messages undelivered")
            }
        }
    }
}

/// A capability that an actor holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeldCapability {
    /// Its name.
    pub name: String,
    /// Its parameter as text.
    pub parameter: Option<String>,
    /// Uses that are left, if they are limited.
    pub budget: Option<u64>,
    /// The world time at which it ends, if it does.
    pub expires_ms: Option<u64>,
}

/// An actor as it stands between two ticks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActorView {
    /// Its address.
    pub id: ActorId,
    /// Who has started it; [`ActorId::OUTSIDE`] for the embedder.
    pub parent: ActorId,
    /// What it is doing.
    pub doing: Doing,
    /// Where it stands.
    pub place: Option<Place>,
    /// Messages in its mailbox.
    pub mailbox_messages: u64,
    /// Bytes of them.
    pub mailbox_bytes: u64,
    /// Logical bytes of its objects and its stack.
    pub memory_bytes: u64,
    /// Bytes of memory that its stack and its objects take; none while it hibernates.
    pub held_bytes: u64,
    /// Gas that it has used.
    pub gas: u64,
    /// Gas beyond its slices that it still has to pay.
    pub debt: u64,
    /// Its priority, with what is left of its boost.
    pub priority: u8,
    /// What it may do.
    pub capabilities: Vec<HeldCapability>,
    /// The actors that it has started and that live.
    pub children: Vec<ActorId>,
}

impl World {
    /// All actors, by rising address. It takes time for each; nothing about the world changes.
    pub fn actors(&self) -> Vec<ActorView> {
        let actors = self.actors.iter();
        let mut views: Vec<ActorView> = actors
            .map(|actor| view(&actor, Vec::new(), self.code()))
            .collect();
        let mut children: BTreeMap<ActorId, Vec<ActorId>> = BTreeMap::new();
        for view in &views {
            children.entry(view.parent).or_default().push(view.id);
        }
        for view in &mut views {
            view.children = children.remove(&view.id).unwrap_or_default();
        }
        views
    }

    /// An actor; nothing when there is none.
    pub fn actor(&self, id: ActorId) -> Option<ActorView> {
        let actor = self.actors.get(id)?;
        let mut children = Vec::new();
        if actor.body.children > 0 {
            let all = self.actors.iter();
            let of_it = all.filter(|child| child.body.parent == id);
            children.extend(of_it.map(|child| child.id));
        }
        Some(view(&actor, children, self.code()))
    }
}

fn view(actor: &ActorRef<'_>, children: Vec<ActorId>, code: &CodeSpace) -> ActorView {
    let Actor { id, fiber, body } = &**actor;
    let queue = body.mailbox.queue();
    ActorView {
        id: *id,
        parent: body.parent,
        doing: doing(actor),
        place: fiber.frames().next().map(|frame| Place::of(code, &frame)),
        mailbox_messages: queue.map_or(0, |queue| queue.len()),
        mailbox_bytes: queue.map_or(0, |queue| queue.bytes()),
        memory_bytes: memory_bytes(fiber, code),
        held_bytes: match actor {
            ActorRef::Here(_) => fiber.held_bytes(),
            ActorRef::Copy(_) => 0,
        },
        gas: fiber.gas_used(),
        debt: body.debt,
        priority: body.effective_priority(),
        capabilities: body
            .holdings
            .iter()
            .map(|holding| held(holding, code))
            .collect(),
        children,
    }
}

/// Logical bytes of a fiber's objects and its stack.
pub(crate) fn memory_bytes(fiber: &Fiber, code: &CodeSpace) -> u64 {
    let counters = fiber.arena().counters();
    counters.live + counters.allocated + fiber.stack_bytes(code)
}

fn doing(actor: &Actor) -> Doing {
    let body = &actor.body;
    let outgoing = body.rare.as_ref().map(|rare| &rare.outgoing);
    let first = outgoing.and_then(|outgoing| outgoing.front());
    let messages = outgoing.map_or(0, |outgoing| outgoing.len() as u64);
    match (&body.status, body.suspension(), first) {
        (Status::Ended(_), ..) => Doing::EndedUndelivered { messages },
        (_, Some(why), _) => Doing::Suspended(why.clone()),
        (_, None, Some(first)) => Doing::WaitsForRoom {
            to: first.to,
            messages,
        },
        (Status::Ready | Status::Due(_), ..) => Doing::Ready,
        (Status::Waits(wait), ..) => match wait {
            Wait::Message => Doing::WaitsForMessage,
            Wait::Reply { to } => Doing::WaitsForReply { to: *to },
            Wait::Boundary => Doing::WaitsForDecision,
            Wait::Host { request } => Doing::WaitsForHost {
                capability: request.capability.clone(),
            },
            Wait::Debt(_) => Doing::PaysDebt,
        },
    }
}

fn held(holding: &Holding, code: &CodeSpace) -> HeldCapability {
    let parameter = holding.capability.parameter.as_ref();
    HeldCapability {
        name: holding.capability.name.clone(),
        parameter: parameter.map(|parameter| {
            let mut arena = Arena::new();
            let value = parameter.unpack(code, &mut arena);
            let heap = Heap {
                arena: &arena,
                code,
            };
            value_text_within(heap, value, Style::Quoted, VALUE_TEXT_MAX)
        }),
        budget: holding.budget,
        expires_ms: holding.expires_ms,
    }
}
