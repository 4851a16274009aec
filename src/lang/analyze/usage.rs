//! One walk over everything: who calls, uses and creates what.
//!
//! Places with the same *continuation* do the same with a value. Each function returns to a
//! continuation of its own; an expression in tail position has that of the expression around it,
//! every other one gets a new number. When a function turns out to be a join, its continuation
//! becomes that of its callers.

use super::known_callee;
use crate::lang::ir::{Expr, ExprKind, FunctionId, Module, Statement, VariableId};

/// The number of a continuation.
pub(super) type Continuation = u32;

/// A call of a function that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// The function in whose text it stands.
    pub(super) function: FunctionId,
    /// What happens with the result.
    pub(super) continuation: Continuation,
    /// How many arguments it has.
    pub(super) arguments: usize,
}

/// Functions that are bound together.
#[derive(Debug)]
pub(super) struct Group {
    /// The functions with their variables.
    pub(super) members: Vec<(VariableId, FunctionId)>,
    /// The continuation of the block that binds them.
    pub(super) continuation: Continuation,
    /// The function in whose text it stands.
    pub(super) function: FunctionId,
}

/// What the walk finds.
#[derive(Debug)]
pub(super) struct Usage {
    /// By function: the one in whose text it stands.
    pub(super) parents: Vec<Option<FunctionId>>,
    /// By function: what it returns to.
    pub(super) returns: Vec<Continuation>,
    /// By function: its calls.
    pub(super) sites: Vec<Vec<Site>>,
    /// By function: whether it is used as a value.
    pub(super) escapes: Vec<bool>,
    /// By function: whether something in its text is about its frame, so that it has one of its own.
    pub(super) has_frame: Vec<bool>,
    /// Groups, outer ones first.
    pub(super) groups: Vec<Group>,
    /// By function: the group it belongs to.
    pub(super) group_of: Vec<Option<u32>>,
    /// By variable: the function that it always is.
    pub(super) bound_function: Vec<Option<FunctionId>>,
    /// Variables and the functions in whose text they are read or set, calls apart.
    pub(super) uses: Vec<(FunctionId, VariableId)>,
    /// Functions that become values, with the function in whose text that happens.
    pub(super) created: Vec<(FunctionId, FunctionId)>,
    /// Union-find over continuations.
    joined: Vec<Continuation>,
}

impl Usage {
    /// Walks through all functions that a program can reach.
    pub(super) fn of(module: &Module) -> Usage {
        let functions = module.functions.len();
        let usage = Usage {
            parents: vec![None; functions],
            returns: (0..functions as u32).collect(),
            sites: vec![Vec::new(); functions],
            escapes: vec![false; functions],
            has_frame: vec![false; functions],
            groups: Vec::new(),
            group_of: vec![None; functions],
            bound_function: module
                .variables
                .iter()
                .map(|variable| variable.function.filter(|_| !variable.is_mutated))
                .collect(),
            uses: Vec::new(),
            created: Vec::new(),
            joined: (0..functions as u32).collect(),
        };
        let is_reached = vec![false; functions];
        let mut walk = Walk {
            module,
            usage,
            is_reached,
            queue: Vec::new(),
            function: FunctionId(0),
        };
        walk.reach(FunctionId(0));
        while let Some(function) = walk.queue.pop() {
            walk.function = function;
            let continuation = walk.usage.returns[function.index()];
            walk.expr(&module.functions[function.index()].body, continuation);
        }
        walk.usage
    }

    /// The representative of a continuation.
    pub(super) fn find(&mut self, continuation: Continuation) -> Continuation {
        let mut root = continuation;
        while self.joined[root as usize] != root {
            root = self.joined[root as usize];
        }
        let mut at = continuation;
        while self.joined[at as usize] != root {
            at = std::mem::replace(&mut self.joined[at as usize], root);
        }
        root
    }

    /// Makes two continuations one.
    pub(super) fn join(&mut self, from: Continuation, to: Continuation) {
        let (from, to) = (self.find(from), self.find(to));
        self.joined[from as usize] = to;
    }

    /// Whether a function calls itself in tail position.
    pub(super) fn is_loop(&mut self, function: usize) -> bool {
        let returns = self.find(self.returns[function]);
        let sites = std::mem::take(&mut self.sites[function]);
        let found = sites
            .iter()
            .any(|site| self.find(site.continuation) == returns);
        self.sites[function] = sites;
        found
    }
}

