//! V2: a stack machine whose programs run unchanged, lowered one to one to the instruction set.
//!
//! | file | what it holds |
//! |---|---|
//! | `opcode` | the V2 instructions |
//! | `capability`, `host_function` | what their constants and numbers mean |
//! | `closure_body` | function bodies in string constants |
//! | `constant` | constants as lowering sees them |
//! | `resolve` | one instruction with its constants looked up |
//! | `heights` | the height of the operand stack before each instruction, where it is known |
//! | `lower` | which functions a program has, and the program made of them |
//! | `emit`, `emit_calls` | the instructions of one function |

mod capability;
pub mod closure_body;
mod constant;
mod emit;
mod emit_calls;
mod heights;
mod host_function;
mod lower;
mod opcode;
mod resolve;

pub use capability::Capability;
pub use constant::Constant;
pub use host_function::HostFunction;
pub use lower::{FunctionLayout, Lowered, StackPlace, lower};
pub use opcode::OpCode;
