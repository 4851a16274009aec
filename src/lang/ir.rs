//! The form between text and instructions: names are resolved, special forms reduced to a few.
//!
//! Constructs that are long in a source (bodies, `cond`, `and`) are flat lists here, so the depth of
//! an expression is bounded by the nesting of the source, which the expander limits.

use std::rc::Rc;

use super::builtin::Shape;
use super::names::NameId;
use super::source::Span;
use super::tree::NodeId;

macro_rules! numbers {
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        pub(crate) struct $name(pub(crate) u32);

        impl $name {
            /// The number as a position in a table.
            pub(crate) fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

numbers! {
    /// A local variable of any function.
    VariableId,
    /// A function, whether it becomes one of the program or a loop.
    FunctionId,
    /// A name defined at top level of the user's file.
    GlobalId,
}

/// A local variable.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    /// Its name.
    pub(crate) name: NameId,
    /// The function in whose text it is bound.
    pub(crate) owner: FunctionId,
    /// Whether some `set!` names it.
    pub(crate) is_mutated: bool,
    /// Whether it can be read before its definition ran.
    pub(crate) is_checked: bool,
    /// The function that it is bound to, unless some `set!` makes it another.
    pub(crate) function: Option<FunctionId>,
}

/// A name defined at top level.
#[derive(Clone, Debug)]
pub(crate) struct Global {
    /// The name.
    pub(crate) name: NameId,
    /// How many definitions it has.
    pub(crate) definitions: u32,
    /// Whether some `set!` names it.
    pub(crate) is_assigned: bool,
    /// What its definition gives it, when that is known before the program runs.
    pub(crate) known: Option<Known>,
}

impl Global {
    /// The value it always has.
    pub(crate) fn fixed(&self) -> Option<&Known> {
        self.known
            .as_ref()
            .filter(|_| self.definitions == 1 && !self.is_assigned)
    }
}

/// A value known before the program runs.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// A function of the program.
    Function(FunctionId),
    /// A literal.
    Constant(Constant),
}

/// A function in the source.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name, or `lambda`.
    pub(crate) name: Rc<str>,
    /// Where it stands.
    pub(crate) span: Span,
    /// Whether it stands in the prelude.
    pub(crate) is_prelude: bool,
    /// Its parameters.
    pub(crate) parameters: Vec<VariableId>,
    /// The parameter that receives further arguments as a list.
    pub(crate) rest: Option<VariableId>,
    /// What it computes.
    pub(crate) body: Expr,
    /// The trust annotations in it.
    pub(crate) annotations: Vec<&'static str>,
}

/// A literal.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Constant {
    /// `nil`.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    String(Rc<str>),
    /// A symbol.
    Symbol(NameId),
    /// A quoted list.
    Datum(NodeId),
}

/// An expression.
#[derive(Debug)]
pub(crate) struct Expr {
    /// What it is.
    pub(crate) kind: ExprKind,
    /// Where it stands.
    pub(crate) span: Span,
}

/// The kinds of expression.
#[derive(Debug)]
pub(crate) enum ExprKind {
    /// A literal.
    Constant(Constant),
    /// The value of a local variable.
    Local(VariableId),
    /// The value of a global.
    Global(GlobalId),
    /// A function of the program as a value.
    Function(FunctionId),
    /// A new function.
    Lambda(FunctionId),
    /// `set!` of a local variable.
    SetLocal(VariableId, Box<Expr>),
    /// `set!` or definition of a global.
    SetGlobal(GlobalId, Box<Expr>),
    /// The value of the first clause whose test holds; nil without any.
    Cond(Vec<Clause>, Option<Box<Expr>>),
    /// The first value that is false or nil, or the last.
    And(Vec<Expr>),
    /// The first value that is not, or the last.
    Or(Vec<Expr>),
    /// Statements in order; the value is that of the last expression.
    Block(Vec<Statement>),
    /// Evaluates the second as long as the first holds.
    While(Box<Expr>, Box<Expr>),
    /// A call.
    Call(Box<Expr>, Vec<Expr>),
    /// A call with the elements of a list.
    Apply(Box<Expr>, Box<Expr>),
    /// A built-in operation.
    Primitive(Shape, Vec<Expr>),
    /// Evaluates a body; a raised value is bound for the handler.
    Try(Box<Try>),
}

/// A test with what follows when it holds; without that the value of the test.
#[derive(Debug)]
pub(crate) struct Clause {
    /// The test.
    pub(crate) test: Expr,
    /// The value.
    pub(crate) body: Option<Expr>,
}

/// `try`.
#[derive(Debug)]
pub(crate) struct Try {
    /// What may raise.
    pub(crate) body: Expr,
    /// The variable for the raised value.
    pub(crate) variable: VariableId,
    /// What happens then.
    pub(crate) handler: Expr,
}

/// A part of a block. Variables bound by it are visible to the end of the block.
#[derive(Debug)]
pub(crate) enum Statement {
    /// Evaluated for its effect, or as the block's value when it is the last.
    Expr(Expr),
    /// Gives a variable its value.
    Bind(VariableId, Expr),
    /// Functions that may refer to themselves and to each other.
    Functions(Vec<(VariableId, FunctionId)>),
}

impl Expr {
    /// An expression.
    pub(crate) fn new(kind: ExprKind, span: Span) -> Expr {
        Expr { kind, span }
    }

    /// nil.
    pub(crate) fn nil(span: Span) -> Expr {
        Expr::new(ExprKind::Constant(Constant::Nil), span)
    }

    /// A literal.
    pub(crate) fn constant(constant: Constant, span: Span) -> Expr {
        Expr::new(ExprKind::Constant(constant), span)
    }
}

/// Everything that was expanded.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Local variables.
    pub(crate) variables: Vec<Variable>,
    /// Functions; the first is the entry.
    pub(crate) functions: Vec<Function>,
    /// Names defined at top level.
    pub(crate) globals: Vec<Global>,
}
