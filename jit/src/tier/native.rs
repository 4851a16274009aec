//! Into native code and out of it again.
//!
//! # Why the unsafe code is sound
//! 1. Native code is entered with the r0 of the fiber's newest frame, at an entry that was made for the
//!    place where the fiber stands; its own checks keep every further frame within the stack.
//! 2. It reads and writes what the interpreter's handlers would: registers of its frames, and objects where
//!    values say they are (see `fiber/arena/raw.rs`). What it does not write at once, though it has taken the room, it
//!    writes before a value that names it comes to memory (`compile/virtuals.rs`).
//! 3. The stack never moves while it runs; the arena moves only in operations aside, after which its
//!    addresses are read again.
//! 4. Its memory is executable and never written, and lives while it is in the code table: functions are
//!    replaced only between stays in native code.

use std::mem::transmute;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::code_space::CodeSpace;
use crate::compile::state::{
    BY_TAIL_CALL, EXIT, Entries, ExitPlace, ExitReason, NO_BODY, NOT_ENTERED, NativeState,
};
use crate::fiber::Fiber;
use crate::host::Host;
use crate::interp::profile::Profile;
use crate::interp::{Nested, Place, Stay};
use crate::memo::{ExecutionPattern, Memo};
use crate::tier::powers::Known;
use crate::tier::routines::ROUTINES;
use crate::value::Value;

/// Cards for an arena that has none: every store marks one.
const DUMMY_CARDS: usize = 64;

/// How a stay in native code ended.
pub(super) enum Left {
    /// The function that was entered returned a value; the fiber still has its frame.
    Returned(Value),
    /// The fiber stands somewhere else.
    Exit {
        reason: ExitReason,
        /// Where native code was left: for lack of gas, what could still be paid for has been done since.
        function: u32,
        pc: u32,
        /// The function whose body was left, if one was.
        body: Option<u32>,
    },
    /// It was not entered.
    Refused,
    /// Nor was it, for the gas does not even suffice for the block at hand.
    OutOfGas,
}

impl Left {
    /// Whether the code is why, and not what surrounds it: limits, or a test.
    pub(super) fn is_for_code(&self) -> bool {
        match self {
            Left::Returned(_) => true,
            Left::Exit { reason, .. } => !matches!(reason, ExitReason::Gas | ExitReason::Forced),
            Left::Refused | Left::OutOfGas => false,
        }
    }
}

type Entrance = unsafe extern "C" fn(*mut NativeState<'_>, *mut Value, u64, *const u8);

/// What of the compiler's work a stay needs.
pub(super) struct Code<'a> {
    pub(super) entrance: *const u8,
    pub(super) sparing: [*const u8; 2],
    pub(super) table: &'a [usize],
    pub(super) shapes: &'a [[u32; 2]],
    pub(super) entries: &'a dyn Entries,
    pub(super) has_news: &'a AtomicBool,
    pub(super) function: *const u8,
    pub(super) entry: u32,
    /// Bytes of the thread's stack that may be used. What needs more goes on in the interpreter, whose
    /// frames are the fiber's.
    pub(super) native_stack: u64,
    /// Exits that are passed by before one is forced.
    pub(super) exits_left: &'a mut u64,
    pub(super) known: Known,
    pub(super) memo: Option<&'a mut Memo>,
}

