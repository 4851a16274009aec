//! How large Ints and vectors are, block by block, to a fixed point: what makes tests of overflow and of
//! indexes unnecessary in loops.
//!
//! Facts are found along all ways through a function, those included on which the interpreter goes on for a
//! while. Where a bound that a loop does not change would prove more, it is taken to hold: that is tested
//! once, on the way into the loop. Every other way into a loop, from the interpreter, tests all facts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use pw_isa::op::{Access, Arith, Control, Data, Op};
use smallvec::SmallVec;

use super::effects::Effects;
use super::facts::{Fact, Term, Test};
use super::parts::Part;
use super::plans::reads;
use super::ranges::Ranges;
use super::types::{Evidence, Plan, Type, Types};
use crate::tier::Optimizations;

/// Looks at a block before its facts are made to settle, and before they are given up.
const LOOKS_FREE: u32 = 3;
const LOOKS_MAX: u32 = 40;
/// Facts that are tried for one loop.
const TRIED_MAX: usize = 8;
/// The same, times the instructions of the function.
const TRIED_WORK: usize = 1_500;
/// What is remembered about one block.
const MEMO_MAX: usize = 16;

/// A fact that is tested on the way into a loop, by the number of its block.
type Assumed = (usize, Fact);

/// A block that one goes on to, and what is known there.
type Leaving = (usize, Rc<Ranges>);

/// What was known at the start of a block, and what came of that.
type Remembered = (Rc<Ranges>, Rc<[Leaving]>);

