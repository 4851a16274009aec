//! A fiber outside memory: its image in a file, read through a mapping.
//!
//! The file is written under another name, brought to the disk, and then gets its name; only then may the
//! fiber be let go of. An image has a checksum and is checked whole when it is read, so a damaged file is
//! an error, never another fiber.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use super::Fiber;
use crate::code_space::CodeSpace;

/// Why a fiber was not put into a file, or not brought back.
#[derive(Debug, thiserror::Error)]
pub enum HibernationError {
    /// Nobody has said where files go.
    #[error("there is no directory for the images of fibers")]
    NoDirectory,
    /// The file cannot be written or read.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It does not hold what was written.
    #[error("{path}: {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A fiber in a file. It is the only one that names it: whoever drops it leaves the file behind, to be
/// taken away with [`Hibernated::discard`] when the fiber is not wanted any more.
#[derive(Debug)]
#[must_use = "it is the only way to the fiber"]
pub struct Hibernated {
    path: PathBuf,
    bytes: u64,
}

impl Hibernated {
    /// Writes a fiber to a new file.
    pub(crate) fn write(
        fiber: &Fiber,
        code: &CodeSpace,
        path: PathBuf,
    ) -> Result<Hibernated, HibernationError> {
        let image = fiber.to_image(code);
        let temporary = path.with_extension("tmp");
        let written = File::create_new(&temporary).and_then(|mut file| {
            file.write_all(&image)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)
        });
        match written {
            Ok(()) => Ok(Hibernated {
                path,
                bytes: image.len() as u64,
            }),
            Err(error) => {
                // It may not even be there.
                let _ = std::fs::remove_file(&temporary);
                Err(HibernationError::Io { path, error })
            }
        }
    }

    /// Brings the fiber back, and takes the file away.
    pub(crate) fn read(
        self,
        code: &CodeSpace,
        stack_bytes_max: u64,
    ) -> Result<Fiber, (Hibernated, HibernationError)> {
        let path = self.path.clone();
        let map = match map(&path) {
            Ok(map) => map,
            Err(error) => return Err((self, HibernationError::Io { path, error })),
        };
        match Fiber::from_image(code, &map, stack_bytes_max) {
            Ok(fiber) => {
                drop(map);
                // The fiber is here; what is left of the file is of no use to anybody.
                let _ = std::fs::remove_file(&path);
                Ok(fiber)
            }
            Err(error) => {
                let reason = error.to_string();
                Err((self, HibernationError::Damaged { path, reason }))
            }
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the fiber up.
    ///
    /// # Errors
    /// When its file cannot be taken away.
    pub fn discard(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn map(path: &Path) -> io::Result<Mmap> {
    let file = File::open(path)?;
    // SAFETY: the file was written whole under another name before it got this one, its name is this
    // process's own, and nobody changes it; what is read is checked as any image.
    unsafe { Mmap::map(&file) }
}
