//! Generated programs in every tier: at every stop, all tiers are in the same state.
//!
//! Two fibers, one in the reference interpreter and one in the tier, are advanced in lockstep and
//! compared wherever they stop. A further tier is another row of [`MODES`].

use pw_isa::verify::{Verified, verify};
use pw_isa::{Program, text};
use pw_jit::host::Host;
use pw_jit::interp::{self, profile::Profile};
use pw_jit::memo::MemoSettings;
use pw_jit::reference::{self, Outcome};
use pw_jit::tier::{JitSettings, Optimizations};
use pw_jit::{CodeSpace, Fiber, Limits};

use crate::fibers::Surroundings;
use crate::generate::{Generated, generate};

/// Runs a fiber for a slice.
pub type Tier = fn(&mut Fiber, &CodeSpace, &mut dyn Host, &mut Profile, u64) -> Outcome;

/// A way to run a program, to be compared with the reference interpreter stopped in the same places.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// What failures call it.
    pub name: &'static str,
    /// What advances the fiber.
    pub tier: Tier,
    /// Where it stops.
    pub stops: Stops,
}

/// Where a run is stopped. Distances double now and then, so that long runs have few stops more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stops {
    /// At its end.
    None,
    /// By slices of this much gas.
    Slices(u64),
    /// Likewise, and there the fiber of the tier is replaced by its image, read again.
    Images(u64),
    /// By gas limits this far apart.
    Limits(u64),
}

const fn interp(name: &'static str, stops: Stops) -> Mode {
    Mode {
        name,
        tier: interp::run,
        stops,
    }
}

/// The interpreter with native code for nearly everything.
pub fn native(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    run_native(JitSettings::eager(), (fiber, code, host, profile), slice)
}

/// The same, compiled by a thread while the interpreter goes on: code arrives at any moment.
pub fn native_in_background(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    let settings = JitSettings {
        background: true,
        short_stay: JitSettings::default().short_stay,
        ..JitSettings::eager()
    };
    run_native(settings, (fiber, code, host, profile), slice)
}

/// The same, with native code that leaves at every so many-th exit that it would have passed by. Above a threshold of 0 it can
/// be entered only at some loops, and is compiled again where the interpreter stays in others.
fn leaving<const EVERY: u64, const THRESHOLD: u64>(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    let settings = JitSettings {
        threshold: THRESHOLD,
        forced_exits: Some(EVERY),
        ..JitSettings::eager()
    };
    run_native(settings, (fiber, code, host, profile), slice)
}

/// Settings under which every pure function is memoised for good.
const MEMO: MemoSettings = MemoSettings {
    max_cache_size: 1_000,
    switches_off: false,
};

/// The interpreter, which does not run calls of pure functions again.
pub fn memoising(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    if profile.memo().is_none() {
        *profile = Profile::default().memoising(MEMO);
    }
    interp::run(fiber, code, host, profile, slice)
}

/// The same with native code for nearly everything.
pub fn native_memoising(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    if profile.memo().is_none() {
        let native = Profile::with_native(JitSettings::eager());
        *profile = native.expect("a machine with native code").memoising(MEMO);
    }
    interp::run(fiber, code, host, profile, slice)
}

/// Native code for nearly everything, made without one of the compiler's optimisations.
fn without<const WHICH: usize>(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    let mut optimizations = Optimizations::default();
    let all = [
        &mut optimizations.inline,
        &mut optimizations.hoist,
        &mut optimizations.elide,
        &mut optimizations.osr,
        &mut optimizations.caches,
    ];
    *all[WHICH] = false;
    let settings = JitSettings {
        optimizations,
        ..JitSettings::eager()
    };
    run_native(settings, (fiber, code, host, profile), slice)
}

/// One tier for each optimisation, which is left out there.
pub const WITHOUT: [(&str, Tier); 5] = [
    ("jit without inline", without::<0>),
    ("jit without hoist", without::<1>),
    ("jit without elide", without::<2>),
    ("jit without osr", without::<3>),
    ("jit without caches", without::<4>),
];

