//! Bodies of the fuzz targets: what must hold for any bytes. Each panics when something does not.

use std::sync::OnceLock;

use pw_isa::wire::{Decoded, Reader, Writer};
use pw_isa::{Program, codec, text, verify};
use pw_jit::fiber::arena::{PageBlocks, PageCursor, Pages};
use pw_jit::fiber::image::image_of;
use pw_jit::interp;
use pw_jit::interp::profile::Profile;
use pw_jit::reference::{Outcome, answer, run};
use pw_jit::text::{Style, value_text_within};
use pw_jit::{CodeSpace, Fiber, Limits};

use crate::fibers::{self, Surroundings};

/// Gas that a fiber from bytes gets.
const FIBER_GAS: u64 = 20_000;
/// Memory that it gets, whatever its image claims.
const FIBER_MEMORY_BYTES: u64 = 4 << 20;

/// Whatever decodes encodes to the same bytes, survives the verifier, and is the same program after a
/// detour through assembly text.
pub fn decode(bytes: &[u8]) {
    let Ok(program) = codec::decode(bytes) else {
        return;
    };
    assert_eq!(codec::encode(&program), bytes, "one program has one file");
    text_round_trip(&program);
    let _refused_or_not = verify::verify(program);
}

/// Like [`decode`], and the answer of the verifier does not change when it is asked again.
pub fn verify(bytes: &[u8]) {
    let Ok(program) = codec::decode(bytes) else {
        return;
    };
    let first = verify::verify(program.clone());
    let second = verify::verify(program);
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.signature(), second.signature());
            check_live_tables(&first);
        }
        (first, second) => assert_eq!(first.err(), second.err()),
    }
}

/// Whatever assembles is printed and read back as the same program, and so is its file.
pub fn assemble(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return;
    };
    match text::parse(source) {
        Ok(program) => {
            text_round_trip(&program);
            let decoded = codec::decode(&codec::encode(&program));
            assert_eq!(decoded.as_ref(), Ok(&program));
        }
        Err(errors) => assert!(!errors.0.is_empty(), "a refusal has a reason"),
    }
}

/// Printing and reading gives the same program, and printing is a function of the program.
pub fn text_round_trip(program: &Program) {
    let printed = text::print(program);
    match text::parse(&printed) {
        Ok(read) => {
            assert!(read == *program, "{program:?}\nis not\n{read:?}\n{printed}");
            assert_eq!(text::print(&read), printed);
        }
        Err(errors) => panic!("{errors}\nin\n{printed}"),
    }
}

/// Nothing but what the caller fills is live when a function is entered.
fn check_live_tables(verified: &verify::Verified) {
    for (number, function) in verified.program().functions.iter().enumerate() {
        for register in verified.live(number as u32).at(0) {
            assert!(
                u32::from(register) < function.entry_registers(),
                "function #{number} reads r{register}, which nobody has set"
            );
        }
    }
}

/// Jue source: compiling gives a program or says why not; the program verifies, and every tier runs its
/// first 20,000 gas alike. The compiler comes from the caller, which this crate does not know.
pub fn jue(source: &str, compile: impl FnOnce(&str) -> Option<Program>) {
    let Some(program) = compile(source) else {
        return;
    };
    let verified = match pw_isa::verify::verify(program) {
        Ok(verified) => verified,
        Err(error) => panic!("what the compiler makes verifies: {error}"),
    };
    let mut code = CodeSpace::default();
    let program = code.load(verified);
    let limits = Limits {
        gas: 20_000,
        memory_bytes: FIBER_MEMORY_BYTES,
        ..Limits::default()
    };
    let mut fiber = Fiber::new(&code, program, limits);
    assert!(
        fiber.set_arguments(&code, &[]),
        "the entry takes any arguments"
    );
    let mut fast = fiber.clone();
    let reference = run(&mut fiber, &code, &mut Surroundings, u64::MAX);
    let mut profile = Profile::default();
    let other = interp::run(&mut fast, &code, &mut Surroundings, &mut profile, u64::MAX);
    assert_eq!(reference, other, "every tier ends the same");
    assert_eq!(
        fiber.state_hash(&code),
        fast.state_hash(&code),
        "every tier has the same state"
    );
}

/// Whatever body of an image is accepted is a fiber like any other.
pub fn image(body: &[u8]) {
    static CODE: OnceLock<CodeSpace> = OnceLock::new();
    let code = CODE.get_or_init(fibers::code);
    if let Ok(fiber) = Fiber::from_image(code, &image_of(body), 1 << 20) {
        is_like_any_other(fiber, code);
    }
}

