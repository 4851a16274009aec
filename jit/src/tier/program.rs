//! What a worker knows about the native code of a program: its code table, and of each function its code,
//! why that was left, and whether it is worth being entered.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::function::CompiledFunction;
use super::loops::Rounds;
use crate::code_space::CodeSpace;
use crate::compile::state::{BY_CALL, Entries, ExitReason, FIRST_LOOP};
use crate::interp::profile::Passes;

/// Failed guesses at one instruction before its function is compiled again.
const FAILURES: u64 = 4;
/// Failed guesses at one instruction before there is no guess about it any more.
const FAILURES_MAX: u32 = 16;
/// Gas that native code uses before a function that leaves its code by a wrong guess is taken to do something else
/// from then on: enough to be worth compiling it anew.
const GAS_OF_PHASE: u64 = 5_000_000;
/// Each time it takes this many times as much as the one before, so that a function that goes back and forth is compiled for
/// all that it does.
const GROWTH_OF_PHASE: u64 = 4;
/// So often at most: beside what is done in so much gas a compilation is nothing.
const GROWTHS_OF_PHASE: u32 = 2;
/// Entries into native code that are worth nothing before a function rests, and how many of them stays that
/// were worth more make up for at most.
const LOSSES: i64 = 8;
/// See [`LOSSES`].
const GAINS: i64 = 2048;
/// Stays that are worth so much more make up for all rests so far.
const GAINS_TO_FORGET: i64 = 32;
/// Entries or rounds for which it rests, half of them; doubled each time, so often at most.
const HEAT_OF_REST: u64 = 128;
/// See [`HEAT_OF_REST`].
const RESTS_MAX: u32 = 7;
/// Instructions of a function that the threshold is for; a larger one must be hotter.
const INSTRUCTIONS_OF_THRESHOLD: u64 = 32;

/// What a worker knows about the native code of one function.
#[derive(Debug, Default)]
pub(super) struct FunctionState {
    pub(super) native: Option<Arc<CompiledFunction>>,
    /// The engine does not enter its native code until it is much hotter: the stays there were too short.
    pub(super) rests: bool,
    rests_so_far: u32,
    /// Gas that stays in its native code have used more than they are worth.
    balance: i64,
    /// What the worker's native code had used when that of this function was taken into use.
    installed_at: u64,
    /// How often the gas of its next phase has grown.
    growths: u32,
    /// A request has not been answered yet.
    pub(super) is_pending: bool,
    pub(super) compilations: u32,
    pub(super) evictions: u32,
    /// How hot it must be to be compiled once it was evicted, or to be entered again.
    pub(super) wanted_heat: u64,
    pub(super) gave_up: bool,
    /// Failed guesses about its instructions, by pc.
    failures: BTreeMap<u32, u32>,
    /// How often instructions had been seen to fail when its code was last left there for an operation aside, by pc.
    raised: BTreeMap<u32, u64>,
    /// Failed guesses in its body since it was last compiled, by function, pc and reason.
    pub(super) failed: BTreeMap<(u32, u32, ExitReason), u64>,
    /// Instructions about which nothing is guessed, in ascending order.
    pub(super) generic: Vec<u32>,
    /// Exits by pc and reason.
    pub(super) exits: BTreeMap<(u32, ExitReason), u64>,
    /// The loops that its code was to be entered at when it was last asked for.
    pub(super) asked_loops: Vec<u32>,
    /// What its loops had gone when its code was taken into use, or was entered again after a rest.
    pub(super) rounds: Rounds,
}

/// The native code of one program.
pub(super) struct ProgramState {
    /// Addresses, one a function: the table may go from thread to thread with its tier.
    pub(super) table: Vec<usize>,
    /// By function: parameters (or `u32::MAX`), and registers with captures in the upper half.
    pub(super) shapes: Vec<[u32; 2]>,
    pub(super) functions: Vec<FunctionState>,
}

impl FunctionState {
    /// A guess about an instruction was wrong; after some more there is none any more.
    pub(super) fn note_failure(&mut self, pc: u32) {
        let failures = self.failures.entry(pc).or_default();
        *failures += 1;
        if *failures >= FAILURES_MAX {
            self.make_generic(pc);
        }
    }

    /// Nothing is guessed about an instruction any more; whether something was until now.
    fn make_generic(&mut self, pc: u32) -> bool {
        let place = self.generic.binary_search(&pc);
        if let Err(place) = place {
            self.generic.insert(place, pc);
        }
        place.is_err()
    }

    /// Its code is left before an instruction that has been seen to fail so often. Whether it has failed since it was left
    /// there the last time, which code that expects it need not be left for.
    pub(super) fn note_raised(&mut self, pc: u32, raised: u64) -> bool {
        let before = self.raised.insert(pc, raised);
        let is_generic = self.generic.binary_search(&pc).is_ok();
        before.is_some_and(|before| before < raised) && !is_generic
    }

    /// Its code was asked for, with ways into these loops.
    pub(super) fn asked(&mut self, loops: Vec<u32>) {
        self.is_pending = true;
        self.compilations += 1;
        self.asked_loops = loops;
    }

    /// Its code was taken into use, when native code had used so much gas.
    pub(super) fn installed(&mut self, gas: u64) {
        self.failed.clear();
        self.installed_at = gas;
    }

