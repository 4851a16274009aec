//! Physics World: an embeddable engine for small sandboxed actors that can be metered, paused, saved,
//! restored and moved at any instruction.
//!
//! | module | what it offers |
//! |---|---|
//! | [`lang`] | the Jue front end: source to programs |
//! | [`source`] | programs from files of any kind |
//! | [`solo`] | one actor and the surroundings that a command line gives it |
//! | [`json`] | values as JSON |
//! | [`profile`] | where the gas and the time of a program go |
//! | [`v2`] | the V2 machine and its world |
//!
//! The layers below are [`isa`] (what a program is), [`jit`] (what runs it) and [`runtime`] (worlds of actors).

pub mod json;
pub mod lang;
pub mod profile;
pub mod solo;
pub mod source;
pub mod v2;

pub use pw_isa as isa;
pub use pw_jit as jit;
pub use pw_runtime as runtime;
pub use pw_runtime::{ActorId, Datum, World, WorldSettings};
