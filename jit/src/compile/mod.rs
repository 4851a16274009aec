//! The compiler: functions to native code through Cranelift.
//!
//! One body a function, with several entries: its beginning, and loops that are asked for (on-stack replacement). It
//! works on the fiber's own frame: arguments stand there when it is entered, and at an exit every live
//! register is written back, so that the interpreter goes on as if it had been there all the time. The
//! registers themselves are SSA values in between, without tags where the kind is known. Registers that are never
//! written stay where they are.
//!
//! | file | what it holds |
//! |---|---|
//! | `feedback` | what a compilation knows about the way functions run |
//! | `blocks`, `gas` | blocks, and how they are paid for |
//! | `types`, `plans` | what is known and guessed about registers; how instructions are compiled |
//! | `intervals`, `facts`, `ranges` | how large Ints and vectors are: results, what is known, and at one place |
//! | `effects`, `induction` | the same behind instructions, and in loops |
//! | `parts`, `scope` | what is inlined where; the frames of it |
//! | `arguments`, `lengths` | what it finds out about its arguments, and about lengths |
//! | `lower`, `entries`, `ways` | from blocks to Cranelift's form: edges and instructions; where bodies are entered; ways in and out |
//! | `shapes`, `escapes`, `virtuals` | objects that are made only where they must stand in the arena |
//! | `exits`, `registers` | how a frame is written back; registers as SSA variables |
//! | `numbers`, `mixed`, `objects`, `alloc`, `bytes`, `maps`, `texts`, `globals`, `calls`, `apply` | instructions |
//! | `raises` | what is raised and caught in the same body |
//! | `routines` | operations that are done by routines of the runtime |
//! | `check` | an independent check of exits, where the engine checks itself |
//! | `table` | small maps |
//! | `state` | what native code shares with the engine |
//!
//! # The protocol
//! A body is called with the state, the frame's r0 and a way: the function's number above, the number of
//! an entry below (`state::BY_CALL`). It returns tag and bits of the result, or `EXIT` after it has
//! written its frame back and said where the newest frame is; a caller that receives `EXIT` writes its own
//! frame back and the header of the frame it called, and returns `EXIT`. `NOT_ENTERED` is returned by a
//! function that did not begin, for want of gas or stack: the caller exits *at* its call. A function
//! without native code is run by the interpreter, called under the same protocol.

mod alloc;
mod apply;
mod arguments;
mod blocks;
mod bytes;
mod calls;
mod check;
mod effects;
mod elements;
mod entries;
mod escapes;
mod exits;
mod facts;
pub(crate) mod feedback;
mod gas;
mod globals;
mod induction;
mod intervals;
mod lengths;
mod lower;
mod maps;
mod mixed;
mod numbers;
mod objects;
mod parts;
mod plans;
mod powers;
mod raises;
mod ranges;
mod registers;
mod routines;
mod rows;
mod scope;
mod shapes;
pub(crate) mod state;
mod table;
mod tails;
mod texts;
mod types;
mod virtuals;
mod ways;

use std::sync::Arc;

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;

use crate::code_space::LoadedProgram;
use crate::tier::{OptimizationLevel, Optimizations};
pub(crate) use escapes::changing_closures;
use feedback::Feedback;

/// Why a function has no native code.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// This machine is not supported.
    #[error("no native code for this machine: {0}")]
    Machine(String),
    /// It is larger than what is compiled.
    #[error("a function of {instructions} instructions and {registers} registers is too large")]
    TooLarge {
        /// Its instructions.
        instructions: usize,
        /// Its registers.
        registers: u16,
    },
    /// Cranelift refuses.
    #[error("the compiler failed: {0}")]
    Failed(String),
    /// The compiler stopped with a message: a mistake in it.
    #[error("the compiler panicked: {0}")]
    Panicked(String),
    /// There is no memory for the code.
    #[error("no executable memory: {0}")]
    Memory(#[from] std::io::Error),
    /// There is no thread for the compiler.
    #[error("no thread to compile on: {0}")]
    Thread(std::io::Error),
    /// Compiling has cost what it may, or the code alone takes more memory than all code may.
    #[error("the budget of the compiler is used up")]
    OverBudget,
}

