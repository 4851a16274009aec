//! Fibers in every kind of state: programs that between them use everything a fiber can hold, and
//! surroundings that answer the same whenever they are asked.

use pw_isa::text::parse;
use pw_isa::verify::verify;
use pw_isa::{ErrorKind, Kind};
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::host::{Answer, Effect, Host, Kept};
use pw_jit::reference::{Outcome, answer, run};
use pw_jit::{CodeSpace, Fiber, Limits, State, Value};

/// The programs by name.
pub const PROGRAMS: [(&str, &str); 8] = [
    ("other", include_str!("other.pwa")),
    ("frames", include_str!("frames.pwa")),
    ("data", include_str!("data.pwa")),
    ("errors", include_str!("errors.pwa")),
    ("cycles", include_str!("cycles.pwa")),
    ("waits", include_str!("waits.pwa")),
    ("sandboxes", include_str!("sandboxes.pwa")),
    ("long", include_str!("long.pwa")),
];

/// The programs whose every state can be looked at in a short time.
pub const SHORT: [&str; 6] = ["frames", "data", "errors", "cycles", "waits", "sandboxes"];

/// Loads a program given as assembly text.
///
/// # Panics
/// When it does not assemble or verify.
pub fn load(code: &mut CodeSpace, source: &str) -> u32 {
    let program = match parse(source) {
        Ok(program) => program,
        Err(errors) => panic!("{errors}"),
    };
    match verify(program) {
        Ok(verified) => code.load(verified),
        Err(error) => panic!("{error}"),
    }
}

/// A code space with all programs.
pub fn code() -> CodeSpace {
    code_with(CodeSpace::default())
}

/// Loads all programs.
pub fn code_with(mut code: CodeSpace) -> CodeSpace {
    for (_, source) in PROGRAMS {
        load(&mut code, source);
    }
    code
}

/// A fiber at the beginning of a program, with the arguments it takes.
///
/// # Panics
/// When there is no such program.
pub fn start(code: &CodeSpace, name: &str) -> Fiber {
    let Some((_, source)) = PROGRAMS.iter().find(|(known, _)| *known == name) else {
        panic!("no program is called {name}");
    };
    let mut same = CodeSpace::default();
    let number = load(&mut same, source);
    let Some(program) = code.find(same.program(number).signature()) else {
        panic!("{name} is not loaded");
    };
    let mut fiber = Fiber::new(code, program, Limits::default());
    if name == "waits" {
        let other = start(code, "other").position().0;
        let other = code.program(other).function_value(0);
        let text = fiber.arena_mut().new_text(Kind::String, "an argument");
        let accepted = fiber.set_arguments(code, &[other, text, Value::int(2)]);
        assert!(accepted, "the arguments fit");
    }
    if name == "other" {
        let accepted = fiber.set_arguments(code, &[Value::int(1)]);
        assert!(accepted, "the arguments fit");
    }
    fiber
}

/// Surroundings that know one actor, who may use `io-network`, and let every instruction wait that can. Short cuts do what effects do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings;

impl Host for Surroundings {
    fn actor(&self) -> Option<u64> {
        Some(1)
    }

    fn powers(&self) -> Option<u64> {
        Some(1)
    }

    fn effect(&mut self, code: &CodeSpace, kept: Option<&Kept>, effect: Effect) -> Answer {
        match effect {
            Effect::SelfId => Answer::Done(Parcel::Plain(Value::actor(1))),
            Effect::HasCapability { capability } => {
                let has = capability.name == "io-network" && Kept::allows(kept, &capability);
                Answer::Done(Parcel::Plain(Value::bool(has)))
            }
            Effect::Spawn { start } => Answer::Done(start.call(code)),
            Effect::Receive { .. } | Effect::Request { .. } | Effect::Yield => Answer::Pending,
            Effect::HostCall { name, .. } => Answer::Refused {
                kind: ErrorKind::CapabilityDenied,
                message: format!("no {name} here"),
            },
            _ => Answer::NIL,
        }
    }

    fn send_plain(&mut self, _: u64, _: Value, _: u8) -> bool {
        true
    }

    fn wait_for_message(&mut self) -> bool {
        true
    }

    fn sender_plain(&self) -> Option<Value> {
        Some(Value::NIL)
    }

    fn self_plain(&self) -> Option<Value> {
        Some(Value::actor(1))
    }
}

/// The answer that a waiting fiber gets: a graph with sharing and a cycle.
pub fn reply(code: &CodeSpace) -> Parcel {
    let mut arena = Arena::new();
    let text = arena.new_text(Kind::String, &"a message that needs a buffer; ".repeat(4));
    let pair = arena.new_pair(text, Value::float(0.5));
    let list = arena.new_pair(pair, text);
    let list = arena.new_pair(pair, list);
    Parcel::pack(
        Heap {
            arena: &arena,
            code,
        },
        list,
    )
}

/// Runs one instruction, or gives a waiting one its answer. The outcome, when the program has ended.
pub fn step(fiber: &mut Fiber, code: &CodeSpace) -> Option<Outcome> {
    if fiber.state() == State::Waiting {
        let failed = answer(fiber, code, &mut Surroundings, Ok(reply(code)));
        return failed.err().map(Outcome::Failed);
    }
    let before = fiber.gas_used();
    for slice in 1..=u64::from(u16::MAX) {
        match run(fiber, code, &mut Surroundings, slice) {
            Outcome::Preempted if fiber.gas_used() == before => {}
            Outcome::Preempted | Outcome::Waiting => return None,
            outcome => return Some(outcome),
        }
    }
    unreachable!("an instruction's fixed gas is a 16-bit number")
}

/// Runs to the end in slices of `slice` gas, answering wherever it waits, and calling `between` after each
/// slice.
pub fn run_in_slices(
    fiber: &mut Fiber,
    code: &CodeSpace,
    slice: u64,
    mut between: impl FnMut(&mut Fiber),
) -> Outcome {
    loop {
        match run(fiber, code, &mut Surroundings, slice) {
            Outcome::Waiting => {
                let answered = answer(fiber, code, &mut Surroundings, Ok(reply(code)));
                if let Err(failure) = answered {
                    return Outcome::Failed(failure);
                }
            }
            Outcome::Preempted => {}
            outcome => return outcome,
        }
        between(fiber);
    }
}

/// Runs to the end.
pub fn run_to_end(fiber: &mut Fiber, code: &CodeSpace) -> Outcome {
    run_in_slices(fiber, code, u64::MAX, |_| {})
}
