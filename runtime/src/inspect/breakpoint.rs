//! Which instructions a breakpoint means.

use pw_jit::CodeSpace;

use super::InterventionError;
use crate::portable::portable;

/// Where an actor is to be stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Breakpoint {
    /// Where a function of this name is entered.
    Function(String),
    /// Before the first instruction of a line, each time it is reached.
    Line {
        /// The file's name, or the end of its path.
        file: String,
        /// The line, from 1.
        line: u32,
    },
}

impl std::fmt::Display for Breakpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Breakpoint::Function(name) => write!(f, "{name}"),
            Breakpoint::Line { file, line } => write!(f, "{file}:{line}"),
        }
    }
}

/// A breakpoint with its instructions: program, function and pc.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PlacedBreakpoint {
    pub(super) breakpoint: Breakpoint,
    places: Vec<(u32, u32, u32)>,
}

impl PlacedBreakpoint {
    /// Finds the instructions in the programs that are loaded now.
    pub(super) fn new(
        code: &CodeSpace,
        breakpoint: Breakpoint,
    ) -> Result<PlacedBreakpoint, InterventionError> {
        let mut places = Vec::new();
        for program in 0..code.len() {
            let of_program = code.program(program).program();
            for function in 0..of_program.functions.len() as u32 {
                let pcs = match &breakpoint {
                    Breakpoint::Function(name) if of_program.function_name(function) == *name => {
                        vec![0]
                    }
                    Breakpoint::Line { file, line } if is_file(&of_program.debug.file, file) => {
                        let debug = of_program.debug_of(function);
                        debug.map_or(Vec::new(), |debug| beginnings(&debug.lines, *line))
                    }
                    _ => Vec::new(),
                };
                places.extend(pcs.into_iter().map(|pc| (program, function, pc)));
            }
        }
        if places.is_empty() {
            return Err(InterventionError::NoPlace(breakpoint));
        }
        Ok(PlacedBreakpoint { breakpoint, places })
    }

    /// Whether it is at this instruction.
    pub(super) fn is_at(&self, position: (u32, u32, u32)) -> bool {
        self.places.contains(&position)
    }
}

/// Whether a path is this file, or ends with it.
fn is_file(path: &str, file: &str) -> bool {
    let before = path.strip_suffix(file);
    before.is_some_and(|before| !file.is_empty() && (before.is_empty() || before.ends_with('/')))
}

/// The instructions at which a line begins, in a table of lines by rising pc.
fn beginnings(lines: &[(u32, u32)], line: u32) -> Vec<u32> {
    let before = std::iter::once(None).chain(lines.iter().map(|(_, line)| Some(*line)));
    let begin = lines.iter().zip(before);
    let begin = begin.filter(|((_, of), before)| *of == line && *before != Some(line));
    begin.map(|((pc, _), _)| *pc).collect()
}

portable!(enum Breakpoint { 0 => Function(name), 1 => Line { file, line } });
portable!(struct PlacedBreakpoint { breakpoint, places });

#[cfg(test)]
mod tests {
    use super::{beginnings, is_file};

    #[test]
    fn a_line_begins_where_another_was_before() {
        let lines = [(0, 3), (2, 4), (5, 4), (6, 3), (9, 4)];
        assert_eq!(beginnings(&lines, 4), [2, 9]);
        assert_eq!(beginnings(&lines, 3), [0, 6]);
        assert_eq!(beginnings(&lines, 5), [0; 0]);
    }

    #[test]
    fn a_file_is_named_by_the_end_of_its_path() {
        assert!(is_file("a/b.jue", "b.jue"));
        assert!(is_file("a/b.jue", "a/b.jue"));
        assert!(!is_file("a/bb.jue", "b.jue"));
        assert!(!is_file("a/b.jue", ""));
    }
}
