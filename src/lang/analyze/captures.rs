//! Which variables a root needs from outside.
//!
//! A root needs the variables of other roots that it uses, those that the roots which it makes into
//! values need, and those that the known functions which it calls need. That is a least fixed point
//! over the graph of roots.

use std::collections::BTreeSet;

use super::Role;
use super::usage::Usage;
use crate::lang::diagnostic::Problems;
use crate::lang::ir::{FunctionId, Module, VariableId};

/// A known function that needs more variables than this becomes a closure: handing them over would
/// cost more at each call.
const LIFTED_MAX: usize = 12;

/// What one function can capture.
const CAPTURES_MAX: usize = pw_isa::verify::limits::CAPTURES_MAX as usize;

/// What all functions together can capture; only made-up programs come near.
const CAPTURES_TOTAL_MAX: usize = 1 << 21;

/// The result.
pub(super) struct Captures {
    /// The final roles.
    pub(super) roles: Vec<Role>,
    /// By function: the variable that it is itself, for a closure.
    pub(super) own_variable: Vec<Option<VariableId>>,
    /// By function: what it needs.
    pub(super) captures: Vec<Vec<VariableId>>,
    /// By variable: whether it lives in a cell.
    pub(super) is_boxed: Vec<bool>,
}

/// Finds out what each root needs.
pub(super) fn find(
    module: &Module,
    usage: &Usage,
    mut roles: Vec<Role>,
    homes: &[FunctionId],
    problems: &mut Problems,
) -> Captures {
    let first = Needs::compute(module, usage, &roles, homes, LIFTED_MAX);
    for (role, needed) in roles.iter_mut().zip(&first.needed) {
        if *role == Role::Known && needed.len() > LIFTED_MAX {
            *role = Role::Closure;
        }
    }
    let needs = Needs::compute(module, usage, &roles, homes, usize::MAX);
    report_excess(module, &needs, problems);
    let mut is_captured = vec![false; module.variables.len()];
    let mut captures = Vec::with_capacity(roles.len());
    for (function, needed) in needs.needed.into_iter().enumerate() {
        needed
            .iter()
            .for_each(|variable| is_captured[variable.index()] = true);
        let mut needed: Vec<VariableId> = needed.into_iter().collect();
        if needed.is_empty()
            && let Some(own) = needs.needs_itself[function]
        {
            // Only a function with captures can tell which value it is.
            needed.push(own);
        }
        captures.push(needed);
    }
    let variables = module.variables.iter().zip(&is_captured);
    let is_boxed = variables
        .map(|(variable, is_captured)| *is_captured && (variable.is_mutated || variable.is_checked))
        .collect();
    Captures {
        roles,
        own_variable: needs.own,
        captures,
        is_boxed,
    }
}

fn report_excess(module: &Module, needs: &Needs<'_>, problems: &mut Problems) {
    if needs.total > CAPTURES_TOTAL_MAX {
        let span = module.functions[0].body.span;
        problems.report(
            span,
            "the functions of this file capture too many variables",
            format!("expected at most {CAPTURES_TOTAL_MAX} in all"),
        );
    }
    for (function, needed) in module.functions.iter().zip(&needs.needed) {
        if needed.len() > CAPTURES_MAX {
            problems.report(
                function.span,
                format!(
                    "this function uses {} variables of the functions around it",
                    needed.len()
                ),
                format!("expected at most {CAPTURES_MAX}"),
            );
        }
    }
}

struct Needs<'a> {
    module: &'a Module,
    homes: &'a [FunctionId],
    /// By function: the variable that it is itself, for a closure.
    own: Vec<Option<VariableId>>,
    /// By function: what it needs.
    needed: Vec<BTreeSet<VariableId>>,
    /// By function: its own variable, when it is used as a value inside of it.
    needs_itself: Vec<Option<VariableId>>,
    /// By function: roots that need what it needs.
    users: Vec<Vec<FunctionId>>,
    /// No set grows beyond this by more than one function's needs.
    each_max: usize,
    total: usize,
}

impl<'a> Needs<'a> {
    fn compute(
        module: &'a Module,
        usage: &Usage,
        roles: &[Role],
        homes: &'a [FunctionId],
        each_max: usize,
    ) -> Needs<'a> {
        let functions = module.functions.len();
        let mut needs = Needs {
            module,
            homes,
            own: vec![None; functions],
            needed: vec![BTreeSet::new(); functions],
            needs_itself: vec![None; functions],
            users: vec![Vec::new(); functions],
            each_max,
            total: 0,
        };
        for (variable, function) in usage.groups.iter().flat_map(|group| &group.members) {
            let is_mutated = module.variables[variable.index()].is_mutated;
            if roles[function.index()] == Role::Closure && !is_mutated {
                needs.own[function.index()] = Some(*variable);
            }
        }
        for (function, variable) in &usage.uses {
            needs.add(homes[function.index()], *variable);
        }
        for (user, created) in &usage.created {
            needs.users[created.index()].push(homes[user.index()]);
        }
        for group in &usage.groups {
            for (_, member) in &group.members {
                if roles[member.index()] == Role::Closure {
                    needs.users[member.index()].push(homes[group.function.index()]);
                }
            }
        }
        needs.add_calls(usage, roles);
        needs.spread();
        needs
    }

    fn add_calls(&mut self, usage: &Usage, roles: &[Role]) {
        for (function, sites) in usage.sites.iter().enumerate() {
            match (roles[function], self.own[function]) {
                (Role::Known, _) => {
                    let callers = sites.iter().map(|site| self.homes[site.function.index()]);
                    self.users[function].extend(callers);
                    self.users[function].sort_unstable();
                    self.users[function].dedup();
                }
                (Role::Closure, Some(own)) => {
                    for site in sites {
                        // Calling itself it needs no value: it is running.
                        let caller = self.homes[site.function.index()];
                        if caller.index() != function {
                            self.add(caller, own);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Notes that a root needs a variable, unless it is its own.
    fn add(&mut self, root: FunctionId, variable: VariableId) -> bool {
        let owner = self.module.variables[variable.index()].owner;
        if self.homes[owner.index()] == root || self.needed[root.index()].len() > self.each_max {
            return false;
        }
        if self.own[root.index()] == Some(variable) {
            self.needs_itself[root.index()] = Some(variable);
            return false;
        }
        let is_new = self.total <= CAPTURES_TOTAL_MAX && self.needed[root.index()].insert(variable);
        self.total += usize::from(is_new);
        is_new
    }

    /// Hands needs on until nothing changes.
    fn spread(&mut self) {
        let mut is_queued: Vec<bool> = self
            .needed
            .iter()
            .map(|needed| !needed.is_empty())
            .collect();
        let mut queue: Vec<usize> = (0..is_queued.len())
            .filter(|function| is_queued[*function])
            .collect();
        while let Some(function) = queue.pop() {
            is_queued[function] = false;
            let needed: Vec<VariableId> = self.needed[function].iter().copied().collect();
            for user in self.users[function].clone() {
                let mut has_changed = false;
                for variable in &needed {
                    has_changed |= self.add(user, *variable);
                }
                if has_changed && !is_queued[user.index()] {
                    is_queued[user.index()] = true;
                    queue.push(user.index());
                }
            }
        }
    }
}
