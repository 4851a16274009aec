//! How large Ints and vectors are, block by block, to a fixed point: what makes tests of overflow and of
//! indexes unnecessary in loops.
//!
//! Facts are found along all ways through a function, those included on which the interpreter goes on for a
//! while. Where a bound that a loop does not change would prove more, it is taken to hold: that is tested
//! once, on the way into the loop. Every other way into a loop, from the interpreter, tests all facts.

use std::collections::{BTreeMap, BTreeSet};

use pw_isa::op::{Access, Arith, Compare, Control, Data, Function as Call, Op};

use super::plans::reads;
use super::ranges::{Fact, Ranges, Term, Test};
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
    /// What is known at the start of each block, given what is known about the arguments.
    pub(super) fn ranges(&self, types: &Types, entry: &Ranges) -> Vec<Ranges> {
        let Optimizations { elide, hoist, .. } = self.planner.optimizations;
        if !elide {
            return vec![Ranges::default(); self.place.blocks.all.len()];
        }
        let way = self.compiled(types);
        let free = self.solve_ranges(&way, entry, &[]);
        if !hoist {
            return free;
        }
        self.with_worthwhile(&way, entry, free)
    }

    /// How the instructions are compiled, and which of them vectors may have other lengths behind.
    fn compiled<'a>(&self, types: &'a Types) -> Compiled<'a> {
        let count = self.function.code.len();
        let mut compiled = Compiled {
            types,
            plans: vec![Plan::Exit; count],
            resizes: vec![true; count],
        };
        for (block, at_start) in self.place.blocks.all.iter().zip(&types.at_start) {
            let Some(mut now) = at_start.clone() else {
                continue;
            };
            for pc in block.start..block.end {
                let plan = types.plans[pc as usize];
                compiled.plans[pc as usize] = plan;
                if plan == Plan::Exit {
                    break;
                }
                compiled.resizes[pc as usize] = self.resizes(pc, plan, &now);
                self.step(pc, &mut now);
            }
        }
        compiled
    }

    /// Whether vectors may have other lengths behind an instruction.
    pub(super) fn resizes(&self, pc: u32, plan: Plan, types: &[Type]) -> bool {
        let op = &self.function.code[pc as usize];
        let only_allocates = matches!(
            op,
            Op::Data(Data::Cons { .. }) | Op::Function(Call::Cell { .. } | Call::Closure { .. })
        );
        plan == Plan::Exit || !only_allocates && self.moves(pc, plan, types)
    }

    fn solve_ranges(&self, way: &Compiled<'_>, entry: &Ranges, assumed: &[Assumed]) -> Vec<Ranges> {
        let blocks = &self.place.blocks.all;
        let steps = self.steps();
        let mut at_start: Vec<Option<Ranges>> = vec![None; blocks.len()];
        let mut looks = vec![0; blocks.len()];
        at_start[0] = Some(self.at_block(0, entry.clone(), way, assumed));
        let mut open = BTreeSet::from([0]);
        while let Some(number) = open.pop_first() {
            let Some(from) = &at_start[number] else {
                continue;
            };
            for (to, known) in self.leaving(number, from.clone(), way) {
                let known = self.at_block(to, known, way, assumed);
                let Some(before) = &at_start[to] else {
                    at_start[to] = Some(known);
                    open.insert(to);
                    continue;
                };
                let mut joined = before.join(&known);
                looks[to] += 1;
                if looks[to] > LOOKS_MAX {
                    joined = Ranges::default();
                } else if looks[to] > LOOKS_FREE && blocks[to].is_header {
                    joined = joined.widened(before, &steps);
                }
                joined = self.at_block(to, joined, way, assumed);
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

    /// The numbers that bounds are likely to settle at, in ascending order.
    fn steps(&self) -> Vec<i64> {
        let widest = Term::Length(0);
        let length_max = Ranges::default().interval(widest).most;
        let mut steps = BTreeSet::from([-1, 0, 1, length_max]);
        for op in &self.function.code {
            if let Op::Data(Data::Int { value, .. }) = op {
                let around = [
                    value.0.saturating_sub(1),
                    value.0,
                    value.0.saturating_add(1),
                ];
                steps.extend(around);
            }
        }
        steps.into_iter().collect()
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
        let at_start = way.types.at_start[number].as_deref();
        if block.is_header {
            if self.is_given_up(number) {
                return Ranges::default();
            }
            known.keep(|term| {
                let register = term.register();
                let known = at_start.map_or(Type::Any, |types| types[usize::from(register)]);
                live.is_live(block.start, register) && is_testable(term, known)
            });
        } else {
            known.keep(|term| live.is_live(block.start, term.register()));
        }
        for (_, fact) in assumed.iter().filter(|(of, _)| *of == number) {
            known.assume(*fact);
        }
        known
    }

    /// Whether facts about a loop have turned out wrong too often.
    fn is_given_up(&self, header: usize) -> bool {
        let start = self.place.blocks.all[header].start;
        let feedback = self.planner.feedback;
        feedback.is_generic(self.place.number(), start)
    }

    /// The blocks that one goes on to, and what is known on the way.
    fn leaving(
        &self,
        number: usize,
        mut known: Ranges,
        way: &Compiled<'_>,
    ) -> Vec<(usize, Ranges)> {
        let block = &self.place.blocks.all[number];
        for pc in block.start..block.end {
            let (plan, resizes) = way.at(pc);
            self.step_ranges(pc, plan, resizes, &mut known);
        }
        let branch = match self.function.code[block.end as usize - 1] {
            Op::Control(Control::BranchIf { test, .. }) => Some((test.0, true)),
            Op::Control(Control::BranchUnless { test, .. }) => Some((test.0, false)),
            _ => None,
        };
        let ways = block.next.iter().enumerate().map(|(way, to)| {
            let mut known = known.clone();
            if let Some((test, taken)) = branch {
                known.branch(test, taken == (way == 0));
            }
            (*to, known)
        });
        ways.collect()
    }

    /// What an instruction does to what is known.
    pub(super) fn step_ranges(&self, pc: u32, plan: Plan, resizes: bool, known: &mut Ranges) {
        if !self.planner.optimizations.elide {
            return;
        }
        let op = self.function.code[pc as usize];
        match (op, plan) {
            (Op::Data(Data::Move { dst, src }), _) => known.copy(dst.0, src.0),
            (Op::Data(Data::Int { dst, value }), _) => known.set_int(dst.0, value.0),
            (Op::Data(Data::VectorLength { dst, vector }), Plan::Object(_)) => {
                known.set_length(dst.0, vector.0);
            }
            (Op::Data(Data::VectorRef { dst, vector, index }), Plan::Elements(_)) => {
                known.found(index.0, vector.0);
                known.forget(dst.0);
            }
            (Op::Data(Data::VectorSet { vector, index, .. }), Plan::Elements(_)) => {
                known.found(index.0, vector.0);
            }
            (Op::Arith(op), Plan::Ints) => known.set_result(&op),
            (Op::Compare(op), Plan::Ints) => known.set_test(written(&op), Test::of(&op)),
            (Op::Compare(Compare::Not { dst, a }), _) => {
                let test = known.opposite(a.0);
                known.set_test(dst.0, test);
            }
            _ => op.accesses(|access| match access {
                Access::Write(register) => known.forget(register),
                Access::Clobber(first) => {
                    (first..self.function.registers).for_each(|register| known.forget(register));
                }
                Access::Read { .. } => {}
            }),
        }
        if resizes {
            known.forget_lengths();
        }
    }

    /// The tests in these blocks that what is known does not make unnecessary, by pc.
    fn tests_left(&self, inside: &[usize], way: &Compiled<'_>, ranges: &[Ranges]) -> BTreeSet<u32> {
        let mut left = BTreeSet::new();
        for number in inside {
            let mut known = ranges[*number].clone();
            let block = &self.place.blocks.all[*number];
            for pc in block.start..block.end {
                let (plan, resizes) = way.at(pc);
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
                self.step_ranges(pc, plan, resizes, &mut known);
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
            let solve = |facts: &[Fact]| {
                let more = facts.iter().map(|fact| (header, *fact));
                let all: Vec<Assumed> = assumed.iter().copied().chain(more).collect();
                self.solve_ranges(way, entry, &all)
            };
            let facts = fewest(tried, left.len(), |facts| {
                let outcome = solve(facts);
                let left = self.tests_left(&inside, way, &outcome).len();
                let stays = self.staying(header, &inside, way, &outcome, facts);
                (left, stays)
            });
            if !facts.is_empty() {
                ranges = solve(&facts);
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
            match (op, way.plans[pc as usize]) {
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

/// How the instructions of a function are compiled.
struct Compiled<'a> {
    types: &'a Types,
    /// By pc; where control does not come in native code, the interpreter goes on.
    plans: Vec<Plan>,
    /// By pc: whether vectors may have other lengths behind it.
    resizes: Vec<bool>,
}

impl Compiled<'_> {
    /// The plan of an instruction, and whether vectors may have other lengths behind it.
    fn at(&self, pc: u32) -> (Plan, bool) {
        (self.plans[pc as usize], self.resizes[pc as usize])
    }
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
        let fewer: Vec<Fact> = facts.iter().copied().filter(|f| *f != fact).collect();
        let (without, stays) = look(&fewer);
        if without == rest && stays.len() == fewer.len() {
            facts = fewer;
        }
    }
    facts
}

/// Whether native code can test a fact about a register of this type.
fn is_testable(term: Term, known: Type) -> bool {
    match term {
        Term::Int(_) => known == Type::Int,
        Term::Length(_) => known.elements().is_some(),
    }
}

/// The register that a comparison writes.
fn written(op: &Compare) -> u16 {
    match op {
        Compare::Eq { dst, .. }
        | Compare::Equal { dst, .. }
        | Compare::NumEq { dst, .. }
        | Compare::NumNe { dst, .. }
        | Compare::Lt { dst, .. }
        | Compare::Le { dst, .. }
        | Compare::Gt { dst, .. }
        | Compare::Ge { dst, .. }
        | Compare::Not { dst, .. }
        | Compare::Is { dst, .. } => dst.0,
    }
}
