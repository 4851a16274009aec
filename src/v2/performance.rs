//! Counters, timers and samples of a running machine. The machine tells an attached monitor what it
//! did after every run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::vm_state::VmState;

/// Samples that are kept.
const SAMPLES_MAX: usize = 10_000;

/// A monitor.
#[derive(Clone, Debug)]
pub struct PerformanceMonitor {
    metrics: PerformanceMetrics,
    counters: BTreeMap<String, u64>,
    timers: BTreeMap<String, Instant>,
    samples: Vec<PerformanceSample>,
    sample_interval: Duration,
    started: Instant,
    last_sample: Option<Instant>,
}

/// Sums over all runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerformanceMetrics {
    /// Steps taken.
    pub instructions_executed: u64,
    /// Objects allocated.
    pub heap_allocations: u64,
    /// Collections of garbage.
    pub gc_collections: u64,
    /// Milliseconds that stopped timers had run.
    pub total_time_millis: u64,
    /// Calls of [`PerformanceMonitor::increment_counter`].
    pub counter_increments: u64,
    /// Timers stopped.
    pub timer_operations: u64,
}

/// A machine at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerformanceSample {
    /// Milliseconds since the monitor began.
    pub timestamp: u64,
    /// Steps taken.
    pub instructions_executed: u64,
    /// Bytes in use.
    pub heap_usage: usize,
    /// Open calls.
    pub call_stack_depth: usize,
    /// The counters.
    pub counters: BTreeMap<String, u64>,
}

/// What the samples say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PerformanceAnalysis {
    /// Steps a second between the first and the last sample; 0 when they are not apart.
    pub instructions_per_second: f64,
    /// Bytes that each sample has more than the one before, on average.
    pub heap_growth_rate: f64,
    /// Objects allocated for each collection.
    pub gc_efficiency: f64,
    /// How much each counter rises from sample to sample, on average.
    pub counter_trends: BTreeMap<String, f64>,
}

impl PerformanceMonitor {
    /// A monitor that samples at most this often.
    pub fn new(sample_interval_millis: u64) -> PerformanceMonitor {
        PerformanceMonitor {
            metrics: PerformanceMetrics::default(),
            counters: BTreeMap::new(),
            timers: BTreeMap::new(),
            samples: Vec::new(),
            sample_interval: Duration::from_millis(sample_interval_millis),
            started: Instant::now(),
            last_sample: None,
        }
    }

    /// Adds to a counter.
    pub fn increment_counter(&mut self, name: &str, value: u64) {
        let counter = self.counters.entry(name.to_owned()).or_default();
        *counter = counter.saturating_add(value);
        self.metrics.counter_increments += 1;
    }

    /// A counter.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }

    /// Starts a timer, anew when it runs.
    pub fn start_timer(&mut self, name: &str) {
        self.timers.insert(name.to_owned(), Instant::now());
    }

    /// Stops a timer and adds its time; nothing when it does not run.
    pub fn stop_timer(&mut self, name: &str) {
        if let Some(started) = self.timers.remove(name) {
            self.metrics.total_time_millis += started.elapsed().as_millis() as u64;
            self.metrics.timer_operations += 1;
        }
    }

    /// Records the machine's state unless the last sample is too recent.
    pub fn take_sample(&mut self, vm: &VmState) {
        let now = Instant::now();
        let recent = self
            .last_sample
            .is_some_and(|last| now - last < self.sample_interval);
        if recent {
            return;
        }
        self.last_sample = Some(now);
        if self.samples.len() == SAMPLES_MAX {
            self.samples.remove(0);
        }
        self.samples.push(PerformanceSample {
            timestamp: (now - self.started).as_millis() as u64,
            instructions_executed: vm.steps_used(),
            heap_usage: vm.memory_used(),
            call_stack_depth: vm.call_stack_depth(),
            counters: self.counters.clone(),
        });
    }

    /// The samples, the oldest first.
    pub fn samples(&self) -> &[PerformanceSample] {
        &self.samples
    }

    /// Sums over all runs.
    pub fn get_metrics(&self) -> PerformanceMetrics {
        self.metrics
    }

    /// What the samples say.
    pub fn get_analysis(&self) -> PerformanceAnalysis {
        let metrics = self.metrics;
        let mut analysis = PerformanceAnalysis {
            gc_efficiency: ratio(
                metrics.heap_allocations as f64,
                metrics.gc_collections as f64,
            ),
            ..PerformanceAnalysis::default()
        };
        let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) else {
            return analysis;
        };
        let difference = |from: u64, to: u64| to as f64 - from as f64;
        let seconds = difference(first.timestamp, last.timestamp) / 1000.0;
        let intervals = (self.samples.len() - 1) as f64;
        let steps = difference(first.instructions_executed, last.instructions_executed);
        let bytes = difference(first.heap_usage as u64, last.heap_usage as u64);
        analysis.instructions_per_second = ratio(steps, seconds);
        analysis.heap_growth_rate = ratio(bytes, intervals);
        for (name, value) in &last.counters {
            let before = first.counters.get(name).copied().unwrap_or(0);
            let trend = ratio(difference(before, *value), intervals);
            analysis.counter_trends.insert(name.clone(), trend);
        }
        analysis
    }

    /// Told what a machine has done in total, and what it had done when last told.
    pub(crate) fn account(&mut self, now: MachineCounts, before: MachineCounts) {
        self.metrics.instructions_executed += now.steps - before.steps;
        self.metrics.heap_allocations += now.allocations - before.allocations;
        self.metrics.gc_collections += now.collections - before.collections;
    }
}

/// What a machine has done in total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MachineCounts {
    pub(crate) steps: u64,
    pub(crate) allocations: u64,
    pub(crate) collections: u64,
}

fn ratio(amount: f64, unit: f64) -> f64 {
    if unit == 0.0 { 0.0 } else { amount / unit }
}
