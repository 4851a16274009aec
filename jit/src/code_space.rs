//! Loaded programs: what all fibers of a process share, immutable once loaded.
//!
//! A program gets a number, and its constants one arena of their own: immutable, charged to nobody,
//! named by values that carry the program's number. Numbers never leave the process; images name
//! programs by signature.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use pw_isa::op::{Control, Message, Op, Work};
use pw_isa::operand::{Def, Operand, OperandKind, Use};
use pw_isa::verify::{Impurity, LiveTable, Verified};
use pw_isa::{Constant, Function, Kind, Link, Program, ProgramSignature};

use crate::compile::changing_closures;
use crate::fiber::arena::{Arena, KeyHasher};
use crate::interp::{InternalProgram, rewrite};
use crate::value::Value;

/// What is needed of an instruction that is done by itself, looked up once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepFacts {
    pub(crate) gas: u16,
    pub(crate) work: Work,
    /// The register of its result.
    pub(crate) result: Option<Def>,
    pub(crate) pause: Pause,
}

/// How an instruction may pause or end a fiber, if that is usual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pause {
    /// It does not.
    Never,
    /// It takes a message, or waits for one.
    Receive,
    /// It returns the value of a register.
    Return(Use),
}

impl Pause {
    fn of(op: &Op) -> Pause {
        match *op {
            Op::Message(Message::Receive { .. }) => Pause::Receive,
            Op::Control(Control::Return { value }) => Pause::Return(value),
            _ => Pause::Never,
        }
    }
}

impl StepFacts {
    fn of(function: &Function) -> Box<[StepFacts]> {
        let facts = function.code.iter().enumerate().map(|(pc, op)| {
            let mut operands = op.operands();
            let result = operands.find(|(kind, _)| *kind == OperandKind::Def);
            StepFacts {
                // The table and the list of other gas have 16 bits.
                gas: function.fixed_gas(pc) as u16,
                work: op.info().work,
                result: result.and_then(|(_, raw)| Def::from_raw(raw)),
                pause: Pause::of(op),
            }
        });
        facts.collect()
    }
}

/// A program in memory.
#[derive(Debug)]
pub struct LoadedProgram {
    verified: Verified,
    /// The constants of all functions; one arena, so that a value can name any of them.
    pub(crate) constants: Arena,
    /// The offsets of its objects in the order in which they were made: their names in images.
    pub(crate) objects: Vec<(Kind, u32)>,
    /// The offsets of texts that are there as a String and as a Symbol, in ascending order.
    twins: Vec<u32>,
    /// One list a function: its constants as values.
    values: Vec<Vec<Value>>,
    /// One function value a function without captures: the same wherever it is mentioned.
    function_values: Vec<Value>,
    /// One list a function: what is needed of every instruction that is done by itself.
    steps: Vec<Box<[StepFacts]>>,
    /// Made when the program is first run by the fast interpreter.
    internal: OnceLock<InternalProgram>,
    /// By function: whether closures of it can change once they are made; found when it is first asked for.
    changing_closures: OnceLock<Vec<bool>>,
}

impl LoadedProgram {
    /// The program.
    pub fn program(&self) -> &Program {
        self.verified.program()
    }

    /// The program's signature.
    pub fn signature(&self) -> ProgramSignature {
        self.verified.signature()
    }

    /// A function.
    pub fn function(&self, number: u32) -> &Function {
        &self.program().functions[number as usize]
    }

    /// What is needed of an instruction that is done by itself.
    #[inline]
    pub(crate) fn step_facts(&self, function: u32, pc: u32) -> StepFacts {
        self.steps[function as usize][pc as usize]
    }

    /// The live registers of a function.
    pub fn live(&self, number: u32) -> &LiveTable {
        self.verified.live(number)
    }

    /// Why a function is not pure; nothing when it is.
    pub fn impurity(&self, number: u32) -> Option<Impurity> {
        self.verified.impurity(number)
    }

