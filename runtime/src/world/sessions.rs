//! Sessions: what a client sends or asks takes effect once, however often it has to say it.
//!
//! A client numbers what it says. The number that was last heard and the answer to it are part of the state, so a client that does
//! not know whether it was heard, because it or the world came to an end, says it again and gets the same answer. There are so
//! many sessions at most: the one that was silent longest expires, and is refused then.

use std::collections::BTreeMap;

use pw_isa::wire::Decoded;

use super::outside::{Arrival, Handle, Reply};
use super::{AskError, Input, World};
use crate::actor::{ActorId, Answered};
use crate::host::Datum;
use crate::journal::Leaves;
use crate::message::{PRIORITY_DEFAULT, RequestId};
use crate::portable::{In, Out, Portable, portable};

/// What was last heard in a session.
#[derive(Clone, Debug, Default, PartialEq)]
struct Session {
    /// Its number.
    sequence: u64,
    /// The question that it was, if it was one.
    request: Option<RequestId>,
    /// The answer, when it is there.
    answer: Option<Answered>,
    /// When it was heard, among all that were.
    heard: u64,
}

portable!(struct Session { sequence, request, answer, heard });

/// All sessions of a world.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions {
    opened: u64,
    heard: u64,
    all: BTreeMap<u64, Session>,
    /// Sessions by when they were heard, or earlier: when they are heard again they stay where they are, until somebody looks for the one that was
    /// silent longest.
    by_silence: BTreeMap<u64, u64>,
    /// Sessions that wait for an answer, by their questions.
    by_request: BTreeMap<RequestId, u64>,
}

impl Portable for Sessions {
    fn put(&self, out: &mut Out<'_>) {
        self.opened.put(out);
        self.heard.put(out);
        self.all.put(out);
        self.by_when_heard().put(out);
        self.by_request.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Sessions> {
        Ok(Sessions {
            opened: Portable::get(input)?,
            heard: Portable::get(input)?,
            all: Portable::get(input)?,
            by_silence: Portable::get(input)?,
            by_request: Portable::get(input)?,
        })
    }
}

/// What is to be done about something that was said in a session.
enum Said {
    /// It is new: it takes effect.
    New,
    /// It took effect, and is a question without an answer yet.
    Asked(RequestId),
    /// It took effect, and this is the answer; nothing if it was not a question.
    Answered(Option<Answered>),
    /// It is refused.
    Refused(String),
}

impl Sessions {
    /// Sessions by when they were heard.
    fn by_when_heard(&self) -> BTreeMap<u64, u64> {
        let all = self.all.iter();
        all.map(|(number, session)| (session.heard, *number))
            .collect()
    }

    fn said(&self, number: u64, sequence: u64) -> Said {
        let Some(session) = self.all.get(&number) else {
            let known = if number <= self.opened {
                "has expired"
            } else {
                "was never opened"
            };
            return Said::Refused(format!("session {number} {known}"));
        };
        if sequence == session.sequence + 1 {
            return Said::New;
        }
        if sequence != session.sequence {
            return Said::Refused(format!(
                "number {sequence} in session {number}, where {} was last",
                session.sequence
            ));
        }
        match (&session.answer, session.request) {
            (None, Some(request)) => Said::Asked(request),
            (answer, _) => Said::Answered(answer.clone()),
        }
    }

    /// Something new is heard in a session.
    fn hear(&mut self, number: u64, sequence: u64) {
        self.heard += 1;
        let heard = self.heard;
        let session = self.all.entry(number).or_insert_with(|| {
            self.by_silence.insert(heard, number);
            Session::default()
        });
        if let Some(request) = session.request.take() {
            self.by_request.remove(&request);
        }
        session.answer = None;
        session.sequence = sequence;
        session.heard = heard;
    }

    fn open(&mut self, sessions_max: usize) -> u64 {
        self.opened += 1;
        self.hear(self.opened, 0);
        while self.all.len() > sessions_max.max(1)
            && let Some((at, silent)) = self.by_silence.pop_first()
        {
            let heard = self.all.get(&silent).map_or(at, |session| session.heard);
            if heard > at {
                // It has not been silent since.
                self.by_silence.insert(heard, silent);
                continue;
            }
            let request = self.all.remove(&silent).and_then(|session| session.request);
            if let Some(request) = request {
                self.by_request.remove(&request);
            }
        }
        self.opened
    }

