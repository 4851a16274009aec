//! A machine as bytes, and back. A machine goes on from its snapshot as if nothing had happened.
//!
//! ```text
//! "PWV2" · version · code · constants · actor · limits · waiting · end ·
//! programs with their layouts · image of the fiber
//! ```
//!
//! Not part of it: an attached debugger or monitor, the embedding program's own heap, messages not yet
//! taken (those are the mailbox's), capabilities (those are the scheduler's).

use pw_isa::codec;
use pw_isa::v2::{FunctionLayout, Lowered, StackPlace};
use pw_isa::wire::{Decoded, Reader, Writer};

use super::machine::{Machine, MachineLimits};
use super::vm_error::VmError;
use super::vm_state::{Phase, VmState};
use super::{Capability, GcPtr, HeapPtr, OpCode, Value, VmErrorKind, closure_body};

const MAGIC: [u8; 4] = *b"PWV2";
const VERSION: u16 = 1;

impl VmState {
    /// The machine as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes.extend_from_slice(&MAGIC);
        out.u16(VERSION);
        write_code(&mut out, &self.instructions);
        out.varint(self.constant_pool.len() as u64);
        for constant in &self.constant_pool {
            write_value(&mut out, constant);
        }
        out.u32(self.actor_id);
        out.varint(self.limits.steps);
        out.varint(self.limits.memory_bytes as u64);
        out.varint(self.limits.depth as u64);
        out.u8(u8::from(self.waiting_for.is_some()));
        if let Some(capability) = &self.waiting_for {
            write_capability(&mut out, capability);
        }
        let kind = match &self.ended {
            Some(Err(error)) => error.kind(),
            _ => None,
        };
        out.u8(kind.map_or(0, |kind| 1 + kind as u8));
        let (programs, image) = match &self.phase {
            Phase::Running(machine) => machine.parts(),
            Phase::New | Phase::Refused => (Vec::new(), Vec::new()),
        };
        out.varint(programs.len() as u64);
        for program in programs {
            out.blob(&codec::encode(&program.program));
            write_layouts(&mut out, &program.functions);
        }
        out.blob(&image);
        out.bytes
    }

    /// The machine that such bytes are.
    ///
    /// # Errors
    /// What is wrong with them. Memory used is proportional to the input and the limits it claims.
    pub fn from_snapshot(bytes: &[u8]) -> Result<VmState, VmError> {
        read_machine(bytes).map_err(|message| VmError::SerializationError { message })
    }
}

fn read_machine(bytes: &[u8]) -> Result<VmState, String> {
    let (mut vm, parts, kind) = read_parts(bytes).map_err(|error| error.to_string())?;
    let Some((programs, image)) = parts else {
        return Ok(vm);
    };
    let machine = Machine::from_parts(programs, &image, vm.limits)?;
    let result = machine.result();
    vm.phase = Phase::Running(Box::new(machine));
    if let (Phase::Running(machine), Some(value)) = (&vm.phase, result) {
        vm.ended = Some(Ok(machine.export(value, &mut vm.objects)));
    } else if let Some(kind) = kind {
        vm.ended = Some(Err(
            vm.error(kind, "the program had failed before it was saved")
        ));
    }
    Ok(vm)
}

type Parts = (
    VmState,
    Option<(Vec<Lowered>, Vec<u8>)>,
    Option<VmErrorKind>,
);

fn read_parts(bytes: &[u8]) -> Decoded<Parts> {
    let mut input = Reader::new(bytes);
    if input.take(4)? != MAGIC {
        return Err(input.error("not a V2 snapshot: it does not start with PWV2"));
    }
    let version = input.u16()?;
    if version != VERSION {
        return Err(input.error(format!("version {version}; this reader knows {VERSION}")));
    }
    let instructions = read_code(&mut input)?;
    let count = input.count(1)?;
    let mut constants = Vec::with_capacity(count);
    for _ in 0..count {
        constants.push(read_value(&mut input)?);
    }
    let actor_id = input.u32()?;
    let limits = MachineLimits {
        steps: input.varint()?,
        memory_bytes: input.varint()? as usize,
        depth: input.varint()? as usize,
    };
    let waiting_for = if input.flag()? {
        Some(read_capability(&mut input)?)
    } else {
        None
    };
    let kind = match input.u8()? {
        0 => None,
        number => match VmErrorKind::ALL.get(usize::from(number) - 1) {
            Some(kind) => Some(*kind),
            None => return Err(input.error(format!("no error has the number {number}"))),
        },
    };
    let count = input.count(1)?;
    let mut programs = Vec::with_capacity(count);
    for _ in 0..count {
        let program = codec::decode(input.blob()?)?;
        let functions = read_layouts(&mut input)?;
        programs.push(Lowered { program, functions });
    }
    let image = input.blob()?.to_vec();
    input.finish()?;
    let (steps, memory, depth) = (limits.steps, limits.memory_bytes, limits.depth);
    let mut vm = VmState::new(instructions, constants, steps, memory, actor_id, depth);
    vm.waiting_for = waiting_for;
    let parts = (!programs.is_empty()).then_some((programs, image));
    Ok((vm, parts, kind))
}

