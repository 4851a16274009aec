//! Fibers with many objects, written page by page.
//!
//! The objects of such a fiber are not walked through: pages of its arena are taken as they lie there, while the fiber goes on, and
//! what changes in between is taken again. In the end only what is new since then is left to take, together with the *rest* of the
//! fiber: everything but its objects, which it names by where they lie. Programs are named by their numbers in the code space, so such
//! a state can be read only where they have the same.

use pw_isa::wire::{Decoded, Reader, Writer};

use super::Fiber;
use super::arena::{PageBlocks, PageCursor, Pages};
use super::graph::Encoder;
use super::image::{Objects, read_body};
use crate::code_space::CodeSpace;

impl Fiber {
    /// Logical bytes of its objects, found live by the last collection or made since.
    pub fn object_bytes(&self) -> u64 {
        let counters = self.arena.counters();
        counters.live.saturating_add(counters.allocated)
    }

    /// Whether it can be written page by page: most of what its arena takes is in use.
    pub fn has_pages(&self) -> bool {
        self.arena.is_dense()
    }

    /// Takes pages of its objects from a place on, about `bytes_max` bytes of them: those that have changed since they were last
    /// taken, or all. Whether the end was reached.
    pub fn take_pages(
        &mut self,
        from: &mut PageCursor,
        everything: bool,
        bytes_max: usize,
        out: &mut Writer,
    ) -> bool {
        self.arena.take_pages(from, everything, bytes_max, out)
    }

    /// Writes the rest, when all pages are taken.
    pub fn write_rest(&self, code: &CodeSpace, out: &mut Writer) {
        let mut encoder = Encoder::in_place(self.heap(code));
        let roots = self.write_roots(&mut encoder, code);
        let mut body = Writer::default();
        body.varint(u64::from(code.len()));
        for program in 0..code.len() {
            let signature = code.program(program).signature();
            body.bytes.extend_from_slice(&signature.0);
        }
        body.varint(self.arena.end_word() as u64);
        encoder.places(&mut body);
        body.bytes.extend_from_slice(&roots.bytes);
        out.blob(&body.bytes);
    }

    /// Reads what [`Fiber::write_rest`] wrote, with the pages that were taken before, in blocks.
    ///
    /// # Errors
    /// As [`Fiber::from_image`], and why blocks cannot be shown.
    pub fn read_rest(
        code: &CodeSpace,
        input: &mut Reader<'_>,
        stack_bytes_max: u64,
        (pages, blocks): (&Pages, &dyn PageBlocks),
    ) -> Decoded<Fiber> {
        let start = input.offset();
        let body = input.blob()?;
        let fiber = read_body(code, body, stack_bytes_max, Objects::InPlace(pages, blocks));
        fiber.map_err(|mut error| {
            error.offset += start;
            error
        })
    }
}
