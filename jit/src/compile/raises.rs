//! What is raised and caught in the same body: a jump to the handler. The frames in between are of inlined
//! functions, which have none of their own to give up.
//!
//! `raise` passes its value on. An instruction that has been seen to fail asks a routine for its Error where it
//! would leave otherwise; what has no Error leaves. All else that is raised, for want of a handler in the body or
//! of anything that was seen of it, leaves native code before the instruction.

use std::rc::Rc;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder};
use pw_isa::op::{Control, Effects, Op, Sandbox};
use pw_isa::{Function, program};

use super::blocks;
use super::lower::Lowering;
use super::plans::reads;
use super::ranges::Ranges;
use super::routines::Routine;
use super::scope::Scope;
use super::state::ExitReason;
use super::types::{Evidence, Plan, Type};
use crate::interp::NOTHING;
use crate::reference::can_try;

/// A handler that has run: the block that it goes on in, and the register that it receives what was raised in.
#[derive(Clone, Copy)]
pub(super) struct Handler {
    pub(super) block: usize,
    dst: u16,
}

/// Where what is raised goes on that a part does not catch itself.
#[derive(Clone)]
pub(super) enum Raised<'a> {
    /// Out of the body.
    Out,
    /// To a handler that has not run.
    Unseen,
    /// To a handler in the body.
    To(Rc<Catch<'a>>),
}

/// A handler around a place, and what is known when it receives something from there.
pub(super) struct Catch<'a> {
    scope: Rc<Scope<'a>>,
    handler: Handler,
    types: Vec<Type>,
    ranges: Ranges,
}

/// Where an instruction goes on that has failed, or a guess about it: still to be written.
pub(super) struct Failure<'a> {
    block: ir::Block,
    reason: ExitReason,
    pc: u32,
    refund: u64,
    taken: i64,
    types: Vec<Type>,
    catch: Rc<Catch<'a>>,
}

impl Handler {
    /// What is known about registers when it receives something, where objects may have been changed since, or not.
    pub(super) fn receive(self, types: &mut [Type], has_changed: bool) {
        if has_changed {
            types.iter_mut().for_each(|known| *known = known.moved());
        }
        types[usize::from(self.dst)] = Type::Any;
    }

    /// The same about Ints and lengths.
    pub(super) fn receive_ranges(self, ranges: &mut Ranges, has_changed: bool) {
        if has_changed {
            ranges.forget_lengths();
        }
        ranges.forget(self.dst);
    }

    /// Values that escape behind it escape where it receives something, but for what it receives.
    pub(super) fn let_escape(self, behind: &[bool], escaping: &mut [bool]) {
        let registers = escaping.iter_mut().zip(behind).enumerate();
        let others = registers.filter(|(register, _)| *register != usize::from(self.dst));
        others.for_each(|(_, (here, there))| *here |= there);
    }
}

/// Whether a handler has the opening of a sandbox in its range: what goes on there closes sandboxes, which native code
/// does not.
fn opens_sandbox(function: &Function, handler: &program::Handler) -> bool {
    let range = handler.start as usize..handler.end as usize;
    let mut code = function.code[range].iter();
    code.any(|op| matches!(op, Op::Sandbox(Sandbox::SandboxOpen { .. })))
}

impl Evidence<'_> {
    /// The handler of what is raised at an instruction in this frame, if it has run. A function called in place of
    /// this frame raises in the caller's.
    pub(super) fn handler(&self, pc: u32) -> Option<Handler> {
        let op = &self.function.code[pc as usize];
        let handler = blocks::handler(self.function, pc)?;
        let effects = op.info().effects;
        let is_tail_call = effects.has(Effects::CALL.with(Effects::END));
        let has_run = self.site(handler.target).count > 0;
        (has_run && !is_tail_call && !opens_sandbox(self.function, handler)).then(|| Handler {
            block: self.place.blocks.at(handler.target),
            dst: handler.dst,
        })
    }

    /// Whether objects may have been changed where a handler receives what is raised at an instruction: by functions
    /// that run, if objects may move while it does. What fails has changed nothing, though its Error has moved objects.
    pub(super) fn changes_before_raising(&self, pc: u32, moves: bool) -> bool {
        let op = &self.function.code[pc as usize];
        moves && op.info().effects.has(Effects::CALL)
    }

    /// Whether what is raised at an instruction may be an Error that native code has made: then objects have moved.
    pub(super) fn makes_error(&self, pc: u32) -> bool {
        let op = &self.function.code[pc as usize];
        !matches!(op, Op::Control(Control::Raise { .. }))
    }

    /// Whether native code raises at an instruction that does not stand for the code of other functions.
    pub(super) fn raises_itself(&self, pc: u32, plan: Plan) -> bool {
        match self.function.code[pc as usize] {
            _ if plan == Plan::Exit => false,
            Op::Control(Control::Raise { .. }) => true,
            op => self.site(pc).raised > 0 && can_try(&op),
        }
    }
}

