//! The front of what makes programs fast and small: its settings, what workers get, and what becomes of the
//! memory of fibers that wait.

use std::path::PathBuf;
use std::sync::Arc;

use physics_world::jit::interp;
use physics_world::jit::memo::MemoSettings;
use physics_world::jit::optimize::{
    Due, HibernationError, MemoryOptimizationSystem, MemorySettings, PerformanceOptimizer,
    PerformanceSettings,
};
use physics_world::jit::reference::Outcome;
use physics_world::jit::tier::{JitSettings, Optimizations};
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::solo::Solo;
use physics_world::source::{FileKind, load_program};

/// Goes deep, comes back, and then builds and drops lists for long.
const PROGRAM: &str = "(defn deep [n] (if (= n 0) 0 (+ 1 (deep (- n 1)))))
(defn build [n] (let loop ((i 0) (l nil)) (if (< i n) (loop (+ i 1) (cons i l)) l)))
(defn total [l] (let loop ((l l) (sum 0)) (if (nil? l) sum (loop (cdr l) (+ sum (car l))))))
(defn main []
  (let ((d (deep 20000)) (kept (make-vector 64 nil)))
    (let loop ((i 0) (sum d))
      (if (< i 900)
          (begin
            (vector-set! kept (mod (* i i) 64) (build (+ 100 (mod i 900))))
            (loop (+ i 1) (+ sum (total (build 50)))))
          sum))))";

/// A fiber somewhere in the middle.
fn middle() -> (CodeSpace, Fiber) {
    let verified = load_program("p.jue", FileKind::Jue, PROGRAM.as_bytes()).expect("a program");
    let mut code = CodeSpace::default();
    code.load(verified);
    let mut fiber = Fiber::new(&code, 0, Limits::default());
    let mut worker = PerformanceOptimizer::new(interpreter())
        .expect("no compiler")
        .worker();
    let mut host = Solo::new(Vec::new());
    let outcome = interp::run(&mut fiber, &code, &mut host, &mut worker, 5_000_000);
    assert_eq!(outcome, Outcome::Preempted);
    (code, fiber)
}

/// What the program comes to from there, and its gas.
fn end(fiber: &mut Fiber, code: &CodeSpace) -> (Outcome, u64) {
    let mut worker = PerformanceOptimizer::new(interpreter())
        .expect("no compiler")
        .worker();
    let outcome = interp::run(
        fiber,
        code,
        &mut Solo::new(Vec::new()),
        &mut worker,
        u64::MAX,
    );
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    (outcome, fiber.gas_used())
}

fn interpreter() -> PerformanceSettings {
    PerformanceSettings {
        jit: None,
        ..PerformanceSettings::default()
    }
}

/// An empty directory.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("hibernated")
        .join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

fn files(directory: &PathBuf) -> usize {
    std::fs::read_dir(directory).expect("a directory").count()
}

