//! How objects lie in the words of an arena.
//!
//! An object starts with a header word: kind in the low byte, then kind-specific bits; the upper half
//! is the object's size in words unless the kind has a fixed one.
//!
//! ```text
//! Pair        header(car tag 16..32, cdr tag 32..48)  car  cdr
//! Cell        header(tag 16..32)  bits
//! Closure     header(captures 16..32)  program<<32|function  (tag bits)*
//! Text        header  length|characters<<32  bytes…            at most 64 bytes of text
//! LongText    header  length|characters<<32  buffer
//! Bytes       header  length  buffer
//! Vector      header(elements 16..32)  length|capacity<<32  buffer
//! Map         header  count|used<<32  capacity  entries  index
//! Error       header(error kind 16..32)  message(tag bits)  values(tag bits)
//! Capability  header  name(tag bits)  parameter(tag bits)
//! Buffer      header  used|capacity<<32  words…
//! ```
//!
//! Lengths and capacities are logical; a buffer may have less room than its owner's capacity says,
//! and gets more when it is needed. A buffer word is 0 (none), the offset of a Buffer in the arena, or
//! [`OUTSIDE`] and the number of a buffer outside it.

use pw_isa::Kind;

/// The kind of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum ObjectKind {
    Pair = 1,
    Cell = 2,
    Closure = 3,
    Text = 4,
    LongText = 5,
    Bytes = 6,
    Vector = 7,
    Map = 8,
    Error = 9,
    Capability = 10,
    Buffer = 11,
    /// During a collection: the object has moved to the offset in the upper bits.
    Forward = 12,
}

impl ObjectKind {
    const ALL: [ObjectKind; 12] = [
        ObjectKind::Pair,
        ObjectKind::Cell,
        ObjectKind::Closure,
        ObjectKind::Text,
        ObjectKind::LongText,
        ObjectKind::Bytes,
        ObjectKind::Vector,
        ObjectKind::Map,
        ObjectKind::Error,
        ObjectKind::Capability,
        ObjectKind::Buffer,
        ObjectKind::Forward,
    ];

    pub(crate) fn of(header: u64) -> ObjectKind {
        ObjectKind::ALL[(header & 0xff) as usize - 1]
    }

    /// Whether this is the header of a text with a buffer.
    #[inline(always)]
    pub(crate) fn is_long_text(header: u64) -> bool {
        header & 0xff == ObjectKind::LongText as u64
    }

    /// The kind with this number, if programs' data can have it.
    pub(crate) fn from_number(number: u8) -> Option<ObjectKind> {
        let index = usize::from(number).checked_sub(1)?;
        ObjectKind::ALL[..11].get(index).copied()
    }
}

/// What the elements of a vector are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Elements {
    /// Any values, two words each.
    Any = 0,
    /// Ints, one word each.
    Int = 1,
    /// Floats, one word each.
    Float = 2,
}

impl Elements {
    #[inline(always)]
    pub(crate) fn from_number(number: u64) -> Option<Elements> {
        match number {
            0 => Some(Elements::Any),
            1 => Some(Elements::Int),
            2 => Some(Elements::Float),
            _ => None,
        }
    }

    /// The words of one element.
    pub(crate) const fn words(self) -> usize {
        match self {
            Elements::Any => 2,
            Elements::Int | Elements::Float => 1,
        }
    }

    /// The logical bytes of one element.
    pub(crate) const fn bytes(self) -> u64 {
        self.words() as u64 * 8
    }
}

/// Whether a value of this kind may name an object of that kind.
pub(crate) fn fits(kind: Kind, object: ObjectKind) -> bool {
    match kind {
        Kind::Symbol | Kind::String => matches!(object, ObjectKind::Text | ObjectKind::LongText),
        Kind::Bytes => object == ObjectKind::Bytes,
        Kind::Pair => object == ObjectKind::Pair,
        Kind::Vector => object == ObjectKind::Vector,
        Kind::Map => object == ObjectKind::Map,
        Kind::Closure => object == ObjectKind::Closure,
        Kind::Capability => object == ObjectKind::Capability,
        Kind::Error => object == ObjectKind::Error,
        Kind::Cell => object == ObjectKind::Cell,
        Kind::Nil | Kind::Bool | Kind::Int | Kind::Float | Kind::ActorId => false,
    }
}

/// Set in a buffer word that names a buffer outside the arena.
pub(crate) const OUTSIDE: u64 = 1 << 63;
/// Buffers of this many words and more live outside the moving space (4 KiB).
pub(crate) const OUTSIDE_WORDS_MIN: usize = 512;
/// The key tag of a deleted map entry.
pub(crate) const DELETED: u64 = 0xff;
/// The words of a map entry: key and value.
pub(crate) const ENTRY_WORDS: usize = 4;

/// A word that belongs to no object: walked over like a buffer without room for what is behind its header.
pub(crate) const FILLER: u64 = header(ObjectKind::Buffer, 0, 1);

/// A header with the object's size.
pub(crate) const fn header(kind: ObjectKind, extra: u16, words: usize) -> u64 {
    kind as u64 | (extra as u64) << 16 | (words as u64) << 32
}

/// The 16 kind-specific bits of a header.
pub(crate) const fn extra(header: u64) -> u16 {
    (header >> 16) as u16
}

/// The header of a pair.
pub(crate) fn pair_header(car_tag: u64, cdr_tag: u64) -> u64 {
    ObjectKind::Pair as u64 | car_tag << 16 | cdr_tag << 32
}

/// The tags of both parts of a pair with this header.
#[inline(always)]
pub(crate) fn pair_tags(header: u64) -> (u64, u64) {
    (header >> 16 & 0xffff, header >> 32 & 0xffff)
}

/// The words of a pair.
pub(crate) const PAIR_WORDS: usize = 3;

/// The words of an object, its header included.
pub(crate) fn size_words(header: u64) -> usize {
    match ObjectKind::of(header) {
        ObjectKind::Pair => PAIR_WORDS,
        ObjectKind::Cell => 2,
        _ => (header >> 32) as usize,
    }
}

/// Two 32-bit numbers in a word.
pub(crate) fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

/// A word of two 32-bit numbers.
pub(crate) fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}
