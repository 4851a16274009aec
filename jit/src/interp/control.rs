//! Jumps, branches, returns, moves and constants.
//!
//! Handlers that go on elsewhere charge the block they enter; when it cannot be paid for they answer
//! false with `pc` already there, so that the loop stops before its first instruction.

use super::form::Instruction;
use super::hot::Hot;
use crate::value::Value;

impl Hot<'_> {
    /// Goes on at `pc`, which begins a block.
    #[inline(always)]
    pub(super) fn enter_block(&mut self, pc: *const Instruction) -> bool {
        self.pc = pc;
        self.gas -= i64::from(self.fetch().rest);
        self.gas >= 0
    }

    /// The target of a jump, which is given in bytes from the jump itself.
    #[inline(always)]
    pub(super) fn position(&self, target: i32) -> *const Instruction {
        self.pc.wrapping_byte_offset(target as isize)
    }

    #[inline(always)]
    pub(super) fn jump(&mut self, i: &Instruction) -> bool {
        self.enter_block(self.position(i.imm))
    }

    /// Counts a round of a loop down; false when somebody wants to look at it now. The counter is below 0 then,
    /// until the loop is left.
    #[inline(always)]
    pub(super) fn count_loop(&mut self, i: &Instruction) -> bool {
        let counter = self.counter(i.imm as u32);
        // Counters are far below 2^31: counting first and asking for the sign makes one machine instruction of
        // reading, counting and writing. Nothing is written back here, or LLVM chooses by arithmetic and makes the
        // next pc wait for the counter.
        // SAFETY: there is such a counter.
        let left = unsafe { *counter }.wrapping_sub(1);
        // SAFETY: the same.
        unsafe { *counter = left };
        left as i32 >= 0
    }

    /// Counts a round of a loop that is done by itself. A counter that has run down stays so until somebody looks.
    pub(super) fn pass_loop(&mut self, i: &Instruction) {
        let counter = self.counter(i.imm as u32);
        // SAFETY: there is such a counter.
        let left = unsafe { *counter };
        // SAFETY: the same.
        unsafe { *counter = left.saturating_sub(1) };
    }

    /// The counter of a loop or function. Sites were numbered with the program, and there is one for each.
    #[inline(always)]
    pub(super) fn counter(&self, site: u32) -> *mut u32 {
        self.at().counters.wrapping_add(site as usize)
    }

    /// The same, and what stands behind comes next.
    #[inline(always)]
    pub(super) fn enter_loop(&mut self, i: &Instruction) -> bool {
        if !self.count_loop(i) {
            return false;
        }
        self.skip(1);
        true
    }

    /// A jump to a `loop`, and that.
    #[inline(always)]
    pub(super) fn jump_loop(&mut self, i: &Instruction) -> bool {
        self.jump(i) && self.enter_loop(self.fetch())
    }

    /// Goes on at the target of a branch, or `parts` further on.
    #[inline(always)]
    pub(super) fn branch(&mut self, taken: bool, target: i32, parts: usize) -> bool {
        // Two ways rather than one computed place: the processor predicts a branch.
        if taken {
            self.enter_block(self.position(target))
        } else {
            self.enter_next_block(parts)
        }
    }

    /// Goes on `parts` behind the current instruction, where a block begins.
    #[inline(always)]
    fn enter_next_block(&mut self, parts: usize) -> bool {
        self.skip(parts);
        let rest = &raw const self.fetch().rest;
        // Volatile, so that this read is not made one with that of the other way, whose address then takes four
        // machine instructions more.
        // SAFETY: 3 of the head of `hot`.
        self.gas -= i64::from(unsafe { rest.read_volatile() });
        self.gas >= 0
    }

    /// `b` more parts are fused with it.
    #[inline(always)]
    pub(super) fn branch_truth(&mut self, i: &Instruction, wanted: bool) -> bool {
        let taken = self.get(i.a).is_true() == wanted;
        self.branch(taken, i.imm, 1 + usize::from(i.b))
    }

    #[inline(always)]
    pub(super) fn copy(&mut self, i: &Instruction) -> bool {
        self.set(i.a, self.get(i.b))
    }

    #[inline(always)]
    pub(super) fn copy_twice(&mut self, i: &Instruction) -> bool {
        self.copy(i) && self.set(i.c, self.get(i.imm as u16))
    }

    #[inline(always)]
    pub(super) fn load_int(&mut self, i: &Instruction) -> bool {
        self.set(i.a, Value::int(i64::from(i.imm)))
    }

    #[inline(always)]
    pub(super) fn load_value(&mut self, i: &Instruction) -> bool {
        self.set(i.a, self.value(i.imm as usize))
    }

    /// An entry of the program's values.
    #[inline(always)]
    pub(super) fn value(&self, place: usize) -> Value {
        // SAFETY: the rewriter put the value there.
        unsafe { *self.place_of_value(place) }
    }

    /// Where an entry of the program's values stands.
    #[inline(always)]
    pub(super) fn place_of_value(&self, place: usize) -> *const Value {
        self.at().program.values.as_ptr().wrapping_add(place)
    }

    #[inline(always)]
    pub(super) fn leave_function(&mut self, i: &Instruction) -> bool {
        self.leave_with(self.get(i.a))
    }

    #[inline(always)]
    pub(super) fn leave_with_int(&mut self, i: &Instruction) -> bool {
        self.leave_with_constant(i, Value::int(i64::from(i.imm)))
    }

    #[inline(always)]
    pub(super) fn leave_with_value(&mut self, i: &Instruction) -> bool {
        self.leave_with_constant(i, self.value(i.imm as usize))
    }

    /// Returns what the instruction before the `return` puts into `a`. That is done where there is no caller here, so that
    /// the loop stops at the `return` itself.
    #[inline(always)]
    fn leave_with_constant(&mut self, i: &Instruction, value: Value) -> bool {
        if !self.has_caller() {
            self.skip(1);
            self.set(i.a, value);
            return false;
        }
        self.leave_with(value)
    }

    /// Whether the newest frame returns to one of the same program.
    #[inline(always)]
    fn has_caller(&self) -> bool {
        // SAFETY: every frame has a header before its registers; see `hot`.
        let header = unsafe { *self.regs.wrapping_sub(1) };
        (header.bits >> 32) as u32 == self.at().program_number
    }

    /// Returns to a caller in the same program.
    #[inline(always)]
    pub(super) fn leave_with(&mut self, value: Value) -> bool {
        if !self.has_caller() {
            return false;
        }
        // SAFETY: every frame has a header before its registers; see `hot`.
        let header = unsafe { *self.regs.wrapping_sub(1) };
        // SAFETY: the header's slot is the caller's window base.
        unsafe { *self.regs.wrapping_sub(1) = value };
        self.regs = self.regs.wrapping_sub(header.bits as u32 as usize);
        self.stay().frames_left += 1;
        // SAFETY: headers name functions and calls that exist; see `hot`.
        let function = unsafe {
            self.at()
                .functions
                .get_unchecked((header.tag >> 32) as usize)
        };
        self.stay().function = function;
        self.enter_block(
            function
                .code
                .as_ptr()
                .wrapping_add(header.tag as u32 as usize + 1),
        )
    }

    /// Returns the value just computed; the instruction that computed it is done, so the loop stops at
    /// the `return` itself when it cannot go on.
    #[inline(always)]
    pub(super) fn leave_function_behind(&mut self, i: &Instruction) -> bool {
        self.skip(1);
        self.leave_function(i)
    }
}
