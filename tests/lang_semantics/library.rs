//! What the built-in names do.

use super::check;

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
        ("(map (lambda () 1) '(1 2))", "!Arity"),
        ("(map (lambda (x) x) 5)", "!TypeMismatch"),
        ("(map 5 '(1 2))", "!TypeMismatch"),
        ("(map (lambda args args) '(1 2))", "((1) (2))"),
        ("(fold max 0 '(3 9 2))", "9"),
        ("(filter not '(1 nil 2 false))", "(nil false)"),
        (
            "(define (f l) (try (for-each (lambda (x) (if (> x 1) (raise x) nil)) l) (catch e (list 'got e)))) (f '(1 2 3))",
            "(got 2)",
        ),
        (
            "(map (lambda (x) (map (lambda (y) (fold (lambda (a z) (+ a (* x y z))) 0 '(1 2))) '(1 10))) '(1 2))",
            "((3 30) (6 60))",
        ),
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
            "(try (supervise (lambda () 1) :restart 'always :rewind true) (catch e (error-kind e)))",
            "CapabilityDenied",
        ),
        (
            "(try (set-mailbox! :limit 5 :policy 'wait) (catch e (error-kind e)))",
            "CapabilityDenied",
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
