//! Comparisons, alone and fused with a branch. An Int and a Float are rarely compared and take a library
//! function, for they are compared exactly.

use super::form::Instruction;
use super::hot::Hot;
use crate::numbers::{Number, compare};
use crate::value::{CONSTANT, Value, canonical_bits};
use pw_isa::{Kind, KindSet};

/// Texts of fewer bytes than this take no gas to be compared by `eq?`.
pub(crate) const SAME_FREE_BYTES: u64 = 64;

const INT: u64 = Kind::Int as u64;
const FLOAT: u64 = Kind::Float as u64;

/// The kinds of values of which two are `eq?` exactly when tag and bits are.
pub(crate) const SAME_BY_WORDS: KindSet = KindSet::ANY.without(&[
    Kind::Float,
    Kind::String,
    Kind::Symbol,
    Kind::Error,
    Kind::Capability,
]);

/// The kinds of values of which two are `equal?` exactly when tag and bits are.
pub(crate) const EQUAL_BY_WORDS: KindSet =
    SAME_BY_WORDS.without(&[Kind::Bytes, Kind::Pair, Kind::Vector, Kind::Map]);

/// Whether a value is of one of these kinds.
#[inline(always)]
fn is_of(value: Value, kinds: KindSet) -> bool {
    kinds.0 >> (value.tag & 0xf) & 1 != 0
}

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

/// Whether an order holds between two numbers of any kind.
pub(super) fn order_any<O: Order>(a: Value, b: Value) -> Option<bool> {
    let order = compare(Number::of(a)?, Number::of(b)?);
    // One that is not a number is to every other what it is to 0.
    Some(order.map_or_else(|| O::holds(f64::NAN, 0.0), |order| O::holds(order as i8, 0)))
}

