//! What an actor asks of its surroundings while it runs.
//!
//! What concerns the actor alone is done at once. What concerns others becomes a deed for the boundary. Nothing
//! here can see another actor.

use pw_isa::ErrorKind;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::fiber::start::Start;
use pw_jit::host::{Answer, CapabilityName, Effect, Host, Kept, Open, Pack};
use pw_jit::{CodeSpace, Fiber, Value};

use super::slice::{Common, Spare};
use super::{
    Actor, ActorId, Body, CapabilityDeed, Deed, Deeds, Due, Family, Gift, QuotaKind, QuotaLease,
    Status, Supervision, Wait,
};
use crate::capability::{Holdings, SYS_CREATE_ACTOR, SYS_TERMINATE_ACTOR};
use crate::host::Called;
use crate::message::{Full, Message, Overflow, PRIORITY_DEFAULT, RequestId};

/// One actor's surroundings in its slice.
pub(super) struct Surroundings<'a> {
    pub(super) id: ActorId,
    pub(super) body: &'a mut Body,
    pub(super) common: &'a Common<'a>,
    pub(super) deeds: &'a mut Deeds,
    /// Actors that have ended, whose memory new ones take over.
    pub(super) spare: &'a mut Spare,
    /// What the sandbox keeps in which the program asks.
    pub(super) kept: Option<Kept>,
    /// What was taken out of the mailbox last, to be put back if it cannot be delivered.
    pub(super) taken: Option<(Message, u8)>,
}

fn truth(value: bool) -> Answer {
    Answer::Done(Parcel::Plain(Value::bool(value)))
}

fn lacking(capability: &str, what: &str) -> Answer {
    Answer::Refused {
        kind: ErrorKind::CapabilityDenied,
        message: format!("{what} needs the capability {capability}"),
    }
}

fn address(actor: ActorId) -> Parcel {
    Parcel::Plain(Value::actor(actor.0))
}

