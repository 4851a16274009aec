//! The loop: which handler an instruction has, and how one hands over to the next.
//!
//! There is no loop to be seen: each handler ends with a call of the next one, which optimised builds
//! turn into a jump, since nothing is left to do in the caller and the arguments are already in place
//! (threaded code). The processor then predicts each jump on its own, and every handler is compiled on
//! its own, with its state in machine registers. Builds without optimisation, where a call is a call,
//! return to a loop after each handler.
//!
//! A handler that answers false has changed nothing that counts: the loop is left before its
//! instruction, or behind the first of two that are fused.

use super::arith::{Add, Div, Max, Min, Mod, Mul, Quot, Rem, Sub, positive_mod, shift_right_zero};
use super::compare::{Ge, Gt, Le, Lt, NumEq, NumNe};
use super::form::{Code, Instruction};
use super::hot::{Hot, Stay};
use super::{message, routines, text};
use crate::value::Value;
use pw_isa::Kind;

/// What runs an instruction.
type Run = for<'a> unsafe fn(*const Instruction, *mut Value, i64, *mut Stay<'a>, *const Handler);

/// A handler, and room for the type to name itself.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Handler(Run);

const HANDLERS: usize = Code::LAST as usize + 1;

static TABLE: [Handler; HANDLERS] = table();

/// Gas that handlers may use up before they return to [`execute`]. Each of them charges for its instruction, so
/// this bounds how many follow each other: where they hand over by calls and not by jumps, which optimising
/// compilers make of such calls but do not promise, so many fit on any stack of a thread.
const TURN_GAS: i64 = 4096;

/// Runs until a handler stops for anything but the end of its turn.
#[inline(never)]
pub(super) fn execute(stay: &mut Stay<'_>) {
    let mut kept = 0;
    while !stay.stopped || stay.is_turn_over(kept) {
        stay.begin_turn(&mut kept);
        let hot = stay.hot();
        let (pc, regs, gas, stay) = hot.parts();
        let handler = TABLE[hot.fetch().code as usize];
        // SAFETY: the state was just taken over, or is what a handler has left.
        unsafe { (handler.0)(pc, regs, gas, stay, TABLE.as_ptr()) };
    }
    stay.gas += kept;
    stay.settle_counter();
}

impl Stay<'_> {
    /// Whether the loop has stopped before a block that can be paid for with what is kept back, and for no
    /// other reason.
    fn is_turn_over(&mut self, kept: i64) -> bool {
        if self.gas >= 0 || self.gas + kept < 0 {
            return false;
        }
        // A function that is to be looked at when it is entered stops the loop there, too.
        let is_entry = std::ptr::eq(self.pc, self.hot().function().code.as_ptr());
        !is_entry || self.is_counted
    }

    /// The counter of a loop that has run down stays at 0.
    fn settle_counter(&mut self) {
        let hot = self.hot();
        let i = hot.fetch();
        if i.code.is_loop() {
            let counter = hot.counter(i.imm as u32);
            // SAFETY: there is such a counter.
            let left = unsafe { *counter } as i32;
            // SAFETY: the same.
            unsafe { *counter = left.max(0) as u32 };
        }
    }

    /// Takes gas for a turn: what the current block still lacks, or more. The rest is kept back.
    fn begin_turn(&mut self, kept: &mut i64) {
        let all = self.gas + *kept;
        self.gas = all.min(TURN_GAS);
        *kept = all - self.gas;
        self.stopped = false;
        self.is_counted = false;
    }
}

/// Handlers that do nothing: one that hands over to these has done a single instruction.
static PAUSES: [Handler; HANDLERS] = [Handler(pause); HANDLERS];

unsafe fn pause(
    pc: *const Instruction,
    regs: *mut Value,
    gas: i64,
    stay: *mut Stay<'_>,
    _: *const Handler,
) {
    Hot::new(pc, regs, gas, stay).save(false);
}

/// Does the instruction that `stay` stands at, and no other; false when its handler stopped.
pub(super) fn single(stay: &mut Stay<'_>) -> bool {
    let hot = stay.hot();
    let (pc, regs, gas, pointer) = hot.parts();
    let handler = TABLE[hot.fetch().code as usize];
    // SAFETY: the state stands at an instruction that is paid for.
    unsafe { (handler.0)(pc, regs, gas, pointer, PAUSES.as_ptr()) };
    !std::mem::take(&mut stay.stopped)
}

/// Hands over to the handler of a code.
///
/// # Safety
/// The code has one, and `hot` stands at an instruction for it that is paid for.
#[inline(always)]
unsafe fn go_to(hot: Hot<'_>, code: u16, table: *const Handler) {
    // SAFETY: there is a handler for each code.
    let handler = unsafe { *table.wrapping_add(code.into()) };
    let (pc, regs, gas, stay) = hot.parts();
    // SAFETY: the caller says so.
    unsafe { (handler.0)(pc, regs, gas, stay, table) }
}

