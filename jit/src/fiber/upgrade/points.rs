//! Where frames of old code can go on in new code, and with what in their registers.
//!
//! Points are pairs of the same safepoint: the entry of the function, a loop, a call of the same function, an instruction that waits in the
//! same way. The safepoints of a kind are paired in order when both functions have equally many of it; any pair can be declared.
//! A register gets its value from that of the variable of the same name, so both programs need their debug sections.

use std::collections::BTreeMap;

use pw_isa::op::{Effects, Op};
use pw_isa::operand::{ClosureFrame, Frame, FuncLink, Operand, OperandKind};
use pw_isa::program::FunctionDebug;
use pw_isa::{Function, Link};

use super::{DeclaredFunction, UpgradeError};
use crate::code_space::LoadedProgram;
use crate::value::Value;

/// In what way a frame stands at an instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    /// It is the newest, and the instruction is its next.
    Next,
    /// It is the newest, and the instruction waits for an answer.
    Waits,
    /// The instruction is a call in progress.
    Calls,
}

/// Where the value of a register or of a captured variable comes from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Source {
    /// A register, or a captured variable, of the old code.
    Old(u16),
    /// The declaration.
    Plain(Value),
}

/// A point: where a frame goes on, and what its registers hold.
#[derive(Debug)]
pub(crate) struct Point {
    pub(crate) pc: u32,
    pub(crate) registers: Vec<(u16, Source)>,
}

/// Or why there is none.
type MaybePoint = Result<Point, String>;

/// The points of a function.
#[derive(Debug)]
pub(crate) struct Points {
    points: BTreeMap<(u32, Role), MaybePoint>,
    /// Where the values of captured variables come from, or why closures have no counterpart.
    pub(crate) captures: Result<Vec<Source>, String>,
}

/// A function with what is known about it.
#[derive(Clone, Copy)]
struct Side<'a> {
    program: &'a LoadedProgram,
    number: u32,
    function: &'a Function,
    debug: Option<&'a FunctionDebug>,
}

impl<'a> Side<'a> {
    fn new((program, number): (&'a LoadedProgram, u32)) -> Side<'a> {
        Side {
            program,
            number,
            function: program.function(number),
            debug: program.program().debug_of(number),
        }
    }

    fn variable(&self, register: u16, pc: u32) -> Option<&'a str> {
        let variable = self.debug?.variable_at(register, pc)?;
        Some(&variable.name)
    }

    /// The registers that may still be read at an instruction, or, when it is a call in progress, after it.
    fn live(&self, pc: u32, role: Role) -> impl Iterator<Item = u16> + 'a {
        let op = &self.function.code[pc as usize];
        let end = match role {
            Role::Calls => window(op).unwrap_or(u16::MAX),
            Role::Next | Role::Waits => u16::MAX,
        };
        let live = self.program.live(self.number).at(pc);
        live.take_while(move |register| *register < end)
    }

    /// Whether a variable is a cell wherever it can be told: the code makes it one, or looks into it.
    fn is_boxed(&self, name: &str) -> bool {
        use pw_isa::op::Function as F;
        let is_named = |register: u16, pc: usize| {
            self.variable(register, pc as u32) == Some(name)
                || self.variable(register, pc as u32 + 1) == Some(name)
        };
        let mut code = self.function.code.iter().enumerate();
        code.any(|(pc, op)| match op {
            Op::Function(F::Cell { dst, .. }) => is_named(dst.0, pc),
            Op::Function(F::CellGet { cell, .. } | F::CellSet { cell, .. }) => is_named(cell.0, pc),
            _ => false,
        })
    }

    /// The names of the captured variables, as far as they are known.
    fn captures(&self) -> Vec<Option<&'a str>> {
        let mut names = vec![None; usize::from(self.function.captures)];
        for (pc, op) in self.function.code.iter().enumerate() {
            if let Op::Function(pw_isa::op::Function::Capture {
                dst,
                closure,
                index,
            }) = op
                && Some(closure.0) == self.function.closure_register()
                && let Some(name) = names.get_mut(index.0 as usize)
            {
                *name = name.or_else(|| self.variable(dst.0, pc as u32 + 1));
            }
        }
        names
    }

    /// The safepoints, by what they are; functions that are called are named by their number in the new program.
    fn safepoints(
        &self,
        number: impl Fn(u32) -> Option<u32>,
    ) -> BTreeMap<(&'static str, Option<u32>), Vec<u32>> {
        let mut found: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for (pc, op) in self.function.code.iter().enumerate() {
            if op.info().effects.has(Effects::SAFEPOINT) {
                let callee = self.callee(op).and_then(&number);
                let kind = (op.info().mnemonic, callee);
                found.entry(kind).or_default().push(pc as u32);
            }
        }
        found
    }

    /// The function of its program that an instruction calls.
    fn callee(&self, op: &Op) -> Option<u32> {
        let is_call = op.info().effects.has(Effects::CALL);
        let link = op
            .operands()
            .find(|(kind, _)| *kind == OperandKind::FuncLink);
        let (_, raw) = link.filter(|_| is_call)?;
        match self.program.link(self.number, FuncLink::from_raw(raw)?.0) {
            Link::Function(callee) => Some(callee),
            Link::Global(_) => None,
        }
    }
}

