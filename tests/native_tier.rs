//! Native code on the command line: what `pw run`, `pw compare` and `pw explain` say about it.

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;

/// A hot loop over Ints, one over Floats, and a function that runs once.
const HOT: &str =
    "(defn sum [n zero step] (let loop ((i 0) (x zero)) (if (< i n) (loop (+ i 1) (+ x step)) x)))
(defn once [] 3)
(defn main [] (begin (print (sum 60000 0 2)) (print (sum 60000 0.0 0.5)) (once)))";

/// Constants of all kinds, maps, closures, cells, pairs, vectors, texts, and calls of calls.
const MIXED: &str = r#"(define names '(a b "c" 2.5))
(define total 0)
(defn adder [n] (lambda (x) (+ x n)))
(defn length-of [l] (let loop ((l l) (n 0)) (if (nil? l) n (loop (cdr l) (+ n 1)))))
(defn tell [m k v] (begin (map-set! m 'last v) (map-set! m "text" k) (map-get m 'last)))
(defn main []
  (let ((m (make-map)) (v (make-vector 8 0)) (f (adder 3)) (x 0.5))
    (let loop ((i 0) (sum 0))
      (if (< i 4000)
          (begin
            (set! total (+ total 1))
            (set! x (* 1.0001 x))
            (vector-set! v (mod i 8) (f i))
            (loop (+ i 1) (+ sum (+ (tell m "k" i) (+ (length-of names) (vector-ref v (mod i 8)))))))
          (cons sum (cons total (string-append "x" (map-get m "text"))))))))"#;

/// A loop that adds Ints, then Floats, then both, and is never left for long enough to see all of itself.
const CHANGING: &str = "(defn sum [v]
  (let loop ((i 0) (s 0))
    (if (= i (vector-length v)) s (loop (+ i 1) (+ s (vector-ref v i))))))
(defn main []
  (let ((a (make-vector 300 1)) (b (make-vector 300 0.5)) (c (make-vector 300 nil)))
    (let fill ((i 0))
      (when (< i 300) (vector-set! c i (if (= 0 (mod i 2)) i 0.25)) (fill (+ i 1))))
    (let loop ((r 0) (t 0))
      (if (= r 900)
          t
          (loop (+ r 1) (+ t (cond ((< r 300) (sum a)) ((< r 600) (sum b)) (else (sum c)))))))))";

