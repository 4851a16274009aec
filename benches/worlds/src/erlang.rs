//! The programs in Erlang, where `erl` is installed: run by it, and timed there.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::Case;

const SOURCE: &str = include_str!("../programs/worlds.erl");

/// The compiled programs, in a folder of their own.
pub(crate) struct Erlang {
    folder: PathBuf,
}

impl Erlang {
    /// Compiles the programs; nothing when there is no `erl`.
    pub(crate) fn new() -> Option<Erlang> {
        let folder = std::env::temp_dir().join(format!("pw-worlds-{}", std::process::id()));
        std::fs::create_dir_all(&folder).ok()?;
        let erlang = Erlang { folder };
        std::fs::write(erlang.folder.join("worlds.erl"), SOURCE).ok()?;
        let compile = "{ok, _} = compile:file(worlds), halt().";
        let compiled = erlang.command().args(["-eval", compile]).status();
        compiled.ok()?.success().then_some(erlang)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("erl");
        // A process is an actor; the limit is 262,144 otherwise.
        command
            .args(["-noshell", "+P", "4000000"])
            .current_dir(&self.folder);
        command
    }

    /// Times of a case, by Erlang's clock, so that its start does not count.
    pub(crate) fn times(&self, case: &Case, threads: usize, runs: usize) -> Vec<Duration> {
        let mut command = self.command();
        command.arg("+S").arg(threads.to_string());
        command.args(["-s", "worlds", "main", "-extra", case.name]);
        command.arg(runs.to_string());
        command.args(case.arguments.iter().map(i64::to_string));
        let output = command.output().expect("it ran before");
        let text = String::from_utf8_lossy(&output.stdout);
        let times = text
            .lines()
            .map(|line| line.parse().map(Duration::from_nanos));
        let times: Result<Vec<Duration>, _> = times.collect();
        let times = times.unwrap_or_default();
        assert_eq!(times.len(), runs, "{}: {text}", case.name);
        times
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        // What is left there is small, and the system's to remove.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
