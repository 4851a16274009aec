//! The internal form of a program: what the fast interpreter executes.
//!
//! Internal instruction `pc` stands for external instruction `pc` and possibly for the ones behind it:
//! where a sequence is fused, the whole stands at its first pc and skips the rest, and every part stays
//! at its own pc. So any external pc is an entry, and nothing outside this folder can tell the
//! difference.

use pw_isa::{Function, Kind};

use crate::value::Value;

/// What an internal instruction does. `R` in a name: the operand is a register; `I`: a number in the
/// instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(crate) enum Code {
    /// Anything without a handler of its own: one step of the reference interpreter.
    Step,
    Loop,
    Jump,
    /// A jump to a `loop`, and that.
    JumpLoop,
    /// A move, and that.
    MoveJumpLoop,
    BranchIf,
    BranchUnless,
    Return,
    ReturnInt,
    ReturnValue,
    Move,
    MoveMove,
    /// `a <-` Int `imm`.
    Int,
    /// `a <-` entry `imm` of the program's values.
    Value,
    Add,
    Sub,
    Mul,
    Div,
    Quot,
    Rem,
    Mod,
    Min,
    Max,
    Neg,
    Abs,
    BitNot,
    ToInt,
    WrapAdd,
    WrapSub,
    WrapMul,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
    Ushr,
    AddImm,
    MulImm,
    QuotImm,
    RemImm,
    ModImm,
    BitAndImm,
    BitOrImm,
    BitXorImm,
    WrapAddImm,
    WrapMulImm,
    ShlImm,
    ShrImm,
    UshrImm,
    /// `return a + b`.
    AddReturn,
    /// An operation whose second operand is entry `imm` of the program's values.
    AddValue,
    SubValue,
    MulValue,
    DivValue,
    /// An operation and a move of its result.
    AddMove,
    SubMove,
    MulMove,
    AddImmMove,
    /// A product and a sum.
    MulAdd,
    ToFloat,
    Sqrt,
    /// A function of the library, the one that `imm` tells.
    Library,
    LibraryOfTwo,
    Lt,
    Le,
    Gt,
    Ge,
    NumEq,
    NumNe,
    Eq,
    Equal,
    Not,
    Is,
    /// A comparison, and a branch that is taken when it does not hold.
    BranchLt,
    BranchLe,
    BranchGt,
    BranchGe,
    BranchNumEq,
    BranchNumNe,
    BranchLtImm,
    BranchLeImm,
    BranchGtImm,
    BranchGeImm,
    BranchNumEqImm,
    BranchNumNeImm,
    BranchLtValue,
    BranchLeValue,
    BranchGtValue,
    BranchGeValue,
    /// The second operand is the length of a vector.
    BranchLtLength,
    BranchGeLength,
    BranchNumEqLength,
    BranchEq,
    BranchEqual,
    BranchStringEq,
    BranchStringLt,
    /// `eq?` with entry `c` of the program's values.
    BranchEqValue,
    BranchIs,
    /// The same, taken when it holds.
    BranchIfLt,
    BranchIfLe,
    BranchIfGt,
    BranchIfGe,
    BranchIfNumEq,
    BranchIfNumNe,
    BranchIfLtImm,
    BranchIfLeImm,
    BranchIfGtImm,
    BranchIfGeImm,
    BranchIfNumEqImm,
    BranchIfNumNeImm,
    BranchIfLtValue,
    BranchIfLeValue,
    BranchIfGtValue,
    BranchIfGeValue,
    BranchIfLtLength,
    BranchIfGeLength,
    BranchIfNumEqLength,
    BranchIfEq,
    BranchIfEqual,
    BranchIfStringEq,
    BranchIfStringLt,
    BranchIfEqValue,
    BranchIfIs,
    /// A `loop`, and the comparison and branch behind it.
    LoopLt,
    LoopLe,
    LoopGt,
    LoopGe,
    LoopNumEq,
    LoopNumNe,
    LoopLtImm,
    LoopLeImm,
    LoopGtImm,
    LoopGeImm,
    LoopNumEqImm,
    LoopNumNeImm,
    LoopLtLength,
    LoopGeLength,
    LoopNumEqLength,
    LoopIs,
    /// A jump to a `loop` that a comparison and a branch follow, and all three.
    AgainLt,
    AgainLe,
    AgainGt,
    AgainGe,
    AgainNumEq,
    AgainNumNe,
    AgainLtImm,
    AgainLeImm,
    AgainGtImm,
    AgainGeImm,
    AgainNumEqImm,
    AgainNumNeImm,
    AgainLtLength,
    AgainGeLength,
    AgainNumEqLength,
    AgainIs,
    /// A move, and that.
    MoveAgainLt,
    MoveAgainLe,
    MoveAgainGt,
    MoveAgainGe,
    MoveAgainNumEq,
    MoveAgainNumNe,
    MoveAgainLtImm,
    MoveAgainLeImm,
    MoveAgainGtImm,
    MoveAgainGeImm,
    MoveAgainNumEqImm,
    MoveAgainNumNeImm,
    MoveAgainLtLength,
    MoveAgainGeLength,
    MoveAgainNumEqLength,
    MoveAgainIs,
    Cons,
    Car,
    Cdr,
    VectorRef,
    VectorSet,
    /// The index stands in `imm`.
    VectorRefAt,
    VectorSetAt,
    /// The index is `c` and `imm` more.
    VectorRefOffset,
    /// An element of an element.
    VectorRefTwice,
    /// The element is entry `imm` of the program's values.
    VectorSetValue,
    VectorLength,
    VectorPush,
    VectorPop,
    BytesRef,
    BytesSet,
    MakeMap,
    /// The lower half of `imm` is the default's slot; the upper half is the entry of the program's values
    /// that the key probably is, or 0.
    MapGet,
    /// The lower half is the default's entry among the program's values.
    MapGetOr,
    /// The lower half is the default.
    MapGetOrInt,
    /// Key and default are entries of the program's values.
    MapGetValue,
    /// `imm` is the entry that the key probably is, or 0.
    MapSet,
    MapHas,
    MapDelete,
    MapCount,
    Call,
    /// A move, or the sum of a register and a number, into the last argument, and a call.
    CallMove,
    CallAddImm,
    CallClosure,
    /// A move into the last argument, or of the closure when there is none, and that.
    CallClosureMove,
    TailCall,
    TailCallClosure,
    Closure,
    Capture,
    /// Two captured values in a row.
    CaptureTwo,
    Cell,
    CellGet,
    CellSet,
    /// A register, or the number in `imm`, is added to what a cell holds.
    CellAdd,
    CellAddImm,
    GlobalGet,
    GlobalSet,
    StringLength,
    StringRef,
    StringEq,
    StringLt,
    StringAppend,
    Substring,
    StringIndex,
    NumberToString,
    StringToNumber,
    SymbolToString,
    StringToSymbol,
}

