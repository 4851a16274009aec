//! A function: its beginning, its statements, its end.
//!
//! ```text
//! [fuel][params][rest][closure][padding][variables][registers of open statements][call window]
//! ```
//!
//! Variables are set at the beginning and always hold what they are expected to, so they can be read and
//! written anywhere. All other registers are taken and given back like a stack.

use pw_isa::Op;
use pw_isa::builder::FunctionBuilder;
use pw_isa::op::{Actor, Capability, Compare, Control, Data, Effects, Function};
use pw_isa::operand::{Def, Imm, Index, Span, Use};
use pw_isa::program::Constant;

use super::kinds::{VARIABLES, Want};
use super::{Callee, Plan, Tape};

/// The register with a function's fuel.
pub(super) const FUEL: u16 = 0;
/// Blocks within each other.
const NESTING_MAX: u32 = 4;
/// Statements of a function.
const STATEMENTS_MAX: u32 = 60;

/// A function in the making.
pub(super) struct Body<'t, 'b> {
    pub(super) tape: &'t mut Tape<'b>,
    pub(super) plan: &'t Plan,
    /// Nothing for the entry.
    pub(super) callee: Option<&'t Callee>,
    pub(super) code: FunctionBuilder,
    pub(super) variables: Vec<(u16, Want)>,
    /// The variable that was written last.
    pub(super) recent: u16,
    /// The lowest register that is free.
    pub(super) free: u16,
    /// Handlers around the place in this function.
    pub(super) trying: u32,
    /// How often at most the place runs in one call.
    pub(super) times: u64,
    /// Calls that the code may still contain.
    pub(super) calls_left: u32,
    nesting: u32,
    statements_left: u32,
}

impl<'t, 'b> Body<'t, 'b> {
    fn new(
        tape: &'t mut Tape<'b>,
        plan: &'t Plan,
        callee: Option<&'t Callee>,
        code: FunctionBuilder,
    ) -> Self {
        Body {
            tape,
            plan,
            callee,
            code,
            variables: Vec::new(),
            recent: 0,
            free: 0,
            trying: 0,
            times: 1,
            calls_left: callee.map_or(8, |callee| callee.calls),
            nesting: 0,
            statements_left: STATEMENTS_MAX,
        }
    }

    /// The function that runs first.
    pub(super) fn of_entry(tape: &'t mut Tape<'b>, plan: &'t Plan) -> FunctionBuilder {
        let mut body = Body::new(tape, plan, None, FunctionBuilder::new("main", 0));
        body.variables(2, 9);
        for (global, want) in &plan.globals {
            // One that was never set is read sooner or later.
            if !body.tape.one_in(40) {
                body.set_global(*global, *want);
            }
        }
        if body.tape.one_in(3) {
            body.block(5, 9);
        } else {
            body.attempt();
        }
        body.block(1, 9);
        body.return_everything();
        body.code
    }

    /// Any other function.
    pub(super) fn of_callee(
        tape: &'t mut Tape<'b>,
        plan: &'t Plan,
        callee: &'t Callee,
    ) -> FunctionBuilder {
        let signature = plan.signature(callee);
        let params = 1 + signature.params.len() as u16;
        let mut code = FunctionBuilder::new(&format!("f{}", callee.number), params);
        code.set_rest(callee.rest);
        code.set_captures(callee.captures.len() as u16);
        let mut body = Body::new(tape, plan, Some(callee), code);
        body.free = 1;
        for want in &signature.params {
            let register = body.take(1);
            body.variables.push((register, *want));
        }
        if callee.rest {
            let register = body.take(1);
            body.variables.push((register, Want::List));
        }
        let has_closure = u16::from(!callee.captures.is_empty());
        body.take(has_closure + callee.padding);
        body.end_without_fuel(signature.gives);
        body.captured_variables();
        body.variables(0, 6);
        body.block(2, 7);
        body.finish(signature.gives);
        body.code
    }

    /// The register of this function's own closure.
    pub(super) fn closure_register(&self) -> Option<(u16, &'t [Want])> {
        let callee = self.callee?;
        let params = 1 + self.plan.signature(callee).params.len() as u16;
        (!callee.captures.is_empty()).then_some((params + u16::from(callee.rest), &callee.captures))
    }

    /// Emits an instruction.
    pub(super) fn emit(&mut self, op: impl Into<Op>) {
        let op: Op = op.into();
        if self.callee.is_none_or(|callee| !callee.own_gas) {
            return self.code.emit(op);
        }
        let must_cost =
            op.info().effects.has(Effects::CALL) || matches!(op, Op::Control(Control::Loop {}));
        let gas = self.code.pc() * 7 % 4;
        self.code
            .emit_with_gas(op, gas as u16 + u16::from(must_cost));
    }

    /// Takes registers from the stack of free ones; the first.
    pub(super) fn take(&mut self, count: u16) -> u16 {
        let first = self.free;
        self.free += count;
        self.code.need_registers(self.free);
        first
    }

    /// Sets up variables: one for Ints, one for anything, and others.
    fn variables(&mut self, at_least: usize, more: usize) {
        let count = at_least + self.tape.below(more);
        let signatures = self.plan.signatures.len();
        let mut wants = vec![Want::Int, Want::Any];
        for _ in 0..count {
            let function = signatures > 0 && self.tape.one_in(6);
            wants.push(if function {
                Want::Function(self.tape.below(signatures) as u8)
            } else {
                self.tape.pick(&VARIABLES)
            });
        }
        for want in wants {
            let register = self.take(1);
            let free = self.free;
            self.make(want, register);
            self.free = free;
            self.variables.push((register, want));
        }
    }

