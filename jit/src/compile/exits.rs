//! Exits: places where a frame is written back, so that the interpreter goes on before an instruction.
//!
//! What exits of one part have in common stands once: each says where it is and goes on in a tail that writes
//! registers, then in a block that says where the newest frame is, and then in one that writes the frames
//! of its callers.

use std::cell::Cell;
use std::mem::offset_of;
use std::rc::Rc;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};

use super::lower::{Lowering, NONE, SLOT};
use super::registers::Register;
use super::scope::Scope;
use super::state::{EXIT, ExitPlace, ExitReason, NativeState};
use super::tails::{Source, Tag};
use super::types::Type;
use super::virtuals::Unmade;
use super::ways::return_constant;

/// The blocks that exits of a part share, once there are some.
#[derive(Default)]
pub(super) struct Shared {
    /// Says where the newest frame is, which is this part's.
    leave: Cell<Option<ir::Block>>,
    /// Writes the frames of its callers.
    callers: Cell<Option<ir::Block>>,
}

/// An exit that is still to be written: what the frame held there.
pub(super) struct Exit<'a> {
    scope: Rc<Scope<'a>>,
    block: ir::Block,
    pc: u32,
    reason: ExitReason,
    types: Vec<Type>,
    /// How much more gas than the variable says is left: what was charged for what does not run, less what was taken.
    refund: i64,
    /// Nothing has been done since the body was entered, and so the frame and the gas are as they must be.
    is_way_in: bool,
}

