//! How instructions are compiled: what is guessed about their operands, from what was seen, and what is
//! then known about their results.

use pw_isa::op::{
    Access, Actor, Arith, Capability, Compare, Control, Data, Effects, Float, Function as Call,
    Message, Op, Text,
};
use pw_isa::operand::Use;
use pw_isa::{Function, Kind, KindSet};
use smallvec::SmallVec;

use super::routines::Routine;
use super::rows::Row;
use super::types::{Evidence, Made, Plan, Type};
use crate::fiber::arena::Elements;
use crate::interp::SAME_FREE_BYTES;
use crate::interp::profile::{Site, Target};
use crate::value::{CONSTANT, Value};

/// A list of a few things, made for each instruction again and again.
pub(super) type Few<T> = SmallVec<[T; 4]>;

impl Evidence<'_> {
    /// The type of what an instruction writes that is not a call's.
    pub(super) fn result_of(&self, pc: u32, op: &Op, plan: Plan, types: &[Type]) -> Type {
        match op {
            Op::Data(Data::Const { .. }) => self.constant_type(op),
            Op::Text(
                Text::StringRef { .. }
                | Text::StringAppend { .. }
                | Text::Substring { .. }
                | Text::NumberToString { .. },
            ) => Type::Object(Kind::String),
            Op::Function(Call::Closure {
                function, captures, ..
            }) => {
                let function = self.linked(function.0);
                let fields = captures.first..captures.first + captures.count;
                match plan {
                    Plan::Virtual => self.virtual_type(Made::Closure(function), fields, types),
                    _ => Type::Closure(function),
                }
            }
            Op::Data(Data::Cons { car, cdr, .. }) if plan == Plan::Virtual => {
                self.virtual_type(Made::Pair, [car.0, cdr.0], types)
            }
            Op::Data(Data::Car { .. } | Data::Cdr { .. }) | Op::Function(Call::Capture { .. }) => {
                let field = match plan {
                    Plan::Object(_) => self.planner.field_read(op, types),
                    _ => None,
                };
                field.map_or(Type::Any, |(_, _, known)| known)
            }
            Op::Data(Data::Vector { values, .. }) if plan == Plan::Row => {
                let row = Row::of(*values, self.site(pc), types);
                let elements = row.map(|row| Type::Vector(row.elements));
                elements.unwrap_or(Type::Object(Kind::Vector))
            }
            Op::Compare(op) => {
                let truth = self.known_outcome(op, types);
                truth.map_or(Type::Bool, Type::Truth)
            }
            _ => result(op, plan, types),
        }
    }

    /// What comes of a comparison, where that is known from types.
    pub(super) fn known_outcome(&self, op: &Compare, types: &[Type]) -> Option<bool> {
        let of = |register: &Use| types[usize::from(register.0)];
        match op {
            Compare::Not { a, .. } => of(a).truth().map(|truth| !truth),
            Compare::Is { a, kinds, .. } => {
                let kind = of(a).tag()? & !CONSTANT;
                Some(kinds.0.0 >> kind & 1 == 1)
            }
            Compare::Eq { a, b, .. } => {
                self.compared_text(*a, *b, types)?;
                let (left, right) = (of(a).text()?, of(b).text()?);
                Some(left == right)
            }
            _ => None,
        }
    }

    pub(super) fn plan(&self, pc: u32, op: &Op, types: &[Type]) -> Plan {
        let site = self.site(pc);
        let generic = self.is_generic(pc);
        let plan = match op {
            Op::Data(Data::Cons { .. }) | Op::Function(Call::Closure { .. })
                if self.is_virtual(pc) =>
            {
                Plan::Virtual
            }
            Op::Control(Control::Raise { .. }) if site.count == 0 => Plan::Exit,
            Op::Control(_) => Plan::Plain,
            Op::Data(Data::MapGet { map, .. } | Data::MapSet { map, .. }) => {
                match self.hinted_key(pc, op, types) {
                    Some(_) => object_plan(Kind::Map, site, types[usize::from(map.0)]),
                    None => Plan::Aside,
                }
            }
            Op::Data(_) => data_plan(op, site, types),
            Op::Arith(_) => arith_plan(op, site, types),
            Op::Float(Float::ToFloat { .. } | Float::Sqrt { .. }) => {
                match Guess::of(&reads(op), site, types).numbers() {
                    Plan::Ints => Plan::Floats,
                    other => other,
                }
            }
            Op::Compare(Compare::Eq { a, b, .. })
                if self.compared_text(*a, *b, types).is_some() =>
            {
                Plan::Text
            }
            Op::Compare(_) => compare_plan(op, site, types),
            Op::Function(op) => self.call_plan(pc, op, generic, types),
            Op::Text(op) => self.text_plan(pc, op, types),
            Op::Actor(Actor::SelfId { .. }) => Plan::Plain,
            Op::Capability(Capability::HasCapability { .. }) if self.question(pc).is_some() => {
                Plan::Plain
            }
            Op::Float(_)
            | Op::Actor(Actor::Spawn { .. })
            | Op::Message(
                Message::Send { .. } | Message::Receive { .. } | Message::Sender { .. },
            ) => Plan::Aside,
            _ => Plan::Exit,
        };
        let is_guess = !matches!(
            plan,
            Plan::Plain
                | Plan::Exit
                | Plan::AnyClosure
                | Plan::OneOf
                | Plan::Known(_)
                | Plan::Inline(_)
                | Plan::Virtual
        );
        let plan = if generic && is_guess {
            Plan::Aside
        } else {
            plan
        };
        match plan {
            Plan::Aside if Routine::of(op).is_some() => Plan::Routine,
            plan => plan,
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
            Text::StringEq { a, b, .. } => self.tiny_text(*a, *b, types).is_some(),
            _ => false,
        };
        if is_done { Plan::Text } else { Plan::Aside }
    }

    /// The operand of `string=?` that is a constant of 1 to 8 bytes, as its length and a word, and the other
    /// operand.
    pub(super) fn tiny_text(&self, a: Use, b: Use, types: &[Type]) -> Option<(u32, u64, u16)> {
        let text = |register: Use| {
            let value = types[usize::from(register.0)].text()?;
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

    /// The operand of `eq?` that is a constant text, told from other constants by where it stands, and takes no work to be
    /// compared, with its value, and the other operand.
    pub(super) fn compared_text(&self, a: Use, b: Use, types: &[Type]) -> Option<(Value, u16)> {
        let text = |register: Use| {
            let value = types[usize::from(register.0)].text()?;
            let program = self.planner.program;
            let length = program.constants.text_length(value.bits & 0xffff_ffff);
            let is_told = program.is_told_by_place(value.bits as u32);
            (is_told && u64::from(length) < SAME_FREE_BYTES).then_some(value)
        };
        match (text(a), text(b)) {
            (Some(value), _) => Some((value, b.0)),
            (None, Some(value)) => Some((value, a.0)),
            (None, None) => None,
        }
    }

    /// Which of the program's values an instruction looks for in a map, if it is a constant.
    pub(super) fn key(&self, pc: u32) -> Option<u32> {
        if !self.planner.optimizations.caches {
            return None;
        }
        let internal = self.planner.program.internal();
        internal.key_at(self.place.number(), pc)
    }

    /// Which key an instruction looks for in a map, if it has an entry to look at first.
    pub(super) fn hinted_key(&self, pc: u32, op: &Op, types: &[Type]) -> Option<HintedKey> {
        if let Some(place) = self.key(pc) {
            return Some(HintedKey::Value(place));
        }
        let (key, sets) = match op {
            Op::Data(Data::MapGet { key, .. }) => (key.0, false),
            Op::Data(Data::MapSet { key, .. }) => (key.0, true),
            _ => return None,
        };
        let seen = self.site(pc).operands[1];
        let texts = KindSet::of(&[Kind::String, Kind::Symbol]);
        match types[usize::from(key)] {
            // What is written was often read right before, which is what Ints have in common.
            Type::Int => sets.then_some(HintedKey::Int),
            known if known.is_open() && seen == KindSet::of(&[Kind::Int]) => {
                sets.then_some(HintedKey::Int)
            }
            Type::Object(Kind::String) | Type::Text(..) => Some(HintedKey::Text),
            Type::Any if seen.0 != 0 && seen.0 & !texts.0 == 0 => Some(HintedKey::Text),
            _ => None,
        }
    }

    /// Whether a call has entered few functions, and each takes as many arguments.
    fn has_cases(&self, pc: u32, args: u16) -> bool {
        let callees = self.site(pc).target.functions(self.planner.number);
        let program = self.planner.program;
        let mut functions = callees.iter().map(|callee| program.function(*callee));
        let takes = |function: &Function| {
            function.params == args || function.rest && function.params < args
        };
        callees.len() > 1 && functions.all(takes)
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
                let guesses = !generic && self.planner.optimizations.caches;
                let seen = match site.target {
                    Target::One(program, function) if program == self.planner.number && guesses => {
                        Some(function)
                    }
                    _ => None,
                };
                match types[usize::from(window.base)].callee().or(seen) {
                    Some(callee) if self.is_inlined(pc, callee, window.args) => {
                        Plan::Inline(callee)
                    }
                    Some(callee) => Plan::Known(callee),
                    None if guesses && self.has_cases(pc, window.args) => Plan::OneOf,
                    None if site.target == Target::None => Plan::Exit,
                    None => Plan::AnyClosure,
                }
            }
            Call::Apply { .. } | Call::TailApply { .. } => match site.target {
                Target::None => Plan::Exit,
                _ => Plan::AnyClosure,
            },
            Call::CaptureSet { .. } => Plan::Exit,
            Call::Capture { .. } => Plan::Object(Kind::Closure),
            Call::CellGet { .. } | Call::CellSet { .. } => Plan::Object(Kind::Cell),
            Call::Closure { .. } | Call::Cell { .. } => Plan::Plain,
            Call::GlobalGet { .. } | Call::GlobalSet { .. } => Plan::Plain,
        }
    }
}

