//! The actors of one subtree that wait for their turns.

use std::collections::{BTreeMap, VecDeque};

use crate::actor::ActorId;
use crate::portable::portable;

/// Actors in the order of their ranks, among equals in the order in which they came; those without a rank come first.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Without a rank. The only ones in a world that goes round robin, which so costs no more than a queue.
    in_turn: VecDeque<ActorId>,
    /// By rank; none of the queues is empty.
    ranked: BTreeMap<u64, VecDeque<ActorId>>,
}

impl Line {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.in_turn.is_empty() && self.ranked.is_empty()
    }

    /// Adds an actor behind those that are not of a higher rank.
    #[inline]
    pub(super) fn push(&mut self, id: ActorId, rank: Option<u64>) {
        match rank {
            None => self.in_turn.push_back(id),
            Some(rank) => self.ranked.entry(rank).or_default().push_back(id),
        }
    }

    /// The first actor.
    #[inline]
    pub(super) fn first(&self) -> Option<ActorId> {
        let ranked = || self.ranked.first_key_value()?.1.front();
        self.in_turn.front().or_else(ranked).copied()
    }

    /// Takes the first actor.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<ActorId> {
        if let Some(id) = self.in_turn.pop_front() {
            return Some(id);
        }
        let mut first = self.ranked.first_entry()?;
        let id = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        id
    }

    /// Takes an actor from wherever it is: whether it was there, and its rank. Only who acts on a world from outside has
    /// this done, so it may take a look at each.
    pub(super) fn take(&mut self, id: ActorId) -> Option<Option<u64>> {
        let find = |queue: &VecDeque<ActorId>| queue.iter().position(|other| *other == id);
        if let Some(place) = find(&self.in_turn) {
            self.in_turn.remove(place);
            return Some(None);
        }
        let mut ranked = self.ranked.iter_mut();
        let (rank, is_last) = ranked.find_map(|(rank, queue)| {
            queue.remove(find(queue)?);
            Some((*rank, queue.is_empty()))
        })?;
        if is_last {
            self.ranked.remove(&rank);
        }
        Some(Some(rank))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        let ranked: usize = self.ranked.values().map(VecDeque::len).sum();
        self.in_turn.len() + ranked
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = ActorId> + '_ {
        let ranked = self.ranked.values().flatten();
        self.in_turn.iter().chain(ranked).copied()
    }
}

portable!(struct Line { in_turn, ranked });