#[test]
fn settings_are_json_and_what_is_left_out_is_as_by_default() {
    let read = |text| serde_json::from_str::<PerformanceSettings>(text);
    assert_eq!(
        read("{}").expect("nothing is needed"),
        PerformanceSettings::default()
    );
    let some = read(
        r#"{"jit": {"threshold": 7, "optimizations": {"osr": false}}, "memo": {}, "threads": 3}"#,
    );
    let expected = PerformanceSettings {
        jit: Some(JitSettings {
            threshold: 7,
            optimizations: Optimizations {
                osr: false,
                ..Optimizations::default()
            },
            ..JitSettings::default()
        }),
        memo: Some(MemoSettings::default()),
        threads: 3,
        ..PerformanceSettings::default()
    };
    assert_eq!(some.expect("settings"), expected);
    let written = serde_json::to_string(&expected).expect("JSON");
    assert_eq!(read(&written).expect("what was written"), expected);
    let unknown = read(r#"{"jti": null}"#).expect_err("a slip");
    assert!(
        unknown.to_string().contains("unknown field `jti`"),
        "{unknown}"
    );
}

#[test]
fn workers_share_the_compiler_and_have_what_the_settings_say() {
    let settings = PerformanceSettings {
        memo: Some(MemoSettings::default()),
        threads: 2,
        ..PerformanceSettings::default()
    };
    let optimizer = PerformanceOptimizer::new(settings).expect("a machine with native code");
    let compiler = optimizer.jit().expect("it compiles");
    let workers = [optimizer.worker(), optimizer.worker()];
    for worker in &workers {
        let native = worker.native().expect("it has native code");
        assert!(Arc::ptr_eq(native.compiler(), compiler));
        assert!(worker.memo().is_some());
    }
    assert_eq!((optimizer.threads(), *optimizer.settings()), (2, settings));
    let plain = PerformanceOptimizer::new(interpreter()).expect("no compiler");
    assert!(plain.jit().is_none() && plain.worker().native().is_none());
    assert!(plain.worker().memo().is_none() && plain.threads() >= 1);
}

#[test]
fn trimming_gives_room_back_and_changes_no_state() {
    let (code, mut fiber) = middle();
    let mut untouched = fiber.clone();
    let hash = fiber.state_hash(&code);
    let settings = MemorySettings {
        compact_above: 1.0,
        ..MemorySettings::default()
    };
    let mut memory = MemoryOptimizationSystem::new(settings);
    let before = fiber.held_bytes();
    let freed = memory.trim(&mut fiber, &code);
    println!(
        "trimmed: {before} bytes held before, {} after",
        fiber.held_bytes()
    );
    // The stack alone once held 20,000 frames.
    assert!(freed > 20_000 * 4 * 16, "{freed} of {before}");
    assert_eq!(before - fiber.held_bytes(), freed);
    let activity = memory.activity();
    assert_eq!(
        (activity.trimmed, activity.compacted, activity.bytes_freed),
        (1, 0, freed)
    );
    assert_eq!(fiber.state_hash(&code), hash);
    assert_eq!(end(&mut fiber, &code), end(&mut untouched, &code));
}

#[test]
fn a_fragmented_fiber_is_compacted() {
    let (code, mut fiber) = middle();
    let mut untouched = fiber.clone();
    let hash = fiber.state_hash(&code);
    let report = fiber.arena().report();
    assert!(
        report.segments > 1 && report.used_bytes * 2 < report.held_bytes,
        "{report:?}"
    );
    let mut optimizer = PerformanceOptimizer::new(interpreter()).expect("no compiler");
    let memory = optimizer.memory_optimizer();
    memory.trim(&mut fiber, &code);
    let after = fiber.arena().report();
    println!(
        "compacted: {} bytes held before, {} after",
        report.held_bytes, after.held_bytes
    );
    assert_eq!(
        (memory.activity().trimmed, memory.activity().compacted),
        (1, 1)
    );
    assert!(after.held_bytes * 2 < report.held_bytes && after.used_bytes < report.used_bytes);
    assert_eq!(fiber.state_hash(&code), hash);
    assert_eq!(fiber.arena().counters(), untouched.arena().counters());
    assert_eq!(end(&mut fiber, &code), end(&mut untouched, &code));
}

#[test]
fn what_is_due_depends_on_how_long_a_fiber_is_idle() {
    let settings = MemorySettings {
        trim_after: 3,
        hibernate_after: 10,
        ..MemorySettings::default()
    };
    let memory = MemoryOptimizationSystem::new(settings);
    let due = [0, 3, 4, 10].map(|ticks| memory.due(ticks));
    assert_eq!(due, [Due::Nothing, Due::Trim, Due::Nothing, Due::Nothing]);
    let memory = memory.in_directory(&directory("due")).expect("a directory");
    assert_eq!(memory.due(10), Due::Hibernate);
    assert_eq!(*memory.settings(), settings);
}

#[test]
fn a_hibernated_fiber_comes_back_as_it_was() {
    let (code, mut fiber) = middle();
    let hash = fiber.state_hash(&code);
    let folder = directory("back");
    let system = MemoryOptimizationSystem::new(MemorySettings::default());
    let mut memory = system.in_directory(&folder).expect("a directory");
    let sleeping = memory
        .hibernate(Box::new(fiber.clone()), &code)
        .expect("room for a file");
    let other = memory
        .hibernate(Box::new(fiber.clone()), &code)
        .expect("room for a file");
    println!(
        "hibernated: {} bytes held before, {} in the file",
        fiber.held_bytes(),
        sleeping.bytes()
    );
    assert_eq!(
        std::fs::metadata(sleeping.path()).expect("a file").len(),
        sleeping.bytes()
    );
    assert_eq!(files(&folder), 2);
    other.discard().expect("its file is there");
    let mut woken = memory.wake(sleeping, &code).expect("the file is as it was");
    assert_eq!(woken.state_hash(&code), hash);
    assert_eq!(files(&folder), 0, "a fiber is in one place only");
    assert_eq!(
        (memory.activity().hibernated, memory.activity().woken),
        (2, 1)
    );
    assert_eq!(end(&mut woken, &code), end(&mut fiber, &code));
}

#[test]
fn nothing_is_lost_when_a_fiber_cannot_be_written_or_read() {
    let (code, fiber) = middle();
    let hash = fiber.state_hash(&code);
    let mut memory = MemoryOptimizationSystem::new(MemorySettings::default());
    let (fiber, error) = memory
        .hibernate(Box::new(fiber), &code)
        .expect_err("nowhere");
    assert!(matches!(error, HibernationError::NoDirectory), "{error}");
    let folder = directory("lost");
    let mut memory = memory.in_directory(&folder).expect("a directory");
    std::fs::remove_dir_all(&folder).expect("an empty directory");
    let (fiber, error) = memory
        .hibernate(fiber, &code)
        .expect_err("no directory any more");
    assert!(matches!(error, HibernationError::Io { .. }), "{error}");
    assert_eq!(fiber.state_hash(&code), hash);
    std::fs::create_dir_all(&folder).expect("a directory");
    let sleeping = memory.hibernate(fiber, &code).expect("room for a file");
    let path = sleeping.path().to_owned();
    let whole = std::fs::read(&path).expect("its file");
    let flipped = [&whole[..100], &[!whole[100]], &whole[101..]].concat();
    let damages = [&whole[..whole.len() / 2], &[][..], &flipped];
    let sleeping = damages.into_iter().fold(sleeping, |sleeping, damaged| {
        std::fs::write(&path, damaged).expect("a file");
        let (again, error) = memory.wake(sleeping, &code).expect_err("it is damaged");
        assert!(error.to_string().contains("lost"), "{error}");
        assert!(path.exists(), "the file stays for whoever can mend it");
        again
    });
    std::fs::write(&path, &whole).expect("a file");
    let woken = memory.wake(sleeping, &code).expect("it is mended");
    assert_eq!(woken.state_hash(&code), hash);
}
