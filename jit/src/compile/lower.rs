//! From blocks to Cranelift's form: blocks and the edges between them, instructions and branches.

use std::collections::BTreeMap;
use std::rc::Rc;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, MemFlagsData, SigRef, UserFuncName};
use cranelift_codegen::isa::TargetFrontendConfig;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use pw_isa::Kind;
use pw_isa::op::{Actor, Capability, Compare, Control, Data, Function as Call, Op};

use super::Request;
use super::exits::Exit;
use super::facts::{Fact, Term};
use super::parts::Planner;
use super::plans::guarded;
use super::raises::{Catch, Failure, Raised};
use super::ranges::Ranges;
use super::registers::Register;
use super::scope::{Scope, Ways};
use super::state::ExitReason;
use super::tails::Tails;
use super::types::{Plan, Type};
use super::ways::body_signature;
use crate::interp::{EQUAL_BY_WORDS, SAME_BY_WORDS};
use crate::tier::Optimizations;
use crate::value::Value;

/// Memory that native code reaches is there and aligned.
pub(super) const MEMORY: MemFlagsData = MemFlagsData::trusted();

/// The bytes of a slot.
pub(super) const SLOT: i32 = size_of::<Value>() as i32;

/// A function on its way to native code.
pub(super) struct Lowering<'a, 'b> {
    pub(super) b: FunctionBuilder<'b>,
    pub(super) planner: &'a Planner<'a>,
    pub(super) state: ir::Value,
    /// The root's r0.
    pub(super) fp: ir::Value,
    /// Gas, and how much less than that is left.
    pub(super) gas: Variable,
    pub(super) taken: i64,
    pub(super) body: SigRef,
    /// Whether the code can be made to leave at any exit.
    pub(super) forces_exits: bool,
    /// The part whose instructions are being lowered.
    pub(super) scope: Rc<Scope<'a>>,
    /// The most slots that frames of its parts reach, from the root's r0 on, and where that is tested.
    pub(super) reach: u32,
    pub(super) tests_of_reach: Vec<ir::Inst>,
    instructions: u32,
    pub(super) exits: Vec<Exit<'a>>,
    /// Blocks that exits share and that are still to be written.
    pub(super) leaves: Vec<(Rc<Scope<'a>>, ir::Block)>,
    pub(super) callers: Vec<(Rc<Scope<'a>>, ir::Block)>,
    pub(super) tails: Tails,
    /// The variables of fields of virtual objects, by the number of the variable of the object's
    /// place and by field.
    pub(super) fields: BTreeMap<(u32, usize), Register>,
    /// The block being lowered, and one that goes on where it ends without a jump.
    pub(super) block: usize,
    pub(super) falls_into: Option<ir::Block>,
    /// Of the instruction being lowered: its pc, the types before it, and its exits.
    pub(super) pc: u32,
    pub(super) now: Vec<Type>,
    /// What is known about Ints and lengths before it.
    pub(super) ranges: Ranges,
    pub(super) before: Vec<Type>,
    pub(super) refund: u64,
    pub(super) here: Vec<(ExitReason, ir::Block)>,
    /// Whether nothing has been done yet since the body was entered.
    pub(super) is_way_in: bool,
    /// Where the error of the instruction being lowered goes on, if it has been seen to fail.
    pub(super) catch: Option<Rc<Catch<'a>>>,
    /// Where instructions of the block have failed: still to be written.
    pub(super) failures: Vec<Failure<'a>>,
}

/// What comes of lowering.
pub(super) struct Lowered {
    /// The pcs of the loops that the body can be entered at.
    pub(super) loops: Vec<u32>,
    /// The slots that must be there from the frame's r0 on.
    pub(super) slots: u32,
    /// The instructions lowered.
    pub(super) instructions: u32,
}

/// How each instruction of a function is compiled, by pc.
pub(super) fn plans(request: &Request, optimizations: Optimizations) -> Vec<Plan> {
    let planner = Planner::new(request, optimizations);
    planner.root(request.function).types.plans.clone()
}

/// Lowers a function.
pub(super) fn lower(
    request: &Request,
    into: &mut ir::Function,
    frontend: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
    optimizations: Optimizations,
    forces_exits: bool,
) -> Lowered {
    let planner = Planner::new(request, optimizations);
    let root = planner.root(request.function);
    into.name = UserFuncName::user(request.number, request.function);
    into.signature = body_signature();
    let mut b = FunctionBuilder::new(into, frontend);
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    b.seal_block(entry);
    let (state, fp, way) = {
        let params = b.block_params(entry);
        (params[0], params[1], params[2])
    };
    let gas = b.declare_var(I64);
    let body = b.import_signature(body_signature());
    let ranges = Ranges::default();
    let ways = Ways {
        caller: None,
        raised: Raised::Out,
        need_at_return: 0,
    };
    let scope = Scope::new(&mut b, &planner, root, &ranges, 0, ways);
    let scope = Rc::new(scope);
    let mut lowering = Lowering {
        b,
        planner: &planner,
        state,
        fp,
        gas,
        taken: 0,
        body,
        forces_exits,
        reach: scope.end(),
        scope,
        tests_of_reach: Vec::new(),
        instructions: 0,
        exits: Vec::new(),
        leaves: Vec::new(),
        callers: Vec::new(),
        tails: Tails::default(),
        fields: BTreeMap::new(),
        block: 0,
        falls_into: None,
        pc: 0,
        now: Vec::new(),
        ranges,
        before: Vec::new(),
        refund: 0,
        here: Vec::new(),
        is_way_in: false,
        catch: None,
        failures: Vec::new(),
    };
    let loops = lowering.entries(way);
    lowering.part();
    lowering.write_exits();
    lowering.set_reach();
    let (slots, instructions) = (lowering.reach, lowering.instructions);
    lowering.b.seal_all_blocks();
    lowering.b.finalize(config);
    lowering.tails.finish(into);
    Lowered {
        loops,
        slots,
        instructions,
    }
}

impl<'a> Lowering<'a, '_> {
    /// Lowers the instructions of the current part.
    pub(super) fn part(&mut self) {
        let scope = Rc::clone(&self.scope);
        let blocks = &scope.part.place.blocks;
        let last_ways = blocks.last_ways();
        // Registers are found faster, and without parameters, through blocks to which no further way can come.
        for number in 0..scope.native.len() {
            if last_ways[number].is_none_or(|last| last < number) {
                self.b.seal_block(scope.native[number]);
            }
            self.block(number);
            let ended = last_ways[..=number].iter().enumerate();
            for (to, _) in ended.filter(|(_, last)| **last == Some(number)) {
                self.b.seal_block(scope.native[to]);
            }
        }
    }

    /// Goes on in a block to which all ways have been made.
    pub(super) fn switch_to_sealed(&mut self, block: ir::Block) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
    }

