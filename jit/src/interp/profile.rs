//! What running programs teach: how often loops and functions are entered, and, in short bursts, which
//! kinds of values instructions see, which functions calls enter and where branches go.
//!
//! Each loop and function has a counter that counts down. At zero the fast loop stops there, and a burst
//! of instructions is observed one by one; then the counter starts over from twice as much. So a place
//! is looked at often while it is new, and always again, at a cost that vanishes.
//!
//! A profile belongs to one worker thread; nothing in it can reach a program.

use std::collections::BTreeMap;
use std::sync::Arc;

use pw_isa::op::Op;

pub use super::site::{Site, Target};

use super::form::InternalProgram;
use super::site::{read, wrote};
use crate::by_program::ByProgram;
use crate::code_space::CodeSpace;
use crate::fiber::Fiber;
use crate::memo::{Memo, MemoSettings};
use crate::reference;
use crate::tier::{CompileError, Jit, JitCompiler, JitSettings};

/// Entries of a loop or function before it is first observed.
const INTERVAL_FIRST: u32 = 8;
/// The same when nearly everything is to be compiled.
const INTERVAL_EAGER: u32 = 2;
/// Entries between two bursts, at most.
const INTERVAL_MAX: u32 = 1 << 18;
/// Instructions that are observed in a burst: as many as were passed four times, within these bounds, so that
/// the end of a long function is seen, too.
pub(crate) const BURST: u32 = 64;
/// See [`BURST`].
const BURST_MAX: u32 = 512;
/// Entries between two looks for native code that has been asked for, or that is to be entered again.
const INTERVAL_AWAITED: u32 = 256;
/// Instructions that are observed where nothing is to be learnt but that it runs.
const BURST_AT_REST: u32 = 2;
/// Texts whose last places as keys are remembered, about.
pub(crate) const TEXT_HINTS: usize = 4096;

/// When instructions are observed one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sampling {
    /// In bursts, when a counter has run down.
    Bursts,
    /// Also each time the fast loop has stopped: at every slice, and wherever it cannot go on.
    Stops,
}

/// When the fast loop stops at the entry and the loops of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    /// When a counter has run down, to look at a burst of instructions; then the counter starts over.
    Sampled,
    /// Often, but not to look: native code has been asked for.
    Awaited,
    /// The same, but there is native code, which is not entered for a while.
    Resting,
    /// Always: native code can be entered there.
    Pinned,
}

/// The counters of one program and what was seen in it.
#[derive(Debug, Default)]
struct ProgramProfile {
    /// Entries left until the next burst, by site.
    left: Vec<u32>,
    /// What `left` last started from.
    interval: Vec<u32>,
    /// Entries before that.
    passed: Vec<u64>,
    /// When the fast loop stops there: a pinned counter stays at zero.
    paces: Vec<Pace>,
    /// Entries at which the fast loop always stops, by site: what is really left of their counters.
    held: BTreeMap<usize, u32>,
    /// For every value of the program the entry of a map where it was last found as a key.
    hints: Vec<u32>,
    /// What was seen, by function and pc; nothing for a function of which nothing was.
    seen: Vec<Box<[Site]>>,
}

impl ProgramProfile {
    fn new(first: u32, program: &InternalProgram) -> ProgramProfile {
        let sites = program.sites.len();
        ProgramProfile {
            left: vec![first; sites],
            interval: vec![first; sites],
            passed: vec![0; sites],
            paces: vec![Pace::Sampled; sites],
            held: BTreeMap::new(),
            hints: vec![0; program.values.len()],
            seen: vec![Box::default(); program.functions.len()],
        }
    }

    /// Starts a counter over that has run down: how many instructions to observe; `None` when it has not.
    fn restart(&mut self, site: usize) -> Option<u32> {
        if self.left(site) > 0 || self.paces[site] == Pace::Pinned {
            return None;
        }
        let passed = self.interval[site];
        self.passed[site] += u64::from(passed);
        let (interval, burst) = match self.paces[site] {
            Pace::Awaited => (INTERVAL_AWAITED, 0),
            Pace::Resting => (INTERVAL_AWAITED, BURST_AT_REST),
            _ => (
                passed.saturating_mul(2).min(INTERVAL_MAX),
                passed.saturating_mul(4).clamp(BURST, BURST_MAX),
            ),
        };
        self.interval[site] = interval;
        self.set_left(site, interval);
        Some(burst)
    }

