//! Images: a fiber as bytes, and back. `docs/IMAGE_FORMAT.md` has the byte map.
//!
//! The body of an image is the canonical form of the fiber's state: frames with their live registers,
//! globals, counters, limits, and the objects they refer to. Equal states have equal bodies, so the
//! hash of the body is the state hash. Layout, statistics and everything derived stay out.

mod sandboxes;

use std::cell::Cell;

use pw_isa::cost;
use pw_isa::op::{Effects, Op};
use pw_isa::operand::{ClosureFrame, Frame, Operand, OperandKind};
use pw_isa::wire::{DecodeError, Decoded, Reader, Writer};
use smallvec::SmallVec;

use super::arena::{Arena, Counters, PageBlocks, Pages};
use super::graph::{Decoder, Encoder, ProgramTable, Reading};
use super::parcel::read_programs;
use super::upgrade::{Role, Upgrade, refused_in};
use super::{Extras, Fiber, FrameView, Limits, State, UNSET};
use crate::code_space::CodeSpace;
use crate::value::Value;
use sandboxes::{read_sandboxes, write_sandboxes};

/// The first bytes of an image.
pub const MAGIC: [u8; 4] = *b"PWI1";
/// The version this code writes.
///
/// | version | change |
/// |---|---|
/// | 1 | first |
/// | 2 | open sandboxes, behind everything else; a fiber without any has the body that it had |
pub const VERSION: u16 = 2;

/// The hash of a fiber's state: equal for equal states, in every tier and layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StateHash(pub [u8; 32]);

impl std::fmt::Display for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StateHash({self})")
    }
}

/// Lines of an arena that are looked at ahead: a processor notices itself that more are wanted.
const AHEAD_LINES: usize = 4;

/// The bytes in front of the body: magic, version, hash of the body.
pub const HEAD_BYTES: usize = 4 + 2 + 32;

/// An image with this body, whose checksum fits.
pub fn image_of(body: &[u8]) -> Vec<u8> {
    let mut out = Writer::default();
    out.bytes.extend_from_slice(&MAGIC);
    out.u16(VERSION);
    out.bytes.extend_from_slice(blake3::hash(body).as_bytes());
    out.bytes.extend_from_slice(body);
    out.bytes
}

impl Fiber {
    /// The hash of the state.
    pub fn state_hash(&self, code: &CodeSpace) -> StateHash {
        StateHash(*blake3::hash(&self.body(code)).as_bytes())
    }

    /// The state as an image.
    pub fn to_image(&self, code: &CodeSpace) -> Vec<u8> {
        image_of(&self.body(code))
    }

    /// Reads a word of each part of the memory that [`Fiber::write`] reads first, and does nothing with them. Whoever writes many small
    /// fibers calls it for some of them before it writes these: their memory then comes at the same time, and not one after the other.
    pub fn look_ahead(&self) {
        const LINE_WORDS: usize = 8;
        let words = self.arena.first_words(AHEAD_LINES * LINE_WORDS);
        let of_arena = words.iter().step_by(LINE_WORDS);
        let of_arena = of_arena.fold(0, |all, word| all ^ word);
        let of_stack = self.stack.first().map_or(0, |value| value.bits);
        std::hint::black_box(of_arena ^ of_stack);
    }

    /// Writes the state without the head of an image: for who keeps a checksum of more than one fiber.
    pub fn write(&self, code: &CodeSpace, out: &mut Writer) {
        self.write_body(code, out, Writer::varint);
    }

    /// Reads what [`Fiber::write`] wrote, as [`Fiber::from_image`] does.
    ///
    /// # Errors
    /// As [`Fiber::from_image`].
    pub fn read(code: &CodeSpace, input: &mut Reader<'_>, stack_bytes_max: u64) -> Decoded<Fiber> {
        let start = input.offset();
        let body = input.blob()?;
        read_body(code, body, stack_bytes_max, Objects::Written).map_err(|mut error| {
            error.offset += start;
            error
        })
    }

