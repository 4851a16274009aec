//! Which functions stand in place of their calls. A body is made of parts: its own function, and the
//! functions inlined at its calls, at theirs, and so on. Each has frames of its own, which an exit writes.
//!
//! A function is inlined where a call always enters it, if it is small and has run. What is known about
//! the arguments holds inside, and what its returns have in common is known behind the call.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use pw_isa::op::{Control, Data, Function as Call, Op, Work};
use pw_isa::{Function, Kind, Link};

use super::Request;
use super::arguments::kept;
use super::blocks::Blocks;
use super::effects::Effects;
use super::feedback::{Feedback, FunctionFeedback};
use super::gas::{InPlace, Payments};
use super::lengths::Found;
use super::ranges::Ranges;
use super::shapes::Shapes;
use super::types::{Evidence, Made, Outcome, Plan, Type, Types};
use crate::code_space::LoadedProgram;
use crate::tier::Optimizations;

/// The most instructions of an inlined function, by how many calls deep it stands.
const INSTRUCTIONS_MAX: [usize; 4] = [100, 60, 40, 20];
/// The most instructions of a function that is inlined into itself.
const INSTRUCTIONS_UNROLLED: usize = 40;
/// The most registers of an inlined function.
const REGISTERS_MAX: u16 = 60;
/// The most instructions that are inlined into one body, tries with less known types included: what compiling takes grows
/// faster than the body, and a thousand take longer than many programs run for.
const INSTRUCTIONS_ALL: usize = 300;
/// Of those that are left a function may take this part, so that small functions find room behind large ones.
const PART_OF_REST: usize = 3;

/// A function of at most so many instructions has less code than a call of it: such functions have room of their own.
const INSTRUCTIONS_TINY: usize = 6;
const INSTRUCTIONS_TINY_ALL: usize = 600;

/// The parts that stand at the end of one chain of functions.
#[derive(Default)]
struct Chain {
    /// One for each list of types that it is entered with.
    parts: Vec<Rc<Part>>,
    /// The chains that are longer by a function: its number, and theirs.
    longer: Vec<(u32, usize)>,
}

/// What all parts of a body share while it is planned.
pub(super) struct Planner<'a> {
    pub(super) program: &'a LoadedProgram,
    /// The program's number.
    pub(super) number: u32,
    pub(super) feedback: &'a Feedback,
    pub(super) optimizations: Optimizations,
    pub(super) shapes: Shapes,
    /// All chains of functions from the root on, the root's own first.
    chains: RefCell<Vec<Chain>>,
    instructions_left: Cell<usize>,
    tiny_left: Cell<usize>,
}

/// What is known about Ints and vectors at the start of each block.
pub(super) type AtStarts = Rc<[Rc<Ranges>]>;

/// A function as a part of a body.
pub(super) struct Part {
    pub(super) place: Rc<PartPlace>,
    pub(super) types: Types,
    pub(super) outcome: Outcome,
    /// What is known at its returns about its arguments, where it keeps them.
    pub(super) arguments: Vec<Type>,
    /// What it finds out about lengths.
    pub(super) found: Found,
    /// The returns; one from another function's frame counts as several.
    pub(super) returns: usize,
    /// By pc: objects may move while this instruction runs, and native code raises there.
    pub(super) moves_at: Vec<bool>,
    pub(super) raises_at: Vec<bool>,
    pub(super) payments: Payments,
    effects: OnceCell<Effects>,
    /// What is known about Ints and vectors at the start of its blocks, by what is known when it is entered.
    ranges: RefCell<Vec<(Ranges, AtStarts)>>,
}

/// What is known where a part returns.
#[derive(Default)]
struct Returns {
    result: Option<Type>,
    arguments: Option<Vec<Type>>,
    /// How many there are; one from another part counts as several.
    count: usize,
}

