//! From tokens to data.
//!
//! The reader keeps its own stack of open lists and quotes, so depth costs memory and nothing else.

use std::rc::Rc;

use super::diagnostic::Problems;
use super::lexer::{Bracket, Lexer, Token};
use super::source::{Source, Span};
use super::tree::{Node, NodeId, Tree};

/// What reading a text gave.
#[derive(Debug)]
pub(crate) struct Read {
    /// The data at top level.
    pub(crate) top: Vec<NodeId>,
    /// How deep the deepest list stands, quoted data not counted.
    pub(crate) depth: usize,
    /// Whether every list is closed: if not, what a form contains is anybody's guess.
    pub(crate) is_balanced: bool,
}

/// Reads all data of a source text into `tree`. Errors go to `problems`; what could be read is
/// returned.
pub(crate) fn read(source: &Source, tree: &mut Tree, problems: &mut Problems) -> Read {
    let mut reader = Reader {
        source,
        tree,
        top: Vec::new(),
        depth: 0,
        open: Vec::new(),
        pending: Vec::new(),
        quoted: 0,
        lists: 0,
        is_balanced: true,
        suspect: None,
    };
    let mut lexer = Lexer::new(source.text());
    while let Some((token, span)) = lexer.next(problems) {
        reader.take(token, span, problems);
    }
    reader.finish(problems);
    Read {
        top: reader.top,
        depth: reader.depth,
        is_balanced: reader.is_balanced,
    }
}

/// What is not complete yet.
#[derive(Debug)]
enum Open {
    List {
        bracket: Bracket,
        span: Span,
        /// Where its elements start in the pending nodes.
        first: usize,
        dot: Dot,
    },
    Quote {
        span: Span,
    },
}

/// How far a list with a dot is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dot {
    None,
    Seen(Span),
    Tail(NodeId),
}

struct Reader<'a> {
    source: &'a Source,
    tree: &'a mut Tree,
    top: Vec<NodeId>,
    depth: usize,
    open: Vec<Open>,
    /// Elements of all open lists, one after the other.
    pending: Vec<NodeId>,
    /// Open quotes, and open lists outside of any quote.
    quoted: usize,
    lists: usize,
    is_balanced: bool,
    /// The first `(` at the start of a line inside a list, with the list: a parenthesis is probably
    /// missing between the two.
    suspect: Option<(Span, Span)>,
}

