//! What becomes of the memory of fibers that wait.
//!
//! ```text
//! runs ──idle──▶ trimmed: room that is not in use goes back
//!                   └─ fragmented ──▶ compacted: its objects stand together
//!                   └─ idle for longer ──▶ hibernated: its image in a file, nothing in memory
//! ```
//!
//! All of it is physical: no state hash, no counter and no image ever shows it. How long a fiber has been
//! idle is told by the caller, in whatever unit its time has.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::code_space::CodeSpace;
use crate::fiber::Fiber;
use crate::fiber::arena::ArenaReport;
pub use crate::fiber::hibernate::{Hibernated, HibernationError};

/// When memory is taken away from fibers that wait.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MemorySettings {
    /// Ticks for which a fiber is idle before it is trimmed.
    pub trim_after: u64,
    /// The part of its arena's segments, from 0 to 1, that must be without use for it to be compacted then:
    /// free, or known to be dead.
    pub compact_above: f64,
    /// Ticks for which it is idle before it is hibernated.
    pub hibernate_after: u64,
    /// Logical bytes of stack that a fiber may have to be woken.
    pub stack_bytes_max: u64,
}

impl Default for MemorySettings {
    /// Trimmed after 16 ticks, compacted when half is without use, hibernated after 4,096.
    fn default() -> MemorySettings {
        MemorySettings {
            trim_after: 16,
            compact_above: 0.5,
            hibernate_after: 4_096,
            stack_bytes_max: 1 << 30,
        }
    }
}

/// What was done so far, in fibers and bytes of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemoryActivity {
    /// Fibers that were trimmed or compacted.
    pub trimmed: u64,
    /// Those of them that were compacted.
    pub compacted: u64,
    /// Fibers whose image was put into a file.
    pub hibernated: u64,
    /// Those of them that came back.
    pub woken: u64,
    /// Bytes that fibers held before, and hold no more.
    pub bytes_freed: u64,
}

/// Trims, compacts and hibernates fibers that wait.
#[derive(Debug)]
pub struct MemoryOptimizationSystem {
    settings: MemorySettings,
    directory: Option<PathBuf>,
    /// Tells the files of this system apart.
    serial: u64,
    activity: MemoryActivity,
}

/// What is due for a fiber that is idle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// It is to be trimmed.
    Trim,
    /// It is to be hibernated.
    Hibernate,
}

impl MemoryOptimizationSystem {
    /// A system that trims and compacts; it can hibernate once it has a [directory](Self::in_directory).
    pub fn new(settings: MemorySettings) -> MemoryOptimizationSystem {
        MemoryOptimizationSystem {
            settings,
            directory: None,
            serial: 0,
            activity: MemoryActivity::default(),
        }
    }

    /// The same, with a directory for the images of fibers, which is made if it is not there. It holds what
    /// this process has put there and is of no use to another.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn in_directory(mut self, directory: &Path) -> io::Result<MemoryOptimizationSystem> {
        std::fs::create_dir_all(directory)?;
        self.directory = Some(directory.to_owned());
        Ok(self)
    }

    /// The settings.
    pub fn settings(&self) -> &MemorySettings {
        &self.settings
    }

    /// What was done so far.
    pub fn activity(&self) -> MemoryActivity {
        self.activity
    }

    /// What is due for a fiber that has just become idle for so many ticks. Trimming is due once.
    pub fn due(&self, idle_ticks: u64) -> Due {
        if idle_ticks >= self.settings.hibernate_after && self.directory.is_some() {
            Due::Hibernate
        } else if idle_ticks == self.settings.trim_after {
            Due::Trim
        } else {
            Due::Nothing
        }
    }

    /// Takes room away that a fiber does not use, and moves its objects together if there is too much without
    /// use between them. The bytes that are free now.
    pub fn trim(&mut self, fiber: &mut Fiber, code: &CodeSpace) -> u64 {
        let before = fiber.held_bytes();
        fiber.trim(code);
        if without_use(&fiber.arena().report()) > self.settings.compact_above {
            fiber.compact(code);
            self.activity.compacted += 1;
        }
        let freed = before.saturating_sub(fiber.held_bytes());
        self.activity.trimmed += 1;
        self.activity.bytes_freed += freed;
        freed
    }

    /// Puts a fiber into a file.
    ///
    /// # Errors
    /// When there is no directory, or the file cannot be written: the fiber comes back as it was.
    pub fn hibernate(
        &mut self,
        fiber: Box<Fiber>,
        code: &CodeSpace,
    ) -> Result<Hibernated, (Box<Fiber>, HibernationError)> {
        let Some(directory) = &self.directory else {
            return Err((fiber, HibernationError::NoDirectory));
        };
        let name = format!("{}-{}.fiber", std::process::id(), self.serial);
        self.serial += 1;
        match Hibernated::write(&fiber, code, directory.join(name)) {
            Ok(hibernated) => {
                self.activity.hibernated += 1;
                self.activity.bytes_freed += fiber.held_bytes();
                Ok(hibernated)
            }
            Err(error) => Err((fiber, error)),
        }
    }

    /// Brings a fiber back, as it was.
    ///
    /// # Errors
    /// When its file cannot be read or is damaged; the file stays, and so does what names it.
    pub fn wake(
        &mut self,
        hibernated: Hibernated,
        code: &CodeSpace,
    ) -> Result<Box<Fiber>, (Hibernated, HibernationError)> {
        let fiber = hibernated.read(code, self.settings.stack_bytes_max)?;
        self.activity.woken += 1;
        Ok(Box::new(fiber))
    }
}

/// The part of an arena's segments that holds nothing, or what the last collection left dead in place. One
/// without segments has no gaps.
fn without_use(report: &ArenaReport) -> f64 {
    if report.segments == 0 {
        return 0.0;
    }
    let live = report.used_bytes as f64 * (1.0 - report.fragmentation);
    1.0 - live / report.held_bytes as f64
}