impl Surroundings<'_> {
    fn done(&mut self, deed: Deed) -> Answer {
        self.deeds.push(deed);
        Answer::NIL
    }

    fn sender(&self) -> Answer {
        match self.body.sender {
            ActorId::OUTSIDE => Answer::NIL,
            sender => Answer::Done(address(sender)),
        }
    }

    fn send(&mut self, to: ActorId, content: Parcel, priority: u8) -> Answer {
        if to == self.id {
            return self.send_to_self(content, priority);
        }
        if let Err(again) = self.count_messages(1) {
            return again;
        }
        self.done(Deed::Send {
            to,
            content,
            priority,
        })
    }

    /// A message to oneself is there at once; one that does not fit is an error, for nobody would take it.
    fn send_to_self(&mut self, content: Parcel, priority: u8) -> Answer {
        let message = Message {
            from: self.id,
            content,
            request: None,
        };
        let rules = self.body.rules(self.common.settings.mailbox_rules());
        let mailbox = &mut self.body.mailbox;
        let mut room = mailbox.room(message.size_bytes(), rules);
        if room.is_err() && rules.overflow == Overflow::DropOldest {
            mailbox.drop_oldest();
            room = mailbox.room(message.size_bytes(), rules);
        }
        match room {
            Ok(()) => {
                mailbox.put(message, priority);
                Answer::NIL
            }
            Err(full) => {
                let limit = match full {
                    Full::Messages(messages) => format!("{messages} messages"),
                    Full::Bytes(bytes) => format!("{bytes} bytes"),
                };
                Answer::Refused {
                    kind: ErrorKind::MailboxFull,
                    message: format!("the mailbox holds its limit of {limit}"),
                }
            }
        }
    }

    fn receive(&mut self, timeout_ms: Option<u64>) -> Answer {
        // One that may have to go back is copied before each message: it waits, and is answered at once.
        if self.body.rewinds() && !self.body.mailbox.is_empty() {
            self.body.wait(Wait::Message);
            return Answer::Pending;
        }
        if let Some((message, priority)) = self.body.mailbox.take() {
            self.body.note_received(message.head());
            let content = message.content.clone();
            self.taken = Some((message, priority));
            return Answer::Done(content);
        }
        match timeout_ms {
            Some(0) => Answer::NIL,
            Some(timeout_ms) => {
                let wait = self.body.wait(Wait::Message);
                self.deeds.push(Deed::Timer { timeout_ms, wait });
                Answer::Pending
            }
            None => {
                self.body.wait(Wait::Message);
                Answer::Pending
            }
        }
    }

    fn receive_all(&mut self, code: &CodeSpace) -> Answer {
        let messages: Vec<Parcel> = std::iter::from_fn(|| self.body.mailbox.take())
            .map(|(message, _)| message.content)
            .collect();
        Answer::Done(Parcel::list(code, &messages))
    }

    fn capability(&mut self, deed: CapabilityDeed) -> Answer {
        let wait = self.body.wait(Wait::Boundary);
        let kept = self.kept.clone().map(Box::new);
        let deed = Box::new(deed);
        self.deeds.push(Deed::Capability { wait, deed, kept });
        Answer::Pending
    }

    /// Whether the program can use a capability where it is.
    fn holds(&self, capability: &CapabilityName) -> bool {
        Kept::allows(self.kept.as_ref(), capability)
            && self.body.holdings.holds(capability, self.common.now_ms)
    }

    /// The same of one without a parameter.
    fn holds_plain(&self, name: &str) -> bool {
        Kept::allows_plain(self.kept.as_ref(), name)
            && self.body.holdings.holds_plain(name, self.common.now_ms)
    }

    /// Uses a capability once, or says that the program cannot.
    fn need(&mut self, name: &str, what: &str) -> Result<(), Answer> {
        if self.holds_plain(name) && self.body.holdings.use_once(name, self.common.now_ms) {
            return Ok(());
        }
        Err(lacking(name, what))
    }

    /// What is left of what the actor may use in this turn, if its subtree has a quota.
    pub(super) fn lease(&mut self) -> Option<&mut QuotaLease> {
        self.body.rare.as_mut()?.lease.as_mut()
    }

    /// Something is used up: for this turn, or for good if the boundary has said so.
    fn again(&mut self, kind: QuotaKind) -> Answer {
        let rare = self.body.rare_mut();
        if rare.refused_by_quota == Some(kind) {
            rare.refused_by_quota = None;
            return Answer::Refused {
                kind: ErrorKind::QuotaExceeded,
                message: format!("the subtree has used up its quota of {}", kind.name()),
            };
        }
        Answer::Again
    }

    /// Counts messages that the actor sends; when there are no more in this tick, it goes on in the next one.
    fn count_messages(&mut self, count: u64) -> Result<(), Answer> {
        let Some(lease) = self.lease() else {
            return Ok(());
        };
        match lease.left.messages.checked_sub(count) {
            Some(left) => {
                lease.left.messages = left;
                Ok(())
            }
            // More at once than a turn ever has: they go when nothing else was sent before.
            None if lease.left.messages == lease.lease.messages && count > 1 => {
                lease.left.messages = 0;
                Ok(())
            }
            None => Err(Answer::Again),
        }
    }

    fn spawn(&mut self, start: Start) -> Answer {
        if !self.holds_plain(SYS_CREATE_ACTOR) {
            return lacking(SYS_CREATE_ACTOR, "spawn");
        }
        if let Some(lease) = self.lease() {
            let Some(left) = lease.left.children.checked_sub(1) else {
                self.deeds.push(Deed::WantsRoomForChild);
                return self.again(QuotaKind::Children);
            };
            lease.left.children = left;
        }
        let Some(id) = self.body.ids.as_mut().and_then(|ids| ids.take()) else {
            self.deeds.push(Deed::WantsIds);
            return Answer::Again;
        };
        self.begin_child(id, &start);
        Answer::Done(address(id))
    }

    /// A child begins that has its number.
    fn begin_child(&mut self, id: ActorId, start: &Start) {
        let body = &mut *self.body;
        body.holdings.use_once(SYS_CREATE_ACTOR, self.common.now_ms);
        let holdings = body.holdings.inherited(self.kept.as_ref());
        let family = body.family_of(self.id);
        let child = match self.spare.pop() {
            Some(mut child) => {
                child.start_over(id, family, holdings, start, self.common);
                child
            }
            None => Box::new(new_actor(id, family, holdings, start, self.common)),
        };
        self.deeds.push(Deed::Spawn(child));
    }

    fn subscribe(&mut self, topic: String) -> Answer {
        let topics_max = self.common.settings.topics_max;
        let rare = self.body.rare.as_ref();
        if rare.is_some_and(|rare| rare.topics.len() >= topics_max && !rare.topics.contains(&topic))
        {
            return Answer::Refused {
                kind: ErrorKind::QuotaExceeded,
                message: format!("an actor subscribes to at most {topics_max} topics"),
            };
        }
        self.done(Deed::Subscribe(topic))
    }

    fn supervise(&mut self, code: &CodeSpace, start: Start, options: &Parcel) -> Answer {
        let supervision = match Supervision::new(code, start, options) {
            Ok(supervision) => supervision,
            Err(message) => return Answer::error(message),
        };
        if let Err(refused) = self.need(SYS_CREATE_ACTOR, "supervise") {
            return refused;
        }
        self.body.wait(Wait::Boundary);
        self.deeds.push(Deed::Supervise {
            supervision: Box::new(supervision),
            kept: self.kept.clone().map(Box::new),
        });
        Answer::Pending
    }

    fn request(&mut self, to: ActorId, content: Parcel, timeout_ms: Option<u64>) -> Answer {
        if to == self.id && timeout_ms.is_none() {
            return Answer::error("an actor that waits for its own reply waits for ever");
        }
        if let Err(again) = self.count_messages(1) {
            return again;
        }
        let request = RequestId(self.body.wait(Wait::Reply { to }));
        self.deeds.push(Deed::Request {
            to,
            content,
            request,
        });
        if let Some(timeout_ms) = timeout_ms {
            let wait = request.0;
            self.deeds.push(Deed::Timer { timeout_ms, wait });
        }
        Answer::Pending
    }

    fn reply(&mut self, content: Parcel) -> Answer {
        let rare = self.body.rare.as_mut();
        let Some((to, request)) = rare.and_then(|rare| rare.question.take()) else {
            return Answer::error("there is no request to answer");
        };
        self.done(Deed::Reply {
            to,
            content,
            request,
        })
    }

    fn set_mailbox(&mut self, code: &CodeSpace, options: &Parcel) -> Answer {
        let rules = self.body.rules(self.common.settings.mailbox_rules());
        let rules = match rules.changed_by(code, options) {
            Ok(rules) => rules,
            Err(message) => return Answer::error(message),
        };
        self.body.rare_mut().rules = Some(rules);
        Answer::NIL
    }

    fn broadcast(&mut self, actors: &[u64], content: &Parcel) -> Answer {
        let others = actors.iter().filter(|actor| **actor != self.id.0).count();
        if let Err(again) = self.count_messages(others as u64) {
            return again;
        }
        for actor in actors {
            let to = ActorId(*actor);
            if to == self.id {
                let sent = self.send_to_self(content.clone(), PRIORITY_DEFAULT);
                if let refused @ Answer::Refused { .. } = sent {
                    return refused;
                }
                continue;
            }
            self.deeds.push(Deed::Send {
                to,
                content: content.clone(),
                priority: PRIORITY_DEFAULT,
            });
        }
        Answer::NIL
    }

    fn kill(&mut self, actor: ActorId) -> Answer {
        if actor == self.id {
            return Answer::error("an actor ends itself with exit");
        }
        let may_all = self.holds_plain(SYS_TERMINATE_ACTOR);
        self.done(Deed::Kill { actor, may_all })
    }
}

