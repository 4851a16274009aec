//! Nothing but the program and its inputs decides what happens.

use pw_isa::wire::Writer;
use pw_jit::fiber::arena::PageCursor;
use pw_jit::{CodeSpace, Fiber};
use testkit::fibers::{self, SHORT};

/// Images after every slice, with something done to the fiber in between.
fn trajectory(code: &CodeSpace, name: &str, disturb: impl Fn(&mut Fiber, u64)) -> Vec<[u8; 32]> {
    let mut fiber = fibers::start(code, name);
    let mut hashes = Vec::new();
    fibers::run_in_slices(
        &mut fiber,
        code,
        if name == "long" { 9_973 } else { 13 },
        |fiber| {
            hashes.push(fiber.state_hash(code).0);
            disturb(fiber, hashes.len() as u64);
        },
    );
    hashes.push(fiber.state_hash(code).0);
    hashes
}

#[test]
fn a_secret_for_hashes_and_other_programs_change_nothing() {
    let plain = fibers::code();
    let mut other = CodeSpace::new([7, 0xffff_ffff_ffff_ffff]);
    for number in 0..150 {
        fibers::load(
            &mut other,
            &format!("func main()\n    int r0 {number}\n    return r0\n"),
        );
    }
    let other = fibers::code_with(other);
    for name in SHORT.into_iter().chain(["long"]) {
        let expected = trajectory(&plain, name, |_, _| {});
        assert_eq!(trajectory(&other, name, |_, _| {}), expected, "{name}");
    }
}

#[test]
fn the_physical_layout_changes_nothing() {
    let code = fibers::code();
    for name in SHORT.into_iter().chain(["long"]) {
        let expected = trajectory(&code, name, |_, _| {});
        let compacted = trajectory(&code, name, |fiber, _| fiber.compact(&code));
        assert_eq!(compacted, expected, "{name}");
        let mixed = trajectory(&code, name, |fiber, slice| match slice % 3 {
            0 => fiber.compact(&code),
            1 => {
                let mut pages = Writer::default();
                let mut from = PageCursor::default();
                assert!(fiber.take_pages(&mut from, false, usize::MAX, &mut pages));
            }
            _ => {
                let image = fiber.to_image(&code);
                *fiber = Fiber::from_image(&code, &image, u64::MAX).expect("a fiber wrote it");
            }
        });
        assert_eq!(mixed, expected, "{name}");
    }
}

#[test]
fn the_length_of_slices_changes_nothing() {
    let code = fibers::code();
    for name in SHORT {
        let end = |slice| {
            let mut fiber = fibers::start(&code, name);
            fibers::run_in_slices(&mut fiber, &code, slice, |_| {});
            fiber.state_hash(&code)
        };
        let expected = end(u64::MAX);
        // The dearest instruction costs 4 gas.
        for slice in [4, 5, 17, 1000] {
            assert_eq!(end(slice), expected, "{name}");
        }
    }
}
