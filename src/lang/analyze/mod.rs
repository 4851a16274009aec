//! What becomes of each function and variable.
//!
//! A function in the source need not become one of the program:
//!
//! * It is a *join* when all calls of it have the same continuation as the block that binds it, or as
//!   the one place that calls it: then calling it is jumping to it. Named `let`s and local helpers
//!   in tail position end up as loops this way. One that opens or closes sandboxes, which are of its frame, is none.
//! * It is *known* when it is only ever called: then the variables that it uses of the functions
//!   around it travel as further arguments.
//! * Else it is a *closure*, a value that captures those variables.
//!
//! Everything that is not a join is a *root*: one function of the program.
//!
//! | file | what it holds |
//! |---|---|
//! | `usage` | one walk over everything: who calls, uses and creates what |
//! | `joins` | which functions are joins |
//! | `captures` | which variables a root needs from outside |

mod captures;
mod joins;
mod usage;

use super::diagnostic::Problems;
use super::ir::{ExprKind, FunctionId, Module, VariableId};
use usage::Usage;

/// What becomes of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// At top level, or of the prelude.
    Top,
    /// A place in the code of the function around it, reached by jumps.
    Join,
    /// Like `Join`, but written down at the one place that calls it.
    Inline,
    /// A function of the program that is only called.
    Known,
    /// A value.
    Closure,
}

/// The result.
#[derive(Debug)]
pub(crate) struct Analysis {
    /// By function: what becomes of it.
    pub(crate) roles: Vec<Role>,
    /// By function: the calls of it.
    pub(crate) calls: Vec<u32>,
    /// By function: whether it calls itself in tail position.
    pub(crate) is_loop: Vec<bool>,
    /// By function: the group of joins that it belongs to.
    pub(crate) groups: Vec<Option<u32>>,
    /// The functions of each group, with the variables they are bound to.
    pub(crate) members: Vec<Vec<(VariableId, FunctionId)>>,
    /// By variable: the function that it always is.
    pub(crate) bound_function: Vec<Option<FunctionId>>,
    /// By function: the variable that always is this closure.
    pub(crate) own_variable: Vec<Option<VariableId>>,
    /// By function: the variables it gets from outside, as captured values or further arguments.
    pub(crate) captures: Vec<Vec<VariableId>>,
    /// By variable: whether it lives in a cell.
    pub(crate) is_boxed: Vec<bool>,
}

/// Decides about every function and variable of a module.
pub(crate) fn analyze(module: &Module, problems: &mut Problems) -> Analysis {
    let mut usage = Usage::of(module);
    let roles = joins::find(module, &mut usage);
    let homes = joins::homes(&usage, &roles);
    let captures = captures::find(module, &usage, roles, &homes, problems);
    let is_loop = (0..module.functions.len())
        .map(|function| usage.is_loop(function))
        .collect();
    Analysis {
        roles: captures.roles,
        calls: usage.sites.iter().map(|sites| sites.len() as u32).collect(),
        is_loop,
        groups: usage.group_of,
        members: usage
            .groups
            .into_iter()
            .map(|group| group.members)
            .collect(),
        bound_function: usage.bound_function,
        own_variable: captures.own_variable,
        captures: captures.captures,
        is_boxed: captures.is_boxed,
    }
}

/// The function that a callee is known to be: one of the program, or one bound to a variable.
pub(crate) fn known_callee(
    module: &Module,
    bound_function: &[Option<FunctionId>],
    callee: &ExprKind,
) -> Option<FunctionId> {
    use super::ir::Known;
    match callee {
        ExprKind::Function(function) => Some(*function),
        ExprKind::Global(global) => match module.globals[global.index()].fixed() {
            Some(Known::Function(function)) => Some(*function),
            _ => None,
        },
        ExprKind::Local(variable) => bound_function[variable.index()],
        _ => None,
    }
}
