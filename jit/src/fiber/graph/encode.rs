//! Writing the canonical form.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::ops::{Deref, DerefMut};

use pw_isa::wire::Writer;
use pw_isa::{Kind, cost};

use super::{CONSTANT_TAG, ProgramTable, SharedText};
use crate::fiber::arena::object::{Elements, ObjectKind};
use crate::fiber::arena::{Arena, KeyHasher};
use crate::heap::Heap;
use crate::value::{Value, canonical_bits};

/// What has a number: an object of the arena, the buffer of long texts, or a pair of a list that stands
/// in no arena, by its first element.
#[derive(Clone, Copy)]
enum Numbered {
    Object(u64),
    TextBuffer(u64),
    ListFrom(usize),
}

impl Numbered {
    /// What no other one has.
    fn place(self) -> u64 {
        match self {
            Numbered::Object(offset) => offset,
            Numbered::TextBuffer(buffer) => buffer,
            // No object and no buffer lies at the end of the address space.
            Numbered::ListFrom(first) => u64::MAX - first as u64,
        }
    }
}

/// Up to so many, what has a number is found in the order of the numbers: most states are small.
const FEW: usize = 8;

/// What an encoder uses, and the next one of the thread uses again: many small states are written one after the other.
struct Memory {
    /// The numbers of places, once there are more than few.
    numbers: HashMap<u64, u64, Places>,
    queue: Vec<Numbered>,
    records: Writer,
    /// For whoever writes values.
    spare: Vec<Writer>,
}

/// Objects, or bytes of them, beyond which memory is not kept.
const KEPT_MAX: usize = 1 << 16;

thread_local! {
    static MEMORY: Cell<Option<Box<Memory>>> = const { Cell::new(None) };
}

/// Hashes places in an arena with a secret: programs choose which objects live, but not such that places collide.
#[derive(Clone, Copy)]
struct Places(KeyHasher);

struct PlaceHasher(KeyHasher, u64);

impl BuildHasher for Places {
    type Hasher = PlaceHasher;

    fn build_hasher(&self) -> PlaceHasher {
        PlaceHasher(self.0, 0)
    }
}

impl Hasher for PlaceHasher {
    fn finish(&self) -> u64 {
        self.1
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, place: u64) {
        self.1 = self.0.number(self.1, place);
    }
}

/// Memory as long as an encoder has it.
struct Lent(Option<Box<Memory>>);

impl Lent {
    /// That of the encoder before, or new.
    fn take(keys: KeyHasher) -> Lent {
        let memory = MEMORY.take().unwrap_or_else(|| {
            Box::new(Memory {
                numbers: HashMap::with_hasher(Places(keys)),
                queue: Vec::new(),
                records: Writer::default(),
                spare: Vec::new(),
            })
        });
        Lent(Some(memory))
    }
}

impl Deref for Lent {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        match &self.0 {
            Some(memory) => memory,
            None => unreachable!("it is there until it is given back"),
        }
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Memory {
        match &mut self.0 {
            Some(memory) => memory,
            None => unreachable!("it is there until it is given back"),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut memory) = self.0.take() else {
            return;
        };
        let objects = memory.queue.capacity().max(memory.numbers.capacity());
        if objects <= KEPT_MAX && memory.records.bytes.capacity() <= KEPT_MAX {
            memory.numbers.clear();
            memory.queue.clear();
            memory.records.bytes.clear();
            memory
                .spare
                .retain(|spare| spare.bytes.capacity() <= KEPT_MAX);
            MEMORY.set(Some(memory));
        }
    }
}

/// Writes values, and then the objects they refer to.
pub(crate) struct Encoder<'a> {
    heap: Heap<'a>,
    pub(crate) programs: ProgramTable,
    memory: Lent,
    list: Vec<Value>,
    /// Objects are named by where they lie, and not written.
    in_place: bool,
    /// The most bytes that objects may take; beyond them writing stops.
    bytes_max: u64,
    /// Large texts, if they are kept apart, and the bytes that they would take.
    texts: Option<Vec<SharedText>>,
    apart: u64,
    /// The logical bytes of the objects that were written, where large texts are kept apart: for parcels.
    pub(crate) logical_bytes: u64,
    /// Programs and functions of all closures that were written.
    pub(crate) closures: Vec<(u32, u32)>,
}

