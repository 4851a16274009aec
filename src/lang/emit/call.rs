//! Calls and jumps.

use std::collections::BTreeSet;

use pw_isa::op::Function as FunctionOp;
use pw_isa::operand::{ClosureFrame, Frame};

use super::code::{Code, Target};
use super::expr::writes_last;
use crate::lang::analyze::{Role, known_callee};
use crate::lang::ir::{Expr, ExprKind, FunctionId, Statement, VariableId};
use crate::lang::source::Span;

/// How many parts of an argument are looked at to find out whether it reads a variable.
const LOOKED_AT_MAX: usize = 64;

impl Code<'_> {
    /// Emits a call.
    pub(super) fn call(&mut self, callee: &Expr, arguments: &[Expr], target: Target, span: Span) {
        let context = self.context;
        let known = known_callee(
            context.module,
            &context.analysis.bound_function,
            &callee.kind,
        );
        let Some(function) = known else {
            return self.call_value(callee, arguments, target, span);
        };
        let role = context.analysis.roles[function.index()];
        match role {
            Role::Join => self.call_join(function, arguments, span),
            Role::Inline => {
                let group = context.analysis.groups[function.index()].unwrap_or_default();
                if !self.joins.contains_key(&function) {
                    self.declare_joins(group, target, span);
                    self.call_join(function, arguments, span);
                    self.place_pending(group);
                } else {
                    self.call_join(function, arguments, span);
                }
            }
            _ if target == Target::Return && self.calls_itself(function, arguments) => {
                let parameters = self.parameters.clone();
                self.set_parameters(function, &parameters, arguments, span);
                if let Some(start) = self.start {
                    self.jump(start);
                }
            }
            Role::Closure if !context.analysis.captures[function.index()].is_empty() => {
                self.call_value(callee, arguments, target, span);
            }
            Role::Top | Role::Known | Role::Closure => {
                self.call_function(function, arguments, target, span);
            }
        }
    }

    /// Whether a call in tail position goes back to the start of the function.
    fn calls_itself(&self, function: FunctionId, arguments: &[Expr]) -> bool {
        function == self.root && self.start.is_some() && arguments.len() == self.parameters.len()
    }

    fn call_join(&mut self, function: FunctionId, arguments: &[Expr], span: Span) {
        let Some(join) = self.joins.get(&function) else {
            unreachable!("a join is declared before it is called");
        };
        let parameters = join.parameters.clone();
        self.set_parameters(function, &parameters, arguments, span);
        if self.is_reachable {
            self.enter_join(function);
        }
    }

    /// Gives the parameters of a join, or of this function, new values, all at once.
    fn set_parameters(
        &mut self,
        function: FunctionId,
        registers: &[u16],
        arguments: &[Expr],
        span: Span,
    ) {
        let variables = &self.context.module.functions[function.index()].parameters;
        let top = self.top;
        let mut moves: Vec<(u16, u16)> = Vec::new();
        // The first time, nobody can read the parameters yet.
        let is_inside = variables
            .iter()
            .any(|variable| self.places.contains_key(variable));
        let must_wait = if is_inside {
            self.must_wait(variables, arguments)
        } else {
            vec![false; arguments.len()]
        };
        for (position, argument) in arguments.iter().enumerate() {
            let register = registers[position];
            let is_mutated = self.context.module.variables[variables[position].index()].is_mutated;
            if let ExprKind::Local(variable) = &argument.kind
                && self.direct(*variable) == Some(register)
                && !(is_mutated && must_wait[position])
            {
                continue;
            }
            if must_wait[position] {
                let temporary = self.push(argument.span);
                self.expr(argument, Target::Register(temporary));
                moves.push((register, temporary));
            } else {
                self.expr(argument, Target::Register(register));
            }
        }
        self.line(span);
        for (register, temporary) in moves {
            self.copy(register, temporary);
        }
        self.top = top;
    }

    /// Which parameters must keep their old values until all arguments are evaluated: those that the
    /// argument itself reads while it writes, or that an argument behind it reads.
    fn must_wait(&self, variables: &[VariableId], arguments: &[Expr]) -> Vec<bool> {
        let mut must_wait = vec![false; arguments.len()];
        let mut reads = Reads::default();
        for (position, argument) in arguments.iter().enumerate().rev() {
            must_wait[position] = reads.may_read(variables[position]);
            reads.add(self, argument);
            if !writes_last(argument) {
                must_wait[position] |= reads.may_read(variables[position]);
            }
        }
        must_wait
    }

    /// The window of a call: its base is the destination if that is the topmost register.
    fn window(&mut self, target: Target, span: Span) -> u16 {
        match target {
            Target::Register(register) if u32::from(register) + 1 == self.top => register,
            _ => self.push(span),
        }
    }

    fn arguments(&mut self, arguments: &[Expr]) {
        for argument in arguments {
            let register = self.push(argument.span);
            self.expr(argument, Target::Register(register));
        }
    }

    fn call_function(
        &mut self,
        function: FunctionId,
        arguments: &[Expr],
        target: Target,
        span: Span,
    ) {
        let base = self.window(target, span);
        let role = self.context.analysis.roles[function.index()];
        let mut count = arguments.len();
        if role == Role::Known {
            // What it needs from outside comes first.
            let captures = &self.context.analysis.captures[function.index()];
            count += captures.len();
            for variable in captures {
                let register = self.push(span);
                self.read_place(*variable, register);
            }
        }
        self.arguments(arguments);
        self.line(span);
        let number = self.linker.function(function);
        let function = self.builder.link_function(number);
        let window = Frame {
            base,
            args: count as u16,
        };
        if target == Target::Return {
            self.emit_end(FunctionOp::TailCall { window, function });
        } else {
            self.emit(FunctionOp::Call { window, function });
            self.deliver(base, target);
        }
    }

    fn call_value(&mut self, callee: &Expr, arguments: &[Expr], target: Target, span: Span) {
        let base = self.window(target, span);
        self.expr(callee, Target::Register(base));
        self.arguments(arguments);
        self.line(span);
        let window = ClosureFrame {
            base,
            args: arguments.len() as u16,
        };
        if target == Target::Return {
            self.emit_end(FunctionOp::TailCallClosure { window });
        } else {
            self.emit(FunctionOp::CallClosure { window });
            self.deliver(base, target);
        }
    }

    /// Emits a call with the elements of a list.
    pub(super) fn apply(&mut self, function: &Expr, list: &Expr, target: Target, span: Span) {
        let base = self.window(target, span);
        self.expr(function, Target::Register(base));
        let register = self.push(span);
        self.expr(list, Target::Register(register));
        self.line(span);
        let window = ClosureFrame { base, args: 1 };
        if target == Target::Return {
            self.emit_end(FunctionOp::TailApply { window });
        } else {
            self.emit(FunctionOp::Apply { window });
            self.deliver(base, target);
        }
    }
}

