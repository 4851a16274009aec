//! Bytes that claim to be an image: refused, or a fiber like any other. They never panic, hang, or take
//! more memory than a multiple of their size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use pw_jit::fiber::image::HEAD_BYTES;
use testkit::fibers::{self, SHORT};
use testkit::{fuzz, mutate};

/// Counts what the current thread holds, and the most it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends may still free: nobody looks at its counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs the body of the fuzz target within its bounds.
fn check(body: &[u8]) {
    let (held, start) = (HELD.get(), Instant::now());
    PEAK.set(held);
    fuzz::image(body);
    let (peak, time) = (PEAK.get() - held, start.elapsed());
    let bound = 64 * body.len() as isize + (16 << 20);
    assert!(peak <= bound, "{peak} bytes for {} of input", body.len());
    assert!(
        time < Duration::from_secs(1),
        "{time:?} for {} bytes",
        body.len()
    );
}

/// The bodies of images of every program, at several places of each.
fn samples() -> Vec<Vec<u8>> {
    let code = fibers::code();
    let mut bodies = Vec::new();
    for name in SHORT {
        let mut fiber = fibers::start(&code, name);
        let mut step = 0;
        while fibers::step(&mut fiber, &code).is_none() {
            step += 1;
            let image = fiber.to_image(&code);
            if step % 37 == 20 && image.len() < 1_500 {
                bodies.push(image[HEAD_BYTES..].to_vec());
            }
        }
        bodies.push(fiber.to_image(&code)[HEAD_BYTES..].to_vec());
    }
    bodies
}

#[test]
fn truncated_images_are_refused_or_run() {
    for body in samples() {
        mutate::truncations(&body, check);
    }
}

#[test]
fn images_with_a_bit_flipped_are_refused_or_run() {
    for (number, body) in samples().into_iter().enumerate() {
        let mut flip = 0;
        mutate::bit_flips(&body, |flipped| {
            flip += 1;
            if (flip + number).is_multiple_of(7) {
                check(flipped);
            }
        });
    }
}

#[test]
fn images_with_a_byte_replaced_are_refused_or_run() {
    for (number, body) in samples().into_iter().enumerate() {
        let mut edited = body.clone();
        for at in 0..body.len() {
            let byte = [0, 1, 0x7f, 0x80, 0xff, body[at].wrapping_add(1)][(at + number) % 6];
            edited[at] = byte;
            check(&edited);
            edited[at] = body[at];
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn images_changed_at_random_are_refused_or_run(
        sample in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..5),
    ) {
        let samples = samples_once();
        let mut body = samples[sample.index(samples.len())].clone();
        for (at, what, byte) in edits {
            // The table of programs in front stays: without it nothing else is looked at.
            let at = at.index(body.len());
            match what {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                2 if body.len() > 1 => drop(body.remove(at)),
                _ => {
                    let end = (at + usize::from(byte % 16)).min(body.len());
                    body.splice(at..at, body[at..end].to_vec());
                }
            }
        }
        check(&body);
    }
}

fn samples_once() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(samples)
}
