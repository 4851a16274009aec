//! Parcels: values on their way between a fiber and somebody else, owned and self-contained.

mod small;

pub use small::Small;

use std::sync::Arc;

use pw_isa::wire::{Decoded, Reader, Writer};
use pw_isa::{Kind, ProgramSignature};

use super::arena::Arena;
use super::graph::{Decoder, Encoder, ProgramTable, Programs, Reading, SharedText, write_whole};
use super::upgrade::Upgrade;
use crate::code_space::CodeSpace;
use crate::heap::Heap;
use crate::value::Value;

/// An owned deep copy of a value, sharing kept; large texts are shared with whoever has them. Valid within one [`CodeSpace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    /// A value without objects of its own.
    Plain(Value),
    /// One that consists of a few small objects.
    Small(Arc<Small>),
    /// Any other value with objects.
    Graph(Arc<Graph>),
}

/// The canonical form of a graph. It names programs by their positions in a table, so that its size does
/// not depend on what else a process has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    programs: Programs,
    /// Objects, then the value, without the large texts.
    bytes: Vec<u8>,
    /// The large texts, in the order of their places in the bytes.
    texts: Vec<SharedText>,
    /// The logical bytes that unpacking allocates.
    logical_bytes: u64,
}

impl Parcel {
    /// Bytes to charge for copying a plain value.
    pub(crate) const PLAIN_BYTES: u64 = 16;

    /// Packs a value.
    pub fn pack(heap: Heap<'_>, value: Value) -> Parcel {
        match Self::pack_within(heap, value, u64::MAX) {
            Some(parcel) => parcel,
            None => unreachable!("there is no bound"),
        }
    }

    /// Packs a value; `None`, without having copied much more, when that takes more than `bytes_max`
    /// bytes.
    pub fn pack_within(heap: Heap<'_>, value: Value, bytes_max: u64) -> Option<Parcel> {
        if !value.is_in_arena() {
            return Some(Parcel::Plain(value));
        }
        if let Some(small) = Small::of(heap, value) {
            return (small.size_bytes() <= bytes_max).then(|| Parcel::Small(Arc::new(small)));
        }
        let mut encoder = Encoder::new(heap, ProgramTable::default());
        Self::finish(&mut encoder, bytes_max, |encoder, out| {
            encoder.value(out, value);
        })
    }

    /// Packs a list of values as if it were one, so that what they share stays shared; bounded like
    /// [`Parcel::pack_within`]. With it, which functions (program, function) it holds, some more than once.
    pub fn pack_list(
        heap: Heap<'_>,
        values: &[Value],
        bytes_max: u64,
    ) -> Option<(Parcel, Vec<(u32, u32)>)> {
        if values.is_empty() {
            return Some((Parcel::Plain(Value::NIL), Vec::new()));
        }
        if let Some((small, closures)) = Small::of_list(heap, values) {
            let fits = small.size_bytes() <= bytes_max;
            return fits.then(|| (Parcel::Small(Arc::new(small)), closures));
        }
        let mut encoder = Encoder::new(heap, ProgramTable::default());
        let parcel = Self::finish(&mut encoder, bytes_max, |encoder, out| {
            encoder.list(out, values);
        })?;
        Some((parcel, encoder.closures))
    }

