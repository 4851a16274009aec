//! The ways to run a test program. Each must show the same result, gas, output and state.

use physics_world::isa::verify::verify;
use physics_world::isa::wire::{Reader, Writer};
use physics_world::isa::{Program, codec, text};
use physics_world::jit::fiber::arena::{PageBlocks, PageCursor, Pages};
use physics_world::jit::host::Host;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::{self, Outcome};
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::{CodeSpace, Fiber};
use physics_world::solo::{Solo, argument_values};

use testkit::differential::{
    LEAVING_3, LEAVING_61, WITHOUT as WITHOUT_TIERS, memoising, native, native_in_background,
    native_memoising,
};

use super::program_file::{Case, ProgramFile};

/// A way to run a program.
pub(crate) struct Mode {
    /// What failures call it.
    pub(crate) name: &'static str,
    /// What happens to the program before it is loaded.
    rewrite: fn(Program) -> Program,
    /// The secret of the maps.
    secret: [u64; 2],
    /// What advances a fiber by a slice.
    tier: Tier,
    /// How long slices are, and what happens between them.
    slices: Slices,
}

/// Runs a fiber for a slice.
type Tier = fn(&mut Fiber, &CodeSpace, &mut dyn Host, &mut Profile, u64) -> Outcome;

/// How a run is cut into slices.
#[derive(Clone, Copy)]
enum Slices {
    /// One slice without end.
    Whole,
    /// Every so much gas.
    Every(u64),
    /// About [`STOPS`] of them, with something done to the fiber in between.
    Disturbed(Disturb),
    /// As often, with pages taken in between, and now and then put together.
    Paged,
}

/// What was taken of a fiber page by page while it went on.
#[derive(Default)]
struct Taken {
    pages: Pages,
    blocks: Vec<Vec<u8>>,
    cursor: PageCursor,
    stops: usize,
}

/// Replaces a fiber by one of the same state; how much work that was, in bytes.
type Disturb = fn(&mut Fiber, &CodeSpace) -> u64;

/// How often a fiber is disturbed, unless its gas is below [`EVERY_GAS_MAX`].
const STOPS: u64 = 300;
/// Up to this much gas, a fiber is disturbed at every instruction.
const EVERY_GAS_MAX: u64 = 20_000;
/// The work of disturbing after which slices become twice as long, in bytes.
const DISTURBED_BYTES: u64 = 4 << 20;
/// No fiber is larger than this.
const ARENA_BYTES_MAX: u64 = 1 << 30;

const SECRET: [u64; 2] = [1, 2];

const fn mode(name: &'static str, tier: Tier, slices: Slices) -> Mode {
    Mode {
        name,
        rewrite: |program| program,
        secret: SECRET,
        tier,
        slices,
    }
}

const SPECIFICATION: Tier = |fiber, code, host, _, slice| reference::run(fiber, code, host, slice);

/// What all others must agree with: the executable specification, undisturbed.
pub(crate) const REFERENCE: Mode = mode("reference", SPECIFICATION, Slices::Whole);
/// Slices that end in the middle of everything.
pub(crate) const SLICES_7: Mode = mode("slices of 7", SPECIFICATION, Slices::Every(7));
/// Slices of a length that shares no factor with any loop.
pub(crate) const SLICES_1009: Mode = mode("slices of 1009", SPECIFICATION, Slices::Every(1009));
/// Saved and restored between slices.
pub(crate) const IMAGES: Mode = mode("images", SPECIFICATION, Slices::Disturbed(restore));
/// Moved together between slices.
pub(crate) const COMPACT: Mode = mode("compact", SPECIFICATION, Slices::Disturbed(compact));
/// From a program file, and from the text of its instructions.
pub(crate) const REWRITTEN: Mode = Mode {
    rewrite,
    ..mode("rewritten", SPECIFICATION, Slices::Whole)
};
/// Maps hash otherwise.
pub(crate) const SECRETS: Mode = Mode {
    secret: [0xdead_beef_0bad_cafe, !0],
    ..mode("other secret", SPECIFICATION, Slices::Whole)
};

/// The fast interpreter, undisturbed.
pub(crate) const INTERP: Mode = mode("interp", interp::run, Slices::Whole);
/// The fast interpreter, stopped inside its blocks.
pub(crate) const INTERP_SLICES_7: Mode = mode("interp, slices of 7", interp::run, Slices::Every(7));
/// The fast interpreter in long slices: it goes on where it was stopped.
pub(crate) const INTERP_SLICES_1009: Mode =
    mode("interp, slices of 1009", interp::run, Slices::Every(1009));
/// The fast interpreter, saved and restored between slices.
pub(crate) const INTERP_IMAGES: Mode =
    mode("interp, images", interp::run, Slices::Disturbed(restore));

