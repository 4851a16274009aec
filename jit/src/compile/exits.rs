//! Exits: places where a frame is written back, so that the interpreter goes on before an instruction.

use std::mem::offset_of;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};

use super::lower::{Lowering, leave_at};
use super::state::{ExitReason, NativeState};
use super::types::Type;

/// An exit that is still to be written: what the frame held there.
pub(super) struct Exit {
    block: ir::Block,
    pc: u32,
    reason: ExitReason,
    types: Vec<Type>,
    /// Gas that was charged for what does not run.
    refund: u64,
}

impl Lowering<'_, '_> {
    /// The exit before the current instruction, for a reason.
    pub(super) fn exit(&mut self, reason: ExitReason) -> ir::Block {
        if let Some((_, block)) = self.here.iter().find(|(known, _)| *known == reason) {
            return *block;
        }
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.here.push((reason, block));
        self.exits.push(Exit {
            block,
            pc: self.pc,
            reason,
            types: self.before.clone(),
            refund: self.refund,
        });
        block
    }

    /// Exits before the current instruction if a test holds.
    pub(super) fn exit_if(&mut self, test: ir::Value, reason: ExitReason) {
        let exit = self.exit(reason);
        let go_on = self.b.create_block();
        self.b.ins().brif(test, exit, &[], go_on, &[]);
        self.b.switch_to_block(go_on);
    }

    /// Exits before the current instruction unless a test holds.
    pub(super) fn exit_unless(&mut self, test: ir::Value, reason: ExitReason) {
        let exit = self.exit(reason);
        let go_on = self.b.create_block();
        self.b.ins().brif(test, go_on, &[], exit, &[]);
        self.b.switch_to_block(go_on);
    }

    /// From here on an exit stands behind the current instruction, with its result.
    pub(super) fn settle(&mut self) {
        self.refund -= self.function.fixed_gas(self.pc as usize);
        self.pc += 1;
        self.before.clone_from(&self.now);
        self.here.clear();
    }

    pub(super) fn write_exits(&mut self) {
        for exit in std::mem::take(&mut self.exits) {
            self.b.switch_to_block(exit.block);
            self.now = exit.types;
            let live = self.live.at(exit.pc);
            for register in live {
                self.write_back(register);
            }
            let gas = self.b.use_var(self.gas);
            let gas = self.b.ins().iadd_imm_s(gas, exit.refund as i64);
            self.store_state(offset_of!(NativeState<'_>, gas), gas);
            let place = self.place(exit.pc);
            leave_at(&mut self.b, self.state, self.fp, place, exit.reason);
        }
    }

    /// A pc of this function, as exits name it.
    pub(super) fn place(&mut self, pc: u32) -> ir::Value {
        let place = u64::from(self.request.function) << 32 | u64::from(pc);
        self.b.ins().iconst(I64, place as i64)
    }

    /// Writes the live registers below `window` back that a pc needs.
    pub(super) fn write_back_below(&mut self, pc: u32, window: u16) {
        let live = self.live;
        for register in live.at(pc).filter(|register| *register < window) {
            self.write_back(register);
        }
    }
}
