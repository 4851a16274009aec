//! Every stop: programs are stopped at each of their first gas values and at many later ones, and every
//! tier must stand there in the state in which the reference interpreter stands.
//!
//! The reference goes from stop to stop. A tier that did so too would never run: so the first
//! [`FIRST_GAS`] gas are swept by [`CHAINS`] fibers, each of which runs through but is stopped once in
//! every block of that much gas, at another place of each. Together they stop everywhere once, after
//! slices of 1 to 300 gas. Later stops are samples, and one fiber runs from each to the next.
//!
//! Programs are stopped by slices, and a second time by gas limits, which are raised behind each stop.
//! Places, counters and the registers of the newest frame are compared at every stop, and the whole
//! state too; of large states every 64th.
//!
//! | command | what it does |
//! |---|---|
//! | `cargo test --test sweep` | all stops by slices, a share of those by limits |
//! | `PW_SWEEP=full cargo test --release --test sweep` | all stops by both, every state whole |
//! | `PW_PROGRAM=kernels/ cargo test --test sweep` | programs whose names contain this |
//!
//! A further tier is another row of [`TIERS`].

mod support;

use std::path::Path;

use physics_world::isa::verify::verify;
use physics_world::isa::{ErrorKind, Kind};
use physics_world::jit::fiber::image::StateHash;
use physics_world::jit::host::Host;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::{self, Outcome};
use physics_world::jit::text::{Style, value_text_within};
use physics_world::jit::value::canonical_bits;
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::solo::{Solo, argument_values};
use support::program_file::{self, Case, ProgramFile};
use testkit::differential::{memoising, native, native_memoising};

/// Runs a fiber for a slice.
type Tier = fn(&mut Fiber, &CodeSpace, &mut dyn Host, &mut Profile, u64) -> Outcome;

/// What is compared with the reference interpreter.
const TIERS: [(&str, Tier); 4] = [
    ("interp", interp::run),
    ("jit", native),
    ("memo", memoising),
    ("memo, jit", native_memoising),
];

/// Stops at every gas value up to here.
const FIRST_GAS: u64 = 10_000;
/// Fibers that share these stops: a prime, so that multiples permute them.
const CHAINS: u64 = 151;
/// Sampled stops behind it.
const SAMPLES: u64 = 1_000;
/// Logical bytes from which on a state is large.
const LARGE_BYTES: u64 = 16 << 10;
/// How much is swept.
#[derive(Clone, Copy)]
struct Share {
    /// Blocks that are swept whatever their number.
    blocks: u64,
    /// Of the later ones, every so many'th.
    block_every: u64,
    samples: u64,
    /// How often a large state is compared whole.
    large_every: u64,
}

const FULL: Share = Share {
    blocks: u64::MAX,
    block_every: 1,
    samples: SAMPLES,
    large_every: 1,
};
const ALL_STOPS: Share = Share {
    large_every: 64,
    ..FULL
};
const SOME_STOPS: Share = Share {
    blocks: 4,
    block_every: 3,
    samples: SAMPLES / 4,
    large_every: 64,
};

/// What makes a run stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// The end of a slice.
    Slice,
    /// The gas limit, which is raised behind each stop.
    Limit,
}

/// Sweeps every program whose number leaves this rest.
fn sweep(by: By, parts: usize, part: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let filter = std::env::var("PW_PROGRAM").unwrap_or_default();
    let is_full = std::env::var("PW_SWEEP").is_ok_and(|share| share == "full");
    let share = match by {
        _ if is_full => FULL,
        By::Slice => ALL_STOPS,
        By::Limit => SOME_STOPS,
    };
    let files = program_file::find(&folder, &filter);
    let mut stops = 0;
    for file in files.iter().skip(part).step_by(parts) {
        let verified = verify(file.program.clone()).expect("a test program verifies");
        let mut code = CodeSpace::default();
        let program = code.load(verified);
        for case in &file.cases {
            let subject = Subject {
                file,
                case,
                code: &code,
                program,
                by,
                share,
            };
            stops += subject.sweep();
        }
    }
    println!("{stops} stops {by:?}");
}

