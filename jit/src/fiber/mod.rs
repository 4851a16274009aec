//! A fiber: everything there is to one running computation, as plain data.
//!
//! ```text
//! stack   [header][r0 r1 … ][header][r0 …       ]        overlapping windows
//!          caller's frame ^window   ^callee's frame: its header stands in the caller's window base,
//!                                    its parameters are the caller's arguments, already in place
//! ```
//!
//! A header says where its caller is: function and pc of the call (in the tag), and how many slots
//! below the callee's r0 the caller's r0 lies (in the bits). The newest frame is named by the fiber's
//! own `program`, `function`, `pc` and `base`. No native stack is ever part of a fiber.
//!
//! Only registers that the verifier's table calls live are state; all others count as nil.

#[allow(unsafe_code, reason = "it calls the allocator")]
pub mod allocator;
pub mod arena;
mod graph;
#[allow(unsafe_code, reason = "it reads files through mappings of them")]
pub(crate) mod hibernate;
pub mod image;
mod paged;
pub mod parcel;
pub(crate) mod sandbox;
pub mod start;
pub mod upgrade;

use pw_isa::{Function, cost};

use crate::code_space::{CodeSpace, LoadedProgram};
use crate::heap::Heap;
use crate::value::Value;
use arena::Arena;
use sandbox::Sandbox;

/// What a fiber may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Gas in total.
    pub gas: u64,
    /// Logical bytes at any time: objects, and the stack unless it has a limit of its own.
    pub memory_bytes: u64,
    /// Frames.
    pub depth: u32,
    /// Logical bytes of the stack, when they are not to count as memory.
    pub stack_bytes: Option<u64>,
    /// Whether collections cost gas. V2 counts steps only.
    pub collections_cost_gas: bool,
}

impl Default for Limits {
    /// Gas without end, 1 GiB, a million frames.
    fn default() -> Limits {
        Limits {
            gas: u64::MAX,
            memory_bytes: 1 << 30,
            depth: 1_000_000,
            stack_bytes: None,
            collections_cost_gas: true,
        }
    }
}

/// What a fiber is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Its next instruction can run.
    Ready,
    /// The instruction at its pc waits for an answer.
    Waiting,
    /// It has ended with a value.
    Done(Value),
}

/// A limit that was hit after a collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LimitHit {
    /// The gas of a collection.
    Gas,
    /// Memory.
    Memory,
}

/// The tag of a global that was never set.
pub(crate) const UNSET: Value = Value { tag: 0xfe, bits: 0 };

/// Set in the second word of the header of a frame whose return is to be noticed: as a part of the program's
/// number it names none, so that the fast loop stops before the return. Only within a slice.
const WATCHED: u64 = 1 << 63;
/// The same of a frame that a sandbox belongs to, for as long as the frame is there.
const SANDBOXED: u64 = 1 << 62;

/// The program that a header names.
fn program_of(header: Value) -> u32 {
    ((header.bits & !(WATCHED | SANDBOXED)) >> 32) as u32
}

/// What most fibers have none of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// Globals, by program.
    pub(crate) globals: Vec<(u32, Vec<Value>)>,
    /// Open sandboxes, the outermost first.
    pub(crate) sandboxes: Vec<Sandbox>,
}

/// One running computation.
#[derive(Clone, Debug)]
pub struct Fiber {
    /// The code space it was made with, by which its programs are numbered.
    pub(crate) space: u64,
    pub(crate) stack: Vec<Value>,
    /// The program of the newest frame, its function in it, and the next instruction.
    pub(crate) program: u32,
    pub(crate) function: u32,
    pub(crate) pc: u32,
    /// The slot of the newest frame's r0.
    pub(crate) base: usize,
    /// How many frames there are.
    pub(crate) depth: u32,
    pub(crate) state: State,
    pub(crate) arena: Arena,
    /// Globals and open sandboxes, where there are any.
    pub(crate) extras: Option<Box<Extras>>,
    pub(crate) gas_used: u64,
    pub(crate) limits: Limits,
}

/// A frame, for whoever looks at a fiber.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameView {
    /// Number of the program.
    pub program: u32,
    /// Function within the program.
    pub function: u32,
    /// The next instruction of the newest frame; the call in progress of the others.
    pub pc: u32,
    /// The slot of r0.
    pub(crate) base: usize,
    /// Registers from this one up belong to the callee.
    pub(crate) window: u16,
}

