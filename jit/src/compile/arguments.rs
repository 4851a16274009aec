//! What a function in place of its call has found out about its arguments: it holds behind the call for the registers
//! that they were copied from. So a value is looked at once, however many small functions it is passed to.

use cranelift_codegen::ir::types::F64;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData};
use pw_isa::Function;
use pw_isa::op::{Access, Data, Op};

use super::lower::Lowering;
use super::parts::{Part, window};
use super::plans::Few;
use super::registers::Register;
use super::types::{Evidence, Type};

/// How far before a call copies of registers into its window are looked for.
const COPIES_WITHIN: usize = 40;

/// Something that is known behind a call about a register that was passed to it.
#[derive(Clone, Copy)]
pub(super) struct Passed {
    /// The place among the arguments.
    place: u16,
    /// The register.
    register: u16,
    /// What is known about it.
    known: Type,
}

impl Evidence<'_> {
    /// What is known at a return about the arguments, where the function keeps them; nothing about others.
    pub(super) fn arguments_at_return(&self, known: &[Type]) -> Vec<Type> {
        let arguments = known.iter().zip(&self.place.kept);
        let arguments = arguments.take(usize::from(self.function.params));
        let found = arguments.map(|(known, is_kept)| if *is_kept { *known } else { Type::Any });
        found.collect()
    }

    /// What is known behind the call of a part that stands in its place about registers that were passed to it.
    pub(super) fn passed(&self, pc: u32, part: &Part) -> Few<Passed> {
        let Op::Function(call) = &self.function.code[pc as usize] else {
            return Few::new();
        };
        let (base, args) = window(call);
        let arguments = (0..args).zip(&part.arguments);
        let known = arguments.filter(|(_, known)| can_be_taken_over(**known));
        let passed = known.filter_map(|(place, known)| {
            let register = self.copied_from(pc, base + 1 + place)?;
            // What is in the window is lost, and its base receives the result.
            (register < base).then_some(Passed {
                place,
                register,
                known: *known,
            })
        });
        passed.collect()
    }

    /// What a part wants of registers that are passed to it, and what is known about them.
    pub(super) fn wanted_by(&self, pc: u32, part: &Part) -> Few<(u16, Type)> {
        let Op::Function(call) = &self.function.code[pc as usize] else {
            return Few::new();
        };
        let (base, args) = window(call);
        let Some(wanted) = &part.types.at_start[0] else {
            return Few::new();
        };
        let given = part.place.entry.iter();
        let arguments = (0..args).zip(given.zip(wanted));
        let wanted =
            arguments.filter(|(_, (given, wanted))| given != wanted && can_be_taken_over(**wanted));
        let wanted = wanted.filter_map(|(place, (_, wanted))| {
            Some((self.copied_from(pc, base + 1 + place)?, *wanted))
        });
        wanted.collect()
    }

    /// The register that another is a copy of before an instruction, on every way to it.
    pub(super) fn copied_from(&self, pc: u32, register: u16) -> Option<u16> {
        let blocks = &self.place.blocks;
        let mut number = blocks.at(pc);
        let mut pc = pc;
        let (mut written, mut clobbered) = (Few::<u16>::new(), u16::MAX);
        for _ in 0..COPIES_WITHIN {
            while pc == blocks.all[number].start {
                number = blocks.only_way_to(number)?;
                pc = blocks.all[number].end;
            }
            pc -= 1;
            let op = &self.function.code[pc as usize];
            if let Op::Data(Data::Move { dst, src }) = op
                && dst.0 == register
            {
                let is_kept = !written.contains(&src.0) && src.0 < clobbered && src.0 != register;
                return is_kept.then_some(src.0);
            }
            op.accesses(|access| match access {
                Access::Write(register) => written.push(register),
                Access::Clobber(first) => clobbered = clobbered.min(first),
                Access::Read { .. } => {}
            });
            if written.contains(&register) || clobbered <= register {
                return None;
            }
        }
        None
    }
}

/// By register: whether neither an instruction of a function writes it nor a handler receives something in it, so that it
/// holds what it did when that was entered.
pub(super) fn kept(function: &Function) -> Vec<bool> {
    let mut kept = vec![true; usize::from(function.registers)];
    for handler in &function.handlers {
        kept[usize::from(handler.dst)] = false;
    }
    for op in &function.code {
        op.accesses(|access| match access {
            Access::Write(register) => kept[usize::from(register)] = false,
            Access::Clobber(first) => kept[usize::from(first)..].fill(false),
            Access::Read { .. } => {}
        });
    }
    kept
}

/// Whether this can be taken over for another register with the same value, in which nothing or less is known about it.
fn can_be_taken_over(known: Type) -> bool {
    !matches!(known, Type::Any | Type::Number | Type::Virtual(..))
}

/// Narrows types by what is known behind a call.
pub(super) fn narrow(passed: &[Passed], types: &mut [Type]) {
    for passed in passed {
        let known = &mut types[usize::from(passed.register)];
        if passed.tells_more_than(*known) {
            *known = passed.known;
        }
    }
}

impl Passed {
    fn tells_more_than(&self, known: Type) -> bool {
        known != self.known && known.made().is_none() && self.known.is_within(known)
    }
}

impl Lowering<'_, '_> {
    /// Hands the caller what is at hand about its registers where a part returns to it. Nothing is at hand where a part may
    /// return from another one, in place of its frame.
    pub(super) fn give_views(&mut self, to: &[Register], passed: &[Passed]) {
        let has_view = |passed: &&Passed| passed.known.elements().is_some();
        for passed in passed.iter().filter(has_view) {
            let from = self.scope.registers[usize::from(passed.place)];
            let to = to[usize::from(passed.register)];
            for (from, to) in from.views(to, passed.known) {
                let value = self.b.use_var(from);
                self.b.def_var(to, value);
            }
        }
    }

    /// Goes on behind a call with what is known about registers that were passed to it.
    pub(super) fn narrow(&mut self, passed: &[Passed]) {
        for passed in passed {
            let register = usize::from(passed.register);
            let known = self.now[register];
            if !passed.tells_more_than(known) {
                continue;
            }
            if passed.known == Type::Float && known == Type::Any {
                let variables = self.scope.registers[register];
                let bits = self.b.use_var(variables.bits);
                let float = self.b.ins().bitcast(F64, MemFlagsData::new(), bits);
                self.b.def_var(variables.float, float);
            }
            self.now[register] = passed.known;
        }
    }
}