/// Hands over to the next instruction's handler.
#[cfg(pw_threaded)]
#[inline(always)]
fn go_on(hot: Hot<'_>, table: *const Handler) {
    let code = hot.fetch().code as u16;
    // SAFETY: the handler before has left `hot` at an instruction that is paid for.
    unsafe { go_to(hot, code, table) }
}

/// Leaves it to the loop to run the next instruction's handler.
#[cfg(not(pw_threaded))]
fn go_on(mut hot: Hot<'_>, _: *const Handler) {
    hot.save(false);
}

/// Leaves the loop before the current instruction.
unsafe fn stop(
    pc: *const Instruction,
    regs: *mut Value,
    gas: i64,
    stay: *mut Stay<'_>,
    _: *const Handler,
) {
    Hot::new(pc, regs, gas, stay).save(true);
}

/// The handlers by code: `next N` goes on behind the instruction and the parts fused with it, `enter`
/// leaves it to the handler where to go on, `as` does the rest by the handler whose code stands in `a`. What stands behind `or` is tried when the handler has not
/// moved and answers false: the rare cases, in a function of their own, so that the frequent ones need no
/// room on the machine's stack for them.
macro_rules! handlers {
    (@done next $parts:literal $hot:ident $table:ident) => {{
        $hot.skip($parts);
        go_on($hot, $table)
    }};
    (@done enter $hot:ident $table:ident) => { go_on($hot, $table) };
    (@done as $hot:ident $table:ident) => {{
        let code = $hot.fetch().a;
        // SAFETY: the rewriter put a code there that has such instructions.
        unsafe { go_to($hot, code, $table) }
    }};
    (@run [$($how:tt)*] $(#[$attribute:meta])* |$hot:ident, $i:ident| $done:expr $(, $rare:ident)?) => {
        $(#[$attribute])*
        unsafe fn run(
            pc: *const Instruction,
            regs: *mut Value,
            gas: i64,
            stay: *mut Stay<'_>,
            table: *const Handler,
        ) {
            let mut $hot = Hot::new(pc, regs, gas, stay);
            let $i = $hot.fetch();
            if $done {
                return handlers!(@done $($how)* $hot table);
            }
            let (now, regs, gas, stay) = $hot.parts();
            $(
                // A call may have come back to its own place: either it is to be done again, or the gas
                // for that is missing.
                if now == pc && gas >= 0 {
                    // SAFETY: the handler has left `hot` at an instruction that is paid for.
                    return unsafe { $rare(pc, regs, gas, stay, table) };
                }
            )?
            // SAFETY: stopping asks nothing.
            unsafe { stop(now, regs, gas, stay, table) }
        }
    };
    (@both $how:tt |$hot:ident, $i:ident| $done:expr) => {
        handlers!(@run $how |$hot, $i| $done);
    };
    (@both $how:tt |$hot:ident, $i:ident| $done:expr, $rare:expr) => {
        const RARE: Run = {
            handlers!(@run $how #[inline(never)] |$hot, $i| $rare);
            run
        };
        handlers!(@run $how |$hot, $i| $done, RARE);
    };
    ($($code:ident: $how:tt $($parts:literal)? =>
        |$hot:ident, $i:ident| $done:expr $(, or $rare:expr)?;)*) => {
        const fn table() -> [Handler; HANDLERS] {
            let mut table = [Handler(stop); HANDLERS];
            $(
                table[Code::$code as usize] = {
                    handlers!(@both [$how $($parts)?] |$hot, $i| $done $(, $rare)?);
                    Handler(run)
                };
            )*
            table
        }
    };
}

handlers! {
    Loop: next 1 => |hot, i| hot.count_loop(i);
    Jump: enter => |hot, i| hot.jump(i);
    JumpLoop: enter => |hot, i| hot.jump_loop(i);
    MoveJumpLoop: enter => |hot, i| hot.copy(i) && hot.jump_loop(i);
    AddJumpLoop: enter => |hot, i| hot.add_here(i) && hot.jump_loop(i);
    BranchIf: enter => |hot, i| hot.branch_truth(i, true);
    BranchUnless: enter => |hot, i| hot.branch_truth(i, false);
    Return: enter => |hot, i| hot.leave_function(i);
    ReturnInt: enter => |hot, i| hot.leave_with_int(i);
    ReturnValue: enter => |hot, i| hot.leave_with_value(i);
    Move: next 1 => |hot, i| hot.copy(i);
    MoveMove: next 2 => |hot, i| hot.copy_twice(i);
    Int: next 1 => |hot, i| hot.load_int(i);
    Value: next 1 => |hot, i| hot.load_value(i);
    Add: next 1 => |hot, i| hot.arith::<Add>(i);
    Sub: next 1 => |hot, i| hot.arith::<Sub>(i);
    Mul: next 1 => |hot, i| hot.arith::<Mul>(i);
    Div: next 1 => |hot, i| hot.arith::<Div>(i);
    Quot: next 1 => |hot, i| hot.on_ints::<Quot>(i), or hot.arith_any::<Quot>(i);
    Rem: next 1 => |hot, i| hot.on_ints::<Rem>(i), or hot.arith_any::<Rem>(i);
    Mod: next 1 => |hot, i| hot.on_ints::<Mod>(i), or hot.arith_any::<Mod>(i);
    Min: next 1 => |hot, i| hot.arith::<Min>(i);
    Max: next 1 => |hot, i| hot.arith::<Max>(i);
    Neg: next 1 => |hot, i| hot.neg(i);
    Abs: next 1 => |hot, i| hot.abs(i);
    BitNot: next 1 => |hot, i| hot.bit_not(i);
    ToInt: next 1 => |hot, i| hot.truncate(i);
    WrapAdd: next 1 => |hot, i| hot.bits(i, i64::wrapping_add);
    WrapSub: next 1 => |hot, i| hot.bits(i, i64::wrapping_sub);
    WrapMul: next 1 => |hot, i| hot.bits(i, i64::wrapping_mul);
    BitAnd: next 1 => |hot, i| hot.bits(i, |a, b| a & b);
    BitOr: next 1 => |hot, i| hot.bits(i, |a, b| a | b);
    BitXor: next 1 => |hot, i| hot.bits(i, |a, b| a ^ b);
    Shl: next 1 => |hot, i| hot.bits(i, |a, b| a.wrapping_shl(b as u32));
    Shr: next 1 => |hot, i| hot.bits(i, |a, b| a.wrapping_shr(b as u32));
    Ushr: next 1 => |hot, i| hot.bits(i, shift_right_zero);
    AddImm: next 2 => |hot, i| hot.arith_imm::<Add>(i);
    MulImm: next 2 => |hot, i| hot.arith_imm::<Mul>(i);
    QuotImm: next 2 => |hot, i| hot.divide_imm(i, |a, b| a / b);
    RemImm: next 2 => |hot, i| hot.divide_imm(i, |a, b| a % b);
    ModImm: next 2 => |hot, i| hot.divide_imm(i, positive_mod);
    BitAndImm: next 2 => |hot, i| hot.bits_imm(i, |a, b| a & b);
    BitOrImm: next 2 => |hot, i| hot.bits_imm(i, |a, b| a | b);
    BitXorImm: next 2 => |hot, i| hot.bits_imm(i, |a, b| a ^ b);
    WrapAddImm: next 2 => |hot, i| hot.bits_imm(i, i64::wrapping_add);
    WrapMulImm: next 2 => |hot, i| hot.bits_imm(i, i64::wrapping_mul);
    ShlImm: next 2 => |hot, i| hot.bits_imm(i, |a, b| a.wrapping_shl(b as u32));
    ShrImm: next 2 => |hot, i| hot.bits_imm(i, |a, b| a.wrapping_shr(b as u32));
    UshrImm: next 2 => |hot, i| hot.bits_imm(i, shift_right_zero);
    AddReturn: enter => |hot, i| hot.arith::<Add>(i) && hot.leave_function_behind(i);
    AddValue: next 2 => |hot, i| hot.arith_value::<Add>(i), or hot.arith_value_any::<Add>(i);
    SubValue: next 2 => |hot, i| hot.arith_value::<Sub>(i), or hot.arith_value_any::<Sub>(i);
    MulValue: next 2 => |hot, i| hot.arith_value::<Mul>(i), or hot.arith_value_any::<Mul>(i);
    DivValue: next 2 => |hot, i| hot.arith_value::<Div>(i), or hot.arith_value_any::<Div>(i);
    AddMove: next 2 => |hot, i| hot.arith::<Add>(i);
    SubMove: next 2 => |hot, i| hot.arith::<Sub>(i);
    MulMove: next 2 => |hot, i| hot.arith::<Mul>(i);
    AddImmMove: next 3 => |hot, i| hot.arith_imm::<Add>(i);
    MulAdd: next 2 => |hot, i| hot.mul_add(i), or hot.mul_add_any(i);
    ToFloat: next 1 => |hot, i| hot.float_function(i, |a| a);
    // The machine's square root is exact, like the library's.
    Sqrt: next 1 => |hot, i| hot.float_function(i, f64::sqrt);
    Library: next 1 => |hot, i| hot.library_function(i);
    LibraryOfTwo: next 1 => |hot, i| hot.library_function_of_two(i);
    Lt: next 1 => |hot, i| hot.set_order::<Lt>(i), or hot.set_order_any::<Lt>(i);
    Le: next 1 => |hot, i| hot.set_order::<Le>(i), or hot.set_order_any::<Le>(i);
    Gt: next 1 => |hot, i| hot.set_order::<Gt>(i), or hot.set_order_any::<Gt>(i);
    Ge: next 1 => |hot, i| hot.set_order::<Ge>(i), or hot.set_order_any::<Ge>(i);
    NumEq: next 1 => |hot, i| hot.set_order::<NumEq>(i), or hot.set_order_any::<NumEq>(i);
    NumNe: next 1 => |hot, i| hot.set_order::<NumNe>(i), or hot.set_order_any::<NumNe>(i);
    Eq: next 1 => |hot, i| hot.set_same(i), or hot.set_same_any(i);
    Equal: next 1 => |hot, i| hot.set_equal(i);
    Not: next 1 => |hot, i| hot.not(i);
    Is: next 1 => |hot, i| hot.is(i);
    BranchLt: enter => |hot, i| hot.branch_order::<Lt, false>(i),
        or hot.branch_order_any::<Lt, false>(i);
    BranchIfLt: enter => |hot, i| hot.branch_order::<Lt, true>(i),
        or hot.branch_order_any::<Lt, true>(i);
    BranchLe: enter => |hot, i| hot.branch_order::<Le, false>(i),
        or hot.branch_order_any::<Le, false>(i);
    BranchIfLe: enter => |hot, i| hot.branch_order::<Le, true>(i),
        or hot.branch_order_any::<Le, true>(i);
    BranchGt: enter => |hot, i| hot.branch_order::<Gt, false>(i),
        or hot.branch_order_any::<Gt, false>(i);
    BranchIfGt: enter => |hot, i| hot.branch_order::<Gt, true>(i),
        or hot.branch_order_any::<Gt, true>(i);
    BranchGe: enter => |hot, i| hot.branch_order::<Ge, false>(i),
        or hot.branch_order_any::<Ge, false>(i);
    BranchIfGe: enter => |hot, i| hot.branch_order::<Ge, true>(i),
        or hot.branch_order_any::<Ge, true>(i);
    BranchNumEq: enter => |hot, i| hot.branch_order::<NumEq, false>(i),
        or hot.branch_order_any::<NumEq, false>(i);
    BranchIfNumEq: enter => |hot, i| hot.branch_order::<NumEq, true>(i),
        or hot.branch_order_any::<NumEq, true>(i);
    BranchNumNe: enter => |hot, i| hot.branch_order::<NumNe, false>(i),
        or hot.branch_order_any::<NumNe, false>(i);
    BranchIfNumNe: enter => |hot, i| hot.branch_order::<NumNe, true>(i),
        or hot.branch_order_any::<NumNe, true>(i);
    BranchLtImm: enter => |hot, i| hot.branch_order_imm::<Lt, false>(i);
    BranchIfLtImm: enter => |hot, i| hot.branch_order_imm::<Lt, true>(i);
    BranchLeImm: enter => |hot, i| hot.branch_order_imm::<Le, false>(i);
    BranchIfLeImm: enter => |hot, i| hot.branch_order_imm::<Le, true>(i);
    BranchGtImm: enter => |hot, i| hot.branch_order_imm::<Gt, false>(i);
    BranchIfGtImm: enter => |hot, i| hot.branch_order_imm::<Gt, true>(i);
    BranchGeImm: enter => |hot, i| hot.branch_order_imm::<Ge, false>(i);
    BranchIfGeImm: enter => |hot, i| hot.branch_order_imm::<Ge, true>(i);
    BranchNumEqImm: enter => |hot, i| hot.branch_order_imm::<NumEq, false>(i);
    BranchIfNumEqImm: enter => |hot, i| hot.branch_order_imm::<NumEq, true>(i);
    BranchNumNeImm: enter => |hot, i| hot.branch_order_imm::<NumNe, false>(i);
    BranchIfNumNeImm: enter => |hot, i| hot.branch_order_imm::<NumNe, true>(i);
    BranchLtValue: enter => |hot, i| hot.branch_order_value::<Lt, false>(i),
        or hot.branch_order_value_any::<Lt, false>(i);
    BranchIfLtValue: enter => |hot, i| hot.branch_order_value::<Lt, true>(i),
        or hot.branch_order_value_any::<Lt, true>(i);
    BranchLeValue: enter => |hot, i| hot.branch_order_value::<Le, false>(i),
        or hot.branch_order_value_any::<Le, false>(i);
    BranchIfLeValue: enter => |hot, i| hot.branch_order_value::<Le, true>(i),
        or hot.branch_order_value_any::<Le, true>(i);
    BranchGtValue: enter => |hot, i| hot.branch_order_value::<Gt, false>(i),
        or hot.branch_order_value_any::<Gt, false>(i);
    BranchIfGtValue: enter => |hot, i| hot.branch_order_value::<Gt, true>(i),
        or hot.branch_order_value_any::<Gt, true>(i);
    BranchGeValue: enter => |hot, i| hot.branch_order_value::<Ge, false>(i),
        or hot.branch_order_value_any::<Ge, false>(i);
    BranchIfGeValue: enter => |hot, i| hot.branch_order_value::<Ge, true>(i),
        or hot.branch_order_value_any::<Ge, true>(i);
    BranchLtLength: enter => |hot, i| hot.branch_order_length::<Lt, false>(i);
    BranchIfLtLength: enter => |hot, i| hot.branch_order_length::<Lt, true>(i);
    BranchGeLength: enter => |hot, i| hot.branch_order_length::<Ge, false>(i);
    BranchIfGeLength: enter => |hot, i| hot.branch_order_length::<Ge, true>(i);
    BranchNumEqLength: enter => |hot, i| hot.branch_order_length::<NumEq, false>(i);
    BranchIfNumEqLength: enter => |hot, i| hot.branch_order_length::<NumEq, true>(i);
    BranchLtElement: enter => |hot, i| hot.branch_order_element::<Lt, false>(i),
        or hot.branch_order_element_any::<Lt, false>(i);
    BranchIfLtElement: enter => |hot, i| hot.branch_order_element::<Lt, true>(i),
        or hot.branch_order_element_any::<Lt, true>(i);
    BranchLeElement: enter => |hot, i| hot.branch_order_element::<Le, false>(i),
        or hot.branch_order_element_any::<Le, false>(i);
    BranchIfLeElement: enter => |hot, i| hot.branch_order_element::<Le, true>(i),
        or hot.branch_order_element_any::<Le, true>(i);
    BranchGtElement: enter => |hot, i| hot.branch_order_element::<Gt, false>(i),
        or hot.branch_order_element_any::<Gt, false>(i);
    BranchIfGtElement: enter => |hot, i| hot.branch_order_element::<Gt, true>(i),
        or hot.branch_order_element_any::<Gt, true>(i);
    BranchGeElement: enter => |hot, i| hot.branch_order_element::<Ge, false>(i),
        or hot.branch_order_element_any::<Ge, false>(i);
    BranchIfGeElement: enter => |hot, i| hot.branch_order_element::<Ge, true>(i),
        or hot.branch_order_element_any::<Ge, true>(i);
    BranchNumEqElement: enter => |hot, i| hot.branch_order_element::<NumEq, false>(i),
        or hot.branch_order_element_any::<NumEq, false>(i);
    BranchIfNumEqElement: enter => |hot, i| hot.branch_order_element::<NumEq, true>(i),
        or hot.branch_order_element_any::<NumEq, true>(i);
    BranchNumNeElement: enter => |hot, i| hot.branch_order_element::<NumNe, false>(i),
        or hot.branch_order_element_any::<NumNe, false>(i);
    BranchIfNumNeElement: enter => |hot, i| hot.branch_order_element::<NumNe, true>(i),
        or hot.branch_order_element_any::<NumNe, true>(i);
    BranchElement: enter => |hot, i| hot.branch_element::<false>(i);
    BranchIfElement: enter => |hot, i| hot.branch_element::<true>(i);
    BranchEq: enter => |hot, i| hot.branch_same::<false>(i), or hot.branch_same_any::<false>(i);
    BranchIfEq: enter => |hot, i| hot.branch_same::<true>(i), or hot.branch_same_any::<true>(i);
    BranchEqual: enter => |hot, i| hot.branch_equal::<false>(i);
    BranchIfEqual: enter => |hot, i| hot.branch_equal::<true>(i);
    BranchStringEq: enter => |hot, i| hot.branch_string_eq::<false>(i);
    BranchIfStringEq: enter => |hot, i| hot.branch_string_eq::<true>(i);
    BranchStringLt: enter => |hot, i| hot.branch_string_lt::<false>(i);
    BranchIfStringLt: enter => |hot, i| hot.branch_string_lt::<true>(i);
    BranchEqValue: enter => |hot, i| hot.branch_same_value::<false>(i), or hot.branch_same_value_any::<false>(i);
    BranchIfEqValue: enter => |hot, i| hot.branch_same_value::<true>(i), or hot.branch_same_value_any::<true>(i);
    BranchIs: enter => |hot, i| hot.branch_is::<false>(i);
    BranchIfIs: enter => |hot, i| hot.branch_is::<true>(i);
    LoopLt: enter => |hot, i| hot.loop_order::<Lt>(i);
    LoopLe: enter => |hot, i| hot.loop_order::<Le>(i);
    LoopGt: enter => |hot, i| hot.loop_order::<Gt>(i);
    LoopGe: enter => |hot, i| hot.loop_order::<Ge>(i);
    LoopNumEq: enter => |hot, i| hot.loop_order::<NumEq>(i);
    LoopNumNe: enter => |hot, i| hot.loop_order::<NumNe>(i);
    LoopLtImm: enter => |hot, i| hot.loop_order_imm::<Lt>(i);
    LoopLeImm: enter => |hot, i| hot.loop_order_imm::<Le>(i);
    LoopGtImm: enter => |hot, i| hot.loop_order_imm::<Gt>(i);
    LoopGeImm: enter => |hot, i| hot.loop_order_imm::<Ge>(i);
    LoopNumEqImm: enter => |hot, i| hot.loop_order_imm::<NumEq>(i);
    LoopNumNeImm: enter => |hot, i| hot.loop_order_imm::<NumNe>(i);
    LoopLtLength: enter => |hot, i| hot.loop_order_length::<Lt>(i);
    LoopGeLength: enter => |hot, i| hot.loop_order_length::<Ge>(i);
    LoopNumEqLength: enter => |hot, i| hot.loop_order_length::<NumEq>(i);
    LoopIs: enter => |hot, i| hot.loop_is(i);
    AgainLt: enter => |hot, i| hot.again::<Lt>(i);
    AgainLe: enter => |hot, i| hot.again::<Le>(i);
    AgainGt: enter => |hot, i| hot.again::<Gt>(i);
    AgainGe: enter => |hot, i| hot.again::<Ge>(i);
    AgainNumEq: enter => |hot, i| hot.again::<NumEq>(i);
    AgainNumNe: enter => |hot, i| hot.again::<NumNe>(i);
    AgainLtImm: enter => |hot, i| hot.again_imm::<Lt>(i);
    AgainLeImm: enter => |hot, i| hot.again_imm::<Le>(i);
    AgainGtImm: enter => |hot, i| hot.again_imm::<Gt>(i);
    AgainGeImm: enter => |hot, i| hot.again_imm::<Ge>(i);
    AgainNumEqImm: enter => |hot, i| hot.again_imm::<NumEq>(i);
    AgainNumNeImm: enter => |hot, i| hot.again_imm::<NumNe>(i);
    AgainLtLength: enter => |hot, i| hot.again_length::<Lt>(i);
    AgainGeLength: enter => |hot, i| hot.again_length::<Ge>(i);
    AgainNumEqLength: enter => |hot, i| hot.again_length::<NumEq>(i);
    AgainIs: enter => |hot, i| hot.again_is(i);
    MoveAgainLt: enter => |hot, i| hot.copy(i) && hot.again::<Lt>(i);
    MoveAgainLe: enter => |hot, i| hot.copy(i) && hot.again::<Le>(i);
    MoveAgainGt: enter => |hot, i| hot.copy(i) && hot.again::<Gt>(i);
    MoveAgainGe: enter => |hot, i| hot.copy(i) && hot.again::<Ge>(i);
    MoveAgainNumEq: enter => |hot, i| hot.copy(i) && hot.again::<NumEq>(i);
    MoveAgainNumNe: enter => |hot, i| hot.copy(i) && hot.again::<NumNe>(i);
    MoveAgainLtImm: enter => |hot, i| hot.copy(i) && hot.again_imm::<Lt>(i);
    MoveAgainLeImm: enter => |hot, i| hot.copy(i) && hot.again_imm::<Le>(i);
    MoveAgainGtImm: enter => |hot, i| hot.copy(i) && hot.again_imm::<Gt>(i);
    MoveAgainGeImm: enter => |hot, i| hot.copy(i) && hot.again_imm::<Ge>(i);
    MoveAgainNumEqImm: enter => |hot, i| hot.copy(i) && hot.again_imm::<NumEq>(i);
    MoveAgainNumNeImm: enter => |hot, i| hot.copy(i) && hot.again_imm::<NumNe>(i);
    MoveAgainLtLength: enter => |hot, i| hot.copy(i) && hot.again_length::<Lt>(i);
    MoveAgainGeLength: enter => |hot, i| hot.copy(i) && hot.again_length::<Ge>(i);
    MoveAgainNumEqLength: enter => |hot, i| hot.copy(i) && hot.again_length::<NumEq>(i);
    MoveAgainIs: enter => |hot, i| hot.copy(i) && hot.again_is(i);
    AddAgainLt: enter => |hot, i| hot.add_here(i) && hot.again::<Lt>(i);
    AddAgainLe: enter => |hot, i| hot.add_here(i) && hot.again::<Le>(i);
    AddAgainGt: enter => |hot, i| hot.add_here(i) && hot.again::<Gt>(i);
    AddAgainGe: enter => |hot, i| hot.add_here(i) && hot.again::<Ge>(i);
    AddAgainNumEq: enter => |hot, i| hot.add_here(i) && hot.again::<NumEq>(i);
    AddAgainNumNe: enter => |hot, i| hot.add_here(i) && hot.again::<NumNe>(i);
    AddAgainLtImm: enter => |hot, i| hot.add_here(i) && hot.again_imm::<Lt>(i);
    AddAgainLeImm: enter => |hot, i| hot.add_here(i) && hot.again_imm::<Le>(i);
    AddAgainGtImm: enter => |hot, i| hot.add_here(i) && hot.again_imm::<Gt>(i);
    AddAgainGeImm: enter => |hot, i| hot.add_here(i) && hot.again_imm::<Ge>(i);
    AddAgainNumEqImm: enter => |hot, i| hot.add_here(i) && hot.again_imm::<NumEq>(i);
    AddAgainNumNeImm: enter => |hot, i| hot.add_here(i) && hot.again_imm::<NumNe>(i);
    AddAgainLtLength: enter => |hot, i| hot.add_here(i) && hot.again_length::<Lt>(i);
    AddAgainGeLength: enter => |hot, i| hot.add_here(i) && hot.again_length::<Ge>(i);
    AddAgainNumEqLength: enter => |hot, i| hot.add_here(i) && hot.again_length::<NumEq>(i);
    AddAgainIs: enter => |hot, i| hot.add_here(i) && hot.again_is(i);
    StepLt: enter => |hot, i| hot.step::<Lt>(i);
    StepLe: enter => |hot, i| hot.step::<Le>(i);
    StepGt: enter => |hot, i| hot.step::<Gt>(i);
    StepGe: enter => |hot, i| hot.step::<Ge>(i);
    StepNumEq: enter => |hot, i| hot.step::<NumEq>(i);
    StepNumNe: enter => |hot, i| hot.step::<NumNe>(i);
    StepLtImm: enter => |hot, i| hot.step_imm::<Lt>(i);
    StepLeImm: enter => |hot, i| hot.step_imm::<Le>(i);
    StepGtImm: enter => |hot, i| hot.step_imm::<Gt>(i);
    StepGeImm: enter => |hot, i| hot.step_imm::<Ge>(i);
    StepNumEqImm: enter => |hot, i| hot.step_imm::<NumEq>(i);
    StepNumNeImm: enter => |hot, i| hot.step_imm::<NumNe>(i);
    StepLtLength: enter => |hot, i| hot.step_length::<Lt>(i);
    StepGeLength: enter => |hot, i| hot.step_length::<Ge>(i);
    StepNumEqLength: enter => |hot, i| hot.step_length::<NumEq>(i);
    StepNumNeLength: enter => |hot, i| hot.step_length::<NumNe>(i);
    Cons: next 1 => |hot, i| hot.cons(i), or hot.cons_anywhere(i);
    Car: next 1 => |hot, i| hot.car(i), or hot.part_of_any_pair(i, |pair| pair.0);
    Cdr: next 1 => |hot, i| hot.cdr(i), or hot.part_of_any_pair(i, |pair| pair.1);
    VectorRef: next 1 => |hot, i| hot.vector_ref(i);
    VectorSet: next 1 => |hot, i| hot.vector_set(i);
    VectorRefAt: next 2 => |hot, i| hot.vector_ref_at(i);
    VectorSetAt: next 2 => |hot, i| hot.vector_set_at(i);
    VectorRefOffset: next 3 => |hot, i| hot.vector_ref_offset(i);
    VectorRefTwice: next 2 => |hot, i| hot.vector_ref_twice(i);
    AddElement: next 2 => |hot, i| hot.add_element(i);
    MulAddElement: next 3 => |hot, i| hot.mul_add_element(i), or hot.mul_add_element_any(i);
    AddImmVectorRef: next 3 => |hot, i| hot.add_imm_and(i, Hot::vector_ref);
    AddImmAddElement: next 4 => |hot, i| hot.add_imm_and(i, Hot::add_element);
    AddElementStep: as => |hot, _i| hot.add_element(hot.ahead(2));
    VectorSetValue: next 2 => |hot, i| hot.vector_set_value(i);
    VectorLength: next 1 => |hot, i| hot.vector_length(i);
    VectorPush: next 1 => |hot, i| hot.vector_push(i), or hot.change_aside(i, routines::vector_push);
    VectorPop: next 1 => |hot, i| hot.vector_pop(i);
    Vector: next 1 => |hot, i| hot.vector(i);
    MakeVector: next 1 => |hot, i| hot.aside(i, routines::make_vector);
    VectorFill: next 1 => |hot, i| hot.change_aside(i, routines::vector_fill);
    MakeBytes: next 1 => |hot, i| hot.aside(i, routines::make_bytes);
    BytesRef: next 1 => |hot, i| hot.bytes_ref(i);
    BytesSet: next 1 => |hot, i| hot.bytes_set(i);
    BytesLength: next 1 => |hot, i| hot.bytes_length(i);
    MakeError: next 1 => |hot, i| hot.aside(i, routines::make_error);
    ErrorKind: next 1 => |hot, i| hot.aside_on_one(i, routines::error_kind);
    ErrorMessage: next 1 => |hot, i| hot.aside_on_one(i, routines::error_message);
    ErrorValues: next 1 => |hot, i| hot.aside_on_one(i, routines::error_values);
    MakeMap: next 1 => |hot, i| hot.make_map(i);
    MapGet: next 1 => |hot, i| hot.map_get(i), or hot.look_up_or_register(i);
    MapGetOr: next 2 => |hot, i| hot.map_get(i), or hot.look_up_or_value(i);
    MapGetOrInt: next 2 => |hot, i| hot.map_get(i), or hot.look_up_or_int(i);
    MapGetValue: next 3 => |hot, i| hot.map_get_value(i), or hot.look_up_value(i);
    MapSet: next 1 => |hot, i| hot.map_set(i), or hot.map_put(i);
    MapHas: next 1 => |hot, i| hot.map_has(i);
    MapDelete: next 1 => |hot, i| hot.map_delete(i);
    MapCount: next 1 => |hot, i| hot.map_count(i);
    MapKeys: next 1 => |hot, i| hot.aside_on_one(i, routines::map_keys);
    Call: enter => |hot, i| hot.call(i);
    CallMove: enter => |hot, i| hot.call_move(i);
    CallAddImm: enter => |hot, i| hot.call_add_imm(i);
    CallClosure: enter => |hot, i| hot.call_closure(i), or hot.call_closure_any(i);
    CallClosureMove: enter => |hot, i| hot.call_closure_move(i), or hot.call_closure_any_move(i);
    TailCall: enter => |hot, i| hot.tail_call(i), or hot.tail_call_any(i);
    TailCallClosure: enter => |hot, i| hot.tail_call_closure(i), or hot.tail_call_any_closure(i);
    CallRest: enter => |hot, i| hot.call_rest(i);
    TailCallRest: enter => |hot, i| hot.tail_call_rest(i);
    Apply: enter => |hot, i| hot.apply(i);
    TailApply: enter => |hot, i| hot.tail_apply(i);
    Closure: next 1 => |hot, i| hot.closure(i);
    Capture: next 1 => |hot, i| hot.capture(i);
    CaptureTwo: next 2 => |hot, i| hot.capture_two(i);
    Cell: next 1 => |hot, i| hot.cell(i), or hot.cell_anywhere(i);
    CellGet: next 1 => |hot, i| hot.cell_get(i);
    CellSet: next 1 => |hot, i| hot.cell_set(i);
    CellAdd: next 3 => |hot, i| hot.cell_add(i), or hot.cell_add_any(i);
    CellAddImm: next 4 => |hot, i| hot.cell_add_imm(i);
    GlobalGet: next 1 => |hot, i| hot.global_get(i);
    GlobalSet: next 1 => |hot, i| hot.global_set(i);
    StringLength: next 1 => |hot, i| hot.string_length(i);
    StringRef: next 1 => |hot, i| hot.string_ref(i);
    StringEq: next 1 => |hot, i| hot.string_eq(i);
    StringLt: next 1 => |hot, i| hot.string_lt(i);
    StringAppend: next 1 => |hot, i| hot.aside(i, text::append);
    Substring: next 1 => |hot, i| hot.substring(i);
    StringIndex: next 1 => |hot, i| hot.aside(i, text::index);
    NumberToString: next 1 => |hot, i| hot.aside(i, text::number_to_string);
    StringToNumber: next 1 => |hot, i| hot.aside(i, text::string_to_number);
    SymbolToString: next 1 => |hot, i| hot.retag(i, Kind::Symbol, Kind::String);
    StringToSymbol: next 1 => |hot, i| hot.retag(i, Kind::String, Kind::Symbol);
    Send: next 1 => |hot, i| hot.send(i);
    Receive: next 1 => |hot, i| hot.receive(i);
    Sender: next 1 => |hot, i| hot.set_asked(i, message::sender);
    SelfId: next 1 => |hot, i| hot.set_asked(i, message::self_id);
    Spawn: next 1 => |hot, i| hot.spawn(i);
}

#[cfg(test)]
mod tests;
