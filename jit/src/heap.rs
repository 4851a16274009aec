//! Reading values wherever their objects are: in the actor's arena or among a program's constants.
//!
//! Also what is defined over whole structures: identity, equality, keys of maps. Walks use explicit
//! stacks, so that no structure is too deep for them.

use std::collections::HashSet;

use pw_isa::{ErrorKind, Kind};
use smallvec::{SmallVec, smallvec};

use crate::code_space::CodeSpace;
use crate::fiber::arena::{Arena, Piece, Source};
use crate::known_hashes::KnownHashes;
use crate::value::{Value, canonical_bits};

/// A view of everything that values can refer to.
#[derive(Clone, Copy, Debug)]
pub struct Heap<'a> {
    /// The actor's arena.
    pub arena: &'a Arena,
    /// The loaded programs.
    pub code: &'a CodeSpace,
}

/// Comparisons after which [`Heap::equal`] begins to remember what it has compared.
const REMEMBER_AFTER: u64 = 10_000;

/// Bytes that are compared as fast as an object.
const NODE_BYTES: u64 = 16;
/// Bytes of a key after which [`Heap::key_hash`] begins to remember the hashes of pairs.
const REMEMBER_PAIRS_AFTER_BYTES: u64 = 1024;
/// Capabilities whose parameters are larger than this are never the same.
const PARAMETER_NODES_MAX: u64 = 10_000;

/// What [`Heap::equal`] has still to compare. Most structures are small.
type Pending = SmallVec<[(Value, Value); 8]>;

/// Whether values of this kind have others as their parts.
fn is_compound(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Pair | Kind::Vector | Kind::Map | Kind::Error | Kind::Capability
    )
}

/// What hashing a map key gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyHash {
    /// The hash, and the bytes that were hashed.
    Hash(u64, u64),
    /// The value is mutable, so it cannot be a key.
    Mutable,
    /// More bytes than allowed.
    TooLong,
}

/// A text of an arena or among constants, to be made part of a new one in that arena.
#[inline(always)]
pub(crate) fn whole_text<'a>(arena: &Arena, code: &'a CodeSpace, text: Value) -> Piece<'a> {
    let (source, place, offset) = match text.constant_place() {
        None => (Source::Own(text.bits), arena, text.bits),
        Some((program, offset)) => {
            let constants = &code.program(program).constants;
            let offset = u64::from(offset);
            (
                Source::Other(constants.text_bytes(offset)),
                constants,
                offset,
            )
        }
    };
    Piece {
        source,
        start: 0,
        length: place.text_length(offset),
        characters: place.text_characters(offset),
    }
}

impl<'a> Heap<'a> {
    /// The arena that holds a value's object, and its offset there.
    #[inline(always)]
    pub(crate) fn place(&self, value: Value) -> (&'a Arena, u64) {
        match value.constant_place() {
            Some((program, offset)) => (&self.code.program(program).constants, u64::from(offset)),
            None => (self.arena, value.bits),
        }
    }

    /// The values of a pair.
    pub fn pair(&self, value: Value) -> Option<(Value, Value)> {
        (value.kind() == Kind::Pair).then(|| {
            let (arena, offset) = self.place(value);
            arena.pair(offset)
        })
    }

