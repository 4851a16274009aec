//! What is wrong with a source text: as data, and drawn with its line and a caret.
//!
//! Phases report into a [`Problems`] and go on, so that all errors of a file are found in one run.

use std::fmt;
use std::sync::Arc;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};

use super::source::{Source, Span};

/// More errors than this are counted, not kept.
const PROBLEMS_MAX: usize = 1_000;

/// How much of a line is drawn on each side of a place.
const DRAWN_BYTES_MAX: usize = 160;

/// One error of a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    file: String,
    line: u32,
    column: u32,
    span: Span,
    problem: Problem,
}

/// What is wrong, before it has a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    message: String,
    label: String,
    help: Option<String>,
}

impl Diagnostic {
    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, from 1.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> u32 {
        self.column
    }

    /// The bytes of the source that are meant.
    pub fn bytes(&self) -> std::ops::Range<usize> {
        self.span.start as usize..self.span.end as usize
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.problem.message
    }

    /// What was expected at this place.
    pub fn label(&self) -> &str {
        &self.problem.label
    }

    /// How to mend it, when there is something to say.
    pub fn help(&self) -> Option<&str> {
        self.problem.help.as_deref()
    }
}

/// `file:line:column: message`, on one line.
impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}:{}: {}",
            self.file, self.line, self.column, self.problem.message
        )
    }
}

/// All errors of a source text, in the order of their places. Displays as a drawing of each.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    errors: Vec<Diagnostic>,
    source: Arc<Source>,
}

impl Diagnostics {
    /// The errors; there is at least one.
    pub fn errors(&self) -> &[Diagnostic] {
        &self.errors
    }

    /// Every error with its line and a caret, in colours for a terminal or without.
    pub fn render(&self, colours: bool) -> String {
        let theme = if colours {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(120);
        let mut text = String::new();
        for error in &self.errors {
            let drawn = Drawn {
                error,
                source: &self.source,
            };
            if handler.render_report(&mut text, &drawn).is_err() {
                text.push_str(&format!("{error}\n"));
            }
        }
        text
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Diagnostics {}

/// Collects the errors of one compilation.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<(Span, Problem)>,
    dropped: usize,
    last_dropped: Span,
}

impl Problems {
    /// Reports an error: what is wrong, and what was expected at the place.
    pub(crate) fn report(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.add(span, message.into(), label.into(), None);
    }

    /// Reports an error with advice.
    pub(crate) fn report_with_help(
        &mut self,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(span, message.into(), label.into(), Some(help.into()));
    }

    fn add(&mut self, span: Span, message: String, label: String, help: Option<String>) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push((
                span,
                Problem {
                    message,
                    label,
                    help,
                },
            ));
        } else {
            self.dropped += 1;
            self.last_dropped = span;
        }
    }

    /// Whether nothing was reported.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many errors were reported.
    pub(crate) fn len(&self) -> usize {
        self.found.len() + self.dropped
    }

    /// The errors with their places, in the order of the source.
    pub(crate) fn finish(mut self, source: Source) -> Diagnostics {
        self.found.sort_by_key(|(span, _)| (span.start, span.end));
        self.found.dedup();
        if self.dropped > 0 {
            let message = format!("{} more errors are not shown", self.dropped);
            let problem = Problem {
                message,
                label: "the last of them".to_owned(),
                help: None,
            };
            self.found.push((self.last_dropped, problem));
        }
        let errors = self.found.into_iter().map(|(span, problem)| {
            let (line, column) = source.position(span.start);
            Diagnostic {
                file: source.name().to_owned(),
                line,
                column,
                span,
                problem,
            }
        });
        Diagnostics {
            errors: errors.collect(),
            source: Arc::new(source),
        }
    }
}

/// One error as miette wants it.
#[derive(Debug)]
struct Drawn<'a> {
    error: &'a Diagnostic,
    source: &'a Source,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.error.problem.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.error
            .help()
            .map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        // A form over many lines is marked by its first line: the caret says where it starts.
        let range = self.error.bytes();
        let end = range
            .end
            .min(self.source.line_end(self.error.span.start))
            .max(range.start);
        let end = end.min(range.start + DRAWN_BYTES_MAX);
        let label = LabeledSpan::new_primary_with_span(
            Some(self.error.problem.label.clone()),
            (range.start, end - range.start),
        );
        Some(Box::new(std::iter::once(label)))
    }
}

/// Only the line of the place is drawn, and of a very long line only the part around it: miette's
/// own reading of a string walks through the whole file for each error.
impl SourceCode for Drawn<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        _lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = self.source.text();
        let place = u32::try_from(span.offset()).map_err(|_| MietteError::OutOfBounds)?;
        let (line_start, line_end) = (self.source.line_start(place), self.source.line_end(place));
        let drawn_start = line_start.max(span.offset().saturating_sub(DRAWN_BYTES_MAX));
        let start = text.ceil_char_boundary(drawn_start);
        let drawn_end = line_end.min(span.offset() + span.len() + DRAWN_BYTES_MAX);
        let end = text.floor_char_boundary(drawn_end).max(start);
        Ok(Box::new(MietteSpanContents::new_named(
            self.source.name().to_owned(),
            &text.as_bytes()[start..end],
            SourceSpan::from((start, end - start)),
            self.error.line as usize - 1,
            self.error.column as usize - 1,
            1,
        )))
    }
}
