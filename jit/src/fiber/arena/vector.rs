//! Vectors: flat while all elements are Int or all Float, generic otherwise.
//!
//! The kind of elements is chosen by the first one; a vector that has had elements widens to generic
//! when another kind is stored, and never narrows. Capacity is logical: it starts at the length the
//! vector was made with and grows by [`cost::grown_capacity`].

use pw_isa::{Kind, cost};

use super::Arena;
use super::buffer::BUFFER_HEAD;
use super::data::index_of;
use super::object::{Elements, OUTSIDE_WORDS_MIN, ObjectKind, extra, halves, header, join};
use crate::value::Value;

/// Words of a vector: its header, its length and capacity, its buffer.
pub(crate) const VECTOR_WORDS: usize = 3;

/// What storing or appending an element takes, decided before anything changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StorePlan {
    /// The kind of elements afterwards.
    pub(crate) elements: Elements,
    /// The capacity afterwards.
    pub(crate) capacity: u32,
    /// Logical bytes of a new buffer; 0 when the old one stays.
    pub(crate) bytes: u64,
    /// Elements that are copied into the new buffer.
    pub(crate) copied: u64,
}

#[inline(always)]
fn elements_for(value: Value) -> Elements {
    // By its tag: its kind takes longer to tell.
    const INT: u64 = Kind::Int as u64;
    const FLOAT: u64 = Kind::Float as u64;
    match value.tag {
        INT => Elements::Int,
        FLOAT => Elements::Float,
        _ => Elements::Any,
    }
}

fn buffer_words(elements: Elements, count: u32) -> usize {
    elements.words() * count as usize
}

/// Writes values as the elements of a vector.
fn write_elements(elements: Elements, values: &[Value], words: &mut [u64]) {
    match elements {
        Elements::Any => {
            for (words, value) in words.chunks_exact_mut(2).zip(values) {
                words[0] = value.tag;
                words[1] = value.bits;
            }
        }
        Elements::Int | Elements::Float => {
            for (word, value) in words.iter_mut().zip(values) {
                *word = value.bits;
            }
        }
    }
}

/// Elements to make room for. A capacity that came from an image is only a number: room doubles up to it.
fn room_for(length: u32, capacity: u32) -> u32 {
    capacity.min(length.saturating_mul(2).max(4))
}

impl Arena {
    /// The logical size of a new vector of these values.
    pub(crate) fn vector_logical(elements: Elements, capacity: u64) -> u64 {
        cost::VECTOR_BYTES + cost::vector_buffer_bytes(capacity, elements.bytes())
    }

    /// The elements that a vector of these values has.
    pub(crate) fn common_elements(values: impl IntoIterator<Item = Value>) -> Elements {
        let mut values = values.into_iter();
        let Some(first) = values.next() else {
            return Elements::Any;
        };
        let elements = elements_for(first);
        if values.all(|value| elements_for(value) == elements) {
            elements
        } else {
            Elements::Any
        }
    }

    /// The elements of a vector of `length` times `value`; one of length 0 has had no element yet.
    pub(crate) fn filled_elements(length: u32, value: Value) -> Elements {
        if length == 0 {
            Elements::Any
        } else {
            elements_for(value)
        }
    }

    /// A new vector of `length` elements, all zero bits, to be filled by the caller.
    pub(crate) fn new_vector(&mut self, elements: Elements, length: u32, capacity: u32) -> Value {
        let buffer = self.new_buffer(buffer_words(elements, length));
        let logical = Self::vector_logical(elements, u64::from(capacity));
        let index = self.allocate(VECTOR_WORDS, logical);
        self.init(
            index,
            header(ObjectKind::Vector, elements as u16, VECTOR_WORDS),
        );
        self.init(index + 1, join(length, capacity));
        self.init(index + 2, buffer);
        Value::object(Kind::Vector, index as u64 * 8)
    }