/// Where a part stands.
pub(super) struct PartPlace {
    /// The functions from the root to this one, and the number of this chain.
    pub(super) chain: Vec<u32>,
    chain_number: usize,
    /// How often it may stand in the body, where one part serves several calls of the same function.
    copies: usize,
    /// The types of the registers that hold values when it is entered.
    pub(super) entry: Vec<Type>,
    pub(super) blocks: Blocks,
    /// By register: whether it keeps what it holds at the beginning.
    pub(super) kept: Vec<bool>,
    /// By pc of a call and function: whether it is inlined there, once that is decided.
    decided: RefCell<BTreeMap<(u32, u32), bool>>,
    /// Whether what it returns escapes.
    pub(super) returns_escape: bool,
    /// By pc: whether what the instruction writes escapes, once that is asked for.
    pub(super) escapes: OnceCell<Vec<bool>>,
}

impl PartPlace {
    /// The function's number.
    pub(super) fn number(&self) -> u32 {
        self.chain[self.chain.len() - 1]
    }

    /// Whether the body is this function's.
    pub(super) fn is_root(&self) -> bool {
        self.chain.len() == 1
    }
}

impl<'a> Planner<'a> {
    pub(super) fn new(request: &'a Request, optimizations: Optimizations) -> Self {
        Planner {
            program: &request.program,
            number: request.number,
            feedback: &request.feedback,
            optimizations,
            shapes: Shapes::default(),
            chains: RefCell::new(vec![Chain::default()]),
            instructions_left: Cell::new(INSTRUCTIONS_ALL),
            tiny_left: Cell::new(INSTRUCTIONS_TINY_ALL),
        }
    }

    /// The part that a body is for.
    pub(super) fn root(&self, function: u32) -> Rc<Part> {
        self.make(vec![function], (0, 1), Vec::new(), true)
    }

    /// What is known about a part.
    pub(super) fn evidence(&self, place: &Rc<PartPlace>) -> Evidence<'_> {
        let number = place.number();
        Evidence {
            planner: self,
            function: self.program.function(number),
            place: Rc::clone(place),
            feedback: self.feedback.of(number),
        }
    }

    /// A function called in a part, entered with registers of these types; what it returns may escape there.
    fn part(
        &self,
        outer: &PartPlace,
        callee: u32,
        entry: [&[Type]; 2],
        returns_escape: bool,
    ) -> Rc<Part> {
        let number = self.longer_chain(outer.chain_number, callee);
        let is_entered = |part: &&Rc<Part>| {
            let rest = part.place.entry.strip_prefix(entry[0]);
            rest == Some(entry[1]) && part.place.returns_escape == returns_escape
        };
        if let Some(part) = self.chains.borrow()[number].parts.iter().find(is_entered) {
            return Rc::clone(part);
        }
        let copies = outer.copies * self.calls_of(outer.number(), callee);
        let chain = outer.chain.iter().copied().chain([callee]).collect();
        self.make(chain, (number, copies), entry.concat(), returns_escape)
    }

    /// The number of the chain that is longer by a function.
    fn longer_chain(&self, chain: usize, callee: u32) -> usize {
        let mut chains = self.chains.borrow_mut();
        let mut longer = chains[chain].longer.iter();
        if let Some((_, number)) = longer.find(|(function, _)| *function == callee) {
            return *number;
        }
        let number = chains.len();
        chains[chain].longer.push((callee, number));
        chains.push(Chain::default());
        number
    }

    /// The calls of a function in another one, at least the one that was asked for: that may be of a closure.
    fn calls_of(&self, outer: u32, callee: u32) -> usize {
        let is_call = |op: &&Op| match op {
            Op::Function(Call::Call { function, .. } | Call::TailCall { function, .. }) => {
                matches!(self.program.link(outer, function.0), Link::Function(number) if number == callee)
            }
            _ => false,
        };
        let code = self.program.function(outer).code.iter();
        code.filter(is_call).count().max(1)
    }

    /// The last function of a chain, entered with registers of these types.
    fn make(
        &self,
        chain: Vec<u32>,
        (chain_number, copies): (usize, usize),
        entry: Vec<Type>,
        returns_escape: bool,
    ) -> Rc<Part> {
        let function = self.program.function(chain[chain.len() - 1]);
        let place = Rc::new(PartPlace {
            chain,
            chain_number,
            copies,
            entry,
            blocks: Blocks::of(function),
            kept: kept(function),
            decided: RefCell::default(),
            returns_escape,
            escapes: OnceCell::new(),
        });
        let evidence = self.evidence(&place);
        let types = evidence.types();
        let part = Rc::new(evidence.part(types));
        let mut chains = self.chains.borrow_mut();
        chains[chain_number].parts.push(Rc::clone(&part));
        part
    }
}

