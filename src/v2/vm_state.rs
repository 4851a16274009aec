//! One actor's machine: V2's `VmState`, on a fiber.
//!
//! ```text
//!   New ──first step──▶ Running ──▶ Ended (value or error, for good)
//!                        │    ▲
//!                  waits for a capability ── decided
//! ```
//!
//! The program is lowered at the first step: messages that wait by then make a difference to how.

use std::time::Instant;

use pw_jit::Failure;

use super::alone::{Alone, Decisions};
use super::debugger::Debugger;
use super::gc::GarbageCollector;
use super::machine::{Machine, MachineLimits, Slice};
use super::performance::{MachineCounts, PerformanceMonitor};
use super::surroundings::{HostProvider, Pause, Surroundings};
use super::transfer::Message;
use super::vm_error::VmError;
use super::{Capability, HeapObjects, HostFunction, OpCode, Value, VmErrorKind};

/// Calls that may be open at once, unless said otherwise.
pub const MAX_RECURSION_DEPTH: usize = 100;
/// Instructions that an error's history holds.
const HISTORY_MAX: usize = 5;

/// What a step or a run ended with.
#[derive(Clone, Debug, PartialEq)]
pub enum InstructionResult {
    /// The program can go on.
    Continue,
    /// It yielded.
    Yield,
    /// It has ended with a value.
    Finished(Value),
    /// It waits for a decision on a capability; see [`VmState::resolve_capability`].
    WaitingForCapability(Capability),
    /// The debugger paused it.
    Paused,
}

#[derive(Debug)]
pub(super) enum Phase {
    New,
    Running(Box<Machine>),
    /// The program is too large.
    Refused,
}

/// One actor's machine.
pub struct VmState {
    pub(super) instructions: Vec<OpCode>,
    pub(super) constant_pool: Vec<Value>,
    pub(super) actor_id: u32,
    pub(super) limits: MachineLimits,
    pub(super) phase: Phase,
    pub(super) inbox: Vec<Message>,
    pub(super) waiting_for: Option<Capability>,
    pub(super) ended: Option<Result<Value, VmError>>,
    pub(super) objects: HeapObjects,
    pub(super) history: Vec<OpCode>,
    pub(super) time_ms: f64,
    accounted: MachineCounts,
    alone: Option<Box<Alone>>,
    /// Asked before and after each instruction, when there is one.
    pub debugger: Option<Debugger>,
    /// Told what the machine did, when there is one.
    pub performance_monitor: Option<PerformanceMonitor>,
    pub(super) gc: GarbageCollector,
    pub(super) gc_enabled: bool,
}

impl VmState {
    /// A machine at the first instruction of a program.
    pub fn new(
        instructions: Vec<OpCode>,
        constants: Vec<Value>,
        step_limit: u64,
        mem_limit: usize,
        actor_id: u32,
        max_recursion_depth: usize,
    ) -> VmState {
        VmState {
            instructions,
            constant_pool: constants,
            actor_id,
            limits: MachineLimits {
                steps: step_limit,
                memory_bytes: mem_limit,
                depth: max_recursion_depth,
            },
            phase: Phase::New,
            inbox: Vec::new(),
            waiting_for: None,
            ended: None,
            objects: HeapObjects::new(),
            history: Vec::new(),
            time_ms: 0.0,
            accounted: MachineCounts::default(),
            alone: Some(Box::new(Alone::new(actor_id, [], Decisions::ByEmbedder))),
            debugger: None,
            performance_monitor: None,
            gc: GarbageCollector::new(mem_limit / 2),
            gc_enabled: true,
        }
    }

    /// Gives the actor a capability for as long as no scheduler runs it.
    pub fn hold_capability(&mut self, capability: Capability) {
        if let Some(alone) = &mut self.alone {
            alone.capabilities.insert(capability);
        }
    }

    /// Replaces the host functions for as long as no scheduler runs the machine.
    pub fn set_host(&mut self, host: Box<dyn HostProvider>) {
        if let Some(alone) = &mut self.alone {
            alone.host = host;
        }
    }

    /// Runs one instruction, or pauses at a breakpoint before it.
    ///
    /// # Errors
    /// When the instruction fails, or has failed before.
    pub fn step(&mut self) -> Result<InstructionResult, VmError> {
        self.with_alone(VmState::step_in)
    }

    /// Runs until the program ends, yields, waits for a capability or is paused by the debugger.
    /// What ended it without a value gives nil; [`VmState::run_until_pause`] tells which.
    ///
    /// # Errors
    /// When an instruction fails; a capability that is waited for is such a failure.
    pub fn run(&mut self) -> Result<Value, VmError> {
        match self.run_until_pause()? {
            InstructionResult::Finished(value) => Ok(value),
            InstructionResult::WaitingForCapability(capability) => {
                let context = Box::new(self.create_error_context());
                Err(VmError::CapabilityError {
                    context,
                    capability: capability.to_string(),
                    operation: "run".to_owned(),
                })
            }
            _ => Ok(Value::Nil),
        }
    }

