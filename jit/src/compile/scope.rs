//! The parts of a body while they are lowered: their frames, and how one enters and leaves those that are
//! inlined. An inlined function's registers are variables of their own; its frame, which lies in its
//! caller's window, is written only by exits and by what reads it there.

use std::cell::Cell;
use std::rc::Rc;

use cranelift_codegen::ir::{self, InstBuilder};
use cranelift_frontend::FunctionBuilder;
use pw_isa::Function;
use pw_isa::verify::LiveTable;

use super::arguments::Passed;
use super::exits::{Shared, Sources};
use super::lower::{Lowering, NONE, SLOT};
use super::parts::{AtStarts, Part, Planner};
use super::plans::Few;
use super::raises::Raised;
use super::ranges::Ranges;
use super::registers::Register;
use super::types::{Evidence, Type};

/// A part being lowered.
pub(super) struct Scope<'a> {
    pub(super) part: Rc<Part>,
    pub(super) evidence: Evidence<'a>,
    pub(super) function: &'a Function,
    pub(super) live: &'a LiveTable,
    pub(super) registers: Vec<Register>,
    /// What is known about Ints and lengths at the start of each block.
    pub(super) ranges: AtStarts,
    /// Cranelift's blocks, by block.
    pub(super) native: Vec<ir::Block>,
    /// By block: how much has been taken of the gas where it begins.
    pub(super) taken: Vec<Cell<i64>>,
    /// How many slots the frame's r0 is behind the root's.
    pub(super) slot: u32,
    /// What its exits share.
    pub(super) shared: Shared,
    /// Where it returns to; none for a frame in the root's place.
    pub(super) caller: Option<Caller<'a>>,
    /// Where what is raised in it goes on that it does not catch itself.
    pub(super) raised: Raised<'a>,
    /// The gas that must be left when it returns: none, where that is checked.
    pub(super) need_at_return: u64,
}

/// Where a part goes on that it does not hold itself.
pub(super) struct Ways<'a> {
    pub(super) caller: Option<Caller<'a>>,
    pub(super) raised: Raised<'a>,
    pub(super) need_at_return: u64,
}

/// The call that an inlined function returns from.
#[derive(Clone)]
pub(super) struct Caller<'a> {
    pub(super) scope: Rc<Scope<'a>>,
    pub(super) pc: u32,
    pub(super) window: u16,
    /// Where the caller's registers are during the call.
    pub(super) sources: Sources,
    to: Returned,
}

/// What a part returns to.
#[derive(Clone)]
struct Returned {
    behind: ir::Block,
    /// What is known there about the value returned, and about registers that were passed.
    result: Type,
    passed: Few<Passed>,
    /// The gas that must be left.
    need: u64,
    /// How much has been taken of the gas, where there is only one return.
    taken: Option<Rc<Cell<i64>>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        b: &mut FunctionBuilder<'_>,
        planner: &'a Planner<'a>,
        part: Rc<Part>,
        at_entry: &Ranges,
        slot: u32,
        ways: Ways<'a>,
    ) -> Scope<'a> {
        let number = part.place.number();
        let evidence = planner.evidence(&part.place);
        let function = planner.program.function(number);
        let registers = (0..function.registers).map(|_| Register::declare(b));
        Scope {
            registers: registers.collect(),
            native: part
                .place
                .blocks
                .all
                .iter()
                .map(|_| b.create_block())
                .collect(),
            taken: vec![Cell::new(0); part.place.blocks.all.len()],
            ranges: part.ranges(&evidence, at_entry),
            evidence,
            function,
            live: planner.program.live(number),
            part,
            slot,
            shared: Shared::default(),
            caller: ways.caller,
            raised: ways.raised,
            need_at_return: ways.need_at_return,
        }
    }

    /// How many bytes the frame's r0 is behind the root's.
    pub(super) fn frame(&self) -> i32 {
        self.slot as i32 * SLOT
    }

    /// The slot behind its frame, from the root's r0 on.
    pub(super) fn end(&self) -> u32 {
        self.slot + u32::from(self.function.registers)
    }
}

