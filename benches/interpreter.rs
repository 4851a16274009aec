//! How fast is the interpreter, by what programs do? Each measurement runs a small program of one kind from
//! its first instruction to its last; the rate is gas a second.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use physics_world::isa::verify::verify;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::Outcome;
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::lang::compile;
use physics_world::solo::Solo;

/// Programs by family and name.
const PROGRAMS: [(&str, &[(&str, &str)]); 6] = [
    (
        "numbers",
        &[
            (
                "ints",
                "(let loop ((i 0) (x 42)) (if (= i 20000) x (loop (+ i 1) (mod (+ (* x 3877) 29573) 139968))))",
            ),
            (
                "floats",
                "(let loop ((i 0) (x 0.5)) (if (= i 20000) x (loop (+ i 1) (* 3.9 (* x (- 1.0 x))))))",
            ),
            (
                "int with float",
                "(let loop ((i 0)) (if (< i 20000.5) (loop (+ i 1)) i))",
            ),
            (
                "bits",
                "(let loop ((i 0) (x 1)) (if (= i 20000) x (loop (+ i 1) (bit-xor (shl x 1) (bit-and (ushr x 3) i)))))",
            ),
        ],
    ),
    (
        "calls",
        &[
            ("recursion", "(fib 18)"),
            ("tail calls", "(count-down 20000)"),
            (
                "closures",
                "(let ((f (adder 3))) (let loop ((i 0) (x 0)) (if (= i 10000) x (loop (+ i 1) (f x)))))",
            ),
            (
                "composed closures",
                "(let ((f (compose (adder 3) (adder 4)))) (let loop ((i 0) (x 0)) (if (= i 5000) x (loop (+ i 1) (f x)))))",
            ),
            (
                "new closures",
                "(let loop ((i 0) (x 0)) (if (= i 5000) x (loop (+ i 1) ((adder i) x))))",
            ),
            (
                "cells",
                "(let ((next (counter))) (let loop ((i 0)) (if (= i 10000) (next) (begin (next) (loop (+ i 1))))))",
            ),
        ],
    ),
    (
        "pairs",
        &[
            (
                "build",
                "(let loop ((i 0) (l nil)) (if (= i 10000) l (loop (+ i 1) (cons i l))))",
            ),
            (
                "walk",
                "(let ((l (numbers 1000))) (let loop ((i 0) (n 0)) (if (= i 20) n (loop (+ i 1) (+ n (length-of l))))))",
            ),
        ],
    ),
    (
        "vectors",
        &[
            (
                "flat",
                "(let ((v (make-vector 1000 1))) (let loop ((i 0) (x 0)) (if (= i 20000) x (begin (vector-set! v (mod i 1000) i) (loop (+ i 1) (vector-ref v (mod (* i 7) 1000)))))))",
            ),
            (
                "generic",
                "(let ((v (make-vector 1000 nil))) (let loop ((i 0) (x 0)) (if (= i 20000) x (begin (vector-set! v (mod i 1000) i) (loop (+ i 1) (vector-ref v (mod (* i 7) 1000)))))))",
            ),
            (
                "push",
                "(let ((v (vector))) (let loop ((i 0)) (when (< i 10000) (vector-push! v i) (loop (+ i 1)))))",
            ),
        ],
    ),
    (
        "maps",
        &[
            (
                "records",
                "(let ((m (make-map))) (map-set! m :x 1) (map-set! m :y 2) (let loop ((i 0)) (if (= i 10000) (map-get m :y) (begin (map-set! m :x (+ (map-get m :x) (map-get m :y))) (loop (+ i 1))))))",
            ),
            (
                "new records",
                "(let loop ((i 0)) (when (< i 3000) (let ((m (make-map))) (map-set! m :x i) (map-set! m :y i) (map-set! m :z i)) (loop (+ i 1))))",
            ),
            ("new ints", "(count-in (make-map) 10000 1000000)"),
            ("few ints", "(count-in (make-map) 10000 100)"),
            ("many ints", "(count-in (make-map) 200000 50000)"),
            (
                "missing ints",
                "(let ((m (make-map))) (count-in m 1000 1000) (let loop ((i 1000) (n 0)) (if (= i 11000) n (loop (+ i 1) (if (map-has? m i) (+ n 1) n)))))",
            ),
            (
                "texts",
                "(let ((m (make-map)) (v (texts 100))) (let loop ((i 0)) (when (< i 10000) (let ((key (vector-ref v (mod (* i 7) 100)))) (map-set! m key (+ 1 (map-get m key 0)))) (loop (+ i 1)))))",
            ),
            (
                "come and go",
                "(let ((m (make-map))) (let loop ((i 0)) (when (< i 5000) (map-set! m i i) (map-delete! m (- i 50)) (loop (+ i 1)))))",
            ),
        ],
    ),
    (
        "text",
        &[
            (
                "append",
                "(let loop ((i 0) (s \"\")) (if (= i 5000) s (loop (+ i 1) (string-append s \"word \"))))",
            ),
            (
                "split",
                "(let loop ((rest (spaced 500)) (n 0)) (let ((at (string-index rest \" \"))) (if (nil? at) n (loop (substring rest (+ at 1)) (+ n 1)))))",
            ),
            (
                "numbers",
                "(let loop ((i 0) (n 0)) (if (= i 3000) n (loop (+ i 1) (+ n (string->number (number->string i))))))",
            ),
        ],
    ),
];