/// Native code for nearly everything.
pub(crate) const JIT: Mode = mode("jit", native, Slices::Whole);
/// Native code, left and entered again at the ends of slices.
pub(crate) const JIT_SLICES_1009: Mode = mode("jit, slices of 1009", native, Slices::Every(1009));
/// Native code, saved and restored between slices.
pub(crate) const JIT_IMAGES: Mode = mode("jit, images", native, Slices::Disturbed(restore));
/// Native code that is left where nothing calls for it.
pub(crate) const JIT_LEAVING: [Mode; 2] = [
    mode("jit, every 3rd exit", LEAVING_3, Slices::Whole),
    mode("jit, every 61st exit", LEAVING_61, Slices::Whole),
];
/// Native code that a thread makes meanwhile, in long slices: it arrives anywhere.
pub(crate) const JIT_BACKGROUND: Mode = mode(
    "jit in background",
    native_in_background,
    Slices::Every(100_003),
);

/// The fast interpreter, its objects taken page by page between slices.
pub(crate) const INTERP_PAGES: Mode = mode("interp, pages", interp::run, Slices::Paged);
/// Native code, its objects taken page by page between slices.
pub(crate) const JIT_PAGES: Mode = mode("jit, pages", native, Slices::Paged);

/// Calls of pure functions that were made before are not run again: by the interpreter, and beside native
/// code.
pub(crate) const MEMO: [Mode; 4] = [
    mode("memo", memoising, Slices::Whole),
    mode("memo, slices of 1009", memoising, Slices::Every(1009)),
    mode("memo, jit", native_memoising, Slices::Whole),
    mode(
        "memo, jit, slices of 1009",
        native_memoising,
        Slices::Every(1009),
    ),
];

/// Native code, made without one of the compiler's optimisations.
pub(crate) const WITHOUT: [Mode; 5] = [
    mode(WITHOUT_TIERS[0].0, WITHOUT_TIERS[0].1, Slices::Whole),
    mode(WITHOUT_TIERS[1].0, WITHOUT_TIERS[1].1, Slices::Whole),
    mode(WITHOUT_TIERS[2].0, WITHOUT_TIERS[2].1, Slices::Whole),
    mode(WITHOUT_TIERS[3].0, WITHOUT_TIERS[3].1, Slices::Whole),
    mode(WITHOUT_TIERS[4].0, WITHOUT_TIERS[4].1, Slices::Whole),
];

fn rewrite(program: Program) -> Program {
    let decoded = codec::decode(&codec::encode(&program)).expect("a program file can be read");
    assert_eq!(
        decoded, program,
        "a program file reads back as the same program"
    );
    let parsed = text::parse(&text::print(&decoded)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        parsed, program,
        "assembly text reads back as the same program"
    );
    parsed
}

fn restore(fiber: &mut Fiber, code: &CodeSpace) -> u64 {
    let image = fiber.to_image(code);
    let restored = Fiber::from_image(code, &image, ARENA_BYTES_MAX).expect("an image can be read");
    assert!(
        restored.to_image(code) == image,
        "an image holds the whole state"
    );
    *fiber = restored;
    image.len() as u64 * 3
}

impl Taken {
    /// Takes some pages of a fiber that has changed since the last time; now and then all of them, and looks whether the fiber that
    /// they are of is the same. Sometimes that one goes on.
    fn take(&mut self, fiber: &mut Fiber, code: &CodeSpace) -> u64 {
        self.stops += 1;
        let is_all = self.stops.is_multiple_of(5);
        if is_all {
            self.cursor = PageCursor::default();
        }
        let bytes_max = if is_all {
            usize::MAX
        } else {
            self.stops % 7 * 3_000
        };
        let mut out = Writer::default();
        if fiber.take_pages(&mut self.cursor, false, bytes_max, &mut out) {
            self.cursor = PageCursor::default();
        }
        let mut work = out.bytes.len();
        let number = self.blocks.len() as u32;
        let added = self.pages.add(number, &mut Reader::new(&out.bytes));
        added.expect("pages can be read");
        self.blocks.push(out.bytes);
        if is_all && fiber.has_pages() {
            let image = fiber.to_image(code);
            let restored = self.restore(fiber, code);
            assert!(restored.to_image(code) == image, "pages hold all objects");
            work += image.len() * 4;
            if self.stops.is_multiple_of(15) {
                *fiber = restored;
                *self = Taken {
                    stops: self.stops,
                    ..Taken::default()
                };
            }
        }
        work as u64
    }

    fn restore(&self, fiber: &Fiber, code: &CodeSpace) -> Fiber {
        let mut out = Writer::default();
        fiber.write_rest(code, &mut out);
        let mut input = Reader::new(&out.bytes);
        let pages: (_, &dyn PageBlocks) = (&self.pages, &self.blocks);
        let restored = Fiber::read_rest(code, &mut input, ARENA_BYTES_MAX, pages);
        restored.expect("pages and the rest can be read")
    }
}

