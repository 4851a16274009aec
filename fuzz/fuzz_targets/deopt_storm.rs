//! Generated programs in native code that is left all the time: the bytes are the tape of choices.
#![no_main]

use testkit::differential::{STORM, differential};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    differential(bytes, &STORM);
});