    /// The table of programs, then the state.
    pub(super) fn body(&self, code: &CodeSpace) -> Vec<u8> {
        let mut body = Writer::default();
        self.write_body(code, &mut body, |_, _| {});
        body.bytes
    }

    /// Writes the body behind what is said of its length.
    fn write_body(&self, code: &CodeSpace, out: &mut Writer, say: fn(&mut Writer, u64)) {
        let mut encoder = Encoder::new(self.heap(code), ProgramTable::default());
        let roots = self.write_roots(&mut encoder, code);
        // Which programs there are shows when all objects are written.
        let mut state = encoder.spare();
        let complete = encoder.objects(&mut state);
        debug_assert!(complete, "a state has no bound");
        let mut table = encoder.spare();
        table.varint(encoder.programs.programs.len() as u64);
        for program in &encoder.programs.programs {
            let signature = code.program(*program).signature();
            table.bytes.extend_from_slice(&signature.0);
        }
        let length = table.bytes.len() + state.bytes.len() + roots.bytes.len();
        say(out, length as u64);
        out.bytes.extend_from_slice(&table.bytes);
        out.bytes.extend_from_slice(&state.bytes);
        out.bytes.extend_from_slice(&roots.bytes);
        for used in [table, state, roots] {
            encoder.give_back(used);
        }
    }

    /// Everything but the objects.
    pub(super) fn write_roots(&self, encoder: &mut Encoder<'_>, code: &CodeSpace) -> Writer {
        let mut roots = encoder.spare();
        self.write_counters(&mut roots);
        match self.state {
            State::Ready => roots.u8(0),
            State::Waiting => roots.u8(1),
            State::Done(value) => {
                roots.u8(2);
                encoder.value(&mut roots, value);
            }
        }
        let mut frames: SmallVec<[FrameView; 8]> = self.frames().collect();
        frames.reverse();
        roots.varint(frames.len() as u64);
        for frame in &frames {
            let program = encoder.program(frame.program);
            roots.varint(program);
            roots.varint(u64::from(frame.function));
            roots.varint(u64::from(frame.pc));
            for (_, value) in self.live_registers(code, frame) {
                encoder.value(&mut roots, value);
            }
        }
        // Which program came first is history, not state; a program without globals has nothing to say.
        let all = self.extras.iter().flat_map(|extras| &extras.globals);
        let mut globals: Vec<_> = all.collect();
        globals.sort_by_key(|(program, _)| code.program(*program).signature());
        globals.retain(|(_, values)| values.iter().any(|value| *value != UNSET));
        roots.varint(globals.len() as u64);
        for (program, values) in globals {
            let position = encoder.program(*program);
            roots.varint(position);
            for value in values {
                roots.u8(u8::from(*value != UNSET));
                if *value != UNSET {
                    encoder.value(&mut roots, *value);
                }
            }
        }
        write_sandboxes(&mut roots, encoder, code, self.sandboxes());
        roots
    }

    fn write_counters(&self, out: &mut Writer) {
        out.varint(self.gas_used);
        out.varint(self.limits.gas);
        out.varint(self.limits.memory_bytes);
        out.varint(u64::from(self.limits.depth));
        out.u8(u8::from(self.limits.stack_bytes.is_some()));
        if let Some(bytes) = self.limits.stack_bytes {
            out.varint(bytes);
        }
        out.u8(u8::from(self.limits.collections_cost_gas));
        out.varint(self.arena.counters.live);
        out.varint(self.arena.counters.allocated);
    }

