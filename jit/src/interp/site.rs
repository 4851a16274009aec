//! What was seen at one instruction: kinds of the values that it read and wrote, the functions that its call
//! entered, and where its branch went.

use pw_isa::op::{Access, Accesses, Function as Call, Op};
use pw_isa::{Kind, KindSet};

use crate::code_space::CodeSpace;
use crate::fiber::Fiber;
use crate::fiber::arena::Elements;
use crate::value::{CONSTANT, Value};

/// Operands that are observed one by one.
const OPERANDS: usize = 3;
/// What the tag of a pair says that is a constant of a program.
const CONSTANT_PAIR: u64 = Kind::Pair as u64 | CONSTANT;
/// Functions that a call site entered and that are known one by one.
const TARGETS_MAX: usize = 4;

/// What was seen at one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Site {
    /// How often it was observed.
    pub count: u64,
    /// How often its branch was taken, out of `count`.
    pub taken: u64,
    /// The kinds of the values it read, all operands together.
    pub kinds: KindSet,
    /// The kinds of the first values it read, in the order of its operands.
    pub operands: [KindSet; OPERANDS],
    /// The kinds of the value it wrote; nothing for calls.
    pub result: KindSet,
    /// The elements of the vectors it read from or wrote to: bit 0 generic, bit 1 Int, bit 2 Float.
    pub elements: u8,
    /// Whether a pair that it read was a constant of a program, which stands elsewhere than others.
    pub has_constants: bool,
    /// The functions that its call entered.
    pub target: Target,
    /// How often it failed, out of `count`, where a handler received the error.
    pub raised: u64,
    /// What kinds and functions it sees may have changed: what is known of them holds until it is observed.
    pub is_stale: bool,
}

impl Site {
    /// Forgets what kinds and functions it saw, but not how often and where it went.
    pub(super) fn start_afresh(&mut self) {
        *self = Site {
            count: self.count,
            taken: self.taken,
            raised: self.raised,
            ..Site::default()
        };
    }

    /// Whether its first operand was always an object of this kind; a pair, of the arena.
    pub(crate) fn saw_only(&self, kind: Kind) -> bool {
        let is_elsewhere = kind == Kind::Pair && self.has_constants;
        self.operands[0] == KindSet::of(&[kind]) && !is_elsewhere
    }

    /// Nothing.
    pub(crate) const UNSEEN: Site = Site {
        count: 0,
        taken: 0,
        kinds: KindSet(0),
        operands: [KindSet(0); OPERANDS],
        result: KindSet(0),
        elements: 0,
        has_constants: false,
        target: Target::None,
        raised: 0,
        is_stale: false,
    };
}

/// What a call site entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// Nothing yet.
    #[default]
    None,
    /// Always this function of this program.
    One(u32, u32),
    /// Each of these functions of this program, in ascending order; what is left of the array is empty.
    Few(u32, [Option<u32>; TARGETS_MAX]),
    /// More than that, or of several programs.
    Many,
}

impl Target {
    /// The functions, where they are few and of this program.
    pub(crate) fn functions(self, of: u32) -> Vec<u32> {
        match self {
            Target::One(program, function) if program == of => vec![function],
            Target::Few(program, functions) if program == of => {
                functions.into_iter().flatten().collect()
            }
            _ => Vec::new(),
        }
    }

    fn with(self, program: u32, function: u32) -> Target {
        let mut functions = match self {
            Target::None => return Target::One(program, function),
            Target::Many => return Target::Many,
            known => known.functions(program),
        };
        if functions.contains(&function) {
            return self;
        }
        if functions.is_empty() || functions.len() == TARGETS_MAX {
            return Target::Many;
        }
        functions.push(function);
        functions.sort_unstable();
        let mut few = [None; TARGETS_MAX];
        for (place, function) in few.iter_mut().zip(functions) {
            *place = Some(function);
        }
        Target::Few(program, few)
    }
}

fn add(set: &mut KindSet, value: Value) {
    *set = KindSet(set.0 | KindSet::of(&[value.kind()]).0);
}

/// Notes what an instruction is about to read.
pub(super) fn read(site: &mut Site, fiber: &Fiber, code: &CodeSpace, op: &Op, touched: &Accesses) {
    let Some(frame) = fiber.frames().next() else {
        return;
    };
    let mut operand = 0;
    for access in touched.as_slice() {
        let Access::Read { first, count } = *access else {
            break;
        };
        for register in first..first + count {
            let value = fiber.register(&frame, register);
            add(&mut site.kinds, value);
            if let Some(kinds) = site.operands.get_mut(operand) {
                add(kinds, value);
            }
            operand += 1;
            site.has_constants |= value.tag == CONSTANT_PAIR;
            if value.tag == Kind::Vector as u64 {
                site.elements |= match fiber.arena().vector_elements(value.bits) {
                    Elements::Any => 1,
                    Elements::Int => 2,
                    Elements::Float => 4,
                };
            }
        }
    }
    if let Op::Function(
        Call::CallClosure { window }
        | Call::TailCallClosure { window }
        | Call::Apply { window }
        | Call::TailApply { window },
    ) = op
        && let closure = fiber.register(&frame, window.base)
        && let Some((program, function)) = fiber.heap(code).closure(closure)
    {
        site.target = site.target.with(program, function);
    }
}

/// Notes what an instruction has written.
pub(super) fn wrote(site: &mut Site, fiber: &Fiber, touched: &Accesses) {
    let Some(frame) = fiber.frames().next() else {
        return;
    };
    for access in touched.as_slice() {
        if let Access::Write(register) = access {
            add(&mut site.result, fiber.register(&frame, *register));
        }
    }
}
