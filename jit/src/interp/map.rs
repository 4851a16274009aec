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

/// What a lookup found and takes.
struct Found {
    entry: Option<u32>,
    gas: u64,
}

/// A key and a value to be put into a map.
struct Put {
    map: u64,
    key: Value,
    value: Value,
    /// The gas and the logical bytes that there are for it.
    gas_left: i64,
    bytes_left: u64,
}

impl Hot<'_> {
    /// Where the entry to look at first is noted, and whether it may be: not for keys that might take
    /// work, which has to be charged.
    #[inline(always)]
    fn hint(&mut self, number: u32, key: Value) -> (*mut u32, bool) {
        // There is a hint for every value of the program.
        let hint = self.hints.wrapping_add(number as usize);
        if key.tag == Kind::Int as u64 || key == self.value(number as usize) {
            return (hint, true);
        }
        if key.tag == Kind::String as u64 || key.tag == Kind::Symbol as u64 {
            // SAFETY: a value names an object of its kind.
            let length = unsafe { self.arena().length_of_text(key.bits) };
            let place = text_hint(key.bits);
            let hint = self.text_hints.wrapping_add(place);
            return (hint, u64::from(length) < SAME_FREE_BYTES);
        }
        (hint, false)
    }

    /// The entry of a key, when the work for it can be paid.
    #[inline(always)]
    fn entry(&mut self, hint: *mut u32, map: Value, key: Value) -> Option<Option<u32>> {
        let found = find(self.heap(), map.bits, key)?;
        if !self.charge(found.gas) {
            return None;
        }
        if let Some(entry) = found.entry {
            // SAFETY: `hint` made it.
            unsafe { *hint = entry };
        }
        Some(found.entry)
    }

    /// The value of a key, or the default.
    #[inline(always)]
    fn look_up(&mut self, hint: u32, map: Value, key: Value, default: Value) -> Option<Value> {
        if map.tag != MAP {
            return None;
        }
        let (hint, is_usable) = self.hint(hint, key);
        if is_usable {
            // SAFETY: `hint` made it.
            let entry = unsafe { *hint };
            // SAFETY: a value names an object of its kind.
            let value = unsafe { self.arena().value_of_entry(map.bits, entry, key) };
            if value.is_some() {
                return value;
            }
        }
        let Some(entry) = self.entry(hint, map, key)? else {
            return Some(default);
        };
        let (_, value) = self.arena().map_entry(map.bits, entry)?;
        Some(value)
    }

    #[inline(always)]
    fn set_looked_up(&mut self, i: &Instruction, key: Value, default: Value) -> bool {
        match self.look_up(i.hint(), self.get(i.b), key, default) {
            Some(value) => self.set(i.a, value),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn map_get(&mut self, i: &Instruction) -> bool {
        self.set_looked_up(i, self.get(i.c), self.get(i.default()))
    }

    /// The default is one of the program's values.
    #[inline(always)]
    pub(super) fn map_get_or(&mut self, i: &Instruction) -> bool {
        let default = self.value(usize::from(i.default()));
        self.set_looked_up(i, self.get(i.c), default)
    }

    #[inline(always)]
    pub(super) fn map_get_or_int(&mut self, i: &Instruction) -> bool {
        let default = Value::int(i64::from(i.default() as i16));
        self.set_looked_up(i, self.get(i.c), default)
    }

    /// The key is one of the program's values, too.
    #[inline(always)]
    pub(super) fn map_get_value(&mut self, i: &Instruction) -> bool {
        let default = self.value(usize::from(i.default()));
        self.set_looked_up(i, self.value(i.hint() as usize), default)
    }

    #[inline(always)]
    pub(super) fn map_has(&mut self, i: &Instruction) -> bool {
        let (map, key) = (self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return false;
        }
        let (hint, _) = self.hint(i.imm as u32, key);
        match self.entry(hint, map, key) {
            Some(entry) => self.set(i.a, Value::bool(entry.is_some())),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn map_set(&mut self, i: &Instruction) -> bool {
        let (map, key, value) = (self.get(i.a), self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return false;
        }
        let (hint, is_usable) = self.hint(i.imm as u32, key);
        // SAFETY: `hint` made it.
        let entry = unsafe { *hint };
        let arena = self.arena();
        // SAFETY: a value names an object of its kind.
        if is_usable && unsafe { arena.set_value_of_entry(map.bits, entry, key, value) } {
            return true;
        }
        let put = Put {
            map: map.bits,
            key,
            value,
            gas_left: self.gas,
            bytes_left: self.bytes_left(),
        };
        let code = self.code();
        let Some((entry, gas)) = put_key(self.fiber(), code, put) else {
            return false;
        };
        self.gas -= gas as i64;
        // SAFETY: `hint` made it.
        unsafe { *hint = entry };
        true
    }

    #[inline(always)]
    pub(super) fn map_delete(&mut self, i: &Instruction) -> bool {
        let (map, key) = (self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return false;
        }
        let (hint, _) = self.hint(i.imm as u32, key);
        let Some(entry) = self.entry(hint, map, key) else {
            return false;
        };
        if let Some(entry) = entry {
            self.arena().map_delete(map.bits, entry);
        }
        self.set(i.a, Value::bool(entry.is_some()))
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
            let gas = cost::work_gas(Work::Bytes, text.len() as u64);
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
            let gas = cost::work_gas(Work::Bytes, bytes);
            Some(Found { entry, gas })
        }
    }
}

/// Whether another value is a text like this one, which is not the same object.
fn same_text(heap: Heap<'_>, key: Value, text: &[u8], other: Value) -> bool {
    (key.tag ^ other.tag) & 0xff == 0 && heap.text_bytes(other) == text
}

/// Puts a key into a map: the entry and the gas it takes. `None`, and nothing happens, for what cannot
/// be a key, is long, or when it takes more than there is.
#[inline(never)]
fn put_key(fiber: &mut Fiber, code: &CodeSpace, put: Put) -> Option<(u32, u64)> {
    let found = find(fiber.heap(code), put.map, put.key)?;
    let gas_left = put.gas_left as u64;
    if let Some(entry) = found.entry {
        if found.gas > gas_left {
            return None;
        }
        fiber.arena.map_replace(put.map, entry, put.value);
        return Some((entry, found.gas));
    }
    let place = fiber.arena.plan_map_insert(put.map)?;
    let copied = place.copied * cost::MAP_ENTRY_BYTES;
    let gas = found.gas + cost::work_gas(Work::Bytes, copied);
    if gas > gas_left || place.bytes > put.bytes_left {
        return None;
    }
    let hash = fiber.heap(code).hash_of_key(put.key);
    let content = (put.key, put.value);
    let arena = &mut fiber.arena;
    arena.map_insert(put.map, place, content, hash, |arena, key| {
        Heap { arena, code }.hash_of_key(key)
    });
    Some((arena.map_used(put.map) - 1, gas))
}
