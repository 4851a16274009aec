//! Records of few bytes, which a world that takes many has to write fast: byte by byte where they are to be, where there is room for every one,
//! and most of the time would go into finding out for each byte whether there is. Nothing of them is read before they are handed over: a
//! processor waits when it reads at once in one piece what it has just written in several.

use pw_isa::wire::zigzag;

/// The most bytes of one with its length: three numbers of any size, and some that are small.
pub(super) const SHORT_BYTES: usize = 40;

// Its length takes one byte.
const _: () = assert!(SHORT_BYTES <= 0x80);

/// A record of few numbers, as a batch has it: its length, and its bytes.
#[derive(Debug)]
pub(crate) struct ShortRecord<'a> {
    bytes: &'a mut [u8; SHORT_BYTES],
    /// Bytes so far, the length included.
    count: usize,
}

impl ShortRecord<'_> {
    /// One that has nothing yet.
    #[inline(always)]
    pub(super) fn new(bytes: &mut [u8; SHORT_BYTES]) -> ShortRecord<'_> {
        ShortRecord { bytes, count: 1 }
    }

    /// One byte.
    #[inline(always)]
    pub(crate) fn u8(&mut self, byte: u8) {
        self.bytes[self.count] = byte;
        self.count += 1;
    }

    /// A varint, as [`pw_isa::wire::Writer::varint`] writes it, but to where there is room.
    #[inline(always)]
    pub(crate) fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.u8(number as u8 | 0x80);
            number >>= 7;
        }
        self.u8(number as u8);
    }

    /// A signed varint, as [`pw_isa::wire::Writer::signed`] writes it.
    #[inline(always)]
    pub(crate) fn signed(&mut self, number: i64) {
        self.varint(zigzag(number));
    }

    /// Its length is written; how many bytes there are with it.
    #[inline(always)]
    pub(super) fn finish(self) -> usize {
        self.bytes[0] = self.count as u8 - 1;
        self.count
    }
}
