//! Which pairs and closures are worth being virtual objects: those that no code that is likely to run lets
//! escape, by storing, passing or returning them. Where one that was thought not to escape does so after all, it is made
//! there. So all of this is about speed, except for which closures can change.

use pw_isa::op::{Access, Compare, Control, Data, Effects, Function as Call, Op};
use pw_isa::{Function, Link, Program};

use super::parts::window;
use super::types::Evidence;
use crate::interp::profile::Target;

/// The most captured values of a virtual closure.
const CAPTURES_MAX: u16 = 6;

impl Evidence<'_> {
    /// Whether an instruction makes an object that is to be virtual.
    pub(super) fn is_virtual(&self, pc: u32) -> bool {
        let op = &self.function.code[pc as usize];
        makes_object(op)
            && self.planner.optimizations.elide
            && self.can_be_virtual(op)
            && !self.escapes(pc)
    }

    /// Whether what a function returns from an inlined call escapes, as far as that matters to it.
    pub(super) fn lets_result_escape(&self, pc: u32, callee: u32) -> bool {
        let mut code = self.planner.program.function(callee).code.iter();
        let op = &self.function.code[pc as usize];
        match op.info().effects.has(Effects::END) {
            _ if !code.any(may_make_object) => true,
            true => self.place.returns_escape,
            false => self.escapes(pc),
        }
    }

    /// Whether what an instruction writes escapes.
    fn escapes(&self, pc: u32) -> bool {
        self.place.escapes.get_or_init(|| self.find_escapes())[pc as usize]
    }

    /// By pc: whether what the instruction writes escapes. Goes backwards through all blocks to a fixed point.
    fn find_escapes(&self) -> Vec<bool> {
        let blocks = &self.place.blocks.all;
        let registers = usize::from(self.function.registers);
        let mut at_start = vec![vec![false; registers]; blocks.len()];
        let mut by_pc = vec![false; self.function.code.len()];
        let mut open: Vec<usize> = (0..blocks.len()).collect();
        while let Some(number) = open.pop() {
            let block = &blocks[number];
            let mut escaping = vec![false; registers];
            for next in &block.next {
                let both = escaping.iter_mut().zip(&at_start[*next]);
                both.for_each(|(here, there)| *here |= there);
            }
            for pc in (block.start..block.end).rev() {
                by_pc[pc as usize] = self.step_back(pc, &mut escaping);
                if let Some(handler) = self.handler(pc) {
                    handler.let_escape(&at_start[handler.block], &mut escaping);
                }
            }
            if at_start[number] != escaping {
                at_start[number] = escaping;
                let before = |from: &usize| blocks[*from].ways().any(|to| to == number);
                open.extend((0..blocks.len()).filter(before));
            }
        }
        by_pc
    }

    /// From the registers whose values escape behind an instruction to those before it; whether what it writes
    /// escapes.
    fn step_back(&self, pc: u32, escaping: &mut [bool]) -> bool {
        let op = &self.function.code[pc as usize];
        let mut does_result = false;
        op.accesses(|access| match access {
            Access::Write(register) => {
                does_result |= std::mem::take(&mut escaping[usize::from(register)]);
            }
            Access::Clobber(first) => {
                does_result |= escaping[usize::from(first)];
                escaping[usize::from(first)..].fill(false);
            }
            Access::Read { .. } => {}
        });
        let lets_escape = match op {
            Op::Control(Control::Return { .. }) => self.place.returns_escape,
            Op::Control(Control::Raise { .. }) => self.site(pc).count > 0,
            Op::Control(_)
            | Op::Data(Data::Car { .. } | Data::Cdr { .. })
            | Op::Function(Call::Capture { .. })
            | Op::Compare(Compare::Eq { .. } | Compare::Is { .. } | Compare::Not { .. }) => false,
            Op::Data(Data::Move { .. } | Data::Cons { .. })
            | Op::Function(Call::Closure { .. }) => does_result,
            _ if self.site(pc).count == 0 => false,
            Op::Function(call) if is_call(call) => !self.is_probably_inlined(pc, call),
            _ => true,
        };
        op.accesses(|access| {
            if let Access::Read { first, count } = access
                && lets_escape
            {
                escaping[usize::from(first)..usize::from(first + count)].fill(true);
            }
        });
        does_result
    }

    /// Whether the code of functions will stand in place of a call, as far as that is known before types are.
    fn is_probably_inlined(&self, pc: u32, call: &Call) -> bool {
        let callees = match call {
            Call::Call { function, .. } | Call::TailCall { function, .. } => {
                vec![self.linked(function.0)]
            }
            Call::CallClosure { .. } | Call::TailCallClosure { .. } => {
                match self.site(pc).target {
                    // Of a closure that is virtual the function is known, whatever was seen.
                    Target::None => return true,
                    target => target.functions(self.planner.number),
                }
            }
            _ => return false,
        };
        let args = window(call).1;
        !callees.is_empty()
            && callees
                .iter()
                .all(|callee| self.is_inlined(pc, *callee, args))
    }

    /// Whether the object can be virtual at all: it never changes, and is not large.
    fn can_be_virtual(&self, op: &Op) -> bool {
        match op {
            Op::Function(Call::Closure {
                function, captures, ..
            }) => {
                let function = self.linked(function.0);
                captures.count <= CAPTURES_MAX && !self.planner.program.can_change(function)
            }
            _ => true,
        }
    }
}

fn makes_object(op: &Op) -> bool {
    matches!(
        op,
        Op::Data(Data::Cons { .. }) | Op::Function(Call::Closure { .. })
    )
}

/// Whether an instruction makes an object that may be virtual, or calls what may make one.
fn may_make_object(op: &Op) -> bool {
    makes_object(op) || matches!(op, Op::Function(call) if is_call(call))
}

fn is_call(call: &Call) -> bool {
    matches!(
        call,
        Call::Call { .. }
            | Call::TailCall { .. }
            | Call::CallClosure { .. }
            | Call::TailCallClosure { .. }
    )
}

/// By function of a program: whether closures of it can change once they are made. An instruction that replaces a
/// captured value is, as a rule, right behind the one that makes the closure; where it is not, it may be any closure's.
pub(crate) fn changing_closures(program: &Program) -> Vec<bool> {
    let mut changing = vec![false; program.functions.len()];
    for (function, links) in program.functions.iter().zip(&program.links) {
        for (pc, op) in function.code.iter().enumerate() {
            let Op::Function(Call::CaptureSet { closure, .. }) = op else {
                continue;
            };
            match made_before(function, pc, closure.0).map(|link| links[link as usize]) {
                Some(Link::Function(number)) => changing[number as usize] = true,
                _ => changing.fill(true),
            }
        }
    }
    changing
}

/// The link of the function that a register holds a closure of before an instruction, where every way to there
/// has just made it.
fn made_before(function: &Function, pc: usize, register: u16) -> Option<u32> {
    let made = function.code[..pc].iter().rposition(|op| {
        let mut writes = false;
        op.accesses(|access| match access {
            Access::Write(to) => writes |= to == register,
            Access::Clobber(first) => writes |= first <= register,
            Access::Read { .. } => {}
        });
        writes
    })?;
    let jumps = function.code.iter().filter_map(Op::label);
    let handlers = function.handlers.iter().map(|handler| handler.target);
    let is_between = |to: u32| (made + 1..=pc).contains(&(to as usize));
    match function.code[made] {
        Op::Function(Call::Closure { function, .. }) if !jumps.chain(handlers).any(is_between) => {
            Some(function.0)
        }
        _ => None,
    }
}
