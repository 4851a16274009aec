//! What is known about how large Ints and vectors are at one place: intervals, and distances between two of
//! them that are kept. Where it proves that an operation has a result or an index is within a vector, no
//! machine instruction tests it.
//!
//! A fact is about the bits of a register as a signed word, so that it does not depend on the register's
//! kind; it is only ever found where that is Int.

use std::iter::once;

use pw_isa::op::Arith;
use smallvec::SmallVec;

use super::facts::{Fact, Order, Term, Test};
use super::intervals::{Interval, exact, operands, result};
use super::table::Table;

/// The most distances that are kept at once; beyond it new ones are not noted.
const DISTANCES_MAX: usize = 200;
/// A distance below this says nothing of use.
const DISTANCE_MIN: i64 = -(1 << 40);

/// The same for an index and a length of which nothing was noted: by the next step, the index may be within.
const INDEX_DISTANCE_MIN: i64 = -1;

/// Some distances, and what is known about terms as seen from another.
type Distances = SmallVec<[((Term, Term), i64); 16]>;
type Near = SmallVec<[(Term, i64); 16]>;

/// All that is known at one place.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Ranges {
    /// Terms that are not there can be any number that they ever are.
    intervals: Table<Term, Interval, 8>,
    /// By two terms: what can be added to the first so that it is at most the second.
    distances: Table<(Term, Term), i64, 16>,
    /// Comparisons by the register that their outcome is in.
    tests: Table<u16, Test, 2>,
}

impl Clone for Ranges {
    fn clone(&self) -> Ranges {
        Ranges {
            intervals: self.intervals.clone(),
            distances: self.distances.clone(),
            tests: self.tests.clone(),
        }
    }

    fn clone_from(&mut self, other: &Ranges) {
        self.intervals.clone_from(&other.intervals);
        self.distances.clone_from(&other.distances);
        self.tests.clone_from(&other.tests);
    }
}

impl Ranges {
    /// Where a number lies.
    pub(super) fn interval(&self, term: Term) -> Interval {
        let known = self.intervals.get(term);
        known.unwrap_or_else(|| term.widest())
    }

    /// The most that can be added to one number so that it is still at most another.
    fn distance(&self, low: Term, high: Term) -> Option<i64> {
        let noted = self.distances.get((low, high));
        self.distance_between(low, high).max(noted)
    }

    /// The same, as far as it follows from where the two lie.
    fn distance_between(&self, low: Term, high: Term) -> Option<i64> {
        self.interval(low).distance_to(self.interval(high))
    }

    /// Whether something is known.
    pub(super) fn knows(&self, fact: Fact) -> bool {
        match fact {
            Fact::Least(term, least) => self.interval(term).least >= least,
            Fact::Most(term, most) => self.interval(term).most <= most,
            Fact::Distance(low, by, high) => {
                self.distances.get((low, high)) >= Some(by)
                    || self.distance_between(low, high) >= Some(by)
            }
        }
    }

