//! Files, behind a trait: a real directory, memory, or a disk of a test that fails as disks do.
//!
//! Everything is written by position and made durable by an explicit sync; a name is published by a rename and a sync of the
//! directory. So errors come back where they happen. Names are those of files of one directory.

mod memory;
mod real;

use std::fmt::Debug;
use std::io;

pub use memory::MemoryDisk;
pub use real::RealDisk;

/// A directory of files.
pub trait Disk: Debug + Send + Sync {
    /// Creates a file, or empties the one of that name.
    ///
    /// # Errors
    /// Those of the disk.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file that exists, to read it and to write it.
    ///
    /// # Errors
    /// Those of the disk, `NotFound` among them.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in place of the file that has it.
    ///
    /// # Errors
    /// Those of the disk.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the disk.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in order.
    ///
    /// # Errors
    /// Those of the disk.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes names durable: what was created, renamed and removed.
    ///
    /// # Errors
    /// Those of the disk.
    fn sync_names(&self) -> io::Result<()>;
}

/// Numbers of the system for too many open files, of all processes and of this one.
const TOO_MANY_FILES: [i32; 2] = [23, 24];

/// Whether an error is this machine's at this moment, and says nothing of what a disk holds: too many open files, no memory, no permission.
pub(crate) fn could_not_look(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, ResourceBusy, TimedOut, WouldBlock};
    let kinds = [
        OutOfMemory,
        PermissionDenied,
        ResourceBusy,
        TimedOut,
        WouldBlock,
    ];
    let number = error.raw_os_error();
    kinds.contains(&error.kind()) || number.is_some_and(|number| TOO_MANY_FILES.contains(&number))
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes all of this from a position on.
    ///
    /// # Errors
    /// Those of the disk; then some of it may be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads from a position on until the buffer is full or the file ends; how much was read.
    ///
    /// # Errors
    /// Those of the disk.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Its length.
    ///
    /// # Errors
    /// Those of the disk.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// Those of the disk.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts it off.
    ///
    /// # Errors
    /// Those of the disk.
    fn truncate(&mut self, length: u64) -> io::Result<()>;

    /// What was written so far is brought to the disk from now on, while the file is written further, so that the next sync has
    /// less to do. A disk that cannot do that does nothing; what fails is told by the next sync.
    fn write_back(&mut self) {}

    /// Makes durable what was written.
    ///
    /// # Errors
    /// Those of the disk. What was written since the last sync may be lost then, also when a later sync succeeds.
    fn sync(&mut self) -> io::Result<()>;
}

/// All bytes of a file.
///
/// # Errors
/// Those of the disk.
pub fn read_all(disk: &dyn Disk, name: &str) -> io::Result<Vec<u8>> {
    let file = disk.open(name)?;
    let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut read = 0;
    while read < length {
        match file.read_at(read as u64, &mut bytes[read..])? {
            0 => break,
            count => read += count,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}