/// Enters native code where the fiber stands.
#[inline(never)]
pub(super) fn enter(
    fiber: &mut Fiber,
    space: &CodeSpace,
    host: &mut dyn Host,
    profile: &mut Profile,
    slice_end: u64,
    code: Code<'_>,
) -> Left {
    let program = fiber.program;
    let mark = code.memo.as_deref().map_or(usize::MAX, Memo::mark);
    let Some(stay) = Stay::enter_native(fiber, space, host, profile, slice_end, mark) else {
        return Left::OutOfGas;
    };
    let mut dummy = [0u8; DUMMY_CARDS];
    let (fp, stack_end) = stay.frame();
    let mut state = NativeState {
        gas: stay.gas(),
        stack_end: stack_end.min(fp.wrapping_add(stay.frames_left() as usize)),
        native_end: (&raw const dummy as u64).saturating_sub(code.native_stack),
        table: code.table.as_ptr().cast(),
        shapes: code.shapes.as_ptr(),
        words: std::ptr::null_mut(),
        cards: std::ptr::null_mut(),
        outside: std::ptr::null(),
        top: 0,
        top_max: 0,
        allocations: 0,
        has_gaps: 0,
        constants: space.program(program).constants.addresses().words,
        globals: stay.globals(),
        hints: stay.hints().0,
        text_hints: stay.hints().1,
        dummy: dummy.as_mut_ptr(),
        program_bits: u64::from(program) << 32,
        exit_fp: fp,
        exit_place: 0,
        exit_body: NO_BODY,
        exits_left: *code.exits_left,
        known: code.known.questions,
        answers: code.known.answers,
        actor: code.known.actor,
        frames: 0,
        result_tag: 0,
        result_bits: 0,
        aside,
        routines: &ROUTINES,
        called: std::ptr::null(),
        sparing: code.sparing,
        interpret,
        entry_fp: fp,
        first_fp: fp,
        first_depth: stay.depth(),
        entrance: code.entrance,
        entries: code.entries,
        has_news: code.has_news,
        memo: code.memo,
        stay,
    };
    state.read_arena();
    // SAFETY: 1 of the module's head.
    unsafe { enter_at(&raw mut state, fp, code.entry, code.function) };
    state.tell_arena();
    *code.exits_left = state.exits_left;
    let value = Value {
        tag: state.result_tag,
        bits: state.result_bits,
    };
    if value.tag == NOT_ENTERED as u64 {
        return Left::Refused;
    }
    let place = ExitPlace::unpack(state.exit_place).expect("native code says where it stands");
    let (function, pc) = (place.function, place.pc);
    let gas = state.gas + place.refund;
    if value.tag != EXIT as u64 {
        // SAFETY: the frame entered is the newest.
        unsafe { state.stay.leave_native(function, pc, fp, 0, gas) };
        return Left::Returned(value);
    }
    let (fp, frames) = (state.exit_fp, state.frames as u32);
    let (stands_at, gas) = match place.reason {
        // SAFETY: an exit writes all its frames.
        ExitReason::Gas => unsafe { state.stay.spend((function, pc), fp, gas) },
        _ => (pc, gas),
    };
    // SAFETY: an exit writes all its frames and their headers.
    unsafe {
        state
            .stay
            .leave_native(function, stands_at, fp, frames, gas)
    };
    Left::Exit {
        reason: place.reason,
        function,
        pc,
        body: (state.exit_body != NO_BODY).then_some(state.exit_body as u32),
    }
}

/// Enters native code at an entry; what comes back is in the state.
///
/// # Safety
/// The entry is one of this code for the place where the frame at `fp` stands.
unsafe fn enter_at(state: *mut NativeState<'_>, fp: *mut Value, entry: u32, code: *const u8) {
    // SAFETY: the state lives while native code runs.
    let entrance = unsafe { (*state).entrance };
    // SAFETY: it was compiled with this signature.
    let entrance: Entrance = unsafe { transmute::<*const u8, Entrance>(entrance) };
    // SAFETY: as for this function.
    unsafe { entrance(state, fp, entry.into(), code) };
}

impl NativeState<'_> {
    /// Tells the arena what native code has allocated.
    #[inline]
    pub(super) fn tell_arena(&mut self) {
        let (top, objects) = (self.top, std::mem::take(&mut self.allocations));
        let has_gaps = std::mem::take(&mut self.has_gaps) != 0;
        if objects > 0 || has_gaps {
            self.stay.arena().made_in_place(top, objects, has_gaps);
        }
    }

    /// Reads where the parts of the arena are, and the room in it.
    #[inline]
    pub(super) fn read_arena(&mut self) {
        let bytes = self.stay.bytes_left();
        (self.top, self.top_max) = self.stay.arena().room_in_place(bytes);
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
    state.tell_arena();
    // SAFETY: native code has written the operands to the frame.
    let done = unsafe { state.stay.single(function, pc, fp, state.gas) };
    state.read_arena();
    match done {
        Some(gas) => {
            state.gas = gas;
            1
        }
        None => 0,
    }
}