type Running<'a> = (
    &'a mut Fiber,
    &'a CodeSpace,
    &'a mut dyn Host,
    &'a mut Profile,
);

/// Gives a profile a native tier, if it has none yet, and runs a slice.
fn run_native(
    settings: JitSettings,
    (fiber, code, host, profile): Running<'_>,
    slice: u64,
) -> Outcome {
    if profile.native().is_none() {
        *profile = Profile::with_native(settings).expect("a machine with native code");
    }
    interp::run(fiber, code, host, profile, slice)
}

/// Leaves at every third exit.
pub const LEAVING_3: Tier = leaving::<3, 0>;
/// Leaves at every 61st exit.
pub const LEAVING_61: Tier = leaving::<61, 0>;

const fn jit(name: &'static str, stops: Stops) -> Mode {
    Mode {
        name,
        tier: native,
        stops,
    }
}

/// All modes.
pub const MODES: [Mode; 17] = [
    Mode {
        tier: memoising,
        ..interp("memo", Stops::None)
    },
    Mode {
        tier: memoising,
        ..interp("memo, slices of 1009", Stops::Slices(1009))
    },
    Mode {
        tier: native_memoising,
        ..jit("memo, jit, slices of 1009", Stops::Slices(1009))
    },
    jit("jit", Stops::None),
    Mode {
        tier: LEAVING_3,
        ..jit("jit, every 3rd exit", Stops::Slices(1009))
    },
    Mode {
        tier: LEAVING_61,
        ..jit("jit, every 61st exit", Stops::Slices(1009))
    },
    Mode {
        tier: leaving::<61, 8>,
        ..jit("jit where it is hot, every 61st exit", Stops::Slices(1009))
    },
    Mode {
        tier: native_in_background,
        ..jit("jit in background, slices of 1009", Stops::Slices(1009))
    },
    jit("jit, slices of 101", Stops::Slices(101)),
    jit("jit, images", Stops::Images(61)),
    jit("jit, gas limits", Stops::Limits(53)),
    interp("interp", Stops::None),
    interp("interp, slices of 1", Stops::Slices(1)),
    interp("interp, slices of 7", Stops::Slices(7)),
    interp("interp, slices of 101", Stops::Slices(101)),
    interp("interp, images", Stops::Images(13)),
    interp("interp, gas limits", Stops::Limits(29)),
];

/// Native code that is left all the time, where nothing calls for it.
pub const STORM: [Mode; 5] = [
    storm("jit, every exit", leaving::<1, 0>, Stops::None),
    storm("jit, every 2nd exit", leaving::<2, 0>, Stops::Slices(1009)),
    storm("jit, every 7th exit", leaving::<7, 0>, Stops::Images(61)),
    storm("jit, every 29th exit", leaving::<29, 0>, Stops::Limits(53)),
    storm("jit, every 257th exit", leaving::<257, 0>, Stops::None),
];

const fn storm(name: &'static str, tier: Tier, stops: Stops) -> Mode {
    Mode { name, tier, stops }
}

/// Stops after which the distance between them doubles.
const STOPS_BEFORE_DOUBLING: u32 = 48;

/// What a program did in the reference interpreter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// The error that nobody caught.
    pub failure: Option<String>,
    /// Gas used.
    pub gas: u64,
    /// Collections.
    pub collections: u64,
}

/// Runs the program of a tape in some modes.
///
/// # Panics
/// When the program does not verify, or a tier differs from the reference.
pub fn differential(tape: &[u8], modes: &[Mode]) -> Ran {
    match compare(&generate(tape), modes) {
        Ok(ran) => ran,
        Err(difference) => panic!("{difference}"),
    }
}

/// Runs a program in these modes.
///
/// # Errors
/// The first difference to the reference, or why the program is none.
pub fn compare(generated: &Generated, modes: &[Mode]) -> Result<Ran, String> {
    let verified = verified(&generated.program)?;
    let mut code = CodeSpace::default();
    let program = code.load(verified);
    let start = Fiber::new(&code, program, generated.limits);
    for mode in modes {
        in_lockstep(start.clone(), &code, mode).map_err(|what| format!("{}: {what}", mode.name))?;
    }
    let mut fiber = start;
    let outcome = reference::run(&mut fiber, &code, &mut Surroundings, u64::MAX);
    Ok(Ran {
        failure: match outcome {
            Outcome::Failed(failure) => Some(failure.to_string()),
            _ => None,
        },
        gas: fiber.gas_used(),
        collections: fiber.arena().statistics().collections,
    })
}

