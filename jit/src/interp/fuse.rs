//! Fusing: sequences of instructions that one internal instruction does.
//!
//! A sequence is fused only within a block and only where the values between its parts are dead behind
//! it, so that nothing is lost by not writing them. Its last part may leave the block. A fused
//! instruction that cannot do all of its parts does none that could be seen, and the reference
//! interpreter begins at the first. Which sequences: those that ran most often in the kernels of
//! `benches/peers`.

use pw_isa::Function;
use pw_isa::op::{Arith, Control, Data, Function as Call, Op};
use pw_isa::operand::{Def, Use};
use pw_isa::verify::LiveTable;

use super::branches::{branch_on, compare_with_number, compare_with_value};
use super::form::{Code, Instruction, halves};
use super::rewrite::{Rewriter, instruction, slot, three};

/// What is known about a function while its sequences are fused.
pub(super) struct Fuser<'a> {
    pub(super) rewriter: &'a Rewriter<'a>,
    pub(super) source: &'a Function,
    pub(super) live: &'a LiveTable,
    /// Where blocks begin.
    pub(super) leaders: &'a [bool],
}

impl Fuser<'_> {
    /// Replaces instructions by fused ones where a sequence starts that can be fused.
    pub(super) fn fuse_all(&self, code: &mut [Instruction]) {
        let single = code.to_vec();
        for (pc, instruction) in code.iter_mut().enumerate() {
            if let Some(fused) = self.fuse(pc, &single) {
                *instruction = Instruction {
                    rest: instruction.rest,
                    ..fused
                };
            }
        }
        self.fuse_loops(code);
        self.fuse_elements(code);
        self.fuse_steps(code);
        self.fuse_jumps(code);
    }

    /// The instruction `parts - 1` behind `pc`, if all of them belong to one block.
    pub(super) fn part(&self, pc: usize, parts: usize) -> Option<Op> {
        let place = pc + parts - 1;
        let inside =
            place < self.source.code.len() && !self.leaders[pc + 1..=place].contains(&true);
        inside.then(|| self.source.code[place])
    }

    /// Whether a register's value is not needed at any of these pcs.
    pub(super) fn is_dead(&self, register: u16, pcs: &[usize]) -> bool {
        let count = self.source.code.len();
        pcs.iter()
            .all(|pc| *pc < count && !self.live.is_live(*pc as u32, register))
    }

    fn fuse(&self, pc: usize, single: &[Instruction]) -> Option<Instruction> {
        let second = self.part(pc, 2)?;
        match self.source.code[pc] {
            Op::Data(Data::Int { dst, value }) => {
                let number = i32::try_from(value.0).ok()?;
                self.number(pc, dst, number, second, single)
                    .or_else(|| self.default_int(pc, dst, number, single))
                    .or_else(|| self.sum_in_cell(pc))
            }
            Op::Data(
                Data::Nil { dst }
                | Data::Bool { dst, .. }
                | Data::Float { dst, .. }
                | Data::Const { dst, .. },
            ) => {
                let place = single[pc].imm;
                self.value(pc, dst, place, second)
                    .or_else(|| self.key_or_default(pc, dst, place, single))
            }
            Op::Data(Data::Move { dst, src }) => self.moves(dst, src, second, single[pc + 1]),
            Op::Function(Call::Capture {
                dst,
                closure,
                index,
            }) => match second {
                Op::Function(Call::Capture {
                    dst: last,
                    closure: again,
                    index: next,
                }) if again.0 == closure.0 && dst.0 != closure.0 && next.0 == index.0 + 1 => {
                    Some(Instruction {
                        code: Code::CaptureTwo,
                        c: slot(last.0),
                        imm: next.0 as i32,
                        ..single[pc]
                    })
                }
                _ => None,
            },
            Op::Function(Call::CellGet { .. }) => self.sum_in_cell(pc),
            Op::Data(Data::VectorRef { dst, vector, index }) => match second {
                Op::Data(Data::VectorRef {
                    dst: last,
                    vector: inner,
                    index: place,
                }) if inner.0 == dst.0 && place.0 != dst.0 => {
                    let dead = last.0 == dst.0 || self.is_dead(dst.0, &[pc + 2]);
                    dead.then(|| Instruction {
                        imm: i32::from(slot(place.0)),
                        ..three(Code::VectorRefTwice, last, vector, index)
                    })
                }
                Op::Arith(op) => self.element_operand(pc, dst, (vector, index), op),
                _ => self.element(pc, dst, (vector, index), second),
            },
            Op::Compare(_) | Op::Text(_) => self.test(pc, second),
            Op::Data(Data::VectorLength { dst, vector }) => self.length(pc, dst, vector, second),
            Op::Arith(op) => self.arith(pc, op, second),
            _ => None,
        }
    }

    /// `int t number` and what reads `t` last.
    fn number(
        &self,
        pc: usize,
        t: Def,
        number: i32,
        second: Op,
        single: &[Instruction],
    ) -> Option<Instruction> {
        let is_last = |dst: Option<Def>, parts: usize| {
            dst.is_some_and(|dst| dst.0 == t.0) || self.is_dead(t.0, &[pc + parts])
        };
        match second {
            Op::Arith(op) => {
                let (code, dst, a, imm) = arith_with_number(op, t, number)?;
                if a.0 == t.0 || !is_last(Some(dst), 2) {
                    return None;
                }
                let alone = instruction(code, slot(dst.0), slot(a.0), 0, imm);
                if code != Code::AddImm {
                    return Some(alone);
                }
                let longer = self
                    .part(pc, 3)
                    .and_then(|third| self.sum(pc, alone, (t, dst), third, single));
                Some(longer.unwrap_or(alone))
            }
            Op::Compare(op) => {
                let (code, dst, a) = compare_with_number(op, t)?;
                let branch = branch_on(pc, code, self.part(pc, 3)?, dst, 3)?;
                let dead = self.is_dead(t.0, &branch.ways) && self.is_dead(dst.0, &branch.ways);
                let fused = instruction(branch.code, slot(a.0), 0, 0, branch.target);
                (dead && a.0 != t.0).then(|| fused.with_number(number))
            }
            Op::Data(Data::VectorRef { dst, vector, index }) if index.0 == t.0 => (vector.0 != t.0
                && is_last(Some(dst), 2))
            .then(|| instruction(Code::VectorRefAt, slot(dst.0), slot(vector.0), 0, number)),
            Op::Data(Data::VectorSet {
                vector,
                index,
                value,
            }) if index.0 == t.0 => (vector.0 != t.0 && value.0 != t.0 && is_last(None, 2))
                .then(|| instruction(Code::VectorSetAt, slot(vector.0), 0, slot(value.0), number)),
            Op::Control(Control::Return { value }) if value.0 == t.0 => {
                Some(instruction(Code::ReturnInt, slot(t.0), 0, 0, number))
            }
            _ => None,
        }
    }

    /// `int t n`, `add dst a t`, and what reads `dst` last.
    fn sum(
        &self,
        pc: usize,
        alone: Instruction,
        (t, dst): (Def, Def),
        third: Op,
        single: &[Instruction],
    ) -> Option<Instruction> {
        let is_last = |last: Def| {
            let dead = |register: u16| register == last.0 || self.is_dead(register, &[pc + 3]);
            dead(t.0) && dead(dst.0)
        };
        match third {
            Op::Data(Data::Move { dst: last, src }) if src.0 == dst.0 && is_last(last) => {
                Some(Instruction {
                    code: Code::AddImmMove,
                    a: slot(last.0),
                    ..alone
                })
            }
            Op::Data(Data::VectorRef {
                dst: last,
                vector,
                index,
            }) if index.0 == dst.0 && vector.0 != dst.0 && vector.0 != t.0 && is_last(last) => {
                Some(instruction(
                    Code::VectorRefOffset,
                    slot(last.0),
                    slot(vector.0),
                    alone.b,
                    alone.imm,
                ))
            }
            Op::Function(Call::Call { window, .. }) => {
                let call = single[pc + 2];
                let is_argument = window.args > 0 && dst.0 == window.base + window.args;
                let imm = i16::try_from(alone.imm).ok()?;
                // Doing the sum again must give the same.
                let again = alone.b != slot(dst.0);
                let dead = t.0 >= window.base || self.is_dead(t.0, &[pc + 3]);
                (call.code == Code::Call && is_argument && again && dead).then_some(Instruction {
                    code: Code::CallAddImm,
                    b: alone.b,
                    c: imm as u16,
                    ..call
                })
            }
            _ => None,
        }
    }

    /// A constant and what reads it last; `place` is its entry among the program's values.
    fn value(&self, pc: usize, t: Def, place: i32, second: Op) -> Option<Instruction> {
        match second {
            Op::Arith(op) => {
                let (code, dst, a) = arith_with_value(op, t)?;
                let is_last = dst.0 == t.0 || self.is_dead(t.0, &[pc + 2]);
                (a.0 != t.0 && is_last).then(|| instruction(code, slot(dst.0), slot(a.0), 0, place))
            }
            Op::Data(Data::VectorSet {
                vector,
                index,
                value,
            }) if value.0 == t.0 => {
                let other = vector.0 != t.0 && index.0 != t.0;
                (other && self.is_dead(t.0, &[pc + 2])).then(|| {
                    instruction(
                        Code::VectorSetValue,
                        slot(vector.0),
                        slot(index.0),
                        0,
                        place,
                    )
                })
            }
            Op::Compare(op) => {
                let (code, dst, a) = compare_with_value(op, t)?;
                let branch = branch_on(pc, code, self.part(pc, 3)?, dst, 3)?;
                let place = u16::try_from(place).ok()?;
                let is_float = matches!(self.source.code[pc], Op::Data(Data::Float { .. }));
                let dead = self.is_dead(t.0, &branch.ways) && self.is_dead(dst.0, &branch.ways);
                (is_float && dead && a.0 != t.0)
                    .then(|| instruction(branch.code, slot(a.0), 0, place, branch.target))
            }
            Op::Control(Control::Return { value }) if value.0 == t.0 => {
                Some(instruction(Code::ReturnValue, slot(t.0), 0, 0, place))
            }
            _ => None,
        }
    }

    /// A move and another, or a call whose last argument it is.
    fn moves(&self, dst: Def, src: Use, second: Op, call: Instruction) -> Option<Instruction> {
        match second {
            Op::Data(Data::Move { dst: d, src: s }) => Some(instruction(
                Code::MoveMove,
                slot(dst.0),
                slot(src.0),
                slot(d.0),
                i32::from(slot(s.0)),
            )),
            Op::Function(Call::Call { window, .. })
                if call.code == Code::Call
                    && window.args > 0
                    && dst.0 == window.base + window.args =>
            {
                Some(Instruction {
                    code: Code::CallMove,
                    b: slot(src.0),
                    c: slot(dst.0),
                    ..call
                })
            }
            Op::Function(Call::CallClosure { window }) if dst.0 == window.base + window.args => {
                Some(Instruction {
                    code: Code::CallClosureMove,
                    c: slot(src.0),
                    ..call
                })
            }
            _ => None,
        }
    }

    /// A sum with what is in a cell, which it replaces: of that with a register, or with a number that
    /// is loaded before the cell is read or behind it.
    fn sum_in_cell(&self, pc: usize) -> Option<Instruction> {
        let mut parts = (1..).map_while(|parts| self.part(pc, parts));
        let mut number = None;
        let mut value = None;
        // The sum comes third at last.
        let sum = loop {
            match parts.next()? {
                Op::Data(Data::Int { dst, value }) if number.is_none() => {
                    number = Some((dst, i32::try_from(value.0).ok()?));
                }
                Op::Function(Call::CellGet { dst, cell }) if value.is_none() => {
                    value = Some((dst, cell));
                }
                Op::Arith(op) => break op,
                _ => return None,
            }
        };
        let (value, cell) = value?;
        let (code, dst, b, imm) = match (number, sum) {
            (Some((t, number)), op) if t.0 != value.0 && t.0 != cell.0 => {
                let (code, dst, a, imm) = match op {
                    Arith::Add { dst, a, b } if a.0 == t.0 => (Code::AddImm, dst, b, number),
                    _ => arith_with_number(op, t, number)?,
                };
                (code == Code::AddImm && a.0 == value.0).then_some((
                    Code::CellAddImm,
                    dst,
                    0,
                    imm,
                ))?
            }
            (None, Arith::Add { dst, a, b }) => {
                let other = match (a.0 == value.0, b.0 == value.0) {
                    (true, false) => b,
                    (false, true) => a,
                    _ => return None,
                };
                (Code::CellAdd, dst, slot(other.0), 0)
            }
            _ => return None,
        };
        let last = parts.next()?;
        let behind = pc + if number.is_some() { 4 } else { 3 };
        let replaces = matches!(last, Op::Function(Call::CellSet { cell: to, value })
            if to.0 == cell.0 && value.0 == dst.0);
        let is_dead = |register: u16| self.is_dead(register, &[behind]);
        let leaves_nothing = is_dead(value.0)
            && is_dead(dst.0)
            && number.is_none_or(|(t, _)| is_dead(t.0))
            && value.0 != cell.0
            && dst.0 != cell.0;
        (replaces && leaves_nothing).then(|| instruction(code, slot(cell.0), b, 0, imm))
    }

    /// An operation and what reads its result last.
    fn arith(&self, pc: usize, op: Arith, second: Op) -> Option<Instruction> {
        let is_last = |dst: Def, last: Def| last.0 == dst.0 || self.is_dead(dst.0, &[pc + 2]);
        if let Op::Data(Data::Move { dst: last, src }) = second {
            let (code, dst, a, b) = match op {
                Arith::Add { dst, a, b } => (Code::AddMove, dst, a, b),
                Arith::Sub { dst, a, b } => (Code::SubMove, dst, a, b),
                Arith::Mul { dst, a, b } => (Code::MulMove, dst, a, b),
                _ => return None,
            };
            return (src.0 == dst.0 && is_last(dst, last)).then(|| three(code, last, a, b));
        }
        match (op, second) {
            (Arith::Add { dst, a, b }, Op::Control(Control::Return { value }))
                if value.0 == dst.0 =>
            {
                Some(three(Code::AddReturn, dst, a, b))
            }
            (
                Arith::Mul { dst, a, b },
                Op::Arith(Arith::Add {
                    dst: last,
                    a: left,
                    b: right,
                }),
            ) if is_last(dst, last) => {
                let addend = match (left.0 == dst.0, right.0 == dst.0) {
                    (true, false) => right,
                    (false, true) => left,
                    _ => return None,
                };
                Some(Instruction {
                    imm: i32::from(slot(addend.0)),
                    ..three(Code::MulAdd, last, a, b)
                })
            }
            _ => None,
        }
    }

    /// An element of a vector, and the sum, or the product and sum, that is the only one to read it.
    fn element_operand(
        &self,
        pc: usize,
        t: Def,
        (vector, index): (Use, Use),
        op: Arith,
    ) -> Option<Instruction> {
        let other = |a: Use, b: Use, dst: Def| match (a.0 == dst.0, b.0 == dst.0) {
            (true, false) => Some(slot(b.0)),
            (false, true) => Some(slot(a.0)),
            _ => None,
        };
        let is_last = |dst: Def, last: Def, parts: usize| {
            last.0 == dst.0 || self.is_dead(dst.0, &[pc + parts])
        };
        let (code, last, imm) = match op {
            Arith::Add { dst, a, b } if is_last(t, dst, 2) => {
                (Code::AddElement, dst, i32::from(other(a, b, t)?))
            }
            Arith::Mul { dst, a, b } => {
                let Op::Arith(Arith::Add {
                    dst: last,
                    a: left,
                    b: right,
                }) = self.part(pc, 3)?
                else {
                    return None;
                };
                let (factor, addend) = (other(a, b, t)?, other(left, right, dst)?);
                let is_free = |dst: Def| is_last(dst, last, 3) && addend != slot(dst.0);
                // What is added is read behind the product.
                (is_free(t) && is_free(dst)).then_some(())?;
                (Code::MulAddElement, last, halves(factor, addend))
            }
            _ => return None,
        };
        Some(Instruction {
            imm,
            ..three(code, last, vector, index)
        })
    }

    /// A sum with a number is done with the element of a vector behind it, also where that is done with more.
    fn fuse_elements(&self, code: &mut [Instruction]) {
        for pc in 0..code.len() {
            let first = code[pc];
            // Doing the sum again must give the same.
            let again = first.code == Code::AddImm && first.a != first.b;
            if again && self.part(pc, 3).is_some() {
                let fused = code[pc + 2].code.behind_sum();
                code[pc].code = fused.unwrap_or(Code::AddImm);
            }
        }
    }

    /// Loops that begin with a test do it at once, and so do the jumps back to them.
    fn fuse_loops(&self, code: &mut [Instruction]) {
        for pc in 0..code.len() {
            if code[pc].code == Code::Loop
                && self.part(pc, 2).is_some()
                && let Some(fused) = code[pc + 1].code.with_loop()
            {
                code[pc].code = fused;
            }
        }
        for pc in 0..code.len() {
            if code[pc].code == Code::Jump {
                let target = code[code[pc].imm as usize].code;
                if target.is_loop() {
                    code[pc].code = target.again().unwrap_or(Code::JumpLoop);
                }
            }
        }
    }

    /// A move before the jump back to a loop is done with it, and so is adding a number to a register.
    fn fuse_jumps(&self, code: &mut [Instruction]) {
        for pc in 0..code.len() {
            let first = code[pc];
            let parts = match first.code {
                Code::Move => 2,
                Code::AddImm => 3,
                _ => continue,
            };
            if self.part(pc, parts).is_none() {
                continue;
            }
            let jump = code[pc + parts - 1];
            let number = i16::try_from(first.imm).ok().filter(|_| first.a == first.b);
            let fused = match (first.code, number) {
                (Code::Move, _) => jump.code.with_move().map(|code| (code, 0)),
                (_, Some(number)) => jump.code.with_sum().map(|code| (code, number as u16)),
                _ => None,
            };
            if let Some((fused, c)) = fused {
                code[pc] = Instruction {
                    code: fused,
                    c,
                    imm: jump.imm,
                    ..first
                };
            }
        }
    }
}

