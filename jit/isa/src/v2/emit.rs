//! The instructions of one V2 function.
//!
//! With the operand stack in registers, slot `i` is a register, and an instruction of V2 becomes one
//! instruction that works on the topmost slots. With the stack in a Vector, the operands are popped
//! into registers first and results pushed, at no gas. Both kinds share everything but
//! [`Emitter::pop`] and [`Emitter::push`].
//!
//! A V2 instruction that is the target of a backward jump gets a `loop` before it, which takes one
//! step of its weight over: the steps taken before each instruction stay V2's.

use super::Constant;
use super::lower::{Bodies, StackPlace};
use super::resolve::{Resolved, Source};
use crate::builder::FunctionBuilder;
use crate::error_kind::ErrorKind;
use crate::op::{Actor, Control, Data, Op, V2};
use crate::operand::{Def, Flag, FloatBits, Imm, Index, Label, Use};

/// The register of the local variables.
const LOCALS: u16 = 0;

/// Makes one function. `delivers` tells that messages are pushed before the first instruction.
pub(super) fn function(
    name: &str,
    source: Source<'_>,
    stack: &StackPlace,
    delivers: bool,
    bodies: &mut Bodies,
) -> FunctionBuilder {
    let params = u16::from(!source.is_entry);
    let mut emitter = Emitter {
        out: FunctionBuilder::new(name, params),
        source,
        stack,
        bodies,
        height: 0,
        gas: 0,
        labels: vec![None; source.code.len()],
        untaken: Vec::new(),
    };
    emitter.prologue(delivers);
    let loops = emitter.loops();
    for ip in 0..=source.code.len() {
        if !emitter.enter(ip) {
            continue;
        }
        emitter.out.line(ip as u32);
        emitter.gas = 1;
        if ip == source.code.len() {
            emitter.fall_off();
            continue;
        }
        let resolved = source.resolve(ip);
        emitter.gas = weight(&source, ip);
        emitter.bind(ip);
        if loops.get(ip).copied().unwrap_or(false) {
            emitter.gas -= 1;
            emitter.out.emit_with_gas(Control::Loop {}, 1);
        }
        emitter.instruction(ip, &resolved);
    }
    emitter.finish()
}

/// V2's steps for an instruction.
fn weight(source: &Source<'_>, ip: usize) -> u16 {
    match source.code[ip] {
        super::OpCode::TailCall(_) => 2,
        _ => 1,
    }
}

/// A function in the making.
pub(super) struct Emitter<'a> {
    pub(super) out: FunctionBuilder,
    source: Source<'a>,
    pub(super) stack: &'a StackPlace,
    pub(super) bodies: &'a mut Bodies,
    /// How many slots hold values; 0 when the stack is a Vector.
    pub(super) height: u16,
    /// Gas of the next instruction.
    gas: u16,
    labels: Vec<Option<Label>>,
    /// Conditional jumps without a target: where they go, and their ip.
    untaken: Vec<(Label, usize)>,
}

