//! Programs: functions, what they refer to, and what a debugger wants to know.
//!
//! A program is the unit of linking. A function names other functions and globals by positions in
//! its own *link table*, so that the same function means the same code in every program that
//! contains it. Names, lines and variables stand in a debug section that no signature covers.

use crate::error_kind::ErrorKind;
use crate::op::Op;

/// A function.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Function {
    /// Registers filled by the caller, from register 0.
    pub params: u16,
    /// Whether further arguments arrive as a list in the register after the parameters.
    pub rest: bool,
    /// Captured values; when there are any, the running closure stands in the next register.
    pub captures: u16,
    /// Registers of a frame.
    pub registers: u16,
    /// Instructions; a pc is a position in them.
    pub code: Vec<Op>,
    /// Constants, numbered by position.
    pub constants: Vec<Constant>,
    /// Exception handlers, inner ones before the ones around them.
    pub handlers: Vec<Handler>,
    /// Fixed gas of each instruction, when it differs from the opcode table; else empty.
    pub gas: Vec<u16>,
}

impl Function {
    /// The register that holds the running closure, if the function has captures.
    pub fn closure_register(&self) -> Option<u16> {
        (self.captures > 0).then(|| self.params + u16::from(self.rest))
    }

    /// How many registers hold values when the function is entered.
    pub fn entry_registers(&self) -> u32 {
        u32::from(self.params) + u32::from(self.rest) + u32::from(self.captures > 0)
    }

    /// How many registers a frame must have for the values at entry, the code and the handlers; at most
    /// the 65535 that can be written down, also for code that needs more and will be refused.
    pub fn registers_needed(&self) -> u16 {
        let code = self.code.iter().map(Op::registers_needed);
        let handlers = self
            .handlers
            .iter()
            .map(|handler| u32::from(handler.dst) + 1);
        let most = code.chain(handlers).max().unwrap_or(0);
        most.max(self.entry_registers()).min(u32::from(u16::MAX)) as u16
    }

    /// Gas charged for the instruction at `pc` before it runs.
    #[inline]
    pub fn fixed_gas(&self, pc: usize) -> u64 {
        match self.gas.get(pc) {
            Some(gas) => u64::from(*gas),
            None => u64::from(self.code[pc].info().gas),
        }
    }

    /// The innermost handler around `pc`.
    pub fn handler_at(&self, pc: u32) -> Option<&Handler> {
        self.handlers_at(pc).next()
    }

    /// All handlers around `pc`, the innermost first.
    pub fn handlers_at(&self, pc: u32) -> impl Iterator<Item = &Handler> {
        let all = self.handlers.iter();
        all.filter(move |handler| (handler.start..handler.end).contains(&pc))
    }
}

/// Where an error raised in a range of code goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handler {
    /// First instruction of the range.
    pub start: u32,
    /// First instruction behind the range.
    pub end: u32,
    /// Where execution goes on.
    pub target: u32,
    /// Register that receives the raised value.
    pub dst: u16,
}

/// An immutable value that a function refers to. Compound constants refer to earlier ones by
/// position, so that no constant is nested too deep for anybody to walk.
#[derive(Clone, PartialEq, Debug)]
pub enum Constant {
    /// nil.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// The bits of a float.
    Float(u64),
    /// A symbol.
    Symbol(String),
    /// A string.
    String(String),
    /// A pair of two earlier constants.
    Pair(u32, u32),
    /// A function without captures, by position in the link table.
    Function(u32),
    /// The address of an actor.
    ActorId(u64),
    /// A capability; the parameter is an earlier constant.
    Capability {
        /// Its name.
        name: String,
        /// Its parameter.
        parameter: Option<u32>,
    },
    /// An error.
    Error {
        /// Its kind.
        kind: ErrorKind,
        /// Its message.
        message: String,
    },
}

/// What a position of a link table names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum Link {
    /// A function of the program.
    Function(u32),
    /// A global of the program.
    Global(u32),
}

/// A program.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Program {
    /// Functions, numbered by position.
    pub functions: Vec<Function>,
    /// One link table a function.
    pub links: Vec<Vec<Link>>,
    /// How many globals an actor that runs the program has.
    pub globals: u32,
    /// The function that runs first.
    pub entry: u32,
    /// Names, lines and variables.
    pub debug: Debug,
}

impl Program {
    /// Whether tables that describe each other have equal lengths: what program files and assembly
    /// text can express. Whatever else is wrong, the verifier finds.
    ///
    /// # Errors
    /// The tables that do not fit together.
    pub fn check_form(&self) -> Result<(), String> {
        let functions = self.functions.len();
        let links = self.links.len();
        if links != functions {
            return Err(format!("{links} link tables for {functions} functions"));
        }
        let debug = self.debug.functions.len();
        if debug != 0 && debug != functions {
            return Err(format!(
                "the debug section describes {debug} of {functions} functions"
            ));
        }
        let names = self.debug.globals.len();
        if names != 0 && names != self.globals as usize {
            return Err(format!(
                "the debug section names {names} of {} globals",
                self.globals
            ));
        }
        for (number, function) in self.functions.iter().enumerate() {
            let (gas, code) = (function.gas.len(), function.code.len());
            if gas != 0 && gas != code {
                return Err(format!(
                    "function #{number}: gas is given for {gas} of {code} instructions"
                ));
            }
        }
        Ok(())
    }

    /// What is known about a function beside its code.
    pub fn debug_of(&self, function: u32) -> Option<&FunctionDebug> {
        self.debug.functions.get(function as usize)
    }

    /// The name of a function, or `#n` when it has none.
    pub fn function_name(&self, function: u32) -> String {
        match self.debug_of(function) {
            Some(debug) if !debug.name.is_empty() => debug.name.clone(),
            _ => format!("#{function}"),
        }
    }

    /// The source line of an instruction.
    pub fn line_at(&self, function: u32, pc: u32) -> Option<u32> {
        self.debug_of(function)?.line_at(pc)
    }
}

/// The debug section: not covered by any signature, and complete without it a program runs the same.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Debug {
    /// The file the program was made from.
    pub file: String,
    /// One entry a function, or none at all.
    pub functions: Vec<FunctionDebug>,
    /// One name a global, or none at all.
    pub globals: Vec<String>,
}

/// Debug information of one function.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FunctionDebug {
    /// Its name, or empty.
    pub name: String,
    /// (first pc, line), by rising pc; a line holds up to the next entry.
    pub lines: Vec<(u32, u32)>,
    /// The variables that registers hold.
    pub variables: Vec<Variable>,
    /// Annotations of the source, such as `formal`.
    pub annotations: Vec<String>,
}

impl FunctionDebug {
    /// The source line of an instruction.
    pub fn line_at(&self, pc: u32) -> Option<u32> {
        let behind = self.lines.partition_point(|(start, _)| *start <= pc);
        behind.checked_sub(1).map(|index| self.lines[index].1)
    }

    /// The variable that a register holds at an instruction.
    pub fn variable_at(&self, register: u16, pc: u32) -> Option<&Variable> {
        self.variables.iter().find(|variable| {
            variable.register == register && (variable.start..variable.end).contains(&pc)
        })
    }
}

/// A variable of the source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The register that holds it.
    pub register: u16,
    /// First pc at which it does.
    pub start: u32,
    /// First pc at which it no longer does.
    pub end: u32,
}
