//! Machine code in memory: written once, then executable and never written again.
//!
//! Each function has pages of its own. They are mapped, written, and then made executable, which takes
//! away the right to write: no page ever has both. Dropping a [`CodeMemory`] gives its pages back, so it
//! may only be dropped when nothing can be running in it.

use std::io;

use memmap2::{Mmap, MmapMut};

/// The machine code of one function.
#[derive(Debug)]
pub(crate) struct CodeMemory {
    pages: Mmap,
    length: usize,
}

impl CodeMemory {
    /// Puts code into executable memory.
    pub(crate) fn new(code: &[u8]) -> io::Result<CodeMemory> {
        let mut pages = MmapMut::map_anon(code.len().max(1))?;
        pages[..code.len()].copy_from_slice(code);
        Ok(CodeMemory {
            pages: pages.make_exec()?,
            length: code.len(),
        })
    }

    /// Where the code begins.
    pub(crate) fn start(&self) -> *const u8 {
        self.pages.as_ptr()
    }

    /// Bytes of code.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}
