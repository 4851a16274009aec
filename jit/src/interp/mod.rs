//! The fast interpreter: where cold and deoptimised code runs.
//!
//! Each program is rewritten once into an [internal form](form) of fixed-size instructions with fused
//! sequences. The loop over them handles the common case of the common instructions and nothing else:
//! whatever is rare, dear or about to fail makes it stop *before* the instruction, and one step of the
//! reference interpreter does it instead. So every error, limit, collection and effect happens in
//! exactly one place, and this tier cannot differ in them.
//!
//! Gas is charged by blocks: entering one charges the whole of it (`rest` of its first instruction), and
//! stopping inside gives back what has not run. A block that cannot be paid for whole is left to the
//! reference interpreter, instruction by instruction, which finds the exact place to stop.
//!
//! | file | what it holds |
//! |---|---|
//! | `form`, `rewrite`, `fuse`, `known` | the internal form and how it is made |
//! | `hot` | what the loop keeps in machine registers; entering and leaving it |
//! | `control`, `arith`, `compare`, `data`, `map`, `function`, `text` | handlers, by opcode module |
//! | `profile` | counters and kinds that later tiers and people read |

mod arith;
mod compare;
mod control;
mod data;
mod form;
mod function;
mod fuse;
mod hot;
mod known;
mod map;
pub mod profile;
mod rewrite;
mod text;

pub(crate) use form::InternalProgram;
pub(crate) use rewrite::rewrite;

use crate::code_space::CodeSpace;
use crate::fiber::{Fiber, State};
use crate::host::Host;
use crate::reference::{self, Outcome};
use compare::{Ge, Gt, Le, Lt, NumEq, NumNe};
use form::{Code, Instruction};
use hot::Hot;
use profile::Profile;

