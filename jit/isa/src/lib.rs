//! What a Physics World program *is*: opcodes, functions, files, assembly text and the verifier.
//!
//! Nothing here executes anything, and nothing here is unsafe. The crate has one centre, the
//! [`opcode_table`](op): every instruction is a row in it, and the enum, the codec, the assembler,
//! the disassembler, the verifier's view of operands and `docs/ISA.md` are derived from the rows.
//! Executing crates match exhaustively on the enums, so a new row does not build until each has
//! answered.
//!
//! | file | what it holds |
//! |---|---|
//! | `operand` | the kinds of operand and their raw form |
//! | `opcode_table`, `op` | the rows, and the enums made from them |
//! | `kind`, `error_kind` | kinds of value, kinds of error |
//! | `cost` | gas for work of variable size, logical sizes, growth policy |
//! | `program` | functions, constants, links, the debug section |
//! | `signature` | content hashes of functions and programs |
//! | `codec`, `wire` | program files, and the bounded reader that all decoders use |
//! | `verify` | what the fast tiers rely on, proven or refused; the live-register table |
//! | `builder` | how front ends make programs |
//! | `v2` | V2 code and its lowering |
//! | `text` | assembly text, both ways |
//! | `reference_doc` | `docs/ISA.md` |
#![forbid(unsafe_code)]

mod access;
pub mod builder;
pub mod codec;
pub mod cost;
pub mod error_kind;
pub mod kind;
pub mod op;
mod opcode_table;
pub mod operand;
pub mod program;
pub mod reference_doc;
pub mod signature;
pub mod text;
pub mod v2;
pub mod verify;
pub mod wire;

pub use error_kind::ErrorKind;
pub use kind::{Kind, KindSet};
pub use op::{Op, Opcode};
pub use program::{Constant, Function, Link, Program};
pub use signature::{CodeSignature, ProgramSignature};