impl Reader<'_> {
    fn take(&mut self, token: Token<'_>, span: Span, problems: &mut Problems) {
        let node = match token {
            Token::Open(bracket) => return self.open_list(bracket, span),
            Token::Close(bracket) => return self.close_list(bracket, span, problems),
            Token::Quote => {
                self.quoted += 1;
                self.open.push(Open::Quote { span });
                return;
            }
            Token::Dot => return self.dot(span, problems),
            Token::Int(value) => Node::Int(value),
            Token::Float(value) => Node::Float(value),
            Token::String(value) => Node::String(Rc::from(value)),
            Token::Word(word) => self.word(word),
            Token::Damaged => Node::Damaged,
        };
        let node = self.tree.add(node, span);
        self.complete(node, span, problems);
    }

    fn word(&mut self, word: &str) -> Node {
        match word {
            "nil" => Node::Nil,
            "true" => Node::Bool(true),
            "false" => Node::Bool(false),
            "nan" => Node::Float(f64::NAN),
            "inf" => Node::Float(f64::INFINITY),
            "-inf" => Node::Float(f64::NEG_INFINITY),
            _ => Node::Symbol(self.tree.names.intern(word)),
        }
    }

    fn open_list(&mut self, bracket: Bracket, span: Span) {
        if self.suspect.is_none() && self.source.line_start(span.start) == span.start as usize {
            let enclosing = self.open.iter().rev().find_map(|open| match open {
                Open::List { span, .. } => Some(*span),
                Open::Quote { .. } => None,
            });
            self.suspect = enclosing.map(|enclosing| (enclosing, span));
        }
        if self.quoted == 0 {
            self.lists += 1;
            self.depth = self.depth.max(self.lists);
        }
        self.open.push(Open::List {
            bracket,
            span,
            first: self.pending.len(),
            dot: Dot::None,
        });
    }

    fn close_list(&mut self, closing: Bracket, closing_span: Span, problems: &mut Problems) {
        if let Some(Open::Quote { span }) = self.open.last() {
            problems.report(
                *span,
                "nothing is quoted here",
                "expected a datum after `'`",
            );
            self.drop_quotes();
        }
        let Some(Open::List {
            bracket,
            span,
            first,
            dot,
        }) = self.open.pop()
        else {
            self.is_balanced = false;
            problems.report(
                closing_span,
                format!("unexpected `{}`", closing.closing()),
                "there is no open parenthesis that it could close",
            );
            return;
        };
        if bracket != closing {
            problems.report(
                closing_span,
                format!("`{}` does not close this list", closing.closing()),
                format!("expected `{}`: {}", bracket.closing(), self.opened_at(span)),
            );
        }
        let tail = match dot {
            Dot::None => None,
            Dot::Tail(tail) => Some(tail),
            Dot::Seen(dot) => {
                problems.report(
                    dot,
                    "nothing follows the dot",
                    "expected one datum after `.`",
                );
                None
            }
        };
        if self.quoted == 0 {
            self.lists -= 1;
        }
        let whole = span.to(closing_span);
        let node = self.tree.add_list(self.pending.drain(first..), tail, whole);
        self.complete(node, whole, problems);
    }

    fn dot(&mut self, span: Span, problems: &mut Problems) {
        match self.open.last_mut() {
            Some(Open::List {
                first,
                dot: dot @ Dot::None,
                ..
            }) if *first < self.pending.len() => {
                *dot = Dot::Seen(span);
            }
            _ => problems.report(
                span,
                "misplaced `.`",
                "a dot stands between two data of a list",
            ),
        }
    }

    /// Adds a complete datum to what is open around it.
    fn complete(&mut self, mut node: NodeId, span: Span, problems: &mut Problems) {
        while let Some(Open::Quote { span: quote }) = self.open.last() {
            let whole = quote.to(span);
            self.open.pop();
            self.quoted -= 1;
            node = self.tree.add(Node::Quote(node), whole);
        }
        match self.open.last_mut() {
            Some(Open::List {
                dot: dot @ Dot::Seen(_),
                ..
            }) => *dot = Dot::Tail(node),
            Some(Open::List {
                dot: Dot::Tail(_), ..
            }) => {
                problems.report(
                    span,
                    "more than one datum after the dot",
                    "expected the end of the list",
                );
            }
            Some(_) => self.pending.push(node),
            None => self.top.push(node),
        }
    }

    fn drop_quotes(&mut self) {
        while let Some(Open::Quote { .. }) = self.open.last() {
            self.open.pop();
            self.quoted -= 1;
        }
    }

    fn opened_at(&self, span: Span) -> String {
        let (line, column) = self.source.position(span.start);
        format!("the list was opened at {line}:{column}")
    }

    /// At the end of the text nothing may be open. One error is enough: a single missing
    /// parenthesis leaves everything around it open too.
    fn finish(&mut self, problems: &mut Problems) {
        if let Some(Open::Quote { span }) = self.open.last() {
            problems.report(
                *span,
                "nothing is quoted here",
                "expected a datum after `'`",
            );
            self.drop_quotes();
        }
        let mut lists = self.open.iter().filter_map(|open| match open {
            Open::List { bracket, span, .. } => Some((*bracket, *span)),
            Open::Quote { .. } => None,
        });
        let Some((bracket, outermost)) = lists.next() else {
            return;
        };
        let missing = 1 + lists.count();
        self.is_balanced = false;
        let first = Span {
            start: outermost.start,
            end: outermost.start + 1,
        };
        let label = match missing {
            1 => format!(
                "expected `{}` before the end of the file",
                bracket.closing()
            ),
            _ => format!("expected {missing} closing parentheses before the end of the file"),
        };
        match self.suspect {
            Some((enclosing, inner)) => {
                let (line, _) = self.source.position(inner.start);
                let help = format!(
                    "line {line} starts a form while {} is open: look for a missing parenthesis above it",
                    self.list_at(enclosing),
                );
                problems.report_with_help(first, "this list is never closed", label, help);
            }
            None => problems.report(first, "this list is never closed", label),
        }
    }

    fn list_at(&self, span: Span) -> String {
        let (line, column) = self.source.position(span.start);
        format!("the list that starts at {line}:{column}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data of a text in canonical spelling, and how many errors it has.
    fn shown(text: &str) -> (String, usize) {
        let source = Source::new("test", text);
        let mut problems = Problems::default();
        let mut tree = Tree::default();
        let read = read(&source, &mut tree, &mut problems);
        let shown: Vec<String> = read.top.iter().map(|node| show(&tree, *node)).collect();
        (shown.join(" "), problems.len())
    }

    fn show(tree: &Tree, node: NodeId) -> String {
        match tree.node(node) {
            Node::Symbol(name) => tree.names.text(*name).to_string(),
            Node::Quote(inner) => format!("'{}", show(tree, *inner)),
            Node::List(items) => {
                let mut parts: Vec<String> = tree
                    .elements(*items)
                    .iter()
                    .map(|item| show(tree, *item))
                    .collect();
                if let Some(tail) = items.tail {
                    parts.push(format!(". {}", show(tree, tail)));
                }
                format!("({})", parts.join(" "))
            }
            Node::String(text) => format!("{text:?}"),
            Node::Nil => "nil".to_owned(),
            Node::Bool(value) => value.to_string(),
            Node::Int(value) => value.to_string(),
            Node::Float(value) => format!("{value:?}"),
            Node::Damaged => "?".to_owned(),
        }
    }

    #[test]
    fn lists_quotes_and_dots() {
        assert_eq!(
            shown("(a [b 1] . c) ''(x) () nil").0,
            "(a (b 1) . c) ''(x) () nil"
        );
        assert_eq!(
            shown("true false nan inf -inf").0,
            "true false NaN inf -inf"
        );
    }

    #[test]
    fn structural_errors_are_reported_once_each() {
        for text in [
            "(",
            "((((",
            ")",
            "(a]",
            "'",
            "(a ')",
            "(. a)",
            "(a .)",
            "(a . b c)",
            ".",
        ] {
            assert_eq!(shown(text).1, 1, "{text}");
        }
        assert_eq!(shown("(a] (b) ) c").0, "(a) (b) c");
    }

    #[test]
    fn a_hundred_thousand_parentheses_are_read_without_the_native_stack() {
        let deep = 100_000;
        for text in [
            "(".repeat(deep),
            ")".repeat(deep),
            format!("{}{}", "(".repeat(deep), ")".repeat(deep)),
            "'".repeat(deep),
            "'(".repeat(deep),
            "(a . ".repeat(deep),
        ] {
            let source = Source::new("test", &text);
            let mut problems = Problems::default();
            read(&source, &mut Tree::default(), &mut problems);
        }
    }
}
