//! Physics World.
