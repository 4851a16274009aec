//! One actor by itself: what its surroundings promise.

use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::Outcome;
use physics_world::jit::text::{Style, value_text};
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::solo::Solo;
use physics_world::source::{FileKind, load_program};

/// A program under limits, and what it printed so far.
struct Run {
    code: CodeSpace,
    fiber: Fiber,
    host: Solo<Vec<u8>>,
}

impl Run {
    fn new(source: &str, limits: Limits) -> Run {
        let verified = load_program("solo.jue", FileKind::Jue, source.as_bytes()).unwrap();
        let mut code = CodeSpace::default();
        let program = code.load(verified);
        let fiber = Fiber::new(&code, program, limits);
        Run {
            code,
            fiber,
            host: Solo::new(Vec::new()),
        }
    }

    /// Runs on; the value, or the error's kind and message.
    fn go(&mut self) -> String {
        let mut profile = Profile::default();
        match interp::run(
            &mut self.fiber,
            &self.code,
            &mut self.host,
            &mut profile,
            u64::MAX,
        ) {
            Outcome::Done(value) => value_text(self.fiber.heap(&self.code), value, Style::Quoted),
            Outcome::Failed(failure) => format!("{}: {}", failure.kind.name(), failure.message),
            other => panic!("{other:?}"),
        }
    }
}

fn result(source: &str) -> String {
    Run::new(source, Limits::default()).go()
}

#[test]
fn a_mailbox_is_bounded_in_bytes() {
    let source = "(let ((v (make-vector 100000 1.5)) (i 0))
        (while (< i 100) (send! (self) v) (set! i (+ i 1))))";
    assert_eq!(
        result(source),
        "MailboxFull: the mailbox holds its limit of 16777216 bytes"
    );
}

#[test]
fn a_message_that_does_not_fit_is_still_there_under_a_higher_limit() {
    let source = "(begin (send! (self) (make-vector 10000 1)) (send! (self) 2)
        (let ((v (receive))) (list (vector-length v) (receive))))";
    let generous = Limits::default();
    let mut failed = 0;
    for memory_bytes in (80_000..400_000).step_by(1_000) {
        let mut run = Run::new(
            source,
            Limits {
                memory_bytes,
                ..generous
            },
        );
        let first = run.go();
        if first.starts_with("MemoryLimitExceeded") {
            failed += 1;
            run.fiber.set_limits(generous);
            assert_eq!(run.go(), "(10000 2)", "memory {memory_bytes}");
        } else {
            assert_eq!(first, "(10000 2)");
        }
    }
    assert!(failed > 0, "some limit strikes");
}

#[test]
fn printing_is_bounded_by_the_size_of_the_value() {
    let source = "(define x (let l ((i 0) (x (list 1))) (if (= i 60) x (l (+ i 1) (cons x x)))))
        (print x)";
    let mut run = Run::new(source, Limits::default());
    assert_eq!(run.go(), "nil");
    let printed = run.host.into_output().len();
    assert!(printed < 100_000, "{printed} bytes");
}

#[test]
fn long_constants_are_printed_whole() {
    let text = "x".repeat(20_000);
    let mut run = Run::new(&format!("(print \"{text}\")"), Limits::default());
    assert_eq!(run.go(), "nil");
    assert_eq!(run.host.into_output().len(), text.len() + 1);
}

#[test]
fn a_revoked_capability_is_gone() {
    let source = "(let ((before (has-capability? 'io-console)))
        (revoke-capability (self) 'io-console)
        (list before (has-capability? 'io-console) (try (print 1) (catch e (error-kind e)))))";
    assert_eq!(result(source), "(true false CapabilityDenied)");
}

#[test]
fn a_request_to_oneself_times_out() {
    let source = "(try (request (self) 1 :timeout 5) (catch e (error-kind e)))";
    assert_eq!(result(source), "Timeout");
}

#[test]
fn wrong_mailbox_options_change_nothing() {
    let source = "(begin (try (set-mailbox! :limit 0 :bogus 1) (catch e nil))
        (send! (self) 1) (receive))";
    assert_eq!(result(source), "1");
}

#[test]
fn what_a_program_begins_with_must_fit() {
    let none = Limits {
        memory_bytes: 0,
        ..Limits::default()
    };
    let failed = Run::new("(+ 1 2)", none).go();
    assert_eq!(
        failed,
        "MemoryLimitExceeded: the memory limit of 0 bytes is used up"
    );
}

#[test]
fn work_that_gas_cannot_pay_is_not_done() {
    let source = "(define v (make-vector 2000000 1)) (begin (send! (self) v) (send! (self) v))";
    let limits = Limits {
        gas: 300_000,
        ..Limits::default()
    };
    let failed = Run::new(source, limits).go();
    assert_eq!(
        failed,
        "GasLimitExceeded: the gas limit of 300000 is used up"
    );
}

#[test]
fn receiving_costs_gas_by_the_size_of_the_message() {
    // The same steps; only what arrives differs. Both collect nothing.
    let gas_of = |length: u32| {
        let source = format!(
            "(begin (define v (make-bytes {length} 1)) (send! (self) v)
                (define (take) (receive)) (take) 1)"
        );
        let mut run = Run::new(&source, Limits::default());
        assert_eq!(run.go(), "1");
        run.fiber.gas_used()
    };
    // Making, sending and receiving each charge a 64th of the bytes.
    assert_eq!((gas_of(64_064) - gas_of(64)) / 1_000, 3);
}