    /// Some captured values become variables.
    fn captured_variables(&mut self) {
        let Some((closure, captures)) = self.closure_register() else {
            return;
        };
        for (index, want) in captures.iter().enumerate() {
            if self.tape.one_in(2) {
                let register = self.take(1);
                self.emit(Function::Capture {
                    dst: Def(register),
                    closure: Use(closure),
                    index: Index(index as u32),
                });
                self.variables.push((register, *want));
            }
        }
    }

    fn end_without_fuel(&mut self, gives: Want) {
        let free = self.free;
        let [one, test] = [self.take(1), self.take(1)];
        self.emit(Data::Int {
            dst: Def(one),
            value: Imm(1),
        });
        self.emit(Compare::Lt {
            dst: Def(test),
            a: Use(FUEL),
            b: Use(one),
        });
        let go_on = self.code.label();
        self.emit(Control::BranchUnless {
            test: Use(test),
            to: go_on,
        });
        self.make(gives, one);
        self.emit(Control::Return { value: Use(one) });
        self.code.bind(go_on);
        self.free = free;
    }

    /// At least `least` statements and fewer than `bound`, unless the tape ends.
    pub(super) fn block(&mut self, least: usize, bound: usize) {
        self.nesting += 1;
        for _ in 0..least + self.tape.below(bound - least) {
            if !self.tape.is_over() && self.statements_left > 0 {
                self.statements_left -= 1;
                self.statement();
            }
        }
        self.nesting -= 1;
    }

    fn statement(&mut self) {
        let free = self.free;
        match self.tape.below(20) {
            choice if choice < 9 || self.nesting > NESTING_MAX => self.instruction(),
            9..=10 => self.branch(),
            11..=13 => self.counted_loop(),
            14..=15 => self.call(),
            16 => self.attempt(),
            _ => self.special(),
        }
        self.free = free;
    }

    /// What is neither one instruction of the tables nor control.
    fn special(&mut self) {
        match self.tape.below(10) {
            0 => self.narrow(),
            1 => self.walk_list(),
            2 => self.push_and_pop(),
            3 | 4 => self.use_global(),
            5 => self.use_capture(),
            6 => self.raise_sometimes(),
            7 => self.renew(),
            8 => self.ask(),
            _ => self.return_sometimes(),
        }
    }

    /// Asks what the actor is, or whether it can use a capability: that depends on the sandbox.
    fn ask(&mut self) {
        if self.tape.one_in(4) {
            let dst = Def(self.target(Want::Any));
            return self.emit(Actor::SelfId { dst });
        }
        let name = self.tape.pick(&["io-network", "sys-clock"]);
        let constant = self.code.constant(Constant::Symbol(name.to_owned()));
        let capability = self.take(1);
        self.emit(Data::Const {
            dst: Def(capability),
            constant,
        });
        let (dst, capability) = (Def(self.target(Want::Bool)), Use(capability));
        self.emit(Capability::HasCapability { dst, capability });
    }

    /// A variable gets a new value, also another function: call sites see several.
    fn renew(&mut self) {
        let (register, want) = self.tape.pick(&self.variables);
        self.make(want, register);
        self.recent = register;
    }

    fn use_global(&mut self) {
        let plan = self.plan;
        if plan.globals.is_empty() {
            return;
        }
        let (global, want) = self.tape.pick(&plan.globals);
        if self.tape.one_in(2) {
            return self.set_global(global, want);
        }
        let (dst, global) = (Def(self.target(want)), self.code.link_global(global));
        self.emit(Function::GlobalGet { dst, global });
    }

    fn set_global(&mut self, global: u32, want: Want) {
        let free = self.free;
        let value = Use(self.operand(want));
        let global = self.code.link_global(global);
        self.emit(Function::GlobalSet { global, value });
        self.free = free;
    }

    fn return_sometimes(&mut self) {
        let Some(callee) = self.callee else {
            return self.instruction();
        };
        let skip = self.branch_past();
        let value = Use(self.operand(self.plan.signature(callee).gives));
        self.emit(Control::Return { value });
        self.code.bind(skip);
    }

    /// Ends a function with a value, a sum perhaps, or a call in its place.
    fn finish(&mut self, gives: Want) {
        if self.calls_left > 0 && self.tape.one_in(2) && self.tail_call(gives) {
            return;
        }
        let value = self.operand(gives);
        if gives == Want::Int && self.tape.one_in(2) {
            let b = Use(self.operand(Want::Int));
            let a = Use(value);
            let dst = Def(self.take(1));
            self.emit(pw_isa::op::Arith::Add { dst, a, b });
            return self.emit(Control::Return { value: Use(dst.0) });
        }
        self.emit(Control::Return { value: Use(value) });
    }

    /// Ends the program with what its variables hold.
    fn return_everything(&mut self) {
        let mut registers = self.variables.clone();
        registers.retain(|(_, want)| *want != Want::Cell);
        let first = self.take(registers.len() as u16);
        for (index, (register, _)) in registers.iter().enumerate() {
            self.copy(first + index as u16, *register);
        }
        let values = Span {
            first,
            count: registers.len() as u16,
        };
        self.emit(Data::Vector {
            dst: Def(first),
            values,
        });
        self.emit(Control::Return { value: Use(first) });
    }

    /// `to <- from`.
    pub(super) fn copy(&mut self, to: u16, from: u16) {
        self.emit(Data::Move {
            dst: Def(to),
            src: Use(from),
        });
    }
}