fn compact(fiber: &mut Fiber, code: &CodeSpace) -> u64 {
    let before = fiber.state_hash(code);
    fiber.compact(code);
    assert_eq!(
        fiber.state_hash(code),
        before,
        "compaction changes no state"
    );
    fiber.stack_bytes(code) * 2 + 4096
}

/// What a run showed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Observed {
    /// What the head comment states: prints, result or error, gas.
    pub(crate) lines: Vec<String>,
    /// The error in full.
    failure: Option<String>,
    /// The hash of the final state.
    state: String,
    gas: u64,
}

/// Runs every case of a file.
pub(crate) fn run(
    file: &ProgramFile,
    mode: &Mode,
    reference: Option<&[Observed]>,
) -> Vec<Observed> {
    let program = (mode.rewrite)(file.program.clone());
    let verified = verify(program).unwrap_or_else(|error| panic!("{}: {error}", file.name));
    let mut code = CodeSpace::new(mode.secret);
    let number = code.load(verified);
    let cases = file.cases.iter().enumerate();
    cases
        .map(|(index, case)| {
            let gas = reference.map_or(0, |observed| observed[index].gas);
            run_case(file, case, mode, &code, number, gas)
        })
        .collect()
}

fn run_case(
    file: &ProgramFile,
    case: &Case,
    mode: &Mode,
    code: &CodeSpace,
    program: u32,
    expected_gas: u64,
) -> Observed {
    let mut fiber = Fiber::new(code, program, case.limits);
    let arguments = argument_values(fiber.arena_mut(), &case.arguments);
    assert!(
        fiber.set_arguments(code, &arguments),
        "{}: other arguments are wanted",
        file.name
    );
    let mut host = Solo::new(Vec::new());
    let mut profile = Profile::default();
    let mut run =
        |fiber: &mut Fiber, slice| (mode.tier)(fiber, code, &mut host, &mut profile, slice);
    // A fiber stops about so often, and at every instruction if it has few.
    let often = match expected_gas < EVERY_GAS_MAX {
        true => 1,
        false => expected_gas / STOPS,
    };
    let outcome = match mode.slices {
        Slices::Whole => run(&mut fiber, u64::MAX),
        Slices::Every(gas) => in_slices(&mut fiber, run, gas, |_| 0),
        Slices::Disturbed(disturb) => {
            in_slices(&mut fiber, run, often, |fiber| disturb(fiber, code))
        }
        Slices::Paged => {
            let mut taken = Taken::default();
            in_slices(&mut fiber, run, often, |fiber| taken.take(fiber, code))
        }
    };
    if let Some(jit) = profile.native() {
        let faults = jit.statistics().compiler.faults;
        assert_eq!(faults, 0, "{}: the compiler failed", file.name);
    }
    observe(&fiber, code, outcome, &host.into_output())
}

/// Slices end at fixed distances on the scale of gas, however much of one was left unused.
fn in_slices(
    fiber: &mut Fiber,
    mut run: impl FnMut(&mut Fiber, u64) -> Outcome,
    mut gas: u64,
    mut disturb: impl FnMut(&mut Fiber) -> u64,
) -> Outcome {
    let mut end = gas;
    let mut work = 0;
    loop {
        let outcome = run(fiber, end.saturating_sub(fiber.gas_used()));
        if outcome != Outcome::Preempted {
            return outcome;
        }
        work += disturb(fiber);
        if work > DISTURBED_BYTES {
            work = 0;
            gas *= 2;
        }
        end += gas;
    }
}

fn observe(fiber: &Fiber, code: &CodeSpace, outcome: Outcome, output: &[u8]) -> Observed {
    let output = String::from_utf8_lossy(output);
    let mut lines: Vec<String> = output
        .lines()
        .map(|line| format!("prints {line}").trim_end().to_owned())
        .collect();
    let mut failed = None;
    match outcome {
        Outcome::Done(value) => {
            lines.push(format!(
                "result {}",
                value_text(fiber.heap(code), value, Style::Quoted)
            ));
        }
        Outcome::Failed(failure) => {
            lines.push(format!(
                "error {}: {}",
                failure.kind.name(),
                failure.message
            ));
            lines.push(format!("in {}", failure.place));
            failed = Some(failure.to_string());
        }
        Outcome::Preempted | Outcome::Waiting => lines.push("does not end".to_owned()),
    }
    let gas = fiber.gas_used();
    lines.push(format!("gas {gas}"));
    Observed {
        lines,
        failure: failed,
        state: fiber.state_hash(code).to_string(),
        gas,
    }
}

impl Observed {
    /// Everything, for comparing by eye.
    pub(crate) fn text(&self) -> String {
        let failure = self.failure.as_deref().unwrap_or("");
        format!("{}\nstate {}\n{failure}", self.lines.join("\n"), self.state)
    }
}
