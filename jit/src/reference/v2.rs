//! What V2 code needs and the other modules cannot say exactly.
//!
//! Nothing here charges for size: V2 counts steps only.

use pw_isa::op::V2;
use pw_isa::operand::{ClosureFrame, Def, Index, Span, Use};
use pw_isa::v2::HostFunction;
use pw_isa::{ErrorKind, Kind, cost};

use super::function::Callee;
use super::{Machine, Next, Step, Stop};
use crate::fiber::arena::{Arena, StorePlan};
use crate::host::{Answer, Effect};
use crate::value::Value;

/// The priority of messages that V2 code sends.
const SEND_PRIORITY: u8 = 4;

impl Machine<'_> {
    pub(super) fn v2(&mut self, op: &V2) -> Step {
        match *op {
            V2::Step {} => Ok(Next::Advance),
            V2::Fail { kind } => Err(failure(kind)),
            V2::Require { test, kind } if self.get(test) != Value::bool(true) => Err(failure(kind)),
            V2::Require { .. } => Ok(Next::Advance),
            V2::CheckStepLimit {} if self.fiber.gas_used >= self.fiber.limits.gas => {
                Err(Stop::Own(ErrorKind::GasLimitExceeded))
            }
            V2::CheckStepLimit {} => Ok(Next::Advance),
            V2::Swap { low, high, a, b } => {
                let (a, b) = (self.get(a), self.get(b));
                self.set(low, b)?;
                self.set(high, a)
            }
            V2::BranchFalse { test, to } => {
                let test = self.get(test);
                let taken = test == Value::bool(false) || test == Value::int(0);
                Ok(if taken {
                    Next::Jump(to.0)
                } else {
                    Next::Advance
                })
            }
            V2::GetLocal { dst, locals, index } => self.get_local(dst, locals, index.0),
            V2::SetLocal {
                locals,
                index,
                value,
            } => self.set_local(locals, index.0, value),
            V2::Eq { dst, a, b } => self.set(dst, Value::bool(self.v2_same(a, b))),
            V2::Ne { dst, a, b } => self.set(dst, Value::bool(!self.v2_same(a, b))),
            V2::StringLength { dst, string } => {
                let length = self.string_bytes(string)?;
                self.set(dst, Value::int(length as i64))
            }
            V2::StringConcat { dst, a, b } => self.append(dst, a, b),
            V2::StringIndex { dst, string, index } => self.string_index(dst, string, index),
            V2::HostUnary { dst, function, a } => self.host_unary(dst, function, a),
            V2::HostBinary {
                dst,
                function,
                a,
                b,
            } => self.host_binary(dst, function, a, b),
            V2::HostCall {
                function,
                arguments,
                ..
            } => self.host_function(function, arguments),
            V2::Send { to, value } => {
                let to = self.actor_operand(to)?;
                let value = self.pack(self.get(value))?;
                self.effect(Effect::Send {
                    to,
                    value,
                    priority: SEND_PRIORITY,
                })
            }
            V2::CheckCallee { callee, enters } => {
                self.v2_callee(self.get(callee), enters.0)?;
                Ok(Next::Advance)
            }
            V2::Call { window } => self.v2_call(window, true),
            V2::TailCall { window } => self.v2_call(window, false),
            V2::StackCall {
                window,
                stack,
                args,
            } => self.stack_call(window.base, stack, args.0, true),
            V2::StackTailCall {
                window,
                stack,
                args,
            } => self.stack_call(window.base, stack, args.0, false),
            V2::Pack { dst, values } => self.vector(dst, values),
            V2::Stack { dst } => self.vector(dst, Span { first: 0, count: 0 }),
            V2::Push { stack, value } => self.vector_push(stack, value),
            V2::Pop { dst, stack } => {
                let offset = self.vector_offset(stack)?;
                let value = self.fiber.arena.vector_pop(offset).ok_or_else(underflow)?;
                self.set(dst, value)
            }
            V2::PopOrNil { dst, stack } => {
                let offset = self.vector_offset(stack)?;
                let value = self.fiber.arena.vector_pop(offset);
                self.set(dst, value.unwrap_or(Value::NIL))
            }
            V2::Take { dst, stack, count } => self.take(dst, stack, count.0),
            V2::Deliver { stack } => self.deliver_messages(stack),
            V2::Add { .. }
            | V2::Sub { .. }
            | V2::Mul { .. }
            | V2::Div { .. }
            | V2::Mod { .. }
            | V2::FloatAdd { .. }
            | V2::FloatSub { .. }
            | V2::FloatMul { .. }
            | V2::FloatDiv { .. }
            | V2::Lt { .. }
            | V2::Gt { .. }
            | V2::Le { .. }
            | V2::Ge { .. } => self.v2_numbers(op),
        }
    }

    fn get_local(&mut self, dst: Def, locals: Use, index: u32) -> Step {
        let offset = self.vector_offset(locals)?;
        if index >= self.fiber.arena.vector_length(offset) {
            return Err(underflow());
        }
        let value = self.fiber.arena.vector_get(offset, index);
        self.set(dst, value)
    }

    fn set_local(&mut self, locals: Use, index: u32, value: Use) -> Step {
        let offset = self.vector_offset(locals)?;
        let plan = self.plan_local(offset, index, self.get(value))?;
        self.reserve(plan.bytes)?;
        let offset = self.vector_offset(locals)?;
        let arena = &mut self.fiber.arena;
        arena.apply_plan(offset, plan);
        for _ in arena.vector_length(offset)..index {
            arena.vector_push(offset, Value::NIL);
        }
        let value = self.fiber.stack[self.fiber.base + usize::from(value.0)];
        if index < arena.vector_length(offset) {
            arena.vector_set(offset, index, value);
        } else {
            arena.vector_push(offset, value);
        }
        Ok(Next::Advance)
    }

    /// What setting a local variable takes; missing ones below it become nil.
    fn plan_local(&self, offset: u64, index: u32, value: Value) -> Result<StorePlan, Stop> {
        let arena = &self.fiber.arena;
        let length = arena.vector_length(offset);
        if index < length {
            return Ok(arena.plan_store(offset, value));
        }
        if index == length {
            let too_long = || Stop::Limit(ErrorKind::MemoryLimitExceeded);
            return arena.plan_push(offset, value).ok_or_else(too_long);
        }
        let mut plan = arena.plan_store(offset, Value::NIL);
        let capacity = arena.vector_capacity(offset);
        if index >= capacity {
            let grown = cost::grown_capacity(u64::from(capacity)).min(cost::LENGTH_MAX) as u32;
            plan.capacity = grown.max(index.saturating_add(1));
            plan.bytes = cost::vector_buffer_bytes(u64::from(plan.capacity), plan.elements.bytes());
            plan.copied = u64::from(length);
        }
        Ok(plan)
    }

    fn v2_same(&self, a: Use, b: Use) -> bool {
        let (a, b) = (self.get(a), self.get(b));
        match (a.as_float(), b.as_float()) {
            (Some(a), Some(b)) => a == b,
            _ => self.heap().same(a, b),
        }
    }

    fn string_index(&mut self, dst: Def, string: Use, index: Use) -> Step {
        let characters = self.characters(string)?;
        match u32::try_from(self.int(index)?) {
            Ok(place) if place < characters => self.slice(dst, string, place, place + 1),
            _ => self.set(dst, Value::NIL),
        }
    }

    /// Checks what a call needs to know of the function to be called.
    fn v2_callee(&self, callee: Value, enters: bool) -> Result<(u32, u32), Stop> {
        let depth = self.fiber.limits.depth;
        if enters && self.fiber.depth >= depth {
            let message = format!("more than {depth} calls within each other");
            return Err(Stop::Error(ErrorKind::RecursionLimitExceeded, message));
        }
        let function = self.heap().closure(callee);
        function.ok_or_else(|| self.mismatch("a function to call", callee))
    }

    fn v2_call(&mut self, window: ClosureFrame, enters: bool) -> Step {
        let closure = Use(window.base + window.args);
        let arguments = |machine: &Self| -> Vec<Value> {
            let first = window.base;
            (0..window.args)
                .map(|place| machine.get(Use(first + place)))
                .collect()
        };
        let entered = self.v2_prepare(window.base, self.get(closure), enters, &arguments(self))?;
        let (arguments, closure) = (arguments(self), self.get(closure));
        self.v2_enter(&entered, &arguments, closure)
    }

    fn stack_call(&mut self, base: u16, stack: Use, args: u32, enters: bool) -> Step {
        let parts = |machine: &Self| -> Result<(Value, Option<Vec<Value>>), Stop> {
            let offset = machine.vector_offset(stack)?;
            let arena = &machine.fiber.arena;
            let below = arena.vector_length(offset).checked_sub(1);
            let below = below.ok_or_else(underflow)?;
            let first = below.checked_sub(args);
            let arguments = first.map(|first| {
                (first..below)
                    .map(|place| arena.vector_get(offset, place))
                    .collect()
            });
            Ok((arena.vector_get(offset, below), arguments))
        };
        let (callee, arguments) = parts(self)?;
        self.v2_callee(callee, enters)?;
        let arguments = arguments.ok_or_else(underflow)?;
        let entered = self.v2_prepare(base, callee, enters, &arguments)?;
        let (callee, arguments) = parts(self)?;
        let offset = self.vector_offset(stack)?;
        for _ in 0..=args {
            self.fiber.arena.vector_pop(offset);
        }
        self.v2_enter(&entered, &arguments.unwrap_or_default(), callee)
    }

    /// Checks everything that a call can fail at, and reserves what it takes.
    fn v2_prepare(
        &mut self,
        window: u16,
        callee: Value,
        enters: bool,
        arguments: &[Value],
    ) -> Result<Callee, Stop> {
        let (program, function) = self.v2_callee(callee, enters)?;
        let callee = Callee {
            program,
            function,
            closure: None,
            window,
            tail: !enters,
        };
        let body = self.code.program(program).function(function);
        if body.params != 1 || body.rest {
            return Err(self.arity((callee.program, callee.function), 1));
        }
        let elements = Arena::common_elements(arguments.iter().copied());
        let bytes = Arena::vector_logical(elements, arguments.len() as u64);
        self.prepare(&callee, bytes)?;
        Ok(callee)
    }

    /// Makes the local variables and the frame.
    fn v2_enter(&mut self, callee: &Callee, arguments: &[Value], closure: Value) -> Step {
        let elements = Arena::common_elements(arguments.iter().copied());
        let locals = self.fiber.arena.vector_of(elements, arguments);
        let body = self.code.program(callee.program).function(callee.function);
        let mut registers = vec![locals];
        registers.extend((body.captures > 0).then_some(closure));
        self.enter(callee, registers)
    }

    fn take(&mut self, dst: Def, stack: Use, count: u32) -> Step {
        let values = |machine: &Self| -> Result<Vec<Value>, Stop> {
            let offset = machine.vector_offset(stack)?;
            let arena = &machine.fiber.arena;
            let length = arena.vector_length(offset);
            let first = length.checked_sub(count).ok_or_else(underflow)?;
            Ok((first..length)
                .map(|place| arena.vector_get(offset, place))
                .collect())
        };
        let elements = Arena::common_elements(values(self)?);
        self.reserve(Arena::vector_logical(elements, u64::from(count)))?;
        let values = values(self)?;
        let vector = self.fiber.arena.vector_of(elements, &values);
        let offset = self.vector_offset(stack)?;
        for _ in 0..count {
            self.fiber.arena.vector_pop(offset);
        }
        self.set(dst, vector)
    }

    fn deliver_messages(&mut self, stack: Use) -> Step {
        let messages = match self.ask(Effect::ReceiveAll) {
            Answer::Done(messages) => messages,
            Answer::Refused { kind, message } => return Err(Stop::Error(kind, message)),
            Answer::Again => return Ok(Next::Again),
            Answer::Pending => return Ok(Next::Advance),
        };
        let mut copy = Arena::new();
        let list = messages.unpack(self.code, &mut copy);
        let heap = crate::heap::Heap {
            arena: &copy,
            code: self.code,
        };
        let count = heap.list(list).flatten().count() as u64;
        if count == 0 {
            return Ok(Next::Advance);
        }
        let offset = self.vector_offset(stack)?;
        let length = u64::from(self.fiber.arena.vector_length(offset));
        let capacity = u64::from(self.fiber.arena.vector_capacity(offset));
        // Buffers that double up to the last one take twice its size; widening takes one more.
        let last = capacity.max(2 * (length + count) + 4);
        let grown = cost::vector_buffer_bytes(last, cost::SLOT_BYTES);
        self.reserve(copy.counters().allocated.saturating_add(3 * grown))?;
        let offset = self.vector_offset(stack)?;
        let list = messages.unpack(self.code, &mut self.fiber.arena);
        let values: Vec<Value> = self.heap().list(list).flatten().collect();
        for value in values {
            let too_long = || Stop::Limit(ErrorKind::MemoryLimitExceeded);
            let plan = self
                .fiber
                .arena
                .plan_push(offset, value)
                .ok_or_else(too_long)?;
            self.fiber.arena.apply_plan(offset, plan);
            self.fiber.arena.vector_push(offset, value);
        }
        Ok(Next::Advance)
    }

    fn host_function(&mut self, function: Index, arguments: Span) -> Step {
        let Some(function) = host_function(function) else {
            return Err(unknown_function());
        };
        let mut packed = Vec::with_capacity(usize::from(arguments.count));
        for place in 0..arguments.count {
            packed.push(self.pack(self.get(Use(arguments.first + place)))?);
        }
        self.effect(Effect::HostCall {
            name: function.kebab_name().to_owned(),
            arguments: packed,
        })
    }

    fn host_unary(&mut self, dst: Def, function: Index, a: Use) -> Step {
        let a = self.get(a);
        let result = match host_function(function) {
            Some(HostFunction::IntToFloat) => {
                let a = a.as_int().ok_or("expected integer");
                a.map(|a| Value::float(a as f64))
            }
            Some(HostFunction::FloatToInt) => {
                let a = a.as_float().ok_or("expected float");
                a.map(|a| Value::int(a as i64))
            }
            _ => return Err(unknown_function()),
        };
        self.set_or_error(dst, result)
    }

    fn host_binary(&mut self, dst: Def, function: Index, a: Use, b: Use) -> Step {
        let Some(function) = host_function(function) else {
            return Err(unknown_function());
        };
        let (a, b) = (self.get(a), self.get(b));
        let ints = || a.as_int().zip(b.as_int()).ok_or("expected integers");
        let floats = || a.as_float().zip(b.as_float()).ok_or("expected floats");
        let checked = |result: Option<i64>| result.map(Value::int).ok_or("integer overflow");
        let divisible = |(a, b): (i64, i64)| {
            let nonzero = b != 0;
            nonzero.then_some((a, b)).ok_or("division by zero")
        };
        let flag = |holds: bool| Value::int(i64::from(holds));
        let result = match function {
            HostFunction::IntAdd => ints().and_then(|(a, b)| checked(a.checked_add(b))),
            HostFunction::IntSub => ints().and_then(|(a, b)| checked(a.checked_sub(b))),
            HostFunction::IntMul => ints().and_then(|(a, b)| checked(a.checked_mul(b))),
            HostFunction::IntDiv => {
                let operands = ints().and_then(divisible);
                operands.and_then(|(a, b)| checked(a.checked_div(b)))
            }
            HostFunction::IntMod => {
                let operands = ints().and_then(divisible);
                operands.and_then(|(a, b)| checked(a.checked_rem(b)))
            }
            HostFunction::IntEq => ints().map(|(a, b)| flag(a == b)),
            HostFunction::IntLt => ints().map(|(a, b)| flag(a < b)),
            HostFunction::IntGt => ints().map(|(a, b)| flag(a > b)),
            HostFunction::FloatAdd => floats().map(|(a, b)| Value::float(a + b)),
            HostFunction::FloatSub => floats().map(|(a, b)| Value::float(a - b)),
            HostFunction::FloatMul => floats().map(|(a, b)| Value::float(a * b)),
            HostFunction::FloatDiv => floats().map(|(a, b)| Value::float(a / b)),
            HostFunction::FloatEq => floats().map(|(a, b)| flag(a == b)),
            HostFunction::FloatLt => floats().map(|(a, b)| flag(a < b)),
            HostFunction::FloatGt => floats().map(|(a, b)| flag(a > b)),
            _ => return Err(unknown_function()),
        };
        self.set_or_error(dst, result)
    }

    /// A result, or an Error value with a message.
    fn set_or_error(&mut self, dst: Def, result: Result<Value, &str>) -> Step {
        let message = match result {
            Ok(value) => return self.set(dst, value),
            Err(message) => message,
        };
        self.reserve(cost::ERROR_BYTES + cost::text_bytes(message.len() as u64))?;
        let text = self.fiber.arena.new_text(Kind::String, message);
        let error = self
            .fiber
            .arena
            .new_error(ErrorKind::Error, text, Value::NIL);
        self.set(dst, error)
    }

    /// Arithmetic and comparisons of two Ints or two Floats.
    fn v2_numbers(&mut self, op: &V2) -> Step {
        match *op {
            V2::Add { dst, a, b } => self.v2_ints(dst, a, b, |a, b| Ok(a.checked_add(b))),
            V2::Sub { dst, a, b } => self.v2_ints(dst, a, b, |a, b| Ok(a.checked_sub(b))),
            V2::Mul { dst, a, b } => self.v2_ints(dst, a, b, |a, b| Ok(a.checked_mul(b))),
            V2::Div { dst, a, b } => self.v2_ints(dst, a, b, |a, b| {
                if b == 0 {
                    Err(zero())
                } else {
                    Ok(a.checked_div(b))
                }
            }),
            V2::Mod { dst, a, b } => self.v2_ints(dst, a, b, |a, b| {
                if b == 0 {
                    Err(zero())
                } else {
                    Ok(a.checked_rem(b))
                }
            }),
            V2::FloatAdd { dst, a, b } => self.v2_floats(dst, a, b, |a, b| Ok(a + b)),
            V2::FloatSub { dst, a, b } => self.v2_floats(dst, a, b, |a, b| Ok(a - b)),
            V2::FloatMul { dst, a, b } => self.v2_floats(dst, a, b, |a, b| Ok(a * b)),
            V2::FloatDiv { dst, a, b } => {
                self.v2_floats(
                    dst,
                    a,
                    b,
                    |a, b| {
                        if b == 0.0 { Err(zero()) } else { Ok(a / b) }
                    },
                )
            }
            V2::Lt { dst, a, b } => self.v2_compare(dst, a, b, |a, b| a < b),
            V2::Gt { dst, a, b } => self.v2_compare(dst, a, b, |a, b| a > b),
            V2::Le { dst, a, b } => self.v2_compare(dst, a, b, |a, b| a <= b),
            V2::Ge { dst, a, b } => self.v2_compare(dst, a, b, |a, b| a >= b),
            _ => unreachable!("the instruction computes no number"),
        }
    }

    fn v2_ints(
        &mut self,
        dst: Def,
        a: Use,
        b: Use,
        compute: impl Fn(i64, i64) -> Result<Option<i64>, Stop>,
    ) -> Step {
        let result = compute(self.int(a)?, self.int(b)?)?;
        let overflow = || {
            let message = "the result does not fit in 64 bits".to_owned();
            Stop::Error(ErrorKind::ArithmeticOverflow, message)
        };
        self.set(dst, Value::int(result.ok_or_else(overflow)?))
    }

    fn v2_floats(
        &mut self,
        dst: Def,
        a: Use,
        b: Use,
        compute: impl Fn(f64, f64) -> Result<f64, Stop>,
    ) -> Step {
        let float = |register: Use| {
            let value = self.get(register);
            value
                .as_float()
                .ok_or_else(|| self.mismatch("a float", value))
        };
        let result = compute(float(a)?, float(b)?)?;
        self.set(dst, Value::float(result))
    }

    fn v2_compare(&mut self, dst: Def, a: Use, b: Use, holds: impl Fn(i64, i64) -> bool) -> Step {
        let holds = holds(self.int(a)?, self.int(b)?);
        self.set(dst, Value::bool(holds))
    }
}

