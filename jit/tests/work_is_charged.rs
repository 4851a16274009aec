//! What a program makes the engine do is paid for in gas: no instruction does work that its gas does not
//! bound.

use std::time::{Duration, Instant};

use pw_isa::ErrorKind;
use pw_jit::reference::{Outcome, run};
use pw_jit::{CodeSpace, Fiber, Limits, Value};
use testkit::fibers::{self, Surroundings};

/// What every program begins with: a megabyte of text, twice.
const TEXTS: &str = "
func main()
    .locals text other i one
    const text \"0123456789abcdefghij\"
    const other \"0123456789abcdefghij\"
    int i 0
    int one 1
    int r10 16
grow: loop
    string-append text text text
    string-append other other other
    add i i one
    lt r11 i r10
    branch-if r11 grow
";

/// Runs a program that never ends, for a million gas.
fn is_bounded(rest: &str) {
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, &format!("{TEXTS}{rest}"));
    let mut fiber = Fiber::new(&code, program, Limits::default());
    let start = Instant::now();
    let outcome = run(&mut fiber, &code, &mut Surroundings, 1_000_000);
    let time = start.elapsed();
    assert!(matches!(outcome, Outcome::Preempted), "{outcome:?}");
    assert!(time < Duration::from_secs(3), "{time:?}");
}

#[test]
fn looking_at_the_length_of_a_text_does_not_read_it() {
    is_bounded(
        "head: loop
    string-length r10 text
    string-ref r10 text one
    string-append r10 text r10
    string-eq r10 text r10
    branch-unless r10 head
    return r10
",
    );
}

#[test]
fn comparing_structures_pays_for_the_texts_in_them() {
    is_bounded(
        "    int r10 1000
    make-vector r11 r10 text
    make-vector r12 r10 other
head: loop
    equal r13 r11 r12
    jump head
",
    );
}

#[test]
fn errors_that_show_a_value_read_only_what_they_show() {
    is_bounded(
        "    int r10 1000000
    make-vector r11 r10 one
    make-bytes r12 r10 one
    vector r13 r11 count=2
head: loop
    .try -> first r14
        car r14 text
    .end
first:
    .try -> second r14
        car r14 r11
    .end
second:
    .try -> third r14
        car r14 r12
    .end
third:
    .try -> fourth r14
        car r14 r13
        jump fourth
    .end
fourth:
    nil r14
    jump head
",
    );
}

#[test]
fn maps_that_grow_do_not_hash_their_keys_again() {
    is_bounded(
        "    make-map r10
    int r11 30000
    nil r12
list: loop
    cons r12 one r12
    sub r11 r11 one
    int r13 0
    lt r13 r13 r11
    branch-if r13 list
    int r11 20
keys: loop
    cons r13 r11 r12
    map-set r10 r13 one
    sub r11 r11 one
    int r13 0
    lt r13 r13 r11
    branch-if r13 keys
head: loop
    map-set r10 r11 one
    map-delete r13 r10 r11
    add r11 r11 one
    jump head
",
    );
}

#[test]
fn nested_capabilities_are_compared_without_a_stack_and_in_bounded_time() {
    // The number 1 is an entry of its own in front of them.
    let mut source = String::from("func main()\n    .const 1\n");
    for chain in 0..2 {
        for level in 0..60_000u32 {
            let below = chain * 60_000 + level;
            let parameter = if level == 0 {
                "1".to_owned()
            } else {
                format!("%{below}")
            };
            source += &format!("    .const #capability(c {parameter})\n");
        }
    }
    source += "    const r0 %60000\n    const r1 %120000\n    eq r2 r0 r1\n    equal r3 r0 r1\n";
    source += "    vector r2 r2 count=2\n    return r2\n";
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, &source);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    let Outcome::Done(answers) = fibers::run_to_end(&mut fiber, &code) else {
        panic!("comparing fails nowhere");
    };
    // `eq` gives parameters up that are too large; `equal` pays for them.
    let answers = fiber.heap(&code).vector(answers).expect("a vector");
    assert!(answers.eq([Value::bool(false), Value::bool(true)]));
}

#[test]
fn an_instruction_whose_work_is_beyond_the_limit_does_not_do_it() {
    let mut code = CodeSpace::default();
    let source = "func main()\n    int r0 4000000000\n    int r1 1\n    make-bytes r0 r0 r1\n    return r0\n";
    let program = fibers::load(&mut code, source);
    let limits = Limits {
        gas: 1_000,
        memory_bytes: u64::MAX,
        ..Limits::default()
    };
    let mut fiber = Fiber::new(&code, program, limits);
    match fibers::run_to_end(&mut fiber, &code) {
        Outcome::Failed(failure) => assert_eq!(failure.kind, ErrorKind::GasLimitExceeded),
        other => panic!("{other:?}"),
    }
    assert_eq!(fiber.gas_used(), 2);
}

#[test]
fn an_effect_that_cannot_be_paid_leaves_nothing_behind() {
    let mut code = CodeSpace::default();
    let source =
        "func main()\n    const r0 @main\n    int r1 5\n    spawn r0 r0 count=2\n    return r0\n";
    let program = fibers::load(&mut code, source);
    let mut whole = Fiber::new(&code, program, Limits::default());
    fibers::run_to_end(&mut whole, &code);
    let limits = Limits {
        gas: 2,
        ..Limits::default()
    };
    let mut stopped = Fiber::new(&code, program, limits);
    fibers::run_to_end(&mut stopped, &code);
    assert_eq!(stopped.arena().counters().allocated, 0);
    stopped.set_limits(Limits::default());
    fibers::run_to_end(&mut stopped, &code);
    assert!(stopped.to_image(&code) == whole.to_image(&code));
}
