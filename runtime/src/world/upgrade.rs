//! Upgrades: actors of one program go on in another one, in the middle of what they do.
//!
//! An upgrade is an input. All of an actor changes at once, between two ticks: its frames, its values, its mailbox, its way to begin
//! anew. One that cannot be changed as it stands is *pending*: now and then it has a turn instruction by instruction, which ends
//! where all of its frames can go on in the new program, and is tried again behind that tick. Whatever reaches an actor after the
//! upgrade, and whoever begins after it, is of the new program. What has no counterpart there stays what it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use pw_isa::op::Effects;
use pw_isa::wire::Decoded;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::fiber::start::Start;
use pw_jit::fiber::upgrade::{
    DeclaredFunction, DeclaredMap, Initial, NotMapped, Upgrade, UpgradeError,
};
use pw_jit::host::Host;
use pw_jit::reference::{self, Outcome};
use pw_jit::{CodeSpace, Fiber, State};

use super::{Input, ProgramId, World};
use crate::actor::{Actor, ActorId};
use crate::portable::{In, Out, Portable, Shared, bytes_of, portable, read_upgraded};

/// What an upgrade has done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UpgradeReport {
    /// Actors that are of the new program now.
    pub upgraded: u64,
    /// Actors that are still of the old one, and why.
    pub pending: Vec<(ActorId, String)>,
}

/// Between two tries of an actor are at most two to the power of this many ticks.
const DOUBLINGS_MAX: u32 = 6;

/// The upgrades of a world, and who is still to be upgraded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upgrades {
    /// In the order in which they came. A program is the old one of at most one of them, and the new one of none before that one.
    active: Vec<Active>,
    pending: BTreeMap<ActorId, Pending>,
}

#[derive(Clone, Debug)]
struct Active {
    from: u32,
    to: u32,
    declared: DeclaredMap,
    map: Arc<Upgrade>,
}

/// When an actor is tried again.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    tries: u32,
    /// In this tick, or in the first later one in which it has a turn.
    tick: u64,
}

impl Upgrades {
    fn add(&mut self, active: Active) {
        let Active { from, to, .. } = active;
        self.active
            .retain(|other| other.from != from && other.from != to);
        self.active.push(active);
    }

    /// Whether there are actors that are still to be upgraded.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether nothing is upgraded.
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Whether an actor is run up to a place where it can be upgraded.
    pub(crate) fn is_due(&self, actor: ActorId, tick: u64) -> bool {
        !self.pending.is_empty()
            && self
                .pending
                .get(&actor)
                .is_some_and(|pending| pending.tick <= tick)
    }

    /// Runs an actor instruction by instruction until its gas is at `slice_end`, or it stands where it can be upgraded, which
    /// looks to the caller as if the slice were over. It gets on by one instruction at least.
    pub(crate) fn run_to_point<H: Host>(
        &self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        host: &mut H,
        slice_end: u64,
    ) -> Outcome {
        let mut blocked = u32::MAX;
        loop {
            if let Some(outcome) = reference::advance(fiber, code, host, slice_end) {
                return outcome;
            }
            let (program, function, pc) = fiber.position();
            let op = &code.program(program).function(function).code[pc as usize];
            if fiber.depth() > blocked || !op.info().effects.has(Effects::SAFEPOINT) {
                continue;
            }
            match self.blocked_at(code, fiber) {
                Some(depth) => blocked = depth,
                None => return Outcome::Preempted,
            }
        }
    }

    /// The depth of the newest frame of a fiber that cannot go on in a new program; nothing when all can.
    fn blocked_at(&self, code: &CodeSpace, fiber: &Fiber) -> Option<u32> {
        let mut maps = self.active.iter();
        maps.find_map(|active| active.map.blocked_at(code, fiber))
    }

    /// What an actor begins with: code of a new program, if there is one and it has some for it.
    pub(crate) fn start(&self, code: &CodeSpace, start: &Start) -> Option<Start> {
        let mut new: Option<Start> = None;
        for active in &self.active {
            let old = new.as_ref().unwrap_or(start);
            new = Some(old.upgraded(code, &active.map).ok()?);
        }
        new
    }

