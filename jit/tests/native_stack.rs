//! Native code and the stack of the thread that it runs on: deep recursion ends where its limits say, on
//! small stacks too; and what is too large for the compiler runs all the same.

use std::fmt::Write;

use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::tier::{CompileError, ExitReason, JitSettings};
use pw_jit::{CodeSpace, Fiber, Limits, interp};
use testkit::fibers::Surroundings;

/// Calls itself until a limit stops it, in place and with something to do afterwards.
const DEEP: &str = ".entry @main
func deep(n)
    int r2 1
    add r2 n r2
    call r1 args=1 @deep
    add n n r1
    return n
func main()
    int r2 0
    call r1 args=1 @deep
    return r1
";

/// The thread's stack, and what native code may use of it.
const STACK: usize = 512 << 10;
const NATIVE_STACK: u64 = 128 << 10;

fn load(source: &str) -> (CodeSpace, u32) {
    let program = pw_isa::text::parse(source).expect("assembly text");
    let mut code = CodeSpace::default();
    let number = code.load(pw_isa::verify::verify(program).expect("a program"));
    (code, number)
}

/// How a program ends: the error and the gas.
fn end(fiber: &mut Fiber, outcome: Outcome) -> (String, u64, usize) {
    let depth = fiber.frames().count();
    match outcome {
        Outcome::Failed(failure) => (failure.kind.name().to_owned(), fiber.gas_used(), depth),
        other => panic!("{other:?}"),
    }
}

#[test]
fn recursion_ends_at_its_limit_on_a_small_stack() {
    let limits = Limits {
        depth: 200_000,
        ..Limits::default()
    };
    let (code, number) = load(DEEP);
    let mut fiber = Fiber::new(&code, number, limits);
    let outcome = reference::run(&mut fiber, &code, &mut Surroundings, u64::MAX);
    let expected = end(&mut fiber, outcome);
    assert_eq!(expected.0, "RecursionLimitExceeded");
    let on_a_small_stack = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            let settings = JitSettings {
                native_stack: NATIVE_STACK,
                ..JitSettings::eager()
            };
            let mut profile = Profile::with_native(settings).expect("native code");
            let mut fiber = Fiber::new(&code, number, limits);
            let outcome = interp::run(&mut fiber, &code, &mut Surroundings, &mut profile, u64::MAX);
            let exits = profile.native().expect("it has one").statistics().exits;
            (end(&mut fiber, outcome), exits)
        });
    let (found, exits) = on_a_small_stack
        .expect("a thread")
        .join()
        .expect("its stack is enough");
    assert_eq!(found, expected);
    // Frames of native code would not have had room for a hundredth of that.
    assert!(exits[&ExitReason::NotEntered] > 10, "{exits:?}");
}

#[test]
fn a_function_that_is_too_large_is_interpreted_and_counted() {
    let mut source =
        ".entry @main\nfunc main()\n    int r0 0\n    int r1 1\n    int r2 20\nL3:\n    loop\n"
            .to_owned();
    for _ in 0..3_000 {
        source += "    add r0 r0 r1\n";
    }
    let _ = write!(
        source,
        "    sub r2 r2 r1\n    int r3 0\n    lt r3 r3 r2\n    branch-if r3 L3\n    return r0\n"
    );
    let (code, number) = load(&source);
    let mut profile = Profile::with_native(JitSettings::eager()).expect("native code");
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let outcome = interp::run(&mut fiber, &code, &mut Surroundings, &mut profile, u64::MAX);
    let Outcome::Done(value) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(value.bits, 60_000);
    let jit = profile.native().expect("it has one");
    let statistics = jit.statistics();
    assert_eq!(
        (statistics.compiler.compiled, statistics.compiler.failed),
        (0, 1)
    );
    assert_eq!((statistics.compiler.faults, statistics.entries), (0, 0));
    let refused = jit.compiler().compile_hot_code(&code, &profile, number, 0);
    assert!(
        matches!(refused, Err(CompileError::TooLarge { .. })),
        "{refused:?}"
    );
}

/// Deep recursion with many calls that return at once among those that do not.
const ACKERMANN: &str = ".entry @main
func main()
    int r2 2
    int r3 300
    call r1 args=2 @ackermann
    return r1
func ackermann(m n)
    .locals zero one t
    int zero 0
    int one 1
    eq t m zero
    branch-unless t LM
    add n n one
    return n
LM:
    sub r6 m one
    eq t n zero
    branch-unless t LN
    move r7 one
    tail-call r5 args=2 @ackermann
LN:
    move r9 m
    sub r10 n one
    call r8 args=2 @ackermann
    move r7 r8
    tail-call r5 args=2 @ackermann
";

#[test]
fn deep_recursion_in_slices_stays_in_native_code() {
    let (code, number) = load(ACKERMANN);
    let settings = JitSettings {
        background: false,
        ..JitSettings::default()
    };
    let mut profile = Profile::with_native(settings).expect("native code");
    let mut fiber = Fiber::new(&code, number, Limits::default());
    // Each slice ends some hundred calls deep, and these return to the interpreter one by one.
    let outcome = loop {
        match interp::run(&mut fiber, &code, &mut Surroundings, &mut profile, 100_000) {
            Outcome::Preempted => {}
            outcome => break outcome,
        }
    };
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let native = profile.native().expect("a tier").statistics();
    let share = native.gas as f64 / fiber.gas_used() as f64;
    assert!(
        share > 0.8,
        "{share} of {} in native code",
        fiber.gas_used()
    );
}