/// The variables that some expressions read.
#[derive(Default)]
struct Reads {
    variables: BTreeSet<VariableId>,
    /// Whether they may read others too: not everything was looked at.
    is_open: bool,
}

impl Reads {
    fn may_read(&self, variable: VariableId) -> bool {
        self.is_open || self.variables.contains(&variable)
    }

    /// Adds what an expression reads.
    fn add(&mut self, code: &Code<'_>, expr: &Expr) {
        let mut left = LOOKED_AT_MAX;
        let mut stack = vec![expr];
        while let Some(expr) = stack.pop() {
            if left == 0 || self.is_open {
                self.is_open = true;
                return;
            }
            left -= 1;
            match &expr.kind {
                ExprKind::Constant(_) | ExprKind::Global(_) | ExprKind::Function(_) => {}
                ExprKind::Local(variable) => {
                    self.variables.insert(*variable);
                }
                ExprKind::Lambda(function) => {
                    self.variables
                        .extend(&code.context.analysis.captures[function.index()]);
                }
                ExprKind::SetLocal(variable, value) => {
                    self.variables.insert(*variable);
                    stack.push(value);
                }
                ExprKind::SetGlobal(_, value) => stack.push(value),
                ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Primitive(_, parts) => {
                    stack.extend(parts);
                }
                ExprKind::Cond(clauses, otherwise) => {
                    for clause in clauses {
                        stack.push(&clause.test);
                        stack.extend(&clause.body);
                    }
                    stack.extend(otherwise.as_deref());
                }
                ExprKind::Call(callee, arguments) => {
                    self.add_callee(code, callee);
                    stack.extend(arguments);
                    stack.push(callee);
                }
                ExprKind::Apply(function, list) => stack.extend([&**function, &**list]),
                ExprKind::While(test, body) => stack.extend([&**test, &**body]),
                ExprKind::Try(parts) => stack.extend([&parts.body, &parts.handler]),
                ExprKind::Block(statements) => {
                    for statement in statements {
                        match statement {
                            Statement::Expr(value) | Statement::Bind(_, value) => stack.push(value),
                            Statement::Functions(_) => self.is_open = true,
                        }
                    }
                }
            }
        }
    }

    /// A known function that is called reads the variables that are handed to it.
    fn add_callee(&mut self, code: &Code<'_>, callee: &Expr) {
        let context = code.context;
        let known = known_callee(
            context.module,
            &context.analysis.bound_function,
            &callee.kind,
        );
        let Some(function) = known else { return };
        match context.analysis.roles[function.index()] {
            // Its code is written here and reads what it likes.
            Role::Join | Role::Inline => self.is_open = true,
            _ => self
                .variables
                .extend(&context.analysis.captures[function.index()]),
        }
    }
}
