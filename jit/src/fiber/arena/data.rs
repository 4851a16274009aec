//! Objects of fixed size: pairs, cells, closures, errors, capabilities; and bytes.

use pw_isa::{ErrorKind, Kind, cost};

use super::Arena;
use super::object::{
    ObjectKind, PAIR_WORDS, extra, halves, header, join, pair_header, pair_tags, size_words,
};
use crate::value::Value;

/// The index of an object's header.
#[inline(always)]
pub(super) fn index_of(offset: u64) -> usize {
    (offset / 8) as usize
}

#[inline(always)]
fn offset_of(index: usize) -> u64 {
    index as u64 * 8
}

impl Arena {
    /// The kind of the object at an offset.
    pub(crate) fn object_kind(&self, offset: u64) -> ObjectKind {
        ObjectKind::of(self.word(index_of(offset)))
    }

    /// The value in two words, tag first.
    #[inline(always)]
    pub(super) fn value_at(&self, index: usize) -> Value {
        Value {
            tag: self.word(index),
            bits: self.word(index + 1),
        }
    }

    fn init_value(&mut self, index: usize, value: Value) {
        self.init(index, value.tag);
        self.init(index + 1, value.bits);
    }

    fn store_value(&mut self, index: usize, value: Value) {
        self.store(index, value.tag);
        self.store(index + 1, value.bits);
    }

    /// A new pair.
    #[inline(always)]
    pub fn new_pair(&mut self, car: Value, cdr: Value) -> Value {
        let index = self.allocate(PAIR_WORDS, cost::PAIR_BYTES);
        self.init(index, pair_header(car.tag, cdr.tag));
        self.init(index + 1, car.bits);
        self.init(index + 2, cdr.bits);
        Value::object(Kind::Pair, offset_of(index))
    }

    /// The values of a pair.
    #[inline(always)]
    pub(crate) fn pair(&self, offset: u64) -> (Value, Value) {
        let index = index_of(offset);
        let (car, cdr) = pair_tags(self.word(index));
        let car = Value {
            tag: car,
            bits: self.word(index + 1),
        };
        let cdr = Value {
            tag: cdr,
            bits: self.word(index + 2),
        };
        (car, cdr)
    }

    /// So many new objects with these words, side by side: the words, to be completed before anybody sees them, and the offset of
    /// the first.
    pub(crate) fn new_objects(
        &mut self,
        words: &[u64],
        count: usize,
        logical: u64,
    ) -> (&mut [u64], u64) {
        let first = self.allocate(words.len(), logical);
        self.statistics.allocations += count as u64 - 1;
        let room = &mut self.words[first..first + words.len()];
        room.copy_from_slice(words);
        (room, offset_of(first))
    }

    /// The words of an object.
    pub(crate) fn words_of(&self, offset: u64) -> &[u64] {
        let index = index_of(offset);
        &self.words[index..index + size_words(self.words[index])]
    }

    /// Replaces the values of a pair that nobody has seen yet (pairs are immutable for programs).
    pub(crate) fn fill_pair(&mut self, offset: u64, car: Value, cdr: Value) {
        let index = index_of(offset);
        self.store(index, pair_header(car.tag, cdr.tag));
        self.store(index + 1, car.bits);
        self.store(index + 2, cdr.bits);
    }

    /// A new cell.
    #[inline(always)]
    pub(crate) fn new_cell(&mut self, value: Value) -> Value {
        let index = self.allocate(2, cost::CELL_BYTES);
        self.init(index, ObjectKind::Cell as u64 | value.tag << 16);
        self.init(index + 1, value.bits);
        Value::object(Kind::Cell, offset_of(index))
    }

    /// The value in a cell.
    #[inline(always)]
    pub(crate) fn cell(&self, offset: u64) -> Value {
        let index = index_of(offset);
        Value {
            tag: self.word(index) >> 16 & 0xffff,
            bits: self.word(index + 1),
        }
    }

    /// Replaces the value in a cell.
    #[inline(always)]
    pub(crate) fn set_cell(&mut self, offset: u64, value: Value) {
        let index = index_of(offset);
        self.store(index, ObjectKind::Cell as u64 | value.tag << 16);
        self.store(index + 1, value.bits);
    }

