//! What happens when an instruction does not complete: a handler takes over, or the program fails.

use pw_isa::op::{Access, Data, Effects, Op};
use pw_isa::program::Handler;
use pw_isa::{ErrorKind, cost};

use super::{Machine, Stop};
use crate::code_space::CodeSpace;
use crate::failure::{BACKTRACE_HALF, Failure, Place};
use crate::fiber::parcel::Parcel;
use crate::fiber::sandbox::{Bound, Sandbox};
use crate::fiber::{Fiber, FrameView};
use crate::host::{Answer, Effect, Host, Kept};
use crate::text::{Style, value_text_within};
use crate::value::Value;

/// The bytes of a failure's message after which no more values of its Error are told.
const MESSAGE_MAX: usize = 64 << 10;
/// The longest text of an operand in a failure, in bytes.
const OPERAND_TEXT_MAX: usize = 200;

/// Whether an instruction can be tried: it changes nothing but its own register before it has reserved what it makes,
/// asks nobody and calls nothing.
pub(crate) fn can_try(op: &Op) -> bool {
    let effects = op.info().effects;
    let acts = [Effects::CALL, Effects::END, Effects::HOST, Effects::SUSPEND];
    let writes_first = effects.has(Effects::WRITE) && !effects.has(Effects::ALLOCATE)
        || matches!(op, Op::Data(Data::MapSet { .. }));
    let is_v2 = matches!(op, Op::V2(_));
    effects.has(Effects::TRAP)
        && !is_v2
        && !writes_first
        && !acts.into_iter().any(|act| effects.has(act))
}

/// The error that the instruction raises before which a fiber stands, its fixed gas charged: then its work is charged, too.
/// None where it does not fail, and where it would make something: that was not done.
pub(crate) fn error_of(fiber: &mut Fiber, code: &CodeSpace) -> Option<(ErrorKind, String)> {
    let (_, function) = fiber.current(code);
    let op = &function.code[fiber.pc as usize];
    assert!(can_try(op), "{op:?} cannot be tried");
    let host = &mut Nobody;
    let mut machine = Machine::new(fiber, code, host);
    machine.work = op.info().work;
    machine.is_trial = true;
    machine.fiber.arena.allow(Some(0));
    let step = machine.execute(op);
    machine.fiber.arena.allow(None);
    match step {
        Err(Stop::Error(kind, message)) => Some((kind, message)),
        _ => None,
    }
}

/// The host of what asks for nothing.
pub(crate) struct Nobody;

impl Host for Nobody {
    fn effect(&mut self, _: &CodeSpace, _: Option<&Kept>, effect: Effect) -> Answer {
        unreachable!("{effect:?} of an instruction that asks nobody")
    }
}

/// A handler around the place where a frame stands.
struct Landing {
    /// The frame, counted from the oldest.
    depth: u32,
    /// Its program and function.
    function: (u32, u32),
    handler: Handler,
}

impl Landing {
    /// Whether it is outside of a sandbox: rule 2 of [`crate::fiber::sandbox`].
    fn is_outside(&self, sandbox: &Sandbox) -> bool {
        if self.depth != sandbox.depth {
            return self.depth < sandbox.depth;
        }
        let range = self.handler.start..self.handler.end;
        self.function == (sandbox.program, sandbox.function) && range.contains(&sandbox.pc)
    }
}

