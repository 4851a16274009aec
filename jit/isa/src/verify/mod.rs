//! The verifier: proves what the fast tiers rely on, or refuses with the place and the reason.
//!
//! A verified program has these properties:
//!  1. Every register, constant, link, label and handler that an instruction names exists, and links
//!     name what the instruction expects.
//!  2. Control never runs off the end of a function.
//!  3. No register is read before it was written, on any path, exceptional ones included. A call
//!     leaves every register above its window's base dead. Code that control cannot reach is held to
//!     the same rule, as if all registers were set where it begins.
//!  4. A backward jump goes to a `loop` instruction; loops and calls cost gas, except a call that only
//!     the `loop` before it leads to. So every endless computation passes safepoints and runs out of gas.
//!  5. Inner handlers come before the handlers around them.
//!  6. The debug section names registers that exist, and its lines rise with the pc.
//!
//! It also computes the live-register table: the registers that an instruction may still read. These
//! are the roots of a frame; collection, images, hashes and inspection all use this table, and
//! everywhere else a register counts as nil.
//!
//! Memory is proportional to the words of that table (instructions times registers / 64). So is time for
//! structured code: analyses visit the blocks in an order in which loops nested *n* deep settle after
//! *n* + 2 passes. Other code may take more passes; a program that takes too many is refused, so that
//! [`limits`] bound both.

mod assigned;
mod flow;
mod live;
mod purity;
mod registers;

pub use live::LiveTable;
pub use purity::Impurity;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::op::{Effects, Op};
use crate::operand::OperandKind;
use crate::program::{Constant, Function, FunctionDebug, Handler, Link, Program};
use crate::signature::{CodeSignature, ProgramSignature};

/// Limits of the verifier; programs beyond them are refused.
pub mod limits {
    /// Instructions of one function.
    pub const CODE_MAX: usize = 1 << 20;
    /// Constants of one function.
    pub const CONSTANTS_MAX: usize = 1 << 20;
    /// Captured values of one function.
    pub const CAPTURES_MAX: u16 = 1024;
    /// Globals of a program.
    pub const GLOBALS_MAX: u32 = 1 << 20;
    /// Functions of a program.
    pub const FUNCTIONS_MAX: usize = 1 << 20;
    /// Handlers of one function.
    pub const HANDLERS_MAX: usize = 1 << 12;
    /// 64-bit words of live-register tables of a program (32 MiB).
    pub const LIVE_WORDS_MAX: usize = 1 << 22;
    /// Words that the analyses of a program visit until they have settled.
    pub const STEPS_MAX: usize = 1 << 28;
}

/// Why a program was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct VerifyError {
    /// The function, by number and name; absent when the program as a whole is at fault.
    pub function: Option<(u32, String)>,
    /// The instruction.
    pub pc: Option<u32>,
    /// The source line, if the debug section knows it.
    pub line: Option<u32>,
    /// What is wrong.
    pub reason: String,
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((_, name)) = &self.function {
            write!(f, "function {name}")?;
            if let Some(pc) = self.pc {
                write!(f, ", pc {pc}")?;
            }
            if let Some(line) = self.line {
                write!(f, ", line {line}")?;
            }
            write!(f, ": ")?;
        }
        write!(f, "{}", self.reason)
    }
}

/// A program with the verifier's proof: the only form that can be loaded.
#[derive(Debug)]
pub struct Verified {
    program: Program,
    live: Vec<LiveTable>,
    signature: ProgramSignature,
    code_signatures: Vec<CodeSignature>,
    /// Found when somebody asks.
    purity: OnceLock<Vec<Option<Impurity>>>,
}

impl Verified {
    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The live registers of a function.
    pub fn live(&self, function: u32) -> &LiveTable {
        &self.live[function as usize]
    }

    /// The signature of the program.
    pub fn signature(&self) -> ProgramSignature {
        self.signature
    }

    /// The signature of a function.
    pub fn code_signature(&self, function: u32) -> CodeSignature {
        self.code_signatures[function as usize]
    }

    /// Why a function is not pure; nothing when it is: what a call of it returns and costs follows from its
    /// arguments alone.
    pub fn impurity(&self, function: u32) -> Option<Impurity> {
        let found = self.purity.get_or_init(|| purity::purity(&self.program));
        found[function as usize]
    }
}

