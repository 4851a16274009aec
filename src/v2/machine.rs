//! One V2 program in execution: lowering, the fiber, and what it takes to talk to it.

use std::sync::Arc;

use pw_isa::cost;
use pw_isa::v2::{Lowered, StackPlace, lower};
use pw_isa::verify::verify;
use pw_jit::fiber::FrameView;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::interp;
use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Failure, Fiber, Limits, State, Value as Register};

use super::performance::MachineCounts;
use super::surroundings::{Bridge, Pause, Surroundings};
use super::transfer::{Exporter, Message, Programs, programs_of};
use super::{HeapObjects, OpCode, Value};

/// What a machine may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MachineLimits {
    pub(crate) steps: u64,
    pub(crate) memory_bytes: usize,
    /// Calls that may be open at once.
    pub(crate) depth: usize,
}

/// What runs the instructions. The results are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Tier {
    /// The executable specification.
    #[default]
    Reference,
    /// The fast interpreter.
    Interpreter,
}

/// How a slice ended.
#[derive(Debug)]
pub(crate) enum Slice {
    /// The steps of the slice are used up.
    Preempted,
    Paused(Pause),
    Finished(Register),
    Failed(Box<Failure>),
}

/// A frame as V2 sees it.
pub(crate) struct V2Frame {
    /// The constant that holds the running function; absent for the code itself.
    pub(crate) constant: Option<usize>,
    /// The instruction that runs next, or the call in progress.
    pub(crate) ip: usize,
    /// The local variables, unless nothing will read them any more.
    pub(crate) locals: Option<Vec<Value>>,
    pub(crate) stack: Vec<Value>,
}

/// A V2 program in execution.
#[derive(Debug)]
pub(crate) struct Machine {
    code: CodeSpace,
    /// The programs of the code space; those after the first came with closures in messages.
    programs: Programs,
    fiber: Fiber,
    pub(crate) tier: Tier,
    profile: Profile,
    /// Logical bytes that exist before the first instruction.
    initial_bytes: u64,
}

/// Stack bytes that a machine may always use.
const STACK_BYTES: u64 = 1 << 20;

impl Machine {
    /// A machine at the first instruction; `delivers_first` tells that messages are pushed before it.
    ///
    /// # Errors
    /// Why the program is refused: it is too large.
    pub(crate) fn new(
        code: &[OpCode],
        constants: &[Value],
        limits: MachineLimits,
        delivers_first: bool,
    ) -> Result<Machine, String> {
        let constants: Vec<_> = constants.iter().map(Value::to_constant).collect();
        let lowered = lower(code, &constants, delivers_first);
        let mut space = CodeSpace::default();
        let verified = verify(lowered.program.clone()).map_err(|error| error.to_string())?;
        let program = space.load(verified);
        // The local variables and, where it is one, the Vector of the operand stack.
        let initial_bytes = initial_bytes(&lowered);
        let fiber = Fiber::new(&space, program, fiber_limits(limits, initial_bytes));
        let mut programs = Programs::default();
        programs.admit(Arc::new(lowered), program);
        Ok(Machine {
            code: space,
            programs,
            fiber,
            tier: Tier::default(),
            profile: Profile::default(),
            initial_bytes,
        })
    }

    /// Changes what the machine may use.
    pub(crate) fn set_limits(&mut self, limits: MachineLimits) {
        self.fiber
            .set_limits(fiber_limits(limits, self.initial_bytes));
    }

    /// Steps charged so far.
    pub(crate) fn steps(&self) -> u64 {
        self.fiber.gas_used()
    }

    /// Logical bytes in use.
    pub(crate) fn memory_bytes(&self) -> usize {
        let counters = self.fiber.arena().counters();
        (counters.live + counters.allocated).saturating_sub(self.initial_bytes) as usize
    }

    /// The most logical bytes in use at once.
    pub(crate) fn memory_bytes_max(&self) -> usize {
        let peak = self.fiber.arena().statistics().peak_bytes;
        peak.saturating_sub(self.initial_bytes) as usize
    }

    /// Collects garbage; the bytes freed. Allowed at any time, for it changes nothing that a program
    /// can see.
    pub(crate) fn collect(&mut self) -> usize {
        let before = self.memory_bytes();
        self.fiber.collect(&self.code);
        before - self.memory_bytes()
    }