/// A child that has its number.
pub(crate) fn new_actor(
    id: ActorId,
    family: Family,
    holdings: Holdings,
    start: &Start,
    common: &Common<'_>,
) -> Actor {
    let settings = common.settings;
    let upgraded = common.upgrades.start(common.code, start);
    let start = upgraded.as_ref().unwrap_or(start);
    Actor {
        id,
        fiber: Fiber::starting(common.code, start, settings.limits()),
        body: Body::new(family, settings, holdings),
    }
}

impl Actor {
    /// Becomes a child that has its number, in the memory of an actor that has ended.
    fn start_over(
        &mut self,
        id: ActorId,
        family: Family,
        holdings: Holdings,
        start: &Start,
        common: &Common<'_>,
    ) {
        let settings = common.settings;
        let upgraded = common.upgrades.start(common.code, start);
        let start = upgraded.as_ref().unwrap_or(start);
        self.id = id;
        self.fiber.start_over(common.code, start, settings.limits());
        self.body = Body::new(family, settings, holdings);
    }
}

impl Host for Surroundings<'_> {
    fn actor(&self) -> Option<u64> {
        Some(self.id.0)
    }

    fn powers(&self) -> Option<u64> {
        self.body.holdings.number()
    }

    fn take_back(&mut self, _: Parcel) {
        if let Some((message, priority)) = self.taken.take() {
            self.body.forget_received();
            self.body.mailbox.put_back(message, priority);
        }
    }

    fn send_plain(&mut self, to: u64, value: Value, priority: u8) -> bool {
        if to == self.id.0 || self.lease().is_some() {
            return false;
        }
        self.deeds.send_plain(ActorId(to), value, priority);
        true
    }

    fn send_packed(&mut self, to: u64, priority: u8, pack: Pack<'_>) -> bool {
        if to == self.id.0 || self.lease().is_some() {
            return false;
        }
        let Some(content) = pack() else {
            return false;
        };
        self.deeds.push(Deed::Send {
            to: ActorId(to),
            content,
            priority,
        });
        true
    }

    fn receive_now(&mut self, open: Open<'_>) -> Option<Value> {
        // An actor finds its mailbox empty once in a turn.
        if self.body.mailbox.is_empty() || self.body.rewinds() {
            return None;
        }
        self.body.receive_now(open)
    }

    fn spawn_plain(&mut self, values: &[Value]) -> Option<u64> {
        // Whoever asks so is in no sandbox.
        self.kept = None;
        let holdings = &self.body.holdings;
        // Native code goes on with what it knows of them.
        let is_free = holdings.is_unlimited(SYS_CREATE_ACTOR, self.common.now_ms);
        if !is_free || self.lease().is_some() {
            return None;
        }
        let id = self.body.ids.as_mut()?.take()?;
        self.begin_child(id, &Start::plain(values));
        Some(id.0)
    }

    fn wait_for_message(&mut self) -> bool {
        let is_empty = self.body.mailbox.is_empty();
        if is_empty {
            self.body.wait_for_message();
        }
        is_empty
    }

    fn sender_plain(&self) -> Option<Value> {
        Some(match self.body.sender {
            ActorId::OUTSIDE => Value::NIL,
            sender => Value::actor(sender.0),
        })
    }

    fn self_plain(&self) -> Option<Value> {
        Some(Value::actor(self.id.0))
    }

    fn effect(&mut self, code: &CodeSpace, kept: Option<&Kept>, effect: Effect) -> Answer {
        if kept.is_some() || self.kept.is_some() {
            self.kept = kept.cloned();
        }
        if self.taken.is_some() {
            self.taken = None;
        }
        match effect {
            Effect::SelfId => Answer::Done(address(self.id)),
            Effect::Spawn { start } => self.spawn(start),
            Effect::Yield => {
                self.body.status = Status::Due(Due::Nil);
                Answer::Pending
            }
            Effect::Exit { .. } => Answer::NIL,
            Effect::Monitor { actor } => self.done(Deed::Monitor(ActorId(actor))),
            Effect::Link { actor } if actor == self.id.0 => Answer::NIL,
            Effect::Link { actor } => self.done(Deed::Link(ActorId(actor))),
            Effect::TrapExits { on } => {
                self.body.rare_mut().traps_exits = on;
                Answer::NIL
            }
            Effect::Kill { actor } => self.kill(ActorId(actor)),
            Effect::Supervise { start, options } => self.supervise(code, start, &options),
            Effect::SetMailbox { options } => self.set_mailbox(code, &options),
            Effect::Send {
                to,
                value,
                priority,
            } => self.send(ActorId(to), value, priority),
            Effect::Receive { timeout_ms } => self.receive(timeout_ms),
            Effect::ReceiveAll => self.receive_all(code),
            Effect::Sender => self.sender(),
            Effect::Request {
                to,
                value,
                timeout_ms,
            } => self.request(ActorId(to), value, timeout_ms),
            Effect::Reply { value } => self.reply(value),
            Effect::Broadcast { actors, value } => self.broadcast(&actors, &value),
            Effect::Subscribe { topic } => self.subscribe(topic),
            Effect::Unsubscribe { topic } => self.done(Deed::Unsubscribe(topic)),
            Effect::Publish { topic, value } => match self.count_messages(1) {
                Err(again) => again,
                Ok(()) => self.done(Deed::Publish {
                    topic: topic.into(),
                    content: value,
                }),
            },
            Effect::HasCapability { capability } => truth(self.holds(&capability)),
            Effect::RequestCapability { capability, .. } if self.holds(&capability) => truth(true),
            Effect::RequestCapability { capability, reason } => {
                self.capability(CapabilityDeed::Request { capability, reason })
            }
            Effect::GrantCapability { to, capability } => {
                self.capability(CapabilityDeed::Give(Gift {
                    to: ActorId(to),
                    capability,
                    budget: None,
                    expires_ms: None,
                    is_delegated: false,
                }))
            }
            Effect::DelegateCapability {
                to,
                capability,
                budget,
                expires_ms,
            } => self.capability(CapabilityDeed::Give(Gift {
                to: ActorId(to),
                capability,
                budget,
                expires_ms,
                is_delegated: true,
            })),
            Effect::RevokeCapability { to, capability } => {
                self.capability(CapabilityDeed::Revoke {
                    of: ActorId(to),
                    capability,
                })
            }
            Effect::VoteCapability { request, approve } => {
                self.capability(CapabilityDeed::Vote { request, approve })
            }
            Effect::HostCall { name, arguments } => self.host_call(code, name, arguments),
        }
    }
}

