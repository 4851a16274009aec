//! Comparisons, alone and fused with a branch. Numbers of one kind only: mixed ones are rare, and
//! comparing them exactly is the reference interpreter's.

use super::arith::ints;
use super::form::{Instruction, is_word};
use super::hot::Hot;
use crate::value::{Value, canonical_bits};
use pw_isa::Kind;

/// Texts of fewer bytes than this take no gas to be compared by `eq?`.
pub(super) const SAME_FREE_BYTES: u64 = 64;

const INT: u64 = Kind::Int as u64;
const FLOAT: u64 = Kind::Float as u64;

/// An order of two numbers of one kind.
pub(super) trait Order {
    fn holds<T: PartialOrd>(a: T, b: T) -> bool;
}

macro_rules! orders {
    ($($name:ident $operator:tt),*) => {
        $(
            pub(super) struct $name;
            impl Order for $name {
                #[inline(always)]
                fn holds<T: PartialOrd>(a: T, b: T) -> bool {
                    a $operator b
                }
            }
        )*
    };
}

orders!(Lt <, Le <=, Gt >, Ge >=, NumEq ==, NumNe !=);

/// Whether an order holds between two values; `None` when they are not numbers of one kind.
#[inline(always)]
fn order<O: Order>(a: Value, b: Value) -> Option<bool> {
    if let Some((a, b)) = ints(a, b) {
        return Some(O::holds(a, b));
    }
    ((a.tag ^ FLOAT) | (b.tag ^ FLOAT) == 0)
        .then(|| O::holds(f64::from_bits(a.bits), f64::from_bits(b.bits)))
}

impl Hot<'_> {
    /// `eq?`; `None` for errors and capabilities, which are rare.
    #[inline(always)]
    fn same(&mut self, a: Value, b: Value) -> Option<bool> {
        if a == b {
            return Some(true);
        }
        let kind = a.kind();
        if kind != b.kind() || is_word(kind) {
            return Some(false);
        }
        match kind {
            Kind::Float => Some(canonical_bits(a.bits) == canonical_bits(b.bits)),
            Kind::String | Kind::Symbol => self.equal_texts(a, b),
            _ => None,
        }
    }

    /// `equal?`, which costs nothing beyond its fixed gas where it is done here.
    #[inline(always)]
    fn equal(&mut self, a: Value, b: Value) -> Option<bool> {
        if a == b {
            return Some(true);
        }
        if (a.tag ^ b.tag) & 0xff != 0 || a.tag == INT {
            return Some(false);
        }
        self.ask_aside(a, b, |aside, a, b| aside.equal(a, b))
    }

    #[inline(always)]
    pub(super) fn set_equal(&mut self, i: &Instruction) -> bool {
        let equal = self.equal(self.get(i.b), self.get(i.c));
        self.set_found(i.a, equal.map(Value::bool))
    }

    #[inline(always)]
    pub(super) fn branch_equal<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let equal = self.equal(self.get(i.a), self.get(i.c));
        self.branch_found::<IF>(i, equal)
    }

    /// A test without a number in it and the branch on it, if the test is decided.
    #[inline(always)]
    pub(super) fn branch_found<const IF: bool>(
        &mut self,
        i: &Instruction,
        holds: Option<bool>,
    ) -> bool {
        match holds {
            Some(holds) => self.branch(holds == IF, i.imm, 2),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn set_order<O: Order>(&mut self, i: &Instruction) -> bool {
        match order::<O>(self.get(i.b), self.get(i.c)) {
            Some(holds) => self.set(i.a, Value::bool(holds)),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn set_same(&mut self, i: &Instruction) -> bool {
        let same = self.same(self.get(i.b), self.get(i.c));
        self.set_found(i.a, same.map(Value::bool))
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

    /// Taken when the order does not hold, or when it does if `IF`.
    #[inline(always)]
    pub(super) fn branch_order<O: Order, const IF: bool>(&mut self, i: &Instruction) -> bool {
        match order::<O>(self.get(i.a), self.get(i.c)) {
            Some(holds) => self.branch(holds == IF, i.imm, 2),
            None => false,
        }
    }

    /// The number stands in `c`.
    #[inline(always)]
    pub(super) fn branch_order_imm<O: Order, const IF: bool>(&mut self, i: &Instruction) -> bool {
        let a = self.get(i.a);
        let number = i.c as i16;
        if a.tag == INT {
            let holds = O::holds(a.bits as i64, i64::from(number));
            return self.branch(holds == IF, i.imm, 3);
        }
        let holds = O::holds(f64::from_bits(a.bits), f64::from(number));
        a.tag == FLOAT && self.branch(holds == IF, i.imm, 3)
    }

    /// The Float to compare with is entry `c` of the program's values.
    #[inline(always)]
    pub(super) fn branch_order_value<O: Order, const IF: bool>(&mut self, i: &Instruction) -> bool {
        let (a, b) = (self.get(i.a), self.value(usize::from(i.c)));
        let holds = O::holds(f64::from_bits(a.bits), f64::from_bits(b.bits));
        a.tag == FLOAT && self.branch(holds == IF, i.imm, 3)
    }

    /// A `loop`, and the comparison and branch behind it.
    #[inline(always)]
    pub(super) fn loop_order<O: Order>(&mut self, i: &Instruction) -> bool {
        let counted = self.count_loop(i);
        self.skip(usize::from(counted));
        counted && self.branch_order::<O, false>(self.fetch())
    }

    #[inline(always)]
    pub(super) fn loop_order_imm<O: Order>(&mut self, i: &Instruction) -> bool {
        let counted = self.count_loop(i);
        self.skip(usize::from(counted));
        counted && self.branch_order_imm::<O, false>(self.fetch())
    }

    /// A jump to a `loop`, and the comparison and branch behind it.
    #[inline(always)]
    pub(super) fn again<O: Order>(&mut self, i: &Instruction) -> bool {
        self.jump_loop(i) && self.branch_order::<O, false>(self.fetch())
    }

    #[inline(always)]
    pub(super) fn again_imm<O: Order>(&mut self, i: &Instruction) -> bool {
        self.jump_loop(i) && self.branch_order_imm::<O, false>(self.fetch())
    }

    #[inline(always)]
    pub(super) fn branch_same<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let same = self.same(self.get(i.a), self.get(i.c));
        self.branch_found::<IF>(i, same)
    }

    /// The other operand is entry `c` of the program's values.
    #[inline(always)]
    pub(super) fn branch_same_value<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let same = self.same(self.get(i.a), self.value(usize::from(i.c)));
        match same {
            Some(holds) => self.branch(holds == IF, i.imm, 3),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn branch_is<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let holds = self.is_one_of(i.a, i.c);
        self.branch(holds == IF, i.imm, 2)
    }
}
