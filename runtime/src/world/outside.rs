//! What enters a world and leaves it: inputs from any thread, questions from outside, calls of the embedder's
//! functions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pw_isa::wire::Decoded;

use super::Input;
use super::World;
use super::host_calls::HostCalls;
use super::inbox::Inbox;
use super::sessions::Sessions;
use crate::actor::{ActorId, Answered};
use crate::host::{Datum, HostResult};
use crate::inspect::Intervention;
use crate::journal::Leaves;
use crate::message::{Message, PRIORITY_DEFAULT, RequestId};
use crate::portable::{Portable, Shared, bytes_of, read_with};
use crate::schedule::SchedulingPolicy;

/// What comes from other threads, to be taken up before a tick.
#[derive(Debug)]
pub(super) enum Arrival {
    /// An input; the answer to a question goes to who asked.
    Input(Input, Option<Reply>),
    /// What a function of the embedder answered.
    HostAnswer {
        actor: ActorId,
        wait: u64,
        course: u64,
        result: HostResult,
    },
    /// The world stops running.
    Stop,
}

/// Where an answer to a question from outside goes.
pub(super) type Reply = futures_channel::oneshot::Sender<Result<Datum, AskError>>;

/// Why a question from outside has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    /// The actor has ended, or its mailbox is full.
    #[error("{0}")]
    Refused(String),
    /// The world is idle, and no answer has come.
    #[error("nobody can run any more, and actor {0} has not replied")]
    Idle(ActorId),
    /// The history of the world cannot be kept, so nothing leaves it.
    #[error("the history cannot be kept: {0}")]
    NotKept(String),
    /// The world has lost an actor that hibernated, so it has stopped.
    #[error("the world has stopped: {0}")]
    Stopped(String),
    /// The world is gone.
    #[error("the world is gone")]
    Gone,
}

/// A way into a world from any thread. What it sends takes effect before a tick of the world.
#[derive(Clone, Debug)]
pub struct Handle {
    inbox: Arc<Inbox<Arrival>>,
}

impl Handle {
    pub(super) fn push(&self, arrival: Arrival) {
        self.inbox.push(arrival);
    }

    /// Has an input take effect. What cannot be done does nothing.
    pub fn apply(&self, input: Input) {
        self.inbox.push(Arrival::Input(input, None));
    }

    /// Sends a message.
    pub fn send(&self, to: ActorId, content: Datum) {
        self.send_with_priority(to, content, PRIORITY_DEFAULT);
    }

    /// Sends a message with a priority from 0, the highest, to 7.
    pub fn send_with_priority(&self, to: ActorId, content: Datum, priority: u8) {
        self.apply(Input::Send {
            to,
            content,
            priority,
        });
    }

    /// Asks an actor; the answer comes when it replies. Any executor can await it.
    ///
    /// # Errors
    /// When the actor ends, its mailbox is full, or the world is dropped.
    pub async fn ask(&self, to: ActorId, content: Datum) -> Result<Datum, AskError> {
        let answer = self.question(to, content);
        answer.await.unwrap_or(Err(AskError::Gone))
    }

    /// Asks an actor, and waits on this thread until it replies. Another thread must run the world.
    ///
    /// # Errors
    /// When the actor ends, its mailbox is full, or the world is dropped.
    pub fn ask_blocking(&self, to: ActorId, content: Datum) -> Result<Datum, AskError> {
        let answer = self.question(to, content);
        futures_executor::block_on(answer).unwrap_or(Err(AskError::Gone))
    }

    fn question(
        &self,
        to: ActorId,
        content: Datum,
    ) -> futures_channel::oneshot::Receiver<Result<Datum, AskError>> {
        let (reply, answer) = futures_channel::oneshot::channel();
        let input = Input::Ask { to, content };
        self.inbox.push(Arrival::Input(input, Some(reply)));
        answer
    }

    /// Ends an actor.
    pub fn kill(&self, actor: ActorId) {
        self.apply(Input::Kill(actor));
    }

    /// Acts on an actor. Whoever observes the world is told if it cannot be done.
    pub fn intervene(&self, intervention: Intervention) {
        self.apply(Input::Intervene(intervention));
    }