impl Part {
    /// What its instructions do to what is known about Ints and vectors.
    pub(super) fn effects(&self, evidence: &Evidence<'_>) -> &Effects {
        let found = &self.found.behind;
        let find = || evidence.effects(&self.types.plans, &self.moves_at, found.clone());
        self.effects.get_or_init(find)
    }

    /// What is known about Ints and vectors at the start of each block, given what is known about the arguments.
    pub(super) fn ranges(&self, evidence: &Evidence<'_>, entry: &Ranges) -> AtStarts {
        let mut found = self.ranges.borrow_mut();
        if let Some((_, ranges)) = found.iter().find(|(known, _)| known == entry) {
            return Rc::clone(ranges);
        }
        let ranges: AtStarts = evidence.ranges(self, entry).into();
        found.push((entry.clone(), Rc::clone(&ranges)));
        ranges
    }
}

impl Evidence<'_> {
    /// The function that a position of the link table names.
    pub(super) fn linked(&self, link: u32) -> u32 {
        match self.planner.program.link(self.place.number(), link) {
            Link::Function(number) | Link::Global(number) => number,
        }
    }

    /// Whether a call of a function with this many arguments is inlined.
    pub(super) fn is_inlined(&self, pc: u32, callee: u32, args: u16) -> bool {
        let mut decided = self.place.decided.borrow_mut();
        *decided
            .entry((pc, callee))
            .or_insert_with(|| self.can_inline(pc, callee, args))
    }

    /// The functions that a call of one of a few can enter, each with what stands in place of its call if it
    /// is inlined.
    pub(super) fn cases(&self, pc: u32, types: &[Type]) -> Vec<(u32, Option<Rc<Part>>)> {
        let args = window(self.call(pc)).1;
        let callees = self.site(pc).target.functions(self.planner.number);
        let cases = callees.into_iter().map(|callee| {
            let is_inlined = self.is_inlined(pc, callee, args);
            (callee, is_inlined.then(|| self.inlined(pc, callee, types)))
        });
        cases.collect()
    }

    /// What comes of such a call.
    pub(super) fn outcome_of_cases(&self, pc: u32, types: &[Type]) -> Outcome {
        let called = Outcome {
            result: Type::Any,
            moves: true,
            raises: false,
        };
        let cases = self.cases(pc, types).into_iter();
        let outcomes = cases.map(|(_, part)| part.map_or(called, |part| part.outcome));
        let all = outcomes.reduce(|a, b| Outcome {
            result: self.planner.join(a.result, b.result),
            moves: a.moves || b.moves,
            raises: a.raises || b.raises,
        });
        all.unwrap_or(called)
    }

    fn can_inline(&self, pc: u32, callee: u32, args: u16) -> bool {
        let function = self.planner.program.function(callee);
        let Some(most) = INSTRUCTIONS_MAX.get(self.place.chain.len() - 1) else {
            return false;
        };
        let feedback = self.planner.feedback.of(callee);
        let entered = feedback.and_then(|feedback| feedback.site(0));
        let has_run = self.site(pc).count > 0 && entered.is_some_and(|site| site.count > 0);
        let added = function.code.len() * self.place.copies;
        let budget = match function.code.len() <= INSTRUCTIONS_TINY {
            true => &self.planner.tiny_left,
            false => &self.planner.instructions_left,
        };
        let left = budget.get();
        let inlined = self.planner.optimizations.inline
            && has_run
            && !feedback.is_some_and(FunctionFeedback::is_apart)
            && function.params == args
            && !function.rest
            && function.code.len() <= *most
            && added <= left / PART_OF_REST
            && function.registers <= REGISTERS_MAX
            && (!self.place.chain.contains(&callee) || self.is_unrolled(function));
        if inlined {
            budget.set(left - added);
        }
        inlined
    }

    /// Whether a small function that calls itself has that call inlined, once.
    fn is_unrolled(&self, function: &Function) -> bool {
        // Beside work that depends on sizes, a call costs little.
        let mut code = function.code.iter();
        let works = code.any(|op| op.info().work != Work::None);
        self.place.is_root() && function.code.len() <= INSTRUCTIONS_UNROLLED && !works
    }

    fn call(&self, pc: u32) -> &Call {
        match &self.function.code[pc as usize] {
            Op::Function(call) => call,
            _ => unreachable!("not a call"),
        }
    }

    /// The part that stands in place of a call.
    pub(super) fn inlined(&self, pc: u32, callee: u32, types: &[Type]) -> Rc<Part> {
        let (base, args) = window(self.call(pc));
        let first = usize::from(base) + 1;
        let arguments = &types[first..first + usize::from(args)];
        let closure = [match types[usize::from(base)] {
            known @ Type::Virtual(Made::Closure(_), _) => known,
            _ => Type::Closure(callee),
        }];
        let has_captures = self.planner.program.function(callee).captures > 0;
        let closure = &closure[..usize::from(has_captures)];
        let entry = [arguments, closure];
        let returns_escape = self.lets_result_escape(pc, callee);
        self.planner
            .part(&self.place, callee, entry, returns_escape)
    }

    /// The part of these types: what all values that the function returns have in common, and where objects may
    /// move in it and native code raises. Behind an exit no instruction has a plan any more.
    fn part(&self, mut types: Types) -> Part {
        let mut returns = Returns::default();
        let mut moves_at = vec![false; self.function.code.len()];
        let (mut raises_at, mut raises, mut moves) = (moves_at.clone(), false, false);
        let blocks = &self.place.blocks.all;
        let (mut in_place, mut inside) = (vec![None; blocks.len()], BTreeMap::new());
        for (number, (block, at_start)) in blocks.iter().zip(&types.at_start).enumerate() {
            let Some(mut now) = at_start.clone() else {
                continue;
            };
            for pc in block.start..block.end {
                if let Op::Function(call) = &self.function.code[pc as usize] {
                    let inner = self.part_at(pc, call, &now);
                    in_place[number] = in_place_of(call, inner.as_deref());
                    inside.extend(inner.map(|inner| (pc, inner)));
                }
                let (plan, outcome) = self.step(pc, &mut now);
                if plan == Plan::Exit {
                    types.plans[pc as usize..block.end as usize].fill(Plan::Exit);
                    break;
                }
                moves_at[pc as usize] = outcome.moves;
                raises_at[pc as usize] = outcome.raises;
                match self.handler(pc) {
                    Some(_) => moves |= outcome.raises && self.makes_error(pc),
                    None => raises |= outcome.raises,
                }
                self.note_return(pc, (plan, outcome), &now, &mut returns);
            }
        }
        let is_compiled = |number: usize| types.at_start[number].is_some();
        let payments = Payments::of(blocks, is_compiled, &in_place);
        let found = self.lengths_found(&types, &moves_at, &inside);
        Part {
            place: Rc::clone(&self.place),
            payments,
            types,
            outcome: Outcome {
                result: returns.result.unwrap_or(Type::Any),
                moves: moves || moves_at.contains(&true),
                raises,
            },
            arguments: returns.arguments.unwrap_or_default(),
            returns: returns.count,
            found,
            moves_at,
            raises_at,
            effects: OnceCell::new(),
            ranges: RefCell::default(),
        }
    }

    /// Notes what is known where an instruction returns, if it does: about what it returns, and about the arguments.
    fn note_return(
        &self,
        pc: u32,
        (plan, outcome): (Plan, Outcome),
        types: &[Type],
        returns: &mut Returns,
    ) {
        let is_from_here = !matches!(&self.function.code[pc as usize], Op::Function(_));
        let result = match &self.function.code[pc as usize] {
            Op::Control(Control::Return { value }) => {
                returns.count += 1;
                types[usize::from(value.0)]
            }
            Op::Function(call) if is_tail_call(call) => {
                returns.count += 2;
                match plan {
                    Plan::Inline(_) | Plan::OneOf => outcome.result,
                    _ => Type::Any,
                }
            }
            _ => return,
        };
        let mut arguments = self.arguments_at_return(types);
        if !is_from_here {
            arguments
                .iter_mut()
                .for_each(|known| *known = known.moved());
        }
        let join = |a, b| self.planner.join(a, b);
        let known = returns.result;
        returns.result = Some(known.map_or(result, |known| join(known, result)));
        returns.arguments = Some(match returns.arguments.take() {
            Some(known) => {
                let pairs = known.into_iter().zip(arguments);
                pairs.map(|(a, b)| join(a, b)).collect()
            }
            None => arguments,
        });
    }

    /// The part that stands in place of a call, if one does.
    fn part_at(&self, pc: u32, call: &Call, types: &[Type]) -> Option<Rc<Part>> {
        match self.plan(pc, &Op::Function(*call), types) {
            Plan::Inline(callee) => Some(self.inlined(pc, callee, types)),
            _ => None,
        }
    }

    /// The type of a constant: a number, a text, a function of the program, or nothing known.
    pub(super) fn constant_type(&self, op: &Op) -> Type {
        let Op::Data(Data::Const { constant, .. }) = op else {
            return Type::Any;
        };
        let program = self.planner.program;
        let value = program.constant(self.place.number(), constant.0);
        match value.kind() {
            Kind::Int => Type::Int,
            Kind::Float => Type::Float,
            kind @ (Kind::String | Kind::Symbol) => Type::Text(kind, value.bits as u32),
            Kind::Closure => {
                let (_, function) = program.constants.closure_function(value.bits & 0xffff_ffff);
                Type::Function(function)
            }
            _ => Type::Any,
        }
    }
}

/// The base of a call's window, and how many arguments stand in it.
pub(super) fn window(call: &Call) -> (u16, u16) {
    match call {
        Call::Call { window, .. } | Call::TailCall { window, .. } => (window.base, window.args),
        Call::CallClosure { window } | Call::TailCallClosure { window } => {
            (window.base, window.args)
        }
        _ => unreachable!("not a call with a window"),
    }
}

/// What a call is paid for with that a part stands for, if one does.
fn in_place_of(call: &Call, inner: Option<&Part>) -> Option<InPlace> {
    let is_tail_call = is_tail_call(call);
    match inner.map(|inner| &inner.payments) {
        Some(payments) => Some(InPlace {
            need: payments.need_at(0),
            is_through: payments.is_through(),
            is_tail_call,
        }),
        None => is_tail_call.then_some(InPlace {
            need: 0,
            is_through: false,
            is_tail_call,
        }),
    }
}

/// Whether a call is the last thing that its function does.
pub(super) fn is_tail_call(call: &Call) -> bool {
    matches!(
        call,
        Call::TailCall { .. } | Call::TailCallClosure { .. } | Call::TailApply { .. }
    )
}
