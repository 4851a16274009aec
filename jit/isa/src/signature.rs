//! Content hashes: what a function or a program is called in caches, images and on the wire.

use std::fmt;

use crate::codec::{write_function, write_linkage};
use crate::program::{Function, Program};
use crate::wire::Writer;

macro_rules! signatures {
    ($($(#[doc = $doc:literal])* $name:ident),*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}

signatures! {
    /// BLAKE3 of a function's canonical form: code, constants, handlers and gas; no names, no lines,
    /// and of what it links to only the positions.
    CodeSignature,
    /// BLAKE3 of the ordered signatures of a program's functions and its link tables.
    ProgramSignature
}

impl CodeSignature {
    /// The signature of a function.
    pub fn of(function: &Function) -> CodeSignature {
        let mut out = Writer::default();
        write_function(&mut out, function);
        CodeSignature(blake3::derive_key("physics-world function 1", &out.bytes))
    }
}

impl ProgramSignature {
    /// The signature of a program.
    pub fn of(program: &Program) -> ProgramSignature {
        let mut out = Writer::default();
        // The count keeps a link table from being read as one more function.
        out.varint(program.functions.len() as u64);
        for function in &program.functions {
            out.bytes.extend_from_slice(&CodeSignature::of(function).0);
        }
        write_linkage(&mut out, program);
        ProgramSignature(blake3::derive_key("physics-world program 1", &out.bytes))
    }
}
