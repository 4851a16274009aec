//! Parcels are deep copies: what was shared stays shared, and what unpacking takes is known before.

mod support;

use pw_isa::wire::{Reader, Writer};
use pw_isa::{Kind, cost};
use pw_jit::fiber::arena::Arena;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::heap::Heap;
use pw_jit::reference::Outcome;
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Limits, State, Value};
use testkit::fibers::{self, SHORT};

fn result(code: &CodeSpace, name: &str) -> (Fiber, Value) {
    let mut fiber = fibers::start(code, name);
    match fibers::run_to_end(&mut fiber, code) {
        Outcome::Done(value) => (fiber, value),
        other => panic!("{name}: {other:?}"),
    }
}

/// A fiber that has ended with the value of a parcel.
fn received(code: &CodeSpace, parcel: &Parcel) -> Fiber {
    let source = "func main(value)\n    return value\n";
    let mut with_identity = CodeSpace::default();
    let number = fibers::load(&mut with_identity, source);
    let program = code.find(with_identity.program(number).signature());
    let mut fiber = Fiber::new(code, program.expect("it is loaded"), Limits::default());
    let value = parcel.unpack(code, fiber.arena_mut());
    assert!(fiber.set_arguments(code, &[value]));
    let outcome = fibers::run_to_end(&mut fiber, code);
    assert!(matches!(outcome, Outcome::Done(_)));
    fiber
}

fn code() -> CodeSpace {
    let mut code = fibers::code();
    fibers::load(&mut code, "func main(value)\n    return value\n");
    code
}

#[test]
fn unpacking_allocates_what_was_announced_and_what_a_collection_finds() {
    let code = code();
    for name in SHORT.into_iter().chain(["long"]) {
        let (fiber, value) = result(&code, name);
        let parcel = Parcel::pack(fiber.heap(&code), value);
        let mut receiver = received(&code, &parcel);
        let allocated = receiver.arena().counters().allocated;
        assert_eq!(allocated, parcel.logical_bytes(), "{name}");
        assert_eq!(
            allocated,
            support::recount(&receiver.to_image(&code)).logical_bytes
        );
        assert_eq!(receiver.collect(&code), allocated, "{name}");
        let State::Done(copy) = receiver.state() else {
            panic!("{:?}", receiver.state());
        };
        assert_eq!(Parcel::pack(receiver.heap(&code), copy), parcel, "{name}");
        let texts = [(&fiber, value), (&receiver, copy)]
            .map(|(fiber, value)| value_text(fiber.heap(&code), value, Style::Quoted));
        assert_eq!(texts[0], texts[1], "{name}");
    }
}

#[test]
fn what_was_shared_stays_shared() {
    let code = CodeSpace::default();
    let mut arena = Arena::new();
    let text = arena.new_text(Kind::String, "shared");
    let pair = arena.new_pair(text, text);
    let list = arena.new_pair(pair, pair);
    let heap = Heap {
        arena: &arena,
        code: &code,
    };
    let parcel = Parcel::pack(heap, list);
    let announced = 2 * cost::PAIR_BYTES + cost::short_text_bytes(6);
    assert_eq!(parcel.logical_bytes(), announced);
    let mut other = Arena::new();
    let copy = parcel.unpack(&code, &mut other);
    let heap = Heap {
        arena: &other,
        code: &code,
    };
    let (car, cdr) = heap.pair(copy).expect("a pair");
    assert_eq!(car, cdr);
}

#[test]
fn a_list_of_parcels_is_the_list_of_their_values() {
    let code = CodeSpace::default();
    let parts = [
        Parcel::Plain(Value::int(5)),
        Parcel::string(&code, "text"),
        Parcel::list(&code, &[]),
    ];
    let list = Parcel::list(&code, &parts);
    let mut arena = Arena::new();
    let value = list.unpack(&code, &mut arena);
    let heap = Heap {
        arena: &arena,
        code: &code,
    };
    assert_eq!(value_text(heap, value, Style::Quoted), "(5 \"text\" nil)");
    let values: Vec<Value> = heap.list(value).flatten().collect();
    let all = u64::MAX;
    let list = Parcel::pack_list(heap, &values, all);
    assert_eq!(list.map(|(list, _)| list), Some(Parcel::pack(heap, value)));
    let empty = Parcel::pack_list(heap, &[], all);
    assert_eq!(empty.map(|(list, _)| list), Some(Parcel::Plain(Value::NIL)));
    assert_eq!(Parcel::pack_within(heap, value, 2), None);
}

