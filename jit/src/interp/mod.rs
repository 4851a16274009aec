//! The fast interpreter: where cold and deoptimised code runs.
//!
//! Each program is rewritten once into an internal form (`form`) of fixed-size instructions with fused
//! sequences. The loop over them handles the common case of the common instructions and nothing else:
//! whatever is rare, dear or about to fail makes it stop *before* the instruction, and one step of the
//! reference interpreter does it instead. So every error, limit, collection and effect happens in
//! exactly one place, and this tier cannot differ in them.
//!
//! Gas is charged by blocks: entering one charges the whole of it (`rest` of its first instruction), and
//! stopping inside gives back what has not run. A block that cannot be paid for whole is done instruction by
//! instruction, up to the exact place to stop.
//!
//! | file | what it holds |
//! |---|---|
//! | `code`, `form`, `rewrite`, `fuse`, `branches`, `known` | the internal form and how it is made |
//! | `steps` | the steps of counting loops: how they are found, and their handlers |
//! | `dispatch` | the loop: which handler an instruction has, and how one hands over to the next |
//! | `hot` | what handlers keep in machine registers; entering and leaving the loop |
//! | `control`, `arith`, `compare`, `data`, `map`, `function`, `text`, `message` | handlers, by opcode module |
//! | `aside` | operations too large for the loop |
//! | `slice_end` | what is done where the gas does not suffice for a block |
//! | `nested` | the loop called from native code |
//! | `routines` | operations that native code and handlers call by themselves |
//! | `profile` | counters and kinds that later tiers and people read |

mod arith;
mod aside;
mod branches;
mod code;
mod compare;
mod control;
mod data;
mod dispatch;
mod form;
mod function;
mod fuse;
mod hot;
mod known;
mod map;
mod message;
mod nested;
pub mod profile;
mod rewrite;
pub(crate) mod routines;
mod site;
mod slice_end;
mod steps;
mod text;

pub(crate) use aside::NOTHING;
pub(crate) use compare::{EQUAL_BY_WORDS, SAME_BY_WORDS, SAME_FREE_BYTES};
pub(crate) use form::InternalProgram;
pub(crate) use hot::Stay;
pub(crate) use map::TEXT_HINT_FACTOR;
pub use message::answer_by_message;
pub(crate) use nested::{Nested, Place};
pub(crate) use profile::TEXT_HINTS;
pub(crate) use rewrite::rewrite;

use crate::code_space::CodeSpace;
use crate::fiber::{Fiber, State};
use crate::host::Host;
use crate::memo::Memo;
use crate::reference::{self, Outcome};
use crate::tier::powers::Asked;
use crate::tier::{Jit, Native};
use crate::value::Value;
use profile::Profile;

/// Runs a fiber for at most `slice` gas, like [`reference::run`] and with the same results. What it
/// learns on the way goes to `profile`. What is hot runs in native code, if the profile has a native tier.
///
/// # Panics
/// When the fiber was made with another code space.
pub fn run(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    fiber.belongs_to(code);
    profile.belong_to(code);
    let mut native = profile.native.take();
    let mut memo = profile.memo.take();
    if let Some(memo) = &mut memo {
        memo.begin(fiber, code, profile);
    }
    let tiers = Tiers {
        jit: native.as_deref_mut(),
        memo: memo.as_deref_mut(),
    };
    let outcome = run_with(fiber, code, host, profile, tiers, slice);
    if let Some(memo) = &mut memo {
        memo.end(fiber);
    }
    profile.native = native;
    profile.memo = memo;
    outcome
}

/// What can spare the fast loop its work.
struct Tiers<'a> {
    jit: Option<&'a mut Jit>,
    memo: Option<&'a mut Memo>,
}

impl Tiers<'_> {
    /// Whether there is something to be done first where a fiber stands.
    fn have_entry(&self, fiber: &Fiber) -> bool {
        self.jit.as_deref().is_some_and(|jit| jit.has_entry(fiber))
            || self
                .memo
                .as_deref()
                .is_some_and(|memo| memo.has_entry(fiber))
    }

    /// What the call returns whose frame a fiber has just entered, where that is known; `is_counted` says
    /// that the entry was counted, and after this it was.
    #[inline]
    fn recall(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        profile: &mut Profile,
        slice_end: u64,
        is_counted: &mut bool,
    ) -> Option<Value> {
        let has_entry = self.memo.as_ref().is_some_and(|memo| memo.has_entry(fiber));
        if !has_entry {
            return None;
        }
        let (program, function, _) = fiber.position();
        if !std::mem::replace(is_counted, true) {
            profile.count_entry(code, program, function);
        }
        self.recall_entered(fiber, code, profile, slice_end)
    }

    #[inline(never)]
    fn recall_entered(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        profile: &mut Profile,
        slice_end: u64,
    ) -> Option<Value> {
        let memo = self.memo.as_deref_mut()?;
        let (program, function, _) = fiber.position();
        let value = memo.enter(fiber, code, slice_end);
        if memo.settle(program, function) {
            profile.release(code, program, function);
            if let Some(jit) = self.jit.as_deref_mut() {
                jit.relink(program, function);
            }
        }
        value
    }

    /// Leaves the newest frame, which native code has run to its end with this value.
    #[inline(never)]
    fn leave(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        host: &mut dyn Host,
        value: Value,
    ) -> Option<Outcome> {
        self.note(fiber, code, Some(value), |fiber| {
            reference::leave(fiber, code, host, value)
        })
    }

    /// Has the reference interpreter do what comes next: the instruction that the loop stopped at, or the first of some that
    /// are looked at. A function of its own: what it needs of the machine's stack and registers would slow the way to the fast
    /// loop.
    #[inline(never)]
    fn step(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        host: &mut dyn Host,
        profile: &mut Profile,
        slice_end: u64,
        observed: u32,
    ) -> Option<Outcome> {
        let (program, function, _) = fiber.position();
        for place in 0..observed.max(1) {
            let asked = match &self.jit {
                Some(_) => Asked::of(fiber, code, &*host),
                None => None,
            };
            let step = |fiber: &mut Fiber| reference::step(fiber, code, host, slice_end);
            let outcome = self.note(fiber, code, None, |fiber| {
                if place < observed {
                    profile.observe(fiber, code, step)
                } else {
                    profile.count(fiber, code, step)
                }
            });
            if outcome.is_some() {
                return outcome;
            }
            if let (Some(asked), Some(jit)) = (asked, self.jit.as_deref_mut()) {
                jit.learn(asked, fiber, &*host);
            }
        }
        if observed > 1
            && let Some(jit) = self.jit.as_deref_mut()
        {
            let suspect = jit.take_suspect();
            for place in [Some((program, function)), suspect].into_iter().flatten() {
                jit.consider(code, profile, place);
            }
        }
        None
    }

    /// Runs one instruction, or leaves a function, and takes note of what it did; `returned` is the value, if
    /// the newest frame is left by it.
    fn note<T>(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        returned: Option<Value>,
        step: impl FnOnce(&mut Fiber) -> T,
    ) -> T {
        let Some(memo) = self.memo.as_deref_mut() else {
            return step(fiber);
        };
        let returned = returned.or_else(|| memo.returning(fiber, code));
        let done = step(fiber);
        memo.after(fiber, code, returned);
        done
    }
}

