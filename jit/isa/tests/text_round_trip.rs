//! Assembly text: what is printed reads back as the same program, and what cannot be read is reported
//! with its place.

use proptest::prelude::*;
use pw_isa::{Constant, Program, codec, text, verify};
use testkit::{fuzz, mutate, programs};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn every_well_formed_program_survives_its_text(program in programs::any_program()) {
        prop_assert_eq!(program.check_form(), Ok(()));
        fuzz::text_round_trip(&program);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        fuzz::assemble(text.as_bytes());
    }

    #[test]
    fn texts_made_of_tokens_are_read_or_refused(tokens in proptest::collection::vec(token(), 0..40)) {
        fuzz::assemble(format!("func main()\n{}", tokens.concat()).as_bytes());
    }
}

fn token() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(vec![
        "func ",
        "f",
        "(",
        ")",
        "\n",
        "\n",
        "\n",
        "'",
        "\"",
        "\\",
        ";",
        ".try ",
        "-> ",
        ".end",
        ".const ",
        ".link ",
        "@",
        "@f ",
        "$",
        "#",
        "#3 ",
        "%",
        "%1 ",
        "r1 ",
        "r2 ",
        "args=1 ",
        "count=2 ",
        "gas=3",
        "const r1 ",
        "return r1",
        "jump ",
        "a: ",
        "a ",
        "0..3 ",
        ". ",
        "...",
        "#actor(",
        "#capability(",
        "#error(",
        "5 ",
        "-1.5 ",
        "nan ",
        "nil ",
        ".var ",
        ".locals ",
        ".line 3 ",
        "at=2",
        ".global ",
        ".globals 3",
        ".no-debug",
        ".entry ",
        "registers=",
        "captures=1 ",
    ]);
    known.prop_map(str::to_owned)
}

#[test]
fn the_sample_reads_prints_and_verifies() {
    let program = programs::sample();
    fuzz::text_round_trip(&program);
    if let Err(error) = verify::verify(program) {
        panic!("{error}");
    }
}

#[test]
fn the_text_of_the_sample_looks_like_this() {
    let printed = text::print(&programs::sample());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sample.printed.pwa");
    if std::env::var_os("PW_BLESS").is_some() {
        std::fs::write(path, &printed).expect("the file can be written");
    }
    let expected = std::fs::read_to_string(path).expect("PW_BLESS=1 writes the file");
    assert_eq!(printed, expected);
}

#[test]
fn damaged_texts_are_read_or_refused() {
    let sample = programs::SAMPLE.as_bytes();
    mutate::truncations(sample, fuzz::assemble);
    mutate::bit_flips(sample, fuzz::assemble);
}

fn errors(source: &str) -> Vec<String> {
    let errors = text::parse(source).expect_err("the text is wrong");
    errors.0.iter().map(ToString::to_string).collect()
}

#[test]
fn all_errors_are_reported_with_their_place() {
    let source = "func main()\n  add r0 r1\n  frob r0\n  jump nowhere\n  const r0 \"open\n  return r0 r1\nfunc main()\n";
    assert_eq!(
        errors(source),
        [
            "line 2, column 12: expected operand `b`, found the end of the line",
            "line 3, column 3: expected an instruction, a label or a directive, found `frob`",
            "line 4, column 8: expected a label of this function, found `nowhere`",
            "line 5, column 17: expected the closing quote of a string, found the end of the line",
            "line 6, column 13: expected the end of the line, found `r1`",
            "line 7, column 6: expected a name that no other function has, found `main`",
        ]
    );
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        errors("func main()\n  const r0 'λλ r1\n"),
        ["line 2, column 16: expected the end of the line, found `r1`"]
    );
}

#[test]
fn each_notation_names_what_it_expects() {
    let cases = [
        (
            "int r0 9223372036854775808",
            "a number of 64 bits with sign",
        ),
        ("int x 1", "a register"),
        ("int r65536 1", "a register"),
        ("float r0 nan:0x0", "a float"),
        ("bool r0 yes", "`true` or `false`"),
        ("is r0 r0 int|cat", "kinds, such as int|float"),
        ("call r0 @main", "args= and a number in range"),
        ("call r0 args=65536 @main", "args= and a number in range"),
        ("call r0 args=0 @other", "a function of this program"),
        ("call r0 args=0 main", "a function, such as @main"),
        (
            "global-get r0 $x",
            "a global declared by a line `.global name`",
        ),
        ("const r0 symbol", "a constant"),
        ("const r0 '(1 . )", "a constant"),
        ("const r0 '(. 1)", "a constant"),
        ("const r0 '(1 . 2 3)", "`)`"),
        ("const r0 '(1", "a constant"),
        ("const r0 )", "a constant"),
        ("const r0 #error(Odd \"x\")", "a kind of error"),
        ("const r0 #thing(1)", "#actor, #capability or #error"),
        ("const r0 #capability(a 1 2)", "`)`"),
        (".const %3", "a constant, not the position of one"),
        (
            ".link @%3",
            "a function or global, not the position of a link",
        ),
        (".end", "no `.end` without `.try`"),
        (".try -> x r0", "an `.end` for each `.try`"),
        (".try 1 -> 2 r0", "a range of code, such as start..end"),
        (".frob", "a directive of a function"),
        (
            "a: a: return r0",
            "a label that stands nowhere else in the function",
        ),
        (".locals a a", "a name that no other variable has"),
        (".locals r1", "the name of a variable"),
        ("return r0 gas=65536", "gas= and a number in range"),
        ("const r0 \"\\q\"", "an escape of a string"),
    ];
    for (line, expected) in cases {
        let errors = text::parse(&format!("func main()\n{line}\n")).expect_err(line);
        assert_eq!(errors.0[0].expected, expected, "{line}");
        assert_eq!(errors.0[0].line, 2, "{line}");
    }
}