/// The canonical form of a parcel.
fn written(code: &CodeSpace, parcel: &Parcel) -> Vec<u8> {
    let mut out = Writer::default();
    parcel.write(code, &mut out);
    out.bytes
}

/// What small lists and trees hold: values of every length in the canonical form.
fn leaves() -> Vec<Value> {
    let ints = [0, -1, 63, 64, -65, 8191, -8193, 1 << 40, i64::MIN, i64::MAX];
    let floats = [0.0, -0.5, f64::INFINITY, f64::NAN];
    let ids = [0, 127, 128, 1 << 60];
    let ints = ints.into_iter().map(Value::int);
    let floats = floats.into_iter().map(Value::float);
    let ids = ids.into_iter().map(Value::actor);
    let words = [Value::NIL, Value::bool(true), Value::bool(false)];
    words
        .into_iter()
        .chain(ints)
        .chain(floats)
        .chain(ids)
        .collect()
}

/// The canonical form of a value beside a text that is too long for a few small objects, so that it goes the general way; without what
/// the text adds.
fn written_generally(code: &CodeSpace, arena: &Arena, value: Value) -> (Vec<u8>, u64) {
    let mut arena = arena.clone();
    let text = arena.new_text(Kind::String, &"long".repeat(50));
    let heap = Heap {
        arena: &arena,
        code,
    };
    let with_text = |value: Value| {
        let (parcel, _) = Parcel::pack_list(heap, &[value, text], u64::MAX).expect("no bound");
        assert!(matches!(parcel, Parcel::Graph(_)));
        (written(code, &parcel), parcel.logical_bytes())
    };
    let (with, without) = (with_text(value), with_text(Value::NIL));
    (with.0, with.1 - without.1)
}

/// A value and its copy are the same in every way, the parcel is what reading it gives, and what it takes is what was announced.
fn is_copied(code: &CodeSpace, arena: &Arena, value: Value, is_small: bool) {
    let heap = Heap { arena, code };
    let parcel = Parcel::pack(heap, value);
    assert_eq!(matches!(parcel, Parcel::Small(_)), is_small);
    let (bytes, most) = (written(code, &parcel), parcel.size_bytes());
    assert_eq!(
        Parcel::read(code, &mut Reader::new(&bytes)).as_ref(),
        Ok(&parcel)
    );
    assert_eq!(
        Parcel::pack_within(heap, value, most).as_ref(),
        Some(&parcel)
    );
    assert_eq!(Parcel::pack_within(heap, value, 2), None);
    let mut copy = Arena::new();
    copy.new_pair(Value::NIL, Value::NIL);
    let before = copy.counters().allocated;
    let copied = parcel.unpack(code, &mut copy);
    assert_eq!(copy.counters().allocated - before, parcel.logical_bytes());
    let of_copy = Heap { arena: &copy, code };
    let texts = [(heap, value), (of_copy, copied)]
        .map(|(heap, value)| value_text(heap, value, Style::Quoted));
    assert_eq!(texts[0], texts[1]);
    assert_eq!(Parcel::pack(of_copy, copied), parcel);
    // The general way gives the same for both, and counts the same.
    let (general, logical) = written_generally(code, arena, value);
    assert_eq!(logical, parcel.logical_bytes());
    assert_eq!(general, written_generally(code, &copy, copied).0);
}

#[test]
fn a_few_small_objects_are_in_every_way_what_other_values_are() {
    let code = code();
    let leaves = leaves();
    for length in 1..40 {
        let mut arena = Arena::new();
        let texts = ["", "a", "seven t", "and one of more words"];
        let mut values: Vec<Value> = leaves
            .iter()
            .cycle()
            .skip(length)
            .take(length)
            .copied()
            .collect();
        if length % 3 == 0 {
            let text = texts[length / 3 % texts.len()];
            values[length / 2] = arena.new_text(Kind::Symbol, text);
        }
        let list = values
            .iter()
            .rev()
            .fold(Value::NIL, |list, value| arena.new_pair(*value, list));
        let objects = length + usize::from(length % 3 == 0);
        is_copied(&code, &arena, list, objects <= 16);
        // A list of values is the same as if it were in the arena.
        let heap = Heap {
            arena: &arena,
            code: &code,
        };
        let (of_values, closures) = Parcel::pack_list(heap, &values, u64::MAX).expect("no bound");
        assert_eq!(of_values, Parcel::pack(heap, list));
        assert!(closures.is_empty());
    }
}

