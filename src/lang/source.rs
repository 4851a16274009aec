//! A source text and the positions in it.
//!
//! Everything the front end makes carries a [`Span`] of bytes; lines and columns are computed only
//! when somebody is told about a place.

/// A range of bytes of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Span {
    /// First byte.
    pub(crate) start: u32,
    /// First byte behind the range.
    pub(crate) end: u32,
}

impl Span {
    /// The range `start..end`.
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    /// From the beginning of this range to the end of the other.
    pub(crate) fn to(self, other: Span) -> Span {
        Span {
            start: self.start,
            end: other.end,
        }
    }
}

/// The longest source that is compiled: positions are 32 bits wide, with room to spare.
pub(crate) const SOURCE_BYTES_MAX: usize = 256 << 20;

/// A source text with its name.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
    /// The byte at which each line starts.
    line_starts: Vec<u32>,
}

impl Source {
    /// Takes a text of at most [`SOURCE_BYTES_MAX`] bytes.
    pub(crate) fn new(name: &str, text: &str) -> Source {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0)
            .chain(newlines.map(|(at, _)| at as u32 + 1))
            .collect();
        Source {
            name: name.to_owned(),
            text: text.to_owned(),
            line_starts,
        }
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The line of a byte, from 1.
    pub(crate) fn line(&self, byte: u32) -> u32 {
        self.line_starts.partition_point(|start| *start <= byte) as u32
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub(crate) fn position(&self, byte: u32) -> (u32, u32) {
        let line = self.line(byte);
        let start = self.line_start(byte);
        let before = &self.text.as_bytes()[start..(byte as usize).min(self.text.len())];
        (
            line,
            before
                .iter()
                .filter(|byte| is_first_of_character(**byte))
                .count() as u32
                + 1,
        )
    }

    /// The byte at which the line of `byte` starts.
    pub(crate) fn line_start(&self, byte: u32) -> usize {
        self.line_starts[self.line(byte) as usize - 1] as usize
    }

    /// The byte at which the line of `byte` ends, its line break excluded.
    pub(crate) fn line_end(&self, byte: u32) -> usize {
        let next = self.line_starts.get(self.line(byte) as usize);
        let end = next.map_or(self.text.len(), |start| *start as usize - 1);
        let line = &self.text[self.line_start(byte)..end];
        end - usize::from(line.ends_with('\r'))
    }
}

/// Whether a byte of UTF-8 starts a character.
fn is_first_of_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let source = Source::new("a", "äb\n\nc");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (1, 2));
        assert_eq!(source.position(4), (2, 1));
        assert_eq!(source.position(5), (3, 1));
        assert_eq!(source.position(6), (3, 2));
        assert_eq!((source.line_start(2), source.line_end(2)), (0, 3));
        assert_eq!((source.line_start(6), source.line_end(6)), (5, 6));
    }
}
