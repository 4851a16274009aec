//! The top level: globals, the entry function, and the prelude as far as it is used.

use super::body::{Definition, ItemSource};
use super::call::has_wrapper;
use super::{Expander, Library, Meaning, get, put};
use crate::lang::builtin::Special;
use crate::lang::diagnostic::Problems;
use crate::lang::ir::{Expr, ExprKind, Global, GlobalId, Known, Module, Statement, VariableId};
use crate::lang::names::NameId;
use crate::lang::reader::Read;
use crate::lang::source::Span;
use crate::lang::tree::{NodeId, Tree};

/// Expands a program with the prelude functions that it uses.
pub(crate) fn expand(
    tree: &mut Tree,
    program: &Read,
    prelude: &[NodeId],
    problems: &mut Problems,
) -> Module {
    let mut expander = Expander::new(tree, problems, program.is_balanced);
    expander.declare_library(prelude);
    expander.program(&program.top);
    expander.wanted_library();
    expander.module
}

/// A form at top level.
enum Top {
    Define(GlobalId, Definition, Span),
    Expr(NodeId),
}

impl Expander<'_> {
    /// Notes where each function of the prelude stands.
    fn declare_library(&mut self, prelude: &[NodeId]) {
        self.in_prelude = true;
        for node in prelude {
            let Some(definition) = self.definition(*node) else {
                unreachable!("the prelude consists of definitions");
            };
            put(
                &mut self.library,
                definition.name,
                Library {
                    node: *node,
                    function: None,
                },
            );
        }
        self.in_prelude = false;
        debug_assert!(
            self.meanings
                .iter()
                .enumerate()
                .all(|(name, meaning)| match meaning {
                    Some(Meaning::Builtin(builtin)) =>
                        has_wrapper(builtin) || get(&self.library, NameId(name as u32)).is_some(),
                    _ => true,
                }),
            "an operation with several shapes has a function in the prelude"
        );
    }

    fn program(&mut self, nodes: &[NodeId]) {
        let entry = self.declare_function("program".into(), Span::default());
        self.around.push(entry);
        let name = self.tree.names.intern("arguments");
        let arguments = self.new_variable(name);
        let mut tops = Vec::new();
        for node in self.flatten(nodes) {
            match self.body_form(node) {
                Some(Special::Define | Special::Defn) => {
                    if let Some(definition) = self.definition(node) {
                        let span = self.span(node);
                        let global = self.declare_global(definition.name, span);
                        tops.push(Top::Define(global, definition, span));
                    }
                }
                _ => tops.push(Top::Expr(node)),
            }
        }
        // What happens before any form of the file is blamed on the first one, the call of `main` on its
        // definition.
        let first = nodes
            .first()
            .map_or(Span::default(), |node| self.span(*node));
        let main_span = tops.iter().rev().find_map(|top| match top {
            Top::Define(global, _, span)
                if &*self.text(self.module.globals[global.index()].name) == "main" =>
            {
                Some(*span)
            }
            _ => None,
        });
        let mut statements: Vec<Statement> = tops
            .into_iter()
            .map(|top| Statement::Expr(self.top(top)))
            .collect();
        if let Some(main) = self
            .tree
            .names
            .find("main")
            .and_then(|name| get(&self.globals, name))
        {
            let span = main_span.unwrap_or(first);
            statements.push(Statement::Expr(self.call_of_main(main, arguments, span)));
        }
        if statements.is_empty() {
            statements.push(Statement::Expr(Expr::nil(first)));
        }
        self.around.pop();
        let declared = &mut self.module.functions[entry.index()];
        declared.parameters = Vec::new();
        declared.rest = Some(arguments);
        declared.body = Expr::new(ExprKind::Block(statements), first);
    }

    fn declare_global(&mut self, name: NameId, span: Span) -> GlobalId {
        if let Some(global) = get(&self.globals, name) {
            self.module.globals[global.index()].definitions += 1;
            return global;
        }
        // These are recognised before anything is evaluated.
        let text = self.text(name);
        if matches!(&*text, "define" | "defn" | "begin" | "do") {
            self.problems.report(
                span,
                format!("`{text}` cannot be redefined at top level"),
                "expected another name",
            );
        }
        let global = GlobalId(self.module.globals.len() as u32);
        self.module.globals.push(Global {
            name,
            definitions: 1,
            is_assigned: false,
            known: None,
        });
        put(&mut self.globals, name, global);
        global
    }

    fn top(&mut self, top: Top) -> Expr {
        let (global, definition, span) = match top {
            Top::Expr(node) => return self.part(node),
            Top::Define(global, definition, span) => (global, definition, span),
        };
        let (value, known) = match definition.source {
            ItemSource::Function(source) => {
                let name = self.text(definition.name);
                let function = self.function(&source, name);
                (
                    Expr::new(ExprKind::Function(function), span),
                    Some(Known::Function(function)),
                )
            }
            ItemSource::Expr(node) => {
                let value = self.expr(node);
                let known = match &value.kind {
                    ExprKind::Constant(constant) => Some(Known::Constant(constant.clone())),
                    _ => None,
                };
                (value, known)
            }
            ItemSource::Body(nodes, span) => (self.body(&nodes, span), None),
        };
        self.module.globals[global.index()].known = known;
        Expr::new(ExprKind::SetGlobal(global, Box::new(value)), span)
    }

    fn call_of_main(&mut self, main: GlobalId, arguments: VariableId, span: Span) -> Expr {
        let callee = Expr::new(ExprKind::Global(main), span);
        let list = Expr::new(ExprKind::Local(arguments), span);
        Expr::new(ExprKind::Apply(Box::new(callee), Box::new(list)), span)
    }

    /// Expands the functions of the prelude that are used, and those that they use.
    fn wanted_library(&mut self) {
        self.in_prelude = true;
        while let Some(name) = self.wanted.pop() {
            let Some(Library {
                node,
                function: Some(function),
            }) = get(&self.library, name)
            else {
                continue;
            };
            if let Some(Definition {
                source: ItemSource::Function(source),
                ..
            }) = self.definition(node)
            {
                self.function_body(function, &source);
            }
        }
    }
}
