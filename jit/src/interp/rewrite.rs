//! From the external to the internal form, when a program is first run.
//!
//! Three passes over each function: every instruction on its own, then the gas from each instruction to
//! the end of its block, then [fusing](super::fuse).

use pw_isa::op::{
    Actor, Arith, Capability, Compare, Control, Data, Effects, Float, Function as Call, Message,
    Op, Text,
};
use pw_isa::operand::{Def, Frame, FuncLink, Use};
use pw_isa::{Function, Kind, Link};

use super::arith::library_call;
use super::form::{Code, Instruction, InternalFunction, InternalProgram, SLOT_SHIFT};
use super::fuse::Fuser;
use crate::code_space::LoadedProgram;
use crate::tier::powers::QUESTIONS_MAX;
use crate::value::Value;

/// The internal form of a loaded program.
pub(crate) fn rewrite(program: &LoadedProgram) -> InternalProgram {
    let mut values = vec![Value::NIL];
    let mut sites = Vec::new();
    let (mut functions, plain): (Vec<_>, Vec<_>) = (0..program.program().functions.len() as u32)
        .map(|number| {
            Rewriter {
                program,
                number,
                values: &mut values,
                sites: &mut sites,
            }
            .function()
        })
        .unzip();
    let questions = questions(program, &plain, &values);
    functions.push(InternalFunction::boundary(plain.len() as u32));
    InternalProgram {
        functions: functions.into(),
        plain: plain.into(),
        values: values.into_boxed_slice(),
        sites: sites.into_boxed_slice(),
        questions,
    }
}

/// Numbers the capabilities that a program asks about by name, as far as there are numbers.
fn questions(
    program: &LoadedProgram,
    plain: &[Box<[Instruction]>],
    values: &[Value],
) -> Box<[((u32, u32), u32)]> {
    let mut named: Vec<Value> = Vec::new();
    let mut questions = Vec::new();
    for (number, code) in (0..).zip(plain) {
        let ops = &program.function(number).code;
        for ((pc, op), instruction) in (0..).zip(ops).zip(code) {
            let asks = matches!(op, Op::Capability(Capability::HasCapability { .. }));
            if !asks || instruction.imm == 0 {
                continue;
            }
            let name = values[instruction.imm as usize];
            let question = named.iter().position(|known| *known == name);
            let question = question.unwrap_or_else(|| {
                named.push(name);
                named.len() - 1
            });
            if question < QUESTIONS_MAX {
                questions.push(((number, pc), question as u32));
            }
        }
    }
    questions.into()
}

pub(super) struct Rewriter<'a> {
    pub(super) program: &'a LoadedProgram,
    number: u32,
    pub(super) values: &'a mut Vec<Value>,
    sites: &'a mut Vec<(u32, u32)>,
}

pub(super) fn instruction(code: Code, a: u16, b: u16, c: u16, imm: i32) -> Instruction {
    Instruction {
        code,
        a,
        b,
        c,
        imm,
        rest: 0,
    }
}

/// A register as the loop addresses it: the byte offset of its slot.
pub(super) const fn slot(register: u16) -> u16 {
    register << SLOT_SHIFT
}

pub(super) fn three(code: Code, dst: Def, a: Use, b: Use) -> Instruction {
    instruction(code, slot(dst.0), slot(a.0), slot(b.0), 0)
}

fn two(code: Code, dst: Def, a: Use) -> Instruction {
    instruction(code, slot(dst.0), slot(a.0), 0, 0)
}

