//! Names of native code for `perf`, which knows only addresses.
//!
//! A map is a list of addresses and names, read when a report is made. A dump has the code itself too, and
//! when it came: `perf inject --jit` makes of it what `perf report` and `perf annotate` read. That it
//! exists, `perf record` learns from a mapping of its first page; the mapping has the right to execute,
//! because only such are recorded, and nothing ever runs there.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Mmap, MmapOptions};
use rustix::time::{ClockId, clock_gettime};

use super::function::CompiledFunction;

/// What a dump begins with.
const DUMP_MAGIC: u32 = 0x4A69_5444;
/// Bytes of a dump's head.
const DUMP_HEAD: u32 = 40;
/// What ELF calls the processor that native code is made for.
const ELF_X86_64: u32 = 62;
/// The kind of record that holds code.
const CODE_LOAD: u32 = 0;
/// Bytes of such a record before the name.
const CODE_LOAD_HEAD: u32 = 56;

/// How `perf` is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PerfForm {
    /// `perf-PID.map` in the directory for temporary files: addresses and names.
    Map,
    /// `jit-PID.dump` in the current directory: the code, too.
    Dump,
}

/// A file that tells `perf` about native code.
#[derive(Debug)]
pub struct PerfFile {
    path: PathBuf,
    form: PerfForm,
    file: Mutex<File>,
    /// Functions so far.
    count: AtomicU64,
    /// What `perf record` sees of a dump.
    _marker: Option<Mmap>,
}

impl PerfFile {
    /// The file of this process, without functions yet.
    pub fn new(form: PerfForm) -> io::Result<PerfFile> {
        let process = std::process::id();
        let path = match form {
            PerfForm::Map => std::env::temp_dir().join(format!("perf-{process}.map")),
            PerfForm::Dump => std::env::current_dir()?.join(format!("jit-{process}.dump")),
        };
        // It is mapped too, which needs the right to read.
        let mut options = File::options();
        let mut file = options
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)?;
        let mut marker = None;
        if form == PerfForm::Dump {
            file.write_all(&dump_head(process, now()))?;
            marker = Some(mark(&file)?);
        }
        Ok(PerfFile {
            path,
            form,
            file: Mutex::new(file),
            count: AtomicU64::new(0),
            _marker: marker,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a function.
    pub fn add(&self, function: &CompiledFunction) -> io::Result<()> {
        let name: String = function.name().split_whitespace().collect();
        let (name, start) = (format!("pw:{name}"), function.start() as u64);
        let code = function.machine_code();
        let record = match self.form {
            PerfForm::Map => format!("{start:x} {:x} {name}\n", code.len()).into_bytes(),
            PerfForm::Dump => {
                let number = self.count.fetch_add(1, Ordering::Relaxed);
                code_record(std::process::id(), now(), (&name, start, code), number)
            }
        };
        let mut file = self.file.lock().expect("writing does not panic");
        file.write_all(&record)
    }
}

/// The time by the clock of `perf record -k mono`, in nanoseconds.
fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Makes a dump known to `perf record`.
fn mark(file: &File) -> io::Result<Mmap> {
    // SAFETY: nobody reads or runs what is mapped; that it is mapped is the message.
    unsafe { MmapOptions::new().len(DUMP_HEAD as usize).map_exec(file) }
}

fn words(out: &mut Vec<u8>, words: &[u32]) {
    words
        .iter()
        .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

fn long_words(out: &mut Vec<u8>, words: &[u64]) {
    words
        .iter()
        .for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
}

fn dump_head(process: u32, time: u64) -> Vec<u8> {
    let mut out = Vec::new();
    words(
        &mut out,
        &[DUMP_MAGIC, 1, DUMP_HEAD, ELF_X86_64, 0, process],
    );
    long_words(&mut out, &[time, 0]);
    out
}

fn code_record(
    process: u32,
    time: u64,
    (name, start, code): (&str, u64, &[u8]),
    number: u64,
) -> Vec<u8> {
    let length = CODE_LOAD_HEAD as usize + name.len() + 1 + code.len();
    let mut out = Vec::with_capacity(length);
    words(&mut out, &[CODE_LOAD, length as u32]);
    long_words(&mut out, &[time]);
    // Any worker may run it: the process stands for its threads.
    words(&mut out, &[process, process]);
    long_words(&mut out, &[start, start, code.len() as u64, number]);
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.extend_from_slice(code);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_as_long_as_they_say() {
        let head = dump_head(7, 9);
        assert_eq!(head.len(), DUMP_HEAD as usize);
        assert_eq!(&head[..4], b"DTiJ");
        let record = code_record(7, 9, ("pw:f", 0x1000, &[0xc3, 0x90]), 3);
        assert_eq!(record.len(), CODE_LOAD_HEAD as usize + 5 + 2);
        assert_eq!(record[4..8], (record.len() as u32).to_le_bytes());
        assert_eq!(record[40..48], 2u64.to_le_bytes());
        assert!(record.ends_with(b"pw:f\0\xc3\x90"));
        assert!(now() > 0 && now() <= now());
    }
}
