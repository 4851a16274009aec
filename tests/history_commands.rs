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
