//! Checkpoints: the state of a world at a tick, as bytes.
//!
//! | file | what it holds |
//! |---|---|
//! | `sections` | the parts of a state |
//! | `file` | the format of checkpoint files |
//! | `keeper` | the thread that writes them, and which are kept |
//! | `load` | the newest state that can be read |
//! | `saved` | the actors of a state, before they are read |
//! | `system` | checkpoints in memory, and going back to them |

mod file;
mod keeper;
mod load;
mod saved;
mod sections;
mod system;

pub(crate) use file::{Block, BlockKind, Head, Part};
pub(crate) use keeper::{Keeper, KeeperSettings, Published, write_whole};
pub(crate) use load::{CHAIN_MAX, Loaded, heads_of, infos, load, name_of, names_of};
pub use load::{CheckpointFlaw, CheckpointInfo};
pub(crate) use saved::{Portion, SavedActor, SavedActors, SavedPages};
pub(crate) use sections::Sections;
pub use sections::{
    SerializedActorState, SerializedCapabilityState, SerializedSystemState, SystemCheckpoint,
};
pub use system::{FaultToleranceSystem, RecoveryStrategy};

/// What gas, collections, library functions and orders are like: a history says with which of them its programs ran, and is refused by
/// an engine that has others.
///
/// | version | change |
/// |---|---|
/// | 1 | first |
pub const SEMANTICS: u16 = 1;

/// Why a world was not recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The disk failed.
    #[error("{what}: {error}")]
    Disk {
        /// What was done.
        what: String,
        /// How.
        error: std::io::Error,
    },
    /// There is no checkpoint that can be read.
    #[error("no checkpoint can be read{}", flaws_text(.0))]
    NoCheckpoint(Vec<CheckpointFlaw>),
    /// A state that no world wrote.
    #[error("{part}: {error}")]
    State {
        /// Which part of it.
        part: String,
        /// What is wrong.
        error: pw_isa::wire::DecodeError,
    },
    /// Parts of a state that do not fit to each other.
    #[error("the state contradicts itself: {0}")]
    Contradiction(String),
    /// A program of the history is not what this engine accepts.
    #[error("a program of the history: {0}")]
    Program(String),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// There is no world that could have the history.
    #[error(transparent)]
    World(#[from] crate::world::BuildError),
    /// A tick has ended too many processes: a fault of the engine.
    #[error(
        "tick {tick} has ended the process {crashes} times, once in the reference interpreter: this is a fault of the engine; \
         the world is halted, and `{bundle}` in its directory shows the tick"
    )]
    Halted {
        /// Ticks before it.
        tick: u64,
        /// How many processes have ended in it.
        crashes: u32,
        /// A bundle with the state before it and the inputs up to it.
        bundle: String,
    },
    /// The embedder has no such function, or one of another class or capability.
    #[error("the state needs the function `{0}`, as it was registered then")]
    NoFunction(String),
    /// The history was done again and came to another state than there had been.
    #[error(
        "done again, the history comes to another state: up to tick {agreed} it is as it was, at tick {tick} it is not; \
         records {from} to {record} of the journal came between"
    )]
    Diverged {
        /// The last tick at which states are known to agree.
        agreed: u64,
        /// The first at which they are known not to.
        tick: u64,
        /// The number of the first record of the tick at which they agree.
        from: u64,
        /// That of the record that has the trajectory as it was.
        record: u64,
    },
    /// The history cannot be taken back so, for this reason.
    #[error("no rollback: {0}")]
    NoRollback(String),
    /// A rollback leaves nothing out, and goes to the state that there is.
    #[error("no rollback: no input is to be left out, and nothing came after that tick")]
    NothingToLeaveOut,
    /// The journal would not tell how the world came to an older state.
    #[error("a world that keeps its history does not go back: recover, replay or fork it")]
    Kept,
    /// An actor that hibernated cannot be read any more.
    #[error("the world has lost an actor: {0}")]
    Lost(String),
    /// The history has nothing of that tick.
    #[error("the history goes from tick {from} to tick {to}; tick {asked} is not in it")]
    NoSuchTick {
        /// What was asked for.
        asked: u64,
        /// The first tick.
        from: u64,
        /// The last tick.
        to: u64,
    },
}

fn flaws_text(flaws: &[CheckpointFlaw]) -> String {
    flaws.iter().map(|flaw| format!("; {flaw}")).collect()
}
