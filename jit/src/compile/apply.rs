//! Calls with a list of arguments, and of functions that take the rest of theirs as a list. A routine spreads the list
//! where the frame is to be, or makes it; then the function is entered through the code table like any other. What the
//! list took is paid for by then, so that the call is not taken back: the frame fits, and a function that does not begin
//! leaves at its beginning, as behind a tail call.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;

use super::lower::{Lowering, SLOT};
use super::routines::Routine;
use super::state::{BY_TAIL_CALL, ExitReason};
use crate::interp::NOTHING;

impl Lowering<'_, '_> {
    /// Calls the function in a register with the list in the next one.
    pub(super) fn apply(&mut self, base: u16) {
        let window = self.window(base);
        let callee = self.spread(base, window);
        let way = self.way(callee, BY_TAIL_CALL);
        self.enter_code(callee, base, way);
    }

    /// The same in place of this frame.
    pub(super) fn tail_apply(&mut self, base: u16) {
        let frame = self.in_frame(0);
        let callee = self.spread(base, frame);
        self.go_on_in(callee);
    }

    /// Calls a function that takes all arguments beyond its parameters as a list; a closure, if it is one.
    pub(super) fn call_with_rest(&mut self, callee: u32, base: u16, args: u16, is_closure: bool) {
        let function = self.planner.program.function(callee);
        // Not all that is called is small enough to be compiled.
        self.has_slot(u32::from(base) + u32::from(function.registers));
        (base + 1..=base + args).for_each(|register| self.write_back(register));
        let slot = base + 1 + function.params;
        let list = self.list(slot, args - function.params);
        self.write_slot(slot, list);
        if is_closure && function.captures > 0 {
            let closure = self.value(base);
            self.write_slot(slot + 1, closure);
        }
        self.tell_gas(0);
        let callee = self.b.ins().iconst(I64, i64::from(callee));
        let way = self.way(callee, BY_TAIL_CALL);
        self.enter_code(callee, base, way);
    }

    /// The same in place of this frame.
    pub(super) fn tail_call_with_rest(
        &mut self,
        callee: u32,
        base: u16,
        args: u16,
        is_closure: bool,
    ) {
        let function = self.planner.program.function(callee);
        self.has_room(callee);
        let slot = base + 1 + function.params;
        (slot..=base + args).for_each(|register| self.write_back(register));
        let params = base + 1..slot;
        let mut values: Vec<_> = params.map(|register| self.value(register)).collect();
        let closure = (is_closure && function.captures > 0).then(|| self.value(base));
        values.push(self.list(slot, args - function.params));
        values.extend(closure);
        let callee = self.b.ins().iconst(I64, i64::from(callee));
        self.start_over(callee, values);
    }

    /// Lets a routine give the function of a closure its arguments, which do not fit as they stand in the window, where its
    /// frame begins. The number of the function.
    pub(super) fn gather(
        &mut self,
        closure: (ir::Value, ir::Value),
        base: u16,
        args: u16,
        window: ir::Value,
    ) -> ir::Value {
        self.tell_gas(0);
        let first = self.window(base);
        let count = self.b.ins().iconst(I64, i64::from(args));
        let arguments = [self.state, window, closure.0, closure.1, first, count];
        let (tag, callee) = self.call_of_routine(Routine::GATHER, &arguments);
        self.go_on_with(tag);
        callee
    }

    /// Where the arguments in a window begin.
    pub(super) fn window(&mut self, base: u16) -> ir::Value {
        let offset = i64::from(base + 1) * i64::from(SLOT);
        self.in_frame(offset)
    }

    /// A list of values that stand in a row in this frame.
    fn list(&mut self, first: u16, count: u16) -> (ir::Value, ir::Value) {
        if count == 0 {
            let nothing = self.b.ins().iconst(I64, 0);
            return (self.tag(Kind::Nil), nothing);
        }
        let number = self.b.ins().iconst(I64, i64::from(count));
        let offset = i64::from(first) * i64::from(SLOT);
        let first = self.in_frame(offset);
        let list = self.call_of_routine(Routine::LIST, &[self.state, number, first]);
        self.go_on_with(list.0);
        list
    }

    /// Exits unless a routine has given a value, as the tag says.
    fn go_on_with(&mut self, tag: ir::Value) {
        let nothing = NOTHING.tag as i64;
        let done = self.b.ins().icmp_imm_s(IntCC::NotEqual, tag, nothing);
        self.go_on_only_if(done, ExitReason::Aside);
    }

    fn write_slot(&mut self, register: u16, (tag, bits): (ir::Value, ir::Value)) {
        let slot = i32::from(register) * SLOT;
        self.store_in_frame(tag, slot);
        self.store_in_frame(bits, slot + 8);
    }

    /// Spreads the arguments of a call to where a frame begins, which is of the function that it gives.
    fn spread(&mut self, base: u16, window: ir::Value) -> ir::Value {
        self.tell_gas(0);
        let (closure, list) = (self.value(base), self.value(base + 1));
        let arguments = [self.state, window, closure.0, closure.1, list.0, list.1];
        let (tag, callee) = self.call_of_routine(Routine::SPREAD, &arguments);
        self.go_on_with(tag);
        callee
    }
}
