//! V2's semantics as a direct stack interpreter, independent of lowering: the oracle for V2 programs.
//!
//! It knows one actor (number 1, without a parent, alone in its world), does not limit memory, and
//! resumes at once, without messages, when the program yields.

use std::collections::BTreeMap;
use std::rc::Rc;

use physics_world::v2::vector::{Outcome, Vector};
use physics_world::v2::{
    Capability, ClosureObject, HeapObject, HeapObjects, HostFunction, OpCode, Value,
};
use pw_isa::v2::closure_body;

type Kind = &'static str;
type Step<T> = Result<T, Kind>;

const ACTOR: u32 = 1;

struct Frame {
    code: Rc<[OpCode]>,
    ip: usize,
    stack: Vec<Value>,
    locals: Vec<Value>,
}

/// What one instruction did.
enum Flow {
    Next,
    To(usize),
    Enter,
    Finished(Value),
}

struct Model<'a> {
    constants: &'a [Value],
    bodies: Vec<Option<Rc<[OpCode]>>>,
    body_values: BTreeMap<usize, Value>,
    frames: Vec<Frame>,
    objects: HeapObjects,
    capabilities: Vec<Capability>,
    steps: u64,
    step_limit: u64,
    depth_max: usize,
    yields: u64,
    messages: Vec<(u32, Value)>,
}

/// Runs a program.
pub(crate) fn run(vector: &Vector) -> Outcome {
    let bodies = vector.constants.iter().map(|constant| match constant {
        Value::Code(code) => Some(code.as_slice().into()),
        Value::String(text) => closure_body::parse(text).map(Rc::from),
        _ => None,
    });
    let mut model = Model {
        constants: &vector.constants,
        bodies: bodies.collect(),
        body_values: BTreeMap::new(),
        frames: vec![Frame {
            code: vector.code.as_slice().into(),
            ip: 0,
            stack: Vec::new(),
            locals: Vec::new(),
        }],
        objects: HeapObjects::new(),
        capabilities: vector.caps.clone(),
        steps: 0,
        step_limit: vector.step_limit,
        depth_max: vector.max_depth,
        yields: 0,
        messages: Vec::new(),
    };
    let result = loop {
        match model.step() {
            Ok(Some(value)) => break Ok(value),
            Ok(None) => {}
            Err(kind) => break Err(kind),
        }
    };
    Outcome {
        result,
        objects: model.objects,
        steps: model.steps,
        yields: model.yields,
        messages: model.messages,
        notation: String::new(),
        failure: None,
    }
}

