//! Jue source, from text to the first steps of the program.
#![no_main]

libfuzzer_sys::fuzz_target!(|source: &str| testkit::fuzz::jue(source, |source| {
    physics_world::lang::compile("fuzz.jue", source).ok()
}));
