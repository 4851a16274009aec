//! Values as text, and numbers from text.

use std::collections::HashSet;
use std::fmt::Write;

use pw_isa::Kind;

use crate::heap::Heap;
use crate::value::Value;

/// How strings look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// In quotes, with escapes: as a program would write them. For results and errors.
    Quoted,
    /// As they are. For `print`.
    Bare,
}

/// The longest text of a value, in bytes; the rest is cut with `…`.
pub const TEXT_MAX: usize = 16 << 20;

/// The text of a float: the shortest decimal that reads back as the same float, always with a point or
/// an exponent; exponents from 1e16 up and below 1e-5.
pub fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let size = value.abs();
    if size >= 1e16 || (size < 1e-5 && size != 0.0) {
        return format!("{value:e}");
    }
    let mut text = value.to_string();
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

/// The number that a text spells: an Int (decimal, or `0x` for any 64 bits, `_` between digits) or a
/// Float.
pub fn parse_number(text: &str) -> Option<Value> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match digits {
        "nan" if digits.len() == text.len() => return Some(Value::float(f64::NAN)),
        "inf" => {
            return Some(Value::float(if negative {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            }));
        }
        _ => {}
    }
    let misplaced = digits.starts_with('_') || digits.ends_with('_') || digits.contains("__");
    if misplaced
        || !digits
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
    {
        return None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    if let Some(hex) = plain.strip_prefix("0x") {
        let bits = if hex.starts_with('+') {
            None
        } else {
            u64::from_str_radix(hex, 16).ok()
        }? as i64;
        return Some(Value::int(if negative {
            bits.checked_neg()?
        } else {
            bits
        }));
    }
    if plain.bytes().all(|byte| byte.is_ascii_digit()) {
        let signed = if negative { format!("-{plain}") } else { plain };
        return signed.parse().ok().map(Value::int);
    }
    if !plain.starts_with(|c: char| c.is_ascii_digit()) || plain.ends_with('.') {
        return None;
    }
    let float: f64 = plain.parse().ok()?;
    float
        .is_finite()
        .then_some(Value::float(if negative { -float } else { float }))
}

/// Appends a string in quotes.
pub fn write_quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// What is left to write.
enum Step {
    Value(Value),
    Text(&'static str),
    /// The rest of a list after its first element.
    Tail(Value),
    /// A vector or map is done: it may appear again.
    Leave(Value),
}

/// The text of a value. Cycles show as `#<cycle>`; longer texts than [`TEXT_MAX`] are cut.
pub fn value_text(heap: Heap<'_>, value: Value, style: Style) -> String {
    value_text_within(heap, value, style, TEXT_MAX)
}

/// The text of a value, cut after about `bytes_max` bytes.
pub fn value_text_within(heap: Heap<'_>, value: Value, style: Style, bytes_max: usize) -> String {
    let mut out = String::new();
    let mut steps = vec![Step::Value(value)];
    let mut around = HashSet::new();
    while let Some(step) = steps.pop() {
        if out.len() > bytes_max {
            out.push('…');
            break;
        }
        match step {
            Step::Text(text) => out.push_str(text),
            Step::Leave(value) => {
                around.remove(&(value.tag, value.bits));
            }
            Step::Value(value) => write_one(heap, value, style, &mut out, &mut steps, &mut around),
            Step::Tail(rest) => match heap.pair(rest) {
                Some((car, cdr)) => {
                    out.push(' ');
                    steps.extend([Step::Tail(cdr), Step::Value(car)]);
                }
                None if rest == Value::NIL => out.push(')'),
                None => {
                    out.push_str(" . ");
                    steps.extend([Step::Text(")"), Step::Value(rest)]);
                }
            },
        }
    }
    out
}

fn write_one(
    heap: Heap<'_>,
    value: Value,
    style: Style,
    out: &mut String,
    steps: &mut Vec<Step>,
    around: &mut HashSet<(u64, u64)>,
) {
    match value.kind() {
        Kind::Nil => out.push_str("nil"),
        Kind::Bool => out.push_str(if value.bits != 0 { "true" } else { "false" }),
        Kind::Int => {
            let _ = write!(out, "{}", value.bits as i64);
        }
        Kind::Float => out.push_str(&float_text(f64::from_bits(value.bits))),
        Kind::Symbol => out.push_str(heap.text(value)),
        Kind::String if style == Style::Quoted => write_quoted(out, heap.text(value)),
        Kind::String => out.push_str(heap.text(value)),
        Kind::ActorId => {
            let _ = write!(out, "#<actor {}>", value.bits);
        }
        Kind::Closure => write_function(heap, value, out),
        Kind::Cell => out.push_str("#<cell>"),
        Kind::Error => write_error(heap, value, out),
        Kind::Capability => {
            if let Some((name, parameter)) = heap.capability(value) {
                out.push_str("#<capability ");
                out.push_str(heap.text(name));
                steps.push(Step::Text(">"));
                if parameter != Value::NIL {
                    out.push(' ');
                    steps.push(Step::Value(parameter));
                }
            }
        }
        Kind::Bytes => {
            out.push_str("(bytes");
            for byte in heap.bytes(value).unwrap_or(&[]).iter().take(TEXT_MAX) {
                let _ = write!(out, " {byte}");
            }
            out.push(')');
        }
        Kind::Pair => {
            if let Some((car, cdr)) = heap.pair(value) {
                out.push('(');
                steps.extend([Step::Tail(cdr), Step::Value(car)]);
            }
        }
        Kind::Vector | Kind::Map => write_mutable(heap, value, out, steps, around),
    }
}

fn write_mutable(
    heap: Heap<'_>,
    value: Value,
    out: &mut String,
    steps: &mut Vec<Step>,
    around: &mut HashSet<(u64, u64)>,
) {
    if !around.insert((value.tag, value.bits)) {
        out.push_str("#<cycle>");
        return;
    }
    out.push_str(if value.kind() == Kind::Vector {
        "(vector"
    } else {
        "(map"
    });
    let parts: Vec<Value> = match heap.vector(value) {
        Some(elements) => elements.collect(),
        None => heap
            .map(value)
            .into_iter()
            .flatten()
            .flat_map(|(key, value)| [key, value])
            .collect(),
    };
    steps.extend([Step::Leave(value), Step::Text(")")]);
    for part in parts.into_iter().rev() {
        steps.extend([Step::Value(part), Step::Text(" ")]);
    }
}

fn write_function(heap: Heap<'_>, value: Value, out: &mut String) {
    let name = heap.closure(value).and_then(|(program, function)| {
        let debug = heap.code.program(program).program().debug_of(function)?;
        (!debug.name.is_empty()).then_some(&debug.name)
    });
    match name {
        Some(name) => {
            let _ = write!(out, "#<function {name}>");
        }
        None => out.push_str("#<function>"),
    }
}

fn write_error(heap: Heap<'_>, value: Value, out: &mut String) {
    if let Some((kind, message, _)) = heap.error(value) {
        let _ = write!(
            out,
            "#<error {}: {}>",
            kind.name(),
            heap.string(message).unwrap_or("")
        );
    }
}
