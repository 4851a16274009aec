//! How front ends make programs: labels, constants and links are numbered on the way.

use std::collections::BTreeMap;

use crate::op::{Op, Opcode};
use crate::operand::{Const, FuncLink, GlobalLink, Label, OperandKind};
use crate::program::{Constant, Debug, Function, FunctionDebug, Handler, Link, Program, Variable};

/// Builds a program function by function.
#[derive(Debug, Default)]
pub struct ProgramBuilder {
    functions: Vec<Option<FunctionBuilder>>,
    globals: Vec<String>,
    global_index: BTreeMap<String, u32>,
}

impl ProgramBuilder {
    /// An empty program.
    pub fn new() -> ProgramBuilder {
        ProgramBuilder::default()
    }

    /// Reserves the next function number, so that functions can refer to each other in any order.
    pub fn declare(&mut self) -> u32 {
        self.functions.push(None);
        self.functions.len() as u32 - 1
    }

    /// Gives a declared function its body.
    ///
    /// # Panics
    /// When the number was not declared or already has a body: the front end's mistake.
    pub fn define(&mut self, number: u32, function: FunctionBuilder) {
        let slot = &mut self.functions[number as usize];
        assert!(slot.is_none(), "function {number} already has a body");
        *slot = Some(function);
    }

    /// Declares and defines in one go.
    pub fn add(&mut self, function: FunctionBuilder) -> u32 {
        let number = self.declare();
        self.define(number, function);
        number
    }

    /// The number of the global with this name.
    pub fn global(&mut self, name: &str) -> u32 {
        if let Some(number) = self.global_index.get(name) {
            return *number;
        }
        let number = self.globals.len() as u32;
        self.globals.push(name.to_owned());
        self.global_index.insert(name.to_owned(), number);
        number
    }

    /// The finished program; it still has to be verified.
    ///
    /// # Panics
    /// When a declared function was never defined or a label never bound: the front end's mistake.
    pub fn finish(self, file: &str, entry: u32) -> Program {
        let mut program = Program {
            globals: self.globals.len() as u32,
            entry,
            debug: Debug {
                file: file.to_owned(),
                globals: self.globals,
                ..Debug::default()
            },
            ..Program::default()
        };
        for (number, function) in self.functions.into_iter().enumerate() {
            let Some(function) = function else {
                panic!("function {number} has no body")
            };
            let (function, links, debug) = function.finish();
            program.functions.push(function);
            program.links.push(links);
            program.debug.functions.push(debug);
        }
        program
    }
}

/// Builds one function. Labels in emitted instructions are numbers from [`FunctionBuilder::label`];
/// [`FunctionBuilder::bind`] gives them their positions, before or after their use.
#[derive(Debug, Default)]
pub struct FunctionBuilder {
    function: Function,
    links: Vec<Link>,
    debug: FunctionDebug,
    labels: Vec<Option<u32>>,
    handlers: Vec<[Label; 3]>,
    constant_index: BTreeMap<ConstantKey, u32>,
    link_index: BTreeMap<(u8, u32), u32>,
}

/// A constant as an ordered key, so that equal constants get one number.
pub(crate) type ConstantKey = (u8, u64, u64, String);

/// The key of a constant.
pub(crate) fn constant_key(constant: &Constant) -> ConstantKey {
    let none = String::new();
    match constant {
        Constant::Nil => (0, 0, 0, none),
        Constant::Bool(value) => (1, u64::from(*value), 0, none),
        Constant::Int(value) => (2, *value as u64, 0, none),
        Constant::Float(bits) => (3, *bits, 0, none),
        Constant::Symbol(text) => (4, 0, 0, text.clone()),
        Constant::String(text) => (5, 0, 0, text.clone()),
        Constant::Pair(car, cdr) => (6, u64::from(*car), u64::from(*cdr), none),
        Constant::Function(link) => (7, u64::from(*link), 0, none),
        Constant::ActorId(id) => (8, *id, 0, none),
        Constant::Capability { name, parameter } => (
            9,
            u64::from(parameter.is_some()),
            u64::from(parameter.unwrap_or(0)),
            name.clone(),
        ),
        Constant::Error { kind, message } => (10, *kind as u64, 0, message.clone()),
    }
}

impl FunctionBuilder {
    /// A function with this many parameters.
    pub fn new(name: &str, params: u16) -> FunctionBuilder {
        FunctionBuilder {
            function: Function {
                params,
                registers: params,
                ..Function::default()
            },
            debug: FunctionDebug {
                name: name.to_owned(),
                ..FunctionDebug::default()
            },
            ..FunctionBuilder::default()
        }
    }

    /// Further arguments arrive as a list in the register after the parameters.
    pub fn set_rest(&mut self, rest: bool) {
        self.function.rest = rest;
    }

    /// How many values closures of this function capture.
    pub fn set_captures(&mut self, captures: u16) {
        self.function.captures = captures;
    }

