//! What the tests of programs are made of.

pub(crate) mod modes;
pub(crate) mod program_file;
