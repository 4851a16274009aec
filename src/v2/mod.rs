//! V2: the stack machine and the facade of earlier versions, on top of the same fibers as everything else.
//!
//! V2 programs run unchanged: they are lowered to the instruction set ([`pw_isa::v2`]), with V2's
//! steps as gas and V2's instruction pointers as lines.
//!
//! | file | what it holds |
//! |---|---|
//! | `world`, `result`, `comptime` | the facade: run an actor, get everything that it gave |
//! | `scheduler` | turns, priorities, messages, capabilities, resources of many actors |
//! | `vm_state`, `vm_inspect`, `vm_snapshot`, `vm_error` | one actor's machine |
//! | `machine`, `surroundings`, `alone`, `transfer` | between the machine and its fiber |
//! | `capabilities` | the rules for capabilities |
//! | `value` | values, and the pairs and closures that they point to |
//! | `vector` | conformance vectors: parsing, running, comparing |
//! | `debugger`, `performance` | what can be attached to a machine |
//! | `arena`, `gc` | heaps for embedding programs |

mod alone;
pub mod arena;
pub mod capabilities;
pub mod comptime;
pub mod debugger;
pub mod gc;
mod machine;
pub mod performance;
pub mod result;
pub mod scheduler;
mod surroundings;
mod transfer;
pub mod value;
pub mod vector;
pub mod vm_error;
mod vm_inspect;
mod vm_snapshot;
pub mod vm_state;
mod world;

pub use arena::ObjectArena;
pub use comptime::{ComptimeEnv, ComptimeError, ComptimeExecution, ComptimeResult};
pub use debugger::Debugger;
pub use performance::PerformanceMonitor;
pub use pw_isa::v2::{Capability, HostFunction, OpCode, closure_body};
pub use result::{ExecutionResult, ResourceMetrics, StructuredError, VmErrorKind};
pub use scheduler::{Actor, PhysicsError, PhysicsScheduler, TickResult};
pub use surroundings::{DocumentedHost, HostProvider};
pub use value::{ClosureObject, GcPtr, HeapObject, HeapObjects, HeapPtr, Value};
pub use vector::run_vector;
pub use vm_error::{ErrorContext, StackFrame, VmError};
pub use vm_inspect::{CallFrame, MemoryAnalysis};
pub use vm_state::{InstructionResult, VmState};
pub use world::PhysicsWorld;
