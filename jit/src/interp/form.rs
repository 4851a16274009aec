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
    Lt,
    Le,
    Gt,
    Ge,
    NumEq,
    NumNe,
    Eq,
    Not,
    Is,
    BranchLt,
    BranchLe,
    BranchGt,
    BranchGe,
    BranchNumEq,
    BranchNumNe,
    BranchEq,
    BranchLtImm,
    BranchLeImm,
    BranchGtImm,
    BranchGeImm,
    BranchNumEqImm,
    BranchNumNeImm,
    BranchIs,
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
}

impl Code {
    /// Whether `imm` is a jump target.
    pub(crate) fn jumps(self) -> bool {
        let number = self as u16;
        matches!(
            self,
            Code::Jump | Code::JumpLoop | Code::BranchIf | Code::BranchUnless
        ) || (Code::BranchLt as u16..=Code::BranchIs as u16).contains(&number)
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

/// Set in `b` of a fused branch that is taken when the comparison does not hold.
pub(crate) const UNLESS: u16 = 1;

/// Whether a value of this kind is a plain word: two of them are `eq?` exactly when tag and bits are.
pub(crate) fn is_word(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Float | Kind::String | Kind::Symbol | Kind::Error | Kind::Capability
    )
}
