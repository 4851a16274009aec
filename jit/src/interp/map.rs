//! Maps: looking keys up, replacing and deleting entries, and putting new keys.
//!
//! A program asks for the same few keys at the same place in map after map. So for every constant
//! that is used as a key the loop remembers in which entry it was last found, and looks there first: no
//! hash, no comparison of texts. A hint is only that, and is checked against the map at hand, so nothing
//! ever has to be forgotten. Other texts have hints by where they stand in the arena; what is left,
//! Ints above all, shares the hint of value 0: an entry is often written right after it was read.

use super::compare::SAME_FREE_BYTES;
use super::form::Instruction;
use super::hot::Hot;
use super::profile::TEXT_HINTS;
use crate::code_space::CodeSpace;
use crate::fiber::Fiber;
use crate::heap::{Heap, KeyHash};
use crate::value::Value;
use pw_isa::op::Work;
use pw_isa::{Kind, cost};

const MAP: u64 = Kind::Map as u64;

/// The longest key that is hashed here.
const KEY_BYTES_MAX: u64 = 4096;

/// What a lookup found, and the gas it takes.
struct Found {
    entry: Option<u32>,
    gas: u32,
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
        // SAFETY: `Hot::hint` made the place.
        unsafe { *self.place }
    }

    #[inline(always)]
    fn note(self, entry: u32) {
        // SAFETY: `Hot::hint` made the place.
        unsafe { *self.place = entry };
    }
}