impl Hot<'_> {
    /// Whether an order holds between two registers; `None` when they are not numbers of one kind. Floats are read
    /// anew; see [`Hot::arith`].
    #[inline(always)]
    fn order<O: Order>(&self, a: u16, b: u16) -> Option<bool> {
        if let Some(a) = self.int(a) {
            return self.int(b).map(|b| O::holds(a, b));
        }
        let a = self.get(a);
        let b = self.float(b).filter(|_| a.tag == FLOAT);
        b.map(|b| O::holds(f64::from_bits(a.bits), b))
    }

    /// Likewise between a register and a small number.
    #[inline(always)]
    fn order_with<O: Order>(&self, a: u16, number: i32) -> Option<bool> {
        if let Some(a) = self.int(a) {
            return Some(O::holds(a, i64::from(number)));
        }
        let a = self.get(a);
        (a.tag == FLOAT).then(|| O::holds(f64::from_bits(a.bits), f64::from(number)))
    }

    /// Likewise between an Int and the length of a vector in the arena, which stands in a register.
    #[inline(always)]
    fn order_with_length<O: Order>(&mut self, a: u16, vector: u16) -> Option<bool> {
        let length = self.length_of(vector)?;
        self.int(a).map(|a| O::holds(a, i64::from(length)))
    }

    /// `eq?` where tags and contents decide; `None` for others.
    #[inline(always)]
    pub(super) fn same(&self, a: Value, b: Value) -> Option<bool> {
        if a == b {
            return Some(true);
        }
        let other = (a.tag ^ b.tag) & 0xff != 0;
        (other || is_of(a, SAME_BY_WORDS)).then_some(false)
    }

    /// `eq?`; `None` for errors and capabilities, which are rare.
    pub(super) fn same_any(&mut self, a: Value, b: Value) -> Option<bool> {
        match a.kind() {
            Kind::Float if b.kind() == Kind::Float => {
                Some(canonical_bits(a.bits) == canonical_bits(b.bits))
            }
            Kind::String | Kind::Symbol if a.kind() == b.kind() => self.equal_texts(a, b),
            _ => None,
        }
    }

    /// `equal?`, which costs nothing beyond its fixed gas where it is done here.
    #[inline(always)]
    pub(super) fn equal(&mut self, a: Value, b: Value) -> Option<bool> {
        if a == b {
            return Some(true);
        }
        if (a.tag ^ b.tag) & 0xff != 0 || is_of(a, EQUAL_BY_WORDS) {
            return Some(false);
        }
        self.equal_objects(a, b)
    }

    #[inline(never)]
    fn equal_objects(&mut self, a: Value, b: Value) -> Option<bool> {
        if matches!(a.kind(), Kind::String | Kind::Symbol)
            && let Some([a, b]) = self.tiny_texts(a, b)
        {
            return Some(a == b);
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
        self.branch_found::<IF>(i, equal, 2)
    }

    /// A test without a number in it and the branch on it, if the test is decided.
    #[inline(always)]
    pub(super) fn branch_found<const IF: bool>(
        &mut self,
        i: &Instruction,
        holds: Option<bool>,
        parts: usize,
    ) -> bool {
        match holds {
            Some(holds) => self.branch(holds == IF, i.imm, parts),
            None => false,
        }
    }

    #[inline(always)]
    pub(super) fn set_order<O: Order>(&mut self, i: &Instruction) -> bool {
        match self.order::<O>(i.b, i.c) {
            Some(holds) => self.set(i.a, Value::bool(holds)),
            None => false,
        }
    }

    pub(super) fn set_order_any<O: Order>(&mut self, i: &Instruction) -> bool {
        let holds = order_any::<O>(self.get(i.b), self.get(i.c));
        self.set_found(i.a, holds.map(Value::bool))
    }

    #[inline(always)]
    pub(super) fn set_same(&mut self, i: &Instruction) -> bool {
        let same = self.same(self.get(i.b), self.get(i.c));
        self.set_found(i.a, same.map(Value::bool))
    }

    pub(super) fn set_same_any(&mut self, i: &Instruction) -> bool {
        let same = self.same_any(self.get(i.b), self.get(i.c));
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
        let holds = self.order::<O>(i.a, i.c);
        self.branch_found::<IF>(i, holds, 2)
    }

    pub(super) fn branch_order_any<O: Order, const IF: bool>(&mut self, i: &Instruction) -> bool {
        let holds = order_any::<O>(self.get(i.a), self.get(i.c));
        self.branch_found::<IF>(i, holds, 2)
    }

    /// The number stands in `b` and `c`.
    #[inline(always)]
    pub(super) fn branch_order_imm<O: Order, const IF: bool>(&mut self, i: &Instruction) -> bool {
        let holds = self.order_with::<O>(i.a, i.number());
        self.branch_found::<IF>(i, holds, 3)
    }

    /// The Float to compare with is entry `c` of the program's values.
    #[inline(always)]
    pub(super) fn branch_order_value<O: Order, const IF: bool>(&mut self, i: &Instruction) -> bool {
        let b = f64::from_bits(self.value(usize::from(i.c)).bits);
        let holds = self.float(i.a).map(|a| O::holds(a, b));
        self.branch_found::<IF>(i, holds, 3)
    }

    pub(super) fn branch_order_value_any<O: Order, const IF: bool>(
        &mut self,
        i: &Instruction,
    ) -> bool {
        let holds = order_any::<O>(self.get(i.a), self.value(usize::from(i.c)));
        self.branch_found::<IF>(i, holds, 3)
    }

    /// The vector stands in `c`.
    #[inline(always)]
    pub(super) fn branch_order_length<O: Order, const IF: bool>(
        &mut self,
        i: &Instruction,
    ) -> bool {
        let holds = self.order_with_length::<O>(i.a, i.c);
        self.branch_found::<IF>(i, holds, 3)
    }

    /// The first operand is the element `c` of the vector `b`, the other stands in `a`.
    #[inline(always)]
    pub(super) fn branch_order_element<O: Order, const IF: bool>(
        &mut self,
        i: &Instruction,
    ) -> bool {
        let Some(element) = self.element(i.b, self.int(i.c)) else {
            return false;
        };
        let holds = if element.tag == INT {
            self.int(i.a).map(|b| O::holds(element.bits as i64, b))
        } else {
            let a = f64::from_bits(element.bits);
            let b = self.float(i.a).filter(|_| element.tag == FLOAT);
            b.map(|b| O::holds(a, b))
        };
        self.branch_found::<IF>(i, holds, 3)
    }

    pub(super) fn branch_order_element_any<O: Order, const IF: bool>(
        &mut self,
        i: &Instruction,
    ) -> bool {
        let element = self.element(i.b, self.int(i.c));
        let holds = element.and_then(|element| order_any::<O>(element, self.get(i.a)));
        self.branch_found::<IF>(i, holds, 3)
    }

    /// Whether the element `c` of the vector `b` is true.
    #[inline(always)]
    pub(super) fn branch_element<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let element = self.element(i.b, self.int(i.c));
        self.branch_found::<IF>(i, element.map(Value::is_true), 2)
    }

    /// The comparison and branch behind a `loop` that was just counted. Where they are not as simple as
    /// that, their own handler comes next.
    #[inline(always)]
    fn test<O: Order>(&mut self) -> bool {
        let i = self.fetch();
        match self.order::<O>(i.a, i.c) {
            Some(holds) => self.branch(!holds, i.imm, 2),
            None => true,
        }
    }

    /// A `loop`, and the comparison and branch behind it.
    #[inline(always)]
    pub(super) fn loop_order<O: Order>(&mut self, i: &Instruction) -> bool {
        self.enter_loop(i) && self.test::<O>()
    }

    #[inline(always)]
    pub(super) fn loop_order_imm<O: Order>(&mut self, i: &Instruction) -> bool {
        self.enter_loop(i) && self.branch_order_imm::<O, false>(self.fetch())
    }

    #[inline(always)]
    pub(super) fn loop_order_length<O: Order>(&mut self, i: &Instruction) -> bool {
        self.enter_loop(i) && self.branch_order_length::<O, false>(self.fetch())
    }

    /// A jump to a `loop`, and the comparison and branch behind it.
    #[inline(always)]
    pub(super) fn again<O: Order>(&mut self, i: &Instruction) -> bool {
        self.jump_loop(i) && self.test::<O>()
    }

    #[inline(always)]
    pub(super) fn again_imm<O: Order>(&mut self, i: &Instruction) -> bool {
        self.jump_loop(i) && self.branch_order_imm::<O, false>(self.fetch())
    }

    #[inline(always)]
    pub(super) fn again_length<O: Order>(&mut self, i: &Instruction) -> bool {
        self.jump_loop(i) && self.branch_order_length::<O, false>(self.fetch())
    }

    #[inline(always)]
    pub(super) fn branch_same<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let same = self.same(self.get(i.a), self.get(i.c));
        self.branch_found::<IF>(i, same, 2)
    }

    pub(super) fn branch_same_any<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let same = self.same_any(self.get(i.a), self.get(i.c));
        self.branch_found::<IF>(i, same, 2)
    }

    /// The other operand is entry `c` of the program's values: a plain word, or a short text that is told from others among
    /// the constants of one program by where it stands.
    #[inline(always)]
    pub(super) fn branch_same_value<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let (a, b) = (self.get(i.a), self.value(usize::from(i.c)));
        let same = if a.tag != b.tag {
            ((a.tag ^ b.tag) & 0xff != 0).then_some(false)
        } else if a.bits == b.bits {
            Some(true)
        } else {
            let differ = b.tag & CONSTANT == 0 || (a.bits ^ b.bits) >> 32 == 0;
            differ.then_some(false)
        };
        self.branch_found::<IF>(i, same, 3)
    }

    pub(super) fn branch_same_value_any<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let same = self.same_any(self.get(i.a), self.value(usize::from(i.c)));
        self.branch_found::<IF>(i, same, 3)
    }

    #[inline(always)]
    pub(super) fn branch_is<const IF: bool>(&mut self, i: &Instruction) -> bool {
        let holds = self.is_one_of(i.a, i.c);
        self.branch(holds == IF, i.imm, 2)
    }

    /// A `loop`, and the test by kind and branch behind it.
    #[inline(always)]
    pub(super) fn loop_is(&mut self, i: &Instruction) -> bool {
        self.enter_loop(i) && self.branch_is::<false>(self.fetch())
    }

    /// A jump to such a `loop`, and that.
    #[inline(always)]
    pub(super) fn again_is(&mut self, i: &Instruction) -> bool {
        self.jump_loop(i) && self.branch_is::<false>(self.fetch())
    }
}
