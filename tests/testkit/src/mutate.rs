//! Damaged forms of an input.

use pw_isa::codec;

/// Calls `visit` for every proper beginning of the input.
pub fn truncations(bytes: &[u8], mut visit: impl FnMut(&[u8])) {
    (0..bytes.len()).for_each(|length| visit(&bytes[..length]));
}

/// Calls `visit` for the input with each bit flipped in turn.
pub fn bit_flips(bytes: &[u8], mut visit: impl FnMut(&[u8])) {
    let mut flipped = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        visit(&flipped);
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}

/// The two sections of a program file.
#[derive(Clone, Debug)]
pub struct Sections {
    /// The code section.
    pub code: Vec<u8>,
    /// The debug section.
    pub debug: Vec<u8>,
}

impl Sections {
    /// The sections of a sound program file.
    ///
    /// # Panics
    /// When the file is shorter than its head says.
    pub fn of(file: &[u8]) -> Sections {
        let mut length = [0; 8];
        length.copy_from_slice(&file[6..14]);
        let (code, debug) = file[codec::HEAD_BYTES..].split_at(u64::from_le_bytes(length) as usize);
        Sections {
            code: code.to_vec(),
            debug: debug.to_vec(),
        }
    }

    /// A file of these sections whose lengths and checksums fit, so that the decoder reads them.
    pub fn to_file(&self) -> Vec<u8> {
        codec::file_of(&self.code, &self.debug)
    }
}