/// A fault within one function: the instruction, if it is one's, and the reason.
type Fault = (Option<u32>, String);

/// Proves the properties listed at the head of this module.
///
/// # Errors
/// The first fault found. Time and memory are bounded by the size of the program.
pub fn verify(program: Program) -> Result<Verified, VerifyError> {
    verify_program(&program).map_err(|reason| VerifyError {
        function: None,
        pc: None,
        line: None,
        reason,
    })?;
    let mut live = Vec::with_capacity(program.functions.len());
    let mut budget = Budget {
        words: limits::LIVE_WORDS_MAX,
        steps: limits::STEPS_MAX,
    };
    for (number, function) in program.functions.iter().enumerate() {
        let table =
            verify_function(&program, number, function, &mut budget).map_err(|(pc, reason)| {
                let number = number as u32;
                VerifyError {
                    function: Some((number, program.function_name(number))),
                    pc,
                    line: pc.and_then(|pc| program.line_at(number, pc)),
                    reason,
                }
            })?;
        live.push(table);
    }
    let signature = ProgramSignature::of(&program);
    let code_signatures = program.functions.iter().map(CodeSignature::of).collect();
    Ok(Verified {
        program,
        live,
        signature,
        code_signatures,
        purity: OnceLock::new(),
    })
}

/// What is left of the limits while the functions of a program are verified.
struct Budget {
    words: usize,
    steps: usize,
}

impl Budget {
    /// Pays for one pass over the blocks of a function.
    fn pay_pass(&mut self, function: &Function, flow: &flow::Flow) -> Result<(), Fault> {
        let steps = flow.blocks.len() * (1 + registers::words_of(function.registers));
        match self.steps.checked_sub(steps) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err((None, "control flow is too tangled to be analysed".into())),
        }
    }
}

fn require(condition: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(reason()) }
}

fn verify_program(program: &Program) -> Result<(), String> {
    let functions = program.functions.len();
    require(functions <= limits::FUNCTIONS_MAX, || {
        format!("{functions} functions are too many")
    })?;
    program.check_form()?;
    require(program.globals <= limits::GLOBALS_MAX, || {
        format!(
            "{} globals are more than {}",
            program.globals,
            limits::GLOBALS_MAX
        )
    })?;
    let Some(entry) = program.functions.get(program.entry as usize) else {
        return Err(format!(
            "the entry is function {}, there are {functions}",
            program.entry
        ));
    };
    require(entry.captures == 0, || {
        "the entry function has captures".to_owned()
    })?;
    for (number, table) in program.links.iter().enumerate() {
        for link in table {
            let exists = match link {
                Link::Function(index) => (*index as usize) < functions,
                Link::Global(index) => *index < program.globals,
            };
            require(exists, || {
                format!("function #{number} links to {link:?}, which does not exist")
            })?;
        }
    }
    Ok(())
}

fn verify_function(
    program: &Program,
    number: usize,
    function: &Function,
    budget: &mut Budget,
) -> Result<LiveTable, Fault> {
    let links = &program.links[number];
    verify_shape(program, function, links).map_err(|reason| (None, reason))?;
    let targets = jump_targets(function);
    for (pc, op) in function.code.iter().enumerate() {
        verify_op(program, function, links, pc, op)
            .and_then(|()| verify_gas(function, &targets, pc, op))
            .map_err(|reason| (Some(pc as u32), reason))?;
    }
    if let Some(debug) = program.debug_of(number as u32) {
        verify_debug(function, debug).map_err(|reason| (None, reason))?;
    }
    let words = function.code.len() * registers::words_of(function.registers);
    let Some(words_left) = budget.words.checked_sub(words) else {
        return Err((
            None,
            "too many instructions times registers for the live-register table".into(),
        ));
    };
    budget.words = words_left;
    let flow = flow::Flow::of(function);
    assigned::check(function, &flow, budget)?;
    LiveTable::compute(function, &flow, budget)
}

