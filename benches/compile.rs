//! How long does it take from Jue source to a program that runs? The rate is bytes of source a second.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use physics_world::isa::verify::verify;
use physics_world::lang::compile;

/// Sources of some length.
const SOURCES: [(&str, &str); 3] = [
    ("json", include_str!("../tests/programs/kernels/json.jue")),
    (
        "sha-256",
        include_str!("../tests/programs/kernels/sha-256.jue"),
    ),
    (
        "vm-in-vm",
        include_str!("../tests/programs/kernels/vm-in-vm.jue"),
    ),
];

fn from_source(criterion: &mut Criterion) {
    for (name, source) in SOURCES {
        let program = match compile("bench.jue", source) {
            Ok(program) => program,
            Err(errors) => panic!("{errors:?}"),
        };
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(source.len() as u64));
        group.bench_function("compile", |bencher| {
            bencher.iter(|| black_box(compile("bench.jue", source)));
        });
        group.bench_function("verify", |bencher| {
            bencher.iter_batched(
                || program.clone(),
                |program| black_box(verify(program)),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, from_source);
criterion_main!(benches);
