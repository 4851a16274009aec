//! The compiler that workers share: what it reuses, in the background and at once, and how it ends.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pw_jit::interp::profile::Profile;
use pw_jit::reference::{self, Outcome};
use pw_jit::tier::{
    CompilationBudget, CompileError, ExitReason, JitCompiler, JitEvent, JitSettings,
    OptimizationLevel, Watch,
};
use pw_jit::{CodeSpace, Fiber, Limits, interp};
use testkit::fibers::Surroundings;

/// A register is an Int, or a Float that a routine makes and that goes through joins: code for it leaves with either.
const EITHER: &str = ".global g0
.entry @main

func main()
    .link $g0
    .link @f2
    .const 'io-network
    int r0 0
    nil r1
    int r2 0
    int r4 4
    int r5 0
    make-bytes r3 r4 r5
    int r6 0
    int r7 0
    int r8 0
    int r9 0
    vector r5 r6 count=4
    int r10 0
    vector-set r5 r10 r0
    float r5 0.0
L14:
    loop
    int r6 30
    num-eq r7 r5 r6
    branch-if r7 L38
    bytes-ref r2 r3 r8
    branch-unless r0 L35
    move r11 r1
    move r12 r10
    closure r9 @f2 r11 count=2
    int r13 1
    int r16 0
    int r17 0
    int r18 0
    int r19 0
    vector r15 r16 count=4
    move r21 r13
    move r22 r0
    move r23 r15
    move r20 r9
    call-closure r20 args=3
    atan2 r2 r2 r0
L35:
    int r7 1
    add r5 r5 r7
    jump L14
L38:
    move r7 r2
    return r5

func f1(1) captures=2 registers=4
    int r2 1
    return r2

func f2(3) captures=2
    .const \"four\"
    int r7 0
L1:
    loop
    int r8 12
    num-eq r9 r7 r8
    branch-if r9 L8
    int r9 1
    add r7 r7 r9
    jump L1
L8:
    return r1
";

/// Counts to a number given in gas: long enough for code to arrive.
const COUNT: &str = ".entry @main
func main()
    int r0 0
    int r1 ROUNDS
    int r2 1
L3:
    loop
    add r0 r0 r2
    lt r3 r0 r1
    branch-if r3 L3
    return r0
";

/// Adds numbers, and finds a Float at last.
const TURNS: &str = ".entry @main
func main()
    int r0 0
    int r1 2000
    int r2 1
    int r4 0
L4:
    loop
    add r0 r0 r2
    add r4 r4 r2
    lt r3 r0 r1
    branch-if r3 L4
    const r2 1.0
    int r0 0
    const r0 0.0
    int r1 2000
    jump L4
";

/// Sums a vector in each round, of Ints and then of Floats: the sum of the sums becomes a Float where nobody looks.
const SUMS: &str = ".entry @main
func main()
    int r1 100
    int r2 1
    make-vector r0 r1 r2
    float r3 0.5
    make-vector r1 r1 r3
    int r2 0
    int r3 0
L8:
    loop
    int r5 6000
    num-eq r4 r2 r5
    branch-unless r4 L14
    return r3
L14:
    int r5 1
    add r4 r2 r5
    int r8 3000
    lt r7 r2 r8
    branch-unless r7 L21
    move r6 r0
    jump L22
L21:
    move r6 r1
L22:
    call r5 args=1 @sum
    add r3 r3 r5
    move r2 r4
    jump L8

func sum(v)
    int r1 0
    int r2 0
L2:
    loop
    vector-length r4 v
    num-eq r3 r1 r4
    branch-unless r3 L7
    return r2
L7:
    int r4 1
    add r3 r1 r4
    vector-ref r4 v r1
    add r2 r2 r4
    move r1 r3
    jump L2
";

fn load(source: &str) -> (CodeSpace, u32) {
    let mut code = CodeSpace::default();
    let program = pw_isa::text::parse(source).expect("assembly text");
    let number = code.load(pw_isa::verify::verify(program).expect("a program"));
    (code, number)
}

fn count(rounds: u64) -> (CodeSpace, u32) {
    load(&COUNT.replace("ROUNDS", &rounds.to_string()))
}

fn eager(settings: JitSettings) -> Arc<JitCompiler> {
    Arc::new(JitCompiler::new(settings).expect("a machine with native code"))
}

