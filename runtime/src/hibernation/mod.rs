//! Actors that wait for long, in a file in place of memory.
//!
//! Whether an actor is in memory or in the file shows in nothing but time and memory: no program, trajectory, checkpoint or count of gas
//! knows. The file holds the bytes that checkpoints are made of (`log`); which actors go there, and how they come back when
//! somebody needs them, is for the table of actors (`actor/hibernation.rs`); when, for the world (`world/hibernation.rs`).

mod log;

use serde::{Deserialize, Serialize};

pub(crate) use log::{Batch, Log, Place};

/// Which actors hibernate, and how they are kept. It is not a part of the state of a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HibernationSettings {
    /// Ticks for which an actor waits before it goes to the file: at least so many, and in a world of many actors more. One that waits
    /// goes at once with 0. A pause of two milliseconds between ticks counts as one.
    pub after_ticks: u64,
    /// Actors of more bytes stay in memory: bringing one back should take no longer than a tick.
    pub actor_bytes_max: u64,
    /// Bytes that are written after a tick at most. More of them make room faster, and ticks longer.
    pub tick_bytes: usize,
    /// Bytes after which another file is begun: at most 2^30.
    pub segment_bytes: u64,
}

impl Default for HibernationSettings {
    fn default() -> HibernationSettings {
        HibernationSettings {
            after_ticks: 10_000,
            actor_bytes_max: 1 << 20,
            tick_bytes: 128 << 10,
            segment_bytes: 64 << 20,
        }
    }
}

/// What hibernates in a world, and what was done for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HibernationStatistics {
    /// Actors that are in the file now.
    pub hibernated: u64,
    /// Times that an actor went there.
    pub stored: u64,
    /// Times that one came back.
    pub returned: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Those of them that hold an actor.
    pub live_bytes: u64,
    /// Times that the file could not be written: then actors stay in memory, and it is tried again later.
    pub write_errors: u64,
    /// Why it could not be written the last time.
    pub write_error: Option<String>,
}

/// Why actors cannot hibernate in a directory, or one of them cannot come back.
#[derive(Debug, thiserror::Error)]
pub enum HibernationError {
    /// The directory cannot be used.
    #[error("the directory of hibernated actors: {0}")]
    Directory(std::io::Error),
    /// There is something else in the directory.
    #[error("the directory is to hold hibernated actors and nothing else, and there is {0}")]
    Foreign(String),
    /// An actor cannot be read.
    #[error("actor {actor} cannot be read from {file}: {error}")]
    Io {
        /// The actor.
        actor: u64,
        /// The file.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// What is read is not what was written.
    #[error("actor {actor} is damaged in {file}, at byte {offset}: {reason}")]
    Damaged {
        /// The actor.
        actor: u64,
        /// The file.
        file: String,
        /// Where it begins there.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}