    fn block(&mut self, number: usize) {
        let part = Rc::clone(&self.scope.part);
        let block = &part.place.blocks.all[number];
        let Some(at_start) = &part.types.at_start[number] else {
            // Control comes here by no way that was compiled.
            return;
        };
        self.go_on_in_block(self.scope.native[number]);
        self.now.clone_from(at_start);
        self.ranges.clone_from(&self.scope.ranges[number]);
        self.block = number;
        self.charge(number);
        let mut gas_behind = block.gas;
        for pc in block.start..block.end {
            self.pc = pc;
            self.before.clone_from(&self.now);
            self.refund = gas_behind;
            self.here.clear();
            let plan = self.scope.part.types.plans[pc as usize];
            self.instructions += 1;
            self.catch = self.catch_of_error(plan);
            let goes_on = self.instruction(number, pc, plan);
            self.catch = None;
            let effects = part.effects(&self.scope.evidence);
            effects.step(pc, &mut self.ranges);
            gas_behind -= self.scope.function.fixed_gas(pc as usize);
            if !goes_on {
                return self.write_failures();
            }
        }
        self.prepare_for(block.next[0]);
        let goes_on = block.next[0] == number + 1 && self.failures.is_empty();
        self.go_to(block.next[0], goes_on);
        self.write_failures();
    }

    /// Whether nothing of the current part is lowered behind the current block.
    pub(super) fn is_last_block(&self) -> bool {
        let at_start = &self.scope.part.types.at_start;
        at_start[self.block + 1..].iter().all(Option::is_none)
    }

    /// Goes on in a block, which may be the one that is being written.
    pub(super) fn go_on_in_block(&mut self, block: ir::Block) {
        if self.falls_into.take() != Some(block) {
            self.b.switch_to_block(block);
        }
    }

    /// Leaves a block for another: exits on the way stand there.
    pub(super) fn leave_for(&mut self, number: usize) {
        self.prepare_for(number);
        self.go_to(number, false);
    }

    /// The same for the first block of the current part, which is lowered next.
    pub(super) fn begin_part(&mut self) {
        self.prepare_for(0);
        self.go_to(0, true);
    }

    fn prepare_for(&mut self, number: usize) {
        self.pc = self.scope.part.place.blocks.all[number].start;
        self.before.clone_from(&self.now);
        self.refund = 0;
        self.here.clear();
    }

