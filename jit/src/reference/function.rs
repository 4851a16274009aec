//! Calls, closures, cells and globals.

use pw_isa::op::Function;
use pw_isa::operand::{ClosureFrame, Def, Span, Use};
use pw_isa::{ErrorKind, Kind, Link, cost};

use super::{Machine, Next, Step, Stop};
use crate::value::Value;

/// Which function a call enters, and how.
pub(super) struct Callee {
    pub(super) program: u32,
    pub(super) function: u32,
    /// The register that holds the closure, when it has captures.
    pub(super) closure: Option<Use>,
    /// The window's base register.
    pub(super) window: u16,
    /// In place of the caller's frame.
    pub(super) tail: bool,
}

impl Machine<'_> {
    pub(super) fn function(&mut self, op: &Function) -> Step {
        match *op {
            Function::Call { window, function } => {
                let callee = self.linked(function.0, window.base, false);
                self.call(&callee, window.args)
            }
            Function::TailCall { window, function } => {
                let callee = self.linked(function.0, window.base, true);
                self.call(&callee, window.args)
            }
            Function::CallClosure { window } => {
                let callee = self.callee(window, false)?;
                self.call(&callee, window.args)
            }
            Function::TailCallClosure { window } => {
                let callee = self.callee(window, true)?;
                self.call(&callee, window.args)
            }
            Function::Apply { window } => self.apply(window, false),
            Function::TailApply { window } => self.apply(window, true),
            Function::Closure {
                dst,
                function,
                captures,
            } => self.closure(dst, function.0, captures),
            Function::Capture {
                dst,
                closure,
                index,
            } => {
                let value = self.captured(closure, index.0)?;
                self.set(dst, value)
            }
            Function::CaptureSet {
                closure,
                index,
                value,
            } => {
                self.captured(closure, index.0)?;
                let offset = self.get(closure).bits;
                self.fiber
                    .arena
                    .set_capture(offset, index.0, self.get(value));
                Ok(Next::Advance)
            }
            Function::Cell { dst, value } => {
                self.reserve(cost::CELL_BYTES)?;
                let cell = self.fiber.arena.new_cell(self.get(value));
                self.set(dst, cell)
            }
            Function::CellGet { dst, cell } => {
                let cell = self.cell(cell)?;
                self.set(dst, self.fiber.arena.cell(cell))
            }
            Function::CellSet { cell, value } => {
                let cell = self.cell(cell)?;
                self.fiber.arena.set_cell(cell, self.get(value));
                Ok(Next::Advance)
            }
            Function::GlobalGet { dst, global } => {
                let number = self.global(global.0);
                match self.fiber.global(self.fiber.program, number) {
                    Some(value) => self.set(dst, value),
                    None => Err(self.unset_global(number)),
                }
            }
            Function::GlobalSet { global, value } => {
                let number = self.global(global.0);
                self.fiber
                    .set_global(self.code, self.fiber.program, number, self.get(value));
                Ok(Next::Advance)
            }
        }
    }

    fn linked(&self, link: u32, window: u16, tail: bool) -> Callee {
        let program = self.fiber.program;
        match self.code.program(program).link(self.fiber.function, link) {
            Link::Function(function) => Callee {
                program,
                function,
                closure: None,
                window,
                tail,
            },
            Link::Global(_) => unreachable!("the verifier checked the link"),
        }
    }

    fn callee(&self, window: ClosureFrame, tail: bool) -> Result<Callee, Stop> {
        let value = self.get(Use(window.base));
        let Some((program, function)) = self.heap().closure(value) else {
            return Err(self.mismatch("a function to call", value));
        };
        let captures = self.code.program(program).function(function).captures;
        let closure = (captures > 0).then_some(Use(window.base));
        Ok(Callee {
            program,
            function,
            closure,
            window: window.base,
            tail,
        })
    }

    /// Enters a function whose arguments stand in the window.
    fn call(&mut self, callee: &Callee, args: u16) -> Step {
        let function = self.code.program(callee.program).function(callee.function);
        let spare = args
            .checked_sub(function.params)
            .filter(|spare| function.rest || *spare == 0);
        let Some(spare) = spare else {
            return Err(self.arity((callee.program, callee.function), u64::from(args)));
        };
        self.prepare(callee, u64::from(spare) * cost::PAIR_BYTES)?;
        let first = callee.window + 1;
        let mut arguments: Vec<Value> = (0..function.params)
            .map(|place| self.get(Use(first + place)))
            .collect();
        if function.rest {
            let mut list = Value::NIL;
            for place in (function.params..args).rev() {
                list = self
                    .fiber
                    .arena
                    .new_pair(self.get(Use(first + place)), list);
            }
            arguments.push(list);
        }
        self.enter(callee, arguments)
    }

    /// Enters a function with the elements of a list; a rest parameter gets the list's own tail.
    fn apply(&mut self, window: ClosureFrame, tail: bool) -> Step {
        let callee = self.callee(window, tail)?;
        let function = self.code.program(callee.program).function(callee.function);
        let list = Use(window.base + 1);
        let mut length = 0u64;
        for element in self.heap().list(self.get(list)) {
            if element.is_none() {
                return Err(self.mismatch("a list of arguments", self.get(list)));
            }
            length += 1;
        }
        self.charge(length)?;
        let params = u64::from(function.params);
        if length < params || (length > params && !function.rest) {
            return Err(self.arity((callee.program, callee.function), length));
        }
        self.prepare(&callee, 0)?;
        let mut arguments = Vec::with_capacity(usize::from(function.params) + 1);
        let mut rest = self.get(list);
        for _ in 0..function.params {
            let Some((car, cdr)) = self.heap().pair(rest) else {
                unreachable!("the list was counted")
            };
            arguments.push(car);
            rest = cdr;
        }
        if function.rest {
            arguments.push(rest);
        }
        self.enter(&callee, arguments)
    }

    /// Checks depth and memory for a frame of the callee and `bytes` of objects.
    pub(super) fn prepare(&mut self, callee: &Callee, bytes: u64) -> Result<(), Stop> {
        if !callee.tail && self.fiber.depth >= self.fiber.limits.depth {
            let message = format!(
                "more than {} calls within each other",
                self.fiber.limits.depth
            );
            return Err(Stop::Error(ErrorKind::RecursionLimitExceeded, message));
        }
        let base = self.callee_base(callee);
        let registers = self
            .code
            .program(callee.program)
            .function(callee.function)
            .registers;
        let stack_bytes = self.fiber.stack_bytes_at(base, registers);
        if self
            .fiber
            .limits
            .stack_bytes
            .is_some_and(|limit| stack_bytes > limit)
        {
            return Err(Stop::Own(ErrorKind::MemoryLimitExceeded));
        }
        Ok(self.fiber.reserve(self.code, bytes, stack_bytes)?)
    }

    fn callee_base(&self, callee: &Callee) -> usize {
        if callee.tail {
            self.fiber.base
        } else {
            self.fiber.base + usize::from(callee.window) + 1
        }
    }

    /// Makes the frame; `arguments` are all entry registers but the closure.
    pub(super) fn enter(&mut self, callee: &Callee, mut arguments: Vec<Value>) -> Step {
        arguments.extend(callee.closure.map(|register| self.get(register)));
        let registers = self
            .code
            .program(callee.program)
            .function(callee.function)
            .registers;
        let base = self.callee_base(callee);
        if callee.tail {
            self.fiber.program = callee.program;
            self.fiber.function = callee.function;
            self.fiber.pc = 0;
            let end = base + usize::from(registers);
            if self.fiber.stack.len() < end {
                self.fiber.stack.resize(end, Value::NIL);
            }
        } else {
            self.fiber
                .push_frame(callee.program, callee.function, base, registers);
        }
        self.fiber.stack[base..base + arguments.len()].copy_from_slice(&arguments);
        Ok(Next::Entered)
    }

    pub(super) fn arity(&self, (program, number): (u32, u32), args: u64) -> Stop {
        let program = self.code.program(program).program();
        let function = &program.functions[number as usize];
        let least = if function.rest { "at least " } else { "" };
        let plural = if function.params == 1 { "" } else { "s" };
        let name = program.function_name(number);
        let message = format!(
            "{name} takes {least}{} argument{plural}, not {args}",
            function.params
        );
        Stop::Error(ErrorKind::Arity, message)
    }

    fn closure(&mut self, dst: Def, link: u32, captures: Span) -> Step {
        let callee = self.linked(link, 0, false);
        self.reserve(cost::closure_bytes(u64::from(captures.count)))?;
        let values: Vec<Value> = (0..captures.count)
            .map(|place| self.get(Use(captures.first + place)))
            .collect();
        let closure =
            self.fiber
                .arena
                .new_closure(callee.program, callee.function, values.into_iter());
        self.set(dst, closure)
    }

    fn captured(&self, register: Use, index: u32) -> Result<Value, Stop> {
        let value = self.get(register);
        if value.kind() != Kind::Closure {
            return Err(self.mismatch("a function", value));
        }
        let (arena, offset) = self.heap().place(value);
        arena.capture(offset, index).ok_or_else(|| {
            let count = arena.capture_count(offset);
            super::data::out_of_range(format!(
                "captured value {index} of a function that has {count}"
            ))
        })
    }

    fn cell(&self, register: Use) -> Result<u64, Stop> {
        let value = self.get(register);
        if value.kind() == Kind::Cell {
            Ok(value.bits)
        } else {
            Err(self.mismatch("a cell", value))
        }
    }

    fn global(&self, link: u32) -> u32 {
        match self
            .code
            .program(self.fiber.program)
            .link(self.fiber.function, link)
        {
            Link::Global(global) => global,
            Link::Function(_) => unreachable!("the verifier checked the link"),
        }
    }

    fn unset_global(&self, number: u32) -> Stop {
        let names = &self
            .code
            .program(self.fiber.program)
            .program()
            .debug
            .globals;
        let name = names
            .get(number as usize)
            .map_or_else(|| format!("#{number}"), String::clone);
        Stop::Error(
            ErrorKind::Error,
            format!("{name} is read before it is defined"),
        )
    }
}
