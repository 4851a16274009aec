//! Where the gas of one actor goes: its place at every multiple of a distance in gas, the same places in every run.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use pw_jit::failure::Place;
use pw_jit::{CodeSpace, Fiber};

/// Gas between samples: a prime, so that no loop is in step with it.
const EVERY: u64 = 1_009;

/// Counts where an actor is.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampler {
    /// Gas by program, function and pc.
    places: BTreeMap<(u32, u32, u32), u64>,
    /// The gas at the latest sample.
    last: u64,
}

impl Sampler {
    /// A sampler that begins at this gas.
    pub(super) fn new(gas_used: u64) -> Sampler {
        Sampler {
            places: BTreeMap::new(),
            last: gas_used / EVERY * EVERY,
        }
    }

    /// The gas of the next sample.
    pub(super) fn next(&self) -> u64 {
        self.last.saturating_add(EVERY)
    }

    /// Takes the samples that are due up to this gas, which no instruction can begin before. Gas that is used beyond the place of one
    /// was used by the work of the instruction just done, which gets all that fall into it.
    pub(super) fn note(&mut self, fiber: &Fiber, reached: u64) {
        let due = reached.saturating_sub(self.last) / EVERY * EVERY;
        if due == 0 {
            return;
        }
        let (program, function, pc) = fiber.position();
        let is_behind = fiber.gas_used() > self.next() && pc > 0;
        let place = (program, function, pc - u32::from(is_behind));
        *self.places.entry(place).or_default() += due;
        self.last += due;
    }

    /// What was found.
    pub(super) fn profile(&self, code: &CodeSpace) -> ActorProfile {
        let place =
            |(program, function, pc): (u32, u32, u32)| Place::at(code, program, function, pc);
        let mut functions: BTreeMap<String, u64> = BTreeMap::new();
        let mut lines: BTreeMap<(Option<String>, Option<u32>, String), u64> = BTreeMap::new();
        for (at, gas) in &self.places {
            let place = place(*at);
            *functions.entry(place.function.clone()).or_default() += gas;
            *lines
                .entry((place.file, place.line, place.function))
                .or_default() += gas;
        }
        let mut profile = ActorProfile {
            gas: self.places.values().sum(),
            functions: rows(
                functions
                    .into_iter()
                    .map(|(function, gas)| (function, None, None, gas)),
            ),
            lines: rows(
                lines
                    .into_iter()
                    .map(|((file, line, function), gas)| (function, file, line, gas)),
            ),
        };
        profile.functions.sort_by_key(|row| Reverse(row.gas));
        profile.lines.sort_by_key(|row| Reverse(row.gas));
        profile
    }
}

fn rows(rows: impl Iterator<Item = (String, Option<String>, Option<u32>, u64)>) -> Vec<ProfileRow> {
    let rows = rows.map(|(function, file, line, gas)| ProfileRow {
        function,
        file,
        line,
        gas,
    });
    rows.collect()
}

/// Where the gas of an actor went while it was profiled.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ActorProfile {
    /// Gas that the samples stand for.
    pub gas: u64,
    /// By function, the hottest first.
    pub functions: Vec<ProfileRow>,
    /// By line, the hottest first.
    pub lines: Vec<ProfileRow>,
}

/// A function or a line with its own gas.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProfileRow {
    /// The function.
    pub function: String,
    /// The file of the line, if known.
    pub file: Option<String>,
    /// The line, if known.
    pub line: Option<u32>,
    /// Gas that was used there, callees apart.
    pub gas: u64,
}