    /// A new vector of these values, which have these elements in common. A short one is made in one go, as programs
    /// make many: records.
    pub(crate) fn vector_of(&mut self, elements: Elements, values: &[Value]) -> Value {
        let length = values.len() as u32;
        let count = buffer_words(elements, length);
        let size = BUFFER_HEAD + count + VECTOR_WORDS;
        if count == 0 || count >= OUTSIDE_WORDS_MIN || self.top + size > self.end {
            let vector = self.new_vector(elements, length, length);
            let words = self.buffer_mut(self.vector_buffer(vector.bits), 0, count);
            write_elements(elements, values, words);
            return vector;
        }
        self.count(Self::vector_logical(elements, u64::from(length)));
        self.statistics.allocations += 2;
        let first = self.top;
        self.top += size;
        let (buffer, vector) = self.words[first..first + size].split_at_mut(BUFFER_HEAD + count);
        buffer[0] = header(ObjectKind::Buffer, 0, BUFFER_HEAD + count);
        buffer[1] = 0;
        write_elements(elements, values, &mut buffer[BUFFER_HEAD..]);
        vector[0] = header(ObjectKind::Vector, elements as u16, VECTOR_WORDS);
        vector[1] = join(length, length);
        vector[2] = first as u64 * 8;
        Value::object(Kind::Vector, (first + BUFFER_HEAD + count) as u64 * 8)
    }

    /// A new vector of `length` times `value`.
    pub(crate) fn new_filled_vector(&mut self, length: u32, value: Value) -> Value {
        let elements = Self::filled_elements(length, value);
        let vector = self.new_vector(elements, length, length);
        if value.bits != 0 || elements == Elements::Any {
            self.fill_vector(vector.bits, value);
        }
        vector
    }

    /// The kind of a vector's elements.
    #[inline(always)]
    pub(crate) fn vector_elements(&self, offset: u64) -> Elements {
        let number = u64::from(extra(self.word(index_of(offset))));
        Elements::from_number(number).unwrap_or(Elements::Any)
    }

