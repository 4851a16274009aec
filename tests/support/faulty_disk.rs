//! A disk that does what disks do when power goes: what was not synced may be there, in part, in any order, or not at all; and
//! one that fails.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use physics_world::runtime::disk::{Disk, DiskFile};

/// Bytes that are written as a whole or not at all.
const SECTOR: usize = 512;

/// Numbers that depend on nothing but the seed (xorshift).
pub(crate) fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[derive(Clone, Debug, Default)]
struct File {
    /// What survives.
    synced: Vec<u8>,
    /// What is read.
    now: Vec<u8>,
}

/// A change of names that is not synced.
#[derive(Clone, Debug)]
enum Rename {
    Create(String, usize),
    Move(String, String),
    Remove(String),
}

#[derive(Clone, Debug, Default)]
struct State {
    files: Vec<File>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    renames: Vec<Rename>,
    /// Operations until the disk fails for ever; nothing for never.
    works_for: Option<u64>,
    /// Whether nothing can be read.
    reads_fail: bool,
    /// Files that are opened until one is not, because too many are open; nothing for never.
    opens_for: Option<u64>,
}

impl State {
    fn work(&mut self) -> io::Result<()> {
        match &mut self.works_for {
            None => Ok(()),
            Some(0) => Err(io::Error::new(
                io::ErrorKind::StorageFull,
                "no space is left",
            )),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn rename(names: &mut BTreeMap<String, usize>, rename: &Rename) {
        match rename {
            Rename::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Rename::Move(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Rename::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

/// A disk that can lose its power. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

impl FaultyDisk {
    /// Fails after so many operations, for ever.
    pub(crate) fn fail_after(&self, operations: u64) {
        self.state.lock().unwrap().works_for = Some(operations);
    }

    /// Nothing can be read any more.
    pub(crate) fn fail_reads(&self) {
        self.state.lock().unwrap().reads_fail = true;
    }

    /// When so many files have been opened, one is not, because too many are open.
    pub(crate) fn fail_an_open_after(&self, opens: u64) {
        self.state.lock().unwrap().opens_for = Some(opens);
    }

    /// Does not fail any more.
    pub(crate) fn work_again(&self) {
        let mut state = self.state.lock().unwrap();
        state.works_for = None;
        state.reads_fail = false;
        state.opens_for = None;
    }

    /// What is there after the power went: another disk.
    pub(crate) fn after_power_loss(&self, seed: &mut u64) -> FaultyDisk {
        let state = self.state.lock().unwrap();
        let mut names = state.synced_names.clone();
        let kept = next(seed) as usize % (state.renames.len() + 1);
        state.renames[..kept]
            .iter()
            .for_each(|rename| State::rename(&mut names, rename));
        let files = state.files.iter().map(|file| {
            let lost = next(seed) % 3;
            let mut bytes = match lost {
                0 => file.synced.clone(),
                1 => file.now.clone(),
                _ => file.synced.clone(),
            };
            if lost == 2 {
                // Each sector is the new one or the old one; what was never written reads as zeros.
                bytes.resize(file.now.len().max(file.synced.len()), 0);
                for start in (0..file.now.len()).step_by(SECTOR) {
                    let end = (start + SECTOR).min(file.now.len());
                    if next(seed).is_multiple_of(2) {
                        bytes[start..end].copy_from_slice(&file.now[start..end]);
                    }
                }
            }
            File {
                synced: bytes.clone(),
                now: bytes,
            }
        });
        let files = files.collect();
        FaultyDisk {
            state: Arc::new(Mutex::new(State {
                files,
                synced_names: names.clone(),
                names,
                renames: Vec::new(),
                works_for: None,
                reads_fail: false,
                opens_for: None,
            })),
        }
    }

    /// What is there after a process was killed, as it was in the middle of whatever it did: nothing is lost, and nothing is synced that
    /// was not.
    pub(crate) fn after_a_kill(&self) -> FaultyDisk {
        let state = self.state.lock().unwrap().clone();
        FaultyDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The same, and the disk works again.
    #[allow(dead_code, reason = "each test uses a part")]
    pub(crate) fn after_a_kill_with_room(&self) -> FaultyDisk {
        let disk = self.after_a_kill();
        disk.state.lock().unwrap().works_for = None;
        disk
    }

    /// Changes one bit of one file.
    #[allow(dead_code, reason = "each test uses a part")]
    pub(crate) fn flip_a_bit(&self, seed: &mut u64) -> Option<(String, usize)> {
        let mut state = self.state.lock().unwrap();
        let names: Vec<(String, usize)> = state.names.clone().into_iter().collect();
        let (name, file) = names.get(next(seed) as usize % names.len().max(1))?.clone();
        let file = &mut state.files[file];
        if file.now.is_empty() {
            return None;
        }
        let place = next(seed) as usize % file.now.len();
        file.now[place] ^= 1 << (next(seed) % 8);
        file.synced = file.now.clone();
        Some((name, place))
    }
}

impl Disk for FaultyDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock().unwrap();
        state.work()?;
        let number = state.files.len();
        state.files.push(File::default());
        state.names.insert(name.to_owned(), number);
        state.renames.push(Rename::Create(name.to_owned(), number));
        Ok(Box::new(FaultyFile {
            disk: self.clone(),
            number,
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state.lock().unwrap();
        if let Some(left) = state.opens_for {
            state.opens_for = left.checked_sub(1);
            if left == 0 {
                return Err(io::Error::from_raw_os_error(24));
            }
        }
        let number = state.names.get(name).copied();
        let number =
            number.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, name.to_owned()))?;
        Ok(Box::new(FaultyFile {
            disk: self.clone(),
            number,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.work()?;
        let rename = Rename::Move(from.to_owned(), to.to_owned());
        State::rename(&mut state.names, &rename);
        state.renames.push(rename);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.work()?;
        let rename = Rename::Remove(name.to_owned());
        State::rename(&mut state.names, &rename);
        state.renames.push(rename);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state.lock().unwrap().names.keys().cloned().collect())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.work()?;
        state.synced_names = state.names.clone();
        state.renames.clear();
        Ok(())
    }
}

/// A file of such a disk.
#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    number: usize,
}

impl DiskFile for FaultyFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state.lock().unwrap();
        let worked = state.work();
        let file = &mut state.files[self.number].now;
        // A write that fails may have written a part.
        let written = if worked.is_ok() {
            bytes.len()
        } else {
            bytes.len() / 2
        };
        let start = offset as usize;
        if file.len() < start + written {
            file.resize(start + written, 0);
        }
        file[start..start + written].copy_from_slice(&bytes[..written]);
        worked
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state.lock().unwrap();
        if state.reads_fail {
            return Err(io::Error::other("a bad sector"));
        }
        let rest = state.files[self.number]
            .now
            .get(offset as usize..)
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state.lock().unwrap().files[self.number].now.len() as u64)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock().unwrap();
        state.work()?;
        state.files[self.number].now.truncate(length as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state.lock().unwrap();
        state.work()?;
        let file = &mut state.files[self.number];
        file.synced = file.now.clone();
        Ok(())
    }
}
