//! The fast interpreter does what the reference does, from any state and in slices of any length.

use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome, answer};
use pw_jit::tier::JitSettings;
use pw_jit::{CodeSpace, Fiber, Limits, interp};
use testkit::fibers::{self, SHORT, Surroundings};

/// Runs to the end with the fast interpreter.
fn run_fast(fiber: &mut Fiber, code: &CodeSpace, slice: u64) {
    let mut profile = Profile::default();
    loop {
        match interp::run(fiber, code, &mut Surroundings, &mut profile, slice) {
            Outcome::Waiting => {
                let reply = Ok(fibers::reply(code));
                if answer(fiber, code, &mut Surroundings, reply).is_err() {
                    return;
                }
            }
            Outcome::Preempted => {}
            _ => return,
        }
    }
}

#[test]
fn from_any_state_both_interpreters_end_the_same() {
    let code = fibers::code();
    for name in SHORT {
        let mut whole = fibers::start(&code, name);
        fibers::run_to_end(&mut whole, &code);
        let mut fiber = fibers::start(&code, name);
        while fibers::step(&mut fiber, &code).is_none() {
            let mut fast = fiber.clone();
            run_fast(&mut fast, &code, u64::MAX);
            assert_eq!(
                fast.gas_used(),
                whole.gas_used(),
                "{name} from {:?} with {}",
                fiber.position(),
                fiber.gas_used()
            );
            assert!(fast.to_image(&code) == whole.to_image(&code), "{name}");
        }
    }
}

#[test]
fn slices_of_any_length_end_the_same() {
    let code = fibers::code();
    for name in SHORT {
        let mut whole = fibers::start(&code, name);
        fibers::run_to_end(&mut whole, &code);
        for slice in [4, 5, 7, 19, 100] {
            let mut fast = fibers::start(&code, name);
            run_fast(&mut fast, &code, slice);
            assert!(
                fast.to_image(&code) == whole.to_image(&code),
                "{name} by {slice}"
            );
        }
    }
}

#[test]
fn from_any_state_a_slice_of_any_length_ends_in_the_same_state() {
    let code = fibers::code();
    for name in SHORT {
        let mut fiber = fibers::start(&code, name);
        while fibers::step(&mut fiber, &code).is_none() {
            for slice in 1..12 {
                let (mut fast, mut slow) = (fiber.clone(), fiber.clone());
                let mut profile = Profile::default();
                let found = interp::run(&mut fast, &code, &mut Surroundings, &mut profile, slice);
                let expected = reference::run(&mut slow, &code, &mut Surroundings, slice);
                let place = format!("{name} from {:?} by {slice}", fiber.position());
                assert_eq!(found, expected, "{place}");
                assert_eq!(fast.position(), slow.position(), "{place}");
                assert_eq!(fast.gas_used(), slow.gas_used(), "{place}");
                assert!(fast.to_image(&code) == slow.to_image(&code), "{place}");
            }
        }
    }
}

#[test]
fn at_any_limit_both_interpreters_fail_in_the_same_state() {
    let code = fibers::code();
    for name in SHORT {
        for limit in (0..3_000).step_by(7) {
            let gas = Limits {
                gas: limit,
                ..Limits::default()
            };
            let memory = Limits {
                memory_bytes: limit,
                ..Limits::default()
            };
            for limits in [gas, memory] {
                let mut slow = fibers::start(&code, name);
                slow.set_limits(limits);
                let mut fast = slow.clone();
                fibers::run_to_end(&mut slow, &code);
                run_fast(&mut fast, &code, u64::MAX);
                let place = |fiber: &Fiber| {
                    let counters = fiber.arena().counters();
                    (fiber.position(), fiber.depth(), fiber.gas_used(), counters)
                };
                assert_eq!(place(&fast), place(&slow), "{name} with {limits:?}");
                let same = fast.to_image(&code) == slow.to_image(&code);
                assert!(same, "{name} with {limits:?}");
            }
        }
    }
}

#[test]
fn a_profile_forgets_what_it_learnt_from_other_code() {
    let settings = JitSettings::eager();
    let mut profile = Profile::with_native(settings).expect("a machine with native code");
    // Both spaces number their programs from 0; the second program is larger.
    for source in [SMALL, LARGER] {
        let mut code = CodeSpace::default();
        let program = pw_isa::text::parse(source).expect("assembly text");
        let number = code.load(pw_isa::verify::verify(program).expect("a program"));
        let mut slow = Fiber::new(&code, number, Limits::default());
        let mut fast = slow.clone();
        let expected = reference::run(&mut slow, &code, &mut Surroundings, u64::MAX);
        let found = interp::run(&mut fast, &code, &mut Surroundings, &mut profile, u64::MAX);
        assert_eq!(found, expected);
        assert!(fast.to_image(&code) == slow.to_image(&code));
    }
}

/// A hundred rounds of one loop.
const SMALL: &str = ".entry @main
func main()
    int r0 0
    int r1 100
    int r2 1
L3:
    loop
    add r0 r0 r2
    lt r3 r0 r1
    branch-if r3 L3
    return r0
";

/// The same, downwards and then upwards.
const LARGER: &str = ".entry @main
func main()
    int r0 100
    int r1 0
    int r2 1
L3:
    loop
    sub r0 r0 r2
    lt r3 r1 r0
    branch-if r3 L3
    int r1 300
L8:
    loop
    add r0 r0 r2
    lt r3 r0 r1
    branch-if r3 L8
    return r0
";

#[test]
#[should_panic(expected = "a fiber runs with the code space that it was made with")]
fn a_fiber_does_not_run_with_other_code() {
    let program = |source| {
        let program = pw_isa::text::parse(source).expect("assembly text");
        pw_isa::verify::verify(program).expect("a program")
    };
    let (mut code, mut other) = (CodeSpace::default(), CodeSpace::default());
    let number = code.load(program(SMALL));
    other.load(program(LARGER));
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let mut profile = Profile::default();
    interp::run(&mut fiber, &other, &mut Surroundings, &mut profile, 1000);
}
