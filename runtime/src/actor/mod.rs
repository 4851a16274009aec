//! One actor: a fiber, its mailbox, and what it waits for.

mod deed;
mod end;
mod hibernation;
mod id;
mod slice;
mod state;
mod supervision;
mod surroundings;
mod table;

use std::collections::{BTreeSet, VecDeque};

use pw_isa::ErrorKind;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::Open;
use pw_jit::{Fiber, Limits, Value};

use crate::WorldSettings;
use crate::capability::Holdings;
use crate::host::HostRequest;
use crate::inspect::{Inspection, Suspension};
use crate::message::{Mailbox, MailboxRules, Message, RequestId};
use crate::quota::{Lease, MEMORY_LEASED, PoolId};
pub(crate) use deed::{Act, CapabilityDeed, Deed, Deeds, Gift};
pub use end::{End, EndReason, Quarantined};
pub(crate) use end::{notice, symbol};
pub(crate) use hibernation::Dormitory;
pub use id::ActorId;
pub(crate) use id::Lease as IdLease;
pub(crate) use slice::{Common, Outbox, Way, run_slice};
pub(crate) use supervision::{Saved, Supervision};
pub(crate) use surroundings::new_actor;
pub(crate) use table::{ActorRef, ActorTable};

/// An actor. Boxed: workers pass it on without copying it.
#[derive(Debug)]
pub(crate) struct Actor {
    pub(crate) id: ActorId,
    pub(crate) fiber: Fiber,
    pub(crate) body: Body,
}

impl Actor {
    /// Forgets what it was, but for memory that another can take over.
    pub(crate) fn clear(&mut self) {
        self.fiber.clear();
        self.body.mailbox = Mailbox::default();
        self.body.holdings = Holdings::default();
        self.body.ids = None;
        self.body.rare = None;
    }
}

/// Beyond so many doublings a lease is as large as any pool.
const MEMORY_DOUBLINGS_MAX: u32 = 47;

/// What an actor is besides its computation.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) parent: ActorId,
    /// The subtree that it shares time with.
    pub(crate) tenant: u32,
    pub(crate) status: Status,
    /// Whether it has its place among those that can run.
    pub(crate) is_queued: bool,
    /// Since when it has not changed, for captures.
    pub(crate) mark: u32,
    /// What its turns depend on where the policy looks at it; 255 is the highest.
    pub(crate) priority: u8,
    pub(crate) mailbox: Mailbox,
    /// Gas that its next slice may use.
    pub(crate) allowance: u32,
    /// Waits so far: an answer to an earlier one comes too late.
    pub(crate) waits: u64,
    /// Gas beyond its slices that is still to be paid.
    pub(crate) debt: u64,
    /// The sender of the message last received; [`ActorId::OUTSIDE`] for none.
    pub(crate) sender: ActorId,
    /// What its subtree may use.
    pub(crate) pool: PoolId,
    /// Children that live, or have ended and left children of their own.
    pub(crate) children: u32,
    /// What it may do.
    pub(crate) holdings: Holdings,
    /// Numbers for its children, of those that have some.
    pub(crate) ids: Option<Box<IdLease>>,
    /// What most actors do not have.
    pub(crate) rare: Option<Box<Rare>>,
}

/// What most actors do not have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// The request last received, until it is answered.
    pub(crate) question: Option<(ActorId, RequestId)>,
    /// Requests that it has received or will receive, and has not answered: who asked.
    pub(crate) askers: BTreeSet<(ActorId, RequestId)>,
    /// Rules of its mailbox that it has chosen.
    pub(crate) rules: Option<MailboxRules>,
    /// Who is told of its end.
    pub(crate) monitors: BTreeSet<ActorId>,
    /// Whose end it shares.
    pub(crate) links: BTreeSet<ActorId>,
    /// The timer of its wait.
    pub(crate) timer: Option<TimerKey>,
    /// The timer of its wait for room.
    pub(crate) park_timer: Option<TimerKey>,
    /// Whose events it wants.
    pub(crate) topics: BTreeSet<String>,
    /// What is added to its priority; each turn takes one away.
    pub(crate) boost: u32,
    /// Whether ends of linked actors arrive as messages.
    pub(crate) traps_exits: bool,
    /// What its supervisor wants.
    pub(crate) supervision: Option<Box<Supervision>>,
    /// The actors that it supervises.
    pub(crate) supervised: Vec<ActorId>,
    /// Messages that found no room and wait for it; while there are any, the actor does not run.
    pub(crate) outgoing: VecDeque<Outgoing>,
    /// How often it has begun to wait for room.
    pub(crate) parks: u64,
    /// Actors with messages for this one that found no room, in the order in which they came.
    pub(crate) waiting_senders: VecDeque<ActorId>,
    /// What is attached to it by who looks at it.
    pub(crate) inspection: Option<Box<Inspection>>,
    /// What it may use in the turn that it has.
    pub(crate) lease: Option<QuotaLease>,
    /// What the boundary has found used up for good, to be told to the program.
    pub(crate) refused_by_quota: Option<QuotaKind>,
    /// The answer that did not fit in the memory leased for its turn, up to the boundary.
    pub(crate) undelivered: Option<Answered>,
    /// Logical bytes that its pools count it with.
    pub(crate) counted_bytes: u64,
    /// Times that the memory leased for a turn did not suffice.
    pub(crate) memory_doublings: u32,
}

