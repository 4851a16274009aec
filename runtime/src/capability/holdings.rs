//! What one actor holds. Children share the list of their parent as long as it is the same.

use std::sync::{Arc, OnceLock};

use pw_isa::wire::Decoded;
use pw_jit::host::{CapabilityName, Kept, fresh_number};

use super::grants::GrantId;
use crate::portable::{In, Out, Portable, bytes_of, portable};

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
    fn is_of(&self, names: &[&str]) -> bool {
        names.contains(&self.capability.name.as_str())
    }

    /// Whether it can be used.
    fn is_good(&self, now_ms: u64) -> bool {
        self.budget != Some(0) && self.expires_ms.is_none_or(|end| now_ms < end)
    }
}

/// All that an actor holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    list: Option<Arc<List>>,
}

#[derive(Clone, Debug)]
struct List {
    holdings: Vec<Holding>,
    /// Another one whenever there may be other capabilities that can be used; none where time alone changes that.
    number: Option<u64>,
    /// How it is written, once it was while many actors had it: it is written with each of them.
    written: OnceLock<Box<[u8]>>,
}

impl List {
    fn new(holdings: Vec<Holding>) -> List {
        let mut list = List {
            holdings,
            number: None,
            written: OnceLock::new(),
        };
        list.renew();
        list
    }

    /// Something of it has changed.
    fn renew(&mut self) {
        self.written = OnceLock::new();
        let changes = |holding: &Holding| holding.expires_ms.is_some();
        self.number = (!self.holdings.iter().any(changes)).then(fresh_number);
    }
}

/// The number of a list without holdings; fresh ones begin at 1.
const NOTHING: u64 = 0;

impl Holdings {
    /// These.
    pub(crate) fn new(list: Vec<Holding>) -> Holdings {
        Holdings {
            list: (!list.is_empty()).then(|| Arc::new(List::new(list))),
        }
    }

    /// What stands for what the actor can use: as long as it is the same, so is that. None where time changes it.
    pub(crate) fn number(&self) -> Option<u64> {
        let list = self.list.as_ref();
        list.map_or(Some(NOTHING), |list| list.number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Holding> {
        self.list.iter().flat_map(|list| list.holdings.iter())
    }

    /// What a child begins with that is started in a sandbox which keeps these, or outside of any.
    pub(crate) fn inherited(&self, kept: Option<&Kept>) -> Holdings {
        let is_kept =
            |holding: &Holding| holding.is_inherited && Kept::allows(kept, &holding.capability);
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
        self.find_plain(name, now_ms).is_some()
    }

    /// Whether using a capability without a parameter changes nothing about what the actor holds.
    pub(crate) fn is_unlimited(&self, name: &str, now_ms: u64) -> bool {
        let found = self.find_plain(name, now_ms);
        found.is_some_and(|holding| holding.budget.is_none())
    }

    fn find_plain(&self, name: &str, now_ms: u64) -> Option<&Holding> {
        self.iter().find(|holding| {
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
        if list.holdings[place].budget.is_some() {
            let list = Arc::make_mut(list);
            if let Some(budget) = &mut list.holdings[place].budget {
                *budget -= 1;
            }
            list.renew();
        }
        true
    }

    /// Adds a capability, in place of the same of the same grant.
    pub(crate) fn add(&mut self, holding: Holding) {
        let list = self
            .list
            .get_or_insert_with(|| Arc::new(List::new(Vec::new())));
        let list = Arc::make_mut(list);
        list.holdings.push(holding);
        list.renew();
    }

    /// Moves `uses` from the budget of a holding; false when it has not as many.
    pub(crate) fn move_budget(&mut self, grant: GrantId, uses: u64) -> bool {
        let Some(list) = &mut self.list else {
            return false;
        };
        let list = Arc::make_mut(list);
        let holding = list
            .holdings
            .iter_mut()
            .find(|holding| holding.grant == grant);
        match holding.and_then(|holding| holding.budget.as_mut()) {
            Some(budget) if *budget >= uses => {
                *budget -= uses;
                list.renew();
                true
            }
            Some(_) => false,
            None => true,
        }
    }

    /// Keeps only capabilities of these names.
    pub(crate) fn keep_only(&mut self, names: &[&str]) {
        if !self.are_only(names) {
            let kept = self.iter().filter(|holding| holding.is_of(names));
            *self = Holdings::new(kept.cloned().collect());
        }
    }

    /// Whether there are none but of these names.
    pub(crate) fn are_only(&self, names: &[&str]) -> bool {
        self.iter().all(|holding| holding.is_of(names))
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
            Some(list) if Arc::strong_count(list) > 1 => {
                let write = || bytes_of(out.code, &list.holdings).into();
                out.to
                    .bytes
                    .extend_from_slice(list.written.get_or_init(write));
            }
            Some(list) => list.holdings.put(out),
            None => out.to.varint(0),
        }
    }

    fn get(input: &mut In<'_>) -> Decoded<Holdings> {
        // Where a list ends depends on nothing behind it: the same bytes are the same list, and need not be read again.
        if let Some((bytes, holdings)) = &input.shared.last_holdings
            && input.from.rest().starts_with(bytes)
        {
            input.from.take(bytes.len())?;
            return Ok(holdings.clone());
        }
        let mut ahead = input.from.clone();
        let list = Vec::<Holding>::get(input)?;
        let bytes = ahead.take(input.from.offset() - ahead.offset())?;
        let known = &mut input.shared.holdings;
        let holdings = match known.get(bytes) {
            Some(known) => known.clone(),
            None => {
                let holdings = Holdings::new(list);
                known.insert(bytes.to_vec(), holdings.clone());
                holdings
            }
        };
        input.shared.last_holdings = Some((bytes.to_vec(), holdings.clone()));
        Ok(holdings)
    }
}
