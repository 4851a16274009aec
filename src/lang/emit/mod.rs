//! From the intermediate form to instructions.
//!
//! Registers are given out like a stack: variables and operands in the order in which they come into
//! being, the window of a call on top. A call leaves everything above its window dead, and nothing
//! that is still needed is ever above it.
//!
//! | file | what it holds |
//! |---|---|
//! | `code` | one function: registers, labels, variables |
//! | `expr` | expressions |
//! | `block` | statements, functions that become values, joins |
//! | `call` | calls and jumps |
//! | `condition` | tests |
//! | `operation` | built-in operations |
//! | `constant` | literals |

mod block;
mod call;
mod code;
mod condition;
mod constant;
mod expr;
mod operation;

use pw_isa::Program;
use pw_isa::builder::ProgramBuilder;
use pw_isa::verify::limits;

use super::analyze::Analysis;
use super::diagnostic::Problems;
use super::ir::{FunctionId, Known, Module};
use super::source::{Source, Span};
use super::tree::Tree;
use code::Code;

/// What emitting a function reads.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) module: &'a Module,
    pub(super) analysis: &'a Analysis,
    pub(super) tree: &'a Tree,
    pub(super) source: &'a Source,
}

/// The numbers that functions and globals have in the program.
struct Linker {
    program: ProgramBuilder,
    numbers: Vec<Option<u32>>,
    queue: Vec<FunctionId>,
    globals: Vec<Option<u32>>,
}

impl Linker {
    /// The number of a function in the program; it is emitted later.
    fn function(&mut self, function: FunctionId) -> u32 {
        if let Some(number) = self.numbers[function.index()] {
            return number;
        }
        let number = self.program.declare();
        self.numbers[function.index()] = Some(number);
        self.queue.push(function);
        number
    }
}

/// Emits a program. What is too large for one goes to `problems`.
pub(super) fn emit(context: Context<'_>, problems: &mut Problems) -> Option<Program> {
    let module = context.module;
    let mut linker = Linker {
        program: ProgramBuilder::new(),
        numbers: vec![None; module.functions.len()],
        queue: Vec::new(),
        globals: vec![None; module.globals.len()],
    };
    for (global, number) in module.globals.iter().zip(&mut linker.globals) {
        if global.fixed().is_none() {
            *number = Some(linker.program.global(context.tree.names.text(global.name)));
        }
    }
    let entry = linker.function(FunctionId(0));
    for global in &module.globals {
        // All functions of the file are there for whoever looks for one by its name.
        if let Some(Known::Function(function)) = global.fixed() {
            linker.function(*function);
        }
    }
    linker.queue.reverse();
    // Emitted in the order of their numbers, but for the ones found on the way.
    while let Some(function) = linker.queue.pop() {
        let code = Code::emit_function(context, &mut linker, function);
        if let Some((span, reason)) = code.failure {
            problems.report(span, reason, "expected a smaller function");
        }
        let number = linker.function(function);
        linker.program.define(number, code.builder);
    }
    if !problems.is_empty() {
        return None;
    }
    let program = linker.program.finish(context.source.name(), entry);
    report_excess(&program, &linker.numbers, module, problems);
    Some(program)
}

/// Reports what the verifier would refuse for its size.
fn report_excess(
    program: &Program,
    numbers: &[Option<u32>],
    module: &Module,
    problems: &mut Problems,
) {
    let mut live_words = 0_usize;
    let mut largest = (0_usize, Span::default());
    for (declared, number) in module.functions.iter().zip(numbers) {
        let Some(function) = number.map(|number| &program.functions[number as usize]) else {
            continue;
        };
        let words = function.code.len() * usize::from(function.registers).div_ceil(64);
        live_words += words;
        if words > largest.0 {
            largest = (words, declared.span);
        }
        let sizes = [
            ("instructions", function.code.len(), limits::CODE_MAX),
            ("constants", function.constants.len(), limits::CONSTANTS_MAX),
            ("`try` forms", function.handlers.len(), limits::HANDLERS_MAX),
        ];
        for (what, size, size_max) in sizes {
            if size > size_max {
                let message = format!("this function needs {size} {what}");
                problems.report(
                    declared.span,
                    message,
                    format!("expected at most {size_max}"),
                );
            }
        }
    }
    let whole = [
        ("functions", program.functions.len(), limits::FUNCTIONS_MAX),
        (
            "globals",
            program.globals as usize,
            limits::GLOBALS_MAX as usize,
        ),
        (
            "instructions times registers",
            live_words,
            limits::LIVE_WORDS_MAX,
        ),
    ];
    for (what, size, size_max) in whole {
        if size > size_max {
            let message = format!("the program has too many {what}");
            problems.report(
                Span::default(),
                message,
                format!("expected at most {size_max}"),
            );
        }
    }
}
