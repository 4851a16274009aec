//! Special forms.

use super::{Expander, Resolved};
use crate::lang::builtin::{Shape, Special};
use crate::lang::ir::{Clause, Constant, Expr, ExprKind, Try};
use crate::lang::source::Span;
use crate::lang::tree::NodeId;

impl Expander<'_> {
    /// Expands a special form from its elements, the keyword included.
    pub(super) fn special_expr(&mut self, special: Special, items: &[NodeId], span: Span) -> Expr {
        let arguments = &items[1..];
        match special {
            Special::And => self.connective(arguments, true, span),
            Special::Or => self.connective(arguments, false, span),
            Special::Begin => self.body(arguments, span),
            Special::Cond => self.cond(arguments, span),
            Special::If => self.if_form(arguments, span),
            Special::When => self.when(arguments, true, span),
            Special::Unless => self.when(arguments, false, span),
            Special::Lambda => self.lambda(items, span),
            Special::Let | Special::LetStar | Special::Letrec => {
                self.let_form(special, items, span)
            }
            Special::Quote => self.quote(arguments, span),
            Special::Set => self.set(arguments, span),
            Special::Try => self.try_form(arguments, span),
            Special::While => self.while_form(arguments, span),
            Special::Define | Special::Defn => {
                self.problems.report_with_help(
                    span,
                    "a definition cannot stand here",
                    "expected an expression",
                    "definitions stand at top level or directly in a body",
                );
                Expr::nil(span)
            }
            Special::Catch => {
                self.problems.report(
                    span,
                    "`catch` outside of `try`",
                    "expected as the last part of (try body… (catch e handler…))",
                );
                Expr::nil(span)
            }
            Special::Else => {
                self.problems.report(
                    span,
                    "`else` outside of `cond`",
                    "expected as the last clause of (cond … (else value…))",
                );
                Expr::nil(span)
            }
        }
    }

    fn connective(&mut self, arguments: &[NodeId], is_and: bool, span: Span) -> Expr {
        let mut parts = self.exprs(arguments);
        match parts.len() {
            0 if is_and => Expr::constant(Constant::Bool(true), span),
            0 => Expr::constant(Constant::Bool(false), span),
            1 => parts.remove(0),
            _ if is_and => Expr::new(ExprKind::And(parts), span),
            _ => Expr::new(ExprKind::Or(parts), span),
        }
    }

    fn if_form(&mut self, arguments: &[NodeId], span: Span) -> Expr {
        if !(2..=3).contains(&arguments.len()) {
            self.exprs(arguments);
            return self.malformed(span, "if", "(if test then) or (if test then else)");
        }
        let test = self.expr(arguments[0]);
        let then = self.expr(arguments[1]);
        let otherwise = arguments.get(2).map(|node| Box::new(self.expr(*node)));
        Expr::new(
            ExprKind::Cond(
                vec![Clause {
                    test,
                    body: Some(then),
                }],
                otherwise,
            ),
            span,
        )
    }

    fn when(&mut self, arguments: &[NodeId], wanted: bool, span: Span) -> Expr {
        let [test, body @ ..] = arguments else {
            return if wanted {
                self.malformed(span, "when", "(when test body…)")
            } else {
                self.malformed(span, "unless", "(unless test body…)")
            };
        };
        let mut test = self.expr(*test);
        if !wanted {
            let span = test.span;
            test = Expr::new(ExprKind::Primitive(Shape::Not, vec![test]), span);
        }
        let body = Some(self.body(body, span));
        Expr::new(ExprKind::Cond(vec![Clause { test, body }], None), span)
    }

    fn cond(&mut self, arguments: &[NodeId], span: Span) -> Expr {
        let mut clauses = Vec::with_capacity(arguments.len());
        let mut otherwise = None;
        for (position, node) in arguments.iter().enumerate() {
            let clause_span = self.span(*node);
            let Some([test, body @ ..]) = self.tree.list(*node) else {
                if !matches!(self.tree.node(*node), crate::lang::tree::Node::Damaged) {
                    self.problems.report(
                        clause_span,
                        "malformed clause of `cond`",
                        "expected (test value…) or (else value…)",
                    );
                }
                continue;
            };
            let (test, body) = (*test, body.to_vec());
            let is_else = self
                .tree
                .symbol(test)
                .is_some_and(|name| self.special(name) == Some(Special::Else));
            if is_else {
                if position + 1 < arguments.len() {
                    self.problems.report(
                        clause_span,
                        "`else` is not the last clause",
                        "expected no clause behind this one",
                    );
                }
                otherwise = Some(Box::new(self.body(&body, clause_span)));
                continue;
            }
            let test = self.expr(test);
            let body = (!body.is_empty()).then(|| self.body(&body, clause_span));
            clauses.push(Clause { test, body });
        }
        Expr::new(ExprKind::Cond(clauses, otherwise), span)
    }

    fn lambda(&mut self, items: &[NodeId], span: Span) -> Expr {
        let [_, parameters, body @ ..] = items else {
            return self.malformed(span, "lambda", "(lambda (parameter…) body…)");
        };
        let source = super::binding::FunctionSource {
            parameters: super::binding::Parameters::Node(*parameters),
            body: body.to_vec(),
            annotations: Vec::new(),
            span,
        };
        let function = self.function(&source, "lambda".into());
        Expr::new(ExprKind::Lambda(function), span)
    }

    fn quote(&mut self, arguments: &[NodeId], span: Span) -> Expr {
        match arguments {
            [datum] => Expr::constant(self.quoted(*datum), span),
            _ => self.malformed(span, "quote", "(quote datum)"),
        }
    }

    fn set(&mut self, arguments: &[NodeId], span: Span) -> Expr {
        let [target, value] = arguments else {
            self.exprs(arguments.get(1..).unwrap_or_default());
            return self.malformed(span, "set!", "(set! name value)");
        };
        let name = self.binding_name(*target);
        let value = Box::new(self.expr(*value));
        let Some(name) = name else {
            return Expr::nil(span);
        };
        let target_span = self.span(*target);
        match self.resolve(name) {
            Resolved::Local(variable) => {
                self.module.variables[variable.index()].is_mutated = true;
                Expr::new(ExprKind::SetLocal(variable, value), span)
            }
            Resolved::Global(global) => {
                self.module.globals[global.index()].is_assigned = true;
                Expr::new(ExprKind::SetGlobal(global, value), span)
            }
            Resolved::Unknown => {
                self.unknown(name, target_span);
                Expr::nil(span)
            }
            Resolved::Special(_) | Resolved::Builtin(_) | Resolved::Library => {
                let text = self.text(name);
                self.problems.report_with_help(
                    target_span,
                    format!("`{text}` is built in and cannot be changed"),
                    "expected a variable",
                    format!("define a `{text}` of your own first"),
                );
                Expr::nil(span)
            }
        }
    }

    fn while_form(&mut self, arguments: &[NodeId], span: Span) -> Expr {
        let [test, body @ ..] = arguments else {
            return self.malformed(span, "while", "(while test body…)");
        };
        let test = self.expr(*test);
        let body = self.body(body, span);
        Expr::new(ExprKind::While(Box::new(test), Box::new(body)), span)
    }

    fn try_form(&mut self, arguments: &[NodeId], span: Span) -> Expr {
        let expected = "(try body… (catch e handler…))";
        let Some((last, body)) = arguments.split_last() else {
            return self.malformed(span, "try", expected);
        };
        let Some((Special::Catch, catch)) = self.special_form(*last) else {
            self.exprs(arguments);
            return self.malformed(span, "try", expected);
        };
        let catch = catch.to_vec();
        let catch_span = self.span(*last);
        let body = self.body(body, span);
        let [_, name, handler @ ..] = &catch[..] else {
            return self.malformed(catch_span, "catch", "(catch e handler…)");
        };
        let Some(name) = self.binding_name(*name) else {
            return Expr::nil(span);
        };
        let mark = self.scope.mark();
        let variable = self.bind_new(name);
        let handler = self.body(handler, catch_span);
        self.scope.reset(mark);
        Expr::new(
            ExprKind::Try(Box::new(Try {
                body,
                variable,
                handler,
            })),
            span,
        )
    }
}
