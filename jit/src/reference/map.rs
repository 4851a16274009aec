//! Maps.

use pw_isa::op::Data;
use pw_isa::operand::{Def, Use};
use pw_isa::{Kind, cost};

use super::data::out_of_range;
use super::{Machine, Next, Step, Stop};
use crate::heap::{Heap, KeyHash};
use crate::value::Value;

impl Machine<'_> {
    /// The instructions of module `data` that work on maps.
    pub(super) fn map(&mut self, op: &Data) -> Step {
        match *op {
            Data::MakeMap { dst } => {
                self.reserve(cost::MAP_BYTES)?;
                let map = self.fiber.arena.new_map();
                self.set(dst, map)
            }
            Data::MapGet {
                dst,
                map,
                key,
                default,
            } => {
                let (offset, entry, _) = self.find(map, key)?;
                let found = entry.and_then(|entry| self.fiber.arena.map_entry(offset, entry));
                let value = found.map_or(self.get(default), |(_, value)| value);
                self.set(dst, value)
            }
            Data::MapSet { map, key, value } => self.map_set(map, key, value),
            Data::MapHas { dst, map, key } => {
                let (_, entry, _) = self.find(map, key)?;
                self.set(dst, Value::bool(entry.is_some()))
            }
            Data::MapDelete { dst, map, key } => {
                let (offset, entry, _) = self.find(map, key)?;
                if let Some(entry) = entry {
                    self.fiber.arena.map_delete(offset, entry);
                }
                self.set(dst, Value::bool(entry.is_some()))
            }
            Data::MapCount { dst, map } => {
                let count = self.fiber.arena.map_count(self.map_offset(map)?);
                self.set(dst, Value::int(i64::from(count)))
            }
            Data::MapKeys { dst, map } => self.map_keys(dst, map),
            _ => unreachable!("every other instruction of the module is answered by `data`"),
        }
    }

    /// The offset of a map; maps are never constants.
    fn map_offset(&self, register: Use) -> Result<u64, Stop> {
        let value = self.get(register);
        if value.kind() == Kind::Map {
            Ok(value.bits)
        } else {
            Err(self.mismatch("a map", value))
        }
    }

    /// Looks a key up, charging for its hash: the map's offset, the entry if there is one, the hash.
    fn find(&mut self, map: Use, key: Use) -> Result<(u64, Option<u32>, u64), Stop> {
        let offset = self.map_offset(map)?;
        let key = self.get(key);
        let (hash, bytes) = match self.heap().key_hash(key, self.affordable_work()) {
            KeyHash::Hash(hash, bytes) => (hash, bytes),
            KeyHash::TooLong => return Err(Stop::Limit(pw_isa::ErrorKind::GasLimitExceeded)),
            KeyHash::Mutable => return Err(self.mismatch("an immutable key", key)),
        };
        self.charge(bytes)?;
        let heap = self.heap();
        let entry = heap
            .arena
            .map_find(offset, hash, |other| heap.same_key(key, other));
        Ok((offset, entry, hash))
    }

    fn map_set(&mut self, map: Use, key: Use, value: Use) -> Step {
        let (offset, entry, hash) = self.find(map, key)?;
        if let Some(entry) = entry {
            self.fiber.arena.map_replace(offset, entry, self.get(value));
            return Ok(Next::Advance);
        }
        let Some(place) = self.fiber.arena.plan_map_insert(offset) else {
            return Err(out_of_range("the map is as large as one can be".to_owned()));
        };
        self.charge(place.copied * cost::MAP_ENTRY_BYTES)?;
        self.reserve(place.bytes)?;
        let offset = self.map_offset(map)?;
        let (key, value) = (self.get(key), self.get(value));
        let code = self.code;
        self.fiber
            .arena
            .map_insert(offset, place, (key, value), Some(hash), |arena, key| {
                Heap { arena, code }.hash_of_key(key)
            });
        Ok(Next::Advance)
    }

    fn map_keys(&mut self, dst: Def, map: Use) -> Step {
        let offset = self.map_offset(map)?;
        let used = self.fiber.arena.map_used(offset);
        self.charge(u64::from(used))?;
        self.reserve(u64::from(self.fiber.arena.map_count(offset)) * cost::PAIR_BYTES)?;
        let offset = self.map_offset(map)?;
        let mut list = Value::NIL;
        for entry in (0..used).rev() {
            if let Some((key, _)) = self.fiber.arena.map_entry(offset, entry) {
                list = self.fiber.arena.new_pair(key, list);
            }
        }
        self.set(dst, list)
    }
}
