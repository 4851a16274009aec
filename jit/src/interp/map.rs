//! Maps: looking keys up, replacing and deleting entries, and putting new keys.
//!
//! A program asks for the same few keys at the same place in map after map. So for every constant
//! that is used as a key the loop remembers in which entry it was last found, and looks there first: no
//! hash, no comparison of texts. A hint is only that, and is checked against the map at hand, so nothing
//! ever has to be forgotten. Other texts have hints by where they stand in the arena; what is left,
//! Ints above all, shares the hint of value 0: an entry is often written right after it was read.

use super::aside::Aside;
use super::form::{Code, Instruction};
use super::hot::{Hot, Stay};
use super::profile::TEXT_HINTS;
use crate::heap::{Heap, KeyHash};
use crate::value::Value;
use pw_isa::op::Work;
use pw_isa::{Kind, cost};

const MAP: u64 = Kind::Map as u64;

/// The longest key that is hashed here.
const KEY_BYTES_MAX: u64 = 4096;

/// Texts of fewer bytes take no gas as keys.
pub(super) const FREE_BYTES: u64 = 64;
const _: () = assert!(cost::work_gas(Work::Bytes, FREE_BYTES - 1) == 0);

/// Where an entry to look at first is noted.
#[derive(Clone, Copy)]
struct Hint {
    place: *mut u32,
    /// Whether the key takes no gas for sure.
    is_free: bool,
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
    fn hint(&mut self, value: u16, key: Value) -> Hint {
        let in_arena = key.tag == Kind::String as u64 || key.tag == Kind::Symbol as u64;
        if in_arena {
            // SAFETY: a value names an object of its kind.
            let length = unsafe { self.arena().length_of_text(key.bits) };
            return Hint {
                place: self.at().text_hints.wrapping_add(text_hint(key.bits)),
                is_free: u64::from(length) < FREE_BYTES,
            };
        }
        Hint {
            // There is a hint for every value of the program.
            place: self.at().hints.wrapping_add(usize::from(value)),
            is_free: key.tag == Kind::Int as u64 || key == self.value(usize::from(value)),
        }
    }