    /// How many were opened.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// So many were opened, or more.
    pub(super) fn open_beyond(&mut self, opened: u64) {
        self.opened = self.opened.max(opened);
    }

    /// Something that would be new is heard and refused; false when it would not be new.
    pub(super) fn refuse(
        &mut self,
        (number, sequence): (u64, u64),
        reason: (pw_isa::ErrorKind, String),
    ) -> bool {
        if !matches!(self.said(number, sequence), Said::New) {
            return false;
        }
        self.hear(number, sequence);
        if let Some(session) = self.all.get_mut(&number) {
            session.answer = Some(Err(reason));
        }
        true
    }

    /// Whether numbers are as they are given in sessions that were just read: the flaw, if not.
    pub(super) fn check(&self, number_max: u64) -> Result<(), String> {
        let numbers = self
            .all
            .values()
            .map(|session| session.sequence.max(session.heard));
        let largest = numbers.max().unwrap_or(0).max(self.opened).max(self.heard);
        let last_heard = self.all.values().map(|session| session.heard).max();
        let last = self.all.keys().next_back().copied().unwrap_or(0);
        let silent =
            self.by_silence.len() == self.all.len() && self.by_silence == self.by_when_heard();
        let heard = last_heard.is_none_or(|last| last <= self.heard);
        if largest >= number_max || last > self.opened || !silent || !heard {
            return Err(format!(
                "{} sessions were opened, the last is {last}",
                self.opened
            ));
        }
        Ok(())
    }

    /// A question has its answer.
    pub(super) fn answered(&mut self, request: RequestId, answer: &Answered) {
        let session = self.by_request.remove(&request);
        if let Some(session) = session.and_then(|session| self.all.get_mut(&session)) {
            session.answer = Some(answer.clone());
        }
    }
}

impl World {
    /// Opens a session; its number.
    pub fn open_session(&mut self) -> u64 {
        self.note(|| Input::OpenSession);
        self.outside.sessions.open(self.settings.sessions_max)
    }

    /// Something is said in a session, and takes effect unless it has; who said it learns of it when it is durable.
    pub(super) fn say_once(
        &mut self,
        (session, sequence): (u64, u64),
        (to, content): (ActorId, Datum),
        asks: bool,
        reply: Option<Reply>,
    ) {
        match self.outside.sessions.said(session, sequence) {
            Said::New => {}
            Said::Asked(request) => return self.outside.wait_for(request, reply),
            Said::Answered(answer) => return self.tell_client(reply, answer.unwrap_or(Ok(NIL))),
            Said::Refused(text) => {
                let refused = (pw_isa::ErrorKind::Error, text);
                return self.tell_client(reply, Err(refused));
            }
        }
        self.note(|| Input::Once {
            session,
            sequence,
            to,
            content: content.clone(),
            asks,
        });
        self.outside.sessions.hear(session, sequence);
        if !asks {
            self.send_now(to, &content, PRIORITY_DEFAULT);
            return self.tell_client(reply, Ok(NIL));
        }
        let request = self.next_request();
        let sessions = &mut self.outside.sessions;
        sessions.by_request.insert(request, session);
        if let Some(session) = sessions.all.get_mut(&session) {
            session.request = Some(request);
        }
        self.outside.wait_for(request, reply);
        self.deliver_question(to, &content, request);
    }

    /// Who waits for it gets an answer, when its cause is durable.
    fn tell_client(&mut self, reply: Option<Reply>, answer: Answered) {
        if let Some(reply) = reply {
            let answer = self.answer_datum(answer);
            // Who asked may not wait any more.
            self.leave(Leaves::Answer, move || drop(reply.send(answer)));
        }
    }
}

/// The answer to what is no question.
const NIL: pw_jit::fiber::parcel::Parcel = pw_jit::fiber::parcel::Parcel::Plain(pw_jit::Value::NIL);

/// A client of a world: what it says takes effect once, also when it has to say it again.
#[derive(Debug)]
pub struct Client {
    handle: Handle,
    session: u64,
    sequence: u64,
}

impl Handle {
    /// Opens a session.
    ///
    /// # Errors
    /// When the world is gone.
    pub async fn open_session(&self) -> Result<Client, AskError> {
        let opened = self.put(Input::OpenSession).await;
        match opened.unwrap_or(Err(AskError::Gone))? {
            Datum::Int(session) => Ok(self.resume_session(session as u64, 0)),
            other => unreachable!("the number of a session is {other:?}"),
        }
    }

