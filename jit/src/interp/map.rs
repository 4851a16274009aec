//! Maps: looking keys up, replacing and deleting entries, and putting new keys.
//!
//! A program asks for the same few keys at the same place in map after map. So for every constant
//! that is used as a key the loop remembers in which entry it was last found, and looks there first: no
//! hash, no comparison of texts. A hint is only that, and is checked against the map at hand, so nothing
//! ever has to be forgotten. Other texts have hints by where they stand and by what they say; what is left, Ints above all,
//! shares the hint of value 0: an entry is often written right after it was read.

use super::aside::text_of;
use super::compare::SAME_FREE_BYTES;
use super::form::Instruction;
use super::hot::Hot;
use super::profile::TEXT_HINTS;
use crate::code_space::CodeSpace;
use crate::fiber::Fiber;
use crate::fiber::arena::{same_bytes, two_words};
use crate::heap::{Heap, KeyHash};
use crate::value::{CONSTANT, Value};
use pw_isa::op::Work;
use pw_isa::{Kind, cost};

/// The longest key that is hashed here.
const KEY_BYTES_MAX: u64 = 4096;

/// What a lookup found, and the gas it takes.
struct Found {
    entry: Option<u32>,
    gas: u32,
    /// The hash of the key, unless it was found out without.
    hash: Option<u64>,
}

/// Where an entry to look at first is noted.
#[derive(Clone, Copy)]
struct Hint {
    place: *mut u32,
    /// Not for keys that might take work, which has to be charged.
    is_usable: bool,
}

impl Hint {
    #[inline(always)]
    fn entry(self) -> u32 {
        // SAFETY: `Hot::hint` or `TextHints::of` made the place.
        unsafe { *self.place }
    }

    #[inline(always)]
    fn note(self, entry: u32) {
        // SAFETY: `Hot::hint` or `TextHints::of` made the place.
        unsafe { *self.place = entry };
    }
}

/// Where texts were last found as keys, by where they stand and by what they say.
#[derive(Clone, Copy)]
struct TextHints(*mut u32);

impl TextHints {
    /// The hint of the text that stands there, or whose bytes make this number.
    #[inline(always)]
    fn place(self, number: u64) -> *mut u32 {
        let hash = number.wrapping_mul(TEXT_HINT_FACTOR) >> (64 - TEXT_HINTS.ilog2());
        self.0.wrapping_add(hash as usize)
    }

    /// The hint of all texts that say this.
    #[inline(always)]
    fn of(self, text: &[u8]) -> Hint {
        let (first, last) = two_words(text);
        Hint {
            place: self.place(first ^ last.rotate_left(32) ^ text.len() as u64),
            is_usable: true,
        }
    }
}