impl<'a> Encoder<'a> {
    pub(crate) fn new(heap: Heap<'a>, programs: ProgramTable) -> Encoder<'a> {
        Encoder {
            heap,
            programs,
            memory: Lent::take(heap.code.keys),
            bytes_max: u64::MAX,
            list: Vec::new(),
            in_place: false,
            texts: None,
            apart: 0,
            logical_bytes: 0,
            closures: Vec::new(),
        }
    }

    /// An encoder that names objects by the words where they lie in the arena, and leaves it at that; the programs are all that
    /// there are.
    pub(crate) fn in_place(heap: Heap<'a>) -> Encoder<'a> {
        let programs = (0..heap.code.len()).collect();
        Encoder {
            in_place: true,
            ..Encoder::new(heap, ProgramTable { programs })
        }
    }

    /// An empty writer, perhaps with memory that was used before.
    pub(crate) fn spare(&mut self) -> Writer {
        self.memory.spare.pop().unwrap_or_default()
    }

    /// The memory of a writer can be used again.
    pub(crate) fn give_back(&mut self, mut spare: Writer) {
        spare.bytes.clear();
        self.memory.spare.push(spare);
    }

    /// Keeps large texts apart, to be shared.
    pub(crate) fn share_texts(&mut self) {
        self.texts = Some(Vec::new());
    }

    /// The texts that were kept apart, in the order of their places in what was written.
    pub(crate) fn take_texts(&mut self) -> Vec<SharedText> {
        self.texts.take().unwrap_or_default()
    }

    /// Lets objects take at most `bytes` bytes.
    pub(crate) fn limit(&mut self, bytes: u64) {
        self.bytes_max = bytes;
    }

    /// The position of a program in the table.
    pub(crate) fn program(&mut self, program: u32) -> u64 {
        self.programs.position(program)
    }

    /// Writes a value.
    pub(crate) fn value(&mut self, out: &mut Writer, value: Value) {
        let kind = value.kind();
        if let Some((program, offset)) = value.constant_place() {
            let position = self.heap.code.program(program).constant_number(offset);
            self.closures.extend(self.heap.closure(value));
            out.u8(kind as u8 | CONSTANT_TAG);
            out.varint(self.program(program));
            out.varint(position);
            return;
        }
        out.u8(kind as u8);
        match kind {
            Kind::Nil => {}
            Kind::Bool => out.u8(value.bits as u8),
            Kind::Int => out.signed(value.bits as i64),
            Kind::Float => out.u64(canonical_bits(value.bits)),
            Kind::ActorId => out.varint(value.bits),
            _ => {
                let number = self.number(Numbered::Object(value.bits));
                out.varint(number);
            }
        }
    }

    /// Writes a list of values, in place of the one value that is encoded.
    pub(crate) fn list(&mut self, out: &mut Writer, values: &[Value]) {
        self.list = values.to_vec();
        self.list_from(out, 0);
    }

    fn list_from(&mut self, out: &mut Writer, first: usize) {
        if first == self.list.len() {
            return self.value(out, Value::NIL);
        }
        out.u8(Kind::Pair as u8);
        let number = self.number(Numbered::ListFrom(first));
        out.varint(number);
    }

    fn number(&mut self, what: Numbered) -> u64 {
        let memory = &mut *self.memory;
        let (next, place) = (memory.queue.len() as u64, what.place());
        let number = if memory.queue.len() <= FEW {
            let known = memory.queue.iter().position(|of| of.place() == place);
            if known.is_none() && memory.queue.len() == FEW {
                let places = memory.queue.iter().map(|of| of.place()).chain([place]);
                memory.numbers.extend(places.zip(0..));
            }
            known.map_or(next, |known| known as u64)
        } else {
            *memory.numbers.entry(place).or_insert(next)
        };
        if number == next {
            memory.queue.push(what);
        }
        if self.in_place { place / 8 } else { number }
    }

    /// Writes which words the objects lie at that were met.
    pub(crate) fn places(&self, out: &mut Writer) {
        let queue = &self.memory.queue;
        out.varint(queue.len() as u64);
        for what in queue {
            let (Numbered::Object(place) | Numbered::TextBuffer(place)) = what else {
                unreachable!("what lies in no arena is not written in place");
            };
            out.varint(place / 8);
        }
    }

    /// Writes every object that was met, and those that these refer to; false, with the rest missing,
    /// when they take more bytes than they may.
    pub(crate) fn objects(&mut self, out: &mut Writer) -> bool {
        let mut records = std::mem::take(&mut self.memory.records);
        let is_complete = self.records(&mut records);
        if is_complete {
            out.varint(self.memory.queue.len() as u64);
            for text in self.texts.iter_mut().flatten() {
                text.at += out.bytes.len();
            }
            out.bytes.extend_from_slice(&records.bytes);
        }
        self.memory.records = records;
        is_complete
    }

    fn records(&mut self, records: &mut Writer) -> bool {
        let mut next = 0;
        while let Some(what) = self.memory.queue.get(next).copied() {
            let written = records.bytes.len() as u64 + self.apart + self.flat_bytes(what);
            if written > self.bytes_max {
                return false;
            }
            if self.texts.is_some() {
                self.logical_bytes += self.logical_bytes_of(what);
            }
            match what {
                Numbered::Object(offset) => self.object(records, offset),
                Numbered::TextBuffer(buffer) => self.text_buffer(records, buffer),
                Numbered::ListFrom(first) => {
                    records.u8(ObjectKind::Pair as u8);
                    self.value(records, self.list[first]);
                    self.list_from(records, first + 1);
                }
            }
            next += 1;
        }
        true
    }

    /// The logical bytes of an object, with the buffer that counts with it.
    fn logical_bytes_of(&self, what: Numbered) -> u64 {
        let arena = self.heap.arena;
        match what {
            Numbered::Object(offset) => arena.logical_bytes_at(offset as usize / 8),
            Numbered::TextBuffer(buffer) => {
                cost::BUFFER_BYTES + u64::from(arena.text_buffer_capacity(buffer))
            }
            Numbered::ListFrom(_) => cost::PAIR_BYTES,
        }
    }

    /// Bytes that an object takes in one piece, however many.
    fn flat_bytes(&self, what: Numbered) -> u64 {
        let arena = self.heap.arena;
        match what {
            Numbered::TextBuffer(buffer) => arena.text_buffer_bytes(buffer).len() as u64,
            Numbered::ListFrom(_) => 0,
            Numbered::Object(offset) => match arena.object_kind(offset) {
                ObjectKind::Bytes => arena.bytes(offset).len() as u64,
                ObjectKind::Vector => u64::from(arena.vector_length(offset)),
                ObjectKind::Map => u64::from(arena.map_used(offset)),
                _ => 0,
            },
        }
    }

    fn text_buffer(&mut self, out: &mut Writer, buffer: u64) {
        let arena = self.heap.arena;
        out.u8(ObjectKind::Buffer as u8);
        out.varint(u64::from(arena.text_buffer_capacity(buffer)));
        let bytes = arena.text_buffer_bytes(buffer);
        if let Some(texts) = &mut self.texts
            && let Some(words) = arena.share_text_buffer(buffer)
        {
            let text = SharedText {
                at: out.bytes.len(),
                words,
                used: bytes.len() as u32,
            };
            self.apart += text.written_bytes();
            texts.push(text);
        } else {
            out.blob(bytes);
        }
    }

    fn object(&mut self, out: &mut Writer, offset: u64) {
        let arena = self.heap.arena;
        let kind = arena.object_kind(offset);
        out.u8(kind as u8);
        match kind {
            ObjectKind::Pair => {
                let (car, cdr) = arena.pair(offset);
                self.value(out, car);
                self.value(out, cdr);
            }
            ObjectKind::Cell => self.value(out, arena.cell(offset)),
            ObjectKind::Closure => self.closure(out, arena, offset),
            ObjectKind::Text => out.blob(arena.text_bytes(offset)),
            ObjectKind::LongText => {
                out.varint(u64::from(arena.text_length(offset)));
                if let Some((buffer, _, _)) = arena.text_buffer(offset) {
                    let number = self.number(Numbered::TextBuffer(buffer));
                    out.varint(number);
                }
            }
            ObjectKind::Bytes => out.blob(arena.bytes(offset)),
            ObjectKind::Vector => self.vector(out, arena, offset),
            ObjectKind::Map => self.map(out, arena, offset),
            ObjectKind::Error => {
                let (kind, message, values) = arena.error(offset);
                out.u8(kind as u8);
                self.value(out, message);
                self.value(out, values);
            }
            ObjectKind::Capability => {
                let (name, parameter) = arena.capability(offset);
                self.value(out, name);
                self.value(out, parameter);
            }
            ObjectKind::Buffer | ObjectKind::Forward => unreachable!("no value refers to one"),
        }
    }

    fn closure(&mut self, out: &mut Writer, arena: &Arena, offset: u64) {
        let (program, function) = arena.closure_function(offset);
        self.closures.push((program, function));
        let position = self.program(program);
        out.varint(position);
        out.varint(u64::from(function));
        let count = u32::from(arena.capture_count(offset));
        out.varint(u64::from(count));
        for place in 0..count {
            self.value(out, arena.capture(offset, place).unwrap_or(Value::NIL));
        }
    }

    fn vector(&mut self, out: &mut Writer, arena: &Arena, offset: u64) {
        let elements = arena.vector_elements(offset);
        let length = arena.vector_length(offset);
        out.u8(elements as u8);
        out.varint(u64::from(arena.vector_capacity(offset)));
        out.varint(u64::from(length));
        match elements {
            Elements::Any => {
                for place in 0..length {
                    self.value(out, arena.vector_get(offset, place));
                }
            }
            Elements::Int if cfg!(target_endian = "little") => {
                let words = arena.flat_words(offset);
                out.bytes.extend_from_slice(bytemuck::cast_slice(words));
            }
            Elements::Int => arena
                .flat_words(offset)
                .iter()
                .for_each(|word| out.u64(*word)),
            Elements::Float => {
                arena
                    .flat_words(offset)
                    .iter()
                    .for_each(|word| out.u64(canonical_bits(*word)));
            }
        }
    }

    fn map(&mut self, out: &mut Writer, arena: &Arena, offset: u64) {
        out.varint(u64::from(arena.map_capacity(offset)));
        let used = arena.map_used(offset);
        out.varint(u64::from(used));
        for entry in 0..used {
            match arena.map_entry(offset, entry) {
                Some((key, value)) => {
                    out.u8(1);
                    self.value(out, key);
                    self.value(out, value);
                }
                None => out.u8(0),
            }
        }
    }
}