    /// Goes on with a session in which `sequence` things were said that are known to have been heard.
    pub fn resume_session(&self, session: u64, sequence: u64) -> Client {
        Client {
            handle: self.clone(),
            session,
            sequence,
        }
    }

    /// Has an input take effect; what becomes of it.
    fn put(&self, input: Input) -> futures_channel::oneshot::Receiver<Result<Datum, AskError>> {
        let (reply, answer) = futures_channel::oneshot::channel();
        self.push(Arrival::Input(input, Some(reply)));
        answer
    }
}

impl Client {
    /// The number of the session.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// How many things were said and heard.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Sends a message; it is durable, as far as the world's history is, when this returns.
    ///
    /// # Errors
    /// When the session has expired, or the world is gone: then it may have taken effect or not, and can be said again.
    pub async fn send(&mut self, to: ActorId, content: Datum) -> Result<(), AskError> {
        self.say(to, content, false).await.map(drop)
    }

    /// Asks an actor; what it replies.
    ///
    /// # Errors
    /// As [`Client::send`], and when the actor ends or its mailbox is full.
    pub async fn ask(&mut self, to: ActorId, content: Datum) -> Result<Datum, AskError> {
        self.say(to, content, true).await
    }

    async fn say(&mut self, to: ActorId, content: Datum, asks: bool) -> Result<Datum, AskError> {
        let answer = self
            .say_numbered(self.sequence + 1, to, content, asks)
            .await;
        if !matches!(answer, Err(AskError::Gone)) {
            self.sequence += 1;
        }
        answer
    }

    /// Says something under a number, for who has more than one thing on the way: a question, or a message. It is on its way when this
    /// returns. Numbers must come in order, each one more than the last, but for what is said again.
    pub fn say_numbered(
        &self,
        sequence: u64,
        to: ActorId,
        content: Datum,
        asks: bool,
    ) -> impl Future<Output = Result<Datum, AskError>> + Send + use<> {
        let answer = self.handle.put(Input::Once {
            session: self.session,
            sequence,
            to,
            content,
            asks,
        });
        async { answer.await.unwrap_or(Err(AskError::Gone)) }
    }
}

#[cfg(test)]
mod tests {
    use pw_jit::CodeSpace;

    use super::*;
    use crate::portable::{Shared, bytes_of, read_with};

    /// Those are there that should be, each with when it was heard.
    fn check(sessions: &Sessions, heard: &[(u64, u64)]) {
        let mut expected = heard.to_vec();
        expected.sort_by_key(|(_, number)| *number);
        let all = sessions.all.iter();
        let all = all.map(|(number, session)| (session.heard, *number));
        assert_eq!(all.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_one_that_was_silent_longest_expires_whatever_was_heard_since() {
        let code = CodeSpace::default();
        let (mut sessions, mut heard) = (Sessions::default(), Vec::new());
        let (mut seed, mut time) = (7_u64, 0);
        for round in 0..2_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            time += 1;
            if heard.is_empty() || seed.is_multiple_of(5) {
                heard.push((time, sessions.open(20)));
                heard.sort_unstable();
                if heard.len() > 20 {
                    heard.remove(0);
                }
            } else {
                let at = (seed / 5) as usize % heard.len();
                sessions.hear(heard[at].1, round);
                heard[at].0 = time;
                heard.sort_unstable();
            }
            check(&sessions, &heard);
            if round % 100 == 0 {
                // What is written does not depend on when somebody looked last, and goes on alike.
                let bytes = bytes_of(&code, &sessions);
                let read = read_with(&code, &bytes, &mut Shared::new(0), Sessions::get);
                let read = read.expect("it was written");
                assert_eq!(read.check(u64::MAX), Ok(()));
                assert_eq!(bytes_of(&code, &read), bytes);
                sessions = read;
            }
        }
    }
}