impl Code {
    /// The last one.
    pub(crate) const LAST: Code = Code::StringToSymbol;

    /// Whether `imm` is a jump target.
    pub(crate) fn jumps(self) -> bool {
        let number = self as u16;
        matches!(
            self,
            Code::Jump | Code::JumpLoop | Code::MoveJumpLoop | Code::BranchIf | Code::BranchUnless
        ) || (Code::BranchLt as u16..=Code::BranchIfIs as u16).contains(&number)
            || (Code::AgainLt as u16..=Code::MoveAgainIs as u16).contains(&number)
    }

    /// Whether this is a `loop`, alone or with the test behind it.
    pub(crate) fn is_loop(self) -> bool {
        self == Code::Loop || (Code::LoopLt as u16..=Code::LoopIs as u16).contains(&(self as u16))
    }

    /// What a branch becomes that is taken when its comparison holds.
    pub(crate) fn if_it_holds(self) -> Option<Code> {
        Some(match self {
            Code::BranchLt => Code::BranchIfLt,
            Code::BranchLe => Code::BranchIfLe,
            Code::BranchGt => Code::BranchIfGt,
            Code::BranchGe => Code::BranchIfGe,
            Code::BranchNumEq => Code::BranchIfNumEq,
            Code::BranchNumNe => Code::BranchIfNumNe,
            Code::BranchLtImm => Code::BranchIfLtImm,
            Code::BranchLeImm => Code::BranchIfLeImm,
            Code::BranchGtImm => Code::BranchIfGtImm,
            Code::BranchGeImm => Code::BranchIfGeImm,
            Code::BranchNumEqImm => Code::BranchIfNumEqImm,
            Code::BranchNumNeImm => Code::BranchIfNumNeImm,
            Code::BranchLtValue => Code::BranchIfLtValue,
            Code::BranchLeValue => Code::BranchIfLeValue,
            Code::BranchGtValue => Code::BranchIfGtValue,
            Code::BranchGeValue => Code::BranchIfGeValue,
            Code::BranchLtLength => Code::BranchIfLtLength,
            Code::BranchGeLength => Code::BranchIfGeLength,
            Code::BranchNumEqLength => Code::BranchIfNumEqLength,
            Code::BranchEq => Code::BranchIfEq,
            Code::BranchEqual => Code::BranchIfEqual,
            Code::BranchStringEq => Code::BranchIfStringEq,
            Code::BranchStringLt => Code::BranchIfStringLt,
            Code::BranchEqValue => Code::BranchIfEqValue,
            Code::BranchIs => Code::BranchIfIs,
            _ => return None,
        })
    }

