//! From data to the intermediate form: special forms are taken apart, names resolved.
//!
//! | file | what it holds |
//! |---|---|
//! | `scope` | which variable a name means at a place |
//! | `program` | the top level, globals, the prelude's functions |
//! | `forms` | special forms |
//! | `binding` | functions, `let` and its relatives |
//! | `body` | bodies with definitions, and in which order these take effect |
//! | `call` | calls, built-in operations |
//! | `inline` | library functions written out where they are called |
//!
//! Errors go to the problems; in place of what is wrong stands nil, and expanding goes on.
//! The expander recurses once for each level of nesting, which it bounds.

mod binding;
mod body;
mod call;
mod forms;
mod inline;
mod program;
mod scope;

use std::rc::Rc;

use super::builtin::{ANNOTATIONS, BUILTINS, Builtin, SPECIALS, Special};
use super::diagnostic::Problems;
use super::ir::{
    Constant, Expr, ExprKind, FunctionId, GlobalId, Module, Statement, Variable, VariableId,
};
use super::names::NameId;
use super::source::Span;
use super::tree::{Node, NodeId, Tree};
use scope::Scope;

pub(crate) use program::expand;

/// How deep forms may nest. The stack that a level needs is measured by a test in `lang`.
pub(crate) const NESTING_MAX: usize = 2_000;

/// What a name means when the file does not define it.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    Special(Special),
    Builtin(&'static Builtin),
}

/// A function of the prelude.
#[derive(Clone, Copy, Debug)]
struct Library {
    node: NodeId,
    function: Option<FunctionId>,
}

/// What a name means at a place.
#[derive(Clone, Copy, Debug)]
enum Resolved {
    Local(VariableId),
    Global(GlobalId),
    Special(Special),
    Builtin(&'static Builtin),
    Library,
    Unknown,
}

/// One run of the expander.
struct Expander<'a> {
    tree: &'a mut Tree,
    problems: &'a mut Problems,
    module: Module,
    scope: Scope,
    /// By name: what it means by itself.
    meanings: Vec<Option<Meaning>>,
    /// By name: the global of the file.
    globals: Vec<Option<GlobalId>>,
    /// By name: the function of the prelude.
    library: Vec<Option<Library>>,
    /// By name: the function around an operation.
    wrappers: Vec<Option<FunctionId>>,
    /// Functions of the prelude that are used and not expanded yet.
    wanted: Vec<NameId>,
    /// Whether the prelude is being expanded, which sees none of the file's names.
    in_prelude: bool,
    /// Where everything stands that is expanded now: in a library function that is written out, at
    /// the call of it.
    place: Option<Span>,
    /// Functions around the place, the innermost last.
    around: Vec<FunctionId>,
    /// Names that the same `let` has bound already, of all that are around the place: values of a `let` do not see them.
    beside: Vec<NameId>,
    nesting: usize,
    is_too_deep: bool,
    /// Whether names that nobody defines are worth reporting: not when the file is so damaged that
    /// definitions may be missing.
    reports_unknown: bool,
}