/// Instructions as text, which has room for every float.
fn write_code(out: &mut Writer, code: &[OpCode]) {
    out.text(&closure_body::print(code));
}

fn read_code(input: &mut Reader<'_>) -> Decoded<Vec<OpCode>> {
    let text = input.text()?;
    closure_body::parse(text).ok_or_else(|| input.error("not a list of instructions"))
}

fn write_capability(out: &mut Writer, capability: &Capability) {
    out.text(capability.kebab_name());
    out.u8(u8::from(capability.parameter().is_some()));
    if let Some(parameter) = capability.parameter() {
        out.varint(parameter);
    }
}

fn read_capability(input: &mut Reader<'_>) -> Decoded<Capability> {
    let name = input.text()?;
    let parameter = if input.flag()? {
        Some(input.varint()?)
    } else {
        None
    };
    Capability::from_kebab(name, parameter)
        .ok_or_else(|| input.error(format!("no capability is called {name}")))
}

fn write_value(out: &mut Writer, value: &Value) {
    match value {
        Value::Nil => out.u8(0),
        Value::Bool(value) => {
            out.u8(1);
            out.u8(u8::from(*value));
        }
        Value::Int(value) => {
            out.u8(2);
            out.signed(*value);
        }
        Value::Float(value) => {
            out.u8(3);
            out.u64(value.to_bits());
        }
        Value::String(text) => {
            out.u8(4);
            out.text(text);
        }
        Value::Symbol(number) => {
            out.u8(5);
            out.varint(*number as u64);
        }
        Value::Pair(pointer) => {
            out.u8(6);
            out.u32(pointer.0);
        }
        Value::Closure(pointer) => {
            out.u8(7);
            out.u32(pointer.0);
        }
        Value::ActorId(id) => {
            out.u8(8);
            out.u32(*id);
        }
        Value::Capability(capability) => {
            out.u8(9);
            write_capability(out, capability);
        }
        Value::GcPtr(pointer) => {
            out.u8(10);
            out.varint(pointer.0 as u64);
        }
        Value::Error(message) => {
            out.u8(11);
            out.text(message);
        }
        Value::Code(code) => {
            out.u8(12);
            write_code(out, code);
        }
    }
}

fn read_value(input: &mut Reader<'_>) -> Decoded<Value> {
    Ok(match input.u8()? {
        0 => Value::Nil,
        1 => Value::Bool(input.flag()?),
        2 => Value::Int(input.signed()?),
        3 => Value::Float(f64::from_bits(input.u64()?)),
        4 => Value::String(input.text()?.to_owned()),
        5 => Value::Symbol(input.varint()? as usize),
        6 => Value::Pair(HeapPtr(input.u32()?)),
        7 => Value::Closure(HeapPtr(input.u32()?)),
        8 => Value::ActorId(input.u32()?),
        9 => Value::Capability(read_capability(input)?),
        10 => Value::GcPtr(GcPtr(input.varint()? as usize)),
        11 => Value::Error(input.text()?.to_owned()),
        12 => Value::Code(read_code(input)?),
        other => return Err(input.error(format!("no kind of value has the number {other}"))),
    })
}

fn write_layouts(out: &mut Writer, layouts: &[FunctionLayout]) {
    out.varint(layouts.len() as u64);
    for layout in layouts {
        out.varint(layout.constant.map_or(0, |index| index as u64 + 1));
        out.u8(u8::from(layout.has_locals));
        match &layout.stack {
            StackPlace::Vector { register } => {
                out.u8(0);
                out.u16(*register);
            }
            StackPlace::Registers { first, heights } => {
                out.u8(1);
                out.u16(*first);
                out.varint(heights.len() as u64);
                for height in heights {
                    out.varint(height.map_or(0, |height| u64::from(height) + 1));
                }
            }
        }
    }
}

fn read_layouts(input: &mut Reader<'_>) -> Decoded<Vec<FunctionLayout>> {
    let count = input.count(3)?;
    let mut layouts = Vec::with_capacity(count);
    for _ in 0..count {
        let constant = input.varint()?.checked_sub(1).map(|index| index as usize);
        let has_locals = input.flag()?;
        let stack = if input.flag()? {
            let first = input.u16()?;
            let length = input.count(1)?;
            let mut heights = Vec::with_capacity(length);
            for _ in 0..length {
                let height = input.varint()?.checked_sub(1);
                heights.push(height.map(|height| height.min(u64::from(u16::MAX)) as u16));
            }
            StackPlace::Registers { first, heights }
        } else {
            StackPlace::Vector {
                register: input.u16()?,
            }
        };
        layouts.push(FunctionLayout {
            constant,
            has_locals,
            stack,
        });
    }
    Ok(layouts)
}
