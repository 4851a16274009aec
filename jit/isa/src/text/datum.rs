//! Reading constants. Lists are kept on a stack of their own, so depth is limited by memory only.

use super::TextError;
use super::lexer::{Cursor, Token};
use super::parse::Names;
use super::tables::Tables;
use super::words;
use crate::error_kind::ErrorKind;
use crate::program::Constant;

/// A form whose closing parenthesis has not come yet.
enum Pending {
    List {
        items: Vec<u32>,
        tail: Tail,
    },
    Capability {
        name: String,
        parameter: Option<u32>,
    },
}

/// What stands behind the dot of a list.
enum Tail {
    NoDot,
    Dot,
    Value(u32),
}

/// A constant that was read.
enum Value {
    /// One that has no number yet.
    New(Constant),
    /// An entry of the table by position.
    Entry(u32),
}

/// Reads a constant and gives its number: that of an equal one, or a new one.
///
/// New entries are numbered as they are completed: the items of a list from the left, its end, then
/// its pairs from the right.
pub(super) fn read(
    cursor: &mut Cursor<'_, '_>,
    tables: &mut Tables,
    names: &Names<'_>,
) -> Result<u32, TextError> {
    let value = read_value(cursor, tables, names)?;
    Ok(number(tables, value))
}

/// Reads a constant that is to become an entry of its own.
pub(super) fn read_entry(
    cursor: &mut Cursor<'_, '_>,
    tables: &mut Tables,
    names: &Names<'_>,
) -> Result<Constant, TextError> {
    let place = cursor.clone();
    match read_value(cursor, tables, names)? {
        Value::New(constant) => Ok(constant),
        Value::Entry(_) => Err(place.expected("a constant, not the position of one")),
    }
}

fn number(tables: &mut Tables, value: Value) -> u32 {
    match value {
        Value::New(constant) => tables.constant(constant),
        Value::Entry(position) => position,
    }
}

fn read_value(
    cursor: &mut Cursor<'_, '_>,
    tables: &mut Tables,
    names: &Names<'_>,
) -> Result<Value, TextError> {
    let mut pending: Vec<Pending> = Vec::new();
    loop {
        let value = match cursor.peek() {
            Some(Token::Open) => {
                cursor.skip();
                pending.push(new_list());
                continue;
            }
            Some(Token::Close) => match pending.pop() {
                Some(form) => {
                    let value = close(cursor, tables, form)?;
                    cursor.skip();
                    value
                }
                None => return Err(cursor.expected("a constant")),
            },
            Some(Token::Word(".")) => {
                dot(cursor, pending.last_mut())?;
                continue;
            }
            _ => match value(cursor, tables, names, &mut pending)? {
                Some(value) => value,
                None => continue,
            },
        };
        match pending.last_mut() {
            None => return Ok(value),
            Some(form) => put(cursor, form, number(tables, value))?,
        }
    }
}

fn new_list() -> Pending {
    Pending::List {
        items: Vec::new(),
        tail: Tail::NoDot,
    }
}

/// Gives a form another value. The cursor is already behind it.
fn put(cursor: &Cursor<'_, '_>, form: &mut Pending, value: u32) -> Result<(), TextError> {
    match form {
        Pending::List { items, tail } => match tail {
            Tail::NoDot => items.push(value),
            Tail::Dot | Tail::Value(_) => {
                *tail = Tail::Value(value);
                must_close(cursor)?;
            }
        },
        Pending::Capability { parameter, .. } => {
            *parameter = Some(value);
            must_close(cursor)?;
        }
    }
    Ok(())
}

fn must_close(cursor: &Cursor<'_, '_>) -> Result<(), TextError> {
    match cursor.peek() {
        Some(Token::Close) => Ok(()),
        _ => Err(cursor.expected("`)`")),
    }
}

fn dot(cursor: &mut Cursor<'_, '_>, form: Option<&mut Pending>) -> Result<(), TextError> {
    match form {
        Some(Pending::List {
            items,
            tail: tail @ Tail::NoDot,
        }) if !items.is_empty() => {
            *tail = Tail::Dot;
            cursor.skip();
            Ok(())
        }
        _ => Err(cursor.expected("a constant")),
    }
}

