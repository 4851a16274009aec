//! `pw bench`, and `pw run` with memoisation and settings: what they print, and what they refuse.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

/// Loops, calls, a map and a pure function that is called again and again.
const PROGRAM: &str =
    "(defn twice [n] (let loop ((k 0) (s 0)) (if (< k 60) (loop (+ k 1) (+ s n)) s)))
(defn main []
  (let ((m (make-map)))
    (let loop ((i 0) (sum 0))
      (if (< i 3000)
          (begin (map-set! m 'last i) (loop (+ i 1) (+ sum (twice (mod i 7)))))
          (+ sum (map-get m 'last))))))";

fn pw(name: &str, arguments: &[&str]) -> Output {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join("bench")
        .join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("p.jue"), PROGRAM).unwrap();
    std::fs::write(folder.join("fails.jue"), "(defn main [] (car 5))").unwrap();
    std::fs::write(folder.join("slip.json"), r#"{"mem": 1}"#).unwrap();
    std::fs::write(
        folder.join("memo.json"),
        r#"{"jit": null, "memo": {"max_cache_size": 3}}"#,
    )
    .unwrap();
    Command::new(env!("CARGO_BIN_EXE_pw"))
        .args(arguments)
        .current_dir(&folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[test]
fn each_optimisation_is_left_out_in_its_turn() {
    let output = pw("all", &["bench", "p.jue", "--runs", "1"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let table = text(&output.stdout);
    for way in [
        "with everything",
        "inline",
        "hoist",
        "elide",
        "osr",
        "caches",
        "jit",
    ] {
        assert!(table.contains(way), "{table}");
    }
    assert!(!table.contains("memo"), "{table}");
    assert!(table.contains("gas "), "{table}");
}

#[test]
fn ways_are_chosen_and_told_as_json() {
    let arguments = [
        "bench",
        "--memo",
        "--without",
        "memo",
        "--without",
        "jit",
        "--runs",
        "2",
        "--json",
        "p.jue",
    ];
    let report = json(&pw("json", &arguments));
    assert_eq!(report["equal"], true, "{report}");
    assert_eq!(report["interrupted"], false);
    let ways = report["ways"].as_array().expect("ways");
    let names: Vec<_> = ways.iter().map(|way| way["without"].as_str()).collect();
    assert_eq!(names, [None, Some("memo"), Some("jit")]);
    for way in ways {
        assert_eq!(way["runs"], 2);
        assert!(
            way["cold_ms"].as_f64().is_some_and(|time| time > 0.0),
            "{way}"
        );
        assert!(
            way["warm_ratio"].as_f64().is_some_and(|ratio| ratio > 0.0),
            "{way}"
        );
    }
    assert_eq!(ways[0]["cold_ratio"], 1.0);
}

#[test]
fn a_program_that_fails_is_measured_too() {
    let output = pw(
        "fails",
        &["bench", "fails.jue", "--runs", "1", "--without", "jit"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text(&output.stdout).starts_with("TypeMismatch"),
        "{output:?}"
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_the_way_out() {
    let cases: [(&[&str], &str); 5] = [
        (&["bench", "p.jue", "--without", "memo"], "give both"),
        (
            &["bench", "p.jue", "--without", "speed"],
            "possible values: inline, hoist, elide, osr, caches, jit, memo",
        ),
        (&["bench", "p.jue", "--runs", "0"], "0 is not in 1.."),
        (
            &["run", "p.jue", "--memo", "--tier", "reference"],
            "faster tiers",
        ),
        (
            &["run", "p.jue", "--settings", "slip.json"],
            "unknown field `mem`",
        ),
    ];
    for (arguments, reason) in cases {
        let output = pw("refused", arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains(reason), "{output:?}");
    }
}

#[test]
fn a_run_with_memoisation_gives_the_same_and_tells_what_it_did() {
    let plain = json(&pw("memo", &["run", "p.jue", "--json"]));
    for more in [
        &["--memo"][..],
        &["--memo", "--tier", "interp"],
        &["--settings", "memo.json"],
    ] {
        let arguments = [&["run", "p.jue", "--json", "--stats"][..], more].concat();
        let found = json(&pw("memo", &arguments));
        assert_eq!(
            (&found["result"], &found["gas"]),
            (&plain["result"], &plain["gas"])
        );
        let memo = &found["stats"]["memo"];
        let count = |name: &str| {
            memo[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {memo}"))
        };
        assert_eq!(count("hits") + count("misses"), count("lookups"));
        if more[0] == "--memo" {
            assert!(count("hits") > 2_000, "{memo}");
            assert_eq!(count("results"), 7);
        } else {
            // Seven are wanted in turn, and three kept: none is there when it is needed again.
            assert_eq!(memo["switched_off"], serde_json::json!(["twice"]));
        }
    }
    let output = pw("memo", &["run", "p.jue", "--memo", "--stats"]);
    assert!(text(&output.stderr).contains("memo         "), "{output:?}");
    assert!(text(&output.stderr).contains("hits of"), "{output:?}");
}

/// Interrupts `pw bench` after a while; none when it had not begun to listen by then.
#[cfg(unix)]
fn interrupted_after(wait: Duration) -> Option<Output> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench/stop");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("p.jue"), PROGRAM).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pw"))
        .args(["bench", "p.jue", "--runs", "1000000", "--json"])
        .current_dir(&folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(wait);
    let number = child.id().to_string();
    let told = Command::new("kill").args(["-INT", &number]).status();
    assert!(told.unwrap().success());
    // Where the parent ignores such signals, one that comes too early is lost.
    for _ in 0..100 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    output.status.code().is_some().then_some(output)
}

#[cfg(unix)]
#[test]
fn an_interrupt_shows_what_was_measured_until_then() {
    let waits = [500, 1_000, 2_000, 4_000].map(Duration::from_millis);
    let output = waits.into_iter().find_map(interrupted_after);
    let output = output.expect("it listens after some seconds");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let report = json(&output);
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["equal"], true);
}
