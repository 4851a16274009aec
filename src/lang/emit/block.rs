//! Statements: variables, functions that become values, joins.

use pw_isa::op::{Control, Data, Function as FunctionOp};
use pw_isa::operand::{Def, Index, Use};

use super::code::{Code, Join, Place, Target};
use crate::lang::analyze::Role;
use crate::lang::ir::{Constant, Expr, FunctionId, Statement, VariableId};
use crate::lang::source::Span;

/// Joins are written inside of each other only so deep; the others follow behind their block.
const INLINED_MAX: usize = 40;

impl Code<'_> {
    /// Emits statements; the value is that of the last.
    pub(super) fn block(&mut self, statements: &[Statement], target: Target, span: Span) {
        let mut bound: Vec<(VariableId, u32)> = Vec::new();
        let mut groups = Vec::new();
        self.unset_checked(statements, &mut bound, span);
        for (position, statement) in statements.iter().enumerate() {
            match statement {
                Statement::Expr(value) if position + 1 == statements.len() => {
                    self.expr(value, target)
                }
                Statement::Expr(value) => self.expr(value, Target::Effect),
                Statement::Bind(variable, value) => {
                    self.bind_variable(*variable, value, &mut bound)
                }
                Statement::Functions(members) => {
                    groups.extend(self.functions(members, target, &mut bound, span));
                }
            }
        }
        if matches!(
            statements.last(),
            Some(Statement::Bind(..) | Statement::Functions(_)) | None
        ) && self.is_reachable
        {
            self.expr(&Expr::constant(Constant::Nil, span), target);
        }
        for group in groups {
            self.place_pending(group);
        }
        let end = self.builder.pc();
        for (variable, start) in bound {
            if let Some(Place::Register(register)) = self.places.remove(&variable) {
                self.describe(variable, register, start, end);
            }
        }
    }

    /// Variables that can be read too early get registers in advance.
    fn unset_checked(
        &mut self,
        statements: &[Statement],
        bound: &mut Vec<(VariableId, u32)>,
        span: Span,
    ) {
        for statement in statements {
            let Statement::Bind(variable, _) = statement else {
                continue;
            };
            if self.context.module.variables[variable.index()].is_checked {
                let register = self.push(span);
                self.load_unset(register);
                self.box_variable(*variable, register);
                self.place(*variable, Place::Register(register));
                bound.push((*variable, self.builder.pc()));
            }
        }
    }

    fn bind_variable(
        &mut self,
        variable: VariableId,
        value: &Expr,
        bound: &mut Vec<(VariableId, u32)>,
    ) {
        if self.context.module.variables[variable.index()].is_checked {
            let Some(Place::Register(register)) = self.places.get(&variable).copied() else {
                return;
            };
            let top = self.top;
            let temporary = self.push(value.span);
            self.expr(value, Target::Register(temporary));
            if self.is_boxed(variable) {
                self.emit(FunctionOp::CellSet {
                    cell: Use(register),
                    value: Use(temporary),
                });
            } else {
                self.copy(register, temporary);
            }
            self.top = top;
            return;
        }
        let register = self.push(value.span);
        self.expr(value, Target::Register(register));
        self.box_variable(variable, register);
        self.place(variable, Place::Register(register));
        bound.push((variable, self.builder.pc()));
    }

    /// Binds functions; gives the number of the group if they are joins of this block.
    fn functions(
        &mut self,
        members: &[(VariableId, FunctionId)],
        target: Target,
        bound: &mut Vec<(VariableId, u32)>,
        span: Span,
    ) -> Option<u32> {
        let roles = &self.context.analysis.roles;
        let (_, first) = members.first()?;
        if roles[first.index()] == Role::Join {
            let group = self.context.analysis.groups[first.index()]?;
            self.declare_joins(group, target, span);
            return Some(group);
        }
        let closures: Vec<(VariableId, FunctionId)> = members
            .iter()
            .copied()
            .filter(|(_, function)| roles[function.index()] == Role::Closure)
            .collect();
        self.closures(&closures, bound, span);
        None
    }

    /// Makes functions that may capture each other: what is not there yet is put in afterwards.
    fn closures(
        &mut self,
        members: &[(VariableId, FunctionId)],
        bound: &mut Vec<(VariableId, u32)>,
        span: Span,
    ) {
        for (variable, _) in members {
            let register = self.push(span);
            // What is captured before it is made has to be something.
            if members.len() > 1 || self.is_boxed(*variable) || self.captures_itself(members) {
                self.emit(Data::Nil { dst: Def(register) });
            }
            self.box_variable(*variable, register);
            self.place(*variable, Place::Register(register));
            bound.push((*variable, self.builder.pc()));
        }
        let mut is_missing: std::collections::BTreeSet<VariableId> = members
            .iter()
            .map(|(variable, _)| *variable)
            .filter(|variable| !self.is_boxed(*variable))
            .collect();
        let mut patches: Vec<(VariableId, u32, VariableId)> = Vec::new();
        for (variable, function) in members {
            let top = self.top;
            let first = top as u16;
            let captures = &self.context.analysis.captures[function.index()];
            for (index, captured) in captures.iter().enumerate() {
                let slot = self.push(span);
                self.read_place(*captured, slot);
                if is_missing.contains(captured) {
                    patches.push((*variable, index as u32, *captured));
                }
            }
            self.line(self.context.module.functions[function.index()].span);
            match self.places.get(variable).copied() {
                Some(Place::Register(register)) if self.is_boxed(*variable) => {
                    let closure = self.push(span);
                    self.make_closure(*function, first, closure);
                    self.emit(FunctionOp::CellSet {
                        cell: Use(register),
                        value: Use(closure),
                    });
                }
                Some(Place::Register(register)) => self.make_closure(*function, first, register),
                _ => {}
            }
            is_missing.remove(variable);
            self.top = top;
        }
        for (closure, index, value) in patches {
            if let (Some(Place::Register(closure)), Some(Place::Register(value))) = (
                self.places.get(&closure).copied(),
                self.places.get(&value).copied(),
            ) {
                let (closure, value) = (Use(closure), Use(value));
                self.emit(FunctionOp::CaptureSet {
                    closure,
                    index: Index(index),
                    value,
                });
            }
        }
    }

    fn captures_itself(&self, members: &[(VariableId, FunctionId)]) -> bool {
        members.iter().any(|(variable, function)| {
            self.context.analysis.captures[function.index()].contains(variable)
        })
    }

    /// Gives the parameters of joins their registers.
    pub(super) fn declare_joins(&mut self, group: u32, target: Target, span: Span) {
        let members = &self.context.analysis.members[group as usize];
        let mut declared = Vec::with_capacity(members.len());
        for (_, function) in members {
            let parameters = &self.context.module.functions[function.index()].parameters;
            let registers: Vec<u16> = parameters.iter().map(|_| self.push(span)).collect();
            declared.push((*function, registers));
        }
        for (function, parameters) in declared {
            let join = Join {
                parameters,
                top: self.top,
                label: self.label(),
                target,
                is_placed: false,
            };
            self.joins.insert(function, join);
        }
    }

    /// Goes to a join whose parameters are set; the first to do so writes it down.
    pub(super) fn enter_join(&mut self, function: FunctionId) {
        let Some(join) = self.joins.get_mut(&function) else {
            unreachable!("a join is declared before it is called");
        };
        let label = join.label;
        let is_placed = std::mem::replace(&mut join.is_placed, true);
        if is_placed {
            return self.jump(label);
        }
        if self.inlined == INLINED_MAX {
            let group = self.context.analysis.groups[function.index()].unwrap_or_default();
            self.pending.entry(group).or_default().push(function);
            return self.jump(label);
        }
        self.place_join(function);
    }

    /// Writes the code of a join.
    fn place_join(&mut self, function: FunctionId) {
        let Some(join) = self.joins.get(&function).cloned() else {
            return;
        };
        let context = self.context;
        let declared = &context.module.functions[function.index()];
        let top = std::mem::replace(&mut self.top, join.top);
        self.bind(join.label);
        self.line(declared.span);
        if context.analysis.calls[function.index()] > 1 {
            self.emit(Control::Loop {});
        }
        let start = self.builder.pc();
        for (variable, register) in declared.parameters.iter().zip(&join.parameters) {
            self.box_variable(*variable, *register);
            self.place(*variable, Place::Register(*register));
        }
        for annotation in &declared.annotations {
            self.builder.annotate(annotation);
        }
        self.inlined += 1;
        self.expr(&declared.body, join.target);
        self.inlined -= 1;
        let end = self.builder.pc();
        for (variable, register) in declared.parameters.iter().zip(&join.parameters) {
            self.places.remove(variable);
            self.describe(*variable, *register, start, end);
        }
        self.top = top;
    }

    /// Writes the joins of a group that were not written where they were first called.
    pub(super) fn place_pending(&mut self, group: u32) {
        let end = self.label();
        let inlined = std::mem::take(&mut self.inlined);
        while let Some(function) = self.pending.get_mut(&group).and_then(Vec::pop) {
            self.jump(end);
            self.place_join(function);
        }
        self.pending.remove(&group);
        self.inlined = inlined;
        self.bind(end);
    }
}
