//! Constants of a V2 program as lowering sees them.

use super::{Capability, OpCode, closure_body};
use crate::builder::FunctionBuilder;
use crate::error_kind::ErrorKind;
use crate::operand;
use crate::program;

/// A constant of a V2 program.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// nil.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string; it may be a function body, see [`closure_body`].
    String(String),
    /// A symbol, known by its number.
    Symbol(usize),
    /// The address of an actor.
    ActorId(u32),
    /// A capability.
    Capability(Capability),
    /// An error.
    Error(String),
    /// A function body.
    Code(Vec<OpCode>),
    /// A pointer that names nothing in a new actor.
    Dangling,
}

impl Constant {
    /// The function body in this constant.
    pub(super) fn body(&self) -> Option<Vec<OpCode>> {
        match self {
            Constant::Code(code) => Some(code.clone()),
            Constant::String(text) => closure_body::parse(text),
            _ => None,
        }
    }

    /// The justification that this constant is: its text, or the text of a symbol.
    pub(super) fn to_reason(&self) -> String {
        match self {
            Constant::String(text) => text.clone(),
            Constant::Symbol(number) => symbol_text(*number),
            _ => String::new(),
        }
    }

    /// The number of this constant in a function; `None` for function bodies and what names nothing.
    pub(super) fn define(&self, function: &mut FunctionBuilder) -> Option<operand::Const> {
        let constant = match self {
            Constant::Nil => program::Constant::Nil,
            Constant::Bool(value) => program::Constant::Bool(*value),
            Constant::Int(value) => program::Constant::Int(*value),
            Constant::Float(value) => program::Constant::Float(value.to_bits()),
            Constant::String(text) => program::Constant::String(text.clone()),
            Constant::Symbol(number) => program::Constant::Symbol(symbol_text(*number)),
            Constant::ActorId(id) => program::Constant::ActorId(u64::from(*id)),
            Constant::Capability(capability) => return Some(define(capability, function)),
            Constant::Error(message) => program::Constant::Error {
                kind: ErrorKind::Error,
                message: message.clone(),
            },
            Constant::Code(_) | Constant::Dangling => return None,
        };
        Some(function.constant(constant))
    }
}

/// The number of a capability among the constants of a function.
pub(super) fn define(capability: &Capability, function: &mut FunctionBuilder) -> operand::Const {
    let parameter = capability
        .parameter()
        .map(|amount| function.constant(program::Constant::Int(amount as i64)).0);
    function.constant(program::Constant::Capability {
        name: capability.kebab_name().to_owned(),
        parameter,
    })
}

/// The text of the symbol that stands for this V2 symbol.
pub(super) fn symbol_text(number: usize) -> String {
    format!("#{number}")
}
