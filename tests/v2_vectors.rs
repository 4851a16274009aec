//! The V2 conformance vectors: result, error kind, yields, steps and messages.

#[path = "v2/model.rs"]
mod v2_model;

use physics_world::v2::Value;
use physics_world::v2::vector::{self, Outcome, Tier, Vector, VectorError, parse_all};

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

#[test]
fn a_capability_that_anyone_may_have_is_granted_on_request() {
    let vector = |reason: &str| {
        let text = format!(
            r#"{{"name":"cap/request_then_has","code":[["RequestCap",0,1],["HasCap",0]],
                "constants":[{{"Capability":"IoReadSensor"}},{reason}],
                "step_limit":100,"memory_limit":100,"max_depth":100,
                "expect":{{"result":{{"Bool":true}},"steps":3}}}}"#
        );
        vector::parse(&text).unwrap()
    };
    for reason in [r#"{"Symbol":0}"#, r#"{"String":"to see"}"#] {
        let vector = vector(reason);
        assert_eq!(vector::run(&vector).difference(&vector), None);
    }
    assert!(physics_world::v2::run_vector("[]").is_err());
}

#[test]
fn results_are_compared_however_deep_they_are() {
    let depth = 400;
    let list = "{\"Pair\":[{\"Int\":1},".repeat(depth) + "\"Nil\"" + &"]}".repeat(depth);
    let text = format!(
        r#"[{{"name":"list","constants":[],"step_limit":100000,"memory_limit":100000,"max_depth":1,
            "code":[["Nil"],["SetLocal",0],["Int",{depth}],["SetLocal",1],
                    ["Int",1],["GetLocal",0],["Cons"],["SetLocal",0],
                    ["GetLocal",1],["Int",1],["Sub"],["Dup"],["SetLocal",1],
                    ["JmpIfFalse",1],["Jmp",-11],["GetLocal",0]],
            "expect":{{"result":{list}}}}}]"#
    );
    let vector = vector::parse(&text).unwrap();
    let outcome = vector::run(&vector);
    assert_eq!(outcome.difference(&vector), None);
    assert!(outcome.to_json().contains(&list));
    let nested = "[".repeat(1001) + &"]".repeat(1001);
    assert_eq!(vector::parse(&nested).unwrap_err(), VectorError::Nesting);
}

#[test]
fn a_text_that_is_no_vector_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "not JSON"),
        ("[]", "0 vectors where one was expected"),
        ("{}", "field `code`: missing"),
        (r#"{"code":3}"#, "field `code`: not a list"),
        (
            r#"{"code":[["Nop"]]}"#,
            r#"field `code`: not an instruction: ["Nop"]"#,
        ),
        (
            r#"{"code":[],"constants":[7]}"#,
            "field `constants`: not a value: 7",
        ),
        (
            r#"{"code":[],"caps":["Fly"]}"#,
            r#"field `caps`: not a capability: "Fly""#,
        ),
        (
            r#"{"name":"x","code":[]}"#,
            "vector x: field `step_limit`: not a whole number",
        ),
    ] {
        let error = vector::parse(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
