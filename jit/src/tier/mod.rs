//! Which code runs a fiber: the interpreter, and native code for what is hot.
//!
//! The interpreter's counters of loops and calls say what is hot. A function with native code keeps its
//! counters at zero, so that the interpreter stops wherever it could be entered. Guesses that fail teach
//! the profile, and the function is compiled again; where they go on failing, without the guess.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | one worker: what it asks for, what it takes into use |
//! | `program` | its code tables, why native code was left, what is worth being entered |
//! | `loops`, `request` | at which loops native code can be entered; what the compiler is asked |
//! | `compiler` | what workers share: requests, the thread that answers them, the budget |
//! | `cache`, `function` | the code there is; a function in executable memory |
//! | `settings`, `event` | when and how functions are compiled; what happens, for logs and tools |
//! | `statistics` | what happened so far |
//! | `perf` | names of native code for `perf` |
//! | `native` | into native code and out of it |
//! | `routines` | what native code calls for single operations |
//!
//! When code arrives depends on time. It never changes what a program does: every tier has the same
//! results, gas and states at every instruction.

mod cache;
mod compiler;
mod event;
mod function;
mod loops;
mod native;
mod perf;
pub(crate) mod powers;
mod program;
mod request;
pub(crate) mod routines;
mod settings;
mod statistics;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::by_program::ByProgram;
pub use crate::code::store::StoreError;
use crate::code_space::CodeSpace;
use crate::compile::state::Entries;
pub use crate::compile::state::ExitReason;
pub use crate::compile::{CompileError, CompiledCode, Explanation};
use crate::fiber::Fiber;
use crate::host::Host;
use crate::interp::profile::{BURST, Pace, Profile};
use crate::memo::Memo;
use crate::value::Value;
pub use compiler::{CompilerStatistics, JitCompiler};
use compiler::{Finished, Inbox};
pub use event::{JitEvent, Watch};
pub use function::CompiledFunction;
use loops::Rounds;
use native::Left;
pub use perf::{PerfFile, PerfForm};
use powers::Powers;
use program::ProgramState;
use request::{loops_to_ask, request};
pub use settings::{CompilationBudget, JitSettings, OptimizationLevel, Optimizations};
pub use statistics::{ExitSite, JitStatistics};

/// Compilations of one function.
const COMPILATIONS_MAX: u32 = 20;

/// The native tier of one worker.
pub struct Jit {
    compiler: Arc<JitCompiler>,
    inbox: Arc<Inbox>,
    /// Evictions that this worker has taken note of.
    evictions: u64,
    programs: ByProgram<ProgramState>,
    /// The function whose body a wrong guess has just left.
    suspect: Option<(u32, u32)>,
    /// Exits that are passed by before one is forced.
    exits_left: u64,
    powers: Powers,
    entries: u64,
    /// Gas that native code has used.
    gas: u64,
    native_time: Duration,
}

/// What a try to go on in native code came to.
pub(crate) enum Native {
    /// There is no native code for the place.
    None,
    /// There is, but it was not entered.
    Refused,
    /// The newest frame is done, with a value.
    Returned(Value),
    /// The gas that is left does not suffice for going on there.
    OutOfGas,
    /// The fiber stands somewhere else; how many of the instructions that come next are to be learnt from.
    Left(u32),
}

impl std::fmt::Debug for Jit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jit")
            .field("compiler", &self.compiler)
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

impl Jit {
    /// A worker without any code yet.
    pub(crate) fn new(compiler: Arc<JitCompiler>) -> Jit {
        Jit {
            evictions: compiler.evictions(),
            exits_left: compiler.settings().forced_exits.unwrap_or(0),
            compiler,
            inbox: Arc::default(),
            programs: ByProgram::default(),
            suspect: None,
            powers: Powers::new(),
            entries: 0,
            gas: 0,
            native_time: Duration::ZERO,
        }
    }

    /// The compiler that it asks.
    pub fn compiler(&self) -> &Arc<JitCompiler> {
        &self.compiler
    }

    /// The native code that a function has now.
    pub fn compiled(&self, program: u32, function: u32) -> Option<&Arc<CompiledFunction>> {
        let state = self.programs.get(program)?;
        state.functions.get(function as usize)?.native.as_ref()
    }

    /// The instructions of a function about which guesses have failed too often.
    fn generic(&self, program: u32, function: u32) -> &[u32] {
        let state = self.programs.get(program);
        let state = state.and_then(|state| state.functions.get(function as usize));
        state.map_or(&[], |state| &state.generic)
    }

    /// Drops all native code; answers to requests made before are not for this worker any more.
    pub(crate) fn forget(&mut self) {
        self.programs.clear();
        self.suspect = None;
        self.powers = Powers::new();
        self.inbox = Arc::default();
    }

