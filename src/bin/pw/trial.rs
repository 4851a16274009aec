//! One run of a program, with all that it showed: runs of one program in different ways must show the same.

use std::time::{Duration, Instant};

use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::Outcome;
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::{CodeSpace, Fiber};
use physics_world::solo::Solo;

/// Gas of a slice: how often a run asks whether it is to go on.
const SLICE: u64 = 20_000_000;

/// What a run showed.
#[derive(Clone, PartialEq)]
pub(crate) struct Shown {
    /// The value, or the error in full.
    pub(crate) outcome: String,
    /// Whether it is a value.
    pub(crate) succeeded: bool,
    pub(crate) gas: u64,
    pub(crate) state: String,
    pub(crate) printed: Vec<u8>,
}

/// Runs a fiber to its end.
pub(crate) fn run(fiber: Fiber, code: &CodeSpace, profile: &mut Profile) -> (Shown, Duration) {
    run_while(fiber, code, profile, || true).expect("nothing ends it before its end")
}

/// Runs a fiber to its end, as long as `goes_on` says so now and then.
pub(crate) fn run_while(
    mut fiber: Fiber,
    code: &CodeSpace,
    profile: &mut Profile,
    goes_on: impl Fn() -> bool,
) -> Option<(Shown, Duration)> {
    let mut host = Solo::new(Vec::new());
    let began = Instant::now();
    let outcome = loop {
        match interp::run(&mut fiber, code, &mut host, profile, SLICE) {
            Outcome::Preempted if goes_on() => {}
            Outcome::Preempted => return None,
            outcome => break outcome,
        }
    };
    let time = began.elapsed();
    let succeeded = matches!(outcome, Outcome::Done(_));
    let outcome = match outcome {
        Outcome::Done(value) => value_text(fiber.heap(code), value, Style::Quoted),
        Outcome::Failed(failure) => failure.to_string(),
        Outcome::Preempted | Outcome::Waiting => {
            unreachable!("it goes on, and the host answers at once")
        }
    };
    let shown = Shown {
        outcome,
        succeeded,
        gas: fiber.gas_used(),
        state: fiber.state_hash(code).to_string(),
        printed: host.into_output(),
    };
    Some((shown, time))
}

/// Says what differs.
pub(crate) fn difference(expected: &Shown, found: &Shown) -> String {
    let printed = |shown: &Shown| String::from_utf8_lossy(&shown.printed).into_owned();
    let parts = [
        ("result", expected.outcome.clone(), found.outcome.clone()),
        ("gas", expected.gas.to_string(), found.gas.to_string()),
        ("printed text", printed(expected), printed(found)),
        ("final state", expected.state.clone(), found.state.clone()),
    ];
    let differing = parts
        .iter()
        .filter(|(_, expected, found)| expected != found);
    let lines = differing.map(|(what, expected, found)| {
        format!("the runs differ in their {what}: expected {expected}, found {found}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The time in the middle.
pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}
