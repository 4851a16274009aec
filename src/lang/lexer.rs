//! From text to tokens.

use super::diagnostic::Problems;
use super::number::{Number, NumberError, looks_like_number, parse_number};
use super::source::Span;

/// A piece of a source text.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token<'a> {
    /// `(` or `[`.
    Open(Bracket),
    /// `)` or `]`.
    Close(Bracket),
    /// `'`.
    Quote,
    /// `.` on its own.
    Dot,
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string, its escapes replaced.
    String(String),
    /// Any other word.
    Word(&'a str),
    /// A place at which an error was reported.
    Damaged,
}

/// The two kinds of parentheses, which mean the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bracket {
    /// `( )`
    Round,
    /// `[ ]`
    Square,
}

impl Bracket {
    /// The one that closes.
    pub(crate) fn closing(self) -> char {
        match self {
            Bracket::Round => ')',
            Bracket::Square => ']',
        }
    }
}

/// Cuts a text into tokens; errors go to `problems`, and reading goes on behind them.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning, behind a byte order mark if there is one.
    pub(crate) fn new(text: &'a str) -> Lexer<'a> {
        let at = if text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        Lexer { text, at }
    }

    /// The next token, or `None` at the end.
    pub(crate) fn next(&mut self, problems: &mut Problems) -> Option<(Token<'a>, Span)> {
        self.skip_blanks(problems);
        let start = self.at;
        let first = self.peek()?;
        let token = match first {
            '(' => self.single(Token::Open(Bracket::Round)),
            '[' => self.single(Token::Open(Bracket::Square)),
            ')' => self.single(Token::Close(Bracket::Round)),
            ']' => self.single(Token::Close(Bracket::Square)),
            '\'' => self.single(Token::Quote),
            '"' => self.string(problems),
            _ if is_word(first) => self.word(problems),
            _ => self.unexpected(first, problems),
        };
        Some((token, Span::new(start, self.at)))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn single(&mut self, token: Token<'a>) -> Token<'a> {
        self.at += 1;
        token
    }

    /// Skips white space and comments.
    fn skip_blanks(&mut self, problems: &mut Problems) {
        while let Some(next) = self.peek() {
            if next.is_whitespace() {
                self.at += next.len_utf8();
            } else if next == ';' {
                let rest = &self.text[self.at..];
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if self.text[self.at..].starts_with("#|") {
                self.skip_block_comment(problems);
            } else {
                return;
            }
        }
    }

    fn skip_block_comment(&mut self, problems: &mut Problems) {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut open = 0_usize;
        while self.at < bytes.len() {
            match &bytes[self.at..] {
                [b'#', b'|', ..] => {
                    open += 1;
                    self.at += 2;
                }
                [b'|', b'#', ..] => {
                    open -= 1;
                    self.at += 2;
                    if open == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
        problems.report(
            Span::new(start, start + 2),
            "this comment never ends",
            format!("expected {open} more `|#`"),
        );
    }

    fn string(&mut self, problems: &mut Problems) -> Token<'a> {
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        let mut damaged = false;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(['"', '\\']).unwrap_or(rest.len());
            value.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                None => {
                    problems.report(
                        Span::new(start, start + 1),
                        "this string never ends",
                        "expected a closing `\"`",
                    );
                    return Token::Damaged;
                }
                Some('"') => {
                    self.at += 1;
                    return if damaged {
                        Token::Damaged
                    } else {
                        Token::String(value)
                    };
                }
                Some(_) => match self.escape(problems) {
                    Some(character) => value.push(character),
                    None => damaged = true,
                },
            }
        }
    }

    /// The character that an escape stands for.
    fn escape(&mut self, problems: &mut Problems) -> Option<char> {
        let start = self.at;
        self.at += 1;
        // At the end of the text the string reports that it never ends.
        let letter = self.peek()?;
        self.at += letter.len_utf8();
        match letter {
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            '"' => Some('"'),
            '\\' => Some('\\'),
            'u' => self.unicode_escape(start, problems),
            _ => {
                problems.report(
                    Span::new(start, self.at),
                    format!("unknown escape `\\{}`", letter.escape_default()),
                    "expected one of `\\n \\t \\r \\\" \\\\ \\u{…}`",
                );
                None
            }
        }
    }

    fn unicode_escape(&mut self, start: usize, problems: &mut Problems) -> Option<char> {
        let rest = &self.text[self.at..];
        let digits = rest.strip_prefix('{').unwrap_or("");
        let length = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        let closed = digits[length..].starts_with('}');
        if closed {
            self.at += 1 + length + 1;
        }
        let number = u32::from_str_radix(&digits[..length], 16)
            .ok()
            .filter(|_| closed && length <= 6);
        let character = number.and_then(char::from_u32);
        if character.is_none() {
            problems.report_with_help(
                Span::new(start, self.at),
                "this is no Unicode character",
                "expected `\\u{` with 1 to 6 hexadecimal digits and `}`",
                "characters are 0 to 10FFFF without D800 to DFFF",
            );
        }
        character
    }

    fn word(&mut self, problems: &mut Problems) -> Token<'a> {
        let rest = &self.text[self.at..];
        let length = rest
            .find(|character| !is_word_inside(character))
            .unwrap_or(rest.len());
        let start = self.at;
        self.at += length;
        let word = &rest[..length];
        if word == "." {
            return Token::Dot;
        }
        if !looks_like_number(word) {
            return Token::Word(word);
        }
        match parse_number(word) {
            Ok(Number::Int(value)) => Token::Int(value),
            Ok(Number::Float(value)) => Token::Float(value),
            Err(error) => {
                report_number(error, Span::new(start, self.at), problems);
                Token::Damaged
            }
        }
    }

    fn unexpected(&mut self, character: char, problems: &mut Problems) -> Token<'a> {
        let start = self.at;
        self.at += character.len_utf8();
        let (label, help) = match character {
            '#' => (
                "expected a datum",
                Some("truth values are written `true` and `false`"),
            ),
            '{' | '}' => ("expected a datum", Some("maps are made with `(make-map)`")),
            '`' | ',' => (
                "expected a datum",
                Some("there is no quasiquotation: build lists with `list` and `cons`"),
            ),
            _ => ("expected a datum", None),
        };
        if character == '#' {
            // What follows belongs to it; a second error there would say nothing new.
            let rest = &self.text[self.at..];
            self.at += rest
                .find(|next| !is_word_inside(next))
                .unwrap_or(rest.len());
        }
        let span = Span::new(start, self.at);
        let message = format!("unexpected `{}`", self.text[start..self.at].escape_debug());
        match help {
            Some(help) => problems.report_with_help(span, message, label, help),
            None => problems.report(span, message, label),
        }
        Token::Damaged
    }
}

fn report_number(error: NumberError, span: Span, problems: &mut Problems) {
    match error {
        NumberError::Malformed => problems.report_with_help(
            span,
            "malformed number",
            "expected an integer such as `-12` or `0x1f`, or a float such as `1.5` or `1e-9`",
            "a name cannot start with a digit",
        ),
        NumberError::IntTooLarge => problems.report(
            span,
            "this integer does not fit 64 bits",
            "expected -9223372036854775808 to 9223372036854775807, or up to 16 digits after `0x`",
        ),
        NumberError::FloatTooLarge => problems.report_with_help(
            span,
            "this float does not fit 64 bits",
            "expected at most 1.7976931348623157e308",
            "infinity is written `inf`",
        ),
        NumberError::Separator => {
            problems.report(
                span,
                "misplaced `_` in a number",
                "expected a digit on each side of `_`",
            );
        }
    }
}

/// Whether a word can start with this character.
fn is_word(character: char) -> bool {
    is_word_inside(character) && !matches!(character, '\'' | '#')
}

/// Whether a word can go on with this character.
fn is_word_inside(character: char) -> bool {
    !character.is_whitespace()
        && !character.is_control()
        && !matches!(
            character,
            '(' | ')' | '[' | ']' | '{' | '}' | '"' | ';' | '`' | ','
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> (Vec<Token<'_>>, usize) {
        let mut problems = Problems::default();
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        while let Some((token, _)) = lexer.next(&mut problems) {
            tokens.push(token);
        }
        (tokens, problems.len())
    }

    #[test]
    fn comments_nest_and_end_at_the_line() {
        let (found, errors) = tokens("a ; b ( \n #| c #| d |# e |# f #||#");
        assert_eq!(
            (found, errors),
            (vec![Token::Word("a"), Token::Word("f")], 0)
        );
        assert_eq!(tokens("a #| #| |#"), (vec![Token::Word("a")], 1));
    }

    #[test]
    fn strings_replace_escapes_and_may_span_lines() {
        let (found, errors) = tokens("\"a\\n\\t\\\"\\\\\\u{1F600}\nb\"");
        assert_eq!(
            (found, errors),
            (vec![Token::String("a\n\t\"\\\u{1F600}\nb".to_owned())], 0)
        );
    }

    #[test]
    fn bad_escapes_are_each_reported_and_reading_goes_on() {
        let (found, errors) = tokens(r#""\q \u{D800} \u{} \u12 \u{1234567}" x"#);
        assert_eq!((found, errors), (vec![Token::Damaged, Token::Word("x")], 5));
        for text in ["\"", "\"\\", "\"\\u", "\"\\u{", "\"\\u{1"] {
            assert_eq!(tokens(text).0, vec![Token::Damaged], "{text}");
        }
    }

    #[test]
    fn words_numbers_and_brackets() {
        let (found, errors) = tokens("\u{feff}(f' [-12 1.5 a.b . .. :word -] ünïcode)");
        let expected = vec![
            Token::Open(Bracket::Round),
            Token::Word("f'"),
            Token::Open(Bracket::Square),
            Token::Int(-12),
            Token::Float(1.5),
            Token::Word("a.b"),
            Token::Dot,
            Token::Word(".."),
            Token::Word(":word"),
            Token::Word("-"),
            Token::Close(Bracket::Square),
            Token::Word("ünïcode"),
            Token::Close(Bracket::Round),
        ];
        assert_eq!((found, errors), (expected, 0));
    }

    #[test]
    fn what_is_no_token_is_reported_once() {
        assert_eq!(tokens("#t {} ` , \u{1} x"), {
            let mut expected = vec![Token::Damaged; 6];
            expected.push(Token::Word("x"));
            (expected, 6)
        });
    }
}
