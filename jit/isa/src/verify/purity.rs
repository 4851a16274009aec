//! Which functions are pure: what a call returns, and what it costs, follows from its arguments alone.
//!
//! A pure function reads nothing that can change, changes nothing, asks nobody, catches no errors and calls
//! only pure functions that it names. What it makes on the way (pairs, strings, even vectors that nothing
//! will change) is its own. So two calls with the same immutable arguments take the same steps, charge the
//! same gas and allocate the same logical bytes.
//!
//! Errors end the proof where they are caught: that calls are nested too deep depends on where a call is
//! made from, and a handler would make a result of it. What is raised and not caught here is no result.

use crate::op::{Effects, Function as Call, Op};
use crate::program::{Function, Link, Program};

/// Why a function is not pure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Impurity {
    /// An instruction reads what another can change.
    #[error("pc {pc} reads what can change")]
    Reads {
        /// The instruction.
        pc: u32,
    },
    /// An instruction changes what another can read.
    #[error("pc {pc} changes what others can read")]
    Writes {
        /// The instruction.
        pc: u32,
    },
    /// An instruction asks the host.
    #[error("pc {pc} asks the host")]
    Asks {
        /// The instruction.
        pc: u32,
    },
    /// An instruction calls a function that is not named.
    #[error("pc {pc} calls a function that is known only when it runs")]
    CallsAny {
        /// The instruction.
        pc: u32,
    },
    /// An instruction calls a function that is not pure.
    #[error("pc {pc} calls function #{callee}, which is not pure")]
    CallsImpure {
        /// The instruction.
        pc: u32,
        /// The function that it calls.
        callee: u32,
    },
    /// Errors are caught, among them those that depend on how deep the caller is.
    #[error("it catches errors")]
    Catches,
    /// Code of V2, whose local variables and steps are open to others.
    #[error("pc {pc} is an instruction of V2")]
    V2 {
        /// The instruction.
        pc: u32,
    },
}

/// For each function of a verified program why it is not pure, or nothing where it is.
pub(super) fn purity(program: &Program) -> Vec<Option<Impurity>> {
    let numbered = program.functions.iter().zip(&program.links);
    let mut found: Vec<Option<Impurity>> = Vec::with_capacity(program.functions.len());
    // By function: who calls it, and where.
    let mut callers: Vec<Vec<(u32, u32)>> = vec![Vec::new(); program.functions.len()];
    for (caller, (function, links)) in (0..).zip(numbered) {
        found.push(own_impurity(function));
        for (pc, callee) in calls(function, links) {
            callers[callee as usize].push((caller, pc));
        }
    }
    let mut open: Vec<u32> = (0..).zip(&found).filter_map(impure).collect();
    while let Some(callee) = open.pop() {
        for (caller, pc) in &callers[callee as usize] {
            let of_caller = &mut found[*caller as usize];
            if of_caller.is_none() {
                *of_caller = Some(Impurity::CallsImpure { pc: *pc, callee });
                open.push(*caller);
            }
        }
    }
    found
}

fn impure((number, found): (u32, &Option<Impurity>)) -> Option<u32> {
    found.is_some().then_some(number)
}

/// The calls of functions by name, with their places.
fn calls<'a>(function: &'a Function, links: &'a [Link]) -> impl Iterator<Item = (u32, u32)> + 'a {
    (0..)
        .zip(&function.code)
        .filter_map(|(pc, op)| match callee(op, links) {
            Some(Link::Function(callee)) => Some((pc, callee)),
            _ => None,
        })
}

fn callee(op: &Op, links: &[Link]) -> Option<Link> {
    match op {
        Op::Function(Call::Call { function, .. } | Call::TailCall { function, .. }) => {
            links.get(function.0 as usize).copied()
        }
        _ => None,
    }
}

/// Why a function is not pure, whatever it calls.
fn own_impurity(function: &Function) -> Option<Impurity> {
    if !function.handlers.is_empty() {
        return Some(Impurity::Catches);
    }
    (0..)
        .zip(&function.code)
        .find_map(|(pc, op)| impurity_of(pc, op))
}

fn impurity_of(pc: u32, op: &Op) -> Option<Impurity> {
    let effects = op.info().effects;
    match op {
        Op::V2(_) => Some(Impurity::V2 { pc }),
        Op::Function(Call::Call { .. } | Call::TailCall { .. }) => None,
        _ if effects.has(Effects::CALL) => Some(Impurity::CallsAny { pc }),
        _ if effects.has(Effects::HOST) || effects.has(Effects::SUSPEND) => {
            Some(Impurity::Asks { pc })
        }
        _ if effects.has(Effects::WRITE) => Some(Impurity::Writes { pc }),
        _ if effects.has(Effects::READ) => Some(Impurity::Reads { pc }),
        _ => None,
    }
}
