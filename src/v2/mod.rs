//! V2: the stack machine and the facade of earlier versions, on top of the same fibers as everything else.
//!
//! V2 programs run unchanged: they are lowered to the instruction set ([`pw_isa::v2`]), with V2's
//! steps as gas and V2's instruction pointers as lines.
//!
//! | file | what it holds |
//! |---|---|
//! | `value` | values, and the pairs and closures that they point to |
//! | `vector` | conformance vectors: parsing, running, comparing |

mod alone;
pub mod arena;
pub mod capabilities;
mod machine;
pub mod result;
mod surroundings;
mod transfer;
pub mod value;
pub mod vector;

pub use arena::ObjectArena;
pub use pw_isa::v2::{Capability, HostFunction, OpCode};
pub use result::{ExecutionResult, ResourceMetrics, StructuredError, VmErrorKind};
pub use surroundings::{DocumentedHost, HostProvider};
pub use value::{ClosureObject, GcPtr, HeapObject, HeapObjects, HeapPtr, Value};
