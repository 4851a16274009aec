//! The control flow of a function: blocks of straight-line code, where each can go on, and the order
//! in which analyses visit them.

use crate::op::Effects;
use crate::program::{Function, Handler};

/// A stretch of code that is entered at its start only and left at its end, or for its handler.
pub(super) struct Block {
    /// First instruction.
    pub(super) start: u32,
    /// First instruction behind it.
    pub(super) end: u32,
    /// Blocks in which control goes on behind the last instruction.
    pub(super) successors: [Option<u32>; 2],
    /// The innermost handler around the block. Those around it are entered from its own code.
    pub(super) handler: Option<Handler>,
    /// The block in which that handler goes on.
    pub(super) handler_block: Option<u32>,
}

/// The blocks of a function.
pub(super) struct Flow {
    /// By rising pc.
    pub(super) blocks: Vec<Block>,
    /// Every block once, those before which others lead before them where loops allow it.
    pub(super) order: Vec<u32>,
}

impl Flow {
    /// The flow of a function whose operands and handlers were checked.
    pub(super) fn of(function: &Function) -> Flow {
        let (block_of, starts) = leaders(function);
        let ends = starts[1..]
            .iter()
            .copied()
            .chain([function.code.len() as u32]);
        let mut blocks: Vec<Block> = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| {
                let last = &function.code[end as usize - 1];
                let falls = !last.info().effects.has(Effects::END);
                Block {
                    start: *start,
                    end,
                    successors: [
                        last.label().map(|label| block_of[label as usize]),
                        falls.then(|| block_of[end as usize]),
                    ],
                    handler: None,
                    handler_block: None,
                }
            })
            .collect();
        find_handlers(function, &block_of, &mut blocks);
        let order = order(&blocks);
        Flow { blocks, order }
    }
}

/// The number of the block each instruction belongs to, and the first instruction of each block. A
/// block begins at the entry, at jump and handler targets, at the ends of handler ranges and behind
/// branches.
fn leaders(function: &Function) -> (Vec<u32>, Vec<u32>) {
    let code = &function.code;
    let mut leader = vec![false; code.len() + 1];
    leader[0] = true;
    for (pc, op) in code.iter().enumerate() {
        if let Some(label) = op.label() {
            leader[label as usize] = true;
            leader[pc + 1] = true;
        }
        if op.info().effects.has(Effects::END) {
            leader[pc + 1] = true;
        }
    }
    for handler in &function.handlers {
        leader[handler.start as usize] = true;
        leader[handler.end as usize] = true;
        leader[handler.target as usize] = true;
    }
    let mut block_of = Vec::with_capacity(code.len());
    let mut starts = Vec::new();
    for (pc, leads) in leader.iter().take(code.len()).enumerate() {
        if *leads {
            starts.push(pc as u32);
        }
        block_of.push(starts.len() as u32 - 1);
    }
    (block_of, starts)
}

/// Handlers by the beginning of their ranges, outer ones first.
pub(super) fn handlers_from_outside(function: &Function) -> Vec<usize> {
    let mut order: Vec<usize> = (0..function.handlers.len()).collect();
    order.sort_by_key(|at| (function.handlers[*at].start, std::cmp::Reverse(*at)));
    order
}

fn find_handlers(function: &Function, block_of: &[u32], blocks: &mut [Block]) {
    let order = handlers_from_outside(function);
    let mut order = order.iter().map(|at| function.handlers[*at]).peekable();
    let mut around: Vec<Handler> = Vec::new();
    for block in blocks {
        while around
            .pop_if(|handler| handler.end <= block.start)
            .is_some()
        {}
        while let Some(handler) = order.next_if(|handler| handler.start == block.start) {
            around.push(handler);
        }
        block.handler = around.last().copied();
        block.handler_block = block
            .handler
            .map(|handler| block_of[handler.target as usize]);
    }
}

/// Reverse postorder of a depth-first walk from the entry, then from what that has not reached.
fn order(blocks: &[Block]) -> Vec<u32> {
    let mut seen = vec![false; blocks.len()];
    let mut postorder = Vec::with_capacity(blocks.len());
    let mut path: Vec<(u32, usize)> = Vec::new();
    for root in 0..blocks.len() as u32 {
        if std::mem::replace(&mut seen[root as usize], true) {
            continue;
        }
        path.push((root, 0));
        while let Some((block, edge)) = path.last_mut() {
            let from = &blocks[*block as usize];
            let edges = [from.handler_block, from.successors[0], from.successors[1]];
            let Some(next) = edges.get(*edge) else {
                postorder.push(*block);
                path.pop();
                continue;
            };
            *edge += 1;
            if let Some(next) = *next
                && !std::mem::replace(&mut seen[next as usize], true)
            {
                path.push((next, 0));
            }
        }
    }
    postorder.reverse();
    postorder
}
