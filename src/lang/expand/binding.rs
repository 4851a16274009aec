//! Functions, and `let` with its relatives.

use std::rc::Rc;

use super::Expander;
use super::body::{Item, ItemSource};
use crate::lang::builtin::Special;
use crate::lang::ir::{Expr, ExprKind, Function, FunctionId, Statement, VariableId};
use crate::lang::names::NameId;
use crate::lang::source::Span;
use crate::lang::tree::{Node, NodeId};

/// A function as it stands in the source.
#[derive(Clone, Debug)]
pub(super) struct FunctionSource {
    pub(super) parameters: Parameters,
    pub(super) body: Vec<NodeId>,
    pub(super) annotations: Vec<&'static str>,
    pub(super) span: Span,
}

/// Where the parameters of a function stand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parameters {
    /// `(lambda parameters …)`
    Node(NodeId),
    /// `(define (name parameter…) …)`
    AfterName(NodeId),
}

/// A name with the datum that gives it its value.
#[derive(Clone, Copy, Debug)]
struct Pair {
    name: NameId,
    value: NodeId,
}

impl Expander<'_> {
    /// The function that a datum is, if it is a `lambda`, with or without annotations.
    pub(super) fn as_function(&self, node: NodeId) -> Option<FunctionSource> {
        let (inner, annotations) = self.without_annotations(node);
        let (Special::Lambda, [_, parameters, body @ ..]) = self.special_form(inner)? else {
            return None;
        };
        Some(FunctionSource {
            parameters: Parameters::Node(*parameters),
            body: body.to_vec(),
            annotations,
            span: self.span(inner),
        })
    }

    /// Reserves a function, so that its text can be expanded as part of it.
    pub(super) fn declare_function(&mut self, name: Rc<str>, span: Span) -> FunctionId {
        self.module.functions.push(Function {
            name,
            span,
            is_prelude: self.in_prelude,
            parameters: Vec::new(),
            rest: None,
            body: Expr::nil(span),
            annotations: Vec::new(),
        });
        FunctionId(self.module.functions.len() as u32 - 1)
    }

    /// Expands a function.
    pub(super) fn function(&mut self, source: &FunctionSource, name: Rc<str>) -> FunctionId {
        let function = self.declare_function(name, source.span);
        self.function_body(function, source);
        function
    }

    /// Expands the text of a declared function.
    pub(super) fn function_body(&mut self, function: FunctionId, source: &FunctionSource) {
        self.annotate(function, &source.annotations);
        if !self.enter(source.span) {
            return;
        }
        self.around.push(function);
        let mark = self.scope.mark();
        let (names, rest) = self.parameters(source.parameters);
        let parameters = names.into_iter().map(|name| self.bind_new(name)).collect();
        let rest = rest.map(|name| self.bind_new(name));
        let body = self.body(&source.body, source.span);
        self.scope.reset(mark);
        self.around.pop();
        self.nesting -= 1;
        let declared = &mut self.module.functions[function.index()];
        declared.parameters = parameters;
        declared.rest = rest;
        declared.body = body;
    }

    pub(super) fn bind_new(&mut self, name: NameId) -> VariableId {
        let variable = self.new_variable(name);
        self.scope.bind(name, variable);
        variable
    }

    /// The names of the parameters, and that of the one that takes the rest.
    pub(super) fn parameters(&mut self, parameters: Parameters) -> (Vec<NameId>, Option<NameId>) {
        let (node, skipped) = match parameters {
            Parameters::Node(node) => (node, 0),
            Parameters::AfterName(node) => (node, 1),
        };
        let (nodes, tail) = match self.tree.node(node) {
            Node::List(items) => (self.tree.elements(*items)[skipped..].to_vec(), items.tail),
            // `nil` is the empty list.
            Node::Nil => (Vec::new(), None),
            _ => (Vec::new(), Some(node)),
        };
        let mut names: Vec<NameId> = Vec::new();
        for node in nodes {
            if let Some(name) = self.binding_name(node) {
                self.refuse_duplicate(&names, name, node);
                names.push(name);
            }
        }
        let mut rest = None;
        if let Some(node) = tail {
            rest = self.binding_name(node);
            if let Some(name) = rest {
                self.refuse_duplicate(&names, name, node);
            }
        } else if let [.., ampersand, last] = names[..]
            && self.tree.names.find("&") == Some(ampersand)
        {
            rest = Some(last);
            names.truncate(names.len() - 2);
        }
        (names, rest)
    }

    fn refuse_duplicate(&mut self, names: &[NameId], name: NameId, node: NodeId) {
        // Linear, but a function with thousands of parameters has other problems.
        if names.len() < 1_000 && names.contains(&name) {
            self.report_duplicate(name, node);
        }
    }

    fn report_duplicate(&mut self, name: NameId, node: NodeId) {
        let text = self.text(name);
        self.problems.report(
            self.span(node),
            format!("`{text}` is bound twice"),
            "expected another name",
        );
    }

    /// The name that a datum is, where a variable is bound.
    pub(super) fn binding_name(&mut self, node: NodeId) -> Option<NameId> {
        let span = self.span(node);
        match self.tree.node(node) {
            Node::Symbol(name) if !self.is_keyword(*name) => Some(*name),
            Node::Symbol(_) => {
                self.problems.report(
                    span,
                    "a word that starts with `:` stands for itself and cannot be bound",
                    "expected a name",
                );
                None
            }
            Node::Damaged => None,
            _ => {
                self.problems.report(
                    span,
                    "this cannot be the name of a variable",
                    "expected a name",
                );
                None
            }
        }
    }

    /// The pairs of `((name value) …)`.
    fn pairs(&mut self, node: NodeId, form: &str) -> Option<Vec<Pair>> {
        let expected = "bindings: ((name value) …)";
        let Some(items) = self.tree.list(node).map(<[NodeId]>::to_vec) else {
            if !matches!(self.tree.node(node), Node::Nil) {
                self.malformed(self.span(node), form, expected);
                return None;
            }
            return Some(Vec::new());
        };
        let mut pairs = Vec::with_capacity(items.len());
        for item in items {
            match self.tree.list(item) {
                Some([name, value]) => {
                    let (name, value) = (*name, *value);
                    match self.binding_name(name) {
                        Some(name) => pairs.push(Pair { name, value }),
                        // Its errors are worth knowing all the same.
                        None => drop(self.expr(value)),
                    }
                }
                _ => {
                    if !matches!(self.tree.node(item), Node::Damaged) {
                        let span = self.span(item);
                        self.problems.report_with_help(
                            span,
                            format!("malformed binding of `{form}`"),
                            "expected (name value)",
                            format!("bindings are written `({form} ((name value) …) body…)`"),
                        );
                    }
                }
            }
        }
        Some(pairs)
    }

    /// `let`, `let*`, `letrec` and the `let` with a name.
    pub(super) fn let_form(&mut self, special: Special, items: &[NodeId], span: Span) -> Expr {
        let (form, expected) = match special {
            Special::LetStar => ("let*", "(let* ((name value) …) body…)"),
            Special::Letrec => ("letrec", "(letrec ((name value) …) body…)"),
            _ => (
                "let",
                "(let ((name value) …) body…) or (let name ((name value) …) body…)",
            ),
        };
        match items {
            [_, name, bindings, body @ ..]
                if special == Special::Let && matches!(self.tree.node(*name), Node::Symbol(_)) =>
            {
                self.named_let(*name, *bindings, body, span)
            }
            [_, bindings, body @ ..] => {
                let Some(pairs) = self.pairs(*bindings, form) else {
                    return Expr::nil(span);
                };
                if special != Special::LetStar {
                    self.refuse_duplicate_pairs(&pairs, *bindings);
                }
                match special {
                    Special::LetStar => self.let_star(&pairs, body, span),
                    Special::Letrec => self.letrec(&pairs, body, span),
                    _ => self.plain_let(&pairs, body, span),
                }
            }
            _ => self.malformed(span, form, expected),
        }
    }

    fn refuse_duplicate_pairs(&mut self, pairs: &[Pair], bindings: NodeId) {
        let mut names: Vec<NameId> = pairs.iter().map(|pair| pair.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            self.report_duplicate(twice[0], bindings);
        }
    }

    /// Values are evaluated outside; functions see themselves and each other.
    fn plain_let(&mut self, pairs: &[Pair], body: &[NodeId], span: Span) -> Expr {
        let mut statements = Vec::with_capacity(pairs.len() + 2);
        let mut values = Vec::new();
        let mut functions = Vec::new();
        let beside = self.beside.len();
        for pair in pairs {
            match self.as_function(pair.value) {
                Some(source) => functions.push((pair.name, source)),
                None => {
                    let value = self.expr(pair.value);
                    let variable = self.new_variable(pair.name);
                    values.push((pair.name, variable));
                    statements.push(Statement::Bind(variable, value));
                }
            }
            self.beside.push(pair.name);
        }
        self.beside.truncate(beside);
        let mark = self.scope.mark();
        if functions.is_empty() {
            for (name, variable) in values {
                self.scope.bind(name, variable);
            }
            statements.push(Statement::Expr(self.body(body, span)));
        } else {
            let mut items: Vec<Item> = functions
                .into_iter()
                .map(|(name, source)| self.function_item(name, source))
                .collect();
            items.push(Item::body(body, span));
            self.items(items, &values, &mut statements);
        }
        self.scope.reset(mark);
        Expr::new(ExprKind::Block(statements), span)
    }

    fn function_item(&mut self, name: NameId, source: FunctionSource) -> Item {
        let variable = self.new_variable(name);
        Item {
            defines: Some((name, variable)),
            source: ItemSource::Function(source),
        }
    }

    /// Each binding sees those before it, and a function itself.
    fn let_star(&mut self, pairs: &[Pair], body: &[NodeId], span: Span) -> Expr {
        let mark = self.scope.mark();
        let mut statements = Vec::with_capacity(pairs.len() + 1);
        for pair in pairs {
            match self.as_function(pair.value) {
                Some(source) => {
                    let variable = self.bind_new(pair.name);
                    let text = self.text(pair.name);
                    let function = self.function(&source, text);
                    let statement = self.bind_functions(vec![(variable, function)]);
                    statements.push(statement);
                }
                None => {
                    let value = self.expr(pair.value);
                    let variable = self.bind_new(pair.name);
                    statements.push(Statement::Bind(variable, value));
                }
            }
        }
        statements.push(Statement::Expr(self.body(body, span)));
        self.scope.reset(mark);
        Expr::new(ExprKind::Block(statements), span)
    }

    /// All values see all names.
    fn letrec(&mut self, pairs: &[Pair], body: &[NodeId], span: Span) -> Expr {
        let mut items = Vec::with_capacity(pairs.len() + 1);
        for pair in pairs {
            items.push(match self.as_function(pair.value) {
                Some(source) => self.function_item(pair.name, source),
                None => {
                    let variable = self.new_variable(pair.name);
                    Item {
                        defines: Some((pair.name, variable)),
                        source: ItemSource::Expr(pair.value),
                    }
                }
            });
        }
        items.push(Item::body(body, span));
        let mark = self.scope.mark();
        let mut statements = Vec::with_capacity(items.len());
        self.items(items, &[], &mut statements);
        self.scope.reset(mark);
        Expr::new(ExprKind::Block(statements), span)
    }

    /// A loop: a function that is called at once.
    fn named_let(&mut self, name: NodeId, bindings: NodeId, body: &[NodeId], span: Span) -> Expr {
        let Some(pairs) = self.pairs(bindings, "let") else {
            return Expr::nil(span);
        };
        self.refuse_duplicate_pairs(&pairs, bindings);
        let name_span = self.span(name);
        let Some(name) = self.binding_name(name) else {
            return Expr::nil(span);
        };
        let values = pairs.iter().map(|pair| self.expr(pair.value)).collect();
        let mark = self.scope.mark();
        let variable = self.bind_new(name);
        let text = self.text(name);
        let function = self.declare_function(text, span);
        self.around.push(function);
        let parameters = pairs.iter().map(|pair| self.bind_new(pair.name)).collect();
        let body = self.body(body, span);
        self.around.pop();
        self.scope.reset(mark);
        let declared = &mut self.module.functions[function.index()];
        declared.parameters = parameters;
        declared.body = body;
        let callee = Expr::new(ExprKind::Local(variable), name_span);
        let call = Expr::new(ExprKind::Call(Box::new(callee), values), span);
        let statements = vec![
            self.bind_functions(vec![(variable, function)]),
            Statement::Expr(call),
        ];
        Expr::new(ExprKind::Block(statements), span)
    }
}
