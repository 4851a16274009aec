//! The live-register table: which registers an instruction, or any that can follow it, may still read.
//!
//! A backward analysis over blocks. Any instruction of a `try` range may leave for the handler, so
//! what is live there is live in the whole range, the handler's own register apart.

use super::flow::{Block, Flow};
use super::registers::{self, Sets};
use super::{Budget, Fault};
use crate::op::{Access, Op};
use crate::program::Function;

/// Which registers are live before each instruction of one function.
///
/// The row of a call also holds its arguments and, for a call of a closure, its base. While the callee
/// runs, the caller's live registers are those of the row *below the base* of the window: everything
/// from the base up is dead or belongs to the callee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTable {
    rows: Sets,
}

impl LiveTable {
    /// Whether the value of `register` may still be read at `pc`.
    pub fn is_live(&self, pc: u32, register: u16) -> bool {
        let word = self.row(pc).get(usize::from(register) / 64);
        word.is_some_and(|word| word & 1 << (register % 64) != 0)
    }

    /// The live registers at `pc`, rising.
    pub fn at(&self, pc: u32) -> impl Iterator<Item = u16> + '_ {
        self.row(pc).iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < 64).then(|| (index * 64) as u16 + bit as u16)
            })
        })
    }

    /// The live registers at `pc` as bits, 64 registers a word.
    pub fn row(&self, pc: u32) -> &[u64] {
        self.rows.get(pc as usize)
    }

    /// Computes the table of a function whose operands were checked.
    pub(super) fn compute(
        function: &Function,
        flow: &Flow,
        budget: &mut Budget,
    ) -> Result<LiveTable, Fault> {
        let mut rows = Sets::new(function.code.len(), function.registers, 0);
        solve(function, flow, budget, &mut rows)?;
        let mut live = Sets::new(1, function.registers, 0);
        let mut around = live.clone();
        for block in &flow.blocks {
            let (live, around) = (live.get_mut(0), around.get_mut(0));
            live_behind(block, flow, &rows, live);
            live_around(block, &rows, around);
            for pc in (block.start..block.end).rev() {
                step_back(&function.code[pc as usize], live);
                registers::unite(live, around);
                rows.get_mut(pc as usize).copy_from_slice(live);
            }
        }
        Ok(LiveTable { rows })
    }
}

/// Fills the rows of the first instruction of each block.
fn solve(
    function: &Function,
    flow: &Flow,
    budget: &mut Budget,
    rows: &mut Sets,
) -> Result<(), Fault> {
    // Registers that a block reads before it writes them, and those whose value does not survive it.
    let mut read = Sets::new(flow.blocks.len(), function.registers, 0);
    let mut lost = read.clone();
    for (number, block) in flow.blocks.iter().enumerate() {
        let (read, lost) = (read.get_mut(number), lost.get_mut(number));
        for pc in (block.start..block.end).rev() {
            let op = &function.code[pc as usize];
            step_back(op, read);
            op.accesses(|access| match access {
                Access::Write(register) => registers::insert(lost, register),
                Access::Clobber(first) => registers::insert_from(lost, first),
                Access::Read { .. } => {}
            });
        }
    }
    let mut live = Sets::new(1, function.registers, 0);
    let mut around = live.clone();
    loop {
        budget.pay_pass(function, flow)?;
        let mut changed = false;
        for number in flow.order.iter().rev() {
            let block = &flow.blocks[*number as usize];
            let (live, around) = (live.get_mut(0), around.get_mut(0));
            live_behind(block, flow, rows, live);
            registers::subtract(live, lost.get(*number as usize));
            registers::unite(live, read.get(*number as usize));
            live_around(block, rows, around);
            registers::unite(live, around);
            let row = rows.get_mut(block.start as usize);
            changed |= row != live;
            row.copy_from_slice(live);
        }
        if !changed {
            return Ok(());
        }
    }
}

/// What is live where control goes on behind a block.
fn live_behind(block: &Block, flow: &Flow, rows: &Sets, live: &mut [u64]) {
    live.fill(0);
    for next in block.successors.into_iter().flatten() {
        let start = flow.blocks[next as usize].start;
        registers::unite(live, rows.get(start as usize));
    }
}

/// What is live in a whole block because its handler may read it.
fn live_around(block: &Block, rows: &Sets, around: &mut [u64]) {
    around.fill(0);
    if let Some(handler) = block.handler {
        around.copy_from_slice(rows.get(handler.target as usize));
        registers::remove(around, handler.dst);
    }
}

fn step_back(op: &Op, live: &mut [u64]) {
    // Writes and clobbers happen after reads, so they are undone first.
    op.accesses(|access| match access {
        Access::Write(register) => registers::remove(live, register),
        Access::Clobber(first) => registers::remove_from(live, first),
        Access::Read { .. } => {}
    });
    op.accesses(|access| {
        if let Access::Read { first, count } = access {
            registers::insert_range(live, first, count);
        }
    });
}
