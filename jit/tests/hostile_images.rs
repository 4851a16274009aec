//! Bytes that claim to be an image, or pages of objects: refused, or a fiber like any other. They never panic, hang, or take
//! more memory than a multiple of their size.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use pw_isa::Kind;
use pw_jit::fiber::image::HEAD_BYTES;
use pw_jit::{CodeSpace, Fiber, Value};
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

/// Bytes of one of two forms.
#[derive(Clone, Debug)]
enum Body {
    Image(Vec<u8>),
    Pages(Vec<u8>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Body::Image(bytes) | Body::Pages(bytes) => bytes,
        }
    }

    /// Runs the body of the fuzz target for bytes in place of these.
    fn check(&self, bytes: &[u8]) {
        match self {
            Body::Image(_) => check(bytes, fuzz::image),
            Body::Pages(_) => check(bytes, fuzz::pages),
        }
    }
}

/// Runs the body of a fuzz target within its bounds.
fn check(body: &[u8], target: fn(&[u8])) {
    let (held, start) = (HELD.get(), Instant::now());
    PEAK.set(held);
    target(body);
    let (peak, time) = (PEAK.get() - held, start.elapsed());
    let bound = 64 * body.len() as isize + (16 << 20);
    assert!(peak <= bound, "{peak} bytes for {} of input", body.len());
    assert!(
        time < Duration::from_secs(1),
        "{time:?} for {} bytes",
        body.len()
    );
}

/// The bodies of images of every program, at several places of each, and their pages.
fn samples() -> Vec<Body> {
    let code = fibers::code();
    let mut bodies = Vec::new();
    for name in SHORT {
        let mut fiber = fibers::start(&code, name);
        let mut step = 0;
        while fibers::step(&mut fiber, &code).is_none() {
            step += 1;
            if step % 37 == 20 && fiber.to_image(&code).len() < 1_500 {
                bodies.extend(both(&mut fiber, &code));
            }
        }
        bodies.extend(both(&mut fiber, &code));
    }
    bodies
}

fn both(fiber: &mut Fiber, code: &CodeSpace) -> [Body; 2] {
    let image = fiber.to_image(code)[HEAD_BYTES..].to_vec();
    let pages = fuzz::pages_and_rest(fiber, code);
    [Body::Image(image), Body::Pages(pages)]
}

/// Pages of a fiber with segments, buffers outside of them, and gaps.
fn large() -> Body {
    let code = fibers::code();
    let mut fiber = fibers::start(&code, "other");
    let arena = fiber.arena_mut();
    let mut list = Value::NIL;
    for number in 0..12_000 {
        let text = arena.new_text(Kind::String, &"ä".repeat(number % 50));
        list = arena.new_pair(text, list);
    }
    let numbers: Vec<Value> = (0..900).map(Value::int).collect();
    let entries: Vec<(Value, Value)> = numbers.iter().map(|key| (*key, list)).collect();
    let map = arena.new_map_of(&code, &entries);
    let flat = arena.new_vector_of(&numbers);
    let bytes = arena.new_bytes_of(&[7; 5_000]);
    let text = arena.new_text(Kind::String, &"long ".repeat(2_000));
    let all = arena.new_vector_of(&[list, map, flat, bytes, text, list]);
    assert!(fiber.set_arguments(&code, &[all]));
    let pages = fuzz::pages_and_rest(&mut fiber, &code);
    let restored = fuzz::of_pages_and_rest(&code, &pages).expect("it is sound");
    assert!(restored.to_image(&code) == fiber.to_image(&code));
    Body::Pages(pages)
}

#[test]
fn truncated_images_are_refused_or_run() {
    for body in samples() {
        mutate::truncations(body.bytes(), |bytes| body.check(bytes));
    }
}

#[test]
fn images_with_a_bit_flipped_are_refused_or_run() {
    for (number, body) in samples().into_iter().enumerate() {
        let mut flip = 0;
        mutate::bit_flips(body.bytes(), |flipped| {
            flip += 1;
            if (flip + number).is_multiple_of(13) {
                body.check(flipped);
            }
        });
    }
}

#[test]
fn images_with_a_byte_replaced_are_refused_or_run() {
    for (number, body) in samples().into_iter().enumerate() {
        let sound = body.bytes();
        let mut edited = sound.to_vec();
        for at in (number % 2..sound.len()).step_by(2) {
            let byte = [0, 1, 0x7f, 0x80, 0xff, sound[at].wrapping_add(1)][(at + number) % 6];
            edited[at] = byte;
            body.check(&edited);
            edited[at] = sound[at];
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn images_changed_at_random_are_refused_or_run(
        sample in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 1..5),
    ) {
        let samples = samples_once();
        let sample = &samples[sample.index(samples.len())];
        let mut body = sample.bytes().to_vec();
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
        sample.check(&body);
    }

    #[test]
    fn pages_of_segments_changed_at_random_are_refused_or_run(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4_096_usize, any::<u8>()), 1..9),
    ) {
        let sample = large_once();
        let mut body = sample.bytes().to_vec();
        for (at, from_end, byte) in edits {
            // The rest stands behind the pages, and names the objects that everything is reached from.
            let at = if byte.is_multiple_of(3) { body.len() - 1 - from_end % 600 } else { at.index(body.len()) };
            body[at] = byte;
        }
        sample.check(&body);
    }
}

fn samples_once() -> &'static [Body] {
    static SAMPLES: OnceLock<Vec<Body>> = OnceLock::new();
    SAMPLES.get_or_init(samples)
}

fn large_once() -> &'static Body {
    static LARGE: OnceLock<Body> = OnceLock::new();
    LARGE.get_or_init(large)
}