impl<'a> Expander<'a> {
    fn new(tree: &'a mut Tree, problems: &'a mut Problems, reports_unknown: bool) -> Expander<'a> {
        let mut meanings = Vec::new();
        let specials = SPECIALS
            .iter()
            .map(|(name, special)| (*name, Meaning::Special(*special)));
        let builtins = BUILTINS
            .iter()
            .map(|builtin| (builtin.name, Meaning::Builtin(builtin)));
        for (name, meaning) in specials.chain(builtins) {
            put(&mut meanings, tree.names.intern(name), meaning);
        }
        Expander {
            tree,
            problems,
            module: Module::default(),
            scope: Scope::default(),
            meanings,
            globals: Vec::new(),
            library: Vec::new(),
            wrappers: Vec::new(),
            wanted: Vec::new(),
            in_prelude: false,
            place: None,
            around: Vec::new(),
            beside: Vec::new(),
            nesting: 0,
            is_too_deep: false,
            reports_unknown,
        }
    }

    fn text(&self, name: NameId) -> Rc<str> {
        Rc::clone(self.tree.names.text(name))
    }

    /// Where a datum stands, as far as messages and lines are concerned.
    fn span(&self, node: NodeId) -> Span {
        self.place.unwrap_or_else(|| self.tree.span(node))
    }

    fn new_variable(&mut self, name: NameId) -> VariableId {
        let owner = self.around.last().copied().unwrap_or(FunctionId(0));
        let (is_mutated, is_checked, function) = (false, false, None);
        self.module.variables.push(Variable {
            name,
            owner,
            is_mutated,
            is_checked,
            function,
        });
        VariableId(self.module.variables.len() as u32 - 1)
    }

    /// The statement that binds functions to variables.
    fn bind_functions(&mut self, members: Vec<(VariableId, FunctionId)>) -> Statement {
        for (variable, function) in &members {
            self.module.variables[variable.index()].function = Some(*function);
        }
        Statement::Functions(members)
    }

    /// What a name means here.
    fn resolve(&mut self, name: NameId) -> Resolved {
        if let Some(variable) = self.scope.find(name) {
            return Resolved::Local(variable);
        }
        self.resolve_outside(name)
    }

    /// What a name that is no local variable means here.
    fn resolve_outside(&self, name: NameId) -> Resolved {
        if !self.in_prelude {
            if let Some(global) = get(&self.globals, name) {
                return Resolved::Global(global);
            }
            // Names of the prelude's own making.
            if self.tree.names.text(name).starts_with('%') {
                return Resolved::Unknown;
            }
        }
        match get(&self.meanings, name) {
            Some(Meaning::Special(special)) => Resolved::Special(special),
            Some(Meaning::Builtin(builtin)) => Resolved::Builtin(builtin),
            None if get(&self.library, name).is_some() => Resolved::Library,
            None => Resolved::Unknown,
        }
    }

    /// The special form that a name means here, if it does.
    fn special(&self, name: NameId) -> Option<Special> {
        if self.scope.is_bound(name) {
            return None;
        }
        match self.resolve_outside(name) {
            Resolved::Special(special) => Some(special),
            _ => None,
        }
    }

    /// The special form at the head of a list, with the elements of the list.
    fn special_form(&self, node: NodeId) -> Option<(Special, &[NodeId])> {
        let items = self.tree.list(node)?;
        let special = self.special(self.tree.symbol(*items.first()?)?)?;
        Some((special, items))
    }

    /// The trust annotation that a list is, with what is annotated.
    fn annotation(&self, node: NodeId) -> Option<(&'static str, NodeId)> {
        let [head, inner] = self.tree.list(node)? else {
            return None;
        };
        let text = self.tree.symbol_text(*head)?;
        let found = ANNOTATIONS.iter().find(|(keyword, _)| *keyword == text)?;
        Some((found.1, *inner))
    }

    /// What stands inside of any annotations, and these.
    fn without_annotations(&self, mut node: NodeId) -> (NodeId, Vec<&'static str>) {
        let mut annotations = Vec::new();
        // Deeper ones are refused as expressions.
        while annotations.len() <= NESTING_MAX
            && let Some((annotation, inner)) = self.annotation(node)
        {
            annotations.push(annotation);
            node = inner;
        }
        (node, annotations)
    }

    fn annotate(&mut self, function: FunctionId, annotations: &[&'static str]) {
        let kept = &mut self.module.functions[function.index()].annotations;
        for annotation in annotations {
            if !kept.contains(annotation) {
                kept.push(annotation);
            }
        }
    }

    fn malformed(&mut self, span: Span, form: &str, expected: &str) -> Expr {
        self.problems.report(
            span,
            format!("malformed `{form}`"),
            format!("expected {expected}"),
        );
        Expr::nil(span)
    }

    /// Expands a datum that stands where a value is wanted.
    fn expr(&mut self, node: NodeId) -> Expr {
        let span = self.span(node);
        if !self.enter(span) {
            return Expr::nil(span);
        }
        let expr = self.node(node, span);
        self.nesting -= 1;
        expr
    }

    /// Goes one level deeper, if forms may nest that deep.
    fn enter(&mut self, span: Span) -> bool {
        if self.nesting < NESTING_MAX {
            self.nesting += 1;
            return true;
        }
        if !self.is_too_deep {
            self.is_too_deep = true;
            self.problems.report(
                span,
                "this form is nested too deeply",
                format!("expected at most {NESTING_MAX} levels of forms"),
            );
        }
        false
    }

    fn exprs(&mut self, nodes: &[NodeId]) -> Vec<Expr> {
        nodes.iter().map(|node| self.expr(*node)).collect()
    }

    fn node(&mut self, node: NodeId, span: Span) -> Expr {
        let constant = match self.tree.node(node) {
            Node::Nil | Node::Damaged => Constant::Nil,
            Node::Bool(value) => Constant::Bool(*value),
            Node::Int(value) => Constant::Int(*value),
            Node::Float(value) => Constant::Float(*value),
            Node::String(text) => Constant::String(Rc::clone(text)),
            Node::Quote(datum) => self.quoted(*datum),
            Node::Symbol(name) => return self.name(*name, span),
            Node::List(items) => {
                if let Some(tail) = items.tail {
                    let tail = self.span(tail);
                    self.problems
                        .report(tail, "a call has no dot", "expected a list without `.`");
                    return Expr::nil(span);
                }
                return self.call(node, span);
            }
        };
        Expr::constant(constant, span)
    }

    /// The literal that a quoted datum is.
    fn quoted(&self, datum: NodeId) -> Constant {
        match self.tree.node(datum) {
            Node::Nil | Node::Damaged => Constant::Nil,
            Node::Bool(value) => Constant::Bool(*value),
            Node::Int(value) => Constant::Int(*value),
            Node::Float(value) => Constant::Float(*value),
            Node::String(text) => Constant::String(Rc::clone(text)),
            Node::Symbol(name) => Constant::Symbol(*name),
            Node::List(items) if self.tree.elements(*items).is_empty() => Constant::Nil,
            Node::List(_) | Node::Quote(_) => Constant::Datum(datum),
        }
    }

    /// A name that stands where a value is wanted.
    fn name(&mut self, name: NameId, span: Span) -> Expr {
        let kind = match self.resolve(name) {
            _ if self.is_keyword(name) => ExprKind::Constant(Constant::Symbol(name)),
            Resolved::Local(variable) => ExprKind::Local(variable),
            Resolved::Global(global) => ExprKind::Global(global),
            Resolved::Builtin(_) | Resolved::Library => {
                ExprKind::Function(self.library_function(name))
            }
            Resolved::Special(_) => {
                let text = self.text(name);
                self.problems.report(
                    span,
                    format!("`{text}` is a special form, not a value"),
                    format!("expected a value, or `({text} …)`"),
                );
                ExprKind::Constant(Constant::Nil)
            }
            Resolved::Unknown => {
                self.unknown(name, span);
                ExprKind::Constant(Constant::Nil)
            }
        };
        Expr::new(kind, span)
    }

    /// Whether a name is a word that evaluates to itself.
    fn is_keyword(&self, name: NameId) -> bool {
        self.tree.names.text(name).starts_with(':')
    }

    fn unknown(&mut self, name: NameId, span: Span) {
        if !self.reports_unknown {
            return;
        }
        let text = self.text(name);
        let message = format!("unknown name `{text}`");
        let label = "expected a variable, a function or a built-in name";
        let help = match self.beside.contains(&name) {
            true => {
                Some("values of a `let` do not see its other names: is `let*` meant?".to_owned())
            }
            false => self
                .similar(&text)
                .map(|similar| format!("is `{similar}` meant?")),
        };
        match help {
            Some(help) => self.problems.report_with_help(span, message, label, help),
            None => self.problems.report(span, message, label),
        }
    }

    /// A known name that differs little from an unknown one.
    fn similar(&self, text: &str) -> Option<Rc<str>> {
        const LENGTH_MAX: usize = 40;
        const LOOKED_AT_MAX: usize = 5_000;
        // Comparing with every name is for people's files, not for a flood of errors.
        if text.len() > LENGTH_MAX || self.problems.len() > 50 {
            return None;
        }
        let outside = (0..self.tree.names.len() as u32)
            .map(NameId)
            .filter(|name| !matches!(self.resolve_outside(*name), Resolved::Unknown));
        // Almost any name is one letter away from a short one.
        let length = text.chars().count();
        let near_enough = (1 + length / 4).min(length / 3);
        self.scope
            .names()
            .chain(outside)
            .take(LOOKED_AT_MAX)
            .map(|name| self.tree.names.text(name))
            .filter(|known| known.len() <= LENGTH_MAX)
            .map(|known| (edits(text, known), known))
            .filter(|(edits, _)| *edits <= near_enough)
            .min_by_key(|(edits, _)| *edits)
            .map(|(_, known)| Rc::clone(known))
    }
}

/// How many characters must be added, removed or replaced to make one text of the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, here) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, there) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(here != *there);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// The entry of a table by name.
fn get<T: Copy>(table: &[Option<T>], name: NameId) -> Option<T> {
    table.get(name.0 as usize).copied().flatten()
}

/// Sets the entry of a table by name.
fn put<T: Copy>(table: &mut Vec<Option<T>>, name: NameId, value: T) {
    let index = name.0 as usize;
    if index >= table.len() {
        table.resize(index + 1, None);
    }
    table[index] = Some(value);
}