struct Walk<'a> {
    module: &'a Module,
    usage: Usage,
    is_reached: Vec<bool>,
    queue: Vec<FunctionId>,
    function: FunctionId,
}

impl Walk<'_> {
    /// Sees to it that a function is walked through.
    fn reach(&mut self, function: FunctionId) {
        if !std::mem::replace(&mut self.is_reached[function.index()], true) {
            self.queue.push(function);
        }
    }

    fn fresh(&mut self) -> Continuation {
        let next = self.usage.joined.len() as u32;
        self.usage.joined.push(next);
        next
    }

    fn value(&mut self, expr: &Expr) {
        let continuation = self.fresh();
        self.expr(expr, continuation);
    }

    fn values(&mut self, exprs: &[Expr]) {
        exprs.iter().for_each(|expr| self.value(expr));
    }

    fn use_variable(&mut self, variable: VariableId) {
        if let Some(function) = self.usage.bound_function[variable.index()] {
            self.usage.escapes[function.index()] = true;
        }
        let used = (self.function, variable);
        if self.usage.uses.last() != Some(&used) {
            self.usage.uses.push(used);
        }
    }

    fn create(&mut self, function: FunctionId) {
        self.usage.parents[function.index()] = Some(self.function);
        self.usage.created.push((self.function, function));
        self.reach(function);
    }

    fn expr(&mut self, expr: &Expr, continuation: Continuation) {
        match &expr.kind {
            ExprKind::Constant(_) | ExprKind::Global(_) => {}
            ExprKind::Function(function) => self.reach(*function),
            ExprKind::Local(variable) => self.use_variable(*variable),
            ExprKind::Lambda(function) => self.create(*function),
            ExprKind::SetLocal(variable, value) => {
                self.value(value);
                self.use_variable(*variable);
            }
            ExprKind::SetGlobal(_, value) => self.value(value),
            ExprKind::Cond(clauses, otherwise) => {
                for clause in clauses {
                    self.value(&clause.test);
                    if let Some(body) = &clause.body {
                        self.expr(body, continuation);
                    }
                }
                if let Some(otherwise) = otherwise {
                    self.expr(otherwise, continuation);
                }
            }
            ExprKind::And(parts) | ExprKind::Or(parts) => {
                if let Some((last, before)) = parts.split_last() {
                    self.values(before);
                    self.expr(last, continuation);
                }
            }
            ExprKind::Block(statements) => self.block(statements, continuation),
            ExprKind::While(test, body) => {
                self.value(test);
                self.value(body);
            }
            ExprKind::Call(callee, arguments) => self.call(callee, arguments, continuation),
            ExprKind::Apply(function, list) => {
                self.value(function);
                self.value(list);
            }
            ExprKind::Primitive(shape, operands) => {
                self.usage.has_frame[self.function.index()] |= shape.is_of_frame();
                self.values(operands);
            }
            ExprKind::Try(parts) => {
                self.value(&parts.body);
                self.expr(&parts.handler, continuation);
            }
        }
    }

    fn block(&mut self, statements: &[Statement], continuation: Continuation) {
        for (position, statement) in statements.iter().enumerate() {
            match statement {
                Statement::Expr(value) if position + 1 == statements.len() => {
                    self.expr(value, continuation)
                }
                Statement::Expr(value) | Statement::Bind(_, value) => self.value(value),
                Statement::Functions(members) => self.functions(members, continuation),
            }
        }
    }

    fn functions(&mut self, members: &[(VariableId, FunctionId)], continuation: Continuation) {
        let group = self.usage.groups.len() as u32;
        for (_, function) in members {
            self.usage.parents[function.index()] = Some(self.function);
            self.usage.group_of[function.index()] = Some(group);
            self.reach(*function);
        }
        let members = members.to_vec();
        self.usage.groups.push(Group {
            members,
            continuation,
            function: self.function,
        });
    }

    fn call(&mut self, callee: &Expr, arguments: &[Expr], continuation: Continuation) {
        match known_callee(self.module, &self.usage.bound_function, &callee.kind) {
            Some(function) => {
                let site = Site {
                    function: self.function,
                    continuation,
                    arguments: arguments.len(),
                };
                self.usage.sites[function.index()].push(site);
                self.reach(function);
            }
            None => self.value(callee),
        }
        self.values(arguments);
    }
}