    /// Whether native code can be entered where the fiber stands.
    #[inline]
    pub(crate) fn has_entry(&self, fiber: &Fiber) -> bool {
        self.entry(fiber.position()).is_some()
    }

    /// The native code for a place, and the number of the entry.
    #[inline]
    pub(crate) fn entry(
        &self,
        (program, function, pc): (u32, u32, u32),
    ) -> Option<(*const u8, u32)> {
        self.programs.get(program)?.entry(function, pc)
    }

    /// Takes into use what has been compiled, and lets go of what was evicted. Never waits.
    #[inline]
    pub(crate) fn catch_up(&mut self, space: &CodeSpace, profile: &mut Profile) {
        if self.inbox.has_news() || self.compiler.evictions() != self.evictions {
            self.take_news(space, profile);
        }
    }

    #[inline(never)]
    fn take_news(&mut self, space: &CodeSpace, profile: &mut Profile) {
        for Finished {
            program,
            function,
            result,
        } in self.inbox.take()
        {
            self.install(space, profile, (program, function), result);
        }
        let evictions = self.compiler.evictions();
        if evictions != self.evictions {
            self.evictions = evictions;
            self.unlink_evicted(space, profile);
        }
    }

    /// Goes on in native code at the entry for the place where the fiber stands.
    #[inline(never)]
    pub(crate) fn go_on(
        &mut self,
        fiber: &mut Fiber,
        space: &CodeSpace,
        host: &mut dyn Host,
        profile: &mut Profile,
        mut memo: Option<&mut Memo>,
        (slice_end, (start, entry)): (u64, (*const u8, u32)),
    ) -> Native {
        let place = fiber.position();
        let (Some(state), Some(ways)) = (self.programs.get(place.0), self.compiler.ways()) else {
            return Native::None;
        };
        let Some(native) = &state.functions[place.1 as usize].native else {
            return Native::None;
        };
        let JitSettings {
            native_stack,
            forced_exits,
            timed,
            ..
        } = *self.compiler.settings();
        fiber.make_room(native.slots());
        if let Some(memo) = memo.as_deref_mut() {
            memo.make_room(fiber, native.slots());
        }
        let code = native::Code {
            entrance: ways.entrance.start(),
            sparing: ways.sparing.each_ref().map(|way| way.start()),
            table: &state.table,
            shapes: &state.shapes,
            entries: state,
            has_news: self.inbox.is_filled(),
            native_stack,
            exits_left: &mut self.exits_left,
            known: self.powers.known(fiber, space, &*host),
            memo,
            function: start,
            entry,
        };
        native.see(self.compiler.clock());
        self.entries += 1;
        let gas_before = fiber.gas_used();
        let began = timed.then(Instant::now);
        let left = native::enter(fiber, space, host, profile, slice_end, code);
        self.native_time += began.map_or(Duration::ZERO, |began| began.elapsed());
        let gas = fiber.gas_used() - gas_before;
        self.gas = self.gas.saturating_add(gas);
        if left.is_for_code() {
            self.note_stay(space, profile, (place.0, place.1), gas);
        }
        match left {
            Left::Returned(value) => Native::Returned(value),
            Left::Refused => Native::Refused,
            Left::OutOfGas => Native::OutOfGas,
            Left::Exit {
                reason,
                function,
                pc,
                body,
            } => {
                if let (ExitReason::Forced, Some(exits)) = (reason, forced_exits) {
                    self.exits_left = exits;
                }
                let body = body.unwrap_or(place.1);
                let observed = self.note_exit(profile, (place.0, function, pc), reason, body);
                match reason {
                    ExitReason::Gas => Native::OutOfGas,
                    _ => Native::Left(observed),
                }
            }
        }
    }

    /// Enters a function no more for a while whose stays in native code are too short in the mean: the way in and out
    /// takes longer than the interpreter then. Native code goes on calling it.
    fn note_stay(
        &mut self,
        space: &CodeSpace,
        profile: &mut Profile,
        (program, function): (u32, u32),
        gas: u64,
    ) {
        let Some(state) = self.programs.get_mut(program) else {
            return;
        };
        let of_function = &mut state.functions[function as usize];
        if of_function.note_stay(gas, self.compiler.settings().short_stay) {
            of_function.rest(profile.heat(space, program, function));
            self.set_pace(space, profile, (program, function));
        }
    }