/// Runs `pw` on a source in a directory of its own.
fn pw(name: &str, source: &str, arguments: &[&str]) -> (PathBuf, Output) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("native")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("p.jue"), source).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pw"))
        .args(arguments)
        .current_dir(&folder)
        .env("TMPDIR", &folder)
        .output()
        .unwrap();
    (folder, output)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn every_tier_gives_the_same() {
    let results = ["reference", "interp", "auto", "jit"].map(|tier| {
        let (_, output) = pw("tiers", HOT, &["run", "p.jue", "--tier", tier, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(text(&output.stderr), "120000\n30000.0\n");
        json(&output)
    });
    assert!(
        results.iter().all(|result| *result == results[0]),
        "{results:?}"
    );
    let (_, default) = pw("tiers", HOT, &["run", "p.jue", "--json", "--stats"]);
    assert!(
        json(&default)["stats"]["native"].is_object(),
        "auto is the default"
    );
}

#[test]
fn statistics_tell_what_the_native_tier_did() {
    let (_, output) = pw(
        "stats",
        HOT,
        &["run", "p.jue", "--tier", "jit", "--stats", "--json"],
    );
    let stats = &json(&output)["stats"];
    let native = &stats["native"];
    assert!(native["compiled"].as_u64() >= Some(1), "{native}");
    assert_eq!(native["failed"], 0);
    assert_eq!(native["evicted"], 0);
    assert!(native["code_bytes"].as_u64() >= Some(4096), "{native}");
    assert!(native["entries"].as_u64() >= Some(1), "{native}");
    let exits = native["exits"].as_object().unwrap();
    assert!(
        exits.contains_key("kind") || exits.contains_key("unseen"),
        "{native}"
    );
    for part in ["compile_ms", "native_ms", "interpreter_ms"] {
        assert!(native[part].as_f64() > Some(0.0), "{part}: {native}");
        assert!(
            native[part].as_f64() <= stats["time_ms"].as_f64(),
            "{part}: {stats}"
        );
    }
    let (_, output) = pw("stats", HOT, &["run", "p.jue", "--tier", "jit", "--stats"]);
    let said = text(&output.stderr);
    for line in [
        "interpreter  ",
        "native       ",
        "compiled     ",
        "exits        ",
    ] {
        assert!(said.lines().any(|said| said.starts_with(line)), "{said}");
    }
    let (_, output) = pw(
        "stats",
        HOT,
        &["run", "p.jue", "--tier", "interp", "--stats"],
    );
    assert!(!text(&output.stderr).contains("native"), "{output:?}");
}

#[test]
fn a_program_that_changes_its_kinds_comes_to_rest() {
    let arguments = ["run", "p.jue", "--tier", "jit", "--stats", "--json"];
    let (_, output) = pw("changing", CHANGING, &arguments);
    let shown = json(&output);
    assert_eq!(shown["result"]["Float"], 6_851_250.0, "{shown}");
    let exits = shown["stats"]["native"]["exits"].as_object().unwrap();
    let all: u64 = exits.values().filter_map(Json::as_u64).sum();
    assert!(all < 60, "{shown}");
}

#[test]
fn the_log_has_a_line_for_each_compilation() {
    let (_, output) = pw(
        "log",
        HOT,
        &["run", "p.jue", "--tier", "jit", "--jit-log", "--stats"],
    );
    let said = text(&output.stderr);
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("jit: "))
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("jit: compiled sum: ")),
        "{said}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("jit: recompiling sum: left #")),
        "{said}"
    );
    let compiled = lines
        .iter()
        .filter(|line| line.starts_with("jit: compiled "))
        .count();
    assert!(
        said.contains(&format!("compiled     {compiled} functions")),
        "{said}"
    );
}

#[test]
fn options_about_native_code_need_some() {
    let (_, output) = pw(
        "options",
        HOT,
        &["run", "p.jue", "--tier", "interp", "--jit-log"],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("--tier auto or jit"),
        "{output:?}"
    );
}

#[test]
fn perf_is_told_names() {
    let (folder, output) = pw(
        "perf",
        HOT,
        &["run", "p.jue", "--tier", "jit", "--perf", "map"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let maps: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "map"))
        .collect();
    let map: String = maps
        .iter()
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let line = map
        .lines()
        .find(|line| line.ends_with(" pw:sum"))
        .expect(&map);
    let numbers: Vec<u64> = line
        .split(' ')
        .take(2)
        .map(|number| u64::from_str_radix(number, 16).unwrap())
        .collect();
    assert!(numbers[0].is_multiple_of(4096) && numbers[1] > 16, "{line}");
    for map in maps {
        std::fs::remove_file(map).unwrap();
    }
}

