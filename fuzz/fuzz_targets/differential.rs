//! Generated programs in every tier: the bytes are the tape of choices.
#![no_main]

use testkit::differential::{MODES, differential};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    differential(bytes, &MODES);
});
