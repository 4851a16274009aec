//! Inputs: everything that acts on a world from outside. Each takes effect between ticks, and a run with the same inputs before
//! the same ticks is the same run.

use pw_isa::ErrorKind;
use pw_isa::wire::zigzag;
use pw_jit::Limits;
use pw_jit::fiber::upgrade::DeclaredMap;

use super::outside::{AskError, Reply};
use super::{Pace, ProgramId, World};
use crate::actor::ActorId;
use crate::host::{Datum, HostError, HostResult};
use crate::inspect::Intervention;
use crate::journal::{Leaves, RECORD_BYTES_MAX, ShortRecord};
use crate::message::AdvancedMessagePattern;
use crate::portable::{Out, Portable, portable};
use crate::quota::Quota;
use crate::schedule::SchedulingPolicy;

/// Something that acts on a world from outside.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A program is loaded.
    Load {
        /// In the format of program files.
        program: Vec<u8>,
    },
    /// An actor is started.
    Spawn {
        /// The program, by its number.
        program: u32,
        /// The function, by its number.
        function: u32,
        /// The arguments.
        arguments: Vec<Datum>,
    },
    /// A message.
    Send {
        /// To whom.
        to: ActorId,
        /// What it says.
        content: Datum,
        /// Its priority.
        priority: u8,
    },
    /// A question; its answer leaves the world.
    Ask {
        /// To whom.
        to: ActorId,
        /// What is asked.
        content: Datum,
    },
    /// What a function of the embedder answered.
    HostAnswer {
        /// Who called.
        actor: ActorId,
        /// In which of its waits.
        wait: u64,
        /// The answer.
        result: HostResult,
    },
    /// The world's time.
    Clock(u64),
    /// Who moves the world's time.
    Pace(Pace),
    /// An end of an actor.
    Kill(ActorId),
    /// What acts on an actor.
    Intervene(Intervention),
    /// A message in one of the ways there are.
    Dispatch {
        /// To whom, if it has one receiver.
        to: ActorId,
        /// How.
        pattern: AdvancedMessagePattern,
    },
    /// An event.
    Publish {
        /// Of which topic.
        topic: String,
        /// What it says.
        payload: Datum,
    },
    /// The limits of an actor.
    Limits {
        /// Whose.
        actor: ActorId,
        /// These.
        limits: Limits,
    },
    /// What a subtree may use.
    Quota {
        /// Whose.
        actor: ActorId,
        /// This.
        quota: Quota,
    },
    /// A decision about a request for a capability.
    Decide {
        /// The request.
        number: u64,
        /// Whether it is granted.
        approve: bool,
    },
    /// A capability is given.
    Grant {
        /// To whom.
        to: ActorId,
        /// Which.
        capability: String,
        /// Whether children hold it too.
        is_inherited: bool,
    },
    /// A capability is taken away.
    Revoke {
        /// From whom.
        of: ActorId,
        /// Which.
        capability: String,
    },
    /// In which order actors have turns.
    Policy(SchedulingPolicy),
    /// The end of an actor is taken, and not remembered any more.
    TakeEnd(ActorId),
    /// A session of a client begins.
    OpenSession,
    /// What a client says takes effect once.
    Once {
        /// In which session.
        session: u64,
        /// Its number, from 1.
        sequence: u64,
        /// To whom.
        to: ActorId,
        /// What it says.
        content: Datum,
        /// Whether it is a question.
        asks: bool,
    },
    /// What runs one program goes on in another one.
    Upgrade {
        /// The old program, by its number.
        from: u32,
        /// The new one.
        to: u32,
        /// What is not told by names.
        declared: DeclaredMap,
    },
}

portable!(enum Input {
    0 => Load { program },
    1 => Spawn { program, function, arguments },
    2 => Send { to, content, priority },
    3 => Ask { to, content },
    4 => HostAnswer { actor, wait, result },
    5 => Clock(now_ms),
    6 => Pace(pace),
    7 => Kill(actor),
    8 => Intervene(intervention),
    9 => Dispatch { to, pattern },
    10 => Publish { topic, payload },
    11 => Limits { actor, limits },
    12 => Quota { actor, quota },
    13 => Decide { number, approve },
    14 => Grant { to, capability, is_inherited },
    15 => Revoke { of, capability },
    16 => OpenSession,
    17 => Once { session, sequence, to, content, asks },
    18 => TakeEnd(actor),
    19 => Policy(policy),
    20 => Upgrade { from, to, declared },
});

/// The first byte of a message as an input.
const SEND: u8 = 2;

