//! Built-in operations.

use pw_isa::Op;
use pw_isa::op::{Actor, Compare, Control, Data, Host};
use pw_isa::operand::{Def, Imm, Span as Registers, Use};

use super::code::{Code, Target};
use crate::lang::builtin::{Shape, is_op};
use crate::lang::ir::{Constant, Expr};
use crate::lang::source::Span;

impl Code<'_> {
    /// Emits an operation: operands from left to right, then what it does with them.
    pub(super) fn operation(&mut self, shape: Shape, exprs: &[Expr], target: Target, span: Span) {
        match shape {
            Shape::Vector => return self.vector(exprs, target, span),
            Shape::Spawn => {
                let op = |dst, values| Actor::Spawn { dst, values }.into();
                return self.spread(exprs, op, target, span);
            }
            Shape::HostCall => return self.host_call(exprs, target, span),
            _ => {}
        }
        let registers = self.operands(exprs);
        let operands: Vec<Use> = registers.iter().map(|register| Use(*register)).collect();
        self.line(span);
        match (shape, &operands[..]) {
            (Shape::Op0(op), []) => self.result(target, span, op),
            (Shape::Op1(op), [a]) => self.result(target, span, |dst| op(dst, *a)),
            (Shape::Op2(op), [a, b]) => self.result(target, span, |dst| op(dst, *a, *b)),
            (Shape::Op3(op), [a, b, c]) => self.result(target, span, |dst| op(dst, *a, *b, *c)),
            (Shape::Op4(op), [a, b, c, d]) => {
                self.result(target, span, |dst| op(dst, *a, *b, *c, *d))
            }
            (Shape::Do0(op), []) => self.effect(op(), target, span),
            (Shape::Do1(op), [a]) => self.effect(op(*a), target, span),
            (Shape::Do2(op), [a, b]) => self.effect(op(*a, *b), target, span),
            (Shape::Do3(op), [a, b, c]) => self.effect(op(*a, *b, *c), target, span),
            (Shape::End1(op), [a]) => self.emit_end(op(*a)),
            (Shape::Is(kinds), [a]) => self.result(target, span, |dst| is_op(dst, *a, kinds)),
            (Shape::Not, [a]) => {
                self.result(target, span, |dst| Compare::Not { dst, a: *a }.into())
            }
            (Shape::Fold(op), _) => self.fold(op, &operands, target, span),
            (Shape::Chain(op), _) => self.chain(op, &operands, target, span),
            (Shape::Single(op), [a]) => self.single(op, *a, target, span),
            (Shape::List, _) => self.list(&operands, None, target, span),
            (Shape::ListStar, [before @ .., last]) => self.list(before, Some(*last), target, span),
            (Shape::Error, [message, values @ ..]) => self.raise_error(*message, values, span),
            (Shape::Int(value), _) => {
                self.result(target, span, |dst| {
                    Data::Int {
                        dst,
                        value: Imm(value),
                    }
                    .into()
                });
            }
            _ => unreachable!("the expander gives an operation the operands of its shape"),
        }
    }

    fn result(&mut self, target: Target, span: Span, op: impl FnOnce(Def) -> Op) {
        let register = self.destination(target, span);
        self.emit(op(Def(register)));
        self.deliver(register, target);
    }

    /// An operation whose value is nil.
    fn effect(&mut self, op: Op, target: Target, span: Span) {
        self.emit(op);
        if target != Target::Effect {
            self.result(target, span, |dst| Data::Nil { dst }.into());
        }
    }

    fn fold(&mut self, op: fn(Def, Use, Use) -> Op, operands: &[Use], target: Target, span: Span) {
        let (first, rest) = (operands[0], &operands[1..]);
        let Some((last, between)) = rest.split_last() else {
            return;
        };
        let mut so_far = first;
        if !between.is_empty() {
            // Not in the destination: that may be a variable which is still to be read.
            let register = self.push(span);
            for operand in between {
                self.emit(op(Def(register), so_far, *operand));
                so_far = Use(register);
            }
        }
        self.result(target, span, |dst| op(dst, so_far, *last));
    }

    /// Every comparison is made, so that what cannot be compared is always found.
    fn chain(&mut self, op: fn(Def, Use, Use) -> Op, operands: &[Use], target: Target, span: Span) {
        if let [a, b] = operands {
            return self.result(target, span, |dst| op(dst, *a, *b));
        }
        let tests: Vec<u16> = operands
            .windows(2)
            .map(|two| {
                let test = self.push(span);
                self.emit(op(Def(test), two[0], two[1]));
                test
            })
            .collect();
        let result = self.push(span);
        let end = self.label();
        for (position, test) in tests.iter().enumerate() {
            self.copy(result, *test);
            if position + 1 < tests.len() {
                self.branch(result, false, end);
            }
        }
        self.bind(end);
        self.deliver(result, target);
    }

    fn single(&mut self, op: fn(Def, Use, Use) -> Op, a: Use, target: Target, span: Span) {
        let test = self.push(span);
        self.emit(op(Def(test), a, a));
        self.load_constant(&Constant::Bool(true), test);
        self.deliver(test, target);
    }

    /// A list of operands, in front of `rest` or nil.
    fn list(&mut self, operands: &[Use], rest: Option<Use>, target: Target, span: Span) {
        let Some((first, others)) = operands.split_first() else {
            return match rest {
                Some(rest) => self.deliver(rest.0, target),
                None => self.result(target, span, |dst| Data::Nil { dst }.into()),
            };
        };
        let register = self.push(span);
        let mut cdr = rest.unwrap_or_else(|| {
            self.emit(Data::Nil { dst: Def(register) });
            Use(register)
        });
        for car in others.iter().rev() {
            self.emit(Data::Cons {
                dst: Def(register),
                car: *car,
                cdr,
            });
            cdr = Use(register);
        }
        self.result(target, span, |dst| {
            Data::Cons {
                dst,
                car: *first,
                cdr,
            }
            .into()
        });
    }

    fn raise_error(&mut self, message: Use, values: &[Use], span: Span) {
        let list = self.push(span);
        self.list(values, None, Target::Register(list), span);
        let error = self.push(span);
        self.emit(Data::MakeError {
            dst: Def(error),
            message,
            values: Use(list),
        });
        self.emit_end(Control::Raise { value: Use(error) });
    }

    /// Emits values into consecutive registers.
    fn consecutive(&mut self, exprs: &[Expr]) -> Registers {
        let first = self.top as u16;
        for expr in exprs {
            let register = self.push(expr.span);
            self.expr(expr, Target::Register(register));
        }
        Registers {
            first: if exprs.is_empty() { 0 } else { first },
            count: exprs.len() as u16,
        }
    }

    fn spread(
        &mut self,
        exprs: &[Expr],
        op: impl FnOnce(Def, Registers) -> Op,
        target: Target,
        span: Span,
    ) {
        let values = self.consecutive(exprs);
        self.line(span);
        self.result(target, span, |dst| op(dst, values));
    }

    fn vector(&mut self, exprs: &[Expr], target: Target, span: Span) {
        self.spread(
            exprs,
            |dst, values| Data::Vector { dst, values }.into(),
            target,
            span,
        );
    }

    fn host_call(&mut self, exprs: &[Expr], target: Target, span: Span) {
        let Some((name, arguments)) = exprs.split_first() else {
            return;
        };
        let register = self.push(name.span);
        self.expr(name, Target::Register(register));
        let name = Use(register);
        let op = |dst, arguments| {
            Host::HostCall {
                dst,
                name,
                arguments,
            }
            .into()
        };
        self.spread(arguments, op, target, span);
    }
}
