//! Values as text, and numbers from text.

use std::borrow::Cow;
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

/// The number that a text spells, as in a source: an Int (decimal, or `0x` for any 64 bits) or a Float,
/// `_` between digits.
pub fn parse_number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    match (digits, negative) {
        ("nan", _) if digits.len() == text.len() => return Some(Value::float(f64::NAN)),
        ("inf", true) => return Some(Value::float(f64::NEG_INFINITY)),
        ("inf", false) => return Some(Value::float(f64::INFINITY)),
        _ => {}
    }
    match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => parse_hexadecimal(negative, hexadecimal),
        None => parse_decimal(negative, digits),
    }
}

/// Any 64-bit pattern; with a sign, any magnitude that an Int can have.
fn parse_hexadecimal(negative: bool, digits: &str) -> Option<Value> {
    let digits = without_separators(digits, |byte| byte.is_ascii_hexdigit())?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pattern = u64::from_str_radix(&digits, 16).ok()?;
    match negative {
        false => Some(Value::int(pattern as i64)),
        true => 0i64.checked_sub_unsigned(pattern).map(Value::int),
    }
}

fn parse_decimal(negative: bool, digits: &str) -> Option<Value> {
    let digits = without_separators(digits, |byte| byte.is_ascii_digit())?;
    let sign = if negative { "-" } else { "" };
    let signed = [sign, &digits].concat();
    let (whole, rest) = split_digits(&digits);
    if whole.is_empty() {
        return None;
    }
    if rest.is_empty() {
        return signed.parse().ok().map(Value::int);
    }
    let exponent = match rest.strip_prefix('.') {
        Some(fraction) => {
            let (fraction, rest) = split_digits(fraction);
            if fraction.is_empty() {
                return None;
            }
            rest
        }
        None => rest,
    };
    if !exponent.is_empty() {
        let power = exponent.strip_prefix(['e', 'E'])?;
        let (digits, rest) = split_digits(power.strip_prefix(['-', '+']).unwrap_or(power));
        if digits.is_empty() || !rest.is_empty() {
            return None;
        }
    }
    let float: f64 = signed.parse().ok()?;
    float.is_finite().then_some(Value::float(float))
}

/// The digits at the start of a text, and the rest.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Takes the `_` out, each of which must have a digit on both sides.
fn without_separators(text: &str, is_digit: impl Fn(u8) -> bool) -> Option<String> {
    let bytes = text.as_bytes();
    let digit_at = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(|b| is_digit(*b))
    };
    text.match_indices('_')
        .all(|(at, _)| digit_at(at.checked_sub(1)) && digit_at(Some(at + 1)))
        .then(|| text.replace('_', ""))
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

/// Passing this many deleted entries of a map counts as writing a byte.
const DELETED_PER_BYTE: usize = 16;

/// What is left to write.
enum Step {
    Value(Value),
    Text(&'static str),
    /// The rest of a list after its first element.
    Tail(Value),
    /// The elements of a vector or the entries of a map from this one on.
    Parts(Value, u32),
}

/// The text of a value. Cycles show as `#<cycle>`; longer texts than [`TEXT_MAX`] are cut.
pub fn value_text(heap: Heap<'_>, value: Value, style: Style) -> String {
    value_text_within(heap, value, style, TEXT_MAX)
}

/// The text of a value, cut after `bytes_max` bytes. The work is proportional to what is written, however
/// large the value is.
pub fn value_text_within(heap: Heap<'_>, value: Value, style: Style, bytes_max: usize) -> String {
    let mut printer = Printer {
        heap,
        style,
        bytes_max,
        out: String::new(),
        steps: vec![Step::Value(value)],
        around: HashSet::new(),
        deleted: 0,
    };
    while let Some(step) = printer.steps.pop() {
        printer.step(step);
        if printer.out.len() + printer.deleted / DELETED_PER_BYTE > bytes_max {
            let end = printer.out.floor_char_boundary(bytes_max);
            printer.out.truncate(end);
            printer.out.push('…');
            break;
        }
    }
    printer.out
}

struct Printer<'a> {
    heap: Heap<'a>,
    style: Style,
    bytes_max: usize,
    out: String,
    steps: Vec<Step>,
    /// The vectors and maps around the current place.
    around: HashSet<(u64, u64)>,
    /// Deleted entries of maps that were passed.
    deleted: usize,
}

