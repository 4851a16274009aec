//! The part of the check that is about paths: which blocks all paths to another pass, and which values can come to
//! be which.

use std::collections::BTreeSet;

use cranelift_codegen::ir::{Block, BlockArg, Opcode, Value};

use super::{Checker, destinations};

impl Checker<'_> {
    pub(super) fn find_dominators(&mut self) {
        let entry = self.entry();
        let words = self.order.len().div_ceil(64);
        self.dominators
            .insert(entry, self.with_itself(vec![0; words], entry));
        loop {
            let mut has_changed = false;
            for block in self.body.layout.blocks().filter(|block| *block != entry) {
                let known = self.before(block).iter();
                let known = known.filter_map(|(before, _)| self.dominators.get(before));
                let common = known.cloned().reduce(|mut a, b| {
                    a.iter_mut().zip(b).for_each(|(a, b)| *a &= b);
                    a
                });
                if let Some(common) = common {
                    let common = self.with_itself(common, block);
                    if self.dominators.get(&block) != Some(&common) {
                        self.dominators.insert(block, common);
                        has_changed = true;
                    }
                }
            }
            if !has_changed {
                return;
            }
        }
    }

    fn with_itself(&self, mut blocks: Vec<u64>, block: Block) -> Vec<u64> {
        let place = self.order[&block];
        blocks[place / 64] |= 1 << (place % 64);
        blocks
    }

    /// Whether every path to a block passes another.
    pub(super) fn is_passed(&self, block: Block, on_way_to: Block) -> bool {
        let place = self.order[&block];
        self.dominators[&on_way_to][place / 64] & 1 << (place % 64) != 0
    }

    /// Where a variable has no value, Cranelift puts a constant at the top of the entry, before all that a
    /// body does; and then what it flows to may be undefined, too.
    pub(super) fn find_undefined(&mut self) {
        let dfg = &self.body.dfg;
        let insts = self.body.layout.block_insts(self.entry());
        let undefined = insts.take_while(|inst| {
            let opcode = dfg.insts[*inst].opcode();
            matches!(opcode, Opcode::Iconst | Opcode::F64const)
        });
        let undefined = undefined.map(|inst| dfg.inst_results(inst)[0]).collect();
        self.undefined = self.reached_from(undefined, |_, _| true);
    }

    /// Some values with all parameters that one of them can be passed for, by ways from blocks that count.
    pub(super) fn reached_from(
        &self,
        mut values: BTreeSet<Value>,
        counts: impl Fn(Block, Value) -> bool,
    ) -> BTreeSet<Value> {
        while !values.is_empty() {
            let mut more = Vec::new();
            for block in self.dominators.keys() {
                for (place, param) in self.body.dfg.block_params(*block).iter().enumerate() {
                    let mut arguments = self.arguments(*block, place);
                    if !values.contains(param)
                        && arguments
                            .any(|(from, value)| values.contains(&value) && counts(from, value))
                    {
                        more.push(*param);
                    }
                }
            }
            if more.is_empty() {
                break;
            }
            values.extend(more);
        }
        values
    }

    /// What is passed for a parameter of a block, and where, on all ways that can be taken.
    pub(super) fn arguments(
        &self,
        block: Block,
        place: usize,
    ) -> impl Iterator<Item = (Block, Value)> + '_ {
        let ways = self.before(block).iter();
        let ways = ways.filter(|(before, _)| self.dominators.contains_key(before));
        ways.flat_map(move |(from, inst)| {
            let calls = destinations(self.body, *inst).iter();
            let lists = &self.body.dfg.value_lists;
            let calls = calls.filter(move |call| call.block(lists) == block);
            calls.filter_map(move |call| match call.args(lists).nth(place) {
                Some(BlockArg::Value(value)) => Some((*from, self.body.dfg.resolve_aliases(value))),
                _ => None,
            })
        })
    }
}
