//! Records of few bytes, which a world that takes many has to write fast: byte by byte where they are to be, where there is room for every one,
//! and most of the time would go into finding out for each byte whether there is. Nothing of them is read before they are handed over: a
//! processor waits when it reads at once in one piece what it has just written in several.

/// The most bytes of one with its length: three numbers of any size, and some that are small; and behind them as many as are written at once.
pub(super) const SHORT_BYTES: usize = 48;

/// The most bytes of what records begin with: a length, a byte, and a number.
const HEAD_BYTES: usize = 16;

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
    /// One that begins like this.
    #[inline(always)]
    pub(super) fn new<'a>(bytes: &'a mut [u8; SHORT_BYTES], head: &ShortHead) -> ShortRecord<'a> {
        if let Some(room) = bytes.first_chunk_mut() {
            *room = head.bytes;
        }
        ShortRecord {
            bytes,
            count: head.count,
        }
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

    /// Up to eight bytes, which were put together in a machine register: the others of the word are written over.
    #[inline(always)]
    pub(crate) fn word(&mut self, word: u64, bytes: usize) {
        let room = self.bytes[self.count..].first_chunk_mut();
        *room.expect("there is room for all that a short record has") = word.to_le_bytes();
        self.count += bytes;
    }

    /// Its length is written; how many bytes there are with it.
    #[inline(always)]
    pub(super) fn finish(self) -> usize {
        self.bytes[0] = self.count as u8 - 1;
        self.count
    }
}

/// What records of few bytes begin with: it stays the same for many of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortHead {
    bytes: [u8; HEAD_BYTES],
    /// Bytes of it, with room for the length of the record.
    count: usize,
}

impl Default for ShortHead {
    fn default() -> ShortHead {
        ShortHead {
            bytes: [0; HEAD_BYTES],
            count: 1,
        }
    }
}

impl ShortHead {
    /// What this writes.
    ///
    /// # Panics
    /// When it has more bytes than a head may have.
    pub(crate) fn of(write: impl FnOnce(&mut ShortRecord<'_>)) -> ShortHead {
        let mut bytes = [0; SHORT_BYTES];
        let mut record = ShortRecord::new(&mut bytes, &ShortHead::default());
        write(&mut record);
        let count = record.count;
        assert!(count <= HEAD_BYTES, "a head of {count} bytes");
        let mut head = ShortHead::default();
        head.bytes.copy_from_slice(&bytes[..HEAD_BYTES]);
        ShortHead { count, ..head }
    }
}
