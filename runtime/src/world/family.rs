//! Who descends from whom. An actor's children belong to its parent when it has ended.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use crate::actor::ActorId;
use crate::portable::portable;

/// Parents of actors that have ended and whose children live.
#[derive(Debug, Default)]
pub(super) struct Ancestors {
    ended: BTreeMap<ActorId, Gone>,
}

/// An actor that has ended.
#[derive(Clone, Copy, Debug)]
struct Gone {
    parent: ActorId,
    /// Children that live, or have ended and have children that live.
    children: u32,
}

impl Ancestors {
    /// All of them: who, its parent, its children.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ActorId, ActorId, u32)> + Clone + '_ {
        let ended = self.ended.iter();
        ended.map(|(id, gone)| (*id, gone.parent, gone.children))
    }
}

impl World {
    /// An actor has a child more.
    pub(super) fn note_child(&mut self, parent: ActorId) {
        if let Some(body) = self.body(parent) {
            body.children += 1;
        } else if let Some(gone) = self.ancestors.ended.get_mut(&parent) {
            gone.children += 1;
        }
    }

    /// An actor with so many children has ended.
    pub(super) fn note_gone(&mut self, id: ActorId, parent: ActorId, children: u32) {
        if children > 0 {
            self.ancestors.ended.insert(id, Gone { parent, children });
            return;
        }
        let mut parent = parent;
        while parent != ActorId::OUTSIDE {
            if let Some(body) = self.body(parent) {
                body.children -= 1;
                return;
            }
            let Some(gone) = self.ancestors.ended.get_mut(&parent) else {
                return;
            };
            gone.children -= 1;
            if gone.children > 0 {
                return;
            }
            let above = gone.parent;
            self.ancestors.ended.remove(&parent);
            parent = above;
        }
    }

    /// An actor with all that descend from it and live.
    pub(super) fn subtree(&self, root: ActorId) -> BTreeSet<ActorId> {
        let mut members = BTreeSet::from([root]);
        let has_children = self
            .actors
            .get(root)
            .is_some_and(|actor| actor.body.children > 0);
        if !has_children {
            return members;
        }
        // Numbers of children are higher than their parents', so that each parent is met before its children.
        let mut gone_members = BTreeSet::new();
        for (id, gone) in self.ancestors.ended.range(root..) {
            let is_below = members.contains(&gone.parent) || gone_members.contains(&gone.parent);
            if is_below || self.descends(*id, root) {
                gone_members.insert(*id);
            }
        }
        for actor in self.actors.iter() {
            let parent = actor.body.parent;
            if members.contains(&parent) || gone_members.contains(&parent) {
                members.insert(actor.id);
            }
        }
        members
    }

    /// Whether an actor descends from another, which lives.
    pub(super) fn descends(&self, id: ActorId, root: ActorId) -> bool {
        let mut next = id;
        while next != ActorId::OUTSIDE {
            if next == root {
                return true;
            }
            next = match self.actors.get(next) {
                Some(actor) => actor.body.parent,
                None => match self.ancestors.ended.get(&next) {
                    Some(gone) => gone.parent,
                    None => return false,
                },
            };
        }
        false
    }
}

portable!(struct Gone { parent, children });
portable!(struct Ancestors { ended });
