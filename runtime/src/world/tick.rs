//! One tick: inputs, the run list, slices, the boundary.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pw_jit::CodeSpace;
use pw_jit::interp::profile::Profile;

use super::{Input, Pace, Upgrades, World, WorldEvent};
use crate::WorldSettings;
use crate::actor::{Actor, ActorId, Common, Due, End, Outbox, Status, Wait, Way, run_slice};
use crate::host::HostFunctions;
use crate::schedule::{Turn, Work};

/// Chunks of a run list for each thread: more of them share the work better, and each costs a little.
const CHUNKS_EACH: usize = 8;
/// The most actors in a chunk.
const CHUNK_MAX: usize = 64;

/// Why a world stopped running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// Nobody can run, no timer is set, no call of an embedder's function is open; or the history of the world cannot be kept any more
    /// ([`World::history_error`]), it has halted ([`World::halted`]), or an actor is lost ([`World::hibernation_error`]).
    Idle,
    /// So many ticks have passed.
    Ticks,
}

impl World {
    /// One tick. Whether anybody had a turn. A world that has halted or lost an actor does none.
    pub fn tick(&mut self) -> bool {
        if tracing::enabled!(tracing::Level::TRACE) {
            return self.tick_in_span();
        }
        self.do_tick()
    }

    #[inline(never)]
    fn tick_in_span(&mut self) -> bool {
        let _entered = tracing::trace_span!("tick", number = self.tick).entered();
        self.do_tick()
    }

    /// One tick, in three parts of which most worlds need but what is done here: what comes before the turns, the turns and their
    /// deeds, and what comes behind them.
    #[inline(always)]
    fn do_tick(&mut self) -> bool {
        let way = self.way;
        if self.has_work_before_turns() && !self.prepare_tick() {
            return false;
        }
        // A tick that was left by a panic may have left something of its own.
        self.scratch.clear();
        let list = &mut self.scratch.list;
        let reserved = self.ready.pick(&self.actors, &self.settings, list);
        if self.notes_turns() {
            self.note_turns();
        }
        let turns = self.scratch.list.len();
        // Nobody is first for ever. So deeds are in the order in which they take effect from the beginning.
        if turns > 1 {
            let first = (self.tick % turns as u64) as usize;
            self.scratch.list.rotate_left(first);
        }
        self.statistics.slices += turns as u64;
        if self.pool.threads() > 1 && turns > 1 && reserved > self.settings.alone_gas {
            self.run_together();
        } else {
            self.run_here();
        }
        if self.keeps_history() {
            self.gathering(World::boundary);
        } else {
            self.boundary();
        }
        if self.upgrades.has_pending() {
            self.go_on_upgrading();
        }
        if self.is_observed() {
            self.tell_tick(turns);
        }
        self.tick += 1;
        if self.has_work_behind_turns() {
            return self.finish_tick(way, turns);
        }
        turns > 0
    }

    /// Whether anything is to be done before the turns of a tick: [`World::prepare_tick`] knows what.
    #[inline(always)]
    fn has_work_before_turns(&self) -> bool {
        self.outside.has_news()
            || !self.debtors.is_empty()
            || self.monitoring.is_some()
            || self.marker.is_some()
            || self.halted().is_some()
            || self.has_lost_actors()
    }

    /// What comes before the turns; false where there are to be none.
    #[inline(never)]
    fn prepare_tick(&mut self) -> bool {
        if self.has_lost_actors() || self.halted().is_some() {
            return false;
        }
        self.enter_tick();
        if self.outside.has_news() {
            self.take_inputs();
        }
        if self.monitoring.is_some() {
            self.keep_watch();
        }
        if !self.debtors.is_empty() {
            self.let_debtors_run();
        }
        true
    }

    /// Whether anything is to be done about the turns that were given: [`World::note_turns`] knows what.
    #[inline(always)]
    fn notes_turns(&self) -> bool {
        self.notes_changes() || self.keeps_history() || !self.pools.is_empty()
    }

    #[inline(never)]
    fn note_turns(&mut self) {
        let mut list = std::mem::take(&mut self.scratch.list);
        if self.notes_changes() {
            list.iter().for_each(|turn| self.touch(turn.id));
        }
        self.note_tick();
        if !self.pools.is_empty() {
            self.take_leases(&mut list);
        }
        self.scratch.list = list;
    }

    /// Whether anything is to be done behind the turns of a tick: [`World::finish_tick`] knows what.
    #[inline(always)]
    fn has_work_behind_turns(&self) -> bool {
        self.trajectory.is_some()
            || self.keeps_history()
            || self.has_lost_actors()
            || self.actors.can_hibernate()
            || self.marker.is_some()
            || self.wants_back()
            || !self.gauges.is_empty()
    }

