//! What the compiler makes of a program: loops without calls, calls without closures, nothing that
//! is not needed.

use physics_world::lang::compile;
use pw_isa::Program;
use pw_isa::verify::verify;

fn program(source: &str) -> Program {
    let program = compile("code.jue", source).unwrap_or_else(|errors| panic!("{errors}"));
    verify(program.clone()).unwrap_or_else(|error| panic!("{source}\n{error}"));
    program
}

/// The mnemonics of a function.
fn code(program: &Program, name: &str) -> Vec<&'static str> {
    let number =
        (0..program.functions.len() as u32).find(|number| program.function_name(*number) == name);
    let function =
        &program.functions[number.unwrap_or_else(|| panic!("no function {name}")) as usize];
    function.code.iter().map(|op| op.info().mnemonic).collect()
}

fn function(source: &str) -> Vec<&'static str> {
    code(&program(source), "f")
}

const CALLS: &[&str] = &[
    "call",
    "call-closure",
    "tail-call",
    "tail-call-closure",
    "apply",
    "tail-apply",
    "closure",
    "cell",
];

fn calls(code: &[&'static str]) -> Vec<&'static str> {
    code.iter()
        .copied()
        .filter(|mnemonic| CALLS.contains(mnemonic))
        .collect()
}

#[test]
fn a_sum_is_a_tight_loop() {
    let code =
        function("(define (f n) (let loop ((i 0) (s 0)) (if (< i n) (loop (+ i 1) (+ s i)) s)))");
    let wanted = [
        "int",
        "int",
        "loop",
        "lt",
        "branch-unless",
        "int",
        "add",
        "add",
        "move",
        "jump",
        "return",
    ];
    assert_eq!(code, wanted);
}

#[test]
fn loops_make_no_calls() {
    for source in [
        "(define (f n) (+ 1 (let loop ((i 0)) (if (< i n) (loop (+ i 1)) i))))",
        "(define (f n) (if (= n 0) 'done (f (- n 1))))",
        "(define (f n) (define (go i) (if (= i 0) 0 (go (- i 1)))) (go n))",
        "(define (f n) (define (go i) (if (= i 0) 0 (go (- i 1)))) (list (go n)))",
        "(define (f n) (define (e i) (if (= i 0) true (o (- i 1)))) (define (o i) (if (= i 0) false (e (- i 1)))) (e n))",
        "(define (f n) (let outer ((i 0)) (if (= i n) i (let inner ((j 0)) (if (= j n) (outer (+ i 1)) (inner (+ j 1)))))))",
        "(define (f n) (let ((i 0)) (while (< i n) (set! i (+ i 1))) i))",
        "(define (f l) (fold (lambda (a x) (+ a (* x x))) 0 l))",
        "(define (f l) (fold + 0 l))",
        "(define (f l) (let ((n 0)) (for-each (lambda (x) (set! n (+ n x))) l) n))",
        "(define (f n) (let ((g (lambda (x) (+ x n)))) (g 1)))",
        "(define (f n) ((lambda (x) (* x n)) 3))",
        "(define (f n) (let loop ((i n)) (try (car i) (catch e e))))",
    ] {
        assert_eq!(calls(&function(source)), Vec::<&str>::new(), "{source}");
    }
}

#[test]
fn functions_that_are_only_called_need_no_closure() {
    let source = "(define (f n) (define (tree d) (if (= d 0) n (+ (tree (- d 1)) (tree (- d 1))))) (+ 1 (tree n) (tree 2)))";
    assert_eq!(calls(&function(source)), ["call", "call"]);
    assert_eq!(calls(&code(&program(source), "tree")), ["call", "call"]);
}

#[test]
fn only_what_is_captured_and_set_lives_in_a_cell() {
    let counter = function("(define (f) (let ((n 0)) (lambda () (set! n (+ n 1)) n)))");
    assert_eq!(calls(&counter), ["cell", "closure"]);
    let set = function("(define (f n) (set! n (+ n 1)) n)");
    assert_eq!(calls(&set), Vec::<&str>::new());
    let captured = function("(define (f n) (lambda () n))");
    assert_eq!(calls(&captured), ["closure"]);
}

#[test]
fn comparisons_stand_before_their_branches() {
    let code =
        function("(define (f a b) (if (and (< a b) (not (= a 0)) (or (> b 9) (null? b))) 1 2))");
    let wanted = [
        "lt",
        "branch-unless",
        "int",
        "num-eq",
        "branch-if",
        "int",
        "gt",
        "branch-if",
        "is",
        "branch-unless",
        "int",
        "return",
        "int",
        "return",
    ];
    assert_eq!(code, wanted);
}

#[test]
fn constants_and_functions_belong_to_the_program_and_other_names_to_the_actor() {
    let program = program(
        "(define pi 3.14) (define (f) pi) (define x (f)) (define y 1) (set! y 2) (define (g) 1) (define (g) 2)",
    );
    assert_eq!(program.debug.globals, ["x", "y", "g"]);
    assert_eq!(code(&program, "f"), ["float", "return"]);
}

#[test]
fn a_program_contains_what_it_uses_of_the_prelude() {
    let names = |source: &str| -> Vec<String> {
        let program = program(source);
        (0..program.functions.len() as u32)
            .map(|number| program.function_name(number))
            .collect()
    };
    assert_eq!(names("(+ 1 2)"), ["program"]);
    assert_eq!(
        names("(reverse '(1))"),
        ["program", "reverse", "append-reversed"]
    );
}

#[test]
fn the_debug_section_knows_lines_variables_and_annotations() {
    let program = program(
        "(define (f width)\n  (let ((height\n          (car width)))\n    (:verified (cdr height))))\n(:formal (define (g) 1))",
    );
    let number = (0..)
        .find(|number| program.function_name(*number) == "f")
        .unwrap();
    let debug = program.debug_of(number).unwrap();
    assert_eq!(debug.annotations, ["verified"]);
    let pc_of = |mnemonic: &str| {
        let code = &program.functions[number as usize].code;
        code.iter()
            .position(|op| op.info().mnemonic == mnemonic)
            .unwrap() as u32
    };
    assert_eq!(debug.line_at(pc_of("car")), Some(3));
    assert_eq!(debug.line_at(pc_of("cdr")), Some(4));
    let height = debug
        .variables
        .iter()
        .find(|variable| variable.name == "height")
        .unwrap();
    assert!((height.start..height.end).contains(&pc_of("cdr")));
    assert!(
        debug
            .variables
            .iter()
            .any(|variable| variable.name == "width" && variable.register == 0)
    );
    assert_eq!(
        program.debug_of(number + 1).unwrap().annotations,
        ["formal"]
    );
}

#[test]
fn the_same_source_gives_the_same_program() {
    let source = "(define (f x) (map (lambda (y) (list x y)) '(1 2))) (define c (f 1)) (print c)";
    assert_eq!(program(source), program(source));
}
