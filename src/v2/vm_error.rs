//! Errors of the machine with everything that was known when they happened.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::result::StructuredError;
use super::{OpCode, Value, VmErrorKind};

/// The state of a machine when an error happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ErrorContext {
    /// The failing instruction's position in its function.
    pub instruction_pointer: usize,
    /// The failing instruction; absent behind the last one.
    pub current_instruction: Option<OpCode>,
    /// The operand stack of the running function.
    pub stack_state: Vec<Value>,
    /// Open calls.
    pub call_stack_depth: usize,
    /// Steps left.
    pub steps_remaining: u64,
    /// The actor.
    pub actor_id: u32,
    /// Bytes in use.
    pub memory_usage: usize,
    /// The frames, newest first.
    pub stack_trace: Vec<StackFrame>,
    /// The instructions that ran last, the failing one included; recorded only while single-stepping.
    pub execution_history: Vec<OpCode>,
    /// Steps taken until then.
    pub timestamp: u64,
}

/// A frame in a stack trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StackFrame {
    /// `main`, or the constant that holds the function.
    pub function_name: String,
    /// The instruction that it is at.
    pub call_ip: usize,
    /// How many local variables it has.
    pub arg_count: usize,
    /// The local variables.
    pub locals: Vec<Value>,
}

/// Why a machine failed.
#[derive(Debug, Clone, PartialEq)]
pub enum VmError {
    /// More steps than allowed.
    CpuLimitExceeded {
        /// The state.
        context: Box<ErrorContext>,
        /// Steps allowed.
        limit: u64,
    },
    /// More memory than allowed.
    MemoryLimitExceeded {
        /// The state.
        context: Box<ErrorContext>,
        /// Bytes allowed.
        limit: usize,
        /// Bytes it would have held at least.
        requested: usize,
    },
    /// An operand is missing.
    StackUnderflow {
        /// The state.
        context: Box<ErrorContext>,
        /// What was being done.
        operation: String,
    },
    /// A constant does not exist.
    InvalidHeapPtr {
        /// The state.
        context: Box<ErrorContext>,
        /// What was being done.
        operation: String,
    },
    /// An instruction or jump target does not exist.
    UnknownOpCode {
        /// The state.
        context: Box<ErrorContext>,
    },
    /// An operand is of the wrong kind.
    TypeMismatch {
        /// The state.
        context: Box<ErrorContext>,
        /// What was being done.
        operation: String,
        /// What the operand should have been, and what it was.
        expected: String,
    },
    /// Division by zero.
    DivisionByZero {
        /// The state.
        context: Box<ErrorContext>,
        /// What was being done.
        operation: String,
    },
    /// An integer does not fit.
    ArithmeticOverflow {
        /// The state.
        context: Box<ErrorContext>,
        /// What was being done.
        operation: String,
        /// The operands.
        operands: Option<(i64, i64)>,
    },
    /// A capability is not held, or was refused.
    CapabilityError {
        /// The state.
        context: Box<ErrorContext>,
        /// Which one.
        capability: String,
        /// What was being done.
        operation: String,
    },
    /// Calls nested too deep.
    RecursionLimitExceeded {
        /// The state.
        context: Box<ErrorContext>,
        /// Calls that may be open at once.
        limit: usize,
        /// Calls that would have been open.
        current_depth: usize,
    },
    /// A snapshot cannot be read.
    SerializationError {
        /// What is wrong with it.
        message: String,
    },
    /// The embedding program's own heap is switched off.
    GcDisabled,
    /// The debugger was asked for something that it cannot do.
    DebuggerError {
        /// What.
        message: String,
    },
}

impl VmError {
    /// The state when it happened; none for errors that no instruction raised.
    pub fn context(&self) -> Option<&ErrorContext> {
        match self {
            VmError::CpuLimitExceeded { context, .. }
            | VmError::MemoryLimitExceeded { context, .. }
            | VmError::StackUnderflow { context, .. }
            | VmError::InvalidHeapPtr { context, .. }
            | VmError::UnknownOpCode { context }
            | VmError::TypeMismatch { context, .. }
            | VmError::DivisionByZero { context, .. }
            | VmError::ArithmeticOverflow { context, .. }
            | VmError::CapabilityError { context, .. }
            | VmError::RecursionLimitExceeded { context, .. } => Some(context),
            VmError::SerializationError { .. }
            | VmError::GcDisabled
            | VmError::DebuggerError { .. } => None,
        }
    }

