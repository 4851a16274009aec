//! Lists of a few things that are made for each instruction again and again: they take no memory of the heap.

use std::ops::Deref;

/// The most things in a list.
const MOST: usize = 4;

/// A list of at most four things.
#[derive(Clone, Copy, Debug)]
pub(super) struct Few<T> {
    things: [T; MOST],
    count: usize,
}

impl<T: Copy + Default> Default for Few<T> {
    fn default() -> Few<T> {
        Few {
            things: [T::default(); MOST],
            count: 0,
        }
    }
}

impl<T: Copy + Default> Few<T> {
    /// Adds a thing, if there is room.
    pub(super) fn push(&mut self, thing: T) {
        if let Some(place) = self.things.get_mut(self.count) {
            *place = thing;
            self.count += 1;
        }
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.things[..self.count]
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Take<std::array::IntoIter<T, MOST>>;

    fn into_iter(self) -> Self::IntoIter {
        self.things.into_iter().take(self.count)
    }
}

impl<T: Copy + Default> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Few<T> {
        let mut few = Few::default();
        things.into_iter().for_each(|thing| few.push(thing));
        few
    }
}
