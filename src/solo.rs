//! One actor by itself, with the surroundings that a command line gives it.
//!
//! It may print, knows its own address, and can send messages to itself. It holds `io-console` and
//! `sys-create-actor`. There is nobody else: starting an actor is refused, and waiting for a message
//! that nobody can send is an error. Time jumps when everything waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::io::Write;

use pw_isa::{ErrorKind, Kind};
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::host::{Answer, CapabilityName, Effect, Host, Kept, fresh_number};
use pw_jit::text::{Style, TEXT_MAX, value_text_within};
use pw_jit::{CodeSpace, Value};
use pw_runtime::message::{MailboxRules, Overflow};

/// The address of the only actor.
pub const ACTOR: u64 = 1;
/// The capabilities it holds.
pub const HELD: [&str; 2] = ["io-console", "sys-create-actor"];
/// Levels of priority, 0 the highest.
const PRIORITIES: usize = 8;
/// Messages that the mailbox holds unless `set-mailbox!` says otherwise.
const MAILBOX_MESSAGES: u64 = 65_536;
/// Bytes of messages that the mailbox holds.
const MAILBOX_BYTES: u64 = 16 << 20;
/// The longest text that `print` makes of a value, in bytes, for each byte of the value.
const PRINTED_BYTES_EACH: u64 = 64;
/// The longest text that `print` makes of any value, in bytes.
const PRINTED_BYTES: u64 = 4096;

/// A message with its sender.
type Letter = (Parcel, Option<u64>);

/// The surroundings of the only actor; prints to `out`.
pub struct Solo<W> {
    out: W,
    mailbox: [VecDeque<Letter>; PRIORITIES],
    rules: MailboxRules,
    mailbox_bytes: u64,
    /// What the last effect took out of the mailbox, by level: it goes back if it cannot be delivered.
    taken: Vec<(usize, Letter)>,
    held: BTreeSet<String>,
    topics: BTreeSet<String>,
    sender: Option<u64>,
    powers: u64,
}

impl<W: Write> Solo<W> {
    /// Surroundings that print to `out`.
    pub fn new(out: W) -> Solo<W> {
        Solo {
            out,
            mailbox: Default::default(),
            rules: MailboxRules {
                messages_max: MAILBOX_MESSAGES,
                bytes_max: MAILBOX_BYTES,
                overflow: Overflow::Refuse,
            },
            mailbox_bytes: 0,
            taken: Vec::new(),
            held: HELD.into_iter().map(str::to_owned).collect(),
            topics: BTreeSet::new(),
            sender: None,
            powers: fresh_number(),
        }
    }

    /// Where the actor prints.
    pub fn into_output(self) -> W {
        self.out
    }

    fn holds(&self, kept: Option<&Kept>, capability: &CapabilityName) -> bool {
        capability.parameter.is_none()
            && self.held.contains(&capability.name)
            && Kept::allows(kept, capability)
    }

    fn revoke(&mut self, kept: Option<&Kept>, capability: &CapabilityName) -> bool {
        let revoked = self.holds(kept, capability) && self.held.remove(&capability.name);
        if revoked {
            self.powers = fresh_number();
        }
        revoked
    }

    fn put(&mut self, level: usize, letter: Letter) {
        self.mailbox_bytes += letter.0.size_bytes();
        self.mailbox[level].push_back(letter);
    }

    fn take(&mut self, level: usize) -> Option<Letter> {
        let letter = self.mailbox[level].pop_front()?;
        self.mailbox_bytes -= letter.0.size_bytes();
        Some(letter)
    }

    /// The oldest message of the highest level that has one.
    fn take_next(&mut self) -> Option<Letter> {
        let level = self.mailbox.iter().position(|queue| !queue.is_empty())?;
        let letter = self.take(level)?;
        self.taken.push((level, letter.clone()));
        Some(letter)
    }

    fn send_to_self(&mut self, value: Parcel, priority: u8) -> Answer {
        let queued: usize = self.mailbox.iter().map(VecDeque::len).sum();
        if queued as u64 >= self.rules.messages_max {
            let lowest = self.mailbox.iter().rposition(|queue| !queue.is_empty());
            match lowest {
                Some(level) if self.rules.overflow == Overflow::DropOldest => {
                    self.take(level);
                }
                _ => return full(format!("{} messages", self.rules.messages_max)),
            }
        }
        if self.mailbox_bytes + value.size_bytes() > self.rules.bytes_max {
            return full(format!("{} bytes", self.rules.bytes_max));
        }
        self.put(usize::from(priority), (value, Some(ACTOR)));
        Answer::NIL
    }

    fn send(&mut self, to: u64, value: Parcel, priority: u8) -> Answer {
        // A message to nobody is a dead letter, not an error.
        if to == ACTOR {
            self.send_to_self(value, priority)
        } else {
            Answer::NIL
        }
    }

    fn receive(&mut self, timeout_ms: Option<u64>) -> Answer {
        match self.take_next() {
            Some((value, sender)) => {
                self.sender = sender;
                Answer::Done(value)
            }
            None if timeout_ms.is_some() => Answer::NIL,
            None => {
                Answer::error("it waits for a message, but there is no other actor to send one")
            }
        }
    }

