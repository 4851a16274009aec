//! Jue, the source language: a small Lisp that becomes ordinary programs of the engine.
//!
//! ```text
//! text ──lexer, reader──▶ data ──expand──▶ intermediate form ──analyze, emit──▶ program
//! ```
//!
//! Each phase reports what is wrong and goes on, so that all errors of a file are found in one run.
//! Nothing in the engine knows about this module; the library functions that are not instructions
//! are written in Jue (`prelude.jue`) and compiled into a program as far as it uses them.
//!
//! ```
//! let program = physics_world::lang::compile("answer.jue", "(* 6 7)").unwrap();
//! assert_eq!(program.function_name(program.entry), "program");
//!
//! let errors = physics_world::lang::compile("bad.jue", "(let ((x 1))\n  (+ x y))").unwrap_err();
//! assert_eq!(errors.errors()[0].to_string(), "bad.jue:2:8: unknown name `y`");
//! ```

mod analyze;
mod builtin;
mod diagnostic;
mod emit;
mod expand;
mod ir;
mod lexer;
mod names;
mod number;
mod reader;
mod source;
mod tree;

use pw_isa::Program;

pub use diagnostic::{Diagnostic, Diagnostics};

use diagnostic::Problems;
use reader::Read;
use source::{SOURCE_BYTES_MAX, Source, Span};
use tree::Tree;

/// The library functions that are written in Jue.
const PRELUDE: &str = include_str!("prelude.jue");

/// Sources whose lists nest at most this deep are compiled on the caller's stack.
const SHALLOW: usize = 50;

/// The stack on which deeper ones are compiled. It is only touched as far as it is needed.
const STACK_BYTES: usize = 256 << 20;

/// Compiles a source text. The file name is for messages and the debug section.
///
/// # Errors
/// Everything that is wrong with the text, with its places. No text makes the compiler panic or
/// take longer than its length warrants.
pub fn compile(file_name: &str, source: &str) -> Result<Program, Diagnostics> {
    let mut problems = Problems::default();
    if source.len() > SOURCE_BYTES_MAX {
        let span = Span::default();
        problems.report(
            span,
            "this file is too large",
            format!("expected at most {SOURCE_BYTES_MAX} bytes"),
        );
        return Err(problems.finish(Source::new(file_name, "")));
    }
    let source = Source::new(file_name, source);
    let mut tree = Tree::default();
    let read = reader::read(&source, &mut tree, &mut problems);
    let program = if read.depth <= SHALLOW {
        compile_tree(&source, tree, &read, &mut problems)
    } else {
        drop((tree, problems));
        let program;
        (program, problems) = compile_deep(&source);
        program
    };
    match program {
        Some(program) if problems.is_empty() => Ok(program),
        _ => Err(problems.finish(source)),
    }
}

/// Reads and compiles on a stack of its own.
fn compile_deep(source: &Source) -> (Option<Program>, Problems) {
    let work = || {
        let (mut tree, mut problems) = (Tree::default(), Problems::default());
        let read = reader::read(source, &mut tree, &mut problems);
        (compile_tree(source, tree, &read, &mut problems), problems)
    };
    std::thread::scope(|scope| {
        match std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
        {
            Ok(thread) => match thread.join() {
                Ok(compiled) => compiled,
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Err(error) => {
                let mut problems = Problems::default();
                let message = format!("no stack to compile forms nested so deeply: {error}");
                problems.report(
                    Span::default(),
                    message,
                    "expected fewer levels, or more memory",
                );
                (None, problems)
            }
        }
    })
}

/// Compiles what was read.
fn compile_tree(
    source: &Source,
    mut tree: Tree,
    read: &Read,
    problems: &mut Problems,
) -> Option<Program> {
    let prelude_source = Source::new("prelude.jue", PRELUDE);
    let prelude = reader::read(&prelude_source, &mut tree, problems);
    let module = expand::expand(&mut tree, read, &prelude.top, problems);
    if !problems.is_empty() {
        return None;
    }
    let analysis = analyze::analyze(&module, problems);
    if !problems.is_empty() {
        return None;
    }
    let context = emit::Context {
        module: &module,
        analysis: &analysis,
        tree: &tree,
        source,
    };
    emit::emit(context, problems)
}
