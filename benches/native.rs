//! What does native code cost and gain? Tiers beside each other, ways in and out of native code, making
//! code, and finding it again.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use physics_world::isa::verify::verify;
use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::reference::{self, Outcome};
use physics_world::jit::tier::{JitCompiler, JitSettings};
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::lang::compile;
use physics_world::solo::Solo;

/// A loop over Ints.
const LOOP: &str =
    "(let loop ((i 0) (x 42)) (if (= i 20000) x (loop (+ i 1) (mod (+ (* x 3877) 29573) 139968))))";
/// Calls.
const CALLS: &str = "(fib 16)";
/// A loop that native code leaves in each round: it prints.
const EXITS: &str = "(let loop ((i 0)) (if (= i 2000) i (begin (print nil) (loop (+ i 1)))))";
const LIBRARY: &str = "(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))";

struct Loaded {
    code: CodeSpace,
    fiber: Fiber,
}

fn load(body: &str) -> Loaded {
    load_program("bench.jue", &format!("{LIBRARY} (defn main [] {body})"))
}

fn load_program(name: &str, source: &str) -> Loaded {
    let program = compile(name, source).expect("the program compiles");
    let mut code = CodeSpace::default();
    let number = code.load(verify(program).expect("compiled programs verify"));
    let fiber = Fiber::new(&code, number, Limits::default());
    Loaded { code, fiber }
}

impl Loaded {
    /// Runs to the end in slices of so much gas.
    fn run(&self, mut fiber: Fiber, profile: &mut Profile, slice: u64) -> u64 {
        let mut host = Solo::new(std::io::sink());
        while interp::run(&mut fiber, &self.code, &mut host, profile, slice) == Outcome::Preempted {
        }
        fiber.gas_used()
    }

    /// A profile that has native code for all that is hot in the program.
    fn warm(&self) -> Profile {
        let mut profile = Profile::with_native(JitSettings::eager()).expect("native code");
        for _ in 0..5 {
            self.run(self.fiber.clone(), &mut profile, u64::MAX);
        }
        profile
    }
}

fn tiers(c: &mut Criterion) {
    for (name, body) in [("loop", LOOP), ("calls", CALLS)] {
        let loaded = load(body);
        let (mut cold, mut warm) = (Profile::default(), loaded.warm());
        let gas = loaded.run(loaded.fiber.clone(), &mut cold, u64::MAX);
        let mut group = c.benchmark_group(format!("tiers/{name}"));
        group.throughput(Throughput::Elements(gas));
        let fiber = || loaded.fiber.clone();
        group.bench_function("reference", |b| {
            let run = |mut fiber: Fiber| {
                let mut host = Solo::new(std::io::sink());
                reference::run(&mut fiber, &loaded.code, &mut host, u64::MAX)
            };
            b.iter_batched(fiber, run, BatchSize::SmallInput);
        });
        for (tier, profile) in [("interpreter", &mut cold), ("native", &mut warm)] {
            group.bench_function(tier, |b| {
                let run = |fiber| loaded.run(fiber, profile, u64::MAX);
                b.iter_batched(fiber, run, BatchSize::SmallInput);
            });
        }
        group.finish();
    }
}

/// Ways out of native code and in again, one a round.
fn exits(c: &mut Criterion) {
    let loaded = load(EXITS);
    let mut group = c.benchmark_group("exits");
    group.throughput(Throughput::Elements(2000));
    for (tier, mut profile) in [
        ("interpreter", Profile::default()),
        ("native", loaded.warm()),
    ] {
        group.bench_function(tier, |b| {
            let run = |fiber| loaded.run(fiber, &mut profile, u64::MAX);
            b.iter_batched(|| loaded.fiber.clone(), run, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// The same program in slices of different lengths: each ends in an exit and begins with an entry into a
/// running loop.
fn slices(c: &mut Criterion) {
    let loaded = load(LOOP);
    let mut profile = loaded.warm();
    let mut group = c.benchmark_group("slices of gas");
    let slices = [
        ("100", 100),
        ("1000", 1_000),
        ("10000", 10_000),
        ("whole", u64::MAX),
    ];
    for (name, slice) in slices {
        group.bench_function(name, |b| {
            let run = |fiber| loaded.run(fiber, &mut profile, slice);
            b.iter_batched(|| loaded.fiber.clone(), run, BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// Kernels in slices, warm: loops, deep recursion, and calls of closures.
fn kernels_in_slices(c: &mut Criterion) {
    for name in ["matmul", "fib", "closures", "quicksort", "binary-trees"] {
        let path = format!("benches/peers/kernels/{name}/kernel.jue");
        let source = std::fs::read_to_string(&path).expect("a kernel");
        let loaded = load_program(&path, &source);
        let settings = JitSettings {
            background: false,
            ..JitSettings::default()
        };
        let mut profile = Profile::with_native(settings).expect("native code");
        loaded.run(loaded.fiber.clone(), &mut profile, u64::MAX);
        let mut group = c.benchmark_group(format!("kernels in slices/{name}"));
        group.sample_size(10);
        for (slices, slice) in [("of 10000", 10_000), ("whole", u64::MAX)] {
            group.bench_function(slices, |b| {
                let run = |fiber| loaded.run(fiber, &mut profile, slice);
                b.iter_batched(|| loaded.fiber.clone(), run, BatchSize::SmallInput);
            });
        }
        group.finish();
    }
}

/// From cold into a loop that runs already, with code that is there and has only to be asked for.
fn entry_into_a_running_loop(c: &mut Criterion) {
    let loaded = load(LOOP);
    let settings = JitSettings {
        background: false,
        ..JitSettings::default()
    };
    let compiler = Arc::new(JitCompiler::new(settings).expect("native code"));
    c.bench_function("entry into a running loop", |b| {
        let run = |fiber| {
            let mut profile = Profile::with_compiler(Arc::clone(&compiler));
            loaded.run(fiber, &mut profile, u64::MAX)
        };
        b.iter_batched(|| loaded.fiber.clone(), run, BatchSize::SmallInput);
    });
}

/// What it takes to come to the code of a function: compiled, read from a directory, or found in memory.
fn coming_to_code(c: &mut Criterion) {
    let loaded = load(CALLS);
    let profile = loaded.warm();
    let program = loaded.fiber.position().0;
    let compiled = |compiler: &JitCompiler| {
        let function = compiler.compile_hot_code(&loaded.code, &profile, program, 0);
        black_box(function.expect("it compiles").machine_code().len())
    };
    let fresh = || JitCompiler::new(JitSettings::eager()).expect("native code");
    let mut group = c.benchmark_group("coming to code");
    group.bench_function("compiled", |b| {
        b.iter_batched(fresh, |compiler| compiled(&compiler), BatchSize::SmallInput);
    });
    let directory: PathBuf = std::env::temp_dir().join(format!("pw-bench-{}", std::process::id()));
    let keeping = || fresh().keeping_code_in(&directory).expect("a directory");
    compiled(&keeping());
    group.bench_function("from a file", |b| {
        b.iter_batched(
            keeping,
            |compiler| compiled(&compiler),
            BatchSize::SmallInput,
        );
    });
    std::fs::remove_dir_all(&directory).expect("it was made above");
    let compiler = fresh();
    group.bench_function("from memory", |b| b.iter(|| compiled(&compiler)));
    group.finish();
}

criterion_group!(
    benches,
    tiers,
    exits,
    slices,
    kernels_in_slices,
    entry_into_a_running_loop,
    coming_to_code
);
criterion_main!(benches);