    /// Bytes that a collection would free, as a share of those in use.
    pub(crate) fn dead_share(&self) -> f32 {
        let used = self.memory_bytes();
        if used == 0 {
            return 0.0;
        }
        let mut copy = self.fiber.clone();
        copy.collect(&self.code);
        let counters = copy.arena().counters();
        let live = (counters.live + counters.allocated).saturating_sub(self.initial_bytes);
        (used - live as usize) as f32 / used as f32
    }

    /// Objects and fragmentation of the heap.
    pub(crate) fn heap_report(&self) -> pw_jit::fiber::arena::ArenaReport {
        self.fiber.arena().report()
    }

    /// Brings the objects together.
    pub(crate) fn compact(&mut self) {
        self.fiber.compact(&self.code);
    }

    /// Whether the fiber waits for [`Machine::resume`].
    pub(crate) fn is_waiting(&self) -> bool {
        self.fiber.state() == State::Waiting
    }

    /// Makes the functions of messages known.
    pub(crate) fn admit(&mut self, messages: &[Message]) {
        for message in messages {
            for program in programs_of(&message.objects) {
                if self.programs.number(&program).is_some() {
                    continue;
                }
                if let Ok(verified) = verify(program.program.clone()) {
                    let number = self.code.load(verified);
                    self.programs.admit(program, number);
                }
            }
        }
    }

    /// Answers what the fiber waits for: whether a capability was granted, or that its turn has come.
    pub(crate) fn resume(&mut self, granted: bool, surroundings: &mut dyn Surroundings) {
        let mut bridge = Bridge {
            surroundings,
            programs: &self.programs,
            inbox: &mut Vec::new(),
            pause: None,
        };
        let answer = Parcel::Plain(Register::bool(granted));
        let resumed = reference::answer(&mut self.fiber, &self.code, &mut bridge, Ok(answer));
        debug_assert!(resumed.is_ok(), "a truth value takes no memory");
    }

    /// Runs for at most `steps`.
    pub(crate) fn run(
        &mut self,
        steps: u64,
        inbox: &mut Vec<Message>,
        surroundings: &mut dyn Surroundings,
    ) -> Slice {
        let mut bridge = Bridge {
            surroundings,
            programs: &self.programs,
            inbox,
            pause: None,
        };
        let (fiber, code) = (&mut self.fiber, &self.code);
        let outcome = match self.tier {
            Tier::Reference => reference::run(fiber, code, &mut bridge, steps),
            Tier::Interpreter => interp::run(fiber, code, &mut bridge, &mut self.profile, steps),
        };
        match outcome {
            Outcome::Done(value) => Slice::Finished(value),
            Outcome::Preempted => Slice::Preempted,
            Outcome::Failed(failure) => Slice::Failed(failure),
            Outcome::Waiting => match bridge.pause {
                Some(pause) => Slice::Paused(pause),
                None => unreachable!("only what pauses waits"),
            },
        }
    }

    /// Copies a value out.
    pub(crate) fn export(&self, register: Register, objects: &mut HeapObjects) -> Value {
        self.exporter(objects).export(register)
    }

    /// A value in Jue's notation.
    pub(crate) fn notation(&self, register: Register) -> String {
        value_text(self.fiber.heap(&self.code), register, Style::Quoted)
    }

    fn exporter<'a>(&'a self, objects: &'a mut HeapObjects) -> Exporter<'a> {
        Exporter::new(self.fiber.heap(&self.code), &self.programs, objects)
    }

    /// The V2 instruction that runs next: the constant of its function, and its position.
    pub(crate) fn position(&self) -> (Option<usize>, usize) {
        let (program, function, pc) = self.fiber.position();
        let lowered = self.programs.get(program);
        let ip = lowered.program.line_at(function, pc).unwrap_or(0);
        (lowered.functions[function as usize].constant, ip as usize)
    }

    /// How many calls are open.
    pub(crate) fn open_calls(&self) -> usize {
        (self.fiber.depth() as usize).saturating_sub(1)
    }

    /// The frames, newest first.
    pub(crate) fn frames(&self, objects: &mut HeapObjects) -> Vec<V2Frame> {
        if matches!(self.fiber.state(), State::Done(_)) {
            return Vec::new();
        }
        let mut exporter = self.exporter(objects);
        self.fiber
            .frames()
            .map(|frame| self.frame(&frame, &mut exporter))
            .collect()
    }