    /// Says in which order the actors of a subtree have turns.
    pub fn set_policy(&self, policy: SchedulingPolicy) {
        self.apply(Input::Policy(policy));
    }

    /// Tells the world the time, in milliseconds; what is earlier than its time is ignored.
    pub fn tell_time(&self, now_ms: u64) {
        self.apply(Input::Clock(now_ms));
    }

    /// Has [`World::serve`] return.
    pub fn stop(&self) {
        self.inbox.push(Arrival::Stop);
    }
}

/// What is open between a world and the outside.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) inbox: Arc<Inbox<Arrival>>,
    /// Questions from outside so far.
    pub(super) asked: u64,
    /// Outputs so far.
    pub(super) outputs: u64,
    /// Whether the outside hears nothing.
    pub(super) is_muted: bool,
    pub(super) sessions: Sessions,
    /// Those that wait for an answer.
    questions: BTreeMap<RequestId, Question>,
    pub(super) calls: HostCalls,
    has_stopped: bool,
}

/// A question from outside.
#[derive(Debug)]
struct Question {
    reply: Option<Reply>,
    answer: Option<Answered>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Outside {
    pub(super) fn has_news(&self) -> bool {
        self.inbox.has_news()
    }

    /// Somebody waits for the answer to a question: whoever asked it last.
    pub(super) fn wait_for(&mut self, request: RequestId, reply: Option<Reply>) {
        if reply.is_some() {
            self.await_here(request, reply);
        }
    }

    /// An answer is kept, for who asked on the thread that runs the world, or goes to who asked elsewhere.
    fn await_here(&mut self, request: RequestId, reply: Option<Reply>) {
        let question = Question {
            reply,
            answer: None,
        };
        self.questions.insert(request, question);
    }

    /// Nobody waits for an answer of a world that was repeated.
    pub(super) fn forget_questions(&mut self) {
        self.questions.clear();
    }

    /// It is that of a world which has asked and told so much. Who asked in the other one learns that there will be no answer.
    pub(super) fn become_like(
        &mut self,
        asked: u64,
        outputs: u64,
        is_muted: bool,
        sessions: Sessions,
    ) {
        self.sessions = sessions;
        self.asked = asked;
        self.outputs = outputs;
        self.is_muted = is_muted;
        self.forget_questions();
    }

    /// Waits until an input is there, or that much time has passed.
    pub(super) fn sleep(&self, most: Option<Duration>) {
        match most {
            Some(most) => self.inbox.wait_at_most(most),
            None => self.inbox.wait(),
        }
    }
}

impl World {
    /// A way into the world from any thread.
    pub fn handle(&self) -> Handle {
        Handle {
            inbox: Arc::clone(&self.outside.inbox),
        }
    }

    /// Inputs that have come and have not taken effect, by the numbers in which all arrived; but for questions: their answers cannot
    /// be kept.
    pub(super) fn pending_inputs(&self) -> Vec<(u64, Vec<u8>)> {
        self.outside.inbox.look(|number, arrival| match arrival {
            Arrival::Input(input, None) => Some((number, bytes_of(&self.code, input))),
            _ => None,
        })
    }

    /// Reads inputs that had come: those that still wait to take effect need not come again.
    pub(super) fn read_pending(&self, inputs: &[(u64, Vec<u8>)]) -> Decoded<Vec<Input>> {
        let mut shared = Shared::new(self.settings.memory_bytes);
        let taken = self.outside.inbox.taken();
        let gone = inputs
            .iter()
            .filter(|(number, _)| *number < taken || taken == 0);
        gone.map(|(_, bytes)| read_with(&self.code, bytes, &mut shared, Input::get))
            .collect()
    }

    /// Lets what has come from outside take effect.
    #[inline(never)]
    pub(super) fn take_inputs(&mut self) {
        // What comes while the world does again what it did comes after that.
        if !self.outside.has_news() || self.history.is_replay() {
            return;
        }
        let arrivals = self.outside.inbox.take();
        self.gathering(|world| {
            arrivals.into_iter().for_each(|arrival| world.hear(arrival));
        });
    }

