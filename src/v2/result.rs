//! What running an actor gives: output, messages, errors, and what it cost.

use std::fmt;

use pw_isa::ErrorKind;
use serde::{Deserialize, Serialize};

use super::{HeapObjects, Value};

/// Everything that one execution of an actor gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExecutionResult {
    /// The result, if it finished.
    pub output: Option<Value>,
    /// Messages that it sent, in order: receiver and value.
    pub messages_sent: Vec<(u32, Value)>,
    /// Why it failed, if it did.
    pub error: Option<StructuredError>,
    /// Its complete state at the end.
    pub final_state_snapshot: Vec<u8>,
    /// What it used.
    pub metrics: ResourceMetrics,
    /// The objects that output and messages point to.
    #[serde(skip)]
    pub objects: HeapObjects,
}

/// What an execution used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ResourceMetrics {
    /// Steps charged.
    pub steps_used: u64,
    /// The most bytes it held at once.
    pub memory_used: usize,
    /// Milliseconds it took.
    pub execution_time_ms: u64,
}

/// Why an actor failed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StructuredError {
    /// More steps than allowed.
    CpuLimitExceeded {
        /// Steps allowed.
        limit: u64,
        /// Steps it would have needed at least.
        attempted: u64,
    },
    /// More memory than allowed.
    MemoryLimitExceeded {
        /// Bytes allowed.
        limit: usize,
        /// Bytes it would have needed at least.
        attempted: usize,
    },
    /// An operand is missing.
    StackUnderflow,
    /// A constant does not exist.
    InvalidHeapPtr,
    /// An instruction or jump target does not exist.
    UnknownOpCode,
    /// An operand is of the wrong kind.
    TypeMismatch,
    /// Division by zero.
    DivisionByZero,
    /// An integer does not fit.
    ArithmeticOverflow,
    /// The scheduler refused, or calls were nested too deep.
    SchedulerError(String),
    /// A capability was missing, refused, or is still being decided.
    CapabilityError(String),
}

impl fmt::Display for StructuredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StructuredError::CpuLimitExceeded { limit, attempted } => write!(
                f,
                "CPU limit exceeded: attempted {attempted} steps, limit was {limit}"
            ),
            StructuredError::MemoryLimitExceeded { limit, attempted } => write!(
                f,
                "Memory limit exceeded: attempted {attempted} bytes, limit was {limit}"
            ),
            StructuredError::StackUnderflow => write!(f, "Stack underflow"),
            StructuredError::InvalidHeapPtr => write!(f, "Invalid heap pointer"),
            StructuredError::UnknownOpCode => write!(f, "Unknown opcode"),
            StructuredError::TypeMismatch => write!(f, "Type mismatch"),
            StructuredError::DivisionByZero => write!(f, "Division by zero"),
            StructuredError::ArithmeticOverflow => write!(f, "Arithmetic overflow"),
            StructuredError::SchedulerError(message) => write!(f, "Scheduler error: {message}"),
            StructuredError::CapabilityError(message) => write!(f, "Capability error: {message}"),
        }
    }
}

impl fmt::Debug for StructuredError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for StructuredError {}

/// The kinds of error that the machine itself knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VmErrorKind {
    /// More steps than allowed.
    CpuLimitExceeded,
    /// More memory than allowed.
    MemoryLimitExceeded,
    /// An operand is missing.
    StackUnderflow,
    /// A constant does not exist.
    InvalidHeapPtr,
    /// An instruction or jump target does not exist.
    UnknownOpCode,
    /// An operand is of the wrong kind.
    TypeMismatch,
    /// Division by zero.
    DivisionByZero,
    /// An integer does not fit.
    ArithmeticOverflow,
    /// A capability is not held, or was refused.
    CapabilityDenied,
    /// Calls nested too deep.
    RecursionLimitExceeded,
}

impl VmErrorKind {
    /// All kinds, in their order.
    pub const ALL: [VmErrorKind; 10] = [
        VmErrorKind::CpuLimitExceeded,
        VmErrorKind::MemoryLimitExceeded,
        VmErrorKind::StackUnderflow,
        VmErrorKind::InvalidHeapPtr,
        VmErrorKind::UnknownOpCode,
        VmErrorKind::TypeMismatch,
        VmErrorKind::DivisionByZero,
        VmErrorKind::ArithmeticOverflow,
        VmErrorKind::CapabilityDenied,
        VmErrorKind::RecursionLimitExceeded,
    ];

    /// The name, as conformance vectors have it.
    pub fn name(self) -> &'static str {
        match self {
            VmErrorKind::CpuLimitExceeded => "CpuLimitExceeded",
            VmErrorKind::MemoryLimitExceeded => "MemoryLimitExceeded",
            VmErrorKind::StackUnderflow => "StackUnderflow",
            VmErrorKind::InvalidHeapPtr => "InvalidHeapPtr",
            VmErrorKind::UnknownOpCode => "UnknownOpCode",
            VmErrorKind::TypeMismatch => "TypeMismatch",
            VmErrorKind::DivisionByZero => "DivisionByZero",
            VmErrorKind::ArithmeticOverflow => "ArithmeticOverflow",
            VmErrorKind::CapabilityDenied => "CapabilityDenied",
            VmErrorKind::RecursionLimitExceeded => "RecursionLimitExceeded",
        }
    }
}

impl From<ErrorKind> for VmErrorKind {
    fn from(kind: ErrorKind) -> VmErrorKind {
        match kind {
            ErrorKind::GasLimitExceeded => VmErrorKind::CpuLimitExceeded,
            ErrorKind::MemoryLimitExceeded | ErrorKind::OutOfRange => {
                VmErrorKind::MemoryLimitExceeded
            }
            ErrorKind::StackUnderflow => VmErrorKind::StackUnderflow,
            ErrorKind::InvalidHeapPtr => VmErrorKind::InvalidHeapPtr,
            ErrorKind::UnknownOpCode => VmErrorKind::UnknownOpCode,
            ErrorKind::DivisionByZero => VmErrorKind::DivisionByZero,
            ErrorKind::ArithmeticOverflow => VmErrorKind::ArithmeticOverflow,
            ErrorKind::CapabilityDenied => VmErrorKind::CapabilityDenied,
            ErrorKind::RecursionLimitExceeded => VmErrorKind::RecursionLimitExceeded,
            // No V2 program raises any other kind.
            _ => VmErrorKind::TypeMismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_v2_words_them() {
        for (error, text) in [
            (
                StructuredError::CpuLimitExceeded {
                    limit: 10,
                    attempted: 11,
                },
                "CPU limit exceeded: attempted 11 steps, limit was 10",
            ),
            (
                StructuredError::MemoryLimitExceeded {
                    limit: 64,
                    attempted: 88,
                },
                "Memory limit exceeded: attempted 88 bytes, limit was 64",
            ),
            (StructuredError::StackUnderflow, "Stack underflow"),
            (StructuredError::InvalidHeapPtr, "Invalid heap pointer"),
            (StructuredError::UnknownOpCode, "Unknown opcode"),
            (StructuredError::TypeMismatch, "Type mismatch"),
            (StructuredError::DivisionByZero, "Division by zero"),
            (StructuredError::ArithmeticOverflow, "Arithmetic overflow"),
            (
                StructuredError::SchedulerError("x".into()),
                "Scheduler error: x",
            ),
            (
                StructuredError::CapabilityError("y".into()),
                "Capability error: y",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(format!("{error:?}"), text);
        }
    }
}
