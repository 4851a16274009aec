//! Calls: of special forms, of built-in operations, of functions.

use super::{Expander, Resolved};
use crate::lang::builtin::{ANNOTATIONS, Builtin, Form, Options, Pad, Shape};
use crate::lang::ir::{Constant, Expr, ExprKind, FunctionId, Statement};
use crate::lang::names::NameId;
use crate::lang::source::Span;
use crate::lang::tree::NodeId;

/// Calls of prelude functions with so many arguments that go to a leaner one.
const SPECIALISED: &[(&str, usize, &str)] = &[
    ("append", 2, "%append"),
    ("map", 2, "%map"),
    ("for-each", 2, "%for-each"),
];

impl Expander<'_> {
    /// Expands a list.
    pub(super) fn call(&mut self, node: NodeId, span: Span) -> Expr {
        let items = self
            .tree
            .list(node)
            .map(<[NodeId]>::to_vec)
            .unwrap_or_default();
        let Some((head, arguments)) = items.split_first() else {
            self.problems.report_with_help(
                span,
                "an empty list is no call",
                "expected (function argument…)",
                "the empty list is written `nil` or `'()`",
            );
            return Expr::nil(span);
        };
        if let Some(name) = self.tree.symbol(*head) {
            return self.call_of_name(name, *head, &items, span);
        }
        if let Some(source) = self.as_function(*head) {
            return self.call_of_lambda(source, *head, arguments, span);
        }
        let callee = self.expr(*head);
        self.plain_call(callee, arguments, span)
    }

    fn plain_call(&mut self, callee: Expr, arguments: &[NodeId], span: Span) -> Expr {
        let arguments = self.exprs(arguments);
        Expr::new(ExprKind::Call(Box::new(callee), arguments), span)
    }

    fn call_of_name(&mut self, name: NameId, head: NodeId, items: &[NodeId], span: Span) -> Expr {
        let arguments = &items[1..];
        if self.is_keyword(name)
            && ANNOTATIONS
                .iter()
                .any(|(word, _)| **word == **self.tree.names.text(name))
        {
            return self.annotated(name, arguments, span);
        }
        match self.resolve(name) {
            Resolved::Special(special) => self.special_expr(special, items, span),
            Resolved::Builtin(builtin) => self.operation(builtin, name, head, arguments, span),
            Resolved::Library => self.library_call(name, head, arguments, span),
            Resolved::Local(_) | Resolved::Global(_) | Resolved::Unknown => {
                let callee = self.expr(head);
                self.plain_call(callee, arguments, span)
            }
        }
    }

    /// `(:formal e)` means `e`.
    fn annotated(&mut self, name: NameId, arguments: &[NodeId], span: Span) -> Expr {
        let text = self.text(name);
        let [inner] = arguments else {
            return self.malformed(span, &text, &format!("({text} expression)"));
        };
        let word = ANNOTATIONS.iter().find(|(word, _)| **word == *text);
        let kept: Vec<&'static str> = word.iter().map(|(_, kept)| *kept).collect();
        if let Some(mut source) = self.as_function(*inner) {
            source.annotations.extend(kept);
            let function = self.function(&source, "lambda".into());
            return Expr::new(ExprKind::Lambda(function), source.span);
        }
        if let Some(function) = self.around.last().copied() {
            self.annotate(function, &kept);
        }
        self.expr(*inner)
    }

    /// `((lambda (a …) body…) value …)` is a `let`, unless the numbers differ.
    fn call_of_lambda(
        &mut self,
        source: super::binding::FunctionSource,
        head: NodeId,
        arguments: &[NodeId],
        span: Span,
    ) -> Expr {
        let values = self.exprs(arguments);
        let function = self.function(&source, "lambda".into());
        let declared = &self.module.functions[function.index()];
        if declared.rest.is_none() && declared.parameters.len() == values.len() {
            // A function that is called at once where it stands becomes part of its surroundings.
            let name = self.tree.names.intern("lambda");
            let variable = self.new_variable(name);
            let callee = Expr::new(ExprKind::Local(variable), self.span(head));
            let call = Expr::new(ExprKind::Call(Box::new(callee), values), span);
            let statements = vec![
                self.bind_functions(vec![(variable, function)]),
                Statement::Expr(call),
            ];
            return Expr::new(ExprKind::Block(statements), span);
        }
        let callee = Expr::new(ExprKind::Lambda(function), self.span(head));
        Expr::new(ExprKind::Call(Box::new(callee), values), span)
    }

    fn library_call(
        &mut self,
        name: NameId,
        head: NodeId,
        arguments: &[NodeId],
        span: Span,
    ) -> Expr {
        let text = self.text(name);
        if &*text == "apply"
            && let [function, between @ .., list] = arguments
        {
            let function = self.expr(*function);
            let between = self.exprs(between);
            let list = self.expr(*list);
            return self.apply(function, between, list, span);
        }
        let special = SPECIALISED
            .iter()
            .find(|(from, count, _)| **from == *text && *count == arguments.len());
        let name = special
            .and_then(|(_, _, to)| self.tree.names.find(to))
            .unwrap_or(name);
        if let Some(expr) = self.inlined(name, arguments, span) {
            return expr;
        }
        let callee = Expr::new(
            ExprKind::Function(self.library_function(name)),
            self.span(head),
        );
        self.plain_call(callee, arguments, span)
    }

    /// `(apply f a b list)` puts a and b before the list.
    fn apply(&mut self, function: Expr, between: Vec<Expr>, list: Expr, span: Span) -> Expr {
        let mut list = list;
        if !between.is_empty() {
            let mut operands = between;
            operands.push(list);
            list = Expr::new(ExprKind::Primitive(Shape::ListStar, operands), span);
        }
        Expr::new(ExprKind::Apply(Box::new(function), Box::new(list)), span)
    }

    fn operation(
        &mut self,
        builtin: &'static Builtin,
        name: NameId,
        head: NodeId,
        arguments: &[NodeId],
        span: Span,
    ) -> Expr {
        if let Some(form) = builtin.form(arguments.len()) {
            let operands = self.exprs(arguments);
            return self.operation_of(form, operands, span);
        }
        if let Some(options) = &builtin.options
            && self.has_options(options, arguments)
        {
            return self.operation_with_options(builtin.name, options, arguments, span);
        }
        // A wrong number of arguments is found when the call happens.
        let callee = Expr::new(
            ExprKind::Function(self.library_function(name)),
            self.span(head),
        );
        self.plain_call(callee, arguments, span)
    }

    pub(super) fn operation_of(&mut self, form: &Form, operands: Vec<Expr>, span: Span) -> Expr {
        let before: Vec<Expr> = form.before.iter().map(|pad| self.pad(*pad, span)).collect();
        let after: Vec<Expr> = form.after.iter().map(|pad| self.pad(*pad, span)).collect();
        let operands = before.into_iter().chain(operands).chain(after).collect();
        Expr::new(ExprKind::Primitive(form.shape, operands), span)
    }

    fn pad(&mut self, pad: Pad, span: Span) -> Expr {
        let constant = match pad {
            Pad::Nil => Constant::Nil,
            Pad::Int(value) => Constant::Int(value),
            Pad::Symbol(text) => Constant::Symbol(self.tree.names.intern(text)),
        };
        Expr::constant(constant, span)
    }

    /// Whether a keyword follows the plain arguments.
    fn has_options(&self, options: &Options, arguments: &[NodeId]) -> bool {
        let keyword = arguments
            .get(options.plain)
            .and_then(|node| self.tree.symbol(*node));
        keyword.is_some_and(|name| self.is_keyword(name))
    }

    fn operation_with_options(
        &mut self,
        name: &str,
        options: &Options,
        arguments: &[NodeId],
        span: Span,
    ) -> Expr {
        let (plain, given) = arguments.split_at(options.plain);
        let mut operands = self.exprs(plain);
        let known: Vec<&str> = options
            .keywords
            .iter()
            .map(|(keyword, _)| *keyword)
            .collect();
        let expected = format!("expected {} with a value", known.join(" or "));
        let mut values: Vec<Option<(usize, Expr)>> = known.iter().map(|_| None).collect();
        for (order, option) in given.chunks(2).enumerate() {
            let option_span = self.span(option[0]);
            let keyword = self.tree.symbol_text(option[0]).unwrap_or_default();
            let position = known.iter().position(|known| *known == keyword);
            let value = option.get(1).map(|node| self.expr(*node));
            match (position, value) {
                (Some(position), Some(_)) if values[position].is_some() => {
                    self.problems.report(
                        option_span,
                        "this option is given twice",
                        "expected each once",
                    );
                }
                (Some(position), Some(value)) => values[position] = Some((order, value)),
                (Some(_), None) => {
                    self.problems.report(
                        option_span,
                        "this option has no value",
                        expected.as_str(),
                    );
                }
                (None, _) => {
                    let message = format!("unknown option of `{name}`");
                    self.problems
                        .report(option_span, message, expected.as_str());
                }
            }
        }
        // Operands are evaluated in the order of the instruction, which is that of the source
        // unless two options are given the other way round.
        let is_in_order = values.iter().flatten().map(|(order, _)| order).is_sorted();
        let mut statements = Vec::new();
        let mut ordered: Vec<(usize, Expr)> = Vec::new();
        for ((_, missing), value) in options.keywords.iter().zip(values) {
            match value {
                None => ordered.push((usize::MAX, self.pad(*missing, span))),
                Some(value) => ordered.push(value),
            }
        }
        if !is_in_order {
            let name = self.tree.names.intern("operand");
            let bind = |expander: &mut Self, value: Expr, statements: &mut Vec<Statement>| {
                let variable = expander.new_variable(name);
                let span = value.span;
                statements.push(Statement::Bind(variable, value));
                Expr::new(ExprKind::Local(variable), span)
            };
            operands = operands
                .into_iter()
                .map(|value| bind(self, value, &mut statements))
                .collect();
            let mut slots: Vec<Option<Expr>> = ordered.iter().map(|_| None).collect();
            let mut numbered: Vec<(usize, (usize, Expr))> =
                ordered.into_iter().enumerate().collect();
            numbered.sort_by_key(|(_, (order, _))| *order);
            for (slot, (_, value)) in numbered {
                slots[slot] = Some(bind(self, value, &mut statements));
            }
            operands.extend(slots.into_iter().flatten());
        } else {
            operands.extend(ordered.into_iter().map(|(_, value)| value));
        }
        let operation = Expr::new(ExprKind::Primitive(options.shape, operands), span);
        if statements.is_empty() {
            return operation;
        }
        statements.push(Statement::Expr(operation));
        Expr::new(ExprKind::Block(statements), span)
    }

    /// The function that a built-in name is as a value.
    pub(super) fn library_function(&mut self, name: NameId) -> FunctionId {
        if let Some(entry) = super::get(&self.library, name) {
            if let Some(function) = entry.function {
                return function;
            }
            let span = self.span(entry.node);
            let text = self.text(name);
            let function = self.new_library_function(text.trim_start_matches('%'), span);
            super::put(
                &mut self.library,
                name,
                super::Library {
                    function: Some(function),
                    ..entry
                },
            );
            self.wanted.push(name);
            return function;
        }
        let Some(super::Meaning::Builtin(builtin)) = super::get(&self.meanings, name) else {
            unreachable!("only built-in names stand for library functions");
        };
        self.wrapper(builtin, name)
    }

    /// Reserves a function that counts as one of the prelude.
    pub(super) fn new_library_function(&mut self, name: &str, span: Span) -> FunctionId {
        let was_in_prelude = std::mem::replace(&mut self.in_prelude, true);
        let function = self.declare_function(name.into(), span);
        self.in_prelude = was_in_prelude;
        function
    }

    /// The function around an operation with a fixed number of operands.
    fn wrapper(&mut self, builtin: &'static Builtin, name: NameId) -> FunctionId {
        if let Some(function) = super::get(&self.wrappers, name) {
            return function;
        }
        let form = &builtin.forms[0];
        let function = self.operation_function(builtin, form, form.max);
        super::put(&mut self.wrappers, name, function);
        function
    }
}

/// Whether an operation can be a value without a function of the prelude.
pub(super) fn has_wrapper(builtin: &Builtin) -> bool {
    matches!(builtin.forms, [form] if form.min == form.max)
}
