//! A few small objects on their way: what most messages and most beginnings of actors are that are more than plain values.
//!
//! Pairs, closures, cells and short texts stand here in the words that they have in an arena, except that what refers to another one
//! of them is its number. So they are packed and unpacked by copying words, and what a copy takes is known beforehand. Their
//! canonical form is that of any other graph: it is made when somebody wants to have it.

use pw_isa::wire::{Writer, varint_bytes, zigzag};
use pw_isa::{Kind, cost};
use smallvec::SmallVec;

use super::Graph;
use crate::code_space::CodeSpace;
use crate::fiber::arena::Arena;
use crate::fiber::arena::object::{
    ObjectKind, PAIR_WORDS, extra, halves, pair_header, pair_tags, size_words,
};
use crate::fiber::graph::{Encoder, ProgramTable};
use crate::heap::Heap;
use crate::value::{Value, canonical_bits};

/// Larger graphs go the general way. All numbers of objects and places of programs take one byte in the canonical form.
const OBJECTS_MAX: usize = 16;
/// The most words of all objects together.
const WORDS_MAX: usize = 120;
const _: () = assert!(OBJECTS_MAX <= WORDS_MAX && WORDS_MAX < 0x80);

/// Objects in the order in which a breadth-first walk meets them: the first is the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// The kind of the value.
    kind: Kind,
    /// Bytes of the canonical form.
    size_bytes: u32,
    logical_bytes: u32,
    /// Where each object begins in the words.
    starts: SmallVec<[u8; 8]>,
    words: SmallVec<[u64; 12]>,
}

/// Whether a value refers to an object that a parcel may be made of, of the arena or, with its number, of the parcel.
fn refers(value: Value) -> bool {
    const KINDS: u64 = 1 << Kind::Pair as u64
        | 1 << Kind::Closure as u64
        | 1 << Kind::Cell as u64
        | 1 << Kind::String as u64
        | 1 << Kind::Symbol as u64;
    value.tag < 64 && KINDS >> value.tag & 1 != 0
}

/// Makes one.
struct Packer<'a> {
    heap: Heap<'a>,
    /// Values of a list that stands in no arena.
    list: &'a [Value],
    /// Where the objects are that have a number. That of a pair of the list is told by its first element.
    places: SmallVec<[u64; OBJECTS_MAX]>,
    size_bytes: usize,
    logical_bytes: u64,
    starts: SmallVec<[u8; OBJECTS_MAX]>,
    words: SmallVec<[u64; WORDS_MAX]>,
    /// Programs and functions of all closures that were met.
    closures: Vec<(u32, u32)>,
}

/// No object lies at the end of the address space.
fn place_in_list(first: usize) -> u64 {
    u64::MAX - first as u64
}

