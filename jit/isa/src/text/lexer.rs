//! Lines and their tokens, and a cursor that reads one line.

use super::words;
use super::{TextError, TextErrors};

/// A piece of a line.
pub(super) enum Token<'a> {
    /// Anything that is not one of the others.
    Word(&'a str),
    /// A string in quotes, its escapes resolved.
    Text(String),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `'`
    Quote,
}

/// A token and where it stands.
pub(super) struct Spot<'a> {
    pub(super) token: Token<'a>,
    column: u32,
    /// No space before it.
    glued: bool,
}

/// A line that is not empty.
pub(super) struct Line<'a> {
    pub(super) number: u32,
    end_column: u32,
    spots: Vec<Spot<'a>>,
}

/// The lines of a text. A line that cannot be split is reported and left out.
pub(super) fn lines<'a>(text: &'a str, errors: &mut TextErrors) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (index, text) in text.split('\n').enumerate() {
        match line(text, index as u32 + 1) {
            Ok(line) if line.spots.is_empty() => {}
            Ok(line) => lines.push(line),
            Err(error) => errors.0.push(error),
        }
    }
    lines
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '\'')
}

fn line(text: &str, number: u32) -> Result<Line<'_>, TextError> {
    let mut spots = Vec::new();
    let mut rest = text;
    let mut column = 1;
    let mut glued = false;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            ';' => break,
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '\'' => (Token::Quote, 1),
            '"' => string(rest).map_err(|(at, found)| TextError {
                line: number,
                column: column + rest[..at].chars().count() as u32,
                expected: match found {
                    Some(_) => "an escape of a string".to_owned(),
                    None => "the closing quote of a string".to_owned(),
                },
                found: found.unwrap_or("the end of the line").to_owned(),
            })?,
            c if c == ',' || c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                column += 1;
                glued = false;
                continue;
            }
            _ => {
                let length = rest.find(is_separator).unwrap_or(rest.len());
                (Token::Word(&rest[..length]), length)
            }
        };
        spots.push(Spot {
            token,
            column,
            glued,
        });
        column += rest[..length].chars().count() as u32;
        rest = &rest[length..];
        glued = true;
    }
    Ok(Line {
        number,
        end_column: column,
        spots,
    })
}

/// The string at the front and how many bytes spell it; else where it is wrong and what stands there.
fn string(text: &str) -> Result<(Token<'_>, usize), (usize, Option<&str>)> {
    let mut value = String::new();
    let mut at = 1;
    while let Some(c) = text[at..].chars().next() {
        let width = c.len_utf8();
        match c {
            '"' => return Ok((Token::Text(value), at + 1)),
            '\\' => {
                let rest = &text[at + 1..];
                let Some((c, length)) = words::escape(rest) else {
                    let shown = rest.chars().next().map_or(0, char::len_utf8);
                    return Err((at, Some(&text[at..at + 1 + shown])));
                };
                value.push(c);
                at += 1 + length;
            }
            _ => {
                value.push(c);
                at += width;
            }
        }
    }
    Err((at, None))
}

/// A name for a function or global in the text.
pub(super) enum Reference<'a> {
    /// By name.
    Name(&'a str),
    /// By number in the program: `#3`.
    Number(u32),
    /// By position in the function's link table: `%3`.
    Position(u32),
}

/// Reads the tokens of a line from the left.
#[derive(Clone)]
pub(super) struct Cursor<'l, 'a> {
    line: &'l Line<'a>,
    at: usize,
}

impl<'l, 'a> Cursor<'l, 'a> {
    pub(super) fn new(line: &'l Line<'a>) -> Cursor<'l, 'a> {
        Cursor { line, at: 0 }
    }

    /// The next token.
    pub(super) fn peek(&self) -> Option<&'l Token<'a>> {
        self.line.spots.get(self.at).map(|spot| &spot.token)
    }

