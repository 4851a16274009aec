//! What is known about the registers of a function, and what is guessed: the kinds of their values before
//! each instruction, from what instructions write and from the profile.
//!
//! An operation on numbers whose operands were always of one kind is compiled for that kind, behind
//! guards; from there on the kind is known. Where a guess would be made again and again about a value
//! that does not change, it is made once: on the way into the loop, or at the function's entry.

use std::rc::Rc;

use pw_isa::op::{Access, Control, Op};
use pw_isa::{Function, Kind, KindSet};

use super::arguments::narrow;
use super::blocks::Block;
use super::feedback::FunctionFeedback;
use super::parts::{PartPlace, Planner};
use super::plans::{Few, guarded, moves};
use super::shapes::Shape;
use crate::fiber::arena::Elements;
use crate::interp::profile::Site;
use crate::value::{CONSTANT, Value};

/// What was seen at an instruction that has not run.
static UNSEEN: Site = Site::UNSEEN;

/// What is known about a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Type {
    /// Nothing.
    #[default]
    Any,
    /// An Int or a Float: each has a variable of its own, so that a sum of both does not go from one to the other.
    Number,
    Int,
    Float,
    Bool,
    /// This Bool.
    Truth(bool),
    Nil,
    /// The String or Symbol that stands at this place among the program's constants.
    Text(Kind, u32),
    /// An object of this kind in the actor's own arena.
    Object(Kind),
    /// A vector in the arena with these elements. Where they stand and how many there are is at hand, as long
    /// as nothing has moved.
    Vector(Elements),
    /// The same, and what marks its cards is at hand, too.
    Written(Elements),
    /// A closure in the arena of this function of the program.
    Closure(u32),
    /// This function of the program as a value, which is a constant.
    Function(u32),
    /// An object whose fields are at hand. It may stand in the arena or not have been made: its place is kept.
    Virtual(Made, Shape),
}

/// What a virtual object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Made {
    Pair,
    /// A closure of this function of the program.
    Closure(u32),
}

impl Made {
    /// What is known about it once its fields are forgotten.
    pub(super) fn object(self) -> Type {
        match self {
            Made::Pair => Type::Object(Kind::Pair),
            Made::Closure(function) => Type::Closure(function),
        }
    }
}

impl Type {
    /// What is known about a value of one of two types, other than by the fields of virtual objects
    /// (`Planner::join`).
    pub(super) fn join(self, other: Type) -> Type {
        let mut ways = [self, other];
        while ways[0] != ways[1] {
            // The one of which more is known gives way first.
            let more = usize::from(ways[1].depth() > ways[0].depth());
            ways[more] = ways[more].wider();
        }
        ways[0]
    }

    /// The next wider type.
    fn wider(self) -> Type {
        match self {
            Type::Written(elements) => Type::Vector(elements),
            Type::Vector(_) => Type::Object(Kind::Vector),
            Type::Closure(_) => Type::Object(Kind::Closure),
            Type::Virtual(made, _) => made.object(),
            Type::Int | Type::Float => Type::Number,
            Type::Truth(_) => Type::Bool,
            _ => Type::Any,
        }
    }

    /// How many types are wider.
    fn depth(self) -> u32 {
        match self {
            Type::Any => 0,
            Type::Written(_) | Type::Virtual(Made::Closure(_), _) => 3,
            Type::Vector(_)
            | Type::Closure(_)
            | Type::Virtual(Made::Pair, _)
            | Type::Truth(_)
            | Type::Int
            | Type::Float => 2,
            _ => 1,
        }
    }

    /// What is still known when objects may have moved or changed.
    pub(super) fn moved(self) -> Type {
        match self {
            Type::Vector(_) | Type::Written(_) => Type::Object(Kind::Vector),
            other => other,
        }
    }

    /// The elements of a vector, where that is at hand.
    pub(super) fn elements(self) -> Option<Elements> {
        match self {
            Type::Vector(elements) | Type::Written(elements) => Some(elements),
            _ => None,
        }
    }

