//! The compiler: functions to native code through Cranelift.
//!
//! One body a function, with several entries: its beginning, and each loop (on-stack replacement). It
//! works on the fiber's own frame: arguments stand there when it is entered, and at an exit every live
//! register is written back, so that the interpreter goes on as if it had been there all the time. The
//! registers themselves are SSA values in between, without tags where the kind is known.
//!
//! | file | what it holds |
//! |---|---|
//! | `feedback` | what a compilation knows about the way functions run |
//! | `blocks` | blocks, and the gas to the next check |
//! | `types` | what is known and guessed about registers |
//! | `parts`, `scope` | what is inlined where; the frames of it |
//! | `lower` | from blocks to Cranelift's form: entries, edges, gas, operations aside |
//! | `exits`, `registers` | how a frame is written back; registers as SSA variables |
//! | `numbers`, `objects`, `alloc`, `calls` | instructions |
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
mod blocks;
mod calls;
mod exits;
pub(crate) mod feedback;
mod lower;
mod numbers;
mod objects;
mod parts;
mod registers;
mod scope;
pub(crate) mod state;
mod types;

use std::sync::Arc;

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::FunctionBuilderContext;

use crate::code::CodeMemory;
use crate::code_space::LoadedProgram;
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
    /// There is no memory for the code.
    #[error("no executable memory: {0}")]
    Memory(#[from] std::io::Error),
}

/// The most instructions of a function that is compiled.
const INSTRUCTIONS_MAX: usize = 3_000;
/// The most registers.
const REGISTERS_MAX: u16 = 500;

/// The native code of one function.
#[derive(Debug)]
pub(crate) struct NativeFunction {
    pub(crate) code: CodeMemory,
    /// The pc of the loop of each entry from 1 on.
    pub(crate) loops: Vec<u32>,
    /// The slots that must be there from the frame's r0 on, for it and the frames of what is inlined.
    pub(crate) slots: u32,
}

/// What a compilation is about. It owns all it needs, so that any thread can do it.
pub(crate) struct Request {
    pub(crate) program: Arc<LoadedProgram>,
    /// The program's number in its code space: values name its constants and functions by it.
    pub(crate) number: u32,
    pub(crate) function: u32,
    pub(crate) feedback: Feedback,
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Request>();
    is_send::<NativeFunction>();
};

/// A compiler; one a thread.
pub(crate) struct Compiler {
    isa: OwnedTargetIsa,
    context: Context,
    frontend: FunctionBuilderContext,
}

impl Compiler {
    pub(crate) fn new() -> Result<Compiler, CompileError> {
        // The calling convention of the ways in and out, and that code can run where it was just written.
        if !cfg!(all(target_arch = "x86_64", unix)) {
            let machine = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
            return Err(CompileError::Machine(machine));
        }
        let mut flags = settings::builder();
        for (name, value) in [
            ("opt_level", "speed"),
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
            context: Context::new(),
            frontend: FunctionBuilderContext::new(),
        })
    }

    /// Compiles a function.
    pub(crate) fn compile(&mut self, request: &Request) -> Result<NativeFunction, CompileError> {
        let function = request.program.function(request.function);
        if function.code.len() > INSTRUCTIONS_MAX || function.registers > REGISTERS_MAX {
            return Err(CompileError::TooLarge {
                instructions: function.code.len(),
                registers: function.registers,
            });
        }
        self.context.clear();
        let config = self.isa.frontend_config();
        let lowered = lower::lower(request, &mut self.context.func, &mut self.frontend, config);
        Ok(NativeFunction {
            code: self.finish()?,
            loops: lowered.loops,
            slots: lowered.slots,
        })
    }

    /// The way in from the engine: `extern "C" fn(state, r0, entry, code)`, which leaves the result in the
    /// state.
    pub(crate) fn entrance(&mut self) -> Result<CodeMemory, CompileError> {
        self.context.clear();
        let config = self.isa.frontend_config();
        lower::entrance(&mut self.context.func, &mut self.frontend, config);
        self.finish()
    }

    /// What stands in the code table for a function without native code: the interpreter runs it.
    pub(crate) fn interpreted(&mut self) -> Result<CodeMemory, CompileError> {
        self.context.clear();
        let config = self.isa.frontend_config();
        lower::interpreted(&mut self.context.func, &mut self.frontend, config);
        self.finish()
    }

    fn finish(&mut self) -> Result<CodeMemory, CompileError> {
        let compiled = self
            .context
            .compile(&*self.isa, &mut ControlPlane::default())
            .map_err(|error| CompileError::Failed(format!("{:?}", error.inner)))?;
        if !compiled.buffer.relocs().is_empty() {
            return Err(CompileError::Failed(
                "the code names outside places".to_owned(),
            ));
        }
        Ok(CodeMemory::new(compiled.code_buffer())?)
    }
}
