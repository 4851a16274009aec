//! Valid programs that end and do much before: any byte string is one.
//!
//! A tape of choices becomes functions that call each other in every way, loops, handlers and values of
//! all kinds. What each register should hold is known while the code is made, so that most instructions
//! succeed; a few take what they should not.
//!
//! Every program ends. Loops count in registers that only they write. A function's first argument is
//! its *fuel*, which bounds all calls below it: a call from a place that runs *n* times passes on at most
//! an *n*-th of it.
//!
//! | file | what it makes |
//! |---|---|
//! | `tape` | choices from bytes |
//! | `kinds` | what registers hold, and the instructions between them |
//! | `body` | a function: its beginning, statements, end |
//! | `flow` | branches, loops, handlers |
//! | `calls` | calls, closures, what they capture |
//! | `values` | operands: variables, or made on the spot |

mod body;
mod calls;
mod flow;
mod kinds;
mod tape;
mod values;

use pw_isa::Program;
use pw_isa::builder::ProgramBuilder;
use pw_jit::Limits;

use body::Body;
use kinds::Want;
pub use tape::{Tape, random_tape};

/// A program with the limits under which it runs.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The program; its entry takes no arguments.
    pub program: Program,
    /// What a run of it may use.
    pub limits: Limits,
}

/// The program that a tape stands for.
pub fn generate(tape: &[u8]) -> Generated {
    let mut tape = Tape::new(tape);
    let limits = limits(&mut tape);
    let mut builder = ProgramBuilder::new();
    let entry = builder.declare();
    let plan = Plan::new(&mut tape, &mut builder);
    builder.define(entry, Body::of_entry(&mut tape, &plan));
    for callee in &plan.callees {
        builder.define(callee.number, Body::of_callee(&mut tape, &plan, callee));
    }
    Generated {
        program: builder.finish("generated", entry),
        limits,
    }
}

fn limits(tape: &mut Tape<'_>) -> Limits {
    let memory_bytes = if tape.one_in(6) {
        tape.pick(&[512 << 10, 128 << 10, 64 << 10])
    } else {
        1 << 24
    };
    let gas = if tape.one_in(24) {
        tape.below(8_000) as u64
    } else {
        60_000
    };
    Limits {
        gas,
        memory_bytes,
        depth: if tape.one_in(12) { 40 } else { 5_000 },
        ..Limits::default()
    }
}

/// What is known of a program before any of its code is made.
struct Plan {
    signatures: Vec<Signature>,
    callees: Vec<Callee>,
    globals: Vec<(u32, Want)>,
}

/// What several functions have in common, so that one can stand for the other. Fuel is the argument
/// before these.
struct Signature {
    params: Vec<Want>,
    gives: Want,
}

/// A function other than the entry.
struct Callee {
    number: u32,
    signature: u8,
    captures: Vec<Want>,
    rest: bool,
    /// How many calls its code contains; with one, it recurses deep.
    calls: u32,
    /// Registers that nobody uses.
    padding: u16,
    /// Whether its instructions have gas of their own.
    own_gas: bool,
}

impl Plan {
    fn new(tape: &mut Tape<'_>, builder: &mut ProgramBuilder) -> Plan {
        let count = tape.below(6);
        let signatures = (0..count.div_ceil(2)).map(|_| Signature::new(tape));
        let signatures: Vec<Signature> = signatures.collect();
        let callees = (0..count).map(|index| Callee {
            number: builder.declare(),
            signature: (index % signatures.len()) as u8,
            captures: some_of(tape, 3, &[Want::Cell, Want::Int, Want::Any, Want::Ints]),
            rest: tape.one_in(5),
            calls: tape.pick(&[1, 3, 1, 2]),
            padding: if tape.one_in(20) {
                tape.pick(&[300, 4_090])
            } else {
                0
            },
            own_gas: tape.one_in(12),
        });
        let callees = callees.collect();
        let kinds = [Want::Int, Want::Num, Want::Any, Want::Ints, Want::Str];
        let globals = some_of(tape, 4, &kinds).into_iter().enumerate();
        let globals = globals.map(|(index, want)| (builder.global(&format!("g{index}")), want));
        Plan {
            globals: globals.collect(),
            signatures,
            callees,
        }
    }

    fn signature(&self, callee: &Callee) -> &Signature {
        &self.signatures[usize::from(callee.signature)]
    }
}

impl Signature {
    fn new(tape: &mut Tape<'_>) -> Signature {
        let params = [
            Want::Int,
            Want::Num,
            Want::Any,
            Want::List,
            Want::Ints,
            Want::Float,
        ];
        Signature {
            params: some_of(tape, 4, &params),
            gives: tape.pick(&[
                Want::Int,
                Want::Num,
                Want::List,
                Want::Any,
                Want::Big,
                Want::Str,
            ]),
        }
    }
}

/// Fewer than `bound` of these, with repetitions.
fn some_of(tape: &mut Tape<'_>, bound: usize, from: &[Want]) -> Vec<Want> {
    (0..tape.below(bound)).map(|_| tape.pick(from)).collect()
}