/// The base of the window of a call that returns.
fn window(op: &Op) -> Option<u16> {
    let effects = op.info().effects;
    let base = op.operands().find_map(|(kind, raw)| match kind {
        OperandKind::Frame => Frame::from_raw(raw).map(|frame| frame.base),
        OperandKind::ClosureFrame => ClosureFrame::from_raw(raw).map(|frame| frame.base),
        _ => None,
    });
    base.filter(|_| effects.has(Effects::CALL) && !effects.has(Effects::END))
}

/// Both sides, and what was declared about them.
struct Pair<'a> {
    old: Side<'a>,
    new: Side<'a>,
    declared: Option<&'a DeclaredFunction>,
}

impl Points {
    /// Finds the points of a function, and verifies those that are declared.
    pub(super) fn find(
        old: (&LoadedProgram, u32),
        new: (&LoadedProgram, u32),
        counterparts: &[Option<u32>],
        declared: Option<&DeclaredFunction>,
    ) -> Result<Points, UpgradeError> {
        let pair = Pair {
            old: Side::new(old),
            new: Side::new(new),
            declared,
        };
        pair.check_names()?;
        let mut points = BTreeMap::new();
        pair.find_paired(counterparts, &mut points);
        pair.find_entry(&mut points);
        pair.find_declared(&mut points)?;
        Ok(Points {
            points,
            captures: pair.captures(),
        })
    }

    /// Where a frame goes on.
    pub(crate) fn at(&self, pc: u32, role: Role) -> Result<&Point, &str> {
        match self.points.get(&(pc, role)) {
            Some(Ok(point)) => Ok(point),
            Some(Err(reason)) => Err(reason),
            None => Err("it is between two safepoints"),
        }
    }
}