    fn finish<'a>(
        encoder: &mut Encoder<'a>,
        bytes_max: u64,
        root: impl FnOnce(&mut Encoder<'a>, &mut Writer),
    ) -> Option<Parcel> {
        encoder.limit(bytes_max);
        encoder.share_texts();
        let mut value = Writer::default();
        root(encoder, &mut value);
        let mut out = Writer::default();
        if !encoder.objects(&mut out) {
            return None;
        }
        out.bytes.extend_from_slice(&value.bytes);
        Some(Parcel::Graph(Arc::new(Graph {
            programs: std::mem::take(&mut encoder.programs.programs),
            bytes: out.bytes,
            texts: encoder.take_texts(),
            logical_bytes: encoder.logical_bytes,
        })))
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

    /// Writes the value in its canonical form: the same for equal values in every process.
    pub fn write(&self, code: &CodeSpace, out: &mut Writer) {
        let packed;
        let graph = match self {
            Parcel::Graph(graph) => graph,
            Parcel::Small(small) => {
                packed = Arc::new(small.graph(code));
                &packed
            }
            Parcel::Plain(value) => {
                let arena = Arena::new();
                let heap = Heap {
                    arena: &arena,
                    code,
                };
                let mut encoder = Encoder::new(heap, ProgramTable::default());
                let mut bytes = Writer::default();
                bytes.varint(0);
                encoder.value(&mut bytes, *value);
                packed = Arc::new(Graph {
                    programs: encoder.programs.programs,
                    bytes: bytes.bytes,
                    texts: Vec::new(),
                    logical_bytes: 0,
                });
                &packed
            }
        };
        out.varint(graph.programs.len() as u64);
        for program in &graph.programs {
            out.bytes
                .extend_from_slice(&code.program(*program).signature().0);
        }
        out.varint(graph.size_bytes());
        write_whole(&graph.bytes, &graph.texts, out);
    }

    /// Reads what [`Parcel::write`] wrote. The programs that it refers to must be loaded.
    ///
    /// # Errors
    /// What is wrong, and where: bytes that nothing wrote are refused, or give a value that no program would have made, but
    /// never one that breaks what tiers rely on.
    pub fn read(code: &CodeSpace, input: &mut Reader<'_>) -> Decoded<Parcel> {
        let programs = read_programs(code, input)?;
        let start = input.offset();
        let bytes = input.blob()?;
        let mut graph = Graph {
            programs: programs.programs,
            bytes: bytes.to_vec(),
            texts: Vec::new(),
            logical_bytes: 0,
        };
        let mut arena = Arena::new();
        let value = graph.read(code, &mut arena, None).map_err(|mut error| {
            error.offset += start;
            error
        })?;
        if !value.is_in_arena() {
            return Ok(Parcel::Plain(value));
        }
        let heap = Heap {
            arena: &arena,
            code,
        };
        // A large text is kept apart whoever has made the parcel.
        if arena.has_buffers_outside() {
            return Ok(Parcel::pack(heap, value));
        }
        if let Some(small) = Small::of(heap, value) {
            return Ok(Parcel::Small(Arc::new(small)));
        }
        graph.logical_bytes = arena.counters().allocated;
        Ok(Parcel::Graph(Arc::new(graph)))
    }

    /// Bytes to charge for copying it.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Parcel::Plain(_) => Parcel::PLAIN_BYTES,
            Parcel::Small(small) => small.size_bytes(),
            Parcel::Graph(graph) => graph.size_bytes(),
        }
    }

    /// Bytes of everything that the value can refer to, or more: its own objects, or all constants of
    /// the program when it is one of them. For who must bound what is made of it.
    pub fn reach_bytes(&self, code: &CodeSpace) -> u64 {
        let constants = match self {
            Parcel::Plain(value) => value.constant_place().map_or(0, |(program, _)| {
                let counters = code.program(program).constants.counters();
                counters.live + counters.allocated
            }),
            Parcel::Small(_) | Parcel::Graph(_) => (0..code.len())
                .map(|program| code.program(program).constants.counters().allocated)
                .sum(),
        };
        self.size_bytes() + constants
    }

    /// The logical bytes that unpacking allocates.
    pub fn logical_bytes(&self) -> u64 {
        match self {
            Parcel::Plain(_) => 0,
            Parcel::Small(small) => small.logical_bytes(),
            Parcel::Graph(graph) => graph.logical_bytes,
        }
    }

    /// Copies the value into an arena.
    ///
    /// # Panics
    /// When the parcel was packed in another code space: the embedder's mistake.
    pub fn unpack(&self, code: &CodeSpace, arena: &mut Arena) -> Value {
        match self {
            Parcel::Plain(value) => *value,
            Parcel::Small(small) => small.unpack(arena),
            Parcel::Graph(graph) => match graph.unpack(code, arena) {
                Ok(value) => value,
                Err(error) => panic!("a parcel of another code space: {error}"),
            },
        }
    }
}

/// Reads a table of programs by their signatures; each must be loaded, and be in it once.
pub(super) fn read_programs(code: &CodeSpace, input: &mut Reader<'_>) -> Decoded<ProgramTable> {
    let count = input.count(32)?;
    let mut programs = Programs::with_capacity(count);
    for _ in 0..count {
        let signature = ProgramSignature(input.hash()?);
        let Some(program) = code.find(signature) else {
            return Err(input.error(format!("program {signature} is not loaded")));
        };
        if programs.contains(&program) {
            return Err(input.error("a program that is in the table twice"));
        }
        programs.push(program);
    }
    Ok(ProgramTable { programs })
}

impl Graph {
    /// Bytes of the canonical form.
    fn size_bytes(&self) -> u64 {
        let texts = self.texts.iter().map(SharedText::written_bytes);
        self.bytes.len() as u64 + texts.sum::<u64>()
    }

    /// Whether something of a program is in it.
    pub(super) fn mentions(&self, program: u32) -> bool {
        self.programs.contains(&program)
    }

    /// Copies the value into an arena.
    fn unpack(&self, code: &CodeSpace, arena: &mut Arena) -> Decoded<Value> {
        let before = arena.counters().allocated;
        let value = self.read(code, arena, None)?;
        debug_assert_eq!(arena.counters().allocated - before, self.logical_bytes);
        Ok(value)
    }

    /// The same, with functions of an old program as those of a new one.
    pub(super) fn read(
        &self,
        code: &CodeSpace,
        arena: &mut Arena,
        upgrade: Option<&Upgrade>,
    ) -> Decoded<Value> {
        let programs = ProgramTable {
            programs: self.programs.clone(),
        };
        let mut input = Reader::new(&self.bytes);
        let reading = Reading {
            code,
            programs: &programs,
            upgrade,
            texts: &self.texts,
        };
        let decoder = Decoder::new(arena, reading, &self.bytes, &mut input)?;
        let value = decoder.value(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}