impl Rewriter<'_> {
    fn source(&self) -> &Function {
        self.program.function(self.number)
    }

    fn function(mut self) -> (InternalFunction, Box<[Instruction]>) {
        let count = self.source().code.len();
        let mut code: Vec<Instruction> = (0..count).map(|pc| self.single(pc)).collect();
        let cuts = cuts(self.source());
        let leaders = leaders(self.source(), &cuts);
        let addressable = self.source().registers < 1 << (16 - SLOT_SHIFT);
        let mut plain = vec![Instruction::STEP; count];
        if addressable && self.count_gas(&mut code) {
            let fuser = Fuser {
                rewriter: &self,
                source: self.source(),
                live: self.program.live(self.number),
                leaders: &leaders,
            };
            fuser.hint_keys(&mut code);
            plain.clone_from(&code);
            fuser.fuse_all(&mut code);
        } else {
            // Too many registers or a block too dear for the fields: left to the reference interpreter.
            code.fill(Instruction::STEP);
        }
        self.number_sites(&mut code);
        for pc in cuts {
            code[pc].code = Code::Step;
        }
        make_jumps_relative(&mut code);
        let entry_site = self.sites.len() as u32 - 1;
        let function = InternalFunction::new(self.source(), self.number, entry_site, code.into());
        (function, plain.into())
    }

    /// Numbers the loops of the function, and then its entry, for their counters.
    fn number_sites(&mut self, code: &mut [Instruction]) {
        for (pc, instruction) in code.iter_mut().enumerate() {
            if instruction.code.is_loop() {
                let site = self.sites.len() as u32;
                self.sites.push((self.number, pc as u32));
                instruction.imm = site as i32;
            }
        }
        self.sites.push((self.number, 0));
    }

    /// One external instruction by itself.
    fn single(&mut self, pc: usize) -> Instruction {
        match self.source().code[pc] {
            Op::Control(op) => self.control(op),
            Op::Data(op) => self.data(op),
            Op::Arith(op) => arith(op),
            Op::Float(op) => float(op),
            Op::Compare(op) => compare(op),
            Op::Function(op) => self.call(op),
            Op::Text(op) => text(op),
            Op::Message(op) => message(op),
            Op::Actor(Actor::SelfId { dst }) => instruction(Code::SelfId, slot(dst.0), 0, 0, 0),
            Op::Actor(Actor::Spawn { dst, values }) => instruction(
                Code::Spawn,
                slot(dst.0),
                slot(values.first),
                values.count,
                0,
            ),
            _ => Instruction::STEP,
        }
    }

    fn control(&self, op: Control) -> Instruction {
        match op {
            Control::Loop {} => instruction(Code::Loop, 0, 0, 0, 0),
            Control::Jump { to } => instruction(Code::Jump, 0, 0, 0, to.0 as i32),
            Control::BranchIf { test, to } => {
                instruction(Code::BranchIf, slot(test.0), 0, 0, to.0 as i32)
            }
            Control::BranchUnless { test, to } => {
                instruction(Code::BranchUnless, slot(test.0), 0, 0, to.0 as i32)
            }
            Control::Return { value } => instruction(Code::Return, slot(value.0), 0, 0, 0),
            Control::Raise { .. } => Instruction::STEP,
        }
    }

    fn value(&mut self, dst: Def, value: Value) -> Instruction {
        self.values.push(value);
        instruction(Code::Value, slot(dst.0), 0, 0, self.values.len() as i32 - 1)
    }

    fn data(&mut self, op: Data) -> Instruction {
        match op {
            Data::Move { dst, src } => two(Code::Move, dst, src),
            Data::Nil { dst } => self.value(dst, Value::NIL),
            Data::Bool { dst, value } => self.value(dst, Value::bool(value.0)),
            Data::Int { dst, value } => match i32::try_from(value.0) {
                Ok(imm) => instruction(Code::Int, slot(dst.0), 0, 0, imm),
                Err(_) => self.value(dst, Value::int(value.0)),
            },
            Data::Float { dst, value } => self.value(dst, Value::float(f64::from_bits(value.0))),
            Data::Const { dst, constant } => {
                let value = self.program.constant(self.number, constant.0);
                self.value(dst, value)
            }
            Data::Cons { dst, car, cdr } => three(Code::Cons, dst, car, cdr),
            Data::Car { dst, pair } => two(Code::Car, dst, pair),
            Data::Cdr { dst, pair } => two(Code::Cdr, dst, pair),
            Data::VectorRef { dst, vector, index } => three(Code::VectorRef, dst, vector, index),
            Data::VectorSet {
                vector,
                index,
                value,
            } => instruction(
                Code::VectorSet,
                slot(vector.0),
                slot(index.0),
                slot(value.0),
                0,
            ),
            Data::VectorLength { dst, vector } => two(Code::VectorLength, dst, vector),
            Data::VectorPush { vector, value } => {
                instruction(Code::VectorPush, slot(vector.0), slot(value.0), 0, 0)
            }
            Data::VectorPop { dst, vector } => two(Code::VectorPop, dst, vector),
            Data::Vector { dst, values } => instruction(
                Code::Vector,
                slot(dst.0),
                slot(values.first),
                values.count,
                0,
            ),
            Data::MakeVector { dst, length, value } => three(Code::MakeVector, dst, length, value),
            Data::VectorFill { vector, value } => {
                instruction(Code::VectorFill, slot(vector.0), slot(value.0), 0, 0)
            }
            Data::MakeBytes { dst, length, fill } => three(Code::MakeBytes, dst, length, fill),
            Data::BytesLength { dst, bytes } => two(Code::BytesLength, dst, bytes),
            Data::MakeError {
                dst,
                message,
                values,
            } => three(Code::MakeError, dst, message, values),
            Data::ErrorKind { dst, error } => two(Code::ErrorKind, dst, error),
            Data::ErrorMessage { dst, error } => two(Code::ErrorMessage, dst, error),
            Data::ErrorValues { dst, error } => two(Code::ErrorValues, dst, error),
            Data::BytesRef { dst, bytes, index } => three(Code::BytesRef, dst, bytes, index),
            Data::BytesSet {
                bytes,
                index,
                value,
            } => instruction(
                Code::BytesSet,
                slot(bytes.0),
                slot(index.0),
                slot(value.0),
                0,
            ),
            Data::MapGet {
                dst,
                map,
                key,
                default,
            } => instruction(
                Code::MapGet,
                slot(dst.0),
                slot(map.0),
                slot(key.0),
                i32::from(slot(default.0)),
            ),
            Data::MakeMap { dst } => instruction(Code::MakeMap, slot(dst.0), 0, 0, 0),
            Data::MapHas { dst, map, key } => three(Code::MapHas, dst, map, key),
            Data::MapDelete { dst, map, key } => three(Code::MapDelete, dst, map, key),
            Data::MapCount { dst, map } => two(Code::MapCount, dst, map),
            Data::MapSet { map, key, value } => {
                instruction(Code::MapSet, slot(map.0), slot(key.0), slot(value.0), 0)
            }
            Data::MapKeys { dst, map } => two(Code::MapKeys, dst, map),
        }
    }

    pub(super) fn linked(&self, link: u32) -> i32 {
        match self.program.link(self.number, link) {
            Link::Function(number) | Link::Global(number) => number as i32,
        }
    }

    /// A call of a function of this program, if that takes as many arguments; `plain` where all are parameters.
    fn direct(&self, plain: Code, with_rest: Code, window: Frame, link: FuncLink) -> Instruction {
        let number = self.linked(link.0);
        let callee = self.program.function(number as u32);
        let code = match callee.rest {
            true if window.args >= callee.params => with_rest,
            false if window.args == callee.params => plain,
            _ => return Instruction::STEP,
        };
        instruction(code, slot(window.base), slot(window.args), 0, number)
    }

    fn call(&self, op: Call) -> Instruction {
        match op {
            Call::Call { window, function } => {
                self.direct(Code::Call, Code::CallRest, window, function)
            }
            Call::TailCall { window, function } => {
                self.direct(Code::TailCall, Code::TailCallRest, window, function)
            }
            Call::CallClosure { window } => instruction(
                Code::CallClosure,
                slot(window.base),
                slot(window.args),
                0,
                0,
            ),
            Call::TailCallClosure { window } => instruction(
                Code::TailCallClosure,
                slot(window.base),
                slot(window.args),
                0,
                0,
            ),
            Call::Closure {
                dst,
                function,
                captures,
            } => instruction(
                Code::Closure,
                slot(dst.0),
                slot(captures.first),
                captures.count,
                self.linked(function.0),
            ),
            Call::Capture {
                dst,
                closure,
                index,
            } => instruction(
                Code::Capture,
                slot(dst.0),
                slot(closure.0),
                0,
                index.0 as i32,
            ),
            Call::Cell { dst, value } => two(Code::Cell, dst, value),
            Call::CellGet { dst, cell } => two(Code::CellGet, dst, cell),
            Call::CellSet { cell, value } => {
                instruction(Code::CellSet, slot(cell.0), slot(value.0), 0, 0)
            }
            Call::GlobalGet { dst, global } => {
                instruction(Code::GlobalGet, slot(dst.0), 0, 0, self.linked(global.0))
            }
            Call::GlobalSet { global, value } => {
                instruction(Code::GlobalSet, slot(value.0), 0, 0, self.linked(global.0))
            }
            Call::Apply { window } => instruction(Code::Apply, slot(window.base), 0, 0, 0),
            Call::TailApply { window } => instruction(Code::TailApply, slot(window.base), 0, 0, 0),
            Call::CaptureSet { .. } => Instruction::STEP,
        }
    }

    /// Sums the fixed gas from each instruction to the next one that charges what it goes on to: a jump,
    /// branch, call or end. Control that runs into a jump target has paid for what is there. False when a
    /// sum is too large.
    fn count_gas(&self, code: &mut [Instruction]) -> bool {
        let source = self.source();
        let mut rest = 0u32;
        for pc in (0..code.len()).rev() {
            if ends_block(&source.code[pc]) {
                rest = 0;
            }
            let Some(sum) = rest.checked_add(source.fixed_gas(pc) as u32) else {
                return false;
            };
            rest = sum;
            code[pc].rest = rest;
        }
        true
    }
}

