//! Random V2 programs run the same lowered as in the model, at every step limit that is tried.
//! `PW_V2_CASES=100000 cargo test --test v2_programs` tries more of them.

#[path = "v2/model.rs"]
mod v2_model;
#[path = "v2/programs.rs"]
mod v2_programs;

use physics_world::v2::vector::{self, Outcome, Tier, Vector};
use physics_world::v2::{HeapObjects, Value};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

/// Whether two values have the same structure. Errors agree whatever their messages.
fn same_value(a: (&HeapObjects, &Value), b: (&HeapObjects, &Value)) -> bool {
    let mut open = vec![(a.1, b.1)];
    // A small program can make a structure that is large when written out.
    for _ in 0..10_000 {
        let Some((left, right)) = open.pop() else {
            return true;
        };
        let same = match (left, right) {
            (Value::Pair(_), Value::Pair(_)) => {
                let (car, cdr) = a.0.pair(left).unwrap();
                let (other_car, other_cdr) = b.0.pair(right).unwrap();
                open.extend([(car, other_car), (cdr, other_cdr)]);
                true
            }
            (Value::Closure(_), Value::Closure(_)) | (Value::Error(_), Value::Error(_)) => true,
            (Value::Float(left), Value::Float(right)) => {
                left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
            }
            _ => left == right,
        };
        if !same {
            return false;
        }
    }
    true
}

fn difference(expected: &Outcome, actual: &Outcome) -> Option<String> {
    let same_result = match (&expected.result, &actual.result) {
        (Ok(left), Ok(right)) => same_value((&expected.objects, left), (&actual.objects, right)),
        (Err(left), Err(right)) => left == right,
        _ => false,
    };
    let same_messages = expected.messages.len() == actual.messages.len()
        && expected
            .messages
            .iter()
            .zip(&actual.messages)
            .all(|(left, right)| {
                left.0 == right.0
                    && same_value((&expected.objects, &left.1), (&actual.objects, &right.1))
            });
    let same = same_result
        && same_messages
        && (expected.steps, expected.yields) == (actual.steps, actual.yields);
    (!same).then(|| format!("expected {}, got {}", expected.to_json(), actual.to_json()))
}

/// Step limits worth trying for a program that takes this many steps.
fn limits(steps: u64) -> impl Iterator<Item = u64> {
    let few = 0..steps.min(10);
    let around = [steps / 2, steps.saturating_sub(1), steps, steps + 1];
    few.chain(around)
}

fn agree(vector: &Vector, run: impl Fn(&Vector) -> Outcome) -> Result<(), TestCaseError> {
    let steps = v2_model::run(vector).steps;
    for step_limit in limits(steps) {
        let limited = Vector {
            step_limit,
            ..vector.clone()
        };
        if let Some(difference) = difference(&v2_model::run(&limited), &run(&limited)) {
            return Err(TestCaseError::fail(format!(
                "step limit {step_limit}: {difference}"
            )));
        }
    }
    Ok(())
}

#[test]
fn every_random_program_lowers_to_one_that_the_verifier_accepts() {
    let mut runner = runner(2000);
    let outcome = runner.run(&v2_programs::program(), |vector| {
        let constants: Vec<_> = vector.constants.iter().map(Value::to_constant).collect();
        let lowered = pw_isa::v2::lower(&vector.code, &constants, false);
        pw_isa::verify::verify(lowered.program)
            .map(|_| ())
            .map_err(|error| TestCaseError::fail(error.to_string()))
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(2),
        ..Config::default()
    })
}

#[test]
fn random_programs_run_the_same_lowered_as_in_the_model() {
    let cases = std::env::var("PW_V2_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    let outcome = runner(cases.unwrap_or(1500)).run(&v2_programs::program(), |vector| {
        agree(&vector, vector::run)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn random_programs_run_the_same_in_the_fast_interpreter() {
    let outcome = runner(500).run(&v2_programs::program(), |vector| {
        agree(&vector, |vector| {
            vector::run_in(vector, Tier::Interpreter, u64::MAX)
        })?;
        agree(&vector, |vector| {
            vector::run_in(vector, Tier::Interpreter, 4)
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn the_model_agrees_with_itself() {
    let mut endings = std::collections::BTreeMap::<String, u32>::new();
    let seen = std::cell::RefCell::new(&mut endings);
    let outcome = runner(1000).run(&v2_programs::program(), |vector| {
        let ending = match v2_model::run(&vector).result {
            Ok(_) => "a result",
            Err(kind) => kind,
        };
        *seen.borrow_mut().entry(ending.to_owned()).or_default() += 1;
        agree(&vector, v2_model::run)
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{endings:?}");
}
