//! What one actor holds. Children share the list of their parent as long as it is the same.

use std::sync::Arc;

use pw_isa::wire::Decoded;
use pw_jit::host::CapabilityName;

use super::grants::GrantId;
use crate::portable::{In, Out, Portable, portable};

/// A capability that an actor holds, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) capability: CapabilityName,
    pub(crate) grant: GrantId,
    /// How often it can still be used.
    pub(crate) budget: Option<u64>,
    /// When it ends, in world time.
    pub(crate) expires_ms: Option<u64>,
    /// Whether children hold it too.
    pub(crate) is_inherited: bool,
}

impl Holding {
    /// Whether it can be used.
    fn is_good(&self, now_ms: u64) -> bool {
        self.budget != Some(0) && self.expires_ms.is_none_or(|end| now_ms < end)
    }
}

/// All that an actor holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    list: Option<Arc<Vec<Holding>>>,
}

impl Holdings {
    /// These.
    pub(crate) fn new(list: Vec<Holding>) -> Holdings {
        Holdings {
            list: (!list.is_empty()).then(|| Arc::new(list)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Holding> {
        self.list.iter().flat_map(|list| list.iter())
    }

    /// What a child begins with.
    pub(crate) fn inherited(&self) -> Holdings {
        if self.iter().all(|holding| holding.is_inherited) {
            return self.clone();
        }
        let inherited = self.iter().filter(|holding| holding.is_inherited);
        Holdings::new(inherited.cloned().collect())
    }

    /// Whether the actor holds a capability now.
    pub(crate) fn holds(&self, capability: &CapabilityName, now_ms: u64) -> bool {
        self.find(capability, now_ms).is_some()
    }

    /// Whether the actor holds a capability without a parameter now.
    pub(crate) fn holds_plain(&self, name: &str, now_ms: u64) -> bool {
        self.iter().any(|holding| {
            let capability = &holding.capability;
            capability.name == name && capability.parameter.is_none() && holding.is_good(now_ms)
        })
    }

    /// The holding that lets the actor use a capability.
    pub(crate) fn find(&self, capability: &CapabilityName, now_ms: u64) -> Option<&Holding> {
        self.iter()
            .find(|holding| holding.capability == *capability && holding.is_good(now_ms))
    }

    /// Uses a capability without a parameter once; false if the actor does not hold it.
    pub(crate) fn use_once(&mut self, name: &str, now_ms: u64) -> bool {
        let place = self.iter().position(|holding| {
            let capability = &holding.capability;
            capability.name == name && capability.parameter.is_none() && holding.is_good(now_ms)
        });
        let (Some(place), Some(list)) = (place, &mut self.list) else {
            return false;
        };
        if list[place].budget.is_some()
            && let Some(budget) = &mut Arc::make_mut(list)[place].budget
        {
            *budget -= 1;
        }
        true
    }

    /// Adds a capability, in place of the same of the same grant.
    pub(crate) fn add(&mut self, holding: Holding) {
        Arc::make_mut(self.list.get_or_insert_default()).push(holding);
    }

    /// Moves `uses` from the budget of a holding; false when it has not as many.
    pub(crate) fn move_budget(&mut self, grant: GrantId, uses: u64) -> bool {
        let Some(list) = &mut self.list else {
            return false;
        };
        let list = Arc::make_mut(list);
        let holding = list.iter_mut().find(|holding| holding.grant == grant);
        match holding.and_then(|holding| holding.budget.as_mut()) {
            Some(budget) if *budget >= uses => {
                *budget -= uses;
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// Keeps only capabilities of these names.
    pub(crate) fn keep_only(&mut self, names: &[&str]) {
        let is_kept = |holding: &Holding| names.contains(&holding.capability.name.as_str());
        if !self.iter().all(is_kept) {
            *self = Holdings::new(
                self.iter()
                    .filter(|holding| is_kept(holding))
                    .cloned()
                    .collect(),
            );
        }
    }

    /// Removes what stands on a grant; whether there was any.
    pub(crate) fn remove(&mut self, grant: GrantId) -> bool {
        if !self.iter().any(|holding| holding.grant == grant) {
            return false;
        }
        let list = self.iter().filter(|holding| holding.grant != grant);
        *self = Holdings::new(list.cloned().collect());
        true
    }
}

portable!(struct Holding { capability, grant, budget, expires_ms, is_inherited });

impl Portable for Holdings {
    fn put(&self, out: &mut Out<'_>) {
        match &self.list {
            Some(list) => list.put(out),
            None => Vec::<Holding>::new().put(out),
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Holdings> {
        let mut ahead = input.from.clone();
        let list = Vec::<Holding>::get(input)?;
        let bytes = ahead.take(input.from.offset() - ahead.offset())?;
        if let Some(shared) = input.shared.holdings.get(bytes) {
            return Ok(shared.clone());
        }
        let holdings = Holdings::new(list);
        let shared = holdings.clone();
        input.shared.holdings.insert(bytes.to_vec(), shared);
        Ok(holdings)
    }
}
