//! Bodies of the fuzz targets: what must hold for any bytes. Each panics when something does not.

use pw_isa::{Program, codec, text, verify};

/// Whatever decodes encodes to the same bytes, survives the verifier, and is the same program after a
/// detour through assembly text.
pub fn decode(bytes: &[u8]) {
    let Ok(program) = codec::decode(bytes) else {
        return;
    };
    assert_eq!(codec::encode(&program), bytes, "one program has one file");
    text_round_trip(&program);
    let _refused_or_not = verify::verify(program);
}

/// Like [`decode`], and the answer of the verifier does not change when it is asked again.
pub fn verify(bytes: &[u8]) {
    let Ok(program) = codec::decode(bytes) else {
        return;
    };
    let first = verify::verify(program.clone());
    let second = verify::verify(program);
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first.signature(), second.signature());
            check_live_tables(&first);
        }
        (first, second) => assert_eq!(first.err(), second.err()),
    }
}

/// Whatever assembles is printed and read back as the same program, and so is its file.
pub fn assemble(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else {
        return;
    };
    match text::parse(source) {
        Ok(program) => {
            text_round_trip(&program);
            let decoded = codec::decode(&codec::encode(&program));
            assert_eq!(decoded.as_ref(), Ok(&program));
        }
        Err(errors) => assert!(!errors.0.is_empty(), "a refusal has a reason"),
    }
}

/// Printing and reading gives the same program, and printing is a function of the program.
pub fn text_round_trip(program: &Program) {
    let printed = text::print(program);
    match text::parse(&printed) {
        Ok(read) => {
            assert!(read == *program, "{program:?}\nis not\n{read:?}\n{printed}");
            assert_eq!(text::print(&read), printed);
        }
        Err(errors) => panic!("{errors}\nin\n{printed}"),
    }
}

/// Nothing but what the caller fills is live when a function is entered.
fn check_live_tables(verified: &verify::Verified) {
    for (number, function) in verified.program().functions.iter().enumerate() {
        for register in verified.live(number as u32).at(0) {
            assert!(
                u32::from(register) < function.entry_registers(),
                "function #{number} reads r{register}, which nobody has set"
            );
        }
    }
}