/// Where an actor belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    pub(crate) parent: ActorId,
    pub(crate) tenant: u32,
    pub(crate) pool: PoolId,
    pub(crate) priority: u8,
}

/// What can be used up for good and is told to programs as an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum QuotaKind {
    /// Actors that live at the same time.
    Children = 1,
    /// Calls of the embedder's functions.
    HostCalls = 2,
}

impl QuotaKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            QuotaKind::Children => "children",
            QuotaKind::HostCalls => "host calls",
        }
    }
}

/// What an actor of a pool may use in the turn that it has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaLease {
    pub(crate) lease: Lease,
    pub(crate) left: Lease,
    pub(crate) gas_before: u64,
    /// Its own limits, which are narrower in this turn.
    pub(crate) limits: Limits,
}

/// What names a timer: when it ends, and its number.
pub(crate) type TimerKey = (u64, u64);

/// A message that found no room.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) to: ActorId,
    pub(crate) message: Message,
    pub(crate) priority: u8,
}

/// What an actor is about to do.
#[derive(Debug)]
pub(crate) enum Status {
    /// It can run.
    Ready,
    /// It can run, and gets an answer first.
    Due(Due),
    /// It waits.
    Waits(Wait),
    /// It has ended.
    Ended(EndReason),
}

/// An answer that an actor gets when it runs.
#[derive(Debug)]
pub(crate) enum Due {
    /// The next message.
    Message,
    /// nil.
    Nil,
    /// This.
    Answer(Box<Answered>),
}

/// An answer: a value, or an error that the waiting instruction raises.
pub(crate) type Answered = Result<Parcel, (ErrorKind, String)>;

// Every actor has one, and most are parked: what is rare and large stands in a box.
const _: () = assert!(std::mem::size_of::<Status>() <= 24);

/// What an actor waits for.
#[derive(Debug)]
pub(crate) enum Wait {
    /// A message.
    Message,
    /// The reply to a request.
    Reply {
        /// Whom it asked.
        to: ActorId,
    },
    /// What the boundary decides about one of its deeds.
    Boundary,
    /// The answer of a function of the embedder.
    Host {
        /// What it asked.
        request: Box<HostRequest>,
    },
    /// Ticks, until what it used beyond its slice is paid.
    Debt(Box<Status>),
}

impl Body {
    /// An actor that has not run yet.
    pub(crate) fn new(family: Family, settings: &WorldSettings, holdings: Holdings) -> Body {
        let Family {
            parent,
            tenant,
            pool,
            priority,
        } = family;
        Body {
            parent,
            tenant,
            status: Status::Ready,
            is_queued: false,
            mark: 0,
            priority,
            mailbox: Mailbox::default(),
            allowance: u32::try_from(settings.quantum_min).unwrap_or(u32::MAX),
            waits: 0,
            debt: 0,
            sender: ActorId::OUTSIDE,
            pool,
            children: 0,
            holdings,
            ids: None,
            rare: None,
        }
    }

