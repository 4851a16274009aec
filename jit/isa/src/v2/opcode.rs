//! The V2 instruction set: a stack machine whose operands are written into the instructions.
//!
//! The serde form is externally tagged (`"Add"`, `{"Int":5}`, `{"MakeClosure":[0,1]}`), the `Debug`
//! form is what `closure_body:` constants contain; both are interfaces and never change.

use serde::{Deserialize, Serialize};

/// One V2 instruction.
#[derive(Copy, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum OpCode {
    /// Pushes nil.
    Nil,
    /// Pushes a truth value.
    Bool(bool),
    /// Pushes an integer.
    Int(i64),
    /// Pushes a float.
    Float(f64),
    /// Pushes the constant with this position, which must exist.
    Symbol(usize),
    /// Pushes the constant with this position, or nil when there is none.
    GetConst(usize),
    /// Pushes the constant with this position, which must be a string.
    LoadString(usize),
    /// Replaces a string by its length in bytes.
    StrLen,
    /// Replaces two strings by the first followed by the second.
    StrConcat,
    /// Replaces a string and a position by the character there, or nil.
    StrIndex,
    /// Exchanges the two topmost values.
    Swap,
    /// Pushes the topmost value once more.
    Dup,
    /// Drops the topmost value.
    Pop,
    /// Pushes a local variable.
    GetLocal(u16),
    /// Pops a value into a local variable; variables below it that are missing become nil.
    SetLocal(u16),
    /// Replaces two values by a pair of them.
    Cons,
    /// Replaces a pair by its first value.
    Car,
    /// Replaces a pair by its second value.
    Cdr,
    /// Calls the closure on top with this many arguments below it.
    Call(u16),
    /// Like `Call`, in place of the running function.
    TailCall(u16),
    /// Leaves the function with the topmost value, or nil.
    Ret,
    /// Goes on this many instructions behind the next one.
    Jmp(i16),
    /// Pops a value and jumps like `Jmp` when it is `false` or the integer 0.
    JmpIfFalse(i16),
    /// Ends the turn; messages that arrived are on the stack when the next one begins.
    Yield,
    /// Pops a message and the actor that it is sent to.
    Send,
    /// Pops captured values (the second operand says how many) and pushes a closure whose body is the
    /// constant named by the first operand.
    MakeClosure(usize, usize),
    /// Fails when no step is left.
    CheckStepLimit,
    /// Integer addition.
    Add,
    /// Integer subtraction.
    Sub,
    /// Integer multiplication.
    Mul,
    /// Integer division toward zero.
    Div,
    /// Integer remainder with the sign of the dividend.
    Mod,
    /// Float addition.
    FAdd,
    /// Float subtraction.
    FSub,
    /// Float multiplication.
    FMul,
    /// Float division; a zero divisor is an error.
    FDiv,
    /// Whether two values are equal.
    Eq,
    /// Whether one integer is less than another.
    Lt,
    /// Whether one integer is greater than another.
    Gt,
    /// Whether one integer is at most another.
    Lte,
    /// Whether one integer is at least another.
    Gte,
    /// Whether two values differ.
    Ne,
    /// Pushes whether the actor holds the capability at this constant.
    HasCap(usize),
    /// Asks for the capability at the first constant, with the justification at the second.
    RequestCap(usize, usize),
    /// Gives the capability at this constant to an actor.
    GrantCap(u32, usize),
    /// Takes the capability at this constant from an actor.
    RevokeCap(u32, usize),
    /// Calls a host function.
    HostCall {
        /// The constant that holds the capability which the function needs.
        cap_idx: usize,
        /// The number of the [`HostFunction`](super::HostFunction).
        func_id: u16,
        /// How many arguments are popped.
        args: u8,
    },
    /// Neutral; kept for programs that contain it.
    InitSandbox,
    /// Neutral; kept for programs that contain it.
    IsolateCapabilities,
    /// Neutral; kept for programs that contain it.
    SetErrorHandler(i16),
    /// Neutral; kept for programs that contain it.
    LogSandboxViolation,
    /// Neutral; kept for programs that contain it.
    CleanupSandbox,
}

