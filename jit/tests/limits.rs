//! Limits trip at exactly one instruction, whatever happened before, and what they stop can go on.

use pw_isa::ErrorKind;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::reference::{Outcome, answer, run};
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Limits, State, Value};
use testkit::fibers::{self, SHORT, Surroundings};

/// `main(n)` is `n` + 2 frames deep at its deepest.
const DEEP: &str = "
func main(n)
    .locals zero test
    move r5 n
    call r4 args=1 @count
    return r4
func count(n)
    int r1 0
    num-eq r1 n r1
    branch-if r1 end
    int r1 1
    sub r2 n r1
    call r1 args=1 @count
    add r1 r1 n
    return r1
end:
    return n
func forever(n)
    move r2 n
    call r1 args=1 @forever
    return r1
";

fn with_limits(code: &CodeSpace, name: &str, limits: Limits) -> Fiber {
    let mut fiber = fibers::start(code, name);
    fiber.set_limits(limits);
    fiber
}

fn failed_at(outcome: Outcome, kind: ErrorKind) {
    match outcome {
        Outcome::Failed(failure) => assert_eq!(failure.kind, kind, "{failure}"),
        other => panic!("{other:?} where {kind:?} was to stop it"),
    }
}

fn whole(code: &CodeSpace, name: &str) -> (Fiber, String) {
    let mut fiber = fibers::start(code, name);
    let Outcome::Done(value) = fibers::run_to_end(&mut fiber, code) else {
        panic!("{name} ends by itself");
    };
    let text = value_text(fiber.heap(code), value, Style::Quoted);
    (fiber, text)
}

#[test]
fn under_any_memory_limit_a_program_gives_its_result_or_fails_for_memory() {
    let code = fibers::code();
    for (name, step) in [("frames", 1), ("cycles", 1), ("errors", 1), ("data", 61)] {
        let (_, expected) = whole(&code, name);
        let mut enough = None;
        for memory_bytes in (0..40_000).step_by(step) {
            let limits = Limits {
                memory_bytes,
                ..Limits::default()
            };
            let mut fiber = with_limits(&code, name, limits);
            match fibers::run_to_end(&mut fiber, &code) {
                Outcome::Done(value) => {
                    enough = enough.or(Some(memory_bytes));
                    let text = value_text(fiber.heap(&code), value, Style::Quoted);
                    assert_eq!(text, expected, "{name} with {memory_bytes} bytes");
                }
                outcome => {
                    assert_eq!(enough, None, "{name} with {memory_bytes} bytes");
                    failed_at(outcome, ErrorKind::MemoryLimitExceeded);
                }
            }
            if enough.is_some_and(|enough| memory_bytes > enough + 200) {
                break;
            }
        }
        assert!(
            enough.is_some_and(|bytes| bytes > 500),
            "{name}: {enough:?}"
        );
    }
}

#[test]
fn at_any_gas_limit_the_state_is_that_before_the_instruction_that_did_not_fit() {
    let code = fibers::code();
    for name in SHORT {
        let (end, _) = whole(&code, name);
        let mut reference = fibers::start(&code, name);
        let mut ahead = reference.clone();
        for gas in 0..end.gas_used() {
            while ahead.gas_used() <= gas {
                reference = ahead.clone();
                assert!(fibers::step(&mut ahead, &code).is_none() || ahead.gas_used() > gas);
            }
            let limits = Limits {
                gas,
                ..Limits::default()
            };
            let mut limited = with_limits(&code, name, limits);
            let outcome = fibers::run_to_end(&mut limited, &code);
            failed_at(outcome, ErrorKind::GasLimitExceeded);
            assert!(limited.gas_used() <= gas);
            limited.set_limits(Limits::default());
            assert!(
                limited.to_image(&code) == reference.to_image(&code),
                "{name} with {gas} gas"
            );
            fibers::run_to_end(&mut limited, &code);
            assert!(
                limited.to_image(&code) == end.to_image(&code),
                "{name} goes on from {gas} gas"
            );
        }
        let limits = Limits {
            gas: end.gas_used(),
            ..Limits::default()
        };
        let mut exact = with_limits(&code, name, limits);
        assert!(matches!(
            fibers::run_to_end(&mut exact, &code),
            Outcome::Done(_)
        ));
    }
}

#[test]
fn a_program_stopped_by_the_gas_of_a_collection_goes_on_as_if_it_had_not_been() {
    let code = fibers::code();
    let (end, _) = whole(&code, "long");
    let mut fiber = fibers::start(&code, "long");
    let mut stops = 0;
    loop {
        let before = (
            fiber.clone(),
            fiber.gas_used(),
            fiber.arena().statistics().collections,
        );
        if fibers::step(&mut fiber, &code).is_some() {
            break;
        }
        if fiber.arena().statistics().collections == before.2 {
            continue;
        }
        for gas in [before.1 + 1, fiber.gas_used() - 1] {
            let mut stopped = before.0.clone();
            stopped.set_limits(Limits {
                gas,
                ..Limits::default()
            });
            let outcome = fibers::run_to_end(&mut stopped, &code);
            failed_at(outcome, ErrorKind::GasLimitExceeded);
            stopped.set_limits(Limits::default());
            fibers::run_to_end(&mut stopped, &code);
            assert_eq!(stopped.gas_used(), end.gas_used(), "stopped at {gas}");
            assert!(stopped.to_image(&code) == end.to_image(&code));
            stops += 1;
        }
    }
    assert!(stops > 6);
}

