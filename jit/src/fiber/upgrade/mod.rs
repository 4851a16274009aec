//! Upgrades: what runs one program goes on in another one, in the middle of its functions.
//!
//! An [`Upgrade`] says which function of the new program stands for which of the old one, and at which instructions, the *points*, a frame
//! of the old code can go on as one of the new code: where both are at the same safepoint, and every register that the new code
//! may still read there has a source. It is made and verified once, before anything is changed. What has no counterpart is refused
//! with a reason when it is met, and never guessed.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | what can be declared, and the map that is made of it |
//! | `functions` | which function stands for which |
//! | `points` | where frames can go on, and with what in their registers |
//! | `apply` | fibers, parcels and starts of the old program as those of the new one |

mod apply;
mod functions;
mod points;

use pw_isa::{Constant, Program};
use serde::{Deserialize, Serialize};

use crate::code_space::{CodeSpace, LoadedProgram};
use crate::value::Value;
pub use apply::NotMapped;
pub(crate) use apply::{NewFunction, refused_in};
use functions::counterparts;
use points::Points;
pub(crate) use points::{Role, Source};

/// What a variable or a global begins with that the old program does not have.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Initial {
    /// nil.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
}

impl Initial {
    fn value(self) -> Value {
        match self {
            Initial::Nil => Value::NIL,
            Initial::Bool(value) => Value::bool(value),
            Initial::Int(value) => Value::int(value),
            Initial::Float(value) => Value::float(value),
        }
    }
}

/// What the author of a new program says about one of its functions.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredFunction {
    /// The function in the old program.
    pub from: String,
    /// The function in the new program.
    pub to: String,
    /// Variables of the old one with what they are called in the new one.
    pub variables: Vec<(String, String)>,
    /// Variables that the old one does not have, with what they begin with.
    pub fresh: Vec<(String, Initial)>,
    /// Pairs of instructions, of the old and of the new one: a frame that stands at the first goes on at the second.
    pub points: Vec<(u32, u32)>,
}

/// What the author of a new program says about how it follows from the old one. Nothing has to be said about what has the same name
/// in both.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeclaredMap {
    /// Functions.
    pub functions: Vec<DeclaredFunction>,
    /// Globals that the old program does not have, with what they begin with.
    pub globals: Vec<(String, Initial)>,
}

/// Why there is no way from one program to another.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UpgradeError {
    /// There is no such program.
    #[error("there is no program {0}")]
    NoProgram(u32),
    /// Both are the same.
    #[error("a program is no upgrade of itself")]
    Same,
    /// What is declared names nothing.
    #[error("there is no {what} `{name}` in the {of} program")]
    Unknown {
        /// A function, a variable or a global.
        what: &'static str,
        /// Its name.
        name: String,
        /// The old or the new one.
        of: &'static str,
    },
    /// Two functions would become the same one, or one would become two.
    #[error("`{0}` has more than one counterpart")]
    Twice(String),
    /// A declared point is none.
    #[error("`{function}` cannot go on from {from} at {to}: {reason}")]
    NoPoint {
        /// The function, as it is called in the old program.
        function: String,
        /// The instruction of the old one.
        from: u32,
        /// The instruction of the new one.
        to: u32,
        /// Why not.
        reason: String,
    },
    /// A constant of the old program holds functions, and constants stay what they are.
    #[error("a constant of `{0}` holds functions")]
    FunctionInConstant(String),
    /// It cannot be told which global is which.
    #[error("globals have no names")]
    NamelessGlobals,
}

/// What stands for a function of the old program.
#[derive(Debug)]
pub(crate) enum Counterpart {
    /// Nothing, and why.
    None(String),
    /// The same code.
    Same(u32),
    /// Other code.
    Changed(u32, Box<Points>),
}

/// A verified way from one loaded program to another.
#[derive(Debug)]
pub struct Upgrade {
    from: u32,
    to: u32,
    /// By function of the old program.
    functions: Vec<Counterpart>,
    /// By global of the new program: where its first value comes from.
    globals: Vec<Option<FirstValue>>,
}

/// Where the first value of a global comes from.
#[derive(Clone, Copy, Debug)]
enum FirstValue {
    Global(u32),
    Plain(Value),
}

