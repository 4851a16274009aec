//! Exits: places where a frame is written back, so that the interpreter goes on before an instruction.

use std::mem::offset_of;
use std::rc::Rc;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};

use super::lower::{Lowering, MEMORY, SLOT};
use super::scope::Scope;
use super::state::{ExitReason, NativeState};
use super::types::Type;
use super::ways::leave_at;

/// An exit that is still to be written: what the frame held there.
pub(super) struct Exit<'a> {
    scope: Rc<Scope<'a>>,
    block: ir::Block,
    pc: u32,
    reason: ExitReason,
    types: Vec<Type>,
    /// Gas that was charged for what does not run.
    refund: u64,
}

impl<'a> Lowering<'a, '_> {
    /// The exit before the current instruction, for a reason.
    pub(super) fn exit(&mut self, reason: ExitReason) -> ir::Block {
        if let Some((_, block)) = self.here.iter().find(|(known, _)| *known == reason) {
            return *block;
        }
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.here.push((reason, block));
        self.exits.push(Exit {
            scope: Rc::clone(&self.scope),
            block,
            pc: self.pc,
            reason,
            types: self.before.clone(),
            refund: self.refund,
        });
        block
    }

    /// Counts an exit that is not taken, and takes it when it is the one that a test asks for.
    fn force(&mut self) {
        if !self.forces_exits {
            return;
        }
        let offset = offset_of!(NativeState<'_>, exits_left);
        let left = self.load_state(offset);
        let left = self.b.ins().iadd_imm_s(left, -1);
        self.store_state(offset, left);
        let exit = self.exit(ExitReason::Forced);
        let go_on = self.b.create_block();
        self.b.ins().brif(left, go_on, &[], exit, &[]);
        self.b.switch_to_block(go_on);
    }

    /// Exits before the current instruction if a test holds.
    pub(super) fn exit_if(&mut self, test: ir::Value, reason: ExitReason) {
        self.force();
        let exit = self.exit(reason);
        let go_on = self.b.create_block();
        self.b.ins().brif(test, exit, &[], go_on, &[]);
        self.b.switch_to_block(go_on);
    }

    /// Exits before the current instruction unless a test holds.
    pub(super) fn exit_unless(&mut self, test: ir::Value, reason: ExitReason) {
        self.force();
        self.go_on_only_if(test, reason);
    }

    /// The same where the instruction has been done when the test holds: that exit cannot be forced.
    pub(super) fn go_on_only_if(&mut self, test: ir::Value, reason: ExitReason) {
        let exit = self.exit(reason);
        let go_on = self.b.create_block();
        self.b.ins().brif(test, go_on, &[], exit, &[]);
        self.b.switch_to_block(go_on);
    }

    /// From here on an exit stands behind the current instruction, with its result.
    pub(super) fn settle(&mut self) {
        self.refund -= self.scope.function.fixed_gas(self.pc as usize);
        self.pc += 1;
        self.before.clone_from(&self.now);
        self.here.clear();
    }

    pub(super) fn write_exits(&mut self) {
        for exit in std::mem::take(&mut self.exits) {
            self.b.switch_to_block(exit.block);
            self.scope = exit.scope;
            self.now = exit.types;
            let live = self.scope.live.at(exit.pc);
            for register in live {
                self.write_back(register);
            }
            let gas = self.b.use_var(self.gas);
            let gas = self.b.ins().iadd_imm_s(gas, exit.refund as i64);
            self.store_state(offset_of!(NativeState<'_>, gas), gas);
            let (fp, place) = (self.scope.fp, self.place(exit.pc));
            self.write_callers();
            let body = self.scope.part.place.chain[0];
            let body = self.b.ins().iconst(I64, i64::from(body));
            self.store_state(offset_of!(NativeState<'_>, exit_body), body);
            leave_at(&mut self.b, self.state, fp, place, exit.reason);
        }
    }

    /// Writes the frames back in which the current part's one and those below it were called, up to the
    /// root's, with the headers between them.
    pub(super) fn write_callers(&mut self) {
        let mut frames = 0;
        while let Some(caller) = &Rc::clone(&self.scope).caller {
            self.scope = Rc::clone(&caller.scope);
            self.now.clone_from(&caller.types);
            self.write_caller(caller.pc, caller.window);
            frames += 1;
        }
        self.add_frames(frames);
    }

    /// Writes the current part's frame back as it is while a call is in progress, and the header of the
    /// frame called.
    pub(super) fn write_caller(&mut self, pc: u32, window: u16) {
        let live = self.scope.live;
        for register in live.at(pc).filter(|register| *register < window) {
            self.write_back(register);
        }
        let place = self.place(pc);
        let slot = i32::from(window) * SLOT;
        self.b.ins().store(MEMORY, place, self.scope.fp, slot);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let delta = self.b.ins().bor_imm_s(program, i64::from(window) + 1);
        self.b.ins().store(MEMORY, delta, self.scope.fp, slot + 8);
    }

    /// Says that an exit adds frames.
    pub(super) fn add_frames(&mut self, frames: i64) {
        if frames > 0 {
            let before = self.load_state(offset_of!(NativeState<'_>, frames));
            let after = self.b.ins().iadd_imm_s(before, frames);
            self.store_state(offset_of!(NativeState<'_>, frames), after);
        }
    }

    /// A pc of this function, as exits name it.
    pub(super) fn place(&mut self, pc: u32) -> ir::Value {
        let function = self.scope.part.place.number();
        let place = u64::from(function) << 32 | u64::from(pc);
        self.b.ins().iconst(I64, place as i64)
    }
}
