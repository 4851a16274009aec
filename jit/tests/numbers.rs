//! Numbers as text, and comparisons of exact values.

use std::cmp::Ordering;

use proptest::prelude::*;
use pw_jit::Value;
use pw_jit::numbers::{Number, compare};
use pw_jit::text::{float_text, parse_number};
use pw_jit::value::canonical_bits;

fn round_trips(value: f64) {
    let text = float_text(value);
    let read = parse_number(&text).and_then(Value::as_float);
    let read = read.unwrap_or_else(|| panic!("{text} is no float"));
    assert_eq!(
        canonical_bits(read.to_bits()),
        canonical_bits(value.to_bits()),
        "{text}"
    );
    if value.is_finite() {
        assert!(text.contains(['.', 'e']), "{text} looks like an int");
        let size = value.abs();
        let long = size >= 1e16 || (size != 0.0 && size < 1e-5);
        assert_eq!(text.contains('e'), long, "{text}");
    }
}

#[test]
fn floats_at_the_edges_of_notation_read_back() {
    let edges = [
        0.0,
        1e16,
        1e-5,
        1e15,
        1e17,
        1e-4,
        1e-6,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        0.1,
        123_456.789,
    ];
    for edge in edges {
        for bits in [
            edge.to_bits().saturating_sub(1),
            edge.to_bits(),
            edge.to_bits() + 1,
        ] {
            round_trips(f64::from_bits(bits));
            round_trips(-f64::from_bits(bits));
        }
    }
    for special in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN] {
        round_trips(special);
    }
    assert_eq!(float_text(1.0), "1.0");
    assert_eq!(float_text(-0.0), "-0.0");
    assert_eq!(float_text(1e16), "1e16");
    assert_eq!(float_text(1e16 - 2.0), "9999999999999998.0");
    assert_eq!(float_text(1e-5), "0.00001");
    assert_eq!(float_text(9.9e-6), "9.9e-6");
    assert_eq!(float_text(5e-324), "5e-324");
}

#[test]
fn what_spells_a_number_is_read() {
    for (text, int) in [
        ("0", 0),
        ("-0", 0),
        ("+7", 7),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
        ("0xffffffffffffffff", -1),
        ("0XfF", 255),
        ("-0x8000000000000000", i64::MIN),
        ("1_000_000", 1_000_000),
        ("0xff_ff", 65_535),
        ("007", 7),
    ] {
        assert_eq!(parse_number(text), Some(Value::int(int)), "{text}");
    }
    for (text, float) in [
        ("1.5", 1.5),
        ("-1e3", -1e3),
        ("1E+3", 1e3),
        ("1_0.2_5e-1_0", 10.25e-10),
        ("inf", f64::INFINITY),
        ("-inf", f64::NEG_INFINITY),
    ] {
        assert_eq!(parse_number(text), Some(Value::float(float)), "{text}");
    }
}

#[test]
fn what_does_not_spell_a_number_is_none() {
    for text in [
        "",
        " ",
        "-",
        "+",
        "_",
        "1_",
        "_1",
        "1__0",
        "1_.5",
        "1._5",
        "1e_5",
        "1_e5",
        "0x",
        "0x_f",
        "0xf_",
        "0x-5",
        "0x+5",
        "0xg",
        "--5",
        "+-5",
        "5-",
        ".5",
        "5.",
        "1.e5",
        "e5",
        "1e",
        "1e+",
        "1e5.0",
        "1.5.0",
        "1 ",
        " 1",
        "1\n",
        "infinity",
        "-nan",
        "+nan",
        "NaN",
        "Inf",
        "9223372036854775808",
        "-9223372036854775809",
        "0x10000000000000000",
        "-0xffffffffffffffff",
        "1e400",
        "-1e400",
        "1f64",
        "１",
        "1,5",
    ] {
        assert_eq!(parse_number(text), None, "{text:?}");
    }
}

/// A finite float as `whole * 2^power`.
fn parts(float: f64) -> (i128, i32) {
    let bits = float.to_bits();
    let exponent = (bits >> 52 & 0x7ff) as i32;
    let fraction = (bits & ((1 << 52) - 1)) as i128;
    let whole = if exponent == 0 {
        fraction
    } else {
        fraction | 1 << 52
    };
    let sign = if float.is_sign_negative() { -1 } else { 1 };
    (sign * whole, exponent.max(1) - 1075)
}

/// Compares by integers that are wide enough.
fn model(int: i64, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    if float.is_infinite() {
        return 0.0.partial_cmp(&float);
    }
    let (whole, power) = parts(float);
    Some(match power {
        // Beyond 2^63, whatever the fraction; zero has the smallest power.
        12.. => 0.cmp(&whole),
        0..12 => i128::from(int).cmp(&(whole << power)),
        -63..0 => (i128::from(int) << -power).cmp(&whole),
        // Smaller than 1 in size.
        _ if int == 0 => 0.cmp(&whole),
        _ => int.cmp(&0),
    })
}

proptest! {
    #[test]
    fn any_float_reads_back(bits: u64) {
        round_trips(f64::from_bits(bits));
        round_trips(f64::from_bits(bits >> 12 | 0x3ff0_0000_0000_0000));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[-+]?[0-9a-fxX_.eE+-]{0,12}") {
        let read = parse_number(&text);
        if let Some(value) = read {
            prop_assert!(value.as_int().is_some() || value.as_float().is_some_and(f64::is_finite));
        }
    }

    #[test]
    fn ints_and_floats_are_compared_exactly(int: i64, bits: u64, near in -3i64..4, shift in 0..64u32) {
        let int = int >> shift;
        for float in [f64::from_bits(bits), int as f64, int.wrapping_add(near) as f64 + 0.5, near as f64 / 4.0] {
            let (a, b) = (Number::Int(int), Number::Float(float));
            prop_assert_eq!(compare(a, b), model(int, float), "{} {}", int, float);
            prop_assert_eq!(compare(b, a), model(int, float).map(Ordering::reverse));
        }
    }
}
