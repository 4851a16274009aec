//! What the loop keeps at hand, and how it gets in and out.
//!
//! While the loop runs, the fiber's own `pc`, `function`, `base`, `depth` and `gas_used` are stale; the
//! truth is here. [`Stay::enter`] takes them over, [`Stay::leave`] gives them back.
//!
//! # Why the unsafe code is sound
//! 1. `regs` points at r0 of the newest frame in the fiber's stack, and every frame's registers lie below
//!    `stack_end`, which lies within the stack: a frame is entered only after that was checked. The
//!    verifier proved that instructions name registers below the function's count.
//! 2. The stack is resized only by the reference interpreter, while the loop is not running.
//! 3. `pc` points into the code of `function`: the verifier proved jump targets, and that control never
//!    runs off the end; fused instructions skip parts that exist.
//! 4. Headers are written by calls, here or in the reference interpreter, or restored from an image
//!    that was checked; so a header's function and pc exist.
//! 5. `fiber` is exclusively borrowed for `'a`, and `stay` by the loop; handlers use each through one
//!    reference at a time. So the host, which is borrowed beside it, cannot reach the fiber.
//! 6. The globals of the program are made, all at once, only by the reference interpreter, while the loop
//!    is not running; instructions name globals that the program has.

use super::aside::{Aside, room};
use super::form::{Instruction, InternalFunction, InternalProgram};
use super::profile::Profile;
use crate::code_space::CodeSpace;
use crate::fiber::Fiber;
use crate::fiber::arena::Arena;
use crate::heap::Heap;
use crate::host::Host;
use crate::memo::Situation;
use crate::value::Value;
use pw_isa::{Kind, cost};

/// The most gas that one stay in the loop takes over.
const BUDGET_MAX: u64 = 1 << 60;

/// What handlers pass on to each other, in machine registers.
#[derive(Clone, Copy)]
pub(crate) struct Hot<'a> {
    pub(super) pc: *const Instruction,
    pub(super) regs: *mut Value,
    /// Gas left behind the current block.
    pub(super) gas: i64,
    stay: *mut Stay<'a>,
}

/// What handlers need less often, and where they stopped; what calls need comes first.
#[repr(C)]
pub(crate) struct Stay<'a> {
    pub(super) function: *const InternalFunction,
    pub(super) functions: &'a [InternalFunction],
    /// How many more frames there may be; below 0 when there are too many.
    pub(super) frames_left: i64,
    /// The first slot that no frame may reach without the reference interpreter's leave.
    pub(super) stack_end: *mut Value,
    /// The slot before it: where the header of a frame without registers must end.
    pub(super) header_end: *mut Value,
    /// The second word of the header of a frame whose window is the caller's register 0.
    pub(super) header_base: u64,
    pub(super) counters: *mut u32,
    fiber: *mut Fiber,
    pub(super) program_number: u32,
    /// Where keys were last found, for each of the program's values.
    pub(super) hints: *mut u32,
    /// Where texts were last found as keys, by hashes of where they stand and of what they say.
    pub(super) text_hints: *mut u32,
    /// The program's globals; null while none is set.
    pub(super) globals: *mut Value,
    /// The program's constants.
    pub(super) constants: &'a Arena,
    pub(super) program: &'a InternalProgram,
    /// Logical bytes allocated up to which no collection or limit can be due.
    pub(super) allocated_max: u64,
    /// What the fiber will have used when `gas` is 0 behind the current block.
    gas_end: u64,
    pub(super) code: &'a CodeSpace,
    /// Whom messages are sent to and come from.
    pub(super) host: &'a mut (dyn Host + 'a),
    /// Where the last handler stopped, or stands between two of them.
    pub(super) pc: *const Instruction,
    pub(super) regs: *mut Value,
    /// Also the gas left while an operation is done [aside](super::aside).
    pub(super) gas: i64,
    /// The loop is to be left.
    pub(super) stopped: bool,
    /// It was left at the entry of a function that has been counted already.
    pub(super) is_counted: bool,
}

