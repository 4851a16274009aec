//! Reading and writing bytes: the one bounded reader behind every decoder.
//!
//! Numbers are little-endian of fixed width, or *varints* (7 bits a byte, low bits first, shortest
//! form only, so that every value has one encoding). A count is checked against the bytes that are
//! left before anything is allocated for it.

/// Why bytes were refused: where, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct DecodeError {
    /// Position in the input.
    pub offset: usize,
    /// What is wrong.
    pub what: String,
}

/// Result of decoding.
pub type Decoded<T> = Result<T, DecodeError>;

/// A signed number as one that is small where that is near 0: 0, -1, 1, -2 and so on from 0 upwards.
#[inline]
pub const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// The bytes that a varint takes.
#[inline]
pub const fn varint_bytes(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends to a byte string.
#[derive(Default, Debug)]
pub struct Writer {
    /// What was written so far.
    pub bytes: Vec<u8>,
}

impl Writer {
    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A varint.
    #[inline]
    pub fn varint(&mut self, value: u64) {
        if value < 0x80 {
            self.bytes.push(value as u8);
        } else if value < 0x4000 {
            let two = [value as u8 | 0x80, (value >> 7) as u8];
            self.bytes.extend_from_slice(&two);
        } else {
            self.long_varint(value);
        }
    }

    /// All at once: room is looked for once.
    #[inline(never)]
    fn long_varint(&mut self, mut value: u64) {
        let mut bytes = [0; 10];
        let mut count = 1;
        for byte in &mut bytes {
            *byte = value as u8 | 0x80;
            value >>= 7;
            if value == 0 {
                *byte &= 0x7f;
                break;
            }
            count += 1;
        }
        self.bytes.extend_from_slice(&bytes[..count]);
    }

    /// A signed varint (zigzag).
    pub fn signed(&mut self, value: i64) {
        self.varint(zigzag(value));
    }

    /// A length as varint, then the bytes.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    /// Begins a blob whose bytes are written next, and which [`Writer::end_blob`] ends: where it begins.
    #[inline]
    pub fn begin_blob(&mut self) -> usize {
        self.bytes.push(0);
        self.bytes.len() - 1
    }

    /// Ends a blob that begins here: it is as if it had been written at once.
    #[inline]
    pub fn end_blob(&mut self, start: usize) {
        let length = self.bytes.len() - start - 1;
        if length < 0x80 {
            self.bytes[start] = length as u8;
        } else {
            self.make_room_for_length(start, length);
        }
    }

    /// The length of a blob takes more than the byte that was left for it.
    #[inline(never)]
    fn make_room_for_length(&mut self, start: usize, length: usize) {
        let mut prefix = Writer::default();
        prefix.varint(length as u64);
        self.bytes.splice(start..=start, prefix.bytes);
    }

    /// How many bytes a blob of so many bytes takes.
    pub fn blob_bytes(length: u64) -> u64 {
        varint_bytes(length) as u64 + length
    }

    /// A string as blob.
    pub fn text(&mut self, text: &str) {
        self.blob(text.as_bytes());
    }
}

/// Reads a byte string from the front.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the first byte.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, offset: 0 }
    }

    /// How many bytes were read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.offset
    }

    /// The bytes that are left.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.offset..]
    }

    /// An error at the current position.
    #[cold]
    pub fn error(&self, what: impl Into<String>) -> DecodeError {
        DecodeError {
            offset: self.offset,
            what: what.into(),
        }
    }

    /// Fewer bytes are left than these.
    #[cold]
    #[inline(never)]
    fn too_few(&self, count: usize) -> DecodeError {
        self.error(format!("{count} bytes expected, {} left", self.remaining()))
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Decoded<&'a [u8]> {
        let Some(taken) = self.rest().get(..count) else {
            return Err(self.too_few(count));
        };
        self.offset += count;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let Some(array) = self.rest().first_chunk() else {
            return Err(self.too_few(N));
        };
        self.offset += N;
        Ok(*array)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self) -> Decoded<u8> {
        let Some(byte) = self.bytes.get(self.offset) else {
            return Err(self.too_few(1));
        };
        self.offset += 1;
        Ok(*byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Decoded<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    #[inline]
    pub fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A 32-byte hash.
    pub fn hash(&mut self) -> Decoded<[u8; 32]> {
        self.array()
    }

    /// A byte that is 0 or 1.
    #[inline]
    pub fn flag(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(format!("a flag is 0 or 1, not {other}"))),
        }
    }

    /// A varint in its shortest form.
    #[inline]
    pub fn varint(&mut self) -> Decoded<u64> {
        match self.bytes.get(self.offset) {
            // Most have one byte.
            Some(byte) if *byte < 0x80 => {
                self.offset += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.error("a number beyond 64 bits"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(self.error("a number that is not in its shortest form"));
                }
                return Ok(value);
            }
        }
        Err(self.error("a number beyond 64 bits"))
    }

    /// A signed varint (zigzag).
    pub fn signed(&mut self) -> Decoded<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A varint of at most 32 bits.
    #[inline]
    pub fn varint32(&mut self) -> Decoded<u32> {
        let value = self.varint()?;
        u32::try_from(value).map_err(|_| self.error(format!("{value} is beyond 32 bits")))
    }

    /// A varint of at most 16 bits.
    pub fn varint16(&mut self) -> Decoded<u16> {
        let value = self.varint()?;
        u16::try_from(value).map_err(|_| self.error(format!("{value} is beyond 16 bits")))
    }

    /// A count of things that take at least `bytes_each` bytes, which must be there.
    #[inline]
    pub fn count(&mut self, bytes_each: usize) -> Decoded<usize> {
        let value = self.varint()?;
        let room = self.remaining() / bytes_each.max(1);
        match usize::try_from(value) {
            Ok(count) if count <= room => Ok(count),
            _ => Err(self.error(format!("a count of {value} where at most {room} fit"))),
        }
    }

    /// A blob.
    #[inline]
    pub fn blob(&mut self) -> Decoded<&'a [u8]> {
        let count = self.count(1)?;
        self.take(count)
    }

    /// A string.
    pub fn text(&mut self) -> Decoded<&'a str> {
        let bytes = self.blob()?;
        std::str::from_utf8(bytes).map_err(|_| self.error("text that is not UTF-8"))
    }

    /// Refuses bytes behind the end.
    pub fn finish(self) -> Decoded<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error(format!("{left} bytes behind the end"))),
        }
    }
}
