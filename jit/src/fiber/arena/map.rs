//! Maps: entries in the order in which their keys were first put, and a hash index over them.
//!
//! Entries are logical state, deleted ones included until they are squeezed out; the index is derived
//! from them and rebuilt at will. It is an open-addressing table of `hash<<32 | entry + 1`, with at
//! least twice as many slots as there is room for entries; small maps have none and are searched.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use pw_isa::{Kind, cost};

use super::Arena;
use super::data::index_of;
use super::object::{DELETED, ENTRY_WORDS, ObjectKind, halves, header, join};
use crate::value::Value;

/// Maps of at most this capacity have no index.
const SEARCHED_MAX: u32 = 8;

/// The secret that keys are hashed with, so that nobody can choose keys that collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHasher {
    pub(crate) key: [u64; 2],
}

impl KeyHasher {
    /// A hasher of one key; feed it, then finish.
    pub(crate) fn start(self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.key[0], self.key[1])
    }

    /// The hash of a single number: cheaper, and as unpredictable without the secret.
    pub(crate) fn number(self, tag: u64, bits: u64) -> u64 {
        let product = u128::from(bits ^ self.key[0]) * u128::from(self.key[1] | 1 | tag << 40);
        let mixed = (product as u64 ^ (product >> 64) as u64).wrapping_add(bits ^ tag);
        let product = u128::from(mixed ^ self.key[1]) * 0x9e37_79b9_7f4a_7c15_u128;
        product as u64 ^ (product >> 64) as u64
    }

    /// Finishes a hash begun with [`KeyHasher::start`].
    pub(crate) fn finish(hasher: &SipHasher13) -> u64 {
        hasher.finish()
    }
}

/// Where a new key goes, decided before anything changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MapPlace {
    /// Logical bytes of a new buffer; 0 when the old one stays.
    pub(crate) bytes: u64,
    /// Entries that are copied.
    pub(crate) copied: u64,
    capacity: u32,
    squeeze: bool,
}

impl Arena {
    /// A new empty map.
    pub(crate) fn new_map(&mut self) -> Value {
        let index = self.allocate(5, cost::MAP_BYTES);
        self.init(index, header(ObjectKind::Map, 0, 5));
        for word in 1..5 {
            self.init(index + word, 0);
        }
        Value::object(Kind::Map, index as u64 * 8)
    }

