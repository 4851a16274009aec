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

/// Checks a state, whose actors are all in memory, and tells them which of them are queued.
pub(super) fn check(system: &System, powers: &Powers, actors: &mut ActorTable) -> Checked {
    ensure(system.next_id < NUMBER_MAX, || {
        format!("numbers of actors go to {}", system.next_id)
    })?;
    system.check(NUMBER_MAX).map_err(contradiction)?;
    for actor in actors.iter_here() {
        check_actor(actor, system)?;
    }
    check_leases(system, actors)?;
    check_queue(system, actors)?;
    check_children(system, actors)?;
    check_pools(system, actors)?;
    powers.grants.check().map_err(contradiction)?;
    powers.ballots.check().map_err(contradiction)?;
    system.clock.check().map_err(contradiction)
}

fn check_actor(actor: &Actor, system: &System) -> Checked {
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
fn check_leases(system: &System, actors: &ActorTable) -> Checked {
    let mut leases: Vec<(u64, u64)> = actors
        .iter_here()
        .filter_map(|actor| actor.body.ids.as_deref())
        .map(|lease| lease.range())
        .filter(|(first, end)| first < end)
        .collect();
    leases.sort_unstable();
    let mut before = 1;
    for (first, end) in &leases {
        ensure(*first >= before && *end <= system.next_id, || {
            format!("the numbers {first} to {end} belong to more than one")
        })?;
        before = *end;
    }
    let starts: BTreeMap<u64, u64> = leases.into_iter().collect();
    for actor in actors.iter_here() {
        let lease = starts.range(..=actor.id.0).next_back();
        ensure(lease.is_none_or(|(_, end)| *end <= actor.id.0), || {
            format!("the number of actor {} is to be given again", actor.id)
        })?;
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

/// Everybody is counted by the parent.
fn check_children(system: &System, actors: &ActorTable) -> Checked {
    let mut children: BTreeMap<ActorId, u64> = BTreeMap::new();
    let gone = system.ancestors.iter();
    let parents = actors.iter_here().map(|actor| actor.body.parent);
    for parent in parents.chain(gone.clone().map(|(_, parent, _)| parent)) {
        *children.entry(parent).or_default() += 1;
    }
    let counted = actors
        .iter_here()
        .map(|actor| (actor.id, actor.body.children));
    for (id, count) in counted.chain(gone.clone().map(|(id, _, count)| (id, count))) {
        let found = children.get(&id).copied().unwrap_or(0);
        ensure(found == u64::from(count), || {
            format!("actor {id} has {found} children, and counts {count}")
        })?;
    }
    let ended: BTreeSet<ActorId> = gone.clone().map(|(id, ..)| id).collect();
    let is_known =
        |id: &ActorId| *id == ActorId::OUTSIDE || actors.contains(*id) || ended.contains(id);
    if let Some(stranger) = children.keys().find(|id| !is_known(id)) {
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
fn check_pools(system: &System, actors: &ActorTable) -> Checked {
    system.pools.check(NUMBER_MAX).map_err(contradiction)?;
    let mut members: BTreeMap<PoolId, u64> = BTreeMap::new();
    for actor in actors.iter_here().filter(|actor| actor.body.pool.0 != 0) {
        let chain = system.pools.chain_of(actor.body.pool);
        let mut is_there = false;
        for (pool, owner) in chain {
            is_there = true;
            *members.entry(pool).or_default() += u64::from(owner != actor.id);
        }
        ensure(is_there, || {
            format!(
                "actor {} is in pool {}, which is not there",
                actor.id, actor.body.pool.0
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
