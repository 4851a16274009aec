//! Running code while compiling: an actor apart from all others, with the capabilities that the
//! compiler gives it and no way to get more.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use super::capabilities::CapDecision;
use super::surroundings::{HostProvider, Surroundings};
use super::transfer::Message;
use super::vm_state::MAX_RECURSION_DEPTH;
use super::{
    Capability, HeapObjects, HostFunction, InstructionResult, OpCode, PhysicsWorld,
    ResourceMetrics, StructuredError, Value, VmError, VmState, closure_body,
};

/// The number of the actor.
const COMPTIME_ACTOR: u32 = 0;

/// What the compiler allows.
#[derive(Debug, Clone, Default)]
pub struct ComptimeEnv {
    /// Capabilities that the code holds.
    pub capabilities: HashSet<Capability>,
    /// Steps that it may take.
    pub max_steps: u64,
    /// Bytes that it may hold.
    pub memory_limit: usize,
}

/// What the code gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComptimeResult {
    /// Its result.
    pub output: Option<Value>,
    /// The code that it made, when the result is a `closure_body:` string.
    pub expanded_code: Option<Vec<OpCode>>,
    /// The constants that it computed: the elements when the result is a list, else the result itself
    /// unless it is nil or code.
    pub computed_constants: Vec<Value>,
    /// What is left to be proven: the strings starting with `proof:` among the constants, without it.
    pub proof_obligations: Vec<String>,
    /// What it used.
    pub metrics: ResourceMetrics,
    /// The objects that the values point to.
    #[serde(skip)]
    pub objects: HeapObjects,
}

/// Why the code failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ComptimeError {
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
    /// Calls nested too deep.
    SchedulerError(String),
    /// A capability is missing, was asked for, or was needed to reach another actor.
    CapabilityError(String),
}

impl fmt::Display for ComptimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ComptimeError::CpuLimitExceeded { limit, attempted } => write!(
                f,
                "Comptime CPU limit exceeded: attempted {attempted} steps, limit was {limit}"
            ),
            ComptimeError::MemoryLimitExceeded { limit, attempted } => write!(
                f,
                "Comptime memory limit exceeded: attempted {attempted} bytes, limit was {limit}"
            ),
            ComptimeError::StackUnderflow => write!(f, "Comptime stack underflow"),
            ComptimeError::InvalidHeapPtr => write!(f, "Comptime invalid heap pointer"),
            ComptimeError::UnknownOpCode => write!(f, "Comptime unknown opcode"),
            ComptimeError::TypeMismatch => write!(f, "Comptime type mismatch"),
            ComptimeError::DivisionByZero => write!(f, "Comptime division by zero"),
            ComptimeError::ArithmeticOverflow => write!(f, "Comptime arithmetic overflow"),
            ComptimeError::SchedulerError(message) => {
                write!(f, "Comptime scheduler error: {message}")
            }
            ComptimeError::CapabilityError(message) => {
                write!(f, "Comptime capability error: {message}")
            }
        }
    }
}

impl std::error::Error for ComptimeError {}

impl From<StructuredError> for ComptimeError {
    fn from(error: StructuredError) -> ComptimeError {
        match error {
            StructuredError::CpuLimitExceeded { limit, attempted } => {
                ComptimeError::CpuLimitExceeded { limit, attempted }
            }
            StructuredError::MemoryLimitExceeded { limit, attempted } => {
                ComptimeError::MemoryLimitExceeded { limit, attempted }
            }
            StructuredError::StackUnderflow => ComptimeError::StackUnderflow,
            StructuredError::InvalidHeapPtr => ComptimeError::InvalidHeapPtr,
            StructuredError::UnknownOpCode => ComptimeError::UnknownOpCode,
            StructuredError::TypeMismatch => ComptimeError::TypeMismatch,
            StructuredError::DivisionByZero => ComptimeError::DivisionByZero,
            StructuredError::ArithmeticOverflow => ComptimeError::ArithmeticOverflow,
            StructuredError::SchedulerError(message) => ComptimeError::SchedulerError(message),
            StructuredError::CapabilityError(message) => ComptimeError::CapabilityError(message),
        }
    }
}

