//! Bodies: expressions and definitions in any order.
//!
//! The definitions of a body can refer to each other. A function comes into being just before the
//! first item that needs it, so that it finds as many of the body's variables as possible already
//! there. A variable that can be read earlier than its definition runs is *checked*: reading it then
//! raises an Error.

use super::Expander;
use super::binding::{FunctionSource, Parameters};
use crate::lang::builtin::Special;
use crate::lang::ir::{Expr, ExprKind, FunctionId, Statement, VariableId};
use crate::lang::names::NameId;
use crate::lang::source::Span;
use crate::lang::tree::NodeId;

/// A part of a body.
#[derive(Debug)]
pub(super) struct Item {
    /// The variable it defines.
    pub(super) defines: Option<(NameId, VariableId)>,
    /// Its value.
    pub(super) source: ItemSource,
}

/// Where the value of an item comes from.
#[derive(Debug)]
pub(super) enum ItemSource {
    /// A function.
    Function(FunctionSource),
    /// Anything else.
    Expr(NodeId),
    /// A body with a scope of its own.
    Body(Vec<NodeId>, Span),
}

impl Item {
    /// The body behind definitions.
    pub(super) fn body(nodes: &[NodeId], span: Span) -> Item {
        Item {
            defines: None,
            source: ItemSource::Body(nodes.to_vec(), span),
        }
    }
}

/// A definition as it stands in the source.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: NameId,
    pub(super) source: ItemSource,
}

/// What became of an item.
enum Expanded {
    Function(VariableId, FunctionId),
    Bind(VariableId, Expr),
    Expr(Expr),
}

