//! Definite assignment: no register is read before it was written, on any path.
//!
//! A forward analysis over blocks. The state is the set of registers that were written on every path;
//! states of joining paths are intersected. Any instruction of a `try` range may leave for the
//! handler (a sandbox's limit can strike anywhere), before it has written its own result.
//!
//! Code that control cannot reach is held to the same rule, as if every register were set where it
//! begins. So wherever a frame claims to stand, the registers of the live table are all it needs:
//! none is read after a call has left it dead.

use super::flow::Flow;
use super::registers::{self, Sets};
use super::{Budget, Fault};
use crate::op::{Access, Op};
use crate::program::Function;

/// What blocks do to the state: registers from `dead_from` up are lost, then `written` are set.
struct Summaries {
    dead_from: Vec<Option<u16>>,
    written: Sets,
}

/// Checks one function.
pub(super) fn check(function: &Function, flow: &Flow, budget: &mut Budget) -> Result<(), Fault> {
    let states = solve(function, flow, budget)?;
    let mut state = Sets::new(1, function.registers, 0);
    for (number, block) in flow.blocks.iter().enumerate() {
        let state = state.get_mut(0);
        state.copy_from_slice(states.get(number));
        for pc in block.start..block.end {
            step(&function.code[pc as usize], state).map_err(|reason| (Some(pc), reason))?;
        }
    }
    Ok(())
}

/// The registers that are set at the beginning of each block.
fn solve(function: &Function, flow: &Flow, budget: &mut Budget) -> Result<Sets, Fault> {
    let summaries = summarize(function, flow);
    let mut states = Sets::new(flow.blocks.len(), function.registers, u64::MAX);
    let entry = states.get_mut(0);
    entry.fill(0);
    registers::insert_range(entry, 0, function.entry_registers() as u16);
    let mut state = Sets::new(1, function.registers, 0);
    loop {
        budget.pay_pass(function, flow)?;
        let mut changed = false;
        for number in &flow.order {
            let number = *number as usize;
            let block = &flow.blocks[number];
            let state = state.get_mut(0);
            state.copy_from_slice(states.get(number));
            if let Some(first) = summaries.dead_from[number] {
                registers::remove_from(state, first);
            }
            if let (Some(handler), Some(target)) = (block.handler, block.handler_block) {
                let was_set = registers::first_missing(state, handler.dst, 1).is_none();
                registers::insert(state, handler.dst);
                changed |= registers::intersect(states.get_mut(target as usize), state);
                if !was_set {
                    registers::remove(state, handler.dst);
                }
            }
            registers::unite(state, summaries.written.get(number));
            for next in block.successors.into_iter().flatten() {
                changed |= registers::intersect(states.get_mut(next as usize), state);
            }
        }
        if !changed {
            return Ok(states);
        }
    }
}

fn summarize(function: &Function, flow: &Flow) -> Summaries {
    let mut summaries = Summaries {
        dead_from: vec![None; flow.blocks.len()],
        written: Sets::new(flow.blocks.len(), function.registers, 0),
    };
    for (number, block) in flow.blocks.iter().enumerate() {
        let dead_from = &mut summaries.dead_from[number];
        let written = summaries.written.get_mut(number);
        for op in &function.code[block.start as usize..block.end as usize] {
            op.accesses(|access| match access {
                Access::Clobber(first) => {
                    registers::remove_from(written, first);
                    *dead_from = Some(dead_from.unwrap_or(first).min(first));
                }
                Access::Write(register) => registers::insert(written, register),
                Access::Read { .. } => {}
            });
        }
    }
    summaries
}

fn step(op: &Op, state: &mut [u64]) -> Result<(), String> {
    let mut unset = None;
    op.accesses(|access| match access {
        Access::Read { first, count } => {
            unset = unset.or(registers::first_missing(state, first, count));
        }
        Access::Clobber(first) => registers::remove_from(state, first),
        Access::Write(register) => registers::insert(state, register),
    });
    match unset {
        Some(register) => Err(format!(
            "`{}` reads r{register}, which may not be set here",
            op.info().mnemonic
        )),
        None => Ok(()),
    }
}