fn verify_debug(function: &Function, debug: &FunctionDebug) -> Result<(), String> {
    require(debug.lines.is_sorted_by_key(|(pc, _)| *pc), || {
        "lines of the debug section do not rise with the pc".to_owned()
    })?;
    for variable in &debug.variables {
        require(variable.register < function.registers, || {
            format!(
                "a variable of the debug section is in r{}, the frame has {}",
                variable.register, function.registers
            )
        })?;
    }
    Ok(())
}

fn verify_shape(program: &Program, function: &Function, links: &[Link]) -> Result<(), String> {
    let code = function.code.len();
    require(code <= limits::CODE_MAX, || {
        format!("{code} instructions are more than {}", limits::CODE_MAX)
    })?;
    let constants = function.constants.len();
    require(constants <= limits::CONSTANTS_MAX, || {
        format!(
            "{constants} constants are more than {}",
            limits::CONSTANTS_MAX
        )
    })?;
    require(function.captures <= limits::CAPTURES_MAX, || {
        format!(
            "{} captures are more than {}",
            function.captures,
            limits::CAPTURES_MAX
        )
    })?;
    require(
        function.entry_registers() <= u32::from(function.registers),
        || {
            format!(
                "{} registers hold values at entry, the frame has {}",
                function.entry_registers(),
                function.registers
            )
        },
    )?;
    require(function.registers < u16::MAX, || {
        "a frame has at most 65534 registers".to_owned()
    })?;
    match function.code.last() {
        Some(op) if op.info().effects.has(Effects::END) => {}
        Some(op) => {
            return Err(format!(
                "control runs off the end, behind `{}`",
                op.info().mnemonic
            ));
        }
        None => return Err("a function without instructions".to_owned()),
    }
    for (index, constant) in function.constants.iter().enumerate() {
        verify_constant(program, links, index as u32, constant)
            .map_err(|reason| format!("constant {index}: {reason}"))?;
    }
    verify_handlers(function)
}

fn verify_constant(
    program: &Program,
    links: &[Link],
    index: u32,
    constant: &Constant,
) -> Result<(), String> {
    let earlier = |other: u32| {
        require(other < index, || {
            format!("refers to constant {other}, which does not come before it")
        })
    };
    match constant {
        Constant::Pair(car, cdr) => {
            earlier(*car)?;
            earlier(*cdr)
        }
        Constant::Capability {
            parameter: Some(parameter),
            ..
        } => earlier(*parameter),
        Constant::Function(link) => match links.get(*link as usize) {
            Some(Link::Function(callee)) => {
                let captures = program.functions[*callee as usize].captures;
                require(captures == 0, || format!("function #{callee} has captures"))
            }
            _ => Err(format!("link {link} is not a function")),
        },
        _ => Ok(()),
    }
}

fn verify_handlers(function: &Function) -> Result<(), String> {
    let handlers = &function.handlers;
    require(handlers.len() <= limits::HANDLERS_MAX, || {
        format!(
            "{} handlers are more than {}",
            handlers.len(),
            limits::HANDLERS_MAX
        )
    })?;
    let code = function.code.len() as u32;
    for (index, handler) in handlers.iter().enumerate() {
        require(handler.start < handler.end && handler.end <= code, || {
            format!(
                "handler {index} covers pc {} to {}",
                handler.start, handler.end
            )
        })?;
        require(
            handler.target < code && handler.dst < function.registers,
            || {
                format!(
                    "handler {index} goes to pc {} with r{}",
                    handler.target, handler.dst
                )
            },
        )?;
        let forward = handler.target >= handler.end;
        require(forward || is_loop(function, handler.target), || {
            format!(
                "handler {index} goes back to pc {}, which is not a `loop`",
                handler.target
            )
        })?;
    }
    verify_nesting(handlers, &flow::handlers_from_outside(function))
}

/// Each range lies within the one around it, and comes before it in the table.
fn verify_nesting(handlers: &[Handler], order: &[usize]) -> Result<(), String> {
    let mut around: Vec<usize> = Vec::new();
    for at in order {
        let handler = handlers[*at];
        while around
            .pop_if(|outer| handlers[*outer].end <= handler.start)
            .is_some()
        {}
        if let Some(outer) = around.last() {
            require(*at < *outer && handler.end <= handlers[*outer].end, || {
                format!("handler {at} overlaps handler {outer}, but is not inside and before it")
            })?;
        }
        around.push(*at);
    }
    Ok(())
}

