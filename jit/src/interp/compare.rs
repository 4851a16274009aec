//! Comparisons, alone and fused with a branch. Numbers of one kind only: mixed ones are rare, and
//! comparing them exactly is the reference interpreter's.

use super::arith::ints;
use super::form::{Instruction, is_word};
use super::hot::Hot;
use crate::value::Value;
use pw_isa::Kind;

const INT: u64 = Kind::Int as u64;
const FLOAT: u64 = Kind::Float as u64;

/// Whether an order of two numbers of one kind holds.
#[inline(always)]
fn order(
    a: Value,
    b: Value,
    int: impl FnOnce(i64, i64) -> bool,
    float: impl FnOnce(f64, f64) -> bool,
) -> Option<bool> {
    if let Some((a, b)) = ints(a, b) {
        return Some(int(a, b));
    }
    ((a.tag ^ FLOAT) | (b.tag ^ FLOAT) == 0)
        .then(|| float(f64::from_bits(a.bits), f64::from_bits(b.bits)))
}

/// `eq?`, where a glance tells.
#[inline(always)]
fn same(a: Value, b: Value) -> Option<bool> {
    if a.kind() != b.kind() {
        return Some(false);
    }
    is_word(a.kind()).then_some(a == b)
}

impl Hot<'_> {
    #[inline(always)]
    pub(super) fn set_order(
        &mut self,
        i: &Instruction,
        int: impl FnOnce(i64, i64) -> bool,
        float: impl FnOnce(f64, f64) -> bool,
    ) -> bool {
        match order(self.get(i.b), self.get(i.c), int, float) {
            Some(holds) => self.set(i.a, Value::bool(holds)),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn set_same(&mut self, i: &Instruction) -> bool {
        match same(self.get(i.b), self.get(i.c)) {
            Some(holds) => self.set(i.a, Value::bool(holds)),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn not(&mut self, i: &Instruction) -> bool {
        self.set(i.a, Value::bool(!self.get(i.b).is_true()))
    }

    #[inline(always)]
    fn is_one_of(&self, register: u16, kinds: u16) -> bool {
        kinds >> (self.get(register).tag & 0xf) & 1 != 0
    }

    #[inline(always)]
    pub(super) fn is(&mut self, i: &Instruction) -> bool {
        self.set(i.a, Value::bool(self.is_one_of(i.b, i.c)))
    }

    #[inline(always)]
    pub(super) fn branch_order(
        &mut self,
        i: &Instruction,
        int: impl FnOnce(i64, i64) -> bool,
        float: impl FnOnce(f64, f64) -> bool,
    ) -> bool {
        match order(self.get(i.a), self.get(i.c), int, float) {
            Some(holds) => self.branch_test(i, holds, 2),
            None => false,
        }
    }

    /// The number stands in `c`.
    #[inline(always)]
    pub(super) fn branch_order_imm(
        &mut self,
        i: &Instruction,
        int: impl FnOnce(i64, i64) -> bool,
        float: impl FnOnce(f64, f64) -> bool,
    ) -> bool {
        let a = self.get(i.a);
        let number = i.c as i16;
        if a.tag == INT {
            return self.branch_test(i, int(a.bits as i64, i64::from(number)), 3);
        }
        a.tag == FLOAT && self.branch_test(i, float(f64::from_bits(a.bits), f64::from(number)), 3)
    }

    #[inline(always)]
    pub(super) fn branch_same(&mut self, i: &Instruction) -> bool {
        match same(self.get(i.a), self.get(i.c)) {
            Some(holds) => self.branch_test(i, holds, 2),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn branch_is(&mut self, i: &Instruction) -> bool {
        let holds = self.is_one_of(i.a, i.c);
        self.branch_test(i, holds, 2)
    }
}
