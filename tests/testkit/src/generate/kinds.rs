//! What the generator expects of a register, and the instructions that need nothing but such registers.

use Want::{
    Any, AnyVector, Big, Bool, Bytes, Cell, End, Error, Float, Floats, Index, Int, Ints, Key, List,
    Map, NonZero, Num, Pair, Size, Str, Symbol, Text, Vector,
};

/// What a register is expected to hold, narrower than a kind: what keeps most instructions from failing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Anything but a cell.
    Any,
    /// An Int so small that a few sums stay exact.
    Int,
    /// Any Int.
    Big,
    Float,
    /// A small Int or a Float, changing at run time.
    Num,
    Bool,
    /// At least four characters.
    Str,
    /// A short string.
    Text,
    Symbol,
    /// At least four bytes.
    Bytes,
    /// A list of small Ints.
    List,
    /// Such a list, not empty.
    Pair,
    /// A vector of small Ints, at least four.
    Ints,
    /// A vector of Floats, at least four.
    Floats,
    /// A vector of anything, at least four.
    Vector,
    Map,
    Error,
    /// A cell with a small Int.
    Cell,
    /// A function of this signature.
    Function(u8),
    // Operands only; no variable is of these.
    /// A position that everything long enough has.
    Index,
    /// The position behind four elements.
    End,
    /// A length.
    Size,
    /// A small Int other than 0.
    NonZero,
    /// An immutable value.
    Key,
    /// Any vector, to be read.
    AnyVector,
}

impl Want {
    /// Whether what is expected to be `self` can stand where `wanted` is.
    pub(super) fn serves(self, wanted: Want) -> bool {
        match wanted {
            Any => self != Cell,
            Big => matches!(self, Int | Big),
            Num => matches!(self, Int | Float | Num),
            List => matches!(self, List | Pair),
            Key => matches!(self, Int | Big | Float | Bool | Str | Text | Symbol),
            AnyVector => matches!(self, Ints | Floats | Vector),
            _ => self == wanted,
        }
    }
}

/// What variables are of; earlier ones are simpler.
pub(super) const VARIABLES: [Want; 20] = [
    Int, Num, Float, Big, Ints, List, Str, Vector, Map, Pair, Text, Bool, Bytes, Floats, Cell,
    Symbol, Error, Int, Num, Any,
];

/// An instruction of registers only: what it reads, what it gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) mnemonic: &'static str,
    pub(super) takes: &'static [Want],
    pub(super) gives: Option<Want>,
}

const fn gives(mnemonic: &'static str, takes: &'static [Want], gives: Want) -> Row {
    Row {
        mnemonic,
        takes,
        gives: Some(gives),
    }
}

const fn does(mnemonic: &'static str, takes: &'static [Want]) -> Row {
    Row {
        mnemonic,
        takes,
        gives: None,
    }
}

