//! Histories of worlds in directories: what the subcommands about them share.
//!
//! | file | what it holds |
//! |---|---|
//! | `history` | how a history is kept, opened and told of |
//! | `history/recover` | `pw recover`: a world goes on |
//! | `history/rollback` | what is left out of a history |
//! | `history/policy` | when a world goes back by itself |
//! | `history/upgrade` | `pw upgrade`: a world that is stopped goes on in new code |
//! | `history/checkpoint` | `pw checkpoint`: a checkpoint of the last state |
//! | `history/inspect` | `pw inspect`: what a history holds |
//! | `history/replay` | `pw replay`: what happened, again; and where two histories part |
//! | `history/fork` | `pw fork`: another world from a state of the past |
//! | `history/bundle` | `pw bundle`: a part of a history in a file |

pub(crate) mod bundle;
pub(crate) mod checkpoint;
pub(crate) mod fork;
pub(crate) mod inspect;
pub(crate) mod policy;
pub(crate) mod recover;
pub(crate) mod replay;
mod rollback;
pub(crate) mod upgrade;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use physics_world::jit::optimize::PerformanceSettings;
use physics_world::runtime::checkpoint::RecoveryError;
use physics_world::runtime::disk::{Disk, RealDisk};
use physics_world::runtime::host::{HostCallView, HostFunction};
use physics_world::runtime::journal::Durability;
use physics_world::runtime::world::{
    Bundle, HistorySettings, Recovery, Replay, Suspect, WorldBuilder,
};
use physics_world::source::BadInput;
use physics_world::{ActorId, World};

use crate::input;

/// The first actor of a world that `pw` has begun.
pub(crate) const FIRST: ActorId = ActorId(1);

/// How a history is kept.
#[derive(Args, Clone, Copy)]
pub(crate) struct Keeping {
    /// Nothing leaves the world before its cause is on the disk: the history survives the end of the machine, not only of
    /// the process.
    #[arg(long)]
    sync: bool,
    /// Ticks between checkpoints.
    #[arg(long, value_name = "N", default_value_t = HistorySettings::default().checkpoint_ticks, value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_ticks: u64,
}

impl Keeping {
    pub(crate) fn settings(self) -> HistorySettings {
        HistorySettings {
            durability: if self.sync {
                Durability::Sync
            } else {
                Durability::Async
            },
            checkpoint_ticks: self.checkpoint_ticks,
            ..HistorySettings::default()
        }
    }
}

/// Why a history cannot be used.
pub(crate) fn bad(directory: &Path, error: impl std::fmt::Display) -> BadInput {
    BadInput::new(format!("{}: {error}", directory.display()))
}

/// A directory with a history, for this process alone.
pub(crate) fn own(directory: &Path) -> Result<Arc<dyn Disk>, BadInput> {
    let disk = RealDisk::open(directory).map_err(|error| bad(directory, error))?;
    Ok(Arc::new(disk))
}

/// Whether there is a history in a directory.
pub(crate) fn has_history(disk: &dyn Disk) -> io::Result<bool> {
    let names = disk.list()?;
    Ok(names.iter().any(|name| name.starts_with("checkpoint-")))
}

/// A world begins its history in a directory that has none.
pub(crate) fn begin(
    world: &mut World,
    directory: &Path,
    settings: HistorySettings,
) -> Result<(), BadInput> {
    let disk = own(directory)?;
    if has_history(&*disk).map_err(|error| bad(directory, error))? {
        let reason = "there is a history in it; `pw recover` goes on with it";
        return Err(bad(directory, reason));
    }
    let begun = world.keep_history(disk, settings);
    begun.map(drop).map_err(|error| bad(directory, error))
}

/// Why a world does not go on with its history.
pub(crate) enum Refused {
    /// It cannot.
    Bad(BadInput),
    /// A tick of it ends the process.
    Halted(BadInput),
}

impl From<BadInput> for Refused {
    fn from(bad: BadInput) -> Refused {
        Refused::Bad(bad)
    }
}

impl Refused {
    /// Says why.
    pub(crate) fn tell(&self, json: bool) -> ExitCode {
        match self {
            Refused::Bad(bad) => input::refuse(bad, json),
            Refused::Halted(bad) => {
                input::refuse(bad, json);
                ExitCode::from(input::WORLD_HALTED)
            }
        }
    }
}

/// The history of a directory, for this process alone.
pub(crate) fn own_history(directory: &Path) -> Result<Arc<dyn Disk>, BadInput> {
    // A mistyped name must not make a directory.
    RealDisk::look_at(directory).map_err(|error| bad(directory, error))?;
    let disk = own(directory)?;
    if !has_history(&*disk).map_err(|error| bad(directory, error))? {
        let reason = "there is no history in it; `pw run --durable` begins one";
        return Err(bad(directory, reason));
    }
    Ok(disk)
}

/// A new world goes on with a history; what was found is told on stderr.
pub(crate) fn recover(
    world: &mut World,
    directory: &Path,
    settings: HistorySettings,
) -> Result<(), Refused> {
    let disk = own_history(directory)?;
    match world.keep_history(disk, settings) {
        Ok(recovery) => {
            tell(&recovery);
            Ok(())
        }
        Err(error @ RecoveryError::Halted { .. }) => {
            let text = format!("{error}; `pw recover --again` tries it once more");
            Err(Refused::Halted(bad(directory, text)))
        }
        Err(error @ RecoveryError::Diverged { .. }) => {
            let text = format!(
                "{error}; `pw recover --roll-back-on divergence` leaves them out, `pw recover --rollback-to` goes on with what it comes to now"
            );
            Err(Refused::Bad(bad(directory, text)))
        }
        Err(error) => Err(Refused::Bad(bad(directory, error))),
    }
}

/// Says what was found when a world was recovered.
fn tell(recovery: &Recovery) {
    for flaw in &recovery.flaws {
        note!("not used: {flaw}");
    }
    if let Some(tail) = &recovery.tail {
        note!(
            "{}: the last {} bytes were not complete, and nobody was told that they were: {}",
            tail.name,
            tail.bytes,
            tail.what
        );
    }
    if let Some(report) = &recovery.rolled_back {
        crate::note::write(&rollback::text(report));
    }
    if let Some(Suspect { tick, crashes }) = recovery.suspect {
        note!("suspected    tick {tick}: {crashes} processes have ended in it");
    }
    note!(
        "recovered    tick {}, from a checkpoint of tick {} and {} inputs; {} outputs leave again",
        recovery.ticks,
        recovery.checkpoint.unwrap_or(0),
        recovery.inputs,
        recovery.outputs
    );
}

/// Opens a directory or a bundle to look at what happened.
pub(crate) fn replay(builder: WorldBuilder, path: &Path) -> Result<Replay, BadInput> {
    let disk: Arc<dyn Disk> = if path.is_file() {
        let bytes = std::fs::read(path).map_err(|error| bad(path, error))?;
        Arc::new(Bundle::open(&bytes).map_err(|error| bad(path, error))?)
    } else {
        Arc::new(RealDisk::look_at(path).map_err(|error| bad(path, error))?)
    };
    builder
        .replay(disk)
        .map_err(|error: RecoveryError| bad(path, error))
}

/// A world that `pw run` would make, whose programs print by this function.
pub(crate) fn builder(print: fn(&HostCallView<'_>)) -> WorldBuilder {
    World::builder()
        .performance(PerformanceSettings {
            threads: 1,
            ..PerformanceSettings::default()
        })
        .host(HostFunction::output("print", print).needing("io-console"))
}

/// What happens again is not heard again.
pub(crate) fn silent() -> WorldBuilder {
    builder(|_| {})
}
