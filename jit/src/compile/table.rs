//! Small maps that are copied and compared often: one row of entries, sorted by their keys.

use smallvec::SmallVec;

/// A map in one piece of memory, which is no piece of its own up to a number of entries.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Table<K, V, const INSIDE: usize> {
    entries: SmallVec<[(K, V); INSIDE]>,
}

impl<K, V, const INSIDE: usize> Default for Table<K, V, INSIDE> {
    fn default() -> Self {
        let entries = SmallVec::new();
        Table { entries }
    }
}

impl<K: Copy, V: Copy, const INSIDE: usize> Clone for Table<K, V, INSIDE> {
    fn clone(&self) -> Self {
        let entries = SmallVec::from_slice(&self.entries);
        Table { entries }
    }

    fn clone_from(&mut self, other: &Self) {
        self.entries.clear();
        self.entries.extend_from_slice(&other.entries);
    }
}

impl<K: Copy + Ord, V: Copy, const INSIDE: usize> Table<K, V, INSIDE> {
    fn place(&self, key: K) -> Result<usize, usize> {
        self.entries.binary_search_by_key(&key, |(key, _)| *key)
    }

    pub(super) fn get(&self, key: K) -> Option<V> {
        let place = self.place(key).ok()?;
        Some(self.entries[place].1)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.place(key) {
            Ok(place) => self.entries[place].1 = value,
            Err(place) => self.entries.insert(place, (key, value)),
        }
    }

    /// Adds an entry behind all others.
    pub(super) fn push(&mut self, key: K, value: V) {
        debug_assert!(self.entries.last().is_none_or(|(last, _)| *last < key));
        self.entries.push((key, value));
    }

    pub(super) fn retain(&mut self, is_kept: impl Fn(K, V) -> bool) {
        self.entries.retain(|(key, value)| is_kept(*key, *value));
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries, by ascending keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, V)> + '_ {
        self.entries.iter().copied()
    }

    /// All entries, by ascending keys, each with what another table has for its key.
    pub(super) fn beside<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (K, V, Option<V>)> + 'a {
        let mut others = other.entries.iter().copied().peekable();
        self.iter().map(move |(key, value)| {
            while others.next_if(|(other, _)| *other < key).is_some() {}
            let same = others.next_if(|(other, _)| *other == key);
            (key, value, same.map(|(_, value)| value))
        })
    }

    /// All entries, by ascending keys; their values can be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (K, &mut V)> {
        self.entries.iter_mut().map(|(key, value)| (*key, value))
    }
}