const _: () = assert!(Kind::ALL.len() <= 16, "a set of kinds fits in 16 bits");

fn arith(op: Arith) -> Instruction {
    match op {
        Arith::Add { dst, a, b } => three(Code::Add, dst, a, b),
        Arith::Sub { dst, a, b } => three(Code::Sub, dst, a, b),
        Arith::Mul { dst, a, b } => three(Code::Mul, dst, a, b),
        Arith::Div { dst, a, b } => three(Code::Div, dst, a, b),
        Arith::Quot { dst, a, b } => three(Code::Quot, dst, a, b),
        Arith::Rem { dst, a, b } => three(Code::Rem, dst, a, b),
        Arith::Mod { dst, a, b } => three(Code::Mod, dst, a, b),
        Arith::Min { dst, a, b } => three(Code::Min, dst, a, b),
        Arith::Max { dst, a, b } => three(Code::Max, dst, a, b),
        Arith::Neg { dst, a } => two(Code::Neg, dst, a),
        Arith::Abs { dst, a } => two(Code::Abs, dst, a),
        Arith::BitNot { dst, a } => two(Code::BitNot, dst, a),
        Arith::ToInt { dst, a } => two(Code::ToInt, dst, a),
        Arith::WrapAdd { dst, a, b } => three(Code::WrapAdd, dst, a, b),
        Arith::WrapSub { dst, a, b } => three(Code::WrapSub, dst, a, b),
        Arith::WrapMul { dst, a, b } => three(Code::WrapMul, dst, a, b),
        Arith::BitAnd { dst, a, b } => three(Code::BitAnd, dst, a, b),
        Arith::BitOr { dst, a, b } => three(Code::BitOr, dst, a, b),
        Arith::BitXor { dst, a, b } => three(Code::BitXor, dst, a, b),
        Arith::Shl { dst, a, b } => three(Code::Shl, dst, a, b),
        Arith::Shr { dst, a, b } => three(Code::Shr, dst, a, b),
        Arith::Ushr { dst, a, b } => three(Code::Ushr, dst, a, b),
    }
}

