//! Rewriting what is known about keys of maps, defaults and operands of `eq?` because they are
//! constants.

use pw_isa::Kind;
use pw_isa::op::{Access, Capability, Compare, Data, Op};
use pw_isa::operand::Def;

use super::branches::branch_on;
use super::compare::SAME_FREE_BYTES;
use super::form::{Code, Instruction, halves};
use super::fuse::Fuser;
use super::rewrite::{instruction, slot};

impl Fuser<'_> {
    /// Tells instructions that look for keys which constant the key is, where that shows; and those that ask about
    /// capabilities which Symbol names it.
    pub(super) fn hint_keys(&self, code: &mut [Instruction]) {
        for pc in 0..code.len() {
            let (key, shift) = match self.source.code[pc] {
                Op::Capability(Capability::HasCapability { capability, .. }) => {
                    let place = self.constant_in(capability.0, pc, code);
                    let values = &self.rewriter.values;
                    let is_name = |place: &u16| values[usize::from(*place)].kind() == Kind::Symbol;
                    code[pc].imm = place.filter(is_name).map_or(0, i32::from);
                    continue;
                }
                Op::Data(Data::MapGet { key, .. }) => (key, 16),
                Op::Data(
                    Data::MapSet { key, .. }
                    | Data::MapHas { key, .. }
                    | Data::MapDelete { key, .. },
                ) => (key, 0),
                _ => continue,
            };
            let place = self.constant_in(key.0, pc, code).unwrap_or(0);
            code[pc].imm |= i32::from(place) << shift;
        }
    }

    /// The entry of the program's values that a register holds before `pc`, when it was written in the
    /// same block and takes no work as a key.
    fn constant_in(&self, register: u16, pc: usize, code: &[Instruction]) -> Option<u16> {
        let block = (0..=pc).rev().find(|pc| self.leaders[*pc])?;
        let writer = (block..pc).rev().find(|pc| {
            let mut writes = false;
            self.source.code[*pc].accesses(|access| writes |= access == Access::Write(register));
            writes
        })?;
        let is_value = code[writer].code == Code::Value;
        is_value.then(|| self.without_work(code[writer].imm))?
    }

    /// An entry of the program's values, if it takes no gas as a key of a map and none to be compared by
    /// `eq?`.
    fn without_work(&self, place: i32) -> Option<u16> {
        let value = self.rewriter.values[place as usize];
        let is_free = match value.kind() {
            Kind::Nil | Kind::Bool | Kind::Int => true,
            Kind::String | Kind::Symbol => value.constant_place().is_some_and(|(_, offset)| {
                let constants = &self.rewriter.program.constants;
                u64::from(constants.text_length(u64::from(offset))) < SAME_FREE_BYTES
            }),
            _ => false,
        };
        u16::try_from(place).ok().filter(|_| is_free)
    }

    /// Whether an entry of the program's values is the same as another value that is a constant only if it stands where
    /// that does.
    fn is_told_by_place(&self, place: u16) -> bool {
        let value = self.rewriter.values[usize::from(place)];
        let program = self.rewriter.program;
        let offset = value.constant_place();
        offset.is_none_or(|(_, offset)| program.is_told_by_place(offset))
    }

    /// `int t number` and a lookup whose default it is.
    pub(super) fn default_int(
        &self,
        pc: usize,
        t: Def,
        number: i32,
        single: &[Instruction],
    ) -> Option<Instruction> {
        let number = i16::try_from(number).ok()?;
        self.default(pc, t, Code::MapGetOrInt, number as u16, single)
    }

    /// A lookup whose default was just put into `t`.
    fn default(
        &self,
        pc: usize,
        t: Def,
        code: Code,
        content: u16,
        single: &[Instruction],
    ) -> Option<Instruction> {
        let Op::Data(Data::MapGet {
            dst,
            map,
            key,
            default,
        }) = self.part(pc, 2)?
        else {
            return None;
        };
        let is_last = dst.0 == t.0 || self.is_dead(t.0, &[pc + 2]);
        (default.0 == t.0 && map.0 != t.0 && key.0 != t.0 && is_last).then(|| Instruction {
            code,
            imm: halves(content, single[pc + 1].high()),
            ..single[pc + 1]
        })
    }

    /// A constant in `t` that is looked up, the default of a lookup, or compared with.
    pub(super) fn key_or_default(
        &self,
        pc: usize,
        t: Def,
        place: i32,
        single: &[Instruction],
    ) -> Option<Instruction> {
        match self.part(pc, 2)? {
            Op::Data(Data::MapGet { .. }) => {
                let place = u16::try_from(place).ok()?;
                self.default(pc, t, Code::MapGetOr, place, single)
            }
            Op::Data(_) if single[pc + 1].code == Code::Value => self.key(pc, t, single),
            Op::Compare(Compare::Eq { dst, a, b }) => {
                let other = match (a.0 == t.0, b.0 == t.0) {
                    (true, false) => b,
                    (false, true) => a,
                    _ => return None,
                };
                let place = self.without_work(place)?;
                if !self.is_told_by_place(place) {
                    return None;
                }
                let branch = branch_on(pc, Code::BranchEqValue, self.part(pc, 3)?, dst, 3)?;
                let dead = self.is_dead(t.0, &branch.ways) && self.is_dead(dst.0, &branch.ways);
                dead.then(|| instruction(branch.code, slot(other.0), 0, place, branch.target))
            }
            _ => None,
        }
    }

    /// A key in `t`, a default and the lookup that reads both.
    fn key(&self, pc: usize, t: Def, single: &[Instruction]) -> Option<Instruction> {
        let Op::Data(Data::MapGet {
            dst,
            map,
            key,
            default,
        }) = self.part(pc, 3)?
        else {
            return None;
        };
        let (hint, default_slot) = (single[pc + 2].high(), single[pc + 1].a);
        let is_last = |register: u16| register == dst.0 || self.is_dead(register, &[pc + 3]);
        let fits = key.0 == t.0
            && slot(default.0) == default_slot
            && default.0 != t.0
            && map.0 != t.0
            && map.0 != default.0
            && is_last(t.0)
            && is_last(default.0)
            && i32::from(hint) == single[pc].imm;
        let place = u16::try_from(single[pc + 1].imm).ok()?;
        fits.then(|| Instruction {
            code: Code::MapGetValue,
            imm: halves(place, hint),
            ..single[pc + 2]
        })
    }
}