/// The form of an operation whose second operand is a number in the instruction. A difference is a sum.
fn arith_with_number(op: Arith, number: Def, imm: i32) -> Option<(Code, Def, Use, i32)> {
    let (code, dst, a, b) = match op {
        Arith::Add { dst, a, b } => (Code::AddImm, dst, a, b),
        // Subtracting 0 is not adding it: -0.0 keeps its sign.
        Arith::Sub { dst, a, b } if imm != 0 && imm != i32::MIN => {
            return (b.0 == number.0).then_some((Code::AddImm, dst, a, -imm));
        }
        Arith::Mul { dst, a, b } => (Code::MulImm, dst, a, b),
        Arith::Quot { dst, a, b } | Arith::Div { dst, a, b } if imm > 0 => {
            (Code::QuotImm, dst, a, b)
        }
        Arith::Rem { dst, a, b } if imm > 0 => (Code::RemImm, dst, a, b),
        Arith::Mod { dst, a, b } if imm > 0 => (Code::ModImm, dst, a, b),
        Arith::BitAnd { dst, a, b } => (Code::BitAndImm, dst, a, b),
        Arith::BitOr { dst, a, b } => (Code::BitOrImm, dst, a, b),
        Arith::BitXor { dst, a, b } => (Code::BitXorImm, dst, a, b),
        Arith::WrapAdd { dst, a, b } => (Code::WrapAddImm, dst, a, b),
        Arith::WrapMul { dst, a, b } => (Code::WrapMulImm, dst, a, b),
        Arith::Shl { dst, a, b } => (Code::ShlImm, dst, a, b),
        Arith::Shr { dst, a, b } => (Code::ShrImm, dst, a, b),
        Arith::Ushr { dst, a, b } => (Code::UshrImm, dst, a, b),
        _ => return None,
    };
    (b.0 == number.0).then_some((code, dst, a, imm))
}

/// The form of an operation whose second operand is a constant. The sum and product of two numbers are
/// the same in either order, as far as can be observed.
fn arith_with_value(op: Arith, t: Def) -> Option<(Code, Def, Use)> {
    match op {
        Arith::Add { dst, a, b } if b.0 == t.0 => Some((Code::AddValue, dst, a)),
        Arith::Add { dst, a, b } if a.0 == t.0 => Some((Code::AddValue, dst, b)),
        Arith::Mul { dst, a, b } if b.0 == t.0 => Some((Code::MulValue, dst, a)),
        Arith::Mul { dst, a, b } if a.0 == t.0 => Some((Code::MulValue, dst, b)),
        Arith::Sub { dst, a, b } if b.0 == t.0 => Some((Code::SubValue, dst, a)),
        Arith::Div { dst, a, b } if b.0 == t.0 => Some((Code::DivValue, dst, a)),
        _ => None,
    }
}
