//! Fusing tests with the branches on them.

use pw_isa::op::{Compare, Control, Op, Text};
use pw_isa::operand::{Def, Use};

use super::form::{Code, Instruction};
use super::fuse::Fuser;
use super::rewrite::{instruction, slot};

impl Fuser<'_> {
    /// A comparison and a branch that is the only one to read its result.
    pub(super) fn test(&self, pc: usize, second: Op) -> Option<Instruction> {
        let (code, dst, a, c) = match self.source.code[pc] {
            Op::Compare(Compare::Lt { dst, a, b }) => (Code::BranchLt, dst, a, slot(b.0)),
            Op::Compare(Compare::Le { dst, a, b }) => (Code::BranchLe, dst, a, slot(b.0)),
            Op::Compare(Compare::Gt { dst, a, b }) => (Code::BranchGt, dst, a, slot(b.0)),
            Op::Compare(Compare::Ge { dst, a, b }) => (Code::BranchGe, dst, a, slot(b.0)),
            Op::Compare(Compare::NumEq { dst, a, b }) => (Code::BranchNumEq, dst, a, slot(b.0)),
            Op::Compare(Compare::NumNe { dst, a, b }) => (Code::BranchNumNe, dst, a, slot(b.0)),
            Op::Compare(Compare::Eq { dst, a, b }) => (Code::BranchEq, dst, a, slot(b.0)),
            Op::Compare(Compare::Is { dst, a, kinds }) => {
                (Code::BranchIs, dst, a, kinds.0.0 as u16)
            }
            Op::Compare(Compare::Not { dst, a }) => return self.not(pc, dst, a, second),
            Op::Compare(Compare::Equal { dst, a, b }) => (Code::BranchEqual, dst, a, slot(b.0)),
            Op::Text(Text::StringEq { dst, a, b }) => (Code::BranchStringEq, dst, a, slot(b.0)),
            Op::Text(Text::StringLt { dst, a, b }) => (Code::BranchStringLt, dst, a, slot(b.0)),
            _ => return None,
        };
        let branch = branch_on(pc, code, second, dst, 2)?;
        let dead = self.is_dead(dst.0, &branch.ways);
        dead.then(|| instruction(branch.code, slot(a.0), 0, c, branch.target))
    }

    /// The length of a vector, a comparison with it and a branch, the only ones to read what they give.
    pub(super) fn length(&self, pc: usize, t: Def, vector: Use, second: Op) -> Option<Instruction> {
        let Op::Compare(op) = second else {
            return None;
        };
        let (code, dst, a) = compare_with_length(op, t)?;
        let branch = branch_on(pc, code, self.part(pc, 3)?, dst, 3)?;
        let dead = self.is_dead(t.0, &branch.ways) && self.is_dead(dst.0, &branch.ways);
        (dead && a.0 != t.0)
            .then(|| instruction(branch.code, slot(a.0), 0, slot(vector.0), branch.target))
    }

    /// An element of a vector, a comparison with it and a branch, the only ones to read what they give; or the
    /// branch on the element itself.
    pub(super) fn element(
        &self,
        pc: usize,
        t: Def,
        (vector, index): (Use, Use),
        second: Op,
    ) -> Option<Instruction> {
        let (branch, other) = match second {
            Op::Compare(op) => {
                let (code, dst, other) = compare_with_element(op, t)?;
                let branch = branch_on(pc, code, self.part(pc, 3)?, dst, 3)?;
                self.is_dead(dst.0, &branch.ways)
                    .then_some((branch, slot(other.0)))?
            }
            _ => (branch_on(pc, Code::BranchElement, second, t, 2)?, 0),
        };
        self.is_dead(t.0, &branch.ways).then(|| {
            instruction(
                branch.code,
                other,
                slot(vector.0),
                slot(index.0),
                branch.target,
            )
        })
    }

    /// `not` and the branch on it.
    fn not(&self, pc: usize, dst: Def, a: Use, second: Op) -> Option<Instruction> {
        let (code, test, to) = match second {
            Op::Control(Control::BranchIf { test, to }) => (Code::BranchUnless, test, to.0),
            Op::Control(Control::BranchUnless { test, to }) => (Code::BranchIf, test, to.0),
            _ => return None,
        };
        let dead = self.is_dead(dst.0, &[to as usize, pc + 2]);
        // The branch alone is one instruction shorter: it must skip its second part.
        (test.0 == dst.0 && dead).then(|| instruction(code, slot(a.0), 1, 0, to as i32))
    }
}

