//! One function: its registers, labels and variables.

use std::collections::BTreeMap;

use pw_isa::Op;
use pw_isa::builder::FunctionBuilder;
use pw_isa::op::{Control, Data, Function as FunctionOp};
use pw_isa::operand::{Def, Index, Label, Use};

use super::{Context, Linker};
use crate::lang::analyze::Role;
use crate::lang::ir::{FunctionId, VariableId};
use crate::lang::source::Span;

/// Functions with more registers than this are refused.
const REGISTERS_MAX: u32 = 60_000;

/// A closure with at most this many captured values takes them all out when it is entered.
const UNPACKED_MAX: usize = 4;

/// How deep emitting may recurse: joins that call each other add to the nesting of the source.
const DEPTH_MAX: usize = 12_000;

/// What is to be done with the value of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// Nothing.
    Effect,
    /// It goes into a register.
    Register(u16),
    /// The function returns it.
    Return,
}

/// Where a variable is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In a register.
    Register(u16),
    /// Among the captured values of the running closure.
    Capture(u32),
}

/// A function that is reached by jumps.
#[derive(Clone, Debug)]
pub(super) struct Join {
    /// The registers of its parameters.
    pub(super) parameters: Vec<u16>,
    /// The first register that its code may use.
    pub(super) top: u32,
    /// Where its code starts.
    pub(super) label: Label,
    /// What happens with its value.
    pub(super) target: Target,
    /// Whether its code is written, or will be.
    pub(super) is_placed: bool,
}

/// A function being emitted.
pub(super) struct Code<'a> {
    pub(super) context: Context<'a>,
    pub(super) linker: &'a mut Linker,
    pub(super) builder: FunctionBuilder,
    /// The function of the program, with the label of its start if it calls itself in tail position.
    pub(super) root: FunctionId,
    pub(super) start: Option<Label>,
    /// The registers of the root's parameters, and of its own closure.
    pub(super) parameters: Vec<u16>,
    pub(super) own: Option<u16>,
    pub(super) places: BTreeMap<VariableId, Place>,
    pub(super) joins: BTreeMap<FunctionId, Join>,
    /// Joins whose code is still to be written, by group.
    pub(super) pending: BTreeMap<u32, Vec<FunctionId>>,
    /// The first register that is free.
    pub(super) top: u32,
    /// Whether control can get to the next instruction.
    pub(super) is_reachable: bool,
    /// By label: whether something jumps to it.
    is_used: Vec<bool>,
    pub(super) depth: usize,
    /// How many joins are being written inside of each other.
    pub(super) inlined: usize,
    /// Why the function cannot be emitted.
    pub(super) failure: Option<(Span, String)>,
}

/// What came of emitting a function.
pub(super) struct Emitted {
    pub(super) builder: FunctionBuilder,
    pub(super) failure: Option<(Span, String)>,
}

impl<'a> Code<'a> {
    /// Emits a root.
    pub(super) fn emit_function(
        context: Context<'a>,
        linker: &'a mut Linker,
        function: FunctionId,
    ) -> Emitted {
        let declared = &context.module.functions[function.index()];
        let captures = &context.analysis.captures[function.index()];
        let is_closure = context.analysis.roles[function.index()] == Role::Closure;
        let lifted = if is_closure { 0 } else { captures.len() };
        let parameters = lifted + declared.parameters.len();
        let mut code = Code {
            context,
            linker,
            builder: FunctionBuilder::new(
                &declared.name,
                parameters.min(REGISTERS_MAX as usize) as u16,
            ),
            root: function,
            start: None,
            parameters: Vec::new(),
            own: None,
            places: BTreeMap::new(),
            joins: BTreeMap::new(),
            pending: BTreeMap::new(),
            top: 0,
            is_reachable: true,
            is_used: Vec::new(),
            depth: 0,
            inlined: 0,
            failure: None,
        };
        code.prologue(is_closure);
        code.expr(&declared.body, Target::Return);
        code.finish()
    }

    fn finish(mut self) -> Emitted {
        if self.is_reachable {
            unreachable!("a function that goes on returns");
        }
        self.forget_variables();
        Emitted {
            builder: self.builder,
            failure: self.failure,
        }
    }

    /// Gives the parameters their places.
    fn prologue(&mut self, is_closure: bool) {
        let Context {
            module, analysis, ..
        } = self.context;
        let declared = &module.functions[self.root.index()];
        let captures = &analysis.captures[self.root.index()];
        for annotation in &declared.annotations {
            self.builder.annotate(annotation);
        }
        self.builder.set_rest(declared.rest.is_some());
        if is_closure {
            self.builder.set_captures(captures.len() as u16);
        } else {
            for variable in captures {
                let register = self.push(declared.span);
                self.place(*variable, Place::Register(register));
            }
        }
        for variable in &declared.parameters {
            let register = self.push(declared.span);
            self.parameters.push(register);
            self.place(*variable, Place::Register(register));
        }
        let rest = declared
            .rest
            .map(|variable| (variable, self.push(declared.span)));
        if let Some((variable, register)) = rest {
            self.place(variable, Place::Register(register));
        }
        if is_closure && !captures.is_empty() {
            self.own = Some(self.push(declared.span));
        }
        self.line(declared.span);
        if analysis.is_loop[self.root.index()] && rest.is_none() {
            let start = self.label();
            self.start = Some(start);
            self.builder.bind(start);
            self.emit(Control::Loop {});
        }
        for (variable, register) in declared.parameters.iter().zip(self.parameters.clone()) {
            self.box_variable(*variable, register);
        }
        if let Some((variable, register)) = rest {
            self.box_variable(variable, register);
        }
        if is_closure {
            self.unpack(captures);
        }
    }