/// What an exit writes of a frame: where registers are, and the virtual objects in them.
#[derive(Clone, Default)]
pub(super) struct Sources {
    registers: Vec<Source>,
    objects: Vec<Unmade>,
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
        if self.fails(reason, block) {
            return block;
        }
        self.exits.push(Exit {
            scope: Rc::clone(&self.scope),
            block,
            pc: self.pc,
            reason,
            types: self.before.clone(),
            refund: self.refund as i64 - self.taken,
            is_way_in: self.is_way_in,
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
        self.switch_to_sealed(go_on);
    }

    /// Exits before the current instruction if a test holds.
    pub(super) fn exit_if(&mut self, test: ir::Value, reason: ExitReason) {
        self.force();
        let exit = self.exit(reason);
        let go_on = self.b.create_block();
        self.b.ins().brif(test, exit, &[], go_on, &[]);
        self.switch_to_sealed(go_on);
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
        self.switch_to_sealed(go_on);
    }

    /// Writes all exits, and then what they share: with these, more of that is asked for.
    pub(super) fn write_exits(&mut self) {
        for exit in std::mem::take(&mut self.exits) {
            self.switch_to_sealed(exit.block);
            self.scope = exit.scope;
            if exit.is_way_in {
                self.say_place(exit.pc, exit.reason, 0);
                let leave = self.leave();
                self.b.ins().jump(leave, &NONE);
                continue;
            }
            self.now = exit.types;
            let sources = self.sources_of(self.scope.live.at(exit.pc));
            self.write_objects(&sources.objects);
            let mut gas = self.b.use_var(self.gas);
            let mut refund = exit.refund;
            if i16::try_from(refund).is_err() {
                gas = self.b.ins().iadd_imm_s(gas, refund);
                refund = 0;
            }
            self.say_place(exit.pc, exit.reason, refund);
            let leave = self.leave();
            let jump = self.b.ins().jump(leave, &NONE);
            let frame = (self.fp, self.scope.frame());
            self.tails.write(jump, frame, &sources.registers);
            let offset = offset_of!(NativeState<'_>, gas);
            self.tails.write_word(jump, self.state, offset as i32, gas);
        }
        while let Some((scope, block)) = self.leaves.pop() {
            self.write_leave(scope, block);
        }
        while let Some((scope, block)) = self.callers.pop() {
            self.write_callers(scope, block);
        }
    }

    /// The block that says where the current part's frame stands, which is the newest, and leaves.
    fn leave(&mut self) -> ir::Block {
        if let Some(block) = self.scope.shared.leave.get() {
            return block;
        }
        let block = self.b.create_block();
        self.b.set_cold_block(block);
        self.scope.shared.leave.set(Some(block));
        self.leaves.push((Rc::clone(&self.scope), block));
        block
    }

    fn write_leave(&mut self, scope: Rc<Scope<'a>>, block: ir::Block) {
        self.switch_to_sealed(block);
        self.scope = scope;
        let frame = self.in_frame(0);
        self.store_state(offset_of!(NativeState<'_>, exit_fp), frame);
        let body = self.scope.part.place.chain[0];
        let body = self.b.ins().iconst(I64, i64::from(body));
        self.store_state(offset_of!(NativeState<'_>, exit_body), body);
        self.leave_callers();
    }

    /// Writes the frames back in which the current part's one and those below it were called, up to the
    /// root's, and leaves; the jump to where that is done.
    pub(super) fn leave_callers(&mut self) -> ir::Inst {
        let block = self.scope.shared.callers.get().unwrap_or_else(|| {
            let block = self.b.create_block();
            self.b.set_cold_block(block);
            self.scope.shared.callers.set(Some(block));
            self.callers.push((Rc::clone(&self.scope), block));
            block
        });
        self.b.ins().jump(block, &NONE)
    }

    fn write_callers(&mut self, scope: Rc<Scope<'a>>, block: ir::Block) {
        // Callers of callers may still come here.
        self.b.switch_to_block(block);
        let Some(caller) = &scope.caller else {
            return return_constant(&mut self.b, EXIT);
        };
        self.scope = Rc::clone(&caller.scope);
        self.leave_as_caller(caller.pc, caller.window, &caller.sources);
    }

    /// Where the registers are that the current part's frame must hold while a call is in progress: those
    /// that are live and not in the call's window.
    pub(super) fn sources(&mut self, pc: u32, window: u16) -> Sources {
        let live = self.scope.live;
        self.sources_of(live.at(pc).filter(|register| *register < window))
    }

    fn sources_of(&mut self, registers: impl Iterator<Item = u16>) -> Sources {
        let mut sources = Sources::default();
        let place = Rc::clone(&self.scope.part.place);
        // The root's frame holds what its registers had when it was entered, at the beginning or a loop.
        let is_in_frame = |register: &u16| place.is_root() && place.kept[usize::from(*register)];
        for register in registers.filter(|register| !is_in_frame(register)) {
            let variables = self.scope.registers[usize::from(register)];
            let known = self.now[usize::from(register)];
            self.unmade(variables, known, &mut sources.objects);
            let (tag, bits) = self.held(variables, known);
            sources.registers.push(Source {
                register,
                tag,
                bits,
            });
        }
        sources
    }

    /// Where tag and bits of a value are; of a virtual object, its place.
    pub(super) fn held(&mut self, variables: Register, known: Type) -> (Tag, ir::Value) {
        let tag = match known.tag() {
            Some(tag) => Tag::Known(tag),
            None => Tag::Found(self.b.use_var(variables.tag)),
        };
        let bits = match known {
            Type::Number => self.words_of_number(variables).1,
            Type::Float => self.b.use_var(variables.float),
            _ => self.b.use_var(variables.bits),
        };
        (tag, bits)
    }

    /// Writes the current part's frame back as it is while a call is in progress, and the header of the
    /// frame called; then leaves.
    pub(super) fn leave_as_caller(&mut self, pc: u32, window: u16, sources: &Sources) {
        let place = self.place(pc);
        let slot = i32::from(window) * SLOT;
        self.store_in_frame(place, slot);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let delta = self.b.ins().bor_imm_s(program, i64::from(window) + 1);
        self.store_in_frame(delta, slot + 8);
        let before = self.load_state(offset_of!(NativeState<'_>, frames));
        let after = self.b.ins().iadd_imm_s(before, 1);
        self.store_state(offset_of!(NativeState<'_>, frames), after);
        self.write_objects(&sources.objects);
        let jump = self.leave_callers();
        let frame = (self.fp, self.scope.frame());
        self.tails.write(jump, frame, &sources.registers);
    }

    /// Says where the newest frame stands, which is of the current part, and why it is left.
    pub(super) fn say_place(&mut self, pc: u32, reason: ExitReason, refund: i64) {
        let place = ExitPlace {
            function: self.scope.part.place.number(),
            pc,
            reason,
            refund,
        };
        let place = self.b.ins().iconst(I64, place.pack() as i64);
        self.store_state(offset_of!(NativeState<'_>, exit_place), place);
    }

    /// A pc of this function, as headers of frames name it.
    pub(super) fn place(&mut self, pc: u32) -> ir::Value {
        let function = self.scope.part.place.number();
        let place = u64::from(function) << 32 | u64::from(pc);
        self.b.ins().iconst(I64, place as i64)
    }
}
