//! An image is the whole state: what is restored from one goes on like the fiber that was saved.

mod support;

use pw_jit::fiber::image::{HEAD_BYTES, image_of};
use pw_jit::reference::Outcome;
use pw_jit::text::{Style, value_text};
use pw_jit::value::CANONICAL_NAN;
use pw_jit::{CodeSpace, Fiber, Limits, State};
use testkit::fibers::{self, SHORT};

const STACK_BYTES_MAX: u64 = 1 << 20;

fn restored(fiber: &Fiber, code: &CodeSpace) -> Fiber {
    match Fiber::from_image(code, &fiber.to_image(code), STACK_BYTES_MAX) {
        Ok(fiber) => fiber,
        Err(error) => panic!("{error}"),
    }
}

/// The result as text: values of different fibers are different objects.
fn result(fiber: &Fiber, code: &CodeSpace, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done(value) => value_text(fiber.heap(code), *value, Style::Quoted),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_fiber_restored_at_any_instruction_goes_on_the_same() {
    let code = fibers::code();
    for name in SHORT {
        let mut whole = fibers::start(&code, name);
        let outcome = fibers::run_to_end(&mut whole, &code);
        let expected = (result(&whole, &code, &outcome), whole.to_image(&code));
        assert!(matches!(outcome, Outcome::Done(_)), "{name}: {outcome:?}");
        let mut fiber = fibers::start(&code, name);
        let mut steps = 0;
        loop {
            let image = fiber.to_image(&code);
            let mut other = restored(&fiber, &code);
            assert!(other.to_image(&code) == image, "{name} at step {steps}");
            assert_eq!(other.state_hash(&code), fiber.state_hash(&code));
            let outcome = fibers::run_to_end(&mut other, &code);
            assert_eq!(
                result(&other, &code, &outcome),
                expected.0,
                "{name} at step {steps}"
            );
            assert!(
                other.to_image(&code) == expected.1,
                "{name} at step {steps}"
            );
            if fibers::step(&mut fiber, &code).is_some() {
                break;
            }
            steps += 1;
        }
        assert!(steps > 30, "{name} has {steps} states");
        assert!(restored(&fiber, &code).to_image(&code) == expected.1);
    }
}

#[test]
fn a_fiber_restored_at_every_instruction_ends_the_same() {
    let code = fibers::code();
    for name in SHORT {
        let mut whole = fibers::start(&code, name);
        fibers::run_to_end(&mut whole, &code);
        let mut fiber = fibers::start(&code, name);
        while fibers::step(&mut fiber, &code).is_none() {
            fiber = restored(&fiber, &code);
        }
        assert!(fiber.to_image(&code) == whole.to_image(&code), "{name}");
    }
}

#[test]
fn collecting_and_compacting_do_not_change_a_state() {
    let code = fibers::code();
    for name in SHORT {
        let mut fiber = fibers::start(&code, name);
        while fibers::step(&mut fiber, &code).is_none() {
            let image = fiber.to_image(&code);
            fiber.compact(&code);
            assert!(fiber.to_image(&code) == image, "{name} compacted");
        }
    }
}

#[test]
fn a_large_fiber_goes_on_the_same_from_any_slice() {
    let code = fibers::code();
    let mut whole = fibers::start(&code, "long");
    fibers::run_to_end(&mut whole, &code);
    assert!(whole.arena().statistics().collections > 3);
    let mut fiber = fibers::start(&code, "long");
    fibers::run_in_slices(&mut fiber, &code, 5_003, |fiber| {
        *fiber = restored(fiber, &code)
    });
    assert!(fiber.to_image(&code) == whole.to_image(&code));
    assert_eq!(fiber.gas_used(), whole.gas_used());
}

#[test]
fn a_collection_reports_what_an_independent_walk_counts() {
    let code = fibers::code();
    for name in SHORT.into_iter().chain(["long"]) {
        let mut fiber = fibers::start(&code, name);
        let slice = if name == "long" { 20_011 } else { 1 };
        fibers::run_in_slices(&mut fiber, &code, slice, |fiber| {
            let before = support::recount(&fiber.to_image(&code));
            assert!(before.live + before.allocated >= before.logical_bytes);
            let mut collected = fiber.clone();
            let live = collected.collect(&code);
            let after = support::recount(&collected.to_image(&code));
            assert_eq!(live, after.logical_bytes, "{name}");
            assert_eq!((after.live, after.allocated), (live, 0), "{name}");
            assert_eq!(before.logical_bytes, after.logical_bytes, "{name}");
        });
    }
}

#[test]
fn a_fiber_that_ended_keeps_only_its_result() {
    let code = fibers::code();
    let mut fiber = fibers::start(&code, "frames");
    let outcome = fibers::run_to_end(&mut fiber, &code);
    assert!(matches!(fiber.state(), State::Done(_)));
    let other = restored(&fiber, &code);
    let State::Done(value) = other.state() else {
        panic!("{:?}", other.state());
    };
    let text = value_text(other.heap(&code), value, Style::Quoted);
    assert_eq!(text, result(&fiber, &code, &outcome));
    assert_eq!(text, "(78 12 11 10 9 8 7 6 5 4 3 2 1)");
}

#[test]
fn a_nan_is_canonical_in_an_image_and_nowhere_before() {
    let mut code = CodeSpace::default();
    let source = |bits: &str| {
        format!(
            "func main(value)\n    float r1 nan:{bits}\n    vector r2 r1 count=1\n    cons r1 r1 r2\n    return r1\n"
        )
    };
    let odd = fibers::load(&mut code, &source("0xfff8000000000123"));
    let mut fiber = Fiber::new(&code, odd, Limits::default());
    let Outcome::Done(value) = fibers::run_to_end(&mut fiber, &code) else {
        panic!("it ends");
    };
    let bits = |fiber: &Fiber, value| {
        let (car, cdr) = fiber.heap(&code).pair(value).expect("a pair");
        let flat = fiber.heap(&code).vector(cdr).expect("a vector").next();
        [car.bits, flat.expect("an element").bits]
    };
    assert_eq!(bits(&fiber, value), [0xfff8_0000_0000_0123; 2]);
    let other = restored(&fiber, &code);
    let State::Done(copy) = other.state() else {
        panic!("{:?}", other.state());
    };
    assert_eq!(bits(&other, copy), [CANONICAL_NAN; 2]);
    assert_eq!(other.state_hash(&code), fiber.state_hash(&code));
}

#[test]
fn an_image_is_refused_with_the_reason() {
    let code = fibers::code();
    let image = fibers::start(&code, "frames").to_image(&code);
    let reason = |image: &[u8]| match Fiber::from_image(&code, image, STACK_BYTES_MAX) {
        Ok(_) => panic!("it was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(reason(b"PWX1").contains("not an image"));
    assert!(reason(&[&image[..4], &[9, 0], &image[6..]].concat()).contains("version 9"));
    assert!(reason(&image[..image.len() - 1]).contains("checksum"));
    assert!(reason(&[&image[..], &[0]].concat()).contains("checksum"));
    let longer = [&image[HEAD_BYTES..], &[0]].concat();
    assert!(reason(&image_of(&longer)).contains("behind the end"));
    let empty = CodeSpace::default();
    let unknown = Fiber::from_image(&empty, &image, STACK_BYTES_MAX).map(|_| ());
    assert!(unknown.is_err_and(|error| error.what.contains("is not loaded")));
}
