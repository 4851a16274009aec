//! Calls within a program, closures, cells and globals.

use super::arith::plus;
use super::form::{Instruction, InternalFunction, SLOT_SHIFT};
use super::hot::Hot;
use crate::fiber::UNSET;
use crate::value::{CONSTANT, Value};
use pw_isa::{Kind, cost};

impl<'a> Hot<'a> {
    #[inline(always)]
    fn callee(&self, number: u32) -> &'a InternalFunction {
        // SAFETY: links and closures name functions that exist.
        unsafe { self.at().program.functions.get_unchecked(number as usize) }
    }

    /// Enters a function whose arguments stand in the window from `window + 1`; the call is `parts` behind
    /// the current instruction.
    #[inline(always)]
    fn push(&mut self, callee: &InternalFunction, window: u16, args: u16, parts: u32) -> bool {
        let regs = self.register(window).wrapping_add(1);
        let fits = callee.is_plain
            && callee.params == args
            && regs.wrapping_add(usize::from(callee.registers)) <= self.at().stack_end
            && self.at().depth < self.at().depth_max;
        if !fits {
            return false;
        }
        let header = Value {
            tag: u64::from(self.pc_index() + parts) | u64::from(self.function().number) << 32,
            bits: (u64::from(window >> SLOT_SHIFT) + 1) | u64::from(self.at().program_number) << 32,
        };
        // SAFETY: the window's base is a register of the caller.
        unsafe { *regs.wrapping_sub(1) = header };
        self.regs = regs;
        self.stay().depth += 1;
        self.start(callee)
    }

    #[inline(always)]
    fn start(&mut self, callee: &InternalFunction) -> bool {
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
        let callee = self.callee(i.imm as u32);
        self.push(callee, i.a, i.b, 0)
    }

    /// The last argument is a copy of `b`; `c` is the number of arguments.
    #[inline(always)]
    pub(super) fn call_move(&mut self, i: &Instruction) -> bool {
        let callee = self.callee(i.imm as u32);
        let value = self.get(i.b);
        self.set(i.a + (i.c << SLOT_SHIFT), value) && self.push(callee, i.a, i.c, 1)
    }

    /// The last argument is the sum of `b` and the number in `c`.
    #[inline(always)]
    pub(super) fn call_add_imm(&mut self, i: &Instruction) -> bool {
        let callee = self.callee(i.imm as u32);
        match plus(self.get(i.b), i32::from(i.c as i16)) {
            Some(sum) => {
                self.set(i.a + (callee.params << SLOT_SHIFT), sum)
                    && self.push(callee, i.a, callee.params, 2)
            }
            None => false,
        }
    }

    /// The function of a closure of this program.
    #[inline(always)]
    fn closure_callee(&mut self, value: Value) -> Option<&'a InternalFunction> {
        let (program, function) = if value.tag == Kind::Closure as u64 {
            // SAFETY: a value names an object of its kind.
            unsafe { self.arena().function_of_closure(value.bits) }
        } else if value.tag == Kind::Closure as u64 | CONSTANT {
            self.heap().closure(value)?
        } else {
            return None;
        };
        (program == self.at().program_number).then(|| self.callee(function))
    }

    #[inline(always)]
    pub(super) fn call_closure(&mut self, i: &Instruction) -> bool {
        let closure = self.get(i.a);
        let Some(callee) = self.closure_callee(closure) else {
            return false;
        };
        let depth = self.at().depth;
        let goes_on = self.push(callee, i.a, i.b, 0);
        // Either nothing has happened, or the callee was entered, though its gas may be missing.
        if self.at().depth > depth {
            self.give_closure(callee, closure);
        }
        goes_on
    }

    #[inline(always)]
    fn give_closure(&mut self, callee: &InternalFunction, closure: Value) {
        if callee.captures > 0 {
            // SAFETY: 1 of the head of `hot`: the register behind the parameters is the callee's.
            unsafe { *self.regs.wrapping_add(usize::from(callee.params)) = closure };
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
        let fits = callee.is_plain
            && callee.params == i.b
            && self.regs.wrapping_add(usize::from(callee.registers)) <= self.at().stack_end;
        if !fits {
            return false;
        }
        let arguments = self.register(i.a).wrapping_add(1);
        // SAFETY: 1 of the head of `hot`; the window may overlap the parameters.
        unsafe { std::ptr::copy(arguments, self.regs, usize::from(i.b)) };
        if let Some(closure) = closure {
            self.give_closure(callee, closure);
        }
        self.start(callee)
    }

    #[inline(always)]
    pub(super) fn tail_call(&mut self, i: &Instruction) -> bool {
        let callee = self.callee(i.imm as u32);
        self.replace(callee, None, i)
    }

    #[inline(always)]
    pub(super) fn tail_call_closure(&mut self, i: &Instruction) -> bool {
        let closure = self.get(i.a);
        let Some(callee) = self.closure_callee(closure) else {
            return false;
        };
        self.replace(callee, Some(closure), i)
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
        let closure = self.get(i.b);
        if closure.tag != Kind::Closure as u64 {
            return false;
        }
        // SAFETY: a value names an object of its kind.
        match unsafe { self.arena().captured(closure.bits, i.imm as u32) } {
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
