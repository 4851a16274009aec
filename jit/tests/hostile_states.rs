//! States that no program makes, written by hand: the decoder refuses what tiers could not bear, and what
//! it accepts costs no more than its size.

use std::time::{Duration, Instant};

use pw_isa::wire::Writer;
use pw_isa::{ErrorKind, Kind};
use pw_jit::fiber::image::image_of;
use pw_jit::interp::{self, profile::Profile};
use pw_jit::reference::{Outcome, run};
use pw_jit::{CodeSpace, Fiber, State, Value};
use testkit::fibers::{self, Surroundings};

/// One live register at pc 0, a call and a wait.
const PROGRAM: &str = "
func main(value)
head: loop
    is r1 value nil
    branch-if r1 head
    return value
func caller()
    const r1 'x
    call r2 args=0 @waiter
    return r1
func waiter()
    receive r0
    return r0
func captured() captures=1
    capture r1 r0 0
    return r1
";

/// An image being written.
struct Image {
    code: CodeSpace,
    objects: Vec<Vec<u8>>,
    gas_used: u64,
    gas_limit: u64,
    live: u64,
    allocated: u64,
    state: u8,
    /// Function, pc, live values.
    frames: Vec<(u32, u32, Vec<u8>)>,
}

impl Image {
    fn new() -> Image {
        let mut code = CodeSpace::default();
        fibers::load(&mut code, PROGRAM);
        Image {
            code,
            objects: Vec::new(),
            gas_used: 0,
            gas_limit: u64::MAX,
            live: 1 << 40,
            allocated: 0,
            state: 0,
            frames: vec![(0, 0, vec![Kind::Nil as u8])],
        }
    }

