//! Memoisation: a call of a pure function that was made before is not run again.
//!
//! It cannot be noticed. A record holds the value and all that the call cost; it stands for a call only
//! where the call would have come to its end without a stop, a collection or a limit, and then exactly that
//! is charged. Everywhere else the call is run.
//!
//! ```text
//! call ──▶ entry of the function: the fast loop stops, native code asks here
//!             ├─ known, and it fits ──▶ charged, returned
//!             └─ else: the frame is *watched* and the function runs ──▶ its return stops the fast loop
//!                                                                          └─▶ value and cost are kept
//! ```
//!
//! The fast loop stops at the entry because the counter there is held at zero, and at the return because
//! the header of a watched frame names a program that does not exist. Neither costs anything where nothing
//! is memoised. Watched frames exist only within one slice: a call that is stopped is not recorded.
//!
//! How deep a call goes is found by a *mark* in the stack that the fast loop and native code do not pass,
//! so that they stop where a frame would be beyond it; then it is moved up, each time further. So depth
//! and stack of a record are bounds from above.
//!
//! A function whose calls save less than looking them up costs is switched off, by counts and gas alone.

mod cache;

use pw_isa::cost;
use pw_isa::op::{Control, Effects, Op};

pub(crate) use cache::Situation;
pub use cache::{ARGUMENTS_MAX, CachedResult, ExecutionCache, ExecutionPattern};

use crate::by_program::ByProgram;
use crate::code_space::{CodeSpace, LoadedProgram};
use crate::fiber::Fiber;
use crate::interp::profile::Profile;
use crate::value::Value;

/// Calls of a function after which it is asked whether looking them up has paid.
const TRIAL_CALLS: u32 = 256;
/// What looking a call up costs, in the gas that could be used meanwhile.
const LOOKUP_GAS: u64 = 100;
/// Calls within each other that are recorded at once.
const RECORDINGS_MAX: usize = 4096;
/// Slots by which the mark in the stack is moved up, at least.
const MARK_SLOTS: usize = 256;

/// How much is memoised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemoSettings {
    /// Results that are kept, about 200 bytes each.
    pub max_cache_size: usize,
    /// Whether functions for which it does not pay are switched off; tests see more without.
    pub switches_off: bool,
}

impl Default for MemoSettings {
    /// 32,768 results.
    fn default() -> MemoSettings {
        MemoSettings {
            max_cache_size: 32_768,
            switches_off: true,
        }
    }
}

/// What memoisation did so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoStatistics {
    /// Calls that were looked up.
    pub lookups: u64,
    /// Those whose result was known and was returned.
    pub hits: u64,
    /// Those whose result was known, but too near to a limit or the end of the slice.
    pub unfit: u64,
    /// Gas that was charged for calls that were not run.
    pub gas: u64,
    /// Results that are kept.
    pub results: u64,
    /// Functions that are memoised.
    pub functions: u64,
    /// Functions for which it did not pay.
    pub switched_off: u64,
}

impl MemoStatistics {
    /// The share of lookups that returned a result; 0 before the first.
    pub fn hit_rate(&self) -> f64 {
        self.hits as f64 / (self.lookups as f64).max(1.0)
    }
}

/// Whether calls of a function are looked up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It is not pure, or so small that it is never worth it.
    Never,
    /// With the calls and the gas saved since it was last asked whether it pays.
    On { calls: u32, gas: u64 },
    /// It did not pay.
    Off,
}

/// A call that is being run, to be known afterwards.
#[derive(Debug)]
struct Recording {
    pattern: ExecutionPattern,
    /// The frame's r0, and how deep it is.
    base: usize,
    depth: u32,
    /// At its beginning.
    gas: u64,
    allocated: u64,
    collections: u64,
    /// The mark of the recording around it.
    mark_outside: usize,
}

/// The memoisation of one worker.
#[derive(Debug)]
pub struct Memo {
    settings: MemoSettings,
    cache: ExecutionCache,
    /// By program and function.
    programs: ByProgram<Vec<State>>,
    recordings: Vec<Recording>,
    /// No frame passes this slot without notice.
    mark: usize,
    /// The depth and gas at which an entry was last looked at.
    seen: Option<(u32, u64)>,
    statistics: MemoStatistics,
}

impl Memo {
    /// Nothing is known yet.
    pub(crate) fn new(settings: MemoSettings) -> Memo {
        Memo {
            settings,
            cache: ExecutionCache::new(settings.max_cache_size),
            programs: ByProgram::default(),
            recordings: Vec::new(),
            mark: usize::MAX,
            seen: None,
            statistics: MemoStatistics::default(),
        }
    }

    /// What it did so far.
    pub fn statistics(&self) -> MemoStatistics {
        let states = self.programs.iter().flat_map(|(_, states)| states);
        let count =
            |wanted: fn(&State) -> bool| states.clone().filter(|s| wanted(s)).count() as u64;
        MemoStatistics {
            results: self.cache.len() as u64,
            functions: count(|state| matches!(state, State::On { .. })),
            switched_off: count(|state| *state == State::Off),
            ..self.statistics
        }
    }

