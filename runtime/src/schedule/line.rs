//! The actors of one subtree that wait for their turns.

use std::collections::BTreeMap;

use crate::actor::ActorId;
use crate::portable::portable;
use crate::queue::Queue;

/// Actors in the order of their ranks, among equals in the order in which they came; those without a rank come first.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Without a rank. The only ones in a world that goes round robin, which so costs no more than a queue.
    in_turn: Queue<ActorId>,
    /// By rank; none of the queues is empty.
    ranked: BTreeMap<u64, Queue<ActorId>>,
}

impl Line {
    /// Adds an actor behind those that are not of a higher rank.
    #[inline]
    pub(super) fn push(&mut self, id: ActorId, rank: Option<u64>) {
        match rank {
            None => self.in_turn.push(id),
            Some(rank) => self.push_ranked(id, rank),
        }
    }

    #[inline(never)]
    fn push_ranked(&mut self, id: ActorId, rank: u64) {
        self.ranked.entry(rank).or_default().push(id);
    }

    /// The actors without a rank, in order: they come before all others.
    #[inline]
    pub(super) fn in_turn(&self) -> &[ActorId] {
        self.in_turn.all()
    }

    /// Takes so many of the actors without a rank, from the first on.
    #[inline]
    pub(super) fn skip(&mut self, count: usize) {
        self.in_turn.skip(count);
    }

    /// Whether there are actors with a rank.
    #[inline]
    pub(super) fn is_ranked(&self) -> bool {
        !self.ranked.is_empty()
    }

    /// The first actor with a rank.
    pub(super) fn first_ranked(&self) -> Option<ActorId> {
        self.ranked.first_key_value()?.1.first()
    }

    /// Takes the first actor.
    pub(super) fn pop(&mut self) -> Option<ActorId> {
        self.in_turn.pop().or_else(|| self.pop_ranked())
    }

    /// Takes the first actor with a rank.
    pub(super) fn pop_ranked(&mut self) -> Option<ActorId> {
        let mut first = self.ranked.first_entry()?;
        let id = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        id
    }

    /// Takes an actor from wherever it is: whether it was there, and its rank. Only who acts on a world from outside has
    /// this done, so it may take a look at each.
    pub(super) fn take(&mut self, id: ActorId) -> Option<Option<u64>> {
        let find = |queue: &Queue<ActorId>| queue.iter().position(|other| *other == id);
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
        let ranked: usize = self.ranked.values().map(Queue::len).sum();
        self.in_turn.len() + ranked
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = ActorId> + '_ {
        let ranked = self.ranked.values().flat_map(Queue::iter);
        self.in_turn.iter().chain(ranked).copied()
    }
}

portable!(struct Line { in_turn, ranked });
