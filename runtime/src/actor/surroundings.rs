//! What an actor asks of its surroundings while it runs.
//!
//! What concerns the actor alone is done at once. What concerns others becomes a deed for the boundary. Nothing
//! here can see another actor.

use pw_isa::ErrorKind;
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::fiber::start::Start;
use pw_jit::heap::Heap;
use pw_jit::host::{Answer, Effect, Host};
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Value};

use super::slice::Common;
use super::{Actor, ActorId, Body, CapabilityDeed, Deed, Due, Gift, Status, Supervision, Wait};
use crate::capability::{Holdings, SYS_CREATE_ACTOR, SYS_TERMINATE_ACTOR};
use crate::host::Called;
use crate::message::{Full, Message, Overflow, PRIORITY_DEFAULT, RequestId};

/// One actor's surroundings in its slice.
pub(super) struct Surroundings<'a> {
    pub(super) id: ActorId,
    pub(super) body: &'a mut Body,
    pub(super) common: Common<'a>,
    pub(super) deeds: &'a mut Vec<Deed>,
}

fn truth(value: bool) -> Answer {
    Answer::Done(Parcel::Plain(Value::bool(value)))
}

fn address(actor: ActorId) -> Parcel {
    Parcel::Plain(Value::actor(actor.0))
}

impl Body {
    /// Takes note of a message that the program gets now.
    pub(super) fn note_received(&mut self, message: &Message) {
        self.sender = (message.from != ActorId::OUTSIDE).then_some(message.from);
        if let Some(request) = message.request {
            self.rare_mut().question = Some((message.from, request));
        } else if let Some(rare) = &mut self.rare {
            rare.question = None;
        }
    }
}

