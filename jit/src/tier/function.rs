//! A function that was compiled, in executable memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pw_isa::CodeSignature;

use crate::code::{CodeMemory, Meter};
use crate::compile::{CompileError, CompiledCode, Request};

/// A function in native code. Whoever may run it holds it; its memory is given back when nobody does.
#[derive(Debug)]
pub struct CompiledFunction {
    name: String,
    signature: CodeSignature,
    function: u32,
    memory: CodeMemory,
    loops: Vec<u32>,
    slots: u32,
    instructions: u32,
    /// The compiler's clock when it was last seen running.
    seen: AtomicU64,
    evicted: AtomicBool,
}

impl CompiledFunction {
    pub(super) fn new(
        request: &Request,
        code: CompiledCode,
        meter: &Meter,
        now: u64,
    ) -> Result<CompiledFunction, CompileError> {
        let program = request.program.program();
        Ok(CompiledFunction {
            name: program.function_name(request.function),
            signature: CodeSignature::of(&program.functions[request.function as usize]),
            function: request.function,
            memory: CodeMemory::new(&code.bytes, meter)?,
            loops: code.loops,
            slots: code.slots,
            instructions: code.instructions,
            seen: AtomicU64::new(now),
            evicted: AtomicBool::new(false),
        })
    }

    /// What the program calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which code it does.
    pub fn signature(&self) -> CodeSignature {
        self.signature
    }

    /// Its number in its program.
    pub fn function(&self) -> u32 {
        self.function
    }

    /// Its machine code.
    pub fn machine_code(&self) -> &[u8] {
        self.memory.bytes()
    }

    /// The pcs of the loops that it can be entered at, in the order of these entries.
    pub fn loops(&self) -> &[u32] {
        &self.loops
    }

    /// The instructions that it does, inlined ones counted each time.
    pub fn instructions(&self) -> u32 {
        self.instructions
    }

    /// The slots that must be there from the frame's r0 on.
    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// Where its code begins.
    pub(crate) fn start(&self) -> *const u8 {
        self.memory.start()
    }

    /// Bytes of memory that it takes.
    pub(super) fn mapped(&self) -> u64 {
        self.memory.mapped()
    }

    /// Notes that it runs.
    pub(super) fn see(&self, now: u64) {
        self.seen.store(now, Ordering::Relaxed);
    }

    pub(super) fn last_seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Asks all workers to do without it from their next look on.
    pub(super) fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
    }

    pub(super) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }
}