impl<'a> Lowering<'a, '_> {
    /// Where what is raised at the current instruction goes on.
    pub(super) fn raised_here(&self) -> Raised<'a> {
        let Some(handler) = blocks::handler(self.scope.function, self.pc) else {
            return self.scope.raised.clone();
        };
        if opens_sandbox(self.scope.function, handler) {
            return Raised::Out;
        }
        let types = &self.scope.part.types.at_start;
        match self.scope.evidence.handler(self.pc) {
            Some(handler) if types[handler.block].is_some() => {
                let (mut types, mut ranges) = (self.now.clone(), self.ranges.clone());
                let moves = self.scope.part.moves_at[self.pc as usize];
                let evidence = &self.scope.evidence;
                let has_changed = evidence.changes_before_raising(self.pc, moves);
                // Objects have moved, if only because an Error was made: vectors are looked at anew.
                handler.receive(&mut types, true);
                handler.receive_ranges(&mut ranges, has_changed);
                Raised::To(Rc::new(Catch {
                    scope: Rc::clone(&self.scope),
                    handler,
                    types,
                    ranges,
                }))
            }
            _ => Raised::Unseen,
        }
    }

    /// Where the error of the current instruction goes on in this body, if it has been seen to fail.
    pub(super) fn catch_of_error(&self, plan: Plan) -> Option<Rc<Catch<'a>>> {
        let op = &self.scope.function.code[self.pc as usize];
        if !can_try(op) || !self.scope.evidence.raises_itself(self.pc, plan) {
            return None;
        }
        match self.raised_here() {
            Raised::To(catch) => Some(catch),
            Raised::Out | Raised::Unseen => None,
        }
    }

    /// Raises what is in a register.
    pub(super) fn raise(&mut self, register: u16) {
        let reason = match self.raised_here() {
            Raised::To(catch) => {
                let (tag, bits) = self.value(register);
                return self.go_on_at(&catch, tag, bits);
            }
            Raised::Unseen => ExitReason::Unseen,
            Raised::Out => ExitReason::Uncompiled,
        };
        let exit = self.exit(reason);
        self.b.ins().jump(exit, &[]);
    }

    /// Goes on at a handler, which receives a value.
    fn go_on_at(&mut self, catch: &Catch<'a>, tag: ir::Value, bits: ir::Value) {
        let scope = Rc::clone(&catch.scope);
        let (types, ranges) = (catch.types.clone(), catch.ranges.clone());
        self.elsewhere(scope, types, ranges, |lowering| {
            lowering.set_any(catch.handler.dst, tag, bits);
            lowering.leave_for(catch.handler.block);
        });
    }

    /// Whether what would exit for a reason is an instruction that may have failed: then it does not go to an exit,
    /// but to where that is found out.
    pub(super) fn fails(&mut self, reason: ExitReason, block: ir::Block) -> bool {
        let is_failure = matches!(
            reason,
            ExitReason::Kind | ExitReason::Number | ExitReason::Range | ExitReason::Aside
        );
        let Some(catch) = self.catch.as_ref().filter(|_| is_failure) else {
            return false;
        };
        self.failures.push(Failure {
            block,
            reason,
            pc: self.pc,
            refund: self.refund,
            taken: self.taken,
            types: self.before.clone(),
            catch: Rc::clone(catch),
        });
        true
    }

    /// Writes where instructions of the current block go on that have failed: with an Error at the handler, or
    /// they leave.
    pub(super) fn write_failures(&mut self) {
        for failure in std::mem::take(&mut self.failures) {
            self.switch_to_sealed(failure.block);
            self.pc = failure.pc;
            (self.refund, self.taken) = (failure.refund, failure.taken);
            self.now.clone_from(&failure.types);
            self.before = failure.types;
            self.here.clear();
            let (exit, room) = (self.exit(failure.reason), self.exit(ExitReason::Room));
            let (tag, bits) = self.call_for_error();
            let (caught, other) = (self.b.create_block(), self.b.create_block());
            let nothing = NOTHING.tag as i64;
            let is_error = self.b.ins().icmp_imm_s(IntCC::NotEqual, tag, nothing);
            self.b.ins().brif(is_error, caught, &[], other, &[]);
            self.switch_to_sealed(other);
            self.b.set_cold_block(other);
            // What stands for an error that was not made has bits, and nothing has none.
            self.b.ins().brif(bits, room, &[], exit, &[]);
            self.switch_to_sealed(caught);
            self.b.set_cold_block(caught);
            self.gas_is_told();
            self.go_on_at(&failure.catch, tag, bits);
        }
    }

    /// Calls for the Error of the current instruction: tag and bits. What has not run behind it is not paid for.
    fn call_for_error(&mut self) -> (ir::Value, ir::Value) {
        let op = self.scope.function.code[self.pc as usize];
        for register in reads(&op) {
            self.write_back(register);
        }
        let behind = self.refund - self.scope.function.fixed_gas(self.pc as usize);
        self.taken -= behind as i64;
        self.tell_gas(0);
        self.taken += behind as i64;
        let place = self.place(self.pc);
        let frame = self.in_frame(0);
        let arguments = [self.state, place, frame];
        self.call_of_routine(Routine::ERROR, &arguments)
    }
}