/// Runs a program in slices, and compares its end with the reference.
fn run(code: &CodeSpace, number: u32, profile: &mut Profile, limits: Limits) -> Outcome {
    let mut slow = Fiber::new(code, number, limits);
    let mut fast = slow.clone();
    let expected = reference::run(&mut slow, code, &mut Surroundings, u64::MAX);
    loop {
        match interp::run(&mut fast, code, &mut Surroundings, profile, 10_000) {
            Outcome::Preempted => {}
            outcome => {
                assert_eq!(outcome, expected);
                assert!(fast.to_image(code) == slow.to_image(code));
                return outcome;
            }
        }
    }
}

/// Waits for something that a thread does.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn workers_share_what_was_compiled() {
    let compiler = eager(JitSettings::eager());
    let (code, number) = count(1_000);
    for _ in 0..3 {
        let mut profile = Profile::with_compiler(Arc::clone(&compiler));
        run(&code, number, &mut profile, Limits::default());
        assert!(profile.native().expect("it has one").statistics().entries > 0);
    }
    let statistics = compiler.statistics();
    assert_eq!((statistics.compiled, statistics.reused), (1, 2));
    assert_eq!((statistics.failed, statistics.faults), (0, 0));
}

#[test]
fn code_depends_on_the_program_and_not_on_where_it_is_loaded() {
    let compiler = eager(JitSettings::eager());
    let (code, number) = count(1_000);
    let (again, same_number) = count(1_000);
    let (other, _) = count(1_001);
    let profile = Profile::default();
    let compiled = |code| {
        compiler
            .compile_hot_code(code, &profile, 0, 0)
            .expect("code")
    };
    let first = compiled(&code);
    assert_eq!(number, same_number);
    assert!(Arc::ptr_eq(&first, &compiled(&again)));
    let second = compiled(&other);
    assert_ne!(first.signature(), second.signature());
    assert_eq!(first.name(), "main");
    // A compiler of its own comes to the same bytes, from a program that lies elsewhere.
    let afresh = eager(JitSettings::eager());
    let afresh = afresh
        .compile_hot_code(&again, &profile, 0, 0)
        .expect("code");
    assert_eq!(first.machine_code(), afresh.machine_code());
    assert_eq!(first.loops(), afresh.loops());
}

#[test]
fn every_level_of_optimization_does_the_same() {
    let (code, number) = count(3_000);
    for level in [
        OptimizationLevel::None,
        OptimizationLevel::Speed,
        OptimizationLevel::SpeedAndSize,
    ] {
        let settings = JitSettings {
            optimization_level: level,
            ..JitSettings::eager()
        };
        let mut profile = Profile::with_native(settings).expect("a machine with native code");
        run(&code, number, &mut profile, Limits::default());
        assert_eq!(
            profile
                .native()
                .expect("it has one")
                .statistics()
                .compiler
                .compiled,
            1
        );
    }
}

#[test]
fn a_thread_compiles_while_the_program_goes_on() {
    let settings = JitSettings {
        background: true,
        ..JitSettings::eager()
    };
    let compiler = eager(settings);
    let (code, number) = count(u64::MAX >> 1);
    let mut profile = Profile::with_compiler(Arc::clone(&compiler));
    let mut fiber = Fiber::new(&code, number, Limits::default());
    eventually("native code is entered", || {
        interp::run(&mut fiber, &code, &mut Surroundings, &mut profile, 10_000);
        profile.native().expect("it has one").statistics().entries > 0
    });
    let statistics = compiler.statistics();
    assert_eq!(
        statistics.compiled, 1,
        "it was asked for once: {statistics:?}"
    );
    assert_eq!(statistics.reused, 0);
}

/// Calls a function for each round, so that there are two to compile, and to evict.
const CALLS: &str = ".entry @main
func main()
    int r0 0
    int r1 3000
    int r2 1
L3:
    loop
    move r6 r0
    call r5 args=1 @work
    add r0 r0 r2
    lt r3 r0 r1
    branch-if r3 L3
    return r5
func work(n)
    int r1 0
    int r2 1
    int r3 20
L3:
    loop
    add r0 r0 r2
    add r1 r1 r2
    lt r4 r1 r3
    branch-if r4 L3
    return r0
";