/// How a stay in the fast loop has ended.
enum Stayed {
    /// The fiber waits for a message.
    Waits,
    /// It stands before what the loop does not do.
    Stopped,
    /// The same, at the entry of a function that has been counted already.
    StoppedCounted,
}

/// Lets a fiber stay in the fast loop as long as it can. It is what most slices consist of, and stands apart from all else that there may be
/// to do in one.
#[inline(never)]
fn stay(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice_end: u64,
    mark: usize,
) -> Stayed {
    let mut stay = Stay::enter(fiber, code, host, profile, slice_end, mark);
    stay.execute();
    if stay.wait() {
        return Stayed::Waits;
    }
    let is_counted = stay.is_counted;
    stay.leave();
    match is_counted {
        true => Stayed::StoppedCounted,
        false => Stayed::Stopped,
    }
}

#[inline(always)]
fn run_with(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    mut tiers: Tiers<'_>,
    slice: u64,
) -> Outcome {
    match fiber.state() {
        State::Ready => {}
        State::Waiting => return Outcome::Waiting,
        State::Done(value) => return Outcome::Done(value),
    }
    if let Some(outcome) = reference::begin(fiber, code, host) {
        return outcome;
    }
    let slice_end = fiber.gas_used().saturating_add(slice);
    // The instruction before has entered a function, which the fast loop does not know.
    let mut has_entered = false;
    loop {
        let known = tiers.recall(fiber, code, profile, slice_end, &mut has_entered);
        if let Some(value) = known {
            has_entered = false;
            match reference::leave(fiber, code, host, value) {
                Some(outcome) => return outcome,
                None => continue,
            }
        }
        let native = match tiers.jit.as_deref_mut() {
            Some(jit) => {
                jit.catch_up(code, profile);
                match jit.entry(fiber.position()) {
                    None => Native::None,
                    Some(entry) => {
                        let memo = tiers.memo.as_deref_mut();
                        jit.go_on(fiber, code, host, profile, memo, (slice_end, entry))
                    }
                }
            }
            None => Native::None,
        };
        if let Native::Left(_) | Native::OutOfGas = native
            && let Some(outcome) = slice_end::pause(fiber, code, host, slice_end)
        {
            return outcome;
        }
        let may_enter = matches!(native, Native::None);
        let observed = match native {
            Native::None | Native::OutOfGas => {
                let mut observed = 0;
                if has_entered {
                    observed = profile.due(fiber, code, true);
                }
                if observed == 0 {
                    let mark = tiers.memo.as_deref().map_or(usize::MAX, Memo::mark);
                    let is_counted = match stay(fiber, code, host, profile, slice_end, mark) {
                        Stayed::Waits => return Outcome::Waiting,
                        Stayed::Stopped => false,
                        Stayed::StoppedCounted => true,
                    };
                    // An entry that is still to be counted is looked at first.
                    if (is_counted || fiber.pc > 0)
                        && let Some(outcome) = slice_end::pause(fiber, code, host, slice_end)
                    {
                        return outcome;
                    }
                    if may_enter && tiers.have_entry(fiber) {
                        has_entered = false;
                        continue;
                    }
                    observed = profile.due(fiber, code, is_counted);
                }
                observed
            }
            // One step further at least: what made it leave would make it leave again.
            Native::Refused => 0,
            Native::Left(0) => profile.due(fiber, code, false),
            Native::Left(instructions) => instructions,
            Native::Returned(value) => {
                has_entered = false;
                match tiers.leave(fiber, code, host, value) {
                    Some(outcome) => return outcome,
                    None => continue,
                }
            }
        };
        let depth = fiber.depth();
        let outcome = tiers.step(fiber, code, host, profile, slice_end, observed);
        if let Some(outcome) = outcome {
            return outcome;
        }
        // What went beyond the slice is no gas for what comes next, even where that costs nothing.
        if fiber.gas_used() > slice_end
            && let Some(outcome) = slice_end::pause(fiber, code, host, slice_end)
        {
            return outcome;
        }
        has_entered = observed == 0 && fiber.depth() > depth;
    }
}