impl<'a> Printer<'a> {
    fn step(&mut self, step: Step) {
        match step {
            Step::Text(text) => self.out.push_str(text),
            Step::Value(value) => self.value(value),
            Step::Parts(value, first) => self.parts(value, first),
            Step::Tail(rest) => match self.heap.pair(rest) {
                Some((car, cdr)) => {
                    self.out.push(' ');
                    self.steps.extend([Step::Tail(cdr), Step::Value(car)]);
                }
                None if rest == Value::NIL => self.out.push(')'),
                None => {
                    self.out.push_str(" . ");
                    self.steps.extend([Step::Text(")"), Step::Value(rest)]);
                }
            },
        }
    }

    fn value(&mut self, value: Value) {
        match value.kind() {
            Kind::Nil => self.out.push_str("nil"),
            Kind::Bool => self
                .out
                .push_str(if value.bits != 0 { "true" } else { "false" }),
            Kind::Int => self.write(format_args!("{}", value.bits as i64)),
            Kind::Float => self.out.push_str(&float_text(f64::from_bits(value.bits))),
            Kind::String if self.style == Style::Quoted => {
                let beginning = self.beginning(value);
                write_quoted(&mut self.out, &beginning);
            }
            Kind::Symbol | Kind::String => self.out.push_str(&self.beginning(value)),
            Kind::ActorId => self.write(format_args!("#<actor {}>", value.bits)),
            Kind::Closure => self.function(value),
            Kind::Cell => self.out.push_str("#<cell>"),
            Kind::Error => self.error(value),
            Kind::Capability => {
                if let Some((name, parameter)) = self.heap.capability(value) {
                    let name = self.beginning(name);
                    self.write(format_args!("#<capability {name}"));
                    self.steps.push(Step::Text(">"));
                    if parameter != Value::NIL {
                        self.steps.extend([Step::Value(parameter), Step::Text(" ")]);
                    }
                }
            }
            Kind::Bytes => {
                self.out.push_str("(bytes");
                let bytes = self.heap.bytes(value).unwrap_or(&[]);
                for byte in bytes.iter().take(self.bytes_max / 2 + 1) {
                    self.write(format_args!(" {byte}"));
                }
                self.out.push(')');
            }
            Kind::Pair => {
                if let Some((car, cdr)) = self.heap.pair(value) {
                    self.out.push('(');
                    self.steps.extend([Step::Tail(cdr), Step::Value(car)]);
                }
            }
            Kind::Vector | Kind::Map if !self.around.insert((value.tag, value.bits)) => {
                self.out.push_str("#<cycle>");
            }
            Kind::Vector => {
                self.out.push_str("(vector");
                self.steps.push(Step::Parts(value, 0));
            }
            Kind::Map => {
                self.out.push_str("(map");
                self.steps.push(Step::Parts(value, 0));
            }
        }
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.out.write_fmt(arguments);
    }

    /// The text of a String or Symbol, or its beginning when not all of it can be needed.
    fn beginning(&self, value: Value) -> Cow<'a, str> {
        let bytes = self.heap.text_bytes(value);
        // A character behind the longest text shows that it is cut.
        let end = bytes.len().min(self.bytes_max.saturating_add(4));
        String::from_utf8_lossy(&bytes[..end])
    }

    fn parts(&mut self, whole: Value, place: u32) {
        let (exists, parts) = if whole.kind() == Kind::Vector {
            let element = self.heap.element(whole, place);
            (element.is_some(), [element, None])
        } else {
            let entry = self.heap.entry(whole, place);
            let (key, value) = entry.flatten().unzip();
            self.deleted += usize::from(entry == Some(None));
            (entry.is_some(), [key, value])
        };
        if !exists {
            self.around.remove(&(whole.tag, whole.bits));
            self.out.push(')');
            return;
        }
        self.steps.push(Step::Parts(whole, place + 1));
        for part in parts.into_iter().rev().flatten() {
            self.steps.extend([Step::Value(part), Step::Text(" ")]);
        }
    }

    fn function(&mut self, value: Value) {
        let code = self.heap.code;
        let name = self.heap.closure(value).and_then(|(program, function)| {
            let debug = code.program(program).program().debug_of(function)?;
            (!debug.name.is_empty()).then_some(&debug.name)
        });
        match name {
            Some(name) => self.write(format_args!("#<function {name}>")),
            None => self.out.push_str("#<function>"),
        }
    }

    fn error(&mut self, value: Value) {
        if let Some((kind, message, _)) = self.heap.error(value) {
            let message = self.beginning(message);
            self.write(format_args!("#<error {}: {message}>", kind.name()));
        }
    }
}