/// What the programs use.
const LIBRARY: &str = r#"
(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(defn count-down [n] (if (= n 0) 0 (count-down (- n 1))))
(defn adder [n] (lambda (x) (+ x n)))
(defn compose [f g] (lambda (x) (f (g x))))
(defn counter [] (let ((n 0)) (lambda () (set! n (+ n 1)) n)))
(defn numbers [n] (let loop ((i 0) (l nil)) (if (= i n) l (loop (+ i 1) (cons i l)))))
(defn length-of [l] (let loop ((l l) (n 0)) (if (nil? l) n (loop (cdr l) (+ n 1)))))
(defn texts [n]
  (let ((v (vector)))
    (let loop ((i 0))
      (if (= i n) v (begin (vector-push! v (string-append "key-" (number->string i))) (loop (+ i 1)))))))
(defn spaced [n] (let loop ((i 0) (s "")) (if (= i n) s (loop (+ i 1) (string-append s "word ")))))
(defn count-in [m n keys]
  (let loop ((i 0) (x 42))
    (when (< i n)
      (let ((key (mod x keys))) (map-set! m key (+ 1 (map-get m key 0))))
      (loop (+ i 1) (bit-and (+ (* x 1103515245) 12345) 2147483647)))))
"#;

/// A program, loaded.
fn load(expression: &str) -> (CodeSpace, u32) {
    let source = format!("{LIBRARY}(defn main [] {expression})");
    let program = compile("bench.jue", &source).unwrap_or_else(|errors| panic!("{errors:?}"));
    let verified = verify(program).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut code = CodeSpace::new([1, 2]);
    let number = code.load(verified);
    (code, number)
}

/// Runs a new fiber to its end.
fn run(mut fiber: Fiber, code: &CodeSpace, profile: &mut Profile) -> Fiber {
    let mut host = Solo::new(std::io::sink());
    let outcome = interp::run(&mut fiber, code, &mut host, profile, u64::MAX);
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    fiber
}

fn programs(criterion: &mut Criterion) {
    for (family, programs) in PROGRAMS {
        let mut group = criterion.benchmark_group(family);
        for (name, expression) in programs {
            let (code, number) = load(expression);
            let new = || Fiber::new(&code, number, Limits::default());
            let mut profile = Profile::default();
            let gas = run(new(), &code, &mut profile).gas_used();
            group.throughput(Throughput::Elements(gas));
            group.bench_function(*name, |bencher| {
                bencher.iter_batched(
                    new,
                    |fiber| black_box(run(fiber, &code, &mut profile)),
                    BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, programs);
criterion_main!(benches);