impl Fiber {
    /// A fiber that will run a program's entry function. Its parameters are nil until
    /// [`Fiber::set_arguments`] gives them.
    pub fn new(code: &CodeSpace, program: u32, limits: Limits) -> Fiber {
        let loaded = code.program(program);
        let entry = loaded.program().entry;
        let mut fiber = Fiber {
            space: code.id,
            stack: Vec::new(),
            program,
            function: entry,
            pc: 0,
            base: 1,
            depth: 1,
            state: State::Ready,
            arena: Arena::new(),
            extras: None,
            gas_used: 0,
            limits,
        };
        fiber.begin_globals(code, program);
        let registers = usize::from(loaded.function(entry).registers);
        fiber.stack.resize(fiber.base + registers, Value::NIL);
        fiber
    }

    /// Gives the entry function its arguments before the first instruction runs; a rest parameter
    /// receives what is left over as a list. False, and nothing happens, when their number does not
    /// fit.
    pub fn set_arguments(&mut self, code: &CodeSpace, arguments: &[Value]) -> bool {
        let (_, function) = self.current(code);
        let params = usize::from(function.params);
        if arguments.len() < params || (arguments.len() > params && !function.rest) {
            return false;
        }
        let (named, rest) = arguments.split_at(params);
        self.stack[self.base..self.base + params].copy_from_slice(named);
        if function.rest {
            let mut list = Value::NIL;
            for value in rest.iter().rev() {
                list = self.arena.new_pair(*value, list);
            }
            self.stack[self.base + params] = list;
        }
        true
    }

    /// Makes sure that a fiber runs with its own code: its numbers mean something else in another space.
    ///
    /// # Panics
    /// When it was made with other code.
    pub(crate) fn belongs_to(&self, code: &CodeSpace) {
        assert!(
            self.space == code.id,
            "a fiber runs with the code space that it was made with"
        );
    }

    /// The arena, to make arguments in. What is made counts.
    pub fn arena_mut(&mut self) -> &mut Arena {
        &mut self.arena
    }

    /// The arena.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// A view of everything this fiber's values can refer to.
    pub fn heap<'a>(&'a self, code: &'a CodeSpace) -> Heap<'a> {
        Heap {
            arena: &self.arena,
            code,
        }
    }

    /// What the fiber is doing.
    pub fn state(&self) -> State {
        self.state
    }

    /// Gas used so far.
    pub fn gas_used(&self) -> u64 {
        self.gas_used
    }

    /// Counts gas that was used elsewhere: by another fiber whose place this one takes.
    pub fn count_gas(&mut self, gas_used: u64) {
        let more = gas_used.saturating_sub(self.gas_used);
        self.gas_used += more;
        self.move_sandbox_ends(more);
    }

    /// The limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Changes the limits.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// How many frames there are.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// Where the fiber is: program, function, pc.
    pub fn position(&self) -> (u32, u32, u32) {
        (self.program, self.function, self.pc)
    }

    /// Logical bytes of the stack: everything up to the newest frame's last register.
    pub fn stack_bytes(&self, code: &CodeSpace) -> u64 {
        let registers = code.program(self.program).function(self.function).registers;
        self.stack_bytes_at(self.base, registers)
    }

    /// Logical bytes that count against the memory limit: objects found live by the last collection, those made since, and the
    /// stack unless it has a limit of its own.
    pub fn memory_bytes(&self, code: &CodeSpace) -> u64 {
        let counters = self.arena.counters;
        let stack = match self.limits.stack_bytes {
            Some(_) => 0,
            None => self.stack_bytes(code),
        };
        counters
            .live
            .saturating_add(counters.allocated)
            .saturating_add(stack)
    }

    pub(crate) fn stack_bytes_at(&self, base: usize, registers: u16) -> u64 {
        (base as u64 + u64::from(registers)) * cost::SLOT_BYTES
    }

