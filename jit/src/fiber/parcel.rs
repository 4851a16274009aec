//! Parcels: values on their way between a fiber and somebody else, owned and self-contained.

use std::sync::Arc;

use pw_isa::Kind;
use pw_isa::wire::{Decoded, Reader, Writer};

use super::arena::Arena;
use super::graph::{Decoder, Encoder, ProgramTable};
use crate::code_space::CodeSpace;
use crate::heap::Heap;
use crate::value::Value;

/// An owned deep copy of a value, sharing kept. Valid within one [`CodeSpace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// A value without objects of its own.
    Plain(Value),
    /// The canonical form of a graph: objects, then the value.
    Graph(Arc<[u8]>),
}

impl Parcel {
    /// Packs a value.
    pub fn pack(heap: Heap<'_>, value: Value) -> Parcel {
        if !value.is_in_arena() {
            return Parcel::Plain(value);
        }
        let mut encoder = Encoder::new(heap, ProgramTable::of_all(heap.code));
        let mut root = Writer::default();
        encoder.value(&mut root, value);
        let mut out = Writer::default();
        encoder.objects(&mut out);
        out.bytes.extend_from_slice(&root.bytes);
        Parcel::Graph(out.bytes.into())
    }

    /// A string.
    pub fn string(code: &CodeSpace, text: &str) -> Parcel {
        let mut arena = Arena::new();
        let value = arena.new_text(Kind::String, text);
        Parcel::pack(
            Heap {
                arena: &arena,
                code,
            },
            value,
        )
    }

    /// A list of parcels.
    pub fn list(code: &CodeSpace, parts: &[Parcel]) -> Parcel {
        let mut arena = Arena::new();
        let mut list = Value::NIL;
        for part in parts.iter().rev() {
            let value = part.unpack(code, &mut arena);
            list = arena.new_pair(value, list);
        }
        Parcel::pack(
            Heap {
                arena: &arena,
                code,
            },
            list,
        )
    }

    /// Bytes to charge for copying it.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Parcel::Plain(_) => 16,
            Parcel::Graph(bytes) => bytes.len() as u64,
        }
    }

    /// The logical bytes that unpacking allocates.
    pub fn logical_bytes(&self, code: &CodeSpace) -> u64 {
        match self {
            Parcel::Plain(_) => 0,
            Parcel::Graph(_) => {
                let mut arena = Arena::new();
                self.unpack(code, &mut arena);
                arena.counters().allocated
            }
        }
    }

    /// Copies the value into an arena.
    ///
    /// # Panics
    /// When the parcel was packed in another code space: the embedder's mistake.
    pub fn unpack(&self, code: &CodeSpace, arena: &mut Arena) -> Value {
        match self {
            Parcel::Plain(value) => *value,
            Parcel::Graph(bytes) => match read_graph(code, arena, bytes) {
                Ok(value) => value,
                Err(error) => panic!("a parcel of another code space: {error}"),
            },
        }
    }
}

fn read_graph(code: &CodeSpace, arena: &mut Arena, bytes: &[u8]) -> Decoded<Value> {
    let programs = ProgramTable::of_all(code);
    let mut input = Reader::new(bytes);
    let decoder = Decoder::new(arena, code, &programs, bytes, &mut input)?;
    let value = decoder.value(&mut input)?;
    input.finish()?;
    Ok(value)
}
