//! Calls within a program, closures, cells and globals.

use super::arith::{Add, apply, apply_number};
use super::aside::Aside;
use super::form::{Instruction, InternalFunction, NO_CLOSURE, SLOT_SHIFT};
use super::hot::{Hot, Stay};
use super::routines::{self, Room};
use crate::fiber::UNSET;
use crate::value::{CONSTANT, Value};
use pw_isa::{Kind, cost};

impl<'a> Hot<'a> {
    #[inline(always)]
    fn callee(&self, number: u32) -> &'a InternalFunction {
        // SAFETY: links and closures name functions that exist.
        unsafe { self.at().functions.get_unchecked(number as usize) }
    }

    /// Enters a function whose arguments stand in the window from `window + 1` and are as many as it has
    /// parameters; the call is `parts` behind the current instruction.
    #[inline(always)]
    fn push(
        &mut self,
        callee: &InternalFunction,
        is_closure: bool,
        window: u16,
        parts: usize,
    ) -> bool {
        let header = self.register(window);
        let end = header.wrapping_byte_add(callee.frame_bytes as usize);
        if end > self.at().header_end || self.at().frames_left <= 0 {
            return false;
        }
        let regs = header.wrapping_add(1);
        if is_closure && callee.closure_slot != NO_CLOSURE {
            // The closure stands where the header will.
            let slot = regs.wrapping_byte_add(usize::from(callee.closure_slot));
            // One word after the other takes one machine register, and to keep both since they were looked at would take two.
            let words = header.cast::<u64>();
            // SAFETY: the window's base is a register of the caller.
            let tag = unsafe { words.read_volatile() };
            // SAFETY: the register behind the parameters is the callee's, and its frame fits.
            unsafe { (*slot).tag = tag };
            // SAFETY: the window's base, as above.
            let bits = unsafe { words.wrapping_add(1).read_volatile() };
            // SAFETY: the register behind the parameters, as above.
            unsafe { (*slot).bits = bits };
        }
        let content = Value {
            tag: self.function().call_tag(self.pc.wrapping_add(parts)),
            bits: self.at().header_base + u64::from(window >> SLOT_SHIFT),
        };
        // SAFETY: the window's base is a register of the caller.
        unsafe { *header = content };
        self.regs = regs;
        self.stay().frames_left -= 1;
        self.start(callee)
    }

    /// Goes on at the beginning of a function, whose entry is counted.
    #[inline(always)]
    pub(super) fn start(&mut self, callee: &InternalFunction) -> bool {
        self.stay().function = callee;
        let counter = self.counter(callee.entry_site);
        // As rounds of loops are counted, but that nothing is left below 0.
        // SAFETY: there is such a counter.
        let left = unsafe { *counter }.wrapping_sub(1);
        // SAFETY: the same.
        unsafe { *counter = left };
        if (left as i32) < 0 {
            // SAFETY: the same.
            unsafe { *counter = 0 };
            self.enter_block(callee.code.as_ptr());
            return false;
        }
        if self.enter_block(callee.code.as_ptr()) {
            return true;
        }
        self.stay().is_counted = true;
        false
    }

    #[inline(always)]
    pub(super) fn call(&mut self, i: &Instruction) -> bool {
        self.push(self.callee(i.imm as u32), false, i.a, 0)
    }

    /// The last argument, in `c`, is a copy of `b`.
    #[inline(always)]
    pub(super) fn call_move(&mut self, i: &Instruction) -> bool {
        self.set(i.c, self.get(i.b)) && self.push(self.callee(i.imm as u32), false, i.a, 1)
    }

    /// The last argument is the sum of `b` and the number in `c`.
    #[inline(always)]
    pub(super) fn call_add_imm(&mut self, i: &Instruction) -> bool {
        let callee = self.callee(i.imm as u32);
        match self.with_number::<Add>(i.b, i32::from(i.c as i16)) {
            Some(sum) => self.set(i.a + callee.params, sum) && self.push(callee, false, i.a, 2),
            None => false,
        }
    }

    /// The function of the closure at the window's base `a`, if it belongs to this program and takes `b` arguments. The closure is in
    /// the arena or one of the program's constants.
    #[inline(always)]
    fn closure_callee(&mut self, i: &Instruction) -> Option<&'a InternalFunction> {
        const CONSTANT_CLOSURE: u64 = Kind::Closure as u64 | CONSTANT;
        let closure = self.register(i.a);
        // SAFETY: 1 of the head of `hot`.
        let tag = unsafe { (*closure).tag };
        // SAFETY: the same.
        let bits = unsafe { (*closure).bits };
        let (program, function) = if tag == Kind::Closure as u64 {
            // SAFETY: a value names an object of its kind.
            unsafe { self.arena().function_of_closure(bits) }
        } else if tag == CONSTANT_CLOSURE && (bits >> 32) as u32 == self.at().program_number {
            let offset = u64::from(bits as u32);
            // SAFETY: the same, among the constants of its program.
            unsafe { self.at().constants.function_of_closure(offset) }
        } else {
            return None;
        };
        if program != self.at().program_number {
            return None;
        }
        let callee = self.callee(function);
        (callee.params == i.b).then_some(callee)
    }

    /// Calls the closure at the window's base `a` with `b` arguments.
    #[inline(always)]
    fn push_closure(&mut self, i: &Instruction, parts: usize) -> bool {
        match self.closure_callee(i) {
            Some(callee) => self.push(callee, true, i.a, parts),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn call_closure(&mut self, i: &Instruction) -> bool {
        self.push_closure(i, 0)
    }

    /// Makes what stands last in the window, an argument or the closure, a copy of `c`.
    #[inline(always)]
    fn set_last(&mut self, i: &Instruction) -> bool {
        let value = self.get(i.c);
        let last = self.register(i.a).wrapping_byte_add(usize::from(i.b));
        // SAFETY: the window's slots are registers of this frame.
        unsafe { *last = value };
        true
    }

    /// With a copy into what stands last in the window.
    #[inline(always)]
    pub(super) fn call_closure_move(&mut self, i: &Instruction) -> bool {
        self.set_last(i) && self.push_closure(i, 1)
    }

    /// Starts over with another function in this frame, after `move_arguments` has moved its arguments from
    /// the window to the front; false, and nothing happens, when that does not fit or is left to the rare case.
    #[inline(always)]
    fn replace(
        &mut self,
        callee: &InternalFunction,
        closure: Option<Value>,
        i: &Instruction,
        move_arguments: impl FnOnce(&mut Self, &Instruction) -> bool,
    ) -> bool {
        let end = self.regs.wrapping_byte_add(callee.frame_bytes as usize);
        if end > self.at().stack_end || !move_arguments(self, i) {
            return false;
        }
        if let Some(closure) = closure.filter(|_| callee.closure_slot != NO_CLOSURE) {
            // The register behind the parameters is the callee's.
            self.set(callee.closure_slot, closure);
        }
        self.start(callee)
    }

    /// Moves up to three arguments: a loop takes more machine registers than handlers have.
    #[inline(always)]
    fn move_few(&mut self, i: &Instruction) -> bool {
        const fn slot(place: u16) -> u16 {
            place << SLOT_SHIFT
        }
        if i.b > slot(3) {
            return false;
        }
        if i.b >= slot(1) {
            self.set(slot(0), self.get(i.a + slot(1)));
        }
        if i.b >= slot(2) {
            self.set(slot(1), self.get(i.a + slot(2)));
        }
        if i.b == slot(3) {
            self.set(slot(2), self.get(i.a + slot(3)));
        }
        true
    }

    /// Moves any number of arguments.
    fn move_all(&mut self, i: &Instruction) -> bool {
        let mut slot = 0;
        while slot != i.b {
            // The window stands behind the first of the parameters.
            slot += 1 << SLOT_SHIFT;
            self.set(slot - (1 << SLOT_SHIFT), self.get(i.a + slot));
        }
        true
    }

    #[inline(always)]
    pub(super) fn tail_call(&mut self, i: &Instruction) -> bool {
        self.replace(self.callee(i.imm as u32), None, i, Self::move_few)
    }

    pub(super) fn tail_call_any(&mut self, i: &Instruction) -> bool {
        self.replace(self.callee(i.imm as u32), None, i, Self::move_all)
    }

    #[inline(always)]
    pub(super) fn tail_call_closure(&mut self, i: &Instruction) -> bool {
        match self.closure_callee(i) {
            Some(callee) => self.replace(callee, Some(self.get(i.a)), i, Self::move_few),
            None => false,
        }
    }

    /// The same for any number of arguments, and for what takes the rest of them as a list.
    pub(super) fn tail_call_any_closure(&mut self, i: &Instruction) -> bool {
        match self.closure_callee(i) {
            Some(callee) => self.replace(callee, Some(self.get(i.a)), i, Self::move_all),
            None => self.tail_call_with(i, gather_for_closure),
        }
    }

    /// A call of a closure that takes the rest of its arguments as a list.
    pub(super) fn call_closure_any(&mut self, i: &Instruction) -> bool {
        self.call_with(i, 0, gather_for_closure)
    }

    /// The same with a copy into what stands last in the window.
    pub(super) fn call_closure_any_move(&mut self, i: &Instruction) -> bool {
        self.set_last(i) && self.call_with(i, 1, gather_for_closure)
    }

    #[inline(always)]
    pub(super) fn call_rest(&mut self, i: &Instruction) -> bool {
        self.call_with(i, 0, gather)
    }

    #[inline(always)]
    pub(super) fn tail_call_rest(&mut self, i: &Instruction) -> bool {
        self.tail_call_with(i, gather)
    }

    /// Calls the function at the window's base `a` with the elements of the list behind it.
    #[inline(always)]
    pub(super) fn apply(&mut self, i: &Instruction) -> bool {
        self.call_with(i, 0, spread)
    }

    /// The same in place of this frame.
    #[inline(always)]
    pub(super) fn tail_apply(&mut self, i: &Instruction) -> bool {
        self.tail_call_with(i, spread)
    }

    /// Calls the function to whose frame its arguments are given, from the window at `a`; the call is `parts` behind the
    /// current instruction.
    #[inline(always)]
    fn call_with(&mut self, i: &Instruction, parts: usize, give: Give) -> bool {
        if self.at().frames_left <= 0 {
            return false;
        }
        let window = self.register(i.a);
        let room = (window.wrapping_add(1), self.at().stack_end);
        let number = give(self.stay_with_gas(), window, i, room);
        match self.given_callee(number) {
            Some(callee) => self.push(callee, false, i.a, parts),
            None => false,
        }
    }

    /// The same in place of this frame.
    #[inline(always)]
    fn tail_call_with(&mut self, i: &Instruction, give: Give) -> bool {
        let (window, room) = (self.register(i.a), (self.regs, self.at().stack_end));
        let number = give(self.stay_with_gas(), window, i, room);
        match self.given_callee(number) {
            Some(callee) => self.start(callee),
            None => false,
        }
    }

    /// The function whose arguments have been given, with the gas that is left.
    #[inline(always)]
    fn given_callee(&mut self, number: Value) -> Option<&'a InternalFunction> {
        let number = self.take_over(number)?;
        Some(self.callee(number.bits as u32))
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

    /// A captured value to `a` and the one behind it, which `imm` tells, to `c`.
    #[inline(always)]
    pub(super) fn capture_two(&mut self, i: &Instruction) -> bool {
        let Some(closure) = self.get_if(i.b, Kind::Closure) else {
            return false;
        };
        // SAFETY: a value names an object of its kind.
        let Some(second) = (unsafe { self.arena().captured(closure, i.imm as u32) }) else {
            return false;
        };
        // SAFETY: the same; there is one before it.
        let first = unsafe { self.arena().captured_before(closure, i.imm as u32) };
        self.set(i.a, first) && self.set(i.c, second)
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

    /// Adds to what the cell `a` holds, as far as `sum` can.
    #[inline(always)]
    fn add_to_cell(
        &mut self,
        i: &Instruction,
        sum: impl FnOnce(&Self, Value) -> Option<Value>,
    ) -> bool {
        let Some(cell) = self.get_if(i.a, Kind::Cell) else {
            return false;
        };
        // SAFETY: a value names an object of its kind.
        let value = unsafe { self.arena().cell_value(cell) };
        let Some(sum) = sum(self, value) else {
            return false;
        };
        // SAFETY: the same.
        unsafe { self.arena().set_cell_value(cell, sum) };
        true
    }

    /// The register `b`, which is of the same kind.
    #[inline(always)]
    pub(super) fn cell_add(&mut self, i: &Instruction) -> bool {
        self.add_to_cell(i, |hot, value| hot.with_register::<Add>(value, i.b))
    }

    pub(super) fn cell_add_any(&mut self, i: &Instruction) -> bool {
        self.add_to_cell(i, |hot, value| apply::<Add>(value, hot.get(i.b)))
    }

    #[inline(always)]
    pub(super) fn cell_add_imm(&mut self, i: &Instruction) -> bool {
        self.add_to_cell(i, |_, value| apply_number::<Add>(value, i.imm))
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

/// Gives a function its arguments, from a window to where its frame begins: its number, or [`NOTHING`] when that is left
/// to others, and then nothing has happened. The window is in the newest frame, and what is in the room is not needed
/// otherwise: it is the window's, or all of a frame that another takes the place of.
type Give = fn(&mut Stay<'_>, *const Value, &Instruction, Room) -> Value;

/// The elements of the list behind the function.
#[inline(never)]
fn spread(stay: &mut Stay<'_>, window: *const Value, _: &Instruction, room: Room) -> Value {
    let program = stay.program_number;
    // SAFETY: the window's base is a register of the newest frame.
    let closure = unsafe { *window };
    // SAFETY: so is the one behind it.
    let list = unsafe { *window.wrapping_add(1) };
    Aside::run(stay, |aside| {
        // SAFETY: see `Give`.
        unsafe { routines::spread(aside, program, room, closure, list) }
    })
}

/// The arguments behind the window's base, as many as `b` says.
fn arguments(window: *const Value, i: &Instruction) -> *const [Value] {
    let count = usize::from(i.b >> SLOT_SHIFT);
    std::ptr::slice_from_raw_parts(window.wrapping_add(1), count)
}

/// The arguments of the function that `imm` names.
#[inline(never)]
fn gather(stay: &mut Stay<'_>, window: *const Value, i: &Instruction, room: Room) -> Value {
    let callee = (stay.program_number, i.imm as u32);
    let values = arguments(window, i);
    Aside::run(stay, |aside| {
        // SAFETY: see `Give`; they are registers of the newest frame.
        unsafe { routines::gather(aside, callee, room, Value::NIL, values) }
    })
}

/// The arguments of the closure at the window's base.
#[inline(never)]
fn gather_for_closure(
    stay: &mut Stay<'_>,
    window: *const Value,
    i: &Instruction,
    room: Room,
) -> Value {
    let program = stay.program_number;
    // SAFETY: the window's base is a register of the newest frame.
    let closure = unsafe { *window };
    let values = arguments(window, i);
    Aside::run(stay, |aside| {
        // SAFETY: see `Give`; they are registers of the newest frame.
        unsafe { routines::gather_for_closure(aside, program, room, closure, values) }
    })
}
