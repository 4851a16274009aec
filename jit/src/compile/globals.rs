//! Globals of the actor: they stand in a row, once the first of a program was set.

use std::mem::offset_of;

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self};
use pw_isa::operand::{Def, Use};

use super::lower::{Lowering, MEMORY, SLOT};
use super::state::{ExitReason, NativeState};
use crate::fiber::UNSET;

impl Lowering<'_, '_> {
    /// Leaves where it was never set: the interpreter raises the error.
    pub(super) fn global_get(&mut self, dst: Def, global: u32) {
        let (globals, slot) = self.globals(global);
        let tag = self.b.ins().load(I64, MEMORY, globals, slot);
        let unset = UNSET.tag as i64;
        let is_set = self.b.ins().icmp_imm_s(IntCC::NotEqual, tag, unset);
        self.exit_unless(is_set, ExitReason::Aside);
        let bits = self.b.ins().load(I64, MEMORY, globals, slot + 8);
        self.set_any(dst.0, tag, bits);
    }

    pub(super) fn global_set(&mut self, global: u32, value: Use) {
        let (globals, slot) = self.globals(global);
        let (tag, bits) = self.value(value.0);
        self.b.ins().store(MEMORY, tag, globals, slot);
        self.b.ins().store(MEMORY, bits, globals, slot + 8);
    }

    /// Where the program's globals stand, and where this one is among them; leaves while there are none.
    fn globals(&mut self, global: u32) -> (ir::Value, i32) {
        let number = self.scope.evidence.linked(global);
        let globals = self.load_state(offset_of!(NativeState<'_>, globals));
        let are_made = self.b.ins().icmp_imm_s(IntCC::NotEqual, globals, 0);
        self.exit_unless(are_made, ExitReason::Aside);
        (globals, number as i32 * SLOT)
    }
}