    /// What a virtual object is.
    pub(super) fn made(self) -> Option<Made> {
        match self {
            Type::Virtual(made, _) => Some(made),
            _ => None,
        }
    }

    /// The type of a vector's elements.
    pub(super) fn of_elements(elements: Elements) -> Type {
        match elements {
            Elements::Any => Type::Any,
            Elements::Int => Type::Int,
            Elements::Float => Type::Float,
        }
    }

    /// Whether all values of this type are of another, too.
    pub(super) fn is_within(self, other: Type) -> bool {
        self.join(other) == other
    }

    /// Whether a value may be an Int, and may be something else: what was seen is to be guessed.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Type::Any | Type::Number)
    }

    /// What is known about the kind of a value, whatever it is.
    pub(super) fn of_kind(self) -> Type {
        match self {
            Type::Truth(_) => Type::Bool,
            Type::Text(..) => Type::Any,
            other => other,
        }
    }

    /// Whether all values of this type count as true, or all as false.
    pub(super) fn truth(self) -> Option<bool> {
        match self {
            Type::Any | Type::Bool => None,
            Type::Truth(truth) => Some(truth),
            Type::Nil => Some(false),
            _ => Some(true),
        }
    }

    /// The program's value that all values of this type are, if that is a text.
    pub(super) fn text(self) -> Option<Value> {
        let bits = match self {
            Type::Text(_, place) => u64::from(place),
            _ => return None,
        };
        self.tag().map(|tag| Value { tag, bits })
    }

    /// The function that a value calls.
    pub(super) fn callee(self) -> Option<u32> {
        match self {
            Type::Closure(function)
            | Type::Function(function)
            | Type::Virtual(Made::Closure(function), _) => Some(function),
            _ => None,
        }
    }

    /// The tag of all values of this type.
    pub(super) fn tag(self) -> Option<u64> {
        Some(match self {
            Type::Any | Type::Number => return None,
            Type::Int => Kind::Int as u64,
            Type::Float => Kind::Float as u64,
            Type::Bool | Type::Truth(_) => Kind::Bool as u64,
            Type::Text(kind, _) => kind as u64 | CONSTANT,
            Type::Nil => Kind::Nil as u64,
            Type::Object(kind) => kind as u64,
            Type::Vector(_) | Type::Written(_) => Kind::Vector as u64,
            Type::Closure(_) => Kind::Closure as u64,
            Type::Virtual(made, _) => return made.object().tag(),
            Type::Function(_) => Kind::Closure as u64 | CONSTANT,
        })
    }

    /// The type of all results that the opcode table allows.
    pub(super) fn of_results(op: &Op) -> Type {
        let kinds = op.info().result;
        [
            (Kind::Int, Type::Int),
            (Kind::Float, Type::Float),
            (Kind::Bool, Type::Bool),
            (Kind::Pair, Type::Object(Kind::Pair)),
            (Kind::Cell, Type::Object(Kind::Cell)),
            (Kind::Closure, Type::Object(Kind::Closure)),
            (Kind::Map, Type::Object(Kind::Map)),
            (Kind::Vector, Type::Object(Kind::Vector)),
        ]
        .into_iter()
        .find(|(kind, _)| kinds == KindSet::of(&[*kind]))
        .map_or(Type::Any, |(_, known)| known)
    }
}

/// How an instruction is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plan {
    /// As it stands, without a guess.
    Plain,
    /// For two Ints.
    Ints,
    /// For two Floats; an operand known to be an Int is converted.
    Floats,
    /// For two numbers, each an Int or a Float.
    Mixed,
    /// For words: what they are is in tag and bits.
    Words,
    /// For a value and a short text that is a constant.
    Text,
    /// For an object in the arena.
    Object(Kind),
    /// For a vector in the arena with these elements.
    Elements(Elements),
    /// A short vector of values that stand in a row of registers, made in place.
    Row,
    /// A call of the one function that was seen, if it is a closure in the arena or a function value.
    Known(u32),
    /// A call of one of the few functions that were seen, each by a case of its own.
    OneOf,
    /// A call of any closure of the program.
    AnyClosure,
    /// A call of this function, whose code stands in place of the call.
    Inline(u32),
    /// An object that is made only where it must stand in the arena.
    Virtual,
    /// By a routine of the runtime, called with its operands.
    Routine,
    /// By a handler of the fast interpreter, called.
    Aside,
    /// Not: the interpreter does it.
    Exit,
}

