//! What a new fiber begins with: a function, its arguments, and the globals that it can reach.

use std::collections::BTreeSet;

use pw_isa::wire::{Decoded, Reader, Writer};
use pw_isa::{Link, ProgramSignature};
use smallvec::SmallVec;

use super::arena::Arena;
use super::parcel::Parcel;
use super::{Fiber, Limits, State};
use crate::code_space::CodeSpace;
use crate::heap::Heap;
use crate::value::Value;

/// A function with its arguments, owned and self-contained, on its way to become a fiber. Valid within one
/// [`CodeSpace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    pub(super) values: Values,
    /// How many of the values are arguments; the others behind them belong to `globals`.
    pub(super) arguments: usize,
    /// Programs and globals that get a value.
    pub(super) globals: Vec<(u32, u32)>,
}

/// The function, its arguments, values of globals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// None of them has objects of its own.
    Plain(SmallVec<[Value; 4]>),
    /// A list of them.
    List(Parcel),
}

/// Slots of a stack whose memory is worth keeping.
const KEPT_SLOTS: usize = 64;

impl Values {
    /// Packs values.
    pub(super) fn of(heap: Heap<'_>, values: SmallVec<[Value; 4]>) -> Values {
        if values.iter().all(|value| !value.is_in_arena()) {
            return Values::Plain(values);
        }
        match Parcel::pack_list(heap, &values, u64::MAX) {
            Some((parcel, _)) => Values::List(parcel),
            None => unreachable!("there is no bound"),
        }
    }
}

impl Start {
    /// The call of a function: the first of these values, none of which has objects of its own or reaches a global.
    pub fn plain(values: &[Value]) -> Start {
        Start {
            values: Values::Plain(SmallVec::from_slice(values)),
            arguments: values.len() - 1,
            globals: Vec::new(),
        }
    }

    /// Packs the call of a function: the first of the values, a closure that takes as many arguments as
    /// follow. With it go the values of the globals that its code, and that of all functions it can reach
    /// through arguments, captured values and these globals, names. `None`, without having copied much
    /// more, when it takes more than `bytes_max` bytes.
    pub(crate) fn pack(
        fiber: &Fiber,
        code: &CodeSpace,
        values: &[Value],
        bytes_max: u64,
    ) -> Option<Start> {
        let heap = fiber.heap(code);
        let arguments = values.len() - 1;
        let mut all: SmallVec<[Value; 4]> = SmallVec::from_slice(values);
        let mut globals = Globals::default();
        let direct = values.iter().filter_map(|value| heap.closure(*value));
        globals.reach(fiber, code, direct, &mut all);
        if all.iter().all(|value| !value.is_in_arena()) {
            let start = Start {
                values: Values::Plain(all),
                arguments,
                globals: globals.named,
            };
            return (start.size_bytes() <= bytes_max).then_some(start);
        }
        loop {
            let (parcel, closures) = Parcel::pack_list(heap, &all, bytes_max)?;
            let known = all.len();
            globals.reach(fiber, code, closures.into_iter(), &mut all);
            if all.len() == known {
                return Some(Start {
                    values: Values::List(parcel),
                    arguments,
                    globals: globals.named,
                });
            }
        }
    }

    /// The call of a program's function from outside, with arguments made in an arena of their own.
    /// `None` when there is no such function, or it takes another number of arguments, or captures values.
    pub fn of_function(
        code: &CodeSpace,
        program: u32,
        function: u32,
        arena: &Arena,
        arguments: &[Value],
    ) -> Option<Start> {
        let of_program = code.program(program).program();
        let callee = of_program.functions.get(function as usize)?;
        if callee.captures > 0 || !takes(callee, arguments.len()) {
            return None;
        }
        let mut values = vec![code.program(program).function_value(function)];
        values.extend_from_slice(arguments);
        let (parcel, _) = Parcel::pack_list(Heap { arena, code }, &values, u64::MAX)?;
        Some(Start {
            values: Values::List(parcel),
            arguments: arguments.len(),
            globals: Vec::new(),
        })
    }

