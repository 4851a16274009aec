//! Profiles of programs whose profile is known.

use std::path::PathBuf;
use std::process::{Command, Output};

use physics_world::isa::{Kind, KindSet};
use physics_world::jit::reference::Outcome;
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::profile::{FunctionRow, Profiler, Report};
use physics_world::solo::Solo;
use physics_world::source::{FileKind, load_program};

/// `a` does nine times the work of `b`, which works on floats; `twice` is called through a value.
const NINE_TO_ONE: &str =
    "(defn a [n] (let loop ((i 0) (x 0)) (if (< i n) (loop (+ i 1) (+ x i)) x)))
(defn b [n] (let loop ((i 0) (x 0.0)) (if (< i n) (loop (+ i 1) (+ x 0.5)) x)))
(defn twice [f] (+ (f 900) (f 900)))
(defn main [] (let loop ((k 0)) (if (< k 60) (begin (twice a) (b 200) (loop (+ k 1))) k)))";

struct Profiled {
    outcome: Outcome,
    fiber: Fiber,
    code: CodeSpace,
    profiler: Profiler,
}

impl Profiled {
    fn new(source: &str, every: Option<u64>, stops: u64) -> Profiled {
        let verified = load_program("p.jue", FileKind::Jue, source.as_bytes()).unwrap();
        let mut code = CodeSpace::default();
        let program = code.load(verified);
        let mut fiber = Fiber::new(&code, program, Limits::default());
        let mut profiler = Profiler::new(every);
        let mut left = stops;
        let outcome = profiler.run(&mut fiber, &code, &mut Solo::new(Vec::new()), || {
            left -= 1;
            left > 0
        });
        Profiled {
            outcome,
            fiber,
            code,
            profiler,
        }
    }

    fn report(&self) -> Report {
        self.profiler.report(&self.code)
    }
}

fn whole(source: &str) -> Profiled {
    Profiled::new(source, None, u64::MAX)
}

fn function<'a>(report: &'a Report, name: &str) -> &'a FunctionRow {
    let mut rows = report.functions.iter();
    rows.find(|row| row.place.function == name).unwrap()
}

#[test]
fn shares_are_those_of_the_work() {
    let profiled = whole(NINE_TO_ONE);
    let gas = profiled.fiber.gas_used();
    assert_eq!(profiled.profiler.total().gas, gas, "all gas is sampled");
    let report = profiled.report();
    let share = |gas_part: u64| gas_part as f64 / gas as f64;
    for (name, own, total) in [
        ("a", 0.9, 0.9),
        ("b", 0.1, 0.1),
        ("twice", 0.0, 0.9),
        ("main", 0.0, 1.0),
    ] {
        let row = function(&report, name);
        assert!((share(row.own.gas) - own).abs() < 0.02, "{row:?}");
        assert!((share(row.total.gas) - total).abs() < 0.02, "{row:?}");
    }
    assert_eq!(report.functions[0].place.function, "a", "the hottest first");
    assert_eq!(report.functions[0].place.line, Some(1));
}

#[test]
fn calls_and_kinds_are_known() {
    let report = whole(NINE_TO_ONE).report();
    for (name, calls) in [("a", 120), ("b", 60), ("twice", 60)] {
        let found = function(&report, name).calls;
        assert_eq!(found, calls, "{name}");
    }
    let kinds = |line: u32, mnemonic: &str| {
        let mut rows = report.instructions.iter();
        let row = rows.find(|row| {
            row.place.line == Some(line) && row.text.split(' ').next() == Some(mnemonic)
        });
        row.unwrap().seen.kinds
    };
    assert_eq!(kinds(1, "lt"), KindSet::of(&[Kind::Int]));
    assert_eq!(kinds(2, "lt"), KindSet::of(&[Kind::Int]));
    assert_eq!(report.loops[0].place.function, "a");
    let called = Profiled::new(NINE_TO_ONE, Some(1), 200_000).report();
    let target = called
        .instructions
        .iter()
        .find_map(|row| row.seen.target.clone());
    assert_eq!(target.as_deref(), Some("a (p.jue:1)"));
}

#[test]
fn gas_is_sampled_alike_in_every_run() {
    let [one, two] = [NINE_TO_ONE, NINE_TO_ONE].map(whole);
    assert_eq!(
        one.profiler.folded(&one.code),
        two.profiler.folded(&two.code)
    );
    let gas = |profiled: &Profiled| {
        let rows = profiled.report().instructions;
        let gas = rows.into_iter().map(|row| (row.text, row.weight.gas));
        gas.collect::<Vec<_>>()
    };
    assert_eq!(gas(&one), gas(&two));
}

