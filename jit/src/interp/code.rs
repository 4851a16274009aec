//! What internal instructions do, and what becomes of some when they are fused.

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
    /// A number that is added to a register, and that.
    AddJumpLoop,
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
    /// The first operand is an element of a vector.
    BranchLtElement,
    BranchLeElement,
    BranchGtElement,
    BranchGeElement,
    BranchNumEqElement,
    BranchNumNeElement,
    /// An element of a vector, and a branch that is taken when it is false or nil.
    BranchElement,
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
    BranchIfLtElement,
    BranchIfLeElement,
    BranchIfGtElement,
    BranchIfGeElement,
    BranchIfNumEqElement,
    BranchIfNumNeElement,
    BranchIfElement,
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
    /// A number that is added to a register, and that.
    AddAgainLt,
    AddAgainLe,
    AddAgainGt,
    AddAgainGe,
    AddAgainNumEq,
    AddAgainNumNe,
    AddAgainLtImm,
    AddAgainLeImm,
    AddAgainGtImm,
    AddAgainGeImm,
    AddAgainNumEqImm,
    AddAgainNumNeImm,
    AddAgainLtLength,
    AddAgainGeLength,
    AddAgainNumEqLength,
    AddAgainIs,
    /// A number that is added to the register that is compared, and that: see `steps`.
    StepLt,
    StepLe,
    StepGt,
    StepGe,
    StepNumEq,
    StepNumNe,
    StepLtImm,
    StepLeImm,
    StepGtImm,
    StepGeImm,
    StepNumEqImm,
    StepNumNeImm,
    StepLtLength,
    StepGeLength,
    StepNumEqLength,
    StepNumNeLength,
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
    /// An element, and a sum with it.
    AddElement,
    /// An element, a product with it, and a sum with that.
    MulAddElement,
    /// A sum with a number, and one of these.
    AddImmVectorRef,
    AddImmAddElement,
    /// An element, and a sum with it, and the step of a loop: the one whose code stands in `a`.
    AddElementStep,
    /// The element is entry `imm` of the program's values.
    VectorSetValue,
    VectorLength,
    VectorPush,
    VectorPop,
    /// Of `c` values from `b` on.
    Vector,
    MakeVector,
    VectorFill,
    MakeBytes,
    BytesRef,
    BytesSet,
    BytesLength,
    MakeError,
    ErrorKind,
    ErrorMessage,
    ErrorValues,
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
    MapKeys,
    Call,
    /// A move, or the sum of a register and a number, into the last argument, and a call.
    CallMove,
    CallAddImm,
    CallClosure,
    /// A move into the last argument, or of the closure when there is none, and that.
    CallClosureMove,
    TailCall,
    TailCallClosure,
    /// Of a function that takes the arguments beyond its parameters as a list.
    CallRest,
    TailCallRest,
    /// Of the function in `a`, with the elements of the list behind it.
    Apply,
    TailApply,
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
    Send,
    Receive,
    Sender,
    SelfId,
    Spawn,
}

impl Code {
    /// The last one.
    pub(crate) const LAST: Code = Code::Spawn;

    /// Whether `imm` is a jump target.
    pub(crate) fn jumps(self) -> bool {
        let number = self as u16;
        matches!(
            self,
            Code::Jump
                | Code::JumpLoop
                | Code::MoveJumpLoop
                | Code::AddJumpLoop
                | Code::BranchIf
                | Code::BranchUnless
        ) || (Code::BranchLt as u16..=Code::BranchIfIs as u16).contains(&number)
            || (Code::AgainLt as u16..=Code::AddAgainIs as u16).contains(&number)
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
            Code::BranchLtElement => Code::BranchIfLtElement,
            Code::BranchLeElement => Code::BranchIfLeElement,
            Code::BranchGtElement => Code::BranchIfGtElement,
            Code::BranchGeElement => Code::BranchIfGeElement,
            Code::BranchNumEqElement => Code::BranchIfNumEqElement,
            Code::BranchNumNeElement => Code::BranchIfNumNeElement,
            Code::BranchElement => Code::BranchIfElement,
            Code::BranchEq => Code::BranchIfEq,
            Code::BranchEqual => Code::BranchIfEqual,
            Code::BranchStringEq => Code::BranchIfStringEq,
            Code::BranchStringLt => Code::BranchIfStringLt,
            Code::BranchEqValue => Code::BranchIfEqValue,
            Code::BranchIs => Code::BranchIfIs,
            _ => return None,
        })
    }

    /// What a sum with a number becomes when this follows it.
    pub(crate) fn behind_sum(self) -> Option<Code> {
        match self {
            Code::VectorRef => Some(Code::AddImmVectorRef),
            Code::AddElement => Some(Code::AddImmAddElement),
            _ => None,
        }
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
            Code::JumpLoop => Code::MoveJumpLoop,
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

    /// What adding a number to a register and this jump become.
    pub(crate) fn with_sum(self) -> Option<Code> {
        Some(match self {
            Code::JumpLoop => Code::AddJumpLoop,
            Code::AgainLt => Code::AddAgainLt,
            Code::AgainLe => Code::AddAgainLe,
            Code::AgainGt => Code::AddAgainGt,
            Code::AgainGe => Code::AddAgainGe,
            Code::AgainNumEq => Code::AddAgainNumEq,
            Code::AgainNumNe => Code::AddAgainNumNe,
            Code::AgainLtImm => Code::AddAgainLtImm,
            Code::AgainLeImm => Code::AddAgainLeImm,
            Code::AgainGtImm => Code::AddAgainGtImm,
            Code::AgainGeImm => Code::AddAgainGeImm,
            Code::AgainNumEqImm => Code::AddAgainNumEqImm,
            Code::AgainNumNeImm => Code::AddAgainNumNeImm,
            Code::AgainLtLength => Code::AddAgainLtLength,
            Code::AgainGeLength => Code::AddAgainGeLength,
            Code::AgainNumEqLength => Code::AddAgainNumEqLength,
            Code::AgainIs => Code::AddAgainIs,
            _ => return None,
        })
    }
}