impl Upgrade {
    /// Makes and verifies the way from one program to another.
    ///
    /// # Errors
    /// Why there is none, or what is wrong with what is declared.
    pub fn new(
        code: &CodeSpace,
        from: u32,
        to: u32,
        declared: &DeclaredMap,
    ) -> Result<Upgrade, UpgradeError> {
        for program in [from, to] {
            if program >= code.len() {
                return Err(UpgradeError::NoProgram(program));
            }
        }
        if from == to {
            return Err(UpgradeError::Same);
        }
        let (old, new) = (code.program(from), code.program(to));
        refuse_functions_in_constants(old.program())?;
        let counterparts = counterparts(old.program(), new.program(), declared)?;
        let mut functions = Vec::with_capacity(counterparts.len());
        for number in 0..counterparts.len() as u32 {
            functions.push(counterpart(old, new, number, &counterparts, declared)?);
        }
        Ok(Upgrade {
            from,
            to,
            functions,
            globals: globals(old.program(), new.program(), declared)?,
        })
    }

    /// The old program.
    pub fn from(&self) -> u32 {
        self.from
    }

    /// The new program.
    pub fn to(&self) -> u32 {
        self.to
    }
}

/// What stands for a function; a declaration that says something wrong about it is an error.
fn counterpart(
    old: &LoadedProgram,
    new: &LoadedProgram,
    number: u32,
    counterparts: &[Option<u32>],
    declared: &DeclaredMap,
) -> Result<Counterpart, UpgradeError> {
    let name = old.program().function_name(number);
    let Some(to) = counterparts[number as usize] else {
        let reason = format!("the new program has no function that stands for `{name}`");
        return Ok(Counterpart::None(reason));
    };
    let about = declared.functions.iter().find(|of| of.from == name);
    let is_same = pw_isa::CodeSignature::of(old.function(number))
        == pw_isa::CodeSignature::of(new.function(to));
    if is_same && about.is_none_or(|about| about.points.is_empty()) {
        return Ok(Counterpart::Same(to));
    }
    let points = Points::find((old, number), (new, to), counterparts, about)?;
    Ok(Counterpart::Changed(to, Box::new(points)))
}

/// Constants stay those of the old program, so nothing in them may be code.
fn refuse_functions_in_constants(program: &Program) -> Result<(), UpgradeError> {
    for (number, function) in program.functions.iter().enumerate() {
        // Compound constants refer to earlier ones.
        let mut holds: Vec<bool> = Vec::with_capacity(function.constants.len());
        for constant in &function.constants {
            let at = |index: u32| holds[index as usize];
            let (is_compound, has) = match constant {
                Constant::Function(_) => (false, true),
                Constant::Pair(car, cdr) => (true, at(*car) || at(*cdr)),
                Constant::Capability { parameter, .. } => (true, parameter.is_some_and(at)),
                _ => (false, false),
            };
            if is_compound && has {
                let name = program.function_name(number as u32);
                return Err(UpgradeError::FunctionInConstant(name));
            }
            holds.push(has);
        }
    }
    Ok(())
}

/// Where the first values of the new program's globals come from: the old ones of the same names.
fn globals(
    old: &Program,
    new: &Program,
    declared: &DeclaredMap,
) -> Result<Vec<Option<FirstValue>>, UpgradeError> {
    for (name, _) in &declared.globals {
        if !new.debug.globals.contains(name) {
            return Err(UpgradeError::Unknown {
                what: "global",
                name: name.clone(),
                of: "new",
            });
        }
    }
    let has_names = |program: &Program| program.debug.globals.len() == program.globals as usize;
    if old.globals > 0 && new.globals > 0 && !(has_names(old) && has_names(new)) {
        return Err(UpgradeError::NamelessGlobals);
    }
    let first = |name: &String| {
        let before = old.debug.globals.iter().position(|before| before == name);
        let fresh = || declared.globals.iter().find(|(fresh, _)| fresh == name);
        before
            .map(|before| FirstValue::Global(before as u32))
            .or_else(|| fresh().map(|(_, initial)| FirstValue::Plain(initial.value())))
    };
    let mut all: Vec<_> = new.debug.globals.iter().map(first).collect();
    all.resize(new.globals as usize, None);
    Ok(all)
}