    /// What a position of a function's link table names.
    pub fn link(&self, function: u32, link: u32) -> Link {
        self.program().links[function as usize][link as usize]
    }

    /// A constant of a function.
    pub fn constant(&self, function: u32, constant: u32) -> Value {
        self.values[function as usize][constant as usize]
    }

    /// The name in images of the object among the constants that a value of this program names by its offset.
    pub(crate) fn constant_number(&self, offset: u32) -> u64 {
        let found = self.objects.binary_search_by_key(&offset, |(_, at)| *at);
        let Ok(number) = found else {
            unreachable!("a constant names an object of its program")
        };
        number as u64
    }

    /// What the fast interpreter executes.
    pub(crate) fn internal(&self) -> &InternalProgram {
        self.internal.get_or_init(|| rewrite(self))
    }

    /// Whether a text among the constants differs from all others of its kind that stand elsewhere among them: none of another
    /// kind says the same, which could be made one of this kind.
    pub(crate) fn is_told_by_place(&self, offset: u32) -> bool {
        self.twins.binary_search(&offset).is_err()
    }

    /// Whether closures of a function can change once they are made.
    pub(crate) fn can_change(&self, function: u32) -> bool {
        let find = || changing_closures(self.program());
        self.changing_closures.get_or_init(find)[function as usize]
    }

    /// A function without captures, as a value.
    pub fn function_value(&self, function: u32) -> Value {
        self.function_values[function as usize]
    }
}

/// Up to so many programs, looking at the signature of each costs less than its hash.
const FEW_PROGRAMS: usize = 4;

/// All programs that were loaded, by number. A clone is the same space, which may then have more programs.
#[derive(Clone, Debug)]
pub struct CodeSpace {
    /// No other space of this process has it, so that what was made with one is not used with another.
    pub(crate) id: u64,
    programs: Vec<Arc<LoadedProgram>>,
    by_signature: HashMap<ProgramSignature, u32>,
    pub(crate) keys: KeyHasher,
}

impl Default for CodeSpace {
    fn default() -> CodeSpace {
        CodeSpace::new([0x5bd1_e995_9bd1_e995, 0x2545_f491_4f6c_dd1d])
    }
}

impl CodeSpace {
    /// An empty space. The secret guards maps against chosen keys and is not observable; hosts that
    /// run hostile programs give a random one.
    pub fn new(secret: [u64; 2]) -> CodeSpace {
        static SPACES: AtomicU64 = AtomicU64::new(0);
        CodeSpace {
            id: SPACES.fetch_add(1, Ordering::Relaxed),
            programs: Vec::new(),
            by_signature: HashMap::new(),
            keys: KeyHasher { key: secret },
        }
    }

    /// Loads a verified program; the same program twice is loaded once. Its number.
    pub fn load(&mut self, verified: Verified) -> u32 {
        if let Some(number) = self.by_signature.get(&verified.signature()) {
            return *number;
        }
        let number = self.programs.len() as u32;
        self.by_signature.insert(verified.signature(), number);
        self.programs
            .push(Arc::new(Loader::new(number).load(verified)));
        number
    }

    /// A loaded program.
    pub fn program(&self, number: u32) -> &LoadedProgram {
        &self.programs[number as usize]
    }

    /// A loaded program, to be kept as long as one likes.
    pub(crate) fn shared(&self, number: u32) -> Arc<LoadedProgram> {
        Arc::clone(&self.programs[number as usize])
    }

    /// The number of a program that is loaded.
    pub fn find(&self, signature: ProgramSignature) -> Option<u32> {
        if self.programs.len() <= FEW_PROGRAMS {
            let mut programs = (0..).zip(&self.programs);
            let found = programs.find(|(_, program)| program.signature() == signature);
            return found.map(|(number, _)| number);
        }
        self.by_signature.get(&signature).copied()
    }

    /// How many programs are loaded.
    pub fn len(&self) -> u32 {
        self.programs.len() as u32
    }

