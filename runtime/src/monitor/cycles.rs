//! Senders that wait for room in each other's mailboxes.

use std::collections::BTreeMap;

use crate::World;
use crate::actor::ActorId;

/// All circles of actors of which each waits for room in the mailbox of the next, the lowest address first in each. These do not
/// hibernate.
pub(super) fn sender_cycles(world: &World) -> Vec<Vec<ActorId>> {
    let parked = world.actors.iter_here().filter_map(|actor| {
        let first = actor.body.rare.as_ref()?.outgoing.front()?;
        Some((actor.id, first.to))
    });
    cycles(&parked.collect())
}

/// The circles of a graph in which each node has at most one successor.
fn cycles(next: &BTreeMap<ActorId, ActorId>) -> Vec<Vec<ActorId>> {
    let mut cycles = Vec::new();
    // The walk in which a node was first met.
    let mut met: BTreeMap<ActorId, ActorId> = BTreeMap::new();
    for start in next.keys() {
        let mut path = Vec::new();
        let mut at = *start;
        while let Some(to) = next.get(&at) {
            if let Some(walk) = met.get(&at) {
                if walk == start
                    && let Some(place) = path.iter().position(|other| *other == at)
                {
                    let mut members = path.split_off(place);
                    let lowest = (0..members.len()).min_by_key(|place| members[*place]);
                    members.rotate_left(lowest.unwrap_or(0));
                    cycles.push(members);
                }
                break;
            }
            met.insert(at, *start);
            path.push(at);
            at = *to;
        }
    }
    cycles
}

#[cfg(test)]
mod tests {
    use super::cycles;
    use crate::actor::ActorId;

    #[test]
    fn circles_are_found_once_and_tails_are_none() {
        let edges = [
            (1, 2),
            (2, 9),
            (3, 5),
            (5, 4),
            (4, 3),
            (6, 3),
            (7, 7),
            (8, 6),
        ];
        let graph = edges.map(|(from, to)| (ActorId(from), ActorId(to)));
        let found = cycles(&graph.into_iter().collect());
        let found: Vec<Vec<u64>> = found
            .iter()
            .map(|cycle| cycle.iter().map(|id| id.0).collect())
            .collect();
        assert_eq!(found, [vec![3, 5, 4], vec![7]]);
    }
}