/// Pages of the objects of a fiber and its rest, as one: the number of bytes of the pages, these, and the rest.
pub fn pages_and_rest(fiber: &mut Fiber, code: &CodeSpace) -> Vec<u8> {
    let (mut pages, mut body) = (Writer::default(), Writer::default());
    fiber.take_pages(&mut PageCursor::default(), true, usize::MAX, &mut pages);
    body.blob(&pages.bytes);
    fiber.write_rest(code, &mut body);
    body.bytes
}

/// The fiber that such bytes are of.
///
/// # Errors
/// What is wrong with them.
pub fn of_pages_and_rest(code: &CodeSpace, body: &[u8]) -> Decoded<Fiber> {
    let mut input = Reader::new(body);
    let mut pages = Pages::default();
    let blocks = vec![input.blob()?.to_vec()];
    pages.add(0, &mut Reader::new(&blocks[0]))?;
    let pages: (_, &dyn PageBlocks) = (&pages, &blocks);
    let fiber = Fiber::read_rest(code, &mut input, 1 << 20, pages)?;
    input.finish()?;
    Ok(fiber)
}

/// Whatever pages and rest are accepted are a fiber like any other.
pub fn pages(body: &[u8]) {
    static CODE: OnceLock<CodeSpace> = OnceLock::new();
    let code = CODE.get_or_init(fibers::code);
    if let Ok(fiber) = of_pages_and_rest(code, body) {
        is_like_any_other(fiber, code);
    }
}

/// A fiber from bytes has one canonical image, and runs, fails, is looked at, collected and saved like any other.
fn is_like_any_other(mut fiber: Fiber, code: &CodeSpace) {
    restores(&fiber, code);
    fiber.set_limits(Limits {
        memory_bytes: fiber.limits().memory_bytes.min(FIBER_MEMORY_BYTES),
        ..fiber.limits()
    });
    look_at(&fiber, code);
    let mut fast = fiber.clone();
    let mut profile = Profile::default();
    let reference = advance(&mut fiber, code, |fiber, slice| {
        run(fiber, code, &mut Surroundings, slice)
    });
    let other = advance(&mut fast, code, |fiber, slice| {
        interp::run(fiber, code, &mut Surroundings, &mut profile, slice)
    });
    assert_eq!(reference, other, "every tier ends the same");
    restores(&fiber, code);
    let [expected, found] = [&fiber, &fast].map(|fiber| {
        let counters = fiber.arena().counters();
        (fiber.gas_used(), fiber.position(), fiber.depth(), counters)
    });
    assert_eq!(found, expected, "every tier stops in the same place");
    assert!(
        fast.to_image(code) == fiber.to_image(code),
        "every tier has the same state"
    );
    fiber.collect(code);
    fiber.compact(code);
    look_at(&fiber, code);
    restores(&fiber, code);
}

/// Runs a fiber for [`FIBER_GAS`]; how it fails, if it does.
fn advance(
    fiber: &mut Fiber,
    code: &CodeSpace,
    mut run: impl FnMut(&mut Fiber, u64) -> Outcome,
) -> String {
    let before = fiber.gas_used();
    loop {
        let left = FIBER_GAS.saturating_sub(fiber.gas_used() - before);
        match run(fiber, left) {
            Outcome::Waiting => {
                let reply = Ok(fibers::reply(code));
                if let Err(failure) = answer(fiber, code, &mut Surroundings, reply) {
                    return failure.to_string();
                }
            }
            Outcome::Failed(failure) => return failure.to_string(),
            Outcome::Preempted | Outcome::Done(_) => return String::new(),
        }
    }
}

fn restores(fiber: &Fiber, code: &CodeSpace) {
    let image = fiber.to_image(code);
    match Fiber::from_image(code, &image, u64::MAX) {
        Ok(restored) => assert!(restored.to_image(code) == image, "one state has one image"),
        Err(error) => panic!("a fiber that cannot be restored: {error}"),
    }
}

fn look_at(fiber: &Fiber, code: &CodeSpace) {
    for frame in fiber.frames().take(100) {
        for (_, value) in fiber.live_registers(code, &frame).take(100) {
            let text = value_text_within(fiber.heap(code), value, Style::Quoted, 60);
            assert!(text.len() < 64);
        }
    }
    assert!(fiber.arena().report().used_bytes <= fiber.arena().report().held_bytes);
}
