//! Fibers, parcels and starts of the old program as those of the new one.
//!
//! Each is read from its canonical form, with the map at hand. Values that are constants of the old program stay what they are;
//! only functions among them become those of the new one.

use pw_isa::wire::{Decoded, Reader};
use smallvec::SmallVec;

use super::{Counterpart, FirstValue, Role, Source, Upgrade};
use crate::code_space::CodeSpace;
use crate::fiber::arena::Arena;
use crate::fiber::image::{Objects, read_body};
use crate::fiber::parcel::{Graph, Parcel};
use crate::fiber::start::{Start, Values};
use crate::fiber::{Fiber, FrameView, State, UNSET};
use crate::heap::Heap;
use crate::value::Value;

/// What cannot go on in a new program now, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotMapped(pub(super) String);

/// Where a frame goes on, and what its registers hold; nothing when they hold what they held.
pub(crate) struct Landing<'a> {
    pub(crate) function: u32,
    pub(crate) pc: u32,
    pub(crate) registers: Option<&'a [(u16, Source)]>,
}

/// What a function value becomes.
#[derive(Clone, Copy)]
pub(crate) struct NewFunction<'a> {
    pub(crate) function: u32,
    /// Where its captured values come from; nothing when they are those that it has.
    pub(crate) captures: Option<&'a [Source]>,
}

impl Landing<'_> {
    /// The registers of the new frame, of those of the old one.
    pub(crate) fn registers(&self, old: Vec<(u16, Value)>) -> Vec<(u16, Value)> {
        let Some(registers) = self.registers else {
            return old;
        };
        let value = |source: &Source| match source {
            Source::Plain(value) => *value,
            // Points have only sources that are live.
            Source::Old(from) => old
                .iter()
                .find(|(register, _)| register == from)
                .map_or(Value::NIL, |(_, value)| *value),
        };
        let new = registers.iter();
        new.map(|(register, source)| (*register, value(source)))
            .collect()
    }
}

