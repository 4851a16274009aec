//! Calls of the embedder's functions that happen outside: each on a thread of its own, so many at once at most.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use pw_isa::ErrorKind;

use super::World;
use super::outside::Input;
use crate::actor::{ActorId, Answered, Due, Status, Wait};
use crate::host::{HostCall, HostError, HostResult};

/// A call that waits for a thread.
struct WaitingCall {
    actor: ActorId,
    wait: u64,
    question: Box<dyn FnOnce() -> HostResult + Send>,
}

impl fmt::Debug for WaitingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a call by {}", self.actor)
    }
}

/// Calls whose answer has not come.
#[derive(Debug, Default)]
pub(super) struct HostCalls {
    running: usize,
    waiting: VecDeque<WaitingCall>,
}

impl HostCalls {
    /// Whether an answer is to come.
    pub(super) fn is_open(&self) -> bool {
        self.running > 0
    }
}

impl World {
    /// Carries out a call of a function of the embedder.
    pub(super) fn call_outside(&mut self, from: ActorId, call: HostCall) {
        let Some(wait) = call.wait else {
            return call.release(&self.code, from);
        };
        let Some(question) = call.question(&self.code, from) else {
            unreachable!("who waits has asked")
        };
        self.outside.calls.waiting.push_back(WaitingCall {
            actor: from,
            wait,
            question: Box::new(question),
        });
        self.start_calls();
    }

    /// The answer of a call has come.
    pub(super) fn host_answer(&mut self, actor: ActorId, wait: u64, result: HostResult) {
        self.outside.calls.running -= 1;
        self.give_answer(actor, wait, result);
        self.start_calls();
    }

    /// Starts calls that wait for a thread, as many as may run; those that nobody waits for any more are not made.
    fn start_calls(&mut self) {
        while self.outside.calls.running < self.settings.host_threads_max.max(1) {
            let Some(call) = self.outside.calls.waiting.pop_front() else {
                return;
            };
            let WaitingCall {
                actor,
                wait,
                question,
            } = call;
            if !self.waits_for_call(actor, wait) {
                continue;
            }
            let inbox = Arc::clone(&self.outside.inbox);
            let thread = std::thread::Builder::new().name("pw host call".to_owned());
            let started = thread.spawn(move || {
                let result = question();
                inbox.push(Input::HostAnswer {
                    actor,
                    wait,
                    result,
                });
            });
            match started {
                Ok(_) => self.outside.calls.running += 1,
                Err(error) => {
                    let kind = ErrorKind::HostLost;
                    let message = format!("there is no thread for the call: {error}");
                    self.give_answer(actor, wait, Err(HostError { kind, message }));
                }
            }
        }
    }

    fn waits_for_call(&mut self, actor: ActorId, wait: u64) -> bool {
        self.body(actor).is_some_and(|body| {
            body.waits == wait && matches!(body.status, Status::Waits(Wait::Host { .. }))
        })
    }

    fn give_answer(&mut self, actor: ActorId, wait: u64, result: HostResult) {
        if !self.waits_for_call(actor, wait) {
            return;
        }
        let answer: Answered = match result {
            Ok(datum) => Ok(datum.pack(&self.code)),
            Err(error) => Err((error.kind, error.message)),
        };
        self.wake(actor, Due::Answer(Box::new(answer)));
    }
}