    fn parcel(&self, code: &CodeSpace, parcel: &Parcel) -> Result<Parcel, NotMapped> {
        let mut new = parcel.clone();
        for active in &self.active {
            new = new.upgraded(code, &active.map)?;
        }
        Ok(new)
    }

    /// Whether a fiber runs an old program.
    fn concern(&self, fiber: &Fiber) -> bool {
        let is_old = |program| self.active.iter().any(|active| active.from == program);
        !self.is_empty() && fiber.frames().any(|frame| is_old(frame.program))
    }

    /// An actor as it is in the new programs; nothing when it is of no old one.
    fn actor(
        &self,
        code: &CodeSpace,
        actor: &Actor,
        shared: &mut Shared,
    ) -> Result<Option<Actor>, String> {
        let before = bytes_of(code, actor);
        let mut bytes = before.clone();
        let mut new = None;
        for active in &self.active {
            let signature = code.program(active.from).signature().0;
            if !bytes.windows(signature.len()).any(|at| at == signature) {
                continue;
            }
            let read = read_upgraded(code, &bytes, shared, &active.map, Actor::get);
            let upgraded = read.map_err(|error| error.what)?;
            bytes = bytes_of(code, &upgraded);
            new = Some(upgraded);
        }
        Ok(new.filter(|_| bytes != before))
    }
}

/// What became of an actor that was to be upgraded.
enum Tried {
    /// It is of no old program.
    Same,
    Upgraded,
    Pending(String),
}

impl World {
    /// Has all that runs one program go on in another one. What has the same name in both corresponds; the rest may be declared. Upgrading back
    /// is a rollback.
    ///
    /// # Errors
    /// Why there is no way from one to the other; then nothing has changed.
    pub fn upgrade(
        &mut self,
        from: ProgramId,
        to: ProgramId,
        declared: &DeclaredMap,
    ) -> Result<UpgradeReport, UpgradeError> {
        let (from, to) = (from.0, to.0);
        let map = Upgrade::new(&self.code, from, to, declared)?;
        self.note(|| Input::Upgrade {
            from,
            to,
            declared: declared.clone(),
        });
        Arc::make_mut(&mut self.upgrades).add(Active {
            from,
            to,
            declared: declared.clone(),
            map: Arc::new(map),
        });
        let mut report = UpgradeReport::default();
        let mut shared = self.shared_for_upgrades();
        let ids: Vec<ActorId> = self.actors.ids().collect();
        for id in ids {
            match self.and_back(id, |world| world.try_upgrade(id, &mut shared)) {
                Tried::Same => self.forget_pending(id),
                Tried::Upgraded => {
                    report.upgraded += 1;
                    self.forget_pending(id);
                }
                Tried::Pending(reason) => {
                    self.note_pending(id);
                    report.pending.push((id, reason));
                }
            }
        }
        Ok(report)
    }

    /// The actors that are still to be upgraded, and why they cannot be as they stand.
    pub fn pending_upgrades(&self) -> Vec<(ActorId, String)> {
        let mut shared = self.shared_for_upgrades();
        let actors = self.upgrades.pending.keys();
        let actors = actors.filter_map(|id| self.actors.get(*id));
        let reasons = actors.map(|actor| {
            let tried = self.upgrades.actor(&self.code, &actor, &mut shared);
            let reason = tried
                .err()
                .unwrap_or_else(|| "it was not tried yet".to_owned());
            (actor.id, reason)
        });
        reasons.collect()
    }

    fn shared_for_upgrades(&self) -> Shared {
        let mut shared = Shared::new(self.settings.memory_bytes);
        shared.tenants = self.tenants;
        shared
    }

    fn try_upgrade(&mut self, id: ActorId, shared: &mut Shared) -> Tried {
        let Some(actor) = self.actors.get(id) else {
            return Tried::Same;
        };
        let mut new = match self.upgrades.actor(&self.code, &actor, shared) {
            Ok(None) => return Tried::Same,
            Ok(Some(new)) => new,
            Err(reason) => return Tried::Pending(reason),
        };
        self.touch(id);
        if let Some(actor) = self.actors.get_mut(id) {
            // What is not in the bytes of an actor, or is shared with others.
            new.body.is_queued = actor.body.is_queued;
            new.body.mark = actor.body.mark;
            new.body.holdings = actor.body.holdings.clone();
            let rare = actor.body.rare.as_mut();
            if let Some(inspection) = rare.and_then(|rare| rare.inspection.take()) {
                new.body.rare_mut().inspection = Some(inspection);
            }
            *actor = new;
        }
        Tried::Upgraded
    }