    /// Bytes to charge for copying it.
    pub fn size_bytes(&self) -> u64 {
        match &self.values {
            Values::Plain(values) => values.len() as u64 * Parcel::PLAIN_BYTES,
            Values::List(parcel) => parcel.size_bytes(),
        }
    }

    /// Writes it in its canonical form: the same for equal ones in every process.
    pub fn write(&self, code: &CodeSpace, out: &mut Writer) {
        match &self.values {
            Values::Plain(values) => {
                out.varint(values.len() as u64);
                for value in values {
                    Parcel::Plain(*value).write(code, out);
                }
            }
            Values::List(parcel) => {
                out.varint(0);
                parcel.write(code, out);
            }
        }
        out.varint(self.arguments as u64);
        out.varint(self.globals.len() as u64);
        for (program, global) in &self.globals {
            out.bytes
                .extend_from_slice(&code.program(*program).signature().0);
            out.varint(u64::from(*global));
        }
    }

    /// Reads what [`Start::write`] wrote. The programs that it refers to must be loaded.
    ///
    /// # Errors
    /// What is wrong, and where: what is no call that a fiber can begin with is refused.
    pub fn read(code: &CodeSpace, input: &mut Reader<'_>) -> Decoded<Start> {
        let count = input.count(3)?;
        let values = if count > 0 {
            let mut plain = SmallVec::new();
            for _ in 0..count {
                match Parcel::read(code, input)? {
                    Parcel::Plain(value) => plain.push(value),
                    Parcel::Small(_) | Parcel::Graph(_) => {
                        return Err(input.error("a plain value with objects"));
                    }
                }
            }
            Values::Plain(plain)
        } else {
            Values::List(Parcel::read(code, input)?)
        };
        let arguments = input.varint32()? as usize;
        let mut globals = Vec::new();
        for _ in 0..input.count(33)? {
            let signature = ProgramSignature(input.hash()?);
            let Some(program) = code.find(signature) else {
                return Err(input.error(format!("program {signature} is not loaded")));
            };
            globals.push((program, input.varint32()?));
        }
        let start = Start {
            values,
            arguments,
            globals,
        };
        match start.flaw(code) {
            None => Ok(start),
            Some(flaw) => Err(input.error(flaw)),
        }
    }

    /// Why no fiber can begin with this.
    pub(super) fn flaw(&self, code: &CodeSpace) -> Option<&'static str> {
        let mut arena = Arena::new();
        let values = self.unpack(code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code,
        };
        let function = values.first().and_then(|value| heap.closure(*value));
        let Some((program, function)) = function else {
            return Some("a call of what is no function");
        };
        let callee = code
            .program(program)
            .program()
            .functions
            .get(function as usize);
        if !callee.is_some_and(|callee| takes(callee, self.arguments)) {
            return Some("a call with a wrong number of arguments");
        }
        if values.len() != 1 + self.arguments + self.globals.len() {
            return Some("a call with a wrong number of values");
        }
        let exists =
            |(program, global): &(u32, u32)| *global < code.program(*program).program().globals;
        (!self.globals.iter().all(exists)).then_some("a global that the program has not")
    }

    /// The function and its arguments as one list.
    pub fn call(&self, code: &CodeSpace) -> Parcel {
        let mut arena = Arena::new();
        let values = self.unpack(code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code,
        };
        match Parcel::pack_list(heap, &values[..=self.arguments], u64::MAX) {
            Some((parcel, _)) => parcel,
            None => unreachable!("there is no bound"),
        }
    }

    /// The function that it calls: program and number.
    pub fn function(&self, code: &CodeSpace) -> (u32, u32) {
        let mut arena = Arena::new();
        let values = self.unpack(code, &mut arena);
        let heap = Heap {
            arena: &arena,
            code,
        };
        match heap.closure(values[0]) {
            Some(function) => function,
            None => unreachable!("the first value is a function"),
        }
    }

    pub(super) fn unpack(&self, code: &CodeSpace, arena: &mut Arena) -> SmallVec<[Value; 4]> {
        match &self.values {
            Values::Plain(values) => values.clone(),
            Values::List(parcel) => {
                let list = parcel.unpack(code, arena);
                Heap { arena, code }.list(list).flatten().collect()
            }
        }
    }
}

