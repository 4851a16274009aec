//! Paying for blocks: the gas left is a variable, and a number that has been taken from it since.
//!
//! Gas is checked where loops begin, behind calls and in handlers: for all that can run until the next check. The code
//! of a function in place of its call is paid for by the check before it, and so is what comes behind it, if every way
//! through that code is.
//!
//! How much blocks have taken from the variable since it was set is known where control comes by one way, and taken where
//! ways join: checks compare with more, and exits say how much is to be given back or taken.

use std::mem::offset_of;
use std::rc::Rc;

use cranelift_codegen::ir;
use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;

use super::blocks::Block;
use super::lower::Lowering;
use super::state::{ExitReason, NativeState};

/// What one check pays for at most because of calls that are replaced: what is left of a slice when it cannot be paid
/// for is done by the interpreter.
const MERGED_MAX: u64 = 128;

/// The code of a function in place of a call that ends a block. A tail call that is not replaced counts as code that
/// checks.
#[derive(Clone, Copy)]
pub(super) struct InPlace {
    /// The most gas from its beginning to the first check in it, or to its returns.
    pub(super) need: u64,
    /// Whether it is paid for before it, on every way to a return.
    pub(super) is_through: bool,
    /// Whether it returns from the caller's function, too.
    pub(super) is_tail_call: bool,
}

/// The gas that the blocks of a part need.
pub(super) struct Payments {
    /// By block: the most gas from its start to the next check.
    need: Vec<u64>,
    /// By block: whether gas is checked at its start.
    checks: Vec<bool>,
    /// Whether no gas is checked on any way from the beginning to a return.
    is_through: bool,
}

impl Payments {
    /// What blocks need, given which are compiled, and what stands in place of the calls at their ends.
    pub(super) fn of(
        blocks: &[Block],
        is_compiled: impl Fn(usize) -> bool,
        in_place: &[Option<InPlace>],
    ) -> Payments {
        let mut checks: Vec<bool> = blocks.iter().map(Block::checks_gas).collect();
        for (block, in_place) in blocks.iter().zip(in_place) {
            if let Some(in_place) = in_place
                && in_place.is_through
                && !in_place.is_tail_call
                && let [behind] = block.next[..]
                && !blocks[behind].is_header
                && !blocks[behind].is_handler
            {
                checks[behind] = false;
            }
        }
        let need = vec![0; blocks.len()];
        let mut payments = Payments {
            need,
            checks,
            is_through: true,
        };
        payments.measure(blocks, in_place);
        payments.is_through = (0..blocks.len()).all(|number| {
            let tail = in_place[number].filter(|in_place| in_place.is_tail_call);
            let is_paid = !payments.checks[number] && tail.is_none_or(|tail| tail.is_through);
            is_paid || !is_compiled(number)
        });
        payments
    }

    /// Every way from a block leads to a check or an end: loops pass a `loop`. So blocks can be measured
    /// once all that they go on to are.
    fn measure(&mut self, blocks: &[Block], in_place: &[Option<InPlace>]) {
        let mut done = vec![false; blocks.len()];
        for first in 0..blocks.len() {
            let mut open = vec![first];
            while let Some(number) = open.last().copied() {
                let waiting = blocks[number].next.iter().copied();
                let waiting = waiting.filter(|next| !done[*next] && !self.checks[*next]);
                let before = open.len();
                open.extend(waiting.collect::<Vec<_>>());
                if open.len() == before {
                    open.pop();
                    self.need[number] = self.need_of(&blocks[number], in_place[number]);
                    done[number] = true;
                }
            }
        }
    }

    /// What a block needs, once that is known of all that it goes on to. Where that would be too much because of a call that
    /// is replaced, gas is checked behind it.
    fn need_of(&mut self, block: &Block, in_place: Option<InPlace>) -> u64 {
        let here = block.gas + in_place.map_or(0, |in_place| in_place.need);
        let behind = block.next.iter().map(|next| self.need_at(*next)).max();
        let need = here + behind.unwrap_or(0);
        if in_place.is_some() && need > MERGED_MAX {
            block.next.iter().for_each(|next| self.checks[*next] = true);
            return here;
        }
        need
    }

    /// Whether gas is checked at the start of a block.
    pub(super) fn checks(&self, block: usize) -> bool {
        self.checks[block]
    }

    /// What must be there at the start of a block where it is checked.
    pub(super) fn need(&self, block: usize) -> u64 {
        self.need[block]
    }

    /// What must be there before a block, where it is not checked at its start.
    pub(super) fn need_at(&self, block: usize) -> u64 {
        match self.checks[block] {
            true => 0,
            false => self.need[block],
        }
    }

    /// Whether no gas is checked on any way from the beginning to a return.
    pub(super) fn is_through(&self) -> bool {
        self.is_through
    }
}

impl Lowering<'_, '_> {
    /// Checks and charges the gas of a block.
    pub(super) fn charge(&mut self, number: usize) {
        let part = Rc::clone(&self.scope.part);
        let block = &part.place.blocks.all[number];
        self.pc = block.start;
        self.before.clone_from(&self.now);
        self.refund = 0;
        self.here.clear();
        self.taken = self.scope.taken[number].get();
        if part.payments.checks(number) {
            self.exit_if_poor(part.payments.need(number));
        }
        self.taken += block.gas as i64;
    }

    /// Exits before the current instruction unless this much gas is left.
    pub(super) fn exit_if_poor(&mut self, need: u64) {
        let (gas, need) = (self.b.use_var(self.gas), need as i64 + self.taken);
        let poor = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, gas, need);
        self.exit_if(poor, ExitReason::Gas);
    }

    /// What must be left behind the current block, which has been paid for.
    pub(super) fn need_behind(&self) -> u64 {
        let part = &self.scope.part;
        let here = part.place.blocks.all[self.block].gas;
        part.payments.need(self.block) - here + self.scope.need_at_return
    }

    /// The gas that is left.
    pub(super) fn gas_left(&mut self) -> ir::Value {
        let gas = self.b.use_var(self.gas);
        match self.taken {
            0 => gas,
            taken => self.b.ins().iadd_imm_s(gas, -taken),
        }
    }

    /// Tells the engine how much gas is left, but for what is kept back: before anything that may use some.
    pub(super) fn tell_gas(&mut self, kept: u64) {
        self.taken += kept as i64;
        let gas = self.gas_left();
        self.taken -= kept as i64;
        self.store_state(offset_of!(NativeState<'_>, gas), gas);
    }

    /// Behind a call the engine says how much gas is left.
    pub(super) fn gas_is_told(&mut self) {
        let gas = self.load_state(offset_of!(NativeState<'_>, gas));
        self.b.def_var(self.gas, gas);
        self.taken = 0;
    }

    /// Behind work of the engine it says how much is left beside what was kept back. As much is taken from the variable as
    /// before, since other ways may lead on from here.
    pub(super) fn gas_is_given_back(&mut self, kept: u64) {
        let gas = self.load_state(offset_of!(NativeState<'_>, gas));
        let gas = match kept as i64 + self.taken {
            0 => gas,
            more => self.b.ins().iadd_imm_s(gas, more),
        };
        self.b.def_var(self.gas, gas);
    }

    /// On the way to a block: what was taken from the variable stays known, or is taken where several ways lead there.
    pub(super) fn pass_gas(&mut self, is_only_way: bool) -> i64 {
        if is_only_way {
            return self.taken;
        }
        let (gas, taken) = (self.gas_left(), self.taken);
        if taken != 0 {
            self.b.def_var(self.gas, gas);
        }
        0
    }
}
