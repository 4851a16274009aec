//! Tests: jumps that depend on a value.

use pw_isa::op::Control;
use pw_isa::operand::{Label, Use};

use super::code::Code;
use crate::lang::builtin::Shape;
use crate::lang::ir::{Constant, Expr, ExprKind};

impl Code<'_> {
    /// Jumps to a label if an expression is true (or false), and goes on otherwise.
    pub(super) fn condition(&mut self, test: &Expr, jumps_when: bool, to: Label) {
        if !self.is_reachable {
            return;
        }
        let top = self.top;
        self.deeper(test.span, |code| code.condition_here(test, jumps_when, to));
        self.top = top;
    }

    fn condition_here(&mut self, test: &Expr, jumps_when: bool, to: Label) {
        match &test.kind {
            ExprKind::Constant(constant) => {
                let is_true = !matches!(constant, Constant::Nil | Constant::Bool(false));
                if is_true == jumps_when {
                    self.jump(to);
                }
            }
            ExprKind::Primitive(Shape::Not, operands) => {
                self.condition(&operands[0], !jumps_when, to)
            }
            ExprKind::And(parts) => self.all(parts, false, jumps_when, to),
            ExprKind::Or(parts) => self.all(parts, true, jumps_when, to),
            _ => {
                let register = self.operand(test);
                self.branch(register, jumps_when, to);
            }
        }
    }

    /// The tests of an `and` (each must be true: `stops_at` is false) or an `or`.
    fn all(&mut self, parts: &[Expr], stops_at: bool, jumps_when: bool, to: Label) {
        let Some((last, before)) = parts.split_last() else {
            return;
        };
        if stops_at == jumps_when {
            for part in parts {
                self.condition(part, jumps_when, to);
            }
            return;
        }
        let behind = self.label();
        for part in before {
            self.condition(part, stops_at, behind);
        }
        self.condition(last, jumps_when, to);
        self.bind(behind);
    }

    /// Jumps to a label if a register is true (or false).
    pub(super) fn branch(&mut self, register: u16, jumps_when: bool, to: Label) {
        self.use_label(to);
        let test = Use(register);
        if jumps_when {
            self.emit(Control::BranchIf { test, to });
        } else {
            self.emit(Control::BranchUnless { test, to });
        }
    }
}
