//! Every value has a text, however deep, wide or cyclic it is.

use pw_isa::Kind;
use pw_jit::fiber::arena::Arena;
use pw_jit::heap::Heap;
use pw_jit::reference::Outcome;
use pw_jit::text::{Style, value_text, value_text_within};
use pw_jit::{CodeSpace, Fiber, Limits, Value};
use testkit::fibers;

/// The text of what a program gives.
fn text_of(source: &str, style: Style) -> String {
    let mut code = CodeSpace::default();
    let program = fibers::load(&mut code, source);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    match fibers::run_to_end(&mut fiber, &code) {
        Outcome::Done(value) => value_text(fiber.heap(&code), value, style),
        other => panic!("{other:?}"),
    }
}

fn constant(text: &str) -> String {
    text_of(
        &format!("func main()\n    const r0 {text}\n    return r0\n"),
        Style::Quoted,
    )
}

#[test]
fn constants_look_as_they_are_written() {
    for (source, text) in [
        ("nil", "nil"),
        ("true", "true"),
        ("false", "false"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1.0", "1.0"),
        ("-0.0", "-0.0"),
        ("nan:0xfff8000000000001", "nan"),
        ("inf", "inf"),
        ("1e21", "1e21"),
        ("'symbol", "symbol"),
        (r#""a\n\t\"\\\u{1}ü""#, r#""a\n\t\"\\\u{1}ü""#),
        ("'(1 (2 \"x\") . 3)", "(1 (2 \"x\") . 3)"),
        ("'(1 2 3)", "(1 2 3)"),
        ("'(nil)", "(nil)"),
        ("@main", "#<function main>"),
        ("#actor(17)", "#<actor 17>"),
        ("#capability(net)", "#<capability net>"),
        (
            "#capability(files \"/tmp\")",
            "#<capability files \"/tmp\">",
        ),
        (
            "#error(OutOfRange \"message\")",
            "#<error OutOfRange: message>",
        ),
    ] {
        assert_eq!(constant(source), text);
    }
}

#[test]
fn mutable_values_show_what_they_hold() {
    let source = "
func main()
    int r0 1
    const r1 \"two\"
    make-map r2
    map-set r2 r0 r1
    map-set r2 r1 r0
    make-bytes r3 r0 r0
    cell r4 r0
    vector r5 r0 count=5
    return r5
";
    assert_eq!(
        text_of(source, Style::Quoted),
        "(vector 1 \"two\" (map 1 \"two\" \"two\" 1) (bytes 1) #<cell>)"
    );
    assert_eq!(
        text_of(source, Style::Bare),
        "(vector 1 two (map 1 two two 1) (bytes 1) #<cell>)"
    );
    assert_eq!(
        text_of(&source.replace("count=5", "count=0"), Style::Bare),
        "(vector)"
    );
}

#[test]
fn cycles_are_cut_and_repetitions_are_not() {
    let source = "
func main()
    nil r0
    vector r0 r0 count=1
    make-map r1
    const r2 'self
    map-set r1 r2 r1
    map-set r1 r0 r2
    return r1
"
    .replace("    map-set r1 r0 r2\n", "")
    .replace(
        "    return r1",
        "    vector-push r0 r0\n    vector-push r0 r1\n    vector-push r0 r1\n    return r0",
    );
    assert_eq!(
        text_of(&source, Style::Quoted),
        "(vector nil #<cycle> (map self #<cycle>) (map self #<cycle>))"
    );
}

#[test]
fn deep_values_need_no_stack() {
    let code = CodeSpace::default();
    let mut arena = Arena::new();
    let deep = (0..300_000).fold(Value::NIL, |inner, _| arena.new_pair(inner, Value::NIL));
    let heap = Heap {
        arena: &arena,
        code: &code,
    };
    let text = value_text(heap, deep, Style::Quoted);
    assert_eq!(text.len(), 600_003);
    assert!(text.starts_with("((((") && text.ends_with("))))"));
}

#[test]
fn texts_are_cut_where_they_get_too_long() {
    let code = CodeSpace::default();
    let mut arena = Arena::new();
    let text = arena.new_text(Kind::String, &"ü".repeat(1_000));
    let list = (0..100).fold(Value::NIL, |rest, _| arena.new_pair(text, rest));
    let heap = Heap {
        arena: &arena,
        code: &code,
    };
    for bytes_max in 0..200 {
        for (value, style) in [
            (text, Style::Bare),
            (text, Style::Quoted),
            (list, Style::Quoted),
        ] {
            let cut = value_text_within(heap, value, style, bytes_max);
            assert!(cut.ends_with('…') && cut.len() <= bytes_max + '…'.len_utf8());
            assert!(cut.len() + 1 >= bytes_max);
        }
    }
    assert_eq!(
        value_text_within(heap, text, Style::Quoted, 2_002).len(),
        2_002
    );
}

#[test]
fn structures_that_share_exponentially_are_cut() {
    let code = CodeSpace::default();
    let mut arena = Arena::new();
    let shared = (0..80).fold(Value::NIL, |inner, _| arena.new_pair(inner, inner));
    let heap = Heap {
        arena: &arena,
        code: &code,
    };
    assert!(value_text_within(heap, shared, Style::Quoted, 10_000).len() < 10_010);
}