impl Model<'_> {
    fn charge(&mut self) -> Step<()> {
        if self.steps >= self.step_limit {
            return Err("CpuLimitExceeded");
        }
        self.steps += 1;
        Ok(())
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().unwrap()
    }

    fn pop(&mut self) -> Step<Value> {
        self.frame().stack.pop().ok_or("StackUnderflow")
    }

    /// The two topmost values, the deeper one first.
    fn pop2(&mut self) -> Step<(Value, Value)> {
        let b = self.pop()?;
        let a = self.pop()?;
        Ok((a, b))
    }

    fn push(&mut self, value: Value) -> Step<Flow> {
        self.frame().stack.push(value);
        Ok(Flow::Next)
    }

    fn step(&mut self) -> Step<Option<Value>> {
        self.charge()?;
        let frame = self.frame();
        let ip = frame.ip;
        let flow = match frame.code.get(ip).copied() {
            Some(op) => self.instruction(ip, op)?,
            None if self.frames.len() == 1 => self.leave(),
            None => {
                self.frame().stack.clear();
                self.leave()
            }
        };
        match flow {
            Flow::Next => self.frame().ip += 1,
            Flow::To(target) => self.frame().ip = target,
            Flow::Enter => {}
            Flow::Finished(value) => return Ok(Some(value)),
        }
        Ok(None)
    }

    /// Leaves the newest frame with its topmost value.
    fn leave(&mut self) -> Flow {
        let frame = self.frames.pop().unwrap();
        let value = frame.stack.last().cloned().unwrap_or(Value::Nil);
        match self.frames.last_mut() {
            Some(caller) => {
                caller.stack.push(value);
                Flow::Enter
            }
            None => Flow::Finished(value),
        }
    }

    fn instruction(&mut self, ip: usize, op: OpCode) -> Step<Flow> {
        match op {
            OpCode::Nil => self.push(Value::Nil),
            OpCode::Bool(value) => self.push(Value::Bool(value)),
            OpCode::Int(value) => self.push(Value::Int(value)),
            OpCode::Float(value) => self.push(Value::Float(value)),
            OpCode::Symbol(index) => {
                let value = self.constant(index)?;
                self.push(value)
            }
            OpCode::GetConst(index) => {
                let value = self.constant(index).unwrap_or(Value::Nil);
                self.push(value)
            }
            OpCode::LoadString(index) => match self.constant(index)? {
                value @ Value::String(_) => self.push(value),
                _ => Err("TypeMismatch"),
            },
            OpCode::Dup => {
                let value = self.pop()?;
                self.push(value.clone())?;
                self.push(value)
            }
            OpCode::Swap => {
                let (a, b) = self.pop2()?;
                self.push(b)?;
                self.push(a)
            }
            OpCode::Pop => self.pop().map(|_| Flow::Next),
            OpCode::GetLocal(index) => {
                let local = self.frame().locals.get(usize::from(index)).cloned();
                self.push(local.ok_or("StackUnderflow")?)
            }
            OpCode::SetLocal(index) => {
                let value = self.pop()?;
                let (locals, index) = (&mut self.frame().locals, usize::from(index));
                if locals.len() <= index {
                    locals.resize(index + 1, Value::Nil);
                }
                locals[index] = value;
                Ok(Flow::Next)
            }
            OpCode::Jmp(offset) => self.jump(ip, offset),
            OpCode::JmpIfFalse(offset) => match self.pop()? {
                Value::Bool(false) | Value::Int(0) => self.jump(ip, offset),
                _ => Ok(Flow::Next),
            },
            OpCode::Ret => Ok(self.leave()),
            OpCode::Call(args) => self.call(usize::from(args)),
            OpCode::TailCall(args) => self.tail_call(usize::from(args)),
            OpCode::MakeClosure(body, captures) => self.make_closure(body, captures),
            OpCode::CheckStepLimit if self.steps == self.step_limit => Err("CpuLimitExceeded"),
            OpCode::Yield => {
                self.yields += 1;
                Ok(Flow::Next)
            }
            OpCode::Send => match self.pop2()? {
                (Value::ActorId(target), message) => {
                    self.messages.push((target, message));
                    Ok(Flow::Next)
                }
                _ => Err("TypeMismatch"),
            },
            OpCode::HasCap(index) => {
                let capability = self.capability(index)?;
                let held = self.capabilities.contains(&capability);
                self.push(Value::Bool(held))
            }
            OpCode::RequestCap(index, reason) => self.request(index, reason),
            OpCode::GrantCap(_, index) => {
                self.capability(index)?;
                // Nobody else exists, and a lone actor cannot grant to itself without holding both.
                Err("CapabilityDenied")
            }
            OpCode::RevokeCap(from, index) => {
                let capability = self.capability(index)?;
                if from != ACTOR {
                    return Err("CapabilityDenied");
                }
                self.capabilities.retain(|held| *held != capability);
                Ok(Flow::Next)
            }
            OpCode::HostCall {
                cap_idx,
                func_id,
                args,
            } => self.host_call(cap_idx, func_id, args),
            OpCode::CheckStepLimit
            | OpCode::InitSandbox
            | OpCode::IsolateCapabilities
            | OpCode::SetErrorHandler(_)
            | OpCode::LogSandboxViolation
            | OpCode::CleanupSandbox => Ok(Flow::Next),
            _ => self.compute(op),
        }
    }

    fn constant(&mut self, index: usize) -> Step<Value> {
        let constant = self.constants.get(index).ok_or("InvalidHeapPtr")?;
        if !matches!(constant, Value::Code(_)) {
            return Ok(constant.clone());
        }
        let objects = &mut self.objects;
        let value = self.body_values.entry(index).or_insert_with(|| {
            let closure = ClosureObject::new(Some(index), Vec::new());
            Value::Closure(objects.add(HeapObject::Closure(closure)))
        });
        Ok(value.clone())
    }

    fn capability(&self, index: usize) -> Step<Capability> {
        match self.constants.get(index) {
            Some(Value::Capability(capability)) => Ok(capability.clone()),
            Some(_) => Err("TypeMismatch"),
            None => Err("InvalidHeapPtr"),
        }
    }

    fn jump(&mut self, ip: usize, offset: i16) -> Step<Flow> {
        let target = ip as i64 + 1 + i64::from(offset);
        let length = self.frame().code.len() as i64;
        if (0..length).contains(&target) {
            Ok(Flow::To(target as usize))
        } else {
            Err("UnknownOpCode")
        }
    }

    /// The body of the closure on top, taken off, and the arguments below it.
    fn callee(&mut self, args: usize, enters: bool) -> Step<(Rc<[OpCode]>, Vec<Value>)> {
        let callee = self.pop()?;
        if enters && self.frames.len() > self.depth_max {
            return Err("RecursionLimitExceeded");
        }
        let Value::Closure(pointer) = callee else {
            return Err("TypeMismatch");
        };
        let Some(HeapObject::Closure(closure)) = self.objects.get(pointer) else {
            panic!("a closure is an object");
        };
        let code = self.bodies[closure.body.unwrap()].clone().unwrap();
        let stack = &mut self.frame().stack;
        let first = stack.len().checked_sub(args).ok_or("StackUnderflow")?;
        Ok((code, stack.split_off(first)))
    }

    fn call(&mut self, args: usize) -> Step<Flow> {
        let (code, locals) = self.callee(args, true)?;
        self.frame().ip += 1;
        self.frames.push(Frame {
            code,
            ip: 0,
            stack: Vec::new(),
            locals,
        });
        Ok(Flow::Enter)
    }

    fn tail_call(&mut self, args: usize) -> Step<Flow> {
        self.charge()?;
        if self.frames.len() == 1 {
            return Err("StackUnderflow");
        }
        let (code, locals) = self.callee(args, false)?;
        *self.frame() = Frame {
            code,
            ip: 0,
            stack: Vec::new(),
            locals,
        };
        Ok(Flow::Enter)
    }

    fn make_closure(&mut self, body: usize, captures: usize) -> Step<Flow> {
        let stack = &mut self.frame().stack;
        let first = stack.len().checked_sub(captures).ok_or("StackUnderflow")?;
        let captured = stack.split_off(first);
        match self.bodies.get(body) {
            None => Err("InvalidHeapPtr"),
            Some(None) => Err("TypeMismatch"),
            Some(Some(_)) => {
                let closure = ClosureObject::new(Some(body), captured);
                let pointer = self.objects.add(HeapObject::Closure(closure));
                self.push(Value::Closure(pointer))
            }
        }
    }

    fn request(&mut self, index: usize, reason: usize) -> Step<Flow> {
        let reason = self.constants.get(reason).ok_or("InvalidHeapPtr")?;
        let capability = self.capability(index)?;
        let reason_is_empty = match reason {
            Value::String(text) => text.is_empty(),
            Value::Symbol(_) => false,
            _ => return Err("TypeMismatch"),
        };
        let granted = self.capabilities.contains(&capability)
            || match capability {
                Capability::IoNetwork => !reason_is_empty,
                Capability::MacroHygienic
                | Capability::ComptimeEval
                | Capability::IoReadSensor
                | Capability::IoWriteActuator
                | Capability::IoPersist
                | Capability::SysCreateActor
                | Capability::SysClock => true,
                // The programs ask for little.
                Capability::ResourceExtraMemory(_) | Capability::ResourceExtraTime(_) => true,
                Capability::MacroUnsafe => self.capabilities.contains(&Capability::MetaGrant),
                _ => false,
            };
        if !granted {
            return Err("CapabilityDenied");
        }
        if !self.capabilities.contains(&capability) {
            self.capabilities.push(capability);
        }
        Ok(Flow::Next)
    }

    fn host_call(&mut self, cap_idx: usize, func_id: u16, args: u8) -> Step<Flow> {
        let function = HostFunction::from_id(func_id).ok_or("UnknownOpCode")?;
        let Some(required) = function.required_capability() else {
            return self.host_arithmetic(function, args);
        };
        let named = self.capability(cap_idx)?;
        if named != required || !self.capabilities.contains(&required) {
            return Err("CapabilityDenied");
        }
        for _ in 0..args {
            self.pop()?;
        }
        self.push(match function {
            HostFunction::ReadSensor => Value::Int(42),
            HostFunction::GetWallClockNs => Value::Int(1_234_567_890),
            HostFunction::SpawnActor => Value::ActorId(1),
            _ => Value::Nil,
        })
    }

    fn host_arithmetic(&mut self, function: HostFunction, args: u8) -> Step<Flow> {
        if function.is_unary() {
            let value = match (function, self.pop()?) {
                (HostFunction::IntToFloat, Value::Int(a)) => Value::Float(a as f64),
                (HostFunction::FloatToInt, Value::Float(a)) => Value::Int(a as i64),
                _ => Value::Error("expected another kind of number".into()),
            };
            return self.push(value);
        }
        if args != 2 {
            return Err("TypeMismatch");
        }
        let (a, b) = self.pop2()?;
        let value = match (a, b) {
            (Value::Int(a), Value::Int(b)) => host_int(function, a, b),
            (Value::Float(a), Value::Float(b)) => host_float(function, a, b),
            _ => None,
        };
        self.push(value.unwrap_or(Value::Error("not computable".into())))
    }

    fn compute(&mut self, op: OpCode) -> Step<Flow> {
        if matches!(op, OpCode::Car | OpCode::Cdr | OpCode::StrLen) {
            let value = self.pop()?;
            let result = match (op, &value) {
                (OpCode::StrLen, Value::String(text)) => Value::Int(text.len() as i64),
                (OpCode::Car, Value::Pair(_)) => self.objects.pair(&value).unwrap().0.clone(),
                (OpCode::Cdr, Value::Pair(_)) => self.objects.pair(&value).unwrap().1.clone(),
                _ => return Err("TypeMismatch"),
            };
            return self.push(result);
        }
        let (a, b) = self.pop2()?;
        let result = match (op, a, b) {
            (OpCode::Cons, a, b) => Value::Pair(self.objects.add(HeapObject::Pair(a, b))),
            (OpCode::Eq, a, b) => Value::Bool(a == b),
            (OpCode::Ne, a, b) => Value::Bool(a != b),
            (OpCode::StrConcat, Value::String(a), Value::String(b)) => Value::String(a + &b),
            (OpCode::StrIndex, Value::String(text), Value::Int(index)) => usize::try_from(index)
                .ok()
                .and_then(|index| text.chars().nth(index))
                .map_or(Value::Nil, |c| Value::String(c.to_string())),
            (_, Value::Int(a), Value::Int(b)) => int(op, a, b)?,
            (_, Value::Float(a), Value::Float(b)) => float(op, a, b)?,
            _ => return Err("TypeMismatch"),
        };
        self.push(result)
    }
}

