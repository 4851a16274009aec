//! The names that are always there: special forms, and operations that are instructions.
//!
//! An operation is given by the shapes in which it can be called. A call in one of these shapes
//! becomes instructions in place; any other use of the name (as a value, with another number of
//! arguments) goes to a function: the one that the prelude defines under this name, or, for an
//! operation with a fixed number of operands, a wrapper made on demand.

use pw_isa::op::{Actor, Arith, Capability, Compare, Data, Float, Message, Op, Sandbox, Text};
use pw_isa::operand::{Def, Kinds, Use};
use pw_isa::{Kind, KindSet};

/// A form with rules of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Special {
    And,
    Begin,
    Catch,
    Cond,
    Define,
    Defn,
    Else,
    If,
    Lambda,
    Let,
    LetStar,
    Letrec,
    Or,
    Quote,
    Set,
    Try,
    Unless,
    When,
    While,
}

/// The special forms by name.
pub(crate) const SPECIALS: &[(&str, Special)] = &[
    ("and", Special::And),
    ("begin", Special::Begin),
    ("catch", Special::Catch),
    ("cond", Special::Cond),
    ("define", Special::Define),
    ("defn", Special::Defn),
    ("do", Special::Begin),
    ("else", Special::Else),
    ("fn", Special::Lambda),
    ("if", Special::If),
    ("lambda", Special::Lambda),
    ("let", Special::Let),
    ("let*", Special::LetStar),
    ("letrec", Special::Letrec),
    ("letrec*", Special::Letrec),
    ("or", Special::Or),
    ("quote", Special::Quote),
    ("set!", Special::Set),
    ("try", Special::Try),
    ("unless", Special::Unless),
    ("when", Special::When),
    ("while", Special::While),
];

/// The trust annotations, with the name under which a function keeps them.
pub(crate) const ANNOTATIONS: &[(&str, &str)] = &[
    (":formal", "formal"),
    (":verified", "verified"),
    (":empirical", "empirical"),
    (":experimental", "experimental"),
];

/// How an operation becomes instructions, once its operands stand in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A result from so many operands.
    Op0(fn(Def) -> Op),
    Op1(fn(Def, Use) -> Op),
    Op2(fn(Def, Use, Use) -> Op),
    Op3(fn(Def, Use, Use, Use) -> Op),
    Op4(fn(Def, Use, Use, Use, Use) -> Op),
    /// An effect of so many operands; the value is nil.
    Do0(fn() -> Op),
    Do1(fn(Use) -> Op),
    Do2(fn(Use, Use) -> Op),
    Do3(fn(Use, Use, Use) -> Op),
    /// An effect that never goes on behind it.
    End1(fn(Use) -> Op),
    /// Two or more operands, from the left.
    Fold(fn(Def, Use, Use) -> Op),
    /// Two or more operands, each compared with its right neighbour.
    Chain(fn(Def, Use, Use) -> Op),
    /// Whether the operand is of one of these kinds.
    Is(KindSet),
    /// Whether the operand is false or nil.
    Not,
    /// A list of the operands.
    List,
    /// A list of the operands but the last, which is the list behind them.
    ListStar,
    /// A vector of the operands.
    Vector,
    /// A new actor: function and arguments.
    Spawn,
    /// A host function: its name and arguments.
    HostCall,
    /// Raises an Error: message and values.
    Error,
    /// A literal, whatever the (pure, absent) operands.
    Int(i64),
    /// `true` after comparing the one operand with itself, which checks its kind.
    Single(fn(Def, Use, Use) -> Op),
}

impl Shape {
    /// Whether the operation is about the frame of the function in whose text it stands.
    pub(crate) fn is_of_frame(&self) -> bool {
        let op = match self {
            Shape::Do0(op) => op(),
            Shape::Do3(op) => op(Use(0), Use(0), Use(0)),
            _ => return false,
        };
        matches!(op, Op::Sandbox(_))
    }
}

