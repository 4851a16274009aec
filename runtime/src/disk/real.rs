//! A directory of the machine.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::{Disk, DiskFile};

/// The name of the file whose lock says that a process has the directory.
const LOCK: &str = "lock";

/// A directory of the machine, which no other process has at the same time.
#[derive(Debug)]
pub struct RealDisk {
    directory: PathBuf,
    /// Held as long as the directory is.
    _lock: Option<File>,
}

impl RealDisk {
    /// A directory, made if it is not there, for this process alone.
    ///
    /// # Errors
    /// Those of the disk; `WouldBlock` when another process has it.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<RealDisk> {
        let directory = directory.into();
        if !directory.is_dir() {
            std::fs::create_dir_all(&directory)?;
            // Its name has to survive as well.
            let parent = directory
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let lock = File::create(directory.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = format!("another process has {}", directory.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(RealDisk {
            directory,
            _lock: Some(lock),
        })
    }

    /// A directory that is there, to be looked at: nothing is locked, so another process may change it meanwhile.
    ///
    /// # Errors
    /// Those of the disk; `NotFound` when it is not there.
    pub fn look_at(directory: impl Into<PathBuf>) -> io::Result<RealDisk> {
        let directory = directory.into();
        std::fs::read_dir(&directory)?;
        Ok(RealDisk {
            directory,
            _lock: None,
        })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Disk for RealDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Ok(Box::new(RealFile::new(options.open(self.path(name))?)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        // Who only looks may not be allowed to write.
        let writes = self._lock.is_some();
        let file = OpenOptions::new()
            .read(true)
            .write(writes)
            .open(self.path(name))?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
                && name != LOCK
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// A file of the machine.
#[derive(Debug)]
struct RealFile {
    file: File,
    /// Brings to the disk what was written so far.
    write_back: Option<JoinHandle<io::Result<()>>>,
    /// Why that has failed: the system tells of it once, to whoever syncs first.
    failure: Option<io::Error>,
}

impl RealFile {
    fn new(file: File) -> RealFile {
        RealFile {
            file,
            write_back: None,
            failure: None,
        }
    }

    /// Waits until what was begun is on the disk.
    fn end_write_back(&mut self) {
        let done = self.write_back.take().map(JoinHandle::join);
        match done {
            None | Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => self.failure = Some(error),
            Some(Err(_)) => self.failure = Some(io::Error::other("its thread panicked")),
        }
    }
}

impl DiskFile for RealFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match self.file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn write_back(&mut self) {
        match &self.write_back {
            Some(thread) if !thread.is_finished() => return,
            _ => self.end_write_back(),
        }
        if self.failure.is_none()
            && let Ok(file) = self.file.try_clone()
        {
            let builder = std::thread::Builder::new().name("pw write back".to_owned());
            self.write_back = builder.spawn(move || file.sync_data()).ok();
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.end_write_back();
        match self.failure.take() {
            Some(error) => Err(error),
            None => self.file.sync_data(),
        }
    }
}