    /// The results that are kept.
    pub fn cache(&self) -> &ExecutionCache {
        &self.cache
    }

    /// The functions for which it did not pay, by program and number.
    pub fn switched_off(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.programs.iter().flat_map(|(program, states)| {
            let off = (0..).zip(states).filter(|(_, state)| **state == State::Off);
            off.map(move |(function, _)| (program, function))
        })
    }

    /// Forgets everything: what comes is about other code.
    pub(crate) fn forget(&mut self) {
        self.programs.clear();
        self.cache.clear();
    }

    /// Gets ready for a slice of a fiber.
    pub(crate) fn begin(&mut self, fiber: &Fiber, code: &CodeSpace, profile: &mut Profile) {
        self.seen = None;
        let program = fiber.program;
        if self.programs.get(program).is_some() {
            return;
        }
        let loaded = code.program(program);
        let functions = 0..loaded.program().functions.len() as u32;
        let states: Vec<State> = functions
            .map(|function| match is_worth_a_trial(loaded, function) {
                true => State::On { calls: 0, gas: 0 },
                false => State::Never,
            })
            .collect();
        for (function, state) in (0..).zip(&states) {
            if *state != State::Never {
                profile.hold(code, program, function);
            }
        }
        self.programs.get_or_insert_with(program, || states);
    }

    /// Ends a slice: no frame is watched any more.
    pub(crate) fn end(&mut self, fiber: &mut Fiber) {
        while let Some(recording) = self.recordings.pop() {
            if recording.depth <= fiber.depth {
                fiber.unwatch(recording.base);
            }
        }
        self.mark = usize::MAX;
    }

    /// The slot that no frame may pass without notice.
    pub(crate) fn mark(&self) -> usize {
        self.mark
    }

    /// Whether calls of a function are looked up.
    pub(crate) fn is_on(&self, program: u32, function: u32) -> bool {
        let states = self.programs.get(program);
        states.is_some_and(|states| matches!(states[function as usize], State::On { .. }))
    }

    /// Whether a fiber stands at the entry of a memoised function that was not looked at yet.
    pub(crate) fn has_entry(&self, fiber: &Fiber) -> bool {
        fiber.pc == 0
            && fiber.depth > 1
            && self.seen != Some((fiber.depth, fiber.gas_used))
            && self.is_on(fiber.program, fiber.function)
    }

    /// Looks up the call whose frame a fiber has just entered. Its value, all it costs being charged; `None`
    /// when it is to be run, which is watched from here on.
    pub(crate) fn enter(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        slice_end: u64,
    ) -> Option<Value> {
        self.seen = Some((fiber.depth, fiber.gas_used));
        let (program, function, _) = fiber.position();
        let is_recorded = self
            .recordings
            .last()
            .is_some_and(|recording| recording.depth == fiber.depth);
        let loaded = code.program(program).function(function);
        let first = fiber.base;
        let arguments = &fiber.stack[first..first + usize::from(loaded.params)];
        let pattern = ExecutionPattern::new(program, function, arguments);
        // A frame that is recorded has got here by a tail call, or by a loop at its beginning.
        let Some(pattern) = pattern.filter(|_| !is_recorded) else {
            self.count(program, function, 0);
            return None;
        };
        let limits = fiber.bounds();
        // Where it has used more, no call is done, not even one that costs nothing.
        let gas = slice_end.min(limits.gas).checked_sub(fiber.gas_used)?;
        let place = Situation {
            gas,
            limits,
            counters: fiber.arena.counters,
            depth: fiber.depth,
            stack_bytes: first as u64 * cost::SLOT_BYTES,
        };
        let known = self.recall(&pattern, &place);
        if known.is_none() {
            self.statistics.lookups += 1;
            self.statistics.unfit += u64::from(self.cache.holds(&pattern));
        }
        if let Some(known) = known {
            fiber.gas_used += known.gas;
            fiber.arena.charge(known.allocated_bytes);
            return Some(known.value);
        }
        self.count(program, function, 0);
        if self.recordings.len() < RECORDINGS_MAX && self.is_on(program, function) {
            self.record(fiber, pattern, loaded.registers);
        }
        None
    }

    /// The record of a call, if there is one and it fits. It is taken to be used. A call for which there is
    /// none counts where it is [entered](Self::enter).
    pub(crate) fn recall(
        &mut self,
        pattern: &ExecutionPattern,
        place: &Situation,
    ) -> Option<CachedResult> {
        let known = self.cache.lookup_cached_result(pattern)?;
        if !known.fits(place) {
            return None;
        }
        self.statistics.lookups += 1;
        self.statistics.hits += 1;
        self.statistics.gas += known.gas;
        let (program, function) = pattern.function();
        self.count(program, function, known.gas);
        // What is recorded around it would have reached as far.
        let end = place.stack_bytes + known.stack_bytes;
        self.raise_to(end.div_ceil(cost::SLOT_BYTES) as usize, 0);
        Some(known)
    }