#[test]
fn each_instruction_is_sampled_when_each_gas_is() {
    let source = "(defn f [] 1) (defn main [] (+ (f) (f)))";
    let profiled = Profiled::new(source, Some(1), u64::MAX);
    let report = profiled.report();
    // `f` loads a constant and returns it, twice.
    assert_eq!(function(&report, "f").own.gas, 4);
    assert_eq!(profiled.profiler.samples(), profiled.fiber.gas_used());
}

#[test]
fn a_dear_instruction_gets_its_own_work() {
    let source = "(defn main [] (let ((v (make-vector 500000 0))) (vector-length v)))";
    let report = whole(source).report();
    let hottest = &report.instructions[0];
    assert!(hottest.text.starts_with("make-vector"), "{hottest:?}");
}

#[test]
fn long_stacks_are_folded_without_their_middle() {
    let source =
        "(defn down [n] (if (< n 1) 0 (+ 1 (down (- n 1))))) (defn main [] (+ 1 (down 3000)))";
    let profiled = whole(source);
    let folded = profiled.profiler.folded(&profiled.code);
    assert!(folded.iter().any(|line| line.contains(";…;")));
    let mut gas = 0;
    for line in &folded {
        let (stack, of_stack) = line.rsplit_once(' ').unwrap();
        assert!(stack.starts_with("main"), "{line}");
        assert!(stack.split(';').count() <= 129, "{line}");
        gas += of_stack.parse::<u64>().unwrap();
    }
    assert_eq!(gas, profiled.fiber.gas_used());
    let row = function(&profiled.report(), "down").clone();
    assert!(row.total.gas <= gas, "recursion counts once: {row:?}");
}

#[test]
fn a_run_can_be_ended_and_keeps_its_profile() {
    let profiled = Profiled::new("(defn main [] (let loop () (loop)))", None, 100);
    assert_eq!(profiled.outcome, Outcome::Preempted);
    assert_eq!(profiled.profiler.samples(), 100);
    assert_eq!(profiled.report().functions[0].place.function, "main");
}

/// Runs `pw profile` on a source in a directory of its own.
fn pw(name: &str, source: &str, options: &[&str]) -> (PathBuf, Output) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("p.jue"), source).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pw"))
        .args(["profile", "p.jue"])
        .args(options)
        .current_dir(&folder)
        .output()
        .unwrap();
    (folder, output)
}

#[test]
fn the_command_shows_tables_and_draws_a_flame_graph() {
    let (folder, output) = pw(
        "whole",
        NINE_TO_ONE,
        &["--top", "2", "--folded", "p.folded"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with("60\ngas "), "{shown}");
    assert!(shown.contains("a (p.jue:1)"), "{shown}");
    assert!(shown.contains("flame graph: p.flame.svg"), "{shown}");
    let svg = std::fs::read_to_string(folder.join("p.flame.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("twice") && svg.contains("main"));
    let folded = std::fs::read_to_string(folder.join("p.folded")).unwrap();
    assert!(folded.lines().any(|line| line.starts_with("main;twice;a ")));
}

#[test]
fn a_program_that_fails_still_has_a_profile() {
    let source = "(defn a [n] (let loop ((i 0)) (if (< i n) (loop (+ i 1)) (car i))))
        (defn main [] (begin (print \"on stderr\") (+ 1 (a 10000))))";
    let (folder, output) = pw("failing", source, &["--json", "--no-flame"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(output.stderr, b"on stderr\n");
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["error"]["kind"], "TypeMismatch");
    let hottest = &shown["profile"]["functions"][0];
    assert_eq!(hottest["place"]["function"], "a");
    assert_eq!(shown["profile"]["total"]["gas"], shown["gas"]);
    assert!(shown["profile"]["flame"].is_null());
    assert!(!folder.join("p.flame.svg").exists());
}

#[test]
fn a_limit_ends_with_a_profile_too() {
    let (_, output) = pw("limited", NINE_TO_ONE, &["--gas", "5000", "--no-flame"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("a (p.jue:1)"), "{shown}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.starts_with("GasLimitExceeded"), "{complaint}");
}