impl Expander<'_> {
    /// Whether a datum is a definition, or a `begin` whose parts belong to the body around it.
    pub(super) fn body_form(&self, node: NodeId) -> Option<Special> {
        let (inner, _) = self.without_annotations(node);
        let (special, _) = self.special_form(inner)?;
        matches!(special, Special::Define | Special::Defn | Special::Begin).then_some(special)
    }

    /// Takes apart nested `begin`s: the data that stand directly in a body.
    pub(super) fn flatten(&mut self, nodes: &[NodeId]) -> Vec<NodeId> {
        let mut flat = Vec::with_capacity(nodes.len());
        let mut stack: Vec<NodeId> = nodes.iter().rev().copied().collect();
        while let Some(node) = stack.pop() {
            let (inner, annotations) = self.without_annotations(node);
            match self.special_form(inner) {
                Some((Special::Begin, [_, parts @ ..])) => {
                    // An empty one is nil, which matters when it comes last.
                    if parts.is_empty() {
                        flat.push(inner);
                    }
                    stack.extend(parts.iter().rev());
                    if let Some(function) = self.around.last().copied() {
                        self.annotate(function, &annotations);
                    }
                }
                _ => flat.push(node),
            }
        }
        flat
    }

    /// Expands a body in a scope of its own.
    pub(super) fn body(&mut self, nodes: &[NodeId], span: Span) -> Expr {
        if let [only] = nodes
            && self.body_form(*only).is_none()
        {
            return self.expr(*only);
        }
        let nodes = self.flatten(nodes);
        let is_definition = |expander: &Self, node: NodeId| {
            matches!(
                expander.body_form(node),
                Some(Special::Define | Special::Defn)
            )
        };
        if !nodes.iter().any(|node| is_definition(self, *node)) {
            return match nodes[..] {
                [] => Expr::nil(span),
                _ => {
                    let statements = nodes.iter().map(|node| Statement::Expr(self.part(*node)));
                    Expr::new(ExprKind::Block(statements.collect()), span)
                }
            };
        }
        let mut items = Vec::with_capacity(nodes.len());
        let mut defined: Vec<(NameId, NodeId)> = Vec::new();
        for node in nodes {
            if !is_definition(self, node) {
                items.push(Item {
                    defines: None,
                    source: ItemSource::Expr(node),
                });
                continue;
            }
            if let Some(definition) = self.definition(node) {
                let variable = self.new_variable(definition.name);
                defined.push((definition.name, node));
                items.push(Item {
                    defines: Some((definition.name, variable)),
                    source: definition.source,
                });
            }
        }
        self.refuse_duplicate_definitions(defined);
        let mark = self.scope.mark();
        let mut statements = Vec::with_capacity(items.len());
        self.items(items, &[], &mut statements);
        self.scope.reset(mark);
        Expr::new(ExprKind::Block(statements), span)
    }

    /// Expands a datum of a flattened body.
    pub(super) fn part(&mut self, node: NodeId) -> Expr {
        match self.special_form(node) {
            // What is left of a `begin` without parts.
            Some((Special::Begin, [_])) => Expr::nil(self.span(node)),
            _ => self.expr(node),
        }
    }

    fn refuse_duplicate_definitions(&mut self, mut defined: Vec<(NameId, NodeId)>) {
        defined.sort_by_key(|(name, _)| *name);
        for two in defined.windows(2) {
            if two[0].0 == two[1].0 {
                let text = self.text(two[1].0);
                self.problems.report_with_help(
                    self.span(two[1].1),
                    format!("`{text}` is already defined in this body"),
                    "expected another name",
                    "`set!` gives a variable a new value",
                );
            }
        }
    }

    /// Takes a `define` or `defn` apart.
    pub(super) fn definition(&mut self, node: NodeId) -> Option<Definition> {
        let (inner, annotations) = self.without_annotations(node);
        let span = self.span(inner);
        let (special, items) = self.special_form(inner)?;
        let items = items.to_vec();
        let signature = items
            .get(1)
            .and_then(|target| self.tree.node_items(*target));
        match (special, &items[..]) {
            (Special::Defn, [_, name, parameters, body @ ..]) => {
                let name = self.binding_name(*name)?;
                let source = FunctionSource {
                    parameters: Parameters::Node(*parameters),
                    body: body.to_vec(),
                    annotations,
                    span,
                };
                Some(Definition {
                    name,
                    source: ItemSource::Function(source),
                })
            }
            (Special::Define, [_, target, body @ ..]) if signature.is_some() => {
                let Some(name) = signature.and_then(|items| items.first().copied()) else {
                    self.malformed(span, "define", "(define (name parameter…) body…)");
                    return None;
                };
                let name = self.binding_name(name)?;
                let source = FunctionSource {
                    parameters: Parameters::AfterName(*target),
                    body: body.to_vec(),
                    annotations,
                    span,
                };
                Some(Definition {
                    name,
                    source: ItemSource::Function(source),
                })
            }
            (Special::Define, [_, name, value]) => {
                let name = self.binding_name(*name)?;
                let source = match self.as_function(*value) {
                    Some(mut source) => {
                        source.annotations.extend(annotations);
                        ItemSource::Function(source)
                    }
                    None => {
                        if let Some(function) = self.around.last().copied() {
                            self.annotate(function, &annotations);
                        }
                        ItemSource::Expr(*value)
                    }
                };
                Some(Definition { name, source })
            }
            (Special::Defn, _) => {
                self.malformed(span, "defn", "(defn name [parameter…] body…)");
                None
            }
            _ => {
                self.malformed(
                    span,
                    "define",
                    "(define name value) or (define (name parameter…) body…)",
                );
                None
            }
        }
    }

    /// Expands items whose definitions see each other; `late` are names that only items without a
    /// definition see. Bindings are left in the scope for the caller to take back.
    pub(super) fn items(
        &mut self,
        items: Vec<Item>,
        late: &[(NameId, VariableId)],
        statements: &mut Vec<Statement>,
    ) {
        self.scope.open_frame();
        for (position, item) in items.iter().enumerate() {
            if let Some((name, variable)) = item.defines {
                self.scope.bind_definition(name, variable, position as u32);
            }
        }
        let mut are_late_bound = late.is_empty();
        let mut expanded = Vec::with_capacity(items.len());
        for (position, item) in items.into_iter().enumerate() {
            if item.defines.is_none() && !are_late_bound {
                are_late_bound = true;
                for (name, variable) in late {
                    self.scope.bind(*name, *variable);
                }
            }
            self.scope.enter_item(position);
            expanded.push(self.item(item));
        }
        let references = self.scope.close_frame();
        self.order(expanded, &references, statements);
    }

    fn item(&mut self, item: Item) -> Expanded {
        match (item.source, item.defines) {
            (ItemSource::Function(source), Some((name, variable))) => {
                let text = self.text(name);
                Expanded::Function(variable, self.function(&source, text))
            }
            (ItemSource::Function(source), None) => {
                let function = self.function(&source, "lambda".into());
                Expanded::Expr(Expr::new(ExprKind::Lambda(function), source.span))
            }
            (ItemSource::Expr(node), Some((_, variable))) => {
                Expanded::Bind(variable, self.expr(node))
            }
            (ItemSource::Expr(node), None) => Expanded::Expr(self.part(node)),
            (ItemSource::Body(nodes, span), _) => Expanded::Expr(self.body(&nodes, span)),
        }
    }

    /// Puts functions just before the first item that needs them, and finds the variables that can
    /// be read too early.
    fn order(
        &mut self,
        expanded: Vec<Expanded>,
        references: &[(u32, u32)],
        statements: &mut Vec<Statement>,
    ) {
        let count = expanded.len();
        let mut refers_to: Vec<Vec<u32>> = vec![Vec::new(); count];
        for (item, definition) in references {
            refers_to[*item as usize].push(*definition);
        }
        let has_value = matches!(expanded.last(), Some(Expanded::Expr(_)));
        let is_function = |item: &Expanded| matches!(item, Expanded::Function(..));
        // The item before which each function is made; functions that nobody needs are left out.
        let mut place: Vec<Option<usize>> = expanded
            .iter()
            .enumerate()
            .map(|(at, item)| (!is_function(item)).then_some(at))
            .collect();
        let mut made_before: Vec<Vec<usize>> = vec![Vec::new(); count];
        for at in 0..count {
            if is_function(&expanded[at]) {
                continue;
            }
            let mut reached: Vec<usize> = vec![at];
            while let Some(user) = reached.pop() {
                for definition in &refers_to[user] {
                    let definition = *definition as usize;
                    match &expanded[definition] {
                        Expanded::Function(..) if place[definition].is_none() => {
                            place[definition] = Some(at);
                            made_before[at].push(definition);
                            reached.push(definition);
                        }
                        Expanded::Bind(variable, _) if at <= definition => {
                            self.module.variables[variable.index()].is_checked = true;
                        }
                        _ => {}
                    }
                }
            }
        }
        let mut expanded: Vec<Option<Expanded>> = expanded.into_iter().map(Some).collect();
        for at in 0..count {
            let mut functions = std::mem::take(&mut made_before[at]);
            functions.sort_unstable();
            for group in components(&functions, &refers_to) {
                let members =
                    group
                        .into_iter()
                        .filter_map(|member| match expanded[member].take() {
                            Some(Expanded::Function(variable, function)) => {
                                Some((variable, function))
                            }
                            _ => None,
                        });
                let members = members.collect();
                statements.push(self.bind_functions(members));
            }
            // A function stays where it is until an item needs it.
            match expanded[at].take_if(|item| !is_function(item)) {
                Some(Expanded::Bind(variable, value)) => {
                    statements.push(Statement::Bind(variable, value))
                }
                Some(Expanded::Expr(value)) => statements.push(Statement::Expr(value)),
                Some(Expanded::Function(..)) | None => {}
            }
        }
        if !has_value {
            // A body that ends with a definition has no value of its own.
            statements.push(Statement::Expr(Expr::nil(Span::default())));
        }
    }
}