    /// Restores a fiber. The programs it refers to must be loaded. Its stack may take at most
    /// `stack_bytes_max` bytes, whatever limits the image itself claims. Whoever does not trust the
    /// image sets limits of its own ([`Fiber::set_limits`]) before it runs the fiber.
    ///
    /// # Errors
    /// What is wrong, and where. Bytes that no fiber wrote may be refused or give a fiber that no
    /// program would have made, but never one that breaks what tiers rely on; memory used is
    /// proportional to the input.
    pub fn from_image(code: &CodeSpace, image: &[u8], stack_bytes_max: u64) -> Decoded<Fiber> {
        let mut header = Reader::new(image);
        if header.take(4)? != MAGIC {
            return Err(header.error("not an image: it does not start with PWI1"));
        }
        let version = header.u16()?;
        if !(1..=VERSION).contains(&version) {
            return Err(header.error(format!(
                "version {version}; this reader knows 1 to {VERSION}"
            )));
        }
        let hash = header.hash()?;
        let start = header.offset();
        let body = header.take(header.remaining())?;
        if *blake3::hash(body).as_bytes() != hash {
            return Err(header.error("the checksum does not match"));
        }
        let shift = |mut error: DecodeError| {
            error.offset += start;
            error
        };
        read_body(code, body, stack_bytes_max, Objects::Written).map_err(shift)
    }
}

/// Where the objects of a fiber are.
pub(super) enum Objects<'a> {
    /// In the body.
    Written,
    /// In the body; what runs the old program of an upgrade goes on in the new one.
    Upgraded(&'a Upgrade),
    /// In pages, which lie in these blocks.
    InPlace(&'a Pages, &'a dyn PageBlocks),
}

thread_local! {
    /// Where objects are made that are read, until it is known how much memory they take: most fibers are small, and many are read one
    /// after the other.
    static ARENA: Cell<Vec<u64>> = const { Cell::new(Vec::new()) };
}

/// Reads the body of an image.
pub(super) fn read_body(
    code: &CodeSpace,
    body: &[u8],
    stack_bytes_max: u64,
    objects: Objects<'_>,
) -> Decoded<Fiber> {
    let upgrade = match &objects {
        Objects::Upgraded(upgrade) => Some(*upgrade),
        Objects::Written | Objects::InPlace(..) => None,
    };
    let mut input = Reader::new(body);
    let programs = read_programs(code, &mut input)?;
    let reading = Reading {
        code,
        programs: &programs,
        upgrade,
        texts: &[],
    };
    let mut arena = Arena::within(ARENA.take());
    let mut stack = StackRoom {
        slots: Vec::new(),
        slots_max: stack_bytes_max / cost::SLOT_BYTES,
    };
    let decoder = match objects {
        Objects::InPlace(pages, blocks) => {
            Decoder::in_place(&mut arena, reading, (pages, blocks), body, &mut input)?
        }
        Objects::Written | Objects::Upgraded(_) => {
            Decoder::new(&mut arena, reading, body, &mut input)?
        }
    };
    let (gas_used, limits, mut counters) = read_counters(&mut input)?;
    let state = match input.u8()? {
        0 => State::Ready,
        1 => State::Waiting,
        2 => State::Done(decoder.value(&mut input)?),
        other => return Err(input.error(format!("no state has the number {other}"))),
    };
    let frame = read_frames(reading, &decoder, &mut input, &mut stack, state)?;
    let globals = read_globals(reading, &decoder, &mut input, frame.program)?;
    let sandboxes = read_sandboxes(reading, &mut input, &frame, state)?;
    let has_extras = !globals.is_empty() || !sandboxes.is_empty();
    input.finish()?;
    // Everything in the image was allocated once, so a fiber's counters cannot know of less.
    let present = arena.counters.allocated;
    if upgrade.is_some() {
        // Functions may capture more now.
        let known = counters.live.saturating_add(counters.allocated);
        counters.allocated += present.saturating_sub(known);
    }
    if present > counters.live.saturating_add(counters.allocated) {
        return Err(DecodeError {
            offset: body.len(),
            what: format!("objects of {present} bytes, where {counters:?} say there are less"),
        });
    }
    arena.counters = counters;
    arena.statistics = Default::default();
    if let Some(words) = arena.settle() {
        ARENA.set(words);
    }
    let mut fiber = Fiber {
        space: code.id,
        stack: stack.slots,
        program: frame.program,
        function: frame.function,
        pc: frame.pc,
        base: frame.base,
        depth: frame.depth,
        state,
        arena,
        extras: has_extras.then(|| Box::new(Extras { globals, sandboxes })),
        gas_used,
        limits,
    };
    fiber.mark_all_sandboxed();
    Ok(fiber)
}