    /// The kind; none for errors that no instruction raised.
    pub fn kind(&self) -> Option<VmErrorKind> {
        Some(match self {
            VmError::CpuLimitExceeded { .. } => VmErrorKind::CpuLimitExceeded,
            VmError::MemoryLimitExceeded { .. } => VmErrorKind::MemoryLimitExceeded,
            VmError::StackUnderflow { .. } => VmErrorKind::StackUnderflow,
            VmError::InvalidHeapPtr { .. } => VmErrorKind::InvalidHeapPtr,
            VmError::UnknownOpCode { .. } => VmErrorKind::UnknownOpCode,
            VmError::TypeMismatch { .. } => VmErrorKind::TypeMismatch,
            VmError::DivisionByZero { .. } => VmErrorKind::DivisionByZero,
            VmError::ArithmeticOverflow { .. } => VmErrorKind::ArithmeticOverflow,
            VmError::CapabilityError { .. } => VmErrorKind::CapabilityDenied,
            VmError::RecursionLimitExceeded { .. } => VmErrorKind::RecursionLimitExceeded,
            VmError::SerializationError { .. }
            | VmError::GcDisabled
            | VmError::DebuggerError { .. } => return None,
        })
    }

    /// The error as callers of the world see it.
    pub fn to_structured(&self) -> StructuredError {
        match self {
            VmError::CpuLimitExceeded { limit, .. } => StructuredError::CpuLimitExceeded {
                limit: *limit,
                attempted: limit.saturating_add(1),
            },
            VmError::MemoryLimitExceeded {
                limit, requested, ..
            } => StructuredError::MemoryLimitExceeded {
                limit: *limit,
                attempted: *requested,
            },
            VmError::StackUnderflow { .. } => StructuredError::StackUnderflow,
            VmError::InvalidHeapPtr { .. } => StructuredError::InvalidHeapPtr,
            VmError::UnknownOpCode { .. } => StructuredError::UnknownOpCode,
            VmError::TypeMismatch { .. } => StructuredError::TypeMismatch,
            VmError::DivisionByZero { .. } => StructuredError::DivisionByZero,
            VmError::ArithmeticOverflow { .. } => StructuredError::ArithmeticOverflow,
            VmError::CapabilityError { operation, .. } if operation == REQUEST => {
                StructuredError::CapabilityError("Capability request denied".to_owned())
            }
            VmError::CapabilityError { capability, .. } => {
                StructuredError::CapabilityError(format!("Capability error: {capability}"))
            }
            VmError::RecursionLimitExceeded { .. } => {
                StructuredError::SchedulerError("Recursion limit exceeded".to_owned())
            }
            VmError::SerializationError { .. }
            | VmError::GcDisabled
            | VmError::DebuggerError { .. } => StructuredError::SchedulerError(self.to_string()),
        }
    }

    /// The error with the state in which it happened, in one line.
    pub fn detailed_message(&self) -> String {
        match self.context() {
            None => self.to_string(),
            Some(context) => format!(
                "{self} at IP {} (actor {}). Steps remaining: {}, open calls: {}, memory: {} bytes, stack: {:?}",
                context.instruction_pointer,
                context.actor_id,
                context.steps_remaining,
                context.call_stack_depth,
                context.memory_usage,
                context.stack_state
            ),
        }
    }
}

/// The operation of a request that was refused.
pub(crate) const REQUEST: &str = "RequestCap";

impl fmt::Display for VmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VmError::CpuLimitExceeded { limit, .. } => {
                write!(f, "CPU limit exceeded: {limit} steps allowed")
            }
            VmError::MemoryLimitExceeded {
                limit, requested, ..
            } => write!(
                f,
                "Memory limit exceeded: {requested} bytes requested, {limit} allowed"
            ),
            VmError::StackUnderflow { operation, .. } => {
                write!(f, "Stack underflow: {operation} misses an operand")
            }
            VmError::InvalidHeapPtr { operation, .. } => {
                write!(f, "Invalid heap pointer: {operation} names no constant")
            }
            VmError::UnknownOpCode { .. } => {
                write!(f, "Unknown opcode or jump target")
            }
            VmError::TypeMismatch {
                operation,
                expected,
                ..
            } => write!(f, "Type mismatch: {operation}: {expected}"),
            VmError::DivisionByZero { operation, .. } => {
                write!(f, "Division by zero: {operation}")
            }
            VmError::ArithmeticOverflow {
                operation,
                operands,
                ..
            } => match operands {
                Some((a, b)) => write!(f, "Arithmetic overflow: {operation} of {a} and {b}"),
                None => write!(f, "Arithmetic overflow: {operation}"),
            },
            VmError::CapabilityError {
                capability,
                operation,
                ..
            } => write!(f, "Capability error: {operation} needs {capability}"),
            VmError::RecursionLimitExceeded {
                limit,
                current_depth,
                ..
            } => write!(
                f,
                "Recursion limit exceeded: {current_depth} open calls, {limit} allowed"
            ),
            VmError::SerializationError { message } => write!(f, "Serialization error: {message}"),
            VmError::GcDisabled => write!(f, "Garbage collection is disabled"),
            VmError::DebuggerError { message } => write!(f, "Debugger error: {message}"),
        }
    }
}

impl std::error::Error for VmError {}
