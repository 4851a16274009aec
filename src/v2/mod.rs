//! V2: the stack machine and the facade of earlier versions, on top of the same fibers as everything else.
//!
//! V2 programs run unchanged: they are lowered to the instruction set ([`pw_isa::v2`]), with V2's
//! steps as gas and V2's instruction pointers as lines.
//!
//! | file | what it holds |
//! |---|---|
//! | `value` | values, and the pairs and closures that they point to |
//! | `vector` | conformance vectors: parsing, running, comparing |

pub mod value;
pub mod vector;

pub use pw_isa::v2::{Capability, HostFunction, OpCode};
pub use value::{GcPtr, HeapObject, HeapObjects, HeapPtr, Value};