/// Runs a function without native code on the frame that was made for it: the tag of its value, whose
/// bits go to the state, or how it did not return.
unsafe extern "C" fn interpret(state: *mut NativeState<'_>, fp: *mut Value, way: u64) -> u64 {
    let function = (way >> 32) as u32;
    // SAFETY: native code passes on what it was given.
    match unsafe { &mut *state }.recall(fp, function) {
        Recalled::Known(tag) => return tag,
        // SAFETY: the same.
        Recalled::Unknown => return unsafe { &mut *state }.refuse(fp, way),
        Recalled::NotAsked => {}
    }
    // SAFETY: native code passes on what it was given.
    let depth = match unsafe { &mut *state }.begin_interpreted(fp, function) {
        Some(depth) => depth,
        // SAFETY: the same.
        None => return unsafe { &mut *state }.refuse(fp, way),
    };
    loop {
        // SAFETY: the same.
        let stopped = unsafe { &mut *state }.stay.go_on_nested();
        let place = match stopped {
            Nested::Returned(value, gas) => {
                // SAFETY: the same.
                return unsafe { &mut *state }.return_interpreted(value, gas);
            }
            Nested::Stopped(place) => place,
        };
        // SAFETY: the same.
        let exit = match unsafe { go_on_in_native(state, place) } {
            GoneOn::Returned => continue,
            GoneOn::Left => None,
            GoneOn::No => Some(place),
        };
        // SAFETY: the same.
        return unsafe { &mut *state }.leave_interpreted(depth, exit);
    }
}

/// What is known about a call from native code.
enum Recalled {
    /// What it returns, which is in the state; its tag.
    Known(u64),
    /// Nothing: it is to be made outside, where it is recorded.
    Unknown,
    /// Its function is not memoised.
    NotAsked,
}

/// What a try to go on in native code, where the interpreter called from native code has stopped, came to.
enum GoneOn {
    Returned,
    Left,
    No,
}

/// Goes on in native code where a nested stay has stopped.
///
/// # Safety
/// The place is where the state's stay stands.
unsafe fn go_on_in_native(state: *mut NativeState<'_>, place: Place) -> GoneOn {
    // SAFETY: native code passes on what it was given.
    let now = unsafe { &mut *state };
    if place.pc == 0 && now.is_memoised(place.function) {
        return GoneOn::No;
    }
    let Some((code, entry)) = now.entries.entry(place.function, place.pc) else {
        return GoneOn::No;
    };
    now.gas = place.gas;
    now.read_arena();
    let (before, depth) = (now.entry_fp, now.stay.depth());
    now.entry_fp = place.regs;
    // SAFETY: the interpreter has made the frame, which stands at this entry.
    unsafe { enter_at(state, place.regs, entry, code) };
    // SAFETY: the same as above.
    let now = unsafe { &mut *state };
    now.tell_arena();
    now.entry_fp = before;
    now.stay.set_depth(depth);
    let value = Value {
        tag: now.result_tag,
        bits: now.result_bits,
    };
    match value.tag as i64 {
        EXIT => GoneOn::Left,
        NOT_ENTERED => GoneOn::No,
        _ => {
            // SAFETY: the stay still stands in the frame that was entered.
            unsafe { now.stay.return_nested(place.regs, value, now.gas) };
            GoneOn::Returned
        }
    }
}