impl Upgrade {
    /// Where a frame at a place goes on; nothing when it is not of the old program.
    pub(crate) fn landing(
        &self,
        code: &CodeSpace,
        (program, function, pc): (u32, u32, u32),
        role: Role,
    ) -> Result<Option<Landing<'_>>, NotMapped> {
        if program != self.from {
            return Ok(None);
        }
        let refused = |reason: &str| {
            let name = code.program(program).program().function_name(function);
            NotMapped(format!("`{name}` stands at {pc}: {reason}"))
        };
        match &self.functions[function as usize] {
            Counterpart::None(reason) => Err(refused(reason)),
            Counterpart::Same(to) => Ok(Some(Landing {
                function: *to,
                pc,
                registers: None,
            })),
            Counterpart::Changed(to, points) => {
                let point = points.at(pc, role).map_err(refused)?;
                Ok(Some(Landing {
                    function: *to,
                    pc: point.pc,
                    registers: Some(&point.registers),
                }))
            }
        }
    }

    /// Whether all frames of a fiber stand where they can go on; else the depth of the newest that does not, counted from
    /// the oldest, which is 1: as long as there are more frames, that one does not move.
    pub fn blocked_at(&self, code: &CodeSpace, fiber: &Fiber) -> Option<u32> {
        let mut depths = (1..=fiber.depth()).rev().zip(fiber.frames());
        let blocked = depths.find(|(_, frame)| {
            let place = (frame.program, frame.function, frame.pc);
            let role = role_of(frame, fiber.state());
            self.landing(code, place, role).is_err()
        });
        blocked.map(|(depth, _)| depth)
    }

    /// What a function value becomes; nothing when it is not one of the old program.
    pub(crate) fn closure(
        &self,
        code: &CodeSpace,
        (program, function): (u32, u32),
    ) -> Result<Option<NewFunction<'_>>, NotMapped> {
        if program != self.from {
            return Ok(None);
        }
        let refused = |reason: &str| {
            let name = code.program(program).program().function_name(function);
            NotMapped(format!("a value is the function `{name}`: {reason}"))
        };
        match &self.functions[function as usize] {
            Counterpart::None(reason) => Err(refused(reason)),
            Counterpart::Same(to) => Ok(Some(NewFunction {
                function: *to,
                captures: None,
            })),
            Counterpart::Changed(to, points) => match &points.captures {
                Ok(captures) => Ok(Some(NewFunction {
                    function: *to,
                    captures: Some(captures),
                })),
                Err(reason) => Err(refused(reason)),
            },
        }
    }

    /// What a function without captures becomes, which is a constant of the old program by this number.
    pub(crate) fn constant(
        &self,
        code: &CodeSpace,
        (program, object): (u32, u32),
    ) -> Result<Option<Value>, NotMapped> {
        let of_program = code.program(program).program();
        // The constants of a program begin with its functions.
        if program != self.from || object as usize >= of_program.functions.len() {
            return Ok(None);
        }
        let Some(NewFunction { function: to, .. }) = self.closure(code, (program, object))? else {
            return Ok(None);
        };
        let new = code.program(self.to);
        if new.function(to).captures > 0 {
            let name = of_program.function_name(object);
            return Err(NotMapped(format!(
                "a value is the function `{name}`: the new code captures variables"
            )));
        }
        Ok(Some(new.function_value(to)))
    }

    /// The globals of a fiber, by program, with those of the old program in their places in the new one. What the new
    /// program has set already stays.
    pub(crate) fn globals(&self, all: &mut Vec<(u32, Vec<Value>)>, is_begun: bool) {
        let old = all.iter().position(|(program, _)| *program == self.from);
        let old = old.map(|place| all.swap_remove(place).1);
        if self.globals.is_empty() || (old.is_none() && !is_begun) {
            return;
        }
        let place = all.iter().position(|(program, _)| *program == self.to);
        let place = place.unwrap_or_else(|| {
            all.push((self.to, vec![UNSET; self.globals.len()]));
            all.len() - 1
        });
        for (value, first) in all[place].1.iter_mut().zip(&self.globals) {
            if *value == UNSET {
                *value = match first {
                    Some(FirstValue::Plain(value)) => *value,
                    Some(FirstValue::Global(global)) => {
                        old.as_ref().map_or(UNSET, |old| old[*global as usize])
                    }
                    None => UNSET,
                };
            }
        }
    }

    /// The instruction of the new program that has opened a sandbox in place of this one.
    pub(crate) fn opener(
        &self,
        code: &CodeSpace,
        (program, function, pc): (u32, u32, u32),
    ) -> Result<(u32, u32, u32), NotMapped> {
        if program != self.from {
            return Ok((program, function, pc));
        }
        match &self.functions[function as usize] {
            Counterpart::Same(to) => Ok((self.to, *to, pc)),
            Counterpart::None(_) | Counterpart::Changed(..) => {
                let name = code.program(program).program().function_name(function);
                Err(NotMapped(format!("`{name}` has a sandbox open")))
            }
        }
    }

    /// A value without objects of its own, in the new program.
    pub(crate) fn plain(&self, code: &CodeSpace, value: Value) -> Result<Value, NotMapped> {
        let arena = Arena::new();
        let heap = Heap {
            arena: &arena,
            code,
        };
        let Some(function) = heap.closure(value) else {
            return Ok(value);
        };
        Ok(self.constant(code, function)?.unwrap_or(value))
    }

    /// The global of the new program that gets its first value from this one; nothing when there is none.
    pub(crate) fn global(&self, (program, global): (u32, u32)) -> Option<(u32, u32)> {
        if program != self.from {
            return Some((program, global));
        }
        let mut all = (0..).zip(&self.globals);
        let to =
            all.find(|(_, first)| matches!(first, Some(FirstValue::Global(old)) if *old == global));
        to.map(|(to, _)| (self.to, to))
    }

    /// The globals of the new program that the old one does not have, with their first values.
    pub(crate) fn fresh_globals(&self) -> impl Iterator<Item = ((u32, u32), Value)> {
        (0..)
            .zip(&self.globals)
            .filter_map(|(global, first)| match first {
                Some(FirstValue::Plain(value)) => Some(((self.to, global), *value)),
                Some(FirstValue::Global(_)) | None => None,
            })
    }
}

