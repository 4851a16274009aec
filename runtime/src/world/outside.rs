//! What enters a world and leaves it: inputs from any thread, questions from outside, calls of the embedder's
//! functions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::World;
use super::host_calls::HostCalls;
use super::inbox::Inbox;
use crate::actor::{ActorId, Answered};
use crate::host::{Datum, HostResult};
use crate::inspect::Intervention;
use crate::message::{Message, PRIORITY_DEFAULT, RequestId};
use crate::schedule::SchedulingPolicy;

/// Something that enters a world, to take effect before a tick.
#[derive(Debug)]
pub(super) enum Input {
    /// A message.
    Send {
        to: ActorId,
        content: Datum,
        priority: u8,
    },
    /// A question.
    Ask {
        to: ActorId,
        content: Datum,
        reply: Reply,
    },
    /// What a function of the embedder answered.
    HostAnswer {
        actor: ActorId,
        wait: u64,
        result: HostResult,
    },
    /// The world's time.
    Clock(u64),
    /// An end of an actor.
    Kill(ActorId),
    /// What acts on an actor.
    Intervene(Intervention),
    /// In which order actors have turns.
    Policy(SchedulingPolicy),
    /// The world stops running.
    Stop,
}

/// Where an answer to a question from outside goes.
type Reply = futures_channel::oneshot::Sender<Result<Datum, AskError>>;

/// Why a question from outside has no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AskError {
    /// The actor has ended, or its mailbox is full.
    #[error("{0}")]
    Refused(String),
    /// The world is idle, and no answer has come.
    #[error("nobody can run any more, and actor {0} has not replied")]
    Idle(ActorId),
    /// The world is gone.
    #[error("the world is gone")]
    Gone,
}

/// A way into a world from any thread. What it sends takes effect before a tick of the world.
#[derive(Clone, Debug)]
pub struct Handle {
    inbox: Arc<Inbox<Input>>,
}

impl Handle {
    /// Sends a message.
    pub fn send(&self, to: ActorId, content: Datum) {
        self.send_with_priority(to, content, PRIORITY_DEFAULT);
    }

    /// Sends a message with a priority from 0, the highest, to 7.
    pub fn send_with_priority(&self, to: ActorId, content: Datum, priority: u8) {
        self.inbox.push(Input::Send {
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
        self.inbox.push(Input::Ask { to, content, reply });
        answer
    }

    /// Ends an actor.
    pub fn kill(&self, actor: ActorId) {
        self.inbox.push(Input::Kill(actor));
    }

    /// Acts on an actor. Whoever observes the world is told if it cannot be done.
    pub fn intervene(&self, intervention: Intervention) {
        self.inbox.push(Input::Intervene(intervention));
    }

    /// Says in which order the actors of a subtree have turns.
    pub fn set_policy(&self, policy: SchedulingPolicy) {
        self.inbox.push(Input::Policy(policy));
    }

    /// Tells the world the time, in milliseconds; what is earlier than its time is ignored.
    pub fn tell_time(&self, now_ms: u64) {
        self.inbox.push(Input::Clock(now_ms));
    }

    /// Has [`World::serve`] return.
    pub fn stop(&self) {
        self.inbox.push(Input::Stop);
    }
}

/// What is open between a world and the outside.
#[derive(Debug, Default)]
pub(super) struct Outside {
    pub(super) inbox: Arc<Inbox<Input>>,
    /// Questions from outside so far.
    asked: u64,
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

    /// Lets what has come from outside take effect.
    pub(super) fn take_inputs(&mut self) {
        if !self.outside.has_news() {
            return;
        }
        let inputs = self.outside.inbox.take();
        for input in inputs {
            self.take_input(input);
        }
    }

    fn take_input(&mut self, input: Input) {
        match input {
            Input::Send {
                to,
                content,
                priority,
            } => {
                self.send_with_priority(to, &content, priority);
            }
            Input::Ask { to, content, reply } => {
                self.put_question(to, &content, Some(reply));
            }
            Input::HostAnswer {
                actor,
                wait,
                result,
            } => self.host_answer(actor, wait, result),
            Input::Clock(now_ms) => {
                self.clock.advance(now_ms);
                self.fire_timers();
            }
            Input::Kill(actor) => self.kill(actor),
            Input::Intervene(intervention) => {
                // Observers are told of it, also when it cannot be done.
                let _ = self.intervene(intervention);
            }
            Input::Policy(policy) => self.set_policy(policy),
            Input::Stop => self.outside.has_stopped = true,
        }
    }

    fn put_question(&mut self, to: ActorId, content: &Datum, reply: Option<Reply>) -> RequestId {
        self.outside.asked += 1;
        let request = RequestId(self.outside.asked);
        let question = Question {
            reply,
            answer: None,
        };
        self.outside.questions.insert(request, question);
        let message = Message {
            from: ActorId::OUTSIDE,
            content: content.pack(&self.code),
            request: Some(request),
        };
        self.deliver(to, message, PRIORITY_DEFAULT);
        request
    }

    /// Asks an actor, and runs the world until it replies.
    ///
    /// # Errors
    /// When the actor ends, its mailbox is full, or the world becomes idle without a reply.
    pub fn ask(&mut self, to: ActorId, content: &Datum) -> Result<Datum, AskError> {
        let request = self.put_question(to, content, None);
        loop {
            let question = self.outside.questions.get_mut(&request);
            if let Some(answer) = question.and_then(|question| question.answer.take()) {
                self.outside.questions.remove(&request);
                return self.answer_datum(answer);
            }
            if !self.advance() {
                self.outside.questions.remove(&request);
                return Err(AskError::Idle(to));
            }
        }
    }

    fn answer_datum(&self, answer: Answered) -> Result<Datum, AskError> {
        match answer {
            Ok(content) => Ok(Datum::unpack(&self.code, &content)),
            Err((_, message)) => Err(AskError::Refused(message)),
        }
    }

    /// A question has its answer: it goes to who asked from another thread, or is kept for who runs the world.
    pub(super) fn answer_question(&mut self, request: RequestId, answer: Answered) {
        let Some(mut question) = self.outside.questions.remove(&request) else {
            return;
        };
        match question.reply.take() {
            Some(reply) => {
                // Who asked may not wait any more.
                let _ = reply.send(self.answer_datum(answer));
            }
            None => {
                question.answer = Some(answer);
                self.outside.questions.insert(request, question);
            }
        }
    }

    /// Runs the world until somebody stops it by [`Handle::stop`]: it sleeps while nobody can run. The world's time goes on
    /// with the machine's, from where it is, told to the world as an input while a timer is set.
    pub fn serve(&mut self) {
        let (began, base_ms) = (Instant::now(), self.now_ms());
        while !std::mem::take(&mut self.outside.has_stopped) {
            let next_ms = self.clock.next_ms();
            if next_ms.is_some() {
                let passed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.clock.advance(base_ms.saturating_add(passed));
                self.fire_timers();
            }
            if self.can_tick() {
                self.tick();
            } else {
                let sleep =
                    next_ms.map(|at| Duration::from_millis(at.saturating_sub(self.now_ms())));
                self.outside.sleep(sleep);
            }
        }
    }
}
