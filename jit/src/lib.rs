//! Executes Physics World programs: fibers, the reference interpreter and the faster tiers.
//!
//! This crate knows no actors, sockets or clocks. A [`fiber::Fiber`] is the whole state of one
//! computation as plain data; an interpreter advances it by at most a slice of gas; what it asks of its
//! surroundings goes through a [`host::Host`].
//!
//! | folder | what it holds |
//! |---|---|
//! | `fiber` | frames, registers, arena, images |
//! | `reference` | the executable specification: small, slow, obvious |
//! | `interp` | the fast interpreter |
//! | `compile` | functions to native code |
//! | `code` | memory for it, and files |
//! | `tier` | what is compiled when, and the ways into native code and out of it |
//! | `memo` | calls of pure functions that need not be run again |
//! | `optimize` | settings of all that is about speed and memory; memory of fibers that wait |
//! | `code_space` | loaded programs and their constants |
//! | `heap`, `numbers`, `text` | what values mean, shared by all tiers |
//! | `known_hashes` | hashes of many keys that share parts |
#![deny(unsafe_code)]

mod by_program;
mod code;
mod code_space;
mod compile;
pub mod failure;
pub mod fiber;
pub mod heap;
pub mod host;
#[allow(
    unsafe_code,
    reason = "its loop works on raw registers; see `interp/hot.rs`"
)]
pub mod interp;
mod known_hashes;
pub mod memo;
pub mod numbers;
pub mod optimize;
pub mod reference;
pub mod text;
#[allow(unsafe_code, reason = "it enters native code; see `tier/native.rs`")]
pub mod tier;
pub mod value;

pub use code_space::CodeSpace;
pub use failure::Failure;
pub use fiber::{Fiber, Limits, State};
pub use value::Value;
