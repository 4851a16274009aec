//! Reading input files, and saying what is wrong with them.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use physics_world::isa::verify::Verified;
use physics_world::json::text_json;
use physics_world::source::{BadInput, FileKind, load_program};

/// The exit code of a program that failed.
pub(crate) const PROGRAM_FAILED: u8 = 1;
/// The exit code of usage errors and bad input.
pub(crate) const BAD_INPUT: u8 = 2;
/// The exit code when a world has halted: a tick has ended too many processes, or it cannot go back by itself.
pub(crate) const WORLD_HALTED: u8 = 3;

/// The longest file that is read as a program.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The bytes of a file, and what it is.
pub(crate) fn read_file(path: &Path) -> Result<(FileKind, Vec<u8>), BadInput> {
    let name = path.display();
    let Some(kind) = FileKind::of(path) else {
        return Err(BadInput::new(format!(
            "{name}: its name must end in .jue, .pwa, .pwb or .v2.json"
        )));
    };
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| BadInput::new(format!("{name}: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(BadInput::new(format!(
            "{name}: longer than the {FILE_BYTES_MAX} bytes that a program may have"
        )));
    }
    Ok((kind, bytes))
}

/// A verified program from a file.
pub(crate) fn load(path: &Path) -> Result<Verified, BadInput> {
    let (kind, bytes) = read_file(path)?;
    load_program(&path.display().to_string(), kind, &bytes)
}

/// Reports bad input, as JSON on stdout or as text on stderr.
pub(crate) fn refuse(bad: &BadInput, json: bool) -> ExitCode {
    if json {
        let faults: Vec<String> = bad
            .faults
            .iter()
            .map(|fault| {
                let number =
                    |value: Option<u32>| value.map_or("null".to_owned(), |value| value.to_string());
                let message = text_json(&fault.message);
                let (line, column) = (number(fault.line), number(fault.column));
                format!("{{\"message\":{message},\"line\":{line},\"column\":{column}}}")
            })
            .collect();
        let message = text_json(&bad.report);
        let faults = faults.join(",");
        say(&format!(
            "{{\"error\":{{\"kind\":\"BadInput\",\"message\":{message},\"faults\":[{faults}]}},\"gas\":0}}\n"
        ));
    } else {
        note!("{}", bad.report.trim_end());
    }
    ExitCode::from(BAD_INPUT)
}

/// Writes to stdout. A reader that has gone away ends the process quietly; any other failure is said.
pub(crate) fn say(text: &str) {
    use std::io::{ErrorKind, Write, stdout};
    let mut out = stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        if error.kind() != ErrorKind::BrokenPipe {
            note!("stdout: {error}");
        }
        std::process::exit(i32::from(BAD_INPUT));
    }
}

/// Writes a file, or says why not.
pub(crate) fn write_file(path: &PathBuf, bytes: &[u8]) -> Result<(), BadInput> {
    std::fs::write(path, bytes)
        .map_err(|error| BadInput::new(format!("{}: {error}", path.display())))
}
