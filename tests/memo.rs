//! Memoisation: what is looked up, what is kept, and where it ends. That nobody can notice it is shown by the
//! modes `memo` of `tests/programs.rs`, by `tests/sweep.rs` and by generated programs.

use physics_world::jit::interp::{self, profile::Profile};
use physics_world::jit::memo::{MemoSettings, MemoStatistics};
use physics_world::jit::reference::{self, Outcome};
use physics_world::jit::tier::JitSettings;
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::solo::Solo;
use physics_world::source::{FileKind, load_program};

/// Without memoisation it takes 2^n calls.
const FIB: &str = "(defn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(defn main [] (fib 24))";

/// Calls `steps` with few different numbers.
const AGAIN: &str =
    "(defn steps [n] (let loop ((n n) (k 0)) (if (< n 2) k (loop (if (= 0 (mod n 2)) (quot n 2) (+ 1 (* 3 n))) (+ k 1)))))
(defn main [] (let loop ((i 0) (sum 0)) (if (< i 3000) (loop (+ i 1) (+ sum (steps (+ 97 (mod i 5))))) sum)))";

/// Calls `down` with ever new numbers.
const ONCE: &str = "(defn down [n] (let loop ((k 0)) (if (< k 3) (loop (+ k 1)) (+ n k))))
(defn main [] (let loop ((i 0) (sum 0)) (if (< i 2000) (loop (+ i 1) (+ sum (down i))) sum)))";

/// A pure function that fails whenever it is called.
const FAILS: &str = "(defn fails [n] (let loop ((k 9)) (if (< 0 k) (loop (- k 1)) (quot n 0))))
(defn main [] (let loop ((i 0) (sum 0)) (if (< i 50) (loop (+ i 1) (+ sum (try (fails 7) (catch e 1)))) sum)))";

fn load(source: &str) -> CodeSpace {
    let verified = load_program("memo.jue", FileKind::Jue, source.as_bytes()).expect("a program");
    let mut code = CodeSpace::default();
    code.load(verified);
    code
}

/// Runs a program as the reference does, and with this profile, in slices; both must agree.
fn run(source: &str, mut profile: Profile, slice: u64) -> (Profile, MemoStatistics) {
    let code = load(source);
    let mut expected = Fiber::new(&code, 0, Limits::default());
    let mut fiber = expected.clone();
    let mut host = Solo::new(Vec::new());
    let wanted = reference::run(&mut expected, &code, &mut host, u64::MAX);
    assert!(matches!(wanted, Outcome::Done(_)), "{wanted:?}");
    let found = loop {
        match interp::run(&mut fiber, &code, &mut host, &mut profile, slice) {
            Outcome::Preempted => {}
            outcome => break outcome,
        }
    };
    assert_eq!(found, wanted);
    assert_eq!(fiber.gas_used(), expected.gas_used());
    assert_eq!(fiber.state_hash(&code), expected.state_hash(&code));
    let statistics = profile.memo().expect("it memoises").statistics();
    (profile, statistics)
}

fn interpreted() -> Profile {
    Profile::default().memoising(MemoSettings::default())
}

fn native() -> Profile {
    let native = Profile::with_native(JitSettings::eager());
    native
        .expect("a machine with native code")
        .memoising(MemoSettings::default())
}

#[test]
fn calls_that_were_made_before_are_not_run_again() {
    for profile in [interpreted(), native()] {
        let (profile, statistics) = run(FIB, profile, u64::MAX);
        // 24 numbers lead to others, and each is asked for about twice instead of 2^24 times.
        assert!((40..100).contains(&statistics.lookups), "{statistics:?}");
        assert!(statistics.hits >= 20, "{statistics:?}");
        assert!(statistics.gas > 100_000, "{statistics:?}");
        let cache = profile.memo().expect("it memoises").cache();
        assert!((20..30).contains(&cache.len()));
        assert!(cache.cache_hit_rate() > 0.3);
    }
}

#[test]
fn native_code_asks_too() {
    let (profile, statistics) = run(AGAIN, native(), u64::MAX);
    let jit = profile.native().expect("it has native code");
    assert!(jit.statistics().compiler.compiled > 0);
    assert!(statistics.hits > 2_900, "{statistics:?}");
    // Five calls are run, and those that came before they were known.
    assert!(jit.statistics().entries < 200, "{:?}", jit.statistics());
}

#[test]
fn what_does_not_pay_is_switched_off() {
    for profile in [interpreted(), native()] {
        let (profile, statistics) = run(ONCE, profile, u64::MAX);
        assert_eq!(statistics.switched_off, 1, "{statistics:?}");
        assert!(statistics.lookups < 300, "{statistics:?}");
        let off: Vec<_> = profile
            .memo()
            .expect("it memoises")
            .switched_off()
            .collect();
        assert_eq!(off.len(), 1);
    }
    let (_, statistics) = run(AGAIN, interpreted(), u64::MAX);
    assert_eq!(statistics.switched_off, 0, "{statistics:?}");
}

#[test]
fn calls_that_do_not_end_within_a_slice_are_run() {
    let (_, statistics) = run(AGAIN, interpreted(), 100);
    assert_eq!(
        statistics.hits, 0,
        "each takes more than 100 gas: {statistics:?}"
    );
    let (_, statistics) = run(AGAIN, interpreted(), 20_000);
    assert!(statistics.hits > 1_000, "{statistics:?}");
    assert!(
        statistics.unfit > 0,
        "some come to the end of a slice: {statistics:?}"
    );
}

#[test]
fn errors_are_not_kept() {
    let (_, statistics) = run(FAILS, interpreted(), u64::MAX);
    // While instructions are looked at one by one, calls are not.
    assert!(statistics.lookups > 20, "{statistics:?}");
    assert_eq!(
        (statistics.hits, statistics.results),
        (0, 0),
        "{statistics:?}"
    );
}

#[test]
fn memory_for_results_is_bounded() {
    let settings = MemoSettings {
        max_cache_size: 10,
        switches_off: false,
    };
    let (_, statistics) = run(ONCE, Profile::default().memoising(settings), u64::MAX);
    assert_eq!(statistics.results, 10);
}

#[test]
fn another_program_finds_nothing_of_the_one_before() {
    let (profile, before) = run(FIB, interpreted(), u64::MAX);
    assert!(before.results > 0);
    let (_, after) = run(&FIB.replace("(< n 2) n", "(< n 2) 1"), profile, u64::MAX);
    assert!((20..30).contains(&after.results), "{after:?}");
}
