//! What facts about Ints and vectors are made of: the numbers that they are about, what is known about these,
//! and the tests that show it.

use std::fmt;

use pw_isa::cost;
use pw_isa::op::Compare;

use super::intervals::Interval;

/// A number that facts are about: the Int in a register, or the length of the vector in it. One word, since
/// nothing is compared as often.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term(u32);

/// What lengths have that Ints do not.
const LENGTH: u32 = 1 << 16;

impl Term {
    pub(super) fn int(register: u16) -> Term {
        Term(u32::from(register))
    }

    pub(super) fn length(register: u16) -> Term {
        Term(LENGTH | u32::from(register))
    }

    pub(super) fn is_length(self) -> bool {
        self.0 & LENGTH != 0
    }

    /// The register.
    pub(super) fn register(self) -> u16 {
        self.0 as u16
    }

    /// The same about another register.
    pub(super) fn of(self, register: u16) -> Term {
        Term(self.0 & LENGTH | u32::from(register))
    }

    /// The interval of all numbers that it can be.
    pub(super) fn widest(self) -> Interval {
        match self.is_length() {
            false => Interval::ALL,
            true => Interval {
                least: 0,
                most: cost::LENGTH_MAX as i64,
            },
        }
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_length() { "Length" } else { "Int" };
        write!(f, "{what}({})", self.register())
    }
}

/// One thing that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fact {
    /// A number is at least this.
    Least(Term, i64),
    /// A number is at most this.
    Most(Term, i64),
    /// The first and this are together at most the second.
    Distance(Term, i64, Term),
}

impl Fact {
    /// The numbers that it is about.
    pub(super) fn terms(self) -> impl Iterator<Item = Term> {
        let (first, second) = match self {
            Fact::Least(term, _) | Fact::Most(term, _) => (term, None),
            Fact::Distance(low, _, high) => (low, Some(high)),
        };
        [Some(first), second].into_iter().flatten()
    }
}

/// How two numbers are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Below,
    AtMost,
    Equal,
    Differs,
}

/// A comparison whose outcome stands in a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Test {
    pub(super) order: Order,
    pub(super) low: Term,
    pub(super) high: Term,
}

impl Test {
    /// What an instruction tests about two Ints.
    pub(super) fn of(op: &Compare) -> Option<Test> {
        let (order, low, high) = match op {
            Compare::Lt { a, b, .. } => (Order::Below, a, b),
            Compare::Gt { a, b, .. } => (Order::Below, b, a),
            Compare::Le { a, b, .. } => (Order::AtMost, a, b),
            Compare::Ge { a, b, .. } => (Order::AtMost, b, a),
            Compare::NumEq { a, b, .. } => (Order::Equal, a, b),
            Compare::NumNe { a, b, .. } => (Order::Differs, a, b),
            _ => return None,
        };
        let (low, high) = (Term::int(low.0), Term::int(high.0));
        Some(Test { order, low, high })
    }

    /// The test that holds where this one does not.
    pub(super) fn negated(self) -> Test {
        let (order, low, high) = match self.order {
            Order::Below => (Order::AtMost, self.high, self.low),
            Order::AtMost => (Order::Below, self.high, self.low),
            Order::Equal => (Order::Differs, self.low, self.high),
            Order::Differs => (Order::Equal, self.low, self.high),
        };
        Test { order, low, high }
    }

    /// Whether they are compared for being equal or not.
    pub(super) fn is_equality(self) -> bool {
        matches!(self.order, Order::Equal | Order::Differs)
    }

    /// The registers compared.
    pub(super) fn registers(self) -> [u16; 2] {
        [self.low.register(), self.high.register()]
    }
}