/// An operand that the source leaves out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pad {
    Nil,
    Int(i64),
    Symbol(&'static str),
}

/// One way to call an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// The least number of arguments.
    pub(crate) min: usize,
    /// The largest number of arguments.
    pub(crate) max: usize,
    /// Operands put before the arguments.
    pub(crate) before: &'static [Pad],
    /// Operands put behind the arguments.
    pub(crate) after: &'static [Pad],
    /// What it does.
    pub(crate) shape: Shape,
}

/// Options of an operation: after so many plain arguments, keywords with values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Plain arguments.
    pub(crate) plain: usize,
    /// Keywords, with the operand that stands for a missing one; they follow the plain arguments
    /// in this order.
    pub(crate) keywords: &'static [(&'static str, Pad)],
    /// What it does when any option is given.
    pub(crate) shape: Shape,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Builtin {
    /// Its name.
    pub(crate) name: &'static str,
    /// The ways to call it.
    pub(crate) forms: &'static [Form],
    /// Its options, if it has any.
    pub(crate) options: Option<Options>,
}

impl Builtin {
    /// The way to call it with so many arguments.
    pub(crate) fn form(&self, arguments: usize) -> Option<&'static Form> {
        self.forms
            .iter()
            .find(|form| (form.min..=form.max).contains(&arguments))
    }
}

const MANY: usize = usize::MAX;

/// The priority of a message that names none: the middle of 0 (first) to 7.
const PRIORITY_DEFAULT: i64 = 4;

const fn form(min: usize, max: usize, shape: Shape) -> Form {
    Form {
        min,
        max,
        before: &[],
        after: &[],
        shape,
    }
}

const fn padded(arguments: usize, after: &'static [Pad], shape: Shape) -> Form {
    Form {
        min: arguments,
        max: arguments,
        before: &[],
        after,
        shape,
    }
}

macro_rules! operations {
    ($($name:literal: $($form:expr),+ $(=> $options:expr)?;)*) => {
        &[$(Builtin {
            name: $name,
            forms: &[$($form),+],
            options: operations!(@options $($options)?),
        }),*]
    };
    (@options) => { None };
    (@options $options:expr) => { Some($options) };
}

macro_rules! shape {
    (op0 $module:ident $row:ident) => {
        form(0, 0, Shape::Op0(|dst| $module::$row { dst }.into()))
    };
    (op1 $module:ident $row:ident $a:ident) => {
        form(1, 1, Shape::Op1(|dst, $a| $module::$row { dst, $a }.into()))
    };
    (op2 $module:ident $row:ident $a:ident $b:ident) => {
        form(2, 2, Shape::Op2(|dst, $a, $b| $module::$row { dst, $a, $b }.into()))
    };
    (do0 $module:ident $row:ident) => {
        form(0, 0, Shape::Do0(|| $module::$row {}.into()))
    };
    (do1 $module:ident $row:ident $a:ident) => {
        form(1, 1, Shape::Do1(|$a| $module::$row { $a }.into()))
    };
    (do2 $module:ident $row:ident $a:ident $b:ident) => {
        form(2, 2, Shape::Do2(|$a, $b| $module::$row { $a, $b }.into()))
    };
    (do3 $module:ident $row:ident $a:ident $b:ident $c:ident) => {
        form(3, 3, Shape::Do3(|$a, $b, $c| $module::$row { $a, $b, $c }.into()))
    };
    (fold $row:ident) => {
        form(2, MANY, Shape::Fold(|dst, a, b| Arith::$row { dst, a, b }.into()))
    };
    (chain $row:ident) => {
        form(2, MANY, Shape::Chain(|dst, a, b| Compare::$row { dst, a, b }.into()))
    };
    (single $row:ident) => {
        form(1, 1, Shape::Single(|dst, a, b| Compare::$row { dst, a, b }.into()))
    };
    (is $($kind:ident)+) => {
        form(1, 1, Shape::Is(KindSet::of(&[$(Kind::$kind),+])))
    };
}

