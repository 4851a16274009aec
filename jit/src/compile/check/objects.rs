//! The part of the check that is about objects: what a way that leaves writes to a frame names objects that stand
//! in the arena, or that it writes there, with all their words.
//!
//! An object's room is taken where `top` is read from the state. From there on it has to be written before it can be
//! seen. Which objects are written is told by stores to where a value says: on every path to a place, or on
//! the way itself.

use std::collections::BTreeSet;
use std::mem::offset_of;

use cranelift_codegen::ir::{Block, InstructionData, Opcode, Value, ValueDef};
use pw_isa::Kind;

use super::{Address, Checker, Way, is_tag};
use crate::compile::state::NativeState;
use crate::fiber::arena::object::{ObjectKind, extra, size_words};

/// Where the state says where the next object goes.
const TOP: usize = offset_of!(NativeState<'_>, top);

impl Checker<'_> {
    /// The offset of the object whose address a value is.
    pub(super) fn object(&self, address: Value) -> Option<Value> {
        let InstructionData::Binary {
            opcode: Opcode::Iadd,
            args: [words, offset],
        } = self.definition(address)?
        else {
            return None;
        };
        let words = self.is_field(*words, offset_of!(NativeState<'_>, words));
        words.then(|| self.body.dfg.resolve_aliases(*offset))
    }

    /// Finds out which objects are written where, and which values name some that need not be.
    pub(super) fn find_writes(&mut self) {
        let mut taken = BTreeSet::new();
        for block in self.body.layout.blocks() {
            for inst in self.body.layout.block_insts(block) {
                if let InstructionData::Store {
                    args: [_, to],
                    offset,
                    ..
                } = &self.body.dfg.insts[inst]
                    && let Some(Address::Object(object, 0)) =
                        self.address(*to, i64::from(i32::from(*offset)))
                {
                    self.writes.entry(object).or_default().push(block);
                }
                let results = self.body.dfg.inst_results(inst).iter();
                taken.extend(results.filter(|value| self.is_field(**value, TOP)));
            }
        }
        self.unwritten = self.reached_from(taken, |from, value| !self.is_written_at(value, from));
    }

    /// Whether the first word of an object is written in a block.
    fn is_written_at(&self, value: Value, block: Block) -> bool {
        let blocks = self.writes.get(&value);
        blocks.is_some_and(|blocks| blocks.contains(&block))
    }

    /// Whether the object that a value names is sure to have been written before a block begins.
    fn is_written(&self, value: Value, block: Block, seen: &mut BTreeSet<(Value, Block)>) -> bool {
        // On a way that comes here again, what came before says.
        if !self.unwritten.contains(&value) || !seen.insert((value, block)) {
            return true;
        }
        let mut before =
            |from, value| self.is_written_at(value, from) || self.is_written(value, from, seen);
        match self.body.dfg.value_def(value) {
            ValueDef::Result(inst, _) if self.body.layout.inst_block(inst) == Some(block) => false,
            ValueDef::Param(at, place) if at == block => {
                let mut passed = self.arguments(at, place);
                passed.all(|(from, value)| before(from, value))
            }
            _ => {
                let ways = self.before(block).iter();
                let mut ways = ways.filter(|(from, _)| self.dominators.contains_key(from));
                ways.all(|(from, _)| before(*from, value))
            }
        }
    }

    /// Checks that the object that a value names is in the arena or written on the way, and what it holds.
    pub(super) fn check_object(
        &self,
        way: &Way,
        tag: Option<i64>,
        bits: Value,
    ) -> Result<(), String> {
        if tag.is_some_and(|tag| tag != Kind::Pair as i64 && tag != Kind::Closure as i64)
            || self.is_written(bits, way.first, &mut BTreeSet::new())
        {
            return Ok(());
        }
        let word = |at: usize| {
            let word = way.written.get(&Address::Object(bits, 8 * at as i64));
            let word = word.filter(|word| self.is_defined(way, **word));
            let missing = || format!("names {bits}, of which word {at} is not written");
            word.copied().ok_or_else(missing)
        };
        let head = word(0)?;
        match tag {
            Some(tag) if tag == Kind::Pair as i64 => {
                let tags = self
                    .tags_of_pair(head)
                    .ok_or("is a pair without a header")?;
                for (at, tag) in tags.into_iter().enumerate() {
                    self.check_value(way, (tag, word(1 + at)?))?;
                }
            }
            Some(_) => {
                let head = self.constant(head).ok_or("is a closure without a header")? as u64;
                let captures = usize::from(extra(head));
                if ObjectKind::of(head) != ObjectKind::Closure
                    || size_words(head) != 2 + 2 * captures
                {
                    return Err("is a closure with the header of something else".to_owned());
                }
                let what = self.split(word(1)?).map(|(program, _)| program);
                what.filter(|program| {
                    self.is_field(*program, offset_of!(NativeState<'_>, program_bits))
                })
                .ok_or("is a closure of no program")?;
                for capture in 0..captures {
                    let tag = self.constant(word(2 + 2 * capture)?);
                    self.check_value(way, (tag, word(3 + 2 * capture)?))?;
                }
            }
            None => return Err("is of a kind that is not known, and not written".to_owned()),
        }
        Ok(())
    }

    /// The tags of a pair's fields that its header says, where they are constants.
    fn tags_of_pair(&self, head: Value) -> Option<[Option<i64>; 2]> {
        let (tags, kind) = self.split(head)?;
        let Some(InstructionData::Binary {
            opcode: Opcode::Bor,
            args: [car, cdr],
        }) = self.definition(tags)
        else {
            return None;
        };
        let shifted = |value: Value, by: i64| match self.definition(value)? {
            InstructionData::Binary {
                opcode: Opcode::Ishl,
                args: [tag, shift],
            } if self.constant(*shift) == Some(by) => Some(self.constant(*tag)),
            _ => None,
        };
        let tags = [shifted(*car, 16)?, shifted(*cdr, 32)?];
        let are_tags = tags.iter().flatten().all(|tag| is_tag(*tag));
        (kind == ObjectKind::Pair as i64 && are_tags).then_some(tags)
    }
}
