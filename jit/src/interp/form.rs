//! The internal form of a program: what the fast interpreter executes.
//!
//! Internal instruction `pc` stands for external instruction `pc` and possibly for the ones behind it:
//! where a sequence is fused, the whole stands at its first pc and skips the rest, and every part stays
//! at its own pc. So any external pc is an entry, and nothing outside this folder can tell the
//! difference.

use pw_isa::Function;

pub(crate) use super::code::Code;

use crate::value::Value;

/// Registers stand in instructions as byte offsets from r0: their number shifted by this.
pub(crate) const SLOT_SHIFT: u32 = 4;

/// One internal instruction. What the fields mean is up to the code; see the handlers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(crate) struct Instruction {
    pub(crate) code: Code,
    pub(crate) a: u16,
    pub(crate) b: u16,
    pub(crate) c: u16,
    /// A small number, an index, a slot, the counter of a `loop`, or a jump target: its distance in bytes.
    pub(crate) imm: i32,
    /// Gas of this instruction and the ones behind it up to the next that may go on elsewhere: charged
    /// when control enters here.
    pub(crate) rest: u32,
}

impl Instruction {
    /// Leaves an instruction to the reference interpreter.
    pub(crate) const STEP: Instruction = Instruction {
        code: Code::Step,
        a: 0,
        b: 0,
        c: 0,
        imm: 0,
        rest: 0,
    };

    /// The same with one number in `b` and `c`.
    pub(crate) fn with_number(self, number: i32) -> Instruction {
        let (low, high) = (number as u16, (number >> 16) as u16);
        let (b, c) = if cfg!(target_endian = "little") {
            (low, high)
        } else {
            (high, low)
        };
        Instruction { b, c, ..self }
    }

    /// The number in `b` and `c`: read at once, which compilers do not make of two reads.
    #[inline(always)]
    pub(crate) fn number(&self) -> i32 {
        const PLACE: usize = std::mem::offset_of!(Instruction, b);
        const { assert!(std::mem::offset_of!(Instruction, c) == PLACE + 2 && PLACE.is_multiple_of(4)) };
        let place = (&raw const *self).wrapping_byte_add(PLACE).cast::<i32>();
        // SAFETY: the two fields lie there, side by side, and any bits are a number.
        unsafe { *place }
    }

    /// The lower half of `imm`.
    #[inline(always)]
    pub(crate) fn low(&self) -> u16 {
        self.imm as u16
    }

    /// The upper half.
    #[inline(always)]
    pub(crate) fn high(&self) -> u16 {
        (self.imm >> 16) as u16
    }
}

/// Two numbers in one field.
pub(crate) fn halves(low: u16, high: u16) -> i32 {
    i32::from(low) | i32::from(high) << 16
}

const _: () = assert!(std::mem::size_of::<Instruction>() == 16);
const _: () = assert!(std::mem::size_of::<Value>() == 1 << SLOT_SHIFT);

/// A function in internal form; what calls need of it is in one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct InternalFunction {
    pub(crate) code: Box<[Instruction]>,
    /// See [`InternalFunction::call_tag`].
    tag_base: u64,
    /// The function's number.
    pub(crate) number: u32,
    /// The counter of its entries.
    pub(crate) entry_site: u32,
    /// The bytes of its registers.
    pub(crate) frame_bytes: u32,
    /// The slot behind the parameters; [`ANY_ARGUMENTS`] when there is a rest parameter.
    pub(crate) params: u16,
    /// The same slot of a function that captures something, where its closure stands; [`NO_CLOSURE`] of any other. Who looks at both
    /// needs one machine register less.
    pub(crate) closure_slot: u16,
}

/// No slot behind parameters.
pub(crate) const ANY_ARGUMENTS: u16 = u16::MAX;
/// No slot for a closure.
pub(crate) const NO_CLOSURE: u16 = u16::MAX;

impl InternalFunction {
    pub(crate) fn new(
        source: &Function,
        number: u32,
        entry_site: u32,
        code: Box<[Instruction]>,
    ) -> InternalFunction {
        let is_plain = !source.rest && source.params < 1 << (16 - SLOT_SHIFT);
        let behind = is_plain.then_some(source.params << SLOT_SHIFT);
        InternalFunction {
            tag_base: (u64::from(number) << 32).wrapping_sub(code.as_ptr().addr() as u64 >> 4),
            code,
            number,
            entry_site,
            frame_bytes: u32::from(source.registers) << SLOT_SHIFT,
            params: behind.unwrap_or(ANY_ARGUMENTS),
            closure_slot: behind.filter(|_| source.captures > 0).unwrap_or(NO_CLOSURE),
        }
    }

    /// A function that does nothing, and stops the loop wherever a return comes to.
    pub(crate) fn boundary(number: u32) -> InternalFunction {
        let code: Box<[Instruction]> = vec![Instruction::STEP; 2].into();
        InternalFunction {
            tag_base: 0,
            code,
            number,
            entry_site: 0,
            frame_bytes: 0,
            params: ANY_ARGUMENTS,
            closure_slot: NO_CLOSURE,
        }
    }

    /// The first word of the header of a frame that the call at `pc` in this function makes: the
    /// function's number and the position of the call.
    #[inline(always)]
    pub(crate) fn call_tag(&self, pc: *const Instruction) -> u64 {
        const { assert!(std::mem::size_of::<Instruction>() == 1 << 4) };
        self.tag_base.wrapping_add(pc.addr() as u64 >> 4)
    }
}

/// A program in internal form.
#[derive(Debug)]
pub(crate) struct InternalProgram {
    /// All functions, and behind them what [`InternalProgram::boundary`] is.
    pub(crate) functions: Box<[InternalFunction]>,
    /// The code of each function before anything was fused.
    pub(crate) plain: Box<[Box<[Instruction]>]>,
    /// Constants of all functions, and numbers that do not fit in an instruction. Value 0 is nil, and
    /// stands for keys that are not constants.
    pub(crate) values: Box<[Value]>,
    /// Function and pc of every counter: loops, and the entry of each function behind its loops.
    pub(crate) sites: Box<[(u32, u32)]>,
    /// Where the program asks about capabilities that are Symbols, rising, with a number for each of these.
    pub(crate) questions: Box<[((u32, u32), u32)]>,
}

impl InternalProgram {
    /// Which of the values an instruction looks for in a map, if it is a constant.
    pub(crate) fn key_at(&self, function: u32, pc: u32) -> Option<u32> {
        let i = &self.plain[function as usize][pc as usize];
        let place = match i.code {
            Code::MapGet => i.high(),
            Code::MapSet => i.low(),
            _ => 0,
        };
        (place != 0).then(|| place.into())
    }

    /// The number of the capability that an instruction asks about, if it has one.
    pub(crate) fn question_at(&self, function: u32, pc: u32) -> Option<u32> {
        let place = (function, pc);
        let found = self.questions.binary_search_by_key(&place, |(at, _)| *at);
        found.ok().map(|found| self.questions[found].1)
    }

    /// The function behind the last: a return to it stops the loop.
    pub(crate) fn boundary(&self) -> &InternalFunction {
        &self.functions[self.plain.len()]
    }
}
