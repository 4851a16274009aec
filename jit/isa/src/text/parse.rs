//! Reading a text: what concerns the program as a whole. Function bodies are read by
//! `parse_function` once all names are known.

use std::collections::BTreeMap;

use super::lexer::{self, Cursor, Line, Reference, Token};
use super::parse_function;
use super::tables::Tables;
use super::words;
use super::{TextError, TextErrors};
use crate::program::{Link, Program};

/// Reads assembly text. The program is well-formed but not yet verified.
///
/// # Errors
/// Everything that is wrong, by line; a line that cannot be read does not hide what is wrong with
/// the others.
pub fn parse(text: &str) -> Result<Program, TextErrors> {
    let mut errors = TextErrors(Vec::new());
    let lines = lexer::lines(text, &mut errors);
    let mut outline = Outline::default();
    for line in &lines {
        if let Err(error) = outline.read_line(line) {
            errors.0.push(error);
        }
    }
    let mut program = Program::default();
    match outline.entry() {
        Ok(entry) => program.entry = entry,
        Err(error) => errors.0.push(error),
    }
    program.globals = match outline.unnamed_globals {
        Some(count) => count,
        None => outline.global_names.len() as u32,
    };
    program.debug.file = outline.file;
    program.debug.globals = outline.global_names;
    for (header, body) in outline.functions {
        let (function, links, debug) =
            parse_function::read(&header, &body, &outline.names, &mut errors);
        program.functions.push(function);
        program.links.push(links);
        if !outline.no_debug {
            program.debug.functions.push(debug);
        }
    }
    if errors.0.is_empty() {
        Ok(program)
    } else {
        errors.0.sort_by_key(|error| (error.line, error.column));
        Err(errors)
    }
}

/// Functions and globals that can be referred to by name.
#[derive(Default)]
pub(super) struct Names<'l> {
    functions: BTreeMap<&'l str, u32>,
    globals: BTreeMap<&'l str, u32>,
}

/// What a reference means.
pub(super) enum Target {
    /// A function or global by number.
    Number(u32),
    /// An entry of the link table by position.
    Entry(u32),
}

impl Names<'_> {
    /// Reads `@function`.
    pub(super) fn function(&self, cursor: &mut Cursor<'_, '_>) -> Result<Target, TextError> {
        let place = cursor.clone();
        let reference = cursor.reference('@', "a function, such as @main")?;
        target(reference, &self.functions)
            .ok_or_else(|| place.expected("a function of this program"))
    }

    /// Reads `$global`.
    pub(super) fn global(&self, cursor: &mut Cursor<'_, '_>) -> Result<Target, TextError> {
        let place = cursor.clone();
        let reference = cursor.reference('$', "a global, such as $total")?;
        target(reference, &self.globals)
            .ok_or_else(|| place.expected("a global declared by a line `.global name`"))
    }

    /// Reads `@function` and gives its position in the link table.
    pub(super) fn function_link(
        &self,
        cursor: &mut Cursor<'_, '_>,
        tables: &mut Tables,
    ) -> Result<u32, TextError> {
        Ok(match self.function(cursor)? {
            Target::Number(number) => tables.link(Link::Function(number)),
            Target::Entry(position) => position,
        })
    }

    /// Reads `$global` and gives its position in the link table.
    pub(super) fn global_link(
        &self,
        cursor: &mut Cursor<'_, '_>,
        tables: &mut Tables,
    ) -> Result<u32, TextError> {
        Ok(match self.global(cursor)? {
            Target::Number(number) => tables.link(Link::Global(number)),
            Target::Entry(position) => position,
        })
    }
}

fn target(reference: Reference<'_>, names: &BTreeMap<&str, u32>) -> Option<Target> {
    Some(match reference {
        Reference::Name(name) => Target::Number(*names.get(name)?),
        Reference::Number(number) => Target::Number(number),
        Reference::Position(position) => Target::Entry(position),
    })
}

/// The first line of a function.
#[derive(Default)]
pub(super) struct Header<'l> {
    pub(super) name: String,
    pub(super) params: u16,
    pub(super) rest: bool,
    pub(super) captures: u16,
    /// Registers of a frame, if the text says so.
    pub(super) registers: Option<u16>,
    /// Names of the first registers.
    pub(super) parameter_names: Vec<&'l str>,
}