const ADD: fn(Def, Use, Use) -> Op = |dst, a, b| Arith::Add { dst, a, b }.into();
const MUL: fn(Def, Use, Use) -> Op = |dst, a, b| Arith::Mul { dst, a, b }.into();
const DIV: fn(Def, Use, Use) -> Op = |dst, a, b| Arith::Div { dst, a, b }.into();
const MIN: fn(Def, Use, Use) -> Op = |dst, a, b| Arith::Min { dst, a, b }.into();
const MAX: fn(Def, Use, Use) -> Op = |dst, a, b| Arith::Max { dst, a, b }.into();

/// The operations. (A product with 1 gives the number back and refuses everything else.)
pub(crate) const BUILTINS: &[Builtin] = operations! {
    "+": form(0, 0, Shape::Int(0)), padded(1, &[Pad::Int(1)], Shape::Op2(MUL)), form(2, MANY, Shape::Fold(ADD));
    "-": shape!(op1 Arith Neg a), shape!(fold Sub);
    "*": form(0, 0, Shape::Int(1)), padded(1, &[Pad::Int(1)], Shape::Op2(MUL)), form(2, MANY, Shape::Fold(MUL));
    "/": Form { min: 1, max: 1, before: &[Pad::Int(1)], after: &[], shape: Shape::Op2(DIV) }, form(2, MANY, Shape::Fold(DIV));
    "quot": shape!(op2 Arith Quot a b);
    "rem": shape!(op2 Arith Rem a b);
    "mod": shape!(op2 Arith Mod a b);
    "abs": shape!(op1 Arith Abs a);
    "min": padded(1, &[Pad::Int(1)], Shape::Op2(MUL)), form(2, MANY, Shape::Fold(MIN));
    "max": padded(1, &[Pad::Int(1)], Shape::Op2(MUL)), form(2, MANY, Shape::Fold(MAX));
    "wrap+": shape!(fold WrapAdd);
    "wrap-": shape!(fold WrapSub);
    "wrap*": shape!(fold WrapMul);
    "bit-and": shape!(fold BitAnd);
    "bit-or": shape!(fold BitOr);
    "bit-xor": shape!(fold BitXor);
    "bit-not": shape!(op1 Arith BitNot a);
    "shl": shape!(op2 Arith Shl a b);
    "shr": shape!(op2 Arith Shr a b);
    "ushr": shape!(op2 Arith Ushr a b);
    "int": shape!(op1 Arith ToInt a);
    "float": shape!(op1 Float ToFloat a);
    "sqrt": shape!(op1 Float Sqrt a);
    "floor": shape!(op1 Float Floor a);
    "ceil": shape!(op1 Float Ceil a);
    "round": shape!(op1 Float Round a);
    "trunc": shape!(op1 Float Trunc a);
    "exp": shape!(op1 Float Exp a);
    "log": shape!(op1 Float Log a);
    "sin": shape!(op1 Float Sin a);
    "cos": shape!(op1 Float Cos a);
    "tan": shape!(op1 Float Tan a);
    "atan": shape!(op1 Float Atan a);
    "atan2": shape!(op2 Float Atan2 a b);
    "pow": shape!(op2 Float Pow a b);

    "<": shape!(single Lt), shape!(chain Lt);
    "<=": shape!(single Le), shape!(chain Le);
    ">": shape!(single Gt), shape!(chain Gt);
    ">=": shape!(single Ge), shape!(chain Ge);
    "=": shape!(single NumEq), shape!(chain NumEq);
    "!=": shape!(single NumNe), shape!(chain NumNe);
    "eq?": shape!(op2 Compare Eq a b);
    "equal?": shape!(op2 Compare Equal a b);
    "not": form(1, 1, Shape::Not);

    "int?": shape!(is Int);
    "float?": shape!(is Float);
    "number?": shape!(is Int Float);
    "string?": shape!(is String);
    "symbol?": shape!(is Symbol);
    "pair?": shape!(is Pair);
    "null?": shape!(is Nil);
    "nil?": shape!(is Nil);
    "bool?": shape!(is Bool);
    "vector?": shape!(is Vector);
    "map?": shape!(is Map);
    "bytes?": shape!(is Bytes);
    "function?": shape!(is Closure);
    "actor?": shape!(is ActorId);
    "error?": shape!(is Error);

    "cons": shape!(op2 Data Cons car cdr);
    "car": shape!(op1 Data Car pair);
    "cdr": shape!(op1 Data Cdr pair);
    "list": form(0, MANY, Shape::List);
    "vector": form(0, MANY, Shape::Vector);
    "make-vector": padded(1, &[Pad::Nil], MAKE_VECTOR), form(2, 2, MAKE_VECTOR);
    "vector-ref": shape!(op2 Data VectorRef vector index);
    "vector-set!": shape!(do3 Data VectorSet vector index value);
    "vector-length": shape!(op1 Data VectorLength vector);
    "vector-push!": shape!(do2 Data VectorPush vector value);
    "vector-pop!": shape!(op1 Data VectorPop vector);
    "vector-fill!": shape!(do2 Data VectorFill vector value);
    "make-map": shape!(op0 Data MakeMap);
    "map-get": padded(2, &[Pad::Nil], MAP_GET), form(3, 3, MAP_GET);
    "map-set!": shape!(do3 Data MapSet map key value);
    "map-has?": shape!(op2 Data MapHas map key);
    "map-delete!": shape!(op2 Data MapDelete map key);
    "map-count": shape!(op1 Data MapCount map);
    "map-keys": shape!(op1 Data MapKeys map);
    "make-bytes": padded(1, &[Pad::Int(0)], MAKE_BYTES), form(2, 2, MAKE_BYTES);
    "bytes-ref": shape!(op2 Data BytesRef bytes index);
    "bytes-set!": shape!(do3 Data BytesSet bytes index value);
    "bytes-length": shape!(op1 Data BytesLength bytes);

    "raise": form(1, 1, Shape::End1(|value| pw_isa::op::Control::Raise { value }.into()));
    "error": form(1, MANY, Shape::Error);
    "%make-error": shape!(op2 Data MakeError message values);
    "error-kind": shape!(op1 Data ErrorKind error);
    "error-message": shape!(op1 Data ErrorMessage error);
    "error-values": shape!(op1 Data ErrorValues error);

    "string-length": shape!(op1 Text StringLength string);
    "string-append": form(2, MANY, Shape::Fold(|dst, a, b| Text::StringAppend { dst, a, b }.into()));
    "string-ref": shape!(op2 Text StringRef string index);
    "substring": padded(2, &[Pad::Nil], SUBSTRING), form(3, 3, SUBSTRING);
    "string-index": shape!(op2 Text StringIndex string part);
    "string=?": shape!(op2 Text StringEq a b);
    "string<?": shape!(op2 Text StringLt a b);
    "number->string": shape!(op1 Text NumberToString number);
    "string->number": shape!(op1 Text StringToNumber string);
    "symbol->string": shape!(op1 Text SymbolToString symbol);
    "string->symbol": shape!(op1 Text StringToSymbol string);
    "string->bytes": shape!(op1 Text StringToBytes string);
    "bytes->string": shape!(op1 Text BytesToString bytes);

    "self": shape!(op0 Actor SelfId);
    "spawn": form(1, MANY, Shape::Spawn);
    "yield": shape!(do0 Actor Yield);
    "monitor": shape!(do1 Actor Monitor actor);
    "link": shape!(do1 Actor Link actor);
    "trap-exits": shape!(do1 Actor TrapExits on);
    "exit": padded(0, &[Pad::Nil], EXIT), form(1, 1, EXIT);
    "kill": shape!(do1 Actor Kill actor);
    "%supervise": form(2, 2, Shape::Op2(|dst, function, options| Actor::Supervise { dst, function, options }.into()));
    "%set-mailbox!": shape!(do1 Actor SetMailbox options);

    "send!": padded(2, &[Pad::Int(PRIORITY_DEFAULT)], SEND)
        => Options { plain: 2, keywords: &[(":priority", Pad::Int(PRIORITY_DEFAULT))], shape: SEND };
    "receive": shape!(op0 Message Receive)
        => Options { plain: 0, keywords: &[(":timeout", Pad::Nil)], shape: Shape::Op1(|dst, timeout| Message::ReceiveTimeout { dst, timeout }.into()) };
    "sender": shape!(op0 Message Sender);
    "request": shape!(op2 Message Request to value)
        => Options { plain: 2, keywords: &[(":timeout", Pad::Nil)], shape: Shape::Op3(|dst, to, value, timeout| Message::RequestTimeout { dst, to, value, timeout }.into()) };
    "reply": shape!(do1 Message Reply value);
    "broadcast": shape!(do2 Message Broadcast actors value);
    "subscribe": shape!(do1 Message Subscribe topic);
    "unsubscribe": shape!(do1 Message Unsubscribe topic);
    "publish": shape!(do2 Message Publish topic value);

    "has-capability?": shape!(op1 Capability HasCapability capability);
    "request-capability": padded(1, &[Pad::Nil], REQUEST_CAPABILITY), form(2, 2, REQUEST_CAPABILITY);
    "grant-capability": shape!(op2 Capability GrantCapability to capability);
    "delegate-capability": padded(2, &[Pad::Nil, Pad::Nil], DELEGATE)
        => Options { plain: 2, keywords: &[(":budget", Pad::Nil), (":expires", Pad::Nil)], shape: DELEGATE };
    "revoke-capability": shape!(op2 Capability RevokeCapability to capability);
    "vote-capability": shape!(op2 Capability VoteCapability request approve);
    "print": Form { min: 0, max: MANY, before: &[Pad::Symbol("print")], after: &[], shape: Shape::HostCall };
    "host-call": form(1, MANY, Shape::HostCall);
    "sandbox-open": shape!(do3 Sandbox SandboxOpen gas memory capabilities);
    "sandbox-close": shape!(do0 Sandbox SandboxClose);
};