impl<'a> Packer<'a> {
    fn new(heap: Heap<'a>, list: &'a [Value], root: u64) -> Packer<'a> {
        let mut places = SmallVec::new();
        places.push(root);
        Packer {
            heap,
            list,
            places,
            // How many objects there are, and the first one as the value.
            size_bytes: 1 + 2,
            logical_bytes: 0,
            starts: SmallVec::new(),
            words: SmallVec::new(),
            closures: Vec::new(),
        }
    }

    /// All objects; nothing if there are too many, or others than small ones.
    fn pack(&mut self, kind: Kind) -> Option<Small> {
        while let Some(place) = self.places.get(self.starts.len()).copied() {
            self.starts.push(self.words.len() as u8);
            self.size_bytes += 1;
            let first = (u64::MAX - place) as usize;
            if first < self.list.len() {
                self.link(first)?;
            } else {
                self.object(place)?;
            }
            if self.words.len() > WORDS_MAX {
                return None;
            }
        }
        Some(Small {
            kind,
            size_bytes: self.size_bytes as u32,
            logical_bytes: self.logical_bytes as u32,
            starts: SmallVec::from_slice(&self.starts),
            words: SmallVec::from_slice(&self.words),
        })
    }

    /// A pair of the list.
    fn link(&mut self, first: usize) -> Option<()> {
        let (car, next) = (self.list[first], first + 1);
        let cdr = match next < self.list.len() {
            true => Value::object(Kind::Pair, place_in_list(next)),
            false => Value::NIL,
        };
        self.pair(car, cdr)
    }

    fn pair(&mut self, car: Value, cdr: Value) -> Option<()> {
        self.logical_bytes += cost::PAIR_BYTES;
        let bits = [self.part(car)?, self.part(cdr)?];
        self.words.push(pair_header(car.tag, cdr.tag));
        self.words.extend(bits);
        Some(())
    }

    fn object(&mut self, offset: u64) -> Option<()> {
        let arena = self.heap.arena;
        let kind = arena.object_kind(offset);
        if kind == ObjectKind::Pair {
            let (car, cdr) = arena.pair(offset);
            return self.pair(car, cdr);
        }
        self.logical_bytes += arena.logical_bytes_at(offset as usize / 8);
        let words = arena.words_of(offset);
        if words.len() > WORDS_MAX {
            return None;
        }
        let start = self.words.len();
        self.words.extend_from_slice(words);
        match kind {
            ObjectKind::Cell => self.words[start + 1] = self.part(arena.cell(offset))?,
            ObjectKind::Closure => {
                let (closure, count) =
                    (arena.closure_function(offset), arena.capture_count(offset));
                self.closures.push(closure);
                let (_, function) = closure;
                let head = [u64::from(function), u64::from(count)].map(varint_bytes);
                self.size_bytes += 1 + head[0] + head[1];
                for place in 0..usize::from(count) {
                    let [tag, bits] = [0, 1].map(|half| self.words[start + 2 + 2 * place + half]);
                    self.words[start + 3 + 2 * place] = self.part(Value { tag, bits })?;
                }
            }
            ObjectKind::Text => {
                let length = u64::from(arena.text_length(offset));
                self.size_bytes += varint_bytes(length) + length as usize;
            }
            _ => return None,
        }
        Some(())
    }

    /// What stands for a value in an object.
    fn part(&mut self, value: Value) -> Option<u64> {
        if refers(value) {
            self.size_bytes += 2;
            return self.number(value.bits);
        }
        self.size_bytes += plain_bytes(self.heap.code, value)?;
        if value.is(Kind::Closure) {
            self.closures.extend(self.heap.closure(value));
        }
        Some(match value.is(Kind::Float) {
            true => canonical_bits(value.bits),
            false => value.bits,
        })
    }

    /// The number of the object at a place.
    fn number(&mut self, place: u64) -> Option<u64> {
        if let Some(known) = self.places.iter().position(|known| *known == place) {
            return Some(known as u64);
        }
        let number = self.places.len();
        (number < OBJECTS_MAX).then(|| {
            self.places.push(place);
            number as u64
        })
    }
}

/// Bytes of a value without objects of its own in the canonical form; nothing for others.
fn plain_bytes(code: &CodeSpace, value: Value) -> Option<usize> {
    if let Some((program, offset)) = value.constant_place() {
        let number = code.program(program).constant_number(offset);
        return Some(1 + 1 + varint_bytes(number));
    }
    Some(match value.kind() {
        Kind::Nil => 1,
        Kind::Bool => 2,
        Kind::Int => 1 + varint_bytes(zigzag(value.bits as i64)),
        Kind::Float => 9,
        Kind::ActorId => 1 + varint_bytes(value.bits),
        _ => return None,
    })
}

impl Small {
    /// The objects of a value, if they are few and small.
    pub(super) fn of(heap: Heap<'_>, value: Value) -> Option<Small> {
        let mut packer = refers(value).then(|| Packer::new(heap, &[], value.bits))?;
        packer.pack(value.kind())
    }

    /// The same of a list of values, of which there is one at least, as if it were in the arena; with it, which functions (program,
    /// function) it holds, some more than once.
    pub(super) fn of_list(heap: Heap<'_>, values: &[Value]) -> Option<(Small, Vec<(u32, u32)>)> {
        let mut packer = Packer::new(heap, values, place_in_list(0));
        let small = packer.pack(Kind::Pair)?;
        Some((small, packer.closures))
    }

