//! Values as an embedder sees them: owned, without arenas.

use pw_isa::{ErrorKind, Kind};
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Value};

use crate::actor::ActorId;
use crate::portable::portable;

/// The most parts that a value has as a [`Datum`]: shared parts count each time.
const PARTS_MAX: usize = 1 << 20;

/// A value that enters a world or leaves it.
///
/// What a program can hold and a datum cannot say in full (functions, cells, cycles) is [`Datum::Opaque`]: it can be handed back to a
/// program of the same world.
#[derive(Clone, PartialEq, Debug)]
pub enum Datum {
    /// nil, also the empty list.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A symbol.
    Symbol(String),
    /// A string.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The address of an actor.
    Actor(ActorId),
    /// A list of at least one element.
    List(Vec<Datum>),
    /// A pair that is not part of a list.
    Pair(Box<(Datum, Datum)>),
    /// A vector.
    Vector(Vec<Datum>),
    /// A map in insertion order.
    Map(Vec<(Datum, Datum)>),
    /// An error.
    Error {
        /// Its kind.
        kind: ErrorKind,
        /// Its message.
        message: String,
    },
    /// A value that only programs can look into.
    Opaque(Parcel),
}

impl Datum {
    /// The first byte of an integer that is written.
    pub(crate) const INT: u8 = 2;

    /// About how many bytes it takes when it is written.
    pub(crate) fn size_bytes(&self) -> usize {
        let pair = |(a, b): &(Datum, Datum)| a.size_bytes() + b.size_bytes();
        8 + match self {
            Datum::Symbol(text) | Datum::String(text) => text.len(),
            Datum::Bytes(bytes) => bytes.len(),
            Datum::List(all) | Datum::Vector(all) => all.iter().map(Datum::size_bytes).sum(),
            Datum::Pair(both) => pair(both),
            Datum::Map(all) => all.iter().map(pair).sum(),
            Datum::Error { message, .. } => message.len(),
            _ => 0,
        }
    }
}

impl From<i64> for Datum {
    fn from(value: i64) -> Datum {
        Datum::Int(value)
    }
}

impl From<f64> for Datum {
    fn from(value: f64) -> Datum {
        Datum::Float(value)
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Datum {
        Datum::Bool(value)
    }
}

impl From<&str> for Datum {
    fn from(value: &str) -> Datum {
        Datum::String(value.to_owned())
    }
}

impl From<String> for Datum {
    fn from(value: String) -> Datum {
        Datum::String(value)
    }
}

impl From<ActorId> for Datum {
    fn from(value: ActorId) -> Datum {
        Datum::Actor(value)
    }
}

impl From<Vec<Datum>> for Datum {
    fn from(parts: Vec<Datum>) -> Datum {
        if parts.is_empty() {
            Datum::Nil
        } else {
            Datum::List(parts)
        }
    }
}

impl Datum {
    /// A symbol.
    pub fn symbol(text: &str) -> Datum {
        Datum::Symbol(text.to_owned())
    }

    /// The value as Jue writes it.
    pub fn text(&self) -> String {
        let code = CodeSpace::default();
        let mut arena = Arena::new();
        let value = self.without_opaque().build(&code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code: &code,
        };
        value_text(heap, value, Style::Quoted)
    }

    /// The value with a symbol in place of each part that only programs can look into.
    fn without_opaque(&self) -> Datum {
        let all = |parts: &[Datum]| parts.iter().map(Datum::without_opaque).collect();
        match self {
            Datum::Opaque(_) => Datum::symbol("#<opaque>"),
            Datum::List(parts) => Datum::List(all(parts)),
            Datum::Vector(parts) => Datum::Vector(all(parts)),
            Datum::Pair(pair) => {
                Datum::Pair(Box::new((pair.0.without_opaque(), pair.1.without_opaque())))
            }
            Datum::Map(entries) => {
                let entries = entries.iter();
                let entries = entries.map(|(key, value)| (key.clone(), value.without_opaque()));
                Datum::Map(entries.collect())
            }
            other => other.clone(),
        }
    }

