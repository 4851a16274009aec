//! Program files: the first byte chooses between bytes as they are, and a code and a debug section in a
//! file whose checksums fit. The second byte says where the debug section begins, from the end.
#![no_main]

use testkit::fuzz;
use testkit::mutate::Sections;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let [raw, debug_length, sections @ ..] = bytes else {
        return;
    };
    if raw % 4 == 0 {
        fuzz::decode(sections);
        return;
    }
    let code_length = sections.len().saturating_sub(usize::from(*debug_length));
    let (code, debug) = sections.split_at(code_length);
    let file = Sections {
        code: code.to_vec(),
        debug: debug.to_vec(),
    };
    let file = file.to_file();
    fuzz::decode(&file);
    fuzz::verify(&file);
});
