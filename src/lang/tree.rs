//! What the reader makes: data in one flat table.
//!
//! Nodes name each other by number, so that neither building, walking nor dropping a datum of any
//! depth needs the native stack.

use std::rc::Rc;

use super::names::{NameId, Names};
use super::source::Span;

/// The number of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NodeId(u32);

/// A datum.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Node {
    /// `nil`.
    Nil,
    /// `true` and `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    String(Rc<str>),
    /// A name, or a word that starts with a colon.
    Symbol(NameId),
    /// `(…)` or `[…]`.
    List(Items),
    /// `'datum`.
    Quote(NodeId),
    /// A place at which an error was already reported.
    Damaged,
}

/// The elements of a list: a range of the tree's table.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Items {
    start: u32,
    end: u32,
    /// What follows the dot, if there is one.
    pub(crate) tail: Option<NodeId>,
}

/// All data of a source text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<(Node, Span)>,
    items: Vec<NodeId>,
    /// Every name in it.
    pub(crate) names: Names,
}

impl Tree {
    /// Adds a node.
    pub(crate) fn add(&mut self, node: Node, span: Span) -> NodeId {
        self.nodes.push((node, span));
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// Adds a list of nodes.
    pub(crate) fn add_list(
        &mut self,
        items: impl IntoIterator<Item = NodeId>,
        tail: Option<NodeId>,
        span: Span,
    ) -> NodeId {
        let start = self.items.len() as u32;
        self.items.extend(items);
        let end = self.items.len() as u32;
        self.add(Node::List(Items { start, end, tail }), span)
    }

    /// A node.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize].0
    }

    /// Where a node stands.
    pub(crate) fn span(&self, id: NodeId) -> Span {
        self.nodes[id.0 as usize].1
    }

    /// The elements of a list.
    pub(crate) fn elements(&self, items: Items) -> &[NodeId] {
        &self.items[items.start as usize..items.end as usize]
    }

    /// The elements of a node that is a list without a dot.
    pub(crate) fn list(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            Node::List(items) if items.tail.is_none() => Some(self.elements(*items)),
            _ => None,
        }
    }

    /// The elements of a node that is a list, before its dot if it has one.
    pub(crate) fn node_items(&self, id: NodeId) -> Option<&[NodeId]> {
        match self.node(id) {
            Node::List(items) => Some(self.elements(*items)),
            _ => None,
        }
    }

    /// The name that a node is.
    pub(crate) fn symbol(&self, id: NodeId) -> Option<NameId> {
        match self.node(id) {
            Node::Symbol(name) => Some(*name),
            _ => None,
        }
    }

    /// The text of the name that a node is.
    pub(crate) fn symbol_text(&self, id: NodeId) -> Option<&str> {
        self.symbol(id).map(|name| &**self.names.text(name))
    }
}
