//! The reference interpreter: the executable specification of every instruction.
//!
//! One instruction at a time: check gas, charge it, carry it out, go on. Nothing is cached and nothing
//! is clever; every faster tier must agree with this one in result, gas, error and state at every
//! instruction. Handlers stand one file an opcode module.
//!
//! An instruction either completes or, when it raises or hits a limit, leaves the state as it was
//! before it; only what a collection did stays. So handlers first find out what they need, reserve and
//! charge it, and then act; values are read from registers after reserving, for a collection moves
//! them.

mod actor;
mod arith;
mod capability;
mod compare;
mod control;
mod data;
mod effect;
mod float;
mod function;
mod host;
mod map;
mod message;
mod raise;
mod sandbox;
mod text;
mod v2;

#[cfg(test)]
pub(crate) use raise::Nobody;
pub(crate) use raise::{can_try, error_of};

use pw_isa::op::{Op, Work};
use pw_isa::operand::{Def, Span, Use};
use pw_isa::{ErrorKind, Kind, cost};

use crate::code_space::CodeSpace;
use crate::failure::Failure;
use crate::fiber::parcel::Parcel;
use crate::fiber::{Fiber, LimitHit, State};
use crate::heap::Heap;
use crate::host::Host;
use crate::value::Value;

/// How a slice ended.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The program ended with a value.
    Done(Value),
    /// The slice's gas is used up; the fiber can go on.
    Preempted,
    /// The fiber waits for [`answer`].
    Waiting,
    /// The program failed; the fiber stands at the failing instruction.
    Failed(Box<Failure>),
}

/// Where control goes behind an instruction.
enum Next {
    /// To the next one.
    Advance,
    /// To this one.
    Jump(u32),
    /// The instruction has set function and pc itself.
    Entered,
    /// It waits.
    Wait,
    /// It is done anew in the next slice.
    Again,
    /// The program is done.
    Done(Value),
}

/// Why an instruction did not complete.
enum Stop {
    /// It raises an error that becomes an Error value.
    Error(ErrorKind, String),
    /// It raises a value.
    Value(Value),
    /// It hits a limit of the fiber, or the bound of a sandbox.
    Limit(ErrorKind),
    /// It hits a limit of the fiber that sandboxes have no part in.
    Own(ErrorKind),
}

type Step = Result<Next, Stop>;

impl From<LimitHit> for Stop {
    fn from(hit: LimitHit) -> Stop {
        Stop::Limit(match hit {
            LimitHit::Gas => ErrorKind::GasLimitExceeded,
            LimitHit::Memory => ErrorKind::MemoryLimitExceeded,
        })
    }
}

/// Runs a fiber for at most `slice` gas. An instruction begins only when its fixed gas is left; what
/// its work takes beyond the slice is the caller's to settle ([`Fiber::gas_used`] tells).
pub fn run(fiber: &mut Fiber, code: &CodeSpace, host: &mut dyn Host, slice: u64) -> Outcome {
    match fiber.state {
        State::Ready => {}
        State::Waiting => return Outcome::Waiting,
        State::Done(value) => return Outcome::Done(value),
    }
    if let Some(outcome) = begin(fiber, code, host) {
        return outcome;
    }
    let slice_end = fiber.gas_used.saturating_add(slice);
    let mut machine = Machine::new(fiber, code, host);
    loop {
        if let Some(outcome) = machine.step(slice_end) {
            return outcome;
        }
    }
}

/// Runs one instruction as [`run`] would in a slice that ends at `slice_end` of the fiber's gas; tells when the slice is over. For
/// who wants to look at the fiber between instructions.
pub fn advance(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    slice_end: u64,
) -> Option<Outcome> {
    match fiber.state {
        State::Ready => {}
        State::Waiting => return Some(Outcome::Waiting),
        State::Done(value) => return Some(Outcome::Done(value)),
    }
    begin(fiber, code, host).or_else(|| step(fiber, code, host, slice_end))
}