impl Emitter<'_> {
    fn prologue(&mut self, delivers: bool) {
        if self.source.is_entry && self.source.uses_locals() {
            self.emit(V2::Stack { dst: Def(LOCALS) });
        }
        let (StackPlace::Registers { first, .. } | StackPlace::Vector { register: first }) =
            *self.stack;
        // Behind the local variables and, in functions with captures, the closure.
        if first > 1 {
            self.out.set_captures(1);
        }
        if let StackPlace::Vector { register } = *self.stack {
            self.out.need_registers(register + 1);
            self.emit(V2::Stack { dst: Def(register) });
            if delivers {
                self.emit(V2::Deliver {
                    stack: Use(register),
                });
            }
        }
        self.out.need_registers(1);
    }

    /// The register of the lowest slot, or the first one free for operands when the stack is a Vector.
    pub(super) fn first(&self) -> u16 {
        match *self.stack {
            StackPlace::Registers { first, .. } => first,
            StackPlace::Vector { register } => register + 1,
        }
    }

    /// Which instructions are targets of backward jumps.
    fn loops(&self) -> Vec<bool> {
        let mut loops = vec![false; self.source.code.len()];
        for ip in 0..self.source.code.len() {
            if self.height_at(ip).is_none() {
                continue;
            }
            match self.source.resolve(ip).effect().jumps_to {
                Some(target) if target <= ip => loops[target] = true,
                _ => {}
            }
        }
        loops
    }

    fn height_at(&self, ip: usize) -> Option<u16> {
        match self.stack {
            StackPlace::Registers { heights, .. } => heights[ip],
            StackPlace::Vector { .. } => Some(0),
        }
    }

    /// Begins a V2 instruction; false when control never comes there.
    fn enter(&mut self, ip: usize) -> bool {
        match self.height_at(ip) {
            Some(height) => {
                self.height = height;
                true
            }
            None => false,
        }
    }

    fn label(&mut self, ip: usize) -> Label {
        match self.labels[ip] {
            Some(label) => label,
            None => {
                let label = self.out.label();
                self.labels[ip] = Some(label);
                label
            }
        }
    }

    fn bind(&mut self, ip: usize) {
        let label = self.label(ip);
        self.out.bind(label);
    }

    /// Appends an instruction; the first one of a V2 instruction takes its gas.
    pub(super) fn emit(&mut self, op: impl Into<Op>) {
        self.out.emit_with_gas(op, std::mem::take(&mut self.gas));
    }

    pub(super) fn fail(&mut self, kind: ErrorKind) {
        self.emit(V2::Fail { kind: tag(kind) });
    }

    /// Takes `count` values away; they are in consecutive registers from the one returned, the lowest
    /// first. `None` when there are not enough, in which case control ends here.
    pub(super) fn pop(&mut self, count: u16) -> Option<u16> {
        let first = self.first();
        match *self.stack {
            StackPlace::Registers { .. } => {
                let Some(rest) = self.height.checked_sub(count) else {
                    self.fail(ErrorKind::StackUnderflow);
                    return None;
                };
                self.height = rest;
                Some(first + rest)
            }
            StackPlace::Vector { register } => {
                self.out.need_registers(first + count);
                for place in (0..count).rev() {
                    self.emit(V2::Pop {
                        dst: Def(first + place),
                        stack: Use(register),
                    });
                }
                Some(first)
            }
        }
    }

    /// The register for a result, with room for `count`.
    pub(super) fn results(&mut self, count: u16) -> u16 {
        let result = self.first() + self.height;
        self.out.need_registers(result + count);
        result
    }

    /// Adds the result in the register that [`Emitter::results`] gave.
    pub(super) fn push(&mut self, result: u16) {
        match *self.stack {
            StackPlace::Registers { first, .. } => {
                debug_assert_eq!(result, first + self.height);
                self.height += 1;
            }
            StackPlace::Vector { register } => self.emit(V2::Push {
                stack: Use(register),
                value: Use(result),
            }),
        }
    }

    /// One instruction that computes a result.
    pub(super) fn value(&mut self, op: impl FnOnce(Def) -> Op) {
        let result = self.results(1);
        self.emit(op(Def(result)));
        self.push(result);
    }

    fn instruction(&mut self, ip: usize, resolved: &Resolved<'_>) {
        match *resolved {
            Resolved::Fail(kind) => self.fail(kind),
            Resolved::Step => self.emit(V2::Step {}),
            Resolved::Nil => self.value(|dst| Data::Nil { dst }.into()),
            Resolved::Bool(value) => self.value(|dst| {
                let value = Flag(value);
                Data::Bool { dst, value }.into()
            }),
            Resolved::Int(value) => self.value(|dst| {
                let value = Imm(value);
                Data::Int { dst, value }.into()
            }),
            Resolved::Float(value) => self.value(|dst| {
                let value = FloatBits(value.to_bits());
                Data::Float { dst, value }.into()
            }),
            Resolved::Constant(index, constant) => self.constant(index, constant),
            Resolved::GetLocal(index) => self.value(|dst| {
                V2::GetLocal {
                    dst,
                    locals: Use(LOCALS),
                    index: Index(u32::from(index)),
                }
                .into()
            }),
            Resolved::CheckStepLimit => self.emit(V2::CheckStepLimit {}),
            Resolved::Yield => self.yields(),
            Resolved::Jump(target) => {
                let to = self.label(target);
                self.emit(Control::Jump { to });
            }
            Resolved::Return => self.returns(),
            Resolved::Call(args) => self.call(args),
            Resolved::TailCall(args) => self.tail_call(args),
            Resolved::MakeClosure { body, captures } => self.make_closure(body, captures),
            Resolved::HasCapability(_)
            | Resolved::RequestCapability(..)
            | Resolved::GrantCapability(..)
            | Resolved::RevokeCapability(..) => self.capability(resolved),
            Resolved::HostCall {
                function,
                capability,
                args,
            } => self.host_call(function.id(), capability, args),
            _ => {
                // Control ends here when operands are missing.
                let _ended = self.operation(ip, resolved);
            }
        }
    }

    /// Instructions that begin with taking operands away.
    fn operation(&mut self, ip: usize, resolved: &Resolved<'_>) -> Option<()> {
        match *resolved {
            Resolved::Unary(make) => {
                let a = self.pop(1)?;
                self.value(|dst| make(dst, Use(a)));
            }
            Resolved::Binary(make) => {
                let a = self.pop(2)?;
                self.value(|dst| make(dst, Use(a), Use(a + 1)));
            }
            Resolved::HostUnary(function) => {
                let a = Use(self.pop(1)?);
                let function = Index(u32::from(function.id()));
                self.value(|dst| V2::HostUnary { dst, function, a }.into());
            }
            Resolved::HostBinary(function) => {
                let a = self.pop(2)?;
                let (a, b) = (Use(a), Use(a + 1));
                let function = Index(u32::from(function.id()));
                self.value(|dst| {
                    V2::HostBinary {
                        dst,
                        function,
                        a,
                        b,
                    }
                    .into()
                });
            }
            Resolved::Dup => self.dup()?,
            Resolved::Swap => self.swap()?,
            Resolved::Pop => {
                self.pop(1)?;
                if matches!(self.stack, StackPlace::Registers { .. }) {
                    self.emit(V2::Step {});
                }
            }
            Resolved::SetLocal(index) => {
                let value = Use(self.pop(1)?);
                self.emit(V2::SetLocal {
                    locals: Use(LOCALS),
                    index: Index(u32::from(index)),
                    value,
                });
            }
            Resolved::Branch(target) => {
                let test = Use(self.pop(1)?);
                let to = match target {
                    Some(target) => self.label(target),
                    None => {
                        let label = self.out.label();
                        self.untaken.push((label, ip));
                        label
                    }
                };
                self.emit(V2::BranchFalse { test, to });
            }
            Resolved::Send => {
                let to = self.pop(2)?;
                self.emit(V2::Send {
                    to: Use(to),
                    value: Use(to + 1),
                });
            }
            _ => unreachable!("the instruction takes no operands"),
        }
        Some(())
    }

    fn constant(&mut self, index: usize, constant: &Constant) {
        let number = match constant.define(&mut self.out) {
            Some(number) => number,
            // A function body: pushing it pushes a function that captures nothing.
            None if self.source.is_body[index] => {
                let function = self.bodies.number((index, false));
                self.out.function_constant(function)
            }
            None => return self.fail(ErrorKind::InvalidHeapPtr),
        };
        self.value(|dst| {
            Data::Const {
                dst,
                constant: number,
            }
            .into()
        });
    }

    fn dup(&mut self) -> Option<()> {
        let src = self.pop(1)?;
        self.push(src);
        match self.stack {
            StackPlace::Registers { .. } => self.value(|dst| {
                let src = Use(src);
                Data::Move { dst, src }.into()
            }),
            StackPlace::Vector { .. } => self.push(src),
        }
        Some(())
    }

    fn swap(&mut self) -> Option<()> {
        let low = self.pop(2)?;
        let high = low + 1;
        match *self.stack {
            StackPlace::Registers { .. } => {
                self.emit(V2::Swap {
                    low: Def(low),
                    high: Def(high),
                    a: Use(low),
                    b: Use(high),
                });
                self.push(low);
                self.push(high);
            }
            StackPlace::Vector { .. } => {
                self.push(high);
                self.push(low);
            }
        }
        Some(())
    }

    fn yields(&mut self) {
        self.emit(Actor::Yield {});
        if let StackPlace::Vector { register } = *self.stack {
            self.emit(V2::Deliver {
                stack: Use(register),
            });
        }
    }

    fn returns(&mut self) {
        let value = match *self.stack {
            StackPlace::Vector { register } => {
                let result = self.results(1);
                self.emit(V2::PopOrNil {
                    dst: Def(result),
                    stack: Use(register),
                });
                result
            }
            StackPlace::Registers { first, .. } if self.height > 0 => first + self.height - 1,
            StackPlace::Registers { .. } => return self.returns_nil(),
        };
        self.emit(Control::Return { value: Use(value) });
    }

    fn returns_nil(&mut self) {
        let result = self.results(1);
        self.emit(Data::Nil { dst: Def(result) });
        self.emit(Control::Return { value: Use(result) });
    }

    /// What happens behind the last instruction.
    fn fall_off(&mut self) {
        if self.source.is_entry {
            self.returns();
        } else {
            self.returns_nil();
        }
    }

    fn finish(mut self) -> FunctionBuilder {
        for (label, ip) in std::mem::take(&mut self.untaken) {
            self.out.line(ip as u32);
            self.out.bind(label);
            self.fail(ErrorKind::UnknownOpCode);
        }
        if !self.source.is_entry || self.source.uses_locals() {
            let end = self.out.pc();
            self.out.variable("locals", LOCALS, 0, end);
        }
        self.out
    }
}

/// A kind of error as an operand.
pub(super) fn tag(kind: ErrorKind) -> Index {
    Index(kind as u32)
}