/// Instructions that mostly succeed, and whose results are what they are expected to be.
pub(super) const SAFE: &[Row] = &[
    gives("move", &[Int], Num),
    gives("move", &[Float], Num),
    gives("move", &[Any], Any),
    gives("add", &[Int, Int], Int),
    gives("sub", &[Int, Int], Int),
    gives("add", &[Num, Num], Num),
    gives("sub", &[Num, Num], Num),
    gives("mul", &[Int, Int], Big),
    gives("mul", &[Float, Num], Float),
    gives("add", &[Float, Float], Float),
    gives("sub", &[Num, Float], Float),
    gives("div", &[Float, Float], Float),
    gives("quot", &[Float, Num], Float),
    gives("rem", &[Num, Float], Float),
    gives("mod", &[Float, Float], Float),
    gives("div", &[Int, NonZero], Int),
    gives("quot", &[Int, NonZero], Int),
    gives("quot", &[Big, NonZero], Big),
    gives("rem", &[Big, NonZero], Int),
    gives("mod", &[Big, NonZero], Int),
    gives("mod", &[Int, NonZero], Int),
    gives("neg", &[Int], Int),
    gives("neg", &[Float], Float),
    gives("abs", &[Num], Num),
    gives("min", &[Num, Num], Num),
    gives("max", &[Num, Num], Num),
    gives("min", &[Big, Big], Big),
    gives("max", &[Int, Int], Int),
    gives("wrap-add", &[Big, Big], Big),
    gives("wrap-sub", &[Big, Big], Big),
    gives("wrap-mul", &[Big, Big], Big),
    gives("bit-and", &[Int, Int], Int),
    gives("bit-and", &[Big, Big], Big),
    gives("bit-or", &[Big, Big], Big),
    gives("bit-xor", &[Big, Int], Big),
    gives("bit-not", &[Big], Big),
    gives("shl", &[Big, Int], Big),
    gives("shr", &[Big, Int], Big),
    gives("ushr", &[Big, Int], Big),
    gives("to-int", &[Int], Int),
    gives("to-float", &[Num], Float),
    gives("sqrt", &[Num], Float),
    gives("floor", &[Float], Float),
    gives("ceil", &[Num], Float),
    gives("round", &[Float], Float),
    gives("trunc", &[Float], Float),
    gives("exp", &[Num], Float),
    gives("log", &[Num], Float),
    gives("sin", &[Num], Float),
    gives("cos", &[Num], Float),
    gives("tan", &[Num], Float),
    gives("atan", &[Num], Float),
    gives("atan2", &[Num, Num], Float),
    gives("pow", &[Num, Num], Float),
    gives("cons", &[Int, List], Pair),
    gives("cons", &[Int, List], List),
    gives("cons", &[Any, Any], Any),
    gives("car", &[Pair], Int),
    gives("cdr", &[Pair], List),
    gives("make-vector", &[Size, Int], Ints),
    gives("make-vector", &[Size, Any], Vector),
    gives("vector-ref", &[Ints, Index], Int),
    gives("vector-ref", &[Floats, Index], Float),
    gives("vector-ref", &[Vector, Index], Any),
    does("vector-set", &[Ints, Index, Int]),
    does("vector-set", &[Floats, Index, Float]),
    does("vector-set", &[Vector, Index, Any]),
    gives("vector-length", &[AnyVector], Int),
    does("vector-push", &[Ints, Int]),
    does("vector-push", &[Floats, Float]),
    does("vector-push", &[Vector, Any]),
    does("vector-fill", &[Ints, Int]),
    does("vector-fill", &[Vector, Any]),
    gives("make-map", &[], Map),
    gives("map-get", &[Map, Key, Any], Any),
    does("map-set", &[Map, Key, Any]),
    does("map-set", &[Map, Int, Int]),
    does("map-set", &[Map, Text, Any]),
    gives("map-has", &[Map, Key], Bool),
    gives("map-delete", &[Map, Key], Bool),
    gives("map-count", &[Map], Int),
    gives("map-keys", &[Map], Any),
    gives("make-bytes", &[Size, Index], Bytes),
    gives("bytes-ref", &[Bytes, Index], Int),
    does("bytes-set", &[Bytes, Index, Index]),
    gives("bytes-length", &[Bytes], Int),
    gives("make-error", &[Text, List], Error),
    gives("error-kind", &[Error], Symbol),
    gives("error-message", &[Error], Any),
    gives("error-values", &[Error], Any),
    gives("eq", &[Any, Any], Bool),
    gives("equal", &[Any, Any], Bool),
    gives("lt", &[Int, Int], Bool),
    gives("le", &[Num, Num], Bool),
    gives("gt", &[Float, Num], Bool),
    gives("ge", &[Big, Int], Bool),
    gives("num-eq", &[Num, Num], Bool),
    gives("num-ne", &[Big, Float], Bool),
    gives("not", &[Any], Bool),
    gives("is", &[Any], Bool),
    gives("cell", &[Int], Cell),
    gives("cell-get", &[Cell], Int),
    does("cell-set", &[Cell, Int]),
    gives("string-length", &[Str], Int),
    gives("string-append", &[Str, Text], Str),
    gives("string-append", &[Text, Str], Any),
    gives("string-ref", &[Str, Index], Text),
    gives("substring", &[Str, Index, End], Text),
    gives("string-index", &[Str, Text], Any),
    gives("string-eq", &[Str, Text], Bool),
    gives("string-lt", &[Text, Str], Bool),
    gives("number-to-string", &[Num], Text),
    gives("string-to-number", &[Text], Any),
    gives("symbol-to-string", &[Symbol], Text),
    gives("string-to-symbol", &[Text], Symbol),
    gives("string-to-bytes", &[Str], Bytes),
    gives("bytes-to-string", &[Bytes], Any),
];

/// Instructions that often fail, or leave something else than expected.
pub(super) const RISKY: &[Row] = &[
    gives("add", &[Big, Big], Big),
    gives("sub", &[Big, Big], Big),
    gives("mul", &[Big, Big], Big),
    gives("mul", &[Int, Int], Int),
    gives("div", &[Num, Num], Num),
    gives("quot", &[Big, Big], Big),
    gives("rem", &[Big, Int], Big),
    gives("mod", &[Big, Int], Big),
    gives("neg", &[Big], Big),
    gives("abs", &[Big], Big),
    gives("to-int", &[Float], Big),
    gives("add", &[Any, Int], Num),
    gives("lt", &[Any, Num], Bool),
    gives("car", &[List], Int),
    gives("cdr", &[List], List),
    gives("vector-ref", &[Ints, Int], Int),
    gives("vector-ref", &[Any, Index], Any),
    does("vector-set", &[Ints, Index, Float]),
    does("vector-set", &[Floats, Index, Any]),
    does("vector-push", &[Ints, Any]),
    does("vector-push", &[Floats, Int]),
    does("vector-fill", &[Ints, Float]),
    gives("vector-pop", &[Ints], Int),
    gives("vector-pop", &[AnyVector], Any),
    does("map-set", &[Map, Any, Any]),
    gives("bytes-ref", &[Bytes, Int], Int),
    does("bytes-set", &[Bytes, Index, Int]),
    gives("string-ref", &[Str, Int], Text),
    gives("substring", &[Str, Int, Int], Any),
    gives("substring", &[Str, Index, Any], Any),
    gives("string-append", &[Str, Any], Any),
    gives("make-error", &[Any, Any], Any),
    gives("error-message", &[Any], Any),
    gives("error-kind", &[Any], Any),
];