    /// The frames, newest first.
    pub fn frames(&self) -> Frames<'_> {
        let newest = FrameView {
            program: self.program,
            function: self.function,
            pc: self.pc,
            base: self.base,
            window: u16::MAX,
        };
        Frames {
            fiber: self,
            next: (self.depth > 0).then_some(newest),
            left: self.depth,
        }
    }

    /// The innermost and the outermost callers of the newest frame, at most `half` of each, and how many there are between
    /// them.
    pub fn callers_at_ends(&self, half: usize) -> (Vec<FrameView>, u64) {
        let callers = self.frames().skip(1).enumerate();
        let count = (self.depth as usize).saturating_sub(1);
        let at_ends: Vec<FrameView> = callers
            .filter(|(place, _)| *place < half || *place >= count.saturating_sub(half))
            .map(|(_, frame)| frame)
            .collect();
        let omitted = count - at_ends.len();
        (at_ends, omitted as u64)
    }

    /// A register of a frame.
    pub fn register(&self, frame: &FrameView, register: u16) -> Value {
        self.stack[frame.base + usize::from(register)]
    }

    /// The live registers of a frame with their values, rising.
    pub fn live_registers<'a>(
        &'a self,
        code: &'a CodeSpace,
        frame: &FrameView,
    ) -> impl Iterator<Item = (u16, Value)> + 'a {
        let frame = *frame;
        let done = matches!(self.state, State::Done(_));
        let live = code
            .program(frame.program)
            .live(frame.function)
            .at(frame.pc);
        live.take_while(move |register| *register < frame.window && !done)
            .map(move |register| (register, self.register(&frame, register)))
    }

    /// Enters a function whose arguments stand in the slots from `base`; the header is in the slot
    /// before. The caller has checked every limit.
    pub(crate) fn push_frame(&mut self, program: u32, function: u32, base: usize, registers: u16) {
        let header = Value {
            tag: u64::from(self.pc) | u64::from(self.function) << 32,
            bits: (base - self.base) as u64 | u64::from(self.program) << 32,
        };
        self.grow_stack(base + usize::from(registers));
        self.stack[base - 1] = header;
        self.base = base;
        self.program = program;
        self.function = function;
        self.pc = 0;
        self.depth += 1;
    }

    /// Has the return from the newest frame noticed, which has a caller.
    pub(crate) fn watch(&mut self) {
        self.stack[self.base - 1].bits |= WATCHED;
    }

    /// The return from the frame whose r0 stands there is an ordinary one again.
    pub(crate) fn unwatch(&mut self, base: usize) {
        self.stack[base - 1].bits &= !WATCHED;
    }

    /// Makes sure that the stack has this many slots from the newest frame's r0 on, a matter of memory only.
    pub(crate) fn make_room(&mut self, slots: u32) {
        self.grow_stack(self.base + slots as usize);
    }

    /// Makes sure that the stack has slots up to `end`, and some more when it has to grow.
    fn grow_stack(&mut self, end: usize) {
        let length = self.stack.len();
        if end > length {
            let length = end.max(length * 2).min(end + (1 << 16));
            self.stack.resize(length, Value::NIL);
        }
    }

    /// Leaves the newest frame: its caller is the newest one now, its pc still at the call. False when
    /// there is no caller.
    pub(crate) fn pop_frame(&mut self) -> bool {
        if self.depth <= 1 {
            return false;
        }
        let header = self.stack[self.base - 1];
        self.pc = header.tag as u32;
        self.function = (header.tag >> 32) as u32;
        self.program = program_of(header);
        self.base -= header.bits as u32 as usize;
        self.depth -= 1;
        true
    }

    /// Makes sure that `bytes` more logical bytes of objects and a stack of `stack_bytes` fit, by a
    /// collection if need be. Nothing may be held across this but registers.
    pub(crate) fn reserve(
        &mut self,
        code: &CodeSpace,
        bytes: u64,
        stack_bytes: u64,
    ) -> Result<(), LimitHit> {
        let counters = self.arena.counters;
        let stack_counted = if self.limits.stack_bytes.is_some() {
            0
        } else {
            stack_bytes
        };
        let used = counters
            .live
            .saturating_add(counters.allocated)
            .saturating_add(stack_counted);
        let wanted = used.saturating_add(bytes);
        let limit = self.bounds().memory_bytes;
        let peak = &mut self.arena.statistics.peak_bytes;
        *peak = (*peak).max(wanted.min(limit));
        // The stack is scanned by every collection, so a deep one makes collections rarer and dearer.
        let threshold = cost::collection_threshold(counters.live.saturating_add(stack_bytes));
        // What was collected and not allocated since is not collected again: an instruction that hit the
        // gas limit by its collection goes on, under a higher one, as if it had not been stopped.
        let due = bytes > 0
            && counters.allocated > 0
            && counters.allocated.saturating_add(bytes) > threshold;
        if due || wanted > limit {
            self.collect_for(code, bytes, stack_counted, stack_bytes)?;
        }
        self.arena.allow(Some(bytes));
        Ok(())
    }

    #[cold]
    fn collect_for(
        &mut self,
        code: &CodeSpace,
        bytes: u64,
        stack_counted: u64,
        stack_bytes: u64,
    ) -> Result<(), LimitHit> {
        let live = self.collect(code);
        if self.limits.collections_cost_gas {
            let gas = cost::collection_gas(live.saturating_add(stack_bytes));
            self.gas_used = self.gas_used.saturating_add(gas);
        }
        let bounds = self.bounds();
        if live.saturating_add(stack_counted).saturating_add(bytes) > bounds.memory_bytes {
            return Err(LimitHit::Memory);
        }
        if self.gas_used > bounds.gas {
            Err(LimitHit::Gas)
        } else {
            Ok(())
        }
    }

    /// Collects: everything that no live register or global can reach is gone. The logical bytes found
    /// live. Gas is the caller's business.
    pub fn collect(&mut self, code: &CodeSpace) -> u64 {
        let frames: Vec<FrameView> = self.frames().collect();
        let done = matches!(self.state, State::Done(_));
        let mut collector = self.arena.collect();
        for frame in frames.iter().filter(|_| !done) {
            let live = code
                .program(frame.program)
                .live(frame.function)
                .at(frame.pc);
            for register in live.take_while(|register| *register < frame.window) {
                collector.root(&mut self.stack[frame.base + usize::from(register)]);
            }
        }
        for (_, globals) in self
            .extras
            .iter_mut()
            .flat_map(|extras| &mut extras.globals)
        {
            for global in globals.iter_mut().filter(|global| **global != UNSET) {
                collector.root(global);
            }
        }
        if let State::Done(value) = &mut self.state {
            collector.root(value);
        }
        collector.finish()
    }

    /// Gives room back that is not in use, without moving an object. Physical only.
    pub fn trim(&mut self, code: &CodeSpace) {
        self.arena.trim();
        self.stack.truncate(self.stack_slots_needed(code));
        self.stack.shrink_to_fit();
    }

    /// Bytes of memory that the stack and the arena take.
    pub fn held_bytes(&self) -> u64 {
        let stack = self.stack.capacity() * size_of::<Value>();
        stack as u64 + self.arena.held_bytes()
    }

    /// Makes the arena as small as it can be, moving everything together. Physical only: no counter of
    /// the state changes.
    pub fn compact(&mut self, code: &CodeSpace) {
        let counters = self.arena.counters;
        let statistics = self.arena.statistics;
        for _ in 0..arena::COMPACTING_PASSES {
            self.arena.move_everything();
            self.collect(code);
        }
        self.arena.counters = counters;
        self.arena.statistics = statistics;
        self.trim(code);
    }

    /// Slots up to the last register of any frame: a caller may have more than its callee reaches.
    fn stack_slots_needed(&self, code: &CodeSpace) -> usize {
        let ends = self.frames().map(|frame| {
            let function = code.program(frame.program).function(frame.function);
            frame.base + usize::from(function.registers)
        });
        ends.max().unwrap_or(0)
    }

    /// Gas used after `gas` more; `None` when the limit, or that of a sandbox, does not allow it. Gas that cannot be counted is
    /// beyond any limit.
    pub(crate) fn gas_after(&self, gas: u64) -> Option<u64> {
        let after = self.gas_used.checked_add(gas)?;
        (after <= self.bounds().gas).then_some(after)
    }

    /// The program and function of the newest frame.
    pub(crate) fn current<'a>(&self, code: &'a CodeSpace) -> (&'a LoadedProgram, &'a Function) {
        let program = code.program(self.program);
        (program, program.function(self.function))
    }

    /// A global of a program; `None` when it was never set.
    pub(crate) fn global(&self, program: u32, global: u32) -> Option<Value> {
        let globals = &self.extras.as_ref()?.globals;
        let (_, values) = globals.iter().find(|(of, _)| *of == program)?;
        let value = values[global as usize];
        (value != UNSET).then_some(value)
    }

    /// All globals of a program, unset ones included, once one of them was set.
    pub(crate) fn globals_of(&mut self, program: u32) -> Option<&mut [Value]> {
        let mut all = self.extras.as_mut()?.globals.iter_mut();
        all.find(|(of, _)| *of == program)
            .map(|(_, values)| values.as_mut_slice())
    }

    /// Sets a global of a program.
    pub(crate) fn set_global(&mut self, code: &CodeSpace, program: u32, global: u32, value: Value) {
        self.begin_globals(code, program);
        if let Some(globals) = self.globals_of(program) {
            globals[global as usize] = value;
        }
    }

    /// Makes room for the globals of a program, if it has some and there is none yet.
    pub(crate) fn begin_globals(&mut self, code: &CodeSpace, program: u32) {
        let count = code.program(program).program().globals as usize;
        if count > 0 && self.globals_of(program).is_none() {
            let extras = self.extras.get_or_insert_default();
            extras.globals.push((program, vec![UNSET; count]));
        }
    }
}

/// The frames of a fiber, newest first.
#[derive(Debug)]
pub struct Frames<'a> {
    fiber: &'a Fiber,
    next: Option<FrameView>,
    left: u32,
}

impl Iterator for Frames<'_> {
    type Item = FrameView;

    fn next(&mut self) -> Option<FrameView> {
        let frame = self.next.take()?;
        self.left -= 1;
        if self.left > 0 {
            let header = self.fiber.stack[frame.base - 1];
            let distance = header.bits as u32 as usize;
            self.next = Some(FrameView {
                program: program_of(header),
                function: (header.tag >> 32) as u32,
                pc: header.tag as u32,
                base: frame.base - distance,
                window: (distance - 1) as u16,
            });
        }
        Some(frame)
    }
}
