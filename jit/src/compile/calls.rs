//! Calls, and what closures and cells hold.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I16, I32, I64};
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::Kind;
use pw_isa::op::Function as Call;

use super::lower::{Lowering, MEMORY, NONE, SLOT};
use super::parts::window;
use super::state::{BY_CALL, BY_TAIL_CALL, EXIT, ExitReason, NativeState};
use super::types::{Made, Plan, Type};
use crate::value::CONSTANT;

impl<'a> Lowering<'a, '_> {
    /// Lowers an instruction of the module; false when the block does not go on behind it.
    pub(super) fn call(&mut self, op: Call, plan: Plan) -> bool {
        match plan {
            Plan::Inline(callee) => self.call_inlined(op, callee),
            Plan::OneOf => self.call_one_of(op),
            _ => {
                let goes_on = self.call_elsewhere(op, plan);
                self.note_moves();
                goes_on
            }
        }
    }

    fn call_elsewhere(&mut self, op: Call, plan: Plan) -> bool {
        match (op, plan) {
            (Call::Call { window, function }, _) => {
                let callee = self.scope.evidence.linked(function.0);
                self.call_function(callee, window.base, window.args, false)
            }
            (Call::CallClosure { window }, Plan::Known(callee)) => {
                self.is_closure_of(window.base, callee);
                self.call_known(callee, window.base, window.args)
            }
            (Call::CallClosure { window }, Plan::AnyClosure) => {
                self.call_any(window.base, window.args);
                true
            }
            (Call::TailCall { window, function }, _) => {
                let callee = self.scope.evidence.linked(function.0);
                self.tail_call(callee, window.base, window.args, false)
            }
            (Call::TailCallClosure { window }, Plan::Known(callee)) => {
                self.is_closure_of(window.base, callee);
                self.tail_call(callee, window.base, window.args, true)
            }
            (Call::TailCallClosure { window }, Plan::AnyClosure) => {
                self.tail_call_any(window.base, window.args);
                false
            }
            (Call::Capture { dst, .. }, _) if self.read_field(&op.into(), dst.0) => true,
            (Call::Apply { window }, _) => {
                self.apply(window.base);
                true
            }
            (Call::TailApply { window }, _) => {
                self.tail_apply(window.base);
                false
            }
            (
                Call::Capture {
                    dst,
                    closure,
                    index,
                },
                _,
            ) => {
                let has_it = self.has_capture(closure.0, index.0);
                let object = self.object(closure.0, Kind::Closure);
                if !has_it {
                    let count = self.b.ins().load(I16, MEMORY, object, 2);
                    let order = IntCC::UnsignedGreaterThan;
                    let there = self.b.ins().icmp_imm_s(order, count, i64::from(index.0));
                    self.exit_unless(there, ExitReason::Range);
                }
                let made = Made::Closure(self.scope.part.place.number());
                let (tag, bits) = self.load_field(object, made, index.0 as usize);
                self.set_any(dst.0, tag, bits);
                true
            }
            (Call::CellGet { dst, cell }, _) => {
                let object = self.object(cell.0, Kind::Cell);
                let tag = self.b.ins().load(I16, MEMORY, object, 2);
                let tag = self.b.ins().uextend(I64, tag);
                let bits = self.b.ins().load(I64, MEMORY, object, 8);
                self.set_any(dst.0, tag, bits);
                true
            }
            (Call::Cell { dst, value }, _) => {
                self.cell(dst, value);
                true
            }
            (
                Call::Closure {
                    dst,
                    function,
                    captures,
                },
                _,
            ) => {
                let function = self.scope.evidence.linked(function.0);
                self.closure(dst, function, captures);
                true
            }
            (Call::CellSet { cell, value }, _) => {
                self.cell_set(cell.0, value.0);
                true
            }
            _ => unreachable!("done by a handler, or not compiled"),
        }
    }

    /// Whether a register is known to hold a closure that has a captured value of this number: all closures of
    /// a function have as many.
    fn has_capture(&self, closure: u16, index: u32) -> bool {
        let function = self.now[usize::from(closure)].callee();
        let captures = function.map_or(0, |function| {
            self.planner.program.function(function).captures
        });
        self.planner.optimizations.elide && index < u32::from(captures)
    }

    fn cell_set(&mut self, cell: u16, value: u16) {
        let object = self.object(cell, Kind::Cell);
        let (tag, bits) = self.value(value);
        self.mark_cell(cell);
        self.b.ins().istore16(MEMORY, tag, object, 2);
        self.b.ins().store(MEMORY, bits, object, 8);
    }

    fn call_inlined(&mut self, op: Call, callee: u32) -> bool {
        let (base, args) = window(&op);
        let is_tail_call = matches!(op, Call::TailCall { .. } | Call::TailCallClosure { .. });
        if matches!(op, Call::CallClosure { .. } | Call::TailCallClosure { .. }) {
            self.is_closure_of(base, callee);
        }
        let part = self.inlined_part(callee);
        if is_tail_call {
            self.inline_tail(part, base, args);
        } else {
            self.inline(part, base, args);
        }
        !is_tail_call
    }

    /// A call of one of a few functions: each is a case of its own.
    fn call_one_of(&mut self, op: Call) -> bool {
        let (base, args) = window(&op);
        let is_tail_call = matches!(op, Call::TailCallClosure { .. });
        let evidence = &self.scope.evidence;
        let result = evidence.outcome_of_cases(self.pc, &self.now).result;
        let cases = evidence.cases(self.pc, &self.now);
        let callee = self.function_of_closure(base);
        let behind = self.b.create_block();
        let (now, last, taken) = (self.now.clone(), cases.len() - 1, self.taken);
        for (place, (function, part)) in cases.into_iter().enumerate() {
            let is_this = self
                .b
                .ins()
                .icmp_imm_s(IntCC::Equal, callee, i64::from(function));
            let other = (place < last).then(|| self.b.create_block());
            match other {
                Some(other) => {
                    let this = self.b.create_block();
                    self.b.ins().brif(is_this, this, &NONE, other, &NONE);
                    self.switch_to_sealed(this);
                }
                None => self.exit_unless(is_this, ExitReason::Callee),
            }
            if self.planner.program.function(function).captures > 0 {
                // A function's value without captured values is a constant; this is an object.
                self.now[usize::from(base)] = Type::Closure(function);
            }
            match (part, is_tail_call) {
                (Some(part), true) => {
                    self.can_pay(&part);
                    self.inline_tail(part, base, args);
                }
                (Some(part), false) => self.inline_case(part, (base, args), (result, behind)),
                (None, true) => {
                    self.tail_call(function, base, args, true);
                }
                (None, false) => {
                    self.call_known(function, base, args);
                    self.b.ins().jump(behind, &NONE);
                }
            }
            self.now.clone_from(&now);
            self.taken = taken;
            if let Some(other) = other {
                self.switch_to_sealed(other);
            }
        }
        if !is_tail_call {
            self.returned(base, result, behind);
        }
        !is_tail_call
    }

    /// Whether arguments can be passed as they stand.
    fn is_plain(&self, callee: u32, args: u16) -> bool {
        let callee = self.planner.program.function(callee);
        callee.params == args && !callee.rest
    }

    /// Exits unless a value is a closure of this function, or the function itself as a value.
    fn is_closure_of(&mut self, register: u16, callee: u32) {
        if self.now[usize::from(register)].callee() == Some(callee) {
            return;
        }
        let has_captures = self.planner.program.function(callee).captures > 0;
        let (tag, bits) = self.value(register);
        let is_closure = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, tag, Kind::Closure as i64);
        if has_captures {
            self.exit_unless(is_closure, ExitReason::Callee);
            let right = self.is_word_of_closure(bits, callee);
            self.exit_unless(right, ExitReason::Callee);
            return self.set_bits(register, Type::Closure(callee), bits);
        }
        // One without captures is a constant, but it can also be made like any other.
        let (in_arena, constant, right) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        self.b
            .ins()
            .brif(is_closure, in_arena, &NONE, constant, &NONE);
        self.switch_to_sealed(in_arena);
        let same = self.is_word_of_closure(bits, callee);
        self.exit_unless(same, ExitReason::Callee);
        self.b.ins().jump(right, &NONE);
        self.switch_to_sealed(constant);
        let wanted = self.planner.program.function_value(callee);
        let tags = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, tag, wanted.tag as i64);
        let wanted = self.constant_bits(wanted);
        let same = self.b.ins().icmp(IntCC::Equal, bits, wanted);
        let both = self.b.ins().band(tags, same);
        self.exit_unless(both, ExitReason::Callee);
        self.b.ins().jump(right, &NONE);
        self.switch_to_sealed(right);
    }

    /// Whether the closure at an offset is one of this function.
    pub(super) fn is_word_of_closure(&mut self, offset: ir::Value, function: u32) -> ir::Value {
        let words = self.load_state(offset_of!(NativeState<'_>, words));
        let object = self.b.ins().iadd(words, offset);
        let found = self.b.ins().load(I64, MEMORY, object, 8);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let wanted = self.b.ins().bor_imm_s(program, i64::from(function));
        self.b.ins().icmp(IntCC::Equal, found, wanted)
    }

    /// Writes the closure to the register of the callee that it stands in, given as one of ours.
    fn give_closure(&mut self, callee: u32, closure: u16, register: u16) {
        if self.planner.program.function(callee).captures > 0 {
            self.has_slot(register.into());
            let (tag, bits) = self.value(closure);
            let slot = i32::from(register) * SLOT;
            self.store_in_frame(tag, slot);
            self.store_in_frame(bits, slot + 8);
        }
    }

    /// Exits unless the slot of a register is within the stack: it may be the first behind this frame.
    pub(super) fn has_slot(&mut self, register: u32) {
        let end = (i64::from(register) + 1) * i64::from(SLOT);
        let end = self.in_frame(end);
        let stack_end = self.load_state(offset_of!(NativeState<'_>, stack_end));
        let beyond = self
            .b
            .ins()
            .icmp(IntCC::UnsignedGreaterThan, end, stack_end);
        self.exit_if(beyond, ExitReason::NotEntered);
    }

    /// The number of the function of this program that a closure is of. Exits if it is of none.
    fn function_of_closure(&mut self, base: u16) -> ir::Value {
        let (tag, bits) = self.value(base);
        let (in_arena, constant, found) = (
            self.b.create_block(),
            self.b.create_block(),
            self.b.create_block(),
        );
        let object = self.b.append_block_param(found, I64);
        let is_closure = self
            .b
            .ins()
            .icmp_imm_s(IntCC::Equal, tag, Kind::Closure as i64);
        self.b
            .ins()
            .brif(is_closure, in_arena, &NONE, constant, &NONE);
        self.switch_to_sealed(in_arena);
        let words = self.load_state(offset_of!(NativeState<'_>, words));
        let place = self.b.ins().iadd(words, bits);
        self.b.ins().jump(found, &[place.into()]);
        self.switch_to_sealed(constant);
        let wanted = Kind::Closure as i64 | CONSTANT as i64;
        let is_constant = self.b.ins().icmp_imm_s(IntCC::Equal, tag, wanted);
        self.exit_unless(is_constant, ExitReason::Callee);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let offset = self.b.ins().isub(bits, program);
        let high = self.b.ins().ushr_imm_u(offset, 32);
        let is_own = self.b.ins().icmp_imm_s(IntCC::Equal, high, 0);
        self.exit_unless(is_own, ExitReason::Callee);
        let constants = self.load_state(offset_of!(NativeState<'_>, constants));
        let place = self.b.ins().iadd(constants, offset);
        self.b.ins().jump(found, &[place.into()]);
        self.switch_to_sealed(found);
        let word = self.b.ins().load(I64, MEMORY, object, 8);
        let program = self.load_state(offset_of!(NativeState<'_>, program_bits));
        let callee = self.b.ins().isub(word, program);
        let high = self.b.ins().ushr_imm_u(callee, 32);
        let is_own = self.b.ins().icmp_imm_s(IntCC::Equal, high, 0);
        self.exit_unless(is_own, ExitReason::Callee);
        callee
    }

    /// The place of what the code table says about a function's shape.
    fn shape(&mut self, callee: ir::Value) -> ir::Value {
        let shapes = self.load_state(offset_of!(NativeState<'_>, shapes));
        let place = self.b.ins().ishl_imm_u(callee, 3);
        self.b.ins().iadd(shapes, place)
    }

    /// Goes to one of two new blocks by whether a function of this shape takes these arguments as they stand; the other one is cold.
    fn branch_on_fit(&mut self, shape: ir::Value, args: u16) -> [ir::Block; 2] {
        let [fit, other] = [self.b.create_block(), self.b.create_block()];
        self.b.set_cold_block(other);
        let params = self.b.ins().load(I32, MEMORY, shape, 0);
        let args = i64::from(args);
        let fits = self.b.ins().icmp_imm_s(IntCC::Equal, params, args);
        self.b.ins().brif(fits, fit, &NONE, other, &NONE);
        [fit, other]
    }

    /// Calls whatever function a closure is of.
    fn call_any(&mut self, base: u16, args: u16) {
        let callee = self.function_of_closure(base);
        let closure = self.value(base);
        (base + 1..=base + args).for_each(|register| self.write_back(register));
        let shape = self.shape(callee);
        let [fit, other] = self.branch_on_fit(shape, args);
        let enter = self.b.create_block();
        let entered = self.b.append_block_param(enter, I64);
        let way = self.b.append_block_param(enter, I64);
        self.switch_to_sealed(other);
        let window = self.window(base);
        let gathered = self.gather(closure, base, args, window);
        let as_tail = self.way(gathered, BY_TAIL_CALL);
        let arguments = [gathered.into(), as_tail.into()];
        self.b.ins().jump(enter, &arguments);
        self.switch_to_sealed(fit);
        self.give_any_closure(shape, closure, base + 1 + args);
        self.tell_gas(0);
        let as_call = self.way(callee, BY_CALL);
        self.b.ins().jump(enter, &[callee.into(), as_call.into()]);
        self.switch_to_sealed(enter);
        self.enter_code(entered, base, way);
    }

    /// Writes a closure to a register of the callee, if a function of this shape wants it there.
    fn give_any_closure(
        &mut self,
        shape: ir::Value,
        (tag, bits): (ir::Value, ir::Value),
        register: u16,
    ) {
        let captures = self.b.ins().load(I16, MEMORY, shape, 6);
        let has_captures = self.b.ins().icmp_imm_s(IntCC::NotEqual, captures, 0);
        let (give, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(has_captures, give, &NONE, go_on, &NONE);
        self.switch_to_sealed(give);
        self.has_slot(register.into());
        let slot = i32::from(register) * SLOT;
        self.store_in_frame(tag, slot);
        self.store_in_frame(bits, slot + 8);
        self.b.ins().jump(go_on, &NONE);
        self.switch_to_sealed(go_on);
    }

    fn code_of(&mut self, callee: ir::Value) -> ir::Value {
        let table = self.load_state(offset_of!(NativeState<'_>, table));
        let place = self.b.ins().ishl_imm_u(callee, 3);
        let place = self.b.ins().iadd(table, place);
        self.b.ins().load(I64, MEMORY, place, 0)
    }

    /// What a body is told about how it is entered.
    pub(super) fn way(&mut self, callee: ir::Value, entry: u32) -> ir::Value {
        let way = self.b.ins().ishl_imm_u(callee, 32);
        self.b.ins().bor_imm_s(way, i64::from(entry))
    }

    /// Calls the function that a closure in a window's base is of.
    fn call_known(&mut self, callee: u32, base: u16, args: u16) -> bool {
        if self.is_plain(callee, args) {
            self.give_closure(callee, base, base + 1 + args);
        }
        self.call_function(callee, base, args, true)
    }

    fn call_function(&mut self, callee: u32, base: u16, args: u16, is_closure: bool) -> bool {
        let target = self.planner.program.function(callee);
        if target.rest && args >= target.params {
            self.call_with_rest(callee, base, args, is_closure);
            return true;
        }
        if !self.is_plain(callee, args) {
            let exit = self.exit(ExitReason::Uncompiled);
            self.b.ins().jump(exit, &NONE);
            return false;
        }
        let callee = self.b.ins().iconst(I64, i64::from(callee));
        self.call_code(callee, base, args)
    }

    fn call_code(&mut self, callee: ir::Value, base: u16, args: u16) -> bool {
        for register in base + 1..=base + args {
            self.write_back(register);
        }
        self.tell_gas(0);
        let way = self.way(callee, BY_CALL);
        self.enter_code(callee, base, way);
        true
    }

    /// Enters a function whose arguments stand in a window; it is told which function it is and how it is entered.
    pub(super) fn enter_code(&mut self, callee: ir::Value, base: u16, way: ir::Value) {
        let code = self.code_of(callee);
        let window = self.window(base);
        let arguments = [self.state, window, way];
        let call = self.b.ins().call_indirect(self.body, code, &arguments);
        let (tag, bits) = self.value_of(call, |lowering, tag| {
            lowering.leave_with_callee(tag, base);
        });
        self.now[usize::from(base)..].fill(Type::Any);
        self.set_any(base, tag, bits);
    }

    /// The value that a call has returned; `leave` is what happens when, as the tag says, it has not.
    fn value_of(
        &mut self,
        call: ir::Inst,
        leave: impl FnOnce(&mut Self, ir::Value),
    ) -> (ir::Value, ir::Value) {
        let (tag, bits) = (self.b.inst_results(call)[0], self.b.inst_results(call)[1]);
        let (left, go_on) = (self.b.create_block(), self.b.create_block());
        let is_value = self.b.ins().icmp_imm_s(IntCC::UnsignedLessThan, tag, EXIT);
        self.b.ins().brif(is_value, go_on, &NONE, left, &NONE);
        self.switch_to_sealed(left);
        self.b.set_cold_block(left);
        leave(self, tag);
        self.switch_to_sealed(go_on);
        self.gas_is_told();
        (tag, bits)
    }

    /// The callee has not returned a value: either it did not begin, and this frame exits at the call, or
    /// it has left, and this frame leaves as its caller.
    fn leave_with_callee(&mut self, tag: ir::Value, base: u16) {
        let frame = self.b.create_block();
        let exit = self.exit(ExitReason::NotEntered);
        let has_left = self.b.ins().icmp_imm_s(IntCC::Equal, tag, EXIT);
        self.b.ins().brif(has_left, frame, &NONE, exit, &NONE);
        self.switch_to_sealed(frame);
        self.b.set_cold_block(frame);
        let sources = self.sources(self.pc, base);
        self.leave_as_caller(self.pc, base, &sources);
    }

    fn tail_call(&mut self, callee: u32, base: u16, args: u16, is_closure: bool) -> bool {
        let target = self.planner.program.function(callee);
        if target.rest && args >= target.params {
            self.tail_call_with_rest(callee, base, args, is_closure);
            return false;
        }
        if !self.is_plain(callee, args) {
            let exit = self.exit(ExitReason::Uncompiled);
            self.b.ins().jump(exit, &NONE);
            return false;
        }
        self.has_room(callee);
        let gives_closure = is_closure && target.captures > 0;
        let values = self.arguments(base, args, gives_closure);
        let callee = self.b.ins().iconst(I64, i64::from(callee));
        self.start_over(callee, values);
        false
    }

    /// Exits unless a function's frame has room in place of this one, than which it may be larger: limits trip at the call.
    pub(super) fn has_room(&mut self, callee: u32) {
        let function = self.planner.program.function(callee);
        let frame = i64::from(function.registers) * i64::from(SLOT);
        let end = self.in_frame(frame);
        self.ends_within_stack(end);
    }

    fn ends_within_stack(&mut self, end: ir::Value) {
        let stack_end = self.load_state(offset_of!(NativeState<'_>, stack_end));
        let order = IntCC::UnsignedGreaterThan;
        let beyond = self.b.ins().icmp(order, end, stack_end);
        self.exit_if(beyond, ExitReason::NotEntered);
    }

    /// The arguments in a window, and the closure behind them.
    fn arguments(
        &mut self,
        base: u16,
        args: u16,
        gives_closure: bool,
    ) -> Vec<(ir::Value, ir::Value)> {
        let arguments = base + 1..=base + args;
        let registers = arguments.chain(gives_closure.then_some(base));
        registers.map(|register| self.value(register)).collect()
    }

    /// A tail call of whatever function a closure is of.
    fn tail_call_any(&mut self, base: u16, args: u16) {
        let callee = self.function_of_closure(base);
        let values = self.arguments(base, args, true);
        let shape = self.shape(callee);
        let [fit, other] = self.branch_on_fit(shape, args);
        let taken = self.taken;
        self.switch_to_sealed(other);
        (base + 1..=base + args).for_each(|register| self.write_back(register));
        let closure = self.value(base);
        let frame = self.in_frame(0);
        let gathered = self.gather(closure, base, args, frame);
        self.go_on_in(gathered);
        self.switch_to_sealed(fit);
        self.taken = taken;
        let registers = self.b.ins().load(I16, MEMORY, shape, 4);
        let registers = self.b.ins().uextend(I64, registers);
        // One slot more, for the closure, which a function without captures does not look at.
        let slots = self.b.ins().iadd_imm_s(registers, 1);
        let bytes = self.b.ins().imul_imm_s(slots, i64::from(SLOT));
        let frame = self.in_frame(0);
        let end = self.b.ins().iadd(frame, bytes);
        self.ends_within_stack(end);
        self.start_over(callee, values);
    }

    /// Goes on in another function, for which there is room, with values at the front of this frame.
    pub(super) fn start_over(&mut self, callee: ir::Value, values: Vec<(ir::Value, ir::Value)>) {
        for (place, (tag, bits)) in values.into_iter().enumerate() {
            let slot = place as i32 * SLOT;
            self.store_in_frame(tag, slot);
            self.store_in_frame(bits, slot + 8);
        }
        self.tell_gas(0);
        self.go_on_in(callee);
    }

    /// Goes on in another function, whose arguments stand at the front of this frame.
    pub(super) fn go_on_in(&mut self, callee: ir::Value) {
        let way = self.way(callee, BY_TAIL_CALL);
        let code = self.code_of(callee);
        let frame = self.in_frame(0);
        let arguments = [self.state, frame, way];
        if self.scope.caller.is_none() {
            self.b
                .ins()
                .return_call_indirect(self.body, code, &arguments);
            return;
        }
        // A part inside has no native frame of its own to give up.
        let call = self.b.ins().call_indirect(self.body, code, &arguments);
        let (tag, bits) = self.value_of(call, |lowering, _| {
            lowering.leave_callers();
        });
        self.give_back_any(tag, bits);
    }

    /// The write barrier for a cell, whose two words may lie on two cards.
    fn mark_cell(&mut self, register: u16) {
        let offset = self.bits(register);
        let cards = self.load_state(offset_of!(NativeState<'_>, cards));
        self.mark_card(cards, offset);
        let second = self.b.ins().iadd_imm_s(offset, 8);
        self.mark_card(cards, second);
    }
}