    /// What a `loop` becomes when this test follows it.
    pub(crate) fn with_loop(self) -> Option<Code> {
        Some(match self {
            Code::BranchLt => Code::LoopLt,
            Code::BranchLe => Code::LoopLe,
            Code::BranchGt => Code::LoopGt,
            Code::BranchGe => Code::LoopGe,
            Code::BranchNumEq => Code::LoopNumEq,
            Code::BranchNumNe => Code::LoopNumNe,
            Code::BranchLtImm => Code::LoopLtImm,
            Code::BranchLeImm => Code::LoopLeImm,
            Code::BranchGtImm => Code::LoopGtImm,
            Code::BranchGeImm => Code::LoopGeImm,
            Code::BranchNumEqImm => Code::LoopNumEqImm,
            Code::BranchNumNeImm => Code::LoopNumNeImm,
            Code::BranchLtLength => Code::LoopLtLength,
            Code::BranchGeLength => Code::LoopGeLength,
            Code::BranchNumEqLength => Code::LoopNumEqLength,
            Code::BranchIs => Code::LoopIs,
            _ => return None,
        })
    }

    /// What a jump to this loop and test becomes.
    pub(crate) fn again(self) -> Option<Code> {
        Some(match self {
            Code::LoopLt => Code::AgainLt,
            Code::LoopLe => Code::AgainLe,
            Code::LoopGt => Code::AgainGt,
            Code::LoopGe => Code::AgainGe,
            Code::LoopNumEq => Code::AgainNumEq,
            Code::LoopNumNe => Code::AgainNumNe,
            Code::LoopLtImm => Code::AgainLtImm,
            Code::LoopLeImm => Code::AgainLeImm,
            Code::LoopGtImm => Code::AgainGtImm,
            Code::LoopGeImm => Code::AgainGeImm,
            Code::LoopNumEqImm => Code::AgainNumEqImm,
            Code::LoopNumNeImm => Code::AgainNumNeImm,
            Code::LoopLtLength => Code::AgainLtLength,
            Code::LoopGeLength => Code::AgainGeLength,
            Code::LoopNumEqLength => Code::AgainNumEqLength,
            Code::LoopIs => Code::AgainIs,
            _ => return None,
        })
    }

    /// What a move and this jump become.
    pub(crate) fn with_move(self) -> Option<Code> {
        Some(match self {
            Code::AgainLt => Code::MoveAgainLt,
            Code::AgainLe => Code::MoveAgainLe,
            Code::AgainGt => Code::MoveAgainGt,
            Code::AgainGe => Code::MoveAgainGe,
            Code::AgainNumEq => Code::MoveAgainNumEq,
            Code::AgainNumNe => Code::MoveAgainNumNe,
            Code::AgainLtImm => Code::MoveAgainLtImm,
            Code::AgainLeImm => Code::MoveAgainLeImm,
            Code::AgainGtImm => Code::MoveAgainGtImm,
            Code::AgainGeImm => Code::MoveAgainGeImm,
            Code::AgainNumEqImm => Code::MoveAgainNumEqImm,
            Code::AgainNumNeImm => Code::MoveAgainNumNeImm,
            Code::AgainLtLength => Code::MoveAgainLtLength,
            Code::AgainGeLength => Code::MoveAgainGeLength,
            Code::AgainNumEqLength => Code::MoveAgainNumEqLength,
            Code::AgainIs => Code::MoveAgainIs,
            _ => return None,
        })
    }
}

/// Registers stand in instructions as byte offsets from r0: their number shifted by this.
pub(crate) const SLOT_SHIFT: u32 = 4;

/// One internal instruction. What the fields mean is up to the code; see the handlers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Instruction {
    pub(crate) code: Code,
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) c: u16,
    /// A small number, an index, a slot, the counter of a `loop`, or a jump target: its distance in bytes.
    pub(crate) imm: i32,
    /// Gas of this instruction and the ones behind it up to the next that may go on elsewhere: charged
    /// when control enters here.
    pub(crate) rest: u32,
}