    /// Objects, and a value that stands in the live register.
    fn of(objects: Vec<Vec<u8>>, root: Vec<u8>) -> Image {
        Image {
            objects,
            frames: vec![(0, 0, root)],
            ..Image::new()
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.varint(1);
        out.bytes
            .extend_from_slice(&self.code.program(0).signature().0);
        out.varint(self.objects.len() as u64);
        self.objects
            .iter()
            .for_each(|object| out.bytes.extend_from_slice(object));
        for number in [self.gas_used, self.gas_limit, 1 << 30, 1000] {
            out.varint(number);
        }
        out.u8(0);
        out.u8(1);
        out.varint(self.live);
        out.varint(self.allocated);
        out.u8(self.state);
        out.varint(self.frames.len() as u64);
        for (function, pc, values) in &self.frames {
            out.varint(0);
            out.varint(u64::from(*function));
            out.varint(u64::from(*pc));
            out.bytes.extend_from_slice(values);
        }
        out.varint(0);
        image_of(&out.bytes)
    }

    /// The fiber, within a second.
    fn load(&self) -> Result<Fiber, String> {
        let (image, start) = (self.bytes(), Instant::now());
        let fiber = Fiber::from_image(&self.code, &image, 1 << 20);
        let time = start.elapsed();
        assert!(
            time < Duration::from_secs(1),
            "{time:?} for {} bytes",
            image.len()
        );
        fiber.map_err(|error| error.what)
    }

    fn refused(&self, reason: &str) {
        match self.load() {
            Ok(_) => panic!("accepted where {reason:?} was to be the reason"),
            Err(what) => assert!(what.contains(reason), "{what}"),
        }
    }
}

fn bytes(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::default();
    write(&mut out);
    out.bytes
}

/// A value that is an object.
fn object(kind: Kind, number: u64) -> Vec<u8> {
    bytes(|out| {
        out.u8(kind as u8);
        out.varint(number);
    })
}

fn pair(car: Vec<u8>, cdr: Vec<u8>) -> Vec<u8> {
    [vec![1], car, cdr].concat()
}

fn nil() -> Vec<u8> {
    vec![Kind::Nil as u8]
}

#[test]
fn gas_at_the_end_of_its_range_is_used_up() {
    // Also where the difference to the limit is no signed number.
    for (gas_used, gas_limit) in [
        (10, u64::MAX),
        (10, 5),
        (0, 5),
        ((1 << 63) - 6, 5),
        ((1 << 63) - 5, 0),
    ] {
        let image = Image {
            gas_used: u64::MAX - gas_used,
            gas_limit,
            ..Image::new()
        };
        let (code, host) = (&image.code, &mut Surroundings);
        let [mut first, mut second] = [(); 2].map(|()| image.load().unwrap());
        let outcomes = [
            run(&mut first, code, host, u64::MAX),
            interp::run(&mut second, code, host, &mut Profile::default(), u64::MAX),
        ];
        for outcome in outcomes {
            match outcome {
                Outcome::Failed(failure) => assert_eq!(failure.kind, ErrorKind::GasLimitExceeded),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn gas_beyond_the_limit_is_used_up() {
    let image = Image {
        gas_used: 100,
        gas_limit: 7,
        ..Image::new()
    };
    let mut fiber = image.load().unwrap();
    match run(&mut fiber, &image.code, &mut Surroundings, 1_000) {
        Outcome::Failed(failure) => assert_eq!(failure.kind, ErrorKind::GasLimitExceeded),
        other => panic!("{other:?}"),
    }
    assert_eq!(fiber.gas_used(), 100);
}

#[test]
fn counters_at_the_end_of_their_range_do_not_overflow() {
    for (live, allocated) in [(u64::MAX, u64::MAX), (u64::MAX, 0), (0, u64::MAX)] {
        let image = Image {
            live,
            allocated,
            ..Image::of(vec![pair(nil(), nil())], object(Kind::Pair, 0))
        };
        let mut fiber = image.load().unwrap();
        fiber.arena_mut().new_pair(Value::NIL, Value::NIL);
        assert!(fiber.arena().report().logical_bytes > 1 << 60);
        assert_eq!(fiber.collect(&image.code), 24);
    }
}

#[test]
fn counters_that_know_of_less_than_the_image_holds_are_refused() {
    let large = bytes(|out| {
        out.u8(6);
        out.blob(&[7; 4_000]);
    });
    let image = Image {
        live: 3_000,
        allocated: 1_000,
        ..Image::of(vec![large], object(Kind::Bytes, 0))
    };
    image.refused("objects of");
}

#[test]
fn immutable_objects_that_contain_themselves_are_refused() {
    let own = pair(nil(), object(Kind::Pair, 0));
    Image::of(vec![own], object(Kind::Pair, 0)).refused("contains itself");
    let error = [vec![9, 11], object(Kind::String, 1), object(Kind::Pair, 2)].concat();
    let text = bytes(|out| {
        out.u8(4);
        out.text("text");
    });
    let through = pair(object(Kind::Error, 0), nil());
    Image::of(vec![error, text, through], object(Kind::Error, 0)).refused("contains itself");
}

#[test]
fn a_fiber_waits_only_where_an_instruction_can() {
    let waiting = |function, pc| Image {
        state: 1,
        frames: vec![(function, pc, Vec::new())],
        ..Image::new()
    };
    let fiber = waiting(2, 0).load().unwrap();
    assert_eq!(fiber.state(), State::Waiting);
    waiting(1, 0).refused("waits at an instruction that does not");
}

#[test]
fn frames_stand_only_above_calls_and_at_instructions_that_exist() {
    let frames = |frames: Vec<(u32, u32, Vec<u8>)>| Image {
        frames,
        ..Image::new()
    };
    let symbol = bytes(|out| {
        out.u8(Kind::Symbol as u8 | 0x80);
        out.varint(0);
        out.varint(4);
    });
    let above = |pc, values| frames(vec![(1, pc, values), (2, 0, Vec::new())]);
    assert!(
        above(1, symbol.clone())
            .load()
            .is_ok_and(|fiber| fiber.depth() == 2)
    );
    above(0, Vec::new()).refused("a frame that is called by `const`");
    frames(vec![(2, 9, Vec::new())]).refused("has no instruction");
    frames(vec![(7, 0, Vec::new())]).refused("has no instruction");
    frames(Vec::new()).refused("without frames");
}

#[test]
fn the_stack_of_an_image_is_bounded_by_whoever_loads_it() {
    let symbol = bytes(|out| {
        out.u8(Kind::Symbol as u8 | 0x80);
        out.varint(0);
        out.varint(4);
    });
    let mut many = vec![(1, 1, symbol); 30_000];
    many.push((2, 0, Vec::new()));
    let image = Image {
        frames: many,
        ..Image::new()
    };
    image.refused("a stack of more than");
}

#[test]
fn a_register_that_should_hold_its_closure_may_hold_anything() {
    let image = Image {
        frames: vec![(3, 0, vec![Kind::Int as u8, 10])],
        ..Image::new()
    };
    let mut fiber = image.load().unwrap();
    match run(&mut fiber, &image.code, &mut Surroundings, 1_000) {
        Outcome::Failed(failure) => assert_eq!(failure.kind, ErrorKind::TypeMismatch),
        other => panic!("{other:?}"),
    }
}

#[test]
fn texts_that_share_a_buffer_are_checked_in_one_pass() {
    let count = 60_000u64;
    let mut objects = vec![bytes(|out| {
        out.u8(11);
        out.varint(200_000);
        out.text(&"x".repeat(200_000));
    })];
    for number in 0..count {
        objects.push(bytes(|out| {
            out.u8(5);
            out.varint(100 + number);
            out.varint(0);
        }));
    }
    let fiber = Image::of(objects, object(Kind::String, 7)).load().unwrap();
    assert!(fiber.arena().counters().live > 0);
}

#[test]
fn a_text_ends_between_characters_of_its_buffer() {
    let buffer = bytes(|out| {
        out.u8(11);
        out.varint(200);
        out.text(&"ü".repeat(100));
    });
    let text = |length: u64| {
        let text = bytes(|out| {
            out.u8(5);
            out.varint(length);
            out.varint(0);
        });
        Image::of(vec![buffer.clone(), text], object(Kind::String, 1))
    };
    assert!(text(100).load().is_ok());
    assert!(text(200).load().is_ok());
    text(101).refused("no text is the first 101 bytes");
    text(202).refused("no text is the first 202 bytes");
    text(64).refused("no text is the first 64 bytes");
}

/// A list of `length` pairs, the object 0 its first.
fn list(length: u64) -> Vec<Vec<u8>> {
    let rest = |number| {
        if number + 1 == length {
            nil()
        } else {
            object(Kind::Pair, number + 1)
        }
    };
    (0..length)
        .map(|number| pair(nil(), rest(number)))
        .collect()
}

fn map_of(key: &[u8]) -> Vec<u8> {
    [&[8, 1, 1, 1], key, &[0]].concat()
}

#[test]
fn maps_that_share_a_long_key_hash_it_once() {
    let mut objects = list(50_000);
    objects.extend((0..50_000).map(|_| map_of(&object(Kind::Pair, 0))));
    Image::of(objects, nil()).load().unwrap();
}

#[test]
fn maps_that_share_a_long_text_hash_it_once() {
    let buffer = bytes(|out| {
        out.u8(11);
        out.varint(500_000);
        out.text(&"y".repeat(500_000));
    });
    let text = bytes(|out| {
        out.u8(5);
        out.varint(500_000);
        out.varint(0);
    });
    let mut objects = vec![buffer, text];
    objects.extend((0..50_000).map(|_| map_of(&object(Kind::String, 1))));
    Image::of(objects, nil()).load().unwrap();
}

#[test]
fn keys_whose_walk_would_be_exponential_are_hashed_in_one_pass() {
    let twice = |number: u64| pair(object(Kind::Pair, number), object(Kind::Pair, number));
    let mut objects: Vec<_> = (1..90).map(twice).collect();
    objects.push(pair(nil(), nil()));
    objects.push(map_of(&object(Kind::Pair, 0)));
    Image::of(objects, object(Kind::Map, 90)).load().unwrap();
}

#[test]
fn a_map_has_no_key_twice_and_no_mutable_key() {
    let key = [Kind::Int as u8, 2];
    let twice = [&[8, 2, 2, 1][..], &key, &[0, 1], &key, &[0]].concat();
    Image::of(vec![twice], object(Kind::Map, 0)).refused("a key twice");
    let mutable = map_of(&object(Kind::Map, 0));
    Image::of(vec![mutable], object(Kind::Map, 0)).refused("a mutable key");
    let inside = vec![
        map_of(&object(Kind::Pair, 1)),
        pair(object(Kind::Map, 0), nil()),
    ];
    Image::of(inside, object(Kind::Map, 0)).refused("a mutable key");
}

#[test]
fn a_value_names_an_object_of_its_kind() {
    let objects = || vec![pair(nil(), nil())];
    for kind in [
        Kind::String,
        Kind::Vector,
        Kind::Map,
        Kind::Closure,
        Kind::Error,
        Kind::Cell,
    ] {
        Image::of(objects(), object(kind, 0)).refused("that is a Pair");
    }
    Image::of(objects(), object(Kind::Pair, 1)).refused("object 1 of 1");
    Image::of(objects(), vec![Kind::Int as u8 | 0x80, 0, 0]).refused("as constant 0");
}

#[test]
fn a_capacity_is_a_number_and_not_room() {
    let vector = bytes(|out| {
        out.bytes.extend_from_slice(&[7, 1]);
        out.varint(u64::from(u32::MAX));
        out.varint(1);
        out.u64(5);
    });
    let map = bytes(|out| {
        out.u8(8);
        out.varint(u64::from(u32::MAX) / 4);
        out.varint(0);
    });
    let fiber = Image::of(vec![vector, map], nil()).load().unwrap();
    assert!(fiber.arena().report().held_bytes < 1 << 16);
}