fn read_counters(input: &mut Reader<'_>) -> Decoded<(u64, Limits, Counters)> {
    let gas_used = input.varint()?;
    let gas = input.varint()?;
    let memory_bytes = input.varint()?;
    let depth = input.varint32()?;
    let stack_bytes = if input.flag()? {
        Some(input.varint()?)
    } else {
        None
    };
    let collections_cost_gas = input.flag()?;
    let counters = Counters {
        live: input.varint()?,
        allocated: input.varint()?,
    };
    Ok((
        gas_used,
        Limits {
            gas,
            memory_bytes,
            depth,
            stack_bytes,
            collections_cost_gas,
        },
        counters,
    ))
}

/// A stack that is being read, and how large it may get.
struct StackRoom {
    slots: Vec<Value>,
    slots_max: u64,
}

/// The newest frame that was read.
struct Newest {
    program: u32,
    function: u32,
    pc: u32,
    base: usize,
    depth: u32,
}

fn read_frames(
    reading: Reading<'_>,
    decoder: &Decoder<'_>,
    input: &mut Reader<'_>,
    stack: &mut StackRoom,
    state: State,
) -> Decoded<Newest> {
    let code = reading.code;
    let count = input.count(3)?;
    let mut newest: Option<Newest> = None;
    for number in 0..count {
        let last = number + 1 == count;
        let ((program, function, pc), registers) =
            read_frame(reading, decoder, input, (last, state))?;
        let body = code.program(program).function(function);
        let base = match &newest {
            None => 1,
            Some(caller) => enter_from(code, caller, &stack.slots, input)?,
        };
        let end = base + usize::from(body.registers);
        if end as u64 > stack.slots_max {
            return Err(input.error(format!("a stack of more than {} slots", stack.slots_max)));
        }
        // A caller may have more registers than its callee reaches.
        stack.slots.resize(end.max(stack.slots.len()), Value::NIL);
        if let Some(caller) = &newest {
            stack.slots[base - 1] = Value {
                tag: u64::from(caller.pc) | u64::from(caller.function) << 32,
                bits: (base - caller.base) as u64 | u64::from(caller.program) << 32,
            };
        }
        for (register, value) in registers {
            stack.slots[base + usize::from(register)] = value;
        }
        let waits = body.code[pc as usize].info().effects.has(Effects::SUSPEND);
        if last && state == State::Waiting && !waits {
            return Err(input.error("it waits at an instruction that does not"));
        }
        newest = Some(Newest {
            program,
            function,
            pc,
            base,
            depth: number as u32 + 1,
        });
    }
    newest.ok_or_else(|| input.error("a fiber without frames"))
}

/// Where a frame stands, and what its live registers hold.
type PlacedFrame = ((u32, u32, u32), Registers);

/// Registers and what they hold: most frames have few that are live.
type Registers = SmallVec<[(u16, Value); 8]>;

