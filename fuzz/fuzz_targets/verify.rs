//! Program files whose code need not be sound.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| testkit::fuzz::verify(bytes));