    /// Lowers one instruction; false when the block does not go on behind it.
    fn instruction(&mut self, number: usize, pc: u32, plan: Plan) -> bool {
        let op = self.scope.function.code[pc as usize];
        match plan {
            Plan::Exit => {
                let reason = match self.scope.evidence.site(pc).count {
                    0 => ExitReason::Unseen,
                    _ => ExitReason::Uncompiled,
                };
                let exit = self.exit(reason);
                self.b.ins().jump(exit, &[]);
                return false;
            }
            Plan::Aside | Plan::Routine => match op {
                Op::Data(Data::VectorRef { dst, vector, index }) => {
                    self.element_of_any(dst, vector, index);
                }
                Op::Data(Data::Car { dst, pair }) => self.part_of_any_pair(dst, pair, 0),
                Op::Data(Data::Cdr { dst, pair }) => self.part_of_any_pair(dst, pair, 1),
                Op::Data(Data::VectorPush { vector, value }) => self.push(vector, value),
                Op::Data(Data::VectorPop { dst, vector }) => self.pop(dst, vector),
                Op::Compare(same @ Compare::Eq { dst, a, b }) => {
                    self.same(same, dst, (a, b), SAME_BY_WORDS);
                }
                Op::Compare(same @ Compare::Equal { dst, a, b }) => {
                    self.same(same, dst, (a, b), EQUAL_BY_WORDS);
                }
                _ => self.do_aside(),
            },
            Plan::Virtual => self.virtual_object(&op),
            _ => match op {
                Op::Control(op) => return self.control(number, op),
                Op::Data(Data::Move { dst, src }) => self.copy(dst.0, src.0),
                Op::Data(Data::Cons { dst, car, cdr }) => self.cons(dst, car, cdr),
                Op::Data(op) => self.data(op, plan),
                Op::Arith(op) => self.arith(op, plan),
                Op::Float(op) => self.float_function(op),
                Op::Text(op) => self.text(op),
                Op::Compare(op) => self.compare(op, plan),
                Op::Function(Call::GlobalGet { dst, global }) => self.global_get(dst, global.0),
                Op::Function(Call::GlobalSet { global, value }) => {
                    self.global_set(global.0, value);
                }
                Op::Function(call) => return self.call(call, plan),
                Op::Actor(Actor::SelfId { dst }) => self.own_address(dst),
                Op::Capability(Capability::HasCapability { dst, .. }) => self.has_capability(dst),
                _ => unreachable!("a plan for an instruction that has none"),
            },
        }
        if plan != Plan::Row {
            self.note_moves();
        }
        if cfg!(debug_assertions) {
            let mut expected = self.before.clone();
            self.scope.evidence.step(pc, &mut expected);
            assert_eq!(self.now, expected, "{op:?} under {plan:?}");
        }
        true
    }

    /// Forgets where objects are if they may have moved.
    pub(super) fn note_moves(&mut self) {
        if self.scope.part.moves_at[self.pc as usize] {
            self.now.iter_mut().for_each(|known| *known = known.moved());
        }
    }

    fn control(&mut self, number: usize, op: Control) -> bool {
        match op {
            Control::Loop {} => return true,
            Control::Jump { .. } => {
                let next = self.scope.part.place.blocks.all[number].next[0];
                self.go_to(next, next == number + 1 && self.failures.is_empty());
            }
            Control::BranchIf { test, .. } => self.branch(number, test.0, true),
            Control::BranchUnless { test, .. } => self.branch(number, test.0, false),
            Control::Return { value } => self.give_back(value.0),
            Control::Raise { value } => self.raise(value.0),
        }
        false
    }

    fn branch(&mut self, number: usize, test: u16, wanted: bool) {
        let part = Rc::clone(&self.scope.part);
        let block = &part.place.blocks.all[number];
        if let [only] = self.scope.evidence.ways_on(block, &self.now) {
            self.prepare_for(*only);
            return self.go_to(*only, *only == number + 1 && self.failures.is_empty());
        }
        let (truth, next) = (self.truth(test), &block.next);
        let (taken, behind) = (self.b.create_block(), self.b.create_block());
        let (if_true, if_false) = if wanted {
            (taken, behind)
        } else {
            (behind, taken)
        };
        self.b.ins().brif(truth, if_true, &[], if_false, &[]);
        let (now, ranges) = (self.now.clone(), self.ranges.clone());
        for (way, to, holds) in [(taken, next[0], wanted), (behind, next[1], !wanted)] {
            self.switch_to_sealed(way);
            self.now.clone_from(&now);
            self.ranges.clone_from(&ranges);
            self.ranges.branch(test, holds);
            self.leave_for(to);
        }
    }