/// Runs a fiber for at most `slice` gas, like [`reference::run`] and with the same results. What it
/// learns on the way goes to `profile`.
pub fn run(
    fiber: &mut Fiber,
    code: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice: u64,
) -> Outcome {
    match fiber.state() {
        State::Ready => {}
        State::Waiting => return Outcome::Waiting,
        State::Done(value) => return Outcome::Done(value),
    }
    if let Some(outcome) = reference::begin(fiber, code, host) {
        return outcome;
    }
    let slice_end = fiber.gas_used().saturating_add(slice);
    loop {
        if let Some(mut hot) = Hot::enter(fiber, code, profile, slice_end) {
            execute(&mut hot);
            hot.leave();
        }
        // The instruction that the loop stopped at, one of a block that cannot be paid for whole, or the
        // first of some that are looked at.
        let observed = profile.due(fiber, code);
        for place in 0..observed.max(1) {
            let step = |fiber: &mut Fiber| reference::step(fiber, code, host, slice_end);
            let outcome = if place < observed {
                profile.observe(fiber, code, step)
            } else {
                profile.count(fiber, code, step)
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }
}

/// The loop. Stops before an instruction that it does not handle, with everything in `hot`.
#[inline(never)]
fn execute(entered: &mut Hot<'_>) {
    // A copy that never leaves this function, so that its fields live in machine registers.
    let mut hot = *entered;
    let hot_ref = &mut hot;
    macro_rules! next {
        ($parts:literal, $done:expr) => {
            if $done {
                hot_ref.skip($parts);
                continue;
            }
        };
    }
    macro_rules! enter {
        ($done:expr) => {
            if $done {
                continue;
            }
        };
    }
    loop {
        let i: &Instruction = hot_ref.fetch();
        match i.code {
            Code::Step => {}
            Code::Loop => next!(1, hot_ref.count_loop(i)),
            Code::Jump => enter!(hot_ref.jump(i)),
            Code::JumpLoop => enter!(hot_ref.jump_loop(i)),
            Code::MoveJumpLoop => enter!(hot_ref.copy(i) && hot_ref.jump_loop(i)),
            Code::BranchIf => enter!(hot_ref.branch_truth(i, true)),
            Code::BranchUnless => enter!(hot_ref.branch_truth(i, false)),
            Code::Return => enter!(hot_ref.leave_function(i)),
            Code::ReturnInt => enter!(hot_ref.leave_with_int(i)),
            Code::ReturnValue => enter!(hot_ref.leave_with_value(i)),
            Code::Move => next!(1, hot_ref.copy(i)),
            Code::MoveMove => next!(2, hot_ref.copy_twice(i)),
            Code::Int => next!(1, hot_ref.load_int(i)),
            Code::Value => next!(1, hot_ref.load_value(i)),
            Code::Add => next!(1, hot_ref.add(i)),
            Code::Sub => next!(1, hot_ref.sub(i)),
            Code::Mul => next!(1, hot_ref.mul(i)),
            Code::Div => next!(1, hot_ref.div(i)),
            Code::Quot => next!(1, hot_ref.quot(i)),
            Code::Rem => next!(1, hot_ref.rem(i)),
            Code::Mod => next!(1, hot_ref.modulo(i)),
            Code::Min => next!(1, hot_ref.min(i)),
            Code::Max => next!(1, hot_ref.max(i)),
            Code::Neg => next!(1, hot_ref.neg(i)),
            Code::WrapAdd => next!(1, hot_ref.bits(i, i64::wrapping_add)),
            Code::WrapSub => next!(1, hot_ref.bits(i, i64::wrapping_sub)),
            Code::WrapMul => next!(1, hot_ref.bits(i, i64::wrapping_mul)),
            Code::BitAnd => next!(1, hot_ref.bits(i, |a, b| a & b)),
            Code::BitOr => next!(1, hot_ref.bits(i, |a, b| a | b)),
            Code::BitXor => next!(1, hot_ref.bits(i, |a, b| a ^ b)),
            Code::Shl => next!(1, hot_ref.bits(i, |a, b| a.wrapping_shl(b as u32))),
            Code::Shr => next!(1, hot_ref.bits(i, |a, b| a.wrapping_shr(b as u32))),
            Code::Ushr => next!(1, hot_ref.bits(i, arith::shift_right_zero)),
            Code::AddImm => next!(2, hot_ref.add_imm(i)),
            Code::MulImm => next!(2, hot_ref.mul_imm(i)),
            Code::QuotImm => next!(2, hot_ref.bits_imm(i, |a, b| a / b)),
            Code::RemImm => next!(2, hot_ref.bits_imm(i, |a, b| a % b)),
            Code::ModImm => next!(2, hot_ref.bits_imm(i, arith::positive_mod)),
            Code::BitAndImm => next!(2, hot_ref.bits_imm(i, |a, b| a & b)),
            Code::BitOrImm => next!(2, hot_ref.bits_imm(i, |a, b| a | b)),
            Code::BitXorImm => next!(2, hot_ref.bits_imm(i, |a, b| a ^ b)),
            Code::WrapAddImm => next!(2, hot_ref.bits_imm(i, i64::wrapping_add)),
            Code::WrapMulImm => next!(2, hot_ref.bits_imm(i, i64::wrapping_mul)),
            Code::ShlImm => next!(2, hot_ref.bits_imm(i, |a, b| a.wrapping_shl(b as u32))),
            Code::ShrImm => next!(2, hot_ref.bits_imm(i, |a, b| a.wrapping_shr(b as u32))),
            Code::UshrImm => next!(2, hot_ref.bits_imm(i, arith::shift_right_zero)),
            Code::AddReturn => enter!(hot_ref.add(i) && hot_ref.leave_function_behind(i)),
            Code::AddValue => next!(2, hot_ref.add_value(i)),
            Code::SubValue => next!(2, hot_ref.sub_value(i)),
            Code::MulValue => next!(2, hot_ref.mul_value(i)),
            Code::DivValue => next!(2, hot_ref.div_value(i)),
            Code::AddMove => next!(2, hot_ref.add(i)),
            Code::SubMove => next!(2, hot_ref.sub(i)),
            Code::MulMove => next!(2, hot_ref.mul(i)),
            Code::AddImmMove => next!(3, hot_ref.add_imm(i)),
            Code::MulAdd => next!(2, hot_ref.mul_add(i)),
            Code::ToFloat => next!(1, hot_ref.set_float(i)),
            Code::Sqrt => next!(1, hot_ref.sqrt(i)),
            Code::Lt => next!(1, hot_ref.set_order::<Lt>(i)),
            Code::Le => next!(1, hot_ref.set_order::<Le>(i)),
            Code::Gt => next!(1, hot_ref.set_order::<Gt>(i)),
            Code::Ge => next!(1, hot_ref.set_order::<Ge>(i)),
            Code::NumEq => next!(1, hot_ref.set_order::<NumEq>(i)),
            Code::NumNe => next!(1, hot_ref.set_order::<NumNe>(i)),
            Code::Eq => next!(1, hot_ref.set_same(i)),
            Code::Equal => next!(1, hot_ref.set_equal(i)),
            Code::Not => next!(1, hot_ref.not(i)),
            Code::Is => next!(1, hot_ref.is(i)),
            Code::BranchLt => enter!(hot_ref.branch_order::<Lt>(i)),
            Code::BranchLe => enter!(hot_ref.branch_order::<Le>(i)),
            Code::BranchGt => enter!(hot_ref.branch_order::<Gt>(i)),
            Code::BranchGe => enter!(hot_ref.branch_order::<Ge>(i)),
            Code::BranchNumEq => enter!(hot_ref.branch_order::<NumEq>(i)),
            Code::BranchNumNe => enter!(hot_ref.branch_order::<NumNe>(i)),
            Code::BranchLtImm => enter!(hot_ref.branch_order_imm::<Lt>(i)),
            Code::BranchLeImm => enter!(hot_ref.branch_order_imm::<Le>(i)),
            Code::BranchGtImm => enter!(hot_ref.branch_order_imm::<Gt>(i)),
            Code::BranchGeImm => enter!(hot_ref.branch_order_imm::<Ge>(i)),
            Code::BranchNumEqImm => enter!(hot_ref.branch_order_imm::<NumEq>(i)),
            Code::BranchNumNeImm => enter!(hot_ref.branch_order_imm::<NumNe>(i)),
            Code::BranchLtValue => enter!(hot_ref.branch_order_value::<Lt>(i)),
            Code::BranchLeValue => enter!(hot_ref.branch_order_value::<Le>(i)),
            Code::BranchGtValue => enter!(hot_ref.branch_order_value::<Gt>(i)),
            Code::BranchGeValue => enter!(hot_ref.branch_order_value::<Ge>(i)),
            Code::BranchEq => enter!(hot_ref.branch_same(i)),
            Code::BranchEqual => enter!(hot_ref.branch_equal(i)),
            Code::BranchEqValue => enter!(hot_ref.branch_same_value(i)),
            Code::BranchIs => enter!(hot_ref.branch_is(i)),
            Code::LoopLt => enter!(hot_ref.loop_order::<Lt>(i)),
            Code::LoopLe => enter!(hot_ref.loop_order::<Le>(i)),
            Code::LoopGt => enter!(hot_ref.loop_order::<Gt>(i)),
            Code::LoopGe => enter!(hot_ref.loop_order::<Ge>(i)),
            Code::LoopNumEq => enter!(hot_ref.loop_order::<NumEq>(i)),
            Code::LoopNumNe => enter!(hot_ref.loop_order::<NumNe>(i)),
            Code::LoopLtImm => enter!(hot_ref.loop_order_imm::<Lt>(i)),
            Code::LoopLeImm => enter!(hot_ref.loop_order_imm::<Le>(i)),
            Code::LoopGtImm => enter!(hot_ref.loop_order_imm::<Gt>(i)),
            Code::LoopGeImm => enter!(hot_ref.loop_order_imm::<Ge>(i)),
            Code::LoopNumEqImm => enter!(hot_ref.loop_order_imm::<NumEq>(i)),
            Code::LoopNumNeImm => enter!(hot_ref.loop_order_imm::<NumNe>(i)),
            Code::AgainLt => enter!(hot_ref.again::<Lt>(i)),
            Code::AgainLe => enter!(hot_ref.again::<Le>(i)),
            Code::AgainGt => enter!(hot_ref.again::<Gt>(i)),
            Code::AgainGe => enter!(hot_ref.again::<Ge>(i)),
            Code::AgainNumEq => enter!(hot_ref.again::<NumEq>(i)),
            Code::AgainNumNe => enter!(hot_ref.again::<NumNe>(i)),
            Code::AgainLtImm => enter!(hot_ref.again_imm::<Lt>(i)),
            Code::AgainLeImm => enter!(hot_ref.again_imm::<Le>(i)),
            Code::AgainGtImm => enter!(hot_ref.again_imm::<Gt>(i)),
            Code::AgainGeImm => enter!(hot_ref.again_imm::<Ge>(i)),
            Code::AgainNumEqImm => enter!(hot_ref.again_imm::<NumEq>(i)),
            Code::AgainNumNeImm => enter!(hot_ref.again_imm::<NumNe>(i)),
            Code::MoveAgainLt => enter!(hot_ref.copy(i) && hot_ref.again::<Lt>(i)),
            Code::MoveAgainLe => enter!(hot_ref.copy(i) && hot_ref.again::<Le>(i)),
            Code::MoveAgainGt => enter!(hot_ref.copy(i) && hot_ref.again::<Gt>(i)),
            Code::MoveAgainGe => enter!(hot_ref.copy(i) && hot_ref.again::<Ge>(i)),
            Code::MoveAgainNumEq => enter!(hot_ref.copy(i) && hot_ref.again::<NumEq>(i)),
            Code::MoveAgainNumNe => enter!(hot_ref.copy(i) && hot_ref.again::<NumNe>(i)),
            Code::MoveAgainLtImm => enter!(hot_ref.copy(i) && hot_ref.again_imm::<Lt>(i)),
            Code::MoveAgainLeImm => enter!(hot_ref.copy(i) && hot_ref.again_imm::<Le>(i)),
            Code::MoveAgainGtImm => enter!(hot_ref.copy(i) && hot_ref.again_imm::<Gt>(i)),
            Code::MoveAgainGeImm => enter!(hot_ref.copy(i) && hot_ref.again_imm::<Ge>(i)),
            Code::MoveAgainNumEqImm => enter!(hot_ref.copy(i) && hot_ref.again_imm::<NumEq>(i)),
            Code::MoveAgainNumNeImm => enter!(hot_ref.copy(i) && hot_ref.again_imm::<NumNe>(i)),
            Code::Cons => next!(1, hot_ref.cons(i)),
            Code::Car => next!(1, hot_ref.car(i)),
            Code::Cdr => next!(1, hot_ref.cdr(i)),
            Code::VectorRef => next!(1, hot_ref.vector_ref(i)),
            Code::VectorSet => next!(1, hot_ref.vector_set(i)),
            Code::VectorRefAt => next!(2, hot_ref.vector_ref_at(i)),
            Code::VectorSetAt => next!(2, hot_ref.vector_set_at(i)),
            Code::VectorRefOffset => next!(3, hot_ref.vector_ref_offset(i)),
            Code::VectorRefTwice => next!(2, hot_ref.vector_ref_twice(i)),
            Code::VectorSetValue => next!(2, hot_ref.vector_set_value(i)),
            Code::VectorLength => next!(1, hot_ref.vector_length(i)),
            Code::VectorPush => next!(1, hot_ref.vector_push(i)),
            Code::VectorPop => next!(1, hot_ref.vector_pop(i)),
            Code::BytesRef => next!(1, hot_ref.bytes_ref(i)),
            Code::BytesSet => next!(1, hot_ref.bytes_set(i)),
            Code::MakeMap => next!(1, hot_ref.make_map(i)),
            Code::MapGet => next!(1, hot_ref.map_get(i)),
            Code::MapGetOr => next!(2, hot_ref.map_get_or(i)),
            Code::MapGetOrInt => next!(2, hot_ref.map_get_or_int(i)),
            Code::MapGetValue => next!(3, hot_ref.map_get_value(i)),
            Code::MapSet => next!(1, hot_ref.map_set(i)),
            Code::MapHas => next!(1, hot_ref.map_has(i)),
            Code::MapDelete => next!(1, hot_ref.map_delete(i)),
            Code::MapCount => next!(1, hot_ref.map_count(i)),
            Code::Call => enter!(hot_ref.call(i)),
            Code::CallMove => enter!(hot_ref.call_move(i)),
            Code::CallAddImm => enter!(hot_ref.call_add_imm(i)),
            Code::CallClosure => enter!(hot_ref.call_closure(i)),
            Code::TailCall => enter!(hot_ref.tail_call(i)),
            Code::TailCallClosure => enter!(hot_ref.tail_call_closure(i)),
            Code::Closure => next!(1, hot_ref.closure(i)),
            Code::Capture => next!(1, hot_ref.capture(i)),
            Code::Cell => next!(1, hot_ref.cell(i)),
            Code::CellGet => next!(1, hot_ref.cell_get(i)),
            Code::CellSet => next!(1, hot_ref.cell_set(i)),
            Code::GlobalGet => next!(1, hot_ref.global_get(i)),
            Code::GlobalSet => next!(1, hot_ref.global_set(i)),
            Code::StringLength => next!(1, hot_ref.string_length(i)),
            Code::StringRef => next!(1, hot_ref.string_ref(i)),
            Code::StringEq => next!(1, hot_ref.string_eq(i)),
        }
        break;
    }
    *entered = hot;
}
