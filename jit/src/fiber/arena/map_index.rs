//! The index of a map: which entry a key is in, by the key's hash. It is derived from the entries and no
//! part of images or hashes.
//!
//! One buffer holds two tables of 32-bit numbers: the slots of an open-addressing table, as many as a
//! power of two, and the hash of every entry by its number, so that no key is hashed again when a table
//! grows or entries move up. A slot is 0 or holds the number of an entry, counted from 1, in as many
//! bits as the number of a slot takes, and above it the bits of the hash that do not choose the slot:
//! other keys in the way are nearly always told apart without a look at their entries.
//!
//! The slots are few, at most three quarters used, because a large table is slow by the memory that its
//! random places touch. An index grows when its slots are used up, which the insertions since it was
//! made have paid for.

use super::Arena;
use super::data::index_of;

/// The fewest slots.
const SLOTS_MIN: usize = 16;

/// How many entries an index of this many slots has room for.
const fn room_of(slots: usize) -> usize {
    slots / 4 * 3
}

/// How many slots an index for this many entries has.
fn slots_for(entries: usize) -> usize {
    (entries * 4).div_ceil(3).next_power_of_two().max(SLOTS_MIN)
}

/// How many slots there are among the numbers of an index, which are less than twice as many.
#[inline(always)]
fn slots_of(numbers: &[u32]) -> usize {
    1 << numbers.len().ilog2()
}

/// The slot where a key with this hash is looked for first, and the next one.
#[inline(always)]
fn first_slot(slots: usize, hash: u32) -> usize {
    hash as usize & (slots - 1)
}

#[inline(always)]
fn slot_behind(slots: usize, slot: usize) -> usize {
    (slot + 1) & (slots - 1)
}

/// Puts an entry into the first free slot for its hash.
fn free_slot(table: &[u32], hash: u32) -> usize {
    let mut slot = first_slot(table.len(), hash);
    while table[slot] != 0 {
        slot = slot_behind(table.len(), slot);
    }
    slot
}

/// What a slot holds for an entry.
fn content(slots: usize, hash: u32, entry: usize) -> u32 {
    hash & !(slots as u32 - 1) | (entry as u32 + 1)
}

impl Arena {
    fn index_buffer(&self, offset: u64) -> u64 {
        self.word(index_of(offset) + 4)
    }

    #[inline(always)]
    fn index_numbers(&self, offset: u64) -> &[u32] {
        bytemuck::cast_slice(self.buffer(self.index_buffer(offset)))
    }

    /// The first entry with this hash, as far as the index tells, that `is_it` accepts.
    #[inline(always)]
    pub(super) fn indexed_entry(
        &self,
        offset: u64,
        hash: u32,
        is_it: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let numbers = self.index_numbers(offset);
        let slots = slots_of(numbers);
        let low = slots as u32 - 1;
        let mut slot = first_slot(slots, hash);
        loop {
            let content = numbers[slot];
            if content == 0 {
                return None;
            }
            let entry = (content & low) - 1;
            if (content ^ hash) & !low == 0 && is_it(entry) {
                return Some(entry);
            }
            slot = slot_behind(slots, slot);
        }
    }

    /// The hashes of all entries of a map that has an index.
    pub(super) fn indexed_hashes(&self, offset: u64) -> &[u32] {
        let numbers = self.index_numbers(offset);
        &numbers[slots_of(numbers)..][..self.map_used(offset) as usize]
    }

    /// Makes the index anew from the hashes of all entries; those of deleted ones mean nothing.
    pub(super) fn make_index(&mut self, offset: u64, hashes: &[u32]) {
        let slots = slots_for(hashes.len());
        let words = (slots + room_of(slots)) / 2;
        self.free_buffer(self.index_buffer(offset));
        let buffer = self.new_buffer(words);
        self.store(index_of(offset) + 4, buffer);
        let numbers = bytemuck::cast_slice_mut(self.buffer_mut(buffer, 0, words));
        let (table, known) = numbers.split_at_mut(slots);
        known[..hashes.len()].copy_from_slice(hashes);
        for (entry, hash) in hashes.iter().enumerate() {
            let slot = free_slot(table, *hash);
            table[slot] = content(slots, *hash, entry);
        }
    }

    /// Puts an entry into the index, behind those that are there.
    pub(super) fn index_entry(&mut self, offset: u64, entry: u32, hash: u32) {
        let entry = entry as usize;
        let numbers = self.index_numbers(offset);
        let slots = slots_of(numbers);
        if entry >= room_of(slots) {
            let mut hashes = numbers[slots..][..entry].to_vec();
            hashes.push(hash);
            return self.make_index(offset, &hashes);
        }
        let slot = free_slot(&numbers[..slots], hash);
        self.set_index_number(offset, slot, content(slots, hash, entry));
        self.set_index_number(offset, slots + entry, hash);
    }

    fn set_index_number(&mut self, offset: u64, at: usize, number: u32) {
        let word = self.buffer_word_mut(self.index_buffer(offset), at / 2);
        let numbers: &mut [u32] = bytemuck::cast_slice_mut(std::slice::from_mut(word));
        numbers[at % 2] = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_room_for_its_entries_and_says_how_many_slots_it_has() {
        for entries in (0..2000).chain([1 << 20, (3 << 20) + 1]) {
            let slots = slots_for(entries);
            assert!(room_of(slots) >= entries, "{entries} entries");
            let numbers = vec![0; slots + room_of(slots)];
            assert_eq!(slots_of(&numbers), slots, "{entries} entries");
        }
    }

    #[test]
    fn entries_are_found_among_others_of_the_same_hash_through_every_growth() {
        let mut arena = Arena::new();
        let map = arena.new_map().bits;
        arena.make_index(map, &[]);
        // Only eight hashes, which share the first slot as long as the table is small.
        let hash = |entry: u32| (entry % 8) << 20;
        for entry in 0..500 {
            arena.index_entry(map, entry, hash(entry));
        }
        for entry in 0..500 {
            let found = arena.indexed_entry(map, hash(entry), |other| other == entry);
            assert_eq!(found, Some(entry));
        }
        assert_eq!(arena.indexed_entry(map, hash(0), |_| false), None);
        assert_eq!(arena.indexed_entry(map, 8 << 20, |_| true), None);
    }
}