    /// The value of a key, when it is where it was last found.
    #[inline(always)]
    fn look_at_hint(&mut self, i: &Instruction, key: Value) -> bool {
        let map = self.get(i.b);
        if map.tag != MAP {
            return false;
        }
        let hint = self.hint(i.high(), key);
        if !hint.is_free {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        let value = unsafe { self.arena().value_of_entry(map.bits, hint.entry(), key) };
        self.set_found(i.a, value)
    }

    #[inline(always)]
    pub(super) fn map_get(&mut self, i: &Instruction) -> bool {
        self.look_at_hint(i, self.get(i.c))
    }

    #[inline(always)]
    pub(super) fn map_get_value(&mut self, i: &Instruction) -> bool {
        self.look_at_hint(i, self.value(usize::from(i.high())))
    }

    /// The value of a key or the default, for all forms of lookups.
    #[inline(always)]
    pub(super) fn map_find(&mut self, i: &Instruction) -> bool {
        let (key, default, parts) = match i.code {
            Code::MapGet => (self.get(i.c), self.get(i.low()), 1),
            Code::MapGetOrInt => {
                let default = Value::int(i64::from(i.low() as i16));
                (self.get(i.c), default, 2)
            }
            Code::MapGetOr => (self.get(i.c), self.value(usize::from(i.low())), 2),
            _ => {
                let key = self.value(usize::from(i.high()));
                (key, self.value(usize::from(i.low())), 3)
            }
        };
        let map = self.get(i.b);
        if map.tag != MAP {
            return false;
        }
        let hint = self.hint(i.high(), key);
        let found = value_or(self.stay_with_gas(), map.bits, key, hint, default);
        let done = self.set_aside(i.a, found);
        self.skip(if done { parts } else { 0 });
        done
    }

    /// Replaces the value of a key, when it is where it was last found.
    #[inline(always)]
    pub(super) fn map_set(&mut self, i: &Instruction) -> bool {
        let (map, key, value) = (self.get(i.a), self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return false;
        }
        let hint = self.hint(i.imm as u16, key);
        let arena = self.arena();
        hint.is_free
            // SAFETY: a value names an object of its kind.
            && unsafe { arena.set_value_of_entry(map.bits, hint.entry(), key, value) }
    }

    /// Replaces the value of a key, or puts a new one.
    #[inline(always)]
    pub(super) fn map_put(&mut self, i: &Instruction) -> bool {
        let (map, key, value) = (self.get(i.a), self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return false;
        }
        let hint = self.hint(i.imm as u16, key);
        let done = put(self.stay_with_gas(), map.bits, key, hint, value);
        self.take_gas(done)
    }

    #[inline(always)]
    pub(super) fn map_has(&mut self, i: &Instruction) -> bool {
        self.about_entry(i, has)
    }

    #[inline(always)]
    pub(super) fn map_delete(&mut self, i: &Instruction) -> bool {
        self.about_entry(i, delete)
    }

    #[inline(always)]
    fn about_entry(
        &mut self,
        i: &Instruction,
        operation: fn(&mut Stay<'_>, u64, Value, Hint) -> Value,
    ) -> bool {
        let (map, key) = (self.get(i.b), self.get(i.c));
        if map.tag != MAP {
            return false;
        }
        let hint = self.hint(i.imm as u16, key);
        let result = operation(self.stay_with_gas(), map.bits, key, hint);
        self.set_aside(i.a, result)
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

/// The value of a key, or the default.
#[inline(never)]
fn value_or(stay: &mut Stay<'_>, map: u64, key: Value, hint: Hint, default: Value) -> Value {
    Aside::run(stay, |aside| {
        let (entry, gas) = aside.find(map, key, hint)?;
        aside.pay(gas)?;
        // SAFETY: a value names an object of its kind; the map has this entry.
        let value = entry.map(|entry| unsafe { aside.arena.entry_value(map, entry) });
        Some(value.unwrap_or(default))
    })
}

/// Whether a map has a key.
#[inline(never)]
fn has(stay: &mut Stay<'_>, map: u64, key: Value, hint: Hint) -> Value {
    Aside::run(stay, |aside| {
        let (entry, gas) = aside.find(map, key, hint)?;
        aside.pay(gas)?;
        Some(Value::bool(entry.is_some()))
    })
}

/// Deletes a key; whether it was there.
#[inline(never)]
fn delete(stay: &mut Stay<'_>, map: u64, key: Value, hint: Hint) -> Value {
    Aside::run(stay, |aside| {
        let (entry, gas) = aside.find(map, key, hint)?;
        aside.pay(gas)?;
        if let Some(entry) = entry {
            aside.arena.map_delete(map, entry);
        }
        Some(Value::bool(entry.is_some()))
    })
}

/// Replaces the value of a key or puts a new one; nil.
#[inline(never)]
fn put(stay: &mut Stay<'_>, map: u64, key: Value, hint: Hint, value: Value) -> Value {
    Aside::run(stay, |aside| {
        let (entry, gas) = aside.find(map, key, hint)?;
        if let Some(entry) = entry {
            aside.pay(gas)?;
            aside.arena.map_replace(map, entry, value);
            return Some(Value::NIL);
        }
        let place = aside.arena.plan_map_insert(map)?;
        let copied = place.copied * cost::MAP_ENTRY_BYTES;
        aside.afford(gas + cost::work_gas(Work::Bytes, copied), place.bytes)?;
        let (hash, code) = (aside.heap().hash_of_key(key), aside.code);
        let arena = &mut *aside.arena;
        arena.map_insert(map, place, (key, value), hash, |arena, key| {
            Heap { arena, code }.hash_of_key(key)
        });
        hint.note(arena.map_used(map) - 1);
        Some(Value::NIL)
    })
}

impl Aside<'_> {
    /// Finds a key in a map, and the gas that takes; `None` for what cannot be a key or is long.
    #[inline(always)]
    fn find(&self, map: u64, key: Value, hint: Hint) -> Option<(Option<u32>, u64)> {
        // SAFETY: a value names an object of its kind.
        let hit = unsafe { self.arena.value_of_entry(map, hint.entry(), key) };
        if hint.is_free && hit.is_some() {
            return Some((Some(hint.entry()), 0));
        }
        let heap = self.heap();
        let (entry, gas) = match key.kind() {
            Kind::Nil | Kind::Bool | Kind::Int | Kind::ActorId => (self.find_word(map, key), 0),
            Kind::String | Kind::Symbol => find_text(heap, map, key)?,
            _ => {
                let KeyHash::Hash(hash, bytes) = heap.key_hash(key, KEY_BYTES_MAX) else {
                    return None;
                };
                let is_key = |other| heap.same_key(key, other);
                let entry = self.arena.map_find(map, hash, is_key);
                (entry, cost::work_gas(Work::Bytes, bytes))
            }
        };
        if let Some(entry) = entry {
            hint.note(entry);
        }
        Some((entry, gas))
    }

    /// Finds a key that no other can be the same as.
    #[inline(always)]
    fn find_word(&self, map: u64, key: Value) -> Option<u32> {
        if self.arena.map_is_searched(map) {
            return self.arena.map_find(map, 0, |other| other == key);
        }
        let hash = self.code.keys.number(key.tag, key.bits);
        // SAFETY: a value names an object of its kind; this one has an index.
        unsafe { self.arena.find_word(map, hash, key) }
    }
}

/// Finds a text in a map.
#[inline(always)]
fn find_text(heap: Heap<'_>, map: u64, key: Value) -> Option<(Option<u32>, u64)> {
    let text = heap.text_bytes(key);
    let gas = cost::work_gas(Work::Bytes, text.len() as u64);
    if text.len() as u64 > KEY_BYTES_MAX {
        return None;
    }
    let mut hash = 0;
    if heap.arena.map_is_searched(map) {
        let entry = heap.arena.map_find(map, hash, |other| other == key);
        if entry.is_some() {
            return Some((entry, gas));
        }
    } else {
        hash = heap.code.keys.text(key.kind(), text);
    }
    let is_key = |other: Value| {
        other == key || (key.tag ^ other.tag) & 0xff == 0 && heap.text_bytes(other) == text
    };
    Some((heap.arena.map_find(map, hash, is_key), gas))
}