    /// Makes the fast loop stop at another pace.
    fn set_pace(&mut self, site: usize, pace: Pace) {
        if self.paces[site] == pace {
            return;
        }
        self.passed[site] = self.total(site);
        self.interval[site] = match pace {
            Pace::Sampled => INTERVAL_FIRST,
            Pace::Awaited | Pace::Resting => INTERVAL_AWAITED,
            Pace::Pinned => 0,
        };
        self.set_left(site, self.interval[site]);
        self.paces[site] = pace;
    }

    /// Counts an entry that the fast loop did not.
    fn pass(&mut self, site: u32) {
        // One that has run down stays so until somebody has looked.
        let site = site as usize;
        match self.left(site).checked_sub(1) {
            Some(left) => self.set_left(site, left),
            None => self.passed[site] += 1,
        }
    }

    /// Entries left until the next burst.
    fn left(&self, site: usize) -> u32 {
        self.held.get(&site).copied().unwrap_or(self.left[site])
    }

    fn set_left(&mut self, site: usize, left: u32) {
        match self.held.get_mut(&site) {
            Some(held) => *held = left,
            None => self.left[site] = left,
        }
    }

    fn total(&self, site: usize) -> u64 {
        self.passed[site] + u64::from(self.interval[site] - self.left(site))
    }
}

/// How often the interpreter has entered a function, and how many rounds each of its loops has gone there, by pc.
#[derive(Debug)]
pub(crate) struct Passes {
    pub(crate) entries: u64,
    pub(crate) loops: BTreeMap<u32, u64>,
}

/// What one worker has learnt.
#[derive(Debug)]
pub struct Profile {
    sampling: Sampling,
    /// The code space that everything here is about.
    space: Option<u64>,
    /// Entries before a place is first observed.
    first: u32,
    /// The native tier, where there is one.
    pub(crate) native: Option<Box<Jit>>,
    /// The memoisation, where there is one.
    pub(crate) memo: Option<Box<Memo>>,
    programs: ByProgram<ProgramProfile>,
    /// Entries of maps where texts were last found as keys.
    pub(super) text_hints: Box<[u32]>,
}

impl Default for Profile {
    fn default() -> Profile {
        Profile::new(Sampling::Bursts)
    }
}

impl Profile {
    /// A profile that knows nothing yet.
    pub fn new(sampling: Sampling) -> Profile {
        Profile {
            sampling,
            space: None,
            first: INTERVAL_FIRST,
            native: None,
            memo: None,
            programs: ByProgram::default(),
            text_hints: vec![0; TEXT_HINTS].into_boxed_slice(),
        }
    }

    /// A profile that also has what is hot compiled, by a compiler of its own. With a threshold of 0,
    /// nearly everything is.
    pub fn with_native(settings: JitSettings) -> Result<Profile, CompileError> {
        Ok(Profile::with_compiler(Arc::new(JitCompiler::new(
            settings,
        )?)))
    }

    /// A profile that also has what is hot compiled, by a compiler that several may share.
    pub fn with_compiler(compiler: Arc<JitCompiler>) -> Profile {
        Profile {
            first: if compiler.settings().threshold == 0 {
                INTERVAL_EAGER
            } else {
                INTERVAL_FIRST
            },
            native: Some(Box::new(Jit::new(compiler))),
            ..Profile::default()
        }
    }

    /// Makes sure that what is known is about this code: what was learnt from other code is forgotten.
    pub(super) fn belong_to(&mut self, code: &CodeSpace) {
        if self.space == Some(code.id) {
            return;
        }
        if self.space.is_some() {
            self.programs.clear();
            self.text_hints.fill(0);
            if let Some(native) = &mut self.native {
                native.forget();
            }
            if let Some(memo) = &mut self.memo {
                memo.forget();
            }
        }
        self.space = Some(code.id);
    }

    /// The native tier, where there is one.
    pub fn native(&self) -> Option<&Jit> {
        self.native.as_deref()
    }

    /// The same, and calls of pure functions that were made before are not run again.
    #[must_use]
    pub fn memoising(mut self, settings: MemoSettings) -> Profile {
        self.memo = Some(Box::new(Memo::new(settings)));
        self
    }

    /// The memoisation, where there is one.
    pub fn memo(&self) -> Option<&Memo> {
        self.memo.as_deref()
    }

    /// What the fast loop writes to: the counters of a program that it counts down, one a loop and one
    /// a function, and where it last found keys, one place for each of the program's values.
    #[inline(always)]
    pub(super) fn counters_and_hints(
        &mut self,
        number: u32,
        program: &InternalProgram,
    ) -> (&mut [u32], &mut [u32]) {
        let first = self.first;
        let new = || ProgramProfile::new(first, program);
        let profile = self.programs.get_or_insert_with(number, new);
        (&mut profile.left, &mut profile.hints)
    }

