//! Publish and subscribe: who wants the events of which type, and the last events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pw_jit::fiber::parcel::Parcel;

use crate::actor::ActorId;
use crate::portable::{Out, Portable, portable};

/// An event that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastEvent {
    /// Its type, the topic.
    pub event_type: String,
    /// Who published it; [`ActorId::OUTSIDE`] for the embedder.
    pub source: ActorId,
    /// What it says.
    pub payload: Parcel,
    /// The tick after which it was published.
    pub tick: u64,
}

/// Who wants which events.
#[derive(Clone, Debug)]
pub struct BroadcastSystem {
    /// Actors by topic, by their addresses.
    subscriptions: BTreeMap<String, BTreeSet<ActorId>>,
    history: VecDeque<BroadcastEvent>,
    history_max: usize,
}

impl BroadcastSystem {
    /// One without subscribers that remembers so many events.
    pub fn new(history_max: usize) -> BroadcastSystem {
        BroadcastSystem {
            subscriptions: BTreeMap::new(),
            history: VecDeque::new(),
            history_max,
        }
    }

    /// An actor wants the events of a type from now on; false if it had them already.
    pub fn subscribe(&mut self, actor: ActorId, event_type: String) -> bool {
        self.subscriptions
            .entry(event_type)
            .or_default()
            .insert(actor)
    }

    /// An actor does not want them any more; whether it had them.
    pub fn unsubscribe(&mut self, actor: ActorId, event_type: &str) -> bool {
        let Some(subscribers) = self.subscriptions.get_mut(event_type) else {
            return false;
        };
        let had = subscribers.remove(&actor);
        if subscribers.is_empty() {
            self.subscriptions.remove(event_type);
        }
        had
    }

    /// Who wants the events of a type, by rising address.
    pub fn subscribers(&self, event_type: &str) -> Vec<ActorId> {
        let subscribers = self.subscriptions.get(event_type);
        subscribers.map_or(Vec::new(), |subscribers| {
            subscribers.iter().copied().collect()
        })
    }

    /// Takes note of an event; who is to get it.
    pub fn broadcast_event(&mut self, event: BroadcastEvent) -> Vec<ActorId> {
        let receivers = self.subscribers(&event.event_type);
        if self.history_max > 0 {
            if self.history.len() == self.history_max {
                self.history.pop_front();
            }
            self.history.push_back(event);
        }
        receivers
    }

    /// Writes who wants what: the part that decides what happens.
    pub(crate) fn put_subscriptions(&self, out: &mut Out<'_>) {
        self.subscriptions.put(out);
    }

    /// The last events, the oldest first.
    pub fn broadcast_history(&self) -> impl ExactSizeIterator<Item = &BroadcastEvent> {
        self.history.iter()
    }
}

portable!(struct BroadcastEvent { event_type, source, payload, tick });
portable!(struct BroadcastSystem { subscriptions, history, history_max });
