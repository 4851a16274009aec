//! Assembly text (`.pwa`): programs that people can read and write.
//!
//! Nothing here knows an instruction: a line is a mnemonic of the opcode table and one operand for
//! each of the row's, read and printed by [`OperandKind`](crate::operand::OperandKind).
//!
//! ```text
//! .file "fib.jue"                     ; a comment runs to the end of its line
//! .global total                       ; globals are numbered in the order of their lines
//! .entry @main                        ; default: the function `main`, else the first
//!
//! func fib(n)                         ; register r0 is called n here and in the debug section
//!     .locals two small               ; names for the next registers, here r1 and r2
//!     int two 2
//!     lt small n two
//!     branch-unless small more        ; a label, or a pc as a number
//!     return n
//! more:                               ; commas are spaces
//!     sub r5, n, two
//!     call r4 args=1 @fib             ; arguments from r5 on, the result goes to r4
//!     …
//! ```
//!
//! | line | meaning |
//! |---|---|
//! | `func NAME(a, b, more...) captures=1 registers=8` | begins a function; it runs to the next `func`. Without `registers=` the frame has room for the code and the variables. Parameters may be counted instead of named: `(2)`, `(2, ...)` |
//! | `func #3 NAME(2)` | the same, for a function that has no name or whose name others have too: it is called `@#3` |
//! | `label:` | names the next instruction; the instruction may follow on the line |
//! | `mnemonic operands gas=7` | an instruction; `gas=` replaces the fixed gas of the opcode table |
//! | `.try -> TARGET rN` … `.end` | errors in between go on at `TARGET` with the error in `rN` |
//! | `.try 3..7 -> TARGET rN` | the same for a range given by labels or pcs; inner ranges come first |
//! | `.locals a b` | variables in the next registers behind the parameters, for the whole function |
//! | `.var NAME rN`, `.var NAME rN 3..7` | a variable of the whole function, or of a range. Only whole ones can be used as operands |
//! | `.line 12`, `.line 12 at=3` | the next instructions, or those from a pc on, come from this source line |
//! | `.annotation formal` | keeps an annotation of the source |
//! | `.const VALUE`, `.link @f`, `.link $g` | an entry of the function's tables, in this order. Only needed for exact numbering: a constant, function or global that an instruction mentions finds or makes its entry |
//! | `.file "name"` | the source file |
//! | `.global NAME`, `.global #3 NAME`, `.globals 5` | a global; one whose name others have too; globals without names |
//! | `.no-debug` | no function has debug information: names serve in this text only |
//!
//! | operand | looks like |
//! |---|---|
//! | register | `r5`, or the name of a variable |
//! | registers, call window | `r5 count=3`, `r5 args=2` |
//! | number, float, flag | `-5`, `0xff`; `1.5`, `-0.0`, `inf`, `nan`, `nan:0x7ff8000000000001`; `true` |
//! | kinds | `int\|float`, `any`, `none` |
//! | function, global | `@fib`, `@"odd name"`, `@#3`, `$total`, `$#3`; `@%7` and `$%7` by position in the link table |
//! | constant | `nil`, `true`, `5`, `2.5`, `"text"`, `'symbol`, `'"odd symbol"`, `@fib`, `'(1 (a "b") . 2)`, `#actor(17)`, `#capability(net)`, `#capability(files "/tmp")`, `#error(OutOfRange "message")`, `%7` by position in the constant table |
//!
//! Within a list a bare word is a symbol, and `'nil` is the symbol where `nil` is the value. Names
//! are made of letters, digits and `_-+*/<>=!?&^~|`; other names are written in quotes. Strings know
//! the escapes of Rust.
//!
//! Promise: `parse(&print(&program)) == Ok(program)` for every program that is
//! [well-formed](crate::Program::check_form), whether or not it verifies.

mod datum;
mod layout;
mod lexer;
mod parse;
mod parse_function;
mod print;
mod print_function;
mod tables;
mod words;

pub use parse::parse;
pub use print::print;

use std::fmt;

/// What is wrong at a place of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
pub struct TextError {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// What could stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// Everything that is wrong with a text, by line. What follows the first error of a line is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextErrors(pub Vec<TextError>);

impl fmt::Display for TextErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for TextErrors {}