/// A closure that can be reached from itself by way of a cell, beside what it captures.
const CLOSURES: &str = "
func main()
    .locals cell pair text self
    const text \"shar\"
    const r4 \"ed\"
    string-append text text r4
    float r4 2.5
    cons pair text r4
    cell cell pair
    int r6 -7
    move r5 pair
    move r4 cell
    closure self @inner r4 count=3
    cell-set cell self
    cons r5 text pair
    cons r5 self r5
    return r5

func inner(x) captures=3
    return x
";

#[test]
fn closures_and_what_they_share_are_copied() {
    let mut code = code();
    let program = fibers::load(&mut code, CLOSURES);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    let Outcome::Done(value) = fibers::run_to_end(&mut fiber, &code) else {
        panic!("it ends");
    };
    let arena = fiber.arena();
    is_copied(&code, arena, value, true);
    let heap = fiber.heap(&code);
    let (closure, rest) = heap.pair(value).expect("a pair");
    let (text, _) = heap.pair(rest).expect("another one");
    is_copied(&code, arena, closure, true);
    is_copied(&code, arena, text, true);
    let all = [closure, text, code.program(program).function_value(0)];
    let (parcel, mut closures) = Parcel::pack_list(heap, &all, u64::MAX).expect("no bound");
    closures.sort_unstable();
    assert_eq!(closures, [(program, 0), (program, 1)]);
    assert!(matches!(parcel, Parcel::Small(_)));
}

#[test]
fn objects_that_are_shared_are_one_in_the_copy() {
    let code = code();
    let mut arena = Arena::new();
    let one = arena.new_pair(Value::int(1), Value::NIL);
    let two = arena.new_pair(one, one);
    let three = arena.new_pair(two, one);
    let root = arena.new_pair(three, two);
    is_copied(&code, &arena, root, true);
    let heap = Heap {
        arena: &arena,
        code: &code,
    };
    let parcel = Parcel::pack(heap, root);
    assert_eq!(parcel.logical_bytes(), 4 * cost::PAIR_BYTES);
    let mut copy = Arena::new();
    let value = parcel.unpack(&code, &mut copy);
    let heap = Heap {
        arena: &copy,
        code: &code,
    };
    let part = |value: Value| heap.pair(value).expect("a pair");
    let (three, two) = part(value);
    assert_eq!(part(three), (two, part(two).0));
    assert_eq!(part(two).0, part(two).1);
    // With anything larger in them they are no small objects.
    let long = arena.new_text(Kind::String, &"long".repeat(50));
    let root = arena.new_pair(long, root);
    is_copied(&code, &arena, root, false);
}

#[test]
fn a_list_of_a_million_elements_is_copied() {
    let code = CodeSpace::default();
    let mut arena = Arena::new();
    let list = (0..1_000_000).fold(Value::NIL, |list, at| arena.new_pair(Value::int(at), list));
    let parcel = Parcel::pack(
        Heap {
            arena: &arena,
            code: &code,
        },
        list,
    );
    let mut other = Arena::new();
    let copy = parcel.unpack(&code, &mut other);
    assert_eq!(other.counters().allocated, 24_000_000);
    let heap = Heap {
        arena: &other,
        code: &code,
    };
    assert_eq!(heap.list(copy).count(), 1_000_000);
}

#[test]
fn what_a_copy_costs_does_not_depend_on_what_else_is_loaded() {
    let sizes: Vec<Vec<u64>> = [0, 200]
        .into_iter()
        .map(|others| {
            let mut code = CodeSpace::default();
            for number in 0..others {
                fibers::load(
                    &mut code,
                    &format!("func main()\n    int r0 {number}\n    return r0\n"),
                );
            }
            let code = fibers::code_with(code);
            let size = |name| {
                let (fiber, value) = result(&code, name);
                assert!(fiber.gas_used() > 0);
                let parcel = Parcel::pack(fiber.heap(&code), value);
                [parcel.size_bytes(), fiber.gas_used()]
            };
            SHORT.into_iter().flat_map(size).collect()
        })
        .collect();
    assert_eq!(sizes[0], sizes[1]);
}