    /// A new closure of function `function` of a loaded program.
    pub(crate) fn new_closure(
        &mut self,
        program: u32,
        function: u32,
        captures: impl ExactSizeIterator<Item = Value>,
    ) -> Value {
        let count = captures.len();
        let words = 2 + 2 * count;
        let index = self.allocate(words, cost::closure_bytes(count as u64));
        self.init(index, header(ObjectKind::Closure, count as u16, words));
        self.init(index + 1, join(function, program));
        for (place, value) in captures.enumerate() {
            self.init_value(index + 2 + 2 * place, value);
        }
        Value::object(Kind::Closure, offset_of(index))
    }

    /// The program and function of a closure.
    #[inline(always)]
    pub(crate) fn closure_function(&self, offset: u64) -> (u32, u32) {
        let (function, program) = halves(self.word(index_of(offset) + 1));
        (program, function)
    }

    /// How many values a closure captures.
    pub(crate) fn capture_count(&self, offset: u64) -> u16 {
        extra(self.word(index_of(offset)))
    }

    /// A captured value.
    #[inline(always)]
    pub(crate) fn capture(&self, offset: u64, place: u32) -> Option<Value> {
        let count = u32::from(self.capture_count(offset));
        (place < count).then(|| self.value_at(index_of(offset) + 2 + 2 * place as usize))
    }

    /// Replaces a captured value that exists.
    pub(crate) fn set_capture(&mut self, offset: u64, place: u32, value: Value) {
        self.store_value(index_of(offset) + 2 + 2 * place as usize, value);
    }

    /// A new Error; the message is a String, the values a list.
    pub(crate) fn new_error(&mut self, kind: ErrorKind, message: Value, values: Value) -> Value {
        let index = self.allocate(5, cost::ERROR_BYTES);
        self.init(index, header(ObjectKind::Error, kind as u16, 5));
        self.init_value(index + 1, message);
        self.init_value(index + 3, values);
        Value::object(Kind::Error, offset_of(index))
    }

    /// The kind, message and values of an Error.
    pub(crate) fn error(&self, offset: u64) -> (ErrorKind, Value, Value) {
        let index = index_of(offset);
        let tag = extra(self.word(index)) as u8;
        let kind = ErrorKind::from_tag(tag).unwrap_or(ErrorKind::Error);
        (kind, self.value_at(index + 1), self.value_at(index + 3))
    }

    /// A new Capability; the name is a Symbol.
    pub(crate) fn new_capability(&mut self, name: Value, parameter: Value) -> Value {
        let index = self.allocate(5, cost::CAPABILITY_BYTES);
        self.init(index, header(ObjectKind::Capability, 0, 5));
        self.init_value(index + 1, name);
        self.init_value(index + 3, parameter);
        Value::object(Kind::Capability, offset_of(index))
    }

    /// The name and parameter of a Capability.
    pub(crate) fn capability(&self, offset: u64) -> (Value, Value) {
        let index = index_of(offset);
        (self.value_at(index + 1), self.value_at(index + 3))
    }

    /// Replaces the two values of an Error or Capability that nobody has seen yet.
    pub(crate) fn fill_two_values(&mut self, offset: u64, first: Value, second: Value) {
        let index = index_of(offset);
        self.store_value(index + 1, first);
        self.store_value(index + 3, second);
    }

    /// New bytes of value `fill`.
    pub(crate) fn new_bytes(&mut self, length: u32, fill: u8) -> Value {
        let buffer = self.new_buffer((length as usize).div_ceil(8));
        if fill != 0 {
            let words = (length as usize).div_ceil(8);
            self.buffer_mut(buffer, 0, words)
                .fill(u64::from(fill) * 0x0101_0101_0101_0101);
        }
        let index = self.allocate(3, bytes_logical(u64::from(length)));
        self.init(index, header(ObjectKind::Bytes, 0, 3));
        self.init(index + 1, u64::from(length));
        self.init(index + 2, buffer);
        Value::object(Kind::Bytes, offset_of(index))
    }

    /// The bytes of Bytes.
    pub(crate) fn bytes(&self, offset: u64) -> &[u8] {
        let index = index_of(offset);
        let length = self.word(index + 1) as usize;
        &self.buffer_bytes(self.word(index + 2))[..length]
    }

    /// Writes into Bytes, within their length.
    pub(crate) fn write_bytes(&mut self, offset: u64, start: usize, bytes: &[u8]) {
        let buffer = self.word(index_of(offset) + 2);
        self.write_buffer_bytes(buffer, start, bytes);
    }
}

/// The logical size of Bytes of this length.
pub(crate) fn bytes_logical(length: u64) -> u64 {
    cost::BYTES_BYTES
        + if length == 0 {
            0
        } else {
            cost::BUFFER_BYTES + length
        }
}
