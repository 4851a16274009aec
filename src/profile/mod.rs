//! Where the gas and the time of a program go.
//!
//! A [`Profiler`] runs a fiber in short slices and looks at its frames between them. The slices are cut
//! by gas, so which samples are taken depends on the program alone: two runs show the same shares of
//! gas. How long each slice took is measured beside it.
//!
//! | file | what it holds |
//! |---|---|
//! | `sample` | the profiler: slices, and what the stops between them add up to |
//! | `report` | tables of functions, instructions and loops, the hottest first |
//! | `flame` | folded stacks, and the flame graph that is drawn from them |

mod flame;
mod report;
mod sample;

pub use flame::flame_graph;
pub use report::{
    FunctionRow, InstructionRow, ListedInstruction, LoopRow, Report, Seen, function_listing,
};
pub use sample::{Profiler, Weight};