    /// Says when the interpreter stops in a function, which follows from what there is of it.
    fn set_pace(&self, space: &CodeSpace, profile: &mut Profile, place: (u32, u32)) {
        let Some(state) = self.programs.get(place.0) else {
            return;
        };
        let of_function = &state.functions[place.1 as usize];
        let pace = match of_function.native {
            Some(_) if !of_function.rests => Pace::Pinned,
            _ if of_function.is_pending => Pace::Awaited,
            Some(_) => Pace::Resting,
            None => Pace::Sampled,
        };
        let loops = of_function
            .native
            .as_ref()
            .map_or(&[][..], |native| native.loops());
        let elsewhere = match of_function.is_pending {
            true => Pace::Awaited,
            false => Pace::Sampled,
        };
        profile.set_pace(space, place, (pace, elsewhere), loops);
    }

    /// Counts an exit from a function's body, and what it says about guesses: the instruction may be one
    /// of a function inlined there. How many instructions are to be learnt from: none while the body is being
    /// compiled again, for it goes on failing until then; where one may have failed, only whether it has.
    fn note_exit(
        &mut self,
        profile: &mut Profile,
        (program, function, pc): (u32, u32, u32),
        reason: ExitReason,
        body: u32,
    ) -> u32 {
        let Some(state) = self.programs.get_mut(program) else {
            return 0;
        };
        if let Some(native) = &state.functions[body as usize].native {
            native.see(self.compiler.clock());
        }
        let of_function = &mut state.functions[function as usize];
        *of_function.exits.entry((pc, reason)).or_default() += 1;
        let has_raised = reason == ExitReason::Aside && {
            let site = profile.function(program, function).get(pc as usize);
            of_function.note_raised(pc, site.map_or(0, |site| site.raised))
        };
        let is_pending = state.functions[body as usize].is_pending;
        if is_pending || !(reason.is_wrong_guess() || has_raised) {
            return u32::from(reason == ExitReason::Aside);
        }
        let is_of_kind = matches!(reason, ExitReason::Kind | ExitReason::Callee);
        if is_of_kind && state.functions[body as usize].begin_phase(self.gas) {
            for number in [function, body] {
                profile.start_afresh(program, number);
                state.functions[number as usize].forget_failures();
            }
        }
        let of_body = &mut state.functions[body as usize];
        *of_body.failed.entry((function, pc, reason)).or_default() += 1;
        self.suspect = Some((program, body));
        state.functions[function as usize].note_failure(pc);
        BURST
    }

    /// The function whose body a wrong guess has left, once.
    pub(crate) fn take_suspect(&mut self) -> Option<(u32, u32)> {
        self.suspect.take()
    }

    /// Has a function compiled that is hot or whose guesses have failed.
    pub(crate) fn consider(
        &mut self,
        space: &CodeSpace,
        profile: &mut Profile,
        (program, function): (u32, u32),
    ) {
        let settings = *self.compiler.settings();
        let new = || ProgramState::new(space, program);
        let state = self.programs.get_or_insert_with(program, new);
        let of_function = &mut state.functions[function as usize];
        if of_function.gave_up || of_function.is_pending {
            return;
        }
        let heat = profile.heat(space, program, function);
        let instructions = space.program(program).function(function).code.len();
        let lacking = match settings.optimizations.osr {
            true => of_function.lacking(settings.threshold, instructions, || {
                profile.passes(space, program, function)
            }),
            false => Vec::new(),
        };
        let is_due = match of_function.native {
            None => heat >= of_function.heat_to_compile(settings.threshold, instructions),
            Some(_) => of_function.has_failed() || !lacking.is_empty(),
        };
        if !is_due {
            if of_function.rests && heat >= of_function.wanted_heat {
                of_function.rests = false;
                of_function.rounds = Rounds::of(profile.passes(space, program, function));
                self.set_pace(space, profile, (program, function));
            }
            return;
        }
        if of_function.compilations >= COMPILATIONS_MAX {
            return self.give_up(space, profile, (program, function));
        }
        self.ask(space, profile, (program, function), &lacking);
    }

    /// Asks for code of a function, with ways into the loops that were lacking, and waits for it where it does not come from
    /// the thread.
    fn ask(
        &mut self,
        space: &CodeSpace,
        profile: &mut Profile,
        (program, function): (u32, u32),
        lacking: &[u32],
    ) {
        let Some(state) = self.programs.get_mut(program) else {
            return;
        };
        let of_function = &state.functions[function as usize];
        if let Some(native) = &of_function.native {
            let exits = of_function.wrong_guesses();
            self.compiler.tell(&JitEvent::Recompiling {
                function: native.name(),
                exits: &exits,
                loops: lacking,
            });
        }
        let settings = *self.compiler.settings();
        let asked = &of_function.asked_loops;
        let loops = loops_to_ask(
            space,
            profile,
            settings.threshold,
            (program, function),
            asked,
            lacking,
        );
        let functions = &state.functions;
        let request = request(space, profile, (program, function), loops.clone(), |of| {
            &functions[of as usize].generic
        });
        let of_function = &mut state.functions[function as usize];
        let answer = if settings.background {
            match self.compiler.submit(request, &self.inbox) {
                // Too many wait: it is asked for again.
                Ok(false) => return,
                Ok(true) => None,
                Err(error) => Some(Err(error)),
            }
        } else {
            Some(self.compiler.compile(&request))
        };
        of_function.asked(loops);
        match answer {
            None => self.set_pace(space, profile, (program, function)),
            Some(answer) => self.install(space, profile, (program, function), answer),
        }
    }

