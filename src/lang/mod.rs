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
const STACK_BYTES: usize = 64 << 20;

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

#[cfg(test)]
mod tests {
    use super::expand::NESTING_MAX;
    use super::*;

    /// Compiles on a stack of this size.
    fn compile_within(stack_bytes: usize, text: &str) -> (bool, usize) {
        let source = Source::new("deep.jue", text);
        let work = || {
            let (mut tree, mut problems) = (Tree::default(), Problems::default());
            let read = reader::read(&source, &mut tree, &mut problems);
            let program = compile_tree(&source, tree, &read, &mut problems);
            (program.is_some(), problems.len())
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .stack_size(stack_bytes)
                .spawn_scoped(scope, work);
            thread.unwrap().join().unwrap()
        })
    }

    fn nested(depth: usize) -> Vec<String> {
        let around = |before: &str, after: &str, depth: usize| {
            format!("{}1{}", before.repeat(depth), after.repeat(depth))
        };
        vec![
            around("(+ 1 ", ")", depth),
            around("(lambda (x) ", ")", depth / 2),
            around("(let ((x ", ")) x)", depth),
            around("(let loop ((x 1)) (if x x ", "))", depth / 2 - 1),
            around("(define (f x) ", " f)", depth),
            around("(begin (unless x (car ", ")))", depth / 3 - 1),
            around("(let () (define (g y) (* y 2)) (g ", "))", depth / 2 - 1),
        ]
    }

    #[test]
    fn the_deepest_forms_need_an_eighth_of_the_stack() {
        let depth = NESTING_MAX - 1;
        for text in nested(depth) {
            let text = format!("(define x (car '(1))) {text}");
            assert_eq!(
                compile_within(STACK_BYTES / 8, &text),
                (true, 0),
                "{}",
                &text[..60]
            );
        }
        // Joins that are written inside of each other nest deeper than their source.
        let mut joins = String::new();
        for number in 0..40 {
            let (before, after) = ("(if x ".repeat(270), ")".repeat(270));
            joins += &format!(
                "(define (g{number} x) {before}(g{} x){after})\n",
                number + 1
            );
        }
        let text = format!("(define (f x) {joins} (define (g40 x) (g3 x)) (g0 x))");
        assert_eq!(compile_within(STACK_BYTES / 8, &text), (true, 0));
    }

    #[test]
    fn shallow_forms_are_fine_on_a_small_stack() {
        for text in nested(SHALLOW) {
            let text = format!("(define x (car '(1))) {text}");
            assert_eq!(compile_within(512 << 10, &text), (true, 0), "{text}");
        }
    }

    #[test]
    fn every_function_of_the_prelude_compiles_and_is_verified() {
        let source = Source::new("prelude.jue", PRELUDE);
        let (mut tree, mut problems) = (Tree::default(), Problems::default());
        let read = reader::read(&source, &mut tree, &mut problems);
        let names = read.top.iter().map(|node| {
            let target = tree.node_items(tree.node_items(*node).unwrap()[1]).unwrap()[0];
            tree.symbol_text(target).unwrap().to_owned()
        });
        let builtins = builtin::BUILTINS
            .iter()
            .map(|builtin| builtin.name.to_owned());
        let names: Vec<String> = names
            .chain(builtins)
            .filter(|name| !name.starts_with('%'))
            .collect();
        let program = compile("all.jue", &format!("(list {})", names.join(" "))).unwrap();
        let different: std::collections::BTreeSet<&String> = names.iter().collect();
        assert!(program.functions.len() > different.len());
        pw_isa::verify::verify(program).unwrap();
    }
}