/// Groups functions that need each other, each group behind those that it needs. (Tarjan's
/// algorithm with a stack of its own.)
fn components(functions: &[usize], refers_to: &[Vec<u32>]) -> Vec<Vec<usize>> {
    let position = |function: usize| functions.binary_search(&function).ok();
    let count = functions.len();
    let mut order: Vec<Option<usize>> = vec![None; count];
    let mut lowest = vec![0; count];
    let mut is_open = vec![false; count];
    let mut open = Vec::new();
    let mut groups = Vec::new();
    let mut next = 0;
    for root in 0..count {
        if order[root].is_some() {
            continue;
        }
        let mut visits: Vec<(usize, usize)> = vec![(root, 0)];
        while let Some((at, edge)) = visits.pop() {
            if edge == 0 {
                order[at] = Some(next);
                lowest[at] = next;
                next += 1;
                open.push(at);
                is_open[at] = true;
            }
            if let Some(target) = refers_to[functions[at]].get(edge) {
                visits.push((at, edge + 1));
                if let Some(target) = position(*target as usize) {
                    match order[target] {
                        None => visits.push((target, 0)),
                        Some(number) if is_open[target] => lowest[at] = lowest[at].min(number),
                        Some(_) => {}
                    }
                }
                continue;
            }
            if let Some((parent, _)) = visits.last() {
                lowest[*parent] = lowest[*parent].min(lowest[at]);
            }
            if Some(lowest[at]) == order[at] {
                let start = open.iter().rposition(|member| *member == at).unwrap_or(0);
                let mut group: Vec<usize> = open.drain(start..).collect();
                group.iter().for_each(|member| is_open[*member] = false);
                group.sort_unstable();
                groups.push(group.into_iter().map(|member| functions[member]).collect());
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::components;

    #[test]
    fn functions_that_need_each_other_come_together_behind_what_they_need() {
        // 0 -> 1 -> 2 -> 1, 3 -> 0, 4
        let refers_to = vec![vec![1], vec![2], vec![1], vec![0, 3], vec![]];
        assert_eq!(
            components(&[0, 1, 2, 3, 4], &refers_to),
            vec![vec![1, 2], vec![0], vec![3], vec![4]]
        );
        assert_eq!(components(&[0, 3], &refers_to), vec![vec![0], vec![3]]);
    }
}
