//! Sets of registers as bits, and where blocks of straight-line code begin.

use crate::op::Effects;
use crate::program::Function;

/// A set of registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RegisterSet {
    words: Vec<u64>,
}

impl RegisterSet {
    /// The empty set of a frame with this many registers.
    pub(super) fn empty(registers: u16) -> RegisterSet {
        RegisterSet {
            words: vec![0; usize::from(registers).div_ceil(64)],
        }
    }

    pub(super) fn from_words(words: &[u64]) -> RegisterSet {
        RegisterSet {
            words: words.to_vec(),
        }
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }

    pub(super) fn insert(&mut self, register: u16) {
        self.words[usize::from(register) / 64] |= 1 << (register % 64);
    }

    pub(super) fn remove(&mut self, register: u16) {
        self.words[usize::from(register) / 64] &= !(1 << (register % 64));
    }

    pub(super) fn contains(&self, register: u16) -> bool {
        self.words[usize::from(register) / 64] & 1 << (register % 64) != 0
    }

    /// Removes every register from `first` up.
    pub(super) fn remove_from(&mut self, first: u16) {
        let word = usize::from(first) / 64;
        if word < self.words.len() {
            self.words[word] &= (1 << (first % 64)) - 1;
            self.words[word + 1..].fill(0);
        }
    }

    /// Adds the other set; tells whether anything was new.
    pub(super) fn unite(&mut self, other: &RegisterSet) -> bool {
        let mut changed = false;
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            changed |= *theirs & !*mine != 0;
            *mine |= theirs;
        }
        changed
    }

    /// Keeps what is in both; tells whether anything was lost.
    pub(super) fn intersect(&mut self, other: &RegisterSet) -> bool {
        let mut changed = false;
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            changed |= *mine & !*theirs != 0;
            *mine &= theirs;
        }
        changed
    }
}

/// The number of the block each instruction belongs to, and the first instruction of each block. A
/// block begins at the entry, at jump and handler targets, at the ends of handler ranges and behind
/// branches.
pub(super) fn blocks(function: &Function) -> (Vec<u32>, Vec<u32>) {
    let code = &function.code;
    let mut leader = vec![false; code.len() + 1];
    leader[0] = true;
    for (pc, op) in code.iter().enumerate() {
        if let Some(label) = op.label() {
            leader[label as usize] = true;
            leader[pc + 1] = true;
        }
        if op.info().effects.has(Effects::END) {
            leader[pc + 1] = true;
        }
    }
    for handler in &function.handlers {
        leader[handler.start as usize] = true;
        leader[handler.end as usize] = true;
        leader[handler.target as usize] = true;
    }
    let mut block_of = Vec::with_capacity(code.len());
    let mut starts = Vec::new();
    for (pc, leads) in leader.iter().take(code.len()).enumerate() {
        if *leads {
            starts.push(pc as u32);
        }
        block_of.push(starts.len() as u32 - 1);
    }
    (block_of, starts)
}

/// The handlers around each block, as positions in the handler table.
pub(super) fn handlers_of(function: &Function, starts: &[u32]) -> Vec<Option<u32>> {
    // Only the innermost matters: handlers around it are entered from its own code.
    let innermost = |pc: u32| {
        function
            .handlers
            .iter()
            .position(|handler| (handler.start..handler.end).contains(&pc))
            .map(|at| at as u32)
    };
    starts.iter().map(|start| innermost(*start)).collect()
}
