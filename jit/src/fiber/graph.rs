//! The canonical form of values and everything they refer to: one byte string for equal graphs,
//! whatever the layout. Images, state hashes and parcels are made of it.
//!
//! Objects are numbered in the order in which a breadth-first walk from the roots first meets them;
//! a value is a tag and, for an object, its number (in the arena) or its program and position (a
//! constant). Sharing is kept, cycles are fine. Parcels hold large texts apart ([`SharedText`]). Decoding trusts nothing: see [`Decoder`].

mod check;
mod decode;
mod encode;
mod shared;

pub(crate) use decode::{Decoder, Reading};
pub(crate) use encode::Encoder;
pub(crate) use shared::{SharedText, write_whole};

use smallvec::SmallVec;

/// Set in the tag of an encoded value that is a constant.
const CONSTANT_TAG: u8 = 0x80;

/// Which programs the encoded values refer to, in the order in which they are first mentioned.
#[derive(Default, Debug)]
pub(crate) struct ProgramTable {
    pub(crate) programs: Programs,
}

/// Numbers of programs: most values refer to few.
pub(crate) type Programs = SmallVec<[u32; 4]>;

impl ProgramTable {
    fn position(&mut self, program: u32) -> u64 {
        match self.programs.iter().position(|known| *known == program) {
            Some(position) => position as u64,
            None => {
                self.programs.push(program);
                self.programs.len() as u64 - 1
            }
        }
    }

    fn at(&self, position: u32) -> Option<u32> {
        self.programs.get(position as usize).copied()
    }
}