impl CompileError {
    /// Whether the compiler itself is at fault.
    pub fn is_fault(&self) -> bool {
        matches!(self, CompileError::Failed(_) | CompileError::Panicked(_))
    }
}

/// The most instructions of a function that is compiled.
const INSTRUCTIONS_MAX: usize = 3_000;
/// The most registers.
const REGISTERS_MAX: u16 = 500;

/// What a compilation gives: machine code that can run at any address, in any process of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledCode {
    /// The machine code.
    pub bytes: Vec<u8>,
    /// The pcs of the loops that it can be entered at, in the order of these entries.
    pub loops: Vec<u32>,
    /// The slots that must be there from the frame's r0 on, for it and the frames of what is inlined.
    pub slots: u32,
    /// The instructions that were compiled, inlined ones counted each time.
    pub instructions: u32,
}

/// What a compilation did, for people.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// How each instruction was compiled, by pc: what was guessed about it.
    pub plans: Vec<String>,
    /// Cranelift's intermediate form.
    pub ir: String,
    /// Machine instructions, in Cranelift's notation.
    pub assembly: String,
    /// What came of it.
    pub code: CompiledCode,
}

/// What a compilation is about. It owns all it needs, so that any thread can do it.
pub(crate) struct Request {
    pub(crate) program: Arc<LoadedProgram>,
    /// The program's number in its code space: values name its constants and functions by it.
    pub(crate) number: u32,
    pub(crate) function: u32,
    pub(crate) feedback: Feedback,
}

impl Request {
    /// Instructions of the function.
    pub(crate) fn instructions(&self) -> usize {
        let functions = &self.program.program().functions;
        let function = functions.get(self.function as usize);
        function.map_or(0, |function| function.code.len())
    }
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Request>();
    is_send::<CompiledCode>();
};

/// A compiler, for one thread at a time.
pub(crate) struct Compiler {
    isa: OwnedTargetIsa,
    optimizations: Optimizations,
    /// Whether its code can be made to leave at any exit, to test them.
    forces_exits: bool,
    context: Context,
    frontend: FunctionBuilderContext,
}

impl Compiler {
    pub(crate) fn new(
        level: OptimizationLevel,
        optimizations: Optimizations,
        forces_exits: bool,
    ) -> Result<Compiler, CompileError> {
        // The calling convention of the ways in and out, and that code can run where it was just written.
        if !cfg!(all(target_arch = "x86_64", unix)) {
            let machine = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
            return Err(CompileError::Machine(machine));
        }
        let mut flags = settings::builder();
        for (name, value) in [
            ("opt_level", level.name()),
            (
                "enable_verifier",
                if cfg!(debug_assertions) {
                    "true"
                } else {
                    "false"
                },
            ),
            ("unwind_info", "false"),
            // Tail calls rely on them.
            ("preserve_frame_pointers", "true"),
        ] {
            flags
                .set(name, value)
                .map_err(|error| CompileError::Machine(error.to_string()))?;
        }
        let isa = cranelift_native::builder()
            .map_err(|error| CompileError::Machine(error.to_owned()))?
            .finish(settings::Flags::new(flags))
            .map_err(|error| CompileError::Machine(error.to_string()))?;
        Ok(Compiler {
            isa,
            optimizations,
            forces_exits,
            context: Context::new(),
            frontend: FunctionBuilderContext::new(),
        })
    }

    /// All that decides which code a function becomes, except for the function and what was seen in it:
    /// this engine, Cranelift, their settings, and what the processor can do.
    pub(crate) fn identity(&self) -> String {
        let of_machine: Vec<String> = self
            .isa
            .isa_flags()
            .iter()
            .map(ToString::to_string)
            .collect();
        format!(
            "{} {:?} {} {} {} {} {}",
            self.forces_exits,
            self.optimizations,
            env!("PW_JIT_BUILD"),
            cranelift_codegen::VERSION,
            self.isa.triple(),
            self.isa.flags(),
            of_machine.join(" ")
        )
    }

