//! Calls within a program, closures, cells and globals.

use super::arith::Add;
use super::form::{Instruction, InternalFunction, SLOT_SHIFT};
use super::hot::Hot;
use crate::fiber::UNSET;
use crate::value::Value;
use pw_isa::{Kind, cost};

impl<'a> Hot<'a> {
    #[inline(always)]
    fn callee(&self, number: u32) -> &'a InternalFunction {
        // SAFETY: links and closures name functions that exist.
        unsafe { self.at().functions.get_unchecked(number as usize) }
    }

    /// Enters a function whose arguments stand in the window from `window + 1` and are as many as it has
    /// parameters; the call is `parts` behind the current instruction. A closure that is called stands in
    /// the window itself.
    #[inline(always)]
    fn push<const CLOSURE: bool>(
        &mut self,
        callee: &InternalFunction,
        window: u16,
        parts: usize,
    ) -> bool {
        let regs = self.register(window).wrapping_add(1);
        let end = regs.wrapping_byte_add(callee.frame_bytes as usize);
        if end > self.at().stack_end || self.at().depth >= self.at().depth_max {
            return false;
        }
        let header = Value {
            tag: self.function().call_tag(self.pc.wrapping_add(parts)),
            bits: self.at().header_base + u64::from(window >> SLOT_SHIFT),
        };
        let closure = CLOSURE.then(|| self.get(window));
        // SAFETY: the window's base is a register of the caller.
        unsafe { *regs.wrapping_sub(1) = header };
        self.regs = regs;
        if let Some(closure) = closure {
            self.give_closure(callee, closure);
        }
        self.stay().depth += 1;
        self.start(callee)
    }

    #[inline(always)]
    pub(super) fn start(&mut self, callee: &InternalFunction) -> bool {
        self.stay().function = callee;
        let is_paid = self.enter_block(callee.code.as_ptr());
        let is_counted = self.count(callee.entry_site);
        if !is_paid {
            self.stay().is_counted = is_counted;
        }
        is_paid && is_counted
    }

    #[inline(always)]
    pub(super) fn call(&mut self, i: &Instruction) -> bool {
        self.push::<false>(self.callee(i.imm as u32), i.a, 0)
    }

    /// The last argument, in `c`, is a copy of `b`.
    #[inline(always)]
    pub(super) fn call_move(&mut self, i: &Instruction) -> bool {
        self.set(i.c, self.get(i.b)) && self.push::<false>(self.callee(i.imm as u32), i.a, 1)
    }

    /// The last argument is the sum of `b` and the number in `c`.
    #[inline(always)]
    pub(super) fn call_add_imm(&mut self, i: &Instruction) -> bool {
        let callee = self.callee(i.imm as u32);
        match self.with_number::<Add>(i.b, i32::from(i.c as i16)) {
            Some(sum) => self.set(i.a + callee.params, sum) && self.push::<false>(callee, i.a, 2),
            None => false,
        }
    }

    /// The function of a closure in the arena, if it belongs to this program and takes these arguments.
    #[inline(always)]
    fn closure_callee(&mut self, closure: u16, args: u16) -> Option<&'a InternalFunction> {
        let closure = self.get_if(closure, Kind::Closure)?;
        // SAFETY: a value names an object of its kind.
        let (program, function) = unsafe { self.arena().function_of_closure(closure) };
        self.callee_of(program, function, args)
    }

    /// Likewise of any closure.
    fn any_closure_callee(&mut self, closure: u16, args: u16) -> Option<&'a InternalFunction> {
        let (program, function) = self.heap().closure(self.get(closure))?;
        self.callee_of(program, function, args)
    }

    #[inline(always)]
    fn callee_of(&self, program: u32, function: u32, args: u16) -> Option<&'a InternalFunction> {
        if program != self.at().program_number {
            return None;
        }
        let callee = self.callee(function);
        (callee.params == args).then_some(callee)
    }

    #[inline(always)]
    pub(super) fn call_closure(&mut self, i: &Instruction) -> bool {
        match self.closure_callee(i.a, i.b) {
            Some(callee) => self.push::<true>(callee, i.a, 0),
            None => false,
        }
    }

    /// The same for a closure that is a constant.
    pub(super) fn call_any_closure(&mut self, i: &Instruction) -> bool {
        match self.any_closure_callee(i.a, i.b) {
            Some(callee) => self.push::<true>(callee, i.a, 0),
            None => false,
        }
    }

    #[inline(always)]
    fn give_closure(&mut self, callee: &InternalFunction, closure: Value) {
        if callee.captures > 0 {
            // The register behind the parameters is the callee's.
            self.set(callee.params, closure);
        }
    }

    /// Moves the arguments to the front of this frame and starts over with another function.
    #[inline(always)]
    fn replace(
        &mut self,
        callee: &InternalFunction,
        closure: Option<Value>,
        i: &Instruction,
    ) -> bool {
        let end = self.regs.wrapping_byte_add(callee.frame_bytes as usize);
        if end > self.at().stack_end {
            return false;
        }
        // The window stands behind the first of the parameters.
        let mut slot = 0;
        while slot != i.b {
            slot += 1 << SLOT_SHIFT;
            self.set(slot - (1 << SLOT_SHIFT), self.get(i.a + slot));
        }
        if let Some(closure) = closure {
            self.give_closure(callee, closure);
        }
        self.start(callee)
    }

    #[inline(always)]
    pub(super) fn tail_call(&mut self, i: &Instruction) -> bool {
        self.replace(self.callee(i.imm as u32), None, i)
    }

    #[inline(always)]
    pub(super) fn tail_call_closure(&mut self, i: &Instruction) -> bool {
        match self.closure_callee(i.a, i.b) {
            Some(callee) => self.replace(callee, Some(self.get(i.a)), i),
            None => false,
        }
    }

    /// The same for a closure that is a constant.
    pub(super) fn tail_call_any_closure(&mut self, i: &Instruction) -> bool {
        match self.any_closure_callee(i.a, i.b) {
            Some(callee) => self.replace(callee, Some(self.get(i.a)), i),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn closure(&mut self, i: &Instruction) -> bool {
        if !self.can_allocate(cost::closure_bytes(u64::from(i.c))) {
            return false;
        }
        let program = self.at().program_number;
        let first = self.register(i.b);
        let captures = (0..i.c).map(|place| {
            // SAFETY: 1 of the head of `hot`.
            unsafe { *first.wrapping_add(usize::from(place)) }
        });
        let closure = self.arena().new_closure(program, i.imm as u32, captures);
        self.set(i.a, closure)
    }

    #[inline(always)]
    pub(super) fn capture(&mut self, i: &Instruction) -> bool {
        let Some(closure) = self.get_if(i.b, Kind::Closure) else {
            return false;
        };
        // SAFETY: a value names an object of its kind.
        match unsafe { self.arena().captured(closure, i.imm as u32) } {
            Some(value) => self.set(i.a, value),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn cell(&mut self, i: &Instruction) -> bool {
        if !self.can_allocate(cost::CELL_BYTES) {
            return false;
        }
        let value = self.get(i.b);
        let cell = self.arena().cell_in_place(value);
        self.set_found(i.a, cell)
    }

    /// The same where room has to be found.
    pub(super) fn cell_anywhere(&mut self, i: &Instruction) -> bool {
        if !self.can_allocate(cost::CELL_BYTES) {
            return false;
        }
        let value = self.get(i.b);
        let cell = self.arena().new_cell(value);
        self.set(i.a, cell)
    }

    #[inline(always)]
    pub(super) fn cell_get(&mut self, i: &Instruction) -> bool {
        let cell = self.get(i.b);
        if cell.tag != Kind::Cell as u64 {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        let value = unsafe { self.arena().cell_value(cell.bits) };
        self.set(i.a, value)
    }

    #[inline(always)]
    pub(super) fn cell_set(&mut self, i: &Instruction) -> bool {
        let (cell, value) = (self.get(i.a), self.get(i.b));
        if cell.tag != Kind::Cell as u64 {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        unsafe { self.arena().set_cell_value(cell.bits, value) };
        true
    }

    #[inline(always)]
    pub(super) fn global_get(&mut self, i: &Instruction) -> bool {
        let globals = self.at().globals;
        if globals.is_null() {
            return false;
        }
        // SAFETY: 6 of the head of `hot`.
        let value = unsafe { *globals.wrapping_add(i.imm as usize) };
        value.tag != UNSET.tag && self.set(i.a, value)
    }

    #[inline(always)]
    pub(super) fn global_set(&mut self, i: &Instruction) -> bool {
        let (value, globals) = (self.get(i.a), self.at().globals);
        let are_made = !globals.is_null();
        if are_made {
            // SAFETY: 6 of the head of `hot`.
            unsafe { *globals.wrapping_add(i.imm as usize) = value };
        }
        are_made
    }
}
