//! Parcels are deep copies: what was shared stays shared, and what unpacking takes is known before.

mod support;

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
        assert_eq!(allocated, parcel.logical_bytes(&code), "{name}");
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
    assert_eq!(parcel.logical_bytes(&code), announced);
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