#[test]
fn threads_share_a_compiler_and_its_evictions() {
    // Room for one function: what one worker asks for takes away what another uses.
    let budget = CompilationBudget {
        code_bytes: 4096,
        ..CompilationBudget::default()
    };
    for background in [false, true] {
        let compiler = eager(JitSettings {
            background,
            budget,
            ..JitSettings::eager()
        });
        let spaces = [load(CALLS), count(20_000), load(CALLS), count(30_000)];
        std::thread::scope(|scope| {
            for (code, number) in &spaces {
                let mut profile = Profile::with_compiler(Arc::clone(&compiler));
                scope.spawn(move || {
                    for _ in 0..20 {
                        run(code, *number, &mut profile, Limits::default());
                    }
                });
            }
        });
        let statistics = compiler.statistics();
        assert_eq!(statistics.faults, 0);
        assert!(statistics.evicted > 0, "{statistics:?}");
    }
}

#[test]
fn a_profile_that_forgets_takes_no_late_answers() {
    let settings = JitSettings {
        background: true,
        ..JitSettings::eager()
    };
    let compiler = eager(settings);
    let mut profile = Profile::with_compiler(Arc::clone(&compiler));
    // Each space numbers its program 0: code of the one before would do something else.
    for rounds in [20_000, 30_000, 40_000, 50_000, 60_000] {
        let (code, number) = count(rounds);
        run(&code, number, &mut profile, Limits::default());
    }
    assert_eq!(compiler.statistics().failed, 0);
}

/// Tells when it is dropped, with the compiler that holds it.
struct Ended(Arc<Mutex<bool>>);

