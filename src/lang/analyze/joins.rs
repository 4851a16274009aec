//! Which functions are joins.

use super::Role;
use super::usage::{Continuation, Usage};
use crate::lang::ir::{FunctionId, Module};

/// A join inside of another one is often found only after that one; more rounds than this find
/// nothing in code that people write.
const ROUNDS_MAX: usize = 8;

/// The role of each function, as far as it does not depend on captured variables.
pub(super) fn find(module: &Module, usage: &mut Usage) -> Vec<Role> {
    let mut roles: Vec<Role> = (0..module.functions.len())
        .map(|function| match usage.parents[function] {
            None => Role::Top,
            Some(_) if can_be_known(module, usage, function) => Role::Known,
            Some(_) => Role::Closure,
        })
        .collect();
    for _ in 0..ROUNDS_MAX {
        let mut has_changed = false;
        for group in (0..usage.groups.len()).rev() {
            has_changed |= join_group(usage, &mut roles, group);
        }
        if !has_changed {
            break;
        }
    }
    roles
}

/// Whether a function is only called, always with the right number of arguments.
fn can_be_known(module: &Module, usage: &Usage, function: usize) -> bool {
    let declared = &module.functions[function];
    usage.group_of[function].is_some_and(|group| {
        // A variable that is set can become another function.
        usage.groups[group as usize]
            .members
            .iter()
            .any(|(variable, member)| {
                member.index() == function && !module.variables[variable.index()].is_mutated
            })
    }) && !usage.escapes[function]
        && declared.rest.is_none()
        && usage.sites[function]
            .iter()
            .all(|site| site.arguments == declared.parameters.len())
}

/// Makes joins of a group, if all calls from outside of it have one continuation.
fn join_group(usage: &mut Usage, roles: &mut [Role], group: usize) -> bool {
    let members: Vec<usize> = usage.groups[group]
        .members
        .iter()
        .map(|(_, member)| member.index())
        .collect();
    let stays = |member: &usize| roles[*member] != Role::Known || usage.has_frame[*member];
    if members.iter().any(stays) {
        return false;
    }
    let mut inside: Vec<Continuation> = members
        .iter()
        .map(|member| usage.find(usage.returns[*member]))
        .collect();
    inside.sort_unstable();
    let mut outside: Option<(Continuation, FunctionId)> = None;
    let mut calls = 0;
    for member in &members {
        for site in usage.sites[*member].clone() {
            let continuation = usage.find(site.continuation);
            if inside.binary_search(&continuation).is_ok() {
                continue;
            }
            calls += 1;
            match outside {
                None => outside = Some((continuation, site.function)),
                Some((known, _)) if known == continuation => {}
                Some(_) => return false,
            }
        }
    }
    let Some((continuation, caller)) = outside else {
        return false;
    };
    let around = usage.groups[group].function;
    let role = if continuation == usage.find(usage.groups[group].continuation) {
        Role::Join
    } else if calls == 1 && home(usage, roles, caller) == home(usage, roles, around) {
        Role::Inline
    } else {
        return false;
    };
    for member in members {
        roles[member] = role;
        usage.join(usage.returns[member], continuation);
    }
    true
}

/// The root in whose code a function ends up.
fn home(usage: &Usage, roles: &[Role], mut function: FunctionId) -> FunctionId {
    while matches!(roles[function.index()], Role::Join | Role::Inline) {
        let Some(parent) = usage.parents[function.index()] else {
            break;
        };
        function = parent;
    }
    function
}

/// The root of each function.
pub(super) fn homes(usage: &Usage, roles: &[Role]) -> Vec<FunctionId> {
    // A function is declared after the one around it, whose home is therefore already known.
    let mut homes: Vec<FunctionId> = Vec::with_capacity(roles.len());
    for (function, (role, parent)) in roles.iter().zip(&usage.parents).enumerate() {
        homes.push(match (role, parent) {
            (Role::Join | Role::Inline, Some(parent)) => homes[parent.index()],
            _ => FunctionId(function as u32),
        });
    }
    homes
}
