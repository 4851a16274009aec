//! Generated programs: they verify, end, do much and use everything; and every tier runs them alike.
//!
//! | command | what it does |
//! |---|---|
//! | `cargo test -p pw-jit --test generated` | a share of them |
//! | `PW_GENERATED=20000 cargo test --release -p pw-jit --test generated every_tier` | that many |
//! | `PW_GENERATED=1771..1772 cargo test -p pw-jit --test generated left_all_the_time` | those of these seeds |
//! | `cargo +nightly fuzz run differential` | as many as time allows, led by coverage |

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use pw_isa::verify::verify;
use pw_isa::{Op, Opcode, text};
use pw_jit::reference::{self, Outcome};
use pw_jit::{CodeSpace, Fiber, interp};
use testkit::differential::{MODES, Mode, STORM, Stops, as_test_program, compare, differential};
use testkit::fibers::Surroundings;
use testkit::fuzz::text_round_trip;
use testkit::generate::{Generated, generate, random_tape};
use testkit::shrink::shrink;

/// Programs of the differential test, unless `PW_GENERATED` says otherwise.
const PROGRAMS: u64 = 600;
/// What the differential test takes at most on a slow machine.
const TIME: Duration = Duration::from_secs(10);

/// A tape of any length up to some that make large programs.
fn tape(seed: u64) -> Vec<u8> {
    random_tape(seed, 100 + (seed as usize * 37) % 1_500)
}

/// What a program does in the reference interpreter: whether it ends with a value, gas, collections.
fn run(generated: &Generated) -> (bool, u64, u64) {
    let verified = match verify(generated.program.clone()) {
        Ok(verified) => verified,
        Err(error) => panic!("{error}\n{}", text::print(&generated.program)),
    };
    let mut code = CodeSpace::default();
    let number = code.load(verified);
    let mut fiber = Fiber::new(&code, number, generated.limits);
    let outcome = reference::run(&mut fiber, &code, &mut Surroundings, u64::MAX);
    let collections = fiber.arena().statistics().collections;
    (
        matches!(outcome, Outcome::Done(_)),
        fiber.gas_used(),
        collections,
    )
}

#[test]
fn most_programs_end_with_a_value_after_much_work() {
    let mut gas = Vec::new();
    let (mut ended, mut collected) = (0, 0);
    for seed in 0..1_000 {
        let (done, used, collections) = run(&generate(&tape(seed)));
        gas.push(used);
        ended += usize::from(done);
        collected += usize::from(collections > 0);
    }
    gas.sort_unstable();
    let median = gas[gas.len() / 2];
    println!(
        "{ended} of {} end with a value, median gas {median}, {collected} collect",
        gas.len()
    );
    assert!(
        ended * 10 >= gas.len() * 7,
        "{ended} of {} end with a value",
        gas.len()
    );
    assert!(
        (300..20_000).contains(&median),
        "the median gas is {median}"
    );
    assert!(
        collected * 20 >= gas.len(),
        "{collected} of {} collect",
        gas.len()
    );
}

#[test]
fn every_instruction_that_needs_no_host_is_generated() {
    let programs: Vec<Generated> = (0..300).map(|seed| generate(&tape(seed))).collect();
    let functions = programs
        .iter()
        .flat_map(|generated| &generated.program.functions);
    let used: BTreeSet<Opcode> = functions
        .flat_map(|function| &function.code)
        .map(Op::opcode)
        .collect();
    // The first seven modules: the others ask the host, or are there for V2.
    let all = Opcode::all().filter(|(opcode, _)| opcode.0 >> 8 < 7);
    let missing: Vec<&str> = all
        .filter(|(opcode, _)| !used.contains(opcode))
        .map(|(_, info)| info.mnemonic)
        .collect();
    assert!(missing.is_empty(), "no program uses {missing:?}");
}

#[test]
fn any_tape_is_a_program() {
    for seed in 0..200 {
        let tape = random_tape(seed, seed as usize * 3);
        let generated = generate(&tape);
        assert_eq!(
            generated.program,
            generate(&tape).program,
            "a tape is one program"
        );
        text_round_trip(&generated.program);
    }
    for byte in [0, 1, 127, 255] {
        run(&generate(&vec![byte; 3_000]));
    }
}

#[test]
fn every_tier_runs_generated_programs_alike() {
    run_alike(&MODES);
}

#[test]
fn native_code_that_is_left_all_the_time_runs_them_alike() {
    run_alike(&STORM);
}

/// Runs as many programs as there is time for, or as the environment says.
fn run_alike(modes: &[Mode]) {
    let wanted = std::env::var("PW_GENERATED").ok().map(|text| seeds(&text));
    let start = Instant::now();
    for seed in wanted.clone().unwrap_or(0..PROGRAMS) {
        let tape = tape(seed);
        let generated = generate(&tape);
        if let Err(difference) = compare(&generated, modes) {
            let small = shrink(&tape, |candidate| differs(candidate, modes));
            panic!("seed {seed}: {difference}\n{}", as_test_program(&small));
        }
        if wanted.is_none() && start.elapsed() > TIME {
            break;
        }
    }
    differential(&[], modes);
}

/// The seeds that `COUNT` or `FIRST..END` means.
fn seeds(text: &str) -> Range<u64> {
    let number = |text: &str| {
        text.parse::<u64>()
            .expect("PW_GENERATED is COUNT or FIRST..END")
    };
    let seeds = match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(text),
    };
    assert!(!seeds.is_empty(), "PW_GENERATED={text} is no program");
    seeds
}

/// Whether a program verifies and the tiers differ in it.
fn differs(candidate: &Generated, modes: &[Mode]) -> bool {
    verify(candidate.program.clone()).is_ok() && compare(candidate, modes).is_err()
}

#[test]
fn a_wrong_tier_is_found_and_its_witness_is_small() {
    let wrong = Mode {
        name: "one that collects too often",
        tier: |fiber, code, host, profile, slice| {
            let outcome = interp::run(fiber, code, host, profile, slice);
            if fiber.arena().counters().allocated > 500 {
                fiber.collect(code);
            }
            outcome
        },
        stops: Stops::None,
    };
    let fails = |candidate: &Generated| differs(candidate, &[wrong]);
    let seed = (0..200).find(|seed| fails(&generate(&tape(*seed))));
    let Some(seed) = seed else {
        panic!("no program shows it");
    };
    let small = shrink(&tape(seed), fails);
    let code: usize = small
        .program
        .functions
        .iter()
        .map(|function| function.code.len())
        .sum();
    assert!(fails(&small) && code < 40, "{}", as_test_program(&small));
}