    fn frame(&self, frame: &FrameView, exporter: &mut Exporter<'_>) -> V2Frame {
        let lowered = self.programs.get(frame.program);
        let layout = &lowered.functions[frame.function as usize];
        let ip = lowered
            .program
            .line_at(frame.function, frame.pc)
            .unwrap_or(0) as usize;
        let live: Vec<(u16, Register)> = self.fiber.live_registers(&self.code, frame).collect();
        let at = |register: u16| {
            let found = live.iter().find(|(number, _)| *number == register);
            found.map_or(Register::NIL, |(_, value)| *value)
        };
        let heap = self.fiber.heap(&self.code);
        let mut vector = |register: u16| -> Vec<Value> {
            let elements = heap.vector(at(register)).into_iter().flatten();
            elements.map(|element| exporter.export(element)).collect()
        };
        let known = !layout.has_locals || live.iter().any(|(register, _)| *register == 0);
        let locals = known.then(|| vector(0));
        let stack = match &layout.stack {
            StackPlace::Vector { register } => vector(*register),
            StackPlace::Registers { first, heights } => {
                let height = heights.get(ip).copied().flatten().unwrap_or(0);
                (*first..first.saturating_add(height))
                    .map(|register| exporter.export(at(register)))
                    .collect()
            }
        };
        V2Frame {
            constant: layout.constant,
            ip,
            locals,
            stack,
        }
    }

    /// What a snapshot of the machine consists of: its programs by number, and the fiber's image.
    pub(crate) fn parts(&self) -> (Vec<&Lowered>, Vec<u8>) {
        let programs = self.programs.iter().map(|lowered| &**lowered).collect();
        (programs, self.fiber.to_image(&self.code))
    }

    /// The machine made of such parts.
    ///
    /// # Errors
    /// When they do not fit together.
    pub(crate) fn from_parts(
        parts: Vec<Lowered>,
        image: &[u8],
        limits: MachineLimits,
    ) -> Result<Machine, String> {
        let mut code = CodeSpace::default();
        let mut programs = Programs::default();
        let initial_bytes = parts.first().map_or(0, initial_bytes);
        for (number, lowered) in parts.into_iter().enumerate() {
            if lowered.functions.len() != lowered.program.functions.len() {
                return Err("a program without the layout of its functions".to_owned());
            }
            let verified = verify(lowered.program.clone()).map_err(|error| error.to_string())?;
            if code.load(verified) as usize != number {
                return Err("the same program twice".to_owned());
            }
            programs.admit(Arc::new(lowered), number as u32);
        }
        let fiber_limits = fiber_limits(limits, initial_bytes);
        let stack_bytes_max = fiber_limits.stack_bytes.unwrap_or(STACK_BYTES);
        let mut fiber =
            Fiber::from_image(&code, image, stack_bytes_max).map_err(|error| error.to_string())?;
        fiber.set_limits(fiber_limits);
        Ok(Machine {
            code,
            programs,
            fiber,
            tier: Tier::default(),
            profile: Profile::default(),
            initial_bytes,
        })
    }

    /// The value that the program ended with.
    pub(crate) fn result(&self) -> Option<Register> {
        match self.fiber.state() {
            State::Done(value) => Some(value),
            _ => None,
        }
    }

    /// What the machine has done in total.
    pub(crate) fn counts(&self) -> MachineCounts {
        let statistics = self.fiber.arena().statistics();
        MachineCounts {
            steps: self.steps(),
            allocations: statistics.allocations,
            collections: statistics.collections,
        }
    }
}

/// The Vectors that exist before the first instruction: local variables, and the operand stack where
/// it is one.
fn initial_bytes(lowered: &Lowered) -> u64 {
    let Some(layout) = lowered.functions.first() else {
        return 0;
    };
    let stack_is_vector = matches!(layout.stack, StackPlace::Vector { .. });
    let vectors = u64::from(layout.has_locals) + u64::from(stack_is_vector);
    vectors * cost::VECTOR_BYTES
}

fn fiber_limits(limits: MachineLimits, initial_bytes: u64) -> Limits {
    let memory_bytes = limits.memory_bytes as u64;
    Limits {
        gas: limits.steps,
        memory_bytes: memory_bytes.saturating_add(initial_bytes),
        depth: u32::try_from(limits.depth)
            .unwrap_or(u32::MAX)
            .saturating_add(1),
        stack_bytes: Some(memory_bytes.saturating_mul(4).saturating_add(STACK_BYTES)),
        collections_cost_gas: false,
    }
}
