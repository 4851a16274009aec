//! What a supervisor wants to happen when an actor that it started ends.

use std::collections::VecDeque;

use pw_jit::fiber::parcel::Parcel;
use pw_jit::fiber::start::Start;
use pw_jit::{CodeSpace, Fiber};

use super::{ActorId, EndReason};
use crate::message::Message;
use crate::options;
use crate::portable::portable;

/// When an actor is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restart {
    /// Whenever it ends, unless it is killed.
    Always,
    /// When it ends by an error.
    OnFailure,
    /// Never.
    Never,
}

/// Restarts that are allowed within [`WITHIN_MS`] unless the supervisor says otherwise.
const RESTARTS_MAX: u64 = 3;
/// Milliseconds of world time in which restarts are counted unless the supervisor says otherwise.
const WITHIN_MS: u64 = 5_000;

/// What a supervisor wants of an actor.
#[derive(Debug)]
pub(crate) struct Supervision {
    /// How it begins, each time.
    pub(crate) start: Start,
    pub(crate) restart: Restart,
    /// Whether it goes back to before the message that it failed on, in place of its beginning.
    pub(crate) rewinds: bool,
    /// So many restarts …
    restarts_max: u64,
    /// … within so many milliseconds are too many.
    within_ms: u64,
    /// When it was restarted, as far as it still counts.
    restarts: VecDeque<u64>,
    /// The actor as it was before the message that it has now.
    pub(crate) saved: Option<Box<Saved>>,
}

/// An actor before a message.
#[derive(Debug)]
pub(crate) struct Saved {
    /// It waits for a message.
    pub(crate) fiber: Fiber,
    /// The message that it got then.
    pub(crate) message: Message,
    /// The children that it has started since.
    pub(crate) children: Vec<ActorId>,
}

impl Supervision {
    /// Reads the options of `supervise`: a list of alternating keys and values.
    pub(crate) fn new(
        code: &CodeSpace,
        start: Start,
        options: &Parcel,
    ) -> Result<Supervision, String> {
        let mut wanted = Supervision {
            start,
            restart: Restart::OnFailure,
            rewinds: false,
            restarts_max: RESTARTS_MAX,
            within_ms: WITHIN_MS,
            restarts: VecDeque::new(),
            saved: None,
        };
        let taken = options::read(code, options, |key, value| {
            match (key, value.symbol, value.truth, value.number) {
                (":restart", Some("always"), ..) => wanted.restart = Restart::Always,
                (":restart", Some("on-failure"), ..) => wanted.restart = Restart::OnFailure,
                (":restart", Some("never"), ..) => wanted.restart = Restart::Never,
                (":rewind", _, Some(rewinds), _) => wanted.rewinds = rewinds,
                (":max", _, _, Some(max)) => wanted.restarts_max = max,
                (":within", _, _, Some(ms)) => wanted.within_ms = ms,
                _ => return false,
            }
            true
        });
        let usage =
            "supervise takes :restart 'always, 'on-failure or 'never, :rewind, :max and :within";
        taken
            .map(|()| wanted)
            .map_err(|text| format!("{usage}; found {text}"))
    }

    /// Whether the actor is to go on after such an end, and may; a restart is counted.
    pub(crate) fn allows_restart(&mut self, reason: &EndReason, now_ms: u64) -> bool {
        let wanted = match reason {
            EndReason::Killed => false,
            EndReason::Done(_) => self.restart == Restart::Always,
            EndReason::Failed(_) | EndReason::Linked { .. } => self.restart != Restart::Never,
        };
        let since = now_ms.saturating_sub(self.within_ms);
        while self.restarts.front().is_some_and(|at| *at < since) {
            self.restarts.pop_front();
        }
        let allowed = wanted && (self.restarts.len() as u64) < self.restarts_max;
        if allowed {
            self.restarts.push_back(now_ms);
        }
        allowed
    }
}

portable!(enum Restart { 0 => Always, 1 => OnFailure, 2 => Never });
portable!(struct Saved { fiber, message, children });
portable!(struct Supervision {
    start, restart, rewinds, restarts_max, within_ms, restarts, saved
});