    /// Counts a call of a function by which so much gas was saved, and switches it off when it does not pay.
    fn count(&mut self, program: u32, function: u32, saved: u64) {
        let states = self.programs.get_mut(program);
        let state = states.and_then(|states| states.get_mut(function as usize));
        if let Some(State::On { calls, gas }) = state {
            *calls = calls.saturating_add(1);
            *gas = gas.saturating_add(saved);
        }
    }

    /// Switches the function off at whose entry a fiber stands, if its calls have not paid: true when it did
    /// so now.
    pub(crate) fn settle(&mut self, program: u32, function: u32) -> bool {
        let switches_off = self.settings.switches_off;
        let states = self.programs.get_mut(program);
        let state = states.and_then(|states| states.get_mut(function as usize));
        let Some(state) = state else { return false };
        let State::On { calls, gas } = *state else {
            return false;
        };
        if calls < TRIAL_CALLS {
            return false;
        }
        let pays = gas >= u64::from(calls) * LOOKUP_GAS || !switches_off;
        *state = match pays {
            true => State::On { calls: 0, gas: 0 },
            false => State::Off,
        };
        !pays
    }

    fn record(&mut self, fiber: &mut Fiber, pattern: ExecutionPattern, registers: u16) {
        fiber.watch();
        self.recordings.push(Recording {
            pattern,
            base: fiber.base,
            depth: fiber.depth,
            gas: fiber.gas_used,
            allocated: fiber.arena.counters.allocated,
            collections: fiber.arena.statistics.collections,
            mark_outside: self.mark,
        });
        self.mark = fiber.base + usize::from(registers) + MARK_SLOTS;
    }

    /// The value that a recorded call is about to return by the next instruction.
    pub(crate) fn returning(&self, fiber: &Fiber, code: &CodeSpace) -> Option<Value> {
        let recording = self.recordings.last()?;
        let (_, function) = fiber.current(code);
        match function.code[fiber.pc as usize] {
            Op::Control(Control::Return { value }) if recording.depth == fiber.depth => {
                Some(fiber.stack[fiber.base + usize::from(value.0)])
            }
            _ => None,
        }
    }

    /// Takes note of what an instruction has done: of the return of `value`, if there was one, of frames that
    /// are gone, and of one beyond the mark.
    pub(crate) fn after(&mut self, fiber: &Fiber, code: &CodeSpace, value: Option<Value>) {
        if self.recordings.is_empty() {
            return;
        }
        while let Some(recording) = self.recordings.pop_if(|last| last.depth > fiber.depth) {
            if let Some(value) = value
                && recording.depth == fiber.depth + 1
            {
                self.keep(&recording, fiber, value);
            }
            self.mark = self.mark.max(recording.mark_outside);
        }
        let (_, function) = fiber.current(code);
        self.raise_to(fiber.base + usize::from(function.registers), MARK_SLOTS);
    }

    /// Keeps what a call has returned, unless it met a collection or the value is not itself alone.
    fn keep(&mut self, recording: &Recording, fiber: &Fiber, value: Value) {
        let collections = fiber.arena.statistics.collections;
        let Some(value) = cache::plain(value).filter(|_| collections == recording.collections)
        else {
            return;
        };
        // As a frame takes a slot at least, there were never more of them than slots.
        let slots = (self.mark - recording.base) as u64;
        let result = CachedResult {
            value,
            gas: fiber.gas_used - recording.gas,
            depth: slots.min(u32::MAX.into()) as u32,
            stack_bytes: slots * cost::SLOT_BYTES,
            allocated_bytes: fiber.arena.counters.allocated - recording.allocated,
        };
        self.cache.cache_result(recording.pattern, result);
    }

    /// Makes sure that native code entered at the newest frame may use so many slots from its r0 on.
    pub(crate) fn make_room(&mut self, fiber: &Fiber, slots: u32) {
        self.raise_to(fiber.base + slots as usize, MARK_SLOTS);
    }

    /// Makes sure that frames may reach a slot, and some more of them.
    pub(crate) fn raise_to(&mut self, end: usize, more: usize) {
        if let Some(recording) = self.recordings.last()
            && end > self.mark
        {
            let reached = end - recording.base;
            self.mark = end + if more == 0 { 0 } else { more.max(reached) };
        }
    }
}

/// Whether results of a function may be worth keeping: it is pure, takes a few arguments as they stand, and
/// can take more steps than looking it up would.
fn is_worth_a_trial(program: &LoadedProgram, number: u32) -> bool {
    let function = program.function(number);
    let is_long = function.code.len() as u64 > LOOKUP_GAS;
    let has_safepoints = || {
        let mut code = function.code.iter();
        code.any(|op| op.info().effects.has(Effects::SAFEPOINT))
    };
    program.impurity(number).is_none()
        && !function.rest
        && function.captures == 0
        && usize::from(function.params) <= ARGUMENTS_MAX
        && (is_long || has_safepoints())
}
