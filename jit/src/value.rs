//! Values as they stand in registers and objects: a tag and 64 bits.
//!
//! The low byte of the tag is the [`Kind`]. A heap value's bits are a byte offset into the actor's own
//! arena, never an address; with [`CONSTANT`] set in the tag they are the number of a loaded program
//! (high half) and an offset into its constants (low half), which are immutable and never copied.

use pw_isa::Kind;

/// Set in the tag of a heap value that is a program's constant.
pub const CONSTANT: u64 = 1 << 8;

/// A value.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Value {
    /// Kind, and the space of a heap value.
    pub tag: u64,
    /// The number itself, or where the object is.
    pub bits: u64,
}

/// The kinds of objects, one bit a tag.
const HEAP_KINDS: u64 = {
    let (mut kinds, mut at) = (0, 0);
    while at < Kind::ALL.len() {
        kinds |= (Kind::ALL[at].is_heap() as u64) << at;
        at += 1;
    }
    kinds
};

const _: () = assert!(CONSTANT >= u64::BITS as u64);

impl Value {
    /// nil.
    pub const NIL: Value = Value {
        tag: Kind::Nil as u64,
        bits: 0,
    };

    /// A truth value.
    pub const fn bool(value: bool) -> Value {
        Value {
            tag: Kind::Bool as u64,
            bits: value as u64,
        }
    }

    /// An integer.
    pub const fn int(value: i64) -> Value {
        Value {
            tag: Kind::Int as u64,
            bits: value as u64,
        }
    }

    /// A float.
    pub const fn float(value: f64) -> Value {
        Value {
            tag: Kind::Float as u64,
            bits: value.to_bits(),
        }
    }

    /// The address of an actor.
    pub const fn actor(id: u64) -> Value {
        Value {
            tag: Kind::ActorId as u64,
            bits: id,
        }
    }

    /// An object of the arena.
    pub(crate) const fn object(kind: Kind, offset: u64) -> Value {
        Value {
            tag: kind as u64,
            bits: offset,
        }
    }

    /// An object among a program's constants.
    pub(crate) const fn constant(kind: Kind, program: u32, offset: u32) -> Value {
        Value {
            tag: kind as u64 | CONSTANT,
            bits: (program as u64) << 32 | offset as u64,
        }
    }

    /// The kind.
    pub fn kind(self) -> Kind {
        Kind::ALL[(self.tag & 0xff) as usize]
    }

    /// Whether it is of this kind.
    #[inline(always)]
    pub(crate) fn is(self, kind: Kind) -> bool {
        self.tag & 0xff == kind as u64
    }

    /// Whether a condition with this value holds: only false and nil do not.
    pub fn is_true(self) -> bool {
        self != Value::NIL && self != Value::bool(false)
    }

    /// The integer, if it is one.
    pub fn as_int(self) -> Option<i64> {
        self.is(Kind::Int).then_some(self.bits as i64)
    }

    /// The float, if it is one.
    pub fn as_float(self) -> Option<f64> {
        self.is(Kind::Float).then_some(f64::from_bits(self.bits))
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        self.is(Kind::Bool).then_some(self.bits != 0)
    }

    /// The actor's number, if it is an address.
    pub fn as_actor(self) -> Option<u64> {
        self.is(Kind::ActorId).then_some(self.bits)
    }

    /// Whether the value is an object of the actor's own arena.
    #[inline(always)]
    pub(crate) fn is_in_arena(self) -> bool {
        // The tag of a constant is larger.
        self.tag < u64::from(u64::BITS) && HEAP_KINDS >> self.tag & 1 != 0
    }

    /// The program and offset of a constant.
    pub(crate) fn constant_place(self) -> Option<(u32, u32)> {
        (self.tag & CONSTANT != 0).then_some(((self.bits >> 32) as u32, self.bits as u32))
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind() {
            Kind::Nil => write!(f, "nil"),
            Kind::Bool => write!(f, "{}", self.bits != 0),
            Kind::Int => write!(f, "{}", self.bits as i64),
            Kind::Float => write!(f, "{:?}", f64::from_bits(self.bits)),
            kind => write!(f, "{}@{:x}", kind.name(), self.bits),
        }
    }
}

/// The one NaN that programs can observe.
pub const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// The bits of a float as images, hashes and keys show them.
pub fn canonical_bits(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() {
        CANONICAL_NAN
    } else {
        bits
    }
}
