//! The commands about histories, as somebody would use them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const COUNTER: &str = "
(define (counter sum)
  (let ((message (receive)))
    (let ((now (+ sum (string->number message))))
      (print \"sum\" now)
      (reply now)
      (counter now))))
(define (main) (counter 0))
";

/// A directory of a test, empty.
fn directory(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It may be there from an earlier run.
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("counter.jue"), COUNTER).unwrap();
    directory
}

/// Runs `pw` in a directory with this on stdin.
fn pw(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pw"))
        .current_dir(directory)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A history in which 5, 7 and 1 were added.
fn begun(name: &str) -> PathBuf {
    let directory = directory(name);
    let run = ["run", "--durable", "history", "--feed", "counter.jue"];
    let output = pw(&directory, &run, "1 5\n2 7\n3 1\n");
    assert!(output.status.success(), "{}", stderr(&output));
    let mut lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.remove(0), "session 1");
    // What is printed and what is answered come in order, each.
    let (sums, answers): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.starts_with("sum"));
    assert_eq!(sums, ["sum 5", "sum 12", "sum 13"]);
    assert_eq!(answers, ["1 5", "2 12", "3 13"]);
    directory
}

#[test]
fn a_world_goes_on_where_it_ended_and_hears_nothing_twice() {
    let directory = begun("history-recover");
    let recover = ["recover", "history", "--feed", "--session", "1"];
    let output = pw(&directory, &recover, "3 1\n4 100\n");
    assert!(output.status.success());
    assert!(stderr(&output).contains("recovered"), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(
        text.contains("3 13\n") && text.contains("4 113\n"),
        "{text}"
    );
    assert_eq!(text.matches("sum").count(), 1, "{text}");
    let again = pw(
        &directory,
        &["run", "--durable", "history", "counter.jue"],
        "",
    );
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("pw recover"), "{}", stderr(&again));
    let output = pw(&directory, &["checkpoint", "history"], "");
    assert!(
        stdout(&output).starts_with("checkpoint of tick"),
        "{output:?}"
    );
}

