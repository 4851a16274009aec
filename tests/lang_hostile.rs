//! No input crashes the compiler or makes it hang.

use std::time::{Duration, Instant};

use physics_world::lang::compile;

/// Compiles, draws the errors or verifies the program, and tells whether there was one.
fn survives(source: &str) -> bool {
    let start = Instant::now();
    let is_program = match compile("hostile.jue", source) {
        Ok(program) => {
            testkit::fuzz::jue(source, |_| Some(program));
            true
        }
        Err(errors) => {
            assert!(!errors.to_string().is_empty());
            false
        }
    };
    // Each takes well under a second; the bound is for a busy machine.
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{}",
        &source[..source.len().min(200)]
    );
    is_program
}

const SAMPLE: &str = r#"; a sample of everything
(define pi 3.14) #| nested #| comment |# |#
(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(define (f a b . rest)
  (define k 'sym) (define (even? n) (if (= n 0) true (odd? (- n 1))))
  (define (odd? n) (if (= n 0) false (even? (- n 1))))
  (let* ((x 0x1F) (y "\u{1F600}\n")) (set! x (+ x 1)) (list x y k (even? a) '(1 . (2 "s")) rest)))
(:formal (define counter (let ((n 0)) (fn [] (set! n (+ n 1)) n))))
(define (main . args)
  (let loop ((i 0) (sum 0.5))
    (cond ((and (< i 4) (not (= i 9))) (loop (+ i 1) (+ sum (f i 1))))
          ((or nil (> i 100)) => 1)
          (else (try (apply + args) (error "bad" i) (catch e (print (error-message e))))
                (while (< i 10) (set! i (+ i 1)))
                (spawn fib i) (send! (self) :hello :priority 2) (receive :timeout 5) sum)))
  (letrec ((g (lambda () h)) (h 1)) (g)))
"#;

#[test]
fn input_cut_off_at_every_byte() {
    for end in 0..=SAMPLE.len() {
        if let Some(part) = SAMPLE.get(..end) {
            survives(part);
        }
    }
}

#[test]
fn input_with_every_byte_left_out_or_replaced() {
    for at in 0..SAMPLE.len() {
        let (Some(before), Some(after)) = (SAMPLE.get(..at), SAMPLE.get(at + 1..)) else {
            continue;
        };
        survives(&format!("{before}{after}"));
        for other in ["(", ")", "'", "\"", "."] {
            survives(&format!("{before}{other}{after}"));
        }
    }
}

#[test]
fn words_of_the_language_in_any_order() {
    let words = [
        "(",
        ")",
        "(",
        ")",
        "[",
        "]",
        "'",
        ".",
        "define",
        "defn",
        "lambda",
        "let",
        "let*",
        "letrec",
        "if",
        "cond",
        "else",
        "begin",
        "set!",
        "while",
        "try",
        "catch",
        "quote",
        "and",
        "or",
        "when",
        "x",
        "f",
        "1",
        "nil",
        "\"s\"",
        ":formal",
        ":timeout",
        "receive",
        "apply",
        "map",
        "+",
        "(x 1)",
        "((x 1))",
        "(f x)",
        "(lambda (x) x)",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..3_000 {
        let mut text = String::from("(define (f x) x) (define x 1) ");
        for _ in 0..60 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text += words[(state % words.len() as u64) as usize];
            text.push(' ');
        }
        survives(&text);
    }
}

#[test]
fn a_hundred_thousand_of_anything() {
    let many = 100_000;
    for unit in [
        "(", ")", "[", "'", "\"", "\\", "(a . ", "#|", ";", "'(", "1 ", "nope ", "\0", "#",
        "\"\\q\"", "()",
    ] {
        survives(&unit.repeat(many));
    }
    for (before, after) in [
        ("(", ")"),
        ("(begin ", ")"),
        ("(:formal ", ")"),
        ("(lambda (x) ", ")"),
        ("(let ((x ", ")) x)"),
        ("(define (f) ", ")"),
        ("(cond (", "))"),
        ("'(", ")"),
    ] {
        survives(&format!("{}1{}", before.repeat(many), after.repeat(many)));
    }
}

#[test]
fn wide_forms() {
    let many = 50_000;
    let numbered = |text: &str| -> String {
        (0..many)
            .map(|number| text.replace('#', &number.to_string()))
            .collect()
    };
    assert!(survives(&"(print 1)\n".repeat(many)));
    assert!(survives(&numbered("(define (f# x) (f0 x))\n")));
    assert!(survives(&numbered("(define g# (car '(#)))\n")));
    assert!(survives(&format!("'({})", "(a 1 \"x\") ".repeat(many))));
    assert!(survives(&format!(
        "(define (f x) (cond {}))",
        numbered("((= x #) #)")
    )));
    assert!(survives(&format!(
        "(define (f x) (cond {}))",
        "((car x))".repeat(many)
    )));
    assert!(survives(&format!(
        "(define (f x) (and {}))",
        "(car x)".repeat(many)
    )));
    assert!(survives(&format!(
        "(define (f x) (begin {}))",
        "(begin x)".repeat(many)
    )));
    // Too large for one function: a diagnostic each.
    assert!(!survives(&format!("(list {})", "1 ".repeat(2 * many))));
    assert!(!survives(&format!("(define (f {}) 1)", numbered("x# "))) || many < 60_000);
    assert!(!survives(&format!(
        "(define (f x) {})",
        "(try (car x) (catch e e))".repeat(many)
    )));
    assert!(!survives(&format!(
        "(define (f x) {} x)",
        numbered("(define v# (car x))")
    )));
}

#[test]
fn functions_that_need_each_other_in_great_numbers() {
    let ring = |count: usize, body: &str| -> String {
        let define = |number: usize| {
            let next = (number + 1) % count;
            format!(
                "(define (g{number} x) {})\n",
                body.replace('#', &next.to_string())
            )
        };
        (0..count).map(define).collect()
    };
    assert!(survives(&format!(
        "(define (f x) {} (g0 x))",
        ring(3_000, "(g# x)")
    )));
    assert!(survives(&format!(
        "(define (f x) {} (g0 x))",
        ring(5_000, "(+ x (g# x))")
    )));
    assert!(survives(&format!(
        "(define (f y) {} (list g0 y))",
        ring(5_000, "(list y g#)")
    )));
    let captured: String = (0..900)
        .map(|number| format!("(lambda (x{number}) "))
        .collect();
    let used: String = (0..900).map(|number| format!("x{number} ")).collect();
    survives(&format!("{captured}(list {used}){}", ")".repeat(900)));
}