impl Input {
    /// Writes the input that a message is, without having its content copied into one: there are many of them.
    #[inline]
    pub(super) fn put_send(out: &mut Out<'_>, to: ActorId, content: &Datum, priority: u8) {
        out.to.u8(SEND);
        to.put(out);
        content.put(out);
        priority.put(out);
    }

    /// Writes the input that a message with an integer is, the most frequent one, behind the head of its record.
    #[inline(always)]
    pub(super) fn put_short_send(
        out: &mut ShortRecord<'_>,
        (to, content, priority): (ActorId, i64, u8),
    ) {
        let (to, content, priority) = (to.0, zigzag(content), u64::from(priority));
        // What has one byte, and an actor that has two, are put together at once.
        let (first, bytes) = match to {
            0..0x80 => (to, 1),
            0x80..0x4000 => (to & 0x7f | 0x80 | (to >> 7) << 8, 2),
            _ => (0, 0),
        };
        if bytes > 0 && (content | priority) < 0x80 {
            let rest = u64::from(Datum::INT) | content << 8 | priority << 16;
            let word = u64::from(SEND) | first << 8 | rest << (8 + 8 * bytes);
            return out.word(word, 4 + bytes);
        }
        out.u8(SEND);
        out.varint(to);
        out.u8(Datum::INT);
        out.varint(content);
        out.varint(priority);
    }

    /// About how many bytes what it says has, where that may be many.
    fn content_bytes(&self) -> usize {
        match self {
            Input::Load { program } => program.len(),
            Input::Spawn { arguments, .. } => arguments.iter().map(Datum::size_bytes).sum(),
            Input::Send { content, .. }
            | Input::Ask { content, .. }
            | Input::Once { content, .. } => content.size_bytes(),
            Input::Dispatch { pattern, .. } => pattern.content().size_bytes(),
            Input::Publish { topic, payload } => topic.len() + payload.size_bytes(),
            _ => 0,
        }
    }

    /// The session in which a client says it, if one does.
    pub fn session(&self) -> Option<u64> {
        match self {
            Input::Once { session, .. } => Some(*session),
            _ => None,
        }
    }
}

/// Why an input did nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct InputError(String);

/// The most bytes of texts and numbers that something may say in a world that keeps its history, whatever its settings say: the record
/// with it is hardly larger.
pub(super) const CONTENT_BYTES_MAX: usize = RECORD_BYTES_MAX / 2;

fn refused(error: impl ToString) -> InputError {
    InputError(error.to_string())
}

impl World {
    /// Has an input take effect.
    ///
    /// # Errors
    /// When it cannot be done; then nothing has changed. What an input does to an actor that is not there is no error.
    pub fn apply(&mut self, input: Input) -> Result<(), InputError> {
        self.take_up(input, None)
    }

    /// Has an input take effect; who waits for what comes of it gets that.
    pub(super) fn take_up(&mut self, input: Input, reply: Option<Reply>) -> Result<(), InputError> {
        // What answers a call becomes an answer that is not too long.
        if let Some(error) = self.too_long(input.content_bytes()) {
            if let Some(reply) = reply {
                // Who asked may not wait any more.
                drop(reply.send(Err(AskError::Refused(error.0.clone()))));
            }
            return Err(error);
        }
        match input {
            Input::Load { program } => {
                let program = pw_isa::codec::decode(&program).map_err(refused)?;
                self.load(pw_isa::verify::verify(program).map_err(refused)?);
            }
            Input::Spawn {
                program,
                function,
                arguments,
            } => {
                self.program_id(program)?;
                self.spawn_number(ProgramId(program), function, &arguments)
                    .map_err(refused)?;
            }
            Input::Send {
                to,
                content,
                priority,
            } => {
                self.note_and_send(to, &content, priority);
            }
            Input::Ask { to, content } => {
                self.put_question(to, content, reply);
            }
            Input::HostAnswer {
                actor,
                wait,
                result,
            } => self.host_answer(actor, wait, result),
            Input::Clock(now_ms) => self.tell_time(now_ms),
            Input::Pace(pace) => self.set_pace(pace),
            Input::Kill(actor) => {
                self.note(|| Input::Kill(actor));
                self.kill(actor);
            }
            Input::Intervene(intervention) => self.intervene(intervention).map_err(refused)?,
            Input::Dispatch { to, pattern } => self.note_and_dispatch(to, pattern),
            Input::Publish { topic, payload } => self.note_and_publish(&topic, &payload),
            Input::Limits { actor, limits } => {
                self.set_limits(actor, limits);
            }
            Input::Quota { actor, quota } => {
                self.set_quota(actor, quota);
            }
            Input::Decide { number, approve } => {
                self.decide_request(number, approve);
            }
            Input::Grant {
                to,
                capability,
                is_inherited,
            } => {
                self.grant(to, &capability, is_inherited);
            }
            Input::Revoke { of, capability } => {
                self.revoke_from(of, &capability);
            }
            Input::Policy(policy) => self.set_policy(policy),
            Input::TakeEnd(actor) => {
                self.take_end(actor);
            }
            Input::OpenSession => {
                let session = self.open_session();
                if let Some(reply) = reply {
                    let session = Datum::Int(session as i64);
                    self.leave(Leaves::Answer, move || drop(reply.send(Ok(session))));
                }
            }
            Input::Once {
                session,
                sequence,
                to,
                content,
                asks,
            } => self.say_once((session, sequence), (to, content), asks, reply),
            Input::Upgrade { from, to, declared } => {
                self.upgrade(ProgramId(from), ProgramId(to), &declared)
                    .map_err(refused)?;
            }
        }
        Ok(())
    }

