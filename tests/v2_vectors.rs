//! The V2 conformance vectors: result, error kind, yields, steps and messages.

#[path = "v2/model.rs"]
mod v2_model;

use physics_world::v2::Value;
use physics_world::v2::vector::{self, Outcome, Tier, Vector, parse_all};

const FILES: [(&str, &str); 2] = [
    ("vectors.json", include_str!("v2/vectors.json")),
    ("vectors_sane.json", include_str!("v2/vectors_sane.json")),
];

/// Runs every vector of both files that `skip` does not give a reason for; fails with all differences.
fn check(run: impl Fn(&Vector) -> Outcome, skip: impl Fn(&Vector) -> Option<&'static str>) {
    let (mut checked, mut differences) = (0, Vec::new());
    for (file, text) in FILES {
        for vector in parse_all(text).unwrap() {
            if let Some(reason) = skip(&vector) {
                println!("{file} {}: skipped: {reason}", vector.name);
                continue;
            }
            checked += 1;
            if let Some(difference) = run(&vector).difference(&vector) {
                differences.push(format!("{file} {}: {difference}", vector.name));
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {checked} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// Why the machine does not have to agree with a vector.
fn skip(vector: &Vector) -> Option<&'static str> {
    let tagged = |tag: &str| vector.tags.iter().any(|other| other == tag);
    tagged("locals-uncharged").then_some("local variables are memory here")
}

#[test]
fn the_machine_agrees_with_the_vectors() {
    check(vector::run, skip);
}

#[test]
fn the_fast_interpreter_agrees_with_the_vectors() {
    check(
        |vector| vector::run_in(vector, Tier::Interpreter, u64::MAX),
        skip,
    );
}

#[test]
fn slices_change_nothing() {
    // A tail call takes two steps at once.
    check(|vector| vector::run_in(vector, Tier::Reference, 2), skip);
    check(|vector| vector::run_in(vector, Tier::Interpreter, 3), skip);
}

#[test]
fn the_model_agrees_with_the_vectors() {
    check(v2_model::run, |vector| {
        (vector.expect["error"] == "MemoryLimitExceeded")
            .then_some("the model does not limit memory")
    });
}

#[test]
fn every_vector_lowers_to_a_program_that_the_verifier_accepts() {
    for (file, text) in FILES {
        for vector in parse_all(text).unwrap() {
            for delivers_first in [false, true] {
                let constants: Vec<_> = vector.constants.iter().map(Value::to_constant).collect();
                let lowered = pw_isa::v2::lower(&vector.code, &constants, delivers_first);
                let layouts = lowered.functions.len();
                assert_eq!(layouts, lowered.program.functions.len());
                if let Err(error) = pw_isa::verify::verify(lowered.program) {
                    panic!("{file} {}: {error}", vector.name);
                }
            }
        }
    }
}