    /// Runs until the program ends or stops for whatever reason; never gives `Continue`.
    ///
    /// # Errors
    /// When an instruction fails.
    pub fn run_until_pause(&mut self) -> Result<InstructionResult, VmError> {
        self.with_alone(VmState::run_in)
    }

    fn with_alone(
        &mut self,
        act: fn(&mut VmState, &mut dyn Surroundings) -> Result<InstructionResult, VmError>,
    ) -> Result<InstructionResult, VmError> {
        let Some(mut alone) = self.alone.take() else {
            unreachable!("only this function takes it, and puts it back")
        };
        let result = act(self, &mut *alone);
        self.alone = Some(alone);
        result
    }

    /// Decides what the machine waits for; without effect when it waits for nothing.
    pub fn resolve_capability(&mut self, granted: bool) {
        let Some(capability) = self.waiting_for.take() else {
            return;
        };
        if let (Some(alone), true) = (&mut self.alone, granted) {
            alone.capabilities.insert(capability);
        }
        if let (Phase::Running(machine), Some(alone)) = (&mut self.phase, &mut self.alone)
            && machine.is_waiting()
        {
            machine.resume(granted, &mut **alone);
        }
    }

    /// Runs until something stops the machine.
    pub(crate) fn run_in(
        &mut self,
        surroundings: &mut dyn Surroundings,
    ) -> Result<InstructionResult, VmError> {
        if self.debugger.is_none() {
            return self.advance(u64::MAX, surroundings);
        }
        loop {
            match self.step_in(surroundings) {
                Ok(InstructionResult::Continue) => {}
                other => return other,
            }
        }
    }

    /// Runs one instruction under the eyes of the debugger.
    fn step_in(
        &mut self,
        surroundings: &mut dyn Surroundings,
    ) -> Result<InstructionResult, VmError> {
        let is_over = self.ended.is_some() || self.waiting_for.is_some();
        if is_over {
            return self.advance(0, surroundings);
        }
        self.start();
        if self.watched(Debugger::before_instruction) {
            return Ok(InstructionResult::Paused);
        }
        let op = self.current_instruction();
        if let Some(op) = op {
            self.history.push(op);
            let surplus = self.history.len().saturating_sub(HISTORY_MAX);
            self.history.drain(..surplus);
        }
        let weight = if matches!(op, Some(OpCode::TailCall(_))) {
            2
        } else {
            1
        };
        let result = self.advance(weight, surroundings);
        match &result {
            Ok(InstructionResult::Continue) if self.watched(Debugger::after_instruction) => {
                Ok(InstructionResult::Paused)
            }
            Ok(_) => result,
            Err(error) => {
                let message = error.to_string();
                self.watched(|debugger, vm| {
                    debugger.failed(vm, message);
                    false
                });
                result
            }
        }
    }

    fn watched(&mut self, ask: impl FnOnce(&mut Debugger, &VmState) -> bool) -> bool {
        let Some(mut debugger) = self.debugger.take() else {
            return false;
        };
        let answer = ask(&mut debugger, self);
        self.debugger = Some(debugger);
        answer
    }

    /// Makes the machine, if there is none yet.
    fn start(&mut self) {
        if !matches!(self.phase, Phase::New) {
            return;
        }
        let delivers_first = !self.inbox.is_empty();
        let machine = Machine::new(
            &self.instructions,
            &self.constant_pool,
            self.limits,
            delivers_first,
        );
        self.phase = match machine {
            Ok(machine) => Phase::Running(Box::new(machine)),
            Err(_) => Phase::Refused,
        };
    }

    /// Runs for at most `steps`.
    fn advance(
        &mut self,
        steps: u64,
        surroundings: &mut dyn Surroundings,
    ) -> Result<InstructionResult, VmError> {
        if let Some(ended) = &self.ended {
            return ended.clone().map(InstructionResult::Finished);
        }
        if let Some(capability) = &self.waiting_for {
            return Ok(InstructionResult::WaitingForCapability(capability.clone()));
        }
        self.start();
        let machine = match &mut self.phase {
            Phase::Running(machine) => machine,
            Phase::Refused | Phase::New => return Err(self.end_refused()),
        };
        let started = Instant::now();
        if machine.is_waiting() {
            machine.resume(true, surroundings);
        }
        machine.admit(&self.inbox);
        let before = machine.steps();
        let slice = machine.run(steps, &mut self.inbox, surroundings);
        let advanced = machine.steps() > before;
        self.time_ms += started.elapsed().as_secs_f64() * 1e3;
        self.account();
        match slice {
            Slice::Preempted => Ok(InstructionResult::Continue),
            Slice::Paused(Pause::Yield) => Ok(InstructionResult::Yield),
            Slice::Paused(Pause::Capability(capability)) => {
                self.waiting_for = Some(capability.clone());
                Ok(InstructionResult::WaitingForCapability(capability))
            }
            Slice::Finished(value) => Ok(InstructionResult::Finished(self.finish(value))),
            // The limit is noticed at the next instruction, which this slice is not to run.
            Slice::Failed(failure) if steps < 3 && advanced && at_next_instruction(&failure) => {
                Ok(InstructionResult::Continue)
            }
            Slice::Failed(failure) => {
                let error = self.error(VmErrorKind::from(failure.kind), &failure.message);
                self.ended = Some(Err(error.clone()));
                Err(error)
            }
        }
    }