    /// Whether no program is loaded.
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }
}

/// Builds the constants of one program. Equal texts become one object.
struct Loader {
    number: u32,
    arena: Arena,
    objects: Vec<(Kind, u32)>,
    texts: HashMap<(Kind, String), Value>,
}

impl Loader {
    fn new(number: u32) -> Loader {
        Loader {
            number,
            arena: Arena::new(),
            objects: Vec::new(),
            texts: HashMap::new(),
        }
    }

    fn load(mut self, verified: Verified) -> LoadedProgram {
        let program = verified.program();
        let function_values: Vec<Value> = (0..program.functions.len() as u32)
            .map(|function| {
                let closure = self
                    .arena
                    .new_closure(self.number, function, [].into_iter());
                self.own(closure)
            })
            .collect();
        let mut values = Vec::with_capacity(program.functions.len());
        for (function, links) in program.functions.iter().zip(&program.links) {
            let mut list: Vec<Value> = Vec::with_capacity(function.constants.len());
            for constant in &function.constants {
                let value = self.constant(constant, &list, links, &function_values);
                list.push(value);
            }
            values.push(list);
        }
        LoadedProgram {
            twins: self.twins(),
            constants: self.arena,
            objects: self.objects,
            values,
            function_values,
            steps: program.functions.iter().map(StepFacts::of).collect(),
            internal: OnceLock::new(),
            changing_closures: OnceLock::new(),
            verified,
        }
    }

    /// The offsets of texts that are there as a String and as a Symbol, in ascending order.
    fn twins(&self) -> Vec<u32> {
        let strings = self
            .texts
            .iter()
            .filter(|((kind, _), _)| *kind == Kind::String);
        let twins = strings.filter_map(|((_, text), string)| {
            let symbol = self.texts.get(&(Kind::Symbol, text.clone()))?;
            Some([string.bits as u32, symbol.bits as u32])
        });
        let mut twins: Vec<u32> = twins.flatten().collect();
        twins.sort_unstable();
        twins
    }

    /// Gives an object of the constants' arena its name.
    fn own(&mut self, value: Value) -> Value {
        let offset = value.bits as u32;
        self.objects.push((value.kind(), offset));
        Value::constant(value.kind(), self.number, offset)
    }

    fn text(&mut self, kind: Kind, text: &str) -> Value {
        if let Some(value) = self.texts.get(&(kind, text.to_owned())) {
            return *value;
        }
        let value = self.arena.new_text(kind, text);
        let value = self.own(value);
        self.texts.insert((kind, text.to_owned()), value);
        value
    }

    fn constant(
        &mut self,
        constant: &Constant,
        earlier: &[Value],
        links: &[Link],
        functions: &[Value],
    ) -> Value {
        let at = |index: u32| earlier[index as usize];
        match constant {
            Constant::Nil => Value::NIL,
            Constant::Bool(value) => Value::bool(*value),
            Constant::Int(value) => Value::int(*value),
            Constant::Float(bits) => Value::float(f64::from_bits(*bits)),
            Constant::ActorId(id) => Value::actor(*id),
            Constant::Symbol(text) => self.text(Kind::Symbol, text),
            Constant::String(text) => self.text(Kind::String, text),
            Constant::Pair(car, cdr) => {
                let pair = self.arena.new_pair(at(*car), at(*cdr));
                self.own(pair)
            }
            Constant::Function(link) => match links[*link as usize] {
                Link::Function(function) => functions[function as usize],
                Link::Global(_) => unreachable!("the verifier checked the link"),
            },
            Constant::Capability { name, parameter } => {
                let name = self.text(Kind::Symbol, name);
                let capability = self
                    .arena
                    .new_capability(name, parameter.map_or(Value::NIL, at));
                self.own(capability)
            }
            Constant::Error { kind, message } => {
                let message = self.text(Kind::String, message);
                let error = self.arena.new_error(*kind, message, Value::NIL);
                self.own(error)
            }
        }
    }
}
