//! Test programs as files: what they are, which cases they state, and writing expectations anew.
//! `tests/programs.rs` tells the format.

use std::path::{Path, PathBuf};

use physics_world::isa::Program;
use physics_world::jit::Limits;
use physics_world::source::{FileKind, read_program};

/// A test program with its cases.
pub(crate) struct ProgramFile {
    /// Its path below the folder, with `/`.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) source: String,
    /// The program, not yet verified.
    pub(crate) program: Program,
    /// The runs it asks for.
    pub(crate) cases: Vec<Case>,
}

/// One run and what is expected of it.
#[derive(Clone)]
pub(crate) struct Case {
    /// The arguments, as on a command line.
    pub(crate) arguments: Vec<String>,
    /// The limits.
    pub(crate) limits: Limits,
    /// The lines that must be observed, without their `;> `.
    pub(crate) expected: Vec<String>,
    /// The line of the file before which its expectations stand.
    line: usize,
}

/// All programs below a folder whose names contain `filter`, by name.
pub(crate) fn find(folder: &Path, filter: &str) -> Vec<ProgramFile> {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).expect("the folder of programs can be read");
        for entry in entries.map(|entry| entry.expect("the folder of programs can be read").path())
        {
            if entry.is_dir() {
                folders.push(entry);
            } else if matches!(
                FileKind::of(&entry),
                Some(FileKind::Jue | FileKind::Assembly)
            ) {
                paths.push(entry);
            }
        }
    }
    paths.sort();
    let files = paths.into_iter().map(|path| {
        let parts = path
            .strip_prefix(folder)
            .expect("it was found there")
            .iter();
        let name = parts
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join("/");
        (name, path)
    });
    files
        .filter(|(name, _)| name.contains(filter))
        .map(|(name, path)| read(name, path))
        .collect()
}

fn read(name: String, path: PathBuf) -> ProgramFile {
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let kind = FileKind::of(&path).expect("it was found by its kind");
    let program =
        read_program(&name, kind, source.as_bytes()).unwrap_or_else(|bad| panic!("{bad}"));
    let cases = cases(&name, &source);
    ProgramFile {
        name,
        path,
        source,
        program,
        cases,
    }
}

/// The cases that a head comment states.
fn cases(name: &str, source: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut current = Case {
        arguments: Vec::new(),
        limits: Limits::default(),
        expected: Vec::new(),
        line: 0,
    };
    let mut open = false;
    let head = source.lines().take_while(|line| line.starts_with(';'));
    for (index, line) in head.enumerate() {
        if let Some(directive) = line.strip_prefix(";!") {
            let (word, rest) = directive
                .trim()
                .split_once(' ')
                .unwrap_or((directive.trim(), ""));
            if word == "run" {
                let limits = if open {
                    Limits::default()
                } else {
                    current.limits
                };
                let case = Case {
                    arguments: words(rest),
                    limits,
                    expected: Vec::new(),
                    line: 0,
                };
                let before = std::mem::replace(&mut current, case);
                cases.extend(open.then_some(before));
                open = true;
            } else if !set_limit(&mut current.limits, word, rest) {
                panic!("{name}:{}: unknown directive `{word} {rest}`", index + 1);
            }
        } else if let Some(expected) = line.strip_prefix(";> ") {
            current.expected.push(expected.to_owned());
            continue;
        }
        current.line = index + 1;
    }
    cases.push(current);
    cases
}

fn set_limit(limits: &mut Limits, word: &str, number: &str) -> bool {
    let Ok(number) = number.trim().replace('_', "").parse::<u64>() else {
        return false;
    };
    match word {
        "gas-limit" => limits.gas = number,
        "memory-limit" => limits.memory_bytes = number,
        "depth-limit" => limits.depth = u32::try_from(number).expect("a depth has 32 bits"),
        _ => return false,
    }
    true
}

/// Words between spaces; quotes keep spaces together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

impl ProgramFile {
    /// Writes the file anew with these expectations, one list a case, if they differ.
    pub(crate) fn bless(&self, observed: &[Vec<String>]) {
        let mut out = String::new();
        let head = self
            .source
            .lines()
            .take_while(|line| line.starts_with(';'))
            .count();
        let blessed = |line: usize| -> String {
            let here = self
                .cases
                .iter()
                .zip(observed)
                .filter(|(case, _)| case.line == line);
            here.flat_map(|(_, lines)| lines)
                .map(|line| format!(";> {line}\n"))
                .collect()
        };
        out.push_str(&blessed(0));
        for (index, line) in self.source.lines().enumerate() {
            if index >= head || !line.starts_with(";> ") {
                out.push_str(line);
                out.push('\n');
            }
            if index < head {
                out.push_str(&blessed(index + 1));
            }
        }
        if out != self.source {
            std::fs::write(&self.path, out)
                .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
    }
}
