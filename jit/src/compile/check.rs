//! An independent check of exits: every way on which a body leaves writes what the interpreter goes on with.
//!
//! It knows Cranelift's form, the program and its live-register tables, and nothing of the lowering: which
//! frames there are is read from what is written. A way that leaves begins behind a branch and goes on by
//! jumps to a return of `EXIT`. What it has written must hold
//!
//! 1. where the newest frame is, its place, the reason, the body and the gas, unless a callee has said so;
//! 2. tag and bits of every register that is live there, from values that are defined on all paths to it,
//!    of the right kind: a Float where the tag says so, and only there. A register of the body's own frame that is
//!    never given a value stands there as it did;
//! 3. the header of each frame down to the root's, with the place of a call whose window is there, and the
//!    registers that are live in the caller during the call;
//! 4. how many frames these are;
//! 5. the objects that these registers name, where they may not have been written before, and those that these name
//!    (`objects`).
//!
//! Ways on which nothing has been done since the body was entered, at a beginning or loop, write no registers:
//! all stand in the frame.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F64, I8};
use cranelift_codegen::ir::{
    Block, BlockArg, Function, Inst, InstructionData, Opcode, UserFuncName, Value, ValueDef,
};
use pw_isa::Kind;
use pw_isa::op::{Access, Control, Function as Call, Op};

use super::state::{EXIT, ExitPlace, NativeState};
use crate::code_space::LoadedProgram;
use crate::fiber::arena::OutsideLayout;
use crate::value::CONSTANT;

/// The bytes of a slot, and of half of it.
const SLOT: i64 = 16;
const HALF: i64 = 8;

/// Checks all exits of a body; how many ways there are, or what is wrong.
pub(super) fn check(body: &Function, program: &LoadedProgram) -> Result<usize, String> {
    let checker = Checker::new(body, program);
    let mut ways = 0;
    for block in body.layout.blocks() {
        if checker.begins_way(block) {
            let way = checker.way(block);
            checker
                .check(&way)
                .map_err(|fault| format!("{} at {block}: {fault}", body.name))?;
            ways += 1;
        }
    }
    Ok(ways)
}

/// Where a store goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Address {
    State(i64),
    /// From the root's r0 on.
    Frame(i64),
    /// From the start of the object with this offset in the arena on.
    Object(Value, i64),
}

/// A way that leaves: the block that it begins with, and what it has written last to each address.
struct Way {
    first: Block,
    written: BTreeMap<Address, Value>,
    /// Frames that it has added.
    frames: i64,
    /// What parameters of the blocks on it stand for.
    passed: BTreeMap<Value, Value>,
}

impl Way {
    /// What a value is on it.
    fn given(&self, value: Value) -> Value {
        self.passed.get(&value).copied().unwrap_or(value)
    }
}

struct Checker<'a> {
    body: &'a Function,
    program: &'a LoadedProgram,
    /// By block: where it stands.
    order: BTreeMap<Block, usize>,
    /// By block: the ways to it, each a block and the branch at its end.
    before: BTreeMap<Block, Vec<(Block, Inst)>>,
    /// By block that can be reached: the blocks that every path to it passes, as bits in their order.
    dominators: BTreeMap<Block, Vec<u64>>,
    /// Values that stand for a register that was read before it was written.
    undefined: BTreeSet<Value>,
    /// The blocks in which the first word of an object is written, by the value that says where it stands.
    writes: BTreeMap<Value, Vec<Block>>,
    /// Values that name an object whose room was taken, where it need not have been written yet.
    unwritten: BTreeSet<Value>,
}

