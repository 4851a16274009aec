//! `pw run x.v2.json`: runs the program of a V2 vector under the vector's own limits.

use std::process::ExitCode;

use physics_world::json::text_json;
use physics_world::source::BadInput;
use physics_world::v2::vector::{self, Outcome, Vector};

use crate::failure::place_json;
use crate::input;

/// Runs the vector in a file. `steps` replaces its step limit.
pub(crate) fn run(name: &str, bytes: &[u8], steps: Option<u64>, json: bool) -> ExitCode {
    let mut vector = match read(name, bytes) {
        Ok(vector) => vector,
        Err(bad) => return input::refuse(&bad, json),
    };
    vector.step_limit = steps.unwrap_or(vector.step_limit);
    let outcome = vector::run(&vector);
    match (&outcome.result, json) {
        (Ok(_), false) => input::say(&format!("{}\n", outcome.notation)),
        (Err(kind), false) => note!("{kind}: {}", message(&outcome)),
        (Ok(_), true) => input::say(&format!("{}\n", outcome.to_json())),
        (Err(kind), true) => input::say(&format!("{}\n", failure_json(kind, &outcome))),
    }
    match outcome.result {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(input::PROGRAM_FAILED),
    }
}

fn read(name: &str, bytes: &[u8]) -> Result<Vector, BadInput> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        BadInput::new(format!("{name}: not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    vector::parse(text).map_err(|error| BadInput::new(format!("{name}: {error}")))
}

/// What went wrong, and at which V2 instruction.
fn message(outcome: &Outcome) -> String {
    let Some(failure) = &outcome.failure else {
        return "the program is too large".to_owned();
    };
    let ip = failure.place.line.unwrap_or(0);
    let function = &failure.place.function;
    format!("{} (in {function}, instruction {ip})", failure.message)
}

fn failure_json(kind: &str, outcome: &Outcome) -> String {
    let place = outcome.failure.as_ref().map_or(String::new(), |failure| {
        format!(",{}", place_json(&failure.place))
    });
    let message = text_json(&message(outcome));
    format!(
        "{{\"error\":{{\"kind\":\"{kind}\",\"message\":{message}{place}}},{}}}",
        outcome.counts_json()
    )
}
