//! What is known about how large Ints and vectors are at one place: intervals, and distances between two of
//! them that are kept. Where it proves that an operation has a result or an index is within a vector, no
//! machine instruction tests it.
//!
//! A fact is about the bits of a register as a signed word, so that it does not depend on the register's
//! kind; it is only ever found where that is Int.

use std::collections::BTreeMap;

use pw_isa::cost;
use pw_isa::op::{Arith, Compare};

use super::intervals::{Interval, exact, operands, result};

/// The most distances that are kept at once; beyond it new ones are not noted.
const DISTANCES_MAX: usize = 200;
/// A distance below this says nothing of use.
const DISTANCE_MIN: i64 = -(1 << 40);

/// A number that facts are about: the Int in a register, or the length of the vector in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Term {
    Int(u16),
    Length(u16),
}

impl Term {
    /// The register.
    pub(super) fn register(self) -> u16 {
        match self {
            Term::Int(register) | Term::Length(register) => register,
        }
    }

    /// The same about another register.
    fn of(self, register: u16) -> Term {
        match self {
            Term::Int(_) => Term::Int(register),
            Term::Length(_) => Term::Length(register),
        }
    }

    /// The interval of all numbers that it can be.
    fn widest(self) -> Interval {
        match self {
            Term::Int(_) => Interval::ALL,
            Term::Length(_) => Interval {
                least: 0,
                most: cost::LENGTH_MAX as i64,
            },
        }
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
enum Order {
    Below,
    AtMost,
    Equal,
    Differs,
}

/// A comparison whose outcome stands in a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Test {
    order: Order,
    low: Term,
    high: Term,
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
        let (low, high) = (Term::Int(low.0), Term::Int(high.0));
        Some(Test { order, low, high })
    }

    /// The test that holds where this one does not.
    fn negated(self) -> Test {
        let (order, low, high) = match self.order {
            Order::Below => (Order::AtMost, self.high, self.low),
            Order::AtMost => (Order::Below, self.high, self.low),
            Order::Equal => (Order::Differs, self.low, self.high),
            Order::Differs => (Order::Equal, self.low, self.high),
        };
        Test { order, low, high }
    }

    /// The registers compared, where they are compared for being equal or not.
    pub(super) fn is_equality(self) -> bool {
        matches!(self.order, Order::Equal | Order::Differs)
    }

    /// The registers compared.
    pub(super) fn registers(self) -> [u16; 2] {
        [self.low.register(), self.high.register()]
    }
}

/// All that is known at one place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Ranges {
    /// Terms that are not there can be any number that they ever are.
    intervals: BTreeMap<Term, Interval>,
    /// By two terms: what can be added to the first so that it is at most the second.
    distances: BTreeMap<(Term, Term), i64>,
    /// Comparisons by the register that their outcome is in.
    tests: BTreeMap<u16, Test>,
}

impl Ranges {
    /// Where a number lies.
    pub(super) fn interval(&self, term: Term) -> Interval {
        let known = self.intervals.get(&term).copied();
        known.unwrap_or_else(|| term.widest())
    }

    /// The most that can be added to one number so that it is still at most another.
    fn distance(&self, low: Term, high: Term) -> Option<i64> {
        let by_interval = self
            .interval(high)
            .least
            .checked_sub(self.interval(low).most);
        let noted = self.distances.get(&(low, high)).copied();
        by_interval.max(noted)
    }

    /// Whether something is known.
    pub(super) fn knows(&self, fact: Fact) -> bool {
        match fact {
            Fact::Least(term, least) => self.interval(term).least >= least,
            Fact::Most(term, most) => self.interval(term).most <= most,
            Fact::Distance(low, by, high) => self.distance(low, high).is_some_and(|k| k >= by),
        }
    }

