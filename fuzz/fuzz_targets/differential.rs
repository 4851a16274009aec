//! Generated programs in every tier: the bytes are the tape of choices.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    testkit::differential::differential(bytes);
});