    /// Compiles a function.
    pub(crate) fn compile(&mut self, request: &Request) -> Result<CompiledCode, CompileError> {
        self.compile_with(request, |_| {})
    }

    /// Compiles a function; `lowered` sees it before Cranelift goes to work.
    fn compile_with(
        &mut self,
        request: &Request,
        lowered: impl FnOnce(&mut Context),
    ) -> Result<CompiledCode, CompileError> {
        let function = request.program.function(request.function);
        if function.code.len() > INSTRUCTIONS_MAX || function.registers > REGISTERS_MAX {
            return Err(CompileError::TooLarge {
                instructions: function.code.len(),
                registers: function.registers,
            });
        }
        self.context.clear();
        let config = self.isa.frontend_config();
        let frontend = &mut self.frontend;
        let into = &mut self.context.func;
        let lowering = lower::lower(
            request,
            into,
            frontend,
            config,
            self.optimizations,
            self.forces_exits,
        );
        if cfg!(debug_assertions)
            && let Err(fault) = check::check(&self.context.func, &request.program)
        {
            panic!("a wrong exit: {fault}\n{}", self.context.func.display());
        }
        lowered(&mut self.context);
        Ok(CompiledCode {
            bytes: self.finish()?,
            loops: lowering.loops,
            slots: lowering.slots,
            instructions: lowering.instructions,
        })
    }

    /// Compiles a function, and tells all about it.
    pub(crate) fn explain(&mut self, request: &Request) -> Result<Explanation, CompileError> {
        let plans = lower::plans(request, self.optimizations);
        let mut ir = String::new();
        let code = self.compile_with(request, |context| {
            ir = context.func.display().to_string();
            context.set_disasm(true);
        })?;
        let compiled = self.context.compiled_code();
        let assembly = compiled.and_then(|compiled| compiled.vcode.clone());
        Ok(Explanation {
            plans: plans.iter().map(|plan| format!("{plan:?}")).collect(),
            ir,
            assembly: assembly.unwrap_or_default(),
            code,
        })
    }

    /// Forgets what a compilation that panicked has left behind.
    pub(crate) fn start_over(&mut self) {
        self.context = Context::new();
        self.frontend = FunctionBuilderContext::new();
    }

    /// The way in from the engine: `extern "C" fn(state, r0, entry, code)`, which leaves the result in the
    /// state.
    pub(crate) fn entrance(&mut self) -> Result<Vec<u8>, CompileError> {
        self.context.clear();
        let config = self.isa.frontend_config();
        ways::entrance(&mut self.context.func, &mut self.frontend, config);
        self.finish()
    }

    /// What stands in the code table for a function without native code: the interpreter runs it.
    pub(crate) fn interpreted(&mut self) -> Result<Vec<u8>, CompileError> {
        self.context.clear();
        let config = self.isa.frontend_config();
        ways::interpreted(&mut self.context.func, &mut self.frontend, config);
        self.finish()
    }

    /// The ways to call the engine that leave all machine registers as they are.
    pub(crate) fn sparing(&mut self) -> Result<[Vec<u8>; 2], CompileError> {
        let mut made = [Vec::new(), Vec::new()];
        for (made, words) in made.iter_mut().zip(ways::SPARING) {
            self.context.clear();
            let config = self.isa.frontend_config();
            ways::sparing(&mut self.context.func, &mut self.frontend, config, words);
            *made = self.finish()?;
        }
        Ok(made)
    }

    fn finish(&mut self) -> Result<Vec<u8>, CompileError> {
        let compiled = self
            .context
            .compile(&*self.isa, &mut ControlPlane::default())
            .map_err(|error| CompileError::Failed(format!("{:?}", error.inner)))?;
        if !compiled.buffer.relocs().is_empty() {
            return Err(CompileError::Failed(
                "the code names outside places".to_owned(),
            ));
        }
        Ok(compiled.code_buffer().to_vec())
    }
}
