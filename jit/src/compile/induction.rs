//! How large Ints and vectors are, block by block, to a fixed point: what makes tests of overflow and of
//! indexes unnecessary in loops.
//!
//! Facts are found along all ways through a function, those included on which the interpreter goes on for a
//! while. Where a bound that a loop does not change would prove more, it is taken to hold: that is tested
//! once, on the way into the loop. Every other way into a loop, from the interpreter, tests all facts.

use std::collections::{BTreeMap, BTreeSet};

use pw_isa::op::{Access, Arith, Control, Data, Op};

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

/// A fact that is tested on the way into a loop, by the number of its block.
type Assumed = (usize, Fact);

impl Evidence<'_> {
    /// What is known at the start of each block of a part, given what is known about the arguments.
    pub(super) fn ranges(&self, part: &Part, entry: &Ranges) -> Vec<Ranges> {
        let Optimizations { elide, hoist, .. } = self.planner.optimizations;
        if !elide {
            return vec![Ranges::default(); self.place.blocks.all.len()];
        }
        let way = Compiled {
            types: &part.types,
            effects: part.effects(self),
        };
        let free = self.solve_ranges(&way, entry, &[]);
        if !hoist {
            return free;
        }
        self.with_worthwhile(&way, entry, free)
    }

    fn solve_ranges(&self, way: &Compiled<'_>, entry: &Ranges, assumed: &[Assumed]) -> Vec<Ranges> {
        let blocks = &self.place.blocks.all;
        let mut at_start: Vec<Option<Ranges>> = vec![None; blocks.len()];
        let mut looks = vec![0; blocks.len()];
        at_start[0] = Some(self.at_block(0, entry.clone(), way, assumed));
        let mut open = BTreeSet::from([0]);
        while let Some(number) = open.pop_first() {
            let Some(from) = at_start[number].clone() else {
                continue;
            };
            for (to, known) in self.leaving(number, from, way) {
                let known = self.at_block(to, known, way, assumed);
                let Some(before) = &at_start[to] else {
                    at_start[to] = Some(known);
                    open.insert(to);
                    continue;
                };
                looks[to] += 1;
                let is_free = assumed.iter().all(|(of, _)| *of != to);
                if is_free && looks[to] <= LOOKS_MAX && before.holds_in(&known) {
                    continue;
                }
                let mut joined = before.join(&known);
                if looks[to] > LOOKS_MAX {
                    joined = Ranges::default();
                } else if looks[to] > LOOKS_FREE && blocks[to].is_header {
                    joined = joined.widened(before, &way.effects.bounds);
                }
                assume(&mut joined, to, assumed);
                if joined != *before {
                    at_start[to] = Some(joined);
                    open.insert(to);
                }
            }
        }
        at_start
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect()
    }

    /// What is kept of what is known on the way to a block: facts about live registers; in loops only
    /// those that a way from the interpreter can test.
    fn at_block(
        &self,
        number: usize,
        mut known: Ranges,
        way: &Compiled<'_>,
        assumed: &[Assumed],
    ) -> Ranges {
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
        assume(&mut known, number, assumed);
        known
    }

    /// Whether facts about a loop have turned out wrong too often.
    fn is_given_up(&self, header: usize) -> bool {
        self.is_generic(self.place.blocks.all[header].start)
    }

    /// The blocks that one goes on to, and what is known on the way.
    fn leaving<'e>(
        &'e self,
        number: usize,
        mut known: Ranges,
        way: &Compiled<'_>,
    ) -> impl Iterator<Item = (usize, Ranges)> + use<'e> {
        let block = &self.place.blocks.all[number];
        for pc in block.start..block.end {
            way.effects.step(pc, &mut known);
        }
        let branch = match self.function.code[block.end as usize - 1] {
            Op::Control(Control::BranchIf { test, .. }) => Some((test.0, true)),
            Op::Control(Control::BranchUnless { test, .. }) => Some((test.0, false)),
            _ => None,
        };
        block.next.iter().enumerate().map(move |(way, to)| {
            let mut leaving = match way + 1 < block.next.len() {
                true => known.clone(),
                false => std::mem::take(&mut known),
            };
            if let Some((test, taken)) = branch {
                leaving.branch(test, taken == (way == 0));
            }
            (*to, leaving)
        })
    }

    /// The tests in these blocks that what is known does not make unnecessary, by pc.
    fn tests_left(&self, inside: &[usize], way: &Compiled<'_>, ranges: &[Ranges]) -> BTreeSet<u32> {
        let mut left = BTreeSet::new();
        for number in inside {
            let mut known = ranges[*number].clone();
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
        mut ranges: Vec<Ranges>,
    ) -> Vec<Ranges> {
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
            let best = fewest(tried, left.len(), |facts| {
                let more = facts.iter().map(|fact| (header, *fact));
                let all: Vec<Assumed> = assumed.iter().copied().chain(more).collect();
                let outcome = self.solve_ranges(way, entry, &all);
                let left = self.tests_left(&inside, way, &outcome).len();
                let stays = self.staying(header, &inside, way, &outcome, facts);
                Look {
                    outcome,
                    left,
                    stays,
                }
            });
            if let Some((facts, outcome)) = best {
                ranges = outcome;
                assumed.extend(facts.into_iter().map(|fact| (header, fact)));
            }
        }
        ranges
    }

    /// The facts assumed of a loop that hold at the end of each of its rounds without a test.
    fn staying(
        &self,
        header: usize,
        inside: &[usize],
        way: &Compiled<'_>,
        ranges: &[Ranges],
        facts: &[Fact],
    ) -> Vec<Fact> {
        let back: Vec<Ranges> = inside
            .iter()
            .flat_map(|number| self.leaving(*number, ranges[*number].clone(), way))
            .filter_map(|(to, known)| (to == header).then_some(known))
            .collect();
        let stays = |fact: &&Fact| back.iter().all(|known| known.knows(**fact));
        facts.iter().filter(stays).copied().collect()
    }

    /// Facts that could make tests in a loop unnecessary: that an index is within a vector, that a bound which
    /// the loop compares with is, that what is compared begins below the bound, and that it begins at 0 or above.
    fn candidates(
        &self,
        header: usize,
        inside: &[usize],
        way: &Compiled<'_>,
        ranges: &[Ranges],
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
                add(Fact::Distance(Term::Int(index), 1, Term::Length(vector)));
            }
        }
        for ([a, b], is_equality) in compared {
            for (bound, other) in [(b, a), (a, b)] {
                if written.contains(&bound) {
                    continue;
                }
                for vector in vectors.difference(&written) {
                    add(Fact::Distance(Term::Int(bound), 0, Term::Length(*vector)));
                }
                if is_equality {
                    add(Fact::Distance(Term::Int(other), 0, Term::Int(bound)));
                }
            }
            for register in [a, b] {
                add(Fact::Least(Term::Int(register), 0));
            }
        }
        candidates
    }
}