/// Whether a function takes so many arguments.
pub(crate) fn takes(function: &pw_isa::Function, arguments: usize) -> bool {
    let params = usize::from(function.params);
    arguments == params || (arguments > params && function.rest)
}

/// The globals that functions can reach.
#[derive(Default)]
struct Globals {
    functions: BTreeSet<(u32, u32)>,
    known: BTreeSet<(u32, u32)>,
    named: Vec<(u32, u32)>,
}

impl Globals {
    /// Takes note of functions; the values of globals that are new and set go to the end of `values`.
    fn reach(
        &mut self,
        fiber: &Fiber,
        code: &CodeSpace,
        functions: impl Iterator<Item = (u32, u32)>,
        values: &mut SmallVec<[Value; 4]>,
    ) {
        let mut pending: Vec<(u32, u32)> = functions
            .filter(|(program, _)| code.program(*program).program().globals > 0)
            .collect();
        while let Some((program, function)) = pending.pop() {
            if !self.functions.insert((program, function)) {
                continue;
            }
            for link in &code.program(program).program().links[function as usize] {
                match *link {
                    Link::Function(callee) => pending.push((program, callee)),
                    Link::Global(global) if self.known.insert((program, global)) => {
                        if let Some(value) = fiber.global(program, global) {
                            self.named.push((program, global));
                            values.push(value);
                        }
                    }
                    Link::Global(_) => {}
                }
            }
        }
    }
}

impl Fiber {
    /// A fiber that will make a call.
    pub fn starting(code: &CodeSpace, start: &Start, limits: Limits) -> Fiber {
        Fiber::starting_on(Vec::new(), code, start, limits)
    }

    /// Becomes a fiber that will make a call. It only keeps the memory of its stack.
    pub fn start_over(&mut self, code: &CodeSpace, start: &Start, limits: Limits) {
        let stack = std::mem::take(&mut self.stack);
        *self = Fiber::starting_on(stack, code, start, limits);
    }

    /// Forgets everything but the memory of its stack, if that is small, for [`Fiber::start_over`].
    pub fn clear(&mut self) {
        self.stack.clear();
        self.stack.shrink_to(KEPT_SLOTS);
        self.arena = Arena::new();
        self.extras = None;
    }

    fn starting_on(
        mut stack: Vec<Value>,
        code: &CodeSpace,
        start: &Start,
        limits: Limits,
    ) -> Fiber {
        let mut arena = Arena::new();
        let unpacked;
        let values = match &start.values {
            Values::Plain(values) => values,
            Values::List(_) => {
                unpacked = start.unpack(code, &mut arena);
                &unpacked
            }
        };
        let heap = Heap {
            arena: &arena,
            code,
        };
        let Some((program, function)) = heap.closure(values[0]) else {
            unreachable!("the first value is a function")
        };
        let callee = code.program(program).function(function);
        let base = 1;
        let slots = base + usize::from(callee.registers);
        stack.clear();
        stack.reserve_exact(slots);
        stack.resize(slots, Value::NIL);
        let mut fiber = Fiber {
            space: code.id,
            stack,
            program,
            function,
            pc: 0,
            base,
            depth: 1,
            state: State::Ready,
            arena,
            extras: None,
            gas_used: 0,
            limits,
        };
        let (arguments, globals) = values[1..].split_at(start.arguments);
        fiber.set_arguments(code, arguments);
        if callee.captures > 0 {
            let place = base + usize::from(callee.params) + usize::from(callee.rest);
            fiber.stack[place] = values[0];
        }
        for ((program, global), value) in start.globals.iter().zip(globals) {
            fiber.set_global(code, *program, *global, *value);
        }
        fiber.begin_globals(code, program);
        fiber
    }
}