impl<'a> Stay<'a> {
    /// Takes a fiber over. The gas is below 0 when not even its current block can be paid for. No frame passes the slot
    /// `mark`.
    #[inline(always)]
    pub(super) fn enter(
        fiber: &'a mut Fiber,
        code: &'a CodeSpace,
        host: &'a mut (dyn Host + 'a),
        profile: &'a mut Profile,
        slice_end: u64,
        mark: usize,
    ) -> Stay<'a> {
        let bounds = fiber.bounds();
        let used = fiber.gas_used;
        // It may have used more: then nothing is done, not even what costs nothing.
        let gas_end = bounds
            .gas
            .min(slice_end)
            .clamp(used.saturating_sub(1), used.saturating_add(BUDGET_MAX));
        let budget = gas_end.wrapping_sub(used) as i64;
        let loaded = code.program(fiber.program);
        let program = loaded.internal();
        let function = &program.functions[fiber.function as usize];
        let rest = function.code[fiber.pc as usize].rest;
        let (stack_slots, allocated_max) = room(fiber, &bounds);
        let stack_slots = stack_slots.min(fiber.stack.len()).min(mark);
        // The oldest frame stands at the front of the stack. It has no caller, which no program's number says.
        fiber.stack[0].bits = u64::MAX;
        let stack = fiber.stack.as_mut_ptr();
        let globals = fiber
            .globals_of(fiber.program)
            .map_or(std::ptr::null_mut(), <[Value]>::as_mut_ptr);
        let text_hints = profile.text_hints.as_mut_ptr();
        let (counters, hints) = profile.counters_and_hints(fiber.program, program);
        Stay {
            function,
            frames_left: i64::from(fiber.limits.depth) - i64::from(fiber.depth),
            stack_end: stack.wrapping_add(stack_slots),
            header_end: stack.wrapping_add(stack_slots).wrapping_sub(1),
            counters: counters.as_mut_ptr(),
            hints: hints.as_mut_ptr(),
            text_hints,
            globals,
            constants: &loaded.constants,
            program,
            functions: &program.functions,
            program_number: fiber.program,
            header_base: u64::from(fiber.program) << 32 | 1,
            allocated_max,
            gas_end,
            code,
            host,
            pc: &function.code[fiber.pc as usize],
            regs: stack.wrapping_add(fiber.base),
            gas: budget - i64::from(rest),
            fiber,
            stopped: false,
            is_counted: false,
        }
    }

    /// Runs until a handler stops, if there is gas for the current block.
    pub(super) fn execute(&mut self) {
        if self.gas >= 0 {
            super::dispatch::execute(self);
        }
    }

    /// Takes a fiber over for native code, which charges its gas itself; `None` when there is none.
    pub(crate) fn enter_native(
        fiber: &'a mut Fiber,
        code: &'a CodeSpace,
        host: &'a mut (dyn Host + 'a),
        profile: &'a mut Profile,
        slice_end: u64,
        mark: usize,
    ) -> Option<Stay<'a>> {
        let mut stay = Stay::enter(fiber, code, host, profile, slice_end, mark);
        if stay.gas < 0 {
            return None;
        }
        stay.gas += i64::from(stay.hot().fetch().rest);
        Some(stay)
    }

    /// The gas that is left.
    pub(crate) fn gas(&self) -> i64 {
        self.gas
    }

    /// The newest frame's r0, and the first slot that no frame may reach.
    pub(crate) fn frame(&self) -> (*mut Value, *mut Value) {
        (self.regs, self.stack_end)
    }

    /// The program's globals; null while none was set.
    pub(crate) fn globals(&self) -> *mut Value {
        self.globals
    }

    /// Where keys were last found: for each of the program's values, and for texts by where they stand.
    pub(crate) fn hints(&self) -> (*const u32, *const u32) {
        (self.hints, self.text_hints)
    }

    /// How many frames there may be.
    pub(crate) fn frames_left(&self) -> u32 {
        self.frames_left.max(0) as u32
    }

    /// The situation of a function that native code calls: its frame, whose r0 is at `regs`, is not counted
    /// yet where `depth` frames are.
    pub(crate) fn situation(&mut self, regs: *mut Value, depth: u32, gas: i64) -> Situation {
        // SAFETY: 5 of the module's head.
        let fiber = unsafe { &mut *self.fiber };
        let start = fiber.stack.as_mut_ptr();
        // SAFETY: both are in the stack.
        let slots = unsafe { regs.offset_from(start) } as u64;
        Situation {
            gas: gas.max(0) as u64,
            limits: fiber.bounds(),
            counters: fiber.arena.counters,
            depth,
            stack_bytes: slots * cost::SLOT_BYTES,
        }
    }

    /// Logical bytes that can be allocated without a collection or limit.
    #[inline]
    pub(crate) fn bytes_left(&mut self) -> u64 {
        let max = self.allocated_max;
        max.saturating_sub(self.arena().counters.allocated)
    }

    /// The arena of the fiber.
    #[inline]
    pub(crate) fn arena(&mut self) -> &mut Arena {
        // SAFETY: 5 of the module's head.
        &mut unsafe { &mut *self.fiber }.arena
    }

    /// Does one instruction of a function whose frame is at `regs`, with this gas left behind its block. The
    /// gas left behind it, or `None` when its handler stopped before it.
    ///
    /// # Safety
    /// `regs` is the r0 of a frame of the function within the stack, and the registers that the instruction
    /// reads stand there; the pc is one of the function's.
    #[inline]
    pub(crate) unsafe fn single(
        &mut self,
        function: u32,
        pc: u32,
        regs: *mut Value,
        gas: i64,
    ) -> Option<i64> {
        self.function = &self.program.functions[function as usize];
        self.pc = &self.program.plain[function as usize][pc as usize];
        self.regs = regs;
        self.gas = gas;
        super::dispatch::single(self).then_some(self.gas)
    }

    /// Gives the fiber back after native code has written its frames: where it stands, how many frames it
    /// has more, and the gas that is left.
    ///
    /// # Safety
    /// `regs` is the r0 of the newest frame, and the headers below it are in place.
    pub(crate) unsafe fn leave_native(
        mut self,
        function: u32,
        pc: u32,
        regs: *mut Value,
        frames: u32,
        gas: i64,
    ) {
        let depth = self.depth() + frames;
        // SAFETY: the same as for this function.
        unsafe { self.stand_at(function, pc, regs, gas) }.depth = depth;
    }

    /// The fiber, standing before an instruction of a function whose frame is at `regs`, with this gas left.
    ///
    /// # Safety
    /// `regs` is the r0 of a frame of the function within the stack; the pc is one of the function's.
    pub(super) unsafe fn stand_at(
        &mut self,
        function: u32,
        pc: u32,
        regs: *mut Value,
        gas: i64,
    ) -> &mut Fiber {
        // SAFETY: 5 of the module's head.
        let fiber = unsafe { &mut *self.fiber };
        fiber.function = function;
        fiber.pc = pc;
        // SAFETY: the frame is in the stack, which did not move.
        fiber.base = unsafe { regs.offset_from(fiber.stack.as_mut_ptr()) } as usize;
        fiber.gas_used = self.gas_end.wrapping_sub(gas as u64);
        fiber
    }

    /// The gas that is left where the fiber stands itself; below 0 where it has used more than there was.
    pub(super) fn gas_left(&self) -> i64 {
        // SAFETY: 5 of the module's head.
        let used = unsafe { &*self.fiber }.gas_used;
        self.gas_end.wrapping_sub(used) as i64
    }

    /// How many frames there are.
    pub(crate) fn depth(&self) -> u32 {
        (self.depth_max() - self.frames_left) as u32
    }

    /// Says how many frames there are.
    pub(crate) fn set_depth(&mut self, depth: u32) {
        self.frames_left = self.depth_max() - i64::from(depth);
    }

    pub(super) fn depth_max(&self) -> i64 {
        // SAFETY: 5 of the module's head.
        unsafe { &*self.fiber }.limits.depth.into()
    }

    /// What the next handler gets.
    pub(super) fn hot(&mut self) -> Hot<'a> {
        Hot {
            pc: self.pc,
            regs: self.regs,
            gas: self.gas,
            stay: self,
        }
    }

    /// What an operation that is done aside works with.
    pub(super) fn aside(&mut self) -> Aside<'_> {
        self.host_and_aside().1
    }

    /// The same, with whom messages are sent to and come from.
    pub(super) fn host_and_aside(&mut self) -> (&mut (dyn Host + 'a), Aside<'_>) {
        // SAFETY: 5 of the module's head.
        let fiber = unsafe { &mut *self.fiber };
        let aside = Aside {
            arena: &mut fiber.arena,
            code: self.code,
            gas: self.gas,
            allocated_max: self.allocated_max,
        };
        (&mut *self.host, aside)
    }

    /// Gives the fiber back; it stands before the instruction at `pc`, or behind those that could still be paid for
    /// when the block could not.
    pub(super) fn leave(&mut self) {
        let hot = self.hot();
        let (function, pc) = (hot.function().number, hot.pc_index());
        let left = hot.gas + i64::from(hot.fetch().rest);
        // An entry that is still to be counted is looked at first.
        let is_short = hot.gas < 0 && (pc > 0 || self.is_counted);
        let regs = self.regs;
        let (pc, left) = match is_short {
            // SAFETY: the loop has stopped there, and the live registers stand in the frame.
            true => unsafe { self.spend((function, pc), regs, left) },
            false => (pc, left),
        };
        let depth = self.depth();
        // SAFETY: `regs` points into the stack, which did not move.
        unsafe { self.stand_at(function, pc, regs, left) }.depth = depth;
    }
}