/// Whoever runs code for a compiler.
pub trait ComptimeExecution {
    /// Runs code to its end.
    ///
    /// # Errors
    /// When it fails, asks for a capability, or sends a message.
    fn execute_comptime(
        &mut self,
        code: Vec<OpCode>,
        constants: Vec<Value>,
        env: ComptimeEnv,
    ) -> Result<ComptimeResult, ComptimeError>;
}

impl ComptimeExecution for PhysicsWorld {
    fn execute_comptime(
        &mut self,
        code: Vec<OpCode>,
        constants: Vec<Value>,
        env: ComptimeEnv,
    ) -> Result<ComptimeResult, ComptimeError> {
        let mut vm = VmState::new(
            code,
            constants,
            env.max_steps,
            env.memory_limit,
            COMPTIME_ACTOR,
            MAX_RECURSION_DEPTH,
        );
        let mut compiler = Compiler {
            capabilities: env.capabilities,
            host: self.scheduler_mut().host_mut(),
            sent: false,
        };
        let ending = loop {
            match vm.run_in(&mut compiler) {
                Ok(InstructionResult::Yield) if !compiler.sent => {}
                other => break other,
            }
        };
        if compiler.sent {
            return Err(refused("Comptime execution cannot send messages"));
        }
        match ending {
            Ok(InstructionResult::Finished(value)) => Ok(result(value, &vm)),
            Ok(InstructionResult::WaitingForCapability(_)) => Err(refused(
                "Comptime execution cannot request additional capabilities",
            )),
            Ok(_) => unreachable!("nothing else stops a machine without a debugger"),
            Err(error) => Err(VmError::to_structured(&error).into()),
        }
    }
}

fn refused(message: &str) -> ComptimeError {
    ComptimeError::CapabilityError(message.to_owned())
}

fn result(output: Value, vm: &VmState) -> ComptimeResult {
    let objects = vm.objects().clone();
    let expanded_code = match &output {
        Value::String(text) => closure_body::parse(text),
        _ => None,
    };
    let mut computed_constants = Vec::new();
    let mut rest = &output;
    while let Some((element, behind)) = objects.pair(rest) {
        computed_constants.push(element.clone());
        rest = behind;
    }
    if *rest != Value::Nil && expanded_code.is_none() {
        computed_constants.push(rest.clone());
    }
    let obligation = |constant: &Value| match constant {
        Value::String(text) => text.strip_prefix("proof:").map(str::to_owned),
        _ => None,
    };
    ComptimeResult {
        proof_obligations: computed_constants.iter().filter_map(obligation).collect(),
        expanded_code,
        computed_constants,
        metrics: vm.metrics(),
        output: Some(output),
        objects,
    }
}

/// The surroundings of code that runs for a compiler.
struct Compiler<'a> {
    capabilities: HashSet<Capability>,
    host: &'a mut dyn HostProvider,
    sent: bool,
}

impl Surroundings for Compiler<'_> {
    fn holds(&mut self, capability: &Capability) -> bool {
        self.capabilities.contains(capability)
    }

    /// What is held is granted; everything else stops the code.
    fn request(&mut self, capability: &Capability, _reason: &str) -> CapDecision {
        if self.capabilities.contains(capability) {
            CapDecision::Granted
        } else {
            CapDecision::PendingConsensus
        }
    }

    fn grant(&mut self, _to: u32, _capability: &Capability) -> bool {
        false
    }

    fn revoke(&mut self, from: u32, capability: &Capability) -> bool {
        from == COMPTIME_ACTOR && {
            self.capabilities.remove(capability);
            true
        }
    }

    fn send(&mut self, _to: u32, _message: Message) {
        self.sent = true;
    }

    fn call(
        &mut self,
        function: HostFunction,
        arguments: &[Value],
        objects: &mut HeapObjects,
    ) -> Value {
        self.host.call(COMPTIME_ACTOR, function, arguments, objects)
    }
}