/// Reads where a frame stands, or goes on, and what its live registers hold. What holds for the newest is told by the state.
fn read_frame(
    reading: Reading<'_>,
    decoder: &Decoder<'_>,
    input: &mut Reader<'_>,
    (is_newest, state): (bool, State),
) -> Decoded<PlacedFrame> {
    let code = reading.code;
    let (program, function, pc) = read_place(reading, input)?;
    let loaded = code.program(program);
    let window = if is_newest {
        u16::MAX
    } else {
        call_window(&loaded.function(function).code[pc as usize], input)?
    };
    let done = matches!(state, State::Done(_));
    let live = loaded.live(function).at(pc);
    let registers = live
        .take_while(|register| *register < window && !done)
        .map(|register| Ok((register, decoder.value(input)?)))
        .collect::<Decoded<Registers>>()?;
    let role = match state {
        _ if !is_newest => Role::Calls,
        State::Ready => Role::Next,
        State::Waiting => Role::Waits,
        State::Done(_) => return Ok(((program, function, pc), registers)),
    };
    let Some(upgrade) = reading.upgrade else {
        return Ok(((program, function, pc), registers));
    };
    let landing = upgrade.landing(code, (program, function, pc), role);
    Ok(match refused_in(input, landing)? {
        None => ((program, function, pc), registers),
        Some(landing) => (
            (upgrade.to(), landing.function, landing.pc),
            landing.registers(registers.into_vec()).into(),
        ),
    })
}

fn enter_from(
    code: &CodeSpace,
    caller: &Newest,
    stack: &[Value],
    input: &Reader<'_>,
) -> Decoded<usize> {
    let op = &code.program(caller.program).function(caller.function).code[caller.pc as usize];
    let base = caller.base + usize::from(call_window(op, input)?) + 1;
    if base > stack.len() {
        return Err(input.error("a frame outside its caller's window"));
    }
    Ok(base)
}

/// The base of the window of a call that returns.
fn call_window(op: &Op, input: &Reader<'_>) -> Decoded<u16> {
    let effects = op.info().effects;
    let window = op.operands().find_map(|(kind, raw)| match kind {
        OperandKind::Frame => Frame::from_raw(raw).map(|frame| frame.base),
        OperandKind::ClosureFrame => ClosureFrame::from_raw(raw).map(|frame| frame.base),
        _ => None,
    });
    match window {
        Some(base) if effects.has(Effects::CALL) && !effects.has(Effects::END) => Ok(base),
        _ => Err(input.error(format!(
            "a frame that is called by `{}`",
            op.info().mnemonic
        ))),
    }
}

/// Reads globals, of a fiber whose newest frame is of a program.
fn read_globals(
    reading: Reading<'_>,
    decoder: &Decoder<'_>,
    input: &mut Reader<'_>,
    newest: u32,
) -> Decoded<Vec<(u32, Vec<Value>)>> {
    let Reading {
        code,
        programs,
        upgrade,
        ..
    } = reading;
    let count = input.count(1)?;
    let mut globals: Vec<(u32, Vec<Value>)> = Vec::with_capacity(count);
    for _ in 0..count {
        let position = input.varint32()?;
        let Some(program) = programs.programs.get(position as usize).copied() else {
            return Err(input.error(format!("program {position} is not in the table")));
        };
        if globals.iter().any(|(of, _)| *of == program) {
            return Err(input.error("the globals of a program twice"));
        }
        let number = code.program(program).program().globals as usize;
        if number > input.remaining() {
            return Err(input.error(format!("{number} globals expected")));
        }
        let mut values = Vec::with_capacity(number);
        for _ in 0..number {
            values.push(if input.flag()? {
                decoder.value(input)?
            } else {
                UNSET
            });
        }
        globals.push((program, values));
    }
    if let Some(upgrade) = upgrade {
        upgrade.globals(&mut globals, newest == upgrade.to());
    }
    Ok(globals)
}

/// An instruction that exists: program, function, pc.
fn read_place(reading: Reading<'_>, input: &mut Reader<'_>) -> Decoded<(u32, u32, u32)> {
    let Reading { code, programs, .. } = reading;
    let position = input.varint32()?;
    let function = input.varint32()?;
    let pc = input.varint32()?;
    let Some(program) = programs.programs.get(position as usize).copied() else {
        return Err(input.error(format!("program {position} is not in the table")));
    };
    let functions = &code.program(program).program().functions;
    let body = functions.get(function as usize);
    if body.is_none_or(|body| pc as usize >= body.code.len()) {
        return Err(input.error(format!("function {function} has no instruction {pc}")));
    }
    Ok((program, function, pc))
}
