//! Machine code in memory: written once, then executable and never written again.
//!
//! Each function has pages of its own. They are mapped, written, and then made executable, which takes
//! away the right to write: no page ever has both. Dropping a [`CodeMemory`] gives its pages back, so it
//! may only be dropped when nothing can be running in it.

#[allow(unsafe_code, reason = "it reads files through mappings of them")]
pub(crate) mod store;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Mmap, MmapMut};

/// The unit in which memory is mapped; where pages are larger, less is counted than is mapped.
const PAGE: u64 = 4096;

/// Counts the bytes of the code memory that was made with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<AtomicU64>);

impl Meter {
    /// Bytes that are mapped now, whole pages.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The machine code of one function.
#[derive(Debug)]
pub(crate) struct CodeMemory {
    pages: Mmap,
    length: usize,
    meter: Meter,
}

impl CodeMemory {
    /// Puts code into executable memory.
    pub(crate) fn new(code: &[u8], meter: &Meter) -> io::Result<CodeMemory> {
        let mut pages = MmapMut::map_anon(code.len().max(1))?;
        pages[..code.len()].copy_from_slice(code);
        let memory = CodeMemory {
            pages: pages.make_exec()?,
            length: code.len(),
            meter: meter.clone(),
        };
        meter.0.fetch_add(memory.mapped(), Ordering::Relaxed);
        Ok(memory)
    }

    /// Where the code begins.
    pub(crate) fn start(&self) -> *const u8 {
        self.pages.as_ptr()
    }

    /// The code.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.pages[..self.length]
    }

    /// Bytes that it takes, whole pages.
    pub(crate) fn mapped(&self) -> u64 {
        mapped_bytes(self.length)
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.mapped(), Ordering::Relaxed);
    }
}

/// Bytes that code of a length takes in memory, whole pages.
pub(crate) fn mapped_bytes(length: usize) -> u64 {
    (length.max(1) as u64).next_multiple_of(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_executable_and_never_writable_and_its_pages_are_counted() {
        let length = 37 * PAGE as usize + 11;
        let meter = Meter::default();
        let memory = CodeMemory::new(&vec![0xc3; length], &meter).expect("memory");
        let start = memory.start() as usize;
        let maps = std::fs::read_to_string("/proc/self/maps").expect("this is Linux");
        let here = maps.lines().find(|line| {
            let (range, _) = line.split_once(' ').expect("a range and what it is");
            let (from, to) = range.split_once('-').expect("two addresses");
            let [from, to] = [from, to].map(|text| usize::from_str_radix(text, 16).expect("hex"));
            (from..to).contains(&start)
        });
        let here = here.expect("it is mapped");
        assert!(here.contains(" r-xp "), "{here}");
        assert_eq!(meter.bytes(), 38 * PAGE);
        assert_eq!(memory.bytes().len(), length);
        drop(memory);
        assert_eq!(meter.bytes(), 0);
    }
}
