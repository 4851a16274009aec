//! Images: the bytes are the body; the head with its checksum is made to fit.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| testkit::fuzz::image(bytes));
