//! Worlds that are watched and go back in their histories by themselves, for tests.
#![allow(dead_code, reason = "each test uses a part")]

use std::sync::{Arc, Mutex};

use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::checkpoint::RecoveryError;
use physics_world::runtime::disk::{Disk, MemoryDisk};
use physics_world::runtime::host::HostFunction;
use physics_world::runtime::monitor::{
    AnomalyPattern, ErrorDetectionSystem, MonitoringThresholds, Remedy,
};
use physics_world::runtime::world::{HistorySettings, RollbackReport, WorldBuilder, WorldEvent};
use physics_world::{ActorId, Datum, World, WorldSettings};

use crate::histories;
use crate::worlds::load;

/// A counter that is told numbers and says the sum each time. 13 has it say so and compute for ever, 14 has it start one that does.
pub(crate) const TOUCHY: &str = "
(define (spin n) (spin (+ n 1)))
(define (counter sum)
  (let ((n (receive)))
    (if (= n 13) (begin (print 'oh) (spin 0)) nil)
    (if (= n 14) (spawn spin 0) nil)
    (let ((now (+ sum n)))
      (print now)
      (try (reply now) (catch e nil))
      (counter now))))
(define (main) (counter 0))
";

/// What was printed.
pub(crate) type Printed = Arc<Mutex<Vec<String>>>;
/// The rollbacks that a world has made by itself.
pub(crate) type Reports = Arc<Mutex<Vec<RollbackReport>>>;

pub(crate) fn builder(printed: &Printed, threads: usize) -> WorldBuilder {
    let printed = Arc::clone(printed);
    let print = HostFunction::output("print", move |call| {
        printed.lock().unwrap().push(call.text());
    });
    World::builder()
        .performance(PerformanceSettings {
            jit: None,
            threads,
            ..PerformanceSettings::default()
        })
        .settings(WorldSettings {
            quantum: 1_000,
            quantum_min: 100,
            tick_gas: 10_000,
            alone_gas: 0,
            ..WorldSettings::default()
        })
        .trajectory()
        .host(print.needing("io-console"))
}

pub(crate) fn system() -> ErrorDetectionSystem {
    let system = ErrorDetectionSystem::default().thresholds(MonitoringThresholds {
        window_ticks: 8,
        runaway_gas: 2_000,
        growth_windows: 2,
        mailbox_messages: 20,
        heap_bytes: 20_000,
        restarts: 3,
        sent_messages: 200,
        starvation_ticks: 100,
        wrong_guesses: 1_000,
    });
    let patterns = [
        AnomalyPattern::RunawayGas,
        AnomalyPattern::GrowingHeap,
        AnomalyPattern::GrowingMailbox,
        AnomalyPattern::CrashLoop,
        AnomalyPattern::HotSender,
    ];
    patterns.into_iter().fold(system, |system, pattern| {
        system.bound(pattern, Remedy::GoBack)
    })
}

pub(crate) fn settings() -> HistorySettings {
    HistorySettings {
        checkpoints_kept: 8,
        ..histories::settings()
    }
}

/// A world that keeps its history on a disk and goes back by itself, and what it says of that.
pub(crate) fn keep_with(
    builder: WorldBuilder,
    disk: Arc<dyn Disk>,
    settings: HistorySettings,
) -> Result<(World, Reports), RecoveryError> {
    let (mut world, _) = builder.keep(disk, settings)?;
    world.start_monitoring(system());
    let reports = Reports::default();
    let seen = Arc::clone(&reports);
    world.observe(move |event| {
        if let WorldEvent::WentBack(report) = event {
            seen.lock().unwrap().push((*report).clone());
        }
    });
    Ok((world, reports))
}

pub(crate) fn keep(disk: &MemoryDisk, printed: &Printed) -> (World, Reports) {
    let disk = Arc::new(disk.clone());
    keep_with(builder(printed, 1), disk, settings()).unwrap()
}

/// The state of a history, recovered by somebody who does not watch it.
pub(crate) fn recovered(disk: &MemoryDisk) -> World {
    let builder = builder(&Printed::default(), 1);
    builder.keep(Arc::new(disk.copy()), settings()).unwrap().0
}

/// Two counters that have heard numbers, some ticks apart.
pub(crate) fn begun(world: &mut World) -> (ActorId, ActorId) {
    let program = load(world, TOUCHY);
    let (one, other) = (
        world.spawn(program, &[]).unwrap(),
        world.spawn(program, &[]).unwrap(),
    );
    for (actor, number) in [(one, 5), (other, 1), (one, 100), (other, 2), (one, 1)] {
        world.send(actor, &Datum::Int(number));
        world.run_ticks(5);
    }
    (one, other)
}

/// Says numbers to actors, with some ticks after each.
pub(crate) fn tell(world: &mut World, said: &[(ActorId, i64)]) {
    for (actor, number) in said {
        world.send(*actor, &Datum::Int(*number));
        world.run_ticks(5);
    }
}

pub(crate) fn sum(world: &mut World, actor: ActorId) -> Datum {
    world.ask(actor, &Datum::Int(0)).unwrap()
}