impl Hot<'_> {
    #[inline(always)]
    fn text_hints(&self) -> TextHints {
        TextHints(self.at().text_hints)
    }

    /// The hint for a key that probably is this entry of the program's values.
    #[inline(always)]
    fn hint(&mut self, value: u32, key: Value) -> Hint {
        let is_object = key.tag == Kind::String as u64 || key.tag == Kind::Symbol as u64;
        if is_object {
            // SAFETY: a value names an object of its kind.
            let length = unsafe { self.arena().length_of_text(key.bits) };
            return Hint {
                place: self.text_hints().place(key.bits),
                is_usable: u64::from(length) < SAME_FREE_BYTES,
            };
        }
        let is_expected = key == self.value(value as usize);
        if key.tag & CONSTANT != 0 && !is_expected {
            return Hint {
                place: self.text_hints().place(key.bits),
                is_usable: self.is_short_constant(key),
            };
        }
        Hint {
            // There is a hint for every value of the program.
            place: self.at().hints.wrapping_add(value as usize),
            is_usable: key.tag == Kind::Int as u64 || is_expected,
        }
    }

    /// Whether a constant is a text of this program that takes no work as a key.
    #[inline(always)]
    fn is_short_constant(&self, key: Value) -> bool {
        const STRING: u64 = Kind::String as u64 | CONSTANT;
        const SYMBOL: u64 = Kind::Symbol as u64 | CONSTANT;
        if key.tag != STRING && key.tag != SYMBOL
            || (key.bits >> 32) as u32 != self.at().program_number
        {
            return false;
        }
        let offset = u64::from(key.bits as u32);
        // SAFETY: a value names an object of its kind, here among the constants of its program.
        let length = unsafe { self.at().constants.length_of_text(offset) };
        u64::from(length) < SAME_FREE_BYTES
    }

    /// The entry of a key, when the work for it can be paid.
    #[inline(always)]
    fn entry(&mut self, hint: Hint, map: u64, key: Value) -> Option<Option<u32>> {
        if key.tag == Kind::Int as u64 {
            let entry = find_int(self.heap(), map, key);
            if let Some(entry) = entry {
                hint.note(entry);
            }
            return Some(entry);
        }
        let first = (hint.entry(), self.text_hints());
        let found = find(self.heap(), map, key, first)?;
        if !self.charge(found.gas.into()) {
            return None;
        }
        if let Some(entry) = found.entry {
            hint.note(entry);
        }
        Some(found.entry)
    }

    /// The value of a key in the entry where it was last found, and that entry.
    #[inline(always)]
    pub(super) fn hinted(&mut self, map: u64, key: Value, hint: u32) -> Option<(u32, Value)> {
        let hint = self.hint(hint, key);
        if !hint.is_usable {
            return None;
        }
        let entry = hint.entry();
        // SAFETY: a value names an object of its kind.
        let value = unsafe { self.arena().value_of_entry(map, entry, key) };
        value.map(|value| (entry, value))
    }

    /// A lookup that finds the key where it was last found.
    #[inline(always)]
    pub(super) fn map_get(&mut self, i: &Instruction) -> bool {
        let Some(map) = self.get_if(i.b, Kind::Map) else {
            return false;
        };
        let found = self.hinted(map, self.get(i.c), i.high().into());
        self.set_found(i.a, found.map(|found| found.1))
    }

    /// The same for a key that is an entry of the program's values, which takes no work.
    #[inline(always)]
    pub(super) fn map_get_value(&mut self, i: &Instruction) -> bool {
        let Some(map) = self.get_if(i.b, Kind::Map) else {
            return false;
        };
        let place = usize::from(i.high());
        let (key, hint) = (self.value(place), self.at().hints.wrapping_add(place));
        // SAFETY: there is a hint for every value of the program.
        let entry = unsafe { *hint };
        // SAFETY: a value names an object of its kind.
        let found = unsafe { self.arena().value_of_entry(map, entry, key) };
        self.set_found(i.a, found)
    }

    /// The value of a key that probably is this entry of the program's values, or the default.
    #[inline(always)]
    pub(super) fn value_of(
        &mut self,
        map: u64,
        place: u32,
        key: Value,
        default: Value,
    ) -> Option<Value> {
        let hint = self.hint(place, key);
        Some(match self.entry(hint, map, key)? {
            // SAFETY: a value names an object of its kind; the map has this entry.
            Some(entry) => unsafe { self.arena().entry_value(map, entry) },
            None => default,
        })
    }

    fn look_up(&mut self, i: &Instruction, key: Value, default: Value) -> bool {
        let Some(map) = self.get_if(i.b, Kind::Map) else {
            return false;
        };
        let found = self.value_of(map, i.high().into(), key, default);
        self.set_found(i.a, found)
    }

    pub(super) fn look_up_or_register(&mut self, i: &Instruction) -> bool {
        self.look_up(i, self.get(i.c), self.get(i.low()))
    }

    pub(super) fn look_up_or_value(&mut self, i: &Instruction) -> bool {
        self.look_up(i, self.get(i.c), self.value(usize::from(i.low())))
    }

    pub(super) fn look_up_or_int(&mut self, i: &Instruction) -> bool {
        let default = Value::int(i64::from(i.low() as i16));
        self.look_up(i, self.get(i.c), default)
    }

    pub(super) fn look_up_value(&mut self, i: &Instruction) -> bool {
        let key = self.value(usize::from(i.high()));
        self.look_up(i, key, self.value(usize::from(i.low())))
    }

    /// The entry of a key that probably is this entry of the program's values.
    #[inline(always)]
    pub(super) fn entry_of(&mut self, map: u64, place: u32, key: Value) -> Option<Option<u32>> {
        if let Some((entry, _)) = self.hinted(map, key, place) {
            return Some(Some(entry));
        }
        let hint = self.hint(place, key);
        self.entry(hint, map, key)
    }

    /// Removes a key; whether it was there.
    #[inline(always)]
    pub(super) fn delete(&mut self, map: u64, place: u32, key: Value) -> Option<bool> {
        let entry = self.entry_of(map, place, key)?;
        if let Some(entry) = entry {
            self.arena().map_delete(map, entry);
        }
        Some(entry.is_some())
    }

    #[inline(always)]
    pub(super) fn map_has(&mut self, i: &Instruction) -> bool {
        let Some(map) = self.get_if(i.b, Kind::Map) else {
            return false;
        };
        let entry = self.entry_of(map, i.imm as u32, self.get(i.c));
        self.set_found(i.a, entry.map(|entry| Value::bool(entry.is_some())))
    }

    #[inline(always)]
    pub(super) fn map_delete(&mut self, i: &Instruction) -> bool {
        let Some(map) = self.get_if(i.b, Kind::Map) else {
            return false;
        };
        let deleted = self.delete(map, i.imm as u32, self.get(i.c));
        self.set_found(i.a, deleted.map(Value::bool))
    }

    /// Replaces the value of a key where the key was last found.
    #[inline(always)]
    pub(super) fn map_set(&mut self, i: &Instruction) -> bool {
        let Some(map) = self.get_if(i.a, Kind::Map) else {
            return false;
        };
        self.replace_hinted(map, i.imm as u32, self.get(i.b), self.get(i.c))
    }

    #[inline(always)]
    pub(super) fn replace_hinted(
        &mut self,
        map: u64,
        place: u32,
        key: Value,
        value: Value,
    ) -> bool {
        let hint = self.hint(place, key);
        if !hint.is_usable {
            return false;
        }
        let arena = self.arena();
        // SAFETY: a value names an object of its kind.
        unsafe { arena.set_value_of_entry(map, hint.entry(), key, value) }
    }

    /// Replaces the value of a key wherever it is, or puts the key.
    pub(super) fn map_put(&mut self, i: &Instruction) -> bool {
        let Some(map) = self.get_if(i.a, Kind::Map) else {
            return false;
        };
        let (key, value) = (self.get(i.b), self.get(i.c));
        self.put(map, i.imm as u32, key, value)
    }

    /// The same for a key that probably is this entry of the program's values.
    #[inline(always)]
    pub(super) fn put(&mut self, map: u64, place: u32, key: Value, value: Value) -> bool {
        let hint = self.hint(place, key);
        let (code, gas, bytes) = (self.code(), self.gas, self.bytes_left());
        let first = (hint.entry(), self.text_hints());
        match put_key(self.fiber(), code, map, (key, value), first, gas, bytes) {
            Some((entry, gas)) => {
                self.gas -= i64::from(gas);
                hint.note(entry);
                true
            }
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn map_count(&mut self, i: &Instruction) -> bool {
        let Some(map) = self.get_if(i.b, Kind::Map) else {
            return false;
        };
        let count = self.arena().map_count(map);
        self.set(i.a, Value::int(i64::from(count)))
    }

    #[inline(always)]
    pub(super) fn make_map(&mut self, i: &Instruction) -> bool {
        if !self.can_allocate(cost::MAP_BYTES) {
            return false;
        }
        let map = self.arena().new_map();
        self.set(i.a, map)
    }
}

/// What the bits of a text are multiplied by to find the place of its hint.
pub(crate) const TEXT_HINT_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Finds an Int in a map, which takes no gas.
#[inline(never)]
fn find_int(heap: Heap<'_>, map: u64, key: Value) -> Option<u32> {
    let hash = heap.code.keys.number(key.tag, key.bits);
    heap.arena.map_find(map, hash, |other| other == key)
}

/// Finds a key in a map; `None` for what cannot be a key or is long. What is looked at first is an entry and where
/// texts were last found.
#[inline(never)]
fn find(heap: Heap<'_>, map: u64, key: Value, first: (u32, TextHints)) -> Option<Found> {
    let (arena, keys) = (heap.arena, heap.code.keys);
    match key.kind() {
        Kind::Nil | Kind::Bool | Kind::Int | Kind::ActorId => {
            let hash = keys.number(key.tag, key.bits);
            let entry = arena.map_find(map, hash, |other| other == key);
            Some(Found {
                entry,
                gas: 0,
                hash: Some(hash),
            })
        }
        Kind::String | Kind::Symbol => find_text(heap, map, key, first),
        _ => {
            let KeyHash::Hash(hash, bytes) = heap.key_hash(key, KEY_BYTES_MAX) else {
                return None;
            };
            let entry = arena.map_find(map, hash, |other| heap.same_key(key, other));
            let gas = cost::work_gas(Work::Bytes, bytes) as u32;
            Some(Found {
                entry,
                gas,
                hash: Some(hash),
            })
        }
    }
}

/// Finds a text in a map. It is often in the entry where an equal one, or this one in another map, was found: it is
/// looked for there before it is hashed.
#[inline(always)]
fn find_text(
    heap: Heap<'_>,
    map: u64,
    key: Value,
    (entry, hints): (u32, TextHints),
) -> Option<Found> {
    let arena = heap.arena;
    let (text, _) = text_of(heap, key);
    let gas = cost::work_gas(Work::Bytes, text.len() as u64) as u32;
    if text.len() as u64 > KEY_BYTES_MAX {
        return None;
    }
    let is_it = |other: Value| other == key || same_text(heap, key, text, other);
    let hint = hints.of(text);
    for entry in [entry, hint.entry()] {
        // SAFETY: a value names an object of its kind.
        if unsafe { arena.key_of_entry(map, entry) }.is_some_and(is_it) {
            hint.note(entry);
            return Some(Found {
                entry: Some(entry),
                gas,
                hash: None,
            });
        }
    }
    let hash = (!arena.map_is_searched(map)).then(|| heap.code.keys.text(key.kind(), text));
    let entry = arena.map_find(map, hash.unwrap_or(0), is_it);
    if let Some(entry) = entry {
        hint.note(entry);
    }
    Some(Found { entry, gas, hash })
}

/// Whether another value is a text like this one, which is not the same object.
#[inline(always)]
fn same_text(heap: Heap<'_>, key: Value, text: &[u8], other: Value) -> bool {
    if (key.tag ^ other.tag) & 0xff != 0 {
        return false;
    }
    let (other, _) = text_of(heap, other);
    other.len() == text.len() && same_bytes(text, other)
}

/// Puts a key into a map: the entry and the gas it takes. `None`, and nothing happens, for what cannot
/// be a key, is long, or when it takes more gas or bytes than are left.
#[inline(never)]
fn put_key(
    fiber: &mut Fiber,
    code: &CodeSpace,
    map: u64,
    (key, value): (Value, Value),
    first: (u32, TextHints),
    gas_left: i64,
    bytes_left: u64,
) -> Option<(u32, u32)> {
    let found = find(fiber.heap(code), map, key, first)?;
    if let Some(entry) = found.entry {
        if i64::from(found.gas) > gas_left {
            return None;
        }
        // SAFETY: a value names an object of its kind; the map has this entry.
        unsafe { fiber.arena.set_entry_value(map, entry, value) };
        return Some((entry, found.gas));
    }
    let place = fiber.arena.plan_map_insert(map)?;
    let copying = cost::work_gas(Work::Bytes, place.copied * cost::MAP_ENTRY_BYTES);
    let gas = u64::from(found.gas) + copying;
    if gas as i64 > gas_left || place.bytes > bytes_left {
        return None;
    }
    let arena = &mut fiber.arena;
    arena.map_insert(map, place, (key, value), found.hash, |arena, key| {
        Heap { arena, code }.hash_of_key(key)
    });
    Some((arena.map_used(map) - 1, gas as u32))
}