fn message(op: Message) -> Instruction {
    match op {
        Message::Send {
            to,
            value,
            priority,
        } => instruction(Code::Send, slot(to.0), slot(value.0), slot(priority.0), 0),
        Message::Receive { dst } => instruction(Code::Receive, slot(dst.0), 0, 0, 0),
        Message::Sender { dst } => instruction(Code::Sender, slot(dst.0), 0, 0, 0),
        _ => Instruction::STEP,
    }
}

fn float(op: Float) -> Instruction {
    match op {
        Float::ToFloat { dst, a } => two(Code::ToFloat, dst, a),
        Float::Sqrt { dst, a } => two(Code::Sqrt, dst, a),
        _ => library_call(op).map_or(Instruction::STEP, |(code, place, dst, [a, b])| {
            instruction(code, slot(dst.0), slot(a.0), slot(b.0), place)
        }),
    }
}

fn text(op: Text) -> Instruction {
    match op {
        Text::StringLength { dst, string } => two(Code::StringLength, dst, string),
        Text::StringRef { dst, string, index } => three(Code::StringRef, dst, string, index),
        Text::StringEq { dst, a, b } => three(Code::StringEq, dst, a, b),
        Text::StringLt { dst, a, b } => three(Code::StringLt, dst, a, b),
        Text::StringAppend { dst, a, b } => three(Code::StringAppend, dst, a, b),
        Text::Substring {
            dst,
            string,
            from,
            to,
        } => instruction(
            Code::Substring,
            slot(dst.0),
            slot(string.0),
            slot(from.0),
            i32::from(slot(to.0)),
        ),
        Text::StringIndex { dst, string, part } => three(Code::StringIndex, dst, string, part),
        Text::NumberToString { dst, number } => two(Code::NumberToString, dst, number),
        Text::StringToNumber { dst, string } => two(Code::StringToNumber, dst, string),
        Text::SymbolToString { dst, symbol } => two(Code::SymbolToString, dst, symbol),
        Text::StringToSymbol { dst, string } => two(Code::StringToSymbol, dst, string),
        Text::StringToBytes { .. } | Text::BytesToString { .. } => Instruction::STEP,
    }
}

