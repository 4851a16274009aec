//! When and how functions are compiled, and what that may cost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When and how functions are compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JitSettings {
    /// Entries of a function, or rounds of one of its loops, before it is compiled, if it is small.
    pub threshold: u64,
    /// Stays in native code that use less gas than this are not worth entering it.
    pub short_stay: u64,
    /// Whether a thread compiles while programs go on in the interpreter; otherwise they wait.
    pub background: bool,
    /// How hard the compiler tries.
    pub optimization_level: OptimizationLevel,
    /// What the compiler does to make code fast.
    pub optimizations: Optimizations,
    /// What compiling may cost.
    pub budget: CompilationBudget,
    /// Bytes of the thread's stack that native code may use; the thread must have them, and 128 KiB more for
    /// the engine itself. Deeper recursion goes on in the interpreter, at its speed.
    pub native_stack: u64,
    /// To test exits: code leaves at every so many-th exit that it would have passed by.
    pub forced_exits: Option<u64>,
    /// Whether the time in native code is measured, which costs some at every entry.
    pub timed: bool,
}

impl Default for JitSettings {
    /// A thread of its own, for what is hot.
    fn default() -> JitSettings {
        JitSettings {
            threshold: 500,
            short_stay: 200,
            background: true,
            optimization_level: OptimizationLevel::Speed,
            optimizations: Optimizations::default(),
            budget: CompilationBudget::default(),
            native_stack: 512 << 10,
            forced_exits: None,
            timed: false,
        }
    }
}

impl JitSettings {
    /// Nearly everything is compiled and entered, and programs wait for it: what happens does not depend on time.
    pub fn eager() -> JitSettings {
        JitSettings::default().made_eager()
    }

    /// The same for these settings.
    #[must_use]
    pub fn made_eager(self) -> JitSettings {
        JitSettings {
            threshold: 0,
            short_stay: 0,
            background: false,
            ..self
        }
    }
}

/// What the compiler does to make code fast, each of which can be left out: to measure what it gains, and to
/// find out what is to blame for a fault. Results, gas and states are the same without.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Optimizations {
    /// The code of small functions stands in place of their calls.
    pub inline: bool,
    /// Guesses about what a loop does not change are made on the way into it, and what follows from them is
    /// looked up there: where the elements of vectors stand.
    pub hoist: bool,
    /// Tests of overflow and of indexes are left out where it is proved that they would pass, and pairs and closures
    /// are not made where they do not escape.
    pub elide: bool,
    /// Running loops are entered.
    pub osr: bool,
    /// What was found the last time is tried first: entries of maps, and the functions that calls enter.
    pub caches: bool,
}

impl Default for Optimizations {
    /// All.
    fn default() -> Optimizations {
        Optimizations {
            inline: true,
            hoist: true,
            elide: true,
            osr: true,
            caches: true,
        }
    }
}

/// How hard the compiler tries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OptimizationLevel {
    /// Compiles fast.
    None,
    /// For fast code.
    #[default]
    Speed,
    /// For fast code, and among equals for short code.
    SpeedAndSize,
}

impl OptimizationLevel {
    /// What Cranelift calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            OptimizationLevel::None => "none",
            OptimizationLevel::Speed => "speed",
            OptimizationLevel::SpeedAndSize => "speed_and_size",
        }
    }
}

/// What compiling may cost. Beyond it programs go on in the interpreter, with the same results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompilationBudget {
    /// Time spent compiling, in all; when it is used up, nothing more is compiled.
    pub time: Duration,
    /// Bytes of memory for native code, whole pages; when they are used up, the coldest code goes.
    pub code_bytes: u64,
}

impl Default for CompilationBudget {
    /// 64 MiB, and all the time it takes.
    fn default() -> CompilationBudget {
        CompilationBudget {
            time: Duration::MAX,
            code_bytes: 64 << 20,
        }
    }
}