#[test]
fn one_object_larger_than_the_threshold_is_paid_for_once() {
    let mut code = CodeSpace::default();
    let program = fibers::load(
        &mut code,
        "func main()\n int r1 0\n cons r0 r1 r1\n int r0 300000\n make-bytes r0 r0 r1\n return r0\n",
    );
    let mut whole = Fiber::new(&code, program, Limits::default());
    fibers::run_to_end(&mut whole, &code);
    for gas in 0..whole.gas_used() {
        let limits = Limits {
            gas,
            ..Limits::default()
        };
        let mut stopped = Fiber::new(&code, program, limits);
        failed_at(
            fibers::run_to_end(&mut stopped, &code),
            ErrorKind::GasLimitExceeded,
        );
        stopped.set_limits(Limits::default());
        fibers::run_to_end(&mut stopped, &code);
        assert!(
            stopped.to_image(&code) == whole.to_image(&code),
            "stopped at {gas}"
        );
    }
}

fn deep(n: i64, depth: u32) -> Outcome {
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, DEEP);
    let limits = Limits {
        depth,
        ..Limits::default()
    };
    let mut fiber = Fiber::new(&code, program, limits);
    assert!(fiber.set_arguments(&code, &[Value::int(n)]));
    fibers::run_to_end(&mut fiber, &code)
}

#[test]
fn as_many_frames_as_the_limit_are_allowed_and_not_one_more() {
    for n in [0, 1, 7, 1000] {
        let frames = n as u32 + 2;
        assert_eq!(deep(n, frames), Outcome::Done(Value::int(n * (n + 1) / 2)));
        failed_at(deep(n, frames - 1), ErrorKind::RecursionLimitExceeded);
    }
}

#[test]
fn limits_of_zero_stop_what_they_limit_and_nothing_else() {
    failed_at(deep(0, 0), ErrorKind::RecursionLimitExceeded);
    failed_at(deep(0, 1), ErrorKind::RecursionLimitExceeded);
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, "func main()\n int r0 5\n return r0\n");
    let zero = Limits {
        memory_bytes: 0,
        depth: 0,
        stack_bytes: Some(0),
        ..Limits::default()
    };
    let mut fiber = Fiber::new(&code, program, zero);
    assert_eq!(
        fibers::run_to_end(&mut fiber, &code),
        Outcome::Done(Value::int(5))
    );
    let mut fiber = Fiber::new(&code, program, Limits { gas: 0, ..zero });
    failed_at(
        fibers::run_to_end(&mut fiber, &code),
        ErrorKind::GasLimitExceeded,
    );
    assert_eq!(fiber.gas_used(), 0);
}

#[test]
fn unbounded_recursion_hits_the_frame_limit_before_memory() {
    let mut code = CodeSpace::default();
    let source = DEEP.replace("func main", ".entry @forever\nfunc main");
    let program = fibers::load(&mut code, &source);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    assert!(fiber.set_arguments(&code, &[Value::NIL]));
    let outcome = fibers::run_to_end(&mut fiber, &code);
    failed_at(outcome, ErrorKind::RecursionLimitExceeded);
    assert_eq!(fiber.depth(), Limits::default().depth);
}

#[test]
fn a_stack_limit_of_its_own_does_not_count_as_memory() {
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, DEEP);
    let run = |stack_bytes| {
        let limits = Limits {
            memory_bytes: 0,
            stack_bytes: Some(stack_bytes),
            ..Limits::default()
        };
        let mut fiber = Fiber::new(&code, program, limits);
        assert!(fiber.set_arguments(&code, &[Value::int(9)]));
        fibers::run_to_end(&mut fiber, &code)
    };
    let least = (0..10_000)
        .step_by(16)
        .find(|bytes| matches!(run(*bytes), Outcome::Done(_)));
    let least = least.expect("10,000 bytes are enough");
    failed_at(run(least - 1), ErrorKind::MemoryLimitExceeded);
    assert_eq!(run(least + 5_000), Outcome::Done(Value::int(45)));
}

#[test]
fn a_fiber_whose_answer_does_not_fit_still_waits_for_it() {
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, "func main()\n    receive r0\n    return r0\n");
    let mut fiber = Fiber::new(&code, program, Limits::default());
    assert_eq!(
        run(&mut fiber, &code, &mut Surroundings, 10),
        Outcome::Waiting
    );
    fiber.set_limits(Limits {
        memory_bytes: 100,
        ..Limits::default()
    });
    let message = Parcel::string(&code, &"too long ".repeat(100));
    let before = fiber.state_hash(&code);
    let answered = answer(&mut fiber, &code, &mut Surroundings, Ok(message.clone()));
    let failure = answered.expect_err("it does not fit");
    assert_eq!(failure.kind, ErrorKind::MemoryLimitExceeded);
    assert_eq!(fiber.state(), State::Waiting);
    fiber.set_limits(Limits::default());
    let answered = answer(&mut fiber, &code, &mut Surroundings, Ok(message));
    assert!(answered.is_ok());
    assert!(matches!(
        fibers::run_to_end(&mut fiber, &code),
        Outcome::Done(_)
    ));
    assert_ne!(fiber.state_hash(&code), before);
}
