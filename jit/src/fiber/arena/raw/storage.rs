//! The words of a buffer outside the arena, and where they are.
//!
//! Those of texts may be shared: with copies of the arena, with parcels, and with the arenas of other fibers. Whoever writes to shared
//! ones gets words of its own first. All others have one owner.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// The words of a buffer.
#[derive(Debug)]
enum Holder {
    Own(Vec<u64>),
    /// Those of a text.
    Text(Arc<Vec<u64>>),
}

/// Words that do not move as long as they are the same, and may be shared if they are of a text.
#[derive(Debug)]
pub(in super::super) struct Storage {
    /// Where those of the holder begin, and how many they are: what the fast tiers read.
    start: *mut u64,
    length: usize,
    holder: Holder,
}

// SAFETY: the address is that of words that the storage holds, which can be sent and shared. It is read only with the storage, and
// written through only with exclusive access to a storage that shares them with nobody.
unsafe impl Send for Storage {}
// SAFETY: the same.
unsafe impl Sync for Storage {}

impl Storage {
    /// Words with one owner.
    pub(in super::super) fn of(mut words: Vec<u64>) -> Storage {
        Storage {
            start: words.as_mut_ptr(),
            length: words.len(),
            holder: Holder::Own(words),
        }
    }

    /// The words of a text, which may be shared.
    pub(in super::super) fn of_text(mut words: Vec<u64>) -> Storage {
        Storage {
            start: words.as_mut_ptr(),
            length: words.len(),
            holder: Holder::Text(Arc::new(words)),
        }
    }

    /// Words of a text that others have, too.
    pub(in super::super) fn shared(words: Arc<Vec<u64>>) -> Storage {
        Storage {
            start: words.as_ptr().cast_mut(),
            length: words.len(),
            holder: Holder::Text(words),
        }
    }

    pub(in super::super) fn is_text(&self) -> bool {
        matches!(self.holder, Holder::Text(_))
    }

    /// The words of a text, for another holder.
    pub(in super::super) fn share(&self) -> Option<Arc<Vec<u64>>> {
        match &self.holder {
            Holder::Own(_) => None,
            Holder::Text(words) => Some(words.clone()),
        }
    }

    pub(in super::super) fn words(&self) -> &[u64] {
        match &self.holder {
            Holder::Own(words) => words,
            Holder::Text(words) => words,
        }
    }

    /// The words, to be written.
    pub(in super::super) fn words_mut(&mut self) -> &mut [u64] {
        self.make_own();
        match &mut self.holder {
            Holder::Own(words) => words,
            Holder::Text(words) => Arc::make_mut(words).as_mut_slice(),
        }
    }

    /// Makes it longer, with zeros; the memory for `room` words is reserved.
    pub(in super::super) fn grow(&mut self, length: usize, room: usize) {
        let words = match &mut self.holder {
            Holder::Own(words) => words,
            Holder::Text(words) => Arc::make_mut(words),
        };
        if length > words.capacity() {
            words.reserve_exact(room - words.len());
        }
        words.resize(length, 0);
        self.start = words.as_mut_ptr();
        self.length = length;
    }

    /// Afterwards nobody else has the words.
    #[inline(always)]
    pub(super) fn make_own(&mut self) {
        if let Holder::Text(words) = &mut self.holder {
            if Arc::strong_count(words) == 1 {
                // Whoever had them before is done with them. Nobody can get them but from here.
                fence(Ordering::Acquire);
            } else {
                *self = Storage::of_text(words.to_vec());
            }
        }
    }

    /// Where the words begin.
    #[inline(always)]
    pub(super) fn start(&self) -> *const u64 {
        self.start
    }

    /// The same for writing, which only who has called [`Storage::make_own`] does, or knows that they are none of a text.
    #[inline(always)]
    pub(super) fn start_mut(&mut self) -> *mut u64 {
        self.start
    }

    /// Where in memory the address of the words and their number stand.
    pub(super) fn places(&self) -> [usize; 2] {
        [
            &raw const self.start as usize,
            &raw const self.length as usize,
        ]
    }
}

impl Clone for Storage {
    /// Texts are shared, other words copied.
    fn clone(&self) -> Storage {
        match &self.holder {
            Holder::Own(words) => Storage::of(words.clone()),
            Holder::Text(words) => Storage::shared(words.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_texts_are_shared_until_somebody_writes_them() {
        let mut one = Storage::of_text(vec![1, 2, 3]);
        let two = one.clone();
        assert_eq!(one.start(), two.start());
        one.words_mut()[0] = 7;
        assert_ne!(one.start(), two.start());
        assert_eq!((one.words(), two.words()), (&[7, 2, 3][..], &[1, 2, 3][..]));
        let before = one.start();
        one.words_mut()[1] = 8;
        assert_eq!(one.start(), before, "nobody else has them");
        assert_eq!(one.start(), one.words().as_ptr());
        assert_eq!(two.start(), two.words().as_ptr());
    }

    #[test]
    fn other_words_are_copied() {
        let mut one = Storage::of(vec![1]);
        assert!(one.share().is_none());
        let two = one.clone();
        one.grow(600, 1_000);
        assert_eq!(one.start(), one.words().as_ptr());
        assert_eq!((one.words().len(), two.words()), (600, &[1][..]));
        assert_eq!((one.length, two.length), (600, 1));
    }
}