impl OpCode {
    /// How many bytes V2 counts for the instruction; informational.
    pub fn size_bytes(&self) -> usize {
        match self {
            OpCode::Bool(_) => 2,
            OpCode::GetLocal(_)
            | OpCode::SetLocal(_)
            | OpCode::Call(_)
            | OpCode::TailCall(_)
            | OpCode::Jmp(_)
            | OpCode::JmpIfFalse(_)
            | OpCode::SetErrorHandler(_) => 3,
            OpCode::Symbol(_) | OpCode::LoadString(_) | OpCode::GetConst(_) | OpCode::HasCap(_) => {
                5
            }
            OpCode::GrantCap(..) | OpCode::RevokeCap(..) => 6,
            OpCode::HostCall { .. } => 7,
            OpCode::Int(_)
            | OpCode::Float(_)
            | OpCode::MakeClosure(..)
            | OpCode::RequestCap(..) => 9,
            _ => 1,
        }
    }

    /// The instruction with this name and these operands as text; `None` when there is no such
    /// instruction, the number of operands is wrong, or one is not what the instruction takes.
    pub fn from_parts(name: &str, operands: &[&str]) -> Option<OpCode> {
        match *operands {
            [] => Self::without_operands(name),
            [operand] => Self::with_one_operand(name, operand),
            [first, second] => {
                let second = second.parse().ok()?;
                match name {
                    "MakeClosure" => Some(OpCode::MakeClosure(first.parse().ok()?, second)),
                    "RequestCap" => Some(OpCode::RequestCap(first.parse().ok()?, second)),
                    "GrantCap" => Some(OpCode::GrantCap(first.parse().ok()?, second)),
                    "RevokeCap" => Some(OpCode::RevokeCap(first.parse().ok()?, second)),
                    _ => None,
                }
            }
            [cap_idx, func_id, args] if name == "HostCall" => Some(OpCode::HostCall {
                cap_idx: cap_idx.parse().ok()?,
                func_id: func_id.parse().ok()?,
                args: args.parse().ok()?,
            }),
            _ => None,
        }
    }

    fn without_operands(name: &str) -> Option<OpCode> {
        Some(match name {
            "Nil" => OpCode::Nil,
            "StrLen" => OpCode::StrLen,
            "StrConcat" => OpCode::StrConcat,
            "StrIndex" => OpCode::StrIndex,
            "Swap" => OpCode::Swap,
            "Dup" => OpCode::Dup,
            "Pop" => OpCode::Pop,
            "Cons" => OpCode::Cons,
            "Car" => OpCode::Car,
            "Cdr" => OpCode::Cdr,
            "Ret" => OpCode::Ret,
            "Yield" => OpCode::Yield,
            "Send" => OpCode::Send,
            "CheckStepLimit" => OpCode::CheckStepLimit,
            "Add" => OpCode::Add,
            "Sub" => OpCode::Sub,
            "Mul" => OpCode::Mul,
            "Div" => OpCode::Div,
            "Mod" => OpCode::Mod,
            "FAdd" => OpCode::FAdd,
            "FSub" => OpCode::FSub,
            "FMul" => OpCode::FMul,
            "FDiv" => OpCode::FDiv,
            "Eq" => OpCode::Eq,
            "Lt" => OpCode::Lt,
            "Gt" => OpCode::Gt,
            "Lte" => OpCode::Lte,
            "Gte" => OpCode::Gte,
            "Ne" => OpCode::Ne,
            "InitSandbox" => OpCode::InitSandbox,
            "IsolateCapabilities" => OpCode::IsolateCapabilities,
            "LogSandboxViolation" => OpCode::LogSandboxViolation,
            "CleanupSandbox" => OpCode::CleanupSandbox,
            _ => return None,
        })
    }

    fn with_one_operand(name: &str, operand: &str) -> Option<OpCode> {
        Some(match name {
            "Bool" => OpCode::Bool(operand.parse().ok()?),
            "Int" => OpCode::Int(operand.parse().ok()?),
            "Float" => OpCode::Float(operand.parse().ok()?),
            "Symbol" => OpCode::Symbol(operand.parse().ok()?),
            "GetConst" => OpCode::GetConst(operand.parse().ok()?),
            "LoadString" => OpCode::LoadString(operand.parse().ok()?),
            "GetLocal" => OpCode::GetLocal(operand.parse().ok()?),
            "SetLocal" => OpCode::SetLocal(operand.parse().ok()?),
            "Call" => OpCode::Call(operand.parse().ok()?),
            "TailCall" => OpCode::TailCall(operand.parse().ok()?),
            "Jmp" => OpCode::Jmp(operand.parse().ok()?),
            "JmpIfFalse" => OpCode::JmpIfFalse(operand.parse().ok()?),
            "HasCap" => OpCode::HasCap(operand.parse().ok()?),
            "SetErrorHandler" => OpCode::SetErrorHandler(operand.parse().ok()?),
            _ => return None,
        })
    }
}