    /// The number of elements.
    #[inline(always)]
    pub(crate) fn vector_length(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).0
    }

    /// The logical capacity.
    pub(crate) fn vector_capacity(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).1
    }

    #[inline(always)]
    fn vector_buffer(&self, offset: u64) -> u64 {
        self.word(index_of(offset) + 2)
    }

    /// An element that exists.
    #[inline(always)]
    pub(crate) fn vector_get(&self, offset: u64, place: u32) -> Value {
        let words = self.buffer(self.vector_buffer(offset));
        let place = place as usize;
        match self.vector_elements(offset) {
            Elements::Any => Value {
                tag: words[2 * place],
                bits: words[2 * place + 1],
            },
            Elements::Int => Value {
                tag: Kind::Int as u64,
                bits: words[place],
            },
            Elements::Float => Value {
                tag: Kind::Float as u64,
                bits: words[place],
            },
        }
    }

    #[inline(always)]
    fn vector_write(&mut self, offset: u64, place: u32, value: Value) {
        let buffer = self.vector_buffer(offset);
        let place = place as usize;
        match self.vector_elements(offset) {
            Elements::Any => {
                *self.buffer_word_mut(buffer, 2 * place) = value.tag;
                *self.buffer_word_mut(buffer, 2 * place + 1) = value.bits;
            }
            Elements::Int | Elements::Float => *self.buffer_word_mut(buffer, place) = value.bits,
        }
    }

    /// What replacing elements of a vector by `value` takes.
    pub(crate) fn plan_store(&self, offset: u64, value: Value) -> StorePlan {
        let elements = self.vector_elements(offset);
        let (length, capacity) = halves(self.word(index_of(offset) + 1));
        if elements == Elements::Any || elements == elements_for(value) {
            return StorePlan {
                elements,
                capacity,
                bytes: 0,
                copied: 0,
            };
        }
        let bytes = cost::vector_buffer_bytes(u64::from(capacity), Elements::Any.bytes());
        StorePlan {
            elements: Elements::Any,
            capacity,
            bytes,
            copied: u64::from(length),
        }
    }

    /// What appending `value` takes; `None` when the vector is as long as one can be.
    pub(crate) fn plan_push(&self, offset: u64, value: Value) -> Option<StorePlan> {
        let (length, capacity) = halves(self.word(index_of(offset) + 1));
        let mut plan = self.plan_store(offset, value);
        if capacity == 0 {
            plan.elements = elements_for(value);
        }
        if length == capacity {
            let grown = cost::grown_capacity(u64::from(capacity)).min(cost::LENGTH_MAX);
            if grown == u64::from(capacity) {
                return None;
            }
            plan.capacity = grown as u32;
            plan.bytes = cost::vector_buffer_bytes(grown, plan.elements.bytes());
            plan.copied = u64::from(length);
        }
        Some(plan)
    }

    /// Gives a vector the buffer that the plan asks for.
    pub(crate) fn apply_plan(&mut self, offset: u64, plan: StorePlan) {
        if plan.bytes == 0 {
            return;
        }
        self.count(plan.bytes);
        let length = self.vector_length(offset);
        self.rebuild_buffer(
            offset,
            plan.elements,
            length,
            room_for(length, plan.capacity),
        );
        self.store(index_of(offset) + 1, join(length, plan.capacity));
    }

    /// Makes room for more elements, towards `room` and for one more at least; the first `length` stay.
    fn rebuild_buffer(&mut self, offset: u64, elements: Elements, length: u32, room: u32) {
        let old = self.vector_buffer(offset);
        let from = self.vector_elements(offset);
        let buffer = if from == Elements::Any || from == elements {
            let used = buffer_words(elements, length);
            self.grow_buffer(old, used, buffer_words(elements, room))
        } else {
            let buffer = self.new_buffer(buffer_words(elements, room));
            for place in 0..length {
                let value = self.vector_get(offset, place);
                self.buffer_mut(buffer, 2 * place as usize, 2)
                    .copy_from_slice(&[value.tag, value.bits]);
            }
            self.free_buffer(old);
            buffer
        };
        let index = index_of(offset);
        self.store(
            index,
            header(ObjectKind::Vector, elements as u16, VECTOR_WORDS),
        );
        self.store(index + 2, buffer);
    }

    /// Replaces an element that exists, under a plan that was applied.
    pub(crate) fn vector_set(&mut self, offset: u64, place: u32, value: Value) {
        self.vector_write(offset, place, value);
    }

    /// Appends an element, under a plan that was applied.
    pub(crate) fn vector_push(&mut self, offset: u64, value: Value) {
        let (length, capacity) = halves(self.word(index_of(offset) + 1));
        let elements = self.vector_elements(offset);
        // A buffer may have less room than the capacity says.
        if self.buffer(self.vector_buffer(offset)).len() < buffer_words(elements, length + 1) {
            self.rebuild_buffer(offset, elements, length, room_for(length, capacity));
        }
        self.store(index_of(offset) + 1, join(length + 1, capacity));
        self.vector_write(offset, length, value);
    }

    /// Appends an element; false, and nothing happens, when the vector would have to grow or widen.
    #[inline(always)]
    pub(crate) fn vector_push_in_place(&mut self, offset: u64, value: Value) -> bool {
        let (length, capacity) = halves(self.word(index_of(offset) + 1));
        let elements = self.vector_elements(offset);
        let fits =
            length < capacity && (elements == Elements::Any || elements == elements_for(value));
        if fits {
            self.vector_push(offset, value);
        }
        fits
    }

    /// Removes the last element, if there is one.
    pub(crate) fn vector_pop(&mut self, offset: u64) -> Option<Value> {
        let (length, capacity) = halves(self.word(index_of(offset) + 1));
        let last = length.checked_sub(1)?;
        let value = self.vector_get(offset, last);
        self.store(index_of(offset) + 1, join(last, capacity));
        Some(value)
    }

    /// Sets every element, under a plan that was applied.
    pub(crate) fn fill_vector(&mut self, offset: u64, value: Value) {
        let elements = self.vector_elements(offset);
        let count = buffer_words(elements, self.vector_length(offset));
        let buffer = self.vector_buffer(offset);
        let words = self.buffer_mut(buffer, 0, count);
        match elements {
            Elements::Any => {
                for pair in words.chunks_exact_mut(2) {
                    pair.copy_from_slice(&[value.tag, value.bits]);
                }
            }
            Elements::Int | Elements::Float => words.fill(value.bits),
        }
    }

    /// Gives a flat vector its elements, as images have them: eight bytes each.
    pub(crate) fn fill_flat(&mut self, offset: u64, written: &[u8]) {
        let (elements, _) = written.as_chunks();
        let buffer = self.vector_buffer(offset);
        let words = self.buffer_mut(buffer, 0, elements.len());
        for (word, element) in words.iter_mut().zip(elements) {
            *word = u64::from_le_bytes(*element);
        }
    }

    /// The words of a flat vector's elements.
    pub(crate) fn flat_words(&self, offset: u64) -> &[u64] {
        &self.buffer(self.vector_buffer(offset))[..self.vector_length(offset) as usize]
    }
}
