//! One tick: inputs, the run list, slices, the boundary.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pw_jit::CodeSpace;
use pw_jit::interp::profile::Profile;

use super::{Input, Pace, Ran, Upgrades, World, WorldEvent};
use crate::WorldSettings;
use crate::actor::{Actor, ActorId, Common, Deed, Due, End, Status, Wait, Way, run_slice};
use crate::host::HostFunctions;
use crate::schedule::{Turn, Work};

/// Chunks of a run list for each thread: more of them share the work better, and each costs a little.
const CHUNKS_EACH: usize = 8;
/// The most actors in a chunk.
const CHUNK_MAX: usize = 64;

/// Why a world stopped running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// Nobody can run, no timer is set, no call of an embedder's function is open.
    Idle,
    /// So many ticks have passed.
    Ticks,
}

impl World {
    /// One tick. Whether anybody had a turn.
    pub fn tick(&mut self) -> bool {
        let span = tracing::trace_span!("tick", number = self.tick);
        let _entered = span.enter();
        self.take_inputs();
        self.keep_watch();
        self.let_debtors_run();
        let mut list = std::mem::take(&mut self.scratch.list);
        let reserved = self.ready.pick(&mut self.actors, &self.settings, &mut list);
        for turn in &list {
            self.touch(turn.id);
        }
        self.note_tick();
        self.take_leases(&mut list);
        let turns = list.len();
        self.statistics.slices += turns as u64;
        if self.pool.threads() > 1 && list.len() > 1 && reserved > self.settings.alone_gas {
            self.run_together(&list);
        } else {
            self.run_here(&list);
        }
        self.boundary();
        self.go_on_upgrading(&list);
        list.clear();
        self.scratch.list = list;
        if self.is_observed() {
            let number = self.tick;
            self.tell_event(&WorldEvent::Tick { number, turns });
        }
        self.tick += 1;
        self.note_trajectory();
        self.note_tick_end();
        turns > 0
    }

    /// Takes an actor of the run list out of the table.
    fn take_out(&mut self, id: ActorId) -> Box<Actor> {
        match self.actors.take_out(id) {
            Some(actor) => actor,
            None => unreachable!("an actor of the run list is there"),
        }
    }

    /// Runs the actors of a list on this thread.
    fn run_here(&mut self, list: &[Turn]) {
        let mut ran = std::mem::take(&mut self.scratch.ran);
        let mut deeds = std::mem::take(&mut self.scratch.deeds);
        for turn in list {
            let mut actor = self.take_out(turn.id);
            let common = Common {
                code: &self.code,
                settings: &self.settings,
                hosts: &self.hosts,
                upgrades: &self.upgrades,
                way: self.way,
                tick: self.tick,
                now_ms: self.clock.now_ms(),
            };
            run_slice(&mut actor, common, &mut self.profile, &mut deeds, turn.gas);
            ran.push(Ran {
                actor,
                deeds_end: deeds.len(),
            });
        }
        self.scratch.ran = ran;
        self.scratch.deeds = deeds;
    }

    /// Runs the actors of a list on all threads.
    fn run_together(&mut self, list: &[Turn]) {
        let size = list
            .len()
            .div_ceil(self.pool.threads() * CHUNKS_EACH)
            .clamp(1, CHUNK_MAX);
        let chunks: Vec<Mutex<Chunk>> = list
            .chunks(size)
            .map(|turns| {
                let actors = turns.iter().map(|turn| (self.take_out(turn.id), turn.gas));
                Mutex::new(Chunk {
                    waiting: actors.collect(),
                    ran: Vec::new(),
                    deeds: Vec::new(),
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
        for chunk in &slices.chunks {
            let mut chunk = lock(chunk);
            let before = self.scratch.deeds.len();
            let ran = chunk.ran.drain(..).map(|ran| Ran {
                deeds_end: before + ran.deeds_end,
                ..ran
            });
            self.scratch.ran.extend(ran);
            self.scratch.deeds.append(&mut chunk.deeds);
        }
    }

    /// Actors that have paid for what they used beyond their slices can run again.
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
            if let Some(end) = self.take_end(actor) {
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
    pub(super) fn advance(&mut self) -> bool {
        if !self.can_tick() {
            self.hand_history_over();
            if self.outside.calls.is_open() {
                self.outside.wait_for_news();
            } else if self.has_open_requests() {
                return false;
            } else if let (Pace::Jumps, Some(at)) = (self.clock.pace, self.clock.next_ms()) {
                self.tell_time(at);
            } else {
                return false;
            }
        }
        self.tick();
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
    ran: Vec<Ran>,
    deeds: Vec<Deed>,
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

impl Work for Arc<Slices> {
    fn chunks(&self) -> usize {
        self.chunks.len()
    }

    fn run(&self, chunk: usize, profile: &mut Profile) {
        let mut chunk = lock(&self.chunks[chunk]);
        let Chunk {
            waiting,
            ran,
            deeds,
        } = &mut *chunk;
        for (mut actor, gas) in waiting.drain(..) {
            let common = Common {
                code: &self.code,
                settings: &self.settings,
                hosts: &self.hosts,
                upgrades: &self.upgrades,
                way: self.way,
                tick: self.tick,
                now_ms: self.now_ms,
            };
            run_slice(&mut actor, common, profile, deeds, gas);
            ran.push(Ran {
                actor,
                deeds_end: deeds.len(),
            });
        }
    }
}
