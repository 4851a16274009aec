//! Whether the parts of a state that was read fit to each other: what the rest of the world relies on, and what its parts by themselves
//! cannot show.

use std::collections::{BTreeMap, BTreeSet};

use pw_jit::fiber::State;

use super::state::{Powers, System};
use crate::actor::{Actor, ActorId, ActorTable, Due, Status};
use crate::checkpoint::RecoveryError;
use crate::quota::PoolId;

/// Beyond it no number of a world that ran comes.
const NUMBER_MAX: u64 = 1 << 62;

type Checked = Result<(), RecoveryError>;

fn contradiction(text: impl Into<String>) -> RecoveryError {
    RecoveryError::Contradiction(text.into())
}

fn ensure(fits: bool, text: impl FnOnce() -> String) -> Checked {
    if fits {
        Ok(())
    } else {
        Err(contradiction(text()))
    }
}

/// What has to fit together about an actor.
#[derive(Clone, Copy, Debug)]
struct Counted {
    id: ActorId,
    parent: ActorId,
    children: u32,
    pool: PoolId,
}

/// What of actors has to fit together: noted when each is read, so that nobody has to look for a million of them again.
#[derive(Debug)]
pub(super) struct Census {
    /// By rising number, when all are there.
    counted: Vec<Counted>,
    /// Numbers that actors may give their children: the first, and the one behind the last.
    leases: Vec<(u64, u64)>,
}

impl Census {
    /// Of nobody so far, with room for so many.
    pub(super) fn with_capacity(actors: usize) -> Census {
        Census {
            counted: Vec::with_capacity(actors),
            leases: Vec::new(),
        }
    }

    /// Counts an actor.
    pub(super) fn count(&mut self, actor: &Actor) {
        self.counted.push(Counted {
            id: actor.id,
            parent: actor.body.parent,
            children: actor.body.children,
            pool: actor.body.pool,
        });
        let lease = actor.body.ids.as_deref().map(|lease| lease.range());
        self.leases.extend(lease.filter(|(first, end)| first < end));
    }

    /// Adds those of another one.
    pub(super) fn append(&mut self, mut other: Census) {
        self.counted.append(&mut other.counted);
        self.leases.append(&mut other.leases);
    }

    fn sort(&mut self) {
        if !self.counted.is_sorted_by_key(|of| of.id) {
            self.counted.sort_unstable_by_key(|of| of.id);
        }
        self.leases.sort_unstable();
    }
}

/// Checks what belongs to no actor by itself: to be done before actors are read.
pub(super) fn check_system(system: &System) -> Checked {
    ensure(system.next_id < NUMBER_MAX, || {
        format!("numbers of actors go to {}", system.next_id)
    })?;
    system.check(NUMBER_MAX).map_err(contradiction)
}

/// Checks whether the parts of a state fit to each other, whose actors are all in memory, were counted, and were checked by themselves;
/// and tells them which of them are queued.
pub(super) fn check(
    system: &System,
    powers: &Powers,
    mut census: Census,
    actors: &mut ActorTable,
) -> Checked {
    census.sort();
    check_leases(system, &census)?;
    check_queue(system, actors)?;
    check_children(system, &census.counted, actors)?;
    check_pools(system, &census.counted)?;
    powers.grants.check().map_err(contradiction)?;
    powers.ballots.check().map_err(contradiction)?;
    system.clock.check().map_err(contradiction)
}

/// Checks an actor by itself.
pub(super) fn check_actor(actor: &Actor, system: &System) -> Checked {
    let (id, body) = (actor.id, &actor.body);
    let ends = matches!(body.status, Status::Ended(_));
    ensure(
        ends || !matches!(actor.fiber.state(), State::Done(_)),
        || format!("actor {id} goes on, and its program has ended"),
    )?;
    let is_due = matches!(body.status, Status::Due(Due::Message));
    ensure(!is_due || !body.mailbox.is_empty(), || {
        format!("actor {id} is about to get a message, and has none")
    })?;
    ensure(body.tenant < system.tenants, || {
        format!(
            "actor {id} is of tenant {}, which is not there",
            body.tenant
        )
    })?;
    ensure(body.parent < id, || {
        format!("actor {id} descends from actor {}", body.parent)
    })?;
    ensure(
        actor.fiber.gas_used() < NUMBER_MAX && body.debt < NUMBER_MAX,
        || format!("actor {id} used {} gas", actor.fiber.gas_used()),
    )?;
    ensure(u64::from(body.allowance) <= system.slice_max(), || {
        format!("the next turn of actor {id} is {} gas", body.allowance)
    })?;
    ensure(body.waits < NUMBER_MAX, || {
        format!("actor {id} waited {} times", body.waits)
    })
}