#[test]
fn lists_nest_as_deep_as_they_like() {
    const DEPTH: usize = 100_000;
    let lists = format!("{}{}", "(".repeat(DEPTH), ")".repeat(DEPTH));
    let program = text::parse(&format!("func main()\nconst r0 '{lists}\nreturn r0\n"));
    let program = program.expect("the text is sound");
    assert_eq!(program.functions[0].constants.len(), DEPTH);
    fuzz::text_round_trip(&program);
    fuzz::assemble(format!("func main()\nconst r0 '{}\n", "(".repeat(DEPTH)).as_bytes());
    fuzz::assemble(
        format!("func main()\nconst r0 {}\n", "#capability(a ".repeat(DEPTH)).as_bytes(),
    );
}

#[test]
fn shared_constants_do_not_grow_in_print() {
    let mut program = text::parse("func main()\nconst r0 nil\nreturn r0\n").expect("sound");
    let constants = &mut program.functions[0].constants;
    constants.extend((0..60).map(|index| Constant::Pair(index, index)));
    program.functions[0].code[0] = pw_isa::op::Data::Const {
        dst: pw_isa::operand::Def(0),
        constant: pw_isa::operand::Const(60),
    }
    .into();
    assert!(text::print(&program).len() < 10_000);
    fuzz::text_round_trip(&program);
}

#[test]
fn long_names_and_strings_are_printed_once() {
    let name = "x".repeat(10_000);
    let mut source = format!("func {name}()\n");
    for _ in 0..1000 {
        source.push_str(&format!("call r0 args=0 @{name}\nconst r0 \"{name}\"\n"));
    }
    source.push_str("return r0\n");
    let program = text::parse(&source).expect("sound");
    assert!(text::print(&program).len() < 100_000);
    fuzz::text_round_trip(&program);
}

#[test]
fn large_bad_inputs_are_refused_in_bounded_time() {
    for piece in [
        "(",
        ")",
        "'",
        "\"",
        "a: ",
        "func f(\n",
        ".try -> a r0\n",
        "r1 ",
        "\\",
        ".locals a\n",
    ] {
        fuzz::assemble(format!("func main()\n{}", piece.repeat(200_000)).as_bytes());
    }
}

#[test]
fn try_blocks_close_inner_ranges_first() {
    let source =
        "func main()\n.try -> a r0\n.try -> b r1\nnil r0\n.end\nnil r1\n.end\na: b: return r0\n";
    let program = text::parse(source).expect("sound");
    let ranges: Vec<_> = program.functions[0]
        .handlers
        .iter()
        .map(|h| (h.start, h.end))
        .collect();
    assert_eq!(ranges, [(0, 1), (0, 2)]);
    let by_range = "func main()\n.try 0..1 -> 2 r1\n.try 0..2 -> 2 r0\nnil r0\nnil r1\nreturn r0\n";
    assert_eq!(text::parse(by_range), Ok(program));
}

#[test]
fn names_become_registers_and_variables() {
    let program =
        text::parse("func main(a, b...)\n.locals c\nmove c a\nreturn c\n").expect("sound");
    let function = &program.functions[0];
    assert_eq!(
        (function.params, function.rest, function.registers),
        (1, true, 3)
    );
    let variables: Vec<_> = program.debug.functions[0]
        .variables
        .iter()
        .map(|variable| {
            (
                variable.name.as_str(),
                variable.register,
                variable.start,
                variable.end,
            )
        })
        .collect();
    assert_eq!(variables, [("a", 0, 0, 2), ("b", 1, 0, 2), ("c", 2, 0, 2)]);
}

#[test]
fn a_program_without_debug_section_keeps_none() {
    let program = text::parse(".no-debug\n.globals 3\nfunc f()\ncall r0 args=0 @f\nreturn r0\n");
    let program = program.expect("sound");
    assert!(program.debug.functions.is_empty() && program.debug.globals.is_empty());
    assert_eq!(program.globals, 3);
    fuzz::text_round_trip(&program);
}

#[test]
fn the_empty_text_is_the_empty_program() {
    assert_eq!(text::parse(""), Ok(Program::default()));
    fuzz::text_round_trip(&Program::default());
    assert_eq!(
        codec::decode(&codec::encode(&Program::default())),
        Ok(Program::default())
    );
}
