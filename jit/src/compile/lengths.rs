//! What a function in place of its call finds out about the lengths of vectors: of those that it is passed, by elements
//! at known indexes that it always comes to, and of the one that it returns, where it has just made it.

use std::collections::BTreeMap;
use std::rc::Rc;

use pw_isa::op::{Access, Control, Data, Op};

use super::effects::only_allocates;
use super::facts::{Fact, Term};
use super::parts::{Part, is_tail_call, window};
use super::plans::Few;
use super::ranges::Ranges;
use super::table::Table;
use super::types::{Evidence, Plan, Types};

/// What a part finds out.
#[derive(Default)]
pub(super) struct Found {
    /// By argument: its least length.
    arguments: Vec<i64>,
    /// The length of what it returns.
    result: Option<i64>,
    /// By pc: what the part in place of the call there finds out, about registers of this one.
    pub(super) behind: BTreeMap<u32, Few<Fact>>,
}

impl Evidence<'_> {
    /// What a part of these types finds out, given where objects may move and the parts inside.
    pub(super) fn lengths_found(
        &self,
        types: &Types,
        moves_at: &[bool],
        inside: &BTreeMap<u32, Rc<Part>>,
    ) -> Found {
        let behind = inside
            .iter()
            .map(|(pc, part)| (*pc, self.facts_behind(*pc, part)));
        let behind = behind.filter(|(_, facts)| !facts.is_empty()).collect();
        let code = self.function.code.iter();
        let resizes = code.zip(moves_at);
        let resizes: Vec<bool> = resizes
            .map(|(op, moves)| *moves && !only_allocates(op))
            .collect();
        // What a handler receives may come from before an element.
        let mut blocks = self.place.blocks.all.iter();
        let is_sure = !resizes.contains(&true) && blocks.all(|block| block.handlers.is_empty());
        let arguments = match is_sure {
            true => self.lengths_of_arguments(types, &behind),
            false => Vec::new(),
        };
        Found {
            arguments,
            result: self.length_of_result(types, &resizes, inside),
            behind,
        }
    }

    /// What is known when a part is entered, and that vectors it is passed are as long as it will find: that is tested on
    /// the way in, once, unless such tests have failed too often.
    pub(super) fn with_lengths(&self, part: &Part, entry: &Ranges) -> Ranges {
        let mut known = entry.clone();
        if let Some(types) = &part.types.at_start[0]
            && !self.is_generic(0)
        {
            let found = (0..).zip(part.found.arguments.iter().zip(types));
            for (register, (least, known_type)) in found {
                if known_type.elements().is_some() {
                    known.assume(Fact::Least(Term::length(register), *least));
                }
            }
        }
        known
    }

    /// What the part in place of a call finds out, about registers that were passed to it and what it returns.
    fn facts_behind(&self, pc: u32, part: &Part) -> Few<Fact> {
        let Op::Function(call) = &self.function.code[pc as usize] else {
            return Few::new();
        };
        let (base, args) = window(call);
        let found = (0..args).zip(&part.found.arguments);
        let found = found.filter(|(_, least)| **least > 0);
        let found = found.filter_map(|(place, least)| {
            let register = self.copied_from(pc, base + 1 + place)?;
            (register < base).then_some(Fact::Least(Term::length(register), *least))
        });
        // What a function returns in place of this one stands in no register here.
        let length = part.found.result.filter(|_| !is_tail_call(call));
        let result = Term::length(base);
        let result = length.map(|length| [Fact::Least(result, length), Fact::Most(result, length)]);
        found.chain(result.into_iter().flatten()).collect()
    }

    /// By argument that the function keeps: the least length that it has where nothing changes lengths, since an element of it
    /// is found whenever the function is entered.
    fn lengths_of_arguments(&self, types: &Types, behind: &BTreeMap<u32, Few<Fact>>) -> Vec<i64> {
        let mut least = vec![0; usize::from(self.function.params)];
        let mut note = |register: u16, length: i64| {
            if let Some(least) = least.get_mut(usize::from(register))
                && self.place.kept[usize::from(register)]
            {
                *least = length.max(*least);
            }
        };
        let mut numbers = Table::<u16, i64, 8>::default();
        for number in self.always_entered(types) {
            let block = &self.place.blocks.all[number];
            for pc in block.start..block.end {
                let op = &self.function.code[pc as usize];
                match (op, types.plans[pc as usize]) {
                    (_, Plan::Exit) => return least,
                    (
                        Op::Data(
                            Data::VectorRef { vector, index, .. }
                            | Data::VectorSet { vector, index, .. },
                        ),
                        Plan::Elements(_),
                    ) => {
                        if let Some(index) = numbers.get(index.0) {
                            note(vector.0, index.saturating_add(1));
                        }
                    }
                    _ => {}
                }
                for fact in behind.get(&pc).into_iter().flatten() {
                    if let Fact::Least(term, length) = fact {
                        note(term.register(), *length);
                    }
                }
                op.accesses(|access| match access {
                    Access::Write(register) => numbers.retain(|known, _| known != register),
                    Access::Clobber(first) => numbers.retain(|known, _| known < first),
                    Access::Read { .. } => {}
                });
                if let Op::Data(Data::Int { dst, value }) = op {
                    numbers.insert(dst.0, value.0);
                }
            }
        }
        least
    }

    /// The length of the vector that is returned, if all returns return one of that length which was made right before.
    fn length_of_result(
        &self,
        types: &Types,
        resizes: &[bool],
        inside: &BTreeMap<u32, Rc<Part>>,
    ) -> Option<i64> {
        let mut result = None;
        for (block, at_start) in self.place.blocks.all.iter().zip(&types.at_start) {
            let last = block.end - 1;
            let here = match &self.function.code[last as usize] {
                _ if at_start.is_none() || types.plans[last as usize] == Plan::Exit => continue,
                Op::Control(Control::Return { value }) => {
                    self.length_made(block.start..last, value.0, types, resizes)
                }
                // Control goes on in this function.
                _ if !block.next.is_empty() => continue,
                Op::Control(Control::Raise { .. }) => continue,
                _ => inside.get(&last).and_then(|part| part.found.result),
            }?;
            if result.is_some_and(|known| known != here) {
                return None;
            }
            result = Some(here);
        }
        result
    }

    /// The length of the vector in a register behind some instructions, if one of them has made it.
    fn length_made(
        &self,
        code: std::ops::Range<u32>,
        register: u16,
        types: &Types,
        resizes: &[bool],
    ) -> Option<i64> {
        for pc in code.rev() {
            let op = &self.function.code[pc as usize];
            let mut is_written = false;
            op.accesses(|access| {
                is_written |= match access {
                    Access::Write(written) => written == register,
                    Access::Clobber(first) => first <= register,
                    Access::Read { .. } => false,
                }
            });
            if is_written {
                return match op {
                    Op::Data(Data::Vector { values, .. })
                        if types.plans[pc as usize] == Plan::Row =>
                    {
                        Some(values.count.into())
                    }
                    _ => None,
                };
            }
            if resizes[pc as usize] {
                return None;
            }
        }
        None
    }
}
