//! `pw top --once`: one look at a world, for machines and for people without a terminal.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

fn top(name: &str, source: &str, arguments: &[&str]) -> Output {
    let folder = std::env::temp_dir().join(format!("pw-top-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file: PathBuf = folder.join(name);
    std::fs::write(&file, source).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pw"));
    let output = command
        .arg("top")
        .args(arguments)
        .arg(&file)
        .arg("7")
        .output();
    std::fs::remove_file(&file).unwrap();
    output.unwrap()
}

const SOURCE: &str = "(defn spin [] (let loop ((i 0)) (loop (+ i 1))))
(defn main [n] (print \"began with\" n) (spawn spin) (receive))";

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn one_snapshot_after_so_many_ticks_is_json() {
    let output = top("json.jue", SOURCE, &["--once", "--json", "--ticks", "25"]);
    let world = json(&output);
    assert_eq!(world["running"], "paused");
    assert_eq!(world["ticks"], 25);
    assert_eq!(world["output"], serde_json::json!(["began with 7"]));
    assert_eq!(world["started"], 2);
    let actors = world["actors"].as_array().unwrap();
    assert_eq!(actors.len(), 2);
    let spin = actors
        .iter()
        .find(|actor| actor["function"] == "spin")
        .unwrap();
    assert_eq!(
        (&spin["doing"], &spin["parent"], &spin["line"]),
        (&"ready".into(), &1.into(), &1.into())
    );
    assert!(spin["gas"].as_u64().unwrap() > 1_000_000);
    // The same ticks are the same world.
    let again = json(&top(
        "again.jue",
        SOURCE,
        &["--once", "--json", "--ticks", "25"],
    ));
    assert_eq!(again["actors"], world["actors"]);
}

#[test]
fn a_world_that_ends_or_is_idle_is_shown_without_ticks() {
    let idle = "(defn main [n] (receive))";
    assert_eq!(
        json(&top("idle.jue", idle, &["--once", "--json"]))["running"],
        "idle"
    );
    let ends = "(defn main [n] (car n))";
    let ended = json(&top("ends.jue", ends, &["--once", "--json"]));
    assert_eq!(ended["running"], "ended");
    assert!(
        ended["end"].as_str().unwrap().contains("TypeMismatch"),
        "{ended}"
    );
    assert_eq!(ended["actors"], serde_json::json!([]));
}

#[test]
fn one_snapshot_is_a_screen_for_people() {
    let output = top("people.jue", SOURCE, &["--once", "--ticks", "5"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("tick 5") && text.contains("2 actors"),
        "{text}"
    );
    assert!(
        text.contains("waits for a message") && text.contains("began with 7"),
        "{text}"
    );
}

#[test]
fn without_a_terminal_or_with_a_bad_program_it_says_why_it_does_nothing() {
    let output = top("terminal.jue", SOURCE, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs a terminal"));
    let output = top("bad.jue", "(defn main [n] (", &["--once", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("BadInput"));
}

#[test]
fn actors_that_hibernate_are_counted() {
    let folder = std::env::temp_dir().join(format!("pw-top-asleep-{}", std::process::id()));
    let hibernate = folder.to_str().unwrap();
    // The hand goes over few actors after a tick: there are some ticks.
    let source = "(defn wait [] (receive))
        (defn pass [n] (if (> n 0) (begin (yield) (pass (- n 1))) nil))
        (defn main [n] (spawn wait) (spawn wait) (pass 9) (receive))";
    let options = ["--once", "--json", "--hibernate", hibernate];
    let arguments = [&options[..], &["--hibernate-after", "0"]].concat();
    let world = json(&top("asleep.jue", source, &arguments));
    assert_eq!(world["hibernation"]["hibernated"], 3, "{world}");
    assert!(world["hibernation"]["file_bytes"].as_u64().unwrap() > 100);
    let actors = world["actors"].as_array().unwrap();
    assert!(actors.iter().all(|actor| actor["held_bytes"] == 0));
    let awake = json(&top("awake.jue", source, &["--once", "--json"]));
    assert_eq!(awake["hibernation"], Value::Null);
    assert_eq!(awake["ticks"], world["ticks"]);
    // Nothing is left but the lock, and nothing else is touched.
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    let refused = top("refused.jue", source, &options);
    assert!(!refused.status.success());
    let said =
        String::from_utf8(refused.stdout).unwrap() + &String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("notes.txt"), "{said}");
    let names = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(names, 2);
    std::fs::remove_dir_all(&folder).unwrap();
}
