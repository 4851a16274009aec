//! Text, forms, control, names.

use super::check;

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
            "(:formal (begin (define a 1) (:verified (define b 2)))) (list a b)",
            "(1 2)",
        ),
        (
            "(define (f) (:formal (begin (define a 1) (define b 2))) (+ a b)) (f)",
            "3",
        ),
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
        (
            "(let ((car 5) (rest 1)) (map (lambda (x) (+ x car rest)) '(1 2)))",
            "(7 8)",
        ),
        (
            "(let ((null? 5)) (fold (lambda (cons x) (+ cons x null?)) 0 '(1 2)))",
            "13",
        ),
        (
            "(let ((define 1) (lambda 2)) (filter odd? '(1 2)))",
            "?unknown name `odd?`",
        ),
        (
            "(define (f define) (map - (list define 2))) (f 1)",
            "(-1 -2)",
        ),
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