/// Checks that what a fiber begins with, its frame and its arguments, is within its limits; tells when
/// it is not. Nothing to do for a fiber that has begun.
pub(crate) fn begin(fiber: &mut Fiber, code: &CodeSpace, host: &mut dyn Host) -> Option<Outcome> {
    if fiber.gas_used > 0 || fiber.depth > 1 || fiber.pc > 0 {
        return None;
    }
    let mut machine = Machine::new(fiber, code, host);
    let fits = machine.reserve(0);
    machine.fiber.arena.allow(None);
    let stop = fits.err()?;
    machine.raise(stop).err().map(Outcome::Failed)
}

/// Runs one instruction of a ready fiber; tells when the slice is over.
pub(crate) fn step(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    slice_end: u64,
) -> Option<Outcome> {
    Machine::new(fiber, code, host).step(slice_end)
}

/// Leaves the newest frame with a value, as its `return` would; tells when that ends the program.
#[inline(never)]
pub(crate) fn leave(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    value: Value,
) -> Option<Outcome> {
    let mut machine = Machine::new(fiber, code, host);
    let step = machine.leave(value);
    machine.finish(step)
}

/// Gives a waiting fiber its answer: a value, or an error that the waiting instruction raises. `Err`
/// when that ends the program; a fiber at a limit still waits.
///
/// # Panics
/// When the fiber does not wait.
pub fn answer(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    answer: Result<Parcel, (ErrorKind, String)>,
) -> Result<(), Box<Failure>> {
    assert!(
        fiber.state == State::Waiting,
        "a fiber that does not wait gets no answer"
    );
    fiber.state = State::Ready;
    let mut machine = Machine::new(fiber, code, host);
    let (program, _) = machine.fiber.current(code);
    let facts = program.step_facts(machine.fiber.function, machine.fiber.pc);
    machine.work = facts.work;
    let step = match &answer {
        Ok(parcel) => machine.deliver(parcel),
        Err((kind, message)) => Err(Stop::Error(*kind, message.clone())),
    };
    let is_limit = matches!(step, Err(Stop::Limit(_)));
    let answered = match step {
        Ok(_) => {
            machine.fiber.pc += 1;
            Ok(())
        }
        Err(stop) => machine.raise(stop),
    };
    // What did not fit in a sandbox may be asked for again outside.
    if is_limit
        && answered.is_ok()
        && let Ok(parcel) = answer
    {
        machine.host.take_back(parcel);
    }
    // At a limit it goes on waiting: under a higher one the answer can be given again.
    if answered
        .as_ref()
        .is_err_and(|failure| failure.value.is_none())
    {
        machine.fiber.state = State::Waiting;
    }
    machine.fiber.arena.allow(None);
    answered
}

/// A fiber at work.
struct Machine<'a> {
    fiber: &'a mut Fiber,
    code: &'a CodeSpace,
    host: &'a mut dyn Host,
    /// Gas charged for the current instruction, collections apart.
    charged: u64,
    /// What the current instruction's work counts.
    work: Work,
    /// The instruction is only tried: nothing is to be made.
    is_trial: bool,
}