    fn hear(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Input(input, reply) => {
                // What cannot be done does nothing; who observes the world is told of it.
                let _ = self.take_up(input, reply);
            }
            Arrival::HostAnswer {
                actor,
                wait,
                course,
                result,
            } => self.hear_answer((actor, wait), course, result),
            Arrival::Stop => self.outside.has_stopped = true,
        }
    }

    pub(super) fn put_question(
        &mut self,
        to: ActorId,
        content: Datum,
        reply: Option<Reply>,
    ) -> RequestId {
        let request = self.next_request();
        self.outside.wait_for(request, reply);
        self.note(|| Input::Ask {
            to,
            content: content.clone(),
        });
        self.deliver_question(to, &content, request);
        request
    }

    /// The number of the next question from outside.
    pub(super) fn next_request(&mut self) -> RequestId {
        self.outside.asked += 1;
        RequestId(self.outside.asked)
    }

    pub(super) fn deliver_question(&mut self, to: ActorId, content: &Datum, request: RequestId) {
        let message = Message {
            from: ActorId::OUTSIDE,
            content: content.pack(&self.code),
            request: Some(request),
        };
        self.deliver(to, message, PRIORITY_DEFAULT);
    }

    /// Asks an actor, and runs the world until it replies.
    ///
    /// # Errors
    /// When the actor ends, its mailbox is full, the history of the world has no room for the question, or the world becomes idle without
    /// a reply.
    pub fn ask(&mut self, to: ActorId, content: &Datum) -> Result<Datum, AskError> {
        if let Some(error) = self.too_long(content.size_bytes()) {
            return Err(AskError::Refused(error.to_string()));
        }
        // The answer may come at once.
        self.outside
            .await_here(RequestId(self.outside.asked + 1), None);
        let request = self.put_question(to, content.clone(), None);
        loop {
            self.ensure_whole().map_err(AskError::Stopped)?;
            let Some(question) = self.outside.questions.get_mut(&request) else {
                let text = "the world has gone back in its history meanwhile".to_owned();
                return Err(AskError::Refused(text));
            };
            if let Some(answer) = question.answer.take() {
                self.outside.questions.remove(&request);
                // The answer leaves the world.
                self.confirm().map_err(AskError::NotKept)?;
                return self.answer_datum(answer);
            }
            if !self.advance() {
                self.outside.questions.remove(&request);
                return Err(AskError::Idle(to));
            }
        }
    }

    pub(super) fn answer_datum(&self, answer: Answered) -> Result<Datum, AskError> {
        match answer {
            Ok(content) => Ok(Datum::unpack(&self.code, &content)),
            Err((_, message)) => Err(AskError::Refused(message)),
        }
    }

    /// A question has its answer: it goes to who asked from another thread, or is kept for who runs the world.
    pub(super) fn answer_question(&mut self, request: RequestId, answer: Answered) {
        self.outside.sessions.answered(request, &answer);
        let Some(mut question) = self.outside.questions.remove(&request) else {
            return;
        };
        match question.reply.take() {
            Some(reply) => {
                let answer = self.answer_datum(answer);
                // Who asked may not wait any more.
                self.leave(Leaves::Answer, move || drop(reply.send(answer)));
            }
            None => {
                question.answer = Some(answer);
                self.outside.questions.insert(request, question);
            }
        }
    }

    /// Waits until something has come from outside, or so much time has passed.
    pub fn wait(&mut self, most: Duration) {
        self.hand_history_over();
        self.pause(Some(most));
    }

    /// Runs the world until somebody stops it by [`Handle::stop`], its history cannot be kept, or it has lost an actor: it sleeps while nobody can run. The world's time goes on
    /// with the machine's, from where it is, told to the world as an input while a timer is set.
    pub fn serve(&mut self) {
        let (began, base_ms) = (Instant::now(), self.now_ms());
        while !std::mem::take(&mut self.outside.has_stopped) && !self.history_has_failed() {
            let next_ms = self.clock.next_ms();
            if next_ms.is_some() {
                let passed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.tell_time(base_ms.saturating_add(passed));
            }
            if self.can_tick() {
                self.tick();
            } else {
                let sleep =
                    next_ms.map(|at| Duration::from_millis(at.saturating_sub(self.now_ms())));
                self.hand_history_over();
                self.pause(sleep);
            }
        }
    }
}
