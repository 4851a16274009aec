//! Physics World.
pub mod lang;
