//! What `docs` promise about Jue, as far as one actor can show it: sources and what they come to.
//!
//! Each case is a source and the text of its value. A text that starts with `!` is the kind of an
//! error that nobody catches; one that starts with `?` is part of a compile error.

use physics_world::lang;
use pw_isa::ErrorKind;
use pw_isa::verify::verify;
use pw_jit::fiber::parcel::Parcel;
use pw_jit::host::{Answer, Effect, Host};
use pw_jit::reference::{self, Outcome};
use pw_jit::text::{Style, value_text};
use pw_jit::{CodeSpace, Fiber, Limits, Value};

/// A host with a console and nothing else.
#[derive(Default)]
struct Console;

impl Host for Console {
    fn effect(&mut self, _code: &CodeSpace, effect: Effect) -> Answer {
        match effect {
            Effect::HostCall { name, arguments } if name == "count" => {
                Answer::Done(Parcel::Plain(Value::int(arguments.len() as i64)))
            }
            Effect::HostCall { .. } => Answer::NIL,
            Effect::HasCapability { capability } => {
                Answer::Done(Parcel::Plain(Value::bool(capability.name == "io-console")))
            }
            Effect::SelfId => Answer::Done(Parcel::Plain(Value::actor(7))),
            Effect::Sender => Answer::NIL,
            _ => Answer::Refused {
                kind: ErrorKind::CapabilityDenied,
                message: "not here".to_owned(),
            },
        }
    }
}