    /// Why so many bytes cannot be said to the world, if not: its history has no room for them.
    pub(crate) fn too_long(&self, bytes: usize) -> Option<InputError> {
        let settings = self.history.settings()?;
        let most = settings.input_bytes_max.min(CONTENT_BYTES_MAX);
        (bytes > most).then(|| {
            InputError(format!(
                "{bytes} bytes, where {most} are the most that a history takes"
            ))
        })
    }

    /// A program has this number.
    fn program_id(&self, number: u32) -> Result<(), InputError> {
        if (number as usize) < self.code.len() as usize {
            return Ok(());
        }
        Err(InputError(format!("there is no program {number}")))
    }

    /// What a function of the embedder answered.
    pub(super) fn host_answer(&mut self, actor: ActorId, wait: u64, result: HostResult) {
        let bytes = result.as_ref().map_or(0, Datum::size_bytes);
        let result = match self.too_long(bytes) {
            None => result,
            Some(InputError(message)) => Err(HostError {
                kind: ErrorKind::Error,
                message: format!("the answer has {message}"),
            }),
        };
        self.note(|| Input::HostAnswer {
            actor,
            wait,
            result: result.clone(),
        });
        self.give_host_answer(actor, wait, result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pw_jit::CodeSpace;

    use super::*;
    use crate::disk::{Disk, MemoryDisk};
    use crate::journal::{Journal, Record, Records, survey};
    use crate::portable::{bytes_of, written};

    #[test]
    fn a_message_is_written_like_the_input_that_it_is() {
        let code = CodeSpace::default();
        let (to, priority) = (ActorId(300), 3);
        for content in [Datum::Int(-7), Datum::from("text"), Datum::Nil] {
            let alone = written(&code, |out| Input::put_send(out, to, &content, priority));
            let input = Input::Send {
                to,
                content,
                priority,
            };
            assert_eq!(alone, bytes_of(&code, &input));
        }
    }

    #[test]
    fn a_short_record_of_a_message_is_the_record_of_it() {
        let disk = Arc::new(MemoryDisk::default());
        let mut journal = Journal::begin(Arc::clone(&disk) as Arc<dyn Disk>, 0).expect("memory");
        let (ends, mut expected) = ([0, 1, 127, 128, 16_383, 16_384, u64::MAX], Vec::new());
        // Many batches, also such that are used again, with what stood there before.
        let rounds = (0..300).flat_map(|_| (0..).zip(ends));
        for (round, (number, ticks)) in rounds.enumerate() {
            if round % 7 == 0 {
                journal.hand_over();
            }
            if round % 97 == 0 {
                journal.flush();
            }
            for to in ends {
                for content in [0, -1, 63, 64, -65, 8_191, -8_192, 8_192, i64::MIN, i64::MAX] {
                    let (to, priority) = (ActorId(to), number * 40);
                    let message = (to, content, priority);
                    let head = Record::short_head(ticks);
                    journal.put_short(&head, |record| Input::put_short_send(record, message));
                    // The bytes behind a short record are those of the next.
                    journal.add(&[priority; 3]);
                    let content = Datum::Int(content);
                    let input = Input::Send {
                        to,
                        content,
                        priority,
                    };
                    expected.push(bytes_of(
                        &CodeSpace::default(),
                        &Record::Input { ticks, input },
                    ));
                    expected.push(vec![priority; 3]);
                }
            }
        }
        journal.finish().expect("memory");
        let survey = survey(&*disk, 0).expect("a journal");
        let mut records = Records::new(disk, &survey, 0);
        for expected in expected {
            let (_, record) = records.peek().expect("a journal").expect("a record");
            assert_eq!(record, expected);
            records.skip();
        }
        assert!(records.peek().expect("a journal").is_none());
    }
}