impl Instruction {
    /// Leaves an instruction to the reference interpreter.
    pub(crate) const STEP: Instruction = Instruction {
        code: Code::Step,
        a: 0,
        b: 0,
        c: 0,
        imm: 0,
        rest: 0,
    };

    /// The lower half of `imm`.
    #[inline(always)]
    pub(crate) fn low(&self) -> u16 {
        self.imm as u16
    }

    /// The upper half.
    #[inline(always)]
    pub(crate) fn high(&self) -> u16 {
        (self.imm >> 16) as u16
    }
}

/// Two numbers in one field.
pub(crate) fn halves(low: u16, high: u16) -> i32 {
    i32::from(low) | i32::from(high) << 16
}

const _: () = assert!(std::mem::size_of::<Instruction>() == 16);
const _: () = assert!(std::mem::size_of::<Value>() == 1 << SLOT_SHIFT);

/// A function in internal form; what calls need of it is in one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct InternalFunction {
    pub(crate) code: Box<[Instruction]>,
    /// See [`InternalFunction::call_tag`].
    tag_base: u64,
    /// The function's number.
    pub(crate) number: u32,
    /// The counter of its entries.
    pub(crate) entry_site: u32,
    /// The bytes of its registers.
    pub(crate) frame_bytes: u32,
    /// The slot behind the parameters; [`ANY_ARGUMENTS`] when there is a rest parameter.
    pub(crate) params: u16,
    pub(crate) captures: u16,
}

/// No slot behind parameters.
pub(crate) const ANY_ARGUMENTS: u16 = u16::MAX;

impl InternalFunction {
    pub(crate) fn new(
        source: &Function,
        number: u32,
        entry_site: u32,
        code: Box<[Instruction]>,
    ) -> InternalFunction {
        let is_plain = !source.rest && source.params < 1 << (16 - SLOT_SHIFT);
        InternalFunction {
            tag_base: (u64::from(number) << 32).wrapping_sub(code.as_ptr().addr() as u64 >> 4),
            code,
            number,
            entry_site,
            frame_bytes: u32::from(source.registers) << SLOT_SHIFT,
            params: if is_plain {
                source.params << SLOT_SHIFT
            } else {
                ANY_ARGUMENTS
            },
            captures: source.captures,
        }
    }

    /// A function that does nothing, and stops the loop wherever a return comes to.
    pub(crate) fn boundary(number: u32) -> InternalFunction {
        let code: Box<[Instruction]> = vec![Instruction::STEP; 2].into();
        InternalFunction {
            tag_base: 0,
            code,
            number,
            entry_site: 0,
            frame_bytes: 0,
            params: ANY_ARGUMENTS,
            captures: 0,
        }
    }

    /// The first word of the header of a frame that the call at `pc` in this function makes: the
    /// function's number and the position of the call.
    #[inline(always)]
    pub(crate) fn call_tag(&self, pc: *const Instruction) -> u64 {
        const { assert!(std::mem::size_of::<Instruction>() == 1 << 4) };
        self.tag_base.wrapping_add(pc.addr() as u64 >> 4)
    }
}

/// A program in internal form.
#[derive(Debug)]
pub(crate) struct InternalProgram {
    /// All functions, and behind them what [`InternalProgram::boundary`] is.
    pub(crate) functions: Box<[InternalFunction]>,
    /// The code of each function before anything was fused.
    pub(crate) plain: Box<[Box<[Instruction]>]>,
    /// Constants of all functions, and numbers that do not fit in an instruction. Value 0 is nil, and
    /// stands for keys that are not constants.
    pub(crate) values: Box<[Value]>,
    /// Function and pc of every counter: loops, and the entry of each function behind its loops.
    pub(crate) sites: Box<[(u32, u32)]>,
}

impl InternalProgram {
    /// Which of the values an instruction looks for in a map, if it is a constant.
    pub(crate) fn key_at(&self, function: u32, pc: u32) -> Option<u32> {
        let i = &self.plain[function as usize][pc as usize];
        let place = match i.code {
            Code::MapGet => i.high(),
            Code::MapSet => i.low(),
            _ => 0,
        };
        (place != 0).then(|| place.into())
    }

    /// The function behind the last: a return to it stops the loop.
    pub(crate) fn boundary(&self) -> &InternalFunction {
        &self.functions[self.plain.len()]
    }
}

/// Whether a value of this kind is a plain word: two of them are `eq?` exactly when tag and bits are.
pub(crate) const fn is_word(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Float | Kind::String | Kind::Symbol | Kind::Error | Kind::Capability
    )
}
