//! What running programs teach: how often loops and functions are entered, and, in short bursts, which
//! kinds of values instructions see, which functions calls enter and where branches go.
//!
//! A profile belongs to one worker thread; nothing in it can reach a program.

use std::collections::BTreeMap;

use pw_isa::op::{Access, Op};
use pw_isa::{Kind, KindSet};

use super::form::InternalProgram;
use crate::code_space::CodeSpace;
use crate::fiber::Fiber;

/// What was seen at one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Site {
    /// How often it was observed.
    pub count: u64,
    /// The kinds of the values it read, all operands together.
    pub kinds: KindSet,
    /// The function that its call entered, when it was always the same one: program and function.
    pub target: Target,
}

/// What a call site entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Target {
    /// Nothing yet.
    #[default]
    None,
    /// Always this function of this program.
    One(u32, u32),
    /// Several.
    Many,
}

/// When instructions are observed one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sampling {
    /// Never.
    Off,
    /// Each time the loop is entered: at every slice, and wherever it stopped.
    Entries,
}

/// What one worker has learnt.
#[derive(Debug)]
pub struct Profile {
    sampling: Sampling,
    counters: BTreeMap<u32, Vec<u32>>,
    sites: BTreeMap<(u32, u32, u32), Site>,
}

impl Default for Profile {
    fn default() -> Profile {
        Profile::new(Sampling::Off)
    }
}

impl Profile {
    /// A profile that knows nothing yet.
    pub fn new(sampling: Sampling) -> Profile {
        Profile {
            sampling,
            counters: BTreeMap::new(),
            sites: BTreeMap::new(),
        }
    }

    /// The counters of a program: one a loop, one a function.
    pub(super) fn counters(&mut self, number: u32, program: &InternalProgram) -> &mut [u32] {
        self.counters
            .entry(number)
            .or_insert_with(|| vec![0; program.sites.len()])
    }

    /// The loops and entries of a program with their counts: function, pc of the `loop` (0 for an
    /// entry), count modulo 2^32.
    pub fn counts(&self, code: &CodeSpace, number: u32) -> Vec<(u32, u32, u32)> {
        let sites = &code.program(number).internal().sites;
        let counters = self.counters.get(&number).map_or(&[][..], Vec::as_slice);
        sites
            .iter()
            .zip(counters)
            .map(|((function, pc), count)| (*function, *pc, *count))
            .collect()
    }

    /// What was observed at instructions: program, function and pc.
    pub fn sites(&self) -> impl Iterator<Item = ((u32, u32, u32), Site)> + '_ {
        self.sites.iter().map(|(place, site)| (*place, *site))
    }

    /// Looks at the instruction that a fiber is about to run.
    pub(super) fn observe(&mut self, fiber: &Fiber, code: &CodeSpace) {
        if self.sampling == Sampling::Off {
            return;
        }
        let (program, function, pc) = fiber.position();
        let op = &code.program(program).function(function).code[pc as usize];
        let site = self.sites.entry((program, function, pc)).or_default();
        site.count += 1;
        let frame = fiber.frames().next();
        op.accesses(|access| {
            if let (Access::Read { first, count }, Some(frame)) = (access, frame) {
                for register in first..first + count {
                    let kind: Kind = fiber.register(&frame, register).kind();
                    site.kinds = KindSet(site.kinds.0 | KindSet::of(&[kind]).0);
                }
            }
        });
        if let Op::Function(pw_isa::op::Function::CallClosure { window }) = op
            && let Some(frame) = frame
            && let Some((program, function)) = fiber
                .heap(code)
                .closure(fiber.register(&frame, window.base))
        {
            site.target = match site.target {
                Target::None => Target::One(program, function),
                known if known == Target::One(program, function) => known,
                _ => Target::Many,
            };
        }
    }
}
