//! The live-register table: which registers an instruction, or any that can follow it, may still read.
//!
//! A backward analysis over blocks. Any instruction of a `try` range may leave for the handler, so
//! what is live there is live in the whole range, the handler's own register apart.

use super::registers::{RegisterSet, blocks, handlers_of};
use super::successors;
use crate::op::{Access, Op};
use crate::program::Function;

/// Which registers are live before each instruction of one function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveTable {
    words: Vec<u64>,
    words_per_pc: usize,
}

impl LiveTable {
    /// Whether the value of `register` may still be read at `pc`.
    pub fn is_live(&self, pc: u32, register: u16) -> bool {
        self.row(pc)[usize::from(register) / 64] & 1 << (register % 64) != 0
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
        let start = pc as usize * self.words_per_pc;
        &self.words[start..start + self.words_per_pc]
    }

    /// Computes the table of a function whose operands were checked.
    pub(super) fn compute(function: &Function) -> LiveTable {
        let words_per_pc = usize::from(function.registers).div_ceil(64);
        let mut table = LiveTable {
            words: vec![0; function.code.len() * words_per_pc],
            words_per_pc,
        };
        let (block_of, starts) = blocks(function);
        let handlers = handlers_of(function, &starts);
        let predecessors = predecessors(function, &block_of, &starts, &handlers);
        let mut queued = vec![true; starts.len()];
        let mut queue: Vec<usize> = (0..starts.len()).collect();
        while let Some(block) = queue.pop() {
            queued[block] = false;
            let handler = handlers[block].map(|index| function.handlers[index as usize]);
            let mut around = RegisterSet::empty(function.registers);
            if let Some(handler) = handler {
                around = RegisterSet::from_words(table.row(handler.target));
                around.remove(handler.dst);
            }
            if table.update_block(
                function,
                starts[block] as usize,
                block_end(function, &starts, block),
                &around,
            ) {
                for predecessor in &predecessors[block] {
                    if !queued[*predecessor as usize] {
                        queued[*predecessor as usize] = true;
                        queue.push(*predecessor as usize);
                    }
                }
            }
        }
        table
    }

    /// Recomputes the rows of a block; tells whether its first row changed.
    fn update_block(
        &mut self,
        function: &Function,
        start: usize,
        end: usize,
        around: &RegisterSet,
    ) -> bool {
        let mut live = RegisterSet::empty(function.registers);
        successors(function, end - 1, |next| {
            live.unite(&RegisterSet::from_words(self.row(next as u32)));
        });
        for pc in (start..end).rev() {
            step_back(&function.code[pc], &mut live);
            live.unite(around);
            let row = &mut self.words[pc * self.words_per_pc..][..self.words_per_pc];
            let changed = row != live.words();
            row.copy_from_slice(live.words());
            if pc == start {
                return changed;
            }
        }
        false
    }
}

fn block_end(function: &Function, starts: &[u32], block: usize) -> usize {
    starts
        .get(block + 1)
        .map_or(function.code.len(), |next| *next as usize)
}

fn predecessors(
    function: &Function,
    block_of: &[u32],
    starts: &[u32],
    handlers: &[Option<u32>],
) -> Vec<Vec<u32>> {
    let mut predecessors = vec![Vec::new(); starts.len()];
    for (block, handler) in handlers.iter().enumerate() {
        let end = block_end(function, starts, block);
        successors(function, end - 1, |next| {
            predecessors[block_of[next] as usize].push(block as u32)
        });
        if let Some(handler) = *handler {
            let target = function.handlers[handler as usize].target;
            predecessors[block_of[target as usize] as usize].push(block as u32);
        }
    }
    predecessors
}

fn step_back(op: &Op, live: &mut RegisterSet) {
    // Writes and clobbers happen after reads, so they are undone first.
    op.accesses(|access| match access {
        Access::Write(register) => live.remove(register),
        Access::Clobber(first) => live.remove_from(first),
        Access::Read { .. } => {}
    });
    op.accesses(|access| {
        if let Access::Read { first, count } = access {
            (first..first + count).for_each(|register| live.insert(register));
        }
    });
}
