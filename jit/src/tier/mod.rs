//! Which code runs a fiber: the interpreter, and native code for what is hot.
//!
//! The interpreter's counters of loops and calls say what is hot. A function with native code keeps its
//! counters at zero, so that the interpreter stops wherever it could be entered. Guesses that fail teach
//! the profile, and the function is compiled again; where they go on failing, without the guess.

mod native;

use std::collections::BTreeMap;

use crate::code::CodeMemory;
use crate::code_space::CodeSpace;
pub use crate::compile::CompileError;
use crate::compile::feedback::{Feedback, FunctionFeedback};
pub use crate::compile::state::ExitReason;
use crate::compile::state::{BY_CALL, Entries, FIRST_LOOP};
use crate::compile::{Compiler, NativeFunction, Request};
use crate::fiber::Fiber;
use crate::interp::profile::Profile;
use crate::value::Value;
use native::Left;

/// Failed guesses at one instruction before its function is compiled again.
const FAILURES: u32 = 4;
/// Failed guesses at one instruction before there is no guess about it any more.
const FAILURES_MAX: u32 = 16;
/// Compilations of one function.
const COMPILATIONS_MAX: u32 = 20;

/// When and how functions are compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JitSettings {
    /// Entries of a function, or rounds of one of its loops, before it is compiled.
    pub threshold: u64,
}

impl Default for JitSettings {
    fn default() -> JitSettings {
        JitSettings { threshold: 500 }
    }
}

/// What happened so far.
#[derive(Clone, Debug, Default)]
pub struct JitStatistics {
    /// Compilations that gave code.
    pub compiled: u64,
    /// Compilations that gave none.
    pub failed: u64,
    /// Bytes of native code that are in use.
    pub code_bytes: u64,
    /// Time spent compiling.
    pub compile_time: std::time::Duration,
    /// Entries into native code.
    pub entries: u64,
    /// Exits by reason.
    pub exits: BTreeMap<ExitReason, u64>,
}

/// What is known about the native code of one function.
#[derive(Debug, Default)]
struct FunctionState {
    native: Option<NativeFunction>,
    compilations: u32,
    gave_up: bool,
    /// Failed guesses about its instructions, by pc.
    failures: BTreeMap<u32, u32>,
    /// Failed guesses in its body since it was last compiled, by function and pc.
    failed: BTreeMap<(u32, u32), u32>,
    /// Instructions about which nothing is guessed, in ascending order.
    generic: Vec<u32>,
}

/// The native code of one program.
struct ProgramState {
    /// Addresses: the table may go from thread to thread with its tier.
    table: Vec<usize>,
    /// By function: parameters (or `u32::MAX`), and registers with captures in the upper half.
    shapes: Vec<[u32; 2]>,
    functions: Vec<FunctionState>,
}

/// The native tier of one worker.
pub struct Jit {
    settings: JitSettings,
    compiler: Compiler,
    entrance: CodeMemory,
    interpreted: CodeMemory,
    programs: BTreeMap<u32, ProgramState>,
    /// The function whose body a wrong guess has just left.
    suspect: Option<(u32, u32)>,
    statistics: JitStatistics,
}

/// What a try to go on in native code came to.
pub(crate) enum Native {
    /// There is no native code for the place.
    None,
    /// There is, but it was not entered.
    Refused,
    /// The newest frame is done, with a value.
    Returned(Value),
    /// The fiber stands somewhere else; whether a guess was wrong.
    Left(bool),
}

impl std::fmt::Debug for Jit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jit")
            .field("settings", &self.settings)
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}

impl Jit {
    /// A tier without any code yet.
    pub fn new(settings: JitSettings) -> Result<Jit, CompileError> {
        let mut compiler = Compiler::new()?;
        Ok(Jit {
            settings,
            entrance: compiler.entrance()?,
            interpreted: compiler.interpreted()?,
            compiler,
            programs: BTreeMap::new(),
            suspect: None,
            statistics: JitStatistics::default(),
        })
    }

    /// What happened so far.
    pub fn statistics(&self) -> &JitStatistics {
        &self.statistics
    }

    /// Drops all native code.
    pub(crate) fn forget(&mut self) {
        self.programs.clear();
        self.statistics.code_bytes = 0;
    }

    /// Whether native code can be entered where the fiber stands.
    pub(crate) fn has_entry(&self, fiber: &Fiber) -> bool {
        self.entry(fiber.position()).is_some()
    }

    /// The native code for a place, and the number of the entry.
    fn entry(&self, (program, function, pc): (u32, u32, u32)) -> Option<(*const u8, u32)> {
        self.programs.get(&program)?.entry(function, pc)
    }