impl Surroundings<'_> {
    fn host_call(&mut self, code: &CodeSpace, name: String, arguments: Vec<Parcel>) -> Answer {
        let common = self.common;
        let Some(function) = common.hosts.get(&name) else {
            let known: Vec<&str> = common.hosts.names().collect();
            let known = known.join(", ");
            return Answer::error(format!(
                "there is no host function `{name}`; there is {known}"
            ));
        };
        if let Some(lease) = self.lease() {
            let Some(left) = lease.left.host_calls.checked_sub(1) else {
                self.deeds.push(Deed::WantsHostCalls);
                return self.again(QuotaKind::HostCalls);
            };
            lease.left.host_calls = left;
        }
        if let Some(capability) = function.capability()
            && let Err(refused) = self.need(capability, &name)
        {
            return refused;
        }
        match function.called(code, arguments) {
            Called::Done(Ok(value)) => Answer::Done(value),
            Called::Done(Err(error)) => Answer::Refused {
                kind: error.kind,
                message: error.message,
            },
            Called::Output(request) => self.done(Deed::Tell(Box::new(request))),
            Called::Outside(request) => {
                let request = Box::new(request);
                let wait = self.body.wait(Wait::Host { request });
                self.deeds.push(Deed::Ask { wait });
                Answer::Pending
            }
        }
    }
}