    /// The next token if it follows without space.
    pub(super) fn peek_glued(&self) -> Option<&'l Token<'a>> {
        let spot = self.line.spots.get(self.at)?;
        spot.glued.then_some(&spot.token)
    }

    /// The next token if it is a word.
    pub(super) fn peek_word(&self) -> Option<&'a str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Goes on behind the next token.
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// An error at the next token.
    pub(super) fn expected(&self, what: &str) -> TextError {
        let spot = self.line.spots.get(self.at);
        let found = match spot.map(|spot| &spot.token) {
            None => "the end of the line".to_owned(),
            Some(Token::Word(word)) => format!("`{}`", shortened(word)),
            Some(Token::Text(text)) => words::quoted(&shortened(text)),
            Some(Token::Open) => "`(`".to_owned(),
            Some(Token::Close) => "`)`".to_owned(),
            Some(Token::Quote) => "`'`".to_owned(),
        };
        TextError {
            line: self.line.number,
            column: spot.map_or(self.line.end_column, |spot| spot.column),
            expected: what.to_owned(),
            found,
        }
    }

    /// What `read` makes of the next token, which must be a word that it knows.
    pub(super) fn word<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, TextError> {
        match self.peek_word().and_then(read) {
            Some(value) => {
                self.skip();
                Ok(value)
            }
            None => Err(self.expected(what)),
        }
    }

    /// A word of the form `key=number`.
    pub(super) fn keyed<T: TryFrom<u64>>(&mut self, key: &str) -> Result<T, TextError> {
        self.word(&format!("{key}= and a number in range"), |word| {
            words::unsigned(word.strip_prefix(key)?.strip_prefix('=')?)
        })
    }

    /// A name, with or without quotes.
    pub(super) fn name(&mut self, what: &str) -> Result<&'l str, TextError>
    where
        'a: 'l,
    {
        let name = match self.peek() {
            Some(Token::Word(word)) if words::is_identifier(word) => *word,
            Some(Token::Text(text)) => text.as_str(),
            _ => return Err(self.expected(what)),
        };
        self.skip();
        Ok(name)
    }

    /// `#3`: a number given explicitly.
    pub(super) fn explicit_number(&mut self) -> Option<u32> {
        let number = self.peek_word()?.strip_prefix('#')?;
        let number = words::unsigned(number)?;
        self.skip();
        Some(number)
    }

    /// A reference behind a sigil, such as `@fib`.
    pub(super) fn reference(
        &mut self,
        sigil: char,
        what: &str,
    ) -> Result<Reference<'l>, TextError> {
        let Some(rest) = self.peek_word().and_then(|word| word.strip_prefix(sigil)) else {
            return Err(self.expected(what));
        };
        let reference = if rest.is_empty() {
            let mut behind = self.clone();
            behind.skip();
            let Some(Token::Text(text)) = behind.peek_glued() else {
                return Err(self.expected(what));
            };
            self.skip();
            Some(Reference::Name(text))
        } else if let Some(number) = rest.strip_prefix('#') {
            words::unsigned(number).map(Reference::Number)
        } else if let Some(number) = rest.strip_prefix('%') {
            words::unsigned(number).map(Reference::Position)
        } else {
            words::is_identifier(rest).then_some(Reference::Name(rest))
        };
        match reference {
            Some(reference) => {
                self.skip();
                Ok(reference)
            }
            None => Err(self.expected(what)),
        }
    }

    /// `(` or `)`.
    pub(super) fn parenthesis(&mut self, open: bool) -> Result<(), TextError> {
        match (self.peek(), open) {
            (Some(Token::Open), true) | (Some(Token::Close), false) => {
                self.skip();
                Ok(())
            }
            _ => Err(self.expected(if open { "`(`" } else { "`)`" })),
        }
    }

    /// Nothing may follow.
    pub(super) fn finish(&self) -> Result<(), TextError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the line")),
        }
    }
}

/// The beginning of a text, short enough for a message.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