/// A test and the branch on it.
pub(super) struct Branch {
    pub(super) code: Code,
    pub(super) target: i32,
    /// Where it can go on.
    pub(super) ways: [usize; 2],
}

/// The fused form of the sequence of `parts` instructions at `pc` whose last is `branch`, if that is a branch
/// on this register.
pub(super) fn branch_on(
    pc: usize,
    code: Code,
    branch: Op,
    test_register: Def,
    parts: usize,
) -> Option<Branch> {
    let (code, test, to) = match branch {
        Op::Control(Control::BranchIf { test, to }) => (code.if_it_holds()?, test, to),
        Op::Control(Control::BranchUnless { test, to }) => (code, test, to),
        _ => return None,
    };
    (test.0 == test_register.0).then(|| Branch {
        code,
        target: to.0 as i32,
        ways: [to.0 as usize, pc + parts],
    })
}

/// The branching form of a comparison whose second operand is a number in the instruction.
pub(super) fn compare_with_number(op: Compare, number: Def) -> Option<(Code, Def, Use)> {
    let (code, dst, a, b) = match op {
        Compare::Lt { dst, a, b } => (Code::BranchLtImm, dst, a, b),
        Compare::Le { dst, a, b } => (Code::BranchLeImm, dst, a, b),
        Compare::Gt { dst, a, b } => (Code::BranchGtImm, dst, a, b),
        Compare::Ge { dst, a, b } => (Code::BranchGeImm, dst, a, b),
        Compare::NumEq { dst, a, b } => (Code::BranchNumEqImm, dst, a, b),
        Compare::NumNe { dst, a, b } => (Code::BranchNumNeImm, dst, a, b),
        _ => return None,
    };
    (b.0 == number.0).then_some((code, dst, a))
}

/// The branching form of a comparison whose second operand is a Float among the program's values.
pub(super) fn compare_with_value(op: Compare, t: Def) -> Option<(Code, Def, Use)> {
    let (code, dst, a, b) = match op {
        Compare::Lt { dst, a, b } => (Code::BranchLtValue, dst, a, b),
        Compare::Le { dst, a, b } => (Code::BranchLeValue, dst, a, b),
        Compare::Gt { dst, a, b } => (Code::BranchGtValue, dst, a, b),
        Compare::Ge { dst, a, b } => (Code::BranchGeValue, dst, a, b),
        _ => return None,
    };
    (b.0 == t.0).then_some((code, dst, a))
}

/// The branching form of a comparison with the length of a vector, which may stand on either side.
fn compare_with_length(op: Compare, t: Def) -> Option<(Code, Def, Use)> {
    match op {
        Compare::Lt { dst, a, b } if b.0 == t.0 => Some((Code::BranchLtLength, dst, a)),
        Compare::Gt { dst, a, b } if a.0 == t.0 => Some((Code::BranchLtLength, dst, b)),
        Compare::Ge { dst, a, b } if b.0 == t.0 => Some((Code::BranchGeLength, dst, a)),
        Compare::Le { dst, a, b } if a.0 == t.0 => Some((Code::BranchGeLength, dst, b)),
        Compare::NumEq { dst, a, b } if b.0 == t.0 => Some((Code::BranchNumEqLength, dst, a)),
        Compare::NumEq { dst, a, b } if a.0 == t.0 => Some((Code::BranchNumEqLength, dst, b)),
        _ => None,
    }
}

/// The branching form of a comparison of an element of a vector, which may stand on either side, and a register.
fn compare_with_element(op: Compare, t: Def) -> Option<(Code, Def, Use)> {
    let (code, mirrored, dst, a, b) = match op {
        Compare::Lt { dst, a, b } => (Code::BranchLtElement, Code::BranchGtElement, dst, a, b),
        Compare::Le { dst, a, b } => (Code::BranchLeElement, Code::BranchGeElement, dst, a, b),
        Compare::Gt { dst, a, b } => (Code::BranchGtElement, Code::BranchLtElement, dst, a, b),
        Compare::Ge { dst, a, b } => (Code::BranchGeElement, Code::BranchLeElement, dst, a, b),
        Compare::NumEq { dst, a, b } => (
            Code::BranchNumEqElement,
            Code::BranchNumEqElement,
            dst,
            a,
            b,
        ),
        Compare::NumNe { dst, a, b } => (
            Code::BranchNumNeElement,
            Code::BranchNumNeElement,
            dst,
            a,
            b,
        ),
        _ => return None,
    };
    match (a.0 == t.0, b.0 == t.0) {
        (true, false) => Some((code, dst, b)),
        (false, true) => Some((mirrored, dst, a)),
        _ => None,
    }
}
