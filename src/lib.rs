//! Physics World.

pub mod v2;