/// The program-wide lines of a text, and its functions with their bodies still unread.
#[derive(Default)]
struct Outline<'l, 'a> {
    file: String,
    no_debug: bool,
    entry: Option<Cursor<'l, 'a>>,
    unnamed_globals: Option<u32>,
    global_names: Vec<String>,
    names: Names<'l>,
    functions: Vec<(Header<'l>, Vec<&'l Line<'a>>)>,
}

impl<'l, 'a> Outline<'l, 'a> {
    fn read_line(&mut self, line: &'l Line<'a>) -> Result<(), TextError> {
        let mut cursor = Cursor::new(line);
        match cursor.peek_word() {
            Some("func") => {
                cursor.skip();
                let mut header = Header::default();
                let number = self.functions.len() as u32;
                let read = self.header(&mut cursor, number, &mut header);
                self.functions.push((header, Vec::new()));
                return read;
            }
            Some(".file") => {
                cursor.skip();
                self.file = cursor.name("a file name in quotes")?.to_owned();
            }
            Some(".no-debug") => {
                cursor.skip();
                self.no_debug = true;
            }
            Some(".entry") => {
                cursor.skip();
                self.entry = Some(cursor);
                return Ok(());
            }
            Some(".global") => {
                cursor.skip();
                self.global(&mut cursor)?;
            }
            Some(".globals") => {
                let place = cursor.clone();
                cursor.skip();
                let count = cursor.word("how many globals there are", words::unsigned)?;
                if !self.global_names.is_empty() || self.unnamed_globals.is_some() {
                    return Err(place.expected("no second declaration of globals"));
                }
                self.unnamed_globals = Some(count);
            }
            _ => match self.functions.last_mut() {
                Some((_, body)) => {
                    body.push(line);
                    return Ok(());
                }
                None => return Err(cursor.expected("`func`")),
            },
        }
        cursor.finish()
    }

    fn global(&mut self, cursor: &mut Cursor<'l, 'a>) -> Result<(), TextError> {
        if self.unnamed_globals.is_some() {
            return Err(cursor.expected("no global beside those counted by `.globals`"));
        }
        let number = self.global_names.len() as u32;
        let explicit = numbered(cursor, number)?;
        let place = cursor.clone();
        let name = match cursor.peek() {
            None if explicit => "",
            _ => cursor.name("the name of a global")?,
        };
        self.global_names.push(name.to_owned());
        if !explicit && self.names.globals.insert(name, number).is_some() {
            return Err(place.expected("a name that no other global has"));
        }
        Ok(())
    }

    fn header(
        &mut self,
        cursor: &mut Cursor<'l, 'a>,
        number: u32,
        header: &mut Header<'l>,
    ) -> Result<(), TextError> {
        let explicit = numbered(cursor, number)?;
        let place = cursor.clone();
        if !(explicit && matches!(cursor.peek(), Some(Token::Open))) {
            let name = cursor.name("the name of a function")?;
            header.name = name.to_owned();
            if !explicit && self.names.functions.insert(name, number).is_some() {
                return Err(place.expected("a name that no other function has"));
            }
        }
        cursor.parenthesis(true)?;
        parameters(cursor, header)?;
        cursor.parenthesis(false)?;
        while let Some(word) = cursor.peek_word() {
            if word.starts_with("captures=") {
                header.captures = cursor.keyed("captures")?;
            } else if word.starts_with("registers=") {
                header.registers = Some(cursor.keyed("registers")?);
            } else {
                break;
            }
        }
        match cursor.peek() {
            None => Ok(()),
            Some(_) => Err(cursor.expected("captures= or registers=")),
        }
    }

    fn entry(&self) -> Result<u32, TextError> {
        let Some(cursor) = &self.entry else {
            return Ok(self.names.functions.get("main").copied().unwrap_or(0));
        };
        let mut cursor = cursor.clone();
        let place = cursor.clone();
        let target = self.names.function(&mut cursor)?;
        cursor.finish()?;
        match target {
            Target::Number(number) => Ok(number),
            Target::Entry(_) => Err(place.expected("a function of this program")),
        }
    }
}

/// Skips an explicit number, which must be the next one.
fn numbered(cursor: &mut Cursor<'_, '_>, number: u32) -> Result<bool, TextError> {
    let place = cursor.clone();
    match cursor.explicit_number() {
        None => Ok(false),
        Some(found) if found == number => Ok(true),
        Some(_) => Err(place.expected(&format!("#{number}, the number of this place"))),
    }
}

/// `a b more...`, `2`, or `2 ...`.
fn parameters<'l>(cursor: &mut Cursor<'l, '_>, header: &mut Header<'l>) -> Result<(), TextError> {
    let count = cursor.peek_word().and_then(words::unsigned);
    let counted = count.is_some();
    if let Some(count) = count {
        header.params = count;
        cursor.skip();
    }
    while let Some(word) = cursor.peek_word() {
        if header.rest {
            return Err(cursor.expected("`)` behind the rest parameter"));
        }
        let name = word.strip_suffix("...");
        header.rest = name.is_some();
        let name = name.unwrap_or(word);
        if !(name.is_empty() && header.rest) {
            let fresh = words::is_variable_name(name) && !header.parameter_names.contains(&name);
            if counted || !fresh {
                return Err(cursor.expected("the name of a parameter that no other has"));
            }
            header.parameter_names.push(name);
        }
        if !header.rest {
            header.params = match header.params.checked_add(1) {
                Some(params) => params,
                None => return Err(cursor.expected("at most 65535 parameters")),
            };
        }
        cursor.skip();
    }
    Ok(())
}
