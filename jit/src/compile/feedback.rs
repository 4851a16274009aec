//! What a compilation knows about the way its function runs: a copy, so that it can be made on any thread.
//!
//! It covers the function and every function of its program that could become part of its code: those it
//! calls by name, those that its call sites entered, and what these call, to a fixed depth.

use std::collections::BTreeMap;

use pw_isa::Link;
use pw_isa::op::{Function as Call, Op};

use crate::code_space::LoadedProgram;
use crate::interp::profile::{Site, Target};

/// Calls between a function and one that can become part of its code.
const DEPTH_MAX: u32 = 3;

/// What is known about one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FunctionFeedback {
    /// What was seen at its instructions, by pc; empty when nothing was. Counts are rounded.
    sites: Vec<Site>,
    /// Instructions about which guesses have failed too often, in ascending order.
    generic: Vec<u32>,
    /// Its calls are to be made as such: it is not to become part of others.
    is_apart: bool,
}

impl FunctionFeedback {
    /// What was seen at a function's instructions, which of them are not to be guessed about, and whether its
    /// calls are to be made as such.
    pub(crate) fn new(sites: &[Site], generic: &[u32], is_apart: bool) -> FunctionFeedback {
        FunctionFeedback {
            sites: sites.iter().map(rounded).collect(),
            generic: generic.to_vec(),
            is_apart,
        }
    }

    /// What was seen at an instruction, if it is known.
    pub(crate) fn site(&self, pc: u32) -> Option<&Site> {
        self.sites.get(pc as usize)
    }

    /// Whether nothing is to be guessed about an instruction any more.
    pub(crate) fn is_generic(&self, pc: u32) -> bool {
        self.generic.binary_search(&pc).is_ok()
    }

    /// Whether its calls are to be made as such.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_apart
    }

    fn write(&self, out: &mut Vec<u8>) {
        let word = |out: &mut Vec<u8>, value: u64| out.extend_from_slice(&value.to_le_bytes());
        let seen = self.sites.iter().enumerate();
        for (pc, site) in seen.filter(|(_, site)| **site != Site::default()) {
            let (target, program) = match site.target {
                Target::None => (0, 0),
                Target::One(program, _) => (1, program),
                Target::Many => (2, 0),
                Target::Few(program, _) => (3, program),
            };
            let functions = site.target.functions(program);
            let target = [target, u64::from(program), functions.len() as u64];
            let target = target
                .into_iter()
                .chain(functions.into_iter().map(u64::from));
            let kinds = [site.kinds, site.result].into_iter().chain(site.operands);
            let kinds = kinds.map(|set| u64::from(set.0));
            let objects = u64::from(site.elements) | u64::from(site.has_constants) << 7;
            let seen = objects | site.raised << 8;
            let counts = [pc as u64, site.count, site.taken, seen];
            let all = counts.into_iter().chain(target).chain(kinds);
            all.for_each(|value| word(out, value));
        }
        word(out, u64::MAX - u64::from(self.is_apart));
        word(out, self.generic.len() as u64);
        self.generic.iter().for_each(|pc| word(out, u64::from(*pc)));
    }
}

/// A site whose counts say only how large they are, about: two runs of a program that were observed at
/// different moments know the same then, and share code.
fn rounded(site: &Site) -> Site {
    let count = match site.count {
        0 => 0,
        count => 2 << (count.ilog2() / 4 * 4),
    };
    let taken = match site.taken {
        0 => 0,
        taken if taken == site.count => count,
        _ => count / 2,
    };
    Site {
        count,
        taken,
        raised: site.raised.min(1),
        is_stale: false,
        ..*site
    }
}

/// What is known about a function and those it could hold, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Feedback {
    functions: BTreeMap<u32, FunctionFeedback>,
    /// The loops of the function at which its code is to be entered, by pc in ascending order.
    loops: Vec<u32>,
}

impl Feedback {
    /// Copies what `of` knows about a function of a program, which is to be entered at these loops (in ascending order), and
    /// about all that it could hold.
    pub(crate) fn gather(
        program: &LoadedProgram,
        number: u32,
        function: u32,
        loops: Vec<u32>,
        of: impl Fn(u32) -> FunctionFeedback,
    ) -> Feedback {
        let mut functions = BTreeMap::new();
        let mut level = vec![function];
        for depth in 0..=DEPTH_MAX {
            let mut next = Vec::new();
            for function in level {
                if functions.contains_key(&function) {
                    continue;
                }
                let known = of(function);
                if depth < DEPTH_MAX {
                    next.extend(callees(program, number, function, &known.sites));
                }
                functions.insert(function, known);
            }
            level = next;
        }
        Feedback { functions, loops }
    }

    /// A hash of it all.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut out = (self.loops.len() as u64).to_le_bytes().to_vec();
        self.loops
            .iter()
            .for_each(|pc| out.extend_from_slice(&pc.to_le_bytes()));
        for (function, known) in &self.functions {
            out.extend_from_slice(&function.to_le_bytes());
            known.write(&mut out);
        }
        blake3::derive_key("physics-world feedback 2", &out)
    }

    /// Whether the code of the function is to be entered at a loop. At its beginning it is always.
    pub(crate) fn is_entered_at(&self, pc: u32) -> bool {
        pc == 0 || self.loops.binary_search(&pc).is_ok()
    }

    /// What is known about one of the functions.
    pub(crate) fn of(&self, function: u32) -> Option<&FunctionFeedback> {
        self.functions.get(&function)
    }
}

/// The functions of the program that a function calls by name, and those that its other calls entered, where
/// they are few.
fn callees(program: &LoadedProgram, number: u32, function: u32, sites: &[Site]) -> Vec<u32> {
    let code = program.function(function).code.iter();
    let called = code.enumerate().flat_map(|(pc, op)| match op {
        Op::Function(Call::Call { function: link, .. } | Call::TailCall { function: link, .. }) => {
            match program.link(function, link.0) {
                Link::Function(callee) => vec![callee],
                Link::Global(_) => Vec::new(),
            }
        }
        Op::Function(Call::CallClosure { .. } | Call::TailCallClosure { .. }) => {
            let site = sites.get(pc);
            site.map_or(Vec::new(), |site| site.target.functions(number))
        }
        _ => Vec::new(),
    });
    called.collect()
}
