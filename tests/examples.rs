//! The examples do what their head comments say.
//!
//! A command at the head of an example stands behind `;   $ `; the lines behind it, up to an empty
//! comment line, are what it prints: stdout, then stderr.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A command line and its output.
struct Run {
    command: String,
    output: Vec<String>,
}

fn runs(source: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open = false;
    for line in source.lines().take_while(|line| line.starts_with(';')) {
        if let Some(command) = line.strip_prefix(";   $ ") {
            runs.push(Run {
                command: command.to_owned(),
                output: Vec::new(),
            });
            open = true;
            continue;
        }
        match line.strip_prefix(";   ") {
            Some(output) if open => {
                runs.last_mut()
                    .expect("it is open")
                    .output
                    .push(output.to_owned());
            }
            _ => open = false,
        }
    }
    runs
}

/// The words of a command line; double quotes keep spaces together.
fn words(command: &str) -> Vec<String> {
    let quoted = command.split('"').enumerate();
    quoted
        .flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

fn execute(command: &str) -> Vec<String> {
    let words = words(command);
    assert_eq!(words[0], "pw", "examples are run by pw: {command}");
    let run = Command::new(env!("CARGO_BIN_EXE_pw"))
        .args(&words[1..])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("pw can be started");
    let printed = [run.stdout, run.stderr].concat();
    String::from_utf8(printed)
        .expect("pw prints UTF-8")
        .lines()
        .map(str::to_owned)
        .collect()
}

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let entries = std::fs::read_dir(folder).expect("the examples can be read");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the examples can be read").path())
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|ending| ending == "jue" || ending == "pwa")
    });
    paths.sort();
    paths
}

#[test]
fn examples_print_what_they_say() {
    let mut wrong = Vec::new();
    for path in examples() {
        let source = std::fs::read_to_string(&path).expect("an example can be read");
        let runs = runs(&source);
        assert!(!runs.is_empty(), "{} tells no command", path.display());
        for Run { command, output } in runs {
            let found = execute(&command);
            if found != output {
                let (said, found) = (output.join("\n"), found.join("\n"));
                wrong.push(format!("$ {command}\n-- said\n{said}\n-- found\n{found}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_readme_embeds_a_world_as_the_example_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("it is there");
    let (readme, example) = (read("README.md"), read("examples/embed.rs"));
    let code = &example[example
        .find("use physics_world")
        .expect("it uses the crate")..];
    assert!(
        readme.contains(code.trim_end()),
        "copy examples/embed.rs into the README"
    );
}

#[test]
fn the_embeddings_run() {
    for (name, expected) in [
        (
            "embed",
            "-70 -> Int(50)\nactor 1 says refused: -80\n-80 -> Int(50)\n",
        ),
        (
            "service",
            "fib 15 = Int(610)\nfib 16 = Int(987)\nfib 17 = Int(1597)\n",
        ),
    ] {
        let run = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--example", name])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo can be started");
        let printed = String::from_utf8(run.stdout).expect("it prints text");
        assert!(printed.ends_with(expected), "{name} prints\n{printed}");
    }
}
