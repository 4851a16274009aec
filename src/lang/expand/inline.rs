//! Library functions that are written out where they are called.
//!
//! `(fold (lambda (sum x) …) 0 list)` with the function in sight becomes the loop that `fold` is, with
//! the text of the function in it: no function is made, and none is called. What the prelude says is
//! expanded once more at the place of the call, where it sees none of the file's names.

use super::body::{Definition, ItemSource};
use super::scope::Scope;
use super::{Expander, Resolved, get};
use crate::lang::builtin::{Builtin, Form};
use crate::lang::ir::{Expr, ExprKind, FunctionId, Statement};
use crate::lang::names::NameId;
use crate::lang::source::Span;
use crate::lang::tree::NodeId;

/// Functions whose first argument is a function: with how many arguments they are called, and with
/// how many they call it.
const INLINED: &[(&str, usize, usize)] = &[
    ("%map", 2, 1),
    ("%for-each", 2, 1),
    ("filter", 2, 1),
    ("fold", 3, 2),
];

impl Expander<'_> {
    /// Writes out a call of a library function, if that is worth it.
    pub(super) fn inlined(
        &mut self,
        name: NameId,
        arguments: &[NodeId],
        span: Span,
    ) -> Option<Expr> {
        let text = self.text(name);
        let (_, _, count) = INLINED
            .iter()
            .find(|(known, count, _)| **known == *text && *count == arguments.len())?;
        let (first, others) = arguments.split_first()?;
        let function = self.function_in_sight(*first, *count)?;
        let values = self.exprs(others);
        // From here on nothing is seen but the prelude, and everything stands where the call stands.
        let scope = std::mem::take::<Scope>(&mut self.scope);
        let was_in_prelude = std::mem::replace(&mut self.in_prelude, true);
        let place = self.place.replace(span);
        let expr = self.written_out(name, function, values, span);
        self.place = place;
        self.in_prelude = was_in_prelude;
        self.scope = scope;
        expr
    }

    fn written_out(
        &mut self,
        name: NameId,
        function: FunctionId,
        values: Vec<Expr>,
        span: Span,
    ) -> Option<Expr> {
        let node = get(&self.library, name)?.node;
        let Some(Definition {
            source: ItemSource::Function(source),
            ..
        }) = self.definition(node)
        else {
            return None;
        };
        let (names, _) = self.parameters(source.parameters);
        let (first, others) = names.split_first()?;
        let variable = self.bind_new(*first);
        let mut statements = vec![self.bind_functions(vec![(variable, function)])];
        for (name, value) in others.iter().zip(values) {
            let variable = self.bind_new(*name);
            statements.push(Statement::Bind(variable, value));
        }
        statements.push(Statement::Expr(self.body(&source.body, span)));
        Some(Expr::new(ExprKind::Block(statements), span))
    }

    /// The function that an argument is, if it is a `lambda` or a built-in operation.
    fn function_in_sight(&mut self, node: NodeId, count: usize) -> Option<FunctionId> {
        if let Some(source) = self.as_function(node) {
            return Some(self.function(&source, "lambda".into()));
        }
        let name = self.tree.symbol(node)?;
        match self.resolve(name) {
            Resolved::Builtin(builtin) => {
                let form = builtin.form(count)?;
                Some(self.operation_function(builtin, form, count))
            }
            _ => None,
        }
    }

    /// A function around an operation.
    pub(super) fn operation_function(
        &mut self,
        builtin: &'static Builtin,
        form: &Form,
        count: usize,
    ) -> FunctionId {
        let span = self.place.unwrap_or_default();
        let function = self.new_library_function(builtin.name, span);
        self.around.push(function);
        let operand = self.tree.names.intern("operand");
        let parameters: Vec<_> = (0..count).map(|_| self.new_variable(operand)).collect();
        self.around.pop();
        let operands = parameters
            .iter()
            .map(|variable| Expr::new(ExprKind::Local(*variable), span))
            .collect();
        let body = self.operation_of(form, operands, span);
        let declared = &mut self.module.functions[function.index()];
        declared.parameters = parameters;
        declared.body = body;
        function
    }
}