    /// All that is known, but for distances that follow from intervals.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let distances = self.distances.iter();
        let mut facts: Vec<Fact> = distances
            .map(|((low, high), by)| Fact::Distance(low, by, high))
            .collect();
        for (term, interval) in self.intervals.iter() {
            let widest = term.widest();
            if interval.least > widest.least {
                facts.push(Fact::Least(term, interval.least));
            }
            if interval.most < widest.most {
                facts.push(Fact::Most(term, interval.most));
            }
        }
        facts
    }

    /// Whether an index is within a vector.
    pub(super) fn is_within(&self, index: u16, vector: u16) -> bool {
        let (index, length) = (Term::int(index), Term::length(vector));
        self.knows(Fact::Least(index, 0)) && self.knows(Fact::Distance(index, 1, length))
    }

    /// Whether a sum, difference or product always fits into 64 bits.
    pub(super) fn fits(&self, op: &Arith) -> bool {
        let is_checked = matches!(
            op,
            Arith::Add { .. } | Arith::Sub { .. } | Arith::Mul { .. }
        );
        let (_, a, b) = operands(op);
        let (a, b) = (self.interval(Term::int(a)), self.interval(Term::int(b)));
        let (least, most) = exact(op, a, b);
        is_checked && i128::from(i64::MIN) <= least && most <= i128::from(i64::MAX)
    }

    fn narrow(&mut self, term: Term, to: Interval) {
        let before = self.interval(term);
        let interval = before.meet(to);
        if interval != before {
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
                self.note_with_others(low, by, high);
            }
        }
    }

    /// Notes a distance, and those to all that is known to be below the first and above the second.
    fn note_with_others(&mut self, low: Term, by: i64, high: Term) {
        let (mut lower, mut higher) = (Near::new(), Near::new());
        for ((a, b), more) in self.distances.iter() {
            if b == low {
                lower.push((a, more));
            }
            if a == high {
                higher.push((b, more));
            }
        }
        for (a, before) in once((low, 0)).chain(lower) {
            for (b, behind) in once(&(high, 0)).chain(&higher) {
                let by = before.saturating_add(by).saturating_add(*behind);
                self.note(a, by, *b);
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
        if let Some(test) = self.tests.get(register) {
            self.hold(if is_true { test } else { test.negated() });
        }
    }

    /// A register is written: nothing is known about it any more.
    pub(super) fn forget(&mut self, register: u16) {
        self.keep(|term| term.register() != register);
        self.tests.retain(|outcome, _| outcome != register);
    }

    /// Nothing is known any more about all registers from one on.
    pub(super) fn forget_from(&mut self, first: u16) {
        self.keep(|term| term.register() < first);
        self.tests.retain(|outcome, _| outcome < first);
    }

    /// Vectors may have other lengths from here on.
    pub(super) fn forget_lengths(&mut self) {
        self.keep(|term| !term.is_length());
    }

    /// Forgets all facts that are about other terms than these.
    pub(super) fn keep(&mut self, is_kept: impl Fn(Term) -> bool) {
        self.intervals.retain(|term, _| is_kept(term));
        self.distances
            .retain(|(low, high), _| is_kept(low) && is_kept(high));
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
        let mut others = above.map(|((_, high), _)| high);
        others.find(|other| {
            other.register() != term.register()
                && self.knows(Fact::Distance(term, 0, *other))
                && self.knows(Fact::Distance(*other, 0, term))
        })
    }

    /// The opposite of the test in a register.
    pub(super) fn opposite(&self, register: u16) -> Option<Test> {
        self.tests.get(register).map(Test::negated)
    }

    /// A register is set to the value of another.
    pub(super) fn copy(&mut self, dst: u16, src: u16) {
        if dst == src {
            return;
        }
        self.forget(dst);
        for term in [Term::int(src), Term::length(src)] {
            if let Some(interval) = self.intervals.get(term) {
                self.intervals.insert(term.of(dst), interval);
            }
        }
        let is_src = |term: Term| term.register() == src;
        for ((low, high), by) in self.distances_with(is_src) {
            match (is_src(low), is_src(high)) {
                (true, false) => self.note(low.of(dst), by, high),
                (false, true) => self.note(low, by, high.of(dst)),
                _ => {}
            }
        }
        if let Some(test) = self.tests.get(src) {
            self.tests.insert(dst, test);
        }
        for term in [Term::int(src), Term::length(src)] {
            self.note(term, 0, term.of(dst));
            self.note(term.of(dst), 0, term);
        }
    }

    /// The distances noted from or to some terms.
    fn distances_with(&self, is_wanted: impl Fn(Term) -> bool) -> Distances {
        let all = self.distances.iter();
        let wanted = all.filter(|((low, high), _)| is_wanted(*low) || is_wanted(*high));
        wanted.collect()
    }

    /// What is known about the arguments in a call's window, about the registers that they are passed in.
    pub(super) fn passed(&self, window: u16, args: u16) -> Ranges {
        let name = |term: Term| {
            let place = term.register().checked_sub(window + 1)?;
            (place < args).then(|| term.of(place))
        };
        let mut passed = Ranges::default();
        for (term, interval) in self.intervals.iter() {
            if let Some(name) = name(term) {
                passed.intervals.push(name, interval);
            }
        }
        for ((low, high), by) in self.distances.iter() {
            if let Some((low, high)) = name(low).zip(name(high)) {
                passed.note(low, by, high);
            }
        }
        passed
    }

    /// A register is set to a number.
    pub(super) fn set_int(&mut self, register: u16, number: i64) {
        self.forget(register);
        self.intervals
            .insert(Term::int(register), Interval::only(number));
    }

    /// A register is set to a vector of so many elements.
    pub(super) fn set_made(&mut self, register: u16, length: i64) {
        self.forget(register);
        let interval = Interval::only(length);
        self.intervals.insert(Term::length(register), interval);
    }

    /// A register is set to the length of a vector.
    pub(super) fn set_length(&mut self, register: u16, vector: u16) {
        let interval = self.interval(Term::length(vector));
        self.forget(register);
        let int = Term::int(register);
        self.narrow(int, interval);
        if register != vector {
            self.assume(Fact::Distance(int, 0, Term::length(vector)));
            self.assume(Fact::Distance(Term::length(vector), 0, int));
        }
    }

    /// An element has been found: the index is within the vector.
    pub(super) fn found(&mut self, index: u16, vector: u16) {
        self.assume(Fact::Least(Term::int(index), 0));
        self.assume(Fact::Distance(Term::int(index), 1, Term::length(vector)));
    }

    /// A register is set to the result of an operation on Ints, which exists.
    pub(super) fn set_result(&mut self, op: &Arith) {
        let (dst, a, b) = operands(op);
        let is_division = matches!(
            op,
            Arith::Div { .. } | Arith::Quot { .. } | Arith::Rem { .. } | Arith::Mod { .. }
        );
        // Divisions by 0 and -1 are not done in native code.
        if is_division && self.knows(Fact::Least(Term::int(b), -1)) {
            self.assume(Fact::Least(Term::int(b), 1));
        }
        let (of_a, of_b) = (self.interval(Term::int(a)), self.interval(Term::int(b)));
        let before = match op {
            Arith::Add { .. } | Arith::Sub { .. } | Arith::Mod { .. } => {
                let is_operand = |term| term == Term::int(a) || term == Term::int(b);
                self.distances_with(is_operand)
            }
            _ => Distances::new(),
        };
        self.forget(dst);
        let int = Term::int(dst);
        match op {
            Arith::Add { .. } => {
                self.moved(&before, dst, a, of_b);
                self.moved(&before, dst, b, of_a);
            }
            Arith::Sub { .. } => {
                let by = of_b.most.checked_neg().zip(of_b.least.checked_neg());
                if let Some((least, most)) = by {
                    self.moved(&before, dst, a, Interval { least, most });
                }
            }
            Arith::Mod { .. } if of_b.least > 0 && dst != b => {
                self.assume(Fact::Distance(int, 1, Term::int(b)));
                for ((low, high), by) in before {
                    if low == Term::int(b) && high.register() != dst {
                        self.note(int, by.saturating_add(1), high);
                    }
                }
            }
            _ => {}
        }
        self.narrow(int, result(op, of_a, of_b));
    }

    /// What follows for a sum from the distances noted of one summand, when the other is in an interval.
    fn moved(&mut self, before: &Distances, dst: u16, a: u16, by: Interval) {
        let (sum, a) = (Term::int(dst), Term::int(a));
        for ((low, high), distance) in before {
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

    /// Whether nothing of this is lost where control comes from another place, too: whether `join` gives the
    /// same again.
    pub(super) fn holds_in(&self, other: &Ranges) -> bool {
        let mut intervals = self.intervals.iter();
        let mut tests = self.tests.beside(&other.tests);
        let mut distances = self.distances.beside(&other.distances);
        intervals.all(|(term, interval)| interval.join(other.interval(term)) == interval)
            && tests.all(|(_, test, others)| others == Some(test))
            && distances.all(|((low, high), by, others)| {
                let holds = others.is_some_and(|others| others >= by)
                    || other.distance_between(low, high) >= Some(by);
                holds && self.distance_between(low, high) < Some(by)
            })
    }

    /// What is known when control has come from one of two places.
    pub(super) fn join(&self, other: &Ranges) -> Ranges {
        let mut joined = Ranges::default();
        for (term, interval) in self.intervals.iter() {
            let interval = interval.join(other.interval(term));
            if interval != term.widest() {
                joined.intervals.push(term, interval);
            }
        }
        for ((low, high), by, others) in self.distances.beside(&other.distances) {
            if let Some(by) = self.distance_in_both(other, low, high, [Some(by), others]) {
                joined.distances.push((low, high), by);
            }
        }
        for ((low, high), by, mine) in other.distances.beside(&self.distances) {
            if mine.is_none()
                && joined.distances.len() < DISTANCES_MAX
                && let Some(by) = self.distance_in_both(other, low, high, [None, Some(by)])
            {
                joined.distances.insert((low, high), by);
            }
        }
        self.keep_indexes(other, &mut joined);
        for (register, test, others) in self.tests.beside(&other.tests) {
            if others == Some(test) {
                joined.tests.push(register, test);
            }
        }
        joined
    }

    /// Notes how far indexes are below lengths where that follows from where they lie at each of two places, but not
    /// from where they lie at either: so it is with an index and a vector of which no more is known than that it has
    /// the elements before.
    fn keep_indexes(&self, other: &Ranges, joined: &mut Ranges) {
        let differs = |term: Term| self.interval(term) != other.interval(term);
        let lengths = self.intervals.iter().chain(other.intervals.iter());
        let lengths = lengths.filter(|(term, _)| term.is_length() && differs(*term));
        let lengths: SmallVec<[Term; 4]> = lengths.map(|(term, _)| term).collect();
        let indexes = self.intervals.iter();
        let indexes = indexes.filter(|(term, _)| !term.is_length() && differs(*term));
        for (index, _) in indexes {
            for length in &lengths {
                let is_new = joined.distances.get((index, *length)).is_none();
                if is_new
                    && joined.distances.len() < DISTANCES_MAX
                    && let Some(by) = self.distance_in_both(other, index, *length, [None, None])
                    && by >= INDEX_DISTANCE_MIN
                {
                    joined.distances.insert((index, *length), by);
                }
            }
        }
    }

    /// The distance between two numbers that is kept at two places, where this much of it is noted, unless it
    /// follows from where they lie at either.
    fn distance_in_both(
        &self,
        other: &Ranges,
        low: Term,
        high: Term,
        noted: [Option<i64>; 2],
    ) -> Option<i64> {
        let lows = [self.interval(low), other.interval(low)];
        let highs = [self.interval(high), other.interval(high)];
        let [a, b] = [0, 1].map(|place| lows[place].distance_to(highs[place]).max(noted[place]));
        let by = a.min(b)?;
        let follows = lows[0].join(lows[1]).distance_to(highs[0].join(highs[1]));
        (by >= DISTANCE_MIN && follows < Some(by)).then_some(by)
    }

    /// What is kept of facts that go on becoming weaker from one look at a loop to the next: bounds fall back
    /// to the next of some numbers, in ascending order, and distances are given up.
    pub(super) fn widened(mut self, before: &Ranges, steps: &[i64]) -> Ranges {
        for (term, interval) in self.intervals.iter_mut() {
            let old = before.interval(term);
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
            .retain(|term, interval| interval != term.widest());
        let weaker = |(low, high), by| before.distance(low, high).is_some_and(|old| by < old);
        self.distances.retain(|terms, by| !weaker(terms, by));
        self
    }
}
