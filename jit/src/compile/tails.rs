//! What exits have in common stands once: each goes on in a tail that writes registers, which exits share as far
//! as they write the same values.
//!
//! A tail is a list of links. Each writes one register, the one whose value is newest first, and goes on to the
//! next; behind the last comes the block that the exit jumps to. Code between two exits changes few
//! registers, so that the links behind those are the same links. A value that several exits write is
//! defined on all paths to each of them, and so on all paths to what they share.

use std::collections::BTreeMap;

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, Block, DataFlowGraph, Function, Inst, InstBuilder};

use super::lower::{MEMORY, SLOT};

/// Where a register's value is at an exit, or while a call is in progress.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) register: u16,
    pub(super) tag: Tag,
    /// A word, or a Float.
    pub(super) bits: ir::Value,
}

/// The tag of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tag {
    Known(u64),
    Found(ir::Value),
}

/// The end of a way out, which is to write registers of a frame.
struct End {
    /// Where it jumps to.
    jump: Inst,
    fp: ir::Value,
    sources: Vec<Source>,
}

/// What comes next: a block, or the link of this number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Block(Block),
    Link(usize),
}

/// A register that is written, and what comes behind it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Link {
    fp: ir::Value,
    source: Source,
    next: Next,
}

/// The tails of a function.
#[derive(Default)]
pub(super) struct Tails {
    ends: Vec<End>,
    links: Vec<Link>,
    numbers: BTreeMap<Link, usize>,
    /// By link: how many ways there are to it.
    ways: Vec<u32>,
    /// By link: the block that it stands in, if there are several ways to it.
    blocks: Vec<Option<Block>>,
    /// Links that have a block, which is still to be written.
    open: Vec<usize>,
}

impl Tails {
    /// Registers of a frame are to be written before a jump that ends a way out.
    pub(super) fn add(&mut self, jump: Inst, fp: ir::Value, sources: Vec<Source>) {
        self.ends.push(End { jump, fp, sources });
    }

    /// Writes all tails into the function, of which everything else is there.
    pub(super) fn write(mut self, function: &mut Function) {
        let ends = std::mem::take(&mut self.ends);
        let firsts: Vec<(Inst, Next)> = ends
            .into_iter()
            .map(|end| (end.jump, self.tail(end, &function.dfg)))
            .collect();
        let mut cursor = FuncCursor::new(function);
        for (jump, first) in firsts {
            cursor.goto_inst(jump);
            let then = self.run(&mut cursor, first);
            let dfg = &mut cursor.func.dfg;
            if let ir::InstructionData::Jump { destination, .. } = &mut dfg.insts[jump] {
                destination.set_block(then, &mut dfg.value_lists);
            }
        }
        while let Some(number) = self.open.pop() {
            let Some(block) = self.blocks[number] else {
                continue;
            };
            cursor.func.layout.append_block(block);
            cursor.goto_bottom(block);
            cursor.func.layout.set_cold(block);
            let next = self.links[number].write(&mut cursor);
            let then = self.run(&mut cursor, next);
            cursor.ins().jump(then, &[]);
        }
    }

    /// The links for what a way out is to write.
    fn tail(&mut self, mut end: End, dfg: &DataFlowGraph) -> Next {
        for source in &mut end.sources {
            source.resolve(dfg);
        }
        // Numbers of values tell, nearly always, which is newer.
        end.sources
            .sort_unstable_by_key(|source| (source.newest(), source.register));
        let then = dfg.insts[end.jump].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
        let mut next = Next::Block(then[0].block(&dfg.value_lists));
        for source in end.sources {
            let fp = end.fp;
            next = Next::Link(self.link(Link { fp, source, next }));
        }
        if let Next::Link(first) = next {
            self.ways[first] += 1;
        }
        next
    }

    fn link(&mut self, link: Link) -> usize {
        if let Some(number) = self.numbers.get(&link) {
            return *number;
        }
        if let Next::Link(next) = link.next {
            self.ways[next] += 1;
        }
        let number = self.links.len();
        self.numbers.insert(link, number);
        self.links.push(link);
        self.ways.push(0);
        self.blocks.push(None);
        number
    }

    /// Writes links up to one to which there are several ways; the block that comes next.
    fn run(&mut self, cursor: &mut FuncCursor<'_>, mut next: Next) -> Block {
        loop {
            match next {
                Next::Block(block) => return block,
                Next::Link(number) if self.ways[number] > 1 => {
                    return *self.blocks[number].get_or_insert_with(|| {
                        self.open.push(number);
                        cursor.func.dfg.make_block()
                    });
                }
                Next::Link(number) => next = self.links[number].write(cursor),
            }
        }
    }
}

impl Link {
    fn write(&self, cursor: &mut FuncCursor<'_>) -> Next {
        let tag = match self.source.tag {
            Tag::Known(tag) => cursor.ins().iconst(I64, tag as i64),
            Tag::Found(tag) => tag,
        };
        let slot = i32::from(self.source.register) * SLOT;
        cursor.ins().store(MEMORY, tag, self.fp, slot);
        cursor
            .ins()
            .store(MEMORY, self.source.bits, self.fp, slot + 8);
        self.next
    }
}

impl Source {
    fn resolve(&mut self, dfg: &DataFlowGraph) {
        self.bits = dfg.resolve_aliases(self.bits);
        if let Tag::Found(tag) = &mut self.tag {
            *tag = dfg.resolve_aliases(*tag);
        }
    }

    fn newest(&self) -> ir::Value {
        match self.tag {
            Tag::Found(tag) => tag.max(self.bits),
            Tag::Known(_) => self.bits,
        }
    }
}
