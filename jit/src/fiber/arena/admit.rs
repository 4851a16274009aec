//! An arena from pages that may be damaged or hostile: what `assemble` has put together is looked at.
//!
//! Pages are memory as it lay there, and the tiers trust memory. So everything that roots reach is looked at before anybody uses it:
//! objects lie within the arena and do not overlap, values name objects of their kind, buffers have one owner and room for what is in
//! them, texts are UTF-8, and immutable objects do not contain themselves. What nothing reaches is never read. Work and memory are
//! proportional to the pages.

mod objects;
#[cfg(test)]
mod tests;

use pw_isa::Kind;

use super::data::index_of;
use super::object::{DELETED, ENTRY_WORDS, Elements, ObjectKind, extra, fits, halves, size_words};
use super::segment::{Age, Segment};
use super::{Arena, Free, SEGMENT_WORDS};
use crate::code_space::CodeSpace;
use crate::value::{CONSTANT, Value};

/// What is wrong with an object.
type Checked<T> = Result<T, String>;

/// One bit a word.
struct Bits(Vec<u64>);

impl Bits {
    fn new(words: usize) -> Bits {
        Bits(vec![0; words.div_ceil(64)])
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64] >> (at % 64) & 1 == 1
    }

    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    /// Sets a range, none of which may be set; false when one is.
    fn cover(&mut self, start: usize, end: usize) -> bool {
        let mut at = start;
        while at < end {
            let count = (64 - at % 64).min(end - at);
            let mask = (u64::MAX >> (64 - count)) << (at % 64);
            if self.0[at / 64] & mask != 0 {
                return false;
            }
            self.0[at / 64] |= mask;
            at += count;
        }
        true
    }

    /// How many are set in a range that begins and ends with a word of the table, and what is behind the last.
    fn count(&self, start: usize, end: usize) -> (usize, usize) {
        let words = &self.0[start / 64..end.div_ceil(64).min(self.0.len())];
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        let last = words.iter().rposition(|word| *word != 0);
        let used = last.map_or(0, |last| {
            last * 64 + 64 - words[last].leading_zeros() as usize
        });
        (count, used)
    }
}

/// An arena whose objects are being looked at.
pub(crate) struct Admission<'a> {
    arena: &'a mut Arena,
    code: &'a CodeSpace,
    /// Where admitted objects start, and all their words.
    started: Bits,
    covered: Bits,
    /// Immutable objects that are being walked through, and those that were.
    open: Bits,
    closed: Bits,
    /// Outside buffers that were admitted.
    buffers: Vec<bool>,
    /// Mutable objects whose content is still to be looked at.
    pending: Vec<usize>,
    /// Immutable objects within each other.
    path: Vec<usize>,
    /// Buffer, length and characters of long texts.
    long_texts: Vec<(u64, u32, u32)>,
    maps: Vec<u64>,
    /// Logical bytes of all that was admitted.
    logical: u64,
}

/// What was found in an arena.
pub(crate) struct Admitted {
    /// One bit a word: where objects start.
    started: Bits,
    /// The maps in it, whose keys were not looked at, and which have no index.
    pub(crate) maps: Vec<u64>,
}

impl Admitted {
    /// The value of a kind that names the object at a word, if there is such an object.
    pub(crate) fn value(&self, arena: &Arena, kind: Kind, word: u64) -> Option<Value> {
        let index = usize::try_from(word).ok()?;
        let bits = self.started.0.get(index / 64)?;
        let is_it = bits >> (index % 64) & 1 == 1 && fits(kind, ObjectKind::of(arena.words[index]));
        is_it.then(|| Value::object(kind, word * 8))
    }
}