fn compare(op: Compare) -> Instruction {
    match op {
        Compare::Eq { dst, a, b } => three(Code::Eq, dst, a, b),
        Compare::Lt { dst, a, b } => three(Code::Lt, dst, a, b),
        Compare::Le { dst, a, b } => three(Code::Le, dst, a, b),
        Compare::Gt { dst, a, b } => three(Code::Gt, dst, a, b),
        Compare::Ge { dst, a, b } => three(Code::Ge, dst, a, b),
        Compare::NumEq { dst, a, b } => three(Code::NumEq, dst, a, b),
        Compare::NumNe { dst, a, b } => three(Code::NumNe, dst, a, b),
        Compare::Not { dst, a } => two(Code::Not, dst, a),
        Compare::Is { dst, a, kinds } => {
            instruction(Code::Is, slot(dst.0), slot(a.0), kinds.0.0 as u16, 0)
        }
        Compare::Equal { dst, a, b } => three(Code::Equal, dst, a, b),
    }
}

/// Whether what comes behind an instruction is another block.
fn ends_block(op: &Op) -> bool {
    let effects = op.info().effects;
    op.label().is_some() || effects.has(Effects::END) || effects.has(Effects::CALL)
}

/// Jump targets are positions until everything else is done, and distances from then on.
fn make_jumps_relative(code: &mut [Instruction]) {
    for (pc, instruction) in code.iter_mut().enumerate() {
        if instruction.code.jumps() {
            instruction.imm = (instruction.imm - pc as i32) << SLOT_SHIFT;
        }
    }
}

/// Instructions of a block that follow each other in the loop, at most.
const BLOCK_MAX: usize = 1024;

/// Instructions that are left to the reference interpreter because the loop would do too many before them
/// without looking whether its turn is over. Where instructions may cost nothing, it may not look between blocks.
fn cuts(function: &Function) -> Vec<usize> {
    let mut length = 0;
    let mut cuts = Vec::new();
    for (pc, op) in function.code.iter().enumerate() {
        length += 1;
        if length == BLOCK_MAX {
            cuts.push(pc);
            length = 0;
        } else if function.gas.is_empty() && ends_block(op) {
            length = 0;
        }
    }
    cuts
}

/// Where blocks begin: control can come here other than from the instruction before, or the
/// instruction before may not go on here. Likewise where they are cut. One entry more than there are instructions.
fn leaders(function: &Function, cuts: &[usize]) -> Vec<bool> {
    let mut leaders = vec![false; function.code.len() + 1];
    leaders[0] = true;
    leaders[function.code.len()] = true;
    for (pc, op) in function.code.iter().enumerate() {
        if let Some(label) = op.label() {
            leaders[label as usize] = true;
        }
        leaders[pc + 1] |= ends_block(op);
    }
    for handler in &function.handlers {
        leaders[handler.target as usize] = true;
    }
    for pc in cuts {
        leaders[*pc] = true;
        leaders[pc + 1] = true;
    }
    leaders
}
