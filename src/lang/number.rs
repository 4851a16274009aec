//! Numbers as they are written in a source text.

/// What a token that starts like a number is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Number {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
}

/// Why a token that starts like a number is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NumberError {
    /// It is not spelled like a number.
    Malformed,
    /// An integer that needs more than 64 bits.
    IntTooLarge,
    /// A float beyond the largest one.
    FloatTooLarge,
    /// A `_` that does not stand between digits.
    Separator,
}

/// Whether a token can only be meant as a number.
pub(crate) fn looks_like_number(token: &str) -> bool {
    let digits = token.strip_prefix(['-', '+']).unwrap_or(token);
    let digits = digits.strip_prefix('.').unwrap_or(digits);
    digits.starts_with(|first: char| first.is_ascii_digit())
}

/// Reads a token that looks like a number.
pub(crate) fn parse_number(token: &str) -> Result<Number, NumberError> {
    let (negative, digits) = match token.as_bytes() {
        [b'-', ..] => (true, &token[1..]),
        [b'+', ..] => (false, &token[1..]),
        _ => (false, token),
    };
    match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => parse_hexadecimal(negative, hexadecimal),
        None => parse_decimal(negative, digits),
    }
}

/// Any 64-bit pattern; with a sign, any magnitude that an Int can have.
fn parse_hexadecimal(negative: bool, digits: &str) -> Result<Number, NumberError> {
    let digits = without_separators(digits, |byte| byte.is_ascii_hexdigit())?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(NumberError::Malformed);
    }
    let pattern = u64::from_str_radix(&digits, 16).map_err(|_| NumberError::IntTooLarge)?;
    match negative {
        false => Ok(Number::Int(pattern as i64)),
        true if pattern <= 1 << 63 => Ok(Number::Int((pattern as i64).wrapping_neg())),
        true => Err(NumberError::IntTooLarge),
    }
}

fn parse_decimal(negative: bool, digits: &str) -> Result<Number, NumberError> {
    let digits = without_separators(digits, |byte| byte.is_ascii_digit())?;
    let (whole, after) = split_digits(&digits);
    if whole.is_empty() {
        return Err(NumberError::Malformed);
    }
    let signed = if negative {
        format!("-{digits}")
    } else {
        digits.clone()
    };
    if after.is_empty() {
        return signed
            .parse()
            .map(Number::Int)
            .map_err(|_| NumberError::IntTooLarge);
    }
    let after = match after.strip_prefix('.') {
        Some(fraction) => {
            let (fraction, after) = split_digits(fraction);
            if fraction.is_empty() {
                return Err(NumberError::Malformed);
            }
            after
        }
        None => after,
    };
    if let Some(exponent) = after.strip_prefix(['e', 'E']) {
        let (digits, after) = split_digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
        if digits.is_empty() || !after.is_empty() {
            return Err(NumberError::Malformed);
        }
    } else if !after.is_empty() {
        return Err(NumberError::Malformed);
    }
    match signed.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Number::Float(value)),
        Ok(_) => Err(NumberError::FloatTooLarge),
        Err(_) => Err(NumberError::Malformed),
    }
}

/// The digits at the start of a text, and the rest.
fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

/// Takes the `_` out, each of which must have a digit on both sides.
fn without_separators(text: &str, is_digit: impl Fn(u8) -> bool) -> Result<String, NumberError> {
    let bytes = text.as_bytes();
    let digit_at = |index: Option<usize>| {
        index
            .and_then(|index| bytes.get(index))
            .is_some_and(|b| is_digit(*b))
    };
    for (at, _) in text.match_indices('_') {
        if !digit_at(at.checked_sub(1)) || !digit_at(Some(at + 1)) {
            return Err(NumberError::Separator);
        }
    }
    Ok(text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_cover_the_whole_word() {
        assert_eq!(
            parse_number("9223372036854775807"),
            Ok(Number::Int(i64::MAX))
        );
        assert_eq!(
            parse_number("-9223372036854775808"),
            Ok(Number::Int(i64::MIN))
        );
        assert_eq!(parse_number("+5"), Ok(Number::Int(5)));
        assert_eq!(parse_number("1_000_000"), Ok(Number::Int(1_000_000)));
        assert_eq!(parse_number("0xFFFF_FFFF_FFFF_FFFF"), Ok(Number::Int(-1)));
        assert_eq!(
            parse_number("0x8000000000000000"),
            Ok(Number::Int(i64::MIN))
        );
        assert_eq!(parse_number("-0x10"), Ok(Number::Int(-16)));
        assert_eq!(
            parse_number("-0x8000000000000000"),
            Ok(Number::Int(i64::MIN))
        );
    }

    #[test]
    fn what_needs_more_than_64_bits_is_refused() {
        assert_eq!(
            parse_number("9223372036854775808"),
            Err(NumberError::IntTooLarge)
        );
        assert_eq!(
            parse_number("-9223372036854775809"),
            Err(NumberError::IntTooLarge)
        );
        assert_eq!(
            parse_number("0x10000000000000000"),
            Err(NumberError::IntTooLarge)
        );
        assert_eq!(
            parse_number("-0x8000000000000001"),
            Err(NumberError::IntTooLarge)
        );
        assert_eq!(parse_number("1e999"), Err(NumberError::FloatTooLarge));
    }

    #[test]
    fn floats_need_a_point_or_an_exponent() {
        assert_eq!(parse_number("1.5"), Ok(Number::Float(1.5)));
        assert_eq!(parse_number("-1e-9"), Ok(Number::Float(-1e-9)));
        assert_eq!(parse_number("1_0.2_5E+2"), Ok(Number::Float(1025.0)));
        assert_eq!(
            parse_number("-0.0").map(|number| format!("{number:?}")),
            Ok("Float(-0.0)".to_owned())
        );
        assert_eq!(parse_number("1e-999"), Ok(Number::Float(0.0)));
    }

    #[test]
    fn malformed_numbers_are_told_from_names() {
        for token in [
            "1.", ".5", "1/2", "12abc", "1e", "1e+", "0x", "0xg", "1.2.3", "--1",
        ] {
            assert_eq!(parse_number(token), Err(NumberError::Malformed), "{token}");
        }
        for token in ["1__0", "1_", "1_.5", "0x_1", "1._5"] {
            assert_eq!(parse_number(token), Err(NumberError::Separator), "{token}");
        }
        for token in ["-", "+", "...", "-a", "e1", "_1"] {
            assert!(!looks_like_number(token), "{token}");
        }
        for token in ["1", "-1", "+.5", ".5", "1+"] {
            assert!(looks_like_number(token), "{token}");
        }
    }
}