impl Pair<'_> {
    /// Whatever a declaration names is there.
    fn check_names(&self) -> Result<(), UpgradeError> {
        let Some(declared) = self.declared else {
            return Ok(());
        };
        let old = declared
            .variables
            .iter()
            .map(|(old, _)| (self.old, old, "old"));
        let renamed = declared.variables.iter().map(|(_, new)| new);
        let new = renamed.chain(declared.fresh.iter().map(|(name, _)| name));
        for (side, name, of) in old.chain(new.map(|name| (self.new, name, "new"))) {
            let mut variables = side.debug.iter().flat_map(|debug| &debug.variables);
            if !variables.any(|variable| variable.name == *name) {
                let (what, name) = ("variable", name.clone());
                return Err(UpgradeError::Unknown { what, name, of });
            }
        }
        Ok(())
    }

    /// Pairs the safepoints of each kind in order, where there are equally many.
    fn find_paired(
        &self,
        counterparts: &[Option<u32>],
        points: &mut BTreeMap<(u32, Role), MaybePoint>,
    ) {
        let of_old = self.old.safepoints(|callee| counterparts[callee as usize]);
        let of_new = self.new.safepoints(Some);
        for (kind, from) in &of_old {
            let to = of_new.get(kind).map_or(&[][..], Vec::as_slice);
            for (place, pc) in from.iter().enumerate() {
                for role in self.old.roles(*pc) {
                    let point = if from.len() == to.len() {
                        self.point((*pc, to[place]), role)
                    } else {
                        Err(format!(
                            "the old code has `{}` {} times where the new code has it {} times",
                            kind.0,
                            from.len(),
                            to.len()
                        ))
                    };
                    points.insert((*pc, role), point);
                }
            }
        }
    }

    /// A function that has not begun begins anew, unless its first instruction is a point already.
    fn find_entry(&self, points: &mut BTreeMap<(u32, Role), MaybePoint>) {
        if matches!(points.get(&(0, Role::Next)), Some(Ok(_))) {
            return;
        }
        let shape = |side: Side<'_>| (side.function.params, side.function.rest);
        let point = if shape(self.old) == shape(self.new) {
            self.point((0, 0), Role::Next)
        } else {
            Err("it takes other parameters".to_owned())
        };
        points.insert((0, Role::Next), point);
    }

    /// Adds what is declared; each declared point must be one.
    fn find_declared(
        &self,
        points: &mut BTreeMap<(u32, Role), MaybePoint>,
    ) -> Result<(), UpgradeError> {
        let Some(declared) = self.declared else {
            return Ok(());
        };
        for (from, to) in &declared.points {
            let wrong = |reason: String| UpgradeError::NoPoint {
                function: declared.from.clone(),
                from: *from,
                to: *to,
                reason,
            };
            let old = self.old.safepoint(*from).map_err(wrong)?;
            let new = self.new.safepoint(*to).map_err(wrong)?;
            if old.info().mnemonic != new.info().mnemonic {
                let (old, new) = (old.info().mnemonic, new.info().mnemonic);
                return Err(wrong(format!("`{old}` is not `{new}`")));
            }
            for role in self.old.roles(*from) {
                let point = self.point((*from, *to), role);
                // A call that has not begun has its arguments in registers without names.
                if role != Role::Next || self.old.roles(*from).len() == 1 {
                    point.as_ref().map_err(|reason| wrong(reason.clone()))?;
                }
                points.insert((*from, role), point);
            }
        }
        Ok(())
    }

    /// The point at which a frame goes on, if each register that is read there has a source.
    fn point(&self, (from, to): (u32, u32), role: Role) -> MaybePoint {
        let registers = self.new.live(to, role).map(|register| {
            let source = self.source(register, (from, to), role)?;
            Ok((register, source))
        });
        Ok(Point {
            pc: to,
            registers: registers.collect::<Result<_, String>>()?,
        })
    }

    fn source(&self, register: u16, (from, to): (u32, u32), role: Role) -> Result<Source, String> {
        if Some(register) == self.new.function.closure_register()
            && let Some(closure) = self.old.function.closure_register()
            && self.old.live(from, role).any(|live| live == closure)
        {
            return Ok(Source::Old(closure));
        }
        let Some(name) = self.new.variable(register, to) else {
            return self.parameter(register, (from, to)).ok_or_else(|| {
                format!("the new code keeps a value without a name in r{register} at {to}")
            });
        };
        let before = self.before(name);
        let named = |side: Side<'_>, pc: u32, name: &str| -> Vec<u16> {
            let live = side.live(pc, role);
            live.filter(|register| side.variable(*register, pc) == Some(name))
                .collect()
        };
        let old = named(self.old, from, before);
        let new = named(self.new, to, name);
        let place = new.iter().position(|other| *other == register);
        match (self.fresh(name), place) {
            (None, Some(place)) if old.len() == new.len() => {
                if self.old.is_boxed(before) != self.new.is_boxed(name) {
                    return Err(format!(
                        "`{name}` is shared with functions in one of them only"
                    ));
                }
                Ok(Source::Old(old[place]))
            }
            (Some(value), _) if old.is_empty() => {
                if self.new.is_boxed(name) {
                    return Err(format!("`{name}` is new, and shared with functions"));
                }
                Ok(Source::Plain(value))
            }
            (Some(_), _) => Err(format!("`{name}` is not new")),
            (None, _) if old.is_empty() => {
                Err(format!("the old code has no value of `{name}` at {from}"))
            }
            (None, _) => Err(format!("there is more than one `{name}`")),
        }
    }

    /// The source of a parameter without a name, in a function that has not begun.
    fn parameter(&self, register: u16, (from, to): (u32, u32)) -> Option<Source> {
        let function = self.new.function;
        let params = function.params + u16::from(function.rest);
        let is_parameter = (from, to) == (0, 0) && register < params;
        is_parameter.then_some(Source::Old(register))
    }

    /// What a variable of the new code is called in the old code.
    fn before<'n>(&'n self, name: &'n str) -> &'n str {
        let mut renamed = self.declared.iter().flat_map(|of| &of.variables);
        renamed
            .find(|(_, new)| new == name)
            .map_or(name, |(old, _)| old)
    }

    /// What a variable that is declared as new begins with.
    fn fresh(&self, name: &str) -> Option<Value> {
        let mut fresh = self.declared.iter().flat_map(|of| &of.fresh);
        fresh
            .find(|(new, _)| new == name)
            .map(|(_, initial)| initial.value())
    }

    /// Where the values of captured variables come from.
    fn captures(&self) -> Result<Vec<Source>, String> {
        let old = self.old.captures();
        let sources = self.new.captures().into_iter().map(|name| {
            let name = name.ok_or("a captured variable has no name")?;
            if let Some(value) = self.fresh(name).filter(|_| !self.new.is_boxed(name)) {
                return Ok(Source::Plain(value));
            }
            let before = self.before(name);
            let mut places = (0..).zip(&old).filter(|(_, old)| **old == Some(before));
            let (Some((place, _)), None) = (places.next(), places.next()) else {
                return Err(format!("the old code does not capture one `{before}`"));
            };
            if self.old.is_boxed(before) != self.new.is_boxed(name) {
                return Err(format!("`{name}` is changed in one of them only"));
            }
            Ok(Source::Old(place))
        });
        sources.collect()
    }
}

impl<'a> Side<'a> {
    /// The ways in which a frame can stand at a safepoint.
    fn roles(&self, pc: u32) -> Vec<Role> {
        let op = &self.function.code[pc as usize];
        let mut roles = vec![Role::Next];
        if op.info().effects.has(Effects::SUSPEND) {
            roles.push(Role::Waits);
        }
        if window(op).is_some() {
            roles.push(Role::Calls);
        }
        roles
    }

    /// The instruction at a pc, which must be a safepoint.
    fn safepoint(&self, pc: u32) -> Result<&'a Op, String> {
        let op = self.function.code.get(pc as usize);
        op.filter(|op| op.info().effects.has(Effects::SAFEPOINT))
            .ok_or_else(|| format!("{pc} is no safepoint"))
    }
}
