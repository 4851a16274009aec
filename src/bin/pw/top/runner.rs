//! The thread that runs the world.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::inspect::Intervention;
use physics_world::runtime::monitor::ErrorDetectionSystem;
use physics_world::runtime::world::Stopped;
use physics_world::source::BadInput;
use physics_world::{ActorId, World};

use super::snapshot::{Running, Snapshot};
use crate::hibernating::Hibernating;
use crate::input;
use crate::subject::Subject;

/// Lines of the program's output that are kept.
const OUTPUT_LINES: usize = 100;
/// How long the world runs between two looks at orders.
const STRETCH: Duration = Duration::from_millis(5);
/// How long it waits for orders when there is nothing to run.
const NAP: Duration = Duration::from_millis(50);
/// Snapshots are at least so far apart …
const SNAPSHOT_EACH: Duration = Duration::from_millis(100);
/// … and take at most one part in so many of the time.
const SNAPSHOT_SHARE: u32 = 10;

/// What the user wants of the world.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// It stops, or goes on.
    TogglePause,
    /// It runs one tick, if it is paused.
    OneTick,
    /// Something is done to an actor.
    Intervene(Intervention),
    /// This actor is to be seen with its stack.
    Select(Option<ActorId>),
}

impl Order {
    /// What a key asks for about an actor.
    pub(super) fn of_actor(key: char, actor: ActorId) -> Order {
        Order::Intervene(match key {
            'p' => Intervention::Pause(actor),
            'r' => Intervention::Resume(actor),
            _ => Intervention::Step(actor),
        })
    }
}

/// What the threads share.
#[derive(Default)]
struct Shared {
    latest: Mutex<Snapshot>,
    /// The world does not run, and the latest snapshot says why.
    stopped: Condvar,
    output: Mutex<VecDeque<String>>,
}

/// Nothing that can panic happens with a lock held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A world that runs on a thread of its own; it ends with this.
pub(super) struct Runner {
    shared: Arc<Shared>,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Runner {
    /// Starts a program in a world.
    pub(super) fn start(
        subject: &Subject,
        threads: usize,
        ticks: Option<u64>,
        hibernating: &Hibernating,
    ) -> Result<Runner, BadInput> {
        let (kind, bytes) = input::read_file(&subject.file)?;
        subject.refuse_vector(kind)?;
        let shared = Arc::new(Shared::default());
        let output = Arc::clone(&shared);
        let print = HostFunction::output("print", move |call| {
            let mut lines = lock(&output.output);
            if lines.len() == OUTPUT_LINES {
                lines.pop_front();
            }
            lines.push_back(call.text());
        });
        let performance = PerformanceSettings {
            threads,
            ..PerformanceSettings::default()
        };
        let builder = hibernating.set_up(World::builder().performance(performance))?;
        let world = builder.host(print.needing("io-console")).build();
        let mut world = world.map_err(|error| BadInput::new(error.to_string()))?;
        let first = subject.start_in(&mut world, kind, &bytes)?;
        world.start_monitoring(ErrorDetectionSystem::default());
        let (orders, received) = channel();
        let mut stage = Stage {
            world,
            first,
            ticks,
            running: Running::Runs,
            selected: None,
            end: None,
            shared: Arc::clone(&shared),
            began: Instant::now(),
        };
        stage.publish();
        let thread = std::thread::Builder::new().name("pw top world".to_owned());
        let thread = thread
            .stack_size(crate::STACK)
            .spawn(move || stage.run(&received));
        let thread = thread.map_err(|error| BadInput::new(format!("no thread: {error}")))?;
        Ok(Runner {
            shared,
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// The latest snapshot.
    pub(super) fn snapshot(&self) -> Snapshot {
        lock(&self.shared.latest).clone()
    }

    /// Waits until the world does not run.
    pub(super) fn wait(&self) {
        let mut latest = lock(&self.shared.latest);
        while latest.running == Running::Runs {
            let woken = self.shared.stopped.wait(latest);
            latest = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Has the world obey. A world that is gone has nothing to obey.
    pub(super) fn send(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// The world with what is to be known about its run.
struct Stage {
    world: World,
    first: ActorId,
    /// The tick after which it pauses.
    ticks: Option<u64>,
    running: Running,
    selected: Option<ActorId>,
    /// How the first actor ended.
    end: Option<String>,
    shared: Arc<Shared>,
    began: Instant,
}

impl Stage {
    fn run(&mut self, orders: &Receiver<Order>) {
        let mut next_snapshot = Instant::now();
        loop {
            let runs = self.running == Running::Runs;
            let order = if runs {
                orders
                    .try_recv()
                    .map_err(|error| error == std::sync::mpsc::TryRecvError::Disconnected)
            } else {
                let waited = orders.recv_timeout(NAP);
                waited.map_err(|error| error == std::sync::mpsc::RecvTimeoutError::Disconnected)
            };
            let has_changed = match order {
                Ok(order) => self.obey(order),
                // The user has gone.
                Err(true) => return,
                Err(false) => runs,
            };
            if runs {
                self.stretch();
            }
            let is_due = self.running != Running::Runs || Instant::now() >= next_snapshot;
            if has_changed && is_due {
                let taking = self.publish();
                next_snapshot = Instant::now() + SNAPSHOT_EACH.max(taking * SNAPSHOT_SHARE);
            }
        }
    }

    /// Does what the user wants; whether that is to be seen.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Select(actor) => return std::mem::replace(&mut self.selected, actor) != actor,
            Order::TogglePause if self.running == Running::Paused => self.running = Running::Runs,
            Order::TogglePause => self.running = Running::Paused,
            Order::OneTick if self.running == Running::Paused => {
                self.tick();
            }
            Order::OneTick => {}
            Order::Intervene(intervention) => {
                // What cannot be done, as an actor has gone meanwhile, is not done.
                let done = self.world.intervene(intervention);
                if done.is_ok() && self.running == Running::Idle {
                    self.running = Running::Runs;
                }
            }
        }
        true
    }

    /// Runs for a while.
    fn stretch(&mut self) {
        let begin = Instant::now();
        while self.running == Running::Runs && begin.elapsed() < STRETCH {
            if self.ticks.is_some_and(|ticks| self.world.ticks() >= ticks) {
                self.ticks = None;
                self.running = Running::Paused;
            } else if self.tick() == Stopped::Idle && self.running == Running::Runs {
                self.running = Running::Idle;
            }
        }
    }

    fn tick(&mut self) -> Stopped {
        let stopped = self.world.run_ticks(1);
        if let Some(end) = self.world.take_end(self.first) {
            self.end = Some(end.reason.to_string());
            self.running = Running::Ended;
        }
        stopped
    }

    /// Shows the world as it is; how long that took.
    fn publish(&mut self) -> Duration {
        let begin = Instant::now();
        let output: Vec<String> = lock(&self.shared.output).iter().cloned().collect();
        let mut snapshot = Snapshot::of(&self.world, self.selected);
        snapshot.running = self.running;
        snapshot.end.clone_from(&self.end);
        snapshot.output = output;
        snapshot.time = self.began.elapsed();
        *lock(&self.shared.latest) = snapshot;
        if self.running != Running::Runs {
            self.shared.stopped.notify_all();
        }
        begin.elapsed()
    }
}
