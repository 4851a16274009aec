//! Definite assignment: no register is read before it was written, on any path.
//!
//! A forward analysis over blocks. The state is the set of registers that were written on every path;
//! states of joining paths are intersected. Any instruction of a `try` range may leave for the
//! handler (a sandbox's limit can strike anywhere), before it has written its own result.

use super::registers::{RegisterSet, blocks, handlers_of};
use super::{Fault, successors};
use crate::op::{Access, Op};
use crate::program::Function;

/// Checks one function.
pub(super) fn check(function: &Function) -> Result<(), Fault> {
    let (block_of, starts) = blocks(function);
    let handlers = handlers_of(function, &starts);
    let mut entry_states: Vec<Option<RegisterSet>> = vec![None; starts.len()];
    let mut entry = RegisterSet::empty(function.registers);
    for register in 0..function.entry_registers() {
        entry.insert(register as u16);
    }
    entry_states[0] = Some(entry);
    let mut queue = vec![0usize];
    while let Some(block) = queue.pop() {
        let Some(mut state) = entry_states[block].clone() else {
            continue;
        };
        let start = starts[block] as usize;
        let end = starts
            .get(block + 1)
            .map_or(function.code.len(), |next| *next as usize);
        let handler = handlers[block].map(|index| function.handlers[index as usize]);
        for pc in start..end {
            let op = &function.code[pc];
            if let Some(handler) = handler {
                let mut at_handler = state.clone();
                remove_clobbered(op, &mut at_handler);
                at_handler.insert(handler.dst);
                let target = block_of[handler.target as usize] as usize;
                flow_into(&mut entry_states[target], &at_handler, target, &mut queue);
            }
            step(op, &mut state).map_err(|reason| (Some(pc as u32), reason))?;
        }
        successors(function, end - 1, |next| {
            let target = block_of[next] as usize;
            flow_into(&mut entry_states[target], &state, target, &mut queue);
        });
    }
    Ok(())
}

fn flow_into(
    slot: &mut Option<RegisterSet>,
    state: &RegisterSet,
    block: usize,
    queue: &mut Vec<usize>,
) {
    let changed = match slot {
        Some(known) => known.intersect(state),
        None => {
            *slot = Some(state.clone());
            true
        }
    };
    if changed {
        queue.push(block);
    }
}

fn remove_clobbered(op: &Op, state: &mut RegisterSet) {
    op.accesses(|access| {
        if let Access::Clobber(first) = access {
            state.remove_from(first);
        }
    });
}

fn step(op: &Op, state: &mut RegisterSet) -> Result<(), String> {
    let mut unset = None;
    op.accesses(|access| match access {
        Access::Read { first, count } => {
            unset = unset.or((first..first + count).find(|register| !state.contains(*register)));
        }
        Access::Clobber(first) => state.remove_from(first),
        Access::Write(register) => state.insert(register),
    });
    match unset {
        Some(register) => Err(format!(
            "`{}` reads r{register}, which may not be set here",
            op.info().mnemonic
        )),
        None => Ok(()),
    }
}
