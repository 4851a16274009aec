//! What does it take to save a running fiber and to restore it? The rate is bytes of the image a second.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use physics_world::isa::verify::verify;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::Outcome;
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::lang::compile;
use physics_world::solo::Solo;

/// Programs that make something of a kind and then wait in a loop.
const PROGRAMS: [(&str, &str); 5] = [
    ("small", "nil"),
    (
        "pairs",
        "(let loop ((i 0) (l nil)) (if (= i 20000) l (loop (+ i 1) (cons i l))))",
    ),
    ("flat vector", "(make-vector 100000 7)"),
    (
        "int map",
        "(let ((m (make-map))) (let loop ((i 0)) (if (= i 20000) m (begin (map-set! m (* i 7) i) (loop (+ i 1))))))",
    ),
    (
        "text map",
        "(let ((m (make-map))) (let loop ((i 0)) (if (= i 20000) m (begin (map-set! m (number->string i) i) (loop (+ i 1))))))",
    ),
];

/// Gas after which a program waits.
const GAS: u64 = 2_000_000;
/// No image is larger than this.
const BYTES_MAX: u64 = 1 << 30;

fn waiting(expression: &str) -> (CodeSpace, Fiber) {
    let source = format!("(defn main [] (let ((kept {expression})) (while true nil) kept))");
    let program = compile("bench.jue", &source).unwrap_or_else(|errors| panic!("{errors:?}"));
    let verified = verify(program).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut code = CodeSpace::new([1, 2]);
    let number = code.load(verified);
    let mut fiber = Fiber::new(&code, number, Limits::default());
    let mut host = Solo::new(std::io::sink());
    let outcome = interp::run(&mut fiber, &code, &mut host, &mut Profile::default(), GAS);
    assert!(matches!(outcome, Outcome::Preempted), "{outcome:?}");
    (code, fiber)
}

fn images(criterion: &mut Criterion) {
    for (name, expression) in PROGRAMS {
        let (code, fiber) = waiting(expression);
        let image = fiber.to_image(&code);
        let mut group = criterion.benchmark_group(format!("image of a {name}"));
        group.throughput(Throughput::Bytes(image.len() as u64));
        group.bench_function("save", |bencher| {
            bencher.iter(|| black_box(fiber.to_image(&code)));
        });
        group.bench_function("restore", |bencher| {
            bencher.iter(|| black_box(Fiber::from_image(&code, &image, BYTES_MAX)));
        });
        group.finish();
    }
}

criterion_group!(benches, images);
criterion_main!(benches);
