//! What `docs` promise about Jue, as far as one actor can show it: sources and what they come to.
//!
//! Each case is a source and the text of its value. A text that starts with `!` is the kind of an
//! error that nobody catches; one that starts with `?` is part of a compile error.

mod language;
mod library;

use physics_world::lang;
use pw_isa::ErrorKind;
use pw_isa::verify::verify;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::{Answer, Effect, Host, Kept};
use pw_jit::reference::{self, Outcome};
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Limits, Value};

/// A host with a console and nothing else.
#[derive(Default)]
struct Console;

impl Host for Console {
    fn effect(&mut self, _code: &CodeSpace, _: Option<&Kept>, effect: Effect) -> Answer {
        match effect {
            Effect::HostCall { name, arguments } if name == "count" => {
                Answer::Done(Parcel::Plain(Value::int(arguments.len() as i64)))
            }
            Effect::HostCall { .. } => Answer::NIL,
            Effect::HasCapability { capability } => {
                Answer::Done(Parcel::Plain(Value::bool(capability.name == "io-console")))
            }
            Effect::SelfId => Answer::Done(Parcel::Plain(Value::actor(7))),
            Effect::Sender => Answer::NIL,
            _ => Answer::Refused {
                kind: ErrorKind::CapabilityDenied,
                message: "not here".to_owned(),
            },
        }
    }
}

/// The text of what a source comes to.
fn evaluate(source: &str) -> String {
    let program = match lang::compile("case.jue", source) {
        Ok(program) => program,
        Err(errors) => return format!("?{}", errors.errors()[0].message()),
    };
    let verified = match verify(program) {
        Ok(verified) => verified,
        Err(error) => panic!("{source}\nis not verified: {error}"),
    };
    let mut code = CodeSpace::new([1, 2]);
    let program = code.load(verified);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    match reference::run(&mut fiber, &code, &mut Console, u64::MAX) {
        Outcome::Done(value) => value_text(fiber.heap(&code), value, Style::Quoted),
        Outcome::Failed(failure) => format!("!{}", failure.kind.name()),
        outcome => panic!("{source}\nended with {outcome:?}"),
    }
}

pub(crate) fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(source, expected)| (source, expected, evaluate(source)))
        .filter(|(_, expected, found)| match expected.strip_prefix('?') {
            Some(part) => !found
                .strip_prefix('?')
                .is_some_and(|message| message.contains(part)),
            None => found != *expected,
        })
        .map(|(source, expected, found)| {
            format!("{source}\n  expected {expected}\n  found    {found}")
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