/// Numbers that actors may give their children are given to nobody else.
fn check_leases(system: &System, census: &Census) -> Checked {
    let mut before = 1;
    for (first, end) in &census.leases {
        ensure(*first >= before && *end <= system.next_id, || {
            format!("the numbers {first} to {end} belong to more than one")
        })?;
        before = *end;
        let next = census.counted.partition_point(|of| of.id.0 < *first);
        let next = census.counted.get(next);
        if let Some(of) = next.filter(|of| of.id.0 < *end) {
            let text = format!("the number of actor {} is to be given again", of.id);
            return Err(contradiction(text));
        }
    }
    Ok(())
}

/// Whoever is queued can run.
fn check_queue(system: &System, actors: &mut ActorTable) -> Checked {
    let mut queued = BTreeSet::new();
    for (id, tenant) in system.ready.iter() {
        ensure(queued.insert(id), || format!("actor {id} is queued twice"))?;
        // One that has ended may still be there.
        let Some(actor) = actors.get_mut(id) else {
            continue;
        };
        let can_run = matches!(actor.body.status, Status::Ready | Status::Due(_));
        ensure(can_run && actor.body.tenant == tenant, || {
            format!("actor {id} is queued, and cannot run")
        })?;
        actor.body.is_queued = true;
    }
    Ok(())
}

/// How many children there are of each parent that has some, by rising number.
fn children_of(parents: impl Iterator<Item = ActorId>) -> Vec<(ActorId, u64)> {
    let mut children: Vec<(ActorId, u64)> = Vec::new();
    for parent in parents {
        // Siblings often have neighbouring numbers.
        match children.last_mut() {
            Some((last, count)) if *last == parent => *count += 1,
            _ => children.push((parent, 1)),
        }
    }
    children.sort_unstable();
    children.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        kept.1 += if is_same { next.1 } else { 0 };
        is_same
    });
    children
}

/// Everybody is counted by the parent.
fn check_children(system: &System, counted: &[Counted], actors: &ActorTable) -> Checked {
    let gone = system.ancestors.iter();
    let parents = counted.iter().map(|of| of.parent);
    let children = children_of(parents.chain(gone.clone().map(|(_, parent, _)| parent)));
    let count = |id: ActorId, count: u32, behind: &mut usize| {
        // Numbers rise, and so do those of parents.
        while children.get(*behind).is_some_and(|(of, _)| *of < id) {
            *behind += 1;
        }
        let found = children.get(*behind).filter(|(of, _)| *of == id);
        let found = found.map_or(0, |(_, count)| *count);
        ensure(found == u64::from(count), || {
            format!("actor {id} has {found} children, and counts {count}")
        })
    };
    let (mut of_actors, mut of_gone) = (0, 0);
    for of in counted {
        count(of.id, of.children, &mut of_actors)?;
    }
    for (id, _, children) in gone.clone() {
        count(id, children, &mut of_gone)?;
    }
    let ended: BTreeSet<ActorId> = gone.clone().map(|(id, ..)| id).collect();
    let is_known =
        |id: &ActorId| *id == ActorId::OUTSIDE || actors.contains(*id) || ended.contains(id);
    let mut parents = children.iter().map(|(id, _)| id);
    if let Some(stranger) = parents.find(|id| !is_known(id)) {
        let text = format!("somebody descends from actor {stranger}, which is not known");
        return Err(contradiction(text));
    }
    for (id, parent, _) in gone {
        ensure(parent < id && !actors.contains(id), || {
            format!("actor {id} is gone, and is there, or descends from {parent}")
        })?;
    }
    Ok(())
}

/// Everybody is counted by the pools.
fn check_pools(system: &System, counted: &[Counted]) -> Checked {
    system.pools.check(NUMBER_MAX).map_err(contradiction)?;
    let mut members: BTreeMap<PoolId, u64> = BTreeMap::new();
    for actor in counted.iter().filter(|actor| actor.pool.0 != 0) {
        let chain = system.pools.chain_of(actor.pool);
        let mut is_there = false;
        for (pool, owner) in chain {
            is_there = true;
            *members.entry(pool).or_default() += u64::from(owner != actor.id);
        }
        ensure(is_there, || {
            format!(
                "actor {} is in pool {}, which is not there",
                actor.id, actor.pool.0
            )
        })?;
    }
    for (pool, count) in system.pools.children() {
        let found = members.get(&pool).copied().unwrap_or(0);
        ensure(found == count, || {
            format!("pool {} has {found} actors, and counts {count}", pool.0)
        })?;
    }
    Ok(())
}
