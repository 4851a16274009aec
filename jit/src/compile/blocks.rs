//! The blocks of a function as native code has them: straight runs of instructions that nothing enters
//! in the middle, and the gas that each of them takes.
//!
//! A call ends a block, since what comes behind it is entered by a return. What an instruction raises goes on
//! to its handler from the middle of a block, and what has not run of it is given back.

use std::collections::BTreeSet;

use pw_isa::Function;
use pw_isa::op::{Control, Effects, Op};
use pw_isa::program::Handler;

/// One block: the instructions from `start` to before `end`.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Blocks that it can go on to, by number.
    pub(super) next: Vec<usize>,
    /// The handlers that what is raised in it can go on to.
    pub(super) handlers: Vec<usize>,
    /// It begins with `loop`.
    pub(super) is_header: bool,
    /// What was raised goes on there.
    pub(super) is_handler: bool,
    /// The block from which alone control comes here, by going on; none for the first, loops and handlers.
    only_way: Option<usize>,
    /// Some block goes on to it.
    is_gone_on_to: bool,
    /// It is entered by a return.
    pub(super) is_behind_call: bool,
    /// Gas of its instructions.
    pub(super) gas: u64,
}

impl Block {
    /// Whether gas is checked at its start, unless it is behind a call that is replaced.
    pub(super) fn checks_gas(&self) -> bool {
        self.is_header || self.is_behind_call || self.is_handler
    }

    /// Blocks that it can go on to, also by raising.
    pub(super) fn ways(&self) -> impl Iterator<Item = usize> + '_ {
        self.next.iter().chain(&self.handlers).copied()
    }
}

/// The blocks that can be reached, in the order of their places; the first is the entry.
#[derive(Debug)]
pub(super) struct Blocks {
    pub(super) all: Vec<Block>,
    of_pc: Vec<usize>,
}

impl Blocks {
    pub(super) fn of(function: &Function) -> Blocks {
        let starts = starts(function);
        let mut of_pc = vec![usize::MAX; function.code.len()];
        let mut all: Vec<Block> = Vec::new();
        for (pc, is_start) in starts.iter().enumerate() {
            match is_start {
                Some(true) => all.push(Block {
                    start: pc as u32,
                    end: pc as u32 + 1,
                    next: Vec::new(),
                    handlers: Vec::new(),
                    is_header: matches!(function.code[pc], Op::Control(Control::Loop {})),
                    is_handler: false,
                    only_way: None,
                    is_gone_on_to: false,
                    is_behind_call: pc > 0 && is_call(&function.code[pc - 1]),
                    gas: 0,
                }),
                Some(false) => all[of_pc[pc - 1]].end = pc as u32 + 1,
                None => continue,
            }
            of_pc[pc] = all.len() - 1;
            if let Some(block) = all.last_mut() {
                block.gas += function.fixed_gas(pc);
            }
        }
        let mut blocks = Blocks { all, of_pc };
        blocks.link(function);
        blocks
    }

    /// The block that a pc is in.
    pub(super) fn at(&self, pc: u32) -> usize {
        self.of_pc[pc as usize]
    }

    fn link(&mut self, function: &Function) {
        for number in 0..self.all.len() {
            let (start, end) = (self.all[number].start, self.all[number].end);
            let last = &function.code[end as usize - 1];
            let mut next: Vec<usize> = last.label().map(|to| self.at(to)).into_iter().collect();
            if !last.info().effects.has(Effects::END) {
                next.push(self.at(end));
            }
            self.all[number].next = next;
            let handlers: BTreeSet<usize> = (start..end)
                .filter_map(|pc| handler(function, pc))
                .map(|handler| self.at(handler.target))
                .collect();
            for handler in &handlers {
                self.all[*handler].is_handler = true;
            }
            self.all[number].handlers = handlers.into_iter().collect();
        }
        for from in 0..self.all.len() {
            for to in self.all[from].next.clone() {
                let block = &mut self.all[to];
                let is_only = !block.is_gone_on_to && to > 0;
                let can_be = is_only && !block.is_header && !block.is_handler;
                block.only_way = can_be.then_some(from);
                block.is_gone_on_to = true;
            }
        }
    }

    /// By block: the last of those that go on to it.
    pub(super) fn last_ways(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.all.len()];
        for (number, block) in self.all.iter().enumerate() {
            block.ways().for_each(|to| last[to] = Some(number));
        }
        last
    }

    /// The block from which alone control comes to another, by going on.
    pub(super) fn only_way_to(&self, to: usize) -> Option<usize> {
        self.all[to].only_way
    }

    /// Whether control comes to a block by one way, which a block before it or the beginning is.
    pub(super) fn has_only_way(&self, to: usize) -> bool {
        match to {
            0 => !self.all[0].is_gone_on_to && !self.all[0].is_handler,
            _ => self.only_way_to(to).is_some_and(|from| from < to),
        }
    }

    /// Goes from some blocks to all that lead to them, but not on from those that are reached already: which
    /// are reached in the end.
    fn backwards(&self, mut open: Vec<usize>, mut reached: Vec<bool>) -> Vec<bool> {
        while let Some(number) = open.pop() {
            if !std::mem::replace(&mut reached[number], true) {
                open.extend((0..self.all.len()).filter(|from| self.leads(*from, number)));
            }
        }
        reached
    }

    fn leads(&self, from: usize, to: usize) -> bool {
        self.all[from].ways().any(|way| way == to)
    }

    /// The blocks of the loop with this header.
    pub(super) fn of_loop(&self, header: usize) -> Vec<usize> {
        let mut inside = vec![false; self.all.len()];
        inside[header] = true;
        let back = (header..self.all.len()).filter(|number| self.leads(*number, header));
        let inside = self.backwards(back.collect(), inside);
        (0..self.all.len())
            .filter(|number| inside[*number])
            .collect()
    }
}

/// Whether an instruction calls and comes back.
pub(super) fn is_call(op: &Op) -> bool {
    let effects = op.info().effects;
    effects.has(Effects::CALL) && !effects.has(Effects::END)
}

/// The handler of what an instruction can raise in this function.
pub(super) fn handler(function: &Function, pc: u32) -> Option<&Handler> {
    let can_raise = function.code[pc as usize].info().effects.has(Effects::TRAP);
    can_raise.then(|| function.handler_at(pc))?
}

/// For every pc whether a block starts there; `None` where control does not come.
fn starts(function: &Function) -> Vec<Option<bool>> {
    let code = &function.code;
    let mut reached = vec![None; code.len()];
    let mut open = vec![(0usize, true)];
    while let Some((pc, starts)) = open.pop() {
        let starts = starts || matches!(code[pc], Op::Control(Control::Loop {}));
        if let Some(known) = &mut reached[pc] {
            *known |= starts;
            continue;
        }
        reached[pc] = Some(starts);
        let op = &code[pc];
        if !op.info().effects.has(Effects::END) {
            open.push((pc + 1, op.label().is_some() || is_call(op)));
        }
        if let Some(to) = op.label() {
            open.push((to as usize, true));
        }
        if let Some(handler) = handler(function, pc as u32) {
            open.push((handler.target as usize, true));
        }
    }
    reached
}