    /// The text of a String.
    pub fn string(&self, value: Value) -> Option<&'a str> {
        (value.kind() == Kind::String).then(|| self.text(value))
    }

    /// The text of a Symbol.
    pub fn symbol(&self, value: Value) -> Option<&'a str> {
        (value.kind() == Kind::Symbol).then(|| self.text(value))
    }

    /// The text of a String or Symbol.
    pub(crate) fn text(&self, value: Value) -> &'a str {
        let (arena, offset) = self.place(value);
        arena.text(offset)
    }

    /// The bytes of a String or Symbol, unchecked UTF-8: much cheaper than the text.
    pub(crate) fn text_bytes(&self, value: Value) -> &'a [u8] {
        let (arena, offset) = self.place(value);
        arena.text_bytes(offset)
    }

    /// The contents of Bytes.
    pub fn bytes(&self, value: Value) -> Option<&'a [u8]> {
        (value.kind() == Kind::Bytes).then(|| {
            let (arena, offset) = self.place(value);
            arena.bytes(offset)
        })
    }

    /// The elements of a Vector.
    pub fn vector(&self, value: Value) -> Option<impl ExactSizeIterator<Item = Value> + 'a> {
        (value.kind() == Kind::Vector).then(|| {
            let (arena, offset) = self.place(value);
            (0..arena.vector_length(offset)).map(move |place| arena.vector_get(offset, place))
        })
    }

    /// The keys and values of a Map, in insertion order.
    pub fn map(&self, value: Value) -> Option<impl Iterator<Item = (Value, Value)> + 'a> {
        (value.kind() == Kind::Map).then(|| {
            let (arena, offset) = self.place(value);
            (0..arena.map_used(offset)).filter_map(move |entry| arena.map_entry(offset, entry))
        })
    }

    /// An element of a Vector, if it exists.
    pub(crate) fn element(&self, vector: Value, place: u32) -> Option<Value> {
        let (arena, offset) = self.place(vector);
        (place < arena.vector_length(offset)).then(|| arena.vector_get(offset, place))
    }

    /// An entry of a Map, if it exists; `Some(None)` is a deleted one.
    pub(crate) fn entry(&self, map: Value, entry: u32) -> Option<Option<(Value, Value)>> {
        let (arena, offset) = self.place(map);
        (entry < arena.map_used(offset)).then(|| arena.map_entry(offset, entry))
    }

    /// Kind, message and values of an Error.
    pub fn error(&self, value: Value) -> Option<(ErrorKind, Value, Value)> {
        (value.kind() == Kind::Error).then(|| {
            let (arena, offset) = self.place(value);
            arena.error(offset)
        })
    }

    /// Name and parameter of a Capability.
    pub fn capability(&self, value: Value) -> Option<(Value, Value)> {
        (value.kind() == Kind::Capability).then(|| {
            let (arena, offset) = self.place(value);
            arena.capability(offset)
        })
    }

    /// Program and function of a Closure.
    pub fn closure(&self, value: Value) -> Option<(u32, u32)> {
        (value.kind() == Kind::Closure).then(|| {
            let (arena, offset) = self.place(value);
            arena.closure_function(offset)
        })
    }

    /// The values captured by a Closure.
    pub fn captures(&self, value: Value) -> impl Iterator<Item = Value> + 'a {
        let (arena, offset) = self.place(value);
        let count = if value.kind() == Kind::Closure {
            arena.capture_count(offset)
        } else {
            0
        };
        (0..u32::from(count)).filter_map(move |place| arena.capture(offset, place))
    }

    /// The elements of a list; `None` where it is not a proper list. Ends by itself on any list, for
    /// pairs are immutable and so never cyclic.
    pub fn list(&self, value: Value) -> impl Iterator<Item = Option<Value>> + 'a {
        let heap = *self;
        let mut rest = Some(value);
        std::iter::from_fn(move || {
            let current = rest.take()?;
            if current == Value::NIL {
                return None;
            }
            match heap.pair(current) {
                Some((car, cdr)) => {
                    rest = Some(cdr);
                    Some(Some(car))
                }
                None => Some(None),
            }
        })
    }

    /// Bytes that [`Heap::same`] may compare.
    pub(crate) fn same_work(&self, a: Value, b: Value) -> u64 {
        if a == b {
            return 0;
        }
        match (a.kind(), b.kind()) {
            (Kind::String, Kind::String) | (Kind::Symbol, Kind::Symbol) => {
                self.equal_length(self.text_bytes(a), self.text_bytes(b))
            }
            (Kind::Error, Kind::Error) => match (self.error(a), self.error(b)) {
                (Some(a), Some(b)) => self.equal_length(self.text_bytes(a.1), self.text_bytes(b.1)),
                _ => 0,
            },
            (Kind::Capability, Kind::Capability) => {
                match (self.capability(a), self.capability(b)) {
                    (Some(a), Some(b)) => {
                        self.equal_length(self.text_bytes(a.0), self.text_bytes(b.0))
                    }
                    _ => 0,
                }
            }
            _ => 0,
        }
    }

    /// The bytes that comparing two byte strings reads.
    fn equal_length(&self, a: &[u8], b: &[u8]) -> u64 {
        if a.len() == b.len() {
            a.len() as u64
        } else {
            0
        }
    }

    /// `eq?`: identity for pairs, vectors, maps, bytes, functions and cells, value for everything else.
    pub fn same(&self, a: Value, b: Value) -> bool {
        if a.kind() != b.kind() {
            return false;
        }
        match a.kind() {
            Kind::Float => canonical_bits(a.bits) == canonical_bits(b.bits),
            Kind::String | Kind::Symbol => a == b || self.text_bytes(a) == self.text_bytes(b),
            Kind::Error => a == b || self.same_error(a, b),
            Kind::Capability => a == b || self.same_capability(a, b),
            _ => a == b,
        }
    }

    fn same_error(&self, a: Value, b: Value) -> bool {
        let (Some(a), Some(b)) = (self.error(a), self.error(b)) else {
            return false;
        };
        a.0 == b.0 && self.text_bytes(a.1) == self.text_bytes(b.1) && a.2 == b.2
    }

    fn same_capability(&self, a: Value, b: Value) -> bool {
        let mut left = PARAMETER_NODES_MAX;
        let mut charge = |nodes: u64| {
            left = left.saturating_sub(nodes);
            left > 0
        };
        self.equal(a, b, &mut charge) == Some(true)
    }

    /// `equal?`: the same, or the same structure. `charge` is told every 64 comparisons, and of every 16
    /// bytes of text that are compared before they are, and ends the walk with `None` when it answers
    /// false. Two cyclic structures are equal when no difference can be found.
    pub fn equal(&self, a: Value, b: Value, charge: &mut dyn FnMut(u64) -> bool) -> Option<bool> {
        let mut pending = Pending::new();
        let mut compared = 0u64;
        let mut seen = None;
        let mut next = Some((a, b));
        while let Some((a, b)) = next.take().or_else(|| pending.pop()) {
            compared += 1;
            if compared.is_multiple_of(64) && !charge(64) {
                return None;
            }
            if a == b {
                continue;
            }
            let kind = a.kind();
            if !b.is(kind) {
                return Some(false);
            }
            let is_pair = kind == Kind::Pair;
            if !is_pair {
                let bytes = self.same_work(a, b);
                if bytes >= NODE_BYTES && !charge(bytes / NODE_BYTES) {
                    return None;
                }
                // The parts of capabilities are compared by this walk, so that nested ones need no stack.
                if kind != Kind::Capability && self.same(a, b) {
                    continue;
                }
            }
            if compared > REMEMBER_AFTER && is_compound(kind) {
                let seen: &mut HashSet<_> = seen.get_or_insert_default();
                if !seen.insert((a.bits, a.tag, b.bits, b.tag)) {
                    continue;
                }
            }
            if is_pair {
                let (a, b) = (self.pair(a)?, self.pair(b)?);
                pending.push((a.1, b.1));
                next = Some((a.0, b.0));
            } else if !self.equal_parts(a, b, &mut pending, charge)? {
                return Some(false);
            }
        }
        charge(compared % 64).then_some(true)
    }

    /// Compares what can be compared at once of two values that are no pairs, and leaves the rest for later.
    fn equal_parts(
        &self,
        a: Value,
        b: Value,
        pending: &mut Pending,
        charge: &mut dyn FnMut(u64) -> bool,
    ) -> Option<bool> {
        let equal = match a.kind() {
            Kind::Bytes => {
                let (a, b) = (self.bytes(a)?, self.bytes(b)?);
                if !charge(self.equal_length(a, b) / NODE_BYTES) {
                    return None;
                }
                a == b
            }
            Kind::Vector => {
                let (a, b) = (self.vector(a)?, self.vector(b)?);
                let same_length = a.len() == b.len();
                if same_length {
                    pending.extend(a.zip(b));
                }
                same_length
            }
            Kind::Map => return self.equal_maps(a, b, pending, charge),
            Kind::Error => {
                let (a, b) = (self.error(a)?, self.error(b)?);
                pending.push((a.2, b.2));
                a.0 == b.0 && self.text_bytes(a.1) == self.text_bytes(b.1)
            }
            Kind::Capability => {
                let (a, b) = (self.capability(a)?, self.capability(b)?);
                pending.push((a.1, b.1));
                self.text_bytes(a.0) == self.text_bytes(b.0)
            }
            _ => false,
        };
        Some(equal)
    }

    /// Maps are equal when they have the same keys with equal values, in whatever order.
    fn equal_maps(
        &self,
        a: Value,
        b: Value,
        pending: &mut Pending,
        charge: &mut dyn FnMut(u64) -> bool,
    ) -> Option<bool> {
        let (left, left_offset) = self.place(a);
        let (right, right_offset) = self.place(b);
        if left.map_count(left_offset) != right.map_count(right_offset) {
            return Some(false);
        }
        for (key, value) in self.map(a)? {
            let KeyHash::Hash(hash, bytes) = self.key_hash(key, u64::MAX) else {
                return Some(false);
            };
            if !charge(bytes / NODE_BYTES) {
                return None;
            }
            let found = right.map_find(right_offset, hash, |other| self.same_key(key, other));
            let Some((_, other)) = found.and_then(|entry| right.map_entry(right_offset, entry))
            else {
                return Some(false);
            };
            pending.push((value, other));
        }
        Some(true)
    }

    /// The hash of a map key; walks at most `bytes_max` bytes of it.
    pub(crate) fn key_hash(&self, key: Value, bytes_max: u64) -> KeyHash {
        let keys = self.code.keys;
        match key.kind() {
            Kind::Nil | Kind::Bool | Kind::Int | Kind::ActorId => {
                KeyHash::Hash(keys.number(key.tag, key.bits), 8)
            }
            Kind::Float => KeyHash::Hash(keys.number(key.tag, canonical_bits(key.bits)), 8),
            Kind::String | Kind::Symbol => {
                let text = self.text_bytes(key);
                KeyHash::Hash(keys.text(key.kind(), text), text.len() as u64)
            }
            Kind::Pair => self.structure_hash(
                key,
                bytes_max,
                REMEMBER_PAIRS_AFTER_BYTES,
                &mut KnownHashes::default(),
            ),
            _ => KeyHash::Mutable,
        }
    }

    /// The hash of one of many keys that may share parts: `known` are the hashes of objects that were
    /// walked already.
    pub(crate) fn key_hash_knowing(&self, key: Value, known: &mut KnownHashes) -> KeyHash {
        if let Some(hash) = known.get(key) {
            return KeyHash::Hash(hash, 0);
        }
        match key.kind() {
            Kind::Pair => self.structure_hash(key, u64::MAX, 0, known),
            kind @ (Kind::String | Kind::Symbol) => {
                let text = self.text_bytes(key);
                let (arena, offset) = self.place(key);
                let buffer = arena.text_buffer(offset).filter(|_| key.is_in_arena());
                let hash = match buffer {
                    Some((buffer, ..)) => known.beginning(self.code.keys, (kind, buffer), text),
                    None => self.code.keys.text(kind, text),
                };
                known.insert(key, hash);
                KeyHash::Hash(hash, text.len() as u64)
            }
            _ => self.key_hash(key, u64::MAX),
        }
    }

    /// The hash of a pair combines those of its parts, so that shared parts are walked once: the hash
    /// of a pair is remembered when the walk gets long.
    fn structure_hash(
        &self,
        key: Value,
        bytes_max: u64,
        remember_after: u64,
        known: &mut KnownHashes,
    ) -> KeyHash {
        enum Step {
            Visit(Value),
            Combine(Value),
        }
        let keys = self.code.keys;
        // Most keys are small.
        let mut hashes = SmallVec::<[u64; 8]>::new();
        let mut bytes = 0;
        let mut steps: SmallVec<[Step; 16]> = smallvec![Step::Visit(key)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Visit(value) if value.kind() == Kind::Pair => {
                    bytes += 16;
                    if let Some(hash) = known.get(value) {
                        hashes.push(hash);
                        continue;
                    }
                    let (arena, offset) = self.place(value);
                    let (car, cdr) = arena.pair(offset);
                    steps.extend([Step::Combine(value), Step::Visit(cdr), Step::Visit(car)]);
                }
                Step::Visit(value) => {
                    let leaf = if remember_after == 0 {
                        self.key_hash_knowing(value, known)
                    } else {
                        self.key_hash(value, bytes_max)
                    };
                    match leaf {
                        KeyHash::Hash(hash, leaf_bytes) => {
                            bytes += leaf_bytes;
                            hashes.push(hash);
                        }
                        other => return other,
                    }
                }
                Step::Combine(value) => {
                    let (cdr, car) = (hashes.pop().unwrap_or(0), hashes.pop().unwrap_or(0));
                    let hash = keys.number(Kind::Pair as u64, car.rotate_left(23) ^ cdr);
                    if bytes > remember_after {
                        known.insert(value, hash);
                    }
                    hashes.push(hash);
                }
            }
            if bytes > bytes_max {
                return KeyHash::TooLong;
            }
        }
        KeyHash::Hash(hashes.pop().unwrap_or(0), bytes)
    }

    /// The hash of a key that is in a map.
    pub(crate) fn hash_of_key(&self, key: Value) -> u64 {
        match self.key_hash(key, u64::MAX) {
            KeyHash::Hash(hash, _) => hash,
            KeyHash::Mutable | KeyHash::TooLong => {
                unreachable!("keys were checked when they were put")
            }
        }
    }

    /// Whether two keys are the same key: lists by structure, everything else by `eq?`.
    pub(crate) fn same_key(&self, a: Value, b: Value) -> bool {
        self.same(a, b) || (a.kind() == Kind::Pair && self.equal(a, b, &mut |_| true) == Some(true))
    }
}