    /// Makes the captured values known.
    fn unpack(&mut self, captures: &[VariableId]) {
        let Some(own) = self.own else { return };
        if let Some(variable) = self.context.analysis.own_variable[self.root.index()] {
            self.place(variable, Place::Register(own));
        }
        for (index, variable) in captures.iter().enumerate() {
            if self.places.contains_key(variable) {
                continue;
            }
            let index = index as u32;
            if captures.len() <= UNPACKED_MAX {
                let register = self.push(Span::default());
                self.emit(FunctionOp::Capture {
                    dst: Def(register),
                    closure: Use(own),
                    index: Index(index),
                });
                self.place(*variable, Place::Register(register));
            } else {
                self.places.insert(*variable, Place::Capture(index));
            }
        }
    }

    /// Puts the value of a variable into a cell, if it lives in one.
    pub(super) fn box_variable(&mut self, variable: VariableId, register: u16) {
        if self.is_boxed(variable) {
            self.emit(FunctionOp::Cell {
                dst: Def(register),
                value: Use(register),
            });
        }
    }

    /// Whether a variable lives in a cell.
    pub(super) fn is_boxed(&self, variable: VariableId) -> bool {
        self.context.analysis.is_boxed[variable.index()]
    }

    /// Notes where a variable is.
    pub(super) fn place(&mut self, variable: VariableId, place: Place) {
        self.places.insert(variable, place);
    }

    /// Takes the next register.
    pub(super) fn push(&mut self, span: Span) -> u16 {
        if self.top >= REGISTERS_MAX {
            self.fail(span, "this function needs more than 60000 registers");
            return 0;
        }
        let register = self.top as u16;
        self.top += 1;
        self.builder.need_registers(self.top as u16);
        register
    }

    /// Notes why the function cannot be emitted.
    pub(super) fn fail(&mut self, span: Span, reason: &str) {
        let span = if span == Span::default() {
            self.context.module.functions[self.root.index()].span
        } else {
            span
        };
        self.failure
            .get_or_insert_with(|| (span, reason.to_owned()));
    }

    /// Appends an instruction, unless control cannot get there.
    pub(super) fn emit(&mut self, op: impl Into<Op>) {
        if self.is_reachable {
            self.builder.emit(op);
        }
    }

    /// Appends an instruction behind which control does not go on.
    pub(super) fn emit_end(&mut self, op: impl Into<Op>) {
        self.emit(op);
        self.is_reachable = false;
    }

    /// A new label.
    pub(super) fn label(&mut self) -> Label {
        self.is_used.push(false);
        self.builder.label()
    }

    /// Appends a jump.
    pub(super) fn jump(&mut self, to: Label) {
        self.use_label(to);
        self.emit_end(Control::Jump { to });
    }

    /// Notes that the next instruction jumps to a label.
    pub(super) fn use_label(&mut self, label: Label) {
        if self.is_reachable {
            self.is_used[label.0 as usize] = true;
        }
    }

    /// Binds a label that was only jumped to from before.
    pub(super) fn bind(&mut self, label: Label) {
        self.builder.bind(label);
        self.is_reachable |= self.is_used[label.0 as usize];
    }

    /// The next instructions come from this place.
    pub(super) fn line(&mut self, span: Span) {
        let is_prelude = self.context.module.functions[self.root.index()].is_prelude;
        if !is_prelude && span != Span::default() {
            self.builder.line(self.context.source.line(span.start));
        }
    }

    /// `dst <- src`.
    pub(super) fn copy(&mut self, dst: u16, src: u16) {
        if dst != src {
            self.emit(Data::Move {
                dst: Def(dst),
                src: Use(src),
            });
        }
    }

    /// The register that a result is to be computed in.
    pub(super) fn destination(&mut self, target: Target, span: Span) -> u16 {
        match target {
            Target::Register(register) => register,
            Target::Effect | Target::Return => self.push(span),
        }
    }

    /// Does with a computed result what is to be done.
    pub(super) fn deliver(&mut self, register: u16, target: Target) {
        match target {
            Target::Effect => {}
            Target::Register(wanted) => self.copy(wanted, register),
            Target::Return => self.emit_end(Control::Return {
                value: Use(register),
            }),
        }
    }

    /// Runs `work` one level deeper, if that is not too deep.
    pub(super) fn deeper(&mut self, span: Span, work: impl FnOnce(&mut Self)) {
        if self.depth == DEPTH_MAX {
            self.fail(span, "functions are nested too deeply here");
            self.is_reachable = false;
            return;
        }
        self.depth += 1;
        work(self);
        self.depth -= 1;
    }

    /// Records the variables of the function's own frame for debuggers.
    fn forget_variables(&mut self) {
        let end = self.builder.pc();
        for (variable, place) in std::mem::take(&mut self.places) {
            if let Place::Register(register) = place {
                self.describe(variable, register, 0, end);
            }
        }
    }

    /// Tells debuggers which register holds a variable in a range of code.
    pub(super) fn describe(&mut self, variable: VariableId, register: u16, start: u32, end: u32) {
        if start < end {
            let name = self.context.module.variables[variable.index()].name;
            self.builder
                .variable(self.context.tree.names.text(name), register, start, end);
        }
    }
}