    /// The number of keys.
    pub(crate) fn map_count(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).0
    }

    /// The number of entries, deleted ones included.
    pub(crate) fn map_used(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).1
    }

    /// The logical capacity.
    pub(crate) fn map_capacity(&self, offset: u64) -> u32 {
        self.word(index_of(offset) + 2) as u32
    }

    fn entries(&self, offset: u64) -> &[u64] {
        self.buffer(self.word(index_of(offset) + 3))
    }

    /// Key and value of an entry; `None` when it is deleted.
    pub(crate) fn map_entry(&self, offset: u64, entry: u32) -> Option<(Value, Value)> {
        let words = &self.entries(offset)[entry as usize * ENTRY_WORDS..][..ENTRY_WORDS];
        let key = Value {
            tag: words[0],
            bits: words[1],
        };
        (words[0] != DELETED).then_some((
            key,
            Value {
                tag: words[2],
                bits: words[3],
            },
        ))
    }

    /// The entry of a key with this hash.
    pub(crate) fn map_find(
        &self,
        offset: u64,
        hash: u64,
        is_key: impl Fn(Value) -> bool,
    ) -> Option<u32> {
        let found = |entry: u32| {
            self.map_entry(offset, entry)
                .is_some_and(|(key, _)| is_key(key))
        };
        if self.map_capacity(offset) <= SEARCHED_MAX {
            return (0..self.map_used(offset)).find(|entry| found(*entry));
        }
        let index = self.buffer(self.word(index_of(offset) + 4));
        let mask = index.len() - 1;
        let mut slot = hash as usize & mask;
        while index[slot] != 0 {
            let entry = index[slot] as u32 - 1;
            if index[slot] >> 32 == hash >> 32 && found(entry) {
                return Some(entry);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// What putting a new key takes; `None` when the map is as large as one can be.
    pub(crate) fn plan_map_insert(&self, offset: u64) -> Option<MapPlace> {
        let (count, used) = halves(self.word(index_of(offset) + 1));
        let capacity = self.map_capacity(offset);
        if used < capacity {
            return Some(MapPlace {
                bytes: 0,
                copied: 0,
                capacity,
                squeeze: false,
            });
        }
        if used - count > capacity / 2 {
            return Some(MapPlace {
                bytes: 0,
                copied: u64::from(used),
                capacity,
                squeeze: true,
            });
        }
        let grown = cost::grown_capacity(u64::from(capacity));
        if grown > cost::LENGTH_MAX / 4 {
            return None;
        }
        let bytes = cost::map_buffer_bytes(grown);
        Some(MapPlace {
            bytes,
            copied: u64::from(used),
            capacity: grown as u32,
            squeeze: true,
        })
    }

    /// Puts a key that is not there yet, under a plan. `hash_of` gives the hash of a key.
    pub(crate) fn map_insert(
        &mut self,
        offset: u64,
        place: MapPlace,
        (key, value): (Value, Value),
        hash: u64,
        hash_of: impl Fn(&Arena, Value) -> u64,
    ) {
        if place.bytes > 0 {
            self.counters.allocated += place.bytes;
            self.statistics.allocated_bytes += place.bytes;
        }
        let room = self.entries(offset).len() / ENTRY_WORDS;
        if place.squeeze || room <= self.map_used(offset) as usize {
            self.rebuild_map(offset, place.capacity, place.squeeze, hash_of);
        }
        let index = index_of(offset);
        let (count, used) = halves(self.word(index + 1));
        self.store(index + 1, join(count + 1, used + 1));
        let words = [key.tag, key.bits, value.tag, value.bits];
        let entries = self.word(index + 3);
        self.buffer_mut(entries, used as usize * ENTRY_WORDS, ENTRY_WORDS)
            .copy_from_slice(&words);
        self.index_entry(offset, hash, used);
    }

    /// Copies the entries into a buffer for `capacity`, without the deleted ones when `squeeze`.
    fn rebuild_map(
        &mut self,
        offset: u64,
        capacity: u32,
        squeeze: bool,
        hash_of: impl Fn(&Arena, Value) -> u64,
    ) {
        let used = self.map_used(offset) as usize;
        let mut words = Vec::with_capacity(used * ENTRY_WORDS);
        for entry in self.entries(offset)[..used * ENTRY_WORDS].chunks_exact(ENTRY_WORDS) {
            if !squeeze || entry[0] != DELETED {
                words.extend_from_slice(entry);
            }
        }
        // A capacity that came from an image is only a number: room doubles up to it.
        let room = (capacity as usize).min((words.len() / ENTRY_WORDS * 2).max(4));
        let entries = self.new_buffer(room * ENTRY_WORDS);
        self.buffer_mut(entries, 0, words.len())
            .copy_from_slice(&words);
        let index = index_of(offset);
        let count = self.map_count(offset);
        self.store(index + 1, join(count, (words.len() / ENTRY_WORDS) as u32));
        self.store(index + 2, u64::from(capacity));
        self.store(index + 3, entries);
        self.rebuild_index(offset, hash_of);
    }

    /// Makes the index anew.
    pub(crate) fn rebuild_index(&mut self, offset: u64, hash_of: impl Fn(&Arena, Value) -> u64) {
        let capacity = self.map_capacity(offset);
        if capacity <= SEARCHED_MAX {
            return;
        }
        let hashes: Vec<(u32, u64)> = (0..self.map_used(offset))
            .filter_map(|entry| Some((entry, hash_of(self, self.map_entry(offset, entry)?.0))))
            .collect();
        let room = self.entries(offset).len() / ENTRY_WORDS;
        let buffer = self.new_buffer((room * 2).next_power_of_two().max(16));
        self.store(index_of(offset) + 4, buffer);
        for (entry, hash) in hashes {
            self.index_entry(offset, hash, entry);
        }
    }

    fn index_entry(&mut self, offset: u64, hash: u64, entry: u32) {
        if self.map_capacity(offset) <= SEARCHED_MAX {
            return;
        }
        let buffer = self.word(index_of(offset) + 4);
        let index = self.buffer(buffer);
        let mask = index.len() - 1;
        let mut slot = hash as usize & mask;
        while index[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.buffer_mut(buffer, slot, 1)[0] = hash >> 32 << 32 | u64::from(entry + 1);
    }

    /// Replaces the value of an entry.
    pub(crate) fn map_replace(&mut self, offset: u64, entry: u32, value: Value) {
        let entries = self.word(index_of(offset) + 3);
        let start = entry as usize * ENTRY_WORDS + 2;
        self.buffer_mut(entries, start, 2)
            .copy_from_slice(&[value.tag, value.bits]);
    }

    /// Deletes an entry.
    pub(crate) fn map_delete(&mut self, offset: u64, entry: u32) {
        let index = index_of(offset);
        let (count, used) = halves(self.word(index + 1));
        self.store(index + 1, join(count - 1, used));
        let entries = self.word(index + 3);
        let words = [DELETED, 0, 0, 0];
        self.buffer_mut(entries, entry as usize * ENTRY_WORDS, ENTRY_WORDS)
            .copy_from_slice(&words);
    }

    /// Restores a map's entries from an image; the index must be rebuilt afterwards.
    pub(crate) fn restore_map(
        &mut self,
        offset: u64,
        capacity: u32,
        entries: &[Option<(Value, Value)>],
    ) {
        let buffer = self.new_buffer(entries.len() * ENTRY_WORDS);
        for (place, entry) in entries.iter().enumerate() {
            let words = match entry {
                Some((key, value)) => [key.tag, key.bits, value.tag, value.bits],
                None => [DELETED, 0, 0, 0],
            };
            self.buffer_mut(buffer, place * ENTRY_WORDS, ENTRY_WORDS)
                .copy_from_slice(&words);
        }
        let count = entries.iter().flatten().count() as u32;
        let index = index_of(offset);
        self.store(index + 1, join(count, entries.len() as u32));
        self.store(index + 2, u64::from(capacity));
        self.store(index + 3, buffer);
    }
}