impl<'a> Checker<'a> {
    fn new(body: &'a Function, program: &'a LoadedProgram) -> Checker<'a> {
        let mut before: BTreeMap<Block, Vec<(Block, Inst)>> = BTreeMap::new();
        for block in body.layout.blocks() {
            for inst in body.layout.block_insts(block) {
                for call in destinations(body, inst) {
                    let to = call.block(&body.dfg.value_lists);
                    before.entry(to).or_default().push((block, inst));
                }
            }
        }
        let mut checker = Checker {
            body,
            program,
            order: body.layout.blocks().zip(0..).collect(),
            before,
            dominators: BTreeMap::new(),
            undefined: BTreeSet::new(),
            writes: BTreeMap::new(),
            unwritten: BTreeSet::new(),
        };
        checker.find_dominators();
        checker.find_undefined();
        checker.find_writes();
        checker
    }

    fn entry(&self) -> Block {
        self.body.layout.entry_block().expect("a body has an entry")
    }

    fn before(&self, block: Block) -> &[(Block, Inst)] {
        self.before.get(&block).map_or(&[], |before| before)
    }

    /// Whether a block is the first of a way that leaves: control comes to it by a branch, and goes on by
    /// jumps to a return of `EXIT`.
    fn begins_way(&self, block: Block) -> bool {
        let is_jump = |inst: &Inst| self.body.dfg.insts[*inst].opcode() == Opcode::Jump;
        self.dominators.contains_key(&block)
            && (block == self.entry() || self.before(block).iter().any(|(_, inst)| !is_jump(inst)))
            && self.leaves(block)
    }

    fn leaves(&self, mut block: Block) -> bool {
        let mut passed = BTreeSet::new();
        while passed.insert(block) {
            let Some(last) = self.body.layout.last_inst(block) else {
                return false;
            };
            match &self.body.dfg.insts[last] {
                InstructionData::Jump { destination, .. } => {
                    block = destination.block(&self.body.dfg.value_lists);
                }
                data if data.opcode() == Opcode::Return => {
                    let returned = self.body.dfg.inst_args(last).first();
                    return returned.and_then(|value| self.constant(*value)) == Some(EXIT);
                }
                _ => return false,
            }
        }
        false
    }

    /// Follows a way and notes what it writes.
    fn way(&self, first: Block) -> Way {
        let dfg = &self.body.dfg;
        let mut way = Way {
            first,
            written: BTreeMap::new(),
            frames: 0,
            passed: BTreeMap::new(),
        };
        let mut next = Some(first);
        while let Some(block) = next.take() {
            for inst in self.body.layout.block_insts(block) {
                match &dfg.insts[inst] {
                    InstructionData::Store {
                        args: [value, to],
                        offset,
                        ..
                    } => {
                        let value = dfg.resolve_aliases(*value);
                        let value = way.given(value);
                        let to = self.address(*to, i64::from(i32::from(*offset)));
                        let to = to.map(|to| match to {
                            Address::Object(object, offset) => {
                                Address::Object(way.given(object), offset)
                            }
                            to => to,
                        });
                        if let Some(to) = to {
                            if to == state(offset_of!(NativeState<'_>, frames)) {
                                way.frames += self.added(value).unwrap_or(0);
                            }
                            way.written.insert(to, value);
                        }
                    }
                    InstructionData::Jump { destination, .. } => {
                        let to = destination.block(&dfg.value_lists);
                        let arguments = destination.args(&dfg.value_lists);
                        for (param, argument) in dfg.block_params(to).iter().zip(arguments) {
                            if let BlockArg::Value(value) = argument {
                                let value = dfg.resolve_aliases(value);
                                way.passed.insert(*param, way.given(value));
                            }
                        }
                        next = Some(to);
                    }
                    _ => {}
                }
            }
        }
        way
    }

    fn definition(&self, value: Value) -> Option<&InstructionData> {
        match self
            .body
            .dfg
            .value_def(self.body.dfg.resolve_aliases(value))
        {
            ValueDef::Result(inst, _) => Some(&self.body.dfg.insts[inst]),
            _ => None,
        }
    }

    fn constant(&self, value: Value) -> Option<i64> {
        match self.definition(value)? {
            InstructionData::UnaryImm {
                opcode: Opcode::Iconst,
                imm,
            } => Some((*imm).into()),
            _ => None,
        }
    }

    /// A constant and what it is added to, or joined with by `bor`.
    fn split(&self, value: Value) -> Option<(Value, i64)> {
        let InstructionData::Binary { opcode, args } = self.definition(value)? else {
            return None;
        };
        if !matches!(opcode, Opcode::Iadd | Opcode::Bor) {
            return None;
        }
        let [a, b] = *args;
        match (self.constant(a), self.constant(b)) {
            (_, Some(constant)) => Some((a, constant)),
            (Some(constant), _) => Some((b, constant)),
            _ => None,
        }
    }

    /// An address in the state or in the root's frame and those behind it.
    fn address(&self, value: Value, offset: i64) -> Option<Address> {
        let value = self.body.dfg.resolve_aliases(value);
        let params = self.body.dfg.block_params(self.entry());
        if value == params[0] {
            return Some(Address::State(offset));
        }
        if value == params[1] {
            return Some(Address::Frame(offset));
        }
        if let Some(object) = self.object(value) {
            return Some(Address::Object(object, offset));
        }
        let (base, constant) = self.split(value)?;
        self.address(base, offset + constant)
    }

    /// Whether a value is read from this field of the state.
    fn is_field(&self, value: Value, field: usize) -> bool {
        match self.definition(value) {
            Some(InstructionData::Load { arg, offset, .. }) => {
                self.address(*arg, i64::from(i32::from(*offset))) == Some(state(field))
            }
            _ => false,
        }
    }

    /// How many frames more a value says than the state.
    fn added(&self, value: Value) -> Option<i64> {
        let (before, constant) = self.split(value)?;
        self.is_field(before, offset_of!(NativeState<'_>, frames))
            .then_some(constant)
    }

    fn check(&self, way: &Way) -> Result<(), String> {
        let field = |offset: usize| way.written.get(&state(offset)).copied();
        let place = field(offset_of!(NativeState<'_>, exit_place));
        let mut frame = match place {
            None => match way.newest_header() {
                Some(header) => header + SLOT,
                None => return Err("it leaves without a word".to_owned()),
            },
            Some(place) => {
                let place = Some(place).filter(|place| self.is_defined(way, *place));
                let place = place.and_then(|place| self.constant(place));
                let place = place.and_then(|place| ExitPlace::unpack(place as u64));
                let place = place.ok_or("it does not say its place and why")?;
                let frame = field(offset_of!(NativeState<'_>, exit_fp));
                let frame = frame.filter(|frame| self.is_defined(way, *frame));
                let frame = frame.ok_or("it does not say where its frame is")?;
                let Some(Address::Frame(frame)) = self.address(frame, 0) else {
                    return Err("its frame is none of the body's".to_owned());
                };
                if self.is_way_in(way, place, frame) {
                    return Ok(());
                }
                self.check_newest(way, place, frame)?;
                frame
            }
        };
        let mut frames = 0;
        while frame != 0 {
            frame = self.check_caller(way, frame)?;
            frames += 1;
        }
        if frames != way.frames {
            return Err(format!("it adds {} frames and says {}", frames, way.frames));
        }
        Ok(())
    }

    /// Whether a way leaves where the body was entered: no loop and no write has come before it, and so all
    /// registers stand where they did. The gas is what it was: nothing is written and given back of it.
    fn is_way_in(&self, way: &Way, place: ExitPlace, frame: i64) -> bool {
        let gas = state(offset_of!(NativeState<'_>, gas));
        let mut writes = way.written.keys();
        let mut open = vec![way.first];
        let mut passed = BTreeSet::new();
        while let Some(block) = open.pop() {
            if !passed.insert(block) {
                continue;
            }
            let mut insts = self.body.layout.block_insts(block);
            let changes = |inst| match &self.body.dfg.insts[inst] {
                // Tests count exits that are not taken. And a buffer may say that it is touched where it is not.
                InstructionData::Store {
                    args: [value, to],
                    offset,
                    ..
                } => {
                    let is_touch = self.is_touch(*value, i32::from(*offset));
                    let to = self.address(*to, i64::from(i32::from(*offset)));
                    let is_elsewhere = is_touch && to.is_none();
                    !is_elsewhere && to != Some(state(offset_of!(NativeState<'_>, exits_left)))
                }
                other => other.opcode().can_store() || other.opcode().is_call(),
            };
            if block != way.first && insts.any(changes) {
                return false;
            }
            for (before, _) in self.before(block) {
                // A loop would go back somewhere.
                if self.order[before] >= self.order[&block] {
                    return false;
                }
                open.push(*before);
            }
        }
        let is_entry = self
            .place(place.function, place.pc)
            .is_ok_and(|(function, pc)| {
                let op = &self.program.function(function).code[pc as usize];
                pc == 0 || matches!(op, Op::Control(Control::Loop {}))
            });
        let is_own = match &self.body.name {
            UserFuncName::User(name) => name.index == place.function,
            UserFuncName::Testcase(_) => false,
        };
        is_entry
            && is_own
            && frame == 0
            && place.refund == 0
            && writes.all(|to| !matches!(to, Address::Frame(_)) && *to != gas)
    }

    /// Whether a store of a value at an offset says that a buffer outside the arena is touched.
    fn is_touch(&self, value: Value, offset: i32) -> bool {
        offset as usize == OutsideLayout::get().is_touched
            && self.body.dfg.value_type(value) == I8
            && self.constant(value) == Some(1)
    }

    fn check_newest(&self, way: &Way, place: ExitPlace, frame: i64) -> Result<(), String> {
        let field = |offset: usize| way.written.get(&state(offset)).copied();
        let body = field(offset_of!(NativeState<'_>, exit_body));
        body.filter(|body| self.is_defined(way, *body) && self.constant(*body).is_some())
            .ok_or("it does not say the body")?;
        let gas = field(offset_of!(NativeState<'_>, gas));
        gas.filter(|gas| self.is_defined(way, *gas))
            .ok_or("it does not say the gas")?;
        let (function, pc) = self.place(place.function, place.pc)?;
        for register in self.program.live(function).at(pc) {
            self.check_register(way, (function, frame), register)?;
        }
        Ok(())
    }

    /// Checks the header below a frame, and the frame it was called from; where that is.
    fn check_caller(&self, way: &Way, frame: i64) -> Result<i64, String> {
        let word = |offset: i64| way.written.get(&Address::Frame(offset)).copied();
        let (Some(place), Some(delta)) = (word(frame - SLOT), word(frame - HALF)) else {
            return Err(format!("the frame at {frame} has no header"));
        };
        if !self.is_defined(way, place) || !self.is_defined(way, delta) {
            return Err("a header is not defined on all paths".to_owned());
        }
        let place = self
            .constant(place)
            .ok_or("a caller's place is no constant")?;
        let (function, pc) = self.place((place >> 32) as u32, place as u32)?;
        let Some((program, delta)) = self.split(delta) else {
            return Err("a header says no distance".to_owned());
        };
        if !self.is_field(program, offset_of!(NativeState<'_>, program_bits)) {
            return Err("a header is of no program".to_owned());
        }
        let base = match &self.program.function(function).code[pc as usize] {
            Op::Function(Call::Call { window, .. }) => window.base,
            Op::Function(Call::CallClosure { window } | Call::Apply { window }) => window.base,
            other => return Err(format!("{other:?} at {pc} of {function} is no call")),
        };
        let caller = frame - delta * SLOT;
        if delta != i64::from(base) + 1 || caller < 0 {
            return Err(format!("{delta} is not the distance to the caller"));
        }
        let live = self.program.live(function).at(pc);
        for register in live.filter(|register| *register < base) {
            self.check_register(way, (function, caller), register)?;
        }
        Ok(caller)
    }

    fn place(&self, function: u32, pc: u32) -> Result<(u32, u32), String> {
        let functions = &self.program.program().functions;
        let found = functions.get(function as usize);
        match found.filter(|found| (pc as usize) < found.code.len()) {
            Some(_) => Ok((function, pc)),
            None => Err(format!("there is no place {pc} in {function}")),
        }
    }

    fn check_register(
        &self,
        way: &Way,
        (function, frame): (u32, i64),
        register: u16,
    ) -> Result<(), String> {
        let slot = frame + i64::from(register) * SLOT;
        let word = |offset: i64| way.written.get(&Address::Frame(offset)).copied();
        let (tag, bits) = (word(slot), word(slot + HALF));
        if frame == 0 && tag.is_none() && bits.is_none() && self.keeps(function, register) {
            return Ok(());
        }
        let (Some(tag), Some(bits)) = (tag, bits) else {
            return Err(format!(
                "r{register} of the frame at {frame} is not written"
            ));
        };
        if !self.is_defined(way, tag) || !self.is_defined(way, bits) {
            return Err(format!("r{register} is not defined on all paths"));
        }
        let known = self.constant(tag);
        self.check_value(way, (known, bits))
            .map_err(|fault| format!("r{register} {fault}"))
    }

    /// Whether a register of the frame that the body works on holds what it did when that was entered: the frame is of this
    /// function, which never gives the register a value.
    fn keeps(&self, function: u32, register: u16) -> bool {
        let is_own = match &self.body.name {
            UserFuncName::User(name) => name.index == function,
            UserFuncName::Testcase(_) => false,
        };
        let function = self.program.function(function);
        let mut is_written = function
            .handlers
            .iter()
            .any(|handler| handler.dst == register);
        for op in &function.code {
            op.accesses(|access| {
                is_written |= match access {
                    Access::Write(written) => written == register,
                    Access::Clobber(first) => first <= register,
                    Access::Read { .. } => false,
                }
            });
        }
        is_own && !is_written
    }

    /// Checks a value that is written: its tag, if that is a constant, its bits, and what they name.
    fn check_value(&self, way: &Way, (tag, bits): (Option<i64>, Value)) -> Result<(), String> {
        let bits = tag.map_or(bits, |tag| self.of_number(way, tag, bits));
        let is_float = self.body.dfg.value_type(bits) == F64
            || matches!(
                self.definition(bits),
                Some(InstructionData::LoadNoOffset {
                    opcode: Opcode::Bitcast,
                    ..
                })
            );
        match tag {
            Some(tag) if !is_tag(tag) => Err(format!("has the tag {tag}")),
            Some(tag) if is_float != (tag == Kind::Float as i64) => {
                Err("has the tag of another kind".to_owned())
            }
            None if is_float => Err("is a Float of any kind".to_owned()),
            _ => self.check_object(way, tag, bits),
        }
    }

    /// The bits of a value with this tag that are chosen by whether it is a Float: those of a number of either kind.
    fn of_number(&self, way: &Way, tag: i64, bits: Value) -> Value {
        let Some(InstructionData::Ternary {
            opcode: Opcode::Select,
            args: [test, float, int],
        }) = self.definition(bits)
        else {
            return bits;
        };
        let Some(InstructionData::IntCompare {
            cond: IntCC::Equal,
            args: [left, right],
            ..
        }) = self.definition(*test)
        else {
            return bits;
        };
        let given = |value| way.given(self.body.dfg.resolve_aliases(value));
        let float_tag = Kind::Float as i64;
        match (self.constant(given(*left)), self.constant(*right)) {
            (Some(left), Some(right)) if left == tag && right == float_tag => {
                given(if tag == float_tag { *float } else { *int })
            }
            _ => bits,
        }
    }

    /// Whether a value is defined on all paths to where it is written.
    fn is_defined(&self, way: &Way, value: Value) -> bool {
        if self.undefined.contains(&value) {
            return false;
        }
        let block = match self.body.dfg.value_def(value) {
            ValueDef::Result(inst, _) => self.body.layout.inst_block(inst),
            ValueDef::Param(block, _) => Some(block),
            ValueDef::Union(..) => None,
        };
        // Blocks on the way itself are passed by it.
        block.is_some_and(|block| self.is_passed(block, way.first) || self.is_on(way, block))
    }

    fn is_on(&self, way: &Way, wanted: Block) -> bool {
        let mut block = way.first;
        while block != wanted {
            let last = self.body.layout.last_inst(block);
            match last.map(|last| &self.body.dfg.insts[last]) {
                Some(InstructionData::Jump { destination, .. }) => {
                    block = destination.block(&self.body.dfg.value_lists);
                }
                _ => return false,
            }
        }
        true
    }
}

impl Way {
    /// Where the newest header that it has written stands.
    fn newest_header(&self) -> Option<i64> {
        // It is the one slot that holds a place and a program.
        self.written.keys().rev().find_map(|to| match to {
            Address::Frame(offset) if offset % SLOT == 0 => Some(*offset),
            _ => None,
        })
    }
}

fn state(offset: usize) -> Address {
    Address::State(offset as i64)
}

/// Whether a number is the tag of a value.
fn is_tag(tag: i64) -> bool {
    Kind::ALL
        .iter()
        .any(|kind| tag & !(CONSTANT as i64) == *kind as i64)
}

fn destinations(body: &Function, inst: Inst) -> &[cranelift_codegen::ir::BlockCall] {
    let dfg = &body.dfg;
    dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables)
}

mod objects;
mod paths;
#[cfg(test)]
mod tests;