impl<'a> Machine<'a> {
    fn new(fiber: &'a mut Fiber, code: &'a CodeSpace, host: &'a mut dyn Host) -> Machine<'a> {
        Machine {
            fiber,
            code,
            host,
            charged: 0,
            work: Work::None,
            is_trial: false,
        }
    }

    /// Runs one instruction; tells when the slice is over.
    fn step(&mut self, slice_end: u64) -> Option<Outcome> {
        let (program, function) = self.fiber.current(self.code);
        let pc = self.fiber.pc as usize;
        let op = &function.code[pc];
        let facts = program.step_facts(self.fiber.function, self.fiber.pc);
        let gas = u64::from(facts.gas);
        self.charged = 0;
        let Some(after) = self.fiber.gas_after(gas) else {
            let failed = self.raise(Stop::Limit(ErrorKind::GasLimitExceeded));
            self.fiber.arena.allow(None);
            return failed.err().map(Outcome::Failed);
        };
        if after > slice_end {
            return Some(Outcome::Preempted);
        }
        self.fiber.gas_used = after;
        self.charged = gas;
        self.work = facts.work;
        self.fiber.arena.allow(Some(0));
        let step = self.execute(op);
        let outcome = self.finish(step);
        self.fiber.arena.allow(None);
        outcome
    }

    /// Goes where an instruction leads; tells when the slice is over.
    fn finish(&mut self, step: Step) -> Option<Outcome> {
        match step {
            Ok(Next::Advance) => self.fiber.pc += 1,
            Ok(Next::Jump(target)) => self.fiber.pc = target,
            Ok(Next::Entered) => {}
            Ok(Next::Wait) => {
                self.fiber.state = State::Waiting;
                return Some(Outcome::Waiting);
            }
            Ok(Next::Again) => {
                self.fiber.gas_used -= self.charged;
                return Some(Outcome::Preempted);
            }
            Ok(Next::Done(value)) => {
                self.fiber.keep_sandboxes(0);
                self.fiber.state = State::Done(value);
                return Some(Outcome::Done(value));
            }
            Err(stop) => return self.raise(stop).err().map(Outcome::Failed),
        }
        None
    }

    fn execute(&mut self, op: &Op) -> Step {
        match op {
            Op::Control(op) => self.control(op),
            Op::Data(op) => self.data(op),
            Op::Arith(op) => self.arith(op),
            Op::Float(op) => self.float(op),
            Op::Compare(op) => self.compare(op),
            Op::Function(op) => self.function(op),
            Op::Text(op) => self.text(op),
            Op::Actor(op) => self.actor(op),
            Op::Message(op) => self.message(op),
            Op::Capability(op) => self.capability(op),
            Op::Host(op) => self.host(op),
            Op::Sandbox(op) => self.sandbox(op),
            Op::V2(op) => self.v2(op),
        }
    }

    fn get(&self, register: Use) -> Value {
        self.fiber.stack[self.fiber.base + usize::from(register.0)]
    }

    /// Registers that follow each other.
    fn registers(&self, span: Span) -> &[Value] {
        let first = self.fiber.base + usize::from(span.first);
        &self.fiber.stack[first..first + usize::from(span.count)]
    }

    fn set(&mut self, register: Def, value: Value) -> Step {
        let slot = self.fiber.base + usize::from(register.0);
        self.fiber.stack[slot] = value;
        Ok(Next::Advance)
    }

    fn heap(&self) -> Heap<'_> {
        self.fiber.heap(self.code)
    }

    /// Makes sure that objects of `bytes` logical bytes can be made.
    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        if self.is_trial {
            return Err(Stop::Limit(ErrorKind::MemoryLimitExceeded));
        }
        let stack_bytes = self.fiber.stack_bytes(self.code);
        Ok(self.fiber.reserve(self.code, bytes, stack_bytes)?)
    }

    /// Charges the size-proportional part of the instruction's gas.
    fn charge(&mut self, amount: u64) -> Result<(), Stop> {
        let gas = cost::work_gas(self.work, amount);
        let after = self.fiber.gas_after(gas);
        self.fiber.gas_used = after.ok_or(Stop::Limit(ErrorKind::GasLimitExceeded))?;
        self.charged += gas;
        Ok(())
    }

    /// Units of work that the gas limit still allows.
    fn affordable_work(&self) -> u64 {
        let left = self.fiber.bounds().gas.saturating_sub(self.fiber.gas_used);
        let unit = [64, 8, 4]
            .into_iter()
            .find(|unit| cost::work_gas(self.work, *unit) == 1)
            .unwrap_or(1);
        left.saturating_mul(unit).saturating_add(unit - 1)
    }

    /// An error that says what kinds an instruction takes and what it found.
    fn mismatch(&self, wanted: &str, found: Value) -> Stop {
        let text =
            crate::text::value_text_within(self.heap(), found, crate::text::Style::Quoted, 60);
        let kind = found.kind();
        let found = if kind == Kind::Nil {
            "nil".to_owned()
        } else {
            format!("{} {text}", kind_phrase(kind))
        };
        Stop::Error(
            ErrorKind::TypeMismatch,
            format!("{wanted} expected, found {found}"),
        )
    }
}

/// The kind with its article, for messages.
fn kind_phrase(kind: Kind) -> String {
    match kind {
        Kind::Nil => "nil".to_owned(),
        Kind::Int | Kind::ActorId | Kind::Error => format!("an {}", kind.name()),
        Kind::Bytes => "bytes".to_owned(),
        _ => format!("a {}", kind.name()),
    }
}