#[test]
fn perf_is_told_code() {
    let options = ["run", "p.jue", "--tier", "jit", "--perf", "jitdump"];
    let (folder, output) = pw("perf-dump", HOT, &options);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let is_dump = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "dump")
    };
    let dumps: Vec<_> = files(&folder)
        .into_iter()
        .filter(|(path, _)| is_dump(path))
        .collect();
    assert!(!dumps.is_empty());
    for (path, bytes) in dumps {
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let mut at = number(8);
        let mut names = Vec::new();
        while at < bytes.len() {
            let end = at + number(at + 4);
            let name = &bytes[at + 56..end];
            names.push(name[..name.iter().position(|byte| *byte == 0).unwrap()].to_vec());
            at = end;
        }
        assert_eq!(at, bytes.len());
        assert!(names.contains(&b"pw:sum".to_vec()), "{names:?}");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn compare_shows_both_tiers() {
    let (_, output) = pw("compare", HOT, &["compare", "p.jue", "--runs", "3"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.starts_with("3\n"), "{shown}");
    assert!(
        shown.contains("  interpreter") && shown.contains("  native"),
        "{shown}"
    );
    let (_, output) = pw(
        "compare",
        HOT,
        &["compare", "p.jue", "--runs", "1", "--json"],
    );
    let shown = json(&output);
    assert_eq!(shown["outcome"], "3");
    assert_eq!(shown["equal"], true);
    assert_eq!(shown["runs"], 1);
    assert!(shown["different"].is_null());
    let ratio = shown["native_ms"].as_f64().unwrap() / shown["interpreter_ms"].as_f64().unwrap();
    assert!(
        (shown["ratio"].as_f64().unwrap() / ratio - 1.0).abs() < 1e-6,
        "{shown}"
    );
}

#[test]
fn compare_takes_failures_and_refuses_what_is_no_program() {
    let failing = "(defn main [] (let loop ((i 0)) (if (< i 5000) (loop (+ i 1)) (car i))))";
    let (_, output) = pw("failing", failing, &["compare", "p.jue", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let outcome = json(&output)["outcome"].to_string();
    assert!(outcome.contains("TypeMismatch"), "{outcome}");
    let (_, output) = pw("failing", failing, &["compare", "missing.jue"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).starts_with("missing.jue: "),
        "{output:?}"
    );
}

#[test]
fn explain_shows_what_was_seen_and_made() {
    let (_, output) = pw("explain", HOT, &["explain", "p.jue", "sum"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.starts_with("sum (p.jue:1)\ninstructions "), "{shown}");
    assert!(
        shown.contains("int|float") && shown.contains("Ints"),
        "{shown}"
    );
    assert!(!shown.contains("block0"), "{shown}");
    let (_, output) = pw(
        "explain",
        HOT,
        &["explain", "p.jue", "sum", "--clif", "--asm", "--exits"],
    );
    let shown = text(&output.stdout);
    assert!(shown.contains("function u0:"), "{shown}");
    assert!(shown.contains("  exits  pc  reason"), "{shown}");
    assert!(shown.contains("ret"), "{shown}");
}

#[test]
fn explain_as_json_has_everything() {
    let (_, output) = pw("explain-json", HOT, &["explain", "p.jue", "sum", "--json"]);
    let shown = json(&output);
    assert_eq!(shown["function"], "sum");
    assert_eq!(shown["outcome"], "done");
    assert_eq!(shown["is_native"], true);
    assert!(shown["error"].is_null());
    let instructions = shown["instructions"].as_array().unwrap();
    assert!(
        instructions.iter().any(|row| row["plan"] == "Ints"),
        "{shown}"
    );
    assert!(instructions.iter().all(|row| row["text"].is_string()));
    assert!(!shown["exits"].as_array().unwrap().is_empty());
    assert!(shown["clif"].as_str().unwrap().contains("block0"));
    assert!(shown["asm"].as_str().unwrap().contains("ret"));
    let (_, output) = pw("explain-json", HOT, &["explain", "p.jue", "once", "--json"]);
    assert_eq!(json(&output)["is_native"], false);
}

#[test]
fn explain_says_which_functions_there_are() {
    let (_, output) = pw("missing", HOT, &["explain", "p.jue", "som"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("no function is called som; there are: ") && said.contains("sum"),
        "{said}"
    );
}

/// Statistics of a run with a directory of kept code, and what it says on stderr.
fn run_with_cache(name: &str, source: &str, directory: &str) -> (PathBuf, Json, String) {
    let tier = ["run", "p.jue", "--tier", "jit", "--json", "--stats"];
    let options = [&tier[..], &["--code-cache", directory]].concat();
    let (folder, output) = pw(name, source, &options);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut shown = json(&output);
    let native = shown["stats"]["native"].take();
    let (_, expected) = pw(
        name,
        source,
        &["run", "p.jue", "--tier", "interp", "--json"],
    );
    assert_eq!(shown["result"], json(&expected)["result"]);
    assert_eq!(shown["gas"], json(&expected)["gas"]);
    (
        folder.join(directory),
        native,
        text(&output.stderr).to_owned(),
    )
}

/// The files of a directory with what they hold, by name.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// A directory that is not there yet.
fn afresh(name: &str, directory: &str) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("native")
        .join(name);
    if folder.join(directory).exists() {
        std::fs::remove_dir_all(folder.join(directory)).unwrap();
    }
}

#[test]
fn a_second_run_compiles_nothing() {
    for (name, source) in [("cache", HOT), ("cache-mixed", MIXED)] {
        afresh(name, "kept");
        afresh(name, "again");
        let (directory, first, said) = run_with_cache(name, source, "kept");
        assert!(first["compiled"].as_u64() > Some(1), "{first}");
        assert_eq!(first["loaded"], 0);
        assert_eq!(first["failed"], 0);
        assert!(!said.contains("code cache"), "{said}");
        let (_, second, said) = run_with_cache(name, source, "kept");
        assert_eq!(second["compiled"], 0, "{second}");
        assert_eq!(second["loaded"], first["compiled"]);
        assert_eq!(second["exits"], first["exits"], "it is the same code");
        assert!(!said.contains("code cache"), "{said}");
        // Another process, at other addresses, makes the same bytes: there is no address in them.
        let (again, ..) = run_with_cache(name, source, "again");
        let contents = |directory: &Path| -> Vec<Vec<u8>> {
            let files = files(directory).into_iter();
            files.map(|(_, bytes)| bytes).collect()
        };
        assert_eq!(contents(&directory), contents(&again));
    }
}

#[test]
fn damaged_and_foreign_files_are_not_used() {
    let name = "damaged-cache";
    afresh(name, "kept");
    let (directory, first, _) = run_with_cache(name, HOT, "kept");
    let kept = files(&directory);
    let compiled = first["compiled"].as_u64().unwrap();
    assert_eq!(kept.len() as u64, compiled);
    std::fs::write(directory.join("notes.txt"), "somebody else's").unwrap();
    let (victim, whole) = &kept[0];
    let (_, of_another) = &kept[1];
    let flipped = |place: usize| {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x40;
        bytes
    };
    let mut damaged = vec![
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        of_another.clone(),
        vec![0xcc; 5000],
    ];
    damaged.extend((0..whole.len()).step_by(whole.len() / 12).map(flipped));
    for bytes in damaged {
        std::fs::write(victim, &bytes).unwrap();
        let (_, native, said) = run_with_cache(name, HOT, "kept");
        assert_eq!(native["compiled"], 1, "{native}");
        assert_eq!(native["loaded"], compiled - 1);
        let warnings: Vec<&str> = said
            .lines()
            .filter(|line| line.starts_with("code cache: "))
            .collect();
        assert_eq!(warnings.len(), 1, "{said}");
        assert!(warnings[0].contains(".pwc: ignored, for it is "), "{said}");
        assert_eq!(&std::fs::read(victim).unwrap(), whole, "it is written anew");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_bad_input() {
    let (_, output) = pw(
        "no-cache",
        HOT,
        &["run", "p.jue", "--code-cache", "p.jue/kept"],
    );
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        text(&output.stderr).starts_with("--code-cache: p.jue/kept: "),
        "{output:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_directory_of_somebody_else_is_not_used_and_it_is_said() {
    let name = "foreign-cache";
    afresh(name, "kept");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("native")
        .join(name);
    let directory = folder.join("kept");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
    // Who may not give a directory away finds one that belongs to somebody else.
    let given = std::os::unix::fs::chown(&directory, Some(12_345), None).is_ok();
    let foreign = if given {
        directory
    } else {
        PathBuf::from("/usr")
    };
    let option = foreign.to_str().unwrap();
    let (_, output) = pw(name, HOT, &["run", "p.jue", "--code-cache", option]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = text(&output.stderr);
    assert!(
        said.contains("it belongs to user") && said.contains("mode 0700"),
        "{said}"
    );
    if given {
        assert!(files(&foreign).is_empty(), "nothing is put there");
    }
}
