//! The internal form of a program: what the fast interpreter executes.
//!
//! Internal instruction `pc` stands for external instruction `pc` and possibly for the ones behind it:
//! where a sequence is fused, the whole stands at its first pc and skips the rest, and every part stays
//! at its own pc. So any external pc is an entry, and nothing outside this folder can tell the
//! difference.

use pw_isa::Kind;

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
    BranchIf,
    BranchUnless,
    Return,
    Move,
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
    SubImm,
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
    /// `return a + b` and its like.
    AddReturn,
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
    /// A comparison and the branch on it; `holds` and `fails` say where it goes on.
    BranchLt,
    BranchLe,
    BranchGt,
    BranchGe,
    BranchNumEq,
    BranchNumNe,
    BranchEq,
    BranchEqual,
    BranchStringEq,
    BranchStringLt,
    BranchLtImm,
    BranchLeImm,
    BranchGtImm,
    BranchGeImm,
    BranchNumEqImm,
    BranchNumNeImm,
    BranchIs,
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
    Cons,
    Car,
    Cdr,
    VectorRef,
    VectorSet,
    VectorLength,
    VectorPush,
    VectorPop,
    BytesRef,
    BytesSet,
    MapGet,
    MapSet,
    Call,
    CallClosure,
    TailCall,
    TailCallClosure,
    Closure,
    Capture,
    Cell,
    CellGet,
    CellSet,
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
    /// Whether `imm` is a jump target.
    pub(crate) fn jumps(self) -> bool {
        matches!(
            self,
            Code::Jump | Code::JumpLoop | Code::BranchIf | Code::BranchUnless
        ) || self.is_again()
    }

    /// Whether this jumps to a `loop` and does the test behind it.
    pub(crate) fn is_again(self) -> bool {
        (Code::AgainLt as u16..=Code::AgainNumNeImm as u16).contains(&(self as u16))
    }

    /// What a jump to a `loop` becomes when this test follows the loop.
    pub(crate) fn again(self) -> Option<Code> {
        Some(match self {
            Code::BranchLt => Code::AgainLt,
            Code::BranchLe => Code::AgainLe,
            Code::BranchGt => Code::AgainGt,
            Code::BranchGe => Code::AgainGe,
            Code::BranchNumEq => Code::AgainNumEq,
            Code::BranchNumNe => Code::AgainNumNe,
            Code::BranchLtImm => Code::AgainLtImm,
            Code::BranchLeImm => Code::AgainLeImm,
            Code::BranchGtImm => Code::AgainGtImm,
            Code::BranchGeImm => Code::AgainGeImm,
            Code::BranchNumEqImm => Code::AgainNumEqImm,
            Code::BranchNumNeImm => Code::AgainNumNeImm,
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
    /// A small number, an index, or the distance of a jump target.
    pub(crate) imm: i32,
    /// Gas of this instruction and the ones behind it up to the next that may go on elsewhere: charged
    /// when control enters here.
    pub(crate) rest: u32,
}

impl Instruction {
    /// The counter of a `loop`, or of the one that a jump leads to.
    #[inline(always)]
    pub(crate) fn loop_site(&self) -> u32 {
        u32::from(self.b) | u32::from(self.c) << 16
    }

    /// Where a fused branch goes on when its test holds: a distance from itself.
    #[inline(always)]
    pub(crate) fn holds(&self) -> isize {
        self.imm as i16 as isize
    }

    /// Where it goes on when its test does not hold.
    #[inline(always)]
    pub(crate) fn fails(&self) -> isize {
        (self.imm >> 16) as isize
    }
}

/// The two distances of a fused branch in one field.
pub(crate) fn two_ways(holds: i16, fails: i16) -> i32 {
    i32::from(holds) & 0xffff | i32::from(fails) << 16
}

const _: () = assert!(std::mem::size_of::<Instruction>() == 16);
const _: () = assert!(std::mem::size_of::<Value>() == 1 << SLOT_SHIFT);

/// A function in internal form.
#[derive(Debug)]
pub(crate) struct InternalFunction {
    pub(crate) code: Box<[Instruction]>,
    pub(crate) registers: u16,
    pub(crate) params: u16,
    pub(crate) captures: u16,
    /// Called the plain way: no rest parameter.
    pub(crate) is_plain: bool,
    /// The function's number.
    pub(crate) number: u32,
    /// The counter of its entries.
    pub(crate) entry_site: u32,
}

/// A program in internal form.
#[derive(Debug)]
pub(crate) struct InternalProgram {
    pub(crate) functions: Box<[InternalFunction]>,
    /// Constants of all functions, and numbers that do not fit in an instruction.
    pub(crate) values: Box<[Value]>,
    /// Function and pc of every counter: loops, and the entry of each function behind its loops.
    pub(crate) sites: Box<[(u32, u32)]>,
}

/// Whether a value of this kind is a plain word: two of them are `eq?` exactly when tag and bits are.
pub(crate) fn is_word(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Float | Kind::String | Kind::Symbol | Kind::Error | Kind::Capability
    )
}