impl<'a> Hot<'a> {
    /// What a handler was given.
    #[inline(always)]
    pub(super) fn new(
        pc: *const Instruction,
        regs: *mut Value,
        gas: i64,
        stay: *mut Stay<'a>,
    ) -> Hot<'a> {
        Hot {
            pc,
            regs,
            gas,
            stay,
        }
    }

    /// What it needs less often.
    #[inline(always)]
    pub(super) fn stay(&mut self) -> &mut Stay<'a> {
        // SAFETY: 5 of the module's head.
        unsafe { &mut *self.stay }
    }

    /// The same, to look at.
    #[inline(always)]
    pub(super) fn at(&self) -> &Stay<'a> {
        // SAFETY: 5 of the module's head.
        unsafe { &*self.stay }
    }

    /// Notes where the handler is done.
    #[inline(always)]
    pub(super) fn save(&mut self, stopped: bool) {
        let (pc, regs, gas) = (self.pc, self.regs, self.gas);
        let stay = self.stay();
        stay.pc = pc;
        stay.regs = regs;
        stay.gas = gas;
        stay.stopped = stopped;
    }

    /// What the next handler is given.
    #[inline(always)]
    pub(super) fn parts(self) -> (*const Instruction, *mut Value, i64, *mut Stay<'a>) {
        (self.pc, self.regs, self.gas, self.stay)
    }

    /// The position of the current instruction.
    #[inline(always)]
    pub(super) fn pc_index(&self) -> u32 {
        let start = self.function().code.as_ptr();
        // SAFETY: 3 of the module's head: both point into the same code.
        (unsafe { self.pc.offset_from(start) }) as u32
    }

    /// The function whose code `pc` points into.
    #[inline(always)]
    pub(super) fn function(&self) -> &'a InternalFunction {
        // SAFETY: it is one of `program`, which lives for `'a`.
        unsafe { &*self.at().function }
    }

    #[inline(always)]
    pub(super) fn fetch(&self) -> &'a Instruction {
        // SAFETY: 3 of the module's head; `function` is one of `program`, which lives for `'a`.
        unsafe { &*self.pc }
    }

    /// An instruction that is fused with the current one, so many parts further on.
    #[inline(always)]
    pub(super) fn ahead(&self, parts: usize) -> &'a Instruction {
        // SAFETY: 3 of the module's head; as for the current one.
        unsafe { &*self.pc.wrapping_add(parts) }
    }

    /// Goes on behind the current instruction and the parts that are fused with it.
    #[inline(always)]
    pub(super) fn skip(&mut self, parts: usize) {
        self.pc = self.pc.wrapping_add(parts);
    }

    /// The register at a slot's byte offset, as instructions hold it.
    #[inline(always)]
    pub(super) fn register(&self, slot: u16) -> *mut Value {
        self.regs.wrapping_byte_add(usize::from(slot))
    }

    /// Registers that follow each other.
    #[inline(always)]
    pub(super) fn registers(&self, first: u16, count: u16) -> &[Value] {
        let first = self.register(first);
        // SAFETY: 1 and 5 of the module's head.
        unsafe { std::slice::from_raw_parts(first, count.into()) }
    }

    /// The halves are read one by one, as they are written: a processor that has just written two words
    /// waits long for a read of both at once.
    #[inline(always)]
    pub(super) fn get(&self, slot: u16) -> Value {
        let value = self.register(slot).cast::<u64>();
        // SAFETY: 1 of the module's head.
        let tag = unsafe { value.read_volatile() };
        // SAFETY: the same.
        let bits = unsafe { value.wrapping_add(1).read_volatile() };
        Value { tag, bits }
    }

    /// The content of a register if it is of this kind and in the arena. No more of it is read than that
    /// takes, and nothing kept: handlers have few machine registers.
    #[inline(always)]
    pub(super) fn get_if(&self, slot: u16, kind: Kind) -> Option<u64> {
        let value = self.register(slot);
        // SAFETY: 1 of the module's head.
        let tag = unsafe { (*value).tag };
        // SAFETY: the same.
        (tag == kind as u64).then(|| unsafe { (*value).bits })
    }

    /// The Int in a register.
    #[inline(always)]
    pub(super) fn int(&self, slot: u16) -> Option<i64> {
        self.get_if(slot, Kind::Int).map(|bits| bits as i64)
    }

    /// The Float in a register.
    #[inline(always)]
    pub(super) fn float(&self, slot: u16) -> Option<f64> {
        self.get_if(slot, Kind::Float).map(f64::from_bits)
    }

    /// The number in a register as a Float.
    #[inline(always)]
    pub(super) fn number(&self, slot: u16) -> Option<f64> {
        self.float(slot)
            .or_else(|| self.int(slot).map(|int| int as f64))
    }

    #[inline(always)]
    pub(super) fn set(&mut self, slot: u16, value: Value) -> bool {
        // SAFETY: 1 of the module's head.
        unsafe { *self.register(slot) = value };
        true
    }

    /// Replaces what a register holds by another value of the same kind.
    #[inline(always)]
    pub(super) fn set_bits(&mut self, slot: u16, bits: u64) -> bool {
        // SAFETY: 1 of the module's head.
        unsafe { (*self.register(slot)).bits = bits };
        true
    }

    /// Sets a register, if there is something to set it to.
    #[inline(always)]
    pub(super) fn set_found(&mut self, register: u16, value: Option<Value>) -> bool {
        match value {
            Some(value) => self.set(register, value),
            None => false,
        }
    }

    /// The arena.
    #[inline(always)]
    pub(super) fn arena(&mut self) -> &mut Arena {
        &mut self.fiber().arena
    }

    /// The arena, found anew: for handlers that need it in two places and would have to save a machine
    /// register to keep its address in between.
    #[inline(always)]
    pub(super) fn arena_again(&mut self) -> &mut Arena {
        // SAFETY: 5 of the module's head.
        let fiber = unsafe { (&raw const self.stay().fiber).read_volatile() };
        // SAFETY: the same.
        &mut unsafe { &mut *fiber }.arena
    }

    /// A view of all values.
    #[inline(always)]
    pub(super) fn heap(&self) -> Heap<'_> {
        // SAFETY: 5 of the module's head.
        let fiber = unsafe { &*self.at().fiber };
        Heap {
            arena: &fiber.arena,
            code: self.at().code,
        }
    }

    /// The fiber, for what is not in the loop's own state.
    #[inline(always)]
    pub(super) fn fiber(&mut self) -> &mut Fiber {
        // SAFETY: 5 of the module's head.
        unsafe { &mut *self.stay().fiber }
    }

    pub(super) fn code(&self) -> &'a CodeSpace {
        self.at().code
    }

    /// Whether objects of `bytes` logical bytes can be made without a collection or limit.
    #[inline(always)]
    pub(super) fn can_allocate(&mut self, bytes: u64) -> bool {
        let max = self.at().allocated_max;
        self.arena().counters.allocated.saturating_add(bytes) <= max
    }

    /// The logical bytes of objects that can be made so.
    #[inline(always)]
    pub(super) fn bytes_left(&mut self) -> u64 {
        self.stay().bytes_left()
    }

    /// Charges work beyond the fixed gas; false, and nothing happens, when the gas for it and the rest of
    /// the block is not left.
    #[inline(always)]
    pub(super) fn charge(&mut self, gas: u64) -> bool {
        let after = self.gas - gas as i64;
        let paid = after >= 0;
        if paid {
            self.gas = after;
        }
        paid
    }
}