fn host_function(index: Index) -> Option<HostFunction> {
    HostFunction::from_id(u16::try_from(index.0).ok()?)
}

fn unknown_function() -> Stop {
    let message = "there is no such host function".to_owned();
    Stop::Error(ErrorKind::UnknownOpCode, message)
}

fn underflow() -> Stop {
    let message = "an operand is missing".to_owned();
    Stop::Error(ErrorKind::StackUnderflow, message)
}

fn zero() -> Stop {
    Stop::Error(ErrorKind::DivisionByZero, "division by zero".to_owned())
}

/// The error whose kind has this tag.
fn failure(tag: Index) -> Stop {
    let kind = u8::try_from(tag.0).ok().and_then(ErrorKind::from_tag);
    let kind = kind
        .filter(|kind| kind.is_catchable())
        .unwrap_or(ErrorKind::UnknownOpCode);
    let message = match kind {
        ErrorKind::StackUnderflow => "an operand is missing",
        ErrorKind::InvalidHeapPtr => "a constant does not exist",
        ErrorKind::UnknownOpCode => "an instruction or jump target does not exist",
        ErrorKind::TypeMismatch => "a constant is of the wrong kind",
        ErrorKind::CapabilityDenied => "the capability is not held, or was refused",
        _ => "the program says so",
    };
    Stop::Error(kind, message.to_owned())
}
