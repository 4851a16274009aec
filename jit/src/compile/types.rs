//! What is known about the registers of a function, and what is guessed: the kinds of their values before
//! each instruction, from what instructions write and from the profile.
//!
//! An operation on numbers whose operands were always of one kind is compiled for that kind, behind
//! guards; from there on the kind is known. Where a guess would be made again and again about a value
//! that does not change, it is made once: on the way into the loop, or at the function's entry.

use std::rc::Rc;

use pw_isa::op::{
    Access, Arith, Compare, Control, Data, Effects, Float, Function as Call, Op, Text,
};
use pw_isa::operand::Use;
use pw_isa::{Function, Kind, KindSet};

use super::parts::{PartPlace, Planner};
use crate::fiber::arena::Elements;
use crate::interp::SAME_FREE_BYTES;
use crate::interp::profile::{Site, Target};
use crate::value::{CONSTANT, Value};

/// What is known about a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Type {
    /// Nothing.
    Any,
    Int,
    Float,
    Bool,
    Nil,
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
}

impl Type {
    /// What is known about a value of one of two types.
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
            _ => Type::Any,
        }
    }

    /// How many types are wider.
    fn depth(self) -> u32 {
        match self {
            Type::Any => 0,
            Type::Written(_) => 3,
            Type::Vector(_) | Type::Closure(_) => 2,
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

    /// The function that a value calls.
    pub(super) fn callee(self) -> Option<u32> {
        match self {
            Type::Closure(function) | Type::Function(function) => Some(function),
            _ => None,
        }
    }

    /// The tag of all values of this type.
    pub(super) fn tag(self) -> Option<u64> {
        Some(match self {
            Type::Any => return None,
            Type::Int => Kind::Int as u64,
            Type::Float => Kind::Float as u64,
            Type::Bool => Kind::Bool as u64,
            Type::Nil => Kind::Nil as u64,
            Type::Object(kind) => kind as u64,
            Type::Vector(_) | Type::Written(_) => Kind::Vector as u64,
            Type::Closure(_) => Kind::Closure as u64,
            Type::Function(_) => Kind::Closure as u64 | CONSTANT,
        })
    }

    /// The type of all results that the opcode table allows.
    fn of_results(op: &Op) -> Type {
        let kinds = op.info().result;
        [
            (Kind::Int, Type::Int),
            (Kind::Float, Type::Float),
            (Kind::Bool, Type::Bool),
            (Kind::Pair, Type::Object(Kind::Pair)),
            (Kind::Cell, Type::Object(Kind::Cell)),
            (Kind::Closure, Type::Object(Kind::Closure)),
            (Kind::Map, Type::Object(Kind::Map)),
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
    /// For words: what they are is in tag and bits.
    Words,
    /// For a value and a short text that is a constant.
    Text,
    /// For an object in the arena.
    Object(Kind),
    /// For a vector in the arena with these elements.
    Elements(Elements),
    /// A call of the one function that was seen, if it is a closure in the arena or a function value.
    Known(u32),
    /// A call of any closure of the program.
    AnyClosure,
    /// A call of this function, whose code stands in place of the call.
    Inline(u32),
    /// By a handler of the fast interpreter, called.
    Aside,
    /// Not: the interpreter does it.
    Exit,
}

/// The types before every instruction, and the plans.
pub(super) struct Types {
    /// By block: what is known at its start.
    pub(super) at_start: Vec<Option<Vec<Type>>>,
    pub(super) plans: Vec<Plan>,
}

/// What the types of one function, the root or one inlined, are found from.
pub(super) struct Evidence<'a> {
    pub(super) planner: &'a Planner<'a>,
    pub(super) function: &'a Function,
    pub(super) place: Rc<PartPlace>,
}

impl Evidence<'_> {
    /// Finds the types.
    pub(super) fn types(&self) -> Types {
        let free = self.solve(&[]);
        let assumed = self.assumptions(&free);
        self.solve(&assumed)
    }

    /// What was seen at an instruction.
    pub(super) fn site(&self, pc: u32) -> Site {
        self.planner.feedback.site(self.place.number(), pc)
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
            let is_entered =
                block.is_header && self.place.is_root() && self.site(block.start).count > 0;
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
                let plan = self.step(pc, &mut types);
                plans[pc as usize] = plan;
                if plan == Plan::Exit {
                    goes_on = false;
                    break;
                }
            }
            for next in block.next.iter().filter(|_| goes_on) {
                let joined = match &at_start[*next] {
                    None => types.clone(),
                    Some(known) => {
                        let pairs = known.iter().zip(&types);
                        pairs.map(|(a, b)| a.join(*b)).collect()
                    }
                };
                if at_start[*next].as_ref() != Some(&joined) {
                    let before = at_start[*next].replace(joined);
                    assume(assumed, *next, at_start);
                    if at_start[*next] != before {
                        open.push(*next);
                    }
                }
            }
        }
    }

    /// Guesses that are better made on the way into a loop or function than inside: about registers that
    /// nothing in it writes, where all guards inside agree.
    fn assumptions(&self, types: &Types) -> Vec<(usize, u16, Type)> {
        let mut assumed = Vec::new();
        for (number, block) in self.place.blocks.all.iter().enumerate() {
            // Guesses that are made here have failed too often.
            if self
                .planner
                .feedback
                .is_generic(self.place.number(), block.start)
            {
                continue;
            }
            let inside = if number == 0 {
                (0..self.place.blocks.all.len()).collect()
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
                for (register, guess) in guarded(op, plan, &known, self.site(pc)) {
                    let slot = &mut wanted[usize::from(register)];
                    *slot = match *slot {
                        None => Some(Some(guess)),
                        Some(Some(other)) if other.is_within(guess) => Some(Some(other)),
                        Some(Some(other)) if guess.is_within(other) => Some(Some(guess)),
                        _ => Some(None),
                    };
                }
                has_moved |= self.moves(op, plan, &known);
                self.step(pc, &mut known);
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
    pub(super) fn step(&self, pc: u32, types: &mut [Type]) -> Plan {
        let op = self.function.code[pc as usize];
        let plan = self.plan(pc, &op, types);
        for (register, guess) in guarded(&op, plan, types, self.site(pc)) {
            types[usize::from(register)] = guess;
        }
        let result = match plan {
            Plan::Inline(callee) => self.inlined(&op, callee, types).result,
            _ => self.result_of(&op, plan, types),
        };
        if self.moves(&op, plan, types) {
            types.iter_mut().for_each(|known| *known = known.moved());
        }
        op.accesses(|access| match access {
            Access::Write(register) => types[usize::from(register)] = result,
            Access::Clobber(first) => types[usize::from(first)..].fill(Type::Any),
            Access::Read { .. } => {}
        });
        plan
    }

    /// The type of what an instruction writes that is not a call's.
    fn result_of(&self, op: &Op, plan: Plan, types: &[Type]) -> Type {
        match op {
            Op::Data(Data::Const { .. }) => self.constant_type(op),
            Op::Text(Text::StringRef { .. }) => Type::Object(Kind::String),
            Op::Function(Call::Closure { function, .. }) => Type::Closure(self.linked(function.0)),
            _ => result(op, plan, types),
        }
    }

    fn plan(&self, pc: u32, op: &Op, types: &[Type]) -> Plan {
        let site = self.site(pc);
        let generic = self.planner.feedback.is_generic(self.place.number(), pc);
        let plan = match op {
            Op::Control(Control::Raise { .. }) => Plan::Exit,
            Op::Control(_) => Plan::Plain,
            Op::Data(Data::MapGet { map, .. } | Data::MapSet { map, .. }) => match self.key(pc) {
                Some(_) => object_plan(Kind::Map, site, types[usize::from(map.0)]),
                None => Plan::Aside,
            },
            Op::Data(_) => data_plan(op, site, types),
            Op::Arith(_) => arith_plan(op, site, types),
            Op::Float(Float::ToFloat { .. } | Float::Sqrt { .. }) => {
                match Guess::of(&reads(op), site, types).numbers() {
                    Plan::Ints => Plan::Floats,
                    other => other,
                }
            }
            Op::Compare(Compare::Eq { a, b, .. }) if self.compared_text(pc, *a, *b).is_some() => {
                Plan::Text
            }
            Op::Compare(_) => compare_plan(op, site, types),
            Op::Function(op) => self.call_plan(pc, op, generic, types),
            Op::Text(op) => self.text_plan(pc, op, types),
            Op::Float(_) => Plan::Aside,
            _ => Plan::Exit,
        };
        let is_guess = !matches!(
            plan,
            Plan::Plain | Plan::Exit | Plan::AnyClosure | Plan::Known(_) | Plan::Inline(_)
        );
        if generic && is_guess {
            Plan::Aside
        } else {
            plan
        }
    }

    /// Whether objects may move, or vectors change their kind, length or place, while an instruction runs.
    pub(super) fn moves(&self, op: &Op, plan: Plan, types: &[Type]) -> bool {
        let allocates = matches!(
            op,
            Op::Data(Data::Cons { .. } | Data::MapGet { .. } | Data::MapSet { .. })
                | Op::Function(Call::Cell { .. } | Call::Closure { .. })
                | Op::Text(Text::StringRef { .. })
        );
        match plan {
            Plan::Inline(callee) => self.inlined(op, callee, types).moves,
            Plan::Aside => true,
            _ => allocates || op.info().effects.has(Effects::CALL),
        }
    }

    fn text_plan(&self, pc: u32, op: &Text, types: &[Type]) -> Plan {
        let seen = self.site(pc).operands;
        let is = |place: usize, register: Use, kind: Kind| {
            let set = KindSet::of(&[kind]);
            let known = types[usize::from(register.0)];
            known == Type::Object(kind) || known.tag().is_none() && seen[place] == set
        };
        let is_done = match op {
            Text::StringLength { string, .. } => is(0, *string, Kind::String),
            Text::StringRef { string, index, .. } => {
                let known = types[usize::from(index.0)];
                is(0, *string, Kind::String) && (known == Type::Int || is(1, *index, Kind::Int))
            }
            Text::StringEq { a, b, .. } => self.tiny_text(pc, *a, *b).is_some(),
            _ => false,
        };
        if is_done { Plan::Text } else { Plan::Aside }
    }

    /// The operand of `string=?` that is a constant of 1 to 8 bytes, as its length and a word, and the other
    /// operand.
    pub(super) fn tiny_text(&self, pc: u32, a: Use, b: Use) -> Option<(u32, u64, u16)> {
        let text = |register: Use| {
            let value = self.constant_in(register.0, pc)?;
            if value.tag != Kind::String as u64 | CONSTANT {
                return None;
            }
            let constants = &self.planner.program.constants;
            let bytes = constants.text_bytes(value.bits & 0xffff_ffff);
            let mut word = [0; 8];
            word.get_mut(..bytes.len())?.copy_from_slice(bytes);
            (!bytes.is_empty()).then_some((bytes.len() as u32, u64::from_le_bytes(word)))
        };
        match (text(a), text(b)) {
            (Some((length, word)), _) => Some((length, word, b.0)),
            (None, Some((length, word))) => Some((length, word, a.0)),
            (None, None) => None,
        }
    }

    /// The operand of `eq?` that is a constant text and takes no work to be compared, with its value, and the
    /// other operand.
    pub(super) fn compared_text(&self, pc: u32, a: Use, b: Use) -> Option<(Value, u16)> {
        let text = |register: Use| {
            let value = self.constant_in(register.0, pc)?;
            let is_text = matches!(value.kind(), Kind::String | Kind::Symbol);
            if !is_text || value.tag & CONSTANT == 0 {
                return None;
            }
            let constants = &self.planner.program.constants;
            let length = constants.text_length(value.bits & 0xffff_ffff);
            (u64::from(length) < SAME_FREE_BYTES).then_some(value)
        };
        match (text(a), text(b)) {
            (Some(value), _) => Some((value, b.0)),
            (None, Some(value)) => Some((value, a.0)),
            (None, None) => None,
        }
    }

    /// The constant that a register holds before an instruction, if the same block has put it there.
    fn constant_in(&self, register: u16, pc: u32) -> Option<Value> {
        let blocks = &self.place.blocks;
        let start = blocks.all[blocks.at(pc)].start;
        for pc in (start..pc).rev() {
            let op = &self.function.code[pc as usize];
            let mut writes = false;
            op.accesses(|access| match access {
                Access::Write(to) => writes |= to == register,
                Access::Clobber(first) => writes |= first <= register,
                Access::Read { .. } => {}
            });
            match op {
                Op::Data(Data::Const { constant, .. }) if writes => {
                    let function = self.place.number();
                    return Some(self.planner.program.constant(function, constant.0));
                }
                _ if writes => return None,
                _ => {}
            }
        }
        None
    }

    /// Which of the program's values an instruction looks for in a map, if it is a constant.
    pub(super) fn key(&self, pc: u32) -> Option<u32> {
        let internal = self.planner.program.internal();
        internal.key_at(self.place.number(), pc)
    }

    fn call_plan(&self, pc: u32, op: &Call, generic: bool, types: &[Type]) -> Plan {
        let site = self.site(pc);
        match op {
            Call::Call { window, function } | Call::TailCall { window, function } => {
                let callee = self.linked(function.0);
                match self.is_inlined(pc, callee, window.args) {
                    true => Plan::Inline(callee),
                    false => Plan::Plain,
                }
            }
            Call::CallClosure { window } | Call::TailCallClosure { window } => {
                let seen = match site.target {
                    Target::One(program, function)
                        if program == self.planner.number && !generic =>
                    {
                        Some(function)
                    }
                    _ => None,
                };
                match types[usize::from(window.base)].callee().or(seen) {
                    Some(callee) if self.is_inlined(pc, callee, window.args) => {
                        Plan::Inline(callee)
                    }
                    Some(callee) => Plan::Known(callee),
                    None if site.target == Target::None => Plan::Exit,
                    None => Plan::AnyClosure,
                }
            }
            Call::Apply { .. } | Call::TailApply { .. } | Call::CaptureSet { .. } => Plan::Exit,
            Call::Capture { .. } => Plan::Object(Kind::Closure),
            Call::CellGet { .. } | Call::CellSet { .. } => Plan::Object(Kind::Cell),
            Call::Closure { .. } | Call::Cell { .. } => Plan::Plain,
            Call::GlobalGet { .. } | Call::GlobalSet { .. } => Plan::Aside,
        }
    }
}

fn assume(assumed: &[(usize, u16, Type)], block: usize, at_start: &mut [Option<Vec<Type>>]) {
    if let Some(types) = &mut at_start[block] {
        for (_, register, guess) in assumed.iter().filter(|(number, ..)| *number == block) {
            types[usize::from(*register)] = *guess;
        }
    }
}

/// What operands are taken to be.
struct Guess {
    /// One for each operand: known, or seen.
    operands: Vec<Option<Type>>,
    /// An operand was never seen.
    unseen: bool,
}

impl Guess {
    fn of(registers: &[u16], site: Site, types: &[Type]) -> Guess {
        let mut unseen = false;
        let operands = registers.iter().enumerate().map(|(place, register)| {
            let known = types[usize::from(*register)];
            if known != Type::Any {
                return Some(known);
            }
            let seen = site.operands[place];
            unseen |= seen.0 == 0;
            match seen {
                set if set == KindSet::of(&[Kind::Int]) => Some(Type::Int),
                set if set == KindSet::of(&[Kind::Float]) => Some(Type::Float),
                _ => None,
            }
        });
        Guess {
            operands: operands.collect(),
            unseen,
        }
    }

    /// For an operation on numbers.
    fn numbers(&self) -> Plan {
        if self.unseen {
            return Plan::Exit;
        }
        let all = |wanted: &[Type]| {
            let mut operands = self.operands.iter();
            operands.all(|operand| operand.is_some_and(|operand| wanted.contains(&operand)))
        };
        if all(&[Type::Int]) {
            Plan::Ints
        } else if all(&[Type::Int, Type::Float]) {
            Plan::Floats
        } else {
            Plan::Aside
        }
    }
}

/// The registers that an instruction reads, in the order of its operands.
pub(super) fn reads(op: &Op) -> Vec<u16> {
    let mut registers = Vec::new();
    op.accesses(|access| {
        if let Access::Read { first, count } = access {
            registers.extend(first..first + count);
        }
    });
    registers
}

/// How an instruction is compiled whose first operand should be an object of the arena.
fn object_plan(kind: Kind, site: Site, known: Type) -> Plan {
    let seen = site.operands[0];
    match known {
        known if known.is_within(Type::Object(kind)) => Plan::Object(kind),
        Type::Any if seen == KindSet::of(&[kind]) => Plan::Object(kind),
        Type::Any if seen.0 == 0 => Plan::Exit,
        _ => Plan::Aside,
    }
}

fn data_plan(op: &Op, site: Site, types: &[Type]) -> Plan {
    let Op::Data(data) = op else {
        return Plan::Exit;
    };
    let object = |register: u16, kind| object_plan(kind, site, types[usize::from(register)]);
    match data {
        Data::Move { .. }
        | Data::Nil { .. }
        | Data::Bool { .. }
        | Data::Int { .. }
        | Data::Float { .. }
        | Data::Const { .. }
        | Data::Cons { .. } => Plan::Plain,
        Data::Car { pair, .. } | Data::Cdr { pair, .. } => object(pair.0, Kind::Pair),
        Data::VectorLength { vector, .. } => object(vector.0, Kind::Vector),
        Data::VectorRef { vector, index, .. } | Data::VectorSet { vector, index, .. } => {
            let elements = match (types[usize::from(vector.0)].elements(), site.elements) {
                (Some(known), _) => known,
                (_, 1) => Elements::Any,
                (_, 2) => Elements::Int,
                (_, 4) => Elements::Float,
                (_, 0) => return Plan::Exit,
                _ => return Plan::Aside,
            };
            let place = match types[usize::from(index.0)] {
                Type::Int => true,
                Type::Any => site.operands[1] == KindSet::of(&[Kind::Int]),
                _ => false,
            };
            // What does not fit widens the vector.
            let fits = match data {
                Data::VectorSet { value, .. } if elements != Elements::Any => {
                    let known = types[usize::from(value.0)];
                    known == Type::Any || known == Type::of_elements(elements)
                }
                _ => true,
            };
            match object(vector.0, Kind::Vector) {
                Plan::Object(_) if place && fits => Plan::Elements(elements),
                Plan::Exit => Plan::Exit,
                _ => Plan::Aside,
            }
        }
        _ => Plan::Aside,
    }
}

fn arith_plan(op: &Op, site: Site, types: &[Type]) -> Plan {
    let plan = Guess::of(&reads(op), site, types).numbers();
    let Op::Arith(arith) = op else {
        return Plan::Exit;
    };
    let with_floats = matches!(
        arith,
        Arith::Add { .. }
            | Arith::Sub { .. }
            | Arith::Mul { .. }
            | Arith::Div { .. }
            | Arith::Neg { .. }
    );
    match (plan, arith) {
        (_, Arith::ToInt { .. }) => Plan::Aside,
        (Plan::Floats, _) if !with_floats => Plan::Aside,
        _ => plan,
    }
}

fn compare_plan(op: &Op, site: Site, types: &[Type]) -> Plan {
    let Op::Compare(compare) = op else {
        return Plan::Exit;
    };
    let is_word = |register: u16| {
        matches!(
            types[usize::from(register)],
            Type::Int
                | Type::Bool
                | Type::Nil
                | Type::Object(Kind::Pair | Kind::Vector | Kind::Map)
                | Type::Vector(_)
                | Type::Written(_)
        )
    };
    match compare {
        Compare::Not { .. } | Compare::Is { .. } => Plan::Plain,
        Compare::Eq { a, b, .. } if is_word(a.0) || is_word(b.0) => Plan::Words,
        Compare::Eq { .. } | Compare::Equal { .. } => Plan::Aside,
        _ => {
            let guess = Guess::of(&reads(op), site, types);
            // Comparing an Int with a Float is exact, which converting is not.
            match guess.numbers() {
                Plan::Floats if guess.operands.contains(&Some(Type::Int)) => Plan::Aside,
                plan => plan,
            }
        }
    }
}

/// The registers that an instruction guards under its plan, and what it wants them to be.
pub(super) fn guarded(op: &Op, plan: Plan, types: &[Type], site: Site) -> Vec<(u16, Type)> {
    let registers = reads(op);
    match plan {
        Plan::Ints => registers.into_iter().map(|r| (r, Type::Int)).collect(),
        Plan::Floats => registers
            .into_iter()
            .enumerate()
            .map(|(place, register)| {
                let ints = KindSet::of(&[Kind::Int]);
                let is_int = types[usize::from(register)] == Type::Int
                    || site.operands.get(place) == Some(&ints);
                (register, if is_int { Type::Int } else { Type::Float })
            })
            .collect(),
        Plan::Text => match op {
            Op::Text(Text::StringRef { index, .. }) => vec![(index.0, Type::Int)],
            _ => Vec::new(),
        },
        Plan::Object(kind) => {
            let known = types[usize::from(registers[0])];
            let wanted = Type::Object(kind);
            let known = known.is_within(wanted).then_some(known);
            vec![(registers[0], known.unwrap_or(wanted))]
        }
        Plan::Elements(elements) => {
            let vector = match op {
                Op::Data(Data::VectorSet { .. }) => Type::Written(elements),
                _ => Type::Vector(elements),
            };
            let known = types[usize::from(registers[0])];
            let vector = if known.is_within(vector) {
                known
            } else {
                vector
            };
            let mut wanted = vec![(registers[0], vector), (registers[1], Type::Int)];
            if let (Some(value), true) = (registers.get(2), elements != Elements::Any) {
                wanted.push((*value, Type::of_elements(elements)));
            }
            wanted
        }
        _ => Vec::new(),
    }
}

/// The type of what an instruction writes.
fn result(op: &Op, plan: Plan, types: &[Type]) -> Type {
    match (op, plan) {
        (Op::Data(Data::Move { src, .. }), _) => types[usize::from(src.0)],
        (Op::Data(Data::Nil { .. }), _) => Type::Nil,
        (Op::Arith(_), Plan::Ints) => Type::Int,
        (Op::Arith(_), Plan::Floats) => Type::Float,
        (Op::Data(Data::VectorRef { .. }), Plan::Elements(elements)) => Type::of_elements(elements),
        _ => Type::of_results(op),
    }
}