    /// The loops and entries of a program with their counts: function, pc of the `loop` (0 for an
    /// entry), count.
    pub fn counts(&self, code: &CodeSpace, number: u32) -> Vec<(u32, u32, u64)> {
        let sites = code.program(number).internal().sites.iter();
        let Some(profile) = self.programs.get(number) else {
            return sites.map(|(function, pc)| (*function, *pc, 0)).collect();
        };
        sites
            .enumerate()
            .map(|(site, (function, pc))| (*function, *pc, profile.total(site)))
            .collect()
    }

    /// What was observed at instructions: program, function and pc.
    pub fn sites(&self) -> impl Iterator<Item = ((u32, u32, u32), Site)> + '_ {
        self.programs.iter().flat_map(|(program, profile)| {
            (0..).zip(&profile.seen).flat_map(move |(function, sites)| {
                let observed = sites.iter().enumerate().filter(|(_, site)| site.count > 0);
                observed.map(move |(pc, site)| ((program, function, pc as u32), *site))
            })
        })
    }

    /// What was observed in a function, by pc; empty when nothing was.
    pub fn function(&self, program: u32, function: u32) -> &[Site] {
        let profile = self.programs.get(program);
        profile
            .and_then(|profile| profile.seen.get(function as usize))
            .map_or(&[], |sites| sites)
    }

    /// What was seen at the instructions of a function may hold no more: each forgets it when it is observed
    /// the next time.
    pub(crate) fn start_afresh(&mut self, program: u32, function: u32) {
        let profile = self.programs.get_mut(program);
        let sites = profile.and_then(|profile| profile.seen.get_mut(function as usize));
        for site in sites.into_iter().flatten() {
            site.is_stale = true;
        }
    }

    /// Makes the fast loop stop at the entry and loops of a function at another pace. It is pinned only where
    /// native code can be entered: at these loops. At others it goes at the second pace then.
    pub(crate) fn set_pace(
        &mut self,
        code: &CodeSpace,
        (program, function): (u32, u32),
        (pace, elsewhere): (Pace, Pace),
        loops: &[u32],
    ) {
        let sites = code.program(program).internal().sites.iter().enumerate();
        let profile = self.program(program, code);
        for (site, (_, pc)) in sites.filter(|(_, (of, _))| *of == function) {
            let is_entered = *pc == 0 || loops.contains(pc);
            let pace = match pace {
                Pace::Pinned if !is_entered => elsewhere,
                other => other,
            };
            profile.set_pace(site, pace);
        }
    }

    /// Makes the fast loop stop at every entry of a function, whether or not something is to be learnt there.
    pub(crate) fn hold(&mut self, code: &CodeSpace, program: u32, function: u32) {
        let site = entry_site(code, program, function);
        let profile = self.program(program, code);
        let left = profile.left(site);
        profile.held.insert(site, left);
        profile.left[site] = 0;
    }

    /// No longer.
    pub(crate) fn release(&mut self, code: &CodeSpace, program: u32, function: u32) {
        let site = entry_site(code, program, function);
        let profile = self.program(program, code);
        if let Some(left) = profile.held.remove(&site) {
            profile.left[site] = left;
        }
    }

    /// Whether the fast loop stops at every entry of a function.
    pub(crate) fn is_held(&self, code: &CodeSpace, program: u32, function: u32) -> bool {
        let profile = self.programs.get(program);
        profile.is_some_and(|profile| {
            !profile.held.is_empty()
                && profile
                    .held
                    .contains_key(&entry_site(code, program, function))
        })
    }

    /// Counts an entry at which the fast loop has stopped because it is held.
    pub(super) fn count_entry(&mut self, code: &CodeSpace, program: u32, function: u32) {
        let site = entry_site(code, program, function);
        self.program(program, code).pass(site as u32);
    }

    /// The most entries of a function or rounds of one of its loops.
    pub(crate) fn heat(&self, code: &CodeSpace, program: u32, function: u32) -> u64 {
        let sites = code.program(program).internal().sites.iter().enumerate();
        let Some(profile) = self.programs.get(program) else {
            return 0;
        };
        sites
            .filter(|(_, (of, _))| *of == function)
            .map(|(site, _)| profile.total(site))
            .max()
            .unwrap_or(0)
    }

    /// How often the interpreter has entered a function, and gone round those of its loops that it counts.
    pub(crate) fn passes(&self, code: &CodeSpace, program: u32, function: u32) -> Passes {
        let profile = self.programs.get(program);
        let total = |site| profile.map_or(0, |profile| profile.total(site));
        let internal = code.program(program).internal();
        let steps = &internal.functions[function as usize].code;
        let entry = entry_site(code, program, function);
        let sites = internal.sites.iter().enumerate();
        let loops = sites
            .filter(|(site, (of, _))| *of == function && *site != entry)
            .filter(|(_, (_, pc))| steps[*pc as usize].code.is_loop())
            .map(|(site, (_, pc))| (*pc, total(site)));
        Passes {
            entries: total(entry),
            loops: loops.collect(),
        }
    }

    /// How many instructions to observe where the fast loop has stopped. A counter that has run down
    /// starts over. `is_counted` says that the function entered there has been counted.
    pub(super) fn due(&mut self, fiber: &Fiber, code: &CodeSpace, is_counted: bool) -> u32 {
        let (program, function, pc) = fiber.position();
        let internal = &code.program(program).internal().functions[function as usize];
        let i = &internal.code[pc as usize];
        let of_loop = i.code.is_loop().then_some(i.imm as u32);
        let of_entry = (pc == 0).then_some(internal.entry_site);
        let least = u32::from(self.sampling == Sampling::Stops);
        if (of_loop.is_some() || of_entry.is_some())
            && let Some(profile) = self.programs.get_mut(program)
        {
            if let Some(burst) = of_loop.and_then(|site| profile.restart(site as usize)) {
                return burst.max(least);
            }
            if let Some(site) = of_entry
                && let Some(burst) = profile.restart(site as usize)
            {
                if !is_counted {
                    profile.pass(site);
                }
                return burst.max(least);
            }
        }
        least
    }

    /// Lets `step` run one instruction that the fast loop does not, and counts the loop or function it
    /// enters.
    pub(super) fn count<T>(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        step: impl FnOnce(&mut Fiber) -> T,
    ) -> T {
        let (program, function, pc) = fiber.position();
        let loaded = code.program(program);
        let i = &loaded.internal().functions[function as usize].code[pc as usize];
        let is_call = matches!(loaded.function(function).code[pc as usize], Op::Function(_));
        if i.code.is_loop() {
            self.program(program, code).pass(i.imm as u32);
        }
        let done = step(fiber);
        let (program, function, pc) = fiber.position();
        if is_call && pc == 0 {
            let callee = &code.program(program).internal().functions[function as usize];
            self.program(program, code).pass(callee.entry_site);
        }
        done
    }

    fn program(&mut self, number: u32, code: &CodeSpace) -> &mut ProgramProfile {
        let first = self.first;
        let new = || ProgramProfile::new(first, code.program(number).internal());
        self.programs.get_or_insert_with(number, new)
    }

    /// What was seen in a function that an instruction is about to be observed in.
    fn sites_of(&mut self, (program, function): (u32, u32), code: &CodeSpace) -> &mut [Site] {
        let sites = &mut self.program(program, code).seen[function as usize];
        if sites.is_empty() {
            let length = code.program(program).function(function).code.len();
            *sites = vec![Site::default(); length].into_boxed_slice();
        }
        sites
    }

    /// Lets `step` run one instruction, and looks at what it reads, does and writes.
    pub(super) fn observe<T>(
        &mut self,
        fiber: &mut Fiber,
        code: &CodeSpace,
        step: impl FnOnce(&mut Fiber) -> T,
    ) -> T {
        let (program, function, pc) = fiber.position();
        let op = code.program(program).function(function).code[pc as usize];
        let touched = op.registers();
        let depth = fiber.depth();
        let mut site = self.sites_of((program, function), code)[pc as usize];
        if site.is_stale {
            site.start_afresh();
        }
        site.count += 1;
        read(&mut site, fiber, code, &op, &touched);
        let done = self.count(fiber, code, step);
        let (_, function_after, pc_after) = fiber.position();
        let after = (fiber.depth(), function_after, pc_after);
        let is_done = after == (depth, function, pc + 1);
        let is_raised = !is_done && after != (depth, function, pc);
        site.raised += u64::from(is_raised && reference::can_try(&op));
        if fiber.depth() == depth && function_after == function {
            site.taken += u64::from(op.label() == Some(pc_after));
            if is_done {
                wrote(&mut site, fiber, &touched);
            }
        }
        self.sites_of((program, function), code)[pc as usize] = site;
        done
    }
}

/// The counter of a function's entries.
fn entry_site(code: &CodeSpace, program: u32, function: u32) -> usize {
    code.program(program).internal().functions[function as usize].entry_site as usize
}
