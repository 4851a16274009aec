//! Maps: entries in the order in which their keys were first put, and a hash index over them.
//!
//! Entries are logical state, deleted ones included until they are squeezed out; the
//! [index](super::map_index) is derived from them. Small maps have none and are searched.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use pw_isa::{Kind, cost};

use super::Arena;
use super::data::index_of;
use super::object::{DELETED, ENTRY_WORDS, ObjectKind, halves, header, join};
use crate::value::Value;

/// Maps of at most this capacity have no index.
const SEARCHED_MAX: u32 = 8;

/// Texts up to this many bytes are hashed like numbers.
const MIXED_MAX: usize = 16;

/// The secret that keys are hashed with, so that nobody can choose keys that collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHasher {
    pub(crate) key: [u64; 2],
}

impl KeyHasher {
    /// The hash of a text.
    #[inline]
    pub(crate) fn text(self, kind: Kind, text: &[u8]) -> u64 {
        if text.len() <= MIXED_MAX {
            let (low, high) = two_words(text);
            let product = u128::from(low ^ self.key[0]) * u128::from(high ^ self.key[1]);
            let mixed = product as u64 ^ (product >> 64) as u64;
            return self.number(kind as u64 | (text.len() as u64) << 8, mixed);
        }
        let mut hasher = self.of_long_text(kind);
        hasher.write(text);
        hasher.finish()
    }

    /// What hashes a text that is too long to be hashed like a number.
    pub(crate) fn of_long_text(self, kind: Kind) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        hasher.write_u8(kind as u8);
        hasher
    }

    /// The hash of a single number: cheaper, and as unpredictable without the secret.
    #[inline]
    pub(crate) fn number(self, tag: u64, bits: u64) -> u64 {
        let product = u128::from(bits ^ self.key[0]) * u128::from(self.key[1] | 1 | tag << 40);
        let mixed = (product as u64 ^ (product >> 64) as u64).wrapping_add(bits ^ tag);
        let product = u128::from(mixed ^ self.key[1]) * 0x9e37_79b9_7f4a_7c15_u128;
        product as u64 ^ (product >> 64) as u64
    }
}

/// The first and the last bytes of a text. Of one of at most [`MIXED_MAX`] that is all bytes: with its length, they
/// tell it from all others.
#[inline]
pub(crate) fn two_words(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        return (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return (u64::from(first), u64::from(last));
    }
    let (Some(first), Some(last)) = (text.first(), text.last()) else {
        return (0, 0);
    };
    let middle = text[text.len() / 2];
    (u64::from(*first), u64::from(middle) << 8 | u64::from(*last))
}

/// Whether two texts of the same length are the same.
#[inline(always)]
pub(crate) fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    if left.len() <= MIXED_MAX {
        two_words(left) == two_words(right)
    } else {
        left == right
    }
}

