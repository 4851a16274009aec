//! One V2 instruction with its constants looked up and its jump target computed.
//!
//! Constants never change, so every check of them is made here; an instruction that fails one fails
//! whenever it runs.

use super::{Capability, Constant, HostFunction, OpCode};
use crate::error_kind::ErrorKind;
use crate::op::{Data, Op, V2};
use crate::operand::{Def, Use};

/// Makes the instruction that replaces one value.
pub(super) type Unary = fn(Def, Use) -> Op;
/// Makes the instruction that replaces two values.
pub(super) type Binary = fn(Def, Use, Use) -> Op;

/// What an instruction does.
#[derive(Clone, Copy)]
pub(super) enum Resolved<'a> {
    /// Fails before it touches the stack.
    Fail(ErrorKind),
    /// Nothing.
    Step,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Pushes a constant.
    Constant(usize, &'a Constant),
    Unary(Unary),
    Binary(Binary),
    Dup,
    Swap,
    Pop,
    GetLocal(u16),
    SetLocal(u16),
    Jump(usize),
    /// Fails when the jump is taken and there is no target.
    Branch(Option<usize>),
    Return,
    Call(u16),
    TailCall(u16),
    MakeClosure {
        /// The constant with the body, or why there is none.
        body: Result<usize, ErrorKind>,
        captures: usize,
    },
    CheckStepLimit,
    Yield,
    Send,
    HasCapability(&'a Capability),
    RequestCapability(&'a Capability, &'a Constant),
    GrantCapability(u32, &'a Capability),
    RevokeCapability(u32, &'a Capability),
    HostCall {
        function: HostFunction,
        capability: &'a Capability,
        args: u16,
    },
    HostUnary(HostFunction),
    HostBinary(HostFunction),
}

/// How an instruction changes the height of the stack, and where control goes on.
pub(super) struct Effect {
    /// Values that it takes away.
    pub(super) pops: usize,
    /// Values that it then adds.
    pub(super) pushes: usize,
    /// Whether the next instruction can follow.
    pub(super) falls_through: bool,
    /// Where it may jump.
    pub(super) jumps_to: Option<usize>,
}

/// The code that instructions are looked up in.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// The instructions of the function.
    pub(super) code: &'a [OpCode],
    /// The constants of the program.
    pub(super) constants: &'a [Constant],
    /// Which constants are function bodies.
    pub(super) is_body: &'a [bool],
    /// Whether this is the function that runs first.
    pub(super) is_entry: bool,
}

impl<'a> Source<'a> {
    /// The instruction at `ip`.
    pub(super) fn resolve(&self, ip: usize) -> Resolved<'a> {
        match self.code[ip] {
            OpCode::Nil => Resolved::Nil,
            OpCode::Bool(value) => Resolved::Bool(value),
            OpCode::Int(value) => Resolved::Int(value),
            OpCode::Float(value) => Resolved::Float(value),
            OpCode::Symbol(index) => self.constant(index, |_| true),
            OpCode::LoadString(index) => {
                self.constant(index, |constant| matches!(constant, Constant::String(_)))
            }
            OpCode::GetConst(index) if index >= self.constants.len() => Resolved::Nil,
            OpCode::GetConst(index) => self.constant(index, |_| true),
            OpCode::Dup => Resolved::Dup,
            OpCode::Swap => Resolved::Swap,
            OpCode::Pop => Resolved::Pop,
            OpCode::GetLocal(index) => Resolved::GetLocal(index),
            OpCode::SetLocal(index) => Resolved::SetLocal(index),
            OpCode::Jmp(offset) => match self.target(ip, offset) {
                Some(target) => Resolved::Jump(target),
                None => Resolved::Fail(ErrorKind::UnknownOpCode),
            },
            OpCode::JmpIfFalse(offset) => Resolved::Branch(self.target(ip, offset)),
            OpCode::Ret => Resolved::Return,
            OpCode::Call(args) => Resolved::Call(args),
            OpCode::TailCall(_) if self.is_entry => Resolved::Fail(ErrorKind::StackUnderflow),
            OpCode::TailCall(args) => Resolved::TailCall(args),
            OpCode::MakeClosure(body, captures) => Resolved::MakeClosure {
                body: match self.is_body.get(body) {
                    Some(true) => Ok(body),
                    Some(false) => Err(ErrorKind::TypeMismatch),
                    None => Err(ErrorKind::InvalidHeapPtr),
                },
                captures,
            },
            OpCode::CheckStepLimit => Resolved::CheckStepLimit,
            OpCode::Yield => Resolved::Yield,
            OpCode::Send => Resolved::Send,
            OpCode::HasCap(_)
            | OpCode::RequestCap(..)
            | OpCode::GrantCap(..)
            | OpCode::RevokeCap(..) => self.capability_op(self.code[ip]),
            OpCode::HostCall {
                cap_idx,
                func_id,
                args,
            } => self.host_call(cap_idx, func_id, args),
            OpCode::InitSandbox
            | OpCode::IsolateCapabilities
            | OpCode::SetErrorHandler(_)
            | OpCode::LogSandboxViolation
            | OpCode::CleanupSandbox => Resolved::Step,
            other => computation(other),
        }
    }

    /// Whether the function has local variables beside its arguments.
    pub(super) fn uses_locals(&self) -> bool {
        let local = |op: &OpCode| matches!(op, OpCode::GetLocal(_) | OpCode::SetLocal(_));
        self.code.iter().any(local)
    }

    fn target(&self, ip: usize, offset: i16) -> Option<usize> {
        let target = (ip + 1).checked_add_signed(isize::from(offset))?;
        (target < self.code.len()).then_some(target)
    }

    fn constant(&self, index: usize, accepts: fn(&Constant) -> bool) -> Resolved<'a> {
        match self.constants.get(index) {
            None | Some(Constant::Dangling) => Resolved::Fail(ErrorKind::InvalidHeapPtr),
            Some(constant) if accepts(constant) => Resolved::Constant(index, constant),
            Some(_) => Resolved::Fail(ErrorKind::TypeMismatch),
        }
    }

    fn capability(&self, index: usize) -> Result<&'a Capability, ErrorKind> {
        match self.constants.get(index) {
            Some(Constant::Capability(capability)) => Ok(capability),
            Some(_) => Err(ErrorKind::TypeMismatch),
            None => Err(ErrorKind::InvalidHeapPtr),
        }
    }

    fn capability_op(&self, op: OpCode) -> Resolved<'a> {
        let resolved = match op {
            OpCode::HasCap(index) => self.capability(index).map(Resolved::HasCapability),
            OpCode::GrantCap(to, index) => self
                .capability(index)
                .map(|capability| Resolved::GrantCapability(to, capability)),
            OpCode::RevokeCap(from, index) => self
                .capability(index)
                .map(|capability| Resolved::RevokeCapability(from, capability)),
            OpCode::RequestCap(index, reason) => self.request(index, reason),
            other => unreachable!("{other:?} names no capability"),
        };
        resolved.unwrap_or_else(Resolved::Fail)
    }

    fn request(&self, index: usize, reason: usize) -> Result<Resolved<'a>, ErrorKind> {
        let reason = self
            .constants
            .get(reason)
            .ok_or(ErrorKind::InvalidHeapPtr)?;
        let capability = self.capability(index)?;
        match reason {
            Constant::String(_) | Constant::Symbol(_) => {
                Ok(Resolved::RequestCapability(capability, reason))
            }
            _ => Err(ErrorKind::TypeMismatch),
        }
    }

    fn host_call(&self, cap_idx: usize, func_id: u16, args: u8) -> Resolved<'a> {
        let Some(function) = HostFunction::from_id(func_id) else {
            return Resolved::Fail(ErrorKind::UnknownOpCode);
        };
        let Some(required) = function.required_capability() else {
            return match args {
                _ if function.is_unary() => Resolved::HostUnary(function),
                2 => Resolved::HostBinary(function),
                _ => Resolved::Fail(ErrorKind::TypeMismatch),
            };
        };
        match self.capability(cap_idx) {
            Ok(capability) if *capability == required => Resolved::HostCall {
                function,
                capability,
                args: u16::from(args),
            },
            Ok(_) => Resolved::Fail(ErrorKind::CapabilityDenied),
            Err(kind) => Resolved::Fail(kind),
        }
    }
}