impl Hot<'_> {
    /// The hint for a key that probably is this entry of the program's values.
    #[inline(always)]
    fn hint(&mut self, value: u32, key: Value) -> Hint {
        let is_object = key.tag == Kind::String as u64 || key.tag == Kind::Symbol as u64;
        if is_object {
            // SAFETY: a value names an object of its kind.
            let length = unsafe { self.arena().length_of_text(key.bits) };
            return Hint {
                place: self.at().text_hints.wrapping_add(text_hint(key.bits)),
                is_usable: u64::from(length) < SAME_FREE_BYTES,
            };
        }
        Hint {
            // There is a hint for every value of the program.
            place: self.at().hints.wrapping_add(value as usize),
            is_usable: key.tag == Kind::Int as u64 || key == self.value(value as usize),
        }
    }

    /// The entry of a key, when the work for it can be paid.
    #[inline(always)]
    fn entry(&mut self, hint: Hint, map: Value, key: Value) -> Option<Option<u32>> {
        let found = find(self.heap(), map.bits, key)?;
        if !self.charge(found.gas.into()) {
            return None;
        }
        if let Some(entry) = found.entry {
            hint.note(entry);
        }
        Some(found.entry)
    }

    /// The value of a key, or the default.
    #[inline(always)]
    fn look_up(&mut self, i: &Instruction, key: Value, default: Value) -> bool {
        let map = self.get(i.b);
        if map.tag != MAP {
            return false;
        }
        let hint = self.hint(i.high().into(), key);
        if hint.is_usable {
            // SAFETY: a value names an object of its kind.
            let hit = unsafe { self.arena().value_of_entry(map.bits, hint.entry(), key) };
            if let Some(value) = hit {
                return self.set(i.a, value);
            }
        }
        match self.entry(hint, map, key) {
            Some(Some(entry)) => {
                // SAFETY: the same; the map has this entry.
                let value = unsafe { self.arena().entry_value(map.bits, entry) };
                self.set(i.a, value)
            }
            Some(None) => self.set(i.a, default),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn map_get(&mut self, i: &Instruction) -> bool {
        self.look_up(i, self.get(i.c), self.get(i.low()))
    }

    #[inline(always)]
    pub(super) fn map_get_or(&mut self, i: &Instruction) -> bool {
        self.look_up(i, self.get(i.c), self.value(usize::from(i.low())))
    }

    #[inline(always)]
    pub(super) fn map_get_or_int(&mut self, i: &Instruction) -> bool {
        let default = Value::int(i64::from(i.low() as i16));
        self.look_up(i, self.get(i.c), default)
    }

    #[inline(always)]
    pub(super) fn map_get_value(&mut self, i: &Instruction) -> bool {
        let key = self.value(usize::from(i.high()));
        self.look_up(i, key, self.value(usize::from(i.low())))
    }

    /// The entry of the key `c` in the map `b`.
    #[inline(always)]
    fn entry_of(&mut self, i: &Instruction) -> Option<Option<u32>> {
        let (map, key) = (self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return None;
        }
        let hint = self.hint(i.imm as u32, key);
        if hint.is_usable {
            let entry = hint.entry();
            // SAFETY: a value names an object of its kind.
            let hit = unsafe { self.arena().value_of_entry(map.bits, entry, key) };
            if hit.is_some() {
                return Some(Some(entry));
            }
        }
        self.entry(hint, map, key)
    }

    #[inline(always)]
    pub(super) fn map_has(&mut self, i: &Instruction) -> bool {
        match self.entry_of(i) {
            Some(entry) => self.set(i.a, Value::bool(entry.is_some())),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn map_delete(&mut self, i: &Instruction) -> bool {
        let Some(entry) = self.entry_of(i) else {
            return false;
        };
        if let Some(entry) = entry {
            let map = self.get(i.b);
            self.arena().map_delete(map.bits, entry);
        }
        self.set(i.a, Value::bool(entry.is_some()))
    }

    #[inline(always)]
    pub(super) fn map_set(&mut self, i: &Instruction) -> bool {
        let (map, key, value) = (self.get(i.a), self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return false;
        }
        let hint = self.hint(i.imm as u32, key);
        if hint.is_usable {
            let arena = self.arena();
            // SAFETY: a value names an object of its kind.
            if unsafe { arena.set_value_of_entry(map.bits, hint.entry(), key, value) } {
                return true;
            }
        }
        let (code, gas, bytes) = (self.code(), self.gas, self.bytes_left());
        match put_key(self.fiber(), code, map.bits, key, value, gas, bytes) {
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
        let map = self.get(i.b);
        if map.tag != MAP {
            return false;
        }
        let count = self.arena().map_count(map.bits);
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

/// The place of the hint of a text in the arena.
#[inline(always)]
fn text_hint(offset: u64) -> usize {
    (offset.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TEXT_HINTS.ilog2())) as usize
}

/// Finds a key in a map; `None` for what cannot be a key or is long.
#[inline(never)]
fn find(heap: Heap<'_>, map: u64, key: Value) -> Option<Found> {
    let arena = heap.arena;
    let keys = heap.code.keys;
    let is_searched = arena.map_is_searched(map);
    match key.kind() {
        Kind::Nil | Kind::Bool | Kind::Int | Kind::ActorId => {
            let hash = keys.number(key.tag, key.bits);
            let entry = arena.map_find(map, hash, |other| other == key);
            Some(Found { entry, gas: 0 })
        }
        Kind::String | Kind::Symbol => {
            let text = heap.text_bytes(key);
            let gas = cost::work_gas(Work::Bytes, text.len() as u64) as u32;
            if text.len() as u64 > KEY_BYTES_MAX {
                return None;
            }
            if is_searched && let Some(entry) = arena.map_find(map, 0, |other| other == key) {
                let entry = Some(entry);
                return Some(Found { entry, gas });
            }
            let hash = if is_searched {
                0
            } else {
                keys.text(key.kind(), text)
            };
            let entry = arena.map_find(map, hash, |other| {
                other == key || same_text(heap, key, text, other)
            });
            Some(Found { entry, gas })
        }
        _ => {
            let KeyHash::Hash(hash, bytes) = heap.key_hash(key, KEY_BYTES_MAX) else {
                return None;
            };
            let entry = arena.map_find(map, hash, |other| heap.same_key(key, other));
            let gas = cost::work_gas(Work::Bytes, bytes) as u32;
            Some(Found { entry, gas })
        }
    }
}

/// Whether another value is a text like this one, which is not the same object.
fn same_text(heap: Heap<'_>, key: Value, text: &[u8], other: Value) -> bool {
    (key.tag ^ other.tag) & 0xff == 0 && heap.text_bytes(other) == text
}

/// Puts a key into a map: the entry and the gas it takes. `None`, and nothing happens, for what cannot
/// be a key, is long, or when it takes more gas or bytes than are left.
#[inline(never)]
fn put_key(
    fiber: &mut Fiber,
    code: &CodeSpace,
    map: u64,
    key: Value,
    value: Value,
    gas_left: i64,
    bytes_left: u64,
) -> Option<(u32, u32)> {
    let found = find(fiber.heap(code), map, key)?;
    if let Some(entry) = found.entry {
        if i64::from(found.gas) > gas_left {
            return None;
        }
        fiber.arena.map_replace(map, entry, value);
        return Some((entry, found.gas));
    }
    let place = fiber.arena.plan_map_insert(map)?;
    let copying = cost::work_gas(Work::Bytes, place.copied * cost::MAP_ENTRY_BYTES);
    let gas = u64::from(found.gas) + copying;
    if gas as i64 > gas_left || place.bytes > bytes_left {
        return None;
    }
    let hash = fiber.heap(code).hash_of_key(key);
    let arena = &mut fiber.arena;
    arena.map_insert(map, place, (key, value), hash, |arena, key| {
        Heap { arena, code }.hash_of_key(key)
    });
    Some((arena.map_used(map) - 1, gas as u32))
}