impl Machine<'_> {
    /// Goes on at the innermost handler, or fails. What a sandbox's bound ends goes on outside of it; other errors leave
    /// the sandboxes that their handler is outside of.
    pub(super) fn raise(&mut self, stop: Stop) -> Result<(), Box<Failure>> {
        let mut stop = stop;
        let mut struck = self.struck(&stop);
        loop {
            // A handler must be outside of the sandboxes from this one on.
            let mut inside_from = self.fiber.open_sandboxes();
            if let Some((place, bound)) = struck {
                inside_from = place;
                stop = self.end_of_sandbox(place, bound);
            }
            if let Stop::Limit(kind) | Stop::Own(kind) = stop {
                return Err(self.fail_at_limit(kind));
            }
            let Some(landing) = self.find_landing(inside_from) else {
                return Err(self.fail(stop));
            };
            let open = self.fiber.sandboxes().iter();
            let around = open.take_while(|sandbox| !landing.is_outside(sandbox));
            let closed = self.fiber.keep_sandboxes(around.count());
            match self.raised_value(stop) {
                Ok(value) => {
                    self.unwind(&landing, value);
                    return Ok(());
                }
                // Making the error has reached a bound further out.
                Err(kind) => {
                    stop = Stop::Limit(kind);
                    struck = self.struck(&stop);
                    self.fiber.reopen_sandboxes(closed);
                }
            }
        }
    }

    /// The sandbox whose bound an instruction has reached, if it is one's.
    fn struck(&self, stop: &Stop) -> Option<(usize, Bound)> {
        let bound = match stop {
            Stop::Limit(ErrorKind::GasLimitExceeded) => Bound::Gas,
            Stop::Limit(_) => Bound::Memory,
            _ => return None,
        };
        let place = self.fiber.struck_sandbox(bound)?;
        Some((place, bound))
    }

    fn unwind(&mut self, landing: &Landing, value: Value) {
        while self.fiber.depth > landing.depth {
            self.fiber.pop_frame();
        }
        let slot = self.fiber.base + usize::from(landing.handler.dst);
        self.fiber.stack[slot] = value;
        self.fiber.pc = landing.handler.target;
    }

    /// The innermost handler of those outside of all sandboxes from a place on.
    fn find_landing(&self, inside_from: usize) -> Option<Landing> {
        let outermost = self.fiber.sandboxes().get(inside_from);
        let depths = (1..=self.fiber.depth).rev();
        self.fiber.frames().zip(depths).find_map(|(frame, depth)| {
            let function = self.code.program(frame.program).function(frame.function);
            let landings = function.handlers_at(frame.pc).map(|handler| Landing {
                depth,
                function: (frame.program, frame.function),
                handler: *handler,
            });
            let mut outside = landings
                .filter(|landing| outermost.is_none_or(|sandbox| landing.is_outside(sandbox)));
            outside.next()
        })
    }

    /// The value that a handler receives.
    fn raised_value(&mut self, stop: Stop) -> Result<Value, ErrorKind> {
        match stop {
            Stop::Value(value) => Ok(value),
            Stop::Limit(kind) | Stop::Own(kind) => Err(kind),
            Stop::Error(kind, message) => {
                let bytes = cost::ERROR_BYTES + cost::text_bytes(message.len() as u64);
                if let Err(Stop::Limit(kind) | Stop::Own(kind)) = self.reserve(bytes) {
                    return Err(kind);
                }
                let message = self.fiber.arena.new_text(pw_isa::Kind::String, &message);
                Ok(self.fiber.arena.new_error(kind, message, Value::NIL))
            }
        }
    }

    /// The fiber's own limits end it; the instruction that did not fit is not charged.
    fn fail_at_limit(&mut self, kind: ErrorKind) -> Box<Failure> {
        let limits = self.fiber.limits;
        let message = match kind {
            ErrorKind::GasLimitExceeded => {
                self.fiber.gas_used -= self.charged;
                self.charged = 0;
                format!("the gas limit of {} is used up", limits.gas)
            }
            _ => format!(
                "the memory limit of {} bytes is used up",
                limits.memory_bytes
            ),
        };
        self.failure(kind, message, None)
    }

    fn fail(&mut self, stop: Stop) -> Box<Failure> {
        match stop {
            Stop::Limit(kind) | Stop::Own(kind) => self.fail_at_limit(kind),
            Stop::Error(kind, message) => {
                let mut arena = crate::fiber::arena::Arena::new();
                let text = arena.new_text(pw_isa::Kind::String, &message);
                let error = arena.new_error(kind, text, Value::NIL);
                let value = Parcel::pack(
                    crate::heap::Heap {
                        arena: &arena,
                        code: self.code,
                    },
                    error,
                );
                self.failure(kind, message, Some(value))
            }
            Stop::Value(value) => {
                let heap = self.heap();
                let parcel = Parcel::pack(heap, value);
                match heap.error(value) {
                    Some((kind, message, values)) => {
                        let mut text = heap.string(message).unwrap_or("").to_owned();
                        for value in heap.list(values).flatten() {
                            if text.len() > MESSAGE_MAX {
                                text.push('…');
                                break;
                            }
                            text.push(' ');
                            text +=
                                &value_text_within(heap, value, Style::Quoted, OPERAND_TEXT_MAX);
                        }
                        self.failure(kind, text, Some(parcel))
                    }
                    None => {
                        let text = value_text_within(heap, value, Style::Quoted, OPERAND_TEXT_MAX);
                        self.failure(ErrorKind::Raised, text, Some(parcel))
                    }
                }
            }
        }
    }

    fn failure(&self, kind: ErrorKind, message: String, value: Option<Parcel>) -> Box<Failure> {
        let (callers, omitted) = self.fiber.callers_at_ends(BACKTRACE_HALF);
        let backtrace = callers.iter().map(|frame| self.place(frame)).collect();
        let Some(newest) = self.fiber.frames().next() else {
            unreachable!("a fiber has a frame")
        };
        let (instruction, operands) = self.operands(&newest);
        Box::new(Failure {
            kind,
            message,
            value,
            place: self.place(&newest),
            gas: self.fiber.gas_used,
            instruction,
            operands,
            backtrace,
            backtrace_omitted: omitted,
        })
    }

    fn place(&self, frame: &FrameView) -> Place {
        Place::of(self.code, frame)
    }

    /// The instruction's mnemonic and the registers it read, under their variables' names.
    fn operands(&self, frame: &FrameView) -> (String, Vec<(String, String)>) {
        let program = self.code.program(frame.program).program();
        let op = &program.functions[frame.function as usize].code[frame.pc as usize];
        let mut registers = Vec::new();
        op.accesses(|access| {
            if let Access::Read { first, count } = access {
                registers.extend(first..first + count);
            }
        });
        let name = |register: u16| {
            let debug = program.debug_of(frame.function);
            let variable = debug.and_then(|debug| debug.variable_at(register, frame.pc));
            variable.map_or_else(|| format!("r{register}"), |variable| variable.name.clone())
        };
        let text = |register| {
            let value = self.fiber.register(frame, register);
            value_text_within(self.heap(), value, Style::Quoted, OPERAND_TEXT_MAX)
        };
        let operands = registers
            .into_iter()
            .map(|register| (name(register), text(register)))
            .collect();
        (op.info().mnemonic.to_owned(), operands)
    }
}
