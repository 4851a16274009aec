//! Pages of objects with the rest of their fiber: the number of bytes of the pages, these, and the rest.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| testkit::fuzz::pages(bytes));