    /// Makes the value in an arena.
    pub(crate) fn build(&self, code: &CodeSpace, arena: &mut Arena) -> Value {
        match self {
            Datum::Nil => Value::NIL,
            Datum::Bool(value) => Value::bool(*value),
            Datum::Int(value) => Value::int(*value),
            Datum::Float(value) => Value::float(*value),
            Datum::Symbol(text) => arena.new_text(Kind::Symbol, text),
            Datum::String(text) => arena.new_text(Kind::String, text),
            Datum::Bytes(bytes) => arena.new_bytes_of(bytes),
            Datum::Actor(actor) => Value::actor(actor.0),
            Datum::List(parts) => {
                let parts: Vec<Value> = parts.iter().map(|part| part.build(code, arena)).collect();
                let parts = parts.into_iter().rev();
                parts.fold(Value::NIL, |rest, part| arena.new_pair(part, rest))
            }
            Datum::Pair(pair) => {
                let car = pair.0.build(code, arena);
                let cdr = pair.1.build(code, arena);
                arena.new_pair(car, cdr)
            }
            Datum::Vector(parts) => {
                let parts: Vec<Value> = parts.iter().map(|part| part.build(code, arena)).collect();
                arena.new_vector_of(&parts)
            }
            Datum::Map(entries) => {
                let entries: Vec<(Value, Value)> = entries
                    .iter()
                    .map(|(key, value)| (key.build(code, arena), value.build(code, arena)))
                    .collect();
                arena.new_map_of(code, &entries)
            }
            Datum::Error { kind, message } => arena.new_error_of(*kind, message),
            Datum::Opaque(parcel) => parcel.unpack(code, arena),
        }
    }

    /// The value as a parcel.
    pub(crate) fn pack(&self, code: &CodeSpace) -> Parcel {
        let mut arena = Arena::new();
        let value = self.build(code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code,
        };
        Parcel::pack(heap, value)
    }

    /// What a parcel holds.
    pub(crate) fn unpack(code: &CodeSpace, parcel: &Parcel) -> Datum {
        let mut arena = Arena::new();
        let value = parcel.unpack(code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code,
        };
        let mut parts = PARTS_MAX;
        read(heap, value, &mut parts, 0).unwrap_or_else(|| Datum::Opaque(parcel.clone()))
    }
}

/// Levels of nesting beyond which a value is opaque; the length of lists does not count.
const NESTING_MAX: u32 = 200;

/// Reads a value; `None` when it has too many parts or levels, or a part that a datum cannot say.
fn read(heap: Heap<'_>, value: Value, parts: &mut usize, level: u32) -> Option<Datum> {
    *parts = parts.checked_sub(1)?;
    if level > NESTING_MAX {
        return None;
    }
    let mut part = |value| read(heap, value, parts, level + 1);
    Some(match value.kind() {
        Kind::Nil => Datum::Nil,
        Kind::Bool => Datum::Bool(value.as_bool()?),
        Kind::Int => Datum::Int(value.as_int()?),
        Kind::Float => Datum::Float(value.as_float()?),
        Kind::ActorId => Datum::Actor(ActorId(value.as_actor()?)),
        Kind::Symbol => Datum::Symbol(heap.symbol(value)?.to_owned()),
        Kind::String => Datum::String(heap.string(value)?.to_owned()),
        Kind::Bytes => Datum::Bytes(heap.bytes(value)?.to_vec()),
        Kind::Pair => {
            let mut elements = Vec::new();
            for element in heap.list(value) {
                match element {
                    Some(element) => elements.push(part(element)?),
                    None => {
                        let (car, cdr) = heap.pair(value)?;
                        return Some(Datum::Pair(Box::new((part(car)?, part(cdr)?))));
                    }
                }
            }
            Datum::List(elements)
        }
        Kind::Vector => Datum::Vector(heap.vector(value)?.map(part).collect::<Option<_>>()?),
        Kind::Map => Datum::Map(
            heap.map(value)?
                .map(|(key, value)| Some((part(key)?, part(value)?)))
                .collect::<Option<_>>()?,
        ),
        Kind::Error => {
            let (kind, message, _) = heap.error(value)?;
            Datum::Error {
                kind,
                message: heap.string(message)?.to_owned(),
            }
        }
        Kind::Closure | Kind::Cell | Kind::Capability => return None,
    })
}

portable!(enum Datum {
    0 => Nil,
    1 => Bool(value),
    2 => Int(value),
    3 => Float(value),
    4 => Symbol(text),
    5 => String(text),
    6 => Bytes(bytes),
    7 => Actor(actor),
    8 => List(parts),
    9 => Pair(parts),
    10 => Vector(parts),
    11 => Map(entries),
    12 => Error { kind, message },
    13 => Opaque(parcel),
});
