//! Expressions.

use pw_isa::Kind;
use pw_isa::KindSet;
use pw_isa::op::{Control, Data, Function as FunctionOp};
use pw_isa::operand::{Def, Index, Span as Registers, Use};

use super::code::{Code, Place, Target};
use crate::lang::builtin::is_op;
use crate::lang::ir::{Clause, Constant, Expr, ExprKind, FunctionId, Known, Try, VariableId};
use crate::lang::source::Span;

impl Code<'_> {
    /// Emits an expression. Registers taken on the way are free again afterwards.
    pub(super) fn expr(&mut self, expr: &Expr, target: Target) {
        if !self.is_reachable {
            return;
        }
        let top = self.top;
        self.deeper(expr.span, |code| code.expr_here(expr, target));
        self.top = top;
    }

    fn expr_here(&mut self, expr: &Expr, target: Target) {
        match &expr.kind {
            ExprKind::Constant(constant) => self.constant(constant, target, expr.span),
            ExprKind::Local(variable) => self.local(*variable, target, expr.span),
            ExprKind::Global(_) | ExprKind::Function(_) | ExprKind::Lambda(_) => {
                self.line(expr.span);
                let register = self.destination(target, expr.span);
                self.value(expr, register);
                self.deliver(register, target);
            }
            ExprKind::SetLocal(variable, value) => {
                self.set_local(*variable, value, expr.span);
                self.constant(&Constant::Nil, target, expr.span);
            }
            ExprKind::SetGlobal(global, value) => {
                // A global that always has the same value needs no setting.
                if let Some(number) = self.linker.globals[global.index()] {
                    let value = self.operand(value);
                    self.line(expr.span);
                    let global = self.builder.link_global(number);
                    self.emit(FunctionOp::GlobalSet {
                        global,
                        value: Use(value),
                    });
                }
                self.constant(&Constant::Nil, target, expr.span);
            }
            ExprKind::Cond(clauses, otherwise) => {
                self.cond(clauses, otherwise.as_deref(), target, expr.span);
            }
            ExprKind::And(parts) => self.connective(parts, false, target, expr.span),
            ExprKind::Or(parts) => self.connective(parts, true, target, expr.span),
            ExprKind::Block(statements) => self.block(statements, target, expr.span),
            ExprKind::While(test, body) => self.while_loop(test, body, target, expr.span),
            ExprKind::Call(callee, arguments) => self.call(callee, arguments, target, expr.span),
            ExprKind::Apply(function, list) => self.apply(function, list, target, expr.span),
            ExprKind::Primitive(shape, operands) => {
                self.operation(*shape, operands, target, expr.span)
            }
            ExprKind::Try(parts) => self.try_form(parts, target, expr.span),
        }
    }

    fn constant(&mut self, constant: &Constant, target: Target, span: Span) {
        if target != Target::Effect {
            let register = self.destination(target, span);
            self.load_constant(constant, register);
            self.deliver(register, target);
        }
    }

    fn local(&mut self, variable: VariableId, target: Target, span: Span) {
        match self.direct(variable) {
            Some(register) => self.deliver(register, target),
            None => {
                self.line(span);
                let register = self.destination(target, span);
                self.read(variable, register, span);
                self.deliver(register, target);
            }
        }
    }

    /// The register that holds the value of a variable and nothing else.
    pub(super) fn direct(&self, variable: VariableId) -> Option<u16> {
        let is_checked = self.context.module.variables[variable.index()].is_checked;
        match self.places.get(&variable) {
            Some(Place::Register(register)) if !self.is_boxed(variable) && !is_checked => {
                Some(*register)
            }
            _ => None,
        }
    }

    /// Loads what a variable's place holds: its value, or the cell it lives in.
    pub(super) fn read_place(&mut self, variable: VariableId, register: u16) {
        match (self.places.get(&variable).copied(), self.own) {
            (Some(Place::Register(place)), _) => self.copy(register, place),
            (Some(Place::Capture(index)), Some(own)) => {
                let (dst, closure, index) = (Def(register), Use(own), Index(index));
                self.emit(FunctionOp::Capture {
                    dst,
                    closure,
                    index,
                });
            }
            _ => unreachable!("a variable has a place wherever it is used"),
        }
    }

    /// Loads the value of a variable.
    fn read(&mut self, variable: VariableId, register: u16, span: Span) {
        if self.is_boxed(variable) {
            let cell = self.cell(variable, span);
            self.emit(FunctionOp::CellGet {
                dst: Def(register),
                cell: Use(cell),
            });
        } else {
            self.read_place(variable, register);
        }
        if self.context.module.variables[variable.index()].is_checked {
            self.check(variable, register, span);
        }
    }

    /// The register that holds the cell of a variable.
    fn cell(&mut self, variable: VariableId, span: Span) -> u16 {
        match self.places.get(&variable) {
            Some(Place::Register(register)) => *register,
            _ => {
                let register = self.push(span);
                self.read_place(variable, register);
                register
            }
        }
    }

    /// What a checked variable holds before its definition ran: a cell, which no program can hold.
    pub(super) fn load_unset(&mut self, register: u16) {
        self.emit(Data::Nil { dst: Def(register) });
        self.emit(FunctionOp::Cell {
            dst: Def(register),
            value: Use(register),
        });
    }

    /// Raises an Error if the value just read says that the definition did not run yet.
    fn check(&mut self, variable: VariableId, register: u16, span: Span) {
        let top = self.top;
        let test = self.push(span);
        self.emit(is_op(Def(test), Use(register), KindSet::of(&[Kind::Cell])));
        let defined = self.label();
        self.use_label(defined);
        self.emit(Control::BranchUnless {
            test: Use(test),
            to: defined,
        });
        let name = self.context.module.variables[variable.index()].name;
        let text = self.context.tree.names.text(name);
        let message = Constant::String(format!("`{text}` is used before its definition").into());
        self.load_constant(&message, test);
        let values = self.push(span);
        self.emit(Data::Nil { dst: Def(values) });
        self.emit(Data::MakeError {
            dst: Def(test),
            message: Use(test),
            values: Use(values),
        });
        self.emit_end(Control::Raise { value: Use(test) });
        self.bind(defined);
        self.top = top;
    }

    /// Computes a value that needs no control flow.
    fn value(&mut self, expr: &Expr, register: u16) {
        match &expr.kind {
            ExprKind::Global(global) => match self.context.module.globals[global.index()].fixed() {
                Some(Known::Function(function)) => self.load_function(*function, register),
                Some(Known::Constant(constant)) => self.load_constant(constant, register),
                None => {
                    let number = self.linker.globals[global.index()].unwrap_or_default();
                    let global = self.builder.link_global(number);
                    self.emit(FunctionOp::GlobalGet {
                        dst: Def(register),
                        global,
                    });
                }
            },
            ExprKind::Function(function) => self.load_function(*function, register),
            ExprKind::Lambda(function) => self.closure(*function, register, expr.span),
            _ => unreachable!("only values without control flow come here"),
        }
    }

    /// Makes a new function.
    fn closure(&mut self, function: FunctionId, register: u16, span: Span) {
        let captures = &self.context.analysis.captures[function.index()];
        let first = self.top as u16;
        for variable in captures {
            let slot = self.push(span);
            self.read_place(*variable, slot);
        }
        self.make_closure(function, first, register);
    }

    /// The instruction that makes a function of the captured values from `first` on.
    pub(super) fn make_closure(&mut self, function: FunctionId, first: u16, register: u16) {
        let count = self.context.analysis.captures[function.index()].len() as u16;
        let number = self.linker.function(function);
        let captures = Registers {
            first: if count == 0 { 0 } else { first },
            count,
        };
        let function = self.builder.link_function(number);
        self.emit(FunctionOp::Closure {
            dst: Def(register),
            function,
            captures,
        });
    }

    fn set_local(&mut self, variable: VariableId, value: &Expr, span: Span) {
        if let Some(register) = self.direct(variable) {
            return self.assign(register, value);
        }
        let value = self.operand(value);
        self.line(span);
        if self.is_boxed(variable) {
            let cell = self.cell(variable, span);
            self.emit(FunctionOp::CellSet {
                cell: Use(cell),
                value: Use(value),
            });
        } else if let Some(Place::Register(register)) = self.places.get(&variable).copied() {
            self.copy(register, value);
        }
    }

    /// Gives a register in use a new value, which may depend on the old one.
    fn assign(&mut self, register: u16, value: &Expr) {
        if writes_last(value) {
            self.expr(value, Target::Register(register));
        } else {
            let top = self.top;
            let temporary = self.push(value.span);
            self.expr(value, Target::Register(temporary));
            self.copy(register, temporary);
            self.top = top;
        }
    }

    /// Emits an operand; the register holds it until something else is put there.
    pub(super) fn operand(&mut self, expr: &Expr) -> u16 {
        if let ExprKind::Local(variable) = &expr.kind
            && let Some(register) = self.direct(*variable)
        {
            return register;
        }
        let register = self.push(expr.span);
        self.expr(expr, Target::Register(register));
        register
    }

    /// Emits operands from left to right.
    pub(super) fn operands(&mut self, exprs: &[Expr]) -> Vec<u16> {
        let mut registers = Vec::with_capacity(exprs.len());
        for (position, expr) in exprs.iter().enumerate() {
            let mut register = self.operand(expr);
            if let ExprKind::Local(variable) = &expr.kind
                && self.context.module.variables[variable.index()].is_mutated
                && exprs[position + 1..].iter().any(can_set)
                && self.direct(*variable).is_some()
            {
                // An operand behind it may change the variable, but not this operand.
                let copied = self.push(expr.span);
                self.copy(copied, register);
                register = copied;
            }
            registers.push(register);
        }
        registers
    }

    fn cond(&mut self, clauses: &[Clause], otherwise: Option<&Expr>, target: Target, span: Span) {
        let end = self.label();
        for clause in clauses {
            match &clause.body {
                Some(body) => {
                    let next = self.label();
                    self.condition(&clause.test, false, next);
                    self.expr(body, target);
                    self.jump(end);
                    self.bind(next);
                }
                None if target == Target::Effect => self.condition(&clause.test, true, end),
                None => {
                    let top = self.top;
                    let register = self.push(span);
                    self.expr(&clause.test, Target::Register(register));
                    let next = self.label();
                    self.use_label(next);
                    self.emit(Control::BranchUnless {
                        test: Use(register),
                        to: next,
                    });
                    self.deliver(register, target);
                    self.jump(end);
                    self.bind(next);
                    self.top = top;
                }
            }
        }
        match otherwise {
            Some(otherwise) => self.expr(otherwise, target),
            None => self.constant(&Constant::Nil, target, span),
        }
        self.bind(end);
    }

    /// `and` (stops at what is false) and `or` (stops at what is not).
    fn connective(&mut self, parts: &[Expr], stops_at: bool, target: Target, span: Span) {
        let Some((last, before)) = parts.split_last() else {
            return;
        };
        let end = self.label();
        if target == Target::Effect {
            for part in before {
                self.condition(part, stops_at, end);
            }
            self.expr(last, target);
            return self.bind(end);
        }
        let register = self.destination(target, span);
        for part in before {
            self.expr(part, Target::Register(register));
            self.branch(register, stops_at, end);
        }
        self.expr(last, target);
        let goes_on = self.is_reachable;
        self.bind(end);
        if target == Target::Return && self.is_reachable && !goes_on {
            self.deliver(register, target);
        }
    }

    fn while_loop(&mut self, test: &Expr, body: &Expr, target: Target, span: Span) {
        self.line(span);
        let head = self.label();
        let end = self.label();
        self.builder.bind(head);
        self.emit(Control::Loop {});
        self.condition(test, false, end);
        self.expr(body, Target::Effect);
        self.jump(head);
        self.bind(end);
        if self.is_reachable {
            self.constant(&Constant::Nil, target, span);
        }
    }

    fn try_form(&mut self, parts: &Try, target: Target, span: Span) {
        // The value is returned behind the range: within it the handler is in charge.
        let within = match target {
            Target::Return => Target::Register(self.push(span)),
            _ => target,
        };
        let (start, end, handler, done) = (self.label(), self.label(), self.label(), self.label());
        let first = self.builder.pc();
        self.builder.bind(start);
        self.expr(&parts.body, within);
        self.builder.bind(end);
        let is_empty = self.builder.pc() == first;
        if let (Target::Register(register), Target::Return) = (within, target) {
            self.deliver(register, target);
        }
        if is_empty {
            return;
        }
        self.jump(done);
        self.builder.bind(handler);
        self.is_reachable = true;
        let register = self.push(span);
        self.builder.handler(start, end, handler, register);
        let from = self.builder.pc();
        self.box_variable(parts.variable, register);
        self.place(parts.variable, Place::Register(register));
        self.expr(&parts.handler, target);
        self.places.remove(&parts.variable);
        self.describe(parts.variable, register, from, self.builder.pc());
        self.bind(done);
    }
}

/// Whether emitting into a register writes it only once, behind everything that reads.
pub(super) fn writes_last(expr: &Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Constant(_)
            | ExprKind::Global(_)
            | ExprKind::Function(_)
            | ExprKind::Lambda(_)
            | ExprKind::Primitive(..)
    )
}

/// Whether evaluating an expression can set a variable.
fn can_set(expr: &Expr) -> bool {
    !matches!(
        expr.kind,
        ExprKind::Constant(_)
            | ExprKind::Local(_)
            | ExprKind::Global(_)
            | ExprKind::Function(_)
            | ExprKind::Lambda(_)
    )
}