    /// All that is known, but for distances that follow from intervals.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let distances = self.distances.iter();
        let mut facts: Vec<Fact> = distances
            .map(|((low, high), by)| Fact::Distance(*low, *by, *high))
            .collect();
        for (term, interval) in &self.intervals {
            let widest = term.widest();
            if interval.least > widest.least {
                facts.push(Fact::Least(*term, interval.least));
            }
            if interval.most < widest.most {
                facts.push(Fact::Most(*term, interval.most));
            }
        }
        facts
    }

    /// Whether an index is within a vector.
    pub(super) fn is_within(&self, index: u16, vector: u16) -> bool {
        let (index, length) = (Term::Int(index), Term::Length(vector));
        self.knows(Fact::Least(index, 0)) && self.knows(Fact::Distance(index, 1, length))
    }

    /// Whether a sum, difference or product always fits into 64 bits.
    pub(super) fn fits(&self, op: &Arith) -> bool {
        let is_checked = matches!(
            op,
            Arith::Add { .. } | Arith::Sub { .. } | Arith::Mul { .. }
        );
        let (_, a, b) = operands(op);
        let (a, b) = (self.interval(Term::Int(a)), self.interval(Term::Int(b)));
        let (least, most) = exact(op, a, b);
        is_checked && i128::from(i64::MIN) <= least && most <= i128::from(i64::MAX)
    }

    fn narrow(&mut self, term: Term, to: Interval) {
        let interval = self.interval(term).meet(to);
        if interval != term.widest() {
            self.intervals.insert(term, interval);
        }
    }

    /// Notes that something holds, and what follows from it.
    pub(super) fn assume(&mut self, fact: Fact) {
        match fact {
            Fact::Least(term, least) => self.narrow(
                term,
                Interval {
                    least,
                    ..Interval::ALL
                },
            ),
            Fact::Most(term, most) => self.narrow(
                term,
                Interval {
                    most,
                    ..Interval::ALL
                },
            ),
            Fact::Distance(low, by, high) => {
                let (below, above) = (self.interval(low), self.interval(high));
                let most = above.most.saturating_sub(by);
                let least = below.least.saturating_add(by);
                self.narrow(
                    low,
                    Interval {
                        most,
                        ..Interval::ALL
                    },
                );
                self.narrow(
                    high,
                    Interval {
                        least,
                        ..Interval::ALL
                    },
                );
                let mut lower = vec![(low, 0)];
                let mut higher = vec![(high, 0)];
                for ((a, b), more) in &self.distances {
                    if *b == low {
                        lower.push((*a, *more));
                    }
                    if *a == high {
                        higher.push((*b, *more));
                    }
                }
                for (a, before) in &lower {
                    for (b, behind) in &higher {
                        let by = before.saturating_add(by).saturating_add(*behind);
                        self.note(*a, by, *b);
                    }
                }
            }
        }
    }

    fn note(&mut self, low: Term, by: i64, high: Term) {
        let is_new = !self.knows(Fact::Distance(low, by, high));
        if low != high && by >= DISTANCE_MIN && is_new && self.distances.len() < DISTANCES_MAX {
            self.distances.insert((low, high), by);
        }
    }

    /// Notes that a test holds.
    fn hold(&mut self, test: Test) {
        let Test { order, low, high } = test;
        match order {
            Order::Below => self.assume(Fact::Distance(low, 1, high)),
            Order::AtMost => self.assume(Fact::Distance(low, 0, high)),
            Order::Equal => {
                self.assume(Fact::Distance(low, 0, high));
                self.assume(Fact::Distance(high, 0, low));
            }
            Order::Differs => {
                for (low, high) in [(low, high), (high, low)] {
                    if self.knows(Fact::Distance(low, 0, high)) {
                        self.assume(Fact::Distance(low, 1, high));
                    }
                }
            }
        }
    }

    /// Notes which way a branch on a register has gone.
    pub(super) fn branch(&mut self, register: u16, is_true: bool) {
        if let Some(test) = self.tests.get(&register).copied() {
            self.hold(if is_true { test } else { test.negated() });
        }
    }

    /// A register is written: nothing is known about it any more.
    pub(super) fn forget(&mut self, register: u16) {
        self.keep(|term| term.register() != register);
        self.tests.remove(&register);
    }

    /// Vectors may have other lengths from here on.
    pub(super) fn forget_lengths(&mut self) {
        self.keep(|term| matches!(term, Term::Int(_)));
    }

    /// Forgets all facts that are about other terms than these.
    pub(super) fn keep(&mut self, is_kept: impl Fn(Term) -> bool) {
        self.intervals.retain(|term, _| is_kept(*term));
        self.distances
            .retain(|(low, high), _| is_kept(*low) && is_kept(*high));
        self.tests
            .retain(|_, test| is_kept(test.low) && is_kept(test.high));
    }

    /// A register is set to the outcome of a test, or of the opposite of what is in another.
    pub(super) fn set_test(&mut self, register: u16, test: Option<Test>) {
        // An operand that is written over may be known by another name.
        let named = |term: Term| match term.register() == register {
            true => self.equal(term),
            false => Some(term),
        };
        let test = test.and_then(|test| {
            let (low, high) = named(test.low).zip(named(test.high))?;
            Some(Test { low, high, ..test })
        });
        self.forget(register);
        if let Some(test) = test {
            self.tests.insert(register, test);
        }
    }

    /// Another number that is known to be the same.
    fn equal(&self, term: Term) -> Option<Term> {
        let above = self.distances.iter().filter(|((low, _), _)| *low == term);
        let mut others = above.map(|((_, high), _)| *high);
        others.find(|other| {
            other.register() != term.register()
                && self.knows(Fact::Distance(term, 0, *other))
                && self.knows(Fact::Distance(*other, 0, term))
        })
    }

    /// The opposite of the test in a register.
    pub(super) fn opposite(&self, register: u16) -> Option<Test> {
        self.tests.get(&register).map(|test| test.negated())
    }

    /// A register is set to the value of another.
    pub(super) fn copy(&mut self, dst: u16, src: u16) {
        if dst == src {
            return;
        }
        self.forget(dst);
        let before = self.clone();
        let is_src = |term: &Term| term.register() == src;
        for (term, interval) in before.intervals.iter().filter(|(term, _)| is_src(term)) {
            self.intervals.insert(term.of(dst), *interval);
        }
        for ((low, high), by) in &before.distances {
            match (is_src(low), is_src(high)) {
                (true, false) => self.note(low.of(dst), *by, *high),
                (false, true) => self.note(*low, *by, high.of(dst)),
                _ => {}
            }
        }
        if let Some(test) = before.tests.get(&src) {
            self.tests.insert(dst, *test);
        }
        for term in [Term::Int(src), Term::Length(src)] {
            self.note(term, 0, term.of(dst));
            self.note(term.of(dst), 0, term);
        }
    }

    /// What is known about registers whose values are passed to others, about those.
    pub(super) fn passed(&self, registers: &BTreeMap<u16, u16>) -> Ranges {
        let name = |term: Term| registers.get(&term.register()).map(|to| term.of(*to));
        let mut passed = Ranges::default();
        for (term, interval) in &self.intervals {
            if let Some(name) = name(*term) {
                passed.intervals.insert(name, *interval);
            }
        }
        for ((low, high), by) in &self.distances {
            if let Some((low, high)) = name(*low).zip(name(*high)) {
                passed.note(low, *by, high);
            }
        }
        passed
    }

    /// A register is set to a number.
    pub(super) fn set_int(&mut self, register: u16, number: i64) {
        self.forget(register);
        self.intervals
            .insert(Term::Int(register), Interval::only(number));
    }

    /// A register is set to the length of a vector.
    pub(super) fn set_length(&mut self, register: u16, vector: u16) {
        let interval = self.interval(Term::Length(vector));
        self.forget(register);
        let int = Term::Int(register);
        self.narrow(int, interval);
        if register != vector {
            self.assume(Fact::Distance(int, 0, Term::Length(vector)));
            self.assume(Fact::Distance(Term::Length(vector), 0, int));
        }
    }

    /// An element has been found: the index is within the vector.
    pub(super) fn found(&mut self, index: u16, vector: u16) {
        self.assume(Fact::Least(Term::Int(index), 0));
        self.assume(Fact::Distance(Term::Int(index), 1, Term::Length(vector)));
    }

    /// A register is set to the result of an operation on Ints, which exists.
    pub(super) fn set_result(&mut self, op: &Arith) {
        let (dst, a, b) = operands(op);
        let is_division = matches!(
            op,
            Arith::Div { .. } | Arith::Quot { .. } | Arith::Rem { .. } | Arith::Mod { .. }
        );
        // Divisions by 0 and -1 are not done in native code.
        if is_division && self.knows(Fact::Least(Term::Int(b), -1)) {
            self.assume(Fact::Least(Term::Int(b), 1));
        }
        let of = |ranges: &Ranges, register: u16| ranges.interval(Term::Int(register));
        let interval = result(op, of(self, a), of(self, b));
        let before = self.clone();
        self.forget(dst);
        let int = Term::Int(dst);
        match op {
            Arith::Add { .. } => {
                self.moved(&before, dst, a, of(&before, b));
                self.moved(&before, dst, b, of(&before, a));
            }
            Arith::Sub { .. } => {
                let by = of(&before, b);
                if let (Some(least), Some(most)) = (by.most.checked_neg(), by.least.checked_neg()) {
                    self.moved(&before, dst, a, Interval { least, most });
                }
            }
            Arith::Mod { .. } if of(&before, b).least > 0 && dst != b => {
                self.assume(Fact::Distance(int, 1, Term::Int(b)));
                for ((low, high), by) in &before.distances {
                    if *low == Term::Int(b) && high.register() != dst {
                        self.note(int, by.saturating_add(1), *high);
                    }
                }
            }
            _ => {}
        }
        self.narrow(int, interval);
    }

    /// What follows for a sum from what was known about one summand, when the other is in an interval.
    fn moved(&mut self, before: &Ranges, dst: u16, a: u16, by: Interval) {
        let (sum, a) = (Term::Int(dst), Term::Int(a));
        for ((low, high), distance) in &before.distances {
            if *low == a && high.register() != dst {
                self.note(sum, distance.saturating_sub(by.most), *high);
            }
            if *high == a && low.register() != dst {
                self.note(*low, distance.saturating_add(by.least), sum);
            }
        }
        if a != sum {
            self.note(a, by.least, sum);
            self.note(sum, by.most.saturating_neg(), a);
        }
    }

    /// What is known when control has come from one of two places.
    pub(super) fn join(&self, other: &Ranges) -> Ranges {
        let mut joined = Ranges::default();
        for (term, interval) in &self.intervals {
            let interval = interval.join(other.interval(*term));
            if interval != term.widest() {
                joined.intervals.insert(*term, interval);
            }
        }
        for (low, high) in self.distances.keys().chain(other.distances.keys()) {
            let both = self.distance(*low, *high).zip(other.distance(*low, *high));
            if let Some((a, b)) = both {
                joined.note(*low, a.min(b), *high);
            }
        }
        for (register, test) in &self.tests {
            if other.tests.get(register) == Some(test) {
                joined.tests.insert(*register, *test);
            }
        }
        joined
    }

    /// What is kept of facts that go on becoming weaker from one look at a loop to the next: bounds fall back
    /// to the next of some numbers, in ascending order, and distances are given up.
    pub(super) fn widened(mut self, before: &Ranges, steps: &[i64]) -> Ranges {
        for (term, interval) in &mut self.intervals {
            let old = before.interval(*term);
            let widest = term.widest();
            if interval.least < old.least {
                let mut lower = steps.iter().rev().filter(|step| **step <= interval.least);
                interval.least = lower
                    .next()
                    .map_or(widest.least, |step| (*step).max(widest.least));
            }
            if interval.most > old.most {
                let mut higher = steps.iter().filter(|step| **step >= interval.most);
                interval.most = higher
                    .next()
                    .map_or(widest.most, |step| (*step).min(widest.most));
            }
        }
        self.intervals
            .retain(|term, interval| *interval != term.widest());
        let weaker = |(low, high): &(Term, Term), by: i64| {
            before.distance(*low, *high).is_some_and(|old| by < old)
        };
        self.distances.retain(|terms, by| !weaker(terms, *by));
        self
    }
}