    fn host_call(
        &mut self,
        code: &CodeSpace,
        kept: Option<&Kept>,
        name: &str,
        arguments: &[Parcel],
    ) -> Answer {
        if name != "print" {
            return Answer::error(format!(
                "there is no host function `{name}`; there is `print`"
            ));
        }
        if !self.holds(kept, &CapabilityName::plain("io-console")) {
            return Answer::Refused {
                kind: ErrorKind::CapabilityDenied,
                message: "print needs the capability io-console".to_owned(),
            };
        }
        let texts: Vec<String> = arguments
            .iter()
            .map(|argument| {
                let mut arena = Arena::new();
                let value = argument.unpack(code, &mut arena);
                let heap = Heap {
                    arena: &arena,
                    code,
                };
                // Parts that are shared are written each time, so a small value may have a long text.
                let bytes_max = argument.reach_bytes(code) * PRINTED_BYTES_EACH + PRINTED_BYTES;
                value_text_within(
                    heap,
                    value,
                    Style::Bare,
                    bytes_max.min(TEXT_MAX as u64) as usize,
                )
            })
            .collect();
        match writeln!(self.out, "{}", texts.join(" ")) {
            Ok(()) => Answer::NIL,
            Err(error) => Answer::Refused {
                kind: ErrorKind::HostLost,
                message: format!("print: {error}"),
            },
        }
    }

    fn set_mailbox(&mut self, code: &CodeSpace, options: &Parcel) -> Answer {
        match self.rules.changed_by(code, options) {
            Ok(rules) => {
                self.rules = rules;
                Answer::NIL
            }
            Err(message) => Answer::error(message),
        }
    }
}

fn full(limit: String) -> Answer {
    let message = format!("the mailbox holds its limit of {limit}");
    Answer::Refused {
        kind: ErrorKind::MailboxFull,
        message,
    }
}

fn truth(value: bool) -> Answer {
    Answer::Done(Parcel::Plain(Value::bool(value)))
}

fn nobody(actor: u64) -> Answer {
    if actor == ACTOR {
        Answer::NIL
    } else {
        Answer::Refused {
            kind: ErrorKind::ActorEnded,
            message: format!("there is no actor {actor}"),
        }
    }
}

impl<W: Write> Host for Solo<W> {
    fn take_back(&mut self, _: Parcel) {
        for (level, letter) in std::mem::take(&mut self.taken).into_iter().rev() {
            self.mailbox_bytes += letter.0.size_bytes();
            self.mailbox[level].push_front(letter);
        }
    }

    fn actor(&self) -> Option<u64> {
        Some(ACTOR)
    }

    fn powers(&self) -> Option<u64> {
        Some(self.powers)
    }

    fn effect(&mut self, code: &CodeSpace, kept: Option<&Kept>, effect: Effect) -> Answer {
        self.taken.clear();
        match effect {
            Effect::SelfId => Answer::Done(Parcel::Plain(Value::actor(ACTOR))),
            Effect::Spawn { .. } | Effect::Supervise { .. } => {
                Answer::error("an actor by itself cannot start others")
            }
            Effect::Yield | Effect::Exit { .. } | Effect::TrapExits { .. } => Answer::NIL,
            Effect::Monitor { actor } | Effect::Link { actor } => nobody(actor),
            Effect::Kill { actor } if actor == ACTOR => {
                Answer::error("an actor ends itself with exit")
            }
            Effect::Kill { .. } => Answer::NIL,
            Effect::SetMailbox { options } => self.set_mailbox(code, &options),
            Effect::Send {
                to,
                value,
                priority,
            } => self.send(to, value, priority),
            Effect::Receive { timeout_ms } => self.receive(timeout_ms),
            Effect::ReceiveAll => {
                let messages: Vec<Parcel> =
                    std::iter::from_fn(|| self.take_next().map(|(value, _)| value)).collect();
                Answer::Done(Parcel::list(code, &messages))
            }
            Effect::Sender => {
                Answer::Done(Parcel::Plain(self.sender.map_or(Value::NIL, Value::actor)))
            }
            Effect::Request { to, timeout_ms, .. } if to == ACTOR => match timeout_ms {
                // Nobody else can answer, so the time is up at once.
                Some(timeout_ms) => Answer::Refused {
                    kind: ErrorKind::Timeout,
                    message: format!("no reply within {timeout_ms} ms"),
                },
                None => Answer::error("an actor that waits for its own reply waits for ever"),
            },
            Effect::Request { to, .. } => nobody(to),
            Effect::Reply { .. } => Answer::error("there is no request to answer"),
            Effect::Broadcast { actors, value } => {
                for actor in actors {
                    if let refused @ Answer::Refused { .. } = self.send(actor, value.clone(), 4) {
                        return refused;
                    }
                }
                Answer::NIL
            }
            Effect::Subscribe { topic } => {
                self.topics.insert(topic);
                Answer::NIL
            }
            Effect::Unsubscribe { topic } => {
                self.topics.remove(&topic);
                Answer::NIL
            }
            Effect::Publish { topic, value } => {
                if self.topics.contains(&topic) {
                    self.send_to_self(value, 4)
                } else {
                    Answer::NIL
                }
            }
            Effect::HasCapability { capability } | Effect::RequestCapability { capability, .. } => {
                truth(self.holds(kept, &capability))
            }
            Effect::RevokeCapability { to, capability } if to == ACTOR => {
                let revoked = self.revoke(kept, &capability);
                truth(revoked)
            }
            // It holds no capability that would let it give powers, to itself neither.
            Effect::GrantCapability { to, .. }
            | Effect::DelegateCapability { to, .. }
            | Effect::RevokeCapability { to, .. } => match nobody(to) {
                Answer::Done(_) => truth(false),
                refused => refused,
            },
            Effect::VoteCapability { .. } => truth(false),
            Effect::HostCall { name, arguments } => self.host_call(code, kept, &name, &arguments),
        }
    }
}

/// Arguments of a program as values: what reads as a number is one, everything else is a string.
pub fn argument_values(arena: &mut Arena, arguments: &[String]) -> Vec<Value> {
    arguments
        .iter()
        .map(|text| {
            pw_jit::text::parse_number(text).unwrap_or_else(|| arena.new_text(Kind::String, text))
        })
        .collect()
}
