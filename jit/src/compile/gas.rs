//! Paying for blocks: the gas left is a variable, from which each block takes what its instructions cost.
//!
//! Blocks that follow each other without a join take from the value that the first of them found. A chain of
//! subtractions would become the same machine code, but Cranelift finds out by trying sums of any of their parts, tens
//! for each link: up to a quarter of what its optimiser does in long bodies.

use std::collections::HashMap;

use cranelift_codegen::ir;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;

use super::blocks::Block;
use super::lower::Lowering;
use super::state::ExitReason;

/// Of values that are what is left of other gas: which, and how much was taken.
#[derive(Default)]
pub(super) struct Charges {
    taken: HashMap<ir::Value, (ir::Value, u64)>,
}

impl Lowering<'_, '_> {
    /// Checks and charges the gas of a block.
    pub(super) fn charge(&mut self, block: &Block) {
        self.pc = block.start;
        self.before.clone_from(&self.now);
        self.refund = 0;
        self.here.clear();
        let gas = self.b.use_var(self.gas);
        if block.checks_gas() {
            let poor = self
                .b
                .ins()
                .icmp_imm_s(IntCC::SignedLessThan, gas, block.need as i64);
            self.exit_if(poor, ExitReason::Gas);
        }
        let left = self.left_of(gas, block.gas);
        self.b.def_var(self.gas, left);
    }

    /// What is left of gas when some is taken.
    fn left_of(&mut self, gas: ir::Value, take: u64) -> ir::Value {
        let (first, before) = self.charges.taken.get(&gas).copied().unwrap_or((gas, 0));
        let taken = before + take;
        let left = self.b.ins().iadd_imm_s(first, -(taken as i64));
        self.charges.taken.insert(left, (first, taken));
        left
    }
}