/// A program with arguments, stopped in one way.
struct Subject<'a> {
    file: &'a ProgramFile,
    case: &'a Case,
    code: &'a CodeSpace,
    program: u32,
    by: By,
    share: Share,
}

/// A fiber on its way, with surroundings of its own.
struct Run {
    fiber: Fiber,
    host: Solo<Vec<u8>>,
    tier: Tier,
    /// The limit that stopped it, as it was reported.
    limit: Option<String>,
    /// How the program ended.
    ended: Option<String>,
}

/// What is known of a stop.
#[derive(PartialEq, Debug)]
struct Seen {
    limit: Option<String>,
    ended: Option<String>,
    position: (u32, u32, u32),
    depth: u32,
    gas: u64,
    /// Logical bytes that the last collection found, and those allocated since.
    bytes: [u64; 2],
    /// The registers of the newest frame, as far as they are in it.
    registers: Vec<(u16, u8, Option<u64>)>,
    state: Option<StateHash>,
}

const SPECIFICATION: Tier = |fiber, code, host, _, slice| reference::run(fiber, code, host, slice);

impl Subject<'_> {
    /// The number of stops that were compared.
    fn sweep(&self) -> u64 {
        let mut whole = self.start(SPECIFICATION);
        self.advance(&mut whole, &mut Profile::default(), u64::MAX);
        let gas = whole.fiber.gas_used();
        TIERS
            .iter()
            .map(|(name, tier)| {
                let first = self.sweep_first(name, *tier, gas);
                first + self.sweep_samples(name, *tier, gas)
            })
            .sum()
    }

    /// Blocks of stops at every gas value; a chain in each of them stops once.
    fn sweep_first(&self, name: &str, tier: Tier, gas: u64) -> u64 {
        let mut profile = Profile::default();
        let mut slow = self.start(SPECIFICATION);
        let mut chains: Vec<Run> = (0..CHAINS).map(|_| self.start(tier)).collect();
        let blocks = (gas.min(FIRST_GAS) + 1).div_ceil(CHAINS);
        let mut stops = 0;
        for block in 0..blocks {
            if block >= self.share.blocks && block % self.share.block_every != 0 {
                continue;
            }
            let first = block * CHAINS;
            let expected: Vec<Seen> = (first..first + CHAINS)
                .map(|end| self.stop(&mut slow, &mut profile, end, end))
                .collect();
            for (number, chain) in chains.iter_mut().enumerate() {
                let place = number as u64 * (1 + block % (CHAINS - 1)) % CHAINS;
                let end = first + place;
                let found = self.stop(chain, &mut profile, end, end);
                self.agree(name, end, &expected[place as usize], &found);
            }
            stops += CHAINS;
        }
        stops
    }

    /// Stops at places that depend on nothing but their number, up to the end and beyond it.
    fn sweep_samples(&self, name: &str, tier: Tier, gas: u64) -> u64 {
        let mut profile = Profile::default();
        let mut slow = self.start(SPECIFICATION);
        let mut fast = self.start(tier);
        let left = gas.saturating_sub(FIRST_GAS);
        let samples = self.share.samples.min(left);
        for number in 0..samples {
            let jitter = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let distance = (left / samples).max(1);
            let end = FIRST_GAS + number * left / samples + jitter % distance;
            let expected = self.stop(&mut slow, &mut profile, end, number);
            let found = self.stop(&mut fast, &mut profile, end, number);
            self.agree(name, end, &expected, &found);
        }
        let expected = self.stop(&mut slow, &mut profile, u64::MAX, 0);
        let found = self.stop(&mut fast, &mut profile, u64::MAX, 0);
        self.agree(name, u64::MAX, &expected, &found);
        let [expected, found] = [slow, fast].map(|run| run.host.into_output());
        assert_eq!(found, expected, "{} prints the same", self.file.name);
        samples + 1
    }

    fn start(&self, tier: Tier) -> Run {
        let mut fiber = Fiber::new(self.code, self.program, self.case.limits);
        let arguments = argument_values(fiber.arena_mut(), &self.case.arguments);
        assert!(
            fiber.set_arguments(self.code, &arguments),
            "{}: other arguments are wanted",
            self.file.name
        );
        Run {
            fiber,
            host: Solo::new(Vec::new()),
            tier,
            limit: None,
            ended: None,
        }
    }

    /// Runs up to `end` on the scale of gas.
    fn advance(&self, run: &mut Run, profile: &mut Profile, end: u64) {
        if run.ended.is_some() {
            return;
        }
        let limits = self.case.limits;
        let by_limit = self.by == By::Limit && end < limits.gas;
        if !by_limit && end < run.fiber.gas_used() {
            // Work has taken it past this stop. A slice of nothing would do what costs nothing.
            run.limit = None;
            return;
        }
        let slice = if by_limit {
            run.fiber.set_limits(Limits { gas: end, ..limits });
            u64::MAX
        } else {
            end - run.fiber.gas_used()
        };
        let outcome = (run.tier)(&mut run.fiber, self.code, &mut run.host, profile, slice);
        // Limits are state: where a run that has ended was last stopped must not show.
        run.fiber.set_limits(limits);
        run.limit = None;
        run.ended = match outcome {
            Outcome::Preempted => None,
            Outcome::Failed(failure) if by_limit && failure.kind == ErrorKind::GasLimitExceeded => {
                run.limit = Some(failure.to_string());
                None
            }
            Outcome::Failed(failure) => Some(failure.to_string()),
            Outcome::Done(value) => {
                let heap = run.fiber.heap(self.code);
                Some(value_text_within(heap, value, Style::Quoted, 1_000))
            }
            Outcome::Waiting => Some("waits".to_owned()),
        };
    }

    /// Runs up to `end` and looks; `number` decides whether a large state is looked at whole.
    fn stop(&self, run: &mut Run, profile: &mut Profile, end: u64, number: u64) -> Seen {
        self.advance(run, profile, end);
        let fiber = &run.fiber;
        let counters = fiber.arena().counters();
        let bytes = counters.live + counters.allocated + fiber.stack_bytes(self.code);
        let whole = bytes < LARGE_BYTES || number.is_multiple_of(self.share.large_every);
        Seen {
            limit: run.limit.clone(),
            ended: run.ended.clone(),
            position: fiber.position(),
            depth: fiber.depth(),
            gas: fiber.gas_used(),
            bytes: [counters.live, counters.allocated],
            registers: self.registers(fiber),
            state: whole.then(|| fiber.state_hash(self.code)),
        }
    }

    /// Live registers of the newest frame: kinds, and bits where they do not name a place.
    fn registers(&self, fiber: &Fiber) -> Vec<(u16, u8, Option<u64>)> {
        let newest = fiber.frames().next();
        let live = newest
            .iter()
            .flat_map(|frame| fiber.live_registers(self.code, frame));
        let seen = live.map(|(register, value)| {
            let kind = value.kind();
            let bits = match kind {
                Kind::Float => Some(canonical_bits(value.bits)),
                _ => (!kind.is_heap()).then_some(value.bits),
            };
            (register, kind as u8, bits)
        });
        seen.collect()
    }

    fn agree(&self, tier: &str, end: u64, expected: &Seen, found: &Seen) {
        let (name, arguments) = (&self.file.name, self.case.arguments.join(" "));
        assert_eq!(
            found, expected,
            "{name} run {arguments}: {tier} stopped at {end} by {:?}",
            self.by
        );
    }
}

#[test]
fn slices_of_even_programs() {
    sweep(By::Slice, 2, 0);
}

#[test]
fn slices_of_odd_programs() {
    sweep(By::Slice, 2, 1);
}

#[test]
fn limits_of_even_programs() {
    sweep(By::Limit, 2, 0);
}

#[test]
fn limits_of_odd_programs() {
    sweep(By::Limit, 2, 1);
}