fn is_loop(function: &Function, pc: u32) -> bool {
    matches!(
        function.code[pc as usize],
        Op::Control(crate::op::Control::Loop {})
    )
}

fn verify_op(
    program: &Program,
    function: &Function,
    links: &[Link],
    pc: usize,
    op: &Op,
) -> Result<(), String> {
    let (needed, registers) = (op.registers_needed(), u32::from(function.registers));
    require(needed <= registers, || {
        format!(
            "r{} is beyond the frame's {registers} registers",
            needed - 1
        )
    })?;
    for (kind, raw) in op.operands() {
        verify_operand(program, function, links, pc, kind, raw)?;
    }
    if let Op::Function(crate::op::Function::Closure {
        function: link,
        captures,
        ..
    }) = op
    {
        let wanted = captured_by(program, links, link.0);
        require(wanted == Some(captures.count), || {
            format!(
                "{} values for a function that captures {}",
                captures.count,
                wanted.unwrap_or(0)
            )
        })?;
    }
    if let Op::Function(
        crate::op::Function::Call { function: link, .. }
        | crate::op::Function::TailCall { function: link, .. },
    ) = op
    {
        require(captured_by(program, links, link.0) == Some(0), || {
            "a direct call of a function that captures values".to_owned()
        })?;
    }
    if let Op::Function(
        crate::op::Function::Apply { window } | crate::op::Function::TailApply { window },
    ) = op
    {
        require(window.args == 1, || {
            format!("apply takes one list, not {} arguments", window.args)
        })?;
    }
    if let Op::Actor(crate::op::Actor::Spawn { values, .. }) = op {
        require(values.count > 0, || {
            "spawn takes at least the function of the actor".to_owned()
        })?;
    }
    Ok(())
}

/// Loops and calls cost gas; a call that only a `loop` leads to is paid for by it.
fn verify_gas(
    function: &Function,
    targets: &BTreeSet<u32>,
    pc: usize,
    op: &Op,
) -> Result<(), String> {
    let is_call = op.info().effects.has(Effects::CALL);
    let costs = is_call || is_loop(function, pc as u32);
    if !costs || function.fixed_gas(pc) > 0 {
        return Ok(());
    }
    let before = (pc as u32).checked_sub(1);
    let paid = is_call
        && before.is_some_and(|before| is_loop(function, before))
        && !targets.contains(&(pc as u32));
    require(paid, || "loops and calls must cost gas".to_owned())
}

/// Where jumps and handlers go, in functions with gas of their own.
fn jump_targets(function: &Function) -> BTreeSet<u32> {
    if function.gas.is_empty() {
        return BTreeSet::new();
    }
    let handlers = function.handlers.iter().map(|handler| handler.target);
    let labels = function.code.iter().filter_map(Op::label);
    labels.chain(handlers).collect()
}

fn captured_by(program: &Program, links: &[Link], link: u32) -> Option<u16> {
    match links.get(link as usize) {
        Some(Link::Function(callee)) => Some(program.functions[*callee as usize].captures),
        _ => None,
    }
}

fn verify_operand(
    program: &Program,
    function: &Function,
    links: &[Link],
    pc: usize,
    kind: OperandKind,
    raw: u64,
) -> Result<(), String> {
    match kind {
        OperandKind::Const => require((raw as usize) < function.constants.len(), || {
            format!("constant {raw} of {}", function.constants.len())
        }),
        OperandKind::FuncLink => require(captured_by(program, links, raw as u32).is_some(), || {
            format!("link {raw} is not a function")
        }),
        OperandKind::GlobalLink => require(
            matches!(links.get(raw as usize), Some(Link::Global(_))),
            || format!("link {raw} is not a global"),
        ),
        OperandKind::Label => {
            require((raw as usize) < function.code.len(), || {
                format!("a jump to pc {raw}, behind the end")
            })?;
            let forward = raw as usize > pc;
            require(forward || is_loop(function, raw as u32), || {
                format!("a jump back to pc {raw}, which is not a `loop`")
            })
        }
        _ => Ok(()),
    }
}