#[test]
fn a_history_is_looked_into_and_done_again() {
    let directory = begun("history-replay");
    let text = stdout(&pw(&directory, &["inspect", "history"], ""));
    assert!(
        text.contains("waits for a message") && text.contains("1 actors"),
        "{text}"
    );
    let json = stdout(&pw(&directory, &["inspect", "--json", "history"], ""));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let last = json["last_tick"].as_u64().unwrap();
    assert_eq!(json["actors"][0]["messages"], 0);
    let text = stdout(&pw(&directory, &["replay", "--print", "history"], ""));
    assert!(text.starts_with("sum 5\nsum 12\nsum 13\n"), "{text}");
    let text = stdout(&pw(
        &directory,
        &["replay", "--step", "history"],
        "b\nn\ns 1\ng 0\na\nx\nq\n",
    ));
    assert!(
        text.contains(&format!("tick {} of 0 to {last}", last - 1)),
        "{text}"
    );
    assert!(
        text.contains("sum = ") && text.contains("tick 0 of"),
        "{text}"
    );
    let text = stdout(&pw(
        &directory,
        &["replay", "--to-actor", "1@20", "history"],
        "",
    ));
    assert!(
        text.starts_with("actor 1 in tick") && text.contains("counter"),
        "{text}"
    );
    let output = pw(
        &directory,
        &["replay", "--to-actor", "1@99999", "history"],
        "",
    );
    assert_eq!(output.status.code(), Some(2));
    let output = pw(&directory, &["replay", "--to", "9999", "history"], "");
    assert!(
        stderr(&output).contains("tick 9999 is not in it"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_bundle_and_a_fork_show_the_same_elsewhere() {
    let directory = begun("history-fork");
    let output = pw(
        &directory,
        &["bundle", "--from", "1", "--out", "part.pwbundle", "history"],
        "",
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&pw(&directory, &["replay", "part.pwbundle"], ""));
    assert!(text.contains("of 1 to "), "{text}");
    let output = pw(
        &directory,
        &["replay", "--against", "part.pwbundle", "history"],
        "",
    );
    assert!(output.status.success(), "{}", stdout(&output));
    let fork = [
        "fork",
        "--into",
        "other",
        "--capability",
        "io-console",
        "--feed",
        "--session",
        "1",
        "history",
    ];
    let output = pw(&directory, &fork, "4 50\n");
    let text = stdout(&output);
    assert!(
        text.contains("4 63") && !text.contains("sum"),
        "{text} {}",
        stderr(&output)
    );
    let output = pw(&directory, &["replay", "--against", "other", "history"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output).starts_with("they part at tick"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn what_is_no_history_is_refused_with_a_reason() {
    let directory = directory("history-none");
    for command in ["recover", "inspect", "replay", "fork", "checkpoint"] {
        let output = pw(&directory, &[command, "nothing"], "");
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(
            stderr(&output).contains("nothing: "),
            "{command}: {}",
            stderr(&output)
        );
    }
    std::fs::write(directory.join("junk"), "no bundle").unwrap();
    let output = pw(&directory, &["replay", "junk"], "");
    assert!(
        stderr(&output).contains("not a bundle"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_input_is_left_out_and_what_was_heard_because_of_it_is_told() {
    let directory = begun("history-rollback");
    let text = stdout(&pw(&directory, &["inspect", "--inputs", "history"], ""));
    let line = text
        .lines()
        .find(|line| line.ends_with("to actor 1: \"7\""));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    let number = number.unwrap_or_else(|| panic!("{text}"));
    let recover = ["recover", "history", "--feed", "--session", "1"];
    let without = [&recover[..], &["--without", number]].concat();
    let output = pw(&directory, &without, "3 1\n4 10\n");
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(
        told.contains("output 2 of actor 1 was heard: print sum 12; now it is: print sum 6")
            && told.contains("output 3 of actor 1 was heard: print sum 13; now there is none"),
        "{told}"
    );
    // The last question has its answer of now, and nothing was printed again.
    let text = stdout(&output);
    assert!(text.contains("3 6\n") && text.contains("4 16\n"), "{text}");
    assert_eq!(text.matches("sum").count(), 1, "{text}");
    let json = pw(
        &directory,
        &["inspect", "--inputs", "--json", "history"],
        "",
    );
    let json: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    let left_out = json["inputs"].as_array().unwrap().iter();
    let left_out: Vec<_> = left_out.filter(|of| of["left_out"] == true).collect();
    assert_eq!(left_out.len(), 1, "{json}");
    assert_eq!(json["rollbacks"][0]["conflict_count"], 2);
    let output = pw(&directory, &["recover", "history", "--without", "0"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("loads a program"), "{output:?}");
    // All of a session, from a tick on.
    let all = ["recover", "history", "--without-session", "1", "--feed"];
    let output = pw(&directory, &all, "1 2\n");
    assert!(stdout(&output).contains("1 2\n"), "{output:?}");
}

#[test]
fn a_stopped_world_goes_on_in_new_code() {
    let directory = begun("history-upgrade");
    let tenfold = COUNTER.replace(
        "(+ sum (string->number message))",
        "(+ sum (* 10 (string->number message)))",
    );
    std::fs::write(directory.join("tenfold.jue"), tenfold).unwrap();
    let upgrade = ["upgrade", "history", "counter.jue=tenfold.jue", "--json"];
    let output = pw(&directory, &upgrade, "");
    assert!(output.status.success(), "{}", stderr(&output));
    let json: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(
        (&json["upgraded"], &json["pending"]),
        (&1.into(), &serde_json::json!([]))
    );
    let recover = ["recover", "history", "--feed", "--session", "1"];
    let text = stdout(&pw(&directory, &recover, "4 2\n"));
    assert!(text.contains("4 33\n"), "{text}");
    // A function that is gone: its actor waits, and the reason is told.
    let sevenfold = "(+ sum (* 7 (string->number message)))";
    let other = COUNTER
        .replace("counter", "adder")
        .replace("(+ sum (string->number message))", sevenfold);
    std::fs::write(directory.join("other.jue"), other).unwrap();
    let output = pw(&directory, &["upgrade", "history", "1=other.jue"], "");
    let text = stdout(&output);
    assert!(
        text.contains("0 actors of program 1 to program 2"),
        "{text}"
    );
    assert!(text.contains("waits        actor 1:"), "{text}");
    // It is declared what has become of it.
    let map = r#"{"functions": [{"from": "counter", "to": "adder"}]}"#;
    std::fs::write(directory.join("map.json"), map).unwrap();
    let declared = [
        "upgrade",
        "history",
        "1=other.jue",
        "--declared",
        "map.json",
    ];
    let text = stdout(&pw(&directory, &declared, ""));
    assert!(
        text.contains("1 actors of program 1 to program 2"),
        "{text}"
    );
    let text = stdout(&pw(&directory, &recover, "5 1\n"));
    assert!(text.contains("5 40\n"), "{text}");
    for (programs, reason) in [
        ("9=other.jue", "9 is no program of it"),
        ("other.jue", "it has 2 other programs"),
        ("1=other.jue=", "must end in"),
        ("2=other.jue", "no upgrade of itself"),
    ] {
        let output = pw(&directory, &["upgrade", "history", programs], "");
        assert_eq!(output.status.code(), Some(2), "{programs}");
        assert!(stderr(&output).contains(reason), "{programs}: {output:?}");
    }
}

/// A counter that computes for ever when it is told 13.
const TOUCHY: &str = "
(define (spin n) (spin (+ n 1)))
(define (counter sum)
  (let ((n (string->number (receive))))
    (if (= n 13) (spin 0) nil)
    (print \"sum\" (+ sum n))
    (reply (+ sum n))
    (counter (+ sum n))))
(define (main) (counter 0))
";

#[test]
fn a_world_goes_back_by_itself_or_halts() {
    let directory = directory("history-goes-back");
    std::fs::write(directory.join("touchy.jue"), TOUCHY).unwrap();
    let thresholds = r#"{"window_ticks": 4, "runaway_gas": 100000}"#;
    std::fs::write(directory.join("thresholds.json"), thresholds).unwrap();
    let watched = [
        "--roll-back-on",
        "runaway-gas,divergence",
        "--thresholds",
        "thresholds.json",
        "--feed",
    ];
    let run = [
        &["run", "--durable", "history"],
        &watched[..],
        &["touchy.jue"],
    ]
    .concat();
    let output = pw(&directory, &run, "1 5\n2 13\n3 1\n");
    let told = stderr(&output);
    assert!(output.status.success(), "{told}");
    let by_itself = told.lines().find(|line| line.starts_with("by itself"));
    assert!(
        by_itself.unwrap().contains("runaway-gas of actor 1"),
        "{told}"
    );
    assert_eq!(told.matches("1 inputs left out").count(), 1, "{told}");
    assert!(stdout(&output).contains("sum 6\n"), "{output:?}");
    // Who says again what was left out is told, and what was not has its answer.
    let again = ["recover", "history", "--feed", "--session", "1"];
    let output = pw(&directory, &again, "3 1\n4 2\n");
    let text = stdout(&output);
    assert!(text.contains("3 6\n") && text.contains("4 8\n"), "{text}");
    let text = stdout(&pw(&directory, &["inspect", "history"], ""));
    assert!(
        text.contains("by itself    runaway-gas of actor 1"),
        "{text}"
    );
    // It has gone back as often as it may.
    let recover = [
        "recover",
        "history",
        "--session",
        "1",
        "--rollbacks-max",
        "1",
    ];
    let recover = [&recover[..], &watched].concat();
    let output = pw(&directory, &recover, "5 13\n");
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("gone back 1 times") && told.contains("pw recover --without"),
        "{told}"
    );
    // Somebody leaves it out.
    let text = stdout(&pw(&directory, &["inspect", "--inputs", "history"], ""));
    let line = text
        .lines()
        .find(|line| line.contains("number 5 of session 1"));
    let number: String = line
        .unwrap()
        .chars()
        .skip_while(|c| !c.is_numeric())
        .take_while(|c| c.is_numeric())
        .collect();
    let again = [
        "recover",
        "--without",
        &number,
        "history",
        "--feed",
        "--session",
        "1",
    ];
    let output = pw(&directory, &again, "6 1\n");
    assert!(stdout(&output).contains("6 9\n"), "{output:?} {number}");
    let output = pw(
        &directory,
        &["run", "--roll-back-on", "crash-loop", "touchy.jue"],
        "",
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--durable"));
    let output = pw(
        &directory,
        &["run", "--roll-back-on", "deopt-storm", "touchy.jue"],
        "",
    );
    assert!(stderr(&output).contains("native code comes and goes"));
}