/// The types before every instruction, and the plans.
pub(super) struct Types {
    /// By block: what is known at its start.
    pub(super) at_start: Vec<Option<Vec<Type>>>,
    /// By pc; where control does not come in native code, the interpreter goes on.
    pub(super) plans: Vec<Plan>,
}

/// What the types of one function, the root or one inlined, are found from.
pub(super) struct Evidence<'a> {
    pub(super) planner: &'a Planner<'a>,
    pub(super) function: &'a Function,
    pub(super) place: Rc<PartPlace>,
    /// What was seen in the function.
    pub(super) feedback: Option<&'a FunctionFeedback>,
}

/// What comes of an instruction or a function.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    /// What is known about what it writes or returns.
    pub(super) result: Type,
    /// Whether objects may move, or vectors change their kind, length or place, while it runs.
    pub(super) moves: bool,
    /// Whether native code raises there what it does not catch itself.
    pub(super) raises: bool,
}

impl<'a> Evidence<'a> {
    /// Finds the types.
    pub(super) fn types(&self) -> Types {
        let free = self.solve(&[]);
        if !self.planner.optimizations.hoist {
            return free;
        }
        let assumed = self.assumptions(&free);
        self.solve(&assumed)
    }

    /// What was seen at an instruction.
    pub(super) fn site(&self, pc: u32) -> &'a Site {
        let seen = self.feedback.and_then(|feedback| feedback.site(pc));
        seen.unwrap_or(&UNSEEN)
    }

    /// Whether nothing is to be guessed about an instruction any more.
    pub(super) fn is_generic(&self, pc: u32) -> bool {
        self.feedback
            .is_some_and(|feedback| feedback.is_generic(pc))
    }

    /// Types at the start of blocks, to a fixed point. `assumed` are types of registers at the start of
    /// blocks that ways into them must guarantee.
    fn solve(&self, assumed: &[(usize, u16, Type)]) -> Types {
        let registers = usize::from(self.function.registers);
        let mut at_start: Vec<Option<Vec<Type>>> = vec![None; self.place.blocks.all.len()];
        let mut plans = vec![Plan::Exit; self.function.code.len()];
        for root in 0..self.place.blocks.all.len() {
            // Loops that ran are entered even where no way to them was seen.
            let block = &self.place.blocks.all[root];
            let is_entered = self.is_way_in(root) && self.site(block.start).count > 0;
            if at_start[root].is_none() && (root == 0 || is_entered) {
                let mut types = vec![Type::Any; registers];
                if root == 0 {
                    types[..self.place.entry.len()].copy_from_slice(&self.place.entry);
                }
                at_start[root] = Some(types);
                assume(assumed, root, &mut at_start);
                self.flow(root, assumed, &mut at_start, &mut plans);
            }
        }
        Types { at_start, plans }
    }

    /// Follows all ways from a block.
    fn flow(
        &self,
        root: usize,
        assumed: &[(usize, u16, Type)],
        at_start: &mut [Option<Vec<Type>>],
        plans: &mut [Plan],
    ) {
        let mut open = vec![root];
        while let Some(number) = open.pop() {
            let Some(mut types) = at_start[number].clone() else {
                continue;
            };
            let block = &self.place.blocks.all[number];
            let mut goes_on = true;
            for pc in block.start..block.end {
                let handler = self.handler(pc);
                let raised = handler.map(|handler| (handler, types.clone()));
                let (plan, outcome) = self.step(pc, &mut types);
                plans[pc as usize] = plan;
                if plan == Plan::Exit {
                    goes_on = false;
                    break;
                }
                if let Some((handler, mut types)) = raised.filter(|_| outcome.raises) {
                    let has_changed = self.changes_before_raising(pc, outcome.moves);
                    handler.receive(&mut types, has_changed || self.makes_error(pc));
                    self.go_on_with(&types, handler.block, assumed, at_start, &mut open);
                }
            }
            for next in self.ways_on(block, &types).iter().filter(|_| goes_on) {
                self.go_on_with(&types, *next, assumed, at_start, &mut open);
            }
        }
    }

    /// The blocks that one can go on to when these types are known at its end.
    pub(super) fn ways_on<'b>(&self, block: &'b Block, types: &[Type]) -> &'b [usize] {
        let (test, wanted) = match &self.function.code[block.end as usize - 1] {
            Op::Control(Control::BranchIf { test, .. }) => (test, true),
            Op::Control(Control::BranchUnless { test, .. }) => (test, false),
            _ => return &block.next,
        };
        match types[usize::from(test.0)].truth() {
            Some(truth) if truth == wanted => &block.next[..1],
            Some(_) => &block.next[1..],
            None => &block.next,
        }
    }

    /// Control comes to a block with these types, which is looked at again where less is known then.
    fn go_on_with(
        &self,
        types: &[Type],
        next: usize,
        assumed: &[(usize, u16, Type)],
        at_start: &mut [Option<Vec<Type>>],
        open: &mut Vec<usize>,
    ) {
        let mut joined = match &at_start[next] {
            _ if self.is_open(next) => vec![Type::Any; types.len()],
            None => types.to_vec(),
            Some(known) => {
                let pairs = known.iter().zip(types);
                pairs.map(|(a, b)| self.planner.join(*a, *b)).collect()
            }
        };
        if self.is_way_in(next) {
            joined.iter_mut().for_each(|known| *known = known.of_kind());
        }
        if at_start[next].as_ref() != Some(&joined) {
            let before = at_start[next].replace(joined);
            assume(assumed, next, at_start);
            if at_start[next] != before {
                open.push(next);
            }
        }
    }

    /// Whether the interpreter can come to a block, where flags and states may be others than on the ways that are compiled.
    pub(super) fn is_way_in(&self, number: usize) -> bool {
        let block = &self.place.blocks.all[number];
        let is_loop = block.is_header && self.place.is_root();
        is_loop
            && self.planner.optimizations.osr
            && self.planner.feedback.is_entered_at(block.start)
    }

    /// Whether nothing is known at the start of a block: the interpreter comes to this loop with other
    /// values than the ways inside that were compiled, and would be refused again and again.
    fn is_open(&self, number: usize) -> bool {
        let block = &self.place.blocks.all[number];
        block.is_header && self.place.is_root() && self.is_generic(block.start)
    }

    /// Guesses that are better made on the way into a loop or function than inside: about registers that
    /// nothing in it writes, where all guards inside agree.
    fn assumptions(&self, types: &Types) -> Vec<(usize, u16, Type)> {
        let mut assumed = Vec::new();
        for (number, block) in self.place.blocks.all.iter().enumerate() {
            // Guesses that are made here have failed too often.
            if self.is_generic(block.start) {
                continue;
            }
            let inside = if number == 0 {
                self.always_entered(types)
            } else if block.is_header {
                self.place.blocks.of_loop(number)
            } else {
                continue;
            };
            let Some(known) = &types.at_start[number] else {
                continue;
            };
            let guards = self.guards(&inside, types);
            for (register, guessed) in guards.into_iter().enumerate() {
                if let Some(Some(guess)) = guessed
                    && guess.is_within(known[register])
                    && guess != known[register]
                {
                    assumed.push((number, register as u16, guess));
                }
            }
        }
        assumed
    }

    /// The blocks that control comes to whenever the function is entered. What is guessed on one of several ways may
    /// never hold on the others: `(if (null? tree) 0 (vector-ref tree 3))`.
    pub(super) fn always_entered(&self, types: &Types) -> Vec<usize> {
        let mut blocks = vec![0];
        loop {
            let last = blocks[blocks.len() - 1];
            let next = self.place.blocks.all[last].next.iter();
            let mut next = next.filter(|next| types.at_start[**next].is_some());
            match (next.next(), next.next()) {
                (Some(only), None) if !blocks.contains(only) => blocks.push(*only),
                _ => return blocks,
            }
        }
    }

    /// By register: the type that guards in these blocks want, `Some(None)` when they want several or the
    /// register is written.
    fn guards(&self, inside: &[usize], types: &Types) -> Vec<Option<Option<Type>>> {
        let mut wanted: Vec<Option<Option<Type>>> =
            vec![None; usize::from(self.function.registers)];
        let mut has_moved = false;
        for number in inside {
            let block = &self.place.blocks.all[*number];
            let Some(mut known) = types.at_start[*number].clone() else {
                continue;
            };
            for pc in block.start..block.end {
                let op = &self.function.code[pc as usize];
                let plan = types.plans[pc as usize];
                // A vector takes any value: a guess about one says nothing about rounds that make none.
                let guesses = match plan {
                    Plan::Row => Few::new(),
                    Plan::Inline(callee) => self.wanted_by(pc, &self.inlined(pc, callee, &known)),
                    _ => guarded(op, plan, &known, self.site(pc)),
                };
                for (register, guess) in guesses {
                    let slot = &mut wanted[usize::from(register)];
                    *slot = match *slot {
                        None => Some(Some(guess)),
                        Some(Some(other)) if other.is_within(guess) => Some(Some(other)),
                        Some(Some(other)) if guess.is_within(other) => Some(Some(guess)),
                        _ => Some(None),
                    };
                }
                let (_, outcome) = self.step(pc, &mut known);
                has_moved |= match plan {
                    Plan::Exit => moves(op, plan),
                    _ => outcome.moves || outcome.raises && self.makes_error(pc),
                };
                op.accesses(|access| match access {
                    Access::Write(register) => wanted[usize::from(register)] = Some(None),
                    Access::Clobber(first) => wanted[usize::from(first)..].fill(Some(None)),
                    Access::Read { .. } => {}
                });
            }
        }
        if has_moved {
            for guess in wanted.iter_mut().flatten().flatten() {
                *guess = guess.moved();
            }
        }
        wanted
    }

    /// What an instruction does to the types, and how it is compiled.
    pub(super) fn step(&self, pc: u32, types: &mut [Type]) -> (Plan, Outcome) {
        let op = &self.function.code[pc as usize];
        let plan = self.plan(pc, op, types);
        for (register, guess) in guarded(op, plan, types, self.site(pc)) {
            types[usize::from(register)] = guess;
        }
        let mut passed = Few::new();
        let outcome = match plan {
            Plan::Inline(callee) => {
                let part = self.inlined(pc, callee, types);
                passed = self.passed(pc, &part);
                part.outcome
            }
            Plan::OneOf => self.outcome_of_cases(pc, types),
            _ => Outcome {
                result: self.result_of(pc, op, plan, types),
                moves: moves(op, plan),
                raises: self.raises_itself(pc, plan),
            },
        };
        if outcome.moves {
            types.iter_mut().for_each(|known| *known = known.moved());
        }
        op.accesses(|access| match access {
            Access::Write(register) => types[usize::from(register)] = outcome.result,
            Access::Clobber(first) => types[usize::from(first)..].fill(Type::Any),
            Access::Read { .. } => {}
        });
        narrow(&passed, types);
        (plan, outcome)
    }
}

fn assume(assumed: &[(usize, u16, Type)], block: usize, at_start: &mut [Option<Vec<Type>>]) {
    if let Some(types) = &mut at_start[block] {
        for (_, register, guess) in assumed.iter().filter(|(number, ..)| *number == block) {
            types[usize::from(*register)] = *guess;
        }
    }
}
