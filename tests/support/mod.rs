//! What the tests of programs are made of.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod modes;
pub(crate) mod program_file;