/// In what way a frame stands where it does.
fn role_of(frame: &FrameView, state: State) -> Role {
    match (frame.window, state) {
        (u16::MAX, State::Waiting) => Role::Waits,
        (u16::MAX, _) => Role::Next,
        _ => Role::Calls,
    }
}

impl Fiber {
    /// The same computation in a new program. Nothing has changed in this one.
    ///
    /// # Errors
    /// What cannot go on there as it stands. A stack of more than `stack_bytes_max` is refused, too.
    pub fn upgraded(
        &self,
        code: &CodeSpace,
        upgrade: &Upgrade,
        stack_bytes_max: u64,
    ) -> Result<Fiber, NotMapped> {
        self.belongs_to(code);
        let body = self.body(code);
        read_body(code, &body, stack_bytes_max, Objects::Upgraded(upgrade))
            .map_err(|error| NotMapped(error.what))
    }
}

impl Parcel {
    /// The same value in a new program.
    ///
    /// # Errors
    /// Which function in it has no counterpart.
    pub fn upgraded(&self, code: &CodeSpace, upgrade: &Upgrade) -> Result<Parcel, NotMapped> {
        match self {
            Parcel::Plain(value) => Ok(Parcel::Plain(upgrade.plain(code, *value)?)),
            Parcel::Small(small) if small.mentions(upgrade.from) => {
                small.graph(code).upgraded(code, upgrade)
            }
            Parcel::Graph(graph) if graph.mentions(upgrade.from) => graph.upgraded(code, upgrade),
            Parcel::Small(_) | Parcel::Graph(_) => Ok(self.clone()),
        }
    }
}

impl Graph {
    fn upgraded(&self, code: &CodeSpace, upgrade: &Upgrade) -> Result<Parcel, NotMapped> {
        let mut arena = Arena::new();
        let value = self.read(code, &mut arena, Some(upgrade));
        let value = value.map_err(|error| NotMapped(error.what))?;
        let heap = Heap {
            arena: &arena,
            code,
        };
        Ok(Parcel::pack(heap, value))
    }
}

impl Start {
    /// The same call in a new program.
    ///
    /// # Errors
    /// Which function in it has no counterpart, or takes other arguments.
    pub fn upgraded(&self, code: &CodeSpace, upgrade: &Upgrade) -> Result<Start, NotMapped> {
        let mut start = self.clone();
        start.values = match &self.values {
            Values::Plain(values) => {
                let values = values.iter().map(|value| upgrade.plain(code, *value));
                Values::Plain(values.collect::<Result<_, NotMapped>>()?)
            }
            Values::List(parcel) => Values::List(parcel.upgraded(code, upgrade)?),
        };
        if start == *self {
            return Ok(start);
        }
        let mut arena = Arena::new();
        let values = start.unpack(code, &mut arena);
        let (call, of_globals) = values.split_at(1 + self.arguments);
        let mut values = SmallVec::from_slice(call);
        start.globals.clear();
        let kept = self.globals.iter().zip(of_globals);
        let kept = kept.filter_map(|(global, value)| Some((upgrade.global(*global)?, *value)));
        for (global, value) in kept.chain(upgrade.fresh_globals()) {
            if !start.globals.contains(&global) {
                start.globals.push(global);
                values.push(value);
            }
        }
        let heap = Heap {
            arena: &arena,
            code,
        };
        start.values = Values::of(heap, values);
        match start.flaw(code) {
            None => Ok(start),
            Some(flaw) => Err(NotMapped(flaw.to_owned())),
        }
    }
}

/// An error of the map where bytes are read.
pub(crate) fn refused_in<T>(input: &Reader<'_>, result: Result<T, NotMapped>) -> Decoded<T> {
    result.map_err(|NotMapped(reason)| input.error(reason))
}
