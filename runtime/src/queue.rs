//! A queue of small things that own nothing. Every tick puts into some and takes from them, so its ends cost next to nothing.

use pw_isa::wire::Decoded;

use crate::portable::{In, Out, Portable};

/// What waits, in the order in which it came. It stands in a row of which the front is gone, and which begins anew when
/// nothing waits, or when the row is full and more of it is gone than waits: so there is no end to go around, and each
/// that leaves has at most one other move up.
#[derive(Clone, Debug)]
pub(crate) struct Queue<T> {
    row: Vec<T>,
    /// Places at the front of the row that nobody waits at any more.
    gone: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Queue<T> {
        Queue {
            row: Vec::new(),
            gone: 0,
        }
    }
}

impl<T: Copy> Queue<T> {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.gone == self.row.len()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.row.len() - self.gone
    }

    /// Adds one at the end.
    #[inline]
    pub(crate) fn push(&mut self, one: T) {
        if self.row.len() == self.row.capacity() {
            self.make_room();
        }
        self.row.push(one);
    }

    #[inline(never)]
    fn make_room(&mut self) {
        if self.gone > 0 && self.gone >= self.len() {
            self.row.drain(..self.gone);
            self.gone = 0;
        } else {
            self.row.reserve(1);
        }
    }

    /// Adds one in front of the others.
    pub(crate) fn push_front(&mut self, one: T) {
        match self.gone.checked_sub(1) {
            Some(place) => {
                self.row[place] = one;
                self.gone = place;
            }
            None => self.row.insert(0, one),
        }
    }

    /// The first one.
    #[inline]
    pub(crate) fn first(&self) -> Option<T> {
        self.row.get(self.gone).copied()
    }

    /// Takes the first one, if there is one.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let first = self.first()?;
        self.skip(1);
        Some(first)
    }

    /// Takes so many from the front, of as many as there are at least.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) {
        self.gone += count;
        self.begin_anew_if_empty();
    }

    #[inline]
    fn begin_anew_if_empty(&mut self) {
        if self.is_empty() {
            self.row.clear();
            self.gone = 0;
        }
    }

    /// Takes the one at a place, counted from the first.
    pub(crate) fn remove(&mut self, place: usize) -> T {
        let one = self.row.remove(self.gone + place);
        self.begin_anew_if_empty();
        one
    }

    /// All of them, in order.
    #[inline]
    pub(crate) fn all(&self) -> &[T] {
        &self.row[self.gone..]
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.all().iter()
    }
}

/// What is gone makes no difference.
impl<T: Copy + PartialEq> PartialEq for Queue<T> {
    fn eq(&self, other: &Queue<T>) -> bool {
        self.all() == other.all()
    }
}

impl<T: Copy + Eq> Eq for Queue<T> {}

impl<T: Copy + Portable> Portable for Queue<T> {
    fn put(&self, out: &mut Out<'_>) {
        out.to.varint(self.len() as u64);
        self.iter().for_each(|one| one.put(out));
    }

    fn get(input: &mut In<'_>) -> Decoded<Queue<T>> {
        let row = Portable::get(input)?;
        Ok(Queue { row, gone: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_keeps_its_order_while_the_row_begins_anew() {
        let mut queue = Queue::default();
        (0..10u64).for_each(|one| queue.push(one));
        // Never empty, so that it moves up again and again.
        for round in 0..2_000 {
            queue.push(round + 10);
            assert_eq!(queue.pop(), Some(round));
            assert_eq!(queue.len(), 10);
        }
        assert!(queue.row.capacity() < 100, "nothing is kept for ever");
        assert_eq!(queue.remove(3), 2_003);
        queue.push_front(1);
        let mut other = Queue::default();
        let left = (2_000..2_010).filter(|one| *one != 2_003);
        std::iter::once(1)
            .chain(left)
            .for_each(|one| other.push(one));
        assert_eq!(queue, other);
        queue.skip(4);
        assert_eq!(queue.first(), Some(2_004));
        while queue.pop().is_some() {}
        assert!(queue.is_empty() && queue.row.is_empty());
        queue.push_front(5);
        assert_eq!(queue.all(), [5]);
    }
}
