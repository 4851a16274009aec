//! A disk whose syncs take longer: what machines have whose disks do not answer from a cache of their own.

use std::io;
use std::time::Duration;

use physics_world::runtime::disk::{Disk, DiskFile, RealDisk};

/// The disk of this machine; each sync of a file takes so much longer.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) disk: RealDisk,
    pub(crate) sync: Duration,
}

#[derive(Debug)]
struct SlowFile {
    file: Box<dyn DiskFile>,
    sync: Duration,
}

impl Slow {
    fn slow(&self, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        let sync = self.sync;
        Box::new(SlowFile { file, sync })
    }
}

impl Disk for Slow {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.slow(self.disk.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.slow(self.disk.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn sync_names(&self) -> io::Result<()> {
        self.disk.sync_names()
    }
}

impl DiskFile for SlowFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn write_back(&mut self) {
        self.file.write_back();
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        std::thread::sleep(self.sync);
        Ok(())
    }
}
