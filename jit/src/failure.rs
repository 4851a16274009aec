//! How a program failed, in full: what an embedder, `pw` and a supervisor get.

use std::fmt;

use pw_isa::ErrorKind;

use crate::code_space::CodeSpace;
use crate::fiber::FrameView;
use crate::fiber::parcel::Parcel;

/// An error that nobody caught.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its kind.
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
    /// The raised value, unless the error is a limit of the fiber itself.
    pub value: Option<Parcel>,
    /// Where it happened.
    pub place: Place,
    /// Gas used until then, the failing instruction included.
    pub gas: u64,
    /// The failing instruction in assembly text, and what its operands were.
    pub instruction: String,
    /// Names and values of the registers it read.
    pub operands: Vec<(String, String)>,
    /// The callers, innermost first. Only the first and last [`BACKTRACE_HALF`] of many.
    pub backtrace: Vec<Place>,
    /// Callers left out of the middle of the backtrace.
    pub backtrace_omitted: u64,
}

/// How many frames of a long backtrace are kept at each end.
pub const BACKTRACE_HALF: usize = 25;

/// A place in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function's name.
    pub function: String,
    /// The instruction.
    pub pc: u32,
    /// The source file, if known.
    pub file: Option<String>,
    /// The source line, if known.
    pub line: Option<u32>,
}

impl Place {
    /// Where a frame stands.
    pub fn of(code: &CodeSpace, frame: &FrameView) -> Place {
        let program = code.program(frame.program).program();
        let file = &program.debug.file;
        let line = program.line_at(frame.function, frame.pc);
        Place {
            function: program.function_name(frame.function),
            pc: frame.pc,
            // Code without lines is not the file's, but of a library that was linked in.
            file: (!file.is_empty() && line.is_some()).then(|| file.clone()),
            line,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({file}:{line})"),
            (_, Some(line)) => write!(f, " (line {line}, pc {})", self.pc),
            _ => write!(f, " (pc {})", self.pc),
        }
    }
}

impl Failure {
    /// The innermost place whose source line is known: the failing instruction's own, or that of the
    /// call that led into a library function.
    pub fn source_place(&self) -> Option<&Place> {
        std::iter::once(&self.place)
            .chain(&self.backtrace)
            .find(|place| place.line.is_some())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.kind.name(), self.message)?;
        write!(f, "  in {}", self.place)?;
        if !self.operands.is_empty() {
            write!(f, "\n  at `{}` with", self.instruction)?;
            for (name, value) in &self.operands {
                write!(f, " {name} = {value}")?;
            }
        }
        for (index, place) in self.backtrace.iter().enumerate() {
            if index == BACKTRACE_HALF && self.backtrace_omitted > 0 {
                write!(f, "\n  … {} more calls", self.backtrace_omitted)?;
            }
            write!(f, "\n  called from {place}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