const MAKE_VECTOR: Shape =
    Shape::Op2(|dst, length, value| Data::MakeVector { dst, length, value }.into());
const MAKE_BYTES: Shape =
    Shape::Op2(|dst, length, fill| Data::MakeBytes { dst, length, fill }.into());
const MAP_GET: Shape = Shape::Op3(|dst, map, key, default| {
    Data::MapGet {
        dst,
        map,
        key,
        default,
    }
    .into()
});
const SUBSTRING: Shape = Shape::Op3(|dst, string, from, to| {
    Text::Substring {
        dst,
        string,
        from,
        to,
    }
    .into()
});
const EXIT: Shape = Shape::End1(|value| Actor::Exit { value }.into());
const SEND: Shape = Shape::Do3(|to, value, priority| {
    Message::Send {
        to,
        value,
        priority,
    }
    .into()
});
const REQUEST_CAPABILITY: Shape = Shape::Op2(|dst, capability, reason| {
    Capability::RequestCapability {
        dst,
        capability,
        reason,
    }
    .into()
});
const DELEGATE: Shape = Shape::Op4(|dst, to, capability, budget, expires| {
    Capability::DelegateCapability {
        dst,
        to,
        capability,
        budget,
        expires,
    }
    .into()
});

/// The instruction for [`Shape::Is`].
pub(crate) fn is_op(dst: Def, a: Use, kinds: KindSet) -> Op {
    Compare::Is {
        dst,
        a,
        kinds: Kinds(kinds),
    }
    .into()
}
