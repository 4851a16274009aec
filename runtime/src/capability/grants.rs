//! All grants that are good, and what was derived from what.

use std::collections::{BTreeMap, BTreeSet};

use pw_isa::wire::Decoded;

use super::META_GRANT;
use crate::actor::ActorId;
use crate::portable::{In, Out, Portable, portable};

/// The number of a grant: never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct GrantId(pub(crate) u64);

/// Why somebody holds a capability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// Who got it.
    pub(crate) holder: ActorId,
    /// Who gave it; [`ActorId::OUTSIDE`] for the embedder and for decided requests.
    pub(crate) by: ActorId,
    /// The giver's own grant that it was derived from.
    pub(crate) from: Option<GrantId>,
    /// Whether children of the holder share it.
    pub(crate) is_inherited: bool,
}

/// All grants that have not been revoked.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    made: u64,
    all: BTreeMap<GrantId, Grant>,
    derived: BTreeMap<GrantId, BTreeSet<GrantId>>,
    of_holder: BTreeSet<(ActorId, GrantId)>,
    /// Grants of `meta-grant`, whose holders vote.
    voters: BTreeMap<GrantId, ActorId>,
}

impl Grants {
    /// A new grant of a capability.
    pub(crate) fn add(&mut self, capability: &str, grant: Grant) -> GrantId {
        self.made += 1;
        let id = GrantId(self.made);
        self.insert(id, grant, capability == META_GRANT);
        id
    }

    pub(crate) fn get(&self, id: GrantId) -> Option<&Grant> {
        self.all.get(&id)
    }

    /// Removes a grant and all that were derived from it; these, each before what was derived from it.
    pub(crate) fn remove(&mut self, id: GrantId) -> Vec<(GrantId, Grant)> {
        let mut removed = Vec::new();
        let mut pending = vec![id];
        while let Some(id) = pending.pop() {
            let Some(grant) = self.all.remove(&id) else {
                continue;
            };
            self.of_holder.remove(&(grant.holder, id));
            self.voters.remove(&id);
            if let Some(siblings) = grant.from.and_then(|from| self.derived.get_mut(&from)) {
                siblings.remove(&id);
            }
            let derived = self.derived.remove(&id).unwrap_or_default();
            pending.extend(derived.into_iter().rev());
            removed.push((id, grant));
        }
        removed
    }

    /// The grants that an actor was given, the oldest first.
    pub(crate) fn of_holder(&self, holder: ActorId) -> Vec<GrantId> {
        let from = (holder, GrantId(0));
        let all = self.of_holder.range(from..);
        all.take_while(|(of, _)| *of == holder)
            .map(|(_, id)| *id)
            .collect()
    }

    /// Removes a grant that nothing was derived from and nobody shares.
    pub(crate) fn forget(&mut self, id: GrantId) {
        let is_base = self
            .derived
            .get(&id)
            .is_some_and(|derived| !derived.is_empty());
        let is_shared = self.all.get(&id).is_some_and(|grant| grant.is_inherited);
        if !is_base && !is_shared {
            self.remove(id);
        }
    }

    /// The actors that were given `meta-grant`.
    pub(crate) fn voters(&self) -> impl Iterator<Item = ActorId> {
        self.voters.values().copied()
    }

    /// The grants that an actor gave, by what it holds itself.
    pub(crate) fn derived_from(&self, id: GrantId) -> impl Iterator<Item = (GrantId, &Grant)> {
        let derived = self.derived.get(&id).into_iter().flatten();
        derived.filter_map(|id| Some((*id, self.all.get(id)?)))
    }

    /// Whether numbers are as they are given: the flaw, if not.
    pub(crate) fn check(&self) -> Result<(), String> {
        let derives = |(id, grant): (&GrantId, &Grant)| grant.from.is_none_or(|from| from < *id);
        let last = self.all.keys().next_back().map_or(0, |id| id.0);
        if last > self.made || !self.all.iter().all(derives) {
            return Err(format!(
                "{} grants were made, the last is {last}",
                self.made
            ));
        }
        Ok(())
    }

    /// Adds a grant that has its number.
    fn insert(&mut self, id: GrantId, grant: Grant, is_vote: bool) {
        if is_vote {
            self.voters.insert(id, grant.holder);
        }
        if let Some(from) = grant.from {
            self.derived.entry(from).or_default().insert(id);
        }
        self.of_holder.insert((grant.holder, id));
        self.all.insert(id, grant);
    }
}

portable!(struct Grant { holder, by, from, is_inherited });

portable!(number GrantId);

impl Portable for Grants {
    fn put(&self, out: &mut Out<'_>) {
        self.made.put(out);
        out.to.varint(self.all.len() as u64);
        for (id, grant) in &self.all {
            id.put(out);
            grant.put(out);
            self.voters.contains_key(id).put(out);
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Grants> {
        let mut grants = Grants {
            made: u64::get(input)?,
            ..Grants::default()
        };
        for _ in 0..input.from.count(1)? {
            let (id, grant, is_vote) = Portable::get(input)?;
            grants.insert(id, grant, is_vote);
        }
        Ok(grants)
    }
}