impl Surroundings<'_> {
    fn done(&mut self, deed: Deed) -> Answer {
        self.deeds.push(deed);
        Answer::NIL
    }

    fn send(&mut self, to: ActorId, content: Parcel, priority: u8) -> Answer {
        if to == self.id {
            return self.send_to_self(content, priority);
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
        let rules = self.body.rules(self.common.settings);
        let mailbox = &mut self.body.mailbox;
        let mut room = mailbox.room(&message, rules, self.common.settings);
        if room.is_err() && rules.overflow == Overflow::DropOldest {
            mailbox.drop_oldest();
            room = mailbox.room(&message, rules, self.common.settings);
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
            self.body.note_received(&message);
            let content = message.content.clone();
            if matches!(content, Parcel::Graph(_)) {
                self.body.rare_mut().taken = Some((message, priority));
            }
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
        self.deeds.push(Deed::Capability { wait, deed });
        Answer::Pending
    }

    /// Uses a capability once, or says that the actor does not hold it.
    fn need(&mut self, name: &str, what: &str) -> Result<(), Answer> {
        if self.body.holdings.use_once(name, self.common.now_ms) {
            return Ok(());
        }
        Err(Answer::Refused {
            kind: ErrorKind::CapabilityDenied,
            message: format!("{what} needs the capability {name}"),
        })
    }

    fn spawn(&mut self, start: Start) -> Answer {
        if let Err(refused) = self.need(SYS_CREATE_ACTOR, "spawn") {
            return refused;
        }
        let Some(id) = self.body.lease.take() else {
            self.body.wait(Wait::Boundary);
            self.deeds.push(Deed::SpawnLater(Box::new(start)));
            return Answer::Pending;
        };
        let holdings = self.body.holdings.inherited();
        let child = new_actor(id, (self.id, self.body.tenant), holdings, &start, self.common);
        self.deeds.push(Deed::Spawn(Box::new(child)));
        Answer::Done(address(id))
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
        self.deeds.push(Deed::Supervise(Box::new(supervision)));
        Answer::Pending
    }

    fn request(&mut self, to: ActorId, content: Parcel, timeout_ms: Option<u64>) -> Answer {
        if to == self.id && timeout_ms.is_none() {
            return Answer::error("an actor that waits for its own reply waits for ever");
        }
        let request = RequestId(self.body.wait(Wait::Reply { to }));
        self.deeds.push(Deed::Request {
            to,
            content,
            request,
            timeout_ms,
        });
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
        let mut arena = Arena::new();
        let list = options.unpack(code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code,
        };
        let parts: Vec<Value> = heap.list(list).flatten().collect();
        let mut rules = self.body.rules(self.common.settings);
        for pair in parts.chunks(2) {
            let key = heap.symbol(pair[0]).unwrap_or("");
            let value = pair.get(1).copied().unwrap_or(Value::NIL);
            match (key, value.as_int(), heap.symbol(value)) {
                (":limit", Some(limit), _) if limit >= 0 => rules.messages_max = limit as u64,
                (":policy", _, Some("drop-oldest")) => rules.overflow = Overflow::DropOldest,
                (":policy", _, Some("refuse")) => rules.overflow = Overflow::Refuse,
                (":policy", _, Some("wait")) => rules.overflow = Overflow::Wait,
                _ => {
                    let text = value_text(heap, list, Style::Quoted);
                    return Answer::error(format!(
                        "set-mailbox! does not know these options: {text}"
                    ));
                }
            }
        }
        self.body.rare_mut().rules = Some(rules);
        Answer::NIL
    }

    fn kill(&mut self, actor: ActorId) -> Answer {
        if actor == self.id {
            return Answer::error("an actor ends itself with exit");
        }
        let may_all = self.body.holdings.holds_plain(SYS_TERMINATE_ACTOR, self.common.now_ms);
        self.done(Deed::Kill { actor, may_all })
    }
}

/// A child that has its number.
pub(crate) fn new_actor(
    id: ActorId,
    (parent, tenant): (ActorId, u32),
    holdings: Holdings,
    start: &Start,
    common: Common<'_>,
) -> Actor {
    let settings = common.settings;
    let allowance = u32::try_from(settings.quantum_min).unwrap_or(u32::MAX);
    Actor {
        id,
        fiber: Fiber::starting(common.code, start, settings.limits()),
        body: Body::new(parent, tenant, allowance, holdings),
    }
}

impl Host for Surroundings<'_> {
    fn take_back(&mut self, _: Parcel) {
        let taken = self.body.rare.as_mut().and_then(|rare| rare.taken.take());
        if let Some((message, priority)) = taken {
            self.body.mailbox.put_back(message, priority);
        }
    }

    fn effect(&mut self, code: &CodeSpace, effect: Effect) -> Answer {
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
            Effect::Sender => Answer::Done(self.body.sender.map_or(Parcel::Plain(Value::NIL), address)),
            Effect::Request {
                to,
                value,
                timeout_ms,
            } => self.request(ActorId(to), value, timeout_ms),
            Effect::Reply { value } => self.reply(value),
            Effect::Broadcast { actors, value } => {
                for actor in actors {
                    let sent = self.send(ActorId(actor), value.clone(), PRIORITY_DEFAULT);
                    if let refused @ Answer::Refused { .. } = sent {
                        return refused;
                    }
                }
                Answer::NIL
            }
            Effect::Subscribe { topic } => self.done(Deed::Subscribe(topic)),
            Effect::Unsubscribe { topic } => self.done(Deed::Unsubscribe(topic)),
            Effect::Publish { topic, value } => self.done(Deed::Publish {
                topic,
                content: value,
            }),
            Effect::HasCapability { capability } => {
                truth(self.body.holdings.holds(&capability, self.common.now_ms))
            }
            Effect::RequestCapability { capability, .. }
                if self.body.holdings.holds(&capability, self.common.now_ms) =>
            {
                truth(true)
            }
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
            Effect::SandboxOpen { .. } | Effect::SandboxClose => {
                Answer::error("sandboxes are not there yet")
            }
        }
    }
}

impl Surroundings<'_> {
    fn host_call(&mut self, code: &CodeSpace, name: String, arguments: Vec<Parcel>) -> Answer {
        let Some(function) = self.common.hosts.get(&name) else {
            let known: Vec<&str> = self.common.hosts.names().collect();
            let known = known.join(", ");
            return Answer::error(format!(
                "there is no host function `{name}`; there is {known}"
            ));
        };
        let (function, name) = (function.clone(), name.as_str());
        if let Some(capability) = function.capability()
            && let Err(refused) = self.need(capability, name)
        {
            return refused;
        }
        match function.called(code, arguments) {
            Called::Done(Ok(value)) => Answer::Done(value),
            Called::Done(Err(error)) => Answer::Refused {
                kind: error.kind,
                message: error.message,
            },
            Called::Output(call) => self.done(Deed::Host(call)),
            Called::Outside(mut call) => {
                let capability = function.capability().map(str::to_owned);
                call.wait = Some(self.body.wait(Wait::Host { capability }));
                self.deeds.push(Deed::Host(call));
                Answer::Pending
            }
        }
    }
}
