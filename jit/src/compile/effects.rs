//! What instructions do to what is known about Ints and vectors, worked out once for each: it is looked up
//! again and again while loops are looked at.

use std::collections::{BTreeMap, BTreeSet};

use pw_isa::op::{Access, Arith, Compare, Data, Function as Call, Op};

use super::facts::{Fact, Term, Test};
use super::plans::Few;
use super::ranges::Ranges;
use super::types::{Evidence, Plan};

/// What one instruction does.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Nothing,
    /// Copies a register.
    Copy {
        dst: u16,
        src: u16,
    },
    Number {
        dst: u16,
        number: i64,
    },
    /// Takes the length of a vector.
    Length {
        dst: u16,
        vector: u16,
    },
    /// Makes a vector of so many elements.
    Made {
        dst: u16,
        length: i64,
    },
    /// Finds an element of a vector, and reads it if there is a destination.
    Element {
        dst: Option<u16>,
        vector: u16,
        index: u16,
    },
    /// Works on Ints.
    Result(Arith),
    /// Compares, which says something about Ints or not.
    Outcome {
        dst: u16,
        test: Option<Test>,
    },
    Opposite {
        dst: u16,
        of: u16,
    },
    /// Writes something else.
    Write(u16),
    /// Leaves nothing in registers from one on.
    Clobber(u16),
}

/// What the instructions of a function do.
#[derive(Debug)]
pub(super) struct Effects {
    /// By pc, with whether vectors may have other lengths behind it.
    by_pc: Vec<(Effect, bool)>,
    /// By pc: what is found out by the code of a function in place of its call.
    found: BTreeMap<u32, Few<Fact>>,
    /// The numbers that bounds are likely to settle at, in ascending order.
    pub(super) bounds: Vec<i64>,
}

impl Effects {
    /// Goes on behind an instruction.
    pub(super) fn step(&self, pc: u32, known: &mut Ranges) {
        let (effect, resizes) = self.by_pc[pc as usize];
        match effect {
            Effect::Nothing => {}
            Effect::Copy { dst, src } => known.copy(dst, src),
            Effect::Number { dst, number } => known.set_int(dst, number),
            Effect::Length { dst, vector } => known.set_length(dst, vector),
            Effect::Made { dst, length } => known.set_made(dst, length),
            Effect::Element { dst, vector, index } => {
                known.found(index, vector);
                if let Some(dst) = dst {
                    known.forget(dst);
                }
            }
            Effect::Result(op) => known.set_result(&op),
            Effect::Outcome { dst, test } => known.set_test(dst, test),
            Effect::Opposite { dst, of } => known.set_test(dst, known.opposite(of)),
            Effect::Write(dst) => known.forget(dst),
            Effect::Clobber(first) => known.forget_from(first),
        }
        if resizes {
            known.forget_lengths();
        }
        if let Some(found) = self.found.get(&pc) {
            found.iter().for_each(|fact| known.assume(*fact));
        }
    }
}

impl Evidence<'_> {
    /// What the instructions do under their plans, given behind which of them objects may have moved, and what is found out
    /// in place of calls.
    pub(super) fn effects(
        &self,
        plans: &[Plan],
        moves: &[bool],
        found: BTreeMap<u32, Few<Fact>>,
    ) -> Effects {
        let elide = self.planner.optimizations.elide;
        let code = self.function.code.iter();
        let by_pc = code.zip(plans).zip(moves).map(|((op, plan), moves)| {
            if !elide {
                return (Effect::Nothing, false);
            }
            let resizes = *plan == Plan::Exit || *moves && !only_allocates(op);
            (effect(op, *plan), resizes)
        });
        Effects {
            by_pc: by_pc.collect(),
            found: if elide { found } else { BTreeMap::new() },
            bounds: self.bounds(),
        }
    }

    /// The numbers that bounds are likely to settle at, in ascending order.
    fn bounds(&self) -> Vec<i64> {
        let length_max = Term::length(0).widest().most;
        let mut bounds = BTreeSet::from([-1, 0, 1, length_max]);
        for op in &self.function.code {
            if let Op::Data(Data::Int { value, .. }) = op {
                let number = value.0;
                bounds.extend([number.saturating_sub(1), number, number.saturating_add(1)]);
            }
        }
        bounds.into_iter().collect()
    }
}

/// Whether an instruction moves objects only to make room.
pub(super) fn only_allocates(op: &Op) -> bool {
    matches!(
        op,
        Op::Data(Data::Cons { .. } | Data::Vector { .. })
            | Op::Function(Call::Cell { .. } | Call::Closure { .. })
    )
}

fn effect(op: &Op, plan: Plan) -> Effect {
    match (*op, plan) {
        (Op::Data(Data::Move { dst, src }), _) => Effect::Copy {
            dst: dst.0,
            src: src.0,
        },
        (Op::Data(Data::Int { dst, value }), _) => Effect::Number {
            dst: dst.0,
            number: value.0,
        },
        (Op::Data(Data::VectorLength { dst, vector }), Plan::Object(_)) => Effect::Length {
            dst: dst.0,
            vector: vector.0,
        },
        (Op::Data(Data::Vector { dst, values }), Plan::Row) => Effect::Made {
            dst: dst.0,
            length: values.count.into(),
        },
        (Op::Data(Data::VectorRef { dst, vector, index }), Plan::Elements(_)) => Effect::Element {
            dst: Some(dst.0),
            vector: vector.0,
            index: index.0,
        },
        (Op::Data(Data::VectorSet { vector, index, .. }), Plan::Elements(_)) => Effect::Element {
            dst: None,
            vector: vector.0,
            index: index.0,
        },
        (Op::Arith(op), Plan::Ints) => Effect::Result(op),
        (Op::Compare(Compare::Not { dst, a }), _) => Effect::Opposite {
            dst: dst.0,
            of: a.0,
        },
        (Op::Compare(compare), Plan::Ints) => match writes(op) {
            Effect::Write(dst) => Effect::Outcome {
                dst,
                test: Test::of(&compare),
            },
            other => other,
        },
        _ => writes(op),
    }
}

/// What is left of what was known behind an instruction of which nothing else is known. Where it writes several
/// registers, nothing is known from the lowest of them on.
fn writes(op: &Op) -> Effect {
    let mut effect = Effect::Nothing;
    op.accesses(|access| {
        effect = match (access, effect) {
            (Access::Read { .. }, _) => return,
            (Access::Write(dst), Effect::Nothing) => Effect::Write(dst),
            (
                Access::Write(first) | Access::Clobber(first),
                Effect::Write(other) | Effect::Clobber(other),
            ) => Effect::Clobber(first.min(other)),
            (Access::Write(first) | Access::Clobber(first), _) => Effect::Clobber(first),
        }
    });
    effect
}