impl NativeState<'_> {
    /// Whether calls of a function are looked up.
    fn is_memoised(&self, function: u32) -> bool {
        let program = (self.program_bits >> 32) as u32;
        let memo = self.memo.as_deref();
        memo.is_some_and(|memo| memo.is_on(program, function))
    }

    /// Looks up a call whose arguments stand at `fp`, and charges all that it costs when it is known.
    fn recall(&mut self, fp: *mut Value, function: u32) -> Recalled {
        if !self.is_memoised(function) {
            return Recalled::NotAsked;
        }
        // The frame that was entered from outside returns there.
        if fp == self.entry_fp {
            return Recalled::Unknown;
        }
        self.tell_arena();
        // SAFETY: both are in the stack.
        let slots = unsafe { fp.offset_from(self.first_fp) };
        let depth = self.first_depth.saturating_add(slots as u32);
        let place = self.stay.situation(fp, depth, self.gas);
        let program = (self.program_bits >> 32) as u32;
        let params = (self.shape(function)[0]) as usize;
        // SAFETY: native code has written the arguments, as many as there are parameters.
        let arguments = unsafe { std::slice::from_raw_parts(fp, params) };
        let pattern = ExecutionPattern::new(program, function, arguments);
        let memo = self.memo.as_deref_mut();
        let known = pattern
            .zip(memo)
            .and_then(|(pattern, memo)| memo.recall(&pattern, &place));
        let Some(known) = known else {
            return Recalled::Unknown;
        };
        self.gas -= known.gas as i64;
        self.stay.arena().charge(known.allocated_bytes);
        self.read_arena();
        self.result_bits = known.value.bits;
        Recalled::Known(known.value.tag)
    }

    /// Parameters, and registers with captures, of a function.
    fn shape(&self, function: u32) -> [u32; 2] {
        let place = self.shapes.wrapping_add(function as usize);
        // SAFETY: there is one for each function of the program.
        unsafe { *place }
    }

    /// Stands at the beginning of a function in the interpreter: how deep that is, at most. `None`, and
    /// nothing has happened, when there is no room or gas, when it is entered from outside by a tail call, or
    /// when there is new code to be taken into use first.
    fn begin_interpreted(&mut self, fp: *mut Value, function: u32) -> Option<u32> {
        let here = 0u8;
        let is_deep = (&raw const here as u64) < self.native_end;
        if is_deep || fp == self.entry_fp || self.has_news.load(Ordering::Relaxed) {
            return None;
        }
        self.tell_arena();
        // SAFETY: both are in the stack.
        let slots = unsafe { fp.offset_from(self.first_fp) };
        let depth = self.first_depth.saturating_add(slots as u32);
        // SAFETY: native code has made the frame.
        let begun = unsafe { self.stay.begin_nested(function, fp, depth, self.gas) };
        begun.then_some(depth)
    }

    /// Does not begin: says so to a caller, and leaves at the beginning when a tail call has come here.
    fn refuse(&mut self, fp: *mut Value, way: u64) -> u64 {
        if way as u32 != BY_TAIL_CALL {
            return NOT_ENTERED as u64;
        }
        self.exit_fp = fp;
        self.exit_place = ExitPlace {
            function: (way >> 32) as u32,
            pc: 0,
            reason: ExitReason::NotEntered,
            refund: 0,
        }
        .pack();
        EXIT as u64
    }

    fn return_interpreted(&mut self, value: Value, gas: i64) -> u64 {
        self.stay.set_depth(self.first_depth);
        self.read_arena();
        self.gas = gas;
        self.result_bits = value.bits;
        value.tag
    }

    /// Leaves; `place` is where, unless native code that was entered from the interpreter has said it.
    fn leave_interpreted(&mut self, depth: u32, place: Option<Place>) -> u64 {
        self.frames += u64::from(self.stay.depth() - depth);
        self.stay.set_depth(self.first_depth);
        self.read_arena();
        if let Some(place) = place {
            self.gas = place.gas;
            self.exit_fp = place.regs;
            self.exit_place = ExitPlace {
                function: place.function,
                pc: place.pc,
                reason: ExitReason::Interpreter,
                refund: 0,
            }
            .pack();
            self.exit_body = NO_BODY;
        }
        EXIT as u64
    }
}
