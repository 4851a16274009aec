//! What is run: a program, its arguments and its limits, as several subcommands take them.

use std::path::PathBuf;

use clap::Args;
use physics_world::jit::{CodeSpace, Fiber, Limits};
use physics_world::runtime::world::SpawnError;
use physics_world::solo::argument_values;
use physics_world::source::{BadInput, FileKind, load_program};
use physics_world::{ActorId, Datum, World};

/// A program with what it gets.
#[derive(Args)]
pub(crate) struct Subject {
    /// The program: .jue, .pwa, .pwb or .v2.json.
    pub(crate) file: PathBuf,
    /// Arguments of the program; what reads as a number is one.
    #[arg(allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// Gas it may use; without this, as much as it likes.
    #[arg(long, value_name = "N")]
    pub(crate) gas: Option<u64>,
    /// Logical bytes it may use at any time; without this, 1 GiB.
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<u64>,
}

impl Subject {
    /// The program's name in messages.
    pub(crate) fn name(&self) -> String {
        self.file.display().to_string()
    }

    /// Refuses a V2 vector, which other subcommands than `pw run` do not take.
    pub(crate) fn refuse_vector(&self, kind: FileKind) -> Result<(), BadInput> {
        if kind != FileKind::V2Vector {
            return Ok(());
        }
        let reason = "a V2 vector is run by `pw run` only";
        Err(BadInput::new(format!("{}: {reason}", self.name())))
    }

    /// A fiber that is about to run the program that the file holds.
    pub(crate) fn begin(
        &self,
        kind: FileKind,
        bytes: &[u8],
    ) -> Result<(CodeSpace, Fiber), BadInput> {
        let code = self.load(kind, bytes)?;
        let fiber = self.fiber(&code)?;
        Ok((code, fiber))
    }

    /// The program that the file holds, the first and only one of a space.
    pub(crate) fn load(&self, kind: FileKind, bytes: &[u8]) -> Result<CodeSpace, BadInput> {
        let verified = load_program(&self.name(), kind, bytes)?;
        let mut code = CodeSpace::default();
        code.load(verified);
        Ok(code)
    }

    /// What the program may use.
    fn limits(&self) -> Limits {
        Limits {
            gas: self.gas.unwrap_or(u64::MAX),
            memory_bytes: self.memory.unwrap_or(Limits::default().memory_bytes),
            ..Limits::default()
        }
    }

    /// Starts the program that the file holds as an actor of a world.
    pub(crate) fn start_in(
        &self,
        world: &mut World,
        kind: FileKind,
        bytes: &[u8],
    ) -> Result<ActorId, BadInput> {
        let verified = load_program(&self.name(), kind, bytes)?;
        let program = world.load(verified);
        let arguments: Vec<Datum> = self.arguments.iter().map(|text| argument(text)).collect();
        let first = world
            .spawn(program, &arguments)
            .map_err(|error| match error {
                SpawnError::Arity { takes, given, .. } => BadInput::new(format!(
                    "{}: the program takes {takes} arguments, not {given}",
                    self.name()
                )),
                SpawnError::NoFunction(_) => unreachable!("a program has a beginning"),
                SpawnError::TooLong(_) => BadInput::new(format!("{}: {error}", self.name())),
            })?;
        world.set_limits(first, self.limits());
        Ok(first)
    }

    /// A fiber that is about to run the program of a space.
    pub(crate) fn fiber(&self, code: &CodeSpace) -> Result<Fiber, BadInput> {
        let program = 0;
        let mut fiber = Fiber::new(code, program, self.limits());
        let values = argument_values(fiber.arena_mut(), &self.arguments);
        if !fiber.set_arguments(code, &values) {
            let loaded = code.program(program);
            let entry = loaded.function(loaded.program().entry);
            return Err(BadInput::new(format!(
                "{}: the program takes {} arguments, not {}",
                self.name(),
                entry.params,
                values.len()
            )));
        }
        Ok(fiber)
    }
}

/// An argument of the command line: a number if it reads as one.
fn argument(text: &str) -> Datum {
    match physics_world::jit::text::parse_number(text) {
        Some(number) => match (number.as_int(), number.as_float()) {
            (Some(number), _) => Datum::Int(number),
            (None, Some(number)) => Datum::Float(number),
            (None, None) => unreachable!("a number is an Int or a Float"),
        },
        None => Datum::from(text),
    }
}
