//! What `pw` does when nobody reads what it says.

use std::process::{Command, Stdio};

/// A program that fails.
const FAILS: &str = "(defn main [] (raise (list 1 2 3)))";

#[test]
fn a_program_that_fails_ends_alike_when_nobody_reads_why() {
    let file = std::env::temp_dir().join(format!("pw-streams-{}.jue", std::process::id()));
    std::fs::write(&file, FAILS).expect("room");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = Command::new(env!("CARGO_BIN_EXE_pw"))
        .arg("run")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(writer)
        .status();
    let ended = ended.expect("pw can be started");
    std::fs::remove_file(&file).expect("it is there");
    assert_eq!(ended.code(), Some(1));
}
