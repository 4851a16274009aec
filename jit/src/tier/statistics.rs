//! What a worker's native tier did so far.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CompilerStatistics, ExitReason, Jit};

/// What happened so far.
#[derive(Clone, Debug, Default)]
pub struct JitStatistics {
    /// In the compiler, for all workers that share it.
    pub compiler: CompilerStatistics,
    /// Entries of this worker into native code.
    pub entries: u64,
    /// Gas that was used there, with what the interpreter used under native frames.
    pub gas: u64,
    /// Its time there, with what the interpreter did under native frames; 0 unless the settings say that
    /// it is measured.
    pub native_time: Duration,
    /// Its exits by reason.
    pub exits: BTreeMap<ExitReason, u64>,
}

/// Where and why native code was left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitSite {
    /// The program's number.
    pub program: u32,
    /// The function's number in it.
    pub function: u32,
    /// The instruction before which the fiber stood.
    pub pc: u32,
    /// Why.
    pub reason: ExitReason,
    /// How often.
    pub count: u64,
}

impl Jit {
    /// What happened so far.
    pub fn statistics(&self) -> JitStatistics {
        let mut exits = BTreeMap::new();
        for site in self.exits() {
            *exits.entry(site.reason).or_default() += site.count;
        }
        JitStatistics {
            compiler: self.compiler.statistics(),
            entries: self.entries,
            gas: self.gas,
            native_time: self.native_time,
            exits,
        }
    }

    /// Where and why native code was left, by program, function and instruction.
    pub fn exits(&self) -> impl Iterator<Item = ExitSite> + '_ {
        let functions = self.programs.iter().flat_map(|(program, state)| {
            let functions = (0..).zip(&state.functions);
            functions.map(move |(function, state)| (program, function, state))
        });
        functions.flat_map(|(program, function, state)| {
            state
                .exits
                .iter()
                .map(move |((pc, reason), count)| ExitSite {
                    program,
                    function,
                    pc: *pc,
                    reason: *reason,
                    count: *count,
                })
        })
    }
}