    /// An actor is to be upgraded as soon as it can be.
    fn note_pending(&mut self, id: ActorId) {
        let tick = self.tick;
        let pending = &mut Arc::make_mut(&mut self.upgrades).pending;
        pending.entry(id).or_insert(Pending { tries: 0, tick });
    }

    /// An actor is not to be upgraded any more.
    pub(super) fn forget_pending(&mut self, id: ActorId) {
        if self.upgrades.pending.contains_key(&id) {
            Arc::make_mut(&mut self.upgrades).pending.remove(&id);
        }
    }

    /// The turns of a tick are over: actors that had theirs up to where they can be upgraded are.
    #[inline(never)]
    pub(super) fn go_on_upgrading(&mut self) {
        let mut shared = self.shared_for_upgrades();
        for turn in 0..self.scratch.list.len() {
            let id = self.scratch.list[turn].id;
            if !self.is_to_be_tried(id) {
                continue;
            }
            match self.try_upgrade(id, &mut shared) {
                Tried::Same | Tried::Upgraded => self.forget_pending(id),
                Tried::Pending(_) => {
                    let tick = self.tick;
                    let pending = &mut Arc::make_mut(&mut self.upgrades).pending;
                    let again = pending.entry(id).or_default();
                    again.tries = (again.tries + 1).min(DOUBLINGS_MAX);
                    again.tick = tick + (1 << again.tries);
                }
            }
        }
    }

    /// Whether an actor that has had a turn is tried again: when it was to be, or it waits, perhaps for ever, where it can go on.
    fn is_to_be_tried(&self, id: ActorId) -> bool {
        let Some(pending) = self.upgrades.pending.get(&id) else {
            return false;
        };
        let waits = |actor: &Actor| {
            let fiber = &actor.fiber;
            fiber.state() == State::Waiting && self.upgrades.blocked_at(&self.code, fiber).is_none()
        };
        pending.tick <= self.tick || self.actors.here(id).is_some_and(waits)
    }

    /// What reaches an actor is of the new program; what cannot be stays as it is, and has the actor listed.
    pub(super) fn upgraded_for(&mut self, to: ActorId, content: Parcel) -> Parcel {
        if self.upgrades.is_empty() {
            return content;
        }
        match self.upgrades.parcel(&self.code, &content) {
            Ok(new) => new,
            Err(_) => {
                self.note_pending(to);
                content
            }
        }
    }

    /// A new actor that begins with code that has no counterpart is to be upgraded later.
    pub(super) fn note_start(&mut self, id: ActorId) {
        let is_old = |actor: &Actor| self.upgrades.concern(&actor.fiber);
        if !self.upgrades.is_empty() && self.actors.here(id).is_some_and(is_old) {
            self.note_pending(id);
        }
    }

    /// Writes the upgrades, if there are any.
    pub(super) fn put_upgrades(&self, out: &mut Out<'_>) {
        if !self.upgrades.is_empty() {
            self.upgrades.put(out);
        }
    }
}

impl Portable for Active {
    fn put(&self, out: &mut Out<'_>) {
        self.from.put(out);
        self.to.put(out);
        self.declared.put(out);
    }

    fn get(input: &mut In<'_>) -> Decoded<Active> {
        let (from, to): (u32, u32) = Portable::get(input)?;
        let declared = DeclaredMap::get(input)?;
        let map = Upgrade::new(input.code, from, to, &declared);
        let map = map.map_err(|error| input.from.error(error.to_string()))?;
        Ok(Active {
            from,
            to,
            declared,
            map: Arc::new(map),
        })
    }
}

portable!(struct Upgrades { active, pending });
portable!(struct Pending { tries, tick });
portable!(struct DeclaredMap { functions, globals });
portable!(struct DeclaredFunction { from, to, variables, fresh, points });
portable!(enum Initial { 0 => Nil, 1 => Bool(value), 2 => Int(value), 3 => Float(value) });
