//! What leaves a world: what actors tell the outside, and calls of the embedder's functions, each on a thread of its own, so many at
//! once at most.
//!
//! Of a world that keeps its history nothing leaves before its cause is in the journal. What a call asks is part of its caller's
//! state, so that it can be made again after a recovery.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use pw_isa::ErrorKind;

use super::World;
use super::inbox::Inbox;
use super::outside::Arrival;
use crate::actor::{ActorId, Answered, Due, Status, Wait};
use crate::host::{HostCallView, HostError, HostRequest, HostResult, Output};
use crate::journal::Leaves;

/// Calls whose answer has not come.
#[derive(Debug, Default)]
pub(super) struct HostCalls {
    /// Callers and their waits, of calls that are made.
    running: BTreeSet<(ActorId, u64)>,
    /// The same, of calls that wait for a thread.
    waiting: VecDeque<(ActorId, u64)>,
    /// How often the world has gone back: answers to calls before that are not heard.
    course: u64,
}

/// What answers a call, also when it comes to nothing.
struct Answers {
    inbox: Arc<Inbox<Arrival>>,
    actor: ActorId,
    wait: u64,
    course: u64,
    is_over: bool,
}

impl Answers {
    fn answer(mut self, result: HostResult) {
        self.push(result);
    }

    fn push(&mut self, result: HostResult) {
        self.is_over = true;
        self.inbox.push(Arrival::HostAnswer {
            actor: self.actor,
            wait: self.wait,
            course: self.course,
            result,
        });
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if !self.is_over {
            let kind = ErrorKind::HostLost;
            let message =
                "the call was not made: there is no thread for it, or no history".to_owned();
            self.push(Err(HostError { kind, message }));
        }
    }
}

impl HostCalls {
    /// The world goes back: nobody waits for any answer any more.
    pub(super) fn give_up(&mut self) {
        *self = HostCalls {
            course: self.course + 1,
            ..HostCalls::default()
        };
    }

    /// Whether an answer is to come.
    pub(super) fn is_open(&self) -> bool {
        !self.running.is_empty()
    }
}

impl World {
    /// An actor tells the outside something.
    pub(super) fn tell_outside(&mut self, from: ActorId, request: HostRequest) {
        if self.outside.is_muted {
            return;
        }
        self.outside.outputs += 1;
        let output = Output {
            number: self.outside.outputs,
            tick: self.tick,
            from,
            request,
        };
        if let Some(listener) = &self.listener {
            (listener.0)(&HostCallView::new(&self.code, &output));
        }
        if self.history.keeps_back(&output) {
            return;
        }
        self.release(output);
    }

    /// Lets an output leave, once its cause is in the journal.
    pub(super) fn release(&mut self, output: Output) {
        let (hosts, code) = (Arc::clone(&self.hosts), Arc::clone(&self.code));
        let number = output.number;
        self.leave(Leaves::Output(number), move || {
            if let Some(function) = hosts.get(&output.request.function) {
                function.release(&code, &output);
            }
        });
    }

    /// An actor calls a function of the embedder, and waits.
    pub(super) fn ask_outside(&mut self, from: ActorId, wait: u64) {
        if self.outside.is_muted {
            return self.lose_call(from, wait);
        }
        if self.history.is_replay() {
            // The answer is among the inputs, or the call is made when the replay is over.
            return;
        }
        self.outside.calls.waiting.push_back((from, wait));
        self.start_calls();
    }

    /// Makes all calls that actors wait for and that are not open, again.
    pub(super) fn repeat_calls(&mut self) {
        let calls = &self.outside.calls;
        let is_open =
            |call: &(ActorId, u64)| calls.running.contains(call) || calls.waiting.contains(call);
        let mut callers = self.callers();
        callers.retain(|call| !is_open(call));
        self.outside.calls.waiting.extend(callers);
        self.start_calls();
    }

    /// Actors that wait for the answer of a call, and their waits. These do not hibernate.
    fn callers(&self) -> Vec<(ActorId, u64)> {
        self.actors
            .iter_here()
            .filter(|actor| matches!(actor.body.status, Status::Waits(Wait::Host { .. })))
            .map(|actor| (actor.id, actor.body.waits))
            .collect()
    }

    /// The outside hears nothing of the world from now on.
    pub(super) fn mute(&mut self) {
        self.outside.is_muted = true;
        self.outside.forget_questions();
        for (actor, wait) in self.callers() {
            self.lose_call(actor, wait);
        }
    }

    fn lose_call(&mut self, actor: ActorId, wait: u64) {
        let error = HostError {
            kind: ErrorKind::HostLost,
            message: "the outside hears nothing of this world".to_owned(),
        };
        self.give_host_answer(actor, wait, Err(error));
    }

    /// What a function of the embedder answered has come, to a call that was made before the world has gone back so often.
    pub(super) fn hear_answer(
        &mut self,
        (actor, wait): (ActorId, u64),
        course: u64,
        result: HostResult,
    ) {
        if course == self.outside.calls.course {
            self.host_answer(actor, wait, result);
            self.call_is_over(actor, wait);
        }
    }

    fn call_is_over(&mut self, actor: ActorId, wait: u64) {
        self.outside.calls.running.remove(&(actor, wait));
        self.start_calls();
    }

    /// Starts calls that wait for a thread, as many as may run; those that nobody waits for any more are not made.
    fn start_calls(&mut self) {
        while self.outside.calls.running.len() < self.settings.host_threads_max.max(1) {
            let Some((actor, wait)) = self.outside.calls.waiting.pop_front() else {
                return;
            };
            let question = self.request_of(actor, wait).and_then(|request| {
                let function = self.hosts.get(&request.function)?;
                function.question(&self.code, actor, &request.arguments)
            });
            let Some(question) = question else {
                continue;
            };
            self.outside.calls.running.insert((actor, wait));
            let answers = Answers {
                inbox: Arc::clone(&self.outside.inbox),
                actor,
                wait,
                course: self.outside.calls.course,
                is_over: false,
            };
            self.leave(Leaves::AtOnce, move || {
                let thread = std::thread::Builder::new().name("pw host call".to_owned());
                // Without a thread the answer says that there was none.
                let _ = thread.spawn(move || answers.answer(question()));
            });
        }
    }

    /// What an actor asks in a wait, if it still waits.
    fn request_of(&self, actor: ActorId, wait: u64) -> Option<&HostRequest> {
        let body = &self.actors.here(actor)?.body;
        match &body.status {
            Status::Waits(Wait::Host { request }) if body.waits == wait => Some(request),
            _ => None,
        }
    }

    /// An actor gets the answer of its call, if it still waits for it.
    pub(super) fn give_host_answer(&mut self, actor: ActorId, wait: u64, result: HostResult) {
        if self.request_of(actor, wait).is_none() {
            return;
        }
        let answer: Answered = match result {
            Ok(datum) => Ok(datum.pack(&self.code)),
            Err(error) => Err((error.kind, error.message)),
        };
        self.wake(actor, Due::Answer(Box::new(answer)));
    }
}