    /// A guess about the kinds or functions that it sees was wrong, when native code had used so much gas.
    /// Whether no guess in this code was wrong for long: then a new phase begins.
    pub(super) fn begin_phase(&mut self, gas: u64) -> bool {
        let least = GAS_OF_PHASE * GROWTH_OF_PHASE.pow(self.growths);
        let begins = self.failed.is_empty() && gas >= self.installed_at.saturating_add(least);
        if begins {
            self.growths = (self.growths + 1).min(GROWTHS_OF_PHASE);
            self.compilations = 0;
        }
        begins
    }

    /// Guesses about its instructions are made again that were wrong before.
    pub(super) fn forget_failures(&mut self) {
        self.failures.clear();
        self.generic.clear();
    }

    /// Whether guesses at an instruction were wrong too often since it was compiled.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.values().any(|count| *count >= FAILURES)
    }

    /// The wrong guesses that say so: function, pc, reason, count.
    pub(super) fn wrong_guesses(&self) -> Vec<(u32, u32, ExitReason, u64)> {
        let failed = self.failed.iter().filter(|(_, count)| **count >= FAILURES);
        failed
            .map(|((function, pc, reason), count)| (*function, *pc, *reason, *count))
            .collect()
    }
}

impl FunctionState {
    /// How hot it must be to be compiled, when small functions must be as hot as that: what compiling costs
    /// grows with the function.
    pub(super) fn heat_to_compile(&self, threshold: u64, instructions: usize) -> u64 {
        heat_of_size(threshold, instructions).max(self.wanted_heat)
    }

    /// Loops that its code should be entered at, but was not made to be, when small functions must be as hot as that.
    pub(super) fn lacking(
        &self,
        threshold: u64,
        instructions: usize,
        passes: impl FnOnce() -> Passes,
    ) -> Vec<u32> {
        if self.native.is_none() || self.rests {
            return Vec::new();
        }
        let heat = heat_of_size(threshold, instructions);
        self.rounds.lacking(&passes(), &self.asked_loops, heat)
    }

    /// A stay in native code that was entered at this function has used so much gas. Whether it is to rest:
    /// stays of less than `worth` are a loss, and there were too many for what others have gained.
    pub(super) fn note_stay(&mut self, gas: u64, worth: u64) -> bool {
        let (gas, worth) = (gas.min(1 << 32) as i64, worth.min(1 << 32) as i64);
        self.balance = (self.balance + gas - worth).min(GAINS * worth);
        if self.balance >= GAINS_TO_FORGET * worth {
            self.rests_so_far = 0;
        }
        self.balance <= -LOSSES * worth && worth > 0 && self.native.is_some() && !self.rests
    }

    /// It is not entered before it is hotter than now, each time much hotter, or compiled anew.
    pub(super) fn rest(&mut self, heat: u64) {
        self.rests = true;
        self.balance = 0;
        self.rests_so_far = (self.rests_so_far + 1).min(RESTS_MAX);
        let wait = HEAT_OF_REST << self.rests_so_far;
        self.wanted_heat = heat.saturating_add(wait);
    }
}

/// How hot a function must be to be compiled, when small ones must be as hot as that.
fn heat_of_size(threshold: u64, instructions: usize) -> u64 {
    let size = 1 + instructions as u64 / INSTRUCTIONS_OF_THRESHOLD;
    threshold.saturating_mul(size)
}

impl Entries for ProgramState {
    fn entry(&self, function: u32, pc: u32) -> Option<(*const u8, u32)> {
        let of_function = &self.functions[function as usize];
        if of_function.rests {
            return None;
        }
        let native = of_function.native.as_ref()?;
        let entry = match native.loops().iter().position(|at| *at == pc) {
            Some(place) => FIRST_LOOP + place as u32,
            None if pc == 0 => BY_CALL,
            None => return None,
        };
        Some((native.start(), entry))
    }
}

impl ProgramState {
    /// Guesses in the body of a function that have failed are made no more; whether some were until now.
    pub(super) fn give_up_guesses(&mut self, function: u32) -> bool {
        let failed = self.functions[function as usize].wrong_guesses();
        failed.into_iter().fold(false, |any, (function, pc, ..)| {
            self.functions[function as usize].make_generic(pc) | any
        })
    }

    pub(super) fn new(space: &CodeSpace, program: u32) -> ProgramState {
        let functions = &space.program(program).program().functions;
        let shapes = functions.iter().map(|function| {
            let params = if function.rest {
                u32::MAX
            } else {
                u32::from(function.params)
            };
            let registers = u32::from(function.registers);
            [params, registers | u32::from(function.captures) << 16]
        });
        ProgramState {
            table: Vec::new(),
            shapes: shapes.collect(),
            functions: functions.iter().map(|_| FunctionState::default()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_with_each_kind_for_long_begins_a_phase_however_often_it_has_changed() {
        let (mut state, mut gas) = (FunctionState::default(), 0);
        let least = [5_000_000, 20_000_000, 80_000_000];
        for number in 0..100 {
            let least = least[number.min(2)];
            state.installed(gas);
            assert!(!state.begin_phase(gas + least - 1), "{number}");
            gas += least;
            assert!(state.begin_phase(gas), "{number}");
        }
    }
}
