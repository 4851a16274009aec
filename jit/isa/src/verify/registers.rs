//! Sets of registers as bits, 64 a word; work on them is proportional to the words of a frame, never
//! to the registers an instruction names.

/// One set of registers for each of many places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sets {
    words: Vec<u64>,
    width: usize,
}

impl Sets {
    /// Sets of a frame with this many registers, each word `fill`.
    pub(super) fn new(count: usize, registers: u16, fill: u64) -> Sets {
        let width = words_of(registers);
        Sets {
            words: vec![fill; count * width],
            width,
        }
    }

    pub(super) fn get(&self, index: usize) -> &[u64] {
        &self.words[index * self.width..][..self.width]
    }

    pub(super) fn get_mut(&mut self, index: usize) -> &mut [u64] {
        &mut self.words[index * self.width..][..self.width]
    }
}

/// Words of a set.
pub(super) fn words_of(registers: u16) -> usize {
    usize::from(registers).div_ceil(64)
}

/// The words that `first .. first + count` touches, with the bits of the range in each.
fn masks(first: u16, count: u16) -> impl Iterator<Item = (usize, u64)> {
    let (first, end) = (usize::from(first), usize::from(first) + usize::from(count));
    (first / 64..end.div_ceil(64)).map(move |word| {
        let above = u64::MAX << first.saturating_sub(word * 64);
        let below = u64::MAX >> 64usize.saturating_sub(end - word * 64);
        (word, above & below)
    })
}

/// Adds a register.
pub(super) fn insert(set: &mut [u64], register: u16) {
    set[usize::from(register) / 64] |= 1 << (register % 64);
}

/// Adds `first .. first + count`.
pub(super) fn insert_range(set: &mut [u64], first: u16, count: u16) {
    masks(first, count).for_each(|(word, mask)| set[word] |= mask);
}

/// Removes a register.
pub(super) fn remove(set: &mut [u64], register: u16) {
    set[usize::from(register) / 64] &= !(1 << (register % 64));
}

/// Removes every register from `first` up.
pub(super) fn remove_from(set: &mut [u64], first: u16) {
    let word = usize::from(first) / 64;
    if word < set.len() {
        set[word] &= (1 << (first % 64)) - 1;
        set[word + 1..].fill(0);
    }
}

/// Adds every register from `first` up.
pub(super) fn insert_from(set: &mut [u64], first: u16) {
    let word = usize::from(first) / 64;
    if word < set.len() {
        set[word] |= u64::MAX << (first % 64);
        set[word + 1..].fill(u64::MAX);
    }
}

/// The lowest register of `first .. first + count` that is not in the set.
pub(super) fn first_missing(set: &[u64], first: u16, count: u16) -> Option<u16> {
    masks(first, count).find_map(|(word, mask)| {
        let missing = mask & !set[word];
        (missing != 0).then(|| (word * 64) as u16 + missing.trailing_zeros() as u16)
    })
}

/// Adds the other set.
pub(super) fn unite(set: &mut [u64], other: &[u64]) {
    for (mine, theirs) in set.iter_mut().zip(other) {
        *mine |= theirs;
    }
}

/// Removes the other set.
pub(super) fn subtract(set: &mut [u64], other: &[u64]) {
    for (mine, theirs) in set.iter_mut().zip(other) {
        *mine &= !theirs;
    }
}

/// Keeps what is in both; tells whether anything was lost.
pub(super) fn intersect(set: &mut [u64], other: &[u64]) -> bool {
    let mut lost = 0;
    for (mine, theirs) in set.iter_mut().zip(other) {
        lost |= *mine & !theirs;
        *mine &= theirs;
    }
    lost != 0
}