fn computation(op: OpCode) -> Resolved<'static> {
    let binary: Binary = match op {
        OpCode::StrLen => {
            return Resolved::Unary(|dst, string| V2::StringLength { dst, string }.into());
        }
        OpCode::Car => return Resolved::Unary(|dst, pair| Data::Car { dst, pair }.into()),
        OpCode::Cdr => return Resolved::Unary(|dst, pair| Data::Cdr { dst, pair }.into()),
        OpCode::Cons => |dst, car, cdr| Data::Cons { dst, car, cdr }.into(),
        OpCode::StrConcat => |dst, a, b| V2::StringConcat { dst, a, b }.into(),
        OpCode::StrIndex => |dst, string, index| V2::StringIndex { dst, string, index }.into(),
        OpCode::Add => |dst, a, b| V2::Add { dst, a, b }.into(),
        OpCode::Sub => |dst, a, b| V2::Sub { dst, a, b }.into(),
        OpCode::Mul => |dst, a, b| V2::Mul { dst, a, b }.into(),
        OpCode::Div => |dst, a, b| V2::Div { dst, a, b }.into(),
        OpCode::Mod => |dst, a, b| V2::Mod { dst, a, b }.into(),
        OpCode::FAdd => |dst, a, b| V2::FloatAdd { dst, a, b }.into(),
        OpCode::FSub => |dst, a, b| V2::FloatSub { dst, a, b }.into(),
        OpCode::FMul => |dst, a, b| V2::FloatMul { dst, a, b }.into(),
        OpCode::FDiv => |dst, a, b| V2::FloatDiv { dst, a, b }.into(),
        OpCode::Eq => |dst, a, b| V2::Eq { dst, a, b }.into(),
        OpCode::Ne => |dst, a, b| V2::Ne { dst, a, b }.into(),
        OpCode::Lt => |dst, a, b| V2::Lt { dst, a, b }.into(),
        OpCode::Gt => |dst, a, b| V2::Gt { dst, a, b }.into(),
        OpCode::Lte => |dst, a, b| V2::Le { dst, a, b }.into(),
        OpCode::Gte => |dst, a, b| V2::Ge { dst, a, b }.into(),
        other => unreachable!("{other:?} is more than a computation"),
    };
    Resolved::Binary(binary)
}