    fn finish(&mut self, value: pw_jit::Value) -> Value {
        let Phase::Running(machine) = &self.phase else {
            unreachable!("only a machine finishes")
        };
        let value = machine.export(value, &mut self.objects);
        self.ended = Some(Ok(value.clone()));
        value
    }

    fn end_refused(&mut self) -> VmError {
        let error = VmError::MemoryLimitExceeded {
            context: Box::new(self.create_error_context()),
            limit: self.limits.memory_bytes,
            requested: self.limits.memory_bytes.saturating_add(1),
        };
        self.ended = Some(Err(error.clone()));
        error
    }

    fn account(&mut self) {
        let counts = match &self.phase {
            Phase::Running(machine) => machine.counts(),
            _ => return,
        };
        let before = std::mem::replace(&mut self.accounted, counts);
        if let Some(mut monitor) = self.performance_monitor.take() {
            monitor.account(counts, before);
            monitor.take_sample(self);
            self.performance_monitor = Some(monitor);
        }
    }

    pub(super) fn error(&self, kind: VmErrorKind, message: &str) -> VmError {
        let context = Box::new(self.create_error_context());
        let op = context.current_instruction;
        let operation = op.map_or("end".to_owned(), name_of);
        match kind {
            VmErrorKind::CpuLimitExceeded => VmError::CpuLimitExceeded {
                context,
                limit: self.limits.steps,
            },
            VmErrorKind::MemoryLimitExceeded => VmError::MemoryLimitExceeded {
                context,
                limit: self.limits.memory_bytes,
                requested: self.limits.memory_bytes.saturating_add(1),
            },
            VmErrorKind::StackUnderflow => VmError::StackUnderflow { context, operation },
            VmErrorKind::InvalidHeapPtr => VmError::InvalidHeapPtr { context, operation },
            VmErrorKind::UnknownOpCode => VmError::UnknownOpCode { context },
            VmErrorKind::TypeMismatch => VmError::TypeMismatch {
                context,
                operation,
                expected: message.to_owned(),
            },
            VmErrorKind::DivisionByZero => VmError::DivisionByZero { context, operation },
            VmErrorKind::ArithmeticOverflow => VmError::ArithmeticOverflow {
                operands: int_operands(&context.stack_state),
                context,
                operation,
            },
            VmErrorKind::CapabilityDenied => {
                let capability = op.and_then(|op| self.capability_of(op));
                let capability = capability.map_or("unknown".to_owned(), |it| it.to_string());
                VmError::CapabilityError {
                    context,
                    capability,
                    operation,
                }
            }
            VmErrorKind::RecursionLimitExceeded => VmError::RecursionLimitExceeded {
                current_depth: context.call_stack_depth + 1,
                context,
                limit: self.limits.depth,
            },
        }
    }

    /// The capability that an instruction is about.
    fn capability_of(&self, op: OpCode) -> Option<Capability> {
        let index = match op {
            OpCode::HasCap(index)
            | OpCode::RequestCap(index, _)
            | OpCode::GrantCap(_, index)
            | OpCode::RevokeCap(_, index) => index,
            OpCode::HostCall { func_id, .. } => {
                return HostFunction::from_id(func_id)?.required_capability();
            }
            _ => return None,
        };
        match self.constant_pool.get(index)? {
            Value::Capability(capability) => Some(capability.clone()),
            _ => None,
        }
    }
}

/// Whether a failure is the step limit, noticed before an instruction that V2 has not begun.
fn at_next_instruction(failure: &Failure) -> bool {
    failure.kind == pw_isa::ErrorKind::GasLimitExceeded
        && failure.instruction != "v2-check-step-limit"
}

fn name_of(op: OpCode) -> String {
    let text = format!("{op:?}");
    let end = text
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(text.len());
    text[..end].to_owned()
}

fn int_operands(stack: &[Value]) -> Option<(i64, i64)> {
    match stack {
        [.., Value::Int(a), Value::Int(b)] => Some((*a, *b)),
        _ => None,
    }
}