impl<'a> Lowering<'a, '_> {
    /// The code of a function in place of its call; its arguments stand in the window. Goes on behind it.
    pub(super) fn inline(&mut self, part: Rc<Part>, window: u16, args: u16) {
        let passed = self.scope.evidence.passed(self.pc, &part);
        let to = Returned {
            passed: passed.clone(),
            result: part.outcome.result,
            behind: self.b.create_block(),
            need: self.need_at_return(&part),
            taken: (part.returns == 1).then(Rc::default),
        };
        let (result, behind, taken) = (to.result, to.behind, to.taken.clone());
        self.inline_to(part, (window, args), to);
        self.returned(window, result, behind);
        self.taken = taken.map_or(0, |taken| taken.get());
        self.narrow(&passed);
    }

    /// Goes on behind a call whose result is in the window.
    pub(super) fn returned(&mut self, window: u16, result: Type, behind: ir::Block) {
        self.go_on_in_block(behind);
        self.b.seal_block(behind);
        self.taken = 0;
        self.note_moves();
        self.now[usize::from(window)..].fill(Type::Any);
        self.now[usize::from(window)] = result;
    }

    /// What must be left behind the call that ends the current block and that a part stands for, when it returns.
    fn need_at_return(&self, part: &Part) -> u64 {
        let here = &self.scope.part;
        let behind = here.place.blocks.all[self.block].next[0];
        match part.payments.is_through() {
            true => here.payments.need_at(behind) + self.scope.need_at_return,
            false => 0,
        }
    }

    /// One of several parts that can stand in place of a call, for which the gas may not be there.
    pub(super) fn inline_case(
        &mut self,
        part: Rc<Part>,
        (window, args): (u16, u16),
        (result, behind): (Type, ir::Block),
    ) {
        self.can_pay(&part);
        let to = Returned {
            passed: Few::new(),
            result,
            behind,
            need: 0,
            taken: None,
        };
        self.inline_to(part, (window, args), to);
    }

    /// The code of a function in place of its call.
    fn inline_to(&mut self, part: Rc<Part>, (window, args): (u16, u16), to: Returned) {
        let caller = Caller {
            scope: Rc::clone(&self.scope),
            pc: self.pc,
            window,
            sources: self.sources(self.pc, window),
            to,
        };
        let need_at_return = caller.to.need;
        let slot = self.scope.slot + u32::from(window) + 1;
        let ways = Ways {
            caller: Some(caller),
            raised: self.raised_here(),
            need_at_return,
        };
        self.lower_inside(part, slot, ways, window, args);
    }

    /// The code of a function in place of a tail call: its frame takes the place of this one.
    pub(super) fn inline_tail(&mut self, part: Rc<Part>, window: u16, args: u16) {
        let ways = Ways {
            caller: self.scope.caller.clone(),
            raised: self.scope.raised.clone(),
            need_at_return: self.scope.need_at_return,
        };
        self.lower_inside(part, self.scope.slot, ways, window, args);
    }

    pub(super) fn inlined_part(&self, callee: u32) -> Rc<Part> {
        let evidence = &self.scope.evidence;
        evidence.inlined(self.pc, callee, &self.now)
    }

    /// Exits at the call unless the gas to the first check inside is there.
    pub(super) fn can_pay(&mut self, part: &Part) {
        self.exit_if_poor(part.payments.need_at(0));
    }

    /// Lowers a part whose arguments stand in a window of the current one.
    fn lower_inside(&mut self, part: Rc<Part>, slot: u32, ways: Ways<'a>, window: u16, args: u16) {
        let ranges = self.ranges.passed(window, args);
        let inner = Scope::new(&mut self.b, self.planner, part, &ranges, slot, ways);
        self.reach = self.reach.max(inner.end());
        let inner = Rc::new(inner);
        let mut types = vec![Type::Any; inner.registers.len()];
        for place in 0..args {
            types[usize::from(place)] = self.pass(&inner, window + 1 + place, place);
        }
        if inner.function.captures > 0 {
            types[usize::from(args)] = self.pass(&inner, window, args);
        }
        self.elsewhere(inner, types, ranges, |lowering| {
            lowering.begin_part();
            lowering.part();
        });
    }

    /// Lowers something in a part where this is known about its registers, and comes back.
    pub(super) fn elsewhere(
        &mut self,
        scope: Rc<Scope<'a>>,
        types: Vec<Type>,
        ranges: Ranges,
        lower: impl FnOnce(&mut Self),
    ) {
        let here = (
            std::mem::replace(&mut self.scope, scope),
            std::mem::replace(&mut self.now, types),
            std::mem::replace(&mut self.ranges, ranges),
            std::mem::take(&mut self.before),
            std::mem::take(&mut self.here),
            std::mem::take(&mut self.failures),
            self.catch.take(),
            (self.pc, self.refund, self.block),
        );
        lower(self);
        (
            self.scope,
            self.now,
            self.ranges,
            self.before,
            self.here,
            self.failures,
            self.catch,
            (self.pc, self.refund, self.block),
        ) = here;
    }

    /// Copies a register to one of an inner part; its type.
    fn pass(&mut self, inner: &Scope<'a>, from: u16, to: u16) -> Type {
        let (from, to_variables) = (usize::from(from), inner.registers[usize::from(to)]);
        let known = self.now[from];
        self.copy_value(self.scope.registers[from], to_variables, known);
        known
    }

    /// Returns a register's value from the current part.
    pub(super) fn give_back(&mut self, register: u16) {
        let Some(caller) = &Rc::clone(&self.scope).caller else {
            let (tag, bits) = self.value(register);
            return self.return_value(tag, bits);
        };
        let to = caller.scope.registers[usize::from(caller.window)];
        let known = self.now[usize::from(register)];
        self.copy_value(self.scope.registers[usize::from(register)], to, known);
        self.widen(to, known, caller.to.result);
        self.give_views(&caller.scope.registers, &caller.to.passed);
        let taken = self.pass_gas(caller.to.taken.is_some());
        if let Some(at_return) = &caller.to.taken {
            at_return.set(taken);
            if self.is_last_block() && self.failures.is_empty() {
                self.falls_into = Some(caller.to.behind);
                return;
            }
        }
        self.b.ins().jump(caller.to.behind, &NONE);
    }

    /// Returns tag and bits from an inlined part, or from the root.
    pub(super) fn give_back_any(&mut self, tag: ir::Value, bits: ir::Value) {
        let Some(caller) = &Rc::clone(&self.scope).caller else {
            return self.return_value(tag, bits);
        };
        let to = caller.scope.registers[usize::from(caller.window)];
        to.set_any(&mut self.b, tag, bits);
        self.pass_gas(false);
        self.b.ins().jump(caller.to.behind, &NONE);
    }
}