/// The value of a form whose closing parenthesis is next.
fn close(cursor: &Cursor<'_, '_>, tables: &mut Tables, form: Pending) -> Result<Value, TextError> {
    let (items, tail) = match form {
        Pending::Capability { name, parameter } => {
            return Ok(Value::New(Constant::Capability { name, parameter }));
        }
        Pending::List { items, tail } => (items, tail),
    };
    let Some((first, others)) = items.split_first() else {
        return Ok(Value::New(Constant::Nil));
    };
    let end = match tail {
        Tail::NoDot => tables.constant(Constant::Nil),
        Tail::Value(value) => value,
        Tail::Dot => return Err(cursor.expected("a constant")),
    };
    let rest = others.iter().rev().fold(end, |rest, item| {
        tables.constant(Constant::Pair(*item, rest))
    });
    Ok(Value::New(Constant::Pair(*first, rest)))
}

/// A value that is no list, or `None` when it opened a form.
fn value(
    cursor: &mut Cursor<'_, '_>,
    tables: &mut Tables,
    names: &Names<'_>,
    pending: &mut Vec<Pending>,
) -> Result<Option<Value>, TextError> {
    let constant = match cursor.peek() {
        Some(Token::Text(text)) => {
            cursor.skip();
            Constant::String(text.clone())
        }
        Some(Token::Quote) => {
            cursor.skip();
            if let Some(Token::Open) = cursor.peek() {
                return Ok(None);
            }
            Constant::Symbol(cursor.name("a symbol or a list")?.to_owned())
        }
        Some(Token::Word(word)) => match word.as_bytes()[0] {
            b'@' => Constant::Function(names.function_link(cursor, tables)?),
            b'%' => {
                let position = |word: &str| words::unsigned(word.strip_prefix('%')?);
                return cursor
                    .word("the position of a constant", position)
                    .map(|position| Some(Value::Entry(position)));
            }
            b'#' => match form(cursor, pending)? {
                Some(constant) => constant,
                None => return Ok(None),
            },
            _ => {
                let in_list = !pending.is_empty();
                cursor.word("a constant", |word| plain(word, in_list))?
            }
        },
        _ => return Err(cursor.expected("a constant")),
    };
    Ok(Some(Value::New(constant)))
}

/// A constant that is one word.
fn plain(word: &str, in_list: bool) -> Option<Constant> {
    match word {
        "nil" => return Some(Constant::Nil),
        "true" => return Some(Constant::Bool(true)),
        "false" => return Some(Constant::Bool(false)),
        _ => {}
    }
    if let Some(number) = words::signed(word) {
        return Some(Constant::Int(number));
    }
    if word.contains(['.', 'e', 'E', 'n'])
        && let Some(bits) = words::float(word)
    {
        return Some(Constant::Float(bits));
    }
    (in_list && words::is_bare_symbol(word)).then(|| Constant::Symbol(word.to_owned()))
}

/// `#actor(17)`, `#error(Kind "message")`, or the beginning of `#capability(name parameter)`, whose
/// parameter is read as the value of a pending form.
fn form(
    cursor: &mut Cursor<'_, '_>,
    pending: &mut Vec<Pending>,
) -> Result<Option<Constant>, TextError> {
    let word = cursor.word("#actor, #capability or #error", |word| {
        matches!(word, "#actor" | "#capability" | "#error").then_some(word)
    })?;
    cursor.parenthesis(true)?;
    let constant = match word {
        "#actor" => Constant::ActorId(cursor.word("the number of an actor", words::unsigned)?),
        "#error" => {
            let kind = cursor.word("a kind of error", ErrorKind::from_name)?;
            let Some(Token::Text(message)) = cursor.peek() else {
                return Err(cursor.expected("a message in quotes"));
            };
            cursor.skip();
            Constant::Error {
                kind,
                message: message.clone(),
            }
        }
        _ => {
            let name = cursor.name("the name of a capability")?.to_owned();
            pending.push(Pending::Capability {
                name,
                parameter: None,
            });
            return Ok(None);
        }
    };
    cursor.parenthesis(false)?;
    Ok(Some(constant))
}
