//! The profiler: slices, and what the stops between them add up to.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::time::{Duration, Instant};

use pw_jit::interp::profile::{Profile, Sampling};
use pw_jit::reference::Outcome;
use pw_jit::{CodeSpace, Fiber, host::Host, interp};

/// The gas between the first stops, unless the caller decides.
const EVERY_FIRST: u64 = 8;
/// The most gas between stops, unless the caller decides: stops cost little of the time then.
const EVERY_LAST: u64 = 8192;
/// After so many stops they become half as frequent: short programs get enough, long ones not too many.
const STOPS_EACH: u64 = 4096;
/// Frames of a long stack that are kept at each end.
const STACK_HALF: usize = 64;
/// The node of the frames that are left out of the middle of a long stack.
pub(super) const OMITTED: (u32, u32) = (u32::MAX, u32::MAX);

/// What samples stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weight {
    /// Gas, the same in every run.
    pub gas: u64,
    /// Time, as it was in this run.
    pub time: Duration,
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Weight) {
        self.gas += other.gas;
        self.time += other.time;
    }
}

/// What was sampled in a function.
#[derive(Clone, Copy, Default)]
pub(super) struct FunctionWeight {
    /// While it was the newest frame.
    pub(super) own: Weight,
    /// While it was any frame.
    pub(super) total: Weight,
    /// The last stop that has counted it, so that recursion counts once.
    stop: u64,
}

/// A frame in the tree of all stacks.
pub(super) struct Node {
    /// The caller's node.
    pub(super) parent: Option<usize>,
    /// Program and function.
    pub(super) function: (u32, u32),
    /// What was sampled while it was the newest frame.
    pub(super) own: Weight,
}

/// Runs programs and remembers where they were.
pub struct Profiler {
    every: Option<u64>,
    random: u64,
    stops: u64,
    pub(super) learnt: Profile,
    pub(super) total: Weight,
    pub(super) functions: HashMap<(u32, u32), FunctionWeight>,
    /// By program, function and pc.
    pub(super) instructions: HashMap<(u32, u32, u32), Weight>,
    pub(super) nodes: Vec<Node>,
    children: HashMap<(Option<usize>, (u32, u32)), usize>,
    /// The stack of the current stop, newest frame first.
    stack: Vec<(u32, u32)>,
}

impl Profiler {
    /// A profiler that stops about every so much gas; `None` begins with frequent stops and makes them
    /// rarer as the program goes on.
    pub fn new(every: Option<u64>) -> Profiler {
        Profiler {
            every: every.map(|every| every.max(1)),
            random: 0,
            stops: 0,
            learnt: Profile::new(Sampling::Stops),
            total: Weight::default(),
            functions: HashMap::new(),
            instructions: HashMap::new(),
            nodes: Vec::new(),
            children: HashMap::new(),
            stack: Vec::new(),
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> u64 {
        self.stops
    }

    /// Gas and time of everything that was sampled.
    pub fn total(&self) -> Weight {
        self.total
    }

    /// Runs a fiber until it has ended, waits, or `go_on`, which is asked at every stop, says no
    /// ([`Outcome::Preempted`]).
    pub fn run(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        host: &mut dyn Host,
        mut go_on: impl FnMut() -> bool,
    ) -> Outcome {
        let mut tick = fiber.gas_used();
        loop {
            // The clock does not wait for an instruction that costs more than a slice has: it gets the
            // samples of all ticks that fall into it.
            let next = tick.saturating_add(self.distance(fiber.depth()));
            let slice = next.saturating_sub(fiber.gas_used());
            let start = Instant::now();
            let outcome = interp::run(fiber, code, host, &mut self.learnt, slice);
            let time = start.elapsed();
            let preempted = outcome == Outcome::Preempted;
            let behind = preempted && fiber.gas_used() > next;
            let reached = if preempted { next } else { tick }.max(fiber.gas_used());
            let gas = reached - tick;
            tick = reached;
            self.sample(fiber, Weight { gas, time }, behind);
            if !preempted || !go_on() {
                return outcome;
            }
        }
    }

    /// Gas up to the next stop. It varies around the mean, by the same numbers in every run, so that no
    /// loop of the program is in step with the samples.
    fn distance(&mut self, depth: u32) -> u64 {
        let every = self.every.unwrap_or_else(|| {
            let doubled = (self.stops / STOPS_EACH).min(63) as u32;
            let every = EVERY_FIRST.saturating_mul(1 << doubled).min(EVERY_LAST);
            // Looking at a deep stack takes as long as many instructions.
            every.max(u64::from(depth))
        });
        // Knuth's generator; its high bits are the good ones.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let below_every = (u128::from(self.random) * u128::from(every)) >> 64;
        every - every / 2 + below_every as u64
    }

    /// Counts a stop. `behind`: the gas beyond the tick is for the work of the instruction just done.
    fn sample(&mut self, fiber: &Fiber, weight: Weight, behind: bool) {
        self.stops += 1;
        self.total += weight;
        let (program, function, pc) = fiber.position();
        let pc = pc - u32::from(behind && pc > 0);
        *self
            .instructions
            .entry((program, function, pc))
            .or_default() += weight;
        self.functions.entry((program, function)).or_default().own += weight;
        let frames = fiber.frames().map(|frame| (frame.program, frame.function));
        self.stack.clear();
        self.stack.extend(frames);
        // Calls of itself one after the other are looked up once.
        for calls in self.stack.chunk_by(|a, b| a == b) {
            let function = self.functions.entry(calls[0]).or_default();
            if function.stop < self.stops {
                function.stop = self.stops;
                function.total += weight;
            }
        }
        let newest = self.newest_node();
        self.nodes[newest].own += weight;
    }

    /// The node of the newest frame of `stack`, without the middle of a long one.
    fn newest_node(&mut self) -> usize {
        let frames = &self.stack;
        let (newer, older) = if frames.len() > 2 * STACK_HALF {
            (&frames[..STACK_HALF], &frames[frames.len() - STACK_HALF..])
        } else {
            (&[][..], &frames[..])
        };
        let omitted = (!newer.is_empty()).then_some(&OMITTED);
        let mut parent = None;
        for function in older.iter().rev().chain(omitted).chain(newer.iter().rev()) {
            let nodes = &mut self.nodes;
            let node = self.children.entry((parent, *function)).or_insert_with(|| {
                nodes.push(Node {
                    parent,
                    function: *function,
                    own: Weight::default(),
                });
                nodes.len() - 1
            });
            parent = Some(*node);
        }
        let Some(newest) = parent else {
            unreachable!("a fiber has a frame")
        };
        newest
    }
}
