//! Into native code and out of it again.
//!
//! # Why the unsafe code is sound
//! 1. Native code is entered with the r0 of the fiber's newest frame, at an entry that was made for the
//!    place where the fiber stands; its own checks keep every further frame within the stack.
//! 2. It reads and writes what the interpreter's handlers would: registers of its frames, and objects where
//!    values say they are (see `fiber/arena/raw.rs`).
//! 3. The stack never moves while it runs; the arena moves only in operations aside, after which its
//!    addresses are read again.
//! 4. Its memory is executable and never written, and lives while it is in the code table: functions are
//!    replaced only between stays in native code.

use std::mem::transmute;

use crate::code_space::CodeSpace;
use crate::compile::state::{ExitReason, NativeState};
use crate::fiber::Fiber;
use crate::interp::Stay;
use crate::interp::profile::Profile;
use crate::value::Value;

/// Native stack that one stay may use. What needs more goes on in the interpreter, whose frames are the
/// fiber's.
const NATIVE_STACK: u64 = 256 * 1024;

/// Cards for an arena that has none: every store marks one.
const DUMMY_CARDS: usize = 64;

/// How a stay in native code ended.
pub(super) enum Left {
    /// The function that was entered returned a value; the fiber still has its frame.
    Returned(Value),
    /// The fiber stands somewhere else.
    Exit(ExitReason),
    /// It was not entered.
    Refused,
}

type Entrance = unsafe extern "C" fn(*mut NativeState<'_>, *mut Value, u64, *const u8);

/// What of the compiler's work a stay needs.
pub(super) struct Code<'a> {
    pub(super) entrance: *const u8,
    pub(super) table: &'a [usize],
    pub(super) shapes: &'a [[u32; 2]],
    pub(super) function: *const u8,
    pub(super) entry: u64,
}

/// Enters native code where the fiber stands.
pub(super) fn enter(
    fiber: &mut Fiber,
    space: &CodeSpace,
    profile: &mut Profile,
    slice_end: u64,
    code: &Code<'_>,
) -> Left {
    let program = fiber.program;
    let Some(stay) = Stay::enter_native(fiber, space, profile, slice_end) else {
        return Left::Refused;
    };
    let mut dummy = [0u8; DUMMY_CARDS];
    let (fp, stack_end) = stay.frame();
    let mut state = NativeState {
        gas: stay.gas(),
        stack_end: stack_end.min(fp.wrapping_add(stay.frames_left() as usize)),
        native_end: (&raw const dummy as u64).saturating_sub(NATIVE_STACK),
        table: code.table.as_ptr().cast(),
        shapes: code.shapes.as_ptr(),
        words: std::ptr::null_mut(),
        cards: std::ptr::null_mut(),
        outside: std::ptr::null(),
        constants: space.program(program).constants.addresses().words,
        dummy: dummy.as_mut_ptr(),
        program_bits: u64::from(program) << 32,
        exit_fp: fp,
        exit_place: 0,
        exit_reason: 0,
        frames: 0,
        result_tag: 0,
        result_bits: 0,
        aside,
        stay,
    };
    state.read_addresses();
    // SAFETY: it was compiled with this signature.
    let entrance: Entrance = unsafe { transmute::<*const u8, Entrance>(code.entrance) };
    // SAFETY: 1 of the module's head.
    unsafe { entrance(&raw mut state, fp, code.entry, code.function) };
    let value = Value {
        tag: state.result_tag,
        bits: state.result_bits,
    };
    if value.tag == crate::compile::state::NOT_ENTERED as u64 {
        return Left::Refused;
    }
    let gas = state.gas;
    let (function, pc) = ((state.exit_place >> 32) as u32, state.exit_place as u32);
    if value.tag != crate::compile::state::EXIT as u64 {
        // SAFETY: the frame entered is the newest.
        unsafe { state.stay.leave_native(function, pc, fp, 0, gas) };
        return Left::Returned(value);
    }
    let (fp, frames) = (state.exit_fp, state.frames as u32);
    // SAFETY: an exit writes all its frames and their headers.
    unsafe { state.stay.leave_native(function, pc, fp, frames, gas) };
    Left::Exit(ExitReason::ALL[state.exit_reason as usize])
}

impl NativeState<'_> {
    /// Reads where the parts of the arena are.
    fn read_addresses(&mut self) {
        let addresses = self.stay.arena().addresses();
        self.words = addresses.words;
        self.outside = addresses.outside;
        self.cards = if addresses.cards.is_null() {
            self.dummy
        } else {
            addresses.cards
        };
    }
}

/// Does an instruction by its handler in the interpreter; 0 when the handler stopped.
unsafe extern "C" fn aside(state: *mut NativeState<'_>, fp: *mut Value, place: u64) -> u64 {
    // SAFETY: native code passes on what it was given.
    let state = unsafe { &mut *state };
    let (function, pc) = ((place >> 32) as u32, place as u32);
    // SAFETY: native code has written the operands to the frame.
    let done = unsafe { state.stay.single(function, pc, fp, state.gas) };
    state.read_addresses();
    match done {
        Some(gas) => {
            state.gas = gas;
            1
        }
        None => 0,
    }
}