/// Whether objects may move, or vectors change their kind, length or place, while an instruction runs that does
/// not stand for the code of other functions.
pub(super) fn moves(op: &Op, plan: Plan) -> bool {
    let allocates = matches!(
        op,
        Op::Data(Data::Cons { .. } | Data::Vector { .. } | Data::MapSet { .. })
            | Op::Function(Call::Cell { .. } | Call::Closure { .. })
            | Op::Text(Text::StringRef { .. })
    );
    match plan {
        Plan::Aside => true,
        Plan::Virtual => false,
        Plan::Routine => Routine::of(op).is_some_and(|routine| routine.moves),
        _ => allocates || op.info().effects.has(Effects::CALL),
    }
}

/// A key of a map that has an entry to look at first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HintedKey {
    /// This one of the program's values.
    Value(u32),
    /// An Int, probably the one that was last looked for.
    Int,
    /// Probably a text, whose hint is found by where it stands.
    Text,
}

/// What operands are taken to be.
struct Guess {
    /// One for each operand: known, or seen.
    operands: Few<Option<Type>>,
    /// An operand was never seen.
    unseen: bool,
}

impl Guess {
    fn of(registers: &[u16], site: &Site, types: &[Type]) -> Guess {
        let mut unseen = false;
        let operands = registers.iter().enumerate().map(|(place, register)| {
            let known = types[usize::from(*register)];
            if !known.is_open() {
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

/// Whether all operands are numbers, as is known or was seen.
fn are_numbers(op: &Op, site: &Site, types: &[Type]) -> bool {
    let numbers = KindSet::of(&[Kind::Int, Kind::Float]);
    reads(op)
        .into_iter()
        .enumerate()
        .all(|(place, register)| match types[usize::from(register)] {
            Type::Int | Type::Float | Type::Number => true,
            Type::Any => site.operands[place].0 & !numbers.0 == 0,
            _ => false,
        })
}

/// The registers that an instruction reads, in the order of its operands.
pub(super) fn reads(op: &Op) -> Few<u16> {
    let mut registers = Few::new();
    op.accesses(|access| {
        if let Access::Read { first, count } = access {
            registers.extend(first..first + count);
        }
    });
    registers
}

/// How an instruction is compiled whose first operand should be an object of the arena.
fn object_plan(kind: Kind, site: &Site, known: Type) -> Plan {
    match known {
        known if known.is_within(Type::Object(kind)) => Plan::Object(kind),
        Type::Any if site.saw_only(kind) => Plan::Object(kind),
        Type::Any if site.operands[0].0 == 0 => Plan::Exit,
        _ => Plan::Aside,
    }
}

fn data_plan(op: &Op, site: &Site, types: &[Type]) -> Plan {
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
        Data::Vector { values, .. } => match Row::of(*values, site, types) {
            Some(_) => Plan::Row,
            None => Plan::Aside,
        },
        Data::VectorLength { vector, .. } => object(vector.0, Kind::Vector),
        Data::MapCount { map, .. } => object(map.0, Kind::Map),
        Data::BytesLength { bytes, .. }
        | Data::BytesRef { bytes, .. }
        | Data::BytesSet { bytes, .. } => {
            let seen = site.operands.iter();
            let are_ints =
                reads(op)
                    .into_iter()
                    .zip(seen)
                    .skip(1)
                    .all(|(number, seen)| match types[usize::from(number)] {
                        Type::Int => true,
                        known => known.is_open() && *seen == KindSet::of(&[Kind::Int]),
                    });
            match object(bytes.0, Kind::Bytes) {
                Plan::Object(_) if !are_ints => Plan::Aside,
                plan => plan,
            }
        }
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
                known => known.is_open() && site.operands[1] == KindSet::of(&[Kind::Int]),
            };
            // What does not fit widens the vector.
            let fits = match data {
                Data::VectorSet { value, .. } if elements != Elements::Any => {
                    let known = types[usize::from(value.0)];
                    known.is_open() || known == Type::of_elements(elements)
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

fn arith_plan(op: &Op, site: &Site, types: &[Type]) -> Plan {
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
        (Plan::Aside, Arith::Neg { .. }) => Plan::Aside,
        (Plan::Aside, _) if with_floats && are_numbers(op, site, types) => Plan::Mixed,
        _ => plan,
    }
}

fn compare_plan(op: &Op, site: &Site, types: &[Type]) -> Plan {
    let Op::Compare(compare) = op else {
        return Plan::Exit;
    };
    let is_word = |register: u16| {
        matches!(
            types[usize::from(register)],
            Type::Int
                | Type::Bool
                | Type::Truth(_)
                | Type::Nil
                | Type::Object(Kind::Pair | Kind::Vector | Kind::Map)
                | Type::Vector(_)
                | Type::Written(_)
                | Type::Virtual(Made::Pair, _)
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
                Plan::Floats if guess.operands.contains(&Some(Type::Int)) => Plan::Mixed,
                Plan::Aside if are_numbers(op, site, types) => Plan::Mixed,
                plan => plan,
            }
        }
    }
}

/// The registers that an instruction guards under its plan, and what it wants them to be.
pub(super) fn guarded(op: &Op, plan: Plan, types: &[Type], site: &Site) -> Few<(u16, Type)> {
    let within = |register: u16, wanted: Type| {
        let known = types[usize::from(register)];
        let is_enough = known.is_within(wanted);
        (register, if is_enough { known } else { wanted })
    };
    let int = |register: &u16| (*register, Type::Int);
    let mut wanted = Few::new();
    match plan {
        Plan::Ints => return reads(op).iter().map(int).collect(),
        Plan::Floats => {
            for (place, register) in reads(op).into_iter().enumerate() {
                let ints = KindSet::of(&[Kind::Int]);
                let known = types[usize::from(register)];
                let is_int = known == Type::Int
                    || known.is_open() && site.operands.get(place) == Some(&ints);
                wanted.push((register, if is_int { Type::Int } else { Type::Float }));
            }
        }
        Plan::Text => {
            if let Op::Text(Text::StringRef { index, .. }) = op {
                wanted.push(int(&index.0));
            }
        }
        Plan::Row => {
            if let Op::Data(Data::Vector { values, .. }) = op
                && let Some(row) = Row::of(*values, site, types)
            {
                return row.guesses;
            }
        }
        Plan::Object(kind) => {
            let registers = reads(op);
            wanted.push(within(registers[0], Type::Object(kind)));
            if kind == Kind::Bytes {
                registers[1..].iter().for_each(|r| wanted.push(int(r)));
            }
        }
        Plan::Elements(elements) => {
            let registers = reads(op);
            let vector = match op {
                Op::Data(Data::VectorSet { .. }) => Type::Written(elements),
                _ => Type::Vector(elements),
            };
            wanted.push(within(registers[0], vector));
            wanted.push(int(&registers[1]));
            if let (Some(value), true) = (registers.get(2), elements != Elements::Any) {
                wanted.push((*value, Type::of_elements(elements)));
            }
        }
        _ => {}
    }
    wanted
}

/// The type of what an instruction writes.
fn result(op: &Op, plan: Plan, types: &[Type]) -> Type {
    match (op, plan) {
        (Op::Data(Data::Move { src, .. }), _) => types[usize::from(src.0)],
        (Op::Data(Data::Nil { .. }), _) => Type::Nil,
        (Op::Data(Data::Bool { value, .. }), _) => Type::Truth(value.0),
        (Op::Arith(_), Plan::Ints) => Type::Int,
        (Op::Arith(_), Plan::Floats) => Type::Float,
        (Op::Arith(_), Plan::Mixed) => {
            let mut operands = reads(op).into_iter();
            let has_float = operands.any(|register| types[usize::from(register)] == Type::Float);
            if has_float { Type::Float } else { Type::Number }
        }
        (Op::Data(Data::VectorRef { .. }), Plan::Elements(elements)) => Type::of_elements(elements),
        _ => Type::of_results(op),
    }
}