    /// Bytes of the canonical form.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes.into()
    }

    /// The logical bytes that unpacking allocates.
    pub(super) fn logical_bytes(&self) -> u64 {
        self.logical_bytes.into()
    }

    /// Copies the value into an arena.
    pub(super) fn unpack(&self, arena: &mut Arena) -> Value {
        let (words, first) =
            arena.new_objects(&self.words, self.starts.len(), self.logical_bytes());
        let place = |number: u64| first + 8 * u64::from(self.starts[number as usize]);
        for start in &self.starts {
            let object = &mut words[usize::from(*start)..];
            parts_mut(object, |tag, bits| {
                if refers(Value { tag, bits: *bits }) {
                    *bits = place(*bits);
                }
            });
        }
        Value::object(self.kind, first)
    }

    /// The objects, as words.
    fn objects(&self) -> impl Iterator<Item = &[u64]> {
        self.starts.iter().map(|start| {
            let words = &self.words[usize::from(*start)..];
            &words[..size_words(words[0])]
        })
    }

    /// The values in all objects; those that refer to other objects have their numbers.
    fn values(&self) -> impl Iterator<Item = Value> {
        self.objects().flat_map(parts)
    }

    /// Whether something of a program is in it.
    pub(in crate::fiber) fn mentions(&self, program: u32) -> bool {
        let own = self.objects().filter_map(closure_of);
        let constants = self.values().filter_map(Value::constant_place);
        own.chain(constants).any(|(of, _)| of == program)
    }

    /// The canonical form.
    pub(in crate::fiber) fn graph(&self, code: &CodeSpace) -> Graph {
        let arena = Arena::new();
        let heap = Heap {
            arena: &arena,
            code,
        };
        let mut encoder = Encoder::new(heap, ProgramTable::default());
        let mut out = Writer::default();
        out.varint(self.starts.len() as u64);
        for object in self.objects() {
            let kind = ObjectKind::of(object[0]);
            out.u8(kind as u8);
            if kind == ObjectKind::Text {
                let (length, _) = halves(object[1]);
                let bytes: &[u8] = bytemuck::cast_slice(&object[2..]);
                out.blob(&bytes[..length as usize]);
                continue;
            }
            if let Some((program, function)) = closure_of(object) {
                let position = encoder.program(program);
                out.varint(position);
                out.varint(u64::from(function));
                out.varint(u64::from(extra(object[0])));
            }
            for value in parts(object) {
                match refers(value) {
                    true => named(&mut out, value.kind(), value.bits),
                    false => encoder.value(&mut out, value),
                }
            }
        }
        named(&mut out, self.kind, 0);
        debug_assert_eq!(out.bytes.len() as u64, self.size_bytes());
        Graph {
            programs: std::mem::take(&mut encoder.programs.programs),
            bytes: out.bytes,
            texts: Vec::new(),
            logical_bytes: self.logical_bytes(),
        }
    }
}

/// Writes a value that refers to an object by its number.
fn named(out: &mut Writer, kind: Kind, number: u64) {
    out.u8(kind as u8);
    out.varint(number);
}

/// The program and the function of an object that is a closure.
fn closure_of(object: &[u64]) -> Option<(u32, u32)> {
    let (function, program) = halves(object[1]);
    (ObjectKind::of(object[0]) == ObjectKind::Closure).then_some((program, function))
}

/// The values in an object.
fn parts(object: &[u64]) -> SmallVec<[Value; 4]> {
    let mut values = SmallVec::new();
    let mut words = SmallVec::<[u64; 16]>::from_slice(object);
    parts_mut(&mut words, |tag, bits| {
        values.push(Value { tag, bits: *bits })
    });
    values
}

/// Goes through the values in an object, which is the first in a row: their tags, and the words of their bits.
#[inline(always)]
fn parts_mut(object: &mut [u64], mut each: impl FnMut(u64, &mut u64)) {
    let header = object[0];
    match ObjectKind::of(header) {
        ObjectKind::Pair => {
            let tags = pair_tags(header);
            let [car, cdr] = &mut object[1..PAIR_WORDS] else {
                unreachable!("a pair has three words")
            };
            each(tags.0, car);
            each(tags.1, cdr);
        }
        ObjectKind::Cell => each(pair_tags(header).0, &mut object[1]),
        ObjectKind::Closure => {
            for words in object[2..size_words(header)].chunks_exact_mut(2) {
                let tag = words[0];
                each(tag, &mut words[1]);
            }
        }
        _ => {}
    }
}