/// The text of what a source comes to.
fn evaluate(source: &str) -> String {
    let program = match lang::compile("case.jue", source) {
        Ok(program) => program,
        Err(errors) => return format!("?{}", errors.errors()[0].message()),
    };
    let verified = match verify(program) {
        Ok(verified) => verified,
        Err(error) => panic!("{source}\nis not verified: {error}"),
    };
    let mut code = CodeSpace::new([1, 2]);
    let program = code.load(verified);
    let mut fiber = Fiber::new(&code, program, Limits::default());
    match reference::run(&mut fiber, &code, &mut Console, u64::MAX) {
        Outcome::Done(value) => value_text(fiber.heap(&code), value, Style::Quoted),
        Outcome::Failed(failure) => format!("!{}", failure.kind.name()),
        outcome => panic!("{source}\nended with {outcome:?}"),
    }
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(source, expected)| (source, expected, evaluate(source)))
        .filter(|(_, expected, found)| match expected.strip_prefix('?') {
            Some(part) => !found
                .strip_prefix('?')
                .is_some_and(|message| message.contains(part)),
            None => found != *expected,
        })
        .map(|(source, expected, found)| {
            format!("{source}\n  expected {expected}\n  found    {found}")
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn text_and_literals() {
    check(&[
        ("; nothing\n1 ; one", "1"),
        ("#| a #| b |# c |# 2", "2"),
        ("0xff", "255"),
        ("0xFFFFFFFFFFFFFFFF", "-1"),
        ("0x8000_0000_0000_0000", "-9223372036854775808"),
        ("1_000_000", "1000000"),
        ("9223372036854775807", "9223372036854775807"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("9223372036854775808", "?does not fit 64 bits"),
        ("-9223372036854775809", "?does not fit 64 bits"),
        ("0x10000000000000000", "?does not fit 64 bits"),
        ("1.0", "1.0"),
        ("1e-9", "1e-9"),
        ("(list nan inf -inf)", "(nan inf -inf)"),
        (r#""a\n\t\"\\\u{e9}""#, r#""a\n\t\"\\é""#),
        ("(list true false nil)", "(true false nil)"),
        ("'(1 . (2 3 . 4))", "(1 2 3 . 4)"),
        ("'(a \"b\" :c 1.5 (d))", "(a \"b\" :c 1.5 (d))"),
        ("'()", "nil"),
        ("''a", "(quote a)"),
        ("[+ 1 [* 2 3]]", "7"),
        (":word", ":word"),
        ("(:formal (+ 1 (:verified 2)))", "3"),
        ("(+ (:empirical 1) (:experimental 2))", "3"),
        ("", "nil"),
    ]);
}

#[test]
fn a_program_is_its_forms_in_order() {
    check(&[
        ("1 2 3", "3"),
        ("(define x 5)", "nil"),
        ("(define x 1) (set! x (+ x 1)) x", "2"),
        ("(define (main . args) (cons 'main args)) 5", "(main)"),
        ("(define main (lambda () 4)) 5", "4"),
        ("(define main 4) 5", "!TypeMismatch"),
        ("(defn main [a] a)", "!Arity"),
        (
            "(define (even? n) (if (= n 0) true (odd? (- n 1)))) (define (odd? n) (if (= n 0) false (even? (- n 1)))) (even? 100001)",
            "false",
        ),
        ("(define r (f 2)) (define (f x) (* x 21)) r", "42"),
        ("(begin (define a 1) (define (g) (+ a 1))) (g)", "2"),
        ("(define (f) g) (f) (define g (car '(1)))", "!Error"),
        ("(define (f) g) (define g (car '(1))) (f)", "1"),
        (
            "(define (f) 1) (define a (f)) (define (f) 2) (list a (f))",
            "(1 2)",
        ),
        ("(define k 7) (define (f) k) (f)", "7"),
        ("(define (f) (set! g 3) g) (define g 1) (f)", "3"),
        ("(define x 1) (define x (+ x 1)) x", "2"),
        ("(:formal (define (f) 3)) (f)", "3"),
        (
            "(define f (:formal (lambda (n) (if (= n 0) 'done (f (- n 1)))))) (f 3)",
            "done",
        ),
    ]);
}

#[test]
fn binding_forms() {
    check(&[
        ("((fn [a b] (- a b)) 5 3)", "2"),
        ("((lambda args args) 1 2)", "(1 2)"),
        ("((lambda (a . rest) (list a rest)) 1 2 3)", "(1 (2 3))"),
        ("((lambda (a . rest) rest) 1)", "nil"),
        ("((lambda (a . rest) rest))", "!Arity"),
        ("(define (f a . r) (list a r)) (f 1 2)", "(1 (2))"),
        ("(let ((x 1) (y 2)) (+ x y))", "3"),
        ("(let ((x 1)) (let ((x 2) (y x)) (list x y)))", "(2 1)"),
        ("(let* ((x 1) (y (+ x 1)) (x 5)) (list x y))", "(5 2)"),
        (
            "(let ((e? (lambda (n) (if (= n 0) true (o? (- n 1))))) (o? (lambda (n) (if (= n 0) false (e? (- n 1)))))) (e? 7))",
            "false",
        ),
        (
            "(let ((f (lambda (n) (if (= n 0) 1 (* n (f (- n 1))))))) (f 5))",
            "120",
        ),
        ("(let ((x 1)) (let ((x 2) (f (lambda () x))) (f)))", "1"),
        (
            "(let ((f (:formal (lambda (n) (if (= n 0) 0 (f (- n 1))))))) (f 3))",
            "0",
        ),
        ("(letrec ((a 1) (f (lambda () a))) (f))", "1"),
        ("(letrec ((f (lambda () a)) (a 1)) (f))", "1"),
        ("(letrec ((a b) (b 1)) a)", "!Error"),
        (
            "(let loop ((i 0) (acc nil)) (if (= i 3) acc (loop (+ i 1) (cons i acc))))",
            "(2 1 0)",
        ),
        (
            "(+ 1 (let loop ((i 0)) (if (< i 10) (loop (+ i 1)) i)))",
            "11",
        ),
        (
            "(let loop ((i 3)) (if (= i 0) 0 (+ i (loop (- i 1)))))",
            "6",
        ),
        (
            "(define (f) (define a 1) (define (g) (+ a 1)) (g)) (f)",
            "2",
        ),
        ("(define (f) (define (g) (h)) (define (h) 3) (g)) (f)", "3"),
        ("(define (f) (define (g) x) (define x 4) (g)) (f)", "4"),
        (
            "(define (f) (define (g) x) (g) (define x 4) x) (f)",
            "!Error",
        ),
        ("(define (f) (define x y) (define y 1) x) (f)", "!Error"),
        (
            "(define (f) 1 (define x 2) 3 (define y (+ x 1)) (* x y)) (f)",
            "6",
        ),
        ("(define (f) (define x 2)) (f)", "nil"),
        (
            "(define (f) (begin (define x 2) (define y 3)) (+ x y)) (f)",
            "5",
        ),
        ("(define (f) (:formal (define (g) 8)) (g)) (f)", "8"),
        ("(define (f) (define x 1) (set! x (+ x 1)) x) (f)", "2"),
        (
            "(define (f) (define (g) 1) (set! g (lambda () 2)) (g)) (f)",
            "2",
        ),
        (
            "(let ((n 0)) (define (up) (set! n (+ n 1)) n) (up) (up) (list n (up)))",
            "(2 3)",
        ),
        (
            "(define (counter) (let ((n 0)) (lambda () (set! n (+ n 1)) n))) (define c (counter)) (define d (counter)) (c) (c) (list (c) (d))",
            "(3 1)",
        ),
        (
            "(let ((p (let ((n 0)) (cons (lambda () n) (lambda (v) (set! n v)))))) ((cdr p) 9) ((car p)))",
            "9",
        ),
        (
            "(map (lambda (f) (f)) (let loop ((i 0) (acc nil)) (if (= i 3) acc (loop (+ i 1) (cons (lambda () i) acc)))))",
            "(2 1 0)",
        ),
        (
            "(let loop ((i 0) (acc nil)) (if (= i 3) (map (lambda (f) (f)) acc) (loop (+ i 1) (cons (lambda () (set! i (+ i 10)) i) acc))))",
            "(12 11 10)",
        ),
        (
            "(let ((a 1) (b 2)) (let swap ((a a) (b b) (n 3)) (if (= n 0) (list a b) (swap b a (- n 1)))))",
            "(2 1)",
        ),
        (
            "(let loop ((a 1) (b 2)) (if (> a 5) (list a b) (loop (or (and (> a 3) 9) (+ a 1)) a)))",
            "(9 4)",
        ),
        (
            "(let loop ((i 0)) (if (< i 3) (loop (begin (set! i (+ i 1)) i)) i))",
            "3",
        ),
        (
            "(let loop ((i 0) (j 0)) (if (= j 3) i (loop i (begin (set! i (+ i 100)) (+ j 1)))))",
            "0",
        ),
    ]);
}

#[test]
fn control() {
    check(&[
        ("(if 0 1 2)", "1"),
        ("(if nil 1 2)", "2"),
        ("(if false 1)", "nil"),
        ("(if \"\" 1 2)", "1"),
        ("(cond (false 1) ((= 1 1) 2) (else 3))", "2"),
        ("(cond (false 1) (else 2 3))", "3"),
        ("(cond (false 1))", "nil"),
        ("(cond (nil) (5))", "5"),
        ("(cond ((= 1 1) (define x 4) x))", "4"),
        (
            "(list (when true 1 2) (when nil 1) (unless nil 3) (unless 1 2))",
            "(2 nil 3 nil)",
        ),
        (
            "(list (and) (and 1 2) (and 1 nil 2) (and false))",
            "(true 2 nil false)",
        ),
        (
            "(list (or) (or nil false 3 4) (or nil false))",
            "(false 3 false)",
        ),
        ("(list (not nil) (not false) (not 0))", "(true true false)"),
        ("(begin 1 (do 2 3))", "3"),
        ("(begin)", "nil"),
        (
            "(let ((i 0) (s 0)) (while (< i 5) (set! s (+ s i)) (set! i (+ i 1))) s)",
            "10",
        ),
        ("(while false 1)", "nil"),
        ("(try 1 (catch e 2))", "1"),
        ("(try (raise 5) (catch e (+ e 1)))", "6"),
        ("(try (car 5) (catch e (error-kind e)))", "TypeMismatch"),
        (
            "(try (error \"no\" 1 2) (catch e (list (error-kind e) (error-message e) (error-values e))))",
            "(Error \"no\" (1 2))",
        ),
        (
            "(try (try (raise 1) (catch e (raise (+ e 1)))) (catch e (list 'outer e)))",
            "(outer 2)",
        ),
        (
            "(define (f) (try (g) (catch e 'caught))) (define (g) (h)) (define (h) (raise 1)) (f)",
            "caught",
        ),
        (
            "(let ((x 1)) (try (begin (set! x 2) (car nil)) (catch e x)))",
            "2",
        ),
        (
            "(define (f n) (try (if (= n 0) (raise 'bottom) (f (- n 1))) (catch e (if (= n 3) (list n e) (raise e))))) (f 5)",
            "(3 bottom)",
        ),
        (
            "(let loop ((i 0)) (if (= i 3) i (loop (try (if (= i 1) (raise 1) (+ i 1)) (catch e 2)))))",
            "3",
        ),
        ("(raise 5)", "!Raised"),
        ("(error \"x\")", "!Error"),
        ("(error)", "!Arity"),
        ("(try ((lambda (x) x)) (catch e (error-kind e)))", "Arity"),
        ("(5 6)", "!TypeMismatch"),
        (
            "(define (loop n) (if (= n 0) 'done (loop (- n 1)))) (loop 300000)",
            "done",
        ),
        (
            "(define (a n) (if (= n 0) 'done (b (- n 1)))) (define (b n) (a n)) (a 300000)",
            "done",
        ),
        (
            "(define (f g n) (if (= n 0) 'done (g g (- n 1)))) (f f 300000)",
            "done",
        ),
        (
            "(define (f n) (cond ((= n 0) 'done) (else (and true (or false (begin (when true (f (- n 1))))))))) (f 300000)",
            "done",
        ),
        (
            "(define (f n) (if (= n 0) 'done (apply f (list (- n 1))))) (f 300000)",
            "done",
        ),
        (
            "(define (f n) (+ 1 (f n))) (f 0)",
            "!RecursionLimitExceeded",
        ),
        (
            "(try ((lambda () (define (f n) (+ 1 (f n))) (f 0))) (catch e (error-kind e)))",
            "RecursionLimitExceeded",
        ),
        (
            "(list (apply + 1 2 '(3 4)) (apply list nil) (apply max '(3 9 2)))",
            "(10 nil 9)",
        ),
        ("(apply + 1)", "!TypeMismatch"),
        ("(apply list 1 2 nil)", "(1 2)"),
        ("(map apply (list + *) '((1 2) (3 4)))", "(3 12)"),
    ]);
}

#[test]
fn arity_is_checked_at_run_time() {
    check(&[
        ("(try (car) (catch e (error-kind e)))", "Arity"),
        ("(try (car 1 2) (catch e (error-kind e)))", "Arity"),
        ("(try (-) (catch e (error-kind e)))", "Arity"),
        (
            "(try (substring \"a\" 0 1 2) (catch e (error-kind e)))",
            "Arity",
        ),
        ("(try (make-vector) (catch e (error-kind e)))", "Arity"),
        (
            "(try (map-get (make-map)) (catch e (error-kind e)))",
            "Arity",
        ),
        ("(try (not) (catch e (error-kind e)))", "Arity"),
        ("(try (length) (catch e (error-kind e)))", "Arity"),
        (
            "(define (f a) a) (try (f) (catch e (error-kind e)))",
            "Arity",
        ),
        (
            "(let ((f (lambda (a) a))) (try (f 1 2) (catch e (error-kind e))))",
            "Arity",
        ),
        ("(try ((lambda (a) a)) (catch e (error-kind e)))", "Arity"),
        ("(if false (car 1 2 3) 'fine)", "fine"),
    ]);
}

#[test]
fn numbers() {
    check(&[
        (
            "(list (+) (+ 1) (+ 1 2 3) (*) (* 2) (* 2 3 4))",
            "(0 1 6 1 2 24)",
        ),
        (
            "(list (- 5) (- 5 2 1) (/ 7 2) (/ 1.0 4) (/ 2) (/ 2.0))",
            "(-5 2 3 0.25 0 0.5)",
        ),
        ("(+ 1 2.0)", "3.0"),
        ("(+ 'a)", "!TypeMismatch"),
        ("(* \"a\")", "!TypeMismatch"),
        ("(+ 9223372036854775807 1)", "!ArithmeticOverflow"),
        ("(- -9223372036854775808)", "!ArithmeticOverflow"),
        ("(abs -9223372036854775808)", "!ArithmeticOverflow"),
        ("(* 4611686018427387904 2)", "!ArithmeticOverflow"),
        ("(/ 1 0)", "!DivisionByZero"),
        ("(rem 1 0)", "!DivisionByZero"),
        ("(mod 1 0)", "!DivisionByZero"),
        ("(list (/ 1.0 0) (/ -1 0.0) (/ 0.0 0))", "(inf -inf nan)"),
        (
            "(list (quot -7 2) (rem -7 2) (mod -7 2) (mod 7 -2) (/ -7 2))",
            "(-3 -1 1 -1 -3)",
        ),
        ("(rem -9223372036854775808 -1)", "0"),
        ("(quot -9223372036854775808 -1)", "!ArithmeticOverflow"),
        (
            "(list (< 1 2 3) (< 1 3 2) (<= 1 1 2) (> 3 2 1) (>= 3 3 4))",
            "(true false true true false)",
        ),
        (
            "(list (= 1 1.0) (= 1 2) (!= 1 2 1) (!= 1 1 2) (= nan nan))",
            "(true false true false false)",
        ),
        ("(< 9007199254740993 9007199254740992.0)", "false"),
        ("(= 9007199254740993 9007199254740992.0)", "false"),
        ("(< 1 'a)", "!TypeMismatch"),
        ("(< 2 1 'a)", "!TypeMismatch"),
        ("(= 1 nil)", "!TypeMismatch"),
        ("(< 'a)", "!TypeMismatch"),
        ("(list (< 1) (= 2.0))", "(true true)"),
        (
            "(list (min 3 1 2) (max 3 1 2) (max 1 2.0) (max 3 2.0 1) (min 1))",
            "(1 3 2.0 3.0 1)",
        ),
        ("(list (abs -3) (abs -2.5))", "(3 2.5)"),
        (
            "(list (int 2.9) (int -2.9) (float 3) (int 5))",
            "(2 -2 3.0 5)",
        ),
        ("(int 1e30)", "!ArithmeticOverflow"),
        ("(int nan)", "!ArithmeticOverflow"),
        (
            "(list (wrap+ 9223372036854775807 1) (wrap- -9223372036854775808 1) (wrap* 4611686018427387904 4))",
            "(-9223372036854775808 9223372036854775807 0)",
        ),
        (
            "(list (bit-and 12 10) (bit-or 12 10) (bit-xor 12 10) (bit-not 0))",
            "(8 14 6 -1)",
        ),
        (
            "(list (shl 1 65) (shr -8 1) (ushr -1 60) (shl -1 63))",
            "(2 -4 15 -9223372036854775808)",
        ),
        (
            "(list (sqrt 4) (floor 1.5) (ceil 1.2) (round 2.5) (round -2.5) (trunc -1.7))",
            "(2.0 1.0 2.0 3.0 -3.0 -1.0)",
        ),
        (
            "(list (exp 0) (log 1) (sin 0) (cos 0) (tan 0) (atan 0) (atan2 0 1) (pow 2 10))",
            "(1.0 0.0 0.0 1.0 0.0 0.0 0.0 1024.0)",
        ),
        (
            "(list 1.0 -0.0 1e21 1e-7 1e15 1e16 0.00001 0.000001)",
            "(1.0 -0.0 1e21 1e-7 1000000000000000.0 1e16 0.00001 1e-6)",
        ),
        (
            "(list (fold + 0 '(1 2 3)) (fold * 1 '(2 3)) (apply - '(10 1 2)) (apply / '(8 2)))",
            "(6 6 7 4)",
        ),
        (
            "(list (apply < '(1 2 3)) (apply != '(1 1)) (apply min '(2 1)) (apply bit-or '(1 2 4)))",
            "(true false 1 7)",
        ),
        ("(let ((x 1)) (+ x (begin (set! x 10) x) x))", "21"),
        ("(define x 5) (+ 1 2 x 3)", "11"),
        ("(let ((x 2)) (set! x (* x x (+ x 1) x)) x)", "24"),
    ]);
}

#[test]
fn pairs_and_lists() {
    check(&[
        ("(cons 1 2)", "(1 . 2)"),
        ("(list 1 (list) '(2))", "(1 nil (2))"),
        ("(car (cdr '(1 2)))", "2"),
        ("(car nil)", "!TypeMismatch"),
        (
            "(list (null? nil) (null? '(1)) (pair? '(1)) (pair? nil))",
            "(true false true false)",
        ),
        ("(length '(1 2 3))", "3"),
        ("(length '(1 . 2))", "!TypeMismatch"),
        (
            "(list (append) (append '(1)) (append '(1) '(2 3) nil '(4)) (append '(1) 2))",
            "(nil (1) (1 2 3 4) (1 . 2))",
        ),
        ("(reverse '(1 2 3))", "(3 2 1)"),
        ("(list (nth '(a b c) 1) (nth (vector 1 2) 0))", "(b 1)"),
        ("(nth '(a) 1)", "!OutOfRange"),
        ("(nth '(a) -1)", "!OutOfRange"),
        ("(nth (vector 1) 1)", "!OutOfRange"),
        ("(nth '(a) 'x)", "!TypeMismatch"),
        ("(nth 5 0)", "!TypeMismatch"),
        ("(map (lambda (x) (* x x)) '(1 2 3))", "(1 4 9)"),
        ("(map + '(1 2 3) '(10 20))", "(11 22)"),
        ("(map list '(1 2) '(a b) '(x y z))", "((1 a x) (2 b y))"),
        ("(filter (lambda (x) (> x 1)) '(1 2 3))", "(2 3)"),
        (
            "(fold (lambda (acc x) (cons x acc)) nil '(1 2 3))",
            "(3 2 1)",
        ),
        (
            "(let ((s 0)) (for-each (lambda (x) (set! s (+ s x))) '(1 2 3)) s)",
            "6",
        ),
        (
            "(list (assoc 'b '((a 1) (b 2))) (assoc 'c '((a 1))) (assoc \"x\" '((\"x\" . 1))))",
            "((b 2) nil (\"x\" . 1))",
        ),
        (
            "(list (member 2 '(1 2 3)) (member 5 '(1)) (member '(1) '(0 (1) 2)))",
            "((2 3) nil ((1) 2))",
        ),
        (
            "(let loop ((i 0) (l nil)) (if (< i 200000) (loop (+ i 1) (cons i l)) (list (length (map (lambda (x) x) l)) (length (append l l)) (fold + 0 (filter (lambda (x) (< x 3)) l)))))",
            "(200000 400000 3)",
        ),
        (
            "(list (list->vector '(1 2)) (vector->list (vector 1 2)) (list->vector nil) (vector->list (vector)))",
            "((vector 1 2) (1 2) (vector) nil)",
        ),
    ]);
}

#[test]
fn equality() {
    check(&[
        (
            "(let ((p (list 1))) (list (eq? p p) (eq? p (list 1)) (equal? p (list 1))))",
            "(true false true)",
        ),
        (
            "(list (eq? 1 1) (eq? 1 1.0) (eq? \"a\" \"a\") (eq? 'a 'a) (eq? nil '()))",
            "(true false true true true)",
        ),
        (
            "(list (eq? nan nan) (eq? 0.0 -0.0) (equal? nan nan) (equal? 1 1.0))",
            "(true false true false)",
        ),
        (
            "(list (equal? (vector 1 (list 2)) (vector 1 (list 2))) (eq? (vector) (vector)))",
            "(true false)",
        ),
        ("(define (f) (lambda (x) x)) (eq? (f) (f))", "false"),
        ("(define (f) 1) (eq? f f)", "true"),
        ("(eq? car car)", "true"),
        ("(define (f) (define (g) 1) g) (eq? (f) (f))", "false"),
        ("(let ((f (lambda (self) (eq? self f)))) (f f))", "true"),
        (
            "(let ((n 1)) (let ((f (lambda (self) (list n (eq? self f))))) (f f)))",
            "(1 true)",
        ),
        (
            "(let ((f (lambda () g)) (g (lambda () f))) (eq? f ((f))))",
            "true",
        ),
        (
            "(let ((a (make-map)) (b (make-map))) (map-set! a 1 2) (map-set! b 1 2) (equal? a b))",
            "true",
        ),
    ]);
}

#[test]
fn vectors_maps_bytes() {
    check(&[
        (
            "(let ((v (vector 1 2))) (vector-push! v 3) (vector-set! v 0 9) (list v (vector-length v) (vector-pop! v) (vector-ref v 0)))",
            "((vector 9 2) 3 3 9)",
        ),
        (
            "(list (make-vector 2) (make-vector 2 0.5))",
            "((vector nil nil) (vector 0.5 0.5))",
        ),
        (
            "(let ((v (make-vector 3 1))) (vector-fill! v 'a) v)",
            "(vector a a a)",
        ),
        (
            "(let ((v (vector 1 2))) (vector-set! v 0 1.5) v)",
            "(vector 1.5 2)",
        ),
        ("(vector-ref (vector 1) 1)", "!OutOfRange"),
        ("(vector-ref (vector 1) -1)", "!OutOfRange"),
        ("(vector-pop! (vector))", "!OutOfRange"),
        (
            "(let ((m (make-map))) (map-set! m 'a 1) (map-set! m '(1 2) 2) (map-set! m 1.0 3) (list m (map-get m '(1 2)) (map-get m 1) (map-get m 'z 0) (map-has? m 'a) (map-count m) (map-keys m)))",
            "((map a 1 (1 2) 2 1.0 3) 2 nil 0 true 3 (a (1 2) 1.0))",
        ),
        (
            "(let ((m (make-map))) (map-set! m 'a 1) (map-set! m 'b 2) (map-delete! m 'a) (map-set! m 'a 3) (map-keys m))",
            "(b a)",
        ),
        ("(map-set! (make-map) (vector) 1)", "!TypeMismatch"),
        (
            "(let ((b (make-bytes 2))) (bytes-set! b 0 255) (list (bytes-ref b 0) (bytes-ref b 1) (bytes-length b)))",
            "(255 0 2)",
        ),
        ("(bytes-ref (make-bytes 3 7) 2)", "7"),
        ("(bytes-set! (make-bytes 1) 0 256)", "!OutOfRange"),
        (
            "(list (apply make-vector '(1 2)) (apply make-bytes '(0)) (apply map-get (list (make-map) 1 2)) (apply vector '(1 2)))",
            "((vector 2) (bytes) 2 (vector 1 2))",
        ),
        (
            "(list (int? 1) (float? 1.0) (number? 1) (string? \"\") (symbol? 'a) (vector? (vector)) (map? (make-map)) (function? car) (actor? (self)) (error? 1) (nil? nil) (bool? false))",
            "(true true true true true true true true true false true true)",
        ),
    ]);
}

#[test]
fn strings() {
    check(&[
        (
            "(list (string-length \"héllo\") (string-append) (string-append \"a\") (string-append \"a\" \"b\" \"c\") (string-ref \"héllo\" 1))",
            "(5 \"\" \"a\" \"abc\" \"é\")",
        ),
        ("(string-append \"a\" 1)", "!TypeMismatch"),
        ("(string-append 1)", "!TypeMismatch"),
        (
            "(list (substring \"hello\" 1) (substring \"hello\" 1 3) (substring \"hello\" 5))",
            "(\"ello\" \"el\" \"\")",
        ),
        ("(substring \"hello\" 6)", "!OutOfRange"),
        (
            "(list (string=? \"a\" \"a\") (string<? \"a\" \"b\") (string<? \"b\" \"a\"))",
            "(true true false)",
        ),
        (
            "(list (string->list \"añb\") (list->string '(\"x\" \"yz\")) (string->list \"\"))",
            "((\"a\" \"ñ\" \"b\") \"xyz\" nil)",
        ),
        (
            "(let ((s (let loop ((i 0) (s \"\")) (if (< i 1000) (loop (+ i 1) (string-append s (if (= 0 (rem i 3)) \"é\" \"a\"))) s)))) (list (length (string->list s)) (equal? s (list->string (string->list s)))))",
            "(1000 true)",
        ),
        (
            "(list (number->string 12) (number->string 1.5) (string->number \"0x10\") (string->number \"2.5\") (string->number \"abc\"))",
            "(\"12\" \"1.5\" 16 2.5 nil)",
        ),
        (
            "(list (symbol->string 'ab) (string->symbol \"c d\") (eq? (string->symbol \"x\") 'x))",
            "(\"ab\" c d true)",
        ),
        (
            "(list (string-index \"hello\" \"l\") (string-index \"hello\" \"z\"))",
            "(2 nil)",
        ),
        ("(bytes->string (string->bytes \"hé\"))", "\"hé\""),
    ]);
}

#[test]
fn actors_and_the_host_from_one_actor() {
    check(&[
        ("(print 1 2)", "nil"),
        ("(self)", "#<actor 7>"),
        ("(sender)", "nil"),
        ("(has-capability? 'io-console)", "true"),
        ("(has-capability? '(resource-extra-memory 4096))", "false"),
        ("(host-call 'count 1 2 3)", "3"),
        ("(apply host-call '(count 1 2))", "2"),
        ("(apply print '(1 2))", "nil"),
        ("(spawn (lambda () 1))", "!CapabilityDenied"),
        ("(spawn 5)", "!TypeMismatch"),
        ("(apply spawn (list 5))", "!TypeMismatch"),
        (
            "(try (send! (self) 1 :priority 9) (catch e (error-kind e)))",
            "OutOfRange",
        ),
        ("(send! 5 1)", "!TypeMismatch"),
        ("(send! (self) 1 :prio 2)", "?unknown option of `send!`"),
        ("(send! (self) 1 :priority)", "?this option has no value"),
        ("(send! (self) 1 2)", "!Arity"),
        (
            "(try (request (self) 1 :timeout 10) (catch e (error-kind e)))",
            "CapabilityDenied",
        ),
        (
            "(try (delegate-capability (self) 'a :expires 10 :budget 2) (catch e (error-kind e)))",
            "CapabilityDenied",
        ),
        (
            "(try (receive :timeout 5) (catch e (error-kind e)))",
            "CapabilityDenied",
        ),
        (
            "(try (supervise car :restart 'always :rewind true) (catch e (error-kind e)))",
            "CapabilityDenied",
        ),
        (
            "(try (set-mailbox! :limit 5 :policy 'wait) (catch e (error-kind e)))",
            "CapabilityDenied",
        ),
    ]);
}

#[test]
fn built_in_names_can_be_shadowed_and_redefined() {
    check(&[
        ("(let ((+ -)) (+ 5 3))", "2"),
        ("(define (f list) (car list)) (f '(1))", "1"),
        ("(define (+ a b) (* a b)) (+ 3 4)", "12"),
        (
            "(define (car x) 'mine) (list (car 1) (map (lambda (x) x) '(1 2)) (nth '(5 6) 1))",
            "(mine (1 2) 6)",
        ),
        (
            "(define (reverse l) 'no) (list (reverse 1) (map (lambda (x) x) '(1 2)) (append '(1) '(2)))",
            "(no (1 2) (1 2))",
        ),
        ("(define map 5) (+ map 1)", "6"),
        ("(define (when x) (list 'when x)) (when 3)", "(when 3)"),
        (
            "(let ((if (lambda (a b c) (list c b a)))) (if 1 2 3))",
            "(3 2 1)",
        ),
        ("(define length 3) (set! length 4) length", "4"),
        ("(set! car 5)", "?built in"),
        (
            "(define (list . xs) 'mine) (vector->list (vector 1 2))",
            "(1 2)",
        ),
    ]);
}

#[test]
fn values_have_a_text() {
    check(&[
        ("(define (fib n) n) fib", "#<function fib>"),
        (
            "(list + map (lambda (x) x))",
            "(#<function +> #<function map> #<function lambda>)",
        ),
        ("(try (car 5) (catch e (error? e)))", "true"),
        (
            "(try (error \"no way\") (catch e e))",
            "#<error Error: no way>",
        ),
        ("(make-map)", "(map)"),
    ]);
}

#[test]
fn what_the_compiler_can_see_is_refused() {
    check(&[
        ("(foo 1)", "?unknown name `foo`"),
        ("%append", "?unknown name `%append`"),
        ("(if)", "?malformed `if`"),
        ("(let ((x)) x)", "?malformed binding"),
        ("(let ((x 1) (x 2)) x)", "?bound twice"),
        ("(lambda (a a) 1)", "?bound twice"),
        ("(lambda (1) 1)", "?cannot be the name"),
        ("(define :x 1)", "?stands for itself"),
        ("if", "?special form"),
        ("(try 1)", "?malformed `try`"),
        ("(catch e 1)", "?`catch` outside"),
        ("(else 1)", "?`else` outside"),
        ("(cond (else 1) (true 2))", "?not the last clause"),
        ("(if true (define x 1))", "?definition cannot stand here"),
        ("()", "?empty list"),
        ("(car . 1)", "?no dot"),
        ("(quote)", "?malformed `quote`"),
        ("(set! undefined 1)", "?unknown name"),
        ("(define)", "?malformed `define`"),
        ("(defn f)", "?malformed `defn`"),
        ("(let () (define a 1) (define a 2) a)", "?already defined"),
        ("(define (define x) 1)", "?cannot be redefined"),
    ]);
}
