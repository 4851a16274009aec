//! What happens in the native tier, as it happens: for logs and for tools that need names of code.

use std::fmt;
use std::time::Duration;

use super::function::CompiledFunction;
use crate::code::store::StoreError;
use crate::compile::CompileError;
use crate::compile::state::ExitReason;

/// Is told what happens. Workers and the compiler's thread call it, so it should be quick.
pub trait Watch: Send + Sync {
    /// Something has happened.
    fn event(&self, event: &JitEvent<'_>);
}

/// Something that happened in the native tier.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum JitEvent<'a> {
    /// There is code for a function.
    Compiled {
        /// The code.
        function: &'a CompiledFunction,
        /// How long it took to make.
        time: Duration,
    },
    /// There was code for a function in the directory of kept code.
    Loaded {
        /// The code.
        function: &'a CompiledFunction,
    },
    /// There is no code for a function.
    Failed {
        /// What the program calls it.
        function: &'a str,
        /// Why.
        error: &'a CompileError,
    },
    /// Guesses of a function's code were wrong so often, or the interpreter has stayed so long where it cannot be entered,
    /// that it is compiled again.
    Recompiling {
        /// What the program calls it.
        function: &'a str,
        /// Where and why its code was left, and how often: function, pc, reason and count. The function is
        /// it itself, or one that is inlined in it.
        exits: &'a [(u32, u32, ExitReason, u64)],
        /// The loops, by pc, that it could not be entered at.
        loops: &'a [u32],
    },
    /// Kept code cannot be used, or code cannot be kept; it is compiled, and goes without.
    NotKept {
        /// Why.
        error: &'a StoreError,
    },
    /// The code of a function had to make room.
    Evicted {
        /// The code.
        function: &'a CompiledFunction,
    },
}

impl fmt::Display for JitEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JitEvent::Compiled { function, time } => write!(
                f,
                "compiled {}: {} instructions, {} bytes, {} entries, {:.3} ms",
                function.name(),
                function.instructions(),
                function.machine_code().len(),
                function.loops().len() + 1,
                time.as_secs_f64() * 1e3
            ),
            JitEvent::Loaded { function } => write!(
                f,
                "loaded {}: {} bytes",
                function.name(),
                function.machine_code().len()
            ),
            JitEvent::Failed { function, error } => write!(f, "not compiled {function}: {error}"),
            JitEvent::Recompiling {
                function,
                exits,
                loops,
            } => {
                write!(f, "recompiling {function}:")?;
                for (of, pc, reason, count) in *exits {
                    let reason = reason.name();
                    write!(f, " left #{of} at {pc} ({reason}, {count} times)")?;
                }
                loops
                    .iter()
                    .try_for_each(|pc| write!(f, " no way into the loop at {pc}"))
            }
            JitEvent::NotKept { error } => write!(f, "{error}"),
            JitEvent::Evicted { function } => write!(
                f,
                "evicted {}: {} bytes",
                function.name(),
                function.machine_code().len()
            ),
        }
    }
}