fn verified(program: &Program) -> Result<Verified, String> {
    verify(program.clone()).map_err(|error| format!("does not verify: {error}"))
}

/// Advances two fibers from stop to stop; the first difference.
fn in_lockstep(start: Fiber, code: &CodeSpace, mode: &Mode) -> Result<(), String> {
    let limits = start.limits();
    let (mut slow, mut fast) = (start.clone(), start);
    let mut profile = Profile::default();
    let (mut end, mut distance) = match mode.stops {
        Stops::None => (u64::MAX, 0),
        Stops::Slices(gas) | Stops::Images(gas) | Stops::Limits(gas) => (gas, gas),
    };
    for stop in 1.. {
        let expected = advance(&mut slow, mode.stops, end, limits, |fiber, slice| {
            reference::run(fiber, code, &mut Surroundings, slice)
        });
        let found = advance(&mut fast, mode.stops, end, limits, |fiber, slice| {
            (mode.tier)(fiber, code, &mut Surroundings, &mut profile, slice)
        });
        let image = fast.to_image(code);
        differs(&slow, &fast, &expected, &found)?;
        if image != slow.to_image(code) {
            return Err(format!("another state at {}", place(&slow)));
        }
        if expected.is_some() {
            return Ok(());
        }
        if matches!(mode.stops, Stops::Images(_)) {
            fast = Fiber::from_image(code, &image, u64::MAX).map_err(|error| error.to_string())?;
        }
        if stop % STOPS_BEFORE_DOUBLING == 0 {
            distance *= 2;
        }
        end += distance;
    }
    Ok(())
}

/// Runs up to `end` on the scale of gas; how the program ended, if it did.
fn advance(
    fiber: &mut Fiber,
    stops: Stops,
    end: u64,
    limits: Limits,
    run: impl FnOnce(&mut Fiber, u64) -> Outcome,
) -> Option<String> {
    let by_limit = matches!(stops, Stops::Limits(_)) && end < limits.gas;
    let outcome = if by_limit {
        fiber.set_limits(Limits { gas: end, ..limits });
        run(fiber, u64::MAX)
    } else {
        fiber.set_limits(limits);
        run(fiber, end.saturating_sub(fiber.gas_used()))
    };
    match outcome {
        Outcome::Preempted => None,
        Outcome::Failed(failure)
            if by_limit && failure.kind == pw_isa::ErrorKind::GasLimitExceeded =>
        {
            None
        }
        Outcome::Failed(failure) => Some(failure.to_string()),
        Outcome::Done(_) => Some("done".to_owned()),
        Outcome::Waiting => Some("waiting".to_owned()),
    }
}

fn place(fiber: &Fiber) -> String {
    let counters = fiber.arena().counters();
    format!(
        "{:?}, depth {}, gas {}, {counters:?}",
        fiber.position(),
        fiber.depth(),
        fiber.gas_used()
    )
}

fn differs(
    slow: &Fiber,
    fast: &Fiber,
    expected: &Option<String>,
    found: &Option<String>,
) -> Result<(), String> {
    let (wanted, is) = (place(slow), place(fast));
    if wanted != is || expected != found {
        return Err(format!(
            "{found:?} at {is}\nreference: {expected:?} at {wanted}"
        ));
    }
    Ok(())
}

/// A program as a file of `tests/programs`: its text below the limits under which it runs.
pub fn as_test_program(generated: &Generated) -> String {
    let Limits {
        gas,
        memory_bytes,
        depth,
        ..
    } = generated.limits;
    let program = text::print(&generated.program);
    format!(
        ";! gas-limit {gas}\n;! memory-limit {memory_bytes}\n;! depth-limit {depth}\n\n{program}"
    )
}
