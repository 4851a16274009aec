//! What one actor holds. Children share the list of their parent as long as it is the same.

use std::sync::Arc;

use pw_isa::wire::Writer;
use pw_jit::CodeSpace;
use pw_jit::host::{CapabilityName, Kept};

use super::grants::GrantId;

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

    /// What a child begins with that is started in a sandbox which keeps these, or outside of any.
    pub(crate) fn inherited(&self, kept: Option<&Kept>) -> Holdings {
        let is_kept = |holding: &Holding| {
            holding.is_inherited && Kept::allows(kept, &holding.capability)
        };
        if self.iter().all(is_kept) {
            return self.clone();
        }
        let inherited = self.iter().filter(|holding| is_kept(holding));
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

    /// Removes what stands on a grant; whether there was any.
    pub(crate) fn remove(&mut self, grant: GrantId) -> bool {
        if !self.iter().any(|holding| holding.grant == grant) {
            return false;
        }
        let list = self.iter().filter(|holding| holding.grant != grant);
        *self = Holdings::new(list.cloned().collect());
        true
    }

    pub(crate) fn write(&self, code: &CodeSpace, out: &mut Writer) {
        out.varint(self.iter().count() as u64);
        for holding in self.iter() {
            holding.capability.write(code, out);
            out.varint(holding.grant.0);
            for number in [holding.budget, holding.expires_ms] {
                out.u8(u8::from(number.is_some()));
                out.varint(number.unwrap_or(0));
            }
            out.u8(u8::from(holding.is_inherited));
        }
    }
}
