//! What exits have in common stands once: each goes on in a tail that writes registers, which exits share as far
//! as they write the same values.
//!
//! A tail is a list of links. Each writes one word, the newest first, and goes on to the next; behind the last
//! comes the block that the exit jumps to. Code between two exits changes few registers, so that the links
//! behind those are the same links. A value that several exits write is defined on all paths to each of
//! them, and so on all paths to what they share.

use std::collections::BTreeMap;

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{self, Block, DataFlowGraph, Function, Inst, InstBuilder};

use super::lower::{MEMORY, SLOT};

/// Where a register's value is at an exit, or while a call is in progress.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) register: u16,
    pub(super) tag: Tag,
    /// A word, or a Float.
    pub(super) bits: ir::Value,
}

/// The tag of a value.
#[derive(Clone, Copy)]
pub(super) enum Tag {
    Known(u64),
    Found(ir::Value),
}

/// A word that a way out writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    base: ir::Value,
    offset: i32,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Constant(u64),
    Value(ir::Value),
}

/// What comes next: a block, or the link of this number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Block(Block),
    Link(usize),
}

/// A word that is written, and what comes behind it.
struct Link {
    word: Word,
    next: Next,
    /// How many ways there are to it.
    ways: u32,
    /// The block that it stands in, if there are several.
    block: Option<Block>,
}

/// The tails of a function.
#[derive(Default)]
pub(super) struct Tails {
    /// By the jump that ends a way out: what is to be written before, and with which value it is sorted.
    ends: BTreeMap<Inst, Vec<(ir::Value, Word)>>,
    links: Vec<Link>,
    /// The links by what they write, and what comes behind.
    numbers: BTreeMap<(Word, Next), usize>,
    /// Links that have a block, which is still to be written.
    open: Vec<(usize, Block)>,
    /// Constants that are at hand in the block being written. They are made where they are written, since
    /// hot code would use those of a block that it has passed, and keep them for it.
    constants: Vec<(u64, ir::Value)>,
}

impl Tails {
    /// Registers are to be written to a frame, which begins so many bytes behind a place, before a jump that ends a way
    /// out.
    pub(super) fn write(&mut self, jump: Inst, (fp, frame): (ir::Value, i32), sources: &[Source]) {
        let words = self.ends.entry(jump).or_default();
        for source in sources {
            let slot = frame + i32::from(source.register) * SLOT;
            let tag = match source.tag {
                Tag::Known(tag) => What::Constant(tag),
                Tag::Found(tag) => What::Value(tag),
            };
            let (base, age) = (fp, source.bits);
            for (offset, what) in [(slot, tag), (slot + 8, What::Value(source.bits))] {
                words.push((age, Word { base, offset, what }));
            }
        }
    }

    /// A word is to be written before a jump that ends a way out.
    pub(super) fn write_word(&mut self, jump: Inst, base: ir::Value, offset: i32, word: ir::Value) {
        let words = self.ends.entry(jump).or_default();
        let what = What::Value(word);
        words.push((word, Word { base, offset, what }));
    }

    /// Writes all tails into the function, of which everything else is there.
    pub(super) fn finish(mut self, function: &mut Function) {
        let ends = std::mem::take(&mut self.ends);
        let firsts: Vec<(Inst, Next)> = ends
            .into_iter()
            .map(|(jump, words)| (jump, self.tail(jump, words, &function.dfg)))
            .collect();
        let mut cursor = FuncCursor::new(function);
        for (jump, first) in firsts {
            cursor.goto_inst(jump);
            self.constants.clear();
            let then = self.run(&mut cursor, first);
            let dfg = &mut cursor.func.dfg;
            if let ir::InstructionData::Jump { destination, .. } = &mut dfg.insts[jump] {
                destination.set_block(then, &mut dfg.value_lists);
            }
        }
        while let Some((number, block)) = self.open.pop() {
            cursor.func.layout.append_block(block);
            cursor.func.layout.set_cold(block);
            cursor.goto_bottom(block);
            self.constants.clear();
            let Link { word, next, .. } = self.links[number];
            self.store(&mut cursor, word);
            let then = self.run(&mut cursor, next);
            cursor.ins().jump(then, &[]);
        }
    }

    /// The links for what a way out is to write.
    fn tail(&mut self, jump: Inst, mut words: Vec<(ir::Value, Word)>, dfg: &DataFlowGraph) -> Next {
        for (age, word) in &mut words {
            *age = dfg.resolve_aliases(*age);
            if let What::Value(value) = &mut word.what {
                *value = dfg.resolve_aliases(*value);
            }
        }
        // Numbers of values tell, nearly always, which is newer; a tag stays with its bits.
        words.sort_by_key(|(age, word)| (*age, word.base, word.offset));
        let then = dfg.insts[jump].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
        let mut next = Next::Block(then[0].block(&dfg.value_lists));
        for (_, word) in words {
            next = Next::Link(self.link(word, next));
        }
        self.add_way(next);
        next
    }

    fn link(&mut self, word: Word, next: Next) -> usize {
        if let Some(number) = self.numbers.get(&(word, next)) {
            return *number;
        }
        self.add_way(next);
        let number = self.links.len();
        self.numbers.insert((word, next), number);
        self.links.push(Link {
            word,
            next,
            ways: 0,
            block: None,
        });
        number
    }

    fn add_way(&mut self, to: Next) {
        if let Next::Link(number) = to {
            self.links[number].ways += 1;
        }
    }

    fn store(&mut self, cursor: &mut FuncCursor<'_>, word: Word) {
        let value = match word.what {
            What::Constant(constant) => self.constant(cursor, constant),
            What::Value(value) => value,
        };
        cursor.ins().store(MEMORY, value, word.base, word.offset);
    }

    fn constant(&mut self, cursor: &mut FuncCursor<'_>, constant: u64) -> ir::Value {
        let mut at_hand = self.constants.iter();
        if let Some((_, value)) = at_hand.find(|(known, _)| *known == constant) {
            return *value;
        }
        let value = cursor.ins().iconst(I64, constant as i64);
        self.constants.push((constant, value));
        value
    }

    /// Writes links up to one to which there are several ways; the block that comes next.
    fn run(&mut self, cursor: &mut FuncCursor<'_>, mut next: Next) -> Block {
        loop {
            let number = match next {
                Next::Block(block) => return block,
                Next::Link(number) => number,
            };
            let link = &mut self.links[number];
            if link.ways > 1 {
                return *link.block.get_or_insert_with(|| {
                    let block = cursor.func.dfg.make_block();
                    self.open.push((number, block));
                    block
                });
            }
            let word = link.word;
            next = link.next;
            self.store(cursor, word);
        }
    }
}