impl<'a> Admission<'a> {
    pub(crate) fn new(arena: &'a mut Arena, code: &'a CodeSpace) -> Admission<'a> {
        let words = arena.words.len();
        let buffers = vec![false; arena.outside.len()];
        Admission {
            arena,
            code,
            started: Bits::new(words),
            covered: Bits::new(words),
            open: Bits::new(words),
            closed: Bits::new(words),
            buffers,
            pending: Vec::new(),
            path: Vec::new(),
            long_texts: Vec::new(),
            maps: Vec::new(),
            logical: 0,
        }
    }

    /// Looks at the object that starts at a word, and at all that it reaches.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn root(&mut self, index: usize) -> Checked<()> {
        self.admit(index)?;
        self.walk()
    }

    /// Frees what was not reached; what was found.
    ///
    /// # Errors
    /// What is wrong with texts.
    pub(crate) fn finish(mut self) -> Checked<Admitted> {
        self.check_long_texts()?;
        let arena = self.arena;
        let mut free = Free {
            has_gaps: arena.block_has_gaps(),
            ..Free::default()
        };
        for (number, segment) in arena.segments.iter_mut().enumerate() {
            let start = number * SEGMENT_WORDS;
            let (live, used) = self.covered.count(start, start + SEGMENT_WORDS);
            if live == 0 {
                *segment = Segment::new(Age::Free);
                free.segments.push(number as u32);
            } else {
                (segment.live, segment.used, segment.has_gaps) = (live, used, true);
            }
        }
        free.segments.reverse();
        for (slot, is_admitted) in self.buffers.iter().enumerate() {
            if !is_admitted {
                arena.outside[slot] = None;
                free.outside.push(slot as u32);
            }
        }
        if !free.segments.is_empty() || !free.outside.is_empty() {
            arena.free = Some(Box::new(free));
        }
        arena.counters.allocated = self.logical;
        Ok(Admitted {
            started: self.started,
            maps: self.maps,
        })
    }

    fn walk(&mut self) -> Checked<()> {
        loop {
            while let Some(index) = self.path.last().copied() {
                if self.open.has(index) {
                    self.closed.set(index);
                    self.path.pop();
                } else {
                    self.open.set(index);
                    self.content(index)?;
                }
            }
            let Some(index) = self.pending.pop() else {
                return Ok(());
            };
            self.content(index)?;
        }
    }

    /// Looks at what an admitted object refers to.
    fn content(&mut self, index: usize) -> Checked<()> {
        let header = self.arena.words[index];
        match ObjectKind::of(header) {
            ObjectKind::Pair => {
                self.part(header >> 16 & 0xffff, index + 1)?;
                self.part(header >> 32 & 0xffff, index + 2)
            }
            ObjectKind::Cell => self.part(header >> 16 & 0xffff, index + 1),
            ObjectKind::Closure => self.parts(index + 2, usize::from(extra(header))),
            ObjectKind::Error => {
                self.is_of(index + 1, Kind::String)?;
                self.parts(index + 1, 2)
            }
            ObjectKind::Capability => {
                self.is_of(index + 1, Kind::Symbol)?;
                self.parts(index + 1, 2)
            }
            ObjectKind::Vector => {
                let length = halves(self.arena.words[index + 1]).0 as usize;
                self.elements(self.arena.words[index + 2], length)
            }
            ObjectKind::Map => {
                let (count, used) = halves(self.arena.words[index + 1]);
                let buffer = self.arena.words[index + 3];
                let kept = self.entries(buffer, used as usize)?;
                if kept == count {
                    Ok(())
                } else {
                    Err(format!("a map of {count} keys with {kept}"))
                }
            }
            ObjectKind::Text
            | ObjectKind::LongText
            | ObjectKind::Bytes
            | ObjectKind::Buffer
            | ObjectKind::Forward => Ok(()),
        }
    }

    fn is_of(&self, at: usize, kind: Kind) -> Checked<()> {
        let tag = self.arena.words[at];
        if tag & !CONSTANT == kind as u64 {
            Ok(())
        } else {
            Err(format!("tag {tag} where a {} belongs", kind.name()))
        }
    }

    /// Values in words of the arena, tag first.
    fn parts(&mut self, first: usize, count: usize) -> Checked<()> {
        for at in (first..).step_by(2).take(count) {
            self.part(self.arena.words[at], at + 1)?;
        }
        Ok(())
    }

    fn part(&mut self, tag: u64, at: usize) -> Checked<()> {
        self.value(Value {
            tag,
            bits: self.arena.words[at],
        })
    }

    /// Values in a buffer.
    fn elements(&mut self, buffer: u64, count: usize) -> Checked<()> {
        (0..count).try_for_each(|place| self.element(buffer, place))
    }

    fn element(&mut self, buffer: u64, place: usize) -> Checked<()> {
        let words = &self.arena.buffer(buffer)[2 * place..2 * place + 2];
        self.value(Value {
            tag: words[0],
            bits: words[1],
        })
    }

    /// Entries of a map in a buffer; how many are not deleted.
    fn entries(&mut self, buffer: u64, count: usize) -> Checked<u32> {
        let mut kept = 0;
        for entry in 0..count {
            if self.arena.buffer(buffer)[entry * ENTRY_WORDS] != DELETED {
                self.element(buffer, 2 * entry)?;
                kept += 1;
            }
            // A collection looks at that of a deleted one, too.
            self.element(buffer, 2 * entry + 1)?;
        }
        Ok(kept)
    }

    fn value(&mut self, value: Value) -> Checked<()> {
        let Value { tag, bits } = value;
        let kind = u8::try_from(tag & !CONSTANT).ok().and_then(Kind::from_tag);
        let Some(kind) = kind else {
            return Err(format!("no value has the tag {tag:#x}"));
        };
        if tag & CONSTANT != 0 {
            return self.constant(kind, bits);
        }
        match kind {
            Kind::Int | Kind::Float | Kind::ActorId => Ok(()),
            Kind::Nil if bits == 0 => Ok(()),
            Kind::Bool if bits <= 1 => Ok(()),
            Kind::Nil | Kind::Bool => Err(format!("a {} of {bits}", kind.name())),
            _ if !bits.is_multiple_of(8) => Err(format!("a {} at byte {bits}", kind.name())),
            _ => {
                let index = index_of(bits);
                self.admit(index)?;
                let object = ObjectKind::of(self.arena.words[index]);
                if fits(kind, object) {
                    Ok(())
                } else {
                    Err(format!("a {} that is a {object:?}", kind.name()))
                }
            }
        }
    }

    fn constant(&self, kind: Kind, bits: u64) -> Checked<()> {
        let (offset, program) = halves(bits);
        let is_text = |kind| matches!(kind, Kind::String | Kind::Symbol);
        let found = (program < self.code.len()).then(|| {
            let objects = &self.code.program(program).objects;
            let found = objects.binary_search_by_key(&offset, |(_, offset)| *offset);
            found.is_ok_and(|at| objects[at].0 == kind || is_text(objects[at].0) && is_text(kind))
        });
        if found == Some(true) {
            Ok(())
        } else {
            Err(format!(
                "program {program} has no {} at {offset}",
                kind.name()
            ))
        }
    }

    /// Looks at the object that starts at a word itself, unless that was done; what it refers to is looked at later.
    fn admit(&mut self, index: usize) -> Checked<()> {
        if index >= self.arena.words.len() {
            return Err(format!("an object at word {index}"));
        }
        if self.started.has(index) {
            if !self.open.has(index) && self.is_immutable(index) {
                // It waits for its turn, below what was found since: it has to come first, or a circle would not be seen.
                self.path.push(index);
            }
            return if self.open.has(index) && !self.closed.has(index) {
                Err("an immutable object that contains itself".to_owned())
            } else {
                Ok(())
            };
        }
        let kind = self.cover(index)?;
        self.check(kind, index)?;
        self.logical += self.arena.logical_bytes_at(index);
        match kind {
            ObjectKind::Pair | ObjectKind::Error | ObjectKind::Capability => self.path.push(index),
            ObjectKind::Cell | ObjectKind::Closure | ObjectKind::Map => self.pending.push(index),
            ObjectKind::Vector if extra(self.arena.words[index]) == Elements::Any as u16 => {
                self.pending.push(index);
            }
            _ => {}
        }
        Ok(())
    }

    fn is_immutable(&self, index: usize) -> bool {
        matches!(
            ObjectKind::of(self.arena.words[index]),
            ObjectKind::Pair | ObjectKind::Error | ObjectKind::Capability
        )
    }

    /// Takes the words of an object, which must be no other's; its kind.
    fn cover(&mut self, index: usize) -> Checked<ObjectKind> {
        let header = self.arena.words[index];
        let Some(kind) = ObjectKind::from_number(header as u8) else {
            return Err(format!("no object starts at word {index}"));
        };
        let words = size_words(header);
        let room = if self.arena.is_small() {
            self.arena.words.len() - index
        } else {
            SEGMENT_WORDS - index % SEGMENT_WORDS
        };
        if index == 0 || words == 0 || words > room {
            return Err(format!("an object of {words} words at word {index}"));
        }
        if !self.covered.cover(index, index + words) {
            return Err(format!("two objects at word {index}"));
        }
        self.started.set(index);
        Ok(kind)
    }
}