/// The part of a hash that an index uses.
#[inline(always)]
fn index_hash(hash: u64) -> u32 {
    (hash >> 32) as u32
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
    #[inline]
    pub(crate) fn map_used(&self, offset: u64) -> u32 {
        halves(self.word(index_of(offset) + 1)).1
    }

    /// The logical capacity.
    #[inline]
    pub(crate) fn map_capacity(&self, offset: u64) -> u32 {
        self.word(index_of(offset) + 2) as u32
    }

    /// Whether the map is small enough to be searched without hashes.
    #[inline]
    pub(crate) fn map_is_searched(&self, offset: u64) -> bool {
        self.map_capacity(offset) <= SEARCHED_MAX
    }

    #[inline]
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
    #[inline]
    pub(crate) fn map_find(
        &self,
        offset: u64,
        hash: u64,
        is_key: impl Fn(Value) -> bool,
    ) -> Option<u32> {
        let entries = self.entries(offset);
        let found = |entry: u32| {
            let words = &entries[entry as usize * ENTRY_WORDS..][..2];
            let key = Value {
                tag: words[0],
                bits: words[1],
            };
            key.tag != DELETED && is_key(key)
        };
        if self.map_is_searched(offset) {
            return (0..self.map_used(offset)).find(|entry| found(*entry));
        }
        self.indexed_entry(offset, index_hash(hash), found)
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

    /// Puts a key that is not there yet, under a plan. `hash` is that of the key, if it is known, and
    /// `hash_of` gives the hash of a key.
    pub(crate) fn map_insert(
        &mut self,
        offset: u64,
        place: MapPlace,
        (key, value): (Value, Value),
        hash: Option<u64>,
        hash_of: impl Fn(&Arena, Value) -> u64,
    ) {
        self.count(place.bytes);
        let room = self.entries(offset).len() / ENTRY_WORDS;
        if place.squeeze || room <= self.map_used(offset) as usize {
            self.rebuild_map(offset, place.capacity, place.squeeze, &hash_of);
        }
        let index = index_of(offset);
        let (count, used) = halves(self.word(index + 1));
        if !self.map_is_searched(offset) {
            let hash = hash.unwrap_or_else(|| hash_of(self, key));
            self.index_entry(offset, used, index_hash(hash));
        }
        self.store(index + 1, join(count + 1, used + 1));
        let words = [key.tag, key.bits, value.tag, value.bits];
        let entries = self.word(index + 3);
        self.buffer_mut(entries, used as usize * ENTRY_WORDS, ENTRY_WORDS)
            .copy_from_slice(&words);
    }

    /// Makes room for more entries, towards `capacity` and for one more at least; without the deleted ones when `squeeze`.
    fn rebuild_map(
        &mut self,
        offset: u64,
        capacity: u32,
        squeeze: bool,
        hash_of: impl Fn(&Arena, Value) -> u64,
    ) {
        let index = index_of(offset);
        let (count, used) = halves(self.word(index + 1));
        let kept = if squeeze { count } else { used };
        let hashes = self.hashes_to_index(offset, capacity, squeeze, hash_of);
        if kept < used {
            self.squeeze_entries(offset);
        }
        // A capacity that came from an image is only a number: room doubles up to it.
        let room = (capacity as usize).min((kept as usize * 2).max(4));
        let entries = self.grow_buffer(
            self.word(index + 3),
            kept as usize * ENTRY_WORDS,
            room * ENTRY_WORDS,
        );
        self.store(index + 1, join(count, kept));
        self.store(index + 2, u64::from(capacity));
        self.store(index + 3, entries);
        if let Some(hashes) = hashes {
            self.make_index(offset, &hashes);
        }
    }

    /// Moves the entries that are not deleted together.
    fn squeeze_entries(&mut self, offset: u64) {
        let used = self.map_used(offset) as usize * ENTRY_WORDS;
        let entries = self.buffer_mut(self.word(index_of(offset) + 3), 0, used);
        let mut to = 0;
        for from in (0..used).step_by(ENTRY_WORDS) {
            if entries[from] != DELETED {
                entries.copy_within(from..from + ENTRY_WORDS, to);
                to += ENTRY_WORDS;
            }
        }
    }

    /// The hashes of the entries that a map is rebuilt from, if it needs another index than it has.
    fn hashes_to_index(
        &self,
        offset: u64,
        capacity: u32,
        squeeze: bool,
        hash_of: impl Fn(&Arena, Value) -> u64,
    ) -> Option<Vec<u32>> {
        if capacity <= SEARCHED_MAX {
            return None;
        }
        let (count, used) = halves(self.word(index_of(offset) + 1));
        let is_kept = |entry: &u32| !squeeze || self.map_entry(offset, *entry).is_some();
        let kept = (0..used).filter(is_kept);
        if self.map_is_searched(offset) {
            let hash =
                |content: Option<(Value, Value)>| content.map_or(0, |(key, _)| hash_of(self, key));
            let contents = kept.map(|entry| self.map_entry(offset, entry));
            return Some(contents.map(|content| index_hash(hash(content))).collect());
        }
        let is_renumbered = squeeze && count < used;
        let known = self.indexed_hashes(offset);
        is_renumbered.then(|| kept.map(|entry| known[entry as usize]).collect())
    }

    /// Makes the index of a restored map from the hashes of all its entries; those of deleted ones mean
    /// nothing.
    pub(crate) fn restore_index(&mut self, offset: u64, hashes: &[u64]) {
        if !self.map_is_searched(offset) {
            let hashes: Vec<u32> = hashes.iter().copied().map(index_hash).collect();
            self.make_index(offset, &hashes);
        }
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

    /// Gives a new map its capacity and room for `used` entries, which must be restored; the index must be
    /// restored afterwards.
    pub(crate) fn restore_map(&mut self, offset: u64, capacity: u32, used: u32) {
        self.count(cost::map_buffer_bytes(u64::from(capacity)));
        let buffer = self.new_buffer(used as usize * ENTRY_WORDS);
        let index = index_of(offset);
        self.store(index + 1, join(0, used));
        self.store(index + 2, u64::from(capacity));
        self.store(index + 3, buffer);
    }

    /// Restores an entry; `None` is a deleted one.
    pub(crate) fn restore_map_entry(
        &mut self,
        offset: u64,
        entry: u32,
        content: Option<(Value, Value)>,
    ) {
        let index = index_of(offset);
        let (count, used) = halves(self.word(index + 1));
        let words = match content {
            Some((key, value)) => [key.tag, key.bits, value.tag, value.bits],
            None => [DELETED, 0, 0, 0],
        };
        let buffer = self.word(index + 3);
        self.buffer_mut(buffer, entry as usize * ENTRY_WORDS, ENTRY_WORDS)
            .copy_from_slice(&words);
        self.store(index + 1, join(count + u32::from(content.is_some()), used));
    }
}