impl Watch for Ended {
    fn event(&self, _: &JitEvent<'_>) {}
}

impl Drop for Ended {
    fn drop(&mut self) {
        *self.0.lock().expect("no panic") = true;
    }
}

#[test]
fn the_thread_ends_with_its_compiler() {
    let ended = Arc::new(Mutex::new(false));
    let settings = JitSettings {
        background: true,
        ..JitSettings::eager()
    };
    let compiler = JitCompiler::new(settings).expect("a machine with native code");
    let compiler = compiler.watched_by(Box::new(Ended(Arc::clone(&ended))));
    let mut profile = Profile::with_compiler(Arc::new(compiler));
    let (code, number) = count(100_000);
    run(&code, number, &mut profile, Limits::default());
    assert!(!*ended.lock().expect("no panic"));
    drop(profile);
    eventually("the thread ends", || *ended.lock().expect("no panic"));
}

/// Keeps the machine code of the function that is compiled, in the order in which it was made.
struct Codes(Arc<Mutex<Vec<Vec<u8>>>>);

impl Watch for Codes {
    fn event(&self, event: &JitEvent<'_>) {
        if let JitEvent::Compiled { function, .. } = event
            && function.function() == 0
        {
            let mut codes = self.0.lock().expect("no panic");
            codes.push(function.machine_code().to_vec());
        }
    }
}

#[test]
fn a_guess_is_given_up_when_the_same_code_comes_of_it_again() {
    let codes = Arc::new(Mutex::new(Vec::new()));
    let settings = JitSettings {
        background: false,
        ..JitSettings::default()
    };
    let compiler = JitCompiler::new(settings).expect("a machine with native code");
    let compiler = compiler.watched_by(Box::new(Codes(Arc::clone(&codes))));
    let mut profile = Profile::with_compiler(Arc::new(compiler));
    let (code, number) = load(SUMS);
    run(&code, number, &mut profile, Limits::default());
    let codes = codes.lock().expect("no panic");
    let is_repeated = |three: &[Vec<u8>]| three[0] == three[1] && three[1] == three[2];
    assert!(codes.len() > 2, "nothing was learnt");
    assert!(!codes.windows(3).any(is_repeated), "{}", codes.len());
}

#[test]
fn without_time_or_memory_programs_run_in_the_interpreter() {
    let none = CompilationBudget::default();
    for budget in [
        CompilationBudget {
            time: Duration::ZERO,
            ..none
        },
        CompilationBudget {
            code_bytes: 0,
            ..none
        },
    ] {
        let compiler = eager(JitSettings {
            budget,
            ..JitSettings::eager()
        });
        let mut profile = Profile::with_compiler(Arc::clone(&compiler));
        let (code, number) = count(3_000);
        run(&code, number, &mut profile, Limits::default());
        let statistics = compiler.statistics();
        assert_eq!(
            (statistics.compiled, statistics.failed),
            (0, 1),
            "{budget:?}"
        );
        assert_eq!(statistics.faults, 0);
        let refused = compiler.compile_hot_code(&code, &profile, number, 0);
        assert!(
            matches!(refused, Err(CompileError::OverBudget)),
            "{refused:?}"
        );
    }
}

#[test]
fn exits_are_counted_where_they_happen() {
    let (code, number) = load(TURNS);
    let mut profile = Profile::with_native(JitSettings::eager()).expect("native code");
    let limits = Limits {
        gas: 60_000,
        ..Limits::default()
    };
    run(&code, number, &mut profile, limits);
    let jit = profile.native().expect("it has one");
    let exits: Vec<_> = jit.exits().collect();
    let sum: u64 = exits.iter().map(|site| site.count).sum();
    assert_eq!(sum, jit.statistics().exits.values().sum::<u64>());
    let at = |pc, reason| {
        exits
            .iter()
            .any(|site| (site.pc, site.reason) == (pc, reason))
    };
    assert!(at(4, ExitReason::Gas), "slices end at the loop: {exits:?}");
    assert!(
        exits
            .iter()
            .all(|site| (site.program, site.function) == (number, 0))
    );
    assert!(
        exits.iter().any(|site| site.reason.is_wrong_guess()),
        "{exits:?}"
    );
}

#[test]
fn what_was_compiled_is_listed_by_the_signature_of_its_code() {
    let settings = JitSettings {
        optimization_level: OptimizationLevel::SpeedAndSize,
        budget: CompilationBudget {
            time: Duration::from_secs(60),
            code_bytes: 1 << 20,
        },
        ..JitSettings::eager()
    };
    let compiler = eager(settings);
    assert_eq!(
        compiler.optimization_level(),
        OptimizationLevel::SpeedAndSize
    );
    assert_eq!(compiler.compilation_budget(), settings.budget);
    assert!(compiler.compilation_cache().is_empty());
    let (code, number) = count(100);
    let mut profile = Profile::with_compiler(Arc::clone(&compiler));
    let mut fiber = Fiber::new(&code, number, Limits::default());
    interp::run(&mut fiber, &code, &mut Surroundings, &mut profile, u64::MAX);
    let made = compiler.compile_hot_code(&code, &profile, number, 0);
    let made = made.expect("it can be compiled");
    let cache = compiler.compilation_cache();
    let wanted = pw_isa::CodeSignature::of(code.program(number).function(0));
    assert!(cache.iter().all(|(signature, function)| {
        *signature == wanted
            && function.signature() == wanted
            && !function.machine_code().is_empty()
    }));
    assert!(
        cache
            .iter()
            .any(|(_, function)| Arc::ptr_eq(function, &made))
    );
}

/// Asks the host for something in every round that native code cannot ask for.
const ASKS: &str = ".entry @main
func main()
    int r0 0
    int r1 3000
    int r2 1
L3:
    loop
    trap-exits r0
    add r0 r0 r2
    lt r3 r0 r1
    branch-if r3 L3
    return r0
";

#[test]
fn what_is_never_compiled_does_not_make_its_function_be_compiled_again() {
    let (code, number) = load(ASKS);
    let mut profile = Profile::with_native(JitSettings::eager()).expect("native code");
    run(&code, number, &mut profile, Limits::default());
    let jit = profile.native().expect("it has one");
    let statistics = jit.statistics();
    assert!(statistics.compiler.compiled <= 3, "{statistics:?}");
    assert!(
        statistics.exits[&ExitReason::Uncompiled] > 2_000,
        "{statistics:?}"
    );
    assert!(
        jit.compiled(number, 0).is_some(),
        "its loop is still native"
    );
    // Stays that end as soon as that are worse than none, where that counts.
    let settings = JitSettings {
        short_stay: JitSettings::default().short_stay,
        ..JitSettings::eager()
    };
    let mut profile = Profile::with_native(settings).expect("native code");
    run(&code, number, &mut profile, Limits::default());
    let entries = profile.native().expect("it has one").statistics().entries;
    assert!(entries < 200, "{entries} entries");
}

/// The check of exits, which is made in this build, knows what joins on the way to an exit are given.
#[test]
fn a_number_of_either_kind_leaves_through_joins() {
    let compiler = eager(JitSettings::eager());
    let (code, number) = load(EITHER);
    let mut profile = Profile::with_compiler(Arc::clone(&compiler));
    for _ in 0..2 {
        run(&code, number, &mut profile, Limits::default());
    }
    let statistics = compiler.statistics();
    assert!(statistics.compiled > 0);
    assert_eq!((statistics.failed, statistics.faults), (0, 0));
}