    /// Tells observers of the tick, which counts when they have been told.
    #[inline(never)]
    fn tell_tick(&mut self, turns: usize) {
        let number = self.tick;
        self.tell_event(&WorldEvent::Tick { number, turns });
    }

    /// What comes behind the turns of a tick, of which there were so many. Whether anybody had one.
    #[inline(never)]
    fn finish_tick(&mut self, way: Way, turns: usize) -> bool {
        if self.has_lost_actors() {
            // What has become of the state means nothing.
            return false;
        }
        if self.trajectory.is_some() {
            self.note_trajectory();
        }
        if self.keeps_history() {
            self.note_tick_end();
        }
        self.hibernate_some(turns);
        self.leave_tick(way);
        self.go_back_if_wanted();
        self.set_gauges();
        turns > 0
    }

    /// A tick begins.
    fn enter_tick(&mut self) {
        if let Some(marker) = &mut self.marker {
            marker.enter(self.tick);
            if marker.wants_reference(self.tick) {
                self.way = Way::Reference;
            }
        }
    }

    /// The tick is over, and others are executed like this.
    fn leave_tick(&mut self, way: Way) {
        let Some(marker) = &mut self.marker else {
            return;
        };
        self.way = way;
        if marker.leave() {
            self.begin_checkpoint();
        }
    }

    /// Runs the actors of the run list on this thread.
    #[inline(always)]
    fn run_here(&mut self) {
        let World {
            actors,
            profile,
            scratch,
            ..
        } = self;
        let common = Common {
            code: &self.code,
            settings: &self.settings,
            hosts: &self.hosts,
            upgrades: &self.upgrades,
            way: self.way,
            tick: self.tick,
            now_ms: self.clock.now_ms(),
        };
        for turn in &mut scratch.list {
            let Some(actor) = actors.get_mut(turn.id) else {
                unreachable!("an actor of the run list is there")
            };
            turn.is_over = run_slice(actor, &common, profile, &mut scratch.out, turn.gas);
            turn.deeds_end = scratch.out.deeds.len();
        }
    }

    /// Runs the actors of the run list on all threads, each of which owns what it changes: their boxes are outside of the table
    /// meanwhile.
    #[inline(never)]
    fn run_together(&mut self) {
        let list = &mut self.scratch.list;
        let size = list
            .len()
            .div_ceil(self.pool.threads() * CHUNKS_EACH)
            .clamp(1, CHUNK_MAX);
        let mut take_out = |turn: &Turn| match self.actors.take_out(turn.id) {
            Some(actor) => (actor, turn.gas),
            None => unreachable!("an actor of the run list is there"),
        };
        let chunks: Vec<Mutex<Chunk>> = list
            .chunks(size)
            .map(|turns| {
                Mutex::new(Chunk {
                    waiting: turns.iter().map(&mut take_out).collect(),
                    ran: Vec::new(),
                    out: Outbox::default(),
                })
            })
            .collect();
        let slices = Arc::new(Slices {
            code: Arc::clone(&self.code),
            settings: self.settings,
            hosts: Arc::clone(&self.hosts),
            upgrades: Arc::clone(&self.upgrades),
            way: self.way,
            tick: self.tick,
            now_ms: self.clock.now_ms(),
            chunks,
        });
        self.pool
            .run(Box::new(Arc::clone(&slices)), &mut self.profile);
        let out = &mut self.scratch.out;
        // The chunks are those of the list, in its order.
        let mut turns = list.iter_mut();
        for chunk in &slices.chunks {
            let mut chunk = lock(chunk);
            let before = out.deeds.len();
            for ((actor, deeds_end, is_over), turn) in chunk.ran.drain(..).zip(&mut turns) {
                turn.deeds_end = before + deeds_end;
                turn.is_over = is_over;
                self.actors.put_back(actor);
            }
            out.deeds.append(&mut chunk.out.deeds);
        }
    }

    /// Actors that have paid for what they used beyond their slices can run again.
    #[inline(never)]
    fn let_debtors_run(&mut self) {
        while let Some(entry) = self.debtors.first_entry() {
            if *entry.key() > self.tick {
                return;
            }
            for id in entry.remove() {
                let Some(body) = self.body(id) else { continue };
                let status = std::mem::replace(&mut body.status, Status::Ready);
                match status {
                    Status::Waits(Wait::Debt(status)) => {
                        body.status = *status;
                        self.enqueue(id);
                    }
                    other => body.status = other,
                }
            }
        }
    }

    /// Runs ticks until nobody can run any more.
    pub fn run_to_idle(&mut self) -> Stopped {
        while self.advance() {}
        Stopped::Idle
    }