    /// Whether a register counts as true, as a word.
    pub(super) fn truth(&mut self, register: u16) -> ir::Value {
        match self.now[usize::from(register)] {
            Type::Bool => self
                .b
                .use_var(self.scope.registers[usize::from(register)].bits),
            Type::Any => {
                let (tag, bits) = self.value(register);
                let is_nil = self.b.ins().icmp_imm_s(IntCC::Equal, tag, Kind::Nil as i64);
                let is_bool = self
                    .b
                    .ins()
                    .icmp_imm_s(IntCC::Equal, tag, Kind::Bool as i64);
                let is_zero = self.b.ins().icmp_imm_s(IntCC::Equal, bits, 0);
                let is_false = self.b.ins().band(is_bool, is_zero);
                let is_not = self.b.ins().bor(is_nil, is_false);
                let one = self.b.ins().bxor_imm_s(is_not, 1);
                self.b.ins().uextend(I64, one)
            }
            known => {
                let truth = known.truth().unwrap_or(true);
                self.b.ins().iconst(I64, i64::from(truth))
            }
        }
    }

    /// Returns from the root's frame.
    pub(super) fn return_value(&mut self, tag: ir::Value, bits: ir::Value) {
        self.tell_gas(0);
        // Where a program has ended is a part of its state.
        self.say_place(self.pc, ExitReason::Uncompiled, 0);
        self.b.ins().return_(&[tag, bits]);
    }

    /// Goes to a block: what it wants to know about registers is made sure of on the way. One that is lowered next and
    /// entered by no other way needs no jump.
    pub(super) fn go_to(&mut self, number: usize, is_next: bool) {
        let part = Rc::clone(&self.scope.part);
        let Some(wanted) = &part.types.at_start[number] else {
            let exit = self.exit(ExitReason::Unseen);
            self.b.ins().jump(exit, &[]);
            return;
        };
        let start = part.place.blocks.all[number].start;
        let live = self.scope.live;
        for register in live.at(start) {
            let wanted = wanted[usize::from(register)];
            self.guard(register, wanted);
            self.forget(register, wanted);
        }
        for fact in self.scope.ranges[number].facts() {
            self.guard_fact(fact);
        }
        let is_only_way = part.place.blocks.has_only_way(number);
        let taken = self.pass_gas(is_only_way);
        self.scope.taken[number].set(taken);
        let block = self.scope.native[number];
        if is_next && is_only_way {
            self.falls_into = Some(block);
        } else {
            self.b.ins().jump(block, &[]);
        }
    }

    /// Makes sure of something about Ints and lengths.
    fn guard_fact(&mut self, fact: Fact) {
        if self.ranges.knows(fact) {
            return;
        }
        let holds = match fact {
            Fact::Least(term, least) => {
                let number = self.number(term);
                let order = IntCC::SignedGreaterThanOrEqual;
                self.b.ins().icmp_imm_s(order, number, least)
            }
            Fact::Most(term, most) => {
                let number = self.number(term);
                let order = IntCC::SignedLessThanOrEqual;
                self.b.ins().icmp_imm_s(order, number, most)
            }
            Fact::Distance(low, by, high) => {
                let (mut sum, high) = (self.number(low), self.number(high));
                if by != 0 {
                    let by = self.b.ins().iconst(I64, by);
                    let (moved, overflow) = self.b.ins().sadd_overflow(sum, by);
                    self.exit_if(overflow, ExitReason::Range);
                    sum = moved;
                }
                let order = IntCC::SignedLessThanOrEqual;
                self.b.ins().icmp(order, sum, high)
            }
        };
        self.exit_unless(holds, ExitReason::Range);
        self.ranges.assume(fact);
    }

    /// A number that facts are about.
    fn number(&mut self, term: Term) -> ir::Value {
        let register = self.scope.registers[usize::from(term.register())];
        self.b.use_var(match term.is_length() {
            false => register.bits,
            true => register.view.length,
        })
    }

    /// What the current instruction takes a number that it reads to be.
    pub(super) fn wanted(&self, register: u16) -> Type {
        let op = &self.scope.function.code[self.pc as usize];
        let site = self.scope.evidence.site(self.pc);
        let guards = guarded(op, Plan::Floats, &self.before, site);
        let found = guards.into_iter().find(|(of, _)| *of == register);
        found.map_or(Type::Any, |(_, wanted)| wanted)
    }

    pub(super) fn load_state(&mut self, offset: usize) -> ir::Value {
        self.b.ins().load(I64, MEMORY, self.state, offset as i32)
    }

    pub(super) fn store_state(&mut self, offset: usize, value: ir::Value) {
        self.b.ins().store(MEMORY, value, self.state, offset as i32);
    }
}

/// No arguments for a block.
pub(super) const NONE: [BlockArg; 0] = [];

/// A word from 32 bits.
pub(super) fn word_of(b: &mut FunctionBuilder<'_>, half: ir::Value) -> ir::Value {
    debug_assert_eq!(b.func.dfg.value_type(half), I32);
    b.ins().uextend(I64, half)
}