    /// Makes sure that frames have at least this many registers.
    pub fn need_registers(&mut self, registers: u16) {
        self.function.registers = self.function.registers.max(registers);
    }

    /// The position of the next instruction.
    pub fn pc(&self) -> u32 {
        self.function.code.len() as u32
    }

    /// Appends an instruction.
    pub fn emit(&mut self, op: impl Into<Op>) {
        self.function.code.push(op.into());
    }

    /// Appends an instruction whose fixed gas differs from the opcode table. Once used, every
    /// instruction of the function has its gas recorded.
    pub fn emit_with_gas(&mut self, op: impl Into<Op>, gas: u16) {
        self.record_gas();
        self.emit(op);
        self.function.gas.push(gas);
    }

    fn record_gas(&mut self) {
        for op in &self.function.code[self.function.gas.len()..] {
            self.function.gas.push(u16::from(op.info().gas));
        }
    }

    /// A new label, not yet bound.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    /// Binds a label to the next instruction.
    pub fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = Some(self.function.code.len() as u32);
    }

    /// The number of a constant; equal constants share one.
    pub fn constant(&mut self, constant: Constant) -> Const {
        let next = self.function.constants.len() as u32;
        let number = *self
            .constant_index
            .entry(constant_key(&constant))
            .or_insert(next);
        if number == next {
            self.function.constants.push(constant);
        }
        Const(number)
    }

    /// The constant that is a function of the program (one without captures) as a value.
    pub fn function_constant(&mut self, function: u32) -> Const {
        let link = self.link_function(function);
        self.constant(Constant::Function(link.0))
    }

    /// The link to a function of the program.
    pub fn link_function(&mut self, function: u32) -> FuncLink {
        FuncLink(self.link(0, function, Link::Function(function)))
    }

    /// The link to a global of the program.
    pub fn link_global(&mut self, global: u32) -> GlobalLink {
        GlobalLink(self.link(1, global, Link::Global(global)))
    }

    fn link(&mut self, kind: u8, index: u32, link: Link) -> u32 {
        let next = self.links.len() as u32;
        let number = *self.link_index.entry((kind, index)).or_insert(next);
        if number == next {
            self.links.push(link);
        }
        number
    }

    /// Errors raised from `start` to before `end` go on at `target` with the raised value in `dst`.
    /// Inner handlers must be added before the ones around them.
    pub fn handler(&mut self, start: Label, end: Label, target: Label, dst: u16) {
        self.handlers.push([start, end, target]);
        self.function.handlers.push(Handler {
            start: 0,
            end: 0,
            target: 0,
            dst,
        });
    }

    /// The next instructions come from this source line.
    pub fn line(&mut self, line: u32) {
        let pc = self.pc();
        match self.debug.lines.last_mut() {
            Some(last) if last.1 == line => {}
            Some(last) if last.0 == pc => last.1 = line,
            _ => self.debug.lines.push((pc, line)),
        }
    }

    /// A register holds a variable of the source from `start` to before `end`.
    pub fn variable(&mut self, name: &str, register: u16, start: u32, end: u32) {
        self.debug.variables.push(Variable {
            name: name.to_owned(),
            register,
            start,
            end,
        });
    }

    /// Keeps an annotation of the source.
    pub fn annotate(&mut self, annotation: &str) {
        self.debug.annotations.push(annotation.to_owned());
    }

    fn position(labels: &[Option<u32>], label: u32) -> u32 {
        match labels[label as usize] {
            Some(position) => position,
            None => panic!("label {label} was never bound"),
        }
    }

    fn finish(mut self) -> (Function, Vec<Link>, FunctionDebug) {
        if !self.function.gas.is_empty() {
            self.record_gas();
        }
        for op in &mut self.function.code {
            *op = with_label(*op, |label| Self::position(&self.labels, label));
        }
        for (handler, labels) in self.function.handlers.iter_mut().zip(&self.handlers) {
            let [start, end, target] = labels.map(|label| Self::position(&self.labels, label.0));
            *handler = Handler {
                start,
                end,
                target,
                ..*handler
            };
        }
        let entry = self.function.entry_registers();
        self.function.registers = self
            .function
            .registers
            .max(entry.min(u32::from(u16::MAX)) as u16);
        (self.function, self.links, self.debug)
    }
}

/// The instruction with its jump target replaced.
pub fn with_label(op: Op, replace: impl Fn(u32) -> u32) -> Op {
    let opcode: Opcode = op.opcode();
    let Some(place) = op
        .operands()
        .position(|(kind, _)| kind == OperandKind::Label)
    else {
        return op;
    };
    let mut raw = op.raw_operands();
    raw.replace(place, u64::from(replace(raw.as_slice()[place] as u32)));
    let Some(op) = Op::from_raw(opcode, raw.as_slice()) else {
        unreachable!("a label takes any 32-bit number")
    };
    op
}