    /// Runs so many ticks, or fewer if the world becomes idle.
    pub fn run_ticks(&mut self, ticks: u64) -> Stopped {
        for _ in 0..ticks {
            if !self.advance() {
                return Stopped::Idle;
            }
        }
        Stopped::Ticks
    }

    /// Runs until an actor ends that was started from outside; nothing when the world becomes idle before.
    pub fn run_until_end(&mut self, actor: ActorId) -> Option<End> {
        loop {
            if !self.ends.is_empty()
                && let Some(end) = self.take_end(actor)
            {
                return Some(end);
            }
            if !self.advance() {
                return None;
            }
        }
    }

    /// Whether there is anything to do in a tick now.
    pub(super) fn can_tick(&self) -> bool {
        !self.ready.is_empty() || !self.debtors.is_empty() || self.outside.has_news()
    }

    /// One tick if there is anything to do in it, now or when a timer ends or an answer arrives; false when the
    /// world is idle.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> bool {
        if self.history_has_failed() {
            // Nothing would leave it any more.
            return false;
        }
        if !self.can_tick() && !self.wait_for_work() {
            return false;
        }
        self.tick();
        true
    }

    /// Waits for something to do, or goes to the time when there is; false when there will be nothing.
    #[inline(never)]
    fn wait_for_work(&mut self) -> bool {
        self.hand_history_over();
        if self.outside.calls.is_open() {
            self.outside.sleep(None);
        } else if self.has_open_requests() {
            return false;
        } else if let (Pace::Jumps, Some(at)) = (self.clock.pace, self.clock.next_ms()) {
            self.tell_time(at);
        } else {
            return false;
        }
        true
    }

    /// The world's time is so many milliseconds, unless it is later already; waits whose time is up end.
    pub(super) fn tell_time(&mut self, now_ms: u64) {
        let next_ms = self.clock.next_ms();
        let is_news = now_ms > self.clock.now_ms() || next_ms.is_some_and(|next| next <= now_ms);
        if !is_news {
            return;
        }
        self.note(|| Input::Clock(now_ms));
        self.clock.advance(now_ms);
        self.fire_timers();
    }

    /// Ends the waits whose time is up.
    fn fire_timers(&mut self) {
        while let Some(timer) = self.clock.pop_due() {
            if timer.is_park {
                self.park_is_late(timer.actor, timer.wait);
                continue;
            }
            let Some(body) = self.body(timer.actor) else {
                continue;
            };
            if body.waits != timer.wait {
                continue;
            }
            match &body.status {
                Status::Waits(Wait::Message) => self.wake(timer.actor, Due::Nil),
                Status::Waits(Wait::Reply { to }) => {
                    let to = *to;
                    self.forget_request(timer.actor, timer.wait, to);
                    let error = (
                        pw_isa::ErrorKind::Timeout,
                        format!("actor {to} has not replied in time"),
                    );
                    self.wake(timer.actor, Due::Answer(Box::new(Err(error))));
                }
                Status::Waits(Wait::Boundary) => self.ballot_is_late(timer.actor, timer.wait),
                _ => {}
            }
        }
        self.finish_late_ends();
    }
}

/// A part of a run list.
#[derive(Debug)]
struct Chunk {
    /// With the gas that they may use.
    waiting: Vec<(Box<Actor>, u64)>,
    /// Those that had their turns, where their deeds end, and whether nothing is to be done about them then.
    ran: Vec<(Box<Actor>, usize, bool)>,
    out: Outbox,
}

/// The slices of a tick, for several threads.
#[derive(Debug)]
struct Slices {
    code: Arc<CodeSpace>,
    settings: WorldSettings,
    hosts: Arc<HostFunctions>,
    upgrades: Arc<Upgrades>,
    way: Way,
    tick: u64,
    now_ms: u64,
    chunks: Vec<Mutex<Chunk>>,
}

fn lock(chunk: &Mutex<Chunk>) -> MutexGuard<'_, Chunk> {
    // A panic of a turn is passed on when the tick is over.
    chunk.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work<Profile> for Arc<Slices> {
    fn chunks(&self) -> usize {
        self.chunks.len()
    }

    fn run(&self, chunk: usize, profile: &mut Profile) {
        let mut chunk = lock(&self.chunks[chunk]);
        let Chunk { waiting, ran, out } = &mut *chunk;
        let common = Common {
            code: &self.code,
            settings: &self.settings,
            hosts: &self.hosts,
            upgrades: &self.upgrades,
            way: self.way,
            tick: self.tick,
            now_ms: self.now_ms,
        };
        for (mut actor, gas) in waiting.drain(..) {
            let is_over = run_slice(&mut actor, &common, profile, out, gas);
            ran.push((actor, out.deeds.len(), is_over));
        }
    }
}
