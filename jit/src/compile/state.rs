//! What native code shares with the engine while it runs: one structure at a fixed layout, and the numbers
//! of the exits.

use std::sync::atomic::AtomicBool;

use crate::interp::Stay;
use crate::memo::Memo;
use crate::tier::routines::Routines;
use crate::value::Value;

/// Returned in place of a tag: the frame and all above it have been written back; leave.
pub(crate) const EXIT: i64 = 0x1000;
/// Returned in place of a tag: the function was not entered, and nothing has happened.
pub(crate) const NOT_ENTERED: i64 = 0x1001;

/// In place of a function whose body was left: none was.
pub(crate) const NO_BODY: u64 = u64::MAX;

/// Why native code was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitReason {
    /// The gas to the next check is not left.
    Gas,
    /// A value is not of the kind that was guessed.
    Kind,
    /// An operation on Ints has no result: overflow, or a division by zero.
    Number,
    /// An index is out of range.
    Range,
    /// A call enters another function than was guessed.
    Callee,
    /// A function called was not entered: its frame does not fit, or the gas for its first block is not left.
    NotEntered,
    /// A handler of the interpreter did not do it: it is rare, dear or fails.
    Aside,
    /// The instruction had not run when the function was compiled.
    Unseen,
    /// The instruction is never compiled: the interpreter does it.
    Uncompiled,
    /// The interpreter, on a function without native code, has come to something that it does not do.
    Interpreter,
    /// A test has asked for it.
    Forced,
    /// An instruction fails, and there is no gas or room to make its Error.
    Room,
}

impl ExitReason {
    /// All reasons, in order.
    pub const ALL: [ExitReason; 12] = [
        ExitReason::Gas,
        ExitReason::Kind,
        ExitReason::Number,
        ExitReason::Range,
        ExitReason::Callee,
        ExitReason::NotEntered,
        ExitReason::Aside,
        ExitReason::Unseen,
        ExitReason::Uncompiled,
        ExitReason::Interpreter,
        ExitReason::Forced,
        ExitReason::Room,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            ExitReason::Gas => "gas",
            ExitReason::Kind => "kind",
            ExitReason::Number => "number",
            ExitReason::Range => "range",
            ExitReason::Callee => "callee",
            ExitReason::NotEntered => "not-entered",
            ExitReason::Aside => "aside",
            ExitReason::Unseen => "unseen",
            ExitReason::Uncompiled => "uncompiled",
            ExitReason::Interpreter => "interpreter",
            ExitReason::Forced => "forced",
            ExitReason::Room => "room",
        }
    }

    /// Whether it says that a guess was wrong.
    pub fn is_wrong_guess(self) -> bool {
        matches!(
            self,
            ExitReason::Kind
                | ExitReason::Number
                | ExitReason::Range
                | ExitReason::Callee
                | ExitReason::Unseen
        )
    }
}

/// Where native code was left, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ExitPlace {
    /// The function of the newest frame.
    pub(crate) function: u32,
    /// The instruction that has not been done.
    pub(crate) pc: u32,
    /// Why; of a return it means nothing.
    pub(crate) reason: ExitReason,
    /// How much more gas is left than the state says: what was charged for instructions that have not been done, less what
    /// was not taken yet. It must fit into 16 bits.
    pub(crate) refund: i64,
}

impl ExitPlace {
    /// All of it in one word, so that an exit has one constant to write: pc, function, reason, refund.
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.pc)
            | u64::from(self.function) << 24
            | (self.reason as u64) << 44
            | (self.refund as u64) << 48
    }

    /// The opposite; none for a word of which no exit has come.
    pub(crate) fn unpack(word: u64) -> Option<ExitPlace> {
        let reason = usize::from((word >> 44) as u8 & 15);
        Some(ExitPlace {
            pc: word as u32 & 0xff_ffff,
            function: (word >> 24) as u32 & 0xf_ffff,
            reason: *ExitReason::ALL.get(reason)?,
            refund: word as i64 >> 48,
        })
    }
}

const _: () = {
    use pw_isa::verify::limits;
    assert!(limits::FUNCTIONS_MAX <= 1 << 20 && limits::CODE_MAX <= 1 << 24);
    assert!(ExitReason::ALL.len() <= 16);
};

