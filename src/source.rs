//! Programs from files: Jue source, assembly text, program files.

use std::fmt;
use std::path::Path;

use pw_isa::verify::{Verified, verify};
use pw_isa::{Program, codec, text};
use pw_runtime::World;
use pw_runtime::world::ProgramId;

/// What a file is, by its ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileKind {
    /// `.jue`: source.
    Jue,
    /// `.pwa`: assembly text.
    Assembly,
    /// `.pwb`: a program file.
    Program,
    /// `.v2.json`: a V2 vector.
    V2Vector,
}

impl FileKind {
    /// The kind of a file by its name.
    pub fn of(path: &Path) -> Option<FileKind> {
        let name = path.file_name()?.to_str()?;
        [
            (".jue", FileKind::Jue),
            (".pwa", FileKind::Assembly),
            (".pwb", FileKind::Program),
            (".v2.json", FileKind::V2Vector),
        ]
        .into_iter()
        .find_map(|(ending, kind)| name.ends_with(ending).then_some(kind))
    }
}

/// One fault of an input.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

/// Why an input was refused: every fault, and the text to show people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadInput {
    /// The faults.
    pub faults: Vec<Fault>,
    /// The whole report.
    pub report: String,
}

impl BadInput {
    /// One fault without a place.
    pub fn new(message: impl Into<String>) -> BadInput {
        let message = message.into();
        BadInput {
            report: message.clone(),
            faults: vec![Fault {
                message,
                ..Fault::default()
            }],
        }
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report)
    }
}

impl std::error::Error for BadInput {}

/// Reads a program from the bytes of a file of a known kind; it is not yet verified. `name` appears
/// in messages.
///
/// # Errors
/// All faults of the input.
pub fn read_program(name: &str, kind: FileKind, bytes: &[u8]) -> Result<Program, BadInput> {
    match kind {
        FileKind::Program => {
            codec::decode(bytes).map_err(|error| BadInput::new(format!("{name}: {error}")))
        }
        FileKind::Assembly => read_assembly(name, utf8(name, bytes)?),
        FileKind::Jue => read_jue(name, utf8(name, bytes)?),
        FileKind::V2Vector => Err(BadInput::new(format!(
            "{name}: a V2 vector is run, not loaded"
        ))),
    }
}

/// Reads and verifies a program.
///
/// # Errors
/// All faults of the input, or the verifier's first.
pub fn load_program(name: &str, kind: FileKind, bytes: &[u8]) -> Result<Verified, BadInput> {
    let program = read_program(name, kind, bytes)?;
    verify(program).map_err(|error| BadInput {
        report: format!("{name}: {error}"),
        faults: vec![Fault {
            message: error.to_string(),
            line: error.line,
            column: None,
        }],
    })
}

/// Loads Jue source into a world. `name` appears in messages.
///
/// # Errors
/// All faults of the source.
pub fn load_jue(world: &mut World, name: &str, source: &str) -> Result<ProgramId, BadInput> {
    Ok(world.load(load_program(name, FileKind::Jue, source.as_bytes())?))
}

fn utf8<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, BadInput> {
    std::str::from_utf8(bytes).map_err(|error| {
        BadInput::new(format!("{name}: not UTF-8 at byte {}", error.valid_up_to()))
    })
}

fn read_assembly(name: &str, source: &str) -> Result<Program, BadInput> {
    let mut program = text::parse(source).map_err(|errors| {
        let faults: Vec<Fault> = errors
            .0
            .iter()
            .map(|error| Fault {
                message: format!("expected {}, found {}", error.expected, error.found),
                line: Some(error.line),
                column: Some(error.column),
            })
            .collect();
        let lines: Vec<String> = errors
            .0
            .iter()
            .map(|error| format!("{name}: {error}"))
            .collect();
        BadInput {
            faults,
            report: lines.join("\n"),
        }
    })?;
    if program.debug.file.is_empty() {
        program.debug.file = name.to_owned();
    }
    Ok(program)
}

fn read_jue(name: &str, source: &str) -> Result<Program, BadInput> {
    crate::lang::compile(name, source).map_err(|diagnostics| BadInput {
        faults: diagnostics
            .errors()
            .iter()
            .map(|error| Fault {
                message: error.message().to_owned(),
                line: Some(error.line()),
                column: Some(error.column()),
            })
            .collect(),
        report: diagnostics.to_string(),
    })
}