    /// Goes on in native code, if there is some for the place where the fiber stands.
    pub(crate) fn go_on(
        &mut self,
        fiber: &mut Fiber,
        space: &CodeSpace,
        profile: &mut Profile,
        slice_end: u64,
    ) -> Native {
        let place = fiber.position();
        let Some(state) = self.programs.get(&place.0) else {
            return Native::None;
        };
        let Some((function, entry)) = state.entry(place.1, place.2) else {
            return Native::None;
        };
        let code = native::Code {
            entrance: self.entrance.start(),
            table: &state.table,
            shapes: &state.shapes,
            entries: state,
            function,
            entry,
        };
        let native = state.functions[place.1 as usize].native.as_ref();
        fiber.make_room(native.map_or(0, |native| native.slots));
        self.statistics.entries += 1;
        match native::enter(fiber, space, profile, slice_end, &code) {
            Left::Returned(value) => Native::Returned(value),
            Left::Refused => Native::Refused,
            Left::Exit { reason, body } => {
                *self.statistics.exits.entry(reason).or_default() += 1;
                let wrong = reason.is_wrong_guess();
                if wrong {
                    self.note_failure(fiber.position(), body);
                }
                Native::Left(wrong)
            }
        }
    }

    /// A guess about an instruction was wrong, in the body of a function that may have it inlined.
    fn note_failure(&mut self, (program, function, pc): (u32, u32, u32), body: u32) {
        let Some(state) = self.programs.get_mut(&program) else {
            return;
        };
        let of_function = &mut state.functions[function as usize];
        let failures = of_function.failures.entry(pc).or_default();
        *failures += 1;
        if *failures >= FAILURES_MAX && !of_function.generic.contains(&pc) {
            of_function.generic.push(pc);
            of_function.generic.sort_unstable();
        }
        let of_body = &mut state.functions[body as usize];
        *of_body.failed.entry((function, pc)).or_default() += 1;
        self.suspect = Some((program, body));
    }

    /// The function whose body a wrong guess has left, once.
    pub(crate) fn take_suspect(&mut self) -> Option<(u32, u32)> {
        self.suspect.take()
    }

    /// Compiles a function that is hot or whose guesses have failed.
    pub(crate) fn consider(
        &mut self,
        space: &CodeSpace,
        profile: &mut Profile,
        (program, function): (u32, u32),
        count: u64,
    ) {
        let interpreted = self.interpreted.start() as usize;
        let state = self
            .programs
            .entry(program)
            .or_insert_with(|| ProgramState::new(space, program, interpreted));
        let of_function = &mut state.functions[function as usize];
        let failed = of_function.failed.values().any(|count| *count >= FAILURES);
        let is_due = match of_function.native {
            None => count >= self.settings.threshold,
            Some(_) => failed,
        };
        if !is_due || of_function.gave_up {
            return;
        }
        of_function.compilations += 1;
        of_function.failed.clear();
        let began = std::time::Instant::now();
        let loaded = space.shared(program);
        let feedback = Feedback::gather(&loaded, program, function, |number| FunctionFeedback {
            sites: profile.function(program, number).to_vec(),
            generic: state.functions[number as usize].generic.clone(),
        });
        let request = Request {
            program: loaded,
            number: program,
            function,
            feedback,
        };
        let compiled = self.compiler.compile(&request);
        self.statistics.compile_time += began.elapsed();
        let of_function = &mut state.functions[function as usize];
        if let Some(old) = of_function.native.take() {
            self.statistics.code_bytes -= old.code.length() as u64;
        }
        match compiled {
            Ok(native) if of_function.compilations <= COMPILATIONS_MAX => {
                self.statistics.compiled += 1;
                self.statistics.code_bytes += native.code.length() as u64;
                state.table[function as usize] = native.code.start() as usize;
                of_function.native = Some(native);
                profile.pin(space, program, function, true);
            }
            _ => {
                self.statistics.failed += 1;
                state.table[function as usize] = interpreted;
                of_function.gave_up = true;
                profile.pin(space, program, function, false);
            }
        }
    }
}

impl Entries for ProgramState {
    fn entry(&self, function: u32, pc: u32) -> Option<(*const u8, u32)> {
        let native = self.functions[function as usize].native.as_ref()?;
        let entry = match native.loops.iter().position(|at| *at == pc) {
            Some(place) => FIRST_LOOP + place as u32,
            None if pc == 0 => BY_CALL,
            None => return None,
        };
        Some((native.code.start(), entry))
    }
}

impl ProgramState {
    fn new(space: &CodeSpace, program: u32, interpreted: usize) -> ProgramState {
        let functions = &space.program(program).program().functions;
        let shapes = functions.iter().map(|function| {
            let params = if function.rest {
                u32::MAX
            } else {
                u32::from(function.params)
            };
            let registers = u32::from(function.registers);
            [params, registers | u32::from(function.captures) << 16]
        });
        ProgramState {
            table: vec![interpreted; functions.len()],
            shapes: shapes.collect(),
            functions: functions.iter().map(|_| FunctionState::default()).collect(),
        }
    }
}