impl Resolved<'_> {
    /// How the stack changes and where control goes on.
    pub(super) fn effect(&self) -> Effect {
        let (pops, pushes) = match *self {
            Resolved::Fail(_) | Resolved::Return => return Effect::end(0),
            Resolved::TailCall(args) => return Effect::end(usize::from(args) + 1),
            Resolved::MakeClosure {
                body: Err(_),
                captures,
            } => return Effect::end(captures),
            Resolved::Step
            | Resolved::CheckStepLimit
            | Resolved::Yield
            | Resolved::Jump(_)
            | Resolved::RequestCapability(..)
            | Resolved::GrantCapability(..)
            | Resolved::RevokeCapability(..) => (0, 0),
            Resolved::Nil
            | Resolved::Bool(_)
            | Resolved::Int(_)
            | Resolved::Float(_)
            | Resolved::Constant(..)
            | Resolved::GetLocal(_)
            | Resolved::HasCapability(_) => (0, 1),
            Resolved::Unary(_) | Resolved::HostUnary(_) => (1, 1),
            Resolved::Binary(_) | Resolved::HostBinary(_) => (2, 1),
            Resolved::Dup => (1, 2),
            Resolved::Swap => (2, 2),
            Resolved::Pop | Resolved::SetLocal(_) | Resolved::Branch(_) => (1, 0),
            Resolved::Send => (2, 0),
            Resolved::Call(args) => (usize::from(args) + 1, 1),
            Resolved::MakeClosure { captures, .. } => (captures, 1),
            Resolved::HostCall { args, .. } => (usize::from(args), 1),
        };
        Effect {
            pops,
            pushes,
            falls_through: !matches!(self, Resolved::Jump(_)),
            jumps_to: match *self {
                Resolved::Jump(target) => Some(target),
                Resolved::Branch(target) => target,
                _ => None,
            },
        }
    }
}

impl Effect {
    fn end(pops: usize) -> Effect {
        Effect {
            pops,
            pushes: 0,
            falls_through: false,
            jumps_to: None,
        }
    }
}
