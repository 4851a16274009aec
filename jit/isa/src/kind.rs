//! The kinds of value a register can hold.

/// The kind of a value. The number is the tag in registers, images and messages: it never changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The absence of a value; also the empty list.
    Nil = 0,
    /// `true` or `false`.
    Bool = 1,
    /// A 64-bit signed integer, full range.
    Int = 2,
    /// A 64-bit IEEE float.
    Float = 3,
    /// A name; two symbols are the same when their text is.
    Symbol = 4,
    /// Immutable UTF-8 text.
    String = 5,
    /// A mutable sequence of bytes of fixed length.
    Bytes = 6,
    /// An immutable pair.
    Pair = 7,
    /// A mutable, growable sequence; flat when all elements are Int or all Float.
    Vector = 8,
    /// A mutable map that keeps insertion order.
    Map = 9,
    /// A function with captured values.
    Closure = 10,
    /// The address of an actor.
    ActorId = 11,
    /// The name of a power, with its parameter; holding it is recorded elsewhere.
    Capability = 12,
    /// An error as data: kind, message, values.
    Error = 13,
    /// A mutable variable shared by closures; programs cannot hold one as data.
    Cell = 14,
}

impl Kind {
    /// All kinds, in tag order.
    pub const ALL: [Kind; 15] = [
        Kind::Nil,
        Kind::Bool,
        Kind::Int,
        Kind::Float,
        Kind::Symbol,
        Kind::String,
        Kind::Bytes,
        Kind::Pair,
        Kind::Vector,
        Kind::Map,
        Kind::Closure,
        Kind::ActorId,
        Kind::Capability,
        Kind::Error,
        Kind::Cell,
    ];

    /// The kind with this tag, if there is one.
    pub const fn from_tag(tag: u8) -> Option<Kind> {
        if (tag as usize) < Kind::ALL.len() {
            Some(Kind::ALL[tag as usize])
        } else {
            None
        }
    }

    /// The name used in assembly text and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Nil => "nil",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Symbol => "symbol",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Pair => "pair",
            Kind::Vector => "vector",
            Kind::Map => "map",
            Kind::Closure => "function",
            Kind::ActorId => "actor",
            Kind::Capability => "capability",
            Kind::Error => "error",
            Kind::Cell => "cell",
        }
    }

    /// What a value of this kind is.
    pub const fn doc(self) -> &'static str {
        match self {
            Kind::Nil => "the absence of a value; also the empty list",
            Kind::Bool => "`true` or `false`",
            Kind::Int => "a 64-bit signed integer, full range",
            Kind::Float => "a 64-bit IEEE float",
            Kind::Symbol => "a name; two symbols are the same when their text is",
            Kind::String => "immutable UTF-8 text",
            Kind::Bytes => "a mutable sequence of bytes of fixed length",
            Kind::Pair => "an immutable pair",
            Kind::Vector => {
                "a mutable, growable sequence; flat when all elements are Int or all Float"
            }
            Kind::Map => "a mutable map that keeps insertion order",
            Kind::Closure => "a function with captured values",
            Kind::ActorId => "the address of an actor",
            Kind::Capability => "the name of a power, with its parameter",
            Kind::Error => "an error as data: kind, message, values",
            Kind::Cell => "a mutable variable shared by closures; programs cannot hold one as data",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether values of this kind live in the heap (their payload is a heap pointer).
    pub const fn is_heap(self) -> bool {
        !matches!(
            self,
            Kind::Nil | Kind::Bool | Kind::Int | Kind::Float | Kind::ActorId
        )
    }
}

/// A set of kinds, one bit a tag; the operand of `is`, and the type column of the opcode table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct KindSet(pub u32);

impl KindSet {
    /// Every kind.
    pub const ANY: KindSet = KindSet((1 << Kind::ALL.len()) - 1);
    /// Int and Float.
    pub const NUMBER: KindSet = KindSet::of(&[Kind::Int, Kind::Float]);

    /// The set of these kinds.
    pub const fn of(kinds: &[Kind]) -> KindSet {
        let mut bits = 0;
        let mut index = 0;
        while index < kinds.len() {
            bits |= 1 << kinds[index] as u32;
            index += 1;
        }
        KindSet(bits)
    }

    /// The set without these kinds.
    pub const fn without(self, kinds: &[Kind]) -> KindSet {
        KindSet(self.0 & !KindSet::of(kinds).0)
    }

    /// Whether `kind` is in the set.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// The kinds of the set, in tag order.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}