impl Evidence<'_> {
    /// What is known at the start of each block of a part, given what is known about the arguments.
    pub(super) fn ranges(&self, part: &Part, entry: &Ranges) -> Vec<Rc<Ranges>> {
        let Optimizations { elide, hoist, .. } = self.planner.optimizations;
        if !elide {
            return vec![Rc::default(); self.place.blocks.all.len()];
        }
        let way = Compiled {
            types: &part.types,
            effects: part.effects(self),
            raises_at: &part.raises_at,
            moves_at: &part.moves_at,
            memo: RefCell::new(vec![Vec::new(); self.place.blocks.all.len()]),
        };
        if !hoist {
            return self.solve_ranges(&way, entry, &[]);
        }
        let entry = &self.with_lengths(part, entry);
        let free = self.solve_ranges(&way, entry, &[]);
        self.with_worthwhile(&way, entry, free)
    }

    /// What is known at the start of each block, to the fixed point.
    fn solve_ranges(
        &self,
        way: &Compiled<'_>,
        entry: &Ranges,
        assumed: &[Assumed],
    ) -> Vec<Rc<Ranges>> {
        let first = Rc::new(self.at_block(0, entry.clone(), way));
        self.solve_from((0, first), way, assumed, |_| true)
    }

    /// The same for the blocks that are wanted, as if they were only come to through this one.
    fn solve_from(
        &self,
        (from, known): Leaving,
        way: &Compiled<'_>,
        assumed: &[Assumed],
        is_wanted: impl Fn(usize) -> bool,
    ) -> Vec<Rc<Ranges>> {
        let blocks = &self.place.blocks.all;
        let mut at_start: Vec<Option<Rc<Ranges>>> = vec![None; blocks.len()];
        let mut looks = vec![0; blocks.len()];
        at_start[from] = Some(assuming(known, from, assumed));
        let mut open = BTreeSet::from([from]);
        while let Some(number) = open.pop_first() {
            let Some(from) = &at_start[number] else {
                continue;
            };
            let leaving = self.leaving(number, from, way);
            for (to, known) in leaving.iter().filter(|(to, _)| is_wanted(*to)) {
                let now = match &at_start[*to] {
                    None => assuming(Rc::clone(known), *to, assumed),
                    // No other way leads there: what is known follows from what is at its start, which settles itself.
                    Some(_) if self.place.blocks.only_way_to(*to).is_some() => Rc::clone(known),
                    Some(before) => {
                        looks[*to] += 1;
                        let is_free = assumed.iter().all(|(of, _)| of != to);
                        if is_free && looks[*to] <= LOOKS_MAX && before.holds_in(known) {
                            continue;
                        }
                        let joined = self.joined(before, known, (*to, looks[*to]), way);
                        assuming(Rc::new(joined), *to, assumed)
                    }
                };
                if at_start[*to].as_ref() != Some(&now) {
                    at_start[*to] = Some(now);
                    open.insert(*to);
                }
            }
        }
        at_start
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect()
    }

    /// What is known at a block where control has come on one more way, at a look of this number.
    fn joined(
        &self,
        before: &Ranges,
        known: &Ranges,
        (to, look): (usize, u32),
        way: &Compiled<'_>,
    ) -> Ranges {
        if look > LOOKS_MAX {
            return Ranges::default();
        }
        let joined = before.join(known);
        if look > LOOKS_FREE && self.place.blocks.all[to].is_header {
            return joined.widened(before, &way.effects.bounds);
        }
        joined
    }

    /// What is kept of what is known on the way to a block: facts about live registers; in loops only
    /// those that a way from the interpreter can test.
    fn at_block(&self, number: usize, mut known: Ranges, way: &Compiled<'_>) -> Ranges {
        let block = &self.place.blocks.all[number];
        let live = self.planner.program.live(self.place.number());
        let row = live.row(block.start);
        let is_live = |register: u16| row[usize::from(register) / 64] & 1 << (register % 64) != 0;
        if block.is_header {
            if self.is_given_up(number) {
                return Ranges::default();
            }
            let at_start = way.types.at_start[number].as_deref();
            known.keep(|term| {
                let register = term.register();
                let known = at_start.map_or(Type::Any, |types| types[usize::from(register)]);
                is_live(register) && is_testable(term, known)
            });
        } else {
            known.keep(|term| is_live(term.register()));
        }
        known
    }

    /// Whether facts about a loop have turned out wrong too often.
    fn is_given_up(&self, header: usize) -> bool {
        self.is_generic(self.place.blocks.all[header].start)
    }

    /// The blocks that one goes on to, and what is kept of what is known on the way. Loops are looked at again and
    /// again under assumptions that change little: much has been found before.
    fn leaving(&self, number: usize, from: &Rc<Ranges>, way: &Compiled<'_>) -> Rc<[Leaving]> {
        let mut memo = way.memo.borrow_mut();
        let memo = &mut memo[number];
        if let Some((_, leaving)) = memo.iter().rev().find(|(known, _)| known == from) {
            return Rc::clone(leaving);
        }
        let leaving = self.leave(number, from, way);
        if memo.len() == MEMO_MAX {
            memo.clear();
        }
        memo.push((Rc::clone(from), Rc::clone(&leaving)));
        leaving
    }

    fn leave(&self, number: usize, from: &Ranges, way: &Compiled<'_>) -> Rc<[Leaving]> {
        let block = &self.place.blocks.all[number];
        let mut known = from.clone();
        let mut raised: BTreeMap<usize, Ranges> = BTreeMap::new();
        for pc in block.start..block.end {
            if way.raises_at[pc as usize]
                && let Some(handler) = self.handler(pc)
            {
                let mut leaving = known.clone();
                let moves = way.moves_at[pc as usize];
                handler.receive_ranges(&mut leaving, self.changes_before_raising(pc, moves));
                let joined = raised.get(&handler.block).map(|known| known.join(&leaving));
                raised.insert(handler.block, joined.unwrap_or(leaving));
            }
            way.effects.step(pc, &mut known);
        }
        let branch = match self.function.code[block.end as usize - 1] {
            Op::Control(Control::BranchIf { test, .. }) => Some((test.0, true)),
            Op::Control(Control::BranchUnless { test, .. }) => Some((test.0, false)),
            _ => None,
        };
        let ways = block.next.iter().enumerate().map(|(place, to)| {
            let mut leaving = known.clone();
            if let Some((test, taken)) = branch {
                leaving.branch(test, taken == (place == 0));
            }
            (*to, Rc::new(self.at_block(*to, leaving, way)))
        });
        let raised = raised
            .into_iter()
            .map(|(to, leaving)| (to, Rc::new(self.at_block(to, leaving, way))));
        ways.chain(raised).collect()
    }

    /// The tests in these blocks that what is known does not make unnecessary, by pc.
    fn tests_left(
        &self,
        inside: &[usize],
        way: &Compiled<'_>,
        ranges: &[Rc<Ranges>],
    ) -> BTreeSet<u32> {
        let mut left = BTreeSet::new();
        for number in inside {
            let mut known = Ranges::clone(&ranges[*number]);
            let block = &self.place.blocks.all[*number];
            for pc in block.start..block.end {
                let plan = way.types.plans[pc as usize];
                let is_tested = match (self.function.code[pc as usize], plan) {
                    (
                        Op::Data(
                            Data::VectorRef { vector, index, .. }
                            | Data::VectorSet { vector, index, .. },
                        ),
                        Plan::Elements(_),
                    ) => !known.is_within(index.0, vector.0),
                    (
                        Op::Arith(op @ (Arith::Add { .. } | Arith::Sub { .. } | Arith::Mul { .. })),
                        Plan::Ints,
                    ) => !known.fits(&op),
                    _ => false,
                };
                if is_tested {
                    left.insert(pc);
                }
                way.effects.step(pc, &mut known);
            }
        }
        left
    }

    /// What is known with the facts that are worth a test on the way into a loop, the outermost loops first.
    fn with_worthwhile(
        &self,
        way: &Compiled<'_>,
        entry: &Ranges,
        mut ranges: Vec<Rc<Ranges>>,
    ) -> Vec<Rc<Ranges>> {
        let mut assumed: Vec<Assumed> = Vec::new();
        for (header, block) in self.place.blocks.all.iter().enumerate() {
            let is_compiled = way.types.at_start[header].is_some();
            if !block.is_header || !is_compiled || self.is_given_up(header) {
                continue;
            }
            let inside = self.place.blocks.of_loop(header);
            let left = self.tests_left(&inside, way, &ranges);
            let mut tried = self.candidates(header, &inside, way, &ranges, &left);
            tried.truncate(TRIED_MAX.min(TRIED_WORK / self.function.code.len()));
            if tried.is_empty() {
                continue;
            }
            let with = |facts: &[Fact]| -> Vec<Assumed> {
                let more = facts.iter().map(|fact| (header, *fact));
                assumed.iter().copied().chain(more).collect()
            };
            let is_inside = |block: usize| inside.binary_search(&block).is_ok();
            // What comes before its header is inside when there are other ways into the loop.
            let into = (inside[0] == header)
                .then(|| self.on_the_way_into(header, &inside, way, (entry, &ranges)));
            let facts = fewest(tried, left.len(), |facts| {
                let outcome = match &into {
                    Some(into) => {
                        let into = (header, Rc::clone(into));
                        self.solve_from(into, way, &with(facts), is_inside)
                    }
                    None => self.solve_ranges(way, entry, &with(facts)),
                };
                let left = self.tests_left(&inside, way, &outcome).len();
                let stays = self.staying(header, &inside, way, &outcome, facts);
                (left, stays)
            });
            if !facts.is_empty() {
                assumed = with(&facts);
                ranges = self.solve_ranges(way, entry, &assumed);
            }
        }
        ranges
    }

    /// What is known where control comes into a loop from outside of it, when so much is known at the entry and at the
    /// start of each block.
    fn on_the_way_into(
        &self,
        header: usize,
        inside: &[usize],
        way: &Compiled<'_>,
        (entry, ranges): (&Ranges, &[Rc<Ranges>]),
    ) -> Rc<Ranges> {
        let beginning = (header == 0).then(|| Rc::new(self.at_block(0, entry.clone(), way)));
        let outside = (0..ranges.len()).filter(|number| inside.binary_search(number).is_err());
        let leaving = outside.flat_map(|number| {
            let leaving = self.leaving(number, &ranges[number], way);
            let into = leaving.iter().filter(|(to, _)| *to == header);
            let into = into.map(|(_, known)| Rc::clone(known));
            into.collect::<SmallVec<[_; 2]>>()
        });
        let into = beginning.into_iter().chain(leaving);
        let joined = into.reduce(|known, more| Rc::new(known.join(&more)));
        joined.unwrap_or_default()
    }

    /// The facts assumed of a loop that hold at the end of each of its rounds without a test.
    fn staying(
        &self,
        header: usize,
        inside: &[usize],
        way: &Compiled<'_>,
        ranges: &[Rc<Ranges>],
        facts: &[Fact],
    ) -> Vec<Fact> {
        let mut stays = facts.to_vec();
        for number in inside {
            let leaving = self.leaving(*number, &ranges[*number], way);
            for (_, known) in leaving.iter().filter(|(to, _)| *to == header) {
                stays.retain(|fact| known.knows(*fact));
            }
        }
        stays
    }

    /// Facts that could make tests in a loop unnecessary: that an index is within a vector, that a bound which
    /// the loop compares with is, that what is compared begins below the bound, and that it begins at 0 or above.
    fn candidates(
        &self,
        header: usize,
        inside: &[usize],
        way: &Compiled<'_>,
        ranges: &[Rc<Ranges>],
        left: &BTreeSet<u32>,
    ) -> Vec<Fact> {
        let Some(at_start) = &way.types.at_start[header] else {
            return Vec::new();
        };
        let mut written = BTreeSet::new();
        let mut compared = BTreeMap::new();
        let mut vectors = BTreeSet::new();
        let mut indexes = BTreeSet::new();
        for pc in inside.iter().flat_map(|number| {
            let block = &self.place.blocks.all[*number];
            block.start..block.end
        }) {
            let op = self.function.code[pc as usize];
            match (op, way.types.plans[pc as usize]) {
                (Op::Compare(op), Plan::Ints) => {
                    if let Some(test) = Test::of(&op) {
                        compared.insert(test.registers(), test.is_equality());
                    }
                }
                (Op::Data(_), Plan::Elements(_)) if left.contains(&pc) => {
                    let operands = reads(&op);
                    vectors.insert(operands[0]);
                    indexes.insert((operands[1], operands[0]));
                }
                _ => {}
            }
            op.accesses(|access| match access {
                Access::Write(register) => drop(written.insert(register)),
                Access::Clobber(first) => written.extend(first..self.function.registers),
                Access::Read { .. } => {}
            });
        }
        if left.is_empty() {
            return Vec::new();
        }
        let live = self.planner.program.live(self.place.number());
        let start = self.place.blocks.all[header].start;
        let mut candidates = Vec::new();
        let mut add = |fact: Fact| {
            let is_possible = fact.terms().all(|term| {
                let register = term.register();
                live.is_live(start, register) && is_testable(term, at_start[usize::from(register)])
            });
            if is_possible && !ranges[header].knows(fact) && !candidates.contains(&fact) {
                candidates.push(fact);
            }
        };
        for (index, vector) in indexes {
            if !written.contains(&vector) {
                add(Fact::Distance(Term::int(index), 1, Term::length(vector)));
            }
        }
        for ([a, b], is_equality) in compared {
            for (bound, other) in [(b, a), (a, b)] {
                if written.contains(&bound) {
                    continue;
                }
                for vector in vectors.difference(&written) {
                    add(Fact::Distance(Term::int(bound), 0, Term::length(*vector)));
                }
                if is_equality {
                    add(Fact::Distance(Term::int(other), 0, Term::int(bound)));
                }
            }
            for register in [a, b] {
                add(Fact::Least(Term::int(register), 0));
            }
        }
        candidates
    }
}