/// The number of an entry, in the lower half of the way that a body is given: a call, a call that cannot be taken back
/// like a tail call, and from then on the loops in order.
pub(crate) const BY_CALL: u32 = 0;
/// See [`BY_CALL`].
pub(crate) const BY_TAIL_CALL: u32 = 1;
/// See [`BY_CALL`].
pub(crate) const FIRST_LOOP: u32 = 2;

/// Where native code can be entered.
pub(crate) trait Entries {
    /// The code for a place of the running program, and the number of the entry.
    fn entry(&self, function: u32, pc: u32) -> Option<(*const u8, u32)>;
}

/// The state. Native code finds fields by `offset_of!`.
#[repr(C)]
pub(crate) struct NativeState<'a> {
    /// Gas left behind the current block, but for what an exit says beside it; current at calls and exits.
    pub(crate) gas: i64,
    /// No frame may reach this slot.
    pub(crate) stack_end: *mut Value,
    /// No native frame may begin below this address.
    pub(crate) native_end: u64,
    /// The native code of each function of the program.
    pub(crate) table: *const *const u8,
    /// By function: its parameters (or `u32::MAX`), and its registers with its captures in the upper half.
    pub(crate) shapes: *const [u32; 2],
    /// The words of the arena, its cards, and its outside buffers; current after each operation aside.
    pub(crate) words: *mut u64,
    pub(crate) cards: *mut u8,
    pub(crate) outside: *const u8,
    /// The next object's offset, the offset that none may reach without the engine's leave, and how many
    /// were made: what native code allocates, until the arena is told.
    pub(crate) top: u64,
    pub(crate) top_max: u64,
    pub(crate) allocations: u64,
    /// Whether there is room among what was made in which no object was written.
    pub(crate) has_gaps: u64,
    /// The words of the program's constants.
    pub(crate) constants: *const u64,
    /// The program's globals; null while none was set.
    pub(crate) globals: *mut Value,
    /// In which entries of maps the program's values were last found as keys.
    pub(crate) hints: *const u32,
    /// The same for other texts, by where they stand.
    pub(crate) text_hints: *const u32,
    /// What stands for the cards of an arena that has none.
    pub(crate) dummy: *mut u8,
    /// The program's number in the upper half.
    pub(crate) program_bits: u64,
    /// Of an exit: the newest frame's r0.
    pub(crate) exit_fp: *mut Value,
    /// Of an exit or a return: where and why, packed.
    pub(crate) exit_place: u64,
    /// The function whose body was left, or [`NO_BODY`]: another one's instruction may be inlined in it.
    pub(crate) exit_body: u64,
    /// In code that can be made to leave: the exits that are still passed by.
    pub(crate) exits_left: u64,
    /// What is known about the actor: which bits of the answers to the program's questions about capabilities say
    /// something, these answers, and its address; see `tier/powers.rs`.
    pub(crate) known: u64,
    pub(crate) answers: u64,
    pub(crate) actor: u64,
    /// Frames that an exit has added.
    pub(crate) frames: u64,
    /// What the function returned that was entered, or that the interpreter has run.
    pub(crate) result_tag: u64,
    pub(crate) result_bits: u64,
    /// Does an instruction by its handler in the interpreter.
    pub(crate) aside: unsafe extern "C" fn(*mut NativeState<'_>, *mut Value, u64) -> u64,
    /// What does operations on values.
    pub(crate) routines: &'static Routines,
    /// What a sparing call is to call, and the ways to make one, by how many words they pass on.
    pub(crate) called: *const u8,
    pub(crate) sparing: [*const u8; 2],
    /// Runs a function without native code.
    pub(crate) interpret: unsafe extern "C" fn(*mut NativeState<'_>, *mut Value, u64) -> u64,
    /// The frame that was entered from the engine or the interpreter, whose header is in place.
    pub(crate) entry_fp: *mut Value,
    /// The frame that was entered from the engine, and how deep it is.
    pub(crate) first_fp: *mut Value,
    pub(crate) first_depth: u32,
    pub(crate) entrance: *const u8,
    pub(crate) entries: &'a dyn Entries,
    /// New code is to be taken into use: the interpreter is not called, but gone back to.
    pub(crate) has_news: &'a AtomicBool,
    /// What calls of pure functions have returned.
    pub(crate) memo: Option<&'a mut Memo>,
    pub(crate) stay: Stay<'a>,
}