    /// Takes the answer to a request into use.
    fn install(
        &mut self,
        space: &CodeSpace,
        profile: &mut Profile,
        (program, function): (u32, u32),
        answer: Result<Arc<CompiledFunction>, CompileError>,
    ) {
        let (Some(state), Ok(native), Some(ways)) =
            (self.programs.get_mut(program), answer, self.compiler.ways())
        else {
            return self.give_up(space, profile, (program, function));
        };
        if state.table.is_empty() {
            state.table = vec![ways.interpreted.start() as usize; state.functions.len()];
        }
        if !profile.is_held(space, program, function) {
            state.table[function as usize] = native.start() as usize;
        }
        let of_function = &mut state.functions[function as usize];
        of_function.is_pending = false;
        of_function.rests = false;
        let old = of_function.native.replace(Arc::clone(&native));
        let is_same = |old: &Arc<CompiledFunction>| old.machine_code() == native.machine_code();
        // The same code again: nothing new is known about the guesses that have failed.
        let gives_up = old.as_ref().is_some_and(is_same) && state.give_up_guesses(function);
        if !gives_up {
            state.functions[function as usize].installed(self.gas);
        }
        let rounds = Rounds::of(profile.passes(space, program, function));
        state.functions[function as usize].rounds = rounds;
        self.set_pace(space, profile, (program, function));
        if let Some(old) = old.filter(|old| !Arc::ptr_eq(old, &native)) {
            self.compiler.discard(&old);
        }
    }

    /// Native code that calls a function goes straight to its own from now on: its calls were memoised.
    pub(crate) fn relink(&mut self, program: u32, function: u32) {
        if let Some(state) = self.programs.get_mut(program)
            && let Some(native) = &state.functions[function as usize].native
        {
            state.table[function as usize] = native.start() as usize;
        }
    }

    /// Leaves a function to the interpreter for good, unless it has code that is right and only lacks a way in.
    fn give_up(
        &mut self,
        space: &CodeSpace,
        profile: &mut Profile,
        (program, function): (u32, u32),
    ) {
        if let Some(state) = self.programs.get_mut(program) {
            let of_function = &mut state.functions[function as usize];
            of_function.is_pending = false;
            if of_function.native.is_some() && !of_function.has_failed() {
                return self.set_pace(space, profile, (program, function));
            }
            of_function.gave_up = true;
        }
        self.unlink(space, profile, (program, function));
    }

    /// Leaves the functions to the interpreter whose code had to make room. One that grows hot again is
    /// compiled again, each time later.
    fn unlink_evicted(&mut self, space: &CodeSpace, profile: &mut Profile) {
        let mut evicted = Vec::new();
        for (program, state) in self.programs.iter() {
            for (function, of_function) in (0..).zip(&state.functions) {
                if of_function
                    .native
                    .as_ref()
                    .is_some_and(|native| native.is_evicted())
                {
                    evicted.push((program, function));
                }
            }
        }
        for (program, function) in evicted {
            self.unlink(space, profile, (program, function));
            let heat = profile.heat(space, program, function);
            let threshold = self.compiler.settings().threshold.max(1);
            let state = self.programs.get_mut(program);
            if let Some(state) = state.map(|state| &mut state.functions[function as usize]) {
                state.evictions += 1;
                let wait = threshold.saturating_mul(1 << state.evictions.min(32));
                state.wanted_heat = heat.saturating_add(wait);
            }
        }
    }

    /// Takes the native code of a function out of use.
    fn unlink(
        &mut self,
        space: &CodeSpace,
        profile: &mut Profile,
        (program, function): (u32, u32),
    ) {
        let (Some(state), Some(ways)) = (self.programs.get_mut(program), self.compiler.ways())
        else {
            return;
        };
        if let Some(old) = state.functions[function as usize].native.take() {
            state.table[function as usize] = ways.interpreted.start() as usize;
            self.compiler.discard(&old);
        }
        self.set_pace(space, profile, (program, function));
    }
}