fn int(op: OpCode, a: i64, b: i64) -> Step<Value> {
    let checked = match op {
        OpCode::Add => a.checked_add(b),
        OpCode::Sub => a.checked_sub(b),
        OpCode::Mul => a.checked_mul(b),
        OpCode::Div | OpCode::Mod if b == 0 => return Err("DivisionByZero"),
        OpCode::Div => a.checked_div(b),
        OpCode::Mod => a.checked_rem(b),
        OpCode::Lt => return Ok(Value::Bool(a < b)),
        OpCode::Gt => return Ok(Value::Bool(a > b)),
        OpCode::Lte => return Ok(Value::Bool(a <= b)),
        OpCode::Gte => return Ok(Value::Bool(a >= b)),
        _ => return Err("TypeMismatch"),
    };
    checked.map(Value::Int).ok_or("ArithmeticOverflow")
}

fn float(op: OpCode, a: f64, b: f64) -> Step<Value> {
    Ok(Value::Float(match op {
        OpCode::FAdd => a + b,
        OpCode::FSub => a - b,
        OpCode::FMul => a * b,
        OpCode::FDiv if b == 0.0 => return Err("DivisionByZero"),
        OpCode::FDiv => a / b,
        _ => return Err("TypeMismatch"),
    }))
}

fn host_int(function: HostFunction, a: i64, b: i64) -> Option<Value> {
    Some(Value::Int(match function {
        HostFunction::IntAdd => a.checked_add(b)?,
        HostFunction::IntSub => a.checked_sub(b)?,
        HostFunction::IntMul => a.checked_mul(b)?,
        HostFunction::IntDiv => a.checked_div(b)?,
        HostFunction::IntMod => a.checked_rem(b)?,
        HostFunction::IntEq => i64::from(a == b),
        HostFunction::IntLt => i64::from(a < b),
        HostFunction::IntGt => i64::from(a > b),
        _ => return None,
    }))
}

fn host_float(function: HostFunction, a: f64, b: f64) -> Option<Value> {
    Some(match function {
        HostFunction::FloatAdd => Value::Float(a + b),
        HostFunction::FloatSub => Value::Float(a - b),
        HostFunction::FloatMul => Value::Float(a * b),
        HostFunction::FloatDiv => Value::Float(a / b),
        HostFunction::FloatEq => Value::Int(i64::from(a == b)),
        HostFunction::FloatLt => Value::Int(i64::from(a < b)),
        HostFunction::FloatGt => Value::Int(i64::from(a > b)),
        _ => return None,
    })
}