/// How the instructions of a function are compiled, and what they do.
struct Compiled<'a> {
    types: &'a Types,
    effects: &'a Effects,
    /// By pc: whether native code raises there, and objects may move.
    raises_at: &'a [bool],
    moves_at: &'a [bool],
    /// By block.
    memo: RefCell<Vec<Vec<Remembered>>>,
}

/// With the facts that ways into a block guarantee.
fn assuming(mut known: Rc<Ranges>, block: usize, assumed: &[Assumed]) -> Rc<Ranges> {
    for (_, fact) in assumed.iter().filter(|(of, _)| *of == block) {
        Rc::make_mut(&mut known).assume(*fact);
    }
    known
}

/// Of some facts those that together leave the fewest tests, none of which could be done without. `look` says
/// how many tests are left with some of them, and which of these stay so in all rounds.
fn fewest(
    mut facts: Vec<Fact>,
    left: usize,
    look: impl Fn(&[Fact]) -> (usize, Vec<Fact>),
) -> Vec<Fact> {
    let rest = loop {
        let (rest, stays) = look(&facts);
        if rest >= left {
            return Vec::new();
        }
        if stays.len() == facts.len() {
            break rest;
        }
        facts = stays;
    };
    for fact in facts.clone() {
        // The last one is needed: without any fact more tests were left.
        if facts.len() > 1 {
            let fewer: Vec<Fact> = facts.iter().copied().filter(|f| *f != fact).collect();
            let (without, stays) = look(&fewer);
            if without == rest && stays.len() == fewer.len() {
                facts = fewer;
            }
        }
    }
    facts
}

/// Whether native code can test a fact about a register of this type.
fn is_testable(term: Term, known: Type) -> bool {
    match term.is_length() {
        false => known == Type::Int,
        true => known.elements().is_some(),
    }
}