/// How the instructions of a function are compiled, and what they do.
struct Compiled<'a> {
    types: &'a Types,
    effects: &'a Effects,
}

/// Adds the facts that ways into a block guarantee.
fn assume(known: &mut Ranges, block: usize, assumed: &[Assumed]) {
    let of_block = assumed.iter().filter(|(of, _)| *of == block);
    of_block.for_each(|(_, fact)| known.assume(*fact));
}

/// What comes of facts that are assumed of a loop.
struct Look {
    outcome: Vec<Ranges>,
    /// How many tests are left.
    left: usize,
    /// Which of the facts stay so in all rounds.
    stays: Vec<Fact>,
}

/// Of some facts those that together leave the fewest tests, none of which could be done without, and what comes
/// of them. `left` are the tests without any.
fn fewest(
    mut facts: Vec<Fact>,
    left: usize,
    look: impl Fn(&[Fact]) -> Look,
) -> Option<(Vec<Fact>, Vec<Ranges>)> {
    let mut best = loop {
        let look = look(&facts);
        if look.left >= left {
            return None;
        }
        if look.stays.len() == facts.len() {
            break look;
        }
        facts = look.stays;
    };
    for fact in facts.clone() {
        let fewer: Vec<Fact> = facts.iter().copied().filter(|f| *f != fact).collect();
        let look = look(&fewer);
        if look.left == best.left && look.stays.len() == fewer.len() {
            (facts, best) = (fewer, look);
        }
    }
    Some((facts, best.outcome))
}

/// Whether native code can test a fact about a register of this type.
fn is_testable(term: Term, known: Type) -> bool {
    match term {
        Term::Int(_) => known == Type::Int,
        Term::Length(_) => known.elements().is_some(),
    }
}