    /// Logical bytes that its pools count it with.
    pub(crate) fn counted_bytes(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.counted_bytes)
    }

    /// Logical bytes that it wants beyond those that it has, for one turn.
    pub(crate) fn memory_wanted(&self) -> u64 {
        let doublings = self.rare.as_ref().map_or(0, |rare| rare.memory_doublings);
        MEMORY_LEASED.checked_shl(doublings).unwrap_or(u64::MAX)
    }

    /// Whether it has just failed for want of memory.
    pub(crate) fn has_run_out_of_memory(&self) -> bool {
        match &self.status {
            Status::Ended(reason) => matches!(reason, EndReason::Failed(failure)
                if failure.kind == ErrorKind::MemoryLimitExceeded),
            _ => false,
        }
    }

    /// One that has failed for want of leased memory goes on where it stands, with twice as much.
    pub(crate) fn go_on_with_more_memory(&mut self) {
        let rare = self.rare_mut();
        rare.memory_doublings = (rare.memory_doublings + 1).min(MEMORY_DOUBLINGS_MAX);
        self.status = match rare.undelivered.take() {
            Some(answer) => Status::Due(Due::Answer(Box::new(answer))),
            None => Status::Ready,
        };
    }

    /// Whether it waits for room in another's mailbox.
    pub(crate) fn is_parked(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_some_and(|rare| !rare.outgoing.is_empty())
    }

    /// Whether a message for which there is room can just be put into its mailbox.
    pub(crate) fn is_open(&self) -> bool {
        let rare = self.rare.as_ref();
        rare.is_none_or(|rare| rare.timer.is_none() && rare.waiting_senders.is_empty())
    }

    /// Whether a message of this size fits in its mailbox.
    #[inline]
    pub(crate) fn has_room(&self, message_bytes: u64, usual: MailboxRules) -> bool {
        let rules = self.rules(usual);
        self.mailbox.room(message_bytes, rules).is_ok()
    }

    /// Why it is suspended, if it is.
    pub(crate) fn suspension(&self) -> Option<&Suspension> {
        self.rare.as_ref()?.inspection.as_ref()?.suspension()
    }

    /// Whether something else than its status keeps it from having turns.
    pub(crate) fn is_held_back(&self) -> bool {
        self.rare.is_some() && (self.is_parked() || self.suspension().is_some())
    }

    /// Whether it goes back to before a message that it fails on.
    pub(crate) fn rewinds(&self) -> bool {
        let supervision = self
            .rare
            .as_ref()
            .and_then(|rare| rare.supervision.as_ref());
        supervision.is_some_and(|supervision| supervision.rewinds)
    }

    /// Where a child of this actor belongs.
    pub(crate) fn family_of(&self, id: ActorId) -> Family {
        Family {
            parent: id,
            tenant: self.tenant,
            pool: self.pool,
            priority: self.priority,
        }
    }

    /// What is left of its boost.
    pub(crate) fn boost(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.boost)
    }

    /// Its priority with its boost.
    pub(crate) fn effective_priority(&self) -> u8 {
        let boost = u8::try_from(self.boost()).unwrap_or(u8::MAX);
        self.priority.saturating_add(boost)
    }

    /// It gives up its place among those that can run, for it has its turn.
    pub(crate) fn begin_turn(&mut self) {
        self.is_queued = false;
        if let Some(rare) = &mut self.rare {
            rare.boost = rare.boost.saturating_sub(1);
        }
    }

    /// What most actors do not have, made where it is missing.
    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The next wait begins; its number.
    pub(crate) fn wait(&mut self, wait: Wait) -> u64 {
        self.waits += 1;
        self.status = Status::Waits(wait);
        self.waits
    }

    /// The same of the wait for a message of an actor that runs.
    #[inline]
    fn wait_for_message(&mut self) {
        self.waits += 1;
        let before = std::mem::replace(&mut self.status, Status::Waits(Wait::Message));
        debug_assert!(matches!(before, Status::Ready), "it runs");
        // It owns nothing, and nobody needs to look whether it does.
        std::mem::forget(before);
    }

    /// Takes note of a message that the program gets now.
    #[inline]
    fn note_received(&mut self, (from, request): (ActorId, Option<RequestId>)) {
        self.sender = from;
        if let Some(request) = request {
            self.rare_mut().question = Some((from, request));
        } else if let Some(rare) = &mut self.rare {
            rare.question = None;
        }
    }

    /// Takes the next message if it is no request, and either a value without objects or one that can be opened.
    #[inline(never)]
    fn receive_now(&mut self, open: Open<'_>) -> Option<Value> {
        let (from, value) = self.mailbox.take_now(open)?;
        self.note_received((from, None));
        Some(value)
    }

    /// The message that the program was about to get goes back: it has none at hand.
    fn forget_received(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.question = None;
            if let Some(supervision) = &mut rare.supervision {
                supervision.saved = None;
            }
        }
    }

    /// Whether it waits for the reply to this request.
    pub(crate) fn awaits_reply(&self, request: RequestId) -> bool {
        self.waits == request.0 && matches!(self.status, Status::Waits(Wait::Reply { .. }))
    }

    /// The rules of its mailbox.
    pub(crate) fn rules(&self, usual: MailboxRules) -> MailboxRules {
        let chosen = self.rare.as_ref().and_then(|rare| rare.rules);
        chosen.unwrap_or(usual)
    }
}
