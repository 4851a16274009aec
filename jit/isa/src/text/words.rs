//! How names, numbers and strings are spelled, in both directions.

use crate::program::{Function, Variable};

/// Longer names are written once, where they are declared, and referred to by number: a text stays
/// proportional to its program.
pub(super) const NAME_BYTES_MAX: usize = 100;

/// Words that mean a value where a symbol could stand.
const RESERVED: [&str; 6] = ["nil", "true", "false", "inf", "-inf", "nan"];

/// Whether a name can be written without quotes.
pub(super) fn is_identifier(word: &str) -> bool {
    let mut characters = word.chars();
    let Some(first) = characters.next() else {
        return false;
    };
    let second_is_digit = characters.next().is_some_and(|next| next.is_ascii_digit());
    let starts_number = first.is_ascii_digit() || matches!(first, '-' | '+') && second_is_digit;
    !starts_number
        && word
            .chars()
            .all(|c| c.is_alphanumeric() || "_-+*/<>=!?&^~|".contains(c))
}

/// Whether a variable with this name can be used as an operand.
pub(super) fn is_variable_name(word: &str) -> bool {
    is_identifier(word) && register(word).is_none() && word.len() <= NAME_BYTES_MAX
}

/// Registers of a frame when a text does not say: room for the code and for the variables.
pub(super) fn inferred_registers(function: &Function, variables: &[Variable]) -> u16 {
    let variables = variables.iter().map(|variable| variable.register);
    let most = variables
        .max()
        .map_or(0, |register| register.saturating_add(1));
    most.max(function.registers_needed())
}

/// Whether a word within a list is the symbol of that text.
pub(super) fn is_bare_symbol(word: &str) -> bool {
    is_identifier(word) && !RESERVED.contains(&word)
}

/// The number of a register `r5`.
pub(super) fn register(word: &str) -> Option<u32> {
    unsigned(word.strip_prefix('r')?)
}

/// A number without sign.
pub(super) fn unsigned<T: TryFrom<u64>>(word: &str) -> Option<T> {
    T::try_from(magnitude(word)?).ok()
}

/// A number with or without sign.
pub(super) fn signed(word: &str) -> Option<i64> {
    match word.strip_prefix('-') {
        Some(rest) => 0i64.checked_sub_unsigned(magnitude(rest)?),
        None => unsigned(word),
    }
}

fn magnitude(word: &str) -> Option<u64> {
    if let Some(digits) = word.strip_prefix("0x") {
        return hexadecimal(digits);
    }
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if digits { word.parse().ok() } else { None }
}

fn hexadecimal(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if valid {
        u64::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

/// The bits of a float.
pub(super) fn float(word: &str) -> Option<u64> {
    match word {
        "inf" => return Some(f64::INFINITY.to_bits()),
        "-inf" => return Some(f64::NEG_INFINITY.to_bits()),
        "nan" => return Some(CANONICAL_NAN),
        _ => {}
    }
    if let Some(digits) = word.strip_prefix("nan:0x") {
        return hexadecimal(digits).filter(|bits| f64::from_bits(*bits).is_nan());
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    let valid = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    if valid {
        word.parse::<f64>().ok().map(f64::to_bits)
    } else {
        None
    }
}

/// A float that no reader takes for an integer.
pub(super) fn float_text(bits: u64) -> String {
    let value = f64::from_bits(bits);
    if bits == CANONICAL_NAN {
        "nan".to_owned()
    } else if value.is_nan() {
        format!("nan:{bits:#018x}")
    } else {
        // The shortest text that reads back as the same bits; always with a point or an exponent.
        format!("{value:?}")
    }
}

const CANONICAL_NAN: u64 = 0x7ff8_0000_0000_0000;

/// A name, in quotes if it needs them.
pub(super) fn name_text(name: &str) -> String {
    if is_identifier(name) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A string in quotes, on one line and without invisible characters.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\'' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out.push('"');
    out
}

/// The character of an escape behind its backslash, and how many bytes spell it.
pub(super) fn escape(rest: &str) -> Option<(char, usize)> {
    let first = rest.chars().next()?;
    let simple = match first {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        '\\' | '"' | '\'' => first,
        'u' => {
            let (digits, _) = rest.strip_prefix("u{")?.split_once('}')?;
            let code = u32::try_from(hexadecimal(digits)?).ok()?;
            return Some((char::from_u32(code)?, digits.len() + 3));
        }
        _ => return None,
    };
    Some((simple, first.len_utf8()))
}
